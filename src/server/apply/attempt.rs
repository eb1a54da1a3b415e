//! One whole transaction of an action, from BEGIN to COMMIT or to the reason why not. Decides nothing about trying again.

use std::{collections::BTreeSet, future::Future, time::Duration};

use futures_util::future::join_all;
use tokio::{sync::watch, time::Instant};

use super::{
    Aside, Progress, Run,
    line::{Line, QUESTION, ask},
    outcome::{Done, Outcome, Reason},
    resolve::{Resolution, resolve_moved},
    wish_to_stop,
};
use crate::{
    domain::{Oid, change::Change, transaction::Transaction},
    plan::{Ground, Moved, State, predict, sql},
    server::{
        ServerError,
        errors::{self, Notice},
        read::{
            Limits, Opening,
            ground::ground,
            life::{self, Blocker, InTheWay},
            versions,
        },
    },
};

/// For reading everything that a plan touches, when the action is over.
const READING: Duration = Duration::from_secs(20);
/// Statements that are under way at once: `join_all` polls up to thirty in their order.
const AT_ONCE: usize = 25;
/// How often somebody looks for whom we wait.
const LOOK: Duration = Duration::from_millis(60);

/// How one transaction ended.
pub(super) enum Verdict {
    Over(Outcome),
    /// Another console holds the lock between them.
    Console(Vec<Blocker>),
    /// A lock was not to be had.
    Locked {
        what: String,
        blockers: Vec<Blocker>,
        error: Box<errors::ServerError>,
    },
    /// Somebody changed the same rows at the same time; with the outcome if it is not tried again.
    Conflict(Outcome),
    /// The result was not what was predicted.
    Unproven(Vec<Moved>),
}

/// Why a transaction did not get to COMMIT.
enum Stop {
    Verdict(Verdict),
    Server(Failed),
}

/// What the server refused, and where.
struct Failed {
    step: Option<usize>,
    sql: String,
    error: ServerError,
}

/// A transaction that is ready to commit.
struct Ready {
    transaction: Transaction,
    notices: Vec<Notice>,
    locked_at: Instant,
}

pub(super) struct Attempt<'r, 'a> {
    run: &'r mut Run<'a>,
    /// Relations of the ground, for the question who holds locks on them.
    oids: Vec<Oid>,
}

impl<'r, 'a> Attempt<'r, 'a> {
    pub(super) fn new(run: &'r mut Run<'a>) -> Attempt<'r, 'a> {
        let oid = |state: &Option<State>| match state {
            Some(State::Object { oid, .. }) => *oid,
            _ => None,
        };
        let oids = run.plan.ground.0.values().filter_map(oid).collect();
        Attempt { run, oids }
    }

    pub(super) async fn run(self, aside: &mut dyn Aside, stop: &mut Option<watch::Receiver<bool>>) -> Verdict {
        let Some(mut line) = self.run.line.take() else {
            return Verdict::Over(Outcome::refused("there is no connection"));
        };
        let mut watcher = self.run.watcher.take();
        let seen = &mut BTreeSet::new();
        let pid = line.connected.facts.backend_pid.unwrap_or(line.here.pid);
        let prepared = tokio::select! {
            prepared = self.prepare(&mut line, aside) => Some(prepared),
            () = watch_blockers(watcher.as_mut(), pid, seen) => None,
            () = wish_to_stop(stop) => None,
        };
        self.run.watcher = watcher;
        let verdict = match prepared {
            // Dropped half-way: the transaction ends with its connection, and COMMIT was not sent.
            None => {
                let _ = line.connected.canceller.cancel(Duration::from_secs(1)).await;
                line.cut();
                Verdict::Over(Outcome::NothingChanged(Reason::Interrupted))
            }
            Some(Ok(ready)) if self.run.options.rehearse => {
                line.roll_back().await;
                if line.is_broken() {
                    // Nothing was sent that could have committed.
                    line.cut();
                }
                Verdict::Over(Outcome::RehearsalProven(self.done(&ready)))
            }
            Some(Ok(ready)) => self.commit(&mut line, ready, aside).await,
            Some(Err(Stop::Verdict(verdict))) => {
                line.roll_back().await;
                verdict
            }
            Some(Err(Stop::Server(failed))) => {
                line.roll_back().await;
                self.judge(&mut line, failed, seen.iter().cloned().collect()).await
            }
        };
        self.run.line = Some(line);
        verdict
    }

    /// Everything up to COMMIT.
    async fn prepare(&self, line: &mut Line, aside: &mut dyn Aside) -> Result<Ready, Stop> {
        let (plan, options) = (self.run.plan, self.run.options);
        let (question, reading) = (options.answer, options.answer * 4);
        let limits =
            Limits { lock_ms: self.run.locks.each(options.lock_ms), statement_ms: options.statement_ms, unit: reading };
        let patience = Duration::from_millis(u64::from(options.statement_ms)) + Duration::from_secs(1);
        let opening = Opening::write(&line.facts, limits, &self.run.leave);
        line.run("the settings of the transaction", question, opening.text()).await.map_err(Stop::reading)?;
        let alone = ask!(line, "the lock between consoles", question, |c, _f| life::advisory(c));
        if !alone.map_err(Stop::reading)? {
            line.roll_back().await;
            let way = InTheWay::Console;
            let held = ask!(line, "the other console", question, |c, _f| life::blockers(c, &way));
            return Err(Stop::Verdict(Verdict::Console(held.unwrap_or_default())));
        }
        aside.progress(Progress::Comparing);
        let now = read(line, &plan.ground, reading).await?;
        let moved = plan.ground.moved(&now);
        if !moved.is_empty() {
            return Err(Stop::Verdict(Verdict::Over(Outcome::NothingChanged(Reason::Stale(moved)))));
        }
        line.notices();
        let locked_at = Instant::now();
        for sql in self.run.locks.statements() {
            let locked = line.run("the locks of the tables", patience, &sql).await;
            locked.map_err(|error| Stop::Server(Failed { step: None, sql, error }))?;
        }
        self.nothing_stirs(line, question).await?;
        self.statements(line, aside, patience).await?;
        let notices = line.notices();
        if let Some(cut) = notices.iter().find(|n| n.sqlstate == "42622") {
            let outcome = Outcome::refused(format!("a name is too long for the server: {}", cut.message));
            return Err(Stop::Verdict(Verdict::Over(outcome)));
        }
        aside.progress(Progress::Proving);
        let now = read(line, &plan.predicted, reading).await?;
        let moved = plan.predicted.moved(&now);
        if !moved.is_empty() {
            return Err(Stop::Verdict(Verdict::Unproven(moved)));
        }
        let xid = ask!(line, "the number of the transaction", question, |c, _f| life::xid(c));
        let xid = xid.map_err(Stop::reading)?;
        let hidden = line.hidden;
        let here = ask!(line, "the identity", question, |c, f| life::here(c, f, hidden));
        let here = here.map_err(Stop::reading)?;
        let (life, pid, backend_start_us) = (here.life, here.pid, here.backend_start_us);
        let transaction = Transaction { xid, life, pid, backend_start_us };
        if !options.rehearse
            && let Err(why) = aside.committing(&transaction)
        {
            return Err(Stop::Verdict(Verdict::Over(Outcome::NothingChanged(Reason::Journal(why)))));
        }
        Ok(Ready { transaction, notices, locked_at })
    }

    /// Refuses to change rows where that would run what the table's owner wrote. Asked under the locks, which keep
    /// everybody from adding it.
    async fn nothing_stirs(&self, line: &mut Line, question: Duration) -> Result<(), Stop> {
        let names = super::rewritten(self.run.plan);
        if names.is_empty() {
            return Ok(());
        }
        let found = ask!(line, "what the version tables would run", question, |c, _f| versions::stirring(c, names));
        match found.map_err(Stop::reading)?.first() {
            None => Ok(()),
            Some(table) => Err(Stop::Verdict(Verdict::Over(Outcome::refused(predict::stirs(table))))),
        }
    }

    /// Exactly the statements that were shown, in their order, some sent at once: the first refusal makes the server
    /// skip the others.
    async fn statements(&self, line: &mut Line, aside: &mut dyn Aside, patience: Duration) -> Result<(), Stop> {
        let all: Vec<(usize, &str)> = (0..)
            .zip(&self.run.plan.steps)
            .flat_map(|(i, step)| step.sql.iter().map(move |sql| (i, sql.as_str())))
            .collect();
        for chunk in all.chunks(AT_ONCE) {
            let Some((first, first_sql)) = chunk.first() else { continue };
            aside.progress(Progress::Step(*first));
            let texts: Vec<String> = chunk.iter().map(|(step, sql)| self.with_verifier(*step, sql)).collect();
            let limit = patience * u32::try_from(chunk.len()).unwrap_or(1);
            let answers = ask!(line, "the answers to the statements", limit, |client, _f| async {
                Ok(join_all(texts.iter().map(|text| client.batch_execute(text))).await)
            });
            let answers = answers
                .map_err(|error| Stop::Server(Failed { step: Some(*first), sql: (*first_sql).to_owned(), error }))?;
            for ((step, sql), answer) in chunk.iter().zip(answers) {
                answer.map_err(|error| {
                    let error = ServerError::from_driver("the answer to a statement", &error)
                        .because(line.connected.ending.get());
                    Stop::Server(Failed { step: Some(*step), sql: (*sql).to_owned(), error })
                })?;
            }
        }
        Ok(())
    }

    /// The statement with the verifier in its place.
    fn with_verifier(&self, step: usize, statement: &str) -> String {
        let change = self.run.plan.steps.get(step).map(|step| &step.change);
        if let Some(Change::SetPassword { role }) = change
            && let Some((_, verifier)) = self.run.verifiers.iter().find(|(of, _)| of == role)
        {
            return statement.replace(sql::PASSWORD, verifier);
        }
        statement.to_owned()
    }

    /// Sends COMMIT and finds out what became of it.
    async fn commit(&self, line: &mut Line, ready: Ready, aside: &mut dyn Aside) -> Verdict {
        aside.progress(Progress::Committing);
        // In a transaction that failed unnoticed, the SELECT is refused and COMMIT is not reached: COMMIT alone would
        // answer as if all were well.
        let sent = line.connected.client.batch_execute("select 1; commit");
        let answer = tokio::time::timeout(self.run.options.commit, sent).await;
        let why = match answer {
            Ok(Ok(())) => {
                let mut done = self.done(&ready);
                done.notices.extend(line.notices());
                // A last look, for what others did meanwhile; it changes nothing about what was done.
                if let Ok(now) = look(line, &self.run.plan.predicted).await {
                    done.moved_since = self.run.plan.predicted.moved(&now);
                }
                return Verdict::Over(Outcome::Committed(done));
            }
            Ok(Err(error)) => {
                let error = ServerError::from_driver("the answer to COMMIT", &error);
                if !error.ends_connection() {
                    // An error, not an end: the server has rolled back.
                    line.roll_back().await;
                    let failed = Failed { step: None, sql: "COMMIT".to_owned(), error };
                    return self.judge(line, failed, Vec::new()).await;
                }
                error.because(line.connected.ending.get()).to_string()
            }
            Err(_) => "the server did not answer COMMIT in time".to_owned(),
        };
        // Never cancelled: that could turn the wait for a standby into a lie.
        line.cut();
        aside.progress(Progress::Resolving);
        let (resolution, moved_since) =
            resolve_moved(self.run.target, &ready.transaction, self.run.plan, self.run.options.resolve).await;
        Verdict::Over(match resolution {
            Resolution::Committed { awaits_standby } => {
                let done = self.done(&ready);
                Outcome::Committed(Done { resolved: true, awaits_standby, moved_since, ..done })
            }
            Resolution::NotCommitted => {
                let error = errors::ServerError {
                    sqlstate: None,
                    message: why,
                    detail: None,
                    hint: None,
                    context: None,
                    remedy: None,
                    closed: true,
                };
                let what = "the answer to COMMIT";
                Outcome::NothingChanged(Reason::Lost(ServerError::Answer { what, error: Box::new(error) }))
            }
            Resolution::Unknown(more) => {
                Outcome::Unknown { transaction: ready.transaction, why: format!("{why}; {more}") }
            }
        })
    }

    fn done(&self, ready: &Ready) -> Done {
        Done {
            xid: ready.transaction.xid,
            notices: ready.notices.clone(),
            lock_held_ms: u64::try_from(ready.locked_at.elapsed().as_millis()).unwrap_or(u64::MAX),
            attempts: self.run.tries,
            ..Done::default()
        }
    }

    /// What a refusal means. The transaction is over already.
    async fn judge(&self, line: &mut Line, failed: Failed, mut seen: Vec<Blocker>) -> Verdict {
        let Failed { step, sql, error } = failed;
        let ServerError::Answer { error: answer, .. } = &error else {
            return Verdict::Over(Outcome::NothingChanged(Reason::Lost(error)));
        };
        if answer.closed || answer.sqlstate.is_none() {
            return Verdict::Over(Outcome::NothingChanged(Reason::Lost(error)));
        }
        let answer = answer.clone();
        let name = step.and_then(|i| self.run.plan.steps.get(i)).map(|step| step.id.clone());
        if answer.is("55P03") {
            if seen.is_empty() && !self.oids.is_empty() {
                let way = InTheWay::On(self.oids.clone());
                let held = ask!(line, "the sessions in the way", QUESTION, |c, _f| life::blockers(c, &way));
                seen = held.unwrap_or_default();
            }
            let title = step.and_then(|i| self.run.plan.steps.get(i)).map(|step| step.title.clone());
            let what =
                title.map_or_else(|| self.run.locks.names(), |title| format!("what \u{201c}{title}\u{201d} needs"));
            return Verdict::Locked { what, blockers: seen, error: answer };
        }
        let conflict = ["XX000", "23505", "40P01", "40001"].iter().any(|state| answer.is(state));
        let outcome = Outcome::NothingChanged(Reason::Failed { step: name, sql, error: answer });
        if conflict { Verdict::Conflict(outcome) } else { Verdict::Over(outcome) }
    }
}

impl Stop {
    fn reading(error: ServerError) -> Stop {
        Stop::Server(Failed { step: None, sql: String::new(), error })
    }
}

async fn read(line: &mut Line, wanted: &Ground, limit: Duration) -> Result<Ground, Stop> {
    let now = ask!(line, "the state of what the plan touches", limit, |c, f| ground(c, f, wanted));
    now.map_err(Stop::reading)
}

/// How things stand outside of any transaction of the action.
pub(super) async fn look(line: &mut Line, wanted: &Ground) -> Result<Ground, ServerError> {
    let opening = Opening::new(&line.facts, Limits::default());
    line.run("the settings of the transaction", QUESTION, opening.text()).await?;
    let now = ask!(line, "the state of what the plan touches", READING, |c, f| ground(c, f, wanted));
    line.roll_back().await;
    now
}

/// Collects the sessions that the backend waits for, until it is dropped.
async fn watch_blockers(watcher: Option<&mut Line>, pid: i32, seen: &mut BTreeSet<Blocker>) {
    let Some(line) = watcher else { return never().await };
    let way = InTheWay::Of(pid);
    loop {
        tokio::time::sleep(LOOK).await;
        match ask!(line, "the sessions in the way", QUESTION, |c, _f| life::blockers(c, &way)) {
            Ok(found) => {
                for blocker in found {
                    seen.retain(|known| known.pid != blocker.pid);
                    seen.insert(blocker);
                }
            }
            Err(_) => return never().await,
        }
    }
}

fn never() -> impl Future<Output = ()> {
    std::future::pending()
}
