//! Runs an approved plan: one transaction on a connection of its own, on exactly the ground the plan was made for, proven
//! before COMMIT, and never told as done or not done without knowing.
//!
//! Begin with local settings, the lock between consoles, the ground read again and compared, the locks of tables without
//! waiting, exactly the previewed statements, the result read and compared with the prediction, the transaction's number
//! written down by the caller, `SELECT 1; COMMIT` in one message. A pause, or a question to a person, never happens while
//! a transaction of ours is open. What cannot be known at once is found out by `resolve`.

mod attempt;
mod line;
pub mod login;
pub mod now;
pub mod outcome;
pub mod password;
pub mod preflight;
pub mod resolve;

use std::time::Duration;

use rand::RngExt as _;
use secrecy::SecretString;
use tokio::{sync::watch, time::Instant};

use self::{
    attempt::{Attempt, Verdict},
    line::Line,
};
pub use self::{
    outcome::{Done, Outcome, Reason, Try},
    resolve::{Resolution, resolve},
};
pub use super::read::life::Blocker;
use crate::{
    config::{Conninfo, Leave},
    domain::{change::Change, snapshot::Kind, transaction::Transaction},
    plan::{Approved, Key, Plan, State},
};

/// How an action is run. Times that the server keeps are in milliseconds.
#[derive(Debug, Clone)]
pub struct ApplyOptions {
    /// Do everything, prove it, and roll back.
    pub rehearse: bool,
    /// How long a statement may wait for a lock, and with it everybody who waits behind us.
    pub lock_ms: u32,
    /// How long a statement may run.
    pub statement_ms: u32,
    /// Whole transactions to try when locks are not to be had.
    pub lock_attempts: u32,
    /// Shortest and longest pause between them, without a transaction.
    pub pause: (Duration, Duration),
    /// Whole transactions to try again when somebody else changed the same rows at the same time.
    pub conflicts: u32,
    /// How long another console that is at work is waited for.
    pub console: Duration,
    /// How long to wait for the answer to a small question, and four times that for a reading.
    pub answer: Duration,
    /// How long to wait for the answer to COMMIT, and then for certainty about it.
    pub commit: Duration,
    pub resolve: Duration,
    /// Becomes true when somebody wants to stop: obeyed until COMMIT is sent.
    pub stop: Option<watch::Receiver<bool>>,
}

impl Default for ApplyOptions {
    fn default() -> ApplyOptions {
        ApplyOptions {
            rehearse: false,
            lock_ms: 300,
            statement_ms: 30_000,
            lock_attempts: 20,
            pause: (Duration::from_millis(100), Duration::from_millis(500)),
            conflicts: 1,
            console: Duration::from_secs(10),
            answer: Duration::from_secs(5),
            commit: Duration::from_secs(10),
            resolve: Duration::from_secs(30),
            stop: None,
        }
    }
}

/// What an action is doing, for whoever watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    Connecting,
    /// Another console is at work.
    WaitingForConsole(Vec<Blocker>),
    /// A lock was not to be had; the whole transaction is tried again after a pause.
    WaitingForLock {
        /// From 1.
        attempt: u32,
        of: u32,
        blockers: Vec<Blocker>,
    },
    /// Comparing the ground with the plan's.
    Comparing,
    /// Running this step, from 0.
    Step(usize),
    /// Comparing the result with the prediction.
    Proving,
    Committing,
    /// The line broke in COMMIT; looking for what became of it.
    Resolving,
}

/// What the caller contributes while an action runs.
pub trait Aside: Send {
    /// The password that a role shall get. It leaves this process only as a SCRAM verifier.
    fn password(&mut self, role: &str) -> Option<SecretString>;
    /// Writes down, for good, which transaction is about to commit. What cannot be written down is rolled back.
    ///
    /// # Errors
    /// In words: why it could not be written.
    fn committing(&mut self, transaction: &Transaction) -> Result<(), String>;
    fn progress(&mut self, progress: Progress);
}

/// Runs the plan, or rehearses it. Never panics, never guesses, and returns within the limits of the options.
pub async fn apply(target: &Conninfo, approved: &Approved, options: &ApplyOptions, aside: &mut dyn Aside) -> Outcome {
    let plan = approved.plan();
    let Some(leave) = target.leave() else { return Outcome::refused(format!("{target} is read-only here")) };
    if plan.ground.fingerprint() != plan.base_fingerprint {
        return Outcome::refused("the plan was altered: its fingerprint is not that of the state it names");
    }
    let mut verifiers = Vec::new();
    for role in plan.passwords() {
        let Some(password) = aside.password(role) else {
            return Outcome::refused(format!("there is no password for role {role}"));
        };
        match password::verifier(&password) {
            Ok(verifier) => verifiers.push((role.to_owned(), verifier)),
            Err(why) => return Outcome::refused(format!("could not use the password for role {role}: {why}")),
        }
    }
    let mut run = Run {
        target,
        leave,
        plan,
        options,
        locks: locks(plan),
        verifiers,
        line: None,
        watcher: None,
        begun: Instant::now(),
        tries: 0,
    };
    Box::pin(run.until_it_is_over(aside)).await
}

/// One action under way.
struct Run<'a> {
    target: &'a Conninfo,
    leave: Leave,
    plan: &'a Plan,
    options: &'a ApplyOptions,
    /// Tables to lock before anything else.
    locks: Locks,
    verifiers: Vec<(String, String)>,
    line: Option<Line>,
    /// A second connection that sees for whom we wait; opened when a lock was not to be had.
    watcher: Option<Line>,
    begun: Instant,
    tries: u32,
}

impl Run<'_> {
    async fn until_it_is_over(&mut self, aside: &mut dyn Aside) -> Outcome {
        let (mut conflicts, mut unproven) = (0, 0);
        let mut tries = Vec::new();
        let mut stop = self.options.stop.clone();
        loop {
            if stopped(stop.as_ref()) {
                return Outcome::NothingChanged(Reason::Interrupted);
            }
            if self.line.as_ref().is_none_or(Line::is_broken) {
                aside.progress(Progress::Connecting);
                self.line = None;
                let opened = tokio::select! {
                    opened = Line::open(self.target) => opened,
                    () = wish_to_stop(&mut stop) => return Outcome::NothingChanged(Reason::Interrupted),
                };
                match opened {
                    Ok(line) => {
                        if let Some(why) = self.not_here(&line) {
                            return Outcome::refused(why);
                        }
                        self.line = Some(line);
                    }
                    Err(error) => return Outcome::NothingChanged(Reason::Unreachable(error)),
                }
            }
            self.tries += 1;
            let verdict = Box::pin(Attempt::new(self).run(aside, &mut stop)).await;
            let (wait, shortest) = match verdict {
                Verdict::Over(outcome) => return outcome,
                Verdict::Console(blockers) => {
                    if self.begun.elapsed() > self.options.console {
                        return Outcome::NothingChanged(Reason::Busy(blockers));
                    }
                    aside.progress(Progress::WaitingForConsole(blockers));
                    (Duration::from_millis(80), Duration::from_millis(20))
                }
                Verdict::Locked { what, blockers, error } => {
                    let took_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                    tries.push(Try { at_ms: took_ms, blockers: blockers.clone() });
                    let (attempt, of) = (u32::try_from(tries.len()).unwrap_or(u32::MAX), self.options.lock_attempts);
                    if attempt >= of {
                        let why = Reason::LockTimeout { what, blockers, attempts: attempt, took_ms, tries, error };
                        return Outcome::NothingChanged(why);
                    }
                    aside.progress(Progress::WaitingForLock { attempt, of, blockers });
                    if self.watcher.is_none() {
                        self.watcher = Line::open(self.target).await.ok();
                    }
                    (self.options.pause.1, self.options.pause.0)
                }
                Verdict::Conflict(outcome) => {
                    conflicts += 1;
                    if conflicts > self.options.conflicts {
                        return outcome;
                    }
                    (Duration::from_millis(100), Duration::from_millis(20))
                }
                // Somebody may have changed the same things between the two readings: then the next reading says so.
                Verdict::Unproven(moved) => {
                    unproven += 1;
                    if unproven > 1 {
                        return Outcome::NothingChanged(Reason::ProofFailed(moved));
                    }
                    (Duration::from_millis(50), Duration::from_millis(10))
                }
            };
            let pause = if wait > shortest { rand::rng().random_range(shortest..=wait) } else { shortest };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = wish_to_stop(&mut stop) => return Outcome::NothingChanged(Reason::Interrupted),
            }
        }
    }

    /// Why this is not the server or the database that the plan is for.
    fn not_here(&self, line: &Line) -> Option<String> {
        let target = &self.plan.target;
        if let (Some(wanted), Some(found)) = (&target.system_identifier, &line.facts.system_identifier)
            && wanted != found
        {
            return Some(format!("the plan is for another cluster (system identifier {wanted}), and this is {found}"));
        }
        if target.database != line.here.database {
            return Some(format!("the plan is for database {}, and this is {}", target.database, line.here.database));
        }
        let (wanted, found) = (target.server_version_num / 10_000, line.facts.version_num / 10_000);
        if wanted != found {
            return Some(format!("the plan was made for PostgreSQL {wanted}, and this is {found}"));
        }
        if let Some(why) = target.went_another_way(line.here.life.timeline.as_deref()) {
            return Some(why);
        }
        line.here.in_recovery.then(|| "this server is a standby: changes are made on the primary".to_owned())
    }
}

fn stopped(stop: Option<&watch::Receiver<bool>>) -> bool {
    stop.is_some_and(|stop| *stop.borrow())
}

/// Ends when somebody wants to stop, and never else.
async fn wish_to_stop(stop: &mut Option<watch::Receiver<bool>>) {
    let asked = match stop {
        Some(stop) => stop.wait_for(|stop| *stop).await.is_ok(),
        None => false,
    };
    if !asked {
        std::future::pending::<()>().await;
    }
}

/// What a plan's statements lock and others may hold.
#[derive(Debug, Default, PartialEq, Eq)]
struct Locks {
    /// Tables that are there before it runs, quoted, each once: locked against everybody.
    exclusive: Vec<String>,
    /// The same, locked against those who write.
    writers: Vec<String>,
    /// Statements that may have to wait while those locks are held: for views, sequences and others that LOCK does not
    /// take.
    waits: u32,
}

impl Locks {
    /// How long each of those may wait, in milliseconds, so that all of them wait no longer than `limit` together.
    fn each(&self, limit: u32) -> u32 {
        const LEAST: u32 = 10;
        (limit / self.waits.max(1)).max(LEAST.min(limit))
    }

    /// The statements that take them, without waiting.
    fn statements(&self) -> Vec<String> {
        [(&self.exclusive, "access exclusive"), (&self.writers, "share row exclusive")]
            .into_iter()
            .filter(|(names, _)| !names.is_empty())
            .map(|(names, mode)| format!("lock table only {} in {mode} mode nowait", names.join(", only ")))
            .collect()
    }

    fn is_empty(&self) -> bool {
        self.exclusive.is_empty() && self.writers.is_empty()
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.exclusive.iter().chain(&self.writers).map(String::as_str).collect();
        names.join(", ")
    }
}

fn locks(plan: &Plan) -> Locks {
    let mut locks = Locks::default();
    for step in &plan.steps {
        let mut writers = false;
        let mut also = None;
        let (schema, table) = match &step.change {
            Change::SetOwner { object, .. } | Change::SetSchema { object, .. } => match object.kind {
                Kind::Table | Kind::Partitioned => (&object.schema, &object.name),
                // LOCK TABLE does not take these, or reaches beyond them.
                Kind::View | Kind::MaterializedView | Kind::Foreign | Kind::Sequence => {
                    locks.waits += 1;
                    continue;
                }
                Kind::Function | Kind::Procedure | Kind::Aggregate | Kind::Window | Kind::Type => continue,
            },
            Change::MoveVersionTable { schema, name, .. }
            | Change::RenameVersionTable { schema, name, .. }
            | Change::DropVersionTable { schema, name } => (schema, name),
            Change::EnableRls { schema, table }
            | Change::DisableRls { schema, table }
            | Change::ForceRls { schema, table }
            | Change::NoForceRls { schema, table }
            | Change::CreateTenantPolicy { schema, table, .. }
            | Change::DropPolicy { schema, table, .. }
            | Change::DropAuditTrigger { schema, table }
            | Change::InsertVersionRows { schema, table, .. }
            | Change::DeleteVersionRows { schema, table, .. } => (schema, table),
            Change::MoveVersionRows { schema, table, to, .. } => {
                also = Some((to, table));
                (schema, table)
            }
            Change::CreateAuditTrigger { schema, table, .. } => {
                writers = true;
                (schema, table)
            }
            Change::SetExtensionSchema { .. }
            | Change::ValidateForeignKey { .. }
            | Change::SetViewInvoker { .. }
            | Change::ResetViewInvoker { .. } => {
                locks.waits += 1;
                continue;
            }
            _ => continue,
        };
        let is_there = |schema: &str, table: &str| {
            plan.ground.0.iter().any(|(key, state)| match (key, state) {
                (Key::Object { schema: s, name: n, .. }, Some(State::Object { kind, .. })) => {
                    s == schema && n == table && matches!(kind, Kind::Table | Kind::Partitioned)
                }
                (Key::VersionRows { schema: s, table: t }, Some(_)) => s == schema && t == table,
                _ => false,
            })
        };
        for (schema, table) in also.into_iter().chain([(schema, table)]) {
            let name = crate::domain::qualified(schema, table);
            let list = if writers { &mut locks.writers } else { &mut locks.exclusive };
            if is_there(schema, table) && !list.contains(&name) {
                list.push(name);
            }
        }
    }
    let Locks { exclusive, writers, .. } = &mut locks;
    writers.retain(|name| !exclusive.contains(name));
    locks
}

/// The version tables whose rows the plan changes, quoted.
fn rewritten(plan: &Plan) -> Vec<String> {
    let mut names = Vec::new();
    for step in &plan.steps {
        match &step.change {
            Change::InsertVersionRows { schema, table, .. } | Change::DeleteVersionRows { schema, table, .. } => {
                names.push(crate::domain::qualified(schema, table));
            }
            Change::MoveVersionRows { schema, table, to, .. } => {
                names.extend([schema, to].map(|schema| crate::domain::qualified(schema, table)));
            }
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::change::ObjectRef,
        plan::{audit, build, choice::Choice},
        policy::checks::fixture::Fixture,
    };

    #[test]
    fn what_a_trail_watches_is_locked_against_writers_before_anything_waits() {
        let f = Fixture::new().role("app").schema("shop", "app").table("shop", "a", "app").table("shop", "b", "app");
        let tables = Choice::parse(&["shop.*".to_owned()]).unwrap();
        let wanted = audit::Wanted { tables, ..audit::Wanted::default() };
        let plan = audit::plan(&std::sync::Arc::new(f.case().snapshot), None, &wanted).unwrap();
        let locks = locks(&plan);
        assert_eq!(locks.statements(), ["lock table only shop.a, only shop.b in share row exclusive mode nowait"]);
        assert_eq!((locks.waits, locks.each(300)), (0, 300));
    }

    #[test]
    fn what_cannot_be_locked_at_once_shares_the_time_that_others_may_wait() {
        let mut f = Fixture::new().role("app").schema("shop", "app").schema("new", "app").table("shop", "t", "app");
        f = f.table("new", "there", "app");
        let mut changes = vec![(Kind::Table, "t".to_owned())];
        for n in 0..6 {
            let name = format!("free_{n}");
            f = f.sequence("shop", &name, "app");
            changes.push((Kind::Sequence, name));
        }
        let changes = changes.into_iter().map(|(kind, name)| Change::SetSchema {
            object: ObjectRef { kind, schema: "shop".into(), name },
            to: "new".into(),
        });
        let locks = locks(&build::of_changes(&f.case().snapshot, changes).unwrap());
        assert_eq!(locks.statements(), ["lock table only shop.t in access exclusive mode nowait"]);
        assert_eq!((locks.waits, locks.each(300), locks.each(5)), (6, 50, 5));
    }
}
