//! Tokens a second, on three kinds of text.
//!
//! `cargo bench --bench tokens`, and the same with `--features bpe-openai` for the other engine.
//! `benches/tokens/run` compares with Python's tiktoken in one run.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use openai_bulk::usage::{Encoding, count_request};

const ENGLISH: &str = "A ship made of steel floats because it holds much air: what counts is not \
    the weight of the metal alone, but that of everything below the line of the water, divided by \
    the room that it takes. Archimedes didn't have steel, yet his rule from 250 BC is all one \
    needs. A stone floats too, if it's hollow enough - pumice does. ";
const CODE: &str = "fn floats(mass_kg: f64, volume_m3: f64) -> bool {\n    const WATER: f64 = 997.0; \
    // kg/m3 at 25 C\n    let density = mass_kg / volume_m3;\n    if density.is_nan() {\n        \
    return false;\n    }\n    density < WATER\n}\n\n#[test]\nfn steel_boxes() { assert!(floats(7_850.0 * 0.05, 1.0)); }\n";
const CHINESE: &str = "鋼鐵造的船為什麼能浮在水上？因為船身是空的，裡面裝滿了空氣。重要的不是鋼的重量，\
    而是整艘船排開的水有多重。阿基米德在兩千多年前就發現了這個道理。石頭如果夠空，也能浮起來，例如浮石。\n";

fn texts(c: &mut Criterion) {
    let mut group = c.benchmark_group("tokens");
    group.sample_size(20);
    for (name, text) in [("English", ENGLISH), ("code", CODE), ("Chinese", CHINESE)] {
        let text = text.repeat((256 << 10) / text.len());
        let encoding = Encoding::O200kBase;
        group.throughput(Throughput::Elements(encoding.count(&text)));
        group.bench_function(name, |b| b.iter(|| encoding.count(&text)));
    }
    // What tiktoken-rs alone refuses or takes very long for.
    for (name, text) in [("a letter", "a"), ("a space", " ")] {
        let text = text.repeat(1 << 20);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("1 MiB of {name}"), |b| {
            b.iter(|| Encoding::O200kBase.count(&text));
        });
    }
    let request = serde_json::json!({"model": "gpt-4o-mini", "max_tokens": 100,
        "messages": [{"role": "user", "content": &ENGLISH.repeat(4)[..1_000]}]});
    let request = request.to_string().into_bytes();
    group.throughput(Throughput::Elements(1));
    group.bench_function("a request of 1 KB", |b| {
        b.iter(|| count_request("/v1/chat/completions", None, &request));
    });
    group.finish();
}

criterion_group!(tokens, texts);
criterion_main!(tokens);
