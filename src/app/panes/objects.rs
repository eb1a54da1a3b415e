//! The level below Schemas: objects of one schema with their rights in words; Enter tells everything about one.
//! Knows one schema of one instance; names are loaded on demand.

use crate::{
    app::{
        panes::{Ctx, Enter, Entry, RowId, SortKey, Story, Want, marks},
        prose::{self, Prose},
        view::{Column, Line, Span, Tone},
        wording,
    },
    domain::{
        ObjectKind, Oid, Privileges,
        closure::{ones, or_into},
        effective::Who,
        qualified,
        snapshot::{Object, SchemaObjects},
    },
    policy::{Finding, judgement::Judgement},
    text,
};

/// Roles told of in one story; the rest is counted.
const MOST_ROLES: usize = 60;

/// Roles with rights on single columns that a row names.
const MOST_ON_COLUMNS: usize = 12;

/// See the module.
pub struct Level {
    instance: usize,
    schema: Oid,
    /// Raw.
    pub name: String,
}

/// The columns of this level.
#[must_use]
pub fn columns() -> Vec<Column> {
    vec![
        Column::left("kind", 8, 18, 3),
        Column { frozen: true, ..Column::left("name", 16, 44, 0) },
        Column::left("owner", 10, 24, 0),
        Column::left("rights of others", 18, u16::MAX, 0),
        Column::left("RLS", 6, 8, 2),
        Column::right("rows", 7, 9, 1),
    ]
}

impl Level {
    #[must_use]
    pub fn new(instance: usize, schema: Oid, name: &str) -> Level {
        Level { instance, schema, name: name.to_owned() }
    }

    fn judgement<'a>(&self, ctx: &Ctx<'a>) -> Option<&'a Judgement> {
        ctx.instances.get(self.instance)?.judgement.as_deref()
    }

    fn objects<'a>(&self, ctx: &Ctx<'a>) -> Option<&'a SchemaObjects> {
        self.judgement(ctx)?.snapshot.objects.0.get(&self.schema).map(|o| &**o)
    }

    fn object<'a>(&self, ctx: &Ctx<'a>, index: usize) -> Option<(&'a Judgement, &'a Object)> {
        let objects = self.objects(ctx)?;
        let (relations, routines) = (objects.relations.len(), objects.routines.len());
        let object = if index < relations {
            objects.relations.get(index)
        } else if index < relations + routines {
            objects.routines.get(index - relations)
        } else {
            objects.types.get(index - relations - routines)
        };
        Some((self.judgement(ctx)?, object?))
    }

    /// Entries in the order of the snapshot: relations, routines, types.
    pub fn load(&mut self, ctx: &Ctx<'_>) -> Vec<Entry> {
        let (Some(j), Some(objects)) = (self.judgement(ctx), self.objects(ctx)) else { return Vec::new() };
        objects.all().map(|object| self.entry(j, object)).collect()
    }

    fn entry(&self, j: &Judgement, object: &Object) -> Entry {
        let owner = wording::role_name(j, object.owner);
        let grantees = object.acl.0.as_ref().map_or(0, |entries| entries.len());
        let grantees = grantees + self.on_columns(j, object).len();
        Entry {
            id: RowId(self.instance, object.oid.to_string()),
            text: format!("{} {} {owner}", object.name, object.kind.word()),
            keys: vec![
                SortKey::Text(object.kind.word().to_owned()),
                SortKey::Text(object.name.clone()),
                SortKey::Text(owner.into_owned()),
                SortKey::Number(grantees as i64),
                SortKey::Number(i64::from(object.rls) + i64::from(object.force_rls)),
                SortKey::Number(object.rows_estimate.map_or(-1, |n| n as i64)),
            ],
        }
    }

    #[must_use]
    pub fn cells(&self, ctx: &Ctx<'_>, index: usize) -> Vec<Line> {
        let Some((j, object)) = self.object(ctx, index) else { return Vec::new() };
        let tone = if object.extension { Tone::Dim } else { Tone::Strong };
        vec![
            Line(vec![Span::known(object.kind.word(), Tone::Dim)]),
            Line::new(&object.name, tone),
            wording::plain(&wording::role_name(j, object.owner)),
            self.access(j, object),
            rls(object),
            rows(object),
        ]
    }

    /// Who has rights on single columns that its rights on the table do not tell: the roles, PUBLIC as [`Oid::ZERO`].
    fn on_columns(&self, j: &Judgement, object: &Object) -> Vec<Oid> {
        let shapes = j.snapshot.shapes.as_deref().filter(|_| object.kind.object_kind() == ObjectKind::Table);
        let grants = shapes.map(|s| s.column_grants_on(self.schema, &object.name)).unwrap_or_default();
        let on_table = |grantee: Oid| {
            let entries = object.acl.0.iter().flat_map(|entries| entries.iter()).filter(|e| e.grantee == grantee);
            entries.fold(Privileges::NONE, |held, e| held | e.privileges)
        };
        let mut found: Vec<Oid> = Vec::new();
        for entry in grants.iter().flat_map(|g| g.acl.0.iter()).flat_map(|entries| entries.iter()) {
            let more = entry.grantee != object.owner && !on_table(entry.grantee).contains_all(entry.privileges);
            if more && !found.contains(&entry.grantee) {
                found.push(entry.grantee);
            }
        }
        found
    }

    /// The rights of others, and who has some on single columns.
    fn access(&self, j: &Judgement, object: &Object) -> Line {
        let grantees = self.on_columns(j, object);
        let granted = object.acl.0.iter().flat_map(|entries| entries.iter());
        let nobody = !granted.clone().any(|e| e.grantee != object.owner && !e.privileges.is_empty());
        let mut line = if nobody && !grantees.is_empty() {
            Line::empty()
        } else {
            wording::access_cell(j, object.kind.object_kind(), object.owner, &object.acl)
        };
        for grantee in grantees.into_iter().take(MOST_ON_COLUMNS) {
            let tone = if grantee == Oid::ZERO { Tone::Warning } else { Tone::Text };
            if !line.0.is_empty() {
                line.0.push(Span::known(" · ", Tone::Dim));
            }
            line.0.push(Span::new(&wording::role_name(j, grantee), tone));
            line.0.push(Span::known(" cols", Tone::Dim));
        }
        line
    }

    #[must_use]
    pub fn inspector(&self, ctx: &Ctx<'_>, index: usize, width: u16) -> Vec<Line> {
        let Some((j, object)) = self.object(ctx, index) else { return Vec::new() };
        let mut lines: Vec<Line> = self.findings(j, object).take(2).map(marks::sentence).collect();
        lines.push(self.what_it_is(j, object));
        lines.extend(wording::access_list(j, object.kind.object_kind(), object.owner, &object.acl));
        prose::block(&lines, width, 8)
    }

    pub fn enter(&self, ctx: &Ctx<'_>, index: usize) -> Enter {
        match self.object(ctx, index) {
            Some((j, object)) => Enter::Story(self.story(j, object)),
            None => Enter::Nothing("nothing is selected"),
        }
    }

    #[must_use]
    pub fn copy(&self, ctx: &Ctx<'_>, index: usize) -> String {
        self.object(ctx, index).map(|(_, object)| self.sql_name(object)).unwrap_or_default()
    }

    #[must_use]
    pub fn empty(&self, ctx: &Ctx<'_>) -> Vec<Line> {
        let lines = if self.objects(ctx).is_none() {
            vec![Prose::new().dim("Reading the objects of ").name(&self.name).dim(" …").line()]
        } else {
            let nothing = Prose::new().say("Nothing stands in ").name(&self.name);
            vec![
                nothing.say(": no table, view, sequence, routine or type.").line(),
                Line(vec![Span::known("Esc goes back to the schemas.", Tone::Dim)]),
            ]
        };
        prose::block(&lines, ctx.width, 6)
    }

    #[must_use]
    pub fn want(&self) -> Want {
        Want::Objects { instance: self.instance, schemas: vec![self.schema], beneath: true }
    }

    fn sql_name(&self, object: &Object) -> String {
        match (object.kind.object_kind(), object.name.split_once('(')) {
            (ObjectKind::Routine, Some((name, arguments))) => format!("{}({arguments}", qualified(&self.name, name)),
            _ => qualified(&self.name, &object.name),
        }
    }

    /// Findings that name this object.
    fn findings<'a>(&self, j: &'a Judgement, object: &Object) -> impl Iterator<Item = &'a Finding> {
        let name = format!("{}.{}", self.name, object.name);
        j.findings.iter().filter(move |f| f.object.as_ref() == Some(&name) || f.objects.contains(&name))
    }

    fn what_it_is(&self, j: &Judgement, object: &Object) -> Line {
        let mut prose = Prose::new().say(object.kind.word()).say(" ").name(&self.name).say(".").name(&object.name);
        prose = prose.say(", owned by ").name(&wording::role_name(j, object.owner));
        if object.extension {
            prose = prose.dim(" (member of an extension)");
        }
        if object.kind.object_kind() == ObjectKind::Table {
            prose = match (object.rls, object.force_rls) {
                (false, _) => prose.say("; row level security is off"),
                (true, false) => prose.say("; row level security is on, but not for its owner"),
                (true, true) => prose.say("; row level security is on, for its owner too"),
            };
            prose = match object.rows_estimate {
                Some(n) => prose.text(&format!("; about {} rows", wording::quantity(n))),
                None => prose.say("; rows never counted"),
            };
        }
        if let Some(table) = object.owned_by {
            let of = j.snapshot.objects.0.get(&self.schema).and_then(|o| o.relations.iter().find(|r| r.oid == table));
            prose = match of {
                Some(table) => prose.say("; belongs to table ").name(&table.name),
                None => prose.say("; belongs to a table of another schema"),
            };
        }
        prose.say(".").line()
    }

    fn story(&self, j: &Judgement, object: &Object) -> Story {
        let kind = object.kind.object_kind();
        let title = |text: &'static str| Line(vec![Span::known(text, Tone::Title)]);
        let mut lines = Vec::new();
        marks::tell(self.findings(j, object), 20, &mut lines);
        if !lines.is_empty() {
            lines.push(Line::empty());
        }
        lines.push(self.what_it_is(j, object));
        lines.push(Line::empty());
        lines.push(title("Rights that were granted"));
        lines.extend(wording::access_list(j, kind, object.owner, &object.acl));
        lines.push(Prose::new().dim("  as stored  ").and(&wording::access_raw(j, &object.acl), Tone::Dim).line());
        lines.push(Line::empty());
        lines.push(title("Who may do what in effect, and by which way"));
        self.effective(j, object, &mut lines);
        Self::columns_and_policies(j, object, &mut lines);
        let title = Prose::new().say(object.kind.word()).say(" ").name(&self.name).say(".").name(&object.name).line();
        Story { title, lines, copy: self.sql_name(object) }
    }

    /// Every role with a right that is not PUBLIC's, with its paths.
    fn effective(&self, j: &Judgement, object: &Object, lines: &mut Vec<Line>) {
        let (catalog, kind) = (&j.snapshot.catalog, object.kind.object_kind());
        let closure = &j.matrix.closure;
        let public = j.matrix.rights(catalog, Who::Public, kind, object.owner, &object.acl);
        if !public.is_empty() {
            let said = format!(" may {}", wording::rights(kind, public, j.matrix.version_num));
            lines.push(Prose::new().toned("  PUBLIC, that is everybody,", Tone::Warning).text(&said).line());
        }
        let mut bits = vec![0; catalog.roles.len().div_ceil(64)];
        let in_force = object.acl.in_force(kind, object.owner, j.matrix.version_num);
        let grantees = in_force.entries().iter().filter(|e| !e.is_public() && !e.privileges.is_empty());
        for grantee in grantees.filter_map(|e| closure.position(e.grantee)) {
            or_into(&mut bits, closure.heirs(grantee));
        }
        if matches!(kind, ObjectKind::Table | ObjectKind::Sequence) {
            for name in ["pg_read_all_data", "pg_write_all_data", "pg_maintain"] {
                if let Some(group) = j.matrix.index.role_named(name) {
                    or_into(&mut bits, closure.heirs(group));
                }
            }
        }
        let people = |r: &usize| catalog.roles.get(*r).is_some_and(|role| !role.superuser && !role.is_predefined());
        let roles: Vec<usize> = ones(&bits).filter(people).collect();
        let schema = j.matrix.index.schema(self.schema).and_then(|at| catalog.schemas.get(at));
        for role in roles.iter().take(MOST_ROLES) {
            let held = j.matrix.rights(catalog, Who::Role(*role), kind, object.owner, &object.acl);
            let said = format!(" may {}", wording::rights(kind, held, j.matrix.version_num));
            let mut prose = Prose::new().say("  ").name(wording::role_at(j, *role)).text(&said);
            let usable = schema.is_none_or(|s| {
                let held = j.matrix.rights(catalog, Who::Role(*role), ObjectKind::Schema, s.owner, &s.acl);
                held.contains(crate::domain::Privilege::Usage)
            });
            if !usable {
                prose = prose.toned("; it does not work: no USAGE on the schema", Tone::Warning);
            }
            lines.push(prose.line());
            for path in wording::paths(j, *role, kind, object.owner, &object.acl) {
                let mut line = Line(vec![Span::known("      ", Tone::Text)]);
                line.0.extend(path.0);
                lines.push(line);
            }
        }
        if roles.len() > MOST_ROLES {
            lines.push(Line::new(
                &format!("  {}", text::count((roles.len() - MOST_ROLES) as u64, "role more", "roles more")),
                Tone::Dim,
            ));
        }
        let superusers: Vec<&str> = catalog.roles.iter().filter(|r| r.superuser).map(|r| r.name.as_str()).collect();
        if !superusers.is_empty() {
            let line = Prose::new().toned("  superusers", Tone::Superuser).say(", who may do everything: ");
            lines.push(line.names(&superusers, 8).line());
        }
    }

    /// Column grants, which the table's list does not show, and row level security policies.
    fn columns_and_policies(j: &Judgement, object: &Object, lines: &mut Vec<Line>) {
        let shapes = j.snapshot.shapes.as_deref();
        let grants = shapes.iter().flat_map(|s| &s.column_grants).filter(|g| g.relation_oid == object.oid);
        let mut first = true;
        for grant in grants {
            for entry in grant.acl.0.iter().flat_map(|entries| entries.iter()) {
                if std::mem::take(&mut first) {
                    lines.push(Line::empty());
                    lines.push(Line(vec![Span::known(
                        "Rights on single columns (the table's list hides them)",
                        Tone::Title,
                    )]));
                }
                let said = format!(" may {} column ", column_verbs(entry.privileges));
                let line = Prose::new().say("  ").name(&wording::role_name(j, entry.grantee)).text(&said);
                lines.push(line.name(&grant.column).line());
            }
        }
        let policies = j.snapshot.catalog.policies.iter().filter(|p| p.relation == object.oid);
        for (i, policy) in policies.enumerate() {
            if i == 0 {
                lines.push(Line::empty());
                lines.push(Line(vec![Span::known("Row level security policies", Tone::Title)]));
                if !object.rls {
                    let said = "  None of them works: row level security is off for this table.";
                    lines.push(Line(vec![Span::known(said, Tone::Warning)]));
                }
            }
            let names: Vec<_> = policy.roles.iter().map(|r| wording::role_name(j, *r)).collect();
            let command = match policy.command {
                'r' => " for SELECT",
                'a' => " for INSERT",
                'w' => " for UPDATE",
                'd' => " for DELETE",
                _ => " for everything",
            };
            let line = Prose::new().say("  ").name(&policy.name).say(command).say(", for ").names(&names, 6);
            lines.push(line.say(if policy.permissive { "" } else { ", restrictive" }).line());
            let expressions = shapes.iter().flat_map(|s| &s.policy_expressions);
            for e in expressions.filter(|e| e.relation == object.oid && e.policy == policy.name) {
                for (word, expression) in [("      USING ", &e.using), ("      WITH CHECK ", &e.check)] {
                    if let Some(expression) = expression {
                        let mut line = Line(vec![Span::known(word, Tone::SqlKeyword)]);
                        line.0.extend(crate::app::sql_spans::one_line(expression, 2000).0);
                        lines.push(line);
                    }
                }
            }
        }
    }
}

fn column_verbs(held: Privileges) -> String {
    wording::rights(ObjectKind::Table, held, u32::MAX)
}

fn rls(object: &Object) -> Line {
    if object.kind.object_kind() != ObjectKind::Table {
        return Line::empty();
    }
    Line(vec![match (object.rls, object.force_rls) {
        (false, _) => Span::known("off", Tone::Dim),
        (true, false) => Span::known("on", Tone::Good),
        (true, true) => Span::known("forced", Tone::Good),
    }])
}

fn rows(object: &Object) -> Line {
    match (object.kind.object_kind(), object.rows_estimate) {
        (ObjectKind::Table, Some(n)) => wording::plain(&format!("~{}", wording::quantity(n))),
        (ObjectKind::Table, None) => wording::unknown(),
        (
            ObjectKind::Database | ObjectKind::Schema | ObjectKind::Sequence | ObjectKind::Routine | ObjectKind::Type,
            _,
        ) => Line::empty(),
    }
}
