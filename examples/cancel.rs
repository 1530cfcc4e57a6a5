//! A run that another thread ends: gently first, and then at once.
//!
//! `cargo run --features simulator --example cancel`; without a key, a simulator answers.

use openai_bulk::Error;
use openai_bulk::api::ChatRequest;
use openai_bulk::clock::{Clock, Stop, SystemClock};
use openai_bulk::simulator::client_or_simulator;
use std::thread;
use std::time::Duration;

fn main() -> openai_bulk::Result<()> {
    let (client, _simulator) = client_or_simulator()?;
    let stop = Stop::new();
    let asked = stop.clone();
    thread::spawn(move || {
        let (clock, never) = (SystemClock::new(), Stop::new());
        clock.sleep(Duration::from_millis(300), &never);
        // Nothing new is sent; what is in flight comes to its end.
        asked.drain();
        clock.sleep(Duration::from_secs(5), &never);
        // What is still in flight is interrupted.
        asked.abort();
    });
    // An endless input: it is pulled only as far as there is room.
    let questions = (1..).map(|n| ChatRequest::ask(format!("Is {n} a prime number?")));
    let (mut answered, mut cancelled) = (0, 0);
    for outcome in client.bulk().stop(&stop).send(questions) {
        match outcome.result {
            Ok(_) => answered += 1,
            Err(Error::Cancelled) => cancelled += 1,
            Err(error) => return Err(error),
        }
    }
    println!("{answered} answered, {cancelled} taken in and not sent");
    Ok(())
}
