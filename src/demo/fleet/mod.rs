//! The documents' fleet: two clusters filled with the services' schemas, as the policy declares them or broken, the
//! policy itself, and the revision scripts. The SQL is in files beside this one; here is only their order.

pub mod revisions;
pub mod sessions;

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::future::try_join_all;
use tokio_postgres::{Client, Config, NoTls, error::SqlState};

use super::{
    cluster::{Cluster, SUPERUSER},
    error::{DemoError, Kind},
};

/// Which of the two the demo starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Everything as the policy declares it: a check finds nothing.
    AsDeclared,
    /// The faults of the story added.
    #[default]
    Broken,
}

/// A file's name and its statements.
type File = (&'static str, &'static str);

/// One instance of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instance {
    /// Its name in the configuration and in the policy.
    pub name: &'static str,
    /// Its database.
    pub database: &'static str,
    /// Run in the maintenance database, before the database is made.
    roles: &'static str,
    create_database: &'static str,
    /// Run in the database: stages one after the other, the files of one stage side by side.
    stages: &'static [&'static [File]],
    broken: File,
}

/// The database that the services share.
pub const ENGARDE: Instance = Instance {
    name: "engarde",
    database: "engarde",
    roles: include_str!("roles.sql"),
    create_database: "create database engarde",
    stages: &[
        &[("schemas.sql", include_str!("schemas.sql"))],
        &[("public.sql", include_str!("public.sql"))],
        &[("langflow.sql", include_str!("langflow.sql")), ("services.sql", include_str!("services.sql"))],
        &[("tenancy.sql", include_str!("tenancy.sql"))],
    ],
    broken: ("broken.sql", include_str!("broken.sql")),
};

/// The second Langflow, in a database and a cluster of its own.
pub const FLOWDB: Instance = Instance {
    name: "flowdb",
    database: "En-Garde-FlowDB",
    roles: include_str!("flowdb.sql"),
    create_database: "create database \"En-Garde-FlowDB\"",
    stages: &[&[("flowdb_schema.sql", include_str!("flowdb_schema.sql"))]],
    broken: ("flowdb_broken.sql", include_str!("flowdb_broken.sql")),
};

/// The instances, the one that names the policy first.
pub const INSTANCES: [Instance; 2] = [ENGARDE, FLOWDB];

/// The policy of the fleet, as it is written beside the demo's configuration.
pub const POLICY: &str = include_str!("engarde.policy.toml");

const PASSWORDS: &str = include_str!("passwords.sql");
/// Row estimates for every table; the smallest sample keeps it short.
const STATISTICS: &str = "set default_statistics_target = 1; analyze";

/// Settings of the fleet's clusters: bulk loads need no log to replay.
pub const SETTINGS: &[(&str, &str)] = &[("wal_level", "minimal"), ("max_wal_senders", "0")];

/// How long a server may refuse connections because it is still starting.
const STARTING_LIMIT: Duration = Duration::from_secs(20);

/// Fills an empty cluster with the instance.
///
/// # Errors
/// `Server` with the statement file and the server's message.
pub async fn fill(cluster: &Cluster, instance: &Instance, state: State) -> Result<(), DemoError> {
    let maintenance = connect(&cluster.config(SUPERUSER, "postgres")).await?;
    run(&maintenance, "the roles", instance.roles).await?;
    run(&maintenance, "the database", instance.create_database).await?;
    drop(maintenance);
    let mut config = cluster.config(SUPERUSER, instance.database);
    config.options(format!("-c client_min_messages=warning -c demo.password={}", cluster.password()));
    let client = connect(&config).await?;
    for stage in instance.stages {
        let Some(((file, sql), others)) = stage.split_first() else { continue };
        let beside = try_join_all(others.iter().map(|(file, sql)| run_apart(&config, file, sql)));
        tokio::try_join!(run(&client, file, sql), beside)?;
    }
    match state {
        State::AsDeclared => {}
        State::Broken => run(&client, instance.broken.0, instance.broken.1).await?,
    }
    run(&client, "the passwords", PASSWORDS).await?;
    run(&client, "the statistics", STATISTICS).await
}

async fn run_apart(config: &Config, what: &str, sql: &str) -> Result<(), DemoError> {
    run(&connect(config).await?, what, sql).await
}

async fn run(client: &Client, what: &str, sql: &str) -> Result<(), DemoError> {
    client.batch_execute(sql).await.map_err(|error| failed(&format!("fill the demo ({what})"), &error))
}

/// A session whose connection is driven by a task of its own; it ends with the client.
pub(super) async fn connect(config: &Config) -> Result<Client, DemoError> {
    let start = tokio::time::Instant::now();
    loop {
        match config.connect(NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                return Ok(client);
            }
            Err(error) if error.code() == Some(&SqlState::CANNOT_CONNECT_NOW) && start.elapsed() < STARTING_LIMIT => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(failed("connect to the demo's server", &error)),
        }
    }
}

/// The server's own message with its code, detail and context, or the transport's.
pub(super) fn failed(what: &str, error: &tokio_postgres::Error) -> DemoError {
    let cause = match error.as_db_error() {
        None => error.to_string(),
        Some(server) => {
            let mut text = format!("{} ({})", server.message(), server.code().code());
            for more in [server.detail(), server.hint(), server.where_()].into_iter().flatten() {
                let _ = write!(text, "\n{more}");
            }
            text
        }
    };
    DemoError::new(Kind::Server, what, cause, "")
}

/// Writes the policy and the revision scripts it names into `dir`; returns the policy's path.
///
/// # Errors
/// Of the file system.
pub fn write_files(dir: &Path) -> io::Result<PathBuf> {
    let policy = dir.join("engarde.policy.toml");
    fs::write(&policy, POLICY)?;
    revisions::write(&dir.join("alembic"))?;
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_valid_and_speaks_of_both_instances() {
        let policy = crate::policy::file::parse(POLICY, Path::new("/demo/engarde.policy.toml")).unwrap();
        assert_eq!(policy.services.len(), 7);
        for instance in INSTANCES {
            let here = policy.for_instance(instance.name, instance == ENGARDE);
            assert!(!here.services.is_empty(), "{}", instance.name);
        }
    }

    #[test]
    fn every_revision_directory_of_the_policy_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = write_files(dir.path()).unwrap();
        let policy = crate::policy::file::load(&path).unwrap();
        for service in &policy.services {
            let revisions = service.revisions.as_ref().unwrap();
            assert!(fs::read_dir(revisions).unwrap().count() > 0, "{}", revisions.display());
        }
    }
}
