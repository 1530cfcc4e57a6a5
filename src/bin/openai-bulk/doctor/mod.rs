//! `openai-bulk doctor`: looks at everything that a run needs.
//!
//! - `finding` - what was found, and what to do about it.
//! - `probe` - looks: at this machine, at the store, at the server.
//! - `here` - judges what does not need the server.
//! - `there` - judges what the server answered.

mod finding;
mod here;
mod probe;
#[cfg(test)]
mod tests;
mod there;

use crate::args::Doctor;
use crate::failure::{CONFIGURATION, Failure};
use crate::requests::print;
use crate::{logger, settings};
use finding::{Finding, Level};
use indicatif::MultiProgress;
use openai_bulk::Client;
use openai_bulk::clock::{Clock, SystemClock};
use openai_bulk::config::Config;
use std::process::ExitCode;

/// Looks, and tells.
pub fn doctor(args: &Doctor) -> Result<ExitCode, Failure> {
    logger::install(&MultiProgress::new(), false, 0);
    let findings = look(args);
    let is_ill = findings.iter().any(|finding| finding.level == Level::Error);
    print(&if args.json { finding::json(&findings) } else { finding::table(&findings) })?;
    Ok(if is_ill { ExitCode::from(CONFIGURATION) } else { ExitCode::SUCCESS })
}

fn look(args: &Doctor) -> Vec<Finding> {
    let mut findings = Vec::new();
    let config = match settings::unchecked(&args.connection) {
        Ok(config) => config,
        Err(failure) => {
            findings.push(here::unreadable(&failure.to_string()));
            findings.push(here::disk(&probe::disk()));
            return findings;
        }
    };
    let config = match &args.model {
        Some(model) => config.model(model),
        None => config,
    };
    findings.push(here::configuration(&config));
    findings.extend(config.warnings().iter().map(|warning| here::suspicious(warning)));
    findings.extend(here::problems(&config));
    findings.extend(here::key(&config, &config.load_key()));
    findings.extend(server(args, &config, &findings));
    findings.push(here::prices(config.get_model(), &config.load_prices()));
    findings.push(here::open_files(&config, probe::open_files()));
    findings.push(here::store(&probe::store(&config)));
    findings.push(here::disk(&probe::disk()));
    findings
}

/// What can be seen of the server.
fn server(args: &Doctor, config: &Config, before: &[Finding]) -> Vec<Finding> {
    if args.offline {
        return vec![Finding::skipped("base_url", "not looked at: --offline")];
    }
    if before.iter().any(|finding| finding.level == Level::Error) {
        let why = "not looked at: first mend what is wrong above";
        return vec![Finding::skipped("base_url", why)];
    }
    let client = match Client::new(config.clone()) {
        Ok(client) => client,
        Err(error) => return vec![here::unusable(&error)],
    };
    let place = match there::Place::of(&client) {
        Ok(place) => place,
        Err(error) => return vec![here::unusable(&error)],
    };
    let listed = probe::list_models(&client, &place);
    let now = SystemClock::new().date();
    let mut findings = there::connection(&place, &listed);
    let Ok(listed) = &listed else { return findings };
    findings.push(there::clock(listed, now));
    let asked = (!args.free).then(|| {
        eprintln!("{}", probe::announcement(&client, &place));
        probe::ask(&client, &place)
    });
    findings.extend(there::key(&place, listed, asked.as_ref()));
    findings.push(there::model(&place, listed, asked.as_ref()));
    findings.push(match &asked {
        Some(asked) => there::limits(&place, config, asked),
        None => Finding::skipped("limits", "not looked at: --free"),
    });
    findings
}
