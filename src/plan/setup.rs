//! The set-up of one service: role, schema, owner, rights on neighbours, defaults for every creator, search path, limit,
//! version table. It is declared first, as the policy would; the plan is what the declaration's findings ask for, so that
//! afterwards there is nothing left to find. Knows no files and no screens.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Hazard, HazardKind, Plan, Refused, build, predict::predict, undo};
use crate::{
    domain::{
        Ident, ObjectKind, Oid, Privilege, Privileges,
        change::{Change, Grantee, On},
        effective::{Matrix, Who},
        quote_ident,
        snapshot::{Catalog, Snapshot},
        unquoted,
    },
    policy::{Finding, Level, Policy, SchemaRule, Service, Undeclared, judgement::Judgement},
    text,
};

/// Connections of a new service, until somebody says otherwise.
pub const CONNECTIONS: i32 = 10;

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Name of the service in the policy; default: the schema's.
    pub name: Option<String>,
    pub schema: String,
    /// Default: the schema's name with `_app`.
    pub role: Option<String>,
    /// Default: the role.
    pub owner: Option<String>,
    /// Roles that will create objects there; empty: the owner and the role.
    pub creators: Vec<String>,
    /// Neighbours it may read.
    pub read: Vec<String>,
    /// Neighbours it may add rows to.
    pub append: Vec<String>,
    /// Default: the own schema alone.
    pub search_path: Option<Vec<String>>,
    /// `None`: no limit.
    pub connection_limit: Option<i32>,
    pub version_table: bool,
    /// Sets a password when the plan runs.
    pub password: bool,
    /// Takes CREATE on `public` from PUBLIC, where it still has it (databases made before 15).
    pub close_public: bool,
}

impl Wanted {
    #[must_use]
    pub fn new(schema: &str) -> Wanted {
        Wanted {
            name: None,
            schema: schema.to_owned(),
            role: None,
            owner: None,
            creators: Vec::new(),
            read: Vec::new(),
            append: Vec::new(),
            search_path: None,
            connection_limit: Some(CONNECTIONS),
            version_table: true,
            password: true,
            close_public: true,
        }
    }

    /// What is asked for, in a few words.
    #[must_use]
    pub fn asked(&self) -> String {
        format!("Create schema {} with role {}", self.schema, self.role())
    }

    #[must_use]
    pub fn role(&self) -> String {
        self.role.clone().unwrap_or_else(|| format!("{}_app", self.schema))
    }
}

/// A plan, and the service as the policy's file will name it.
#[derive(Debug, Clone)]
pub struct SetUp {
    pub plan: Plan,
    pub service: Service,
}

/// Names that PostgreSQL keeps for itself, or that mean something else where a role is expected.
///
/// # Errors
/// [`Refused`] with the rule that a name breaks.
pub fn name(what: &str, text: &str) -> Result<(), Refused> {
    Ident::new(text).map_err(|why| Refused::new(format!("{what} {text:?}: {why}")))?;
    if let Some(rest) = text.strip_prefix("pg_") {
        let other = if rest.is_empty() { String::new() } else { format!(", such as {rest}") };
        return Err(Refused::new(format!(
            "{what} {text}: names that begin with pg_ are PostgreSQL's own; take another{other}"
        )));
    }
    if what == "role" && ["public", "none"].contains(&text) {
        return Err(Refused::new(format!(
            "role {text}: that word means something else in GRANT; take another, such as {text}_app"
        )));
    }
    Ok(())
}

/// What to know of a name that is taken as it is: where it needs quotes, every SQL needs them.
#[must_use]
pub fn remark(what: &str, text: &str) -> Option<String> {
    let how = unquoted(text)?;
    Some(format!("Every SQL has to write {what} {} in double quotes: {how}.", quote_ident(text)))
}

/// The remarks about new names, as hazards.
pub(super) fn remarks<'a>(names: impl IntoIterator<Item = (&'static str, &'a str)>) -> Vec<Hazard> {
    let said = names.into_iter().filter_map(|(what, name)| remark(what, name));
    said.map(|sentence| Hazard { kind: HazardKind::Application, sentence }).collect()
}

/// A part of [`Wanted`] that can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Schema,
    Role,
    Owner,
    Creators,
    Read,
    Append,
    SearchPath,
    Limit,
}

/// Everything that keeps [`service`] from planning, part by part; it looks up names and nothing else, so that it can be
/// asked after every key.
#[must_use]
pub fn faults(snapshot: &Snapshot, wanted: &Wanted) -> Vec<(Part, Refused)> {
    let catalog = &snapshot.catalog;
    let role = wanted.role();
    let mut faults = Vec::new();
    let mut named = |part, what: &str, text: &str, there: bool| {
        if let Err(why) = name(what, text) {
            faults.push((part, why));
        } else if there {
            let words = format!(
                "{what} {text} is there already: `pgmoat plan` shows what it lacks, once the policy declares it"
            );
            faults.push((part, Refused::new(words)));
        }
    };
    named(Part::Schema, "schema", &wanted.schema, catalog.schema_named(&wanted.schema).is_some());
    named(Part::Role, "role", &role, catalog.role_named(&role).is_some());
    let mut refuse = |part, why: Refused| faults.push((part, why));
    if let Some(owner) = wanted.owner.as_ref().filter(|o| **o != role && catalog.role_named(o).is_none()) {
        refuse(Part::Owner, Refused::no_role_that(catalog, owner, "that could own the schema"));
    }
    let unknown = |r: &&String| **r != role && catalog.role_named(r).is_none();
    if let Some(creator) = wanted.creators.iter().find(unknown) {
        refuse(Part::Creators, Refused::no_role_that(catalog, creator, "that could create anything"));
    }
    for (part, list) in [(Part::Read, &wanted.read), (Part::Append, &wanted.append)] {
        if let Some(neighbour) = list.iter().find(|n| catalog.schema_named(n).is_none()) {
            refuse(part, Refused::no_schema(catalog, neighbour));
        }
    }
    for schema in wanted.search_path.iter().flatten() {
        if schema != "$user" && *schema != wanted.schema && catalog.schema_named(schema).is_none() {
            refuse(Part::SearchPath, Refused::no_schema_that(catalog, schema, "that its search path could show"));
            break;
        }
    }
    if let Some(limit) = wanted.connection_limit
        && !(1..=snapshot.server.max_connections.max(1)).contains(&limit)
    {
        let most = snapshot.server.max_connections;
        refuse(Part::Limit, Refused::new(format!("a connection limit of {limit}: the server takes 1 to {most}")));
    }
    faults
}

/// The whole set-up of one service in a database that has neither its schema nor its role.
///
/// # Errors
/// [`Refused`]: a name that cannot be, something that is there already, a neighbour that is not.
pub fn service(snapshot: &Arc<Snapshot>, policy: Option<&Policy>, wanted: &Wanted) -> Result<SetUp, Refused> {
    if let Some((_, why)) = faults(snapshot, wanted).into_iter().next() {
        return Err(why);
    }
    let role = wanted.role();
    let owner = wanted.owner.clone().unwrap_or_else(|| role.clone());
    let declared = declare(wanted, &role, &owner);
    let mut policy = match policy {
        Some(policy) => policy.clone(),
        // Nothing but this service is anybody's business.
        None => Policy { undeclared: Undeclared::Ignore, ..Policy::default() },
    };
    for neighbour in declared.access.keys() {
        if !policy.services.iter().any(|s| s.schemas.contains(neighbour))
            && !policy.schemas.iter().any(|s| s.name == *neighbour)
        {
            policy.schemas.push(neighbour_rule(snapshot, neighbour));
        }
    }
    policy.services.retain(|s| s.name != declared.name);
    policy.services.push(declared.clone());
    let judgement = Judgement::new(Arc::clone(snapshot), Some(Arc::new(policy)), Arc::default(), None);
    let concerns = |f: &Finding| {
        f.service.as_deref() == Some(&declared.name)
            || f.role.as_deref() == Some(role.as_str())
            || f.schema.as_deref() == Some(wanted.schema.as_str())
    };
    let mut first = Vec::new();
    if wanted.close_public {
        first.extend(close_public(snapshot));
    }
    let mut last = Vec::new();
    if wanted.password {
        last.push(Change::SetPassword { role: role.clone() });
    }
    let mut plan = build::converge_where(&judgement, &concerns, first, last)?;
    plan.notes.extend(remarks([("schema", wanted.schema.as_str()), ("role", role.as_str())]));
    Ok(SetUp { plan: plan.called(wanted.asked()), service: declared })
}

/// A new, ordinary role in the place of another that a service runs as: its rights, the ownership of what stands in its
/// schemas, its settings. The old role stays as it is. Without a declaration of the service, the schemas that the old role
/// owns are its own.
///
/// # Errors
/// [`Refused`]: no such role, nothing that would be the new one's, or a name that cannot be.
pub fn replace(
    snapshot: &Arc<Snapshot>,
    policy: Option<&Policy>,
    old: &str,
    new: &str,
) -> Result<(Plan, Vec<Service>), Refused> {
    let catalog = &snapshot.catalog;
    name("role", new)?;
    let Some(role) = catalog.role_named(old) else {
        return Err(Refused::no_role(catalog, old));
    };
    if catalog.role_named(new).is_some() {
        return Err(Refused::new(format!("role {new} is there already")));
    }
    let mut policy = match policy {
        Some(policy) => policy.clone(),
        None => Policy { undeclared: Undeclared::Ignore, ..Policy::default() },
    };
    if policy.services.iter().all(|s| s.role != old) {
        let owned = catalog.schemas.iter().filter(|s| s.owner == role.oid && !s.is_system() && !s.extension);
        let schemas: Vec<String> = owned.map(|s| s.name.clone()).collect();
        let Some(first) = schemas.first() else {
            return Err(Refused::new(format!(
                "no service of the policy runs as {old}, and it owns no schema: there is nothing that would be {new}'s"
            )));
        };
        // What nobody has declared stays as it is.
        let path = catalog.settings.iter().filter(|s| {
            s.role == Some(role.oid)
                && s.name.eq_ignore_ascii_case("search_path")
                && s.database.is_none_or(|d| d == catalog.database.oid)
        });
        let path = path.max_by_key(|s| s.database.is_some()).map(|s| undo::written(&s.name, &s.value));
        let limit = (role.connection_limit >= 0).then_some(role.connection_limit);
        let wanted = Wanted { version_table: false, search_path: path, connection_limit: limit, ..Wanted::new(first) };
        policy.services.push(Service { schemas, ..declare(&wanted, old, old) });
    }
    let takes_over = |name: &mut String| {
        if name == old {
            new.clone_into(name);
        }
    };
    let mut declared = Vec::new();
    for service in policy.services.iter_mut().filter(|s| s.role == old) {
        takes_over(&mut service.role);
        takes_over(&mut service.owner);
        service.creators.iter_mut().for_each(takes_over);
        declared.push(service.clone());
    }
    let schemas: BTreeSet<&str> = declared.iter().flat_map(|s| s.schemas.iter().map(String::as_str)).collect();
    let names: BTreeSet<&str> = declared.iter().map(|s| s.name.as_str()).collect();
    let judgement = Judgement::new(Arc::clone(snapshot), Some(Arc::new(policy.clone())), Arc::default(), None);
    let concerns = |f: &Finding| {
        f.role.as_deref() == Some(new)
            || matches!(f.code, "schema-owner" | "object-owner" | "version-table-owner")
                && (f.schema.as_deref().is_some_and(|s| schemas.contains(s))
                    || f.service.as_deref().is_some_and(|s| names.contains(s)))
    };
    let mut last: Vec<Change> = catalog
        .settings
        .iter()
        .filter(|s| s.role == Some(role.oid) && !s.name.eq_ignore_ascii_case("search_path"))
        .filter(|s| s.database.is_none_or(|d| d == catalog.database.oid))
        .map(|s| Change::SetRoleSetting {
            role: new.to_owned(),
            database: s.database.map(|_| catalog.database.name.clone()),
            name: s.name.clone(),
            value: Some(undo::written(&s.name, &s.value)),
        })
        .collect();
    last.push(Change::SetPassword { role: new.to_owned() });
    let mut plan = build::converge_where(&judgement, &concerns, Vec::new(), last)?;
    let after = predict(snapshot, plan.steps.iter().map(|step| &step.change))?;
    plan.notes.extend(not_taken_over(snapshot, &after, old, new));
    plan.notes.extend(remarks([("role", new)]));
    Ok((plan.called(format!("Replace role {old} by {new}")), declared))
}

/// What the old role has and the new one will not have: each in a sentence.
fn not_taken_over(before: &Snapshot, after: &Snapshot, old: &str, new: &str) -> Vec<Hazard> {
    let (was, is) = (&before.catalog, &after.catalog);
    let (Some(from), Some(to)) = (was.role_named(old), is.role_named(new)) else { return Vec::new() };
    let mut notes = Vec::new();
    let mut say = |sentence: String| notes.push(Hazard { kind: HazardKind::Loss, sentence });
    let words: Vec<&str> = [
        (from.superuser && !to.superuser, "SUPERUSER"),
        (from.create_role && !to.create_role, "CREATEROLE"),
        (from.create_db && !to.create_db, "CREATEDB"),
        (from.replication && !to.replication, "REPLICATION"),
        (from.bypass_rls && !to.bypass_rls, "BYPASSRLS"),
    ]
    .into_iter()
    .filter(|(lost, _)| *lost)
    .map(|(_, word)| word)
    .collect();
    if !words.is_empty() {
        say(format!("{old} is {}, and {new} is not.", text::list(&words, 5)));
    }
    if from.connection_limit >= 0 && to.connection_limit != from.connection_limit {
        say(format!("{old} may have {} connections at once; that limit is not {new}'s.", from.connection_limit));
    }
    let groups = |catalog: &Catalog, member: Oid| -> BTreeSet<String> {
        let of = catalog.memberships.iter().filter(|m| m.member == member);
        of.map(|m| catalog.role_name(m.role)).collect()
    };
    let (had, has) = (groups(was, from.oid), groups(is, to.oid));
    let lost: Vec<&String> = had.difference(&has).filter(|g| *g != new).collect();
    if !lost.is_empty() {
        say(format!("{old} is a member of {}, and {new} is not: GRANT … TO {new} gives that.", text::list(&lost, 6)));
    }
    let path = |catalog: &Catalog, role: Oid| {
        let of = catalog.settings.iter().filter(|s| {
            s.role == Some(role)
                && s.name.eq_ignore_ascii_case("search_path")
                && s.database.is_none_or(|d| d == catalog.database.oid)
        });
        of.max_by_key(|s| s.database.is_some()).map(|s| s.value.clone())
    };
    if let Some(was) = path(was, from.oid).filter(|was| path(is, to.oid).as_ref() != Some(was)) {
        let is = path(is, to.oid).unwrap_or_else(|| "the default".to_owned());
        say(format!("{old} has search_path {was}, and {new} gets {is}."));
    }
    let defaults = |catalog: &Catalog, role: Oid| -> BTreeSet<(Option<String>, String)> {
        let of = catalog.default_acls.iter().filter(|d| d.creator == role);
        of.flat_map(|d| {
            let place = d.schema.map(|s| catalog.schema_name(s));
            let list = d.acl.0.as_deref().unwrap_or_default().iter().filter(|e| e.grantee != role);
            list.map(|e| (place.clone(), catalog.role_name(e.grantee))).collect::<Vec<_>>()
        })
        .collect()
    };
    let (had, has) = (defaults(was, from.oid), defaults(is, to.oid));
    for (place, who) in had.difference(&has).filter(|(_, who)| who != new) {
        let place = place.as_ref().map(|s| format!(" in {s}")).unwrap_or_default();
        say(format!("{who} gets rights on what {old} makes{place}, and not on what {new} will make there."));
    }
    if from.superuser {
        return notes;
    }
    let sides = [Matrix::new(was, &before.server), Matrix::new(is, &after.server)];
    let [a, b] = &sides;
    for schema in was.schemas.iter().filter(|s| !s.is_system()) {
        let cell = |catalog: &Catalog, matrix: &Matrix, role: &str| {
            let at = matrix.index.role_named(role).zip(matrix.index.schema_named(&schema.name));
            at.map(|(role, schema)| matrix.cell(catalog, Who::Role(role), schema)).unwrap_or_default()
        };
        let (had, has) = (cell(was, a, old), cell(is, b, new));
        let mut lost = Vec::new();
        for (had, has, word) in [(had.usage, has.usage, "USAGE"), (had.create, has.create, "CREATE")] {
            lost.extend((had && !has).then(|| word.to_owned()));
        }
        for kind in [ObjectKind::Table, ObjectKind::Sequence, ObjectKind::Routine] {
            let (had, has) = (had.counts(kind), has.counts(kind));
            let fewer = had.on_any().iter().filter(|p| has.of(*p) < had.of(*p));
            let words: Vec<&str> = fewer.map(Privilege::keyword).collect();
            if !words.is_empty() {
                lost.push(format!("{} on {}", words.join(", "), kind.plural()));
            }
        }
        if !lost.is_empty() {
            say(format!(
                "In {} {old} has {}, and {new} does not get that: what needs it has to be declared, or granted.",
                schema.name,
                text::list(&lost, 5)
            ));
        }
    }
    notes
}

/// The service as the policy will declare it.
pub(super) fn declare(wanted: &Wanted, role: &str, owner: &str) -> Service {
    let mut access: BTreeMap<String, Vec<Level>> = BTreeMap::new();
    for (list, level) in [(&wanted.read, Level::Read), (&wanted.append, Level::Append)] {
        for schema in list.iter().filter(|s| **s != wanted.schema) {
            let levels = access.entry(schema.clone()).or_default();
            if !levels.contains(&level) {
                levels.push(level);
            }
        }
    }
    let mut creators = wanted.creators.clone();
    if creators.is_empty() {
        creators.push(owner.to_owned());
        creators.extend((owner != role).then(|| role.to_owned()));
    }
    Service {
        name: wanted.name.clone().unwrap_or_else(|| wanted.schema.clone()),
        schemas: vec![wanted.schema.clone()],
        role: role.to_owned(),
        owner: owner.to_owned(),
        creators,
        access,
        search_path: wanted.search_path.clone(),
        connection_limit: wanted.connection_limit,
        version_table: wanted.version_table.then(|| "alembic_version".to_owned()),
        revisions: None,
        tenant_column: None,
        tenant_exempt: false,
        instance: None,
        applications: Vec::new(),
        member_of: None,
        login: None,
    }
}

/// A schema that no policy speaks of: whoever owns it or something in it will create more there.
fn neighbour_rule(snapshot: &Snapshot, name: &str) -> SchemaRule {
    let catalog = &snapshot.catalog;
    let mut creators = BTreeSet::new();
    if let Some(schema) = catalog.schema_named(name) {
        let owner =
            if catalog.role_name(schema.owner) == "pg_database_owner" { catalog.database.owner } else { schema.owner };
        creators.insert(catalog.role_name(owner));
        let tables = catalog.relations.iter().filter(|g| g.schema == schema.oid && !g.extension);
        creators.extend(tables.map(|g| catalog.role_name(g.owner)));
    }
    SchemaRule {
        name: name.to_owned(),
        owner: None,
        creators: creators.into_iter().collect(),
        tenant_exempt: false,
        instance: None,
    }
}

/// CREATE on `public` taken from PUBLIC, where PUBLIC has it.
#[must_use]
pub fn close_public(snapshot: &Snapshot) -> Option<Change> {
    let catalog = &snapshot.catalog;
    let matrix = Matrix::new(catalog, &snapshot.server);
    let position = matrix.index.schema_named("public")?;
    matrix.cell(catalog, Who::Public, position).create.then(|| Change::Revoke {
        privileges: Privileges::from(Privilege::Create),
        on: On::Schema("public".to_owned()),
        from: Grantee::Public,
        option_only: false,
        grantor: None,
    })
}

/// Schemas whose objects must be in the snapshot before [`service`] can be asked.
#[must_use]
pub fn schemas(wanted: &Wanted) -> Vec<&str> {
    wanted.read.iter().chain(&wanted.append).map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::checks::fixture::Fixture;

    fn base() -> Arc<Snapshot> {
        let f = Fixture::new().role("app").role("langflow_app").schema("langflow", "langflow_app");
        Arc::new(f.table("langflow", "flow", "langflow_app").case().snapshot)
    }

    fn sql(wanted: &Wanted) -> Vec<String> {
        let made = service(&base(), None, wanted).unwrap();
        assert!(made.plan.left.is_empty(), "{:?}", made.plan.left);
        made.plan.statements().map(str::to_owned).collect()
    }

    #[test]
    fn the_whole_set_up_in_one_plan() {
        let wanted = Wanted { read: vec!["langflow".into()], ..Wanted::new("sankore") };
        let sql = sql(&wanted);
        for expected in [
            "CREATE ROLE sankore_app LOGIN CONNECTION LIMIT 10;",
            "CREATE SCHEMA sankore AUTHORIZATION sankore_app;",
            "GRANT USAGE ON SCHEMA langflow TO sankore_app;",
            "GRANT SELECT ON ALL TABLES IN SCHEMA langflow TO sankore_app;",
            "ALTER DEFAULT PRIVILEGES FOR ROLE langflow_app IN SCHEMA langflow GRANT SELECT ON TABLES TO sankore_app;",
            "ALTER ROLE sankore_app IN DATABASE engarde SET search_path = sankore;",
            "ALTER TABLE sankore.alembic_version OWNER TO sankore_app;",
        ] {
            assert!(sql.iter().any(|s| s == expected), "{expected} is not in {sql:#?}");
        }
        assert!(sql.last().is_some_and(|s| s.starts_with("ALTER ROLE sankore_app PASSWORD")), "{sql:#?}");
        let plan = service(&base(), None, &wanted).unwrap().plan;
        assert_eq!(plan.name(), "Create schema sankore with role sankore_app", "and not by its first step");
        assert!(plan.steps.iter().all(|s| s.undo.is_some()), "dropping the role takes its password along");
        let all: Vec<&str> = plan.steps.iter().flat_map(|s| &s.hazards).map(|h| h.sentence.as_str()).collect();
        assert!(!all.iter().any(|s| s.contains("old password")), "nobody had one: {all:#?}");
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        let cases = [
            (Wanted::new("langflow"), "is there already"),
            (Wanted { role: Some("app".into()), ..Wanted::new("sankore") }, "role app is there already"),
            (Wanted::new(""), "cannot be empty"),
            (Wanted::new("pg_x"), "PostgreSQL's own; take another, such as x"),
            (Wanted::new(&"x".repeat(64)), "64 bytes long; PostgreSQL keeps 63 and cuts the rest: shorten it by 1"),
            (Wanted { role: Some("none".into()), ..Wanted::new("s") }, "means something else"),
            (Wanted { role: Some("public".into()), ..Wanted::new("s") }, "means something else"),
            (Wanted { read: vec!["nowhere".into()], ..Wanted::new("s") }, "there is no schema nowhere; there are "),
            (Wanted { read: vec!["langflo".into()], ..Wanted::new("s") }, "schema langflo; the nearest is langflow"),
            (Wanted { owner: Some("nobody".into()), ..Wanted::new("s") }, "there is no role nobody"),
            (Wanted { connection_limit: Some(0), ..Wanted::new("s") }, "limit of 0"),
            (Wanted { creators: vec!["app".into(), "nobody".into()], ..Wanted::new("s") }, "there is no role nobody"),
            (Wanted { search_path: Some(vec!["s".into(), "nowhere".into()]), ..Wanted::new("s") }, "schema nowhere"),
        ];
        for (wanted, expected) in cases {
            let why = service(&base(), None, &wanted).unwrap_err().to_string();
            assert!(why.contains(expected), "{why}");
        }
    }

    #[test]
    fn names_that_need_quotes_are_taken_and_it_is_said() {
        let notes = |schema: &str| {
            let made = service(&base(), None, &Wanted::new(schema)).unwrap();
            made.plan.notes.into_iter().map(|n| n.sentence).collect::<Vec<_>>().join("\n")
        };
        let shop = notes("Shop");
        assert!(shop.contains("schema \"Shop\" in double quotes: without them PostgreSQL reads shop."), "{shop}");
        assert!(shop.contains("role \"Shop_app\""), "{shop}");
        assert!(notes("my-shop").contains("without them it is a syntax error"));
        let word = notes("user");
        assert!(word.contains("schema \"user\"") && word.contains("a word of SQL") && !word.contains("role"), "{word}");
        assert!(notes("shop").is_empty(), "nothing to say of a plain name");
    }

    #[test]
    fn taking_a_set_up_back_is_a_plan_that_can_be_taken_back() {
        let base = base();
        let plan = service(&base, None, &Wanted::new("sankore")).unwrap().plan;
        let changes = plan.steps.iter().map(|s| &s.change);
        let after = crate::plan::predict::predict(&base, changes).unwrap();
        let back = build::back(&after, &plan).unwrap();
        let lasting: Vec<&str> = back.steps.iter().filter(|s| s.undo.is_none()).map(|s| s.title.as_str()).collect();
        assert_eq!(lasting, [""; 0], "the empty version table can be made again");
        let hazards = back.steps.iter().flat_map(|s| &s.hazards).chain(&back.notes);
        assert!(hazards.into_iter().all(|h| h.kind != HazardKind::NoWayBack));
    }

    #[test]
    fn who_loses_the_right_to_create_in_public_is_said() {
        let f = Fixture::new().role("app").role("guest").schema("langflow", "app").table("public", "t", "guest");
        let f = f.grant_schema("public", "PUBLIC", "CREATE").grant_schema("public", "app", "CREATE");
        let base = Arc::new(f.case().snapshot);
        let plan = service(&base, None, &Wanted::new("shop")).unwrap().plan;
        let step = plan.steps.iter().find(|s| s.sql[0].contains("REVOKE CREATE ON SCHEMA public")).unwrap();
        let loss: Vec<&str> = step.hazards.iter().map(|h| h.sentence.as_str()).collect();
        assert_eq!(
            loss,
            [
                "guest could create in schema public only because everybody may, and loses that. It owns tables there: its next \
              migration that makes one fails."
            ]
        );
    }

    #[test]
    fn every_fault_names_its_part() {
        let wanted = Wanted {
            role: Some("app".into()),
            owner: Some("nobody".into()),
            append: vec!["nowhere".into()],
            connection_limit: Some(0),
            ..Wanted::new("langflow")
        };
        let parts: Vec<Part> = faults(&base(), &wanted).into_iter().map(|(part, _)| part).collect();
        assert_eq!(parts, [Part::Schema, Part::Role, Part::Owner, Part::Append, Part::Limit]);
        let own =
            Wanted { owner: Some("s_app".into()), creators: vec!["s_app".into(), "app".into()], ..Wanted::new("s") };
        assert!(faults(&base(), &own).is_empty(), "the role that will be made counts as there");
    }

    #[test]
    fn a_service_gets_an_ordinary_role_in_place_of_a_superuser() {
        let f = Fixture::new().role("boss").edit_role("boss", |r| r.superuser = true).schema("shop", "boss");
        let f = f.table("shop", "orders", "boss").setting(Some("boss"), false, "statement_timeout", "5s");
        let snapshot = Arc::new(f.case().snapshot);
        let (plan, services) = replace(&snapshot, None, "boss", "shop_app").unwrap();
        let sql: Vec<&str> = plan.statements().collect();
        for expected in [
            "CREATE ROLE shop_app LOGIN;",
            "ALTER SCHEMA shop OWNER TO shop_app;",
            "ALTER TABLE shop.orders OWNER TO shop_app;",
            "ALTER ROLE shop_app IN DATABASE engarde SET search_path = shop;",
            "ALTER ROLE shop_app SET statement_timeout = '5s';",
        ] {
            assert!(sql.contains(&expected), "{expected} is not in {sql:#?}");
        }
        assert!(!sql.iter().any(|s| s.contains("ALTER ROLE boss")), "{sql:#?}");
        assert_eq!((services[0].role.as_str(), services[0].schemas.as_slice()), ("shop_app", &["shop".to_owned()][..]));
        let why = replace(&base(), None, "app", "new_app").unwrap_err().to_string();
        assert!(why.contains("owns no schema"), "{why}");
    }

    #[test]
    fn an_owner_that_does_not_log_in_leaves_the_role_all_it_needs() {
        let sql = sql(&Wanted { owner: Some("app".into()), password: false, ..Wanted::new("sankore") });
        assert!(sql.iter().any(|s| s == "CREATE SCHEMA sankore AUTHORIZATION app;"), "{sql:#?}");
        assert!(sql.iter().any(|s| s.contains("FOR ROLE app IN SCHEMA sankore")), "{sql:#?}");
        assert!(!sql.iter().any(|s| s.contains("PASSWORD")), "{sql:#?}");
    }

    #[test]
    fn a_role_in_the_place_of_another_takes_its_limit_and_path_and_the_rest_is_named() {
        let f = Fixture::new()
            .role("other")
            .group("grp22")
            .role("oldapp")
            .edit_role("oldapp", |r| r.connection_limit = 7)
            .member("grp22", "oldapp")
            .schema("shop", "oldapp")
            .schema("other", "other")
            .table("other", "lookup", "other")
            .grant_schema("other", "oldapp", "USAGE")
            .grant("other.lookup", "oldapp", "SELECT")
            .setting(Some("oldapp"), false, "search_path", "shop, other")
            .setting(Some("oldapp"), false, "session_preload_libraries", "auto_explain, plpgsql");
        let snapshot = Arc::new(f.case().snapshot);
        let (plan, declared) = replace(&snapshot, None, "oldapp", "newapp").unwrap();
        let sql: Vec<&str> = plan.statements().collect();
        for expected in [
            "CREATE ROLE newapp LOGIN CONNECTION LIMIT 7;",
            "ALTER ROLE newapp IN DATABASE engarde SET search_path = shop, other;",
            "ALTER ROLE newapp SET session_preload_libraries = auto_explain, plpgsql;",
        ] {
            assert!(sql.contains(&expected), "{expected} is not in {sql:#?}");
        }
        assert_eq!(declared[0].connection_limit, Some(7));
        for expected in [
            "oldapp is a member of grp22, and newapp is not",
            "In other oldapp has USAGE and SELECT on tables, and newapp does not get that",
        ] {
            let said = |n: &Hazard| n.kind == HazardKind::Loss && n.sentence.contains(expected);
            assert!(plan.notes.iter().any(said), "{expected}: {:#?}", plan.notes);
        }
        // The server keeps what it is told, name by name.
        let after = predict(&snapshot, plan.steps.iter().map(|s| &s.change)).unwrap();
        let kept = after.catalog.settings.iter().filter(|s| s.name == "session_preload_libraries");
        assert!(kept.map(|s| s.value.as_str()).eq(["auto_explain, plpgsql"; 2]), "{:#?}", after.catalog.settings);
    }
}
