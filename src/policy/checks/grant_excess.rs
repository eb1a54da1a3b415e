//! `grant-excess`: a role holds, by an entry of its own, what the policy does not allow it. What it holds through a
//! membership is the membership's finding; what it holds through PUBLIC is PUBLIC's.

use std::collections::BTreeSet;

use super::{
    Check, Code, Context,
    commands::isolate,
    entries::{self, Excess, Revocation},
};
use crate::{
    domain::{ObjectKind, effective::Who},
    policy::{Finding, Group, Severity},
    text,
};

pub const CODE: Code = Code {
    code: "grant-excess",
    group: Group::Grants,
    severity: Severity::Error,
    why: "A service that can reach its neighbour's objects can read or change them by mistake, and its migrations can \
          take them for its own.",
};

pub const CHECK: Check = Check { codes: &[CODE], slow: false, without_policy: false, run };

fn run(context: &Context<'_>, out: &mut Vec<Finding>) {
    let Some(desired) = entries::desired(context) else { return };
    for position in entries::named_schemas(desired) {
        for role in entries::grantees(context, position) {
            if !desired.compares(role) || !desired.names_role(role) {
                continue;
            }
            let want = entries::want(desired, role, position);
            let exceptions = entries::exceptions_of(desired, Who::Role(role), position);
            for excess in entries::excess(context, Who::Role(role), position, want.allowed, &exceptions) {
                if excess.excepted > 0 {
                    out.extend(excepted(context, role, position, &excess));
                }
                if excess.count > 0 {
                    out.extend(
                        finding(context, role, position, &excess)
                            .map(|f| stays(context, role, f, context.living_by_role())),
                    );
                }
            }
        }
    }
}

fn finding(context: &Context<'_>, role: usize, position: usize, excess: &Excess) -> Option<Finding> {
    let desired = entries::desired(context)?;
    let (mut f, name, schema) = draft(context, role, position, excess)?;
    let what = if excess.kind == ObjectKind::Schema {
        f.observed = excess.privilege.to_string();
        format!("{} on schema {schema}", excess.privilege)
    } else {
        let share = entries::share(excess.count, excess.total, excess.kind);
        let what = format!("{} on {share} of {schema}", excess.privilege);
        f.observed = share;
        what
    };
    let levels: Vec<&str> = entries::want(desired, role, position).levels.words();
    let declared = if levels.is_empty() { "no access".to_owned() } else { text::list(&levels, 3) };
    let dead = dead(context, role, position);
    f.message = format!("{name} has {what}{dead}; the policy gives it {declared} there.");
    f.expected = "none".into();
    f.fix = entries::revoke_from_role(
        context,
        desired,
        role,
        &Revocation {
            who: Who::Role(role),
            position,
            kind: excess.kind,
            privileges: excess.privilege.into(),
            option_only: false,
            names: excess.names.as_deref(),
            partial: excess.excepted > 0,
        },
    );
    f.remedy = if f.fix.is_some() {
        format!("Revoke it, or declare it: a level in the policy, or an [[exception]] for {name}.")
    } else {
        format!("Revoke it by hand: {name} has passed it on, or the objects' names are not read yet.")
    };
    Some(f)
}

/// A service whose tables stand there still keeps what it has: without it, it would stop.
fn stays(context: &Context<'_>, role: usize, mut f: Finding, living: &BTreeSet<(usize, String)>) -> Finding {
    let Some(schema) = f.schema.clone().filter(|schema| living.contains(&(role, schema.clone()))) else { return f };
    let service = context.services().iter().find(|s| f.role.as_ref() == Some(&s.role));
    f.fix = None;
    let Some(service) = service else {
        f.remedy = format!(
            "It has tables of its own in {schema} and finds them by its search path, so nothing is taken from it there: make \
             it a service with a schema of its own, or say in the policy what it may do in {schema}; then revoke what is \
             left."
        );
        return f;
    };
    f.remedy = format!(
        "{}'s own tables are in {schema} still, and it keeps what it has there until `{}` has moved them; then revoke it, \
         or declare it.",
        service.name,
        isolate(&context.snapshot.target(), &schema, service)
    );
    f
}

fn excepted(context: &Context<'_>, role: usize, position: usize, excess: &Excess) -> Option<Finding> {
    let (mut f, name, schema) = draft(context, role, position, excess)?;
    f.id.push_str(":excepted");
    f.stands_by_exception();
    f.objects.clear();
    f.objects_total = None;
    f.observed = format!("{} on {}", excess.privilege, entries::share(excess.excepted, excess.total, excess.kind));
    let dead = dead(context, role, position);
    let reasons = text::list(&excess.reasons, 3);
    f.message = format!("{name} has {} on {schema}{dead} by exception: {reasons}.", excess.privilege);
    Some(f)
}

fn dead(context: &Context<'_>, role: usize, position: usize) -> &'static str {
    if entries::may_use(context, role, position) { "" } else { " (dead: it may not use the schema)" }
}

fn draft(context: &Context<'_>, role: usize, position: usize, excess: &Excess) -> Option<(Finding, String, String)> {
    let desired = entries::desired(context)?;
    let (schema, name) = (entries::schema(context, position)?.name.clone(), entries::role_name(context, role));
    let mut f = context.draft(&CODE);
    f.id = format!("{}:{name}:{schema}:{}:{}", CODE.code, excess.kind.singular(), excess.privilege);
    f.service = entries::service_of(context, desired, position);
    f.schema = Some(schema.clone());
    f.role = Some(name.clone());
    f.privilege = Some(excess.privilege);
    f.via = Some("direct".to_owned());
    if excess.kind != ObjectKind::Schema {
        entries::list_objects(&mut f, &schema, excess.names.as_deref(), u64::from(excess.count));
    }
    Some((f, name, schema))
}

#[cfg(test)]
mod tests {
    use super::{super::fixture::Fixture, *};
    use crate::domain::{
        Privilege,
        change::{Change, Grantee, On},
    };

    const POLICY: &str =
        "[[service]]\nname='s'\nschema='s'\nrole='app'\n[[role]]\nname='stranger'\n[[role]]\nname='other'\n";

    fn base() -> Fixture {
        Fixture::new()
            .role("app")
            .role("stranger")
            .role("other")
            .schema("s", "app")
            .table("s", "a", "app")
            .table("s", "b", "app")
            .policy(POLICY)
    }
    fn on(names: &[&str]) -> On {
        On::Objects {
            kind: ObjectKind::Table,
            schema: "s".into(),
            names: names.iter().map(|n| (*n).to_owned()).collect(),
        }
    }

    #[test]
    fn a_service_keeps_what_it_has_where_its_tables_are() {
        let with = |path: &str| {
            let f = Fixture::new().role("app").schema("s", "app").table("public", "a", "app");
            let f = f.grant_schema("public", "app", "CREATE").setting(Some("app"), true, "search_path", path);
            let policy = "[[service]]\nname='s'\nschema='s'\nrole='app'\n[[schema]]\nname='public'\n";
            f.policy(policy).case().only("grant-excess")
        };
        // whether it still looks there or was cut off from them
        for path in ["public", "s"] {
            let found = with(path);
            assert!(found.fix.is_none(), "{path}: {found:#?}");
            assert!(found.remedy.starts_with("s's own tables are in public still"), "{path}: {}", found.remedy);
        }
    }

    #[test]
    fn a_direct_grant_is_revoked_where_it_stands() {
        let f = base().grant("s.a", "stranger", "INSERT").case().only("grant-excess");
        assert_eq!(f.id, "grant-excess:stranger:s:table:INSERT");
        assert_eq!((f.observed.as_str(), f.objects.as_slice()), ("1 of 2 tables", &["s.a".to_owned()][..]));
        assert_eq!(
            f.fix,
            Some(vec![Change::Revoke {
                privileges: Privilege::Insert.into(),
                on: on(&["a"]),
                from: Grantee::Role("stranger".into()),
                option_only: false,
                grantor: None,
            }])
        );
    }

    #[test]
    fn memberships_public_and_ownership_are_not_reported_here() {
        assert!(base().case().of("grant-excess").is_empty());
        assert!(base().grant("s.a", "PUBLIC", "SELECT").case().of("grant-excess").is_empty());
        assert!(base().member("app", "stranger").case().of("grant-excess").is_empty());
        assert!(base().table("s", "mine", "stranger").case().of("grant-excess").is_empty());
    }

    #[test]
    fn each_grantor_takes_back_its_own_grant() {
        let f = base()
            .grant_with_option("s.a", "other", "SELECT")
            .grant_by("s.a", "stranger", "SELECT", Some("other"), false)
            .case();
        let of: Vec<_> = f.of("grant-excess");
        let stranger = of.iter().find(|f| f.role.as_deref() == Some("stranger")).unwrap();
        assert!(
            matches!(&stranger.fix.as_ref().unwrap()[0], Change::Revoke { grantor: Some(g), on: o, .. } if g == "other" && *o == on(&["a"]))
        );
        let other = of.iter().find(|f| f.role.as_deref() == Some("other")).unwrap();
        let fix = other.fix.as_ref().unwrap();
        assert_eq!(fix.len(), 2, "what it passed on goes first: {fix:?}");
        assert!(matches!(&fix[0], Change::Revoke { from: Grantee::Role(r), .. } if r == "stranger"));
    }

    #[test]
    fn what_was_passed_on_and_is_allowed_is_granted_again() {
        let policy = POLICY.replace("name='stranger'\n", "name='stranger'\naccess={s=['read']}\n");
        let case = base()
            .grant_schema("s", "stranger", "USAGE")
            .grant("s.b", "stranger", "SELECT")
            .grant_with_option("s.a", "other", "SELECT")
            .grant_by("s.a", "stranger", "SELECT", Some("other"), false)
            .policy(&policy)
            .case();
        let fix = case.only("grant-excess").fix.unwrap();
        assert!(matches!(&fix[0], Change::Grant { to: Grantee::Role(r), .. } if r == "stranger"), "{fix:?}");
        assert_eq!(fix.len(), 3);
    }

    #[test]
    fn an_exception_is_listed_and_covers_only_its_objects() {
        let exception =
            "[[exception]]\nrole='stranger'\nschema='s'\nprivileges=['INSERT']\nobjects=['a']\nreason='imports'\n";
        let case = base()
            .grant("s.a", "stranger", "INSERT")
            .grant("s.b", "stranger", "INSERT")
            .policy(&format!("{POLICY}{exception}"))
            .case();
        let found = case.of("grant-excess");
        let (info, rest): (Vec<_>, Vec<_>) = found.iter().partition(|f| f.severity == Severity::Info);
        assert!(info[0].message.contains("imports"));
        assert_eq!(rest[0].objects, ["s.b"]);
        assert!(matches!(&rest[0].fix.as_ref().unwrap()[0], Change::Revoke { on: o, .. } if *o == on(&["b"])));
    }

    #[test]
    fn an_owner_keeps_its_own_rights_when_others_are_revoked() {
        let many = (0..12).fold(base().table("s", "mine", "stranger"), |f, i| {
            f.table("s", &format!("t{i}"), "app").grant(&format!("s.t{i}"), "stranger", "INSERT")
        });
        assert_eq!(many.clone().without_names().case().only("grant-excess").fix, None, "ALL TABLES would take its own");
        let fix = many.case().only("grant-excess").fix.unwrap();
        assert!(
            matches!(&fix[0], Change::Revoke { on: On::Objects { names, .. }, .. } if names.len() == 12),
            "{fix:?}"
        );
    }
}
