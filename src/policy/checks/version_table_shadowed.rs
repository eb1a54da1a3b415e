//! `version-table-shadowed`: a service's search path leads it to another service's version table.

use std::fmt::Write as _;

use super::{Check, Code, Context, commands::isolate, declared::shown_path};
use crate::{
    domain::search_path::Standing,
    policy::{Finding, Group, Severity, versions::declared_place},
};

pub const CHECK: Check = Check { codes: &[CODE], slow: false, without_policy: false, run };

const CODE: Code = Code {
    code: "version-table-shadowed",
    group: Group::Versions,
    severity: Severity::Critical,
    why: "Alembic takes the first version table that the path shows for its own: the next start fails on the \
          neighbour's revision, or overwrites it.",
};

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    let paths = ctx.paths();
    let (homes, claims) = (ctx.versions.homes(), ctx.versions.claims());
    for service in ctx.services() {
        let Some(claimed) = claims.get(service.name.as_str()) else { continue };
        let other = claimed.home.as_deref().or_else(|| {
            // nobody's declared place, but another service's revision
            claimed.service.as_deref().filter(|_| claimed.rows.iter().all(|r| r.settled() != Some(&service.name)))
        });
        let Some(other) = other.filter(|o| *o != service.name) else { continue };
        let (Some(table), Some(role)) =
            (ctx.snapshot.versions.0.get(claimed.table), ctx.matrix.index.role_named(&service.role))
        else {
            continue;
        };
        let object = format!("{}.{}", ctx.schema_name(table.schema), table.name);
        let path = ctx.path(&paths, role);
        let shown = shown_path(path.written());
        let mut finding = ctx.draft(&CODE);
        finding.id = format!("{}:{}", CODE.code, service.name);
        finding.service = Some(service.name.clone());
        finding.schema = service.schemas.first().cloned();
        finding.role = Some(service.role.clone());
        finding.object = Some(object.clone());
        finding.objects = vec![object.clone()];
        finding.observed = format!("{object}, through {shown}");
        finding.expected = declared_place(service);
        finding.via = Some(path.origin.words().to_owned());
        finding.message =
            format!("{} resolves {} to {object}, which is {other}'s (search path {shown}).", service.role, table.name);
        if let Some(own) = path.skipped().find(|e| service.schemas.contains(&e.name)) {
            let why = if own.standing == Standing::Missing { "it does not exist" } else { "the role may not use it" };
            let _ = write!(finding.message, " Its own schema {} is skipped: {why}.", own.name);
        }
        let own = homes.contains_key(service.name.as_str());
        let wanted = ctx.wanted_path(service, &path);
        // the own schema alone, where the own table is; a declared path with the neighbour first mends nothing
        let mends = service.schemas.first() == wanted.first();
        if let Some(living) = ctx.lost(service, &path, &wanted).first() {
            finding.remedy = format!(
                "Its tables have to go along with its revision: `{}` moves {}, its rows of the version table, and sets \
                 the path.",
                isolate(&ctx.snapshot.target(), &living.schema, service),
                living.words()
            );
        } else if own && mends {
            finding.remedy = format!("Set the path of {} to {}.", service.role, wanted.join(", "));
            finding.fix = Some(vec![ctx.set_path(&service.role, wanted)]);
        } else if own {
            finding.remedy = "Put the service's own schema first in the policy's search_path.".into();
        } else {
            finding.remedy = format!(
                "Give it a version table of its own, {}, and leave {} out of its path.",
                declared_place(service),
                ctx.schema_name(table.schema)
            );
            if service.search_path.is_none() && mends {
                finding.fix = Some(vec![ctx.set_path(&service.role, wanted)]);
            }
        }
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::change::Change, policy::checks::fixture::Fixture};

    fn fixture(path: &str) -> Fixture {
        Fixture::new()
            .role("engarde_user")
            .role("app")
            .schema("langflow", "app")
            .setting(Some("app"), true, "search_path", path)
            .version_table("public", "alembic_version", "engarde_user", Some(&["e1"]))
            .policy(
                "[[service]]\nname='engarde'\nschema='public'\nrole='engarde_user'\n\
                 [[service]]\nname='langflow'\nschema='langflow'\nrole='app'\n",
            )
    }

    #[test]
    fn without_an_own_one_the_neighbours_is_adopted() {
        let found = fixture("langflow, public").case().only(CODE.code);
        assert_eq!((found.severity, found.role.as_deref()), (Severity::Critical, Some("app")));
        assert!(found.message.contains("which is engarde's"), "{}", found.message);
        assert!(
            matches!(found.fix.as_deref(), Some([Change::SetRoleSetting { value: Some(v), .. }]) if *v == ["langflow"])
        );
    }

    #[test]
    fn the_own_one_first_or_alone_is_in_order() {
        assert_eq!(fixture("langflow").case().of(CODE.code), vec![], "the path does not reach the other");
        let own = |path| fixture(path).version_table("langflow", "alembic_version", "app", Some(&["l1"]));
        assert_eq!(own("langflow, public").case().of(CODE.code), vec![]);
        assert_eq!(own("public, langflow").case().of(CODE.code).len(), 1);
        let shut_out = own("langflow, public").revoke_schema("langflow", "app", "USAGE").case().only(CODE.code);
        assert!(shut_out.message.ends_with("Its own schema langflow is skipped: the role may not use it."));
        let closed = fixture("public, langflow").revoke_schema("public", "PUBLIC", "USAGE");
        assert_eq!(closed.case().of(CODE.code), vec![], "a schema it may not use is not looked into");
    }
}
