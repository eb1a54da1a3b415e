//! `schema-missing`, `role-missing`, `role-cannot-login` and `schema-unused`: what the policy names and the database has
//! not, or has and nobody uses. A missing thing is one finding whose fix is its whole set-up.

use std::collections::BTreeMap;

use super::{Check, Code, Context, database_privileges, entries, setup};
use crate::{
    domain::change::{Change, RoleAttributes},
    policy::{Finding, Group, Policy, Severity, desired::PUBLIC},
};

pub const SCHEMA_MISSING: Code = Code {
    code: "schema-missing",
    group: Group::Existence,
    severity: Severity::Error,
    why: "The service has nowhere to put its tables: they end up in whatever schema its search_path finds next.",
};

pub const ROLE_MISSING: Code = Code {
    code: "role-missing",
    group: Group::Existence,
    severity: Severity::Error,
    why: "The service cannot log in as itself; in its place somebody lends it another role.",
};

pub const CANNOT_LOGIN: Code = Code {
    code: "role-cannot-login",
    group: Group::Existence,
    severity: Severity::Error,
    why: "The server refuses the connection before it looks at a password.",
};

pub const UNUSED: Code = Code {
    code: "schema-unused",
    group: Group::Existence,
    severity: Severity::Info,
    why: "An empty schema is either the trace of a service that is gone, or of one whose migrations went elsewhere.",
};

pub const SCHEMA_MISSING_CHECK: Check =
    Check { codes: &[SCHEMA_MISSING], slow: false, without_policy: false, run: run_schemas };
pub const ROLE_MISSING_CHECK: Check =
    Check { codes: &[ROLE_MISSING], slow: false, without_policy: false, run: run_roles };
pub const CANNOT_LOGIN_CHECK: Check =
    Check { codes: &[CANNOT_LOGIN], slow: false, without_policy: false, run: run_logins };
pub const UNUSED_CHECK: Check = Check { codes: &[UNUSED], slow: false, without_policy: true, run: run_unused };

fn run_schemas(context: &Context<'_>, out: &mut Vec<Finding>) {
    let Some(policy) = context.policy else { return };
    let mut named: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for service in &policy.services {
        named.extend(service.schemas.iter().map(|s| (s.as_str(), Some(service.name.as_str()))));
    }
    for rule in &policy.schemas {
        named.entry(&rule.name).or_default();
    }
    let access = policy.services.iter().map(|s| &s.access).chain(policy.roles.iter().map(|r| &r.access));
    for key in access.flat_map(BTreeMap::keys) {
        named.entry(key).or_default();
    }
    for (name, service) in named {
        if context.matrix.index.schema_named(name).is_some() {
            continue;
        }
        let mut f = context.draft(&SCHEMA_MISSING);
        f.id = format!("{}:{name}", SCHEMA_MISSING.code);
        f.service = service.map(str::to_owned);
        f.schema = Some(name.to_owned());
        f.observed = "no such schema".into();
        f.expected = match service {
            Some(service) => format!("schema {name} of service {service}"),
            None => format!("schema {name}"),
        };
        f.message = match service {
            Some(service) => format!("Service {service} has no schema {name}."),
            None => format!("The policy names schema {name}, which does not exist."),
        };
        f.fix = setup::schema(context, policy, name);
        f.remedy = if f.fix.is_some() {
            format!(
                "Create schema {name} with what belongs to it, or use `pgmoat create-schema` for role and password too."
            )
        } else {
            format!("Declare who owns it ([[schema]] with `owner`), or take {name} out of the policy.")
        };
        out.push(f);
    }
}

fn run_roles(context: &Context<'_>, out: &mut Vec<Finding>) {
    let (Some(policy), Some(desired)) = (context.policy, entries::desired(context)) else { return };
    for (name, service) in named_roles(policy) {
        if context.matrix.index.role_named(name).is_some() {
            continue;
        }
        let mut f = context.draft(&ROLE_MISSING);
        f.id = format!("{}:{name}", ROLE_MISSING.code);
        f.service = service.map(str::to_owned);
        f.role = Some(name.to_owned());
        f.observed = "no such role".into();
        f.expected = service.map_or_else(|| format!("role {name}"), |s| format!("role {name} of service {s}"));
        f.message = match service {
            Some(service) => format!("Service {service} has no role: {name} does not exist."),
            None => format!("The policy names role {name}, which does not exist."),
        };
        f.fix = setup::role(context, policy, desired, name);
        f.remedy = if f.fix.is_some() {
            format!("Create {name} with its rights; then give it a password (`pgmoat set-password`).")
        } else {
            format!("Create {name} with its rights; the names of what it should own are still being read.")
        };
        out.push(f);
    }
}

/// Every role that the policy names, with the service whose role it is.
fn named_roles(policy: &Policy) -> BTreeMap<&str, Option<&str>> {
    let mut named: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for service in &policy.services {
        named.insert(&service.role, Some(&service.name));
    }
    let others = policy
        .services
        .iter()
        .flat_map(|s| std::iter::once(&s.owner).chain(&s.creators))
        .chain(policy.roles.iter().map(|r| &r.name))
        .chain(policy.schemas.iter().flat_map(|s| s.owner.iter().chain(&s.creators)));
    for name in others.filter(|n| *n != PUBLIC) {
        named.entry(name).or_default();
    }
    named
}

fn run_logins(context: &Context<'_>, out: &mut Vec<Finding>) {
    let Some(policy) = context.policy else { return };
    for (name, service) in database_privileges::logins(policy) {
        let Some(role) = context.catalog.role_named(name).filter(|r| !r.login && !r.is_platform()) else { continue };
        let mut f = context.draft(&CANNOT_LOGIN);
        f.id = format!("{}:{name}", CANNOT_LOGIN.code);
        f.service = service.map(str::to_owned);
        f.role = Some(role.name.clone());
        f.attribute = Some("LOGIN".to_owned());
        f.observed = "NOLOGIN".into();
        f.expected = "LOGIN".into();
        f.message = format!("{name} may not log in.");
        f.remedy = format!("Let {name} log in, or declare `login = false`.");
        f.fix = Some(vec![Change::AlterRole {
            name: role.name.clone(),
            attributes: RoleAttributes { login: Some(true), ..RoleAttributes::default() },
        }]);
        out.push(f);
    }
}

fn run_unused(context: &Context<'_>, out: &mut Vec<Finding>) {
    for (position, schema) in context.catalog.schemas.iter().enumerate() {
        // an empty `public` is what a tidy database has
        if schema.is_system() || schema.extension || schema.name == "public" {
            continue;
        }
        let empty = context.matrix.groups(context.catalog, position).next().is_none()
            && context.matrix.types(context.catalog, position).next().is_none()
            && !context.catalog.extensions.iter().any(|e| e.schema == schema.oid);
        if !empty {
            continue;
        }
        let mut f = context.draft(&UNUSED);
        f.id = format!("{}:{}", UNUSED.code, schema.name);
        f.service = entries::desired(context).and_then(|d| entries::service_of(context, d, position));
        f.schema = Some(schema.name.clone());
        f.observed = "no objects".into();
        f.expected = "tables, or no schema".into();
        f.message = format!("Schema {} holds nothing.", schema.name);
        f.remedy = match &f.service {
            Some(service) => {
                format!("Run the migrations of {service}; if it has tables elsewhere, `pgmoat isolate` moves them.")
            }
            None => "Nothing, when it is reserved; otherwise drop it.".to_owned(),
        };
        out.push(f);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::fixture::Fixture, *};
    use crate::domain::change::{Grantee, On};

    const POLICY: &str = "[[service]]\nname='s'\nschema='s'\nrole='app'\nconnection_limit=7\n[[role]]\nname='reader'\naccess={s=['read']}\n";

    #[test]
    fn a_missing_schema_is_one_finding_with_its_whole_set_up() {
        let case = Fixture::new().role("app").role("reader").policy(POLICY).case();
        let f = case.only("schema-missing");
        assert_eq!((f.id.as_str(), f.service.as_deref()), ("schema-missing:s", Some("s")));
        let fix = f.fix.unwrap();
        assert!(matches!(&fix[0], Change::CreateSchema { owner, .. } if owner == "app"), "{fix:?}");
        assert!(fix.iter().any(|c| matches!(c, Change::CreateVersionTable { .. })));
        assert!(
            fix.iter()
                .any(|c| matches!(c, Change::DefaultPrivileges { grantee: Grantee::Role(r), .. } if r == "reader"))
        );
        assert!(
            fix.iter()
                .any(|c| matches!(c, Change::Grant { on: On::Schema(_), to: Grantee::Role(r), .. } if r == "reader"))
        );
        assert!(!case.codes().contains(&"grant-missing"), "its grants are not reported besides");
    }

    #[test]
    fn a_missing_role_is_created_with_its_rights() {
        let case = Fixture::new().role("app").schema("s", "app").table("s", "t", "app").policy(POLICY).case();
        let fix = case.only("role-missing").fix.unwrap();
        assert!(matches!(&fix[0], Change::CreateRole { name, .. } if name == "reader"));
        assert_eq!(fix.len(), 4, "role, USAGE, SELECT on tables, default privileges: {fix:?}");
        assert!(!case.codes().contains(&"grant-missing"));
    }

    #[test]
    fn a_missing_service_role_takes_over_its_schema() {
        let case = Fixture::new()
            .role("old")
            .schema("s", "old")
            .table("s", "t", "old")
            .policy("[[service]]\nname='s'\nschema='s'\nrole='app'\nconnection_limit=7\n[[role]]\nname='old'\n")
            .case();
        let f = case.only("role-missing");
        let fix = f.fix.unwrap();
        assert!(matches!(
            &fix[0],
            Change::CreateRole { attributes: RoleAttributes { login: Some(true), connection_limit: Some(7), .. }, .. }
        ));
        assert!(fix.iter().any(|c| matches!(c, Change::SetSchemaOwner { .. })), "{fix:?}");
        assert!(fix.iter().any(|c| matches!(c, Change::SetOwner { .. })));
        assert!(case.of("schema-owner").is_empty() && case.of("object-owner").is_empty());
    }

    #[test]
    fn a_service_must_be_able_to_log_in() {
        let base = Fixture::new().group("app").role("reader").schema("s", "app").table("s", "t", "app");
        let f = base.clone().policy(POLICY).case().only("role-cannot-login");
        assert!(f.fix.is_some());
        let policy = POLICY.replace("connection_limit=7", "login=false");
        assert!(base.policy(&policy).case().of("role-cannot-login").is_empty());
    }

    #[test]
    fn an_empty_schema_is_mentioned_and_public_is_not() {
        let f = Fixture::new().schema("scheduler", "postgres").case().only("schema-unused");
        assert_eq!((f.severity, f.schema.as_deref()), (Severity::Info, Some("scheduler")));
        let used = Fixture::new().schema("s", "postgres").extension("pgcrypto", "s", "postgres");
        assert!(used.case().of("schema-unused").is_empty());
    }
}
