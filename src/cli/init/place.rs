//! Where a set-up takes place: the database, the configuration that gets it, the policy's file, what stands there already.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use secrecy::SecretString;

use super::load;
use crate::{
    cli::{
        args::{Global, Init},
        failure::Failure,
        report,
    },
    config::{Config, Conninfo, Env, Target, TargetOptions, conninfo::Settings, paths, target},
    discover::{self, Around, Found, files::Disk},
    policy::{
        Policy,
        draft::{Kept, Neighbour},
    },
    run::setup,
    text,
};

/// See the module.
pub struct Place {
    pub target: Target,
    /// For the configuration: without a password.
    pub url: String,
    pub config: Config,
    pub config_path: PathBuf,
    /// Everything that was found around here; the database itself, and others.
    found: Vec<Found>,
    /// Where the policy goes, as somebody said it.
    policy: Option<PathBuf>,
    /// Where it goes by default.
    dir: PathBuf,
    name: Option<String>,
    replace: bool,
    env: Env,
    /// Answers of a set-up that was cut short.
    pub kept: Option<Kept>,
}

/// Finds out which database is meant.
pub async fn find(global: &Global, env: &Env, args: &Init) -> Result<Place, Failure> {
    if global.snapshot.is_some() {
        return Err(Failure::usage("could not set up a recording", "Name a server in place of --snapshot."));
    }
    let homeless = || {
        Failure::usage(
            "could not find a place for the configuration: there is no home directory",
            "Name one with --config FILE.",
        )
    };
    let (config_path, _) = paths::config_file(global.config.as_deref(), env).ok_or_else(homeless)?;
    let whole = |path: &Path| std::path::absolute(path).map_err(|e| Failure::file("find", path, &e, ""));
    let config_path = whole(&config_path)?;
    // One that is named and not there yet is made.
    let mut config = if config_path.exists() { Config::load(Some(&config_path), env)? } else { Config::default() };
    config.path = Some(config_path.clone());
    let dir = whole(args.dir.as_deref().unwrap_or_else(|| Path::new(".")))?;
    if !dir.is_dir() {
        let cause = format!("could not look into {}: it is no directory", dir.display());
        return Err(Failure::usage(cause, "Name one with --dir DIR."));
    }
    let kept = if args.resume { Some(resumed(env, &dir, args.target.as_deref())?) } else { None };
    let begun = kept.as_ref().map(|k| PathBuf::from(&k.dir)).filter(|d| d.is_dir());
    let dir = begun.unwrap_or(dir);
    let word = args.target.clone().or_else(|| kept.as_ref().map(|k| k.url.clone()).filter(|u| !u.is_empty()));
    let policy = global
        .policy
        .clone()
        .or_else(|| kept.as_ref().map(|k| PathBuf::from(&k.policy_file)).filter(|p| !p.as_os_str().is_empty()));
    let policy = policy.map(|path| whole(&path)).transpose()?;
    let named = word.is_some() || global.connection_flag().is_some();
    let options = TargetOptions {
        targets: word.iter().cloned().collect(),
        host: global.host.clone(),
        port: global.port.map(|p| p.to_string()),
        user: global.user.clone(),
        dbname: global.dbname.clone(),
        no_password: global.no_password,
        ask_password: global.password,
        policy: None,
        read_only: global.read_only,
    };
    // Without a word, what stands around here comes before what the configuration knows.
    let nobody = Config::default();
    let mut targets = target::find(&options, if named { &config } else { &nobody }, env)?;
    let found = discover::discover(&dir, &[], &Around::here(env, &Disk)).await.found;
    let mut given = given(&options, env)?;
    let mut target = match targets.pop() {
        Some(target) => target,
        None => match chosen(&found, &dir)? {
            Some(found) => {
                let text = found.conninfo().unwrap_or_default();
                given = Settings::parse(&text)?;
                let only = TargetOptions { targets: vec![text], ..options.clone() };
                let mut target = target::resolve_one(&only, &nobody, env)?;
                if !target.conninfo.has_password() {
                    target.conninfo.password.clone_from(&found.password);
                }
                report::note(&format!("pgmoat: found {} ({})", target.conninfo, text::list(&found.origins, 3)));
                target
            }
            None => target::resolve_one(&options, &config, env)?,
        },
    };
    target.conninfo.warnings.iter().for_each(|w| report::note(&format!("pgmoat: {w}")));
    if let Some(environment) = args.environment {
        target.environment = environment.into();
    }
    let url = match config.instance(&target.name) {
        Some(instance) => instance.url.clone(),
        None => target.conninfo.url_of(given)?,
    };
    Ok(Place {
        target,
        url,
        config,
        config_path,
        found,
        policy,
        dir,
        name: args.name.clone(),
        replace: args.replace,
        env: env.clone(),
        kept,
    })
}

/// The one set-up that was cut short in this folder, or, where there is none, anywhere; several are a question.
fn resumed(env: &Env, dir: &Path, target: Option<&str>) -> Result<Kept, Failure> {
    let all = paths::state_dir(env).map(|state| setup::kept(&state, dir)).unwrap_or_default();
    let mut fits: Vec<(Kept, bool)> =
        all.iter().filter(|(k, _)| target.is_none_or(|t| k.url == t || k.draft.name == t)).cloned().collect();
    if fits.iter().any(|(_, here)| *here) {
        fits.retain(|(_, here)| *here);
    }
    match fits.as_slice() {
        [(one, _)] => Ok(one.clone()),
        [] => {
            let others = all.iter().map(|(k, _)| format!("  {} in {}", k.url, k.dir));
            let what = if all.is_empty() { "no set-up was cut short" } else { "none was cut short for that database" };
            let cause = format!("could not go on: {what}");
            Err(Failure::usage(cause, "Leave out --resume, and give the answers as flags.").with(others))
        }
        several => {
            let list = several.iter().map(|(k, _)| format!("  {} in {}", k.url, k.dir));
            let cause = format!("could not choose what to go on with: {} were cut short", several.len());
            Err(Failure::usage(cause, "Name one as TARGET, or its folder with --dir DIR.").with(list))
        }
    }
}

/// The words that somebody gave.
fn given(options: &TargetOptions, env: &Env) -> Result<Settings, Failure> {
    let mut settings = match (options.targets.first(), &options.dbname) {
        (Some(text), _) if text.is_empty() || Settings::looks_like(text) => Settings::parse(text)?,
        (None, Some(text)) if Settings::looks_like(text) => Settings::parse(text)?,
        _ => Settings::default(),
    };
    for (word, variable) in [("service", "PGSERVICE"), ("sslmode", "PGSSLMODE"), ("sslrootcert", "PGSSLROOTCERT")] {
        if let Some(value) = env.var(variable).filter(|_| settings.get(word).is_none()) {
            settings.set(word, value)?;
        }
    }
    Ok(settings)
}

/// The one database that was found; several are a question.
fn chosen<'a>(found: &'a [Found], dir: &Path) -> Result<Option<&'a Found>, Failure> {
    let here: Vec<&Found> = found.iter().filter(|f| f.answers() && f.conninfo().is_some()).collect();
    // What a project says of itself comes before what happens to run on this machine.
    let of_project: Vec<&Found> = here.iter().copied().filter(|f| f.project.is_some()).collect();
    let best = if of_project.is_empty() { here } else { of_project };
    match best.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        several => {
            let list = several.iter().filter_map(|f| f.conninfo()).map(|c| format!("  {c}"));
            let n = text::count(several.len() as u64, "database answers", "databases answer");
            let cause = format!("could not choose a database in {}: {n}", dir.display());
            Err(Failure::usage(cause, "Name one as TARGET.").with(list))
        }
    }
}

impl Place {
    /// What applications beside the database say of it.
    pub fn neighbours(&self, database: &str) -> Vec<Neighbour> {
        self.here().flat_map(|found| setup::neighbours(found, database)).collect()
    }

    /// The server as a service of Compose, with its port there.
    pub fn inside(&self) -> Option<(&str, u16)> {
        self.here().find_map(Found::inside)
    }

    /// Passwords that those applications log in with, by role.
    pub fn passwords(&self) -> BTreeMap<String, SecretString> {
        let all = self.here().flat_map(|found| &found.neighbours);
        all.filter_map(|n| Some((n.user.clone()?, n.password.clone()?))).collect()
    }

    /// What keeps services of a project from being proposed: its files are about other databases.
    pub fn elsewhere(&self, database: &str) -> Option<String> {
        let proposes = |found: &&Found| !setup::neighbours(found, database).is_empty();
        if self.here().any(|found| proposes(&found)) {
            return None;
        }
        let others: Vec<String> = self
            .found
            .iter()
            .filter(|f| f.project.is_some() && !f.neighbours.is_empty())
            .map(|f| format!("{} ({})", f.conninfo().unwrap_or_else(|| f.name.clone()), text::list(&f.origins, 2)))
            .collect();
        (!others.is_empty()).then(|| format!("The services that stand in its files use {}.", text::list(&others, 3)))
    }

    /// The password stands nowhere that a later command looks.
    pub fn passing(&self, target: &Target) -> bool {
        let options = TargetOptions { targets: vec![self.url.clone()], ..TargetOptions::default() };
        let later = match self.config.instance(&self.target.name) {
            Some(instance) => instance.password_command.is_some(),
            None => false,
        };
        let later = later
            || target::resolve_one(&options, &Config::default(), &self.env).is_ok_and(|t| t.conninfo.has_password());
        target.conninfo.has_password() && !later
    }

    /// Where a set-up is begun.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn here(&self) -> impl Iterator<Item = &Found> {
        let port = self.target.conninfo.hosts.first().map(|h| h.port);
        self.found.iter().filter(move |f| {
            let settings = f.conninfo().and_then(|text| Conninfo::parse(&text, &self.env).ok());
            settings.is_some_and(|c| {
                c.is_local() == self.target.conninfo.is_local() && c.hosts.first().map(|h| h.port) == port
            })
        })
    }

    /// What the instance is called: as somebody said, as the configuration does, else by the draft.
    pub fn instance_name(&self, proposed: &str) -> String {
        if self.config.instance(&self.target.name).is_some() {
            return self.target.name.clone();
        }
        if let Some(name) = &self.name {
            return name.clone();
        }
        self.known().map_or_else(|| proposed.to_owned(), |i| i.name.clone())
    }

    /// The instance of the configuration that leads to the same database.
    fn known(&self) -> Option<&crate::config::Instance> {
        let here = self.target.conninfo.to_string();
        self.config.instances.iter().find(|i| {
            i.name == self.target.name || Conninfo::parse(&i.url, &self.env).is_ok_and(|c| c.to_string() == here)
        })
    }

    /// Refuses a name that another database has.
    ///
    /// # Errors
    /// It has.
    pub fn free(&self, name: &str) -> Result<(), Failure> {
        let taken = self.config.instance(name).is_some() && self.known().is_none_or(|i| i.name != name);
        if !taken {
            return Ok(());
        }
        let path = self.config_path.display();
        let cause = format!("could not call it {name}: {path} has an instance of that name, which leads elsewhere");
        Err(Failure::usage(cause, "Give another name with --name NAME."))
    }

    /// Where the policy is written.
    pub fn policy_path(&self, name: &str) -> PathBuf {
        let of_instance =
            self.known().and_then(|i| i.policy.as_deref()).map(|p| self.config.resolve_path(p, &self.env));
        let plain = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
        let file: String = name.chars().map(plain).collect();
        self.policy.clone().or(of_instance).unwrap_or_else(|| self.dir.join(format!("{file}.policy.toml")))
    }

    /// A policy that is there already, unless it is to be replaced.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn standing(&self) -> Result<Option<(PathBuf, Policy)>, Failure> {
        let database = crate::policy::draft::plain_name(&self.target.conninfo.dbname);
        let path = self.policy_path(&self.instance_name(&database));
        if self.replace || !path.exists() {
            return Ok(None);
        }
        Ok(Some((path.clone(), load(&path)?)))
    }
}
