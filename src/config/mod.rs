//! What people write: connection strings, the configuration file, where files live, which servers are meant.
//! Knows files and the environment; must not know a server, a screen or the command line's types.

pub mod conninfo;
pub mod env;
pub mod revisions;
pub mod target;

use std::fmt;

pub use conninfo::{Conninfo, Host};
pub use env::Env;

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

/// Edit distance in characters (insertions, deletions, substitutions).
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (cb, pair) in b.iter().zip(row.windows(2)) {
            let [diagonal, above] = pair else { continue };
            let left = next.last().copied().unwrap_or(0);
            next.push((above + 1).min(left + 1).min(diagonal + usize::from(ca != cb)));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_near() {
        let words = ["refresh_ms", "theme", "mouse"];
        assert_eq!(nearest("refres_ms", words), Some("refresh_ms"));
        assert_eq!(nearest("tehme", words), Some("theme"));
        assert_eq!(nearest("Mouse", words), Some("mouse"));
        assert_eq!(nearest("colour", words), None);
    }
}
