//! Why a count is an estimate.

use std::fmt;

/// Why the server may count otherwise: nothing is published that would give the number, or the
/// request does not hold what it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Doubt {
    /// The vocabulary of the model is not published; it was counted by `o200k_base`.
    Model,
    /// How many tokens this model or endpoint puts around messages is not published; those of
    /// `gpt-4o` were counted.
    Framing,
    /// The tools, or the calls of tools, are of a kind for which no rule is published.
    Tools,
    /// A form is asked of the answer, for which no rule is published; its text was counted.
    Format,
    /// The size of an image is not in the request, or no rule is published for the model.
    Image,
    /// A file or sound is in the request, for which no rule is published.
    File,
    /// The request names what the server keeps, such as an earlier answer.
    Elsewhere,
    /// It is not a request of a known kind; its text was counted.
    Kind,
}

impl Doubt {
    const ALL: [Doubt; 8] = [
        Doubt::Model,
        Doubt::Framing,
        Doubt::Tools,
        Doubt::Format,
        Doubt::Image,
        Doubt::File,
        Doubt::Elsewhere,
        Doubt::Kind,
    ];

    /// A name for tables and JSON, such as `framing`.
    pub fn name(self) -> &'static str {
        match self {
            Doubt::Model => "model",
            Doubt::Framing => "framing",
            Doubt::Tools => "tools",
            Doubt::Format => "format",
            Doubt::Image => "image",
            Doubt::File => "file",
            Doubt::Elsewhere => "elsewhere",
            Doubt::Kind => "kind",
        }
    }
}

/// All reasons why a count is an estimate; none where it is exact.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Doubts(u8);

impl Doubts {
    /// Adds a reason.
    pub fn add(&mut self, doubt: Doubt) {
        self.0 |= 1 << doubt as u8;
    }

    /// Adds those of another count.
    pub fn extend(&mut self, other: Doubts) {
        self.0 |= other.0;
    }

    /// Whether this is one of the reasons.
    pub fn has(self, doubt: Doubt) -> bool {
        self.0 & 1 << doubt as u8 != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The reasons.
    pub fn iter(self) -> impl Iterator<Item = Doubt> {
        Doubt::ALL.into_iter().filter(move |doubt| self.has(*doubt))
    }
}

impl fmt::Debug for Doubts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
