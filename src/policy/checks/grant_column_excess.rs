//! `grant-column-excess`: a grant on single columns, which the table's own list does not show and no level speaks of. In a
//! schema that the policy does not name it is `undeclared-access`, as a grant on the whole table is, and told by that check;
//! PUBLIC keeps this code there, and only what changes data is told of it.

use std::collections::BTreeMap;

use super::{Check, Code, Context, entries, public_privilege, undeclared_access};
use crate::{
    domain::{
        ObjectKind, Oid, Privilege, Privileges,
        change::{Change, On},
        effective::Who,
        snapshot::ColumnGrant,
    },
    policy::{Finding, Group, Severity, Undeclared, judge::column_excess},
    text,
};

pub const CODE: Code = Code {
    code: "grant-column-excess",
    group: Group::Grants,
    severity: Severity::Error,
    why: "Column grants stand in a list of their own, beside the table's own: a right that nobody sees.",
};

pub const CHECK: Check = Check { codes: &[CODE], slow: true, without_policy: false, run };

/// Schema, grantee, privilege, and whether an exception covers it.
type Key = (usize, Oid, Privilege, bool);

fn run(context: &Context<'_>, out: &mut Vec<Finding>) {
    of(context, false, out);
}

/// What roles hold by column grants in schemas that the policy does not name; nothing before they were read.
pub fn undeclared(context: &Context<'_>, out: &mut Vec<Finding>) {
    of(context, true, out);
}

fn of(context: &Context<'_>, undeclared: bool, out: &mut Vec<Finding>) {
    let (Some(desired), Some(shapes)) = (entries::desired(context), context.shapes) else { return };
    let mut found: BTreeMap<Key, Vec<(&ColumnGrant, Oid)>> = BTreeMap::new();
    for grant in &shapes.column_grants {
        let Some(position) = context.matrix.index.schema(grant.schema).filter(|s| desired.is_judged(*s)) else {
            continue;
        };
        let named = desired.names_schema(position);
        if !named && desired.undeclared == Undeclared::Ignore {
            continue;
        }
        for entry in grant.acl.0.iter().flat_map(|e| e.iter()).filter(|e| e.grantee != grant.owner) {
            let who = match context.matrix.closure.position(entry.grantee) {
                Some(role) => Who::Role(role),
                None if entry.is_public() => Who::Public,
                None => continue,
            };
            if let Who::Role(role) = who
                && (!desired.compares(role) || !desired.names_role(role) && desired.undeclared == Undeclared::Ignore)
            {
                continue;
            }
            if undeclared != (!named && who != Who::Public) {
                continue;
            }
            let told = match who {
                Who::Public if !named => entry.privileges.and(changing(context, position)),
                _ => entry.privileges,
            };
            let (open, excepted) = column_excess(desired, who, position, &grant.relation, told);
            for (privileges, excepted) in [(open, false), (excepted, true)] {
                for privilege in privileges.iter() {
                    let key = (position, entry.grantee, privilege, excepted);
                    found.entry(key).or_default().push((grant, entry.grantor));
                }
            }
        }
    }
    for ((position, grantee, privilege, excepted), grants) in found {
        out.extend(finding(context, position, grantee, privilege, excepted, &grants));
    }
}

/// What PUBLIC is told of in a schema that the policy does not name: nothing where it may not use the schema.
fn changing(context: &Context<'_>, position: usize) -> Privileges {
    let usage = entries::schema(context, position).is_some_and(|schema| {
        let held = context.matrix.rights(context.catalog, Who::Public, ObjectKind::Schema, schema.owner, &schema.acl);
        held.contains(Privilege::Usage)
    });
    if usage { public_privilege::CHANGING } else { Privileges::NONE }
}

fn finding(
    context: &Context<'_>,
    position: usize,
    grantee: Oid,
    privilege: Privilege,
    excepted: bool,
    grants: &[(&ColumnGrant, Oid)],
) -> Option<Finding> {
    let desired = entries::desired(context)?;
    let schema = entries::schema(context, position)?.name.clone();
    let who = context.matrix.closure.position(grantee).map_or(Who::Public, Who::Role);
    let holder = entries::grantee(context, who);
    let named = desired.names_schema(position);
    let undeclared = !named && who != Who::Public;
    let code = if undeclared { &undeclared_access::CODE } else { &CODE };
    let mut f = context.draft(code);
    f.id = format!(
        "{}:{}:{schema}:{}:{privilege}",
        code.code,
        holder.name(),
        if undeclared { "columns" } else { "table" }
    );
    f.service = entries::service_of(context, desired, position);
    let columns: Vec<String> = grants.iter().map(|(g, _)| format!("{}.{}", g.relation, g.column)).collect();
    f.observed = format!("{privilege} on {}", text::count(columns.len() as u64, "column", "columns"));
    f.expected = "none".into();
    f.message =
        format!("{} has {privilege} on {} of {schema}, by column grants.", holder.name(), text::list(&columns, 4));
    if undeclared {
        f.expected = "a rule in the policy, or no access".into();
        f.message = format!(
            "{} has {privilege} on {} of {schema}, by column grants, and the policy does not name schema {schema}.",
            holder.name(),
            text::list(&columns, 4)
        );
    }
    let mut names: Vec<String> = grants.iter().map(|(g, _)| g.relation.clone()).collect();
    names.sort_unstable();
    names.dedup();
    entries::list_objects(&mut f, &schema, Some(&names), names.len() as u64);
    f.privilege = Some(privilege);
    f.via = Some(if who == Who::Public { "PUBLIC" } else { "direct" }.to_owned());
    if let Who::Role(role) = who {
        f.role = Some(entries::role_name(context, role));
    }
    f.schema = Some(schema.clone());
    if excepted {
        f.id.push_str(":excepted");
        f.stands_by_exception();
        return Some(f);
    }
    f.remedy = "Revoke the privilege on the columns; a REVOKE on the table takes them along.".into();
    if !named {
        f.remedy.push_str(
            " Or name the schema in the policy, which says who may do what there; with `undeclared = \"revoke\"` in the \
             policy `pgmoat plan` revokes it.",
        );
    }
    let stranger = !named || matches!(who, Who::Role(role) if !desired.names_role(role));
    if !stranger || desired.undeclared == Undeclared::Revoke {
        let mut by: BTreeMap<(&str, Option<String>), Vec<String>> = BTreeMap::new();
        for (grant, grantor) in grants {
            let grantor = (*grantor != grant.owner).then(|| context.catalog.role_name(*grantor));
            by.entry((&grant.relation, grantor)).or_default().push(grant.column.clone());
        }
        f.fix = Some(
            by.into_iter()
                .map(|((relation, grantor), columns)| Change::Revoke {
                    privileges: privilege.into(),
                    on: On::Columns { schema: schema.clone(), relation: relation.to_owned(), columns },
                    from: holder.clone(),
                    option_only: false,
                    grantor,
                })
                .collect(),
        );
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
            .table("s", "users", "app")
            .grant_schema("s", "reader", "USAGE")
            .grant("s.users", "reader", "SELECT")
            .policy(
                "[[service]]\nname='s'\nschema='s'\nrole='app'\ncreators=[]\n[[role]]\nname='reader'\naccess={s=['read']}\n",
            )
    }

    #[test]
    fn a_column_grant_beyond_the_level_is_found() {
        let f = base().column_grant("s.users", "email", "reader", "UPDATE").case().only("grant-column-excess");
        assert_eq!(
            (f.id.as_str(), f.objects.as_slice()),
            ("grant-column-excess:reader:s:table:UPDATE", &["s.users".to_owned()][..])
        );
        assert!(f.message.contains("users.email"));
        assert!(
            matches!(&f.fix.unwrap()[..], [Change::Revoke { on: On::Columns { columns, .. }, .. }] if columns == &["email"])
        );
    }

    #[test]
    fn in_a_schema_that_the_policy_does_not_name_it_is_undeclared() {
        let world = |undeclared: &str| {
            Fixture::new()
                .role("app")
                .role("reader")
                .schema("s", "app")
                .schema("misc", "postgres")
                .table("misc", "notes", "postgres")
                .column_grant("misc.notes", "body", "reader", "SELECT, UPDATE")
                .column_grant("misc.notes", "body", "PUBLIC", "SELECT, UPDATE")
                .policy(&format!(
                    "undeclared='{undeclared}'\n[[service]]\nname='s'\nschema='s'\nrole='app'\ncreators=[]\n\
                     [[role]]\nname='reader'\n"
                ))
        };
        let of = |undeclared: &str| world(undeclared).case().of("undeclared-access");
        let found = of("report");
        let ids: Vec<&str> = found.iter().map(|f| f.id.as_str()).collect();
        assert_eq!(
            ids,
            ["undeclared-access:reader:misc:columns:SELECT", "undeclared-access:reader:misc:columns:UPDATE"]
        );
        assert!(found.iter().all(|f| f.fix.is_none() && f.severity == Severity::Warning));
        assert!(found[0].message.ends_with("and the policy does not name schema misc."), "{}", found[0].message);
        assert!(of("revoke").iter().all(|f| f.fix.is_some()) && of("ignore").is_empty());
        // without USAGE on the schema PUBLIC can do nothing with it
        assert!(world("report").case().of("grant-column-excess").is_empty());
        let open = world("report").grant_schema("misc", "PUBLIC", "USAGE").case().only("grant-column-excess");
        assert_eq!((open.privilege, open.fix.is_none()), (Some(Privilege::Update), true));
        let case = world("report").case();
        let judge = case.judge();
        assert_eq!(judge.differing().count(), 1, "the cell differs, too");
    }

    #[test]
    fn within_the_level_or_for_a_superuser_it_is_not() {
        assert!(
            base().column_grant("s.users", "email", "reader", "SELECT").case().of("grant-column-excess").is_empty()
        );
        assert!(
            base().column_grant("s.users", "email", "postgres", "UPDATE").case().of("grant-column-excess").is_empty()
        );
    }
}
