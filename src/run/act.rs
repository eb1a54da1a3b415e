//! The one way to change anything: read-only is refused, what earlier consoles left open is settled, the intent is written
//! to the journal, the plan is applied, the outcome is written down. Console and commands both come through here; what is
//! shown and confirmed before is theirs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::SecretString;

use crate::{
    audit::{Ending, Entry, Journal, JournalError, Link, Open, SignalIntent, Who},
    config::{Conninfo, Target},
    domain::transaction::Transaction,
    plan::Approved,
    server::{
        self,
        apply::{ApplyOptions, Aside, Outcome, Progress, Reason, Resolution, apply, resolve},
        signal::{Aim, Signal, Told},
    },
};

/// How long an action that an earlier console left open is asked about.
const SETTLING: Duration = Duration::from_secs(10);

/// What is to be done.
pub struct Order {
    pub plan: Approved,
    pub link: Option<Link>,
    pub options: ApplyOptions,
}

/// What became of it.
#[derive(Debug)]
pub struct Acted {
    /// Its number in the journal; `None` when it never got there.
    pub id: Option<u64>,
    pub outcome: Outcome,
    /// The outcome could not be written down: it stands all the same.
    pub unwritten: Option<String>,
    /// Actions of earlier consoles whose end was found out on the way: number and how.
    pub settled: Vec<(u64, Ending)>,
}

/// Where passwords come from: asked for by role, before anything is begun.
pub type Passwords<'a> = &'a mut (dyn FnMut(&str) -> Option<SecretString> + Send);
/// Who watches.
pub type Watch<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// Does it, or says why not. See the module.
pub async fn act(
    target: &Target,
    journal: &Journal,
    order: Order,
    passwords: Passwords<'_>,
    watch: Watch<'_>,
) -> Acted {
    let plan = order.plan.plan();
    let nothing = |outcome, settled| Acted { id: None, outcome, unwritten: None, settled };
    let refuse = |why: String, settled| nothing(Outcome::NothingChanged(Reason::Refused(why)), settled);
    if target.conninfo.read_only {
        return refuse(format!("{} is read-only here", target.name), Vec::new());
    }
    if plan.is_empty() {
        return refuse("the plan has no step".to_owned(), Vec::new());
    }
    let who = Who { role: target.conninfo.user.clone(), ..this_process() };
    let system = plan.target.system_identifier.as_deref();
    let settled = match settle(&target.conninfo, journal, system, &plan.target.database).await {
        Ok(settled) => settled,
        Err(error) => return nothing(Outcome::NothingChanged(Reason::Journal(error.to_string())), Vec::new()),
    };
    let place = target.conninfo.to_string();
    let open = match journal.begin(now_us(), &who, &place, order.options.rehearse, order.link, plan) {
        Ok(open) => open,
        Err(error) => return nothing(Outcome::NothingChanged(Reason::Journal(error.to_string())), settled),
    };
    let id = open.id;
    let mut hand = Hand { journal, open: &open, passwords, watch };
    let outcome = apply(&target.conninfo, &order.plan, &order.options, &mut hand).await;
    let unwritten = journal.end(open, now_us(), ending(&outcome)).err().map(|error| error.to_string());
    Acted { id: Some(id), outcome, unwritten, settled }
}

/// Finds out how actions on this database ended that nobody wrote the end of, and writes it down.
///
/// # Errors
/// The journal cannot be read or written.
pub async fn settle(
    conninfo: &Conninfo,
    journal: &Journal,
    system_identifier: Option<&str>,
    database: &str,
) -> Result<Vec<(u64, Ending)>, JournalError> {
    let mut settled = Vec::new();
    for entry in journal.read()?.entries {
        if !entry.is_open() || !entry.is_about(system_identifier, database) {
            continue;
        }
        let ending = found_out(conninfo, &entry).await;
        // Still unknown, and said before: no second line about it.
        if !(matches!(ending, Ending::Unknown { .. }) && entry.ending.is_some()) {
            journal.settle(entry.id, now_us(), ending.clone())?;
        }
        settled.push((entry.id, ending));
    }
    Ok(settled)
}

async fn found_out(conninfo: &Conninfo, entry: &Entry) -> Ending {
    let Some(transaction) = &entry.transaction else {
        let why = "the console ended before it sent COMMIT".to_owned();
        return Ending::NotCommitted { why, details: Vec::new() };
    };
    match resolve(conninfo, transaction, &entry.plan, SETTLING).await {
        Resolution::Committed { .. } => {
            Ending::Committed { xid: transaction.xid, lock_held_ms: 0, notices: Vec::new(), resolved: true }
        }
        Resolution::NotCommitted => {
            let why = "the server rolled it back: the console or the line ended in COMMIT".to_owned();
            Ending::NotCommitted { why, details: Vec::new() }
        }
        Resolution::Unknown(why) => Ending::Unknown { why },
    }
}

/// Ends sessions, or says why not: read-only and `allow_signals` are asked, the journal is written before and after.
///
/// # Errors
/// In words, when nothing was sent, or when it is not known what was.
pub async fn signal(
    target: &Target,
    journal: &Journal,
    identity: (Option<String>, String),
    kind: Signal,
    aims: &[Aim],
    names: &[String],
) -> Result<Vec<Told>, String> {
    if target.conninfo.read_only {
        return Err(format!("{} is read-only here", target.name));
    }
    if !target.allow_signals {
        return Err(format!("the configuration says allow_signals = false for {}", target.name));
    }
    let word = match kind {
        Signal::Cancel => "cancel",
        Signal::Terminate => "terminate",
    };
    let intent = SignalIntent {
        who: Who { role: target.conninfo.user.clone(), ..this_process() },
        target: target.conninfo.to_string(),
        system_identifier: identity.0,
        database: identity.1,
        signal: word.to_owned(),
        sessions: names.to_vec(),
    };
    let id = journal.begin_signal(now_us(), intent).map_err(|e| e.to_string())?;
    let sent = server::signal::signal(&target.conninfo, kind, aims).await;
    let told: Vec<String> = match &sent {
        Ok(told) => told
            .iter()
            .map(|told| match told {
                Told::Ended => "sent, and it ended".to_owned(),
                Told::Sent => "sent".to_owned(),
                Told::Vanished(why) | Told::Refused(why) => why.clone(),
                Told::Unknown(why) => format!("not known: {why}"),
            })
            .collect(),
        Err(error) => aims.iter().map(|_| error.to_string()).collect(),
    };
    let written = journal.end_signal(id, now_us(), told);
    let sent = sent.map_err(|e| e.to_string())?;
    if let Err(error) = written {
        tracing::warn!(%error, "the journal does not say what became of a signal");
    }
    Ok(sent)
}

/// An outcome as the journal keeps it.
#[must_use]
pub fn ending(outcome: &Outcome) -> Ending {
    match outcome {
        Outcome::Committed(done) => Ending::Committed {
            xid: done.xid,
            lock_held_ms: done.lock_held_ms,
            notices: done.notices.iter().map(|n| format!("{} {}: {}", n.severity, n.sqlstate, n.message)).collect(),
            resolved: done.resolved,
        },
        Outcome::RehearsalProven(done) => Ending::Rehearsed { lock_held_ms: done.lock_held_ms },
        Outcome::NothingChanged(reason) => Ending::NotCommitted { why: reason.to_string(), details: reason.story() },
        Outcome::Unknown { why, .. } => Ending::Unknown { why: why.clone() },
    }
}

/// What the action asks of this side while it runs.
struct Hand<'a> {
    journal: &'a Journal,
    open: &'a Open,
    passwords: Passwords<'a>,
    watch: Watch<'a>,
}

impl Aside for Hand<'_> {
    fn password(&mut self, role: &str) -> Option<SecretString> {
        (self.passwords)(role)
    }
    fn committing(&mut self, transaction: &Transaction) -> Result<(), String> {
        self.journal.committing(self.open, now_us(), transaction).map_err(|error| error.to_string())
    }
    fn progress(&mut self, progress: Progress) {
        (self.watch)(progress);
    }
}

/// The clock of this machine, in microseconds of the Unix epoch.
fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn this_process() -> Who {
    let named = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let read = |path| std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let host = read("/proc/sys/kernel/hostname").or_else(|| std::env::var("HOSTNAME").ok());
    Who {
        os_user: named.unwrap_or_else(unnamed),
        host: host.unwrap_or_default(),
        pid: std::process::id(),
        role: String::new(),
    }
}

#[cfg(unix)]
fn unnamed() -> String {
    format!("uid {}", rustix::process::getuid().as_raw())
}

#[cfg(not(unix))]
fn unnamed() -> String {
    String::new()
}
