use super::Signal;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Ends work from another thread, first gently and then at once.
///
/// Clones are the same stop. [`Stop::drain`] lets what is in flight come to its end and admits
/// nothing more; [`Stop::abort`] interrupts what is in flight as well.
#[derive(Clone, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Default)]
struct Inner {
    stage: AtomicU8,
    listeners: Mutex<Listeners>,
}

#[derive(Default)]
struct Listeners {
    next: u64,
    all: HashMap<u64, Listener>,
}

type Listener = Arc<dyn Fn(Stage) + Send + Sync>;

/// How far a [`Stop`] has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Work goes on.
    Run,
    /// Nothing new is sent; what is in flight may end.
    Drain,
    /// What is in flight is interrupted.
    Abort,
}

impl Stop {
    /// A stop that nobody has asked for yet.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// Asks that nothing more be sent.
    pub fn drain(&self) {
        self.advance(Stage::Drain);
    }

    /// Asks that nothing more be sent and that what is in flight be interrupted.
    pub fn abort(&self) {
        self.advance(Stage::Abort);
    }

    /// How far it has gone.
    pub fn stage(&self) -> Stage {
        match self.0.stage.load(Ordering::Acquire) {
            0 => Stage::Run,
            1 => Stage::Drain,
            _ => Stage::Abort,
        }
    }

    /// Whether anybody has asked for an end.
    pub fn is_stopped(&self) -> bool {
        self.stage() != Stage::Run
    }

    /// Whether `other` is the same stop, as a clone is.
    pub fn is_same(&self, other: &Stop) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Raises `signal` whenever the stage changes, until the value that is returned is dropped.
    pub fn notify(&self, signal: &Signal) -> Subscription {
        let signal = signal.clone();
        self.subscribe(move |_| signal.raise())
    }

    /// Calls `listener` at each change of the stage, until the value that is returned is dropped.
    ///
    /// A stage that was reached before is told at once, so that nobody subscribes too late.
    pub fn subscribe(&self, listener: impl Fn(Stage) + Send + Sync + 'static) -> Subscription {
        let listener: Listener = Arc::new(listener);
        let id = {
            let mut listeners = self.0.listeners.lock();
            listeners.next += 1;
            let id = listeners.next;
            listeners.all.insert(id, listener.clone());
            id
        };
        if self.is_stopped() {
            listener(self.stage());
        }
        Subscription { stop: self.clone(), id }
    }

    fn advance(&self, to: Stage) {
        if self.0.stage.fetch_max(to as u8, Ordering::AcqRel) >= to as u8 {
            return;
        }
        // Listeners run without the lock: they may subscribe or unsubscribe.
        let all: Vec<Listener> = self.0.listeners.lock().all.values().cloned().collect();
        for listener in all {
            listener(to);
        }
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stop").field(&self.stage()).finish()
    }
}

/// Keeps a listener of a [`Stop`] for as long as it lives.
#[must_use = "the listener is removed when this is dropped"]
pub struct Subscription {
    stop: Stop,
    id: u64,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subscription").field(&self.id).finish()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.stop.0.listeners.lock().all.remove(&self.id);
    }
}
