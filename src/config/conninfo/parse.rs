//! Connection strings to words and values, with libpq's grammar: URIs and `key=value`. Values are not judged here.
//! No error repeats a value, since any piece of a mistyped string may be a piece of a password.

use std::{collections::BTreeMap, fmt::Write as _};

use super::words::{self, Fate};
use crate::config::{Error, nearest};

/// Words with the values given for them, and what was noticed while reading them.
#[derive(Clone, Default)]
pub struct Settings {
    values: BTreeMap<&'static str, String>,
    warnings: Vec<String>,
    /// A driver's URI (`postgresql+asyncpg://`): words only that driver knows are passed over with a warning.
    lenient: bool,
}

/// Percent-encoding of everything that is not unreserved (RFC 3986).
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, b| {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(b)),
            _ => {
                let _ = write!(out, "%{b:02X}");
            }
        }
        out
    })
}

impl Settings {
    /// Reads a connection string: a URI, or words as `key=value`. An empty string has no words.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.contains('\0') {
            return Err(cannot("it holds a NUL byte", ""));
        }
        let mut settings = Self::default();
        if let Some(rest) = text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://")) {
            settings.parse_uri(rest)?;
        } else if let Some((driver, rest)) = driver_uri(text) {
            settings.lenient = true;
            settings.warnings.push(format!("read `postgresql+{driver}://` as `postgresql://`"));
            settings.parse_uri(rest)?;
        } else if let Some(error) = foreign_scheme(text) {
            return Err(error);
        } else {
            settings.parse_pairs(text)?;
        }
        Ok(settings)
    }

    /// True for what [`Settings::parse`] would take: anything else is a name (of an instance, of a database).
    #[must_use]
    pub fn looks_like(text: &str) -> bool {
        text.contains("://") || text.contains('=') || text.starts_with("jdbc:")
    }

    /// Sets a word; a later value wins. Unknown words are errors.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> Result<(), Error> {
        let value = value.into();
        let Some(word) = words::word(name) else {
            return Err(unknown(name, !self.values.contains_key("password")));
        };
        if value.contains('\0') {
            return Err(cannot(&format!("the value of `{name}` holds a NUL byte"), ""));
        }
        if let Fate::Ignored(why) = word.fate
            && !value.is_empty()
        {
            self.warnings.push(format!("`{name}` is ignored: {why}"));
        }
        self.values.insert(word.name, value);
        Ok(())
    }

    /// The value given for a word, also when it is empty (which means: the default, not the environment).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The words as a connection string that means the same, without any password: a URI.
    #[must_use]
    pub fn text(&self) -> String {
        let one = |name: &str| self.values.get(name).map(String::as_str).filter(|v| !v.is_empty());
        let plain = |v: &&str| !v.starts_with(['/', '@']) && !v.contains(',');
        let host = one("host").filter(plain);
        let port = one("port").filter(|p| host.is_some() && !p.contains(','));
        let mut text = String::from("postgresql://");
        if let Some(user) = one("user") {
            text.push_str(&encode(user));
            text.push('@');
        }
        if let Some(host) = host {
            if host.contains(':') {
                let _ = write!(text, "[{host}]");
            } else {
                text.push_str(&encode(host));
            }
        }
        if let Some(port) = port {
            text.push(':');
            text.push_str(port);
        }
        text.push('/');
        text.push_str(&one("dbname").map(encode).unwrap_or_default());
        let mut sign = '?';
        for (name, value) in &self.values {
            let said = match *name {
                "password" | "sslpassword" => true,
                "user" | "dbname" => !value.is_empty(),
                "host" => host.is_some(),
                "port" => port.is_some(),
                _ => false,
            };
            if !said {
                text.push(sign);
                let _ = write!(text, "{name}={}", encode(value).replace("%2F", "/"));
                sign = '&';
            }
        }
        text
    }

    /// True when no word was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// What was noticed so far, for people.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Puts the words of `other` under those already here.
    pub fn fill_from(&mut self, other: Self) {
        for (name, value) in other.values {
            self.values.entry(name).or_insert(value);
        }
        self.warnings.extend(other.warnings);
    }

    /// libpq's URI grammar. `rest` follows `://`. Credentials end at the first `@` before a `/`.
    fn parse_uri(&mut self, rest: &str) -> Result<(), Error> {
        let mut rest = rest;
        let stop = rest.find(['@', '/']);
        if let Some(at) = stop.filter(|i| rest.as_bytes().get(*i) == Some(&b'@')) {
            let (credentials, after) = cut(rest, at);
            let (user, password) = match credentials.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (credentials, None),
            };
            if !user.is_empty() {
                self.set("user", decode(user, "user name")?)?;
            }
            if let Some(password) = password.filter(|p| !p.is_empty()) {
                self.set("password", decode(password, "password")?)?;
            }
            rest = after;
        }

        let (mut hosts, mut ports) = (String::new(), String::new());
        loop {
            if let Some(inner) = rest.strip_prefix('[') {
                let Some(end) = inner.find(']') else {
                    return Err(cannot("the IPv6 address has no closing `]`", ""));
                };
                if end == 0 {
                    return Err(cannot("the IPv6 address in `[]` is empty", ""));
                }
                let (host, after) = cut(inner, end);
                hosts.push_str(host);
                rest = after;
                if !(rest.is_empty() || rest.starts_with([':', '/', '?', ','])) {
                    return Err(cannot("something unexpected follows the `]` of the IPv6 address", ""));
                }
            } else {
                let end = rest.find([':', '/', '?', ',']).unwrap_or(rest.len());
                let (host, _) = rest.split_at(end);
                hosts.push_str(host);
                rest = rest.get(end..).unwrap_or_default();
            }
            if let Some(after) = rest.strip_prefix(':') {
                let end = after.find(['/', '?', ',']).unwrap_or(after.len());
                let (port, tail) = after.split_at(end);
                ports.push_str(port);
                rest = tail;
            }
            let Some(after) = rest.strip_prefix(',') else { break };
            rest = after;
            hosts.push(',');
            ports.push(',');
        }
        if hosts.contains('@') {
            return Err(at_in_host());
        }
        if !hosts.is_empty() {
            self.set("host", decode(&hosts, "host name")?)?;
        }
        if !ports.is_empty() {
            self.set("port", decode(&ports, "port")?)?;
        }
        if let Some(after) = rest.strip_prefix('/') {
            let end = after.find('?').unwrap_or(after.len());
            let (dbname, tail) = after.split_at(end);
            // libpq takes it; here it is far more likely the tail of a password with an `@` or `/` in it.
            if dbname.contains('@') {
                return Err(cannot(
                    "an `@` follows the host",
                    "write `@` and `/` in a name or password as %40 and %2F",
                ));
            }
            if !dbname.is_empty() {
                self.set("dbname", decode(dbname, "database name")?)?;
            }
            rest = tail;
        }
        if let Some(query) = rest.strip_prefix('?') {
            self.parse_query(query)?;
        }
        Ok(())
    }

    /// `key=value&key=value`, percent-encoded; the last value of a word wins.
    fn parse_query(&mut self, query: &str) -> Result<(), Error> {
        let mut pairs: Vec<&str> = query.split('&').collect();
        if pairs.last() == Some(&"") {
            pairs.pop();
        }
        for (i, pair) in pairs.into_iter().enumerate() {
            let place = i + 1;
            let Some((name, value)) = pair.split_once('=') else {
                return Err(cannot(
                    &format!("parameter {place} after the `?` has no `=`"),
                    "separate parameters with `&`",
                ));
            };
            if value.contains('=') {
                return Err(cannot(
                    &format!("parameter {place} after the `?` has more than one `=`"),
                    "write `=` inside a value as %3D",
                ));
            }
            let name = decode(name, "parameter name")?;
            let value = decode(value, "parameter")?;
            if name == "ssl" && value == "true" {
                self.set("sslmode", "require")?;
            } else if name == "ssl" && self.lenient {
                self.set("sslmode", value)?;
            } else if self.lenient && words::word(&name).is_none() {
                self.warnings
                    .push(format!("parameter {place} after the `?` is one of the driver's own and is ignored"));
            } else {
                self.set(&name, value)?;
            }
        }
        Ok(())
    }

    /// `key = value` pairs separated by blanks; values may be quoted with `'`, and `\` escapes the next character.
    fn parse_pairs(&mut self, text: &str) -> Result<(), Error> {
        let mut chars = text.chars().peekable();
        let blank = |c: &char| c.is_ascii_whitespace() || *c == '\u{b}';
        let mut pair = 0;
        loop {
            while chars.next_if(blank).is_some() {}
            if chars.peek().is_none() {
                return Ok(());
            }
            pair += 1;
            let mut name = String::new();
            while let Some(c) = chars.next_if(|c| *c != '=' && !blank(c)) {
                name.push(c);
            }
            while chars.next_if(blank).is_some() {}
            if chars.next() != Some('=') {
                return Err(cannot(
                    &format!("word {pair} is not followed by `=`"),
                    "write key=value pairs; put values that hold blanks in single quotes",
                ));
            }
            while chars.next_if(blank).is_some() {}
            let quoted = chars.next_if_eq(&'\'').is_some();
            let mut value = String::new();
            loop {
                match chars.next() {
                    Some('\\') => value.extend(chars.next()),
                    Some('\'') if quoted => break,
                    Some(c) if !quoted && blank(&c) => break,
                    Some(c) => value.push(c),
                    None if quoted => {
                        return Err(cannot(
                            &format!("the quoted value of pair {pair} does not end"),
                            "close it with a single quote",
                        ));
                    }
                    None => break,
                }
            }
            self.set(&name, value)?;
        }
    }
}

/// `…` and what follows the one-byte character at `at`.
fn cut(text: &str, at: usize) -> (&str, &str) {
    (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default())
}

/// `%XX` to characters. Refuses what libpq refuses, `%00` among it, and what is not UTF-8.
fn decode(text: &str, what: &str) -> Result<String, Error> {
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let remedy = "write a literal `%` as %25";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(b) = rest.next() {
        if b != b'%' {
            bytes.push(b);
            continue;
        }
        let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err(cannot(
                &format!("the {what} holds a `%` that is not followed by two hexadecimal digits"),
                remedy,
            ));
        };
        if high == 0 && low == 0 {
            return Err(cannot(&format!("the {what} holds %00, a NUL byte"), ""));
        }
        bytes.push(high << 4 | low);
    }
    String::from_utf8(bytes)
        .map_err(|_| cannot(&format!("the {what} is not UTF-8 after decoding its percent escapes"), ""))
}

/// `postgresql+psycopg2://…` as SQLAlchemy writes it: the driver's name and what follows the scheme.
fn driver_uri(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let (dialect, driver) = scheme.split_once('+')?;
    let named = !driver.is_empty() && driver.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (matches!(dialect, "postgresql" | "postgres") && named).then_some((driver, rest))
}

/// Strings that are addresses of something, but not ours.
fn foreign_scheme(text: &str) -> Option<Error> {
    if text.starts_with("jdbc:") {
        return Some(cannot(
            "it is a JDBC address",
            "write postgresql://USER@HOST:PORT/DATABASE: no `jdbc:` in front, user before the host",
        ));
    }
    let (scheme, _) = text.split_once("://")?;
    let known = scheme.to_ascii_lowercase();
    if known == "postgresql" || known == "postgres" {
        return Some(cannot("its scheme is not in lower case", format!("write {known}://")));
    }
    let plain = !scheme.is_empty()
        && scheme.len() <= 20
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
    plain.then(|| cannot("its scheme is not PostgreSQL's", "write postgresql://USER@HOST:PORT/DATABASE"))
}

/// The error of a connection string. `why` must not repeat a value.
pub(super) fn cannot(why: &str, remedy: impl Into<String>) -> Error {
    Error::new(format!("could not read the connection string: {why}"), remedy)
}

pub(super) fn at_in_host() -> Error {
    cannot("its host name holds an `@`", "write an `@` in a user name or password as %40")
}

/// `may_show`: false after a password, of which the supposed word may be the tail.
fn unknown(name: &str, may_show: bool) -> Error {
    let wordlike = name.len() <= 30 && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !(wordlike && may_show) {
        return cannot(
            "it holds an unknown word",
            "put values that hold blanks in single quotes; the words are libpq's",
        );
    }
    let remedy = match nearest(name, words::WORDS.iter().map(|w| w.name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "the words are libpq's: host, port, dbname, user, sslmode and so on".to_owned(),
    };
    cannot(&format!("unknown word `{name}`"), remedy)
}
