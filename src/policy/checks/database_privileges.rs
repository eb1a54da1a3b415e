//! `database-connect-missing` and `database-privilege-excess`: rights on the database itself. CREATE (new schemas) belongs
//! to nobody but the owner; CONNECT and TEMPORARY of PUBLIC as `[database]` says.

use super::{Check, Code, Context, entries};
use crate::{
    domain::{
        ObjectKind, Privilege, Privileges,
        change::{Change, Grantee, On},
        effective::Who,
    },
    policy::{
        Finding, Group, Policy, Severity, Undeclared,
        desired::{Desired, PUBLIC},
    },
    text,
};

pub const CONNECT: Code = Code {
    code: "database-connect-missing",
    group: Group::Existence,
    severity: Severity::Error,
    why: "The service cannot connect at all: \"permission denied for database\".",
};

pub const EXCESS: Code = Code {
    code: "database-privilege-excess",
    group: Group::Grants,
    severity: Severity::Warning,
    why: "CREATE on the database makes schemas beside everybody's isolation; CONNECT for PUBLIC lets in every role of the \
          cluster.",
};

pub const CONNECT_CHECK: Check = Check { codes: &[CONNECT], slow: false, without_policy: false, run: run_connect };
pub const EXCESS_CHECK: Check = Check { codes: &[EXCESS], slow: false, without_policy: false, run: run_excess };

/// Roles that the policy wants to log in, with the service they belong to.
pub fn logins(policy: &Policy) -> Vec<(&str, Option<&str>)> {
    let services =
        policy.services.iter().filter(|s| s.login != Some(false)).map(|s| (s.role.as_str(), Some(s.name.as_str())));
    let roles = policy.roles.iter().filter(|r| r.login == Some(true)).map(|r| (r.name.as_str(), None));
    let mut all: Vec<_> = services.chain(roles).collect();
    all.sort_unstable();
    all.dedup_by(|a, b| a.0 == b.0);
    all
}

/// What `who` may do with the database.
pub fn rights(context: &Context<'_>, who: Who) -> Privileges {
    let database = &context.catalog.database;
    context.matrix.rights(context.catalog, who, ObjectKind::Database, database.owner, &database.acl)
}

fn run_connect(context: &Context<'_>, out: &mut Vec<Finding>) {
    let Some(policy) = context.policy else { return };
    let database = &context.catalog.database.name;
    for (name, service) in logins(policy) {
        let Some(role) = context.matrix.index.role_named(name) else { continue };
        if rights(context, Who::Role(role)).contains(Privilege::Connect) {
            continue;
        }
        let mut f = context.draft(&CONNECT);
        f.id = format!("{}:{name}", CONNECT.code);
        f.service = service.map(str::to_owned);
        f.role = Some(name.to_owned());
        f.privilege = Some(Privilege::Connect);
        f.observed = "no CONNECT".into();
        f.expected = format!("CONNECT on database {database}");
        f.message = format!("{name} may not connect to database {database}.");
        f.remedy = format!("Grant CONNECT on the database to {name}.");
        f.fix = Some(vec![connect(database, name)]);
        out.push(f);
    }
}

fn connect(database: &str, role: &str) -> Change {
    Change::Grant {
        privileges: Privilege::Connect.into(),
        on: On::Database(database.to_owned()),
        to: Grantee::Role(role.to_owned()),
    }
}

fn run_excess(context: &Context<'_>, out: &mut Vec<Finding>) {
    let (Some(policy), Some(desired)) = (context.policy, entries::desired(context)) else { return };
    let mut public = Privileges::of(&[Privilege::Create]);
    if !policy.database.public_connect {
        public.insert(Privilege::Connect);
    }
    if !policy.database.public_temporary {
        public.insert(Privilege::Temporary);
    }
    for privilege in held(context, Who::Public).and(public).iter() {
        let mut f = finding(context, desired, Who::Public, privilege);
        if f.severity > Severity::Info {
            f.fix = revoke(context, Who::Public, privilege).map(|changes| {
                let mut all =
                    if privilege == Privilege::Connect { connects(context, policy, desired) } else { Vec::new() };
                all.extend(changes);
                all
            });
        }
        out.push(f);
    }
    for role in 0..context.catalog.roles.len() {
        let stranger = !desired.names_role(role);
        if !desired.compares(role) || (stranger && desired.undeclared == Undeclared::Ignore) {
            continue;
        }
        let mut too_much = Privileges::of(&[Privilege::Create]);
        if stranger && !policy.database.public_connect {
            too_much.insert(Privilege::Connect);
        }
        for privilege in held(context, Who::Role(role)).and(too_much).iter() {
            let mut f = finding(context, desired, Who::Role(role), privilege);
            if f.severity > Severity::Info && (!stranger || desired.undeclared == Undeclared::Revoke) {
                f.fix = revoke(context, Who::Role(role), privilege).map(|changes| {
                    let connect = privilege == Privilege::Connect;
                    let mut all = if connect { members(context, policy, desired, role) } else { Vec::new() };
                    all.extend(changes);
                    all
                });
            }
            out.push(f);
        }
    }
}

/// Entries for exactly this grantee, other than as the owner.
fn held(context: &Context<'_>, who: Who) -> Privileges {
    let database = &context.catalog.database;
    let oid = entries::oid_of(context, who);
    if oid == database.owner {
        return Privileges::NONE;
    }
    let in_force = database.acl.in_force(ObjectKind::Database, database.owner, context.matrix.version_num);
    in_force.entries().iter().filter(|e| e.grantee == oid).fold(Privileges::NONE, |a, e| a | e.privileges)
}

/// Declared roles that can log in and connect only through PUBLIC.
fn connects(context: &Context<'_>, policy: &Policy, desired: &Desired) -> Vec<Change> {
    let wanted: Vec<&str> = logins(policy).into_iter().map(|(name, _)| name).collect();
    let database = &context.catalog.database;
    let needs = |role: &usize| {
        let Some(of) = context.catalog.roles.get(*role) else { return false };
        let own = context.matrix.own_rights(*role, ObjectKind::Database, database.owner, &database.acl);
        let logs_in = of.login || wanted.contains(&of.name.as_str());
        desired.names_role(*role) && desired.compares(*role) && logs_in && !own.contains(Privilege::Connect)
    };
    (0..context.catalog.roles.len())
        .filter(needs)
        .map(|role| connect(&database.name, &entries::role_name(context, role)))
        .collect()
}

/// Declared logins that may connect because they are members of `group`.
fn members(context: &Context<'_>, policy: &Policy, desired: &Desired, group: usize) -> Vec<Change> {
    logins(policy)
        .into_iter()
        .filter_map(|(name, _)| context.matrix.index.role_named(name))
        .filter(|r| *r != group && desired.compares(*r) && context.matrix.closure.inherits(*r, group))
        .map(|r| connect(&context.catalog.database.name, &entries::role_name(context, r)))
        .collect()
}

fn revoke(context: &Context<'_>, who: Who, privilege: Privilege) -> Option<Vec<Change>> {
    let database = &context.catalog.database;
    let oid = entries::oid_of(context, who);
    let in_force = database.acl.in_force(ObjectKind::Database, database.owner, context.matrix.version_num);
    let mut changes = Vec::new();
    for entry in in_force.entries().iter().filter(|e| e.privileges.contains(privilege)) {
        if entry.grantor == oid && oid != database.owner && !entry.is_public() {
            return None;
        }
        if entry.grantee == oid {
            let grantor = (entry.grantor != database.owner).then(|| context.catalog.role_name(entry.grantor));
            changes.push(Change::Revoke {
                privileges: privilege.into(),
                on: On::Database(database.name.clone()),
                from: entries::grantee(context, who),
                option_only: false,
                grantor,
            });
        }
    }
    (!changes.is_empty()).then_some(changes)
}

fn finding(context: &Context<'_>, desired: &Desired, who: Who, privilege: Privilege) -> Finding {
    let database = &context.catalog.database.name;
    let grantee = entries::grantee(context, who);
    let name = grantee.name();
    let mut f = context.draft(&EXCESS);
    f.id = format!("{}:{name}:{privilege}", EXCESS.code);
    f.privilege = Some(privilege);
    f.observed = format!("{privilege} on database {database}");
    f.expected = "none".into();
    f.via = Some(if who == Who::Public { PUBLIC } else { "direct" }.to_owned());
    f.message = match who {
        Who::Public => format!("Every role of the cluster has {privilege} on database {database}, through PUBLIC."),
        Who::Role(_) => format!("{name} has {privilege} on database {database}."),
    };
    f.remedy = match (who, privilege) {
        (Who::Public, Privilege::Connect) => {
            "Revoke it from PUBLIC; declared roles are granted CONNECT first.".to_owned()
        }
        _ => format!("Revoke {privilege} on the database from {name}."),
    };
    if let Who::Role(role) = who {
        f.role = Some(entries::role_name(context, role));
    }
    let reasons: Vec<&str> = desired
        .database_exceptions
        .iter()
        .filter_map(|i| desired.exceptions.get(*i))
        .filter(|e| e.role == name && e.privileges.contains(&privilege) && e.schema.ends_with(&format!(":{database}")))
        .map(|e| e.reason.as_str())
        .collect();
    if !reasons.is_empty() {
        f.stands_by_exception();
        f.remedy = format!("Nothing to do while the exception stands: {}.", text::list(&reasons, 3));
    }
    f
}

#[cfg(test)]
mod tests {
    use super::{super::fixture::Fixture, *};

    const SERVICE: &str = "[[service]]\nname='s'\nschema='s'\nrole='app'\nversion_table=false\n";

    fn base() -> Fixture {
        Fixture::new().role("app").schema("s", "app").table("s", "t", "app").policy(SERVICE)
    }

    #[test]
    fn a_service_must_be_able_to_connect() {
        assert!(base().case().of("database-connect-missing").is_empty(), "PUBLIC may connect by default");
        let f = base().revoke_database("PUBLIC", "CONNECT").case().only("database-connect-missing");
        assert_eq!((f.service.as_deref(), f.fix.map(|c| c.len())), (Some("s"), Some(1)));
        let granted = base().revoke_database("PUBLIC", "CONNECT").grant_database("app", "CONNECT").case();
        assert!(granted.of("database-connect-missing").is_empty());
    }

    #[test]
    fn create_on_the_database_is_too_much() {
        let f = base().grant_database("app", "CREATE").case().only("database-privilege-excess");
        assert_eq!((f.id.as_str(), f.severity), ("database-privilege-excess:app:CREATE", Severity::Warning));
        assert!(base().case().of("database-privilege-excess").is_empty());
    }

    #[test]
    fn closing_the_door_lets_declared_roles_in_first() {
        let f = base()
            .policy(&format!("{SERVICE}[database]\npublic_connect=false\n"))
            .case()
            .only("database-privilege-excess");
        let fix = f.fix.unwrap();
        assert!(matches!(&fix[0], Change::Grant { to: Grantee::Role(r), .. } if r == "app"), "{fix:?}");
        assert!(matches!(&fix[1], Change::Revoke { from: Grantee::Public, .. }));
    }

    #[test]
    fn an_exception_on_the_database_is_listed() {
        let policy = format!(
            "{SERVICE}[[exception]]\nrole='app'\nschema='database:engarde'\nprivileges=['CREATE']\nreason='makes tenants'\n"
        );
        let f = base().grant_database("app", "CREATE").policy(&policy).case().only("database-privilege-excess");
        assert_eq!((f.severity, f.fix), (Severity::Info, None));
    }
}
