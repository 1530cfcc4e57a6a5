//! What several commands share: how rows become requests, tables, and standard output.

use crate::args::Requests;
use crate::failure::Failure;
use openai_bulk::Error;
use openai_bulk::config::{ApiKey, Config};
use openai_bulk::wire::row::{ENDPOINTS, Format, endpoint};
use openai_bulk::wire::template::Template;
use std::fs;
use std::io::Write;
use std::process::ExitCode;

/// The way that rows are read; `model` is that of rows that name none.
pub fn format(args: &Requests, model: &str) -> Result<Format, Failure> {
    let mut format = Format { model: model.into(), ..Format::default() };
    format.system.clone_from(&args.system);
    if let Some(path) = &args.endpoint {
        let known = endpoint(path).ok_or_else(|| {
            let known = ENDPOINTS.join(", ");
            Failure::Usage(format!("--endpoint {path}: rows may be sent to {known}"))
        })?;
        format.endpoint = Some(known.into());
    }
    if let Some(template) = &args.template {
        format.template = Some(read_template(template)?);
    }
    Ok(format)
}

/// Checks the settings of a command that sends nothing, so that it needs no key.
pub fn check_without_key(config: &Config) -> Result<(), Failure> {
    let config = config.clone().api_type("openai").base_url("http://127.0.0.1");
    Ok(config.api_key(ApiKey::new("sk-none")?).validate()?)
}

/// A template that was typed, or the file that has it.
fn read_template(typed: &str) -> Result<Template, Failure> {
    let text = if typed.trim_start().starts_with('{') {
        typed.to_string()
    } else {
        fs::read_to_string(typed).map_err(|e| Error::file("read the template", typed, e))?
    };
    Template::parse(&text).map_err(|e| Failure::Usage(format!("--template: {e}")))
}

/// A text with places that was typed, or the file that has it.
pub fn text_or_file(typed: &str, what: &str) -> Result<String, Failure> {
    if typed.contains(['{', '\n']) {
        return Ok(typed.to_owned());
    }
    let read = fs::read_to_string(typed);
    read.map_err(|e| {
        let message = "it has no {field} and is no file that can be read";
        Failure::Usage(format!("the {what} `{typed}`: {message}: {e}"))
    })
}

/// Lines of cells in columns; the first `left` columns begin on the left, the others end on the
/// right.
pub fn aligned<const N: usize>(lines: &[[String; N]], left: usize) -> String {
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for line in lines {
        let mut row = String::new();
        for (at, (cell, width)) in line.iter().zip(widths).enumerate() {
            let gap = if at > 0 { "  " } else { "" };
            row.push_str(gap);
            row.push_str(&if at < left {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            });
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// Writes to standard output; a reader that has gone is no failure.
pub fn print(text: &str) -> Result<ExitCode, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Other(format!("cannot write to standard output: {e}")))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
