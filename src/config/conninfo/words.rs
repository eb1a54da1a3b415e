//! The words of a connection string: libpq's own list, the environment variable of each, and what becomes of it here.

/// One word that libpq knows.
#[derive(Debug)]
pub struct Word {
    /// As written in a connection string.
    pub name: &'static str,
    /// The environment variable with the same meaning.
    pub env: Option<&'static str>,
    /// Whether it has an effect here.
    pub fate: Fate,
}

/// What becomes of a word that libpq knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It has its effect.
    Used,
    /// It is accepted and has no effect that anybody could miss.
    Silent,
    /// It is accepted without effect, and that is said: the text completes "… is ignored: ".
    Ignored(&'static str),
}

const fn used(name: &'static str, env: &'static str) -> Word {
    Word { name, env: Some(env), fate: Fate::Used }
}

const fn bare(name: &'static str, fate: Fate) -> Word {
    Word { name, env: None, fate }
}

const fn ignored(name: &'static str, env: &'static str, why: &'static str) -> Word {
    Word { name, env: Some(env), fate: Fate::Ignored(why) }
}

const GSS: &str = "GSSAPI is not supported";
const OAUTH: &str = "OAuth is not supported";

/// libpq's words up to PostgreSQL 18 (manual, "Parameter Key Words" and "Environment Variables").
pub const WORDS: &[Word] = &[
    used("host", "PGHOST"),
    used("hostaddr", "PGHOSTADDR"),
    used("port", "PGPORT"),
    used("dbname", "PGDATABASE"),
    used("user", "PGUSER"),
    used("password", "PGPASSWORD"),
    used("passfile", "PGPASSFILE"),
    used("service", "PGSERVICE"),
    used("servicefile", "PGSERVICEFILE"),
    used("require_auth", "PGREQUIREAUTH"),
    used("channel_binding", "PGCHANNELBINDING"),
    used("connect_timeout", "PGCONNECT_TIMEOUT"),
    used("options", "PGOPTIONS"),
    used("application_name", "PGAPPNAME"),
    bare("fallback_application_name", Fate::Used),
    bare("keepalives", Fate::Used),
    bare("keepalives_idle", Fate::Used),
    bare("keepalives_interval", Fate::Used),
    bare("keepalives_count", Fate::Used),
    bare("tcp_user_timeout", Fate::Used),
    used("sslmode", "PGSSLMODE"),
    used("sslnegotiation", "PGSSLNEGOTIATION"),
    used("sslcert", "PGSSLCERT"),
    used("sslkey", "PGSSLKEY"),
    used("sslcertmode", "PGSSLCERTMODE"),
    used("sslrootcert", "PGSSLROOTCERT"),
    used("sslcrl", "PGSSLCRL"),
    used("sslcrldir", "PGSSLCRLDIR"),
    bare("sslpassword", Fate::Ignored("encrypted keys are not supported; decrypt the key file")),
    bare("sslkeylogfile", Fate::Ignored("session keys are never written to a file")),
    used("sslsni", "PGSSLSNI"),
    used("requirepeer", "PGREQUIREPEER"),
    used("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    used("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
    Word { name: "sslcompression", env: Some("PGSSLCOMPRESSION"), fate: Fate::Silent },
    Word { name: "requiressl", env: Some("PGREQUIRESSL"), fate: Fate::Used },
    used("target_session_attrs", "PGTARGETSESSIONATTRS"),
    used("load_balance_hosts", "PGLOADBALANCEHOSTS"),
    used("gssencmode", "PGGSSENCMODE"),
    ignored("krbsrvname", "PGKRBSRVNAME", GSS),
    ignored("gsslib", "PGGSSLIB", GSS),
    ignored("gssdelegation", "PGGSSDELEGATION", GSS),
    ignored("client_encoding", "PGCLIENTENCODING", "the connection always speaks UTF-8"),
    bare("replication", Fate::Ignored("this is no replication client")),
    used("min_protocol_version", "PGMINPROTOCOLVERSION"),
    Word { name: "max_protocol_version", env: Some("PGMAXPROTOCOLVERSION"), fate: Fate::Silent },
    bare("scram_client_key", Fate::Ignored("give the password instead")),
    bare("scram_server_key", Fate::Ignored("give the password instead")),
    bare("oauth_issuer", Fate::Ignored(OAUTH)),
    bare("oauth_client_id", Fate::Ignored(OAUTH)),
    bare("oauth_client_secret", Fate::Ignored(OAUTH)),
    bare("oauth_scope", Fate::Ignored(OAUTH)),
    bare("authtype", Fate::Silent),
    bare("tty", Fate::Silent),
];

/// The entry of a word, by its exact (lower case) spelling.
#[must_use]
pub fn word(name: &str) -> Option<&'static Word> {
    WORDS.iter().find(|w| w.name == name)
}
