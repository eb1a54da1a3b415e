//! The law *fix*: what a finding's fix does removes the finding and adds none. Held over random databases with a small
//! model of what the server makes of each change; what the server itself makes of the statements is tested elsewhere.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{arbitrary, fixture::Fixture};
use crate::{
    domain::{
        Acl, AclEntry, ObjectKind, Oid, Privilege, Privileges,
        change::{Change, Grantee, On},
        snapshot::DefaultKind,
    },
    policy::{Finding, Group, Severity},
};

const POLICY: &str = r#"
    undeclared = "revoke"
    [[service]]
    name = "langflow"
    schema = "langflow"
    role = "langflow_app"
    version_table = false
    access = { public = ["read", "append"] }
    [[service]]
    name = "odd"
    schema = "odd schema"
    role = "worker"
    owner = "app"
    version_table = false
    [[role]]
    name = "reader"
    access = { langflow = ["read"], "odd schema" = ["write"] }
    member_of = ["g_ro"]
    [[role]]
    name = "g_ro"
    access = { langflow = ["usage"] }
    [[schema]]
    name = "public"
    owner = "app"
    [database]
    public_connect = false
    [[exception]]
    role = "reader"
    schema = "langflow"
    privileges = ["INSERT"]
    objects = ["o1", "o2", "o3"]
    reason = "imports"
"#;

/// Why the server would refuse a change.
type Refused = String;

fn apply(f: &mut Fixture, change: &Change) -> Result<(), Refused> {
    match change {
        Change::CreateSchema { name, owner } => *f = f.clone().schema(name, owner),
        Change::CreateRole { name, attributes } => {
            if f.catalog.roles.iter().any(|r| r.name == *name) {
                return Err(format!("role {name} exists"));
            }
            *f = f.clone().role(name).edit_role(name, |r| r.login = attributes.login == Some(true));
        }
        Change::AlterRole { name, attributes } => {
            *f = f.clone().edit_role(name, |r| r.login = attributes.login.unwrap_or(r.login));
        }
        Change::GrantRole { role, member } => *f = f.clone().member(role, member),
        Change::RevokeRole { role, member, grantor: None } => {
            let (role, member) = (f.role_oid(role), f.role_oid(member));
            f.catalog.memberships.retain(|m| (m.role, m.member) != (role, member));
        }
        Change::Grant { privileges, on, to } => {
            each_acl(
                f,
                on,
                |acl, kind, owner, version, grantee| {
                    let mut list = entries(acl, kind, owner, version);
                    match list.iter_mut().find(|e| e.grantee == grantee && e.grantor == owner) {
                        Some(e) => e.privileges = e.privileges | *privileges,
                        None => list.push(AclEntry {
                            grantee,
                            grantor: owner,
                            privileges: *privileges,
                            grantable: Privileges::NONE,
                        }),
                    }
                    *acl = Acl::from_entries(list);
                    Ok(())
                },
                to,
            )?;
        }
        Change::Revoke { privileges, on, from, option_only, grantor } => {
            let by = grantor.as_ref().map(|g| f.role_oid(g));
            each_acl(
                f,
                on,
                |acl, kind, owner, version, grantee| {
                    revoke(acl, kind, owner, version, grantee, by.unwrap_or(owner), *privileges, *option_only)
                },
                from,
            )?;
        }
        Change::DefaultPrivileges { creator, schema, kind, privileges, grantee, grant } => {
            let words = privileges.iter().map(|p| p.keyword().to_owned()).collect::<Vec<_>>().join(", ");
            if *grant {
                *f = f.clone().default_acl(creator, schema.as_deref(), *kind, grantee.name(), &words);
            } else {
                no_default(f, creator, schema.as_deref(), *kind, grantee, *privileges);
            }
        }
        Change::SetSchemaOwner { schema, owner } => {
            let new = f.role_oid(owner);
            *f = f.clone().edit_schema(schema, |s| {
                hand_over(&mut s.acl, s.owner, new);
                s.owner = new;
            });
        }
        Change::SetOwner { object, owner } => {
            let new = f.role_oid(owner);
            let name = format!("{}.{}", object.schema, object.name);
            *f = f.clone().edit(&name, |o| {
                hand_over(&mut o.acl, o.owner, new);
                o.owner = new;
            });
        }
        Change::SetRoleSetting { role, database, name, value } => {
            if let Some(value) = value {
                *f = f.clone().setting(Some(role), database.is_some(), name, &value.join(", "));
            }
        }
        Change::CreateVersionTable { schema, name, owner } => *f = f.clone().table(schema, name, owner),
        other => return Err(format!("the model does not know {other:?}")),
    }
    Ok(())
}

fn entries(acl: &Acl, kind: ObjectKind, owner: Oid, version: u32) -> Vec<AclEntry> {
    acl.in_force(kind, owner, version).entries().iter().filter(|e| !e.privileges.is_empty()).copied().collect()
}

/// REVOKE by one grantor; refused where the holder has passed it on (2BP01).
#[expect(clippy::too_many_arguments, reason = "one revocation has that many parts")]
fn revoke(
    acl: &mut Acl,
    kind: ObjectKind,
    owner: Oid,
    version: u32,
    grantee: Oid,
    grantor: Oid,
    privileges: Privileges,
    option_only: bool,
) -> Result<(), Refused> {
    let mut list = entries(acl, kind, owner, version);
    for e in list.iter_mut().filter(|e| e.grantee == grantee && e.grantor == grantor) {
        e.grantable = e.grantable.minus(privileges);
        if !option_only {
            e.privileges = e.privileges.minus(privileges);
        }
    }
    let options = list.iter().filter(|e| e.grantee == grantee).fold(Privileges::NONE, |a, e| a | e.grantable);
    let dependent = |e: &AclEntry| {
        e.grantor == grantee && e.grantor != owner && e.privileges.and(privileges).intersects(Privileges(!options.0))
    };
    if grantee != Oid::ZERO && list.iter().any(dependent) {
        return Err("dependent privileges exist".to_owned());
    }
    list.retain(|e| !e.privileges.is_empty());
    *acl = Acl::from_entries(list);
    Ok(())
}

/// What OWNER TO does to a list: the old owner's entries and grants become the new one's.
fn hand_over(acl: &mut Acl, old: Oid, new: Oid) {
    let Some(list) = &acl.0 else { return };
    let mut merged: Vec<AclEntry> = Vec::new();
    for entry in list.iter() {
        let swap = |oid: Oid| if oid == old { new } else { oid };
        let entry = AclEntry { grantee: swap(entry.grantee), grantor: swap(entry.grantor), ..*entry };
        match merged.iter_mut().find(|e| e.grantee == entry.grantee && e.grantor == entry.grantor) {
            Some(e) => {
                e.privileges = e.privileges | entry.privileges;
                e.grantable = e.grantable | entry.grantable;
            }
            None => merged.push(entry),
        }
    }
    *acl = Acl::from_entries(merged);
}

fn each_acl(
    f: &mut Fixture,
    on: &On,
    mut change: impl FnMut(&mut Acl, ObjectKind, Oid, u32, Oid) -> Result<(), Refused>,
    grantee: &Grantee,
) -> Result<(), Refused> {
    let version = f.server.version_num;
    let oid = match grantee {
        Grantee::Public => Oid::ZERO,
        Grantee::Role(name) => f.role_oid(name),
    };
    match on {
        On::Database(_) => {
            let d = &mut f.catalog.database;
            change(&mut d.acl, ObjectKind::Database, d.owner, version, oid)
        }
        On::Schema(name) => {
            let s = f.catalog.schemas.iter_mut().find(|s| s.name == *name).ok_or("no such schema")?;
            change(&mut s.acl, ObjectKind::Schema, s.owner, version, oid)
        }
        On::AllIn { kind, schema } => {
            let schema = f.schema_oid(schema);
            for (_, o) in f.objects.iter_mut().filter(|(s, o)| *s == schema && o.kind.object_kind() == *kind) {
                change(&mut o.acl, *kind, o.owner, version, oid)?;
            }
            Ok(())
        }
        On::Objects { kind, schema, names } => {
            let schema = f.schema_oid(schema);
            for name in names {
                let found = f.objects.iter_mut().find(|(s, o)| *s == schema && o.name == *name);
                let (_, o) = found.ok_or_else(|| format!("no {name}"))?;
                change(&mut o.acl, *kind, o.owner, version, oid)?;
            }
            Ok(())
        }
        On::Columns { relation, columns, .. } => {
            let of =
                |g: &&mut crate::domain::snapshot::ColumnGrant| g.relation == *relation && columns.contains(&g.column);
            for grant in f.shapes.column_grants.iter_mut().filter(of) {
                change(&mut grant.acl, ObjectKind::Table, grant.owner, version, oid)?;
            }
            Ok(())
        }
    }
}

fn no_default(
    f: &mut Fixture,
    creator: &str,
    schema: Option<&str>,
    kind: DefaultKind,
    grantee: &Grantee,
    privileges: Privileges,
) {
    let creator = f.role_oid(creator);
    let schema = schema.map(|s| f.schema_oid(s));
    let grantee = match grantee {
        Grantee::Public => Oid::ZERO,
        Grantee::Role(name) => f.role_oid(name),
    };
    let alike =
        |d: &&mut crate::domain::snapshot::DefaultAcl| d.creator == creator && d.schema == schema && d.kind == kind;
    for default in f.catalog.default_acls.iter_mut().filter(alike) {
        let mut list: Vec<AclEntry> = default.acl.0.iter().flat_map(|l| l.iter().copied()).collect();
        for e in list.iter_mut().filter(|e| e.grantee == grantee) {
            e.privileges = e.privileges.minus(privileges);
        }
        list.retain(|e| !e.privileges.is_empty());
        default.acl = Acl::from_entries(list);
    }
}

fn findings(f: &Fixture) -> Vec<Finding> {
    let mut found = f.clone().case().findings();
    found.retain(|f| {
        matches!(f.group, Group::Existence | Group::Grants | Group::Ownership) && f.severity > Severity::Info
    });
    found
}

fn ids(findings: &[Finding]) -> BTreeSet<String> {
    findings.iter().map(|f| f.id.clone()).collect()
}

/// Whether the fix takes USAGE, or a schema and USAGE with it, from a role that memberships connect with the one whose
/// grants lie dead: a member used them, or it could enter by SET ROLE.
fn loses_entry(f: &Fixture, finding: &Finding, dead: &Finding) -> bool {
    let Some(holder) = dead.role.as_deref() else { return false };
    let mut kin = vec![f.role_oid(holder)];
    let mut next = 0;
    while let Some(role) = kin.get(next).copied() {
        let links = f.catalog.memberships.iter().map(|m| (m.role, m.member)).flat_map(|(a, b)| [(a, b), (b, a)]);
        let fresh: BTreeSet<Oid> = links.filter(|(a, b)| *a == role && !kin.contains(b)).map(|(_, b)| b).collect();
        kin.extend(fresh);
        next += 1;
    }
    finding.fix.iter().flatten().any(|change| match change {
        Change::Revoke { privileges, on: On::Schema(_), from: Grantee::Role(from), .. } => {
            privileges.contains(Privilege::Usage) && from != holder && kin.contains(&f.role_oid(from))
        }
        // it could enter by SET ROLE
        Change::RevokeRole { member, .. } => kin.contains(&f.role_oid(member)),
        Change::SetSchemaOwner { schema, .. } => {
            f.catalog.schemas.iter().any(|s| s.name == *schema && kin.contains(&s.owner))
        }
        _ => false,
    })
}

proptest! {
    #![proptest_config(arbitrary::cases())]
    #[test]
    fn a_fix_removes_its_finding_and_adds_none(f in arbitrary::databases()) {
        let f = f.policy(POLICY);
        let before = findings(&f);
        for finding in before.iter().filter(|f| f.fix.is_some()) {
            let mut after = f.clone();
            for change in finding.fix.iter().flatten() {
                if let Err(refused) = apply(&mut after, change) {
                    prop_assert!(false, "{}: {change:?} is refused: {refused}", finding.id);
                }
            }
            let left = findings(&after);
            prop_assert!(!ids(&left).contains(&finding.id), "{} stays after {:?}", finding.id, finding.fix);
            let known = ids(&before);
            // what a group is given, its members get, those too whom the policy does not name
            let member = |f: &Finding| f.code == "undeclared-access" && f.schema.is_none();
            // and a creator's global defaults begin to matter where it gets a schema to create in
            let set_up = matches!(finding.code, "schema-missing" | "role-missing");
            let matters = |f: &Finding| set_up && f.code == "default-privilege-excess" && f.schema.is_none();
            // and what a role holds lies dead once nobody may enter the schema who could use it
            let idle = |dead: &Finding| dead.code == "grant-dead" && loses_entry(&f, finding, dead);
            let fresh = left.iter().filter(|f| !known.contains(&f.id) && !member(f) && !matters(f) && !idle(f));
            let new: Vec<_> = fresh.map(|f| &f.message).collect();
            prop_assert!(new.is_empty(), "{} after {:?} brings {new:?}", finding.id, finding.fix);
        }
    }
}
