//! `membership-excess`, `membership-missing`: groups that a declared role is in and should not be, or the reverse.

use std::collections::{BTreeMap, HashMap};

use super::{
    Check, Code, Context,
    declared::Declared,
    role_overprivileged::{danger, revoke},
};
use crate::{
    domain::{
        ObjectKind, Privileges,
        change::Change,
        effective::Who,
        privilege::Acl,
        snapshot::{Membership, Role},
    },
    policy::{Finding, Group, Severity, versions::and},
};

pub const CHECK: Check = Check { codes: &[EXCESS, MISSING], slow: false, without_policy: false, run };

const EXCESS: Code = Code {
    code: "membership-excess",
    group: Group::Roles,
    severity: Severity::Error,
    why: "A member has what its group has, in every schema and for every table to come; no revoke on an object ends it.",
};

const MISSING: Code = Code {
    code: "membership-missing",
    group: Group::Roles,
    severity: Severity::Error,
    why: "What the policy gives through the group does not reach the role.",
};

/// Schemas whose cell differs from the policy, by role; positions in the catalog.
type Differing = HashMap<usize, Vec<usize>>;

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    let mut differing = None;
    for of in ctx.declared() {
        for membership in ctx.catalog.memberships.iter().filter(|m| m.member == of.role.oid && !of.role.superuser) {
            if let Some(group) = ctx.catalog.role(membership.role) {
                out.extend(excess(ctx, &of, membership, group, &mut differing));
            }
        }
        for group in of.member_of.unwrap_or_default() {
            out.extend(missing(ctx, &of, group));
        }
    }
}

/// A membership that the policy rules out by its list, or that gives more than the policy allows.
fn excess(
    ctx: &Context<'_>,
    of: &Declared<'_>,
    membership: &Membership,
    group: &Role,
    differing: &mut Option<Differing>,
) -> Option<Finding> {
    if of.member_of.is_some_and(|declared| declared.contains(&group.name)) || danger(ctx, membership).is_some() {
        return None;
    }
    let position = ctx.matrix.index.role(group.oid)?;
    let gives = if membership.inherit {
        // the whole matrix is compared once, and only the cells that differ are counted
        let differing = differing.get_or_insert_with(|| {
            let mut by_role = Differing::new();
            for (role, schema) in ctx.judge.differing() {
                by_role.entry(role).or_default().push(schema);
            }
            by_role
        });
        given(ctx, of.position, position, differing.get(&of.position).map(Vec::as_slice).unwrap_or_default())
    } else {
        Vec::new()
    };
    if of.member_of.is_none() && gives.is_empty() {
        return None;
    }
    let mut finding = ctx.draft(&EXCESS);
    finding.id = format!("{}:{}:{}", EXCESS.code, of.name, group.name);
    finding.service = of.service.map(|s| s.name.clone());
    finding.role = Some(of.name.to_owned());
    finding.object = Some(group.name.clone());
    finding.via = Some(format!("member:{}", group.name));
    finding.expected = match of.member_of {
        Some([]) => "no membership".to_owned(),
        Some(declared) => format!("member of {} only", declared.join(", ")),
        None => "no more access than declared".to_owned(),
    };
    let schemas: Vec<&str> = gives.iter().map(|(schema, _)| schema.as_str()).collect();
    let details: Vec<String> = gives.iter().map(|(schema, what)| format!("in {schema} {what}")).collect();
    let (short, long) = if gives.is_empty() {
        (String::new(), String::new())
    } else {
        (format!(", which gives it too much in {}", and(&schemas)), format!(", which gives it {}", details.join("; ")))
    };
    finding.observed = format!("member of {}{long}", group.name);
    finding.message = format!("{} is a member of {}{short}.", of.name, group.name);
    if needed(ctx, of.position, position) {
        finding.remedy = format!(
            "Some of what {} needs comes only through {}: grant that first, then revoke the membership.",
            of.name, group.name
        );
    } else {
        finding.remedy = format!("Revoke {} from {}, or declare it under member_of.", group.name, of.name);
        finding.fix = Some(vec![revoke(ctx, membership, &group.name, of.name)]);
    }
    Some(finding)
}

/// What the role has beyond the policy that the group has too: schemas, and a few words for each.
fn given(ctx: &Context<'_>, role: usize, group: usize, schemas: &[usize]) -> Vec<(String, String)> {
    let mut words = Vec::new();
    for i in schemas.iter().copied() {
        let Some(schema) = ctx.catalog.schemas.get(i) else { continue };
        let excess = ctx.judge.cell(Who::Role(role), i).excess;
        if excess.is_empty() {
            continue;
        }
        let cell = ctx.matrix.cell(ctx.catalog, Who::Role(group), i);
        let mut by_kind: BTreeMap<ObjectKind, Privileges> = BTreeMap::new();
        for difference in excess {
            let has = match difference.kind {
                ObjectKind::Schema => cell.schema().contains(difference.privilege),
                kind => cell.counts(kind).of(difference.privilege) > 0,
            };
            if has {
                by_kind.entry(difference.kind).or_default().insert(difference.privilege);
            }
        }
        let kinds: Vec<String> = by_kind
            .iter()
            .map(|(kind, privileges)| match kind {
                ObjectKind::Schema => format!("{privileges} on the schema"),
                kind => format!("{privileges} on {}", kind.plural()),
            })
            .collect();
        if !kinds.is_empty() {
            words.push((schema.name.clone(), kinds.join(", ")));
        }
    }
    words
}

/// True when something that the policy requires of the role reaches it only through the group.
fn needed(ctx: &Context<'_>, role: usize, group: usize) -> bool {
    let Some(desired) = ctx.judge.desired() else { return false };
    let closure = &ctx.matrix.closure;
    let without = |grantee| {
        closure.position(grantee).is_some_and(|g| closure.path(role, g, |e| e.inherit && e.role != group).is_some())
    };
    let only = |kind: ObjectKind, owner, acl: &Acl, required: Privileges| {
        let held = ctx.matrix.rights(ctx.catalog, Who::Role(role), kind, owner, acl).and(required);
        let in_force = acl.in_force(kind, owner, ctx.matrix.version_num);
        let rest = in_force.entries().iter().filter(|e| e.is_public() || without(e.grantee));
        !rest.fold(Privileges::NONE, |a, e| a | e.privileges).contains_all(held)
    };
    ctx.catalog.schemas.iter().enumerate().any(|(i, schema)| {
        desired.want(role, i).is_some_and(|want| {
            only(ObjectKind::Schema, schema.owner, &schema.acl, want.required.of(ObjectKind::Schema))
                || ctx.matrix.groups(ctx.catalog, i).any(|g| {
                    let kind = g.kind.object_kind();
                    only(kind, g.owner, &g.acl, want.required.of(kind))
                })
        })
    })
}

fn missing(ctx: &Context<'_>, of: &Declared<'_>, group: &str) -> Option<Finding> {
    let position = ctx.matrix.index.role_named(group);
    if position.is_some_and(|g| ctx.matrix.closure.inherits(of.position, g)) {
        return None;
    }
    let mut finding = ctx.draft(&MISSING);
    finding.id = format!("{}:{}:{group}", MISSING.code, of.name);
    finding.service = of.service.map(|s| s.name.clone());
    finding.role = Some(of.name.to_owned());
    finding.object = Some(group.to_owned());
    finding.expected = format!("member of {group}");
    let Some(position) = position else {
        finding.observed = format!("there is no role {group}");
        finding.message = format!("{} should be a member of {group}, which does not exist.", of.name);
        finding.remedy = format!("Create {group}, or take it out of member_of.");
        return Some(finding);
    };
    if ctx.matrix.closure.path(of.position, position, |_| true).is_some() {
        finding.observed = "member without inheritance".into();
        finding.message =
            format!("{} is in {group}, but does not inherit: it has the group's rights only after SET ROLE.", of.name);
        finding.remedy = if ctx.snapshot.server.version_num >= 160_000 {
            format!("Grant it again WITH INHERIT TRUE: GRANT {group} TO {} WITH INHERIT TRUE.", of.name)
        } else {
            format!("Let {} inherit (ALTER ROLE … INHERIT): before 16 that holds for all its groups.", of.name)
        };
        return Some(finding);
    }
    finding.observed = "not a member".into();
    finding.message = format!("{} should be a member of {group} and is not.", of.name);
    finding.remedy = format!("Grant {group} to {}.", of.name);
    finding.fix = Some(vec![Change::GrantRole { role: group.to_owned(), member: of.name.to_owned() }]);
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::checks::fixture::Fixture;

    fn fixture(onside: &str) -> Fixture {
        let policy = format!(
            "[[service]]\nname='engarde'\nschema='public'\nrole='engarde_user'\n\
             [[service]]\nname='onside'\nschema='onside'\nrole='onside_user'\n{onside}\n\
             [[role]]\nname='monitor_user'\nmember_of=['pg_monitor']\n"
        );
        Fixture::new()
            .role("engarde_user")
            .role("onside_user")
            .role("monitor_user")
            .schema("onside", "onside_user")
            .table("public", "campaigns", "engarde_user")
            .table("onside", "items", "onside_user")
            .member("pg_monitor", "monitor_user")
            .policy(&policy)
    }

    #[test]
    fn declared_and_harmless_memberships_are_not_accused() {
        let f = fixture("").member("pg_monitor", "onside_user");
        let case = f.case();
        assert_eq!(case.of(EXCESS.code), vec![], "nothing is declared, and it gives nothing in any schema");
        assert_eq!(case.of(MISSING.code), vec![]);
        assert_eq!(
            fixture("member_of=['engarde_user']").member("engarde_user", "onside_user").case().of(EXCESS.code),
            vec![]
        );
    }

    #[test]
    fn a_membership_that_gives_too_much_is_one_finding() {
        let found = fixture("").member("engarde_user", "onside_user").case().only(EXCESS.code);
        assert_eq!(found.id, "membership-excess:onside_user:engarde_user");
        assert!(found.observed.contains("in public") && found.observed.contains("INSERT"), "{}", found.observed);
        assert_eq!(
            found.fix,
            Some(vec![Change::RevokeRole { role: "engarde_user".into(), member: "onside_user".into(), grantor: None }])
        );
    }

    #[test]
    fn a_list_that_leaves_a_group_out_rules_it_out() {
        let f = fixture("member_of=[]").group("team").member("team", "onside_user");
        assert_eq!(f.case().only(EXCESS.code).expected, "no membership");
    }

    #[test]
    fn what_the_role_needs_from_the_group_is_not_taken_away() {
        // everything onside_user may do in its own schema comes through the group
        let f = fixture("").group("team").member("team", "onside_user").grant("public.campaigns", "team", "SELECT");
        let f = f.grant("onside.items", "team", "SELECT").grant_schema("public", "team", "USAGE");
        let f = f.revoke("onside.items", "onside_user", "SELECT");
        let found = f.case().only(EXCESS.code);
        assert!(found.fix.is_none() && found.remedy.contains("grant that first"), "{found:#?}");
    }

    #[test]
    fn a_missing_membership_is_granted_or_explained() {
        let mut f = fixture("");
        f.catalog.memberships.clear();
        let found = f.clone().case().only(MISSING.code);
        let grant = Change::GrantRole { role: "pg_monitor".into(), member: "monitor_user".into() };
        assert_eq!(found.fix, Some(vec![grant]));
        let found = f.membership("pg_monitor", "monitor_user", |m| m.inherit = false).case().only(MISSING.code);
        assert!(found.fix.is_none() && found.observed.contains("without inheritance"));
    }
}
