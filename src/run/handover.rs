//! What the people of a new service get, for command and console alike: a password that is on disk before it is set, a
//! login that proves it, the blocks to paste, the entry of the policy. The password is in no text that is shown.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};
use tempfile::NamedTempFile;

use crate::{
    config::{Conninfo, Target},
    plan::handover::Handover,
    policy::{
        Service,
        file::{self, PolicyError},
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
    let plain = |text: &str| -> String {
        let allowed = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
        text.chars().map(allowed).take(80).collect()
    };
    let place = dir.join(format!("{}-{}.env", plain(instance), plain(role)));
    let mut file = NamedTempFile::new_in(&dir).map_err(failed)?;
    writeln!(file, "DATABASE_URL={url}").and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    Ok(Noted { file, place })
}

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

/// Appends the service to a policy file: comments and order of what is there stay.
///
/// # Errors
/// [`AddError`]
pub fn add(path: &Path, service: &Service) -> Result<(), AddError> {
    let failed =
        |verb: &'static str| move |cause: std::io::Error| AddError::File { verb, path: path.to_owned(), cause };
    let before = std::fs::read_to_string(path).map_err(failed("read"))?;
    let gap = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    let after = format!("{before}{gap}{}", write::service(service));
    file::parse(&after, path)?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut file = NamedTempFile::new_in(folder).map_err(failed("write beside"))?;
    file.write_all(after.as_bytes()).map_err(failed("write"))?;
    if let Ok(of) = std::fs::metadata(path) {
        let _ = file.as_file().set_permissions(of.permissions());
    }
    file.as_file().sync_all().map_err(failed("write"))?;
    file.persist(path).map_err(|e| failed("replace")(e.error))?;
    Ok(())
}
