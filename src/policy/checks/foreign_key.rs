//! `foreign-key-crossing`, `foreign-key-invalid`: foreign keys that tie services together, and those never checked.

use super::{Check, Code, Context};
use crate::policy::{Finding, Group, Severity};

pub const CHECK: Check = Check { codes: &[CROSSING, INVALID], slow: true, without_policy: true, run };

const CROSSING: Code = Code {
    code: "foreign-key-crossing",
    group: Group::Isolation,
    severity: Severity::Warning,
    why: "Neither service can migrate, restore or move its tables without the other; every write checks the \
          neighbour's table.",
};

const INVALID: Code = Code {
    code: "foreign-key-invalid",
    group: Group::Isolation,
    severity: Severity::Warning,
    why: "NOT VALID: rows that were there before were never checked, so some may point nowhere.",
};

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    for key in ctx.shapes.map(|s| s.foreign_keys.as_slice()).unwrap_or_default() {
        let (from, to) = (ctx.schema_name(key.schema), ctx.schema_name(key.to_schema));
        let table = format!("{from}.{}", key.table);
        let target = format!("{to}.{}", key.to_table);
        let draft = |code: &Code| {
            let mut finding = ctx.draft(code);
            finding.id = format!("{}:{table}:{}", code.code, key.name);
            finding.service = ctx.service_of(&from).map(|s| s.name.clone());
            finding.schema = Some(from.clone());
            finding.object = Some(table.clone());
            finding.objects = vec![table.clone()];
            finding
        };
        if !key.validated {
            let mut finding = draft(&INVALID);
            finding.observed = format!("{} NOT VALID", key.name);
            finding.expected = "validated".into();
            finding.message = format!("Foreign key {} of {table} was never validated.", key.name);
            // Whether its rows hold is not known, and a plan that may fail on a row is no plan.
            finding.remedy = format!(
                "ALTER TABLE {} VALIDATE CONSTRAINT {}; where that fails, the server names a row that points nowhere: \
                 mend the rows first.",
                crate::domain::qualified(&from, &key.table),
                crate::domain::quote_ident(&key.name)
            );
            out.push(finding);
        }
        if let Some(policy) = ctx.policy.filter(|_| crosses(ctx, &from, &to)) {
            let allowed = policy.allow.foreign_keys.iter().any(|a| a.from == from && a.to == to);
            let mut finding = draft(&CROSSING);
            finding.observed = format!("{table} references {target}");
            finding.expected = format!("no foreign key from {from} to {to}");
            finding.message = format!("{table} references {target} ({}).", key.name);
            finding.remedy = if allowed {
                "Allowed by the policy.".to_owned()
            } else {
                format!("Drop it, or allow it under [allow] foreign_keys = [{{ from = \"{from}\", to = \"{to}\" }}].")
            };
            finding.objects.push(target.clone());
            if allowed {
                finding.severity = Severity::Info;
            }
            out.push(finding);
        }
    }
}

/// From a service's schema into another's, or into or out of one that no service owns.
fn crosses(ctx: &Context<'_>, from: &str, to: &str) -> bool {
    match (ctx.service_of(from), ctx.service_of(to)) {
        (None, None) => false,
        (a, b) => from != to && a.map(|s| &s.name) != b.map(|s| &s.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::snapshot::ForeignKey, policy::checks::fixture::Fixture};

    fn fixture(from: &str, to: &str, validated: bool, more: &str) -> Fixture {
        let mut f = Fixture::new()
            .role("engarde_user")
            .role("app")
            .schema("langflow", "app")
            .schema("backend", "engarde_user")
            .policy(&format!(
                "[[service]]\nname='engarde'\nschemas=['public','backend']\nrole='engarde_user'\n\
                 [[service]]\nname='langflow'\nschema='langflow'\nrole='app'\n{more}\n"
            ));
        let (schema, to_schema) = (f.schema_oid(from), f.schema_oid(to));
        f.shapes.foreign_keys.push(ForeignKey {
            name: "fk".into(),
            schema,
            table: "t".into(),
            to_schema,
            to_table: "u".into(),
            validated,
        });
        f
    }

    #[test]
    fn crossing_is_between_services_and_may_be_allowed() {
        let found = fixture("langflow", "public", true, "").case().only(CROSSING.code);
        assert_eq!((found.severity, found.objects.len()), (Severity::Warning, 2));
        assert_eq!(found.message, "langflow.t references public.u (fk).");
        assert_eq!(fixture("backend", "public", true, "").case().of(CROSSING.code), vec![]);
        let allow = "[allow]\nforeign_keys=[{from='langflow',to='public'}]";
        assert_eq!(fixture("langflow", "public", true, allow).case().only(CROSSING.code).severity, Severity::Info);
        assert_eq!(
            fixture("public", "langflow", true, allow).case().only(CROSSING.code).severity,
            Severity::Warning,
            "the other direction is not allowed by that"
        );
    }

    #[test]
    fn an_unvalidated_key_needs_no_policy() {
        let mut f = fixture("backend", "public", false, "");
        f.policy = None;
        let found = f.case().only(INVALID.code);
        assert_eq!(found.fix, None, "it may fail on a row");
        assert!(found.remedy.contains("ALTER TABLE backend.t VALIDATE CONSTRAINT fk"), "{}", found.remedy);
        assert_eq!(fixture("langflow", "public", true, "").case().of(INVALID.code), vec![]);
    }
}
