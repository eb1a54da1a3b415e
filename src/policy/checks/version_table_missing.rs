//! `version-table-missing`: a service without a version table in its declared place.

use super::{Check, Code, Context, commands::split_versions};
use crate::{
    domain::change::Change,
    policy::{
        Finding, Group, Service, Severity,
        versions::{Class, TableCounts, declared_place},
    },
    text::list,
};

pub const CHECK: Check = Check { codes: &[CODE], slow: false, without_policy: false, run };

const CODE: Code = Code {
    code: "version-table-missing",
    group: Group::Versions,
    severity: Severity::Error,
    why: "An application that finds no version table takes the database for a new one, or adopts a neighbour's.",
};

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    let mut counts = None;
    let homes = ctx.versions.homes();
    for service in ctx.services() {
        let (Some(name), Some(schema)) = (&service.version_table, service.schemas.first()) else { continue };
        // a missing schema or role is one finding of its own, with the whole set-up
        let Some(oid) = ctx.catalog.schema_named(schema).map(|s| s.oid) else { continue };
        if ctx.catalog.role_named(&service.role).is_none() || homes.contains_key(service.name.as_str()) {
            continue;
        }
        // moving what is known to stand elsewhere ends both
        if elsewhere(ctx, service) {
            continue;
        }
        let used = counts.get_or_insert_with(|| TableCounts::new(ctx.snapshot)).in_use(ctx.catalog, service);
        let place = declared_place(service);
        let mut finding = ctx.draft(&CODE);
        finding.id = format!("{}:{}", CODE.code, service.name);
        finding.service = Some(service.name.clone());
        finding.schema = Some(schema.clone());
        finding.role = Some(service.role.clone());
        finding.object = Some(place.clone());
        finding.observed = if used { "missing, its tables exist" } else { "missing, no table yet" }.into();
        finding.expected.clone_from(&place);
        finding.message = format!("{} has no version table: {place} does not exist.", service.name);
        let configured = ctx.lineages.of(&service.name).and_then(|l| l.version_table.as_deref());
        let beside = ctx.snapshot.versions.0.iter().find(|t| t.schema == oid && t.shape && t.plain);
        finding.remedy = if let Some(other) = beside {
            format!(
                "{schema}.{} is one: if it is this service's, say version_table = \"{}\" in the policy.",
                other.name, other.name
            )
        } else if let Some(said) = configured.filter(|said| said != name) {
            format!("Its env.py looks for {said}: say version_table = {said:?} in the policy.")
        } else if let Some((table, rows)) = astray(ctx, service) {
            format!(
                "Its tables exist, and its revision may be among those of {table} ({}): find out which is its own (the \
                 revision scripts tell), then `{}`. An empty \
                 table would make it start from zero.",
                list(&rows, 4),
                split_versions(&ctx.snapshot.target(), &table, schema)
            )
        } else if let Some(table) = used.then(|| unread_near(ctx, service)).flatten() {
            format!(
                "Its tables exist, and its revision may stand in {table}, whose rows are unknown here: look with a login that \
                 may read it before anything is stamped or created. An empty table would make it start from zero."
            )
        } else if used {
            "Its tables exist, so its revision is lost, and an empty table would make it start from zero: find the \
             revision (backup, another environment), then stamp it with the application's own Alembic. Where they are what \
             a first start left that failed, drop them and start it again."
                .to_owned()
        } else {
            finding.fix = Some(vec![Change::CreateVersionTable {
                schema: schema.clone(),
                name: name.clone(),
                owner: service.owner.clone(),
            }]);
            format!("Create {place}, owned by {}, before the first migration.", service.owner)
        };
        out.push(finding);
    }
}

/// Its revision is known to stand elsewhere than in its own place.
pub(super) fn elsewhere(ctx: &Context<'_>, service: &Service) -> bool {
    ctx.versions.0.iter().any(|v| match v.class {
        Class::Misplaced => v.service.as_deref() == Some(&service.name),
        Class::Shared => {
            v.rows.iter().any(|r| r.settled() == Some(&service.name)) || v.shared_by.contains(&service.name)
        }
        Class::Own
        | Class::Copy
        | Class::EmptyInUse
        | Class::EmptyBase
        | Class::Ambiguous
        | Class::Unknown
        | Class::Foreign => false,
    })
}

/// A version table whose rows nobody is known to own, in a schema where the service's role owns tables, or that its path
/// leads to: its revision may be among them.
pub(super) fn astray(ctx: &Context<'_>, service: &Service) -> Option<(String, Vec<String>)> {
    let role = ctx.catalog.role_named(&service.role).filter(|r| !r.superuser)?;
    ctx.versions.0.iter().find_map(|v| {
        let table = ctx.snapshot.versions.0.get(v.table)?;
        let open: Vec<String> = v.rows.iter().filter(|r| r.settled().is_none()).map(|r| r.revision.clone()).collect();
        let near = v.claimed_by.contains(&service.name) || ctx.tables_in(table.schema, |o| o == role.oid) > 0;
        let free = v.home.is_none() && !matches!(v.class, Class::Copy) && near && !open.is_empty();
        free.then(|| (format!("{}.{}", ctx.schema_name(table.schema), table.name), open))
    })
}

/// A version table that nobody's place is and whose rows could not be read, where [`astray`] would look.
fn unread_near(ctx: &Context<'_>, service: &Service) -> Option<String> {
    let role = ctx.catalog.role_named(&service.role).filter(|r| !r.superuser)?;
    ctx.versions.0.iter().find_map(|v| {
        let table = ctx.snapshot.versions.0.get(v.table).filter(|t| t.rows.known().is_none())?;
        let near = v.claimed_by.contains(&service.name) || ctx.tables_in(table.schema, |o| o == role.oid) > 0;
        (v.home.is_none() && near).then(|| format!("{}.{}", ctx.schema_name(table.schema), table.name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::alembic::{
            Lineage,
            tests::{lineage, lineages},
        },
        policy::checks::fixture::Fixture,
    };

    fn fixture(more: &str) -> Fixture {
        let policy = format!("[[service]]\nname='langflow'\nschema='langflow'\nrole='app'\n{more}\n");
        Fixture::new().role("app").schema("langflow", "app").policy(&policy)
    }

    #[test]
    fn it_is_created_before_the_first_migration_and_never_over_tables() {
        let found = fixture("").case().only(CODE.code);
        let create = Change::CreateVersionTable {
            schema: "langflow".into(),
            name: "alembic_version".into(),
            owner: "app".into(),
        };
        assert_eq!(found.fix, Some(vec![create]));
        let found = fixture("").table("langflow", "flow", "app").case().only(CODE.code);
        assert!(found.fix.is_none() && found.remedy.contains("revision is lost"), "{found:#?}");
    }

    #[test]
    fn a_revision_that_cannot_be_read_is_not_called_lost() {
        let f = fixture("").table("public", "flow", "app").version_table("public", "alembic_version", "postgres", None);
        let told = f.case().only(CODE.code).remedy;
        assert!(told.contains("may stand in public.alembic_version, whose rows are unknown"), "{told}");
    }

    #[test]
    fn one_that_is_there_or_not_wanted_is_not_missed() {
        assert_eq!(fixture("version_table=false").case().of(CODE.code), vec![]);
        let f = fixture("").version_table("langflow", "alembic_version", "app", Some(&["a"]));
        assert_eq!(f.case().of(CODE.code), vec![]);
        let mut f = fixture("");
        let lineage = Lineage { version_table: Some("my_versions".into()), ..lineage("langflow", &["l1"]) };
        f.lineages = lineages([lineage]);
        let found = f.case().only(CODE.code);
        assert!(found.fix.is_none() && found.remedy.contains("version_table = \"my_versions\""), "{found:#?}");
        let found = fixture("").version_table("langflow", "my_versions", "app", Some(&["a"])).case().only(CODE.code);
        assert!(found.remedy.contains("version_table = \"my_versions\""), "{}", found.remedy);
    }

    #[test]
    fn no_empty_one_is_made_with_the_schema_while_the_revision_stands_elsewhere() {
        let rules = "[[service]]\nname='web'\nschema='web'\nrole='web_app'\n[[service]]\nname='jobs'\nschema='jobs'\nrole='jobs_app'\n";
        let case = |rows: &[&str]| {
            let mut f = Fixture::new().role("boss").table("public", "orders", "boss").policy(rules);
            f = f.version_table("public", "alembic_version", "boss", Some(rows));
            f.lineages = lineages([lineage("web", &["w1"]), lineage("jobs", &["j1"])]);
            f.case()
        };
        let makes = |case: &crate::policy::checks::fixture::Case| {
            let fixes = case.of("schema-missing").into_iter().filter_map(|f| f.fix).flatten();
            fixes.filter(|c| matches!(c, Change::CreateVersionTable { .. })).count()
        };
        assert_eq!(makes(&case(&["w1", "j1"])), 0);
        assert_eq!(makes(&case(&["w1"])), 1, "jobs has nothing anywhere");
    }
}
