//! A line of answers, read for what it is worth.

use super::sample::Task;
use super::scorer::Verdict;
use crate::api::{ChatReply, ResponsesReply};
use crate::usage::{Money, Prices, cost_of_answer};
use crate::wire::answer::check_answer;
use crate::wire::row::{read_output, read_paid};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Why there is no answer, or none that could be judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Fault {
    /// A short, stable name: the server's code or status, what broke, or `scorer`.
    pub kind: String,
    /// What happened.
    pub message: String,
}

/// What became of one repeat of a sample: a line of an evaluation's output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SampleResult {
    /// Id of the sample.
    pub id: String,
    /// Which of its repeats, from 1.
    pub epoch: u32,
    /// What it is counted under besides the whole.
    pub group: Option<String>,
    /// The answers that are right.
    pub target: Vec<String>,
    /// What the model said, if it did.
    pub answer: Option<String>,
    /// Why the answer ended, in the server's word, such as `stop` or `length`; `refusal` where the
    /// model refused.
    pub finish_reason: Option<String>,
    /// What was taken for the answer, where the text is longer.
    pub extracted: Option<String>,
    /// From 0, wrong, to 1, right; none with an error.
    pub score: Option<f64>,
    /// Whether the score is 1.
    pub correct: Option<bool>,
    /// The name of the verdict, where there are more than right and wrong.
    pub label: Option<String>,
    /// Why there is no score.
    pub error: Option<Fault>,
    /// Tokens of the request.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
    /// What the answer cost, with its grading; none where the price is not known.
    pub cost: Option<Money>,
    /// The model that answered.
    pub model: Option<String>,
}

/// A line of answers, not judged yet.
pub(super) struct Answered {
    pub(super) id_hash: u64,
    pub(super) is_ok: bool,
    pub(super) task: Task,
    pub(super) result: SampleResult,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    response: Option<Response<'a>>,
    error: Option<Fail>,
    x_run: Option<Run>,
}

#[derive(Deserialize)]
struct Response<'a> {
    status_code: u16,
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fail {
    code: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct Run {
    metadata: Option<Task>,
}

impl Answered {
    /// Reads a line; `None` if it is none of an evaluation, or not whole.
    pub(super) fn read(line: &[u8], prices: &Prices) -> Option<Answered> {
        let known = read_output(line)?;
        let text = std::str::from_utf8(line).ok()?;
        let raw: Line<'_> = serde_json::from_str(text).ok()?;
        let task = raw.x_run?.metadata?;
        let mut result = SampleResult {
            id: task.id.clone(),
            epoch: task.epoch,
            group: task.group.clone(),
            target: task.target.clone(),
            ..SampleResult::default()
        };
        if known.ok {
            let body = raw.response?.body.get();
            match said(body) {
                Ok(said) => {
                    (result.answer, result.finish_reason) = (Some(said.text), said.finish_reason);
                }
                Err(fault) => result.error = Some(fault),
            }
            result.count(line, body, prices);
        } else {
            result.error = Some(fault(raw.response.as_ref(), raw.error));
        }
        Some(Answered { id_hash: known.id_hash(), is_ok: known.ok, task, result })
    }
}

impl SampleResult {
    /// Notes a verdict, in place of an earlier one. A score that is none counts as an error, because
    /// no mean could be taken with it.
    pub(super) fn judged(&mut self, verdict: Result<Verdict, Fault>) {
        let is_score = |verdict: &Verdict| (0.0..=1.0).contains(&verdict.score);
        let verdict = verdict.and_then(|verdict| match is_score(&verdict) {
            true => Ok(verdict),
            false => Err(Fault::new("scorer", "the scorer gave no number from 0 to 1")),
        });
        let (verdict, error) = match verdict {
            Ok(verdict) => (Some(verdict), None),
            Err(fault) => (None, Some(fault)),
        };
        self.error = error;
        self.score = verdict.as_ref().map(|verdict| verdict.score);
        self.correct = self.score.map(|score| score >= 1.0);
        (self.label, self.extracted) =
            verdict.map(|verdict| (verdict.label, verdict.extracted)).unwrap_or_default();
    }

    /// Notes what an answer used.
    fn count(&mut self, line: &[u8], body: &str, prices: &Prices) {
        let paid = read_paid(line).unwrap_or_default();
        let peek = check_answer(body.as_bytes()).unwrap_or_default();
        let asked = paid.asked.as_deref().unwrap_or_default();
        self.cost = match paid.is_free {
            true => Some(Money::ZERO),
            false => cost_of_answer(prices, &peek, asked, paid.is_batch).map(|cost| cost.total),
        };
        let usage = peek.usage.unwrap_or_default();
        (self.input_tokens, self.output_tokens) = (usage.input, usage.output);
        self.model = peek.model;
    }
}

/// What a model said.
struct Said {
    text: String,
    finish_reason: Option<String>,
}

/// What a model said, or why it refused; the error says that there is no answer at all, which is not
/// the same as an empty one.
fn said(body: &str) -> Result<Said, Fault> {
    let unread = || Fault::new("unreadable_answer", "the answer has a shape that cannot be read");
    let object = serde_json::from_str::<Kind>(body).map_err(|_| unread())?;
    if object.object.as_deref() == Some("response") || object.output.is_some() {
        return responded(serde_json::from_str(body).map_err(|_| unread())?);
    }
    let reply: ChatReply = serde_json::from_str(body).map_err(|_| unread())?;
    if reply.message().is_none() {
        return Err(Fault::new("no_answer", "the server sent a reply without an answer"));
    }
    let reason = reply.finish_reason().and_then(|reason| json!(reason).as_str().map(str::to_owned));
    Ok(Said::of(reply.text(), reply.refusal(), reason))
}

/// What tells the replies of the two endpoints apart.
#[derive(Deserialize)]
struct Kind {
    object: Option<String>,
    output: Option<IgnoredAny>,
}

fn responded(reply: ResponsesReply) -> Result<Said, Fault> {
    let text = |value: Option<&Value>, name: &str| {
        value.and_then(|value| value[name].as_str()).map(str::to_owned)
    };
    if reply.status.as_deref() == Some("failed") {
        let kind = text(reply.error.as_ref(), "code").unwrap_or_else(|| "failed".to_owned());
        let message = text(reply.error.as_ref(), "message").unwrap_or_default();
        return Err(Fault { kind, message });
    }
    let reason = text(reply.incomplete_details.as_ref(), "reason");
    let reason = reason.map(|reason| match reason.as_str() {
        "max_output_tokens" => "length".to_owned(),
        _ => reason,
    });
    Ok(Said::of(reply.text(), reply.refusal(), reason.or_else(|| Some("stop".to_owned()))))
}

impl Said {
    fn of(text: String, refusal: Option<&str>, finish_reason: Option<String>) -> Said {
        match refusal {
            Some(refusal) if text.is_empty() => {
                Said { text: refusal.to_owned(), finish_reason: Some("refusal".to_owned()) }
            }
            _ => Said { text, finish_reason },
        }
    }
}

impl Fault {
    pub(super) fn new(kind: &str, message: &str) -> Fault {
        Fault { kind: kind.to_owned(), message: message.to_owned() }
    }
}

fn fault(response: Option<&Response<'_>>, error: Option<Fail>) -> Fault {
    if let Some(error) = error {
        let kind = error.code.unwrap_or_else(|| "error".to_owned());
        return Fault { kind, message: error.message.unwrap_or_default() };
    }
    let Some(response) = response else {
        return Fault { kind: "error".into(), ..Fault::default() };
    };
    let body: Value = serde_json::from_str(response.body.get()).unwrap_or_default();
    let text = |name: &str| body["error"][name].as_str().map(str::to_owned);
    Fault {
        kind: text("code").or(text("type")).unwrap_or(format!("http_{}", response.status_code)),
        message: text("message").unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(response: &str, error: &str) -> SampleResult {
        let line = format!(
            r#"{{"id":"b","custom_id":"q/2","response":{response},"error":{error},"x_run":{{"ok":{},"line":1,"metadata":{{"id":"q","epoch":2,"target":["4"]}}}}}}"#,
            error == "null" && response.contains("200")
        );
        let answered = Answered::read(line.as_bytes(), &Prices::builtin()).unwrap();
        assert_eq!((&*answered.task.id, answered.task.epoch), ("q", 2));
        answered.result
    }

    #[test]
    fn answers_of_each_endpoint_are_read() {
        let chat = r#"{"status_code":200,"body":{"model":"gpt-4o-mini","choices":[{"message":{"role":"assistant","content":"four"}}],"usage":{"prompt_tokens":1000000,"completion_tokens":3}}}"#;
        let result = read(chat, "null");
        assert_eq!((result.answer.as_deref(), result.input_tokens), (Some("four"), 1_000_000));
        assert_eq!(result.cost, Some(Money::parse("0.1500018").unwrap()));
        let responses = r#"{"status_code":200,"body":{"object":"response","output":[{"type":"message","content":[{"type":"output_text","text":"four"}]}]}}"#;
        assert_eq!(read(responses, "null").answer.as_deref(), Some("four"));
        let refusal = r#"{"status_code":200,"body":{"choices":[{"message":{"content":null,"refusal":"no"}}]}}"#;
        let refused = read(refusal, "null");
        assert_eq!(refused.answer.as_deref(), Some("no"));
        assert_eq!(refused.finish_reason.as_deref(), Some("refusal"));
        for (body, wanted) in [
            (
                r#"{"choices":[{"message":{"content":"fo"},"finish_reason":"length"}]}"#,
                ("fo", "length"),
            ),
            (
                r#"{"object":"response","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[]}"#,
                ("", "length"),
            ),
        ] {
            let cut = read(&format!(r#"{{"status_code":200,"body":{body}}}"#), "null");
            let found = (cut.answer.as_deref().unwrap(), cut.finish_reason.as_deref().unwrap());
            assert_eq!(found, wanted);
        }
    }

    #[test]
    fn a_reply_without_an_answer_is_no_wrong_answer() {
        for (body, kind) in [
            (r#"{"choices":[]}"#, "no_answer"),
            (r#"{"choices":[{"index":0}]}"#, "no_answer"),
            (r#"{"choices":[{"message":{"content":7}}]}"#, "unreadable_answer"),
            (
                r#"{"object":"response","status":"failed","error":{"code":"server_error"},"output":[]}"#,
                "server_error",
            ),
        ] {
            let result = read(&format!(r#"{{"status_code":200,"body":{body}}}"#), "null");
            assert_eq!(
                (result.answer, result.error.unwrap().kind.as_str()),
                (None, kind),
                "{body}"
            );
        }
    }

    #[test]
    fn a_score_that_is_no_number_from_0_to_1_is_an_error() {
        for score in [f64::NAN, f64::INFINITY, -0.5, 7.0] {
            let mut result = SampleResult { score: Some(1.0), ..SampleResult::default() };
            result.judged(Ok(Verdict::graded(score)));
            assert_eq!((result.score, result.correct), (None, None));
            assert_eq!(result.error.as_ref().unwrap().kind, "scorer");
            result.judged(Ok(Verdict::of(true)));
            assert_eq!((result.score, result.error), (Some(1.0), None));
        }
    }

    #[test]
    fn what_failed_tells_why() {
        for (response, error, kind) in [
            ("null", r#"{"code":"timeout","message":"late"}"#, "timeout"),
            (
                r#"{"status_code":400,"body":{"error":{"code":"content_policy_violation"}}}"#,
                "null",
                "content_policy_violation",
            ),
            (r#"{"status_code":503,"body":"oops"}"#, "null", "http_503"),
        ] {
            let result = read(response, error);
            assert_eq!(result.error.unwrap().kind, kind);
            assert_eq!((result.answer, result.score), (None, None));
        }
    }
}
