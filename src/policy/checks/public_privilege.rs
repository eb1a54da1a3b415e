//! `public-privilege`: PUBLIC holds something in a named schema. What PostgreSQL gives PUBLIC by itself is left alone:
//! EXECUTE on routines, and USAGE on the schema `public`. No policy can give PUBLIC anything, except by an exception.
//! Without a policy only what hands data and schemas to everybody is told, and nothing is fixed: who needs it is not said.
//! So it is in a schema that the policy does not name, unless that is to be ignored; under `revoke` it has a fix.

use std::collections::BTreeSet;

use super::{
    Check, Code, Context,
    commands::isolate,
    entries::{self, Excess, Revocation},
};
use crate::{
    domain::{ObjectKind, Privilege, Privileges, change::On, effective::Who, snapshot::Schema},
    policy::{
        Finding, Group, Service, Severity, Undeclared,
        desired::{Desired, PUBLIC, Rights},
    },
    text,
};

pub const CODE: Code = Code {
    code: "public-privilege",
    group: Group::Grants,
    severity: Severity::Error,
    why: "PUBLIC is every role of the cluster, those of tomorrow too; revoking from a single role changes nothing while \
          PUBLIC holds it.",
};

pub const CHECK: Check = Check { codes: &[CODE], slow: false, without_policy: true, run };

/// Rights with which everybody can change what is there.
pub const CHANGING: Privileges = Privileges::of(&[
    Privilege::Insert,
    Privilege::Update,
    Privilege::Delete,
    Privilege::Truncate,
    Privilege::Trigger,
    Privilege::Create,
]);

fn run(context: &Context<'_>, out: &mut Vec<Finding>) {
    let desired = entries::desired(context);
    let unnamed = |position: usize| match desired {
        None => true,
        Some(d) => d.undeclared != Undeclared::Ignore && d.is_judged(position) && !d.names_schema(position),
    };
    for (position, schema) in context.catalog.schemas.iter().enumerate() {
        if !schema.is_system() && !schema.extension && unnamed(position) {
            undeclared(context, desired, position, schema, out);
        }
    }
    let Some(desired) = desired else { return };
    for position in entries::named_schemas(desired) {
        let Some(schema) = entries::schema(context, position) else { continue };
        // `public` comes with USAGE for PUBLIC
        let usage = if schema.name == "public" { Privileges::of(&[Privilege::Usage]) } else { Privileges::NONE };
        let allowed = Rights { schema: usage, ..Rights::NONE };
        let exceptions = entries::exceptions_of(desired, Who::Public, position);
        for excess in entries::excess(context, Who::Public, position, allowed, &exceptions) {
            if excess.excepted > 0 {
                out.push(excepted(context, desired, position, &schema.name, &excess));
            }
            if excess.count > 0 {
                let found = finding(context, desired, position, &schema.name, &excess);
                out.push(stays(context, &schema.name, found, context.living_by_role()));
            }
        }
    }
}

/// In a schema that no policy speaks of.
fn undeclared(
    context: &Context<'_>,
    desired: Option<&Desired>,
    position: usize,
    schema: &Schema,
    out: &mut Vec<Finding>,
) {
    let usage = context
        .matrix
        .rights(context.catalog, Who::Public, ObjectKind::Schema, schema.owner, &schema.acl)
        .contains(Privilege::Usage);
    for excess in entries::excess(context, Who::Public, position, Rights::NONE, &[]) {
        let schemas_own = excess.kind == ObjectKind::Schema;
        // without USAGE, rights on what is in it do not work for everybody
        if !CHANGING.contains(excess.privilege) || !(schemas_own || usage) {
            continue;
        }
        let mut f = told(draft(context, desired, position, &schema.name, &excess), &schema.name, &excess);
        let remedy = if desired.is_some() {
            "Revoke it from PUBLIC, after granting it to those who need it; or name the schema in the policy, which says \
             who that is. With `undeclared = \"revoke\"` in the policy `pgmoat plan` revokes it."
        } else {
            "Revoke it from PUBLIC, after granting it to those who need it; a policy (`pgmoat policy derive`) \
             says who that is, and `pgmoat plan` does both."
        };
        f.remedy = remedy.into();
        if let Some(desired) = desired.filter(|d| d.undeclared == Undeclared::Revoke) {
            f.fix = fix(context, desired, position, &schema.name, &excess);
            f = stays(context, &schema.name, f, context.living_by_role());
        }
        if schemas_own && schema.name == "public" && context.snapshot.server.version_num < 150_000 {
            f.severity = Severity::Info;
            f.message.push_str(" Before 15 every database is made so.");
        }
        out.push(f);
    }
}

fn finding(context: &Context<'_>, desired: &Desired, position: usize, schema: &str, excess: &Excess) -> Finding {
    let mut f = told(draft(context, Some(desired), position, schema, excess), schema, excess);
    f.fix = fix(context, desired, position, schema, excess);
    f.remedy = format!(
        "Revoke it from PUBLIC; roles that the policy gives {} are granted it themselves first.",
        excess.privilege
    );
    f
}

/// A finding with what it says.
fn told(mut f: Finding, schema: &str, excess: &Excess) -> Finding {
    let share = entries::share(excess.count, excess.total, excess.kind);
    if excess.kind == ObjectKind::Schema {
        f.observed = excess.privilege.to_string();
        f.message = format!("Every role of the cluster has {} on schema {schema}, through PUBLIC.", excess.privilege);
    } else {
        f.message =
            format!("Every role of the cluster has {} on {share} of {schema}, through PUBLIC.", excess.privilege);
        f.observed = share;
        entries::list_objects(&mut f, schema, excess.names.as_deref(), u64::from(excess.count));
    }
    f.expected = "none".into();
    f
}

/// Services whose tables stand there still keep what everybody has: without it, they would stop.
fn stays(context: &Context<'_>, schema: &str, mut f: Finding, living: &BTreeSet<(usize, String)>) -> Finding {
    let who: BTreeSet<usize> = living.iter().filter(|(_, s)| s == schema).map(|(role, _)| *role).collect();
    let name = |s: &&Service| context.matrix.index.role_named(&s.role).is_some_and(|i| who.contains(&i));
    let services: Vec<&Service> = context.services().iter().filter(name).collect();
    let Some(first) = services.first() else { return f };
    let names: Vec<&str> = services.iter().map(|s| s.name.as_str()).collect();
    f.fix = None;
    f.remedy = format!(
        "{} may need it: their own tables are in {schema} still. Move them with `{}`, service by service; then revoke it \
         from PUBLIC.",
        text::list(&names, 4),
        isolate(&context.snapshot.target(), schema, first)
    );
    f
}

/// Those who need it are granted it first; then it goes.
fn fix(
    context: &Context<'_>,
    desired: &Desired,
    position: usize,
    schema: &str,
    excess: &Excess,
) -> Option<Vec<crate::domain::change::Change>> {
    let on = match entries::target(context, position, excess.kind, excess.names.as_deref(), excess.excepted == 0) {
        Some(on) => on,
        None if excess.kind == ObjectKind::Schema => On::Schema(schema.to_owned()),
        None => return None,
    };
    let mut changes =
        entries::grants_instead(context, desired, position, excess.kind, Who::Public, &on, excess.privilege.into());
    changes.extend(entries::revoke(
        context,
        Some(desired),
        &Revocation {
            who: Who::Public,
            position,
            kind: excess.kind,
            privileges: excess.privilege.into(),
            option_only: false,
            names: excess.names.as_deref(),
            partial: excess.excepted > 0,
        },
    )?);
    Some(changes)
}

fn excepted(context: &Context<'_>, desired: &Desired, position: usize, schema: &str, excess: &Excess) -> Finding {
    let mut f = draft(context, Some(desired), position, schema, excess);
    f.id.push_str(":excepted");
    f.stands_by_exception();
    f.observed = format!("{} on {}", excess.privilege, entries::share(excess.excepted, excess.total, excess.kind));
    f.message =
        format!("PUBLIC has {} in {schema} by exception: {}.", excess.privilege, text::list(&excess.reasons, 3));
    f
}

fn draft(context: &Context<'_>, desired: Option<&Desired>, position: usize, schema: &str, excess: &Excess) -> Finding {
    let mut f = context.draft(&CODE);
    f.id = format!("{}:{PUBLIC}:{schema}:{}:{}", CODE.code, excess.kind.singular(), excess.privilege);
    f.service = desired.and_then(|desired| entries::service_of(context, desired, position));
    f.schema = Some(schema.to_owned());
    f.privilege = Some(excess.privilege);
    f.via = Some(PUBLIC.to_owned());
    f
}

#[cfg(test)]
mod tests {
    use super::{super::fixture::Fixture, *};
    use crate::domain::change::{Change, Grantee};

    const POLICY: &str = "[[service]]\nname='s'\nschema='s'\nrole='app'\n[[schema]]\nname='public'\n";

    #[test]
    fn without_a_policy_only_what_lets_everybody_change_things_is_told() {
        let bare = || Fixture::new().role("app").schema("s", "app").table("s", "a", "app").table("s", "b", "app");
        assert!(bare().case().of("public-privilege").is_empty());
        let dead = bare().grant("s.a", "PUBLIC", "SELECT, INSERT");
        assert!(dead.clone().case().of("public-privilege").is_empty(), "nobody gets there without USAGE");
        let case = dead.grant_schema("s", "PUBLIC", "USAGE").case();
        let found = case.of("public-privilege");
        assert_eq!(found.len(), 1, "reading may be meant: {found:?}");
        assert_eq!((found[0].observed.as_str(), &found[0].fix), ("1 of 2 tables", &None));
        let made = bare().grant_schema("s", "PUBLIC", "CREATE").case().only("public-privilege");
        assert_eq!(made.severity, Severity::Error);
        for (version, severity) in [(140_000, Severity::Info), (150_000, Severity::Error)] {
            let public = bare().version(version).grant_schema("public", "PUBLIC", "CREATE");
            assert_eq!(public.case().only("public-privilege").severity, severity);
        }
    }

    #[test]
    fn a_schema_that_the_policy_does_not_name_is_told_as_without_one() {
        let f = || {
            let f =
                Fixture::new().role("app").role("y").schema("s", "app").schema("other", "y").table("other", "a", "y");
            let f = f.grant_schema("public", "PUBLIC", "USAGE, CREATE").grant_schema("other", "PUBLIC", "USAGE");
            f.grant("other.a", "PUBLIC", "SELECT, DELETE")
        };
        let under = |word: &str| {
            let policy = format!("undeclared='{word}'\n[[service]]\nname='s'\nschema='s'\nrole='app'\n");
            f().policy(&policy).case().of("public-privilege")
        };
        let ids = |found: &[Finding]| found.iter().map(|f| (f.id.clone(), f.severity)).collect::<Vec<_>>();
        let bare = f().case().of("public-privilege");
        assert_eq!(bare.len(), 2, "{bare:#?}");
        assert_eq!(ids(&under("report")), ids(&bare));
        assert!(under("report").iter().all(|f| f.fix.is_none()));
        assert_eq!(ids(&under("revoke")), ids(&bare));
        let fixes = under("revoke").into_iter().flat_map(|f| f.fix.unwrap()).collect::<Vec<_>>();
        assert!(fixes.iter().all(|c| matches!(c, Change::Revoke { from: Grantee::Public, .. })), "{fixes:?}");
        assert_eq!(fixes.len(), 2);
        assert_eq!(under("ignore"), vec![]);
    }

    fn base() -> Fixture {
        Fixture::new().role("app").schema("s", "app").table("s", "a", "app").function("s", "f()", "app").policy(POLICY)
    }

    #[test]
    fn what_postgres_gives_by_itself_is_left_alone() {
        assert!(base().case().of("public-privilege").is_empty());
    }

    #[test]
    fn create_on_public_and_select_on_a_table_are_reported() {
        let case = base().grant_schema("public", "PUBLIC", "CREATE").grant("s.a", "PUBLIC", "SELECT").case();
        let ids: Vec<_> = case.of("public-privilege").into_iter().map(|f| f.id).collect();
        assert_eq!(ids, ["public-privilege:PUBLIC:public:schema:CREATE", "public-privilege:PUBLIC:s:table:SELECT"]);
    }

    #[test]
    fn who_needs_it_is_granted_it_first() {
        let policy = format!("{POLICY}[[role]]\nname='reader'\naccess={{s=['read']}}\n");
        let case = base()
            .role("reader")
            .grant_schema("s", "reader", "USAGE")
            .grant("s.a", "PUBLIC", "SELECT")
            .policy(&policy)
            .case();
        let fix = case.only("public-privilege").fix.unwrap();
        assert!(matches!(&fix[0], Change::Grant { to: Grantee::Role(r), .. } if r == "reader"), "{fix:?}");
        assert!(matches!(&fix[1], Change::Revoke { from: Grantee::Public, .. }));
        assert_eq!(fix.len(), 2, "the owner has its own: {fix:?}");
    }

    #[test]
    fn an_exception_for_public_is_listed() {
        let policy =
            format!("{POLICY}[[exception]]\nrole='PUBLIC'\nschema='s'\nprivileges=['SELECT']\nreason='open data'\n");
        let f = base().grant("s.a", "PUBLIC", "SELECT").policy(&policy).case().only("public-privilege");
        assert_eq!(f.severity, Severity::Info);
        assert!(f.message.contains("open data"));
    }
}
