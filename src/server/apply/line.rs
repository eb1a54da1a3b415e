//! The connection of one action: where it leads, and questions that end within their time. A connection that was not
//! answered in time is never used again.

use std::time::Duration;

use crate::{
    config::Conninfo,
    server::{
        ServerError,
        connect::{Connected, connect},
        errors::Notice,
        read::{
            Facts,
            facts::facts,
            life::{self, Here},
        },
        reader::bounded,
    },
};

/// For name resolution, sockets, TLS and login together.
const CONNECT: Duration = Duration::from_secs(5);
/// For a single question of ours.
pub(super) const QUESTION: Duration = Duration::from_secs(5);

/// Asks on a line, and waits for the answer no longer than the limit; then cancels and gives the connection up. The
/// question is made of the client and the facts of the server.
macro_rules! ask {
    ($line:expr, $what:expr, $limit:expr, |$client:ident, $facts:ident| $question:expr) => {{
        let ($client, $facts) = (&$line.connected.client, &$line.facts);
        let _ = $facts;
        let answer = $question;
        crate::server::reader::bounded($what, $limit, &$line.connected, &mut $line.broken, answer).await
    }};
}
pub(super) use ask;

/// See the module.
pub(super) struct Line {
    pub connected: Connected,
    pub facts: Facts,
    pub here: Here,
    /// The role may not ask for the server's identity.
    pub hidden: bool,
    pub broken: bool,
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.broken {
            self.connected.task.abort();
        }
    }
}

impl Line {
    pub(super) async fn open(target: &Conninfo) -> Result<Line, ServerError> {
        let connected = connect(target, CONNECT).await?;
        let mut line = Line { connected, facts: Facts::default(), here: Here::default(), hidden: false, broken: false };
        line.facts = ask!(line, "the facts of the server", QUESTION, |c, _f| facts(c))?;
        line.here = match ask!(line, "the identity", QUESTION, |c, f| life::here(c, f, false)) {
            Ok(here) => here,
            Err(error) if error.ends_connection() => return Err(error),
            Err(_) => {
                line.hidden = true;
                ask!(line, "the identity", QUESTION, |c, f| life::here(c, f, true))?
            }
        };
        Ok(line)
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken || self.connected.client.is_closed()
    }

    /// Gives the connection up: its transaction ends with it.
    pub(super) fn cut(&mut self) {
        self.broken = true;
        self.connected.task.abort();
    }

    /// Runs statements whose rows nobody wants, in one message.
    pub(super) async fn run(&mut self, what: &'static str, limit: Duration, sql: &str) -> Result<(), ServerError> {
        let client = &self.connected.client;
        let answer = async { client.batch_execute(sql).await.map_err(|e| ServerError::from_driver(what, &e)) };
        bounded(what, limit, &self.connected, &mut self.broken, answer).await
    }

    /// Ends the transaction that is open, if the connection still can.
    pub(super) async fn roll_back(&mut self) {
        if !self.is_broken() && self.run("the end of the transaction", QUESTION, "rollback").await.is_err() {
            self.cut();
        }
    }

    /// What the server said beside its answers since the last time. That IF NOT EXISTS found the schema (42P06) is what we
    /// asked for, and nothing to tell.
    pub(super) fn notices(&mut self) -> Vec<Notice> {
        let mut list = Vec::new();
        while let Ok(notice) = self.connected.notices.try_recv() {
            list.push(notice);
        }
        list.retain(|notice| notice.sqlstate != "42P06");
        list
    }
}
