//! The three forms: what each asks for, what counts when nothing is typed, what is wrong, and what is asked of the
//! planner. What is wrong is found by the functions that the commands plan with.

use std::path::PathBuf;

use super::{
    Ask, IsolateFiles,
    form::{Field, Form, Value, item},
};
use crate::{
    app::instance::Instance,
    domain::snapshot::{Role, Schema, Snapshot, VersionTable},
    plan::moves::{Answers, isolate, place, place_of, versions},
    plan::setup,
    policy::{Service, declares, judgement::Judgement, versions::Class},
};

/// What a form is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Create,
    MoveVersions,
    Isolate,
}

/// A field's meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Service,
    From,
    To,
    Schema,
    Role,
    Owner,
    Creators,
    Read,
    Append,
    SearchPath,
    Limit,
    VersionTable,
    ClosePublic,
    Policy,
    Rows,
    Lost,
    Revisions,
    Tables,
    TablesFrom,
    VersionTables,
    Readers,
    Extensions,
}

/// What is selected where a form is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seed {
    pub schema: Option<String>,
    /// `SCHEMA.TABLE` of a version table.
    pub table: Option<String>,
}

impl Kind {
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Kind::Create => "Create a schema, with all a service needs",
            Kind::MoveVersions => "Move a version table, or rows of it",
            Kind::Isolate => "Isolate a service from a shared schema",
        }
    }

    /// The action that opens it.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Kind::Create => "create-schema",
            Kind::MoveVersions => "move-versions",
            Kind::Isolate => "isolate",
        }
    }

    /// The part that nobody fills but a person: once it is, what is wrong elsewhere is said too.
    #[must_use]
    pub const fn first(self) -> Part {
        match self {
            Kind::Create => Part::Schema,
            Kind::MoveVersions => Part::To,
            Kind::Isolate => Part::Service,
        }
    }
}

/// A form as it is opened.
#[must_use]
pub fn new(kind: Kind, at: usize, instance: &Instance, seed: &Seed) -> Form {
    let fields = match kind {
        Kind::Create => create(instance),
        Kind::MoveVersions => move_versions(seed),
        Kind::Isolate => {
            let shared = instance.judgement.as_deref().map(shared).unwrap_or_default();
            let seeded = seed.schema.as_ref().filter(|s| shared.contains(s));
            isolate_fields(instance, seeded.or(shared.first()).map_or("public", String::as_str))
        }
    };
    let mut form = Form::new(at, kind, fields);
    check(&mut form, instance);
    form
}

fn create(instance: &Instance) -> Vec<Field> {
    let mut fields = vec![
        Field::text(Part::Schema, "schema", "Its own place in the database, and the service's name in the policy."),
        Field::text(Part::Role, "role", "What the service logs in as. It is made here, with a password of its own."),
        Field::text(
            Part::Owner,
            "owner",
            "Owns the schema and all in it: the role itself, unless somebody else runs the migrations.",
        ),
        Field::list(
            Part::Creators,
            "creators",
            "Who will create objects there: for each, defaults cover what does not exist yet.",
        ),
        Field::list(Part::Read, "may read", "Neighbours' schemas whose tables it may read, those to come included."),
        Field::list(
            Part::Append,
            "may append to",
            "Neighbours' schemas it may add rows to and not change them, as to an audit.",
        ),
        Field::list(
            Part::SearchPath,
            "search path",
            "Where it finds tables. With more than its own schema, its migrations see a neighbour's tables.",
        ),
        Field::text(
            Part::Limit,
            "connections",
            "At most so many at once, so that one service cannot use up the server's. Empty: no limit.",
        )
        .filled(&setup::CONNECTIONS.to_string()),
        Field::yes(
            Part::VersionTable,
            "version table",
            "Makes alembic_version before the first migration, so that none of a neighbour's is taken for it.",
        ),
        Field::yes(
            Part::ClosePublic,
            "close public",
            "Takes from everybody the right to create in schema public, where databases before 15 still give it.",
        ),
    ];
    fields.extend(to_policy(instance));
    if let Some(limit) = fields.iter_mut().find(|f| f.part == Part::Limit) {
        "no limit".clone_into(&mut limit.hint);
    }
    fields
}

fn to_policy(instance: &Instance) -> Option<Field> {
    let there = instance.policy_name.is_some() && instance.policy_problem.is_none();
    let why = "Adds the service to the policy's file once it is done: else it is access that nobody declared.";
    there.then(|| Field::yes(Part::Policy, "to the policy", why))
}

/// What the field for the policy says where there is nothing to add.
const DECLARED: &str = "the policy has it already: nothing is added";

fn move_versions(seed: &Seed) -> Vec<Field> {
    let from = seed.table.as_deref().unwrap_or_default();
    vec![
        Field::text(Part::From, "version table", "SCHEMA.TABLE: the table that moves, or that rows are split off.")
            .filled(from),
        Field::text(Part::To, "to schema", "Where the service that it belongs to has its own schema."),
        Field::list(
            Part::Rows,
            "rows",
            "Revisions that go, where you know better than the scripts. The others stay where they are.",
        ),
        Field::text(Part::Owner, "owner", "Whose it will be: without ownership the next migration fails."),
    ]
}

fn isolate_fields(instance: &Instance, from: &str) -> Vec<Field> {
    let mut fields = vec![
        Field::text(Part::Service, "service", "As the policy names it; its revision scripts say what belongs to it."),
        Field::text(Part::From, "out of", "The schema that it shares with others now.").filled(from),
        Field::text(Part::Schema, "into schema", "Its own schema; made here when it is not there."),
        Field::text(
            Part::Role,
            "role",
            "Owns what goes, and logs in for the service. Made here when it is not there, with a password.",
        ),
        Field::list(
            Part::Revisions,
            "revisions",
            "Folders of its revision scripts: they tell its tables and its rows from the others'.",
        ),
        Field::list(
            Part::Tables,
            "tables",
            "Names or globs of tables that go; !name stays. They win over what the scripts say.",
        ),
        Field::text(
            Part::TablesFrom,
            "tables from",
            "A file with a name or glob on each line, beside what is typed above; # begins a remark.",
        ),
        Field::list(Part::Rows, "rows", "Revisions that go, where you know better than the scripts."),
        Field::list(
            Part::Lost,
            "lost revision",
            "What its tables stand at, where no version table holds it any more; - says that there is none.",
        ),
        Field::list(
            Part::VersionTables,
            "version tables",
            "Those of the shared schema that hold its rows, by name, where it is not each that has one.",
        ),
        Field::list(Part::Readers, "keep readers", "Roles that go on reading what goes; !name stops."),
        Field::text(
            Part::Extensions,
            "extensions in",
            "Schema for extensions that it needs; the shared schema's own name leaves them there.",
        ),
    ];
    fields.extend(to_policy(instance));
    fields
}

/// What counts when nothing is typed, what could be, and what is wrong, from what is known of the instance now.
pub fn check(form: &mut Form, instance: &Instance) {
    let Some(judgement) = instance.judgement.as_deref() else { return };
    for field in &mut form.fields {
        field.fault = None;
        field.remark = None;
        field.choices.clear();
    }
    match form.kind {
        Kind::Create => check_create(form, judgement),
        Kind::MoveVersions => check_move(form, judgement),
        Kind::Isolate => check_isolate(form, judgement),
    }
    for (part, what) in [(Part::Schema, "schema"), (Part::Role, "role")] {
        let name = form.value(part);
        let catalog = &judgement.snapshot.catalog;
        let there = catalog.schema_named(&name).is_some() && part == Part::Schema
            || catalog.role_named(&name).is_some() && part == Part::Role;
        if let Some(field) = form.field_mut(part).filter(|_| !there && !name.is_empty()) {
            field.remark = setup::remark(what, &name);
        }
    }
    if let Some(part) = form.focus() {
        let list = choices(form, part, judgement);
        if let Some(field) = form.field_mut(part) {
            field.choices = list;
        }
    }
}

fn default(form: &mut Form, part: Part, text: String) {
    if let Some(field) = form.field_mut(part) {
        field.default = text;
    }
}

fn hint(form: &mut Form, part: Part, text: &str) {
    if let Some(field) = form.field_mut(part) {
        text.clone_into(&mut field.hint);
    }
}

fn fault(form: &mut Form, part: Part, why: String) {
    if let Some(field) = form.field_mut(part) {
        field.fault.get_or_insert(why);
    }
}

fn services(judgement: &Judgement) -> &[Service] {
    judgement.policy.as_ref().map(|p| p.services.as_slice()).unwrap_or_default()
}

// ── create ─────────────────────────────────────────────────────────────────────────────────────────────────────────

fn check_create(form: &mut Form, judgement: &Judgement) {
    let schema = form.value(Part::Schema);
    default(form, Part::Role, if schema.is_empty() { String::new() } else { format!("{schema}_app") });
    let role = form.value(Part::Role);
    hint(form, Part::Role, "the schema's name with _app");
    default(form, Part::Owner, role.clone());
    hint(form, Part::Owner, "the role");
    let owner = form.value(Part::Owner);
    let creators = if owner == role { item(&role) } else { format!("{}, {}", item(&owner), item(&role)) };
    default(form, Part::Creators, if role.is_empty() { String::new() } else { creators });
    hint(form, Part::Creators, "owner and role");
    default(form, Part::SearchPath, if schema.is_empty() { String::new() } else { item(&schema) });
    hint(form, Part::SearchPath, "the schema alone");
    hint(form, Part::Read, "nothing");
    hint(form, Part::Append, "nothing");
    let declared = declares(judgement.policy.as_deref(), &schema);
    hint(form, Part::Policy, if declared { DECLARED } else { "" });
    let most = judgement.snapshot.server.max_connections;
    if form.typed(Part::Limit).is_some_and(|t| t.parse::<i32>().is_err()) {
        fault(form, Part::Limit, format!("a number from 1 to {most}, or nothing"));
    }
    for (part, why) in setup::faults(&judgement.snapshot, &wanted(form)) {
        let part = match part {
            setup::Part::Schema => Part::Schema,
            setup::Part::Role => Part::Role,
            setup::Part::Owner => Part::Owner,
            setup::Part::Creators => Part::Creators,
            setup::Part::Read => Part::Read,
            setup::Part::Append => Part::Append,
            setup::Part::SearchPath => Part::SearchPath,
            setup::Part::Limit => Part::Limit,
        };
        // without a schema's name the role has none either, and that is said once
        if part != Part::Role || !role.is_empty() && role != "_app" {
            fault(form, part, why.to_string());
        }
    }
}

fn wanted(form: &Form) -> setup::Wanted {
    setup::Wanted {
        name: None,
        schema: form.value(Part::Schema),
        role: form.typed(Part::Role),
        owner: form.typed(Part::Owner),
        creators: form.items(Part::Creators),
        read: form.items(Part::Read),
        append: form.items(Part::Append),
        search_path: Some(form.items(Part::SearchPath)).filter(|p| !p.is_empty()),
        connection_limit: form.typed(Part::Limit).and_then(|t| t.parse().ok()),
        version_table: form.yes(Part::VersionTable),
        password: true,
        close_public: form.yes(Part::ClosePublic),
    }
}

// ── version tables ─────────────────────────────────────────────────────────────────────────────────────────────────

/// The plain version tables, as the form writes them.
fn tables(snapshot: &Snapshot) -> impl Iterator<Item = (String, &VersionTable)> {
    let plain = snapshot.versions.0.iter().filter(|v| v.shape && v.plain);
    plain.map(|v| (place_of(&snapshot.catalog.schema_name(v.schema), &v.name), v))
}

/// A place as the form has it; odd names without quotes are understood where such a table is there.
fn from(form: &Form, snapshot: &Snapshot) -> (String, Option<String>) {
    let text = form.value(Part::From);
    let known = tables(snapshot)
        .find(|(name, v)| *name == text || format!("{}.{}", snapshot.catalog.schema_name(v.schema), v.name) == text);
    match known {
        Some((_, table)) => (snapshot.catalog.schema_name(table.schema), Some(table.name.clone())),
        None => place(&text).unwrap_or((text, None)),
    }
}

fn check_move(form: &mut Form, judgement: &Judgement) {
    let snapshot = &judgement.snapshot;
    let (schema, table) = from(form, snapshot);
    default(form, Part::To, goes_to(judgement, &schema, table.as_deref()).unwrap_or_default());
    hint(form, Part::To, "the schema that it moves to");
    let to = form.value(Part::To);
    let service = services(judgement).iter().find(|s| s.schemas.contains(&to));
    let rows = match service {
        Some(service) => format!("those of {}, by its revision scripts", service.name),
        None => "all, when there is one; else each is asked about".to_owned(),
    };
    hint(form, Part::Rows, &rows);
    let catalog = &snapshot.catalog;
    let owner = service.map(|s| s.owner.clone());
    let owner = owner.or_else(|| catalog.schema_named(&to).map(|s| catalog.role_name(s.owner)));
    hint(form, Part::Owner, &owner.unwrap_or_else(|| "the service's, or the schema's".to_owned()));
    let Ask::MoveVersions(wanted) = ask(form, judgement) else { return };
    if wanted.from.is_empty() {
        fault(form, Part::From, "which one? SCHEMA.TABLE".to_owned());
    }
    if wanted.to.is_empty() {
        fault(form, Part::To, "where to?".to_owned());
    }
    for (part, why) in versions::faults(snapshot, judgement.policy.as_deref(), &wanted) {
        let part = match part {
            versions::Part::From => Part::From,
            versions::Part::To => Part::To,
            versions::Part::Rows => Part::Rows,
            versions::Part::Owner => Part::Owner,
        };
        fault(form, part, why.to_string());
    }
}

/// The schema of a service that keeps a revision in this table and has its own place elsewhere.
fn goes_to(judgement: &Judgement, schema: &str, table: Option<&str>) -> Option<String> {
    let snapshot = &judgement.snapshot;
    let here = |oid| {
        let found = snapshot.versions.0.iter().find(|v| v.oid == oid);
        found.is_some_and(|v| snapshot.catalog.schema_name(v.schema) == schema && table.is_none_or(|t| v.name == t))
    };
    let infos = judgement.versions.0.iter().filter(|v| here(v.oid));
    let names = infos.flat_map(|v| v.rows.iter().flat_map(|r| &r.services).chain(&v.service));
    let homes = names.filter_map(|name| services(judgement).iter().find(|s| s.name == *name)?.schemas.first());
    let there = |home: &&String| snapshot.catalog.schema_named(home).is_some();
    homes.filter(|home| *home != schema).find(there).cloned()
}

// ── isolate ────────────────────────────────────────────────────────────────────────────────────────────────────────

fn check_isolate(form: &mut Form, judgement: &Judgement) {
    let from = form.value(Part::From);
    default(form, Part::Service, lodger(judgement, &from).unwrap_or_default());
    hint(form, Part::Service, "the service's name");
    let service = form.value(Part::Service);
    let known = services(judgement).iter().find(|s| s.name == service);
    let home = known.and_then(|s| s.schemas.iter().find(|n| **n != from)).cloned();
    default(form, Part::Schema, home.unwrap_or_else(|| service.clone()));
    hint(form, Part::Schema, "the service's name");
    let schema = form.value(Part::Schema);
    let role = known.map(|s| s.role.clone());
    default(
        form,
        Part::Role,
        role.unwrap_or_else(|| if schema.is_empty() { String::new() } else { format!("{schema}_app") }),
    );
    hint(form, Part::Role, "the schema's name with _app");
    let scripts = judgement.lineages.of(&service).map(|l| l.scripts.len());
    let words = match scripts {
        Some(n) => crate::text::count(n as u64, "script, from the policy", "scripts, from the policy"),
        None => "none known".to_owned(),
    };
    hint(form, Part::Revisions, &words);
    hint(form, Part::Tables, "those that its scripts create");
    hint(form, Part::TablesFrom, "no file");
    hint(form, Part::Rows, "those of its scripts");
    hint(form, Part::Lost, "none is lost");
    hint(form, Part::VersionTables, "each with a row of it");
    hint(form, Part::Readers, "each is asked about");
    hint(form, Part::Extensions, "each is asked about");
    let declared = known.is_some() || declares(judgement.policy.as_deref(), &schema);
    hint(form, Part::Policy, if declared { DECLARED } else { "" });
    if service.is_empty() {
        fault(form, Part::Service, "which service?".to_owned());
        return;
    }
    let Ask::Isolate { wanted, files, .. } = ask(form, judgement) else { return };
    let asks = wanted.tables.iter().any(|p| !p.starts_with('!')) || files.tables.is_some();
    if scripts.is_none() && files.revisions.is_empty() && !asks {
        let words = format!("no revision script of {service} is known: name their folder, or its tables below");
        fault(form, Part::Revisions, words);
    }
    if let Some(name) = wanted.version_tables.iter().find(|name| {
        let from = judgement.snapshot.catalog.schema_named(&wanted.from).map(|s| s.oid);
        !judgement.snapshot.versions.0.iter().any(|v| Some(v.schema) == from && v.name == **name && v.plain)
    }) {
        fault(form, Part::VersionTables, format!("there is no version table {}.{name}", wanted.from));
    }
    for (part, why) in isolate::faults(&judgement.snapshot, &wanted) {
        let part = match part {
            isolate::Part::From => Part::From,
            isolate::Part::Schema => Part::Schema,
            isolate::Part::Role => Part::Role,
        };
        fault(form, part, why.to_string());
    }
}

/// Schemas that a service can come out of: where another's revision or objects stand, or revisions that nobody is known
/// to keep. Those where a service lodges come first. Without declared services: where any application keeps a revision.
fn shared(judgement: &Judgement) -> Vec<String> {
    let snapshot = &judgement.snapshot;
    let strange = |class| matches!(class, Class::Shared | Class::Ambiguous | Class::Unknown | Class::Foreign);
    let kept = |oid| {
        let none = services(judgement).is_empty();
        judgement.versions.0.iter().any(|v| {
            let table = snapshot.versions.0.get(v.table);
            table.is_some_and(|t| t.schema == oid && t.shape && t.plain) && (none || strange(v.class))
        })
    };
    let uses = |oid| snapshot.shapes.iter().any(|s| s.foreign_uses.iter().any(|u| u.schema == oid));
    let owned = |name: &String| services(judgement).iter().any(|v| v.schemas.contains(name));
    let people = snapshot.catalog.schemas.iter().filter(|s| !s.is_system() && !s.extension);
    let mut found: Vec<String> = people
        .filter(|s| kept(s.oid) || lodger(judgement, &s.name).is_some() || owned(&s.name) && uses(s.oid))
        .map(|s| s.name.clone())
        .collect();
    found.sort_by_key(|name| (lodger(judgement, name).is_none(), name != "public"));
    found
}

/// A service that keeps a revision in a schema that is not its own.
fn lodger(judgement: &Judgement, schema: &str) -> Option<String> {
    let snapshot = &judgement.snapshot;
    let here = |oid| {
        let found = snapshot.versions.0.iter().find(|v| v.oid == oid);
        found.is_some_and(|v| snapshot.catalog.schema_name(v.schema) == schema)
    };
    let infos = judgement.versions.0.iter().filter(|v| here(v.oid));
    let mut names = infos.flat_map(|v| v.rows.iter().flat_map(|r| &r.services).chain(&v.claimed_by));
    let away = |name: &&String| {
        let service = services(judgement).iter().find(|s| s.name == **name);
        service.is_some_and(|s| s.schemas.first().is_some_and(|home| home != schema))
    };
    names.find(away).cloned()
}

// ── for all ────────────────────────────────────────────────────────────────────────────────────────────────────────

/// What is asked of the planner.
#[must_use]
pub fn ask(form: &Form, judgement: &Judgement) -> Ask {
    match form.kind {
        Kind::Create => {
            let wanted = wanted(form);
            let to_policy = form.yes(Part::Policy) && !declares(judgement.policy.as_deref(), &wanted.schema);
            Ask::Create { wanted: Box::new(wanted), to_policy }
        }
        Kind::MoveVersions => {
            let (from, table) = from(form, &judgement.snapshot);
            Ask::MoveVersions(Box::new(versions::Wanted {
                from,
                table,
                to: form.value(Part::To),
                rows: form.items(Part::Rows),
                owner: form.typed(Part::Owner),
                answers: Answers::new(),
            }))
        }
        Kind::Isolate => {
            let revisions = form.items(Part::Revisions).into_iter().map(PathBuf::from).collect();
            let wanted = isolate::Wanted {
                from: form.value(Part::From),
                schema: form.value(Part::Schema),
                role: form.value(Part::Role),
                service: Some(form.value(Part::Service)),
                tables: form.items(Part::Tables),
                rows: form.items(Part::Rows),
                lost: form.items(Part::Lost),
                version_tables: form.items(Part::VersionTables),
                keep_readers: form.items(Part::Readers),
                extensions_schema: form.typed(Part::Extensions),
                password: true,
                answers: Answers::new(),
            };
            let policy = judgement.policy.as_deref();
            let declared = [wanted.service.as_ref(), Some(&wanted.schema)].into_iter().flatten();
            let declared = declared.into_iter().any(|name| declares(policy, name));
            let to_policy = form.yes(Part::Policy) && !declared;
            let files = IsolateFiles { revisions, tables: form.typed(Part::TablesFrom).map(PathBuf::from) };
            Ask::Isolate { wanted: Box::new(wanted), files, to_policy }
        }
    }
}

/// What could be typed into a field.
fn choices(form: &Form, part: Part, judgement: &Judgement) -> Vec<String> {
    let Some(field) = form.field(part) else { return Vec::new() };
    if matches!(field.value, Value::Yes(_)) {
        return Vec::new();
    }
    let snapshot = &judgement.snapshot;
    let write = |name: &str| if field.list { item(name) } else { name.to_owned() };
    let people = |s: &&Schema| !s.is_system() && !s.extension;
    let schemas = || snapshot.catalog.schemas.iter().filter(people).map(|s| s.name.clone());
    let own = |r: &&Role| !r.is_predefined() && !r.is_platform();
    let roles = || snapshot.catalog.roles.iter().filter(own).map(|r| write(&r.name));
    let mut list: Vec<String> = match (form.kind, part) {
        (Kind::Create, Part::Owner | Part::Creators)
        | (Kind::MoveVersions, Part::Owner)
        | (Kind::Isolate, Part::Role | Part::Readers) => roles().collect(),
        (Kind::Create, Part::Read | Part::Append | Part::SearchPath) => {
            let mut list: Vec<String> = schemas().map(|s| write(&s)).collect();
            if part == Part::SearchPath {
                list.extend(form.typed(Part::Schema).map(|s| write(&s)));
            }
            list
        }
        (Kind::MoveVersions, Part::From) => tables(snapshot).map(|(name, _)| name).collect(),
        (Kind::MoveVersions, Part::To) => {
            let (schema, _) = from(form, snapshot);
            schemas().filter(|s| *s != schema).collect()
        }
        (Kind::MoveVersions, Part::Rows) => {
            let (schema, table) = from(form, snapshot);
            let here = tables(snapshot).filter(|(_, v)| {
                snapshot.catalog.schema_name(v.schema) == schema && table.as_ref().is_none_or(|t| v.name == *t)
            });
            here.flat_map(|(_, v)| v.rows.known().unwrap_or_default()).map(|r| write(r)).collect()
        }
        (Kind::Isolate, Part::Service) => services(judgement).iter().map(|s| s.name.clone()).collect(),
        (Kind::Isolate, Part::From) => shared(judgement),
        (Kind::Isolate, Part::Schema | Part::Extensions) => schemas().collect(),
        (Kind::Isolate, Part::Rows) => {
            let schema = form.value(Part::From);
            let here = tables(snapshot).filter(|(_, v)| snapshot.catalog.schema_name(v.schema) == schema);
            here.flat_map(|(_, v)| v.rows.known().unwrap_or_default()).map(|r| write(r)).collect()
        }
        (Kind::Isolate, Part::VersionTables) => {
            let schema = form.value(Part::From);
            let here = tables(snapshot).filter(|(_, v)| snapshot.catalog.schema_name(v.schema) == schema);
            here.map(|(_, v)| write(&v.name)).collect()
        }
        (Kind::Create | Kind::MoveVersions | Kind::Isolate, _) => Vec::new(),
    };
    list.sort();
    list.dedup();
    list
}
