//! `version-table-duplicate`: one service's revision stands in two tables.

use std::collections::HashMap;

use super::{Check, Code, Context};
use crate::{
    domain::snapshot::VersionTable,
    policy::{
        Finding, Group, Severity,
        versions::{Class, TableCounts, VersionInfo, copy_name},
    },
};

pub const CHECK: Check = Check { codes: &[CODE], slow: false, without_policy: true, run };

const CODE: Code = Code {
    code: "version-table-duplicate",
    group: Group::Versions,
    severity: Severity::Warning,
    why: "Only one of the two moves on with the next migration; whoever finds the other one is told an old revision.",
};

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    let counts = TableCounts::new(ctx.snapshot);
    let homes = ctx.versions.homes();
    for info in &ctx.versions.0 {
        let Some(table) = ctx.snapshot.versions.0.get(info.table) else { continue };
        // a copy by hand is listed in the versions, not accused
        if copy_name(&table.name) || copy_name(&ctx.schema_name(table.schema)) {
            continue;
        }
        let Some((original, service)) = original(ctx, &counts, &homes, info, table) else { continue };
        let object = name(ctx, table);
        let first = name(ctx, original);
        let rows: Vec<&str> = known(original).iter().map(String::as_str).collect();
        let same: Vec<&str> = known(table).iter().map(String::as_str).filter(|r| rows.contains(r)).collect();
        let mut finding = ctx.draft(&CODE);
        finding.id = format!("{}:{object}", CODE.code);
        finding.service.clone_from(&service);
        finding.schema = Some(ctx.schema_name(table.schema));
        finding.object = Some(object.clone());
        finding.observed = format!("{} in {first} and {object}", same.join(", "));
        finding.expected = format!("in {first} only");
        let whose = service.map(|s| format!("{s}'s ")).unwrap_or_default();
        let subject = if same.len() == 1 { "revision" } else { "revisions" };
        let verb = if same.len() == 1 { "stands" } else { "stand" };
        finding.message = format!("{whose}{subject} {} {verb} in {first} and again in {object}.", same.join(", "));
        finding.remedy = format!(
            "Make sure that nothing uses {object} (its name, `version_table` in an env.py), then drop it by hand."
        );
        finding.objects = vec![first, object];
        out.push(finding);
    }
}

/// The table that holds the same revision rightfully, and whose it is.
fn original<'a>(
    ctx: &'a Context<'_>,
    counts: &TableCounts,
    homes: &HashMap<&str, &VersionInfo>,
    info: &VersionInfo,
    table: &VersionTable,
) -> Option<(&'a VersionTable, Option<String>)> {
    let all = &ctx.snapshot.versions.0;
    for row in &info.rows {
        let Some(service) = row.settled() else { continue };
        let home = homes.get(service).filter(|h| h.table != info.table);
        let held = home.filter(|h| h.rows.iter().any(|r| r.revision == row.revision && r.settled() == Some(service)));
        if let Some(original) = held.and_then(|h| all.get(h.table)) {
            return Some((original, Some(service.to_owned())));
        }
    }
    // without scripts: the same rows, in a schema where nothing else is
    let rows = known(table);
    let bare = info.home.is_none()
        && !rows.is_empty()
        && info.rows.iter().all(|r| r.settled().is_none())
        && matches!(info.class, Class::Own | Class::Foreign | Class::Misplaced)
        && counts.in_schema(table.schema) == 0;
    if !bare {
        return None;
    }
    let original = ctx.versions.0.iter().find(|v| {
        v.table != info.table
            && all.get(v.table).is_some_and(|t| {
                t.shape && t.plain && known(t) == rows && !copy_name(&t.name) && counts.in_schema(t.schema) > 0
            })
    })?;
    all.get(original.table).map(|t| (t, original.service.clone()))
}

fn known(table: &VersionTable) -> &[String] {
    table.rows.known().unwrap_or_default()
}

fn name(ctx: &Context<'_>, table: &VersionTable) -> String {
    format!("{}.{}", ctx.schema_name(table.schema), table.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::alembic::tests::{lineage, lineages},
        policy::checks::fixture::Fixture,
    };

    fn fixture() -> Fixture {
        let mut f = Fixture::new()
            .role("app")
            .schema("madansara", "app")
            .table("madansara", "ab_tests", "app")
            .version_table("madansara", "alembic_version", "app", Some(&["m1"]))
            .policy("[[service]]\nname='madansara'\nschema='madansara'\nrole='app'\n");
        f.lineages = lineages([lineage("madansara", &["m1"])]);
        f
    }

    #[test]
    fn the_second_place_is_named() {
        let f = fixture().version_table("public", "alembic_version_madansara", "postgres", Some(&["m1"]));
        let found = f.case().only(CODE.code);
        assert_eq!(found.object.as_deref(), Some("public.alembic_version_madansara"));
        assert_eq!(found.objects, ["madansara.alembic_version", "public.alembic_version_madansara"]);
        assert_eq!(found.service.as_deref(), Some("madansara"));
    }

    #[test]
    fn a_copy_by_hand_is_not_accused() {
        let mut f = fixture().version_table("public", "alembic_version_backup_20261103", "postgres", Some(&["m1"]));
        f.versions[1].primary_key = false;
        assert_eq!(f.case().of(CODE.code), vec![]);
    }

    #[test]
    fn without_scripts_only_an_otherwise_empty_schema_counts() {
        let mut f = fixture().schema("left", "app").version_table("left", "alembic_version", "app", Some(&["m1"]));
        (f.policy, f.lineages) = (None, lineages([]));
        assert_eq!(f.clone().case().only(CODE.code).object.as_deref(), Some("left.alembic_version"));
        let two = f.table("left", "ab_tests", "app");
        assert_eq!(two.case().of(CODE.code), vec![], "two installations at one revision");
    }

    #[test]
    fn one_id_of_two_projects_is_no_duplicate() {
        let mut f = fixture()
            .role("other")
            .schema("other", "other")
            .table("other", "dag", "other")
            .version_table("other", "alembic_version", "other", Some(&["m1"]))
            .policy(
                "[[service]]\nname='madansara'\nschema='madansara'\nrole='app'\n\
                 [[service]]\nname='other'\nschema='other'\nrole='other'\n",
            );
        f.lineages =
            lineages([lineage("madansara", &["m1", "m2 < m1"]), lineage("other", &["m1", "o2 < m1", "o3 < o2"])]);
        assert_eq!(f.case().of(CODE.code), vec![]);
    }
}
