//! What each application will say at its next start, by what its search path leads it to.

use std::collections::BTreeSet;

use super::{
    Revision, and,
    reading::{Of, Reading},
    revisions,
};
use crate::domain::{
    Oid,
    effective::Who,
    privilege::{ObjectKind, Privilege},
    snapshot::VersionTable,
};

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

impl Reading<'_> {
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

    /// What the service whose table this is meets instead, where its role does not find it.
    fn missed(&self, i: usize, rows: &[Revision]) -> Option<String> {
        let of = self.home(i).filter(|of| of.misses(i) && !rows.is_empty())?;
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
    pub(super) fn next_start(&self, i: usize, table: &VersionTable, rows: &[Revision]) -> Vec<String> {
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
