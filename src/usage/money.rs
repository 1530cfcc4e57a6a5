//! Money in whole numbers.

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::str::FromStr;

/// Decimal digits of a dollar that are kept.
const DIGITS: u32 = 12;
const DOLLAR: i128 = 10i128.pow(DIGITS);

/// An amount of money in US dollars, exact to the picodollar (10⁻¹² dollars).
///
/// A token of the cheapest model costs thousands of picodollars, so that sums of prices are exact,
/// whatever their order. Sums that leave the range (10²⁶ dollars) stay at its end.
///
/// It is shown in dollars, rounded ([`Display`](fmt::Display): `$12.34`, `$0.0123`), and written to
/// JSON as a decimal text with every digit (`"0.0123"`), because a JSON number is read as a float
/// by many. From JSON it takes such a text or a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i128);

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);
    /// More than there is.
    pub const MAX: Money = Money(i128::MAX);

    /// So many picodollars.
    pub const fn from_picodollars(picodollars: i128) -> Money {
        Money(picodollars)
    }

    /// So many whole dollars.
    pub const fn from_dollars(dollars: i64) -> Money {
        Money(dollars as i128 * DOLLAR)
    }

    /// In picodollars.
    pub const fn picodollars(self) -> i128 {
        self.0
    }

    /// In dollars, as near as a float comes.
    pub fn as_dollars(self) -> f64 {
        self.0 as f64 / DOLLAR as f64
    }

    /// Reads an amount as people write it: `5`, `5.00`, `$5`, `1_000`, `0.000002`.
    ///
    /// # Errors
    ///
    /// What is wrong, without the text itself.
    ///
    /// ```
    /// use openai_bulk::usage::Money;
    /// assert_eq!(Money::parse("$5"), Ok(Money::from_dollars(5)));
    /// assert_eq!(Money::parse("0.10").unwrap().to_string(), "$0.10");
    /// ```
    pub fn parse(text: &str) -> Result<Money, String> {
        const HOW: &str = "not an amount of dollars such as 5, 0.50 or $5";
        let text = text.trim();
        let number = text.strip_prefix('$').unwrap_or(text);
        if number.starts_with('_') {
            return Err(HOW.into());
        }
        let number = number.replace('_', "");
        let is_plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if !is_plain || !number.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(HOW.into());
        }
        match Money::from_decimal(&number, 0) {
            Some((money, true)) => Ok(money),
            Some((_, false)) => Err("finer than a picodollar".into()),
            None => Err(HOW.into()),
        }
    }

    /// A decimal number, as JSON spells it, times ten to the power of `shift`, in dollars; and
    /// whether that is exact. What is finer than a picodollar is rounded to the nearest.
    pub(super) fn from_decimal(text: &str, shift: i32) -> Option<(Money, bool)> {
        let (digits, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (is_negative, digits) = match digits.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, digits),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let are_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let is_cut = digits.ends_with('.') || whole.is_empty();
        if is_cut || !are_digits(whole) || !are_digits(fraction) {
            return None;
        }
        let significant = format!("{whole}{fraction}");
        let significant = significant.trim_start_matches('0');
        let significant = if significant.is_empty() { "0" } else { significant };
        let mantissa: i128 = significant.parse().ok()?;
        let power = DIGITS as i64 + i64::from(shift) + i64::from(exponent) - fraction.len() as i64;
        let (amount, is_exact) = scale(mantissa, power)?;
        Some((Money(if is_negative { -amount } else { amount }), is_exact))
    }

    /// So many times this amount.
    pub const fn times(self, count: u64) -> Money {
        Money(self.0.saturating_mul(count as i128))
    }

    /// This share of the amount, rounded up: of `parts` equal parts so many as `count`.
    pub(super) fn share(self, count: u64, parts: u64) -> Money {
        let parts = i128::from(parts.max(1));
        let whole = self.0.saturating_mul(i128::from(count));
        Money(whole.div_euclid(parts) + i128::from(whole.rem_euclid(parts) > 0))
    }

    /// What is left of it when `other` is taken away, and nothing if that is more.
    pub fn less(self, other: Money) -> Money {
        Money(self.0.saturating_sub(other.0).max(0))
    }

    /// Every digit, in dollars: `0.0123`.
    pub fn to_decimal(self) -> String {
        let (whole, rest) = (self.0.unsigned_abs() / DOLLAR as u128, self.0 % DOLLAR);
        let sign = if self.0 < 0 { "-" } else { "" };
        let fraction = format!("{:012}", rest.unsigned_abs());
        match fraction.trim_end_matches('0') {
            "" => format!("{sign}{whole}"),
            fraction => format!("{sign}{whole}.{fraction}"),
        }
    }
}

/// `mantissa` times ten to the power of `power`, and whether that is a whole number.
fn scale(mantissa: i128, power: i64) -> Option<(i128, bool)> {
    if mantissa == 0 {
        return Some((0, true));
    }
    if power >= 0 {
        let factor = 10i128.checked_pow(u32::try_from(power).ok()?)?;
        return Some((mantissa.checked_mul(factor)?, true));
    }
    let divisor = u32::try_from(-power).ok().and_then(|power| 10i128.checked_pow(power));
    let Some(divisor) = divisor else { return Some((0, false)) };
    let (whole, rest) = (mantissa / divisor, mantissa % divisor);
    Some((whole + i128::from(rest >= divisor - rest), rest == 0))
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let amount = self.0.unsigned_abs();
        // Two digits for what people pay, four for what a few requests cost, and for less than
        // that as many as show three that are not zero.
        let digits = match amount {
            0 => 2,
            _ if amount >= DOLLAR as u128 => 2,
            _ if amount >= DOLLAR as u128 / 100 => 4,
            _ => (DIGITS - amount.ilog10() + 2).min(DIGITS),
        };
        let unit = 10u128.pow(DIGITS - digits);
        let rounded = (amount + unit / 2) / unit;
        let (whole, fraction) = (rounded / 10u128.pow(digits), rounded % 10u128.pow(digits));
        let fraction = format!("{fraction:0width$}", width = digits as usize);
        let kept = fraction.trim_end_matches('0').len().max(2);
        f.pad(&format!("{sign}${whole}.{}", &fraction[..kept]))
    }
}

impl FromStr for Money {
    type Err = String;

    fn from_str(text: &str) -> Result<Money, String> {
        Money::parse(text)
    }
}

impl Add for Money {
    type Output = Money;

    fn add(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Money) {
        *self = *self + other;
    }
}

impl Sub for Money {
    type Output = Money;

    fn sub(self, other: Money) -> Money {
        Money(self.0.saturating_sub(other.0))
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Money) {
        *self = *self - other;
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Money>>(all: I) -> Money {
        all.fold(Money::ZERO, Add::add)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.to_decimal())
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Money, D::Error> {
        struct Amount;
        impl Visitor<'_> for Amount {
            type Value = Money;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount of dollars, as a text or a number")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Money, E> {
                Money::parse(text).map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Money, E> {
                self.visit_str(&number.to_string())
            }

            // The shortest decimal that is this float is what was written.
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Money, E> {
                self.visit_str(&number.to_string())
            }
        }
        from.deserialize_any(Amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pico(amount: i128) -> Money {
        Money::from_picodollars(amount)
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, amount) in [
            ("5", 5 * DOLLAR),
            ("5.00", 5 * DOLLAR),
            ("$5", 5 * DOLLAR),
            (" $0.50\n", DOLLAR / 2),
            ("1_000", 1_000 * DOLLAR),
            ("0", 0),
            ("0.000000000001", 1),
            ("$12.345678901234", 12_345_678_901_234),
        ] {
            assert_eq!(Money::parse(text), Ok(pico(amount)), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in [
            "",
            " ",
            "$",
            "-5",
            "+5",
            "5.",
            ".5",
            "5,00",
            "1e3",
            "5 $",
            "5$",
            "$$5",
            "five",
            "NaN",
            "inf",
            "_5",
            "0.0000000000001",
            "١",
            "1.2.3",
        ] {
            assert!(Money::parse(text).is_err(), "{text}");
        }
        assert!(Money::parse(&"9".repeat(60)).is_err());
    }

    #[test]
    fn amounts_are_shown_with_the_digits_that_matter() {
        for (amount, text) in [
            (0, "$0.00"),
            (1_234_567 * DOLLAR, "$1234567.00"),
            (12_345_000_000_000, "$12.35"),
            (DOLLAR, "$1.00"),
            (DOLLAR / 10, "$0.10"),
            (12_345_678_901, "$0.0123"),
            (1_500_000_000, "$0.0015"),
            (2_345_678, "$0.00000235"),
            (7, "$0.000000000007"),
            (999_999_999_999, "$1.00"),
            (-DOLLAR / 2, "-$0.50"),
        ] {
            assert_eq!(pico(amount).to_string(), text);
        }
        assert_eq!(format!("{:>8}", Money::from_dollars(2)), "   $2.00");
    }

    #[test]
    fn a_price_with_an_exponent_is_exact_and_a_float_that_slipped_is_rounded() {
        let read = |text: &str| Money::from_decimal(text, 0).map(|(money, exact)| (money.0, exact));
        assert_eq!(read("1.5e-07"), Some((150_000, true)));
        assert_eq!(read("6.25E-8"), Some((62_500, true)));
        assert_eq!(read("-2.5e-06"), Some((-2_500_000, true)));
        assert_eq!(read("2.9999999999999997e-07"), Some((300_000, false)));
        assert_eq!(read("1e-40"), Some((0, false)));
        assert_eq!(read("0e999"), Some((0, true)));
        assert_eq!(Money::from_decimal("0.138", -6), Some((pico(138_000), true)));
        for text in ["", "e5", "1e", "1e99", "0x5", "1e2e3", ".5", "5."] {
            assert_eq!(Money::from_decimal(text, 0), None, "{text}");
        }
    }

    #[test]
    fn json_holds_every_digit_and_takes_numbers_too() {
        let amount = pico(12_345_678_901_230);
        let json = serde_json::to_string(&amount).unwrap();
        assert_eq!(json, r#""12.34567890123""#);
        assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), amount);
        assert_eq!(serde_json::from_str::<Money>("12.34567890123").unwrap(), amount);
        assert_eq!(serde_json::from_str::<Money>("5").unwrap(), Money::from_dollars(5));
        assert!(serde_json::from_str::<Money>("-5").is_err());
        assert!(serde_json::from_str::<Money>("null").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(amount in 0i128..=10i128.pow(24)) {
            prop_assert_eq!(Money::parse(&pico(amount).to_decimal()), Ok(pico(amount)));
        }

        #[test]
        fn what_is_shown_is_within_a_hundredth_of_it(amount in 1i128..=10i128.pow(18)) {
            let shown = Money::parse(&pico(amount).to_string()).unwrap();
            prop_assert!((shown.0 - amount).abs() * 100 <= amount, "{} is not {amount}", shown.0);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = (Money::parse(&text), Money::from_decimal(&text, -6));
        }
    }
}
