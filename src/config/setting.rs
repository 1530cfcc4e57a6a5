//! What a setting is: how its text is read, checked and shown.

use std::path::PathBuf;
use std::time::Duration;

use super::base_url::{self, BaseUrl};
use super::key::{self, ApiKey};
use super::units::{format_duration, format_size, parse_duration, parse_size};
use super::values::Values;
use crate::api::LimitGroups;
use crate::usage::Money;

/// A setting, as data for tables of help.
#[derive(Debug)]
#[non_exhaustive]
pub struct Setting {
    /// Its name in the environment.
    pub name: &'static str,
    /// Its default as it would be written; `none` if there is none.
    pub default: &'static str,
    /// What it is counted in, or what kind of text it is.
    pub unit: &'static str,
    /// What it does, in one line.
    pub help: &'static str,
    /// Where the default comes from.
    pub source: &'static str,
    pub(super) slot: fn(&mut Values) -> Slot<'_>,
}

impl Setting {
    /// What is allowed, such as `a whole number from 0 to 50`.
    pub fn range(&self) -> String {
        (self.slot)(&mut Values::default()).range()
    }

    /// The default, if there is one.
    pub(super) fn default_text(&self) -> Option<&'static str> {
        (self.default != "none").then_some(self.default)
    }
}

/// The place of a value, with its range.
pub(super) enum Slot<'a> {
    Time {
        at: &'a mut Duration,
        min: Duration,
        max: Duration,
    },
    Count {
        at: &'a mut u64,
        min: u64,
        max: u64,
    },
    /// A duration that need not be there.
    Span {
        at: &'a mut Option<Duration>,
        min: Duration,
        max: Duration,
    },
    /// A count that need not be there.
    Limit {
        at: &'a mut Option<u64>,
        min: u64,
        max: u64,
    },
    Size {
        at: &'a mut u64,
        min: u64,
        max: u64,
    },
    Share {
        at: &'a mut f64,
        min: f64,
        max: f64,
    },
    /// An amount of money that need not be there.
    Money {
        at: &'a mut Option<Money>,
        min: Money,
        max: Money,
    },
    /// Text that a header, a query or a body can carry.
    Text(&'a mut Option<String>),
    Choice(&'a mut Option<String>, &'static [&'static str]),
    /// Models that share their limits.
    Groups(&'a mut Option<String>),
    Url(&'a mut Option<String>),
    Path(&'a mut Option<PathBuf>),
    Key(&'a mut Option<ApiKey>),
}

impl Slot<'_> {
    /// Reads `text`, checks it and stores it.
    pub(super) fn put(mut self, text: &str) -> Result<(), String> {
        let text = text.trim();
        if let Slot::Key(at) = self {
            *at = Some(ApiKey::parse(text)?);
            return Ok(());
        }
        let refused = format!("{} is not allowed: {}", harmless(text), self.range());
        self.store(text).ok_or(refused)?;
        self.check()
    }

    fn store(&mut self, text: &str) -> Option<()> {
        match self {
            Slot::Time { at, .. } => **at = parse_duration(text).ok()?,
            Slot::Span { at, .. } if text.eq_ignore_ascii_case("none") => **at = None,
            Slot::Span { at, .. } => **at = Some(parse_duration(text).ok()?),
            Slot::Count { at, .. } => **at = parse_count(text)?,
            Slot::Limit { at, .. } if text.eq_ignore_ascii_case("none") => **at = None,
            Slot::Limit { at, .. } => **at = Some(parse_count(text)?),
            Slot::Size { at, .. } => **at = parse_size(text).ok()?,
            Slot::Money { at, .. } if text.eq_ignore_ascii_case("none") => **at = None,
            Slot::Money { at, .. } => **at = Some(Money::parse(text).ok()?),
            Slot::Share { at, .. } => **at = text.parse().ok()?,
            Slot::Choice(at, _) => **at = Some(text.to_ascii_lowercase()),
            Slot::Text(at) | Slot::Url(at) | Slot::Groups(at) => **at = Some(text.into()),
            Slot::Path(at) => **at = Some(text.into()),
            Slot::Key(at) => **at = Some(ApiKey::parse(text).ok()?),
        }
        Some(())
    }

    /// Whether the value lies in its range.
    pub(super) fn check(&self) -> Result<(), String> {
        let fits = match self {
            Slot::Time { at, min, max } => (min..=max).contains(&&**at),
            Slot::Count { at, min, max } | Slot::Size { at, min, max } => {
                (min..=max).contains(&&**at)
            }
            Slot::Span { at, min, max } => at.is_none_or(|time| (*min..=*max).contains(&time)),
            Slot::Limit { at, min, max } => at.is_none_or(|n| (*min..=*max).contains(&n)),
            Slot::Share { at, min, max } => (min..=max).contains(&&**at),
            Slot::Money { at, min, max } => at.is_none_or(|sum| (*min..=*max).contains(&sum)),
            Slot::Text(Some(text)) => is_plain(text),
            Slot::Groups(Some(text)) => LimitGroups::parse(text).is_some(),
            Slot::Choice(Some(text), all) => all.contains(&text.as_str()),
            Slot::Url(Some(url)) => {
                BaseUrl::parse(url).map_err(|e| format!("{} ({e})", self.refused()))?;
                true
            }
            Slot::Path(Some(path)) if key::looks_like_a_key(path) => {
                return Err(key::NOT_A_PATH.into());
            }
            Slot::Path(Some(path)) => !path.as_os_str().is_empty(),
            _ => true,
        };
        if fits { Ok(()) } else { Err(self.refused()) }
    }

    fn refused(&self) -> String {
        // What was given as text is not repeated: it may be a key in the wrong place.
        let value = match self {
            Slot::Text(_)
            | Slot::Choice(..)
            | Slot::Groups(_)
            | Slot::Url(_)
            | Slot::Path(_)
            | Slot::Key(_) => None,
            _ => self.show(),
        };
        format!("{} is not allowed: {}", value.as_deref().unwrap_or("its value"), self.range())
    }

    /// What is allowed.
    pub(super) fn range(&self) -> String {
        match self {
            Slot::Time { min, max, .. } => {
                format!("a duration from {} to {}", format_duration(*min), format_duration(*max))
            }
            Slot::Span { min, max, .. } => {
                let (min, max) = (format_duration(*min), format_duration(*max));
                format!("a duration from {min} to {max}, or none")
            }
            Slot::Count { min, max, .. } => format!("a whole number from {min} to {max}"),
            Slot::Limit { min, max, .. } => format!("a whole number from {min} to {max}, or none"),
            Slot::Size { min, max, .. } => {
                format!("a size from {} to {}", format_size(*min), format_size(*max))
            }
            Slot::Share { min, max, .. } => format!("a number from {min} to {max}"),
            Slot::Money { min, max, .. } => {
                format!("an amount of dollars from {min} to {max}, or none")
            }
            Slot::Text(_) => "visible ASCII characters without spaces".into(),
            Slot::Choice(_, all) => all.join(" or "),
            Slot::Groups(_) => "`pattern=name` pairs with commas between, `*` at the end of a \
                                pattern for any rest"
                .into(),
            Slot::Url(_) => {
                "an http or https URL without user name, password, query and fragment".into()
            }
            Slot::Path(_) => "the path of a file".into(),
            Slot::Key(_) => "visible ASCII characters without spaces".into(),
        }
    }

    /// The value as it may be shown: of a key no more than its end.
    pub(super) fn show(&self) -> Option<String> {
        match self {
            Slot::Time { at, .. } => Some(format_duration(**at)),
            Slot::Span { at, .. } => at.map(format_duration),
            Slot::Count { at, .. } => Some(at.to_string()),
            Slot::Limit { at, .. } => at.map(|n| n.to_string()),
            Slot::Size { at, .. } => Some(format_size(**at)),
            Slot::Share { at, .. } => Some(at.to_string()),
            Slot::Money { at, .. } => at.map(|sum| format!("${}", sum.to_decimal())),
            Slot::Text(at) | Slot::Choice(at, _) | Slot::Groups(at) => {
                at.as_deref().map(unless_key)
            }
            Slot::Url(at) => at.as_deref().map(base_url::shown),
            Slot::Path(at) => at.as_deref().map(|p| unless_key(&p.display().to_string())),
            Slot::Key(at) => at.as_ref().map(ToString::to_string),
        }
    }
}

fn parse_count(text: &str) -> Option<u64> {
    let digits = text.replace('_', "");
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('_');
    if plain { digits.parse().ok() } else { None }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// A refused text, unless it may be a secret in the wrong place.
fn harmless(text: &str) -> String {
    if text.chars().count() > 24 || text.contains("sk-") {
        "its value".into()
    } else {
        text.escape_debug().to_string()
    }
}

fn unless_key(text: &str) -> String {
    if text.contains("sk-") { "…".into() } else { text.into() }
}
