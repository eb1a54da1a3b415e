//! Part A of a read: everything cheap that decides who may do what, in one round trip and one transaction.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use tokio_postgres::{Client, Row};

use super::{
    Facts, Limits, Opening, Param, ServerError, Statement,
    fields::{Acls, Fields},
    unit, versions, with_acls,
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
    let statements = [
        server_statement(),
        Statement::new("the database", &DATABASE),
        Statement::new("the roles", include_str!("roles.sql")),
        Statement::new("the memberships", memberships_sql(facts)),
        Statement::new("the schemas", &SCHEMAS),
        Statement::new("the default privileges", &DEFAULT_ACLS),
        Statement::new("the settings of roles and databases", include_str!("settings.sql")),
        Statement::new("the extensions", include_str!("extensions.sql")),
        Statement::new("the policies", include_str!("policies.sql")),
        Statement::new("the event triggers", include_str!("event_triggers.sql")),
        versions::candidates_statement().with(Param::Oids(hints.version_tables.iter().map(|o| o.0).collect())),
    ];
    let rows = unit(client, opening, Some(&gate_statement()), &statements).await?;
    let mut parts = rows.iter();
    let mut next = || parts.next().map_or(&[][..], Vec::as_slice);
    let mut acls = Acls::default();
    let mut server = Server::default();
    let before = next();
    let gate = decode_server(next(), facts, before, &mut server)?;
    let database = decode_database(next(), &mut acls)?;
    server.database.clone_from(&database.name);
    server.database_oid = database.oid;
    let roles = decode_roles(next())?;
    let memberships = decode_memberships(next())?;
    let schemas = decode_schemas(next(), &mut acls)?;
    let default_acls = decode_default_acls(next(), &mut acls)?;
    let settings = decode_settings(next())?;
    let extensions = decode_extensions(next())?;
    let policies = decode_policies(next())?;
    let event_triggers = decode_event_triggers(next())?;
    let candidates = versions::candidates(next(), &schemas, &mut acls)?;
    let (relations, routines, types) = (Vec::new(), Vec::new(), Vec::new());
    let catalog = Catalog {
        gate,
        database,
        roles,
        memberships,
        schemas,
        relations,
        routines,
        types,
        default_acls,
        settings,
        extensions,
        policies,
        event_triggers,
    };
    Ok(CatalogRead { server, catalog, candidates })
}

fn memberships_sql(facts: &Facts) -> &'static str {
    if facts.version_num >= 160_000 { include_str!("memberships_16.sql") } else { include_str!("memberships_14.sql") }
}

fn server_statement() -> Statement {
    Statement::new("the server's state", include_str!("server.sql"))
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
    let mut statements = vec![
        server_statement(),
        versions::candidates_statement().with(Param::Oids(hints.version_tables.iter().map(|o| o.0).collect())),
        Statement::new("the database", &DATABASE),
        Statement::new("the roles", include_str!("roles.sql")),
        Statement::new("the memberships", memberships_sql(facts)),
        Statement::new("the schemas", &SCHEMAS),
        Statement::new("the relations", &RELATIONS),
        Statement::new("the relations of extensions", &RELATIONS_EXTENSION),
        Statement::new("the routines", &ROUTINES),
        Statement::new("the types", &TYPES),
        Statement::new("the default privileges", &DEFAULT_ACLS),
        Statement::new("the settings of roles and databases", include_str!("settings.sql")),
        Statement::new("the extensions", include_str!("extensions.sql")),
        Statement::new("the policies", include_str!("policies.sql")),
        Statement::new("the event triggers", include_str!("event_triggers.sql")),
    ];
    if hints.composites {
        statements.push(Statement::new("the composite types", &TYPES_COMPOSITE));
    }
    let rows = unit(client, opening, Some(&gate_statement()), &statements).await?;
    // each answer goes as soon as it is decoded
    let mut parts = rows.into_iter();
    let mut next = || parts.next().unwrap_or_default();

    let mut acls = Acls::default();
    let mut server = Server::default();
    let before = next();
    let gate = decode_server(&next(), facts, &before, &mut server)?;
    let version_tables = next();
    let database = decode_database(&next(), &mut acls)?;
    server.database.clone_from(&database.name);
    server.database_oid = database.oid;
    let roles = decode_roles(&next())?;
    let memberships = decode_memberships(&next())?;
    let schemas = decode_schemas(&next(), &mut acls)?;
    let known: HashSet<Oid> = schemas.iter().map(|s| s.oid).collect();
    let (mut relations, composites) = relation_groups(&next(), &known, &mut acls)?;
    let (members, _) = relation_groups(&next(), &known, &mut acls)?;
    set_apart(&mut relations, members);
    let routines = decode_routines(&next(), &known, &mut acls)?;
    let mut types = Vec::new();
    type_groups(&next(), &known, &mut acls, &mut types)?;
    let default_acls = decode_default_acls(&next(), &mut acls)?;
    let settings = decode_settings(&next())?;
    let extensions = decode_extensions(&next())?;
    let policies = decode_policies(&next())?;
    let event_triggers = decode_event_triggers(&next())?;
    let candidates = versions::candidates(&version_tables, &schemas, &mut acls)?;
    type_groups(&next(), &known, &mut acls, &mut types)?;

    let catalog = Catalog {
        gate,
        database,
        roles,
        memberships,
        schemas,
        relations,
        routines,
        types,
        default_acls,
        settings,
        extensions,
        policies,
        event_triggers,
    };
    Ok((CatalogRead { server, catalog, candidates }, composites))
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

fn decode_roles(rows: &[Row]) -> Result<Vec<Role>, ServerError> {
    let mut roles = rows
        .iter()
        .map(|row| {
            let mut f = Fields::new("the roles", row);
            Ok::<_, ServerError>(Role {
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
        })
        .collect::<Result<Vec<_>, _>>()?;
    roles.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(roles)
}

fn decode_memberships(rows: &[Row]) -> Result<Vec<Membership>, ServerError> {
    rows.iter()
        .map(|row| {
            let mut f = Fields::new("the memberships", row);
            Ok(Membership {
                role: f.oid()?,
                member: f.oid()?,
                grantor: f.oid()?,
                inherit: f.bool()?,
                set: f.bool()?,
                admin: f.bool()?,
            })
        })
        .collect()
}

fn decode_schemas(rows: &[Row], acls: &mut Acls) -> Result<Vec<Schema>, ServerError> {
    let mut schemas = rows
        .iter()
        .map(|row| {
            let mut f = Fields::new("the schemas", row);
            let (oid, name, owner, extension) = (f.oid()?, f.text()?, f.oid()?, f.bool()?);
            Ok::<_, ServerError>(Schema { oid, name, owner, extension, acl: f.acl(acls, owner)? })
        })
        .collect::<Result<Vec<_>, _>>()?;
    schemas.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(schemas)
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

/// The groups, and whether there are free-standing composite types.
fn relation_groups(rows: &[Row], known: &HashSet<Oid>, acls: &mut Acls) -> Result<(Vec<Group>, bool), ServerError> {
    let mut groups = Vec::with_capacity(rows.len());
    let mut composites = false;
    for row in rows {
        let mut f = Fields::new("the relations", row);
        let (schema, kind, owner) = (f.oid()?, f.char()?, f.oid()?);
        if !known.contains(&schema) {
            continue; // temporary, TOAST
        }
        composites |= kind == 'c';
        let Some(kind) = relation_kind(kind) else { continue };
        groups.push(Group {
            schema,
            kind,
            owner,
            count: u32::try_from(f.count()?).unwrap_or(u32::MAX),
            pages: f.count()?,
            rls: u32::try_from(f.count()?).unwrap_or(u32::MAX),
            acl: f.acl(acls, owner)?,
            extension: false,
        });
    }
    Ok((groups, composites))
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

fn decode_routines(rows: &[Row], known: &HashSet<Oid>, acls: &mut Acls) -> Result<Vec<Group>, ServerError> {
    let mut groups = Vec::with_capacity(rows.len());
    for row in rows {
        let mut f = Fields::new("the routines", row);
        let (schema, kind, owner, count, extension) = (f.oid()?, f.char()?, f.oid()?, f.count()?, f.bool()?);
        if known.contains(&schema) {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            let (kind, acl) = (routine_kind(kind), f.acl(acls, owner)?);
            groups.push(Group { schema, kind, owner, acl, count, pages: 0, rls: 0, extension });
        }
    }
    Ok(groups)
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

fn decode_default_acls(rows: &[Row], acls: &mut Acls) -> Result<Vec<DefaultAcl>, ServerError> {
    let mut list = Vec::with_capacity(rows.len());
    for row in rows {
        let mut f = Fields::new("the default privileges", row);
        let (creator, schema, kind) = (f.oid()?, f.oid()?, f.char()?);
        let kind = match kind {
            'r' => DefaultKind::Tables,
            'S' => DefaultKind::Sequences,
            'f' => DefaultKind::Functions,
            'T' => DefaultKind::Types,
            'n' => DefaultKind::Schemas,
            'L' => DefaultKind::LargeObjects,
            _ => continue, // of a newer server, for objects that are not looked at here
        };
        let schema = (schema != Oid::ZERO).then_some(schema);
        list.push(DefaultAcl { creator, schema, kind, acl: f.acl(acls, creator)? });
    }
    Ok(list)
}

fn decode_settings(rows: &[Row]) -> Result<Vec<Setting>, ServerError> {
    let mut settings = Vec::new();
    for row in rows {
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
    }
    Ok(settings)
}

fn decode_extensions(rows: &[Row]) -> Result<Vec<Extension>, ServerError> {
    let mut extensions = rows
        .iter()
        .map(|row| {
            let mut f = Fields::new("the extensions", row);
            Ok::<_, ServerError>(Extension {
                oid: f.oid()?,
                name: f.text()?,
                schema: f.oid()?,
                owner: f.oid()?,
                version: f.text()?,
                relocatable: f.bool()?,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    extensions.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(extensions)
}

fn decode_event_triggers(rows: &[Row]) -> Result<Vec<EventTrigger>, ServerError> {
    let triggers = rows.iter().map(|row| {
        let mut f = Fields::new("the event triggers", row);
        Ok::<_, ServerError>(EventTrigger { name: f.text()?, owner: f.oid()?, function: f.text()?, tags: f.texts()? })
    });
    let mut triggers = triggers.collect::<Result<Vec<_>, _>>()?;
    // the order in which the server calls them
    triggers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(triggers)
}

fn decode_policies(rows: &[Row]) -> Result<Vec<RowPolicy>, ServerError> {
    rows.iter()
        .map(|row| {
            let mut f = Fields::new("the policies", row);
            Ok(RowPolicy {
                relation: f.oid()?,
                name: f.text()?,
                permissive: f.bool()?,
                command: f.char()?,
                roles: f.oids()?,
            })
        })
        .collect()
}
