//! One request, on the thread that makes it.
//!
//! `cargo run --features simulator --example one_request`; without a key, a simulator answers.

use openai_bulk::api::ChatRequest;
use openai_bulk::simulator::client_or_simulator;

fn main() -> openai_bulk::Result<()> {
    let (client, _simulator) = client_or_simulator()?;
    let request = ChatRequest::ask("Why do ships made of steel float?")
        .system("Answer in one sentence.")
        .max_completion_tokens(200);
    match client.send(&request) {
        Ok(reply) => {
            println!("{}", reply.text());
            let usage = reply.usage.clone().unwrap_or_default();
            println!("{} tokens in, {} out", usage.input(), usage.output());
            println!("{} attempt(s), {:?}", reply.facts.attempts, reply.facts.latency);
        }
        Err(error) if error.is_out_of_quota() => println!("the account is empty: {error}"),
        Err(error) if error.is_retryable() => println!("worth another try later: {error}"),
        Err(error) => return Err(error),
    }
    Ok(())
}
