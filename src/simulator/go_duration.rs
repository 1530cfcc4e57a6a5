//! Durations as a Go program prints them, which is how the rate limit headers spell them.

use std::time::Duration;

/// The text of Go's `time.Duration`, such as `6m0s`, `120ms` or `51.189s`.
pub(super) fn go_duration(length: Duration) -> String {
    let nanos = length.as_nanos();
    match nanos {
        0 => "0s".into(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}µs", decimal(nanos, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", decimal(nanos, 1_000_000)),
        _ => {
            let seconds = decimal(nanos % 60_000_000_000, 1_000_000_000);
            match (nanos / 3_600_000_000_000, nanos / 60_000_000_000 % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, m) => format!("{m}m{seconds}s"),
                (h, m) => format!("{h}h{m}m{seconds}s"),
            }
        }
    }
}

/// `value / unit` without needless zeros.
fn decimal(value: u128, unit: u128) -> String {
    let width = unit.ilog10() as usize;
    let fraction = format!("{:0width$}", value % unit);
    match fraction.trim_end_matches('0') {
        "" => (value / unit).to_string(),
        fraction => format!("{}.{fraction}", value / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_prints_what_was_captured_from_the_real_server() {
        for (nanos, text) in [
            (0, "0s"),
            (250, "250ns"),
            (500_000, "500µs"),
            (12_000_000, "12ms"),
            (20_500_000, "20.5ms"),
            (120_000_000, "120ms"),
            (1_000_000_000, "1s"),
            (8_640_000_000, "8.64s"),
            (51_189_000_000, "51.189s"),
            (90_000_000_000, "1m30s"),
            (360_000_000_000, "6m0s"),
            (432_000_000_000, "7m12s"),
            (3_723_500_000_000, "1h2m3.5s"),
            (86_400_000_000_000, "24h0m0s"),
        ] {
            assert_eq!(go_duration(Duration::from_nanos(nanos)), text);
        }
    }
}
