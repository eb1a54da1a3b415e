//! The audit trail: a schema with a table that services may add to and nobody but its owner may change, and triggers on
//! chosen tables that log what is written there from elsewhere. Idempotent: what stands already is left alone, and what
//! stands there otherwise is refused. Knows no servers and no screens.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Hazard, HazardKind, Plan, Refused, build,
    choice::{Choice, no_table},
    predict::predict,
    setup,
    sql::{AUDIT_COLUMNS, AUDIT_FUNCTION, AUDIT_PATH, AUDIT_SIGNATURE, AUDIT_TABLE, audit_body},
};
use crate::{
    domain::{
        ObjectKind, Oid, Privilege, Privileges,
        change::{Change, Grantee, On},
        effective::Matrix,
        snapshot::{Catalog, Kind, Object, Schema, Snapshot, TrailTable},
    },
    policy::{Finding, Level, Policy, checks::audit_schema_missing::AUDIT, desired::real_owner, judgement::Judgement},
    text,
};

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Default: `audit`.
    pub schema: Option<String>,
    /// Default: the owner of the schema, of the policy's rule for it, or of the database.
    pub owner: Option<String>,
    /// Tables whose writes are logged.
    pub tables: Choice,
    /// Roles that may add rows, besides those of the policy.
    pub append: Vec<String>,
    /// Roles that may read it, besides those of the policy.
    pub read: Vec<String>,
}

impl Wanted {
    #[must_use]
    pub fn schema(&self) -> &str {
        self.schema.as_deref().unwrap_or(AUDIT)
    }
}

/// Schemas whose objects must have been read before [`plan`].
#[must_use]
pub fn schemas(snapshot: &Snapshot, wanted: &Wanted) -> Vec<String> {
    let schemas = snapshot.catalog.schemas.iter().filter(|s| !s.is_system() && !s.extension);
    let needed = |s: &&Schema| s.name == wanted.schema() || wanted.tables.looks_into(&s.name);
    schemas.filter(needed).map(|s| s.name.clone()).collect()
}

/// The plan; empty when everything stands as it should.
///
/// # Errors
/// [`Refused`]: a name that cannot be, something of another shape under the trail's names, nothing chosen.
pub fn plan(snapshot: &Arc<Snapshot>, policy: Option<&Policy>, wanted: &Wanted) -> Result<Plan, Refused> {
    let audit = wanted.schema();
    setup::name("schema", audit)?;
    let trail = Trail::of(snapshot, policy, wanted)?;
    for role in wanted.append.iter().chain(&wanted.read).chain([&trail.owner]) {
        if snapshot.catalog.role_named(role).is_none() {
            return Err(Refused::no_role(&snapshot.catalog, role));
        }
    }
    let (schema, owner) = (audit.to_owned(), trail.owner.clone());
    let mut first = Vec::new();
    if trail.table.is_none() {
        first.push(Change::CreateAuditSchema { schema: schema.clone(), owner: owner.clone() });
    }
    let (chosen, left) = chosen(snapshot, policy, wanted)?;
    if !wanted.tables.is_empty() {
        trail.fit_to_be_written()?;
        if !trail.function(snapshot)? {
            first.push(Change::CreateAuditFunction { schema: schema.clone(), owner: owner.clone() });
        }
    }
    // Default privileges may give away more than a trail should: seen on the draft, taken on the spot.
    let draft = predict(snapshot, &first)?;
    first.extend(excess(&draft, audit, &owner));
    let mut last = grants(audit, &wanted.append, Level::Append);
    last.extend(grants(audit, &wanted.read, Level::Read));
    for table in &chosen {
        last.extend(table.trigger(snapshot, audit));
    }
    let mut plan = match policy {
        Some(policy) => {
            let judgement = Judgement::new(Arc::clone(snapshot), Some(Arc::new(policy.clone())), Arc::default(), None);
            let concerns = |f: &Finding| f.schema.as_deref() == Some(audit) && f.code != "undeclared-access";
            build::converge_where(&judgement, &concerns, first, last)?
        }
        None => build::of_changes(snapshot, first.into_iter().chain(last))?,
    };
    if !plan.is_empty() {
        plan.notes.extend(notes(policy, wanted, &chosen, trail.table.is_none()));
        plan.notes.extend(left_out(&left).map(|sentence| Hazard { kind: HazardKind::Note, sentence }));
    }
    Ok(plan.called(format!("Set up the audit trail in schema {audit}")))
}

/// What is there already.
struct Trail<'a> {
    schema: Option<Oid>,
    table: Option<&'a TrailTable>,
    name: String,
    owner: String,
}

impl<'a> Trail<'a> {
    fn of(snapshot: &'a Snapshot, policy: Option<&Policy>, wanted: &Wanted) -> Result<Trail<'a>, Refused> {
        let (catalog, audit) = (&snapshot.catalog, wanted.schema());
        let shapes = snapshot.shapes.as_deref().ok_or_else(|| Refused::new("the audit trail has not been read yet"))?;
        let schema = catalog.schema_named(audit);
        let table = schema.and_then(|s| shapes.trails.tables.iter().find(|t| t.schema == s.oid));
        let declared = policy.iter().flat_map(|p| &p.schemas).find(|s| s.name == audit).and_then(|s| s.owner.clone());
        let standing = table.map(|t| t.owner).or_else(|| schema.map(|s| s.owner));
        let standing = standing.map(|oid| catalog.role_name(real_owner(catalog, oid)));
        let owner = match (&wanted.owner, standing) {
            (Some(asked), Some(is)) if *asked != is => {
                return Err(Refused::new(format!("the trail in {audit} belongs to {is} already, not to {asked}")));
            }
            (Some(asked), _) => asked.clone(),
            (None, Some(is)) => is,
            (None, None) => declared.unwrap_or_else(|| catalog.role_name(catalog.database.owner)),
        };
        Ok(Trail { schema: schema.map(|s| s.oid), table, name: audit.to_owned(), owner })
    }

    /// The function runs with its owner's rights and adds to the table: what happens then must be that owner's doing.
    fn fit_to_be_written(&self) -> Result<(), Refused> {
        let Some(table) = self.table else { return Ok(()) };
        let name = format!("{}.{AUDIT_TABLE}", self.name);
        if let Some(missing) = AUDIT_COLUMNS.iter().find(|c| !table.columns.iter().any(|has| has == *c)) {
            return Err(Refused::new(format!("{name} has no column {missing}: rename it, or choose another --schema")));
        }
        if !table.plain {
            return Err(Refused::new(format!(
                "{name} is no plain table, or has triggers, rules or row level security: what they do would run with the \
                 rights of {}",
                self.owner
            )));
        }
        Ok(())
    }

    /// True when the function stands as it would be made.
    fn function(&self, snapshot: &Snapshot) -> Result<bool, Refused> {
        let functions = snapshot.shapes.as_deref().map(|s| s.trails.functions.as_slice()).unwrap_or_default();
        let Some(found) = functions.iter().find(|f| Some(f.schema) == self.schema) else { return Ok(false) };
        let ours = found.body == audit_body(&self.name)
            && found.definer
            && found.language == "plpgsql"
            && found.settings == [format!("search_path={AUDIT_PATH}")]
            && snapshot.catalog.role_name(found.owner) == self.owner;
        if ours {
            return Ok(true);
        }
        Err(Refused::new(format!(
            "{}.{AUDIT_SIGNATURE} is there already and is not the one that would be made: look at it, then drop it or \
             choose another --schema",
            self.name
        )))
    }
}

/// What nobody but the owner should have: everything on the table but SELECT and INSERT, everything on the function.
/// TRIGGER above all, because a trigger on the trail would run with the rights of the trail's function.
fn excess(draft: &Snapshot, audit: &str, owner: &str) -> Vec<Change> {
    let keeps: Privileges = [Privilege::Select, Privilege::Insert].into_iter().collect();
    let mut changes = Vec::new();
    for (kind, name, keeps) in
        [(ObjectKind::Table, AUDIT_TABLE, keeps), (ObjectKind::Routine, AUDIT_SIGNATURE, Privileges::NONE)]
    {
        let Some(object) = object(draft, kind, audit, name) else { continue };
        let catalog = &draft.catalog;
        for entry in object.acl.in_force(kind, object.owner, draft.server.version_num).entries() {
            let privileges = entry.privileges.minus(keeps);
            if entry.grantee == object.owner || privileges.is_empty() {
                continue;
            }
            let from =
                if entry.is_public() { Grantee::Public } else { Grantee::Role(catalog.role_name(entry.grantee)) };
            let grantor = catalog.role_name(entry.grantor);
            changes.push(Change::Revoke {
                privileges,
                on: On::Objects { kind, schema: audit.to_owned(), names: vec![name.to_owned()] },
                from,
                option_only: false,
                grantor: (grantor != owner).then_some(grantor),
            });
        }
    }
    changes
}

fn object<'a>(snapshot: &'a Snapshot, kind: ObjectKind, schema: &str, name: &str) -> Option<&'a Object> {
    let schema = snapshot.catalog.schema_named(schema)?;
    snapshot.objects.0.get(&schema.oid)?.all().find(|o| o.kind.object_kind() == kind && o.name == name)
}

/// The rights of a level, on what is there.
fn grants(audit: &str, roles: &[String], level: Level) -> Vec<Change> {
    let objects = |kind: ObjectKind, name: String| On::Objects { kind, schema: audit.to_owned(), names: vec![name] };
    let table = || objects(ObjectKind::Table, AUDIT_TABLE.to_owned());
    let mut changes = Vec::new();
    for role in roles {
        let mut grant = |privilege: Privilege, on: On| {
            changes.push(Change::Grant { privileges: privilege.into(), on, to: Grantee::Role(role.clone()) });
        };
        grant(Privilege::Usage, On::Schema(audit.to_owned()));
        grant(if level == Level::Append { Privilege::Insert } else { Privilege::Select }, table());
    }
    changes
}

/// A table whose writes are to be logged.
struct Watched<'a> {
    schema: &'a Schema,
    table: &'a Object,
    /// Roles whose writes cross no border; sorted.
    home: Vec<String>,
}

impl Watched<'_> {
    fn trigger(&self, snapshot: &Snapshot, audit: &str) -> Vec<Change> {
        let (schema, table) = (self.schema.name.clone(), self.table.name.clone());
        let create = Change::CreateAuditTrigger {
            schema: schema.clone(),
            table: table.clone(),
            audit: audit.to_owned(),
            home: self.home.clone(),
        };
        let triggers = snapshot.shapes.as_deref().map(|s| s.trails.triggers.as_slice()).unwrap_or_default();
        let Some(found) = triggers.iter().find(|t| t.relation == self.table.oid && t.name == AUDIT_FUNCTION) else {
            return vec![create];
        };
        let home: BTreeSet<&String> = found.home.iter().collect();
        let same = home.iter().copied().eq(&self.home)
            && found.enabled == 'O'
            && found.events == super::sql::AUDIT_EVENTS
            && snapshot.catalog.schema_name(found.audit) == audit;
        if same { Vec::new() } else { vec![Change::DropAuditTrigger { schema, table }, create] }
    }
}

/// What is said of version tables that a pattern took along.
fn left_out(left: &[String]) -> Option<String> {
    let (are, them) = if left.len() == 1 { ("is no table", "it") } else { ("are no tables", "them") };
    (!left.is_empty()).then(|| {
        format!(
            "{} {are} of people's data but Alembic's, and left out; spell {them} out to have {them} watched too.",
            text::list(left, 4)
        )
    })
}

/// The tables that are meant, and the version tables that only a pattern fits.
fn chosen<'a>(
    snapshot: &'a Snapshot,
    policy: Option<&Policy>,
    wanted: &Wanted,
) -> Result<(Vec<Watched<'a>>, Vec<String>), Refused> {
    let versions: BTreeSet<Oid> = snapshot.versions.0.iter().filter(|v| v.shape && v.plain).map(|v| v.oid).collect();
    let mut left = Vec::new();
    let catalog = &snapshot.catalog;
    let (mut watched, mut seen) = (Vec::new(), Vec::new());
    let matrix = Matrix::new(catalog, &snapshot.server);
    for schema in catalog.schemas.iter().filter(|s| !s.is_system() && !s.extension && s.name != wanted.schema()) {
        let relations = snapshot.objects.0.get(&schema.oid).map(|o| o.relations.as_slice()).unwrap_or_default();
        let declared = policy.iter().flat_map(|p| &p.services).filter(|s| s.schemas.contains(&schema.name));
        let mut of_schema = BTreeSet::from([catalog.role_name(real_owner(catalog, schema.owner))]);
        for service in declared {
            of_schema.extend([service.role.clone(), service.owner.clone()]);
            of_schema.extend(service.creators.iter().cloned());
        }
        for table in relations.iter().filter(|o| !o.extension && wanted.tables.takes(&schema.name, &o.name)) {
            if !matches!(table.kind, Kind::Table | Kind::Partitioned) {
                if wanted.tables.names(&schema.name, &table.name) {
                    let kind = table.kind.word();
                    return Err(Refused::new(format!("{}.{} is a {kind}, not a table", schema.name, table.name)));
                }
                continue;
            }
            seen.push((schema.name.clone(), table.name.clone()));
            if versions.contains(&table.oid) && !wanted.tables.spells(&schema.name, &table.name) {
                left.push(format!("{}.{}", schema.name, table.name));
                continue;
            }
            let mut home = of_schema.clone();
            home.insert(catalog.role_name(table.owner));
            let members: Vec<String> = home.iter().flat_map(|name| logins_of(catalog, &matrix, name)).collect();
            home.extend(members);
            watched.push(Watched { schema, table, home: home.into_iter().collect() });
        }
    }
    if let Some(idle) = wanted.tables.idle(&seen).next() {
        return Err(no_table(&snapshot.catalog, idle, &seen));
    }
    if let (true, Some(why)) = (watched.is_empty(), left_out(&left)) {
        return Err(Refused::new(format!("no table is chosen: {}", why.trim_end_matches('.'))));
    }
    if watched.is_empty() && !wanted.tables.is_empty() {
        return Err(Refused::new("no table is chosen"));
    }
    Ok((watched, left))
}

/// Whoever logs in as a member of a role that cannot log in itself: the trigger is told the login, not the group.
fn logins_of(catalog: &Catalog, matrix: &Matrix, name: &str) -> Vec<String> {
    let Some(group) = catalog.role_named(name).filter(|r| !r.login) else { return Vec::new() };
    let Some(position) = matrix.closure.position(group.oid) else { return Vec::new() };
    let member = |at: usize| matrix.closure.path(at, position, |_| true).is_some();
    let logins = catalog.roles.iter().enumerate().filter(|(at, role)| role.login && !role.superuser && member(*at));
    logins.map(|(_, role)| role.name.clone()).collect()
}

fn notes(policy: Option<&Policy>, wanted: &Wanted, chosen: &[Watched<'_>], made: bool) -> Vec<Hazard> {
    let audit = wanted.schema();
    let note = |kind: HazardKind, sentence: String| Hazard { kind, sentence };
    let mut notes = Vec::new();
    if made {
        notes.push(note(
            HazardKind::Note,
            "Once the trail holds a row nothing here drops it: taking this back is refused then.".to_owned(),
        ));
    }
    if !chosen.is_empty() {
        notes.push(note(
            HazardKind::Note,
            "Logged are statements that write, by logins that are not at home in the table's schema. Reads leave no row: \
             PostgreSQL has no trigger for them."
                .to_owned(),
        ));
        notes.push(note(
            HazardKind::Application,
            format!(
                "A row keeps the text of the statement with the values in it, up to 10,000 characters: whoever may read \
                 {audit}.{AUDIT_TABLE} sees them, and nothing removes old rows."
            ),
        ));
        notes.push(note(
            HazardKind::Application,
            "A write from elsewhere that cannot be logged is refused as a whole.".to_owned(),
        ));
    }
    let levels = |level: Level| {
        let services = policy.iter().flat_map(|p| &p.services).map(|s| &s.access);
        let roles = policy.iter().flat_map(|p| &p.roles).map(|r| &r.access);
        services.chain(roles).any(|access| access.get(audit).is_some_and(|l| l.contains(&level)))
    };
    let open: Vec<&str> = [
        (wanted.append.is_empty() && !levels(Level::Append), "add to it (--append ROLE)"),
        (wanted.read.is_empty() && !levels(Level::Read), "read it (--read ROLE)"),
    ]
    .into_iter()
    .filter(|(open, _)| *open)
    .map(|(_, words)| words)
    .collect();
    if !open.is_empty() {
        let what = text::list(&open, 2).replace(" and ", " or ");
        notes.push(note(HazardKind::Note, format!("No role but the owner is named that may {what}.")));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::snapshot::DefaultKind,
        plan::{Ground, undo},
        policy::checks::fixture::Fixture,
    };

    fn fixture() -> Fixture {
        let f = Fixture::new().role("postgres").role("app").role("shop_app").role("monitor");
        let f = f.edit_role("postgres", |r| r.superuser = true);
        f.schema("shop", "shop_app").table("shop", "orders", "shop_app").table("shop", "items", "shop_app")
    }

    fn wanted(tables: &[&str]) -> Wanted {
        let tables: Vec<String> = tables.iter().map(|t| (*t).to_owned()).collect();
        Wanted {
            owner: Some("postgres".into()),
            tables: Choice::parse(&tables).unwrap(),
            append: vec!["app".into()],
            read: vec!["monitor".into()],
            ..Wanted::default()
        }
    }

    fn after(base: &Snapshot, plan: &Plan) -> Snapshot {
        predict(base, plan.steps.iter().map(|s| &s.change)).unwrap()
    }

    #[test]
    fn the_trail_is_set_up_once_and_taken_back() {
        let base = Arc::new(fixture().case().snapshot);
        let made = plan(&base, None, &wanted(&["shop.*"])).unwrap();
        let sql: Vec<&str> = made.statements().collect();
        for expected in [
            "CREATE SCHEMA IF NOT EXISTS audit AUTHORIZATION postgres;",
            "REVOKE EXECUTE ON ROUTINE audit.log_write_from_elsewhere() FROM PUBLIC;",
            "GRANT USAGE ON SCHEMA audit TO app;",
            "GRANT INSERT ON TABLE audit.cross_schema_access TO app;",
            "GRANT SELECT ON TABLE audit.cross_schema_access TO monitor;",
        ] {
            assert!(sql.contains(&expected), "{expected} is not in {sql:#?}");
        }
        assert!(
            sql.iter().any(|s| s.starts_with("CREATE TRIGGER")
                && s.contains("ON shop.orders")
                && s.ends_with("('shop_app');")),
            "{sql:#?}"
        );
        assert!(made.steps.iter().all(|s| s.undo.is_some()));
        let done = Arc::new(after(&base, &made));
        assert!(plan(&done, None, &wanted(&["shop.*"])).unwrap().is_empty(), "a second time there is nothing to do");
        let back = build::back(&done, &made).unwrap();
        let restored = Ground::of(&after(&done, &back), made.ground.keys().cloned());
        for moved in made.ground.moved(&restored) {
            let same = matches!((&moved.was, &moved.is), (Some(a), Some(b)) if undo::means_the_same(a, b, &moved.key, base.server.version_num));
            assert!(same, "{moved:?}");
        }
    }

    #[test]
    fn a_pattern_leaves_version_tables_out_and_says_so() {
        let base =
            Arc::new(fixture().version_table("shop", "alembic_version", "shop_app", Some(&["a"])).case().snapshot);
        let watched = |tables: &[&str]| plan(&base, None, &wanted(tables));
        let triggers = |made: &Plan| {
            made.statements().filter(|s| s.starts_with("CREATE TRIGGER") && s.contains("alembic_version")).count()
        };
        let made = watched(&["shop.*"]).unwrap();
        assert_eq!(triggers(&made), 0);
        let said = "shop.alembic_version is no table of people's data but Alembic's, and left out";
        assert!(made.notes.iter().any(|n| n.sentence.starts_with(said)), "{:#?}", made.notes);
        let made = watched(&["shop.*", "shop.alembic_version"]).unwrap();
        assert_eq!(triggers(&made), 1);
        assert!(made.notes.iter().all(|n| !n.sentence.contains("left out")), "{:#?}", made.notes);
        let why = watched(&["shop.alembic*"]).unwrap_err().to_string();
        assert!(why.contains("no table is chosen: shop.alembic_version is no table"), "{why}");
    }

    #[test]
    fn defaults_that_give_away_too_much_are_taken_back() {
        let f = fixture().default_acl(
            "postgres",
            None,
            DefaultKind::Tables,
            "app",
            "SELECT, INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER",
        );
        let base = Arc::new(f.case().snapshot);
        let login = base.server.current_user.clone();
        let made = plan(&base, None, &Wanted { owner: Some(login), ..wanted(&[]) }).unwrap();
        let done = after(&base, &made);
        let table = object(&done, ObjectKind::Table, "audit", AUDIT_TABLE).unwrap();
        let app = done.catalog.role_named("app").unwrap().oid;
        let held: Vec<Privilege> = table
            .acl
            .0
            .as_deref()
            .unwrap_or_default()
            .iter()
            .filter(|e| e.grantee == app)
            .flat_map(|e| e.privileges.iter())
            .collect();
        assert!(
            !held
                .iter()
                .any(|p| matches!(p, Privilege::Update | Privilege::Delete | Privilege::Truncate | Privilege::Trigger)),
            "{held:?}"
        );
        assert!(held.contains(&Privilege::Insert));
    }

    #[test]
    fn what_stands_there_otherwise_is_refused() {
        let snapshot = |edit: fn(&mut TrailTable)| {
            let f = fixture().schema("audit", "postgres").table("audit", AUDIT_TABLE, "postgres");
            let mut table = TrailTable {
                schema: f.schema_oid("audit"),
                oid: f.object_oid("audit.cross_schema_access"),
                owner: f.role_oid("postgres"),
                plain: true,
                columns: AUDIT_COLUMNS.iter().map(|c| (*c).to_owned()).collect(),
            };
            edit(&mut table);
            let mut f = f;
            f.shapes.trails.tables.push(table);
            Arc::new(f.case().snapshot)
        };
        let refused = |base: &Arc<Snapshot>, wanted: &Wanted| plan(base, None, wanted).unwrap_err().to_string();
        let made = plan(&snapshot(|_| ()), None, &wanted(&["shop.orders"])).unwrap();
        assert!(!made.statements().any(|s| s.starts_with("CREATE TABLE")), "the table that stands is used");
        assert!(
            refused(&snapshot(|t| t.plain = false), &wanted(&["shop.orders"]))
                .contains("would run with the rights of postgres")
        );
        assert!(
            refused(&snapshot(|t| t.columns.clear()), &wanted(&["shop.orders"])).contains("has no column timestamp")
        );
        assert!(
            refused(&snapshot(|_| ()), &Wanted { owner: Some("app".into()), ..wanted(&[]) })
                .contains("belongs to postgres already")
        );
        let base = Arc::new(fixture().case().snapshot);
        for (wanted, words) in [
            (wanted(&["shop.nothing"]), "there is no table shop.nothing"),
            (Wanted { append: vec!["nobody".into()], ..wanted(&[]) }, "there is no role nobody"),
            (Wanted { schema: Some("pg_audit".into()), ..wanted(&[]) }, "PostgreSQL's own"),
        ] {
            assert!(refused(&base, &wanted).contains(words), "{}", refused(&base, &wanted));
        }
    }

    #[test]
    fn members_of_an_owner_that_cannot_log_in_are_at_home() {
        let f = Fixture::new().role("postgres").edit_role("postgres", |r| r.superuser = true);
        let f = f.role("app").role("monitor").role("svc").role("stranger").group("owners").member("owners", "svc");
        let f = f.schema("shop", "owners").table("shop", "orders", "owners");
        let made = plan(&Arc::new(f.case().snapshot), None, &wanted(&["shop.*"])).unwrap();
        let trigger = made.statements().find(|s| s.starts_with("CREATE TRIGGER")).unwrap();
        assert!(trigger.ends_with("('owners', 'svc');"), "{trigger}");
    }
}
