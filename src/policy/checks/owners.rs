//! `schema-owner` and `object-owner`: things in a schema belong to somebody else than the policy says. Ownership is not a
//! grant: whoever owns can drop, alter and re-grant, and nothing can be revoked from it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, Code, Context, commands::isolate, entries, owns_undeclared};
use crate::{
    domain::{
        ObjectKind, Oid,
        change::{Change, Grantee, ObjectRef, On},
        effective::Who,
        snapshot::{Object, Schema},
    },
    policy::{
        Finding, Group, Severity,
        desired::{Desired, SchemaWant, resolved_owner},
        versions::{Class, VersionInfo},
    },
    text,
};

pub const SCHEMA: Code = Code {
    code: "schema-owner",
    group: Group::Ownership,
    severity: Severity::Error,
    why: "The owner of a schema can drop every table in it, whoever owns the tables, and decides who may use it.",
};

pub const OBJECT: Code = Code {
    code: "object-owner",
    group: Group::Ownership,
    severity: Severity::Error,
    why: "Only the owner may alter a table: the service's next migration fails with \"must be owner of table\".",
};

pub const SCHEMA_CHECK: Check = Check { codes: &[SCHEMA], slow: false, without_policy: false, run: run_schemas };
pub const OBJECT_CHECK: Check = Check { codes: &[OBJECT], slow: false, without_policy: false, run: run_objects };

/// A schema whose owner is declared and exists: the schema, what is wanted, the owner's name and position.
fn declared<'a>(
    context: &Context<'a>,
    desired: &'a Desired,
    position: usize,
) -> Option<(&'a Schema, &'a SchemaWant, &'a str, Oid)> {
    let want = desired.schemas.get(position)?;
    let owner = want.owner.as_deref()?;
    Some((entries::schema(context, position)?, want, owner, want.accepted.first().copied()?))
}

fn run_schemas(context: &Context<'_>, out: &mut Vec<Finding>) {
    let Some(desired) = entries::desired(context) else { return };
    for position in entries::named_schemas(desired) {
        let Some((schema, _, owner, oid)) = declared(context, desired, position) else { continue };
        if resolved_owner(context.catalog, context.matrix, schema.owner) == oid {
            continue;
        }
        let present = context.catalog.role_name(schema.owner);
        let mut f = context.draft(&SCHEMA);
        f.id = format!("{}:{}", SCHEMA.code, schema.name);
        f.service = entries::service_of(context, desired, position);
        f.schema = Some(schema.name.clone());
        f.role = Some(owner.to_owned());
        f.observed = format!("owned by {present}");
        f.expected = format!("owned by {owner}");
        f.message = format!("Schema {} belongs to {present} and should belong to {owner}.", schema.name);
        f.remedy = format!("Make {owner} the owner of schema {}.", schema.name);
        f.fix = Some(schema_changes(context, desired, position, owner));
        out.push(f);
    }
}

/// The new owner, and grants for declared roles that may use the schema only because the old owner may.
pub fn schema_changes(context: &Context<'_>, desired: &Desired, position: usize, owner: &str) -> Vec<Change> {
    let Some(schema) = entries::schema(context, position) else { return Vec::new() };
    let mut changes = vec![Change::SetSchemaOwner { schema: schema.name.clone(), owner: owner.to_owned() }];
    let on = On::Schema(schema.name.clone());
    changes.extend(instead(context, desired, position, ObjectKind::Schema, schema.owner, owner, &on));
    changes
}

fn instead(
    context: &Context<'_>,
    desired: &Desired,
    position: usize,
    kind: ObjectKind,
    old: Oid,
    new: &str,
    on: &On,
) -> Vec<Change> {
    let Some(old) = context.matrix.closure.position(old) else { return Vec::new() };
    if context.catalog.roles.get(old).is_some_and(|r| r.superuser) {
        return Vec::new();
    }
    let all = kind.all(context.matrix.version_num);
    let mut grants = entries::grants_instead(context, desired, position, kind, Who::Role(old), on, all);
    grants.retain(|g| !matches!(g, Change::Grant { to: Grantee::Role(name), .. } if name == new));
    grants
}

fn run_objects(context: &Context<'_>, out: &mut Vec<Finding>) {
    let Some(desired) = entries::desired(context) else { return };
    for position in entries::named_schemas(desired) {
        let Some((_, want, owner, _)) = declared(context, desired, position) else { continue };
        let mut strays: BTreeMap<(ObjectKind, Oid), u32> = BTreeMap::new();
        let mut totals: BTreeMap<ObjectKind, u32> = BTreeMap::new();
        let guests = Guests::of(context, desired, position);
        let groups =
            context.matrix.groups(context.catalog, position).chain(context.matrix.types(context.catalog, position));
        for group in groups.filter(|g| !g.extension) {
            let kind = group.kind.object_kind();
            *totals.entry(kind).or_default() += group.count;
            if is_stray(context, want, group.owner) {
                *strays.entry((kind, group.owner)).or_default() += group.count;
            }
        }
        for (kind, owner) in &guests.owners {
            if let Some(count) = strays.get_mut(&(*kind, *owner)) {
                *count = count.saturating_sub(1);
            }
        }
        for ((kind, present), count) in strays.into_iter().filter(|(_, count)| *count > 0) {
            let total = totals.get(&kind).copied().unwrap_or(count);
            let of = out.len();
            findings(context, desired, position, owner, kind, present, (count, total), out);
            for f in out.iter_mut().skip(of) {
                works_there(context, f, context.living_by_role());
            }
        }
    }
    owns_undeclared::run(context, out);
}

/// Nothing is taken from a role that works with it: it would stop, and its own data would be another's.
fn works_there(context: &Context<'_>, f: &mut Finding, living: &BTreeSet<(usize, String)>) {
    let (Some(role), Some(schema)) = (&f.role, &f.schema) else { return };
    let Some(position) = context.matrix.index.role_named(role) else { return };
    if !living.contains(&(position, schema.clone())) {
        return;
    }
    f.fix = None;
    let name = f.objects_total.map_or_else(|| "what is its".to_owned(), |n| text::count(n, "object", "objects"));
    f.remedy = match context.services().iter().find(|s| s.role == *role) {
        Some(service) => format!(
            "{}'s own tables are in {schema} still, and stay {role}'s: `{}` moves them.",
            service.name,
            isolate(&context.snapshot.target(), schema, service)
        ),
        None => format!(
            "{role} works with {name} there: make it a service with a schema of its own, to which they can be moved, or one \
             of the creators of {schema}; or change their owner by hand."
        ),
    };
}

/// What stands in a schema and is said to be another service's: it is to be moved, not to be given to the neighbour.
struct Guests {
    version_tables: BTreeSet<Oid>,
    /// Types, sequences and routines that only another schema uses.
    used_elsewhere: BTreeSet<(ObjectKind, String)>,
    /// Kind and owner of each.
    owners: Vec<(ObjectKind, Oid)>,
}

impl Guests {
    fn of(context: &Context<'_>, desired: &Desired, position: usize) -> Guests {
        let mut guests =
            Guests { version_tables: BTreeSet::new(), used_elsewhere: BTreeSet::new(), owners: Vec::new() };
        let Some(schema) = entries::schema(context, position) else { return guests };
        let here = entries::service_of(context, desired, position);
        for info in &context.versions.0 {
            let Some(table) = context.snapshot.versions.0.get(info.table).filter(|t| t.schema == schema.oid) else {
                continue;
            };
            if table.plain && table.shape && is_guest(info, here.as_deref()) {
                guests.version_tables.insert(table.oid);
                guests.owners.push((ObjectKind::Table, table.owner));
            }
        }
        for used in context.shapes.iter().flat_map(|s| &s.foreign_uses).filter(|u| u.schema == schema.oid) {
            let of = |schema: &Oid| {
                let position = context.matrix.index.schema(*schema)?;
                entries::service_of(context, desired, position)
            };
            let kind = used.kind.object_kind();
            if used.used_by.iter().filter_map(of).any(|service| Some(service) != here) {
                guests.used_elsewhere.insert((kind, used.name.clone()));
                guests.owners.push((kind, used.owner));
            }
        }
        guests
    }

    fn has(&self, object: &Object) -> bool {
        self.version_tables.contains(&object.oid)
            || self.used_elsewhere.contains(&(object.kind.object_kind(), object.name.clone()))
    }
}

/// Its class says that the version table is a service's other than `here`.
fn is_guest(info: &VersionInfo, here: Option<&str>) -> bool {
    let at_home = info.home.is_some() && info.home.as_deref() == here;
    match info.class {
        Class::Shared => !at_home,
        _ => !at_home && info.service.is_some() && info.service.as_deref() != here,
    }
}

/// The object's owner is not one that the policy accepts; roles of the platform are left alone.
fn is_stray(context: &Context<'_>, want: &SchemaWant, owner: Oid) -> bool {
    let real = resolved_owner(context.catalog, context.matrix, owner);
    !want.accepted.contains(&real) && context.catalog.role(real).is_some_and(|r| !r.is_platform())
}

#[expect(clippy::too_many_arguments, reason = "what one row of the aggregation is made of")]
fn findings(
    context: &Context<'_>,
    desired: &Desired,
    position: usize,
    owner: &str,
    kind: ObjectKind,
    present: Oid,
    (count, total): (u32, u32),
    out: &mut Vec<Finding>,
) {
    let Some(schema) = entries::schema(context, position) else { return };
    let definers = definers(context, schema);
    let guests = Guests::of(context, desired, position);
    let stray = |o: &&Object| o.kind.object_kind() == kind && o.owner == present && !guests.has(o);
    let named = entries::objects(context, position).map(|all| all.into_iter().filter(stray).collect::<Vec<_>>());
    let (secure, plain): (Vec<&Object>, Vec<&Object>) =
        named.clone().unwrap_or_default().into_iter().partition(|o| {
            kind == ObjectKind::Routine && definers.as_ref().is_some_and(|d| d.contains(o.name.as_str()))
        });
    let present_name = context.catalog.role_name(present);
    let draft = |objects: Option<&[&Object]>, count: u32| {
        let mut f = context.draft(&OBJECT);
        f.id = format!("{}:{}:{}:{present_name}", OBJECT.code, schema.name, kind.singular());
        f.service = entries::service_of(context, desired, position);
        f.schema = Some(schema.name.clone());
        f.role = Some(present_name.clone());
        f.observed = format!("{} owned by {present_name}", entries::share(count, total, kind));
        f.expected = format!("owned by {owner}");
        let noun = if count == 1 { kind.singular() } else { kind.plural() };
        let verb = if count == 1 { "belongs" } else { "belong" };
        f.message = format!("{count} {noun} of {} {verb} to {present_name} instead of {owner}.", schema.name);
        let names: Option<Vec<String>> = objects.map(|l| l.iter().map(|o| o.name.clone()).collect());
        entries::list_objects(&mut f, &schema.name, names.as_deref(), u64::from(count));
        f
    };
    if !secure.is_empty() {
        let mut f = draft(Some(&secure), secure.len() as u32);
        f.id.push_str(":definer");
        let (runs, does) = if secure.len() == 1 { ("runs", "does") } else { ("run", "do") };
        f.message = format!(
            "{} of {} {runs} with the rights of {present_name} (SECURITY DEFINER) and {does} not belong to {owner}.",
            text::count(secure.len() as u64, "routine", "routines"),
            schema.name
        );
        f.remedy = "Look at each: changing its owner changes what it may do. Never changed automatically.".into();
        out.push(f);
    }
    let rest = count.saturating_sub(secure.len() as u32);
    if rest == 0 {
        return;
    }
    let mut f = draft(named.is_some().then_some(&plain), rest);
    // SECURITY DEFINER is known only with the slow parts
    let ready = named.is_some() && (kind != ObjectKind::Routine || definers.is_some());
    f.fix = ready.then(|| object_changes(context, desired, position, owner, &plain)).filter(|c| !c.is_empty());
    f.remedy = if f.fix.is_some() {
        format!("Make {owner} their owner.")
    } else {
        format!("Make {owner} their owner; their names are still being read.")
    };
    out.push(f);
}

/// Signatures of the SECURITY DEFINER routines of a schema; `None` before the slow parts were read.
fn definers<'a>(context: &Context<'a>, schema: &Schema) -> Option<BTreeSet<&'a str>> {
    let shapes = context.shapes?;
    Some(shapes.definers.iter().filter(|d| d.schema == schema.oid).map(|d| d.signature.as_str()).collect())
}

/// New owners for `objects` of one schema, and grants for declared roles that reach them only through the old owner. A
/// sequence that belongs to a table's column follows its table.
pub fn object_changes(
    context: &Context<'_>,
    desired: &Desired,
    position: usize,
    owner: &str,
    objects: &[&Object],
) -> Vec<Change> {
    let Some(schema) = entries::schema(context, position) else { return Vec::new() };
    let relations: BTreeMap<Oid, &Object> =
        entries::objects(context, position).unwrap_or_default().into_iter().map(|o| (o.oid, o)).collect();
    let mut done = BTreeSet::new();
    let mut changes = Vec::new();
    let mut losing: BTreeMap<(ObjectKind, Oid), Vec<String>> = BTreeMap::new();
    for object in objects {
        let moves = object.owned_by.and_then(|t| relations.get(&t).copied()).unwrap_or(object);
        losing.entry((object.kind.object_kind(), object.owner)).or_default().push(object.name.clone());
        if done.insert(moves.oid) {
            let object = ObjectRef { kind: moves.kind, schema: schema.name.clone(), name: moves.name.clone() };
            changes.push(Change::SetOwner { object, owner: owner.to_owned() });
        }
    }
    if let Some(new) = context.matrix.index.role_named(owner)
        && losing.keys().any(|(kind, _)| matches!(kind, ObjectKind::Table | ObjectKind::Sequence))
    {
        changes.extend(entries::usage_first(context, new, position, ObjectKind::Table));
    }
    for ((kind, old), names) in losing {
        let on = On::Objects { kind, schema: schema.name.clone(), names };
        changes.extend(instead(context, desired, position, kind, old, owner, &on));
    }
    changes
}

/// Everything of a schema that its declared owner does not own yet, for a set-up from scratch; `None` while names are
/// missing.
pub fn whole_schema(context: &Context<'_>, desired: &Desired, position: usize, owner: &str) -> Option<Vec<Change>> {
    let schema = entries::schema(context, position)?;
    let mut changes = schema_changes(context, desired, position, owner);
    let empty = context
        .matrix
        .groups(context.catalog, position)
        .chain(context.matrix.types(context.catalog, position))
        .all(|g| g.extension);
    if empty {
        return Some(changes);
    }
    let definers = definers(context, schema)?;
    let guests = Guests::of(context, desired, position);
    let living = context.living_by_role();
    let works = |owner: Oid| {
        let role = context.matrix.closure.position(owner);
        role.is_some_and(|role| living.contains(&(role, schema.name.clone())))
    };
    let ours = |o: &&Object| !definers.contains(o.name.as_str()) && !guests.has(o) && !works(o.owner);
    let objects: Vec<&Object> = entries::objects(context, position)?.into_iter().filter(ours).collect();
    changes.extend(object_changes(context, desired, position, owner, &objects));
    Some(changes)
}

#[cfg(test)]
mod tests {
    use super::{super::fixture::Fixture, *};
    use crate::domain::{
        alembic::tests::{lineage, lineages},
        snapshot::{Definer, ForeignUse, Kind},
    };

    #[test]
    fn nothing_is_taken_from_who_works_with_it() {
        let with = |billing: &str, path: &str| {
            let f = Fixture::new().role("orders_app").role("billing_app").schema("shop", "orders_app");
            let f = f.table("shop", "orders", "orders_app").table("shop", "invoices", "billing_app");
            let f =
                f.grant_schema("shop", "billing_app", "USAGE").setting(Some("billing_app"), true, "search_path", path);
            let policy = format!("[[service]]\nname='orders'\nschema='shop'\nrole='orders_app'\n{billing}");
            f.policy(&policy).case().only("object-owner")
        };
        let service = "[[service]]\nname='billing'\nschema='billing'\nrole='billing_app'\n";
        let found = with(service, "shop");
        assert!(found.fix.is_none() && found.remedy.contains("pgmoat isolate local --from shop"), "{found:#?}");
        let role = "[[role]]\nname='billing_app'\nlogin=true\naccess={shop=['read']}\n";
        let found = with(role, "shop");
        assert!(found.fix.is_none() && found.remedy.contains("make it a service"), "{found:#?}");
        // who does not look there left them behind
        assert!(with(role, "elsewhere").fix.is_some());
    }

    fn base() -> Fixture {
        Fixture::new()
            .role("app")
            .role("old")
            .schema("s", "app")
            .table("s", "a", "app")
            .policy("[[service]]\nname='s'\nschema='s'\nrole='app'\n[[role]]\nname='old'\n")
    }

    #[test]
    fn a_schema_of_somebody_else_is_found_and_the_reader_keeps_reading() {
        let f = base().edit_schema("s", |_| ()).case();
        assert!(f.of("schema-owner").is_empty());
        let mut f = base()
            .policy("[[service]]\nname='s'\nschema='s'\nrole='app'\n[[role]]\nname='old'\naccess={s=['usage']}\n");
        let old = f.role_oid("old");
        f = f.edit_schema("s", |s| s.owner = old);
        let f = f.case().only("schema-owner");
        assert_eq!((f.observed.as_str(), f.expected.as_str()), ("owned by old", "owned by app"));
        let fix = f.fix.unwrap();
        assert!(matches!(&fix[0], Change::SetSchemaOwner { owner, .. } if owner == "app"));
        assert!(matches!(&fix[1], Change::Grant { to: Grantee::Role(r), .. } if r == "old"), "{fix:?}");
    }

    #[test]
    fn strays_are_told_by_kind_and_owner() {
        let case =
            base().table("s", "b", "old").table("s", "c", "old").object(Kind::Type, "s", "mood", "postgres").case();
        let found = case.of("object-owner");
        assert_eq!(
            found.iter().map(|f| f.id.as_str()).collect::<Vec<_>>(),
            ["object-owner:s:table:old", "object-owner:s:type:postgres"]
        );
        assert_eq!(found[0].observed, "2 of 3 tables owned by old");
        assert_eq!(found[0].fix.as_ref().unwrap().len(), 2);
        assert!(base().case().of("object-owner").is_empty());
    }

    #[test]
    fn a_serials_sequence_follows_its_table() {
        let base = base().table("s", "b", "old").sequence("s", "b_id_seq", "old");
        let table = base.object_oid("s.b");
        let case = base.edit("s.b_id_seq", |o| o.owned_by = Some(table)).case();
        for f in case.of("object-owner") {
            let fix = f.fix.unwrap();
            assert!(matches!(&fix[..], [Change::SetOwner { object, .. }] if object.name == "b"), "{fix:?}");
        }
    }

    #[test]
    fn security_definer_routines_are_listed_and_never_changed() {
        let mut f = base().function("s", "plain()", "old").function("s", "secure()", "old");
        f.shapes.definers.push(Definer {
            schema: f.schema_oid("s"),
            signature: "secure()".into(),
            owner: f.role_oid("old"),
            acl: crate::domain::Acl::NULL,
            search_path: None,
            extension: false,
        });
        let found = f.case().of("object-owner");
        let secure = found.iter().find(|f| f.id.ends_with(":definer")).unwrap();
        assert_eq!((secure.fix.clone(), secure.objects.as_slice()), (None, &["s.secure()".to_owned()][..]));
        let plain = found.iter().find(|f| !f.id.ends_with(":definer")).unwrap();
        assert_eq!((plain.fix.as_ref().unwrap().len(), plain.objects.len()), (1, 1));
    }

    #[test]
    fn creators_may_own_where_the_owner_is_somebody_else() {
        let case = base()
            .policy("[[service]]\nname='s'\nschema='s'\nrole='old'\nowner='app'\n")
            .table("s", "made", "old")
            .case();
        assert!(case.of("object-owner").is_empty());
    }

    #[test]
    fn what_is_another_services_is_moved_and_not_given_to_the_neighbour() {
        let mut f = base()
            .policy("[[service]]\nname='s'\nschema='s'\nrole='app'\n[[service]]\nname='t'\nschema='t'\nrole='old'\n")
            .schema("t", "old")
            .version_table("s", "alembic_version_t", "old", Some(&["t1"]))
            .object(Kind::Type, "s", "mood", "old")
            .object(Kind::Type, "s", "other", "old");
        f.lineages = lineages([lineage("t", &["t1"])]);
        f.shapes.foreign_uses.push(ForeignUse {
            kind: Kind::Type,
            schema: f.schema_oid("s"),
            name: "mood".into(),
            owner: f.role_oid("old"),
            used_by: vec![f.schema_oid("t")],
            example: "table t.message".into(),
        });
        let case = f.case();
        assert_eq!(case.of("version-table-misplaced").len(), 1);
        let found = case.only("object-owner");
        assert_eq!(found.id, "object-owner:s:type:old");
        assert_eq!(
            (found.objects.as_slice(), found.observed.as_str()),
            (&["s.other".to_owned()][..], "1 of 2 types owned by old")
        );
        assert_eq!(found.fix.map(|fix| fix.len()), Some(1));
    }

    #[test]
    fn names_come_before_the_fix() {
        let f = base().table("s", "b", "old").without_names().case().only("object-owner");
        assert_eq!((f.fix, f.objects_total), (None, Some(1)));
    }
}
