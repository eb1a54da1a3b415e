//! The statements that end somebody else's statement or session, and the look at what runs under a process id. Each is a
//! transaction of its own. Decides nothing but what the statements themselves guard.

use tokio_postgres::{Client, Row};

use super::{Facts, Limits, Opening, Param, ServerError, Statement, fields::Fields, unit};
use crate::{
    config::Leave,
    domain::snapshot::{Mark, VirtualTransaction},
};

/// A backend as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub pid: i32,
    /// `None` where it may not be seen.
    pub backend_type: Option<String>,
    pub backend_start_us: Option<i64>,
    pub query_start_us: Option<i64>,
    pub state: Option<String>,
    pub wait: Option<String>,
    /// Its open transaction, where its start is hidden.
    pub transaction: Option<VirtualTransaction>,
    /// The server has commits wait for standbys.
    pub synchronous: bool,
}

impl Seen {
    /// It is the one that bears this mark.
    #[must_use]
    pub fn is(&self, mark: Mark) -> bool {
        match mark {
            Mark::Start(start) => self.backend_start_us == Some(start),
            Mark::Transaction(transaction) => self.transaction == Some(transaction),
        }
    }
}

/// Cancels the statement of exactly this backend, of exactly this start where one is given; `None`: there is no such.
///
/// # Errors
/// [`ServerError`]; 42501 where the role may not.
pub(crate) async fn cancel(
    client: &Client,
    facts: &Facts,
    _leave: &Leave,
    pid: i32,
    mark: Mark,
    query_start_us: Option<i64>,
) -> Result<Option<bool>, ServerError> {
    let what = "the signal to cancel";
    match mark {
        Mark::Start(start) => {
            let query = query_start_us.map_or_else(String::new, |us| us.to_string());
            let params = vec![pid.to_string(), start.to_string(), query];
            one(what, include_str!("signal_cancel.sql"), client, facts, params).await
        }
        Mark::Transaction(transaction) => {
            let params = vec![pid.to_string(), transaction.to_string()];
            one(what, include_str!("signal_cancel_hidden.sql"), client, facts, params).await
        }
    }
}

/// Ends exactly this backend; `None`: there is no such.
///
/// # Errors
/// [`ServerError`]; 42501 where the role may not.
pub(crate) async fn terminate(
    client: &Client,
    facts: &Facts,
    _leave: &Leave,
    pid: i32,
    mark: Mark,
) -> Result<Option<bool>, ServerError> {
    let (sql, mark) = match mark {
        Mark::Start(start) => (include_str!("signal_terminate.sql"), start.to_string()),
        Mark::Transaction(transaction) => (include_str!("signal_terminate_hidden.sql"), transaction.to_string()),
    };
    one("the signal to terminate", sql, client, facts, vec![pid.to_string(), mark]).await
}

async fn one(
    what: &'static str,
    sql: &'static str,
    client: &Client,
    facts: &Facts,
    params: Vec<String>,
) -> Result<Option<bool>, ServerError> {
    let rows = ask(client, facts, Statement::new(what, sql).with(Param::Texts(params))).await?;
    rows.first().map(|row| Fields::new(what, row).bool()).transpose()
}

/// What runs under these process ids, background processes included.
///
/// # Errors
/// [`ServerError`].
pub(crate) async fn look(client: &Client, facts: &Facts, pids: Vec<i32>) -> Result<Vec<Seen>, ServerError> {
    let what = "the sessions";
    let statement = Statement::new(what, include_str!("signal_look.sql")).with(Param::Ints(pids));
    let rows = ask(client, facts, statement).await?;
    rows.iter()
        .map(|row| {
            let mut f = Fields::new(what, row);
            Ok(Seen {
                pid: f.i32()?,
                backend_type: f.opt_text()?,
                backend_start_us: f.time_us()?,
                query_start_us: f.time_us()?,
                state: f.opt_text()?,
                wait: f.opt_text()?,
                transaction: f.opt_text()?.as_deref().and_then(VirtualTransaction::parse),
                synchronous: f.bool()?,
            })
        })
        .collect()
}

async fn ask(client: &Client, facts: &Facts, statement: Statement) -> Result<Vec<Row>, ServerError> {
    let opening = Opening::tick(facts, Limits::default());
    Ok(unit(client, &opening, None, &[statement]).await?.pop().unwrap_or_default())
}
