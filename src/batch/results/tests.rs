use super::super::part::{Job, Part};
use super::super::part_files::{PartFiles, RowNote};
use super::super::store::Store;
use super::join::Joined;
use super::line::Line;
use super::*;
use crate::usage::Prices;
use crate::wire::row::id_hash;
use proptest::prelude::*;

fn note(id: &str) -> RowNote {
    RowNote {
        custom_id: id.into(),
        line: 1,
        fingerprint: 1,
        tokens: 1,
        inputs: 0,
        money: None,
        most: None,
        kept_as: None,
        metadata: None,
    }
}

fn rank(line: &str) -> Option<Rank> {
    Line::read(line.as_bytes()).map(|line| line.rank())
}

const GOOD: &str = r#"{"id":"chatcmpl-1","model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

fn line(id: &str, status: u16, body: &str) -> String {
    format!(
        r#"{{"id":"b","custom_id":"{id}","response":{{"status_code":{status},"request_id":"r","body":{body}}},"error":null}}"#
    )
}

#[test]
fn every_kind_of_line_is_judged() {
    let undone = |code: &str| {
        format!(r#"{{"custom_id":"a","response":null,"error":{{"code":"{code}","message":"m"}}}}"#)
    };
    let fault = r#"{"error":{"message":"m","type":"invalid_request_error","code":"context_length_exceeded"}}"#;
    for (text, expected) in [
        (line("a", 200, GOOD), Some(Rank::Answer)),
        (line("a", 400, fault), Some(Rank::Refused)),
        (line("a", 404, "{}"), Some(Rank::Refused)),
        (line("a", 429, "{}"), Some(Rank::Again)),
        (line("a", 500, "null"), Some(Rank::Again)),
        // 2,000 completed, and a status that is none.
        (line("a", 0, "{}"), Some(Rank::Again)),
        (line("a", 200, GOOD).replace(":200", ":\"200\""), Some(Rank::Answer)),
        (line("a", 200, GOOD).replace("\"status_code\":200,", ""), Some(Rank::Answer)),
        (line("a", 200, "{}").replace("\"status_code\":200,", ""), Some(Rank::Again)),
        (line("a", 200, "\"\""), Some(Rank::Broken)),
        (line("a", 200, "null"), Some(Rank::Broken)),
        (line("a", 200, r#"{"error":{"message":"x"}}"#), Some(Rank::Broken)),
        (undone("batch_expired"), Some(Rank::Again)),
        (undone("batch_cancelled"), Some(Rank::Again)),
        (undone("request_timeout"), Some(Rank::Again)),
        (r#"{"custom_id":"a","response":null,"error":null}"#.into(), Some(Rank::Again)),
        (r#"{"custom_id":"a"}"#.into(), Some(Rank::Again)),
        (r#"{"custom_id":7,"response":null}"#.into(), Some(Rank::Again)),
        (r#"{"response":null,"error":null}"#.into(), None),
        (line("a", 200, GOOD)[..60].into(), None),
        ("<html>502</html>".into(), None),
        ("[]".into(), None),
    ] {
        assert_eq!(rank(&text), expected, "{text}");
    }
}

#[test]
fn lines_of_servers_that_write_them_in_their_own_way_are_understood() {
    // OGX writes the body as a text, and an error with its type alone.
    let body = serde_json::to_string(GOOD).unwrap();
    let outcome = |text: &str| {
        Line::read(text.as_bytes()).unwrap().outcome(&Prices::builtin(), "gpt-4o-mini")
    };
    let Outcome::Result(answer) = outcome(&line("a", 200, &body)) else { panic!("it is one") };
    assert_eq!(answer.unwrap().body, GOOD.as_bytes());
    let failed =
        r#"{"id":"b","custom_id":"a","error":{"type":"request_failed","message":"too long"}}"#;
    assert_eq!(rank(failed), Some(Rank::Again));
    let Outcome::Undone { code, message } = outcome(failed) else { panic!("it was not done") };
    assert_eq!((code.as_str(), message.as_str()), ("request_failed", "too long"));
}

#[test]
fn an_answer_with_bytes_that_are_no_text_is_broken_and_not_lost() {
    let mut bytes = line("a", 200, &GOOD.replace("chatcmpl", "@")).into_bytes();
    let at = bytes.iter().position(|b| *b == b'@').unwrap();
    bytes[at] = 0xff;
    assert_eq!(Line::read(&bytes).unwrap().rank(), Rank::Broken);
}

#[test]
fn the_lines_of_the_real_batch_api_are_understood() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/openai/batch_lines.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: the shared data is not here");
        return;
    };
    let known: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut seen = 0;
    for (name, expected) in [
        ("output_success", Rank::Answer),
        ("error_file_http_error", Rank::Refused),
        ("error_file_expired", Rank::Again),
    ] {
        for line in known[name].as_array().unwrap() {
            assert_eq!(rank(&line.to_string()), Some(expected), "{line}");
            seen += 1;
        }
    }
    assert!(seen >= 5);
}

#[test]
fn the_better_line_counts_and_of_equals_the_first() {
    let mut joined = Joined::new(["a", "b"].map(id_hash));
    let expired = r#"{"custom_id":"a","response":null,"error":{"code":"batch_expired"}}"#;
    joined.look(0, 0, expired.as_bytes());
    joined.look(0, 100, line("a", 200, GOOD).as_bytes());
    joined.look(1, 0, line("a", 200, GOOD).as_bytes());
    joined.look(1, 50, line("z", 200, GOOD).as_bytes());
    joined.look(1, 90, b"{torn");
    joined.close();
    assert_eq!(joined.outcome_of(0, 0, expired.as_bytes()), None);
    assert_eq!(joined.outcome_of(0, 100, line("a", 200, GOOD).as_bytes()), Some(0));
    assert_eq!(joined.outcome_of(1, 0, line("a", 200, GOOD).as_bytes()), None);
    let odd = joined.oddities;
    assert_eq!((odd.repeated, odd.unknown, odd.unreadable, odd.missing), (2, 1, 1, 1));
}

#[test]
fn the_cost_of_an_answer_is_that_of_a_batch() {
    let text = line("a", 200, &GOOD.replace(":1,", ":1000000,"));
    let outcome = Line::read(text.as_bytes()).unwrap().outcome(&Prices::builtin(), "gpt-4o-mini");
    let Outcome::Result(result) = outcome else { panic!("{outcome:?}") };
    let cost = result.unwrap().cost.unwrap();
    assert_eq!(cost.tier, crate::usage::Tier::Batch);
    assert!(cost.saved_by_batch > crate::usage::Money::ZERO);
}

/// A line as a bad server might write it.
fn any_line(rows: usize) -> impl Strategy<Value = Vec<u8>> {
    let id = 0..rows + 2;
    (id, 0usize..10, 1usize..400).prop_map(|(id, kind, cut)| {
        let id = format!("r{id}");
        let text = match kind {
            0..=2 => line(&id, 200, GOOD),
            3 => line(&id, 400, "{}"),
            4 => line(&id, 500, "{}"),
            5 => line(&id, 200, "\"\""),
            6 => format!(
                r#"{{"custom_id":"{id}","response":null,"error":{{"code":"batch_expired"}}}}"#
            ),
            7 => "not a line".into(),
            8 => String::new(),
            _ => {
                let mut text = line(&id, 200, GOOD);
                text.truncate(cut.min(text.len()));
                text
            }
        };
        text.into_bytes()
    })
}

proptest! {
    #[test]
    fn each_row_has_exactly_one_outcome_whatever_the_server_writes(
        rows in 1usize..12,
        seed in proptest::collection::vec(any_line(12), 0..60),
        divide in 0usize..60,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::in_memory(folder.path()).unwrap();
        let mut job = Job { name: "j".into(), ..Default::default() };
        store.add_job(&mut job).unwrap();
        let part = Part { job: job.id, number: 1, model: "gpt-4o".into(), ..Part::default() };
        let files = PartFiles::of(&store, &part);
        let notes: String = (0..rows)
            .map(|n| serde_json::to_string(&note(&format!("r{n}"))).unwrap() + "\n")
            .collect();
        std::fs::write(files.rows(), notes).unwrap();
        let divide = divide.min(seed.len());
        std::fs::write(files.output(), seed[..divide].join(&b'\n')).unwrap();
        std::fs::write(files.errors(), seed[divide..].join(&b'\n')).unwrap();
        let mut seen = vec![0; rows];
        let mut ranks = vec![Rank::Missing; rows];
        join(&files, &Prices::builtin(), &part, |note, row, rank, outcome| {
            assert_eq!(&*note.custom_id, format!("r{row}"));
            assert_eq!(outcome.is_none(), rank == Rank::Missing);
            seen[row] += 1;
            ranks[row] = rank;
            Ok(())
        }).unwrap();
        prop_assert!(seen.iter().all(|&count| count == 1), "{:?}", seen);
        // Nothing better was passed over.
        for text in &seed {
            let Some(line) = Line::read(text) else { continue };
            let row: usize = line.custom_id[1..].parse().unwrap();
            if row < rows {
                prop_assert!(ranks[row] >= line.rank());
            }
        }
    }
}
