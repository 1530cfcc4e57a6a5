//! Your own code under test: a scripted server, a clock that jumps, and a transport of your own.
//!
//! `cargo run --features simulator --example own_transport`; it never needs a key.

use openai_bulk::api::ChatRequest;
use openai_bulk::clock::{Clock, ManualClock, Time};
use openai_bulk::config::ApiKey;
use openai_bulk::error::TransportError;
use openai_bulk::transport::{Answer, Exchange, Scripted};
use openai_bulk::{Client, Config};

const ANSWER: &str = r#"{"choices":[{"message":{"role":"assistant","content":"Hello!"}}]}"#;

fn config() -> openai_bulk::Result<Config> {
    Ok(Config::new().api_key(ApiKey::new("sk-for-tests")?))
}

fn main() -> openai_bulk::Result<()> {
    // A server that refuses once, and says to come back in ten minutes.
    let refusal = r#"{"error":{"code":"rate_limit_exceeded","message":"slow down"}}"#;
    let server = Scripted::answers([
        Answer::new(429, refusal).header("retry-after", "600"),
        Answer::new(200, ANSWER),
    ]);
    let clock = ManualClock::new();
    let client =
        Client::builder(config()?).transport(server.clone()).clock(clock.clone()).build()?;
    let reply = client.send(&ChatRequest::ask("Hello?"))?;
    let waited = clock.now().since(Time::ZERO);
    println!("{} after {} attempts and {waited:?}, at once", reply.text(), reply.facts.attempts);
    println!("it was asked at {}", server.requests()[0].url);

    // Any closure of the right shape is a transport: this one only measures what would be sent.
    let measure = |request: &Exchange<'_>| -> Result<Answer, TransportError> {
        println!("{} bytes to {}", request.body.len(), request.url);
        Ok(Answer::new(200, ANSWER))
    };
    Client::builder(config()?).transport(measure).build()?.send(&ChatRequest::ask("Hello?"))?;
    Ok(())
}
