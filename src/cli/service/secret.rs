//! Where a new password comes from, and the file it is kept in: readable by its owner only.

use std::{
    io::{BufRead as _, Write as _},
    path::PathBuf,
};

use secrecy::SecretString;

use crate::{
    cli::{args::PasswordSource, failure::Failure, gather, snapshot::private_file},
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

/// Writes a URL to a new file below the state directory and gives its path.
///
/// # Errors
/// There is no such place, or it cannot be written.
pub fn written(env: &Env, instance: &str, role: &str, url: &str) -> Result<PathBuf, Failure> {
    let remedy = "The change is made; set another password with `pgmoat set-password`.";
    let Some(dir) = paths::state_dir(env) else {
        return Err(Failure::refused("could not find a place for the password: there is no home directory", remedy));
    };
    let dir = dir.join("handover");
    let failed = |e: std::io::Error, path: &std::path::Path| Failure::file("write", path, &e, remedy);
    std::fs::create_dir_all(&dir).map_err(|e| failed(e, &dir))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let _ = std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700));
    }
    let plain = |text: &str| -> String {
        text.chars()
            .map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' })
            .take(80)
            .collect()
    };
    let path = dir.join(format!("{}-{}.env", plain(instance), plain(role)));
    let mut file = private_file(&path).map_err(|e| failed(e, &path))?;
    writeln!(file, "DATABASE_URL={url}").and_then(|()| file.sync_all()).map_err(|e| failed(e, &path))?;
    Ok(path)
}
