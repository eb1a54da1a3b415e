//! Rights and answers as sentences and toned lines, shared by panes: words before codes.

use super::{
    sql_spans,
    view::{Line, Span, Tone},
};
use crate::{
    domain::{
        ObjectKind, Privilege, Privileges,
        beneath::Beneath,
        effective::{Cell, Counts, Via, Who},
        explain::{Path, Source, Verdict},
    },
    policy::{
        Finding, Level,
        desired::{Rights, allowed},
        judge::{Difference, Drift, Judged},
        judgement::Judgement,
    },
};

/// `read + append`, or `no access`.
#[must_use]
pub fn levels(levels: &[Level]) -> String {
    if levels.is_empty() {
        return "no access".to_owned();
    }
    let words: Vec<&str> = levels.iter().map(|l| l.word()).collect();
    words.join(" + ")
}

/// What a cell observes, members of extensions apart: `USAGE, CREATE; SELECT on all 4 tables; INSERT on 1 of 4 tables`.
#[must_use]
pub fn observed(cell: &Cell) -> String {
    if cell.superuser {
        return "everything: superuser".to_owned();
    }
    let mut parts = Vec::new();
    if !cell.schema().is_empty() {
        parts.push(cell.schema().to_string());
    }
    for kind in [ObjectKind::Table, ObjectKind::Sequence, ObjectKind::Routine] {
        let counts = cell.judged(kind);
        let mut by_count: Vec<(u32, Privileges)> = Vec::new();
        for p in counts.on_any().iter() {
            let n = counts.of(p);
            match by_count.iter_mut().find(|(count, _)| *count == n) {
                Some((_, set)) => set.insert(p),
                None => by_count.push((n, p.into())),
            }
        }
        by_count.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
        parts.extend(by_count.iter().map(|(n, set)| format!("{set} {}", on_count(*n, counts.total, kind))));
    }
    if parts.is_empty() { "nothing".to_owned() } else { parts.join("; ") }
}

/// `on all 4 tables`, `on 1 of 4 tables`.
#[must_use]
pub fn on_count(count: u32, total: u32, kind: ObjectKind) -> String {
    match (kind, count == total) {
        (ObjectKind::Schema | ObjectKind::Database, _) => format!("on the {}", kind.singular()),
        (_, true) if total == 1 => format!("on its one {}", kind.singular()),
        (_, true) => format!("on all {total} {}", kind.plural()),
        (_, false) => format!("on {count} of {total} {}", kind.plural()),
    }
}

/// Differences folded: `INSERT, UPDATE on 1 of 4 tables`, `USAGE on the schema`.
#[must_use]
pub fn differences(list: &[Difference]) -> Vec<String> {
    let mut folded: Vec<(ObjectKind, u32, u32, Privileges)> = Vec::new();
    for d in list {
        match folded.iter_mut().find(|f| (f.0, f.1, f.2) == (d.kind, d.count, d.total)) {
            Some(f) => f.3.insert(d.privilege),
            None => folded.push((d.kind, d.count, d.total, d.privilege.into())),
        }
    }
    folded.iter().map(|(kind, count, total, set)| format!("{set} {}", on_count(*count, *total, *kind))).collect()
}

/// The matrix cell, in the console and in the commands: level in words, what is missing and too much by glyph, number and
/// colour. What PUBLIC should not have is no role's difference and is counted apart.
#[must_use]
pub fn cell_of(j: &Judgement, who: Who, schema: usize, judged: &Judged) -> Line {
    let line = cell(judged, who == Who::Public);
    if who != Who::Public {
        return line;
    }
    let line =
        if judged.cell.create && !line.plain().contains("all") { line.known("+create", Tone::Text) } else { line };
    let name = j.snapshot.catalog.schemas.get(schema).map(|s| s.name.as_str());
    // what exceptions cover does not differ
    let of_public = |f: &Finding| f.code == "public-privilege" || f.code == "grant-column-excess" && f.role.is_none();
    let open = |f: &&Finding| of_public(f) && f.schema.as_deref() == name && !f.is_excepted();
    let excess = j.findings.iter().filter(open).count();
    if excess > 0 { line.and(&format!(" +{excess}"), Tone::Excess) } else { line }
}

/// Something is effective that neither the level nor a difference tells; `public`: CREATE is told apart.
fn beyond(judged: &Judged, public: bool) -> bool {
    let levels = judged.level.iter().filter_map(|word| Level::ALL.into_iter().find(|l| l.word() == *word));
    let told = levels.fold(Rights::NONE, |all, level| all.union(allowed(level, u32::MAX)));
    if judged.level.is_empty() || judged.level == ["usage"] {
        return false; // "some", or nothing but USAGE
    }
    let excess = |kind: ObjectKind| -> Privileges {
        judged.excess.iter().filter(|d| d.kind == kind).map(|d| d.privilege).collect()
    };
    let schema = judged.cell.schema().minus(if public { Privilege::Create.into() } else { Privileges::NONE });
    let held = [
        (ObjectKind::Schema, schema),
        (ObjectKind::Table, judged.cell.judged_tables.on_any()),
        (ObjectKind::Sequence, judged.cell.judged_sequences.on_any()),
    ];
    held.into_iter().any(|(kind, held)| !held.minus(told.of(kind)).minus(excess(kind)).is_empty())
}

fn cell(judged: &Judged, public: bool) -> Line {
    if judged.cell.superuser {
        return Line(vec![Span::known("su", Tone::Superuser)]);
    }
    let mut line = Line::empty();
    let undeclared = judged.drift == Some(Drift::Undeclared);
    let tone = match judged.drift {
        Some(Drift::None) | None => Tone::Text,
        Some(Drift::Missing) => Tone::Missing,
        Some(Drift::Excess | Drift::Both | Drift::Undeclared) => Tone::Excess,
        Some(Drift::Unknown) => Tone::Unknown,
    };
    if judged.drift == Some(Drift::Unknown) {
        return Line(vec![Span::known("?", Tone::Unknown)]);
    }
    // what everybody has through PUBLIC is PUBLIC's row
    let own = judged.cell.via.iter().any(|v| *v != Via::Public);
    let nothing = !public && !own && judged.missing.is_empty() && judged.unowned == 0;
    if nothing || judged.cell.is_empty() && judged.missing.is_empty() {
        return beside(judged, line);
    }
    let objects = judged.cell.judged_tables.on_any() | judged.cell.judged_sequences.on_any();
    let declared = judged.declared.as_deref().filter(|_| !judged.missing.is_empty());
    let declared: Vec<&'static str> = declared.iter().flat_map(|levels| levels.iter().map(|l| l.word())).collect();
    let words: &[&'static str] = match (judged.level.as_slice(), declared.as_slice()) {
        // what should be, less what is missing
        (_, levels @ [_, ..]) if !judged.missing.is_empty() => levels,
        ([] | ["usage"], _) if !objects.is_empty() => &["some"],
        ([], _) if judged.cell.is_empty() => &["·"],
        ([], _) => &["some"],
        (list, _) => list,
    };
    let tone = if undeclared { Tone::Excess } else { tone };
    line = if let [word] = words { line.known(word, tone) } else { line.and(&words.join("+"), tone) };
    if beyond(judged, public) {
        line = line.known("*", Tone::Dim);
    }
    if judged.cell.dead {
        line = line.known(" dead", Tone::Warning);
    }
    if !judged.missing.is_empty() {
        line = line.and(&format!(" −{}", judged.missing.len()), Tone::Missing);
    }
    if judged.unowned > 0 {
        line = line.known(" −own", Tone::Missing);
    }
    if !judged.excess.is_empty() {
        line = line.and(&format!(" +{}", judged.excess.len()), Tone::Excess);
    }
    if undeclared {
        line = line.known(" !", Tone::Excess);
    }
    if judged.cell.via.iter().any(|v| matches!(v, Via::Member(_) | Via::Predefined(_))) {
        line = line.known(" ◂", Tone::Dim);
    }
    beside(judged, line)
}

/// What stands beside the rights at once: those on single columns, and that SET ROLE would add some.
fn beside(judged: &Judged, mut line: Line) -> Line {
    let alone = line.0.is_empty();
    let undeclared = judged.drift == Some(Drift::Undeclared) && !judged.column_excess.is_empty();
    let too_much = if undeclared { 0 } else { judged.on_columns_alone().count() };
    if !judged.on_columns().is_empty() || too_much > 0 {
        let tone = if undeclared || too_much > 0 { Tone::Excess } else { Tone::Text };
        line = line.known(if alone { "cols" } else { " cols" }, tone);
        if !judged.cell.usage && (alone || !judged.cell.dead) {
            line = line.known(" dead", Tone::Warning);
        }
        if too_much > 0 {
            line = line.and(&format!(" +{too_much}"), Tone::Excess);
        }
        if undeclared && alone {
            line = line.known(" !", Tone::Excess);
        }
    }
    if judged.by_set_role {
        line = if line.0.is_empty() { line.known("◃", Tone::Dim) } else { line.known(" ◃", Tone::Dim) };
    }
    if line.0.is_empty() { line.known("·", Tone::Dim) } else { line }
}

/// Rights on single columns: `SELECT on 2 columns; UPDATE on 1 column`.
#[must_use]
pub fn on_columns(columns: &Counts) -> String {
    let each = |p: Privilege| {
        let count = u64::from(columns.of(p));
        format!("{p} on {}", crate::text::count(count, "column", "columns"))
    };
    columns.on_any().iter().map(each).collect::<Vec<_>>().join("; ")
}

/// `directly`, `through engarde_user`, for sentences.
#[must_use]
pub fn via(via: &[Via]) -> String {
    let words: Vec<String> = via
        .iter()
        .map(|v| match v {
            Via::Superuser => "as a superuser".to_owned(),
            Via::Owner => "as owner".to_owned(),
            Via::Direct => "directly".to_owned(),
            Via::Member(name) => format!("through {name}"),
            Via::Predefined(name) => format!("through {name}"),
            Via::Public => "through PUBLIC".to_owned(),
        })
        .collect();
    crate::text::list(&words, 4)
}

/// One path drawn: `onside_user ──member of (inherits)──▶ engarde_user ──owns──▶ public.campaigns`.
#[must_use]
pub fn path(role: &str, path: &Path, object: &str) -> Line {
    let mut line = Line::new(role, Tone::Strong);
    for hop in &path.groups {
        let word = match (hop.implicit, hop.inherits) {
            (true, _) => " ──owns the database, so is in──▶ ",
            (false, true) => " ──member of (inherits)──▶ ",
            (false, false) => " ──member of (SET ROLE only)──▶ ",
        };
        line = line.known(word, Tone::Dim).and(&hop.role, Tone::Strong);
    }
    let last = match &path.source {
        Source::Superuser => " ──is a superuser──▶ ".to_owned(),
        Source::OwnerByDefault => " ──owns──▶ ".to_owned(),
        Source::PublicByDefault => " ──PUBLIC, by PostgreSQL's default──▶ ".to_owned(),
        Source::Predefined(name) => format!(" ──{name} may, on everything──▶ "),
        Source::Entry { grantee, grantor, grantable, owner } => {
            let option = if *grantable { ", with grant option" } else { "" };
            if *owner {
                " ──owns──▶ ".to_owned()
            } else if grantee == "PUBLIC" {
                format!(" ──granted to PUBLIC by {grantor}──▶ ")
            } else {
                format!(" ──granted by {grantor}{option}──▶ ")
            }
        }
    };
    line.and(&last, Tone::Dim).and(object, Tone::Strong)
}

/// The answer for one privilege as lines of a story. `sql` is the fix, already written, and so are those of what it lacks.
#[must_use]
pub fn verdict(
    role: &str,
    object: &str,
    verdict: &Verdict,
    lacks: &[(&str, Vec<String>)],
    sql: &[String],
) -> Vec<Line> {
    let (word, tone) = match (verdict.held, verdict.works) {
        (true, true) if verdict.no_row => ("yes, but no row", Tone::Warning),
        (true, true) => ("yes", Tone::Good),
        (true, false) if verdict.beneath.iter().any(Beneath::fails) => ("held, but fails beneath", Tone::Warning),
        (true, false) => ("held, but does not work", Tone::Warning),
        (false, _) if !verdict.columns.is_empty() => ("on single columns only", Tone::Warning),
        (false, _) => ("no", Tone::Dim),
    };
    let mut lines =
        vec![Line::new(&format!("May {role} {} {object}?  ", phrase(verdict.privilege)), Tone::Text).known(word, tone)];
    for p in &verdict.paths {
        lines.push(Line(vec![Span::known("  ", Tone::Text)]).join(path(role, p, object)));
    }
    if let Some(missing) = &verdict.missing {
        lines.push(Line(vec![Span::known("  ", Tone::Text)]).and(missing, Tone::Text));
    }
    for p in &verdict.by_set_role {
        lines.push(Line(vec![Span::known("  after SET ROLE: ", Tone::Dim)]).join(path(role, p, object)));
    }
    for beneath in &verdict.beneath {
        let tone = if beneath.held == Some(true) { Tone::Dim } else { Tone::Warning };
        lines.push(Line(vec![Span::known("  ▾ ", tone)]).and(&beneath.sentence(), Tone::Text));
    }
    for note in &verdict.notes {
        lines.push(Line(vec![Span::known("  ! ", Tone::Warning)]).and(note, Tone::Text));
    }
    for (sentence, sql) in lacks {
        lines.push(Line(vec![Span::known("  ! ", Tone::Warning)]).and(sentence, Tone::Text));
        lines.extend(sql.iter().map(|s| Line(vec![Span::known("    ", Tone::Dim)]).join(sql_spans::our_line(s, 2000))));
    }
    if !sql.is_empty() {
        let word = if verdict.works { "  Ending it: " } else { "  Giving it: " };
        for (i, statement) in sql.iter().enumerate() {
            let head = if i == 0 { word } else { "             " };
            lines.push(Line(vec![Span::known(head, Tone::Dim)]).join(sql_spans::our_line(statement, 2000)));
        }
    }
    for sentence in &verdict.others {
        lines.push(Line(vec![Span::known("  ! ", Tone::Warning)]).and(sentence, Tone::Text));
    }
    lines
}

/// `SELECT from`, for a question.
#[must_use]
pub fn phrase(privilege: Privilege) -> &'static str {
    match privilege {
        Privilege::Select => "SELECT from",
        Privilege::Insert => "INSERT into",
        Privilege::Update => "UPDATE",
        Privilege::Delete => "DELETE from",
        Privilege::Truncate => "TRUNCATE",
        Privilege::References => "make a foreign key to (REFERENCES)",
        Privilege::Trigger => "put a TRIGGER on",
        Privilege::Maintain => "MAINTAIN (VACUUM, ANALYZE …)",
        Privilege::Usage => "use (USAGE)",
        Privilege::Create => "CREATE in",
        Privilege::Execute => "EXECUTE",
        Privilege::Connect => "CONNECT to",
        Privilege::Temporary => "make TEMPORARY tables in",
        Privilege::Unknown => "(a privilege this program does not know)",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::policy::checks::fixture::Fixture;

    /// The cell of a role in the schema `shop`, with a policy or without.
    fn shown(f: Fixture, role: &str, policy: bool) -> String {
        let rules = "[[service]]\nname='s'\nschema='shop'\nrole='app'\n[[role]]\nname='reader'\n";
        said(if policy { f.policy(rules) } else { f }, role)
    }

    fn said(f: Fixture, role: &str) -> String {
        let case = f.case();
        let j = Judgement::new(Arc::new(case.snapshot), case.policy.map(Arc::new), case.lineages, None);
        let schema = j.matrix.index.schema_named("shop").unwrap();
        let who = if role == "PUBLIC" { Who::Public } else { Who::Role(j.matrix.index.role_named(role).unwrap()) };
        cell_of(&j, who, schema, &j.judge().cell(who, schema)).plain()
    }

    #[test]
    fn what_everybody_may_is_told_once_with_and_without_a_policy() {
        let f =
            || Fixture::new().role("app").role("reader").schema("shop", "app").grant_schema("shop", "PUBLIC", "USAGE");
        for policy in [false, true] {
            assert_eq!(shown(f(), "reader", policy), "·", "{policy}");
            assert!(shown(f(), "PUBLIC", policy).starts_with("usage"), "{policy}");
        }
    }

    #[test]
    fn what_exceptions_give_public_is_not_counted_as_differing() {
        let f = |exception: &str| {
            let f = Fixture::new().role("app").schema("shop", "app").table("shop", "t", "app");
            let f = f.grant_schema("shop", "PUBLIC", "USAGE").grant("shop.t", "PUBLIC", "SELECT");
            f.policy(&format!("[[service]]\nname='s'\nschema='shop'\nrole='app'\n{exception}"))
        };
        let of = |privileges: &str| {
            format!("[[exception]]\nrole='PUBLIC'\nschema='shop'\nprivileges=[{privileges}]\nreason='open data'\n")
        };
        let left = "[[exception]]\nfinding='public-privilege'\nreason='open data'\n";
        assert_eq!(said(f(""), "PUBLIC"), "read +2");
        assert_eq!(said(f(&of("'SELECT'")), "PUBLIC"), "read +1");
        assert_eq!(said(f(&of("'SELECT','USAGE'")), "PUBLIC"), "read");
        assert_eq!(said(f(left), "PUBLIC"), "read");
    }

    #[test]
    fn single_columns_and_what_set_role_would_add_are_marked_and_no_rights_at_once() {
        let f = || {
            let f = Fixture::new().role("app").role("reader").role("late").schema("shop", "app");
            f.table("shop", "t", "app").column_grant("shop.t", "id", "reader", "SELECT").membership(
                "reader",
                "late",
                |m| m.inherit = false,
            )
        };
        let usage = || f().grant_schema("shop", "reader", "USAGE");
        for policy in [false, true] {
            let too_much = if policy { " +1" } else { "" };
            assert_eq!(shown(f(), "reader", policy), format!("cols dead{too_much}"), "{policy}");
            assert!(shown(usage(), "reader", policy).starts_with("usage"), "{policy}");
            assert!(shown(usage(), "reader", policy).ends_with(&format!(" cols{too_much}")), "{policy}");
            assert_eq!(shown(f(), "late", policy), "◃", "{policy}");
            assert_eq!(shown(usage(), "late", policy), "◃", "{policy}");
            let all = usage().grant("shop.t", "reader", "SELECT");
            assert!(!shown(all.clone(), "reader", policy).contains("cols"), "the whole table is more");
            assert_eq!(shown(all.grant_schema("shop", "late", "USAGE"), "late", policy).matches('◃').count(), 1);
            assert_eq!(shown(usage(), "PUBLIC", policy), "·", "{policy}");
            let public = shown(f().column_grant("shop.t", "id", "PUBLIC", "SELECT"), "PUBLIC", policy);
            assert_eq!(public, format!("cols dead{too_much}"));
            let stranger = f().role("stranger").column_grant("shop.t", "id", "stranger", "SELECT");
            assert_eq!(shown(stranger, "stranger", policy), if policy { "cols dead !" } else { "cols dead" });
            assert_eq!(shown(f(), "app", policy), "own", "{policy}");
        }
    }

    #[test]
    fn what_an_extension_brings_is_no_access() {
        let f = || {
            let f = Fixture::new().role("app").role("reader").schema("shop", "app");
            let f = f.extension("stats", "shop", "postgres").object(
                crate::domain::snapshot::Kind::View,
                "shop",
                "v",
                "postgres",
            );
            f.edit("shop.v", |o| o.extension = true)
                .grant("shop.v", "PUBLIC", "SELECT")
                .grant("shop.v", "reader", "SELECT")
        };
        for policy in [false, true] {
            assert_eq!(
                (shown(f(), "reader", policy), shown(f(), "PUBLIC", policy)),
                ("·".into(), "·".into()),
                "{policy}"
            );
        }
    }

    #[test]
    fn differences_fold_by_object_count() {
        let d = |privilege, count| Difference { kind: ObjectKind::Table, privilege, count, total: 4 };
        assert_eq!(
            differences(&[d(Privilege::Insert, 1), d(Privilege::Update, 1), d(Privilege::Select, 4)]),
            vec!["INSERT, UPDATE on 1 of 4 tables", "SELECT on all 4 tables"]
        );
    }

    #[test]
    fn a_path_reads_from_left_to_right() {
        let p = Path {
            groups: vec![crate::domain::explain::Hop { role: "engarde_user".into(), inherits: true, implicit: false }],
            source: Source::OwnerByDefault,
            column: false,
        };
        assert_eq!(
            path("onside_user", &p, "public.campaigns").plain(),
            "onside_user ──member of (inherits)──▶ engarde_user ──owns──▶ public.campaigns"
        );
    }
}
