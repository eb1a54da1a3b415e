//! What the people of a new service get, for command and console alike: a password that is on disk before it is set, a
//! login that proves it, the blocks to paste, the entry of the policy. The password is in no text that is shown.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::{
    app::act::Remains,
    config::{Conninfo, Target},
    domain::change::Change,
    plan::{Hazard, HazardKind, Plan, PolicyEntry, handover::Handover},
    policy::{
        Service,
        file::{self, PolicyError},
        instance::as_in_file,
        write,
    },
    server::{
        ServerError,
        apply::login::{self, Seen},
    },
};

/// A password that is on disk before it is set, so that it cannot be lost: in a file of its owner that disappears again
/// unless it is kept.
pub struct Noted {
    file: NamedTempFile,
    place: PathBuf,
}

/// Writes a URL down, below the state directory.
///
/// # Errors
/// In words, when it cannot be written: nothing was changed yet.
pub fn noted(state: &Path, instance: &str, role: &str, url: &str) -> Result<Noted, String> {
    let dir = state.join("handover");
    let failed = |e: std::io::Error| format!("could not write the password down in {}: {e}", dir.display());
    std::fs::create_dir_all(&dir).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    let place = place(state, instance, role);
    let mut file = NamedTempFile::new_in(&dir).map_err(failed)?;
    writeln!(file, "DATABASE_URL={url}").and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    Ok(Noted { file, place })
}

/// The file of a role's URL, below the state directory: another one for every role of every instance, also where a file
/// system does not tell upper from lower case, because no password may overwrite another role's.
fn place(state: &Path, instance: &str, role: &str) -> PathBuf {
    // the first hyphen ends the instance
    state.join("handover").join(format!("{}-{}.env", plain(instance, ""), plain(role, "-")))
}

/// Letters, digits, `_`, `.` and what is allowed besides; everything else as `%` and two hexadecimal digits for each byte.
/// What would be too long for a file's name ends in a hash.
fn plain(text: &str, allowed: &str) -> String {
    use std::fmt::Write as _;

    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.') || allowed.contains(c) {
            out.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    if out.len() > LONGEST {
        out.truncate(LONGEST - 20);
        out.push_str("%-");
        for byte in Sha256::digest(text.as_bytes()).iter().take(8) {
            let _ = write!(out, "{byte:02x}");
        }
    }
    out
}

/// Most characters of one half of a file's name.
const LONGEST: usize = 110;

impl Noted {
    /// Keeps it, under its own name where that can be had; gives its path.
    #[must_use]
    pub fn keep(self) -> PathBuf {
        match self.file.persist(&self.place) {
            Ok(_) => self.place,
            Err(error) => {
                let path = error.file.path().to_owned();
                // It stays under the name it has.
                let _ = error.file.keep();
                path
            }
        }
    }

    /// Keeps it beside the one that is there already, whose password may be the one that counts; gives its path.
    #[must_use]
    pub fn keep_aside(mut self) -> PathBuf {
        for n in 1..1000 {
            let place = self.place.with_extension(format!("{n}.env"));
            match self.file.persist_noclobber(&place) {
                Ok(_) => return place,
                Err(error) => self.file = error.file,
            }
        }
        self.keep()
    }
}

/// Where and as whom the service connects; without a password its place is left open.
#[must_use]
pub fn handed<'a>(
    target: &'a Target,
    role: &'a str,
    of: Option<&'a Service>,
    password: Option<&'a SecretString>,
) -> Handover<'a> {
    let host = target.conninfo.hosts.first();
    Handover {
        host: host.map_or("localhost", |h| h.host.as_str()),
        port: host.map_or(5432, |h| h.port),
        database: &target.conninfo.dbname,
        role,
        schema: of.and_then(|s| s.schemas.first()).map_or("", String::as_str),
        password: password.map(SecretString::expose_secret),
        version_table: of.and_then(|s| s.version_table.as_deref()),
        inside: None,
    }
}

/// A login as the role, with its new password, the way its service will do it.
///
/// # Errors
/// Whatever keeps the role out.
pub async fn tried(target: &Target, role: &str, password: &SecretString) -> Result<Seen, ServerError> {
    let conninfo = Conninfo { user: role.to_owned(), password: Some(password.clone()), ..target.conninfo.clone() };
    login::try_login(&conninfo).await
}

/// Where the login landed, in a sentence without its end.
#[must_use]
pub fn landed(seen: &Seen) -> String {
    match &seen.current_schema {
        Some(schema) => format!("what it creates goes to {schema}"),
        None => "no schema of its search path is one that it may use".to_owned(),
    }
}

/// Said when the server let the role in without asking.
pub const UNASKED: &str = "The server did not ask for the password: pg_hba.conf lets this connection in without one.";

/// The service could not be added to a policy file; the file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    #[error("could not {verb} {}: {cause}", path.display())]
    File { verb: &'static str, path: PathBuf, cause: std::io::Error },
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// The service as the policy's file will hold it.
#[must_use]
pub fn entry(path: &Path, service: &Service) -> PolicyEntry {
    let file = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let named = Service { access: as_in_file(&service.access), ..service.clone() };
    PolicyEntry { file, service: service.name.clone(), text: write::service(&named) }
}

/// What to know about a plan, with the sentence that its service will be added to a file.
#[must_use]
pub fn announced(mut notes: Vec<Hazard>, entry: Option<&PolicyEntry>) -> Vec<Hazard> {
    notes.extend(entry.map(|entry| {
        let file = entry.file.file_name().unwrap_or_default().to_string_lossy();
        Hazard { kind: HazardKind::Note, sentence: format!("Once it is committed, the service is added to {file}.") }
    }));
    notes
}

/// Appends the service to a policy file: comments and order of what is there stay.
///
/// # Errors
/// [`AddError`]
pub fn add(entry: &PolicyEntry) -> Result<(), AddError> {
    rewrite(&entry.file, |before| {
        let gap = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
        Some(format!("{before}{gap}{}", entry.text))
    })
    .map(|_| ())
}

/// Takes the service out of the file again; false, and nothing is written, where it does not stand there as it was added.
///
/// # Errors
/// [`AddError`]
pub fn remove(entry: &PolicyEntry) -> Result<bool, AddError> {
    rewrite(&entry.file, |before| {
        let (head, tail) = before.split_once(&entry.text)?;
        // what was written below belongs to it still, unless a section of its own begins there
        let next = tail.trim_start();
        let whole = head.is_empty() || head.ends_with('\n');
        let apart = next.is_empty() || next.starts_with(['[', '#']);
        (whole && apart && !tail.contains(&entry.text)).then(|| format!("{head}{tail}"))
    })
}

/// The file with another text, if that is a policy; false where there is none.
fn rewrite(path: &Path, text: impl FnOnce(&str) -> Option<String>) -> Result<bool, AddError> {
    let failed =
        |verb: &'static str| move |cause: std::io::Error| AddError::File { verb, path: path.to_owned(), cause };
    let before = std::fs::read_to_string(path).map_err(failed("read"))?;
    let Some(after) = text(&before) else { return Ok(false) };
    file::parse(&after, path)?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut file = NamedTempFile::new_in(folder).map_err(failed("write beside"))?;
    file.write_all(after.as_bytes()).map_err(failed("write"))?;
    if let Ok(of) = std::fs::metadata(path) {
        let _ = file.as_file().set_permissions(of.permissions());
    }
    file.as_file().sync_all().map_err(failed("write"))?;
    file.persist(path).map_err(|e| failed("replace")(e.error))?;
    Ok(true)
}

/// What files hold because of a plan that is taken back, or lack because of one that is done again.
#[must_use]
pub fn remains(done: &Plan, back: &Plan, redo: bool, state: &Path, instance: &str) -> Remains {
    let gone = back.steps.iter().filter_map(|step| match &step.change {
        Change::DropRole { name } => Some(name.clone()),
        _ => None,
    });
    let noted = gone.map(|role| (place(state, instance, &role), role)).filter(|(path, role)| is_of(path, role));
    let entry = done.entry.clone();
    Remains {
        again: entry.clone().filter(|_| redo),
        entry: entry.filter(|_| !redo),
        passwords: noted.map(|(path, role)| (role, path)).collect(),
    }
}

/// The file is one that [`noted`] wrote for the role.
fn is_of(path: &Path, role: &str) -> bool {
    let of = Handover { role, ..Handover::default() }.url();
    let begin = of.split(':').take(2).collect::<Vec<_>>().join(":");
    std::fs::read_to_string(path).is_ok_and(|text| {
        text.strip_prefix("DATABASE_URL=").is_some_and(|url| url.starts_with(&format!("{begin}:")))
            && text.lines().count() == 1
    })
}

/// What will become of these files, each in a sentence.
#[must_use]
pub fn promised(remains: &Remains) -> Vec<String> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let entry = remains.entry.iter().map(|e| {
        format!(
            "Once it is committed, service {} is taken out of {}, if it stands there as it was added.",
            e.service,
            name(&e.file)
        )
    });
    let again = remains
        .again
        .iter()
        .map(|e| format!("Once it is committed, service {} is added to {} again.", e.service, name(&e.file)));
    let passwords = remains.passwords.iter().map(|(role, path)| {
        format!(
            "Once it is committed, {} is deleted: it holds the password of {role}, which will be gone.",
            path.display()
        )
    });
    entry.chain(again).chain(passwords).collect()
}

/// What has to be known before passwords are set that an entry of the journal set already, a sentence for each role.
#[must_use]
pub fn renewed(entry: u64, plan: &Plan) -> Vec<Hazard> {
    let told = |role: &str| Hazard {
        kind: HazardKind::Note,
        sentence: format!(
            "The password that entry {entry} set is kept nowhere: {role} gets a new one, in a file that only you can read."
        ),
    };
    plan.passwords().map(told).collect()
}

/// Does what was promised; tells whether it went well, and what became of each.
#[must_use]
pub fn cleared(remains: &Remains) -> Vec<(bool, String)> {
    let mut told = Vec::new();
    if let Some(entry) = &remains.entry {
        let (file, service) = (entry.file.display(), &entry.service);
        told.push(match remove(entry) {
            Ok(true) => (true, format!("Service {service} was taken out of {file}.")),
            Ok(false) if declares(entry) => (
                false,
                format!("{file} still declares service {service}: it was altered since. Take it out by hand, else the next check misses the schema."),
            ),
            Ok(false) => (true, format!("{file} does not declare service {service} any more.")),
            Err(error) => {
                (false, format!("Service {service} could not be taken out of {file}; do it by hand: {error}"))
            }
        });
    }
    for entry in remains.again.iter().filter(|entry| !declares(entry)) {
        told.push(match add(entry) {
            Ok(()) => (true, format!("Added to {}.", entry.file.display())),
            Err(error) => (false, format!("The database is set up, but the policy is as it was: {error}")),
        });
    }
    for (role, path) in &remains.passwords {
        told.push(match std::fs::remove_file(path) {
            Ok(()) => (true, format!("The password of {role}, which is gone, was deleted: {}.", path.display())),
            Err(error) => {
                (false, format!("{} holds the password of {role}, which is gone; delete it: {error}", path.display()))
            }
        });
    }
    told
}

/// The file declares a service of that name.
fn declares(entry: &PolicyEntry) -> bool {
    let policy = std::fs::read_to_string(&entry.file).ok().and_then(|text| file::parse(&text, &entry.file).ok());
    policy.is_some_and(|p| p.services.iter().any(|s| s.name == entry.service))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::setup::{self, Wanted};

    fn shop() -> Service {
        let snapshot = crate::policy::checks::fixture::Fixture::new().case().snapshot;
        setup::service(&std::sync::Arc::new(snapshot), None, &Wanted::new("shop")).unwrap().service
    }

    #[test]
    fn every_role_of_every_instance_has_a_file_of_its_own() {
        let long = "l".repeat(200);
        let names =
            ["a", "a-b", "b", "b-c", "c", "x y", "x_y", "X_y", "x%20y", "", "-", "é", &long, &format!("{long}l")];
        let mut files = std::collections::BTreeSet::new();
        for instance in names {
            for role in names {
                let file = place(Path::new("/s"), instance, role);
                let name = file.file_name().unwrap().to_str().unwrap();
                assert!(name.len() < 250 && !name.contains(['/', ' ']), "{name}");
                assert!(files.insert(name.to_lowercase()), "{instance:?} {role:?}: {name} is somebody else's");
            }
        }
        assert!(place(Path::new("/s"), "local", "shop_app").ends_with("handover/local-shop_app.env"));
    }

    #[test]
    fn an_entry_goes_as_it_came_and_what_somebody_altered_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("team.toml");
        let before = "name = \"team\"\n# a remark\n";
        std::fs::write(&path, before).unwrap();
        let entry = entry(&path, &shop());
        add(&entry).unwrap();
        assert!(declares(&entry));
        let remains = Remains { entry: Some(entry.clone()), ..Remains::default() };
        let told = cleared(&remains);
        assert!(told[0].0 && told[0].1.contains("was taken out"), "{told:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
        // again, with sections of others below, which stay
        add(&entry).unwrap();
        let added = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{added}\n[[role]]\nname = \"ann\"\n")).unwrap();
        assert!(remove(&entry).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{before}\n[[role]]\nname = \"ann\"\n"));
        // with a line of its own since: nobody takes that away
        let altered = format!("{added}access = {{}}\n");
        std::fs::write(&path, &altered).unwrap();
        let told = cleared(&remains);
        assert!(!told[0].0 && told[0].1.contains("still declares service shop"), "{told:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), altered);
        std::fs::write(&path, before).unwrap();
        assert!(cleared(&remains)[0].1.contains("does not declare"), "somebody did it by hand");
    }

    #[test]
    fn only_a_file_with_that_roles_url_is_a_password_file_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let kept = noted(dir.path(), "it", "shop app", "postgresql://shop%20app:s@localhost:1/db").unwrap().keep();
        assert!(is_of(&kept, "shop app") && !is_of(&kept, "shop"));
        std::fs::write(&kept, "DATABASE_URL=postgresql://shop%20app:s@localhost:1/db\nMORE=1\n").unwrap();
        assert!(!is_of(&kept, "shop app"), "somebody made it theirs");
    }
}
