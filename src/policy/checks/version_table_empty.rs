//! `version-table-empty`: a version table without a row although the application's tables exist.

use super::{
    Check, Code, Context,
    commands::{move_versions, split_versions},
    version_table_missing::astray,
};
use crate::{
    policy::{Finding, Group, Severity, versions::Class},
    text::list,
};

pub const CHECK: Check = Check { codes: &[CODE], slow: false, without_policy: true, run };

const CODE: Code = Code {
    code: "version-table-empty",
    group: Group::Versions,
    severity: Severity::Error,
    why: "Without a row the next start runs every migration again, or stamps a head that the tables have not reached.",
};

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    for info in ctx.versions.0.iter().filter(|v| v.class == Class::EmptyInUse) {
        let Some(table) = ctx.snapshot.versions.0.get(info.table) else { continue };
        let schema = ctx.schema_name(table.schema);
        let object = format!("{schema}.{}", table.name);
        // its row may have been written into another's table
        let elsewhere = info.service.as_deref().and_then(|service| {
            ctx.versions.0.iter().filter(|v| v.table != info.table && v.class != Class::Copy).find_map(|v| {
                let rows: Vec<&str> =
                    v.rows.iter().filter(|r| r.settled() == Some(service)).map(|r| r.revision.as_str()).collect();
                let other = ctx.snapshot.versions.0.get(v.table).filter(|_| !rows.is_empty())?;
                Some((format!("{}.{}", ctx.schema_name(other.schema), other.name), rows))
            })
        });
        let mut finding = ctx.draft(&CODE);
        finding.id = format!("{}:{object}", CODE.code);
        finding.service.clone_from(&info.service);
        finding.schema = Some(schema.clone());
        finding.object = Some(object.clone());
        finding.objects = vec![object.clone()];
        finding.observed = "no row, but tables".into();
        finding.expected = "the revision that the tables are at".into();
        let whose = info.service.as_ref().map_or_else(|| format!("schema {schema} has"), |s| format!("{s} has"));
        finding.message = format!("{object} is empty although {whose} tables.");
        finding.remedy = match elsewhere {
            Some((from, rows)) => format!(
                "Its revision stands in {from}: `{}`.",
                move_versions(&ctx.snapshot.target(), &from, &schema, &rows)
            ),
            None => match unattributed(ctx, info.service.as_deref()) {
                Some((from, rows)) => format!(
                    "Its revision may be among those of {from} ({}): find out which is its own (the revision scripts \
                     tell), then `{}`; never stamp head unseen.",
                    list(&rows, 4),
                    split_versions(&ctx.snapshot.target(), &from, &schema)
                ),
                None => "Find the revision (backup, another environment, the release that ran last) and stamp it with \
                         the application's own Alembic, or name it to `pgmoat isolate … --lost-revision REVISION`; never \
                         stamp head unseen."
                    .to_owned(),
            },
        };
        out.push(finding);
    }
}

fn unattributed(ctx: &Context<'_>, service: Option<&str>) -> Option<(String, Vec<String>)> {
    let service = ctx.services().iter().find(|s| Some(s.name.as_str()) == service)?;
    astray(ctx, service)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::alembic::tests::{lineage, lineages},
        policy::checks::fixture::Fixture,
    };

    fn fixture(rows: &[&str]) -> Fixture {
        let f = Fixture::new().role("app").schema("langflow", "app").table("langflow", "flow", "app");
        f.version_table("langflow", "alembic_version", "app", Some(rows))
    }

    #[test]
    fn it_needs_no_policy() {
        let found = fixture(&[]).case().only(CODE.code);
        assert!(found.message.contains("schema langflow has tables"), "{}", found.message);
        assert_eq!(fixture(&["a"]).case().of(CODE.code), vec![]);
        let mut new = fixture(&[]);
        new.objects.retain(|(_, o)| o.name != "flow");
        assert_eq!(new.case().of(CODE.code), vec![], "before the first migration");
    }

    #[test]
    fn a_row_that_went_astray_is_named() {
        let mut f = fixture(&[])
            .role("engarde_user")
            .version_table("public", "alembic_version", "engarde_user", Some(&["e1", "l1"]))
            .policy(
                "[[service]]\nname='engarde'\nschema='public'\nrole='engarde_user'\n\
                 [[service]]\nname='langflow'\nschema='langflow'\nrole='app'\n",
            );
        f.lineages = lineages([lineage("engarde", &["e1"]), lineage("langflow", &["l1"])]);
        let found = f.case().only(CODE.code);
        assert!(found.remedy.contains("--from public.alembic_version --to langflow --rows l1"), "{}", found.remedy);
    }
}
