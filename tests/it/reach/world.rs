//! The servers of the table: one with TLS and users for every kind of login, a standby without TLS, one of every other
//! major, a pooler, ports where nobody or nothing answers, and homes with the files that libpq reads.

use std::{
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use pgmoat::{
    config::Env,
    demo::{
        cluster::{Cluster, ClusterOptions, SUPERUSER},
        guard::StopMode,
    },
};

use super::certificates;
use crate::support::{cluster, pooler::Pooler};

/// Everybody's password; it must turn up in nothing that is shown.
pub const PASSWORD: &str = "canary-7731";
/// The password of `odd`, with everything that needs quoting somewhere.
pub const ODD: &str = "canary p@ss:w/rd'\\%ü";

const HBA: [&str; 14] = [
    "hostssl all tlsonly all scram-sha-256",
    "host all tlsonly all reject",
    "hostnossl all clearonly all scram-sha-256",
    "host all clearonly all reject",
    "host all clear all password",
    "host all digest all md5",
    "hostssl all withcert all cert",
    "hostssl all certpw all scram-sha-256 clientcert=verify-ca",
    "host all refused all reject",
    "host all trusted all trust",
    "local all scram scram-sha-256",
    "local all digest md5",
    "local all clear password",
    "local all nobody_else peer",
];

const USERS: &str = "create role tlsonly login password 'P'; create role clearonly login password 'P';
    create role clear login password 'P'; create role refused login password 'P';
    create role scram login password 'P'; create role nologin nologin password 'P';
    create role withcert login; create role certpw login password 'P'; create role trusted login;
    create role full login password 'P' connection limit 0; create role outside login password 'P';
    create role nobody_else login; create role nopassword login; create role \"Odd User\" login password 'P';
    create role expired login password 'P' valid until '2001-01-01';
    create role odd login password 'O'; create role readonly login password 'P';
    alter role readonly set default_transaction_read_only = on;
    set password_encryption = 'md5'; create role digest login password 'P'";

pub struct World {
    pub main: Cluster,
    pub standby: Cluster,
    pub others: Vec<(u32, Cluster)>,
    pub certs: tempfile::TempDir,
    pub homes: tempfile::TempDir,
    pub pooler: Option<Pooler>,
    /// Takes connections and says nothing.
    pub mute: TcpListener,
    /// Takes connections and ends them.
    pub closing: u16,
    pub ipv6: bool,
}

impl World {
    /// `None` (said on stderr) without PostgreSQL 15 or openssl.
    pub async fn start() -> Option<Self> {
        cluster::server(15)?;
        let certs = certificates::make()?;
        let majors = cluster::majors();
        let starting: Vec<_> = std::iter::once((15, true))
            .chain(std::iter::once((15, false)))
            .chain(majors.into_iter().filter(|major| *major != 15).map(|major| (major, true)))
            .map(|(major, tls)| {
                let options = options(major, tls, certs.path());
                std::thread::spawn(move || (major, Cluster::start(options).unwrap()))
            })
            .collect();
        let mut started = starting.into_iter().map(|thread| thread.join().unwrap());
        let (main, mut standby) = (started.next()?.1, started.next()?.1);
        let others: Vec<(u32, Cluster)> = started.collect();
        for one in [&main, &standby].into_iter().chain(others.iter().map(|(_, one)| one)) {
            users(one).await;
        }
        // A server in recovery: it waits for a primary's changes, which nobody sends.
        standby.stop_server(StopMode::Fast).unwrap();
        let signal = standby.data_dir().join("standby.signal");
        std::fs::write(&signal, "").unwrap();
        std::os::unix::fs::chown(&signal, owner(&standby.data_dir()).0, owner(&standby.data_dir()).1).ok();
        standby.start_server().unwrap();
        let ipv6 = TcpListener::bind("[::1]:0").is_ok();
        let closer = TcpListener::bind("127.0.0.1:0").unwrap();
        let closing = closer.local_addr().unwrap().port();
        std::thread::spawn(move || closer.incoming().for_each(drop));
        let pooler = pooler(&main, certs.path());
        let mut world = Self {
            homes: tempfile::tempdir().unwrap(),
            mute: TcpListener::bind("127.0.0.1:0").unwrap(),
            main,
            standby,
            others,
            certs,
            pooler,
            closing,
            ipv6,
        };
        world.furnish();
        Some(world)
    }

    /// The path of a certificate, key or list.
    pub fn cert(&self, name: &str) -> String {
        self.certs.path().join(name).display().to_string()
    }

    /// The path of a home, or of a file in one.
    pub fn home(&self, name: &str) -> String {
        self.homes.path().join(name).display().to_string()
    }

    pub fn socket(&self) -> String {
        self.main.socket_dir().display().to_string()
    }

    pub fn mute_port(&self) -> u16 {
        self.mute.local_addr().unwrap().port()
    }

    fn file(&self, path: &str, text: impl AsRef<[u8]>, mode: u32) {
        let path = self.homes.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Homes with password files, services and certificates, right and wrong ones.
    fn furnish(&mut self) {
        let port = self.main.port();
        let any = format!("*:*:*:*:{PASSWORD}\n");
        self.file("pgpass/.pgpass", &any, 0o600);
        self.file("pgpass-0644/.pgpass", &any, 0o644);
        self.file("pgpass-0640/.pgpass", &any, 0o640);
        self.file("pgpass-0400/.pgpass", &any, 0o400);
        let lines = [
            "# a comment".to_owned(),
            "127.0.0.1:1:*:*:wrong".to_owned(),
            format!("db.test:{port}:postgres:scram:{PASSWORD}"),
            format!("localhost:{port}:postgres:scram:wrong"),
            format!("127.0.0.1:{port}:postgres:odd:{}", ODD.replace('\\', "\\\\").replace(':', "\\:")),
            format!("::1:{port}:postgres:scram:wrong6"),
            format!("\\:\\:1:{port}:postgres:scram:{PASSWORD}"),
            format!("{}:{port}:*:scram:{PASSWORD}", self.socket()),
            format!("127.0.0.1:{port}:My db:scram:{PASSWORD}"),
        ];
        self.file("lines/.pgpass", lines.join("\n"), 0o600);
        self.file("wrong/.pgpass", "*:*:*:*:not-it\n", 0o600);
        std::fs::create_dir_all(self.homes.path().join("directory/.pgpass")).unwrap();
        self.file("secrets/passes", &any, 0o600);
        self.file("secrets/passes-0644", &any, 0o644);

        let service = format!(
            "# services\n[main]\nhost=127.0.0.1\nport={port}\nuser=scram\ndbname=postgres\npassword={PASSWORD}\n\n\
             [odd]\nhost=127.0.0.1\n  port={port}  \nuser=trusted\ndbname=My db\napplication_name=from service\n\
             sslmode=disable\n[blank]\nhost = 127.0.0.1\n[nested]\nservice=main\n[unknown]\nhots=x\n[noequals]\nhost\n"
        );
        self.file("service/.pg_service.conf", &service, 0o644);
        self.file(
            "etc/pg_service.conf",
            format!("[system]\nhost=127.0.0.1\nport={port}\nuser=trusted\ndbname=postgres\n"),
            0o644,
        );
        self.file("service-crlf/.pg_service.conf", service.replace('\n', "\r\n"), 0o644);

        let read = |name: &str| std::fs::read(self.certs.path().join(name)).unwrap();
        let (ca, other) = (read("ca.crt"), read("other.crt"));
        self.file("trusting/.postgresql/root.crt", &ca, 0o644);
        self.file("elsewhere/.postgresql/root.crt", &other, 0o644);
        self.file("revoking/.postgresql/root.crt", &ca, 0o644);
        self.file("revoking/.postgresql/root.crl", read("revoked.crl"), 0o644);
        self.file("client/.postgresql/postgresql.crt", read("client.crt"), 0o644);
        self.file("client/.postgresql/postgresql.key", read("client.key"), 0o600);
        self.file("client-open/.postgresql/postgresql.crt", read("client.crt"), 0o644);
        self.file("client-open/.postgresql/postgresql.key", read("client.key"), 0o644);
        self.file("keyless/.postgresql/postgresql.crt", read("client.crt"), 0o644);
        self.file("empty/nothing", "", 0o600);
    }

    /// Gives the server with TLS another certificate, and waits until it is seen.
    pub async fn serve(&self, name: &str) {
        let wanted = std::fs::read(self.certs.path().join(name)).unwrap();
        std::fs::write(self.main.data_dir().join("server.crt"), &wanted).unwrap();
        let admin = cluster::connect(&self.main, SUPERUSER, "postgres").await;
        admin.batch_execute("select pg_reload_conf()").await.unwrap();
        let body = |text: &[u8]| {
            let text = String::from_utf8_lossy(text).into_owned();
            let certificate = text.split("-----BEGIN CERTIFICATE-----").nth(1).unwrap_or_default();
            certificate.split("-----END").next().unwrap_or_default().to_owned()
        };
        let address = format!("127.0.0.1:{}", self.main.port());
        for _ in 0..200 {
            let shown = Command::new("openssl")
                .args(["s_client", "-starttls", "postgres", "-connect", &address])
                .stdin(std::process::Stdio::null())
                .output()
                .unwrap();
            if body(&shown.stdout) == body(&wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the server does not serve {name}");
    }

    /// The surroundings of one attempt.
    pub fn env(&self, home: Option<&str>, vars: &[(String, String)]) -> Env {
        let process = Env::from_process();
        Env {
            vars: vars.iter().cloned().collect(),
            home: Some(self.homes.path().join(home.unwrap_or("empty"))),
            os_user: process.os_user,
            socket_dirs: vec![PathBuf::from("/var/run/postgresql")],
            sysconf_dir: None,
            passwd: process.passwd,
        }
    }
}

fn owner(path: &Path) -> (Option<u32>, Option<u32>) {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).map(|m| (Some(m.uid()), Some(m.gid()))).unwrap_or_default()
}

fn options(major: u32, tls: bool, certs: &Path) -> ClusterOptions {
    let setting = |name: &str, value: &str| (name.to_owned(), format!("'{value}'"));
    let mut settings = vec![
        setting("listen_addresses", "127.0.0.1,127.0.0.2,::1"),
        setting("max_connections", "60"),
        setting("shared_buffers", "16MB"),
    ];
    let mut hba: Vec<String> = HBA.iter().map(|line| (*line).to_owned()).collect();
    let mut files = Vec::new();
    if tls {
        settings.extend([setting("ssl", "on"), setting("ssl_ca_file", "ca.crt")]);
        for name in ["server.crt", "server.key", "ca.crt"] {
            files.push((name.to_owned(), std::fs::read(certs.join(name)).unwrap()));
        }
    } else {
        hba.retain(|line| !line.starts_with("hostssl"));
    }
    ClusterOptions { server: cluster::server(major), hba, files, settings, ..cluster::options() }
}

async fn users(one: &Cluster) {
    let admin = cluster::connect(one, SUPERUSER, "postgres").await;
    let text = USERS.replace("'P'", &format!("'{PASSWORD}'")).replace("'O'", &format!("'{}'", ODD.replace('\'', "''")));
    admin.batch_execute(&text).await.unwrap();
    for statement in [
        "create database closed",
        "revoke connect on database closed from public",
        "create database \"My db\"",
        "create database scram",
    ] {
        admin.batch_execute(statement).await.unwrap();
    }
}

/// PgBouncer before the server with TLS, with TLS and passwords of its own.
fn pooler(main: &Cluster, certs: &Path) -> Option<Pooler> {
    let settings = "auth_type = scram-sha-256\nauth_file = DIR/users\nclient_tls_sslmode = allow\n\
                    client_tls_key_file = DIR/server.key\nclient_tls_cert_file = DIR/server.crt\n";
    let read = |name: &str| std::fs::read(certs.join(name)).unwrap();
    let users = format!("\"tlsonly\" \"{PASSWORD}\"\n\"digest\" \"{PASSWORD}\"\n").into_bytes();
    let files = [("server.crt", read("server.crt")), ("server.key", read("server.key")), ("users", users)];
    Pooler::start(main, "postgres = user=postgres", settings, &files)
}
