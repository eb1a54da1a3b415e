//! Schemas: whose they are, what stands in them, who reaches them. Enter goes down to the objects of a schema
//! (`objects.rs` draws that level).
//!
//! ```text
//!   schema        owner         service   tables views seq. routines    size roles version table            findings
//!   langflow      postgres      langflow      62     0    6        4 ~34 MB     3 d37bc4322900 behind 111    ‼ 2
//! ```

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Weak},
};

use crate::{
    app::{
        panes::{
            Ctx, Enter, Entry, Pane, PaneSpec, RowId, SortKey, Want,
            marks::Marks,
            objects::{self, Level},
            reach::Reached,
        },
        prose::{self, Prose},
        view::{Column, Line, Span, Tone},
        wording,
    },
    domain::{
        ObjectKind, Oid, Privilege, Privileges,
        closure::{get, ones, or_into},
        snapshot::{Catalog, DefaultKind, Kind, Schema, Sizes},
    },
    policy::{
        judgement::Judgement,
        versions::{Class, Place, VersionInfo},
    },
    text,
};

pub static SPEC: PaneSpec = PaneSpec {
    id: "schemas",
    title: "Schemas",
    doc: "Every schema: whose it is, what stands in it, who has rights there, and what is wrong with it.",
};

/// See the module.
#[derive(Default)]
pub struct Schemas {
    level: Option<Level>,
    rows: Vec<Row>,
    /// By position of the instance.
    known: HashMap<usize, Known>,
}

/// One schema of one instance, by position.
struct Row {
    instance: usize,
    schema: usize,
}

/// What is computed once per judgement.
#[derive(Default)]
struct Known {
    reach: Reached,
    marks: Marks,
    /// The catalog that `counts` are of.
    catalog: Weak<Catalog>,
    /// By position of the schema.
    counts: Vec<Counts>,
    services: Vec<Option<String>>,
    /// Positions in the version tables' list.
    versions: Vec<Vec<usize>>,
}

/// How many objects stand in a schema, members of extensions apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    tables: u32,
    views: u32,
    sequences: u32,
    routines: u32,
    extension: u32,
    /// Relations that take space.
    stored: u32,
    /// Sum of `relpages` in bytes, for a size before sizes were read.
    page_bytes: u64,
}

impl Known {
    fn refresh(&mut self, j: &Judgement) {
        let catalog = &j.snapshot.catalog;
        self.reach.refresh(j);
        self.marks = Marks::new(j);
        let now = Arc::downgrade(catalog);
        if !self.catalog.ptr_eq(&now) {
            self.counts = (0..catalog.schemas.len()).map(|at| counts(j, at)).collect();
            self.catalog = now;
        }
        self.services = vec![None; catalog.schemas.len()];
        for service in j.policy.iter().flat_map(|p| &p.services) {
            for name in &service.schemas {
                if let Some(of) = j.matrix.index.schema_named(name).and_then(|at| self.services.get_mut(at)) {
                    *of = Some(service.name.clone());
                }
            }
        }
        self.versions = vec![Vec::new(); catalog.schemas.len()];
        for (i, info) in j.versions.0.iter().enumerate() {
            let table = j.snapshot.versions.0.get(info.table);
            let at = table.and_then(|t| j.matrix.index.schema(t.schema));
            if let Some(list) = at.and_then(|at| self.versions.get_mut(at)) {
                list.push(i);
            }
        }
    }

    fn counts(&self, schema: usize) -> Counts {
        self.counts.get(schema).copied().unwrap_or_default()
    }

    fn service(&self, schema: usize) -> Option<&str> {
        self.services.get(schema)?.as_deref()
    }

    /// The version table to show: a service's before a copy.
    fn version<'a>(&self, j: &'a Judgement, schema: usize) -> Option<&'a VersionInfo> {
        let list = self.versions.get(schema)?;
        let infos = list.iter().filter_map(|i| j.versions.0.get(*i));
        infos.min_by_key(|i| matches!(i.class, Class::Copy | Class::Foreign))
    }
}

fn counts(j: &Judgement, schema: usize) -> Counts {
    let mut counts = Counts::default();
    for group in j.matrix.groups(&j.snapshot.catalog, schema) {
        counts.page_bytes += group.pages * 8192;
        if matches!(group.kind, Kind::Table | Kind::MaterializedView | Kind::Sequence) {
            counts.stored += group.count;
        }
        let slot = match group.kind {
            _ if group.extension => &mut counts.extension,
            Kind::Table | Kind::Partitioned | Kind::Foreign => &mut counts.tables,
            Kind::View | Kind::MaterializedView => &mut counts.views,
            Kind::Sequence => &mut counts.sequences,
            Kind::Function | Kind::Procedure | Kind::Aggregate | Kind::Window => &mut counts.routines,
            Kind::Type => continue,
        };
        *slot += group.count;
    }
    counts
}

/// Bytes of a schema and whether they are exact; `None` where nothing tells (no VACUUM or ANALYZE has counted yet).
fn size(sizes: &Sizes, schema: Oid, counts: Counts) -> Option<(u64, bool)> {
    match sizes.schemas.get(&schema) {
        Some(size) => Some((size.total_bytes(), size.exact)),
        None if counts.stored == 0 => Some((0, true)),
        None => (counts.page_bytes > 0).then_some((counts.page_bytes, false)),
    }
}

/// The first row of a version table and where it stands, short.
fn version_cell(j: &Judgement, info: &VersionInfo) -> Line {
    match info.class {
        Class::Shared => return Line(vec![Span::known("SHARED", Tone::Critical)]),
        Class::EmptyInUse => return Line(vec![Span::known("empty, though in use", Tone::Error)]),
        Class::EmptyBase => return Line(vec![Span::known("empty", Tone::Dim)]),
        Class::Own | Class::Misplaced | Class::Copy | Class::Ambiguous | Class::Unknown | Class::Foreign => {}
    }
    let Some(first) = info.rows.first() else {
        let read = j.snapshot.versions.0.get(info.table).and_then(|t| t.rows.known());
        return if read.is_some() { Line(vec![Span::known("empty", Tone::Dim)]) } else { wording::unknown() };
    };
    let tone = match info.class {
        Class::Misplaced => Tone::Error,
        Class::Copy | Class::Foreign => Tone::Dim,
        Class::Own | Class::Shared | Class::EmptyInUse | Class::EmptyBase | Class::Ambiguous | Class::Unknown => {
            Tone::Text
        }
    };
    let mut prose = Prose::new().and(&first.revision, tone);
    prose = match &first.place {
        Place::Head => prose.toned(" head", Tone::Good),
        Place::Behind(n) => prose.and(&format!(" −{n} behind"), Tone::Warning),
        Place::Unknown => prose.toned(" unknown", Tone::Warning),
        Place::Ambiguous => prose.toned(" ambiguous", Tone::Warning),
        Place::NoScripts => prose,
    };
    if info.rows.len() > 1 {
        prose = prose.and(&format!(" +{}", info.rows.len() - 1), Tone::Dim);
    }
    prose.line()
}

impl Schemas {
    fn at<'a>(&'a self, ctx: &Ctx<'a>, index: usize) -> Option<(&'a Row, &'a Judgement, &'a Schema, &'a Known)> {
        let row = self.rows.get(index)?;
        let j = ctx.instances.get(row.instance)?.judgement.as_deref()?;
        Some((row, j, j.snapshot.catalog.schemas.get(row.schema)?, self.known.get(&row.instance)?))
    }

    fn entry(&self, ctx: &Ctx<'_>, index: usize) -> Option<Entry> {
        let (row, j, schema, known) = self.at(ctx, index)?;
        let counts = known.counts(row.schema);
        let owner = wording::role_name(j, schema.owner);
        let service = known.service(row.schema).unwrap_or_default();
        let version = known.version(j, row.schema);
        let number = |n: u32| SortKey::Number(i64::from(n));
        let mut keys = vec![
            SortKey::Text(schema.name.clone()),
            SortKey::Text(owner.to_string()),
            SortKey::Text(service.to_owned()),
            number(counts.tables),
            number(counts.views),
            number(counts.sequences),
            number(counts.routines),
            SortKey::Number(size(&j.snapshot.sizes, schema.oid, counts).map_or(-1, |(bytes, _)| bytes as i64)),
            number(known.reach.roles(row.schema)),
            SortKey::Text(version.map(|v| version_cell(j, v).plain()).unwrap_or_default()),
            known.marks.schema(row.schema).key(),
        ];
        if ctx.several() {
            keys.insert(0, SortKey::Number(row.instance as i64));
        }
        Some(Entry {
            id: RowId(row.instance, schema.name.clone()),
            text: format!("{} {owner} {service}", schema.name),
            keys,
        })
    }
}

impl Pane for Schemas {
    fn spec(&self) -> &'static PaneSpec {
        &SPEC
    }

    fn load(&mut self, ctx: &Ctx<'_>) -> Vec<Entry> {
        if let Some(level) = &mut self.level {
            return level.load(ctx);
        }
        self.rows.clear();
        self.known.retain(|i, _| *i < ctx.instances.len());
        for (instance, of) in ctx.shown() {
            let Some(j) = of.judgement.as_deref() else { continue };
            self.known.entry(instance).or_default().refresh(j);
            let schemas = j.snapshot.catalog.schemas.iter().enumerate();
            self.rows.extend(schemas.filter(|(_, s)| !s.is_system()).map(|(schema, _)| Row { instance, schema }));
        }
        (0..self.rows.len()).filter_map(|i| self.entry(ctx, i)).collect()
    }

    fn columns(&self, ctx: &Ctx<'_>) -> Vec<Column> {
        if self.level.is_some() {
            return objects::columns();
        }
        let mut columns = vec![
            Column { frozen: true, ..Column::left("schema", 12, 32, 0) },
            Column::left("owner", 10, 24, 0),
            Column::left("service", 8, 20, 3),
            Column::right("tables", 6, 7, 0),
            Column::right("views", 5, 6, 6),
            Column::right("seq.", 4, 6, 8),
            Column::right("routines", 8, 8, 7),
            Column::right("size", 8, 10, 2),
            Column::right("roles", 5, 6, 3),
            Column::left("version table", 14, 34, 4),
            Column::left("findings", 8, 9, 0),
        ];
        if ctx.several() {
            columns.insert(0, Column { frozen: true, ..Column::left("instance", 8, 16, 0) });
        }
        columns
    }

    fn cells(&self, ctx: &Ctx<'_>, index: usize) -> Vec<Line> {
        if let Some(level) = &self.level {
            return level.cells(ctx, index);
        }
        let Some((row, j, schema, known)) = self.at(ctx, index) else { return Vec::new() };
        let counts = known.counts(row.schema);
        let number = |n: u32| Line::new(&n.to_string(), if n == 0 { Tone::Dim } else { Tone::Text });
        let tone = if schema.extension { Tone::Dim } else { Tone::Strong };
        let mut cells = vec![
            Line::new(&schema.name, tone),
            Line::new(&wording::role_name(j, schema.owner), Tone::Text),
            match known.service(row.schema) {
                Some(service) => wording::plain(service),
                None => Line(vec![Span::known(if schema.extension { "an extension" } else { "–" }, Tone::Dim)]),
            },
            number(counts.tables),
            number(counts.views),
            number(counts.sequences),
            number(counts.routines),
            size(&j.snapshot.sizes, schema.oid, counts).map_or_else(wording::unknown, |(bytes, exact)| {
                wording::plain(&format!("{}{}", if exact { "" } else { "~" }, text::size(bytes)))
            }),
            number(known.reach.roles(row.schema)),
            known.version(j, row.schema).map_or_else(Line::empty, |info| version_cell(j, info)),
            known.marks.cell(known.marks.schema(row.schema)),
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
        let Some((row, j, schema, known)) = self.at(ctx, index) else { return Vec::new() };
        let mut lines = known.marks.schema(row.schema).sentences(j, 2);
        lines.push(what_it_is(j, row.schema, schema, known));
        lines.push(may_create(j, schema));
        lines.extend(reached(j, row.schema, schema));
        lines.push(public(j, row.schema, schema));
        lines.extend(defaults(j, row.schema, schema));
        prose::block(&lines, width, 8)
    }

    fn enter(&mut self, ctx: &Ctx<'_>, index: usize, _column: usize) -> Enter {
        if let Some(level) = &self.level {
            return level.enter(ctx, index);
        }
        let Some((row, _, schema, _)) = self.at(ctx, index) else {
            return Enter::Nothing("nothing is selected");
        };
        self.level = Some(Level::new(row.instance, schema.oid, &schema.name));
        Enter::Down
    }

    fn enter_word(&self) -> &'static str {
        if self.level.is_some() { "rights" } else { "objects" }
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
        self.at(ctx, index).map(|(_, _, schema, _)| schema.name.clone()).unwrap_or_default()
    }

    fn empty(&self, ctx: &Ctx<'_>) -> Vec<Line> {
        if let Some(level) = &self.level {
            return level.empty(ctx);
        }
        if ctx.shown().all(|(_, i)| i.judgement.is_none()) {
            return vec![Line(vec![Span::known("Reading the schemas …", Tone::Dim)])];
        }
        let lines = [
            Line(vec![Span::known("This database has no schemas besides the system's own.", Tone::Text)]),
            Line(vec![Span::known(
                "pgmoat create-schema makes one with its role, rights and version table.",
                Tone::Dim,
            )]),
        ];
        prose::block(&lines, ctx.width, 6)
    }

    fn wants(&self, _ctx: &Ctx<'_>, _visible: &[usize], _selected: Option<usize>) -> Vec<Want> {
        self.level.iter().map(Level::want).collect()
    }
}

/// "langflow is the schema of service langflow, owned by postgres: 62 tables, 6 sequences, about 34 MB."
fn what_it_is(j: &Judgement, at: usize, schema: &Schema, known: &Known) -> Line {
    let counts = known.counts(at);
    let mut prose = Prose::new().name(&schema.name);
    prose = match known.service(at) {
        Some(service) => prose.say(" is a schema of service ").name(service).say(", owned by "),
        None if schema.extension => prose.say(" was made by an extension and is owned by "),
        None if j.policy.is_some() => prose.say(" belongs to no service of the policy; it is owned by "),
        None => prose.say(" is owned by "),
    };
    prose = prose.name(&wording::role_name(j, schema.owner));
    let mut parts = Vec::new();
    for (n, one, many) in [
        (counts.tables, "table", "tables"),
        (counts.views, "view", "views"),
        (counts.sequences, "sequence", "sequences"),
        (counts.routines, "routine", "routines"),
    ] {
        if n > 0 {
            parts.push(text::count(u64::from(n), one, many));
        }
    }
    if counts.extension > 0 {
        parts.push(text::count(u64::from(counts.extension), "object of an extension", "objects of extensions"));
    }
    if parts.is_empty() {
        return prose.say("; it is empty.").line();
    }
    prose = prose.text(&format!(": {}", text::list(&parts, 9)));
    match size(&j.snapshot.sizes, schema.oid, counts) {
        Some((bytes, exact)) => {
            prose.text(&format!(", {}{}.", if exact { "" } else { "about " }, text::size(bytes))).line()
        }
        None => prose.say(", of unknown size.").line(),
    }
}

/// Who may create objects, through whom, superusers left out.
fn may_create(j: &Judgement, schema: &Schema) -> Line {
    let catalog = &j.snapshot.catalog;
    let in_force = schema.acl.in_force(ObjectKind::Schema, schema.owner, j.matrix.version_num);
    let mut bits = vec![0; catalog.roles.len().div_ceil(64)];
    for entry in in_force.entries().iter().filter(|e| e.privileges.contains(Privilege::Create)) {
        if entry.is_public() {
            return Prose::new().toned("Everybody may create in it: PUBLIC has CREATE.", Tone::Warning).line();
        }
        if let Some(grantee) = j.matrix.closure.position(entry.grantee) {
            or_into(&mut bits, j.matrix.closure.heirs(grantee));
        }
    }
    let names: Vec<&str> = ones(&bits)
        .filter(|r| catalog.roles.get(*r).is_some_and(|role| !role.superuser && !role.is_platform()))
        .map(|r| wording::role_at(j, r))
        .collect();
    if names.is_empty() {
        return Prose::new().say("Only superusers may create in it.").line();
    }
    Prose::new().say("May create in it: ").names(&names, 6).say(".").line()
}

/// Whose rights here are no plain ones: who gets some by SET ROLE only, and who has some on single columns only. `None` where
/// all who reach it have theirs at once.
fn reached(j: &Judgement, at: usize, schema: &Schema) -> Option<Line> {
    let catalog = &j.snapshot.catalog;
    let closure = &j.matrix.closure;
    let mut at_once = Vec::new();
    j.matrix.touched_bits(catalog, at, &mut at_once);
    let mut columns = vec![0; at_once.len()];
    let grants = j.snapshot.shapes.as_deref().map(|s| s.column_grants_in(schema.oid)).unwrap_or_default();
    for entry in grants.iter().flat_map(|g| g.acl.0.iter()).flat_map(|entries| entries.iter()) {
        if let Some(grantee) = closure.position(entry.grantee) {
            or_into(&mut columns, closure.heirs(grantee));
        }
    }
    let mut all = at_once.clone();
    or_into(&mut all, &columns);
    closure.add_settable_into(&mut all);
    let people = |role: &usize| catalog.roles.get(*role).is_some_and(|r| !r.superuser && !r.is_platform());
    let names = |of: &dyn Fn(usize) -> bool| -> Vec<&str> {
        ones(&all).filter(|r| !get(&at_once, *r) && of(*r)).filter(people).map(|r| wording::role_at(j, r)).collect()
    };
    let (single, later) = (names(&|r| get(&columns, r)), names(&|r| !get(&columns, r)));
    let mut prose = Prose::new();
    if !later.is_empty() {
        prose = prose.dim("Reached by SET ROLE only: ").names(&later, 6).say(".");
    }
    if !single.is_empty() {
        let head = if later.is_empty() { "On single columns only: " } else { " On single columns only: " };
        prose = prose.dim(head).names(&single, 6).say(".");
    }
    (!later.is_empty() || !single.is_empty()).then(|| prose.line())
}

fn public(j: &Judgement, at: usize, schema: &Schema) -> Line {
    let on_schema = wording::public_rights(j, ObjectKind::Schema, schema.owner, &schema.acl);
    let mut readable = 0;
    let mut held = Privileges::NONE;
    for group in j.matrix.groups(&j.snapshot.catalog, at).filter(|g| g.kind.object_kind() == ObjectKind::Table) {
        let rights = wording::public_rights(j, ObjectKind::Table, group.owner, &group.acl);
        if !rights.is_empty() {
            readable += group.count;
            held = held | rights;
        }
    }
    if on_schema.is_empty() && held.is_empty() {
        return Prose::new().dim("PUBLIC has no rights here.").line();
    }
    let mut prose = Prose::new().toned("PUBLIC", Tone::Warning);
    if on_schema.is_empty() {
        prose = prose.say(" may not use it");
    } else {
        let said = wording::rights(ObjectKind::Schema, on_schema, j.matrix.version_num);
        prose = prose.text(&format!(" may {said}"));
    }
    if !held.is_empty() {
        let said = wording::rights(ObjectKind::Table, held, j.matrix.version_num);
        prose = prose.text(&format!("; it may {said} {}", text::count(u64::from(readable), "table", "tables")));
    }
    prose.say(".").line()
}

/// What others get on objects that a creator makes here, one line a creator.
fn defaults(j: &Judgement, at: usize, schema: &Schema) -> Vec<Line> {
    let catalog = &j.snapshot.catalog;
    let mut creators: BTreeSet<Oid> = j
        .matrix
        .groups(catalog, at)
        .filter(|g| !g.extension)
        .map(|g| g.owner)
        .chain(catalog.default_acls.iter().filter(|d| d.schema == Some(schema.oid)).map(|d| d.creator))
        .collect();
    for service in j.policy.iter().flat_map(|p| &p.services).filter(|s| s.schemas.contains(&schema.name)) {
        let oids = service.creators.iter().filter_map(|name| catalog.role_named(name)).map(|r| r.oid);
        creators.extend(oids);
    }
    let mut lines = Vec::new();
    let mut alone = Vec::new();
    for creator in creators {
        match default_words(j, schema.oid, creator) {
            Some(line) => lines.push(line),
            None => alone.push(wording::role_name(j, creator)),
        }
    }
    if !alone.is_empty() {
        let line = Prose::new().say("New objects of ").names(&alone, 4);
        lines.push(line.say(" come with no rights for anybody else (no default privileges).").line());
    }
    lines
}

/// "New objects of langflow_app: audit_user may read tables." `None` when nobody gets anything.
fn default_words(j: &Judgement, schema: Oid, creator: Oid) -> Option<Line> {
    let mut said: Vec<(Oid, DefaultKind, Privileges)> = Vec::new();
    for default in &j.snapshot.catalog.default_acls {
        if default.creator != creator || default.schema.is_some_and(|s| s != schema) {
            continue;
        }
        for entry in default.acl.0.iter().flat_map(|entries| entries.iter()) {
            let built_in = entry.is_public()
                && default.schema.is_none()
                && matches!(default.kind, DefaultKind::Functions | DefaultKind::Types);
            if entry.grantee == creator || built_in || entry.privileges.is_empty() {
                continue;
            }
            match said.iter_mut().find(|(g, k, _)| (*g, *k) == (entry.grantee, default.kind)) {
                Some((_, _, held)) => *held = *held | entry.privileges,
                None => said.push((entry.grantee, default.kind, entry.privileges)),
            }
        }
    }
    if said.is_empty() {
        return None;
    }
    let mut prose = Prose::new().say("New objects of ").name(&wording::role_name(j, creator)).say(": ");
    for (i, (grantee, kind, held)) in said.iter().take(6).enumerate() {
        let (object, noun) = match kind {
            DefaultKind::Tables => (ObjectKind::Table, "tables"),
            DefaultKind::Sequences => (ObjectKind::Sequence, "sequences"),
            DefaultKind::Functions => (ObjectKind::Routine, "routines"),
            DefaultKind::Types => (ObjectKind::Type, "types"),
            DefaultKind::Schemas => (ObjectKind::Schema, "(schemas)"),
            DefaultKind::LargeObjects => (ObjectKind::Table, "large objects"),
        };
        prose = prose.say(if i == 0 { "" } else { ", " }).name(&wording::role_name(j, *grantee));
        prose = prose.text(&format!(" may {} {noun}", wording::rights(object, *held, j.matrix.version_num)));
    }
    Some(prose.say(if said.len() > 6 { " and more." } else { "." }).line())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::panes::sample::{HOSTILE, POSTGRES, Sample, ctx, holds_the_rules},
        domain::{
            Acl,
            snapshot::{ColumnGrant, SchemaSize},
        },
        policy::Severity,
    };

    fn fleet() -> Sample {
        let mut sample = Sample::new();
        let (owner, reader) = (sample.role("langflow_app"), sample.role("audit_user"));
        let acl = Sample::acl(&[
            (owner, &[Privilege::Usage, Privilege::Create]),
            (reader, &[Privilege::Usage]),
            (Oid::ZERO, &[Privilege::Usage]),
        ]);
        let schema = sample.schema("langflow", owner, acl);
        sample.table(schema, "flow", owner, Sample::acl(&[(reader, &[Privilege::Select])]));
        sample.group(schema, Kind::Sequence, owner, Acl::NULL, 6);
        sample.service("langflow", "langflow_app");
        sample.finding(Severity::Critical, Some("langflow"), None, "Two applications share it.");
        sample
    }

    #[test]
    fn a_row_says_whose_it_is_and_what_is_wrong() {
        let instances = [fleet().instance()];
        let ctx = ctx(&instances, 120);
        let mut pane = Schemas::default();
        let entries = pane.load(&ctx);
        assert_eq!(entries.len(), 1);
        let cells: Vec<String> = pane.cells(&ctx, 0).iter().map(Line::plain).collect();
        assert_eq!(cells[..4], ["langflow", "langflow_app", "langflow", "1"]);
        assert_eq!(cells[5], "6");
        assert!(cells[7].starts_with('~'), "{}", cells[7]);
        assert_eq!(cells[8], "2");
        assert_eq!(cells[10], "‼ 1");
        let said: Vec<String> = pane.inspector(&ctx, 0, 0, 120).iter().map(Line::plain).collect();
        assert_eq!(said[0], "‼ Two applications share it.", "what is wrong comes first");
        assert!(
            said[1].starts_with("langflow is a schema of service langflow, owned by langflow_app: 1 table and 6 seq")
        );
        assert!(said.iter().any(|l| l == "May create in it: langflow_app."), "{said:?}");
        assert!(said.iter().any(|l| l == "PUBLIC may use it."), "{said:?}");
        assert!(said.iter().any(|l| l.contains("no default privileges")), "{said:?}");
    }

    #[test]
    fn who_gets_in_by_set_role_or_to_single_columns_is_told_apart() {
        let mut sample = fleet();
        let schema = sample.catalog.schemas[0].oid;
        let (later, single) = (sample.role("later"), sample.role("single"));
        let reader = sample.catalog.roles.iter().find(|r| r.name == "audit_user").unwrap().oid;
        sample.member(reader, later);
        sample.catalog.memberships.last_mut().unwrap().inherit = false;
        let (table, owner) = (&sample.objects.0[&schema].relations[0], POSTGRES);
        let grant = ColumnGrant {
            schema,
            relation: table.name.clone(),
            relation_oid: table.oid,
            kind: Kind::Table,
            owner,
            column: "id".into(),
            acl: Sample::acl(&[(single, &[Privilege::Select])]),
        };
        sample.shapes.get_or_insert_default().column_grants.push(grant);
        let instances = [sample.instance()];
        let ctx = ctx(&instances, 120);
        let mut pane = Schemas::default();
        pane.load(&ctx);
        assert_eq!(pane.cells(&ctx, 0)[8].plain(), "2", "those who have rights at once");
        let said: Vec<String> = pane.inspector(&ctx, 0, 0, 120).iter().map(Line::plain).collect();
        let expected = "Reached by SET ROLE only: later. On single columns only: single.";
        assert!(said.iter().any(|l| l == expected), "{said:#?}");
    }

    #[test]
    fn a_size_that_nobody_counted_is_unknown_and_an_exact_one_has_no_tilde() {
        let mut sample = fleet();
        sample.catalog.relations.iter_mut().for_each(|g| g.pages = 0);
        let schema = sample.catalog.schemas[0].oid;
        let instances = [sample.instance()];
        let mut pane = Schemas::default();
        pane.load(&ctx(&instances, 120));
        assert_eq!(pane.cells(&ctx(&instances, 120), 0)[7].plain(), "?");
        let mut sample = fleet();
        sample.sizes.schemas.insert(schema, SchemaSize { table_bytes: 2048, exact: true, ..SchemaSize::default() });
        let instances = [sample.instance()];
        pane.load(&ctx(&instances, 120));
        assert_eq!(pane.cells(&ctx(&instances, 120), 0)[7].plain(), "2 kB");
    }

    #[test]
    fn enter_goes_down_to_objects_and_tells_their_rights() {
        let instances = [fleet().instance()];
        let ctx = ctx(&instances, 120);
        let mut pane = Schemas::default();
        pane.load(&ctx);
        assert!(matches!(pane.enter(&ctx, 0, 0), Enter::Down));
        assert_eq!(pane.crumbs().as_deref(), Some("langflow"));
        assert_eq!(pane.load(&ctx).len(), 1);
        let cells: Vec<String> = pane.cells(&ctx, 0).iter().map(Line::plain).collect();
        assert_eq!(cells, ["table", "flow", "langflow_app", "audit_user read", "off", "~1234"]);
        let Enter::Story(story) = pane.enter(&ctx, 0, 0) else { panic!("a story") };
        let plain: Vec<String> = story.lines.iter().map(Line::plain).collect();
        assert!(plain.contains(&"  audit_user may read, granted by postgres".to_owned()), "{plain:#?}");
        assert!(plain.contains(&"  as stored  {audit_user=r/postgres}".to_owned()), "{plain:#?}");
        assert!(plain.iter().any(|l| l.contains("audit_user ──may──▶ read")), "{plain:#?}");
        assert_eq!(story.copy, "langflow.flow");
        assert!(pane.back() && !pane.back());
    }

    #[test]
    fn rights_on_single_columns_stand_in_the_list_of_objects() {
        let mut sample = fleet();
        let schema = sample.catalog.schemas[0].oid;
        let single = sample.role("single");
        let reader = sample.catalog.roles.iter().find(|r| r.name == "audit_user").unwrap().oid;
        let owner = sample.catalog.roles.iter().find(|r| r.name == "langflow_app").unwrap().oid;
        sample.table(schema, "alone", owner, Acl::NULL);
        for table in &sample.objects.0[&schema].relations {
            // what the table's own rights tell is not told again
            let acl = Sample::acl(&[(single, &[Privilege::Update]), (reader, &[Privilege::Select])]);
            let (relation, relation_oid, column) = (table.name.clone(), table.oid, "id".to_owned());
            let grant = ColumnGrant { schema, relation, relation_oid, kind: Kind::Table, owner, column, acl };
            sample.shapes.get_or_insert_default().column_grants.push(grant);
        }
        sample.shapes.as_mut().unwrap().sort_column_grants();
        let instances = [sample.instance()];
        let ctx = ctx(&instances, 120);
        let mut pane = Schemas::default();
        pane.load(&ctx);
        pane.enter(&ctx, 0, 0);
        let entries = pane.load(&ctx).len();
        let rights: Vec<String> = (0..entries)
            .map(|at| pane.cells(&ctx, at))
            .map(|c| format!("{}: {}", c[1].plain(), c[3].plain()))
            .collect();
        assert_eq!(rights, ["flow: audit_user read · single cols", "alone: single cols · audit_user cols"]);
    }

    #[test]
    fn names_that_are_not_loaded_yet_are_asked_for() {
        let mut sample = fleet();
        sample.objects.0.clear();
        let instances = [sample.instance()];
        let ctx = ctx(&instances, 120);
        let mut pane = Schemas::default();
        pane.load(&ctx);
        assert!(pane.wants(&ctx, &[0], None).is_empty());
        pane.enter(&ctx, 0, 0);
        assert!(pane.load(&ctx).is_empty());
        assert!(pane.empty(&ctx)[0].plain().starts_with("Reading the objects of langflow"));
        assert!(
            matches!(&pane.wants(&ctx, &[], None)[..], [Want::Objects { instance: 0, schemas, beneath: true }] if schemas.len() == 1)
        );
    }

    #[test]
    fn hostile_names_and_both_widths_hold() {
        let mut sample = fleet();
        for name in HOSTILE {
            let owner = sample.role(name);
            let schema = sample.schema(name, owner, Sample::acl(&[(owner, &[Privilege::Create])]));
            sample.table(schema, name, owner, Sample::acl(&[(owner, &[Privilege::Select])]));
            sample.finding(Severity::Error, Some(name), Some(name), name);
        }
        let instances = [sample.instance()];
        let mut pane = Schemas::default();
        holds_the_rules(&mut pane, &instances);
        let two = [fleet().instance(), fleet().instance()];
        holds_the_rules(&mut pane, &two);
        pane.load(&ctx(&instances, 80));
        pane.enter(&ctx(&instances, 80), 1, 0);
        holds_the_rules(&mut pane, &instances);
    }
}
