//! `table-overlap`: the same table name in the schemas of two services.

use std::collections::BTreeMap;

use super::{
    Check, Code, Context,
    declared::{count, list},
};
use crate::{
    domain::Oid,
    policy::{Finding, Group, Severity, Undeclared},
};

pub const CHECK: Check = Check { codes: &[CODE], slow: true, without_policy: true, run };

const CODE: Code = Code {
    code: "table-overlap",
    group: Group::Isolation,
    severity: Severity::Warning,
    why: "Which of the two an unqualified name means is decided by a search path; a migration of one may alter the \
          other's.",
};

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    let Some(shapes) = ctx.shapes else { return };
    let mut pairs: BTreeMap<(Oid, Oid), Vec<&str>> = BTreeMap::new();
    for overlap in &shapes.overlaps {
        // every service has a version table of that name; those have checks of their own
        if ctx.snapshot.versions.0.iter().any(|t| t.name == overlap.table) {
            continue;
        }
        let mut schemas = overlap.schemas.clone();
        schemas.sort_unstable();
        for (i, a) in schemas.iter().enumerate() {
            for b in schemas.iter().skip(i + 1) {
                pairs.entry((*a, *b)).or_default().push(&overlap.table);
            }
        }
    }
    let confusable = if ctx.services().is_empty() { confusable(ctx, pairs.keys()) } else { Vec::new() };
    let allowed = ctx.policy.map(|p| p.allow.overlap.as_slice()).unwrap_or_default();
    for ((a, b), tables) in pairs {
        let (first, second) = (ctx.schema_name(a), ctx.schema_name(b));
        let ((first, second), (a, b)) =
            if first <= second { ((first, second), (a, b)) } else { ((second, first), (b, a)) };
        let services = (ctx.service_of(&first), ctx.service_of(&second));
        let whose = match services {
            (Some(x), Some(y)) if x.name != y.name => Some((x.name.as_str(), y.name.as_str())),
            (Some(_), Some(_)) => continue,
            (None, _) | (_, None) => None,
        };
        if whose.is_none() && !confusable.contains(&(a.min(b), a.max(b))) {
            continue;
        }
        let (fine, bad): (Vec<&str>, Vec<&str>) = tables.into_iter().partition(|t| allowed.iter().any(|n| n == t));
        let twins = whose
            .is_some_and(|(x, y)| ctx.lineages.of(x).zip(ctx.lineages.of(y)).is_some_and(|(x, y)| x.same_project(y)));
        for (names, info) in [(bad, twins), (fine, true)] {
            if names.is_empty() {
                continue;
            }
            let mut finding = ctx.draft(&CODE);
            finding.id = format!("{}:{first}:{second}{}", CODE.code, if info && !twins { ":allowed" } else { "" });
            finding.schema = Some(first.clone());
            finding.service = whose.map(|(x, _)| x.to_owned());
            finding.object = Some(second.clone());
            finding.observed = format!("{} in both", count(names.len(), "table name"));
            finding.expected = "no name in both".into();
            let shown = if names.len() <= 3 { names.join(", ") } else { format!("{}, …", some(&names)) };
            finding.message = format!("{first} and {second} both have {}: {shown}.", tables_word(names.len()));
            finding.remedy = if info && twins {
                "Both services run the same application: nothing to do while their search paths stay apart.".to_owned()
            } else if info {
                "Allowed by the policy.".to_owned()
            } else {
                leftovers(ctx, whose, [(a, &first), (b, &second)], &names).unwrap_or_else(|| {
                    "Find out which of them are leftovers (owners, rows), save what they hold and drop them; what is \
                     meant goes under [allow] overlap."
                        .to_owned()
                })
            };
            if info {
                finding.severity = Severity::Info;
            }
            list(&mut finding, names.iter().flat_map(|n| [format!("{first}.{n}"), format!("{second}.{n}")]).collect());
            out.push(finding);
        }
    }
}

/// What the owners say: tables in one service's schema that belong to the other.
fn leftovers(
    ctx: &Context<'_>,
    whose: Option<(&str, &str)>,
    schemas: [(Oid, &String); 2],
    names: &[&str],
) -> Option<String> {
    let (x, y) = whose?;
    let service = |name: &str| ctx.services().iter().find(|s| s.name == name);
    let [first, second] = schemas;
    [(first, service(y)?), (second, service(x)?)].into_iter().find_map(|((oid, schema), other)| {
        let objects = ctx.snapshot.objects.0.get(&oid)?;
        let mut owners =
            objects.relations.iter().filter(|o| names.contains(&o.name.as_str())).map(|o| o.owner).peekable();
        owners.peek()?;
        owners.all(|o| ctx.belongs(o, other)).then(|| {
            format!(
                "Those in {schema} belong to {}: leftovers of {}, by their owner. Save what they hold and drop them.",
                other.role, other.name
            )
        })
    })
}

fn some(names: &[&str]) -> String {
    names.iter().take(3).copied().collect::<Vec<_>>().join(", ")
}

fn tables_word(n: usize) -> String {
    if n == 1 { "a table of the same name".to_owned() } else { format!("{n} tables of the same name") }
}

/// Without declared services: pairs that one login's path shows together and that different roles own.
fn confusable<'a>(ctx: &Context<'_>, pairs: impl Iterator<Item = &'a (Oid, Oid)>) -> Vec<(Oid, Oid)> {
    let wanted: Vec<(Oid, Oid)> = pairs
        .copied()
        .filter(|(a, b)| {
            let owner = |s: &Oid| ctx.schema(*s).map(|s| s.owner);
            owner(a) != owner(b)
        })
        .collect();
    if wanted.is_empty() || ctx.policy.is_some_and(|p| p.undeclared == Undeclared::Ignore) {
        return Vec::new();
    }
    let paths = ctx.paths();
    let mut found = Vec::new();
    for (position, role) in ctx.catalog.roles.iter().enumerate() {
        if !role.login || role.superuser || role.is_platform() {
            continue;
        }
        let seen: Vec<Oid> = ctx.path(&paths, position).listed().collect();
        let together = wanted.iter().filter(|(a, b)| seen.contains(a) && seen.contains(b));
        for (a, b) in together {
            if !found.contains(&(*a.min(b), *a.max(b))) {
                found.push((*a.min(b), *a.max(b)));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            alembic::tests::{lineage, lineages},
            snapshot::Overlap,
        },
        policy::checks::fixture::Fixture,
    };

    fn fixture(tables: &[&str], more: &str) -> Fixture {
        let mut f = Fixture::new().role("engarde_user").role("app").schema("langflow", "app").policy(&format!(
            "[[service]]\nname='engarde'\nschema='public'\nrole='engarde_user'\n\
             [[service]]\nname='langflow'\nschema='langflow'\nrole='app'\n{more}\n"
        ));
        let schemas = vec![f.schema_oid("public"), f.schema_oid("langflow")];
        for table in tables {
            f.shapes.overlaps.push(Overlap { table: (*table).into(), schemas: schemas.clone() });
        }
        f
    }

    #[test]
    fn a_pair_of_schemas_is_one_finding() {
        let found = fixture(&["flow", "folder"], "").case().only(CODE.code);
        assert_eq!((found.severity, found.id.as_str()), (Severity::Warning, "table-overlap:langflow:public"));
        assert_eq!(found.objects, ["langflow.flow", "langflow.folder", "public.flow", "public.folder"]);
    }

    #[test]
    fn owners_tell_which_are_leftovers() {
        let f = fixture(&["flow"], "").table("public", "flow", "app").table("langflow", "flow", "app");
        let found = f.case().only(CODE.code);
        assert!(found.remedy.starts_with("Those in public belong to app: leftovers of langflow"), "{}", found.remedy);
    }

    #[test]
    fn version_tables_and_allowed_names_are_not_accused() {
        let f = fixture(&["alembic_version"], "");
        let f = f.version_table("langflow", "alembic_version", "app", Some(&["a"]));
        assert_eq!(f.case().of(CODE.code), vec![]);
        let found = fixture(&["countries", "flow"], "[allow]\noverlap=['countries']").case().of(CODE.code);
        let severities: Vec<(Severity, usize)> = found.iter().map(|f| (f.severity, f.objects.len())).collect();
        assert_eq!(severities, [(Severity::Warning, 2), (Severity::Info, 2)]);
    }

    #[test]
    fn two_installations_of_one_application_are_listed() {
        let mut f = fixture(&["flow"], "");
        f.lineages = lineages([lineage("engarde", &["a", "b < a"]), lineage("langflow", &["a", "b < a"])]);
        assert_eq!(f.case().only(CODE.code).severity, Severity::Info);
    }

    #[test]
    fn without_services_a_path_must_confuse_them() {
        let mut f = fixture(&["flow"], "");
        f.policy = None;
        assert_eq!(f.clone().case().of(CODE.code), vec![]);
        let f = f.setting(Some("app"), true, "search_path", "langflow, public");
        assert_eq!(f.case().of(CODE.code).len(), 1);
    }
}
