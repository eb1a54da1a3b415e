//! `version-table-owner`: a version table in its place that belongs to somebody else.

use super::{Check, Code, Context};
use crate::{
    domain::{
        ObjectKind, Privilege, Privileges,
        change::{Change, ObjectRef},
        effective::Who,
        snapshot::Kind,
    },
    policy::{Finding, Group, Severity, versions::Class},
};

pub const CHECK: Check = Check { codes: &[CODE], slow: false, without_policy: false, run };

const CODE: Code = Code {
    code: "version-table-owner",
    group: Group::Versions,
    severity: Severity::Error,
    why: "The first migration stops with \"permission denied\" or \"must be owner\"; and whoever owns it may drop it.",
};

const NEEDED: Privileges =
    Privileges::of(&[Privilege::Select, Privilege::Insert, Privilege::Update, Privilege::Delete]);

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    let homes = ctx.versions.homes();
    for service in ctx.services() {
        let home = homes.get(service.name.as_str()).filter(|v| v.class != Class::Foreign);
        let Some(info) = home else { continue };
        let Some(table) = ctx.snapshot.versions.0.get(info.table) else { continue };
        let Some(role) = ctx.matrix.index.role_named(&service.role) else { continue };
        if ctx.belongs(table.owner, service) || ctx.matrix.owns(Who::Role(role), table.owner) {
            continue;
        }
        let schema = ctx.schema_name(table.schema);
        let object = format!("{schema}.{}", table.name);
        let owner = ctx.catalog.role_name(table.owner);
        let held = ctx.matrix.rights(ctx.catalog, Who::Role(role), ObjectKind::Table, table.owner, &table.acl);
        let lacks = NEEDED.minus(held);
        let mut finding = ctx.draft(&CODE);
        finding.id = format!("{}:{object}", CODE.code);
        finding.service = Some(service.name.clone());
        finding.schema = Some(schema.clone());
        finding.role = Some(service.role.clone());
        finding.object = Some(object.clone());
        finding.observed.clone_from(&owner);
        finding.expected.clone_from(&service.owner);
        finding.objects = vec![object.clone()];
        finding.message = if lacks.is_empty() {
            format!("{object} belongs to {owner}, not to {}.", service.owner)
        } else {
            format!("{object} belongs to {owner}; {} may not {lacks} there.", service.role)
        };
        finding.remedy = format!("Give it to {}.", service.owner);
        if ctx.catalog.role_named(&service.owner).is_some() {
            let object = ObjectRef { kind: Kind::Table, schema, name: table.name.clone() };
            finding.fix = Some(vec![Change::SetOwner { object, owner: service.owner.clone() }]);
        }
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::checks::fixture::Fixture;

    fn with(owner: &str, more: &str) -> Vec<Finding> {
        let policy = format!("[[service]]\nname='langflow'\nschema='langflow'\nrole='app'\n{more}\n");
        let f = Fixture::new().role("app").role("admin").schema("langflow", "app").policy(&policy);
        f.version_table("langflow", "alembic_version", owner, Some(&["a"])).case().of(CODE.code)
    }

    #[test]
    fn the_role_the_owner_and_the_creators_may_own_it() {
        assert_eq!(with("app", ""), vec![]);
        assert_eq!(with("admin", "owner='admin'"), vec![]);
        assert_eq!(with("admin", "creators=['app','admin']"), vec![]);
        let found = with("postgres", "");
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("app may not SELECT, INSERT, UPDATE, DELETE there"), "{}", found[0].message);
        assert!(matches!(found[0].fix.as_deref(), Some([Change::SetOwner { owner, .. }]) if owner == "app"));
    }
}
