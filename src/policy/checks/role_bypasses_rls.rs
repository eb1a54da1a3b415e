//! `role-bypasses-rls`: a declared role that row level security does not bind, where there is some.

use super::{Check, Code, Context};
use crate::{
    domain::change::{Change, RoleAttributes},
    policy::{Finding, Group, Severity, versions::and},
};

pub const CHECK: Check = Check { codes: &[CODE], slow: false, without_policy: false, run };

const CODE: Code = Code {
    code: "role-bypasses-rls",
    group: Group::Tenancy,
    severity: Severity::Error,
    why: "BYPASSRLS ignores every policy in every schema, forced or not: the role sees all tenants' rows.",
};

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    // superusers are told by role-overprivileged
    for of in ctx.declared().into_iter().filter(|d| d.role.bypass_rls && !d.role.superuser) {
        let schemas: Vec<&str> = ctx
            .catalog
            .schemas
            .iter()
            .enumerate()
            .filter(|(_, s)| !s.is_system() && !s.extension)
            .filter(|(i, _)| ctx.matrix.groups(ctx.catalog, *i).any(|g| g.rls > 0))
            .map(|(_, s)| s)
            .filter(|s| ctx.reaches_tables(of.position, s.oid))
            .map(|s| s.name.as_str())
            .collect();
        if schemas.is_empty() {
            continue;
        }
        let mut finding = ctx.draft(&CODE);
        finding.id = format!("{}:{}", CODE.code, of.name);
        finding.service = of.service.map(|s| s.name.clone());
        finding.role = Some(of.name.to_owned());
        finding.attribute = Some("BYPASSRLS".to_owned());
        finding.observed = format!("BYPASSRLS, with tables in {}", and(&schemas));
        finding.expected = "bound by row level security".into();
        finding.message = format!("No row policy in {} binds {}: it has BYPASSRLS.", and(&schemas), of.name);
        finding.remedy = format!("Take BYPASSRLS away from {}.", of.name);
        let attributes = RoleAttributes { bypass_rls: Some(false), ..RoleAttributes::default() };
        finding.fix = Some(vec![Change::AlterRole { name: of.name.to_owned(), attributes }]);
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::rls::tests::fixture, *};

    #[test]
    fn it_matters_where_policies_are_and_the_role_reaches() {
        let f = fixture(true, true, Some("(tenant_id = public.current_tenant())"));
        assert_eq!(f.clone().case().of(CODE.code), vec![]);
        let reader = f.clone().edit_role("reader", |r| r.bypass_rls = true);
        assert_eq!(reader.clone().case().of(CODE.code), vec![], "it reaches nothing there");
        let reader = reader.grant_schema("langflow", "reader", "USAGE").grant("langflow.a", "reader", "SELECT");
        let found = reader.case().only(CODE.code);
        assert!(found.message.contains("in langflow binds reader"), "{}", found.message);
        let none = fixture(false, false, None).edit_role("app", |r| r.bypass_rls = true);
        assert_eq!(none.case().of(CODE.code), vec![], "no policy anywhere");
    }
}
