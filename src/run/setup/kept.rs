//! Answers that survive a cut: one file below the state directory, for its owner alone. No password is in it.

use std::{io::Write as _, path::Path};

use super::{Kind, Trouble};
use crate::policy::draft::Kept;

const NAME: &str = "setup.json";
/// The longest file that is read back, in bytes.
const LONGEST: u64 = 4 << 20;

/// Writes the answers down, in place of those before.
///
/// # Errors
/// The file cannot be written: the set-up goes on all the same.
pub fn keep(state: &Path, kept: &Kept) -> Result<(), Trouble> {
    let path = state.join(NAME);
    let failed = |cause: &dyn std::fmt::Display| {
        let message = format!("could not write {}: {cause}", path.display());
        Trouble::new(Kind::Wrong, message, "The answers are lost when this is cut short.")
    };
    std::fs::create_dir_all(state).map_err(|e| failed(&e))?;
    let text = serde_json::to_string_pretty(&Kept { schema_version: 1, ..kept.clone() }).map_err(|e| failed(&e))?;
    // Made readable by its owner alone.
    let mut file = tempfile::NamedTempFile::new_in(state).map_err(|e| failed(&e))?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(|e| failed(&e))?;
    file.persist(&path).map_err(|e| failed(&e.error))?;
    Ok(())
}

/// The answers of a set-up that was cut short; `None` where there are none, or none that can be read.
#[must_use]
pub fn kept(state: &Path) -> Option<Kept> {
    let path = state.join(NAME);
    if std::fs::metadata(&path).ok()?.len() > LONGEST {
        return None;
    }
    let kept: Kept = serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
    (kept.schema_version == 1).then_some(kept)
}

/// The set-up is complete, or not wanted any more.
pub fn forget(state: &Path) {
    let _ = std::fs::remove_file(state.join(NAME));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::draft::{Draft, DraftService};

    #[test]
    fn answers_are_found_again_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state/pgmoat");
        assert_eq!(kept(&state), None);
        let draft =
            Draft { name: "shop".into(), services: vec![DraftService::template("Web API")], ..Draft::default() };
        let answers = Kept { schema_version: 1, step: "access".into(), draft, ..Kept::default() };
        keep(&state, &answers).unwrap();
        assert_eq!(kept(&state).as_ref(), Some(&answers));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(state.join(NAME)).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{mode:o}");
        }
        std::fs::write(state.join(NAME), "{").unwrap();
        assert_eq!(kept(&state), None, "a torn file is none");
        keep(&state, &answers).unwrap();
        forget(&state);
        assert_eq!(kept(&state), None);
    }
}
