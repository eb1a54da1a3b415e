//! `default-privilege-missing` and `default-privilege-excess`: what the objects of tomorrow will give, judged for every role
//! that creates objects in a schema.
//!
//! The two layers add up: a global entry *replaces* PostgreSQL's built-in default and so holds the creator's own rights and
//! PUBLIC's share too (neither is drift), an entry for a schema only adds. Types, schemas and large objects are not judged.

use std::collections::HashMap;

use super::{Check, Code, Context, entries};
use crate::{
    domain::{
        Acl, ObjectKind, Oid, Privileges,
        change::{Change, Grantee},
        effective::Who,
        snapshot::{DefaultAcl, DefaultKind, Role},
    },
    policy::{Finding, Group, Severity, Undeclared, desired::Desired},
};

pub const MISSING: Code = Code {
    code: "default-privilege-missing",
    group: Group::Grants,
    severity: Severity::Error,
    why: "The next table that a migration creates will not be covered by the grants of today. Default privileges follow \
          the role that creates the object, never its memberships.",
};

pub const EXCESS: Code = Code {
    code: "default-privilege-excess",
    group: Group::Grants,
    severity: Severity::Error,
    why: "Every new object will carry a grant that the policy does not allow: what is revoked today comes back.",
};

pub const MISSING_CHECK: Check = Check { codes: &[MISSING], slow: false, without_policy: false, run: run_missing };
pub const EXCESS_CHECK: Check = Check { codes: &[EXCESS], slow: false, without_policy: false, run: run_excess };

/// The kinds that levels speak of.
pub const KINDS: [DefaultKind; 3] = [DefaultKind::Tables, DefaultKind::Sequences, DefaultKind::Functions];

/// What objects of a default privilege are.
pub fn object_kind(kind: DefaultKind) -> Option<ObjectKind> {
    match kind {
        DefaultKind::Tables => Some(ObjectKind::Table),
        DefaultKind::Sequences => Some(ObjectKind::Sequence),
        DefaultKind::Functions => Some(ObjectKind::Routine),
        DefaultKind::Types | DefaultKind::Schemas | DefaultKind::LargeObjects => None,
    }
}

/// Default ACLs by creator, schema and kind.
struct Layers<'a>(HashMap<(Oid, Option<Oid>, DefaultKind), &'a Acl>);

impl<'a> Layers<'a> {
    fn new(context: &Context<'a>) -> Layers<'a> {
        let of = |d: &'a DefaultAcl| ((d.creator, d.schema, d.kind), &d.acl);
        Layers(context.catalog.default_acls.iter().map(of).collect())
    }

    /// What `role` will hold on a new object of `kind` that `creator` makes in `schema`, by both layers; one grantee of
    /// one layer can be left out.
    fn future(
        &self,
        context: &Context<'_>,
        role: usize,
        creator: Oid,
        schema: Oid,
        kind: DefaultKind,
        without: Option<(&DefaultAcl, Oid)>,
    ) -> Privileges {
        let Some(object) = object_kind(kind) else { return Privileges::NONE };
        let rights = |layer: Option<Oid>, acl: &Acl| {
            let rights = |acl: &Acl| context.matrix.rights(context.catalog, Who::Role(role), object, creator, acl);
            match without.filter(|(default, _)| default.schema == layer) {
                Some((_, grantee)) => {
                    let kept = acl.0.iter().flat_map(|e| e.iter()).filter(|e| e.grantee != grantee);
                    rights(&Acl::from_entries(kept.copied().collect()))
                }
                None => rights(acl),
            }
        };
        let base = self.0.get(&(creator, None, kind)).copied().unwrap_or(&Acl::NULL);
        let added = self.0.get(&(creator, Some(schema), kind));
        rights(None, base) | added.map_or(Privileges::NONE, |acl| rights(Some(schema), acl))
    }
}

fn run_missing(context: &Context<'_>, out: &mut Vec<Finding>) {
    let Some(desired) = entries::desired(context) else { return };
    let layers = Layers::new(context);
    for position in entries::named_schemas(desired) {
        let Some(schema) = entries::schema(context, position) else { continue };
        let creators = desired.schemas.get(position).map(|s| s.creators.as_slice()).unwrap_or_default();
        for creator in creators {
            let creator_oid = entries::oid_of(context, Who::Role(*creator));
            for role in desired.roles_of(position).filter(|r| desired.compares(*r)) {
                let required = entries::want(desired, role, position).required;
                for kind in KINDS {
                    let Some(object) = object_kind(kind) else { continue };
                    let future = layers.future(context, role, creator_oid, schema.oid, kind, None);
                    let missing = required.of(object).minus(future);
                    if !missing.is_empty() {
                        out.push(absent(context, desired, position, *creator, role, kind, missing));
                    }
                }
            }
        }
    }
}

fn absent(
    context: &Context<'_>,
    desired: &Desired,
    position: usize,
    creator: usize,
    role: usize,
    kind: DefaultKind,
    privileges: Privileges,
) -> Finding {
    let schema = entries::schema(context, position).map(|s| s.name.clone()).unwrap_or_default();
    let (creator, role) = (entries::role_name(context, creator), entries::role_name(context, role));
    let noun = noun(kind);
    let mut f = context.draft(&MISSING);
    f.id = format!("{}:{role}:{schema}:{noun}:{creator}", MISSING.code);
    f.service = entries::service_of(context, desired, position);
    f.observed = format!("new {noun} of {creator} give {role} no {privileges}");
    f.expected = format!("{privileges} by default");
    f.message = format!("{noun} that {creator} creates in {schema} from now on will give {role} no {privileges}.");
    if let Some(first) = f.message.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    f.remedy = format!("Add default privileges for what {creator} creates in {schema}.");
    f.privilege = single(privileges);
    f.fix = Some(vec![Change::DefaultPrivileges {
        creator,
        schema: Some(schema.clone()),
        kind,
        privileges,
        grantee: Grantee::Role(role.clone()),
        grant: true,
    }]);
    f.schema = Some(schema);
    f.role = Some(role);
    f
}

fn run_excess(context: &Context<'_>, out: &mut Vec<Finding>) {
    let Some(desired) = entries::desired(context) else { return };
    let layers = Layers::new(context);
    for default in &context.catalog.default_acls {
        let Some(kind) = object_kind(default.kind) else { continue };
        let Some(creator) = context.matrix.closure.position(default.creator) else { continue };
        if context.catalog.roles.get(creator).is_some_and(Role::is_platform) {
            continue;
        }
        let schemas: Vec<usize> = match default.schema {
            Some(oid) => context.matrix.index.schema(oid).filter(|s| desired.names_schema(*s)).into_iter().collect(),
            None => entries::named_schemas(desired)
                .filter(|s| desired.schemas.get(*s).is_some_and(|w| w.creators.contains(&creator)))
                .collect(),
        };
        let mut seen: Vec<Oid> = Vec::new();
        for entry in default.acl.0.iter().flat_map(|e| e.iter()) {
            if entry.grantee == default.creator || seen.contains(&entry.grantee) {
                continue;
            }
            seen.push(entry.grantee);
            let held = default.acl.0.iter().flat_map(|e| e.iter()).filter(|e| e.grantee == entry.grantee);
            let held = held.fold(Privileges::NONE, |a, e| a | e.privileges);
            let who = match context.matrix.closure.position(entry.grantee) {
                Some(role) => Who::Role(role),
                None if entry.is_public() => Who::Public,
                None => continue,
            };
            let mut found = Found { excess: Privileges::NONE, excepted: Privileges::NONE };
            for position in &schemas {
                found.add(desired, who, *position, kind, held);
            }
            out.extend(superfluous(context, desired, &layers, default, who, &schemas, &found));
        }
    }
}

struct Found {
    excess: Privileges,
    excepted: Privileges,
}

impl Found {
    fn add(&mut self, desired: &Desired, who: Who, position: usize, kind: ObjectKind, held: Privileges) {
        let allowed = match who {
            Who::Public => kind.public_default(),
            Who::Role(role) if !desired.compares(role) => return,
            Who::Role(role) if !desired.names_role(role) && desired.undeclared == Undeclared::Ignore => return,
            Who::Role(role) => desired.want(role, position).map_or(Privileges::NONE, |w| w.allowed.of(kind)),
        };
        let excepted: Privileges = desired
            .exceptions_of(who, position)
            .filter(|e| e.objects.is_empty())
            .flat_map(|e| e.privileges.iter().copied())
            .collect();
        let beyond = held.minus(allowed);
        self.excess = self.excess | beyond.minus(excepted);
        self.excepted = self.excepted | beyond.and(excepted);
    }
}

fn superfluous(
    context: &Context<'_>,
    desired: &Desired,
    layers: &Layers<'_>,
    default: &DefaultAcl,
    who: Who,
    schemas: &[usize],
    found: &Found,
) -> Option<Finding> {
    let open = !found.excess.is_empty();
    if !open && found.excepted.is_empty() {
        return None;
    }
    let privileges = if open { found.excess } else { found.excepted };
    let creator = context.catalog.role_name(default.creator);
    let grantee = entries::grantee(context, who);
    let schema = default.schema.map(|s| context.catalog.schema_name(s));
    let place = schema.as_ref().map_or_else(|| "in any schema".to_owned(), |s| format!("in {s}"));
    let noun = noun(default.kind);
    let mut f = context.draft(&EXCESS);
    f.id = format!("{}:{}:{}:{noun}:{creator}", EXCESS.code, grantee.name(), schema.as_deref().unwrap_or("*"));
    f.service = match schemas {
        [one] => entries::service_of(context, desired, *one),
        _ => None,
    };
    f.observed = format!("new {noun} of {creator} {place} give {} {privileges}", grantee.name());
    f.expected = "nothing by default".into();
    f.message = format!("{noun} that {creator} creates {place} will give {} {privileges}.", grantee.name());
    if let Some(first) = f.message.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    f.privilege = single(privileges);
    f.schema.clone_from(&schema);
    if let Who::Role(role) = who {
        f.role = Some(entries::role_name(context, role));
    }
    if !open {
        f.stands_by_exception();
        return Some(f);
    }
    f.remedy = format!("Revoke the default; existing {noun} are not touched by that.");
    let stranger = matches!(who, Who::Role(role) if !desired.names_role(role));
    if stranger && desired.undeclared != Undeclared::Revoke {
        f.remedy = format!("Declare {} in the policy, or revoke the default.", grantee.name());
        return Some(f);
    }
    let mut changes = Vec::new();
    keep_required(context, desired, layers, default, who, schemas, privileges, &mut changes);
    changes.push(Change::DefaultPrivileges { creator, schema, kind: default.kind, privileges, grantee, grant: false });
    f.fix = Some(changes);
    Some(f)
}

/// What declared roles require and get only by this entry is first given to them, in the schema's own layer.
#[expect(clippy::too_many_arguments, reason = "one step of `superfluous`, apart for its length")]
fn keep_required(
    context: &Context<'_>,
    desired: &Desired,
    layers: &Layers<'_>,
    default: &DefaultAcl,
    who: Who,
    schemas: &[usize],
    privileges: Privileges,
    changes: &mut Vec<Change>,
) {
    let Some(kind) = object_kind(default.kind) else { return };
    for position in schemas {
        let Some(schema) = entries::schema(context, *position) else { continue };
        for role in desired.roles_of(*position).filter(|r| desired.compares(*r)) {
            let touched = match who {
                Who::Public => true,
                Who::Role(group) => context.matrix.closure.inherits(role, group),
            };
            let lost = Some((default, entries::oid_of(context, who)));
            let without = layers.future(context, role, default.creator, schema.oid, default.kind, lost);
            let required = entries::want(desired, role, *position).required.of(kind).and(privileges).minus(without);
            let creates = context.catalog.roles.get(role).is_some_and(|r| r.oid == default.creator);
            if touched && !creates && !required.is_empty() {
                changes.push(Change::DefaultPrivileges {
                    creator: context.catalog.role_name(default.creator),
                    schema: Some(schema.name.clone()),
                    kind: default.kind,
                    privileges: required,
                    grantee: Grantee::Role(entries::role_name(context, role)),
                    grant: true,
                });
            }
        }
    }
}

fn noun(kind: DefaultKind) -> &'static str {
    match kind {
        DefaultKind::Tables => "tables",
        DefaultKind::Sequences => "sequences",
        DefaultKind::Functions => "routines",
        DefaultKind::Types => "types",
        DefaultKind::Schemas => "schemas",
        DefaultKind::LargeObjects => "large objects",
    }
}

fn single(privileges: Privileges) -> Option<crate::domain::Privilege> {
    (privileges.count() == 1).then(|| privileges.iter().next()).flatten()
}

#[cfg(test)]
mod tests {
    use super::{super::fixture::Fixture, *};
    use crate::domain::Privilege;

    fn base() -> Fixture {
        Fixture::new()
            .role("app")
            .role("reader")
            .schema("s", "app")
            .schema("t", "app")
            .grant_schema("s", "reader", "USAGE")
            .policy(
                "[[service]]\nname='s'\nschemas=['s','t']\nrole='app'\n[[role]]\nname='reader'\naccess={s=['read']}\n",
            )
    }

    #[test]
    fn tomorrows_tables_must_be_covered_for_each_creator() {
        let f = base().case().only("default-privilege-missing");
        assert_eq!(f.id, "default-privilege-missing:reader:s:tables:app");
        assert_eq!(f.privilege, Some(Privilege::Select));
        assert!(f.observed.contains("app"), "the creator is named: {}", f.observed);
        assert_eq!(
            f.fix,
            Some(vec![Change::DefaultPrivileges {
                creator: "app".into(),
                schema: Some("s".into()),
                kind: DefaultKind::Tables,
                privileges: Privilege::Select.into(),
                grantee: Grantee::Role("reader".into()),
                grant: true,
            }])
        );
    }

    #[test]
    fn either_layer_and_a_group_cover_it() {
        let covered = base().default_acl("app", Some("s"), DefaultKind::Tables, "reader", "SELECT").case();
        assert!(
            covered.of("default-privilege-missing").is_empty() && covered.of("default-privilege-excess").is_empty()
        );
        let group = base().group("g").member("g", "reader");
        let covered = group.default_acl("app", Some("s"), DefaultKind::Tables, "g", "SELECT").case();
        assert!(covered.of("default-privilege-missing").is_empty());
        let global = base().default_acl("app", None, DefaultKind::Tables, "reader", "SELECT").case();
        assert!(global.of("default-privilege-missing").is_empty());
    }

    #[test]
    fn another_creators_defaults_do_not_count() {
        let other = base().default_acl("postgres", Some("s"), DefaultKind::Tables, "reader", "SELECT").case();
        assert_eq!(other.of("default-privilege-missing").len(), 1);
    }

    #[test]
    fn a_global_entrys_own_rights_are_no_drift() {
        let case = base()
            .default_acl("app", Some("s"), DefaultKind::Tables, "reader", "SELECT")
            .default_acl("app", None, DefaultKind::Functions, "PUBLIC", "EXECUTE")
            .case();
        assert!(case.of("default-privilege-excess").is_empty(), "{:#?}", case.of("default-privilege-excess"));
    }

    #[test]
    fn a_default_that_the_policy_does_not_allow_is_revoked() {
        let f = base()
            .default_acl("app", Some("s"), DefaultKind::Tables, "reader", "SELECT, INSERT")
            .case()
            .only("default-privilege-excess");
        assert_eq!(f.id, "default-privilege-excess:reader:s:tables:app");
        assert!(
            matches!(&f.fix.unwrap()[..], [Change::DefaultPrivileges { grant: false, privileges, .. }] if *privileges == Privilege::Insert.into())
        );
    }

    #[test]
    fn revoking_a_global_default_keeps_what_a_schema_requires() {
        let f = base()
            .default_acl("app", None, DefaultKind::Tables, "reader", "SELECT")
            .case()
            .only("default-privilege-excess");
        assert_eq!(f.schema, None, "reader may read s, but not t");
        let fix = f.fix.unwrap();
        assert!(
            matches!(&fix[0], Change::DefaultPrivileges { schema: Some(s), grant: true, .. } if s == "s"),
            "{fix:?}"
        );
        assert!(matches!(&fix[1], Change::DefaultPrivileges { schema: None, grant: false, .. }));
    }
}
