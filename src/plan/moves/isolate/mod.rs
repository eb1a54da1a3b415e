//! One service out of a schema that it shares: role and schema, its tables with what belongs to them, its rows of the
//! version table, ownership, readers, defaults, search path, extensions left within reach. One plan, one transaction. What
//! belongs to it is proposed from its revision scripts; what they leave open is asked.

mod belongs;
mod extensions;
mod readers;

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};

use self::{
    belongs::{Claims, lost, rows, seeds, unsaid},
    extensions::extensions,
    readers::{readers, undeclared_readers},
};
use super::{
    Answers, Proposal, note,
    objects::{Choice, Mover},
    tables::once,
    versions::{self, Goal},
    whereabouts::whereabouts,
};
use crate::{
    domain::{
        ObjectKind,
        alembic::{Lineage, Lineages},
        change::{Change, Grantee, RoleAttributes},
        dependencies::Dependencies,
        effective::Matrix,
        snapshot::{Snapshot, VersionTable},
    },
    plan::{Hazard, HazardKind, Refused, build, predict, setup},
    policy::{Finding, Policy, Service, Undeclared, judgement::Judgement, versions::Versions},
    text,
};

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    pub from: String,
    pub schema: String,
    pub role: String,
    /// Name of the service, under which its lineage is given; default: the policy's for that schema, or the schema's.
    pub service: Option<String>,
    /// Globs; with `!` in front what stays. They decide about types, sequences, views and routines, too.
    pub tables: Vec<String>,
    pub rows: Vec<String>,
    /// Revisions that its tables stand at and that no version table holds any more: written into its own. [`NONE`] alone
    /// says that it goes without one.
    pub lost: Vec<String>,
    /// Default: every version table of the shared schema that holds a row of the service.
    pub version_tables: Vec<String>,
    /// Roles that go on reading; with `!` in front those that stop. `PUBLIC` is everybody.
    pub keep_readers: Vec<String>,
    /// Where extensions stand that it needs; the shared schema's own name leaves them there.
    pub extensions_schema: Option<String>,
    /// Sets a password for a role that is made.
    pub password: bool,
    pub answers: Answers,
}

/// In place of a lost revision: there is none. No revision is called so, Alembic forbids it.
pub const NONE: &str = "-";

impl Wanted {
    /// What is asked for, in a few words.
    #[must_use]
    pub fn asked(&self) -> String {
        let service = self.service.as_ref().unwrap_or(&self.schema);
        format!("Isolate {service} from {} into {}", self.from, self.schema)
    }
}

/// A part of [`Wanted`] that can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    From,
    Schema,
    Role,
}

/// What keeps [`plan`] from planning, as far as names tell, part by part; cheap enough to be asked after every key.
#[must_use]
pub fn faults(snapshot: &Snapshot, wanted: &Wanted) -> Vec<(Part, Refused)> {
    let catalog = &snapshot.catalog;
    let mut faults = Vec::new();
    if catalog.schema_named(&wanted.from).is_none() {
        faults.push((Part::From, Refused::no_schema(catalog, &wanted.from)));
    }
    if wanted.from == wanted.schema {
        faults.push((Part::Schema, Refused::new(format!("{} is the shared schema itself", wanted.from))));
    } else if catalog.schema_named(&wanted.schema).is_none() {
        faults.extend(setup::name("schema", &wanted.schema).err().map(|why| (Part::Schema, why)));
    }
    if catalog.role_named(&wanted.role).is_none() {
        faults.extend(setup::name("role", &wanted.role).err().map(|why| (Part::Role, why)));
    }
    faults
}

/// The whole way of one service.
///
/// # Errors
/// [`Refused`]: names that cannot be, schemas that are not there, nothing that says what belongs to the service.
pub fn plan(
    snapshot: &Arc<Snapshot>,
    dependencies: &Dependencies,
    policy: Option<&Policy>,
    lineages: &Arc<Lineages>,
    wanted: &Wanted,
) -> Result<Proposal, Refused> {
    if let Some((_, why)) = faults(snapshot, wanted).into_iter().next() {
        return Err(why);
    }
    let catalog = &snapshot.catalog;
    let (new_schema, new_role) =
        (catalog.schema_named(&wanted.schema).is_none(), catalog.role_named(&wanted.role).is_none());
    let mut service = declare(policy, wanted);
    let lineage = lineages.of(&service.name);
    let standing = policy;
    let mut policy = policy.cloned().unwrap_or_else(|| Policy { undeclared: Undeclared::Ignore, ..Policy::default() });
    policy.services.retain(|s| s.name != service.name);
    policy.services.push(service.clone());

    let matrix = Matrix::new(catalog, &snapshot.server);
    let known = Versions::new(snapshot, Some(&policy), lineages, &matrix);
    let mut questions = Vec::new();
    let rows = rows(snapshot, &known, &service.name, lineage.is_some(), wanted, &mut questions)?;
    let lost = lost(&rows, lineage, &service.name, wanted)?;
    let open = !questions.is_empty();
    let claims = Claims { snapshot, dependencies, lineages, lineage, service: &service };
    let mut stands_at: Vec<&str> = rows.iter().flat_map(|(_, rows)| rows).map(String::as_str).collect();
    stands_at.extend(&lost);
    let seeds = seeds(&claims, &stands_at, wanted, &mut questions)?;
    if seeds.is_empty() && rows.is_empty() && questions.is_empty() {
        return Err(nothing(snapshot, &known, &service.name, wanted));
    }
    if let Some(question) = unsaid(snapshot, &known, &rows, lineage, &service.name, wanted).filter(|_| !open) {
        if wanted.answers.get(&question.about) == Some(&false) {
            return Err(Refused::new(format!(
                "{}'s revision is lost: it has to be named (lost revision)",
                service.name
            )));
        }
        questions.push(question);
    }
    let mover = Mover {
        snapshot,
        dependencies,
        from: &wanted.from,
        to: &wanted.schema,
        owner: Some(&wanted.role),
        choice: Choice { patterns: &wanted.tables, answers: Some(&wanted.answers) },
    };
    let bundle = mover.bundle(&seeds);
    // before anything is asked: what is certain to go must have room
    if let Some(why) = predict::refused_for(&mover.clashes(&bundle.going)) {
        return Err(why);
    }
    questions.extend(bundle.questions.iter().cloned());
    for question in &mut questions {
        let name = question.about.strip_prefix("table:");
        let object = name.and_then(|name| mover.object_named(name));
        if let Some(why) = object.and_then(|o| predict::refused_for(&mover.clashes(&[o]))) {
            question.sentence = format!("{} (It cannot yet: {why}.)", question.sentence);
        }
    }

    let mut first = Vec::new();
    if new_role {
        let attributes = RoleAttributes { login: Some(true), ..RoleAttributes::default() };
        first.push(Change::CreateRole { name: wanted.role.clone(), attributes });
    }
    if new_schema {
        first.push(Change::CreateSchema { name: wanted.schema.clone(), owner: wanted.role.clone() });
    }
    let (schema, role) = (wanted.schema.as_str(), wanted.role.as_str());
    let kept = Choice { patterns: &wanted.keep_readers, answers: Some(&wanted.answers) };
    let lets_in = |name: &str| {
        let keeps = kept.of(&format!("reader:{name}"), name) == Some(true);
        keeps && mover.lets_in(&matrix, &Grantee::Role(name.to_owned()))
    };
    let goal =
        |table| Goal { schema, table, owner: role, role, service: Some(&service), matrix: &matrix, lets_in: &lets_in };
    for (table, rows) in &rows {
        first.extend(versions::into_place(snapshot, table, &wanted.from, rows, &goal(&table.name))?);
    }
    let mut tables: BTreeSet<String> = rows.iter().map(|(table, _)| table.name.clone()).collect();
    let by_hand = wanted.version_tables.first().or(service.version_table.as_ref());
    let mut named = rows.first().map(|(table, _)| table.name.clone()).or_else(|| by_hand.cloned());
    named = named.or_else(|| lineage.and_then(|l| l.version_table.clone()));
    if !lost.is_empty() {
        let name = named.get_or_insert_with(|| "alembic_version".to_owned()).clone();
        first.extend(versions::written(snapshot, &lost, &goal(&name), !rows.is_empty())?);
        tables.insert(name);
    }
    first.extend(mover.changes(&bundle));
    let mut path = vec![wanted.schema.clone()];
    let mut said = Vec::new();
    path.extend(extensions(snapshot, &bundle.extensions, wanted, &mut first, &mut questions, &mut said)?);
    let after = predict::predict(snapshot, &first)?;
    first.extend(mover.rights(&bundle, &after));
    let held = mover.grantees(&bundle, &[&wanted.role]);
    let names: Vec<String> =
        bundle.going.iter().filter(|o| o.kind.object_kind() == ObjectKind::Table).map(|o| o.name.clone()).collect();
    let (of_readers, stay) = readers(&mover, &matrix, &bundle, wanted, &held, &names, &mut questions);
    first.extend(of_readers);

    service.search_path = Some(path.clone());
    let there = catalog.schema_named(&wanted.schema).and_then(|s| {
        let here = |v: &&VersionTable| v.schema == s.oid && v.shape && v.plain;
        snapshot.versions.0.iter().find(here).map(|v| v.name.clone())
    });
    service.version_table = named.filter(|_| !tables.is_empty()).or(there);
    policy.services.retain(|s| s.name != service.name);
    policy.services.push(service.clone());
    let mut last = vec![Change::SetRoleSetting {
        role: wanted.role.clone(),
        database: Some(snapshot.server.database.clone()),
        name: "search_path".to_owned(),
        value: Some(path),
    }];
    if wanted.password && new_role {
        last.push(Change::SetPassword { role: wanted.role.clone() });
    }
    let judgement = Judgement::new(Arc::clone(snapshot), Some(Arc::new(policy)), Arc::clone(lineages), None);
    let concerns = |f: &Finding| {
        const CODES: [&str; 5] = [
            "schema-owner",
            "role-cannot-login",
            "database-connect-missing",
            "grant-missing",
            "default-privilege-missing",
        ];
        // whoever the policy lets read what goes is let in where it goes, unless somebody said no
        let reader = matches!(f.code, "grant-missing" | "default-privilege-missing")
            && f.schema.as_deref() == Some(wanted.schema.as_str())
            && f.role.as_ref().is_none_or(|name| wanted.answers.get(&format!("reader:{name}")) != Some(&false));
        reader
            || CODES.contains(&f.code)
                && (f.role.as_deref() == Some(wanted.role.as_str())
                    || f.code == "schema-owner" && f.schema.as_deref() == Some(wanted.schema.as_str()))
    };
    let mut plan = build::converge_where(&judgement, &concerns, once(first), last)?;
    // What its set-up could not settle is said by the next check, not here.
    plan.left.clear();

    let after = predict::predict(snapshot, plan.steps.iter().map(|step| &step.change))?;
    let goals: Vec<_> = tables.iter().map(|t| (wanted.role.clone(), t.clone(), wanted.schema.clone())).collect();
    let whereabouts = whereabouts(snapshot, &after, &tables, &goals);
    plan.notes.extend(bundle.notes.into_iter().chain(said));
    for place in &whereabouts {
        let kind = if place.holds() { HazardKind::Note } else { HazardKind::Application };
        plan.notes.push(note(kind, place.sentence()));
    }
    plan.notes.extend(warnings(snapshot, lineage, wanted));
    let table = service.version_table.as_deref().filter(|_| !tables.is_empty());
    plan.notes.extend(table.and_then(|table| versions::configured(lineage, &wanted.schema, table)));
    plan.notes.extend(undeclared_readers(standing, &service, &stay, &wanted.schema));
    plan.notes.extend(of_the_revision(snapshot, lineage, wanted, &lost, &tables));
    let names = [("schema", wanted.schema.as_str(), new_schema), ("role", wanted.role.as_str(), new_role)];
    plan.notes.extend(setup::remarks(names.into_iter().filter(|(.., new)| *new).map(|(what, name, _)| (what, name))));
    let locks = plan.steps.iter().filter(|s| matches!(s.change, Change::SetSchema { .. })).count();
    if locks > 0 {
        let what = match locks {
            1 => "One object with its indexes and sequences is locked".to_owned(),
            n => format!("{n} objects with their indexes and sequences are locked together"),
        };
        let sentence = format!(
            "{what} until COMMIT, for some milliseconds: the old service should be stopped, its unqualified names lead \
             nowhere afterwards."
        );
        plan.notes.push(note(HazardKind::Lock, sentence));
    }
    questions.sort();
    questions.dedup();
    Ok(Proposal { plan: plan.called(wanted.asked()), questions, whereabouts, service: Some(service) })
}

/// The service as a policy would declare it afterwards.
fn declare(policy: Option<&Policy>, wanted: &Wanted) -> Service {
    let services = policy.map(|p| p.services.as_slice()).unwrap_or_default();
    let named = |s: &&Service| wanted.service.as_ref().is_some_and(|name| s.name == *name);
    let placed = |s: &&Service| wanted.service.is_none() && s.schemas.contains(&wanted.schema);
    let mut service = match services.iter().find(named).or_else(|| services.iter().find(placed)) {
        Some(known) => known.clone(),
        None => setup::declare(
            &setup::Wanted {
                name: wanted.service.clone(),
                version_table: false,
                connection_limit: None,
                password: false,
                close_public: false,
                ..setup::Wanted::new(&wanted.schema)
            },
            &wanted.role,
            &wanted.role,
        ),
    };
    service.schemas.retain(|s| *s != wanted.schema && *s != wanted.from);
    service.schemas.insert(0, wanted.schema.clone());
    service.role.clone_from(&wanted.role);
    service.owner.clone_from(&wanted.role);
    if !service.creators.contains(&wanted.role) {
        service.creators = vec![wanted.role.clone()];
    }
    service.access.remove(&wanted.from);
    service
}

/// Nothing was found that goes: what was looked at, and what can be said instead.
fn nothing(snapshot: &Snapshot, known: &Versions, service: &str, wanted: &Wanted) -> Refused {
    let from = snapshot.catalog.schema_named(&wanted.from).map(|s| s.oid);
    let mut why = format!(
        "no table and no revision in {} is {service}'s, going by its scripts. --tables (or --tables-from) names its \
         tables, --rows its revisions",
        wanted.from
    );
    let place = |oid| snapshot.catalog.schema_name(oid);
    let home = known.0.iter().find(|v| v.service.as_deref() == Some(service)).and_then(|v| {
        let table = snapshot.versions.0.get(v.table)?;
        Some(format!("{}.{}", place(table.schema), table.name))
    });
    if let Some(home) = home {
        let _ = write!(why, "; its revision stands in {home}");
    }
    let to = snapshot.catalog.schema_named(&wanted.schema).map(|s| s.oid);
    let uses = snapshot.shapes.iter().flat_map(|s| &s.foreign_uses);
    let only = uses.filter(|u| Some(u.schema) == from && to.is_some_and(|to| u.used_by == [to]));
    let names: Vec<String> = only.map(|u| format!("{} {}.{}", u.kind.word(), place(u.schema), u.name)).collect();
    if !names.is_empty() {
        let (list, verb) = (text::list(&names, 4), if names.len() == 1 { "is" } else { "are" });
        let of = &wanted.schema;
        let _ = write!(why, "; {list}, which only {of} uses, {verb} moved by the finding object-misplaced");
    }
    Refused::new(why)
}

/// What else somebody should know.
fn warnings(snapshot: &Snapshot, lineage: Option<&Lineage>, wanted: &Wanted) -> Vec<Hazard> {
    let catalog = &snapshot.catalog;
    let mut notes = Vec::new();
    if let Some(role) = catalog.role_named(&wanted.role) {
        if role.superuser {
            let sentence = format!("{} is a superuser: no schema holds it back. See replace-role.", wanted.role);
            notes.push(note(HazardKind::Application, sentence));
        }
        let groups: Vec<String> =
            catalog.memberships.iter().filter(|m| m.member == role.oid).map(|m| catalog.role_name(m.role)).collect();
        if !groups.is_empty() {
            let sentence =
                format!("{} stays a member of {}, with what that allows.", wanted.role, text::list(&groups, 4));
            notes.push(note(HazardKind::Note, sentence));
        }
    }
    if let Some(lineage) = lineage {
        let literal: Vec<&str> = lineage.naming_public().collect();
        if wanted.from == "public" && !literal.is_empty() {
            let sentence = format!(
                "Revisions {} name the schema public literally: in {} they may look in the wrong place.",
                text::list(&literal, 6),
                wanted.schema
            );
            notes.push(note(HazardKind::Application, sentence));
        }
    }
    notes
}

/// What follows from the revision that was given, or from there being none.
fn of_the_revision(
    snapshot: &Snapshot,
    lineage: Option<&Lineage>,
    wanted: &Wanted,
    lost: &[&str],
    tables: &BTreeSet<String>,
) -> Vec<Hazard> {
    let catalog = &snapshot.catalog;
    let mut notes = Vec::new();
    let of = |schema: &str| catalog.schema_named(schema).map(|s| s.oid);
    let home = of(&wanted.schema);
    if tables.is_empty() && !snapshot.versions.0.iter().any(|v| Some(v.schema) == home && v.shape) {
        let sentence = "No row of a version table goes: the application would begin from its first revision, and its \
                        tables are there already.";
        notes.push(note(HazardKind::Application, sentence));
    }
    let objects = [of(&wanted.from), home].into_iter().flatten().filter_map(|oid| snapshot.objects.0.get(&oid));
    let there: BTreeSet<&str> = objects.flat_map(|list| &list.relations).map(|o| o.name.as_str()).collect();
    for revision in lost {
        let missing: Vec<&str> =
            lineage.into_iter().flat_map(|l| l.tables_at(revision)).filter(|t| !there.contains(t)).collect();
        if !missing.is_empty() {
            let sentence = format!(
                "At {revision} its scripts have made {}, and it is not there: is that the revision?",
                text::list(&missing, 6)
            );
            notes.push(note(HazardKind::Application, sentence));
        }
    }
    let empty = |v: &&VersionTable| {
        Some(v.schema) == of(&wanted.from) && v.shape && v.plain && v.rows.known().is_some_and(<[String]>::is_empty)
    };
    for table in snapshot.versions.0.iter().filter(empty).filter(|_| !lost.is_empty()) {
        let sentence =
            format!("{}.{} stays, empty: drop it by hand once no application looks there.", wanted.from, table.name);
        notes.push(note(HazardKind::Note, sentence));
    }
    notes
}

#[cfg(test)]
mod tests;
