//! Ending a statement or a session of somebody else, on a connection of its own that lives for this alone. A process id
//! comes back, so every signal is guarded by the start of the backend too, and a cancel by the start of the statement:
//! what is not exactly that is not touched. Knows no screen; who may be ended is asked before, and again by the statement.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::error::SqlState;

pub use super::read::signals::Seen;
use super::{
    ServerError,
    connect::{Connected, connect},
    read::{self, Facts, signals},
    reader::bounded,
};
use crate::config::{Conninfo, Leave};
pub use crate::domain::snapshot::{Mark, VirtualTransaction};

/// For name resolution, sockets, TLS and login together.
const CONNECT: Duration = Duration::from_secs(5);
/// For one question.
const QUESTION: Duration = Duration::from_secs(5);
/// How long to watch whether it ended, and how often to look.
const WATCH: (Duration, Duration) = (Duration::from_millis(1500), Duration::from_millis(50));

/// What is done to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Its statement ends (`pg_cancel_backend`).
    Cancel,
    /// It ends (`pg_terminate_backend`).
    Terminate,
}

/// Which session is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aim {
    pub pid: i32,
    /// What it is known by.
    pub mark: Mark,
    /// With a cancel: only this statement. `None`: whichever runs.
    pub query_start_us: Option<i64>,
}

/// What became of one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The signal was sent, and the statement or the session is over.
    Ended,
    /// The signal was sent; it is still there after a second and a half.
    Sent,
    /// Nothing was sent: why, in words.
    Vanished(String),
    /// Nothing was sent: the server refuses it to this role.
    Refused(String),
    /// The line was lost when it was sent or watched: whether it arrived, or what came of it, in words as far as it is
    /// known.
    Unknown(String),
}

/// Signals each of them, and watches for a moment what becomes of it. A line that is lost on the way is opened again, to
/// look.
///
/// # Errors
/// Read-only, or no connection: nothing was sent.
pub async fn signal(target: &Conninfo, signal: Signal, aims: &[Aim]) -> Result<Vec<Told>, ServerError> {
    let leave = target.leave().ok_or_else(|| ServerError::ReadOnly(target.to_string()))?;
    let mut line = Line::open(target).await?;
    let mut told = Vec::with_capacity(aims.len());
    for aim in aims {
        match line.send(signal, *aim, &leave).await {
            Ok(one) => told.push(one),
            Err(error) => {
                told.push(Told::Unknown(format!("it may have been sent or not: {}", cause(&error))));
                break;
            }
        }
    }
    told.resize(aims.len(), Told::Vanished("the line was lost before".to_owned()));
    let end = Instant::now() + WATCH.0;
    let mut blind = None;
    let mut open: Vec<bool> = told.iter().map(|one| matches!(one, Told::Sent | Told::Unknown(_))).collect();
    while open.contains(&true) {
        let pids: Vec<i32> = aims.iter().map(|a| a.pid).collect();
        if line.broken || line.connected.client.is_closed() {
            match Line::open(target).await {
                Ok(other) => line = other,
                Err(error) => {
                    blind = Some(error);
                    break;
                }
            }
        }
        match line.look(pids).await {
            Ok(seen) => {
                blind = None;
                for ((aim, one), open) in aims.iter().zip(&mut told).zip(&mut open).filter(|(_, open)| **open) {
                    if is_over(signal, *aim, &seen) {
                        *open = false;
                        *one = match &one {
                            Told::Unknown(why) => Told::Unknown(format!("it is over now; {why}")),
                            _ => Told::Ended,
                        };
                    }
                }
            }
            Err(error) => {
                line.broken = true;
                blind = Some(error);
            }
        }
        if Instant::now() >= end {
            break;
        }
        sleep(WATCH.1).await;
    }
    if let Some(error) = blind {
        for one in told.iter_mut().filter(|one| **one == Told::Sent) {
            *one = Told::Unknown(format!("it was sent, and what came of it was not seen: {}", cause(&error)));
        }
    }
    Ok(told)
}

/// What runs under these process ids now, background processes included.
///
/// # Errors
/// No connection, or it was lost.
pub async fn look(target: &Conninfo, pids: Vec<i32>) -> Result<Vec<Seen>, ServerError> {
    Line::open(target).await?.look(pids).await
}

/// The session, or its statement, is not there any more.
fn is_over(signal: Signal, aim: Aim, seen: &[Seen]) -> bool {
    let same = seen.iter().find(|s| s.pid == aim.pid && s.is(aim.mark));
    match (same, signal) {
        (None, _) => true,
        (Some(_), Signal::Terminate) => false,
        (Some(seen), Signal::Cancel) => {
            // where the state is hidden, the transaction that was the mark ends with the statement
            seen.state.as_deref().is_some_and(|state| state != "active")
                || aim.query_start_us.is_some_and(|start| seen.query_start_us != Some(start))
        }
    }
}

/// Why a signal or a look at it failed, in words: nothing was to be read.
fn cause(error: &ServerError) -> String {
    match error {
        ServerError::Answer { error, .. } => match &error.sqlstate {
            Some(state) => format!("{} ({state})", error.message),
            None => error.message.clone(),
        },
        ServerError::Deadline { after, .. } => format!("no answer within {} ms", after.as_millis()),
        ServerError::Connect(_) | ServerError::Unreadable { .. } | ServerError::ReadOnly(_) => error.to_string(),
    }
}

/// Why nothing matched, from what is there now.
fn why(signal: Signal, aim: Aim, seen: &[Seen]) -> String {
    let pid = aim.pid;
    let Some(seen) = seen.iter().find(|s| s.pid == pid) else {
        return format!("session {pid} is not there any more");
    };
    let (backend, standby) = (&seen.backend_type, seen.synchronous);
    match (backend, aim.mark, seen.backend_start_us) {
        (_, Mark::Start(start), Some(now)) if start != now => {
            format!("session {pid} is not there any more; another one has its number now")
        }
        (_, Mark::Transaction(_), _) if !seen.is(aim.mark) => {
            format!("the transaction of session {pid} that was seen is over; it was not touched")
        }
        (_, Mark::Transaction(_), _) if standby => {
            format!(
                "whether session {pid} has committed and only waits for a standby is hidden from this role (pg_monitor shows it)"
            )
        }
        (Some(kind), _, _) if kind != "client backend" => format!("{pid} is no session of a client but a {kind}"),
        (_, Mark::Start(_), None) => {
            format!("the start of session {pid} is hidden from this role, so it cannot be told from another")
        }
        _ if seen.wait.as_deref() == Some("SyncRep") => {
            format!("session {pid} has committed and waits for a standby: ending that would only hide it")
        }
        _ if signal == Signal::Cancel => format!("the statement of session {pid} is over; it was not touched"),
        _ => format!("session {pid} cannot be ended from here"),
    }
}

struct Line {
    connected: Connected,
    facts: Facts,
    broken: bool,
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.broken {
            self.connected.task.abort();
        }
    }
}

impl Line {
    async fn open(target: &Conninfo) -> Result<Line, ServerError> {
        let connected = connect(target, CONNECT).await?;
        let mut line = Line { connected, facts: Facts::default(), broken: false };
        let facts = read::facts::facts(&line.connected.client);
        line.facts = bounded("the facts of the server", QUESTION, &line.connected, &mut line.broken, facts).await?;
        Ok(line)
    }

    async fn send(&mut self, signal: Signal, aim: Aim, leave: &Leave) -> Result<Told, ServerError> {
        let (client, facts) = (&self.connected.client, &self.facts);
        let Aim { pid, mark, query_start_us } = aim;
        let work = async {
            match signal {
                Signal::Cancel => signals::cancel(client, facts, leave, pid, mark, query_start_us).await,
                Signal::Terminate => signals::terminate(client, facts, leave, pid, mark).await,
            }
        };
        match bounded("the signal", QUESTION, &self.connected, &mut self.broken, work).await {
            Ok(Some(true)) => Ok(Told::Sent),
            Ok(Some(false)) => Ok(Told::Vanished(format!("session {pid} has just ended by itself"))),
            Ok(None) => Ok(Told::Vanished(why(signal, aim, &self.look(vec![pid]).await?))),
            Err(error) if error.is(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                Ok(Told::Refused(format!("the server refuses it to this role: {}", cause(&error))))
            }
            Err(error) => Err(error),
        }
    }

    async fn look(&mut self, pids: Vec<i32>) -> Result<Vec<Seen>, ServerError> {
        let work = signals::look(&self.connected.client, &self.facts, pids);
        bounded("the sessions", QUESTION, &self.connected, &mut self.broken, work).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(start: i64, query: i64, state: &str) -> Seen {
        Seen {
            pid: 7,
            backend_type: Some("client backend".into()),
            backend_start_us: Some(start),
            query_start_us: Some(query),
            state: Some(state.into()),
            wait: None,
            transaction: None,
            synchronous: false,
        }
    }

    const AIM: Aim = Aim { pid: 7, mark: Mark::Start(100), query_start_us: Some(200) };

    #[test]
    fn over_is_only_what_was_meant() {
        for (signal, seen, over) in [
            (Signal::Terminate, vec![], true),
            (Signal::Terminate, vec![seen(100, 200, "active")], false),
            (Signal::Terminate, vec![seen(101, 200, "active")], true),
            (Signal::Cancel, vec![seen(100, 200, "active")], false),
            (Signal::Cancel, vec![seen(100, 200, "idle in transaction (aborted)")], true),
            (Signal::Cancel, vec![seen(100, 201, "active")], true),
            (Signal::Cancel, vec![], true),
        ] {
            assert_eq!(is_over(signal, AIM, &seen), over, "{signal:?} {seen:?}");
        }
    }

    #[test]
    fn why_nothing_was_sent_is_said_in_words() {
        let background = Seen { backend_type: Some("walsender".into()), ..seen(100, 200, "active") };
        let standby = Seen { wait: Some("SyncRep".into()), ..seen(100, 200, "active") };
        let hidden = Seen { backend_type: None, backend_start_us: None, ..seen(100, 200, "active") };
        for (seen, words) in [
            (vec![], "not there any more"),
            (vec![seen(101, 1, "idle")], "another one has its number"),
            (vec![background], "but a walsender"),
            (vec![standby], "waits for a standby"),
            (vec![hidden], "is hidden from this role"),
            (vec![seen(100, 201, "active")], "is over"),
        ] {
            let said = why(Signal::Cancel, AIM, &seen);
            assert!(said.contains(words), "{said}");
        }
    }
}
