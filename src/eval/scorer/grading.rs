//! Another model that judges.

use super::Verdict;
use crate::error::{Error, Result};
use crate::eval::prompt::Text;
use crate::eval::sample::Task;
use regex::Regex;
use serde_json::{Value, json};

const USUAL: &str = "\
Compare an answer with what an expert holds to be right.

[Question]
{question}

[What is right]
{target}

[Answer]
{answer}

Does the answer say the same in substance? Style and length do not matter. Think it through in a few
sentences. Then end with one line, GRADE: C if it is correct, GRADE: P if it is correct in part, or
GRADE: I if it is incorrect.";

const SIMPLEQA: &str = "\
Grade the answer to a question of fact.

[Question]
{question}

[True answer]
{target}

[Answer to grade]
{answer}

Choose one grade:
A: CORRECT. The answer holds all that the true answer says, and nothing that contradicts it. Doubts,
   other words, another spelling of a name and further facts that are true do not matter. A number
   has to agree to the last digit that the true answer gives.
B: INCORRECT. Some statement of the answer contradicts the true answer, also where it is hedged.
C: NOT ATTEMPTED. The answer leaves out what was asked, and contradicts nothing.

Say nothing but the letter: A, B or C.";

/// How another model judges: what it is asked, and how its verdict is read.
#[derive(Clone, Debug)]
#[must_use = "give it to Scorer::graded"]
pub struct Grading {
    name: String,
    template: Text,
    pattern: Regex,
    /// What a verdict is called and worth.
    labels: Vec<(String, &'static str, f64)>,
    model: Option<String>,
}

impl Grading {
    /// Correct, partly correct or incorrect, against the target.
    pub fn usual() -> Grading {
        let labels = [("C", "correct", 1.0), ("P", "partly correct", 0.5), ("I", "incorrect", 0.0)];
        Grading::built_in("graded", USUAL, r"(?i)GRADE:\s*\W*([CPI])\b", &labels)
    }

    /// Correct, incorrect or not attempted, as for SimpleQA.
    pub fn simpleqa() -> Grading {
        let labels = [("A", "correct", 1.0), ("B", "incorrect", 0.0), ("C", "not attempted", 0.0)];
        Grading::built_in("simpleqa", SIMPLEQA, r"\b([ABC])\b", &labels)
    }

    fn built_in(
        name: &str,
        template: &str,
        pattern: &str,
        labels: &[(&str, &'static str, f64)],
    ) -> Grading {
        Grading {
            name: name.to_owned(),
            template: Text::parse(template).expect("the template names fields"),
            pattern: Regex::new(pattern).expect("the pattern is valid"),
            labels: labels
                .iter()
                .map(|(text, label, score)| (text.to_string(), *label, *score))
                .collect(),
            model: None,
        }
    }

    /// What the grader is asked; `{question}`, `{target}` and `{answer}` stand for what they say.
    /// Default: a template of this crate.
    ///
    /// # Errors
    /// When it does not name the answer.
    pub fn template(mut self, text: &str) -> Result<Grading> {
        if !text.contains("{answer}") {
            let message = "it has no {answer}, so that all answers would get the same verdict";
            return Err(Error::invalid("grader_template", message));
        }
        self.template = Text::parse(text).map_err(|e| Error::invalid("grader_template", e))?;
        Ok(self)
    }

    /// The regular expression whose first group is the verdict; the last place where it fits counts.
    /// A verdict is one of the letters, or a number from 0 to 1. Default: that of the template.
    ///
    /// # Errors
    /// When it is not a regular expression, or has no group.
    pub fn pattern(mut self, pattern: &str) -> Result<Grading> {
        let wrong = |message: String| Error::invalid("grader_pattern", message);
        self.pattern = Regex::new(pattern).map_err(|e| wrong(e.to_string()))?;
        if self.pattern.captures_len() < 2 {
            return Err(wrong("it has no group, whose text would be the verdict".to_owned()));
        }
        Ok(self)
    }

    /// The model that judges. Default: the one that answers.
    pub fn model(mut self, name: impl Into<String>) -> Grading {
        self.model = Some(name.into());
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The request that asks for a verdict.
    pub(in crate::eval) fn body(
        &self,
        question: &str,
        answer: &str,
        task: &Task,
        model: &str,
    ) -> Result<Value> {
        let target = task.target.join("\nor: ");
        let row = json!({"question": question, "answer": answer, "target": target}).to_string();
        let asked = self.template.fill(&row).map_err(|e| Error::invalid("grader_template", e))?;
        let model = self.model.as_deref().unwrap_or(model);
        Ok(json!({"model": model, "messages": [{"role": "user", "content": asked}]}))
    }

    /// Reads the verdict; the error says that there is none.
    pub(in crate::eval) fn read(&self, said: &str) -> Result<Verdict, String> {
        let found = self.pattern.captures_iter(said).last();
        let found = found.and_then(|all| all.get(1)).map(|part| part.as_str().trim());
        let found = found.ok_or("the grader gave no verdict")?;
        let known = self.labels.iter().find(|(text, ..)| text.eq_ignore_ascii_case(found));
        if let Some((_, label, score)) = known {
            return Ok(Verdict { label: Some((*label).to_owned()), ..Verdict::graded(*score) });
        }
        let number = found.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
        number.map(Verdict::graded).ok_or_else(|| "the grader gave an unknown verdict".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_read_from_what_the_grader_says() {
        let number = Grading::usual().pattern(r"score: ([0-9.]+)").unwrap();
        for (grading, said, wanted) in [
            (&Grading::usual(), "It is so. GRADE: C", Some((1.0, Some("correct")))),
            (&Grading::usual(), "GRADE: C? No.\ngrade: **I**", Some((0.0, Some("incorrect")))),
            (&Grading::usual(), "GRADE: P", Some((0.5, Some("partly correct")))),
            (&Grading::usual(), "Correct", None),
            (&Grading::simpleqa(), "A", Some((1.0, Some("correct")))),
            (&Grading::simpleqa(), "B.", Some((0.0, Some("incorrect")))),
            (&Grading::simpleqa(), "(C)", Some((0.0, Some("not attempted")))),
            (&Grading::simpleqa(), "CORRECT", None),
            (&number, "score: 0.25", Some((0.25, None))),
            (&number, "score: 7", None),
        ] {
            let found = grading.read(said).ok();
            let found = found.as_ref().map(|found| (found.score, found.label.as_deref()));
            assert_eq!(found, wanted, "{said}");
        }
    }

    #[test]
    fn the_grader_is_asked_with_question_target_and_answer() {
        let task = Task { target: vec!["4".into(), "four".into()], ..Task::default() };
        let grading =
            Grading::usual().template("{question}|{target}|{answer}").unwrap().model("big");
        let body = grading.body("2+2?", "It is {4}", &task, "small").unwrap();
        assert_eq!(body["messages"][0]["content"], "2+2?|4\nor: four|It is {4}");
        assert_eq!(body["model"], "big");
        assert!(Grading::usual().template("{question}").is_err());
        assert!(Grading::usual().pattern("[ABC]").is_err());
    }
}
