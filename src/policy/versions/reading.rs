//! What each version table is: its class with the reason, its rows with their owners, and who shares it.

use std::collections::{BTreeSet, HashMap};

use super::{
    Class, Place, Revision, TableCounts, VersionInfo, Versions, and, copy_name, counts::is_table, declared_place,
    revisions, unread,
};
use crate::{
    domain::{
        Oid,
        alembic::{Evidence, Lineage, Lineages, owners},
        effective::{Matrix, Who},
        privilege::{ObjectKind, Privilege, Privileges},
        search_path::Paths,
        snapshot::{Catalog, Snapshot, VersionTable},
    },
    policy::Service,
};

/// A declared service with what the catalog says of it.
pub(super) struct Of<'a> {
    pub(super) service: &'a Service,
    /// Position in [`Catalog::roles`].
    pub(super) role: Option<usize>,
    pub(super) lineage: Option<&'a Lineage>,
    /// Position of the version table in its declared place.
    pub(super) home: Option<usize>,
    /// Position of the version table that its role's path resolves to.
    pub(super) claims: Option<usize>,
    pub(super) in_use: bool,
}

impl Of<'_> {
    /// The table at that position is the service's, and its role is there and finds another one, or none.
    pub(super) fn misses(&self, table: usize) -> bool {
        self.home == Some(table) && self.claims != Some(table) && self.role.is_some()
    }
}

pub(super) struct Reading<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) catalog: &'a Catalog,
    pub(super) paths: Paths<'a>,
    pub(super) tables: &'a [VersionTable],
    pub(super) lineages: &'a Lineages,
    pub(super) matrix: &'a Matrix,
    pub(super) services: Vec<Of<'a>>,
    /// Positions in `services`, by table.
    pub(super) homes: HashMap<usize, usize>,
    pub(super) claimants: HashMap<usize, Vec<usize>>,
    pub(super) counts: TableCounts,
    /// By table: names of login roles, service roles first.
    pub(super) resolved_by: Vec<Vec<String>>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        services: &'a [Service],
        lineages: &'a Lineages,
        matrix: &'a Matrix,
    ) -> Reading<'a> {
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

    pub(super) fn versions(&self) -> Versions {
        Versions(self.tables.iter().enumerate().map(|(i, table)| self.info(i, table)).collect())
    }

    pub(super) fn home(&self, table: usize) -> Option<&Of<'a>> {
        self.homes.get(&table).and_then(|i| self.services.get(*i))
    }

    pub(super) fn claimants(&self, table: usize) -> impl Iterator<Item = &Of<'a>> {
        self.claimants.get(&table).into_iter().flatten().filter_map(|i| self.services.get(*i))
    }

    fn info(&self, i: usize, table: &VersionTable) -> VersionInfo {
        let home = self.home(i);
        let rows = self.revisions(i, table);
        let (class, service, reason) = self.class(i, table, &rows);
        let shared_by = if class == Class::Shared { self.shared_by(i, table, &rows) } else { Vec::new() };
        let missed = home.is_some_and(|of| of.misses(i) && of.service.search_path.is_none());
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
}

/// The one service whose rows a copy holds.
fn copied(rows: &[Revision]) -> Option<String> {
    let mut names = rows.iter().filter_map(Revision::settled);
    let first = names.next()?;
    names.all(|n| n == first).then(|| first.to_owned())
}
