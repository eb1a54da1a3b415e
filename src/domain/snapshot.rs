//! One picture of one database, as read in read-only transactions: never changed, only replaced. Parts that are read at
//! different times are shared by `Arc`, so a new snapshot costs only what was read anew.
//! Holds what the server said, not what it means: see `effective`, `alembic` and the checks for that.

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    ident::{ByName, ByOid, Oid},
    platform::Platform,
    privilege::{Acl, ObjectKind, Privileges},
};
use crate::text;

/// Everything known of one database of one instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// Name of the instance in the configuration, or `host:port/db`.
    pub instance: String,
    /// What a command line has to say to mean it, quoted for a shell, where no name of the configuration does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    pub server: Arc<Server>,
    pub catalog: Arc<Catalog>,
    /// Slow parts; `None` until they were read once ("checking").
    pub shapes: Option<Arc<Shapes>>,
    /// Names of objects, for the schemas that were looked into.
    #[serde(default)]
    pub objects: Objects,
    pub versions: Arc<VersionTables>,
    #[serde(default)]
    pub sizes: Arc<Sizes>,
    /// `None` until it was read once.
    #[serde(default)]
    pub activity: Option<Arc<Activity>>,
    /// Parts that could not be read, with the grant that would help.
    #[serde(default)]
    pub unavailable: Vec<Unavailable>,
}

impl Snapshot {
    /// The words of a command line that mean this database, quoted for a shell.
    #[must_use]
    pub fn target(&self) -> Cow<'_, str> {
        self.words.as_deref().map_or_else(|| text::shell_word(&self.instance), Cow::Borrowed)
    }

    /// Schema and name of a relation, as far as names were read.
    #[must_use]
    pub fn relation_name(&self, oid: Oid) -> Option<(&str, &str)> {
        self.objects.0.iter().find_map(|(schema, objects)| {
            let relation = objects.relations.iter().find(|r| r.oid == oid)?;
            Some((self.catalog.schema(*schema)?.name.as_str(), relation.name.as_str()))
        })
    }

    /// The server's clock at the newest reading of any part, in microseconds of the Unix epoch: sessions are read while the
    /// catalog rests.
    #[must_use]
    pub fn latest_us(&self) -> i64 {
        self.activity.as_ref().map_or(0, |a| a.taken_at_us).max(self.server.taken_at_us)
    }
}

/// A part of the picture that is unknown, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unavailable {
    /// What is unknown, in words: "query texts of other roles".
    pub what: String,
    /// The server's reason, in words.
    pub why: String,
    /// One statement that would show it, or `None`.
    pub grant: Option<String>,
}

/// The server and the connection that the picture was taken through.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Server {
    /// `server_version_num`: 150020.
    pub version_num: u32,
    /// `server_version` as text: `15.20 (Debian …)`.
    pub version: String,
    pub database: String,
    pub database_oid: Oid,
    /// `pg_control_system()`; `None` where the role may not call it.
    pub system_identifier: Option<String>,
    /// `pg_is_in_recovery()`: a standby.
    pub in_recovery: bool,
    /// Replay lag in milliseconds, on a standby that has replayed anything.
    pub replay_lag_ms: Option<i64>,
    /// The role the console is logged in as.
    pub current_user: String,
    pub superuser: bool,
    /// Member (with inheritance) of `pg_monitor` or `pg_read_all_stats`: sees query texts of others.
    pub sees_activity: bool,
    /// Microseconds since the Unix epoch, by the server's clock, when the catalog was read.
    pub taken_at_us: i64,
    /// Microseconds since the Unix epoch of the server's start.
    pub started_at_us: Option<i64>,
    /// TLS protocol and cipher, `None` for a plain connection.
    pub tls: Option<String>,
    /// Connected through a Unix socket or the loopback address.
    pub local: bool,
    /// `current_setting('search_path')` of the server's configuration, before role and database settings.
    pub default_search_path: String,
    /// `max_connections`, and what of it is reserved for superusers.
    pub max_connections: i32,
    pub reserved_connections: i32,
    pub encoding: String,
    /// A pooler or a proxy stands between: the login named one server process (BackendKeyData), another answers.
    #[serde(default)]
    pub pooled: bool,
    /// The service that runs this server, where it shows.
    #[serde(default)]
    pub platform: Option<Platform>,
    /// First eight digits of the WAL file's name when the connection was made; `None` on a standby, and where the login
    /// may not ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<String>,
}

impl Server {
    /// How many connections an ordinary login can get: all but the reserved ones. At least 1.
    #[must_use]
    pub fn usable_connections(&self) -> u32 {
        u32::try_from(self.max_connections - self.reserved_connections).unwrap_or(0).max(1)
    }

    /// So many connections in use as "34 of 97"; what is beyond the usable ones sits on reserved ones.
    #[must_use]
    pub fn connections_of(&self, used: u32, of: &str) -> String {
        let usable = self.usable_connections();
        match used.saturating_sub(usable) {
            0 => format!("{used} {of} {usable}"),
            beyond => format!("{usable} {of} {usable} (and {beyond} of {} reserved)", self.reserved_connections),
        }
    }
}

/// What one catalog read returned; all of one repeatable-read transaction.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Catalog {
    /// `pg_current_snapshot()` as text: equal text means an equal picture (on a primary).
    pub gate: String,
    pub database: Database,
    /// Sorted by name.
    pub roles: Vec<Role>,
    pub memberships: Vec<Membership>,
    /// Sorted by name; without `pg_toast`, `pg_temp_*`; with `pg_catalog` and `information_schema`.
    pub schemas: Vec<Schema>,
    /// Relations folded by everything that decides a privilege. Extension members are apart (`extension`).
    pub relations: Vec<Group>,
    pub routines: Vec<Group>,
    /// Enums, domains, ranges, free-standing composite types (their ACL is folded too).
    pub types: Vec<Group>,
    pub default_acls: Vec<DefaultAcl>,
    /// `pg_db_role_setting`.
    pub settings: Vec<Setting>,
    pub extensions: Vec<Extension>,
    pub policies: Vec<RowPolicy>,
    /// Those that are set off by changes, and are not switched off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub event_triggers: Vec<EventTrigger>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Database {
    pub oid: Oid,
    pub name: String,
    pub owner: Oid,
    pub acl: Acl,
    /// `datconnlimit`; -1 is none.
    pub connection_limit: i32,
}

/// A row of `pg_roles`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Role {
    pub oid: Oid,
    pub name: String,
    pub superuser: bool,
    pub inherit: bool,
    pub create_role: bool,
    pub create_db: bool,
    pub login: bool,
    pub replication: bool,
    pub bypass_rls: bool,
    /// -1 is none.
    pub connection_limit: i32,
    /// Microseconds since the Unix epoch; `i64::MAX` is infinity.
    pub valid_until_us: Option<i64>,
    /// Belongs to the service that runs this server ([`super::platform`]).
    #[serde(default)]
    pub platform: bool,
}

impl Role {
    /// Roles of the server itself: `pg_read_all_data`, `pg_database_owner` and so on.
    #[must_use]
    pub fn is_predefined(&self) -> bool {
        self.name.starts_with("pg_")
    }

    /// Roles that belong to the platform rather than to the people: shown, never judged or changed.
    #[must_use]
    pub fn is_platform(&self) -> bool {
        self.is_predefined() || self.platform
    }
}

/// A row of `pg_auth_members`. Before 16 `inherit` follows the member's `rolinherit` and `set` is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The group.
    pub role: Oid,
    pub member: Oid,
    pub grantor: Oid,
    /// The member uses the role's privileges without SET ROLE.
    pub inherit: bool,
    /// The member may SET ROLE.
    pub set: bool,
    pub admin: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Schema {
    pub oid: Oid,
    pub name: String,
    pub owner: Oid,
    pub acl: Acl,
    /// Made by an extension (`pg_depend.deptype = 'e'`).
    #[serde(default)]
    pub extension: bool,
}

impl Schema {
    /// `pg_catalog`, `information_schema` and other `pg_*` schemas.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.name == "information_schema" || self.name.starts_with("pg_")
    }
}

/// What a relation is (`pg_class.relkind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Table,
    Partitioned,
    View,
    MaterializedView,
    Foreign,
    Sequence,
    Function,
    Procedure,
    Aggregate,
    Window,
    Type,
}

impl Kind {
    #[must_use]
    pub fn object_kind(self) -> ObjectKind {
        match self {
            Kind::Table | Kind::Partitioned | Kind::View | Kind::MaterializedView | Kind::Foreign => ObjectKind::Table,
            Kind::Sequence => ObjectKind::Sequence,
            Kind::Function | Kind::Procedure | Kind::Aggregate | Kind::Window => ObjectKind::Routine,
            Kind::Type => ObjectKind::Type,
        }
    }

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Table => "table",
            Kind::Partitioned => "partitioned table",
            Kind::View => "view",
            Kind::MaterializedView => "materialized view",
            Kind::Foreign => "foreign table",
            Kind::Sequence => "sequence",
            Kind::Function => "function",
            Kind::Procedure => "procedure",
            Kind::Aggregate => "aggregate",
            Kind::Window => "window function",
            Kind::Type => "type",
        }
    }
}

/// Objects of one schema that are alike in kind, owner and ACL: the effective right depends on nothing else.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    pub schema: Oid,
    pub kind: Kind,
    pub owner: Oid,
    pub acl: Acl,
    pub count: u32,
    /// Sum of `relpages`, 8 KiB each, as of the last VACUUM or ANALYZE; 0 for what has no pages.
    #[serde(default)]
    pub pages: u64,
    /// How many have row level security enabled.
    #[serde(default)]
    pub rls: u32,
    /// Members of an extension.
    #[serde(default)]
    pub extension: bool,
}

/// A row of `pg_default_acl`. A global entry (`schema` none) stores the whole ACL of new objects, a per-schema one adds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DefaultAcl {
    /// The role whose new objects it is for.
    pub creator: Oid,
    pub schema: Option<Oid>,
    pub kind: DefaultKind,
    pub acl: Acl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DefaultKind {
    Tables,
    Sequences,
    Functions,
    Types,
    Schemas,
    /// Since 18.
    LargeObjects,
}

/// A row of `pg_db_role_setting`, split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// `None`: in every database.
    pub database: Option<Oid>,
    /// `None`: for every role.
    pub role: Option<Oid>,
    pub name: String,
    pub value: String,
}

/// A row of `pg_event_trigger`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTrigger {
    pub name: String,
    pub owner: Oid,
    /// `schema.name`.
    pub function: String,
    /// Command tags that set it off; none: all.
    pub tags: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Extension {
    pub oid: Oid,
    pub name: String,
    pub schema: Oid,
    pub owner: Oid,
    pub version: String,
    pub relocatable: bool,
}

/// A row of `pg_policy`; the expressions are read with the slow parts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RowPolicy {
    pub relation: Oid,
    pub name: String,
    pub permissive: bool,
    /// `r`, `a`, `w`, `d` or `*`.
    pub command: char,
    /// [`Oid::ZERO`] is PUBLIC.
    pub roles: Vec<Oid>,
}

/// What costs more to read and changes seldom: read on a slower cadence on a connection of its own.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Shapes {
    /// The gate text these were read under.
    pub gate: String,
    /// Sorted by schema, relation and column.
    pub column_grants: Vec<ColumnGrant>,
    /// Foreign keys whose two tables stand in different schemas, and those that are not validated.
    pub foreign_keys: Vec<ForeignKey>,
    /// Views and materialized views that read a relation of another schema, or a table with row level security.
    pub views: Vec<ViewUse>,
    pub definers: Vec<Definer>,
    /// Tables that have row level security or a column some policy may name (`tenant_id` and the declared ones).
    pub tables: Vec<TableShape>,
    /// Expressions of row level security policies, by (relation, policy name).
    pub policy_expressions: Vec<PolicyExpression>,
    /// Names of tables that stand in more than one non-system schema.
    pub overlaps: Vec<Overlap>,
    /// Types, free sequences and routines that only other schemas use.
    pub foreign_uses: Vec<ForeignUse>,
    /// What stands under the names of the audit trail.
    #[serde(default)]
    pub trails: Trails,
}

impl Shapes {
    /// The column grants in one schema. They are kept by schema.
    #[must_use]
    pub fn column_grants_in(&self, schema: Oid) -> &[ColumnGrant] {
        let begin = self.column_grants.partition_point(|g| g.schema < schema);
        let rest = self.column_grants.get(begin..).unwrap_or_default();
        rest.get(..rest.partition_point(|g| g.schema == schema)).unwrap_or_default()
    }

    /// The column grants on one relation.
    #[must_use]
    pub fn column_grants_on(&self, schema: Oid, relation: &str) -> &[ColumnGrant] {
        let all = self.column_grants_in(schema);
        let begin = all.partition_point(|g| g.relation.as_str() < relation);
        let rest = all.get(begin..).unwrap_or_default();
        rest.get(..rest.partition_point(|g| g.relation == relation)).unwrap_or_default()
    }

    /// By schema, relation and column.
    pub fn sort_column_grants(&mut self) {
        self.column_grants
            .sort_unstable_by(|a, b| (a.schema, &a.relation, &a.column).cmp(&(b.schema, &b.relation, &b.column)));
    }
}

/// What stands under the names that an audit trail has here: read by name, never run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Trails {
    pub tables: Vec<TrailTable>,
    pub functions: Vec<TrailFunction>,
    pub triggers: Vec<TrailTrigger>,
}

/// A relation with the name of the trail's table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrailTable {
    pub schema: Oid,
    pub oid: Oid,
    pub owner: Oid,
    /// A permanent table without triggers, rules and row level security: nothing happens when a row is added.
    pub plain: bool,
    pub columns: Vec<String>,
}

/// A function without arguments with the name of the trail's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrailFunction {
    pub schema: Oid,
    pub owner: Oid,
    pub language: String,
    /// At most 16,384 characters of it.
    pub body: String,
    pub definer: bool,
    /// Its own settings: `search_path=pg_catalog, pg_temp`.
    pub settings: Vec<String>,
}

impl TrailFunction {
    /// Its name with its arguments, which are none.
    pub const SIGNATURE: &str = "log_write_from_elsewhere()";
}

/// A trigger that calls such a function.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrailTrigger {
    pub relation: Oid,
    pub schema: Oid,
    pub table: String,
    pub name: String,
    /// Where its function stands.
    pub audit: Oid,
    /// `pg_trigger.tgtype`.
    pub events: i16,
    /// `pg_trigger.tgenabled`: `O` is as usual.
    pub enabled: char,
    /// Its arguments: roles whose writes are not logged.
    pub home: Vec<String>,
}

/// A column's own ACL (`pg_attribute.attacl`), invisible in the table's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ColumnGrant {
    pub schema: Oid,
    pub relation: String,
    pub relation_oid: Oid,
    pub kind: Kind,
    pub owner: Oid,
    pub column: String,
    pub acl: Acl,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForeignKey {
    pub name: String,
    pub schema: Oid,
    pub table: String,
    pub to_schema: Oid,
    pub to_table: String,
    pub validated: bool,
}

/// A view that reads `relation` of `uses_schema`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ViewUse {
    pub schema: Oid,
    pub view: String,
    pub owner: Oid,
    pub materialized: bool,
    /// `security_invoker` (since 15): reads with the caller's rights.
    pub security_invoker: bool,
    pub uses_schema: Oid,
    pub uses: String,
    pub uses_owner: Oid,
    pub uses_rls: bool,
    pub uses_force_rls: bool,
}

/// A SECURITY DEFINER routine of a non-system schema.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Definer {
    pub schema: Oid,
    /// Name with argument types, as `regprocedure` writes it without the schema.
    pub signature: String,
    pub owner: Oid,
    pub acl: Acl,
    /// The `search_path` of its own SET clause, if any.
    pub search_path: Option<String>,
    pub extension: bool,
}

/// Row level security of one table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TableShape {
    pub oid: Oid,
    pub schema: Oid,
    pub name: String,
    pub owner: Oid,
    pub rls: bool,
    pub force_rls: bool,
    /// Those of its columns that a policy declares as tenant columns somewhere (or `tenant_id`).
    pub tenant_columns: Vec<String>,
    /// Of those whose type is known here, the type.
    #[serde(default)]
    pub tenant_types: BTreeMap<String, TenantType>,
}

/// A type that a tenant's number can have, and that a session's setting can be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantType {
    Uuid,
    Smallint,
    Integer,
    Bigint,
    /// `text` and `varchar`.
    Text,
}

impl TenantType {
    /// By `pg_type.oid`, which PostgreSQL never changes for its own types.
    #[must_use]
    pub const fn of(oid: Oid) -> Option<TenantType> {
        match oid.0 {
            2950 => Some(TenantType::Uuid),
            21 => Some(TenantType::Smallint),
            23 => Some(TenantType::Integer),
            20 => Some(TenantType::Bigint),
            25 | 1043 => Some(TenantType::Text),
            _ => None,
        }
    }

    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            TenantType::Uuid => "uuid",
            TenantType::Smallint => "smallint",
            TenantType::Integer => "integer",
            TenantType::Bigint => "bigint",
            TenantType::Text => "text",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyExpression {
    pub relation: Oid,
    pub policy: String,
    /// `pg_get_expr` of USING and WITH CHECK.
    pub using: Option<String>,
    pub check: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Overlap {
    pub table: String,
    pub schemas: Vec<Oid>,
}

/// An object used by objects of other schemas and by none of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForeignUse {
    pub kind: Kind,
    pub schema: Oid,
    pub name: String,
    pub owner: Oid,
    pub used_by: Vec<Oid>,
    /// One user in words: `table langflow.flow`.
    pub example: String,
}

/// Names of objects per schema, loaded on demand.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Objects(pub BTreeMap<Oid, Arc<SchemaObjects>>);

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SchemaObjects {
    /// Sorted by name.
    pub relations: Vec<Object>,
    pub routines: Vec<Object>,
    pub types: Vec<Object>,
    /// Names that no other relation of the schema can have. Read for chosen schemas only, where something may move.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<IndexName>,
    /// Which extension each member of one belongs to: its object's oid, and the extension's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub members: BTreeMap<Oid, Oid>,
    /// Types that extensions made, those too that are no objects here (base types), and the extension: what takes one is
    /// called otherwise once it stands elsewhere.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub member_types: BTreeMap<String, Oid>,
    /// Columns that take the next number of a sequence where an INSERT leaves them out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbered: Vec<Numbered>,
    /// What the views of the schema ask for beneath them, by view, and so do those elsewhere that they read; `None` where
    /// it was not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub views: Option<BTreeMap<Oid, ViewQuery>>,
}

/// What the query of a view asks for: the permissions that the server itself wrote into the rule `_RETURN`
/// (`pg_rewrite.ev_action`). Of a materialized view there is none, since nothing beneath it is read with it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ViewQuery {
    pub owner: Oid,
    /// `security_invoker` (since 15): the rights of whoever asks count, not those of the owner.
    pub invoker: bool,
    /// An INSTEAD OF trigger or a rule of its own decides what becomes of writes.
    pub diverted: bool,
    /// It aggregates, groups, leaves out or limits rows, or has WITH: it takes no writes by itself (manual, "Updatable Views").
    #[serde(default)]
    pub unwritable: bool,
    /// Its columns that have a default of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub defaults: Vec<String>,
    pub asks: Vec<Asked>,
}

/// One relation that a view's query names, with what decides about its rights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub relation: Oid,
    pub schema: Oid,
    /// Name of the schema.
    pub place: String,
    pub name: String,
    pub kind: Kind,
    pub owner: Oid,
    pub acl: Acl,
    /// SELECT, and UPDATE where the view locks rows.
    pub privileges: Privileges,
    /// Columns that it uses; all of them where it uses a row as a whole, none where it only counts rows.
    pub columns: Vec<String>,
    pub whole_row: bool,
    #[serde(default)]
    pub named: Named,
}

/// Where a view's query names a relation, the surest place first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Named {
    /// In FROM or WHERE: asked for whatever is read.
    #[default]
    Always,
    /// In a subquery of the select list: asked for where the column that it makes is used.
    BySelectList,
    /// In a subquery of the select list of a query within: asked for where its column is used there.
    Within,
}

/// A column whose default calls `nextval` on a sequence: `serial`, or written so. An identity column is none, since it needs
/// no right on its sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbered {
    pub table: Oid,
    pub column: String,
    /// The sequence's; it may stand in another schema than the table.
    pub schema: String,
    pub sequence: String,
    pub owner: Oid,
    pub acl: Acl,
}

/// The name of an index, and its table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexName {
    pub table: Oid,
    pub name: String,
}

impl SchemaObjects {
    /// All three lists.
    pub fn all(&self) -> impl Iterator<Item = &Object> {
        self.relations.iter().chain(&self.routines).chain(&self.types)
    }

    /// What an extension made here that routines may take: types, and tables, which are types, too.
    #[must_use]
    pub fn types_of(&self, extension: Oid) -> Vec<&str> {
        let rows =
            self.relations.iter().filter(|o| self.members.get(&o.oid) == Some(&extension)).map(|o| o.name.as_str());
        let types = self.member_types.iter().filter(|(_, of)| **of == extension).map(|(name, _)| name.as_str());
        rows.chain(types).collect()
    }
}

/// One object of a schema.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Object {
    pub oid: Oid,
    pub kind: Kind,
    /// Routines carry their argument types: `f(integer, text)`.
    pub name: String,
    pub owner: Oid,
    pub acl: Acl,
    #[serde(default)]
    pub extension: bool,
    #[serde(default)]
    pub rls: bool,
    #[serde(default)]
    pub force_rls: bool,
    /// Sequences: the table that owns it (serial, identity).
    #[serde(default)]
    pub owned_by: Option<Oid>,
    /// Rows by the last VACUUM or ANALYZE (`reltuples`), `None` when never counted.
    #[serde(default)]
    pub rows_estimate: Option<u64>,
}

/// Every table that is, or looks like, an Alembic version table.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VersionTables(pub Vec<VersionTable>);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VersionTable {
    pub oid: Oid,
    pub schema: Oid,
    pub name: String,
    pub owner: Oid,
    pub acl: Acl,
    /// Exactly one column `version_num` of a character type. A table of the name without it is not Alembic's.
    pub shape: bool,
    /// `relkind` is an ordinary table; views and others are never read.
    pub plain: bool,
    /// A change of its rows would run what somebody wrote: triggers, rules, CHECK constraints, expressions of indexes,
    /// tables that inherit from it.
    #[serde(default)]
    pub stirs: bool,
    /// Has a primary key. A hint only: `version_table_pk=False` exists.
    pub primary_key: bool,
    pub rows: VersionRows,
}

/// The rows of a version table, or why they are unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "value")]
pub enum VersionRows {
    /// Sorted. Empty is a fact of its own.
    Known(Vec<String>),
    /// Locked by a migration at the moment; the rows of the last reading, when there was one.
    Locked(Option<Vec<String>>),
    /// The login may not read it.
    Denied,
    /// Not read, in words: a view, row level security, over 64 KiB.
    Refused(String),
    /// Not read yet.
    Pending,
}

impl VersionRows {
    /// The rows as far as they are known.
    #[must_use]
    pub fn known(&self) -> Option<&[String]> {
        match self {
            VersionRows::Known(rows) | VersionRows::Locked(Some(rows)) => Some(rows),
            VersionRows::Locked(None) | VersionRows::Denied | VersionRows::Refused(_) | VersionRows::Pending => None,
        }
    }
}

/// Sizes by schema: estimates from `relpages` at once, exact ones where they were asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sizes {
    /// `pg_database_size`, bytes.
    pub database_bytes: Option<u64>,
    pub schemas: BTreeMap<Oid, SchemaSize>,
    /// Exact sizes of single relations, for the schemas looked into.
    pub relations: BTreeMap<Oid, RelationSize>,
    /// Every database of the cluster, by name; read along with the sizes.
    #[serde(default)]
    pub databases: Vec<ClusterDatabase>,
}

/// A database of the cluster (`pg_database`), the connected one included.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterDatabase {
    pub oid: Oid,
    pub name: String,
    /// `datallowconn`.
    pub takes_connections: bool,
    /// `datistemplate`.
    pub template: bool,
    /// The login holds CONNECT.
    pub may_connect: bool,
    /// `pg_database_size`, bytes; `None` where the login may not ask.
    pub size_bytes: Option<u64>,
}

impl ClusterDatabase {
    /// Why this login cannot open it, or `None` when it can.
    #[must_use]
    pub fn closed(&self) -> Option<&'static str> {
        if !self.takes_connections {
            Some("takes no connections")
        } else if !self.may_connect {
            Some("this login may not CONNECT to it")
        } else {
            None
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaSize {
    /// Heap, indexes and TOAST in bytes; estimates until `exact`.
    pub table_bytes: u64,
    pub index_bytes: u64,
    pub toast_bytes: u64,
    /// Sum of `reltuples` (or live tuples where statistics know them).
    pub rows: u64,
    pub tables: u32,
    pub exact: bool,
}

impl SchemaSize {
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.table_bytes + self.index_bytes + self.toast_bytes
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelationSize {
    pub table_bytes: u64,
    pub index_bytes: u64,
    pub toast_bytes: u64,
    pub rows: u64,
}

/// Sessions and counters at one instant; outside transactions.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Activity {
    /// Microseconds since the Unix epoch by the server's clock.
    pub taken_at_us: i64,
    pub sessions: Vec<Session>,
    /// Client connections of the whole cluster, against `max_connections`.
    pub connections: u32,
    /// `pg_stat_database` of this database, since its last reset.
    pub commits: u64,
    pub rollbacks: u64,
    pub blocks_read: u64,
    pub blocks_hit: u64,
    pub deadlocks: u64,
    pub temp_bytes: u64,
    /// `age(datfrozenxid)` of this database, in transactions.
    pub frozen_age: Option<u64>,
    /// `pg_locks` could not be read: whom a hidden session waits for is unknown.
    #[serde(default)]
    pub locks_unknown: bool,
}

/// One client connection (`pg_stat_activity`). What the login may not see is `None`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Session {
    pub pid: i32,
    pub database: Option<String>,
    pub role: Option<String>,
    pub application: String,
    pub client: Option<String>,
    /// `active`, `idle`, `idle in transaction` … as the server says; `None` is hidden.
    pub state: Option<String>,
    pub wait_type: Option<String>,
    pub wait: Option<String>,
    /// Ages in milliseconds by the server's clock.
    pub backend_age_ms: Option<i64>,
    pub transaction_age_ms: Option<i64>,
    pub query_age_ms: Option<i64>,
    pub state_age_ms: Option<i64>,
    /// Microseconds since the Unix epoch; with the pid it is the session's identity.
    pub backend_start_us: Option<i64>,
    /// Start of the statement that runs or ran last, microseconds since the Unix epoch.
    #[serde(default)]
    pub query_start_us: Option<i64>,
    pub query: Option<String>,
    /// Pids that hold what this session waits for (`pg_blocking_pids`).
    pub blocked_by: Vec<i32>,
    /// It is one of this console's own.
    pub own: bool,
    /// The lock that it waits for (`pg_locks`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<WaitedLock>,
    /// The transaction that it has open, where its start is hidden: anybody may read `pg_locks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<VirtualTransaction>,
    /// Transactions prepared for two-phase commit that hold what it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prepared: Vec<Prepared>,
}

impl Session {
    /// What tells it from another that gets its process id; `None` where neither start nor transaction is known.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        self.backend_start_us.map(Mark::Start).or_else(|| self.transaction.map(Mark::Transaction))
    }
}

/// What tells a session from another under the same process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Start of the backend, microseconds of the Unix epoch.
    Start(i64),
    /// Its open transaction: while that is open, the session is the same.
    Transaction(VirtualTransaction),
}

/// `pg_locks.virtualtransaction`, "3/1234": a slot of the server and a number that the slot never uses twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VirtualTransaction {
    pub slot: i32,
    pub number: u32,
}

impl VirtualTransaction {
    #[must_use]
    pub fn parse(text: &str) -> Option<VirtualTransaction> {
        let (slot, number) = text.split_once('/')?;
        Some(VirtualTransaction { slot: slot.parse().ok()?, number: number.parse().ok().filter(|n| *n > 0)? })
    }
}

impl fmt::Display for VirtualTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.slot, self.number)
    }
}

/// A lock that somebody waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitedLock {
    /// `AccessExclusiveLock` and so on, as `pg_locks` says.
    pub mode: String,
    /// Of this database.
    pub relation: Option<Oid>,
    /// Schema and name, where they were read with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<(String, String)>,
}

/// A transaction prepared for two-phase commit (`pg_prepared_xacts`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    pub gid: String,
    pub owner: String,
    pub database: String,
    pub age_ms: Option<i64>,
}

/// Look-up tables over a catalog, built once per catalog.
#[derive(Debug, Default)]
pub struct Index {
    roles: ByOid,
    role_names: ByName,
    schemas: ByOid,
    schema_names: ByName,
}

impl Index {
    #[must_use]
    pub fn new(catalog: &Catalog) -> Index {
        Index {
            roles: catalog.roles.iter().enumerate().map(|(i, r)| (r.oid, i)).collect(),
            role_names: catalog.roles.iter().enumerate().map(|(i, r)| (r.name.clone(), i)).collect(),
            schemas: catalog.schemas.iter().enumerate().map(|(i, s)| (s.oid, i)).collect(),
            schema_names: catalog.schemas.iter().enumerate().map(|(i, s)| (s.name.clone(), i)).collect(),
        }
    }
    /// Position in [`Catalog::roles`].
    #[must_use]
    pub fn role(&self, oid: Oid) -> Option<usize> {
        self.roles.get(&oid).copied()
    }
    #[must_use]
    pub fn role_named(&self, name: &str) -> Option<usize> {
        self.role_names.get(name).copied()
    }
    /// Position in [`Catalog::schemas`].
    #[must_use]
    pub fn schema(&self, oid: Oid) -> Option<usize> {
        self.schemas.get(&oid).copied()
    }
    #[must_use]
    pub fn schema_named(&self, name: &str) -> Option<usize> {
        self.schema_names.get(name).copied()
    }
}

impl Catalog {
    /// Tables of a schema that belong to no extension; partitions and foreign tables are some, views are none.
    #[must_use]
    pub fn tables_of(&self, schema: Oid) -> u64 {
        let table = |k: Kind| matches!(k, Kind::Table | Kind::Partitioned | Kind::Foreign);
        let groups = self.relations.iter().filter(|g| g.schema == schema && table(g.kind) && !g.extension);
        groups.map(|g| u64::from(g.count)).sum()
    }

    /// Name of a role; a dropped or unseen one is shown as its number in words.
    #[must_use]
    pub fn role_name(&self, oid: Oid) -> String {
        if oid == Oid::ZERO {
            return "PUBLIC".to_owned();
        }
        self.roles.iter().find(|r| r.oid == oid).map_or_else(|| format!("role with oid {oid}"), |r| r.name.clone())
    }

    #[must_use]
    pub fn role(&self, oid: Oid) -> Option<&Role> {
        self.roles.iter().find(|r| r.oid == oid)
    }

    #[must_use]
    pub fn role_named(&self, name: &str) -> Option<&Role> {
        self.roles.binary_search_by(|r| r.name.as_str().cmp(name)).ok().and_then(|i| self.roles.get(i))
    }

    #[must_use]
    pub fn schema(&self, oid: Oid) -> Option<&Schema> {
        self.schemas.iter().find(|s| s.oid == oid)
    }

    #[must_use]
    pub fn schema_named(&self, name: &str) -> Option<&Schema> {
        self.schemas.binary_search_by(|s| s.name.as_str().cmp(name)).ok().and_then(|i| self.schemas.get(i))
    }

    #[must_use]
    pub fn schema_name(&self, oid: Oid) -> String {
        self.schema(oid).map_or_else(|| format!("schema with oid {oid}"), |s| s.name.clone())
    }
}
