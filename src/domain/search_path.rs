//! The effective search path of a role in this database, and what an unqualified name means to it.
//!
//! Read from `pg_db_role_setting`; what a session sets for itself (`options` in a connection string, `SET`) is not in the
//! catalogs and not known here.

use std::collections::HashMap;

use super::{
    effective::{Matrix, Who},
    ident::{MAX_IDENT_BYTES, Oid},
    privilege::{ObjectKind, Privilege},
    snapshot::{Catalog, Server},
};

/// Which setting won; strongest first (`process_settings()` in `postinit.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// `ALTER ROLE … IN DATABASE … SET`.
    RoleInDatabase,
    /// `ALTER ROLE … SET`.
    Role,
    /// `ALTER DATABASE … SET`, or `ALTER ROLE ALL IN DATABASE … SET`.
    Database,
    /// `ALTER ROLE ALL SET`.
    AllRoles,
    /// The server's configuration.
    Server,
}

impl Origin {
    /// For sentences: "set for …".
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Origin::RoleInDatabase => "the role in this database",
            Origin::Role => "the role",
            Origin::Database => "the database",
            Origin::AllRoles => "all roles",
            Origin::Server => "the server",
        }
    }
}

/// What the server makes of one name in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    Used(Oid),
    /// No such schema: skipped without a word.
    Missing,
    /// The role may not USE it: skipped without a word, so that its tables "do not exist".
    NoUsage(Oid),
    /// Named before: counts once.
    Repeated(Oid),
}

/// One name of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As written, `$user` included.
    pub written: String,
    /// The schema meant: the role's name for `$user`.
    pub name: String,
    pub standing: Standing,
}

/// The search path of one role in one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPath {
    pub origin: Origin,
    /// The value as the setting holds it.
    pub value: String,
    pub entries: Vec<Entry>,
    /// `pg_catalog` is looked into first unless the list places it.
    implicit_catalog: Option<Oid>,
}

impl SearchPath {
    /// Names as written, without `$user` resolved.
    pub fn written(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|e| e.written.as_str())
    }

    /// Schemas looked into, in order, `pg_catalog` where it comes in.
    pub fn schemas(&self) -> impl Iterator<Item = Oid> {
        self.implicit_catalog.into_iter().chain(self.listed())
    }

    /// Schemas of the list that are used, in order, without an implicit `pg_catalog`.
    pub fn listed(&self) -> impl Iterator<Item = Oid> {
        self.entries.iter().filter_map(|e| match e.standing {
            Standing::Used(oid) => Some(oid),
            Standing::Missing | Standing::NoUsage(_) | Standing::Repeated(_) => None,
        })
    }

    /// Where a new table without a schema goes (`current_schema()`); `None` is "no schema has been selected".
    #[must_use]
    pub fn current(&self) -> Option<Oid> {
        self.listed().next()
    }

    /// The first schema of the list that exists, whether the role may use it or not.
    #[must_use]
    pub fn first(&self) -> Option<Oid> {
        self.entries.iter().find_map(|e| match e.standing {
            Standing::Used(oid) | Standing::NoUsage(oid) => Some(oid),
            Standing::Missing | Standing::Repeated(_) => None,
        })
    }

    /// Entries that the server skips because of a missing schema or missing USAGE; a missing `$user` schema is usual and
    /// left out.
    pub fn skipped(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|e| match e.standing {
            Standing::Used(_) | Standing::Repeated(_) => false,
            Standing::Missing => e.written != "$user",
            Standing::NoUsage(_) => true,
        })
    }

    /// The first of the schemas that holds the name, asked for one schema at a time.
    pub fn resolve<T>(&self, mut holds: impl FnMut(Oid) -> Option<T>) -> Option<(Oid, T)> {
        self.schemas().find_map(|schema| holds(schema).map(|found| (schema, found)))
    }
}

/// True for settings that hold a list of names, which the server quotes one by one (`GUC_LIST_QUOTE`): `SET x = 'a, b'`
/// would be one name there.
#[must_use]
pub fn is_list(setting: &str) -> bool {
    const LISTS: [&str; 6] = [
        "search_path",
        "temp_tablespaces",
        "session_preload_libraries",
        "local_preload_libraries",
        "shared_preload_libraries",
        "unix_socket_directories",
    ];
    LISTS.iter().any(|name| name.eq_ignore_ascii_case(setting))
}

/// Splits a list as the server does (`SplitIdentifierString()`): names without quotes are folded to lower case, doubled
/// quotes stand for one, blanks around names are ignored. `None` for what the server calls invalid list syntax.
#[must_use]
pub fn parse(list: &str) -> Option<Vec<String>> {
    let space = |c: &char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}');
    let mut chars = list.chars().peekable();
    let mut names = Vec::new();
    while chars.next_if(space).is_some() {}
    if chars.peek().is_none() {
        return Some(names);
    }
    loop {
        let mut name = String::new();
        if chars.next_if_eq(&'"').is_some() {
            loop {
                match chars.next()? {
                    '"' if chars.next_if_eq(&'"').is_some() => name.push('"'),
                    '"' => break,
                    c => name.push(c),
                }
            }
        } else {
            while let Some(c) = chars.next_if(|c| *c != ',' && !space(c)) {
                name.push(c.to_ascii_lowercase());
            }
            if name.is_empty() {
                return None;
            }
        }
        names.push(cut(name));
        while chars.next_if(space).is_some() {}
        match chars.next() {
            None => return Some(names),
            Some(',') => while chars.next_if(space).is_some() {},
            Some(_) => return None,
        }
    }
}

/// Writes a list so that [`parse`] and the server read it back.
#[must_use]
pub fn write(names: &[String]) -> String {
    names.iter().map(|n| super::quote_ident(n)).collect::<Vec<_>>().join(", ")
}

/// A name cut at 63 bytes, at a character's border, as the server cuts it.
fn cut(mut name: String) -> String {
    if name.len() > MAX_IDENT_BYTES {
        let end = (0..=MAX_IDENT_BYTES).rev().find(|i| name.is_char_boundary(*i)).unwrap_or(0);
        name.truncate(end);
    }
    name
}

/// The `search_path` settings of one catalog, by whom they are for.
#[derive(Debug, Default)]
pub struct Paths<'a> {
    /// Keyed by (role, is for this database).
    values: HashMap<(Option<Oid>, bool), &'a str>,
    server: &'a str,
    pg_catalog: Option<Oid>,
}

impl<'a> Paths<'a> {
    #[must_use]
    pub fn new(catalog: &'a Catalog, server: &'a Server) -> Paths<'a> {
        let here = catalog.database.oid;
        let values = catalog
            .settings
            .iter()
            .filter(|s| s.name == "search_path" && s.database.is_none_or(|d| d == here))
            .map(|s| ((s.role.filter(|r| *r != Oid::ZERO), s.database.is_some()), s.value.as_str()))
            .collect();
        let pg_catalog = catalog.schema_named("pg_catalog").map(|s| s.oid);
        Paths { values, server: &server.default_search_path, pg_catalog }
    }

    /// The setting that wins for a role, and its value. One with invalid syntax is passed over, as the server does with
    /// a warning at login.
    #[must_use]
    pub fn setting(&self, role: Oid) -> (Origin, &'a str) {
        [
            (Origin::RoleInDatabase, (Some(role), true)),
            (Origin::Role, (Some(role), false)),
            (Origin::Database, (None, true)),
            (Origin::AllRoles, (None, false)),
        ]
        .into_iter()
        .find_map(|(origin, key)| self.values.get(&key).filter(|v| parse(v).is_some()).map(|v| (origin, *v)))
        .unwrap_or((Origin::Server, self.server))
    }

    /// The value of one setting by itself, whether it wins or not.
    #[must_use]
    pub fn own(&self, role: Option<Oid>, in_database: bool) -> Option<&'a str> {
        self.values.get(&(role, in_database)).copied()
    }

    /// The effective path of a role; `role` is a position in [`Catalog::roles`], an unknown one has an empty path.
    #[must_use]
    pub fn of(&self, catalog: &Catalog, matrix: &Matrix, role: usize) -> SearchPath {
        let Some(of) = catalog.roles.get(role) else {
            return SearchPath {
                origin: Origin::Server,
                value: String::new(),
                entries: Vec::new(),
                implicit_catalog: self.pg_catalog,
            };
        };
        let (origin, value) = self.setting(of.oid);
        let mut entries: Vec<Entry> = Vec::new();
        for written in parse(value).unwrap_or_default() {
            let name = if written == "$user" { of.name.clone() } else { written.clone() };
            let schema = matrix.index.schema_named(&name).and_then(|i| catalog.schemas.get(i));
            let standing = match schema {
                None => Standing::Missing,
                Some(s) if entries.iter().any(|e| e.standing == Standing::Used(s.oid)) => Standing::Repeated(s.oid),
                Some(s) => {
                    let held = matrix.rights(catalog, Who::Role(role), ObjectKind::Schema, s.owner, &s.acl);
                    if held.contains(Privilege::Usage) { Standing::Used(s.oid) } else { Standing::NoUsage(s.oid) }
                }
            };
            entries.push(Entry { written, name, standing });
        }
        let implicit_catalog =
            self.pg_catalog.filter(|oid| !entries.iter().any(|e| e.standing == Standing::Used(*oid)));
        SearchPath { origin, value: value.to_owned(), entries, implicit_catalog }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        privilege::{Acl, AclEntry, Privileges},
        snapshot::{Database, Role, Schema, Setting},
    };

    #[test]
    fn lists_are_read_as_the_server_reads_them() {
        let names = |list: &str| parse(list);
        let some = |list: &[&str]| Some(list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert_eq!(names("Langflow, public"), some(&["langflow", "public"]));
        assert_eq!(names(r#""$user",  "A ""b""" ,public"#), some(&["$user", "A \"b\"", "public"]));
        assert_eq!(names(""), some(&[]));
        assert_eq!(names("\"\""), some(&[""]));
        assert_eq!(names("a,,b"), None);
        assert_eq!(names("a,"), None);
        assert_eq!(names("a b"), None);
        assert_eq!(names("\"a"), None);
        assert_eq!(names(r#""langflow, public""#), some(&["langflow, public"]), "one name, the classic slip");
        assert_eq!(parse(&"é".repeat(40)).unwrap()[0].len(), 62, "cut at a character's border");
        let odd = vec!["A".to_owned(), "user".to_owned(), "x\"y".to_owned()];
        assert_eq!(parse(&write(&odd)), Some(odd));
    }

    fn catalog(settings: Vec<Setting>) -> Catalog {
        let schema = |oid: u32, name: &str, usage: bool| Schema {
            oid: Oid(oid),
            name: name.into(),
            owner: Oid(10),
            acl: if usage {
                Acl::from_entries(vec![AclEntry {
                    grantee: Oid::ZERO,
                    grantor: Oid(10),
                    privileges: Privilege::Usage.into(),
                    grantable: Privileges::NONE,
                }])
            } else {
                Acl::NULL
            },
            extension: false,
        };
        Catalog {
            database: Database { oid: Oid(5), owner: Oid(10), ..Database::default() },
            roles: vec![
                Role { oid: Oid(20), name: "app".into(), login: true, ..Role::default() },
                Role { oid: Oid(10), name: "postgres".into(), superuser: true, ..Role::default() },
            ],
            schemas: vec![
                schema(100, "app", true),
                schema(101, "closed", false),
                schema(11, "pg_catalog", true),
                schema(102, "public", true),
            ],
            settings,
            ..Catalog::default()
        }
    }
    fn set(role: u32, database: Option<u32>, value: &str) -> Setting {
        Setting {
            role: (role != 0).then_some(Oid(role)),
            database: database.map(Oid),
            name: "search_path".into(),
            value: value.into(),
        }
    }
    fn server() -> Server {
        Server { version_num: 150_000, default_search_path: "\"$user\", public".into(), ..Server::default() }
    }

    #[test]
    fn the_nearest_setting_wins_and_a_broken_one_is_passed_over() {
        let server = server();
        for (settings, origin, value) in [
            (vec![], Origin::Server, "\"$user\", public"),
            (vec![set(0, None, "all")], Origin::AllRoles, "all"),
            (vec![set(0, None, "all"), set(0, Some(5), "db")], Origin::Database, "db"),
            (vec![set(0, Some(5), "db"), set(20, None, "role")], Origin::Role, "role"),
            (vec![set(20, None, "role"), set(20, Some(5), "both")], Origin::RoleInDatabase, "both"),
            (vec![set(20, None, "role"), set(20, Some(6), "elsewhere")], Origin::Role, "role"),
            (vec![set(20, None, "role"), set(20, Some(5), "a b")], Origin::Role, "role"),
            (vec![set(21, None, "another")], Origin::Server, "\"$user\", public"),
        ] {
            let c = catalog(settings);
            assert_eq!(Paths::new(&c, &server).setting(Oid(20)), (origin, value));
        }
    }

    #[test]
    fn missing_and_closed_schemas_are_skipped_and_said() {
        let c = catalog(vec![set(20, None, "\"$user\", gone, closed, public, app")]);
        let server = server();
        let matrix = Matrix::new(&c, &server);
        let paths = Paths::new(&c, &server);
        let path = paths.of(&c, &matrix, 0);
        assert_eq!(path.schemas().collect::<Vec<_>>(), vec![Oid(11), Oid(100), Oid(102)]);
        assert_eq!(path.current(), Some(Oid(100)));
        let skipped: Vec<_> = path.skipped().map(|e| (e.name.as_str(), e.standing)).collect();
        assert_eq!(skipped, vec![("gone", Standing::Missing), ("closed", Standing::NoUsage(Oid(101)))]);
        assert_eq!(path.resolve(|s| (s == Oid(102)).then_some("found")), Some((Oid(102), "found")));
        let all = catalog(vec![set(10, None, "closed")]);
        let path = Paths::new(&all, &server).of(&all, &Matrix::new(&all, &server), 1);
        assert_eq!(path.current(), Some(Oid(101)), "a superuser may use everything");
    }
}
