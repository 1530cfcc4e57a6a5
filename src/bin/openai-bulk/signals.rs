//! Ctrl-C and SIGTERM: the first asks for an end, the second makes one.

use crate::failure::{Failure, INTERRUPTED};
use openai_bulk::clock::{Clock, Stop, SystemClock};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Drains `stop` at the first signal and aborts it at the second, or when `grace` has passed.
pub fn watch(stop: &Stop, grace: Duration) -> Result<(), Failure> {
    let stop = stop.clone();
    let count = AtomicU32::new(0);
    ctrlc::set_handler(move || match count.fetch_add(1, Ordering::SeqCst) {
        0 => {
            eprintln!(
                "\ninterrupted: nothing new is sent, requests in flight have {} s to end; Ctrl-C again ends them now",
                grace.as_secs_f64()
            );
            stop.drain();
            let stop = stop.clone();
            std::thread::spawn(move || {
                SystemClock::new().sleep(grace, &stop);
                stop.abort();
            });
        }
        1 => stop.abort(),
        _ => std::process::exit(i32::from(INTERRUPTED)),
    })
    .map_err(failed)
}

/// Ends `stop` at the first signal.
pub fn watch_quietly(stop: &Stop) -> Result<(), Failure> {
    let stop = stop.clone();
    ctrlc::set_handler(move || stop.abort()).map_err(failed)
}

fn failed(e: ctrlc::Error) -> Failure {
    Failure::Other(format!("cannot listen for Ctrl-C: {e}"))
}
