//! Which roles have rights in which schemas, both ways round, computed once per catalog. Superusers, roles of the server
//! and of its platform are left out: they reach everything and nobody asks.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use crate::{
    domain::{
        closure::{Bits, get, ones, set},
        effective::Matrix,
    },
    policy::judgement::Judgement,
};

/// The schemas of each role. Positions are those of the catalog.
#[derive(Debug, Default)]
pub struct Reach {
    /// The matrix it was computed from; while it is the same, so is the catalog.
    of: Weak<Matrix>,
    /// For each role the bits of the schemas.
    schemas: Bits,
    /// Those among them that the role owns.
    own: HashMap<usize, Vec<usize>>,
}

impl Reach {
    /// Computes anew only when the catalog moved.
    pub fn refresh(&mut self, j: &Judgement) {
        let now = Arc::downgrade(&j.matrix);
        if self.of.ptr_eq(&now) {
            return;
        }
        let catalog = &j.snapshot.catalog;
        let mut schemas = Bits::new(catalog.roles.len(), catalog.schemas.len());
        let mut own: HashMap<usize, Vec<usize>> = HashMap::new();
        each(j, |schema, roles| {
            for role in ones(roles) {
                schemas.set(role, schema);
            }
            let owner = catalog.schemas.get(schema).and_then(|s| j.matrix.index.role(s.owner));
            if let Some(owner) = owner.filter(|owner| get(roles, *owner)) {
                own.entry(owner).or_default().insert(0, schema);
            }
        });
        *self = Reach { of: now, schemas, own };
    }

    /// In how many schemas a role has rights that are not PUBLIC's.
    #[must_use]
    pub fn count(&self, role: usize) -> usize {
        self.schemas.row(role).iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Schemas in which a role has rights that are not PUBLIC's, its own first.
    pub fn schemas(&self, role: usize) -> impl Iterator<Item = usize> {
        let own = self.own.get(&role).map(Vec::as_slice).unwrap_or_default();
        own.iter().copied().chain(ones(self.schemas.row(role)).filter(|schema| !own.contains(schema)))
    }
}

/// The other way round: how many roles have rights in each schema.
#[derive(Debug, Default)]
pub struct Reached {
    of: Weak<Matrix>,
    by_schema: Vec<u32>,
}

impl Reached {
    /// Computes anew only when the catalog moved.
    pub fn refresh(&mut self, j: &Judgement) {
        let now = Arc::downgrade(&j.matrix);
        if self.of.ptr_eq(&now) {
            return;
        }
        let mut by_schema = vec![0; j.snapshot.catalog.schemas.len()];
        each(j, |schema, roles| {
            if let Some(count) = by_schema.get_mut(schema) {
                *count = roles.iter().map(|word| word.count_ones()).sum();
            }
        });
        *self = Reached { of: now, by_schema };
    }

    /// How many people's roles have rights in a schema that are not PUBLIC's.
    #[must_use]
    pub fn roles(&self, schema: usize) -> u32 {
        self.by_schema.get(schema).copied().unwrap_or(0)
    }
}

/// Every schema of people's, with the bits of people's roles that have rights there.
fn each(j: &Judgement, mut take: impl FnMut(usize, &[u64])) {
    let catalog = &j.snapshot.catalog;
    let mut people = vec![0; catalog.roles.len().div_ceil(64)];
    for (i, role) in catalog.roles.iter().enumerate() {
        if !role.superuser && !role.is_platform() {
            set(&mut people, i);
        }
    }
    let mut roles = Vec::new();
    for (schema, _) in catalog.schemas.iter().enumerate().filter(|(_, s)| !s.is_system()) {
        j.matrix.touched_bits(catalog, schema, &mut roles);
        roles.iter_mut().zip(&people).for_each(|(word, people)| *word &= people);
        take(schema, &roles);
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
        let mut reached = Reached::default();
        reached.refresh(&j);
        let at = |oid| j.matrix.index.role(oid).unwrap();
        let schema = |name| j.matrix.index.schema_named(name).unwrap();
        assert_eq!(reached.roles(schema("s")), 3);
        assert_eq!((reach.count(at(reader)), reach.schemas(at(reader)).count()), (2, 2));
        assert_eq!(reach.schemas(at(team)).collect::<Vec<_>>(), [schema("a"), schema("s")]);
        assert_eq!(reach.schemas(at(owner)).collect::<Vec<_>>(), [schema("s")]);
        assert_eq!(reach.count(j.matrix.index.role_named("postgres").unwrap()), 0);
    }
}
