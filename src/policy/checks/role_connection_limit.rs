//! `role-connection-limit`: a declared limit that the role does not have, or one that the server cannot serve.

use super::{Check, Code, Context};
use crate::{
    domain::change::{Change, RoleAttributes},
    policy::{Finding, Group, Severity},
};

pub const CHECK: Check = Check { codes: &[CODE], slow: false, without_policy: false, run };

const CODE: Code = Code {
    code: "role-connection-limit",
    group: Group::Roles,
    severity: Severity::Warning,
    why: "Without a limit one service can take every connection of the server, and the others are refused.",
};

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    let server = ctx.snapshot.server.max_connections;
    for of in ctx.declared() {
        let limit = of.role.connection_limit;
        let above = server > 0 && limit > server;
        let differs = of.connection_limit.is_some_and(|wanted| wanted != limit);
        if !above && !differs {
            continue;
        }
        let shown = if limit < 0 { "none".to_owned() } else { limit.to_string() };
        let mut finding = ctx.draft(&CODE);
        finding.id = format!("{}:{}", CODE.code, of.name);
        finding.service = of.service.map(|s| s.name.clone());
        finding.role = Some(of.name.to_owned());
        finding.observed.clone_from(&shown);
        finding.expected = of
            .connection_limit
            .map_or_else(|| format!("at most {server}, as many as the server has"), |n| n.to_string());
        finding.message = if limit < 0 {
            format!("{} has no connection limit.", of.name)
        } else if above {
            format!("{} may open {shown} connections; the server has {server}.", of.name)
        } else {
            format!("{} may open {shown} connections, {} are declared.", of.name, finding.expected)
        };
        finding.remedy = match of.connection_limit {
            Some(wanted) if wanted != limit => {
                let attributes = RoleAttributes { connection_limit: Some(wanted), ..RoleAttributes::default() };
                // a declared limit above the server's would be found again
                finding.fix = (server <= 0 || wanted <= server)
                    .then(|| vec![Change::AlterRole { name: of.name.to_owned(), attributes }]);
                format!("Set the limit of {} to {wanted}.", of.name)
            }
            Some(_) => "Lower it in the policy, or raise max_connections of the server.".to_owned(),
            None => "Declare a connection_limit in the policy.".to_owned(),
        };
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::checks::fixture::Fixture;

    fn with(limit: i32, declared: &str) -> Vec<Finding> {
        let policy = format!("[[service]]\nname='langflow'\nschema='langflow'\nrole='app'\n{declared}\n");
        let f = Fixture::new().role("app").schema("langflow", "app").policy(&policy);
        f.edit_role("app", |r| r.connection_limit = limit).case().of(CODE.code)
    }

    #[test]
    fn only_a_difference_is_reported() {
        assert_eq!(with(10, "connection_limit=10"), vec![]);
        assert_eq!(with(-1, ""), vec![], "what is not declared is not judged");
        for (limit, word) in [(-1, "no connection limit"), (20, "10 are declared"), (500, "the server has 100")] {
            let found = with(limit, "connection_limit=10");
            let [finding] = found.as_slice() else { panic!("{found:#?}") };
            assert!(finding.message.contains(word), "{}", finding.message);
            let attributes = RoleAttributes { connection_limit: Some(10), ..RoleAttributes::default() };
            assert_eq!(finding.fix, Some(vec![Change::AlterRole { name: "app".into(), attributes }]));
        }
        assert!(with(500, "connection_limit=500")[0].fix.is_none());
        assert!(with(500, "")[0].fix.is_none());
    }
}
