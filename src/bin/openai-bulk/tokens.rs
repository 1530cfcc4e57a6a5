//! `openai-bulk tokens`.

use crate::args::{Kind, Tokens};
use crate::failure::Failure;
use crate::requests::{self, print};
use crate::settings;
use openai_bulk::Error;
use openai_bulk::bulk::estimate::Tally;
use openai_bulk::bulk::input::{Source, each_row};
use openai_bulk::usage::{Encoding, TextCount, count_request};
use openai_bulk::wire::row::Format;
use serde_json::json;
use std::io::{Cursor, IsTerminal, Read};
use std::path::Path;
use std::process::ExitCode;

/// The version of the JSON's shape; it rises when a field changes its meaning or goes.
const SCHEMA: u32 = 1;
/// How much of an input is looked at to see what it is, in bytes.
const LOOK: usize = 1 << 20;
/// How much of a text is read at once, in bytes.
const READ: usize = 1 << 20;
/// How many lines that are not valid are shown.
const SHOWN: usize = 20;

/// Counts a text, or the requests of a file.
pub fn tokens(args: &Tokens) -> Result<ExitCode, Failure> {
    if args.input == Path::new("-") && std::io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "standard input is a terminal: give it a file or a pipe".into(),
        ));
    }
    let config = match &args.requests.model {
        Some(model) => settings::read(&args.files)?.model(model),
        None => settings::read(&args.files)?,
    };
    let format = requests::format(&args.requests, config.get_model())?;
    let source = Source::open(&args.input)?;
    let mut reader = source.reader()?;
    let mut start = Vec::new();
    let fault = |e| Error::file("read", &args.input, e);
    reader.by_ref().take(LOOK as u64).read_to_end(&mut start).map_err(fault)?;
    let is_text = match args.kind {
        Some(kind) => kind == Kind::Text,
        None => args.encoding.is_some() || args.ids || !holds_requests(args, &format, &start),
    };
    let reader = Box::new(Cursor::new(start).chain(reader));
    if is_text {
        text(args, config.get_model(), &source.name(), reader)
    } else if args.ids || args.encoding.is_some() {
        Err(Failure::Usage("--ids and --encoding are for text, not for requests".into()))
    } else {
        count_requests(args, &format, &source, reader)
    }
}

/// Whether the name says JSON Lines, or the first line is a request.
fn holds_requests(args: &Tokens, format: &Format, start: &[u8]) -> bool {
    let name = args.input.to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    if name.ends_with(".jsonl") || name.ends_with(".ndjson") {
        return true;
    }
    let mut lines = start.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    lines.next().is_some_and(|line| format.parse(1, line).is_ok())
}

/// Counts a text, or writes the numbers of its tokens.
fn text(args: &Tokens, model: &str, name: &str, reader: impl Read) -> Result<ExitCode, Failure> {
    let known = args.encoding.or_else(|| Encoding::of_model(model));
    let encoding = known.unwrap_or(Encoding::FALLBACK);
    if known.is_none() && !args.talk.quiet {
        eprintln!(
            "note: how {model} reads text is not published; this is an estimate by {encoding}"
        );
    }
    let mut all = args.ids.then(String::new);
    let mut count = TextCount::new(encoding);
    read_text(reader, name, &args.input, |part| match &mut all {
        Some(all) => all.push_str(part),
        None => count.push(part),
    })?;
    let ids = all.map(|all| encoding.encode(&all));
    let tokens = ids.as_ref().map_or_else(|| count.finish(), |ids| ids.len() as u64);
    let model = args.encoding.is_none().then_some(model);
    let mut out = match (&ids, args.json) {
        (_, true) => {
            let mut told = json!({
                "schema": SCHEMA, "kind": "text", "model": model, "encoding": encoding.name(),
                "tokens": tokens, "estimate": known.is_none(),
            });
            if let Some(ids) = &ids {
                told["ids"] = ids.as_slice().into();
            }
            told.to_string()
        }
        (Some(ids), false) => ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "),
        (None, false) => tokens.to_string(),
    };
    out.push('\n');
    print(&out)
}

/// Gives a text part by part, each of whole characters.
fn read_text(
    mut reader: impl Read,
    name: &str,
    path: &Path,
    mut each: impl FnMut(&str),
) -> Result<(), Failure> {
    let mut bytes = Vec::with_capacity(READ + 4);
    let mut before = 0;
    loop {
        let kept = bytes.len();
        let read = reader.by_ref().take(READ as u64).read_to_end(&mut bytes);
        read.map_err(|e| Error::file("read", path, e))?;
        let is_end = bytes.len() == kept;
        let valid = match std::str::from_utf8(&bytes) {
            Ok(text) => text.len(),
            // A character that goes on in the next part.
            Err(e) if e.error_len().is_none() && !is_end => e.valid_up_to(),
            Err(e) => return Err(not_utf8(name, before, &bytes, e.valid_up_to())),
        };
        each(std::str::from_utf8(&bytes[..valid]).unwrap_or_default());
        before += valid as u64;
        bytes.drain(..valid);
        if is_end {
            return Ok(());
        }
    }
}

fn not_utf8(name: &str, before: u64, bytes: &[u8], valid: usize) -> Failure {
    let is_start = before == 0 && valid == 0;
    if is_start && (bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")) {
        return Failure::Other(format!(
            "{name}: the text is UTF-16; make it UTF-8 first, such as with `iconv -f UTF-16 -t UTF-8`"
        ));
    }
    let at = before + valid as u64 + 1;
    Failure::Other(format!(
        "{name}: not UTF-8 at byte {at}; make it UTF-8 first, such as with `iconv -f LATIN1 -t UTF-8`"
    ))
}

/// Counts the requests of JSON Lines.
fn count_requests(
    args: &Tokens,
    format: &Format,
    source: &Source,
    reader: Box<dyn Read + Send>,
) -> Result<ExitCode, Failure> {
    let mut tally = Tally::default();
    let mut invalid = 0u64;
    let mut problems = Vec::new();
    each_row(
        source.lines_of(reader),
        format,
        |row| {
            let tokens = count_request(&row.url, row.model.as_deref(), &row.body);
            (row.line, row.model, tokens)
        },
        |row| match row {
            Ok((line, model, tokens)) => tally.add(line, model.as_deref().unwrap_or(""), &tokens),
            Err(e) => {
                invalid += 1;
                if problems.len() < SHOWN {
                    problems.push(e);
                }
            }
        },
    )?;
    if invalid > 0 && !args.skip_invalid {
        let mut message = format!("{}: {invalid} of its lines are not requests", source.name());
        for problem in &problems {
            message.push_str(&format!("\n  {problem}"));
        }
        message.push_str("\n--skip-invalid counts the others, --as text counts the file as text");
        return Err(Failure::Other(message));
    }
    let out = if args.json {
        let mut told = serde_json::to_value(&tally).expect("a tally is plain data");
        told["schema"] = SCHEMA.into();
        told["kind"] = "requests".into();
        told["invalid"] = invalid.into();
        told.to_string() + "\n"
    } else {
        table(&tally, invalid)
    };
    print(&out)
}

fn table(tally: &Tally, invalid: u64) -> String {
    let mut lines =
        vec![["model", "encoding", "rows", "input tokens", "most output"].map(String::from)];
    let most = |output: u64, without: u64, rows: u64| match without {
        0 => output.to_string(),
        n if n == rows => "not set".into(),
        n => format!("{output} and {n} rows without"),
    };
    for (model, each) in &tally.models {
        let about = if each.estimated_rows > 0 { "~" } else { "" };
        lines.push([
            if model.is_empty() { "-".into() } else { model.clone() },
            each.encoding.into(),
            each.rows.to_string(),
            format!("{about}{}", each.input_tokens),
            most(each.max_output_tokens, each.rows_without_max_output, each.rows),
        ]);
    }
    let about = if tally.estimated_rows > 0 { "~" } else { "" };
    if tally.models.len() != 1 {
        lines.push([
            "total".into(),
            String::new(),
            tally.rows.to_string(),
            format!("{about}{}", tally.input_tokens),
            most(tally.max_output_tokens, tally.rows_without_max_output, tally.rows),
        ]);
    }
    let mut text = requests::aligned(&lines, 2);
    if let Some(longest) = tally.longest {
        text.push_str(&format!("longest: line {} with {} tokens\n", longest.line, longest.tokens));
    }
    if invalid > 0 {
        text.push_str(&format!("lines that are not requests: {invalid}\n"));
    }
    if tally.estimated_rows > 0 {
        let mut doubts = std::collections::BTreeMap::<_, u64>::new();
        for (doubt, rows) in tally.models.values().flat_map(|model| &model.doubts) {
            *doubts.entry(*doubt).or_default() += rows;
        }
        let told = doubts.iter().map(|(doubt, rows)| format!("{rows} {doubt}"));
        text.push_str(&format!(
            "~ {} rows are estimates, because nothing is published or sent that tells: {}\n",
            tally.estimated_rows,
            told.collect::<Vec<_>>().join(", ")
        ));
    }
    text
}
