//! `~/.pgpass`: passwords by host, port, database and user, with libpq's permission rule. The file is only ever read.

use secrecy::SecretString;

use super::files::{self, Refused};
use crate::config::Env;
use std::path::PathBuf;

/// The place of the password file: the connection's `passfile`, `PGPASSFILE`, `~/.pgpass`.
#[must_use]
pub fn path(passfile: Option<&str>, env: &Env) -> Option<PathBuf> {
    match passfile.or_else(|| env.var("PGPASSFILE")) {
        Some(path) => Some(PathBuf::from(path)),
        None => env.in_home(".pgpass"),
    }
}

/// A password file that was read, or why it was not.
#[derive(Default)]
pub struct Pgpass {
    lines: Vec<u8>,
    /// What is wrong with the file, for people.
    pub warning: Option<String>,
}

impl Pgpass {
    /// Reads the file. A missing one is empty; one that others may read is not used, as in libpq.
    #[must_use]
    pub fn read(path: &std::path::Path) -> Self {
        match files::read_secret(path) {
            Ok(lines) => Self { lines, warning: None },
            Err(Refused::Missing) => Self::default(),
            Err(Refused::Because(why)) => Self {
                lines: Vec::new(),
                warning: Some(format!("password file {} is not used: {why}", path.display())),
            },
        }
    }

    /// The password of the first matching line, unless it is empty. `hosts` are the names a line may use for the host.
    #[must_use]
    pub fn password(&self, hosts: &[&str], port: u16, dbname: &str, user: &str) -> Option<SecretString> {
        let port = port.to_string();
        let mut lines = self.lines.split(|b| *b == b'\n');
        let rest = lines.find_map(|line| {
            let line = strip_returns(line);
            if line.first() == Some(&b'#') || line.contains(&0) {
                return None;
            }
            let rest = hosts.iter().find_map(|host| field(line, host.as_bytes()))?;
            let rest = field(rest, port.as_bytes())?;
            let rest = field(rest, dbname.as_bytes())?;
            field(rest, user.as_bytes())
        })?;
        let mut password = Vec::with_capacity(rest.len());
        let mut bytes = rest.iter();
        while let Some(b) = bytes.next() {
            match b {
                b':' => break,
                b'\\' => password.push(*bytes.next().unwrap_or(b)),
                _ => password.push(*b),
            }
        }
        let password = String::from_utf8(password).ok().filter(|p| !p.is_empty())?;
        Some(SecretString::from(password))
    }
}

fn strip_returns(mut line: &[u8]) -> &[u8] {
    while let Some(rest) = line.strip_suffix(b"\r") {
        line = rest;
    }
    line
}

/// What follows the first field of `line` when that field is `*` or means `token` (`\` escapes `:` and `\`).
fn field<'a>(line: &'a [u8], token: &[u8]) -> Option<&'a [u8]> {
    if let Some(rest) = line.strip_prefix(b"*:") {
        return Some(rest);
    }
    let mut token = token.iter();
    let mut bytes = line.iter();
    loop {
        match bytes.next()? {
            b':' if token.len() == 0 => return Some(bytes.as_slice()),
            b'\\' => (token.next()? == bytes.next()?).then_some(())?,
            b => (token.next()? == b).then_some(())?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn find(text: &[u8], host: &str, user: &str) -> Option<String> {
        let file = Pgpass { lines: text.to_vec(), warning: None };
        file.password(&[host], 5432, "db", user).map(|p| p.expose_secret().to_owned())
    }

    #[test]
    fn lines_mean_what_libpq_says() {
        let long = format!("h:5432:db:u:{}\n", "x".repeat(10_000));
        let cases: &[(&[u8], &str, Option<&str>)] = &[
            (b"h:5432:db:u:p\\:w\n", "h", Some("p:w")),
            (b"h:5432:db:u:p\\\\w", "h", Some("p\\w")),
            (b"h:5432:db:u:p:w", "h", Some("p")),
            (b"*:*:*:*:first\nh:5432:db:u:second\n", "h", Some("first")),
            (b"h:5432:db:u:p  \n", "h", Some("p  ")),
            (b"# h:5432:db:u:no\nh:5432:db:u:#yes#\n", "h", Some("#yes#")),
            (b"\\:\\:1:5432:db:u:six\n", "::1", Some("six")),
            (b"::1:5432:db:u:six\n", "::1", Some("six")),
            (b"[::1]:5432:db:u:six\n", "::1", None),
            (b"h:5432:db:u\nh:5432\n:\n\n", "h", None),
            (b"h:5432:db:u:\n*:*:*:*:later\n", "h", None),
            (b"h:5432:db:u:p\r\n", "h", Some("p")),
            (b"h:5432:db:u:a\0b\n*:*:*:*:z", "h", Some("z")),
            (b"h:5432:db:u:\xff\xfe\n", "h", None),
            (b"h:5432:db:*:p\n", "h", Some("p")),
            (b"hh:5432:db:u:p\n", "h", None),
            (b"h:5432:dbx:u:p\n", "h", None),
            (long.as_bytes(), "h", Some(&long[12..long.len() - 1])),
        ];
        for (text, host, expected) in cases {
            assert_eq!(find(text, host, "u").as_deref(), *expected, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_user_with_a_colon_is_escaped() {
        assert_eq!(find(b"h:5432:db:u\\:v:p", "h", "u:v").as_deref(), Some("p"));
    }
}
