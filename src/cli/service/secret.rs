//! Where a new password comes from, and the file it is kept in: readable by its owner only.

use std::{
    io::{BufRead as _, Write as _},
    path::PathBuf,
};

use secrecy::SecretString;
use tempfile::NamedTempFile;

use crate::{
    cli::{args::PasswordSource, failure::Failure, gather},
    config::{env::Env, paths},
    server::apply::password,
};

/// The password that was asked for: the first line of standard input, or one made here.
///
/// # Errors
/// Standard input holds none, or one that no server takes.
pub async fn obtained(source: &PasswordSource) -> Result<SecretString, Failure> {
    if !source.password_stdin {
        return Ok(password::generate());
    }
    let line = gather::on_a_thread(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    })
    .await??;
    let line = line.trim_end_matches(['\r', '\n']).to_owned();
    let secret = SecretString::from(line);
    password::verifier(&secret).map_err(|why| {
        Failure::usage(format!("could not take the password from standard input: {why}"), "Write it as the first line.")
    })?;
    Ok(secret)
}

/// A password that is on disk before it is set, so that it cannot be lost: in a file of its owner that disappears again
/// unless it is kept.
pub struct Noted {
    file: NamedTempFile,
    place: PathBuf,
}

/// Writes a URL down, below the state directory.
///
/// # Errors
/// There is no such place, or it cannot be written: nothing was changed yet.
pub fn noted(env: &Env, instance: &str, role: &str, url: &str) -> Result<Noted, Failure> {
    let remedy = "Nothing was changed. Set XDG_STATE_HOME to a directory that can be written.";
    let Some(dir) = paths::state_dir(env) else {
        return Err(Failure::refused("could not find a place for the password: there is no home directory", remedy));
    };
    let dir = dir.join("handover");
    let failed = |e: std::io::Error| {
        Failure::refused(format!("could not write the password down in {}: {e}", dir.display()), remedy)
    };
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
