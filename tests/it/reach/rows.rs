//! The table: connection strings with their environment and files. What is to happen is not written here, psql says it.

use super::{
    certificates::{ADDRESS, CHAIN, EXPIRED, GOOD, NAME_ONLY, SELF_SIGNED, STAR, VERSION_1},
    verdict::Why,
    world::{ODD, PASSWORD, World},
};

/// What an attempt leads to.
#[derive(Debug)]
pub enum Expected {
    In,
    Out(Why),
}

impl From<Option<Why>> for Expected {
    fn from(why: Option<Why>) -> Self {
        why.map_or(Self::In, Self::Out)
    }
}

/// One attempt.
pub struct Row {
    pub text: String,
    pub env: Vec<(String, String)>,
    /// The home directory, one of [`World::homes`]; an empty one else.
    pub home: Option<&'static str>,
    /// The certificate that the server with TLS shows.
    pub cert: &'static str,
    /// psql 15 does not know this; what later ones do.
    pub later: Option<Expected>,
    /// Where we differ from psql on purpose: what we do.
    pub ours: Option<Expected>,
    /// What our message must hold, or the facts of our connection.
    pub says: Vec<&'static str>,
}

impl Row {
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    pub fn home(mut self, home: &'static str) -> Self {
        self.home = Some(home);
        self
    }

    pub fn later(mut self, why: Option<Why>) -> Self {
        self.later = Some(why.into());
        self
    }

    pub fn ours(mut self, why: Option<Why>) -> Self {
        self.ours = Some(why.into());
        self
    }

    pub fn says(mut self, words: &'static str) -> Self {
        self.says.push(words);
        self
    }
}

fn row(text: impl Into<String>) -> Row {
    Row { text: text.into(), env: Vec::new(), home: None, cert: GOOD, later: None, ours: None, says: Vec::new() }
}

fn with(cert: &'static str, rows: impl IntoIterator<Item = Row>) -> impl Iterator<Item = Row> {
    rows.into_iter().map(move |one| Row { cert, ..one })
}

/// All rows that this machine can run.
pub fn all(world: &World) -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(logins(world));
    rows.extend(modes(world));
    rows.extend(certificates(world));
    rows.extend(client_certificates(world));
    rows.extend(hosts(world));
    rows.extend(sessions(world));
    rows.extend(surroundings(world));
    rows.extend(password_files(world));
    rows.extend(services(world));
    rows.extend(grammar(world));
    rows.extend(later_words(world));
    rows.extend(majors(world));
    rows.extend(pooler(world));
    rows
}

/// The server with TLS over TCP, with everybody's password.
fn tcp(world: &World) -> String {
    format!("host=127.0.0.1 port={} dbname=postgres password={PASSWORD}", world.main.port())
}

/// The same by a name that its certificate has.
fn named(world: &World) -> String {
    tcp(world).replacen("127.0.0.1", "localhost", 1)
}

fn logins(world: &World) -> Vec<Row> {
    let (tcp, port, socket) = (tcp(world), world.main.port(), world.socket());
    let odd = ODD.replace('\\', "\\\\").replace('\'', "\\'");
    let encoded = "canary%20p%40ss%3aw%2Frd%27%5C%25%C3%BC";
    let local = format!("host={socket} port={port} dbname=postgres");
    vec![
        row(format!("{tcp} user=scram")),
        row(format!("{tcp} user=digest")),
        row(format!("{tcp} user=clear")),
        row(format!("{tcp} user=trusted")),
        row(format!("{tcp} user=refused")),
        row(format!("{tcp} user=nologin")),
        row(format!("{tcp} user=full")),
        row(format!("{tcp} user=nobody-here")),
        row(format!("{tcp} user=nopassword")),
        row(format!("{tcp} user=expired")),
        row(format!("{tcp} user=scram password=wrong")),
        row(format!("{tcp} user=digest password=wrong")),
        row(format!("{tcp} user=clear password=wrong")),
        row(format!("{tcp} user=scram password=''")),
        row(format!("{tcp} user=digest password=''")),
        row(format!("{tcp} user=clear password=''")),
        row(format!("{tcp} user=scram dbname=missing")),
        row(format!("{tcp} user=outside dbname=closed")),
        row(format!("{tcp} user=scram dbname='My db'")),
        row(format!("{tcp} user='Odd User'")),
        row(format!("host=127.0.0.1 port={port} dbname=postgres user=odd password='{odd}'")),
        row(format!("postgresql://odd:{encoded}@127.0.0.1:{port}/postgres")),
        row(format!("host=127.0.0.2 port={port} dbname=postgres user=scram password={PASSWORD}")),
        row(format!("host=127.0.0.2 port={port} dbname=postgres user=scram sslmode=require")),
        row(format!("{local} user=postgres")),
        row(format!("{local} user=scram password={PASSWORD}")),
        row(format!("{local} user=scram")),
        row(format!("{local} user=digest password={PASSWORD}")),
        row(format!("{local} user=clear password={PASSWORD}")),
        row(format!("{local} user=nobody_else")),
        row(format!("{local} user=postgres requirepeer=nobody")),
        row(format!("{local} user=postgres requirepeer={}", if is_root() { "postgres" } else { "root" })),
        row(format!("{tcp} user=scram requirepeer=nobody")),
    ]
}

fn modes(world: &World) -> Vec<Row> {
    let (tcp, port, socket) = (tcp(world), world.main.port(), world.socket());
    let clear = format!("host=127.0.0.1 port={} dbname=postgres password={PASSWORD} user=scram", world.standby.port());
    let ca = world.cert("ca.crt");
    let mut rows: Vec<Row> = ["disable", "allow", "prefer", "require"]
        .iter()
        .flat_map(|mode| {
            ["scram", "tlsonly", "clearonly", "clear", "digest", "refused"]
                .map(|user| row(format!("{tcp} user={user} sslmode={mode}")))
        })
        .collect();
    for mode in ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] {
        rows.push(row(format!("{clear} sslmode={mode} sslrootcert={ca}")));
        rows.push(row(format!(
            "host={socket} port={port} user=postgres sslmode={mode} dbname=postgres sslrootcert={ca}"
        )));
    }
    rows.extend([
        row(format!("{tcp} user=scram channel_binding=require")),
        row(format!("{tcp} user=scram channel_binding=require sslmode=disable")),
        row(format!("{tcp} user=scram channel_binding=disable sslmode=require")),
        row(format!("{tcp} user=scram channel_binding=prefer sslmode=disable")),
        row(format!("{tcp} user=digest channel_binding=require")),
        row(format!("{tcp} user=trusted channel_binding=require")),
        row(format!("{tcp} user=scram ssl_max_protocol_version=TLSv1.2")),
        row(format!("{tcp} user=scram ssl_min_protocol_version=TLSv1.3")),
        row(format!("{tcp} user=scram ssl_max_protocol_version=tlsv1.2 channel_binding=require")),
        row(format!("{tcp} user=scram sslsni=0 sslmode=require")),
        row(format!("{tcp} user=scram sslcompression=1 sslmode=require")),
        row(format!("{tcp} user=scram requiressl=1")),
        row(format!("{tcp} user=clearonly")).env("PGREQUIRESSL", "1"),
        row(format!("{tcp} user=scram gssencmode=disable")),
        row(format!("{tcp} user=scram gssencmode=prefer krbsrvname=x")),
        row(format!("{tcp} user=scram sslmode=disable sslrootcert=/nowhere sslcert=/nowhere sslkey=/nowhere")),
    ]);
    rows
}

fn certificates(world: &World) -> Vec<Row> {
    let (tcp, named, port) = (tcp(world), named(world), world.main.port());
    let cert = |name: &str| world.cert(name);
    let (ca, other) = (cert("ca.crt"), cert("other.crt"));
    let full = format!("{named} user=scram sslmode=verify-full sslrootcert={ca}");
    let called = |host: &str, mode: &str| {
        format!(
            "host={host} hostaddr=127.0.0.1 port={port} dbname=postgres user=scram password={PASSWORD} sslmode={mode} sslrootcert={ca}"
        )
    };
    let mut rows = vec![
        row(&full),
        row(format!("{tcp} user=scram sslmode=verify-full sslrootcert={ca}")).says("localhost"),
        row(format!("{tcp} user=scram sslmode=verify-ca sslrootcert={ca}")),
        row(format!("{tcp} user=scram sslmode=require sslrootcert={ca}")),
        row(called("db.test", "verify-full")),
        row(called("DB.TEST", "verify-full")),
        row(called("wrong.test", "verify-full")),
        row(called("wrong.test", "verify-ca")),
        row(format!(
            "hostaddr=127.0.0.1 port={port} dbname=postgres user=scram password={PASSWORD} sslmode=verify-full sslrootcert={ca}"
        )),
        row(format!("{named} user=scram sslmode=verify-ca sslrootcert={other}")).says("sslrootcert"),
        row(format!("{named} user=scram sslmode=verify-full sslrootcert={other}")).says("sslrootcert"),
        row(format!("{named} user=scram sslmode=require sslrootcert={other}")).says("sslrootcert"),
        row(format!("{named} user=scram sslmode=require sslrootcert=/nowhere.crt")),
        row(format!("{named} user=scram sslmode=prefer sslrootcert=/nowhere.crt")),
        row(format!("{named} user=scram sslmode=verify-ca sslrootcert=/nowhere.crt")).says("/nowhere.crt"),
        row(format!("{named} user=scram sslmode=verify-full")).says("sslrootcert=system"),
        row(format!("{named} user=scram sslmode=verify-ca sslrootcert={}", cert("nothing.crt"))).says("no certificate"),
        row(format!("{named} user=scram sslmode=verify-full")).home("trusting"),
        row(format!("{named} user=scram sslmode=require")).home("elsewhere"),
        row(format!("{named} user=scram sslmode=verify-full")).home("elsewhere"),
        row(format!("{named} user=scram")).env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", &ca),
        row(format!("{named} user=scram sslrootcert={ca}")).env("PGSSLMODE", "verify-ca").env("PGSSLROOTCERT", &other),
        row(format!("{full} sslcrl={}", cert("clean.crl"))),
        row(format!("{full} sslcrl={}", cert("revoked.crl"))).says("revoked"),
        row(format!("{full} sslcrl=/nowhere.crl")).says("/nowhere.crl"),
        row(&full).env("PGSSLCRL", cert("revoked.crl")),
        row(format!("{full} sslcrldir={}", cert("crls"))).says("revoked"),
        // Without any list psql finds the certificate wanting; the directory is what is.
        row(format!("{full} sslcrldir={}", world.home("empty"))).ours(Some(Why::Files)).says("revocation list"),
        row(format!("{named} user=scram sslmode=verify-full")).home("revoking").says("revoked"),
        // An encrypted line to whomever is better than one in clear, where nobody asked for more.
        row(format!("{named} user=scram sslmode=prefer sslrootcert={other}")).ours(None).says("Nothing"),
    ];
    let own = cert(SELF_SIGNED);
    rows.extend(with(
        SELF_SIGNED,
        [
            row(format!("{named} user=scram sslmode=verify-full sslrootcert={own}")),
            row(format!("{tcp} user=scram sslmode=verify-full sslrootcert={own}")),
            row(format!("{tcp} user=scram sslmode=verify-ca sslrootcert={own}")),
            row(format!("{named} user=scram sslmode=verify-ca sslrootcert={ca}")),
            row(format!("{named} user=scram sslmode=require")),
            row(format!("{named} user=scram channel_binding=require")),
        ],
    ));
    let any = |cert| {
        let full = full.clone();
        let called = called("db.test", "verify-full");
        let tcp = tcp.clone();
        let ca = ca.clone();
        with(
            cert,
            [
                row(full),
                row(called),
                row(format!("{tcp} user=scram sslmode=verify-full sslrootcert={ca}")),
                row(format!("{tcp} user=scram sslmode=verify-ca sslrootcert={ca}")),
                row(format!("{tcp} user=scram sslmode=require")),
            ],
        )
    };
    rows.extend(any(NAME_ONLY));
    rows.extend(any(STAR));
    rows.extend(any(ADDRESS));
    rows.extend(any(CHAIN));
    rows.extend(any(EXPIRED));
    rows.extend(with(EXPIRED, [row(format!("{tcp} user=scram sslmode=verify-ca sslrootcert={ca}")).says("renewed")]));
    // What no checking can do with a certificate of version 1 is said, with the remedy; in clear it goes on only as asked.
    let old = || Some(Why::Certificate);
    rows.extend(with(
        VERSION_1,
        [
            row(format!("{named} user=scram sslmode=require")).ours(old()).says("subjectAltName"),
            row(format!("{named} user=scram sslmode=verify-ca sslrootcert={ca}")).ours(old()).says("version 1"),
            row(&full).ours(old()).says("subjectAltName"),
            row(format!("{named} user=scram sslmode=disable")),
            row(format!("{named} user=scram")).ours(None).says("version 1"),
        ],
    ));
    rows
}

fn client_certificates(world: &World) -> Vec<Row> {
    let tcp = tcp(world);
    let pair = |cert: &str, key: &str| format!("sslcert={} sslkey={}", world.cert(cert), world.cert(key));
    let own = pair("client.crt", "client.key");
    vec![
        row(format!("{tcp} user=withcert {own}")),
        row(format!("{tcp} user=withcert {own} sslmode=require")),
        row(format!("{tcp} user=withcert {own} ssl_max_protocol_version=TLSv1.2")),
        row(format!("{tcp} user=withcert sslmode=require")),
        row(format!("{tcp} user=withcert")),
        row(format!("{tcp} user=withcert {own} sslmode=disable")),
        row(format!("{tcp} user=certpw {own}")),
        row(format!("{tcp} user=certpw sslmode=require")),
        row(format!("{tcp} user=scram {own} sslmode=require")),
        row(format!("{tcp} user=withcert sslmode=require")).home("client"),
        row(format!("{tcp} user=withcert sslmode=require")).home("client-open").says("chmod"),
        row(format!("{tcp} user=scram")).home("client-open").says("chmod"),
        row(format!("{tcp} user=withcert sslmode=require")).home("keyless"),
        row(format!("{tcp} user=scram")).home("keyless"),
        row(format!("{tcp} user=withcert sslmode=require"))
            .env("PGSSLCERT", world.cert("client.crt"))
            .env("PGSSLKEY", world.cert("client.key")),
        row(format!("{tcp} user=withcert sslmode=require {}", pair("client.crt", "client-open.key"))).says("chmod"),
        row(format!("{tcp} user=withcert sslmode=require {}", pair("client.crt", "another.key"))),
        row(format!("{tcp} user=withcert sslmode=require {}", pair("client.crt", "missing.key"))),
        row(format!("{tcp} user=withcert sslmode=require {}", pair("missing.crt", "client.key"))),
        row(format!("{tcp} user=scram sslmode=require {}", pair("missing.crt", "missing.key"))).says("missing.crt"),
        row(format!("{tcp} user=scram {}", pair("nothing.crt", "client.key"))),
        row(format!("{tcp} user=scram sslmode=require {}", pair("nothing.crt", "client.key"))),
        row(format!("{tcp} user=withcert sslmode=require {}", pair("client-stranger.crt", "client.key"))),
        row(format!("{tcp} user=withcert sslmode=require {}", pair("client-expired.crt", "client.key"))),
        row(format!(
            "{tcp} user=withcert sslmode=require ssl_max_protocol_version=TLSv1.2 {}",
            pair("client-stranger.crt", "client.key")
        )),
    ]
}

fn hosts(world: &World) -> Vec<Row> {
    let port = world.main.port();
    let rest = format!("dbname=postgres user=scram password={PASSWORD}");
    let (mute, closing, standby) = (world.mute_port(), world.closing, world.standby.port());
    let mut rows = vec![
        row(format!("host=127.0.0.1 port=1 {rest}")),
        row(format!("host=/nonexistent {rest}")),
        row(format!("host=/{} {rest}", "long/".repeat(40))),
        row(format!("host=name.invalid {rest}")),
        row(format!("host=127.0.0.1 port={closing} {rest}")),
        row(format!("host=127.0.0.1 port={closing} {rest} sslmode=disable")),
        row(format!("host=127.0.0.1 port={mute} {rest} connect_timeout=2")),
        row(format!("host=127.0.0.1 port={mute} {rest} connect_timeout=2 sslmode=require")),
        row(format!("host=127.0.0.1 port={mute} {rest} sslmode=disable")).env("PGCONNECT_TIMEOUT", "2"),
        row(format!("host=127.0.0.1,127.0.0.1 port={mute},{port} {rest} connect_timeout=2")),
        row(format!("host=127.0.0.1,127.0.0.1 port=1,{port} {rest}")),
        row(format!("host=/nonexistent,127.0.0.1 port={port} {rest}")),
        row(format!("host=name.invalid,127.0.0.1 port={port} {rest}")),
        row(format!("host=127.0.0.1,name.invalid port=1 {rest}")),
        row(format!("host=127.0.0.1,127.0.0.1 port={closing},{port} {rest}")),
        row(format!("host=127.0.0.1,{} port={port} {rest}", world.socket())),
        row(format!("host=127.0.0.1,127.0.0.1 port={port},{standby} {rest}")),
        row(format!("host=127.0.0.1,127.0.0.1 port={standby},{port} {rest}")),
        row(format!("host=127.0.0.1,127.0.0.1 port={port},{standby} {rest} password=wrong")),
        row(format!("host=127.0.0.2,127.0.0.1 port={port} {rest}")),
        row(format!("host=127.0.0.1,127.0.0.1 port={standby},{port} {rest} sslmode=require")),
        row(format!(
            "host=127.0.0.1,localhost port={port} {rest} sslmode=verify-full sslrootcert={}",
            world.cert("ca.crt")
        )),
        row(format!("host=127.0.0.1 hostaddr=127.0.0.1 port={port} {rest}")),
        row(format!("hostaddr=127.0.0.1 port={port} {rest}")),
        row(format!("hostaddr=127.0.0.1 port={port} {rest} sslmode=require")),
        row(format!("host=nowhere.invalid hostaddr=127.0.0.1 port={port} {rest}")),
        row(format!("host=nowhere.invalid,other.invalid hostaddr=127.0.0.1,127.0.0.1 port=1,{port} {rest}")),
        row(format!("host=/nonexistent hostaddr=127.0.0.1 port={port} {rest}")),
        row(format!("host=a,b hostaddr=127.0.0.1 port={port} {rest}")),
        row(format!("hostaddr=127.0.0.1,127.0.0.1 port=1,{port} {rest}")),
        row(format!("hostaddr=localhost port={port} {rest}")),
        row(format!("host=127.0.0.1,127.0.0.1 port=1,2,3 {rest}")),
        row(format!("host=127.0.0.1, port={port} {rest} port={port}")),
        row(format!("postgresql://scram:{PASSWORD}@127.0.0.1:1,127.0.0.1:{port}/postgres")),
        row(format!("postgresql://scram:{PASSWORD}@/postgres?host=127.0.0.1,127.0.0.1&port=1,{port}")),
        row(format!("postgresql://scram:{PASSWORD}@127.0.0.1,127.0.0.1:{port}/postgres")),
        row(format!("host=localhost port={port} {rest}")),
        row(format!("host=localhost. port={port} {rest}")),
    ];
    for words in ["0", "-1", "' 5 '", "''", "1.5", "soon", "99999999999"] {
        rows.push(row(format!("host=127.0.0.1 port={port} {rest} connect_timeout={words}")));
    }
    for words in [
        "keepalives=0",
        "keepalives=1 keepalives_idle=5 keepalives_interval=2 keepalives_count=3",
        "keepalives=no",
        "keepalives_idle=x",
        "keepalives_count=''",
        "tcp_user_timeout=5000",
        "tcp_user_timeout=x",
    ] {
        rows.push(row(format!("host=127.0.0.1 port={port} {rest} {words}")));
    }
    // The system refuses it to psql; keepalives are a help and no condition.
    rows.push(row(format!("host=127.0.0.1 port={port} {rest} keepalives_interval=-1")).ours(None));
    if world.ipv6 {
        let ca = world.cert("ca.crt");
        rows.extend([
            row(format!("host=::1 port={port} {rest}")),
            row(format!("hostaddr=::1 port={port} {rest}")),
            row(format!("host=db.test hostaddr=::1 port={port} {rest} sslmode=verify-full sslrootcert={ca}")),
            row(format!("host=::1 port={port} {rest} sslmode=verify-full sslrootcert={ca}")),
            row(format!("postgresql://scram:{PASSWORD}@[::1]:{port}/postgres")),
            row(format!("postgresql://scram:{PASSWORD}@[::1]:1,127.0.0.1:{port}/postgres")),
            row(format!("host=[::1] port={port} {rest}")),
            row(format!("host=::1 port=1 {rest}")),
        ]);
    } else {
        eprintln!("SKIPPED: no IPv6 on this machine.");
    }
    rows
}

fn sessions(world: &World) -> Vec<Row> {
    let (main, standby) = (world.main.port(), world.standby.port());
    let rest = format!("dbname=postgres user=scram password={PASSWORD}");
    let mut rows = Vec::new();
    for want in ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"] {
        for ports in [format!("{main}"), format!("{standby}"), format!("{main},{standby}"), format!("{standby},{main}")]
        {
            let hosts = vec!["127.0.0.1"; ports.split(',').count()].join(",");
            rows.push(row(format!("host={hosts} port={ports} {rest} target_session_attrs={want}")));
        }
    }
    let pair = format!("host=127.0.0.1,127.0.0.1 port=1,{standby}");
    rows.extend([
        row(format!("host=127.0.0.1 port={main} {rest} user=readonly target_session_attrs=read-only")),
        row(format!("host=127.0.0.1 port={main} {rest} user=readonly target_session_attrs=read-write")),
        row(format!("host=127.0.0.1 port={main} {rest} user=readonly target_session_attrs=primary")),
        row(format!(
            "host=127.0.0.1 port={main} {rest} options='-c default_transaction_read_only=on' target_session_attrs=read-only"
        )),
        row(format!("{pair} {rest} target_session_attrs=primary")),
        row(format!("{pair} {rest} target_session_attrs=prefer-standby")),
        row(format!("{pair} {rest}")).env("PGTARGETSESSIONATTRS", "standby"),
        row(format!("host=127.0.0.1,127.0.0.1 port={standby},1 {rest} target_session_attrs=primary")),
        row(format!("host=127.0.0.1,127.0.0.1 port={main},{standby} {rest} password=wrong target_session_attrs=standby")),
        row(format!("host=127.0.0.1 port={main} {rest} target_session_attrs=master")),
    ]);
    rows
}

fn surroundings(world: &World) -> Vec<Row> {
    let port = world.main.port().to_string();
    let everything = |text: &str| {
        row(text)
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", &port)
            .env("PGUSER", "scram")
            .env("PGDATABASE", "postgres")
            .env("PGPASSWORD", PASSWORD)
    };
    let tcp = tcp(world);
    vec![
        everything(""),
        everything("user=trusted dbname='My db'"),
        everything("port=1"),
        everything("user=''"),
        everything("dbname=''"),
        everything("postgresql://"),
        everything("postgresql:///My%20db"),
        everything("postgresql://trusted@"),
        everything("").env("PGHOSTADDR", "127.0.0.1").env("PGHOST", "name.invalid"),
        everything("").env("PGSSLMODE", "disable"),
        everything("").env("PGSSLMODE", "nonsense"),
        everything("sslmode=disable").env("PGSSLMODE", "nonsense"),
        everything("").env("PGSSLMODE", ""),
        everything("").env("PGAPPNAME", "from the environment"),
        everything("application_name=given").env("PGAPPNAME", "from the environment"),
        everything("fallback_application_name=fallen application_name=''"),
        everything("").env("PGOPTIONS", "-c search_path=pg_catalog"),
        everything("options='-c work_mem=5MB'").env("PGOPTIONS", "-c search_path=pg_catalog"),
        everything("").env("PGCHANNELBINDING", "require").env("PGSSLMODE", "disable"),
        everything("").env("PGCONNECT_TIMEOUT", "x"),
        everything("").env("PGPORT", "x"),
        everything("").env("PGUSER", ""),
        everything("").env("PGPASSWORD", ""),
        everything("password=wrong"),
        everything("").env("PGGSSENCMODE", "nonsense"),
        everything("").env("PGCLIENTENCODING", "LATIN1"),
        everything("").env("PGSSLMAXPROTOCOLVERSION", "TLSv1.2").env("PGSSLMODE", "require"),
        row(format!("host=127.0.0.1 port={port} password={PASSWORD}")),
        row(format!("host=127.0.0.1 port={port} user=scram password={PASSWORD}")),
        row(format!("{tcp} user=scram options='-c search_path=pg_catalog -c work_mem=6MB'")),
        row(format!("{tcp} user=scram options='-c\\ search_path=a\\\\,\\\\ b'")),
        row(format!("{tcp} user=scram options='--search_path=pg_catalog'")),
        row(format!("{tcp} user=scram options='-c no.such_thing=1 -c search_path=pg_catalog'")),
        row(format!("{tcp} user=scram options='-c work_mem=nonsense'")),
        row(format!("{tcp} user=scram options='-c no_such_setting=1'")),
        row(format!("{tcp} user=scram options='-Z'")),
        row(format!("postgresql://scram:{PASSWORD}@127.0.0.1:{port}/postgres?options=-c%20search_path%3Dpg_catalog")),
        row(format!("postgresql://scram:{PASSWORD}@127.0.0.1:{port}/postgres?options=-csearch_path%3Dpg_catalog")),
        row(format!("postgresql://scram:{PASSWORD}@127.0.0.1:{port}/postgres?application_name=a%20b")),
    ]
}

fn password_files(world: &World) -> Vec<Row> {
    let port = world.main.port();
    let bare = format!("host=127.0.0.1 port={port} dbname=postgres user=scram");
    let files = |name: &str| world.home(&format!("secrets/{name}"));
    let mut rows = vec![
        row(&bare),
        row(&bare).home("pgpass"),
        row(&bare).home("pgpass-0400"),
        row(&bare).home("pgpass-0644").says("chmod"),
        row(&bare).home("pgpass-0640").says("chmod"),
        row(&bare).home("directory"),
        row(&bare).home("wrong"),
        row(&bare).home("wrong").env("PGPASSWORD", PASSWORD),
        row(format!("{bare} password={PASSWORD}")).home("wrong"),
        row(format!("{bare} password=''")).home("pgpass"),
        row(&bare).home("pgpass").env("PGPASSWORD", ""),
        row(format!("{bare} passfile={}", files("passes"))),
        row(format!("{bare} passfile={}", files("passes"))).home("wrong"),
        row(format!("{bare} passfile={}", files("passes-0644"))),
        row(format!("{bare} passfile={}", files("missing"))).home("pgpass"),
        row(&bare).env("PGPASSFILE", files("passes")),
        row(&bare).env("PGPASSFILE", files("missing")).home("pgpass"),
        row(format!("{bare} passfile=''")).home("pgpass"),
        row(&bare).home("lines"),
        row(format!("host=localhost port={port} dbname=postgres user=scram")).home("lines"),
        row(format!("host=db.test hostaddr=127.0.0.1 port={port} dbname=postgres user=scram")).home("lines"),
        row(format!("hostaddr=127.0.0.1 port={port} dbname=postgres user=odd")).home("lines"),
        row(format!("host=127.0.0.1 port={port} dbname=postgres user=odd")).home("lines"),
        row(format!("host={} port={port} dbname=postgres user=scram", world.socket())).home("lines"),
        row(format!("host=127.0.0.1 port={port} dbname='My db' user=scram")).home("lines"),
        row(format!("host=127.0.0.1,db.test hostaddr=127.0.0.1,127.0.0.1 port=1,{port} dbname=postgres user=scram"))
            .home("lines"),
        row(format!("{bare} user=trusted")).home("wrong"),
    ];
    if world.ipv6 {
        rows.push(row(format!("host=::1 port={port} dbname=postgres user=scram")).home("lines"));
    }
    rows
}

fn services(world: &World) -> Vec<Row> {
    let file = world.home("service/.pg_service.conf");
    vec![
        row("service=main").home("service"),
        row("service=main sslmode=disable").home("service"),
        row("service=main user=trusted").home("service"),
        row("postgresql://?service=main").home("service"),
        row("postgresql://trusted@/?service=main").home("service"),
        row("").home("service").env("PGSERVICE", "main"),
        row("service=odd").home("service").env("PGSERVICE", "main"),
        row("service=odd").home("service").env("PGUSER", "refused").env("PGSSLMODE", "require"),
        row("service=main password=wrong").home("service"),
        row("service=main").env("PGSERVICEFILE", &file),
        row("service=main").home("service").env("PGSERVICEFILE", "/nowhere.conf"),
        row("service=nobody").home("service"),
        row("service=main"),
        row("service=blank").home("service"),
        row("service=nested").home("service"),
        row("service=unknown").home("service"),
        row("service=noequals").home("service"),
        row("service=main").home("service-crlf"),
        row("service=system").env("PGSYSCONFDIR", world.home("etc")),
        row("service=system").home("service").env("PGSYSCONFDIR", world.home("etc")),
        row("service=main").home("service").env("PGSYSCONFDIR", world.home("etc")),
    ]
}

fn grammar(world: &World) -> Vec<Row> {
    let (port, socket) = (world.main.port(), world.socket());
    let encoded = socket.replace('/', "%2F");
    let tcp = tcp(world);
    let mut rows = vec![
        row(format!("postgresql://scram:{PASSWORD}@/postgres?host={socket}&port={port}")),
        row(format!("postgresql://scram:{PASSWORD}@{encoded}:{port}/postgres")),
        row(format!("postgres://scram:{PASSWORD}@127.0.0.1:{port}/postgres")),
        row(format!("postgresql://scram:{PASSWORD}@%31%32%37.0.0.1:{port}/postgres?sslmode=require")),
        row(format!("postgresql://sc%72am:{PASSWORD}@127.0.0.1:{port}/post%67res")),
        row(format!("postgresql://scram:{PASSWORD}@127.0.0.1:{port}/postgres?ssl=true")),
        row(format!("postgresql://scram:{PASSWORD}@127.0.0.1:{port}/postgres?")),
        row(format!("postgresql://scram:{PASSWORD}@127.0.0.1:{port}")),
        row(format!("postgresql://scram:{PASSWORD}@127.0.0.1:{port}/")),
        row(format!("postgresql://127.0.0.1:{port}/postgres?user=scram&password={PASSWORD}")),
        row(format!(
            "postgresql://refused:wrong@name.invalid:1/x?user=scram&password={PASSWORD}&host=127.0.0.1&port={port}&dbname=postgres"
        )),
        row(format!("host = 127.0.0.1  port = {port}\n user\t=\tscram password = {PASSWORD} dbname='postgres'")),
        row(format!("host=127.0.0.1 port={port} user='sc\\ram' password='{PASSWORD}' dbname=postgres")),
        row(format!("host=127.0.0.1 port=' {port} ' user=scram password={PASSWORD} dbname=postgres")),
        row(format!("host=127.0.0.1 port=1 port={port} user=scram password={PASSWORD} dbname=postgres")),
        row(format!("{tcp} user=scram client_encoding=UTF8")),
        row(format!("{tcp} user=scram client_encoding=auto")),
    ];
    for broken in [
        "sslmode=maybe",
        "channel_binding=maybe",
        "gssencmode=maybe",
        "hots=x",
        "user",
        "user=scram =x",
        "user='scram",
        "port=0",
        "port=65536",
        "port=-1",
        "port=abc",
        "port='54 32'",
        "ssl_min_protocol_version=TLSv9",
        "ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2",
        "target_session_attrs=maybe",
        "HOST=x",
    ] {
        rows.push(row(format!("{tcp} user=scram {broken}")));
    }
    for broken in [
        "postgresql://h:p:q/db",
        "postgresql://[::1/db",
        "postgresql://[]/db",
        "postgresql://[::1]x/db",
        "postgresql://h/db?sslmode",
        "postgresql://h/db?sslmode=a=b",
        "postgresql://h/db?hots=x",
        "postgresql://h/%zz",
        "postgresql://h/%00",
        "postgresql://u:p%@h/db",
        "postgresql://h/db?port=0",
        "postgresql://h:99999/db",
        "postgresql://h/db?a=1&&b=2",
    ] {
        rows.push(row(broken));
    }
    rows
}

/// What psql 15 does not know.
fn later_words(world: &World) -> Vec<Row> {
    let (tcp, port) = (tcp(world), world.main.port());
    let local = format!("host={} port={port} dbname=postgres", world.socket());
    let rest = format!("dbname=postgres user=scram password={PASSWORD}");
    let own = format!("sslcert={} sslkey={}", world.cert("client.crt"), world.cert("client.key"));
    let method = || Some(Why::Method);
    vec![
        row(format!("{tcp} user=scram require_auth=scram-sha-256")).later(None),
        row(format!("{tcp} user=scram require_auth=scram-sha-256,md5")).later(None),
        row(format!("{tcp} user=scram require_auth=!password,!md5")).later(None),
        row(format!("{tcp} user=scram require_auth=md5")).later(method()),
        row(format!("{tcp} user=scram require_auth=none")).later(method()),
        row(format!("{tcp} user=scram require_auth=!scram-sha-256")).later(method()),
        row(format!("{tcp} user=digest require_auth=scram-sha-256")).later(method()),
        row(format!("{tcp} user=digest require_auth=md5")).later(None),
        row(format!("{tcp} user=clear require_auth=!password")).later(method()),
        row(format!("{tcp} user=clear require_auth=password")).later(None),
        row(format!("{tcp} user=trusted require_auth=none")).later(None),
        row(format!("{tcp} user=trusted require_auth=scram-sha-256")).later(method()),
        row(format!("{tcp} user=trusted require_auth=!none")).later(method()),
        row(format!("{local} user=postgres require_auth=none")).later(None),
        row(format!("{local} user=postgres")).env("PGREQUIREAUTH", "md5").later(method()),
        row(format!("{tcp} user=withcert require_auth=none {own}")).later(None),
        row(format!("{tcp} user=scram require_auth=scram-sha-256,!md5")).later(Some(Why::Parse)),
        row(format!("{tcp} user=scram require_auth=bogus")).later(Some(Why::Parse)),
        row(format!("{tcp} user=scram require_auth=md5,md5")).later(Some(Why::Parse)),
        row(format!("{tcp} user=scram load_balance_hosts=random")).later(None),
        row(format!("host=127.0.0.1,127.0.0.1,/nonexistent port=1,{port},2 {rest} load_balance_hosts=random"))
            .later(None),
        row(format!("host=127.0.0.1 port=1 {rest}")).env("PGLOADBALANCEHOSTS", "random").later(Some(Why::Refused)),
        row(format!("{tcp} user=scram load_balance_hosts=disable")).later(None),
        row(format!("{tcp} user=scram load_balance_hosts=maybe")).later(Some(Why::Parse)),
        row(format!("{tcp} user=scram sslcertmode=allow")).later(None),
        row(format!("{tcp} user=withcert sslmode=require sslcertmode=disable {own}"))
            .later(Some(Why::Server("connection requires a valid client certificate".into()))),
        row(format!("{tcp} user=withcert sslmode=require sslcertmode=require {own}")).later(None),
        row(format!("{tcp} user=scram sslmode=require sslcertmode=require")).later(Some(Why::Files)),
        row(format!("{tcp} user=scram sslcertmode=maybe")).later(Some(Why::Parse)),
        row(format!("{tcp} user=scram sslrootcert=system")).later(Some(Why::Certificate)).says("sslrootcert"),
        row(format!("{tcp} user=scram sslrootcert=system sslmode=verify-full")).later(Some(Why::Certificate)),
        row(format!("{tcp} user=scram sslrootcert=system sslmode=require")).later(Some(Why::Parse)),
        row(format!("{tcp} user=scram sslnegotiation=direct")).later(Some(Why::Parse)),
        row(format!("{tcp} user=scram sslnegotiation=maybe")).later(Some(Why::Parse)),
        row(format!("{tcp} user=scram sslnegotiation=postgres sslmode=require")).later(None),
        // Known here and to psql 19.
        row(format!("service=main servicefile={}", world.home("service/.pg_service.conf"))).ours(None),
        row(format!("{tcp} user=scram max_protocol_version=3.0")).later(None),
        row(format!("{tcp} user=scram min_protocol_version=3.0")).later(None),
    ]
}

fn majors(world: &World) -> Vec<Row> {
    let mut rows = Vec::new();
    for (major, cluster) in &world.others {
        let base = format!("host=localhost port={} dbname=postgres", cluster.port());
        let ca = world.cert("ca.crt");
        rows.extend([
            row(format!("{base} user=scram password={PASSWORD}")),
            row(format!("{base} user=scram password={PASSWORD} sslmode=verify-full sslrootcert={ca}")),
            row(format!("{base} user=scram password={PASSWORD} sslmode=disable target_session_attrs=primary")),
            row(format!("{base} user=scram password={PASSWORD} channel_binding=require")),
            row(format!("{base} user=digest password={PASSWORD}")),
            row(format!("{base} user=clear password={PASSWORD}")),
            row(format!("{base} user=clearonly password={PASSWORD}")),
            row(format!("{base} user=scram password=wrong")),
            row(format!("{base} user=scram password={PASSWORD} dbname=missing")),
            row(format!("{base} user=scram password={PASSWORD} target_session_attrs=standby")),
            row(format!(
                "{base} user=withcert sslmode=require sslcert={} sslkey={}",
                world.cert("client.crt"),
                world.cert("client.key")
            )),
            row(format!(
                "host={} port={} dbname=postgres user=postgres",
                cluster.socket_dir().display(),
                cluster.port()
            )),
        ]);
        let direct = format!("{base} user=scram password={PASSWORD} sslnegotiation=direct");
        let refused = || (*major < 17).then_some(Why::Other("direct".into()));
        if *major >= 17 {
            rows.push(row(format!("{direct} sslmode=require")).later(refused()));
            rows.push(row(format!("{direct} sslmode=verify-full sslrootcert={ca}")).later(refused()));
        }
    }
    rows
}

fn pooler(world: &World) -> Vec<Row> {
    let Some(pooler) = &world.pooler else { return Vec::new() };
    let base = format!("host=localhost port={} dbname=postgres", pooler.port);
    let ca = world.cert("ca.crt");
    let known = format!("{base} user=tlsonly password={PASSWORD}");
    vec![
        row(&known),
        row(format!("{known} sslmode=disable")),
        row(format!("{known} sslmode=require")),
        row(format!("{known} sslmode=verify-full sslrootcert={ca}")),
        row(format!("{known} sslmode=verify-full sslrootcert={}", world.cert("other.crt"))),
        row(format!("{known} password=wrong")),
        row(format!("{base} user=tlsonly")),
        row(format!("{base} user=stranger password={PASSWORD}")),
        row(format!("{known} dbname=missing")),
        row(format!("{known} application_name=behind")),
        row(format!("{known} options='-c search_path=pg_catalog'")),
        row(format!("{known} channel_binding=require")),
        row(format!("{known} target_session_attrs=primary")),
    ]
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
