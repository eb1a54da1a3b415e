//! Which images hold a PostgreSQL server or a pooler, by their names. Pure.

use super::Sure;

/// What a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// PostgreSQL, with the variables of the official image.
    Postgres,
    /// Bitnami's, with variables of its own.
    Bitnami,
    /// A pooler in front of servers.
    Pooler,
}

/// What an image's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub flavour: Flavour,
    /// For people: `PostgreSQL 15`, `PostGIS on PostgreSQL 16`, `PgBouncer`.
    pub product: String,
    /// The major version that the tag names.
    pub major: Option<u32>,
    pub sure: Sure,
}

/// Last parts of names, what they are called, and whose variables they take.
const KNOWN: &[(&str, &str, Flavour)] = &[
    ("postgres", "", Flavour::Postgres),
    ("postgresql", "", Flavour::Postgres),
    ("postgis", "PostGIS", Flavour::Postgres),
    ("pgvector", "pgvector", Flavour::Postgres),
    ("pgvecto-rs", "pgvecto.rs", Flavour::Postgres),
    ("timescaledb", "TimescaleDB", Flavour::Postgres),
    ("timescaledb-ha", "TimescaleDB", Flavour::Postgres),
    ("timescaledb-postgis", "TimescaleDB", Flavour::Postgres),
    ("citus", "Citus", Flavour::Postgres),
    ("paradedb", "ParadeDB", Flavour::Postgres),
    ("postgres-ssl", "", Flavour::Postgres),
    ("spilo", "Spilo", Flavour::Postgres),
    ("cloudnative-pg", "", Flavour::Postgres),
    ("crunchy-postgres", "", Flavour::Postgres),
    ("postgresql-repmgr", "", Flavour::Bitnami),
    ("pgbouncer", "PgBouncer", Flavour::Pooler),
    ("pgbouncer-container", "PgBouncer", Flavour::Pooler),
    ("pgcat", "PgCat", Flavour::Pooler),
    ("pgpool", "Pgpool-II", Flavour::Pooler),
    ("supavisor", "Supavisor", Flavour::Pooler),
    ("odyssey", "Odyssey", Flavour::Pooler),
    ("pgdog", "PgDog", Flavour::Pooler),
];

/// Parts of names of images that speak with a server and are none.
const BESIDE: [&str; 20] = [
    "exporter", "backup", "admin", "rest", "client", "migrat", "operator", "dump", "upgrade", "bouncer", "pool",
    "proxy", "meta", "web", "restore", "init", "tools", "cron", "barman", "wal",
];

/// What the name of an image says; `None`: no server.
#[must_use]
pub fn recognised(image: &str) -> Option<Image> {
    let image = image.trim();
    let without_digest = image.split_once('@').map_or(image, |(name, _)| name);
    let last_slash = without_digest.rfind('/').map_or(0, |i| i + 1);
    let (path, tag) = match without_digest.get(last_slash..).and_then(|l| l.find(':')) {
        Some(i) => without_digest.split_at(last_slash + i),
        None => (without_digest, ""),
    };
    let tag = tag.trim_start_matches(':');
    let lower = path.to_ascii_lowercase();
    let mut parts = lower.rsplit('/');
    let last = parts.next().filter(|l| !l.is_empty())?;
    let owner = parts.next().unwrap_or_default();
    let known = KNOWN.iter().find(|(name, _, _)| *name == last);
    let (extra, flavour, sure) = match known {
        Some((_, extra, flavour)) => (*extra, *flavour, Sure::Certain),
        None if last.contains("postgres") && !BESIDE.iter().any(|word| last.contains(word)) => {
            ("", Flavour::Postgres, Sure::Likely)
        }
        None => return None,
    };
    let bitnami = owner.starts_with("bitnami") && flavour == Flavour::Postgres;
    let flavour = if bitnami { Flavour::Bitnami } else { flavour };
    let major = major(last, tag);
    let version = major.map(|m| format!(" {m}")).unwrap_or_default();
    let extra = if owner == "supabase" && last == "postgres" { "Supabase" } else { extra };
    let product = match (flavour, extra) {
        (Flavour::Pooler, name) => name.to_owned(),
        (_, "") => format!("PostgreSQL{version}"),
        (_, extra) => format!("{extra} on PostgreSQL{version}"),
    };
    Some(Image { flavour, product, major: major.filter(|_| flavour != Flavour::Pooler), sure })
}

/// The major version in a tag: `15-alpine`, `pg16`, `latest-pg15`, `0.8.0-pg17`, `16-3.4`, `12.1.1-pg16`.
fn major(name: &str, tag: &str) -> Option<u32> {
    let digits = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text.get(..end).and_then(|d| d.parse::<u32>().ok()).filter(|n| (8..=40).contains(n))
    };
    if let Some(found) = tag.match_indices("pg").find_map(|(i, _)| digits(tag.get(i + 2..).unwrap_or_default())) {
        return Some(found);
    }
    // The tags of extensions count their own versions.
    let own = ["timescaledb", "timescaledb-ha", "citus", "pgvector", "paradedb", "spilo"];
    digits(tag).filter(|_| !own.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images() {
        for (image, product) in [
            ("postgres", Some("PostgreSQL")),
            ("postgres:15-alpine", Some("PostgreSQL 15")),
            ("postgres:9.6", Some("PostgreSQL 9")),
            ("docker.io/library/postgres:16.4", Some("PostgreSQL 16")),
            ("localhost:5000/postgres", Some("PostgreSQL")),
            ("registry.example:5000/mirror/postgres:14@sha256:0123", Some("PostgreSQL 14")),
            ("postgres@sha256:0123456789", Some("PostgreSQL")),
            ("postgis/postgis:16-3.4", Some("PostGIS on PostgreSQL 16")),
            ("pgvector/pgvector:pg17", Some("pgvector on PostgreSQL 17")),
            ("pgvector/pgvector:0.8.0-pg16", Some("pgvector on PostgreSQL 16")),
            ("timescale/timescaledb:latest-pg15", Some("TimescaleDB on PostgreSQL 15")),
            ("timescale/timescaledb-ha:pg16", Some("TimescaleDB on PostgreSQL 16")),
            ("bitnami/postgresql:15", Some("PostgreSQL 15")),
            ("bitnamilegacy/postgresql-repmgr:16", Some("PostgreSQL 16")),
            ("supabase/postgres:15.1.1.78", Some("Supabase on PostgreSQL 15")),
            ("citusdata/citus:13.0", Some("Citus on PostgreSQL")),
            ("ghcr.io/cloudnative-pg/postgresql:17", Some("PostgreSQL 17")),
            ("ghcr.io/acme/our-postgres:15", Some("PostgreSQL 15")),
            ("edoburu/pgbouncer:1.22", Some("PgBouncer")),
            ("supabase/supavisor:1", Some("Supavisor")),
            ("prometheuscommunity/postgres-exporter", None),
            ("dpage/pgadmin4", None),
            ("postgrest/postgrest", None),
            ("supabase/postgres-meta:v0.80", None),
            ("prodrigestivill/postgres-backup-local", None),
            ("mysql:8", None),
            ("redis", None),
            ("", None),
        ] {
            assert_eq!(recognised(image).map(|i| i.product).as_deref(), product, "{image}");
        }
        assert_eq!(recognised("bitnami/postgresql").unwrap().flavour, Flavour::Bitnami);
        assert_eq!(recognised("acme/our-postgres").unwrap().sure, Sure::Likely);
    }
}
