//! The signs of each pane in words, for its help. Knows nothing of what is shown now.

/// The signs of a pane: what stands on the screen, and what it means.
#[must_use]
pub fn of(pane: &str) -> &'static [(&'static str, &'static str)] {
    match pane {
        "overview" | "findings" => SEVERITIES,
        "schemas" => &[
            ("SHARED", "two applications keep their revisions in one version table"),
            ("~", "an estimate; what is on screen becomes exact"),
            ("—", "no service of the policy"),
            ("cols", "in the list of objects: rights on single columns"),
        ],
        "roles" => &[
            ("n/m", "connections used, of those allowed; FULL: there is no room"),
            ("✔", "compared with the policy, nothing found"),
            ("?", "this login may not see it"),
        ],
        "grants" => &[
            ("own all …", "the level that holds, or that should hold where something is missing"),
            ("some", "rights, but less than any level"),
            ("*", "more than the level, by an exception or through PUBLIC; the lines below say what"),
            ("−n", "n privileges are missing"),
            ("+n", "n privileges are too much"),
            ("−own", "does not own all that it should"),
            ("!", "access that the policy does not name"),
            ("◂", "held through a membership"),
            ("◃", "SET ROLE would add rights here; at once it has only what stands before it"),
            ("cols", "rights on single columns; they count for no level"),
            ("dead", "rights on objects without USAGE on the schema: they do not work"),
            ("su, S", "a superuser: nothing binds it"),
            ("·", "nothing of its own; what PUBLIC has is PUBLIC's row"),
            ("?", "not known: it cannot be seen, or its objects are not read yet"),
        ],
        "sizes" => &[("~", "an estimate of the last VACUUM or ANALYZE"), ("?", "not known yet")],
        "sessions" => &[
            ("└─", "waits for the session above it"),
            ("idle in tx", "a transaction is open and nothing runs: it may hold locks"),
            ("hidden", "this login may not see it"),
        ],
        "versions" => &[
            ("own", "where its service looks, with its service's revisions"),
            ("not found", "in its place, but its service's search path leads elsewhere"),
            ("SHARED", "revisions of two applications in one table"),
            ("MISPLACED", "a service's revisions, not where it belongs"),
            ("EMPTY, in use", "no revision, though its tables are there"),
            ("empty, new", "no revision and no tables: before the first migration"),
            ("ambiguous", "several services may own its revisions"),
            ("copy", "holds what another table holds; nobody looks there"),
            ("unknown", "nothing tells whose its revisions are"),
            ("not declared", "of no service of the policy, or not Alembic's"),
        ],
        _ => &[],
    }
}

const SEVERITIES: &[(&str, &str)] = &[
    ("‼", "critical: data or migrations of another service are in reach"),
    ("✖", "error: not as declared, or it does not work"),
    ("▲", "warning: works today, and will bite"),
    ("·", "info: listed, not accused"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::panes::versions::looks,
        domain::Oid,
        policy::versions::{Class, VersionInfo},
    };

    #[test]
    fn every_class_of_a_version_table_is_explained() {
        for (class, missed) in Class::ALL.into_iter().map(|class| (class, false)).chain([(Class::Own, true)]) {
            let info = VersionInfo {
                table: 0,
                oid: Oid(1),
                class,
                service: None,
                home: None,
                rows: Vec::new(),
                resolved_by: Vec::new(),
                claimed_by: Vec::new(),
                shared_by: Vec::new(),
                missed,
                next_start: Vec::new(),
                reason: String::new(),
            };
            let word = looks(&info).1;
            assert!(of("versions").iter().any(|(sign, _)| *sign == word), "{word} is not in the help");
        }
    }
}
