//! `role-password-expiry`: a login whose password has run out, or will within the policy's days.

use super::{Check, Code, Context};
use crate::policy::{Finding, Group, Limits, Severity};

pub const CHECK: Check = Check { codes: &[CODE], slow: false, without_policy: true, run };

const CODE: Code = Code {
    code: "role-password-expiry",
    group: Group::Roles,
    severity: Severity::Error,
    why: "After VALID UNTIL the server refuses the password: the service fails at its next connection, not before.",
};

const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;
/// An undeclared role whose password ran out longer ago was put away on purpose.
const FORGOTTEN_DAYS: i64 = 90;

fn run(ctx: &Context<'_>, out: &mut Vec<Finding>) {
    let days = ctx.policy.map_or_else(|| Limits::default().password_expiry_days, |p| p.limits.password_expiry_days);
    let declared = ctx.declared();
    for role in ctx.catalog.roles.iter().filter(|r| r.login && !r.is_platform()) {
        let Some(until) = role.valid_until_us.filter(|u| *u != i64::MAX) else { continue };
        let left = until.saturating_sub(ctx.now_us);
        if left > i64::from(days) * DAY_US {
            continue;
        }
        let of = declared.iter().find(|d| d.name == role.name);
        if of.is_none() && left < -FORGOTTEN_DAYS * DAY_US {
            continue;
        }
        let whole = if left.abs() < DAY_US { 0 } else { left.abs().saturating_add(DAY_US / 2) / DAY_US };
        let ago = match whole {
            0 => "less than a day".to_owned(),
            1 => "1 day".to_owned(),
            n => format!("{n} days"),
        };
        let mut finding = ctx.draft(&CODE);
        finding.id = format!("{}:{}", CODE.code, role.name);
        finding.service = of.and_then(|d| d.service).map(|s| s.name.clone());
        finding.role = Some(role.name.clone());
        finding.observed = if left < 0 { format!("ran out {ago} ago") } else { format!("runs out in {ago}") };
        finding.expected = format!("valid for more than {days} days");
        finding.message = format!("The password of {} {}.", role.name, finding.observed);
        finding.remedy = format!(
            "Give it a new one with `pgmoat set-password {} {}`, and a later VALID UNTIL.",
            ctx.snapshot.target(),
            crate::text::shell_word(&role.name)
        );
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::checks::fixture::Fixture;

    fn with(days: i64, declared: bool) -> Vec<Finding> {
        let mut f = Fixture::new().role("app").schema("langflow", "app");
        let until = f.server.taken_at_us + days * DAY_US + if days < 0 { -1 } else { 1 };
        f = f.edit_role("app", |r| r.valid_until_us = Some(until));
        if declared {
            f = f.policy("[[service]]\nname='langflow'\nschema='langflow'\nrole='app'\n");
        }
        f.case().of(CODE.code)
    }

    #[test]
    fn the_days_before_and_after_are_told() {
        assert_eq!(with(15, true), vec![]);
        assert_eq!(with(5, true)[0].observed, "runs out in 5 days");
        assert_eq!(with(-3, true)[0].observed, "ran out 3 days ago");
        assert_eq!(with(0, true)[0].observed, "runs out in less than a day");
        assert_eq!(with(-400, true).len(), 1);
    }

    #[test]
    fn without_a_policy_roles_put_away_long_ago_are_left_alone() {
        assert_eq!(with(-3, false).len(), 1);
        assert_eq!(with(-400, false), vec![]);
        let f = Fixture::new().role("app").edit_role("app", |r| r.valid_until_us = Some(i64::MAX));
        assert_eq!(f.case().of(CODE.code), vec![], "infinity");
    }
}
