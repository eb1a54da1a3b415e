//! How many tables stand where, and whose they are: asked for every service and every version table.

use std::collections::HashMap;

use crate::{
    domain::{
        Oid,
        snapshot::{Catalog, Kind, Snapshot},
    },
    policy::Service,
};

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

pub(super) fn is_table(kind: Kind) -> bool {
    matches!(kind, Kind::Table | Kind::Partitioned)
}
