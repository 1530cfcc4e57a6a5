//! Questions in a slice, answered on the pool and scored on rayon.
//!
//! `cargo run --features simulator --example par_iter`; without a key, a simulator answers.

use openai_bulk::api::ChatRequest;
use openai_bulk::bulk::ParSend;
use openai_bulk::simulator::client_or_simulator;

struct Question {
    text: String,
    solution: i64,
}

/// The last number of an answer, which is where models put their result.
fn last_number(answer: &str) -> Option<i64> {
    let words = answer.split(|c: char| !c.is_ascii_digit() && c != '-');
    words.filter_map(|word| word.parse().ok()).next_back()
}

fn main() -> openai_bulk::Result<()> {
    let (client, simulator) = client_or_simulator()?;
    let questions: Vec<Question> = (1..=200)
        .map(|n| Question { text: format!("What is {n} times {}?", n + 1), solution: n * (n + 1) })
        .collect();
    let scores = questions.par_send(client.bulk(), |q| ChatRequest::ask(q.text.as_str()));
    let scores = scores.map(|question, reply| match reply {
        Ok(reply) => Ok(last_number(&reply.text()) == Some(question.solution)),
        // An error is no wrong answer: it is counted apart.
        Err(error) => Err(error.to_string()),
    });
    let right = scores.iter().filter(|score| **score == Ok(true)).count();
    let errors: Vec<_> = scores.iter().filter_map(|score| score.as_ref().err()).collect();
    println!("{right} of {} right, {} errors", questions.len(), errors.len());
    if let Some(first) = errors.first() {
        println!("the first error: {first}");
    }
    if simulator.is_some() {
        println!("(a simulator answered, and it cannot calculate)");
    }
    Ok(())
}
