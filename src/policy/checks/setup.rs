//! What a role or a schema needs from scratch, by the names in the policy: the fix of `role-missing` and `schema-missing`.
//! No check of its own.

use std::collections::BTreeSet;

use super::{Context, default_privileges, entries, owners, version_table_missing};
use crate::{
    domain::{
        ObjectKind, Privilege,
        change::{Change, Grantee, On, RoleAttributes},
        snapshot::DefaultKind,
    },
    policy::{
        Level, Policy, Service,
        desired::{Desired, Rights, required},
        versions::VersionInfo,
    },
};

/// The kinds of objects that a level speaks of, with their default privileges.
const OBJECTS: [(ObjectKind, DefaultKind); 3] = [
    (ObjectKind::Table, DefaultKind::Tables),
    (ObjectKind::Sequence, DefaultKind::Sequences),
    (ObjectKind::Routine, DefaultKind::Functions),
];

/// Levels that the policy gives `role`, by schema: its own schemas first.
fn access<'p>(policy: &'p Policy, role: &str) -> Vec<(&'p str, Vec<Level>)> {
    let mut out: Vec<(&str, Vec<Level>)> = Vec::new();
    for service in policy.services.iter().filter(|s| s.role == role) {
        let level = if service.owner == role { Level::Own } else { Level::All };
        out.extend(service.schemas.iter().map(|s| (s.as_str(), vec![level])));
    }
    let services = policy.services.iter().filter(|s| s.role == role).map(|s| &s.access);
    let roles = policy.roles.iter().filter(|r| r.name == role).map(|r| &r.access);
    for access in services.chain(roles) {
        out.extend(access.iter().map(|(schema, levels)| (schema.as_str(), levels.clone())));
    }
    out
}

fn rights(context: &Context<'_>, levels: &[Level]) -> Rights {
    levels.iter().fold(Rights::NONE, |all, level| all.union(required(*level, context.matrix.version_num)))
}

/// Creators that a schema declares.
fn creators<'p>(policy: &'p Policy, schema: &str) -> &'p [String] {
    let service = policy.services.iter().find(|s| s.schemas.iter().any(|n| n == schema)).map(|s| &s.creators);
    let rule = policy.schemas.iter().find(|s| s.name == schema).map(|s| &s.creators);
    service.or(rule).map(Vec::as_slice).unwrap_or_default()
}

/// The role itself, as the policy describes it.
pub fn create_role(policy: &Policy, name: &str) -> Change {
    let service = policy.services.iter().find(|s| s.role == name);
    let rule = policy.roles.iter().find(|r| r.name == name);
    let login = service.map(|s| s.login.unwrap_or(true)).or_else(|| rule.and_then(|r| r.login));
    let limit = service.and_then(|s| s.connection_limit).or_else(|| rule.and_then(|r| r.connection_limit));
    let attributes = RoleAttributes { login, connection_limit: limit, ..RoleAttributes::default() };
    Change::CreateRole { name: name.to_owned(), attributes }
}

/// Everything a missing role needs; `None` while the names of objects that it should own are not read.
pub fn role(context: &Context<'_>, policy: &Policy, desired: &Desired, name: &str) -> Option<Vec<Change>> {
    let mut changes = vec![create_role(policy, name)];
    let service = policy.services.iter().find(|s| s.role == name);
    let rule = policy.roles.iter().find(|r| r.name == name);
    let groups = service.and_then(|s| s.member_of.as_ref()).or_else(|| rule.and_then(|r| r.member_of.as_ref()));
    for group in groups.into_iter().flatten().filter(|g| context.matrix.index.role_named(g).is_some()) {
        changes.push(Change::GrantRole { role: group.clone(), member: name.to_owned() });
    }
    let public = super::database_privileges::rights(context, crate::domain::effective::Who::Public);
    let logs_in = service.is_some_and(|s| s.login != Some(false)) || rule.is_some_and(|r| r.login == Some(true));
    if logs_in && !(policy.database.public_connect && public.contains(Privilege::Connect)) {
        changes.push(Change::Grant {
            privileges: Privilege::Connect.into(),
            on: On::Database(context.catalog.database.name.clone()),
            to: Grantee::Role(name.to_owned()),
        });
    }
    let path = service
        .map(|s| s.search_path.clone().unwrap_or_else(|| s.schemas.clone()))
        .or_else(|| rule.and_then(|r| r.search_path.clone()));
    if path.is_some() {
        changes.push(Change::SetRoleSetting {
            role: name.to_owned(),
            database: Some(context.catalog.database.name.clone()),
            name: "search_path".to_owned(),
            value: path,
        });
    }
    for (position, want) in desired.schemas.iter().enumerate() {
        if want.owner.as_deref() == Some(name) {
            changes.extend(owners::whole_schema(context, desired, position, name)?);
        }
    }
    for (schema, levels) in access(policy, name) {
        if let Some(position) = context.matrix.index.schema_named(schema)
            && levels != [Level::Own]
        {
            changes.extend(existing(context, position, name, rights(context, &levels))?);
        }
        if context.matrix.index.schema_named(schema).is_some() {
            defaults(context, policy, schema, name, &levels, name, &mut changes);
        }
    }
    as_creator(context, policy, name, &mut changes);
    Some(changes)
}

/// What others will get of what a new role creates.
fn as_creator(context: &Context<'_>, policy: &Policy, name: &str, changes: &mut Vec<Change>) {
    let bound = |role: &&str| context.catalog.role_named(role).is_some_and(|r| !r.superuser);
    let roles: BTreeSet<&str> =
        policy.services.iter().map(|s| s.role.as_str()).chain(policy.roles.iter().map(|r| r.name.as_str())).collect();
    for role in roles.into_iter().filter(bound) {
        for (schema, levels) in access(policy, role) {
            let creates = creators(policy, schema).iter().any(|c| c == name);
            if creates && context.matrix.index.schema_named(schema).is_some() {
                let mut all = Vec::new();
                defaults(context, policy, schema, role, &levels, name, &mut all);
                all.retain(|c| matches!(c, Change::DefaultPrivileges { creator, .. } if creator == name));
                changes.extend(all);
            }
        }
    }
}

/// Grants on what a schema holds already.
fn existing(context: &Context<'_>, position: usize, role: &str, rights: Rights) -> Option<Vec<Change>> {
    let to = Grantee::Role(role.to_owned());
    let schema = entries::schema(context, position)?.name.clone();
    let mut changes = Vec::new();
    if !rights.schema.is_empty() {
        changes.push(Change::Grant { privileges: rights.schema, on: On::Schema(schema), to: to.clone() });
    }
    for (kind, _) in OBJECTS {
        let privileges = rights.of(kind);
        let some = entries::lists(context, position).any(|l| l.kind == kind);
        if some && !privileges.is_empty() {
            let names: Option<Vec<String>> = entries::objects(context, position)
                .map(|all| all.into_iter().filter(|o| o.kind.object_kind() == kind).map(|o| o.name.clone()).collect());
            let many = names.filter(|_| extension_members(context, position, kind));
            let on = entries::target(context, position, kind, many.as_deref(), true)?;
            changes.push(Change::Grant { privileges, on, to: to.clone() });
        }
    }
    Some(changes)
}

fn extension_members(context: &Context<'_>, position: usize, kind: ObjectKind) -> bool {
    context.matrix.groups(context.catalog, position).any(|g| g.extension && g.kind.object_kind() == kind)
}

/// Default privileges for what every other creator will make there; `fresh` is a role about to be created.
fn defaults(
    context: &Context<'_>,
    policy: &Policy,
    schema: &str,
    role: &str,
    levels: &[Level],
    fresh: &str,
    changes: &mut Vec<Change>,
) {
    let rights = rights(context, levels);
    for creator in creators(policy, schema).iter().filter(|c| *c != role) {
        if context.matrix.index.role_named(creator).is_none() && creator != fresh {
            continue;
        }
        for (object, kind) in OBJECTS {
            // PUBLIC may EXECUTE by PostgreSQL's own default
            let privileges = rights.of(object);
            if !privileges.is_empty() && default_privileges::object_kind(kind).is_some() {
                changes.push(Change::DefaultPrivileges {
                    creator: creator.clone(),
                    schema: Some(schema.to_owned()),
                    kind,
                    privileges,
                    grantee: Grantee::Role(role.to_owned()),
                    grant: true,
                });
            }
        }
    }
}

/// Everything a missing schema needs; `None` when the policy names no owner for it.
pub fn schema(context: &Context<'_>, policy: &Policy, name: &str) -> Option<Vec<Change>> {
    let service = policy.services.iter().find(|s| s.schemas.iter().any(|n| n == name));
    let owner = match service {
        Some(service) => &service.owner,
        None => policy.schemas.iter().find(|s| s.name == name)?.owner.as_ref()?,
    };
    let mut changes = Vec::new();
    let missing = |role: &str| context.matrix.index.role_named(role).is_none();
    if missing(owner) {
        changes.push(create_role(policy, owner));
    }
    changes.push(Change::CreateSchema { name: name.to_owned(), owner: owner.clone() });
    let roles: BTreeSet<&str> = policy
        .services
        .iter()
        .map(|s| s.role.as_str())
        .chain(policy.roles.iter().map(|r| r.name.as_str()))
        .filter(|r| !missing(r))
        .collect();
    let version_table = service.and_then(|s| version_table(context, s, name));
    if let Some(table) = version_table {
        changes.push(Change::CreateVersionTable {
            schema: name.to_owned(),
            name: table.to_owned(),
            owner: owner.clone(),
        });
    }
    for role in roles {
        let levels: Vec<Level> =
            access(policy, role).into_iter().filter(|(s, _)| *s == name).flat_map(|(_, levels)| levels).collect();
        let superuser = context.catalog.role_named(role).is_some_and(|r| r.superuser);
        if levels.is_empty() || superuser {
            continue;
        }
        let rights = rights(context, &levels);
        if role != owner {
            let to = Grantee::Role(role.to_owned());
            changes.push(Change::Grant { privileges: rights.schema, on: On::Schema(name.to_owned()), to: to.clone() });
            if let Some(table) = version_table.filter(|_| !rights.tables.is_empty()) {
                let names = vec![table.to_owned()];
                let on = On::Objects { kind: ObjectKind::Table, schema: name.to_owned(), names };
                changes.push(Change::Grant { privileges: rights.tables, on, to });
            }
        }
        defaults(context, policy, name, role, &levels, owner, &mut changes);
    }
    Some(changes)
}

/// The version table to create with the service's first schema, unless the service has one somewhere already, or tables:
/// an empty one would make it start from zero.
fn version_table<'p>(context: &Context<'_>, service: &'p Service, schema: &str) -> Option<&'p str> {
    let mine = |v: &VersionInfo| v.service.as_deref() == Some(service.name.as_str());
    let elsewhere = context.versions.0.iter().any(mine) || version_table_missing::elsewhere(context, service);
    let first = service.schemas.first().is_some_and(|s| s == schema);
    let paths = context.paths();
    let in_use = || {
        let position = context.matrix.index.role_named(&service.role);
        let now = position.map(|position| context.path(&paths, position));
        now.is_some_and(|now| {
            let wanted = context.wanted_path(service, &now);
            !context.lost(service, &now, &wanted).is_empty()
                || !context.out_of_sight(service, &now, &std::cell::OnceCell::new()).is_empty()
        })
    };
    service.version_table.as_deref().filter(|_| first && !elsewhere && !in_use())
}
