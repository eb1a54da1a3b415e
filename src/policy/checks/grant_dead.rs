//! `grant-dead`: a role holds rights on objects of a schema and may not use the schema, so that none of them works, though
//! `has_table_privilege` says true. With a policy it is told of the roles that it gives the schema; what others hold there
//! is too much, dead or not, and told as that. What exceptions cover is listed.

use super::{Check, Code, Context, entries};
use crate::{
    domain::{
        ObjectKind, Oid, Privilege, Privileges,
        change::{Change, Grantee, On},
        closure::ones,
        effective::Who,
    },
    policy::{Exception, Finding, Group, Severity, judge::covers},
    text,
};

pub const CODE: Code = Code {
    code: "grant-dead",
    group: Group::Grants,
    severity: Severity::Error,
    why: "Without USAGE on the schema its objects cannot be named: the error is \"permission denied for schema\", or \
          \"relation does not exist\" when the schema is found through search_path.",
};

pub const CHECK: Check = Check { codes: &[CODE], slow: false, without_policy: true, run };

fn run(context: &Context<'_>, out: &mut Vec<Finding>) {
    for (position, schema) in context.catalog.schemas.iter().enumerate() {
        if schema.is_system() || schema.extension {
            continue;
        }
        for role in holders(context, position) {
            let wanted = entries::desired(context)
                .is_none_or(|d| entries::want(d, role, position).required.schema.contains(Privilege::Usage));
            let dead = wanted
                && context.catalog.roles.get(role).is_some_and(|r| !r.superuser && !r.is_platform())
                && !usable(context, role, schema.owner, &schema.acl);
            if dead {
                told(context, role, position, out);
            }
        }
    }
}

/// Roles with entries on tables or sequences, owners among them.
fn holders(context: &Context<'_>, position: usize) -> Vec<usize> {
    let mut found = std::collections::BTreeSet::new();
    for list in entries::lists(context, position).filter(|l| counts(l.kind)) {
        let in_force = list.acl.in_force(list.kind, list.owner, context.matrix.version_num);
        for entry in in_force.entries().iter().filter(|e| !e.privileges.is_empty()) {
            found.extend(context.matrix.closure.position(entry.grantee));
        }
    }
    found.into_iter().collect()
}

/// EXECUTE is not counted: PUBLIC holds it nearly everywhere.
fn counts(kind: ObjectKind) -> bool {
    matches!(kind, ObjectKind::Table | ObjectKind::Sequence)
}

/// The role, or somebody who inherits from it, may use the schema: a group's grants live through its members.
fn usable(context: &Context<'_>, role: usize, owner: Oid, acl: &crate::domain::Acl) -> bool {
    ones(context.matrix.closure.heirs(role)).any(|heir| {
        let bound = context.catalog.roles.get(heir).is_some_and(|r| !r.superuser);
        let rights = context.matrix.rights(context.catalog, Who::Role(heir), ObjectKind::Schema, owner, acl);
        bound && rights.contains(Privilege::Usage)
    })
}

/// Rights that a role holds by entries of its own: which, on how many objects, and on which where the names were read.
#[derive(Default)]
struct Held {
    rights: Privileges,
    count: u32,
    names: Option<Vec<String>>,
}

/// What no exception covers, and what some do.
fn held(context: &Context<'_>, role: usize, position: usize, exceptions: &[&Exception]) -> [Held; 2] {
    let oid = entries::oid_of(context, Who::Role(role));
    let on = |kind: ObjectKind, owner: Oid, acl: &crate::domain::Acl| {
        let in_force = acl.in_force(kind, owner, context.matrix.version_num);
        in_force.entries().iter().filter(|e| e.grantee == oid).fold(Privileges::NONE, |a, e| a | e.privileges)
    };
    let covered = |name: &str| -> Privileges {
        exceptions.iter().filter(|e| covers(e, name)).flat_map(|e| e.privileges.iter().copied()).collect()
    };
    let mut found = [Held::default(), Held::default()];
    let [open, excepted] = &mut found;
    let named = !exceptions.iter().all(|e| e.objects.is_empty());
    match entries::objects(context, position) {
        Some(objects) => {
            for object in objects.into_iter().filter(|o| counts(o.kind.object_kind())) {
                let here = on(object.kind.object_kind(), object.owner, &object.acl);
                let covered = covered(&object.name);
                open.add(here.minus(covered), 1, Some(&object.name));
                excepted.add(here.and(covered), 1, Some(&object.name));
            }
        }
        None => {
            let covered = if named { Privileges::NONE } else { covered("") };
            for list in entries::lists(context, position).filter(|l| counts(l.kind)) {
                let here = on(list.kind, list.owner, list.acl);
                open.add(here.minus(covered), list.count, None);
                excepted.add(here.and(covered), list.count, None);
            }
        }
    }
    found
}

impl Held {
    fn add(&mut self, rights: Privileges, count: u32, name: Option<&str>) {
        if !rights.is_empty() {
            self.rights = self.rights | rights;
            self.count += count;
            if let Some(name) = name {
                self.names.get_or_insert_default().push(name.to_owned());
            }
        }
    }
}

fn told(context: &Context<'_>, role: usize, position: usize, out: &mut Vec<Finding>) {
    let desired = entries::desired(context);
    let exceptions = desired.map(|d| entries::exceptions_of(d, Who::Role(role), position)).unwrap_or_default();
    let [open, excepted] = held(context, role, position, &exceptions);
    if open.count > 0 {
        out.extend(finding(context, role, position, &open));
    } else if excepted.count > 0 {
        let reasons: Vec<&str> = exceptions.iter().map(|e| e.reason.as_str()).collect();
        out.extend(finding(context, role, position, &excepted).map(|mut f| {
            f.stands_by_exception();
            f.id.push_str(":excepted");
            f.message = format!("{} By exception: {}.", f.message, text::list(&reasons, 3));
            f
        }));
    }
}

fn finding(context: &Context<'_>, role: usize, position: usize, held: &Held) -> Option<Finding> {
    let (schema, name) = (entries::schema(context, position)?.name.clone(), entries::role_name(context, role));
    let Held { rights, count, names } = held;
    let mut f = context.draft(&CODE);
    f.id = format!("{}:{name}:{schema}", CODE.code);
    let words: Vec<&str> = rights.iter().map(Privilege::keyword).collect();
    let on = text::count(u64::from(*count), "object", "objects");
    f.observed = format!("{} on {on}, no USAGE on the schema", words.join(", "));
    f.message = format!(
        "{name} holds {} on {on} of {schema}, but may not use the schema: none of it works.",
        text::list(&words, 4)
    );
    entries::list_objects(&mut f, &schema, names.as_deref(), u64::from(*count));
    f.schema = Some(schema.clone());
    f.role = Some(name.clone());
    f.via = Some("direct".to_owned());
    f.expected = "USAGE on the schema".into();
    if entries::desired(context).is_some() {
        f.remedy = format!("Grant USAGE on schema {schema} to {name}.");
        let privileges = Privilege::Usage.into();
        f.fix = Some(vec![Change::Grant { privileges, on: On::Schema(schema), to: Grantee::Role(name) }]);
    } else {
        f.remedy = format!("Grant USAGE on schema {schema} to {name} if it should work there, else revoke the rest.");
    }
    Some(f)
}

#[cfg(test)]
mod tests {
    use super::{super::fixture::Fixture, *};

    fn base() -> Fixture {
        Fixture::new()
            .role("app")
            .role("reader")
            .schema("s", "app")
            .table("s", "a", "app")
            .grant("s.a", "reader", "SELECT")
    }
    const POLICY: &str = "[[service]]\nname='s'\nschema='s'\nrole='app'\ncreators=[]\n[[role]]\nname='reader'\n";

    #[test]
    fn a_grant_without_usage_is_dead_with_and_without_a_policy() {
        let f = base().case().only("grant-dead");
        assert_eq!((f.id.as_str(), f.fix), ("grant-dead:reader:s", None));
        let declared = base().policy(&format!("{POLICY}access={{s=['read']}}\n")).case().only("grant-dead");
        assert!(matches!(&declared.fix.unwrap()[0], Change::Grant { on: On::Schema(_), .. }));
        let excess = base().policy(POLICY).case();
        assert!(excess.of("grant-dead").is_empty(), "it is too much already");
        assert!(excess.only("grant-excess").message.contains("dead"));
        let exception = "[[exception]]\nrole='reader'\nschema='s'\nprivileges=['SELECT']\nreason='r'\n";
        let excepted = base().policy(&format!("{POLICY}{exception}")).case().only("grant-excess");
        assert!(excepted.is_excepted() && excepted.message.contains("dead"), "{excepted:#?}");
    }

    #[test]
    fn what_an_exception_covers_is_listed_as_excepted() {
        let with = |objects: &str| {
            let exception = "[[exception]]\nrole='reader'\nschema='s'\nprivileges=['SELECT']\nreason='until March'\n";
            base().policy(&format!("{POLICY}access={{s=['usage']}}\n{exception}{objects}"))
        };
        for f in [with(""), with("objects=['a']"), with("").without_names()] {
            let f = f.case().only("grant-dead");
            assert_eq!((f.id.as_str(), f.severity), ("grant-dead:reader:s:excepted", Severity::Info));
            assert!(f.is_excepted() && f.fix.is_none() && f.message.ends_with("By exception: until March."), "{f:#?}");
        }
        let other = with("objects=['a']").grant("s.a", "reader", "INSERT").case().only("grant-dead");
        assert_eq!((other.severity, other.message.contains("SELECT")), (Severity::Error, false), "{other:#?}");
    }

    #[test]
    fn usage_by_any_way_and_a_groups_members_keep_it_alive() {
        assert!(base().grant_schema("s", "reader", "USAGE").case().of("grant-dead").is_empty());
        assert!(base().grant_schema("s", "PUBLIC", "USAGE").case().of("grant-dead").is_empty());
        let member = base().role("m").member("reader", "m").grant_schema("s", "m", "USAGE").case();
        assert!(member.of("grant-dead").is_empty());
    }
}
