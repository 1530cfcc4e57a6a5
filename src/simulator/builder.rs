//! The settings of a simulator.

use super::answers::Answers;
use super::batch_state::BatchSpeed;
use super::fault::{Fault, FaultSpec};
use super::in_process::InProcess;
use super::latency::Latency;
use super::limits::Limits;
use super::server::Simulator;
use crate::clock::Clock;
use crate::error::Result;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// Everything that can be set.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) address: SocketAddr,
    pub(super) seed: u64,
    pub(super) organization: String,
    pub(super) keys: Vec<String>,
    pub(super) models: Vec<String>,
    pub(super) limits: Limits,
    pub(super) model_limits: HashMap<String, Limits>,
    pub(super) rate_limit_headers: bool,
    pub(super) context_tokens: Option<u64>,
    pub(super) latency: Latency,
    pub(super) stream_pause: Duration,
    pub(super) words: RangeInclusive<usize>,
    pub(super) answers: Answers,
    pub(super) faults: Vec<FaultSpec>,
    pub(super) faults_on_first: Option<u32>,
    pub(super) scripted: HashMap<u64, Fault>,
    pub(super) fault_retry_after: Duration,
    pub(super) slow_body: Duration,
    pub(super) batch_speed: BatchSpeed,
    pub(super) batch_line_failures: f64,
    pub(super) empty_error_file_id: bool,
    pub(super) enqueued_tokens: Option<u64>,
    pub(super) log_requests: usize,
    pub(super) count_header: Option<String>,
    pub(super) clock: Option<Arc<dyn Clock>>,
}

/// Sets up a [`Simulator`].
#[derive(Clone, Debug)]
#[must_use = "nothing runs before `start`"]
pub struct SimulatorBuilder(Settings);

impl Default for SimulatorBuilder {
    fn default() -> SimulatorBuilder {
        SimulatorBuilder(Settings {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            seed: 1,
            organization: "org-simulated".into(),
            keys: Vec::new(),
            models: Vec::new(),
            limits: Limits::none(),
            model_limits: HashMap::new(),
            rate_limit_headers: true,
            context_tokens: None,
            latency: Latency::default(),
            stream_pause: Duration::ZERO,
            words: 8..=24,
            answers: Answers::default(),
            faults: Vec::new(),
            faults_on_first: None,
            scripted: HashMap::new(),
            fault_retry_after: Duration::from_millis(100),
            slow_body: Duration::from_secs(2),
            batch_speed: BatchSpeed::default(),
            batch_line_failures: 0.0,
            empty_error_file_id: false,
            enqueued_tokens: None,
            log_requests: 0,
            count_header: None,
            clock: None,
        })
    }
}

impl SimulatorBuilder {
    /// Sets where to listen. Port 0 takes one that is free. Default: `127.0.0.1:0`.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.0.address = address;
        self
    }

    /// Sets the seed of answers, faults, latencies and ids. Default: 1.
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }

    /// Sets the organization that headers and errors name. Default: `org-simulated`.
    pub fn organization(mut self, name: impl Into<String>) -> Self {
        self.0.organization = name.into();
        self
    }

    /// Accepts this key, and none that was not named. Default: any key that is not empty.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.0.keys.push(key.into());
        self
    }

    /// Knows this model, and none that was not named. Default: any model.
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.0.models.push(model.into());
        self
    }

    /// Sets the rate limits of each model without limits of its own. Default: none.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.0.limits = limits;
        self
    }

    /// Sets the rate limits of one model. Default: those of every model.
    pub fn model_limits(mut self, model: impl Into<String>, limits: Limits) -> Self {
        self.0.model_limits.insert(model.into(), limits);
        self
    }

    /// Sets whether answers carry `x-ratelimit-*` headers. Default: true.
    pub fn rate_limit_headers(mut self, send: bool) -> Self {
        self.0.rate_limit_headers = send;
        self
    }

    /// Refuses prompts of more tokens with `context_length_exceeded`. Default: never.
    pub fn context_tokens(mut self, most: u64) -> Self {
        self.0.context_tokens = Some(most);
        self
    }

    /// Sets the time before an answer of a model. Refusals come at once. Default: none.
    pub fn latency(mut self, latency: Latency) -> Self {
        self.0.latency = latency;
        self
    }

    /// Sets the pause after each event of a stream. Default: none, so that a stream is one write.
    pub fn stream_pause(mut self, pause: Duration) -> Self {
        self.0.stream_pause = pause;
        self
    }

    /// Sets how many words a made-up answer has. Default: 8 to 24 words.
    pub fn words(mut self, words: RangeInclusive<usize>) -> Self {
        self.0.words = words;
        self
    }

    /// Answers these questions as they were answered before. Default: none.
    pub fn answers(mut self, answers: Answers) -> Self {
        self.0.answers = answers;
        self
    }

    /// Shows a fault with this probability, from 0 to 1. The first of several faults comes first;
    /// together they should not pass 1. Default: none.
    pub fn fault(self, fault: Fault, probability: f64) -> Self {
        self.fault_spec(FaultSpec::new(fault, probability))
    }

    /// Shows a fault as a specification says. Default: none.
    pub fn fault_spec(mut self, spec: FaultSpec) -> Self {
        self.0.faults.push(spec);
        self
    }

    /// Shows likely faults only on the first attempts of each request. Default: on all.
    ///
    /// Two requests with the same path and body are two attempts of one request; without a body,
    /// `x-stainless-retry-count` counts, if it is sent.
    pub fn faults_on_first(mut self, attempts: u32) -> Self {
        self.0.faults_on_first = Some(attempts);
        self
    }

    /// Shows a fault at the request with this number, counted from 1. Default: none.
    pub fn fault_at(mut self, request: u64, fault: Fault) -> Self {
        self.0.scripted.insert(request, fault);
        self
    }

    /// Sets the wait that [`Fault::RateLimited`] asks for. Default: 100 ms.
    pub fn fault_retry_after(mut self, wait: Duration) -> Self {
        self.0.fault_retry_after = wait;
        self
    }

    /// Sets how long [`Fault::SlowBody`] takes. Default: 2 s.
    pub fn slow_body(mut self, time: Duration) -> Self {
        self.0.slow_body = time;
        self
    }

    /// Sets how fast batches go. Default: [`BatchSpeed::default`].
    pub fn batch_speed(mut self, speed: BatchSpeed) -> Self {
        self.0.batch_speed = speed;
        self
    }

    /// Sets the share of a batch's requests that fail with status 500, from 0 to 1. Default: 0.
    pub fn batch_line_failures(mut self, share: f64) -> Self {
        self.0.batch_line_failures = share;
        self
    }

    /// Shows `""` instead of null as the error file of a batch without errors, as the real server
    /// has been seen to do. Default: false.
    pub fn empty_error_file_id(mut self, empty: bool) -> Self {
        self.0.empty_error_file_id = empty;
        self
    }

    /// Sets the tokens of a model that unfinished batches may hold. Default: no limit.
    pub fn enqueued_tokens(mut self, limit: u64) -> Self {
        self.0.enqueued_tokens = Some(limit);
        self
    }

    /// Keeps the newest requests, with their headers and bodies. Default: 0 requests.
    pub fn log_requests(mut self, most: usize) -> Self {
        self.0.log_requests = most;
        self
    }

    /// Counts requests by the value of a header. Default: none.
    pub fn count_header(mut self, name: impl Into<String>) -> Self {
        self.0.count_header = Some(name.into());
        self
    }

    /// Takes the time from `clock`. Default: the machine's clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.0.clock = Some(clock);
        self
    }

    /// The same server without a socket: a transport that answers at once, so that hours pass in no
    /// time under a manual [`clock`](SimulatorBuilder::clock).
    pub fn in_process(self) -> InProcess {
        InProcess::new(self.0)
    }

    /// Starts to listen. An address that cannot be had is an error.
    pub fn start(self) -> Result<Simulator> {
        Simulator::listen(self.0)
    }
}
