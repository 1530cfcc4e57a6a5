//! A model that calls tools.

use openai_bulk::api::{ChatRequest, ResponsesRequest, Role, Tool, ToolEnd};
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

/// What the server was asked.
fn bodies(server: &Scripted) -> Vec<Value> {
    let requests = server.requests();
    requests.iter().map(|each| serde_json::from_slice(&each.body).unwrap()).collect()
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
    assert_eq!((run.usage.input(), run.usage.output(), run.usage.total()), (10, 6, 16));
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
fn the_model_is_told_of_a_tool_that_fails_and_may_try_something_else() {
    let server =
        Scripted::answers([calls(&[("weather", "{}"), ("weather", "{}")]), says("Sorry.")]);
    let mut tries = 0;
    let run = client(&server)
        .tools(ChatRequest::ask("x"))
        .tool(weather(), |arguments| {
            tries += 1;
            if tries == 1 { Err("the station is closed") } else { Ok(sunny(arguments).unwrap()) }
        })
        .run()
        .unwrap();
    assert_eq!((run.end, run.reply.text().as_str()), (ToolEnd::Answered, "Sorry."));
    assert_eq!(run.messages[2].text(), "error: the tool failed: the station is closed");
    assert_eq!(run.messages[3].text(), "sunny in nowhere");

    let server = Scripted::rule(|_| Ok(calls(&[("weather", "{}")])));
    let closed = |_| Err::<String, _>("closed");
    let run = client(&server).tools(ChatRequest::ask("x")).tool(weather(), closed).run().unwrap();
    assert_eq!((run.end, run.turns), (ToolEnd::OutOfMistakes, 4));
}

#[test]
fn a_failure_that_is_to_end_the_loop_is_given_back_to_its_owner() {
    let server = Scripted::answers([calls(&[("weather", "{}")])]);
    let error = client(&server)
        .tools(ChatRequest::ask("x"))
        .tool(weather(), |_| Err("the station is closed"))
        .end_on_failure()
        .run()
        .unwrap_err();
    let Error::Tool(failed) = error else { panic!("{error:?}") };
    assert_eq!(
        (failed.name.as_str(), failed.source.to_string().as_str()),
        ("weather", "the station is closed")
    );
}

#[test]
fn a_tool_that_panics_leaves_the_client_as_it_was() {
    let server = Scripted::answers([calls(&[("weather", "{}")]), says("Hello.")]);
    let client = client(&server);
    let run = || {
        let panics = |_: Value| -> Result<String, std::io::Error> { panic!("out of the tool") };
        client.tools(ChatRequest::ask("x")).tool(weather(), panics).run()
    };
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err());
    assert_eq!(client.gate().in_flight(), 0);
    assert_eq!(client.send(&ChatRequest::ask("x")).unwrap().text(), "Hello.");
}

#[test]
fn a_tool_that_is_forced_is_forced_once() {
    for (choice, later) in [
        (json!("required"), Value::Null),
        (json!({"type": "function", "function": {"name": "weather"}}), Value::Null),
        (json!("auto"), json!("auto")),
        (json!({"type": "allowed_tools"}), json!({"type": "allowed_tools"})),
    ] {
        let server = Scripted::answers([calls(&[("weather", "{}")]), says("Sunny.")]);
        let request = ChatRequest::ask("x").tool_choice(choice.clone());
        let run = client(&server).tools(request).tool(weather(), sunny).run().unwrap();
        assert_eq!(run.end, ToolEnd::Answered);
        let asked = bodies(&server);
        assert_eq!((&asked[0]["tool_choice"], &asked[1]["tool_choice"]), (&choice, &later));
    }
}

#[test]
fn what_a_model_said_without_saying_who_it_is_is_resent_as_its_own() {
    let call = json!({"function": {"name": "weather", "arguments": "{}"}});
    let server = Scripted::answers([reply(json!({"tool_calls": [call]})), says("Sunny.")]);
    let run = client(&server).tools(ChatRequest::ask("x")).tool(weather(), sunny).run().unwrap();
    assert_eq!(run.messages[1].role, Role::Assistant);
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

#[test]
fn a_loop_that_is_stopped_uses_no_other_tool() {
    let server = Scripted::answers([calls(&[("weather", "{}"), ("weather", "{}")])]);
    let (stop, mut used) = (Stop::new(), 0);
    let stopping = stop.clone();
    let error = client(&server)
        .tools(ChatRequest::ask("x"))
        .tool(weather(), |arguments| {
            used += 1;
            stopping.abort();
            sunny(arguments)
        })
        .stop(&stop)
        .run()
        .unwrap_err();
    assert!(error.is_cancelled());
    assert_eq!(used, 1);
}

fn response(output: Value) -> Answer {
    let usage = json!({"input_tokens": 5, "output_tokens": 3, "total_tokens": 8,
                       "output_tokens_details": {"reasoning_tokens": 2}});
    let body = json!({"object": "response", "status": "completed", "model": "gpt-4o-mini",
                      "output": output, "usage": usage});
    Answer::new(200, body.to_string())
}

fn wants(call: &str, city: &str) -> Value {
    json!({"type": "function_call", "id": format!("fc_{call}"), "call_id": call, "status": "completed",
           "name": "weather", "arguments": json!({"city": city}).to_string()})
}

fn answers() -> Value {
    let content = json!([{"type": "output_text", "text": "Sunny.", "annotations": []}]);
    json!({"type": "message", "id": "m", "role": "assistant", "content": content})
}

#[test]
fn a_response_calls_tools_too_and_every_turn_has_all_items_of_those_before_it() {
    let thought =
        json!({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": null});
    let first = json!([thought, wants("a", "Rome"), wants("b", "Oslo")]);
    let server = Scripted::answers([response(first), response(json!([answers()]))]);
    let request = ResponsesRequest::ask("Where is the sun?").set("tool_choice", "required");
    let run = client(&server).tools(request).tool(weather(), sunny).run().unwrap();
    assert_eq!((run.reply.text().as_str(), run.turns), ("Sunny.", 2));
    assert_eq!(run.end, ToolEnd::Answered);
    assert_eq!((run.usage.total(), run.usage.reasoning()), (16, 4));
    assert_eq!(run.cost.unwrap(), run.reply.cost.as_ref().unwrap().total.times(2));
    let told = |call: &str, text: &str| json!({"type": "function_call_output", "call_id": call, "output": text});
    let asked = bodies(&server);
    assert_eq!(asked[0]["input"], "Where is the sun?");
    assert_eq!(asked[0]["tools"][0]["name"], "weather");
    let expected = json!([
        {"role": "user", "content": "Where is the sun?"},
        thought, wants("a", "Rome"), wants("b", "Oslo"),
        told("a", "sunny in Rome"), told("b", "sunny in Oslo"),
    ]);
    assert_eq!(asked[1]["input"], expected);
    assert!(asked[1].get("tool_choice").is_none() && asked[1]["tools"] == asked[0]["tools"]);
    assert_eq!(run.messages.len(), 7);
    assert_eq!(run.messages[6], answers());
}

#[test]
fn a_server_that_is_to_keep_nothing_is_sent_nothing_that_it_would_have_to_look_up() {
    let sealed = |sealed: Value| json!({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": sealed});
    let first = json!([sealed(Value::Null), sealed(json!("x")), wants("a", "Rome")]);
    let server = Scripted::answers([response(first), response(json!([answers()]))]);
    let request = ResponsesRequest::ask("x").store(false);
    let run = client(&server).tools(request).tool(weather(), sunny).run().unwrap();
    let input = bodies(&server)[1]["input"].clone();
    assert_eq!(input.as_array().unwrap().len(), 4, "{input}");
    assert_eq!(input[1], sealed(json!("x")));
    assert_eq!((&input[2]["call_id"], input[2].get("id")), (&json!("a"), None));
    assert_eq!(run.messages.len(), 6, "what was said is told as it was");
}

#[test]
fn a_conversation_is_sent_only_what_it_does_not_have() {
    let server = Scripted::answers([
        response(json!([wants("a", "Rome")])),
        response(
            json!([{"type": "custom_tool_call", "call_id": "b", "name": "sing", "input": "la"}]),
        ),
        response(json!([answers()])),
    ]);
    let request = ResponsesRequest::ask("x").set("conversation", "conv_1");
    let run = client(&server).tools(request).tool(weather(), sunny).run().unwrap();
    let asked = bodies(&server);
    let told = |at: usize| {
        (asked[at]["input"][0]["type"].clone(), asked[at]["input"].as_array().unwrap().len())
    };
    assert_eq!(told(1), (json!("function_call_output"), 1));
    assert_eq!(told(2), (json!("custom_tool_call_output"), 1));
    assert!(asked[2]["input"][0]["output"].as_str().unwrap().contains("no tool of this name"));
    assert_eq!((run.turns, run.end), (3, ToolEnd::Answered));
}

#[test]
fn a_response_that_goes_on_calling_runs_out_of_turns() {
    let server = Scripted::rule(|_| Ok(response(json!([wants("a", "Rome")]))));
    let request = ResponsesRequest::ask("x");
    let run = client(&server).tools(request).tool(weather(), sunny).max_turns(3).run().unwrap();
    assert_eq!((run.end, run.turns, server.requests().len()), (ToolEnd::OutOfTurns, 3, 3));
}
