//! `table-overlap`: the same table name in the schemas of two services.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    Check, Code, Context,
    declared::{count, list},
};
use crate::{
    domain::Oid,
    policy::{Finding, Group, Severity, Undeclared, finding::MAX_OBJECTS},
};

pub const CHECK: Check = Check { codes: &[CODE], slow: true, without_policy: true, run };

const CODE: Code = Code {
    code: "table-overlap",
    group: Group::Isolation,
    severity: Severity::Warning,
    why: "Which of the two an unqualified name means is decided by a search path; a migration of one may alter the \
          other's.",
};

/// A name that stands in the schemas of more services than this is told once for all of them: pairs would be thousands.
const MANY: usize = 8;

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    let Some(shapes) = ctx.shapes else { return };
    let versions: HashSet<&str> = ctx.snapshot.versions.0.iter().map(|t| t.name.as_str()).collect();
    // every service has a version table of that name; those have checks of their own
    let overlaps = || shapes.overlaps.iter().filter(|o| !versions.contains(o.table.as_str()));
    let mut pairs: BTreeMap<(Oid, Oid), Vec<&str>> = BTreeMap::new();
    let mut crowds: BTreeMap<Vec<Oid>, Vec<&str>> = BTreeMap::new();
    if ctx.services().is_empty() {
        let confusable = confusable(ctx);
        for overlap in overlaps().filter(|_| !confusable.is_empty()) {
            let schemas: HashSet<Oid> = overlap.schemas.iter().copied().collect();
            for (a, b) in confusable.iter().filter(|(a, b)| schemas.contains(a) && schemas.contains(b)) {
                pairs.entry((*a, *b)).or_default().push(&overlap.table);
            }
        }
    } else {
        let mut services: HashMap<Oid, Option<&str>> = HashMap::new();
        for overlap in overlaps() {
            let mut service = |oid: Oid| {
                let found = || ctx.service_of(&ctx.schema_name(oid)).map(|s| s.name.as_str());
                *services.entry(oid).or_insert_with(found)
            };
            let mut schemas: Vec<Oid> = overlap.schemas.iter().copied().filter(|s| service(*s).is_some()).collect();
            schemas.sort_unstable();
            let owners: HashSet<Option<&str>> = schemas.iter().map(|s| service(*s)).collect();
            if owners.len() > MANY {
                crowds.entry(schemas).or_default().push(&overlap.table);
                continue;
            }
            for (i, a) in schemas.iter().enumerate() {
                for b in schemas.iter().skip(i + 1) {
                    pairs.entry((*a, *b)).or_default().push(&overlap.table);
                }
            }
        }
    }
    two_by_two(ctx, pairs, out);
    for (schemas, tables) in crowds {
        crowd(ctx, &schemas, &tables, out);
    }
}

/// Names that stand in the schemas of many services.
fn crowd(ctx: &Context<'_>, schemas: &[Oid], tables: &[&str], out: &mut Vec<Finding>) {
    let mut names: Vec<String> = schemas.iter().map(|s| ctx.schema_name(*s)).collect();
    names.sort_unstable();
    let services: HashSet<&str> =
        names.iter().filter_map(|name| ctx.service_of(name)).map(|s| s.name.as_str()).collect();
    let mut lineages = services.iter().map(|name| ctx.lineages.of(name));
    let first = lineages.next().flatten();
    let twins = first.is_some_and(|first| lineages.all(|other| other.is_some_and(|o| first.same_project(o))));
    let allowed = ctx.policy.map(|p| p.allow.overlap.as_slice()).unwrap_or_default();
    let (fine, bad): (Vec<&str>, Vec<&str>) = tables.iter().partition(|t| allowed.iter().any(|n| n == *t));
    let (Some(one), Some(last)) = (names.first(), names.last()) else { return };
    for (tables, info) in [(bad, twins), (fine, true)] {
        let Some(table) = tables.first() else { continue };
        let mut finding = ctx.draft(&CODE);
        // A name stands in one set of schemas only, so that its first name tells a crowd from the others.
        finding.id = format!("{}:*:{table}{}", CODE.code, if info && !twins { ":allowed" } else { "" });
        finding.schema = Some(one.clone());
        finding.observed = format!("{} in {} schemas", count(tables.len(), "table name"), names.len());
        finding.expected = "no name in two services' schemas".into();
        let shown = if tables.len() <= 3 { tables.join(", ") } else { format!("{}, …", some(&tables)) };
        finding.message = format!(
            "{} schemas of {} services, {one} to {last}, have {}: {shown}.",
            names.len(),
            services.len(),
            tables_word(tables.len())
        );
        finding.remedy = if info && twins {
            "All of them run the same application: nothing to do while their search paths stay apart.".to_owned()
        } else if info {
            "Allowed by the policy.".to_owned()
        } else {
            "Where the services are copies of one application, put the names under [allow] overlap and keep every \
             search path to its own schema; what is left over from a move is to be saved and dropped."
                .to_owned()
        };
        if info {
            finding.severity = Severity::Info;
        }
        let total = names.len() * tables.len();
        // The first hundred by name are listed; more are only counted.
        let shown = names.iter().take(MAX_OBJECTS);
        list(&mut finding, shown.flat_map(|n| tables.iter().map(move |t| format!("{n}.{t}"))).collect());
        finding.objects_total = (total > MAX_OBJECTS).then_some(total as u64);
        out.push(finding);
    }
}

fn two_by_two(ctx: &Context<'_>, pairs: BTreeMap<(Oid, Oid), Vec<&str>>, out: &mut Vec<Finding>) {
    let allowed = ctx.policy.map(|p| p.allow.overlap.as_slice()).unwrap_or_default();
    for ((a, b), tables) in pairs {
        let (first, second) = (ctx.schema_name(a), ctx.schema_name(b));
        let ((first, second), (a, b)) =
            if first <= second { ((first, second), (a, b)) } else { ((second, first), (b, a)) };
        let services = (ctx.service_of(&first), ctx.service_of(&second));
        let whose = match services {
            (Some(x), Some(y)) if x.name != y.name => Some((x.name.as_str(), y.name.as_str())),
            (Some(_), Some(_)) => continue,
            // Of nobody's schemas only those are paired that a path can confuse.
            (None, _) | (_, None) => None,
        };
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

/// Without declared services: pairs that one login's path shows together and that different roles own. Lower oid first.
fn confusable(ctx: &Context<'_>) -> BTreeSet<(Oid, Oid)> {
    let mut found = BTreeSet::new();
    if ctx.policy.is_some_and(|p| p.undeclared == Undeclared::Ignore) {
        return found;
    }
    let owner = |s: Oid| ctx.schema(s).map(|s| s.owner);
    let paths = ctx.paths();
    for (position, role) in ctx.catalog.roles.iter().enumerate() {
        if !role.login || role.superuser || role.is_platform() {
            continue;
        }
        let seen: Vec<Oid> = ctx.path(&paths, position).listed().collect();
        for (i, a) in seen.iter().enumerate() {
            let others = seen.iter().skip(i + 1).filter(|b| owner(*a) != owner(**b));
            found.extend(others.map(|b| (*a.min(b), *a.max(b))));
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
    fn a_name_in_the_schemas_of_many_services_is_one_finding() {
        let many = |services: usize| {
            let mut policy = "[allow]\noverlap=['countries']\n".to_owned();
            let mut f = Fixture::new();
            let mut schemas = Vec::new();
            for i in 0..services {
                let name = format!("s{i:02}");
                f = f.role(&name).schema(&name, &name);
                schemas.push(f.schema_oid(&name));
                let service = format!("[[service]]\nname='{name}'\nschema='{name}'\nrole='{name}'\n");
                policy.push_str(&service);
            }
            for table in ["countries", "flow", "folder"] {
                f.shapes.overlaps.push(Overlap { table: table.into(), schemas: schemas.clone() });
            }
            f.policy(&policy).case().of(CODE.code)
        };
        assert_eq!(many(MANY).len(), MANY * (MANY - 1), "pair by pair, allowed or not");
        let found = many(60);
        let [bad, fine] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((bad.severity, bad.objects.len(), bad.objects_total), (Severity::Warning, 100, Some(120)));
        assert_eq!(bad.objects.iter().max().unwrap(), "s49.folder");
        assert!(bad.message.starts_with("60 schemas of 60 services, s00 to s59, have 2 tables"), "{}", bad.message);
        assert_eq!((fine.severity, fine.objects_total), (Severity::Info, None));
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
