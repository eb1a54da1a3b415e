//! Where our files are: configuration, state (journal, logs, samples), cache. XDG variables come first on every system;
//! without them Linux and macOS use the places terminal programs use (`~/.config` and so on), Windows its own.

use std::path::{Path, PathBuf};

use super::Env;

/// The program's name in every path.
const NAME: &str = "pgmoat";

/// Names the configuration file.
pub const CONFIG_VARIABLE: &str = "PGMOAT_CONFIG";

/// Directory of `config.toml` and `themes/`. `None`: there is no home directory.
#[must_use]
pub fn config_dir(env: &Env) -> Option<PathBuf> {
    place(env, "XDG_CONFIG_HOME", ".config", |dirs| Some(dirs.config_dir().to_owned()))
}

/// Directory of journal, logs and remembered samples.
#[must_use]
pub fn state_dir(env: &Env) -> Option<PathBuf> {
    place(env, "XDG_STATE_HOME", ".local/state", |dirs| {
        Some(dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned())
    })
}

/// Directory of what can be fetched or made again.
#[must_use]
pub fn cache_dir(env: &Env) -> Option<PathBuf> {
    place(env, "XDG_CACHE_HOME", ".cache", |dirs| Some(dirs.cache_dir().to_owned()))
}

/// The configuration file: the one given, else `PGMOAT_CONFIG`, else `config.toml` in [`config_dir`].
/// The flag is true when somebody named it, so that its absence is an error.
#[must_use]
pub fn config_file(given: Option<&Path>, env: &Env) -> Option<(PathBuf, bool)> {
    if let Some(path) = given {
        return Some((path.to_owned(), true));
    }
    if let Some(path) = env.var(CONFIG_VARIABLE) {
        return Some((env.expand(path), true));
    }
    config_dir(env).map(|dir| (dir.join("config.toml"), false))
}

fn place(
    env: &Env,
    variable: &str,
    in_home: &str,
    native: impl Fn(&directories::ProjectDirs) -> Option<PathBuf>,
) -> Option<PathBuf> {
    // A relative path in an XDG variable is invalid and counts as absent, says the specification.
    if let Some(dir) = env.var(variable).map(PathBuf::from).filter(|dir| dir.is_absolute()) {
        return Some(dir.join(NAME));
    }
    if cfg!(windows) {
        return directories::ProjectDirs::from("", "", NAME).and_then(|dirs| native(&dirs));
    }
    env.in_home(in_home).map(|dir| dir.join(NAME))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xdg_comes_before_home() {
        let mut env = Env { home: Some("/home/ann".into()), ..Env::default() };
        assert_eq!(config_dir(&env), Some("/home/ann/.config/pgmoat".into()));
        assert_eq!(state_dir(&env), Some("/home/ann/.local/state/pgmoat".into()));
        assert_eq!(cache_dir(&env), Some("/home/ann/.cache/pgmoat".into()));
        env.vars.insert("XDG_STATE_HOME".into(), "/s".into());
        env.vars.insert("XDG_CACHE_HOME".into(), "relative".into());
        assert_eq!(state_dir(&env), Some("/s/pgmoat".into()));
        assert_eq!(cache_dir(&env), Some("/home/ann/.cache/pgmoat".into()));
        assert_eq!(config_dir(&Env::default()), None);
    }

    #[test]
    fn a_named_configuration_is_remembered_as_named() {
        let mut env = Env { home: Some("/home/ann".into()), ..Env::default() };
        assert_eq!(config_file(None, &env), Some(("/home/ann/.config/pgmoat/config.toml".into(), false)));
        env.vars.insert("PGMOAT_CONFIG".into(), "~/c.toml".into());
        assert_eq!(config_file(None, &env), Some(("/home/ann/c.toml".into(), true)));
        assert_eq!(config_file(Some(Path::new("x")), &env), Some(("x".into(), true)));
    }
}
