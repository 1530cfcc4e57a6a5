//! Ctrl-C and SIGTERM: the first asks for an end, the second makes one.

use openai_bulk::clock::{Clock, Stop, SystemClock};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Drains `stop` at the first signal and aborts it at the second, or when `grace` has passed.
pub fn watch(stop: &Stop, grace: Duration) -> Result<(), ctrlc::Error> {
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
        _ => std::process::exit(130),
    })
}
