//! One service out of a schema that it shares: role and schema, its tables with what belongs to them, its rows of the
//! version table, ownership, readers, defaults, search path, extensions left within reach. One plan, one transaction. What
//! belongs to it is proposed from its revision scripts; what they leave open is asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};

use super::{
    Answers, Proposal, Question, note,
    objects::{Bundle, Choice, Held, Mover, quoted},
    tables::{once, relations},
    versions::{self, Asked, Chosen, Goal},
    whereabouts::whereabouts,
};
use crate::{
    domain::{
        ObjectKind, Oid, Privilege,
        alembic::{Lineage, Lineages},
        change::{Change, Grantee, On, RoleAttributes},
        dependencies::{Dependencies, Thing, Through},
        effective::Matrix,
        quote_ident,
        search_path::Paths,
        snapshot::{Kind, Role, Snapshot, VersionTable},
    },
    plan::{Hazard, HazardKind, Refused, build, predict, setup},
    policy::{
        Finding, Policy, Service, Undeclared,
        judgement::Judgement,
        versions::{Versions, copy_name},
    },
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
    let goal = |table| Goal { schema, table, owner: role, role, service: Some(&service) };
    for (table, rows) in &rows {
        first.extend(versions::into_place(snapshot, table, &wanted.from, rows, &goal(&table.name))?);
    }
    let mut tables: BTreeSet<String> = rows.iter().map(|(table, _)| table.name.clone()).collect();
    let by_hand = wanted.version_tables.first().or(service.version_table.as_ref());
    let mut named = rows.first().map(|(table, _)| table.name.clone()).or_else(|| by_hand.cloned());
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
    first.extend(readers(&mover, &bundle, wanted, &held, &names, &mut questions));

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
        CODES.contains(&f.code)
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
    plan.notes.extend(undeclared_readers(standing, &service, &held, wanted));
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

/// The version tables with the service's rows in them.
fn rows<'a>(
    snapshot: &'a Snapshot,
    known: &Versions,
    service: &str,
    scripts: bool,
    wanted: &Wanted,
    questions: &mut Vec<Question>,
) -> Result<Vec<(&'a VersionTable, Vec<String>)>, Refused> {
    let schema = snapshot.catalog.schema_named(&wanted.from).map(|s| s.oid);
    let here = snapshot.versions.0.iter().filter(|v| Some(v.schema) == schema && v.shape && v.plain);
    let names: Vec<&str> = if wanted.version_tables.is_empty() {
        here.map(|v| v.name.as_str()).filter(|n| !copy_name(n)).collect()
    } else {
        wanted.version_tables.iter().map(String::as_str).collect()
    };
    let (mut found, mut strange) = (Vec::new(), Vec::new());
    let mut by_hand: BTreeSet<&String> = wanted.rows.iter().collect();
    for name in &names {
        let table = match versions::source(snapshot, &wanted.from, Some(name)) {
            Ok(table) => table,
            // It may be lost with its revision.
            Err(_) if !wanted.lost.is_empty() => continue,
            Err(why) => return Err(why),
        };
        let of = known.0.iter().find(|v| v.oid == table.oid).map(|v| v.rows.as_slice()).unwrap_or_default();
        let here: Vec<String> = wanted.rows.iter().filter(|r| of.iter().any(|o| o.revision == **r)).cloned().collect();
        by_hand.retain(|r| !here.contains(r));
        if !wanted.rows.is_empty() && here.is_empty() {
            continue;
        }
        let asked = Asked { service: Some(service), scripts, by_hand: &here, answers: &wanted.answers };
        let Chosen { rows, questions: open, strange: unknown } = versions::choose(of, &asked, name)?;
        if wanted.lost.is_empty() {
            questions.extend(open);
            strange.extend(unknown);
        }
        if !rows.is_empty() {
            found.push((table, rows));
        }
    }
    if let Some(row) = by_hand.first() {
        let list = if names.is_empty() { "no version table".to_owned() } else { text::list(&names, 6) };
        return Err(Refused::new(format!("there is no row {row} in {list} of {}", wanted.from)));
    }
    if found.is_empty() {
        for question in &mut strange {
            question.flag.push_str(" (or, where it is another's and its own is lost, --lost-revision REVISION)");
        }
        questions.extend(strange);
    }
    Ok(found)
}

/// The revisions that somebody gives because no version table holds them any more.
fn lost<'a>(
    rows: &[(&VersionTable, Vec<String>)],
    lineage: Option<&Lineage>,
    service: &str,
    wanted: &'a Wanted,
) -> Result<Vec<&'a str>, Refused> {
    let lost: Vec<&str> = wanted.lost.iter().map(String::as_str).filter(|r| *r != NONE).collect();
    for revision in &lost {
        if lineage.is_some_and(|l| !l.contains(revision)) {
            return Err(Refused::new(format!("{revision} is in none of {service}'s revision scripts")));
        }
        for (table, row) in rows.iter().flat_map(|(table, rows)| rows.iter().map(|row| (&table.name, row))) {
            if row == revision || lineage.is_some_and(|l| l.related(row, revision)) {
                return Err(Refused::new(format!(
                    "{service}'s revision is not lost: {}.{table} holds {row}",
                    wanted.from
                )));
            }
        }
    }
    Ok(lost)
}

/// Whether it goes without its revision, where its scripts are known and no version table has a row of it: its next start
/// would take the database for a new one.
fn unsaid(
    snapshot: &Snapshot,
    known: &Versions,
    rows: &[(&VersionTable, Vec<String>)],
    lineage: Option<&Lineage>,
    service: &str,
    wanted: &Wanted,
) -> Option<Question> {
    const ABOUT: &str = "revision:lost";
    lineage?;
    let home = snapshot.catalog.schema_named(&wanted.schema).map(|s| s.oid);
    let has = |v: &VersionTable| {
        let rows = known.0.iter().find(|info| info.oid == v.oid).map(|info| info.rows.as_slice());
        Some(v.schema) == home && rows.is_some_and(|rows| !rows.is_empty())
    };
    let said = !wanted.lost.is_empty() || wanted.answers.get(ABOUT) == Some(&true);
    (rows.is_empty() && !said && !snapshot.versions.0.iter().any(has)).then(|| Question {
        about: ABOUT.to_owned(),
        sentence: format!(
            "No version table of {} holds a revision of {service}, and its tables are there: the revision is lost. Find it \
             (a backup, another environment, the release that ran last) and name it. Does it go without?",
            wanted.from
        ),
        flag: format!("--lost-revision {NONE} (or --lost-revision REVISION, which is then written into its own)"),
    })
}

/// What says whose a table is.
struct Claims<'a> {
    snapshot: &'a Snapshot,
    dependencies: &'a Dependencies,
    lineages: &'a Lineages,
    lineage: Option<&'a Lineage>,
    service: &'a Service,
}

/// The tables that are the service's.
fn seeds(
    claims: &Claims<'_>,
    stands_at: &[&str],
    wanted: &Wanted,
    questions: &mut Vec<Question>,
) -> Result<BTreeSet<Oid>, Refused> {
    let Claims { snapshot, lineages, lineage, service, .. } = *claims;
    let catalog = &snapshot.catalog;
    let asks = wanted.tables.iter().any(|p| !p.starts_with('!'));
    // Tables of a role of its own are asked about, one by one.
    let mine = catalog.role_named(&wanted.role).filter(|r| !r.superuser).map(|r| r.oid);
    let owns = !relations(snapshot, &wanted.from, |o| Some(o.owner) == mine).is_empty();
    if lineage.is_none() && !asks && !owns {
        return Err(Refused::new(format!(
            "nothing says which tables are {}'s: name its revision scripts (--revisions), or its tables (--tables, \
             --tables-from)",
            service.name
        )));
    }
    let mut certain: BTreeSet<&str> = BTreeSet::new();
    let mut ever: BTreeSet<&str> = BTreeSet::new();
    if let Some(lineage) = lineage {
        let settled = stands_at.iter().filter(|r| lineage.contains(r));
        certain.extend(settled.flat_map(|row| lineage.tables_at(row)));
        ever.extend(lineage.tables());
    }
    let others = |table: &str| -> Vec<&str> {
        let of = |(name, l): &(&String, &Lineage)| **name != service.name && l.tables().contains(table);
        lineages.0.iter().filter(of).map(|(name, _)| name.as_str()).collect()
    };
    let choice = Choice { patterns: &wanted.tables, answers: Some(&wanted.answers) };
    let versions: BTreeSet<Oid> = snapshot.versions.0.iter().filter(|v| v.shape).map(|v| v.oid).collect();
    let of = catalog.schema_named(&wanted.from).and_then(|s| snapshot.objects.0.get(&s.oid));
    let mut chosen: BTreeSet<Oid> = BTreeSet::new();
    let mut unclaimed: BTreeMap<Oid, &str> = BTreeMap::new();
    let mut ask = |name: &str, why: &str| {
        questions.push(Question {
            about: format!("table:{name}"),
            sentence: format!("Table {}.{name} {why}. Does it go?", wanted.from),
            flag: format!("--tables {}", quoted(name)),
        });
    };
    for o in of.into_iter().flat_map(|list| &list.relations) {
        let table = matches!(o.kind, Kind::Table | Kind::Partitioned | Kind::Foreign);
        if !table || o.extension || versions.contains(&o.oid) {
            continue;
        }
        let about = format!("table:{}", o.name);
        match choice.of(&about, &o.name) {
            Some(true) => {
                chosen.insert(o.oid);
                continue;
            }
            Some(false) => continue,
            None => {}
        }
        let name = o.name.as_str();
        let rivals = others(name);
        let why = if certain.contains(name) && rivals.is_empty() {
            chosen.insert(o.oid);
            continue;
        } else if ever.contains(name) && !rivals.is_empty() {
            format!("is created by the scripts of {} and of {}", service.name, text::list(&rivals, 4))
        } else if ever.contains(name) {
            format!("is created by the scripts of {}, but not at the revision it is at", service.name)
        } else if mine == Some(o.owner) {
            match lineage {
                Some(_) => format!("belongs to {}, but no script creates it", wanted.role),
                None => format!("belongs to {}", wanted.role),
            }
        } else {
            if rivals.is_empty() {
                unclaimed.insert(o.oid, name);
            }
            continue;
        };
        ask(name, &why);
    }
    for (name, tied) in tied(claims.dependencies, &chosen, &mut unclaimed) {
        ask(name, &format!("is tied to {tied} by a foreign key, and no script creates it"));
    }
    let chosen_here = relations(snapshot, &wanted.from, |o| chosen.contains(&o.oid));
    Ok(chosen_here)
}

/// Those of `unclaimed` that foreign keys tie to what goes, directly or through each other, with the table that each is
/// tied to: an application may make its first tables without its scripts.
fn tied<'a>(
    dependencies: &'a Dependencies,
    going: &BTreeSet<Oid>,
    unclaimed: &mut BTreeMap<Oid, &'a str>,
) -> Vec<(&'a str, &'a str)> {
    let keys: Vec<(&Thing, &Thing)> = dependencies
        .uses
        .iter()
        .filter(|u| u.through == Through::ForeignKey)
        .filter_map(|u| Some((&u.user, u.used.as_ref()?)))
        .flat_map(|(a, b)| [(a, b), (b, a)])
        .collect();
    let mut found = Vec::new();
    let mut open: Vec<Oid> = going.iter().copied().collect();
    while let Some(at) = open.pop() {
        for (from, to) in keys.iter().filter(|(from, _)| from.oid == at) {
            if let Some(name) = unclaimed.remove(&to.oid) {
                found.push((name, from.name.as_str()));
                open.push(to.oid);
            }
        }
    }
    found
}

/// Extensions that what goes needs: left within reach. Gives back what the search path needs besides.
fn extensions(
    snapshot: &Snapshot,
    needed: &BTreeSet<String>,
    wanted: &Wanted,
    changes: &mut Vec<Change>,
    questions: &mut Vec<Question>,
    notes: &mut Vec<Hazard>,
) -> Result<Option<String>, Refused> {
    let catalog = &snapshot.catalog;
    let Some(place) = &wanted.extensions_schema else {
        for name in needed {
            questions.push(Question {
                about: format!("extension:{name}"),
                sentence: format!(
                    "Extension {name} stands in {}, and what goes needs it: with {} alone in its search_path {} cannot \
                     name it. Does it move to a schema of its own? With --extensions-schema {} it stays, and {} looks \
                     there, too.",
                    wanted.from,
                    wanted.schema,
                    wanted.role,
                    quoted(&wanted.from),
                    wanted.role
                ),
                flag: "--extensions-schema extensions".to_owned(),
            });
        }
        // Answered with yes: the customary place.
        let yes = |n: &&String| wanted.answers.get(&format!("extension:{n}")) == Some(&true);
        let moved: BTreeSet<String> = needed.iter().filter(yes).cloned().collect();
        let open = |q: &Question| !q.about.starts_with("extension:") || !wanted.answers.contains_key(&q.about);
        questions.retain(open);
        if moved.is_empty() {
            return Ok(None);
        }
        let answered = Wanted { extensions_schema: Some("extensions".to_owned()), ..wanted.clone() };
        return extensions(snapshot, &moved, &answered, changes, questions, notes);
    };
    if catalog.schema_named(place).is_none() {
        setup::name("schema", place)?;
        let owner = catalog.role_name(catalog.database.owner);
        changes.push(Change::CreateSchema { name: place.clone(), owner });
    }
    if *place != wanted.from {
        let stands = |name: &&String| {
            catalog.extensions.iter().any(|e| e.name == **name && catalog.schema_name(e.schema) == wanted.from)
        };
        let moved: Vec<&String> = needed.iter().filter(stands).collect();
        changes.extend(
            moved.iter().map(|name| Change::SetExtensionSchema { extension: (*name).clone(), to: place.clone() }),
        );
        if !moved.is_empty() {
            changes.extend(as_before(snapshot, &wanted.from, place, &wanted.role));
            let lost = without(snapshot, &wanted.from, place, &wanted.role);
            if !lost.is_empty() {
                let sentence = format!(
                    "{} find {} by {} in their search_path, and need {place} there, too, from then on: ALTER ROLE … IN \
                     DATABASE {} SET search_path = …, {place}. With --extensions-schema {} it stays where it is.",
                    text::list(&lost, 6),
                    text::list(&moved, 4),
                    wanted.from,
                    quote_ident(&catalog.database.name),
                    quoted(&wanted.from)
                );
                notes.push(note(HazardKind::Application, sentence));
            }
        }
    }
    changes.push(Change::Grant {
        privileges: Privilege::Usage.into(),
        on: On::Schema(place.clone()),
        to: Grantee::Role(wanted.role.clone()),
    });
    Ok(Some(place.clone()))
}

/// USAGE on an extension's new place for everybody who had it on the old one: they go on calling what they called.
fn as_before(snapshot: &Snapshot, from: &str, place: &str, but: &str) -> Vec<Change> {
    let catalog = &snapshot.catalog;
    let Some(old) = catalog.schema_named(from) else { return Vec::new() };
    let list = old.acl.in_force(ObjectKind::Schema, old.owner, snapshot.server.version_num);
    let mut grantees: BTreeSet<Option<String>> = BTreeSet::new();
    for entry in list.entries().iter().filter(|e| e.privileges.contains(Privilege::Usage)) {
        let role = catalog.role(entry.grantee);
        if entry.is_public() {
            grantees.insert(None);
        } else if let Some(role) = role.filter(|r| !r.superuser && !r.is_platform() && r.name != but)
            && !role.name.starts_with("pg_")
        {
            grantees.insert(Some(role.name.clone()));
        }
    }
    let grant =
        |to: Grantee| Change::Grant { privileges: Privilege::Usage.into(), on: On::Schema(place.to_owned()), to };
    grantees.into_iter().map(|name| grant(name.map_or(Grantee::Public, Grantee::Role))).collect()
}

/// Logins that look into the old place of an extension and not into the new one.
fn without(snapshot: &Snapshot, from: &str, place: &str, but: &str) -> Vec<String> {
    let catalog = &snapshot.catalog;
    let matrix = Matrix::new(catalog, &snapshot.server);
    let paths = Paths::new(catalog, &snapshot.server);
    let old = catalog.schema_named(from).map(|s| s.oid);
    let judged = |role: &Role| role.login && !role.is_platform() && role.name != but;
    let roles = catalog.roles.iter().enumerate().filter(|(_, role)| judged(role));
    let loses = |at: usize| {
        let path = paths.of(catalog, &matrix, at);
        path.listed().any(|s| Some(s) == old) && !path.entries.iter().any(|e| e.name == place)
    };
    roles.filter(|(at, _)| loses(*at)).map(|(_, role)| role.name.clone()).collect()
}

/// Those who hold rights on what goes keep them or lose them, as somebody says.
fn readers(
    mover: &Mover<'_>,
    bundle: &Bundle<'_>,
    wanted: &Wanted,
    held: &BTreeMap<Option<String>, Vec<Held>>,
    tables: &[String],
    questions: &mut Vec<Question>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut kept: Vec<(Grantee, &[Held])> = Vec::new();
    let mut stopped: Vec<(Grantee, &Held)> = Vec::new();
    for (name, list) in held {
        let shown = name.as_deref().unwrap_or("PUBLIC");
        let who = name.clone().map_or(Grantee::Public, Grantee::Role);
        let about = format!("reader:{shown}");
        match (Choice { patterns: &wanted.keep_readers, answers: Some(&wanted.answers) }).of(&about, shown) {
            Some(true) => {
                changes.extend(mover.keep(&who, &wanted.role, Mover::reads_most(bundle, &who, list)));
                kept.push((who, list));
            }
            Some(false) => stopped.extend(list.iter().map(|h| (who.clone(), h))),
            None => questions.push(Question {
                about,
                sentence: format!(
                    "{shown} holds rights on {} of what goes. Does it keep them?",
                    text::count(list.len() as u64, "object", "objects")
                ),
                flag: format!("--keep-reader {}", quoted(shown)),
            }),
        }
    }
    // Named, without a grant of its own until now: the old owner, or somebody who read as its member.
    for name in wanted.keep_readers.iter().filter(|n| !n.starts_with('!') && !n.contains(['*', '?'])) {
        if held.contains_key(&Some(name.clone())) || *name == wanted.role || name == "PUBLIC" || tables.is_empty() {
            continue;
        }
        let who = Grantee::Role(name.clone());
        changes.push(Change::Grant {
            privileges: Privilege::Select.into(),
            on: On::Objects { kind: ObjectKind::Table, schema: wanted.schema.clone(), names: tables.to_vec() },
            to: who.clone(),
        });
        changes.extend(mover.keep(&who, &wanted.role, true));
    }
    // What somebody who stays holds from somebody who goes it gets from the owner.
    let gone: BTreeSet<&Grantee> = stopped.iter().map(|(who, _)| who).collect();
    let from_gone = |h: &&Held| h.grantor.clone().is_some_and(|by| gone.contains(&Grantee::Role(by)));
    let passed: Vec<(Grantee, &Held)> =
        kept.iter().flat_map(|(who, list)| list.iter().filter(from_gone).map(|h| (who.clone(), h))).collect();
    changes.extend(passed.iter().flat_map(|(who, h)| h.by_owner(&wanted.schema, who)));
    // What was passed on is taken before the option that it was passed on with.
    stopped.extend(passed);
    stopped.sort_by_key(|(_, h)| std::cmp::Reverse(h.depth));
    changes.extend(stopped.iter().map(|(who, h)| h.revoke(&wanted.schema, who)));
    changes
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

/// Readers that stay without the policy saying so: the next check would accuse them.
fn undeclared_readers(
    policy: Option<&Policy>,
    service: &Service,
    held: &BTreeMap<Option<String>, Vec<Held>>,
    wanted: &Wanted,
) -> Option<Hazard> {
    let policy = policy.filter(|p| p.undeclared != Undeclared::Ignore)?;
    let choice = Choice { patterns: &wanted.keep_readers, answers: Some(&wanted.answers) };
    let plain = |name: &&String| !name.starts_with('!') && !name.contains(['*', '?']);
    let mut names: BTreeSet<&str> = wanted.keep_readers.iter().filter(plain).map(String::as_str).collect();
    names.extend(
        held.keys().flatten().filter(|n| choice.of(&format!("reader:{n}"), n) == Some(true)).map(String::as_str),
    );
    let said = |name: &str| {
        let of_rule = policy.roles.iter().filter(|r| r.name == name).map(|r| &r.access);
        let of_services = policy.services.iter().filter(|s| s.role == name || s.owner == name).map(|s| &s.access);
        let mut access = of_rule.chain(of_services);
        name == wanted.role
            || service.creators.iter().any(|c| c == name)
            || access.any(|a| a.contains_key(&wanted.schema))
    };
    names.retain(|name| !said(name));
    let names: Vec<&str> = names.into_iter().collect();
    let (first, verb) = (names.first()?, if names.len() == 1 { "keeps" } else { "keep" });
    Some(note(
        HazardKind::Note,
        format!(
            "{} {verb} what it reads, and the policy does not say so: give {} access = {{ {} = [\"read\"] }} there, or the \
             next check names it as excess.",
            text::list(&names, 4),
            if names.len() == 1 { first } else { "each" },
            wanted.schema
        ),
    ))
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
mod tests {
    use super::*;
    use crate::{
        domain::{
            alembic::tests::{lineage, lineages},
            dependencies::{Body, Class, TextDefault, Use},
        },
        plan::moves::tests::assert_there_and_back,
        policy::checks::fixture::Fixture,
    };

    /// The documents' BEFORE: two applications in public, one role, one version table.
    fn before() -> Fixture {
        let mut f = Fixture::new()
            .role("old")
            .role("analytics")
            .table("public", "flow", "old")
            .table("public", "vertex", "old")
            .table("public", "tenants", "old")
            .sequence("public", "flow_number", "old")
            .sequence("public", "shelf", "old")
            .object(Kind::Type, "public", "mood", "old")
            .object(Kind::Type, "public", "level", "old")
            .object(Kind::View, "public", "flows", "old")
            .object(Kind::View, "public", "both", "old")
            .function("public", "stamp()", "old")
            .function("public", "wetter(public.mood)", "old")
            .function("public", "report()", "old")
            .grant("public.flow", "analytics", "SELECT")
            .grant("public.vertex", "analytics", "SELECT")
            .version_table("public", "alembic_version", "old", Some(&["e1", "l2"]));
        let mut l = lineage("langflow", &["l1", "l2 < l1", "l3 < l2"]);
        l.scripts.get_mut("l1").unwrap().creates = vec!["flow".into(), "vertices".into()];
        l.scripts.get_mut("l2").unwrap().creates = vec!["vertex".into()];
        l.scripts.get_mut("l2").unwrap().drops = vec!["vertices".into()];
        l.scripts.get_mut("l3").unwrap().creates = vec!["message".into()];
        let mut e = lineage("engarde", &["e1"]);
        e.scripts.get_mut("e1").unwrap().creates = vec!["tenants".into()];
        f.lineages = lineages([l, e]);
        f.policy("[[service]]\nname='engarde'\nschema='public'\nrole='old'\n")
    }

    fn edges(f: &Fixture, list: &[(&str, Through, &str)]) -> Dependencies {
        let thing = |name: &str| {
            let class = match name {
                "mood" | "level" => Class::Type,
                n if n.contains('(') => Class::Routine,
                _ => Class::Relation,
            };
            Thing {
                class,
                oid: f.object_oid(&format!("public.{name}")),
                schema: f.schema_oid("public"),
                name: name.into(),
            }
        };
        let edge = |(user, through, used): &(&str, Through, &str)| Use {
            user: thing(user),
            through: *through,
            used: Some(thing(used)),
            extension: None,
        };
        let body = |signature: &str, source: &str| Body {
            oid: f.object_oid(&format!("public.{signature}")),
            schema: f.schema_oid("public"),
            signature: signature.into(),
            security_definer: false,
            settings: Vec::new(),
            source: source.into(),
        };
        Dependencies {
            schema: f.schema_oid("public"),
            uses: list.iter().map(edge).collect(),
            text_defaults: vec![TextDefault {
                relation: f.object_oid("public.vertex"),
                table: "vertex".into(),
                column: "shelf".into(),
                expression: "nextval(('public.shelf'::text)::regclass)".into(),
            }],
            bodies: vec![body("stamp()", "insert into public.vertex"), body("report()", "select 1 from flow")],
            ..Dependencies::default()
        }
    }

    const EDGES: &[(&str, Through, &str)] = &[
        ("flow", Through::Default, "flow_number"),
        ("flow", Through::Itself, "mood"),
        ("flow", Through::Itself, "level"),
        ("tenants", Through::Itself, "level"),
        ("vertex", Through::Trigger, "stamp()"),
        ("vertex", Through::ForeignKey, "tenants"),
        ("wetter(public.mood)", Through::Itself, "mood"),
        ("flows", Through::Query, "flow"),
        ("both", Through::Query, "flow"),
        ("both", Through::Query, "tenants"),
    ];

    fn wanted() -> Wanted {
        Wanted {
            from: "public".into(),
            schema: "langflow".into(),
            role: "langflow_app".into(),
            service: Some("langflow".into()),
            ..Wanted::default()
        }
    }

    fn proposal(f: Fixture, wanted: &Wanted) -> Result<Proposal, Refused> {
        let dependencies = edges(&f, EDGES);
        let case = f.case();
        let snapshot = Arc::new(case.snapshot);
        let proposal = plan(&snapshot, &dependencies, case.policy.as_ref(), &case.lineages, wanted)?;
        assert_there_and_back(&snapshot, &proposal.plan);
        Ok(proposal)
    }

    #[test]
    fn where_nothing_is_found_it_is_said_what_can_be_named() {
        let mut f = before().schema("shop", "old").object(Kind::Type, "public", "state", "old");
        f.lineages.0.insert("shop".into(), lineage("shop", &["s1"]));
        f.shapes.foreign_uses.push(crate::domain::snapshot::ForeignUse {
            kind: Kind::Type,
            schema: f.schema_oid("public"),
            name: "state".into(),
            owner: f.role_oid("old"),
            used_by: vec![f.schema_oid("shop")],
            example: "table shop.item".into(),
        });
        let (schema, role, service) = ("shop".to_owned(), "shop_app".to_owned(), Some("shop".to_owned()));
        let answers = BTreeMap::from([("row:l2".to_owned(), false)]);
        let why = proposal(f, &Wanted { schema, role, service, answers, ..wanted() }).unwrap_err().to_string();
        assert!(why.contains("no table and no revision in public is shop's") && why.contains("--rows its"), "{why}");
        assert!(why.contains("type public.state, which only shop uses, is moved by the finding"), "{why}");
    }

    #[test]
    fn everything_that_is_open_is_asked_and_nothing_else() {
        let open = proposal(before(), &wanted()).unwrap();
        let asked: Vec<&str> = open.questions.iter().map(|q| q.about.as_str()).collect();
        assert_eq!(asked, ["reader:analytics", "routine:report()", "table:both", "type:level"]);
        assert_eq!(open.questions[3].flag, "--tables level");
        assert!(open.questions[3].sentence.contains("public.tenants"), "{}", open.questions[3].sentence);
    }

    #[test]
    fn the_whole_way_in_one_plan() {
        let decided = Wanted {
            tables: ["!report*", "!both", "!level"].map(str::to_owned).to_vec(),
            keep_readers: vec!["analytics".into()],
            ..wanted()
        };
        let done = proposal(before(), &decided).unwrap();
        assert_eq!(done.questions, []);
        let sql: Vec<&str> = done.plan.statements().collect();
        for expected in [
            "CREATE ROLE langflow_app LOGIN;",
            "CREATE SCHEMA langflow AUTHORIZATION langflow_app;",
            "WITH moved AS (DELETE FROM public.alembic_version WHERE version_num IN ('l2') RETURNING version_num) INSERT \
             INTO langflow.alembic_version (version_num) SELECT version_num FROM moved;",
            "ALTER FUNCTION public.stamp() SET SCHEMA langflow;",
            "ALTER FUNCTION public.wetter(public.mood) SET SCHEMA langflow;",
            "ALTER FUNCTION langflow.wetter(public.mood) OWNER TO langflow_app;",
            "ALTER TYPE public.mood SET SCHEMA langflow;",
            "ALTER SEQUENCE public.flow_number SET SCHEMA langflow;",
            "ALTER SEQUENCE public.shelf SET SCHEMA langflow;",
            "ALTER TABLE public.flow SET SCHEMA langflow;",
            "ALTER TABLE langflow.vertex OWNER TO langflow_app;",
            "ALTER VIEW public.flows SET SCHEMA langflow;",
            "GRANT SELECT ON TABLE langflow.flow TO old;",
            "GRANT USAGE ON SCHEMA langflow TO analytics;",
            "ALTER DEFAULT PRIVILEGES FOR ROLE langflow_app IN SCHEMA langflow GRANT SELECT ON TABLES TO analytics;",
            "ALTER ROLE langflow_app IN DATABASE engarde SET search_path = langflow;",
        ] {
            assert!(sql.contains(&expected), "{expected} is not in {sql:#?}");
        }
        assert!(
            !sql.iter().any(|s| s.contains("level") || s.contains("report") || s.contains("public.both")),
            "{sql:#?}"
        );
        let notes: Vec<&str> = done.plan.notes.iter().map(|n| n.sentence.as_str()).collect();
        assert!(notes.iter().any(|n| n.contains("insert into public.vertex")), "{notes:#?}");
        assert!(notes.iter().any(|n| n.contains("default of langflow.vertex.shelf")), "{notes:#?}");
        assert!(notes.iter().any(|n| n.contains("langflow.vertex to public.tenants")), "{notes:#?}");
        let place = done.whereabouts.iter().find(|w| w.role == "langflow_app").unwrap();
        assert!(place.holds() && place.after.as_deref() == Some("langflow"), "{place:?}");
    }

    #[test]
    fn tables_that_no_script_creates_are_asked_about_when_keys_tie_them_to_what_goes() {
        let f =
            before().table("public", "runs", "old").table("public", "metrics", "old").table("public", "apart", "old");
        let edges = edges(&f, &[("runs", Through::ForeignKey, "flow"), ("runs", Through::ForeignKey, "metrics")]);
        let case = f.case();
        let snapshot = Arc::new(case.snapshot);
        let made = plan(&snapshot, &edges, case.policy.as_ref(), &case.lineages, &wanted()).unwrap();
        let asked: Vec<&str> =
            made.questions.iter().map(|q| q.sentence.as_str()).filter(|s| s.starts_with("Table")).collect();
        let [metrics, runs] = asked[..] else { panic!("{asked:#?}") };
        assert!(metrics.contains("metrics is tied to runs"), "{metrics}");
        assert!(runs.contains("runs is tied to flow"), "{runs}");
    }

    /// The server would refuse each in turn, after everything was asked and answered.
    #[test]
    fn names_that_are_taken_where_it_goes_are_told_before_anything_is_asked() {
        let with = |names: &[(&str, Kind)]| {
            let f = names.iter().fold(before().role("late").schema("langflow", "old"), |f, (name, kind)| {
                f.object(*kind, "langflow", name, "old")
            });
            let edges = edges(&f, EDGES);
            let case = f.case();
            let mut snapshot = case.snapshot;
            let oid = |schema: &str| snapshot.catalog.schema_named(schema).unwrap().oid;
            let (from, to) = (oid("public"), oid("langflow"));
            let of = |o: &crate::domain::snapshot::SchemaObjects, name: &str| {
                o.relations.iter().find(|r| r.name == name).map(|r| r.oid)
            };
            let flow = of(&snapshot.objects.0[&from], "flow").unwrap();
            let index = |table, name: &str| crate::domain::snapshot::IndexName { table, name: name.into() };
            Arc::make_mut(snapshot.objects.0.get_mut(&from).unwrap()).indexes = vec![index(flow, "flow_pkey")];
            Arc::make_mut(snapshot.objects.0.entry(to).or_default()).indexes = vec![index(Oid(1), "flow_idx")];
            plan(&Arc::new(snapshot), &edges, case.policy.as_ref(), &case.lineages, &wanted())
        };
        let open = with(&[]).unwrap();
        assert!(!open.questions.is_empty(), "nothing is in the way, and it asks");
        let why = with(&[("flow_pkey", Kind::Table), ("vertex", Kind::Type), ("flow_number", Kind::View)]);
        let why = why.unwrap_err().to_string();
        for taken in
            ["table langflow.flow_pkey", "type langflow.vertex", "view langflow.flow_number", "are there already"]
        {
            assert!(why.contains(taken), "{taken}: {why}");
        }
        let unsure = with(&[("both", Kind::Table)]).unwrap();
        let question = unsure.questions.iter().find(|q| q.about == "table:both").unwrap();
        assert!(question.sentence.contains("It cannot yet: table langflow.both is there already"), "{question:?}");
    }

    #[test]
    fn a_reader_that_is_not_kept_loses_what_it_held() {
        let decided = Wanted {
            tables: ["!report*", "!both", "!level"].map(str::to_owned).to_vec(),
            keep_readers: vec!["!analytics".into()],
            ..wanted()
        };
        let done = proposal(before(), &decided).unwrap();
        let sql: Vec<&str> = done.plan.statements().collect();
        assert!(sql.contains(&"REVOKE SELECT ON TABLE langflow.flow FROM analytics;"), "{sql:#?}");
        assert!(!sql.iter().any(|s| s.contains("TO analytics")), "{sql:#?}");
    }

    #[test]
    fn a_lost_revision_is_asked_for_and_written_where_it_belongs() {
        let mut lost = before();
        lost.versions[0].rows = crate::domain::snapshot::VersionRows::Known(vec!["e1".into()]);
        let tables = ["!report*", "!both", "!level"].map(str::to_owned).to_vec();
        let decided = Wanted { tables, keep_readers: vec!["analytics".into()], ..wanted() };
        let open = proposal(lost.clone(), &decided).unwrap();
        let asked: Vec<&str> = open.questions.iter().map(|q| q.about.as_str()).collect();
        assert!(asked.contains(&"revision:lost"), "{asked:?}");

        let with = |revision: &str| Wanted { lost: vec![revision.into()], ..decided.clone() };
        let done = proposal(lost.clone(), &with("l2")).unwrap();
        assert_eq!(done.questions, []);
        let sql: Vec<&str> = done.plan.statements().collect();
        let place =
            |text: &str| sql.iter().position(|s| s.starts_with(text)).unwrap_or_else(|| panic!("{text}: {sql:#?}"));
        let made = place("CREATE TABLE langflow.alembic_version");
        assert!(made < place("INSERT INTO langflow.alembic_version (version_num) VALUES ('l2');"), "{sql:#?}");
        assert_eq!(done.service.unwrap().version_table.as_deref(), Some("alembic_version"));
        assert!(!sql.iter().any(|s| s.contains("public.alembic_version")), "the other's row stays: {sql:#?}");
        let later = proposal(lost.clone(), &with("l3")).unwrap();
        assert!(later.plan.notes.iter().any(|n| n.sentence.contains("message, and it is not there")), "{later:#?}");

        let without = proposal(lost.clone(), &with(NONE)).unwrap();
        assert!(without.plan.notes.iter().any(|n| n.sentence.contains("No row of a version table goes")));
        assert!(!without.questions.iter().any(|q| q.about == "revision:lost"));
        let unknown = proposal(lost, &with("zz")).unwrap_err().to_string();
        assert!(unknown.contains("zz is in none of langflow's revision scripts"), "{unknown}");
        let there = proposal(before(), &with("l1")).unwrap_err().to_string();
        assert!(there.contains("not lost: public.alembic_version holds l2"), "{there}");
    }

    #[test]
    fn what_says_nothing_is_refused() {
        let cases = [
            (Wanted { service: Some("other".into()), ..wanted() }, "name its revision scripts"),
            (Wanted { from: "nowhere".into(), ..wanted() }, "there is no schema nowhere"),
            (Wanted { schema: "public".into(), ..wanted() }, "the shared schema itself"),
            (Wanted { role: "pg_x".into(), ..wanted() }, "PostgreSQL's own"),
            (Wanted { rows: vec!["zz".into()], ..wanted() }, "there is no row zz"),
        ];
        for (wanted, expected) in cases {
            let why = proposal(before(), &wanted).unwrap_err().to_string();
            assert!(why.contains(expected), "{why}");
        }
    }

    #[test]
    fn an_extension_is_left_within_reach() {
        let f = before()
            .extension("pg_trgm", "public", "postgres")
            .object(Kind::Type, "public", "gtrgm", "postgres")
            .function("public", "similarity(text, text)", "postgres")
            .function("public", "gtrgm_out(public.gtrgm)", "postgres")
            .function("public", "mine(public.gtrgm)", "old")
            .member_of_extension("public.gtrgm", "pg_trgm")
            .member_of_extension("public.similarity(text, text)", "pg_trgm")
            .member_of_extension("public.gtrgm_out(public.gtrgm)", "pg_trgm");
        let mut dependencies = edges(&f, EDGES);
        let user = dependencies.uses[0].user.clone();
        let extension = Some("pg_trgm".to_owned());
        dependencies.uses.push(Use { user, through: Through::Itself, used: None, extension });
        let case = f.case();
        let snapshot = Arc::new(case.snapshot);
        let ask = |wanted: &Wanted| {
            let made = plan(&snapshot, &dependencies, case.policy.as_ref(), &case.lineages, wanted).unwrap();
            assert_there_and_back(&snapshot, &made.plan);
            made
        };
        let asked = ask(&wanted());
        assert!(asked.questions.iter().any(|q| q.flag == "--extensions-schema extensions"), "{:?}", asked.questions);
        let done = ask(&Wanted { extensions_schema: Some("extensions".into()), ..wanted() });
        let sql: Vec<&str> = done.plan.statements().collect();
        for expected in [
            "ALTER EXTENSION pg_trgm SET SCHEMA extensions;",
            "GRANT USAGE ON SCHEMA extensions TO PUBLIC;",
            "GRANT USAGE ON SCHEMA extensions TO langflow_app;",
            "ALTER ROLE langflow_app IN DATABASE engarde SET search_path = langflow, extensions;",
        ] {
            assert!(sql.contains(&expected), "{expected} is not in {sql:#?}");
        }
        let said = |text: &str| done.plan.notes.iter().any(|n| n.sentence.contains(text));
        assert!(said("analytics, old and postgres find pg_trgm by public"), "{:#?}", done.plan.notes);
        // Its members go with it, and so does the new schema when all of that is taken back.
        let after = predict::predict(&snapshot, done.plan.steps.iter().map(|s| &s.change)).unwrap();
        let names = |schema: &str| -> Vec<String> {
            let oid = after.catalog.schema_named(schema).unwrap().oid;
            after.objects.0[&oid].all().map(|o| o.name.clone()).collect()
        };
        assert_eq!(names("extensions"), ["gtrgm_out(extensions.gtrgm)", "similarity(text, text)", "gtrgm"]);
        assert!(names("public").contains(&"mine(extensions.gtrgm)".to_owned()), "{:?}", names("public"));
        let back = build::back(&after, &done.plan).unwrap();
        let back: Vec<&str> = back.statements().collect();
        let place = |sql: &str| back.iter().position(|s| *s == sql).unwrap_or_else(|| panic!("{sql}: {back:#?}"));
        assert!(
            place("ALTER EXTENSION pg_trgm SET SCHEMA public;") < place("DROP SCHEMA extensions RESTRICT;"),
            "{back:#?}"
        );
    }

    #[test]
    fn globs() {
        use crate::plan::moves::objects::glob;
        assert!(
            glob("a*", "abc") && glob("*", "") && glob("a?c", "abc") && glob("*b*", "abc") && glob("a*c*e", "abcde")
        );
        assert!(!glob("a", "ab") && !glob("a?", "a") && !glob("*d", "abc"));
    }

    #[test]
    fn what_stays_goes_on_or_it_is_said() {
        let f =
            before().role("webr").grant("public.flows", "webr", "SELECT, INSERT").edit("public.flow", |o| o.rls = true);
        let decided = Wanted {
            tables: ["!report*", "!both", "!level", "!flows"].map(str::to_owned).to_vec(),
            keep_readers: vec!["analytics".into()],
            ..wanted()
        };
        let done = proposal(f, &decided).unwrap();
        let sql: Vec<&str> = done.plan.statements().collect();
        assert!(sql.contains(&"GRANT SELECT, INSERT ON TABLE langflow.flow TO old;"), "{sql:#?}");
        for expected in
            ["The policies of flow spare the owner: until now old", "Type public.level stays, and flow uses it"]
        {
            assert!(done.plan.notes.iter().any(|n| n.sentence.contains(expected)), "{:#?}", done.plan.notes);
        }
    }

    #[test]
    fn what_was_passed_on_goes_before_the_option_and_comes_from_the_owner_where_it_stays() {
        let f = before()
            .role("aa")
            .role("bb")
            .role("cc")
            .grant_with_option("public.flow", "aa", "SELECT")
            .grant_by("public.flow", "bb", "SELECT", Some("aa"), false)
            .grant_by("public.flow", "cc", "SELECT", Some("aa"), false);
        let decided = Wanted {
            tables: ["!report*", "!both", "!level"].map(str::to_owned).to_vec(),
            keep_readers: ["analytics", "!aa", "!bb", "cc"].map(str::to_owned).to_vec(),
            ..wanted()
        };
        let done = proposal(f, &decided).unwrap();
        let sql: Vec<&str> = done.plan.statements().collect();
        let place = |text: &str| sql.iter().position(|s| *s == text).unwrap_or_else(|| panic!("{text}: {sql:#?}"));
        let last = place("REVOKE SELECT ON TABLE langflow.flow FROM aa;");
        assert!(place("REVOKE SELECT ON TABLE langflow.flow FROM bb;") < last, "{sql:#?}");
        assert!(place("GRANT SELECT ON TABLE langflow.flow TO cc;") < last, "{sql:#?}");
        assert!(place("GRANT USAGE ON SCHEMA langflow TO aa;") < last, "it looks the table up: {sql:#?}");
        assert!(place("REVOKE USAGE ON SCHEMA langflow FROM aa;") < last, "{sql:#?}");
    }

    #[test]
    fn a_reader_that_stays_is_to_be_declared() {
        let decided = Wanted {
            tables: ["!report*", "!both", "!level"].map(str::to_owned).to_vec(),
            keep_readers: vec!["analytics".into()],
            ..wanted()
        };
        let said = |policy: &str| {
            let done = proposal(before().policy(policy), &decided).unwrap();
            done.plan.notes.into_iter().map(|n| n.sentence).find(|s| s.contains("the policy does not say so"))
        };
        let told = said("[[role]]\nname='analytics'\naccess={ public = ['read'] }\n").unwrap();
        assert!(told.starts_with("analytics keeps what it reads"), "{told}");
        assert!(told.contains("give analytics access = { langflow = [\"read\"] }"), "{told}");
        assert_eq!(said("[[role]]\nname='analytics'\naccess={ langflow = ['read'] }\n"), None);
        assert_eq!(said("undeclared='ignore'\n"), None);
    }
}
