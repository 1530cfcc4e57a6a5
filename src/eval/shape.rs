//! The shapes of data sets: a row becomes a sample.

use super::sample::{Input, Sample, letter};
use serde_json::{Map, Value};

/// Which fields of a row are what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// The field of the right answer, text or a list of texts. Default: `target`.
    pub target: Option<String>,
    /// The field of the id. Default: `id`, or the number of the row.
    pub id: Option<String>,
    /// The field of what a row is counted under. Default: none.
    pub group: Option<String>,
}

/// The shape of a data set's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// `question`, and `answer` with the solution after `####`.
    Gsm8k,
    /// `question`, four `choices` (or columns `A` to `D`), `answer` as a number from 0 or a letter,
    /// `subject`. Also the original CSV files, which have no header.
    Mmlu,
    /// `task_id`, `prompt`, `canonical_solution`, `test`, `entry_point`.
    HumanEval,
    /// `problem` and `answer`.
    SimpleQa,
    /// `input`, a text or messages, and `ideal`, a text or a list of them.
    OpenAiEvals,
    /// `input`, `target`, `choices`, `id` and `metadata`.
    Inspect,
    /// Rows of any fields.
    Fields(Fields),
}

impl Shape {
    /// The shapes by their names.
    pub const NAMES: [(&'static str, Shape); 6] = [
        ("gsm8k", Shape::Gsm8k),
        ("mmlu", Shape::Mmlu),
        ("humaneval", Shape::HumanEval),
        ("simpleqa", Shape::SimpleQa),
        ("openai-evals", Shape::OpenAiEvals),
        ("inspect", Shape::Inspect),
    ];

    /// What is asked of a row of this shape unless another prompt is given; `{field}` stands for a
    /// field of the row. `None` where the row itself is the prompt, or one has to be given.
    pub fn prompt(&self) -> Option<&'static str> {
        match self {
            Shape::Gsm8k => Some(
                "{question}\n\nSolve it step by step. End with a line that has #### and then the \
                 answer as a number alone, such as: #### 42",
            ),
            Shape::Mmlu => {
                Some("{question}\n\n{choices}\n\nAnswer with the letter of the right choice alone.")
            }
            Shape::HumanEval => Some(
                "Complete this Python function. Answer with the whole function in one block of \
                 code.\n\n```python\n{prompt}\n```",
            ),
            Shape::SimpleQa => Some("{problem}"),
            Shape::OpenAiEvals | Shape::Inspect | Shape::Fields(_) => None,
        }
    }

    /// Reads a row; `number` is its id where it has none.
    pub(super) fn read(&self, number: u64, fields: Map<String, Value>) -> Result<Sample, String> {
        let row = Row(&fields);
        let id = |name: &str| row.text(name).unwrap_or_else(|| number.to_string());
        let mut sample = Sample {
            id: id("id"),
            input: Input::Text(String::new()),
            target: Vec::new(),
            choices: Vec::new(),
            group: None,
            solution: String::new(),
            metadata: Map::new(),
            fields: Map::new(),
        };
        match self {
            Shape::Gsm8k => {
                sample.input = Input::Text(row.need("question")?);
                sample.solution = row.need("answer")?;
                let (_, number) = sample
                    .solution
                    .rsplit_once("####")
                    .ok_or("the field `answer` has no ####, after which the number is expected")?;
                sample.target = vec![number.trim().to_owned()];
            }
            Shape::Mmlu => mmlu(&mut sample, &row)?,
            Shape::HumanEval => {
                sample.id = id("task_id");
                sample.input = Input::Text(row.need("prompt")?);
                sample.solution = row.text("canonical_solution").unwrap_or_default();
                sample.target = vec![sample.solution.clone()];
                for name in ["prompt", "test", "entry_point"] {
                    sample.metadata.insert(name.into(), row.need(name)?.into());
                }
            }
            Shape::SimpleQa => {
                sample.input = Input::Text(row.need("problem")?);
                sample.target = vec![row.need("answer")?];
            }
            Shape::OpenAiEvals => {
                sample.input = row.input()?;
                sample.target = row.texts("ideal")?;
            }
            Shape::Inspect => inspect(&mut sample, &row)?,
            Shape::Fields(names) => {
                sample.id = id(names.id.as_deref().unwrap_or("id"));
                sample.target = row.texts(names.target.as_deref().unwrap_or("target"))?;
                if let Some(name) = &names.group {
                    sample.group = Some(row.need(name)?);
                }
            }
        }
        if sample.solution.is_empty() {
            sample.solution = sample.target.first().cloned().unwrap_or_default();
        }
        sample.fields = fields;
        if !sample.choices.is_empty() {
            sample.fields.insert("choices".into(), listed(&sample.choices).into());
        }
        Ok(sample)
    }
}

fn mmlu(sample: &mut Sample, row: &Row<'_>) -> Result<(), String> {
    sample.input = Input::Text(row.need("question")?);
    sample.group = row.text("subject").filter(|subject| !subject.is_empty());
    sample.choices = match row.texts("choices") {
        Ok(choices) => choices,
        Err(_) => {
            ["A", "B", "C", "D"].into_iter().map(|name| row.need(name)).collect::<Result<_, _>>()?
        }
    };
    let answer = row.need("answer")?;
    let answer = match answer.parse::<usize>() {
        Ok(at) => letter(at),
        Err(_) => answer.trim().to_ascii_uppercase(),
    };
    if !(0..sample.choices.len()).any(|at| letter(at) == answer) {
        return Err(
            "the field `answer` is neither the letter of a choice nor its number from 0".to_owned()
        );
    }
    sample.target = vec![answer];
    Ok(())
}

fn inspect(sample: &mut Sample, row: &Row<'_>) -> Result<(), String> {
    sample.input = row.input()?;
    sample.target = row.texts("target").unwrap_or_default();
    if row.0.get("choices").is_some_and(|choices| !choices.is_null()) {
        sample.choices = row.texts("choices")?;
    }
    if let Some(Value::Object(metadata)) = row.0.get("metadata") {
        sample.metadata.clone_from(metadata);
    }
    Ok(())
}

/// Choices below each other, each with its letter.
fn listed(choices: &[String]) -> String {
    let lines = choices.iter().enumerate().map(|(at, text)| format!("{}. {text}", letter(at)));
    lines.collect::<Vec<_>>().join("\n")
}

struct Row<'a>(&'a Map<String, Value>);

impl Row<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).and_then(text)
    }

    fn need(&self, name: &str) -> Result<String, String> {
        self.text(name).ok_or_else(|| {
            let names: Vec<_> = self.0.keys().take(12).map(|name| format!("`{name}`")).collect();
            format!("there is no text in the field `{name}`; the row has {}", names.join(", "))
        })
    }

    /// A text, or all texts of a list.
    fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        match self.0.get(name) {
            Some(Value::Array(all)) => all
                .iter()
                .map(|one| text(one).ok_or(format!("the list `{name}` holds more than texts")))
                .collect(),
            _ => Ok(vec![self.need(name)?]),
        }
    }

    fn input(&self) -> Result<Input, String> {
        match self.0.get("input") {
            Some(Value::Array(messages)) => {
                if messages.iter().any(|one| one.get("role").is_none()) {
                    return Err("a message of `input` has no role".to_owned());
                }
                Ok(Input::Messages(messages.clone()))
            }
            _ => Ok(Input::Text(self.need("input")?)),
        }
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(shape: &Shape, row: &str) -> Result<Sample, String> {
        shape.read(7, serde_json::from_str(row).unwrap())
    }

    #[test]
    fn rows_of_each_shape_are_read_as_they_are_released() {
        let fields = Shape::Fields(Fields {
            target: Some("gold".into()),
            id: Some("key".into()),
            group: Some("kind".into()),
        });
        for (shape, row, id, target, group) in [
            (
                &Shape::Gsm8k,
                r##"{"question":"1+1?","answer":"It is <<1+1=2>>2\n#### 2,000"}"##,
                "7",
                "2,000",
                None,
            ),
            (
                &Shape::Mmlu,
                r#"{"question":"q","choices":["w","x","y","z"],"answer":2,"subject":"law"}"#,
                "7",
                "C",
                Some("law"),
            ),
            (
                &Shape::Mmlu,
                r#"{"question":"q","A":"w","B":"x","C":"y","D":"z","answer":"D"}"#,
                "7",
                "D",
                None,
            ),
            (
                &Shape::HumanEval,
                r#"{"task_id":"HumanEval/0","prompt":"def f():\n","canonical_solution":"  return 1\n","test":"def check(c): pass","entry_point":"f"}"#,
                "HumanEval/0",
                "  return 1\n",
                None,
            ),
            (
                &Shape::SimpleQa,
                r#"{"metadata":"{'topic': 'x'}","problem":"who?","answer":"she"}"#,
                "7",
                "she",
                None,
            ),
            (
                &Shape::OpenAiEvals,
                r#"{"input":[{"role":"user","content":"2+2"}],"ideal":["4","four"]}"#,
                "7",
                "4",
                None,
            ),
            (&Shape::OpenAiEvals, r#"{"input":"2+2","ideal":"4"}"#, "7", "4", None),
            (
                &Shape::Inspect,
                r#"{"input":"2+2","target":"4","id":11,"metadata":{"a":1}}"#,
                "11",
                "4",
                None,
            ),
            (&fields, r#"{"key":"k1","gold":5,"kind":"easy","q":"x"}"#, "k1", "5", Some("easy")),
        ] {
            let sample = read(shape, row).unwrap();
            assert_eq!((&*sample.id, &*sample.target[0]), (id, target), "{row}");
            assert_eq!(sample.group.as_deref(), group, "{row}");
        }
        let sample = read(
            &Shape::OpenAiEvals,
            r#"{"input":[{"role":"user","content":"2+2"}],"ideal":["4","four"]}"#,
        );
        assert_eq!(sample.unwrap().target, ["4", "four"]);
        let sample =
            read(&Shape::Inspect, r#"{"input":"q","target":"B","choices":["x","y"]}"#).unwrap();
        assert_eq!(sample.fields["choices"], "A. x\nB. y");
    }

    #[test]
    fn rows_of_another_shape_are_told_by_their_fields() {
        for (shape, row, wanted) in [
            (
                Shape::Gsm8k,
                r#"{"answer":"x","q":"secret"}"#,
                "there is no text in the field `question`; the row has `answer`, `q`",
            ),
            (Shape::Gsm8k, r#"{"question":"q","answer":"5"}"#, "the field `answer` has no ####"),
            (
                Shape::Mmlu,
                r#"{"question":"q","choices":["a","b"],"answer":2}"#,
                "the field `answer` is neither",
            ),
            (
                Shape::OpenAiEvals,
                r#"{"input":[{"content":"x"}],"ideal":"1"}"#,
                "a message of `input` has no role",
            ),
            (
                Shape::OpenAiEvals,
                r#"{"input":"x","ideal":[{}]}"#,
                "the list `ideal` holds more than texts",
            ),
        ] {
            let message = read(&shape, row).unwrap_err();
            assert!(message.starts_with(wanted), "{message}");
        }
    }
}
