//! What people write: connection strings, the configuration file, where files live, which servers are meant.
//! Knows files and the environment; must not know a server, a screen or the command line's types.

pub mod conninfo;
pub mod entry;
pub mod env;
pub mod file;
pub mod password;
pub mod paths;
pub mod revisions;
pub mod target;

use std::fmt;

pub use conninfo::{Conninfo, Host};
pub use env::Env;
pub use file::{Config, Instance, Ui};
pub use target::{Environment, Target, TargetOptions};

/// Something a person wrote cannot be used. Exit code 2.
///
/// Neither text holds a password or a part of a string that may be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// One sentence: *could not … : …*, without a full stop.
    pub message: String,
    /// What to do about it, one sentence without a full stop; may be empty.
    pub remedy: String,
}

impl Error {
    /// An error with its remedy.
    pub fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "\n{}", self.remedy) }
    }
}

impl std::error::Error for Error {}

/// The candidate that a mistyped word most likely meant: at most two edits away, and no more than half its length.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().collect();
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, candidate), candidate))
        .filter(|(d, candidate)| *d <= 2 && *d * 2 <= candidate.chars().count())
        .min_by_key(|(d, _)| *d)
        .map(|(_, candidate)| candidate)
}

/// Edit distance in characters: insertions, deletions, substitutions, and two neighbours exchanged.
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let at = |row: &[usize], i: usize| row.get(i).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let mut best = (at(&row, j + 1) + 1).min(at(&next, j) + 1).min(at(&row, j) + usize::from(ca != cb));
            let exchanged = i > 0 && j > 0 && a.get(i - 1) == Some(cb) && b.get(j - 1) == Some(ca);
            if exchanged {
                best = best.min(at(&before, j - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    at(&row, b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_near() {
        let words = ["refresh_ms", "theme", "mouse"];
        assert_eq!(nearest("refres_ms", words), Some("refresh_ms"));
        assert_eq!(nearest("tehme", words), Some("theme"));
        assert_eq!(nearest("iu", ["ui", "keys"]), Some("ui"));
        assert_eq!(nearest("Mouse", words), Some("mouse"));
        assert_eq!(nearest("colour", words), None);
    }
}
