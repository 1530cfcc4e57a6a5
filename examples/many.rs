//! Many requests as a blocking iterator, in order, with what happens on the way.
//!
//! `cargo run --features simulator --example many`; without a key, a simulator answers.

use openai_bulk::Client;
use openai_bulk::api::ChatRequest;
use openai_bulk::dispatch::{Event, Held};
use openai_bulk::simulator::client_or_simulator;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

fn main() -> openai_bulk::Result<()> {
    let (client, _simulator) = client_or_simulator()?;
    let retries = Arc::new(AtomicU32::new(0));
    let count = retries.clone();
    // The same settings, and somebody who is told what happens.
    let client = Client::builder(client.config().clone())
        .observer(Arc::new(move |event: &Event<'_>| {
            if let Event::Retrying { .. } = event {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }))
        .build()?;
    let questions = (1..=50).map(|n| ChatRequest::ask(format!("Write {n} as a Roman numeral.")));
    let mut outcomes = client.bulk().ordered().send(questions);
    let mut failed = 0;
    for outcome in &mut outcomes {
        match outcome.result {
            Ok(reply) => println!("{:>2}: {}", outcome.index + 1, reply.text()),
            Err(error) => {
                failed += 1;
                println!("{:>2}: {error}", outcome.index + 1);
            }
        }
    }
    let server = outcomes.held_back().share(Held::Server) * 100.0;
    println!("{failed} failed, {} retries", retries.load(Ordering::Relaxed));
    println!("{server:.0}% of the waiting was for the server");
    Ok(())
}
