//! The file: one line at a time, appended by a single write and synced, each carrying the hash of the one before. Several
//! consoles share it; a lock on the file keeps their lines apart, a lock on a file of its own says which action is still
//! under way. A torn last line (the machine stopped while it was written) ends where the next line begins.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    SignalEntry, SignalIntent,
    entry::{Ending, Entry, Link, Record, Who},
};
use crate::{domain::transaction::Transaction, plan::Plan};

/// The journal's file in the state directory.
const FILE: &str = "journal.jsonl";
/// Locks of actions under way.
const RUNNING: &str = "running";
/// How long another console may hold the file.
const TURN: Duration = Duration::from_secs(5);
/// The hash before the first line.
const FIRST: &str = "";

/// What stood in the way of the journal.
#[derive(Debug, thiserror::Error)]
#[error("could not {verb} the journal {}: {cause}", path.display())]
pub struct JournalError {
    pub verb: &'static str,
    pub path: PathBuf,
    pub cause: io::Error,
}

/// See the module.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
}

/// An action under way: its end has to be written.
#[derive(Debug)]
pub struct Open {
    pub id: u64,
    path: PathBuf,
    /// Held until this is dropped, however that comes.
    lock: File,
}

/// Everything that stands in the journal.
#[derive(Debug, Default)]
pub struct Read {
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// Sessions that were ended, oldest first.
    pub signals: Vec<SignalEntry>,
    /// Lines that are no record: torn, or written over.
    pub damaged: usize,
    /// The number of the first line whose hash does not follow from the one before, from 1.
    pub broken_chain: Option<usize>,
}

/// A line as it stands in the file.
#[derive(Serialize, Deserialize)]
struct Line {
    schema_version: u32,
    id: u64,
    at_us: i64,
    #[serde(flatten)]
    record: Record,
    previous: String,
}

impl Journal {
    /// The journal in this state directory; nothing is made or read yet.
    #[must_use]
    pub fn in_dir(dir: &Path) -> Journal {
        Journal { dir: dir.to_owned() }
    }

    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    fn error(&self, verb: &'static str, cause: io::Error) -> JournalError {
        JournalError { verb, path: self.path(), cause }
    }

    /// Writes down what is about to be done. Only when this returns may it begin.
    ///
    /// # Errors
    /// The line is not, or may not be, on the disk.
    pub fn begin(
        &self,
        at_us: i64,
        who: &Who,
        target: &str,
        rehearse: bool,
        link: Option<Link>,
        plan: &Plan,
    ) -> Result<Open, JournalError> {
        let record = Record::Intent {
            who: who.clone(),
            target: target.to_owned(),
            rehearse,
            link,
            plan: Box::new(plan.clone()),
        };
        let write = |error| self.error("write", error);
        private_dir(&self.dir).map_err(write)?;
        let running = self.dir.join(RUNNING);
        private_dir(&running).map_err(write)?;
        let mut file = self.turn().map_err(write)?;
        let tail = tail(&mut file).map_err(write)?;
        let id = tail.last_id + 1;
        let path = running.join(format!("{id}.lock"));
        let lock = private(OpenOptions::new().write(true).create(true).truncate(false)).open(&path).map_err(write)?;
        lock.try_lock().map_err(|e| write(held(e)))?;
        self.named(&tail).map_err(write)?;
        append(&mut file, &tail, id, at_us, record).map_err(write)?;
        Ok(Open { id, path, lock })
    }

    /// Writes down which transaction is about to commit.
    ///
    /// # Errors
    /// As [`Journal::begin`]: then it must not commit.
    pub fn committing(&self, open: &Open, at_us: i64, transaction: &Transaction) -> Result<(), JournalError> {
        self.add(open.id, at_us, Record::Committing { transaction: transaction.clone() })
    }

    /// Writes down how it ended.
    ///
    /// # Errors
    /// As [`Journal::begin`]. The outcome stands nevertheless; the entry is looked into again the next time.
    pub fn end(&self, open: Open, at_us: i64, ending: Ending) -> Result<(), JournalError> {
        let written = self.add(open.id, at_us, Record::Outcome { ending });
        let Open { path, lock, .. } = open;
        drop(lock);
        let _ = fs::remove_file(path);
        written
    }

    /// Writes down what was found out about an action that nobody ended.
    ///
    /// # Errors
    /// As [`Journal::begin`].
    pub fn settle(&self, id: u64, at_us: i64, ending: Ending) -> Result<(), JournalError> {
        self.add(id, at_us, Record::Outcome { ending })?;
        let _ = fs::remove_file(self.lock_of(id));
        Ok(())
    }

    /// Writes down which sessions are about to be ended; returns the entry's number.
    ///
    /// # Errors
    /// As [`Journal::begin`]: then no signal may be sent.
    pub fn begin_signal(&self, at_us: i64, intent: SignalIntent) -> Result<u64, JournalError> {
        let write = |error| self.error("write", error);
        private_dir(&self.dir).map_err(write)?;
        let mut file = self.turn().map_err(write)?;
        let tail = tail(&mut file).map_err(write)?;
        let id = tail.last_id + 1;
        self.named(&tail).map_err(write)?;
        append(&mut file, &tail, id, at_us, Record::Signal(Box::new(intent))).map_err(write)?;
        Ok(id)
    }

    /// Writes down what became of each.
    ///
    /// # Errors
    /// As [`Journal::begin`].
    pub fn end_signal(&self, id: u64, at_us: i64, told: Vec<String>) -> Result<(), JournalError> {
        self.add(id, at_us, Record::Signalled { told })
    }

    fn lock_of(&self, id: u64) -> PathBuf {
        self.dir.join(RUNNING).join(format!("{id}.lock"))
    }

    fn add(&self, id: u64, at_us: i64, record: Record) -> Result<(), JournalError> {
        let write = |error| self.error("write", error);
        let mut file = self.turn().map_err(write)?;
        let tail = tail(&mut file).map_err(write)?;
        append(&mut file, &tail, id, at_us, record).map_err(write)
    }

    /// A new file is there after a crash of the machine only when its folder says so.
    fn named(&self, tail: &Tail) -> io::Result<()> {
        if cfg!(unix) && tail.last_id == 0 { File::open(&self.dir)?.sync_all() } else { Ok(()) }
    }

    /// The file, open and locked, for its owner only.
    fn turn(&self) -> io::Result<File> {
        let file = private(OpenOptions::new().read(true).append(true).create(true)).open(self.path())?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if begun.elapsed() < TURN => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(error) => return Err(held(error)),
            }
        }
    }

    /// A file and nothing else: a device could go on for ever.
    fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut file = private(OpenOptions::new().read(true)).open(self.path())?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Everything in it, oldest first; an absent journal is empty.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn read(&self) -> Result<Read, JournalError> {
        let text = match self.bytes() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::default()),
            Err(error) => return Err(self.error("read", error)),
        };
        let mut read = Read::default();
        let mut entries: BTreeMap<u64, Entry> = BTreeMap::new();
        let mut previous = FIRST.to_owned();
        for (number, bytes) in (1..).zip(text.split(|b| *b == b'\n').filter(|line| !line.is_empty())) {
            let Ok(line) = serde_json::from_slice::<Line>(bytes) else {
                read.damaged += 1;
                continue;
            };
            if line.previous != previous {
                read.broken_chain.get_or_insert(number);
            }
            previous = hash(bytes);
            match line.record {
                Record::Intent { who, target, rehearse, link, plan } => {
                    entries.insert(
                        line.id,
                        Entry {
                            id: line.id,
                            at_us: line.at_us,
                            who,
                            target,
                            rehearse,
                            link,
                            plan: *plan,
                            transaction: None,
                            ending: None,
                            ended_us: None,
                            undone_by: None,
                            running: false,
                        },
                    );
                }
                Record::Committing { transaction } => {
                    if let Some(entry) = entries.get_mut(&line.id) {
                        entry.transaction = Some(transaction);
                    }
                }
                Record::Signal(intent) => {
                    read.signals.push(SignalEntry { id: line.id, at_us: line.at_us, intent: *intent, told: None });
                }
                Record::Signalled { told } => {
                    if let Some(entry) = read.signals.iter_mut().find(|s| s.id == line.id) {
                        entry.told = Some(told);
                    }
                }
                Record::Outcome { ending } => {
                    if let Some(entry) = entries.get_mut(&line.id) {
                        entry.ending = Some(ending);
                        entry.ended_us = Some(line.at_us);
                    }
                }
            }
        }
        let links: Vec<(u64, u64)> = entries
            .values()
            .filter(|e| matches!(e.ending, Some(Ending::Committed { .. })))
            .filter_map(|e| match e.link? {
                Link::Undoes(of) | Link::Redoes(of) => Some((e.id, of)),
            })
            .collect();
        for (by, of) in links {
            if let Some(entry) = entries.get_mut(&of) {
                entry.undone_by = Some(by);
            }
        }
        for entry in entries.values_mut().filter(|e| e.ending.is_none()) {
            entry.running = self.is_running(entry.id);
        }
        read.entries = entries.into_values().collect();
        Ok(read)
    }

    /// Somebody holds the lock of this action.
    fn is_running(&self, id: u64) -> bool {
        match OpenOptions::new().write(true).open(self.lock_of(id)) {
            Ok(file) => matches!(file.try_lock(), Err(TryLockError::WouldBlock)),
            Err(_) => false,
        }
    }
}

fn held(error: TryLockError) -> io::Error {
    match error {
        TryLockError::WouldBlock => io::Error::new(io::ErrorKind::WouldBlock, "another console holds it"),
        TryLockError::Error(error) => error,
    }
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // Never through a link that somebody else placed there.
        options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    }
    options
}

fn private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(dir)
}

/// Where the file ends.
struct Tail {
    previous: String,
    last_id: u64,
    /// The last line was not finished.
    torn: bool,
}

/// Only what numbering needs: plans are skipped, not built.
#[derive(Deserialize)]
struct Head {
    id: u64,
}

/// Reads the end of the file: the last line that is a record, and the highest number before it.
fn tail(file: &mut File) -> io::Result<Tail> {
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let torn = bytes.last().is_some_and(|b| *b != b'\n');
    let mut tail = Tail { previous: FIRST.to_owned(), last_id: 0, torn };
    for line in bytes.split(|b| *b == b'\n') {
        if let Ok(head) = serde_json::from_slice::<Head>(line) {
            tail.last_id = tail.last_id.max(head.id);
            tail.previous = hash(line);
        }
    }
    Ok(tail)
}

fn append(file: &mut File, tail: &Tail, id: u64, at_us: i64, record: Record) -> io::Result<()> {
    let line = Line { schema_version: 1, id, at_us, record, previous: tail.previous.clone() };
    let mut text = String::new();
    if tail.torn {
        text.push('\n');
    }
    let json = serde_json::to_string(&line).map_err(io::Error::from)?;
    // Whatever acts on a terminal or ends a line is escaped: names are not ours.
    text.push_str(&crate::text::json(&json));
    text.push('\n');
    let written = file.write(text.as_bytes())?;
    if written < text.len() {
        return Err(io::Error::new(io::ErrorKind::StorageFull, "only a part of the line fitted"));
    }
    file.sync_all()
}

fn hash(line: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(line) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::State,
        domain::change::Change,
        domain::transaction::Life,
        plan::{Ground, Step, Target},
    };

    fn plan() -> Plan {
        let step = Step {
            id: "s1".into(),
            title: "create schema odd".into(),
            sql: vec!["CREATE SCHEMA odd AUTHORIZATION app;".into()],
            change: Change::CreateSchema { name: "odd".into(), owner: "app".into() },
            undo: Some(vec!["DROP SCHEMA odd;".into()]),
            hazards: Vec::new(),
            resolves: Vec::new(),
        };
        Plan {
            schema_version: 1,
            plan_id: "0123456789abcdef".into(),
            asked: String::new(),
            target: Target {
                instance: "local".into(),
                system_identifier: Some("7".into()),
                database: "engarde".into(),
                server_version_num: 180_000,
                timeline: None,
            },
            base_fingerprint: Ground::default().fingerprint(),
            ground: Ground::default(),
            steps: vec![step],
            predicted: Ground::default(),
            effects: Vec::new(),
            notes: Vec::new(),
            left: Vec::new(),
            entry: None,
            policy: None,
        }
    }

    fn who() -> Who {
        Who { os_user: "ann\n\u{1b}[2J\u{202e}".into(), host: "h".into(), pid: 1, role: "postgres".into() }
    }

    fn begin(journal: &Journal, link: Option<Link>) -> Open {
        journal.begin(1_000_000, &who(), "postgres@h:5432/engarde", false, link, &plan()).unwrap()
    }

    fn committed() -> Ending {
        Ending::Committed { xid: 9, lock_held_ms: 3, notices: Vec::new(), resolved: false }
    }

    fn done(journal: &Journal, link: Option<Link>) -> u64 {
        let open = begin(journal, link);
        let id = open.id;
        journal.end(open, 2_000_000, committed()).unwrap();
        id
    }

    #[test]
    fn an_entry_is_its_intent_its_transaction_and_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::in_dir(&dir.path().join("a/b"));
        assert!(journal.read().unwrap().entries.is_empty());
        let open = begin(&journal, None);
        assert_eq!(journal.read().unwrap().entries[0].state(), State::Running);
        let transaction = Transaction { xid: 9, life: Life::default(), pid: 4, backend_start_us: None };
        journal.committing(&open, 1_500_000, &transaction).unwrap();
        journal.end(open, 2_000_000, committed()).unwrap();
        let read = journal.read().unwrap();
        assert_eq!((read.damaged, read.broken_chain), (0, None));
        let entry = &read.entries[0];
        assert_eq!((entry.id, entry.state(), entry.ended_us), (1, State::Committed, Some(2_000_000)));
        assert_eq!(entry.transaction.as_ref(), Some(&transaction));
        assert_eq!((&entry.who, &entry.plan), (&who(), &plan()));
        let text = fs::read_to_string(journal.path()).unwrap();
        assert!(text.chars().all(|c| c == '\n' || !crate::text::is_unsafe(c)), "{text:?}");
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn a_console_that_died_leaves_an_open_entry_and_a_living_one_a_running() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::in_dir(dir.path());
        let open = begin(&journal, None);
        // Dropped without an end, as when the process is gone.
        drop(open);
        let living = begin(&journal, None);
        let entries = journal.read().unwrap().entries;
        assert_eq!(entries.iter().map(Entry::state).collect::<Vec<_>>(), [State::Unsettled, State::Running]);
        assert!(entries[0].is_open() && !entries[1].is_open());
        journal.settle(1, 3_000_000, Ending::Unknown { why: "away".into() }).unwrap();
        assert!(journal.read().unwrap().entries[0].is_open(), "unknown is looked into again");
        journal.settle(1, 4_000_000, committed()).unwrap();
        assert_eq!(journal.read().unwrap().entries[0].state(), State::Committed);
        drop(living);
    }

    #[test]
    fn what_is_undone_and_done_again_is_linked() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::in_dir(dir.path());
        let state = |id: u64| {
            let read = journal.read().unwrap();
            let entry = read.entries.iter().find(|e| e.id == id).unwrap();
            (entry.can_be_undone(), entry.can_be_redone(), entry.undone_by)
        };
        let first = done(&journal, None);
        assert_eq!(state(first), (true, false, None));
        let undo = done(&journal, Some(Link::Undoes(first)));
        assert_eq!((state(first), state(undo)), ((false, false, Some(undo)), (false, true, None)));
        let redo = done(&journal, Some(Link::Redoes(undo)));
        assert_eq!((state(undo), state(redo)), ((false, false, Some(redo)), (true, false, None)));
        // One that did not come to pass links nothing.
        let open = begin(&journal, Some(Link::Undoes(redo)));
        journal.end(open, 5, Ending::NotCommitted { why: "x".into(), details: Vec::new() }).unwrap();
        assert_eq!(state(redo), (true, false, None));
    }

    #[test]
    fn a_torn_line_costs_itself_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::in_dir(dir.path());
        done(&journal, None);
        let whole = fs::read(journal.path()).unwrap();
        // Cut anywhere in the last line: what stood before is there, and what comes after is, too.
        let second = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
        for cut in (second + 1..whole.len()).step_by(7) {
            fs::write(journal.path(), &whole[..cut]).unwrap();
            let id = done(&journal, None);
            assert_eq!(id, 2);
            let read = journal.read().unwrap();
            assert_eq!(read.entries.len(), 2, "cut at {cut}");
            assert!(read.damaged <= 1 && read.broken_chain.is_none(), "cut at {cut}");
            assert_eq!(read.entries[1].state(), State::Committed);
        }
    }

    #[test]
    fn an_altered_line_breaks_the_chain() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::in_dir(dir.path());
        done(&journal, None);
        done(&journal, None);
        let text = fs::read_to_string(journal.path()).unwrap();
        fs::write(journal.path(), text.replacen("\"xid\":9", "\"xid\":8", 1)).unwrap();
        assert_eq!(journal.read().unwrap().broken_chain, Some(3));
        let without: Vec<&str> = text.lines().skip(1).collect();
        fs::write(journal.path(), without.join("\n") + "\n").unwrap();
        assert_eq!(journal.read().unwrap().broken_chain, Some(1), "a line that was taken out is missed");
    }

    #[test]
    fn several_writers_keep_their_lines_apart() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let journal = Journal::in_dir(dir.path());
                    (0..5).for_each(|_| {
                        done(&journal, None);
                    });
                });
            }
        });
        let read = Journal::in_dir(dir.path()).read().unwrap();
        assert_eq!(read.entries.iter().map(|e| e.id).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
        assert!(read.damaged == 0 && read.broken_chain.is_none());
        assert!(read.entries.iter().all(|e| e.state() == State::Committed));
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_it_and_a_link_is_not_followed() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::in_dir(&dir.path().join("state"));
        done(&journal, None);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&journal.path()), mode(&dir.path().join("state"))), (0o600, 0o700));
        let other = dir.path().join("elsewhere");
        fs::write(&other, "").unwrap();
        fs::remove_file(journal.path()).unwrap();
        std::os::unix::fs::symlink(&other, journal.path()).unwrap();
        assert!(journal.begin(1, &who(), "x", false, None, &plan()).is_err());
        assert_eq!(fs::read(&other).unwrap(), b"");
    }
}
