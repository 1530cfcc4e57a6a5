//! A program that judges, such as one that runs tests.

use super::{Verdict, extract};
use crate::clock::{Clock, Stop, SystemClock};
use crate::eval::sample::Task;
use serde_json::json;
use std::io::Write;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

/// How often it is looked whether the program has ended.
const LOOK: Duration = Duration::from_millis(5);

/// A command of the shell, and the time that it has.
#[derive(Clone, Debug)]
pub(super) struct Check {
    command: String,
    timeout: Duration,
}

impl Check {
    pub(super) fn new(command: &str, timeout: Duration) -> Check {
        Check { command: command.to_owned(), timeout }
    }

    /// Judges an answer by the exit code; the error says that the command could not be run.
    pub(super) fn score(&self, answer: &str, task: &Task) -> Result<Verdict, String> {
        let input = given(answer, task);
        let mut child = self.start().map_err(|e| format!("the command cannot be started: {e}"))?;
        let pipe = child.stdin.take();
        thread::scope(|scope| {
            // A program that reads nothing must not hold back the one who writes.
            scope.spawn(|| pipe.map(|mut pipe| pipe.write_all(input.as_bytes())));
            let ended = self.wait(&mut child).map_err(|e| format!("the command was lost: {e}"));
            match ended? {
                // What a shell says of a command that it cannot find, or may not run.
                Some(status) if matches!(status.code(), Some(126 | 127)) => {
                    Err("the shell cannot run the command".to_owned())
                }
                Some(status) => Ok(Verdict::of(status.success())),
                None => Ok(Verdict { label: Some("timed out".into()), ..Verdict::of(false) }),
            }
        })
    }

    fn start(&self) -> std::io::Result<Child> {
        let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
        // With `exec`, what is ended after the time is the program and not only its shell.
        let exec = if cfg!(windows) { "" } else { "exec " };
        Command::new(shell)
            .arg(flag)
            .arg(format!("{exec}{}", self.command))
            .env_remove("OPENAI_API_KEY")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    }

    /// Waits for the end; `None` if the time ran out.
    fn wait(&self, child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
        let (clock, stop) = (SystemClock::new(), Stop::new());
        let begun = clock.now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if clock.now().since(begun) >= self.timeout {
                child.kill()?;
                return child.wait().map(|_| None);
            }
            clock.sleep(LOOK, &stop);
        }
    }
}

/// What the command reads: a program with its tests, or the answer and what is known of its sample.
fn given(answer: &str, task: &Task) -> String {
    let text = |name: &str| task.metadata.get(name).and_then(|value| value.as_str());
    let code = extract::code(answer, text("entry_point"));
    let (Some(test), Some(entry)) = (text("test"), text("entry_point")) else {
        return json!({"answer": answer, "code": code, "sample": task}).to_string();
    };
    // Many models give the whole function, some only what comes after its head. What stands before
    // it, such as imports and other functions that the tests call, is needed in both cases.
    let prompt = text("prompt").unwrap_or_default();
    let define = format!("def {entry}(");
    let head = match code.contains(&define) {
        true => prompt.find(&define).map_or("", |at| &prompt[..at]),
        false => prompt,
    };
    format!("{head}{code}\n\n{test}\n\ncheck({entry})\n")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn task(row: serde_json::Value) -> Task {
        Task { id: "a".into(), metadata: row.as_object().unwrap().clone(), ..Task::default() }
    }

    fn check(command: &str, answer: &str) -> Result<Verdict, String> {
        Check::new(command, Duration::from_secs(20)).score(answer, &task(json!({})))
    }

    #[test]
    fn the_exit_code_is_the_verdict() {
        assert_eq!(check("grep -q '\"answer\":\"yes\"'", "yes").unwrap(), Verdict::of(true));
        assert_eq!(check("grep -q '\"answer\":\"yes\"'", "no").unwrap(), Verdict::of(false));
        assert!(check("/no/such/program", "yes").is_err());
    }

    #[test]
    fn a_command_that_reads_nothing_or_never_ends_holds_nothing_back() {
        assert_eq!(check("true", &"x".repeat(1 << 20)).unwrap(), Verdict::of(true));
        let endless = Check::new("sleep 3600", Duration::from_millis(20));
        let verdict = endless.score("x", &task(json!({}))).unwrap();
        assert_eq!((verdict.score, verdict.label.as_deref()), (0.0, Some("timed out")));
    }

    #[test]
    fn a_sample_with_tests_becomes_a_program() {
        let row = json!({"prompt":"def f():\n","test":"def check(c):\n  assert c() == 1","entry_point":"f"});
        let whole = given("```python\ndef f():\n  return 1\n```", &task(row.clone()));
        assert_eq!(whole, "def f():\n  return 1\n\ndef check(c):\n  assert c() == 1\n\ncheck(f)\n");
        let rest = given("  return 1", &task(row));
        assert!(rest.starts_with("def f():\n  return 1\n"), "{rest}");
        let row = json!({"prompt":"import math\n\ndef g():\n  return 2\n\ndef f():\n","test":"t","entry_point":"f"});
        let whole = given("def f():\n  return 1", &task(row.clone()));
        assert!(whole.starts_with("import math\n\ndef g():\n  return 2\n\ndef f():\n  return 1\n"));
        let other = given("  def f_of(x):\n    return x", &task(row));
        assert!(other.contains("\ndef f():\n  def f_of(x):"), "{other}");
    }
}
