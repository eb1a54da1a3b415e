//! Reads PostgreSQL's catalogs: one SQL file per statement, a decoder beside it. Knows nothing of screens, policies or
//! cadence, and never reads a relation that a user made, except the rows of version tables through `COPY` (`versions`).
//!
//! Every unit of work is one transaction, `BEGIN … READ ONLY` with its settings made by `SET LOCAL`, because the
//! connection may belong to a pooler. The statements of a unit are sent at once, each with its own Sync and unnamed, so a
//! unit costs one round trip. Results arrive in binary, so that names are taken byte for byte ([`crate::text::decode`]).

pub mod activity;
pub mod catalog;
pub mod depends;
pub mod error;
pub mod facts;
mod fields;
pub mod ground;
pub mod isolation;
pub mod life;
pub mod objects;
pub mod shapes;
pub(crate) mod signals;
pub mod sizes;
mod sublinks;
mod trails;
pub mod unavailable;
pub mod versions;

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::{
    future::join_all,
    stream::{Stream, TryStreamExt},
};
use tokio::sync::oneshot;
use tokio_postgres::{
    Client, Row,
    types::{ToSql, Type},
};

pub use error::ServerError;
pub use facts::Facts;

use crate::config::Leave;

/// How long a read may take, on the server and here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `lock_timeout` in milliseconds.
    pub lock_ms: u32,
    /// `statement_timeout` in milliseconds.
    pub statement_ms: u32,
    /// How long this side waits for a whole unit of work before it cancels.
    pub unit: Duration,
}

impl Limits {
    /// How long this side waits for a single statement: a second longer than the server would.
    pub(crate) fn single(self) -> Duration {
        Duration::from_millis(u64::from(self.statement_ms) + 1000).min(self.unit)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { lock_ms: 500, statement_ms: 5000, unit: Duration::from_secs(15) }
    }
}

/// A parameter of a statement; only built-in types, so that the driver never asks the server what a type is.
#[derive(Debug, Clone)]
pub(crate) enum Param {
    Oids(Vec<u32>),
    Texts(Vec<String>),
    Ints(Vec<i32>),
}

impl Param {
    fn value(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Param::Oids(oids) => (oids, Type::OID_ARRAY),
            Param::Texts(texts) => (texts, Type::TEXT_ARRAY),
            Param::Ints(ints) => (ints, Type::INT4_ARRAY),
        }
    }
}

/// One statement of a unit of work.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    /// What it reads, for messages: "the roles".
    pub what: &'static str,
    pub sql: &'static str,
    pub params: Vec<Param>,
}

impl Statement {
    pub(crate) fn new(what: &'static str, sql: &'static str) -> Statement {
        Statement { what, sql, params: Vec::new() }
    }
    pub(crate) fn with(mut self, param: Param) -> Statement {
        self.params.push(param);
        self
    }
}

/// The opening of a unit of work on one server: `BEGIN` and its settings, in one message.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    text: String,
    /// The transaction is somebody else's: it was begun before and goes on afterwards.
    inside: bool,
}

impl Opening {
    pub(crate) fn new(facts: &Facts, limits: Limits) -> Opening {
        let mut opening = Opening::from(include_str!("begin.sql"), facts, limits);
        if facts.restricts_relations {
            opening.text.push_str(include_str!("begin_restrict.sql"));
        }
        if facts.watches_clients {
            opening.text.push_str(include_str!("begin_watch.sql"));
        }
        opening
    }

    /// For a transaction that changes something. There is no other one that may write.
    pub(crate) fn write(facts: &Facts, limits: Limits, _leave: &Leave) -> Opening {
        let mut opening = Opening::from(include_str!("begin_write.sql"), facts, limits);
        if facts.restricts_relations {
            opening.text.push_str(include_str!("begin_restrict.sql"));
        }
        opening
    }

    /// The statements, for one message.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// For reading inside a transaction that is open already: neither begins nor ends one.
    pub(crate) fn inside() -> Opening {
        Opening { text: String::new(), inside: true }
    }

    /// For what is asked every other second of views of the server's own: the settings that such a question can need.
    pub(crate) fn tick(facts: &Facts, limits: Limits) -> Opening {
        Opening::from(include_str!("begin_tick.sql"), facts, limits)
    }

    fn from(template: &str, facts: &Facts, limits: Limits) -> Opening {
        let mut text = template
            .replace("@lock_ms", &limits.lock_ms.to_string())
            .replace("@statement_ms", &limits.statement_ms.to_string());
        if facts.raw_text {
            text.push_str(include_str!("begin_raw.sql"));
        }
        Opening { text, inside: false }
    }
}

type Pending<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, tokio_postgres::Error>> + Send + 'a>>;

/// One statement outside a transaction of ours: for what has to be asked before the settings are made, and for the gate.
pub(crate) async fn bare(client: &Client, statement: &Statement) -> Result<Vec<Row>, ServerError> {
    query(client, statement).await.map_err(|e| ServerError::from_driver(statement.what, &e))
}

async fn query(client: &Client, statement: &Statement) -> Result<Vec<Row>, tokio_postgres::Error> {
    let params: Vec<_> = statement.params.iter().map(Param::value).collect();
    client.query_typed(statement.sql, &params).await
}

/// Runs the statements in one read-only transaction, sent at once, and returns the rows of each. `before` runs in front
/// of the transaction, on the same trip.
///
/// # Errors
/// The first failure; the transaction is rolled back.
pub(crate) async fn unit(
    client: &Client,
    opening: &Opening,
    before: Option<&Statement>,
    statements: &[Statement],
) -> Result<Vec<Vec<Row>>, ServerError> {
    let mut pending: Vec<Pending<'_>> = Vec::with_capacity(statements.len() + 3);
    let mut names = Vec::with_capacity(statements.len() + 3);
    if let Some(statement) = before {
        names.push(statement.what);
        pending.push(Box::pin(query(client, statement)));
    }
    if !opening.inside {
        names.push("the settings of the transaction");
        pending.push(Box::pin(async { client.batch_execute(&opening.text).await.map(|()| Vec::new()) }));
    }
    for statement in statements {
        names.push(statement.what);
        pending.push(Box::pin(query(client, statement)));
    }
    if !opening.inside {
        // A failed transaction answers COMMIT with ROLLBACK: either way it is over.
        names.push("the end of the transaction");
        pending.push(Box::pin(async { client.batch_execute("commit").await.map(|()| Vec::new()) }));
    }
    let mut all = Vec::with_capacity(pending.len());
    for (result, what) in join_all(in_order(pending)).await.into_iter().zip(names) {
        all.push(result.map_err(|e| ServerError::from_driver(what, &e))?);
    }
    if !opening.inside {
        all.pop();
        all.remove(usize::from(before.is_some()));
    }
    Ok(all)
}

/// As [`unit()`], except that every row is handed on as it arrives, with the position of its statement: for answers that
/// would be large as a whole. Rows come in the order of the statements: each waits until the one before it is through,
/// since the connection fills what two of them read from while one round of polling goes on. Returns the rows of `before`.
///
/// # Errors
/// The first failure, of the server or of `take`; the transaction is rolled back.
pub(crate) async fn unit_each(
    client: &Client,
    opening: &Opening,
    before: Option<&Statement>,
    statements: &[Statement],
    take: impl FnMut(usize, Row) -> Result<(), ServerError> + Send,
) -> Result<Vec<Row>, ServerError> {
    let settings = |text: &'static str, what: &'static str| async move {
        let text = if text.is_empty() { &opening.text } else { text };
        client.batch_execute(text).await.map_err(|e| ServerError::from_driver(what, &e))
    };
    let take = &Mutex::new(take);
    let first = &Mutex::new(Vec::new());
    let mut pending: Vec<Ending<'_>> = Vec::with_capacity(statements.len() + 3);
    if let Some(statement) = before {
        pending.push(Box::pin(async move {
            let rows = bare(client, statement).await?;
            *first.lock().unwrap_or_else(PoisonError::into_inner) = rows;
            Ok(())
        }));
    }
    if !opening.inside {
        pending.push(Box::pin(settings("", "the settings of the transaction")));
    }
    let asked = statements.iter().map(|statement| async move {
        let failed = |e| ServerError::from_driver(statement.what, &e);
        let params = statement.params.iter().map(Param::value);
        Ok(client.query_typed_raw(statement.sql, params).await.map_err(failed)?.map_err(failed))
    });
    pending.extend(in_turn(asked, take));
    if !opening.inside {
        pending.push(Box::pin(settings("commit", "the end of the transaction")));
    }
    debug_assert!(pending.len() <= 30, "statements of one unit must be sent in their order");
    join_all(pending).await.into_iter().collect::<Result<(), _>>()?;
    let first = std::mem::take(&mut *first.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(first)
}

type Ending<'a> = Pin<Box<dyn Future<Output = Result<(), ServerError>> + Send + 'a>>;

/// Asks for all at once, and hands on what each gives, with its position, when the one before it is through. Who failed
/// says so; those behind it give nothing.
fn in_turn<'a, T, S, A>(
    asked: impl Iterator<Item = A>,
    take: &'a Mutex<impl FnMut(usize, T) -> Result<(), ServerError> + Send>,
) -> Vec<Ending<'a>>
where
    T: Send + 'a,
    S: Stream<Item = Result<T, ServerError>> + Send + 'a,
    A: Future<Output = Result<S, ServerError>> + Send + 'a,
{
    let (first, mut turn) = oneshot::channel();
    let _ = first.send(());
    let mut all: Vec<Ending<'a>> = Vec::new();
    for (at, asked) in asked.enumerate() {
        let (done, next) = oneshot::channel();
        let mine = std::mem::replace(&mut turn, next);
        all.push(Box::pin(async move {
            let mut rows = pin!(asked.await?);
            if mine.await.is_err() {
                return Ok(());
            }
            while let Some(row) = rows.try_next().await? {
                (take.lock().unwrap_or_else(PoisonError::into_inner))(at, row)?;
            }
            let _ = done.send(());
            Ok(())
        }));
    }
    all
}

/// `join_all` polls up to thirty futures from first to last; beyond that its order is its own affair.
fn in_order(pending: Vec<Pending<'_>>) -> Vec<Pending<'_>> {
    debug_assert!(pending.len() <= 30, "statements of one unit must be sent in their order");
    pending
}

/// Replaces each `@acl(expression, owner)` of a statement by the lateral query that spells the list out in numbers:
/// `codes` = grantee × 256 + privilege × 4 + 2 when the grantor is the owner + 1 when grantable, and `grantors` = the
/// other grantors in the same order. See [`fields::Acls`].
fn with_acls(template: &str) -> String {
    let mut out = String::with_capacity(template.len() + 1500);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("@acl(") {
        let (args, tail) = after.split_once(')').unwrap_or((after, ""));
        let (acl, owner) = args.split_once(", ").unwrap_or((args, ""));
        out.push_str(before);
        out.push_str(include_str!("acl.sql").replace("@acl", acl).replace("@owner", owner).trim_end());
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{self, StreamExt};
    use tokio::sync::mpsc;

    use super::*;

    type Answer = Result<&'static str, ServerError>;

    /// Two statements that are asked, and where their answers are put.
    fn two() -> (mpsc::UnboundedSender<Answer>, mpsc::UnboundedSender<Answer>, Vec<impl Future<Output = Asked> + Send>)
    {
        let (first, one) = mpsc::unbounded_channel();
        let (second, two) = mpsc::unbounded_channel();
        let answers = |from: mpsc::UnboundedReceiver<Answer>| {
            stream::unfold(from, |mut from| async move { from.recv().await.map(|answer| (answer, from)) }).boxed()
        };
        (first, second, [one, two].map(|from| std::future::ready(Ok(answers(from)))).into())
    }

    type Asked = Result<stream::BoxStream<'static, Answer>, ServerError>;

    /// The answers of the second are there before those of the first, as it happens when this side is kept waiting.
    #[tokio::test]
    async fn rows_come_in_the_order_of_the_statements() {
        let taken = Mutex::new(Vec::new());
        let take = Mutex::new(|at: usize, row: &'static str| {
            taken.lock().unwrap().push((at, row));
            Ok(())
        });
        let (first, second, asked) = two();
        let all = join_all(in_turn(asked.into_iter(), &take));
        let answers = async {
            second.send(Ok("second")).unwrap();
            drop(second);
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            first.send(Ok("first")).unwrap();
            drop(first);
        };
        let (ended, ()) = tokio::join!(all, answers);
        assert!(ended.iter().all(Result::is_ok));
        assert_eq!(*taken.lock().unwrap(), [(0, "first"), (1, "second")]);
    }

    /// A failure is told once, and nothing that came behind it is used.
    #[tokio::test]
    async fn behind_a_failure_nothing_is_handed_on() {
        let taken = Mutex::new(0);
        let take = Mutex::new(|_: usize, _: &'static str| {
            *taken.lock().unwrap() += 1;
            Ok(())
        });
        let (first, second, asked) = two();
        first.send(Err(ServerError::Deadline { what: "the first", after: Duration::from_secs(1) })).unwrap();
        second.send(Ok("second")).unwrap();
        drop((first, second));
        let ended = join_all(in_turn(asked.into_iter(), &take)).await;
        assert!(ended[0].is_err() && ended[1].is_ok());
        assert_eq!(*taken.lock().unwrap(), 0);
    }

    #[test]
    fn acls_are_spelled_out() {
        let sql = with_acls("select 1 cross join lateral @acl(c.relacl, c.relowner) as x where true");
        assert!(sql.contains("aclexplode(c.relacl) as entry) as a\n) as x where true"), "{sql}");
        assert!(!sql.contains('@'));
    }

    #[test]
    fn the_opening_has_no_placeholder_left() {
        let facts = Facts { restricts_relations: true, raw_text: true, watches_clients: true, ..Facts::default() };
        let text = Opening::new(&facts, Limits::default()).text;
        assert!(!text.contains('@') && text.contains("lock_timeout = 500") && text.contains("restrict_nonsystem"));
        assert!(text.contains("client_connection_check_interval = 2000;"));
        let text = Opening::tick(&facts, Limits::default()).text;
        assert!(
            !text.contains('@') && text.contains("search_path = pg_catalog, pg_temp") && text.contains("SQL_ASCII")
        );
    }

    /// Words that may stand in front of a parenthesis and are no functions, or cannot be shadowed.
    const SYNTAX: &[&str] = &["array", "coalesce", "exists", "extract", "greatest", "nullif", "values"];

    /// Whatever a statement names without its schema could be somebody else's.
    fn unqualified(sql: &str) -> Vec<String> {
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let last_word = |text: &str| text.rsplit(|c: char| !word(c)).next().unwrap_or("").to_owned();
        let code: Vec<&str> = sql.split('\'').step_by(2).collect();
        let code = code.join("\'\'");
        let mut found = Vec::new();
        for (at, _) in code.match_indices('(') {
            let name = last_word(&code[..at]);
            let template = code[..at - name.len()].ends_with('@');
            if !name.is_empty() && !template && !name.starts_with("pg_catalog.") && !SYNTAX.contains(&name.as_str()) {
                found.push(format!("{name}("));
            }
        }
        for (at, _) in code.match_indices("::") {
            let name: String = code[at + 2..].chars().take_while(|c| word(*c)).collect();
            if !name.starts_with("pg_catalog.") {
                found.push(format!("::{name}"));
            }
        }
        let ctes: Vec<String> =
            code.match_indices(" as materialized (").map(|(at, _)| last_word(&code[..at])).collect();
        for keyword in ["from ", "join "] {
            for (at, _) in code.match_indices(keyword) {
                if code[..at].ends_with(|c: char| word(c)) {
                    continue;
                }
                let rest = code[at + keyword.len()..].trim_start();
                let name: String = rest.chars().take_while(|c| word(*c)).collect();
                // `extract(epoch from …)` names no relation.
                let extract = code[..at].ends_with("extract(epoch ");
                if !name.is_empty()
                    && name != "lateral"
                    && !extract
                    && !name.starts_with("pg_catalog.")
                    && !ctes.contains(&name)
                {
                    found.push(format!("{keyword}{name}"));
                }
            }
        }
        found
    }

    #[test]
    fn every_name_in_every_statement_is_the_catalogs() {
        assert_eq!(unqualified("select lower(x)::text from pg_class"), ["lower(", "::text", "from pg_class"]);
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/read");
        let mut seen = 0;
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "sql") {
                seen += 1;
                let sql = std::fs::read_to_string(&path).unwrap();
                assert_eq!(unqualified(&sql), Vec::<String>::new(), "{}", path.display());
                assert!(
                    !sql.contains("--") && !sql.contains("/*"),
                    "{}: comments travel to the server",
                    path.display()
                );
            }
        }
        assert!(seen > 30);
    }
}
