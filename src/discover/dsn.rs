//! What the connection strings of applications say: URIs of every dialect, JDBC, `key=value` of libpq and of .NET. Read
//! generously, for hints; what is connected with is read strictly by `config::conninfo`. Pure.

use secrecy::SecretString;

/// What one connection string says. `Debug` shows no password.
#[derive(Debug, Clone, Default)]
pub struct Dsn {
    /// Dialect and driver as written, `postgresql+asyncpg`; empty for `key=value`.
    pub dialect: String,
    /// `None`: not said, the driver's default.
    pub host: Option<String>,
    pub port: Option<u16>,
    pub database: Option<String>,
    pub user: Option<String>,
    pub password: Option<SecretString>,
    /// Schemas of the search path that it asks for, in order.
    pub schemas: Vec<String>,
}

/// Schemes that mean PostgreSQL, before any `+driver`.
const SCHEMES: [&str; 12] = [
    "postgresql",
    "postgres",
    "postgis",
    "pgsql",
    "psql",
    "pg",
    "ecto",
    "timescale",
    "timescaledb",
    "postgresqls",
    "postgres-async",
    "pgx5",
];
/// The longest string that is looked at, in bytes.
const LONGEST: usize = 8 << 10;

/// Reads a connection string; `None`: it is none for PostgreSQL.
#[must_use]
pub fn read(text: &str) -> Option<Dsn> {
    let text = text.trim().trim_matches(['"', '\'']);
    if text.len() > LONGEST || text.contains('\0') {
        return None;
    }
    let bare = text.strip_prefix("jdbc:").unwrap_or(text);
    match bare.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['=', ' ', ';']) => {
            let base = scheme.split('+').next().unwrap_or_default().to_ascii_lowercase();
            if !SCHEMES.contains(&base.as_str()) {
                return None;
            }
            let prefix = if bare.len() < text.len() { "jdbc:" } else { "" };
            Some(uri(format!("{prefix}{scheme}"), rest))
        }
        _ if bare.contains(';') && bare.contains('=') => pairs(&split_semicolons(bare)),
        _ if bare.contains('=') => pairs(&split_blanks(bare)),
        _ => None,
    }
}

fn uri(dialect: String, rest: &str) -> Dsn {
    let mut dsn = Dsn { dialect, ..Dsn::default() };
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    // An unescaped `/` in a password: the last `@` is where the host begins.
    let (credentials, address) = match before_query.rsplit_once('@') {
        Some((credentials, address)) => (Some(credentials), address),
        None => (None, before_query),
    };
    let (authority, path) = address.split_once('/').unwrap_or((address, ""));
    if let Some(credentials) = credentials {
        let (user, password) = credentials.split_once(':').map_or((credentials, None), |(u, p)| (u, Some(p)));
        dsn.user = some(decoded(user));
        dsn.password = password.filter(|p| !p.is_empty()).map(|p| SecretString::from(decoded(p)));
    }
    // Of several hosts the first.
    let first = authority.split(',').next().unwrap_or_default();
    let (host, port) = match first.strip_prefix('[').and_then(|r| r.split_once(']')) {
        Some((host, after)) => (host, after.strip_prefix(':')),
        None => first.split_once(':').map_or((first, None), |(h, p)| (h, Some(p))),
    };
    dsn.host = some(decoded(host));
    dsn.port = port.and_then(|p| p.parse().ok());
    dsn.database = some(decoded(path.trim_end_matches('/')));
    for pair in query.split(['&', ';']) {
        let Some((name, value)) = pair.split_once('=') else { continue };
        word(&mut dsn, &decoded(name), &decoded(&value.replace('+', " ")), true);
    }
    dsn
}

/// `key=value` parts; `None` when none of them says where or what.
fn pairs(parts: &[(String, String)]) -> Option<Dsn> {
    let mut dsn = Dsn::default();
    let known = parts.iter().filter(|(name, value)| word(&mut dsn, name, value, false)).count();
    let says = dsn.host.is_some() && (dsn.database.is_some() || dsn.user.is_some());
    (known >= 2 && says).then_some(dsn)
}

/// Takes one word; true when it is known.
fn word(dsn: &mut Dsn, name: &str, value: &str, in_uri: bool) -> bool {
    let name: String = name.trim().to_ascii_lowercase().chars().filter(|c| !matches!(c, ' ' | '_')).collect();
    let text = || some(value.trim().to_owned());
    match name.as_str() {
        "host" | "server" | "datasource" | "hostname" => {
            let value = value.split(',').next().unwrap_or_default();
            if in_uri || dsn.host.is_none() {
                dsn.host = some(value.trim().to_owned()).or_else(|| dsn.host.take());
            }
        }
        "port" => dsn.port = value.trim().parse().ok().or(dsn.port),
        "dbname" | "database" | "initialcatalog" => dsn.database = text(),
        "user" | "username" | "userid" | "uid" => dsn.user = text(),
        "password" | "pwd" => dsn.password = text().map(SecretString::from),
        "schema" | "currentschema" | "searchpath" => dsn.schemas = schemas(value),
        "options" => {
            if let Some(path) = search_path(value) {
                dsn.schemas = schemas(path);
            }
        }
        _ => return false,
    }
    true
}

/// The search path in libpq's `options`: `-csearch_path=a,b`, `-c search_path=a`, `--search_path=a`.
fn search_path(options: &str) -> Option<&str> {
    let at = options.find("search_path")?;
    let flag = options.get(..at)?.trim_end();
    if !(flag.ends_with("-c") || flag.ends_with("--")) {
        return None;
    }
    let value = options.get(at + "search_path".len()..)?.trim_start().strip_prefix('=')?.trim_start();
    let end = value.find(" -").unwrap_or(value.len());
    value.get(..end)
}

/// A search path as a list of names.
#[must_use]
pub fn schemas(path: &str) -> Vec<String> {
    let name = |part: &str| {
        let part = part.trim().replace('\\', "");
        let bare = part.trim().trim_matches(['"', '\'']);
        bare.trim().to_owned()
    };
    path.split(',').map(name).filter(|n| !n.is_empty() && n != "$user").take(32).collect()
}

fn split_semicolons(text: &str) -> Vec<(String, String)> {
    text.split(';').filter_map(|part| part.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

/// libpq's `key = value`, values in single quotes where needed.
fn split_blanks(text: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let (value, tail) = match after.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'').unwrap_or((quoted, "")),
            None => after.split_at(after.find(char::is_whitespace).unwrap_or(after.len())),
        };
        out.push((name.trim().to_owned(), value.to_owned()));
        rest = tail.trim_start();
    }
    out
}

/// `%XX` to characters; what is no escape stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let raw = text.as_bytes();
    let mut i = 0;
    while let Some(b) = raw.get(i) {
        let hex = raw.get(i + 1..i + 3).and_then(|d| std::str::from_utf8(d).ok());
        match hex.filter(|_| *b == b'%').and_then(|d| u8::from_str_radix(d, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                i += 3;
            }
            None => {
                bytes.push(*b);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|t| !t.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_connection_strings_say() {
        // string, host, port, database, user, schemas, has a password
        let table: &[(&str, &str, u16, &str, &str, &str, bool)] = &[
            ("postgresql://u:p@db:5432/shop", "db", 5432, "shop", "u", "", true),
            ("postgres://u@db/shop", "db", 0, "shop", "u", "", false),
            ("postgresql+psycopg2://u:p@db/shop", "db", 0, "shop", "u", "", true),
            ("postgresql+asyncpg://u:p@db:6000/shop?ssl=disable", "db", 6000, "shop", "u", "", true),
            (
                "postgresql+psycopg://u:p@db/shop?options=-csearch_path%3Dlangflow,public",
                "db",
                0,
                "shop",
                "u",
                "langflow public",
                true,
            ),
            (
                "postgresql://u:p@db:5432/shop?options=-csearch_path=langflow,public",
                "db",
                5432,
                "shop",
                "u",
                "langflow public",
                true,
            ),
            (
                "postgresql://u:p@db/shop?options=-c%20search_path=onside,public",
                "db",
                0,
                "shop",
                "u",
                "onside public",
                true,
            ),
            ("postgresql://u:p@db/shop?options=-c+search_path%3Donside", "db", 0, "shop", "u", "onside", true),
            ("postgresql://u:p@db/shop?options=--search_path%3Da%20-c%20x%3D1", "db", 0, "shop", "u", "a", true),
            ("postgresql://u:p@db/shop?schema=billing", "db", 0, "shop", "u", "billing", true),
            ("postgres://u:p@db/shop?sslmode=disable&search_path=billing", "db", 0, "shop", "u", "billing", true),
            (
                "jdbc:postgresql://db:5432/shop?user=u&password=p&currentSchema=a,b",
                "db",
                5432,
                "shop",
                "u",
                "a b",
                true,
            ),
            ("jdbc:postgresql://db/shop", "db", 0, "shop", "", "", false),
            ("ecto://u:p@db/shop", "db", 0, "shop", "u", "", true),
            ("postgis://u:p@db/shop", "db", 0, "shop", "u", "", true),
            ("postgresql://u:p%40ss@db/my%20shop", "db", 0, "my shop", "u", "", true),
            ("postgresql://u:p@ss/w@db/shop", "db", 0, "shop", "u", "", true),
            ("postgresql://u:p@[::1]:5433/shop", "::1", 5433, "shop", "u", "", true),
            ("postgresql://u:p@h1:1,h2:2/shop", "h1", 1, "shop", "u", "", true),
            ("postgresql:///shop?host=/var/run/postgresql", "/var/run/postgresql", 0, "shop", "", "", false),
            ("host=db port=5432 user=u password='p w' dbname=shop", "db", 5432, "shop", "u", "", true),
            ("host=db user=u dbname=shop search_path=billing sslmode=disable", "db", 0, "shop", "u", "billing", false),
            (
                "Host=db;Port=5432;Database=shop;Username=u;Password=p;Search Path=billing",
                "db",
                5432,
                "shop",
                "u",
                "billing",
                true,
            ),
            ("Server=db;User Id=u;Pwd=p;Database=shop", "db", 0, "shop", "u", "", true),
            ("\"postgresql://u:p@db/shop\"", "db", 0, "shop", "u", "", true),
            (
                "postgresql://u:p@db/shop?options=-csearch_path%3D%22My%20App%22,%22%24user%22",
                "db",
                0,
                "shop",
                "u",
                "My App",
                true,
            ),
        ];
        for (text, host, port, database, user, schemas, password) in table {
            let dsn = read(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(dsn.host.as_deref().unwrap_or_default(), *host, "{text}");
            assert_eq!(dsn.port.unwrap_or(0), *port, "{text}");
            assert_eq!(dsn.database.as_deref().unwrap_or_default(), *database, "{text}");
            assert_eq!(dsn.user.as_deref().unwrap_or_default(), *user, "{text}");
            assert_eq!(dsn.schemas.join(" ").replace("My App", "MyApp"), schemas.replace("My App", "MyApp"), "{text}");
            assert_eq!(dsn.password.is_some(), *password, "{text}");
            assert!(!format!("{dsn:?}").contains("p w"), "{text}");
        }
    }

    #[test]
    fn what_is_no_connection_string() {
        for text in [
            "",
            "x",
            "mysql://u:p@db/shop",
            "redis://db:6379/0",
            "https://x/?a=b",
            "a=b",
            "a=b;c=d",
            "host=db",
            "true",
            "sqlite:///x.db",
            "mongodb+srv://u:p@db/x",
            "JAVA_OPTS=-Dx=y -Da=b",
            "amqp://u:p@mq",
            "server=x",
        ] {
            assert!(read(text).is_none(), "{text}");
        }
        assert!(read(&format!("postgresql://u:p@db/{}", "x".repeat(10_000))).is_none());
    }
}
