//! `role-search-path`, `database-search-path`: where declared roles look for unqualified names, with the setting that
//! wins.

use std::{cell::OnceCell, fmt::Write as _};

use super::{
    Check, Code, Context,
    commands::isolate,
    declared::{Declared, list, shown_path},
    living::Living,
};
use crate::{
    domain::{
        change::Change,
        search_path::{Origin, Paths, SearchPath, Standing, parse},
    },
    policy::{
        Finding, Group, Service, Severity,
        versions::{TableCounts, and},
    },
};

pub const CHECK: Check = Check { codes: &[ROLE, DATABASE], slow: false, without_policy: false, run };

pub const ROLE: Code = Code {
    code: "role-search-path",
    group: Group::Roles,
    severity: Severity::Error,
    why: "Applications name their tables without a schema: what they read, write and migrate is decided by this path.",
};

const DATABASE: Code = Code {
    code: "database-search-path",
    group: Group::Roles,
    severity: Severity::Error,
    why: "A path of the database reaches every role that has none of its own, whichever service it belongs to.",
};

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    let paths = ctx.paths();
    let counts = OnceCell::new();
    for of in ctx.declared() {
        out.extend(role(ctx, &paths, &of));
        out.extend(of.service.and_then(|service| unseen(ctx, &paths, &of, service, &counts)));
    }
    out.extend(database(ctx, &paths));
}

/// True when the path is what the policy declares: the same names in effect, or, where none are declared, the service's
/// first schema before all others.
pub(super) fn is_wanted(ctx: &Context<'_>, of: &Declared<'_>, path: &SearchPath) -> bool {
    if let Some(wanted) = of.search_path {
        let names = |e: &crate::domain::search_path::Entry| match e.standing {
            Standing::Repeated(_) => None,
            Standing::Missing if e.written == "$user" => None,
            Standing::Missing | Standing::Used(_) | Standing::NoUsage(_) => Some(e.name.clone()),
        };
        let mut wanted: Vec<&str> = wanted.iter().map(|n| if n == "$user" { of.name } else { n.as_str() }).collect();
        let mut seen = Vec::new();
        wanted.retain(|n| {
            let first = !seen.contains(n);
            seen.push(n);
            first && (ctx.catalog.schema_named(n).is_some() || *n != of.name)
        });
        return path.entries.iter().filter_map(names).collect::<Vec<_>>() == wanted;
    }
    let Some(own) = of.service.and_then(|s| s.schemas.first()).and_then(|s| ctx.catalog.schema_named(s)) else {
        return true;
    };
    // a schema that the role may not use is a missing grant, not a wrong path
    path.first() == Some(own.oid)
}

fn role(ctx: &Context<'_>, paths: &Paths<'_>, of: &Declared<'_>) -> Option<Finding> {
    let path = ctx.path(paths, of.position);
    if is_wanted(ctx, of, &path) {
        return None;
    }
    let wanted = match of.service {
        Some(service) => ctx.wanted_path(service, &path),
        None => of.search_path.unwrap_or_default().to_vec(),
    };
    let mut finding = ctx.draft(&ROLE);
    finding.id = format!("{}:{}", ROLE.code, of.name);
    finding.service = of.service.map(|s| s.name.clone());
    finding.schema = of.service.and_then(|s| s.schemas.first().cloned());
    finding.role = Some(of.name.to_owned());
    let shown = shown_path(path.written());
    finding.observed = format!("{shown} (set for {})", path.origin.words());
    finding.expected = shown_path(wanted.iter().map(String::as_str));
    finding.via = Some(path.origin.words().to_owned());
    let mut message = format!("{} looks in {shown}, it should look in {}", of.name, finding.expected);
    if path.origin == Origin::RoleInDatabase && paths.own(Some(of.role.oid), false).is_some() {
        message.push_str("; the setting for this database silently beats the role's own");
    }
    message.push('.');
    for entry in path.skipped() {
        let name = &entry.name;
        let _ = match entry.standing {
            Standing::NoUsage(_) => write!(message, " {name} is skipped without a word: it may not use that schema."),
            _ if name.contains(',') => write!(message, " \"{name}\" is one name: the whole list was quoted."),
            _ => write!(message, " {name} does not exist."),
        };
    }
    finding.message = message;
    let lost = of.service.map(|service| (service, ctx.lost(service, &path, &wanted)));
    if let Some((service, first, lost)) =
        lost.as_ref().and_then(|(service, lost)| Some((*service, lost.first()?, lost)))
    {
        let _ = write!(finding.message, " It works with {}, and would not find them there.", words(lost));
        list(&mut finding, objects(lost));
        finding.remedy = format!(
            "Its path stays as it is until they are moved: `{}` moves them and sets the path; so does the key I in the \
             console.",
            isolate(&ctx.snapshot.target(), &first.schema, service)
        );
        return Some(finding);
    }
    finding.remedy = format!("Set the path of {} in this database; new sessions will have it.", of.name);
    finding.fix = Some(vec![ctx.set_path(of.name, wanted)]);
    Some(finding)
}

/// What the id of a finding ends with that says: a service finds none of the tables that its role owns.
pub const UNSEEN: &str = ":unseen";

/// A service that finds none of its tables: it stands still, or begins to make them a second time.
fn unseen(
    ctx: &Context<'_>,
    paths: &Paths<'_>,
    of: &Declared<'_>,
    service: &Service,
    counts: &OnceCell<TableCounts>,
) -> Option<Finding> {
    let path = ctx.path(paths, of.position);
    let away = ctx.out_of_sight(service, &path, counts);
    let first = away.first()?;
    let mut finding = ctx.draft(&ROLE);
    let shown = shown_path(path.written());
    finding.id = format!("{}:{}{UNSEEN}", ROLE.code, of.name);
    finding.service = Some(service.name.clone());
    finding.schema = service.schemas.first().cloned();
    finding.role = Some(of.name.to_owned());
    finding.observed = format!("{shown} (set for {})", path.origin.words());
    finding.expected = format!("a path that shows {}", words(&away));
    finding.via = Some(path.origin.words().to_owned());
    finding.message = format!("{} looks in {shown} and finds none of its tables: it owns {}.", of.name, words(&away));
    list(&mut finding, objects(&away));
    finding.remedy = format!(
        "Move them to where it looks: `{}`; until then a path with {} in it lets the service run.",
        isolate(&ctx.snapshot.target(), &first.schema, service),
        first.schema
    );
    Some(finding)
}

fn words(living: &[Living]) -> String {
    let parts: Vec<String> = living.iter().map(Living::words).collect();
    and(&parts.iter().map(String::as_str).collect::<Vec<_>>())
}

fn objects(living: &[Living]) -> Vec<String> {
    living.iter().flat_map(|l| l.names.iter().map(|name| format!("{}.{name}", l.schema))).collect()
}

fn database(ctx: &Context<'_>, paths: &Paths<'_>) -> Option<Finding> {
    let value = paths.own(None, true)?;
    let names = parse(value)?;
    // a database of one service may well have that service's path
    if ctx.services().len() < 2 {
        return None;
    }
    let usual = parse(&ctx.snapshot.server.default_search_path).unwrap_or_default();
    let listed: Vec<&str> =
        names.iter().filter(|n| !usual.contains(n) && ctx.service_of(n).is_some()).map(String::as_str).collect();
    if listed.is_empty() {
        return None;
    }
    let name = &ctx.catalog.database.name;
    let reached: Vec<Declared<'_>> = ctx
        .declared()
        .into_iter()
        .filter(|d| !d.role.superuser && paths.setting(d.role.oid).0 == Origin::Database)
        .collect();
    let mut finding = ctx.draft(&DATABASE);
    finding.id = format!("{}:{name}", DATABASE.code);
    finding.object = Some(name.clone());
    finding.observed = shown_path(names.iter().map(String::as_str));
    finding.expected = "no path of the database".into();
    let who: Vec<&str> = reached.iter().map(|d| d.name).collect();
    let who = if who.is_empty() { "every role without a path of its own".to_owned() } else { and(&who) };
    finding.message = format!("The database sends {who} to {}, whoever they are.", and(&listed));
    finding.remedy = "Take the database's path away; every service's role has its own.".into();
    let mut fix: Vec<Change> = reached
        .iter()
        .filter_map(|d| {
            // a service that lives on it gets the same path as its own
            let path = ctx.path(paths, d.position);
            let service = d.service?;
            let wanted = ctx.wanted_path(service, &path);
            if is_wanted(ctx, d, &path) {
                return Some(ctx.set_path(d.name, wanted));
            }
            // and one whose tables are not moved yet keeps the one it has
            let stays = !ctx.lost(service, &path, &wanted).is_empty();
            stays.then(|| ctx.set_path(d.name, path.written().map(str::to_owned).collect()))
        })
        .collect();
    fix.push(Change::SetDatabaseSetting { database: name.clone(), name: "search_path".to_owned(), value: None });
    finding.fix = Some(fix);
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::checks::fixture::{DATABASE as DB, Fixture};

    const TWO: &str = "[[service]]\nname='engarde'\nschema='public'\nrole='engarde_user'\n\
                       [[service]]\nname='langflow'\nschema='langflow'\nrole='app'\n";

    fn fixture(policy: &str) -> Fixture {
        let f = Fixture::new().role("engarde_user").role("app").schema("langflow", "app");
        f.schema("extensions", "postgres").extension("pg_trgm", "extensions", "postgres").policy(policy)
    }
    fn set(f: Fixture, role: &str, here: bool, value: &str) -> Fixture {
        f.setting(Some(role), here, "search_path", value)
    }
    fn path(role: &str, names: &[&str]) -> Change {
        Change::SetRoleSetting {
            role: role.into(),
            database: Some(DB.into()),
            name: "search_path".into(),
            value: Some(names.iter().map(|n| (*n).to_owned()).collect()),
        }
    }

    #[test]
    fn the_own_schema_first_is_enough_unless_more_is_declared() {
        for value in ["langflow", "langflow, public", "gone, langflow", "LangFlow"] {
            assert_eq!(set(fixture(TWO), "app", true, value).case().of(ROLE.code), vec![], "{value}");
        }
        let declared = TWO.to_owned() + "search_path=['langflow','extensions']\n";
        assert_eq!(set(fixture(&declared), "app", false, "langflow, \"extensions\"").case().of(ROLE.code), vec![]);
        assert_eq!(set(fixture(&declared), "app", false, "langflow").case().of(ROLE.code).len(), 1);
        assert_eq!(set(fixture(&declared), "app", false, "langflow, extensions, public").case().of(ROLE.code).len(), 1);
    }

    #[test]
    fn the_setting_that_wins_is_named() {
        let f = set(set(fixture(TWO), "app", false, "langflow"), "app", true, "public, extensions");
        let found = f.case().only(ROLE.code);
        assert_eq!(found.observed, "public, extensions (set for the role in this database)");
        assert!(found.message.contains("silently beats"), "{}", found.message);
        let found = fixture(TWO).grant_schema("extensions", "app", "USAGE");
        let found = set(found, "app", true, "public, extensions").case().only(ROLE.code);
        assert_eq!(found.fix, Some(vec![path("app", &["langflow", "extensions"])]), "extensions stay reachable");
    }

    #[test]
    fn a_path_stays_while_the_tables_are_where_it_leads() {
        let grown = || fixture(TWO).table("public", "flow", "app").table("public", "campaigns", "engarde_user");
        let found = grown().case().only(ROLE.code);
        assert!(found.fix.is_none(), "{found:#?}");
        assert!(found.message.contains("1 table of public (flow)"), "{}", found.message);
        let command = "`pgmoat isolate local --from public --schema langflow --role app`";
        assert!(found.remedy.contains(command), "{}", found.remedy);
        assert_eq!(found.objects, ["public.flow"]);
        assert!(grown().without_names().case().only(ROLE.code).fix.is_none(), "names are not read");
        // a leftover of the same name is no reason
        let moved = grown().table("langflow", "flow", "app").case().only(ROLE.code);
        assert!(moved.fix.is_some(), "{moved:#?}");
        // what it has there is not taken either
        let granted = grown().grant_schema("public", "app", "CREATE").grant("public.campaigns", "app", "SELECT").case();
        assert!(granted.of("grant-excess").iter().all(|f| f.fix.is_none()), "{:#?}", granted.of("grant-excess"));
        assert_eq!(granted.of("grant-excess").len(), 2);
    }

    #[test]
    fn a_service_that_finds_none_of_its_tables_is_found() {
        let cut = || set(fixture(TWO), "app", true, "langflow").table("public", "flow", "app");
        let found = cut().case().only(ROLE.code);
        assert!(found.id.ends_with(UNSEEN) && found.fix.is_none(), "{found:#?}");
        assert!(
            found.message.contains("finds none of its tables: it owns 1 table of public (flow)"),
            "{}",
            found.message
        );
        assert_eq!(cut().table("langflow", "vertex", "app").case().of(ROLE.code), vec![], "it has others, and works");
        let own = cut().version_table("langflow", "alembic_version", "app", Some(&[]));
        assert_eq!(own.case().of(ROLE.code).len(), 1, "a version table is none of its tables");
    }

    #[test]
    fn skipped_schemas_are_explained() {
        let found = set(fixture(TWO), "app", true, "\"langflow, public\"").case().only(ROLE.code);
        assert!(found.message.contains("the whole list was quoted"), "{}", found.message);
        let found = set(fixture(TWO), "app", true, "extensions, langflow").case().only(ROLE.code);
        assert!(found.message.contains("skipped without a word"), "{}", found.message);
    }

    #[test]
    fn a_path_of_the_database_reaches_strangers() {
        let f = fixture(TWO).setting(None, true, "search_path", "public, langflow");
        let found = f.clone().case().only(DATABASE.code);
        assert!(found.message.contains("engarde_user and app to langflow"), "{}", found.message);
        let reset = Change::SetDatabaseSetting { database: DB.into(), name: "search_path".into(), value: None };
        assert_eq!(found.fix, Some(vec![path("engarde_user", &["public"]), reset]), "who lived on it keeps its path");
        assert_eq!(f.case().only(ROLE.code).role.as_deref(), Some("app"));
        let one = "[[service]]\nname='langflow'\nschema='langflow'\nrole='app'\n";
        let f = fixture(one).setting(None, true, "search_path", "langflow");
        assert_eq!(f.case().of(DATABASE.code), vec![], "a database of one service");
        let f = fixture(TWO).setting(None, true, "search_path", "public");
        assert_eq!(f.case().of(DATABASE.code), vec![], "what everybody has anyway");
    }
}
