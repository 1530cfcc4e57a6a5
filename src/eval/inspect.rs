//! The log of an evaluation as Inspect reads it.

use super::answer::SampleResult;
use super::dataset::Dataset;
use super::files::{Files, Whole};
use super::plan::{Asked, Requests};
use super::report::{Report, Score};
use super::results::Results;
use crate::bulk::{Status, Summary};
use crate::error::{Error, Result};
use crate::wire::row::id_hash;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::SystemTime;

/// What a log is made of. Its shape is version 2 of Inspect's own, which is not a frozen standard.
pub(super) struct Log<'a> {
    pub(super) report: &'a Report,
    pub(super) dataset: &'a Dataset,
    pub(super) summary: &'a Summary,
    /// When it is written.
    pub(super) date: SystemTime,
}

impl Log<'_> {
    /// Writes the log, sample by sample.
    pub(super) fn write(&self, path: &Path, files: &Files) -> Result<()> {
        let mut out = Whole::create(path)?;
        let model = match Requests::open(&files.requests)?.next().transpose()? {
            Some(asked) => format!("openai/{}", asked.model()),
            None => "openai/unknown".to_owned(),
        };
        // The samples come last, so that they need not be held.
        let head = self.head(&model).to_string();
        out.write(head.strip_suffix('}').unwrap_or(&head).as_bytes())?;
        out.write(b",\"samples\":[\n")?;
        let mut results = Results::open(&files.results)?.peekable();
        let mut is_first = true;
        for asked in Requests::open(&files.requests)? {
            let asked = asked?;
            let is_same = |result: &Result<SampleResult>| {
                result.as_ref().map_or(true, |result| {
                    result.id == asked.task.id && result.epoch == asked.task.epoch
                })
            };
            let Some(result) = results.next_if(is_same).transpose()? else { continue };
            if !std::mem::take(&mut is_first) {
                out.write(b",")?;
            }
            out.line(&self.sample(&asked, &result, &model))?;
        }
        out.write(b"]}\n")?;
        out.finish()
    }

    fn head(&self, model: &str) -> Value {
        let name = self.dataset.path().file_stem().unwrap_or_default().to_string_lossy();
        let name = name.split('.').next().unwrap_or("dataset").to_owned();
        let date = iso(self.date);
        let id = format!("{:016x}", id_hash(&format!("{name} {model} {date}")));
        let all = &self.report.overall;
        let (status, error) = match self.summary.status {
            Status::Finished => ("success", Value::Null),
            Status::Interrupted | Status::Capped => ("cancelled", Value::Null),
            _ => ("error", fault(self.summary.stopped_by.as_deref().unwrap_or_default())),
        };
        let mut head = json!({
            "version": 2,
            "status": status,
            "plan": {"name": "plan", "steps": []},
            "eval": {
                "eval_id": id,
                "run_id": id,
                "task_id": id,
                "created": date,
                "task": name,
                "model": model,
                "dataset": {
                    "name": name,
                    "location": self.dataset.path().display().to_string(),
                    "samples": all.samples,
                },
                "config": {"epochs": self.report.epochs},
                "packages": {env!("CARGO_PKG_NAME"): env!("CARGO_PKG_VERSION")},
            },
            "results": {
                "total_samples": all.asked,
                "completed_samples": all.scored,
                "scores": self.scores(),
            },
            "stats": {
                "started_at": date,
                "completed_at": date,
                "model_usage": {model: {
                    "input_tokens": self.report.input_tokens,
                    "output_tokens": self.report.output_tokens,
                    "total_tokens":
                        self.report.input_tokens.saturating_add(self.report.output_tokens),
                }},
            },
        });
        // Inspect reads the whole log with an error of null, but not its head alone.
        if !error.is_null() {
            head["error"] = error;
        }
        head
    }

    /// The scores of all samples, and those of each group.
    fn scores(&self) -> Vec<Value> {
        let groups = self.report.groups.iter().map(|(name, score)| (name.clone(), score));
        let all = std::iter::once((self.report.scorer.clone(), &self.report.overall));
        all.chain(groups).map(|(name, score)| self.score(&name, score)).collect()
    }

    fn score(&self, name: &str, score: &Score) -> Value {
        let mean = if score.is_binary { "accuracy" } else { "mean" };
        // Where nothing was scored there is no number, and 0 would be one.
        let known = [(mean, score.mean), ("stderr", score.standard_error)].into_iter();
        let known = known.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let metrics: Map<_, _> = known
            .map(|(name, value)| (name.clone(), json!({"name": name, "value": value})))
            .collect();
        json!({
            "name": name,
            "scorer": self.report.scorer,
            "scored_samples": score.scored,
            "unscored_samples": score.errors + score.missing,
            "metrics": metrics,
        })
    }

    fn sample(&self, asked: &Asked, result: &SampleResult, model: &str) -> Value {
        let mut messages = asked.messages().to_vec();
        let mut output = json!({"model": model, "choices": []});
        if let Some(answer) = &result.answer {
            let message = json!({"role": "assistant", "content": answer, "source": "generate"});
            messages.push(message.clone());
            let reason = stop_reason(result.finish_reason.as_deref());
            output["choices"] = json!([{"message": message, "stop_reason": reason}]);
            output["usage"] = json!({
                "input_tokens": result.input_tokens,
                "output_tokens": result.output_tokens,
                "total_tokens": result.input_tokens.saturating_add(result.output_tokens),
            });
        }
        let mut metadata = asked.task.metadata.clone();
        if let Some(group) = &result.group {
            metadata.insert("group".into(), group.as_str().into());
        }
        let mut sample = json!({
            "id": result.id,
            "epoch": result.epoch,
            "input": asked.messages(),
            "target": result.target,
            "messages": messages,
            "output": output,
            "scores": {},
            "metadata": metadata,
        });
        if !asked.task.choices.is_empty() {
            sample["choices"] = json!(asked.task.choices);
        }
        match (&result.error, result.score) {
            (Some(error), _) => {
                sample["error"] = fault(&format!("{}: {}", error.kind, error.message))
            }
            (None, Some(score)) => {
                let said = result.extracted.as_ref().or(result.answer.as_ref());
                let verdict =
                    json!({"value": value(score), "answer": said, "explanation": result.label});
                sample["scores"] = json!({ &self.report.scorer: verdict });
            }
            (None, None) => {}
        }
        sample
    }
}

/// Why an answer ended, in Inspect's words.
fn stop_reason(reason: Option<&str>) -> &'static str {
    match reason {
        None | Some("stop") => "stop",
        Some("length") => "max_tokens",
        Some("tool_calls") => "tool_calls",
        Some("content_filter" | "refusal") => "content_filter",
        Some(_) => "unknown",
    }
}

/// Refuses a name that promises another format than the one that is written.
pub(super) fn check(path: &Path) -> Result<()> {
    if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("eval")) {
        let message = format!(
            "{} would be no .eval archive but JSON: give it a name that ends in .json; `inspect log \
             convert` makes the other of it",
            path.display()
        );
        return Err(Error::invalid("inspect", message));
    }
    Ok(())
}

/// A verdict as Inspect writes it.
fn value(score: f64) -> Value {
    match score {
        1.0 => "C".into(),
        0.0 => "I".into(),
        score => score.into(),
    }
}

fn fault(message: &str) -> Value {
    json!({"message": message, "traceback": "", "traceback_ansi": ""})
}

/// A time in ISO 8601, in UTC.
fn iso(date: SystemTime) -> String {
    let seconds = date.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let (mut year, mut day) = (1970, seconds / 86_400);
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}+00:00", month + 1, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, wanted) in [
            (0, "1970-01-01T00:00:00+00:00"),
            (951_782_399, "2000-02-28T23:59:59+00:00"),
            (951_782_400, "2000-02-29T00:00:00+00:00"),
            (951_868_800, "2000-03-01T00:00:00+00:00"),
            (1_735_689_599, "2024-12-31T23:59:59+00:00"),
            (4_107_542_400, "2100-03-01T00:00:00+00:00"),
        ] {
            assert_eq!(iso(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), wanted);
        }
    }
}
