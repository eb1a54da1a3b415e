//! `grant-missing`: a right that the policy requires is not effective on every object.

use super::{Check, Code, Context, entries};
use crate::{
    domain::{Acl, ObjectKind, Privilege, Privileges, effective::Who},
    policy::{Finding, Group, Severity, judge::Difference},
    text,
};

pub const CODE: Code = Code {
    code: "grant-missing",
    group: Group::Grants,
    severity: Severity::Error,
    why: "The service gets \"permission denied\" (or, without USAGE on the schema, \"relation does not exist\") as soon \
          as it needs the object.",
};

pub const CHECK: Check = Check { codes: &[CODE], slow: false, without_policy: false, run };

fn run(context: &Context<'_>, out: &mut Vec<Finding>) {
    let Some(desired) = entries::desired(context) else { return };
    for schema in entries::named_schemas(desired) {
        for role in desired.roles_of(schema).filter(|r| desired.compares(*r)) {
            let Some(want) = desired.want(role, schema).filter(|w| !w.required.is_empty()) else { continue };
            let levels: Vec<&str> = want.levels.words();
            for difference in context.judge.cell(Who::Role(role), schema).missing {
                out.extend(finding(context, role, schema, &levels, difference));
            }
        }
    }
}

fn finding(
    context: &Context<'_>,
    role: usize,
    position: usize,
    levels: &[&str],
    difference: Difference,
) -> Option<Finding> {
    let desired = entries::desired(context)?;
    let Difference { kind, privilege, count, total } = difference;
    let (schema, name) = (entries::schema(context, position)?, entries::role_name(context, role));
    let names: Option<Vec<String>> = entries::objects(context, position).map(|all| {
        all.into_iter()
            .filter(|o| o.kind.object_kind() == kind)
            .filter(|o| {
                !context.matrix.rights(context.catalog, Who::Role(role), kind, o.owner, &o.acl).contains(privilege)
            })
            .map(|o| o.name.clone())
            .collect()
    });
    let mut f = context.draft(&CODE);
    f.id = format!("{}:{name}:{}:{}:{privilege}", CODE.code, schema.name, kind.singular());
    f.service = entries::service_of(context, desired, position);
    let declared = text::list(levels, 3);
    if kind == ObjectKind::Schema {
        f.observed = format!("no {privilege}");
        f.expected = format!("{privilege} on the schema ({declared})");
        f.message =
            format!("{name} has no {privilege} on schema {}, which the policy gives it ({declared}).", schema.name);
    } else {
        f.observed = entries::share(total - count, total, kind);
        f.expected = format!("{} ({declared})", entries::every(total, kind));
        f.message = format!(
            "{name} has no {privilege} on {} of {}, which the policy gives it ({declared}).",
            entries::share(count, total, kind),
            schema.name
        );
        let inserts = desired.want(role, position).is_some_and(|w| w.required.tables.contains(Privilege::Insert));
        if kind == ObjectKind::Sequence && privilege == Privilege::Usage && inserts && fails(context, role, position) {
            f.message.push_str(" An INSERT that leaves a number to them fails.");
        }
        entries::list_objects(&mut f, &schema.name, names.as_deref(), u64::from(count));
    }
    f.fix = entries::target(context, position, kind, names.as_deref(), true)
        .map(|on| entries::grant(context, role, position, kind, privilege.into(), on));
    f.remedy = format!("Grant {privilege} to {name}, or take it out of the policy.");
    f.schema = Some(schema.name.clone());
    f.role = Some(name);
    f.privilege = Some(privilege);
    Some(f)
}

/// An INSERT may fail for want of a sequence of the schema. `nextval` takes UPDATE as well as USAGE, and what numbers an
/// identity column needs neither; before the defaults were read, whatever has neither counts.
fn fails(context: &Context<'_>, role: usize, position: usize) -> bool {
    let enough = Privileges::of(&[Privilege::Usage, Privilege::Update]);
    let held =
        |owner, acl: &Acl| context.matrix.rights(context.catalog, Who::Role(role), ObjectKind::Sequence, owner, acl);
    let none = |owner, acl: &Acl| held(owner, acl).and(enough).is_empty();
    let Some(schema) = entries::schema(context, position) else { return false };
    match context.snapshot.objects.0.get(&schema.oid) {
        Some(of) => of.numbered.iter().any(|n| n.schema == schema.name && none(n.owner, &n.acl)),
        None => entries::lists(context, position).any(|l| l.kind == ObjectKind::Sequence && none(l.owner, l.acl)),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::fixture::Fixture, *};
    use crate::{
        domain::{
            change::{Change, Grantee, On},
            snapshot::Numbered,
        },
        policy::{Level, desired::required},
    };

    fn base() -> Fixture {
        Fixture::new()
            .role("app")
            .role("reader")
            .schema("s", "app")
            .table("s", "a", "app")
            .table("s", "b", "app")
            .grant_schema("s", "reader", "USAGE")
            .grant("s.a", "reader", "SELECT")
            .policy(
                "[[service]]\nname='s'\nschema='s'\nrole='app'\ncreators=[]\n[[role]]\nname='reader'\naccess={s=['read']}\n",
            )
    }

    #[test]
    fn a_table_without_select_is_named() {
        let f = base().case().only("grant-missing");
        assert_eq!(f.id, "grant-missing:reader:s:table:SELECT");
        assert_eq!((f.observed.as_str(), f.objects.as_slice()), ("1 of 2 tables", &["s.b".to_owned()][..]));
        assert_eq!(f.service.as_deref(), Some("s"));
        let on = On::Objects { kind: ObjectKind::Table, schema: "s".into(), names: vec!["b".into()] };
        let to = Grantee::Role("reader".into());
        assert_eq!(f.fix, Some(vec![Change::Grant { privileges: Privilege::Select.into(), on, to }]));
    }

    #[test]
    fn without_names_all_tables_are_granted_and_the_count_is_told() {
        let f = base().without_names().case().only("grant-missing");
        assert_eq!((f.objects.len(), f.objects_total), (0, Some(1)));
        let case = base().without_names().case();
        let wanted =
            crate::policy::checks::schemas_wanting_names(std::slice::from_ref(&f), &case.snapshot.catalog, None);
        assert_eq!(wanted, [case.snapshot.catalog.schema_named("s").unwrap().oid]);
        let on = On::AllIn { kind: ObjectKind::Table, schema: "s".into() };
        assert!(matches!(&f.fix.unwrap()[0], Change::Grant { on: o, .. } if *o == on));
    }

    #[test]
    fn members_of_extensions_are_never_granted_on() {
        let with = |f: Fixture| f.table("s", "ext", "postgres").edit("s.ext", |o| o.extension = true);
        assert_eq!(with(base()).without_names().case().only("grant-missing").fix, None, "the names come first");
        assert!(with(base()).case().only("grant-missing").fix.is_some());
    }

    #[test]
    fn what_is_held_in_any_way_is_not_missing() {
        assert!(base().grant("s.b", "reader", "SELECT").case().of("grant-missing").is_empty());
        assert!(base().grant("s.b", "PUBLIC", "SELECT").case().of("grant-missing").is_empty());
        let member = base().group("g").member("g", "reader").grant("s.b", "g", "SELECT").case();
        assert!(member.of("grant-missing").is_empty());
    }

    #[test]
    fn whoever_is_to_insert_needs_the_sequences_too() {
        for level in Level::ALL.into_iter().filter(|l| required(*l, 180_000).tables.contains(Privilege::Insert)) {
            assert!(required(level, 180_000).sequences.contains(Privilege::Usage), "{}", level.word());
        }
        let f = Fixture::new().role("app").role("writer").schema("s", "app").table("s", "t", "app");
        let f =
            f.sequence("s", "t_id_seq", "app").grant_schema("s", "writer", "USAGE").grant("s.t", "writer", "INSERT");
        let rules = "[[service]]\nname='s'\nschema='s'\nrole='app'\n[[role]]\nname='writer'\naccess={s=['append']}\n";
        let f = f.policy(rules).case().only("grant-missing");
        assert_eq!(f.id, "grant-missing:writer:s:sequence:USAGE");
        assert!(!f.message.contains("INSERT"), "no default takes a number: {}", f.message);
        let said = |acl: &str| {
            let f = Fixture::new().role("app").role("writer").schema("s", "app").table("s", "t", "app");
            let f = f
                .sequence("s", "t_id_seq", "app")
                .grant_schema("s", "writer", "USAGE")
                .grant("s.t", "writer", "INSERT");
            let f = if acl.is_empty() { f } else { f.grant("s.t_id_seq", "writer", acl) };
            let mut case = f.policy(rules).case();
            case.snapshot.objects.0.clear();
            case.only("grant-missing").message.ends_with("An INSERT that leaves a number to them fails.")
        };
        let numbered = |acl: &str| {
            let f = Fixture::new().role("app").role("writer").schema("s", "app").table("s", "t", "app");
            let f = f.sequence("s", "t_id_seq", "app").grant_schema("s", "writer", "USAGE");
            let f = f.grant("s.t", "writer", "INSERT").grant("s.t_id_seq", "writer", acl);
            let (schema, table, owner) = (f.schema_oid("s"), f.object_oid("s.t"), f.role_oid("app"));
            let mut case = f.policy(rules).case();
            let of = std::sync::Arc::make_mut(case.snapshot.objects.0.get_mut(&schema).unwrap());
            let acl = of.all().find(|o| o.name == "t_id_seq").unwrap().acl.clone();
            let sequence = "t_id_seq".into();
            of.numbered = vec![Numbered { table, column: "id".into(), schema: "s".into(), sequence, owner, acl }];
            case.only("grant-missing").message.ends_with("An INSERT that leaves a number to them fails.")
        };
        assert!(numbered("SELECT") && !numbered("UPDATE"), "a default takes a number");
        assert!(said(""), "before the defaults were read");
        assert!(!said("UPDATE"), "which nextval takes as well");
    }

    #[test]
    fn usage_on_the_schema_is_its_own_finding() {
        let f =
            base().grant("s.b", "reader", "SELECT").revoke_schema("s", "reader", "USAGE").case().only("grant-missing");
        assert_eq!((f.id.as_str(), f.privilege), ("grant-missing:reader:s:schema:USAGE", Some(Privilege::Usage)));
    }
}
