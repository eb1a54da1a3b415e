//! Everything that is wrong or worth knowing, worst first: what, where, why it matters, what to do, the SQL.
//!
//! ```text
//!      what is wrong                                                      where            code
//!  ‼   Two services share public.alembic_version: engarde and langflow …  public           version-table-shared
//!  ✖   madansara_user can write to sankore (6 privileges too many)        sankore          grant-excess
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::{Ctx, Enter, Entry, Pane, PaneSpec, Reach, RowId, SortKey, Story, Want};
use crate::{
    app::{
        sql_spans,
        view::{Column, Line, Span, Tone},
    },
    domain::Oid,
    plan::sql::printable,
    policy::{Finding, Group, Severity},
};

pub const SPEC: PaneSpec = PaneSpec {
    id: "findings",
    title: "Findings",
    doc: "Everything that is wrong, worst first: why it matters, what to do, and the SQL that mends it.",
};

#[derive(Default)]
pub struct Findings {
    /// Instance and position in its findings.
    rows: Vec<(usize, usize)>,
    several: bool,
}

/// The colour of a severity.
#[must_use]
pub fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Info => Tone::Info,
        Severity::Warning => Tone::Warning,
        Severity::Error => Tone::Error,
        Severity::Critical => Tone::Critical,
    }
}

/// The finding at a row.
fn at<'a>(ctx: &Ctx<'a>, row: Option<&(usize, usize)>) -> Option<&'a Finding> {
    let (instance, position) = row?;
    ctx.instances.get(*instance)?.judgement.as_ref()?.findings.get(*position)
}

/// In place of statements that nobody will run: a plan reads the names of the objects first.
pub const AWAITS_NAMES: &str = "names its objects, which are being read";

/// The statements that mend a finding, as a plan runs them; none before the names that they need were read.
#[must_use]
pub fn sql(finding: &Finding) -> Option<Vec<String>> {
    crate::plan::sql::fix_sql(finding).filter(|_| !finding.awaits_names())
}

/// From how many schemas of an instance names are asked for at once. Those of a page of findings may be of fifty.
const MOST_SCHEMAS: usize = 8;

/// The names of objects that these findings, by instance, list or want to list: of the first of them, where they are in many
/// schemas.
pub fn names_wanted<'a>(ctx: &Ctx<'_>, findings: impl Iterator<Item = (usize, &'a Finding)>) -> Vec<Want> {
    // those that list names already are asked for again, because only the last wish counts
    let of_objects = |f: &Finding| match f.group {
        Group::Grants | Group::Ownership => !f.objects.is_empty() || f.objects_total.is_some(),
        _ => f.objects.is_empty() && f.objects_total.is_some(),
    };
    // in one order, so that the same wish is not read again
    let mut wanted: BTreeMap<usize, BTreeSet<Oid>> = BTreeMap::new();
    for (at, finding) in findings.filter(|(_, f)| of_objects(f)) {
        let Some(j) = ctx.instances.get(at).and_then(|i| i.judgement.as_ref()) else { continue };
        let named = finding.schema.as_deref().and_then(|s| j.matrix.index.schema_named(s));
        let Some(oid) = named.and_then(|s| j.snapshot.catalog.schemas.get(s)).map(|s| s.oid) else { continue };
        let schemas = wanted.entry(at).or_default();
        if schemas.len() < MOST_SCHEMAS {
            schemas.insert(oid);
        }
    }
    let want = |(instance, schemas): (usize, BTreeSet<Oid>)| Want::Objects {
        instance,
        schemas: schemas.into_iter().collect(),
        beneath: false,
    };
    wanted.into_iter().map(want).collect()
}

/// Where a finding is, in a few words.
#[must_use]
pub fn place(finding: &Finding) -> String {
    match (&finding.role, &finding.schema, &finding.object) {
        (Some(role), Some(schema), _) => format!("{role} × {schema}"),
        (None, Some(schema), None) => schema.clone(),
        (Some(role), None, _) => role.clone(),
        (None, _, Some(object)) => object.clone(),
        (None, None, None) => finding.database.clone(),
    }
}

/// The whole finding as a story.
#[must_use]
pub fn story(finding: &Finding) -> Story {
    let mut lines = vec![
        Line(vec![Span::known(finding.severity.glyph(), tone(finding.severity)), Span::known(" ", Tone::Text)])
            .and(&finding.message, Tone::Strong),
        Line::empty(),
    ];
    let mut part = |title: &'static str, text: &str| {
        if !text.is_empty() {
            lines.push(Line(vec![Span::known(title, Tone::Title)]));
            lines.push(Line(vec![Span::known("  ", Tone::Text)]).and(text, Tone::Text));
            lines.push(Line::empty());
        }
    };
    part("Why it matters", &finding.why);
    part("What is there", &finding.observed);
    part("What should be", &finding.expected);
    part("Through", finding.via.as_deref().unwrap_or_default());
    part("What to do", &finding.remedy);
    let sql = sql(finding).unwrap_or_default();
    if finding.awaits_names() {
        lines.push(Line(vec![Span::known("The SQL", Tone::Title)]));
        lines.push(Line(vec![Span::known("  ", Tone::Text), Span::known(AWAITS_NAMES, Tone::Dim)]));
        lines.push(Line::empty());
    }
    if !sql.is_empty() {
        lines.push(Line(vec![Span::known("The SQL", Tone::Title)]));
        for statement in &sql {
            let written = sql_spans::our_lines(statement, usize::MAX);
            lines.extend(written.into_iter().map(|line| Line(vec![Span::known("  ", Tone::Text)]).join(line)));
        }
        lines.push(Line::empty());
    }
    if !finding.objects.is_empty() {
        let total = finding.objects_total.unwrap_or(finding.objects.len() as u64);
        lines.push(Line::new(&format!("Objects ({total})"), Tone::Title));
        for object in &finding.objects {
            lines.push(Line(vec![Span::known("  ", Tone::Text)]).and(object, Tone::Text));
        }
        let more = total.saturating_sub(finding.objects.len() as u64);
        if more > 0 {
            lines.push(Line::new(&format!("  … and {more} more"), Tone::Dim));
        }
    }
    lines.push(
        Line::new(finding.severity.word(), tone(finding.severity))
            .known(" · ", Tone::Dim)
            .and(finding.group.word(), Tone::Dim)
            .known(" · ", Tone::Dim)
            .and(finding.code, Tone::Dim)
            .known(" · ", Tone::Dim)
            .and(&finding.instance, Tone::Dim),
    );
    let copy = if sql.is_empty() {
        lines.iter().map(Line::plain).collect::<Vec<_>>().join("\n")
    } else {
        sql.iter().map(|s| printable(s)).collect::<Vec<_>>().join("\n")
    };
    let title = Line::new(finding.code, Tone::Title).known("  ", Tone::Dim).and(&place(finding), Tone::Strong);
    Story { title, lines, copy }
}

/// Why, remedy and SQL in a few lines.
#[must_use]
pub fn short(finding: &Finding, lines: usize) -> Vec<Line> {
    let mut out = vec![
        Line(vec![Span::known(finding.severity.glyph(), tone(finding.severity)), Span::known(" ", Tone::Text)])
            .and(&finding.message, Tone::Strong),
        Line(vec![Span::known("Why   ", Tone::Dim)]).and(&finding.why, Tone::Text),
    ];
    if !finding.observed.is_empty() || !finding.expected.is_empty() {
        out.push(
            Line(vec![Span::known("Is    ", Tone::Dim)])
                .and(&finding.observed, Tone::Text)
                .known("   should be: ", Tone::Dim)
                .and(&finding.expected, Tone::Text),
        );
    }
    out.push(Line(vec![Span::known("Do    ", Tone::Dim)]).and(&finding.remedy, Tone::Text));
    if finding.awaits_names() {
        out.push(Line(vec![Span::known("SQL   ", Tone::Dim), Span::known(AWAITS_NAMES, Tone::Dim)]));
    }
    if let Some(sql) = sql(finding) {
        let room = lines.saturating_sub(out.len()).max(1);
        let rest = sql.len().saturating_sub(room);
        for (i, statement) in sql.iter().take(room).enumerate() {
            let mut line = Line(vec![Span::known(if i == 0 { "SQL   " } else { "      " }, Tone::Dim)])
                .join(sql_spans::our_line(statement, 2000));
            if i + 1 == room && rest > 0 {
                line = line.and(&format!("  … {rest} more"), Tone::Dim);
            }
            out.push(line);
        }
    }
    out
}

/// What is wrong and what a person can do about it, where nothing mends it by itself.
#[must_use]
pub fn by_hand(f: &Finding) -> String {
    if f.remedy.is_empty() { f.message.clone() } else { format!("{} {}", f.message, f.remedy) }
}

impl Pane for Findings {
    fn spec(&self) -> &'static PaneSpec {
        &SPEC
    }

    fn load(&mut self, ctx: &Ctx<'_>) -> Vec<Entry> {
        self.several = ctx.several();
        let mut rows: Vec<(usize, usize, &Finding)> = ctx
            .shown()
            .filter_map(|(i, instance)| instance.judgement.as_ref().map(|j| (i, j)))
            .flat_map(|(i, j)| j.findings.iter().enumerate().map(move |(n, f)| (i, n, f)))
            .collect();
        // worst first; the order within an instance is the checks' own
        rows.sort_by(|a, b| b.2.severity.cmp(&a.2.severity).then(a.2.group.cmp(&b.2.group)).then(a.0.cmp(&b.0)));
        self.rows = rows.iter().map(|(i, n, _)| (*i, *n)).collect();
        rows.iter()
            .map(|(i, _, f)| {
                let mut keys = vec![SortKey::Number(-(f.severity as i64))];
                if self.several {
                    keys.push(SortKey::Number(*i as i64));
                }
                keys.extend([
                    SortKey::Text(f.message.clone()),
                    SortKey::Text(place(f)),
                    SortKey::Text(f.group.word().to_owned()),
                    SortKey::Text(f.code.to_owned()),
                ]);
                Entry {
                    id: RowId(*i, f.id.clone()),
                    text: format!("{} {} {} {}", f.message, f.code, place(f), f.group.word()),
                    keys,
                }
            })
            .collect()
    }

    fn columns(&self, ctx: &Ctx<'_>) -> Vec<Column> {
        let mut columns = vec![Column::left("", 1, 1, 0)];
        if self.several {
            columns.push(Column::left("instance", 8, 12, 1));
        }
        columns.extend([
            Column::left("what is wrong", (ctx.width / 2).max(30), u16::MAX, 0),
            Column::left("where", 18, 32, 2),
            Column::left("group", 9, 10, 4),
            Column::left("code", 20, 28, 3),
        ]);
        columns
    }

    fn cells(&self, ctx: &Ctx<'_>, index: usize) -> Vec<Line> {
        let row = self.rows.get(index);
        let Some(f) = at(ctx, row) else { return Vec::new() };
        let mut cells = vec![Line(vec![Span::known(f.severity.glyph(), tone(f.severity))])];
        if self.several {
            cells.push(Line::new(&f.instance, Tone::Dim));
        }
        let text = if f.severity == Severity::Info { Tone::Dim } else { Tone::Text };
        cells.extend([
            Line::new(&f.message, text),
            Line::new(&place(f), Tone::Text),
            Line::new(f.group.word(), Tone::Dim),
            Line::new(f.code, Tone::Dim),
        ]);
        cells
    }

    fn inspector(&self, ctx: &Ctx<'_>, index: usize, _column: usize, _width: u16) -> Vec<Line> {
        at(ctx, self.rows.get(index)).map(|f| short(f, 7)).unwrap_or_default()
    }

    fn enter(&mut self, ctx: &Ctx<'_>, index: usize, _column: usize) -> Enter {
        match at(ctx, self.rows.get(index)) {
            Some(finding) => Enter::Story(story(finding)),
            None => Enter::Nothing("no finding is selected"),
        }
    }

    fn enter_word(&self) -> &'static str {
        "evidence"
    }

    fn fixes(&self, ctx: &Ctx<'_>, index: usize, _column: usize, _reach: Reach) -> Vec<String> {
        let finding = at(ctx, self.rows.get(index)).filter(|f| f.fix.as_ref().is_some_and(|fix| !fix.is_empty()));
        finding.map(|f| f.id.clone()).into_iter().collect()
    }

    fn unfixed(&self, ctx: &Ctx<'_>, index: usize) -> Vec<String> {
        at(ctx, self.rows.get(index)).map(by_hand).into_iter().collect()
    }

    fn remedy(&self, ctx: &Ctx<'_>, index: usize) -> Option<String> {
        at(ctx, self.rows.get(index)).map(|f| f.remedy.clone()).filter(|r| !r.is_empty())
    }

    fn copy(&self, ctx: &Ctx<'_>, index: usize, _column: usize) -> String {
        at(ctx, self.rows.get(index)).map(|f| story(f).copy).unwrap_or_default()
    }

    fn empty(&self, ctx: &Ctx<'_>) -> Vec<Line> {
        let waiting = ctx.shown().filter(|(_, i)| i.judgement.is_none()).count();
        if waiting > 0 {
            return vec![Line::new("Waiting for the first answer of the server.", Tone::Dim)];
        }
        if ctx.shown().all(|(_, i)| i.judgement.as_ref().is_some_and(|j| j.policy.is_none())) {
            return vec![
                Line::new("Nothing is wrong that can be seen without a policy.", Tone::Good),
                Line::new(
                    "A policy says which service owns which schema and who may read it. Write one from what is there:",
                    Tone::Text,
                ),
                Line::new("    pgmoat policy derive TARGET -o team.policy.toml", Tone::Strong),
            ];
        }
        vec![Line::new("Nothing is wrong. Every check of the policy passed at the last reading.", Tone::Good)]
    }

    fn sorted(&self) -> Option<(usize, bool)> {
        None
    }

    fn wants(&self, ctx: &Ctx<'_>, visible: &[usize], selected: Option<usize>) -> Vec<Want> {
        let rows = selected.iter().chain(visible).filter_map(|i| self.rows.get(*i));
        names_wanted(ctx, rows.filter_map(|row| Some((row.0, at(ctx, Some(row))?))))
    }

    fn badge(&self, ctx: &Ctx<'_>) -> Option<u64> {
        let n = ctx
            .shown()
            .filter_map(|(_, i)| i.judgement.as_ref())
            .map(|j| j.findings.iter().filter(|f| f.severity > Severity::Info).count() as u64)
            .sum();
        (n > 0).then_some(n)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        app::{
            instance::Instance,
            panes::sample::{Sample, ctx},
        },
        policy::{checks::fixture::Fixture, judgement::Judgement},
    };

    #[test]
    fn names_are_wanted_of_few_schemas_and_of_the_selected_one_first() {
        let mut f = Fixture::new().role("app").role("reader");
        let mut names = Vec::new();
        for i in 0..12 {
            let name = format!("s{i:02}");
            f = f.schema(&name, "app").table(&name, "t", "app").grant(&format!("{name}.t"), "reader", "SELECT");
            names.push(format!("'{name}'"));
        }
        let rules =
            format!("[[service]]\nname='s'\nschemas=[{}]\nrole='app'\n[[role]]\nname='reader'\n", names.join(", "));
        let case = f.policy(&rules).case();
        let j = Judgement::new(Arc::new(case.snapshot), case.policy.map(Arc::new), case.lineages, None);
        let oid = |name: &str| j.snapshot.catalog.schema_named(name).unwrap().oid;
        let (first, last) = (oid("s00"), oid("s11"));
        let instances = [Instance { judgement: Some(Arc::new(j)), ..Sample::new().instance() }];
        let ctx = ctx(&instances, 120);
        let mut pane = Findings::default();
        let entries = pane.load(&ctx);
        let of = |schema: &str| {
            entries.iter().position(|e| e.id.1 == format!("grant-excess:reader:{schema}:table:SELECT")).unwrap()
        };
        let all: Vec<usize> = (0..12).map(|i| of(&format!("s{i:02}"))).collect();
        for (selected, there, not) in [(None, first, last), (Some(of("s11")), last, oid_of(&ctx, "s07"))] {
            let [Want::Objects { schemas, .. }] = &pane.wants(&ctx, &all, selected)[..] else { panic!("one wish") };
            assert_eq!(schemas.len(), MOST_SCHEMAS);
            assert!(schemas.contains(&there) && !schemas.contains(&not) && schemas.is_sorted(), "{schemas:?}");
        }
    }

    fn oid_of(ctx: &Ctx<'_>, schema: &str) -> Oid {
        let j = ctx.instances.first().and_then(|i| i.judgement.as_ref()).unwrap();
        j.snapshot.catalog.schema_named(schema).unwrap().oid
    }
}
