//! `membership-excess`, `membership-missing`: groups that a declared role is in and should not be, or the reverse.

use std::collections::HashMap;

use super::{
    Check, Code, Context,
    declared::{Declared, count},
    role_overprivileged::{danger, revoke},
};
use crate::{
    domain::{
        ObjectKind, Privileges,
        change::Change,
        closure::get,
        effective::{Row, Rows, Who},
        privilege::Acl,
        snapshot::{Membership, Role},
    },
    policy::{
        Finding, Group, Severity,
        desired::{KINDS, Rights},
        versions::and,
    },
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

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    let by_member = ctx.memberships();
    let declared = ctx.declared();
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for of in declared.iter().filter(|d| !d.role.superuser) {
        for membership in by_member.get(&of.role.oid).into_iter().flatten() {
            let Some(group) = ctx.matrix.index.role(membership.role) else { continue };
            let Some(role) = ctx.catalog.roles.get(group) else { continue };
            if of.member_of.is_none_or(|list| !list.contains(&role.name)) && danger(ctx, membership).is_none() {
                candidates.push(Candidate { of, membership, group, role, gives: Vec::new() });
            }
        }
    }
    if !candidates.is_empty() {
        give(ctx, &mut candidates);
        let wanted = wanted(ctx);
        out.extend(candidates.iter().filter_map(|c| excess(ctx, c, &wanted)));
    }
    for of in &declared {
        for group in of.member_of.unwrap_or_default() {
            out.extend(missing(ctx, of, group));
        }
    }
}

/// An undeclared membership of a declared role.
struct Candidate<'a> {
    of: &'a Declared<'a>,
    membership: &'a Membership,
    /// Position of the group.
    group: usize,
    role: &'a Role,
    /// Positions of schemas, and what of the group's rights there is more than the role may have.
    gives: Vec<(usize, Rights)>,
}

/// Fills in what each membership gives beyond the policy: one pass over the schemas, by bits.
fn give(ctx: &Context<'_>, candidates: &mut [Candidate<'_>]) {
    let Some(desired) = ctx.judge.desired() else { return };
    let mut by_role: HashMap<usize, Vec<usize>> = HashMap::new();
    for (i, candidate) in candidates.iter().enumerate().filter(|(_, c)| c.membership.inherit) {
        by_role.entry(candidate.of.position).or_default().push(i);
    }
    let known = Rights::all(ctx.matrix.version_num);
    let mut rows = Rows::default();
    let mut current = None;
    // what each group holds in the current schema
    let mut held: HashMap<usize, Rights> = HashMap::new();
    for (role, schema) in ctx.judge.differing() {
        let Some(mine) = by_role.get(&role).filter(|_| desired.names_schema(schema)) else { continue };
        if current != Some(schema) {
            ctx.matrix.rows(ctx.catalog, schema, &mut rows);
            held.clear();
            current = Some(schema);
        }
        let want = desired.want(role, schema);
        let mut counted = None;
        for i in mine {
            let Some(candidate) = candidates.get_mut(*i) else { continue };
            let held = *held.entry(candidate.group).or_insert_with(|| holds(&rows, candidate.group, known));
            let mut gives = minus(held, want.map_or(Rights::NONE, |w| w.allowed));
            if want.is_some_and(|w| !w.exceptions.is_empty()) && !gives.is_empty() {
                // exceptions speak of single objects: counted exactly
                let excess = counted.get_or_insert_with(|| {
                    let cell = ctx.judge.cell(Who::Role(role), schema);
                    cell.excess.iter().fold(Rights::NONE, |a, d| a.union(rights(d.kind, d.privilege.into())))
                });
                gives = minus(gives, minus(gives, *excess));
            }
            if !gives.is_empty() {
                candidate.gives.push((schema, gives));
            }
        }
    }
}

/// Rights that a group holds on anything in the schema of the rows, PUBLIC's share left out.
fn holds(rows: &Rows, group: usize, known: Rights) -> Rights {
    let held = |kind: ObjectKind| {
        let row = |p| if kind == ObjectKind::Schema { Row::Schema(p) } else { Row::Any(kind, p) };
        known.of(kind).iter().filter(|p| get(rows.row(row(*p)), group)).collect()
    };
    KINDS.into_iter().fold(Rights::NONE, |all, kind| all.union(rights(kind, held(kind))))
}

fn minus(a: Rights, b: Rights) -> Rights {
    Rights {
        schema: a.schema.minus(b.schema),
        tables: a.tables.minus(b.tables),
        sequences: a.sequences.minus(b.sequences),
        routines: a.routines.minus(b.routines),
    }
}

fn rights(kind: ObjectKind, privileges: Privileges) -> Rights {
    match kind {
        ObjectKind::Schema => Rights { schema: privileges, ..Rights::NONE },
        ObjectKind::Table => Rights { tables: privileges, ..Rights::NONE },
        ObjectKind::Sequence => Rights { sequences: privileges, ..Rights::NONE },
        ObjectKind::Routine => Rights { routines: privileges, ..Rights::NONE },
        ObjectKind::Database | ObjectKind::Type => Rights::NONE,
    }
}

/// Schemas in which something is declared, by role; positions.
fn wanted(ctx: &Context<'_>) -> HashMap<usize, Vec<usize>> {
    let mut by_role: HashMap<usize, Vec<usize>> = HashMap::new();
    let Some(desired) = ctx.judge.desired() else { return by_role };
    for schema in 0..ctx.catalog.schemas.len() {
        for role in desired.roles_of(schema) {
            by_role.entry(*role).or_default().push(schema);
        }
    }
    by_role
}

/// How many schemas a sentence names.
const NAMED: usize = 6;

/// A membership that the policy rules out by its list, or that gives more than the policy allows.
fn excess(ctx: &Context<'_>, candidate: &Candidate<'_>, wanted: &HashMap<usize, Vec<usize>>) -> Option<Finding> {
    let Candidate { of, membership, group: position, role: group, gives } = candidate;
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
    let name = |schema: usize| ctx.catalog.schemas.get(schema).map_or("", |s| s.name.as_str());
    let mut schemas: Vec<&str> = gives.iter().take(NAMED).map(|(schema, _)| name(*schema)).collect();
    let mut details: Vec<String> =
        gives.iter().take(NAMED).map(|(schema, rights)| format!("in {} {}", name(*schema), words(*rights))).collect();
    let more = gives.len().saturating_sub(NAMED);
    let others = count(more, "other schema");
    if more > 0 {
        schemas.push(&others);
        details.push(format!("and in {others}"));
    }
    let (short, long) = if gives.is_empty() {
        (String::new(), String::new())
    } else {
        (format!(", which gives it too much in {}", and(&schemas)), format!(", which gives it {}", details.join("; ")))
    };
    finding.observed = format!("member of {}{long}", group.name);
    finding.message = format!("{} is a member of {}{short}.", of.name, group.name);
    if needed(ctx, of.position, *position, wanted.get(&of.position).map(Vec::as_slice).unwrap_or_default()) {
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

/// `USAGE on the schema, SELECT on tables`
fn words(rights: Rights) -> String {
    let kinds = KINDS.into_iter().filter(|k| !rights.of(*k).is_empty());
    let parts: Vec<String> = kinds
        .map(|kind| match kind {
            ObjectKind::Schema => format!("{} on the schema", rights.schema),
            kind => format!("{} on {}", rights.of(kind), kind.plural()),
        })
        .collect();
    parts.join(", ")
}

/// True when something that the policy requires of the role reaches it only through the group.
fn needed(ctx: &Context<'_>, role: usize, group: usize, schemas: &[usize]) -> bool {
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
    schemas.iter().copied().any(|i| {
        let Some(schema) = ctx.catalog.schemas.get(i) else { return false };
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
