//! One connection that reads, and the whole picture in one go for the commands. Read-only always; knows no cadence (see
//! `session`) and no policy.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use tokio::time::timeout;
use tokio_postgres::error::SqlState;

use super::connect::{Connected, connect};
use super::read::{
    self, Facts, Limits, ServerError,
    activity::{self, Tick},
    catalog::{self, CatalogRead, Hints},
    depends,
    isolation::{self, Asked},
    life::{self, Holder},
    objects,
    shapes::{self, ShapesRead},
    sizes::{self, Exact},
    versions::{self, Candidate},
};
use crate::{
    config::Conninfo,
    domain::{
        Oid,
        dependencies::Dependencies,
        platform,
        snapshot::{Activity, Catalog, Objects, Shapes, Sizes, Snapshot, Unavailable, VersionRows, VersionTables},
    },
};

/// For name resolution, sockets, TLS and login together.
const CONNECT: Duration = Duration::from_secs(5);
/// For the first questions on a new connection.
const FACTS: Duration = Duration::from_secs(5);
/// How long a cancelled query may take to say so before the connection is given up.
const CANCEL_GRACE: Duration = Duration::from_secs(1);

/// What a one-shot snapshot should hold besides the catalog.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Want {
    /// Column privileges, foreign keys, views, tenancy, overlaps and so on.
    pub shapes: bool,
    /// Column privileges alone, where `shapes` are not wanted.
    pub columns: bool,
    /// The rows of version tables.
    pub versions: bool,
    pub objects: ObjectsWanted,
    pub sizes: SizesWanted,
    /// Sessions and counters.
    pub activity: bool,
    /// Columns that tell tenants apart; `tenant_id` is always looked for.
    pub tenant_columns: Vec<String>,
}

impl Want {
    /// Everything that a check may ask about.
    #[must_use]
    pub fn everything(tenant_columns: Vec<String>) -> Want {
        Want {
            shapes: true,
            columns: true,
            versions: true,
            objects: ObjectsWanted::All,
            sizes: SizesWanted::Estimates,
            activity: true,
            tenant_columns,
        }
    }
}

/// Whose objects are listed by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ObjectsWanted {
    #[default]
    None,
    Schemas(Vec<Oid>),
    /// Of every schema but the system's.
    All,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SizesWanted {
    #[default]
    None,
    /// By page counts, of every schema.
    Estimates,
    /// Estimates, and exact sizes of these schemas.
    Schemas(Vec<Oid>),
    /// Exact sizes of every schema but the system's.
    All,
}

/// One connection for catalog and activity.
pub struct Reader {
    instance: String,
    words: Option<String>,
    connected: Connected,
    facts: Facts,
    limits: Limits,
    hints: Hints,
    /// Pids of this console's other connections.
    own: Vec<i32>,
    broken: bool,
}

impl Drop for Reader {
    fn drop(&mut self) {
        // A sound connection says good-bye by itself; one that hangs is cut.
        if self.broken {
            self.connected.task.abort();
        }
    }
}

impl Reader {
    /// Connects and asks what the server is.
    ///
    /// # Errors
    /// [`ServerError::Connect`], or what the first question met.
    pub async fn open(target: &Conninfo, instance: &str) -> Result<Reader, ServerError> {
        let connected = connect(target, CONNECT).await?;
        let mut reader = Reader {
            instance: instance.to_owned(),
            words: target.words.clone(),
            connected,
            facts: Facts::default(),
            limits: Limits::default(),
            hints: Hints::default(),
            own: Vec::new(),
            broken: false,
        };
        let (connected, broken) = (&reader.connected, &mut reader.broken);
        let facts = read::facts::facts(&connected.client);
        reader.facts = bounded("the facts of the server", FACTS, connected, broken, facts).await?;
        Ok(reader)
    }

    /// Changes the time limits of reads.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Pids of other connections of this console, to be marked in the activity.
    pub fn set_own(&mut self, pids: Vec<i32>) {
        self.own = pids;
    }

    /// The backend's pid as the server says; behind a pooler that of the first transaction.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.facts.pid
    }

    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The connection is gone or in an unknown state: open another.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken || self.connected.client.is_closed()
    }

    /// Version tables that are to be read although their names do not tell.
    pub fn set_version_tables(&mut self, oids: Vec<Oid>) {
        self.hints.version_tables = oids;
    }

    /// The gate alone: equal text, equal picture.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn gate(&mut self) -> Result<String, ServerError> {
        let read = async {
            let rows = read::bare(&self.connected.client, &catalog::gate_statement()).await?;
            catalog::gate(&rows)
        };
        bounded("the state of the server", self.limits.single(), &self.connected, &mut self.broken, read).await
    }

    /// Part A: everything cheap that decides who may do what.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn catalog(&mut self) -> Result<CatalogRead, ServerError> {
        loop {
            let read = catalog::catalog(&self.connected.client, &self.facts, self.limits, &mut self.hints);
            let result = bounded("the catalog", self.limits.unit, &self.connected, &mut self.broken, read).await;
            match result {
                Ok(mut read) => {
                    let facts = &self.connected.facts;
                    read.server.tls = facts.tls.as_ref().map(|tls| match &tls.cipher {
                        Some(cipher) => format!("{} {cipher}", tls.version),
                        None => tls.version.to_owned(),
                    });
                    read.server.local = facts.is_local;
                    let known = &self.facts.platform_settings;
                    read.server.platform = platform::recognised(&read.catalog.roles, known, Some(&facts.host));
                    platform::mark(&mut read.catalog.roles, read.server.platform);
                    read.server.pooled = facts.backend_pid.is_some_and(|named| named != self.facts.pid);
                    return Ok(read);
                }
                Err(error) if self.becomes_raw(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The gate, sessions and counters.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn activity(&mut self) -> Result<Tick, ServerError> {
        loop {
            let read = activity::activity(&self.connected.client, &self.facts, self.limits, &self.own);
            match bounded("the sessions", self.limits.single(), &self.connected, &mut self.broken, read).await {
                Err(error) if self.becomes_raw(&error) => {}
                other => return other,
            }
        }
    }

    /// Fills in the names of relations that somebody waits for: nothing is asked where nobody waits.
    ///
    /// # Errors
    /// Only what ends the connection.
    pub async fn names(&mut self, activity: &mut Activity) -> Result<(), ServerError> {
        let read = activity::names(&self.connected.client, &self.facts, self.limits, activity);
        bounded("the names of relations", self.limits.single(), &self.connected, &mut self.broken, read).await
    }

    /// The rows of the version tables among the candidates, by oid.
    ///
    /// # Errors
    /// Only what ends the connection.
    pub async fn version_rows(&mut self, candidates: &[Candidate]) -> Result<BTreeMap<Oid, VersionRows>, ServerError> {
        let read = versions::rows(&self.connected.client, &self.facts, self.limits, candidates);
        bounded("the version tables", self.limits.unit * 2, &self.connected, &mut self.broken, read).await
    }

    /// Objects by name, of these schemas or (`None`) of all in the catalog but the system's.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn objects(&mut self, schemas: Option<&[Oid]>, catalog: &Catalog) -> Result<Objects, ServerError> {
        let known: Vec<Oid> = catalog.schemas.iter().filter(|s| !s.is_system()).map(|s| s.oid).collect();
        loop {
            let read = objects::objects(&self.connected.client, &self.facts, self.limits, schemas, &known);
            match bounded("the objects", self.limits.unit * 2, &self.connected, &mut self.broken, read).await {
                Err(error) if self.becomes_raw(&error) => {}
                other => return other,
            }
        }
    }

    /// What the views of these schemas ask for beneath them, put beside the objects that were read. It is left out, and
    /// unknown, where the server does not say it.
    ///
    /// # Errors
    /// Only what ends the connection.
    pub async fn views(&mut self, schemas: Option<&[Oid]>, found: &mut Objects) -> Result<(), ServerError> {
        let what = "what views ask for beneath them";
        loop {
            let read = objects::views(&self.connected.client, &self.facts, self.limits, schemas, found);
            match bounded(what, self.limits.unit, &self.connected, &mut self.broken, read).await {
                Err(error) if self.becomes_raw(&error) => {}
                Err(error) if self.is_broken() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "could not read {what}");
                    return Ok(());
                }
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Schema and name of relations that are called so, wherever they stand.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn named(&mut self, names: Vec<String>) -> Result<Vec<(String, String)>, ServerError> {
        let read = objects::named(&self.connected.client, &self.facts, self.limits, names);
        bounded("relations of a name", self.limits.single(), &self.connected, &mut self.broken, read).await
    }

    /// The names of one relation's columns.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn columns(&mut self, relation: Oid) -> Result<Vec<String>, ServerError> {
        loop {
            let read = objects::columns(&self.connected.client, &self.facts, self.limits, relation);
            match bounded("the columns", self.limits.single(), &self.connected, &mut self.broken, read).await {
                Err(error) if self.becomes_raw(&error) => {}
                other => return other,
            }
        }
    }

    /// What uses what around one schema: for plans that move things out of it.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn dependencies(&mut self, version_num: u32, schema: Oid) -> Result<Dependencies, ServerError> {
        loop {
            let read = depends::dependencies(&self.connected.client, &self.facts, self.limits, version_num, schema);
            match bounded("what uses what", self.limits.unit * 2, &self.connected, &mut self.broken, read).await {
                Err(error) if self.becomes_raw(&error) => {}
                other => return other,
            }
        }
    }

    /// Part C: column privileges, foreign keys, views, tenancy and so on. Tables that it finds by their shape are read
    /// as version tables from then on.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn shapes(&mut self, tenant_columns: &[String]) -> Result<ShapesRead, ServerError> {
        loop {
            let read = shapes::shapes(&self.connected.client, &self.facts, self.limits, tenant_columns);
            match bounded("the shapes", self.limits.unit * 2, &self.connected, &mut self.broken, read).await {
                Err(error) if self.becomes_raw(&error) => {}
                other => return other,
            }
        }
    }

    async fn column_grants(&mut self) -> Result<Shapes, ServerError> {
        loop {
            let read = shapes::column_grants(&self.connected.client, &self.facts, self.limits);
            match bounded("the column privileges", self.limits.unit, &self.connected, &mut self.broken, read).await {
                Err(error) if self.becomes_raw(&error) => {}
                other => return other,
            }
        }
    }

    /// What the roles can reach of the schemas, as the server answers.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn isolation(&mut self, roles: &[Oid], schemas: &[Oid]) -> Result<Vec<Asked>, ServerError> {
        // Every privilege of every role on every table: more than other questions, and asked by a command only.
        let limits = Limits { statement_ms: self.limits.statement_ms * 4, ..self.limits };
        let read = isolation::asked(&self.connected.client, &self.facts, limits, roles, schemas);
        bounded("what the roles can reach", self.limits.unit * 4, &self.connected, &mut self.broken, read).await
    }

    /// The sessions that hold locks on these relations at the moment.
    ///
    /// # Errors
    /// [`ServerError`].
    pub(crate) async fn holders(&mut self, names: Vec<String>) -> Result<Vec<Holder>, ServerError> {
        let read = life::holders(&self.connected.client, &self.facts, self.limits, names);
        bounded("the sessions in the way", self.limits.single(), &self.connected, &mut self.broken, read).await
    }

    /// Estimated sizes of all schemas and the size of the database.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn size_estimates(&mut self) -> Result<Sizes, ServerError> {
        let read = sizes::estimate(&self.connected.client, &self.facts, self.limits);
        bounded("the page counts", self.limits.unit, &self.connected, &mut self.broken, read).await
    }

    /// Exact sizes of the tables of these schemas; the backend keeps 13 KiB for each until it disconnects.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn exact_sizes(&mut self, schemas: &[Oid]) -> Result<Exact, ServerError> {
        let read = sizes::exact(&self.connected.client, &self.facts, self.limits, schemas);
        bounded("the sizes of relations", self.limits.unit * 4, &self.connected, &mut self.broken, read).await
    }

    /// The whole picture at once, for a command.
    ///
    /// # Errors
    /// What the catalog met, or the loss of the connection. Other parts that could not be read are named in
    /// [`Snapshot::unavailable`].
    pub async fn snapshot(&mut self, want: &Want) -> Result<Snapshot, ServerError> {
        let mut unavailable = Vec::new();
        // First, because the version tables that it finds by their shape are then in the catalog read.
        let shapes = if want.shapes {
            let part = self.shapes(&want.tenant_columns).await;
            self.part("column privileges, foreign keys, views and tenancy", part, &mut unavailable)?
        } else {
            None
        };
        if let Some(found) = &shapes {
            self.hints.version_tables.clone_from(&found.version_tables);
            unavailable.extend(found.unavailable.iter().cloned());
        } else if want.versions {
            let read = shapes::version_tables(&self.connected.client, &self.facts, self.limits);
            let part = bounded("the version tables", self.limits.unit, &self.connected, &mut self.broken, read).await;
            let found = self.part("version tables under other names", part, &mut unavailable)?;
            self.hints.version_tables = found.unwrap_or_default();
        }
        let columns = if want.columns && !want.shapes {
            let part = self.column_grants().await;
            self.part("column privileges", part, &mut unavailable)?.map(Arc::new)
        } else {
            None
        };
        let mut read = self.catalog().await?;
        let rows = if want.versions { self.version_rows(&read.candidates).await? } else { BTreeMap::new() };
        let candidates = std::mem::take(&mut read.candidates);
        let objects = match &want.objects {
            ObjectsWanted::None => Objects::default(),
            ObjectsWanted::Schemas(schemas) => {
                let part = self.objects(Some(schemas), &read.catalog).await;
                let mut found = self.part("the names of objects", part, &mut unavailable)?.unwrap_or_default();
                self.views(Some(schemas), &mut found).await?;
                found
            }
            ObjectsWanted::All => {
                let part = self.objects(None, &read.catalog).await;
                let mut found = self.part("the names of objects", part, &mut unavailable)?.unwrap_or_default();
                self.views(None, &mut found).await?;
                found
            }
        };
        let sizes = self.wanted_sizes(&want.sizes, &read.catalog, &mut unavailable).await?;
        let activity = if want.activity {
            let part = self.activity().await;
            let mut activity = self.part("the sessions", part, &mut unavailable)?.map(|tick| tick.activity);
            if let Some(activity) = &mut activity {
                self.names(activity).await?;
            }
            activity.map(Arc::new)
        } else {
            None
        };
        let versions = version_tables(candidates, &rows, None);
        unavailable.extend(read::unavailable::parts(&read.server, &versions, &read.catalog));
        Ok(Snapshot {
            instance: self.instance.clone(),
            words: self.words.clone(),
            server: Arc::new(read.server),
            catalog: Arc::new(read.catalog),
            shapes: shapes.map(|read| Arc::new(read.shapes)).or(columns),
            objects,
            versions: Arc::new(versions),
            sizes: Arc::new(sizes),
            activity,
            unavailable,
        })
    }

    async fn wanted_sizes(
        &mut self,
        want: &SizesWanted,
        catalog: &Catalog,
        unavailable: &mut Vec<Unavailable>,
    ) -> Result<Sizes, ServerError> {
        let exact: Vec<Oid> = match want {
            SizesWanted::None => return Ok(Sizes::default()),
            SizesWanted::Estimates => Vec::new(),
            SizesWanted::Schemas(schemas) => schemas.clone(),
            SizesWanted::All => catalog.schemas.iter().filter(|s| !s.is_system()).map(|s| s.oid).collect(),
        };
        let part = self.size_estimates().await;
        let estimates = self.part("the estimated sizes", part, unavailable)?.unwrap_or_default();
        if exact.is_empty() {
            return Ok(estimates);
        }
        let part = self.exact_sizes(&exact).await;
        Ok(match self.part("the exact sizes", part, unavailable)? {
            Some(exact) => sizes::merged(&estimates, &exact),
            None => estimates,
        })
    }

    /// A part that was refused is left out and named; what ends the connection ends the reading.
    fn part<T>(
        &self,
        what: &str,
        result: Result<T, ServerError>,
        unavailable: &mut Vec<Unavailable>,
    ) -> Result<Option<T>, ServerError> {
        match result {
            Ok(part) => Ok(Some(part)),
            Err(error) if self.is_broken() => Err(error),
            Err(error) => {
                unavailable.push(Unavailable { what: what.to_owned(), why: error.to_string(), grant: None });
                Ok(None)
            }
        }
    }

    /// The server could not convert a text ("character not in repertoire"): from now on texts are asked for as bytes.
    fn becomes_raw(&mut self, error: &ServerError) -> bool {
        let first = error.is(&SqlState::CHARACTER_NOT_IN_REPERTOIRE) && !self.facts.raw_text;
        self.facts.raw_text |= first;
        first
    }
}

/// The tables of a read with the rows that were found; a locked one keeps the rows it had before.
#[must_use]
pub fn version_tables(
    candidates: Vec<Candidate>,
    rows: &BTreeMap<Oid, VersionRows>,
    before: Option<&VersionTables>,
) -> VersionTables {
    let tables = candidates.into_iter().map(|candidate| {
        let mut table = candidate.table;
        let earlier = || before.and_then(|b| b.0.iter().find(|t| t.oid == table.oid)).map(|t| &t.rows);
        let now = match rows.get(&table.oid) {
            Some(VersionRows::Locked(None)) => {
                Some(VersionRows::Locked(earlier().and_then(VersionRows::known).map(<[String]>::to_vec)))
            }
            Some(rows) => Some(rows.clone()),
            // Not read this time: what is known stays, unless the catalog itself speaks against it.
            None if table.rows == VersionRows::Pending => earlier().cloned(),
            None => None,
        };
        if let Some(now) = now {
            table.rows = now;
        }
        table
    });
    VersionTables(tables.collect())
}

/// Waits for a read no longer than its deadline. When that passes, the query is cancelled and given a second to end; the
/// connection is then given up in any case, because a late cancel can hit the query that follows.
pub(crate) async fn bounded<T>(
    what: &'static str,
    limit: Duration,
    connected: &Connected,
    broken: &mut bool,
    read: impl Future<Output = Result<T, ServerError>>,
) -> Result<T, ServerError> {
    let mut read = std::pin::pin!(read);
    let Ok(result) = timeout(limit, &mut read).await else {
        *broken = true;
        let ending = async {
            let _ = connected.canceller.cancel(CANCEL_GRACE).await;
            let _ = read.await;
        };
        let _ = timeout(CANCEL_GRACE, ending).await;
        return Err(ServerError::Deadline { what, after: limit });
    };
    *broken |= result.as_ref().is_err_and(ServerError::ends_connection);
    result.map_err(|error| error.because(connected.ending.get()))
}
