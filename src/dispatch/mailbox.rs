use parking_lot::{Condvar, Mutex};

/// How often a box is looked into before its thread sleeps, each time after twice as long. Source:
/// `benches/path`; without it, 10,000 calls of which each comes alone took 120 ms instead of 48.
const LOOKS: u32 = 4;

/// What one thread leaves for another: at most one thing at a time.
///
/// There is one for each worker, and most of them wait: a channel would be ten times as large, and
/// would let other threads go first several times before it lets its own sleep.
#[derive(Debug)]
pub(super) struct Mailbox<M> {
    content: Mutex<Option<M>>,
    filled: Condvar,
}

impl<M> Mailbox<M> {
    /// A box that holds `content` already.
    pub(super) fn with(content: M) -> Mailbox<M> {
        Mailbox { content: Mutex::new(Some(content)), filled: Condvar::new() }
    }

    /// Leaves something; only whoever knows the box to be empty may do so.
    pub(super) fn put(&self, content: M) {
        let before = self.content.lock().replace(content);
        debug_assert!(before.is_none(), "the box was empty");
        self.filled.notify_one();
    }

    /// What is in the box, which is waited for.
    pub(super) fn take(&self) -> M {
        // Where work comes at once, going to sleep and being woken would cost more than all else.
        for look in 0..LOOKS {
            if let Some(content) = self.try_take() {
                return content;
            }
            (0..1 << look).for_each(|_| std::hint::spin_loop());
        }
        let mut content = self.content.lock();
        loop {
            if let Some(content) = content.take() {
                return content;
            }
            self.filled.wait(&mut content);
        }
    }

    /// What is in the box now.
    pub(super) fn try_take(&self) -> Option<M> {
        self.content.lock().take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn what_is_left_is_taken_once_and_in_order() {
        let here = Arc::new(Mailbox::with(0));
        let there = Arc::new(Mailbox::with(()));
        there.take();
        let (inbox, outbox) = (here.clone(), there.clone());
        let other = thread::spawn(move || {
            (0..1_000)
                .map(|_| {
                    let number = inbox.take();
                    outbox.put(());
                    number
                })
                .collect::<Vec<_>>()
        });
        for number in 1..1_000 {
            there.take();
            here.put(number);
        }
        there.take();
        assert_eq!(other.join().unwrap(), (0..1_000).collect::<Vec<_>>());
        assert_eq!(here.try_take(), None);
    }
}
