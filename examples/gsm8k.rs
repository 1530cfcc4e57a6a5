//! GSM8K, with the answers that two models once gave: 286 and 742 of 1,319 are right.
//!
//! `cargo run --features simulator --example gsm8k`; no key is needed, a simulator replays them. With
//! other files than the released ones beside this crate, it asks the simulator a few questions.

use openai_bulk::config::{ApiKey, Config};
use openai_bulk::eval::{Dataset, Evaluation, Fields, Prompt, Scorer, Shape, Verdict};
use openai_bulk::simulator::{Answers, Simulator};
use openai_bulk::{Client, Result};
use std::path::Path;

fn client(simulator: &Simulator) -> Result<Client> {
    let key = ApiKey::new("sk-simulated")?;
    Client::new(Config::new().base_url(simulator.base_url()).api_key(key))
}

/// The number of a recorded answer, whose last line is `A: 18`.
fn number(answer: &str) -> Option<String> {
    let line = answer.lines().next_back()?.strip_prefix("A: ")?;
    Some(line.replace(',', ""))
}

fn main() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("gsm8k-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the system has a folder for such files");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    for model in ["6b_finetuning", "175b_verification"] {
        let recorded = data.join(format!("gsm8k_replay_{model}.jsonl"));
        if !recorded.exists() {
            let questions = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/questions.jsonl");
            let simulator = Simulator::start()?;
            let fields = Fields { target: Some("prompt".into()), ..Fields::default() };
            let dataset = Dataset::open(questions, Shape::Fields(fields))?;
            // There are no right answers among these: whoever says something has answered.
            let scorer = Scorer::with("answered", |answer, _| Verdict::of(!answer.is_empty()));
            let evaluation = Evaluation::new(dataset, folder.join("questions.jsonl"))
                .prompt(Prompt::default().question("{prompt}")?)
                .scorer(scorer);
            print!("{}", evaluation.run(client(&simulator)?.caller())?.report);
            break;
        }
        let simulator = Simulator::builder().answers(Answers::from_file(recorded)?).start()?;
        let dataset = Dataset::open(data.join("gsm8k_test.jsonl"), Shape::Gsm8k)?;
        let scorer = Scorer::with("last line", |answer, task| {
            let said = number(answer);
            Verdict::of(said.as_ref() == Some(&task.target[0].replace(',', ""))).from_part(said)
        });
        let evaluation = Evaluation::new(dataset, folder.join(model)).scorer(scorer);
        print!("{model}: {}", evaluation.run(client(&simulator)?.caller())?.report);
    }
    let _ = std::fs::remove_dir_all(folder);
    Ok(())
}
