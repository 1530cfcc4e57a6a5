//! Which files settings are read from, and which profile of them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::env::{Layer, environment, from_layers, variable, with_env_file};
use super::file::{self, Content};
use super::values::{Config, Origin};
use crate::error::{Error, Result};

/// The name of a project's file of settings.
const PROJECT_FILE: &str = "openai-bulk.toml";

/// The places that settings are read from, each going before those that follow it: the environment,
/// the `.env` file, the project's file of settings, the user's.
///
/// The project's file is `openai-bulk.toml` in the current folder, or in the nearest folder above it
/// up to the one that has a `.git`; where none has, only the current folder is looked at. The user's
/// is `openai-bulk/config.toml` in `XDG_CONFIG_HOME`, else `~/.config` (`APPDATA` on Windows). Both
/// need not be there. They are TOML, and name settings as the environment does, or in lower case and
/// without `OPENAI_`; a name that is none is an error, and so is a key. A path in a file is taken
/// from the folder of the file. `[profile.NAME]` holds what goes before the rest of its file where
/// that profile is asked for.
///
/// ```no_run
/// use openai_bulk::config::Sources;
///
/// let config = Sources::new().profile("local").load()?;
/// # Ok::<(), openai_bulk::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "call .load()"]
pub struct Sources {
    env_file: Option<PathBuf>,
    config_file: Option<PathBuf>,
    profile: Option<String>,
}

impl Sources {
    /// The usual places.
    pub fn new() -> Sources {
        Sources::default()
    }

    /// Reads this file instead of `.env`.
    pub fn env_file(mut self, path: impl Into<PathBuf>) -> Sources {
        self.env_file = Some(path.into());
        self
    }

    /// Reads this file of settings instead of the project's and the user's.
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Sources {
        self.config_file = Some(path.into());
        self
    }

    /// Takes what `[profile.NAME]` says before the rest of its file. Default: no profile.
    pub fn profile(mut self, name: impl Into<String>) -> Sources {
        self.profile = Some(name.into());
        self
    }

    /// Reads them.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or names what is no setting, if no file has the profile, or as in
    /// [`Config::read`].
    pub fn load(self) -> Result<Config> {
        let mut layers = with_env_file(self.env_file.as_deref())?;
        let paths: Vec<_> = match self.config_file {
            Some(path) => vec![path],
            None => {
                let project = std::env::current_dir()
                    .ok()
                    .and_then(|here| project_file(&here, |path| path.exists()));
                [project, user_file(variable).filter(|path| path.exists())]
                    .into_iter()
                    .flatten()
                    .collect()
            }
        };
        let mut files = Vec::new();
        for path in paths {
            files.push((file::read(&path)?, path));
        }
        layers.extend(chosen(files, self.profile.as_deref())?);
        from_layers(&layers)
    }
}

impl Config {
    /// Reads the environment, then the file of settings at `path`, which is TOML; see [`Sources`].
    ///
    /// # Errors
    ///
    /// If the file is missing or cannot be read, if it names what is no setting, or as in
    /// [`Config::read`].
    #[cfg_attr(docsrs, doc(cfg(feature = "config-file")))]
    pub fn from_file(path: impl AsRef<Path>) -> Result<Config> {
        let path = path.as_ref();
        let mut layers = vec![environment()?];
        layers.extend(chosen(vec![(file::read(path)?, path.to_owned())], None)?);
        from_layers(&layers)
    }
}

/// A layer for each file, with what the profile puts before it.
fn chosen(files: Vec<(Content, PathBuf)>, profile: Option<&str>) -> Result<Vec<Layer>> {
    if let Some(name) = profile
        && !files.iter().any(|(content, _)| content.profiles.contains_key(name))
    {
        let all: Vec<_> = files.iter().flat_map(|(content, _)| content.profiles.keys()).collect();
        let known = match &*all {
            [] => format!("no file of settings has a [profile.{name}]"),
            all => {
                let names: Vec<_> = all.iter().map(|name| name.as_str()).collect();
                format!("there is no profile of this name; there are {}", names.join(", "))
            }
        };
        return Err(Error::invalid(format!("the profile {name:?}"), known));
    }
    let layer = |(mut content, path): (Content, PathBuf)| {
        let over = profile.and_then(|name| content.profiles.remove(name));
        content.vars.extend(over.unwrap_or_default());
        Layer { origin: Origin::File(path.into()), vars: content.vars }
    };
    Ok(files.into_iter().map(layer).collect())
}

/// The project's file: in the folder, or above it as far as the repository goes. Above that may be
/// files of others.
fn project_file(here: &Path, exists: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let root = here.ancestors().find(|folder| exists(&folder.join(".git"))).unwrap_or(here);
    here.ancestors()
        .take_while(|folder| folder.starts_with(root))
        .map(|folder| folder.join(PROJECT_FILE))
        .find(|path| exists(path))
}

fn user_file(lookup: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name: &str| lookup(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = if cfg!(windows) {
        folder("APPDATA")
    } else {
        let home = || Some(folder("HOME")?.join(".config"));
        folder("XDG_CONFIG_HOME").or_else(home)
    };
    Some(config?.join("openai-bulk").join("config.toml"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_projects_file_is_found_within_its_repository_only() {
        let find = |here: &str, there: &[&str]| {
            let exists = |path: &Path| there.iter().any(|each| Path::new(each) == path);
            project_file(Path::new(here), exists).map(|path| path.display().to_string())
        };
        let above = "/home/u/p/openai-bulk.toml";
        assert_eq!(find("/home/u/p", &[above]).as_deref(), Some(above));
        assert_eq!(find("/home/u/p/a/b", &["/home/u/p/.git", above]).as_deref(), Some(above));
        assert_eq!(find("/home/u/p/a/b", &[above]), None, "no repository says that it is ours");
        assert_eq!(find("/home/u/p/a", &["/home/u/p/.git", "/home/u/openai-bulk.toml"]), None);
        let near = "/home/u/p/a/openai-bulk.toml";
        let all = ["/home/u/p/.git", above, near];
        assert_eq!(find("/home/u/p/a/b", &all).as_deref(), Some(near));
    }

    #[test]
    fn the_users_file_lies_where_the_system_keeps_settings() {
        let find = |vars: &[(&str, &str)]| {
            let value = |name: &str| {
                vars.iter().find(|(each, _)| *each == name).map(|(_, value)| OsString::from(value))
            };
            user_file(value).map(|path| path.display().to_string())
        };
        let usual = "/home/u/.config/openai-bulk/config.toml";
        assert_eq!(find(&[("HOME", "/home/u")]).as_deref(), Some(usual));
        let own = [("HOME", "/home/u"), ("XDG_CONFIG_HOME", "/c")];
        assert_eq!(find(&own).as_deref(), Some("/c/openai-bulk/config.toml"));
        let relative = [("HOME", "/home/u"), ("XDG_CONFIG_HOME", "c")];
        assert_eq!(find(&relative).as_deref(), Some(usual));
        assert_eq!(find(&[]), None);
    }

    #[test]
    fn a_key_comes_from_the_file_that_is_read_first() {
        let layer = |path: &str, name: &str, value: &str| Layer {
            origin: Origin::File(Path::new(path).into()),
            vars: [(name.to_owned(), value.to_owned())].into(),
        };
        let env = || layer(".env", "OPENAI_API_KEY", "sk-0123456789abcdef");
        let file = || layer("/project/openai-bulk.toml", "OPENAI_API_KEY_FILE", "/nowhere/key");
        let first = from_layers(&[env(), file()]).unwrap();
        assert_eq!(first.load_key().unwrap().unwrap().expose(), "sk-0123456789abcdef");
        let second = from_layers(&[file(), env()]).unwrap();
        assert!(matches!(second.load_key(), Err(Error::File(_))), "the file goes before");
    }

    #[test]
    fn a_profile_goes_before_the_rest_of_its_file_and_not_before_other_files() {
        let vars = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
        };
        let project =
            || Content { vars: vars(&[("OPENAI_MODEL", "project")]), ..Content::default() };
        let user = || Content {
            vars: vars(&[("OPENAI_MODEL", "user"), ("OPENAI_TIMEOUT", "30s")]),
            profiles: [("fast".into(), vars(&[("OPENAI_TIMEOUT", "5s"), ("OPENAI_MODEL", "m")]))]
                .into(),
        };
        let files =
            || vec![(project(), PathBuf::from("p.toml")), (user(), PathBuf::from("u.toml"))];
        let config = from_layers(&chosen(files(), Some("fast")).unwrap()).unwrap();
        assert_eq!((config.get_model(), config.get_timeout().as_secs()), ("project", 5));
        assert_eq!(config.origin("OPENAI_TIMEOUT"), Some(Origin::File(Path::new("u.toml").into())));
        assert_eq!(config.files().count(), 2);
        let error = chosen(files(), Some("slow")).err().unwrap().to_string();
        assert!(error.contains("there are fast"), "{error}");
        let error = chosen(Vec::new(), Some("slow")).err().unwrap().to_string();
        assert!(error.contains("[profile.slow]"), "{error}");
    }
}
