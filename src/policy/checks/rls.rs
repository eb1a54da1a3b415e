//! `rls-missing`, `rls-no-policy`, `rls-policy-inert`, `rls-not-forced`: row level security that is absent, empty,
//! switched off, or does not bind the role that owns the table. One finding for each schema and code.

use std::collections::BTreeMap;

use super::{
    Check, Code, Context,
    declared::{count, list},
    tenancy::{TenantTable, tenant_tables},
};
use crate::{
    domain::{Oid, change::Change, effective::Who},
    policy::{Finding, Group, Severity},
};

pub const CHECK: Check =
    Check { codes: &[MISSING, NO_POLICY, INERT, NOT_FORCED], slow: true, without_policy: true, run };

const MISSING: Code = Code {
    code: "rls-missing",
    group: Group::Tenancy,
    severity: Severity::Error,
    why: "Nothing in the database keeps one tenant's rows from another: a forgotten WHERE shows them.",
};

const NO_POLICY: Code = Code {
    code: "rls-no-policy",
    group: Group::Tenancy,
    severity: Severity::Error,
    why: "Without a policy nobody sees a row, without an error, but the owner where it is not forced.",
};

const INERT: Code = Code {
    code: "rls-policy-inert",
    group: Group::Tenancy,
    severity: Severity::Error,
    why: "The policies are there and do nothing while row level security is off: it looks safe and is not.",
};

const NOT_FORCED: Code = Code {
    code: "rls-not-forced",
    group: Group::Tenancy,
    severity: Severity::Error,
    why: "A table's owner is not bound by its policies unless they are forced, and the service logs in as the owner.",
};

/// What is said of one schema.
#[derive(Default)]
struct Tables {
    names: Vec<String>,
    fix: Option<Vec<Change>>,
}

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    let Some(shapes) = ctx.shapes else { return };
    let tenants = tenant_tables(ctx);
    let tenant = |oid: Oid| tenants.iter().find(|t| t.shape.oid == oid);
    let (mut missing, mut empty, mut inert, mut unforced) = (Found::new(), Found::new(), Found::new(), Found::new());

    for table in &tenants {
        if !table.shape.rls && table.policies.is_empty() {
            let fix = vec![table.enable(), table.force(), table.create_policy()];
            missing.add(table.schema, table.name(), Some(fix));
        }
        // where the policies are switched off or absent, that is said, and the same change forces them
        if table.shape.rls && !table.shape.force_rls && !table.policies.is_empty() && owned(ctx, table) {
            unforced.add(table.schema, table.name(), Some(vec![table.force()]));
        }
    }
    for shape in shapes.tables.iter().filter(|t| t.rls) {
        if ctx.catalog.policies.iter().any(|p| p.relation == shape.oid) {
            continue;
        }
        let schema = ctx.schema_name(shape.schema);
        let fix = tenant(shape.oid).map(|t| {
            let mut fix = vec![t.create_policy()];
            if !shape.force_rls && owned(ctx, t) {
                fix.push(t.force());
            }
            fix
        });
        empty.add(&schema, format!("{schema}.{}", shape.name), fix);
    }
    let mut relations: Vec<Oid> = ctx.catalog.policies.iter().map(|p| p.relation).collect();
    relations.sort_unstable();
    relations.dedup();
    for relation in relations {
        let Some((schema, name, rls)) = named(ctx, relation) else { continue };
        if rls {
            continue;
        }
        let mut fix = vec![Change::EnableRls { schema: schema.clone(), table: name.clone() }];
        if let Some(t) = tenant(relation).filter(|t| !t.shape.force_rls && owned(ctx, t)) {
            fix.push(t.force());
        }
        inert.add(&schema, format!("{schema}.{name}"), Some(fix));
    }

    missing.report(ctx, &MISSING, out, |n| {
        (
            format!("{n} with a tenant column have no row level security"),
            "Enable and force it with a policy on the tenant column (`pgmoat plan --only rls-missing` shows how)."
                .to_owned(),
        )
    });
    empty.report(ctx, &NO_POLICY, out, |n| {
        (
            format!(
                "{n} have row level security and no policy: nobody sees a row, but the owner where it is not forced"
            ),
            "Create a policy, or switch row level security off where it is not meant.".to_owned(),
        )
    });
    inert.report(ctx, &INERT, out, |n| {
        (
            format!("{n} have policies, but row level security is off"),
            "Enable row level security; look at the policies first, they take effect at once.".to_owned(),
        )
    });
    unforced.report(ctx, &NOT_FORCED, out, |n| {
        (
            format!("{n} have policies that do not bind the service, which owns them"),
            "Force row level security; migrations and maintenance as the owner are bound too then.".to_owned(),
        )
    });
}

/// The service's role owns the table, itself or through a group, and nothing else lifts the policies for it.
fn owned(ctx: &Context<'_>, table: &TenantTable<'_>) -> bool {
    let role = ctx.matrix.index.role_named(&table.service.role);
    role.is_some_and(|r| ctx.matrix.owns(Who::Role(r), table.shape.owner))
}

/// Schema and name of a relation with policies, and whether row level security is on; `None` where it is not known.
fn named(ctx: &Context<'_>, relation: Oid) -> Option<(String, String, bool)> {
    let shape = ctx.shapes.and_then(|s| s.tables.iter().find(|t| t.oid == relation));
    if let Some(shape) = shape {
        return Some((ctx.schema_name(shape.schema), shape.name.clone(), shape.rls));
    }
    ctx.snapshot.objects.0.iter().find_map(|(schema, objects)| {
        let object = objects.relations.iter().find(|o| o.oid == relation)?;
        Some((ctx.schema_name(*schema), object.name.clone(), object.rls))
    })
}

/// Tables by schema.
struct Found(BTreeMap<String, Tables>);

impl Found {
    fn new() -> Found {
        Found(BTreeMap::new())
    }

    /// A table without a fix leaves its schema without one: the finding speaks of all of them.
    fn add(&mut self, schema: &str, name: String, fix: Option<Vec<Change>>) {
        let of = self.0.entry(schema.to_owned()).or_default();
        of.fix = match (of.fix.take(), fix, of.names.is_empty()) {
            (None, fix, true) => fix,
            (Some(mut all), Some(fix), _) => {
                all.extend(fix);
                Some(all)
            }
            (None, _, false) | (Some(_), None, _) => None,
        };
        of.names.push(name);
    }

    fn report(self, ctx: &Context<'_>, code: &Code, out: &mut Vec<Finding>, words: impl Fn(&str) -> (String, String)) {
        for (schema, tables) in self.0 {
            let mut finding = ctx.draft(code);
            let (sentence, remedy) = words(&count(tables.names.len(), "table"));
            let sentence = if tables.names.len() == 1 { singular(&sentence) } else { sentence };
            finding.id = format!("{}:{schema}", code.code);
            finding.service = ctx.service_of(&schema).map(|s| s.name.clone());
            finding.message = format!("In {schema} {sentence}.");
            finding.observed = count(tables.names.len(), "table");
            finding.expected = "none".into();
            finding.remedy = remedy;
            finding.schema = Some(schema);
            finding.fix = tables.fix;
            list(&mut finding, tables.names);
            out.push(finding);
        }
    }
}

/// "1 table have" as it is said.
fn singular(sentence: &str) -> String {
    sentence.replacen(" have ", " has ", 1).replacen("which owns them", "which owns it", 1)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        domain::snapshot::{PolicyExpression, RowPolicy, TableShape},
        policy::checks::fixture::Fixture,
    };

    /// langflow with a tenant column, and its tables `a` and `b` that have it, secured as the arguments say.
    pub fn fixture(rls: bool, force: bool, using: Option<&str>) -> Fixture {
        let mut f = Fixture::new().role("app").role("reader").schema("langflow", "app").policy(
            "[[service]]\nname='langflow'\nschema='langflow'\nrole='app'\ntenant_column='tenant_id'\n\
             [[role]]\nname='reader'\naccess={langflow=['read']}\n",
        );
        for table in ["a", "b"] {
            f = f.table("langflow", table, "app");
            let oid = f.object_oid(&format!("langflow.{table}"));
            f = f.edit(&format!("langflow.{table}"), |o| (o.rls, o.force_rls) = (rls, force));
            let (schema, owner) = (f.schema_oid("langflow"), f.role_oid("app"));
            f.shapes.tables.push(TableShape {
                oid,
                schema,
                name: table.into(),
                owner,
                rls,
                force_rls: force,
                tenant_columns: vec!["tenant_id".into()],
                tenant_types: BTreeMap::new(),
            });
            if let Some(using) = using {
                f.catalog.policies.push(RowPolicy {
                    relation: oid,
                    name: "p".into(),
                    permissive: true,
                    command: '*',
                    roles: vec![Oid::ZERO],
                });
                f.shapes.policy_expressions.push(PolicyExpression {
                    relation: oid,
                    policy: "p".into(),
                    using: Some(using.into()),
                    check: None,
                });
            }
        }
        f
    }
    const GOOD: &str = "(tenant_id = (current_setting('app.current_tenant_id'::text))::uuid)";

    #[test]
    fn secured_tables_are_not_accused() {
        let case = fixture(true, true, Some(GOOD)).case();
        for code in [MISSING, NO_POLICY, INERT, NOT_FORCED] {
            assert_eq!(case.of(code.code), vec![], "{}", code.code);
        }
    }

    #[test]
    fn each_state_is_one_finding_for_the_schema() {
        let missing = fixture(false, false, None).case().only(MISSING.code);
        assert_eq!(missing.objects, ["langflow.a", "langflow.b"]);
        assert_eq!(missing.fix.as_ref().map(Vec::len), Some(6));
        assert_eq!(missing.message, "In langflow 2 tables with a tenant column have no row level security.");

        let case = fixture(true, false, None).case();
        let fix = case.only(NO_POLICY.code).fix.unwrap();
        assert!(fix.iter().any(
            |c| matches!(c, Change::CreateTenantPolicy { setting, .. } if setting == super::super::tenancy::SETTING)
        ));
        assert_eq!(case.of(NOT_FORCED.code), vec![], "said once");

        let case = fixture(false, false, Some(GOOD)).case();
        assert_eq!(case.of(MISSING.code), vec![], "inert, not missing");
        assert_eq!(case.only(INERT.code).fix.map(|f| f.len()), Some(4));

        let case = fixture(true, false, Some(GOOD)).case();
        assert_eq!(case.only(NOT_FORCED.code).fix.map(|f| f.len()), Some(2));
    }

    #[test]
    fn without_a_policy_what_is_switched_on_is_still_compared() {
        let mut f = fixture(true, false, None);
        f.policy = None;
        let found = f.case().only(NO_POLICY.code);
        assert!(found.fix.is_none());
        let mut f = fixture(false, false, Some(GOOD));
        (f.policy, f.shapes.tables) = (None, Vec::new());
        assert_eq!(f.case().only(INERT.code).objects, ["langflow.a", "langflow.b"]);
    }

    #[test]
    fn exempted_schemas_and_foreign_owners_are_left_out() {
        let f = fixture(false, false, None).policy(
            "[[service]]\nname='langflow'\nschema='langflow'\nrole='app'\ntenant_column='tenant_id'\ntenant_exempt=true\n",
        );
        assert_eq!(f.case().of(MISSING.code), vec![]);
        let mut f = fixture(true, false, Some(GOOD));
        for t in &mut f.shapes.tables {
            t.owner = Oid(10);
        }
        assert_eq!(f.case().of(NOT_FORCED.code), vec![], "the service is not the owner");
    }
}
