//! `object-owner` where no owner is declared: objects of a named schema belong to a role that the policy gives less there
//! than an owner has by being one. Nothing can be revoked from an owner, so there is no fix; other owners are judged by
//! `owners`, which begins this.

use std::collections::BTreeMap;

use super::{Context, entries, owners::OBJECT};
use crate::{
    domain::{ObjectKind, Privileges, effective::Who},
    policy::{Finding, judge::covers},
    text,
};

/// Adds a finding for each schema, kind and owner.
pub fn run(context: &Context<'_>, out: &mut Vec<Finding>) {
    let Some(desired) = entries::desired(context) else { return };
    for position in entries::named_schemas(desired) {
        if desired.schemas.get(position).is_none_or(|s| s.owner.is_some()) {
            continue;
        }
        let mut owned: BTreeMap<(usize, ObjectKind), (u32, Privileges)> = BTreeMap::new();
        let mut totals: BTreeMap<ObjectKind, u32> = BTreeMap::new();
        for list in entries::lists(context, position).filter(|l| l.kind != ObjectKind::Schema) {
            *totals.entry(list.kind).or_default() += list.count;
            let Some(role) = context.matrix.closure.position(list.owner) else { continue };
            if !desired.compares(role) || !desired.names_role(role) {
                continue;
            }
            let excepted: Privileges = desired
                .exceptions_of(Who::Role(role), position)
                .filter(|e| e.objects.is_empty())
                .flat_map(|e| e.privileges.iter().copied())
                .collect();
            let held = context.matrix.own_rights(role, list.kind, list.owner, list.acl);
            let allowed = entries::want(desired, role, position).allowed;
            let beyond = held.minus(allowed.of(list.kind)).minus(excepted);
            if !beyond.is_empty() {
                let (count, all) = owned.entry((role, list.kind)).or_default();
                *count += list.count;
                *all = all.union(beyond);
            }
        }
        for ((role, kind), (count, beyond)) in owned {
            let total = totals.get(&kind).copied().unwrap_or(count);
            let left = unexcepted(context, position, role, kind, Beyond { count, privileges: beyond, names: None });
            out.extend(left.and_then(|beyond| finding(context, position, role, kind, total, &beyond)));
        }
    }
}

/// What an owner has beyond its levels, and on what.
struct Beyond {
    count: u32,
    privileges: Privileges,
    /// `None` where the names were not read.
    names: Option<Vec<String>>,
}

/// What is left of it when exceptions for single objects are heeded; `None` when nothing is.
fn unexcepted(context: &Context<'_>, position: usize, role: usize, kind: ObjectKind, beyond: Beyond) -> Option<Beyond> {
    let desired = entries::desired(context)?;
    let exceptions = || desired.exceptions_of(Who::Role(role), position);
    let Some(objects) = entries::objects(context, position) else {
        if exceptions().all(|e| e.objects.is_empty()) {
            return Some(beyond);
        }
        // by count, as the cell is judged before the names are there
        let cell = context.judge.cell(Who::Role(role), position);
        let of_kind = cell.excess.iter().filter(|d| d.kind == kind && beyond.privileges.contains(d.privilege));
        let count = of_kind.clone().map(|d| d.count).max()?.min(beyond.count);
        return Some(Beyond { count, privileges: of_kind.map(|d| d.privilege).collect(), names: None });
    };
    let oid = context.catalog.roles.get(role)?.oid;
    let allowed = entries::want(desired, role, position).allowed;
    let (mut names, mut privileges) = (Vec::new(), Privileges::NONE);
    for object in objects.into_iter().filter(|o| o.kind.object_kind() == kind && o.owner == oid) {
        let excepted: Privileges =
            exceptions().filter(|e| covers(e, &object.name)).flat_map(|e| e.privileges.iter().copied()).collect();
        let held = context.matrix.own_rights(role, kind, object.owner, &object.acl);
        let left = held.minus(allowed.of(kind)).minus(excepted);
        if !left.is_empty() {
            names.push(object.name.clone());
            privileges = privileges.union(left);
        }
    }
    let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
    (count > 0).then_some(Beyond { count, privileges, names: Some(names) })
}

fn finding(
    context: &Context<'_>,
    position: usize,
    role: usize,
    kind: ObjectKind,
    total: u32,
    beyond: &Beyond,
) -> Option<Finding> {
    let (count, privileges) = (beyond.count, beyond.privileges);
    let desired = entries::desired(context)?;
    let (schema, name) = (entries::schema(context, position)?.name.clone(), entries::role_name(context, role));
    let words: Vec<&str> = entries::want(desired, role, position).levels.words();
    let declared = if words.is_empty() { "no access".to_owned() } else { text::list(&words, 3) };
    let (noun, verb) = if count == 1 { (kind.singular(), "belongs") } else { (kind.plural(), "belong") };
    let mut f = context.draft(&OBJECT);
    f.id = format!("{}:{schema}:{}:{name}", OBJECT.code, kind.singular());
    f.service = entries::service_of(context, desired, position);
    f.schema = Some(schema.clone());
    f.role = Some(name.clone());
    f.observed = format!("{} owned by {name}", entries::share(count, total, kind));
    f.expected.clone_from(&declared);
    f.message = format!(
        "{count} {noun} of {schema} {verb} to {name}, which has {privileges} there as their owner; declared: {declared}."
    );
    f.remedy = format!(
        "Take them to a schema of {name}'s own (`pgmoat move-objects TARGET --from {schema} --to SCHEMA --owned-by {name}`, \
         or `pgmoat isolate` with all that belongs to them), or declare it: access = {{ {schema} = [\"all\"] }} for {name}."
    );
    entries::list_objects(&mut f, &schema, beyond.names.as_deref(), u64::from(count));
    Some(f)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;

    const POLICY: &str = "[[service]]\nname='s'\nschema='s'\nrole='app'\n[[schema]]\nname='public'\n";

    fn base() -> Fixture {
        Fixture::new().role("app").role("other").schema("s", "app").table("public", "orders", "app")
    }

    #[test]
    fn a_service_that_owns_tables_where_nothing_is_declared_is_told() {
        let case = base().policy(POLICY).case();
        let f = case.only("object-owner");
        assert_eq!(f.id, "object-owner:public:table:app");
        assert_eq!((f.objects.as_slice(), f.fix.as_ref()), (&["public.orders".to_owned()][..], None));
        assert_eq!(case.judge().cells().unwrap().1, 1, "the cell differs, and now something says why");
    }

    #[test]
    fn what_is_declared_or_excepted_is_not() {
        let declared = POLICY.replace("role='app'\n", "role='app'\naccess={public=['all']}\n");
        assert!(base().policy(&declared).case().of("object-owner").is_empty());
        let all = "['SELECT','INSERT','UPDATE','DELETE','TRUNCATE','REFERENCES','TRIGGER']";
        let excepted =
            format!("{POLICY}[[exception]]\nrole='app'\nschema='public'\nprivileges={all}\nreason='until May'\n");
        assert!(base().policy(&excepted).case().of("object-owner").is_empty());
        // of two tables only the one that no exception names, whether their names were read or not
        let one = excepted.replace("reason=", "objects=['orders']\nreason=");
        for f in [base(), base().without_names()] {
            assert!(f.policy(&one).case().of("object-owner").is_empty());
        }
        let two = base().table("public", "bills", "app").policy(&one);
        assert_eq!(two.clone().case().only("object-owner").objects, ["public.bills"]);
        assert_eq!(two.without_names().case().only("object-owner").objects_total, Some(1));
        // a stranger's are undeclared access; a declared owner's neighbours are judged by the other check
        let strangers = Fixture::new().role("app").role("other").table("public", "t", "other").policy(POLICY).case();
        assert!(strangers.of("object-owner").is_empty());
    }
}
