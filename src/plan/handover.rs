//! What the people of a service need after its set-up: the URL, the environment for compose, the lines for Alembic and
//! SQLAlchemy. Text only; whoever shows it decides whether the password is in it.

use std::fmt::Write as _;

/// Where and as whom a service connects.
#[derive(Debug, Clone, Default)]
pub struct Handover<'a> {
    /// A host name, an address, or the directory of a socket.
    pub host: &'a str,
    pub port: u16,
    pub database: &'a str,
    pub role: &'a str,
    pub schema: &'a str,
    /// `None` leaves the place open: `PASSWORD`.
    pub password: Option<&'a str>,
    /// Name of the version table; `None`: the service has none.
    pub version_table: Option<&'a str>,
    /// The server as a service of Compose, with the port inside its container; `None`: not known.
    pub inside: Option<(&'a str, u16)>,
}

/// Percent-encoding of everything that is not unreserved (RFC 3986).
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
        out
    })
}

/// A text as Python writes it.
fn python(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() || crate::text::is_unsafe(c) => {
                let _ = write!(out, "\\U{:08x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Said in the block for Compose where nobody knows what the server is called there.
const LOCAL: &str = "      # In a container this host is the container itself. A server in Compose has its service's name, and the\n      \
                     # port inside its container (mostly 5432).\n";

fn is_local(host: &str) -> bool {
    host.starts_with(['/', '@']) || host == "localhost" || host.starts_with("127.") || host == "::1"
}

impl Handover<'_> {
    /// `postgresql://role:password@host:port/database`; the search path comes from the role.
    #[must_use]
    pub fn url(&self) -> String {
        let password = self.password.map_or_else(|| "PASSWORD".to_owned(), encoded);
        let (role, database) = (encoded(self.role), encoded(self.database));
        if self.host.starts_with(['/', '@']) {
            return format!(
                "postgresql://{role}:{password}@/{database}?host={}&port={}",
                encoded(self.host),
                self.port
            );
        }
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { encoded(self.host) };
        format!("postgresql://{role}:{password}@{host}:{}/{database}", self.port)
    }

    /// The environment block of a compose file. A dollar sign is written twice, as compose wants it. In a container this
    /// machine's names are the container's own: the server is called by its service there, or a comment says so.
    #[must_use]
    pub fn compose(&self) -> String {
        let (url, note) = match self.inside {
            Some((host, port)) => (Handover { host, port, ..*self }.url(), ""),
            None if is_local(self.host) => (self.url(), LOCAL),
            None => (self.url(), ""),
        };
        format!("    environment:\n{note}      DATABASE_URL: \"{}\"\n", url.replace('$', "$$"))
    }

    /// Lines for Alembic's `env.py`. Reflection calls a connection's default schema nothing at all, and the role's search
    /// path makes that the service's own: `autogenerate` would create every table again. So another one is said to be it.
    #[must_use]
    pub fn alembic(&self) -> String {
        let schema = python(self.schema);
        let table = self.version_table.map_or(String::new(), |table| match table {
            "alembic_version" => String::new(),
            other => format!("    version_table={},\n", python(other)),
        });
        let other = if self.schema == "public" { "pg_catalog" } else { "public" };
        format!(
            "connection.dialect.default_schema_name = \"{other}\"\ncontext.configure(\n    connection=connection,\n    \
             target_metadata=target_metadata,\n{table}    version_table_schema={schema},\n    include_schemas=True,\n    \
             include_name=lambda name, type_, parents: type_ != \"schema\" or name == {schema},\n)\n"
        )
    }

    /// Lines for SQLAlchemy.
    #[must_use]
    pub fn sqlalchemy(&self) -> String {
        format!("metadata = MetaData(schema={})\n", python(self.schema))
    }

    /// All blocks, each with the sentence that says when it is needed.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "For the service (its search path is the role's: nothing has to be added to the URL):\n");
        let _ = writeln!(out, "DATABASE_URL={}\n", self.url());
        let _ = writeln!(out, "For a compose file:\n\n{}", self.compose());
        if self.version_table.is_some() {
            let _ = writeln!(
                out,
                "For Alembic's env.py, where tables are to be named with their schema, whatever the role's search path:\n\n{}",
                self.alembic()
            );
        }
        let _ = write!(out, "For SQLAlchemy, together with it:\n\n{}", self.sqlalchemy());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Handover<'static> {
        Handover {
            host: "db.example.org",
            port: 5432,
            database: "En-Garde",
            role: "sankore_app",
            schema: "sankore",
            password: Some("p@ss/w#r$d%"),
            version_table: Some("alembic_version"),
            inside: None,
        }
    }

    #[test]
    fn in_a_container_the_server_has_another_name() {
        let local = Handover { host: "localhost", port: 5455, ..sample() };
        let known = Handover { inside: Some(("db", 5432)), ..local.clone() };
        assert!(
            known.compose().contains("@db:5432/En-Garde\"") && !known.compose().contains('#'),
            "{}",
            known.compose()
        );
        assert!(known.url().contains("@localhost:5455/"), "outside it is as it was");
        for host in ["localhost", "127.0.0.1", "::1", "/run/postgresql"] {
            let block = Handover { host, ..local.clone() }.compose();
            assert!(block.contains("      # In a container this host is the container itself."), "{block}");
        }
        assert!(!sample().compose().contains('#'), "{}", sample().compose());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let sample = sample();
        let url = sample.url();
        assert_eq!(url, "postgresql://sankore_app:p%40ss%2Fw%23r%24d%25@db.example.org:5432/En-Garde");
        let config: tokio_postgres::Config = url.parse().unwrap();
        assert_eq!(config.get_password(), Some("p@ss/w#r$d%".as_bytes()));
        assert_eq!((config.get_user(), config.get_dbname()), (Some("sankore_app"), Some("En-Garde")));
    }

    #[test]
    fn sockets_and_addresses() {
        let socket = Handover { host: "/var/run/postgresql", password: None, ..sample() };
        assert_eq!(
            socket.url(),
            "postgresql://sankore_app:PASSWORD@/En-Garde?host=%2Fvar%2Frun%2Fpostgresql&port=5432"
        );
        let six = Handover { host: "::1", password: None, ..sample() };
        assert!(six.url().contains("@[::1]:5432/"));
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        let odd = Handover { schema: "a\"b\\c\u{202e}", version_table: Some("my\"versions"), ..sample() };
        assert!(odd.alembic().contains(r#"version_table_schema="a\"b\\c\U0000202e""#), "{}", odd.alembic());
        assert!(odd.alembic().contains(r#"version_table="my\"versions""#));
    }

    #[test]
    fn every_block_is_there() {
        let text = sample().text();
        for word in ["DATABASE_URL=", "environment:", "version_table_schema", "MetaData(schema=\"sankore\")"] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}
