//! Every Alembic version table with its class, the service it belongs to, where its revisions stand, and which roles'
//! search paths resolve to it. Reads names and rows, never what a revision does; says nothing about grants.
//!
//! Nothing is guessed: a row that two lineages know and nothing decides is ambiguous, one that none knows is unknown.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
};

use serde::{Deserialize, Serialize};

use super::{Policy, Service};
use crate::domain::{
    Oid,
    alembic::{Evidence, Lineage, Lineages, owners},
    effective::{Matrix, Who},
    privilege::{ObjectKind, Privilege, Privileges},
    search_path::Paths,
    snapshot::{Catalog, Kind, Snapshot, VersionRows, VersionTable},
};

/// What a version table is (contract, section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Where its service should have it, holding nothing of others.
    Own,
    /// One service's, in another place than its own.
    Misplaced,
    /// Of two applications at least.
    Shared,
    /// A hand-made copy, or the rows of a service that has them in its own place too.
    Copy,
    /// Empty although the application's tables exist: the revision is lost.
    EmptyInUse,
    /// Empty, and no table yet: before the first migration.
    EmptyBase,
    /// Several applications know the revision and nothing decides.
    Ambiguous,
    /// No scripts know the revision, or the rows could not be read.
    Unknown,
    /// Not Alembic's, or of an application that the policy does not name.
    Foreign,
}

impl Class {
    pub const ALL: [Class; 9] = [
        Class::Own,
        Class::Misplaced,
        Class::Shared,
        Class::Copy,
        Class::EmptyInUse,
        Class::EmptyBase,
        Class::Ambiguous,
        Class::Unknown,
        Class::Foreign,
    ];

    /// As JSON writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Class::Own => "own",
            Class::Misplaced => "misplaced",
            Class::Shared => "shared",
            Class::Copy => "copy",
            Class::EmptyInUse => "empty-in-use",
            Class::EmptyBase => "empty-base",
            Class::Ambiguous => "ambiguous",
            Class::Unknown => "unknown",
            Class::Foreign => "foreign",
        }
    }
}

/// Where one row stands in a lineage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "place", content = "by")]
pub enum Place {
    Head,
    /// Revisions between it and the head.
    Behind(u32),
    /// No lineage knows it.
    Unknown,
    /// Several lineages know it and nothing decides.
    Ambiguous,
    /// There are no revision scripts to tell.
    NoScripts,
}

/// One row of a version table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    pub revision: String,
    /// Services whose lineage it belongs to; one when it is settled. Without scripts, the service whose table it is.
    pub services: Vec<String>,
    pub place: Place,
}

impl Revision {
    /// The service it belongs to, when scripts settle that.
    #[must_use]
    pub fn settled(&self) -> Option<&str> {
        match (&self.place, self.services.as_slice()) {
            (Place::Head | Place::Behind(_), [one]) => Some(one),
            _ => None,
        }
    }
}

/// One version table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VersionInfo {
    /// Position in [`crate::domain::snapshot::VersionTables`].
    pub table: usize,
    pub oid: Oid,
    pub class: Class,
    /// The service it serves, when one does.
    pub service: Option<String>,
    /// The service whose declared place this is, whoever's rows it holds.
    #[serde(default)]
    pub home: Option<String>,
    /// Empty when the rows are unknown.
    pub rows: Vec<Revision>,
    /// Login roles (service roles first) whose effective search path resolves the unqualified name to this table.
    pub resolved_by: Vec<String>,
    /// Services that will take it for theirs: their role's path resolves their version table's name to it.
    #[serde(default)]
    pub claimed_by: Vec<String>,
    /// Who keeps a revision here, when they are several: services, or login roles where none is declared.
    #[serde(default)]
    pub shared_by: Vec<String>,
    /// The service whose table this is does not find it: the search path of its role leads elsewhere. Not where the policy
    /// says itself what the path is.
    #[serde(default)]
    pub missed: bool,
    /// Sentences: what each application will say at its next start.
    pub next_start: Vec<String>,
    /// One sentence: why it has this class.
    #[serde(default)]
    pub reason: String,
}

/// All of them, in the order of the snapshot.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Versions(pub Vec<VersionInfo>);

impl Versions {
    /// Classifies the version tables of one snapshot.
    #[must_use]
    pub fn new(snapshot: &Snapshot, policy: Option<&Policy>, lineages: &Lineages, matrix: &Matrix) -> Versions {
        if snapshot.versions.0.is_empty() {
            return Versions::default();
        }
        let services = policy.map(|p| p.services.as_slice()).unwrap_or_default();
        let foreign = |name: &String| !services.is_empty() && !services.iter().any(|s| s.name == *name);
        let lineages = if lineages.0.keys().any(foreign) {
            // scripts of services that live on another instance explain nothing here
            let here = lineages.0.iter().filter(|(name, _)| !foreign(name));
            Cow::Owned(Lineages(here.map(|(name, l)| (name.clone(), l.clone())).collect()))
        } else {
            Cow::Borrowed(lineages)
        };
        Reading::new(snapshot, services, &lineages, matrix).versions()
    }

    /// The table in a service's declared place.
    #[must_use]
    pub fn home_of(&self, service: &str) -> Option<&VersionInfo> {
        self.0.iter().find(|v| v.home.as_deref() == Some(service))
    }

    /// The tables in declared places, by service.
    #[must_use]
    pub fn homes(&self) -> HashMap<&str, &VersionInfo> {
        self.0.iter().filter_map(|v| Some((v.home.as_deref()?, v))).collect()
    }

    /// The tables that services will take for their own at their next start, by service.
    #[must_use]
    pub fn claims(&self) -> HashMap<&str, &VersionInfo> {
        self.0.iter().flat_map(|v| v.claimed_by.iter().map(move |s| (s.as_str(), v))).collect()
    }
}

/// How many tables stand where and whose they are, version tables left out. Built once for many questions.
#[derive(Debug, Default)]
pub struct TableCounts {
    by_schema: HashMap<Oid, Vec<(Oid, u32)>>,
    by_owner: HashMap<Oid, u32>,
}

impl TableCounts {
    #[must_use]
    pub fn new(snapshot: &Snapshot) -> TableCounts {
        let mut tables: HashMap<(Oid, Oid), u32> = HashMap::new();
        for group in snapshot.catalog.relations.iter().filter(|g| is_table(g.kind) && !g.extension) {
            *tables.entry((group.schema, group.owner)).or_default() += group.count;
        }
        for table in snapshot.versions.0.iter().filter(|t| t.plain && t.shape) {
            if let Some(count) = tables.get_mut(&(table.schema, table.owner)) {
                *count = count.saturating_sub(1);
            }
        }
        let mut counts = TableCounts::default();
        for ((schema, owner), count) in tables.into_iter().filter(|(_, count)| *count > 0) {
            counts.by_schema.entry(schema).or_default().push((owner, count));
            *counts.by_owner.entry(owner).or_default() += count;
        }
        counts
    }

    /// Tables of a schema.
    #[must_use]
    pub fn in_schema(&self, schema: Oid) -> u32 {
        self.by_schema.get(&schema).into_iter().flatten().map(|(_, count)| count).sum()
    }

    /// Tables of an owner in one schema.
    #[must_use]
    pub fn owned_in(&self, schema: Oid, owner: Oid) -> u32 {
        self.by_schema.get(&schema).into_iter().flatten().filter(|(o, _)| *o == owner).map(|(_, count)| count).sum()
    }

    /// Owners of tables of a schema.
    pub fn owners_in(&self, schema: Oid) -> impl Iterator<Item = Oid> {
        self.by_schema.get(&schema).into_iter().flatten().map(|(owner, _)| *owner)
    }

    /// Schemas with tables of an owner.
    pub fn schemas_of(&self, owner: Oid) -> impl Iterator<Item = Oid> {
        self.by_schema.iter().filter(move |(_, of)| of.iter().any(|(o, _)| *o == owner)).map(|(schema, _)| *schema)
    }

    /// Tables of an owner, in whatever schema.
    #[must_use]
    pub fn of_owner(&self, owner: Oid) -> u32 {
        self.by_owner.get(&owner).copied().unwrap_or(0)
    }

    /// A service has tables: in its schemas, or anywhere when its role or owner, no superuser, owns them.
    #[must_use]
    pub fn in_use(&self, catalog: &Catalog, service: &Service) -> bool {
        let people = [&service.role, &service.owner];
        let mut people = people.into_iter().filter_map(|r| catalog.role_named(r)).filter(|r| !r.superuser);
        let mut schemas = service.schemas.iter().filter_map(|s| catalog.schema_named(s));
        schemas.any(|s| self.in_schema(s.oid) > 0) || people.any(|r| self.of_owner(r.oid) > 0)
    }
}

fn is_table(kind: Kind) -> bool {
    matches!(kind, Kind::Table | Kind::Partitioned)
}

/// A declared service with what the catalog says of it.
struct Of<'a> {
    service: &'a Service,
    /// Position in [`Catalog::roles`].
    role: Option<usize>,
    lineage: Option<&'a Lineage>,
    /// Position of the version table in its declared place.
    home: Option<usize>,
    /// Position of the version table that its role's path resolves to.
    claims: Option<usize>,
    in_use: bool,
}

/// Where a service's tables are, for a role that looks for them.
enum Tables {
    /// Where it would create others.
    Here,
    /// In its path, after the schema where it would create others: that one, and where they are.
    Behind(String, String),
    /// In schemas that its path does not lead to.
    Unseen(String),
    Nowhere,
}

struct Reading<'a> {
    snapshot: &'a Snapshot,
    catalog: &'a Catalog,
    paths: Paths<'a>,
    tables: &'a [VersionTable],
    lineages: &'a Lineages,
    matrix: &'a Matrix,
    services: Vec<Of<'a>>,
    /// Positions in `services`, by table.
    homes: HashMap<usize, usize>,
    claimants: HashMap<usize, Vec<usize>>,
    counts: TableCounts,
    /// By table: names of login roles, service roles first.
    resolved_by: Vec<Vec<String>>,
}

impl<'a> Reading<'a> {
    fn new(snapshot: &'a Snapshot, services: &'a [Service], lineages: &'a Lineages, matrix: &'a Matrix) -> Reading<'a> {
        let catalog = &*snapshot.catalog;
        let tables = snapshot.versions.0.as_slice();
        let mut by_schema: HashMap<Oid, Vec<usize>> = HashMap::new();
        for (i, table) in tables.iter().enumerate() {
            by_schema.entry(table.schema).or_default().push(i);
        }
        let at = |schema: Oid, name: &str| {
            let of = by_schema.get(&schema)?;
            of.iter().copied().find(|i| tables.get(*i).is_some_and(|t| t.name == name))
        };
        let paths = Paths::new(catalog, &snapshot.server);
        let counts = TableCounts::new(snapshot);
        let services: Vec<Of<'a>> = services
            .iter()
            .map(|service| {
                let role = matrix.index.role_named(&service.role);
                let name = service.version_table.as_deref();
                let home = service.schemas.first().and_then(|s| catalog.schema_named(s));
                let home = name.and_then(|n| at(home?.oid, n));
                let claims = name.and_then(|n| {
                    let path = paths.of(catalog, matrix, role?);
                    path.resolve(|schema| at(schema, n)).map(|(_, table)| table)
                });
                let lineage = lineages.of(&service.name);
                Of { service, role, lineage, home, claims, in_use: counts.in_use(catalog, service) }
            })
            .collect();

        let of_services: BTreeSet<usize> = services.iter().filter_map(|s| s.role).collect();
        let others = catalog
            .roles
            .iter()
            .enumerate()
            .filter(|(i, r)| r.login && !r.superuser && !r.is_platform() && !of_services.contains(i))
            .map(|(i, _)| i);
        let mut resolved_by = vec![Vec::new(); tables.len()];
        for role in of_services.iter().copied().chain(others) {
            let Some(name) = catalog.roles.get(role).map(|r| &r.name) else { continue };
            let path = paths.of(catalog, matrix, role);
            let mut names: Vec<&str> = Vec::new();
            for i in path.schemas().filter_map(|s| by_schema.get(&s)).flatten() {
                let Some(table) = tables.get(*i) else { continue };
                if !names.contains(&table.name.as_str()) {
                    names.push(&table.name);
                    if let Some(list) = resolved_by.get_mut(*i) {
                        list.push(name.clone());
                    }
                }
            }
        }
        let mut homes = HashMap::new();
        let mut claimants: HashMap<usize, Vec<usize>> = HashMap::new();
        for (i, of) in services.iter().enumerate() {
            if let Some(table) = of.home {
                homes.entry(table).or_insert(i);
            }
            if let Some(table) = of.claims {
                claimants.entry(table).or_default().push(i);
            }
        }
        Reading { snapshot, catalog, paths, tables, lineages, matrix, services, homes, claimants, counts, resolved_by }
    }

    fn versions(&self) -> Versions {
        Versions(self.tables.iter().enumerate().map(|(i, table)| self.info(i, table)).collect())
    }

    fn home(&self, table: usize) -> Option<&Of<'a>> {
        self.homes.get(&table).and_then(|i| self.services.get(*i))
    }

    fn claimants(&self, table: usize) -> impl Iterator<Item = &Of<'a>> {
        self.claimants.get(&table).into_iter().flatten().filter_map(|i| self.services.get(*i))
    }

    fn info(&self, i: usize, table: &VersionTable) -> VersionInfo {
        let home = self.home(i);
        let rows = self.revisions(i, table);
        let (class, service, reason) = self.class(i, table, &rows);
        let shared_by = if class == Class::Shared { self.shared_by(i, table, &rows) } else { Vec::new() };
        let missed = home.is_some_and(|of| self.misses(i, of) && of.service.search_path.is_none());
        VersionInfo {
            table: i,
            oid: table.oid,
            class,
            service,
            home: home.map(|s| s.service.name.clone()),
            resolved_by: self.resolved_by.get(i).cloned().unwrap_or_default(),
            claimed_by: self.claimants(i).map(|s| s.service.name.clone()).collect(),
            shared_by,
            missed,
            next_start: self.next_start(i, table, &rows),
            rows,
            reason,
        }
    }

    /// The rows with their owners and places.
    fn revisions(&self, i: usize, table: &VersionTable) -> Vec<Revision> {
        let rows = if table.plain && table.shape { table.rows.known().unwrap_or_default() } else { &[] };
        let home = self.home(i);
        let names = owners(self.lineages, rows, home.map(|s| s.service.name.as_str()), |service, row| {
            self.evidence(i, table, service, row)
        });
        let of = |service: &str| -> Vec<&str> {
            let mine = rows.iter().zip(&names).filter(|(_, n)| n.as_slice() == [service]);
            mine.map(|(row, _)| row.as_str()).collect()
        };
        rows.iter()
            .zip(&names)
            .map(|(row, services)| {
                let place = match services.as_slice() {
                    [one] => {
                        let behind = self.lineages.of(one).and_then(|l| l.behind(row, &of(one)));
                        behind.map_or(Place::Unknown, |n| if n == 0 { Place::Head } else { Place::Behind(n) })
                    }
                    [] => {
                        let asked = home.into_iter().chain(self.claimants(i)).any(|s| s.lineage.is_some());
                        let silent = home.is_some_and(|s| s.lineage.is_none());
                        if asked && !silent { Place::Unknown } else { Place::NoScripts }
                    }
                    _ => Place::Ambiguous,
                };
                let mut services = services.clone();
                if place == Place::NoScripts {
                    services.extend(home.map(|s| s.service.name.clone()));
                }
                Revision { revision: row.clone(), services, place }
            })
            .collect()
    }

    /// What the catalog says against a candidate for a row that several lineages know.
    fn evidence(&self, i: usize, table: &VersionTable, service: &str, row: &str) -> Evidence {
        let (Some(of), Some(lineage)) =
            (self.services.iter().find(|s| s.service.name == service), self.lineages.of(service))
        else {
            return Evidence::Open;
        };
        // it keeps its revision in its own place
        let elsewhere = of.home.filter(|h| *h != i).and_then(|h| self.tables.get(h)).and_then(|t| t.rows.known());
        if elsewhere.is_some_and(|rows| rows.iter().any(|r| lineage.contains(r))) {
            return Evidence::Against;
        }
        // the tables it must have at that revision
        let wanted = lineage.tables_at(row);
        if wanted.is_empty() {
            return Evidence::Open;
        }
        let mut schemas: BTreeSet<Oid> = [table.schema].into();
        schemas.extend(of.service.schemas.iter().filter_map(|s| self.catalog.schema_named(s)).map(|s| s.oid));
        let mut owners = Vec::new();
        for schema in &schemas {
            let Some(objects) = self.snapshot.objects.0.get(schema) else { return Evidence::Open };
            owners.extend(
                objects
                    .relations
                    .iter()
                    .filter(|o| is_table(o.kind) && wanted.contains(o.name.as_str()))
                    .map(|o| o.owner),
            );
        }
        let belongs = |owner: Oid, to: &Service| {
            let name = self.catalog.role_name(owner);
            to.role == name || to.owner == name || to.creators.contains(&name)
        };
        let of_others = owners.iter().all(|o| {
            !belongs(*o, of.service)
                && self.services.iter().any(|s| s.service.name != service && belongs(*o, s.service))
        });
        if of_others { Evidence::Against } else { Evidence::Open }
    }

    fn class(&self, i: usize, table: &VersionTable, rows: &[Revision]) -> (Class, Option<String>, String) {
        let home = self.home(i);
        let home_name = || home.map(|s| s.service.name.clone());
        let schema = self.matrix.index.schema(table.schema).and_then(|i| self.catalog.schemas.get(i));
        let schema = schema.map_or_else(|| self.catalog.schema_name(table.schema), |s| s.name.clone());
        if !table.plain {
            return (Class::Foreign, None, "It has the name of a version table but is not an ordinary table.".into());
        }
        if !table.shape {
            return (Class::Foreign, None, "It has other columns than Alembic's version_num: not Alembic's.".into());
        }
        let Some(known) = table.rows.known() else {
            return (Class::Unknown, home_name(), format!("Its rows are unknown: {}.", unread(&table.rows)));
        };
        if home.is_none() && self.claimants(i).next().is_none() && self.is_copy(i, table, &schema, known) {
            let reason = "A copy made by hand, going by its name: no application will look at it.";
            return (Class::Copy, copied(rows), reason.into());
        }
        if known.is_empty() {
            return self.class_of_empty(i, table, &schema);
        }
        let mut settled: Vec<&str> = rows.iter().filter_map(Revision::settled).collect();
        settled.sort_unstable();
        settled.dedup();
        let others = rows.iter().filter(|r| r.settled().is_none()).count();
        if settled.len() > 1 {
            let reason = format!("It holds revisions of {}.", and(&settled));
            return (Class::Shared, home_name(), reason);
        }
        if let (Some(home), [one]) = (home, settled.as_slice())
            && home.service.name != *one
            && others > 0
            && home.lineage.is_none()
        {
            let reason = format!(
                "It holds {} of {one}, and {} that can only be {}'s, whose place this is.",
                revisions(rows.len() - others),
                revisions(others),
                home.service.name
            );
            return (Class::Shared, home_name(), reason);
        }
        if rows.len() > 1
            && (others > 0 || settled.is_empty())
            && let Some(who) = self.sharers(i, table)
        {
            let names: Vec<&str> = who.iter().map(String::as_str).collect();
            let reason = format!(
                "It holds {} rows, and {} all keep their revision here: none of them has a version table of its own.",
                rows.len(),
                and(&names)
            );
            return (Class::Shared, home_name(), reason);
        }
        if let Some(row) = rows.iter().find(|r| r.place == Place::Ambiguous) {
            let names: Vec<&str> = row.services.iter().map(String::as_str).collect();
            let reason =
                format!("Revision {} is known to {}, and nothing decides whose it is.", row.revision, and(&names));
            return (Class::Ambiguous, home_name(), reason);
        }
        if let Some(row) = rows.iter().find(|r| r.place == Place::Unknown) {
            let service = home_name().or_else(|| self.claimants(i).next().map(|s| s.service.name.clone()));
            let reason = if self.lineages.holding(&row.revision).is_empty() {
                format!(
                    "No revision script knows {}: a newer release, a squashed history, or another application.",
                    row.revision
                )
            } else {
                format!("{} stands beside a revision that comes after it: it is another application's.", row.revision)
            };
            return (Class::Unknown, service, reason);
        }
        match settled.as_slice() {
            [one] => self.class_of_settled(i, &schema, one, known),
            _ => self.class_without_scripts(i, &schema),
        }
    }

    /// All rows belong to one service.
    fn class_of_settled(&self, i: usize, schema: &str, one: &str, rows: &[String]) -> (Class, Option<String>, String) {
        let service = Some(one.to_owned());
        let Some(of) = self.services.iter().find(|s| s.service.name == one) else {
            return (Class::Own, service, format!("Its revisions are {one}'s."));
        };
        if of.home == Some(i) {
            return (Class::Own, service, format!("{one}'s, where the policy puts it."));
        }
        let own = of.home.and_then(|h| self.tables.get(h)).and_then(|t| t.rows.known());
        let place = declared_place(of.service);
        if self.home(i).is_none() && own.is_some_and(|own| rows.iter().all(|r| own.contains(r))) {
            return (Class::Copy, service, format!("{one} has the same revision in its own place, {place}."));
        }
        let reason = match self.home(i) {
            Some(home) => format!(
                "The place of {}, but what it holds is {one}'s revision, which belongs in {place}.",
                home.service.name
            ),
            None => format!("{one}'s revision stands in {schema}, it belongs in {place}."),
        };
        (Class::Misplaced, service, reason)
    }

    /// There are rows, and no scripts that could tell whose they are.
    fn class_without_scripts(&self, i: usize, schema: &str) -> (Class, Option<String>, String) {
        if let Some(home) = self.home(i) {
            let name = &home.service.name;
            let reason =
                format!("Where the policy puts the version table of {name}; there are no scripts to compare with.");
            return (Class::Own, Some(name.clone()), reason);
        }
        if self.services.is_empty() {
            let rows = self.tables.get(i).and_then(|t| t.rows.known()).map_or(0, <[String]>::len);
            if rows > 1 {
                let reason = format!(
                    "It holds {rows} rows: heads of one application, or of several. Revision scripts would tell, and a \
                     policy names them."
                );
                return (Class::Unknown, None, reason);
            }
            return (Class::Own, None, "Nothing else uses it, as far as the catalog shows.".into());
        }
        let claimants: Vec<&str> = self.claimants(i).map(|s| s.service.name.as_str()).collect();
        match claimants.as_slice() {
            [] if !self.beside(i).is_empty() => {
                let beside = self.beside(i);
                let names: Vec<&str> = beside.iter().map(|s| s.service.name.as_str()).collect();
                let reason = format!(
                    "{} {} tables beside it and no revision elsewhere: this may be one of theirs, and there are no scripts \
                     to tell.",
                    and(&names),
                    if names.len() == 1 { "has" } else { "have" }
                );
                (Class::Ambiguous, None, reason)
            }
            [] => (
                Class::Foreign,
                None,
                "No declared service keeps its revision here: another application's, or a leftover.".into(),
            ),
            [one] => {
                let place = self.services.iter().find(|s| s.service.name == *one).map(|s| declared_place(s.service));
                let reason = format!("{one} resolves to it in {schema}; it belongs in {}.", place.unwrap_or_default());
                (Class::Misplaced, Some((*one).to_owned()), reason)
            }
            several => (
                Class::Ambiguous,
                None,
                format!("{} resolve to it, and there are no scripts to tell whose the revision is.", and(several)),
            ),
        }
    }

    fn class_of_empty(&self, i: usize, table: &VersionTable, schema: &str) -> (Class, Option<String>, String) {
        let claimants: Vec<&Of<'_>> = self.claimants(i).collect();
        let of = self.home(i).or(match claimants.as_slice() {
            [one] => Some(*one),
            _ => None,
        });
        let service = of.map(|s| s.service.name.clone());
        let used = match of {
            Some(of) => of.in_use,
            None => self.counts.in_schema(table.schema) > 0,
        };
        if used {
            let whose = service.as_deref().map_or_else(|| format!("schema {schema}"), str::to_owned);
            let reason = format!("It is empty although {whose} has tables: the revision is lost.");
            (Class::EmptyInUse, service, reason)
        } else {
            (Class::EmptyBase, service, "It is empty and so is its application: before the first migration.".into())
        }
    }

    /// A name that people give to copies, and rows that stand elsewhere too, or no primary key.
    fn is_copy(&self, i: usize, table: &VersionTable, schema: &str, rows: &[String]) -> bool {
        let declared = self.services.iter().any(|s| s.service.schemas.iter().any(|n| n == schema));
        let named = copy_name(&table.name) || (copy_name(schema) && !declared);
        let elsewhere = |row: &String| {
            !self.lineages.holding(row).is_empty()
                || self
                    .tables
                    .iter()
                    .enumerate()
                    .any(|(j, t)| j != i && t.rows.known().is_some_and(|r| r.contains(row)))
        };
        named && (!table.primary_key || (!rows.is_empty() && rows.iter().all(elsewhere)))
    }

    /// Services that do not look at this table and own tables in its schema without a revision of their own anywhere: a
    /// search path that was changed too early leaves it so. One that the policy gives no version table counts when it may
    /// write this one.
    fn beside(&self, i: usize) -> Vec<&Of<'a>> {
        let Some(table) = self.tables.get(i) else { return Vec::new() };
        let empty = |at: Option<usize>| {
            let rows = at.and_then(|at| self.tables.get(at)).map(|t| t.rows.known());
            rows.is_none_or(|rows| rows.is_some_and(<[String]>::is_empty))
        };
        let owns = |of: &&Of<'a>| {
            let role = of.role.and_then(|role| self.catalog.roles.get(role)).filter(|r| !r.superuser);
            role.is_some_and(|r| self.counts.owned_in(table.schema, r.oid) > 0)
        };
        let keeps = |of: &&Of<'a>| {
            of.service.version_table.is_some() || of.role.is_some_and(|role| self.writes(i, table, role))
        };
        let of = self.services.iter().filter(|s| s.claims != Some(i));
        of.filter(|s| empty(s.home) && empty(s.claims)).filter(owns).filter(keeps).collect()
    }

    /// The role may write this version table, and none of its own holds a revision.
    fn writes(&self, i: usize, table: &VersionTable, role: usize) -> bool {
        let Some(oid) = self.catalog.roles.get(role).map(|r| r.oid) else { return false };
        let rights = self.matrix.rights(self.catalog, Who::Role(role), ObjectKind::Table, table.owner, &table.acl);
        let own = self
            .tables
            .iter()
            .enumerate()
            .any(|(j, t)| j != i && t.owner == oid && !t.rows.known().is_some_and(<[String]>::is_empty));
        rights.contains_all(Privileges::of(&[Privilege::Insert, Privilege::Update])) && !own
    }

    /// Owners of the settled rows, and the service whose place it is; else what the evidence says.
    fn shared_by(&self, i: usize, table: &VersionTable, rows: &[Revision]) -> Vec<String> {
        let settled = rows.iter().filter_map(Revision::settled);
        let home = self.home(i).map(|s| s.service.name.as_str());
        let names: BTreeSet<&str> = settled.chain(home).collect();
        if names.len() > 1 {
            return names.into_iter().map(str::to_owned).collect();
        }
        self.sharers(i, table).unwrap_or_default()
    }

    /// Who keeps a revision in this table by the evidence of paths and tables alone, when they are several: services
    /// (or, without any declared, login roles that may write it) that own tables and have no version table with rows of
    /// their own.
    fn sharers(&self, i: usize, table: &VersionTable) -> Option<Vec<String>> {
        let who: Vec<String> = if self.services.is_empty() {
            let mut names: Vec<&str> = self.resolved_by.get(i)?.iter().map(String::as_str).collect();
            // whoever was cut off from it looks elsewhere
            let beside = self
                .counts
                .owners_in(table.schema)
                .filter_map(|oid| self.catalog.roles.get(self.matrix.index.role(oid)?));
            for role in beside.filter(|r| r.login && !r.superuser && !r.is_platform()) {
                if !names.contains(&role.name.as_str()) {
                    names.push(&role.name);
                }
            }
            let keeps = |name: &&str| {
                let Some(role) = self.matrix.index.role_named(name) else { return false };
                let oid = self.catalog.roles.get(role).map(|r| r.oid);
                oid.is_some_and(|oid| self.counts.of_owner(oid) > 0) && self.writes(i, table, role)
            };
            names.into_iter().filter(keeps).map(str::to_owned).collect()
        } else {
            self.claimants(i)
                .chain(self.beside(i))
                .filter(|s| {
                    let own = s.home.filter(|h| *h != i).and_then(|h| self.tables.get(h));
                    s.in_use && own.is_none_or(|t| t.rows.known().is_some_and(<[String]>::is_empty))
                })
                .map(|s| s.service.name.clone())
                .collect()
        };
        (who.len() > 1).then_some(who)
    }

    /// Where a service's tables are, version tables left out: those in its schemas, and those of its role and its owner, no
    /// superuser, anywhere. Others' tables on the path are not what its first revision meets.
    fn of_service(&self, of: &Of<'_>, role: usize) -> Tables {
        let people = [&of.service.role, &of.service.owner];
        let people: BTreeSet<Oid> = people
            .into_iter()
            .filter_map(|r| self.catalog.role_named(r))
            .filter(|r| !r.superuser)
            .map(|r| r.oid)
            .collect();
        let own = of.service.schemas.iter().filter_map(|s| self.catalog.schema_named(s)).map(|s| s.oid);
        let mut places: BTreeSet<Oid> = own.filter(|s| self.counts.in_schema(*s) > 0).collect();
        places.extend(people.iter().flat_map(|r| self.counts.schemas_of(*r)));
        let path = self.paths.of(self.catalog, self.matrix, role);
        let names = |schemas: &[Oid]| {
            let mut names: Vec<String> = schemas.iter().map(|s| self.catalog.schema_name(*s)).collect();
            names.sort_unstable();
            and(&names.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let seen: Vec<Oid> = path.listed().filter(|s| places.contains(s)).collect();
        match (path.current(), seen.first()) {
            _ if places.is_empty() => Tables::Nowhere,
            (Some(current), Some(first)) if current == *first => Tables::Here,
            (Some(current), Some(_)) => Tables::Behind(names(&[current]), names(&seen)),
            _ => Tables::Unseen(names(&places.into_iter().collect::<Vec<_>>())),
        }
    }

    /// This is the service's table, and its role is there and finds another one, or none.
    fn misses(&self, i: usize, of: &Of<'_>) -> bool {
        of.home == Some(i) && of.claims != Some(i) && of.role.is_some()
    }

    /// What the service whose table this is meets instead, where its role does not find it.
    fn missed(&self, i: usize, rows: &[Revision]) -> Option<String> {
        let of = self.home(i).filter(|of| self.misses(i, of) && !rows.is_empty())?;
        let path = self.paths.of(self.catalog, self.matrix, of.role?);
        let shown = path.written().collect::<Vec<_>>().join(", ");
        let own = path.skipped().find(|e| of.service.schemas.first() == Some(&e.name));
        let found = match of.claims.and_then(|at| self.tables.get(at)) {
            Some(other) => format!("{}.{}", self.catalog.schema_name(other.schema), other.name),
            None => "no version table".to_owned(),
        };
        let why = match own {
            Some(own) => format!(" ({} is skipped: the role may not use it)", own.name),
            None => String::new(),
        };
        Some(format!(
            "{}: finds {found} by the search path {}{why}, unless its env.py names this one (version_table_schema)",
            of.service.name,
            if shown.is_empty() { "nothing" } else { &shown },
        ))
    }

    /// What every service that takes this table for its own will do when it starts, and the one whose it is.
    fn next_start(&self, i: usize, table: &VersionTable, rows: &[Revision]) -> Vec<String> {
        let mut sentences = Vec::new();
        if !(table.plain && table.shape) {
            return sentences;
        }
        sentences.extend(self.missed(i, rows));
        for of in self.claimants(i) {
            let name = &of.service.name;
            let mut say = |what: String| sentences.push(format!("{name}: {what}"));
            let Some(role) = of.role else { continue };
            let rights = self.matrix.rights(self.catalog, Who::Role(role), ObjectKind::Table, table.owner, &table.acl);
            if !rights.contains(Privilege::Select) {
                say(format!("permission denied for table {}", table.name));
                continue;
            }
            if table.rows.known().is_none() {
                continue;
            }
            if rows.is_empty() {
                say(match self.of_service(of, role) {
                    Tables::Here => {
                        format!("takes the database for a new one and starts from its first revision: {}", exists(of))
                    }
                    Tables::Behind(current, place) => format!(
                        "takes the database for a new one and starts from its first revision: what that makes goes to \
                         {current}, before its tables in {place}"
                    ),
                    Tables::Unseen(place) => format!(
                        "takes the database for a new one and makes its tables a second time: those it has are in {place}, \
                         where it does not look"
                    ),
                    Tables::Nowhere => "starts from its first revision and creates its tables".to_owned(),
                });
                continue;
            }
            let strange = rows.iter().find(|r| match (of.lineage, r.settled()) {
                (Some(lineage), _) => !lineage.contains(&r.revision),
                (None, Some(owner)) => owner != name,
                (None, None) => false,
            });
            if let Some(row) = strange {
                say(format!("Can't locate revision identified by '{}'", row.revision));
                if name.contains("langflow") || of.lineage.is_some_and(|l| l.contains("e5a7c9b1d3f2")) {
                    // seen in 1.13.0: the answer to that error is DROP TABLE and a fresh start
                    say(if self.matrix.owns(Who::Role(role), table.owner) {
                        "newer releases then drop this table and migrate anew: every other revision in it is lost"
                            .to_owned()
                    } else {
                        format!("newer releases then try to drop it: must be owner of table {}", table.name)
                    });
                }
                continue;
            }
            let Some(lineage) = of.lineage else { continue };
            let ids: Vec<&str> = rows.iter().map(|r| r.revision.as_str()).collect();
            let overlap = ids.iter().find_map(|a| ids.iter().find(|b| lineage.related(a, b)).map(|b| (*a, *b)));
            if let Some((a, b)) = overlap {
                say(format!("Requested revision {a} overlaps with other requested revisions {b}"));
                continue;
            }
            let behind: u32 = ids.iter().filter_map(|r| lineage.behind(r, &ids)).max().unwrap_or(0);
            if behind == 0 {
                say("has nothing to migrate".to_owned());
            } else {
                say(format!("will run {} up to {}", revisions(behind as usize), lineage.heads().join(", ")));
            }
        }
        sentences
    }
}

/// The server's words when the first revision of a service meets its own tables.
fn exists(of: &Of<'_>) -> String {
    let first = of
        .lineage
        .and_then(|l| l.bases().into_iter().filter_map(|b| l.scripts.get(b)).find_map(|s| s.creates.first().cloned()));
    first.map_or_else(
        || "it will find that its tables already exist".to_owned(),
        |table| format!("relation \"{table}\" already exists"),
    )
}

/// `schema.table` where a service's version table belongs.
#[must_use]
pub fn declared_place(service: &Service) -> String {
    let schema = service.schemas.first().map(String::as_str).unwrap_or_default();
    format!("{schema}.{}", service.version_table.as_deref().unwrap_or("alembic_version"))
}

/// Why rows are unknown, in words.
#[must_use]
pub fn unread(rows: &VersionRows) -> String {
    match rows {
        VersionRows::Known(_) | VersionRows::Locked(Some(_)) => "they are known".to_owned(),
        VersionRows::Locked(None) => "a migration holds the table at the moment".to_owned(),
        VersionRows::Denied => "this login may not read the table".to_owned(),
        VersionRows::Refused(why) => why.clone(),
        VersionRows::Pending => "they have not been read yet".to_owned(),
    }
}

/// The one service whose rows a copy holds.
fn copied(rows: &[Revision]) -> Option<String> {
    let mut names = rows.iter().filter_map(Revision::settled);
    let first = names.next()?;
    names.all(|n| n == first).then(|| first.to_owned())
}

/// A word for copies (`alembic_version_bak`, `alembic_version_old`), or a date in the name.
pub(crate) fn copy_name(name: &str) -> bool {
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphabetic()).filter(|w| !w.is_empty());
    let mut digits = 0;
    let dated = lower.chars().filter(|c| *c != '_' && *c != '-').any(|c| {
        digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
        digits >= 6
    });
    dated
        || words.into_iter().any(|w| {
            matches!(
                w,
                "bak"
                    | "bck"
                    | "bkp"
                    | "backup"
                    | "backups"
                    | "old"
                    | "copy"
                    | "orig"
                    | "original"
                    | "save"
                    | "saved"
                    | "prev"
                    | "previous"
                    | "before"
                    | "archive"
                    | "archived"
                    | "tmp"
                    | "temp"
            )
        })
}

/// `a, b and c`.
pub(crate) fn and(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn revisions(n: usize) -> String {
    if n == 1 { "1 revision".to_owned() } else { format!("{n} revisions") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::alembic::tests::{lineage, lineages},
        policy::checks::fixture::Fixture,
    };

    const SERVICES: &str = "[[service]]\nname='engarde'\nschema='public'\nrole='engarde_user'\n\
                            [[service]]\nname='langflow'\nschema='langflow'\nrole='langflow_app'\n";

    /// engarde in public, langflow in its own schema; both have tables, and nobody's path is set.
    fn pathless() -> Fixture {
        let mut f = Fixture::new()
            .role("engarde_user")
            .role("langflow_app")
            .schema("langflow", "langflow_app")
            .table("public", "campaigns", "engarde_user")
            .table("langflow", "flow", "langflow_app")
            .policy(SERVICES);
        f.lineages = lineages([
            lineage("engarde", &["e1", "e2 < e1", "e3 < e1"]),
            lineage("langflow", &["l1", "l2 < l1", "l3 < l2"]),
        ]);
        f
    }
    fn path(f: Fixture, role: &str, value: &str) -> Fixture {
        f.setting(Some(role), true, "search_path", value)
    }
    fn fleet() -> Fixture {
        path(path(pathless(), "engarde_user", "public"), "langflow_app", "langflow")
    }
    /// Everything on the first version table, to a role.
    fn shared(mut f: Fixture, with: &str) -> Fixture {
        let name = format!("{}.{}", "public", f.versions[0].name);
        f = f.grant(&name, with, "SELECT, INSERT, UPDATE, DELETE");
        f.versions[0].acl = f.objects.iter().find(|(_, o)| o.oid == f.versions[0].oid).unwrap().1.acl.clone();
        f
    }
    fn all(f: &Fixture) -> Vec<VersionInfo> {
        f.clone().case().versions.0
    }
    fn classes(f: &Fixture) -> Vec<Class> {
        all(f).iter().map(|v| v.class).collect()
    }
    fn only(f: &Fixture) -> VersionInfo {
        let mut all = all(f);
        assert_eq!(all.len(), 1);
        all.remove(0)
    }
    const V: &str = "alembic_version";

    #[test]
    fn in_order_everything_is_own_and_says_so() {
        let f = fleet().version_table("public", V, "engarde_user", Some(&["e2", "e3"])).version_table(
            "langflow",
            V,
            "langflow_app",
            Some(&["l2"]),
        );
        let all = all(&f);
        assert_eq!(all.iter().map(|v| v.class).collect::<Vec<_>>(), vec![Class::Own, Class::Own]);
        assert_eq!(all[0].rows.iter().map(|r| &r.place).collect::<Vec<_>>(), vec![&Place::Head, &Place::Head]);
        assert_eq!(all[1].rows[0].place, Place::Behind(1));
        assert_eq!(all[0].next_start, vec!["engarde: has nothing to migrate"]);
        assert_eq!(all[1].next_start, vec!["langflow: will run 1 revision up to l3"]);
        assert_eq!(all[1].resolved_by, vec!["langflow_app"]);
    }

    #[test]
    fn a_table_in_its_place_that_its_service_does_not_find_is_said_to_be_missed() {
        let f = pathless().version_table("langflow", V, "langflow_app", Some(&["l2"]));
        let v = only(&f);
        assert_eq!((v.class, v.missed), (Class::Own, true));
        assert!(
            v.next_start[0].starts_with("langflow: finds no version table by the search path $user, public, unless")
        );
        let both = f.clone().version_table("public", V, "engarde_user", Some(&["e3"]));
        let told = &all(&both).into_iter().find(|v| v.service.as_deref() == Some("langflow")).unwrap().next_start[0];
        assert!(told.contains("finds public.alembic_version"), "{told}");
        let found = only(&path(f, "langflow_app", "langflow"));
        assert_eq!((found.missed, found.next_start.len()), (false, 1));
    }

    #[test]
    fn two_lineages_in_one_table_are_shared_and_both_will_refuse() {
        let f = path(pathless(), "langflow_app", "langflow, public");
        let f = shared(f.version_table("public", V, "engarde_user", Some(&["e2", "e3", "l1"])), "langflow_app");
        let v = only(&f);
        assert_eq!((v.class, v.service.as_deref()), (Class::Shared, Some("engarde")));
        assert_eq!(v.rows[2].settled(), Some("langflow"));
        assert_eq!(v.rows[2].place, Place::Behind(2));
        assert_eq!(v.claimed_by, vec!["engarde", "langflow"]);
        assert_eq!(
            v.next_start,
            vec![
                "engarde: Can't locate revision identified by 'l1'",
                "langflow: Can't locate revision identified by 'e2'",
                "langflow: newer releases then try to drop it: must be owner of table alembic_version",
            ]
        );
    }

    #[test]
    fn without_scripts_several_rows_and_several_users_are_evidence_of_sharing() {
        let f = path(pathless(), "langflow_app", "langflow, public");
        let mut f = shared(f.version_table("public", V, "engarde_user", Some(&["aa", "bb"])), "langflow_app");
        f.lineages = Lineages::default();
        assert_eq!(classes(&f), vec![Class::Shared]);
        // one row is not enough, nor a second user with rows of its own
        f.versions[0].rows = VersionRows::Known(vec!["aa".into()]);
        assert_eq!(classes(&f), vec![Class::Own]);
        f.versions[0].rows = VersionRows::Known(vec!["aa".into(), "bb".into()]);
        let f = f.version_table("langflow", V, "langflow_app", Some(&["cc"]));
        assert_eq!(classes(&f), vec![Class::Own, Class::Own], "two heads of one lineage are legitimate");
    }

    #[test]
    fn a_table_that_nobody_looks_at_any_more_is_not_another_applications() {
        const TWO: &str = "[[service]]\nname='orders'\nschema='orders'\nrole='orders_app'\n\
                           [[service]]\nname='billing'\nschema='billing'\nrole='billing_app'\n";
        let mut f = Fixture::new()
            .role("orders_app")
            .role("billing_app")
            .schema("orders", "orders_app")
            .schema("billing", "billing_app")
            .table("public", "orders", "orders_app")
            .table("public", "invoices", "billing_app")
            .version_table("public", V, "orders_app", Some(&["aa", "bb"]))
            .version_table("orders", V, "orders_app", Some(&[]))
            .policy(TWO);
        for (role, own) in [("orders_app", "orders"), ("billing_app", "billing")] {
            f = path(f, role, own);
        }
        assert_eq!(classes(&f), vec![Class::Shared, Class::EmptyInUse]);
        let case = f.clone().case();
        let found = case.only("version-table-shared");
        assert!(found.message.starts_with("orders and billing keep"), "{}", found.message);
        let empty = case.only("version-table-empty");
        assert!(empty.remedy.contains("among those of public.alembic_version (aa and bb)"), "{}", empty.remedy);
        let all: Vec<String> = all(&f).into_iter().flat_map(|v| v.next_start).collect();
        assert!(all.iter().any(|s| s.contains("makes its tables a second time")), "{all:?}");
        f.versions[0].rows = VersionRows::Known(vec!["aa".into()]);
        assert_eq!(classes(&f)[0], Class::Ambiguous);
    }

    #[test]
    fn who_was_cut_off_keeps_its_revision_where_it_was_whatever_is_declared() {
        const TWO: &str = "[[service]]\nname='orders'\nschema='public'\nrole='orders_app'\n\
                           [[service]]\nname='billing'\nschema='billing'\nrole='billing_app'\nversion_table=false\n";
        let f = Fixture::new()
            .role("orders_app")
            .role("billing_app")
            .schema("billing", "billing_app")
            .table("public", "orders", "orders_app")
            .table("public", "invoices", "billing_app")
            .version_table("public", V, "orders_app", Some(&["aa", "bb"]))
            .policy(TWO);
        let f = path(path(f, "orders_app", "public"), "billing_app", "billing");
        assert_eq!(classes(&f), vec![Class::Own], "two heads of one: billing could not write it");
        let f = shared(f, "billing_app");
        assert_eq!(classes(&f), vec![Class::Shared]);
        assert_eq!(only(&f).shared_by, vec!["orders", "billing"]);
        // without a policy likewise
        let mut bare = f.clone();
        bare.policy = None;
        assert_eq!(only(&bare).shared_by, vec!["orders_app", "billing_app"]);
        // with tables of its own schema alone it has nothing to do with it, nor with a revision of its own
        let mut moved = f.clone().table("billing", "bills", "billing_app");
        moved.objects.retain(|(_, o)| o.name != "invoices");
        assert_eq!(classes(&moved), vec![Class::Own]);
        let own = f.version_table("billing", "versions", "billing_app", Some(&["cc"]));
        assert_eq!(classes(&own)[0], Class::Own);
    }

    #[test]
    fn an_empty_version_table_says_what_its_service_will_meet() {
        let said = |f: &Fixture| only(f).next_start.remove(0);
        let f = Fixture::new()
            .role("app")
            .role("other")
            .schema("shop", "app")
            .version_table("shop", V, "app", Some(&[]))
            .policy("[[service]]\nname='shop'\nschema='shop'\nrole='app'\n");
        let f = path(f, "app", "shop, public");
        assert!(said(&f).ends_with("starts from its first revision and creates its tables"), "{}", said(&f));
        let here = f.clone().table("shop", "orders", "app").table("public", "orders", "app");
        assert!(said(&here).ends_with("it will find that its tables already exist"), "{}", said(&here));
        let behind = f.clone().table("public", "orders", "app");
        assert!(said(&behind).ends_with("goes to shop, before its tables in public"), "{}", said(&behind));
        // a neighbour's tables on the path, and the server's own, are not what it has
        let unseen =
            path(f, "app", "shop").table("public", "orders", "app").table("pg_catalog", "pg_class", "postgres");
        assert!(said(&unseen).contains("makes its tables a second time: those it has are in public, where"));
        let beside = path(unseen.schema("lent", "app"), "app", "lent, shop").table("lent", "others", "other");
        assert!(said(&beside).contains("makes its tables a second time"), "{}", said(&beside));
    }

    #[test]
    fn without_a_policy_the_catalog_alone_is_asked() {
        let mut f = pathless().version_table("public", V, "engarde_user", Some(&["aa", "bb"]));
        f.policy = None;
        f.lineages = Lineages::default();
        assert_eq!(classes(&f), vec![Class::Unknown], "two heads, or two applications: nobody knows");
        let mut one = f.clone();
        one.versions[0].rows = VersionRows::Known(vec!["aa".into()]);
        assert_eq!(classes(&one), vec![Class::Own]);
        f = shared(f, "langflow_app");
        assert_eq!(classes(&f), vec![Class::Shared]);
        assert_eq!(only(&f).shared_by, vec!["engarde_user", "langflow_app"]);
        let own = f.clone().version_table("langflow", V, "langflow_app", Some(&["cc"]));
        assert_eq!(classes(&own)[0], Class::Unknown, "who keeps a revision of its own shares nobody's");
        f.versions[0].rows = VersionRows::Known(vec![]);
        assert_eq!(classes(&f), vec![Class::EmptyInUse]);
    }

    #[test]
    fn a_revision_in_the_wrong_place_is_misplaced() {
        let v = only(&fleet().version_table("public", V, "engarde_user", Some(&["l3"])));
        assert_eq!((v.class, v.service.as_deref()), (Class::Misplaced, Some("langflow")));
        assert_eq!(v.next_start, vec!["engarde: Can't locate revision identified by 'l3'"]);
        // no declared place, one service resolves to it, no scripts
        let mut f = path(pathless().schema("old", "langflow_app"), "langflow_app", "old");
        f.lineages = Lineages::default();
        let v = only(&f.version_table("old", V, "langflow_app", Some(&["aa"])));
        assert_eq!((v.class, v.service.as_deref()), (Class::Misplaced, Some("langflow")));
        // under another name
        let v = only(&fleet().version_table("public", "alembic_version_langflow", "langflow_app", Some(&["l3"])));
        assert_eq!((v.class, v.service.as_deref()), (Class::Misplaced, Some("langflow")));
    }

    #[test]
    fn copies_are_listed_as_copies() {
        let mut f = fleet()
            .version_table("public", V, "engarde_user", Some(&["e2", "e3"]))
            .version_table("public", "alembic_version_bak", "engarde_user", Some(&["e1"]))
            .version_table("public", "alembic_version_20261102", "engarde_user", Some(&["zz"]))
            .schema("attic", "engarde_user")
            .version_table("attic", V, "engarde_user", Some(&["e2"]));
        f.versions[2].primary_key = false;
        assert_eq!(classes(&f), vec![Class::Own, Class::Copy, Class::Copy, Class::Copy]);
        assert!(!copy_name("alembic_version_auth") && !copy_name("golden_version") && copy_name("Alembic_Version_OLD"));
        assert!(copy_name("v_2026_11_02") && !copy_name("alembic_version_2"));
    }

    #[test]
    fn empty_is_lost_or_new_by_what_stands_beside() {
        let mut f = fleet().version_table("langflow", V, "langflow_app", Some(&[]));
        let script = f.lineages.0.get_mut("langflow").unwrap().scripts.get_mut("l1").unwrap();
        script.creates = vec!["flow".into()];
        let v = only(&f);
        assert_eq!((v.class, v.service.as_deref()), (Class::EmptyInUse, Some("langflow")));
        assert!(v.next_start[0].ends_with("relation \"flow\" already exists"), "{:?}", v.next_start);
        f.objects.retain(|(_, o)| o.name != "flow");
        assert_eq!(only(&f).class, Class::EmptyBase);
        // its tables stand somewhere else, but they are its own
        assert_eq!(only(&f.table("public", "vertex", "langflow_app")).class, Class::EmptyInUse);
    }

    #[test]
    fn an_id_of_two_projects_is_settled_by_tables_or_left_open() {
        let mut f = fleet().version_table("public", V, "engarde_user", Some(&["aa"]));
        f.lineages = lineages([lineage("engarde", &["aa"]), lineage("langflow", &["aa", "l2 < aa"])]);
        for (service, table) in [("engarde", "campaigns"), ("langflow", "vertex")] {
            let script = f.lineages.0.get_mut(service).unwrap().scripts.get_mut("aa").unwrap();
            script.creates = vec![table.into()];
        }
        let blind = only(&f.clone().without_names());
        assert_eq!(blind.class, Class::Ambiguous, "names of tables are not known");
        assert_eq!(blind.rows[0].place, Place::Ambiguous);
        assert_eq!((only(&f).class, only(&f).service.as_deref()), (Class::Own, Some("engarde")));
        let f = f.table("langflow", "vertex", "langflow_app");
        assert_eq!(only(&f).class, Class::Ambiguous, "both have their tables");
        let f = f.version_table("langflow", V, "langflow_app", Some(&["l2"]));
        assert_eq!(classes(&f), vec![Class::Own, Class::Own], "langflow keeps its revision in its own place");
    }

    #[test]
    fn what_is_not_alembics_or_not_readable_is_said() {
        let mut f = fleet().version_table("public", V, "engarde_user", Some(&["e2"]));
        f.versions[0].plain = false;
        assert_eq!(only(&f).class, Class::Foreign);
        assert!(only(&f).rows.is_empty() && only(&f).next_start.is_empty());
        f.versions[0].plain = true;
        f.versions[0].rows = VersionRows::Denied;
        let v = only(&f);
        assert_eq!((v.class, v.service.as_deref()), (Class::Unknown, Some("engarde")));
        assert!(v.reason.contains("may not read"), "{}", v.reason);
        f.versions[0].rows = VersionRows::Known(vec!["zz".into()]);
        assert_eq!((only(&f).class, &only(&f).rows[0].place), (Class::Unknown, &Place::Unknown));
        let f = f.schema("other", "postgres").version_table("other", V, "postgres", Some(&["yy"]));
        assert_eq!(classes(&f)[1], Class::Foreign);
    }
}
