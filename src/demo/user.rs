//! Whom a throwaway server runs as. PostgreSQL refuses root, and containers are root: then the server runs as
//! `postgres`, else as `nobody`. Knows nothing of clusters.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use super::error::{DemoError, Kind};

/// An account of this machine that the server is started as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUser {
    /// Name in the system's user database.
    pub name: String,
    /// Numeric user id.
    pub uid: u32,
    /// Numeric id of its first group.
    pub gid: u32,
}

/// The account for the server: `None` when it can run as ourselves.
///
/// # Errors
/// `Setup` when we are root and the machine has neither `postgres` nor `nobody`.
pub fn server_user() -> Result<Option<ServerUser>, DemoError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    ["postgres", "nobody"].into_iter().find_map(account).map(Some).ok_or_else(|| {
        DemoError::new(
            Kind::Setup,
            "run a server as root",
            "PostgreSQL refuses to run as root and there is no user postgres or nobody",
            "Create a user postgres (useradd --system postgres), or run this as an ordinary user.",
        )
    })
}

/// Asks `id`, which knows every source of accounts the system has.
fn account(name: &str) -> Option<ServerUser> {
    Some(ServerUser { name: name.to_owned(), uid: id("-u", name)?, gid: id("-g", name)? })
}

fn id(what: &str, name: &str) -> Option<u32> {
    let output = Command::new("id").args([what, name]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().parse().ok())?
}

/// The first directory on the way to `path` (itself included) that `user` may not enter; `None` when all are open.
/// Judged by mode bits; access lists are not read.
pub fn closed_to(path: &Path, user: &ServerUser) -> Option<PathBuf> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let mut directories: Vec<&Path> = path.ancestors().collect();
    directories.reverse();
    directories.into_iter().find(|dir| !may_enter(dir, user)).map(Path::to_path_buf)
}

fn may_enter(dir: &Path, user: &ServerUser) -> bool {
    let Ok(meta) = fs::metadata(dir) else { return false };
    if user.uid == 0 {
        return true;
    }
    let mode = meta.permissions().mode();
    let bit = if meta.uid() == user.uid {
        0o100
    } else if meta.gid() == user.gid {
        0o010
    } else {
        0o001
    };
    mode & bit != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_directory_on_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let closed = dir.path().join("closed");
        fs::create_dir_all(closed.join("bin")).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        let stranger = ServerUser { name: "stranger".into(), uid: 54_321, gid: 54_321 };
        assert_eq!(closed_to(&closed.join("bin"), &stranger), Some(fs::canonicalize(&closed).unwrap()));
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(closed_to(&closed.join("bin"), &stranger), None);
    }
}
