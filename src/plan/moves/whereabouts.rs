//! Which version table each login role will find by its search path, before a plan and after it.

use std::collections::BTreeSet;

use crate::domain::{
    ObjectKind, Privilege,
    effective::{Matrix, Who},
    search_path::Paths,
    snapshot::{Role, Snapshot},
};

/// One role and one name of a version table, unqualified, as an application asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whereabouts {
    pub role: String,
    /// `alembic_version`.
    pub table: String,
    /// The schema it resolves to; `None`: nowhere.
    pub before: Option<String>,
    pub after: Option<String>,
    /// Where it should; `None` where nobody declares it.
    pub wanted: Option<String>,
}

impl Whereabouts {
    /// It finds what it should, or what it found before.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.after == *self.wanted.as_ref().map_or(&self.before, |_| &self.wanted)
    }

    /// What is so once it was done, in a sentence.
    #[must_use]
    pub fn now(&self) -> String {
        let Whereabouts { role, table, .. } = self;
        let place = |schema: &Option<String>| match schema {
            Some(schema) => format!("{schema}.{table}"),
            None => format!("no {table}"),
        };
        match (&self.wanted, self.holds()) {
            (_, true) if self.before == self.after => {
                format!("{role} finds {} by its search path, as before.", place(&self.after))
            }
            (_, true) => {
                format!("{role} finds {} by its search path; it was {}.", place(&self.after), place(&self.before))
            }
            (Some(wanted), false) => format!(
                "{role} finds {} by its search path, not {wanted}.{table}: its next upgrade would begin from there.",
                place(&self.after)
            ),
            (None, false) => format!(
                "{role} finds {} now and found {} before: if it kept its revision there, its next upgrade begins from \
                 nothing.",
                place(&self.after),
                place(&self.before)
            ),
        }
    }

    /// What will happen, in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Whereabouts { role, table, .. } = self;
        let place = |schema: &Option<String>| match schema {
            Some(schema) => format!("{schema}.{table}"),
            None => "none".to_owned(),
        };
        match (&self.wanted, self.holds()) {
            (_, true) if self.before == self.after => format!("{role} finds {} as before.", place(&self.after)),
            (_, true) => format!("{role} will find {}, and found {} before.", place(&self.after), place(&self.before)),
            (Some(wanted), false) => format!(
                "{role} will find {} by its search path, not {wanted}.{table}: its next upgrade would begin from there.",
                place(&self.after)
            ),
            (None, false) => format!(
                "{role} found {} and will find {}: if it keeps its revision there, its next upgrade begins from nothing.",
                place(&self.before),
                place(&self.after)
            ),
        }
    }
}

/// Every role that finds one of these tables before or after and may read it, and every role of `wanted` (role, table,
/// schema).
pub(super) fn whereabouts(
    before: &Snapshot,
    after: &Snapshot,
    tables: &BTreeSet<String>,
    wanted: &[(String, String, String)],
) -> Vec<Whereabouts> {
    let judged = |role: &&Role| role.login && !role.superuser && !role.is_platform();
    let (was, will) = (Finder::new(before), Finder::new(after));
    let mut list = Vec::new();
    for role in after.catalog.roles.iter().filter(judged) {
        for table in tables {
            let (found, finds) = (was.find(&role.name, table), will.find(&role.name, table));
            let reads = [&found, &finds].into_iter().flatten().any(|(_, reads)| *reads);
            let (before, after) = (found.map(|(schema, _)| schema), finds.map(|(schema, _)| schema));
            let wanted = wanted.iter().find(|(r, t, _)| *r == role.name && t == table).map(|(.., s)| s.clone());
            if reads || wanted.is_some() {
                list.push(Whereabouts { role: role.name.clone(), table: table.clone(), before, after, wanted });
            }
        }
    }
    list
}

struct Finder<'a> {
    snapshot: &'a Snapshot,
    matrix: Matrix,
}

impl<'a> Finder<'a> {
    fn new(snapshot: &'a Snapshot) -> Finder<'a> {
        Finder { snapshot, matrix: Matrix::new(&snapshot.catalog, &snapshot.server) }
    }

    /// The schema of the first such table on the role's path, and whether the role may read it.
    fn find(&self, role: &str, table: &str) -> Option<(String, bool)> {
        let catalog = &self.snapshot.catalog;
        let position = self.matrix.index.role_named(role)?;
        let path = Paths::new(catalog, &self.snapshot.server).of(catalog, &self.matrix, position);
        let of = |schema| self.snapshot.versions.0.iter().find(|v| v.schema == schema && v.name == table);
        let (schema, found) = path.resolve(of)?;
        let objects = self.snapshot.objects.0.get(&schema);
        let object = objects.and_then(|list| list.relations.iter().find(|o| o.oid == found.oid));
        let (owner, acl) = object.map_or((found.owner, &found.acl), |o| (o.owner, &o.acl));
        let rights = self.matrix.rights(catalog, Who::Role(position), ObjectKind::Table, owner, acl);
        Some((catalog.schema_name(schema), rights.contains(Privilege::Select)))
    }
}
