//! The states of a part, and what is known of it. Nothing here acts.

use crate::usage::{Amount, Money, Most};
use crate::wire::batch::{BatchFault, Counts};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Milliseconds since 1970: what is written down has to mean the same after a restart.
pub type Date = u64;

/// How far a part has come.
///
/// The state is written before what it names is done: after a death it says what may have happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// Its file lies on this machine.
    #[default]
    Planned,
    /// Its file is being sent, or was when the process died.
    Uploading,
    /// The server has its file.
    Uploaded,
    /// Its batch is being made, or was when the process died: it may exist.
    Creating,
    /// The server has its batch.
    Running,
    /// The batch has come to its end.
    Ended,
    /// What the server says of it lies on this machine.
    Fetched,
    /// Every row has its outcome, or has gone into another part.
    Done,
    /// Its files are gone from the server.
    Cleaned,
    /// Others took its place before it was sent.
    Split,
    /// It was taken back before it was sent.
    Withdrawn,
}

const STATES: [(State, &str); 11] = [
    (State::Planned, "planned"),
    (State::Uploading, "uploading"),
    (State::Uploaded, "uploaded"),
    (State::Creating, "creating"),
    (State::Running, "running"),
    (State::Ended, "ended"),
    (State::Fetched, "fetched"),
    (State::Done, "done"),
    (State::Cleaned, "cleaned"),
    (State::Split, "split"),
    (State::Withdrawn, "withdrawn"),
];

impl State {
    /// Its name, as it is stored and shown.
    pub fn name(self) -> &'static str {
        STATES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    /// The state of that name.
    pub fn named(name: &str) -> Option<State> {
        STATES.iter().find(|(_, each)| *each == name).map(|(state, _)| *state)
    }

    /// Whether nothing more comes of its rows.
    pub fn is_over(self) -> bool {
        matches!(self, State::Done | State::Cleaned | State::Split | State::Withdrawn)
    }

    /// Whether the server may be at work on it, or have been paid for it.
    pub fn is_sent(self) -> bool {
        matches!(self, State::Creating | State::Running | State::Ended | State::Fetched)
    }

    /// Whether it may count against the server's limit of enqueued tokens.
    pub fn is_enqueued(self) -> bool {
        matches!(self, State::Creating | State::Running)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the server's word for a batch means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remote {
    /// It goes on; a word that is new means this too.
    Active,
    /// It is being cancelled.
    Cancelling,
    /// It has ended, and what it did is in its files.
    Over,
    /// Its input was refused: nothing was done.
    Refused,
}

impl Remote {
    /// What a status means.
    pub fn of(status: &str) -> Remote {
        match status {
            "completed" | "expired" | "cancelled" => Remote::Over,
            "failed" => Remote::Refused,
            "cancelling" => Remote::Cancelling,
            _ => Remote::Active,
        }
    }
}

/// One batch, from its rows to their outcomes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Part {
    /// Its number in the store; 0 before it is there.
    pub id: i64,
    /// The job that it belongs to.
    pub job: i64,
    /// Its number in the job, from 1.
    pub number: u32,
    /// How many parts its rows have been in before.
    pub generation: u32,
    /// How far it has come.
    pub state: State,
    /// The server's word for it, as it was told last.
    pub status: Option<String>,
    /// The model of all its rows.
    pub model: String,
    /// The endpoint of all its rows.
    pub endpoint: String,
    /// How many rows it has.
    pub rows: u64,
    /// The length of its file.
    pub bytes: u64,
    /// Input tokens, estimated from its bytes.
    pub tokens: u64,
    /// The most that its rows may cost; `None` where that is not known.
    pub most_money: Option<Money>,
    /// The most tokens that its rows may use; `None` where that is not known.
    pub most_tokens: Option<u64>,
    /// What it bears as metadata, so that it is found again: unlike any other part's.
    pub mark: String,
    /// The file that was sent.
    pub file_id: Option<String>,
    /// The batch.
    pub batch_id: Option<String>,
    /// The file of its answers.
    pub output_file_id: Option<String>,
    /// The file of its errors.
    pub error_file_id: Option<String>,
    /// Its rows by what became of them, as the server counts them.
    pub counts: Counts,
    /// When its batch was made.
    pub created: Option<Date>,
    /// When the server's counts of its rows were seen to change last.
    pub moved: Option<Date>,
    /// When its batch expires.
    pub expires: Option<Date>,
    /// When the server was asked to cancel its batch.
    pub cancelled: Option<Date>,
    /// When its batch was seen to have ended.
    pub ended: Option<Date>,
    /// Whether the server no longer knows its batch, or a file of its results: what it cost nobody
    /// will tell.
    pub is_gone: bool,
    /// When its state changed last.
    pub changed: Date,
    /// Nothing is done before this.
    pub due: Date,
    /// How often a step of it has failed in a row.
    pub failures: u32,
    /// How often in a row the server said that it does not know its batch, or a file of it.
    pub missing: u32,
    /// How often its batch, which was maybe made, was looked for in vain.
    pub looks: u32,
    /// How often the server's queue had no room for it.
    pub refusals: u32,
    /// How many batches were made of it that did nothing.
    pub tries: u32,
    /// What went wrong last.
    pub trouble: Option<String>,
    /// Why the server refused its input, one reason for a line or for all.
    pub faults: Vec<BatchFault>,
    /// Rows that were answered.
    pub succeeded: u64,
    /// Rows that failed for good.
    pub failed: u64,
    /// Rows that went into another part, or stay to be done.
    pub left: u64,
}

impl Part {
    /// The most that it may cost.
    pub fn most(&self) -> Most {
        Most { money: self.most_money, tokens: self.most_tokens }
    }

    /// The same as an amount, with nothing for what is not known.
    pub fn most_amount(&self) -> Amount {
        Amount {
            money: self.most_money.unwrap_or(Money::ZERO),
            tokens: self.most_tokens.unwrap_or(0),
        }
    }

    /// What its next batch bears as metadata: unlike any other batch's.
    pub fn bears(&self) -> String {
        format!("{}.{}", self.mark, self.tries)
    }

    /// When its batch is expected to end: as fast as it went so far, or when it expires.
    pub fn expected(&self, now: Date) -> Option<Date> {
        let (created, counts) = (self.created?, self.counts);
        let done = counts.completed + counts.failed;
        if done == 0 || counts.total == 0 {
            return self.expires;
        }
        let age = u128::from(now.saturating_sub(created));
        let whole = age * u128::from(counts.total) / u128::from(done);
        let end = created.saturating_add(u64::try_from(whole).unwrap_or(u64::MAX));
        Some(self.expires.map_or(end, |expires| end.min(expires)))
    }

    /// Goes over into a state. What has failed in another one is forgotten.
    pub fn enter(&mut self, state: State, now: Date) {
        if self.state != state {
            (self.failures, self.missing, self.looks) = (0, 0, 0);
        }
        self.state = state;
        self.changed = now;
        self.due = now;
    }
}

/// Rows that are answered together: those of one input for one output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Job {
    /// Its number in the store; 0 before it is there.
    pub id: i64,
    /// A name that no other job has, in any store.
    pub name: String,
    /// The account that it belongs to: a hash that tells nothing of the key.
    pub account: String,
    /// Where it was sent, for messages.
    pub place: String,
    /// The input, for messages.
    pub input: String,
    /// The output, in full.
    pub output: String,
    /// When it was made.
    pub created: Date,
    /// Rows of its first parts.
    pub rows: u64,
    /// Whether all its parts are written down. Before, nothing is sent.
    pub is_planned: bool,
    /// Whether it is to come to its end: nothing more is sent, what runs is cancelled.
    pub is_ending: bool,
    /// Whether nothing more is to be done.
    pub is_over: bool,
    /// Whether rows that a batch left undone are sent in another one.
    pub resubmits: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_understood_and_a_new_one_goes_on() {
        for (status, remote) in [
            ("validating", Remote::Active),
            ("in_progress", Remote::Active),
            ("finalizing", Remote::Active),
            ("paused_by_a_server_of_tomorrow", Remote::Active),
            ("cancelling", Remote::Cancelling),
            ("completed", Remote::Over),
            ("expired", Remote::Over),
            ("cancelled", Remote::Over),
            ("failed", Remote::Refused),
        ] {
            assert_eq!(Remote::of(status), remote, "{status}");
        }
    }

    #[test]
    fn states_keep_their_names() {
        for (state, name) in STATES {
            assert_eq!(State::named(name), Some(state));
            assert_eq!(state.name(), name);
        }
        assert_eq!(State::named("lost"), None);
    }
}
