//! `search-path-shared`: another application's tables are visible through a service's search path.

use super::{
    Check, Code, Context,
    commands::isolate,
    declared::{Declared, count, shown_path},
    role_search_path::is_wanted,
};
use crate::{
    domain::{
        Oid,
        search_path::{Paths, SearchPath},
    },
    policy::{Finding, Group, Severity, versions::and},
};

pub const CHECK: Check = Check { codes: &[CODE], slow: false, without_policy: true, run };

const CODE: Code = Code {
    code: "search-path-shared",
    group: Group::Versions,
    severity: Severity::Warning,
    why: "Alembic asks which tables are visible, which is the whole path: autogenerate offers to drop the neighbour's \
          tables, and a migration may take one of the same name for its own.",
};

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    let paths = ctx.paths();
    if ctx.services().is_empty() {
        return by_evidence(ctx, &paths, out);
    }
    for of in ctx.declared() {
        let Some(service) = of.service.filter(|_| !of.role.superuser) else { continue };
        let path = ctx.path(&paths, of.position);
        let own = |oid: Oid| ctx.schema(oid).is_some_and(|schema| service.schemas.contains(&schema.name));
        // a path that leads elsewhere first is a finding of its own, and the same change mends both
        if !path.first().is_some_and(own) {
            continue;
        }
        let seen = visible(ctx, &path, own, |owner| ctx.belongs(owner, service));
        if seen.is_empty() {
            continue;
        }
        let mut finding = draft(ctx, &of.role.name, &path, &seen);
        finding.service = Some(service.name.clone());
        finding.schema = service.schemas.first().cloned();
        let declared = of.search_path.is_some() && is_wanted(ctx, &of, &path);
        if declared {
            let reasons = doubts(ctx, &of, &seen);
            if reasons.is_empty() {
                finding.severity = Severity::Info;
                finding.remedy =
                    "Declared, its own version table comes first and no name exists twice; make sure that \
                                  the application's env.py leaves the neighbour's tables out of autogenerate."
                        .into();
            } else {
                finding.remedy =
                    format!("The policy declares this path; it is safe only once {}.", and_owned(&reasons));
            }
        } else {
            let wanted = ctx.wanted_path(service, &path);
            finding.expected = shown_path(wanted.iter().map(String::as_str));
            if let Some(living) = ctx.lost(service, &path, &wanted).first() {
                finding.remedy = format!(
                    "It works with {} still, and would not find them: `{}` moves them and sets the path.",
                    living.words(),
                    isolate(&ctx.snapshot.target(), &living.schema, service)
                );
            } else {
                finding.remedy = format!(
                    "Set the path of {} to {}; what it reads of others it can name with the schema.",
                    of.name, finding.expected
                );
                finding.fix = Some(vec![ctx.set_path(of.name, wanted)]);
            }
        }
        out.push(finding);
    }
}

/// Without declared services: a role that owns a version table looks into a schema with other people's tables too.
fn by_evidence(ctx: &Context<'_>, paths: &Paths<'_>, out: &mut Vec<Finding>) {
    for (position, role) in ctx.catalog.roles.iter().enumerate() {
        if !role.login || role.superuser || role.is_platform() {
            continue;
        }
        let mine: Vec<Oid> = ctx
            .snapshot
            .versions
            .0
            .iter()
            .filter(|t| t.shape && t.plain && t.owner == role.oid)
            .map(|t| t.schema)
            .collect();
        let path = ctx.path(paths, position);
        if !path.current().is_some_and(|s| mine.contains(&s)) {
            continue;
        }
        let seen = visible(ctx, &path, |schema| mine.contains(&schema), |owner| owner == role.oid);
        if !seen.is_empty() {
            let mut finding = draft(ctx, &role.name, &path, &seen);
            finding.remedy =
                "Leave its own schema in the path alone; what it reads of others it can name with the schema.".into();
            out.push(finding);
        }
    }
}

/// Schemas of the path with tables of others, and how many.
fn visible(
    ctx: &Context<'_>,
    path: &SearchPath,
    own: impl Fn(Oid) -> bool,
    mine: impl Fn(Oid) -> bool,
) -> Vec<(Oid, u32)> {
    path.listed()
        .filter(|s| !own(*s) && ctx.schema(*s).is_some_and(|s| !s.is_system() && !s.extension))
        .map(|s| (s, ctx.tables_in(s, |owner| !mine(owner))))
        .filter(|(_, tables)| *tables > 0)
        .collect()
}

fn draft(ctx: &Context<'_>, role: &str, path: &SearchPath, seen: &[(Oid, u32)]) -> Finding {
    let mut finding = ctx.draft(&CODE);
    let shown = shown_path(path.written());
    finding.id = format!("{}:{role}", CODE.code);
    finding.role = Some(role.to_owned());
    finding.observed = format!("{shown} (set for {})", path.origin.words());
    finding.via = Some(path.origin.words().to_owned());
    finding.expected = "its own schema only".into();
    let parts: Vec<String> = seen
        .iter()
        .map(|(schema, tables)| {
            let name = ctx.schema_name(*schema);
            let whose = ctx.service_of(&name).map(|s| format!(" of {}", s.name)).unwrap_or_default();
            format!("{}{whose} in {name}", count(*tables as usize, "table"))
        })
        .collect();
    finding.message = format!("{role} sees {} through its path {shown}: its migrations will too.", and_owned(&parts));
    finding
}

/// What still speaks against a declared path (alembic: own version table first, no name twice).
fn doubts(ctx: &Context<'_>, of: &Declared<'_>, seen: &[(Oid, u32)]) -> Vec<String> {
    let mut doubts = Vec::new();
    let Some(service) = of.service else { return doubts };
    let home = ctx.versions.home_of(&service.name).and_then(|v| ctx.snapshot.versions.0.get(v.table));
    if service.version_table.is_some() && !home.is_some_and(|t| ctx.belongs(t.owner, service)) {
        doubts.push("it has a version table of its own".to_owned());
    }
    let own: Vec<Oid> = service.schemas.iter().filter_map(|s| ctx.catalog.schema_named(s)).map(|s| s.oid).collect();
    match ctx.shapes {
        None => doubts.push("it is known that no table name exists in both (still being read)".to_owned()),
        Some(shapes) => {
            let twice: Vec<&str> = shapes
                .overlaps
                .iter()
                .filter(|o| !ctx.snapshot.versions.0.iter().any(|t| t.name == o.table))
                .filter(|o| o.schemas.iter().any(|s| own.contains(s)))
                .filter(|o| o.schemas.iter().any(|s| seen.iter().any(|(other, _)| other == s)))
                .map(|o| o.table.as_str())
                .collect();
            if !twice.is_empty() {
                doubts.push(format!("no name exists in both ({})", and(&twice)));
            }
        }
    }
    doubts
}

fn and_owned(parts: &[String]) -> String {
    and(&parts.iter().map(String::as_str).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::snapshot::Overlap, policy::checks::fixture::Fixture};

    fn fixture(path: &str, more: &str) -> Fixture {
        Fixture::new()
            .role("engarde_user")
            .role("app")
            .schema("langflow", "app")
            .table("public", "campaigns", "engarde_user")
            .table("langflow", "flow", "app")
            .version_table("langflow", "alembic_version", "app", Some(&["l1"]))
            .setting(Some("app"), true, "search_path", path)
            .policy(&format!(
                "[[service]]\nname='engarde'\nschema='public'\nrole='engarde_user'\n\
                 [[service]]\nname='langflow'\nschema='langflow'\nrole='app'\n{more}\n"
            ))
    }

    #[test]
    fn the_documents_form_is_warned_of() {
        let found = fixture("langflow, public", "").case().only(CODE.code);
        assert_eq!((found.severity, found.expected.as_str()), (Severity::Warning, "langflow"));
        assert!(found.message.contains("1 table of engarde in public"), "{}", found.message);
        assert!(found.fix.is_some());
    }

    #[test]
    fn what_shows_nothing_of_others_is_fine() {
        assert_eq!(fixture("langflow", "").case().of(CODE.code), vec![]);
        let f = fixture("langflow, extensions", "").schema("extensions", "postgres");
        assert_eq!(f.grant_schema("extensions", "PUBLIC", "USAGE").case().of(CODE.code), vec![]);
        let closed = fixture("langflow, public", "").revoke_schema("public", "PUBLIC", "USAGE");
        assert_eq!(closed.case().of(CODE.code), vec![], "not looked into");
        let shut_out = fixture("langflow, public", "").revoke_schema("langflow", "app", "USAGE");
        assert_eq!(shut_out.case().of(CODE.code).len(), 1, "its own schema first, though it may not use it");
    }

    #[test]
    fn declared_it_is_info_once_the_checks_hold() {
        let declared = "search_path=['langflow','public']";
        let f = fixture("langflow, public", declared);
        let found = f.clone().case().only(CODE.code);
        assert_eq!((found.severity, found.fix.is_none()), (Severity::Info, true));
        let mut twice = f.clone();
        let schemas = vec![f.schema_oid("langflow"), f.schema_oid("public")];
        for table in ["flow", "alembic_version"] {
            twice.shapes.overlaps.push(Overlap { table: table.into(), schemas: schemas.clone() });
        }
        let found = twice.case().only(CODE.code);
        assert_eq!(found.severity, Severity::Warning);
        assert!(found.remedy.contains("exists in both (flow)"), "{}", found.remedy);
        let mut bare = f;
        bare.versions.clear();
        assert_eq!(bare.case().only(CODE.code).severity, Severity::Warning);
    }

    #[test]
    fn without_a_policy_owners_of_version_tables_are_asked() {
        let mut f = fixture("langflow, public", "");
        f.policy = None;
        assert_eq!(f.case().only(CODE.code).role.as_deref(), Some("app"));
        let mut f = fixture("langflow", "");
        f.policy = None;
        assert_eq!(f.case().of(CODE.code), vec![]);
    }
}
