//! `snapshot`: everything read from one database as JSON, and the same file read back in place of a server.
//!
//! No password leaves in it: the text of a running statement is cut where one may follow.

use std::{fs, io::Write as _, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    exit_code::Exit,
    failure::{Failure, Outcome},
    report::{self, Report},
};
use crate::domain::{
    platform,
    snapshot::{Activity, Snapshot},
};

/// The form of the file; a greater one was made by a later release.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Out<'a> {
    schema_version: u32,
    /// Who wrote it.
    pgmoat: &'static str,
    #[serde(flatten)]
    snapshot: &'a Snapshot,
}

#[derive(Deserialize)]
struct Head {
    schema_version: u32,
}

/// Writes a snapshot to a file, or to standard output.
///
/// # Errors
/// The file or standard output cannot be written.
pub fn run(report: &mut Report, snapshot: Snapshot, output: Option<&Path>) -> Outcome {
    let snapshot = without_secrets(snapshot);
    let out = Out { schema_version: SCHEMA_VERSION, pgmoat: env!("CARGO_PKG_VERSION"), snapshot: &snapshot };
    match output {
        None => {
            report.json_part(&out, false)?;
            report.raw("\n")?;
            report.flush()?;
        }
        Some(path) => {
            let failed = |e: std::io::Error| Failure::file("write", path, &e, "Choose another place with -o.");
            let file = private_file(path).map_err(failed)?;
            let mut to = Report::to(file.try_clone().map_err(failed)?);
            to.json_part(&out, false).and_then(|()| to.raw("\n")).and_then(|()| to.flush()).map_err(|f| {
                Failure::usage(
                    format!("could not write {}: {}", path.display(), f.message),
                    "Choose another place with -o.",
                )
            })?;
            file.sync_all().map_err(failed)?;
            report::note(&format!(
                "pgmoat: wrote {}, a recording of {}. `pgmoat --snapshot {}` opens the console on it, and every reader takes \
                 it in place of a server.",
                path.display(),
                snapshot.instance,
                path.display()
            ));
        }
    }
    Ok(Exit::Done)
}

/// Reads a snapshot back.
///
/// # Errors
/// The file cannot be read, is no snapshot, or was written by a later release.
pub fn load(path: &Path) -> Result<Snapshot, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|e| Failure::file("read the snapshot", path, &e, "Make one with `pgmoat snapshot TARGET -o FILE`."))?;
    let wrong = |e: &dyn std::fmt::Display| {
        Failure::usage(
            format!("could not read the snapshot {}: {e}", path.display()),
            "Make one with `pgmoat snapshot TARGET -o FILE`.",
        )
    };
    let head: Head = serde_json::from_str(&text).map_err(|e| wrong(&e))?;
    if head.schema_version != SCHEMA_VERSION {
        return Err(wrong(&format!(
            "it has form {}, and this release reads form {SCHEMA_VERSION}",
            head.schema_version
        )));
    }
    let mut snapshot: Snapshot = serde_json::from_str(&text).map_err(|e| wrong(&e))?;
    // Look-ups rely on names in order, and a file may have been edited.
    let catalog = Arc::make_mut(&mut snapshot.catalog);
    catalog.roles.sort_by(|a, b| a.name.cmp(&b.name));
    if snapshot.server.platform.is_none() {
        // recorded by a release that did not ask
        let platform = platform::recognised(&catalog.roles, &[], None);
        platform::mark(&mut catalog.roles, platform);
        Arc::make_mut(&mut snapshot.server).platform = platform;
    }
    catalog.schemas.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(shapes) = &mut snapshot.shapes {
        Arc::make_mut(shapes).sort_column_grants();
    }
    Ok(snapshot)
}

/// A file that only its owner can read, new or emptied.
pub(super) fn private_file(path: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.flush()?;
    Ok(file)
}

/// Cuts statements where a password may follow.
fn without_secrets(mut snapshot: Snapshot) -> Snapshot {
    if let Some(activity) = &mut snapshot.activity {
        let activity: &mut Activity = Arc::make_mut(activity);
        for query in activity.sessions.iter_mut().filter_map(|s| s.query.as_mut()) {
            if let Some(cut) = secret(query) {
                query.truncate(cut);
                query.push_str(" … (cut: a password may follow)");
            }
        }
    }
    snapshot
}

/// Where a password may begin in a statement: after the word, or inside a URL with a login.
fn secret(query: &str) -> Option<usize> {
    let lower = query.to_ascii_lowercase();
    let word = lower.find("password").map(|i| i + "password".len());
    let url = lower.find("://").filter(|i| lower.get(*i..).is_some_and(|rest| rest.contains('@'))).map(|i| i + 3);
    word.into_iter().chain(url).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::report::tests::Kept,
        domain::{
            Oid,
            snapshot::{Catalog, Object, Objects, SchemaObjects, Server, Session, VersionTables},
        },
    };

    fn sample() -> Snapshot {
        let object = Object {
            oid: Oid(7),
            kind: crate::domain::snapshot::Kind::Table,
            name: "odd\u{1b}\u{202e}name".into(),
            owner: Oid(10),
            acl: crate::domain::Acl::default(),
            extension: false,
            rls: false,
            force_rls: false,
            owned_by: None,
            rows_estimate: None,
        };
        let objects = SchemaObjects { relations: vec![object], ..SchemaObjects::default() };
        let session = Session { query: Some("ALTER ROLE x PASSWORD 'geheim'".into()), ..Session::default() };
        Snapshot {
            instance: "local".into(),
            words: None,
            server: Arc::new(Server { version_num: 150_020, ..Server::default() }),
            catalog: Arc::new(Catalog::default()),
            shapes: None,
            objects: Objects([(Oid(42), Arc::new(objects))].into()),
            versions: Arc::new(VersionTables::default()),
            sizes: Arc::default(),
            activity: Some(Arc::new(Activity { sessions: vec![session], ..Activity::default() })),
            unavailable: Vec::new(),
        }
    }

    #[test]
    fn a_file_is_read_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.json");
        let mut report = Report::to(Kept::default());
        run(&mut report, sample(), Some(&path)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("{\"schema_version\":1,"));
        assert!(!text.contains("geheim") && !text.contains('\u{202e}'));
        let back = load(&path).unwrap();
        assert_eq!(back.objects.0[&Oid(42)].relations[0].name, "odd\u{1b}\u{202e}name");
        let again = serde_json::to_value(without_secrets(back)).unwrap();
        assert_eq!(again, serde_json::to_value(without_secrets(sample())).unwrap());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn what_is_no_snapshot_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.json");
        for (text, says) in [("{}", "schema_version"), ("{\"schema_version\":9}", "form 9"), ("x", "expected value")] {
            fs::write(&path, text).unwrap();
            let failure = load(&path).unwrap_err();
            assert!(failure.exit == Exit::Usage && failure.message.contains(says), "{failure}");
        }
        assert!(load(&dir.path().join("absent")).unwrap_err().message.contains("absent"));
    }

    #[test]
    fn passwords_are_cut_out_of_statements() {
        for query in ["create role x password 'a'", "x 'host=h password=a'", "connect 'postgres://u:a@h/d'"] {
            let cut = secret(query).unwrap();
            assert!(!query[..cut].contains("a'"), "{query}");
        }
        assert_eq!(secret("select 1 from t"), None);
    }
}
