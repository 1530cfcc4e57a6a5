//! `openai-bulk simulate`, and the simulator behind `--simulate`.

use crate::args::{Simulate, SimulatorArgs};
use crate::failure::Failure;
use crate::{logger, machine, signals};
use indicatif::MultiProgress;
use openai_bulk::clock::{Clock, Signal, Stop, SystemClock};
use openai_bulk::simulator::{Answers, BatchSpeed, Limits, Simulator, SimulatorBuilder};
use std::io::Write;
use std::net::ToSocketAddrs;
use std::process::ExitCode;
use std::time::Duration;

/// Serves until it is interrupted.
pub fn simulate(args: &Simulate) -> Result<ExitCode, Failure> {
    logger::install(&MultiProgress::new(), args.talk.quiet, args.talk.verbose);
    machine::raise_limits();
    let address = (args.host.as_str(), args.port)
        .to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next())
        .ok_or_else(|| Failure::Usage(format!("--host {}: no such address", args.host)))?;
    let simulator = builder(&args.simulator)?.address(address).start()?;
    let mut out = std::io::stdout();
    let told = writeln!(out, "{}", simulator.base_url()).and_then(|()| out.flush());
    told.map_err(|e| Failure::Other(format!("cannot write to standard output: {e}")))?;
    let stop = Stop::new();
    signals::watch_quietly(&stop)?;
    let (clock, signal) = (SystemClock::new(), Signal::new());
    let _subscription = stop.notify(&signal);
    while !stop.is_stopped() {
        clock.wait(&signal, signal.seen(), Some(clock.now() + Duration::from_secs(1)));
    }
    if let Some(path) = &args.stats {
        let stats = simulator.stats();
        let seen = serde_json::json!({
            "requests": stats.requests,
            "by_status": stats.by_status,
            "answers": stats.answers,
            "peak_in_flight": stats.peak_in_flight,
            "peak_connections": stats.peak_connections,
        });
        std::fs::write(path, seen.to_string())
            .map_err(|e| Failure::Other(format!("cannot write {}: {e}", path.display())))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A simulator as the arguments describe it.
pub fn builder(args: &SimulatorArgs) -> Result<SimulatorBuilder, Failure> {
    let mut builder = Simulator::builder().rate_limit_headers(!args.no_limit_headers);
    let mut limits = Limits::none();
    if let Some(limit) = args.server_requests_per_minute {
        limits = limits.requests_per_minute(limit);
    }
    if let Some(limit) = args.server_tokens_per_minute {
        limits = limits.tokens_per_minute(limit);
    }
    if let Some(burst) = args.server_burst {
        limits = limits.burst(burst);
    }
    builder = builder.limits(limits);
    if let Some(file) = &args.replay {
        builder = builder.answers(Answers::from_file(file)?);
    }
    if let Some(latency) = &args.latency {
        builder = builder.latency(latency.parse()?);
    }
    let mut speed = BatchSpeed::default();
    if let Some(time) = args.batch_time {
        // Looking at the input and writing the results take half of it each.
        speed = BatchSpeed::steps_of(time / 2).per_request(speed.per_request);
    }
    if let Some(time) = args.batch_request_time {
        speed = speed.per_request(time);
    }
    builder = builder.batch_speed(speed);
    if let Some(limit) = args.server_enqueued_tokens {
        builder = builder.enqueued_tokens(limit);
    }
    for fault in &args.fault {
        builder = builder.fault_spec(fault.parse()?);
    }
    if let Some(attempts) = args.faults_on_first {
        builder = builder.faults_on_first(attempts);
    }
    if let Some(seed) = args.seed {
        builder = builder.seed(seed);
    }
    Ok(builder)
}
