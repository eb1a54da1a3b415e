//! What the checks of grants and ownership share: walking the access control lists of a schema, naming objects, and what
//! it takes to revoke. No check of its own.

use std::collections::BTreeSet;

use super::Context;
use crate::{
    domain::{
        Acl, ObjectKind, Oid, Privilege, Privileges,
        change::{Change, Grantee, On},
        effective::Who,
        snapshot::{Object, Schema},
    },
    policy::{
        Exception, Finding,
        desired::{Desired, KINDS, Rights, Want},
        finding::{FEW_NAMES, MAX_OBJECTS},
        judge::covers,
    },
};

/// An access control list in a schema: the schema's own, or one that `count` objects share. Extensions are left out.
pub struct Listed<'a> {
    pub kind: ObjectKind,
    pub owner: Oid,
    pub acl: &'a Acl,
    pub count: u32,
}

/// A policy with what it wants of this catalog; checks that need one start with it.
pub fn desired<'a>(context: &Context<'a>) -> Option<&'a Desired> {
    context.judge.desired().map(AsRef::as_ref)
}

/// Positions of the schemas that are compared and that the policy names.
pub fn named_schemas(desired: &Desired) -> impl Iterator<Item = usize> + '_ {
    desired.schemas.iter().enumerate().filter(|(_, s)| s.judged && s.named).map(|(i, _)| i)
}

/// The schema at a position.
pub fn schema<'a>(context: &Context<'a>, position: usize) -> Option<&'a Schema> {
    context.catalog.schemas.get(position)
}

/// The lists of one schema, its own first.
pub fn lists<'a>(context: &Context<'a>, position: usize) -> impl Iterator<Item = Listed<'a>> {
    let own =
        schema(context, position).map(|s| Listed { kind: ObjectKind::Schema, owner: s.owner, acl: &s.acl, count: 1 });
    let groups = context.matrix.groups(context.catalog, position).filter(|g| !g.extension);
    own.into_iter().chain(groups.map(|g| Listed {
        kind: g.kind.object_kind(),
        owner: g.owner,
        acl: &g.acl,
        count: g.count,
    }))
}

/// Objects of a schema by name, `None` before they were read; members of extensions left out.
pub fn objects<'a>(context: &Context<'a>, position: usize) -> Option<Vec<&'a Object>> {
    let loaded = context.snapshot.objects.0.get(&schema(context, position)?.oid)?;
    Some(loaded.all().filter(|o| !o.extension).collect())
}

/// Lists objects in a finding: `schema.name`, up to [`MAX_OBJECTS`]; `total` of them in all, names known or not.
pub fn list_objects(finding: &mut Finding, schema: &str, names: Option<&[String]>, total: u64) {
    finding.objects = names.unwrap_or_default().iter().take(MAX_OBJECTS).map(|n| format!("{schema}.{n}")).collect();
    finding.objects_total = (total > finding.objects.len() as u64).then_some(total);
}

/// Name of the service that owns a schema.
pub fn service_of(context: &Context<'_>, desired: &Desired, position: usize) -> Option<String> {
    let service = desired.schemas.get(position)?.service?;
    context.policy?.services.get(service).map(|s| s.name.clone())
}

/// A role as a grantee.
pub fn grantee(context: &Context<'_>, who: Who) -> Grantee {
    match who {
        Who::Public => Grantee::Public,
        Who::Role(role) => Grantee::Role(role_name(context, role)),
    }
}

pub fn role_name(context: &Context<'_>, role: usize) -> String {
    context.catalog.roles.get(role).map(|r| r.name.clone()).unwrap_or_default()
}

pub fn oid_of(context: &Context<'_>, who: Who) -> Oid {
    match who {
        Who::Public => Oid::ZERO,
        Who::Role(role) => context.catalog.roles.get(role).map_or(Oid::ZERO, |r| r.oid),
    }
}

/// Everybody with an entry in a schema, other than as an owner of the object: positions of roles, ascending; PUBLIC is
/// not among them.
pub fn grantees(context: &Context<'_>, position: usize) -> Vec<usize> {
    let mut found = BTreeSet::new();
    for list in lists(context, position) {
        let in_force = list.acl.in_force(list.kind, list.owner, context.matrix.version_num);
        for entry in in_force.entries().iter().filter(|e| !e.is_public() && e.grantee != list.owner) {
            found.extend(context.matrix.closure.position(entry.grantee));
        }
    }
    found.into_iter().collect()
}

/// USAGE on the schema, however held.
pub fn may_use(context: &Context<'_>, role: usize, position: usize) -> bool {
    schema(context, position).is_some_and(|s| {
        let rights = context.matrix.rights(context.catalog, Who::Role(role), ObjectKind::Schema, s.owner, &s.acl);
        rights.contains(Privilege::Usage)
    })
}

/// A grant to one role in a schema, after USAGE on the schema where it has none: the grant would be dead.
pub fn grant(
    context: &Context<'_>,
    role: usize,
    position: usize,
    kind: ObjectKind,
    privileges: Privileges,
    on: On,
) -> Vec<Change> {
    let to = Grantee::Role(role_name(context, role));
    let mut changes: Vec<Change> = usage_first(context, role, position, kind).into_iter().collect();
    changes.push(Change::Grant { privileges, on, to });
    changes
}

/// USAGE on the schema for a role that is about to hold rights on objects there, and has none.
pub fn usage_first(context: &Context<'_>, role: usize, position: usize, kind: ObjectKind) -> Option<Change> {
    let on_objects = matches!(kind, ObjectKind::Table | ObjectKind::Sequence | ObjectKind::Routine);
    let superuser = context.catalog.roles.get(role).is_none_or(|r| r.superuser);
    (on_objects && !superuser && !may_use(context, role, position)).then(|| Change::Grant {
        privileges: Privilege::Usage.into(),
        on: On::Schema(schema(context, position).map(|s| s.name.clone()).unwrap_or_default()),
        to: Grantee::Role(role_name(context, role)),
    })
}

/// What entries for exactly `oid` give on one list, other than as its owner.
pub fn direct(context: &Context<'_>, list: &Listed<'_>, oid: Oid) -> Privileges {
    direct_on(context, list.kind, list.owner, list.acl, oid)
}

fn direct_on(context: &Context<'_>, kind: ObjectKind, owner: Oid, acl: &Acl, oid: Oid) -> Privileges {
    if owner == oid {
        return Privileges::NONE;
    }
    let in_force = acl.in_force(kind, owner, context.matrix.version_num);
    in_force.entries().iter().filter(|e| e.grantee == oid).fold(Privileges::NONE, |a, e| a | e.privileges)
}

/// Direct entries beyond what is allowed: one privilege on one kind of object of a schema.
pub struct Excess {
    pub kind: ObjectKind,
    pub privilege: Privilege,
    /// Objects where no exception covers it.
    pub count: u32,
    /// Their names where they were read.
    pub names: Option<Vec<String>>,
    /// Objects where an exception covers it.
    pub excepted: u32,
    /// Of how many objects of the kind.
    pub total: u32,
    /// Why it is excepted.
    pub reasons: Vec<String>,
}

/// What `who` holds by entries of its own beyond `allowed`, by kind and privilege, exceptions apart.
pub fn excess(
    context: &Context<'_>,
    who: Who,
    position: usize,
    allowed: Rights,
    exceptions: &[&Exception],
) -> Vec<Excess> {
    let oid = oid_of(context, who);
    let mut out = Vec::new();
    for kind in KINDS {
        let beyond = |held: Privileges| held.minus(allowed.of(kind)).minus(builtin(who, kind));
        let mut total = 0;
        let mut counts = [0u32; 16];
        for list in lists(context, position).filter(|l| l.kind == kind) {
            total += list.count;
            for p in beyond(direct(context, &list, oid)).iter() {
                if let Some(n) = counts.get_mut(p as usize) {
                    *n += list.count;
                }
            }
        }
        for privilege in Privilege::ALL {
            let count = counts.get(privilege as usize).copied().unwrap_or(0);
            if count == 0 {
                continue;
            }
            let on = |o: &&Object| {
                o.kind.object_kind() == kind
                    && beyond(direct_on(context, kind, o.owner, &o.acl, oid)).contains(privilege)
            };
            out.push(except(
                Excess {
                    kind,
                    privilege,
                    count,
                    names: objects(context, position)
                        .map(|all| all.into_iter().filter(on).map(|o| o.name.clone()).collect()),
                    excepted: 0,
                    total,
                    reasons: Vec::new(),
                },
                exceptions,
            ));
        }
    }
    out
}

/// What PostgreSQL gives PUBLIC by itself on objects.
fn builtin(who: Who, kind: ObjectKind) -> Privileges {
    match who {
        Who::Public => kind.public_default(),
        Who::Role(_) => Privileges::NONE,
    }
}

/// Moves what exceptions cover out of the count.
fn except(mut excess: Excess, exceptions: &[&Exception]) -> Excess {
    let about: Vec<&&Exception> = exceptions.iter().filter(|e| e.privileges.contains(&excess.privilege)).collect();
    if about.is_empty() {
        return excess;
    }
    let whole = excess.kind == ObjectKind::Schema || about.iter().any(|e| e.objects.is_empty());
    let covered = if whole {
        excess.count
    } else if let Some(names) = &mut excess.names {
        let before = names.len();
        names.retain(|n| !about.iter().any(|e| covers(e, n)));
        (before - names.len()) as u32
    } else {
        about.iter().flat_map(|e| &e.objects).collect::<BTreeSet<_>>().len() as u32
    };
    if whole && let Some(names) = &mut excess.names {
        names.clear();
    }
    excess.excepted = covered.min(excess.count);
    excess.count -= excess.excepted;
    excess.reasons = about.iter().map(|e| e.reason.clone()).collect();
    excess
}

/// The exceptions for `who` in a schema.
pub fn exceptions_of(desired: &Desired, who: Who, position: usize) -> Vec<&Exception> {
    desired.exceptions_of(who, position).collect()
}

/// What is wanted of a role in a schema, nothing where it is not declared.
pub fn want(desired: &Desired, role: usize, position: usize) -> Want {
    desired.want(role, position).unwrap_or_default()
}

/// What a GRANT names: the schema; single objects where they are few and known; else every object of the kind.
/// `None` when neither can be said: members of an extension are there and the names were not read.
pub fn target(
    context: &Context<'_>,
    position: usize,
    kind: ObjectKind,
    names: Option<&[String]>,
    all: bool,
) -> Option<On> {
    let of = schema(context, position)?;
    if kind == ObjectKind::Schema {
        return Some(On::Schema(of.name.clone()));
    }
    let extension =
        context.matrix.groups(context.catalog, position).any(|g| g.extension && g.kind.object_kind() == kind);
    let single = |names: &[String]| On::Objects { kind, schema: of.name.clone(), names: names.to_vec() };
    match names {
        Some(names) if !names.is_empty() && (names.len() <= FEW_NAMES || extension || !all) => Some(single(names)),
        _ if extension || !all => None,
        _ => Some(On::AllIn { kind, schema: of.name.clone() }),
    }
}

/// One revocation: the same privileges of the same holder on objects of one kind in one schema.
pub struct Revocation<'a> {
    pub who: Who,
    pub position: usize,
    pub kind: ObjectKind,
    pub privileges: Privileges,
    /// Only the grant option.
    pub option_only: bool,
    /// The objects, where the names were read.
    pub names: Option<&'a [String]>,
    /// Some objects keep it (an exception), so that ALL … IN SCHEMA would take too much.
    pub partial: bool,
}

/// The changes that revoke, grantor by grantor; `None` when that needs names that were not read, or a decision.
///
/// A REVOKE takes away only what its own grantor granted. Where the holder has passed the privilege on, the server
/// refuses: then those grants are first made again by the owner (unless the policy does not allow them either) and
/// revoked as the holder.
pub fn revoke(context: &Context<'_>, desired: Option<&Desired>, r: &Revocation<'_>) -> Option<Vec<Change>> {
    let holder = oid_of(context, r.who);
    let version = context.matrix.version_num;
    // (grantor that is not the owner, privileges) over every list
    let mut by_owner = Privileges::NONE;
    let mut by_others: Vec<(Oid, Privileges)> = Vec::new();
    let mut passed_on: Vec<(Oid, Privileges)> = Vec::new();
    for list in lists(context, r.position).filter(|l| l.kind == r.kind && l.owner != holder) {
        let in_force = list.acl.in_force(list.kind, list.owner, version);
        for entry in in_force.entries() {
            let held = (if r.option_only { entry.grantable } else { entry.privileges }).and(r.privileges);
            if entry.grantee == holder && !held.is_empty() {
                if entry.grantor == list.owner {
                    by_owner = by_owner | held;
                } else {
                    note(&mut by_others, entry.grantor, held);
                }
            }
            let from_holder = entry.privileges.and(r.privileges);
            if entry.grantor == holder && holder != Oid::ZERO && !from_holder.is_empty() {
                if !entry.grantable.and(r.privileges).is_empty() {
                    return None;
                }
                note(&mut passed_on, entry.grantee, from_holder);
            }
        }
    }
    // REVOKE … ON ALL TABLES would take the rights of an owner on what it owns, too
    let owns = lists(context, r.position).any(|l| l.kind == r.kind && l.owner == holder);
    let mut changes = Vec::new();
    for (oid, privileges) in passed_on {
        let to = if oid == Oid::ZERO { Grantee::Public } else { Grantee::Role(context.catalog.role_name(oid)) };
        let keeps = privileges.minus(unwanted(context, desired, oid, r.position, r.kind));
        for_holders(context, r, oid, holder, &mut changes, keeps, privileges, &to)?;
    }
    if !by_owner.is_empty() {
        changes.push(Change::Revoke {
            privileges: by_owner,
            on: target(context, r.position, r.kind, r.names, !r.partial && !owns)?,
            from: grantee(context, r.who),
            option_only: r.option_only,
            grantor: None,
        });
    }
    for (grantor, privileges) in by_others {
        changes.push(Change::Revoke {
            privileges,
            on: exact_objects(context, r, |e| e.grantee == holder && e.grantor == grantor)?,
            from: grantee(context, r.who),
            option_only: r.option_only,
            grantor: Some(context.catalog.role(grantor)?.name.clone()),
        });
    }
    (!changes.is_empty()).then_some(changes)
}

/// As [`revoke`], after granting declared members what they need of it and hold no other way.
pub fn revoke_from_role(
    context: &Context<'_>,
    desired: &Desired,
    role: usize,
    r: &Revocation<'_>,
) -> Option<Vec<Change>> {
    let revocations = revoke(context, Some(desired), r)?;
    let mut changes = match target(context, r.position, r.kind, r.names, !r.partial) {
        Some(on) => grants_instead(context, desired, r.position, r.kind, Who::Role(role), &on, r.privileges),
        None => Vec::new(),
    };
    changes.extend(revocations);
    Some(changes)
}

/// Grants again, as the owner, what the holder had passed on, then takes the holder's grant away.
#[expect(clippy::too_many_arguments, reason = "one step of `revoke`, apart for its length")]
fn for_holders(
    context: &Context<'_>,
    r: &Revocation<'_>,
    oid: Oid,
    holder: Oid,
    changes: &mut Vec<Change>,
    keeps: Privileges,
    privileges: Privileges,
    to: &Grantee,
) -> Option<()> {
    let on = exact_objects(context, r, |e| e.grantee == oid && e.grantor == holder)?;
    if !keeps.is_empty() {
        changes.push(Change::Grant { privileges: keeps, on: on.clone(), to: to.clone() });
    }
    changes.push(Change::Revoke {
        privileges,
        on,
        from: to.clone(),
        option_only: false,
        grantor: Some(context.catalog.role(holder)?.name.clone()),
    });
    Some(())
}

/// The objects that have a matching entry, by name; `None` when the names were not read.
fn exact_objects(
    context: &Context<'_>,
    r: &Revocation<'_>,
    matches: impl Fn(&crate::domain::AclEntry) -> bool,
) -> Option<On> {
    let of = schema(context, r.position)?;
    if r.kind == ObjectKind::Schema {
        return Some(On::Schema(of.name.clone()));
    }
    let version = context.matrix.version_num;
    let names: Vec<String> = objects(context, r.position)?
        .into_iter()
        .filter(|o| o.kind.object_kind() == r.kind)
        .filter(|o| {
            let in_force = o.acl.in_force(r.kind, o.owner, version);
            in_force.entries().iter().any(|e| matches(e) && e.privileges.intersects(r.privileges))
        })
        .filter(|o| !r.partial || r.names.is_none_or(|n| n.contains(&o.name)))
        .map(|o| o.name.clone())
        .collect();
    (!names.is_empty()).then(|| On::Objects { kind: r.kind, schema: of.name.clone(), names })
}

fn note(list: &mut Vec<(Oid, Privileges)>, oid: Oid, privileges: Privileges) {
    match list.iter_mut().find(|(o, _)| *o == oid) {
        Some((_, held)) => *held = *held | privileges,
        None => list.push((oid, privileges)),
    }
}

/// What the policy does not allow a role: it has, or will get, a finding of its own that takes it away.
fn unwanted(
    context: &Context<'_>,
    desired: Option<&Desired>,
    oid: Oid,
    position: usize,
    kind: ObjectKind,
) -> Privileges {
    let (Some(desired), Some(role)) = (desired, context.matrix.closure.position(oid)) else { return Privileges::NONE };
    if !desired.compares(role) || !desired.names_role(role) || !desired.names_schema(position) {
        return Privileges::NONE;
    }
    let excepted: Privileges =
        desired.exceptions_of(Who::Role(role), position).flat_map(|e| e.privileges.iter().copied()).collect();
    kind.all(context.matrix.version_num).minus(want(desired, role, position).allowed.of(kind)).minus(excepted)
}

/// Grants of what declared roles require on objects of a kind and hold only because they have the rights of `losing`
/// (PUBLIC, or an owner that is about to change): what must be granted before those rights go.
pub fn grants_instead(
    context: &Context<'_>,
    desired: &Desired,
    position: usize,
    kind: ObjectKind,
    losing: Who,
    on: &On,
    only: Privileges,
) -> Vec<Change> {
    let mut out = Vec::new();
    for role in desired.roles_of(position).filter(|r| desired.compares(*r)) {
        let depends = match losing {
            Who::Public => true,
            Who::Role(group) => context.matrix.closure.inherits(role, group),
        };
        let required = desired.want(role, position).map_or(Privileges::NONE, |w| w.required.of(kind)).and(only);
        if !depends || required.is_empty() {
            continue;
        }
        let otherwise = |list: &Listed<'_>| match losing {
            Who::Public => context.matrix.own_rights(role, kind, list.owner, list.acl),
            Who::Role(group) => without(context, list, role, oid_of(context, Who::Role(group))),
        };
        let lost = lists(context, position)
            .filter(|l| l.kind == kind)
            .fold(Privileges::NONE, |lost, l| lost | required.minus(otherwise(&l)));
        if !lost.is_empty() {
            out.extend(grant(context, role, position, kind, lost, on.clone()));
        }
    }
    out
}

/// What a role holds other than through PUBLIC and through entries for `group`.
fn without(context: &Context<'_>, list: &Listed<'_>, role: usize, group: Oid) -> Privileges {
    let in_force = list.acl.in_force(list.kind, list.owner, context.matrix.version_num);
    let others = in_force.entries().iter().filter(|e| !e.is_public() && e.grantee != group);
    others
        .filter(|e| {
            context.matrix.closure.position(e.grantee).is_some_and(|g| context.matrix.closure.inherits(role, g))
        })
        .fold(Privileges::NONE, |all, e| all | e.privileges)
}

/// `97 of 104 tables`, and `USAGE` on a schema simply as there or not.
pub fn share(count: u32, total: u32, kind: ObjectKind) -> String {
    let noun = if total == 1 { kind.singular() } else { kind.plural() };
    format!("{count} of {total} {noun}")
}

/// "all 104 tables", "the table", "the schema".
pub fn every(total: u32, kind: ObjectKind) -> String {
    if total == 1 { format!("the {}", kind.singular()) } else { format!("all {total} {}", kind.plural()) }
}
