//! `role-overprivileged`: a declared role with an attribute or a membership that reaches past every grant. Logins that the
//! policy does not name are listed where they may become more than they are; undeclared superusers are what they are.

use super::{Check, Code, Context, declared::Declared};
use crate::{
    domain::{
        change::{Change, RoleAttributes},
        closure::get,
        snapshot::Membership,
    },
    policy::{Finding, Group, Severity, Undeclared},
    text,
};

pub const CHECK: Check = Check { codes: &[CODE], slow: false, without_policy: false, run };

const CODE: Code = Code {
    code: "role-overprivileged",
    group: Group::Roles,
    severity: Severity::Error,
    why: "Grants and schemas bind a role only as long as none of its attributes or memberships stands above them.",
};

/// Predefined roles that reach past grants (manual, "Predefined Roles"): data of every schema, files, programs.
const DANGEROUS: &[(&str, &str)] = &[
    ("pg_read_all_data", "reads every table of every schema"),
    ("pg_write_all_data", "writes every table of every schema"),
    ("pg_read_server_files", "reads files of the server"),
    ("pg_write_server_files", "writes files of the server, and with that becomes superuser at will"),
    ("pg_execute_server_program", "runs programs on the server, and with that becomes superuser at will"),
    ("pg_maintain", "may VACUUM, REINDEX and LOCK every table"),
    ("pg_create_subscription", "may subscribe to other servers"),
];

/// The superuser that initdb made; it cannot stop being one.
const BOOTSTRAP: u32 = 10;

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    let by_member = ctx.memberships();
    for of in ctx.declared() {
        if of.role.superuser {
            // a declared administrator is one; a service's role is never
            if of.service.is_some() || of.role.oid.0 != BOOTSTRAP {
                out.push(superuser(ctx, &of));
            }
            continue;
        }
        attributes(ctx, &of, out);
        memberships(ctx, &of, by_member.get(&of.role.oid).map(Vec::as_slice).unwrap_or_default(), out);
    }
    strangers(ctx, out);
}

/// Logins that the policy does not name, are no superusers, and may become one with SET ROLE or make roles: listed.
fn strangers(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    let Some(desired) = ctx.judge.desired().filter(|d| d.undeclared != Undeclared::Ignore) else { return };
    let closure = &ctx.matrix.closure;
    let logins = ctx.catalog.roles.iter().enumerate().filter(|(_, r)| r.login);
    for (at, role) in logins.filter(|(at, _)| desired.compares(*at) && !desired.names_role(*at)) {
        let superuser = closure.beyond(at).iter().find(|became| get(closure.superusers(), **became));
        let superuser = superuser.and_then(|became| ctx.catalog.roles.get(*became));
        let may = superuser.map(|s| ("SUPERUSER", format!("can become {}, a superuser, with SET ROLE", s.name)));
        let makes = role.create_role.then(|| ("CREATEROLE", format!("has CREATEROLE: {}", makes_roles(ctx))));
        for (attribute, what) in may.into_iter().chain(makes) {
            let mut finding = ctx.draft(&CODE);
            finding.id = format!("{}:{}:{attribute}", CODE.code, role.name);
            finding.severity = Severity::Info;
            finding.role = Some(role.name.clone());
            finding.attribute = Some(attribute.to_owned());
            finding.observed = attribute.into();
            finding.expected = "meant, and declared".into();
            finding.message = format!("The policy does not name {}, which {what}.", role.name);
            finding.remedy =
                "Declare it as a [[role]] if the policy is to judge it; nothing is changed by itself.".into();
            out.push(finding);
        }
    }
}

/// What CREATEROLE is good for: from 16 on only over roles that one has ADMIN of.
fn makes_roles(ctx: &Context<'_>) -> &'static str {
    if ctx.snapshot.server.version_num < 160_000 {
        "before 16 it may give itself every role that is no superuser, and with that whatever any of them may do"
    } else {
        "it may make roles and hand out memberships"
    }
}

fn draft(ctx: &Context<'_>, of: &Declared<'_>, attribute: &str) -> Finding {
    let mut finding = ctx.draft(&CODE);
    finding.id = format!("{}:{}:{attribute}", CODE.code, of.name);
    finding.service = of.service.map(|s| s.name.clone());
    finding.role = Some(of.name.to_owned());
    finding.attribute = Some(attribute.to_owned());
    finding.expected = "an ordinary role".into();
    if attribute == "SUPERUSER" {
        finding.severity = ctx.severity(CODE.code, Severity::Critical);
    }
    finding
}

fn superuser(ctx: &Context<'_>, of: &Declared<'_>) -> Finding {
    let mut finding = draft(ctx, of, "SUPERUSER");
    let who = of.service.map_or_else(|| format!("{} is", of.name), |s| format!("{} runs as {},", s.name, of.name));
    finding.observed = "SUPERUSER".into();
    finding.message = format!("{who} a superuser: no grant, no owner and no row policy binds it.");
    finding.remedy = if of.service.is_some() {
        format!(
            "Give it an ordinary role of its own with `pgmoat replace-role {} {} NEW`, or take the attribute away once \
             its rights are granted.",
            ctx.snapshot.target(),
            text::shell_word(of.name)
        )
    } else {
        format!("Declare and grant what it needs, then make it an ordinary role: NOSUPERUSER for {}.", of.name)
    };
    finding
}

fn attributes(ctx: &Context<'_>, of: &Declared<'_>, out: &mut Vec<Finding>) {
    let none = RoleAttributes::default;
    let role = of.role;
    let listed = [
        (
            role.bypass_rls,
            "BYPASSRLS",
            "row level security does not bind it",
            RoleAttributes { bypass_rls: Some(false), ..none() },
        ),
        (role.create_role, "CREATEROLE", makes_roles(ctx), RoleAttributes { create_role: Some(false), ..none() }),
        (
            role.create_db,
            "CREATEDB",
            "it may make databases on this server",
            RoleAttributes { create_db: Some(false), ..none() },
        ),
        (
            // a role for replication alone needs it
            role.replication && (of.service.is_some() || of.access),
            "REPLICATION",
            "it may copy the whole server, every schema included",
            RoleAttributes { replication: Some(false), ..none() },
        ),
    ];
    for (_, attribute, what, attributes) in listed.into_iter().filter(|(has, ..)| *has) {
        let mut finding = draft(ctx, of, attribute);
        finding.observed = attribute.into();
        finding.message = format!("{} has {attribute}: {what}.", of.name);
        finding.remedy = format!("Take {attribute} away from {}.", of.name);
        finding.fix = Some(vec![Change::AlterRole { name: of.name.to_owned(), attributes }]);
        out.push(finding);
    }
}

/// Undeclared memberships through which the role is, or can become, something that stands above grants.
fn memberships(ctx: &Context<'_>, of: &Declared<'_>, memberships: &[&Membership], out: &mut Vec<Finding>) {
    for membership in memberships {
        let Some(group) = ctx.catalog.role(membership.role) else { continue };
        if of.member_of.is_some_and(|declared| declared.contains(&group.name)) {
            continue;
        }
        let Some((attribute, what)) = danger(ctx, membership) else { continue };
        let mut finding = draft(ctx, of, &attribute);
        finding.id = format!("{}:{}:{attribute}:{}", CODE.code, of.name, group.name);
        finding.object = Some(group.name.clone());
        finding.via = Some(format!("member:{}", group.name));
        finding.observed = format!("member of {}", group.name);
        finding.message = format!("{} is a member of {}: it {what}.", of.name, group.name);
        finding.remedy = format!("Revoke {} from {}, or declare the membership under member_of.", group.name, of.name);
        finding.fix = Some(vec![revoke(ctx, membership, &group.name, of.name)]);
        out.push(finding);
    }
}

/// What a membership makes possible that no grant would, itself or further up.
pub(super) fn danger(ctx: &Context<'_>, membership: &Membership) -> Option<(String, String)> {
    if !membership.inherit && !membership.set {
        return None;
    }
    let closure = &ctx.matrix.closure;
    let start = closure.position(membership.role)?;
    let reached = closure.settable(start);
    let reached = std::iter::once(start).chain(reached).filter_map(|i| ctx.catalog.roles.get(i));
    let mut found = None;
    for role in reached {
        if role.superuser {
            let what = format!("can become {}, a superuser, with SET ROLE", role.name);
            return Some(("SUPERUSER".to_owned(), what));
        }
        if let Some((name, what)) = DANGEROUS.iter().find(|(name, _)| *name == role.name) {
            found.get_or_insert_with(|| ((*name).to_owned(), (*what).to_owned()));
        }
    }
    found
}

/// `REVOKE group FROM member`; from 16 on a membership belongs to its grantor.
pub(super) fn revoke(ctx: &Context<'_>, membership: &Membership, group: &str, member: &str) -> Change {
    let by_other = ctx.snapshot.server.version_num >= 160_000 && membership.grantor.0 != BOOTSTRAP;
    let grantor = by_other.then(|| ctx.catalog.role(membership.grantor).map(|r| r.name.clone())).flatten();
    Change::RevokeRole { role: group.to_owned(), member: member.to_owned(), grantor }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::checks::fixture::Fixture;

    const POLICY: &str = "[[service]]\nname='langflow'\nschema='langflow'\nrole='app'\n\
                          [[role]]\nname='reader'\naccess={langflow=['read']}\nmember_of=['team']\n\
                          [[role]]\nname='postgres'\n[[role]]\nname='standby'\n";

    fn fixture() -> Fixture {
        let f = Fixture::new().role("app").role("reader").role("standby").group("team").schema("langflow", "app");
        f.edit_role("standby", |r| r.replication = true).member("team", "reader").policy(POLICY)
    }

    #[test]
    fn ordinary_roles_and_the_administrator_are_not_accused() {
        assert_eq!(fixture().case().of(CODE.code), vec![]);
    }

    #[test]
    fn a_service_as_superuser_is_critical_and_never_fixed_by_itself() {
        let found = fixture().edit_role("app", |r| (r.superuser, r.bypass_rls) = (true, true)).case().only(CODE.code);
        assert_eq!((found.severity, found.attribute.as_deref()), (Severity::Critical, Some("SUPERUSER")));
        assert!(found.fix.is_none() && found.remedy.contains("replace-role"), "{found:#?}");
    }

    #[test]
    fn every_attribute_is_one_finding_with_its_fix() {
        let case = fixture()
            .edit_role("app", |r| (r.bypass_rls, r.create_role) = (true, true))
            .edit_role("reader", |r| (r.create_db, r.replication) = (true, true))
            .case();
        let found = case.of(CODE.code);
        let ids: Vec<&str> = found.iter().map(|f| f.id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "role-overprivileged:app:BYPASSRLS",
                "role-overprivileged:app:CREATEROLE",
                "role-overprivileged:reader:CREATEDB",
                "role-overprivileged:reader:REPLICATION"
            ]
        );
        assert!(found.iter().all(|f| f.severity == Severity::Error && f.fix.as_ref().is_some_and(|c| c.len() == 1)));
    }

    #[test]
    fn logins_that_the_policy_does_not_name_are_listed_where_they_may_become_more() {
        let f = || {
            let f = fixture().role("maker").role("frank").role("boss").group("makers").group("dba");
            let f = f.edit_role("maker", |r| r.create_role = true).edit_role("makers", |r| r.create_role = true);
            f.edit_role("boss", |r| r.superuser = true).edit_role("dba", |r| r.superuser = true).member("dba", "frank")
        };
        let found = f().case().of(CODE.code);
        let ids: Vec<&str> = found.iter().map(|f| f.id.as_str()).collect();
        assert_eq!(ids, ["role-overprivileged:frank:SUPERUSER", "role-overprivileged:maker:CREATEROLE"]);
        assert!(found.iter().all(|f| f.severity == Severity::Info && f.fix.is_none()), "{found:#?}");
        assert!(found[0].message.contains("can become dba, a superuser"), "{}", found[0].message);
        assert_eq!(f().policy(&format!("undeclared='ignore'\n{POLICY}")).case().of(CODE.code), vec![]);
    }

    #[test]
    fn memberships_that_stand_above_grants_are_found_along_the_way() {
        let found = fixture().member("pg_read_all_data", "reader").case().only(CODE.code);
        assert_eq!(found.attribute.as_deref(), Some("pg_read_all_data"));
        assert_eq!(
            found.fix,
            Some(vec![Change::RevokeRole { role: "pg_read_all_data".into(), member: "reader".into(), grantor: None }])
        );
        let f = fixture().group("admins").member("postgres", "admins").member("admins", "app");
        let found = f.case().only(CODE.code);
        assert_eq!((found.severity, found.via.as_deref()), (Severity::Critical, Some("member:admins")));
        assert_eq!(fixture().member("pg_monitor", "app").case().of(CODE.code), vec![]);
    }
}
