//! `openai-bulk eval`.

use crate::args::{Eval, Judge, Question, Run, ScorerName, Shape as ShapeName};
use crate::failure::{self, Failure};
use crate::requests::{print, text_or_file};
use crate::run::{self, Job, Sent};
use crate::{auto, logger, settings, signals};
use indicatif::MultiProgress;
use openai_bulk::Client;
use openai_bulk::bulk::Status;
use openai_bulk::clock::Stop;
use openai_bulk::eval::{
    Dataset, Evaluation, Fields, Grading, Prompt, Report, Round, Scorer, Shape,
};
use openai_bulk::wire::row::Format;
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

/// Asks the questions of a data set and judges the answers.
pub fn eval(args: Eval) -> Result<ExitCode, Failure> {
    let bars = MultiProgress::new();
    logger::install(&bars, args.talk.quiet, args.talk.verbose);
    if args.output == Path::new("-") {
        let message = "-o: the results go to a file, and the answers beside it";
        return Err(Failure::Usage(message.into()));
    }
    let (dataset, prompt) = question(&args)?;
    let scorer = scorer(&args.judge, dataset.shape())?;
    let Eval { output, epochs, inspect, bootstrap_seed, .. } = args;
    let run = Eval::run(args.ways, args.writing, args.sending, args.talk, &output);
    // Lives until the requests are answered.
    let mut simulator = None;
    let model = args.question.model.as_deref();
    let config = settings::sending(&run.sending, model, true, &mut simulator)?;
    let config = auto::ways(&run, config)?;
    for warning in config.warnings() {
        log::warn!(target: "openai_bulk::config", "{warning}");
    }
    let caps = config.get_caps();
    let client = Client::new(config)?;
    run::check_summary(&run.writing)?;
    let stop = Stop::new();
    signals::watch(&stop, run.sending.grace)?;
    let mut evaluation = Evaluation::new(dataset, &output)
        .prompt(prompt)
        .scorer(scorer)
        .epochs(epochs)
        .seed(bootstrap_seed)
        .fresh(run.writing.fresh)
        .caps(caps);
    if let Some(path) = inspect {
        evaluation = evaluation.inspect(path);
    }
    let mut rounds = Vec::new();
    let done = evaluation.run_with(client.caller(), |round| {
        let sent = send(round, &run, &client, &stop, &bars)?;
        let summary = sent.summary().clone();
        rounds.push(sent);
        Ok::<_, Failure>(summary)
    })?;
    if let Some(path) = &run.writing.summary {
        run::write_summary(path, &Told { report: &done.report, rounds: &rounds })?;
    }
    print(&done.report.to_string())?;
    Ok(end(&rounds, &run, &done.report))
}

/// What the summary says.
#[derive(Serialize)]
struct Told<'a> {
    report: &'a Report,
    /// The run that asked the samples, and the one that asked the grader.
    rounds: &'a [Sent],
}

fn send(
    round: &Round<'_>,
    run: &Run,
    client: &Client,
    stop: &Stop,
    bars: &MultiProgress,
) -> Result<Sent, Failure> {
    let job = Job {
        args: run,
        input: round.input,
        output: round.output,
        client,
        format: Format { model: client.config().get_model().into(), ..Format::default() },
        caps: round.caps,
        stop,
        bars,
    };
    let more = || {
        let standing = round.standing();
        let mean = standing.sum / standing.scored as f64 * 100.0;
        (standing.scored > 0).then(|| format!("{mean:.1} % of {} scored", standing.scored))
    };
    run::send(&job, &|line| round.seen(line), &more)
}

/// The exit code of the first round that did not come to a good end.
fn end(rounds: &[Sent], run: &Run, report: &Report) -> ExitCode {
    let is_good = |sent: &&Sent| {
        let summary = sent.summary();
        summary.status == Status::Finished && summary.rows.failed == 0
    };
    if let Some(sent) = rounds.iter().find(|sent| !is_good(sent)) {
        return sent.end(run);
    }
    if report.overall.errors > 0 {
        eprintln!("{} answers could not be judged: the output tells why", report.overall.errors);
        return ExitCode::from(failure::SOME_FAILED);
    }
    ExitCode::SUCCESS
}

fn question(args: &Eval) -> Result<(Dataset, Prompt), Failure> {
    let question = &args.question;
    let shape = shape(question);
    let mut prompt = match &question.prompt {
        Some(typed) => Prompt::default().question(&text_or_file(typed, "prompt")?)?,
        None => Prompt::of(&shape)?,
    };
    if let Some(text) = &question.system {
        prompt = prompt.system(text);
    }
    if let Some(path) = &question.endpoint {
        prompt = prompt.endpoint(path)?;
    }
    if let Some(typed) = &question.params {
        let params = serde_json::from_str(typed);
        let wrong = |e| Failure::Usage(format!("--params: not a JSON object: {e}"));
        prompt = prompt.params(params.map_err(wrong)?)?;
    }
    let mut dataset = Dataset::open(&args.dataset, shape.clone())?;
    if let Some(typed) = &question.few_shot {
        let shots = match typed.parse::<usize>() {
            Ok(count) => {
                dataset = dataset.skip(count);
                Dataset::open(&args.dataset, shape)?.limit(count)
            }
            Err(_) => Dataset::open(typed, shape)?,
        };
        let shots = shots.samples()?.collect::<Result<Vec<_>, _>>()?;
        prompt = prompt.shots(shots)?;
    }
    Ok((dataset.limit(args.limit).shuffle(args.shuffle_seed), prompt))
}

fn shape(question: &Question) -> Shape {
    match question.format {
        Some(ShapeName::Gsm8k) => Shape::Gsm8k,
        Some(ShapeName::Mmlu) => Shape::Mmlu,
        Some(ShapeName::Humaneval) => Shape::HumanEval,
        Some(ShapeName::Simpleqa) => Shape::SimpleQa,
        Some(ShapeName::OpenaiEvals) => Shape::OpenAiEvals,
        Some(ShapeName::Inspect) => Shape::Inspect,
        None => {
            let (target, id) = (question.target.clone(), question.id.clone());
            Shape::Fields(Fields { target, id, group: question.group.clone() })
        }
    }
}

fn scorer(judge: &Judge, shape: &Shape) -> Result<Scorer, Failure> {
    if let Some(command) = &judge.check_command {
        return Ok(Scorer::command(command, judge.check_timeout));
    }
    let name = match (judge.scorer, shape) {
        (Some(name), _) => name,
        (None, Shape::SimpleQa) => ScorerName::Simpleqa,
        (None, shape) => return Ok(Scorer::of(shape)?),
    };
    Ok(match name {
        ScorerName::Exact => Scorer::exact(),
        ScorerName::Normalised => Scorer::normalised(),
        ScorerName::Includes => Scorer::includes(),
        ScorerName::Choice => Scorer::choice(),
        ScorerName::Numeric => Scorer::numeric(judge.tolerance),
        ScorerName::Gsm8k => Scorer::gsm8k(),
        ScorerName::Pattern => Scorer::pattern(judge.pattern.as_deref().unwrap_or_default())?,
        ScorerName::Graded => grader(judge, Grading::usual())?,
        ScorerName::Simpleqa => grader(judge, Grading::simpleqa())?,
    })
}

fn grader(judge: &Judge, mut grading: Grading) -> Result<Scorer, Failure> {
    if let Some(model) = &judge.grader_model {
        grading = grading.model(model);
    }
    if let Some(typed) = &judge.grader_template {
        grading = grading.template(&text_or_file(typed, "grader template")?)?;
    }
    if let Some(pattern) = &judge.grader_pattern {
        grading = grading.pattern(pattern)?;
    }
    Ok(Scorer::graded(grading))
}
