//! The same job through async-openai, with as many requests at once and its own back-off.

use async_openai::{Client, config::OpenAIConfig};
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, input, output, base_url, concurrency] = &args[..] else {
        panic!("usage: async-openai-peer INPUT OUTPUT BASE_URL CONCURRENCY")
    };
    let config = OpenAIConfig::new().with_api_key("sk-peer").with_api_base(base_url);
    let client = Client::with_config(config);
    let text = tokio::fs::read_to_string(input).await.unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answers = stream::iter(rows.into_iter().map(|row| {
        let client = client.clone();
        async move {
            let id = row["custom_id"].clone();
            let request = serde_json::from_value(row["body"].clone()).unwrap();
            match client.chat().create(request).await {
                Ok(answer) => json!({"id": id, "answer": answer.choices[0].message.content}),
                Err(e) => json!({"id": id, "error": e.to_string()}),
            }
        }
    }))
    .buffer_unordered(concurrency.parse().unwrap())
    .map(|line| line.to_string())
    .collect::<Vec<_>>()
    .await;
    tokio::fs::write(output, answers.join("\n") + "\n").await.unwrap();
}
