//! Answers are judged on rayon while requests are in flight.

use super::answer::{Answered, Fault, SampleResult};
use super::sample::Task;
use super::scorer::Scorer;
use super::spool::Spool;
use crate::bulk::each_line;
use crate::error::{Error, Result};
use crate::usage::Prices;
use crate::wire::row::read_output;
use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use rayon::prelude::*;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// How many answers may wait to be judged; what does not fit is judged from the file at the end.
const WAITING: usize = 4096;

/// How many are judged together.
const TOGETHER: usize = 256;

/// What is needed to judge a line.
#[derive(Clone)]
pub(super) struct Judge {
    pub(super) scorer: Scorer,
    pub(super) prices: Arc<Prices>,
}

impl Judge {
    /// Reads and judges a line; `None` if it is none of an evaluation.
    fn line(&self, line: &[u8]) -> Option<Answered> {
        let mut answered = Answered::read(line, &self.prices)?;
        self.judge(&mut answered.result, &answered.task);
        Some(answered)
    }

    /// Judges an answer, if there is one.
    pub(super) fn judge(&self, result: &mut SampleResult, task: &Task) {
        let Some(answer) = result.answer.as_deref() else { return };
        let verdict = self.scorer.score(answer, task).transpose();
        if let Some(verdict) = verdict {
            result.judged(verdict.map_err(|message| Fault::new("scorer", &message)));
        }
    }

    /// Judges lines on rayon and keeps the results.
    fn keep(&self, lines: &[Vec<u8>], spool: &mut Spool, standing: &Mutex<Standing>) -> Result<()> {
        let judged: Vec<_> = lines.par_iter().filter_map(|line| self.line(line)).collect();
        let mut standing = standing.lock();
        for one in &judged {
            if !spool.put(one)? {
                continue;
            }
            standing.scored += u64::from(one.result.score.is_some());
            standing.sum += one.result.score.unwrap_or_default();
        }
        Ok(())
    }
}

/// How the answers that were judged so far turned out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Standing {
    /// Answers with a score.
    pub scored: u64,
    /// The sum of their scores.
    pub sum: f64,
}

/// Judges what it is offered, on a thread that hands it to rayon's.
pub(super) struct Live {
    judge: Judge,
    offered: Sender<Vec<u8>>,
    thread: JoinHandle<Result<Spool>>,
    standing: Arc<Mutex<Standing>>,
}

impl Live {
    pub(super) fn start(judge: Judge, output: &Path) -> Result<Live> {
        let mut spool = Spool::beside(output)?;
        let (offered, taken): (_, Receiver<Vec<u8>>) = bounded(WAITING);
        let standing = Arc::new(Mutex::new(Standing::default()));
        let (own, shared) = (judge.clone(), standing.clone());
        let work = move || {
            while let Ok(first) = taken.recv() {
                let lines: Vec<_> =
                    std::iter::once(first).chain(taken.try_iter().take(TOGETHER)).collect();
                own.keep(&lines, &mut spool, &shared)?;
            }
            Ok(spool)
        };
        let thread = thread::Builder::new().name("openai-bulk-score".into());
        let thread = thread.spawn(work).expect("one thread can be started");
        Ok(Live { judge, offered, thread, standing })
    }

    /// Takes a line of answers. It never waits, so that answers are written as fast as they come.
    pub(super) fn offer(&self, line: &[u8]) {
        if !self.offered.is_full() {
            let _ = self.offered.try_send(line.to_vec());
        }
    }

    pub(super) fn standing(&self) -> Standing {
        *self.standing.lock()
    }

    /// Judges what the file of answers holds besides, and gives all results.
    pub(super) fn finish(self, answers: &Path) -> Result<Spool> {
        let Live { judge, offered, thread, standing } = self;
        drop(offered);
        let mut spool = thread.join().unwrap_or_else(|_| {
            Err(Error::invalid("scorer", "it panicked while it judged an answer"))
        })?;
        if !answers.exists() {
            return Ok(spool);
        }
        let (mut lines, mut failure) = (Vec::new(), None);
        each_line(answers, |line| {
            let is_new = read_output(line).is_some_and(|known| !spool.has(known.id_hash()));
            if failure.is_some() || !is_new {
                return;
            }
            lines.push(line.to_vec());
            if lines.len() >= TOGETHER {
                failure = judge.keep(&lines, &mut spool, &standing).err();
                lines.clear();
            }
        })?;
        match failure {
            Some(error) => Err(error),
            None => judge.keep(&lines, &mut spool, &standing).map(|()| spool),
        }
    }
}
