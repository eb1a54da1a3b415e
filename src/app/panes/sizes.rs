//! Sizes: what takes the space, by schema, and below it by relation. Estimates carry a `~`; what is on screen is measured
//! exactly as soon as it is asked for.
//!
//! ```text
//!   engarde  1.2 GB; the schemas below hold 1.1 GB of it
//!
//!   schema      share               total   tables  indexes    TOAST    rows   growth
//!   langflow    ▓▓▓▓▓▓▓░░░░░ 61 %  730 MB   400 MB   300 MB    30 MB  1.2 M   +2.1 MB
//! ```

use std::collections::HashMap;

use crate::{
    app::{
        instance::Instance,
        panes::{Ctx, Enter, Entry, Pane, PaneSpec, RowId, SortKey, Want, relation_sizes::Level},
        prose::{self, Prose},
        view::{Column, Line, Span, Tone},
        wording,
    },
    domain::{
        Oid,
        snapshot::{Group, Kind, Schema, SchemaSize},
    },
    policy::judgement::Judgement,
    text,
};

pub static SPEC: PaneSpec = PaneSpec {
    id: "sizes",
    title: "Sizes",
    doc: "What takes the space: by schema and by table, with indexes, TOAST, rows and growth.",
};

/// Cells of a share's bar.
const BAR: u64 = 10;

/// See the module.
#[derive(Default)]
pub struct Sizes {
    level: Option<Level>,
    rows: Vec<Row>,
    /// Bytes of all schemas by instance, and whether all of them are exact.
    totals: HashMap<usize, (u64, bool)>,
    /// The first exact size of a schema, by instance and number.
    first: HashMap<(usize, Oid), u64>,
}

/// One schema of one instance, by position, with what is known of its size.
struct Row {
    instance: usize,
    schema: usize,
    size: Option<SchemaSize>,
    /// Bytes since the first exact measurement; `None` before there is one.
    growth: Option<i64>,
    /// Of all schemas of its instance, percent.
    share: u64,
}

/// The size of each schema, exact, estimated, or from the pages that the catalog counts; `None` where nothing tells.
fn size_of(j: &Judgement, at: usize, schema: &Schema) -> Option<SchemaSize> {
    if let Some(size) = j.snapshot.sizes.schemas.get(&schema.oid) {
        return Some(*size);
    }
    let (mut pages, mut tables) = (0, 0);
    let stores = |g: &&Group| matches!(g.kind, Kind::Table | Kind::MaterializedView | Kind::Sequence);
    for group in j.matrix.groups(&j.snapshot.catalog, at).filter(stores) {
        pages += group.pages;
        tables += group.count;
    }
    // tables that no VACUUM or ANALYZE has counted have no pages: that is not a size of zero
    (pages > 0 || tables == 0).then(|| SchemaSize {
        table_bytes: pages * 8192,
        tables,
        exact: tables == 0,
        ..SchemaSize::default()
    })
}

/// Growth between two exact measurements; an estimate moves when statistics do, not when data grows. The first one is
/// that of the console's start, where there was one, else the first that was seen here.
fn growth(of: &Instance, schema: Oid, now: Option<SchemaSize>, seen: impl FnOnce(u64) -> u64) -> Option<i64> {
    let now = now.filter(|n| n.exact)?.total_bytes();
    let at_start = of.first_sizes.as_ref().and_then(|f| f.schemas.get(&schema)).filter(|s| s.exact);
    let seen = seen(now);
    let first = at_start.map_or(seen, SchemaSize::total_bytes);
    Some(now as i64 - first as i64)
}

/// `▓▓▓▓░░░░ 61 %`
#[must_use]
pub fn bar(percent: u64) -> Line {
    let full = (percent.min(100) * BAR).div_ceil(100) as usize;
    let rest = BAR as usize - full;
    Line(vec![
        Span::new(&"▓".repeat(full), Tone::Bar),
        Span::new(&"░".repeat(rest), Tone::BarRest),
        Span::new(&format!(" {percent:>2} %"), Tone::Text),
    ])
}

/// Bytes with `~` when they are an estimate; zero is dim.
#[must_use]
pub fn bytes(n: u64, exact: bool) -> Line {
    let tone = if n == 0 { Tone::Dim } else { Tone::Text };
    Line::new(&format!("{}{}", if exact { "" } else { "~" }, text::size(n)), tone)
}

/// `+2.1 MB`, `−8 kB`, `·` for no change, `?` while there is nothing to compare.
#[must_use]
pub fn change(growth: Option<i64>) -> Line {
    match growth {
        None => wording::unknown(),
        Some(0) => Line(vec![Span::known("·", Tone::Dim)]),
        Some(n) => {
            let (sign, tone) = if n > 0 { ("+", Tone::Text) } else { ("−", Tone::Good) };
            Line::new(&format!("{sign}{}", text::size(n.unsigned_abs())), tone)
        }
    }
}

impl Sizes {
    fn at<'a>(&'a self, ctx: &Ctx<'a>, index: usize) -> Option<(&'a Row, &'a Judgement, &'a Schema)> {
        let row = self.rows.get(index)?;
        let j = ctx.instances.get(row.instance)?.judgement.as_deref()?;
        Some((row, j, j.snapshot.catalog.schemas.get(row.schema)?))
    }

    fn entry(&self, ctx: &Ctx<'_>, index: usize) -> Option<Entry> {
        let (row, _, schema) = self.at(ctx, index)?;
        let number = |pick: fn(&SchemaSize) -> u64| SortKey::Number(row.size.map_or(-1, |s| pick(&s) as i64));
        let mut keys = vec![
            SortKey::Text(schema.name.clone()),
            SortKey::Number(row.share as i64),
            number(SchemaSize::total_bytes),
            number(|s| s.table_bytes),
            number(|s| s.index_bytes),
            number(|s| s.toast_bytes),
            number(|s| s.rows),
            SortKey::Number(row.growth.unwrap_or(i64::MIN)),
        ];
        if ctx.several() {
            keys.insert(0, SortKey::Number(row.instance as i64));
        }
        Some(Entry { id: RowId(row.instance, schema.name.clone()), text: schema.name.clone(), keys })
    }
}

impl Pane for Sizes {
    fn spec(&self) -> &'static PaneSpec {
        &SPEC
    }

    fn load(&mut self, ctx: &Ctx<'_>) -> Vec<Entry> {
        if let Some(level) = &mut self.level {
            return level.load(ctx);
        }
        self.rows.clear();
        self.totals.clear();
        for (instance, of) in ctx.shown() {
            let Some(j) = of.judgement.as_deref() else { continue };
            let from = self.rows.len();
            for (schema, s) in j.snapshot.catalog.schemas.iter().enumerate().filter(|(_, s)| !s.is_system()) {
                let size = size_of(j, schema, s);
                let seen = |now| *self.first.entry((instance, s.oid)).or_insert(now);
                let growth = growth(of, s.oid, size, seen);
                self.rows.push(Row { instance, schema, size, growth, share: 0 });
            }
            let new = self.rows.get_mut(from..).unwrap_or_default();
            let all: u64 = new.iter().filter_map(|r| r.size).map(|s| s.total_bytes()).sum();
            let exact = new.iter().all(|r| r.size.is_some_and(|s| s.exact));
            self.totals.insert(instance, (all, exact));
            for row in new {
                row.share = row.size.map_or(0, |s| (s.total_bytes() * 100).checked_div(all).unwrap_or(0));
            }
        }
        // largest first; what nothing is known of comes last
        self.rows.sort_by_key(|row| std::cmp::Reverse(row.size.map(|s| s.total_bytes())));
        (0..self.rows.len()).filter_map(|i| self.entry(ctx, i)).collect()
    }

    fn columns(&self, ctx: &Ctx<'_>) -> Vec<Column> {
        if self.level.is_some() {
            return Level::columns();
        }
        let mut columns = vec![
            Column { frozen: true, ..Column::left("schema", 12, 32, 0) },
            Column::left("share", 16, 16, 5),
            Column::right("total", 9, 10, 0),
            Column::right("tables", 9, 10, 0),
            Column::right("indexes", 9, 10, 0),
            Column::right("TOAST", 9, 10, 4),
            Column::right("rows", 7, 9, 3),
            Column::right("growth", 9, 11, 2),
        ];
        if ctx.several() {
            columns.insert(0, Column { frozen: true, ..Column::left("instance", 8, 16, 1) });
        }
        columns
    }

    fn cells(&self, ctx: &Ctx<'_>, index: usize) -> Vec<Line> {
        if let Some(level) = &self.level {
            return level.cells(ctx, index);
        }
        let Some((row, j, schema)) = self.at(ctx, index) else { return Vec::new() };
        let part = |pick: fn(&SchemaSize) -> u64| row.size.map_or_else(wording::unknown, |s| bytes(pick(&s), s.exact));
        let nothing = row.size.is_some_and(|s| s.exact && s.total_bytes() == 0);
        let measured = nothing || j.snapshot.sizes.schemas.contains_key(&schema.oid);
        // pages of the catalog know of heaps only
        let beyond = |pick: fn(&SchemaSize) -> u64| if measured { part(pick) } else { wording::unknown() };
        let rows = row.size.filter(|_| measured).map_or_else(wording::unknown, |s| {
            if nothing { Line::new("0", Tone::Dim) } else { wording::plain(&format!("~{}", wording::quantity(s.rows))) }
        });
        let mut cells = vec![
            Line::new(&schema.name, Tone::Strong),
            if row.size.is_some() { bar(row.share) } else { Line::empty() },
            part(SchemaSize::total_bytes),
            part(|s| s.table_bytes),
            beyond(|s| s.index_bytes),
            beyond(|s| s.toast_bytes),
            rows,
            change(row.growth),
        ];
        if ctx.several() {
            cells.insert(0, wording::plain(ctx.instances.get(row.instance).map_or("", |i| i.name.as_str())));
        }
        cells
    }

    fn inspector(&self, ctx: &Ctx<'_>, index: usize, _column: usize, width: u16) -> Vec<Line> {
        if let Some(level) = &self.level {
            return level.inspector(ctx, index, width);
        }
        let Some((row, _, schema)) = self.at(ctx, index) else { return Vec::new() };
        let mut lines = Vec::new();
        let Some(size) = row.size else {
            lines.push(Prose::new().say("How large ").name(&schema.name).say(" is has not been measured yet.").line());
            lines.push(
                Prose::new()
                    .dim("No VACUUM or ANALYZE has counted its tables; an exact measurement was asked for.")
                    .line(),
            );
            return prose::block(&lines, width, 8);
        };
        if size.exact && size.total_bytes() == 0 {
            lines.push(Prose::new().say("Nothing in ").name(&schema.name).say(" takes space.").line());
            return prose::block(&lines, width, 8);
        }
        let said = format!(
            " holds {}{} in {}, {} % of all schemas here.",
            if size.exact { "" } else { "about " },
            text::size(size.total_bytes()),
            text::count(u64::from(size.tables), "table", "tables"),
            row.share
        );
        lines.push(Prose::new().name(&schema.name).text(&said).line());
        if size.index_bytes > size.table_bytes && size.index_bytes > 1 << 20 {
            lines.push(Prose::new().say("Its indexes are larger than its tables.").line());
        }
        lines.push(match row.growth {
            None => Prose::new().say("How much it grew is known once it has been measured exactly.").line(),
            Some(0) => Prose::new().say("It has not grown since it was first measured.").line(),
            Some(n) if n > 0 => {
                let said = format!("It has grown by {} since it was first measured.", text::size(n.unsigned_abs()));
                Line::new(&said, Tone::Text)
            }
            Some(n) => {
                let said = format!("It has shrunk by {} since it was first measured.", text::size(n.unsigned_abs()));
                Line::new(&said, Tone::Text)
            }
        });
        lines.push(if size.exact {
            Prose::new().dim("Measured by the server; rows are its own estimate.").line()
        } else {
            Prose::new().dim("~ An estimate, from what VACUUM and ANALYZE last counted; it is being measured.").line()
        });
        prose::block(&lines, width, 8)
    }

    fn enter(&mut self, ctx: &Ctx<'_>, index: usize, _column: usize) -> Enter {
        if let Some(level) = &self.level {
            return level.enter(ctx, index);
        }
        let Some((row, _, schema)) = self.at(ctx, index) else { return Enter::Nothing("nothing is selected") };
        self.level = Some(Level::new(row.instance, schema.oid, &schema.name));
        Enter::Down
    }

    fn enter_word(&self) -> &'static str {
        if self.level.is_some() { "schema" } else { "tables" }
    }

    fn back(&mut self) -> bool {
        self.level.take().is_some()
    }

    fn crumbs(&self) -> Option<String> {
        self.level.as_ref().map(|level| level.name.clone())
    }

    fn copy(&self, ctx: &Ctx<'_>, index: usize, _column: usize) -> String {
        if let Some(level) = &self.level {
            return level.copy(ctx, index);
        }
        self.at(ctx, index).map(|(_, _, schema)| schema.name.clone()).unwrap_or_default()
    }

    fn top(&self, ctx: &Ctx<'_>, width: u16) -> Vec<Line> {
        if let Some(level) = &self.level {
            return level.top(ctx, width);
        }
        let mut lines = Vec::new();
        for (i, of) in ctx.shown().take(6) {
            let Some(j) = of.judgement.as_deref() else { continue };
            let mut prose = Prose::new();
            if ctx.several() {
                prose = prose.name(&of.name).say("  ");
            }
            if !(ctx.several() && of.name == j.snapshot.server.database) {
                prose = prose.name(&j.snapshot.server.database).say("  ");
            }
            prose = match j.snapshot.sizes.database_bytes {
                Some(bytes) => prose.and(&text::size(bytes), Tone::Strong),
                None => prose.toned("?", Tone::Unknown),
            };
            if let Some((sum, exact)) = self.totals.get(&i) {
                let said =
                    format!("; the schemas below hold {}{} of it", if *exact { "" } else { "~" }, text::size(*sum));
                prose = prose.and(&said, Tone::Dim);
            }
            lines.push(prose::cut(prose.line(), usize::from(width)));
        }
        lines
    }

    fn empty(&self, ctx: &Ctx<'_>) -> Vec<Line> {
        if let Some(level) = &self.level {
            return level.empty(ctx);
        }
        if ctx.shown().all(|(_, i)| i.judgement.is_none()) {
            return vec![Line(vec![Span::known("Reading the schemas …", Tone::Dim)])];
        }
        vec![Line(vec![Span::known("There are no schemas to measure in this database.", Tone::Text)])]
    }

    fn wants(&self, ctx: &Ctx<'_>, visible: &[usize], _selected: Option<usize>) -> Vec<Want> {
        if let Some(level) = &self.level {
            return level.wants();
        }
        let mut wants: Vec<Want> = Vec::new();
        for (row, _, schema) in visible.iter().filter_map(|i| self.at(ctx, *i)) {
            let of = wants.iter_mut().find_map(|want| match want {
                Want::Sizes { instance, schemas } if *instance == row.instance => Some(schemas),
                Want::Sizes { .. } | Want::Objects { .. } => None,
            });
            match of {
                Some(schemas) => schemas.push(schema.oid),
                None => wants.push(Want::Sizes { instance: row.instance, schemas: vec![schema.oid] }),
            }
        }
        for want in &mut wants {
            if let Want::Sizes { schemas, .. } = want {
                schemas.sort_unstable();
            }
        }
        wants
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::panes::sample::{HOSTILE, Sample, ctx, holds_the_rules},
        domain::{
            Acl,
            snapshot::{RelationSize, Sizes as Read},
        },
    };

    fn fleet() -> (Sample, Oid, Oid) {
        let mut sample = Sample::new();
        let owner = sample.role("owner");
        let (big, small) = (sample.schema("big", owner, Acl::NULL), sample.schema("a_small", owner, Acl::NULL));
        let flow = sample.table(big, "flow", owner, Acl::NULL);
        sample.table(small, "t", owner, Acl::NULL);
        let size = |table_bytes, exact| SchemaSize {
            table_bytes,
            index_bytes: 1024,
            toast_bytes: 0,
            rows: 1_200_000,
            tables: 1,
            exact,
        };
        sample.sizes.schemas.insert(big, size(3 << 20, true));
        sample.sizes.schemas.insert(small, size(1 << 20, false));
        sample.sizes.database_bytes = Some(1 << 30);
        let mut first = Read::default();
        first.schemas.insert(big, size(2 << 20, true));
        first.schemas.insert(small, size(1 << 10, true));
        sample.first_sizes = Some(first);
        (sample, big, flow)
    }

    fn plain(lines: &[Line]) -> Vec<String> {
        lines.iter().map(Line::plain).collect()
    }

    #[test]
    fn the_largest_comes_first_and_estimates_are_marked() {
        let (sample, ..) = fleet();
        let instances = [sample.instance()];
        let ctx = ctx(&instances, 120);
        let mut pane = Sizes::default();
        pane.load(&ctx);
        let big = plain(&pane.cells(&ctx, 0));
        assert_eq!(big[0], "big");
        assert!(big[1].ends_with(" 74 %") && big[1].starts_with("▓▓▓▓▓▓▓▓░░"), "{}", big[1]);
        assert_eq!(big[2..], ["3.0 MB", "3 MB", "1 kB", "0 B", "~1.2 M", "+1 MB"]);
        let small = plain(&pane.cells(&ctx, 1));
        assert_eq!(small[2], "~1.0 MB");
        assert_eq!(small[7], "?", "an estimate is compared with nothing");
        assert_eq!(plain(&pane.top(&ctx, 120)), ["engarde  1 GB; the schemas below hold ~4.0 MB of it"]);
    }

    #[test]
    fn growth_is_counted_from_the_first_exact_size() {
        let (mut sample, big, _) = fleet();
        sample.first_sizes = None;
        let mut pane = Sizes::default();
        let instances = [sample.instance()];
        pane.load(&ctx(&instances, 120));
        assert_eq!(plain(&pane.cells(&ctx(&instances, 120), 0))[7], "·");
        let (mut sample, ..) = fleet();
        sample.first_sizes = None;
        sample.sizes.schemas.get_mut(&big).unwrap().table_bytes += 5 << 20;
        let instances = [sample.instance()];
        pane.load(&ctx(&instances, 120));
        assert_eq!(plain(&pane.cells(&ctx(&instances, 120), 0))[7], "+5 MB");
    }

    #[test]
    fn what_is_on_screen_is_asked_for_and_nothing_else() {
        let (sample, big, _) = fleet();
        let instances = [sample.instance()];
        let ctx = ctx(&instances, 120);
        let mut pane = Sizes::default();
        pane.load(&ctx);
        assert_eq!(pane.wants(&ctx, &[0], None), [Want::Sizes { instance: 0, schemas: vec![big] }]);
        assert!(pane.wants(&ctx, &[], None).is_empty());
        pane.enter(&ctx, 0, 0);
        assert_eq!(pane.wants(&ctx, &[], None).len(), 2);
    }

    #[test]
    fn relations_are_unknown_until_measured() {
        let (mut sample, _, flow) = fleet();
        let instances = [sample.instance()];
        let mut pane = Sizes::default();
        pane.load(&ctx(&instances, 120));
        pane.enter(&ctx(&instances, 120), 0, 0);
        pane.load(&ctx(&instances, 120));
        assert_eq!(plain(&pane.cells(&ctx(&instances, 120), 0))[3..], ["?", "?", "?", "?", "?", "?"]);
        sample = fleet().0;
        let size = RelationSize { table_bytes: 2 << 20, index_bytes: 1 << 20, toast_bytes: 0, rows: 1024 };
        sample.sizes.relations.insert(flow, size);
        let instances = [sample.instance()];
        pane.load(&ctx(&instances, 120));
        let cells = plain(&pane.cells(&ctx(&instances, 120), 0));
        assert_eq!(cells[3..], ["3 MB", "2 MB", "1 MB", "0 B", "~1024", "·"]);
        let said = plain(&pane.inspector(&ctx(&instances, 120), 0, 0, 120)).join(" ");
        assert!(said.contains("About 1024 rows of 2 kB each."), "{said}");
    }

    #[test]
    fn tables_nobody_counted_are_not_empty() {
        let mut sample = Sample::new();
        let owner = sample.role("owner");
        let schema = sample.schema("fresh", owner, Acl::NULL);
        sample.table(schema, "t", owner, Acl::NULL);
        sample.catalog.relations[0].pages = 0;
        let instances = [sample.instance()];
        let ctx = ctx(&instances, 120);
        let mut pane = Sizes::default();
        pane.load(&ctx);
        assert_eq!(plain(&pane.cells(&ctx, 0))[2], "?");
        assert!(pane.inspector(&ctx, 0, 0, 120)[0].plain().contains("not been measured yet"));
        assert!(pane.top(&ctx, 120)[0].plain().starts_with("engarde  ?"));
    }

    #[test]
    fn hostile_names_and_both_widths_hold() {
        let (mut sample, ..) = fleet();
        for name in HOSTILE {
            let owner = sample.role(name);
            let schema = sample.schema(name, owner, Acl::NULL);
            sample.table(schema, name, owner, Acl::NULL);
        }
        let instances = [sample.instance()];
        let mut pane = Sizes::default();
        holds_the_rules(&mut pane, &instances);
        holds_the_rules(&mut pane, &[fleet().0.instance(), fleet().0.instance()]);
        pane.load(&ctx(&instances, 80));
        for at in 0..pane.rows.len() {
            pane.enter(&ctx(&instances, 80), at, 0);
            holds_the_rules(&mut pane, &instances);
            pane.back();
            pane.load(&ctx(&instances, 80));
        }
    }
}
