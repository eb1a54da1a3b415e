//! Random databases for laws: a few roles, groups and schemas, and whatever grants, revocations, owners, defaults and
//! memberships chance puts on them.

use proptest::{prelude::*, test_runner::RngSeed};

use super::fixture::Fixture;
use crate::domain::snapshot::{DefaultKind, Kind};

const ROLES: [&str; 5] = ["app", "langflow_app", "reader", "odd \"name\"", "worker"];
const GROUPS: [&str; 3] = ["g_all", "g_ro", "g_top"];
const SCHEMAS: [&str; 4] = ["public", "langflow", "odd schema", "a/b"];
const TABLE: [&str; 5] = ["SELECT", "INSERT", "SELECT, INSERT, UPDATE, DELETE", "REFERENCES", "TRUNCATE, TRIGGER"];
const ALL_TABLE: &str = "SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER";

type Op = (u8, u8, u8, u8);

/// The same cases on every run, so that a change is what makes a law fail. Others come with `PROPTEST_CASES` or
/// `PROPTEST_RNG_SEED` in the environment.
pub fn cases() -> ProptestConfig {
    let named = ["PROPTEST_CASES", "PROPTEST_RNG_SEED"].iter().any(|name| std::env::var_os(name).is_some());
    let given = ProptestConfig::default();
    let rng_seed = if named { given.rng_seed } else { RngSeed::Fixed(2) };
    ProptestConfig { failure_persistence: None, rng_seed, ..given }
}

/// A random database, without a policy.
pub fn databases() -> impl Strategy<Value = Fixture> {
    (2..=ROLES.len(), 0..=GROUPS.len(), 1..=SCHEMAS.len(), any::<[u8; 4]>(), prop::collection::vec(any::<Op>(), 0..40))
        .prop_map(|(roles, groups, schemas, owners, ops)| build(roles, groups, schemas, owners, &ops))
}

fn pick<'a>(list: &[&'a str], n: u8) -> &'a str {
    list[n as usize % list.len()]
}

fn build(roles: usize, groups: usize, schemas: usize, owners: [u8; 4], ops: &[Op]) -> Fixture {
    let (roles, groups, schemas) = (&ROLES[..roles], &GROUPS[..groups], &SCHEMAS[..schemas]);
    let mut f = Fixture::new();
    for role in roles {
        f = f.role(role);
    }
    for group in groups {
        f = f.group(group);
    }
    let everybody: Vec<&str> = roles.iter().chain(groups).copied().collect();
    let owning: Vec<&str> = everybody.iter().copied().chain(["postgres"]).collect();
    for (schema, owner) in schemas.iter().zip(owners) {
        if *schema == "public" {
            f.catalog.database.owner = f.role_oid(pick(&owning, owner));
        } else {
            f = f.schema(schema, pick(&owning, owner));
        }
    }
    let mut objects: Vec<(String, Kind)> = Vec::new();
    let mut members: Vec<(&str, &str)> = Vec::new();
    for (i, (op, a, b, c)) in ops.iter().copied().enumerate() {
        let (schema, role, owner) = (pick(schemas, a), pick(&everybody, b), pick(&owning, c));
        let object = (!objects.is_empty()).then(|| objects[a as usize % objects.len()].clone());
        match op % 20 {
            0..=4 => {
                let kind = [Kind::Table, Kind::Table, Kind::Sequence, Kind::Function, Kind::Type][op as usize % 5];
                let name = if kind == Kind::Function { format!("f{i}()") } else { format!("o{i}") };
                // mostly the owner of the schema, sometimes somebody else
                let oid = f.catalog.schemas.iter().find(|s| s.name == schema).unwrap().owner;
                let usual = f.catalog.roles.iter().find(|r| r.oid == oid).unwrap().name.clone();
                let owner = if b % 4 == 0 || usual.starts_with("pg_") { owner.to_owned() } else { usual };
                f = f.object(kind, schema, &name, &owner);
                objects.push((format!("{schema}.{name}"), kind));
            }
            5..=7 => {
                let Some((object, kind)) = object else { continue };
                let (who, privileges) = (if op % 20 == 7 { "PUBLIC" } else { role }, of(kind, c));
                let Some(privileges) = privileges else { continue };
                f = if op % 20 == 6 && c % 2 == 0 {
                    f.grant_with_option(&object, who, privileges)
                } else {
                    f.grant(&object, who, privileges)
                };
            }
            8 => {
                // everything of a schema, as a set-up does it
                f = f.grant_schema(schema, role, if c % 2 == 0 { "USAGE" } else { "USAGE, CREATE" });
                for (object, kind) in objects.iter().filter(|(o, _)| o.starts_with(&format!("{schema}."))) {
                    let privileges = match kind {
                        Kind::Table => Some(if c % 2 == 0 { "SELECT" } else { ALL_TABLE }),
                        Kind::Sequence if c % 2 == 1 => Some("USAGE, SELECT, UPDATE"),
                        _ => None,
                    };
                    if let Some(privileges) = privileges {
                        f = f.grant(object, role, privileges);
                    }
                }
            }
            9 => {
                let Some((object, kind)) = object else { continue };
                let owner = f.objects.iter().find(|(_, o)| object.ends_with(&format!(".{}", o.name))).unwrap().1.owner;
                let owner = f.catalog.roles.iter().find(|r| r.oid == owner).unwrap().name.clone();
                if let Some(privileges) = of(kind, c) {
                    f = f.revoke(&object, &owner, privileges);
                }
            }
            10 | 11 => f = f.grant_schema(schema, role, if c % 3 == 0 { "USAGE, CREATE" } else { "USAGE" }),
            12 => f = f.grant_schema(schema, "PUBLIC", if c % 2 == 0 { "USAGE" } else { "CREATE" }),
            13 => {
                let (Some(at), false) = (everybody.iter().position(|r| *r == role), groups.is_empty()) else {
                    continue;
                };
                let group = pick(groups, c);
                let later = everybody.iter().position(|r| *r == group).unwrap() > at;
                if later && !members.contains(&(group, role)) {
                    members.push((group, role));
                    f = f.membership(group, role, |m| m.inherit = a % 4 != 0);
                }
            }
            14 | 15 => {
                let layer = (op % 20 == 14 || c % 3 == 0).then_some(schema);
                let kind = [DefaultKind::Tables, DefaultKind::Sequences, DefaultKind::Functions][b as usize % 3];
                let privileges = ["SELECT", "USAGE", "EXECUTE"][b as usize % 3];
                let grantee = if c % 7 == 0 { "PUBLIC" } else { role };
                if grantee != owner {
                    f = f.default_acl(owner, layer, kind, grantee, privileges);
                }
            }
            16 => f = f.grant_database(role, if c % 2 == 0 { "CREATE" } else { "CONNECT" }),
            17 => f = f.revoke_database("PUBLIC", if c % 2 == 0 { "CONNECT" } else { "TEMPORARY" }),
            18 => {
                let Some((object, Kind::Table)) = object else { continue };
                f = f.column_grant(&object, "c", if c % 5 == 0 { "PUBLIC" } else { role }, "UPDATE");
            }
            _ => {
                let Some((object, _)) = object else { continue };
                f = f.edit(&object, |o| o.extension = true);
            }
        }
    }
    f
}

fn of(kind: Kind, n: u8) -> Option<&'static str> {
    match kind {
        Kind::Table => Some(pick(&TABLE, n)),
        Kind::Sequence => Some(["USAGE", "SELECT", "UPDATE"][n as usize % 3]),
        Kind::Function => Some("EXECUTE"),
        _ => None,
    }
}
