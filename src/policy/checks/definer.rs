//! `function-definer-crossing`, `definer-search-path`: SECURITY DEFINER routines that lend rights across services, or
//! that look names up where their caller says.

use super::{Check, Code, Context};
use crate::{
    domain::{
        ObjectKind, Privilege,
        change::Change,
        effective::Who,
        search_path::parse,
        snapshot::{Definer, Schema},
    },
    policy::{Finding, Group, Level, Service, Severity, desired::real_owner, versions::and},
};

pub const CHECK: Check = Check { codes: &[CROSSING, PATH], slow: true, without_policy: true, run };

const CROSSING: Code = Code {
    code: "function-definer-crossing",
    group: Group::Isolation,
    severity: Severity::Warning,
    why: "A SECURITY DEFINER routine does whatever its owner may do, for everybody who may call it.",
};

const PATH: Code = Code {
    code: "definer-search-path",
    group: Group::Isolation,
    severity: Severity::Warning,
    why: "Names inside it are looked up where the caller's search path says: a caller can put a table or function of \
          its own in between and have it run with the owner's rights.",
};

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    for definer in ctx.shapes.map(|s| s.definers.as_slice()).unwrap_or_default().iter().filter(|d| !d.extension) {
        let Some(schema) = ctx.schema(definer.schema).filter(|s| !s.is_system() && !s.extension) else {
            continue;
        };
        out.extend(crossing(ctx, definer, schema));
        out.extend(path(ctx, definer, schema));
    }
}

fn draft(ctx: &Context<'_>, code: &Code, definer: &Definer, schema: &Schema) -> Finding {
    let object = format!("{}.{}", schema.name, definer.signature);
    let mut finding = ctx.draft(code);
    finding.id = format!("{}:{object}", code.code);
    finding.service = ctx.service_of(&schema.name).map(|s| s.name.clone());
    finding.schema = Some(schema.name.clone());
    finding.object = Some(object.clone());
    finding.objects = vec![object];
    finding
}

/// With a policy: a routine in a service's schema that runs as somebody else, or one that another service may call
/// without being declared to.
fn crossing(ctx: &Context<'_>, definer: &Definer, schema: &Schema) -> Option<Finding> {
    let policy = ctx.policy?;
    let service = ctx.service_of(&schema.name);
    let owner = ctx.catalog.role_name(definer.owner);
    let callers: Vec<&str> = ctx
        .declared()
        .into_iter()
        .filter(|d| !d.role.superuser && !ctx.matrix.owns(Who::Role(d.position), definer.owner))
        .filter(|d| may_call(ctx, d.position, definer, schema))
        .map(|d| d.name)
        .collect();
    let mut finding = draft(ctx, &CROSSING, definer, schema);
    let object = finding.object.clone().unwrap_or_default();
    let Some(service) = service else {
        // a schema that nobody's service owns: its declared owner's routines are its purpose
        let rule = policy.schemas.iter().find(|s| s.name == schema.name)?;
        let declared = rule.owner.as_ref().and_then(|o| ctx.catalog.role_named(o)).map(|r| r.oid);
        let fits = declared.is_none_or(|o| real_owner(ctx.catalog, o) == real_owner(ctx.catalog, definer.owner));
        if fits || callers.is_empty() {
            return None;
        }
        finding.observed = format!("runs as {owner}");
        finding.expected = rule.owner.clone().unwrap_or_default();
        finding.message = format!("{object} runs with the rights of {owner}; {} may call it.", and(&callers));
        finding.remedy = remedy(&object);
        return Some(finding);
    };
    if !ctx.belongs(definer.owner, service) {
        if callers.is_empty() {
            return None;
        }
        finding.observed = format!("runs as {owner}");
        finding.expected = format!("runs as {}", service.owner);
        finding.message = format!(
            "{object} stands in {}'s schema and runs with the rights of {owner}; {} may call it.",
            service.name,
            and(&callers)
        );
        finding.remedy = remedy(&object);
        return Some(finding);
    }
    let strangers: Vec<&str> = callers.into_iter().filter(|name| !is_declared(ctx, name, service, schema)).collect();
    if strangers.is_empty() {
        return None;
    }
    finding.observed = format!("{} may call it", and(&strangers));
    finding.expected = format!("called by {} only, or by who is declared to execute", service.role);
    finding.message = format!("{} may call {object}, which runs with the rights of {owner}.", and(&strangers));
    finding.remedy = remedy(&object);
    Some(finding)
}

fn remedy(object: &str) -> String {
    format!(
        "Look at what it does. Then take EXECUTE on {object} away from PUBLIC and give it to those who need it, make it \
         SECURITY INVOKER, or declare the access `execute`. Its owner is never changed by itself."
    )
}

/// USAGE on the schema and EXECUTE.
fn may_call(ctx: &Context<'_>, role: usize, definer: &Definer, schema: &Schema) -> bool {
    let who = Who::Role(role);
    ctx.matrix.rights(ctx.catalog, who, ObjectKind::Schema, schema.owner, &schema.acl).contains(Privilege::Usage)
        && ctx
            .matrix
            .rights(ctx.catalog, who, ObjectKind::Routine, definer.owner, &definer.acl)
            .contains(Privilege::Execute)
}

/// The policy lets the role execute there, or change everything anyway; a role of the service itself always.
fn is_declared(ctx: &Context<'_>, role: &str, service: &Service, schema: &Schema) -> bool {
    let Some(policy) = ctx.policy else { return false };
    let ours = service.role == role || service.owner == role || service.creators.iter().any(|c| c == role);
    let lists =
        policy.services.iter().map(|s| (&s.role, &s.access)).chain(policy.roles.iter().map(|r| (&r.name, &r.access)));
    let mut levels =
        lists.filter(|(name, _)| *name == role).filter_map(|(_, access)| access.get(&schema.name)).flatten();
    let declared = levels.any(|l| match l {
        Level::Execute | Level::Write | Level::All | Level::Own => true,
        Level::Usage | Level::Read | Level::Append | Level::Reference => false,
    });
    ours || declared
}

fn path(ctx: &Context<'_>, definer: &Definer, schema: &Schema) -> Option<Finding> {
    let mut finding = draft(ctx, &PATH, definer, schema);
    let object = finding.object.clone().unwrap_or_default();
    finding.expected = "a search path of its own, in which nobody else may create".into();
    let Some(value) = &definer.search_path else {
        finding.observed = "no search path of its own".into();
        finding.message =
            format!("{object} runs as {} with its caller's search path.", ctx.catalog.role_name(definer.owner));
        finding.remedy = format!(
            "Give it a path of its own, {}, pg_temp; what it names elsewhere must then carry its schema.",
            schema.name
        );
        finding.fix = Some(vec![Change::SetFunctionSearchPath {
            schema: schema.name.clone(),
            signature: definer.signature.clone(),
            path: vec![schema.name.clone(), "pg_temp".to_owned()],
        }]);
        // a path in which everybody may create would be found again
        if anybody_creates(ctx, &schema.name) {
            finding.fix = None;
        }
        return Some(finding);
    };
    let names = parse(value).unwrap_or_default();
    let open: Vec<&str> = names.iter().map(String::as_str).filter(|n| anybody_creates(ctx, n)).collect();
    if open.is_empty() {
        return None;
    }
    finding.observed = format!("search path {}", names.join(", "));
    finding.message = format!(
        "{object} looks names up in {}, where everybody may create; it runs as {}.",
        and(&open),
        ctx.catalog.role_name(definer.owner)
    );
    finding.remedy = format!("Revoke CREATE on {} from PUBLIC, or leave it out of the routine's path.", and(&open));
    Some(finding)
}

/// PUBLIC may CREATE in the schema; `$user` is whatever the caller is called.
fn anybody_creates(ctx: &Context<'_>, schema: &str) -> bool {
    if schema == "$user" {
        return true;
    }
    ctx.catalog.schema_named(schema).is_some_and(|s| {
        ctx.matrix.rights(ctx.catalog, Who::Public, ObjectKind::Schema, s.owner, &s.acl).contains(Privilege::Create)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::Acl, policy::checks::fixture::Fixture};

    fn fixture(owner: &str, schema: &str, path: Option<&str>, more: &str) -> Fixture {
        let mut f = Fixture::new()
            .role("engarde_user")
            .role("app")
            .schema("langflow", "app")
            .schema("audit", "postgres")
            .grant_schema("audit", "app", "USAGE")
            .policy(&format!(
                "[[service]]\nname='engarde'\nschema='public'\nrole='engarde_user'\nowner='pg_database_owner'\n\
                 creators=['engarde_user']\n\
                 [[service]]\nname='langflow'\nschema='langflow'\nrole='app'\n{more}\n\
                 [[schema]]\nname='audit'\nowner='postgres'\n"
            ));
        f.shapes.definers.push(Definer {
            schema: f.schema_oid(schema),
            signature: "f(integer)".into(),
            owner: f.role_oid(owner),
            acl: Acl::NULL,
            search_path: path.map(str::to_owned),
            extension: false,
        });
        f
    }

    #[test]
    fn a_routine_that_runs_as_another_service_crosses() {
        let found = fixture("engarde_user", "langflow", Some("langflow"), "").case().only(CROSSING.code);
        assert!(found.message.contains("runs with the rights of engarde_user; app may call it"), "{}", found.message);
        assert!(found.fix.is_none(), "owners of SECURITY DEFINER routines are never changed by themselves");
    }

    #[test]
    fn its_own_and_declared_ones_do_not() {
        assert_eq!(fixture("app", "langflow", Some("langflow"), "").case().of(CROSSING.code), vec![]);
        assert_eq!(fixture("postgres", "audit", Some(""), "").case().of(CROSSING.code), vec![], "the audit trail's");
        // app has USAGE on public through PUBLIC, and EXECUTE by PostgreSQL's default
        let found = fixture("engarde_user", "public", Some("\"\""), "").case().only(CROSSING.code);
        assert_eq!(found.observed, "app may call it");
        let declared = "access={public=['execute']}";
        assert_eq!(fixture("engarde_user", "public", Some("\"\""), declared).case().of(CROSSING.code), vec![]);
    }

    #[test]
    fn a_definer_needs_a_path_that_nobody_can_enter() {
        let mut f = fixture("app", "langflow", None, "");
        f.policy = None;
        let found = f.clone().case().only(PATH.code);
        assert!(matches!(found.fix.as_deref(), Some([Change::SetFunctionSearchPath { path, .. }]) if path.len() == 2));
        f.shapes.definers[0].search_path = Some("langflow, pg_temp".into());
        assert_eq!(f.clone().case().of(PATH.code), vec![]);
        f.shapes.definers[0].search_path = Some("\"$user\", langflow".into());
        assert_eq!(f.clone().case().only(PATH.code).fix, None);
        f.shapes.definers[0].search_path = Some("public".into());
        assert_eq!(f.clone().case().of(PATH.code), vec![], "since 15 nobody may create in public");
        let found = f.grant_schema("public", "PUBLIC", "CREATE").case().only(PATH.code);
        assert!(found.message.contains("where everybody may create"), "{}", found.message);
    }
}
