//! An answer in the form of a Rust type, and a tool that takes one.
//!
//! `cargo run --features simulator,schema --example structured`; without a key, a simulator
//! answers.

use openai_bulk::api::ChatRequest;
use openai_bulk::api::schema::{JsonSchema, Outcome};
use openai_bulk::simulator::client_or_simulator;
use serde::Deserialize;

/// A city and its people.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(crate = "openai_bulk::api::schema::schemars")]
struct City {
    /// Its name in English.
    name: String,
    /// How many people live there, if that is known.
    people: Option<u64>,
}

fn main() -> openai_bulk::Result<()> {
    let (client, _simulator) = client_or_simulator()?;
    let request = ChatRequest::ask("Name a city by the sea.").max_completion_tokens(500);
    // Where the answer is cut, it is asked for again with more room.
    let reply = client.send_structured(&request.structured::<City>().retry_cut(2_000))?;
    match &reply.outcome {
        Outcome::Value(city) => println!("{}: {:?} people", city.name, city.people),
        Outcome::Refusal(why) => println!("the model does not answer: {why}"),
        Outcome::Cut(part) => println!("cut short: {part}"),
        Outcome::Filtered(part) => println!("a filter left something out: {part}"),
        other => println!("not a city: {other:?}"),
    }

    let run = client
        .tools(ChatRequest::ask("How many people live in Bergen?"))
        .typed("people", "Tells how many people live in a city.", |city: City| {
            println!("the model asks for {}", city.name);
            Ok::<_, std::convert::Infallible>(291_000)
        })
        .max_turns(4)
        .run()?;
    println!("{} ({} turns, {:?})", run.reply.text(), run.turns, run.end);
    Ok(())
}
