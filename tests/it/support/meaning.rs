//! What a snapshot means and how the catalog spells it, by names: for tests that compare a database with itself at another
//! time. Written down here anew, so that it does not err with the program.
//!
//! Left out is what nobody grants or takes: counters, sizes, estimates, times, sessions, the gate, oids.

use std::collections::{BTreeMap, BTreeSet};

use pgmoat::domain::{
    Acl, ObjectKind, Oid, Privileges,
    snapshot::{Catalog, Snapshot},
};

/// One thing: what it means, and the same as it is spelled.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    means: String,
    spelled: String,
}

/// Everything of a snapshot that a plan can touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning(BTreeMap<String, Entry>);

impl Meaning {
    /// Of a recording as `pgmoat snapshot` writes it.
    #[track_caller]
    pub fn recorded(text: &str) -> Meaning {
        Meaning::of(&serde_json::from_str(text).unwrap())
    }

    pub fn of(snapshot: &Snapshot) -> Meaning {
        let mut pages = Pages { snapshot, catalog: &snapshot.catalog, entries: BTreeMap::new() };
        pages.cluster();
        pages.schemas();
        pages.shapes();
        Meaning(pages.entries)
    }

    /// How many things there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Things that mean something else in `other`, in words.
    pub fn differences(&self, other: &Meaning) -> Vec<String> {
        let keys: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let means = |of: &Meaning, key: &String| of.0.get(key).map(|e| e.means.clone());
        let differ = keys.into_iter().filter(|key| means(self, key) != means(other, key));
        differ.map(|key| format!("{key}:\n   {:?}\n   {:?}", means(self, key), means(other, key))).collect()
    }

    /// Things that mean the same in `other` and are spelled otherwise there.
    pub fn respelled(&self, other: &Meaning) -> Vec<String> {
        let same = self.0.iter().filter(|(key, entry)| {
            other.0.get(*key).is_some_and(|o| o.means == entry.means && o.spelled != entry.spelled)
        });
        same.map(|(key, _)| key.clone()).collect()
    }
}

struct Pages<'a> {
    snapshot: &'a Snapshot,
    catalog: &'a Catalog,
    entries: BTreeMap<String, Entry>,
}

impl Pages<'_> {
    fn add(&mut self, key: String, means: String, spelled: String) {
        let twice = self.entries.contains_key(&key);
        assert!(!twice, "{key} is there twice");
        self.entries.insert(key, Entry { means, spelled });
    }

    fn fact(&mut self, key: String, means: String) {
        self.add(key, means.clone(), means);
    }

    fn role(&self, oid: Oid) -> String {
        format!("{:?}", self.catalog.role_name(oid))
    }

    fn schema(&self, oid: Oid) -> String {
        format!("{:?}", self.catalog.schema_name(oid))
    }

    /// What everybody holds, whoever gave it; the list as it is.
    fn acl(&self, acl: &Acl, kind: ObjectKind, owner: Oid) -> [String; 2] {
        let in_force = acl.in_force(kind, owner, self.snapshot.server.version_num);
        let mut held: BTreeMap<String, (Privileges, Privileges)> = BTreeMap::new();
        for entry in in_force.entries() {
            // An owner can pass on what it holds of its own.
            let own = entry.grantee == owner && entry.grantor == owner;
            let grantable = if own { entry.privileges } else { entry.grantable };
            let share = held.entry(self.role(entry.grantee)).or_default();
            *share = (share.0 | entry.privileges, share.1 | grantable);
        }
        held.retain(|_, (privileges, _)| !privileges.is_empty());
        let words = |list: Privileges| list.iter().map(|p| p.to_string()).collect::<Vec<_>>().join("+");
        let means: Vec<String> =
            held.iter().map(|(who, (p, o))| format!("{who} {} *{}", words(*p), words(*o))).collect();
        let spelled = acl.0.as_ref().map(|list| {
            let line = |e: &pgmoat::domain::AclEntry| {
                format!(
                    "{} from {}: {} *{}",
                    self.role(e.grantee),
                    self.role(e.grantor),
                    words(e.privileges),
                    words(e.grantable)
                )
            };
            list.iter().map(line).collect::<BTreeSet<_>>()
        });
        [means.join(", "), format!("{spelled:?}")]
    }

    fn cluster(&mut self) {
        let catalog = self.catalog;
        let database = &catalog.database;
        let [means, spelled] = self.acl(&database.acl, ObjectKind::Database, database.owner);
        let head = format!("{} {}", self.role(database.owner), database.connection_limit);
        self.add("database".to_owned(), format!("{head} {means}"), format!("{head} {spelled}"));
        for role in &catalog.roles {
            let plain = pgmoat::domain::snapshot::Role { oid: Oid::ZERO, ..role.clone() };
            self.fact(format!("role {:?}", role.name), format!("{plain:?}"));
        }
        let mut memberships: BTreeMap<String, [BTreeSet<String>; 2]> = BTreeMap::new();
        for m in &catalog.memberships {
            let how = format!("inherit {} set {} admin {}", m.inherit, m.set, m.admin);
            let of = memberships.entry(format!("membership of {} in {}", self.role(m.member), self.role(m.role)));
            let [means, spelled] = of.or_default();
            means.insert(how.clone());
            spelled.insert(format!("{how} from {}", catalog.role_name(m.grantor)));
        }
        for (key, [means, spelled]) in memberships {
            self.add(key, format!("{means:?}"), format!("{spelled:?}"));
        }
        for s in &catalog.settings {
            // Of other databases only the number is known.
            let place = s.database.map(|d| if d == database.oid { "here".to_owned() } else { d.to_string() });
            let who = s.role.map(|r| self.role(r));
            self.fact(format!("setting {} of {who:?} in {place:?}", s.name), s.value.clone());
        }
        for d in &catalog.default_acls {
            let place = d.schema.map(|s| self.schema(s));
            let key = format!("default privileges of {} in {place:?} on {:?}", self.role(d.creator), d.kind);
            // A list of its own always: the kind stands for nothing here.
            let [means, spelled] = self.acl(&d.acl, ObjectKind::Table, d.creator);
            self.add(key, means, spelled);
        }
        for e in &catalog.extensions {
            let means = format!("{} {} {}", self.schema(e.schema), self.role(e.owner), e.version);
            self.fact(format!("extension {}", e.name), means);
        }
    }

    fn schemas(&mut self) {
        let (catalog, snapshot) = (self.catalog, self.snapshot);
        for schema in catalog.schemas.iter().filter(|s| !s.is_system()) {
            let [means, spelled] = self.acl(&schema.acl, ObjectKind::Schema, schema.owner);
            let owner = self.role(schema.owner);
            self.add(format!("schema {:?}", schema.name), format!("{owner} {means}"), format!("{owner} {spelled}"));
        }
        let mut names = BTreeMap::new();
        for (schema, list) in &snapshot.objects.0 {
            let place = self.schema(*schema);
            for object in list.all() {
                let key = format!("{} {place}.{:?}", object.kind.object_kind().singular(), object.name);
                names.insert(object.oid, key.clone());
                let [means, spelled] = self.acl(&object.acl, object.kind.object_kind(), object.owner);
                let owner = self.role(object.owner);
                let head = format!("{:?} {owner} rls {} {}", object.kind, object.rls, object.force_rls);
                self.add(key, format!("{head} {means}"), format!("{head} {spelled}"));
            }
        }
        for policy in &catalog.policies {
            let table = names.get(&policy.relation).cloned().unwrap_or_default();
            let roles: BTreeSet<String> = policy.roles.iter().map(|r| self.role(*r)).collect();
            let means = format!("{} {} {roles:?}", policy.permissive, policy.command);
            self.fact(format!("policy {:?} of {table}", policy.name), means);
        }
        for table in &snapshot.versions.0 {
            let rows = table.rows.known().map(|rows| rows.iter().collect::<Vec<_>>());
            let head = format!("{} {} {}", table.shape, table.plain, table.primary_key);
            let key = format!("rows of {}.{:?}", self.schema(table.schema), table.name);
            self.fact(key, format!("{head} {rows:?}"));
        }
        if let Some(shapes) = &snapshot.shapes {
            for expression in &shapes.policy_expressions {
                let table = names.get(&expression.relation).cloned().unwrap_or_default();
                let key = format!("expressions of policy {:?} of {table}", expression.policy);
                self.fact(key, format!("{:?} {:?}", expression.using, expression.check));
            }
        }
    }

    fn shapes(&mut self) {
        let Some(shapes) = &self.snapshot.shapes else { return };
        for c in &shapes.column_grants {
            let key = format!("column {:?} of {}.{:?}", c.column, self.schema(c.schema), c.relation);
            let [means, spelled] = self.acl(&c.acl, ObjectKind::Table, c.owner);
            self.add(key, means, spelled);
        }
        for f in &shapes.foreign_keys {
            let key = format!("foreign key {:?} of {}.{:?}", f.name, self.schema(f.schema), f.table);
            self.fact(key, format!("{}.{:?} {}", self.schema(f.to_schema), f.to_table, f.validated));
        }
        for v in &shapes.views {
            let used = format!("{}.{:?}", self.schema(v.uses_schema), v.uses);
            self.fact(format!("view {}.{:?} on {used}", self.schema(v.schema), v.view), v.security_invoker.to_string());
        }
        for d in &shapes.definers {
            self.fact(format!("definer {}.{:?}", self.schema(d.schema), d.signature), format!("{:?}", d.search_path));
        }
        for f in &shapes.trails.functions {
            let means = format!("{} {} {} {:?}", f.language, f.body, f.definer, f.settings);
            self.fact(format!("trail function of {}", self.schema(f.schema)), means);
        }
        for t in &shapes.trails.triggers {
            let key = format!("trigger {:?} of {}.{:?}", t.name, self.schema(t.schema), t.table);
            self.fact(key, format!("{} {} {} {:?}", self.schema(t.audit), t.events, t.enabled, t.home));
        }
    }
}
