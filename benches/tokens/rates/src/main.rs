//! One side of the comparison with Python's tiktoken; see `../run`.

use base64::Engine;
use openai_bulk::usage::Encoding;
use serde_json::json;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

type Encode = fn(&str, &str) -> Vec<u32>;

const ENGINES: [(&str, Encode); 3] = [
    ("openai-bulk", |name, text| Encoding::named(name).unwrap().encode(text)),
    ("tiktoken-rs", |name, text| tiktoken(name).encode_ordinary(text)),
    ("bpe-openai", |name, text| bpe(name).encode(text)),
];

fn tiktoken(name: &str) -> &'static tiktoken_rs::CoreBPE {
    match name {
        "cl100k_base" => tiktoken_rs::cl100k_base_singleton(),
        _ => tiktoken_rs::o200k_base_singleton(),
    }
}

fn bpe(name: &str) -> &'static bpe_openai::Tokenizer {
    match name {
        "cl100k_base" => bpe_openai::cl100k_base(),
        _ => bpe_openai::o200k_base(),
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args[1].as_str() {
        "ranks" => ranks(&args[2], &args[3]),
        "ids" => ids(),
        "rate" => rate(&args[2], &args[3]),
        other => panic!("{other} is none of ranks, ids, rate"),
    }
}

/// Writes the ranks of an encoding as OpenAI's own files have them.
fn ranks(name: &str, path: &str) {
    let vocabulary = tiktoken(name);
    let special: Vec<_> = vocabulary.special_tokens().into_iter().map(str::as_bytes).collect();
    let mut out = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    for rank in 0..210_000 {
        let Ok(bytes) = vocabulary.decode_bytes(&[rank]) else { continue };
        if !special.contains(&&*bytes) {
            let token = base64::engine::general_purpose::STANDARD.encode(bytes);
            writeln!(out, "{token} {rank}").unwrap();
        }
    }
}

/// For each JSON string of standard input, a line with its tokens by each engine and encoding.
fn ids() {
    let mut out = std::io::BufWriter::new(std::io::stdout());
    for line in std::io::stdin().lock().lines() {
        let text: String = serde_json::from_str(&line.unwrap()).unwrap();
        let all: Vec<_> = ["o200k_base", "cl100k_base"]
            .iter()
            .flat_map(|name| ENGINES.map(|(_, encode)| encode(name, &text)))
            .collect();
        writeln!(out, "{}", json!(all)).unwrap();
    }
}

/// Tokens a second of each engine on one thread, over so many seconds each.
fn rate(path: &str, seconds: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    let time = Duration::from_secs_f64(seconds.parse().unwrap());
    let mut rates = serde_json::Map::new();
    for (name, encode) in ENGINES {
        encode("o200k_base", &text);
        let (begun, mut tokens) = (Instant::now(), 0);
        while begun.elapsed() < time {
            tokens += black_box(encode("o200k_base", black_box(&text))).len();
        }
        rates.insert(name.into(), json!(tokens as f64 / begun.elapsed().as_secs_f64()));
    }
    println!("{}", json!(rates));
}
