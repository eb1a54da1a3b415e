//! The log: one line per event, without colours, every text escaped, in a file that only its owner can read. The console
//! and the demo write it to the state directory; other commands only where `--log` says so, or to standard error with
//! `-v`. No event holds a password.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use super::{args::Global, failure::Failure};
use crate::text;

/// A default log larger than this is put aside (`.1`) when the next run begins.
const ASIDE_BYTES: u64 = 5 * 1024 * 1024;
/// Lines that may wait for a slow disk; those beyond are lost. Room for all of them is taken at the start, 32 bytes each.
const WAITING_LINES: usize = 4096;

/// Starts the log. Keep what is returned until the end: dropping it writes what is left.
///
/// # Errors
/// The file that `--log` names cannot be written. A default file that cannot be written is no reason not to work.
pub fn start(global: &Global, default: Option<&Path>) -> Result<Option<WorkerGuard>, Failure> {
    let filter = || {
        let level = match global.verbose {
            0 => "warn,pgmoat=info",
            1 => "warn,pgmoat=debug",
            _ => "info,pgmoat=trace",
        };
        EnvFilter::try_from_env("PGMOAT_LOG").unwrap_or_else(|_| EnvFilter::new(level))
    };
    let file = match (&global.log, default) {
        (Some(path), _) => {
            let told = |e| Failure::file("write the log", path, &e, "Name another file with --log.");
            Some(open(path, false).map_err(told)?)
        }
        (None, Some(path)) => {
            put_aside(path);
            open(path, true).ok()
        }
        (None, None) => None,
    };
    let Some(file) = file else {
        if global.verbose > 0 && default.is_none() {
            let _ = tracing_subscriber::fmt()
                .with_env_filter(filter())
                .with_ansi(false)
                .with_writer(|| Escaped(io::stderr()))
                .try_init();
        }
        return Ok(None);
    };
    let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(WAITING_LINES).finish(file);
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_ansi(false)
        .with_writer(move || Escaped(writer.clone()))
        .try_init();
    Ok(Some(guard))
}

/// Opens a log for appending: only its owner may read it, and a link is not followed in a directory of ours.
fn open(path: &Path, ours: bool) -> io::Result<fs::File> {
    if let Some(dir) = path.parent().filter(|_| ours) {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir)?;
    }
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
        if ours {
            options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
        }
    }
    options.open(path)
}

fn put_aside(path: &Path) {
    if fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() > ASIDE_BYTES) {
        let _ = fs::rename(path, path.with_extension("log.1"));
    }
}

/// Escapes each event, so that a text from a server can neither act on a terminal nor begin a line of its own.
struct Escaped<W>(W);

impl<W: Write> Write for Escaped<W> {
    /// One event: the formatter hands over whole lines.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        let mut safe = text::safe(line.trim_end_matches('\n')).into_owned();
        safe.push('\n');
        self.0.write_all(safe.as_bytes())?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_it_holds() {
        let mut out = Vec::new();
        Escaped(&mut out).write_all("INFO a\u{1b}[2J\nfake line\n".as_bytes()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "INFO a\\u{1b}[2J\\nfake line\n");
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_private_and_links_are_not_followed() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/pgmoat.log");
        open(&path, true).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        let link = dir.path().join("state/link.log");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(open(&link, true).is_err());
    }
}
