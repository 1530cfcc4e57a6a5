//! What was found, and what to do about it.

use serde::Serialize;

/// The version of the JSON's shape; it rises when a field changes its meaning or goes.
const SCHEMA: u32 = 1;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// A run may go well, or worse than it could.
    Warning,
    /// No run can go well.
    Error,
    /// Not looked at.
    Skipped,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, by a stable name.
    pub check: &'static str,
    pub level: Level,
    pub found: String,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Finding {
    pub fn ok(check: &'static str, found: impl Into<String>) -> Finding {
        Finding { check, level: Level::Ok, found: found.into(), fix: None }
    }

    pub fn warning(
        check: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding { check, level: Level::Warning, found: found.into(), fix: Some(fix.into()) }
    }

    pub fn error(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { check, level: Level::Error, found: found.into(), fix: Some(fix.into()) }
    }

    pub fn skipped(check: &'static str, why: impl Into<String>) -> Finding {
        Finding { check, level: Level::Skipped, found: why.into(), fix: None }
    }
}

/// The findings for people to read.
pub fn table(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { check, level, found, fix } in findings {
        let level = match level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Error => "error",
            Level::Skipped => "-",
        };
        let name = match *check {
            "tls" => "TLS".to_owned(),
            "base_url" => "base URL".to_owned(),
            name => name.replace('_', " "),
        };
        text.push_str(&format!("{level:<8} {name:<14} {}\n", under(found)));
        if let Some(fix) = fix {
            text.push_str(&format!("{:<23} -> {}\n", "", under(fix)));
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let plural = |count, word| match count {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    };
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    text.push_str(&match (errors, warnings) {
        (0, 0) => "nothing is wrong\n".into(),
        _ => format!("{}, {}\n", plural(errors, "error"), plural(warnings, "warning")),
    });
    text
}

/// The lines after the first stand under it.
fn under(text: &str) -> String {
    text.replace('\n', &format!("\n{:<24}", ""))
}

/// The findings for programs.
pub fn json(findings: &[Finding]) -> String {
    let is_ok = findings.iter().all(|finding| finding.level != Level::Error);
    let all = serde_json::json!({"schema": SCHEMA, "ok": is_ok, "findings": findings});
    format!("{all:#}\n")
}
