use parking_lot::{Condvar, Mutex};

/// What one thread leaves for another: at most one thing at a time.
///
/// There is one for each worker, and most of them wait: a channel would be ten times as large, and
/// would look several times before it lets its thread sleep, which a worker without work pays with
/// a tenth of what a request costs.
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
