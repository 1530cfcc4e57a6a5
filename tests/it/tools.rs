//! A model that calls tools.

use openai_bulk::api::{ChatRequest, Role, Tool, ToolEnd};
use openai_bulk::clock::{ManualClock, Stop};
use openai_bulk::config::ApiKey;
use openai_bulk::transport::{Answer, Scripted};
use openai_bulk::{Client, Config, Error};
use serde_json::{Value, json};

fn client(server: &Scripted) -> Client {
    let config = Config::new().api_key(ApiKey::new("sk-for-tests").unwrap());
    Client::builder(config).transport(server.clone()).clock(ManualClock::new()).build().unwrap()
}

fn reply(message: Value) -> Answer {
    let usage = json!({"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8});
    let body = json!({"model": "gpt-4o-mini", "choices": [{"message": message}], "usage": usage});
    Answer::new(200, body.to_string())
}

/// The model calls these tools with these arguments.
fn calls(all: &[(&str, &str)]) -> Answer {
    let call = |(at, (name, arguments)): (usize, &(&str, &str))| {
        json!({"id": format!("c{at}"), "type": "function",
               "function": {"name": name, "arguments": arguments}})
    };
    let calls: Vec<Value> = all.iter().enumerate().map(call).collect();
    reply(json!({"role": "assistant", "content": null, "tool_calls": calls}))
}

fn says(text: &str) -> Answer {
    reply(json!({"role": "assistant", "content": text}))
}

fn weather() -> Tool {
    let city = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    Tool::new("weather", "Tells the weather.", city)
}

fn sunny(arguments: Value) -> Result<String, std::io::Error> {
    Ok(format!("sunny in {}", arguments["city"].as_str().unwrap_or("nowhere")))
}

#[test]
fn tools_are_called_in_order_until_the_model_answers_and_all_is_told() {
    let both = [("weather", r#"{"city":"Rome"}"#), ("weather", r#"{"city":"Oslo"}"#)];
    let server = Scripted::answers([calls(&both), says("Sunny in both.")]);
    let request = ChatRequest::ask("Where is the sun?");
    let run = client(&server).tools(request).tool(weather(), sunny).run().unwrap();
    assert_eq!((run.reply.text().as_str(), run.turns), ("Sunny in both.", 2));
    assert_eq!(run.end, ToolEnd::Answered);
    let told: Vec<(Role, Option<&str>, String)> = run
        .messages
        .iter()
        .map(|each| (each.role.clone(), each.tool_call_id.as_deref(), each.text()))
        .collect();
    assert_eq!(told[2], (Role::Tool, Some("c0"), "sunny in Rome".into()));
    assert_eq!(told[3], (Role::Tool, Some("c1"), "sunny in Oslo".into()));
    assert_eq!(told[4].0, Role::Assistant);
    let asked: Value = serde_json::from_slice(&server.requests()[1].body).unwrap();
    assert_eq!(asked["messages"].as_array().unwrap().len(), 4);
    assert_eq!(asked["tools"][0]["function"]["name"], "weather");
    assert_eq!(run.cost.unwrap(), run.reply.cost.as_ref().unwrap().total.times(2));
}

#[test]
fn the_model_is_told_of_its_mistakes_and_may_not_make_them_for_ever() {
    let server = Scripted::answers([
        calls(&[("wether", "{}"), ("weather", "{\"city\":")]),
        calls(&[("weather", "")]),
        says("It is sunny."),
    ]);
    let run = client(&server).tools(ChatRequest::ask("x")).tool(weather(), sunny).run().unwrap();
    assert_eq!(run.end, ToolEnd::Answered);
    let texts: Vec<String> = run.messages.iter().map(|each| each.text()).collect();
    assert!(texts[2].contains("no tool of this name, only: weather"), "{texts:?}");
    assert!(texts[3].contains("the arguments are not valid"), "{texts:?}");
    assert_eq!(texts[5], "sunny in nowhere", "no arguments are empty ones");

    let server = Scripted::rule(|_| Ok(calls(&[("nothing", "{}")])));
    let run = client(&server)
        .tools(ChatRequest::ask("x"))
        .tool(weather(), sunny)
        .max_mistakes(2)
        .run()
        .unwrap();
    assert_eq!((run.end, run.turns), (ToolEnd::OutOfMistakes, 3));
}

#[test]
fn a_model_that_goes_on_calling_runs_out_of_turns() {
    let server = Scripted::rule(|_| Ok(calls(&[("weather", "{}")])));
    let run = client(&server)
        .tools(ChatRequest::ask("x"))
        .tool(weather(), sunny)
        .max_turns(4)
        .run()
        .unwrap();
    assert_eq!((run.end, run.turns), (ToolEnd::OutOfTurns, 4));
    assert_eq!(server.requests().len(), 4);
    assert_eq!(run.messages.len(), 9, "the results of the last turn are there too");
}

#[test]
fn what_fails_in_a_tool_is_given_back_to_its_owner() {
    let server = Scripted::answers([calls(&[("weather", "{}")])]);
    let error = client(&server)
        .tools(ChatRequest::ask("x"))
        .tool(weather(), |_| Err("the station is closed"))
        .run()
        .unwrap_err();
    let Error::Tool(failed) = error else { panic!("{error:?}") };
    assert_eq!(
        (failed.name.as_str(), failed.source.to_string().as_str()),
        ("weather", "the station is closed")
    );
}

#[test]
fn a_loop_that_is_stopped_asks_no_more() {
    let server = Scripted::rule(|_| Ok(calls(&[("weather", "{}")])));
    let stop = Stop::new();
    let stopping = stop.clone();
    let error = client(&server)
        .tools(ChatRequest::ask("x"))
        .tool(weather(), move |arguments| {
            stopping.abort();
            sunny(arguments)
        })
        .stop(&stop)
        .run()
        .unwrap_err();
    assert!(error.is_cancelled());
    assert_eq!(server.requests().len(), 1);
}
