//! Misspelt names.

use super::table::{find, settings};

/// Names that others read for the same thing.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("OPENAI_API_BASE", "OPENAI_BASE_URL"),
    ("OPENAI_ORGANIZATION", "OPENAI_ORG_ID"),
    ("OPENAI_PROJECT", "OPENAI_PROJECT_ID"),
    ("OPENAI_PROXY", "HTTPS_PROXY"),
];

/// A sentence about `name`, if it is not a setting but nearly one.
pub(super) fn warning(name: &str) -> Option<String> {
    let ours = name.starts_with("OPENAI_") || name.starts_with("AZURE_OPENAI_");
    if !ours || find(name).is_some() {
        return None;
    }
    let meant = meant(name)?;
    Some(format!("{name} is not read; was {meant} meant?"))
}

/// The setting that a name which is none was most likely meant for.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    let other = OTHER_NAMES.iter().find(|(other, _)| *other == name).map(|(_, meant)| *meant);
    other.or_else(|| nearest(name))
}

fn nearest(name: &str) -> Option<&'static str> {
    nearest_of(name, settings().iter().map(|setting| setting.name))
}

/// The one of `names` that differs from `name` in two characters at most, and in the fewest.
///
/// ```
/// use openai_bulk::config::nearest_of;
/// assert_eq!(nearest_of("gpt4o-mini", ["gpt-4o", "gpt-4o-mini"]), Some("gpt-4o-mini"));
/// assert_eq!(nearest_of("llama", ["gpt-4o", "gpt-4o-mini"]), None);
/// ```
pub fn nearest_of<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = names.into_iter().map(|each| (distance(name, each), each));
    near.filter(|(distance, _)| *distance <= 2).min().map(|(_, each)| each)
}

/// How many characters must be added, dropped or changed, or neighbours swapped, to turn one name
/// into the other (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let above = &rows[i - 1];
            let mut least = (above[j - 1] + usize::from(a[i - 1] != b[j - 1]))
                .min(above[j] + 1)
                .min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_counted() {
        for (a, b, n) in
            [("", "", 0), ("abc", "abc", 0), ("abc", "acb", 1), ("abc", "ab", 1), ("abc", "xyz", 3)]
        {
            assert_eq!(distance(a, b), n, "{a} {b}");
        }
    }

    #[test]
    fn a_near_miss_is_told_and_all_else_is_not() {
        for (name, meant) in [
            ("OPENAI_MAX_RETRYS", Some("OPENAI_MAX_RETRIES")),
            ("OPENAI_MAX_RERTIES", Some("OPENAI_MAX_RETRIES")),
            ("OPENAI_APIKEY", Some("OPENAI_API_KEY")),
            ("OPENAI_TIMEOUTS", Some("OPENAI_TIMEOUT")),
            ("OPENAI_BASEURL", Some("OPENAI_BASE_URL")),
            ("OPENAI_API_BASE", Some("OPENAI_BASE_URL")),
            ("OPENAI_ORGANIZATION", Some("OPENAI_ORG_ID")),
            ("OPENAI_LOG", None),
            ("OPENAI_WEBHOOK_SECRET", None),
            ("OPENAI_TIMEOUT", None),
            ("AZURE_OPENAI_KEY", None),
            ("AZURE_OPENAI_APIKEY", Some("AZURE_OPENAI_API_KEY")),
            ("OPENAI_É", None),
            ("TIMEOUT", None),
        ] {
            let expected = meant.map(|meant| format!("{name} is not read; was {meant} meant?"));
            assert_eq!(warning(name), expected, "{name}");
        }
    }
}
