//! Answers that survive a cut: a file below the state directory for each place where a set-up was begun and each database
//! that it is for, readable by its owner alone. No password is in it.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use sha2::{Digest as _, Sha256};

use super::{Kind, Trouble};
use crate::policy::draft::Kept;

/// Below the state directory.
const FOLDER: &str = "setup";
/// The one file of earlier releases.
const FORMER: &str = "setup.json";
/// The longest file that is read back, in bytes.
const LONGEST: u64 = 4 << 20;
/// The most files that are read back.
const MOST: usize = 64;

/// Writes the answers down, in place of those before for the same folder and database.
///
/// # Errors
/// The file cannot be written: the set-up goes on all the same.
pub fn keep(state: &Path, kept: &Kept) -> Result<(), Trouble> {
    let path = file(state, kept);
    let failed = |cause: &dyn std::fmt::Display| {
        let message = format!("could not write {}: {cause}", path.display());
        Trouble::new(Kind::Wrong, message, "The answers are lost when this is cut short.")
    };
    let folder = state.join(FOLDER);
    std::fs::create_dir_all(&folder).map_err(|e| failed(&e))?;
    let text = serde_json::to_string_pretty(&Kept { schema_version: 1, ..kept.clone() }).map_err(|e| failed(&e))?;
    // Made readable by its owner alone.
    let mut file = tempfile::NamedTempFile::new_in(&folder).map_err(|e| failed(&e))?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(|e| failed(&e))?;
    file.persist(&path).map_err(|e| failed(&e.error))?;
    forget_former(state, kept);
    Ok(())
}

/// The answers of set-ups that were cut short: those begun in this folder first, each with whether it was; the newest
/// first among them. What cannot be read is left out.
#[must_use]
pub fn kept(state: &Path, dir: &Path) -> Vec<(Kept, bool)> {
    let files = std::fs::read_dir(state.join(FOLDER)).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|e| e == "json")).take(MOST);
    let mut found: Vec<(SystemTime, Kept)> = files.chain([state.join(FORMER)]).filter_map(|path| read(&path)).collect();
    found.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    let here = |kept: &Kept| kept.dir.is_empty() || Path::new(&kept.dir) == dir;
    let told = |kept: Kept| {
        let here = here(&kept);
        (kept, here)
    };
    let mut found: Vec<(Kept, bool)> = found.into_iter().map(|(_, kept)| told(kept)).collect();
    found.sort_by_key(|(_, here)| !here);
    found
}

/// The set-up is complete, or not wanted any more.
pub fn forget(state: &Path, kept: &Kept) {
    let _ = std::fs::remove_file(file(state, kept));
    forget_former(state, kept);
}

fn forget_former(state: &Path, kept: &Kept) {
    let path = state.join(FORMER);
    if read(&path).is_some_and(|(_, former)| (&former.dir, &former.url) == (&kept.dir, &kept.url)) {
        let _ = std::fs::remove_file(path);
    }
}

fn file(state: &Path, kept: &Kept) -> PathBuf {
    let mut hash = Sha256::new();
    hash.update(kept.dir.as_bytes());
    hash.update([0]);
    hash.update(kept.url.as_bytes());
    let first = hash.finalize().iter().take(8).fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    let name = format!("{first:016x}");
    state.join(FOLDER).join(format!("{name}.json"))
}

fn read(path: &Path) -> Option<(SystemTime, Kept)> {
    let of = std::fs::metadata(path).ok().filter(|of| of.len() <= LONGEST)?;
    let kept: Kept = serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
    (kept.schema_version == 1).then(|| Some((of.modified().ok()?, kept))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::draft::{Draft, DraftService};

    fn answers(dir: &str, url: &str) -> Kept {
        let draft =
            Draft { name: "shop".into(), services: vec![DraftService::template("Web API")], ..Draft::default() };
        let (dir, url) = (dir.into(), url.into());
        Kept { schema_version: 1, step: "access".into(), draft, dir, url, ..Kept::default() }
    }

    #[test]
    fn answers_are_found_again_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state/pgmoat");
        let project = Path::new("/a");
        assert_eq!(kept(&state, project), []);
        let first = answers("/a", "postgresql://h/a");
        keep(&state, &first).unwrap();
        assert_eq!(kept(&state, project), [(first.clone(), true)]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(file(&state, &first)).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{mode:o}");
        }
        std::fs::write(file(&state, &first), "{").unwrap();
        assert_eq!(kept(&state, project), [], "a torn file is none");
        keep(&state, &first).unwrap();
        forget(&state, &first);
        assert_eq!(kept(&state, project), []);
    }

    #[test]
    fn each_folder_and_database_has_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path();
        let all =
            [answers("/a", "postgresql://h/x"), answers("/b", "postgresql://h/x"), answers("/a", "postgresql://h/y")];
        for kept in &all {
            keep(state, kept).unwrap();
        }
        let in_b = kept(state, Path::new("/b"));
        assert_eq!(in_b.len(), 3);
        assert_eq!(in_b[0], (all[1].clone(), true));
        assert!(in_b[1..].iter().all(|(_, here)| !here));
        forget(state, &all[1]);
        assert_eq!(kept(state, Path::new("/a")).iter().filter(|(_, here)| *here).count(), 2, "the others stay");
    }

    #[test]
    fn the_file_of_earlier_releases_is_read_still() {
        let dir = tempfile::tempdir().unwrap();
        let former = answers("/a", "postgresql://h/x");
        std::fs::write(dir.path().join(FORMER), serde_json::to_string(&former).unwrap()).unwrap();
        assert_eq!(kept(dir.path(), Path::new("/a")), [(former.clone(), true)]);
        keep(dir.path(), &former).unwrap();
        assert_eq!(kept(dir.path(), Path::new("/a")).len(), 1, "it goes over into the new one");
    }
}
