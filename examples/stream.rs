//! An answer that is read while it comes.
//!
//! `cargo run --features simulator --example stream`; without a key, a simulator answers.

use openai_bulk::Error;
use openai_bulk::api::ChatRequest;
use openai_bulk::simulator::client_or_simulator;
use std::io::Write;

fn main() -> openai_bulk::Result<()> {
    let (client, _simulator) = client_or_simulator()?;
    let request = ChatRequest::ask("Tell me a story of three sentences.");
    let mut stream = client.stream(&request)?;
    for text in stream.text_deltas() {
        match text {
            Ok(text) => print!("{text}"),
            // What had come is with the error, in the form of a reply.
            Err(Error::Stream(broken)) => {
                eprintln!("\n{}; so far: {}", broken.cause, broken.partial);
                return Err(broken.cause);
            }
            Err(error) => return Err(error),
        }
        let _ = std::io::stdout().flush();
    }
    // The same reply that `client.send` gives, with its tokens and its cost.
    let reply = stream.collect_reply()?;
    let usage = reply.usage.clone().unwrap_or_default();
    println!("\n{} tokens in, {} out", usage.input(), usage.output());
    Ok(())
}
