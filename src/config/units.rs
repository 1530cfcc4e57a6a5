//! Durations, sizes and switches as people write them.

use std::time::Duration;

const NANOS: u128 = 1_000_000_000;

/// Longest first, so that a duration that is written in order is read in order.
const TIME_UNITS: &[(&str, u128)] = &[
    ("d", 86_400 * NANOS),
    ("h", 3_600 * NANOS),
    ("m", 60 * NANOS),
    ("s", NANOS),
    ("ms", NANOS / 1_000),
];

const SIZE_UNITS: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

/// Reads a duration: `200ms`, `30s`, `2m`, `6h`, `1h30m`; a bare number is seconds.
///
/// Numbers may have a fraction (`0.5`, `1.5h`); the units are `d`, `h`, `m`, `s` and `ms`, each
/// at most once and the longest first.
///
/// # Errors
///
/// What is wrong, without the text itself.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(openai_bulk::config::parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
/// assert_eq!(openai_bulk::config::parse_duration("0.5"), Ok(Duration::from_millis(500)));
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const HOW: &str = "not a duration such as 200ms, 30s, 2m or 1h30m";
    let text = text.trim();
    let (mut rest, mut total, mut units) = (text, 0u128, TIME_UNITS);
    if text.is_empty() {
        return Err(HOW.into());
    }
    while !rest.is_empty() {
        let (number, after) = split_number(rest);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let nanos = if unit.is_empty() && number.len() == text.len() {
            NANOS
        } else {
            let at = units.iter().position(|(name, _)| *name == unit).ok_or(HOW)?;
            let nanos = units[at].1;
            units = &units[at + 1..];
            nanos
        };
        let part = scaled(number, nanos).ok_or(HOW)?;
        total = total.checked_add(part).ok_or("too long for a duration")?;
        rest = after.trim_start();
    }
    let seconds = u64::try_from(total / NANOS).map_err(|_| "too long for a duration")?;
    Ok(Duration::new(seconds, (total % NANOS) as u32))
}

/// Writes a duration so that [`parse_duration`] reads the same one: `500ms`, `1.5s`, `1h30m`.
pub fn format_duration(duration: Duration) -> String {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    if seconds == 0 && nanos > 0 && nanos.is_multiple_of(1_000_000) {
        return format!("{}ms", nanos / 1_000_000);
    }
    let mut text = String::new();
    for (count, unit) in [(seconds / 3600, "h"), (seconds / 60 % 60, "m")] {
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    let rest = seconds % 60;
    if nanos > 0 {
        let fraction = format!("{nanos:09}");
        text.push_str(&format!("{rest}.{}s", fraction.trim_end_matches('0')));
    } else if rest > 0 || text.is_empty() {
        text.push_str(&format!("{rest}s"));
    }
    text
}

/// Reads a number of bytes: `8MB` (millions), `200MiB` (of 1,048,576), `4096`.
///
/// # Errors
///
/// What is wrong, without the text itself.
pub fn parse_size(text: &str) -> Result<u64, String> {
    const HOW: &str = "not a size such as 4096, 8MB or 200MiB";
    let (number, unit) = split_number(text.trim());
    let unit = unit.trim_start();
    let bytes = match unit {
        "" => 1,
        _ => SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or(HOW)?.1,
    };
    let size = scaled(number, u128::from(bytes)).ok_or(HOW)?;
    u64::try_from(size).map_err(|_| "too large for a size".into())
}

/// Writes a number of bytes so that [`parse_size`] reads the same one: `8MB`, `200MiB`, `1500B`.
pub fn format_size(bytes: u64) -> String {
    let written = SIZE_UNITS
        .iter()
        .filter(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit))
        .map(|(name, unit)| format!("{}{name}", bytes / unit));
    written.min_by_key(String::len).unwrap_or_else(|| format!("{bytes}B"))
}

/// Reads a switch: `true`, `1`, `yes`, `on`, or `false`, `0`, `no`, `off`, in any case.
///
/// # Errors
///
/// What is wrong, without the text itself.
pub fn parse_bool(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("not one of true, false, 1, 0, yes, no, on, off".into()),
    }
}

fn split_number(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count())
}

/// `number` times `unit`, in whole numbers throughout, so that nothing is rounded that fits.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()) && text.len() <= 20;
    if number.ends_with('.') || whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let mut result = whole.parse::<u128>().ok()?.checked_mul(unit)?;
    if !fraction.is_empty() {
        let part = fraction.parse::<u128>().ok()?.checked_mul(unit)?;
        result = result.checked_add(part / 10u128.pow(fraction.len() as u32))?;
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in [
            ("200ms", 200),
            ("30s", 30_000),
            ("2m", 120_000),
            ("6h", 21_600_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("1m0.5s", 60_500),
            ("2d", 172_800_000),
            ("600", 600_000),
            ("0.5", 500),
            ("1.5h", 5_400_000),
            ("0", 0),
            ("0s", 0),
            (" 5s\n", 5_000),
            ("1s500ms", 1_500),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            " ",
            "s",
            "-1s",
            "+1s",
            "1.",
            ".5",
            "1,5s",
            "1e3",
            "30m1h",
            "1s1s",
            "5 parsecs",
            "1h30",
            "30S",
            "1..5s",
            "1.2.3s",
            "NaN",
            "inf",
            "١s",
            "99999999999999999999999s",
            "18446744073709551616s",
            "1µs",
            "5s!",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_written_shortly() {
        for (millis, text) in [
            (0, "0s"),
            (500, "500ms"),
            (1_500, "1.5s"),
            (30_000, "30s"),
            (600_000, "10m"),
            (5_400_000, "1h30m"),
            (86_400_000, "24h"),
            (3_600_001, "1h0.001s"),
        ] {
            assert_eq!(format_duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes) in [
            ("8MB", 8_000_000),
            ("200MiB", 209_715_200),
            ("200 mib", 209_715_200),
            ("4096", 4096),
            ("1.5KB", 1_500),
            ("0", 0),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MB", "-1", "8 apples", "8M", "1.MB", "99999999999GiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        assert_eq!(format_size(190_000_000), "190MB");
        assert_eq!(format_size(256 << 20), "256MiB");
        assert_eq!(format_size(1_501), "1501B");
        assert_eq!(format_size(0), "0B");
    }

    #[test]
    fn switches_are_read_in_any_case() {
        for text in ["true", "1", "YES", "on "] {
            assert_eq!(parse_bool(text), Ok(true), "{text}");
        }
        for text in ["false", "0", "No", "OFF"] {
            assert_eq!(parse_bool(text), Ok(false), "{text}");
        }
        assert!(parse_bool("maybe").is_err());
        assert!(parse_bool("").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in any::<u64>(), nanos in 0u32..1_000_000_000, bytes in any::<u64>()) {
            let duration = Duration::new(seconds, nanos);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
            prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = (parse_duration(&text), parse_size(&text), parse_bool(&text));
        }
    }
}
