//! A connection as libpq would understand it: words from the connection string, a service, the environment and the
//! defaults, in that order of precedence, with passwords from `~/.pgpass`. Opens no connection and knows no server.

pub mod files;
mod parse;
pub mod pgpass;
pub mod service;
pub mod words;

#[cfg(test)]
mod tests;

use std::{fmt, net::IpAddr, path::PathBuf, time::Duration};

use secrecy::SecretString;

use super::{Env, Error};
pub use parse::Settings;
use parse::{at_in_host, cannot};

/// Everything needed to connect. `Debug` and `Display` show no password.
#[derive(Debug, Clone)]
pub struct Conninfo {
    /// At least one, in the order they are tried.
    pub hosts: Vec<Host>,
    /// The role that logs in.
    pub user: String,
    /// The database.
    pub dbname: String,
    /// The password given in the connection string, a service or `PGPASSWORD`; see [`Conninfo::password_for`].
    pub password: Option<SecretString>,
    /// How much TLS is wanted. Unix sockets never use it.
    pub sslmode: SslMode,
    /// True when somebody wrote `sslmode` down; false for the default.
    pub sslmode_given: bool,
    /// Certificates and TLS versions.
    pub tls: TlsSettings,
    /// Whether the login must be tied to the TLS channel.
    pub channel_binding: ChannelBinding,
    /// Authentication methods the server may ask for; `None`: any.
    pub require_auth: Option<RequireAuth>,
    /// User number that must own the server's end of a Unix socket (`requirepeer`).
    pub requirepeer_uid: Option<u32>,
    /// Limit for one host, from name resolution to a usable session; `None`: the caller's.
    pub connect_timeout: Option<Duration>,
    /// TCP keepalives.
    pub keepalives: Keepalives,
    /// How long sent data may stay unacknowledged; `None`: our default, zero: the system's.
    pub tcp_user_timeout: Option<Duration>,
    /// Which kind of server is wanted.
    pub target_session_attrs: TargetSession,
    /// True when hosts and addresses are tried in random order.
    pub load_balance: bool,
    /// Shown in `pg_stat_activity`.
    pub application_name: String,
    /// Startup `options`, only where somebody wrote them down: poolers refuse them.
    pub options: Option<String>,
    /// True: what is reached this way is only looked at, see [`Conninfo::leave`]. Nothing of a connection string.
    pub read_only: bool,
    /// What a command line has to say to mean it, quoted for a shell, where no name of the configuration does. Nothing of a
    /// connection string, and no password.
    pub words: Option<String>,
    /// The connection string that was given, without a password: a URI.
    pub given: String,
    /// What was noticed while reading, for people. Holds no values that may be secret.
    pub warnings: Vec<String>,
}

/// Leave to change something on a server, or to end a session of it. Nothing in `server` begins a transaction that may
/// write, or sends a signal, without one.
#[derive(Debug)]
pub struct Leave(());

/// One server to try.
#[derive(Debug, Clone)]
pub struct Host {
    /// A name, an address, or the directory of a Unix socket. With `hostaddr` it only names the server; never empty.
    pub host: String,
    /// The address to connect to without asking for the name's.
    pub hostaddr: Option<IpAddr>,
    /// The port, also part of a socket's name.
    pub port: u16,
    /// The password that `~/.pgpass` has for this host.
    pub password: Option<SecretString>,
}

impl Host {
    /// True for the directory of a Unix socket.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        self.hostaddr.is_none() && is_socket_dir(&self.host)
    }

    /// True when the connection cannot leave this machine: sockets, loopback addresses, `localhost`.
    #[must_use]
    pub fn is_local(&self) -> bool {
        if self.is_socket() {
            return true;
        }
        match self.hostaddr.or_else(|| self.host.parse().ok()) {
            Some(IpAddr::V4(v4)) => v4.is_loopback(),
            Some(IpAddr::V6(v6)) => v6.is_loopback() || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback()),
            None => {
                let name = self.host.trim_end_matches('.').to_ascii_lowercase();
                name == "localhost" || name.ends_with(".localhost")
            }
        }
    }

    /// The name a certificate is compared with; the address where a socket directory stands in the name's place.
    #[must_use]
    pub fn tls_name(&self) -> String {
        match self.hostaddr {
            Some(address) if is_socket_dir(&self.host) => address.to_string(),
            Some(_) | None => self.host.trim_end_matches('.').to_owned(),
        }
    }

    /// Path of the socket file.
    #[must_use]
    pub fn socket_path(&self) -> PathBuf {
        PathBuf::from(&self.host).join(format!(".s.PGSQL.{}", self.port))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') && !self.is_socket() {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS only where the server refuses to do without.
    Allow,
    /// TLS where the server has it. libpq's default.
    Prefer,
    /// TLS; the certificate is checked only when a root certificate file is there.
    Require,
    /// TLS with a certificate of a trusted authority.
    VerifyCa,
    /// As `verify-ca`, and the certificate must be the host's.
    VerifyFull,
}

impl SslMode {
    /// As written in a connection string.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// How TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslNegotiation {
    /// By asking in clear first; every server.
    Postgres,
    /// At once; servers from 17.
    Direct,
}

/// Where trusted authorities come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootCert {
    /// `~/.postgresql/root.crt` when it is there.
    Default(Option<PathBuf>),
    /// A file somebody named.
    File(PathBuf),
    /// The operating system's (`sslrootcert=system`).
    System,
}

/// Whether a client certificate is sent (`sslcertmode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertMode {
    /// Never.
    Disable,
    /// When the server asks and there is one.
    Allow,
    /// Else no login.
    Require,
}

/// Certificates and TLS versions.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// How TLS begins.
    pub negotiation: SslNegotiation,
    /// Trusted authorities.
    pub root: RootCert,
    /// The client's certificate and key; the default files where they exist.
    pub client: Option<ClientCert>,
    /// True when there must be a client certificate (`sslcertmode=require`).
    pub client_required: bool,
    /// File of revoked certificates; one that is not there is passed over, as in libpq.
    pub crl: Option<PathBuf>,
    /// Directory of such files, named by hash as `openssl rehash` names them.
    pub crl_dir: Option<PathBuf>,
    /// Whether the host's name is sent before encryption.
    pub sni: bool,
    /// True when TLS 1.2 may be used.
    pub tls12: bool,
    /// True when TLS 1.3 may be used.
    pub tls13: bool,
}

/// A client certificate with its key, as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCert {
    /// PEM certificates, own first.
    pub cert: PathBuf,
    /// PEM key without a passphrase.
    pub key: PathBuf,
}

/// libpq's `channel_binding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// Where possible.
    Prefer,
    /// Else no login.
    Require,
}

/// Authentication methods a server may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequireAuth {
    /// The password in clear.
    pub password: bool,
    /// A salted MD5 of it.
    pub md5: bool,
    /// SCRAM.
    pub scram: bool,
    /// No authentication at all (`trust`, `peer`, `ident`, `cert`).
    pub none: bool,
}

/// TCP keepalives; a `None` is ours to choose, zero is the system's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalives {
    /// False: `keepalives=0`.
    pub on: bool,
    /// Quiet time before the first probe.
    pub idle: Option<Duration>,
    /// Time between probes.
    pub interval: Option<Duration>,
    /// Probes that may stay unanswered.
    pub count: Option<u32>,
}

/// libpq's `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetSession {
    /// Any server.
    Any,
    /// One where a session may write.
    ReadWrite,
    /// One where a session may not.
    ReadOnly,
    /// Not a standby.
    Primary,
    /// A standby.
    Standby,
    /// A standby, else any.
    PreferStandby,
}

/// The port of PostgreSQL.
pub const DEFAULT_PORT: u16 = 5432;
/// What sessions of this program call themselves unless told otherwise.
pub const APPLICATION_NAME: &str = "pgmoat";

impl Conninfo {
    /// The only way to a [`Leave`]: `None` where the target is read-only.
    #[must_use]
    pub fn leave(&self) -> Option<Leave> {
        (!self.read_only).then_some(Leave(()))
    }

    /// Reads a connection string and completes it from service, environment and defaults.
    pub fn parse(text: &str, env: &Env) -> Result<Self, Error> {
        Self::resolve(Settings::parse(text)?, env)
    }

    /// Completes words that somebody gave from service, environment and defaults.
    pub fn resolve(given: Settings, env: &Env) -> Result<Self, Error> {
        let text = given.text();
        let mut settings = given;
        let service = nonempty(settings.get("service")).or_else(|| env.var("PGSERVICE")).map(str::to_owned);
        if let Some(service) = service {
            let file = nonempty(settings.get("servicefile")).map(str::to_owned);
            settings.fill_from(service::settings(&service, file.as_deref(), env)?);
        }
        for word in words::WORDS {
            // One that is set to nothing counts as written down, as in libpq.
            let Some(value) = word.env.and_then(|name| env.vars.get(name)) else { continue };
            if settings.get(word.name).is_none() && !matches!(word.name, "service" | "servicefile" | "requiressl") {
                settings.set(word.name, value.clone())?;
            }
        }
        Ok(Self { given: text, ..Resolver { settings: &settings, env }.resolve()? })
    }

    /// The same server and login, another database.
    pub fn set_database(&mut self, name: &str) {
        name.clone_into(&mut self.dbname);
        let with = |mut given: Settings| given.set("dbname", name).map(|()| given.text());
        if let Ok(text) = Settings::parse(&self.given).and_then(with) {
            self.given = text;
        }
    }

    /// The connection string that leads there without this shell's surroundings, and without a password: a URI.
    #[must_use]
    pub fn url(&self) -> String {
        Settings::parse(&self.given).and_then(|given| self.url_of(given)).unwrap_or_else(|_| self.given.clone())
    }

    /// As [`Conninfo::url`], of these words.
    ///
    /// # Errors
    /// A value that no connection string can hold.
    pub fn url_of(&self, mut given: Settings) -> Result<String, Error> {
        if given.get("service").is_some_and(|s| !s.is_empty()) {
            return Ok(given.text());
        }
        if let [host] = self.hosts.as_slice() {
            given.set("host", host.host.clone())?;
            given.set("port", host.port.to_string())?;
        }
        given.set("user", self.user.clone())?;
        given.set("dbname", self.dbname.clone())?;
        Ok(given.text())
    }

    /// The password for one of [`Conninfo::hosts`]: the one given, else the one `~/.pgpass` has.
    #[must_use]
    pub fn password_for<'a>(&'a self, host: &'a Host) -> Option<&'a SecretString> {
        self.password.as_ref().or(host.password.as_ref())
    }

    /// True when a password is at hand for every host.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.hosts.iter().all(|host| self.password_for(host).is_some())
    }

    /// True when both mean the same server and login; databases may differ.
    #[must_use]
    pub fn is_beside(&self, other: &Conninfo) -> bool {
        let places = |c: &Conninfo| -> Vec<(String, Option<IpAddr>, u16)> {
            c.hosts.iter().map(|h| (h.host.clone(), h.hostaddr, h.port)).collect()
        };
        self.user == other.user && places(self) == places(other)
    }

    /// What an unnamed connection is called: `host:port/database` of the first host.
    #[must_use]
    pub fn name(&self) -> String {
        self.hosts.first().map(|host| format!("{host}/{}", self.dbname)).unwrap_or_default()
    }

    /// True when no host is on another machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.hosts.iter().all(Host::is_local)
    }
}

impl fmt::Display for Conninfo {
    /// `user@host:port/database`, several hosts with commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@", self.user)?;
        for (i, host) in self.hosts.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{host}")?;
        }
        write!(f, "/{}", self.dbname)
    }
}

fn nonempty(value: Option<&str>) -> Option<&str> {
    value.filter(|v| !v.is_empty())
}

fn is_socket_dir(host: &str) -> bool {
    host.starts_with('/')
}

/// Turns words into a [`Conninfo`].
struct Resolver<'a> {
    settings: &'a Settings,
    env: &'a Env,
}

impl Resolver<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        nonempty(self.settings.get(name))
    }

    fn resolve(&self) -> Result<Conninfo, Error> {
        let mut warnings = self.settings.warnings().to_vec();
        let user = match self.get("user") {
            Some(user) => user.to_owned(),
            None => self.env.os_user.clone().ok_or_else(|| cannot("it names no user", "add user=NAME"))?,
        };
        let dbname = self.get("dbname").unwrap_or(&user).to_owned();
        let password = self.get("password").map(|p| SecretString::from(p.to_owned()));
        let mut hosts = self.hosts()?;
        if password.is_none()
            && let Some(path) = pgpass::path(self.get("passfile"), self.env)
        {
            let file = pgpass::Pgpass::read(&path);
            for host in &mut hosts {
                let mut names = vec![host.host.as_str()];
                if host.is_socket() && self.env.socket_dirs.iter().any(|dir| dir.as_os_str() == host.host.as_str()) {
                    names.push("localhost");
                }
                host.password = file.password(&names, host.port, &dbname, &user);
            }
            warnings.extend(file.warning);
        }
        if self.one_of("gssencmode", false, &[("disable", false), ("prefer", false), ("require", true)])? {
            return Err(cannot(
                "gssencmode=require asks for GSSAPI, which is not supported",
                "use TLS: sslmode=verify-full",
            ));
        }
        if let Some(version) = self.get("min_protocol_version").filter(|v| !matches!(*v, "3.0" | "latest")) {
            let _ = version;
            return Err(cannot(
                "min_protocol_version asks for more than protocol 3.0",
                "leave min_protocol_version out",
            ));
        }
        let (sslmode, sslmode_given, tls) = self.tls()?;
        if sslmode != SslMode::Disable {
            warnings.extend(missing_files(&tls));
        }
        let requirepeer_uid = match self.get("requirepeer") {
            Some(name) => Some(self.env.uid_of(name).ok_or_else(|| {
                cannot(
                    "requirepeer names a user that this system's user file does not list",
                    "leave requirepeer out, or name another",
                )
            })?),
            None => None,
        };
        let application_name =
            // Nothing, where somebody wrote it down, is a name too.
            self.settings
                .get("application_name")
                .or_else(|| self.get("fallback_application_name"))
                .unwrap_or(APPLICATION_NAME);
        warnings.dedup();
        Ok(Conninfo {
            hosts,
            user,
            given: String::new(),
            dbname,
            password,
            sslmode,
            sslmode_given,
            tls,
            channel_binding: self.one_of(
                "channel_binding",
                ChannelBinding::Prefer,
                &[
                    ("disable", ChannelBinding::Disable),
                    ("prefer", ChannelBinding::Prefer),
                    ("require", ChannelBinding::Require),
                ],
            )?,
            require_auth: self.require_auth()?,
            requirepeer_uid,
            connect_timeout: self.integer("connect_timeout")?.filter(|s| *s > 0).map(secs),
            keepalives: Keepalives {
                on: self.get("keepalives").is_none() || self.integer("keepalives")? != Some(0),
                idle: self.integer("keepalives_idle")?.map(secs),
                interval: self.integer("keepalives_interval")?.map(secs),
                count: self.integer("keepalives_count")?.map(|n| u32::try_from(n).unwrap_or(0)),
            },
            tcp_user_timeout: self
                .integer("tcp_user_timeout")?
                .map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0))),
            target_session_attrs: self.one_of(
                "target_session_attrs",
                TargetSession::Any,
                &[
                    ("any", TargetSession::Any),
                    ("read-write", TargetSession::ReadWrite),
                    ("read-only", TargetSession::ReadOnly),
                    ("primary", TargetSession::Primary),
                    ("standby", TargetSession::Standby),
                    ("prefer-standby", TargetSession::PreferStandby),
                ],
            )?,
            load_balance: self.one_of("load_balance_hosts", false, &[("disable", false), ("random", true)])?,
            application_name: application_name.to_owned(),
            options: self.get("options").map(str::to_owned),
            read_only: false,
            words: None,
            warnings,
        })
    }

    /// Hosts, addresses and ports, paired as libpq pairs them.
    fn hosts(&self) -> Result<Vec<Host>, Error> {
        let list = |name: &str| -> Vec<String> {
            self.get(name).map(|v| v.split(',').map(|s| s.trim().to_owned()).collect()).unwrap_or_default()
        };
        let (names, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
        let count = names.len().max(addresses.len()).max(1);
        if !names.is_empty() && !addresses.is_empty() && names.len() != addresses.len() {
            return Err(cannot(
                "host and hostaddr do not list the same number of servers",
                "give one address for each host",
            ));
        }
        if ports.len() > 1 && ports.len() != count {
            let why = format!("it gives {} ports for {count} hosts", ports.len());
            return Err(cannot(&why, "give one port, or one for each host"));
        }
        let mut hosts = Vec::with_capacity(count);
        for i in 0..count {
            let at = |list: &[String]| list.get(i).filter(|v| !v.is_empty()).cloned();
            let port = match at(if ports.len() == 1 { &[] } else { &ports })
                .or_else(|| ports.first().filter(|_| ports.len() == 1).cloned())
            {
                Some(port) if !port.is_empty() => parse_port(&port)?,
                _ => DEFAULT_PORT,
            };
            let hostaddr = match at(&addresses) {
                Some(address) => Some(parse_address(&address)?),
                None => None,
            };
            match at(&names).or_else(|| hostaddr.map(|a| a.to_string())) {
                Some(host) => {
                    check_host(&host)?;
                    hosts.push(Host { host, hostaddr, port, password: None });
                }
                None => hosts.extend(self.default_hosts(port)),
            }
        }
        Ok(hosts)
    }

    /// Where a server is looked for when nobody says: sockets that are there, then localhost.
    fn default_hosts(&self, port: u16) -> Vec<Host> {
        let local = |host: String| Host { host, hostaddr: None, port, password: None };
        let mut hosts: Vec<Host> = self
            .env
            .socket_dirs
            .iter()
            .filter_map(|dir| dir.to_str())
            .map(|dir| local(dir.to_owned()))
            .filter(|host| host.socket_path().exists())
            .collect();
        hosts.push(local("localhost".into()));
        hosts
    }

    fn tls(&self) -> Result<(SslMode, bool, TlsSettings), Error> {
        let root = match self.get("sslrootcert") {
            Some("system") => RootCert::System,
            Some(path) => RootCert::File(PathBuf::from(path)),
            None => RootCert::Default(self.env.in_home(".postgresql/root.crt").filter(|p| p.exists())),
        };
        let requiressl =
            self.get("requiressl").or_else(|| self.env.var("PGREQUIRESSL")).is_some_and(|v| v.starts_with('1'));
        let default = match (&root, requiressl) {
            (RootCert::System, _) => SslMode::VerifyFull,
            (_, true) => SslMode::Require,
            (_, false) => SslMode::Prefer,
        };
        let modes = [
            SslMode::Disable,
            SslMode::Allow,
            SslMode::Prefer,
            SslMode::Require,
            SslMode::VerifyCa,
            SslMode::VerifyFull,
        ];
        let sslmode = self.one_of("sslmode", default, &modes.map(|mode| (mode.as_str(), mode)))?;
        if root == RootCert::System && sslmode != SslMode::VerifyFull {
            return Err(cannot(
                &format!("sslmode={} is too weak for sslrootcert=system", sslmode.as_str()),
                "write sslmode=verify-full: anybody can get a certificate from a public authority",
            ));
        }
        let negotiation = self.one_of(
            "sslnegotiation",
            SslNegotiation::Postgres,
            &[("postgres", SslNegotiation::Postgres), ("direct", SslNegotiation::Direct)],
        )?;
        if negotiation == SslNegotiation::Direct && sslmode < SslMode::Require {
            return Err(cannot(
                &format!("sslmode={} is too weak for sslnegotiation=direct", sslmode.as_str()),
                "write sslmode=require, verify-ca or verify-full",
            ));
        }
        let certmode = self.one_of(
            "sslcertmode",
            CertMode::Allow,
            &[("disable", CertMode::Disable), ("allow", CertMode::Allow), ("require", CertMode::Require)],
        )?;
        let (tls12, tls13) = self.tls_versions()?;
        let crl_dir = self.get("sslcrldir").map(PathBuf::from);
        let default_crl = || {
            let path = self.env.in_home(".postgresql/root.crl").filter(|p| p.exists());
            path.filter(|_| crl_dir.is_none())
        };
        let tls = TlsSettings {
            negotiation,
            root,
            client: if certmode == CertMode::Disable { None } else { self.client_cert()? },
            client_required: certmode == CertMode::Require,
            crl: self.get("sslcrl").map(PathBuf::from).or_else(default_crl),
            crl_dir,
            sni: self.get("sslsni") != Some("0"),
            tls12,
            tls13,
        };
        Ok((sslmode, self.get("sslmode").is_some() || requiressl, tls))
    }

    fn client_cert(&self) -> Result<Option<ClientCert>, Error> {
        if self.get("sslkey").is_some_and(|key| key.contains(':') && !key.starts_with('/')) {
            return Err(cannot("sslkey names a cryptographic engine, which is not supported", "name a key file"));
        }
        let default = |name: &str| self.env.in_home(".postgresql").map(|dir| dir.join(name));
        let given = self.get("sslcert").map(PathBuf::from);
        let cert = given.or_else(|| default("postgresql.crt").filter(|p| p.exists()));
        let key = self.get("sslkey").map(PathBuf::from).or_else(|| default("postgresql.key"));
        Ok(cert.zip(key).map(|(cert, key)| ClientCert { cert, key }))
    }

    /// Whether TLS 1.2 and 1.3 lie between the wanted versions. Older ones are never spoken.
    fn tls_versions(&self) -> Result<(bool, bool), Error> {
        let versions = &[("tlsv1", 0), ("tlsv1.1", 1), ("tlsv1.2", 2), ("tlsv1.3", 3)];
        let level = |name: &'static str, default: u8| match self.get(name) {
            Some(value) => pick(name, &value.to_ascii_lowercase(), versions),
            None => Ok(default),
        };
        let (min, max) = (level("ssl_min_protocol_version", 2)?, level("ssl_max_protocol_version", 3)?);
        let (tls12, tls13) = (min <= 2 && max >= 2, max >= 3);
        if min > max || !(tls12 || tls13) {
            return Err(cannot("its TLS versions leave none to use", "TLS 1.2 and 1.3 are supported"));
        }
        Ok((tls12, tls13))
    }

    /// A list of methods, or of methods with `!` in front for all others.
    fn require_auth(&self) -> Result<Option<RequireAuth>, Error> {
        let Some(text) = self.get("require_auth") else { return Ok(None) };
        let words: Vec<&str> = text.split(',').map(str::trim).collect();
        let negated = words.iter().filter(|w| w.starts_with('!')).count();
        if negated > 0 && negated < words.len() {
            return Err(cannot(
                "require_auth mixes methods with and without `!`",
                "list those you accept, or those you refuse",
            ));
        }
        let refuse = negated > 0;
        let mut auth = RequireAuth { password: refuse, md5: refuse, scram: refuse, none: refuse };
        for (i, word) in words.iter().enumerate() {
            if words.iter().take(i).any(|earlier| earlier == word) {
                return Err(cannot("require_auth names a method twice", "name each method once"));
            }
            match word.trim_start_matches('!') {
                "password" => auth.password = !refuse,
                "md5" => auth.md5 = !refuse,
                "scram-sha-256" => auth.scram = !refuse,
                "none" => auth.none = !refuse,
                "gss" | "sspi" | "oauth" => {}
                _ => {
                    return Err(cannot(
                        "require_auth names an unknown method",
                        "password, md5, scram-sha-256 and none are supported",
                    ));
                }
            }
        }
        Ok(Some(auth))
    }

    fn one_of<T: Copy>(&self, name: &'static str, default: T, values: &[(&str, T)]) -> Result<T, Error> {
        self.settings.get(name).map_or(Ok(default), |value| pick(name, value, values))
    }

    fn integer(&self, name: &str) -> Result<Option<i64>, Error> {
        let Some(text) = self.settings.get(name) else { return Ok(None) };
        match text.trim().parse::<i32>() {
            Ok(number) => Ok(Some(i64::from(number))),
            Err(_) => Err(cannot(&format!("`{name}` is not a whole number"), "")),
        }
    }
}

/// Files that somebody named and that are not there: libpq goes on without a word.
fn missing_files(tls: &TlsSettings) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(files) = tls.client.as_ref().filter(|files| !files.cert.exists()) {
        let cert = files.cert.display();
        warnings.push(format!("no client certificate is sent: sslcert names {cert}, which does not exist"));
    }
    if let Some(crl) = tls.crl.as_ref().filter(|crl| !crl.exists()) {
        let crl = crl.display();
        warnings.push(format!("revoked certificates are not noticed: sslcrl names {crl}, which does not exist"));
    }
    warnings
}

fn pick<T: Copy>(name: &str, value: &str, values: &[(&str, T)]) -> Result<T, Error> {
    values.iter().find(|(word, _)| *word == value).map(|(_, v)| *v).ok_or_else(|| {
        let words: Vec<&str> = values.iter().map(|(word, _)| *word).collect();
        cannot(&format!("`{name}` has an unknown value"), format!("it may be {}", words.join(", ")))
    })
}

/// Seconds; negative ones count as zero.
fn secs(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn parse_port(text: &str) -> Result<u16, Error> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        // The text is not repeated: `user:pa/ss@host` makes the head of a password look like a port.
        _ => Err(cannot(
            "its port is not a number from 1 to 65535",
            "if a user name or password holds `/`, `:`, `@` or `%`, write these as %2F, %3A, %40 and %25",
        )),
    }
}

fn parse_address(text: &str) -> Result<IpAddr, Error> {
    text.parse().map_err(|_| cannot("hostaddr is not an IP address", "put a name in host"))
}

fn check_host(host: &str) -> Result<(), Error> {
    if host.contains('@') {
        return Err(at_in_host());
    }
    if host.chars().any(|c| c.is_control() || c == ' ') {
        return Err(cannot("its host name holds a blank or a control character", ""));
    }
    Ok(())
}
