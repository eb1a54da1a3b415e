//! The level below Sizes: the relations of one schema by size. Names and exact sizes are read on demand; until a size
//! arrives it is unknown, not zero.

use std::collections::HashMap;

use crate::{
    app::{
        instance::Instance,
        panes::{
            Ctx, Enter, Entry, RowId, SortKey, Want,
            sizes::{bar, bytes, change},
        },
        prose::{self, Prose},
        view::{Column, Line, Span, Tone},
        wording,
    },
    domain::{
        Oid, qualified,
        snapshot::{Kind, Object, RelationSize},
    },
    text,
};

/// See the module.
pub struct Level {
    instance: usize,
    schema: Oid,
    /// Raw.
    pub name: String,
    rows: Vec<Row>,
    /// The size that was seen first, by number.
    first: HashMap<Oid, u64>,
}

/// One relation that has a size of its own.
struct Row {
    oid: Oid,
    name: String,
    kind: Kind,
    owner: String,
    size: Option<RelationSize>,
    growth: Option<i64>,
    share: u64,
}

fn total(size: &RelationSize) -> u64 {
    size.table_bytes + size.index_bytes + size.toast_bytes
}

/// Kinds that hold data.
fn holds_data(object: &Object) -> bool {
    match object.kind {
        Kind::Table | Kind::Partitioned | Kind::MaterializedView => true,
        Kind::View
        | Kind::Foreign
        | Kind::Sequence
        | Kind::Function
        | Kind::Procedure
        | Kind::Aggregate
        | Kind::Window
        | Kind::Type => false,
    }
}

impl Level {
    #[must_use]
    pub fn new(instance: usize, schema: Oid, name: &str) -> Level {
        Level { instance, schema, name: name.to_owned(), rows: Vec::new(), first: HashMap::new() }
    }

    #[must_use]
    pub fn columns() -> Vec<Column> {
        vec![
            Column { frozen: true, ..Column::left("relation", 16, 44, 0) },
            Column::left("kind", 8, 18, 5),
            Column::left("share", 16, 16, 3),
            Column::right("total", 9, 10, 0),
            Column::right("table", 9, 10, 0),
            Column::right("indexes", 9, 10, 0),
            Column::right("TOAST", 9, 10, 4),
            Column::right("rows", 7, 9, 2),
            Column::right("growth", 9, 11, 1),
        ]
    }

    fn of<'a>(&self, ctx: &Ctx<'a>) -> Option<&'a Instance> {
        ctx.instances.get(self.instance)
    }

    /// Largest first; what is not measured yet comes last, by name.
    pub fn load(&mut self, ctx: &Ctx<'_>) -> Vec<Entry> {
        self.rows.clear();
        let Some(of) = self.of(ctx) else { return Vec::new() };
        let Some(j) = of.judgement.as_deref() else { return Vec::new() };
        let Some(objects) = j.snapshot.objects.0.get(&self.schema) else { return Vec::new() };
        let first = of.first_sizes.as_deref();
        for object in objects.relations.iter().filter(|o| holds_data(o)) {
            let size = j.snapshot.sizes.relations.get(&object.oid).copied();
            let before = first.and_then(|f| f.relations.get(&object.oid));
            let growth = size.as_ref().map(total).map(|now| {
                let seen = *self.first.entry(object.oid).or_insert(now);
                now as i64 - before.map_or(seen, total) as i64
            });
            let owner = wording::role_name(j, object.owner).into_owned();
            let (oid, name, kind) = (object.oid, object.name.clone(), object.kind);
            self.rows.push(Row { oid, name, kind, owner, size, growth, share: 0 });
        }
        let all: u64 = self.rows.iter().filter_map(|r| r.size.as_ref()).map(total).sum();
        for row in &mut self.rows {
            row.share = row.size.map_or(0, |s| (total(&s) * 100).checked_div(all).unwrap_or(0));
        }
        self.rows.sort_by_key(|r| std::cmp::Reverse(r.size.as_ref().map(total)));
        self.rows.iter().map(|row| self.entry(row)).collect()
    }

    fn entry(&self, row: &Row) -> Entry {
        let number = |pick: fn(&RelationSize) -> u64| SortKey::Number(row.size.map_or(-1, |s| pick(&s) as i64));
        Entry {
            id: RowId(self.instance, row.oid.to_string()),
            text: format!("{} {} {}", row.name, row.kind.word(), row.owner),
            keys: vec![
                SortKey::Text(row.name.clone()),
                SortKey::Text(row.kind.word().to_owned()),
                SortKey::Number(row.share as i64),
                number(total),
                number(|s| s.table_bytes),
                number(|s| s.index_bytes),
                number(|s| s.toast_bytes),
                number(|s| s.rows),
                SortKey::Number(row.growth.unwrap_or(i64::MIN)),
            ],
        }
    }

    #[must_use]
    pub fn cells(&self, _ctx: &Ctx<'_>, index: usize) -> Vec<Line> {
        let Some(row) = self.rows.get(index) else { return Vec::new() };
        let part = |pick: fn(&RelationSize) -> u64| row.size.map_or_else(wording::unknown, |s| bytes(pick(&s), true));
        vec![
            Line::new(&row.name, Tone::Strong),
            Line(vec![Span::known(row.kind.word(), Tone::Dim)]),
            if row.size.is_some() { bar(row.share) } else { Line::empty() },
            part(total),
            part(|s| s.table_bytes),
            part(|s| s.index_bytes),
            part(|s| s.toast_bytes),
            row.size.map_or_else(wording::unknown, |s| wording::plain(&format!("~{}", wording::quantity(s.rows)))),
            change(row.growth),
        ]
    }

    #[must_use]
    pub fn inspector(&self, _ctx: &Ctx<'_>, index: usize, width: u16) -> Vec<Line> {
        let Some(row) = self.rows.get(index) else { return Vec::new() };
        let mut prose = Prose::new().say(row.kind.word()).say(" ").name(&self.name).say(".").name(&row.name);
        prose = prose.say(", owned by ").name(&row.owner);
        let mut lines = Vec::new();
        match &row.size {
            None => lines.push(prose.say("; its size is being measured.").line()),
            Some(size) => {
                let said = format!(
                    ": {} in all, {} % of this schema; {} in the table itself, {} in indexes, {} in TOAST.",
                    text::size(total(size)),
                    row.share,
                    text::size(size.table_bytes),
                    text::size(size.index_bytes),
                    text::size(size.toast_bytes)
                );
                lines.push(prose.text(&said).line());
                let each = size.table_bytes.checked_add(size.toast_bytes).and_then(|n| n.checked_div(size.rows));
                if let Some(each) = each {
                    let said = format!("About {} rows of {} each.", wording::quantity(size.rows), text::size(each));
                    lines.push(Line::new(&said, Tone::Text));
                }
                if row.kind == Kind::Partitioned {
                    lines.push(Prose::new().dim("The data of a partitioned table is in its partitions.").line());
                }
            }
        }
        prose::block(&lines, width, 8)
    }

    pub fn enter(&self, _ctx: &Ctx<'_>, index: usize) -> Enter {
        if self.rows.get(index).is_none() {
            return Enter::Nothing("nothing is selected");
        }
        Enter::Go { pane: "schemas", row: Some(RowId(self.instance, self.name.clone())) }
    }

    #[must_use]
    pub fn copy(&self, _ctx: &Ctx<'_>, index: usize) -> String {
        self.rows.get(index).map(|row| qualified(&self.name, &row.name)).unwrap_or_default()
    }

    #[must_use]
    pub fn top(&self, ctx: &Ctx<'_>, width: u16) -> Vec<Line> {
        let size = self
            .of(ctx)
            .and_then(|of| of.judgement.as_deref())
            .and_then(|j| j.snapshot.sizes.schemas.get(&self.schema));
        let mut prose = Prose::new().say("schema ").name(&self.name).say("  ");
        prose = match size {
            Some(size) => {
                let said = format!("{}{}", if size.exact { "" } else { "~" }, text::size(size.total_bytes()));
                prose.and(&said, Tone::Strong)
            }
            None => prose.toned("?", Tone::Unknown),
        };
        vec![prose::cut(prose.line(), usize::from(width))]
    }

    #[must_use]
    pub fn empty(&self, ctx: &Ctx<'_>) -> Vec<Line> {
        let judgement = self.of(ctx).and_then(|of| of.judgement.as_deref());
        let loaded = judgement.is_some_and(|j| j.snapshot.objects.0.contains_key(&self.schema));
        let prose = if loaded {
            Prose::new().say("No table of ").name(&self.name).say(" holds data.")
        } else {
            Prose::new().dim("Reading the tables of ").name(&self.name).dim(" …")
        };
        prose::block(&[prose.line()], ctx.width, 4)
    }

    #[must_use]
    pub fn wants(&self) -> Vec<Want> {
        let (instance, schemas) = (self.instance, vec![self.schema]);
        vec![Want::Objects { instance, schemas: schemas.clone(), beneath: false }, Want::Sizes { instance, schemas }]
    }
}
