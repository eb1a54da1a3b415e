//! Reading through PgBouncer in transaction mode with one server connection: everything works, and nothing that a read
//! set stays behind for the application that gets the connection next.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use pgmoat::{
    config::{Conninfo, env::Env},
    domain::snapshot::VersionRows,
    server::{Reader, Want},
};

use crate::{
    read::runtime,
    support::cluster::{self, connect},
};

/// A pooler that ends with the test.
pub struct Pooler {
    child: Child,
    pub port: u16,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub const PROGRAMS: [&str; 3] = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];

pub fn start(program: &str, dir: &Path, server: &Path, server_port: u16) -> Pooler {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    fs::write(dir.join("users"), "\"postgres\" \"\"\n").unwrap();
    let config = format!(
        "[databases]\n* = host={} port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 1\n\
         ignore_startup_parameters = extra_float_digits\n",
        server.display(),
        dir.join("users").display(),
    );
    fs::write(dir.join("pgbouncer.ini"), config).unwrap();
    let mut command = Command::new(program);
    if rustix::process::geteuid().is_root() {
        command.args(["-u", "postgres"]); // it refuses to be root
    }
    let child = command.arg(dir.join("pgbouncer.ini")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pooler = Pooler { child, port };
    let end = Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < end, "the pooler does not listen");
        std::thread::yield_now();
    }
    pooler
}

#[test]
fn a_transaction_pooler_is_no_obstacle_and_keeps_none_of_our_settings() {
    let Some(program) = PROGRAMS.into_iter().find(|p| Path::new(p).exists()) else {
        eprintln!("SKIPPED: no PgBouncer on this machine");
        return;
    };
    runtime().block_on(async {
        let shared = cluster::shared(cluster::newest()).unwrap();
        let database = shared.database("pooled").await;
        let direct = connect(shared.cluster(), "postgres", &database).await;
        direct
            .batch_execute("create table alembic_version (version_num text); insert into alembic_version values ('p1')")
            .await
            .unwrap();
        let dir = tempfile::Builder::new().permissions(world_readable()).tempdir().unwrap();
        let pooler = start(program, dir.path(), &shared.cluster().socket_dir(), shared.cluster().port());
        let url = format!("postgresql://postgres@127.0.0.1:{}/{database}", pooler.port);
        let conninfo = Conninfo::parse(&url, &Env::default()).unwrap();
        let mut reader = Reader::open(&conninfo, "pooled").await.unwrap();

        // The application shares the one server connection with us.
        let (witness, connection) = format!("{url}?application_name=witness")
            .parse::<tokio_postgres::Config>()
            .unwrap()
            .connect(tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        let settings = || async {
            let sql = "select name || '=' || setting from pg_settings where name not in ('application_name') \
                       and (source = 'session' or name ~ 'timeout|search_path|jit|parallel|keepalives|row_security|encoding')";
            let rows = witness.simple_query(sql).await.unwrap();
            let mut lines: Vec<String> = rows
                .iter()
                .filter_map(|m| match m {
                    tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                    _ => None,
                })
                .collect();
            lines.sort_unstable();
            lines
        };
        let before = settings().await;
        assert!(before.iter().any(|s| s == "statement_timeout=0"), "{before:?}");
        for _ in 0..3 {
            let snapshot = reader.snapshot(&Want::everything(vec![])).await.unwrap();
            assert_eq!(snapshot.unavailable, []);
            assert_eq!(snapshot.versions.0[0].rows, VersionRows::Known(vec!["p1".into()]));
            assert_eq!(settings().await, before);
            reader.gate().await.unwrap();
        }
    });
}

pub fn world_readable() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o755)
}
