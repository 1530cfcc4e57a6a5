//! A hundred thousand rows, and a day of waiting.

use super::{SECOND, bench, chats, reconciles, simulator};
use openai_bulk::batch::PartLimits;
use openai_bulk::simulator::BatchSpeed;

#[test]
fn a_day_of_waiting_takes_hundreds_of_looks_and_no_time() {
    // 23 hours for four rows: slow enough to be nearly late.
    let speed = BatchSpeed::steps_of(SECOND).per_request(5 * 3_600 * SECOND + 45 * 60 * SECOND);
    let bench = bench(simulator().batch_speed(speed));
    bench.write(chats(4));
    let summary = bench.run().unwrap();
    assert_eq!(summary.run.rows.succeeded, 4);
    assert!((23.0..23.1).contains(&bench.hours()), "{} hours", bench.hours());
    let received = bench.server.received();
    let looks = received.iter().filter(|r| r.path.starts_with("/v1/batches/batch_")).count();
    assert!((600..900).contains(&looks), "{looks} looks");
}

#[test]
fn a_hundred_thousand_rows_go_through_two_batches() {
    let mut bench = bench(simulator().batch_speed(BatchSpeed::steps_of(60 * SECOND)));
    bench.options.limits = PartLimits::default();
    bench.write(chats(100_000));
    let summary = bench.run().unwrap();
    reconciles(&summary);
    assert_eq!(summary.run.rows.succeeded, 100_000);
    let rows: Vec<_> = summary.parts.iter().map(|part| part.rows).collect();
    assert_eq!(rows, [50_000, 50_000]);
    assert_eq!(bench.rows().len(), 100_000);
}
