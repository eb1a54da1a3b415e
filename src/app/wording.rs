//! Rights, access lists and counts in words. The same fact is worded the same in every pane.
//! Returns our own words with numbers, or lines in which strangers' names are already escaped; knows no pane.

use std::borrow::Cow;

use crate::{
    app::{
        prose::Prose,
        view::{Line, Span, Tone},
    },
    domain::{
        Acl, AclEntry, ObjectKind, Oid, Privilege, Privileges,
        closure::Edge,
        effective::{Cell, Counts, Via, Who},
    },
    policy::{Severity, judgement::Judgement},
    text,
};

/// What this login cannot see: never 0, never empty.
pub const UNKNOWN: &str = "?";

/// A cell whose value this login cannot see.
#[must_use]
pub fn unknown() -> Line {
    Line(vec![Span::known(UNKNOWN, Tone::Unknown)])
}

/// A cell of numbers or words.
#[must_use]
pub fn plain(text: &str) -> Line {
    Line::new(text, Tone::Text)
}

/// The tone of a severity.
#[must_use]
pub const fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Info => Tone::Info,
        Severity::Warning => Tone::Warning,
        Severity::Error => Tone::Error,
        Severity::Critical => Tone::Critical,
    }
}

/// Name of a role by number, without walking the catalog.
#[must_use]
pub fn role_name(j: &Judgement, oid: Oid) -> Cow<'_, str> {
    if oid == Oid::ZERO {
        return Cow::Borrowed("PUBLIC");
    }
    match j.matrix.index.role(oid).and_then(|i| j.snapshot.catalog.roles.get(i)) {
        Some(role) => Cow::Borrowed(&role.name),
        None => Cow::Owned(format!("role with oid {oid}")),
    }
}

/// Name of a role by position.
#[must_use]
pub fn role_at(j: &Judgement, position: usize) -> &str {
    j.snapshot.catalog.roles.get(position).map_or(UNKNOWN, |r| r.name.as_str())
}

/// Name of a schema by number, without walking the catalog.
#[must_use]
pub fn schema_name(j: &Judgement, oid: Oid) -> Cow<'_, str> {
    match j.matrix.index.schema(oid).and_then(|i| j.snapshot.catalog.schemas.get(i)) {
        Some(schema) => Cow::Borrowed(&schema.name),
        None => Cow::Owned(format!("schema with oid {oid}")),
    }
}

/// A count for a table: `812`, `48 k`, `12.3 M`, `4.1 G`.
#[must_use]
pub fn quantity(n: u64) -> String {
    match n {
        0..=9_999 => n.to_string(),
        10_000..=999_999 => format!("{} k", n / 1000),
        1_000_000..=999_999_999 => format!("{}.{} M", n / 1_000_000, n % 1_000_000 / 100_000),
        _ => format!("{}.{} G", n / 1_000_000_000, n % 1_000_000_000 / 100_000_000),
    }
}

/// One privilege as a verb: "read", "create in it".
#[must_use]
pub const fn verb(kind: ObjectKind, privilege: Privilege) -> &'static str {
    match privilege {
        Privilege::Select => "read",
        Privilege::Insert => "insert",
        Privilege::Update => match kind {
            ObjectKind::Sequence => "set",
            ObjectKind::Database | ObjectKind::Schema | ObjectKind::Table | ObjectKind::Routine | ObjectKind::Type => {
                "update"
            }
        },
        Privilege::Delete => "delete",
        Privilege::Truncate => "truncate",
        Privilege::References => "reference",
        Privilege::Trigger => "add triggers",
        Privilege::Maintain => "maintain",
        Privilege::Usage => match kind {
            ObjectKind::Schema => "use it",
            ObjectKind::Database
            | ObjectKind::Table
            | ObjectKind::Sequence
            | ObjectKind::Routine
            | ObjectKind::Type => "use",
        },
        Privilege::Create => match kind {
            ObjectKind::Database => "create schemas",
            ObjectKind::Schema | ObjectKind::Table | ObjectKind::Sequence | ObjectKind::Routine | ObjectKind::Type => {
                "create in it"
            }
        },
        Privilege::Execute => "execute",
        Privilege::Connect => "connect",
        Privilege::Temporary => "make temporary tables",
        Privilege::Unknown => "do something this version does not know",
    }
}

const WRITE: Privileges = Privileges::of(&[Privilege::Insert, Privilege::Update, Privilege::Delete]);

/// Privileges on one object as verbs: "read and write", "everything", "nothing".
#[must_use]
pub fn rights(kind: ObjectKind, held: Privileges, version_num: u32) -> String {
    if held.is_empty() {
        return "nothing".to_owned();
    }
    let all = kind.all(version_num);
    if held.contains_all(all) && all.count() > 2 {
        return "everything".to_owned();
    }
    let writes = kind == ObjectKind::Table && held.contains_all(WRITE);
    let mut verbs: Vec<&str> = Vec::new();
    for privilege in held.iter() {
        if !(writes && WRITE.contains(privilege)) {
            verbs.push(verb(kind, privilege));
        }
        if writes && (privilege == Privilege::Select || (verbs.is_empty() && privilege == Privilege::Insert)) {
            verbs.push("write");
        }
    }
    text::list(&verbs, usize::MAX)
}

/// What a role may do with the objects of one kind: "read all 104 tables; insert, update and delete in 1 of 4 tables".
/// `None` where it may do nothing.
fn counted(kind: ObjectKind, counts: &Counts, version_num: u32) -> Option<String> {
    let mut groups: Vec<(u32, Privileges)> = Vec::new();
    for privilege in counts.on_any().iter() {
        let n = counts.of(privilege);
        match groups.iter_mut().find(|(count, _)| *count == n) {
            Some((_, set)) => set.insert(privilege),
            None => groups.push((n, privilege.into())),
        }
    }
    let parts: Vec<String> = groups
        .iter()
        .map(|(n, set)| {
            let mut verbs = rights(kind, *set, version_num);
            if verbs == "everything" {
                verbs.push_str(" with");
            }
            let noun = if counts.total == 1 { kind.singular() } else { kind.plural() };
            match (*n, counts.total) {
                (1, 1) => format!("{verbs} the only {noun}"),
                (n, total) if n == total => format!("{verbs} all {total} {noun}"),
                (n, total) => format!("{verbs} {n} of {total} {noun}"),
            }
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// What one role may do in one schema, in words; our own words and numbers only. Routines that everybody may execute
/// are left out.
#[must_use]
pub fn cell(cell: &Cell, version_num: u32) -> String {
    if cell.superuser {
        return "everything, as a superuser".to_owned();
    }
    let mut parts: Vec<String> = Vec::new();
    if cell.owner {
        parts.push("owns it".to_owned());
    }
    match (cell.usage, cell.create) {
        (true, true) => parts.push("use it and create in it".to_owned()),
        (true, false) => parts.push("use it".to_owned()),
        (false, true) => parts.push("create in it, but not use it".to_owned()),
        (false, false) => {}
    }
    parts.extend(counted(ObjectKind::Table, &cell.judged_tables, version_num));
    parts.extend(counted(ObjectKind::Sequence, &cell.judged_sequences, version_num));
    if parts.is_empty() {
        return "nothing".to_owned();
    }
    let mut said = parts.join("; ");
    if cell.dead {
        said.push_str(" (none of it works: no USAGE on the schema)");
    }
    said
}

/// Where a right comes from: "ownership", "membership in app_ro". Raw: escape it at output.
#[must_use]
pub fn via(source: &Via) -> String {
    match source {
        Via::Superuser => "being a superuser".to_owned(),
        Via::Owner => "ownership".to_owned(),
        Via::Direct => "its own grants".to_owned(),
        Via::Member(name) => format!("membership in {name}"),
        Via::Predefined(name) => (*name).to_owned(),
        Via::Public => "PUBLIC".to_owned(),
    }
}

/// The entries that are in force on an object, one sentence each; `None` entries stand for PostgreSQL's default.
#[must_use]
pub fn access_list(j: &Judgement, kind: ObjectKind, owner: Oid, acl: &Acl) -> Vec<Line> {
    let version = j.matrix.version_num;
    let mut lines = Vec::new();
    match &acl.0 {
        None => lines.push(Line(vec![Span::known("No list of its own: PostgreSQL's default holds.", Tone::Dim)])),
        Some(entries) if entries.is_empty() => {
            lines.push(Line(vec![Span::known(
                "The list is empty: nobody may do anything, not even the owner.",
                Tone::Warning,
            )]));
        }
        Some(_) => {}
    }
    let in_force = acl.in_force(kind, owner, version);
    for entry in in_force.entries().iter().filter(|e| !e.privileges.is_empty()) {
        let tone = if entry.is_public() { Tone::Warning } else { Tone::Strong };
        let mut line = Prose::new()
            .say("  ")
            .span(Span::new(&role_name(j, entry.grantee), tone))
            .text(&format!(" may {}", rights(kind, entry.privileges, version)));
        if entry.grantee == owner {
            line = line.dim(", as the owner");
        } else {
            line = line.dim(", granted by ").and(&role_name(j, entry.grantor), Tone::Dim);
        }
        if entry.grantee != owner && !entry.grantable.is_empty() {
            line = line.and(&format!(", and may pass on: {}", rights(kind, entry.grantable, version)), Tone::Warning);
        }
        lines.push(line.line());
    }
    lines
}

/// Who besides the owner may do what, short enough for a cell: `audit_user read · PUBLIC read`.
#[must_use]
pub fn access_cell(j: &Judgement, kind: ObjectKind, owner: Oid, acl: &Acl) -> Line {
    let version = j.matrix.version_num;
    let mut line = Line::empty();
    let Some(entries) = &acl.0 else {
        let word = if kind.public_default().is_empty() { "owner only" } else { "owner; everybody by default" };
        return Line(vec![Span::known(word, Tone::Dim)]);
    };
    for entry in entries.iter().filter(|e| e.grantee != owner && !e.privileges.is_empty()).take(12) {
        if !line.0.is_empty() {
            line.0.push(Span::known(" · ", Tone::Dim));
        }
        let tone = if entry.is_public() { Tone::Warning } else { Tone::Text };
        line.0.push(Span::new(&role_name(j, entry.grantee), tone));
        line.0.push(Span::new(&format!(" {}", rights(kind, entry.privileges, version)), Tone::Dim));
    }
    if line.0.is_empty() {
        line.0.push(Span::known("owner only", Tone::Dim));
    }
    line
}

/// The order in which `aclitem` text names privileges (`ACL_ALL_RIGHTS_STR`).
const LETTERS: [Privilege; 14] = [
    Privilege::Insert,
    Privilege::Select,
    Privilege::Update,
    Privilege::Delete,
    Privilege::Truncate,
    Privilege::References,
    Privilege::Trigger,
    Privilege::Execute,
    Privilege::Usage,
    Privilege::Create,
    Privilege::Temporary,
    Privilege::Connect,
    Privilege::Maintain,
    Privilege::Unknown,
];

/// The letter of a privilege in `aclitem` text (manual, "Privileges", table of abbreviations).
const fn letter(privilege: Privilege) -> char {
    match privilege {
        Privilege::Select => 'r',
        Privilege::Insert => 'a',
        Privilege::Update => 'w',
        Privilege::Delete => 'd',
        Privilege::Truncate => 'D',
        Privilege::References => 'x',
        Privilege::Trigger => 't',
        Privilege::Maintain => 'm',
        Privilege::Usage => 'U',
        Privilege::Create => 'C',
        Privilege::Execute => 'X',
        Privilege::Connect => 'c',
        Privilege::Temporary => 'T',
        Privilege::Unknown => '?',
    }
}

/// The list as `psql` shows it, `{owner=arwd/owner,=r/owner}`, or `NULL`. Raw: escape it at output.
#[must_use]
pub fn access_raw(j: &Judgement, acl: &Acl) -> String {
    let Some(entries) = &acl.0 else { return "NULL (the default)".to_owned() };
    let item = |entry: &AclEntry| {
        let name = |oid: Oid| {
            let name = role_name(j, oid);
            if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                name.into_owned()
            } else {
                format!("\"{}\"", name.replace('"', "\"\""))
            }
        };
        let grantee = if entry.is_public() { String::new() } else { name(entry.grantee) };
        let mut letters = String::new();
        for privilege in LETTERS.into_iter().filter(|p| entry.privileges.contains(*p)) {
            letters.push(letter(privilege));
            if entry.grantable.contains(privilege) {
                letters.push('*');
            }
        }
        format!("{grantee}={letters}/{}", name(entry.grantor))
    };
    format!("{{{}}}", entries.iter().map(item).collect::<Vec<_>>().join(","))
}

/// The way from a role to a group: `a ──member of──▶ b ──member of──▶ c`.
#[must_use]
pub fn path(j: &Judgement, role: usize, edges: &[Edge]) -> Prose {
    let mut prose = Prose::new().name(role_at(j, role));
    for edge in edges {
        prose =
            prose.dim(if edge.implicit { " ──owns the database──▶ " } else { " ──member of──▶ " });
        prose = prose.name(role_at(j, edge.role));
    }
    prose
}

/// Every way by which one role comes to its rights on an object, one line each.
#[must_use]
pub fn paths(j: &Judgement, role: usize, kind: ObjectKind, owner: Oid, acl: &Acl) -> Vec<Line> {
    let version = j.matrix.version_num;
    let closure = &j.matrix.closure;
    let mut lines = Vec::new();
    if j.snapshot.catalog.roles.get(role).is_some_and(|r| r.superuser) {
        lines.push(Prose::new().name(role_at(j, role)).toned(" is a superuser: everything", Tone::Superuser).line());
        return lines;
    }
    let in_force = acl.in_force(kind, owner, version);
    for entry in in_force.entries().iter().filter(|e| !e.privileges.is_empty() && !e.is_public()) {
        let Some(edges) = closure.position(entry.grantee).and_then(|g| closure.path(role, g, |e| e.inherit)) else {
            continue;
        };
        let said = format!(" ──may──▶ {}", rights(kind, entry.privileges, version));
        let mut prose = path(j, role, &edges).text(&said);
        prose = if entry.grantee == owner {
            prose.dim("  as the owner")
        } else {
            prose.dim("  granted by ").and(&role_name(j, entry.grantor), Tone::Dim)
        };
        lines.push(prose.line());
    }
    for (name, may) in [
        ("pg_read_all_data", " ──may──▶ read"),
        ("pg_write_all_data", " ──may──▶ write"),
        ("pg_maintain", " ──may──▶ maintain"),
    ] {
        let applies = match kind {
            ObjectKind::Table => true,
            ObjectKind::Sequence => name != "pg_maintain",
            ObjectKind::Database | ObjectKind::Schema | ObjectKind::Routine | ObjectKind::Type => false,
        };
        let group = j.matrix.index.role_named(name).filter(|_| applies);
        if let Some(edges) = group.and_then(|g| closure.path(role, g, |e| e.inherit)) {
            lines.push(path(j, role, &edges).say(may).dim("  everywhere").line());
        }
    }
    lines
}

/// What PUBLIC may do with an object, beyond what PostgreSQL gives it by default.
#[must_use]
pub fn public_rights(j: &Judgement, kind: ObjectKind, owner: Oid, acl: &Acl) -> Privileges {
    let held = j.matrix.rights(&j.snapshot.catalog, Who::Public, kind, owner, acl);
    match kind {
        ObjectKind::Routine | ObjectKind::Type => held.minus(kind.public_default()),
        ObjectKind::Database | ObjectKind::Schema | ObjectKind::Table | ObjectKind::Sequence => held,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{app::panes::sample::Sample, domain::snapshot::Kind};
    use Privilege::{Delete, Insert, Select, Truncate, Update};

    #[test]
    fn rights_read_as_verbs() {
        let table = |list: &[Privilege]| rights(ObjectKind::Table, Privileges::of(list), 150_000);
        assert_eq!(table(&[]), "nothing");
        assert_eq!(table(&[Select]), "read");
        assert_eq!(table(&[Select, Insert, Update, Delete]), "read and write");
        assert_eq!(table(&[Insert, Update, Delete, Truncate]), "write and truncate");
        assert_eq!(table(&[Insert, Truncate]), "insert and truncate");
        assert_eq!(rights(ObjectKind::Table, Privileges::TABLE_16, 150_000), "everything");
        assert_eq!(rights(ObjectKind::Schema, Privileges::SCHEMA, 150_000), "use it and create in it");
    }

    #[test]
    fn quantities_are_short() {
        let said: Vec<String> = [0, 9_999, 48_300, 12_345_678, 4_100_000_000].map(quantity).into();
        assert_eq!(said, ["0", "9999", "48 k", "12.3 M", "4.1 G"]);
    }

    #[test]
    fn the_raw_list_quotes_as_the_server_does() {
        let mut sample = Sample::new();
        let odd = sample.role("a,b\"c");
        let acl = Sample::acl(&[(odd, &[Privilege::Select]), (Oid::ZERO, &[Privilege::Select])]);
        let judgement = sample.judgement();
        assert_eq!(access_raw(&judgement, &acl), "{\"a,b\"\"c\"=r/postgres,=r/postgres}");
        assert_eq!(access_raw(&judgement, &Acl::NULL), "NULL (the default)");
    }

    #[test]
    fn paths_name_every_step() {
        let mut sample = Sample::new();
        let (reader, team, owner) = (sample.role("reader"), sample.role("team"), sample.role("owner"));
        sample.member(team, reader);
        let acl = Sample::acl(&[(team, &[Privilege::Select])]);
        let judgement = sample.judgement();
        let at = judgement.matrix.index.role(reader).unwrap();
        let lines = paths(&judgement, at, ObjectKind::Table, owner, &acl);
        let plain: Vec<String> = lines.iter().map(Line::plain).collect();
        assert_eq!(plain, ["reader ──member of──▶ team ──may──▶ read  granted by postgres"]);
    }

    #[test]
    fn a_cell_reads_as_a_sentence() {
        let mut sample = Sample::new();
        let (owner, reader) = (sample.role("owner"), sample.role("reader"));
        let acl = Sample::acl(&[(owner, &[Privilege::Usage, Privilege::Create])]);
        let schema = sample.schema("s", owner, acl);
        sample.group(schema, Kind::Table, owner, Acl::NULL, 3);
        sample.group(schema, Kind::Table, owner, Sample::acl(&[(reader, &[Select])]), 1);
        let j = sample.judgement();
        let said = |oid| {
            let who = Who::Role(j.matrix.index.role(oid).unwrap());
            cell(&j.matrix.cell(&j.snapshot.catalog, who, 0), 150_000)
        };
        assert_eq!(said(owner), "owns it; use it and create in it; everything with 3 of 4 tables");
        assert_eq!(said(reader), "read 1 of 4 tables (none of it works: no USAGE on the schema)");
    }
}
