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

/// See the module.
pub(super) struct Line {
    pub connected: Connected,
    pub facts: Facts,
    pub here: Here,
    /// The role may not ask for the server's identity.
    pub hidden: bool,
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
    pub(super) async fn open(target: &Conninfo) -> Result<Line, ServerError> {
        let connected = connect(target, CONNECT).await?;
        let (facts, here) = (Facts::default(), Here::default());
        let mut line = Line { connected, facts, here, hidden: false, broken: false };
        line.facts = line.ask("the facts of the server", QUESTION, async |c, _| facts_of(c).await).await?;
        line.here = match line.ask("the identity", QUESTION, async |c, f| life::here(c, f, false).await).await {
            Ok(here) => here,
            Err(error) if error.ends_connection() => return Err(error),
            Err(_) => {
                line.hidden = true;
                line.ask("the identity", QUESTION, async |c, f| life::here(c, f, true).await).await?
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

    /// Asks, and waits for the answer no longer than `limit`; then cancels and gives the connection up.
    pub(super) async fn ask<'a, T>(
        &'a mut self,
        what: &'static str,
        limit: Duration,
        question: impl AsyncFnOnce(&'a tokio_postgres::Client, &'a Facts) -> Result<T, ServerError>,
    ) -> Result<T, ServerError> {
        let answer = question(&self.connected.client, &self.facts);
        bounded(what, limit, &self.connected, &mut self.broken, answer).await
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

    /// What the server said beside its answers since the last time.
    pub(super) fn notices(&mut self) -> Vec<Notice> {
        let mut list = Vec::new();
        while let Ok(notice) = self.connected.notices.try_recv() {
            list.push(notice);
        }
        list
    }
}

async fn facts_of(client: &tokio_postgres::Client) -> Result<Facts, ServerError> {
    facts(client).await
}
