//! The surroundings of the program: environment variables, home directory, the operating system's user. Everything that
//! configuration reads from outside passes through here, so that tests can give their own.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// What the process finds around itself. [`Env::from_process`] reads it once; tests build it by hand.
#[derive(Debug, Clone, Default)]
pub struct Env {
    /// Environment variables whose name and value are UTF-8.
    pub vars: BTreeMap<String, String>,
    /// The home directory: `HOME`, else the system's entry of the user.
    pub home: Option<PathBuf>,
    /// Name of the effective user, the default of `user` in a connection.
    pub os_user: Option<String>,
    /// Directories where servers put their sockets, in the order they are tried.
    pub socket_dirs: Vec<PathBuf>,
    /// Directory of the system-wide `pg_service.conf`, when `PGSYSCONFDIR` is not set.
    pub sysconf_dir: Option<PathBuf>,
    /// Lines of the system's user file (`name:x:uid:…`), to turn names into numbers.
    pub passwd: String,
}

impl Env {
    /// Reads the process's own surroundings.
    #[must_use]
    pub fn from_process() -> Self {
        let vars: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let passwd = std::fs::read("/etc/passwd").map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
        let mut env = Self {
            home: vars.get("HOME").filter(|h| !h.is_empty()).map(PathBuf::from),
            vars,
            os_user: None,
            socket_dirs: vec![PathBuf::from("/var/run/postgresql"), PathBuf::from("/tmp")],
            sysconf_dir: ["/etc/postgresql-common", "/etc/sysconfig/pgsql", "/etc/postgresql"]
                .iter()
                .map(PathBuf::from)
                .find(|d| d.join("pg_service.conf").is_file()),
            passwd,
        };
        env.os_user = env.effective_user();
        if env.home.is_none() {
            env.home = env.os_user.as_deref().and_then(|user| env.passwd_field(user, 5)).map(PathBuf::from);
        }
        env
    }

    /// A variable that is set and not empty.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// The path of a file in the home directory.
    #[must_use]
    pub fn in_home(&self, path: impl AsRef<Path>) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(path))
    }

    /// `~` and `~/…` as people write them in a configuration; other paths as they are.
    #[must_use]
    pub fn expand(&self, path: &str) -> PathBuf {
        let rest = if path == "~" { Some("") } else { path.strip_prefix("~/") };
        match (rest, &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(path),
        }
    }

    /// The user number of a name, where the system's user file lists it.
    #[must_use]
    pub fn uid_of(&self, user: &str) -> Option<u32> {
        self.passwd_field(user, 2)?.parse().ok()
    }

    fn passwd_field(&self, user: &str, field: usize) -> Option<String> {
        self.passwd
            .lines()
            .find(|line| line.split(':').next() == Some(user))?
            .split(':')
            .nth(field)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    }

    /// The name belonging to the effective user number: the user file, then `id` (which asks directories such as LDAP),
    /// then what the login shell said.
    fn effective_user(&self) -> Option<String> {
        #[cfg(unix)]
        {
            let uid = rustix::process::geteuid().as_raw().to_string();
            let listed = self.passwd.lines().find(|line| line.split(':').nth(2) == Some(uid.as_str()));
            if let Some(name) = listed.and_then(|line| line.split(':').next()).filter(|n| !n.is_empty()) {
                return Some(name.to_owned());
            }
            let asked = std::process::Command::new("id").arg("-un").stderr(std::process::Stdio::null()).output();
            if let Ok(output) = asked
                && output.status.success()
                && let Some(name) = String::from_utf8_lossy(&output.stdout).lines().next().filter(|n| !n.is_empty())
            {
                return Some(name.to_owned());
            }
        }
        ["LOGNAME", "USER", "USERNAME"].iter().find_map(|name| self.var(name)).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_has_a_user() {
        let env = Env::from_process();
        assert!(env.os_user.is_some_and(|user| !user.is_empty()));
    }

    #[test]
    fn names_become_numbers_and_homes() {
        let env = Env {
            passwd: "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n".into(),
            ..Env::default()
        };
        assert_eq!(env.uid_of("ann"), Some(1000));
        assert_eq!(env.uid_of("bob"), None);
        assert_eq!(env.passwd_field("ann", 5).as_deref(), Some("/home/ann"));
    }

    #[test]
    fn a_tilde_is_the_home() {
        let env = Env { home: Some("/home/ann".into()), ..Env::default() };
        assert_eq!(env.expand("~/x"), PathBuf::from("/home/ann/x"));
        assert_eq!(env.expand("~bob/x"), PathBuf::from("~bob/x"));
        assert_eq!(env.expand("/x"), PathBuf::from("/x"));
    }
}
