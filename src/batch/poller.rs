//! One thread that takes the steps of all jobs of a client, each when it is due.

use super::job::{Around, Date, Job, Next, Part, Pay, State, next};
use super::step::Steps;
use super::store::Lease;
use crate::clock::{Signal, Stop};
use crate::error::{Error, Result};
use crate::usage::{Amount, Purse, Reservation, Short};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A job that this process works on.
pub(super) struct Tracked {
    pub(super) job: i64,
    /// What its batches are paid from, if that is capped.
    pub(super) purse: Option<Arc<Purse>>,
    /// What is held for its parts, by their numbers in the store.
    held: Mutex<HashMap<i64, Reservation>>,
    state: Mutex<Standing>,
    /// The numbers of parts that are to come to their end though the job goes on.
    recalled: Mutex<HashSet<u32>>,
    _lease: Lease,
}

#[derive(Default)]
struct Standing {
    failure: Option<Error>,
    is_stopped: bool,
    is_capped: bool,
}

impl Tracked {
    pub(super) fn new(job: i64, purse: Option<Arc<Purse>>, lease: Lease) -> Tracked {
        let (held, state, recalled) = Default::default();
        Tracked { job, purse, held, state, recalled, _lease: lease }
    }

    /// Brings a part to its end: it is cancelled, or taken back if it was not sent.
    pub(super) fn recall(&self, part: u32) {
        self.recalled.lock().insert(part);
    }

    pub(super) fn is_recalled(&self, part: u32) -> bool {
        self.recalled.lock().contains(&part)
    }

    /// Holds again what was held for parts that may be at work, or counts it as spent if there is no
    /// room for it: it cannot be taken back.
    pub(super) fn hold_again(&self, parts: &[Part]) {
        let Some(purse) = &self.purse else { return };
        for part in parts.iter().filter(|part| part.state.is_sent()) {
            match purse.reserve(part.most()) {
                Ok(held) => drop(self.held.lock().insert(part.id, held)),
                Err(_) => purse.count_earlier(part.most_amount()),
            }
        }
    }

    /// A part has come to its end: `used` of what was held for it was spent, or nobody knows.
    pub(super) fn settle(&self, part: &Part, used: Option<Amount>) {
        let Some(held) = self.held.lock().remove(&part.id) else { return };
        match used {
            Some(used) => held.settle(used),
            None => held.doubt(),
        };
    }

    /// Why the job cannot go on, told once.
    pub(super) fn failure(&self) -> Option<Error> {
        self.state.lock().failure.take()
    }

    /// Whether what is left of the cap does not suffice for what is left of the job.
    pub(super) fn is_capped(&self) -> bool {
        self.state.lock().is_capped
    }

    fn fail(&self, error: Error) {
        let mut state = self.state.lock();
        state.is_stopped = true;
        if !matches!(error, Error::Cancelled) {
            state.failure.get_or_insert(error);
        }
    }
}

/// What the thread and its clients share.
pub(super) struct Shared {
    pub(super) steps: Steps,
    pub(super) tracked: Mutex<Vec<Arc<Tracked>>>,
    /// Wakes the thread.
    pub(super) wake: Signal,
    /// Raised whenever something has changed.
    pub(super) changed: Signal,
}

/// The thread; dropped, it ends.
pub(super) struct Poller {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Poller {
    pub(super) fn new(shared: Arc<Shared>) -> Poller {
        Poller { shared, thread: Mutex::new(None) }
    }

    /// Starts the thread if it does not run.
    pub(super) fn start(&self) {
        let mut thread = self.thread.lock();
        if thread.is_some() {
            return;
        }
        let shared = self.shared.clone();
        let hold = shared.steps.caller.dispatcher.clock.hold();
        let work = move || {
            *shared.steps.at_work.lock() = Some((thread::current().id(), hold));
            shared.work();
            shared.steps.at_work.lock().take();
        };
        let builder = thread::Builder::new().name("openai-bulk-batches".into());
        *thread = Some(builder.spawn(work).expect("one thread can be started"));
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.shared.steps.stop.abort();
        self.shared.wake.raise();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

/// What waits at the server: model and tokens, by the part's number in the store.
type Queue = HashMap<i64, (String, u64)>;

impl Shared {
    fn stop(&self) -> &Stop {
        &self.steps.stop
    }

    fn work(&self) {
        let clock = self.steps.caller.dispatcher.clock.clone();
        let _subscription = self.stop().notify(&self.wake);
        while !self.stop().is_stopped() {
            let seen = self.wake.seen();
            let due = self.turn();
            if self.stop().is_stopped() {
                return;
            }
            let deadline = due.map(|due| {
                clock.now() + Duration::from_millis(due.saturating_sub(self.steps.now()))
            });
            clock.wait(&self.wake, seen, deadline);
        }
    }

    /// Takes every step that is due; gives when the next one is.
    fn turn(&self) -> Option<Date> {
        let tracked = self.tracked.lock().clone();
        let mut queue = match self.queue() {
            Ok(queue) => queue,
            Err(error) => {
                tracked
                    .iter()
                    .take(1)
                    .for_each(|each| each.fail(Error::invalid("store", error.to_string())));
                self.changed.raise();
                return None;
            }
        };
        let mut due: Option<Date> = None;
        for each in &tracked {
            if self.stop().is_stopped() {
                return None;
            }
            if each.state.lock().is_stopped {
                continue;
            }
            match self.advance(each, &mut queue) {
                Ok(Some(at)) => due = Some(due.map_or(at, |due| due.min(at))),
                Ok(None) => {}
                Err(error) => {
                    each.fail(error);
                    self.changed.raise();
                }
            }
        }
        due
    }

    /// What of this account waits at the server, whoever watches over it.
    pub(super) fn queue(&self) -> Result<Queue> {
        let store = &self.steps.store;
        let mut queue = Queue::new();
        for job in store.jobs()?.iter().filter(|job| !job.is_over) {
            if job.account != self.steps.account {
                continue;
            }
            for part in store.parts(job.id)?.iter().filter(|part| part.state.is_enqueued()) {
                queue.insert(part.id, (part.model.clone(), part.tokens));
            }
        }
        Ok(queue)
    }

    /// Takes all steps of a job that are due; gives when the next one is.
    fn advance(&self, tracked: &Tracked, queue: &mut Queue) -> Result<Option<Date>> {
        let store = &self.steps.store;
        let Some(mut job) = store.job(tracked.job)? else { return Ok(None) };
        if job.is_over || !job.is_planned {
            return Ok(None);
        }
        let mut due: Option<Date> = None;
        let mut parts: std::collections::VecDeque<Part> = store.parts(job.id)?.into();
        let mut is_capped = false;
        while let Some(mut part) = parts.pop_front() {
            loop {
                if self.stop().is_stopped() {
                    return Ok(None);
                }
                let (around, mut step) = self.decide(&job, &part, tracked, queue)?;
                if step == Next::Capped {
                    is_capped = true;
                    step = Next::Room;
                }
                match step {
                    Next::Sleep(at) => {
                        due = Some(due.map_or(at, |due| due.min(at)));
                        break;
                    }
                    Next::Room | Next::Settle | Next::Nothing => break,
                    _ => {}
                }
                let taken = self.take(&job, &mut part, step, &around);
                if let Err(error) = taken {
                    self.steps.failed(&mut part, error)?;
                }
                match part.state.is_enqueued() {
                    true => drop(queue.insert(part.id, (part.model.clone(), part.tokens))),
                    false => drop(queue.remove(&part.id)),
                }
                if part.state == State::Split {
                    tracked.held.lock().remove(&part.id);
                    let new = store.parts(job.id)?;
                    let known: Vec<i64> = parts.iter().map(|part| part.id).collect();
                    let is_new = |each: &Part| each.id > part.id && !known.contains(&each.id);
                    // Those of this split come next, so that rows keep their order.
                    let new: Vec<_> = new
                        .into_iter()
                        .filter(|each| is_new(each) && !each.state.is_over())
                        .collect();
                    new.into_iter().rev().for_each(|each| parts.push_front(each));
                }
                if part.state == State::Withdrawn {
                    tracked.held.lock().remove(&part.id);
                }
                self.changed.raise();
            }
        }
        tracked.state.lock().is_capped = is_capped;
        let parts = store.parts(job.id)?;
        let is_cleaned = |part: &Part| part.state.is_over() && part.state != State::Done;
        if parts.iter().all(is_cleaned) {
            job = store.job(tracked.job)?.unwrap_or(job);
            job.is_over = true;
            store.save_job(&job)?;
        }
        self.changed.raise();
        Ok(due)
    }

    /// What is to be done with a part, and what that rests on. A part that is about to be sent is
    /// paid for.
    fn decide(
        &self,
        job: &Job,
        part: &Part,
        tracked: &Tracked,
        queue: &Queue,
    ) -> Result<(Around, Next)> {
        let others =
            queue.iter().filter(|(id, (model, _))| **id != part.id && *model == part.model);
        let (others, enqueued) =
            others.fold((0, 0), |(count, sum), (_, (_, tokens))| (count + 1, sum + tokens));
        let mut around = Around {
            now: self.steps.now(),
            enqueued,
            others,
            limit: self.steps.queue_limit(&part.model)?,
            pay: Pay::Yes,
            is_ending: job.is_ending || tracked.is_recalled(part.number),
        };
        let step = next(part, &around);
        let Some(purse) = &tracked.purse else { return Ok((around, step)) };
        let is_held = tracked.held.lock().contains_key(&part.id);
        if is_held || !matches!(step, Next::Upload | Next::Create) {
            return Ok((around, step));
        }
        match purse.reserve(part.most()) {
            Ok(held) => drop(tracked.held.lock().insert(part.id, held)),
            Err(lack) => match lack.short {
                Short::Full { in_flight: true, .. } => around.pay = Pay::Later,
                Short::Full { .. } => around.pay = Pay::Never,
                Short::Unknown(_) => {
                    let message = format!(
                        "the cap cannot be kept: what a batch of `{}` may cost at most is not known",
                        part.model
                    );
                    return Err(Error::invalid("max_cost", message));
                }
            },
        }
        Ok((around, next(part, &around)))
    }

    fn take(&self, job: &Job, part: &mut Part, step: Next, around: &Around) -> Result<()> {
        let steps = &self.steps;
        match step {
            Next::Split => steps.split(job, part, around.limit),
            Next::Upload => steps.upload(part),
            Next::Create => steps.create(job, part),
            Next::Find => steps.find(part),
            Next::Poll => steps.poll(job, part, around.others),
            Next::Cancel => steps.cancel(part),
            Next::Fetch => steps.fetch(part),
            Next::Clean => steps.clean(part),
            Next::Withdraw => steps.withdraw(part),
            Next::Sleep(_) | Next::Room | Next::Capped | Next::Settle | Next::Nothing => Ok(()),
        }
    }
}
