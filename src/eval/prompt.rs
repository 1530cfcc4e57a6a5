//! A prompt: what is asked of a sample, and the examples that come before it.

use super::sample::{Input, Sample, right_choices};
use super::shape::Shape;
use crate::error::{Error, Result};
use crate::wire::row::Members;
use crate::wire::template::Template;
use serde_json::{Map, Value, json};

/// The endpoint that is asked unless another one is named.
const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";

/// How a sample becomes a request: a system message, examples with their answers, the question.
#[derive(Clone, Debug, Default)]
#[must_use = "give it to an evaluation"]
pub struct Prompt {
    system: Option<String>,
    question: Option<Text>,
    shots: Vec<Value>,
    params: Map<String, Value>,
    endpoint: Option<&'static str>,
}

impl Prompt {
    /// The prompt that is usual for rows of this shape.
    ///
    /// # Errors
    /// Never, as long as the built-in prompts name a field.
    pub fn of(shape: &Shape) -> Result<Prompt> {
        shape
            .prompt()
            .map_or_else(|| Ok(Prompt::default()), |text| Prompt::default().question(text))
    }

    /// What is asked; `{field}` stands for a field of the row, `{choices}` for the choices below
    /// each other. Default: the `input` of the row itself.
    ///
    /// # Errors
    /// When the text names no field.
    pub fn question(mut self, text: &str) -> Result<Prompt> {
        self.question = Some(Text::parse(text).map_err(|e| Error::invalid("prompt", e))?);
        Ok(self)
    }

    /// The system message. Default: none.
    pub fn system(mut self, text: impl Into<String>) -> Prompt {
        self.system = Some(text.into());
        self
    }

    /// More members of each request, such as `temperature`. Default: none.
    ///
    /// # Errors
    /// When one of them says what is asked, or asks for several answers at once.
    pub fn params(mut self, params: Map<String, Value>) -> Result<Prompt> {
        for name in ["messages", "input", "prompt"] {
            if params.contains_key(name) {
                let message = format!(
                    "`{name}` is made from the data set: use --prompt, --system and --few-shot"
                );
                return Err(Error::invalid("params", message));
            }
        }
        if params.get("n").is_some_and(|n| *n != 1) {
            let message =
                "only the first of `n` answers would be judged: ask several times with --epochs";
            return Err(Error::invalid("params", message));
        }
        self.params = params;
        Ok(self)
    }

    /// Where requests are sent: `/v1/chat/completions` or `/v1/responses`. Default: the former.
    ///
    /// # Errors
    /// When it is another one.
    pub fn endpoint(mut self, path: &str) -> Result<Prompt> {
        let known = [CHAT, RESPONSES].into_iter().find(|known| *known == path);
        let message = || format!("{path}: an evaluation is sent to {CHAT} or {RESPONSES}");
        self.endpoint = Some(known.ok_or_else(|| Error::invalid("endpoint", message()))?);
        Ok(self)
    }

    /// Puts samples before each question, with their solutions as answers. Default: none.
    ///
    /// # Errors
    /// When a sample lacks a field that the question names.
    pub fn shots(mut self, samples: impl IntoIterator<Item = Sample>) -> Result<Prompt> {
        for sample in samples {
            let wrong = |e| Error::invalid(format!("example {}", sample.id), e);
            let asked = self.asked(&sample).map_err(wrong)?;
            self.shots.extend(asked);
            self.shots.push(json!({"role": "assistant", "content": sample.solution}));
        }
        Ok(self)
    }

    /// Whether it can ask anything of rows of this shape.
    pub(super) fn fits(&self, shape: &Shape) -> Result<()> {
        match (shape, &self.question) {
            (Shape::Fields(_), None) => Err(Error::invalid(
                "prompt",
                "rows of any fields need a prompt, such as {question}",
            )),
            _ => Ok(()),
        }
    }

    /// The messages that ask a sample.
    fn asked(&self, sample: &Sample) -> Result<Vec<Value>, String> {
        let question = match (&self.question, &sample.input) {
            (Some(text), _) => {
                let row = Value::Object(sample.fields.clone()).to_string();
                text.fill(&row)?
            }
            (None, Input::Messages(messages)) => return Ok(messages.clone()),
            (None, Input::Text(text)) if sample.choices.is_empty() => text.clone(),
            (None, Input::Text(text)) => {
                let choices = sample.fields["choices"].as_str().unwrap_or_default();
                let wanted = match right_choices(&sample.target, &sample.choices).len() {
                    0 | 1 => "Answer with the letter of the right choice alone.",
                    _ => "Answer with the letters of all right choices alone, such as: A, C",
                };
                format!("{text}\n\n{choices}\n\n{wanted}")
            }
        };
        Ok(vec![json!({"role": "user", "content": question})])
    }

    /// Where its requests go.
    pub(super) fn url(&self) -> &'static str {
        self.endpoint.unwrap_or(CHAT)
    }

    /// The body of the request for a sample.
    pub(super) fn body(&self, sample: &Sample, model: &str) -> Result<Value, String> {
        let mut messages = Vec::new();
        if let Some(system) = &self.system {
            messages.push(json!({"role": "system", "content": system}));
        }
        messages.extend(self.shots.iter().cloned());
        messages.extend(self.asked(sample)?);
        let mut body = self.params.clone();
        body.entry("model").or_insert_with(|| model.into());
        let name = if self.url() == RESPONSES { "input" } else { "messages" };
        body.insert(name.into(), messages.into());
        Ok(Value::Object(body))
    }
}

/// A text with places for the fields of a row.
#[derive(Clone, Debug)]
pub(super) struct Text(Template);

impl Text {
    pub(super) fn parse(text: &str) -> Result<Text, String> {
        // The line end keeps a text of one place a text, whatever the field is.
        Template::parse(&json!({"prompt": format!("{text}\n")}).to_string()).map(Text)
    }

    /// The text for a row, given as a JSON object.
    pub(super) fn fill(&self, row: &str) -> Result<String, String> {
        let filled = self.0.render(&Members::parse(row)?)?;
        let filled: Value = serde_json::from_str(&filled).map_err(|e| e.to_string())?;
        let text = filled["prompt"].as_str().unwrap_or_default();
        Ok(text.strip_suffix('\n').unwrap_or(text).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(shape: &Shape, row: &str) -> Sample {
        shape.read(1, serde_json::from_str(row).unwrap()).unwrap()
    }

    fn said(body: &Value) -> Vec<(&str, &str)> {
        let messages = body["messages"].as_array().unwrap().iter();
        messages.map(|m| (m["role"].as_str().unwrap(), m["content"].as_str().unwrap())).collect()
    }

    #[test]
    fn examples_stand_between_the_system_message_and_the_question() {
        let shape = Shape::Gsm8k;
        let shot = sample(&shape, r##"{"question":"1+1?","answer":"two\n#### 2"}"##);
        let asked = sample(&shape, r##"{"question":"2+2?","answer":"4\n#### 4"}"##);
        let prompt = Prompt::default().question("Q: {question}").unwrap().system("Be brief.");
        let body = prompt.shots([shot]).unwrap().body(&asked, "m").unwrap();
        let wanted = [
            ("system", "Be brief."),
            ("user", "Q: 1+1?"),
            ("assistant", "two\n#### 2"),
            ("user", "Q: 2+2?"),
        ];
        assert_eq!(said(&body), wanted);
        assert_eq!(body["model"], "m");
    }

    #[test]
    fn rows_that_are_prompts_are_sent_as_they_are() {
        let messages = r#"{"input":[{"role":"system","content":"s"},{"role":"user","content":"u"}],"ideal":"x"}"#;
        let body = Prompt::default().body(&sample(&Shape::OpenAiEvals, messages), "m").unwrap();
        assert_eq!(said(&body), [("system", "s"), ("user", "u")]);
        let choices = r#"{"input":"Which?","target":"A","choices":["x","y"]}"#;
        let body = Prompt::default().body(&sample(&Shape::Inspect, choices), "m").unwrap();
        assert!(said(&body)[0].1.starts_with("Which?\n\nA. x\nB. y\n\n"));
    }

    #[test]
    fn a_place_alone_is_text_and_parameters_go_before_the_model() {
        let shape = Shape::Fields(crate::eval::Fields::default());
        let asked = sample(&shape, r#"{"n":7,"target":"x"}"#);
        let params = serde_json::from_str(r#"{"temperature":0,"model":"other"}"#).unwrap();
        let prompt = Prompt::default().question("{n}").unwrap().params(params).unwrap();
        let body = prompt.endpoint("/v1/responses").unwrap().body(&asked, "m").unwrap();
        let wanted =
            json!({"temperature":0,"model":"other","input":[{"role":"user","content":"7"}]});
        assert_eq!(body, wanted);
    }

    #[test]
    fn what_cannot_be_asked_is_told() {
        assert!(Prompt::default().question("no field").is_err());
        assert!(Prompt::default().endpoint("/v1/embeddings").is_err());
        for (params, wanted) in [
            (json!({"messages": []}), Some("use --prompt")),
            (json!({"input": "x"}), Some("use --prompt")),
            (json!({"n": 3}), Some("--epochs")),
            (json!({"n": 1, "temperature": 0}), None),
        ] {
            let refused = Prompt::default().params(params.as_object().unwrap().clone()).err();
            let is_as_wanted = match (&refused, wanted) {
                (Some(error), Some(wanted)) => error.to_string().contains(wanted),
                (refused, wanted) => refused.is_none() && wanted.is_none(),
            };
            assert!(is_as_wanted, "{params}: {refused:?}");
        }
        assert!(Prompt::default().fits(&Shape::Fields(crate::eval::Fields::default())).is_err());
        let prompt = Prompt::default().question("{q}").unwrap();
        let error = prompt.body(&sample(&Shape::SimpleQa, r#"{"problem":"p","answer":"a"}"#), "m");
        assert!(error.unwrap_err().contains("`q`"));
    }
}
