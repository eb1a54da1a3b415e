//! `version-table-shared`: one version table, two applications.

use std::fmt::Write as _;

use super::{
    Check, Code, Context,
    commands::{isolate, move_versions, split_versions},
    declared::count,
};
use crate::policy::{
    Finding, Group, Severity,
    versions::{Class, VersionInfo, and},
};

pub const CHECK: Check = Check { codes: &[CODE], slow: false, without_policy: true, run };

const CODE: Code = Code {
    code: "version-table-shared",
    group: Group::Versions,
    severity: Severity::Critical,
    why: "Each application finds revisions it does not know and refuses to migrate, or throws them away; the usual \
          repairs (delete, stamp --purge) lose the other's.",
};

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    for info in ctx.versions.0.iter().filter(|v| v.class == Class::Shared) {
        let Some(table) = ctx.snapshot.versions.0.get(info.table) else { continue };
        let schema = ctx.schema_name(table.schema);
        let object = format!("{schema}.{}", table.name);
        let mut owners: Vec<&str> = info.rows.iter().filter_map(|r| r.settled()).collect();
        owners.sort_unstable();
        owners.dedup();
        let guests: Vec<&str> = owners.iter().copied().filter(|s| Some(*s) != info.home.as_deref()).collect();
        let mut finding = ctx.draft(&CODE);
        finding.id = format!("{}:{object}", CODE.code);
        finding.service.clone_from(&info.home);
        finding.schema = Some(schema);
        finding.object = Some(object.clone());
        finding.objects = vec![object.clone()];
        finding.observed = match owners.as_slice() {
            [] | [_] => count(info.rows.len(), "row"),
            several => format!("{} of {}", count(info.rows.len(), "row"), and(several)),
        };
        finding.expected = "one application's revisions".into();
        let who: Vec<&str> = info.shared_by.iter().map(String::as_str).collect();
        finding.message = format!("{} keep their revisions in one table, {object}.", and(&who));
        let ways: Vec<Way> = guests.iter().filter_map(|guest| way(ctx, info, &object, guest)).collect();
        let whole: Vec<String> = if ways.is_empty() { whole(ctx, info) } else { Vec::new() };
        finding.remedy = if !whole.is_empty() {
            format!(
                "Find out whose each row is (the revision scripts tell), stop the applications and take each out with its \
                 row: {}; do not delete or stamp.",
                whole.join(", ")
            )
        } else if ways.is_empty() {
            format!(
                "Find out whose each row is (the revision scripts tell), then split them with `{}`, each to a schema that its role's search path leads to; do not \
                 delete or stamp.",
                split_versions(&ctx.snapshot.target(), &object, "SCHEMA")
            )
        } else {
            let commands: Vec<&str> = ways.iter().map(|way| way.command.as_str()).collect();
            let mut remedy = format!("Stop both applications and split the rows: {}", commands.join(", "));
            let elsewhere: Vec<&str> = ways.iter().filter_map(|way| way.looks_elsewhere.as_deref()).collect();
            if !elsewhere.is_empty() {
                let (whose, it) = (and(&elsewhere), if elsewhere.len() == 1 { "it starts" } else { "they start" });
                let _ = write!(remedy, "; then have the search path of {whose} lead there, before {it}");
            }
            remedy + "; do not delete or stamp."
        };
        out.push(finding);
    }
}

/// How one service gets its revision out of a shared table.
struct Way {
    command: String,
    /// The role whose search path would not lead to it then.
    looks_elsewhere: Option<String>,
}

/// Its rows are moved; where its tables are not in its own schema, they all go together: the rows alone would leave an
/// application that finds its tables in one schema and its revision in another.
fn way(ctx: &Context<'_>, info: &VersionInfo, object: &str, guest: &str) -> Option<Way> {
    let service = ctx.services().iter().find(|s| s.name == guest)?;
    let to = service.schemas.first()?;
    let paths = ctx.paths();
    if let Some(living) = ctx.living(service, &paths).first() {
        let command = isolate(&ctx.snapshot.target(), &living.schema, service);
        let command = format!("`{command}` (with {}, and it sets the path)", living.words());
        return Some(Way { command, looks_elsewhere: None });
    }
    if ctx.catalog.schema_named(to).is_none() {
        let from = ctx.schema_name(ctx.snapshot.versions.0.get(info.table)?.schema);
        let command = isolate(&ctx.snapshot.target(), &from, service);
        let command = format!("`{command}` (it makes schema {to}, and sets the path)");
        return Some(Way { command, looks_elsewhere: None });
    }
    let mine = info.rows.iter().filter(|r| r.settled() == Some(guest));
    let rows: Vec<&str> = mine.map(|r| r.revision.as_str()).collect();
    let command = format!("`{}`", move_versions(&ctx.snapshot.target(), object, to, &rows));
    let role = ctx.matrix.index.role_named(&service.role)?;
    let path = ctx.path(&paths, role);
    let leads = ctx.catalog.schema_named(to).is_some_and(|s| path.first() == Some(s.oid));
    Some(Way { command, looks_elsewhere: (!leads).then(|| service.role.clone()) })
}

/// Services that keep a revision here, nothing says which, and have tables where they do not belong.
fn whole(ctx: &Context<'_>, info: &VersionInfo) -> Vec<String> {
    let paths = ctx.paths();
    let guests = info.shared_by.iter().filter(|name| Some(*name) != info.home.as_ref());
    let services = guests.filter_map(|name| ctx.services().iter().find(|s| s.name == *name));
    let commands = services.filter_map(|service| {
        let living = ctx.living(service, &paths).into_iter().next()?;
        let command = isolate(&ctx.snapshot.target(), &living.schema, service);
        Some(format!("`{command} --rows …` (with {})", living.words()))
    });
    commands.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::alembic::tests::{lineage, lineages},
        policy::checks::fixture::Fixture,
    };

    fn fixture(rows: &[&str]) -> Fixture {
        let mut f = Fixture::new()
            .role("engarde_user")
            .role("app")
            .schema("langflow", "app")
            .table("public", "campaigns", "engarde_user")
            .table("langflow", "flow", "app")
            .version_table("public", "alembic_version", "engarde_user", Some(rows))
            .policy(
                "[[service]]\nname='engarde'\nschema='public'\nrole='engarde_user'\n\
                 [[service]]\nname='langflow'\nschema='langflow'\nrole='app'\n",
            );
        f.lineages = lineages([lineage("engarde", &["e1", "e2 < e1", "e3 < e1"]), lineage("langflow", &["l1"])]);
        f
    }

    #[test]
    fn the_split_is_named_row_by_row() {
        let found = fixture(&["e2", "e3", "l1"]).case().only(CODE.code);
        assert_eq!((found.severity, found.service.as_deref()), (Severity::Critical, Some("engarde")));
        assert_eq!(found.observed, "3 rows of engarde and langflow");
        assert!(found.remedy.contains("versions move local --from public.alembic_version --to langflow --rows l1`"));
        assert!(found.fix.is_none(), "which application stops first is a person's choice");
    }

    #[test]
    fn two_heads_of_one_lineage_are_not_shared() {
        assert_eq!(fixture(&["e2", "e3"]).case().of(CODE.code), vec![]);
    }

    #[test]
    fn evidence_is_enough_without_a_policy() {
        let mut f = fixture(&["aa", "bb"]).grant("public.alembic_version", "app", "SELECT, INSERT, UPDATE");
        (f.policy, f.lineages) = (None, lineages([]));
        f.versions[0].acl = f.objects.iter().find(|(_, o)| o.name == "alembic_version").unwrap().1.acl.clone();
        let found = f.case().only(CODE.code);
        assert!(found.message.starts_with("app and engarde_user keep"), "{}", found.message);
    }

    #[test]
    fn a_service_that_would_not_find_its_row_is_told_to_look_there() {
        let remedy = |f: Fixture| f.case().only(CODE.code).remedy;
        let told = remedy(fixture(&["e2", "l1"]));
        assert!(
            told.ends_with("; then have the search path of app lead there, before it starts; do not delete or stamp.")
        );
        let finds = fixture(&["e2", "l1"]).setting(Some("app"), true, "search_path", "langflow");
        assert!(!remedy(finds).contains("lead there"));
    }

    #[test]
    fn a_service_whose_tables_are_beside_it_goes_as_a_whole() {
        let f = fixture(&["e2", "l1"]).table("public", "message", "app");
        let told = f.case().only(CODE.code).remedy;
        assert!(told.contains("`pgmoat isolate local --from public --schema langflow --role app`"), "{told}");
        assert!(told.contains("(with 1 table of public"), "{told}");
        assert!(!told.contains("versions move"), "{told}");
    }

    #[test]
    fn without_scripts_services_still_go_as_a_whole() {
        let mut f = fixture(&["aa", "bb"]).table("public", "message", "app");
        f.lineages = lineages([]);
        f = f.grant("public.alembic_version", "app", "SELECT, INSERT, UPDATE");
        f.versions[0].acl = f.objects.iter().find(|(_, o)| o.name == "alembic_version").unwrap().1.acl.clone();
        let told = f.case().only(CODE.code).remedy;
        assert!(told.contains("`pgmoat isolate local --from public --schema langflow --role app --rows …`"), "{told}");
        assert!(told.starts_with("Find out whose each row is"), "{told}");
    }
}
