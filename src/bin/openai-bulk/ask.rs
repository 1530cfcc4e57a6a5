//! `openai-bulk ask`.

use crate::args::Ask;
use crate::failure::{Failure, INTERRUPTED, SOME_FAILED};
use crate::{logger, settings, signals};
use indicatif::MultiProgress;
use openai_bulk::api::{ChatReply, ChatRequest, FinishReason, Response};
use openai_bulk::clock::Stop;
use openai_bulk::{Client, Error};
use std::io::{self, ErrorKind, Read, Write};
use std::process::ExitCode;

/// Asks one question, and writes the answer while it comes.
pub fn ask(args: &Ask) -> Result<ExitCode, Failure> {
    logger::install(&MultiProgress::new(), args.talk.quiet, args.talk.verbose);
    // Lives until the answer is there.
    let mut simulator = None;
    let config = settings::sending(&args.sending, args.model.as_deref(), true, &mut simulator)?;
    for warning in config.warnings() {
        log::warn!(target: "openai_bulk::config", "{warning}");
    }
    let client = Client::new(config)?;
    let request = request(args)?;
    let stop = Stop::new();
    signals::watch_quietly(&stop)?;
    let mut out = Out::default();
    let answered = answer(args, &client, &request, &stop, &mut out);
    out.end_line();
    match answered {
        Ok(Some(reply)) => Ok(tell(args, &reply)),
        Ok(None) => Ok(ExitCode::SUCCESS),
        Err(Failure::Library(error)) if error.is_cancelled() => {
            eprintln!("interrupted");
            Ok(ExitCode::from(INTERRUPTED))
        }
        Err(Failure::Library(error)) if is_about_the_answer(&error) => {
            eprintln!("error: {error}");
            Ok(ExitCode::from(SOME_FAILED))
        }
        Err(failure) => Err(failure),
    }
}

/// Whether the question was asked and not answered, as opposed to never asked.
fn is_about_the_answer(error: &Error) -> bool {
    !error.is_fatal_for_run() && !matches!(error, Error::Validation(_) | Error::File(_))
}

fn request(args: &Ask) -> Result<ChatRequest, Failure> {
    let question = match args.question.as_str() {
        "-" => {
            let mut text = String::new();
            let read = io::stdin().read_to_string(&mut text);
            read.map_err(|e| Failure::Other(format!("cannot read standard input: {e}")))?;
            text
        }
        typed => typed.to_owned(),
    };
    if question.trim().is_empty() {
        return Err(Failure::Usage("there is no question".into()));
    }
    let mut request = ChatRequest::default();
    if let Some(system) = &args.system {
        request = request.system(system.as_str());
    }
    if let Some(most) = args.max_completion_tokens {
        request = request.max_completion_tokens(most);
    }
    Ok(request.user(question))
}

/// Writes the answer. There is no reply if nobody reads any more.
fn answer(
    args: &Ask,
    client: &Client,
    request: &ChatRequest,
    stop: &Stop,
    out: &mut Out,
) -> Result<Option<Response<ChatReply>>, Failure> {
    let reply = if args.no_stream {
        client.send_until(request, stop)?
    } else {
        let mut stream = client.stream_until(request, stop)?;
        if !args.json {
            for text in stream.text_deltas() {
                if !out.write(&text?)? {
                    return Ok(None);
                }
            }
        }
        stream.collect_reply()?
    };
    let whole = match (args.json, args.no_stream) {
        (true, _) => serde_json::to_string_pretty(&reply.value).expect("a reply is plain data"),
        (false, true) => reply.text(),
        (false, false) => return Ok(Some(reply)),
    };
    Ok(out.write(&whole)?.then_some(reply))
}

/// Says what is not in the answer: how it ended, and what it took.
fn tell(args: &Ask, reply: &Response<ChatReply>) -> ExitCode {
    if !args.talk.quiet {
        let usage = reply.usage.clone().unwrap_or_default();
        let cost =
            reply.cost.as_ref().map_or("price unknown".into(), |cost| cost.total.to_string());
        match reply.usage {
            Some(_) => eprintln!("{} tokens in, {} out, {cost}", usage.input(), usage.output()),
            None => eprintln!("tokens unknown: the server told none"),
        }
    }
    if let Some(refusal) = reply.refusal() {
        eprintln!("the model does not answer: {refusal}");
        return ExitCode::from(SOME_FAILED);
    }
    match reply.finish_reason() {
        Some(FinishReason::Length) => {
            eprintln!("note: the answer is cut short at the limit of tokens");
        }
        Some(FinishReason::ContentFilter) => {
            eprintln!("note: a filter left out a part of the answer")
        }
        _ if reply.text().is_empty() => eprintln!("note: the answer is empty"),
        _ => {}
    }
    ExitCode::SUCCESS
}

/// Standard output, and whether its last line has an end.
#[derive(Default)]
struct Out {
    is_open: bool,
}

impl Out {
    /// Writes at once; `false` if nobody reads any more.
    fn write(&mut self, text: &str) -> Result<bool, Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => self.is_open = !text.ends_with('\n'),
            Err(e) if e.kind() == ErrorKind::BrokenPipe => return Ok(false),
            Err(e) => {
                return Err(Failure::Other(format!("cannot write to standard output: {e}")));
            }
        }
        Ok(true)
    }

    fn end_line(&mut self) {
        if std::mem::take(&mut self.is_open) {
            // What cannot be written now was told before, or nobody reads.
            let _ = writeln!(io::stdout());
        }
    }
}
