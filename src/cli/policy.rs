//! `policy check FILE` and `policy derive TARGET`.

use std::{fmt::Write as _, io::Write as _, path::Path};

use super::{
    exit_code::Exit,
    failure::{Failure, Outcome},
    gather,
    report::{self, Report},
    resolve::{self, Target},
};
use crate::{
    app::view::Tone,
    domain::effective::Matrix,
    policy,
    server::{ObjectsWanted, Want},
    text,
};

/// Validates a policy file: every problem, with its line, or what it declares.
///
/// # Errors
/// It cannot be read, or is not a policy.
pub fn check(report: &mut Report, file: &Path) -> Outcome {
    let policy = policy::file::load(file).map_err(|e| resolve::policy_failure(&e))?;
    let parts = [
        text::count(policy.services.len() as u64, "service", "services"),
        text::count(policy.roles.len() as u64, "role", "roles"),
        text::count(policy.schemas.len() as u64, "schema", "schemas"),
        text::count((policy.exceptions.len() + policy.accepted.len()) as u64, "exception", "exceptions"),
    ];
    report.say(&format!("{} is a valid policy: {}.", file.display(), text::list(&parts, parts.len())))?;
    for service in &policy.services {
        if let Some(folder) = service.revisions.as_ref().filter(|folder| !folder.is_dir()) {
            let words = format!(
                "The revision scripts of {} are not at {}: what its version table holds cannot be told from another's.",
                service.name,
                folder.display()
            );
            report.paragraph(0, "Warning: ", &words, Tone::Warning)?;
        }
    }
    let next = format!("`pgmoat check TARGET --policy {}` says what in a database differs from it.", file.display());
    report.paragraph(0, "", &next, Tone::Dim)?;
    report.flush()?;
    Ok(Exit::Done)
}

/// Writes a policy that declares a database as it is.
///
/// # Errors
/// No connection; the file exists already or cannot be written.
pub async fn derive(report: &mut Report, target: &Target, output: Option<&Path>) -> Outcome {
    if let Some(path) = output.filter(|p| p.exists()) {
        let cause = format!("could not write {}: it exists already", path.display());
        return Err(Failure::usage(cause, "Name another file with -o, or move that one away."));
    }
    let want = Want { shapes: true, versions: true, objects: ObjectsWanted::All, ..Want::default() };
    let (snapshot, _) = gather::take(target, &want, &gather::Asking::default()).await?;
    // Asking every check several times over is work for a thread of its own.
    let text = gather::on_a_thread(move || {
        let matrix = Matrix::new(&snapshot.catalog, &snapshot.server);
        escaped(&policy::derive::write(&policy::derive::derive(&snapshot, &matrix)))
    })
    .await?;
    match output {
        None => report.raw(&text)?,
        Some(path) => {
            let failed = |e| Failure::file("write", path, &e, "Name another file with -o.");
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
            file.write_all(text.as_bytes()).map_err(failed)?;
            report::note(&format!(
                "pgmoat: wrote {}, which declares {} as it is. Take out what should not be; then `pgmoat check TARGET \
                 --policy {}` finds it.",
                path.display(),
                target.name,
                path.display()
            ));
        }
    }
    report.flush()?;
    Ok(Exit::Done)
}

/// TOML whose meaning is unchanged, without characters that act on a terminal or hide: they are written as `\u....`.
/// (Outside strings TOML has none of them.)
fn escaped(toml: &str) -> String {
    let mut out = String::with_capacity(toml.len());
    for c in toml.chars() {
        if c == '\n' || !text::is_unsafe(c) {
            out.push(c);
        } else {
            let _ = write!(out, "\\U{:08X}", u32::from(c));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_keep_the_meaning() {
        let toml = "name = \"a\u{202e}b\u{e0041}\"\nx = \"\\\\\"\n";
        let safe = escaped(toml);
        assert!(safe.chars().all(|c| c == '\n' || !text::is_unsafe(c)));
        let (a, b): (toml::Table, toml::Table) = (toml::from_str(toml).unwrap(), toml::from_str(&safe).unwrap());
        assert_eq!(a, b);
    }
}
