//! From what was typed to what is meant: targets, the policy that speaks of each, the lineages of its services. Reads
//! files, opens no connection.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{args::Global, failure::Failure, report, snapshot};
use crate::{
    config::{self, Config, Env, TargetOptions},
    domain::{alembic::Lineages, snapshot::Snapshot},
    policy::{self, Policy, file::PolicyError},
    run::{self, Rules},
    text,
};

/// One database to look at.
pub struct Target {
    /// Name of the instance.
    pub name: String,
    pub source: Source,
    /// Where its policy is.
    pub place: Option<Place>,
    /// The part of the policy that speaks of this instance.
    pub policy: Option<Arc<Policy>>,
    /// The instances that the whole policy names.
    elsewhere: Vec<String>,
    pub lineages: Arc<Lineages>,
    /// Nobody named it: the policy of another target says that something of it lives here, and this is how it was found.
    pub implied: Option<Implied>,
}

/// How an instance was found that only a policy names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implied {
    /// The configuration has it.
    ByConfiguration,
    /// A database of that name on the same server.
    ByDatabase,
}

/// The policy of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub path: PathBuf,
    /// Entries without an instance speak of this one.
    pub home: bool,
}

/// Where its picture comes from.
pub enum Source {
    Server(Box<config::Target>),
    /// A file that `snapshot` wrote.
    Recording(Box<Snapshot>),
}

impl Target {
    /// Columns that tell tenants apart, as the policy declares them.
    #[must_use]
    pub fn tenant_columns(&self) -> Vec<String> {
        let services = self.policy.iter().flat_map(|p| &p.services);
        let mut columns: Vec<String> = services.filter_map(|s| s.tenant_column.clone()).collect();
        columns.sort();
        columns.dedup();
        columns
    }
}

/// What is typed and set, before it is known which targets are meant.
#[derive(Clone)]
pub struct Context {
    pub env: Env,
    pub config: Config,
    pub global: Global,
}

impl Context {
    /// Reads the configuration.
    ///
    /// # Errors
    /// It was named and is not there, or it is not valid.
    pub fn new(global: &Global, env: Env) -> Result<Context, Failure> {
        let config = Config::load(global.config.as_deref(), &env)?;
        for warning in &config.warnings {
            report::note(&format!("pgmoat: {warning}"));
        }
        Ok(Context { env, config, global: global.clone() })
    }

    /// Flags say which target is meant, so none is named.
    #[must_use]
    pub fn by_flags(&self) -> bool {
        self.global.snapshot.is_some() || self.global.connection_flag().is_some()
    }

    /// Every target that is meant: those named, those of the configuration, or libpq's environment.
    ///
    /// # Errors
    /// A target beside flags that stand in its place, an unknown name, a policy that cannot be used, or nothing at all.
    pub fn targets(&self, words: &[String]) -> Result<Vec<Target>, Failure> {
        if let Some(recording) = self.recording(words)? {
            return Ok(vec![recording]);
        }
        let found = config::target::resolve(&self.options(words), &self.config, &self.env)?;
        self.with_policies(found)
    }

    /// As [`Context::targets`], empty when nothing says any: the console then offers what else can be done.
    ///
    /// # Errors
    /// As [`Context::targets`].
    pub fn targets_or_none(&self, words: &[String]) -> Result<Vec<Target>, Failure> {
        if let Some(recording) = self.recording(words)? {
            return Ok(vec![recording]);
        }
        let found = config::target::find(&self.options(words), &self.config, &self.env)?;
        self.with_policies(found)
    }

    /// As [`Context::targets`], for commands that work on exactly one.
    ///
    /// # Errors
    /// As [`Context::targets`], and several that are meant.
    pub fn target(&self, word: Option<&String>) -> Result<Target, Failure> {
        let words: Vec<String> = word.into_iter().cloned().collect();
        if let Some(recording) = self.recording(&words)? {
            return Ok(recording);
        }
        let found = config::target::resolve_one(&self.options(&words), &self.config, &self.env)?;
        let mut targets = self.with_policies(vec![found])?;
        targets.pop().ok_or_else(|| Failure::from(config::target::nothing()))
    }

    fn options(&self, words: &[String]) -> TargetOptions {
        TargetOptions {
            targets: words.to_vec(),
            host: self.global.host.clone(),
            port: self.global.port.map(|p| p.to_string()),
            user: self.global.user.clone(),
            dbname: self.global.dbname.clone(),
            no_password: self.global.no_password,
            ask_password: self.global.password,
            policy: self.global.policy.clone(),
            read_only: self.global.read_only,
        }
    }

    fn recording(&self, words: &[String]) -> Result<Option<Target>, Failure> {
        let Some(file) = &self.global.snapshot else { return Ok(None) };
        let beside = words.first().map(|_| "a TARGET").or_else(|| self.global.connection_flag());
        if let Some(beside) = beside {
            let cause = format!("could not combine --snapshot with {beside}");
            return Err(Failure::usage(cause, "--snapshot stands in place of a server; give one or the other."));
        }
        let snapshot = snapshot::load(file)?;
        let written = |text: &String| self.config.resolve_path(text, &self.env);
        let of_instance = self.config.instance(&snapshot.instance).and_then(|i| i.policy.as_ref()).map(written);
        let default = || self.config.default_policy.as_ref().map(written);
        let path = self.global.policy.clone().or(of_instance).or_else(default);
        let name = snapshot.instance.clone();
        let place = path.map(|path| Place { path, home: true });
        target(name, Source::Recording(Box::new(snapshot)), place, &mut Policies::default()).map(Some)
    }

    /// Adds the instances in which the policies of these targets say that something lives besides, so that a service
    /// elsewhere is judged together with the rest: the configuration's instance of the name, else the database of the name
    /// on the same server, by the same login.
    ///
    /// # Errors
    /// As [`Context::targets`].
    pub fn with_elsewhere(&self, mut targets: Vec<Target>) -> Result<Vec<Target>, Failure> {
        let mut policies = Policies::default();
        let mut more: Vec<Target> = Vec::new();
        for one in &targets {
            let (Some(place), Source::Server(server)) = (one.place.as_ref().filter(|p| p.home), &one.source) else {
                continue;
            };
            for name in one.elsewhere.iter().map(String::as_str) {
                if targets.iter().chain(&more).any(|t| t.name == name) {
                    continue;
                }
                let (other, implied) = match self.config.instance(name) {
                    Some(_) => (self.instance(name)?, Implied::ByConfiguration),
                    None => {
                        let mut other = server.as_ref().clone();
                        other.conninfo.set_database(name);
                        name.clone_into(&mut other.name);
                        other.conninfo.words = Some(text::shell_word(&other.conninfo.url()).into_owned());
                        other.policy = None;
                        (other, Implied::ByDatabase)
                    }
                };
                // an instance that names a policy of its own is judged by that
                let own = other.policy.clone().filter(|own| !same(own, &place.path));
                let place = match own {
                    Some(path) => Place { path, home: true },
                    None => Place { path: place.path.clone(), home: false },
                };
                let source = Source::Server(Box::new(other));
                let target = target(name.to_owned(), source, Some(place), &mut policies)?;
                more.push(Target { implied: Some(implied), ..target });
            }
        }
        targets.extend(more);
        Ok(targets)
    }

    /// Another database of a server: the configuration's own instance for it, if there is one, else one that is called
    /// after both, or after the database alone where the server's policy speaks of an instance of that name.
    ///
    /// # Errors
    /// A policy that cannot be used.
    pub fn database(&self, server: &config::Target, database: &str) -> Result<Target, Failure> {
        if let Some(configured) = self.configured(server, database) {
            let mut targets = self.with_policies(vec![configured])?;
            if let Some(target) = targets.pop() {
                return Ok(target);
            }
        }
        let mut policies = Policies::default();
        let of_policy = match &server.policy {
            Some(path) => policies.load(path)?.elsewhere().contains(database).then(|| path.clone()),
            None => None,
        };
        let mut one = server.clone();
        one.conninfo.set_database(database);
        one.name = match &of_policy {
            Some(_) => database.to_owned(),
            None if server.name == server.conninfo.name() => one.conninfo.name(),
            None => format!("{}/{database}", server.name),
        };
        one.conninfo.words = Some(text::shell_word(&one.conninfo.url()).into_owned());
        one.policy.clone_from(&of_policy);
        let place = of_policy.map(|path| Place { path, home: false });
        target(one.name.clone(), Source::Server(Box::new(one)), place, &mut policies)
    }

    /// The instance of the configuration that is this database of that server, by the same login.
    fn configured(&self, server: &config::Target, database: &str) -> Option<config::Target> {
        self.config.instances.iter().find_map(|instance| {
            let mut one = self.instance(&instance.name).ok()?;
            if one.conninfo.dbname != database || !one.conninfo.is_beside(&server.conninfo) {
                return None;
            }
            if one.conninfo.password.is_none() {
                one.conninfo.password.clone_from(&server.conninfo.password);
            }
            one.conninfo.read_only |= server.conninfo.read_only;
            Some(one)
        })
    }

    /// An instance of the configuration, whatever flags say which targets are meant.
    fn instance(&self, name: &str) -> Result<config::Target, Failure> {
        let options = TargetOptions {
            targets: vec![name.to_owned()],
            no_password: self.global.no_password,
            read_only: self.global.read_only,
            ..TargetOptions::default()
        };
        Ok(config::target::resolve_one(&options, &self.config, &self.env)?)
    }

    /// Gives every target its part of a policy: of the one it names, or of one that another instance names and that
    /// speaks of it.
    fn with_policies(&self, found: Vec<config::Target>) -> Result<Vec<Target>, Failure> {
        let mut policies = Policies::default();
        let named: Vec<(String, PathBuf)> = self
            .config
            .instances
            .iter()
            .filter_map(|i| Some((i.name.clone(), self.config.resolve_path(i.policy.as_deref()?, &self.env))))
            .collect();
        let mut targets = Vec::new();
        for one in found {
            for warning in &one.conninfo.warnings {
                report::note(&format!("pgmoat: {}: {warning}", one.name));
            }
            let place = match &one.policy {
                Some(path) => {
                    // What a policy says without an instance is about whatever it was given for, unless it speaks of that
                    // as lying elsewhere.
                    let owned = named.iter().any(|(owner, p)| *owner == one.name && same(p, path));
                    let home = owned || !policies.load(path)?.elsewhere().contains(one.name.as_str());
                    Some(Place { path: path.clone(), home })
                }
                None => self.of_others(&one.name, &named, &mut policies)?,
            };
            let name = one.name.clone();
            targets.push(target(name, Source::Server(Box::new(one)), place, &mut policies)?);
        }
        Ok(targets)
    }

    /// The policy that another instance names and that speaks of this one.
    fn of_others(
        &self,
        name: &str,
        named: &[(String, PathBuf)],
        policies: &mut Policies,
    ) -> Result<Option<Place>, Failure> {
        if self.config.instance(name).is_none() {
            return Ok(None);
        }
        for (_, path) in named {
            let part = policies.load(path)?.for_instance(name, false);
            if !(part.services.is_empty() && part.roles.is_empty() && part.schemas.is_empty()) {
                return Ok(Some(Place { path: path.clone(), home: false }));
            }
        }
        Ok(None)
    }
}

/// Policies already read, by path: several instances often share one.
#[derive(Default)]
struct Policies(BTreeMap<PathBuf, Arc<Policy>>);

impl Policies {
    fn load(&mut self, path: &Path) -> Result<Arc<Policy>, Failure> {
        if let Some(policy) = self.0.get(path) {
            return Ok(Arc::clone(policy));
        }
        let policy = Arc::new(policy::file::load(path).map_err(|e| policy_failure(&e))?);
        self.0.insert(path.to_owned(), Arc::clone(&policy));
        Ok(policy)
    }
}

fn target(name: String, source: Source, place: Option<Place>, policies: &mut Policies) -> Result<Target, Failure> {
    let whole = place.as_ref().map(|p| policies.load(&p.path)).transpose()?;
    let elsewhere = whole.iter().flat_map(|whole| whole.elsewhere()).map(str::to_owned).collect();
    let policy = whole.zip(place.as_ref()).map(|(whole, p)| Arc::new(whole.for_instance(&name, p.home)));
    let lineages = Arc::new(policy.as_deref().map(run::lineages).unwrap_or_default());
    Ok(Target { name, source, place, policy, elsewhere, lineages, implied: None })
}

impl Place {
    /// The rules that were read from here already.
    #[must_use]
    pub fn rules_of(&self, policy: Option<Arc<Policy>>, lineages: Arc<Lineages>) -> Rules {
        let folders = policy.iter().flat_map(|p| &p.services).filter_map(|s| s.revisions.clone());
        let files = std::iter::once(self.path.clone()).chain(folders).collect();
        Rules { policy, lineages, files, problem: None }
    }

    /// Reads the policy and its revision scripts anew, for a console that is open. Blocks on files.
    #[must_use]
    pub fn rules(&self, instance: &str) -> Rules {
        match policy::file::load(&self.path) {
            Ok(whole) => {
                let policy = Arc::new(whole.for_instance(instance, self.home));
                let lineages = Arc::new(run::lineages(&policy));
                self.rules_of(Some(policy), lineages)
            }
            Err(error) => {
                Rules { files: vec![self.path.clone()], problem: Some(error.to_string()), ..Rules::default() }
            }
        }
    }
}

fn same(a: &Path, b: &Path) -> bool {
    a == b || std::fs::canonicalize(a).ok().is_some_and(|a| std::fs::canonicalize(b).ok() == Some(a))
}

/// A policy that cannot be used: every problem, with its line.
pub fn policy_failure(error: &PolicyError) -> Failure {
    match error {
        PolicyError::Read { path, cause } => {
            let message = format!("could not read the policy {}: {cause}", path.display());
            Failure::usage(message, "Give its path with --policy, or write one with `pgmoat policy derive`.")
        }
        PolicyError::Invalid { path, problems } => {
            let mut lines = problems.iter().flat_map(|p| {
                let what = format!("could not use the policy {}: line {}: {}", path.display(), p.line, p.what);
                [Some(what), Some(format!("  {}", p.help)).filter(|_| !p.help.is_empty())].into_iter().flatten()
            });
            Failure::usage(lines.next().unwrap_or_default(), "").with(lines)
        }
    }
}
