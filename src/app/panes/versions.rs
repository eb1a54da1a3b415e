//! Versions: every Alembic version table, whose revisions it holds, where they stand, and what each application will say
//! at its next start. What is worst comes first. The story of a table is `version_story.rs`.
//!
//! ```text
//!   schema.table              class      service   rows             at                           owner         who resolves to it
//!   public.alembic_version    ‼ SHARED   engarde   7456be403827 +2  engarde head · langflow −111 engarde_user  engarde_user +1
//!   onside.alembic_version    ✔ own      onside    3c5e7a9b1d2f     head                         onside_user   onside_user
//! ```

use std::collections::HashMap;

use crate::{
    app::{
        panes::{Ctx, Enter, Entry, Pane, PaneSpec, RowId, SortKey, version_story},
        prose::{self, Prose},
        view::{Column, Line, Span, Tone},
        wording,
    },
    domain::{
        qualified,
        snapshot::{VersionRows, VersionTable},
    },
    policy::{
        judgement::Judgement,
        versions::{Class, Place, Revision, VersionInfo},
    },
    text,
};

pub static SPEC: PaneSpec = PaneSpec {
    id: "versions",
    title: "Versions",
    doc: "Every Alembic version table: whose it is, where it stands, and what each application will say at its next start.",
};

/// See the module.
#[derive(Default)]
pub struct Versions {
    rows: Vec<Row>,
    /// Lines above the table, unfolded.
    top: Vec<Line>,
}

/// One version table of one instance, by position; `info` in [`Judgement::versions`].
struct Row {
    instance: usize,
    table: usize,
    info: Option<usize>,
}

/// Glyph, word and tone of what a version table is.
#[must_use]
pub const fn looks(info: &VersionInfo) -> (&'static str, &'static str, Tone) {
    match info.class {
        Class::Own if info.missed => ("▲", "not found", Tone::Warning),
        Class::Own => ("✔", "own", Tone::Good),
        Class::Misplaced => ("✖", "MISPLACED", Tone::Error),
        Class::Shared => ("‼", "SHARED", Tone::Critical),
        Class::Copy => ("·", "copy", Tone::Dim),
        Class::EmptyInUse => ("✖", "EMPTY, in use", Tone::Error),
        Class::EmptyBase => ("·", "empty, new", Tone::Dim),
        Class::Ambiguous => ("▲", "ambiguous", Tone::Warning),
        Class::Unknown => ("▲", "unknown", Tone::Warning),
        Class::Foreign => ("·", "not declared", Tone::Dim),
    }
}

/// What is worst comes first.
const fn rank(info: Option<&VersionInfo>) -> i64 {
    let Some(info) = info else { return 6 };
    match info.class {
        Class::Shared => 0,
        Class::EmptyInUse => 1,
        Class::Misplaced => 2,
        Class::Own if info.missed => 3,
        Class::Ambiguous => 4,
        Class::Unknown => 5,
        Class::Own => 7,
        Class::EmptyBase => 8,
        Class::Foreign => 9,
        Class::Copy => 10,
    }
}

/// Where a row stands, in words.
#[must_use]
pub fn place_words(place: &Place) -> (String, Tone) {
    match place {
        Place::Head => ("head".to_owned(), Tone::Good),
        Place::Behind(n) => (format!("−{n} behind"), Tone::Warning),
        Place::Unknown => ("unknown to the scripts".to_owned(), Tone::Warning),
        Place::Ambiguous => ("ambiguous".to_owned(), Tone::Warning),
        Place::NoScripts => ("no scripts to tell".to_owned(), Tone::Dim),
    }
}

/// Why rows are `?`, short.
fn unread_words(rows: &VersionRows) -> &'static str {
    match rows {
        VersionRows::Known(_) | VersionRows::Locked(Some(_)) => "",
        VersionRows::Locked(None) => " a migration holds it",
        VersionRows::Denied => " may not be read",
        VersionRows::Refused(_) => " not read",
        VersionRows::Pending => " being read",
    }
}

fn rows_cell(table: &VersionTable) -> Line {
    let Some(rows) = table.rows.known() else {
        let line = Line(vec![Span::known("?", Tone::Unknown)]);
        return line.known(unread_words(&table.rows), Tone::Unknown);
    };
    let mut line = match rows.first() {
        None => Line(vec![Span::known("empty", Tone::Dim)]),
        Some(first) => Line::new(first, Tone::Text),
    };
    if rows.len() > 1 {
        line = line.and(&format!(" +{}", rows.len() - 1), Tone::Dim);
    }
    if matches!(table.rows, VersionRows::Locked(_)) {
        line = line.known(" (a migration runs)", Tone::Info);
    }
    line
}

/// Distinct (services, place) of the rows, in their order: `engarde head · langflow −111 behind`.
fn at_cell(info: Option<&VersionInfo>) -> Line {
    let Some(info) = info else { return wording::unknown() };
    let mut said: Vec<(&[String], &Place)> = Vec::new();
    for row in &info.rows {
        if !said.contains(&(&row.services, &row.place)) {
            said.push((&row.services, &row.place));
        }
    }
    let one_service = info.rows.iter().all(|r| info.service.as_slice() == r.services.as_slice());
    let mut line = Line::empty();
    for (services, place) in said {
        if !line.0.is_empty() {
            line = line.known(" · ", Tone::Dim);
        }
        if !one_service && !services.is_empty() && *place != Place::Unknown {
            line = line.and(&services.join("/"), Tone::Text).known(" ", Tone::Text);
        }
        let (words, tone) = match place {
            Place::Behind(n) if !one_service => (format!("−{n}"), Tone::Warning),
            Place::Behind(_) | Place::Head | Place::Unknown | Place::Ambiguous | Place::NoScripts => place_words(place),
        };
        line = line.and(&words, tone);
    }
    line
}

fn resolved_cell(info: Option<&VersionInfo>) -> Line {
    let Some(info) = info else { return wording::unknown() };
    let Some(first) = info.resolved_by.first() else { return Line(vec![Span::known("nobody", Tone::Dim)]) };
    let mut line = Line::new(first, Tone::Text);
    for name in info.resolved_by.iter().skip(1).take(2) {
        line = line.known(", ", Tone::Dim).and(name, Tone::Text);
    }
    match info.resolved_by.len() {
        n if n > 3 => line.and(&format!(" +{}", n - 3), Tone::Dim),
        _ => line,
    }
}

/// One row with its service and place, for inspector and story.
#[must_use]
pub fn revision_line(row: &Revision) -> Line {
    let (words, tone) = place_words(&row.place);
    let mut prose = Prose::new().say("  ").name(&row.revision).say("  ");
    if !row.services.is_empty() {
        prose = prose.text(&row.services.join(" or ")).say("  ");
    }
    prose.and(&words, tone).line()
}

impl Versions {
    fn at<'a>(
        &'a self,
        ctx: &Ctx<'a>,
        index: usize,
    ) -> Option<(&'a Row, &'a Judgement, &'a VersionTable, Option<&'a VersionInfo>)> {
        let row = self.rows.get(index)?;
        let j = ctx.instances.get(row.instance)?.judgement.as_deref()?;
        let info = row.info.and_then(|i| j.versions.0.get(i));
        Some((row, j, j.snapshot.versions.0.get(row.table)?, info))
    }

    fn entry(&self, ctx: &Ctx<'_>, index: usize) -> Option<Entry> {
        let (row, j, table, info) = self.at(ctx, index)?;
        let name = qualified(&wording::schema_name(j, table.schema), &table.name);
        let service = info.and_then(|i| i.service.clone()).unwrap_or_default();
        let owner = wording::role_name(j, table.owner);
        let rows = table.rows.known().unwrap_or_default().join(" ");
        let resolved = info.map(|i| i.resolved_by.join(" ")).unwrap_or_default();
        let mut keys = vec![
            SortKey::Text(name.clone()),
            SortKey::Number(rank(info)),
            SortKey::Text(service.clone()),
            SortKey::Text(rows.clone()),
            SortKey::Text(at_cell(info).plain()),
            SortKey::Text(owner.to_string()),
            SortKey::Text(resolved.clone()),
        ];
        if ctx.several() {
            keys.insert(0, SortKey::Number(row.instance as i64));
        }
        Some(Entry {
            id: RowId(row.instance, name.clone()),
            text: format!("{name} {service} {owner} {rows} {resolved}"),
            keys,
        })
    }
}

/// Services whose declared version table is not there.
fn missing(j: &Judgement) -> Vec<(&str, String)> {
    let services = j.policy.iter().flat_map(|p| &p.services);
    services
        .filter_map(|service| {
            let (name, schema) = (service.version_table.as_deref()?, service.schemas.first()?);
            let oid = j.matrix.index.schema_named(schema).and_then(|at| j.snapshot.catalog.schemas.get(at))?.oid;
            let there = j.snapshot.versions.0.iter().any(|t| t.schema == oid && t.name == name);
            (!there).then(|| (service.name.as_str(), qualified(schema, name)))
        })
        .collect()
}

/// Services with a version table whose scripts nobody gave.
fn without_scripts(j: &Judgement) -> Vec<&str> {
    let services = j.policy.iter().flat_map(|p| &p.services);
    services
        .filter(|s| s.version_table.is_some() && j.lineages.0.get(&s.name).is_none_or(|l| l.scripts.is_empty()))
        .map(|s| s.name.as_str())
        .collect()
}

/// What stands above the table: how many of which class, what is missing, how to know more.
fn summary(j: &Judgement, prefix: Prose) -> Vec<Line> {
    let mut counts: Vec<(&VersionInfo, u64)> = Vec::new();
    for info in &j.versions.0 {
        match counts.iter_mut().find(|(other, _)| looks(other) == looks(info)) {
            Some((_, n)) => *n += 1,
            None => counts.push((info, 1)),
        }
    }
    counts.sort_by_key(|(info, _)| rank(Some(info)));
    let all = text::count(j.snapshot.versions.0.len() as u64, "version table", "version tables");
    let mut prose = prefix.text(&all);
    for (i, (info, n)) in counts.iter().enumerate() {
        let (glyph, word, tone) = looks(info);
        prose = prose.dim(if i == 0 { ": " } else { ", " });
        prose = prose.and(&format!("{glyph} {n} {word}"), tone);
    }
    let mut lines = vec![prose.line()];
    for (service, place) in missing(j).into_iter().take(2) {
        let prose = Prose::new().toned("✖ ", Tone::Error).name(service).toned(" has no version table: ", Tone::Error);
        lines.push(prose.name(&place).toned(" does not exist.", Tone::Error).line());
    }
    let silent = without_scripts(j);
    if !silent.is_empty() {
        let prose = Prose::new().dim("No revision scripts for ").names(&silent, 4);
        lines.push(prose.dim(": give the policy their folder (revisions = \"…/versions\") to see heads.").line());
    }
    lines
}

impl Pane for Versions {
    fn spec(&self) -> &'static PaneSpec {
        &SPEC
    }

    fn load(&mut self, ctx: &Ctx<'_>) -> Vec<Entry> {
        self.rows.clear();
        self.top.clear();
        let mut rows: Vec<((i64, String), Row)> = Vec::new();
        for (instance, of) in ctx.shown() {
            let Some(j) = of.judgement.as_deref() else { continue };
            let infos: HashMap<usize, usize> = j.versions.0.iter().enumerate().map(|(i, v)| (v.table, i)).collect();
            for (table, t) in j.snapshot.versions.0.iter().enumerate() {
                let info = infos.get(&table).copied();
                let rank = rank(info.and_then(|i| j.versions.0.get(i)));
                let name = qualified(&wording::schema_name(j, t.schema), &t.name);
                rows.push(((rank, name), Row { instance, table, info }));
            }
            if !j.snapshot.versions.0.is_empty() || !missing(j).is_empty() {
                let prefix = if ctx.several() { Prose::new().name(&of.name).say("  ") } else { Prose::new() };
                self.top.extend(summary(j, prefix));
            }
        }
        rows.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.rows.extend(rows.into_iter().map(|(_, row)| row));
        (0..self.rows.len()).filter_map(|i| self.entry(ctx, i)).collect()
    }

    fn columns(&self, ctx: &Ctx<'_>) -> Vec<Column> {
        let narrow = ctx.width < 100;
        let mut columns = vec![
            Column { frozen: true, ..Column::left("schema.table", if narrow { 26 } else { 20 }, 32, 0) },
            Column::left("class", 15, 15, 0),
            Column::left("service", 8, 18, 2),
            Column::left("rows", 15, 26, 0),
            Column::left("at", if ctx.width < 140 { 10 } else { 28 }, 40, u8::from(narrow)),
            Column::left("owner", 10, 24, 3),
            Column::left("who resolves to it", 18, u16::MAX, 4),
        ];
        if ctx.several() {
            columns.insert(0, Column { frozen: true, ..Column::left("instance", 8, 16, 1) });
        }
        columns
    }

    fn cells(&self, ctx: &Ctx<'_>, index: usize) -> Vec<Line> {
        let Some((row, j, table, info)) = self.at(ctx, index) else { return Vec::new() };
        let class = info.map_or_else(wording::unknown, |info| {
            let (glyph, word, tone) = looks(info);
            Line(vec![Span::known(glyph, tone), Span::known(" ", tone), Span::known(word, tone)])
        });
        let mut cells = vec![
            Line::new(&wording::schema_name(j, table.schema), Tone::Strong)
                .known(".", Tone::Dim)
                .and(&table.name, Tone::Text),
            class,
            match info.and_then(|i| i.service.as_deref()) {
                Some(service) => wording::plain(service),
                None => Line(vec![Span::known("–", Tone::Dim)]),
            },
            rows_cell(table),
            at_cell(info),
            wording::plain(&wording::role_name(j, table.owner)),
            resolved_cell(info),
        ];
        if ctx.several() {
            cells.insert(0, wording::plain(ctx.instances.get(row.instance).map_or("", |i| i.name.as_str())));
        }
        cells
    }

    fn inspector(&self, ctx: &Ctx<'_>, index: usize, _column: usize, width: u16) -> Vec<Line> {
        let Some((_, j, table, info)) = self.at(ctx, index) else { return Vec::new() };
        let mut lines = version_story::what_it_is(j, table, info);
        if let Some(info) = info {
            lines.extend(version_story::rows(info));
            lines.extend(version_story::next_start(info));
        }
        lines.extend(version_story::hint(j, table, info));
        prose::block(&lines, width, 8)
    }

    fn enter(&mut self, ctx: &Ctx<'_>, index: usize, _column: usize) -> Enter {
        match self.at(ctx, index) {
            Some((_, j, table, info)) => Enter::Story(version_story::story(j, table, info)),
            None => Enter::Nothing("nothing is selected"),
        }
    }

    fn enter_word(&self) -> &'static str {
        "story"
    }

    fn copy(&self, ctx: &Ctx<'_>, index: usize, column: usize) -> String {
        let Some((_, j, table, _)) = self.at(ctx, index) else { return String::new() };
        let _ = column;
        qualified(&wording::schema_name(j, table.schema), &table.name)
    }

    fn top(&self, _ctx: &Ctx<'_>, width: u16) -> Vec<Line> {
        let each = if width < 100 { 1 } else { 2 };
        self.top.iter().flat_map(|line| prose::block(std::slice::from_ref(line), width, each)).take(6).collect()
    }

    fn empty(&self, ctx: &Ctx<'_>) -> Vec<Line> {
        if ctx.shown().all(|(_, i)| i.judgement.is_none()) {
            return vec![Line(vec![Span::known("Looking for version tables …", Tone::Dim)])];
        }
        let lines = [
            Line(vec![Span::known("There is no Alembic version table in this database, under any name.", Tone::Text)]),
            Line(vec![Span::known(
                "Alembic makes one at the first migration of an application; this pane then shows whose it is and where it stands.",
                Tone::Dim,
            )]),
        ];
        prose::block(&lines, ctx.width, 6)
    }

    fn badge(&self, ctx: &Ctx<'_>) -> Option<u64> {
        let infos = ctx.shown().filter_map(|(_, i)| i.judgement.as_deref()).flat_map(|j| &j.versions.0);
        let bad = infos.filter(|i| matches!(i.class, Class::Shared | Class::EmptyInUse | Class::Misplaced)).count();
        (bad > 0).then_some(bad as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::panes::sample::{HOSTILE, Sample, ctx, holds_the_rules},
        domain::{
            Acl, Oid, Privilege,
            alembic::{Lineage, Script},
        },
    };

    fn lineage(service: &str, revisions: &[&str]) -> (String, Lineage) {
        let script = |(i, revision): (usize, &&str)| Script {
            revision: (*revision).into(),
            down: i.checked_sub(1).map(|i| revisions[i].to_owned()).into_iter().collect(),
            ..Script::default()
        };
        let scripts = revisions.iter().enumerate().map(script).map(|s| (s.revision.clone(), s)).collect();
        (service.to_owned(), Lineage { service: service.into(), scripts, ..Lineage::default() })
    }

    /// `public.alembic_version` of engarde, used by langflow too, whose own table is not there.
    fn collision() -> Sample {
        let mut sample = Sample::new();
        let (engarde, langflow) = (sample.role("engarde_user"), sample.role("langflow_app"));
        let all = Sample::acl(&[(engarde, &[Privilege::Usage, Privilege::Create]), (langflow, &[Privilege::Usage])]);
        let public = sample.schema("public", engarde, all);
        sample.schema("langflow", langflow, Acl::NULL);
        sample.service("engarde", "engarde_user").schemas = vec!["public".into()];
        sample.service("langflow", "langflow_app");
        table(&mut sample, public, "alembic_version", engarde, VersionRows::Known(vec!["e2".into(), "l1".into()]));
        sample.lineages.0.extend([lineage("engarde", &["e1", "e2"]), lineage("langflow", &["l1", "l2", "l3"])]);
        sample
    }

    fn table(sample: &mut Sample, schema: Oid, name: &str, owner: Oid, rows: VersionRows) {
        let acl = Sample::acl(&[(owner, &[Privilege::Select, Privilege::Insert])]);
        let oid = Oid(90_000 + sample.tables.len() as u32);
        let name = name.to_owned();
        sample.tables.push(VersionTable {
            oid,
            schema,
            name,
            owner,
            acl,
            shape: true,
            plain: true,
            stirs: false,
            primary_key: true,
            rows,
        });
    }

    fn plain(lines: &[Line]) -> Vec<String> {
        lines.iter().map(Line::plain).collect()
    }

    #[test]
    fn a_shared_table_says_whose_rows_stand_where() {
        let instances = [collision().instance()];
        let ctx = ctx(&instances, 160);
        let mut pane = Versions::default();
        assert_eq!(pane.load(&ctx).len(), 1);
        let cells = plain(&pane.cells(&ctx, 0));
        assert_eq!(cells[..2], ["public.alembic_version", "‼ SHARED"]);
        assert_eq!(cells[3..5], ["e2 +1", "engarde head · langflow −2"]);
        assert_eq!(pane.badge(&ctx), Some(1));
        let top = plain(&pane.top(&ctx, 160));
        assert_eq!(
            top,
            [
                "1 version table: ‼ 1 SHARED",
                "✖ langflow has no version table: langflow.alembic_version does not exist.",
            ]
        );
        let said = plain(&pane.inspector(&ctx, 0, 0, 160));
        assert!(said[0].starts_with("‼ SHARED  public.alembic_version, owned by engarde_user. It holds"), "{said:#?}");
        let engarde = "  engarde, at its next start: Can't locate revision identified by 'l1'";
        assert!(said.contains(&engarde.to_owned()), "{said:#?}");
        assert!(said.contains(&"  holds e2 (engarde head) and l1 (langflow −2 behind)".to_owned()), "{said:#?}");
        let Enter::Story(story) = pane.enter(&ctx, 0, 0) else { panic!("a story") };
        let lines = plain(&story.lines);
        assert!(lines.contains(&"  as stored  {engarde_user=ar/postgres}".to_owned()), "{lines:#?}");
        assert_eq!(story.copy, "public.alembic_version");
    }

    #[test]
    fn rows_that_may_not_be_read_are_unknown_and_name_the_grant() {
        let mut sample = collision();
        sample.tables[0].rows = VersionRows::Denied;
        sample.server.current_user = "monitor".into();
        let instances = [sample.instance()];
        let ctx = ctx(&instances, 160);
        let mut pane = Versions::default();
        pane.load(&ctx);
        let cells = plain(&pane.cells(&ctx, 0));
        assert_eq!([&cells[1], &cells[3]], ["▲ unknown", "? may not be read"]);
        let said = plain(&pane.inspector(&ctx, 0, 0, 160)).join(" ");
        assert!(said.contains("GRANT SELECT ON public.alembic_version TO monitor;"), "{said}");
        let Enter::Story(story) = pane.enter(&ctx, 0, 0) else { panic!("a story") };
        assert!(plain(&story.lines).contains(&"  ?".to_owned()));
    }

    #[test]
    fn without_scripts_it_says_how_to_give_them() {
        let mut sample = collision();
        sample.lineages.0.clear();
        sample.tables[0].rows = VersionRows::Known(vec!["e2".into()]);
        let instances = [sample.instance()];
        let ctx = ctx(&instances, 160);
        let mut pane = Versions::default();
        pane.load(&ctx);
        assert_eq!(plain(&pane.cells(&ctx, 0))[4], "no scripts to tell");
        let said = plain(&pane.inspector(&ctx, 0, 0, 160)).join(" ");
        assert!(said.contains("add revisions = \"…/alembic/versions\" to service engarde in the policy"), "{said}");
        assert!(plain(&pane.top(&ctx, 160)).join(" ").contains("No revision scripts for engarde and langflow"));
    }

    #[test]
    fn an_empty_table_is_not_an_unknown_one_and_no_table_teaches() {
        let mut sample = collision();
        sample.tables[0].rows = VersionRows::Known(Vec::new());
        let instances = [sample.instance()];
        let mut pane = Versions::default();
        pane.load(&ctx(&instances, 160));
        assert_eq!(plain(&pane.cells(&ctx(&instances, 160), 0))[3], "empty");
        let instances = [Sample::new().instance()];
        assert!(pane.load(&ctx(&instances, 160)).is_empty());
        assert!(plain(&pane.empty(&ctx(&instances, 160)))[0].starts_with("There is no Alembic version table"));
    }

    #[test]
    fn hostile_names_and_both_widths_hold() {
        let mut sample = collision();
        for (i, name) in HOSTILE.iter().enumerate() {
            let owner = sample.role(name);
            let schema = sample.schema(name, owner, Acl::NULL);
            let rows = match i % 3 {
                0 => VersionRows::Known(vec![(*name).into(), "e1".into()]),
                1 => VersionRows::Refused((*name).into()),
                _ => VersionRows::Locked(None),
            };
            table(&mut sample, schema, name, owner, rows);
            sample.service(name, name);
        }
        let instances = [sample.instance()];
        holds_the_rules(&mut Versions::default(), &instances);
        holds_the_rules(&mut Versions::default(), &[collision().instance(), collision().instance()]);
    }
}
