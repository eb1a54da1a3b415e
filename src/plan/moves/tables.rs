//! Chosen tables to another schema, with what belongs to them; owners stay unless one is named, and whoever reads them
//! goes on reading them.

use std::collections::BTreeSet;

use super::{
    Answers, Proposal, may, note,
    objects::{Choice, Mover, glob},
};
use crate::{
    domain::{
        ObjectKind, Oid, Privilege,
        change::{Change, Grantee},
        dependencies::Dependencies,
        effective::{Matrix, Who},
        snapshot::{Catalog, Kind, Object, Snapshot},
    },
    plan::{HazardKind, Refused, build, predict},
};

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    pub from: String,
    pub to: String,
    /// Globs; with `!` in front what shall stay. They decide about types, sequences, views and routines, too.
    pub tables: Vec<String>,
    /// All tables of this role.
    pub owned_by: Option<String>,
    /// Default: owners stay as they are.
    pub owner: Option<String>,
    pub answers: Answers,
}

impl Wanted {
    /// What is asked for, in a few words.
    #[must_use]
    pub fn asked(&self) -> String {
        let mut what: Vec<String> = self.tables.iter().filter(|t| !t.starts_with('!')).cloned().collect();
        what.extend(self.owned_by.as_ref().map(|role| format!("what {role} owns")));
        format!("Move {} from {} to {}", crate::text::list(&what, 4), self.from, self.to)
    }
}

/// The plan that moves them.
///
/// # Errors
/// [`Refused`]: a schema or role that is not there, nothing that fits.
pub fn plan(snapshot: &Snapshot, dependencies: &Dependencies, wanted: &Wanted) -> Result<Proposal, Refused> {
    let catalog = &snapshot.catalog;
    for schema in [&wanted.from, &wanted.to] {
        if catalog.schema_named(schema).is_none() {
            return Err(Refused::no_schema(catalog, schema));
        }
    }
    if wanted.from == wanted.to {
        return Err(Refused::new(format!("{} is where they are already", wanted.from)));
    }
    for role in wanted.owner.iter().chain(&wanted.owned_by) {
        if catalog.role_named(role).is_none() {
            return Err(Refused::no_role(catalog, role));
        }
    }
    let owned = |o: &Object| wanted.owned_by.as_ref().is_some_and(|r| catalog.role_name(o.owner) == *r);
    let fits = |o: &Object| wanted.tables.iter().any(|p| !p.starts_with('!') && glob(p, &o.name));
    let unwanted = |o: &Object| wanted.tables.iter().any(|p| p.strip_prefix('!').is_some_and(|p| glob(p, &o.name)));
    let seeds = relations(snapshot, &wanted.from, |o| (owned(o) || fits(o)) && !unwanted(o));
    if seeds.is_empty() {
        return Err(nothing_fits(snapshot, wanted));
    }
    let mover = Mover {
        snapshot,
        dependencies,
        from: &wanted.from,
        to: &wanted.to,
        owner: wanted.owner.as_deref(),
        choice: Choice { patterns: &wanted.tables, answers: Some(&wanted.answers) },
    };
    let bundle = mover.bundle(&seeds);
    if let Some(why) = predict::refused_for(&mover.clashes(&bundle.going)) {
        return Err(why);
    }
    let mut changes = mover.changes(&bundle);
    let after = predict::predict(snapshot, &changes)?;
    changes.extend(mover.rights(&bundle, &after));
    let creators: BTreeSet<String> = match &wanted.owner {
        Some(owner) => BTreeSet::from([owner.clone()]),
        None => bundle
            .going
            .iter()
            .filter(|o| o.kind.object_kind() == ObjectKind::Table)
            .map(|o| catalog.role_name(o.owner))
            .collect(),
    };
    let but: Vec<&str> = wanted.owner.iter().map(String::as_str).collect();
    let matrix = Matrix::new(catalog, &snapshot.server);
    let mut public = None;
    for (who, held) in mover.grantees(&bundle, &but) {
        let who = who.map_or(Grantee::Public, Grantee::Role);
        // what is dead there stays dead: nobody gets in by a move
        if !mover.lets_in(&matrix, &who) {
            continue;
        }
        if who == Grantee::Public {
            public = Some(held.len());
        }
        let future = Mover::reads_most(&bundle, &who, &held);
        for creator in &creators {
            changes.extend(mover.keep(&who, creator, future));
        }
    }
    // Owners need the schema, too: they own what is in it and could not name it.
    let superuser = |name: &str| catalog.role_named(name).is_some_and(|r| r.superuser);
    for creator in creators.iter().filter(|c| !superuser(c) && !may(catalog, &matrix, c, &wanted.to, Privilege::Usage))
    {
        changes.extend(mover.keep(&Grantee::Role(creator.clone()), creator, false));
    }
    let mut plan = build::of_changes(snapshot, once(changes))?.called(wanted.asked());
    plan.notes.extend(bundle.notes);
    if let Some(n) = public.filter(|_| !everybody_may_use(catalog, &matrix, &wanted.to)) {
        let sentence = format!(
            "Everybody (PUBLIC) holds rights on {} of what goes, and gets USAGE on {} so that they go on working; not on \
             what will be made there.",
            crate::text::count(n as u64, "object", "objects"),
            wanted.to
        );
        plan.notes.push(note(HazardKind::Note, sentence));
    }
    if !bundle.extensions.is_empty() {
        let list: Vec<&str> = bundle.extensions.iter().map(String::as_str).collect();
        let sentence = format!(
            "What goes uses {} in {}: whoever creates more of it needs that schema in its search_path.",
            crate::text::list(&list, 6),
            wanted.from
        );
        plan.notes.push(note(HazardKind::Application, sentence));
    }
    Ok(Proposal { plan, questions: bundle.questions, whereabouts: Vec::new(), service: None })
}

/// Nothing was chosen: the name that comes nearest to what was typed, or what there is.
fn nothing_fits(snapshot: &Snapshot, wanted: &Wanted) -> Refused {
    let from = &wanted.from;
    if let (Some(role), true) = (&wanted.owned_by, wanted.tables.is_empty()) {
        return Refused::new(format!("{role} owns nothing in {from} that could move"));
    }
    let of = snapshot.catalog.schema_named(from).and_then(|s| snapshot.objects.0.get(&s.oid));
    let free = |o: &&Object| !o.extension && o.owned_by.is_none() && o.kind != Kind::Sequence;
    let there: Vec<&str> = of.into_iter().flat_map(|l| &l.relations).filter(free).map(|o| o.name.as_str()).collect();
    let near = |typed: &String| Some((typed.clone(), crate::text::nearest(typed, there.iter().copied())?));
    match wanted.tables.iter().filter(|t| !t.starts_with('!')).find_map(near) {
        Some((typed, near)) => Refused::new(format!("nothing in {from} is called {typed}; the nearest is {near}")),
        None if there.is_empty() => Refused::new(format!("there is nothing in {from} that could move")),
        None => Refused::new(format!("nothing in {from} fits; there are {}", crate::text::list(&there, 6))),
    }
}

pub(super) fn everybody_may_use(catalog: &Catalog, matrix: &Matrix, schema: &str) -> bool {
    catalog.schema_named(schema).is_some_and(|s| {
        matrix.rights(catalog, Who::Public, ObjectKind::Schema, s.owner, &s.acl).contains(Privilege::Usage)
    })
}

/// Each change once, where it stands first.
pub(super) fn once(changes: Vec<Change>) -> Vec<Change> {
    let mut kept: Vec<Change> = Vec::with_capacity(changes.len());
    for change in changes {
        let repeats =
            matches!(change, Change::Grant { .. } | Change::DefaultPrivileges { .. }) && kept.contains(&change);
        if !repeats {
            kept.push(change);
        }
    }
    kept
}

/// Oids of the schema's relations that fit: free ones, of no extension.
pub(super) fn relations(snapshot: &Snapshot, schema: &str, fits: impl Fn(&Object) -> bool) -> BTreeSet<Oid> {
    let of = snapshot.catalog.schema_named(schema).and_then(|s| snapshot.objects.0.get(&s.oid));
    of.into_iter()
        .flat_map(|list| &list.relations)
        .filter(|o| !o.extension && o.owned_by.is_none() && o.kind != Kind::Sequence && fits(o))
        .map(|o| o.oid)
        .collect()
}

/// Schemas whose objects must be in the snapshot before [`plan`] can be asked: the two, and those of who uses what.
#[must_use]
pub fn schemas(from: &str, to: &str, snapshot: &Snapshot, dependencies: &Dependencies) -> BTreeSet<String> {
    let users = dependencies.uses.iter().map(|e| e.user.schema);
    let used = dependencies.uses.iter().filter_map(|e| e.used.as_ref()).map(|t| t.schema);
    let others = users.chain(used).collect::<BTreeSet<Oid>>();
    let known = others.into_iter().filter_map(|oid| snapshot.catalog.schema(oid));
    let known = known.filter(|s| !s.is_system()).map(|s| s.name.clone());
    known.chain([from.to_owned(), to.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan::moves::tests::assert_there_and_back, policy::checks::fixture::Fixture};

    #[test]
    fn only_who_reads_most_of_what_goes_reads_what_comes() {
        let f = Fixture::new()
            .role("app")
            .role("ingest")
            .role("reader")
            .schema("shop", "app")
            .table("public", "events", "app")
            .table("public", "items", "app")
            .table("shop", "there", "app")
            .grant("public.events", "ingest", "INSERT")
            .grant("public.events", "PUBLIC", "SELECT")
            .grant("public.events", "reader", "SELECT")
            .grant("public.items", "reader", "SELECT");
        let snapshot = f.case().snapshot;
        let wanted = Wanted {
            from: "public".into(),
            to: "shop".into(),
            tables: vec!["events".into(), "items".into()],
            ..Wanted::default()
        };
        let made = plan(&snapshot, &Dependencies::default(), &wanted).unwrap();
        assert_there_and_back(&snapshot, &made.plan);
        let rights: Vec<&str> = made.plan.statements().filter(|s| !s.contains("SET SCHEMA")).collect();
        assert_eq!(
            rights,
            [
                "GRANT USAGE ON SCHEMA shop TO PUBLIC;",
                "GRANT USAGE ON SCHEMA shop TO ingest;",
                "GRANT USAGE ON SCHEMA shop TO reader;",
                "ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA shop GRANT SELECT ON TABLES TO reader;",
            ]
        );
        let said = |text: &str| made.plan.notes.iter().any(|n| n.sentence.contains(text));
        assert!(said("gets USAGE on shop"), "{:?}", made.plan.notes);
    }

    #[test]
    fn what_is_dead_where_it_leaves_stays_dead_where_it_comes() {
        let f = Fixture::new()
            .role("app")
            .role("dead")
            .role("reader")
            .schema("shop", "app")
            .schema("new", "app")
            .table("new", "there", "app")
            .table("shop", "events", "app")
            .grant("shop.events", "dead", "SELECT, TRUNCATE")
            .grant("shop.events", "PUBLIC", "SELECT")
            .grant_schema("shop", "reader", "USAGE")
            .grant("shop.events", "reader", "SELECT");
        let snapshot = f.case().snapshot;
        let tables = vec!["events".into()];
        let wanted = Wanted { from: "shop".into(), to: "new".into(), tables, ..Wanted::default() };
        let made = plan(&snapshot, &Dependencies::default(), &wanted).unwrap();
        assert_there_and_back(&snapshot, &made.plan);
        let usage: Vec<&str> = made.plan.statements().filter(|s| s.contains("USAGE")).collect();
        assert_eq!(usage, ["GRANT USAGE ON SCHEMA new TO reader;"]);
    }
}
