//! Small files that people or libpq wrote, read without ever waiting on one: no pipes, devices or directories, no more
//! than [`MOST_BYTES`], and for files with secrets libpq's permission rule.

use std::{fs::File, io::Read as _, path::Path};

/// The largest file that is read, in bytes.
pub const MOST_BYTES: u64 = 4 << 20;

/// Why a file was not read.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is none.
    Missing,
    /// The reason completes "… is not used: ".
    Because(String),
}

/// Reads a file that holds secrets: a plain file that neither group nor others may touch.
pub fn read_secret(path: &Path) -> Result<Vec<u8>, Refused> {
    let (mut file, metadata) = open_plain(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(Refused::Because("group or others have access; chmod 0600 it".into()));
        }
    }
    read_all(&mut file, metadata.len())
}

/// Reads a private key: as a secret, or root's with reading for a group, as packages install system-wide keys.
pub fn read_key(path: &Path) -> Result<Vec<u8>, Refused> {
    let (mut file, metadata) = open_plain(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let others = if metadata.uid() == 0 { 0o037 } else { 0o077 };
        if metadata.permissions().mode() & others != 0 {
            return Err(Refused::Because("group or others have access; chmod 0600 it".into()));
        }
    }
    read_all(&mut file, metadata.len())
}

/// Reads a plain file of UTF-8 text. The error is the reason, for a sentence.
pub fn read_text(path: &Path) -> Result<String, String> {
    let bytes = read_plain(path).map_err(|refused| match refused {
        Refused::Missing => "it does not exist".to_owned(),
        Refused::Because(why) => why,
    })?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

/// Reads a plain file.
pub fn read_plain(path: &Path) -> Result<Vec<u8>, Refused> {
    let (mut file, metadata) = open_plain(path)?;
    read_all(&mut file, metadata.len())
}

fn open_plain(path: &Path) -> Result<(File, std::fs::Metadata), Refused> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // A pipe without a writer would otherwise hold the opening.
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    let because = |e: &std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Refused::Missing,
        _ => Refused::Because(reason(e)),
    };
    let file = options.open(path).map_err(|e| because(&e))?;
    let metadata = file.metadata().map_err(|e| because(&e))?;
    if !metadata.is_file() {
        return Err(Refused::Because("it is not a plain file".into()));
    }
    if metadata.len() > MOST_BYTES {
        return Err(Refused::Because(format!("it is larger than {} MB", MOST_BYTES >> 20)));
    }
    Ok((file, metadata))
}

fn read_all(file: &mut File, len: u64) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(|e| Refused::Because(reason(&e)))?;
    Ok(bytes)
}

/// The system's words without Rust's "(os error 13)".
#[must_use]
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text.get(..end).unwrap_or_default().to_lowercase(),
        None => text,
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn with_mode(mode: u32) -> Result<Vec<u8>, Refused> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "x").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        read_secret(&path)
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        assert_eq!(with_mode(0o600).unwrap(), b"x");
        for mode in [0o644, 0o640, 0o604, 0o660, 0o601] {
            assert!(matches!(with_mode(mode), Err(Refused::Because(why)) if why.contains("chmod 0600")), "{mode:o}");
        }
    }

    #[test]
    fn only_plain_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        for path in [dir.path(), Path::new("/dev/zero"), pipe.as_path()] {
            assert!(matches!(read_plain(path), Err(Refused::Because(_))), "{}", path.display());
        }
        assert_eq!(read_plain(&dir.path().join("none")), Err(Refused::Missing));
        let link = dir.path().join("link");
        std::fs::write(dir.path().join("plain"), "y").unwrap();
        std::os::unix::fs::symlink(dir.path().join("plain"), &link).unwrap();
        assert_eq!(read_plain(&link).unwrap(), b"y", "libpq follows links");
    }
}
