//! Many calls at once, on worker threads.
//!
//! A worker is a request in flight and nothing else. One pacer thread takes the calls in order,
//! waits until the gate admits the next one, and hands it to the worker that was idle last, or to a
//! new one. A worker that has finished asks for the next call itself: where the gate admits it at
//! once, no thread has to be woken.

use super::crew::{Crew, Shared};
use super::feed::Feed;
use super::hedge::Hedger;
use super::meter::{HeldBack, Meter, Progress};
use super::twins::Twins;
use super::{Call, Dispatcher, Facts, Reply};
use crate::clock::{Signal, Stop, Subscription};
use crate::error::Error;
use crate::usage::Purse;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, never, unbounded};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long results are gathered before whoever takes them goes on.
const MOMENT: Duration = Duration::from_millis(2);
/// Results that are taken at once at most.
const MOST: usize = 256;
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
    /// What this pool may spend, most often within the client's purse. Default: the client's.
    pub purse: Option<Arc<Purse>>,
}

impl PoolOptions {
    /// Options with a window, and a stop that ends the work early.
    pub fn new(window: Option<usize>, stop: &Stop) -> PoolOptions {
        PoolOptions { window, stop: stop.clone(), share: 1.0, purse: None }
    }

    /// Sets the share of this pool. Default: 1.
    pub fn share(mut self, share: f64) -> PoolOptions {
        self.share = share;
        self
    }

    /// Sets what this pool may spend. Default: what the client may.
    pub fn purse(mut self, purse: Option<Arc<Purse>>) -> PoolOptions {
        self.purse = purse;
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
    /// Whether several results came together last.
    comes_thick: AtomicBool,
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
        let hedger = (dispatcher.hedge > 0.0).then(|| Hedger::new(dispatcher.hedge));
        let purse = options.purse.or_else(|| dispatcher.purse.clone());
        let mut feed = Feed::new(options.share);
        feed.purse.clone_from(&purse);
        let shared = Arc::new(Shared {
            hedger,
            purse,
            feed: Mutex::new(feed),
            crew: Mutex::new(Crew::new()),
            stop: options.stop,
            window,
            jobs,
            twins: Mutex::new(Twins::new()),
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
        let pool = Pool {
            shared,
            results,
            comes_thick: AtomicBool::new(false),
            pacer: Some(pacer),
            _subscription: subscription,
        };
        (pool, intake)
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

    /// The results that come within `most` of real time, or the first of them and what comes in the
    /// moment after it: up to as many as the pool could do without being held up. None at the end.
    ///
    /// Whoever takes them is woken for several at once. A thread that is woken for each answer costs
    /// a tenth of all that sending does.
    pub fn recv_some(&self, most: Duration) -> Option<Vec<Delivered<T>>> {
        let mut some = match self.recv_timeout(most) {
            Received::Result(first) => vec![*first],
            Received::Nothing => return Some(Vec::new()),
            Received::End => return None,
        };
        // Where answers come one by one, waiting for more would only be another waking.
        let enough = (self.shared.window / 8).clamp(1, MOST);
        if self.comes_thick.load(Relaxed) && self.results.len() + 1 < enough {
            let _ = never::<()>().recv_timeout(MOMENT);
        }
        some.extend(self.results.try_iter().take(MOST - 1));
        self.comes_thick.store(some.len() > 1, Relaxed);
        Some(some)
    }

    fn is_done(&self) -> bool {
        self.pacer.as_ref().is_none_or(JoinHandle::is_finished) && self.results.is_empty()
    }

    /// Makes room in the window for another job: a result has been dealt with.
    pub fn release(&self) {
        let inside = self.shared.inside.fetch_sub(1, SeqCst) - 1;
        // Whoever fills the window is woken for several places at once; enough calls stand ready.
        let window = self.shared.window;
        if inside + (window / 8).clamp(1, 32) <= window {
            self.shared.room.raise();
        }
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
    #[expect(clippy::result_large_err, reason = "what is refused is given back as it came")]
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
        let Some(job) = shared.answer_at_once(job, &self.results) else { return Ok(()) };
        if shared.purse.is_some() {
            // Found out here, on the thread of whoever has the job, and not under a lock.
            job.call.most(&shared.dispatcher.prices);
        }
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
