//! Plans for situations at and beside each boundary.

use super::plan::{Plan, Verdict, plan};
use super::situation::{BatchTime, Group, LiveSpeed, Queue, Situation, Thresholds};
use super::why::{Reason, WhyNot};
use crate::usage::Money;
use std::time::Duration;

const HOUR: u64 = 3_600;

fn dollars(text: &str) -> Money {
    Money::parse(text).unwrap()
}

/// A hundred rows a minute live, for a tenth of a cent each; half of that by batch, in four hours.
/// Ten thousand take 6,000 s live, and 9,600 s to fall back to.
fn group(rows: u64) -> Group {
    let live = dollars("0.001").times(rows);
    Group {
        model: "m".into(),
        endpoint: "/v1/chat/completions".into(),
        rows,
        tokens: rows * 1_000,
        live_cost: Some(live),
        batch_cost: Some(dollars("0.0005").times(rows)),
        takes_batches: true,
        speed: LiveSpeed { requests_per_minute: Some(100), ..LiveSpeed::default() },
        queue: Queue { limit: None, taken: 0, needed: rows * 300 },
        history: Vec::new(),
    }
}

fn within(seconds: u64, groups: Vec<Group>) -> Situation {
    let deadline = Some(Duration::from_secs(seconds));
    Situation { groups, deadline, ..Situation::default() }
}

fn planned(situation: &Situation) -> Plan {
    plan(situation, &Thresholds::default())
}

fn many(change: impl FnOnce(&mut Group)) -> Vec<Group> {
    let mut all = group(10_000);
    change(&mut all);
    vec![all]
}

#[test]
fn rows_go_the_cheapest_way_that_is_in_time() {
    use Verdict::{Guarded, InTime, Late};
    let slow = |g: &mut Group| g.speed.requests_per_minute = Some(10);
    let half = |g: &mut Group| g.queue.limit = Some(1_500_000);
    for (name, seconds, groups, batch, verdict) in [
        ("all fits, to the second", 24_000, many(|_| {}), 10_000, Guarded),
        ("a second less", 23_999, many(|_| {}), 9_998, Guarded),
        ("just enough for the least batch", 15_090, many(|_| {}), 100, Guarded),
        ("not enough for it", 15_089, many(|_| {}), 0, Guarded),
        ("live to the second", 6_000, many(|_| {}), 0, Guarded),
        ("nothing is in time", 5_999, many(|_| {}), 0, Late),
        ("too few rows", 9 * HOUR, vec![group(99)], 0, Guarded),
        ("just enough rows", 9 * HOUR, vec![group(100)], 100, Guarded),
        ("no batches there", 9 * HOUR, many(|g| g.takes_batches = false), 0, Guarded),
        ("live price unknown", 9 * HOUR, many(|g| g.live_cost = None), 0, Guarded),
        ("batch price unknown", 9 * HOUR, many(|g| g.batch_cost = None), 0, Guarded),
        ("batches cost as much", 9 * HOUR, many(|g| g.batch_cost = g.live_cost), 0, Guarded),
        ("live is too slow", 20_000, many(slow), 10_000, InTime),
        ("live is too slow, batches too", 14_399, many(slow), 10_000, Late),
        ("the queue takes half at once", 30_000, many(half), 5_000, Guarded),
        ("the queue is filled twice", 38_400, many(half), 10_000, Guarded),
        (
            "the queue is full",
            24_000,
            many(|g| g.queue = Queue { limit: Some(3_000_000), taken: 3_000_000, ..g.queue }),
            0,
            Guarded,
        ),
        (
            "the queue takes half, live is slow",
            20_000,
            many(|g| {
                slow(g);
                half(g);
            }),
            10_000,
            Late,
        ),
        (
            "a day's requests",
            20_000,
            many(|g| g.speed.requests_per_day = Some(5_000)),
            10_000,
            InTime,
        ),
        ("no limit is known", 20_000, many(|g| g.speed = LiveSpeed::default()), 10_000, Guarded),
    ] {
        let plan = planned(&within(seconds, groups));
        assert_eq!((plan.batch_rows(), plan.verdict), (batch, verdict), "{name}: {plan:#?}");
        let rows = plan.live_rows() + plan.batch_rows();
        assert!(rows == 10_000 || rows <= 100, "{name}: every row has one way");
    }
}

#[test]
fn without_a_deadline_the_cheapest_way_is_taken() {
    let plan = planned(&Situation { groups: many(|_| {}), ..Situation::default() });
    assert_eq!((plan.batch_rows(), plan.cost), (10_000, Some(dollars("5"))));
    assert_eq!(plan.shares[0].reasons, [Reason::Cheaper { saved: dollars("5") }]);
    assert_eq!(plan.alternatives[1].why_not, Some(WhyNot::Dearer { by: dollars("5") }));
    assert_eq!(plan.alternatives[2].why_not, None, "it is the same");
    let unknown = Situation { groups: many(|g| g.batch_cost = None), ..Situation::default() };
    let plan = planned(&unknown);
    assert_eq!((plan.batch_rows(), plan.cost), (0, Some(dollars("10"))));
    assert_eq!(plan.alternatives[2].cost, None, "what is unknown is not nothing");
}

#[test]
fn each_reason_tells_its_numbers() {
    let of = |seconds, groups| planned(&within(seconds, groups)).shares[0].reasons.clone();
    let least = Reason::TooFewRows { rows: 99, least: 100 };
    assert_eq!(of(9 * HOUR, vec![group(99)]), [least]);
    assert_eq!(of(9 * HOUR, many(|g| g.takes_batches = false)), [Reason::NoBatches]);
    assert_eq!(of(9 * HOUR, many(|g| g.live_cost = None)), [Reason::PriceUnknown]);
    assert_eq!(of(9 * HOUR, many(|g| g.batch_cost = g.live_cost)), [Reason::NoSaving]);
    let late = Reason::BatchTooLate { expected: 14_400.0, deadline: 15_089.0, kept: 9_600.0 };
    assert_eq!(of(15_089, many(|_| {})), [late]);
    let saved = Reason::Cheaper { saved: dollars("4.999") };
    assert_eq!(of(23_999, many(|_| {})), [saved, Reason::DeadlineAllows { rows: 9_998 }]);
    let reasons = of(30_000, many(|g| g.queue.limit = Some(1_500_000)));
    assert_eq!(reasons[1], Reason::QueueRoom { room: 1_500_000, needed: 3_000_000 });
    let reasons = of(20_000, many(|g| g.speed.requests_per_minute = Some(10)));
    assert_eq!(reasons[1], Reason::LiveTooLate { expected: 60_000.0, deadline: 20_000.0 });
    assert_eq!(of(5_999, many(|_| {}))[0], Reason::NothingInTime { deadline: 5_999.0 });
}

#[test]
fn earlier_batches_tell_how_long_one_takes() {
    let hours = |each: &[u64]| each.iter().map(|h| Duration::from_secs(h * HOUR)).collect();
    let mut nineteen = vec![1; 19];
    nineteen.push(20);
    let groups = || many(|g| g.history = hours(&nineteen));
    let plan_of = |in_time| {
        plan(&within(6 * HOUR, groups()), &Thresholds { in_time, ..Thresholds::default() })
    };
    let fast = plan_of(0.95);
    assert_eq!((fast.batch_rows(), fast.seconds), (10_000, 3_600.0), "95 of 100 take an hour");
    assert_eq!(fast.shares[0].batch_time_from, BatchTime::History(20));
    assert_eq!(plan_of(1.0).batch_rows(), 0, "one took twenty");
    // Without a history, it is the threshold.
    let threshold = Thresholds { batch_time: Duration::from_secs(HOUR), ..Thresholds::default() };
    let assumed = plan(&within(6 * HOUR, many(|_| {})), &threshold);
    assert_eq!(assumed.batch_rows(), 10_000);
    assert_eq!(assumed.shares[0].batch_time_from, BatchTime::Assumed);
}

#[test]
fn a_cap_goes_before_the_deadline() {
    let capped = |cap| Situation { cap: Some(dollars(cap)), ..within(6_000, many(|_| {})) };
    let enough = planned(&capped("10"));
    assert_eq!((enough.live_rows(), enough.verdict), (10_000, Verdict::Guarded));
    let tight = planned(&capped("7"));
    assert_eq!((tight.batch_rows(), tight.verdict), (10_000, Verdict::Late));
    let only = Reason::CapAllowsOnly { cap: dollars("7"), otherwise: dollars("10") };
    assert_eq!(tight.shares[0].reasons[0], only);
    let is_late = |reason: &Reason| matches!(reason, Reason::NothingInTime { .. });
    assert!(!tight.shares[0].reasons.iter().any(is_late), "live would be in time");
    assert_eq!(tight.alternatives[1].why_not, Some(WhyNot::OverCap));
    assert_eq!(planned(&capped("4.99")).verdict, Verdict::OverCap);
}

#[test]
fn of_several_models_only_as_many_change_as_the_cap_needs() {
    let other = Group { model: "n".into(), ..group(10_000) };
    let groups = vec![group(10_000), other];
    let situation = Situation { cap: Some(dollars("16")), ..within(6_000, groups) };
    let plan = planned(&situation);
    assert_eq!(plan.shares.iter().map(|s| s.batch_rows).collect::<Vec<_>>(), [10_000, 0]);
    assert_eq!(plan.cost, Some(dollars("15")));
    // It is all rows together that would cost more than the cap.
    let only = Reason::CapAllowsOnly { cap: dollars("16"), otherwise: dollars("20") };
    assert_eq!(plan.shares[0].reasons[0], only);
}

#[test]
fn each_model_goes_its_own_way() {
    let few = Group { model: "n".into(), ..group(50) };
    let plan = planned(&within(9 * HOUR, vec![group(10_000), few]));
    assert_eq!((plan.live_rows(), plan.batch_rows()), (50, 10_000));
    assert_eq!(plan.alternatives[2].why_not, Some(WhyNot::NotWorthwhile));
    assert_eq!(plan.seconds, 14_400.0);
}

#[test]
fn alternatives_tell_why_they_are_worse() {
    let of = |seconds| planned(&within(seconds, many(|_| {}))).alternatives;
    assert_eq!(of(15_089)[2].why_not, Some(WhyNot::NoTimeForTheRest));
    assert_eq!(of(14_000)[2].why_not, Some(WhyNot::Late { seconds: 400.0 }));
    assert_eq!(of(24_000)[1].why_not, Some(WhyNot::Dearer { by: dollars("5") }));
    let same = planned(&within(9 * HOUR, many(|g| g.batch_cost = g.live_cost)));
    assert_eq!(same.alternatives[2].why_not, Some(WhyNot::Slower { seconds: 8_400.0 }));
}

#[test]
fn where_double_cost_is_allowed_no_time_is_kept_for_cancelling() {
    let allowed = Thresholds { allow_double: true, ..Thresholds::default() };
    assert_eq!(plan(&within(23_400, many(|_| {})), &allowed).batch_rows(), 10_000);
    assert!(planned(&within(23_400, many(|_| {}))).batch_rows() < 10_000);
}

#[test]
fn the_slowest_of_limits_and_latency_tells_the_time() {
    let speed = |change: fn(&mut LiveSpeed)| {
        let mut speed = LiveSpeed::default();
        change(&mut speed);
        speed.seconds(10_000, 10_000_000)
    };
    assert_eq!(speed(|_| {}), 1_200.0, "500 a minute are assumed");
    assert_eq!(speed(|s| s.requests_per_minute = Some(1_000)), 600.0);
    assert_eq!(speed(|s| s.tokens_per_minute = Some(100_000)), 6_000.0);
    let few = |s: &mut LiveSpeed| {
        (s.requests_per_minute, s.concurrency) = (Some(1_000_000), 10);
        s.latency = Duration::from_secs(5);
    };
    assert_eq!(speed(few), 5_000.0);
    assert_eq!(LiveSpeed::default().seconds(0, 0), 0.0);
}

#[test]
fn nothing_to_send_is_a_plan_too() {
    let plan = planned(&Situation { under_way: 7, ..within(60, Vec::new()) });
    assert_eq!((plan.live_rows(), plan.batch_rows(), plan.under_way), (0, 0, 7));
    assert_eq!((plan.seconds, plan.cost), (0.0, Some(Money::ZERO)));
    assert_eq!(plan.verdict, Verdict::Guarded);
}
