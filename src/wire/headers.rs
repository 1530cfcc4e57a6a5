//! An answer's headers: limits, retry hints, request id.

/// The headers of an answer, by name without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Box<str>, Box<str>)>);

impl Headers {
    /// Adds one; its name is kept in lower case.
    pub fn push(&mut self, name: &str, value: &str) {
        self.0.push((name.to_ascii_lowercase().into(), value.into()));
    }

    /// The first value under `name`, which is given in lower case.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(each, _)| &**each == name).map(|(_, value)| &**value)
    }

    /// All of them, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}
