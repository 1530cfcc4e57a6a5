//! Settings from files, and `config`, which shows them.

use crate::program::{Folder, chats, simulator};
use serde_json::Value;

#[test]
fn a_setting_comes_from_the_first_place_that_has_it() {
    let folder = Folder::new();
    folder.write("openai-bulk.toml", "model = 'project'\nmax_retries = 4\ntimeout = '40s'\n");
    std::fs::create_dir_all(folder.path("home/openai-bulk")).unwrap();
    folder.write("home/openai-bulk/config.toml", "model = 'user'\ndeadline = '50s'\n");
    folder.write(".env", "OPENAI_MAX_RETRIES=3\nOPENAI_MODEL=dotenv\n");
    let run = folder
        .program()
        .args(["config", "--set", "OPENAI_HEDGE=0.1"])
        .env("XDG_CONFIG_HOME", folder.path("home"))
        .env("OPENAI_MODEL", "environment")
        .env("OPENAI_API_KEY", "sk-0123456789abcdef")
        .run()
        .ended(0);
    let value = |name: &str| {
        let line = run.stdout.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(value("OPENAI_MODEL"), "environment the environment");
    assert_eq!(value("OPENAI_MAX_RETRIES"), "3 .env");
    assert!(
        value("OPENAI_TIMEOUT").starts_with("40s ")
            && value("OPENAI_TIMEOUT").ends_with("openai-bulk.toml")
    );
    assert!(
        value("OPENAI_DEADLINE").starts_with("50s ")
            && value("OPENAI_DEADLINE").ends_with("config.toml")
    );
    assert_eq!(value("OPENAI_HEDGE"), "0.1 a flag");
    assert_eq!(value("OPENAI_API_KEY"), "sk-…cdef the environment");
}

#[test]
fn a_profile_and_a_file_that_is_named_are_used_by_a_run() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(3));
    let url = simulator.base_url();
    folder.write(
        "my.toml",
        format!("base_url = 'http://127.0.0.1:9/v1'\n[profile.here]\nbase_url = '{url}'\n"),
    );
    let job = || {
        let job = folder.job().args(["--config", "my.toml"]).env("OPENAI_BASE_URL", "");
        job.env("OPENAI_API_KEY", crate::program::KEY)
    };
    job().args(["--profile", "here"]).run().ended(0);
    assert_eq!(simulator.stats().requests, 3);
    job().args(["--profile", "there"]).run().ended(1).said(&["there are here"]);
}

#[test]
fn what_a_file_may_not_hold_is_refused_without_being_shown() {
    let folder = Folder::new();
    for (text, told) in [
        ("max_retrys = 3", "did you mean max_retries?"),
        ("api_key = 'sk-0123456789'", "api_key_file"),
        ("model = 'x\n", "openai-bulk.toml:1: not TOML"),
        ("max_retries = 99", "from 0 to 50"),
    ] {
        folder.write("openai-bulk.toml", text);
        let run = folder.program().args(["config"]).run().ended(1).said(&[told]);
        assert!(!run.stderr.contains("0123"), "{}", run.stderr);
    }
}

#[test]
fn programs_read_the_settings_as_json() {
    let folder = Folder::new();
    let run = folder.program().args(["config", "--json"]).run().ended(0);
    let told: Value = serde_json::from_str(&run.stdout).unwrap();
    let settings = told["settings"].as_array().unwrap();
    assert_eq!(settings.len(), openai_bulk::config::settings().len());
    let url = settings.iter().find(|each| each["name"] == "OPENAI_BASE_URL").unwrap();
    assert_eq!(
        (&url["value"], &url["from"]),
        (&"http://127.0.0.1:9/v1".into(), &"the environment".into())
    );
    let all = folder.program().args(["config", "--all"]).run().ended(0).stdout;
    assert!(all.contains("How long one attempt may take."), "{all}");
}
