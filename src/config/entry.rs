//! The text of `config.toml` with one more instance in it, or with a policy for one that is there: comments and order of
//! everything else stay. Pure; whoever writes the file shows the text first.

use std::{fmt::Write as _, path::Path};

use super::{Config, Environment, Error};

/// An `[[instance]]` to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    /// Without a password.
    pub url: String,
    pub environment: Option<Environment>,
    /// As it will stand in the file.
    pub policy: Option<String>,
}

const BEGINNING: &str =
    "# pgmoat: the databases of one person. `pgmoat info` prints the path of this file; no password belongs here.\n";

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

impl Entry {
    /// The section as it stands in the file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("[[instance]]\nname = {}\nurl = {}\n", quoted(&self.name), quoted(&self.url));
        if let Some(environment) = self.environment {
            let _ = writeln!(out, "environment = \"{}\"", environment.word());
        }
        if let Some(policy) = &self.policy {
            let _ = writeln!(out, "policy = {}", quoted(policy));
        }
        out
    }

    /// The file with this entry: added at its end, or, where an instance of that name is there, with the policy in it.
    /// `before` is the file as it is; `path` is for messages.
    ///
    /// # Errors
    /// The file cannot be used, or would not be usable afterwards.
    pub fn put(&self, before: Option<&str>, path: &Path) -> Result<String, Error> {
        let text = before.unwrap_or(BEGINNING);
        let known = Config::parse(text, path)?;
        let after = match known.instances.iter().position(|i| i.name == self.name) {
            Some(at) => match &self.policy {
                Some(policy) if known.instances.get(at).and_then(|i| i.policy.as_ref()) != Some(policy) => {
                    with_policy(text, at, policy)
                }
                Some(_) | None => text.to_owned(),
            },
            None => {
                let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
                format!("{text}{gap}\n{}", self.text())
            }
        };
        Config::parse(&after, path)?;
        Ok(after)
    }
}

/// The text with the policy in the instance at that position: its line is replaced, or added behind the header.
fn with_policy(text: &str, at: usize, policy: &str) -> String {
    let line = format!("policy = {}", quoted(policy));
    let header = |l: &str| l.trim_start().starts_with('[');
    let ours = |l: &str| l.trim_start().starts_with("[[instance]]");
    let lines: Vec<&str> = text.lines().collect();
    let Some(first) = lines.iter().enumerate().filter(|(_, l)| ours(l)).nth(at).map(|(i, _)| i) else {
        return text.to_owned();
    };
    let end = lines.iter().enumerate().skip(first + 1).find(|(_, l)| header(l)).map_or(lines.len(), |(i, _)| i);
    let is_policy = |l: &str| l.trim_start().strip_prefix("policy").is_some_and(|r| r.trim_start().starts_with('='));
    let old = lines.iter().enumerate().take(end).skip(first + 1).find(|(_, l)| is_policy(l)).map(|(i, _)| i);
    let mut out = String::with_capacity(text.len() + line.len() + 1);
    for (i, l) in lines.iter().enumerate() {
        if Some(i) == old {
            out.push_str(&line);
        } else {
            out.push_str(l);
        }
        out.push('\n');
        if old.is_none() && i == first {
            out.push_str(&line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::conninfo::Settings;

    fn entry() -> Entry {
        Entry {
            name: "shop".into(),
            url: "postgresql://me@db.example/shop".into(),
            environment: Some(Environment::Staging),
            policy: Some("/p/shop \"x\".policy.toml".into()),
        }
    }

    #[test]
    fn a_new_file_and_one_that_is_there() {
        let path = Path::new("/c/config.toml");
        let new = entry().put(None, path).unwrap();
        let read = Config::parse(&new, path).unwrap();
        assert_eq!(read.instances.len(), 1);
        let one = &read.instances[0];
        assert_eq!((one.name.as_str(), one.policy.as_deref()), ("shop", Some("/p/shop \"x\".policy.toml")));
        assert_eq!(one.environment, Some(Environment::Staging));
        assert_eq!(entry().put(Some(&new), path).unwrap(), new, "nothing is added twice");
        let old = "# mine\n[ui]\nmouse = false # no\n[[instance]]\nname = \"a\"\nurl = \"postgresql://h/a\"";
        let both = entry().put(Some(old), path).unwrap();
        assert!(both.starts_with(old), "{both}");
        assert_eq!(Config::parse(&both, path).unwrap().instances.len(), 2);
        assert!(entry().put(Some("[[instance]\n"), path).is_err());
    }

    #[test]
    fn an_instance_that_is_there_gets_the_policy() {
        let path = Path::new("/c/config.toml");
        let old = "[[instance]]\nname = \"a\"\nurl = \"\"\n# shop\n[[instance]]\n# say\nurl = \"postgresql://h/x\"\nname = \"shop\"\n[[instance]]\nname = \"z\"\nurl = \"\"\npolicy = \"z.toml\"\n";
        let text = entry().put(Some(old), path).unwrap();
        let read = Config::parse(&text, path).unwrap();
        let policies: Vec<_> = read.instances.iter().map(|i| i.policy.as_deref()).collect();
        assert_eq!(policies, [None, Some("/p/shop \"x\".policy.toml"), Some("z.toml")]);
        assert!(text.contains("# say") && text.contains("# shop"));
        let other = Entry { policy: Some("new.toml".into()), ..entry() };
        let again = other.put(Some(&text), path).unwrap();
        assert_eq!(again.lines().count(), text.lines().count(), "the line is replaced");
        assert_eq!(Config::parse(&again, path).unwrap().instances[1].policy.as_deref(), Some("new.toml"));
    }

    #[test]
    fn a_connection_string_is_written_without_its_password() {
        for (given, wanted) in [
            (
                "postgresql://me:CANARY@db.example:7/shop?sslmode=require",
                "postgresql://me@db.example:7/shop?sslmode=require",
            ),
            (
                "host=/run/pg port=5433 dbname='a b' user=x password=CANARY",
                "postgresql://x@/a%20b?host=/run/pg&port=5433",
            ),
            ("host=a,b port=1,2 dbname=d", "postgresql:///d?host=a%2Cb&port=1%2C2"),
            ("postgresql://[::1]:5432/d", "postgresql://[::1]:5432/d"),
            ("service=shop", "postgresql:///?service=shop"),
        ] {
            let settings = Settings::parse(given).unwrap();
            let text = settings.text();
            assert_eq!(text, wanted);
            let again = Settings::parse(&text).unwrap();
            for word in ["host", "port", "dbname", "user", "sslmode", "service"] {
                assert_eq!(again.get(word), settings.get(word), "{word} of {given}");
            }
            assert!(again.get("password").is_none());
        }
    }
}
