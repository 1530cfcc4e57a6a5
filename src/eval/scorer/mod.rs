//! What an answer is worth.
//!
//! - `extract` - the part of a text that is its answer: numbers, code, marked results.
//! - `choice` - the choice that an answer names.
//! - `rules` - the rules that compare it with the targets.
//! - `command` - a program that judges, such as one that runs tests.
//! - `grading` - another model that judges: [`Grading`].

mod choice;
mod command;
mod extract;
mod grading;
mod rules;

use super::sample::Task;
use super::shape::Shape;
use crate::error::{Error, Result};
pub use grading::Grading;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What an answer is worth.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// From 0, wrong, to 1, right.
    pub score: f64,
    /// What was taken for the answer, where the text is longer.
    pub extracted: Option<String>,
    /// The name of the verdict, where there are more than right and wrong.
    pub label: Option<String>,
}

impl Verdict {
    /// Right or wrong.
    pub fn of(is_correct: bool) -> Verdict {
        Verdict { score: f64::from(u8::from(is_correct)), ..Verdict::default() }
    }

    /// A score between 0, wrong, and 1, right.
    pub fn graded(score: f64) -> Verdict {
        Verdict { score, ..Verdict::default() }
    }

    /// The same, with what was taken for the answer.
    pub fn from_part(self, extracted: Option<String>) -> Verdict {
        Verdict { extracted, ..self }
    }
}

type Closure = dyn Fn(&str, &Task) -> Verdict + Send + Sync;

#[derive(Clone)]
enum Kind {
    Rule(rules::Rule),
    Command(command::Check),
    Graded(Box<Grading>),
    Closure(Arc<Closure>),
}

/// Tells what an answer is worth. It is called on rayon's threads.
#[derive(Clone)]
pub struct Scorer {
    name: String,
    kind: Kind,
}

impl fmt::Debug for Scorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scorer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Scorer {
    fn rule(name: &str, rule: rules::Rule) -> Scorer {
        Scorer { name: name.to_owned(), kind: Kind::Rule(rule) }
    }

    /// The answer is a target, but for white space around it.
    pub fn exact() -> Scorer {
        Scorer::rule("exact", rules::Rule::Exact)
    }

    /// The answer is a target, but for case, punctuation, articles and white space.
    pub fn normalised() -> Scorer {
        Scorer::rule("normalised", rules::Rule::Normalised)
    }

    /// The answer holds a target, in any case. An empty target is held by an empty answer alone.
    pub fn includes() -> Scorer {
        Scorer::rule("includes", rules::Rule::Includes)
    }

    /// The answer names the letter of the right choice, or of all of them where several are right.
    pub fn choice() -> Scorer {
        Scorer::rule("choice", rules::Rule::Choice)
    }

    /// The number of the answer is that of a target, or no further away from it than `tolerance`, in
    /// the unit of the target; 0 allows for the last digits of a float alone. It is the one after
    /// `####` or in a box, or else the last one of the text; it may be a fraction, such as `3/4`.
    pub fn numeric(tolerance: f64) -> Scorer {
        Scorer::rule("numeric", rules::Rule::Numeric { tolerance })
    }

    /// As GSM8K was published: the first number after `####`, or else the one of a line `A: `, is
    /// the target, spelled alike but for commas. An answer without such a mark is wrong.
    pub fn gsm8k() -> Scorer {
        Scorer::rule("gsm8k", rules::Rule::Gsm8k)
    }

    /// What the first group of a regular expression finds, or all that it finds if it has none, is a
    /// target in any case.
    ///
    /// # Errors
    /// When it is not a regular expression.
    pub fn pattern(pattern: &str) -> Result<Scorer> {
        Ok(Scorer::rule("pattern", rules::Rule::pattern(pattern)?))
    }

    /// A command of the shell judges: its exit code 0 says right, any other wrong, and it is ended
    /// after `timeout`, which says wrong too. Its standard input is the program that a sample with
    /// tests makes (HumanEval), else the answer and the sample as JSON.
    ///
    /// The command runs what a model has written, with the rights of this process: let it be one
    /// that shuts it in.
    pub fn command(command: &str, timeout: Duration) -> Scorer {
        let check = command::Check::new(command, timeout);
        Scorer { name: "command".to_owned(), kind: Kind::Command(check) }
    }

    /// Another model judges, in a run of its own.
    pub fn graded(grading: Grading) -> Scorer {
        Scorer { name: grading.name().to_owned(), kind: Kind::Graded(Box::new(grading)) }
    }

    /// A closure judges an answer, given the sample's task.
    pub fn with(
        name: &str,
        judge: impl Fn(&str, &Task) -> Verdict + Send + Sync + 'static,
    ) -> Scorer {
        Scorer { name: name.to_owned(), kind: Kind::Closure(Arc::new(judge)) }
    }

    /// The scorer that is usual for rows of this shape.
    ///
    /// # Errors
    /// For programs: they are judged by running them, which takes a command.
    pub fn of(shape: &Shape) -> Result<Scorer> {
        match shape {
            Shape::Gsm8k => Ok(Scorer::gsm8k()),
            Shape::Mmlu => Ok(Scorer::choice()),
            Shape::HumanEval => {
                let message = "programs are judged by running them, and nothing is run unasked: \
                               give a command that runs a program from its standard input and shuts \
                               it in, such as --check-command \"docker run -i --rm --network none \
                               python:3 python -\"";
                Err(Error::invalid("scorer", message))
            }
            Shape::SimpleQa => Ok(Scorer::graded(Grading::simpleqa())),
            Shape::OpenAiEvals | Shape::Inspect | Shape::Fields(_) => Ok(Scorer::includes()),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether answers that are right or wrong alike are also the same text, so that the most frequent
    /// one can be told.
    pub(super) fn names_answers(&self) -> bool {
        matches!(&self.kind, Kind::Rule(rule) if !matches!(rule, rules::Rule::Includes))
    }

    /// How another model judges, if one does.
    pub(super) fn grading(&self) -> Option<&Grading> {
        match &self.kind {
            Kind::Graded(grading) => Some(grading),
            _ => None,
        }
    }

    /// Judges an answer; `None` if another model has to. The error says why it cannot be judged.
    pub(super) fn score(&self, answer: &str, task: &Task) -> Result<Option<Verdict>, String> {
        match &self.kind {
            // A choice of a question that has none is a text.
            Kind::Rule(rules::Rule::Includes) if !task.choices.is_empty() => {
                Ok(Some(rules::Rule::Choice.score(answer, task)))
            }
            Kind::Rule(rule) => Ok(Some(rule.score(answer, task))),
            Kind::Command(check) => check.score(answer, task).map(Some),
            Kind::Closure(judge) => Ok(Some(judge(answer, task))),
            Kind::Graded(_) => Ok(None),
        }
    }
}
