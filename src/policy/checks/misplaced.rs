//! `object-misplaced` and `extension-misplaced`: a type, sequence or routine that only another schema uses, and an extension
//! that stands in a service's own schema. What several other schemas share belongs to none of them: it is listed where it
//! stands in a schema of nobody's, and accused in a service's own.

use super::{Check, Code, Context, entries};
use crate::{
    domain::{
        ObjectKind,
        change::{Change, ObjectRef, On},
        snapshot::{ForeignUse, Kind, Shapes, TrailFunction},
    },
    policy::{
        Finding, Group, Severity,
        desired::{Desired, resolved_owner},
    },
    text,
};

pub const OBJECT: Code = Code {
    code: "object-misplaced",
    group: Group::Ownership,
    severity: Severity::Error,
    why: "The tables that use it break when its schema's service drops or changes it, and moving them leaves it behind.",
};

pub const EXTENSION: Code = Code {
    code: "extension-misplaced",
    group: Group::Ownership,
    severity: Severity::Warning,
    why: "Other services reach its functions and operators only with that schema in their search_path, where they then \
          see its service's tables too.",
};

pub const OBJECT_CHECK: Check = Check { codes: &[OBJECT], slow: true, without_policy: false, run: run_objects };
pub const EXTENSION_CHECK: Check =
    Check { codes: &[EXTENSION], slow: false, without_policy: false, run: run_extensions };

/// Extensions for administrators, which no application calls through its search_path.
const ADMINISTRATION: &[&str] = &[
    "amcheck",
    "pageinspect",
    "pg_buffercache",
    "pg_cron",
    "pg_freespacemap",
    "pg_prewarm",
    "pg_repack",
    "pg_stat_statements",
    "pg_visibility",
    "pg_walinspect",
    "pgaudit",
    "pgrowlocks",
    "pgstattuple",
];

fn run_objects(context: &Context<'_>, out: &mut Vec<Finding>) {
    let (Some(desired), Some(shapes)) = (entries::desired(context), context.shapes) else { return };
    for used in &shapes.foreign_uses {
        let Some(position) = context.matrix.index.schema(used.schema).filter(|s| desired.names_schema(*s)) else {
            continue;
        };
        if desired.is_judged(position) && !writes_the_trail(shapes, used) {
            out.extend(object(context, desired, position, used));
        }
    }
}

/// The function that fills an audit trail stands where the trail does, whoever's tables call it.
fn writes_the_trail(shapes: &Shapes, used: &ForeignUse) -> bool {
    used.kind.object_kind() == ObjectKind::Routine
        && used.name == TrailFunction::SIGNATURE
        && shapes.trails.functions.iter().any(|f| f.schema == used.schema)
        && shapes.trails.tables.iter().any(|t| t.schema == used.schema)
}

fn object(context: &Context<'_>, desired: &Desired, position: usize, used: &ForeignUse) -> Option<Finding> {
    let schema = entries::schema(context, position)?.name.clone();
    let users: Vec<String> = used.used_by.iter().map(|s| context.catalog.schema_name(*s)).collect();
    let mut f = context.draft(&OBJECT);
    let noun = used.kind.word();
    f.id = format!("{}:{schema}:{noun}:{}", OBJECT.code, used.name);
    f.service = entries::service_of(context, desired, position);
    f.object = Some(format!("{schema}.{}", used.name));
    f.objects = f.object.clone().into_iter().collect();
    f.observed = format!("used only by {}", text::list(&users, 3));
    f.expected = users.first().map(|one| format!("in schema {one}")).unwrap_or_default();
    f.message = format!(
        "The {noun} {schema}.{} is used only by {} (for example by {}).",
        used.name,
        text::list(&users, 3),
        used.example
    );
    f.schema = Some(schema.clone());
    if users.len() > 1 {
        let shared = text::list(&users, 3);
        f.expected = "in a schema that no service owns".into();
        f.message = format!(
            "The {noun} {schema}.{} is shared by {shared} (for example by {}), and {schema} does not use it.",
            used.name, used.example
        );
        let alone = match used.kind {
            Kind::Sequence => "or give each its own",
            _ => "or a copy to each",
        };
        if desired.schemas.get(position).is_some_and(|s| s.service.is_none()) {
            f.severity = Severity::Info;
            f.expected = "shared, or one for each".into();
            f.remedy = format!("Nothing to do where {shared} are meant to share it; {alone}.");
        } else {
            f.remedy = format!(
                "Moving it to one of them helps none of the others: put it into a schema that no service owns, {alone}."
            );
        }
        return Some(f);
    }
    f.remedy = "Move it to the schema that uses it; `pgmoat move-objects` moves what belongs together.".into();
    // routines are called by name from bodies that a move does not follow
    if let ([to], [target]) = (users.as_slice(), used.used_by.as_slice())
        && matches!(used.kind, Kind::Type | Kind::Sequence)
    {
        f.fix = moved(context, desired, used, &schema, to, context.matrix.index.schema(*target)?);
    }
    Some(f)
}

/// The move, with the owner and the grants that its new schema wants.
fn moved(
    context: &Context<'_>,
    desired: &Desired,
    used: &ForeignUse,
    from: &str,
    to: &str,
    target: usize,
) -> Option<Vec<Change>> {
    let want = desired.schemas.get(target).filter(|w| w.named && w.judged)?;
    let object = |schema: &str| ObjectRef { kind: used.kind, schema: schema.to_owned(), name: used.name.clone() };
    let mut changes = vec![Change::SetSchema { object: object(from), to: to.to_owned() }];
    let accepted = want.accepted.contains(&resolved_owner(context.catalog, context.matrix, used.owner));
    if let Some(owner) = want.owner.as_ref().filter(|_| !accepted && !want.accepted.is_empty()) {
        changes.push(Change::SetOwner { object: object(to), owner: owner.clone() });
    }
    if used.kind == Kind::Sequence {
        for role in desired.roles_of(target).filter(|r| desired.compares(*r)) {
            let privileges = entries::want(desired, role, target).required.sequences;
            if !privileges.is_empty() {
                let names = vec![used.name.clone()];
                let on = On::Objects { kind: ObjectKind::Sequence, schema: to.to_owned(), names };
                changes.extend(entries::grant(context, role, target, ObjectKind::Sequence, privileges, on));
            }
        }
    }
    Some(changes)
}

fn run_extensions(context: &Context<'_>, out: &mut Vec<Finding>) {
    let (Some(policy), Some(desired)) = (context.policy, entries::desired(context)) else { return };
    if policy.services.len() < 2 {
        return;
    }
    for extension in &context.catalog.extensions {
        let Some(position) = context.matrix.index.schema(extension.schema).filter(|s| desired.is_judged(*s)) else {
            continue;
        };
        let Some(want) = desired.schemas.get(position).filter(|w| w.service.is_some()) else { continue };
        // what the service made for itself, or what cannot move, or what only administrators use
        if want.accepted.contains(&extension.owner)
            || !extension.relocatable
            || ADMINISTRATION.contains(&extension.name.as_str())
        {
            continue;
        }
        let Some(schema) = entries::schema(context, position) else { continue };
        let service = entries::service_of(context, desired, position);
        let mut f = context.draft(&EXTENSION);
        f.id = format!("{}:{}", EXTENSION.code, extension.name);
        f.object = Some(extension.name.clone());
        f.schema = Some(schema.name.clone());
        f.observed = format!("in schema {}", schema.name);
        f.expected = "in a schema of its own, such as extensions".into();
        f.message = format!(
            "Extension {} stands in schema {}, which belongs to service {}.",
            extension.name,
            schema.name,
            service.as_deref().unwrap_or_default()
        );
        f.remedy = format!(
            "ALTER EXTENSION … SET SCHEMA to a schema that everybody may use and that stands in the search_path of who needs {}; \
             `pgmoat isolate --extensions-schema` does it with a service.",
            extension.name
        );
        f.service = service;
        out.push(f);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::fixture::Fixture, *};
    use crate::domain::{Oid, snapshot::TrailTable};

    const POLICY: &str =
        "[[service]]\nname='a'\nschema='a'\nrole='app_a'\n[[service]]\nname='b'\nschema='b'\nrole='app_b'\n";

    fn base() -> Fixture {
        Fixture::new().role("app_a").role("app_b").schema("a", "app_a").schema("b", "app_b").policy(POLICY)
    }

    #[test]
    fn a_type_that_only_another_schema_uses_moves_there() {
        let mut f = base();
        f.shapes.foreign_uses.push(ForeignUse {
            kind: Kind::Type,
            schema: f.schema_oid("a"),
            name: "mood".into(),
            owner: f.role_oid("app_a"),
            used_by: vec![f.schema_oid("b")],
            example: "table b.message".into(),
        });
        let f = f.case().only("object-misplaced");
        assert_eq!((f.id.as_str(), f.object.as_deref()), ("object-misplaced:a:type:mood", Some("a.mood")));
        let fix = f.fix.unwrap();
        assert!(matches!(&fix[0], Change::SetSchema { to, .. } if to == "b"));
        assert!(matches!(&fix[1], Change::SetOwner { owner, .. } if owner == "app_b"));
        assert!(base().case().of("object-misplaced").is_empty());
    }

    #[test]
    fn what_tables_of_two_schemas_share_belongs_to_neither() {
        let with = |stands: &str| {
            let mut f = base().role("app_c").schema("lib", "app_a").schema("c", "app_c");
            let used_by = vec![f.schema_oid("a"), f.schema_oid("b")];
            f.shapes.foreign_uses.push(ForeignUse {
                kind: Kind::Sequence,
                schema: f.schema_oid(stands),
                name: "numbers".into(),
                owner: f.role_oid("app_a"),
                used_by,
                example: "table a.bill".into(),
            });
            let rules = "[[schema]]\nname='lib'\n[[service]]\nname='c'\nschema='c'\nrole='app_c'\n";
            f.policy(&format!("{POLICY}{rules}")).case().only("object-misplaced")
        };
        let (lib, own) = (with("lib"), with("c"));
        assert_eq!((lib.severity, own.severity), (Severity::Info, Severity::Error));
        for f in [lib, own] {
            assert!(f.message.contains("shared by a and b"), "{}", f.message);
            assert!(f.fix.is_none() && !f.remedy.contains("the schema that uses it"), "{}", f.remedy);
        }
    }

    #[test]
    fn the_function_of_an_audit_trail_stands_where_its_trail_does() {
        let with = |trail: bool| {
            let mut f = base();
            let (a, b, owner) = (f.schema_oid("a"), f.schema_oid("b"), f.role_oid("app_a"));
            f.shapes.foreign_uses.push(ForeignUse {
                kind: Kind::Function,
                schema: a,
                name: TrailFunction::SIGNATURE.into(),
                owner,
                used_by: vec![b],
                example: "table b.message".into(),
            });
            f.shapes.trails.functions.push(TrailFunction {
                schema: a,
                owner,
                language: "plpgsql".into(),
                body: String::new(),
                definer: true,
                settings: Vec::new(),
            });
            if trail {
                let columns = Vec::new();
                f.shapes.trails.tables.push(TrailTable { schema: a, oid: Oid(77_000), owner, plain: true, columns });
            }
            f.case().of("object-misplaced").len()
        };
        assert_eq!((with(true), with(false)), (0, 1));
    }

    #[test]
    fn an_extension_in_a_services_schema_is_mentioned_unless_it_is_its_own() {
        let f = base().extension("pg_trgm", "a", "postgres").case().only("extension-misplaced");
        assert_eq!((f.severity, f.service.as_deref(), f.fix), (Severity::Warning, Some("a"), None));
        let fine = base()
            .schema("extensions", "postgres")
            .extension("pg_trgm", "extensions", "postgres")
            .extension("citext", "a", "app_a")
            .extension("pg_stat_statements", "b", "postgres");
        assert!(fine.case().of("extension-misplaced").is_empty());
    }
}
