//! What memberships give only after SET ROLE: the roles that a member may become without having their rights already, and
//! what these may do that the policy does not allow the member. No check of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    Context,
    declared::count,
    entries,
    membership::{reach, rights, words},
};
use crate::{
    domain::{ObjectKind, Privilege, closure::Closure, effective::Who, snapshot::Membership},
    policy::{
        desired::{Desired, Rights},
        versions::and,
    },
    text,
};

/// How many schemas a sentence names.
pub const NAMED: usize = 6;

/// What somebody has too much, by schema.
#[derive(Debug, Clone, Default)]
pub struct Gain {
    /// Names of the roles that it comes from.
    pub roles: Vec<String>,
    /// The first schemas: position, and what is too much there.
    pub schemas: Vec<(usize, Rights)>,
    /// In how many others.
    pub more: usize,
}

impl Gain {
    pub fn is_empty(&self) -> bool {
        self.schemas.is_empty()
    }

    /// `shop, stock and 2 other schemas`
    pub fn places(&self, ctx: &Context<'_>) -> String {
        let others = count(self.more, "other schema");
        let mut names: Vec<&str> = self.schemas.iter().map(|(schema, _)| name(ctx, *schema)).collect();
        names.extend((self.more > 0).then_some(others.as_str()));
        and(&names)
    }

    /// `in shop USAGE on the schema, SELECT on tables; and in 2 other schemas`
    pub fn details(&self, ctx: &Context<'_>) -> String {
        let each = self.schemas.iter().map(|(schema, rights)| format!("in {} {}", name(ctx, *schema), words(*rights)));
        let others = (self.more > 0).then(|| format!("and in {}", count(self.more, "other schema")));
        each.chain(others).collect::<Vec<_>>().join("; ")
    }

    /// `SET ROLE to a and b`
    pub fn way(&self) -> String {
        format!("SET ROLE to {}", text::list(&self.roles, 3))
    }
}

fn name<'a>(ctx: &Context<'a>, schema: usize) -> &'a str {
    ctx.catalog.schemas.get(schema).map_or("", |s| s.name.as_str())
}

/// Whether any membership can be used by SET ROLE only: where none can, nobody becomes what it does not inherit.
pub fn any(ctx: &Context<'_>) -> bool {
    ctx.catalog.memberships.iter().any(|m| m.set && !m.inherit)
}

/// The roles that a membership lets `member` become and whose rights it has not without. Those above grants (superusers,
/// predefined and platform roles) are not among them.
pub fn becomes(closure: &Closure, desired: &Desired, member: usize, membership: &Membership) -> Vec<usize> {
    let Some(group) = closure.position(membership.role).filter(|_| membership.set) else { return Vec::new() };
    let fresh = |role: &usize| *role != member && desired.compares(*role) && !closure.inherits(member, *role);
    std::iter::once(group).chain(closure.settable(group)).filter(fresh).collect()
}

/// Schemas by role as [`reach`] knows them.
pub fn reached(ctx: &Context<'_>, roles: impl IntoIterator<Item = usize>) -> HashMap<usize, Vec<usize>> {
    let roles: BTreeSet<usize> = roles.into_iter().collect();
    if roles.is_empty() { HashMap::new() } else { reach(ctx, &roles) }
}

/// What `member` has too much once it became one of `roles`, in the schemas that the policy names.
pub fn gain(
    ctx: &Context<'_>,
    desired: &Desired,
    member: usize,
    roles: &[usize],
    reach: &HashMap<usize, Vec<usize>>,
) -> Gain {
    let mut by_schema: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for role in roles {
        for schema in reach.get(role).into_iter().flatten() {
            by_schema.entry(*schema).or_default().push(*role);
        }
    }
    let mut gain = Gain::default();
    let mut from = BTreeSet::new();
    for (schema, holders) in by_schema {
        // what is nowhere allowed is all too much: counted, not compared, once enough is shown
        if gain.schemas.len() == NAMED && desired.want(member, schema).is_none() && !usual(ctx, schema) {
            gain.more += 1;
            from.extend(holders);
            continue;
        }
        let mut all = Rights::NONE;
        for holder in holders {
            let too_much = ctx.judge.beyond(holder, member, schema).into_iter();
            let mut held = too_much.fold(Rights::NONE, |all, d| all.union(rights(d.kind, d.privilege.into())));
            if usual(ctx, schema) {
                held.schema = held.schema.minus(Privilege::Usage.into());
            }
            if !held.is_empty() {
                from.insert(holder);
                all = all.union(held);
            }
        }
        if all.is_empty() {
            continue;
        }
        if gain.schemas.len() < NAMED {
            gain.schemas.push((schema, all));
        } else {
            gain.more += 1;
        }
    }
    gain.roles = from.into_iter().map(|role| entries::role_name(ctx, role)).collect();
    gain
}

/// The schema `public`, to which PostgreSQL gives everybody USAGE: that is no gain.
fn usual(ctx: &Context<'_>, schema: usize) -> bool {
    ctx.catalog.schemas.get(schema).is_some_and(|s| {
        let rights = || ctx.matrix.rights(ctx.catalog, Who::Public, ObjectKind::Schema, s.owner, &s.acl);
        s.name == "public" && rights().contains(Privilege::Usage)
    })
}
