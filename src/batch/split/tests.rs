use super::super::part::{Job, Part};
use super::super::part_files::{PartFiles, each_line};
use super::super::store::Store;
use super::*;
use crate::usage::{Money, Prices};
use crate::wire::row::Format;
use proptest::prelude::*;
use std::fs;
use tempfile::TempDir;

struct Bench {
    _folder: TempDir,
    store: Store,
    job: Job,
    prices: Prices,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::in_memory(folder.path().join("files")).unwrap();
    let mut job = Job { name: "j".into(), ..Job::default() };
    store.add_job(&mut job).unwrap();
    Bench { _folder: folder, store, job, prices: Prices::builtin() }
}

impl Bench {
    fn split(&self, lines: &[String], limits: PartLimits, queue: Option<u64>) -> Vec<Part> {
        let (store, job, prices) = (&self.store, &self.job, &self.prices);
        let mut splitter = Splitter::new(store, job, limits, prices, |_| queue, 1, 9);
        let format = Format::default();
        for (at, line) in (1..).zip(lines) {
            splitter.add(&format.parse(at, line.as_bytes()).unwrap(), None).unwrap();
        }
        splitter.finish().unwrap()
    }

    fn ids(&self, part: &Part) -> Vec<String> {
        let files = PartFiles::of(&self.store, part);
        let (mut noted, mut sent) = (Vec::new(), Vec::new());
        files.each_note(|note| noted.push(note.custom_id.into_string())).unwrap();
        each_line(&files.requests(), |_, line| {
            let line: serde_json::Value = serde_json::from_slice(line).unwrap();
            sent.push(line["custom_id"].as_str().unwrap().to_owned());
            Ok(())
        })
        .unwrap();
        assert_eq!(noted, sent, "notes and requests go together");
        noted
    }
}

fn chat(id: usize, model: &str, text: &str) -> String {
    format!(
        r#"{{"custom_id":"r{id}","url":"/v1/chat/completions","body":{{"model":"{model}","max_tokens":5,"messages":[{{"role":"user","content":"{text}"}}]}}}}"#
    )
}

fn embed(id: usize, input: &str) -> String {
    format!(
        r#"{{"custom_id":"r{id}","url":"/v1/embeddings","body":{{"model":"text-embedding-3-small","input":{input}}}}}"#
    )
}

fn few(rows: u64) -> PartLimits {
    PartLimits { rows, ..PartLimits::default() }
}

#[test]
fn models_and_endpoints_do_not_mix_and_rows_keep_their_order() {
    let bench = bench();
    let lines = [
        chat(0, "gpt-4o", "a"),
        chat(1, "gpt-4o-mini", "b"),
        embed(2, "\"c\""),
        chat(3, "gpt-4o", "d"),
    ];
    let parts = bench.split(&lines, few(10), None);
    let found: Vec<_> =
        parts.iter().map(|p| (p.number, p.model.as_str(), p.rows, bench.ids(p))).collect();
    assert_eq!(
        found,
        [
            (1, "gpt-4o", 2, vec!["r0".into(), "r3".into()]),
            (2, "gpt-4o-mini", 1, vec!["r1".into()]),
            (3, "text-embedding-3-small", 1, vec!["r2".into()]),
        ]
    );
}

#[test]
fn a_part_is_closed_before_any_limit_is_passed() {
    let bench = bench();
    let lines: Vec<_> = (0..10).map(|n| chat(n, "gpt-4o", "hello")).collect();
    let sizes = |limits, queue| -> Vec<u64> {
        bench.split(&lines, limits, queue).iter().map(|part| part.rows).collect()
    };
    assert_eq!(sizes(few(4), None), [4, 4, 2]);
    let one = bench.split(&lines[..1], few(1), None)[0].clone();
    let bytes = PartLimits { bytes: one.bytes * 3, ..PartLimits::default() };
    assert_eq!(sizes(bytes, None), [3, 3, 3, 1]);
    assert_eq!(sizes(PartLimits::default(), Some(one.tokens * 5)), [5, 5]);
    // A row that is too large for any part has one of its own.
    assert_eq!(sizes(PartLimits::default(), Some(one.tokens - 1)), [1; 10]);
}

#[test]
fn inputs_of_embeddings_are_counted_over_all_rows() {
    let bench = bench();
    let limits = PartLimits { inputs: 5, ..PartLimits::default() };
    let lines = [
        embed(0, r#"["a","b","c"]"#),
        embed(1, r#"["d","e"]"#),
        embed(2, "\"one\""),
        embed(3, "[1,2,3,4,5,6,7]"),
        embed(4, "[[1,2],[3]]"),
    ];
    let rows: Vec<_> = bench.split(&lines, limits, None).iter().map(|p| p.rows).collect();
    assert_eq!(rows, [2, 3]);
}

#[test]
fn the_file_holds_what_the_server_wants_byte_for_byte() {
    let bench = bench();
    let line = r#"{"custom_id":"ä\"\u00e9","body":{"model":"gpt-4o","messages":[],"n":1.0},"metadata":{"x":[1]}}"#;
    let part = bench.split(&[line.into()], few(5), None).remove(0);
    let files = PartFiles::of(&bench.store, &part);
    let text = fs::read_to_string(files.requests()).unwrap();
    assert_eq!(
        text,
        concat!(
            r#"{"custom_id":"ä\"é","method":"POST","url":"/v1/chat/completions","#,
            r#""body":{"model":"gpt-4o","messages":[],"n":1.0}}"#,
            "\n"
        )
    );
    assert_eq!(part.bytes, text.len() as u64);
    let mut metadata = None;
    files.each_note(|note| metadata = note.metadata).unwrap();
    assert_eq!(metadata.unwrap().get(), r#"{"x":[1]}"#);
}

#[test]
fn what_a_part_may_cost_is_the_sum_of_its_rows_at_the_price_of_batches() {
    let bench = bench();
    let lines: Vec<_> = (0..3).map(|n| chat(n, "gpt-4o", "hi")).collect();
    let one = bench.split(&lines[..1], few(9), None)[0].clone();
    let all = bench.split(&lines, few(9), None)[0].clone();
    let single = one.most_money.unwrap();
    assert!(single > Money::ZERO);
    assert_eq!(all.most_money, Some(single.times(3)));
    let unknown = bench.split(&[chat(0, "nobody-knows", "hi")], few(9), None);
    assert_eq!(unknown[0].most_money, None);
}

proptest! {
    #[test]
    fn halves_hold_every_row_once_and_keep_the_order(rows in 2usize..40, queue in 20u64..400) {
        let bench = bench();
        let lines: Vec<_> = (0..rows).map(|n| chat(n, "gpt-4o", &"x".repeat(n * 7 % 50))).collect();
        let part = bench.split(&lines, few(100), None).remove(0);
        let limits = half(&part, few(100));
        let (store, job, prices) = (&bench.store, &bench.job, &bench.prices);
        let splitter = Splitter::new(store, job, limits, prices, |_| Some(queue), 2, 1);
        let files = PartFiles::of(store, &part);
        let halves = divide(&files, &part, splitter).unwrap();
        prop_assert!(halves.len() >= 2);
        for half in &halves {
            prop_assert!(half.rows <= part.rows.div_ceil(2));
            prop_assert!(half.rows == 1 || half.tokens <= queue);
        }
        let ids: Vec<_> = halves.iter().flat_map(|half| bench.ids(half)).collect();
        prop_assert_eq!(ids, bench.ids(&part));
        let tokens: u64 = halves.iter().map(|half| half.tokens).sum();
        prop_assert_eq!(tokens, part.tokens);
    }
}
