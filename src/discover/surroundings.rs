//! What this machine says by itself: libpq's environment, the connection service file, sockets in the usual directories.
//! Connects to nothing.

use std::path::PathBuf;

use secrecy::zeroize::Zeroizing;

use super::{Found, Looked, Place, Problem, Secret, Source, Sure, dsn, fill::Values};
use crate::config::{
    Conninfo, Env,
    conninfo::{DEFAULT_PORT, Settings, service},
};

/// The process's variables, for Compose's interpolation.
#[must_use]
pub fn variables(env: &Env) -> Values {
    env.vars.iter().map(|(name, value)| (name.clone(), Zeroizing::new(value.clone()))).collect()
}

/// Variables that say where to connect.
const PLACES: [&str; 6] = ["PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE"];
/// Services of a service file that are listed.
const MOST: usize = 100;

/// libpq's environment, connection strings among the variables, and the service file's sections.
#[must_use]
pub fn found(env: &Env) -> (Vec<Found>, Vec<Problem>, Vec<Looked>) {
    let (mut out, mut problems, mut looked) = (Vec::new(), Vec::new(), Vec::new());
    let set: Vec<&str> = PLACES.into_iter().filter(|n| env.var(n).is_some()).collect();
    looked.push(Looked {
        what: "libpq's environment".to_owned(),
        result: if set.is_empty() { "nothing set".to_owned() } else { set.join(", ") },
    });
    if !set.is_empty() {
        match Conninfo::resolve(Settings::default(), env) {
            Ok(conninfo) => {
                let mut found = of_conninfo(&conninfo, Source::Environment);
                found.origins.push(format!("environment ({})", set.join(", ")));
                out.push(found);
            }
            Err(error) => problems.push(Problem { at: None, message: format!("environment: {}", error.message) }),
        }
    }
    for (name, value) in &env.vars {
        if !value.contains("://") {
            continue;
        }
        let Some(dsn) = dsn::read(value).filter(|d| d.host.is_some()) else { continue };
        let (host, port) = (dsn.host.unwrap_or_default(), dsn.port.unwrap_or(DEFAULT_PORT));
        let mut found = Found::new(Source::Environment, place(&host, port), Sure::Likely);
        found.origins.push(format!("environment ({name})"));
        "PostgreSQL".clone_into(&mut found.product);
        found.user = dsn.user;
        found.database = dsn.database;
        if dsn.password.is_some() {
            found.secret = Secret::Environment(name.clone());
        }
        found.password = dsn.password;
        out.push(found);
    }
    let names = service::names(env);
    looked.push(Looked {
        what: "service file".to_owned(),
        result: if names.is_empty() { "no sections".to_owned() } else { crate::text::list(&names, 8) },
    });
    for name in names.into_iter().take(MOST) {
        let mut settings = Settings::default();
        let read = settings.set("service", name.as_str()).and_then(|()| Conninfo::resolve(settings, env));
        match read {
            Ok(conninfo) => {
                let mut found = of_conninfo(&conninfo, Source::ServiceFile);
                found.origins.push(format!("service file, [{name}]"));
                found.libpq_service = Some(name);
                out.push(found);
            }
            Err(error) => problems.push(Problem { at: None, message: error.message }),
        }
    }
    (out, problems, looked)
}

fn place(host: &str, port: u16) -> Place {
    if host.starts_with('/') {
        Place::Socket { dir: PathBuf::from(host), port }
    } else {
        Place::Tcp { host: host.to_owned(), port }
    }
}

fn of_conninfo(conninfo: &Conninfo, source: Source) -> Found {
    let host = conninfo.hosts.first();
    let address = host.map(|h| h.hostaddr.map_or_else(|| h.host.clone(), |a| a.to_string())).unwrap_or_default();
    let mut found = Found::new(source, place(&address, host.map_or(DEFAULT_PORT, |h| h.port)), Sure::Likely);
    "PostgreSQL".clone_into(&mut found.product);
    found.user = Some(conninfo.user.clone());
    found.database = Some(conninfo.dbname.clone());
    if let Some(password) = &conninfo.password {
        let place = if source == Source::ServiceFile { "the service file" } else { "PGPASSWORD" };
        found.secret = Secret::Environment(place.to_owned());
        found.password = Some(password.clone());
    } else if conninfo.has_password() {
        found.secret = Secret::Pgpass;
    }
    if conninfo.hosts.len() > 1 {
        found.notes.push(format!("{} hosts; the first is shown", conninfo.hosts.len()));
    }
    found
}

/// The directories where sockets are looked for.
fn socket_dirs(env: &Env) -> Vec<PathBuf> {
    let own = env.var("PGHOST").filter(|h| h.starts_with('/')).map(PathBuf::from);
    let mut dirs: Vec<PathBuf> = own.into_iter().chain(env.socket_dirs.iter().cloned()).collect();
    let mut seen = Vec::new();
    dirs.retain(|dir| {
        let real = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.clone());
        let new = !seen.contains(&real);
        seen.push(real);
        new
    });
    dirs
}

/// As words.
#[must_use]
pub fn directories(env: &Env) -> String {
    let dirs: Vec<String> = socket_dirs(env).iter().map(|d| d.display().to_string()).collect();
    if dirs.is_empty() { "no directory".to_owned() } else { dirs.join(" and ") }
}

/// Sockets of servers in the usual directories.
#[must_use]
pub fn sockets(env: &Env) -> Vec<Found> {
    let mut out = Vec::new();
    for dir in socket_dirs(env) {
        let mut ports: Vec<u16> = std::fs::read_dir(&dir)
            .into_iter()
            .flatten()
            .flatten()
            .take(5_000)
            .filter_map(|entry| entry.file_name().to_str()?.strip_prefix(".s.PGSQL.")?.parse().ok())
            .collect();
        ports.sort_unstable();
        for port in ports.into_iter().take(50) {
            let path = dir.join(format!(".s.PGSQL.{port}"));
            let Some(owner) = owner(&path, env) else { continue };
            let mut found = Found::new(Source::Socket, Place::Socket { dir: dir.clone(), port }, Sure::Likely);
            "PostgreSQL".clone_into(&mut found.product);
            found.origins.push(path.display().to_string());
            found.notes.push(format!("the server runs as {owner}"));
            out.push(found);
        }
    }
    out
}

/// Who owns a socket; `None`: it is no socket.
#[cfg(unix)]
fn owner(path: &std::path::Path, env: &Env) -> Option<String> {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    let metadata = std::fs::symlink_metadata(path).ok().filter(|m| m.file_type().is_socket())?;
    let uid = metadata.uid().to_string();
    let named = env.passwd.lines().find(|line| line.split(':').nth(2) == Some(uid.as_str()));
    let name = named.and_then(|line| line.split(':').next()).map(str::to_owned);
    Some(name.unwrap_or_else(|| format!("user {uid}")))
}

#[cfg(not(unix))]
fn owner(_path: &std::path::Path, _env: &Env) -> Option<String> {
    None
}
