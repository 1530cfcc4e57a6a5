//! The text of a file of settings, in TOML.

use std::collections::BTreeMap;
use std::path::Path;

use super::near::nearest_of;
use super::setting::Slot;
use super::table::{find, settings};
use super::values::Values;
use crate::error::{Error, Result};

/// Settings by their names in the environment.
pub(super) type Vars = BTreeMap<String, String>;

/// The table that holds the profiles.
const PROFILES: &str = "profile";

/// What a file of settings holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) vars: Vars,
    pub(super) profiles: BTreeMap<String, Vars>,
}

/// Reads the file at `path`; a path in it is taken from the file's own folder.
pub(super) fn read(path: &Path) -> Result<Content> {
    let bytes = std::fs::read(path).map_err(|e| Error::file("read", path, e))?;
    let refused = |place: String, message: String| Error::invalid(place, message);
    let name = path.display().to_string();
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(refused(name, "not UTF-8: save it as UTF-8".into()));
    };
    let text = text.trim_start_matches('\u{feff}');
    let table: toml::Table = toml::from_str(text).map_err(|e| {
        let at = e.span().map_or(0, |span| span.start);
        let line = text.get(..at).map_or(0, |before| before.matches('\n').count()) + 1;
        // Only the bare message: the whole one quotes the line, which may hold a key.
        refused(format!("{name}:{line}"), format!("not TOML: {}", e.message()))
    })?;
    content(table, path.parent().unwrap_or(Path::new(""))).map_err(|e| refused(name, e))
}

fn content(mut table: toml::Table, folder: &Path) -> Result<Content, String> {
    let mut profiles = BTreeMap::new();
    match table.remove(PROFILES) {
        None => {}
        Some(toml::Value::Table(all)) => {
            for (name, each) in all {
                let toml::Value::Table(each) = each else {
                    return Err(format!("{PROFILES}.{name} is no table: write [profile.{name}]"));
                };
                let vars = vars(each, folder).map_err(|e| format!("[profile.{name}]: {e}"))?;
                profiles.insert(name, vars);
            }
        }
        Some(_) => return Err("profile is no table: write [profile.NAME]".into()),
    }
    Ok(Content { vars: vars(table, folder)?, profiles })
}

fn vars(table: toml::Table, folder: &Path) -> Result<Vars, String> {
    let mut vars = Vars::new();
    for (name, value) in table {
        let setting = known(&name)?;
        if vars.contains_key(setting) {
            return Err(format!("{name} is there twice, once as {setting}"));
        }
        let text = text(&value).ok_or_else(|| format!("{name} is neither a text nor a number"))?;
        vars.insert(setting.into(), if is_path(setting) { below(folder, text) } else { text });
    }
    Ok(vars)
}

/// The setting that `name` stands for: its name in the environment, or that in lower case and
/// without `OPENAI_`.
fn known(name: &str) -> Result<&'static str, String> {
    let upper = name.to_ascii_uppercase();
    let setting = find(&upper).or_else(|| find(&format!("OPENAI_{upper}")));
    let Some(setting) = setting else {
        let names = settings().iter().flat_map(|s| [s.name, short(s.name)]);
        let meant = nearest_of(&upper, names).map(|near| short(near).to_ascii_lowercase());
        let hint = match meant {
            Some(near) => format!("did you mean {near}?"),
            None => "`openai-bulk config` lists all".into(),
        };
        return Err(format!("there is no setting {name:?}; {hint}"));
    };
    if setting.name.ends_with("API_KEY") {
        let ways = "set it in the environment or in .env, or name its file in api_key_file";
        return Err(format!("{name} is not allowed here, where it may be shared: {ways}"));
    }
    Ok(setting.name)
}

/// The name of a setting as a file has it, in upper case.
fn short(name: &'static str) -> &'static str {
    name.strip_prefix("OPENAI_").unwrap_or(name)
}

fn is_path(name: &str) -> bool {
    find(name)
        .is_some_and(|setting| matches!((setting.slot)(&mut Values::default()), Slot::Path(_)))
}

/// A path as the file's own folder has it. A key in its place is left for what refuses it.
fn below(folder: &Path, text: String) -> String {
    if text.trim().is_empty() || text.trim_start().starts_with("sk-") {
        return text;
    }
    folder.join(text.trim()).display().to_string()
}

/// A value as the environment would have it; a list has commas between.
fn text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(is) => Some(is.to_string()),
        toml::Value::Array(all) => {
            let texts: Option<Vec<_>> = all.iter().map(text).collect();
            Some(texts?.join(","))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Content, String> {
        content(toml::from_str(text).unwrap(), Path::new("/project"))
    }

    #[test]
    fn names_are_those_of_the_environment_or_short_and_small() {
        let content = parsed(
            "max_retries = 3\nOPENAI_TIMEOUT = '30s'\nhedge = 0.02\nca_file = 'ca.pem'\n\
             azure_openai_endpoint = 'https://x.openai.azure.com'\n\
             limit_groups = ['gpt-4o-2024-*=gpt-4o', 'o3=o3']\n\
             [profile.local]\nbase_url = 'http://localhost:8000/v1'\n",
        )
        .unwrap();
        let expected = [
            ("AZURE_OPENAI_ENDPOINT", "https://x.openai.azure.com"),
            ("OPENAI_CA_FILE", "/project/ca.pem"),
            ("OPENAI_HEDGE", "0.02"),
            ("OPENAI_LIMIT_GROUPS", "gpt-4o-2024-*=gpt-4o,o3=o3"),
            ("OPENAI_MAX_RETRIES", "3"),
            ("OPENAI_TIMEOUT", "30s"),
        ];
        let vars: Vec<_> = content.vars.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(vars, expected);
        assert_eq!(content.profiles["local"]["OPENAI_BASE_URL"], "http://localhost:8000/v1");
    }

    #[test]
    fn what_is_wrong_is_named_with_a_way_out() {
        for (text, told) in [
            ("max_retrys = 3", "there is no setting \"max_retrys\"; did you mean max_retries?"),
            ("OPENAI_MAX_RETRYS = 3", "did you mean max_retries?"),
            ("speed = 3", "`openai-bulk config` lists all"),
            ("api_key = 'sk-0123456789'", "api_key is not allowed here"),
            ("OPENAI_API_KEY = 'sk-0123456789'", "name its file in api_key_file"),
            ("max_retries = 3\nOPENAI_MAX_RETRIES = 4", "twice"),
            ("timeout = 1979-05-27", "timeout is neither a text nor a number"),
            ("profile = 3", "write [profile.NAME]"),
            ("[profile]\nfast = 3", "write [profile.fast]"),
            ("[profile.fast]\nspeed = 3", "[profile.fast]: there is no setting"),
            ("[limits]\nx = 3", "there is no setting \"limits\""),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(told) && !error.contains("0123"), "{text}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_no_toml_is_told_by_its_line_without_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        for text in ["model = 'm'\napi_key = sk-0123456789", "model = 'm'\nsk-0123456789 = 'x"] {
            std::fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err();
            let message = format!("{error} {error:?}");
            assert!(
                message.contains("c.toml:2: not TOML") && !message.contains("0123"),
                "{message}"
            );
        }
        std::fs::write(&path, b"\xff\xfe").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("UTF-8"));
    }
}
