//! What a plan takes out of sight: relations that a role finds by name alone before it, and not after it, because its
//! search path is another. Said whoever makes the plan, and for what reason.

use std::collections::BTreeSet;

use super::{Hazard, HazardKind, Step};
use crate::{
    domain::{
        Acl, ObjectKind, Oid,
        change::Change,
        effective::{Matrix, Who},
        search_path::{Origin, Paths, SearchPath},
        snapshot::{Catalog, Kind, Snapshot},
    },
    text,
};

/// Names in one sentence.
const SHOWN: usize = 8;

/// Puts the sentences to the steps that change a path: one for each role and schema.
pub(super) fn warn(steps: &mut [Step], before: &Snapshot, after: &Snapshot) {
    let made = |s: &Step| matches!(s.change, Change::CreateSchema { .. });
    if !steps.iter().any(|s| path_of(&s.change).is_some() || made(s)) {
        return;
    }
    let sides = Sides { before: Side::new(before), after: Side::new(after) };
    for (position, role) in before.catalog.roles.iter().enumerate() {
        // the last one that concerns it: what stands then stays
        let reached = |s: &&mut Step| match path_of(&s.change) {
            Some(Of::Role(name)) => name == role.name,
            Some(Of::Database) => role.login && sides.by_database(role.oid),
            None => false,
        };
        if let Some(step) = steps.iter_mut().rfind(reached) {
            step.hazards.extend(sides.unfound(position));
            continue;
        }
        let of_its_name = |s: &&mut Step| matches!(&s.change, Change::CreateSchema { name, .. } if *name == role.name);
        if let Some(step) = steps.iter_mut().find(of_its_name).filter(|_| role.login) {
            step.hazards.extend(sides.creates_elsewhere(position));
        }
    }
}

enum Of<'a> {
    Role(&'a str),
    Database,
}

fn path_of(change: &Change) -> Option<Of<'_>> {
    match change {
        Change::SetRoleSetting { role, name, .. } if name == "search_path" => Some(Of::Role(role)),
        Change::SetDatabaseSetting { name, .. } if name == "search_path" => Some(Of::Database),
        _ => None,
    }
}

struct Side<'a> {
    snapshot: &'a Snapshot,
    catalog: &'a Catalog,
    matrix: Matrix,
    paths: Paths<'a>,
}

impl<'a> Side<'a> {
    fn new(snapshot: &'a Snapshot) -> Side<'a> {
        let catalog = &*snapshot.catalog;
        let matrix = Matrix::new(catalog, &snapshot.server);
        Side { snapshot, catalog, matrix, paths: Paths::new(catalog, &snapshot.server) }
    }

    fn path(&self, role: usize) -> SearchPath {
        self.paths.of(self.catalog, &self.matrix, role)
    }
}

struct Sides<'a> {
    before: Side<'a>,
    after: Side<'a>,
}

impl Sides<'_> {
    /// The database's own path counts for it, before or after.
    fn by_database(&self, role: Oid) -> bool {
        [&self.before, &self.after].iter().any(|side| side.paths.setting(role).0 == Origin::Database)
    }

    /// A role whose path begins with `$user` looks and creates first in a schema of its name, once there is one.
    fn creates_elsewhere(&self, position: usize) -> Option<Hazard> {
        let role = self.before.catalog.roles.get(position)?;
        let later = self.after.matrix.index.role_named(&role.name)?;
        let (was, is) = (self.before.path(position).current()?, self.after.path(later).current()?);
        (was != is).then(|| Hazard {
            kind: HazardKind::Application,
            sentence: format!(
                "What {} creates goes to {} from now on, and no longer to {}: its search path says $user.",
                role.name,
                self.after.catalog.schema_name(is),
                self.before.catalog.schema_name(was)
            ),
        })
    }

    /// What a role, by its position before, no longer finds.
    fn unfound(&self, position: usize) -> Vec<Hazard> {
        let Some(role) = self.before.catalog.roles.get(position) else { return Vec::new() };
        let Some(later) = self.after.matrix.index.role_named(&role.name) else { return Vec::new() };
        let (was, is) = (self.before.path(position), self.after.path(later));
        let seen: Vec<Oid> = is.listed().collect();
        let system = |oid: &Oid| self.before.catalog.schemas.iter().any(|s| s.oid == *oid && s.is_system());
        let leaving = was.listed().filter(|oid| !seen.contains(oid) && !system(oid));
        leaving.filter_map(|schema| self.in_schema(position, schema, &seen)).collect()
    }

    fn in_schema(&self, position: usize, schema: Oid, seen: &[Oid]) -> Option<Hazard> {
        let Side { snapshot, catalog, matrix, .. } = &self.before;
        let role = catalog.roles.get(position)?;
        let place = catalog.schemas.iter().find(|s| s.oid == schema).filter(|s| !s.extension)?;
        let uses = |owner: Oid, acl: &Acl| {
            owner == role.oid
                // a superuser may do everything: that says nothing of what it works with
                || !role.superuser
                    && !matrix.rights(catalog, Who::Role(position), ObjectKind::Table, owner, acl).is_empty()
        };
        let (mut names, mut count, mut own): (Vec<&str>, u64, u64) = (Vec::new(), 0, 0);
        match snapshot.objects.0.get(&schema) {
            Some(objects) => {
                let later: BTreeSet<&str> = seen
                    .iter()
                    .filter_map(|oid| self.after.snapshot.objects.0.get(oid))
                    .flat_map(|o| o.relations.iter().map(|r| r.name.as_str()))
                    .collect();
                let gone = objects.relations.iter().filter(|o| is_table(o.kind) && !o.extension);
                for o in gone.filter(|o| !later.contains(o.name.as_str()) && uses(o.owner, &o.acl)) {
                    names.push(&o.name);
                    count += 1;
                    own += u64::from(o.owner == role.oid);
                }
            }
            None => {
                let at = matrix.index.schema(schema)?;
                let groups = matrix.groups(catalog, at).filter(|g| !g.extension && is_table(g.kind));
                for g in groups.filter(|g| uses(g.owner, &g.acl)) {
                    count += u64::from(g.count);
                    own += if g.owner == role.oid { u64::from(g.count) } else { 0 };
                }
            }
        }
        if count == 0 {
            return None;
        }
        names.sort_unstable();
        let many = text::count(count, "table", "tables");
        let whose = match own {
            0 => String::new(),
            n if n == count => ", its own".to_owned(),
            n => format!(", {n} of them its own"),
        };
        let list = if names.is_empty() { String::new() } else { format!(": {}", text::list(&names, SHOWN)) };
        let sentence = format!("{} will no longer find {many} of {} by name{whose}{list}.", role.name, place.name);
        Some(Hazard { kind: HazardKind::Loss, sentence })
    }
}

fn is_table(kind: Kind) -> bool {
    matches!(kind, Kind::Table | Kind::Partitioned | Kind::View | Kind::MaterializedView | Kind::Foreign)
}

#[cfg(test)]
mod tests {
    use crate::{
        domain::change::Change,
        plan::{HazardKind, build::of_changes},
        policy::checks::fixture::{DATABASE, Fixture},
    };

    fn fixture() -> Fixture {
        let f = Fixture::new().role("app").role("reader").schema("shop", "app").table("shop", "orders", "app");
        f.table("public", "orders", "app").table("public", "order_items", "app").table("public", "rates", "reader")
    }

    fn losses(f: Fixture, changes: Vec<Change>) -> Vec<String> {
        let plan = of_changes(&f.case().snapshot, changes).unwrap();
        let all = plan.steps.iter().flat_map(|s| &s.hazards).filter(|h| h.kind == HazardKind::Loss);
        all.map(|h| h.sentence.clone()).filter(|s| s.contains("no longer find")).collect()
    }

    fn path(role: &str, names: &[&str]) -> Change {
        Change::SetRoleSetting {
            role: role.into(),
            database: Some(DATABASE.into()),
            name: "search_path".into(),
            value: Some(names.iter().map(|n| (*n).to_owned()).collect()),
        }
    }

    #[test]
    fn what_leaves_the_path_is_named_unless_its_name_is_found_again() {
        let said = losses(fixture(), vec![path("app", &["shop"])]);
        assert_eq!(said, ["app will no longer find 1 table of public by name, its own: order_items."]);
        assert_eq!(losses(fixture(), vec![path("app", &["shop", "public"])]), [""; 0]);
        let f = fixture().grant("public.rates", "app", "SELECT");
        let said = losses(f, vec![path("app", &["shop"])]);
        assert_eq!(
            said,
            ["app will no longer find 2 tables of public by name, 1 of them its own: order_items and rates."]
        );
        let blind = losses(fixture().without_names(), vec![path("app", &["shop"])]);
        assert_eq!(blind, ["app will no longer find 2 tables of public by name, its own."], "names are not read");
    }

    #[test]
    fn tables_that_go_along_and_a_path_of_the_database_count_too() {
        let moved = Change::SetSchema {
            object: crate::domain::change::ObjectRef {
                kind: crate::domain::snapshot::Kind::Table,
                schema: "public".into(),
                name: "order_items".into(),
            },
            to: "shop".into(),
        };
        assert_eq!(losses(fixture(), vec![moved, path("app", &["shop"])]), [""; 0]);
        let database = Change::SetDatabaseSetting {
            database: DATABASE.into(),
            name: "search_path".into(),
            value: Some(vec!["shop".into()]),
        };
        let said = losses(fixture(), vec![database]);
        assert!(said.iter().any(|s| s.starts_with("reader will no longer find 1 table of public")), "{said:?}");
    }

    #[test]
    fn a_schema_of_a_roles_own_name_takes_what_it_creates() {
        let f = Fixture::new().role("cart").role("other").grant_schema("public", "cart", "CREATE");
        let schema = |name: &str| Change::CreateSchema { name: name.into(), owner: "cart".into() };
        let said = |f: &Fixture, changes: Vec<Change>| {
            let plan = of_changes(&f.clone().case().snapshot, changes).unwrap();
            let all = plan.steps.iter().flat_map(|s| &s.hazards).map(|h| h.sentence.clone());
            all.filter(|s| s.contains("$user")).collect::<Vec<_>>()
        };
        let told = "What cart creates goes to cart from now on, and no longer to public: its search path says $user.";
        assert_eq!(said(&f, vec![schema("cart")]), [told]);
        assert!(said(&f, vec![schema("shop")]).is_empty());
        assert!(said(&f, vec![schema("cart"), path("cart", &["cart"])]).is_empty(), "its path is set besides");
    }
}
