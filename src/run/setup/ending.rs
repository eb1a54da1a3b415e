//! The end of a set-up: the plan applied with passwords that are on disk before, a login for every role, the files
//! shown and written, what each service's people need.

use std::{
    collections::{BTreeMap, HashMap},
    io::Write as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;

use super::{Kind, Trouble};
use crate::{
    audit::Journal,
    config::{
        Config, Conninfo, Env, Target,
        conninfo::{
            Settings,
            pgpass::{self, Pgpass},
        },
        entry::Entry,
    },
    plan::{Approved, handover::Handover},
    policy::{Policy, Service, file as policy_file, write},
    run::{
        act::{Acted, Order, act},
        handover,
    },
    server::{
        ServerError,
        apply::{ApplyOptions, Outcome, Progress, password},
        connect::ConnectErrorKind,
    },
};

// ── applying ───────────────────────────────────────────────────────────────────────────────────────────────────────

/// What became of a plan.
#[derive(Debug)]
pub struct Applied {
    pub acted: Acted,
    /// Roles that got a password, or may have got one when nobody knows the outcome.
    pub passwords: Vec<Fresh>,
}

/// A password that was made: the file of its owner alone that it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fresh {
    pub role: String,
    pub file: PathBuf,
}

/// Applies a confirmed plan, or rehearses it. Passwords are made here and written down below `state` first.
///
/// # Errors
/// A password cannot be written down: nothing was begun. Everything else is in [`Applied`].
pub async fn apply(
    target: &Target,
    state: &Path,
    plan: Approved,
    rehearse: bool,
    stop: watch::Receiver<bool>,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<Applied, Trouble> {
    let mut made: Vec<(String, SecretString, Option<handover::Noted>)> = Vec::new();
    for role in plan.plan().passwords() {
        let secret = password::generate();
        let url = handover::handed(target, role, None, Some(&secret)).url();
        let noted = if rehearse { None } else { Some(handover::noted(state, &target.name, role, &url)) };
        let noted = noted.transpose().map_err(|why| {
            let remedy = "Nothing was changed. Set XDG_STATE_HOME to a directory that can be written.";
            Trouble::new(Kind::Refused, why, remedy)
        })?;
        made.push((role.to_owned(), secret, noted));
    }
    let options = ApplyOptions { rehearse, stop: Some(stop), ..ApplyOptions::default() };
    let order = Order { plan, link: None, options };
    let secrets: HashMap<String, SecretString> = made.iter().map(|(r, s, _)| (r.clone(), s.clone())).collect();
    let mut hand = |role: &str| secrets.get(role).cloned();
    let acted = Box::pin(act(target, &Journal::in_dir(state), order, &mut hand, tell)).await;
    let passwords = match &acted.outcome {
        Outcome::Committed(_) => made
            .into_iter()
            .filter_map(|(role, _, noted)| noted.map(|noted| Fresh { role, file: noted.keep() }))
            .collect(),
        // It may be set, or the one before it may count still.
        Outcome::Unknown { .. } => made
            .into_iter()
            .filter_map(|(role, _, noted)| noted.map(|noted| Fresh { role, file: noted.keep_aside() }))
            .collect(),
        Outcome::RehearsalProven(_) | Outcome::NothingChanged(_) => Vec::new(),
    };
    Ok(Applied { acted, passwords })
}

// ── logins ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Where a password for a role can be had.
#[derive(Default)]
pub struct Tries {
    /// Below it stand the hand-over files.
    pub state: Option<PathBuf>,
    /// Told by applications beside the database, by role.
    pub known: BTreeMap<String, SecretString>,
}

/// A login as a service's role, the way the service will do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginTest {
    pub role: String,
    /// The services that log in as it.
    pub services: Vec<String>,
    pub login: Login,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// It is in.
    In {
        /// Where what it creates goes to, a sentence without its end.
        lands: String,
        /// False: the server let it in without a password.
        asked: bool,
        /// The file that the password was taken from.
        file: Option<PathBuf>,
    },
    /// The server keeps it out.
    Out(String),
    /// It was not tried.
    Untried(String),
}

/// Tries a login as every role that these declare: passwords from the hand-over files (also those of an earlier run),
/// from what applications say, from `~/.pgpass`.
pub async fn login_tests(target: &Target, policy: &Policy, tries: &Tries, env: &Env) -> Vec<LoginTest> {
    let mut roles: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for service in policy.services.iter().filter(|s| s.login != Some(false) && s.instance.is_none()) {
        roles.entry(&service.role).or_default().push(service.name.clone());
    }
    let mut tests = Vec::new();
    for (role, services) in roles {
        tests.push(LoginTest { role: role.to_owned(), services, login: login(target, role, tries, env).await });
    }
    tests
}

async fn login(target: &Target, role: &str, tries: &Tries, env: &Env) -> Login {
    let mut passwords: Vec<(Option<SecretString>, Option<PathBuf>)> = Vec::new();
    if let Some(state) = &tries.state {
        passwords.extend(written(state, target, role).into_iter().map(|(file, secret)| (Some(secret), Some(file))));
    }
    passwords.extend(tries.known.get(role).map(|secret| (Some(secret.clone()), None)));
    passwords.extend(from_pgpass(target, role, env).map(|secret| (Some(secret), None)));
    passwords.push((None, None));
    let mut out = None;
    for (secret, file) in passwords {
        let mut conninfo = Conninfo { user: role.to_owned(), password: secret.clone(), ..target.conninfo.clone() };
        conninfo.hosts.iter_mut().for_each(|host| host.password = None);
        match crate::server::apply::login::try_login(&conninfo).await {
            Ok(seen) => {
                return Login::In { lands: handover::landed(&seen), asked: seen.password_was_asked, file };
            }
            Err(ServerError::Connect(e)) if secret.is_none() && e.kind == ConnectErrorKind::PasswordNeeded => {
                out.get_or_insert(Login::Untried(
                    "the server wants a password, and none is at hand (~/.pgpass)".to_owned(),
                ));
            }
            Err(error) => {
                out.get_or_insert(Login::Out(error.to_string()));
            }
        }
    }
    out.unwrap_or_else(|| Login::Untried("nothing was tried".to_owned()))
}

fn from_pgpass(target: &Target, role: &str, env: &Env) -> Option<SecretString> {
    let file = Pgpass::read(&pgpass::path(None, env)?);
    let host = target.conninfo.hosts.first()?;
    let socket = if host.is_socket() { "localhost" } else { host.host.as_str() };
    file.password(&[host.host.as_str(), socket], host.port, &target.conninfo.dbname, role)
}

/// The line of `~/.pgpass` that lets a connection in without asking, `PASSWORD` in the password's place.
#[must_use]
pub fn pgpass_line(conninfo: &Conninfo) -> Option<String> {
    Some(format!("{}:PASSWORD", pgpass_place(conninfo)?))
}

fn pgpass_place(conninfo: &Conninfo) -> Option<String> {
    let host = conninfo.hosts.first()?;
    let name = if host.is_socket() { "localhost" } else { host.host.as_str() };
    let plain = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:");
    Some(format!("{}:{}:{}:{}", plain(name), host.port, plain(&conninfo.dbname), plain(&conninfo.user)))
}

/// Adds the line with the password to the password file, which only its owner may read from then on.
///
/// # Errors
/// There is no password, no home, or the file cannot be written.
pub fn remember_password(conninfo: &Conninfo, env: &Env) -> Result<PathBuf, Trouble> {
    let wrong = |message: String| Trouble::new(Kind::Wrong, message, "Add the line by hand.");
    let path = pgpass::path(None, env).ok_or_else(|| wrong("could not find a home directory".to_owned()))?;
    // one that is a link stays one
    let path = std::fs::canonicalize(&path).unwrap_or(path);
    let secret = conninfo.hosts.first().and_then(|host| conninfo.password_for(host));
    let (Some(place), Some(secret)) = (pgpass_place(conninfo), secret) else {
        return Err(wrong("could not write the password down: none was given".to_owned()));
    };
    let failed = |cause: std::io::Error| wrong(format!("could not write {}: {cause}", path.display()));
    let before = existing(&path)?.unwrap_or_default();
    let end = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    let secret = secret.expose_secret().replace('\\', "\\\\").replace(':', "\\:");
    if secret.contains(['\n', '\r', '\0']) {
        return Err(wrong("could not write the password down: a line cannot hold it".to_owned()));
    }
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    // Made readable by its owner alone. The first line that fits counts: it goes before the others.
    let mut new = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    new.write_all(format!("{place}:{secret}\n{before}{end}").as_bytes()).map_err(failed)?;
    new.as_file().sync_all().map_err(failed)?;
    new.persist(&path).map_err(|e| failed(e.error))?;
    Ok(path)
}

/// Passwords of a role in the hand-over files, newest first; also one that a cut left under a passing name.
fn written(state: &Path, target: &Target, role: &str) -> Vec<(PathBuf, SecretString)> {
    let files = std::fs::read_dir(state.join("handover")).into_iter().flatten().flatten();
    let mut found: Vec<(SystemTime, PathBuf, SecretString)> = files
        .filter_map(|entry| {
            let text = std::fs::read_to_string(entry.path()).ok().filter(|t| t.len() < 1 << 16)?;
            let settings = Settings::parse(text.trim().strip_prefix("DATABASE_URL=")?).ok()?;
            let of = |word: &str| settings.get(word).unwrap_or_default();
            let port = target.conninfo.hosts.first().map(|h| h.port.to_string()).unwrap_or_default();
            let fits = of("user") == role && of("dbname") == target.conninfo.dbname && of("port") == port;
            let secret = settings.get("password").filter(|_| fits)?.to_owned();
            Some((entry.metadata().ok()?.modified().ok()?, entry.path(), SecretString::from(secret)))
        })
        .collect();
    found.sort_by_key(|(time, ..)| std::cmp::Reverse(*time));
    found.dedup_by(|a, b| a.2.expose_secret() == b.2.expose_secret());
    found.into_iter().map(|(_, path, secret)| (path, secret)).collect()
}

/// What the people of one service need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub service: String,
    pub role: String,
    /// Where its URL stands with the password; `None`: its role had one before.
    pub file: Option<PathBuf>,
    /// To paste; the password's place is left open.
    pub text: String,
}

/// The blocks of every service. `inside`: the server as a service of Compose, and its port there.
#[must_use]
pub fn hand_over(target: &Target, services: &[Service], fresh: &[Fresh], inside: Option<(&str, u16)>) -> Vec<Block> {
    let block = |service: &Service| Block {
        service: service.name.clone(),
        role: service.role.clone(),
        file: fresh.iter().find(|f| f.role == service.role).map(|f| f.file.clone()),
        text: Handover { inside, ..handover::handed(target, &service.role, Some(service), None) }.text(),
    };
    services.iter().map(block).collect()
}

/// The policy's text for a file: revision scripts below its folder are named from there.
#[must_use]
pub fn policy_text(policy: &Policy, file: &Path) -> String {
    let mut policy = policy.clone();
    for revisions in policy.services.iter_mut().filter_map(|s| s.revisions.as_mut()) {
        if let Some(near) = file.parent().and_then(|folder| revisions.strip_prefix(folder).ok()) {
            *revisions = near.to_owned();
        }
    }
    write::text(&policy)
}

// ── files ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A file as it will be; shown before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writing {
    pub path: PathBuf,
    pub text: String,
    /// As it is; `None`: there is none.
    pub before: Option<String>,
    /// Readable by its owner alone.
    pub private: bool,
}

impl Writing {
    /// There is something to write.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.before.as_deref() != Some(self.text.as_str())
    }
}

/// The policy's file and the configuration's, as they will be. A policy that means the same is left as it is.
///
/// # Errors
/// A file cannot be read or used; another policy stands there and `replace` does not say that it may go.
pub fn files(
    config: &Path,
    entry: &Entry,
    policy_path: &Path,
    policy_text: &str,
    replace: bool,
) -> Result<Vec<Writing>, Trouble> {
    let policy_before = existing(policy_path)?;
    let wrong = |message: String, remedy: &str| Trouble::new(Kind::Wrong, message, remedy);
    let wanted = policy_file::parse(policy_text, policy_path).map_err(|e| wrong(e.to_string(), ""))?;
    let same = policy_before.as_deref().and_then(|text| policy_file::parse(text, policy_path).ok()) == Some(wanted);
    if policy_before.is_some() && !same && !replace {
        let message = format!("could not write the policy {}: another one stands there", policy_path.display());
        return Err(wrong(message, "Name another place with --policy FILE, or say --replace."));
    }
    let policy_text = if same { policy_before.clone().unwrap_or_default() } else { policy_text.to_owned() };
    let policy = Writing { path: policy_path.to_owned(), text: policy_text, before: policy_before, private: false };
    let before = existing(config)?;
    let near = |path: &Path| {
        let folder = config.parent().unwrap_or_else(|| Path::new(""));
        path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned()
    };
    // What it says already may be written otherwise: relative, or with a tilde.
    let known = before.as_deref().map(|text| Config::parse(text, config)).transpose();
    let known = known.map_err(|e| wrong(e.message, &e.remedy))?;
    let said = known.as_ref().and_then(|c| Some((c, c.instance(&entry.name)?.policy.clone()?)));
    let said = said.filter(|(c, said)| c.resolve_path(said, &Env::default()) == policy_path).map(|(_, said)| said);
    let entry = Entry { policy: Some(said.unwrap_or_else(|| near(policy_path))), ..entry.clone() };
    let text = entry.put(before.as_deref(), config).map_err(|e| wrong(e.message, &e.remedy))?;
    Ok(vec![policy, Writing { path: config.to_owned(), text, before, private: true }])
}

fn existing(path: &Path) -> Result<Option<String>, Trouble> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let message = format!("could not read {}: {error}", path.display());
            Err(Trouble::new(Kind::Wrong, message, "Name another file."))
        }
    }
}

/// Writes what changes, each file all or nothing; a policy that goes is kept beside the new one as `NAME.before`.
///
/// # Errors
/// A file cannot be written; the database is set up all the same.
pub fn write(files: &[Writing]) -> Result<(), Trouble> {
    for file in files.iter().filter(|f| f.changes()) {
        let failed = |cause: std::io::Error| {
            let message = format!("could not write {}: {cause}", file.path.display());
            Trouble::new(Kind::Wrong, message, "The database is set up; run it again with another place for the file.")
        };
        let folder = file.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        std::fs::create_dir_all(folder).map_err(failed)?;
        if let Some(before) = file.before.as_ref().filter(|_| !file.private) {
            let mut name = file.path.clone().into_os_string();
            name.push(".before");
            std::fs::write(name, before).map_err(failed)?;
        }
        // Made readable by its owner alone; a policy is for the team.
        let mut new = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        new.write_all(file.text.as_bytes()).map_err(failed)?;
        if let Ok(of) = std::fs::metadata(&file.path) {
            let _ = new.as_file().set_permissions(of.permissions());
        } else if !file.private {
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                let _ = new.as_file().set_permissions(std::fs::Permissions::from_mode(0o644));
            }
        }
        new.as_file().sync_all().map_err(failed)?;
        new.persist(&file.path).map_err(|e| failed(e.error))?;
    }
    Ok(())
}
