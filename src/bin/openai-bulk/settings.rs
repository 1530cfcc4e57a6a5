//! The settings of a command: its flags before the environment, and that before files.

use crate::args::{Connection, Files, Rates, Sending, Spending};
use crate::failure::Failure;
use crate::{cache_steps, machine, requests, simulate};
use openai_bulk::config::{ApiKey, Config, Sources};
use openai_bulk::simulator::Simulator;

/// How long the simulator takes unless something else is asked for: long enough to see the run.
const SIMULATED_LATENCY: &str = "200ms..1500ms";

/// The settings of a command that has no others than those of the connection.
pub fn connect(connection: &Connection) -> Result<Config, Failure> {
    let config = unchecked(connection)?;
    config.validate()?;
    Ok(config)
}

/// What the environment and the files of settings say.
pub fn read(files: &Files) -> Result<Config, Failure> {
    let mut sources = Sources::new();
    if let Some(path) = &files.env_file {
        sources = sources.env_file(path);
    }
    if let Some(path) = &files.config_file {
        sources = sources.config_file(path);
    }
    if let Some(name) = &files.profile {
        sources = sources.profile(name);
    }
    Ok(sources.load()?)
}

/// The same with the flags of a connection, unchecked.
pub fn unchecked(connection: &Connection) -> Result<Config, Failure> {
    Ok(connected(typed(connection)?, connection))
}

fn typed(connection: &Connection) -> Result<Config, Failure> {
    let mut config = read(&connection.files)?;
    for setting in &connection.settings {
        config = set(config, setting)?;
    }
    Ok(config)
}

fn connected(mut config: Config, connection: &Connection) -> Config {
    if let Some(url) = &connection.base_url {
        config = config.base_url(url);
    }
    if let Some(path) = &connection.api_key_file {
        config = config.api_key_file(path);
    }
    if let Some(path) = &connection.ca_file {
        config = config.ca_file(path);
    }
    if let Some(time) = connection.connect_timeout {
        config = config.connect_timeout(time);
    }
    config
}

/// The settings: flags before the environment, the environment before the file.
pub fn sending(
    args: &Sending,
    model: Option<&str>,
    needs_key: bool,
    simulator: &mut Option<Simulator>,
) -> Result<Config, Failure> {
    let connection = &args.connection;
    let mut config = typed(connection)?;
    let mut files_per_request = 1;
    if args.simulate {
        let mut builder = simulate::builder(&args.simulator)?;
        if args.simulator.latency.is_none() {
            builder = builder.latency(SIMULATED_LATENCY.parse()?);
        }
        let started = builder.start()?;
        // A real key is never sent to it.
        let key = ApiKey::new("sk-simulated")?;
        config = config.api_type("openai").base_url(started.base_url()).api_key(key);
        *simulator = Some(started);
        files_per_request = 2;
    } else {
        config = connected(config, connection);
    }
    if let Some(model) = model {
        config = config.model(model);
    }
    config = limits(args, config);
    config = cache_steps::caching(&args.caching, args.simulate, config);
    if !needs_key {
        requests::check_without_key(&config)?;
        return Ok(config);
    }
    config.validate()?;
    Ok(machine::fit(config, files_per_request))
}

/// A setting that was typed as `NAME=VALUE`.
fn set(config: Config, typed: &str) -> Result<Config, Failure> {
    let Some((name, value)) = typed.split_once('=') else {
        return Err(Failure::Usage(format!("--set {typed}: write it as NAME=VALUE")));
    };
    if name.ends_with("API_KEY") {
        // What is typed can be read by others on this machine.
        let ways = "the environment, .env or --api-key-file";
        return Err(Failure::Usage(format!(
            "--set {name}: a key comes from {ways}, never from a flag"
        )));
    }
    Ok(config.set(name, value)?)
}

fn limits(args: &Sending, config: Config) -> Config {
    let mut config = spending(&args.spending, rates(&args.rates, config));
    if let Some(exact) = args.concurrency {
        config = config.min_concurrency(exact).max_concurrency(exact);
    }
    if let Some(limit) = args.min_concurrency {
        config = config.min_concurrency(limit);
    }
    if let Some(limit) = args.max_concurrency {
        config = config.max_concurrency(limit);
    }
    if let Some(share) = args.hedge {
        config = config.hedge(share);
    }
    if let Some(limit) = args.max_retries {
        config = config.max_retries(limit);
    }
    if let Some(time) = args.timeout {
        config = config.timeout(time);
    }
    if let Some(time) = args.row_deadline {
        config = config.deadline(time);
    }
    if let Some(time) = args.connection.connect_timeout {
        config = config.connect_timeout(time);
    }
    config
}

/// What may be spent, as far as it was typed.
pub fn spending(args: &Spending, mut config: Config) -> Config {
    if let Some(most) = args.max_cost {
        config = config.max_cost(most);
    }
    if let Some(most) = args.max_tokens_total {
        config = config.max_tokens_total(most);
    }
    if let Some(path) = &args.prices {
        config = config.prices_file(path);
    }
    config
}

/// The limits of a minute and of a day, as far as they were typed.
pub fn rates(args: &Rates, mut config: Config) -> Config {
    if let Some(limit) = args.requests_per_minute {
        config = config.requests_per_minute(limit);
    }
    if let Some(limit) = args.tokens_per_minute {
        config = config.tokens_per_minute(limit);
    }
    if let Some(limit) = args.requests_per_day {
        config = config.requests_per_day(limit);
    }
    if let Some(limit) = args.tokens_per_day {
        config = config.tokens_per_day(limit);
    }
    if !args.limit_group.is_empty() {
        config = config.limit_groups(args.limit_group.join(","));
    }
    config
}
