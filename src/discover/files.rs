//! The only door to files for what is read of strangers: plain files of bounded size, and a number of them that ends.
//! Tests put a map in place of the disk.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use secrecy::zeroize::Zeroizing;

use crate::config::conninfo::files::{self, Refused};

/// The largest file that is read, in bytes.
pub const MOST_BYTES: usize = 512 << 10;

/// What a search may see of the disk.
pub trait Files {
    /// The text of a plain file. The error completes "could not read …: ".
    fn read(&self, path: &Path) -> Result<Zeroizing<String>, String>;
    /// True for a plain file.
    fn is_file(&self, path: &Path) -> bool;
    /// Names in a directory: files, then directories; each sorted, no more than a few hundred.
    fn list(&self, dir: &Path) -> (Vec<String>, Vec<String>);
    /// True when nobody but us or the system's administrator can have put the file there.
    fn is_ours(&self, path: &Path) -> bool;
}

/// The real disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

/// Names of one directory that are looked at.
const MOST_NAMES: usize = 2_000;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<Zeroizing<String>, String> {
        let size = std::fs::metadata(path).map_or(0, |m| m.len());
        if size > MOST_BYTES as u64 {
            return Err(format!("it is larger than {} kB", MOST_BYTES >> 10));
        }
        let bytes = files::read_plain(path).map_err(|refused| match refused {
            Refused::Missing => "it does not exist".to_owned(),
            Refused::Because(why) => why,
        })?;
        if bytes.len() > MOST_BYTES {
            return Err(format!("it is larger than {} kB", MOST_BYTES >> 10));
        }
        String::from_utf8(bytes).map(Zeroizing::new).map_err(|_| "it is not UTF-8".to_owned())
    }

    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn list(&self, dir: &Path) -> (Vec<String>, Vec<String>) {
        let (mut plain, mut dirs) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten().take(MOST_NAMES) {
            let Ok(name) = entry.file_name().into_string() else { continue };
            // A directory behind a link is not entered; a file behind one is read.
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                dirs.push(name);
            } else {
                plain.push(name);
            }
        }
        plain.sort();
        dirs.sort();
        (plain, dirs)
    }

    fn is_ours(&self, path: &Path) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            let me = rustix::process::geteuid().as_raw();
            std::fs::metadata(path).is_ok_and(|m| (m.uid() == me || m.uid() == 0) && m.mode() & 0o002 == 0)
        }
        #[cfg(not(unix))]
        {
            path.is_file()
        }
    }
}

/// Files that exist only in memory, by absolute path.
#[derive(Debug, Clone, Default)]
pub struct Imagined(pub BTreeMap<PathBuf, String>);

impl Files for Imagined {
    fn read(&self, path: &Path) -> Result<Zeroizing<String>, String> {
        let text = self.0.get(&tidy(path)).ok_or("it does not exist")?;
        if text.len() > MOST_BYTES {
            return Err(format!("it is larger than {} kB", MOST_BYTES >> 10));
        }
        Ok(Zeroizing::new(text.clone()))
    }

    fn is_file(&self, path: &Path) -> bool {
        self.0.contains_key(&tidy(path))
    }

    fn list(&self, dir: &Path) -> (Vec<String>, Vec<String>) {
        let dir = tidy(dir);
        let (mut plain, mut dirs) = (Vec::new(), Vec::new());
        for rest in self.0.keys().filter_map(|path| path.strip_prefix(&dir).ok()) {
            let mut parts = rest.components();
            let Some(first) = parts.next() else { continue };
            let name = first.as_os_str().to_string_lossy().into_owned();
            let list = if parts.next().is_some() { &mut dirs } else { &mut plain };
            if !list.contains(&name) {
                list.push(name);
            }
        }
        (plain, dirs)
    }

    fn is_ours(&self, path: &Path) -> bool {
        self.is_file(path)
    }
}

/// A path without `.` and with `..` taken back, by its words alone.
#[must_use]
pub fn tidy(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() {
                    out.push("..");
                }
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => out.push(part),
        }
    }
    out
}
