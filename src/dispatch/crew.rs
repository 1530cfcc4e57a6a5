//! Those who do a pool's work: the pacer and the workers.

use super::attempt::{self, History, Step};
use super::feed::{Feed, Pending, Take};
use super::gate::Permit;
use super::hedge::{Hedger, Race};
use super::mailbox::Mailbox;
use super::meter::{Held, Meter};
use super::pool::{Delivered, Job};
use super::twins::Twins;
use super::{Dispatcher, Facts};
use crate::clock::{Hold, Signal, Stage, Stop, Time};
use crate::error::{Error, TransportError, TransportErrorKind};
use crate::logs as key;
use crate::usage::Purse;
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use parking_lot::Mutex;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, JoinHandle};

/// Enough for TLS in a debug build and a user's closure; only pages that are touched cost memory.
const STACK: usize = 512 * 1024;

#[derive(Debug)]
pub(super) struct Shared<T: Send + 'static> {
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) stop: Stop,
    /// What may be spent, if that is capped.
    pub(super) purse: Option<Arc<Purse>>,
    pub(super) window: usize,
    pub(super) feed: Mutex<Feed<T>>,
    pub(super) crew: Mutex<Crew<T>>,
    pub(super) jobs: Receiver<Job<T>>,
    /// Jobs that wait for what becomes of another one.
    pub(super) twins: Mutex<Twins<T>>,
    /// Jobs inside, in the sense of the window.
    pub(super) inside: AtomicUsize,
    /// Raised when there is room in the window again.
    pub(super) room: Signal,
    /// The pacer waits and wants to hear of new jobs.
    pub(super) is_hungry: AtomicBool,
    /// A failure has ended the work.
    pub(super) is_ended: AtomicBool,
    pub(super) meter: Meter,
    /// Watches for stragglers, where that was asked for.
    pub(super) hedger: Option<Hedger<T>>,
}

/// The workers that have nothing to do, the last one first, and all that were ever started.
#[derive(Debug)]
pub(super) struct Crew<T: Send + 'static> {
    idle: Vec<Arc<Mailbox<Order<T>>>>,
    all: Vec<JoinHandle<()>>,
    /// The work is over: whoever becomes idle leaves.
    is_dismissed: bool,
}

impl<T: Send + 'static> Crew<T> {
    pub(super) fn new() -> Crew<T> {
        Crew { idle: Vec::new(), all: Vec::new(), is_dismissed: false }
    }
}

/// What a worker is told.
pub(super) enum Order<T> {
    Send(Assignment<T>),
    Leave,
}

/// A call that was admitted, on its way to a worker.
pub(super) struct Assignment<T> {
    load: Load<T>,
    permit: Permit,
    hold: Hold,
}

/// What a worker sends.
enum Load<T> {
    /// A call.
    Call(Box<Pending<T>>),
    /// A second request beside one that takes long.
    Second(Arc<Race<T>>),
}

impl<T: Send + 'static> Shared<T> {
    pub(super) fn is_closing(&self) -> bool {
        self.stop.stage() >= Stage::Drain || self.is_ended.load(SeqCst)
    }

    pub(super) fn end(&self) {
        self.is_ended.store(true, SeqCst);
        self.room.raise();
        self.dispatcher.gate.signal().raise();
    }

    /// The pacer: hands out what the gate admits, and waits for what it does not.
    pub(super) fn pace(self: &Arc<Self>, results: &Sender<Delivered<T>>, _hold: Hold) {
        let _member = self.dispatcher.gate.join();
        let clock = &*self.dispatcher.clock;
        let signal = self.dispatcher.gate.signal();
        loop {
            let seen = signal.seen();
            self.is_hungry.store(true, SeqCst);
            let now = clock.now();
            self.hedge(now, results);
            match self.take(now, results, true) {
                Take::Go(pending, permit) => {
                    self.hand_over(Load::Call(pending), permit, results);
                }
                Take::Wait { until, held } => {
                    if held == Held::Concurrency {
                        // Another job would only wait behind those that are here.
                        self.is_hungry.store(false, SeqCst);
                    }
                    self.meter.hold(held, now);
                    let second = self.hedger.as_ref().and_then(Hedger::watch);
                    let until = [until, second].into_iter().flatten().min();
                    clock.wait(signal, seen, until);
                }
                Take::Done => break,
            }
        }
        self.meter.end(clock.now());
        self.dismiss(results);
    }

    /// Sends the workers home, and gives back what was never sent.
    fn dismiss(&self, results: &Sender<Delivered<T>>) {
        let crew = {
            let mut crew = self.crew.lock();
            crew.is_dismissed = true;
            for worker in crew.idle.drain(..) {
                worker.put(Order::Leave);
            }
            std::mem::take(&mut crew.all)
        };
        for worker in crew {
            let _ = worker.join();
        }
        self.is_ended.store(true, SeqCst);
        self.room.raise();
        for job in self.jobs.try_iter() {
            let _ = results.send(cancelled(job.tag));
        }
        self.cancel_twins(results);
    }

    /// The next call that may be sent now.
    fn take(&self, now: Time, results: &Sender<Delivered<T>>, is_pacer: bool) -> Take<T> {
        let mut feed = self.feed.lock();
        self.take_in(&mut feed);
        if self.is_closing() {
            return self.give_back(&mut feed, now, results);
        }
        let mut alone = Vec::new();
        let mut deliver = |pending: Box<Pending<T>>, error: Error| {
            alone.extend(self.twins_of(&pending.call));
            let facts = pending.history.map(|h| h.facts(now)).unwrap_or_default();
            // An open circuit is that of one limit group.
            let is_fatal = error.is_fatal_for_run() && !matches!(error, Error::CircuitOpen(_));
            let _ = results.send(Delivered { tag: pending.tag, result: Err(error), facts });
            if is_fatal {
                self.is_ended.store(true, SeqCst);
                self.room.raise();
            }
        };
        let is_full = self.inside.load(SeqCst) >= self.window;
        let take = feed.take(&self.dispatcher, now, is_full, &mut deliver);
        if feed.is_hopeless() && !self.is_ended.swap(true, SeqCst) {
            self.room.raise();
        }
        let has_news = !alone.is_empty();
        alone.into_iter().for_each(|job| feed.push(job));
        if has_news {
            self.dispatcher.gate.signal().raise();
        }
        // The cap has just ended the work: what waits comes out now.
        let is_capped = matches!(take, Take::Wait { held: Held::Cap, .. });
        let is_going = matches!(take, Take::Go(..));
        if has_news && !is_going || is_capped && self.is_ended.load(SeqCst) {
            drop(feed);
            return self.take(now, results, is_pacer);
        }
        match &take {
            Take::Wait { until, held } if is_pacer => {
                feed.pacer_until = *until;
                feed.pacer_held = Some(*held);
            }
            // Where one call passes, what the pacer waits for may be over, and more may pass; only
            // a full house has just this one place.
            Take::Go(..)
                if !is_pacer
                    && feed.pacer_held.take_if(|held| *held != Held::Concurrency).is_some() =>
            {
                self.dispatcher.gate.signal().raise();
            }
            _ => {}
        }
        take
    }

    /// Gives back all that waits, because nothing more is sent.
    fn give_back(&self, feed: &mut Feed<T>, now: Time, results: &Sender<Delivered<T>>) -> Take<T> {
        for pending in feed.clear() {
            let facts = pending.history.map(|h| h.facts(now)).unwrap_or_default();
            let result = Err(Error::Cancelled);
            let _ = results.send(Delivered { tag: pending.tag, result, facts });
        }
        self.cancel_twins(results);
        if feed.in_flight == 0 {
            return Take::Done;
        }
        Take::Wait { until: None, held: Held::Server }
    }

    fn take_in(&self, feed: &mut Feed<T>) {
        loop {
            match self.jobs.try_recv() {
                Ok(job) => feed.push(job),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    feed.is_closed = true;
                    return;
                }
            }
        }
    }

    /// Sends the second requests that are due, as far as there is room for them right now.
    fn hedge(self: &Arc<Self>, now: Time, results: &Sender<Delivered<T>>) {
        let Some(hedger) = self.hedger.as_ref().filter(|_| !self.is_closing()) else { return };
        while let Some(due) = hedger.next(now) {
            let race = due.what.clone();
            let gate = &self.dispatcher.gate;
            let mut seat = gate.seat(&race.call.group, 1.0);
            // Calls that wait for their first request go before it.
            let (purse, prices) = (self.purse.as_ref(), &self.dispatcher.prices);
            let permit = match gate.try_pay(now, &race.call, purse, prices, &mut seat, false) {
                Ok(permit) => permit,
                Err(_) => {
                    hedger.put_off(due, now);
                    return;
                }
            };
            drop(seat);
            if race.join() {
                hedger.spend(&race.call.group);
                log::debug!(target: "openai_bulk::hedge", {key::GROUP} = &*race.call.group; "a request takes long and is sent a second time");
                self.feed.lock().in_flight += 1;
                self.hand_over(Load::Second(race), permit, results);
            }
        }
    }

    fn hand_over(self: &Arc<Self>, load: Load<T>, permit: Permit, results: &Sender<Delivered<T>>) {
        let assignment = Assignment { load, permit, hold: self.dispatcher.clock.hold() };
        let idle = self.crew.lock().idle.pop();
        match idle {
            Some(worker) => worker.put(Order::Send(assignment)),
            None => self.hire(assignment, results),
        }
    }

    /// Starts a worker; without room for another thread, fewer requests go at once.
    fn hire(self: &Arc<Self>, assignment: Assignment<T>, results: &Sender<Delivered<T>>) {
        let mailbox = Arc::new(Mailbox::with(Order::Send(assignment)));
        let (shared, results_in, own) = (self.clone(), results.clone(), mailbox.clone());
        let number = self.crew.lock().all.len() + 1;
        let thread = thread::Builder::new()
            .name(format!("openai-bulk-{number}"))
            .stack_size(STACK)
            .spawn(move || shared.work(&own, &results_in));
        match thread {
            Ok(thread) => self.crew.lock().all.push(thread),
            Err(error) => {
                let most = self.crew.lock().all.len().max(1);
                log::warn!(target: "openai_bulk::pool", {key::MAX_CONCURRENCY} = most, {key::ERROR_MESSAGE}:% = error; "no more threads can be started: fewer requests at once from here on");
                self.dispatcher.gate.set_ceiling(most);
                // The call was admitted: it is sent from here, and the others wait for it once.
                if let Some(Order::Send(assignment)) = mailbox.try_take() {
                    drop(self.serve(assignment, results));
                }
            }
        }
    }

    fn work(&self, me: &Arc<Mailbox<Order<T>>>, results: &Sender<Delivered<T>>) {
        while let Order::Send(assignment) = me.take() {
            let mut next = Some(assignment);
            while let Some(assignment) = next.take() {
                let hold = self.serve(assignment, results);
                next = self.next_for(me, results, hold);
            }
        }
    }

    /// Makes one attempt and puts its call where it belongs now.
    ///
    /// What comes before the attempt and after it are functions of their own here and below: what is
    /// on the stack while an answer is awaited is paid by each request in flight.
    fn serve(&self, assignment: Assignment<T>, results: &Sender<Delivered<T>>) -> Hold {
        let Assignment { load, permit, hold } = assignment;
        let decided = match (load, &self.hedger) {
            (Load::Call(pending), None) => Some(self.send(pending, permit)),
            (load, Some(hedger)) => self.race(load, permit, hedger),
            (Load::Second(_), None) => unreachable!("only a hedger begins a race"),
        };
        self.put_where_it_belongs(decided, results);
        hold
    }

    /// One attempt of a call that may have two in flight; gives the call if this one decides it.
    #[inline(never)]
    fn race(
        &self,
        load: Load<T>,
        permit: Permit,
        hedger: &Hedger<T>,
    ) -> Option<(Box<Pending<T>>, Step)> {
        match load {
            Load::Call(pending) => {
                let now = self.dispatcher.clock.now();
                let (race, is_sooner) = hedger.begin(pending, &self.stop, now);
                if is_sooner {
                    self.dispatcher.gate.signal().raise();
                }
                self.run(&race, permit, hedger, true)
            }
            Load::Second(race) => self.run(&race, permit, hedger, false),
        }
    }

    /// Takes back a call after an attempt; none if another attempt decides it.
    #[inline(never)]
    fn put_where_it_belongs(
        &self,
        decided: Option<(Box<Pending<T>>, Step)>,
        results: &Sender<Delivered<T>>,
    ) {
        let now = self.dispatcher.clock.now();
        let mut feed = self.feed.lock();
        feed.in_flight -= 1;
        let Some((mut pending, step)) = decided else { return };
        match step {
            Step::Again { after } => {
                feed.retry(pending, now + after);
                if feed.pacer_until.is_none_or(|until| now + after < until) {
                    drop(feed);
                    self.dispatcher.gate.signal().raise();
                }
            }
            Step::Done(result) => {
                let history = pending.history(&self.dispatcher, now);
                let (result, facts) = (*result, history.facts(now));
                let is_fatal = matches!(&result, Err(error) if error.is_fatal_for_run());
                let has_news = self.end_waiting(&pending.call, &result, &mut feed, results);
                // Sent under the lock: when nothing is in flight, everything is out.
                let _ = results.send(Delivered { tag: pending.tag, result, facts });
                drop(feed);
                if is_fatal {
                    self.end();
                } else if has_news {
                    self.dispatcher.gate.signal().raise();
                }
            }
        }
    }

    /// One attempt of a call that has only one in flight.
    fn send(&self, mut pending: Box<Pending<T>>, permit: Permit) -> (Box<Pending<T>>, Step) {
        let history = pending.history.as_mut().expect("an admitted call has asked");
        // A transport or an observer of the user's own may panic: that is the end of its row, and
        // the permit goes back by itself.
        let attempt = AssertUnwindSafe(|| {
            attempt::attempt(&self.dispatcher, &pending.call, history, permit, &self.stop)
        });
        let step = catch_unwind(attempt).unwrap_or_else(|_| panicked());
        (pending, step)
    }

    /// One of two attempts of a call.
    fn run(
        &self,
        race: &Race<T>,
        permit: Permit,
        hedger: &Hedger<T>,
        is_first: bool,
    ) -> Option<(Box<Pending<T>>, Step)> {
        let dispatcher = &*self.dispatcher;
        let attempt = AssertUnwindSafe(|| {
            let times = race.start(dispatcher)?;
            let (began, timeout) = times;
            let (result, limit) = attempt::exchange(dispatcher, &race.call, timeout, &race.stop);
            Some(attempt::weigh(dispatcher, permit, (began, limit), result))
        });
        let mut outcome = match catch_unwind(attempt) {
            Ok(Some(outcome)) => outcome,
            Ok(None) => {
                hedger.give_back(&race.call.group);
                return None;
            }
            Err(_) => return race.finish(dispatcher, None).map(|pending| (pending, panicked())),
        };
        if is_first {
            hedger.took(&race.call.group, outcome.latency());
        }
        outcome.since(race.began);
        let mut pending = race.finish(dispatcher, Some(&outcome))?;
        let history = pending.history.as_mut().expect("an admitted call has asked");
        let conclude =
            AssertUnwindSafe(|| attempt::conclude(dispatcher, &race.call, history, outcome));
        let step = catch_unwind(conclude).unwrap_or_else(|_| panicked());
        Some((pending, step))
    }

    /// The next call for a worker that has finished; without one, it counts as idle.
    #[inline(never)]
    fn next_for(
        &self,
        me: &Arc<Mailbox<Order<T>>>,
        results: &Sender<Delivered<T>>,
        hold: Hold,
    ) -> Option<Assignment<T>> {
        match self.take(self.dispatcher.clock.now(), results, false) {
            Take::Go(pending, permit) => {
                Some(Assignment { load: Load::Call(pending), permit, hold })
            }
            waits => {
                self.rest(me);
                let is_news = match waits {
                    Take::Wait { until: Some(until), .. } => {
                        self.feed.lock().pacer_until.is_none_or(|known| until < known)
                    }
                    Take::Wait { until: None, .. } => {
                        self.is_closing() || self.feed.lock().in_flight == 0
                    }
                    _ => true,
                };
                if is_news || self.dispatcher.gate.is_shared() {
                    self.dispatcher.gate.signal().raise();
                }
                // Until here the worker counted as busy, so that a manual clock stood still.
                drop(hold);
                None
            }
        }
    }

    /// Puts a worker that has nothing to do at the top of the idle ones, or sends it home.
    fn rest(&self, me: &Arc<Mailbox<Order<T>>>) {
        let mut crew = self.crew.lock();
        if crew.is_dismissed {
            me.put(Order::Leave);
        } else {
            crew.idle.push(me.clone());
        }
    }
}

fn panicked() -> Step {
    let message = "the transport or an observer panicked; its message stands in the standard error";
    let error = TransportError::new(TransportErrorKind::Protocol, true, message);
    Step::Done(Box::new(Err(Error::Transport(Box::new(error)))))
}

pub(super) fn cancelled<T>(tag: T) -> Delivered<T> {
    Delivered { tag, result: Err(Error::Cancelled), facts: Facts::default() }
}

impl<T: Send + 'static> std::fmt::Debug for Order<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Order::Send(_) => "Send",
            Order::Leave => "Leave",
        })
    }
}

impl<T> Pending<T> {
    /// The history of the call, which begins when it first asks to be admitted.
    pub(super) fn history(&mut self, dispatcher: &Dispatcher, now: Time) -> &mut History {
        self.history.get_or_insert_with(|| History::begin(dispatcher, &self.call, now))
    }
}
