//! Many calls at once, on worker threads.
//!
//! A worker is a request in flight and nothing else. One pacer thread takes the calls in order,
//! waits until the gate admits the next one, and hands it to the worker that was idle last, or to a
//! new one. A worker that has finished asks for the next call itself: where the gate admits it at
//! once, no thread has to be woken.

use super::attempt::{self, History, Step};
use super::feed::{Feed, Pending, Take};
use super::gate::Permit;
use super::meter::{Held, HeldBack, Meter, Progress};
use super::{Call, Dispatcher, Facts, Reply};
use crate::clock::{Hold, Signal, Stage, Stop, Subscription, Time};
use crate::error::{Error, TransportError, TransportErrorKind};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, unbounded};
use parking_lot::Mutex;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Enough for TLS in a debug build and a user's closure; only pages that are touched cost memory.
const STACK: usize = 512 * 1024;
/// How often a wait for results looks whether there can be any.
const LOOK: Duration = Duration::from_millis(200);

/// A call and the caller's own mark for it, which comes back with the result.
#[derive(Debug)]
pub struct Job<T> {
    /// What to send.
    pub call: Call,
    /// The caller's mark.
    pub tag: T,
}

/// What became of a job.
#[derive(Debug)]
#[non_exhaustive]
pub struct Delivered<T> {
    /// The caller's mark.
    pub tag: T,
    /// The answer, or why there is none.
    pub result: Result<Reply, Error>,
    /// What it took.
    pub facts: Facts,
}

/// How a pool works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolOptions {
    /// How many jobs may be inside at once: taken in, and not yet released by whoever takes the
    /// results. Default: the limit of requests in flight and as many again, between 128 and 512.
    pub window: Option<usize>,
    /// Ends the work early.
    pub stop: Stop,
    /// The share of this pool where several want the same limit: one of 2 sends twice as much as
    /// one of 1. Single calls have 1. Default: 1.
    pub share: f64,
}

impl PoolOptions {
    /// Options with a window, and a stop that ends the work early.
    pub fn new(window: Option<usize>, stop: &Stop) -> PoolOptions {
        PoolOptions { window, stop: stop.clone(), share: 1.0 }
    }

    /// Sets the share of this pool. Default: 1.
    pub fn share(mut self, share: f64) -> PoolOptions {
        self.share = share;
        self
    }
}

impl Default for PoolOptions {
    fn default() -> PoolOptions {
        PoolOptions::new(None, &Stop::new())
    }
}

/// What came of waiting for a result.
#[derive(Debug)]
pub enum Received<T> {
    /// A result.
    Result(Box<Delivered<T>>),
    /// None in this time.
    Nothing,
    /// All results are out.
    End,
}

/// Sends jobs on many threads and gives their results as they come.
///
/// Every job that was taken in comes out exactly once. A failure that concerns the account or the
/// server as a whole ends the pool's work: what was not sent then comes out as cancelled.
#[derive(Debug)]
pub struct Pool<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    results: Receiver<Delivered<T>>,
    pacer: Option<JoinHandle<()>>,
    _subscription: Subscription,
}

/// The way into a pool. The pool ends when every intake is dropped and all jobs are done.
#[derive(Debug)]
pub struct Intake<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    jobs: Sender<Job<T>>,
    results: Sender<Delivered<T>>,
}

#[derive(Debug)]
struct Shared<T: Send + 'static> {
    dispatcher: Arc<Dispatcher>,
    stop: Stop,
    window: usize,
    feed: Mutex<Feed<T>>,
    crew: Mutex<Crew<T>>,
    jobs: Receiver<Job<T>>,
    /// Jobs inside, in the sense of the window.
    inside: AtomicUsize,
    /// Raised when there is room in the window again.
    room: Signal,
    /// The pacer waits and wants to hear of new jobs.
    is_hungry: AtomicBool,
    /// A failure has ended the work.
    is_ended: AtomicBool,
    meter: Meter,
}

/// The workers that have nothing to do, the last one first, and all that were ever started.
#[derive(Debug)]
struct Crew<T: Send + 'static> {
    idle: Vec<Sender<Order<T>>>,
    all: Vec<JoinHandle<()>>,
    /// The work is over: whoever becomes idle leaves.
    is_dismissed: bool,
}

/// What a worker is told.
enum Order<T> {
    Send(Assignment<T>),
    Leave,
}

/// A call that was admitted, on its way to a worker.
struct Assignment<T> {
    pending: Box<Pending<T>>,
    permit: Permit,
    hold: Hold,
}

/// A few more than can be in flight: reading ahead costs memory and gains nothing.
fn ahead_of(ceiling: usize) -> usize {
    ceiling + ceiling.clamp(128, 512)
}

impl<T: Send + 'static> Pool<T> {
    /// Starts a pool and gives the way into it.
    pub fn start(dispatcher: Arc<Dispatcher>, options: PoolOptions) -> (Pool<T>, Intake<T>) {
        let window = options.window.unwrap_or_else(|| ahead_of(dispatcher.gate.ceiling())).max(1);
        let (jobs_in, jobs) = bounded(window);
        let (results_in, results) = unbounded();
        let room = Signal::new();
        let gate_signal = dispatcher.gate.signal().clone();
        let also = room.clone();
        let subscription = options.stop.subscribe(move |_| {
            gate_signal.raise();
            also.raise();
        });
        let shared = Arc::new(Shared {
            feed: Mutex::new(Feed::new(options.share)),
            crew: Mutex::new(Crew { idle: Vec::new(), all: Vec::new(), is_dismissed: false }),
            stop: options.stop,
            window,
            jobs,
            inside: AtomicUsize::new(0),
            room,
            is_hungry: AtomicBool::new(false),
            is_ended: AtomicBool::new(false),
            meter: Meter::default(),
            dispatcher,
        });
        let hold = shared.dispatcher.clock.hold();
        let for_pacer = shared.clone();
        let results_out = results_in.clone();
        let pacer = thread::Builder::new()
            .name("openai-bulk-pacer".into())
            .spawn(move || for_pacer.pace(&results_in, hold))
            .expect("one thread can be started");
        let intake = Intake { shared: shared.clone(), jobs: jobs_in, results: results_out };
        (Pool { shared, results, pacer: Some(pacer), _subscription: subscription }, intake)
    }

    /// The next result, or `None` when all are out. The job counts as inside until it is released.
    pub fn recv(&self) -> Option<Delivered<T>> {
        loop {
            match self.recv_timeout(LOOK) {
                Received::Result(delivered) => return Some(*delivered),
                Received::Nothing => {}
                Received::End => return None,
            }
        }
    }

    /// The next result if there is one now.
    pub fn try_recv(&self) -> Option<Delivered<T>> {
        self.results.try_recv().ok()
    }

    /// The next result if it comes within `most` of real time.
    pub fn recv_timeout(&self, most: Duration) -> Received<T> {
        match self.results.recv_timeout(most) {
            Ok(delivered) => Received::Result(Box::new(delivered)),
            Err(RecvTimeoutError::Disconnected) => Received::End,
            // The input may be blocked for ever in a read, and then its end of the channel stays
            // open; but nothing comes once the pacer has gone.
            Err(RecvTimeoutError::Timeout) if self.is_done() => Received::End,
            Err(RecvTimeoutError::Timeout) => Received::Nothing,
        }
    }

    fn is_done(&self) -> bool {
        self.pacer.as_ref().is_none_or(JoinHandle::is_finished) && self.results.is_empty()
    }

    /// Makes room in the window for another job: a result has been dealt with.
    pub fn release(&self) {
        self.shared.inside.fetch_sub(1, SeqCst);
        self.shared.room.raise();
    }

    /// Ends the work as a failure of the account does: nothing more is sent.
    pub fn end(&self) {
        self.shared.end();
    }

    /// Where the pool stands.
    pub fn progress(&self) -> Progress {
        let feed = self.shared.feed.lock();
        Progress::new(feed.in_flight, feed.ready(), feed.retries(), self.shared.meter.current())
    }

    /// What held the pool back until now.
    pub fn held_back(&self) -> HeldBack {
        self.shared.meter.held_back(self.shared.dispatcher.clock.now())
    }
}

impl<T: Send + 'static> Drop for Pool<T> {
    fn drop(&mut self) {
        // Nobody wants the rest: what is in flight comes to its end on its own.
        self.shared.end();
    }
}

impl<T: Send + 'static> Intake<T> {
    /// Puts a job in, waiting for room; gives it back when the pool takes no more.
    pub fn push(&self, job: Job<T>) -> Result<(), Job<T>> {
        let shared = &self.shared;
        loop {
            let seen = shared.room.seen();
            if shared.is_closing() {
                return Err(job);
            }
            if shared.inside.load(SeqCst) < shared.window {
                break;
            }
            shared.dispatcher.clock.wait(&shared.room, seen, None);
        }
        shared.inside.fetch_add(1, SeqCst);
        if let Err(back) = self.jobs.send(job) {
            return Err(back.0);
        }
        if shared.is_hungry.swap(false, SeqCst) {
            shared.dispatcher.gate.signal().raise();
        }
        Ok(())
    }

    /// Puts in what failed before it could be sent: it comes out like the others.
    pub fn fail(&self, tag: T, error: Error) {
        self.shared.inside.fetch_add(1, SeqCst);
        let _ = self.results.send(Delivered { tag, result: Err(error), facts: Facts::default() });
    }

    /// How many more jobs fit into the window now.
    pub fn room(&self) -> usize {
        self.shared.window.saturating_sub(self.shared.inside.load(SeqCst))
    }

    /// Whether the pool takes no more jobs.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closing()
    }
}

impl<T: Send + 'static> Drop for Intake<T> {
    fn drop(&mut self) {
        // The pacer may be waiting for a job that will not come. The channel is closed only after
        // this, so the sender goes first.
        let (closed, _) = bounded(0);
        self.jobs = closed;
        self.shared.dispatcher.gate.signal().raise();
    }
}

impl<T: Send + 'static> Shared<T> {
    fn is_closing(&self) -> bool {
        self.stop.stage() >= Stage::Drain || self.is_ended.load(SeqCst)
    }

    fn end(&self) {
        self.is_ended.store(true, SeqCst);
        self.room.raise();
        self.dispatcher.gate.signal().raise();
    }

    /// The pacer: hands out what the gate admits, and waits for what it does not.
    fn pace(self: &Arc<Self>, results: &Sender<Delivered<T>>, _hold: Hold) {
        let _member = self.dispatcher.gate.join();
        let clock = &*self.dispatcher.clock;
        let signal = self.dispatcher.gate.signal();
        loop {
            let seen = signal.seen();
            self.is_hungry.store(true, SeqCst);
            let now = clock.now();
            match self.take(now, results, true) {
                Take::Go(pending, permit) => self.hand_over(pending, permit, results),
                Take::Wait { until, held } => {
                    if held == Held::Concurrency {
                        // Another job would only wait behind those that are here.
                        self.is_hungry.store(false, SeqCst);
                    }
                    self.meter.hold(held, now);
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
                let _ = worker.send(Order::Leave);
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
    }

    /// The next call that may be sent now.
    fn take(&self, now: Time, results: &Sender<Delivered<T>>, is_pacer: bool) -> Take<T> {
        let mut feed = self.feed.lock();
        self.take_in(&mut feed);
        if self.is_closing() {
            for pending in feed.clear() {
                let facts = pending.history.map(|h| h.facts(now)).unwrap_or_default();
                let _ = results.send(Delivered {
                    tag: pending.tag,
                    result: Err(Error::Cancelled),
                    facts,
                });
            }
            if feed.in_flight == 0 {
                return Take::Done;
            }
            return Take::Wait { until: None, held: Held::Server };
        }
        let mut deliver = |pending: Box<Pending<T>>, error: Error| {
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

    fn hand_over(
        self: &Arc<Self>,
        pending: Box<Pending<T>>,
        permit: Permit,
        results: &Sender<Delivered<T>>,
    ) {
        let assignment = Assignment { pending, permit, hold: self.dispatcher.clock.hold() };
        let idle = self.crew.lock().idle.pop();
        match idle {
            Some(worker) => {
                let sent = worker.send(Order::Send(assignment));
                debug_assert!(sent.is_ok(), "an idle worker listens until it is told to leave");
            }
            None => self.hire(assignment, results),
        }
    }

    /// Starts a worker; without room for another thread, fewer requests go at once.
    fn hire(self: &Arc<Self>, assignment: Assignment<T>, results: &Sender<Delivered<T>>) {
        let (orders_in, orders) = bounded(1);
        let (shared, results_in, back) = (self.clone(), results.clone(), orders_in.clone());
        let number = self.crew.lock().all.len() + 1;
        let thread = thread::Builder::new()
            .name(format!("openai-bulk-{number}"))
            .stack_size(STACK)
            .spawn(move || shared.work(&orders, &back, &results_in));
        match thread {
            Ok(thread) => {
                self.crew.lock().all.push(thread);
                let _ = orders_in.send(Order::Send(assignment));
            }
            Err(error) => {
                let most = self.crew.lock().all.len().max(1);
                log::warn!(target: "openai_bulk::pool", max_concurrency = most, error:% = error; "no more threads can be started: fewer requests at once from here on");
                self.dispatcher.gate.set_ceiling(most);
                // The call was admitted: it is sent from here, and the others wait for it once.
                drop(self.serve(assignment, results));
            }
        }
    }

    fn work(
        &self,
        orders: &Receiver<Order<T>>,
        me: &Sender<Order<T>>,
        results: &Sender<Delivered<T>>,
    ) {
        while let Ok(Order::Send(assignment)) = orders.recv() {
            let mut next = Some(assignment);
            while let Some(assignment) = next.take() {
                let hold = self.serve(assignment, results);
                next = self.next_for(me, results, hold);
            }
        }
    }

    /// Makes one attempt and puts its call where it belongs now.
    fn serve(&self, assignment: Assignment<T>, results: &Sender<Delivered<T>>) -> Hold {
        let Assignment { mut pending, permit, hold } = assignment;
        let history = pending.history.as_mut().expect("an admitted call has asked");
        // A transport or an observer of the user's own may panic: that is the end of its row, and
        // the permit goes back by itself.
        let attempt = AssertUnwindSafe(|| {
            attempt::attempt(&self.dispatcher, &pending.call, history, permit, &self.stop)
        });
        let step = catch_unwind(attempt).unwrap_or_else(|_| Step::Done(Box::new(Err(panicked()))));
        let now = self.dispatcher.clock.now();
        let mut feed = self.feed.lock();
        feed.in_flight -= 1;
        match step {
            Step::Again { after } => {
                feed.retry(pending, now + after);
                if feed.pacer_until.is_none_or(|until| now + after < until) {
                    drop(feed);
                    self.dispatcher.gate.signal().raise();
                }
            }
            Step::Done(result) => {
                let (result, facts) = (*result, history.facts(now));
                let is_fatal = matches!(&result, Err(error) if error.is_fatal_for_run());
                // Sent under the lock: when nothing is in flight, everything is out.
                let _ = results.send(Delivered { tag: pending.tag, result, facts });
                drop(feed);
                if is_fatal {
                    self.end();
                }
            }
        }
        hold
    }

    /// The next call for a worker that has finished; without one, it counts as idle.
    fn next_for(
        &self,
        me: &Sender<Order<T>>,
        results: &Sender<Delivered<T>>,
        hold: Hold,
    ) -> Option<Assignment<T>> {
        match self.take(self.dispatcher.clock.now(), results, false) {
            Take::Go(pending, permit) => Some(Assignment { pending, permit, hold }),
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
}

impl<T: Send + 'static> Shared<T> {
    /// Puts a worker that has nothing to do at the top of the idle ones, or sends it home.
    fn rest(&self, me: &Sender<Order<T>>) {
        let mut crew = self.crew.lock();
        if crew.is_dismissed {
            let _ = me.send(Order::Leave);
        } else {
            crew.idle.push(me.clone());
        }
    }
}

fn panicked() -> Error {
    let message = "the transport or an observer panicked; its message stands in the standard error";
    Error::Transport(Box::new(TransportError::new(TransportErrorKind::Protocol, true, message)))
}

fn cancelled<T>(tag: T) -> Delivered<T> {
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
