//! Where a new password comes from.

use std::io::BufRead as _;

use secrecy::SecretString;

use crate::{
    cli::{args::PasswordSource, failure::Failure, gather},
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
