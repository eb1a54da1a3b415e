//! What runs besides the statements of a plan: event triggers, which are others' code and run with the rights of whoever
//! changes something.

use super::{Hazard, HazardKind, Step};
use crate::{domain::snapshot::Snapshot, text};

/// One sentence for each event trigger that a statement of these steps may set off.
pub(super) fn hazards(steps: &[Step], snapshot: &Snapshot) -> Vec<Hazard> {
    let tags: Vec<&str> = steps.iter().flat_map(|s| &s.sql).filter_map(|sql| tag(sql)).collect();
    let fires = |only: &[String]| tags.iter().filter(|tag| only.is_empty() || only.iter().any(|o| o == *tag)).count();
    let catalog = &snapshot.catalog;
    let named = catalog.event_triggers.iter().filter_map(|trigger| {
        let statements = match fires(&trigger.tags) {
            0 => return None,
            n => text::count(n as u64, "statement", "statements"),
        };
        let sentence = format!(
            "Event trigger {} of {} runs {}() at {statements} of these, with the rights of whoever runs them: look at what \
             it does.",
            trigger.name,
            catalog.role_name(trigger.owner),
            trigger.function
        );
        Some(Hazard { kind: HazardKind::Note, sentence })
    });
    named.collect()
}

/// The command tag of a statement that event triggers see; `None` for rows, and for what belongs to the whole cluster
/// (roles, memberships, databases), where the server does not call them.
fn tag(sql: &str) -> Option<&'static str> {
    const TAGS: &[&str] = &[
        "ALTER DEFAULT PRIVILEGES",
        "ALTER EXTENSION",
        "ALTER FUNCTION",
        "ALTER MATERIALIZED VIEW",
        "ALTER POLICY",
        "ALTER PROCEDURE",
        "ALTER ROUTINE",
        "ALTER SCHEMA",
        "ALTER SEQUENCE",
        "ALTER TABLE",
        "ALTER TYPE",
        "ALTER DOMAIN",
        "ALTER VIEW",
        "COMMENT",
        "CREATE FUNCTION",
        "CREATE INDEX",
        "CREATE POLICY",
        "CREATE SCHEMA",
        "CREATE TABLE",
        "CREATE TRIGGER",
        "CREATE VIEW",
        "DROP FUNCTION",
        "DROP INDEX",
        "DROP POLICY",
        "DROP SCHEMA",
        "DROP TABLE",
        "DROP TRIGGER",
        "DROP VIEW",
        "GRANT",
        "REVOKE",
    ];
    let sql = sql.trim_start();
    let sql = sql.strip_prefix("CREATE OR REPLACE ").map_or_else(|| sql.to_owned(), |rest| format!("CREATE {rest}"));
    let tag = TAGS.iter().find(|tag| sql.strip_prefix(**tag).is_some_and(|rest| rest.starts_with(' ')))?;
    let shared = matches!(*tag, "GRANT" | "REVOKE") && (!sql.contains(" ON ") || sql.contains(" ON DATABASE "));
    (!shared).then_some(*tag)
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
    fn what_belongs_to_the_cluster_has_no_tag() {
        for (sql, expected) in [
            ("GRANT SELECT ON TABLE a.b TO c;", Some("GRANT")),
            ("GRANT a TO b;", None),
            ("REVOKE CREATE ON DATABASE d FROM PUBLIC;", None),
            ("ALTER ROLE a CONNECTION LIMIT 3;", None),
            ("CREATE OR REPLACE FUNCTION a.f() RETURNS trigger", Some("CREATE FUNCTION")),
            ("ALTER TABLE a.b SET SCHEMA c;", Some("ALTER TABLE")),
            ("DELETE FROM a.alembic_version WHERE version_num IN ('x');", None),
        ] {
            assert_eq!(tag(sql), expected, "{sql}");
        }
    }
}
