//! `version-table-misplaced`: a service's revision stands elsewhere than in its declared place.

use std::fmt::Write as _;

use super::{
    Check, Code, Context,
    commands::{isolate, move_versions},
};
use crate::{
    domain::{
        change::{Change, ObjectRef},
        snapshot::{Kind, VersionTable},
    },
    policy::{
        Finding, Group, Service, Severity,
        versions::{Class, VersionInfo, declared_place},
    },
    text,
};

pub const CHECK: Check = Check { codes: &[CODE], slow: false, without_policy: false, run };

const CODE: Code = Code {
    code: "version-table-misplaced",
    group: Group::Versions,
    severity: Severity::Error,
    why: "A version table outside its service's schema is found, or not found, by whatever search path says today.",
};

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    for info in ctx.versions.0.iter().filter(|v| v.class == Class::Misplaced) {
        let Some(table) = ctx.snapshot.versions.0.get(info.table) else { continue };
        let Some(service) = ctx.services().iter().find(|s| Some(&s.name) == info.service.as_ref()) else { continue };
        let schema = ctx.schema_name(table.schema);
        let object = format!("{schema}.{}", table.name);
        let place = declared_place(service);
        let mut finding = ctx.draft(&CODE);
        finding.id = format!("{}:{}:{object}", CODE.code, service.name);
        finding.service = Some(service.name.clone());
        finding.schema = Some(schema.clone());
        finding.role = Some(service.role.clone());
        finding.object = Some(object.clone());
        finding.observed.clone_from(&object);
        finding.expected.clone_from(&place);
        finding.objects = vec![object.clone()];
        finding.message = match info.home.as_deref() {
            Some(home) => format!(
                "{object} is {home}'s place, but holds {}'s revision: {home}'s own is not there any more.",
                service.name
            ),
            None => format!("{}'s version table is {object}, it belongs in {place}.", service.name),
        };
        finding.remedy = remedy(ctx, table, service, &object);
        if let Some(home) = &info.home {
            let _ = write!(
                finding.remedy,
                " Then {home}'s: find its revision (a backup, another environment, the release that ran last) and stamp it \
                 with {home}'s own Alembic; or name it to `pgmoat isolate … --lost-revision REVISION`."
            );
        }
        finding.fix = fix(ctx, info, service, &schema);
        out.push(finding);
    }
}

/// The command that moves it, where it would not be refused.
fn remedy(ctx: &Context<'_>, table: &VersionTable, service: &Service, object: &str) -> String {
    let to = service.schemas.first().map(String::as_str).unwrap_or_default();
    let place = declared_place(service);
    let command = format!("`{}`", move_versions(&ctx.snapshot.target(), object, to, &[]));
    let Some(target) = ctx.catalog.schema_named(to) else {
        let from = ctx.schema_name(table.schema);
        return format!(
            "Stop the service and take it out with what is its own: `{}`, which makes schema {to}, too.",
            isolate(&ctx.snapshot.target(), &from, service)
        );
    };
    let named = service.version_table.as_deref();
    let there = ctx.snapshot.versions.0.iter().find(|t| t.schema == target.oid && Some(t.name.as_str()) == named);
    let rows = table.rows.known().unwrap_or_default();
    match there.map(|t| t.rows.known().filter(|_| t.plain && t.shape)) {
        Some(None) => {
            format!("{place} is there and is no version table that can be read: rename one of the two by hand.")
        }
        Some(Some(held))
            if !held.is_empty() && (held.len() != rows.len() || held.iter().any(|r| !rows.contains(r))) =>
        {
            format!(
                "{place} holds {} already, and {object} holds {}: compare them with what the service has, only a person \
                 can say which is right; then empty the other one.",
                text::list(held, 3),
                text::list(rows, 3)
            )
        }
        _ if named.is_some_and(|named| named != table.name) => {
            let said = ctx.lineages.of(&service.name).and_then(|l| l.version_table.as_deref());
            let keep = format!("version_table = {:?}", table.name);
            match said {
                Some(said) if said == table.name => format!(
                    "Its env.py names it so: say {keep} in the policy, then stop the service and move it: {command}."
                ),
                Some(said) if Some(said) == named => {
                    format!(
                        "Stop the service and move it: {command}, which gives it the name {place}, as its env.py says."
                    )
                }
                Some(_) | None => format!(
                    "Look into its env.py: where the application is configured so, say {keep} in the policy, and the table keeps \
                     its name. Then stop the service and move it: {command}, which otherwise gives it the name {place} that the \
                     policy says."
                ),
            }
        }
        _ => format!("Stop the service and move it: {command}."),
    }
}

/// A move that nothing speaks against: same name, nobody else uses it, the place is free, and the service will find it.
fn fix(ctx: &Context<'_>, info: &VersionInfo, service: &Service, schema: &str) -> Option<Vec<Change>> {
    let table = ctx.snapshot.versions.0.get(info.table)?;
    let to = service.schemas.first()?;
    let target = ctx.catalog.schema_named(to)?;
    let role = ctx.matrix.index.role_named(&service.role)?;
    let free = ctx.versions.home_of(&service.name).is_none() && info.home.is_none();
    let alone = info.claimed_by.iter().all(|s| *s == service.name);
    let finds = ctx.path(&ctx.paths(), role).listed().any(|s| s == target.oid);
    if !(free && alone && finds && Some(&table.name) == service.version_table.as_ref()) {
        return None;
    }
    let mut changes =
        vec![Change::MoveVersionTable { schema: schema.to_owned(), name: table.name.clone(), to: to.clone() }];
    if !ctx.belongs(table.owner, service) {
        let object = ObjectRef { kind: Kind::Table, schema: to.clone(), name: table.name.clone() };
        changes.push(Change::SetOwner { object, owner: service.owner.clone() });
    }
    Some(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::alembic::tests::{lineage, lineages},
        policy::checks::fixture::Fixture,
    };

    fn fixture(name: &str) -> Fixture {
        let mut f = Fixture::new()
            .role("app")
            .schema("langflow", "app")
            .table("langflow", "flow", "app")
            .setting(Some("app"), true, "search_path", "langflow, public")
            .version_table("public", name, "postgres", Some(&["l1"]))
            .policy("[[service]]\nname='langflow'\nschema='langflow'\nrole='app'\n");
        f.lineages = lineages([lineage("langflow", &["l1"])]);
        f
    }

    #[test]
    fn a_plain_move_is_offered_with_the_owner() {
        let case = fixture("alembic_version").case();
        let found = case.only(CODE.code);
        let object = ObjectRef { kind: Kind::Table, schema: "langflow".into(), name: "alembic_version".into() };
        assert_eq!(
            found.fix,
            Some(vec![
                Change::MoveVersionTable {
                    schema: "public".into(),
                    name: "alembic_version".into(),
                    to: "langflow".into()
                },
                Change::SetOwner { object, owner: "app".into() }
            ])
        );
        assert_eq!(case.of("version-table-missing"), vec![], "one fault, one finding");
    }

    #[test]
    fn another_name_needs_the_command() {
        let found = fixture("alembic_version_langflow").case().only(CODE.code);
        assert!(found.fix.is_none());
        assert!(found.remedy.contains("versions move local --from public.alembic_version_langflow --to langflow"));
        assert!(found.remedy.contains("gives it the name langflow.alembic_version"), "{}", found.remedy);
        let mut f = fixture("alembic_version_langflow");
        f.lineages.0.get_mut("langflow").unwrap().version_table = Some("alembic_version_langflow".into());
        let remedy = f.case().only(CODE.code).remedy;
        assert!(
            remedy.starts_with("Its env.py names it so: say version_table = \"alembic_version_langflow\""),
            "{remedy}"
        );
    }

    #[test]
    fn no_command_is_named_that_would_be_refused() {
        let f = fixture("alembic_version").version_table("langflow", "alembic_version", "app", Some(&["l0"]));
        let found = f.case().only(CODE.code);
        assert!(found.fix.is_none() && !found.remedy.contains("versions move"), "{}", found.remedy);
        assert!(found.remedy.contains("langflow.alembic_version holds l0 already"), "{}", found.remedy);
    }

    #[test]
    fn in_its_place_it_is_not_misplaced() {
        let mut f = fixture("alembic_version");
        f.versions.clear();
        let f = f.version_table("langflow", "alembic_version", "app", Some(&["l1"]));
        assert_eq!(f.case().of(CODE.code), vec![]);
    }
}
