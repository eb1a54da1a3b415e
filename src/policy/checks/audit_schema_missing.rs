//! `audit-schema-missing`: the policy counts on an audit trail that is not there.

use super::{Check, Code, Context};
use crate::{
    domain::change::Change,
    policy::{Finding, Group, Level, Severity},
};

pub const CHECK: Check = Check { codes: &[CODE], slow: false, without_policy: false, run };

const CODE: Code = Code {
    code: "audit-schema-missing",
    group: Group::Setup,
    severity: Severity::Warning,
    why: "Applications that append to the trail fail, or go on without anybody seeing what crossed schemas.",
};

/// The schema's name, as the services use it.
pub const AUDIT: &str = "audit";

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    let Some(policy) = ctx.policy.filter(|_| ctx.service_of(AUDIT).is_none()) else { return };
    let rule = policy.schemas.iter().find(|s| s.name == AUDIT);
    let mut access =
        policy.services.iter().map(|s| (&s.role, &s.access)).chain(policy.roles.iter().map(|r| (&r.name, &r.access)));
    let appends = access.any(|(_, a)| a.get(AUDIT).is_some_and(|l| l.contains(&Level::Append)));
    if rule.is_none() && !appends {
        return;
    }
    let exists = ctx.catalog.schema_named(AUDIT);
    if exists.is_some_and(|s| ctx.tables_in(s.oid, |_| true) > 0) {
        return;
    }
    // an empty one that nobody appends to is only being prepared
    if exists.is_some() && !appends {
        return;
    }
    let owner = rule.and_then(|r| r.owner.clone()).unwrap_or_else(|| ctx.catalog.role_name(ctx.catalog.database.owner));
    let mut finding = ctx.draft(&CODE);
    finding.id = format!("{}:{AUDIT}", CODE.code);
    finding.schema = Some(AUDIT.to_owned());
    finding.object = Some(AUDIT.to_owned());
    finding.observed = if exists.is_some() { "no table in it" } else { "missing" }.into();
    finding.expected = "a schema with the trail's table".into();
    finding.message = if exists.is_some() {
        "The schema audit has no table: nothing can be appended to the trail.".to_owned()
    } else {
        "The schema audit, which the policy declares, does not exist.".to_owned()
    };
    finding.remedy = format!("`pgmoat plan {} --only {}` shows how.", ctx.snapshot.target(), CODE.code);
    if ctx.catalog.role_named(&owner).is_some() {
        finding.fix = Some(vec![Change::CreateAuditSchema { schema: AUDIT.to_owned(), owner }]);
    }
    out.push(finding);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::checks::fixture::Fixture;

    const POLICY: &str = "[[service]]\nname='langflow'\nschema='langflow'\nrole='app'\naccess={audit=['append']}\n\
                          [[schema]]\nname='audit'\nowner='postgres'\n";

    fn fixture(policy: &str) -> Fixture {
        Fixture::new().role("app").schema("langflow", "app").policy(policy)
    }

    #[test]
    fn a_declared_trail_must_be_there() {
        let found = fixture(POLICY).case().only(CODE.code);
        let create = Change::CreateAuditSchema { schema: "audit".into(), owner: "postgres".into() };
        assert_eq!((found.severity, found.fix), (Severity::Warning, Some(vec![create])));
        let empty = fixture(POLICY).schema("audit", "postgres");
        assert_eq!(empty.clone().case().only(CODE.code).observed, "no table in it");
        assert_eq!(empty.table("audit", "cross_schema_access", "postgres").case().of(CODE.code), vec![]);
    }

    #[test]
    fn who_declares_none_misses_none() {
        let none = "[[service]]\nname='langflow'\nschema='langflow'\nrole='app'\n";
        assert_eq!(fixture(none).case().of(CODE.code), vec![]);
        let own = "[[service]]\nname='trail'\nschema='audit'\nrole='app'\n";
        assert_eq!(fixture(own).schema("audit", "app").case().of(CODE.code), vec![], "a service of that name");
    }
}
