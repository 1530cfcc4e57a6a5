//! What is to be done next with a part. Nothing here acts.

use super::part::{Date, Part, Remote, State};
use crate::wire::batch::BatchFault;

/// What a part has to know of the world to go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// Now.
    pub now: Date,
    /// Input tokens of other parts of its model that are in the server's queue.
    pub enqueued: u64,
    /// How many parts of its model those are.
    pub others: u64,
    /// How many input tokens of its model the queue takes, if it is known.
    pub limit: Option<u64>,
    /// Whether it may be paid for.
    pub pay: Pay,
    /// Whether the job is to come to its end: nothing more is sent, what runs is cancelled.
    pub is_ending: bool,
    /// Whether somebody wants to know now how its batch gets on.
    pub is_hurried: bool,
}

/// Whether a part may be paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pay {
    /// It may.
    #[default]
    Yes,
    /// Not before something that is in flight gives money back.
    Later,
    /// Never as it is: a smaller part may.
    Never,
}

/// What is to be done with a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Next {
    /// Nothing before this date.
    Sleep(Date),
    /// Nothing before another part has come to its end.
    Room,
    /// Nothing: what is left of the cap does not suffice for one row.
    Capped,
    /// Make two of it.
    Split,
    /// Send its file.
    Upload,
    /// Make its batch.
    Create,
    /// Look whether its batch exists already.
    Find,
    /// Ask how its batch gets on.
    Poll,
    /// Cancel its batch.
    Cancel,
    /// Get what its batch brought.
    Fetch,
    /// Give each row its outcome.
    Settle,
    /// Take its files from the server.
    Clean,
    /// Take it back: it was not sent.
    Withdraw,
    /// Nothing, ever.
    Nothing,
}

/// What is to be done next with a part.
pub fn next(part: &Part, around: &Around) -> Next {
    let ready = |next: Next| if around.now < part.due { Next::Sleep(part.due) } else { next };
    let send = |next: Next| {
        if part.rows > 1 && around.limit.is_some_and(|limit| part.tokens > limit) {
            return Next::Split;
        }
        let full = around.limit.is_some_and(|limit| around.enqueued + part.tokens > limit);
        if around.others > 0 && full {
            return Next::Room;
        }
        match around.pay {
            Pay::Yes => ready(next),
            Pay::Later => Next::Room,
            Pay::Never if part.rows > 1 => Next::Split,
            Pay::Never => Next::Capped,
        }
    };
    match part.state {
        State::Planned | State::Uploading | State::Uploaded if around.is_ending => Next::Withdraw,
        State::Planned | State::Uploading => send(Next::Upload),
        State::Uploaded => send(Next::Create),
        State::Creating => ready(Next::Find),
        State::Running => {
            let status = part.status.as_deref().unwrap_or_default();
            match Remote::of(status) {
                // The next look may be minutes away; only a failed try waits for the next one.
                Remote::Active if around.is_ending && part.failures == 0 => Next::Cancel,
                Remote::Active if around.is_ending => ready(Next::Cancel),
                _ if around.is_hurried => Next::Poll,
                _ => ready(Next::Poll),
            }
        }
        State::Ended => ready(Next::Fetch),
        State::Fetched => Next::Settle,
        State::Done => ready(Next::Clean),
        State::Cleaned | State::Split | State::Withdrawn => Next::Nothing,
    }
}

/// What follows when the server has refused the input of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Its queue was full: the same again later. The limit, if the text names it.
    Queue(Option<u64>),
    /// It cannot find the file: it is to be sent again.
    File,
    /// The rows themselves: those of the lines that are named, or all of them.
    Rows,
}

/// What a refusal is about.
pub fn refusal(faults: &[BatchFault]) -> Refusal {
    let queue = |fault: &&BatchFault| fault.code == "token_limit_exceeded";
    if let Some(fault) = faults.iter().find(queue) {
        return Refusal::Queue(crate::wire::batch::enqueued_limit(&fault.message));
    }
    let is_file = |fault: &BatchFault| {
        fault.line.is_none() && fault.message.to_ascii_lowercase().contains("cannot find file")
    };
    if faults.iter().any(is_file) { Refusal::File } else { Refusal::Rows }
}

/// The first wait after the queue had no room, in milliseconds. Source: own choice; the queue
/// empties when a batch ends, which takes minutes to hours.
const QUEUE_WAIT: Date = 30_000;
/// The longest wait of that kind: ten minutes. Source: own choice.
const QUEUE_WAIT_MOST: Date = 600_000;
/// So often a part may be refused while nothing of ours is in the queue, before it is taken to be
/// larger than the queue. Source: own choice; others may fill the queue too.
const LONE_REFUSALS: u32 = 6;

/// How long to wait after the `refusals`-th time that the queue had no room.
pub fn queue_wait(refusals: u32) -> Date {
    (QUEUE_WAIT << refusals.saturating_sub(1).min(8)).min(QUEUE_WAIT_MOST)
}

/// Whether a part that the queue refused again is to be taken for larger than the queue, though its
/// estimate is not.
pub fn is_too_large(part: &Part, others: u64) -> bool {
    others == 0 && part.refusals >= LONE_REFUSALS
}

/// When to ask again for a batch of that age: a tenth of its age later, and within these bounds.
///
/// All in milliseconds. The upper bound is two minutes, or `first` if that is more. Source: own
/// choice; a batch of a day is asked for some 800 times.
pub fn poll_wait(first: Date, age: Date) -> Date {
    const MOST: Date = 120_000;
    (age / 10).clamp(first, MOST.max(first))
}

/// How long to wait after the `failures`-th failed step in a row: doubling from `first` to ten
/// minutes. In milliseconds.
pub fn failure_wait(first: Date, failures: u32) -> Date {
    const MOST: Date = 600_000;
    (first << failures.saturating_sub(1).min(10)).min(MOST.max(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(state: State) -> Part {
        Part { state, rows: 10, tokens: 100, ..Part::default() }
    }

    fn running(status: &str) -> Part {
        Part { status: Some(status.into()), ..part(State::Running) }
    }

    #[test]
    fn each_state_leads_to_its_step() {
        for (state, expected) in [
            (State::Planned, Next::Upload),
            (State::Uploading, Next::Upload),
            (State::Uploaded, Next::Create),
            (State::Creating, Next::Find),
            (State::Running, Next::Poll),
            (State::Ended, Next::Fetch),
            (State::Fetched, Next::Settle),
            (State::Done, Next::Clean),
            (State::Cleaned, Next::Nothing),
            (State::Split, Next::Nothing),
            (State::Withdrawn, Next::Nothing),
        ] {
            assert_eq!(next(&part(state), &Around::default()), expected, "{state}");
        }
    }

    #[test]
    fn a_job_that_is_to_end_sends_nothing_cancels_what_runs_and_fetches_what_is_there() {
        let around = Around { is_ending: true, ..Around::default() };
        for (part, expected) in [
            (part(State::Planned), Next::Withdraw),
            (part(State::Uploading), Next::Withdraw),
            (part(State::Uploaded), Next::Withdraw),
            // It may exist: only a look tells.
            (part(State::Creating), Next::Find),
            (running("validating"), Next::Cancel),
            (running("in_progress"), Next::Cancel),
            (running("cancelling"), Next::Poll),
            (running("completed"), Next::Poll),
            (part(State::Ended), Next::Fetch),
            (part(State::Fetched), Next::Settle),
        ] {
            assert_eq!(next(&part, &around), expected, "{} {:?}", part.state, part.status);
        }
        // A batch is cancelled before its next look is due, and a try that failed is not repeated
        // at once.
        let waiting = Part { due: 9, ..running("in_progress") };
        assert_eq!(next(&waiting, &around), Next::Cancel);
        assert_eq!(next(&Part { failures: 1, ..waiting }, &around), Next::Sleep(9));
    }

    #[test]
    fn nothing_is_done_before_it_is_due_but_what_lies_here() {
        for (state, waits) in [
            (State::Planned, true),
            (State::Uploaded, true),
            (State::Creating, true),
            (State::Running, true),
            (State::Ended, true),
            (State::Fetched, false),
            (State::Done, true),
        ] {
            let part = Part { due: 5, ..part(state) };
            let is_asleep = next(&part, &Around { now: 4, ..Around::default() }) == Next::Sleep(5);
            assert_eq!(is_asleep, waits, "{state}");
            assert_ne!(next(&part, &Around { now: 5, ..Around::default() }), Next::Sleep(5));
        }
    }

    #[test]
    fn who_is_in_a_hurry_looks_before_a_look_is_due() {
        let around = Around { is_hurried: true, ..Around::default() };
        let wait = |part: Part| next(&Part { due: 9, ..part }, &around);
        assert_eq!(wait(running("in_progress")), Next::Poll);
        assert_eq!(wait(running("cancelling")), Next::Poll);
        assert_eq!(wait(part(State::Ended)), Next::Sleep(9), "what failed is not hurried");
    }

    #[test]
    fn a_part_waits_for_room_in_the_queue_and_one_that_never_fits_is_split() {
        let around = |enqueued, limit| Around {
            enqueued,
            others: u64::from(enqueued > 0),
            limit: Some(limit),
            ..Around::default()
        };
        for state in [State::Planned, State::Uploaded] {
            let at = part(state);
            assert_eq!(next(&at, &around(101, 200)), Next::Room, "{state}");
            assert_ne!(next(&at, &around(100, 200)), Next::Room, "{state}");
            assert_eq!(next(&at, &around(0, 99)), Next::Split, "{state}");
            assert_eq!(next(&at, &around(50, 99)), Next::Split, "{state}");
            // What cannot be split is tried alone: its tokens are only estimated.
            let row = Part { rows: 1, ..at };
            assert_eq!(next(&row, &around(50, 99)), Next::Room);
            assert!(matches!(next(&row, &around(0, 99)), Next::Upload | Next::Create));
        }
    }

    #[test]
    fn a_part_that_cannot_be_paid_for_is_made_smaller_until_it_is_one_row() {
        let around = |pay| Around { pay, ..Around::default() };
        let many = part(State::Planned);
        let one = Part { rows: 1, ..many.clone() };
        assert_eq!(next(&many, &around(Pay::Later)), Next::Room);
        assert_eq!(next(&many, &around(Pay::Never)), Next::Split);
        assert_eq!(next(&one, &around(Pay::Never)), Next::Capped);
    }

    #[test]
    fn every_known_error_of_an_input_is_about_the_queue_the_file_or_the_rows() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/openai/batch_errors.json");
        let Ok(text) = std::fs::read_to_string(path) else {
            eprintln!("skipped: the shared data is not here");
            return;
        };
        let known: serde_json::Value = serde_json::from_str(&text).unwrap();
        let errors = known["validation_errors"].as_array().unwrap();
        assert!(errors.len() >= 15);
        for error in errors {
            let fault = BatchFault {
                code: error["code"].as_str().unwrap().into(),
                message: error["message"].as_str().unwrap().into(),
                line: error["line"].as_u64(),
            };
            let expected = match (fault.code.as_str(), error["param"].as_str()) {
                ("token_limit_exceeded", _) => Refusal::Queue(Some(900_000)),
                (_, Some("file_id")) => Refusal::File,
                _ => Refusal::Rows,
            };
            assert_eq!(refusal(std::slice::from_ref(&fault)), expected, "{}", fault.code);
        }
    }

    #[test]
    fn waits_grow_and_have_an_end() {
        assert_eq!(poll_wait(5_000, 0), 5_000);
        assert_eq!(poll_wait(5_000, 600_000), 60_000);
        assert_eq!(poll_wait(5_000, 86_400_000), 120_000);
        assert_eq!(poll_wait(300_000, 86_400_000), 300_000);
        let waits: Vec<_> = [1, 2, 3, 9, 40].into_iter().map(queue_wait).collect();
        assert_eq!(waits, [30_000, 60_000, 120_000, 600_000, 600_000]);
        assert_eq!([1, 2, 60].map(|n| failure_wait(1_000, n)), [1_000, 2_000, 600_000]);
    }

    #[test]
    fn a_part_is_too_large_only_when_it_is_refused_again_and_again_while_alone() {
        let refused = |refusals| Part { refusals, ..part(State::Planned) };
        assert!(!is_too_large(&refused(LONE_REFUSALS - 1), 0));
        assert!(!is_too_large(&refused(50), 1));
        assert!(is_too_large(&refused(LONE_REFUSALS), 0));
    }
}
