//! A version table to where its service is: moved as a whole, or split where others keep their revision in it too, or
//! merged into an empty one that waits there. Owner and rights follow the service; rows whose owner is not settled stay
//! until somebody says.

use std::collections::BTreeSet;

use super::{Answers, Proposal, Question, may, note, objects::depth, owner_of_schema, whereabouts::whereabouts};
use crate::{
    domain::{
        AclEntry, ObjectKind, Oid, Privilege, Privileges,
        alembic::{Lineage, Lineages},
        change::{Change, Grantee, ObjectRef, On},
        effective::Matrix,
        snapshot::{Kind, Snapshot, VersionRows, VersionTable},
    },
    plan::{Hazard, HazardKind, Refused, build, predict},
    policy::{
        Policy, Service,
        versions::{Place, Revision, VersionInfo, Versions, unread},
    },
    text,
};

/// What a version table made here can hold: `varchar(32)`, as Alembic makes it.
const WIDTH: usize = 32;

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    pub from: String,
    /// Default: the only version table there, or `alembic_version`.
    pub table: Option<String>,
    pub to: String,
    /// The rows by hand; empty: those of the service that the target schema belongs to.
    pub rows: Vec<String>,
    /// Default: the service's owner, or the target schema's.
    pub owner: Option<String>,
    /// For rows: `row:ID`.
    pub answers: Answers,
}

impl Wanted {
    /// What is asked for, in a few words.
    #[must_use]
    pub fn asked(&self) -> String {
        let table = self.table.as_deref().map_or_else(|| self.from.clone(), |t| format!("{}.{t}", self.from));
        match (self.rows.as_slice(), &self.table) {
            ([], None) => format!("Move the version table of {table} to {}", self.to),
            ([], Some(_)) => format!("Move version table {table} to {}", self.to),
            (rows, _) => format!("Move {} of {table} to {}", text::list(rows, 3), self.to),
        }
    }
}

/// A part of [`Wanted`] that can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    From,
    To,
    Rows,
    Owner,
}

/// What keeps [`plan`] from planning, as far as names tell, part by part; cheap enough to be asked after every key.
#[must_use]
pub fn faults(snapshot: &Snapshot, policy: Option<&Policy>, wanted: &Wanted) -> Vec<(Part, Refused)> {
    let catalog = &snapshot.catalog;
    let mut faults = Vec::new();
    let there = |schema: &str| catalog.schema_named(schema).is_some();
    let mut table = None;
    if there(&wanted.from) {
        match source(snapshot, &wanted.from, wanted.table.as_deref()) {
            Ok(source) => table = Some(source),
            Err(why) => faults.push((Part::From, why)),
        }
    } else {
        faults.push((Part::From, Refused::no_schema(catalog, &wanted.from)));
    }
    if !there(&wanted.to) {
        faults.push((Part::To, Refused::no_schema(catalog, &wanted.to)));
    } else if wanted.from == wanted.to && table.is_none_or(|t| renamed(policy, wanted, t).is_none()) {
        faults.push((Part::To, where_it_is(wanted)));
    }
    if let Some(table) = table {
        let known: Vec<&str> = table.rows.known().unwrap_or_default().iter().map(String::as_str).collect();
        faults.extend(not_there(&wanted.rows, &known, &table.name).map(|why| (Part::Rows, why)));
    }
    let service = policy.and_then(|p| p.services.iter().find(|s| s.schemas.contains(&wanted.to)));
    let owner = owner(snapshot, service, wanted);
    if there(&wanted.to) && catalog.role_named(&owner).is_none() {
        faults.push((Part::Owner, Refused::no_role_that(catalog, &owner, "that could own it")));
    }
    faults
}

fn where_it_is(wanted: &Wanted) -> Refused {
    Refused::new(format!("{} is where it is already", wanted.from))
}

/// The name that the service of the target looks for, where the table has another one.
fn renamed<'a>(policy: Option<&'a Policy>, wanted: &Wanted, source: &VersionTable) -> Option<&'a str> {
    let services = &policy?.services;
    let at = |s: &&Service| s.schemas.first() == Some(&wanted.to);
    let service = services.iter().find(at)?;
    let declared = service.version_table.as_deref()?;
    let kept = services.iter().filter(at).any(|s| s.version_table.as_deref() == Some(&source.name));
    (!kept).then_some(declared)
}

/// Whose it will be.
fn owner(snapshot: &Snapshot, service: Option<&Service>, wanted: &Wanted) -> String {
    let declared = wanted.owner.clone().or_else(|| service.map(|s| s.owner.clone()));
    declared.or_else(|| owner_of_schema(snapshot, &wanted.to)).unwrap_or_default()
}

/// The first wanted row that a table does not hold.
fn not_there(wanted: &[String], there: &[&str], table: &str) -> Option<Refused> {
    let strange = wanted.iter().find(|r| !there.contains(&r.as_str()))?;
    let there = if there.is_empty() { "nothing".to_owned() } else { text::list(there, 12) };
    Some(Refused::new(format!("{table} holds no row {strange}; it holds {there}")))
}

/// The plan that moves a version table, or rows of it.
///
/// # Errors
/// [`Refused`]: no such table or schema, rows that are not there, a target that holds something else.
pub fn plan(
    snapshot: &Snapshot,
    policy: Option<&Policy>,
    lineages: &Lineages,
    wanted: &Wanted,
) -> Result<Proposal, Refused> {
    if let Some((_, why)) = faults(snapshot, policy, wanted).into_iter().next() {
        return Err(why);
    }
    let catalog = &snapshot.catalog;
    let services = policy.map(|p| p.services.as_slice()).unwrap_or_default();
    let service = services.iter().find(|s| s.schemas.contains(&wanted.to));
    let source = source(snapshot, &wanted.from, wanted.table.as_deref())?;
    let owner = owner(snapshot, service, wanted);
    let matrix = Matrix::new(catalog, &snapshot.server);
    let versions = Versions::new(snapshot, policy, lineages, &matrix);
    let of = versions.0.iter().find(|v| v.oid == source.oid).map(|v| v.rows.as_slice()).unwrap_or_default();
    let name = service.map(|s| s.name.as_str());
    let lineage = name.and_then(|name| lineages.of(name));
    let known_by = Asked { service: name, scripts: lineage.is_some(), by_hand: &wanted.rows, answers: &wanted.answers };
    let Chosen { rows, mut questions, strange } = choose(of, &known_by, &source.name)?;
    if rows.is_empty() {
        questions.extend(strange);
    }
    let known = source.rows.known().unwrap_or_default();
    if rows.is_empty() && questions.is_empty() && !known.is_empty() {
        let whose = whose(of);
        let whom = name.map_or_else(|| wanted.to.clone(), str::to_owned);
        return Err(Refused::new(format!(
            "no row of {}.{} is {whom}'s: {whose}; --rows names the ones to move all the same",
            wanted.from, source.name
        )));
    }
    let role = service.map_or(owner.as_str(), |s| s.role.as_str());
    let mine = |v: &VersionInfo| name.is_some() && v.service.as_deref() == name;
    let has_another = versions.0.iter().any(|v| v.oid != source.oid && mine(v));
    let is_mine = versions.0.iter().any(|v| v.oid == source.oid && mine(v));
    // a second table of a service that has its own keeps its name
    let table = renamed(policy, wanted, source).filter(|_| is_mine || !has_another).unwrap_or(&source.name);
    if wanted.from == wanted.to && table == source.name {
        return Err(where_it_is(wanted));
    }
    let mut changes = Vec::new();
    let whole = questions.is_empty() && rows.len() == known.len();
    if whole || !rows.is_empty() {
        let lets_in = |_: &str| false;
        let place =
            Goal { schema: &wanted.to, table, owner: &owner, role, service, matrix: &matrix, lets_in: &lets_in };
        changes = into_place(snapshot, source, &wanted.from, &rows, &place)?;
        if !may(catalog, &matrix, role, &wanted.to, Privilege::Usage) && catalog.role_named(role).is_some() {
            changes.push(Change::Grant {
                privileges: Privilege::Usage.into(),
                on: On::Schema(wanted.to.clone()),
                to: Grantee::Role(role.to_owned()),
            });
        }
    }
    let after = predict::predict(snapshot, &changes)?;
    let mut plan = build::of_changes(snapshot, changes)?;
    let mut goals = vec![(role.to_owned(), table.to_owned(), wanted.to.clone())];
    goals.extend(declared(services, &after, table, role));
    let mut names = BTreeSet::from([table.to_owned()]);
    if table != source.name {
        goals.extend(declared(services, &after, &source.name, role));
        names.insert(source.name.clone());
    }
    let whereabouts = whereabouts(snapshot, &after, &names, &goals);
    let stays = if wanted.from != wanted.to && !plan.is_empty() {
        staying(snapshot, &wanted.from, &[role, &owner], lineage)
    } else {
        Vec::new()
    };
    let mut path = vec![wanted.to.clone()];
    path.extend((!stays.is_empty()).then(|| wanted.from.clone()));
    for place in &whereabouts {
        let kind = if place.holds() { HazardKind::Note } else { HazardKind::Application };
        plan.notes.push(note(kind, place.sentence()));
        if place.role == role && place.table == table && !place.holds() {
            plan.notes.push(note(HazardKind::Application, setting(snapshot, role, &path, table)));
        }
    }
    if !stays.is_empty() {
        plan.notes.push(note(HazardKind::Application, stop_gap(&stays, wanted, role)));
    }
    if !plan.is_empty() {
        plan.notes.extend(configured(lineage, &wanted.to, table));
    }
    let renamed_as_configured = lineage.is_some_and(|l| l.version_table.as_deref() == Some(table));
    if table != source.name && !plan.is_empty() && !renamed_as_configured {
        let sentence = needs_the_name(&source.name, table, name.unwrap_or(role));
        plan.notes.push(note(HazardKind::Application, sentence));
    }
    if !whole && !plan.is_empty() && remains(snapshot, source, &rows).is_empty() {
        let sentence =
            format!("{}.{} stays, empty: drop it by hand once no application looks there.", wanted.from, source.name);
        plan.notes.push(note(HazardKind::Note, sentence));
    }
    if known.is_empty() {
        plan.notes.push(note(HazardKind::Note, "The table holds no revision: its application begins from nothing."));
    }
    Ok(Proposal { plan: plan.called(wanted.asked()), questions, whereabouts, service: None })
}

/// What the tables that stay mean for the application.
fn stop_gap(stays: &[String], wanted: &Wanted, role: &str) -> String {
    let Wanted { from, to, .. } = wanted;
    let tables = match stays {
        [one] => format!("Table {one} stays"),
        several => format!("{} tables stay", several.len()),
    };
    format!(
        "{tables} in {from}: a stop-gap. With {to} before {from} in its search_path {role} upgrades and downgrades, but what it \
         makes goes to {to}, an index on a table that stays needs CREATE on {from}, and autogenerate sees whatever stands \
         there. `pgmoat isolate` takes the tables along."
    )
}

/// What the application's own configuration says otherwise: it would not find its version table there.
pub(super) fn configured(lineage: Option<&Lineage>, schema: &str, table: &str) -> Option<Hazard> {
    let lineage = lineage?;
    let otherwise = lineage.looks_elsewhere(schema, table)?;
    let sentence = format!(
        "The env.py of {} says {otherwise}: change it together with this, or it does not find its version table.",
        lineage.service
    );
    Some(note(HazardKind::Application, sentence))
}

/// What an application needs whose version table is called otherwise from then on.
fn needs_the_name(was: &str, table: &str, whose: &str) -> String {
    format!(
        "The policy says that {whose} looks for {table}, so that is its name now. An application that is configured with \
         version_table={was:?} needs version_table={table:?} instead; where that is to stay, say version_table = {was:?} \
         for {whose} in the policy first."
    )
}

/// Tables of the application in the schema that its version table leaves: its role's or its owner's, or such as its scripts
/// create.
fn staying(snapshot: &Snapshot, from: &str, people: &[&str], lineage: Option<&Lineage>) -> Vec<String> {
    let catalog = &snapshot.catalog;
    let own: Vec<Oid> =
        people.iter().filter_map(|name| catalog.role_named(name)).filter(|r| !r.superuser).map(|r| r.oid).collect();
    let made = lineage.map(Lineage::tables).unwrap_or_default();
    let versions: Vec<Oid> = snapshot.versions.0.iter().filter(|v| v.shape).map(|v| v.oid).collect();
    let of = catalog.schema_named(from).and_then(|schema| snapshot.objects.0.get(&schema.oid));
    of.into_iter()
        .flat_map(|list| &list.relations)
        .filter(|o| matches!(o.kind, Kind::Table | Kind::Partitioned) && !o.extension && !versions.contains(&o.oid))
        .filter(|o| own.contains(&o.owner) || made.contains(o.name.as_str()))
        .map(|o| o.name.clone())
        .collect()
}

/// What the application needs so that it looks where its version table is.
fn setting(snapshot: &Snapshot, role: &str, path: &[String], table: &str) -> String {
    let schema = path.first().map(String::as_str).unwrap_or_default();
    let change = Change::SetRoleSetting {
        role: role.to_owned(),
        database: Some(snapshot.server.database.clone()),
        name: "search_path".to_owned(),
        value: Some(path.to_vec()),
    };
    let sql = crate::plan::sql::statements(&change).join(" ");
    let custom = if table == "alembic_version" { String::new() } else { format!(", version_table={table:?}") };
    format!(
        "{role} needs one of two: {sql} or version_table_schema={schema:?}{custom} in the context.configure() of its \
         env.py."
    )
}

/// The version table that is meant.
pub(super) fn source<'a>(
    snapshot: &'a Snapshot,
    schema: &str,
    table: Option<&str>,
) -> Result<&'a VersionTable, Refused> {
    let oid = snapshot.catalog.schema_named(schema).map(|s| s.oid);
    let here: Vec<&VersionTable> =
        snapshot.versions.0.iter().filter(|v| Some(v.schema) == oid && v.shape && v.plain).collect();
    let found = match (table, here.as_slice()) {
        (Some(name), _) => here.iter().find(|v| v.name == name),
        (None, [one]) => Some(one),
        (None, _) => here.iter().find(|v| v.name == "alembic_version"),
    };
    let found = found.copied().ok_or_else(|| {
        let names: Vec<&str> = here.iter().map(|v| v.name.as_str()).collect();
        match (table, names.as_slice()) {
            (Some(name), []) => Refused::new(format!("there is no version table {schema}.{name}")),
            (Some(name), _) => Refused::new(match text::nearest(name, names.iter().copied()) {
                Some(near) => format!("there is no version table {schema}.{name}; the nearest is {near}"),
                None => format!(
                    "there is no version table {schema}.{name}; there {} {}",
                    if names.len() == 1 { "is" } else { "are" },
                    text::list(&names, 6)
                ),
            }),
            (None, []) => Refused::new(format!("there is no version table in schema {schema}")),
            (None, _) => Refused::new(format!(
                "schema {schema} has several version tables: name one of {}",
                text::list(&names, 6)
            )),
        }
    })?;
    match &found.rows {
        VersionRows::Known(_) => Ok(found),
        VersionRows::Locked(_) => {
            Err(Refused::new(format!("the rows of {schema}.{} are not known: a migration holds it", found.name)))
        }
        rows => Err(Refused::new(format!("the rows of {schema}.{} are not known: {}", found.name, unread(rows)))),
    }
}

/// Rows that go, and rows that nobody can tell.
pub(super) struct Chosen {
    pub rows: Vec<String>,
    pub questions: Vec<Question>,
    /// Questions about rows that no script knows: they are somebody else's where the service has a row.
    pub strange: Vec<Question>,
}

/// Whose rows are wanted, and what somebody said about them.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub service: Option<&'a str>,
    /// There are revision scripts of the service: a row that is not in them is not its own by being alone.
    pub scripts: bool,
    pub by_hand: &'a [String],
    pub answers: &'a Answers,
}

/// The rows of a service: by hand, by lineage, by answers.
pub(super) fn choose(of: &[Revision], asked: &Asked<'_>, table: &str) -> Result<Chosen, Refused> {
    let Asked { service, scripts, by_hand, answers } = *asked;
    let mut chosen = Chosen { rows: Vec::new(), questions: Vec::new(), strange: Vec::new() };
    let wanted = |row: &str| by_hand.iter().any(|r| r == row);
    let there: Vec<&str> = of.iter().map(|r| r.revision.as_str()).collect();
    if let Some(why) = not_there(by_hand, &there, table) {
        return Err(why);
    }
    if !by_hand.is_empty() {
        chosen.rows = of.iter().map(|r| r.revision.clone()).filter(|r| wanted(r)).collect();
        return Ok(chosen);
    }
    for row in of {
        let about = format!("row:{}", row.revision);
        let why = match (&row.place, service) {
            (Place::Head | Place::Behind(_), Some(service)) if row.services == [service] => {
                chosen.rows.push(row.revision.clone());
                continue;
            }
            (Place::Head | Place::Behind(_), Some(_)) => continue,
            (Place::Ambiguous, Some(service)) if !row.services.iter().any(|s| s == service) => continue,
            (Place::NoScripts, _) if of.len() == 1 && !scripts => {
                chosen.rows.push(row.revision.clone());
                continue;
            }
            (Place::Head | Place::Behind(_), None) => {
                format!("is {}'s, and no service is declared for the target", row.services.join(", "))
            }
            (Place::Ambiguous, _) => {
                format!("is known to {}, and nothing decides whose it is", row.services.join(", "))
            }
            (Place::Unknown, _) => "is in no known revision script".to_owned(),
            (Place::NoScripts, _) if scripts => "is in none of its revision scripts".to_owned(),
            (Place::NoScripts, _) => "is one of several, and there are no revision scripts to compare with".to_owned(),
        };
        match answers.get(&about) {
            Some(true) => chosen.rows.push(row.revision.clone()),
            Some(false) => {}
            None => {
                let unknown = matches!(row.place, Place::Unknown | Place::NoScripts) && scripts;
                let list = if unknown { &mut chosen.strange } else { &mut chosen.questions };
                list.push(Question {
                    about,
                    sentence: format!("Row {} of {table} {why}. Does it go?", row.revision),
                    flag: format!("--rows {}", row.revision),
                });
            }
        }
    }
    Ok(chosen)
}

fn whose(rows: &[Revision]) -> String {
    let of = |r: &Revision| match r.services.as_slice() {
        [] => format!("{} is nobody's", r.revision),
        names => format!("{} is {}'s", r.revision, names.join(" or ")),
    };
    text::list(&rows.iter().map(of).collect::<Vec<_>>(), 6)
}

fn remains(snapshot: &Snapshot, source: &VersionTable, rows: &[String]) -> Vec<String> {
    let of = snapshot.versions.0.iter().find(|v| v.oid == source.oid).and_then(|v| v.rows.known());
    of.unwrap_or_default().iter().filter(|r| !rows.contains(r)).cloned().collect()
}

/// Where it goes and whose it will be.
pub(super) struct Goal<'a> {
    pub schema: &'a str,
    /// What it is called there.
    pub table: &'a str,
    pub owner: &'a str,
    pub role: &'a str,
    pub service: Option<&'a Service>,
    pub matrix: &'a Matrix,
    /// Whether a role is let into the schema by the same plan.
    pub lets_in: &'a dyn Fn(&str) -> bool,
}

/// The changes that bring these rows, or the whole table when they are all, to where they belong.
pub(super) fn into_place(
    snapshot: &Snapshot,
    source: &VersionTable,
    from: &str,
    rows: &[String],
    goal: &Goal<'_>,
) -> Result<Vec<Change>, Refused> {
    let catalog = &snapshot.catalog;
    let name = goal.table.to_owned();
    let place = format!("{}.{name}", goal.schema);
    let target = catalog.schema_named(goal.schema).map(|s| s.oid);
    let objects = target.and_then(|oid| snapshot.objects.0.get(&oid));
    let taken = objects.is_some_and(|list| list.relations.iter().any(|o| o.name == name));
    let there = snapshot.versions.0.iter().find(|v| Some(v.schema) == target && v.name == name);
    let object = || ObjectRef { kind: Kind::Table, schema: goal.schema.to_owned(), name: name.clone() };
    let owned = Change::SetOwner { object: object(), owner: goal.owner.to_owned() };
    let (schema, table) = (from.to_owned(), source.name.clone());
    let known = source.rows.known().unwrap_or_default();
    let mut changes = Vec::new();
    match there {
        None if taken => return Err(Refused::new(format!("{place} is there already and is no version table"))),
        None if rows.len() == known.len() => {
            if schema != goal.schema {
                changes.push(Change::MoveVersionTable { schema, name: table.clone(), to: goal.schema.to_owned() });
            }
            if table != name {
                let schema = goal.schema.to_owned();
                changes.push(Change::RenameVersionTable { schema, name: table, to: name.clone() });
            }
            if catalog.role_name(source.owner) != goal.owner {
                changes.push(owned);
            }
            changes.extend(without_writers(snapshot, source, goal));
        }
        None => {
            if let Some(long) = rows.iter().find(|r| r.chars().count() > WIDTH) {
                return Err(Refused::new(format!(
                    "{long} has {} characters, and a version table as Alembic makes it holds {WIDTH}: create {place} \
                     with a wider column first",
                    long.chars().count()
                )));
            }
            let (to, owner) = (goal.schema.to_owned(), goal.owner.to_owned());
            changes.push(Change::CreateVersionTable { schema: to, name: name.clone(), owner });
            changes.extend(carried(source, from, rows, goal));
        }
        Some(there) if !(there.shape && there.plain) => {
            return Err(Refused::new(format!("{place} is there already and is no version table")));
        }
        Some(there) => match &there.rows {
            VersionRows::Known(held) if held.is_empty() => {
                changes.extend(carried(source, from, rows, goal));
                if catalog.role_name(there.owner) != goal.owner {
                    changes.push(owned);
                }
            }
            VersionRows::Known(held) if held.len() == rows.len() && rows.iter().all(|r| held.contains(r)) => {
                // The same revision in both places: the service's own stays.
                changes.push(Change::DeleteVersionRows { schema, table, rows: rows.to_vec() });
            }
            VersionRows::Known(held) => {
                return Err(Refused::new(format!(
                    "{place} holds {} already, and {} would come: compare them, only a person can say which is right",
                    held.join(", "),
                    rows.join(", ")
                )));
            }
            unknown => {
                return Err(Refused::new(format!("the rows of {place} are not known: {}", unread(unknown))));
            }
        },
    }
    if goal.role != goal.owner && catalog.role_named(goal.role).is_some() {
        changes.push(Change::Grant {
            privileges: Privileges::of(&[Privilege::Select, Privilege::Insert, Privilege::Update, Privilege::Delete]),
            on: On::Objects { kind: ObjectKind::Table, schema: goal.schema.to_owned(), names: vec![name.clone()] },
            to: Grantee::Role(goal.role.to_owned()),
        });
    }
    Ok(changes)
}

/// The changes that write lost revisions into the service's own version table, which is made where it is not there; `comes`
/// when it is moved there by the same plan.
pub(super) fn written(
    snapshot: &Snapshot,
    rows: &[&str],
    goal: &Goal<'_>,
    comes: bool,
) -> Result<Vec<Change>, Refused> {
    let name = goal.table;
    let place = format!("{}.{name}", goal.schema);
    let target = snapshot.catalog.schema_named(goal.schema).map(|s| s.oid);
    let objects = target.and_then(|oid| snapshot.objects.0.get(&oid));
    let taken = objects.is_some_and(|list| list.relations.iter().any(|o| o.name == name));
    let there = snapshot.versions.0.iter().find(|v| Some(v.schema) == target && v.name == name);
    let (schema, owner) = (goal.schema.to_owned(), goal.owner.to_owned());
    let mut changes = Vec::new();
    if let Some(long) = rows.iter().find(|r| r.chars().count() > WIDTH) {
        return Err(Refused::new(format!(
            "{long} has {} characters, and a version table as Alembic makes it holds {WIDTH}",
            long.chars().count()
        )));
    }
    match there {
        _ if comes => {}
        None if taken => return Err(Refused::new(format!("{place} is there already and is no version table"))),
        None => changes.push(Change::CreateVersionTable { schema: schema.clone(), name: name.to_owned(), owner }),
        Some(there) if !(there.shape && there.plain) => {
            return Err(Refused::new(format!("{place} is there already and is no version table")));
        }
        Some(there) => match &there.rows {
            VersionRows::Known(held) if held.is_empty() => {
                if snapshot.catalog.role_name(there.owner) != goal.owner {
                    let object = ObjectRef { kind: Kind::Table, schema: schema.clone(), name: name.to_owned() };
                    changes.push(Change::SetOwner { object, owner });
                }
            }
            VersionRows::Known(held) => {
                return Err(Refused::new(format!("{place} holds {} already: it is not lost", held.join(", "))));
            }
            unknown => {
                return Err(Refused::new(format!("the rows of {place} are not known: {}", unread(unknown))));
            }
        },
    }
    let rows = rows.iter().map(|r| (*r).to_owned()).collect();
    changes.push(Change::InsertVersionRows { schema, table: name.to_owned(), rows });
    Ok(changes)
}

/// Rows to the table of another place: in one statement where both have one name.
fn carried(source: &VersionTable, from: &str, rows: &[String], goal: &Goal<'_>) -> Vec<Change> {
    let (schema, table, to) = (from.to_owned(), source.name.clone(), goal.schema.to_owned());
    let rows = rows.to_vec();
    if rows.is_empty() {
        return Vec::new();
    }
    if table == goal.table {
        return vec![Change::MoveVersionRows { schema, table, to, rows }];
    }
    vec![
        Change::DeleteVersionRows { schema, table, rows: rows.clone() },
        Change::InsertVersionRows { schema: to, table: goal.table.to_owned(), rows },
    ]
}

/// A version table that was shared was writable by others; in its service's schema it is the service's alone. Who may not
/// use that schema keeps nothing of it: it would be dead.
fn without_writers(snapshot: &Snapshot, source: &VersionTable, goal: &Goal<'_>) -> Vec<Change> {
    let catalog = &snapshot.catalog;
    let writes = Privileges::of(&[
        Privilege::Insert,
        Privilege::Update,
        Privilege::Delete,
        Privilege::Truncate,
        Privilege::Trigger,
    ]);
    let mut changes = Vec::new();
    let objects = snapshot.objects.0.get(&source.schema);
    let object = objects.and_then(|list| list.relations.iter().find(|o| o.oid == source.oid));
    let list = object.map_or(&source.acl, |o| &o.acl).0.as_deref().unwrap_or_default();
    // What was passed on is taken before the option that it was passed on with.
    let mut entries: Vec<&AclEntry> = list.iter().collect();
    entries.sort_by_key(|e| std::cmp::Reverse(depth(list, source.owner, e.grantor)));
    for entry in entries {
        let name = catalog.role_name(entry.grantee);
        // what PUBLIC holds is for whoever may use the schema
        let uses = entry.is_public()
            || may(catalog, goal.matrix, &name, goal.schema, Privilege::Usage)
            || (goal.lets_in)(&name);
        let lost = if uses { entry.privileges.and(writes) } else { entry.privileges };
        let creator = goal.service.is_some_and(|s| s.creators.contains(&name));
        let superuser = catalog.role(entry.grantee).is_some_and(|r| r.superuser);
        if lost.is_empty() || entry.grantee == source.owner || name == goal.owner || name == goal.role {
            continue;
        }
        if creator || superuser {
            continue;
        }
        let by = catalog.role_name(entry.grantor);
        changes.push(Change::Revoke {
            privileges: lost,
            on: On::Objects {
                kind: ObjectKind::Table,
                schema: goal.schema.to_owned(),
                names: vec![goal.table.to_owned()],
            },
            from: if entry.is_public() { Grantee::Public } else { Grantee::Role(name) },
            option_only: false,
            grantor: (entry.grantor != source.owner && by != goal.owner).then_some(by),
        });
    }
    changes
}

/// Where the other declared services should find theirs.
fn declared(services: &[Service], after: &Snapshot, table: &str, but: &str) -> Vec<(String, String, String)> {
    let stands = |schema: &str| {
        let oid = after.catalog.schema_named(schema).map(|s| s.oid);
        after.versions.0.iter().any(|v| Some(v.schema) == oid && v.name == table)
    };
    services
        .iter()
        .filter(|s| s.role != but && s.version_table.as_deref() == Some(table))
        .filter_map(|s| Some((s.role.clone(), table.to_owned(), s.schemas.first().filter(|n| stands(n))?.clone())))
        .collect()
}

/// Schemas whose objects must be in the snapshot before [`plan`] can be asked.
#[must_use]
pub fn schemas(wanted: &Wanted) -> [&str; 2] {
    [&wanted.from, &wanted.to]
}

#[cfg(test)]
mod tests {
    use super::{super::whereabouts::Whereabouts, *};
    use crate::{
        domain::alembic::tests::{lineage, lineages},
        plan::{build::Stale, moves::tests::assert_there_and_back},
        policy::checks::fixture::Fixture,
    };

    const POLICY: &str = "[[service]]\nname='langflow'\nschema='langflow'\nrole='langflow_app'\n\
                          [[service]]\nname='engarde'\nschema='public'\nrole='engarde_app'\n";

    fn shared(rows: &[&str]) -> Fixture {
        let mut f = Fixture::new()
            .role("engarde_app")
            .role("langflow_app")
            .schema("langflow", "langflow_app")
            .table("langflow", "flow", "langflow_app")
            .table("public", "tenants", "engarde_app")
            .version_table("public", "alembic_version", "engarde_app", Some(rows))
            .grant("public.alembic_version", "langflow_app", "SELECT, INSERT, UPDATE, DELETE")
            .policy(POLICY);
        f.lineages =
            lineages([lineage("langflow", &["l1", "l2 < l1", "both"]), lineage("engarde", &["e1", "e2 < e1", "both"])]);
        f
    }

    fn propose(f: Fixture, wanted: &Wanted) -> Result<Proposal, Refused> {
        let case = f.case();
        let proposal = plan(&case.snapshot, case.policy.as_ref(), &case.lineages, wanted)?;
        assert_there_and_back(&case.snapshot, &proposal.plan);
        Ok(proposal)
    }

    fn sql(proposal: &Proposal) -> Vec<&str> {
        proposal.plan.statements().collect()
    }

    fn to_langflow() -> Wanted {
        Wanted { from: "public".into(), to: "langflow".into(), ..Wanted::default() }
    }

    #[test]
    fn two_lineages_in_one_table_are_split() {
        let proposal = propose(shared(&["e2", "l2"]), &to_langflow()).unwrap();
        assert_eq!(proposal.questions, []);
        assert_eq!(
            sql(&proposal),
            [
                "CREATE TABLE langflow.alembic_version (version_num varchar(32) NOT NULL, CONSTRAINT \
                 alembic_version_pkc PRIMARY KEY (version_num));",
                "ALTER TABLE langflow.alembic_version OWNER TO langflow_app;",
                "WITH moved AS (DELETE FROM public.alembic_version WHERE version_num IN ('l2') RETURNING version_num) \
                 INSERT INTO langflow.alembic_version (version_num) SELECT version_num FROM moved;",
            ]
        );
        let langflow = proposal.whereabouts.iter().find(|w| w.role == "langflow_app").unwrap();
        assert!(!langflow.holds(), "{langflow:?}: nothing gave it a search path");
        let engarde = proposal.whereabouts.iter().find(|w| w.role == "engarde_app").unwrap();
        assert!(engarde.holds() && engarde.after.as_deref() == Some("public"), "{engarde:?}");
        let notes: Vec<&str> = proposal.plan.notes.iter().map(|n| n.sentence.as_str()).collect();
        let setting = "ALTER ROLE langflow_app IN DATABASE engarde SET search_path = langflow;";
        assert!(notes.iter().any(|n| n.contains(setting) && n.contains("version_table_schema")), "{notes:#?}");
    }

    #[test]
    fn rows_that_go_without_their_tables_are_a_stop_gap_and_that_is_said() {
        let f = shared(&["e2", "l2"]).table("public", "vertex", "langflow_app");
        let proposal = propose(f, &to_langflow()).unwrap();
        let notes: Vec<&str> = proposal.plan.notes.iter().map(|n| n.sentence.as_str()).collect();
        let setting = "ALTER ROLE langflow_app IN DATABASE engarde SET search_path = langflow, public;";
        assert!(notes.iter().any(|n| n.contains(setting)), "{notes:#?}");
        assert!(notes.iter().any(|n| n.starts_with("Table vertex stays in public: a stop-gap")), "{notes:#?}");
        let whole = propose(shared(&["e2", "l2"]), &to_langflow()).unwrap();
        assert!(!whole.plan.notes.iter().any(|n| n.sentence.contains("stop-gap")));
    }

    #[test]
    fn a_table_of_one_service_moves_as_it_is_and_others_stop_writing_it() {
        let f = shared(&["l2"]).grant("public.alembic_version", "PUBLIC", "SELECT, INSERT").setting(
            Some("langflow_app"),
            true,
            "search_path",
            "langflow",
        );
        let proposal = propose(f, &to_langflow()).unwrap();
        assert_eq!(
            sql(&proposal),
            [
                "ALTER TABLE public.alembic_version SET SCHEMA langflow;",
                "ALTER TABLE langflow.alembic_version OWNER TO langflow_app;",
                "REVOKE INSERT ON TABLE langflow.alembic_version FROM PUBLIC;",
            ]
        );
        assert!(proposal.whereabouts.iter().find(|w| w.role == "langflow_app").unwrap().holds());
        let engarde = proposal.whereabouts.iter().find(|w| w.role == "engarde_app").unwrap();
        assert_eq!((engarde.before.as_deref(), engarde.after.as_deref()), (Some("public"), None));
        assert!(!engarde.holds(), "its next start begins from nothing, and that is said");
    }

    #[test]
    fn what_nothing_decides_is_asked_and_never_guessed() {
        let proposal = propose(shared(&["both", "e2", "zz"]), &to_langflow()).unwrap();
        assert!(proposal.plan.is_empty(), "{:?}", sql(&proposal));
        let asked: Vec<(&str, &str)> = proposal.questions.iter().map(|q| (q.about.as_str(), q.flag.as_str())).collect();
        assert_eq!(asked, [("row:both", "--rows both"), ("row:zz", "--rows zz")]);
        let answers = Answers::from([("row:both".to_owned(), true), ("row:zz".to_owned(), false)]);
        let proposal = propose(shared(&["both", "e2", "zz"]), &Wanted { answers, ..to_langflow() }).unwrap();
        assert_eq!(proposal.questions, []);
        assert!(sql(&proposal)[2].contains("IN ('both')"), "{:?}", sql(&proposal));
        let by_hand = Wanted { rows: vec!["zz".into(), "both".into()], ..to_langflow() };
        let proposal = propose(shared(&["both", "e2", "zz"]), &by_hand).unwrap();
        assert!(sql(&proposal)[2].contains("IN ('both', 'zz')"), "{:?}", sql(&proposal));
    }

    #[test]
    fn an_empty_table_that_waits_there_is_used() {
        let f = shared(&["e2", "l2"]).version_table("langflow", "alembic_version", "engarde_app", Some(&[]));
        let proposal = propose(f, &to_langflow()).unwrap();
        let sql = sql(&proposal);
        assert_eq!(sql.len(), 2, "{sql:?}");
        assert!(sql[0].starts_with("WITH moved AS (DELETE FROM public.alembic_version"), "{sql:?}");
        assert_eq!(sql[1], "ALTER TABLE langflow.alembic_version OWNER TO langflow_app;");
    }

    #[test]
    fn a_target_that_holds_something_else_is_refused_and_the_same_twice_is_cleaned() {
        let with = |rows: &[&str]| {
            shared(&["e2", "l2"]).version_table("langflow", "alembic_version", "langflow_app", Some(rows))
        };
        let why = propose(with(&["l1"]), &to_langflow()).unwrap_err().to_string();
        assert!(why.contains("langflow.alembic_version holds l1 already, and l2 would come"), "{why}");
        // Its own place has the same revision: that one stays, by hand since the lineage's home already holds it.
        let proposal = propose(with(&["l2"]), &Wanted { rows: vec!["l2".into()], ..to_langflow() }).unwrap();
        assert_eq!(sql(&proposal), ["DELETE FROM public.alembic_version WHERE version_num IN ('l2');"]);
        let why = propose(
            shared(&["e2"]).table("langflow", "alembic_version", "langflow_app"),
            &Wanted { rows: vec!["e2".into()], ..to_langflow() },
        );
        assert!(why.unwrap_err().to_string().contains("is no version table"));
    }

    /// The table of langflow under a name of its own, beside the one of its neighbour.
    fn named() -> Fixture {
        shared(&["e2"]).version_table("public", "alembic_version_langflow", "langflow_app", Some(&["l2"])).setting(
            Some("langflow_app"),
            true,
            "search_path",
            "langflow",
        )
    }

    fn of_langflow() -> Wanted {
        Wanted { table: Some("alembic_version_langflow".into()), ..to_langflow() }
    }

    #[test]
    fn a_table_of_another_name_gets_the_one_that_its_service_looks_for() {
        let proposal = propose(named(), &of_langflow()).unwrap();
        assert_eq!(
            sql(&proposal),
            [
                "ALTER TABLE public.alembic_version_langflow SET SCHEMA langflow;",
                "ALTER TABLE langflow.alembic_version_langflow RENAME TO alembic_version;",
            ]
        );
        let notes: Vec<&str> = proposal.plan.notes.iter().map(|n| n.sentence.as_str()).collect();
        assert!(notes.iter().any(|n| n.contains("needs version_table=\"alembic_version\" instead")), "{notes:#?}");
        let langflow = proposal.whereabouts.iter().find(|w| w.role == "langflow_app" && w.table == "alembic_version");
        assert!(langflow.is_some_and(Whereabouts::holds), "{:?}", proposal.whereabouts);
    }

    #[test]
    fn a_reader_who_may_not_use_the_new_schema_keeps_no_dead_right() {
        let f = || {
            shared(&["l2"]).role("dash").role("lead").grant("public.alembic_version", "dash", "SELECT").grant(
                "public.alembic_version",
                "lead",
                "SELECT",
            )
        };
        let taken = |f: Fixture| -> Vec<String> {
            let proposal = propose(f.grant_schema("langflow", "lead", "USAGE"), &to_langflow()).unwrap();
            sql(&proposal).into_iter().filter(|s| s.contains("dash") || s.contains("lead")).map(str::to_owned).collect()
        };
        assert_eq!(taken(f()), ["REVOKE SELECT ON TABLE langflow.alembic_version FROM dash;"]);
    }

    #[test]
    fn what_the_application_is_configured_with_is_held_against_its_new_place() {
        let notes = |table: Option<&str>, schema: Option<&str>| {
            let mut f = named();
            let lineage = f.lineages.0.get_mut("langflow").unwrap();
            (lineage.version_table, lineage.version_table_schema) = (table.map(Into::into), schema.map(Into::into));
            let notes = propose(f, &of_langflow()).unwrap().plan.notes;
            notes
                .into_iter()
                .map(|n| n.sentence)
                .filter(|n| n.contains("version_table=") || n.contains("env.py"))
                .collect()
        };
        let told: Vec<String> = notes(Some("alembic_version_langflow"), Some("public"));
        assert!(
            told.iter().any(|n| n.contains("version_table_schema=\"public\", not \"langflow\" and version_table=")),
            "{told:#?}"
        );
        assert_eq!(notes(Some("alembic_version"), None), [""; 0], "it is what the application looks for");
    }

    #[test]
    fn in_its_schema_already_it_is_renamed_and_under_a_declared_name_it_keeps_it() {
        let stands = |rows: &[&str]| {
            shared(&["e2"]).version_table("langflow", "alembic_version_langflow", "langflow_app", Some(rows))
        };
        let wanted = Wanted { from: "langflow".into(), ..of_langflow() };
        let proposal = propose(stands(&["l2"]), &wanted).unwrap();
        assert_eq!(sql(&proposal), ["ALTER TABLE langflow.alembic_version_langflow RENAME TO alembic_version;"]);
        let policy =
            POLICY.replace("role='langflow_app'\n", "role='langflow_app'\nversion_table='alembic_version_langflow'\n");
        let why = propose(stands(&["l2"]).policy(&policy), &wanted).unwrap_err().to_string();
        assert!(why.contains("where it is already"), "{why}");
        let proposal = propose(named().policy(&policy), &of_langflow()).unwrap();
        assert_eq!(sql(&proposal), ["ALTER TABLE public.alembic_version_langflow SET SCHEMA langflow;"]);
    }

    #[test]
    fn where_the_name_is_taken_rows_are_compared() {
        let with = |rows: &[&str]| named().version_table("langflow", "alembic_version", "langflow_app", Some(rows));
        let proposal = propose(with(&[]), &of_langflow()).unwrap();
        assert_eq!(
            sql(&proposal),
            [
                "DELETE FROM public.alembic_version_langflow WHERE version_num IN ('l2');",
                "INSERT INTO langflow.alembic_version (version_num) VALUES ('l2');",
            ]
        );
        let two_empty = shared(&[]).version_table("langflow", "alembic_version", "langflow_app", Some(&[]));
        assert_eq!(sql(&propose(two_empty, &to_langflow()).unwrap()), [""; 0]);
        let proposal = propose(with(&["l2"]), &Wanted { rows: vec!["l2".into()], ..of_langflow() }).unwrap();
        assert_eq!(sql(&proposal), ["DELETE FROM public.alembic_version_langflow WHERE version_num IN ('l2');"]);
        let why = propose(with(&["l1"]), &of_langflow()).unwrap_err().to_string();
        assert!(why.contains("langflow.alembic_version holds l1 already, and l2 would come"), "{why}");
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        let long = "x".repeat(33);
        let cases = [
            (Wanted { from: "nowhere".into(), ..to_langflow() }, "there is no schema nowhere"),
            (Wanted { to: "public".into(), ..to_langflow() }, "where it is already"),
            (Wanted { table: Some("other".into()), ..to_langflow() }, "there is alembic_version"),
            (Wanted { rows: vec!["q".into()], ..to_langflow() }, "holds no row q; it holds"),
            (Wanted { owner: Some("nobody".into()), ..to_langflow() }, "there is no role nobody"),
            (Wanted { rows: vec![long.clone()], ..to_langflow() }, "33 characters"),
        ];
        for (wanted, expected) in cases {
            let why = propose(shared(&["e2", &long]), &wanted).unwrap_err().to_string();
            assert!(why.contains(expected), "{why}");
        }
        let why = propose(shared(&["e2"]), &to_langflow()).unwrap_err().to_string();
        assert!(why.contains("no row of public.alembic_version is langflow's: e2 is engarde's"), "{why}");
    }

    #[test]
    fn an_owner_that_is_not_the_role_leaves_the_role_what_alembic_needs() {
        let mut f = shared(&["l2"]).role("boss").revoke(
            "public.alembic_version",
            "langflow_app",
            "SELECT, INSERT, UPDATE, DELETE",
        );
        f = f.policy(&POLICY.replace("role='langflow_app'\n", "role='langflow_app'\nowner='boss'\n"));
        let proposal = propose(f, &to_langflow()).unwrap();
        let sql = sql(&proposal);
        assert!(sql.contains(&"ALTER TABLE langflow.alembic_version OWNER TO boss;"), "{sql:?}");
        let grant = "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE langflow.alembic_version TO langflow_app;";
        assert!(sql.contains(&grant), "{sql:?}");
    }

    #[test]
    fn what_was_not_done_is_not_taken_back() {
        let case = shared(&["e2", "l2"]).case();
        let proposal = plan(&case.snapshot, case.policy.as_ref(), &case.lineages, &to_langflow()).unwrap();
        assert!(matches!(build::back(&case.snapshot, &proposal.plan), Err(Stale::Moved(_))));
    }

    #[test]
    fn what_was_passed_on_is_taken_before_the_option() {
        let f = shared(&["l2"])
            .role("aa")
            .role("bb")
            .grant_with_option("public.alembic_version", "aa", "INSERT")
            .grant_by("public.alembic_version", "bb", "INSERT", Some("aa"), false);
        let proposal = propose(f, &to_langflow()).unwrap();
        let sql = sql(&proposal);
        let place = |text: &str| sql.iter().position(|s| *s == text).unwrap_or_else(|| panic!("{text}: {sql:#?}"));
        let bb = place("REVOKE INSERT ON TABLE langflow.alembic_version FROM bb;");
        assert!(bb < place("REVOKE INSERT ON TABLE langflow.alembic_version FROM aa;"), "{sql:#?}");
    }
}
