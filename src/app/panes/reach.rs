//! Which roles have rights in which schemas, both ways round, computed once per catalog. Superusers, roles of the server
//! and of its platform are left out: they reach everything and nobody asks.

use std::sync::{Arc, Weak};

use crate::{
    domain::{
        closure::{get, set},
        effective::Matrix,
    },
    policy::judgement::Judgement,
};

/// See the module. Positions are those of the catalog.
#[derive(Debug, Default)]
pub struct Reach {
    /// The matrix it was computed from; while it is the same, so is the catalog.
    of: Weak<Matrix>,
    by_role: Vec<Vec<u32>>,
    by_schema: Vec<u32>,
}

impl Reach {
    /// Computes anew only when the catalog moved.
    pub fn refresh(&mut self, j: &Judgement) {
        let now = Arc::downgrade(&j.matrix);
        if self.of.ptr_eq(&now) {
            return;
        }
        let catalog = &j.snapshot.catalog;
        let mut people = vec![0; catalog.roles.len().div_ceil(64)];
        for (i, role) in catalog.roles.iter().enumerate() {
            if !role.superuser && !role.is_platform() {
                set(&mut people, i);
            }
        }
        let mut by_role = vec![Vec::new(); catalog.roles.len()];
        let mut by_schema = vec![0; catalog.schemas.len()];
        for (at, schema) in catalog.schemas.iter().enumerate().filter(|(_, s)| !s.is_system()) {
            let owner = j.matrix.index.role(schema.owner);
            let touched = j.matrix.touched(catalog, at);
            for role in touched.into_iter().filter(|r| get(&people, *r)) {
                if let Some(list) = by_role.get_mut(role) {
                    // own schemas first
                    if owner == Some(role) { list.insert(0, at as u32) } else { list.push(at as u32) }
                }
                if let Some(count) = by_schema.get_mut(at) {
                    *count += 1;
                }
            }
        }
        *self = Reach { of: now, by_role, by_schema };
    }

    /// Schemas in which a role has rights that are not PUBLIC's, its own first.
    #[must_use]
    pub fn schemas(&self, role: usize) -> &[u32] {
        self.by_role.get(role).map(Vec::as_slice).unwrap_or_default()
    }

    /// How many people's roles have rights in a schema that are not PUBLIC's.
    #[must_use]
    pub fn roles(&self, schema: usize) -> u32 {
        self.by_schema.get(schema).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::panes::sample::Sample,
        domain::{Acl, Privilege},
    };

    #[test]
    fn members_count_and_superusers_do_not() {
        let mut sample = Sample::new();
        let (owner, team, reader) = (sample.role("owner"), sample.role("team"), sample.role("reader"));
        sample.member(team, reader);
        sample.schema("a", team, Acl::NULL);
        sample.schema("s", owner, Sample::acl(&[(owner, &[Privilege::Usage]), (team, &[Privilege::Usage])]));
        let j = sample.judgement();
        let mut reach = Reach::default();
        reach.refresh(&j);
        let at = |oid| j.matrix.index.role(oid).unwrap();
        assert_eq!(reach.roles(j.matrix.index.schema_named("s").unwrap()), 3);
        assert_eq!(reach.schemas(at(reader)).len(), 2);
        assert_eq!(reach.schemas(at(team))[0] as usize, j.matrix.index.schema_named("a").unwrap());
        assert!(reach.schemas(j.matrix.index.role_named("postgres").unwrap()).is_empty());
    }
}
