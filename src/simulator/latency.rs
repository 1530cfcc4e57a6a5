//! How long the simulated model thinks.

use super::random::{mix, unit};
use crate::error::{Error, Result};
use std::str::FromStr;
use std::time::Duration;

/// The time before the first byte of an answer of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Latency {
    /// Always the same.
    Fixed(Duration),
    /// Anything between two times, all equally likely.
    Uniform(Duration, Duration),
    /// Most near a median, and a few much longer, as real models show.
    LogNormal {
        /// Half of the answers are faster.
        median: Duration,
        /// The standard deviation of the logarithm; 0.5 makes one of forty take 2.7 medians.
        sigma: f64,
    },
}

impl Default for Latency {
    fn default() -> Latency {
        Latency::Fixed(Duration::ZERO)
    }
}

impl Latency {
    /// The time of the request with this number.
    pub(super) fn draw(&self, seed: u64, number: u64) -> Duration {
        let roll = |salt| unit(mix(mix(seed, salt), number));
        match *self {
            Latency::Fixed(time) => time,
            Latency::Uniform(from, to) => from + to.saturating_sub(from).mul_f64(roll(1)),
            Latency::LogNormal { median, sigma } => {
                // Box and Muller: two even rolls make a normal one.
                let radius = (-2.0 * (1.0 - roll(1)).ln()).sqrt();
                let normal = radius * (std::f64::consts::TAU * roll(2)).cos();
                let seconds = median.as_secs_f64() * (sigma * normal).exp();
                Duration::try_from_secs_f64(seconds).unwrap_or(median)
            }
        }
    }
}

impl FromStr for Latency {
    type Err = Error;

    /// Reads `100ms`, `50ms..200ms`, or `300ms~0.5`, which is a median and a sigma.
    fn from_str(text: &str) -> Result<Latency> {
        let wrong = || {
            let ways = "write `100ms`, `50ms..200ms` or `300ms~0.5`";
            Error::invalid("latency", format!("`{text}` is not a latency; {ways}"))
        };
        let time = |text: &str| duration(text.trim()).ok_or_else(wrong);
        if let Some((from, to)) = text.split_once("..") {
            let (from, to) = (time(from)?, time(to)?);
            return if from <= to { Ok(Latency::Uniform(from, to)) } else { Err(wrong()) };
        }
        if let Some((median, sigma)) = text.split_once('~') {
            let sigma: f64 = sigma.trim().parse().map_err(|_| wrong())?;
            let allowed = (0.0..=5.0).contains(&sigma);
            let median = time(median)?;
            return if allowed { Ok(Latency::LogNormal { median, sigma }) } else { Err(wrong()) };
        }
        time(text).map(Latency::Fixed)
    }
}

fn duration(text: &str) -> Option<Duration> {
    let units = [("ms", 1e-3), ("us", 1e-6), ("s", 1.0)];
    let (number, unit) =
        units.iter().find_map(|(name, unit)| text.strip_suffix(name).map(|n| (n, unit)))?;
    Duration::try_from_secs_f64(number.trim().parse::<f64>().ok()? * unit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn it_is_read_in_each_form() {
        for (text, latency) in [
            ("100ms", Latency::Fixed(ms(100))),
            ("1.5s", Latency::Fixed(ms(1500))),
            ("50ms..200ms", Latency::Uniform(ms(50), ms(200))),
            ("300ms~0.5", Latency::LogNormal { median: ms(300), sigma: 0.5 }),
        ] {
            assert_eq!(text.parse::<Latency>().unwrap(), latency);
        }
        for text in ["", "100", "x ms", "200ms..100ms", "1s~-1", "-1s"] {
            assert!(text.parse::<Latency>().is_err(), "{text}");
        }
    }

    #[test]
    fn half_of_a_log_normal_lies_below_its_median() {
        let latency = Latency::LogNormal { median: ms(100), sigma: 0.5 };
        let mut drawn: Vec<_> = (0..2_000).map(|n| latency.draw(1, n)).collect();
        drawn.sort();
        assert!((ms(93)..ms(107)).contains(&drawn[1_000]), "{:?}", drawn[1_000]);
        // One sigma above the median lies at 100 ms * e^0.5.
        assert!((ms(150)..ms(180)).contains(&drawn[1_683]), "{:?}", drawn[1_683]);
    }

    #[test]
    fn a_uniform_one_stays_within_its_range() {
        let latency = Latency::Uniform(ms(10), ms(20));
        assert!((0..1_000).all(|n| (ms(10)..=ms(20)).contains(&latency.draw(1, n))));
    }
}
