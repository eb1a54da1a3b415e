//! The state a plan stands on and the state it promises: everything its statements touch, by name, as the catalog has it.
//! Taken from a snapshot before planning, foreseen by `predict`, and read again inside the applying transaction: equal or
//! nothing is committed. Knows no SQL.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::{
    Acl, ObjectKind, Oid, Privileges,
    snapshot::{DefaultKind, Kind, Membership, Object, Role, Snapshot, TrailTrigger},
};

/// What can be touched, by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum Key {
    Role {
        name: String,
    },
    Membership {
        role: String,
        member: String,
    },
    /// A setting of a role, of the connected database, or of a role in it.
    Setting {
        role: Option<String>,
        in_database: bool,
        name: String,
    },
    /// The connected database.
    Database,
    Schema {
        name: String,
    },
    /// Routines carry their argument types.
    Object {
        kind: ObjectKind,
        schema: String,
        name: String,
    },
    /// Which objects of a kind a schema has: a change on all of them reaches those, and no others.
    All {
        kind: ObjectKind,
        schema: String,
    },
    /// The ACL of one column.
    Column {
        schema: String,
        relation: String,
        column: String,
    },
    DefaultAcl {
        creator: String,
        schema: Option<String>,
        kind: DefaultKind,
    },
    /// A row level security policy.
    Policy {
        schema: String,
        table: String,
        name: String,
    },
    ForeignKey {
        schema: String,
        table: String,
        name: String,
    },
    Extension {
        name: String,
    },
    /// The rows of a version table.
    VersionRows {
        schema: String,
        table: String,
    },
    /// What the function of an audit trail does.
    AuditFunction {
        schema: String,
    },
    /// The trigger that logs writes to a table.
    AuditTrigger {
        schema: String,
        table: String,
    },
}

impl Key {
    /// The schema whose objects must be known to tell how this stands.
    #[must_use]
    pub fn in_schema(&self) -> Option<&str> {
        match self {
            Key::Object { schema, .. }
            | Key::All { schema, .. }
            | Key::Column { schema, .. }
            | Key::Policy { schema, .. }
            | Key::ForeignKey { schema, .. }
            | Key::VersionRows { schema, .. }
            | Key::AuditFunction { schema }
            | Key::AuditTrigger { schema, .. } => Some(schema),
            Key::Role { .. }
            | Key::Membership { .. }
            | Key::Setting { .. }
            | Key::Database
            | Key::Schema { .. }
            | Key::DefaultAcl { .. }
            | Key::Extension { .. } => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Role { name } => write!(f, "role {name}"),
            Key::Membership { role, member } => write!(f, "membership of {member} in {role}"),
            Key::Setting { role: Some(role), in_database: true, name } => {
                write!(f, "setting {name} of role {role} in this database")
            }
            Key::Setting { role: Some(role), in_database: false, name } => write!(f, "setting {name} of role {role}"),
            Key::Setting { role: None, name, .. } => write!(f, "setting {name} of the database"),
            Key::Database => f.write_str("the database"),
            Key::Schema { name } => write!(f, "schema {name}"),
            Key::Object { kind, schema, name } => write!(f, "{} {schema}.{name}", kind.singular()),
            Key::All { kind, schema } => write!(f, "the list of all {} of {schema}", kind.plural()),
            Key::Column { schema, relation, column } => write!(f, "column {column} of {schema}.{relation}"),
            Key::DefaultAcl { creator, schema: Some(schema), .. } => {
                write!(f, "default privileges of {creator} in {schema}")
            }
            Key::DefaultAcl { creator, schema: None, .. } => write!(f, "default privileges of {creator}"),
            Key::Policy { schema, table, name } => write!(f, "policy {name} of {schema}.{table}"),
            Key::ForeignKey { schema, table, name } => write!(f, "foreign key {name} of {schema}.{table}"),
            Key::Extension { name } => write!(f, "extension {name}"),
            Key::VersionRows { schema, table } => write!(f, "rows of {schema}.{table}"),
            Key::AuditFunction { schema } => write!(f, "what {schema}.{} does", super::sql::AUDIT_SIGNATURE),
            Key::AuditTrigger { schema, table } => write!(f, "audit trigger of {schema}.{table}"),
        }
    }
}

/// One grantee's share of an ACL, by names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Share {
    /// `None` is PUBLIC.
    pub grantee: Option<String>,
    pub grantor: String,
    pub privileges: Privileges,
    /// The part of them held WITH GRANT OPTION.
    pub grantable: Privileges,
}

/// An ACL by names; sorted, so that equal lists are equal. `None` is NULL: the built-in default.
pub type Shares = Option<Vec<Share>>;

/// How one thing stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum State {
    Role {
        /// `None`: not made yet.
        oid: Option<Oid>,
        superuser: bool,
        inherit: bool,
        create_role: bool,
        create_db: bool,
        login: bool,
        replication: bool,
        bypass_rls: bool,
        connection_limit: i32,
        valid_until_us: Option<i64>,
    },
    Membership {
        grants: Vec<Grant>,
    },
    Setting {
        value: String,
    },
    Database {
        oid: Oid,
        owner: String,
        shares: Shares,
    },
    Schema {
        oid: Option<Oid>,
        owner: String,
        shares: Shares,
    },
    Object {
        oid: Option<Oid>,
        kind: Kind,
        owner: String,
        shares: Shares,
        rls: bool,
        force_rls: bool,
        /// A sequence of a column: follows its table.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        owned: bool,
        /// `search_path` of a SECURITY DEFINER routine, `security_invoker` of a view; where the slow parts know them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        option: Option<String>,
    },
    All {
        count: u64,
        /// SHA-256 of their names, sorted, each ended by a NUL: 32 hexadecimal digits.
        names: String,
    },
    Column {
        shares: Shares,
    },
    DefaultAcl {
        shares: Vec<Share>,
    },
    Policy {
        permissive: bool,
        command: char,
        roles: Vec<Option<String>>,
        /// USING and WITH CHECK as the server spells them; `None` where they are not known, which matches any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expressions: Option<[Option<String>; 2]>,
    },
    ForeignKey {
        validated: bool,
    },
    Extension {
        schema: String,
        version: String,
    },
    VersionRows {
        rows: Vec<String>,
    },
    AuditFunction {
        language: String,
        /// SHA-256 of its body: 64 hexadecimal digits.
        body: String,
        definer: bool,
        settings: Vec<String>,
    },
    AuditTrigger {
        /// Schema of its function.
        audit: String,
        events: i16,
        enabled: char,
        home: Vec<String>,
    },
}

/// One way in which a role is a member of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Grant {
    pub grantor: String,
    pub inherit: bool,
    pub set: bool,
    pub admin: bool,
}

/// Things and how they stand; what is absent is `None`. Serialized as a list of pairs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ground(pub BTreeMap<Key, Option<State>>);

impl Serialize for Ground {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

impl<'de> Deserialize<'de> for Ground {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Ground, D::Error> {
        Vec::<(Key, Option<State>)>::deserialize(deserializer).map(|list| Ground(list.into_iter().collect()))
    }
}

impl Key {
    /// Nothing restores it, and nobody minds when it changes after a plan was carried out: it matters until then.
    #[must_use]
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Key::All { .. })
    }
}

/// One thing that stands otherwise than it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    pub key: Key,
    pub was: Option<State>,
    pub is: Option<State>,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.was, &self.is) {
            (Some(_), None) => write!(f, "{} is not there any more", self.key),
            (None, Some(_)) => write!(f, "{} has appeared", self.key),
            _ => write!(f, "{} has changed", self.key),
        }
    }
}

impl State {
    /// Equal, where an oid that is not known yet matches every oid.
    #[must_use]
    pub fn matches(&self, other: &State) -> bool {
        let (mut a, mut b) = (self.clone(), other.clone());
        if a.oid().is_none() || b.oid().is_none() {
            a.forget_oid();
            b.forget_oid();
        }
        if let (State::Policy { expressions: a, .. }, State::Policy { expressions: b, .. }) = (&mut a, &mut b)
            && (a.is_none() || b.is_none())
        {
            (*a, *b) = (None, None);
        }
        a == b
    }

    fn oid(&self) -> Option<Oid> {
        match self {
            State::Role { oid, .. } | State::Schema { oid, .. } | State::Object { oid, .. } => *oid,
            State::Database { oid, .. } => Some(*oid),
            State::Membership { .. }
            | State::Setting { .. }
            | State::All { .. }
            | State::Column { .. }
            | State::DefaultAcl { .. }
            | State::Policy { .. }
            | State::ForeignKey { .. }
            | State::Extension { .. }
            | State::VersionRows { .. }
            | State::AuditFunction { .. }
            | State::AuditTrigger { .. } => Some(Oid::ZERO),
        }
    }

    fn forget_oid(&mut self) {
        if let State::Role { oid, .. } | State::Schema { oid, .. } | State::Object { oid, .. } = self {
            *oid = None;
        }
    }
}

/// An expression without the server's note that a column of another character type is compared as text: `((c)::text = …`
/// and `(c = …` compare the same bytes.
fn relabelled(expression: &str) -> String {
    let bare = expression.strip_prefix("((").and_then(|rest| rest.split_once(")::text = "));
    match bare {
        Some((column, rest)) if !column.contains(['(', ')']) => format!("({column} = {rest}"),
        _ => expression.to_owned(),
    }
}

/// The first bytes of a hash, two digits each.
pub(super) fn hexadecimal(hash: &[u8], bytes: usize) -> String {
    hash.iter().take(bytes).fold(String::new(), |mut text, byte| {
        let _ = fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
        text
    })
}

/// Oids from here on stand for what a plan makes: the server gives the real ones.
pub const NOT_MADE: Oid = Oid(4_294_000_000);

fn made(oid: Oid) -> Option<Oid> {
    (oid < NOT_MADE).then_some(oid)
}

impl Ground {
    /// How the named things stand in a snapshot. The objects of every schema among the keys must have been read.
    #[must_use]
    pub fn of(snapshot: &Snapshot, keys: impl IntoIterator<Item = Key>) -> Ground {
        let keys: Vec<Key> = keys.into_iter().collect();
        let view = View::of(snapshot, &keys.iter().filter_map(Key::in_schema).collect());
        Ground(
            keys.into_iter()
                .map(|key| {
                    let state = view.state(&key);
                    (key, state)
                })
                .collect(),
        )
    }

    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.0.keys()
    }

    /// What stands otherwise in `other`, in the order of the keys. Oids that are not known yet match.
    #[must_use]
    pub fn moved(&self, other: &Ground) -> Vec<Moved> {
        let keys: BTreeSet<&Key> = self.0.keys().chain(other.0.keys()).collect();
        let of = |ground: &Ground, key: &Key| ground.0.get(key).cloned().flatten();
        keys.into_iter()
            .filter_map(|key| {
                let (was, is) = (of(self, key), of(other, key));
                let same = match (&was, &is) {
                    (None, None) => true,
                    (Some(a), Some(b)) => a.matches(b),
                    (Some(_), None) | (None, Some(_)) => false,
                };
                (!same).then(|| Moved { key: key.clone(), was, is })
            })
            .collect()
    }

    /// A short name of exactly this state: 32 hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        hexadecimal(&Sha256::digest(text.as_bytes()), 16)
    }

    /// Schemas whose objects a reading of this ground needs by name.
    #[must_use]
    pub fn schemas(&self) -> BTreeSet<&str> {
        self.0.keys().filter_map(Key::in_schema).collect()
    }

    /// A reading of this ground needs the slow parts: column ACLs, foreign keys, views, definers.
    #[must_use]
    pub fn needs_shapes(&self) -> bool {
        self.0.iter().any(|(key, state)| {
            matches!(
                key,
                Key::Column { .. }
                    | Key::Policy { .. }
                    | Key::ForeignKey { .. }
                    | Key::AuditFunction { .. }
                    | Key::AuditTrigger { .. }
            ) || matches!(state, Some(State::Object { option: Some(_), .. }))
        })
    }

    /// A reading of this ground needs the expressions of policies.
    #[must_use]
    pub fn needs_expressions(&self) -> bool {
        self.0.keys().any(|key| matches!(key, Key::Policy { .. }))
    }

    /// Expressions of policies are not known: what they name may be spelled otherwise by then.
    pub fn forget_expressions(&mut self) {
        for state in self.0.values_mut().flatten() {
            if let State::Policy { expressions, .. } = state {
                *expressions = None;
            }
        }
    }

    /// A reading of this ground needs the rows of version tables.
    #[must_use]
    pub fn needs_versions(&self) -> bool {
        self.0.keys().any(|key| matches!(key, Key::VersionRows { .. }))
    }
}

/// A snapshot with look-ups by name.
pub struct View<'a> {
    snapshot: &'a Snapshot,
    roles: HashMap<Oid, &'a str>,
    by_name: HashMap<&'a str, &'a Role>,
    schemas: HashMap<&'a str, Oid>,
    objects: HashMap<(Oid, ObjectKind, &'a str), &'a Object>,
    memberships: HashMap<(Oid, Oid), Vec<&'a Membership>>,
}

impl<'a> View<'a> {
    /// Knows the objects of these schemas.
    #[must_use]
    pub fn of(snapshot: &'a Snapshot, schemas: &BTreeSet<&str>) -> View<'a> {
        let catalog = &snapshot.catalog;
        let mut memberships: HashMap<(Oid, Oid), Vec<&Membership>> = HashMap::new();
        for m in &catalog.memberships {
            memberships.entry((m.role, m.member)).or_default().push(m);
        }
        let mut objects = HashMap::new();
        for schema in catalog.schemas.iter().filter(|s| schemas.contains(s.name.as_str())) {
            let Some(list) = snapshot.objects.0.get(&schema.oid) else { continue };
            let schema = &schema.oid;
            objects.extend(list.all().map(|o| ((*schema, o.kind.object_kind(), o.name.as_str()), o)));
        }
        View {
            snapshot,
            roles: catalog.roles.iter().map(|r| (r.oid, r.name.as_str())).collect(),
            by_name: catalog.roles.iter().map(|r| (r.name.as_str(), r)).collect(),
            schemas: catalog.schemas.iter().map(|s| (s.name.as_str(), s.oid)).collect(),
            objects,
            memberships,
        }
    }

    #[must_use]
    pub fn object(&self, kind: ObjectKind, schema: &str, name: &str) -> Option<&'a Object> {
        let schema = self.schemas.get(schema)?;
        self.objects.get(&(*schema, kind, name)).copied()
    }

    /// The name of a role; one that is gone is its number in words.
    #[must_use]
    pub fn role(&self, oid: Oid) -> String {
        self.roles.get(&oid).map_or_else(|| format!("role with oid {oid}"), |name| (*name).to_owned())
    }

    #[must_use]
    pub fn shares(&self, acl: &Acl) -> Shares {
        acl.0.as_ref().map(|entries| {
            let mut list: Vec<Share> = entries
                .iter()
                .map(|e| Share {
                    grantee: (!e.is_public()).then(|| self.role(e.grantee)),
                    grantor: self.role(e.grantor),
                    privileges: e.privileges,
                    grantable: e.grantable,
                })
                .collect();
            list.sort();
            list
        })
    }

    /// How one thing stands; `None` when it is not there.
    #[must_use]
    pub fn state(&self, key: &Key) -> Option<State> {
        let catalog = &self.snapshot.catalog;
        let shapes = self.snapshot.shapes.as_deref();
        match key {
            Key::Role { name } => self.by_name.get(name.as_str()).map(|r| State::Role {
                oid: made(r.oid),
                superuser: r.superuser,
                inherit: r.inherit,
                create_role: r.create_role,
                create_db: r.create_db,
                login: r.login,
                replication: r.replication,
                bypass_rls: r.bypass_rls,
                connection_limit: r.connection_limit,
                valid_until_us: r.valid_until_us,
            }),
            Key::Membership { role, member } => {
                let (role, member) = (self.by_name.get(role.as_str())?, self.by_name.get(member.as_str())?);
                let found = self.memberships.get(&(role.oid, member.oid))?;
                let mut grants: Vec<Grant> = found
                    .iter()
                    .map(|m| Grant { grantor: self.role(m.grantor), inherit: m.inherit, set: m.set, admin: m.admin })
                    .collect();
                grants.sort();
                Some(State::Membership { grants })
            }
            Key::Setting { role, in_database, name } => {
                let role = match role {
                    Some(role) => Some(self.by_name.get(role.as_str())?.oid),
                    None => None,
                };
                let database = in_database.then_some(catalog.database.oid);
                let found = catalog
                    .settings
                    .iter()
                    .find(|s| s.role == role && s.database == database && s.name.eq_ignore_ascii_case(name))?;
                Some(State::Setting { value: found.value.clone() })
            }
            Key::Database => {
                let d = &catalog.database;
                Some(State::Database { oid: d.oid, owner: self.role(d.owner), shares: self.shares(&d.acl) })
            }
            Key::Schema { name } => catalog.schemas.iter().find(|s| s.name == *name).map(|s| State::Schema {
                oid: made(s.oid),
                owner: self.role(s.owner),
                shares: self.shares(&s.acl),
            }),
            Key::Object { kind, schema, name } => {
                let object = self.object(*kind, schema, name)?;
                Some(State::Object {
                    oid: made(object.oid),
                    kind: object.kind,
                    owner: self.role(object.owner),
                    shares: self.shares(&object.acl),
                    rls: object.rls,
                    force_rls: object.force_rls,
                    owned: object.owned_by.is_some(),
                    option: self.option(*self.schemas.get(schema.as_str())?, object),
                })
            }
            Key::All { kind, schema } => {
                let schema = self.schemas.get(schema.as_str())?;
                let of = self.snapshot.objects.0.get(schema)?;
                let mut names: Vec<&str> =
                    of.all().filter(|o| o.kind.object_kind() == *kind).map(|o| o.name.as_str()).collect();
                names.sort_unstable();
                let mut hash = Sha256::new();
                for name in &names {
                    hash.update(name.as_bytes());
                    hash.update([0]);
                }
                Some(State::All { count: names.len() as u64, names: hexadecimal(&hash.finalize(), 16) })
            }
            Key::Column { schema, relation, column } => {
                let table = self.object(ObjectKind::Table, schema, relation)?;
                let grant = shapes?.column_grants.iter().find(|g| g.relation_oid == table.oid && g.column == *column);
                Some(State::Column { shares: grant.and_then(|g| self.shares(&g.acl)) })
            }
            Key::DefaultAcl { creator, schema, kind } => {
                let creator = self.by_name.get(creator.as_str())?.oid;
                let schema = match schema {
                    Some(schema) => Some(*self.schemas.get(schema.as_str())?),
                    None => None,
                };
                let found = catalog
                    .default_acls
                    .iter()
                    .find(|d| d.creator == creator && d.schema == schema && d.kind == *kind)?;
                Some(State::DefaultAcl { shares: self.shares(&found.acl).unwrap_or_default() })
            }
            Key::Policy { schema, table, name } => {
                let table = self.object(ObjectKind::Table, schema, table)?;
                let found = catalog.policies.iter().find(|p| p.relation == table.oid && p.name == *name)?;
                let mut roles: Vec<Option<String>> =
                    found.roles.iter().map(|oid| (*oid != Oid::ZERO).then(|| self.role(*oid))).collect();
                roles.sort();
                let read = shapes.and_then(|s| {
                    s.policy_expressions.iter().find(|e| e.relation == found.relation && e.policy == found.name)
                });
                let expressions = read.map(|e| [&e.using, &e.check].map(|text| text.as_deref().map(relabelled)));
                Some(State::Policy { permissive: found.permissive, command: found.command, roles, expressions })
            }
            Key::ForeignKey { schema, table, name } => {
                let schema = *self.schemas.get(schema.as_str())?;
                let found =
                    shapes?.foreign_keys.iter().find(|k| k.schema == schema && k.table == *table && k.name == *name)?;
                // A reading lists keys within a schema only while they are not validated: a valid one has no state.
                (!found.validated).then_some(State::ForeignKey { validated: false })
            }
            Key::Extension { name } => catalog
                .extensions
                .iter()
                .find(|e| e.name == *name)
                .map(|e| State::Extension { schema: catalog.schema_name(e.schema), version: e.version.clone() }),
            Key::VersionRows { schema, table } => {
                let schema = *self.schemas.get(schema.as_str())?;
                let found = self.snapshot.versions.0.iter().find(|v| v.schema == schema && v.name == *table)?;
                Some(State::VersionRows { rows: found.rows.known()?.to_vec() })
            }
            Key::AuditFunction { schema } => {
                let schema = *self.schemas.get(schema.as_str())?;
                let found = shapes?.trails.functions.iter().find(|f| f.schema == schema)?;
                Some(State::AuditFunction {
                    language: found.language.clone(),
                    body: hexadecimal(&Sha256::digest(found.body.as_bytes()), 32),
                    definer: found.definer,
                    settings: found.settings.clone(),
                })
            }
            Key::AuditTrigger { schema, table } => {
                let relation = self.object(ObjectKind::Table, schema, table)?.oid;
                let named = |t: &&TrailTrigger| t.relation == relation && t.name == super::sql::AUDIT_FUNCTION;
                let found = shapes?.trails.triggers.iter().find(named)?;
                Some(State::AuditTrigger {
                    audit: catalog.schema_name(found.audit),
                    events: found.events,
                    enabled: found.enabled,
                    home: found.home.clone(),
                })
            }
        }
    }

    fn option(&self, schema: Oid, object: &Object) -> Option<String> {
        let shapes = self.snapshot.shapes.as_deref()?;
        match object.kind {
            Kind::View => shapes
                .views
                .iter()
                .find(|v| v.schema == schema && v.view == object.name && v.security_invoker)
                .map(|_| "security_invoker=true".to_owned()),
            Kind::Function | Kind::Procedure | Kind::Aggregate | Kind::Window => shapes
                .definers
                .iter()
                .find(|d| d.schema == schema && d.signature == object.name)
                .and_then(|d| d.search_path.as_ref().map(|path| format!("search_path={path}"))),
            Kind::Table | Kind::Partitioned | Kind::MaterializedView | Kind::Foreign | Kind::Sequence | Kind::Type => {
                None
            }
        }
    }
}
