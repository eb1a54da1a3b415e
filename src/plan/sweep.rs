//! A plan that takes from everybody: what a policy asks for that declares nothing, or that was written for another
//! database. One sentence about it, before every other. Pure counting.

use std::collections::BTreeSet;

use super::{Effect, Hazard, HazardKind};
use crate::{
    domain::{
        Oid,
        snapshot::{Catalog, Snapshot},
    },
    text,
};

/// More than so many must lose something before it is worth a sentence of its own.
const SOME: usize = 2;

/// The sentence, when no role keeps a right that it was granted on a schema, or when every one loses some.
pub(super) fn hazard(before: &Snapshot, after: &Snapshot, effects: &[Effect]) -> Option<Hazard> {
    let (had, has) = (holders(&before.catalog, &after.catalog), holders(&after.catalog, &before.catalog));
    let names: Vec<&String> = had.iter().collect();
    let (list, n) = (text::list(&names, 6), had.len());
    let loses = |holder: &String| effects.iter().any(|e| e.role.as_ref() == Some(holder) && !e.lost.is_empty());
    let sentence = if had.len() > SOME && has.is_empty() {
        format!(
            "This takes everything from everybody: all {n} roles that were granted a right on a schema here lose it \
             ({list}). What is left is what owners, superusers and PUBLIC have. A policy that declares nothing and says \
             undeclared = \"revoke\" asks for exactly that."
        )
    } else if had.len() > SOME && had.iter().all(loses) {
        format!(
            "This takes something from everybody: each of the {n} roles that were granted a right on a schema here loses \
             some ({list}). See that the policy is meant for this database."
        )
    } else {
        return None;
    };
    Some(Hazard { kind: HazardKind::Loss, sentence })
}

/// The roles that were granted a right on a schema that is somebody else's, and stands on the other side, too. A right on
/// anything in a schema is worth nothing without one on the schema.
fn holders(catalog: &Catalog, other: &Catalog) -> BTreeSet<String> {
    let stands: BTreeSet<Oid> = other.schemas.iter().map(|s| s.oid).collect();
    let superuser = |oid: Oid| catalog.roles.iter().any(|r| r.oid == oid && r.superuser);
    let mut holders = BTreeSet::new();
    for schema in catalog.schemas.iter().filter(|s| !s.is_system() && !s.extension && stands.contains(&s.oid)) {
        let entries = schema.acl.0.as_deref().unwrap_or_default().iter();
        let granted = entries.filter(|entry| !entry.is_public() && entry.grantee != schema.owner);
        holders.extend(granted.filter(|e| !superuser(e.grantee)).map(|e| catalog.role_name(e.grantee)));
    }
    holders
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{
        plan::{HazardKind, Plan, build},
        policy::{checks::fixture::Fixture, judgement::Judgement},
    };

    fn to(policy: &str) -> Plan {
        let f = Fixture::new().role("app").role("a").role("b").role("c").schema("s", "app").schema("t", "app");
        let f = f.table("s", "x", "app").grant_schema("s", "a", "USAGE").grant_schema("t", "b", "USAGE");
        let f = f.grant_schema("t", "c", "USAGE").grant_schema("t", "a", "USAGE").grant("s.x", "a", "SELECT");
        let case = f.policy(policy).case();
        let judged = Judgement::new(Arc::new(case.snapshot), case.policy.map(Arc::new), case.lineages, None);
        build::converge(&judged, &[])
    }

    fn said(plan: &Plan) -> Option<&str> {
        let first = plan.notes.first().filter(|note| note.kind == HazardKind::Loss);
        first.map(|note| note.sentence.as_str()).filter(|s| s.contains("everybody"))
    }

    #[test]
    fn a_policy_that_declares_nothing_is_told_as_what_it_takes() {
        let plan = to("undeclared = 'revoke'\n");
        let words = said(&plan).unwrap_or_else(|| panic!("{:#?}", plan.notes));
        assert!(words.contains("takes everything from everybody") && words.contains("a, b"), "{words}");
        assert!(said(&to("undeclared = 'report'\n")).is_none());
    }

    #[test]
    fn a_policy_for_something_else_is_told_as_what_it_takes() {
        let role = |name: &str, access: &str| format!("[[role]]\nname='{name}'\naccess={{{access}}}\n");
        let services = "undeclared = 'revoke'\n[[service]]\nname='s'\nschema='s'\nrole='app'\n\
            [[service]]\nname='t'\nschema='t'\nrole='app'\n";
        let none = [services, &role("a", "t=['read']"), &role("b", "s=['read']"), &role("c", "s=['read']")].concat();
        let plan = to(&none);
        assert!(said(&plan).is_some_and(|w| w.contains("something from everybody")), "{:#?}", plan.effects);
        let some = [services, &role("a", "t=['read']"), &role("b", "t=['read']"), &role("c", "s=['read']")].concat();
        assert!(said(&to(&some)).is_none(), "b keeps what it has");
    }
}
