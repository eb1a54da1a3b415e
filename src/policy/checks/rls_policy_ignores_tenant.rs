//! `rls-policy-ignores-tenant`: a policy that lets rows of other tenants through.

use std::collections::BTreeMap;

use super::{
    Check, Code, Context,
    declared::{count, list},
    tenancy::{SETTING, TenantTable, tenant_tables},
};
use crate::{
    domain::{Oid, snapshot::RowPolicy},
    policy::{Finding, Group, Severity},
};

pub const CHECK: Check = Check { codes: &[CODE], slow: true, without_policy: false, run };

const CODE: Code = Code {
    code: "rls-policy-ignores-tenant",
    group: Group::Tenancy,
    severity: Severity::Error,
    why: "Permissive policies add up: one that does not ask for the tenant opens the table, however strict the others \
          are.",
};

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    let mut schemas: BTreeMap<&str, Vec<(String, String)>> = BTreeMap::new();
    let tables = tenant_tables(ctx);
    // switched off or not: what is wrong in a policy is wrong the moment it is switched on
    for table in &tables {
        // one restrictive policy that asks for the tenant is enough
        let restricted =
            table.policies.iter().any(|p| !p.permissive && fault(ctx, table, p).is_none() && p.command == '*');
        if restricted {
            continue;
        }
        for policy in table.policies.iter().filter(|p| p.permissive && applies(ctx, table, p)) {
            if let Some(why) = fault(ctx, table, policy) {
                schemas
                    .entry(table.schema)
                    .or_default()
                    .push((table.name(), format!("{} on {} {why}", policy.name, table.name())));
            }
        }
    }
    for (schema, faults) in schemas {
        let mut finding = ctx.draft(&CODE);
        finding.id = format!("{}:{schema}", CODE.code);
        finding.service = ctx.service_of(schema).map(|s| s.name.clone());
        finding.schema = Some(schema.to_owned());
        finding.expected = format!("compares the tenant column with {SETTING}");
        finding.observed = count(faults.len(), "policy").replace("policys", "policies");
        let shown: Vec<&str> = faults.iter().take(3).map(|(_, words)| words.as_str()).collect();
        let more = if faults.len() > 3 { format!("; and {} more", faults.len() - 3) } else { String::new() };
        finding.message = format!("Policies let other tenants' rows through: {}{more}.", shown.join("; "));
        finding.remedy = format!(
            "Drop them, and create one for each table that compares its tenant column with current_setting('{SETTING}')."
        );
        list(&mut finding, faults.into_iter().map(|(name, _)| name).collect());
        out.push(finding);
    }
}

/// The policy speaks for the service's role.
fn applies(ctx: &Context<'_>, table: &TenantTable<'_>, policy: &RowPolicy) -> bool {
    let role = ctx.matrix.index.role_named(&table.service.role);
    policy.roles.iter().any(|oid| {
        *oid == Oid::ZERO
            || role
                .is_some_and(|r| ctx.matrix.closure.position(*oid).is_some_and(|g| ctx.matrix.closure.inherits(r, g)))
    })
}

/// What is wrong with the expressions of a policy, in words; `None` when they ask for the tenant, in whatever way.
fn fault(ctx: &Context<'_>, table: &TenantTable<'_>, policy: &RowPolicy) -> Option<String> {
    let expressions =
        ctx.shapes?.policy_expressions.iter().find(|e| e.relation == policy.relation && e.policy == policy.name)?;
    // USING decides what is seen; for INSERT there is only WITH CHECK
    let all = [&expressions.using, &expressions.check];
    for expression in all.into_iter().flatten() {
        let bare = expression.trim_matches(|c: char| c == '(' || c == ')' || c.is_whitespace());
        if bare.eq_ignore_ascii_case("true") {
            return Some("is always true".to_owned());
        }
        if !mentions(expression, table.column) {
            return Some(format!("does not look at {}", table.column));
        }
        let settings = settings(expression);
        if !settings.is_empty() && !settings.iter().any(|s| s.eq_ignore_ascii_case(SETTING)) {
            return Some(format!("asks for the setting {}", settings.join(", ")));
        }
    }
    None
}

/// The column's name as a word of its own, outside of string literals.
fn mentions(expression: &str, column: &str) -> bool {
    let code: String = expression.split('\'').step_by(2).collect::<Vec<_>>().join(" ");
    code.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).any(|w| w == column)
        || (code.contains('"') && code.contains(&crate::domain::quote_ident(column)))
}

/// Names given to `current_setting()`.
fn settings(expression: &str) -> Vec<&str> {
    let parts = expression.split("current_setting(").skip(1);
    parts.filter_map(|rest| rest.trim_start().strip_prefix('\'')?.split('\'').next()).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::rls::tests::fixture, *};

    fn with(using: &str) -> Vec<Finding> {
        fixture(true, true, Some(using)).case().of(CODE.code)
    }

    #[test]
    fn whatever_asks_for_the_tenant_is_accepted() {
        for using in [
            "(tenant_id = (current_setting('app.current_tenant_id'::text))::uuid)",
            "(tenant_id = (NULLIF(current_setting('app.current_tenant_id'::text, true), ''::text))::uuid)",
            "(tenant_id = public.current_tenant())",
            "(tenant_id = ( SELECT u.tenant FROM users u WHERE u.name = CURRENT_USER))",
        ] {
            assert_eq!(with(using), vec![], "{using}");
        }
    }

    #[test]
    fn what_does_not_is_explained() {
        for (using, words) in [
            ("true", "is always true"),
            ("(owner = CURRENT_USER)", "does not look at tenant_id"),
            ("(owner = 'tenant_id'::text)", "does not look at tenant_id"),
            ("((tenant_id)::text = current_setting('app.tenant'::text, true))", "asks for the setting app.tenant"),
        ] {
            let found = with(using);
            assert_eq!(found.len(), 1, "{using}");
            assert!(found[0].message.contains(words), "{}", found[0].message);
            assert_eq!(found[0].objects, ["langflow.a", "langflow.b"]);
        }
    }

    #[test]
    fn policies_for_others_and_restrictive_ones_do_not_open_it() {
        let mut f = fixture(true, true, Some("true"));
        let reader = f.role_oid("reader");
        for p in &mut f.catalog.policies {
            p.roles = vec![reader];
        }
        assert_eq!(f.case().of(CODE.code), vec![], "a policy for another role");
        let mut f = fixture(true, true, Some("(tenant_id = public.current_tenant())"));
        let mut open = f.catalog.policies.clone();
        for p in &mut f.catalog.policies {
            p.permissive = false;
        }
        for p in &mut open {
            p.name = "open".into();
            f.shapes.policy_expressions.push(crate::domain::snapshot::PolicyExpression {
                relation: p.relation,
                policy: "open".into(),
                using: Some("true".into()),
                check: None,
            });
        }
        f.catalog.policies.extend(open);
        assert_eq!(f.case().of(CODE.code), vec![]);
    }
}
