//! Which servers are meant: names of instances, connection strings, psql's letters, or nothing at all. Opens no
//! connection and asks nobody, except in [`Target::obtain_password`].

use std::{borrow::Cow, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    Config, Conninfo, Env, Error, Instance,
    conninfo::Settings,
    nearest,
    password::{self, COMMAND_LIMIT},
};

/// How careful to be: colour and words on screen, and production asks for a typed name before it is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Anybody's toy.
    #[default]
    Development,
    /// Like production, without its users.
    Staging,
    /// The real thing.
    Production,
}

impl Environment {
    /// As written in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

/// What the command line says about servers. Plain values, so that this layer needs no parser of arguments.
#[derive(Debug, Clone, Default)]
pub struct TargetOptions {
    /// Instance names and connection strings.
    pub targets: Vec<String>,
    /// `-h`
    pub host: Option<String>,
    /// `-p`
    pub port: Option<String>,
    /// `-U`
    pub user: Option<String>,
    /// `-d`: a database, or as in psql a connection string.
    pub dbname: Option<String>,
    /// `-w`: never ask for a password.
    pub no_password: bool,
    /// `-W`: ask before connecting.
    pub ask_password: bool,
    /// `--policy`, for every target.
    pub policy: Option<PathBuf>,
    /// `--read-only`, for every target.
    pub read_only: bool,
}

impl TargetOptions {
    fn has_letters(&self) -> bool {
        self.host.is_some() || self.port.is_some() || self.user.is_some() || self.dbname.is_some()
    }
}

/// One server and database that is meant.
#[derive(Debug, Clone)]
pub struct Target {
    /// The instance's name; `host:port/database` for a connection nobody named.
    pub name: String,
    /// How to connect.
    pub conninfo: Conninfo,
    /// How careful to be.
    pub environment: Environment,
    /// The policy it is judged by, if any. Whether the file exists was not checked.
    pub policy: Option<PathBuf>,
    /// False: no session may be cancelled or terminated.
    pub allow_signals: bool,
    /// Prints the password. Not there when the connection string holds one.
    pub password_command: Option<String>,
    /// When a person may be asked for the password.
    pub ask: Ask,
}

impl Target {
    /// What a command line calls it, for commands that take no policy.
    #[must_use]
    pub fn word(&self) -> Cow<'_, str> {
        match &self.conninfo.words {
            Some(words) => Cow::Borrowed(words.split(POLICY).next().unwrap_or(words)),
            None => crate::text::shell_word(&self.name),
        }
    }
}

/// Between the words for a target and its policy.
const POLICY: &str = " --policy ";

/// When a person may be asked for a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Before connecting (`-W`).
    First,
    /// When the server wants one and none is at hand.
    WhenNeeded,
    /// Never (`-w`).
    Never,
}

impl Target {
    /// Gets the password that does not need the server's asking: from the person with `-W`, else from
    /// `password_command`. Blocks on them.
    pub fn obtain_password(&mut self) -> Result<(), Error> {
        if self.ask == Ask::First {
            return self.ask_password();
        }
        if let Some(command) = &self.password_command {
            let found = password::from_command(command, COMMAND_LIMIT)
                .map_err(|e| Error::new(format!("{} (instance `{}`)", e.message, self.name), e.remedy))?;
            self.conninfo.password = Some(found);
        }
        Ok(())
    }

    /// Asks the person at the terminal, for a server that wants a password. An error under `-w`.
    pub fn ask_password(&mut self) -> Result<(), Error> {
        if self.ask == Ask::Never {
            return Err(Error::new(
                format!("could not ask for the password of {}: -w forbids it", self.conninfo),
                "put it into ~/.pgpass or PGPASSWORD, or leave -w out",
            ));
        }
        let whom = crate::text::safe(&self.conninfo.to_string()).into_owned();
        self.conninfo.password = Some(password::ask(&whom)?);
        Ok(())
    }
}

/// Variables that say where to connect; one of them is enough to mean libpq's environment.
const PLACES: [&str; 6] = ["PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE"];

/// The servers that are meant; empty when nothing says any (the console then offers its set-up).
pub fn find(options: &TargetOptions, config: &Config, env: &Env) -> Result<Vec<Target>, Error> {
    let context = Context { options, config, env };
    if options.no_password && options.ask_password {
        return Err(Error::new("could not follow both -w and -W", "-w never asks for a password, -W always does"));
    }
    if options.has_letters() {
        if !options.targets.is_empty() {
            return Err(Error::new(
                "could not combine a TARGET with -h, -p, -U or -d",
                "give one or the other; a connection string can hold host, port, user and dbname",
            ));
        }
        return Ok(vec![context.raw(context.letters()?)?]);
    }
    if !options.targets.is_empty() {
        return options.targets.iter().map(|text| context.named_or_raw(text)).collect();
    }
    if !config.instances.is_empty() {
        return config.instances.iter().map(|instance| context.instance(instance)).collect();
    }
    if PLACES.iter().any(|name| env.var(name).is_some()) {
        return Ok(vec![context.raw(Settings::default())?]);
    }
    Ok(Vec::new())
}

/// As [`find`], for commands that need at least one.
pub fn resolve(options: &TargetOptions, config: &Config, env: &Env) -> Result<Vec<Target>, Error> {
    let targets = find(options, config, env)?;
    if targets.is_empty() { Err(nothing()) } else { Ok(targets) }
}

/// As [`find`], for commands that work on exactly one.
pub fn resolve_one(options: &TargetOptions, config: &Config, env: &Env) -> Result<Target, Error> {
    let mut targets = find(options, config, env)?;
    match (targets.pop(), targets.is_empty()) {
        (Some(target), true) => Ok(target),
        (None, _) => Err(nothing()),
        (Some(_), false) => {
            let names: Vec<&str> = config.instances.iter().map(|i| i.name.as_str()).collect();
            let remedy = format!("name one as TARGET: {}", names.join(", "));
            Err(Error::new("could not choose a server: this command works on one, and several are meant", remedy))
        }
    }
}

/// The error when nothing says which server is meant.
#[must_use]
pub fn nothing() -> Error {
    Error::new(
        "could not choose a server: none is named, the configuration has no instance, and no PGHOST, PGSERVICE or the like is set",
        "name one: `pgmoat postgresql://USER@HOST/DATABASE`, or -h HOST -U USER -d DATABASE; \
         `pgmoat discover` lists what runs here, `pgmoat init` sets one up, `pgmoat demo` makes one",
    )
}

struct Context<'a> {
    options: &'a TargetOptions,
    config: &'a Config,
    env: &'a Env,
}

impl Context<'_> {
    fn letters(&self) -> Result<Settings, Error> {
        let options = self.options;
        let mut settings = match options.dbname.as_deref() {
            Some(text) if Settings::looks_like(text) => Settings::parse(text)?,
            Some(name) => {
                let mut settings = Settings::default();
                settings.set("dbname", name)?;
                settings
            }
            None => Settings::default(),
        };
        for (name, value) in [("host", &options.host), ("port", &options.port), ("user", &options.user)] {
            if let Some(value) = value {
                settings.set(name, value.as_str())?;
            }
        }
        Ok(settings)
    }

    fn named_or_raw(&self, text: &str) -> Result<Target, Error> {
        if let Some(instance) = self.config.instance(text) {
            return self.instance(instance);
        }
        if text.is_empty() || Settings::looks_like(text) {
            return self.raw(Settings::parse(text)?);
        }
        let names: Vec<&str> = self.config.instances.iter().map(|i| i.name.as_str()).collect();
        let text = &*masked(text);
        let remedy = match nearest(text, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => {
                format!(
                    "the configuration has no instance; for a database write -d {text}, for a service service={text}; \
                     `pgmoat --help` lists the commands"
                )
            }
            None => format!(
                "the instances are {}; for a database write -d {text}, for a service service={text}; \
                 `pgmoat --help` lists the commands",
                names.join(", ")
            ),
        };
        Err(Error::new(format!("could not find an instance called `{text}`"), remedy))
    }

    fn instance(&self, instance: &Instance) -> Result<Target, Error> {
        let settings = Settings::parse(&instance.url)?;
        let own_password = settings.get("password").is_some_and(|p| !p.is_empty());
        let mut conninfo = Conninfo::resolve(settings, self.env)
            .map_err(|e| Error::new(format!("{} (instance `{}`)", e.message, instance.name), e.remedy))?;
        conninfo.read_only = instance.read_only || self.options.read_only;
        let name = crate::text::shell_word(&instance.name);
        conninfo.words = self.options.policy.as_ref().map(|_| self.with_policy(name.into_owned()));
        let policy = instance.policy.as_deref().map(|written| self.config.resolve_path(written, self.env));
        Ok(Target {
            name: instance.name.clone(),
            environment: instance.environment.unwrap_or_else(|| environment(&conninfo)),
            policy: self.policy(policy),
            allow_signals: instance.allow_signals,
            password_command: instance.password_command.clone().filter(|_| !own_password),
            ask: self.ask(),
            conninfo,
        })
    }

    fn raw(&self, settings: Settings) -> Result<Target, Error> {
        let mut conninfo = Conninfo::resolve(settings, self.env)?;
        conninfo.read_only = self.options.read_only;
        conninfo.words = Some(self.with_policy(crate::text::shell_word(&conninfo.url()).into_owned()));
        Ok(Target {
            name: conninfo.name(),
            environment: environment(&conninfo),
            policy: self.policy(None),
            allow_signals: true,
            password_command: None,
            ask: self.ask(),
            conninfo,
        })
    }

    /// The words for a target, and `--policy` as it was given.
    fn with_policy(&self, words: String) -> String {
        match &self.options.policy {
            Some(path) => format!("{words}{POLICY}{}", crate::text::shell_word(&path.to_string_lossy())),
            None => words,
        }
    }

    /// `--policy`, else the instance's own, else the default one.
    fn policy(&self, own: Option<PathBuf>) -> Option<PathBuf> {
        let default =
            || self.config.default_policy.as_deref().map(|written| self.config.resolve_path(written, self.env));
        self.options.policy.clone().or(own).or_else(default)
    }

    fn ask(&self) -> Ask {
        match (self.options.ask_password, self.options.no_password) {
            (true, _) => Ask::First,
            (false, true) => Ask::Never,
            (false, false) => Ask::WhenNeeded,
        }
    }
}

/// What nobody said: this machine is for development, another may be production.
fn environment(conninfo: &Conninfo) -> Environment {
    if conninfo.is_local() { Environment::Development } else { Environment::Production }
}

/// A word that may be a mistyped connection string, without what may be a password in it.
fn masked(text: &str) -> Cow<'_, str> {
    let Some((before, host)) = text.rsplit_once('@') else { return Cow::Borrowed(text) };
    match before.rsplit_once(':') {
        Some((user, password)) if !password.is_empty() => Cow::Owned(format!("{user}:…@{host}")),
        Some(_) | None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const CONFIG: &str = r#"
        default_policy = "default.toml"
        [[instance]]
        name = "local"
        url = "postgresql://u@localhost/db"
        policy = "local.toml"
        password_command = "echo from-$(echo command)"
        [[instance]]
        name = "prod"
        url = "postgresql://u:own@db.example/db"
        read_only = true
        allow_signals = false
        password_command = "echo from-command"
    "#;

    fn env(vars: &[(&str, &str)]) -> Env {
        let vars = vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Env { os_user: Some("ann".into()), vars, ..Env::default() }
    }

    fn config() -> Config {
        Config::parse(CONFIG, Path::new("/c/config.toml")).unwrap()
    }

    fn options(targets: &[&str]) -> TargetOptions {
        TargetOptions { targets: targets.iter().map(|t| (*t).to_owned()).collect(), ..TargetOptions::default() }
    }

    #[test]
    fn a_name_is_an_instance_with_all_it_says() {
        let target = resolve_one(&options(&["prod"]), &config(), &env(&[])).unwrap();
        assert_eq!(target.name, "prod");
        assert_eq!(target.conninfo.to_string(), "u@db.example:5432/db");
        assert_eq!(target.environment, Environment::Production);
        assert_eq!(target.policy, Some("/c/default.toml".into()));
        assert!(target.conninfo.read_only && target.conninfo.leave().is_none() && !target.allow_signals);
        assert_eq!(target.password_command, None, "its string holds a password");
        let target = resolve_one(&options(&["local"]), &config(), &env(&[])).unwrap();
        assert_eq!(target.environment, Environment::Development);
        assert_eq!(target.policy, Some("/c/local.toml".into()));
    }

    #[test]
    fn a_string_is_called_by_its_place_and_judged_by_it() {
        let targets = ["postgresql://u@db.example:7/x", "host=127.0.0.1 dbname=y", "host=/run/pg"];
        let found = resolve(&options(&targets), &Config::default(), &env(&[])).unwrap();
        let got: Vec<_> = found.iter().map(|t| (t.name.as_str(), t.environment, t.policy.is_none())).collect();
        assert_eq!(
            got,
            [
                ("db.example:7/x", Environment::Production, true),
                ("127.0.0.1:5432/y", Environment::Development, true),
                ("/run/pg:5432/ann", Environment::Development, true),
            ]
        );
        let found = resolve(&options(&targets[..1]), &config(), &env(&[])).unwrap();
        assert_eq!(found[0].policy, Some("/c/default.toml".into()));
    }

    #[test]
    fn what_no_configuration_names_says_itself_from_any_shell_and_without_a_password() {
        let words = |options: &TargetOptions, config: &Config, vars: &[(&str, &str)]| {
            resolve_one(options, config, &env(vars)).unwrap().conninfo.words
        };
        let raw = |text: &str, vars: &[(&str, &str)]| words(&options(&[text]), &Config::default(), vars).unwrap();
        assert_eq!(raw("postgresql://u:secret@h/db", &[]), "postgresql://u@h:5432/db");
        assert_eq!(raw("dbname=y", &[("PGHOST", "other"), ("PGPORT", "7")]), "postgresql://ann@other:7/y");
        assert_eq!(raw("host=/run/pg dbname=y", &[]), "'postgresql://ann@/y?host=/run/pg&port=5432'");
        assert_eq!(words(&options(&["prod"]), &config(), &[]), None, "its name does");
        let with = TargetOptions { policy: Some("a b.toml".into()), ..options(&["prod"]) };
        assert_eq!(words(&with, &config(), &[]).unwrap(), "prod --policy 'a b.toml'");
        let mut one = resolve_one(&options(&["postgresql://u@h/db"]), &Config::default(), &env(&[])).unwrap();
        one.conninfo.set_database("other one");
        assert_eq!(
            (one.conninfo.dbname.as_str(), one.conninfo.url().as_str()),
            ("other one", "postgresql://u@h:5432/other%20one")
        );
    }

    #[test]
    fn no_target_means_instances_then_environment_then_nothing() {
        assert_eq!(find(&options(&[]), &config(), &env(&[("PGHOST", "h")])).unwrap().len(), 2);
        let found = find(&options(&[]), &Config::default(), &env(&[("PGHOST", "h")])).unwrap();
        assert_eq!(found[0].name, "h:5432/ann");
        let silent = env(&[("PGPASSWORD", "x"), ("PGSSLMODE", "require"), ("PGAPPNAME", "x")]);
        assert!(find(&options(&[]), &Config::default(), &silent).unwrap().is_empty());
        assert!(resolve(&options(&[]), &Config::default(), &silent).unwrap_err().remedy.contains("postgresql://"));
        let error = resolve_one(&options(&[]), &config(), &env(&[])).unwrap_err();
        assert!(error.remedy.contains("local, prod"), "{error}");
    }

    #[test]
    fn letters_mean_what_psql_means() {
        let letters = |host: &str, dbname: &str| TargetOptions {
            host: Some(host.into()),
            port: Some("7".into()),
            user: Some("me".into()),
            dbname: Some(dbname.into()),
            ..TargetOptions::default()
        };
        let target = resolve_one(&letters("h", "d"), &config(), &env(&[("PGHOST", "other")])).unwrap();
        assert_eq!(target.conninfo.to_string(), "me@h:7/d");
        let target = resolve_one(&letters("h", "postgres://x/y?sslmode=disable"), &config(), &env(&[])).unwrap();
        assert_eq!(target.conninfo.to_string(), "me@h:7/y");
        let mut both = letters("h", "d");
        both.targets.push("local".into());
        assert!(resolve(&both, &config(), &env(&[])).unwrap_err().message.contains("combine"));
    }

    #[test]
    fn options_for_all_targets_reach_them() {
        let all = TargetOptions {
            policy: Some("p.toml".into()),
            read_only: true,
            no_password: true,
            ..TargetOptions::default()
        };
        for target in resolve(&all, &config(), &env(&[])).unwrap() {
            assert_eq!(target.policy, Some("p.toml".into()));
            assert!(target.conninfo.read_only);
            assert_eq!(target.ask, Ask::Never);
        }
        let both = TargetOptions { no_password: true, ask_password: true, ..TargetOptions::default() };
        assert!(resolve(&both, &config(), &env(&[])).is_err());
    }

    #[test]
    fn an_unknown_name_gets_a_suggestion() {
        let error = resolve(&options(&["prdo"]), &config(), &env(&[])).unwrap_err();
        assert_eq!(error.remedy, "did you mean `prod`?");
        let error = resolve(&options(&["thing"]), &config(), &env(&[])).unwrap_err();
        assert!(error.remedy.contains("local, prod") && error.remedy.contains("-d thing"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn the_command_gives_the_password() {
        use secrecy::ExposeSecret;
        let mut target = resolve_one(&options(&["local"]), &config(), &env(&[("PGPASSWORD", "env")])).unwrap();
        target.obtain_password().unwrap();
        assert_eq!(target.conninfo.password.as_ref().map(ExposeSecret::expose_secret), Some("from-command"));
        assert!(!format!("{target:?}").contains("from-command"));
    }

    #[test]
    fn a_mistyped_connection_string_is_repeated_without_its_password() {
        for (given, shown) in [
            ("postgres//ro:SECRET@h/db", "postgres//ro:…@h/db"),
            ("ro:SE:CR@h", "ro:SE:…@h"),
            ("prod", "prod"),
            ("me@host", "me@host"),
        ] {
            assert_eq!(masked(given), shown, "{given}");
        }
    }
}
