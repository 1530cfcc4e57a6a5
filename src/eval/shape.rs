//! The shapes of data sets: a row becomes a sample.

use super::row::Row;
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
    /// `question`, `choices` (or `options`, or columns `A` to `D`), `answer` as a letter or a number
    /// from 0, `subject` (or `category`). Also the original CSV files, which have no header.
    Mmlu,
    /// `task_id`, `prompt`, `canonical_solution`, `test`, `entry_point`.
    HumanEval,
    /// `problem`, `answer`, and `metadata` with a `topic`, which is the group.
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
        let id = match self {
            Shape::HumanEval => "task_id",
            Shape::Fields(Fields { id: Some(name), .. }) => name,
            _ => "id",
        };
        let mut sample = Sample {
            id: row.some(id).unwrap_or_else(|| number.to_string()),
            row: number,
            input: Input::Text(String::new()),
            target: Vec::new(),
            choices: Vec::new(),
            group: None,
            solution: String::new(),
            metadata: Map::new(),
            fields: Map::new(),
        };
        match self {
            Shape::Gsm8k => gsm8k(&mut sample, &row)?,
            Shape::Mmlu => mmlu(&mut sample, &row)?,
            Shape::HumanEval => human_eval(&mut sample, &row)?,
            Shape::SimpleQa => {
                sample.input = Input::Text(row.need("problem")?);
                sample.target = vec![row.need("answer")?];
                let topic = row.object("metadata").and_then(|all| all.get("topic").cloned());
                sample.group = topic.and_then(|topic| topic.as_str().map(str::to_owned));
            }
            Shape::OpenAiEvals => {
                sample.input = row.input()?;
                sample.target = row.texts("ideal")?;
            }
            Shape::Inspect => inspect(&mut sample, &row)?,
            Shape::Fields(names) => {
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

fn gsm8k(sample: &mut Sample, row: &Row<'_>) -> Result<(), String> {
    sample.input = Input::Text(row.need("question")?);
    sample.solution = row.need("answer")?;
    let marked = sample.solution.rsplit_once("####").map(|(_, number)| number.trim().to_owned());
    let marked = marked.filter(|number| !number.is_empty());
    sample.target =
        vec![marked.ok_or("the field `answer` has no ####, after which the number is expected")?];
    Ok(())
}

fn human_eval(sample: &mut Sample, row: &Row<'_>) -> Result<(), String> {
    sample.input = Input::Text(row.need("prompt")?);
    sample.solution = row.text("canonical_solution").unwrap_or_default();
    sample.target = vec![sample.solution.clone()];
    for name in ["prompt", "test", "entry_point"] {
        sample.metadata.insert(name.into(), row.need(name)?.into());
    }
    Ok(())
}

fn mmlu(sample: &mut Sample, row: &Row<'_>) -> Result<(), String> {
    sample.input = Input::Text(row.need("question")?);
    // MMLU-Pro has up to ten `options`, and a `category`.
    sample.group = row.some("subject").or_else(|| row.some("category"));
    sample.choices = row.choices("choices")?;
    if sample.choices.is_empty() {
        sample.choices = row.choices("options")?;
    }
    if sample.choices.is_empty() {
        let columns = ["A", "B", "C", "D"].into_iter().map(|name| row.need(name));
        sample.choices = columns.collect::<Result<_, _>>()?;
    }
    let answer = row.need("answer")?;
    let answer = match answer.trim().parse::<usize>() {
        Ok(at) => letter(at),
        Err(_) => answer.trim().to_ascii_uppercase(),
    };
    if !(0..sample.choices.len()).any(|at| letter(at) == answer) {
        let count = sample.choices.len();
        return Err(format!(
            "the field `answer` is neither the letter of one of the {count} choices nor its number \
             from 0"
        ));
    }
    sample.target = vec![answer];
    Ok(())
}

fn inspect(sample: &mut Sample, row: &Row<'_>) -> Result<(), String> {
    sample.input = row.input()?;
    sample.target = row.texts("target").unwrap_or_default();
    sample.choices = row.choices("choices")?;
    sample.metadata = row.object("metadata").unwrap_or_default();
    Ok(())
}

/// Choices below each other, each with its letter.
fn listed(choices: &[String]) -> String {
    let lines = choices.iter().enumerate().map(|(at, text)| format!("{}. {text}", letter(at)));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
                Some("x"),
            ),
            (
                &Shape::Mmlu,
                r#"{"question":"q","choices":"['w' 'x'\n \"y's\" 'z']","answer":"1 ","subject":"law"}"#,
                "7",
                "B",
                Some("law"),
            ),
            (
                &Shape::Mmlu,
                r#"{"question":"q","options":["a","b","c","d","e"],"answer":"E","category":"business"}"#,
                "7",
                "E",
                Some("business"),
            ),
            (
                &Shape::Inspect,
                r#"{"input":"Which?","target":"B","id":"","choices":"[\"x, y\", \"z\"]","metadata":"{\"a\":1}"}"#,
                "7",
                "B",
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
    fn a_table_holds_lists_and_objects_as_text() {
        let inspect = |choices: &str| {
            let row = json!({"input":"q","target":"A","choices":choices,"metadata":"{\"a\": 1}"});
            Shape::Inspect.read(1, row.as_object().unwrap().clone()).unwrap()
        };
        for (choices, wanted) in
            [("['x, y' 'z']", vec!["x, y", "z"]), ("x, y,", vec!["x", "y"]), (" ", vec![])]
        {
            let sample = inspect(choices);
            assert_eq!(
                (sample.choices, &sample.metadata["a"]),
                (wanted.into_iter().map(String::from).collect(), &json!(1))
            );
        }
        let messages = r#"{"input":"[{\"role\":\"user\",\"content\":\"hi\"}]","target":"x"}"#;
        let wanted = Input::Messages(vec![json!({"role":"user","content":"hi"})]);
        assert_eq!(read(&Shape::Inspect, messages).unwrap().input, wanted);
        let list = read(&Shape::Inspect, r#"{"input":"[1, 2]","target":"3"}"#).unwrap();
        assert_eq!(list.input, Input::Text("[1, 2]".into()));
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
