use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::setting::Slot;
use super::values::Values;
use super::*;
use crate::error::Result;
use crate::usage::Money;

const KEY: &str = "sk-proj-0123456789abcdef";

fn read(vars: &[(&str, &str)]) -> Result<Config> {
    let vars: BTreeMap<_, _> = vars.iter().copied().collect();
    Config::read(|name| vars.get(name).map(ToString::to_string))
}

fn problem(vars: &[(&str, &str)]) -> String {
    let keyed = [vars, &[("OPENAI_API_KEY", KEY)]].concat();
    read(&keyed).and_then(|c| c.validate()).err().map(|e| e.to_string()).unwrap_or_default()
}

/// The edges that are allowed, and what lies just beyond them.
fn edges(slot: &Slot<'_>) -> (Vec<String>, Vec<String>) {
    let written = |all: Vec<Option<u64>>| -> Vec<String> {
        all.into_iter().flatten().map(|n| n.to_string()).collect()
    };
    match slot {
        Slot::Time { min, max, .. } | Slot::Span { min, max, .. } => {
            let nano = Duration::from_nanos(1);
            let beyond = [min.checked_sub(nano), Some(*max + nano)].into_iter().flatten();
            let mut refused: Vec<_> = beyond.map(format_duration).collect();
            refused.extend(["-1s".into(), "soon".into()]);
            (vec![format_duration(*min), format_duration(*max)], refused)
        }
        Slot::Count { min, max, .. }
        | Slot::Limit { min, max, .. }
        | Slot::Size { min, max, .. } => {
            let mut refused = written(vec![min.checked_sub(1), Some(max + 1)]);
            refused.extend(["-1".into(), "many".into(), "1e3".into(), "+5".into()]);
            (written(vec![Some(*min), Some(*max)]), refused)
        }
        Slot::Share { min, max, .. } => (
            vec![min.to_string(), max.to_string()],
            vec![
                (min - 0.001).to_string(),
                (max + 0.001).to_string(),
                "NaN".into(),
                "inf".into(),
                "half".into(),
            ],
        ),
        Slot::Money { min, max, .. } => {
            let more = Money::from_picodollars(max.picodollars() + 1).to_decimal();
            let allowed = [min, max].map(|sum| sum.to_decimal());
            let shown = format!("${}", max.to_decimal());
            let refused = [more.as_str(), "-1", "much", "1e3", "5 $"].map(str::to_owned);
            ([allowed.as_slice(), &[shown]].concat(), refused.to_vec())
        }
        Slot::Choice(_, all) => {
            (all.iter().map(ToString::to_string).collect(), vec!["other".into()])
        }
        Slot::Url(_) => (
            vec!["http://localhost:1/v1/".into()],
            vec![
                "localhost".into(),
                "ftp://x".into(),
                "https://a:b@x".into(),
                "https://x?k=v".into(),
            ],
        ),
        Slot::Groups(_) => (vec!["a*=b,c=d".into()], vec!["a".into(), "a*b=c".into()]),
        Slot::Text(_) => (vec!["a-b_c:1/2".into()], vec!["a b".into(), "é".into(), "a\nb".into()]),
        Slot::Path(_) => (vec!["some/path".into()], vec![KEY.into()]),
        Slot::Key(_) => {
            (vec![KEY.into()], vec!["a b".into(), "sk-é0123456789".into(), "\"a\"".into()])
        }
    }
}

#[test]
fn every_setting_takes_its_edges_and_refuses_what_lies_beyond() {
    for setting in settings() {
        let mut values = Values::default();
        let (allowed, refused) = edges(&(setting.slot)(&mut values));
        for text in allowed {
            let config = read(&[(setting.name, &text)]);
            assert!(config.is_ok(), "{} = {text}", setting.name);
            assert_eq!(config.unwrap().origin(setting.name), Some(Origin::Environment));
        }
        for text in refused {
            let Err(error) = read(&[(setting.name, &text)]) else {
                panic!("{} = {text} is taken", setting.name);
            };
            let message = error.to_string();
            assert!(message.starts_with(&format!("{}: ", setting.name)), "{message}");
            assert!(message.ends_with("(set in the environment)"), "{message}");
            let has_range = message.contains(&setting.range()) || setting.unit == "path";
            assert!(has_range || setting.name.ends_with("API_KEY"), "{message}");
        }
    }
}

#[test]
fn the_table_is_whole_and_its_defaults_are_in_force() {
    let config = Config::new();
    for setting in settings() {
        let default = config.show(setting.name).unwrap_or_else(|| "none".into());
        assert_eq!(default, setting.default, "{}", setting.name);
        assert!(setting.help.ends_with('.') && !setting.help.contains("  "), "{}", setting.help);
        assert!(!setting.unit.is_empty() && !setting.source.is_empty(), "{}", setting.name);
        let same = settings().iter().filter(|s| s.name == setting.name).count();
        assert_eq!(same, 1, "{}", setting.name);
    }
    assert_eq!(config.get_timeout(), Duration::from_secs(600));
    assert_eq!(config.get_deadline(), Duration::from_secs(1800));
    assert_eq!(config.get_max_answer_size(), 256 << 20);
    assert_eq!(config.get_batch_max_bytes(), 190_000_000);
    assert_eq!(config.get_requests_per_minute(), None);
    assert_eq!(config.get_batch_completion_window(), "24h");
}

#[test]
fn prices_are_those_of_the_file_and_of_the_region_that_is_asked() {
    let rate = |config: &Config, model: &str| {
        let prices = config.load_prices().unwrap();
        let million = br#"{"usage":{"prompt_tokens":1000000,"completion_tokens":0}}"#;
        let million = crate::wire::answer::check_answer(million);
        let cost = crate::usage::cost_of_answer(&prices, &million.unwrap(), model, false);
        cost.map(|cost| cost.total.to_decimal())
    };
    let at = |url: &str| Config::new().base_url(url);
    assert_eq!(rate(&at("https://api.openai.com/v1"), "gpt-5.4-mini"), Some("0.75".into()));
    assert_eq!(rate(&at("https://eu.api.openai.com/v1"), "gpt-5.4-mini"), Some("0.825".into()));
    assert_eq!(rate(&at("https://eu.example.com/v1"), "gpt-5.4-mini"), Some("0.75".into()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prices.json");
    std::fs::write(&path, r#"{"format":1,"models":{"m":{"standard":{"input":7,"output":1}}}}"#)
        .unwrap();
    let config = Config::new().prices_file(&path);
    assert_eq!(rate(&config, "m"), Some("7".into()));
    assert_eq!(rate(&config, "gpt-4o"), Some("2.5".into()));
    assert!(matches!(
        Config::new().prices_file(folder.path().join("none.json")).load_prices(),
        Err(crate::Error::File(_))
    ));
}

#[test]
fn what_the_caller_sets_is_checked_too() {
    let config = Config::new()
        .base_url("http://localhost/v1")
        .max_retries(51)
        .circuit_failure_share(f64::NAN)
        .max_concurrency(0)
        .organization("a\nb")
        .requests_per_minute(0);
    assert_eq!(
        config.validate().unwrap_err().to_string(),
        "OPENAI_ORG_ID: its value is not allowed: visible ASCII characters without spaces (set by the caller)\n\
         OPENAI_REQUESTS_PER_MINUTE: 0 is not allowed: a whole number from 1 to 10000000, or none (set by the caller)\n\
         OPENAI_MAX_CONCURRENCY: 0 is not allowed: a whole number from 1 to 20000 (set by the caller)\n\
         OPENAI_MAX_RETRIES: 51 is not allowed: a whole number from 0 to 50 (set by the caller)\n\
         OPENAI_CIRCUIT_FAILURE_SHARE: NaN is not allowed: a number from 0.01 to 1 (set by the caller)"
    );
    assert!(config.max_retries(3).validate().is_err());
}

#[test]
fn a_limit_can_be_taken_away() {
    let config =
        read(&[("OPENAI_REQUESTS_PER_MINUTE", "10_000"), ("OPENAI_TOKENS_PER_MINUTE", "None")]);
    let config = config.unwrap();
    assert_eq!(config.get_requests_per_minute(), Some(10_000));
    assert_eq!(config.get_tokens_per_minute(), None);
    assert_eq!(config.requests_per_minute(None).get_requests_per_minute(), None);
}

#[test]
fn a_default_gives_way_and_what_was_set_does_not() {
    let config = read(&[("OPENAI_DEADLINE", "5s"), ("OPENAI_BACKOFF_CAP", "100ms")]).unwrap();
    config.clone().api_key(ApiKey::new(KEY).unwrap()).validate().unwrap();
    assert_eq!(config.get_timeout(), Duration::from_secs(5));
    assert_eq!(config.get_connect_timeout(), Duration::from_secs(5));
    assert_eq!(config.get_backoff_base(), Duration::from_millis(100));
    assert_eq!(
        problem(&[("OPENAI_TIMEOUT", "1h")]),
        "OPENAI_TIMEOUT: 1h is not allowed: at most OPENAI_DEADLINE, which is 30m (the default) (set in the environment)"
    );
    assert!(problem(&[("OPENAI_TIMEOUT", "60"), ("OPENAI_DEADLINE", "30")]).contains("30s"));
    assert!(problem(&[("OPENAI_BACKOFF_BASE", "30")]).starts_with("OPENAI_BACKOFF_BASE: 30s"));
    assert!(problem(&[("OPENAI_CONNECT_TIMEOUT", "9"), ("OPENAI_TIMEOUT", "8")]).contains("9s"));
}

#[test]
fn openai_and_azure_need_a_key_and_others_do_not() {
    let missing = |vars: &[(&str, &str)]| {
        let config = read(vars).unwrap();
        let refused =
            config.validate().is_err_and(|e| e.to_string().starts_with("OPENAI_API_KEY: missing"));
        assert_eq!(refused, config.load_key().is_err(), "{vars:?}");
        refused
    };
    assert!(missing(&[]));
    assert!(missing(&[("OPENAI_BASE_URL", "https://x.openai.azure.com/openai/v1")]));
    assert!(!missing(&[("OPENAI_BASE_URL", "http://localhost:8000/v1")]));
    assert!(!missing(&[("OPENAI_BASE_URL", "https://openrouter.ai/api/v1")]));
    assert!(problem(&[("OPENAI_BASE_URL", "http://api.openai.com/v1")]).contains("unencrypted"));
}

#[test]
fn the_key_of_the_nearer_source_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "sk-from-the-file\n").unwrap();
    let by_env = read(&[("OPENAI_API_KEY", KEY)]).unwrap();
    assert_eq!(by_env.load_key().unwrap().unwrap().expose(), KEY);
    let by_file = by_env.api_key_file(&path);
    assert_eq!(by_file.load_key().unwrap().unwrap().expose(), "sk-from-the-file");
    by_file.validate().unwrap();
    let by_code = by_file.api_key(ApiKey::new("sk-from-the-code").unwrap());
    assert_eq!(by_code.load_key().unwrap().unwrap().expose(), "sk-from-the-code");
    by_code.validate().unwrap();
    let both = problem(&[("OPENAI_API_KEY_FILE", path.to_str().unwrap())]);
    assert!(both.contains("keep one of them"), "{both}");
}

#[test]
fn azure_is_told_by_type_and_by_host_and_gets_its_own_key() {
    let azure = ("AZURE_OPENAI_ENDPOINT", "https://x.openai.azure.com/");
    let version = ("OPENAI_API_VERSION", "2024-10-21");
    let azure_key = ("AZURE_OPENAI_API_KEY", "azure-0123456789");
    let kind = ("OPENAI_API_TYPE", "Azure");
    let key = ("OPENAI_API_KEY", KEY);
    let openai = "https://api.openai.com/v1/chat/completions";
    let deployment =
        "https://x.openai.azure.com/openai/deployments/m/chat/completions?api-version=2024-10-21";
    for (vars, url, sent) in [
        (vec![key], openai, KEY),
        (vec![key, azure, azure_key, version], openai, KEY),
        (vec![azure, azure_key, version], deployment, "azure-0123456789"),
        (vec![key, azure, azure_key, version, kind], deployment, "azure-0123456789"),
        (vec![key, azure, version, kind], deployment, KEY),
        (vec![key, version, ("OPENAI_BASE_URL", "https://x.openai.azure.com")], deployment, KEY),
        (
            vec![azure_key, ("OPENAI_BASE_URL", "https://x.openai.azure.com/openai/v1/")],
            "https://x.openai.azure.com/openai/v1/chat/completions",
            "azure-0123456789",
        ),
    ] {
        let config = read(&vars).unwrap();
        config.validate().unwrap();
        let endpoint = config.get_endpoint().unwrap();
        assert_eq!(endpoint.url("/v1/chat/completions", Some("m")), url, "{vars:?}");
        assert_eq!(config.load_key().unwrap().unwrap().expose(), sent, "{vars:?}");
    }
    assert!(problem(&[kind]).starts_with("OPENAI_API_TYPE: azure needs"), "{}", problem(&[kind]));
    let host = ("OPENAI_BASE_URL", "https://x.openai.azure.com");
    assert!(problem(&[host]).starts_with("OPENAI_API_VERSION: missing"), "{}", problem(&[host]));
    let elsewhere = read(&[azure_key, ("OPENAI_BASE_URL", "https://elsewhere.org/v1")]).unwrap();
    assert_eq!(elsewhere.load_key().unwrap(), None);
}

#[test]
fn debug_tells_values_with_their_origin() {
    let config = read(&[("OPENAI_API_KEY", KEY), ("HTTPS_PROXY", "http://me:secret@proxy:1")]);
    let debug = format!("{:?}", config.unwrap().base_url("https://me:secret@host/?k=secret"));
    assert!(debug.contains("OPENAI_API_KEY: sk-…cdef (set in the environment)"), "{debug}");
    assert!(debug.contains("OPENAI_MAX_RETRIES: 8 (the default)"), "{debug}");
    assert!(!debug.contains("secret"), "{debug}");
}

#[test]
fn any_setting_can_be_set_by_its_name() {
    let config = Config::new().set("OPENAI_BACKOFF_CAP", "7s").unwrap();
    assert_eq!(config.get_backoff_cap().as_secs(), 7);
    assert_eq!(config.origin("OPENAI_BACKOFF_CAP"), Some(Origin::Code));
    let error = Config::new().set("OPENAI_MAX_RETRIES", "99").unwrap_err().to_string();
    assert!(error.contains("OPENAI_MAX_RETRIES") && error.contains("from 0 to 50"), "{error}");
    assert!(Config::new().set("OPENAI_NONSENSE", "1").is_err());
}

#[test]
fn config_crosses_threads() {
    fn crosses<T: Send + Sync + Clone + 'static>() {}
    crosses::<Config>();
    crosses::<ApiKey>();
    crosses::<Endpoint>();
}

/// Everything that can be shown of a reading with these variables.
fn all_that_is_shown(vars: &[(&str, &str)]) -> String {
    let config = match read(vars) {
        Ok(config) => config,
        Err(e) => return format!("{e} {e:?} {e:#?}"),
    };
    let mut shown = format!("{config:?} {config:#?} {:?}", config.warnings());
    shown.extend(settings().iter().filter_map(|s| config.show(s.name)));
    for error in [
        config.validate().err(),
        config.load_key().err(),
        config.get_endpoint().err(),
        config.clone().max_retries(99).base_url("x").validate().err(),
    ] {
        shown.extend(error.map(|e| format!("{e} {e:?}")));
    }
    shown.push_str(&format!("{:?}", config.load_key()));
    shown
}

proptest! {
    #[test]
    fn no_key_is_ever_shown(key in "[!-&(-~]{8,40}", junk in "[\u{1}-\u{1f} é]", at in 0usize..9) {
        let spoilt = format!("{}{junk}{}", &key[..at.min(key.len())], &key[at.min(key.len())..]);
        for name in ["OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"] {
            for text in [&key, &spoilt] {
                let shown = all_that_is_shown(&[(name, text.as_str())]);
                prop_assert!(!shown.contains(text.as_str()) && !shown.contains(&key), "{}", shown);
            }
        }
        for e in [ApiKey::new(&spoilt).err(), ApiKey::new(&key).err()].into_iter().flatten() {
            let message = format!("{e} {e:?}");
            prop_assert!(!message.contains(&key));
        }
    }

    #[test]
    fn a_key_in_the_place_of_another_setting_is_not_shown(tail in "[A-Za-z0-9_-]{20,60}") {
        let key = format!("sk-{tail}");
        for setting in settings() {
            let shown = all_that_is_shown(&[(setting.name, &key)]);
            prop_assert!(!shown.contains(&key), "{}: {}", setting.name, shown);
        }
    }
}
