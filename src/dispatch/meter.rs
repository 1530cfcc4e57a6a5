use super::Cause;
use crate::clock::Time;
use parking_lot::Mutex;
use std::time::Duration;

/// What a run waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Held {
    /// The requests budget.
    Requests,
    /// The tokens budget.
    Tokens,
    /// The limit of requests in flight.
    Concurrency,
    /// The cap of money or tokens, of which what is in flight may use up the rest.
    Cap,
    /// A pause after the server refused.
    Refused,
    /// The circuit breaker.
    Circuit,
    /// Calls that failed and wait to be tried again, and nothing else is left to send.
    BackOff,
    /// The server: everything is in flight.
    Server,
    /// The input.
    Input,
    /// Whoever takes the results.
    Output,
}

impl Held {
    /// Every cause, in the order in which they are told.
    pub const ALL: [Held; 10] = [
        Held::Requests,
        Held::Tokens,
        Held::Concurrency,
        Held::Cap,
        Held::Refused,
        Held::Circuit,
        Held::BackOff,
        Held::Server,
        Held::Input,
        Held::Output,
    ];

    /// A stable name, as in summaries.
    pub fn name(self) -> &'static str {
        match self {
            Held::Requests => "requests_budget",
            Held::Tokens => "tokens_budget",
            Held::Concurrency => "concurrency",
            Held::Cap => "cap",
            Held::Refused => "refused",
            Held::Circuit => "circuit",
            Held::BackOff => "back_off",
            Held::Server => "server",
            Held::Input => "input",
            Held::Output => "output",
        }
    }
}

impl From<Cause> for Held {
    fn from(cause: Cause) -> Held {
        match cause {
            Cause::Requests => Held::Requests,
            Cause::Tokens => Held::Tokens,
            Cause::Concurrency | Cause::Turn => Held::Concurrency,
            Cause::Cap => Held::Cap,
            Cause::Pause => Held::Refused,
            Cause::Circuit => Held::Circuit,
        }
    }
}

/// How long a run was held back by each cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldBack([Duration; Held::ALL.len()]);

impl HeldBack {
    /// The time lost to `cause`.
    pub fn time(&self, cause: Held) -> Duration {
        self.0[cause as usize]
    }

    /// The share of all waiting that `cause` had, from 0 to 1.
    pub fn share(&self, cause: Held) -> f64 {
        let all: Duration = self.0.iter().sum();
        if all.is_zero() { 0.0 } else { self.time(cause).as_secs_f64() / all.as_secs_f64() }
    }
}

/// Keeps the account of what a run waits for.
#[derive(Debug, Default)]
pub struct Meter(Mutex<Account>);

#[derive(Debug, Default)]
struct Account {
    now: Option<(Held, Time)>,
    past: HeldBack,
}

impl Meter {
    /// From `now` on the run waits for `cause`.
    pub(crate) fn hold(&self, cause: Held, now: Time) {
        let mut account = self.0.lock();
        if account.now.is_some_and(|(held, _)| held == cause) {
            return;
        }
        account.close(now);
        account.now = Some((cause, now));
    }

    /// The run is over.
    pub(crate) fn end(&self, now: Time) {
        let mut account = self.0.lock();
        account.close(now);
        account.now = None;
    }

    /// What the run waits for at this moment.
    pub fn current(&self) -> Option<Held> {
        self.0.lock().now.map(|(held, _)| held)
    }

    /// The account until `now`.
    pub fn held_back(&self, now: Time) -> HeldBack {
        let mut account = self.0.lock();
        account.close(now);
        account.past
    }
}

impl Account {
    fn close(&mut self, now: Time) {
        if let Some((held, since)) = &mut self.now {
            self.past.0[*held as usize] += now.since(*since);
            *since = now;
        }
    }
}

/// Where a pool stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Requests in flight.
    pub in_flight: usize,
    /// Calls that were taken in and wait to be admitted.
    pub ready: usize,
    /// Calls that failed and wait to be tried again.
    pub waiting: usize,
    /// What holds the pool back.
    pub held: Option<Held>,
}

impl Progress {
    pub(crate) fn new(
        in_flight: usize,
        ready: usize,
        waiting: usize,
        held: Option<Held>,
    ) -> Progress {
        Progress { in_flight, ready, waiting, held }
    }
}
