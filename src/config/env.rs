//! The environment and the `.env` file. Nothing else in the crate reads the environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::table::find;
use super::values::{Config, Origin};
use super::{dotenv, near, proxies};
use crate::error::{Error, Result};

/// Variables from one place.
pub(super) struct Layer {
    pub(super) origin: Origin,
    pub(super) vars: BTreeMap<String, String>,
}

impl Config {
    /// Reads the environment, then a `.env` file in the current folder if there is one.
    ///
    /// The file is read, never exported: the environment stays as it is. A value that is empty
    /// counts as none.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or as in [`Config::read`].
    pub fn from_env() -> Result<Config> {
        from_layers(&with_env_file(None)?)
    }

    /// Reads the environment, then the file at `path`, which is written as `.env` files are.
    ///
    /// # Errors
    ///
    /// If the file is missing or cannot be read, or as in [`Config::read`].
    pub fn from_env_file(path: impl AsRef<Path>) -> Result<Config> {
        from_layers(&with_env_file(Some(path.as_ref()))?)
    }
}

/// The environment, and the `.env` file at `path`, or else the one in the current folder if there is
/// one.
pub(super) fn with_env_file(path: Option<&Path>) -> Result<Vec<Layer>> {
    let mut layers = vec![environment()?];
    let usual = Path::new(".env");
    match path {
        Some(path) => layers.push(file(path)?),
        // A Python environment may be a folder of this name.
        None if usual.exists() && !usual.is_dir() => layers.push(file(usual)?),
        None => {}
    }
    Ok(layers)
}

/// What the process was given.
pub(super) fn environment() -> Result<Layer> {
    process(std::env::vars_os())
}

/// A variable of the process.
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

impl Config {
    /// The file that keeps the state of batches: the one that is set, or `openai-bulk/batches.db` in
    /// the user's state folder (`XDG_STATE_HOME`, `~/.local/state`; `LOCALAPPDATA` on Windows).
    ///
    /// # Errors
    /// When none is set and the environment names no such folder.
    pub fn find_batch_store(&self) -> Result<PathBuf> {
        self.batch_store_in(variable)
    }

    /// The file that keeps answers: the one that is set, or `openai-bulk/answers.db` in the user's
    /// cache folder (`XDG_CACHE_HOME`, `~/.cache`; `LOCALAPPDATA` on Windows).
    ///
    /// # Errors
    /// When none is set and the environment names no such folder.
    pub fn find_cache_file(&self) -> Result<PathBuf> {
        self.cache_file_in(|name| std::env::var_os(name))
    }

    fn batch_store_in(&self, lookup: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
        let usual =
            || Some(user_folder(lookup, "XDG_STATE_HOME", ".local/state")?.join("batches.db"));
        self.get_batch_store().map(Path::to_owned).or_else(usual).ok_or_else(|| {
            Error::invalid(
                "OPENAI_BATCH_STORE",
                "missing, and the environment names no folder for the state of programs; name a \
                 file (--store FILE)",
            )
        })
    }

    fn cache_file_in(&self, lookup: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
        let usual = || Some(user_folder(lookup, "XDG_CACHE_HOME", ".cache")?.join("answers.db"));
        self.get_cache_file().map(Path::to_owned).or_else(usual).ok_or_else(|| {
            Error::invalid(
                "OPENAI_CACHE_FILE",
                "missing, and the environment names no folder for caches; name a file \
                 (--cache-file FILE)",
            )
        })
    }
}

/// Our folder among those that a user has for one purpose: the one that a variable names, or the
/// usual one.
fn user_folder(
    lookup: impl Fn(&str) -> Option<OsString>,
    variable: &str,
    usual: &str,
) -> Option<PathBuf> {
    let folder = |name: &str| lookup(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let all = if cfg!(windows) {
        folder("LOCALAPPDATA")
    } else {
        folder(variable).or_else(|| Some(folder("HOME")?.join(usual)))
    };
    Some(all?.join("openai-bulk"))
}

/// A layer goes before those that follow it.
pub(super) fn from_layers(layers: &[Layer]) -> Result<Config> {
    let mut config = Config::read_from(|name| {
        let layer =
            layers.iter().find(|l| l.vars.get(name).is_some_and(|v| !v.trim().is_empty()))?;
        Some((layer.vars[name].clone(), layer.origin.clone()))
    })?;
    for layer in layers {
        let near = layer.vars.keys().filter_map(|name| near::warning(name));
        config.warnings.extend(near.map(|text| format!("{text} ({})", layer.origin)));
    }
    config.files = layers
        .iter()
        .filter_map(|layer| match &layer.origin {
            Origin::File(path) => Some(path.clone()),
            _ => None,
        })
        .collect();
    config.warnings.extend(config.exposure());
    Ok(config)
}

fn file(path: &Path) -> Result<Layer> {
    Ok(Layer { origin: Origin::File(path.into()), vars: dotenv::read(path)? })
}

/// What concerns us of the variables of the process.
fn process(vars: impl Iterator<Item = (OsString, OsString)>) -> Result<Layer> {
    let mut kept = BTreeMap::new();
    for (name, value) in vars {
        let Ok(name) = name.into_string() else { continue };
        let known = find(&name).is_some() || proxies::NAMES.contains(&name.as_str());
        match value.into_string() {
            Ok(value) if known || name.contains("OPENAI_") => kept.insert(name, value),
            Err(_) if known => {
                return Err(Error::invalid(name, "not UTF-8 (set in the environment)"));
            }
            _ => None,
        };
    }
    Ok(Layer { origin: Origin::Environment, vars: kept })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(origin: Origin, vars: &[(&str, &str)]) -> Layer {
        let vars = vars.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Layer { origin, vars: vars.collect() }
    }

    fn dotenv() -> Origin {
        Origin::File(Path::new(".env").into())
    }

    #[test]
    fn the_caller_goes_before_the_environment_before_the_file_before_the_default() {
        let config = from_layers(&[
            layer(Origin::Environment, &[("OPENAI_MODEL", "env"), ("OPENAI_MAX_RETRIES", "2")]),
            layer(
                dotenv(),
                &[("OPENAI_MODEL", "file"), ("OPENAI_TIMEOUT", "30"), ("OPENAI_MAX_RETRIES", "3")],
            ),
        ]);
        let config = config.unwrap().max_retries(1);
        assert_eq!(config.get_max_retries(), 1);
        assert_eq!(config.get_model(), "env");
        assert_eq!(config.get_timeout().as_secs(), 30);
        assert_eq!(config.get_max_concurrency(), 1_024);
        assert_eq!(config.origin("OPENAI_MAX_RETRIES"), Some(Origin::Code));
        assert_eq!(config.origin("OPENAI_MODEL"), Some(Origin::Environment));
        assert_eq!(config.origin("OPENAI_TIMEOUT"), Some(dotenv()));
        assert_eq!(config.origin("OPENAI_MAX_CONCURRENCY"), Some(Origin::Default));
        assert_eq!(config.origin("OPENAI_NONSENSE"), None);
    }

    #[test]
    fn an_empty_value_lets_the_next_layer_speak() {
        let config = from_layers(&[
            layer(Origin::Environment, &[("OPENAI_MODEL", " ")]),
            layer(dotenv(), &[("OPENAI_MODEL", "file"), ("OPENAI_TIMEOUT", "")]),
        ]);
        let config = config.unwrap();
        assert_eq!(config.get_model(), "file");
        assert_eq!(config.origin("OPENAI_TIMEOUT"), Some(Origin::Default));
    }

    #[test]
    fn an_error_names_setting_range_and_source_of_every_problem() {
        let error = from_layers(&[
            layer(Origin::Environment, &[("OPENAI_TIMEOUT", "soon")]),
            layer(dotenv(), &[("OPENAI_MAX_RETRIES", "99")]),
        ]);
        assert_eq!(
            error.unwrap_err().to_string(),
            "OPENAI_TIMEOUT: soon is not allowed: a duration from 10ms to 24h (set in the environment)\n\
             OPENAI_MAX_RETRIES: 99 is not allowed: a whole number from 0 to 50 (set in .env)"
        );
    }

    #[test]
    fn near_misses_are_told_with_their_source_and_without_their_value() {
        let config = from_layers(&[
            layer(
                Origin::Environment,
                &[("OPENAI_LOG", "debug"), ("OPENAI_API_KEYS", "sk-secret")],
            ),
            layer(dotenv(), &[("OPENAI_MAX_RETRYS", "3"), ("DATABASE_URL", "x")]),
        ]);
        assert_eq!(
            config.unwrap().warnings(),
            [
                "OPENAI_API_KEYS is not read; was OPENAI_API_KEY meant? (set in the environment)",
                "OPENAI_MAX_RETRYS is not read; was OPENAI_MAX_RETRIES meant? (set in .env)",
            ]
        );
    }

    #[test]
    fn a_file_that_would_send_the_key_elsewhere_is_told() {
        let key = ("OPENAI_API_KEY", "sk-0123456789abcd");
        let warnings = |url: &str, key_in_file: bool| {
            let url = ("OPENAI_BASE_URL", url);
            let (env, file) =
                if key_in_file { (vec![], vec![key, url]) } else { (vec![key], vec![url]) };
            let layers = [layer(Origin::Environment, &env), layer(dotenv(), &file)];
            from_layers(&layers).unwrap().warnings().len()
        };
        assert_eq!(warnings("https://elsewhere.org/v1", false), 1);
        assert_eq!(warnings("https://elsewhere.org/v1", true), 0);
        assert_eq!(warnings("https://eu.api.openai.com/v1", false), 0);
        assert_eq!(warnings("http://localhost:8000/v1", false), 0);
    }

    #[test]
    fn a_missing_file_is_an_error_and_a_found_one_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my.env");
        assert!(matches!(file(&path), Err(Error::File(_))));
        assert!(matches!(Config::from_env_file(&path), Err(Error::File(_))));
        std::fs::write(&path, "\u{feff}export OPENAI_BACKOFF_CAP='7s' # short\r\n").unwrap();
        let config = from_layers(&[file(&path).unwrap()]).unwrap();
        assert_eq!(config.get_backoff_cap().as_secs(), 7);
        assert_eq!(config.origin("OPENAI_BACKOFF_CAP"), Some(Origin::File(path.as_path().into())));
    }

    #[test]
    #[cfg(unix)]
    fn a_value_that_is_no_text_is_an_error_only_if_it_is_ours() {
        use std::os::unix::ffi::OsStringExt;
        let odd = || OsString::from_vec(vec![0xff, b's']);
        let vars = [("OTHER".into(), odd()), ("OPENAI_MODEL".into(), "m".into()), (odd(), odd())];
        assert_eq!(process(vars.into_iter()).unwrap().vars.len(), 1);
        let error = process([("OPENAI_API_KEY".into(), odd())].into_iter()).err().unwrap();
        assert_eq!(error.to_string(), "OPENAI_API_KEY: not UTF-8 (set in the environment)");
    }
}

#[cfg(all(test, unix))]
mod folders {
    use super::*;

    #[test]
    fn the_state_of_batches_lies_where_the_user_says_or_in_the_state_folder() {
        let found = |config: Config, vars: &[(&str, &str)]| {
            let lookup = |name: &str| {
                vars.iter().find(|(each, _)| *each == name).map(|(_, value)| OsString::from(value))
            };
            config.batch_store_in(lookup).map(|path| path.display().to_string()).ok()
        };
        let (home, state) = (("HOME", "/home/u"), ("XDG_STATE_HOME", "/state"));
        let new = Config::new;
        assert_eq!(found(new().batch_store("x.db"), &[home]).as_deref(), Some("x.db"));
        let usual = "/home/u/.local/state/openai-bulk/batches.db";
        assert_eq!(found(new(), &[home]).as_deref(), Some(usual));
        assert_eq!(found(new(), &[home, state]).as_deref(), Some("/state/openai-bulk/batches.db"));
        assert_eq!(found(new(), &[home, ("XDG_STATE_HOME", "relative")]).as_deref(), Some(usual));
        assert_eq!(found(new(), &[]), None);
    }

    #[test]
    fn kept_answers_lie_where_the_user_says_or_in_the_cache_folder() {
        let found = |config: Config, vars: &[(&str, &str)]| {
            let lookup = |name: &str| {
                vars.iter().find(|(each, _)| *each == name).map(|(_, value)| OsString::from(value))
            };
            config.cache_file_in(lookup).map(|path| path.display().to_string()).ok()
        };
        let (home, cache) = (("HOME", "/home/u"), ("XDG_CACHE_HOME", "/cache"));
        let named = Config::new().cache_file("x.db");
        assert_eq!(found(named, &[home]).as_deref(), Some("x.db"));
        let usual = "/home/u/.cache/openai-bulk/answers.db";
        assert_eq!(found(Config::new(), &[home]).as_deref(), Some(usual));
        let other = found(Config::new(), &[home, cache]);
        assert_eq!(other.as_deref(), Some("/cache/openai-bulk/answers.db"));
        assert_eq!(found(Config::new(), &[]), None);
    }
}
