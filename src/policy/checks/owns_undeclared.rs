//! `object-owner` where no owner is declared: objects of a named schema belong to a role that the policy gives less there
//! than an owner has by being one. Nothing can be revoked from an owner, so there is no fix; other owners are judged by
//! `owners`, which begins this.

use std::collections::BTreeMap;

use super::{Context, entries, owners::OBJECT};
use crate::{
    domain::{ObjectKind, Privileges, effective::Who},
    policy::Finding,
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
            out.extend(finding(context, position, role, kind, (count, total), beyond));
        }
    }
}

fn finding(
    context: &Context<'_>,
    position: usize,
    role: usize,
    kind: ObjectKind,
    (count, total): (u32, u32),
    beyond: Privileges,
) -> Option<Finding> {
    let desired = entries::desired(context)?;
    let (schema, name) = (entries::schema(context, position)?.name.clone(), entries::role_name(context, role));
    let oid = context.catalog.roles.get(role)?.oid;
    let words: Vec<&str> = entries::want(desired, role, position).levels.words();
    let declared = if words.is_empty() { "no access".to_owned() } else { text::list(&words, 3) };
    let (noun, verb) = if count == 1 { (kind.singular(), "belongs") } else { (kind.plural(), "belong") };
    let names: Option<Vec<String>> = entries::objects(context, position).map(|all| {
        let mine = all.into_iter().filter(|o| o.kind.object_kind() == kind && o.owner == oid);
        mine.map(|o| o.name.clone()).collect()
    });
    let mut f = context.draft(&OBJECT);
    f.id = format!("{}:{schema}:{}:{name}", OBJECT.code, kind.singular());
    f.service = entries::service_of(context, desired, position);
    f.schema = Some(schema.clone());
    f.role = Some(name.clone());
    f.observed = format!("{} owned by {name}", entries::share(count, total, kind));
    f.expected.clone_from(&declared);
    f.message = format!(
        "{count} {noun} of {schema} {verb} to {name}, which has {beyond} there as their owner; declared: {declared}."
    );
    f.remedy = format!(
        "Take them to a schema of {name}'s own (`pgmoat move-objects TARGET --from {schema} --to SCHEMA --owned-by {name}`, \
         or `pgmoat isolate` with all that belongs to them), or declare it: access = {{ {schema} = [\"all\"] }} for {name}."
    );
    entries::list_objects(&mut f, &schema, names.as_deref(), u64::from(count));
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
        // a stranger's are undeclared access; a declared owner's neighbours are judged by the other check
        let strangers = Fixture::new().role("app").role("other").table("public", "t", "other").policy(POLICY).case();
        assert!(strangers.of("object-owner").is_empty());
    }
}
