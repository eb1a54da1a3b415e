//! The sessions that the demo keeps open, from `sessions.toml`: one task each, gone with the value.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde::Deserialize;
use tokio::task::JoinSet;
use tokio_postgres::{
    Client,
    types::{FromSql, ToSql},
};

use super::{connect, failed};
use crate::demo::{
    cluster::{Cluster, SUPERUSER},
    error::{DemoError, Kind},
};

const SESSIONS: &str = include_str!("sessions.toml");

/// How long a session may take to be seen waiting for its lock.
const WAITING_LIMIT: Duration = Duration::from_secs(5);

/// The open sessions of the demo. Dropping it closes them.
#[derive(Default)]
pub struct Sessions {
    tasks: JoinSet<()>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    session: Vec<Session>,
}

/// One entry of the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    instance: String,
    role: String,
    application: String,
    #[serde(default = "one")]
    count: usize,
    #[serde(default)]
    setup: Vec<String>,
    then: Option<String>,
    /// The last statement waits for a lock: the next session comes after it is in the queue.
    #[serde(default)]
    blocked: bool,
}

const fn one() -> usize {
    1
}

impl Sessions {
    /// Opens the sessions that the file has for this instance.
    ///
    /// # Errors
    /// `Server` when one cannot be opened or set up.
    pub async fn open(&mut self, cluster: &Cluster, instance: &str, database: &str) -> Result<(), DemoError> {
        let script: Script = toml::from_str(SESSIONS)
            .map_err(|error| DemoError::new(Kind::Setup, "read the demo's sessions", error, ""))?;
        let observer = connect(&cluster.config(SUPERUSER, database)).await?;
        for session in script.session.iter().filter(|session| session.instance == instance) {
            let clients = try_join_all((0..session.count).map(|_| log_in(cluster, database, session))).await?;
            for client in clients {
                self.hold(client, session, &observer).await?;
            }
        }
        Ok(())
    }

    /// How many sessions are held.
    pub fn count(&self) -> usize {
        self.tasks.len()
    }

    /// Sends the last statement and keeps the session in a task of its own.
    async fn hold(&mut self, client: Client, session: &Session, observer: &Client) -> Result<(), DemoError> {
        let pid: i32 = ask(&client, "select pg_catalog.pg_backend_pid()", &[]).await?;
        let last = session.then.clone();
        self.tasks.spawn(async move {
            if let Some(statement) = last {
                // Its end is part of the show: the person may cancel or terminate it.
                let _ = client.batch_execute(&statement).await;
            }
            std::future::pending::<()>().await;
            drop(client);
        });
        if !session.blocked {
            return Ok(());
        }
        let start = Instant::now();
        while start.elapsed() < WAITING_LIMIT {
            if ask(observer, "select pg_catalog.cardinality(pg_catalog.pg_blocking_pids($1)) > 0", &[&pid]).await? {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let what = format!("put {} of {} into the queue for a lock", session.application, session.role);
        Err(DemoError::new(Kind::Server, what, "it does not wait", ""))
    }
}

async fn log_in(cluster: &Cluster, database: &str, session: &Session) -> Result<Client, DemoError> {
    let mut config = cluster.config(&session.role, database);
    config.application_name(&session.application);
    let client = connect(&config).await?;
    for statement in &session.setup {
        client
            .batch_execute(statement)
            .await
            .map_err(|error| failed(&format!("set up a session of {} ({statement})", session.role), &error))?;
    }
    Ok(client)
}

async fn ask<T: for<'a> FromSql<'a>>(
    client: &Client,
    question: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<T, DemoError> {
    let row =
        client.query_one(question, values).await.map_err(|error| failed("look at the demo's sessions", &error))?;
    row.try_get(0).map_err(|error| failed("look at the demo's sessions", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_tells_the_story() {
        let script: Script = toml::from_str(SESSIONS).unwrap();
        let of = |role: &str| -> usize { script.session.iter().filter(|s| s.role == role).map(|s| s.count).sum() };
        assert_eq!(of("langflow_app"), 10, "all of its connections");
        assert_eq!(script.session.iter().filter(|session| session.blocked).count(), 3);
        for session in &script.session {
            assert!(super::super::INSTANCES.iter().any(|known| known.name == session.instance), "{session:?}");
            assert!(!session.blocked || session.then.is_some(), "{session:?}");
            assert!(super::super::POLICY.contains(&format!("\"{}\"", session.role)), "{session:?}");
        }
    }
}
