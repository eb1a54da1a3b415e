//! What runs besides the statements of a plan: event triggers, which are others' code and run with the rights of whoever
//! changes something.

use super::{Hazard, HazardKind, Step};
use crate::{domain::snapshot::Snapshot, text};

/// One sentence for each event trigger that a statement of these steps may set off.
pub(super) fn hazards(steps: &[Step], snapshot: &Snapshot) -> Vec<Hazard> {
    let catalog = &snapshot.catalog;
    let statements = || steps.iter().flat_map(|s| &s.sql);
    let named = catalog.event_triggers.iter().filter_map(|trigger| {
        let count = match statements().filter(|sql| fires(&trigger.tags, sql)).count() {
            0 => return None,
            n => text::count(n as u64, "statement", "statements"),
        };
        let sentence = format!(
            "Event trigger {} of {} runs {}() at {count} of these, with the rights of whoever runs them: look at what it does.",
            trigger.name,
            catalog.role_name(trigger.owner),
            trigger.function
        );
        Some(Hazard { kind: HazardKind::Note, sentence })
    });
    named.collect()
}

/// The server calls a trigger with these command tags (none: all) at a statement. Rows set none off, nor does what belongs
/// to the whole cluster: roles, memberships, databases.
fn fires(tags: &[String], sql: &str) -> bool {
    let sql = sql.replacen("CREATE OR REPLACE ", "CREATE ", 1);
    let begins = |words: &str| sql.strip_prefix(words).is_some_and(|rest| rest.starts_with(' '));
    let rows = ["SELECT", "INSERT", "UPDATE", "DELETE"];
    let shared = ["CREATE ROLE", "ALTER ROLE", "DROP ROLE", "ALTER DATABASE", "COMMENT ON ROLE", "COMMENT ON DATABASE"];
    let granted = ["GRANT", "REVOKE"].into_iter().any(begins);
    let on = sql.split_once(" ON ").map(|(_, on)| on);
    let local = !granted || on.is_some_and(|on| !on.starts_with("DATABASE "));
    local && !rows.into_iter().chain(shared).any(begins) && (tags.is_empty() || tags.iter().any(|tag| begins(tag)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            Privilege, Privileges,
            change::{Change, Grantee, On},
            snapshot::EventTrigger,
        },
        plan::build,
        policy::checks::fixture::Fixture,
    };

    #[test]
    fn event_triggers_that_the_plan_sets_off_are_named() {
        let noted = |tags: &[&str], changes: Vec<Change>| {
            let mut f = Fixture::new().role("app").role("guard").schema("shop", "app").table("shop", "t", "app");
            let owner = f.role_oid("guard");
            f.catalog.event_triggers.push(EventTrigger {
                name: "watch".into(),
                owner,
                function: "audit.look".into(),
                tags: tags.iter().map(|t| (*t).to_owned()).collect(),
            });
            let plan = build::of_changes(&f.case().snapshot, changes).unwrap();
            plan.notes
                .iter()
                .any(|n| n.sentence.starts_with("Event trigger watch of guard runs audit.look() at 1 statement"))
        };
        let grant = || {
            vec![Change::Grant {
                privileges: Privileges::of(&[Privilege::Usage]),
                on: On::Schema("shop".into()),
                to: Grantee::Role("guard".into()),
            }]
        };
        let member = || vec![Change::GrantRole { role: "app".into(), member: "guard".into() }];
        assert!(noted(&[], grant()) && noted(&["GRANT"], grant()));
        assert!(!noted(&["CREATE TABLE"], grant()), "another statement's");
        assert!(!noted(&[], member()), "memberships belong to the cluster");
    }

    #[test]
    fn rows_and_what_belongs_to_the_cluster_set_none_off() {
        for (sql, tag) in [
            ("GRANT SELECT ON TABLE a.b TO c;", Some("GRANT")),
            ("GRANT a TO b;", None),
            ("REVOKE CREATE ON DATABASE d FROM PUBLIC;", None),
            ("ALTER ROLE a CONNECTION LIMIT 3;", None),
            ("ALTER DEFAULT PRIVILEGES FOR ROLE a GRANT SELECT ON TABLES TO b;", Some("ALTER DEFAULT PRIVILEGES")),
            ("CREATE OR REPLACE FUNCTION a.f() RETURNS trigger", Some("CREATE FUNCTION")),
            ("ALTER TABLE a.b SET SCHEMA c;", Some("ALTER TABLE")),
            ("DELETE FROM a.alembic_version WHERE version_num IN ('x');", None),
        ] {
            assert_eq!(fires(&[], sql), tag.is_some(), "{sql}");
            assert_eq!(fires(&["ALTER TABLES".into(), tag.unwrap_or("ALTER").into()], sql), tag.is_some(), "{sql}");
            assert!(!fires(&["DROP TABLE".into()], sql), "{sql}");
        }
    }
}
