//! `rls-bypassed-by-view`: a view or materialized view that reads past row level security.

use std::collections::BTreeMap;

use super::{Check, Code, Context, declared::list};
use crate::{
    domain::{Oid, change::Change, closure::bypasses_rls, effective::Who, snapshot::ViewUse},
    policy::{Finding, Group, Severity, versions::and},
};

pub const CHECK: Check = Check { codes: &[CODE], slow: true, without_policy: true, run };

const CODE: Code = Code {
    code: "rls-bypassed-by-view",
    group: Group::Tenancy,
    severity: Severity::Warning,
    why: "A view reads with its owner's rights, and policies do not bind that owner: whoever may read the view sees \
          every tenant's rows.",
};

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    let mut views: BTreeMap<(Oid, &str), Vec<&ViewUse>> = BTreeMap::new();
    for used in ctx.shapes.map(|s| s.views.as_slice()).unwrap_or_default().iter().filter(|v| bypasses(ctx, v)) {
        views.entry((used.schema, &used.view)).or_default().push(used);
    }
    for ((schema, view), used) in views {
        let Some(first) = used.first() else { continue };
        let schema = ctx.schema_name(schema);
        let object = format!("{schema}.{view}");
        let owner = ctx.catalog.role_name(first.owner);
        let mut tables: Vec<String> =
            used.iter().map(|u| format!("{}.{}", ctx.schema_name(u.uses_schema), u.uses)).collect();
        tables.sort();
        tables.dedup();
        let names: Vec<&str> = tables.iter().map(String::as_str).collect();
        let mut finding = ctx.draft(&CODE);
        finding.id = format!("{}:{object}", CODE.code);
        finding.service = ctx.service_of(&schema).map(|s| s.name.clone());
        finding.schema = Some(schema.clone());
        finding.object = Some(object.clone());
        finding.observed = format!("reads {} as {owner}", and(&names));
        if first.materialized {
            finding.expected = "no copy of rows that policies protect".into();
            finding.message = format!(
                "The materialized view {object} keeps rows of {} as {owner} saw them: every reader sees them all.",
                and(&names)
            );
            finding.remedy = "Policies do not reach into a materialized view: grant it to nobody who belongs to one \
                              tenant, or make it a view with security_invoker."
                .into();
        } else {
            finding.expected = "reads as its caller".into();
            finding.message =
                format!("The view {object} reads {} as {owner}, whom the policies do not bind.", and(&names));
            if ctx.snapshot.server.version_num >= 150_000 {
                finding.remedy =
                    "Let it read as its caller (security_invoker); its readers then need SELECT on those tables."
                        .into();
                finding.fix = Some(vec![Change::SetViewInvoker { schema: schema.clone(), view: view.to_owned() }]);
            } else {
                finding.remedy =
                    "Give it to an owner whom the policies bind; security_invoker exists from version 15 on.".into();
            }
        }
        let mut objects = tables;
        objects.push(object);
        list(&mut finding, objects);
        out.push(finding);
    }
}

/// The rows the view shows are not filtered for whoever reads it.
fn bypasses(ctx: &Context<'_>, used: &ViewUse) -> bool {
    if !used.uses_rls {
        return false;
    }
    let owner = ctx.matrix.closure.position(used.owner).and_then(|i| Some((i, ctx.catalog.roles.get(i)?)));
    let unbound = owner.is_some_and(|(position, role)| {
        let owns = !used.uses_force_rls && ctx.matrix.owns(Who::Role(position), used.uses_owner);
        bypasses_rls(role) || owns
    });
    used.materialized || (!used.security_invoker && unbound)
}

#[cfg(test)]
mod tests {
    use super::{super::view_crossing::tests::view, *};
    use crate::policy::checks::fixture::Fixture;

    fn with(owner: &str, change: impl FnOnce(&mut ViewUse)) -> Vec<Finding> {
        let mut f = Fixture::new().role("app").role("reporter").schema("langflow", "app");
        let mut v = view(&f, "langflow", owner, "langflow", "app");
        (v.uses_rls, v.uses_force_rls) = (true, true);
        change(&mut v);
        f.shapes.views = vec![v];
        f.case().of(CODE.code)
    }

    #[test]
    fn only_owners_whom_the_policies_do_not_bind_are_accused() {
        assert_eq!(with("reporter", |_| ()), vec![]);
        assert_eq!(with("app", |_| ()), vec![], "forced: the owner is bound too");
        assert_eq!(with("postgres", |v| v.uses_rls = false), vec![]);
        assert_eq!(with("postgres", |v| v.security_invoker = true), vec![]);
        let found = with("postgres", |_| ());
        let invoker = Change::SetViewInvoker { schema: "langflow".into(), view: "v".into() };
        assert_eq!((found.len(), found[0].fix.clone()), (1, Some(vec![invoker])));
        assert_eq!(with("app", |v| v.uses_force_rls = false).len(), 1);
    }

    #[test]
    fn a_materialized_view_keeps_what_its_owner_saw() {
        let found = with("postgres", |v| v.materialized = true);
        assert!(found[0].fix.is_none() && found[0].message.contains("every reader sees them all"));
    }
}
