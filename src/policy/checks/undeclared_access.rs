//! `undeclared-access`: a role or a schema that the policy does not name, with access. Per role and schema where the role
//! has entries of its own or owns something; what it has only through memberships is one finding per role, and what only
//! SET ROLE gives it one per membership.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{
    Check, Code, Context, by_set_role,
    entries::{self, Revocation},
    grant_column_excess,
    role_overprivileged::revoke,
};
use crate::{
    domain::{
        ObjectKind, Privileges,
        closure::{get, ones},
        effective::{Via, Who},
        snapshot::Membership,
    },
    policy::{
        Finding, Group, Severity, Undeclared,
        desired::{Desired, KINDS, Rights},
    },
    text,
};

pub const CODE: Code = Code {
    code: "undeclared-access",
    group: Group::Grants,
    severity: Severity::Warning,
    why: "Nobody has said that this should be; whoever reviews the policy cannot see it there.",
};

pub const CHECK: Check = Check { codes: &[CODE], slow: false, without_policy: false, run };

fn run(context: &Context<'_>, out: &mut Vec<Finding>) {
    let Some(desired) = entries::desired(context).filter(|d| d.undeclared != Undeclared::Ignore) else { return };
    let mut inherited: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut bits = Vec::new();
    for position in 0..context.catalog.schemas.len() {
        if !desired.is_judged(position) {
            continue;
        }
        let named = desired.names_schema(position);
        let all_named = desired.named_bits.iter().zip(&desired.compared).all(|(n, c)| c & !n == 0);
        if named && all_named {
            continue;
        }
        context.judge.with_access(position, &mut bits);
        for role in ones(&bits) {
            if !desired.compares(role) || (named && get(&desired.named_bits, role)) {
                continue;
            }
            if own(context, role, position) {
                out.extend(finding(context, desired, role, position));
            }
            if !desired.names_role(role) && by_others(context, role, position) {
                inherited.entry(role).or_default().push(position);
            }
        }
    }
    for (role, schemas) in inherited {
        out.push(through_others(context, role, &schemas));
    }
    if by_set_role::any(context) {
        through_set_role(context, desired, out);
    }
    grant_column_excess::undeclared(context, out);
}

/// Memberships of roles that the policy does not name through which they become, by SET ROLE, what holds something.
fn through_set_role(context: &Context<'_>, desired: &Desired, out: &mut Vec<Finding>) {
    struct Way<'a> {
        becomes: Vec<usize>,
        memberships: Vec<&'a Membership>,
    }
    // from 16 on one membership may be granted by several
    let mut ways: BTreeMap<(usize, usize), Way<'_>> = BTreeMap::new();
    for membership in context.catalog.memberships.iter().filter(|m| m.set) {
        let position = |oid| context.matrix.closure.position(oid);
        let (Some(member), Some(group)) = (position(membership.member), position(membership.role)) else { continue };
        if !desired.compares(member) || desired.names_role(member) {
            continue;
        }
        let becomes = by_set_role::becomes(&context.matrix.closure, desired, member, membership);
        if !becomes.is_empty() {
            let way = ways.entry((member, group)).or_insert_with(|| Way { becomes, memberships: Vec::new() });
            way.memberships.push(membership);
        }
    }
    let reach = by_set_role::reached(context, ways.values().flat_map(|way| way.becomes.iter().copied()));
    for ((member, group), way) in ways {
        let gain = by_set_role::gain(context, desired, member, &way.becomes, &reach);
        if gain.is_empty() {
            continue;
        }
        let (name, group) = (entries::role_name(context, member), entries::role_name(context, group));
        let mut f = context.draft(&CODE);
        f.id = format!("{}:{name}:member:{group}", CODE.code);
        f.observed = format!("member of {group}, by {} {}", gain.way(), gain.details(context));
        f.expected = "a rule in the policy, or no membership".into();
        f.message = format!(
            "The policy does not name {name}, a member of {group}: by {} it has access to {}.",
            gain.way(),
            gain.places(context)
        );
        f.remedy = format!("Declare {name} as a [[role]] with its `member_of`, or revoke {group} from {name}.");
        f.via = Some(format!("member:{group}"));
        f.object = Some(group.clone());
        // what is inherited as well may be needed by members of the member
        if desired.undeclared == Undeclared::Revoke && way.memberships.iter().all(|m| !m.inherit) {
            f.fix = Some(way.memberships.iter().map(|m| revoke(context, m, &group, &name)).collect());
        }
        f.role = Some(name);
        out.push(f);
    }
}

/// Entries for the role itself, as owner too.
fn own(context: &Context<'_>, role: usize, position: usize) -> bool {
    let oid = entries::oid_of(context, Who::Role(role));
    entries::lists(context, position).any(|l| l.owner == oid || !entries::direct(context, &l, oid).is_empty())
}

/// Entries for roles whose privileges this one inherits, and predefined roles.
fn by_others(context: &Context<'_>, role: usize, position: usize) -> bool {
    let closure = &context.matrix.closure;
    let inherits = |group: usize| group != role && closure.inherits(role, group);
    let predefined = ["pg_read_all_data", "pg_write_all_data"];
    predefined.iter().filter_map(|n| context.matrix.index.role_named(n)).any(inherits)
        || entries::lists(context, position).any(|list| {
            let in_force = list.acl.in_force(list.kind, list.owner, context.matrix.version_num);
            let mut held = in_force.entries().iter().filter(|e| !e.is_public() && !e.privileges.is_empty());
            held.any(|e| closure.position(e.grantee).is_some_and(inherits))
        })
}

fn finding(context: &Context<'_>, desired: &Desired, role: usize, position: usize) -> Option<Finding> {
    let (schema, name) = (entries::schema(context, position)?, entries::role_name(context, role));
    let oid = entries::oid_of(context, Who::Role(role));
    let excess = entries::excess(context, Who::Role(role), position, Rights::NONE, &[]);
    let mut f = context.draft(&CODE);
    f.id = format!("{}:{name}:{}", CODE.code, schema.name);
    f.service = entries::service_of(context, desired, position);
    let mut parts: Vec<String> = Vec::new();
    if schema.owner == oid {
        parts.push("owner of the schema".to_owned());
    }
    let owned: u32 = entries::lists(context, position)
        .filter(|l| l.kind != ObjectKind::Schema && l.owner == oid)
        .map(|l| l.count)
        .sum();
    if owned > 0 {
        parts.push(format!("owner of {}", text::count(u64::from(owned), "object", "objects")));
    }
    for kind in KINDS {
        // those that are held on as many objects are told together, the most first
        let mut shares: BTreeMap<Reverse<(u32, u32)>, Privileges> = BTreeMap::new();
        for of in excess.iter().filter(|e| e.kind == kind) {
            shares.entry(Reverse((of.count, of.total))).or_insert(Privileges::NONE).insert(of.privilege);
        }
        parts.extend(shares.into_iter().map(|(Reverse((count, total)), of)| match kind {
            ObjectKind::Schema => format!("{of} on the schema"),
            _ => format!("{of} on {}", entries::share(count, total, kind)),
        }));
    }
    f.observed = parts.join("; ");
    f.expected = "a rule in the policy, or no access".into();
    let unnamed = match (desired.names_role(role), desired.names_schema(position)) {
        (false, true) => format!("role {name}"),
        (true, false) => format!("schema {}", schema.name),
        _ => format!("role {name} and schema {}", schema.name),
    };
    f.message =
        format!("{name} has access to {} ({}), and the policy does not name {unnamed}.", schema.name, f.observed);
    let names: Option<Vec<String>> = excess
        .iter()
        .filter(|e| e.kind != ObjectKind::Schema)
        .map(|e| e.names.clone())
        .collect::<Option<Vec<_>>>()
        .map(|lists| lists.into_iter().flatten().collect::<std::collections::BTreeSet<_>>().into_iter().collect());
    let most = excess.iter().filter(|e| e.kind != ObjectKind::Schema).map(|e| e.count).max().unwrap_or(0);
    let total = names.as_ref().map_or(u64::from(most), |n| n.len() as u64);
    entries::list_objects(&mut f, &schema.name, names.as_deref(), total);
    let owns = schema.owner == oid || owned > 0;
    f.remedy = if owns {
        "Declare it (`pgmoat policy derive` writes what is there), or give what it owns to a declared owner: no plan takes \
         anything from an owner that the policy does not name."
    } else {
        "Declare it (`pgmoat policy derive` writes what is there), or revoke it; with `undeclared = \"revoke\"` in the policy \
         `pgmoat plan` does."
    }
    .into();
    f.schema = Some(schema.name.clone());
    f.role = Some(name);
    f.via = Some(if excess.is_empty() { "owner" } else { "direct" }.to_owned());
    if desired.undeclared == Undeclared::Revoke && !owns {
        f.fix = excess
            .iter()
            .map(|e| {
                entries::revoke_from_role(
                    context,
                    desired,
                    role,
                    &Revocation {
                        who: Who::Role(role),
                        position,
                        kind: e.kind,
                        privileges: e.privilege.into(),
                        option_only: false,
                        names: e.names.as_deref(),
                        partial: false,
                    },
                )
            })
            .collect::<Option<Vec<_>>>()
            .map(|lists| lists.concat())
            .filter(|c| !c.is_empty());
    }
    Some(f)
}

fn through_others(context: &Context<'_>, role: usize, schemas: &[usize]) -> Finding {
    let name = entries::role_name(context, role);
    let mut via: Vec<String> = Vec::new();
    for position in schemas.iter().take(8) {
        for source in context.matrix.cell(context.catalog, Who::Role(role), *position).via {
            let word = source.to_string();
            if source != Via::Public && !via.contains(&word) {
                via.push(word);
            }
        }
    }
    let names: Vec<String> =
        schemas.iter().filter_map(|s| entries::schema(context, *s)).map(|s| s.name.clone()).collect();
    let mut f = context.draft(&CODE);
    f.id = format!("{}:{name}", CODE.code);
    f.observed = format!("access to {} through {}", text::list(&names, 5), text::list(&via, 3));
    f.expected = "a rule in the policy, or no membership".into();
    f.message = format!(
        "The policy does not name {name}, which has access to {} through {}.",
        text::list(&names, 5),
        text::list(&via, 3)
    );
    f.remedy = format!("Declare {name} as a [[role]] with its `member_of`, or end the membership.");
    f.via = via.into_iter().next();
    f.role = Some(name);
    f
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use crate::domain::change::Change;

    const POLICY: &str = "[[service]]\nname='s'\nschema='s'\nrole='app'\n";

    fn base() -> Fixture {
        Fixture::new().role("app").role("x").schema("s", "app").table("s", "a", "app").policy(POLICY)
    }

    #[test]
    fn a_stranger_with_a_grant_is_reported_once_per_schema() {
        let case = base().grant_schema("s", "x", "USAGE").grant("s.a", "x", "SELECT, INSERT").case();
        let f = case.only("undeclared-access");
        assert_eq!(f.id, "undeclared-access:x:s");
        assert_eq!(f.observed, "USAGE on the schema; SELECT, INSERT on 1 of 1 table");
        assert_eq!((f.fix, f.objects.as_slice()), (None, &["s.a".to_owned()][..]));
    }

    #[test]
    fn revoke_has_a_fix_and_ignore_is_silent() {
        let with = |word: &str| {
            base()
                .grant("s.a", "x", "SELECT")
                .policy(&format!("undeclared='{word}'\n{POLICY}"))
                .case()
                .of("undeclared-access")
        };
        assert!(with("revoke")[0].fix.is_some());
        assert!(with("ignore").is_empty());
    }

    #[test]
    fn a_schema_nobody_named_and_memberships_are_told() {
        let case = base().schema("scratch", "app").case();
        assert_eq!(case.only("undeclared-access").id, "undeclared-access:app:scratch");
        let case = base().schema("scratch", "postgres").member("app", "x").case();
        assert_eq!(case.only("undeclared-access").id, "undeclared-access:x");
    }

    #[test]
    fn privileges_are_told_with_the_objects_that_they_are_held_on() {
        let two = base().table("s", "b", "app").grant("s.a", "x", "SELECT, TRUNCATE").grant("s.b", "x", "SELECT");
        let found = two.case().only("undeclared-access");
        assert_eq!(found.observed, "SELECT on 2 of 2 tables; TRUNCATE on 1 of 2 tables");
    }

    #[test]
    fn a_stranger_that_gets_there_by_set_role_is_told() {
        let lazy = |f: Fixture, set: bool| f.membership("app", "x", |m| (m.inherit, m.set) = (false, set));
        let case = lazy(base(), true).case();
        let f = case.only("undeclared-access");
        assert_eq!((f.id.as_str(), f.fix), ("undeclared-access:x:member:app", None));
        assert_eq!(f.message, "The policy does not name x, a member of app: by SET ROLE to app it has access to s.");
        let under = |word: &str| lazy(base(), true).policy(&format!("undeclared='{word}'\n{POLICY}")).case();
        let end = Change::RevokeRole { role: "app".into(), member: "x".into(), grantor: None };
        assert_eq!(under("revoke").only("undeclared-access").fix, Some(vec![end]));
        assert!(under("ignore").of("undeclared-access").is_empty());
        // no SET, nothing behind it, or nothing that the policy names
        assert!(lazy(base().version(160_000), false).case().of("undeclared-access").is_empty());
        let idle = || base().role("y").membership("y", "x", |m| m.inherit = false);
        assert!(idle().case().of("undeclared-access").is_empty());
        assert!(lazy(base(), true).edit_role("x", |r| r.superuser = true).case().of("undeclared-access").is_empty());
        let ids: Vec<String> =
            idle().schema("scratch", "y").case().of("undeclared-access").into_iter().map(|f| f.id).collect();
        assert_eq!(ids, ["undeclared-access:y:scratch"]);
        // what is inherited as well is told once, as what it is
        let both = base().member("app", "x").case().only("undeclared-access");
        assert_eq!(both.id, "undeclared-access:x");
    }

    #[test]
    fn who_has_nothing_is_not_mentioned() {
        assert!(base().case().of("undeclared-access").is_empty());
    }
}
