//! `openai-bulk config`.

use crate::args::Config as Args;
use crate::failure::Failure;
use crate::requests::{aligned, print};
use crate::settings;
use openai_bulk::config::{Config, Origin, Setting};
use serde_json::{Value, json};
use std::process::ExitCode;

/// The version of the JSON's shape; it rises when a field changes its meaning or goes.
const SCHEMA: u32 = 1;

/// Prints settings with where each came from.
pub fn show(args: &Args) -> Result<ExitCode, Failure> {
    let config = settings::unchecked(&args.connection)?;
    for warning in config.warnings() {
        eprintln!("warning: {warning}");
    }
    print(&if args.json { json_of(&config) } else { table(&config, args.all) })
}

fn table(config: &Config, all: bool) -> String {
    let is_set = |setting: &&Setting| config.origin(setting.name) != Some(Origin::Default);
    let shown = openai_bulk::config::settings().iter().filter(|each| all || is_set(each));
    let lines: Vec<[String; 3]> = shown
        .map(|setting| {
            let value = config.show(setting.name).unwrap_or_else(|| "none".into());
            [setting.name.to_owned(), value, origin(config, setting)]
        })
        .collect();
    if lines.is_empty() {
        return "nothing is set: every setting has its default, which --all shows\n".into();
    }
    if !all {
        return aligned(&lines, 3);
    }
    let helps = openai_bulk::config::settings().iter().map(|setting| setting.help);
    let table = aligned(&lines, 3);
    table.lines().zip(helps).map(|(line, help)| format!("{line}\n    {help}\n")).collect()
}

fn origin(config: &Config, setting: &Setting) -> String {
    match config.origin(setting.name) {
        Some(Origin::Code) => "a flag".into(),
        Some(Origin::Environment) => "the environment".into(),
        Some(Origin::File(path)) => path.display().to_string(),
        _ => "the default".into(),
    }
}

fn json_of(config: &Config) -> String {
    let one = |setting: &Setting| {
        json!({
            "name": setting.name,
            "value": config.show(setting.name),
            "from": origin(config, setting),
            "default": Some(setting.default).filter(|default| *default != "none"),
            "allowed": setting.range(),
            "unit": setting.unit,
            "help": setting.help,
        })
    };
    let all: Vec<Value> = openai_bulk::config::settings().iter().map(one).collect();
    let files: Vec<_> = config.files().map(|path| path.display().to_string()).collect();
    format!("{:#}\n", json!({"schema": SCHEMA, "files": files, "settings": all}))
}
