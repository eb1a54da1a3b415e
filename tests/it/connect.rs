//! Connecting beyond what `reach` compares with psql: facts and kinds, direct TLS, notices, cancelling, deadlines.
//! Servers that are none are played here.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use pgmoat::{
    config::{Conninfo, Env},
    demo::cluster::{Cluster, ClusterOptions, SUPERUSER},
    server::{
        connect::{ConnectError, ConnectErrorKind, Connected, connect},
        errors::ServerError,
        tls::Checked,
    },
};

use crate::{
    reach::certificates,
    support::{cluster, pooler::Pooler},
};

const LIMIT: Duration = Duration::from_secs(5);

fn env() -> Env {
    Env { os_user: Some("nobody".into()), ..Env::default() }
}

async fn try_connect(text: &str) -> Result<Connected, ConnectError> {
    connect(&Conninfo::parse(text, &env()).unwrap(), LIMIT).await
}

/// A server with TLS, users for every kind of login, and the certificates it can be given.
struct Fleet {
    cluster: Cluster,
    certs: tempfile::TempDir,
}

const HBA: [&str; 9] = [
    "hostssl all tlsonly 127.0.0.1/32 scram-sha-256",
    "host all tlsonly all reject",
    "hostnossl all clearonly 127.0.0.1/32 scram-sha-256",
    "host all clearonly all reject",
    "host all clear 127.0.0.1/32 password",
    "host all digest 127.0.0.1/32 md5",
    "hostssl all withcert 127.0.0.1/32 cert",
    "host all refused all reject",
    "local all scram scram-sha-256",
];

impl Fleet {
    fn start(major: u32) -> Option<Self> {
        let certs = certificates::make()?;
        let file = |name: &str| std::fs::read(certs.path().join(name)).unwrap();
        let setting = |name: &str, value: &str| (name.to_owned(), format!("'{value}'"));
        let cluster = Cluster::start(ClusterOptions {
            server: Some(cluster::server(major)?),
            hba: HBA.iter().map(|l| (*l).to_owned()).collect(),
            files: vec![
                ("server.crt".into(), file("server.crt")),
                ("server.key".into(), file("server.key")),
                ("ca.crt".into(), file("ca.crt")),
            ],
            settings: vec![
                setting("ssl", "on"),
                setting("ssl_ca_file", "ca.crt"),
                setting("listen_addresses", "127.0.0.1"),
                setting("max_connections", "12"),
            ],
            ..cluster::options()
        })
        .unwrap();
        Some(Self { cluster, certs })
    }

    async fn users(&self) {
        let admin = cluster::connect(&self.cluster, SUPERUSER, "postgres").await;
        admin
            .batch_execute(
                "create role tlsonly login password 'secret'; create role clearonly login password 'secret';
                 create role clear login password 'secret'; create role refused login password 'secret';
                 create role scram login password 'secret'; create role nologin nologin password 'secret';
                 create role withcert login; create role full login password 'secret' connection limit 0;
                 create role outside login password 'secret';
                 set password_encryption = 'md5'; create role digest login password 'secret'",
            )
            .await
            .unwrap();
        admin.batch_execute("create database closed").await.unwrap();
        admin.batch_execute("revoke connect on database closed from public").await.unwrap();
    }

    fn cert(&self, name: &str) -> String {
        self.certs.path().join(name).display().to_string()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_and_kinds_are_right() {
    let Some(fleet) = Fleet::start(15) else { return };
    fleet.users().await;
    let port = fleet.cluster.port();
    let tcp = format!("host=localhost port={port} dbname=postgres password=secret");

    let full = format!("{tcp} user=scram sslmode=verify-full sslrootcert={}", fleet.cert("ca.crt"));
    let connected = try_connect(&full).await.ok().unwrap();
    let row = connected
        .client
        .query_typed("select pg_backend_pid(), cipher from pg_stat_ssl where pid = pg_backend_pid()", &[])
        .await
        .unwrap();
    assert_eq!(connected.facts.backend_pid, Some(row[0].get(0)));
    let tls = connected.facts.tls.clone().unwrap();
    assert_eq!(tls.checked, Checked::Host);
    assert_eq!(tls.cipher.unwrap().replace("TLS13_", "TLS_"), row[0].get::<_, String>(1));
    assert!(connected.facts.is_local && !connected.facts.is_socket);
    assert!(connected.facts.server_version.as_deref().is_some_and(|v| v.starts_with("15.")));
    assert_eq!(connected.facts.in_hot_standby, Some(false));

    for (words, kind, sqlstate) in [
        ("user=scram password=wrong", ConnectErrorKind::Auth, Some("28P01")),
        ("user=scram password=''", ConnectErrorKind::PasswordNeeded, None),
        ("user=refused", ConnectErrorKind::Auth, Some("28000")),
        ("user=full", ConnectErrorKind::TooManyConnections, Some("53300")),
        ("user=scram dbname=missing", ConnectErrorKind::DatabaseMissing, Some("3D000")),
        ("user=outside dbname=closed", ConnectErrorKind::Auth, Some("42501")),
        ("user=digest require_auth=scram-sha-256", ConnectErrorKind::Auth, None),
        ("user=clear require_auth=!password", ConnectErrorKind::Auth, None),
        ("user=scram sslmode=require sslnegotiation=direct", ConnectErrorKind::Tls, None),
        ("user=scram target_session_attrs=standby", ConnectErrorKind::WrongSession, None),
    ] {
        let error = try_connect(&format!("{tcp} {words}")).await.err().unwrap_or_else(|| panic!("{words}"));
        assert_eq!((error.kind, error.sqlstate.as_deref()), (kind, sqlstate), "{words}: {error}");
        assert!(error.remedy.is_some(), "{words}: {error}");
        assert!(!format!("{error}{error:?}").contains("secret"), "{words}: {error}");
    }
    assert!(try_connect(&format!("{tcp} user=scram require_auth=scram-sha-256,none")).await.is_ok());

    // A session that an administrator ends: the task knows why.
    let connected = try_connect(&format!("{tcp} user=scram")).await.ok().unwrap();
    let admin = cluster::connect(&fleet.cluster, SUPERUSER, "postgres").await;
    let pid = connected.facts.backend_pid.unwrap();
    admin.batch_execute(&format!("select pg_terminate_backend({pid})")).await.unwrap();
    let ended = tokio::time::timeout(LIMIT, connected.task).await.unwrap().unwrap().unwrap_err();
    assert!(ended.is("57P01") && ended.closed, "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_tls_is_for_servers_from_17() {
    for major in [17, 18] {
        let Some(fleet) = Fleet::start(major) else { continue };
        fleet.users().await;
        let port = fleet.cluster.port();
        let text = format!(
            "host=localhost port={port} dbname=postgres user=scram password=secret sslmode=verify-full sslnegotiation=direct sslrootcert={}",
            fleet.cert("ca.crt")
        );
        let connected = try_connect(&text).await.unwrap_or_else(|e| panic!("{major}: {e}"));
        assert_eq!(connected.facts.tls.as_ref().unwrap().version, "TLSv1.3");
        cancels(&connected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_and_cancelling_work_on_every_kind_of_line() {
    let Some(fleet) = Fleet::start(15) else { return };
    fleet.users().await;
    let port = fleet.cluster.port();
    let socket = fleet.cluster.socket_dir().display().to_string();
    for text in [
        format!("host={socket} port={port} user=postgres dbname=postgres"),
        format!("host=127.0.0.1 port={port} user=scram password=secret dbname=postgres sslmode=disable"),
        format!("host=127.0.0.1 port={port} user=scram password=secret dbname=postgres sslmode=require"),
    ] {
        let mut connected = try_connect(&text).await.ok().unwrap();
        connected.client.batch_execute("do $$ begin raise warning 'mind the gap'; end $$").await.unwrap();
        let notice = tokio::time::timeout(LIMIT, connected.notices.recv()).await.unwrap().unwrap();
        assert_eq!((notice.severity.as_str(), notice.message.as_str()), ("WARNING", "mind the gap"));
        cancels(&connected).await;
    }
}

async fn cancels(connected: &Connected) {
    let begun = Instant::now();
    let canceller = connected.canceller.clone();
    let statement = connected.client.simple_query("select pg_sleep(30)");
    let cancel = async {
        // Until the statement runs a cancel has nothing to interrupt, so it is repeated.
        loop {
            canceller.cancel(LIMIT).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let error = tokio::select! {
        answer = statement => ServerError::from(answer.unwrap_err()),
        () = cancel => unreachable!(),
    };
    assert!(error.is("57014"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

/// A listener that plays a server: `play` gets every connection; the number of connections is counted.
fn fake(play: impl Fn(TcpStream) + Send + Sync + 'static) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let play = Arc::new(play);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            counted.fetch_add(1, Ordering::SeqCst);
            let play = play.clone();
            std::thread::spawn(move || play(stream));
        }
    });
    (port, count)
}

/// Reads SSLRequest, refuses it, and reads the start-up message.
fn begin_in_clear(stream: &mut TcpStream) {
    let mut head = [0; 8];
    stream.read_exact(&mut head).unwrap();
    if head[4..] == [0x04, 0xd2, 0x16, 0x2f] {
        stream.write_all(b"N").unwrap();
        stream.read_exact(&mut head).unwrap();
    }
    let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let mut rest = vec![0; length - 8];
    stream.read_exact(&mut rest).unwrap();
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend((u32::try_from(body.len()).unwrap() + 4).to_be_bytes());
    bytes.extend(body);
    bytes
}

async fn against(text: &str, play: impl Fn(TcpStream) + Send + Sync + 'static) -> (ConnectError, usize, Duration) {
    let (port, count) = fake(play);
    let begun = Instant::now();
    let info = Conninfo::parse(&text.replace("PORT", &port.to_string()), &env()).unwrap();
    let error = connect(&info, Duration::from_secs(1)).await.err().unwrap();
    (error, count.load(Ordering::SeqCst), begun.elapsed())
}

const PLAIN: &str = "host=127.0.0.1 port=PORT user=u dbname=d password=CANARY";

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_covers_everything() {
    let silent = |stream: TcpStream| {
        std::thread::sleep(Duration::from_secs(20));
        drop(stream);
    };
    for text in [PLAIN.to_owned(), format!("{PLAIN} sslmode=disable"), format!("{PLAIN} sslmode=require")] {
        let (error, _, took) = against(&text, silent).await;
        assert_eq!(error.kind, ConnectErrorKind::Timeout, "{text}: {error}");
        assert!(took < Duration::from_millis(1500), "{text}: {took:?}");
        let said = error.to_string();
        assert!(said.contains("host and port are open: the server hangs") && !said.contains("firewalls"), "{said}");
    }
    // Silent after TLS was promised, and after the password was asked for.
    let (error, _, took) = against(&format!("{PLAIN} sslmode=require"), move |mut stream| {
        let mut head = [0; 8];
        stream.read_exact(&mut head).unwrap();
        stream.write_all(b"S").unwrap();
        silent(stream);
    })
    .await;
    assert_eq!(error.kind, ConnectErrorKind::Timeout, "{error}");
    assert!(took < Duration::from_millis(1500), "{took:?}");
    let (error, _, took) = against(PLAIN, move |mut stream| {
        begin_in_clear(&mut stream);
        stream.write_all(&message(b'R', &3u32.to_be_bytes())).unwrap();
        silent(stream);
    })
    .await;
    assert_eq!(error.kind, ConnectErrorKind::Timeout, "{error}");
    assert!(took < Duration::from_millis(1500), "{took:?}");

    // The connection's own limit holds for each host, whatever the caller's is.
    let (port, _) = fake(silent);
    let text = format!("host=127.0.0.1,127.0.0.1 port={port} user=u connect_timeout=1");
    let begun = Instant::now();
    let error = connect(&Conninfo::parse(&text, &env()).unwrap(), Duration::from_secs(60)).await.err().unwrap();
    assert_eq!(error.kind, ConnectErrorKind::Timeout);
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(1900) && took < Duration::from_secs(3), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_server_is_said_so() {
    for (bytes, kind) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], ConnectErrorKind::Protocol),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ConnectErrorKind::Protocol),
        (b"\0\0\0\0\0\0\0\0", ConnectErrorKind::Protocol),
        (b"R\0\0\0\0", ConnectErrorKind::Protocol),
        (b"R\x7f\xff\xff\xff", ConnectErrorKind::Protocol),
        (b"?", ConnectErrorKind::Protocol),
        (b"", ConnectErrorKind::Refused),
    ] {
        for text in [PLAIN.to_owned(), format!("{PLAIN} sslmode=disable")] {
            let (error, _, _) = against(&text, move |mut stream| {
                let mut head = [0; 8];
                stream.read_exact(&mut head).unwrap();
                stream.write_all(bytes).unwrap();
            })
            .await;
            assert_eq!(error.kind, kind, "{bytes:?}: {error}");
            assert!(!error.to_string().contains("CANARY"));
        }
    }
    // Endless settings before the login is complete.
    let (error, _, _) = against(&format!("{PLAIN} sslmode=disable"), |mut stream| {
        begin_in_clear(&mut stream);
        stream.write_all(&message(b'R', &0u32.to_be_bytes())).unwrap();
        let setting = message(b'S', format!("name\0{}\0", "x".repeat(1000)).as_bytes());
        while stream.write_all(&setting).is_ok() {}
    })
    .await;
    assert_eq!(error.kind, ConnectErrorKind::Protocol, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_password_is_tried_once() {
    let refuse = |mut stream: TcpStream| {
        begin_in_clear(&mut stream);
        stream.write_all(&message(b'R', &3u32.to_be_bytes())).unwrap();
        let mut head = [0; 5];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(head[0], b'p');
        stream.write_all(&message(b'E', b"SFATAL\0VFATAL\0C28P01\0Mno\0\0")).unwrap();
    };
    for mode in ["disable", "allow", "prefer"] {
        let text = format!("host=127.0.0.1,127.0.0.1 port=PORT user=u dbname=d password=CANARY sslmode={mode}");
        let (error, count, _) = against(&text, refuse).await;
        assert_eq!((error.kind, count), (ConnectErrorKind::Auth, 1), "{mode}: {error}");
    }
    // A server that starts up is passed over, and so is one without free processes not.
    for (state, count) in [("57P03", 2), ("53300", 1), ("3D000", 1)] {
        let text = "host=127.0.0.1,127.0.0.1 port=PORT user=u dbname=d sslmode=disable";
        let (error, tried, _) = against(text, move |mut stream| {
            begin_in_clear(&mut stream);
            stream.write_all(&message(b'E', format!("SFATAL\0VFATAL\0C{state}\0Mno\0\0").as_bytes())).unwrap();
        })
        .await;
        assert_eq!((error.sqlstate.as_deref(), tried), (Some(state), count), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_reaches_through_a_pooler() {
    let Some(shared) = cluster::shared(15) else { return };
    let Some(pooler) = Pooler::trusting(shared.cluster(), 2) else { return };
    let text = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", pooler.port);
    for _ in 0..10 {
        let connected = try_connect(&text).await.unwrap_or_else(|e| panic!("{e}"));
        let begun = Instant::now();
        let statement = connected.client.simple_query("select pg_sleep(5)");
        let cancel = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            connected.canceller.cancel(LIMIT).await
        };
        let (answer, cancelled) = tokio::join!(statement, cancel);
        cancelled.unwrap();
        let error = ServerError::from(answer.unwrap_err());
        assert!(error.is("57014") && begun.elapsed() < Duration::from_secs(2), "{error} after {:?}", begun.elapsed());
    }
    let error = try_connect(&format!("{text} options='-c search_path=x'")).await.err().unwrap();
    assert!(error.remedy.as_deref().is_some_and(|r| r.contains("pooler")), "{error}");
}
