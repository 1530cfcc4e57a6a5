//! Numbers, times and texts as they are shown.

/// Longest text of a failure that is shown, in characters.
const LONGEST: usize = 240;

/// Text that is safe between tags and in attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Characters that turn the direction of text could make it look like another.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// What was said of a failure: cut, and without what looks like a key.
pub(super) fn message(text: &str) -> String {
    let text = hide_keys(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn hide_keys(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("sk-") {
        let is_part = |c: char| !(c.is_ascii_alphanumeric() || "-_*.".contains(c));
        let end = rest[start..].find(is_part).map_or(rest.len(), |length| start + length);
        let is_word = rest[..start].ends_with(|c: char| c.is_ascii_alphanumeric());
        out.push_str(&rest[..start]);
        out.push_str(if is_word || end - start < 8 { &rest[start..end] } else { "sk-…" });
        rest = &rest[end..];
    }
    out + rest
}

/// `12,345`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number with as many digits as say something.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "–".into();
    }
    if size >= 99.95 || size == size.round() {
        let sign = if value < 0.0 { "−" } else { "" };
        return format!("{sign}{}", count(size.round() as u64));
    }
    let places = if size >= 9.995 { 1 } else { 2 };
    trim(&format!("{value:.places$}"))
}

fn trim(decimal: &str) -> String {
    if !decimal.contains('.') {
        return decimal.into();
    }
    decimal.trim_end_matches('0').trim_end_matches('.').into()
}

/// A number on an axis: `1.5 M`.
pub(super) fn axis(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{}\u{a0}G", number(v / 1e9)),
        v if v >= 1e6 => format!("{}\u{a0}M", number(v / 1e6)),
        v => number(v),
    }
}

/// A small amount of money: to the cent, or to two digits where it is less.
pub(super) fn small(dollars: f64) -> String {
    let digits = if dollars > 0.0 { 1.0 - dollars.log10().floor() } else { 0.0 };
    let places = digits.clamp(2.0, 9.0) as usize;
    format!("{dollars:.places$}")
}

/// A number with so many decimal places: `1,234.50`.
pub(super) fn fixed(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    format!("{}{fraction}", whole.parse().map_or(whole.to_owned(), count))
}

/// `1 row`, `2 rows`.
pub(super) fn counted(number: u64, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{}\u{a0}{what}{s}", count(number))
}

/// A time: `850 ms`, `1.25 s`, `3 min 20 s`, `2 h 05 min`.
pub(super) fn seconds(value: f64) -> String {
    let units = |first: u64, a: &str, second: u64, b: &str| match second {
        0 => format!("{}\u{a0}{a}", count(first)),
        _ => format!("{}\u{a0}{a} {second:02}\u{a0}{b}", count(first)),
    };
    let whole = value.round() as u64;
    match value {
        v if v <= 0.0 => "0\u{a0}s".into(),
        v if v < 0.000_009_5 => format!("{}\u{a0}µs", number(v * 1e6)),
        v if v < 0.000_95 => format!("{}\u{a0}ms", number(v * 1e3)),
        v if v < 0.9995 => format!("{:.0}\u{a0}ms", v * 1e3),
        v if v < 119.5 => format!("{}\u{a0}s", number(v)),
        v if v < 7_199.5 => units(whole / 60, "min", whole % 60, "s"),
        v if v < 172_799.5 => units(whole / 3_600, "h", whole % 3_600 / 60, "min"),
        _ => units(whole / 86_400, "d", whole % 86_400 / 3_600, "h"),
    }
}

/// A share: `0.4 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let text = match percent {
        p if p > 0.0 && p < 0.05 => "&lt;\u{2009}0.1".into(),
        p if p > 99.9 && p < 100.0 => "&gt;\u{2009}99.9".into(),
        p if p < 99.95 => trim(&format!("{p:.1}")),
        p => format!("{p:.0}"),
    };
    format!("{text}\u{a0}%")
}

/// A Unix time: `2026-01-31 09:05 UTC`, or with seconds.
pub(super) fn date(unix: f64, with_seconds: bool) -> String {
    let whole = unix.max(0.0) as i64;
    let (days, second) = (whole / 86_400, whole % 86_400);
    // Years begin in March here, so that a leap day is the last of its year.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day = shifted % 146_097;
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (year + era * 400, if month < 10 { month + 3 } else { month - 9 });
    let year = if month <= 2 { year + 1 } else { year };
    let (hour, minute) = (second / 3_600, second % 3_600 / 60);
    let end = if with_seconds { format!(":{:02}", second % 60) } else { String::new() };
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}{end}\u{a0}UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let text = r#"<script>alert("1")</script>&'"#;
        assert_eq!(escape(text), "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;");
        assert_eq!(escape("a\u{0}b\nc\u{202e}d"), "a b c\u{fffd}d");
    }

    #[test]
    fn keys_are_not_shown_and_long_texts_are_cut() {
        for (text, shown) in [
            ("bad key sk-proj-abc_123: see", "bad key sk-…: see"),
            ("sk-0123456789", "sk-…"),
            ("sk-one12345 and sk-two12345", "sk-… and sk-…"),
            ("risk-averse-people", "risk-averse-people"),
            ("sk-", "sk-"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(message(text), shown);
        }
        assert_eq!(message(&"ä".repeat(500)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn numbers_have_the_digits_that_say_something() {
        for (value, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")]
        {
            assert_eq!(count(value), text);
        }
        for (value, text) in [
            (0.0, "0"),
            (0.123, "0.12"),
            (1.5, "1.5"),
            (12.34, "12.3"),
            (99.97, "100"),
            (1234.6, "1,235"),
            (-5.0, "−5"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(number(value), text);
        }
        for (value, text) in
            [(0.0, "0 %"), (0.0001, "&lt;\u{2009}0.1 %"), (0.125, "12.5 %"), (1.0, "100 %")]
        {
            assert_eq!(percent(value), text.replace(" %", "\u{a0}%"));
        }
        for (dollars, text) in
            [(0.5, "0.50"), (0.02, "0.020"), (0.000_05, "0.000050"), (5.0, "5.00")]
        {
            assert_eq!(small(dollars), text);
        }
        assert_eq!((fixed(1_234.5, 2), fixed(0.005, 3)), ("1,234.50".into(), "0.005".into()));
        assert_eq!(axis(2_500_000.0), "2.5\u{a0}M");
        assert_eq!(
            (counted(1, "row"), counted(2, "row")),
            ("1\u{a0}row".into(), "2\u{a0}rows".into())
        );
    }

    #[test]
    fn times_have_two_units_at_most() {
        for (value, text) in [
            (0.0, "0 s"),
            (0.000_4, "0.4 ms"),
            (0.85, "850 ms"),
            (0.9996, "1 s"),
            (1.25, "1.25 s"),
            (75.0, "75 s"),
            (200.0, "3 min 20 s"),
            (3_600.0, "60 min"),
            (7_500.0, "2 h 05 min"),
            (180_000.0, "2 d 02 h"),
        ] {
            assert_eq!(seconds(value).replace('\u{a0}', " "), text);
        }
        for (unix, text) in [
            (0.0, "1970-01-01 00:00:00"),
            (951_782_400.0, "2000-02-29 00:00:00"),
            (1_798_761_599.0, "2026-12-31 23:59:59"),
        ] {
            assert_eq!(date(unix, true), format!("{text}\u{a0}UTC"));
        }
    }
}
