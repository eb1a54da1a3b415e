//! `view-crossing`: a view in one service's schema that reads another's tables.

use std::collections::BTreeMap;

use super::{Check, Code, Context, declared::list};
use crate::{
    domain::Oid,
    policy::{Finding, Group, Level, Severity, versions::and},
};

pub const CHECK: Check = Check { codes: &[CODE], slow: true, without_policy: false, run };

const CODE: Code = Code {
    code: "view-crossing",
    group: Group::Isolation,
    severity: Severity::Warning,
    why: "Whoever may read the view reads the neighbour's rows with the view owner's rights (of a security_invoker view, \
          with its own), and the neighbour cannot change those tables without breaking it.",
};

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    let mut views: BTreeMap<(Oid, &str), Vec<usize>> = BTreeMap::new();
    let uses = ctx.shapes.map(|s| s.views.as_slice()).unwrap_or_default();
    for (i, used) in uses.iter().enumerate().filter(|(_, v)| v.schema != v.uses_schema) {
        views.entry((used.schema, &used.view)).or_default().push(i);
    }
    for ((schema, view), used) in views {
        let schema = ctx.schema_name(schema);
        let used: Vec<_> = used.iter().filter_map(|i| uses.get(*i)).collect();
        let here = ctx.service_of(&schema);
        let crossed: Vec<_> = used
            .iter()
            .filter(|u| {
                let there = ctx.service_of(&ctx.schema_name(u.uses_schema));
                match (here, there) {
                    (None, None) => false,
                    (a, b) => a.map(|s| &s.name) != b.map(|s| &s.name),
                }
            })
            .collect();
        let Some(first) = crossed.first() else { continue };
        // declared: the service may read there anyway
        let declared = here.is_some_and(|service| {
            crossed.iter().all(|u| {
                let levels = service.access.get(&ctx.schema_name(u.uses_schema));
                levels.is_some_and(|l| {
                    l.iter().any(|l| matches!(l, Level::Read | Level::Write | Level::All | Level::Own))
                }) && ctx.belongs(u.owner, service)
            })
        });
        let kind = if first.materialized { "materialized view" } else { "view" };
        let object = format!("{schema}.{view}");
        let mut relations: Vec<String> =
            crossed.iter().map(|u| format!("{}.{}", ctx.schema_name(u.uses_schema), u.uses)).collect();
        relations.sort();
        relations.dedup();
        let names: Vec<&str> = relations.iter().map(String::as_str).collect();
        let mut finding = ctx.draft(&CODE);
        finding.id = format!("{}:{object}", CODE.code);
        finding.service = here.map(|s| s.name.clone());
        finding.schema = Some(schema);
        finding.object = Some(object.clone());
        finding.observed = format!("reads {}", and(&names));
        finding.expected = "reads its own schema only".into();
        let of = if first.security_invoker { "whoever reads it".into() } else { ctx.catalog.role_name(first.owner) };
        finding.message = format!("The {kind} {object} reads {} with the rights of {of}.", and(&names));
        finding.remedy = if declared {
            "Its service is declared to read there: nothing to do, as long as the readers of the view may know it too."
                .to_owned()
        } else {
            "Let the reader ask the other schema by name with access of its own, or drop the view. To keep it, declare the \
             access of its service, or leave it by an [[exception]] that names this finding."
                .to_owned()
        };
        if declared {
            finding.severity = Severity::Info;
        }
        let mut objects = relations;
        objects.push(object);
        list(&mut finding, objects);
        out.push(finding);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{domain::snapshot::ViewUse, policy::checks::fixture::Fixture};

    /// A view `v` that reads the table `t`.
    pub fn view(f: &Fixture, schema: &str, owner: &str, uses: &str, uses_owner: &str) -> ViewUse {
        ViewUse {
            schema: f.schema_oid(schema),
            view: "v".into(),
            owner: f.role_oid(owner),
            materialized: false,
            security_invoker: false,
            uses_schema: f.schema_oid(uses),
            uses: "t".into(),
            uses_owner: f.role_oid(uses_owner),
            uses_rls: false,
            uses_force_rls: false,
        }
    }

    fn fixture(access: &str) -> Fixture {
        Fixture::new().role("engarde_user").role("app").schema("langflow", "app").schema("audit", "postgres").policy(
            &format!(
                "[[service]]\nname='engarde'\nschema='public'\nrole='engarde_user'\n{access}\n\
                 [[service]]\nname='langflow'\nschema='langflow'\nrole='app'\n"
            ),
        )
    }

    #[test]
    fn a_view_is_one_finding_whatever_it_reads() {
        let mut f = fixture("");
        let one = view(&f, "public", "engarde_user", "langflow", "app");
        f.shapes.views = vec![one.clone(), ViewUse { uses: "u".into(), ..one }];
        let found = f.clone().case().only(CODE.code);
        assert_eq!(found.observed, "reads langflow.t and langflow.u");
        assert_eq!(found.severity, Severity::Warning);
        assert!(found.message.ends_with("with the rights of engarde_user."), "{}", found.message);
        f.shapes.views.iter_mut().for_each(|v| v.security_invoker = true);
        let found = f.case().only(CODE.code);
        assert!(found.message.ends_with("with the rights of whoever reads it."), "{}", found.message);
    }

    #[test]
    fn declared_reading_is_listed_and_the_own_schema_is_not() {
        let mut f = fixture("access={langflow=['read']}");
        f.shapes.views = vec![view(&f, "public", "engarde_user", "langflow", "app")];
        assert_eq!(f.clone().case().only(CODE.code).severity, Severity::Info);
        f.shapes.views = vec![view(&f, "public", "postgres", "langflow", "app")];
        assert_eq!(f.clone().case().only(CODE.code).severity, Severity::Warning, "with the superuser's rights");
        f.shapes.views = vec![view(&f, "public", "engarde_user", "public", "engarde_user")];
        assert_eq!(f.case().of(CODE.code), vec![]);
    }
}
