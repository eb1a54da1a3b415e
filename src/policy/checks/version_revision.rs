//! `version-revision-unknown`, `version-behind-head`, `version-several-heads`: what the rows of version tables mean.

use super::{Check, Code, Context, commands::move_versions, declared::count};
use crate::policy::{
    Finding, Group, Severity,
    versions::{Class, Place, Revision, VersionInfo, and},
};

pub const CHECK: Check = Check { codes: &[UNKNOWN, BEHIND, HEADS], slow: false, without_policy: true, run };

const UNKNOWN: Code = Code {
    code: "version-revision-unknown",
    group: Group::Versions,
    severity: Severity::Error,
    why: "The application will say \"Can't locate revision\" and not migrate; deleting or stamping would lose the only \
          trace of what the tables are.",
};

const BEHIND: Code = Code {
    code: "version-behind-head",
    group: Group::Versions,
    severity: Severity::Warning,
    why: "The tables are older than the scripts: the next start migrates, or an application without that step fails.",
};

const HEADS: Code = Code {
    code: "version-several-heads",
    group: Group::Versions,
    severity: Severity::Info,
    why: "Branches are legitimate, but `upgrade head` refuses to choose: it wants `heads`, or a merge revision.",
};

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    for info in &ctx.versions.0 {
        if matches!(info.class, Class::Copy | Class::Foreign) {
            continue;
        }
        let Some(table) = ctx.snapshot.versions.0.get(info.table) else { continue };
        let schema = ctx.schema_name(table.schema);
        let object = format!("{schema}.{}", table.name);
        let draft = |code: &Code, rows: &[&Revision], service: Option<String>| {
            let ids: Vec<&str> = rows.iter().map(|r| r.revision.as_str()).collect();
            let mut finding = ctx.draft(code);
            finding.id = format!("{}:{object}:{}", code.code, ids.join(","));
            finding.service = service;
            finding.schema = Some(schema.clone());
            finding.object = Some(object.clone());
            finding.objects = vec![object.clone()];
            finding.observed = ids.join(", ");
            finding
        };
        let place = |place: &Place| info.rows.iter().filter(|r| r.place == *place).collect::<Vec<_>>();

        let unknown = place(&Place::Unknown);
        let (beside, unknown): (Vec<&Revision>, Vec<&Revision>) =
            unknown.into_iter().partition(|r| !ctx.lineages.holding(&r.revision).is_empty());
        for row in beside {
            let mut finding = draft(&UNKNOWN, &[row], None);
            let whose = ctx.lineages.holding(&row.revision);
            finding.expected = "one application's revisions".into();
            finding.message = format!(
                "{} in {object} is a revision of {}, and one that comes after it stands beside it: a table of one \
                 application never holds both, so it is another's.",
                row.revision,
                and(&whose)
            );
            finding.remedy = format!(
                "Find out whose it is and split it off: `{}`; leave it alone until then.",
                move_versions(&ctx.snapshot.target(), &object, "SCHEMA", &[&row.revision])
            );
            out.push(finding);
        }
        if !unknown.is_empty() {
            let mut finding = draft(&UNKNOWN, &unknown, info.service.clone());
            finding.expected = "revisions of a declared service".into();
            finding.message = format!("No revision script knows {}, which stands in {object}.", finding.observed);
            finding.remedy = "A newer release, a squashed history or another application: get the scripts of what ran \
                              last, and leave the row alone until they explain it."
                .into();
            out.push(finding);
        }
        let ambiguous = place(&Place::Ambiguous);
        if let Some(first) = ambiguous.first() {
            let names: Vec<&str> = first.services.iter().map(String::as_str).collect();
            let mut finding = draft(&UNKNOWN, &ambiguous, None);
            finding.severity = Severity::Info;
            finding.expected = "one service's revision".into();
            finding.message = format!(
                "{} in {object} is a revision of {}; nothing in the database decides whose it is.",
                finding.observed,
                and(&names)
            );
            finding.remedy = "Ask whoever ran the last migration; nothing moves this row by itself.".into();
            out.push(finding);
        }
        for service in services(info) {
            let rows: Vec<&Revision> = info.rows.iter().filter(|r| r.settled() == Some(service)).collect();
            out.extend(behind(ctx, service, &rows, &object, &draft));
            if rows.len() > 1 && rows.iter().all(|r| r.place == Place::Head) {
                let mut finding = draft(&HEADS, &rows, Some(service.to_owned()));
                finding.expected = "one head".into();
                finding.message = format!("{service} stands at {} at once, in {object}.", count(rows.len(), "head"));
                finding.remedy =
                    "Nothing to do if the branches are meant; else merge them with `alembic merge heads`.".into();
                out.push(finding);
            }
        }
        let several = matches!(info.class, Class::Own | Class::Unknown) && info.rows.len() > 1;
        if several && info.rows.iter().all(|r| r.place == Place::NoScripts) {
            let rows: Vec<&Revision> = info.rows.iter().collect();
            let mut finding = draft(&HEADS, &rows, info.service.clone());
            finding.expected = "one head".into();
            finding.message = format!("{object} holds {}.", count(rows.len(), "row"));
            finding.remedy =
                "Branches of one application, or two applications: name the revision scripts in the policy \
                              to tell."
                    .into();
            out.push(finding);
        }
    }
}

fn behind(
    ctx: &Context<'_>,
    service: &str,
    rows: &[&Revision],
    object: &str,
    draft: &impl Fn(&Code, &[&Revision], Option<String>) -> Finding,
) -> Option<Finding> {
    let late: Vec<&Revision> = rows.iter().copied().filter(|r| matches!(r.place, Place::Behind(_))).collect();
    let most = late.iter().filter_map(|r| if let Place::Behind(n) = r.place { Some(n) } else { None }).max()?;
    let heads = ctx.lineages.of(service).map(|l| l.heads().join(", ")).unwrap_or_default();
    let mut finding = draft(&BEHIND, &late, Some(service.to_owned()));
    finding.message =
        format!("{service} is {} behind its head: {} in {object}.", count(most as usize, "revision"), finding.observed);
    finding.observed = format!("{} behind at {}", count(most as usize, "revision"), finding.observed);
    finding.expected = heads;
    finding.remedy =
        "Let the application migrate (a backup first), or name the scripts of the release that is installed.".into();
    Some(finding)
}

/// Services with settled rows, each once, in the order of the rows.
fn services(info: &VersionInfo) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for name in info.rows.iter().filter_map(Revision::settled) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::alembic::tests::{lineage, lineages},
        policy::checks::fixture::{Case, Fixture},
    };

    fn with(rows: &[&str]) -> Case {
        let mut f = Fixture::new()
            .role("engarde_user")
            .role("app")
            .schema("langflow", "app")
            .version_table("langflow", "alembic_version", "app", Some(rows))
            .policy(
                "[[service]]\nname='engarde'\nschema='public'\nrole='engarde_user'\n\
                 [[service]]\nname='langflow'\nschema='langflow'\nrole='app'\n",
            );
        f.lineages = lineages([
            lineage("engarde", &["both"]),
            lineage("langflow", &["l1", "l2 < l1", "l3 < l2", "b3 < l2", "both < l3"]),
        ]);
        f.case()
    }
    fn codes(case: &Case) -> Vec<&str> {
        let all = [UNKNOWN.code, BEHIND.code, HEADS.code];
        case.findings().iter().map(|f| f.code).filter(|c| all.contains(c)).collect()
    }

    #[test]
    fn every_place_is_told_apart() {
        assert!(codes(&with(&["b3"])).is_empty(), "a head");
        let late = with(&["l1"]).only(BEHIND.code);
        assert_eq!(late.observed, "4 revisions behind at l1");
        assert_eq!((late.severity, late.expected.as_str()), (Severity::Warning, "b3, both"));
        let strange = with(&["zz"]).only(UNKNOWN.code);
        assert_eq!((strange.severity, strange.fix.is_none()), (Severity::Error, true));
        let open = with(&["both"]).only(UNKNOWN.code);
        assert_eq!(open.severity, Severity::Info, "ambiguous is asked, not accused");
    }

    #[test]
    fn what_stands_beside_its_own_successor_is_anothers() {
        let found = with(&["l1", "b3"]).only(UNKNOWN.code);
        assert_eq!((found.severity, found.observed.as_str()), (Severity::Error, "l1"));
        assert!(found.message.contains("it is another's") && found.remedy.contains("--rows l1"), "{found:#?}");
    }

    #[test]
    fn several_heads_are_listed() {
        let found = with(&["b3", "l3"]);
        assert_eq!(codes(&found), [BEHIND.code]);
        let mut f = Fixture::new().role("app").schema("s", "app");
        f = f.version_table("s", "alembic_version", "app", Some(&["a", "b"])).table("s", "t", "app");
        assert_eq!(f.case().only(HEADS.code).severity, Severity::Info);
    }

    #[test]
    fn copies_are_left_alone() {
        let mut f = Fixture::new().role("app").schema("s", "app").table("s", "t", "app");
        f = f.version_table("s", "alembic_version_old", "app", Some(&["a", "b"]));
        f.versions[0].primary_key = false;
        assert!(codes(&f.case()).is_empty());
    }
}
