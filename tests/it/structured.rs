//! Answers in the form of a type.

use openai_bulk::api::schema::{JsonSchema, Outcome, Structured};
use openai_bulk::api::{ChatRequest, ResponsesRequest};
use openai_bulk::bulk::ParSend;
use openai_bulk::clock::ManualClock;
use openai_bulk::config::ApiKey;
use openai_bulk::transport::{Answer, Scripted};
use openai_bulk::{Client, Config};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[schemars(crate = "openai_bulk::api::schema::schemars")]
struct City {
    name: String,
    people: Option<u64>,
}

fn client(server: &Scripted) -> Client {
    let config = Config::new().api_key(ApiKey::new("sk-for-tests").unwrap());
    Client::builder(config).transport(server.clone()).clock(ManualClock::new()).build().unwrap()
}

fn chat(message: Value, finish: &str) -> Answer {
    let body = json!({"model": "gpt-4o-mini", "choices": [{"message": message, "finish_reason": finish}],
                      "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}});
    Answer::new(200, body.to_string())
}

fn response(part: Value, status: &str, why: Value) -> Answer {
    let body = json!({"object": "response", "status": status, "incomplete_details": why,
                      "output": [{"type": "message", "content": [part]}]});
    Answer::new(200, body.to_string())
}

const PARIS: &str = r#"{"name":"Paris","people":null}"#;

#[test]
fn each_way_in_which_a_chat_ends_is_an_outcome_of_its_own() {
    let says = |text: &str| json!({"role": "assistant", "content": text});
    let refuses = json!({"role": "assistant", "content": null, "refusal": "No."});
    for (answer, expected) in [
        (chat(says(PARIS), "stop"), Outcome::Value(City { name: "Paris".into(), people: None })),
        (chat(refuses, "stop"), Outcome::Refusal("No.".into())),
        (chat(says("{\"name\":\"Pa"), "length"), Outcome::Cut("{\"name\":\"Pa".into())),
        (chat(says("{"), "content_filter"), Outcome::Filtered("{".into())),
    ] {
        let server = Scripted::answers([answer]);
        let request = ChatRequest::ask("Where?").structured::<City>();
        let reply = client(&server).send_structured(&request).unwrap();
        assert_eq!(reply.outcome, expected);
        assert_eq!(reply.usage.as_ref().unwrap().total(), 8);
        let asked: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
        let format = &asked["response_format"];
        assert_eq!(
            (&format["type"], &format["json_schema"]["strict"]),
            (&json!("json_schema"), &json!(true))
        );
        assert_eq!(format["json_schema"]["name"], "City");
        assert_eq!(format["json_schema"]["schema"]["required"], json!(["name", "people"]));
    }
    let server = Scripted::answers([chat(says("{\"name\":7}"), "stop")]);
    let request = ChatRequest::ask("Where?").structured::<City>();
    let reply = client(&server).send_structured(&request).unwrap();
    assert!(
        matches!(&reply.outcome, Outcome::Invalid { text, error }
        if text == "{\"name\":7}" && error.contains("string")),
        "{:?}",
        reply.outcome
    );
}

#[test]
fn a_response_has_the_same_outcomes() {
    let says = |text: &str| json!({"type": "output_text", "text": text});
    let refuses = json!({"type": "refusal", "refusal": "No."});
    let cut = json!({"reason": "max_output_tokens"});
    let filtered = json!({"reason": "content_filter"});
    let of = |answer: Answer| -> Structured<City> {
        let server = Scripted::answers([answer]);
        let request = ResponsesRequest::ask("Where?").structured::<City>();
        let value = client(&server).send_structured(&request).unwrap().value;
        let asked: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
        let format = &asked["text"]["format"];
        assert_eq!((&format["type"], &format["name"]), (&json!("json_schema"), &json!("City")));
        assert_eq!(format["schema"]["additionalProperties"], false);
        value
    };
    let value = of(response(says(PARIS), "completed", Value::Null));
    assert_eq!(value.value().unwrap().name, "Paris");
    let outcome = of(response(refuses, "completed", Value::Null)).outcome;
    assert_eq!(outcome, Outcome::Refusal("No.".into()));
    let outcome = of(response(says("{"), "incomplete", cut)).outcome;
    assert_eq!(outcome, Outcome::Cut("{".into()));
    let outcome = of(response(says("{"), "incomplete", filtered)).outcome;
    assert_eq!(outcome, Outcome::Filtered("{".into()));
}

#[test]
fn an_answer_that_is_cut_is_asked_for_again_with_more_room_up_to_the_most() {
    let cut = || chat(json!({"content": "{"}), "length");
    let whole = chat(json!({ "content": PARIS }), "stop");
    let server = Scripted::answers([cut(), cut(), whole]);
    let request =
        ChatRequest::ask("x").max_completion_tokens(100).structured::<City>().retry_cut(250);
    let reply = client(&server).send_structured(&request).unwrap();
    assert!(reply.value().is_some());
    assert_eq!(reply.tries, 3);
    let ceilings: Vec<Value> = server
        .requests()
        .iter()
        .map(|each| {
            serde_json::from_slice::<Value>(&each.body).unwrap()["max_completion_tokens"].clone()
        })
        .collect();
    assert_eq!(ceilings, [json!(100), json!(200), json!(250)]);
    // All three are paid for.
    assert_eq!(reply.usage.as_ref().unwrap().total(), 3 * 8);
    assert_eq!(reply.facts.attempts, 3);
    let one = client(&Scripted::answers([cut()])).send(&ChatRequest::ask("x")).unwrap();
    assert_eq!(reply.cost.unwrap().total, one.cost.unwrap().total.times(3));
    // At the most, and without being told to, a cut answer is what it is.
    for request in [
        ChatRequest::ask("x").max_tokens(250).structured::<City>().retry_cut(250),
        ChatRequest::ask("x").max_tokens(100).structured::<City>(),
        ChatRequest::ask("x").structured::<City>().retry_cut(250),
    ] {
        let server = Scripted::answers([cut()]);
        let reply = client(&server).send_structured(&request).unwrap();
        assert_eq!((reply.tries, &reply.outcome), (1, &Outcome::Cut("{".into())));
    }
}

#[test]
fn a_try_without_a_known_price_leaves_the_sum_unknown() {
    let bare = |text: &str, finish: &str| {
        let choice = json!({"message": {"content": text}, "finish_reason": finish});
        Answer::new(200, json!({ "choices": [choice] }).to_string())
    };
    let server = Scripted::answers([bare("{", "length"), chat(json!({"content": PARIS}), "stop")]);
    let request = ChatRequest::ask("x").max_tokens(100).structured::<City>().retry_cut(200);
    let reply = client(&server).send_structured(&request).unwrap();
    assert!(reply.value().is_some() && reply.cost.is_none());
    assert_eq!(reply.usage.as_ref().unwrap().total(), 8, "as far as they were told");
}

#[test]
fn many_can_be_asked_for_at_once() {
    let server = Scripted::rule(|asked| {
        let body: Value = serde_json::from_slice(&asked.body).unwrap();
        let says = |text: &str| json!({"role": "assistant", "content": text});
        Ok(match (&body["messages"][0]["content"], &body["input"]) {
            (Value::String(text), _) if text == "1" => chat(says("{\"name\":"), "length"),
            (Value::String(_), _) => chat(says(PARIS), "stop"),
            _ => response(json!({"type": "output_text", "text": PARIS}), "completed", Value::Null),
        })
    });
    let client = client(&server);
    let wanted = |item: &u32| ChatRequest::ask(item.to_string()).structured::<City>();
    let names: Vec<Result<String, String>> =
        [0, 1, 2].par_send(client.bulk(), wanted).map(|_, reply| match &reply.unwrap().outcome {
            Outcome::Value(city) => Ok(city.name.clone()),
            Outcome::Cut(text) => Err(text.clone()),
            other => panic!("{other:?}"),
        });
    assert_eq!(names, [Ok("Paris".into()), Err("{\"name\":".into()), Ok("Paris".into())]);
    let wanted = |_: &u32| ResponsesRequest::ask("Where?").structured::<City>();
    let found = [0].par_send(client.bulk(), wanted).map(|_, reply| reply.unwrap().value.tries);
    assert_eq!(found, [1]);
    // What cannot be expressed is an error of each.
    let wanted = |_: &u32| ChatRequest::ask("x").structured::<Vec<City>>();
    let refused =
        [0].par_send(client.bulk(), wanted).map(|_, reply| reply.unwrap_err().to_string());
    assert!(refused[0].contains("must be an object"), "{refused:?}");
}

#[test]
fn what_holds_no_value_says_why() {
    let told = |answer: Answer| {
        let server = Scripted::answers([answer]);
        let request = ResponsesRequest::ask("x").structured::<City>();
        match client(&server).send_structured(&request).unwrap().value.outcome {
            Outcome::Invalid { error, .. } => error,
            other => panic!("{other:?}"),
        }
    };
    let failed = json!({"object": "response", "status": "failed", "output": [],
                        "error": {"code": "invalid_prompt", "message": "not this one"}});
    assert_eq!(told(Answer::new(200, failed.to_string())), "the response failed: not this one");
    let called = json!({"object": "response", "status": "completed",
                        "output": [{"type": "function_call", "name": "f", "arguments": "{}"}]});
    assert_eq!(told(Answer::new(200, called.to_string())), "the answer has no text");
}

#[test]
fn a_type_that_strict_mode_cannot_express_is_refused_before_anything_is_sent() {
    let server = Scripted::answers([]);
    let request = ChatRequest::ask("x").structured::<Vec<String>>();
    let error = client(&server).send_structured(&request).unwrap_err();
    assert!(error.to_string().contains("must be an object"), "{error}");
    assert!(server.requests().is_empty());
}

#[cfg(feature = "simulator")]
#[test]
fn the_simulator_answers_in_the_form_that_is_asked_for() {
    let simulator = openai_bulk::simulator::Simulator::start().unwrap();
    let config = Config::new().base_url(simulator.base_url()).api_key(ApiKey::new("k").unwrap());
    let client = Client::new(config).unwrap();
    let reply = client.send_structured(&ChatRequest::ask("x").structured::<City>()).unwrap();
    assert!(reply.value().is_some(), "{:?}", reply.outcome);
    let reply = client.send_structured(&ResponsesRequest::ask("x").structured::<City>()).unwrap();
    assert!(reply.value().is_some(), "{:?}", reply.outcome);
}

#[test]
fn a_typed_tool_gets_its_arguments_and_gives_json() {
    #[derive(Deserialize, JsonSchema)]
    #[schemars(crate = "openai_bulk::api::schema::schemars")]
    struct Sum {
        a: i64,
        b: i64,
    }
    let call = |arguments: &str| {
        json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "c", "type": "function", "function": {"name": "add", "arguments": arguments}}]})
    };
    let server = Scripted::answers([
        chat(call("{\"a\":1}"), "tool_calls"),
        chat(call("{\"a\":1,\"b\":2}"), "tool_calls"),
        chat(json!({"role": "assistant", "content": "3"}), "stop"),
    ]);
    let run = client(&server)
        .tools(ChatRequest::ask("1+2?"))
        .typed("add", "Adds.", |sum: Sum| Ok::<_, std::io::Error>(json!({"sum": sum.a + sum.b})))
        .run()
        .unwrap();
    assert_eq!(run.reply.text(), "3");
    let texts: Vec<String> = run.messages.iter().map(|message| message.text()).collect();
    assert!(texts[2].contains("missing field `b`"), "{texts:?}");
    assert_eq!(texts[4], "{\"sum\":3}");
    let asked: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
    assert_eq!(asked["tools"][0]["function"]["strict"], true);
    assert_eq!(asked["tools"][0]["function"]["parameters"]["required"], json!(["a", "b"]));
}
