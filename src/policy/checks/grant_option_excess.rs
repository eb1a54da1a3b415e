//! `grant-option-excess`: a role may pass on what it holds, WITH GRANT OPTION. No level gives that; the owner has it anyway.
//! Where the privilege itself is too much, that is `grant-excess`, and revoking it takes the option along.

use super::{
    Check, Code, Context,
    entries::{self, Listed, Revocation},
};
use crate::{
    domain::{ObjectKind, Oid, Privilege, Privileges, effective::Who},
    policy::{Finding, Group, Severity, desired::KINDS},
};

pub const CODE: Code = Code {
    code: "grant-option-excess",
    group: Group::Grants,
    severity: Severity::Warning,
    why: "It can give its neighbours' rights to others; a revocation then has to follow every grant it made.",
};

pub const CHECK: Check = Check { codes: &[CODE], slow: false, without_policy: false, run };

fn run(context: &Context<'_>, out: &mut Vec<Finding>) {
    let Some(desired) = entries::desired(context) else { return };
    for position in entries::named_schemas(desired) {
        for role in entries::grantees(context, position) {
            if !desired.compares(role) || !desired.names_role(role) {
                continue;
            }
            let allowed = entries::want(desired, role, position).allowed;
            for kind in KINDS {
                let mut options = Privileges::NONE;
                for list in entries::lists(context, position).filter(|l| l.kind == kind) {
                    options = options | grantable(context, &list, entries::oid_of(context, Who::Role(role)));
                }
                let excepted: Privileges = desired
                    .exceptions_of(Who::Role(role), position)
                    .flat_map(|e| e.privileges.iter().copied())
                    .collect();
                for privilege in options.and(allowed.of(kind) | excepted).iter() {
                    out.extend(finding(context, role, position, kind, privilege, excepted.contains(privilege)));
                }
            }
        }
    }
}

fn grantable(context: &Context<'_>, list: &Listed<'_>, oid: Oid) -> Privileges {
    if list.owner == oid {
        return Privileges::NONE;
    }
    let in_force = list.acl.in_force(list.kind, list.owner, context.matrix.version_num);
    in_force.entries().iter().filter(|e| e.grantee == oid).fold(Privileges::NONE, |a, e| a | e.grantable)
}

fn finding(
    context: &Context<'_>,
    role: usize,
    position: usize,
    kind: ObjectKind,
    privilege: Privilege,
    excepted: bool,
) -> Option<Finding> {
    let desired = entries::desired(context)?;
    let oid = entries::oid_of(context, Who::Role(role));
    let (schema, name) = (entries::schema(context, position)?.name.clone(), entries::role_name(context, role));
    let (mut count, mut total) = (0, 0);
    for list in entries::lists(context, position).filter(|l| l.kind == kind) {
        total += list.count;
        if grantable(context, &list, oid).contains(privilege) {
            count += list.count;
        }
    }
    let names: Option<Vec<String>> = entries::objects(context, position).map(|all| {
        let with = |o: &&crate::domain::snapshot::Object| {
            let list = Listed { kind, owner: o.owner, acl: &o.acl, count: 1 };
            o.kind.object_kind() == kind && grantable(context, &list, oid).contains(privilege)
        };
        all.into_iter().filter(with).map(|o| o.name.clone()).collect()
    });
    let mut f = context.draft(&CODE);
    f.id = format!("{}:{name}:{schema}:{}:{privilege}", CODE.code, kind.singular());
    f.service = entries::service_of(context, desired, position);
    f.observed = format!("{privilege} WITH GRANT OPTION on {}", entries::share(count, total, kind));
    f.expected = format!("{privilege} without the grant option");
    f.message = if kind == ObjectKind::Schema {
        format!("{name} may pass on its {privilege} on schema {schema}.")
    } else {
        entries::list_objects(&mut f, &schema, names.as_deref(), u64::from(count));
        format!("{name} may pass on its {privilege} on {} of {schema}.", entries::share(count, total, kind))
    };
    f.via = Some("direct".to_owned());
    f.schema = Some(schema);
    f.role = Some(name);
    f.privilege = Some(privilege);
    if excepted {
        f.stands_by_exception();
        return Some(f);
    }
    f.remedy = "Revoke the grant option; what was passed on is first granted by the owner.".into();
    f.fix = entries::revoke(
        context,
        Some(desired),
        &Revocation {
            who: Who::Role(role),
            position,
            kind,
            privileges: privilege.into(),
            option_only: true,
            names: names.as_deref(),
            partial: false,
        },
    );
    Some(f)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use crate::domain::change::Change;

    fn base() -> Fixture {
        Fixture::new()
            .role("app")
            .role("reader")
            .schema("s", "app")
            .table("s", "a", "app")
            .grant_schema("s", "reader", "USAGE")
            .policy(
                "[[service]]\nname='s'\nschema='s'\nrole='app'\ncreators=[]\n[[role]]\nname='reader'\naccess={s=['read']}\n",
            )
    }

    #[test]
    fn the_option_goes_and_the_right_stays() {
        let f = base().grant_with_option("s.a", "reader", "SELECT").case().only("grant-option-excess");
        assert_eq!(f.id, "grant-option-excess:reader:s:table:SELECT");
        assert!(matches!(&f.fix.unwrap()[..], [Change::Revoke { option_only: true, .. }]));
    }

    #[test]
    fn without_the_option_or_with_an_excess_there_is_nothing_here() {
        assert!(base().grant("s.a", "reader", "SELECT").case().of("grant-option-excess").is_empty());
        let excess = base().grant_with_option("s.a", "reader", "INSERT").case();
        assert!(excess.of("grant-option-excess").is_empty());
        assert_eq!(excess.of("grant-excess").len(), 1);
    }
}
