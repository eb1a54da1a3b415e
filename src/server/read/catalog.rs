//! Part A of a read: everything cheap that decides who may do what, in one round trip and one transaction.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use tokio_postgres::{Client, Row};

use super::{
    Facts, Limits, Opening, Param, ServerError, Statement,
    fields::{Acls, Fields},
    unit, unit_each, versions, with_acls,
};
use crate::domain::{
    Acl, Oid,
    snapshot::{
        Catalog, Database, DefaultAcl, DefaultKind, EventTrigger, Extension, Group, Kind, Membership, Role, RowPolicy,
        Schema, Server, Setting,
    },
};

/// What one catalog read brings.
#[derive(Debug, Clone)]
pub struct CatalogRead {
    pub server: Server,
    pub catalog: Catalog,
    /// Tables that may be version tables, by name or because they were found earlier by their shape.
    pub candidates: Vec<versions::Candidate>,
}

static DATABASE: LazyLock<String> = LazyLock::new(|| with_acls(include_str!("database.sql")));
static SCHEMAS: LazyLock<String> = LazyLock::new(|| with_acls(include_str!("schemas.sql")));
static RELATIONS: LazyLock<String> = LazyLock::new(|| with_acls(include_str!("relations.sql")));
static RELATIONS_EXTENSION: LazyLock<String> = LazyLock::new(|| with_acls(include_str!("relations_extension.sql")));
static ROUTINES: LazyLock<String> = LazyLock::new(|| with_acls(include_str!("routines.sql")));
static TYPES: LazyLock<String> = LazyLock::new(|| with_acls(include_str!("types.sql")));
static TYPES_COMPOSITE: LazyLock<String> = LazyLock::new(|| with_acls(include_str!("types_composite.sql")));
static DEFAULT_ACLS: LazyLock<String> = LazyLock::new(|| with_acls(include_str!("default_acls.sql")));

/// The gate: a text that is equal as long as nothing was committed (on a standby: nothing was replayed).
pub(crate) fn gate_statement() -> Statement {
    Statement::new("the state of the server", include_str!("gate.sql"))
}

/// The gate's text from its rows.
///
/// # Errors
/// [`ServerError::Unreadable`].
pub(crate) fn gate(rows: &[Row]) -> Result<String, ServerError> {
    let what = "the state of the server";
    let row = rows.first().ok_or(ServerError::Unreadable { what, column: 0, expected: "a row" })?;
    Fields::new(what, row).text()
}

/// What to read besides.
#[derive(Debug, Clone, Default)]
pub struct Hints {
    /// Version tables that were found by their shape.
    pub version_tables: Vec<Oid>,
    /// The database has free-standing composite types: read them at once.
    pub composites: bool,
}

/// Reads part A. Sets [`Hints::composites`] when there are any, so that the next read needs one trip.
///
/// # Errors
/// [`ServerError`]: any login may read all of it, so a refusal here is a fault of the server or of the way to it.
pub async fn catalog(
    client: &Client,
    facts: &Facts,
    limits: Limits,
    hints: &mut Hints,
) -> Result<CatalogRead, ServerError> {
    let opening = Opening::new(facts, limits);
    // Composite types need a look at pg_class that most databases can be spared; when the first look shows some, and
    // something was committed in between, everything is read again.
    for _ in 0..3 {
        let asked = hints.composites;
        let (mut read, composites) = part_a(client, facts, &opening, hints).await?;
        hints.composites = composites;
        if asked || !composites {
            return Ok(read);
        }
        let extra = [server_statement(), Statement::new("the composite types", &TYPES_COMPOSITE)];
        let rows = unit(client, &opening, Some(&gate_statement()), &extra).await?;
        let [before, server, types] = rows.as_slice() else { continue };
        let mut other = Server::default();
        if decode_server(server, facts, before, &mut other)? == read.catalog.gate {
            let known: HashSet<Oid> = read.catalog.schemas.iter().map(|s| s.oid).collect();
            type_groups(types, &known, &mut Acls::default(), &mut read.catalog.types)?;
            return Ok(read);
        }
    }
    // A busy server: one trip, everything together.
    hints.composites = true;
    part_a(client, facts, &opening, hints).await.map(|(read, _)| read)
}

/// What a ground can stand on, without the groups of objects: those are counted over the whole database. The hints must
/// say which version tables are wanted.
///
/// # Errors
/// [`ServerError`].
pub(super) async fn core(
    client: &Client,
    facts: &Facts,
    opening: &Opening,
    hints: &Hints,
) -> Result<CatalogRead, ServerError> {
    let parts = [
        server_part(),
        (Statement::new("the database", &DATABASE), Parts::database),
        (Statement::new("the roles", include_str!("roles.sql")), Parts::role),
        (Statement::new("the memberships", memberships_sql(facts)), Parts::membership),
        (Statement::new("the schemas", &SCHEMAS), Parts::schema),
        (Statement::new("the default privileges", &DEFAULT_ACLS), Parts::default_acl),
        (Statement::new("the settings of roles and databases", include_str!("settings.sql")), Parts::settings),
        (Statement::new("the extensions", include_str!("extensions.sql")), Parts::extension),
        (Statement::new("the policies", include_str!("policies.sql")), Parts::policy),
        (Statement::new("the event triggers", include_str!("event_triggers.sql")), Parts::event_trigger),
        version_tables_part(hints),
    ];
    read(client, facts, opening, &parts).await.map(|(read, _)| read)
}

fn memberships_sql(facts: &Facts) -> &'static str {
    if facts.version_num >= 160_000 { include_str!("memberships_16.sql") } else { include_str!("memberships_14.sql") }
}

fn server_statement() -> Statement {
    Statement::new("the server's state", include_str!("server.sql"))
}

fn server_part() -> Part {
    (server_statement(), Parts::server)
}

fn version_tables_part(hints: &Hints) -> Part {
    let known = Param::Oids(hints.version_tables.iter().map(|o| o.0).collect());
    (versions::candidates_statement().with(known), Parts::version_table)
}

async fn part_a(
    client: &Client,
    facts: &Facts,
    opening: &Opening,
    hints: &Hints,
) -> Result<(CatalogRead, bool), ServerError> {
    // The version tables before what is large: what the backend keeps of them then lies below the memory that the other
    // statements are done with, and does not hold it. With 2,000 of them it has 5.6 MiB of its own after three reads;
    // it had 8.6 when they came last.
    let mut parts = vec![
        server_part(),
        version_tables_part(hints),
        (Statement::new("the database", &DATABASE), Parts::database),
        (Statement::new("the roles", include_str!("roles.sql")), Parts::role),
        (Statement::new("the memberships", memberships_sql(facts)), Parts::membership),
        (Statement::new("the schemas", &SCHEMAS), Parts::schema),
        (Statement::new("the relations", &RELATIONS), Parts::relations),
        (Statement::new("the relations of extensions", &RELATIONS_EXTENSION), Parts::members),
        (Statement::new("the routines", &ROUTINES), Parts::routines),
        (Statement::new("the types", &TYPES), Parts::types),
        (Statement::new("the default privileges", &DEFAULT_ACLS), Parts::default_acl),
        (Statement::new("the settings of roles and databases", include_str!("settings.sql")), Parts::settings),
        (Statement::new("the extensions", include_str!("extensions.sql")), Parts::extension),
        (Statement::new("the policies", include_str!("policies.sql")), Parts::policy),
        (Statement::new("the event triggers", include_str!("event_triggers.sql")), Parts::event_trigger),
    ];
    if hints.composites {
        parts.push((Statement::new("the composite types", &TYPES_COMPOSITE), Parts::types));
    }
    read(client, facts, opening, &parts).await
}

/// A statement, and what takes its rows one by one: thousands of them as they arrive, with the message each came in,
/// would take several times what they say.
type Part = (Statement, fn(&mut Parts, Row) -> Result<(), ServerError>);

/// Reads these parts of the catalog; also whether there are free-standing composite types.
async fn read(
    client: &Client,
    facts: &Facts,
    opening: &Opening,
    parts: &[Part],
) -> Result<(CatalogRead, bool), ServerError> {
    let statements: Vec<Statement> = parts.iter().map(|(statement, _)| statement.clone()).collect();
    let (mut read, gate) = (Parts::default(), gate_statement());
    let take = |at: usize, row| match parts.get(at) {
        Some((_, take)) => take(&mut read, row),
        None => Ok(()),
    };
    let before = unit_each(client, opening, Some(&gate), &statements, take).await?;
    read.finish(facts, &before)
}

/// What has been read so far. Rows stay rows where they are few, or need what comes behind them.
#[derive(Default)]
struct Parts {
    acls: Acls,
    server: Vec<Row>,
    version_tables: Vec<Row>,
    database: Vec<Row>,
    roles: Vec<Role>,
    memberships: Vec<Membership>,
    schemas: Vec<Schema>,
    relations: Vec<Group>,
    /// Schemas with composite types.
    composites: HashSet<Oid>,
    /// Relations that belong to extensions, counted among `relations`, too.
    members: Vec<Group>,
    routines: Vec<Group>,
    types: Vec<Row>,
    default_acls: Vec<DefaultAcl>,
    settings: Vec<Setting>,
    extensions: Vec<Extension>,
    policies: Vec<RowPolicy>,
    event_triggers: Vec<EventTrigger>,
}

#[expect(clippy::needless_pass_by_value, clippy::unnecessary_wraps, reason = "rows of every statement are taken alike")]
impl Parts {
    fn server(&mut self, row: Row) -> Result<(), ServerError> {
        self.server.push(row);
        Ok(())
    }
    fn version_table(&mut self, row: Row) -> Result<(), ServerError> {
        self.version_tables.push(row);
        Ok(())
    }
    fn database(&mut self, row: Row) -> Result<(), ServerError> {
        self.database.push(row);
        Ok(())
    }
    fn types(&mut self, row: Row) -> Result<(), ServerError> {
        self.types.push(row);
        Ok(())
    }
    fn role(&mut self, row: Row) -> Result<(), ServerError> {
        self.roles.push(role(&row)?);
        Ok(())
    }
    fn membership(&mut self, row: Row) -> Result<(), ServerError> {
        self.memberships.push(membership(&row)?);
        Ok(())
    }
    fn schema(&mut self, row: Row) -> Result<(), ServerError> {
        self.schemas.push(schema(&row, &mut self.acls)?);
        Ok(())
    }
    fn relations(&mut self, row: Row) -> Result<(), ServerError> {
        match relation_group(&row, &mut self.acls)? {
            Ok(group) => self.relations.push(group),
            Err(composites) => self.composites.extend(composites),
        }
        Ok(())
    }
    fn members(&mut self, row: Row) -> Result<(), ServerError> {
        self.members.extend(relation_group(&row, &mut self.acls)?.ok());
        Ok(())
    }
    fn routines(&mut self, row: Row) -> Result<(), ServerError> {
        self.routines.push(routine_group(&row, &mut self.acls)?);
        Ok(())
    }
    fn default_acl(&mut self, row: Row) -> Result<(), ServerError> {
        self.default_acls.extend(default_acl(&row, &mut self.acls)?);
        Ok(())
    }
    fn settings(&mut self, row: Row) -> Result<(), ServerError> {
        settings(&row, &mut self.settings)
    }
    fn extension(&mut self, row: Row) -> Result<(), ServerError> {
        self.extensions.push(extension(&row)?);
        Ok(())
    }
    fn policy(&mut self, row: Row) -> Result<(), ServerError> {
        self.policies.push(policy(&row)?);
        Ok(())
    }
    fn event_trigger(&mut self, row: Row) -> Result<(), ServerError> {
        self.event_triggers.push(event_trigger(&row)?);
        Ok(())
    }

    /// Everything in its order. `before` are the rows of the gate.
    fn finish(mut self, facts: &Facts, before: &[Row]) -> Result<(CatalogRead, bool), ServerError> {
        let mut server = Server::default();
        let gate = decode_server(&self.server, facts, before, &mut server)?;
        let database = decode_database(&self.database, &mut self.acls)?;
        server.database.clone_from(&database.name);
        server.database_oid = database.oid;
        self.roles.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        self.schemas.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        self.extensions.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        // the order in which the server calls them
        self.event_triggers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        // without what is temporary, or TOAST
        let known: HashSet<Oid> = self.schemas.iter().map(|s| s.oid).collect();
        for groups in [&mut self.relations, &mut self.members, &mut self.routines] {
            groups.retain(|g| known.contains(&g.schema));
            groups.shrink_to_fit();
        }
        set_apart(&mut self.relations, self.members);
        let mut types = Vec::new();
        type_groups(&self.types, &known, &mut self.acls, &mut types)?;
        let candidates = versions::candidates(&self.version_tables, &self.schemas, &mut self.acls)?;
        let catalog = Catalog {
            gate,
            database,
            roles: self.roles,
            memberships: self.memberships,
            schemas: self.schemas,
            relations: self.relations,
            routines: self.routines,
            types,
            default_acls: self.default_acls,
            settings: self.settings,
            extensions: self.extensions,
            policies: self.policies,
            event_triggers: self.event_triggers,
        };
        let composites = !self.composites.is_disjoint(&known);
        Ok((CatalogRead { server, catalog, candidates }, composites))
    }
}

/// Fills the server's part and returns the gate that belongs to this transaction: its own snapshot on a primary, what
/// was replayed before it began on a standby.
fn decode_server(rows: &[Row], facts: &Facts, before: &[Row], server: &mut Server) -> Result<String, ServerError> {
    let what = "the server's state";
    let row = rows.first().ok_or(ServerError::Unreadable { what, column: 0, expected: "a row" })?;
    let mut f = Fields::new(what, row);
    server.in_recovery = f.bool()?;
    let snapshot = f.text()?;
    server.version_num = u32::try_from(f.i32()?).unwrap_or(0);
    server.version = f.text()?;
    server.current_user = f.text()?;
    server.superuser = f.bool()?;
    server.sees_activity = f.bool()?;
    server.taken_at_us = f.time_us()?.unwrap_or(0);
    server.started_at_us = f.time_us()?;
    server.replay_lag_ms = f.opt_i64()?.map(|ms| ms.max(0));
    server.max_connections = f.i32()?;
    server.reserved_connections = f.i32()?;
    server.encoding = f.text()?;
    server.system_identifier.clone_from(&facts.system_identifier);
    server.timeline.clone_from(&facts.timeline);
    server.default_search_path.clone_from(&facts.default_search_path);
    if server.in_recovery { gate(before) } else { Ok(snapshot) }
}

fn decode_database(rows: &[Row], acls: &mut Acls) -> Result<Database, ServerError> {
    let what = "the database";
    let row = rows.first().ok_or(ServerError::Unreadable { what, column: 0, expected: "a row" })?;
    let mut f = Fields::new(what, row);
    let (oid, name, owner, connection_limit) = (f.oid()?, f.text()?, f.oid()?, f.i32()?);
    Ok(Database { oid, name, owner, connection_limit, acl: f.acl(acls, owner)? })
}

fn role(row: &Row) -> Result<Role, ServerError> {
    let mut f = Fields::new("the roles", row);
    Ok(Role {
        oid: f.oid()?,
        name: f.text()?,
        superuser: f.bool()?,
        inherit: f.bool()?,
        create_role: f.bool()?,
        create_db: f.bool()?,
        login: f.bool()?,
        replication: f.bool()?,
        bypass_rls: f.bool()?,
        connection_limit: f.i32()?,
        valid_until_us: f.time_us()?,
        platform: false,
    })
}

fn membership(row: &Row) -> Result<Membership, ServerError> {
    let mut f = Fields::new("the memberships", row);
    Ok(Membership {
        role: f.oid()?,
        member: f.oid()?,
        grantor: f.oid()?,
        inherit: f.bool()?,
        set: f.bool()?,
        admin: f.bool()?,
    })
}

fn schema(row: &Row, acls: &mut Acls) -> Result<Schema, ServerError> {
    let mut f = Fields::new("the schemas", row);
    let (oid, name, owner, extension) = (f.oid()?, f.text()?, f.oid()?, f.bool()?);
    Ok(Schema { oid, name, owner, extension, acl: f.acl(acls, owner)? })
}

/// `pg_class.relkind`; `None` for what is no object of its own here.
pub(super) fn relation_kind(kind: char) -> Option<Kind> {
    Some(match kind {
        'r' => Kind::Table,
        'p' => Kind::Partitioned,
        'v' => Kind::View,
        'm' => Kind::MaterializedView,
        'f' => Kind::Foreign,
        'S' => Kind::Sequence,
        _ => return None,
    })
}

/// `pg_proc.prokind`.
pub(super) fn routine_kind(kind: char) -> Kind {
    match kind {
        'p' => Kind::Procedure,
        'a' => Kind::Aggregate,
        'w' => Kind::Window,
        _ => Kind::Function,
    }
}

/// A group of relations, wherever they are; a schema in place of it that has free-standing composite types.
fn relation_group(row: &Row, acls: &mut Acls) -> Result<Result<Group, Option<Oid>>, ServerError> {
    let mut f = Fields::new("the relations", row);
    let (schema, kind, owner) = (f.oid()?, f.char()?, f.oid()?);
    let Some(of) = relation_kind(kind) else { return Ok(Err((kind == 'c').then_some(schema))) };
    Ok(Ok(Group {
        schema,
        kind: of,
        owner,
        count: u32::try_from(f.count()?).unwrap_or(u32::MAX),
        pages: f.count()?,
        rls: u32::try_from(f.count()?).unwrap_or(u32::MAX),
        acl: f.acl(acls, owner)?,
        extension: false,
    }))
}

/// Takes the members of extensions out of the groups that counted them with all others.
fn set_apart(groups: &mut Vec<Group>, members: Vec<Group>) {
    if members.is_empty() {
        return;
    }
    let mut places: HashMap<(Oid, Kind, Oid, Acl), usize> = HashMap::with_capacity(groups.len());
    for (i, g) in groups.iter().enumerate() {
        places.insert((g.schema, g.kind, g.owner, g.acl.clone()), i);
    }
    for mut member in members {
        let place = places.get(&(member.schema, member.kind, member.owner, member.acl.clone()));
        if let Some(whole) = place.and_then(|i| groups.get_mut(*i)) {
            whole.count = whole.count.saturating_sub(member.count);
            whole.pages = whole.pages.saturating_sub(member.pages);
            whole.rls = whole.rls.saturating_sub(member.rls);
        }
        member.extension = true;
        groups.push(member);
    }
    groups.retain(|g| g.count > 0);
}

fn routine_group(row: &Row, acls: &mut Acls) -> Result<Group, ServerError> {
    let mut f = Fields::new("the routines", row);
    let (schema, kind, owner, count, extension) = (f.oid()?, f.char()?, f.oid()?, f.count()?, f.bool()?);
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let (kind, acl) = (routine_kind(kind), f.acl(acls, owner)?);
    Ok(Group { schema, kind, owner, acl, count, pages: 0, rls: 0, extension })
}

/// Adds the groups of the rows to those that are there, joined where they are alike.
fn type_groups(
    rows: &[Row],
    known: &HashSet<Oid>,
    acls: &mut Acls,
    groups: &mut Vec<Group>,
) -> Result<(), ServerError> {
    for row in rows {
        let mut f = Fields::new("the types", row);
        let (schema, owner, count, extension) = (f.oid()?, f.oid()?, f.count()?, f.bool()?);
        if !known.contains(&schema) {
            continue;
        }
        let acl = f.acl(acls, owner)?;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let alike = |g: &&mut Group| g.schema == schema && g.owner == owner && g.extension == extension && g.acl == acl;
        if let Some(group) = groups.iter_mut().find(alike) {
            group.count = group.count.saturating_add(count);
        } else {
            groups.push(Group { schema, kind: Kind::Type, owner, acl, count, pages: 0, rls: 0, extension });
        }
    }
    Ok(())
}

/// `None` for a kind of a newer server, for objects that are not looked at here.
fn default_acl(row: &Row, acls: &mut Acls) -> Result<Option<DefaultAcl>, ServerError> {
    let mut f = Fields::new("the default privileges", row);
    let (creator, schema, kind) = (f.oid()?, f.oid()?, f.char()?);
    let kind = match kind {
        'r' => DefaultKind::Tables,
        'S' => DefaultKind::Sequences,
        'f' => DefaultKind::Functions,
        'T' => DefaultKind::Types,
        'n' => DefaultKind::Schemas,
        'L' => DefaultKind::LargeObjects,
        _ => return Ok(None),
    };
    let schema = (schema != Oid::ZERO).then_some(schema);
    Ok(Some(DefaultAcl { creator, schema, kind, acl: f.acl(acls, creator)? }))
}

fn settings(row: &Row, settings: &mut Vec<Setting>) -> Result<(), ServerError> {
    let mut f = Fields::new("the settings of roles and databases", row);
    let (database, role) = (f.oid()?, f.oid()?);
    for pair in f.texts()? {
        let (name, value) = pair.split_once('=').unwrap_or((pair.as_str(), ""));
        settings.push(Setting {
            database: (database != Oid::ZERO).then_some(database),
            role: (role != Oid::ZERO).then_some(role),
            name: name.to_owned(),
            value: value.to_owned(),
        });
    }
    Ok(())
}

fn extension(row: &Row) -> Result<Extension, ServerError> {
    let mut f = Fields::new("the extensions", row);
    Ok(Extension {
        oid: f.oid()?,
        name: f.text()?,
        schema: f.oid()?,
        owner: f.oid()?,
        version: f.text()?,
        relocatable: f.bool()?,
    })
}

fn event_trigger(row: &Row) -> Result<EventTrigger, ServerError> {
    let mut f = Fields::new("the event triggers", row);
    Ok(EventTrigger { name: f.text()?, owner: f.oid()?, function: f.text()?, tags: f.texts()? })
}

fn policy(row: &Row) -> Result<RowPolicy, ServerError> {
    let mut f = Fields::new("the policies", row);
    Ok(RowPolicy { relation: f.oid()?, name: f.text()?, permissive: f.bool()?, command: f.char()?, roles: f.oids()? })
}
