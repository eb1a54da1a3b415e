//! Acting from the console, as data: what is asked for, the plan that comes back, what is confirmed, how it went. Work is
//! done outside and comes back under the ticket it was given; what comes for a ticket that nobody waits for is dropped.
//!
//! ```text
//!  c, m, I ─▶ Form ──Enter─┐         ┌── Asking ◀─┐ what nothing decides, answered with y and n
//!  f, u ─▶ Effect::Plan ─▶ Planning ─┴▶ Shown ──Enter──▶ Confirm ──y, or the typed name──▶ Effect::Apply ─▶ Running ─▶ Over
//!  x, X ────────────────────────────▶ Shown │ ▲                                           Effect::Signal
//!                                           r └── Effect::Rehearse ─▶ Running ─▶ (result above the plan)
//! ```
//! A dialog hears no key that was pressed before its present stage stood on the screen ([`preview::Preview::armed`]).

mod asking;
mod drive;
pub mod ending;
mod fill;
pub mod form;
#[cfg(test)]
mod form_tests;
pub(super) mod forms;
mod gate;
pub mod lines;
pub mod preview;
#[cfg(test)]
mod storm_tests;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc};

use secrecy::SecretString;

use super::view::{Line, Tone};
use crate::{
    plan::{
        Plan, PolicyEntry,
        moves::{Answers, Question, Whereabouts, isolate, versions},
        setup,
    },
    policy::Service,
};

pub use gate::Deed;

/// What a plan is wanted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Settle these findings; empty: every one that has a fix. Those of `except` are left alone.
    Fix { findings: Vec<String>, except: Vec<String> },
    /// Take back what an entry of the journal did; `None`: the newest that can be.
    Undo { entry: Option<u64> },
    /// Do again what an entry of the journal took back; `None`: the newest that can be.
    Redo { entry: Option<u64> },
    /// Set a service up; adds it to the policy's file afterwards.
    Create { wanted: Box<setup::Wanted>, to_policy: bool },
    /// Move a version table, or rows of it.
    MoveVersions(Box<versions::Wanted>),
    /// Take a service out of the schema that it shares. What belongs to it is said by the policy, or by these files. Adds it
    /// to the policy's file afterwards.
    Isolate { wanted: Box<isolate::Wanted>, files: IsolateFiles, to_policy: bool },
}

/// Files that say what belongs to a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IsolateFiles {
    /// Folders of its revision scripts, in place of the policy's.
    pub revisions: Vec<PathBuf>,
    /// A name or glob of its tables on each line.
    pub tables: Option<PathBuf>,
}

impl Ask {
    /// What somebody answered so far, where there can be questions.
    pub fn answers(&mut self) -> Option<&mut Answers> {
        match self {
            Ask::MoveVersions(wanted) => Some(&mut wanted.answers),
            Ask::Isolate { wanted, .. } => Some(&mut wanted.answers),
            Ask::Fix { .. } | Ask::Undo { .. } | Ask::Redo { .. } | Ask::Create { .. } => None,
        }
    }
}

/// What a plan is to the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Something new.
    New,
    Undoes(u64),
    Redoes(u64),
}

/// A plan, ready to be looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Ready {
    /// What it is for, in a few words: `Fix 3 findings`.
    pub title: String,
    pub plan: Plan,
    pub meaning: Meaning,
    /// Cells of the matrix before and after.
    pub cells: Vec<CellChange>,
    /// How many findings the plan settles, and how many with a fix are left.
    pub settles: usize,
    pub remaining: usize,
    /// Steps that the login cannot do, and what right it lacks.
    pub lacks: Vec<String>,
    /// Who is in the way of its locks at the moment, and for how long they will be held; empty where it takes none.
    pub now: Vec<String>,
    /// What nothing decides but a person; the plan is without it.
    pub questions: Vec<Question>,
    pub after: After,
}

/// What is done and told once a plan is committed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct After {
    /// The service that the plan sets up: for the hand-over.
    pub service: Option<Service>,
    /// What files hold because of what is taken back: it goes with it.
    pub remains: Option<Remains>,
    /// Where roles find their version tables.
    pub whereabouts: Vec<Whereabouts>,
    /// What applications need besides.
    pub needs: Vec<String>,
}

/// What a set-up left in files: its entry in the policy, passwords of its roles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remains {
    /// To be taken out of its file.
    pub entry: Option<PolicyEntry>,
    /// To be put back into its file.
    pub again: Option<PolicyEntry>,
    /// Files with the password of a role that will be gone; the role.
    pub passwords: Vec<(String, PathBuf)>,
}

/// One cell of the matrix before and after, as the pane Grants writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellChange {
    /// `None` is PUBLIC.
    pub role: Option<String>,
    pub schema: String,
    pub before: Line,
    pub after: Line,
}

/// News of an action.
#[derive(Debug, Clone)]
pub enum ActNews {
    /// The plan that was asked for, or why there is none: the first line says what, the others what to do.
    Ready(Result<Box<Ready>, Vec<String>>),
    Progress(Progress),
    Over(Told),
}

/// What an action is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub words: String,
    /// Who is waited for and the like, one line each.
    pub details: Vec<String>,
    /// Position of the step that runs.
    pub step: Option<usize>,
    /// Asking to stop still leads to a rollback; not any more once COMMIT was sent.
    pub stoppable: bool,
}

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub fate: Fate,
    /// One sentence.
    pub title: String,
    /// One line each, raw.
    pub details: Vec<String>,
    /// What to do now.
    pub remedy: Option<String>,
    /// Findings of the step that the server refused: a plan without them may go through.
    pub refused: Vec<String>,
    /// What came of it besides.
    pub aftermath: Option<Box<Aftermath>>,
}

impl Told {
    /// Nothing to tell but how it ended.
    #[must_use]
    pub fn new(fate: Fate, title: impl Into<String>) -> Told {
        let (details, refused) = (Vec::new(), Vec::new());
        Told { fate, title: title.into(), details, remedy: None, refused, aftermath: None }
    }
}

/// What was found out and made once it was committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aftermath {
    /// Sentences: how the login went, where version tables are found, what else is needed.
    pub said: Vec<(Tone, String)>,
    pub handover: Option<Handed>,
}

/// What the people of a service need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    pub role: String,
    /// The file of its owner alone in which the URL stands with its password.
    pub file: String,
    /// The blocks to paste; the password is not in them.
    pub text: String,
    pub password: Hidden,
}

/// A password that is shown only when somebody asks for it.
#[derive(Debug, Clone)]
pub struct Hidden(pub Arc<SecretString>);

impl PartialEq for Hidden {
    fn eq(&self, other: &Hidden) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Hidden {}

/// The four ways an action can end, and a signal's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Committed,
    /// Done, proven and rolled back.
    Rehearsed,
    /// Nothing was changed.
    Nothing,
    /// Nobody can say; the title says why and the remedy how to find out.
    Unknown,
}

/// The journal, as far as it is shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Book {
    /// Newest first.
    pub entries: Vec<BookEntry>,
    /// Where it is.
    pub path: String,
    /// Why it could not be read, or what in it is damaged.
    pub problem: Option<String>,
}

/// One action of the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct BookEntry {
    pub id: u64,
    /// Position of the instance it was done to, where one of those shown is that.
    pub instance: Option<usize>,
    /// Microseconds of the Unix epoch, and the local time in words.
    pub at_us: i64,
    pub at: String,
    pub who: String,
    pub target: String,
    pub what: String,
    /// `committed`, `undone` and so on.
    pub state: &'static str,
    pub tone: super::view::Tone,
    /// How it ended: transaction, locks, notices, reasons.
    pub details: Vec<String>,
    pub undone_by: Option<u64>,
    pub meaning: Meaning,
    pub can_undo: bool,
    pub can_redo: bool,
    /// Title and statements of each step.
    pub steps: Vec<(String, Vec<String>)>,
    /// Statements that take it back, in the order in which they would run.
    pub undo: Vec<String>,
}
