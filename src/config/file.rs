//! `config.toml`: what one person sets. Every setting is a field with its default here and stands in
//! `config.example.toml`; a test keeps the two equal. Holds no thresholds of findings: those belong to a policy.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{Env, Environment, Error, conninfo::Settings, conninfo::files, nearest, paths};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The console.
    pub ui: Ui,
    /// Action id to key; what is not named keeps its default. `pgmoat keys` lists both.
    pub keys: BTreeMap<String, String>,
    /// Policy of connections that no instance names one for. Relative to the file; see [`Config::resolve_path`].
    pub default_policy: Option<String>,
    /// The servers.
    #[serde(rename = "instance")]
    pub instances: Vec<Instance>,
    /// Where it was read from; `None` for defaults.
    #[serde(skip)]
    pub path: Option<PathBuf>,
    /// What was noticed while reading, for people.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

/// The console.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ui {
    /// A built-in theme or a file in `themes/` beside the configuration.
    pub theme: String,
    /// Milliseconds between two looks at the sessions: 250 to 3,600,000.
    pub refresh_ms: u64,
    /// Milliseconds between two readings of the catalog when it changed: 1,000 to 3,600,000.
    pub catalog_refresh_ms: u64,
    /// Wheel and clicks; off leaves selecting text to the terminal.
    pub mouse: bool,
}

impl Default for Ui {
    fn default() -> Self {
        Self { theme: "terminal".into(), refresh_ms: 2000, catalog_refresh_ms: 5000, mouse: true }
    }
}

/// One server and database.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// What it is called, on screen and as a TARGET.
    pub name: String,
    /// A connection string, better without a password.
    pub url: String,
    /// How careful to be; without it, development on this machine and production elsewhere.
    pub environment: Option<Environment>,
    /// The policy it is judged by. Relative to the file; see [`Config::resolve_path`].
    pub policy: Option<String>,
    /// True: nothing is ever changed, and no session is ended.
    #[serde(default)]
    pub read_only: bool,
    /// False: no session is cancelled or terminated.
    #[serde(default = "yes")]
    pub allow_signals: bool,
    /// Run with `sh -c` when connecting; the first line it prints is the password.
    pub password_command: Option<String>,
}

const fn yes() -> bool {
    true
}

impl Config {
    /// Reads the file that was named, or the usual one, whose absence means the defaults.
    pub fn load(given: Option<&Path>, env: &Env) -> Result<Self, Error> {
        let Some((path, named)) = paths::config_file(given, env) else { return Ok(Self::default()) };
        if !named && !path.exists() {
            return Ok(Self::default());
        }
        let text = files::read_text(&path).map_err(|why| {
            Error::new(
                format!("could not read configuration {}: {why}", path.display()),
                "--config or PGMOAT_CONFIG names it",
            )
        })?;
        let mut config = Self::parse(&text, &path)?;
        config.warnings.extend(permission_warnings(&path, &config));
        Ok(config)
    }

    /// Reads the text of a file; `path` is for messages and relative paths.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let mut config: Self = toml::from_str(text).map_err(|error| describe(&error, text, path))?;
        config.path = Some(path.to_owned());
        config.validate(text, path)?;
        Ok(config)
    }

    /// A path written in the file: relative to the file's directory, `~` is the home.
    #[must_use]
    pub fn resolve_path(&self, written: &str, env: &Env) -> PathBuf {
        let path = env.expand(written);
        match self.path.as_deref().and_then(Path::parent) {
            Some(dir) if path.is_relative() => dir.join(path),
            _ => path,
        }
    }

    /// The instance of that name.
    #[must_use]
    pub fn instance(&self, name: &str) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.name == name)
    }

    fn validate(&self, text: &str, path: &Path) -> Result<(), Error> {
        let at = |line: usize, why: &str, remedy: &str| {
            Error::new(format!("could not read configuration {}: line {line}: {why}", path.display()), remedy)
        };
        for (name, value, least) in
            [("refresh_ms", self.ui.refresh_ms, 250), ("catalog_refresh_ms", self.ui.catalog_refresh_ms, 1000)]
        {
            if !(least..=3_600_000).contains(&value) {
                let line = line_where(text, |l| l.starts_with(name), 0);
                return Err(at(
                    line,
                    &format!("{name} = {value} is out of range"),
                    &format!("it may be {least} to 3600000"),
                ));
            }
        }
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for (i, instance) in self.instances.iter().enumerate() {
            let line = line_where(text, |l| l.starts_with("[[instance]]"), i);
            let name = instance.name.as_str();
            if name.is_empty() || Settings::looks_like(name) || name.starts_with('-') {
                return Err(at(
                    line,
                    "the instance's name would be taken for something else",
                    "use letters, digits, `-` and `_`",
                ));
            }
            if !names.insert(name) {
                return Err(at(
                    line,
                    &format!("there are two instances called `{name}`"),
                    "give one of them another name",
                ));
            }
            if let Err(error) = Settings::parse(&instance.url) {
                return Err(at(line, &format!("instance `{name}`: {}", error.message), &error.remedy));
            }
        }
        Ok(())
    }
}

/// The number of the line that fits, the `skip`-th of those; 1 when there is none.
fn line_where(text: &str, fits: impl Fn(&str) -> bool, skip: usize) -> usize {
    text.lines().enumerate().filter(|(_, line)| fits(line.trim_start())).nth(skip).map_or(1, |(i, _)| i + 1)
}

/// The parser's message with its line, without the piece of the file it would show (which may hold a password), and
/// with the word that was probably meant.
fn describe(error: &toml::de::Error, text: &str, path: &Path) -> Error {
    let line = error.span().map_or(1, |span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
    let mut message = error.message().trim().replace('\n', ", ");
    if let (Some(open), Some(close)) = (message.find('"'), message.rfind('"'))
        && open < close
    {
        message =
            format!("{}…{}", message.get(..open).unwrap_or_default(), message.get(close + 1..).unwrap_or_default());
    }
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let remedy = match quoted.split_first() {
        Some((&word, _)) if word == "password" || word == "pass" => {
            "no password belongs here: use ~/.pgpass, PGPASSWORD or password_command".to_owned()
        }
        Some((word, valid)) if message.starts_with("unknown") => match nearest(word, valid.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "config.example.toml shows every setting".to_owned(),
        },
        _ => "config.example.toml shows every setting".to_owned(),
    };
    Error::new(format!("could not read configuration {}: line {line}: {message}", path.display()), remedy)
}

/// Who else could change what we run, or read a password in it.
#[cfg(unix)]
fn permission_warnings(path: &Path, config: &Config) -> Vec<String> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let Ok(metadata) = std::fs::metadata(path) else { return Vec::new() };
    let mode = metadata.permissions().mode();
    let shown = path.display();
    let mut warnings = Vec::new();
    if mode & 0o022 != 0 {
        warnings.push(format!("{shown} can be changed by others, and may name commands that are run; chmod 0600 it"));
    }
    if metadata.uid() != 0 && metadata.uid() != rustix::process::geteuid().as_raw() {
        warnings.push(format!("{shown} belongs to another user"));
    }
    let has_password = |instance: &Instance| {
        Settings::parse(&instance.url).is_ok_and(|s| s.get("password").is_some_and(|p| !p.is_empty()))
    };
    if mode & 0o044 != 0 && config.instances.iter().any(has_password) {
        warnings.push(format!(
            "{shown} holds a password and others can read it; chmod 0600 it, or move the password to ~/.pgpass"
        ));
    }
    warnings
}

#[cfg(not(unix))]
fn permission_warnings(_path: &Path, _config: &Config) -> Vec<String> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../config.example.toml");

    fn read(text: &str) -> Result<Config, Error> {
        Config::parse(text, Path::new("/c/config.toml"))
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let mut example = read(EXAMPLE).unwrap();
        assert!(!example.instances.is_empty());
        for instance in &example.instances {
            assert!(instance.allow_signals || instance.environment == Some(Environment::Production));
        }
        example.instances.clear();
        example.path = None;
        assert_eq!(example, Config::default());
    }

    #[test]
    fn the_example_shows_every_setting() {
        for (table, complete) in [("", ""), ("[ui]\n", ""), ("[[instance]]\n", "name = \"x\"\nurl = \"\"\n")] {
            let error = read(&format!("{table}{complete}zzz = 1\n")).unwrap_err();
            let names: Vec<&str> = error.message.split('`').skip(1).step_by(2).skip(1).collect();
            assert!(names.len() >= 4, "{error}");
            for name in names {
                let there = EXAMPLE.lines().map(|l| l.trim_start_matches(['#', ' '])).any(|line| {
                    line.starts_with(&format!("{name} = "))
                        || line == format!("[{name}]")
                        || line == format!("[[{name}]]")
                });
                assert!(there, "config.example.toml does not show `{name}`");
            }
        }
    }

    #[test]
    fn mistakes_are_shown_with_line_and_suggestion_and_without_secrets() {
        for (text, line, why, remedy) in [
            ("[ui]\nthem = \"x\"\n", 2, "unknown field `them`", "did you mean `theme`?"),
            ("\n[iu]\n", 2, "unknown field `iu`", "did you mean `ui`?"),
            ("[ui]\nmouse = 1\n", 2, "invalid type", "config.example.toml"),
            ("[ui]\ntheme = \"a\"\ntheme = \"b\"\n", 3, "duplicate", "config.example"),
            ("[ui]\nrefresh_ms = 10\n", 2, "out of range", "250 to"),
            ("[[instance]]\nname = \"a\"\n", 1, "missing field `url`", "config.example"),
            ("[[instance]]\nname=\"a\"\nurl=\"\"\nenvironment=\"prodction\"", 4, "unknown variant", "`production`?"),
            ("[[instance]]\nname=\"a\"\nurl=\"\"\npassword=\"CANARY\"", 4, "unknown field", "no password belongs here"),
            (
                "[[instance]]\nname=\"a\"\nurl=\"\"\n[[instance]]\nname=\"a\"\nurl=\"\"",
                4,
                "two instances",
                "another name",
            ),
            ("[[instance]]\nname=\"a\"\nurl=\"postgres://u:CANARY@x@h\"", 1, "`@`", "%40"),
            ("instance = \"postgres://u:CANARY@h/db\"", 1, "invalid type", "config.example"),
            ("[[instance]]\nurl = \"postgres://u:CANARY@h\n", 2, "", ""),
            ("[[instance]]\nname = \"a=b\"\nurl = \"\"", 1, "taken for something else", "letters"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.message.contains(&format!("line {line}:")), "{text}: {error}");
            assert!(error.message.contains(why), "{text}: {error}");
            assert!(error.remedy.contains(remedy), "{text}: {error}");
            assert!(!error.to_string().contains("CANARY"), "{error}");
        }
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let config = read("").unwrap();
        assert_eq!(Config { path: None, ..config }, Config::default());
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = read("").unwrap();
        let env = Env { home: Some("/home/ann".into()), ..Env::default() };
        assert_eq!(config.resolve_path("p.toml", &env), PathBuf::from("/c/p.toml"));
        assert_eq!(config.resolve_path("~/p.toml", &env), PathBuf::from("/home/ann/p.toml"));
        assert_eq!(config.resolve_path("/p.toml", &env), PathBuf::from("/p.toml"));
    }

    #[cfg(unix)]
    #[test]
    fn others_who_may_write_or_read_are_named() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "[[instance]]\nname = \"a\"\nurl = \"postgres://u:pw@h/db\"\n").unwrap();
        let warnings = |mode: u32| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Config::load(Some(&path), &Env::default()).unwrap().warnings
        };
        assert_eq!(warnings(0o600), Vec::<String>::new());
        assert!(warnings(0o644).iter().any(|w| w.contains("holds a password")));
        assert!(warnings(0o622).iter().any(|w| w.contains("changed by others")));
        let error = Config::load(Some(&dir.path().join("none.toml")), &Env::default()).unwrap_err();
        assert!(error.message.contains("does not exist"), "{error}");
    }
}
