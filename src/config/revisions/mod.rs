//! Reading folders of Alembic revision scripts into lineages. Input and output only: what the graph means is
//! `domain::alembic`, what a script's text says is `script`. Nothing is ever executed or imported.
//!
//! A folder may be the one with the scripts, the one above it (with `env.py` or `alembic.ini`), or an `alembic.ini`
//! itself. As Alembic does it, a folder that holds scripts is not searched further, unless its `alembic.ini` says
//! `recursive_version_locations`. Of folders for several database kinds only PostgreSQL's is read.

mod script;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::{
    domain::alembic::{Lineage, Lineages},
    text,
};

pub use script::{Parsed, named_text, parse};

/// A script larger than this is not read (the largest of a dozen real applications has 60 KiB).
const MAX_SCRIPT_BYTES: u64 = 1024 * 1024;
/// All scripts of one service together.
const MAX_TOTAL_BYTES: u64 = 64 * 1024 * 1024;
/// Scripts of one service.
const MAX_SCRIPTS: usize = 20_000;
/// How deep folders are searched below the one that was named.
const MAX_DEPTH: usize = 4;
/// Problems that are listed; the rest is counted.
const MAX_PROBLEMS: usize = 20;

/// Reads the scripts of several services, named with their folders. Never fails: what could not be read stands in each
/// lineage's `problems`.
#[must_use]
pub fn lineages<'a>(folders: impl IntoIterator<Item = (&'a str, &'a Path)>) -> Lineages {
    Lineages(folders.into_iter().map(|(service, path)| (service.to_owned(), read(service, path))).collect())
}

/// Reads the scripts of one service.
#[must_use]
pub fn read(service: &str, path: &Path) -> Lineage {
    read_many(service, &[path.to_owned()])
}

/// Reads the scripts of one service that keeps them in several folders.
#[must_use]
pub fn read_many(service: &str, paths: &[PathBuf]) -> Lineage {
    let mut reader = Reader {
        lineage: Lineage { service: service.to_owned(), ..Lineage::default() },
        files: BTreeMap::new(),
        seen: BTreeSet::new(),
        bytes: 0,
        unlisted: 0,
        full: false,
    };
    for path in paths {
        let before = reader.lineage.scripts.len();
        let problems = reader.lineage.problems.len();
        reader.place(path);
        if reader.lineage.scripts.len() == before && reader.lineage.problems.len() == problems {
            reader.problem(format!("there are no revision scripts in {}", path.display()));
        }
    }
    let mut lineage = reader.lineage;
    lineage.problems.extend(lineage.faults());
    let more = reader.unlisted + lineage.problems.len().saturating_sub(MAX_PROBLEMS);
    lineage.problems.truncate(MAX_PROBLEMS);
    if more > 0 {
        lineage.problems.push(format!("and {more} more problems like these"));
    }
    lineage
}

struct Reader {
    lineage: Lineage,
    /// Where each revision was found.
    files: BTreeMap<String, PathBuf>,
    /// Folders and files that were read, by their real path.
    seen: BTreeSet<PathBuf>,
    bytes: u64,
    unlisted: usize,
    full: bool,
}

impl Reader {
    fn problem(&mut self, sentence: String) {
        if self.lineage.problems.len() < 2 * MAX_PROBLEMS {
            self.lineage.problems.push(sentence);
        } else {
            self.unlisted += 1;
        }
    }

    /// A path that a person named: a folder, an `alembic.ini`, or a single script.
    fn place(&mut self, path: &Path) {
        let meta = match fs::metadata(path) {
            Ok(meta) => meta,
            Err(error) => return self.problem(could_not("read the revision scripts in", path, &error)),
        };
        if meta.is_dir() {
            let ini = path.join("alembic.ini");
            if ini.is_file() && !has_scripts(path) { self.ini(&ini) } else { self.folder(path, 0, false) }
        } else if path.extension().is_some_and(|e| e == "ini") {
            self.ini(path);
        } else {
            self.script(path);
        }
    }

    /// The folders that an `alembic.ini` names. A `script_location` inside a Python package cannot be found from here.
    fn ini(&mut self, path: &Path) {
        let text = match load(path) {
            Ok(bytes) => text::decode(&bytes),
            Err(error) => return self.problem(could_not("read", path, &error)),
        };
        let here = path.parent().unwrap_or(Path::new("."));
        let settings = ini_settings(&text);
        let get = |key: &str| settings.get(key).map(String::as_str).unwrap_or_default();
        let recursive =
            matches!(get("recursive_version_locations").to_ascii_lowercase().as_str(), "true" | "1" | "yes");
        let colons = matches!(get("version_path_separator"), ":" | "os") || matches!(get("path_separator"), ":" | "os");
        let locations = get("version_locations");
        let split = |c: char| c.is_whitespace() || matches!(c, ',' | ';') || (colons && c == ':');
        let mut named: Vec<String> = locations.split(split).filter(|p| !p.is_empty()).map(str::to_owned).collect();
        if named.is_empty() && !get("script_location").is_empty() {
            named.push(format!("{}/versions", get("script_location")));
        }
        if named.is_empty() {
            return self.folder(here, 0, recursive);
        }
        for name in named {
            let folder = here.join(name.replace("%(here)s", "."));
            if folder.is_dir() {
                self.folder(&folder, 0, recursive);
            } else {
                // a place inside a Python package, or relative to where the application is started
                let before = self.lineage.scripts.len();
                self.folder(here, 0, recursive);
                if self.lineage.scripts.len() == before {
                    self.problem(format!(
                        "{} names {name}, which is not a folder here: name the folder with the scripts instead",
                        path.display()
                    ));
                }
            }
        }
    }

    fn folder(&mut self, path: &Path, depth: usize, recursive: bool) {
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if self.full || !self.seen.insert(real) {
            return;
        }
        let (files, folders) = match entries(path) {
            Ok(found) => found,
            Err(error) => return self.problem(could_not("read the folder", path, &error)),
        };
        let before = self.lineage.scripts.len();
        for file in files.iter().filter(|f| is_script_name(f)) {
            self.script(file);
        }
        let found = self.lineage.scripts.len() > before;
        if found {
            self.environment(path);
        }
        if (found && !recursive) || depth >= MAX_DEPTH {
            return;
        }
        let name = |p: &PathBuf| p.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
        let versions: Vec<&PathBuf> = folders.iter().filter(|f| name(f) == "versions").collect();
        if !found && !versions.is_empty() {
            for folder in versions {
                self.folder(folder, depth + 1, recursive);
            }
            return;
        }
        let postgres = |p: &&PathBuf| matches!(name(p).as_str(), "postgresql" | "postgres" | "pg" | "psql");
        let chosen: Vec<&PathBuf> = if folders.iter().any(|f| postgres(&f)) {
            folders.iter().filter(postgres).collect()
        } else {
            folders.iter().filter(|f| !is_other_database(&name(f))).collect()
        };
        for folder in chosen {
            self.folder(folder, depth + 1, recursive);
        }
    }

    /// What the `env.py` beside a folder of scripts, or up to two above it, says of the version table.
    fn environment(&mut self, scripts: &Path) {
        let real = fs::canonicalize(scripts).unwrap_or_else(|_| scripts.to_owned());
        let Some(bytes) = real.ancestors().take(3).find_map(|dir| load(&dir.join("env.py")).ok()) else { return };
        let text = text::decode(&bytes);
        self.lineage.version_table = named_text(&text, "version_table");
        self.lineage.version_table_schema = named_text(&text, "version_table_schema");
    }

    fn script(&mut self, path: &Path) {
        if self.full {
            return;
        }
        if self.lineage.scripts.len() >= MAX_SCRIPTS || self.bytes >= MAX_TOTAL_BYTES {
            self.full = true;
            return self.problem(format!(
                "there are more than {MAX_SCRIPTS} scripts or {} MiB: the rest was not read",
                MAX_TOTAL_BYTES / 1024 / 1024
            ));
        }
        let bytes = match load(path) {
            Ok(bytes) => bytes,
            Err(error) => return self.problem(could_not("read the script", path, &error)),
        };
        self.bytes += bytes.len() as u64;
        let shown = path.display();
        match parse(&text::decode(&bytes)) {
            Parsed::NotAScript => {}
            Parsed::Unreadable(why) => self.problem(format!("could not understand {shown}: {why}")),
            Parsed::Script(script, doubts) => {
                for doubt in doubts {
                    self.problem(format!("{shown}: {doubt}"));
                }
                let revision = script.revision.clone();
                if let Some(first) = self.files.insert(revision.clone(), path.to_owned()) {
                    self.problem(format!("revision {revision} is defined twice, in {} and {shown}", first.display()));
                }
                self.lineage.scripts.insert(revision, script);
            }
        }
    }
}

fn could_not(what: &str, path: &Path, error: &io::Error) -> String {
    format!("could not {what} {}: {error}", path.display())
}

/// Reads a regular file up to the cap.
fn load(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_SCRIPT_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SCRIPT_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is larger than 1 MiB"));
    }
    Ok(bytes)
}

/// Files and folders of a folder, each sorted; hidden ones and `__pycache__` are left out.
fn entries(path: &Path) -> io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || name == "__pycache__" || name == "node_modules" {
            continue;
        }
        let path = entry.path();
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => folders.push(path),
            Ok(meta) if meta.is_file() => files.push(path),
            Ok(_) | Err(_) => {}
        }
    }
    files.sort();
    folders.sort();
    Ok((files, folders))
}

/// What Alembic takes for a script: any `.py` but `__init__.py`. `env.py` is none either.
fn is_script_name(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    path.extension().is_some_and(|e| e == "py") && name != "__init__.py" && name != "env.py"
}

fn has_scripts(path: &Path) -> bool {
    entries(path).is_ok_and(|(files, _)| {
        files
            .iter()
            .filter(|f| is_script_name(f))
            .any(|f| load(f).is_ok_and(|b| matches!(parse(&text::decode(&b)), Parsed::Script(..))))
    })
}

fn is_other_database(folder: &str) -> bool {
    matches!(folder, "sqlite" | "sqlite3" | "mysql" | "mariadb" | "oracle" | "mssql" | "sqlserver" | "test" | "tests")
}

/// `key = value` lines of an ini file, with continuation lines; of all sections the first occurrence counts.
fn ini_settings(text: &str) -> BTreeMap<String, String> {
    let mut settings: BTreeMap<String, String> = BTreeMap::new();
    let mut last: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';', '[']) {
            last = last.filter(|_| trimmed.starts_with(['#', ';']));
            continue;
        }
        if line.starts_with([' ', '\t'])
            && let Some(value) = last.as_ref().and_then(|key| settings.get_mut(key))
        {
            value.push('\n');
            value.push_str(trimmed);
            continue;
        }
        let Some((key, value)) = trimmed.split_once(['=', ':']) else { continue };
        let value = value.split(" #").next().unwrap_or_default().trim();
        let key = key.trim().to_ascii_lowercase();
        last = None;
        if !settings.contains_key(&key) {
            settings.insert(key.clone(), value.to_owned());
            last = Some(key);
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }
    fn names(lineage: &Lineage) -> Vec<&str> {
        lineage.scripts.keys().map(String::as_str).collect()
    }

    #[test]
    fn the_folder_the_one_above_and_the_ini_are_understood() {
        let dir = folder(&[
            ("alembic.ini", "[alembic]\nscript_location = migrations\n"),
            ("migrations/env.py", "revision = 'not this'"),
            ("migrations/versions/a.py", "revision = 'a'\ndown_revision = None\n"),
            ("migrations/versions/b.py", "revision = 'b'\ndown_revision = 'a'\n"),
            ("migrations/versions/__init__.py", ""),
            ("migrations/versions/old/z.py", "revision = 'z'\n"),
            ("migrations/versions/__pycache__/b.py", "revision = 'cached'\n"),
        ]);
        for place in ["", "migrations", "migrations/versions", "alembic.ini"] {
            let lineage = read("x", &dir.path().join(place));
            assert_eq!(names(&lineage), vec!["a", "b"], "{place}: {:?}", lineage.problems);
            assert_eq!(lineage.heads(), vec!["b"]);
            assert!(lineage.problems.is_empty(), "{:?}", lineage.problems);
        }
    }

    #[test]
    fn the_name_of_the_version_table_stands_in_the_environment() {
        let dir = folder(&[
            ("auth/env.py", "context.configure(version_table='version_auth', version_table_schema='auth')"),
            ("auth/versions/postgresql/a.py", "revision = 'a'"),
        ]);
        for place in ["", "auth", "auth/versions", "auth/versions/postgresql"] {
            let lineage = read("x", &dir.path().join(place));
            assert_eq!(lineage.version_table.as_deref(), Some("version_auth"), "{place}");
            assert_eq!(lineage.version_table_schema.as_deref(), Some("auth"), "{place}");
        }
    }

    #[test]
    fn of_several_dialects_only_postgresql_is_read() {
        let dir = folder(&[("versions/postgresql/a.py", "revision = 'a'"), ("versions/sqlite/b.py", "revision = 'b'")]);
        assert_eq!(names(&read("prefect", dir.path())), vec!["a"]);
    }

    #[test]
    fn version_locations_may_be_several_and_searched_deep() {
        let dir = folder(&[
            (
                "alembic.ini",
                "[alembic]\nscript_location = nowhere:here\nversion_locations = %(here)s/one\n    two # second\nrecursive_version_locations = true\n",
            ),
            ("one/a.py", "revision = 'a'"),
            ("one/deep/b.py", "revision = 'b'"),
            ("two/c.py", "revision = 'c'"),
        ]);
        let lineage = read("x", dir.path());
        assert_eq!(names(&lineage), vec!["a", "b", "c"], "{:?}", lineage.problems);
    }

    #[test]
    fn a_location_inside_a_package_is_looked_for_beside_the_ini() {
        let dir = folder(&[
            ("alembic.ini", "[alembic]\nscript_location = prefect:server:_migrations\n"),
            ("_migrations/versions/a.py", "revision = 'a'"),
        ]);
        assert_eq!(names(&read("x", dir.path())), vec!["a"]);
        std::fs::remove_dir_all(dir.path().join("_migrations")).unwrap();
        assert!(read("x", dir.path()).problems.join("").contains("not a folder here"));
    }

    #[test]
    fn trouble_is_said_in_words_and_does_not_hide_the_rest() {
        let dir = folder(&[
            ("a.py", "revision = 'a'\ndown_revision = 'gone'\n"),
            ("b.py", "revision = make()\ndown_revision = 'a'\n"),
            ("c.py", "revision = 'a'\n"),
        ]);
        fs::write(dir.path().join("d.py"), b"# \xe9t\xe9\nrevision = 'd'\ndown_revision = 'a'\n").unwrap();
        let big = File::create(dir.path().join("e.py")).unwrap();
        big.set_len(MAX_SCRIPT_BYTES + 1).unwrap();
        let lineage = read("x", dir.path());
        assert_eq!(names(&lineage), vec!["a", "d"]);
        let all = lineage.problems.join("\n");
        for part in ["b.py", "defined twice", "larger than 1 MiB"] {
            assert!(all.contains(part), "{part} in {all}");
        }
        let missing = read("x", &dir.path().join("none"));
        assert!(missing.problems.first().unwrap().starts_with("could not read the revision scripts in"));
        let empty = folder(&[("readme.md", "")]);
        assert!(read("x", empty.path()).problems.first().unwrap().starts_with("there are no revision scripts in"));
    }

    #[cfg(unix)]
    #[test]
    fn circular_links_end() {
        let dir = folder(&[("deep/a.py", "revision = 'a'")]);
        std::os::unix::fs::symlink(dir.path(), dir.path().join("deep/loop")).unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("again")).unwrap();
        assert_eq!(names(&read("x", dir.path())), vec!["a"]);
    }
}
