//! One thread that takes the steps of all jobs of a client, each when it is due.

use super::next::{Around, Next, Pay};
use super::part::{Date, Job, Part, State};
use super::step::Steps;
use super::tracked::{Pass, Tracked};
use crate::clock::{Signal, Stop};
use crate::error::Result;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

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
            let _hold = hold;
            *shared.steps.at_work.lock() = Some(thread::current().id());
            shared.work();
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
                if let Some(first) = tracked.first() {
                    first.fail(error);
                }
                self.changed.raise();
                return None;
            }
        };
        let mut due: Option<Date> = None;
        for each in &tracked {
            if self.stop().is_stopped() {
                return None;
            }
            if each.is_stopped() {
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
        let Some(job) = store.job(tracked.job)? else { return Ok(None) };
        if job.is_over || !job.is_planned {
            return Ok(None);
        }
        let mut pass = tracked.begin_pass();
        let mut parts: VecDeque<Part> = store.parts(job.id)?.into();
        while let Some(mut part) = parts.pop_front() {
            self.advance_part(&job, &mut part, tracked, queue, &mut pass)?;
            if self.stop().is_stopped() {
                return Ok(None);
            }
            if part.state == State::Split {
                // Those of this split come next, so that rows keep their order.
                let known: Vec<i64> = parts.iter().map(|part| part.id).collect();
                let mut new = store.parts(job.id)?;
                new.retain(|each| each.id > part.id && !known.contains(&each.id));
                new.retain(|each| !each.state.is_over());
                new.into_iter().rev().for_each(|each| parts.push_front(each));
            }
        }
        tracked.end_pass(&pass);
        let is_cleaned = |part: &Part| part.state.is_over() && part.state != State::Done;
        if store.parts(job.id)?.iter().all(is_cleaned) {
            // What was said of it meanwhile is kept.
            store.end(&mut store.job(job.id)?.unwrap_or(job))?;
        }
        self.changed.raise();
        // After a step another look tells that there is nothing more to do.
        Ok(if pass.is_idle { pass.due } else { Some(self.steps.now()) })
    }

    /// Takes all steps of a part that are due.
    fn advance_part(
        &self,
        job: &Job,
        part: &mut Part,
        tracked: &Tracked,
        queue: &mut Queue,
        pass: &mut Pass,
    ) -> Result<()> {
        let mut is_hurried = pass.is_hurried;
        while !self.stop().is_stopped() {
            let around = self.around(job, part, tracked, queue, is_hurried)?;
            let (around, step) = tracked.pay(part, around)?;
            match step {
                Next::Sleep(at) => {
                    pass.due = Some(pass.due.map_or(at, |due| due.min(at)));
                    return Ok(());
                }
                Next::Capped => {
                    pass.is_capped = true;
                    return Ok(());
                }
                Next::Room | Next::Settle | Next::Nothing => return Ok(()),
                _ => {}
            }
            (pass.is_idle, is_hurried) = (false, false);
            if let Err(error) = self.take(job, part, step, &around) {
                self.steps.failed(part, error)?;
            }
            match part.state.is_enqueued() {
                true => drop(queue.insert(part.id, (part.model.clone(), part.tokens))),
                false => drop(queue.remove(&part.id)),
            }
            if matches!(part.state, State::Split | State::Withdrawn) {
                tracked.give_back(part);
            }
            self.changed.raise();
        }
        Ok(())
    }

    /// What a part has to know of the world to go on.
    fn around(
        &self,
        job: &Job,
        part: &Part,
        tracked: &Tracked,
        queue: &Queue,
        is_hurried: bool,
    ) -> Result<Around> {
        let others =
            queue.iter().filter(|(id, (model, _))| **id != part.id && *model == part.model);
        let (others, enqueued) =
            others.fold((0, 0), |(count, sum), (_, (_, tokens))| (count + 1, sum + tokens));
        Ok(Around {
            now: self.steps.now(),
            enqueued,
            others,
            limit: self.steps.queue_limit(&part.model)?,
            pay: Pay::Yes,
            is_ending: job.is_ending || tracked.is_recalled(part.number),
            is_hurried,
        })
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
