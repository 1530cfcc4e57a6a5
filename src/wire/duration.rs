//! Durations as servers write them.

use std::time::Duration;

/// The longest duration that is believed: ten years.
const LONGEST: f64 = 315_360_000.0;

/// Reads the text of a Go `time.Duration`, such as `6m0s`, `1h2m3.5s`, `120ms` or `500µs`.
///
/// A bare number is seconds, as Azure sends it. Signs, unknown units and text are refused.
pub fn go_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Some(seconds) = number(text) {
        return from_seconds(seconds);
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let value = number(&rest[..digits])?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        seconds += value * unit_seconds(&rest[..unit])?;
        rest = &rest[unit..];
    }
    if text.is_empty() { None } else { from_seconds(seconds) }
}

/// Reads a duration at the start of a text, such as `45.19s. Visit ...` or `20 seconds.`
pub(super) fn leading_duration(text: &str) -> Option<Duration> {
    let text = text.trim_start();
    let mut end =
        text.find(|c: char| !(c.is_ascii_digit() || ".hmsµun".contains(c))).unwrap_or(text.len());
    // The full stop of a sentence is no part of a number.
    while text[..end].ends_with('.') {
        end -= 1;
    }
    let (first, rest) = text.split_at(end);
    if number(first).is_some() {
        let unit: String =
            rest.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
        let scale = match unit.trim_end_matches('s') {
            "millisecond" => 0.001,
            "minute" => 60.0,
            "hour" => 3_600.0,
            "day" => 86_400.0,
            _ => 1.0,
        };
        return from_seconds(number(first)? * scale);
    }
    go_duration(first)
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "h" => 3_600.0,
        "m" => 60.0,
        "s" => 1.0,
        "ms" => 1e-3,
        // Both the micro sign and the Greek letter are in use.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
        "ns" => 1e-9,
        "d" => 86_400.0,
        _ => return None,
    })
}

/// A number in digits and at most one point: none of `inf`, `1e9` or `-1`.
fn number(text: &str) -> Option<f64> {
    let plain = text.chars().all(|c| c.is_ascii_digit() || c == '.')
        && text.contains(|c: char| c.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

pub(super) fn from_seconds(seconds: f64) -> Option<Duration> {
    // Rounded to nanoseconds, so that 0.12 s is 120 ms and not a little less.
    (seconds.is_finite() && (0.0..=LONGEST).contains(&seconds))
        .then(|| Duration::from_nanos((seconds * 1e9).round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_of_the_wild_is_read() {
        let cases: &[(&str, Option<f64>)] = &[
            ("0s", Some(0.0)),
            ("6m0s", Some(360.0)),
            ("120ms", Some(0.12)),
            ("1h2m3.5s", Some(3_723.5)),
            ("7m12s", Some(432.0)),
            ("8.64s", Some(8.64)),
            ("143h59m59.9s", Some(518_399.9)),
            ("500\u{b5}s", Some(0.0005)),
            ("250ns", Some(2.5e-7)),
            ("56", Some(56.0)),
            ("", None),
            ("later", None),
            ("-1", None),
            ("1x", None),
            ("s", None),
            ("1h-2m", None),
            ("1.2.3s", None),
            ("99999999999999999999s", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(go_duration(text), seconds.map(Duration::from_secs_f64), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            let _ = (go_duration(&text), leading_duration(&text));
        }

        #[test]
        fn hours_minutes_seconds_come_back(h in 0u64..200, m in 0u64..60, s in 0u64..60, ms in 0u64..1000) {
            let text = format!("{h}h{m}m{s}.{ms:03}s");
            let expected = Duration::from_millis(((h * 60 + m) * 60 + s) * 1000 + ms);
            prop_assert_eq!(go_duration(&text), Some(expected));
        }
    }
}
