//! Connection service files: `pg_service.conf` as libpq reads it. A section of `key=value` lines under `[name]`.

use std::path::{Path, PathBuf};

use super::{files, parse::Settings, words};
use crate::config::{Env, Error};

/// The settings of service `name`: from `file` (or `PGSERVICEFILE`), else `~/.pg_service.conf`; where it is not there,
/// from the system's file. Errors: the service is in neither, a named file is missing, a line cannot be read.
pub fn settings(name: &str, file: Option<&str>, env: &Env) -> Result<Settings, Error> {
    let mut looked: Vec<PathBuf> = Vec::new();
    let own = match file.or_else(|| env.var("PGSERVICEFILE")) {
        Some(file) => {
            let file = PathBuf::from(file);
            if !file.exists() {
                return Err(Error::new(
                    format!("could not read service file {}: it does not exist", file.display()),
                    "PGSERVICEFILE or `servicefile` names it",
                ));
            }
            Some(file)
        }
        None => env.in_home(".pg_service.conf"),
    };
    let system = env.var("PGSYSCONFDIR").map(PathBuf::from).or_else(|| env.sysconf_dir.clone());
    for path in own.into_iter().chain(system.map(|dir| dir.join("pg_service.conf"))) {
        if path.exists() {
            let text = files::read_text(&path).map_err(|why| unreadable(&path, &why))?;
            if let Some(found) = section(&text, name, &path)? {
                return Ok(found);
            }
        }
        looked.push(path);
    }
    let places: Vec<String> = looked.iter().map(|p| p.display().to_string()).collect();
    Err(Error::new(
        format!("could not find connection service `{name}`"),
        if places.is_empty() {
            "there is no service file: set PGSERVICEFILE, or create ~/.pg_service.conf".to_owned()
        } else {
            format!("looked for [{name}] in {}", places.join(" and "))
        },
    ))
}

/// The names of all sections of the service files, each once, in order. For discovery: unreadable files have none.
#[must_use]
pub fn names(env: &Env) -> Vec<String> {
    let own = env.var("PGSERVICEFILE").map(PathBuf::from).or_else(|| env.in_home(".pg_service.conf"));
    let system = env.var("PGSYSCONFDIR").map(PathBuf::from).or_else(|| env.sysconf_dir.clone());
    let mut found: Vec<String> = Vec::new();
    for path in own.into_iter().chain(system.map(|dir| dir.join("pg_service.conf"))) {
        for line in files::read_text(&path).unwrap_or_default().lines() {
            let name = line.trim().strip_prefix('[').and_then(|l| l.strip_suffix(']'));
            if let Some(name) = name.filter(|n| !n.is_empty() && !found.iter().any(|f| f == n)) {
                found.push(name.to_owned());
            }
        }
    }
    found
}

/// The first section called `name`. Within it the first value of a word wins, as in libpq.
fn section(text: &str, name: &str, path: &Path) -> Result<Option<Settings>, Error> {
    let mut found: Option<Settings> = None;
    for (i, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        let wrong = |why: &str, remedy: &str| {
            Error::new(format!("could not read service file {}: line {}: {why}", path.display(), i + 1), remedy)
        };
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(head) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if head.strip_suffix(']') == Some(name) {
                found = Some(Settings::default());
            }
            continue;
        }
        let Some(settings) = found.as_mut() else { continue };
        if line.starts_with("ldap") {
            return Err(wrong("look-up by LDAP is not supported", "write the connection's words in the section"));
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(wrong("it has no `=`", "write word=value"));
        };
        if key.ends_with(char::is_whitespace) {
            return Err(wrong("there is a blank before the `=`", "write word=value without blanks, as libpq wants it"));
        }
        if matches!(key, "service" | "servicefile") {
            return Err(wrong("a service cannot name another service", "copy that service's lines here"));
        }
        if words::word(key).is_none() {
            return Err(wrong("unknown word", "the words are libpq's: host, port, dbname, user, sslmode and so on"));
        }
        if settings.get(key).is_none() {
            settings.set(key, value)?;
        }
    }
    Ok(found)
}

fn unreadable(path: &Path, why: &str) -> Error {
    Error::new(format!("could not read service file {}: {why}", path.display()), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Settings>, Error> {
        section(text, "prod", Path::new("/x/pg_service.conf"))
    }

    #[test]
    fn the_first_section_and_the_first_value_win() {
        let text = "\u{feff}# c\n[other]\nnonsense\n[prod]\nhost=h\n host=i \nuser= u\n[prod]\nport=1\n";
        let found = read(text).unwrap().unwrap();
        assert_eq!(found.get("host"), Some("h"));
        assert_eq!(found.get("user"), Some(" u"));
        assert_eq!(found.get("port"), None);
        assert!(read("[production]\nhost=h\n").unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_line() {
        for (line, why) in [
            ("host = h", "blank before"),
            ("service=other", "another service"),
            ("ldap://h/dc=x", "LDAP"),
            ("hots=h", "unknown word"),
            ("host", "no `=`"),
        ] {
            let error = read(&format!("[prod]\n\n{line}\n")).err().unwrap();
            assert!(error.message.contains("line 3") && error.message.contains(why), "{line}: {error}");
        }
    }
}
