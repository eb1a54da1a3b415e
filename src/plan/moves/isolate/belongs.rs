//! What belongs to a service by its revision scripts: its rows of version tables, and the tables they create with what hangs
//! on them. What they leave open is asked.

use std::collections::{BTreeMap, BTreeSet};

use super::{NONE, Wanted, versions};
use crate::{
    domain::{
        Oid,
        alembic::{Lineage, Lineages},
        dependencies::{Dependencies, Thing, Through},
        snapshot::{Kind, Snapshot, VersionTable},
    },
    plan::{
        Refused,
        moves::{
            Question,
            objects::Choice,
            tables::relations,
            versions::{Asked, Chosen},
        },
    },
    policy::{
        Service,
        versions::{Versions, copy_name},
    },
    text,
};

/// The version tables with the service's rows in them.
pub(super) fn rows<'a>(
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
pub(super) fn lost<'a>(
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
pub(super) fn unsaid(
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
pub(super) struct Claims<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) dependencies: &'a Dependencies,
    pub(super) lineages: &'a Lineages,
    pub(super) lineage: Option<&'a Lineage>,
    pub(super) service: &'a Service,
}

/// The tables that are the service's.
pub(super) fn seeds(
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
            flag: format!("--tables {}", text::shell_word(name)),
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
