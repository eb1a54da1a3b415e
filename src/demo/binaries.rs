//! Finds the programs of a PostgreSQL server (`initdb`, `postgres`) on this machine. Looks only; fetching is
//! `obtain.rs`, running is `cluster.rs`.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::error::{DemoError, Kind};
use crate::config::{Env, paths};

/// Names one or several directories (separated as in `PATH`) with server programs; they come before installed ones.
pub const VARIABLE: &str = "PGMOAT_PG_BIN";

/// The oldest and the newest major version that the demo and the tests are written for.
pub const MAJORS: std::ops::RangeInclusive<u32> = 14..=18;

/// One set of server programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The directory with `initdb` and `postgres`, symbolic links resolved.
    pub dir: PathBuf,
    /// As the server says it: "18.4", "15.20", "19beta1".
    pub version: String,
    /// The number before the dot.
    pub major: u32,
    /// Where it was found.
    pub place: Place,
}

/// Where programs were found, in the order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Named on the command line.
    Given,
    /// Named by [`VARIABLE`].
    Variable,
    /// On `PATH`.
    Path,
    /// Named by `pg_config --bindir`.
    PgConfig,
    /// In a directory where packages put them.
    Installed,
    /// Fetched earlier into our cache.
    Cache,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Given => "--pg-bin",
            Self::Variable => VARIABLE,
            Self::Path => "PATH",
            Self::PgConfig => "pg_config",
            Self::Installed => "installed",
            Self::Cache => "cache",
        })
    }
}

impl Binaries {
    /// The path of one of the programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// Which server programs are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only from this directory (`--pg-bin`).
    pub dir: Option<PathBuf>,
    /// Only this major version; any of [`MAJORS`] when absent.
    pub major: Option<u32>,
}

/// The first programs that fit, in the order of [`Place`].
///
/// # Errors
/// `Setup` when a named directory holds none, or another version; `NoServer` when the machine has none.
pub fn find(wanted: &Wanted) -> Result<Binaries, DemoError> {
    if let Some(dir) = &wanted.dir {
        let what = format!("use the server programs in {}", dir.display());
        let found = examine(dir, Place::Given).map_err(|cause| {
            DemoError::new(Kind::Setup, &what, cause, "Name the directory that holds initdb and postgres.")
        })?;
        return match wanted.major {
            Some(major) if major != found.major => {
                let cause = format!("they are version {}, wanted is {major}", found.version);
                Err(DemoError::new(Kind::Setup, what, cause, "Name another directory."))
            }
            Some(_) | None => Ok(found),
        };
    }
    let fits = |found: &Binaries| wanted.major.map_or(MAJORS.contains(&found.major), |major| major == found.major);
    candidates().filter_map(|(dir, place)| examine(&dir, place).ok()).find(fits).ok_or_else(|| {
        let which = wanted.major.map_or_else(String::new, |major| format!(" {major}"));
        DemoError::new(
            Kind::NoServer,
            format!("find a PostgreSQL{which} server on this machine"),
            "there are no initdb and postgres where they are usually installed, nor in our cache",
            format!("Name their directory with --pg-bin or {VARIABLE}, or let us fetch one."),
        )
    })
}

/// Everything that is here, each directory once, in the order of preference.
pub fn found() -> Vec<Binaries> {
    let mut all: Vec<Binaries> = Vec::new();
    for (dir, place) in candidates() {
        if let Ok(binaries) = examine(&dir, place)
            && !all.iter().any(|known| known.dir == binaries.dir)
        {
            all.push(binaries);
        }
    }
    all
}

/// The directories under which fetched servers are kept, ours first. As root the server runs as another user, who may
/// not enter root's home: then they are kept in the system's cache.
pub fn caches() -> Vec<PathBuf> {
    let own = paths::cache_dir(&Env::from_process()).map(|dir| dir.join("servers"));
    let system = PathBuf::from("/var/cache/pgmoat/servers");
    if rustix::process::geteuid().is_root() && env::var_os("XDG_CACHE_HOME").is_none() {
        [Some(system), own].into_iter().flatten().collect()
    } else {
        [own, Some(system)].into_iter().flatten().collect()
    }
}

/// Directories that may hold the programs, in the order of [`Place`]; most do not exist.
fn candidates() -> impl Iterator<Item = (PathBuf, Place)> {
    let variable = env::var_os(VARIABLE).unwrap_or_default();
    let named: Vec<PathBuf> = env::split_paths(&variable).filter(|dir| !dir.as_os_str().is_empty()).collect();
    let path: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    named
        .into_iter()
        .map(|dir| (dir, Place::Variable))
        .chain(path.into_iter().map(|dir| (dir, Place::Path)))
        .chain(std::iter::once_with(pg_config).flatten().map(|dir| (dir, Place::PgConfig)))
        .chain(std::iter::once_with(installed).flatten().map(|dir| (dir, Place::Installed)))
        .chain(std::iter::once_with(cached).flatten().map(|dir| (dir, Place::Cache)))
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    output.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// Where packages put them: a directory whose entries are versions, a prefix before the version, the way below it.
const INSTALLED: &[(&str, &str, &str)] = &[
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// Newest version first.
fn installed() -> Vec<PathBuf> {
    let mut all: Vec<(u32, PathBuf)> = Vec::new();
    for (parent, prefix, below) in INSTALLED {
        all.extend(versions(Path::new(parent), prefix).into_iter().map(|(n, dir)| (n, dir.join(below))));
    }
    all.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    all.into_iter().map(|(_, dir)| dir).collect()
}

/// The `bin` directories below `<cache>/<major>`, newest first.
fn cached() -> Vec<PathBuf> {
    let mut all: Vec<(u32, PathBuf)> = Vec::new();
    for cache in caches() {
        for (number, dir) in versions(&cache, "") {
            all.extend(programs_below(&dir, 5).into_iter().map(|bin| (number, bin)));
        }
    }
    all.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    all.into_iter().map(|(_, dir)| dir).collect()
}

/// The entries of `parent` named `<prefix><major>`.
fn versions(parent: &Path, prefix: &str) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            Some((name.strip_prefix(prefix)?.parse().ok()?, entry.path()))
        })
        .collect()
}

/// Every directory below `dir`, at most `depth` levels down, that holds an `initdb`; builds nest it differently.
pub(super) fn programs_below(dir: &Path, depth: u32) -> Vec<PathBuf> {
    if dir.join("initdb").is_file() {
        return vec![dir.to_path_buf()];
    }
    if depth == 0 {
        return Vec::new();
    }
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut below: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect();
    below.sort();
    below.iter().flat_map(|dir| programs_below(dir, depth - 1)).collect()
}

/// Resolves links (Debian's `PATH` has links into the versioned directory) and asks the server for its version.
fn examine(dir: &Path, place: Place) -> Result<Binaries, String> {
    let initdb = dir.join("initdb");
    let real = fs::canonicalize(&initdb).map_err(|error| format!("{}: {error}", initdb.display()))?;
    let dir = real.parent().ok_or("it has no directory")?.to_path_buf();
    let server = dir.join("postgres");
    let output =
        Command::new(&server).arg("--version").output().map_err(|error| format!("{}: {error}", server.display()))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(format!("{} does not run: {why}", server.display()));
    }
    let (version, major) = parse_version(&said).ok_or_else(|| format!("{} says {said:?}", server.display()))?;
    Ok(Binaries { dir, version, major, place })
}

/// "postgres (PostgreSQL) 15.20 (Debian 15.20-1)" -> ("15.20", 15); "… 19beta1" -> ("19beta1", 19).
fn parse_version(said: &str) -> Option<(String, u32)> {
    let version = said.split("(PostgreSQL)").nth(1)?.split_whitespace().next()?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    Some((version.to_owned(), digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn fake(dir: &Path, version: &str) {
        fs::create_dir_all(dir).unwrap();
        for name in ["initdb", "postgres"] {
            let path = dir.join(name);
            fs::write(&path, format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    #[test]
    fn versions_as_distributions_write_them() {
        let parsed = |said| parse_version(said);
        assert_eq!(parsed("postgres (PostgreSQL) 15.20 (Debian 15.20-1)"), Some(("15.20".into(), 15)));
        assert_eq!(parsed("postgres (PostgreSQL) 18.4"), Some(("18.4".into(), 18)));
        assert_eq!(parsed("postgres (PostgreSQL) 19beta1"), Some(("19beta1".into(), 19)));
        assert_eq!(parsed("postgres"), None);
    }

    #[test]
    fn a_named_directory_is_the_only_one_asked() {
        let dir = tempfile::tempdir().unwrap();
        fake(dir.path(), "16.14");
        let wanted = |major| Wanted { dir: Some(dir.path().to_path_buf()), major };
        let found = find(&wanted(None)).unwrap();
        assert_eq!((found.major, found.version.as_str(), found.place), (16, "16.14", Place::Given));
        let error = find(&wanted(Some(17))).unwrap_err();
        assert_eq!(error.kind, Kind::Setup);
        assert!(error.cause.contains("16.14") && error.cause.contains("17"), "{error}");
        let empty = dir.path().join("none");
        assert!(find(&Wanted { dir: Some(empty), major: None }).unwrap_err().cause.contains("initdb"));
    }

    #[test]
    fn links_lead_to_the_versioned_directory() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("15/bin");
        fake(&real, "15.20");
        let links = dir.path().join("links");
        fs::create_dir(&links).unwrap();
        std::os::unix::fs::symlink(real.join("initdb"), links.join("initdb")).unwrap();
        assert_eq!(examine(&links, Place::Path).unwrap().dir, fs::canonicalize(&real).unwrap());
    }

    #[test]
    fn builds_are_found_however_they_nest() {
        let dir = tempfile::tempdir().unwrap();
        for way in ["native/bin", "pkg/inner/bin", "a/b/c/d/e/f/bin"] {
            fake(&dir.path().join(way), "18.4");
        }
        let found = programs_below(dir.path(), 4);
        assert_eq!(found, [dir.path().join("native/bin"), dir.path().join("pkg/inner/bin")]);
    }
}
