//! Random catalogs as SQL. A statement that the server refuses is left out of the graph: the generator tries more than it
//! needs.

use pgmoat::domain::quote_ident;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// How large a graph is.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    pub roles: usize,
    pub schemas: usize,
    /// Relations per schema, about.
    pub relations: usize,
    pub grants: usize,
}

impl Scale {
    pub const SMALL: Scale = Scale { roles: 10, schemas: 3, relations: 7, grants: 90 };
    pub const LARGE: Scale = Scale { roles: 28, schemas: 6, relations: 20, grants: 700 };
}

/// A catalog to be made.
pub struct Graph {
    pub database: String,
    /// Statements for the whole cluster: roles, memberships, the database.
    pub cluster: Vec<String>,
    /// Statements inside the database.
    pub inside: Vec<String>,
    pub clean: Vec<String>,
}

/// Stems of names, odd ones among them.
const STEMS: &[&str] = &[
    "app",
    "PUBLIC",
    "Public",
    "a\"b",
    "a;drop table t;--",
    "a'b",
    "a\\b",
    "=UC/postgres",
    "16384",
    "current_user",
    "select",
    "user",
    "null",
    "*",
    "a=r/b",
    " lead",
    "trail ",
    "é",
    "日本語",
    "{a,b}",
    "\u{202e}nimda",
    "a\nb",
    "\u{1b}[2J",
];

const TABLE: &[&str] = &["select", "insert", "update", "delete", "truncate", "references", "trigger"];

struct Maker {
    rng: StdRng,
    seed: u64,
    major: u32,
    roles: Vec<String>,
    schemas: Vec<String>,
    /// Schema, name with arguments where it is a routine, and what GRANT calls it.
    objects: Vec<(String, String, &'static str)>,
    inside: Vec<String>,
}

/// The graph of a seed.
pub fn graph(seed: u64, scale: Scale, major: u32) -> Graph {
    let mut m = Maker {
        rng: StdRng::seed_from_u64(seed),
        seed,
        major,
        roles: Vec::new(),
        schemas: Vec::new(),
        objects: Vec::new(),
        inside: Vec::new(),
    };
    let database = format!("oracle_{seed}");
    let mut cluster = m.roles(scale.roles);
    let owner = m.role();
    cluster.push(format!("create database {} owner {}", quote_ident(&database), quote_ident(&owner)));
    // what its owner may do is hidden behind a superuser
    if m.rng.random_bool(0.9) {
        cluster.push(format!("alter role {} nosuperuser", quote_ident(&owner)));
    }
    m.untouched();
    m.defaults();
    m.schemas(scale.schemas);
    for schema in m.schemas.clone() {
        m.relations(&schema, scale.relations);
    }
    m.ownership();
    for _ in 0..scale.grants {
        m.grant();
    }
    let mut clean = vec![format!("drop database {} with (force)", quote_ident(&database))];
    clean.extend(m.roles.iter().map(|r| format!("drop role {}", quote_ident(r))));
    Graph { database, cluster, inside: m.inside, clean }
}

impl Maker {
    fn name(&mut self, kind: &str, i: usize) -> String {
        let stem = if self.rng.random_bool(0.4) { *STEMS.choose(&mut self.rng).unwrap() } else { kind };
        format!("{stem}_{}_{i}", self.seed)
    }

    fn role(&mut self) -> String {
        self.roles.choose(&mut self.rng).unwrap().clone()
    }

    /// A role or PUBLIC, as GRANT writes it; now and then whoever owns the database.
    fn grantee(&mut self) -> String {
        match self.rng.random_range(0..100) {
            0..=11 => "public".to_owned(),
            12..=17 => "pg_database_owner".to_owned(),
            _ => quote_ident(&self.role()),
        }
    }

    /// A schema in which nobody ever granted anything: every ACL is NULL. Made before there are default privileges.
    fn untouched(&mut self) {
        let schema = quote_ident(&self.name("untouched", 0));
        let owner = quote_ident(&self.role());
        self.inside.push(format!("create schema {schema} authorization {owner}"));
        for (i, kind) in ["table", "view", "materialized view", "sequence", "procedure"].into_iter().enumerate() {
            let name = format!("{schema}.n_{i}");
            let (body, arguments) = match kind {
                "table" => ("(id int)", ""),
                "sequence" => ("", ""),
                "procedure" => ("() language sql as 'select 1'", "()"),
                _ => ("as select 1 as id", ""),
            };
            self.inside.push(format!("create {kind} {name} {body}"));
            let owner = quote_ident(&self.role());
            self.inside.push(format!("alter {kind} {name}{arguments} owner to {owner}"));
        }
    }

    fn roles(&mut self, count: usize) -> Vec<String> {
        let mut sql = Vec::new();
        for i in 0..count {
            let name = self.name("r", i);
            let inherit = if self.rng.random_bool(0.25) { "noinherit" } else { "inherit" };
            let superuser = if self.rng.random_bool(0.06) { "superuser" } else { "nosuperuser" };
            sql.push(format!("create role {} {inherit} {superuser} login", quote_ident(&name)));
            self.roles.push(name);
        }
        for member in 1..count {
            for _ in 0..self.rng.random_range(0..3) {
                let group = self.rng.random_range(0..member);
                let (group, member) = (quote_ident(&self.roles[group]), quote_ident(&self.roles[member]));
                let options = if self.major >= 16 && self.rng.random_bool(0.6) {
                    let mut pick = |p: f64| if self.rng.random_bool(p) { "true" } else { "false" };
                    format!(" with inherit {}, set {}, admin {}", pick(0.5), pick(0.7), pick(0.2))
                } else if self.rng.random_bool(0.2) {
                    " with admin option".to_owned()
                } else {
                    String::new()
                };
                sql.push(format!("grant {group} to {member}{options}"));
            }
        }
        for predefined in ["pg_read_all_data", "pg_write_all_data", "pg_maintain", "pg_monitor"] {
            if predefined != "pg_maintain" || self.major >= 17 {
                let options = if self.major >= 16 && self.rng.random_bool(0.4) { " with inherit false" } else { "" };
                sql.push(format!("grant {predefined} to {}{options}", quote_ident(&self.role())));
            }
        }
        sql
    }

    fn schemas(&mut self, count: usize) {
        for i in 0..count {
            let name = self.name("s", i);
            let owner = quote_ident(&self.role());
            self.inside.push(format!("create schema {} authorization {owner}", quote_ident(&name)));
            self.schemas.push(name);
        }
        // public stands on every cluster, with an ACL of its own
        self.schemas.push("public".to_owned());
        self.inside.push("create foreign data wrapper w; create server srv foreign data wrapper w".to_owned());
    }

    /// Default privileges of both layers, so that new objects are born with all sorts of lists.
    fn defaults(&mut self) {
        for _ in 0..4 {
            let (creator, to) = (quote_ident(&self.role()), self.grantee());
            self.inside.push(format!("alter default privileges for role {creator} grant select on tables to {to}"));
            self.inside.push(format!("alter default privileges grant insert, update on tables to {to}"));
            if self.rng.random_bool(0.3) {
                self.inside.push("alter default privileges revoke execute on functions from public".to_owned());
            }
        }
    }

    fn relations(&mut self, schema: &str, count: usize) {
        let s = quote_ident(schema);
        let add = |m: &mut Maker, i: usize, kind: &'static str, make: &dyn Fn(&str) -> String| {
            let name = m.name("o", i);
            let full = format!("{s}.{}", quote_ident(&name));
            m.inside.push(make(&full));
            m.objects.push((schema.to_owned(), name, kind));
        };
        for i in 0..count {
            match self.rng.random_range(0..10) {
                0..=3 => add(self, i, "table", &|n| format!("create table {n} (id int, note text)")),
                4 => add(self, i, "table", &|n| format!("create table {n} (id int) partition by range (id)")),
                5 => add(self, i, "table", &|n| format!("create view {n} as select 1 as id")),
                6 => add(self, i, "table", &|n| format!("create materialized view {n} as select 1 as id")),
                7 => add(self, i, "table", &|n| format!("create foreign table {n} (id int) server srv")),
                8 => add(self, i, "table", &|n| format!("create table {n} (id serial primary key)")),
                _ => add(self, i, "table", &|n| {
                    format!("create unlogged table {n} (id int generated always as identity)")
                }),
            }
        }
        for i in 100..100 + count / 3 {
            add(self, i, "sequence", &|n| format!("create sequence {n}"));
        }
        for i in 200..200 + count / 3 {
            match self.rng.random_range(0..3) {
                0 => add(self, i, "function", &|n| {
                    format!("create function {n}(int) returns int language sql as 'select 1'")
                }),
                1 => add(self, i, "procedure", &|n| format!("create procedure {n}(int) language sql as 'select 1'")),
                _ => add(self, i, "aggregate", &|n| format!("create aggregate {n}(int) (sfunc = int4pl, stype = int)")),
            }
        }
        // a type that is a relation in pg_class, and must not count as a table
        self.inside.push(format!("create type {s}.composite_{} as (a int)", self.seed));
    }

    fn ownership(&mut self) {
        for (schema, name, kind) in self.objects.clone() {
            if self.rng.random_bool(0.75) {
                let owner = quote_ident(&self.role());
                let full = format!("{}.{}", quote_ident(&schema), quote_ident(&name));
                let (word, arguments) = match kind {
                    "table" => ("table", ""),
                    "sequence" => ("sequence", ""),
                    _ => ("routine", "(int)"),
                };
                let word = if kind == "aggregate" { "aggregate" } else { word };
                self.inside.push(format!("alter {word} {full}{arguments} owner to {owner}"));
            }
        }
    }

    fn privileges(&mut self, kind: &str) -> String {
        let maintain: &[&str] = if self.major >= 17 { &["maintain"] } else { &[] };
        let all: Vec<&str> = match kind {
            "table" => TABLE.iter().chain(maintain).copied().collect(),
            "sequence" => vec!["usage", "select", "update"],
            "schema" => vec!["usage", "create"],
            _ => vec!["execute"],
        };
        if self.rng.random_bool(0.15) {
            return "all".to_owned();
        }
        let n = self.rng.random_range(1..=all.len().min(3));
        let list: Vec<&str> = all.sample(&mut self.rng, n).copied().collect();
        list.join(", ")
    }

    /// One GRANT or REVOKE: by a superuser (then the owner is the grantor) or by some role that may hold the option.
    fn grant(&mut self) {
        let by = self.rng.random_bool(0.35).then(|| quote_ident(&self.role()));
        let to = self.grantee();
        let schema = self.schemas.choose(&mut self.rng).unwrap().clone();
        let option = if self.rng.random_bool(0.3) && to != "public" { " with grant option" } else { "" };
        let revoke = self.rng.random_bool(0.22);
        let cascade = if self.rng.random_bool(0.5) { " cascade" } else { "" };
        let (privileges, on) = match self.rng.random_range(0..12) {
            0..=2 => (self.privileges("schema"), format!("schema {}", quote_ident(&schema))),
            3 => (self.privileges("table"), format!("all tables in schema {}", quote_ident(&schema))),
            4 => (self.privileges("sequence"), format!("all sequences in schema {}", quote_ident(&schema))),
            5 => ("execute".to_owned(), format!("all routines in schema {}", quote_ident(&schema))),
            _ => {
                let (schema, name, kind) = self.objects.choose(&mut self.rng).unwrap().clone();
                let full = format!("{}.{}", quote_ident(&schema), quote_ident(&name));
                match kind {
                    "table" if self.rng.random_bool(0.1) => {
                        ("select (id), update (id)".to_owned(), format!("table {full}"))
                    }
                    "table" => (self.privileges("table"), format!("table {full}")),
                    "sequence" => (self.privileges("sequence"), format!("sequence {full}")),
                    _ => ("execute".to_owned(), format!("routine {full}(int)")),
                }
            }
        };
        let statement = if revoke {
            format!("revoke {privileges} on {on} from {to}{cascade}")
        } else {
            format!("grant {privileges} on {on} to {to}{option}")
        };
        self.inside.push(match by {
            Some(role) => format!("set role {role}; {statement}; reset role"),
            None => statement,
        });
        // owners that revoked their own, down to the empty list
        if self.rng.random_bool(0.04) {
            let (schema, name, kind) = self.objects.choose(&mut self.rng).unwrap().clone();
            if kind == "table" {
                let full = format!("{}.{}", quote_ident(&schema), quote_ident(&name));
                let from: Vec<String> = self.roles.iter().map(|r| quote_ident(r)).collect();
                self.inside.push(format!("revoke all on table {full} from {}, public cascade", from.join(", ")));
            }
        }
    }
}
