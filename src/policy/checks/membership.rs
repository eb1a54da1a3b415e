//! `membership-excess`, `membership-missing`: groups that a declared role is in and should not be, or the reverse.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write as _,
};

use super::{
    Check, Code, Context,
    by_set_role::{self, Gain, NAMED},
    declared::Declared,
    entries,
    role_overprivileged::{danger, revoke},
};
use crate::{
    domain::{
        ObjectKind, Privileges,
        change::Change,
        closure::{get, or_into},
        effective::{Row, Rows, Who},
        privilege::Acl,
        snapshot::{Membership, Role},
    },
    policy::{
        Finding, Group, Severity,
        desired::{Desired, KINDS, Rights},
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
    let desired = entries::desired(ctx).filter(|_| by_set_role::any(ctx));
    for of in declared.iter().filter(|d| !d.role.superuser) {
        for membership in by_member.get(&of.role.oid).into_iter().flatten() {
            let Some(group) = ctx.matrix.index.role(membership.role) else { continue };
            let Some(role) = ctx.catalog.roles.get(group) else { continue };
            if of.member_of.is_none_or(|list| !list.contains(&role.name)) && danger(ctx, membership).is_none() {
                let becomes = |d: &Desired| by_set_role::becomes(&ctx.matrix.closure, d, of.position, membership);
                candidates.push(Candidate {
                    of,
                    membership,
                    group,
                    role,
                    becomes: desired.map(becomes).unwrap_or_default(),
                    gives: Gain::default(),
                    by_set_role: Gain::default(),
                });
            }
        }
    }
    if !candidates.is_empty() {
        let wanted = wanted(ctx);
        let inherited = candidates.iter().filter(|c| c.membership.inherit).map(|c| c.group);
        let reach =
            by_set_role::reached(ctx, inherited.chain(candidates.iter().flat_map(|c| c.becomes.iter().copied())));
        for candidate in &mut candidates {
            let mine = of_role(ctx, &wanted, candidate.of.position);
            if let Some(schemas) = reach.get(&candidate.group).filter(|_| candidate.membership.inherit) {
                give(ctx, candidate, schemas, &mine);
            }
            if let Some(desired) = desired.filter(|_| !candidate.becomes.is_empty()) {
                candidate.by_set_role =
                    by_set_role::gain(ctx, desired, candidate.of.position, &candidate.becomes, &reach);
            }
            out.extend(excess(ctx, candidate, &mine));
        }
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
    /// Roles that the member becomes through it by SET ROLE, and whose rights it has not without.
    becomes: Vec<usize>,
    /// Where the group's rights are more than the role may have.
    gives: Gain,
    /// The same for what it may become.
    by_set_role: Gain,
}

/// Schemas that the policy names in which each group holds anything other than through PUBLIC, ascending; by bits.
pub(super) fn reach(ctx: &Context<'_>, groups: &BTreeSet<usize>) -> HashMap<usize, Vec<usize>> {
    let mut reach: HashMap<usize, Vec<usize>> = HashMap::new();
    let Some(desired) = ctx.judge.desired() else { return reach };
    let mut rows = Rows::default();
    let mut any = Vec::new();
    for schema in 0..ctx.catalog.schemas.len() {
        if !desired.names_schema(schema) || !desired.is_judged(schema) {
            continue;
        }
        ctx.matrix.rows(ctx.catalog, schema, &mut rows);
        any.clear();
        any.resize(ctx.catalog.roles.len().div_ceil(64), 0);
        for kind in KINDS {
            for p in kind.all(ctx.matrix.version_num).iter() {
                or_into(
                    &mut any,
                    rows.row(if kind == ObjectKind::Schema { Row::Schema(p) } else { Row::Any(kind, p) }),
                );
            }
        }
        for group in groups.iter().filter(|g| get(&any, **g)) {
            reach.entry(*group).or_default().push(schema);
        }
    }
    reach
}

/// Fills in what a membership gives beyond the policy. `schemas` are those in which the group holds anything, `wanted`
/// those in which something is declared for the role; everywhere else all of it is too much.
fn give(ctx: &Context<'_>, candidate: &mut Candidate<'_>, schemas: &[usize], wanted: &[usize]) {
    let declared = wanted.iter().filter(|s| schemas.binary_search(s).is_ok());
    let harmless: Vec<usize> = declared.copied().filter(|s| gives(ctx, candidate, *s).is_empty()).collect();
    let shown = schemas.iter().copied().filter(|s| !harmless.contains(s)).take(NAMED);
    let shown: Vec<(usize, Rights)> = shown.map(|s| (s, gives(ctx, candidate, s))).collect();
    let more = (schemas.len() - harmless.len()).saturating_sub(shown.len());
    candidate.gives = Gain { roles: Vec::new(), schemas: shown, more };
}

/// What the group holds in a schema and the role may not.
fn gives(ctx: &Context<'_>, candidate: &Candidate<'_>, schema: usize) -> Rights {
    let Some(of) = ctx.catalog.schemas.get(schema) else { return Rights::NONE };
    let group = candidate.group;
    let mut held = rights(ObjectKind::Schema, ctx.matrix.own_rights(group, ObjectKind::Schema, of.owner, &of.acl));
    for g in ctx.matrix.groups(ctx.catalog, schema).filter(|g| !g.extension) {
        let kind = g.kind.object_kind();
        held = held.union(rights(kind, ctx.matrix.own_rights(group, kind, g.owner, &g.acl)));
    }
    let role = candidate.of.position;
    let want = ctx.judge.desired().and_then(|d| d.want(role, schema));
    let gives = minus(held, want.map_or(Rights::NONE, |w| w.allowed));
    if gives.is_empty() || want.is_none_or(|w| !w.excepted) {
        return gives;
    }
    // exceptions speak of single objects: counted exactly
    let excess = ctx.judge.cell(Who::Role(role), schema).excess;
    let excess = excess.iter().fold(Rights::NONE, |all, d| all.union(rights(d.kind, d.privilege.into())));
    minus(gives, minus(gives, excess))
}

fn minus(a: Rights, b: Rights) -> Rights {
    Rights {
        schema: a.schema.minus(b.schema),
        tables: a.tables.minus(b.tables),
        sequences: a.sequences.minus(b.sequences),
        routines: a.routines.minus(b.routines),
    }
}

pub(super) fn rights(kind: ObjectKind, privileges: Privileges) -> Rights {
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
            by_role.entry(role).or_default().push(schema);
        }
    }
    by_role
}

/// Schemas in which something is declared for a role or for a group of its declared memberships; ascending.
fn of_role(ctx: &Context<'_>, wanted: &HashMap<usize, Vec<usize>>, role: usize) -> Vec<usize> {
    let Some(desired) = ctx.judge.desired() else { return Vec::new() };
    if desired.allows_everywhere(role) {
        return (0..ctx.catalog.schemas.len()).collect();
    }
    let sources = std::iter::once(role).chain(desired.groups_of(role).iter().copied());
    let mut schemas: Vec<usize> = sources.filter_map(|r| wanted.get(&r)).flatten().copied().collect();
    schemas.sort_unstable();
    schemas.dedup();
    schemas
}

/// A membership that the policy rules out by its list, or that gives more than the policy allows.
fn excess(ctx: &Context<'_>, candidate: &Candidate<'_>, wanted: &[usize]) -> Option<Finding> {
    let Candidate { of, membership, group: position, role: group, gives, by_set_role, .. } = candidate;
    if of.member_of.is_none() && gives.is_empty() && by_set_role.is_empty() {
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
    let (mut short, mut long) = match (gives.is_empty(), by_set_role.is_empty()) {
        (true, true) => (String::new(), String::new()),
        (true, false) => (", which gives it too much".to_owned(), ", which gives it".to_owned()),
        (false, _) => (
            format!(", which gives it too much in {}", gives.places(ctx)),
            format!(", which gives it {}", gives.details(ctx)),
        ),
    };
    if !by_set_role.is_empty() {
        let (join, way) = (if gives.is_empty() { "" } else { ", and" }, by_set_role.way());
        let _ = write!(short, "{join} by {way} in {}", by_set_role.places(ctx));
        let _ = write!(long, "{join} by {way} {}", by_set_role.details(ctx));
    }
    finding.observed = format!("member of {}{long}", group.name);
    finding.message = format!("{} is a member of {}{short}.", of.name, group.name);
    if needed(ctx, of.position, *position, wanted) {
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
pub(super) fn words(rights: Rights) -> String {
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

    /// `noinh` reaches what engarde_user may only by SET ROLE, on servers before and from 16.
    fn only_by_set_role(more: &str) -> Fixture {
        let policy = format!(
            "[[service]]\nname='engarde'\nschema='public'\nrole='engarde_user'\n\
             [[service]]\nname='onside'\nschema='onside'\nrole='onside_user'\n[[role]]\nname='noinh'\n{more}"
        );
        let f = fixture("").role("noinh").policy(&policy);
        f.membership("engarde_user", "noinh", |m| m.inherit = false)
    }

    #[test]
    fn what_comes_by_set_role_alone_is_too_much() {
        for version in [150_000, 160_000] {
            let found = only_by_set_role("").version(version).case().only(EXCESS.code);
            assert_eq!(found.id, "membership-excess:noinh:engarde_user");
            assert_eq!(
                found.message,
                "noinh is a member of engarde_user, which gives it too much by SET ROLE to engarde_user in public."
            );
            assert!(found.observed.contains("SELECT") && found.observed.contains("SET ROLE"), "{}", found.observed);
            let end = Change::RevokeRole { role: "engarde_user".into(), member: "noinh".into(), grantor: None };
            assert_eq!(found.fix, Some(vec![end]));
        }
        // the role of another service is held against its own rule
        let f = fixture("").membership("engarde_user", "onside_user", |m| m.inherit = false);
        assert_eq!(f.case().only(EXCESS.code).id, "membership-excess:onside_user:engarde_user");
        // and further on, through a group that is inherited
        let f = fixture("").group("team").member("team", "onside_user");
        let f = f.membership("engarde_user", "team", |m| m.inherit = false);
        let found = f.case().only(EXCESS.code);
        assert_eq!(found.id, "membership-excess:onside_user:team");
        assert!(found.message.contains("by SET ROLE to engarde_user in public"), "{}", found.message);
    }

    #[test]
    fn set_role_to_what_is_declared_or_gives_nothing_is_not_accused() {
        let quiet = |f: Fixture| assert_eq!(f.case().of(EXCESS.code), vec![]);
        quiet(only_by_set_role("member_of=['engarde_user']\n"));
        quiet(only_by_set_role("access={public=['all']}\n"));
        let all = "'USAGE','CREATE','SELECT','INSERT','UPDATE','DELETE','TRUNCATE','REFERENCES','TRIGGER'";
        let excepted = format!("[[exception]]\nrole='noinh'\nschema='public'\nprivileges=[{all}]\nreason='repairs'\n");
        quiet(only_by_set_role(&excepted));
        // a group that holds nothing, one that holds what the policy does not name, one that is not for SET ROLE
        let idle = fixture("").group("team").membership("team", "onside_user", |m| m.inherit = false);
        quiet(idle.clone());
        quiet(idle.schema("scratch", "team"));
        let closed = fixture("").version(160_000);
        quiet(closed.membership("engarde_user", "onside_user", |m| (m.inherit, m.set) = (false, false)));
        // what everybody may do in `public` is nobody's gain
        let usage =
            fixture("").group("team").grant_schema("public", "team", "USAGE").grant_schema("public", "PUBLIC", "USAGE");
        quiet(usage.membership("team", "onside_user", |m| m.inherit = false));
        // above grants stands another finding
        let f = fixture("").group("admins").member("postgres", "admins");
        let f = f.membership("admins", "onside_user", |m| m.inherit = false);
        let case = f.case();
        assert_eq!((case.of(EXCESS.code), case.of("role-overprivileged").len()), (vec![], 1));
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
