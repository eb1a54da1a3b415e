//! What became of a transaction whose COMMIT was not answered: by the server's own record where it can be believed, else
//! by the catalog alone; never by a guess.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    attempt::look,
    line::{Line, QUESTION, ask},
};
use crate::{
    config::Conninfo,
    domain::transaction::Transaction,
    plan::{Ground, Key, Moved, Plan},
    server::{
        ServerError,
        read::life::{self, Status},
    },
};

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    Committed {
        /// A synchronous standby has not answered yet.
        awaits_standby: bool,
    },
    NotCommitted,
    /// Why nobody can say.
    Unknown(String),
}

/// Asks until there is an answer, or until `within` has passed.
pub async fn resolve(target: &Conninfo, transaction: &Transaction, plan: &Plan, within: Duration) -> Resolution {
    resolve_moved(target, transaction, plan, within).await.0
}

/// As [`resolve`], with what stands otherwise than predicted after a commit.
pub(super) async fn resolve_moved(
    target: &Conninfo,
    transaction: &Transaction,
    plan: &Plan,
    within: Duration,
) -> (Resolution, Vec<Moved>) {
    let end = Instant::now() + within;
    let mut pause = Duration::from_millis(20);
    let mut line: Option<Line> = None;
    let mut why = "the server could not be asked".to_owned();
    loop {
        if line.as_ref().is_none_or(Line::is_broken) {
            line = match Line::open(target).await {
                Ok(line) => Some(line),
                Err(error) => {
                    why = error.to_string();
                    None
                }
            };
        }
        if let Some(line) = &mut line {
            match ask(line, transaction, plan).await {
                Ok(Answer::Resolved(resolution, moved)) => return (resolution, moved),
                Ok(Answer::InProgress) => "its backend has not ended yet".clone_into(&mut why),
                Err(error) => why = error.to_string(),
            }
        }
        if Instant::now() + pause > end {
            return (Resolution::Unknown(why), Vec::new());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

enum Answer {
    Resolved(Resolution, Vec<Moved>),
    InProgress,
}

async fn ask(line: &mut Line, transaction: &Transaction, plan: &Plan) -> Result<Answer, ServerError> {
    let resolved = |resolution| Ok(Answer::Resolved(resolution, Vec::new()));
    if transaction.life.is_elsewhere(&line.here.life) {
        return resolved(Resolution::Unknown("the address leads to another cluster now".to_owned()));
    }
    if plan.target.database != line.here.database {
        return resolved(Resolution::Unknown("the address leads to another database now".to_owned()));
    }
    if line.here.in_recovery {
        return resolved(Resolution::Unknown("the server is a standby now; ask the primary".to_owned()));
    }
    // Its own record first, even where it is not believed alone: while the backend lives nothing is settled.
    let status = ask!(line, "the fate of the transaction", QUESTION, |c, _f| life::status(c, transaction))?;
    let same_life = transaction.life.is_surely(&line.here.life);
    if status == Status::InProgress && (same_life || transaction.life.checkpointer_start_us.is_none()) {
        return Ok(Answer::InProgress);
    }
    let now = look(line, &plan.predicted).await?;
    if same_life {
        match status {
            Status::Committed => {
                let committed = Resolution::Committed { awaits_standby: false };
                return Ok(Answer::Resolved(committed, plan.predicted.moved(&now)));
            }
            Status::AwaitsStandby => return resolved(Resolution::Committed { awaits_standby: true }),
            Status::Aborted => return resolved(Resolution::NotCommitted),
            Status::InProgress | Status::Unknown => {}
        }
    }
    by_catalog(line, transaction, plan, &now, status, same_life).await
}

/// After a crash, or where a crash cannot be excluded: the wanted state and who wrote it.
async fn by_catalog(
    line: &mut Line,
    transaction: &Transaction,
    plan: &Plan,
    now: &Ground,
    status: Status,
    same_life: bool,
) -> Result<Answer, ServerError> {
    let resolved = |resolution| Ok(Answer::Resolved(resolution, Vec::new()));
    let wanted = plan.predicted.moved(now);
    let changed: Vec<&Key> = plan
        .ground
        .moved(&plan.predicted)
        .iter()
        .filter_map(|moved| plan.predicted.0.get_key_value(&moved.key).map(|(key, _)| key))
        .collect();
    let there = changed.iter().filter(|key| !wanted.iter().any(|moved| moved.key == ***key)).count();
    if changed.is_empty() {
        return resolved(Resolution::Unknown("what the plan does leaves no trace in the catalog".to_owned()));
    }
    if there == 0 {
        // Nothing of it is there. A commit that somebody took back at once, key for key, is the only other way; the
        // server's own record excludes that where it may be believed in part.
        let doubt = status == Status::Committed && transaction.life.checkpointer_start_us.is_none() && !same_life;
        return resolved(if doubt {
            Resolution::Unknown("the server says committed, and nothing of it is there".to_owned())
        } else {
            Resolution::NotCommitted
        });
    }
    if there < changed.len() {
        return resolved(Resolution::Unknown(
            "a part of the wanted state is there, and somebody else has changed the rest".to_owned(),
        ));
    }
    let low = u32::try_from(transaction.xid & 0xffff_ffff).unwrap_or(0);
    let (mut ours, mut others) = (0, 0);
    for key in changed {
        match ask!(line, "the writer of a row", QUESTION, |c, f| life::writer(c, f, key))? {
            Some(xmin) if xmin == low => ours += 1,
            Some(_) => others += 1,
            None => {}
        }
    }
    resolved(match (ours, others) {
        (0, 0) => Resolution::Unknown("the wanted state is there, and who made it cannot be seen".to_owned()),
        (0, _) => Resolution::Unknown("the wanted state is there, and another transaction made it".to_owned()),
        // One transaction is all or nothing: rows that others wrote since do not take that back.
        (_, _) => Resolution::Committed { awaits_standby: false },
    })
}
