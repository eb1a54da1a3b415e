//! `grant-fragile`: a declared right is effective only because PUBLIC holds it. EXECUTE is left out: PostgreSQL gives it to
//! PUBLIC by itself.

use super::{Check, Code, Context, entries};
use crate::{
    domain::{ObjectKind, Oid, Privilege, effective::Who},
    policy::{Finding, Group, Severity, desired::KINDS},
};

pub const CODE: Code = Code {
    code: "grant-fragile",
    group: Group::Grants,
    severity: Severity::Warning,
    why: "Whoever tidies up PUBLIC takes it from this role too, and the service stops.",
};

pub const CHECK: Check = Check { codes: &[CODE], slow: false, without_policy: false, run };

fn run(context: &Context<'_>, out: &mut Vec<Finding>) {
    let Some(desired) = entries::desired(context) else { return };
    for position in entries::named_schemas(desired) {
        if !entries::lists(context, position).any(|l| !l.kind_public(context).is_empty()) {
            continue;
        }
        for role in desired.roles_of(position).filter(|r| desired.compares(*r)) {
            for kind in KINDS.into_iter().filter(|k| *k != ObjectKind::Routine) {
                let required = entries::want(desired, role, position).required.of(kind);
                for privilege in required.iter() {
                    out.extend(finding(context, role, position, kind, privilege));
                }
            }
        }
    }
}

impl entries::Listed<'_> {
    /// What PUBLIC holds here.
    fn kind_public(&self, context: &Context<'_>) -> crate::domain::Privileges {
        if self.kind == ObjectKind::Routine {
            return crate::domain::Privileges::NONE;
        }
        entries::direct(context, self, Oid::ZERO)
    }
}

fn finding(
    context: &Context<'_>,
    role: usize,
    position: usize,
    kind: ObjectKind,
    privilege: Privilege,
) -> Option<Finding> {
    let desired = entries::desired(context)?;
    let fragile = |owner: Oid, acl: &crate::domain::Acl| {
        !context.matrix.own_rights(role, kind, owner, acl).contains(privilege)
            && context.matrix.rights(context.catalog, Who::Role(role), kind, owner, acl).contains(privilege)
    };
    let (mut count, mut total) = (0, 0);
    for list in entries::lists(context, position).filter(|l| l.kind == kind) {
        total += list.count;
        if fragile(list.owner, list.acl) {
            count += list.count;
        }
    }
    if count == 0 {
        return None;
    }
    let (schema, name) = (entries::schema(context, position)?.name.clone(), entries::role_name(context, role));
    let names: Option<Vec<String>> = entries::objects(context, position).map(|all| {
        let of_kind = all.into_iter().filter(|o| o.kind.object_kind() == kind);
        of_kind.filter(|o| fragile(o.owner, &o.acl)).map(|o| o.name.clone()).collect()
    });
    let mut f = context.draft(&CODE);
    f.id = format!("{}:{name}:{schema}:{}:{privilege}", CODE.code, kind.singular());
    f.service = entries::service_of(context, desired, position);
    f.via = Some("PUBLIC".to_owned());
    f.message = if kind == ObjectKind::Schema {
        f.observed = format!("{privilege} through PUBLIC");
        format!("{name} needs {privilege} on schema {schema} and has it only through PUBLIC.")
    } else {
        f.observed = format!("{} through PUBLIC", entries::share(count, total, kind));
        entries::list_objects(&mut f, &schema, names.as_deref(), u64::from(count));
        format!(
            "{name} needs {privilege} in {schema} and has it on {} only through PUBLIC.",
            entries::share(count, total, kind)
        )
    };
    f.expected = "a grant of its own".into();
    if desired.exceptions_of(Who::Role(role), position).any(|e| e.privileges.contains(&privilege)) {
        f.stands_by_exception();
        f.schema = Some(schema);
        f.role = Some(name);
        f.privilege = Some(privilege);
        return Some(f);
    }
    f.remedy = format!("Grant {privilege} to {name} itself.");
    f.fix = entries::target(context, position, kind, names.as_deref(), true)
        .map(|on| entries::grant(context, role, position, kind, privilege.into(), on));
    f.schema = Some(schema);
    f.role = Some(name);
    f.privilege = Some(privilege);
    Some(f)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;

    fn base() -> Fixture {
        Fixture::new()
            .role("app")
            .role("reader")
            .schema("s", "app")
            .table("s", "a", "app")
            .function("s", "f()", "app")
            .grant_schema("s", "reader", "USAGE")
            .policy(
                "[[service]]\nname='s'\nschema='s'\nrole='app'\ncreators=[]\n[[role]]\nname='reader'\naccess={s=['read','execute']}\n",
            )
    }

    #[test]
    fn a_right_through_public_alone_is_fragile() {
        let f = base().grant("s.a", "PUBLIC", "SELECT").case().only("grant-fragile");
        assert_eq!(
            (f.id.as_str(), f.objects.as_slice()),
            ("grant-fragile:reader:s:table:SELECT", &["s.a".to_owned()][..])
        );
        assert!(f.fix.is_some());
    }

    #[test]
    fn a_right_of_its_own_is_not_and_execute_by_default_neither() {
        assert!(
            base()
                .grant("s.a", "PUBLIC", "SELECT")
                .grant("s.a", "reader", "SELECT")
                .case()
                .of("grant-fragile")
                .is_empty()
        );
        assert!(base().grant("s.a", "reader", "SELECT").case().of("grant-fragile").is_empty());
    }
}
