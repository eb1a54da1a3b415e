//! `version-table-shared`: one version table, two applications.

use super::{Check, Code, Context, declared::count};
use crate::policy::{
    Finding, Group, Severity,
    versions::{Class, and},
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
        let moves: Vec<String> = guests
            .iter()
            .filter_map(|guest| {
                let service = ctx.services().iter().find(|s| s.name == **guest)?;
                let mine = info.rows.iter().filter(|r| r.settled() == Some(guest));
                let rows: Vec<&str> = mine.map(|r| r.revision.as_str()).collect();
                Some(format!(
                    "`pgmoat versions move {} --from {object} --to {} --rows {}`",
                    ctx.snapshot.instance,
                    service.schemas.first()?,
                    rows.join(",")
                ))
            })
            .collect();
        finding.remedy = if moves.is_empty() {
            format!(
                "Find out whose each row is (the revision scripts tell), then split them with `pgmoat versions move {} \
                 --from {object} --to SCHEMA --rows …`; do not delete or stamp.",
                ctx.snapshot.instance
            )
        } else {
            format!("Stop both applications and split the rows: {}; do not delete or stamp.", moves.join(", "))
        };
        out.push(finding);
    }
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
}
