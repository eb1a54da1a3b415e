//! The effective matrix: roles down, schemas across, drift per cell. One level down, the objects behind a cell.
//!
//! ```text
//!  role               public      langflow       madansara   sankore
//!  engarde_user       own         read           ·           ·
//!  madansara_user     ·           ·              own         write +6
//!  PUBLIC             create +1   ·              ·           ·
//! ```
//! Cells are counted when they come on screen and kept until the data changes: 2,500 roles x 2,000 schemas cost nothing.
//! Roles of which nothing is said in a schema have the same cell there when they inherit from the same roles: counted once.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::BuildHasherDefault,
    sync::Arc,
};

use super::{Ctx, Enter, Entry, Pane, PaneSpec, Reach, RowId, SortKey, Story, Want, fixable::Fixable};
use crate::{
    app::{
        sql_spans,
        view::{Align, Column, Line, Span, Tone},
        words,
    },
    domain::{
        ObjectKind, Oid, Privilege, Privileges,
        change::Change,
        closure::{get, ones, or_into, set},
        effective::{Counts, Via, Who},
        explain::{Subject, explain, lacking},
        ident::{ByPair, OidHasher, pair},
        snapshot::{Catalog, ColumnGrant, Object, Schema},
    },
    policy::{
        Finding, Severity,
        desired::Rights,
        judge::{Judge, Judged},
        judgement::Judgement,
    },
};

pub const SPEC: PaneSpec = PaneSpec {
    id: "grants",
    title: "Grants",
    doc: "Who may effectively do what in which schema, and where that differs from the policy.",
};

/// One role of one instance.
#[derive(Debug, Clone)]
struct RoleRow {
    instance: usize,
    who: Who,
    name: String,
    mark: &'static str,
}

/// One object behind a cell.
struct ObjectRow {
    object: Object,
}

/// Below a cell.
struct Below {
    instance: usize,
    /// Positions, of the picture that was loaded last; the oids outlive it.
    who: Who,
    schema: usize,
    /// `None` is PUBLIC.
    role_oid: Option<Oid>,
    role: String,
    schema_oid: Oid,
    schema_name: String,
    loaded: bool,
}

impl Below {
    /// Finds role and schema in a new picture; false when one of them is gone.
    fn follows(&mut self, j: &Judgement) -> bool {
        let who = match self.role_oid {
            None => Some(Who::Public),
            Some(oid) => j.matrix.closure.position(oid).map(Who::Role),
        };
        let (Some(who), Some(schema)) = (who, j.matrix.index.schema(self.schema_oid)) else { return false };
        (self.who, self.schema) = (who, schema);
        true
    }
}

/// Cells of a schema that roles have in common.
struct Alike {
    /// Whoever something is said of there, see
    /// [`Matrix::holders`](crate::domain::effective::Matrix::holders), and who has rights on single columns. Ascending.
    holders: Vec<usize>,
    lines: HashMap<Likeness, Line, BuildHasherDefault<OidHasher>>,
}

/// What a cell follows from, for a role of which nothing is said in the schema.
#[derive(PartialEq, Eq, Hash)]
struct Likeness {
    /// Bits of the holders whose privileges it has.
    inherits: u64,
    /// Bits of the holders whose privileges it would have after SET ROLE.
    beyond: u64,
    /// It could become a superuser.
    everything: bool,
    named: bool,
    compared: bool,
    allowed: Rights,
}

impl Alike {
    fn new(j: &Judgement, schema: usize) -> Alike {
        let catalog = &j.snapshot.catalog;
        let mut holders = j.matrix.holders(catalog, schema);
        if let (Some(shapes), Some(of)) = (&j.snapshot.shapes, catalog.schemas.get(schema)) {
            holders.extend(grantees(j, shapes.column_grants_in(of.oid)));
            holders.sort_unstable();
            holders.dedup();
        }
        Alike { holders, lines: HashMap::default() }
    }

    /// `None` for a role whose cell is its own: something is said of it, by the database or by the policy.
    fn likeness(&self, j: &Judgement, role: usize, schema: usize) -> Option<Likeness> {
        let said = self.holders.binary_search(&role).is_ok() || get(j.matrix.closure.superusers(), role);
        if said || self.holders.len() > 64 {
            return None;
        }
        let (mut named, mut compared, mut allowed) = (false, false, Rights::NONE);
        if let Some(desired) = &j.desired {
            let want = desired.want(role, schema).unwrap_or_default();
            if desired.declares(role, schema) || want.excepted {
                return None;
            }
            (named, compared, allowed) = (desired.names_role(role), desired.compares(role), want.allowed);
        }
        let closure = &j.matrix.closure;
        let of = |role: usize| -> u64 {
            let groups = closure.groups(role);
            let bit = |(at, holder): (usize, &usize)| u64::from(get(groups, *holder)) << at;
            self.holders.iter().enumerate().map(bit).sum()
        };
        let (mut beyond, mut everything) = (0, false);
        for became in closure.beyond(role) {
            beyond |= of(*became);
            everything |= get(closure.superusers(), *became);
        }
        Some(Likeness { inherits: of(role), beyond, everything, named, compared, allowed })
    }
}

/// Positions of the roles that column grants name.
fn grantees<'a>(j: &'a Judgement, grants: &'a [ColumnGrant]) -> impl Iterator<Item = usize> + 'a {
    let entries = grants.iter().flat_map(|g| g.acl.0.iter()).flat_map(|entries| entries.iter());
    entries.filter(|e| !e.is_public()).filter_map(|e| j.matrix.closure.position(e.grantee))
}

/// Row, schema and width, and the lines for them.
type Told = ((usize, usize, u16), Vec<Line>);

#[derive(Default)]
pub struct Grants {
    rows: Vec<RoleRow>,
    /// Schema names across, with the position in each instance's catalog.
    schemas: Vec<(String, BTreeMap<usize, usize>)>,
    several: bool,
    only_differences: bool,
    below: Option<Below>,
    objects: Vec<ObjectRow>,
    /// Cells that were counted, by row and schema column, until the data changes.
    drawn: RefCell<ByPair<Line>>,
    /// By instance and position of the schema, until the data changes.
    alike: RefCell<ByPair<Alike>>,
    /// By instance, as long as its findings are the same.
    fixable: RefCell<HashMap<usize, Arc<Fixable>>>,
    /// The lines about the selected cell, by row, schema and width, until another is selected or the data changes.
    told: RefCell<Option<Told>>,
}

fn judgement<'a>(ctx: &Ctx<'a>, instance: usize) -> Option<&'a Arc<Judgement>> {
    ctx.instances.get(instance)?.judgement.as_ref()
}

/// Roles worth a row: named by the policy, with any access to a schema of people's, to single columns there or by SET ROLE,
/// or superusers; positions in the catalog.
fn interesting(j: &Judgement) -> Vec<usize> {
    let catalog = &j.snapshot.catalog;
    let mut bits = j.matrix.closure.superusers().to_vec();
    bits.resize(catalog.roles.len().div_ceil(64), 0);
    let mut touched = Vec::new();
    for (i, _) in catalog.schemas.iter().enumerate().filter(|(_, s)| !s.is_system()) {
        j.matrix.touched_bits(catalog, i, &mut touched);
        or_into(&mut bits, &touched);
    }
    if let Some(shapes) = &j.snapshot.shapes {
        let named: BTreeSet<usize> = grantees(j, &shapes.column_grants).collect();
        for grantee in named {
            or_into(&mut bits, j.matrix.closure.heirs(grantee));
        }
    }
    j.matrix.closure.add_settable_into(&mut bits);
    if let Some(policy) = &j.policy {
        let named =
            policy.services.iter().flat_map(|s| [&s.role, &s.owner]).chain(policy.roles.iter().map(|r| &r.name));
        for position in named.filter_map(|n| j.matrix.index.role_named(n)) {
            set(&mut bits, position);
        }
    }
    ones(&bits).filter(|i| catalog.roles.get(*i).is_some_and(|r| !r.is_platform())).collect()
}

/// Places of the roles that the policy names: services in its order, then other declared roles in theirs.
fn ranks(j: &Judgement) -> HashMap<&str, (usize, usize)> {
    let Some(policy) = &j.policy else { return HashMap::new() };
    let services = policy.services.iter().enumerate().map(|(i, s)| (s.role.as_str(), (0, i)));
    let declared = policy.roles.iter().enumerate().map(|(i, r)| (r.name.as_str(), (1, i)));
    let mut ranks = HashMap::new();
    for (name, rank) in services.chain(declared) {
        ranks.entry(name).or_insert(rank);
    }
    ranks
}

fn counted(j: &Judgement, who: Who, schema: usize) -> Line {
    words::cell_of(j, who, schema, &j.judge().cell(who, schema))
}

impl Grants {
    /// A cell: one that others have too, one that was counted before, or counted now.
    fn cell(&self, j: &Judgement, (row, instance, who): (usize, usize, Who), column: usize, schema: usize) -> Line {
        if let Who::Role(role) = who {
            let mut alike = self.alike.borrow_mut();
            let here = alike.entry(pair(instance, schema)).or_insert_with(|| Alike::new(j, schema));
            if let Some(likeness) = here.likeness(j, role, schema) {
                return here.lines.entry(likeness).or_insert_with(|| counted(j, who, schema)).clone();
            }
        }
        let mut drawn = self.drawn.borrow_mut();
        drawn.entry(pair(row, column)).or_insert_with(|| counted(j, who, schema)).clone()
    }

    fn fixable(&self, j: &Judgement, instance: usize) -> Arc<Fixable> {
        let mut all = self.fixable.borrow_mut();
        let of = all.entry(instance).or_default();
        if !of.is_of(&j.findings) {
            *of = Arc::new(Fixable::new(&j.findings));
        }
        Arc::clone(of)
    }

    fn schema_column(&self, column: usize) -> Option<usize> {
        column.checked_sub(2 + usize::from(self.several))
    }

    fn load_matrix(&mut self, ctx: &Ctx<'_>) -> Vec<Entry> {
        self.rows.clear();
        self.several = ctx.several();
        let mut order: Vec<String> = Vec::new();
        let mut places: HashMap<String, BTreeMap<usize, usize>> = HashMap::new();
        for (i, instance) in ctx.shown() {
            let Some(j) = &instance.judgement else { continue };
            let catalog = &j.snapshot.catalog;
            let differing: Option<(BTreeSet<usize>, BTreeSet<usize>)> =
                self.only_differences.then(|| j.judge().differing().unzip());
            let declared = j.policy.iter().flat_map(|p| {
                p.services.iter().flat_map(|s| s.schemas.iter()).chain(p.schemas.iter().map(|s| &s.name)).cloned()
            });
            let names: Vec<String> = declared
                .chain(catalog.schemas.iter().filter(|s| !s.is_system() && !s.extension).map(|s| s.name.clone()))
                .collect();
            for name in names {
                let Some(position) = j.matrix.index.schema_named(&name) else { continue };
                if differing.as_ref().is_some_and(|d| !d.1.contains(&position)) {
                    continue;
                }
                let place = places.entry(name.clone()).or_default();
                if place.is_empty() {
                    order.push(name);
                }
                place.insert(i, position);
            }
            let ranks = ranks(j);
            // then the rest, superusers last; by name within
            let unnamed = |superuser: bool| (if superuser { 3 } else { 2 }, 0);
            let mut rows: Vec<((usize, usize), RoleRow)> = interesting(j)
                .into_iter()
                .filter(|r| differing.as_ref().is_none_or(|d| d.0.contains(r)))
                .filter_map(|position| {
                    let role = catalog.roles.get(position)?;
                    let mark = if role.superuser { "S" } else { "" };
                    let row = RoleRow { instance: i, who: Who::Role(position), name: role.name.clone(), mark };
                    let rank = ranks.get(role.name.as_str()).copied();
                    Some((rank.unwrap_or_else(|| unnamed(role.superuser)), row))
                })
                .collect();
            rows.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.name.cmp(&b.1.name)));
            self.rows.extend(rows.into_iter().map(|(_, row)| row));
            self.rows.push(RoleRow { instance: i, who: Who::Public, name: "PUBLIC".to_owned(), mark: "" });
        }
        self.schemas = order.into_iter().filter_map(|n| places.remove(&n).map(|p| (n, p))).collect();
        let keys = |row: &RoleRow| {
            let mut keys = vec![SortKey::Text(row.name.clone())];
            if self.several {
                keys.push(SortKey::Number(row.instance as i64));
            }
            keys
        };
        self.rows
            .iter()
            .map(|row| Entry {
                id: RowId(
                    row.instance,
                    if row.who == Who::Public { "PUBLIC".into() } else { format!("r:{}", row.name) },
                ),
                text: row.name.clone(),
                keys: keys(row),
            })
            .collect()
    }

    fn load_objects(&mut self, ctx: &Ctx<'_>) -> Vec<Entry> {
        self.objects.clear();
        let Some(below) = &mut self.below else { return Vec::new() };
        let Some(j) = judgement(ctx, below.instance) else { return Vec::new() };
        let loaded = j.snapshot.objects.0.get(&below.schema_oid);
        below.loaded = loaded.is_some();
        let objects = loaded.iter().flat_map(|o| o.all()).filter(|o| o.kind.object_kind() != ObjectKind::Type);
        self.objects.extend(objects.map(|o| ObjectRow { object: o.clone() }));
        let instance = below.instance;
        self.objects
            .iter()
            .map(|row| Entry {
                id: RowId(instance, format!("o:{}:{}", row.object.kind.word(), row.object.name)),
                text: row.object.name.clone(),
                keys: vec![
                    SortKey::Text(row.object.name.clone()),
                    SortKey::Text(row.object.kind.word().to_owned()),
                    SortKey::Text(String::new()),
                ],
            })
            .collect()
    }

    fn object_cells(&self, ctx: &Ctx<'_>, index: usize) -> Vec<Line> {
        let (Some(below), Some(row)) = (&self.below, self.objects.get(index)) else { return Vec::new() };
        let Some(j) = judgement(ctx, below.instance) else { return Vec::new() };
        let catalog = &j.snapshot.catalog;
        let kind = row.object.kind.object_kind();
        let held = j.matrix.rights(catalog, below.who, kind, row.object.owner, &row.object.acl);
        let all = kind.all(j.matrix.version_num);
        let (text, tone) = rights_words(held, all);
        let mut notes = Line::empty();
        if row.object.extension {
            notes = notes.known("extension ", Tone::Dim);
        }
        if row.object.rls {
            notes = notes.known("row level security ", Tone::Info);
        }
        if j.matrix.owns(below.who, row.object.owner) {
            notes = notes.known("owns it ", Tone::Dim);
        }
        let mut inserts = held.contains(Privilege::Insert);
        if let Some(shapes) = &j.snapshot.shapes {
            let grants = shapes.column_grants_in(below.schema_oid);
            let of = |g: &&ColumnGrant| g.relation_oid == row.object.oid;
            let grants: Vec<ColumnGrant> = grants.iter().filter(of).cloned().collect();
            let more = j.matrix.columns(below.who, &grants).on_any().minus(held);
            inserts |= more.contains(Privilege::Insert);
            if !more.is_empty() {
                notes = notes.and(&format!("{more} on single columns "), Tone::Info);
            }
        }
        let schema = catalog.schemas.get(below.schema).filter(|_| inserts);
        if schema
            .is_some_and(|s| !lacking(catalog, &j.matrix, &j.snapshot.objects, below.who, s, &row.object).is_empty())
        {
            notes = notes.known("INSERT lacks a sequence ", Tone::Warning);
        }
        vec![
            Line::new(&row.object.name, Tone::Strong),
            Line::new(row.object.kind.word(), Tone::Dim),
            Line::new(&text, tone),
            Line::new(&catalog.role_name(row.object.owner), Tone::Text),
            notes,
        ]
    }

    fn object_story(&self, ctx: &Ctx<'_>, index: usize) -> Option<Story> {
        let (below, row) = (self.below.as_ref()?, self.objects.get(index)?);
        let j = judgement(ctx, below.instance)?;
        let schema = j.snapshot.catalog.schemas.get(below.schema)?;
        Some(why(j, below.who, &below.role, &Subject::Object(schema, &row.object)))
    }

    fn cell_lines(&self, ctx: &Ctx<'_>, row: &RoleRow, schema: usize, width: u16) -> Vec<Line> {
        let Some(j) = judgement(ctx, row.instance) else { return Vec::new() };
        let Some(of) = j.snapshot.catalog.schemas.get(schema) else { return Vec::new() };
        let judged = j.judge().cell(row.who, schema);
        let mut head = Line::new(&row.name, Tone::Strong).known(" × ", Tone::Dim).and(&of.name, Tone::Strong);
        if let Some(declared) = &judged.declared {
            head = head.known("   declared: ", Tone::Dim).and(&words::levels(declared), Tone::Text);
        }
        head = head.known("   observed: ", Tone::Dim).and(&words::observed(&judged.cell), Tone::Text);
        let mut lines = wrapped(head, width);
        if let Some(columns) = judged.columns.as_ref().filter(|_| !judged.on_columns().is_empty()) {
            let text = format!("On single columns: {}.", words::on_columns(columns));
            let dead = if judged.cell.usage { "" } else { " Dead: there is no USAGE on the schema." };
            lines.push(Line::new(&text, Tone::Text).known(dead, Tone::Warning));
        }
        for text in words::differences(&judged.missing) {
            lines.push(Line(vec![Span::known("− missing: ", Tone::Missing)]).and(&text, Tone::Text));
        }
        for text in words::differences(&judged.excess) {
            lines.push(Line(vec![Span::known("+ too much: ", Tone::Excess)]).and(&text, Tone::Text));
        }
        for e in judged.on_columns_alone() {
            let columns = crate::text::count(u64::from(e.columns), "single column", "single columns");
            let text = format!("{} on {columns}", e.privilege);
            lines.push(Line(vec![Span::known("+ too much: ", Tone::Excess)]).and(&text, Tone::Text));
        }
        if judged.unowned > 0 {
            let text = format!("− does not own {} of what it should own here", judged.unowned);
            lines.push(Line::new(&text, Tone::Missing));
        }
        if judged.cell.dead {
            let text =
                format!("Dead: it holds rights on objects, but no USAGE on schema {}, so none of them works.", of.name);
            lines.push(Line::new(&text, Tone::Warning));
        }
        if let Some(text) = inserts_that_fail(j, row.who, of) {
            lines.push(Line::new(&text, Tone::Warning));
        }
        if !judged.cell.via.is_empty() {
            lines.push(Line::new(&format!("Held {}.", words::via(&judged.cell.via)), Tone::Dim));
        }
        if judged.drift == Some(crate::policy::judge::Drift::Undeclared) {
            lines.push(Line::new("The policy names no such access: declare it, or take it away.", Tone::Excess));
        }
        if judged.cell.bypasses_rls && !judged.cell.superuser {
            lines.push(Line::new("Row level security does not bind this role (BYPASSRLS).", Tone::Warning));
        }
        if let (Who::Role(role), true) = (row.who, lines.len() < 7) {
            lines.extend(after_set_role(j, role, schema, &judged));
        }
        let fixable = self.fixable(j, row.instance);
        let of_role = || fixable.of_role(&row.name).iter().filter_map(|i| j.findings.get(*i));
        let judge = j.judge();
        let here = |f: &&Finding| {
            f.fix.as_ref().is_some_and(|fix| !fix.is_empty())
                && (f.schema.as_deref() == Some(of.name.as_str()) || comes_by(&judge, j, f, row.who, schema))
        };
        let shown = of_role().filter(here).find(|f| shows(&judged, f.code));
        let finding = shown.or_else(|| of_role().find(here));
        if let Some(fix) = finding.and_then(crate::plan::sql::fix_sql)
            && let Some(first) = fix.first()
        {
            let awaits = finding.is_some_and(Finding::awaits_names);
            // the cell says nothing of it, so the finding does
            if let (None, Some(finding)) = (shown, finding) {
                let glyph = Span::known(finding.severity.glyph(), super::findings::tone(finding.severity));
                lines.push(Line(vec![glyph]).known(" ", Tone::Text).and(&finding.message, Tone::Text));
            }
            let more = if fix.len() > 1 { format!("  … {} statements", fix.len()) } else { String::new() };
            let head = Line(vec![Span::known("Fix: ", Tone::Dim)]);
            lines.push(if awaits {
                head.known("f shows the statements; they name their objects, which are read for that", Tone::Dim)
            } else {
                head.join(sql_spans::our_line(first, 2000)).and(&more, Tone::Dim)
            });
        }
        lines
    }
}

/// Tables into which it may insert, though not without a number that it may not take: told where the objects of the schema
/// have been read.
fn inserts_that_fail(j: &Judgement, who: Who, schema: &Schema) -> Option<String> {
    let catalog = &j.snapshot.catalog;
    let objects = j.snapshot.objects.0.get(&schema.oid).filter(|o| !o.numbered.is_empty())?;
    let numbered: BTreeSet<Oid> = objects.numbered.iter().map(|n| n.table).collect();
    let fails = |o: &&Object| {
        numbered.contains(&o.oid)
            && j.matrix.rights(catalog, who, ObjectKind::Table, o.owner, &o.acl).contains(Privilege::Insert)
            && !lacking(catalog, &j.matrix, &j.snapshot.objects, who, schema, o).is_empty()
    };
    let names: Vec<&str> = objects.relations.iter().filter(fails).map(|o| o.name.as_str()).collect();
    let (into, their) =
        (crate::text::list(&names, 3), if names.len() == 1 { "its sequence" } else { "their sequences" });
    (!names.is_empty()).then(|| {
        format!("An INSERT into {into} fails where it leaves the number to {their}: no USAGE there. Enter on the table: why.")
    })
}

/// What SET ROLE would add here, or as whom it could act elsewhere: nothing of it is in the cell.
fn after_set_role(j: &Judgement, role: usize, schema: usize, judged: &Judged) -> Option<Line> {
    if judged.cell.superuser {
        return None;
    }
    let closure = &j.matrix.closure;
    let name = |at: usize| j.snapshot.catalog.roles.get(at).map_or("", |r| r.name.as_str());
    let judge = j.judge();
    let here = |became: &usize| {
        let there = judge.cell(Who::Role(*became), schema);
        let own = there.cell.superuser || there.cell.via.iter().any(|v| *v != Via::Public);
        (own || !there.on_columns().is_empty()).then_some((*became, there))
    };
    let mut adding: Vec<(usize, Judged)> =
        closure.beyond(role).iter().filter_map(here).filter(|_| judged.by_set_role).collect();
    // a superuser first, then who adds most; those that add alike as they are named
    adding.sort_by_key(|(_, there)| std::cmp::Reverse((there.cell.superuser, adds(judged, there))));
    let mut adding = adding.into_iter();
    let Some((first, there)) = adding.next() else {
        let others: Vec<&str> = closure.beyond(role).iter().map(|at| name(*at)).collect();
        let text = format!("After SET ROLE it could also act as {}.", crate::text::list(&others, 4));
        return (!others.is_empty()).then(|| Line::new(&text, Tone::Dim));
    };
    let mut has = words::observed(&there.cell);
    if let Some(columns) = there.columns.as_ref().filter(|_| !there.on_columns().is_empty()) {
        has = format!("{has}; on single columns {}", words::on_columns(columns));
    }
    let more: Vec<&str> = adding.map(|(at, _)| name(at)).collect();
    let more = if more.is_empty() { String::new() } else { format!("; or as {}", crate::text::list(&more, 3)) };
    let line = Line(vec![Span::known("◃ Only after SET ROLE: as ", Tone::Dim)]).and(name(first), Tone::Text);
    Some(line.known(" it would have ", Tone::Dim).and(&has, Tone::Text).and(&more, Tone::Dim).known(".", Tone::Dim))
}

/// How many rights one cell has that another has not: on the schema, on each object, on columns.
fn adds(judged: &Judged, there: &Judged) -> u32 {
    let kinds = [ObjectKind::Table, ObjectKind::Sequence, ObjectKind::Routine];
    let more = |before: &Counts, after: &Counts| -> u32 {
        after.on_any().iter().map(|p| after.of(p).saturating_sub(before.of(p))).sum()
    };
    let columns = there.columns.as_ref().zip(judged.columns.as_ref()).map_or(0, |(after, before)| more(before, after));
    there.cell.schema().minus(judged.cell.schema()).count()
        + kinds.into_iter().map(|kind| more(judged.cell.judged(kind), there.cell.judged(kind))).sum::<u32>()
        + columns
}

/// The finding is about a membership by which a role has too much in this schema.
fn comes_by(judge: &Judge<'_>, j: &Judgement, finding: &Finding, who: Who, schema: usize) -> bool {
    let group = finding.object.as_deref().filter(|_| finding.code == "membership-excess");
    let group = group.and_then(|name| j.matrix.index.role_named(name));
    group.is_some_and(|group| {
        let gives = |who: Who| judge.cell(who, schema);
        gives(Who::Role(group)).cell.via.iter().any(|v| *v != Via::Public) && !gives(who).excess.is_empty()
    })
}

/// What the cell shows is what a finding of this code is about.
fn shows(judged: &Judged, code: &str) -> bool {
    match code {
        "grant-missing" | "grant-fragile" => !judged.missing.is_empty(),
        "grant-excess" | "membership-excess" => !judged.excess.is_empty(),
        "grant-column-excess" => judged.on_columns_alone().next().is_some(),
        "undeclared-access" => judged.drift == Some(crate::policy::judge::Drift::Undeclared),
        "grant-dead" => judged.cell.dead,
        _ => false,
    }
}

/// `everything`, `SELECT, INSERT`, `nothing`.
fn rights_words(held: Privileges, all: Privileges) -> (String, Tone) {
    if held.is_empty() {
        ("nothing".to_owned(), Tone::Dim)
    } else if held.contains_all(all) && all.count() > 1 {
        ("everything".to_owned(), Tone::Text)
    } else {
        (held.to_string(), Tone::Text)
    }
}

/// Breaks a line at spans where it would not fit; never inside a word of another span.
fn wrapped(line: Line, width: u16) -> Vec<Line> {
    let mut lines = vec![Line::empty()];
    let mut used = 0;
    for span in line.0 {
        let w = span.width();
        if used > 0 && used + w > usize::from(width) {
            lines.push(Line::empty());
            used = 0;
        }
        used += w;
        if let Some(last) = lines.last_mut() {
            last.0.push(span);
        }
    }
    lines
}

/// The whole answer for one role and one object: every privilege with its paths.
#[must_use]
pub fn why(j: &Judgement, who: Who, role: &str, subject: &Subject<'_>) -> Story {
    let catalog: &Catalog = &j.snapshot.catalog;
    let name = subject.name(catalog);
    let verdicts = explain(catalog, &j.matrix, j.snapshot.shapes.as_deref(), &j.snapshot.objects, who, subject, None);
    let mut lines = Vec::new();
    let written = |changes: &[Change]| changes.iter().flat_map(crate::plan::sql::statements).collect::<Vec<String>>();
    for verdict in &verdicts {
        let lacks: Vec<(&str, Vec<String>)> =
            verdict.lacks.iter().map(|l| (l.sentence.as_str(), written(&l.fix))).collect();
        lines.extend(words::verdict(role, &name, verdict, &lacks, &written(&verdict.fix)));
        lines.push(Line::empty());
    }
    let copy = lines.iter().map(Line::plain).collect::<Vec<_>>().join("\n");
    let title = Line::new(role, Tone::Strong).known(" and the ", Tone::Dim).and(subject.word(), Tone::Dim);
    Story { title: title.known(" ", Tone::Dim).and(&name, Tone::Strong), lines, copy }
}

impl Pane for Grants {
    fn spec(&self) -> &'static PaneSpec {
        &SPEC
    }

    fn load(&mut self, ctx: &Ctx<'_>) -> Vec<Entry> {
        self.drawn.borrow_mut().clear();
        self.alike.borrow_mut().clear();
        *self.told.borrow_mut() = None;
        if self.below.as_mut().is_some_and(|b| !judgement(ctx, b.instance).is_some_and(|j| b.follows(j))) {
            self.below = None;
        }
        if self.below.is_some() { self.load_objects(ctx) } else { self.load_matrix(ctx) }
    }

    fn columns(&self, ctx: &Ctx<'_>) -> Vec<Column> {
        if self.below.is_some() {
            return vec![
                Column::left("object", 16, 40, 0),
                Column::left("kind", 8, 18, 3),
                Column { sorts: true, ..Column::left("may", 12, u16::MAX, 0) },
                Column { sorts: false, ..Column::left("owner", 8, 20, 2) },
                Column { sorts: false, ..Column::left("", 0, 30, 4) },
            ];
        }
        let mut columns = vec![Column { frozen: true, ..Column::left("role", 12, 24, 0) }];
        if self.several {
            columns.push(Column { frozen: true, ..Column::left("instance", 6, 12, 0) });
        }
        let mark = Column { frozen: true, sorts: false, ..Column::left("", 1, 1, 0) };
        columns.push(mark);
        let narrow = ctx.width < 100;
        columns.extend(self.schemas.iter().map(|(name, _)| Column {
            title: Cow::Owned(name.clone()),
            min: if narrow { 9 } else { 12 },
            max: 18,
            align: Align::Left,
            drop: 0,
            frozen: false,
            sorts: false,
        }));
        columns
    }

    fn cells(&self, ctx: &Ctx<'_>, index: usize) -> Vec<Line> {
        let all: Vec<usize> = (0..self.columns(ctx).len()).collect();
        self.cells_of(ctx, index, &all)
    }

    fn cells_of(&self, ctx: &Ctx<'_>, index: usize, columns: &[usize]) -> Vec<Line> {
        if self.below.is_some() {
            let mut cells = self.object_cells(ctx, index);
            return columns.iter().map(|c| cells.get_mut(*c).map(std::mem::take).unwrap_or_default()).collect();
        }
        let Some(row) = self.rows.get(index) else { return vec![Line::empty(); columns.len()] };
        let mark_column = 1 + usize::from(self.several);
        columns
            .iter()
            .map(|column| {
                if *column == 0 {
                    let tone = if row.who == Who::Public { Tone::Accent } else { Tone::Strong };
                    return Line::new(&row.name, tone);
                }
                if *column == mark_column {
                    return Line::new(row.mark, Tone::Superuser);
                }
                let Some(schema) = self.schema_column(*column) else {
                    return Line::new(ctx.instances.get(row.instance).map_or("", |i| &i.name), Tone::Dim);
                };
                let position = self.schemas.get(schema).and_then(|(_, places)| places.get(&row.instance));
                match (position, judgement(ctx, row.instance)) {
                    (Some(position), Some(j)) => self.cell(j, (index, row.instance, row.who), schema, *position),
                    _ => Line::empty(),
                }
            })
            .collect()
    }

    fn inspector(&self, ctx: &Ctx<'_>, index: usize, column: usize, width: u16) -> Vec<Line> {
        if self.below.is_some() {
            let Some(story) = self.object_story(ctx, index) else { return Vec::new() };
            return story.lines.into_iter().take(7).collect();
        }
        let Some(row) = self.rows.get(index) else { return Vec::new() };
        let position = self
            .schema_column(column)
            .and_then(|c| self.schemas.get(c))
            .and_then(|(_, places)| places.get(&row.instance));
        match position {
            Some(schema) => {
                let key = (index, *schema, width);
                let mut told = self.told.borrow_mut();
                if told.as_ref().is_none_or(|(of, _)| *of != key) {
                    *told = Some((key, self.cell_lines(ctx, row, *schema, width)));
                }
                told.as_ref().map(|(_, lines)| lines.clone()).unwrap_or_default()
            }
            None => role_lines(ctx, row),
        }
    }

    fn enter(&mut self, ctx: &Ctx<'_>, index: usize, column: usize) -> Enter {
        if self.below.is_some() {
            return match self.object_story(ctx, index) {
                Some(story) => Enter::Story(story),
                None => Enter::Nothing("the object is gone"),
            };
        }
        let Some(row) = self.rows.get(index).cloned() else { return Enter::Nothing("no cell is selected") };
        let Some(place) = self.schema_column(column).and_then(|c| self.schemas.get(c)) else {
            if row.who == Who::Public {
                return Enter::Nothing("PUBLIC is every role and no role of its own: move to a cell and press Enter");
            }
            return Enter::Go { pane: "roles", row: Some(RowId(row.instance, row.name)) };
        };
        let (Some(schema), Some(j)) = (place.1.get(&row.instance).copied(), judgement(ctx, row.instance)) else {
            return Enter::Nothing("this instance has no schema of that name");
        };
        let Some(Schema { oid, name, .. }) = j.snapshot.catalog.schemas.get(schema) else {
            return Enter::Nothing("the schema is gone");
        };
        let role_oid = match row.who {
            Who::Public => None,
            Who::Role(role) => match j.snapshot.catalog.roles.get(role) {
                Some(role) => Some(role.oid),
                None => return Enter::Nothing("the role is gone"),
            },
        };
        self.below = Some(Below {
            instance: row.instance,
            who: row.who,
            role_oid,
            role: row.name,
            schema,
            schema_oid: *oid,
            schema_name: name.clone(),
            loaded: false,
        });
        Enter::Down
    }

    fn enter_word(&self) -> &'static str {
        "why"
    }

    fn fixes(&self, ctx: &Ctx<'_>, index: usize, column: usize, reach: Reach) -> Vec<String> {
        let (row, place) = match &self.below {
            // below a cell, every object is of that cell
            Some(below) => {
                let role = self.rows.iter().find(|r| r.instance == below.instance && r.name == below.role);
                (role, Some(below.schema_name.as_str()))
            }
            None => {
                let place = self.schema_column(column).and_then(|c| self.schemas.get(c));
                (self.rows.get(index), place.map(|(name, _)| name.as_str()))
            }
        };
        let Some(row) = row else { return Vec::new() };
        let Some(j) = judgement(ctx, row.instance) else { return Vec::new() };
        let fixable = self.fixable(j, row.instance);
        let judge = j.judge();
        let position = match &self.below {
            Some(below) => Some(below.schema),
            None => self
                .schema_column(column)
                .and_then(|c| self.schemas.get(c))
                .and_then(|(_, places)| places.get(&row.instance).copied()),
        };
        let positions = match (reach, place) {
            (Reach::Here | Reach::Row, _) => fixable.of_row(row.who, &row.name),
            (Reach::Column, Some(schema)) => fixable.of_schema(schema),
            (Reach::Column, None) => &[],
        };
        // the role's own column stands for the whole row
        let here = place.filter(|_| reach == Reach::Here);
        let meant = |f: &&Finding| {
            f.fix.as_ref().is_some_and(|fix| !fix.is_empty())
                && here.is_none_or(|s| {
                    f.schema.as_deref() == Some(s) || position.is_some_and(|p| comes_by(&judge, j, f, row.who, p))
                })
        };
        positions.iter().filter_map(|i| j.findings.get(*i)).filter(meant).map(|f| f.id.clone()).collect()
    }

    fn unfixed(&self, ctx: &Ctx<'_>, index: usize) -> Vec<String> {
        let Some(row) = self.rows.get(index).filter(|_| self.below.is_none()) else { return Vec::new() };
        let Some(j) = judgement(ctx, row.instance) else { return Vec::new() };
        let Who::Role(_) = row.who else { return Vec::new() };
        let of_row = |f: &&Finding| f.severity > Severity::Info && f.role.as_ref() == Some(&row.name);
        j.findings.iter().filter(of_row).take(2).map(super::findings::by_hand).collect()
    }

    fn back(&mut self) -> bool {
        self.below.take().is_some()
    }

    fn crumbs(&self) -> Option<String> {
        self.below.as_ref().map(|b| format!("{} × {}", b.role, b.schema_name))
    }

    fn copy(&self, ctx: &Ctx<'_>, index: usize, column: usize) -> String {
        if self.below.is_some() {
            return self.object_story(ctx, index).map(|s| s.copy).unwrap_or_default();
        }
        let lines = self.inspector(ctx, index, column, u16::MAX);
        lines.iter().map(Line::plain).collect::<Vec<_>>().join("\n")
    }

    fn top(&self, ctx: &Ctx<'_>, _width: u16) -> Vec<Line> {
        let Some(below) = &self.below else { return Vec::new() };
        let Some(j) = judgement(ctx, below.instance) else { return Vec::new() };
        let Some(schema) = j.snapshot.catalog.schemas.get(below.schema) else { return Vec::new() };
        let usage = j.matrix.rights(&j.snapshot.catalog, below.who, ObjectKind::Schema, schema.owner, &schema.acl);
        let head = Line::new(&below.role, Tone::Strong)
            .known(" in schema ", Tone::Dim)
            .and(&below.schema_name, Tone::Strong)
            .known(": ", Tone::Dim);
        let (text, tone) = if usage.is_empty() {
            ("no right on the schema itself, so nothing below works".to_owned(), Tone::Warning)
        } else if usage.contains(Privilege::Usage) {
            (format!("{usage} on the schema"), Tone::Text)
        } else {
            (format!("{usage} on the schema, but no USAGE, so nothing below works"), Tone::Warning)
        };
        vec![head.and(&text, tone)]
    }

    fn empty(&self, ctx: &Ctx<'_>) -> Vec<Line> {
        if let Some(below) = &self.below {
            return vec![if below.loaded {
                Line::new("The schema holds no tables, sequences or routines.", Tone::Dim)
            } else {
                Line::new("Reading the names of its objects …", Tone::Dim)
            }];
        }
        if ctx.shown().all(|(_, i)| i.judgement.is_none()) {
            return vec![Line::new("Waiting for the first answer of the server.", Tone::Dim)];
        }
        if self.only_differences {
            return vec![Line::new("Nothing differs from the policy. d shows every cell again.", Tone::Good)];
        }
        vec![Line::new("No role has any right in a schema of its own yet.", Tone::Dim)]
    }

    fn by_cell(&self) -> bool {
        self.below.is_none()
    }

    fn wants(&self, _ctx: &Ctx<'_>, _visible: &[usize], _selected: Option<usize>) -> Vec<Want> {
        match &self.below {
            Some(b) => vec![Want::Objects { instance: b.instance, schemas: vec![b.schema_oid], beneath: true }],
            None => Vec::new(),
        }
    }

    fn badge(&self, ctx: &Ctx<'_>) -> Option<u64> {
        let differing: Option<u64> =
            ctx.shown().filter_map(|(_, i)| i.judgement.as_ref()?.cells).map(|(_, differ)| differ).reduce(|a, b| a + b);
        differing.filter(|n| *n > 0)
    }

    fn toggle_differences(&mut self) -> bool {
        if self.below.is_some() {
            return false;
        }
        self.only_differences = !self.only_differences;
        true
    }

    fn differences(&self) -> Option<bool> {
        self.below.is_none().then_some(self.only_differences)
    }
}

fn role_lines(ctx: &Ctx<'_>, row: &RoleRow) -> Vec<Line> {
    let Some(j) = judgement(ctx, row.instance) else { return Vec::new() };
    let Who::Role(position) = row.who else {
        return vec![
            Line::new("PUBLIC is every role, those of tomorrow too.", Tone::Text),
            Line::new("What PUBLIC may do, nobody can be kept from: move to a cell to see it.", Tone::Dim),
        ];
    };
    let groups: Vec<String> = j
        .matrix
        .closure
        .parents(position)
        .iter()
        .filter_map(|e| j.snapshot.catalog.roles.get(e.role).map(|r| r.name.clone()))
        .collect();
    let member = if groups.is_empty() { "no role".to_owned() } else { crate::text::list(&groups, 6) };
    vec![
        Line::new(&row.name, Tone::Strong)
            .known(if row.mark.is_empty() { "" } else { "  is a superuser: everything is allowed" }, Tone::Superuser),
        Line(vec![Span::known("Member of ", Tone::Dim)]).and(&member, Tone::Text),
        Line::new("Move right to a cell; Enter here opens the role.", Tone::Dim),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::{
            instance::Instance,
            panes::sample::{POSTGRES, Sample, ctx},
        },
        domain::{
            change::{Grantee, On},
            snapshot::{Numbered, Role},
        },
        policy::checks::{arbitrary, fixture::Fixture},
    };

    proptest::proptest! {
        #![proptest_config(arbitrary::cases())]
        /// A cell that is taken for that of all who hold nothing there is what counting it gives, whoever is asked first;
        /// and what has a fix is found as by looking at every finding.
        #[test]
        fn what_is_kept_is_what_counting_gives(f in arbitrary::databases(), declared in proptest::prelude::any::<bool>()) {
            let rules = "[[service]]\nname='l'\nschema='langflow'\nrole='langflow_app'\n\
                [[role]]\nname='reader'\naccess={langflow=['read'],public=['write']}\nmember_of=['g_ro']\n";
            let case = if declared { f.policy(rules) } else { f }.case();
            let policy = case.policy.map(Arc::new);
            let j = Judgement::new(Arc::new(case.snapshot), policy, case.lineages, None);
            let grants = Grants::default();
            let roles_first = |who: Who| match who {
                Who::Role(role) => role,
                Who::Public => usize::from(u16::MAX),
            };
            for schema in 0..j.snapshot.catalog.schemas.len() {
                let roles = (0..j.snapshot.catalog.roles.len()).map(Who::Role);
                for who in std::iter::once(Who::Public).chain(roles) {
                    let counted = words::cell_of(&j, who, schema, &j.judge().cell(who, schema));
                    let row = roles_first(who);
                    for _ in 0..2 {
                        proptest::prop_assert_eq!(grants.cell(&j, (row, 0, who), schema, schema), counted.clone());
                    }
                }
            }
            let fixable = grants.fixable(&j, 0);
            for role in &j.snapshot.catalog.roles {
                let of = |f: &Finding| f.fix.is_some() && f.role.as_ref() == Some(&role.name);
                let searched: Vec<usize> = (0..j.findings.len()).filter(|i| of(&j.findings[*i])).collect();
                proptest::prop_assert_eq!(fixable.of_row(Who::Role(0), &role.name), searched);
            }
            for schema in &j.snapshot.catalog.schemas {
                let of = |f: &Finding| f.fix.is_some() && f.schema.as_ref() == Some(&schema.name);
                let searched: Vec<usize> = (0..j.findings.len()).filter(|i| of(&j.findings[*i])).collect();
                proptest::prop_assert_eq!(fixable.of_schema(&schema.name), searched);
            }
            let of = |f: &Finding| f.fix.is_some() && f.role.is_none() && f.code == "public-privilege";
            let searched: Vec<usize> = (0..j.findings.len()).filter(|i| of(&j.findings[*i])).collect();
            proptest::prop_assert_eq!(fixable.of_row(Who::Public, "PUBLIC"), searched);
        }
    }

    #[test]
    fn too_much_by_a_membership_is_mended_at_the_membership() {
        let rules =
            "[[service]]\nname='s'\nschema='shop'\nrole='app'\n[[service]]\nname='o'\nschema='own'\nrole='other'\n";
        let f = Fixture::new()
            .role("app")
            .role("other")
            .schema("shop", "app")
            .schema("own", "other")
            .table("shop", "t", "app");
        let case = f.member("app", "other").policy(rules).case();
        let policy = case.policy.map(Arc::new);
        let judgement = Judgement::new(Arc::new(case.snapshot), policy, case.lineages, None);
        let instances = [Instance { judgement: Some(Arc::new(judgement)), ..Sample::new().instance() }];
        let ctx = ctx(&instances, 120);
        let mut pane = Grants::default();
        pane.load(&ctx);
        let row = pane.rows.iter().position(|r| r.name == "other").unwrap();
        let column = |name: &str| 2 + pane.schemas.iter().position(|(schema, _)| schema == name).unwrap();
        let fixes = |column: usize| pane.fixes(&ctx, row, column, Reach::Here);
        assert!(
            fixes(column("shop")).contains(&"membership-excess:other:app".to_owned()),
            "{:?}",
            fixes(column("shop"))
        );
        assert!(!fixes(column("own")).contains(&"membership-excess:other:app".to_owned()), "nothing comes by it there");
        let said = pane.inspector(&ctx, row, column("shop"), 120);
        assert!(said.iter().any(|l| l.plain().contains("Fix: REVOKE app FROM other;")), "{said:?}");
    }

    #[test]
    fn who_reaches_a_schema_by_set_role_or_on_single_columns_alone_has_a_row() {
        let f = Fixture::new().role("app").role("reader").role("late").role("far").role("single").role("nobody");
        let f = f.group("holders").schema("shop", "app").table("shop", "t", "app");
        let f = f.grant_schema("shop", "reader", "USAGE").grant("shop.t", "reader", "SELECT");
        let later = |f: Fixture, group: &str, member: &str| f.membership(group, member, |m| m.inherit = false);
        let f = later(later(f, "reader", "late"), "late", "far");
        let f = f.column_grant("shop.t", "a", "holders", "SELECT").member("holders", "single");
        let case = f.case();
        let judgement = Judgement::new(Arc::new(case.snapshot), None, case.lineages, None);
        let instances = [Instance { judgement: Some(Arc::new(judgement)), ..Sample::new().instance() }];
        let ctx = ctx(&instances, 120);
        let mut pane = Grants::default();
        pane.load(&ctx);
        let names: Vec<&str> = pane.rows.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(names, ["app", "far", "holders", "late", "reader", "single", "postgres", "PUBLIC"]);
        let column = 2 + pane.schemas.iter().position(|(schema, _)| schema == "shop").unwrap();
        let cell = |row: usize| pane.cells_of(&ctx, row, &[column])[0].plain();
        let cells: Vec<String> = (0..names.len()).map(cell).collect();
        assert_eq!(cells, ["own", "◃", "cols dead", "◃", "read", "cols dead", "su", "·"]);
        let told = |row: usize| -> String {
            pane.inspector(&ctx, row, column, 200).iter().map(|l| l.plain() + "\n").collect()
        };
        assert!(
            told(1).contains("Only after SET ROLE: as reader it would have USAGE; SELECT on its one table."),
            "{}",
            told(1)
        );
        assert!(told(5).contains("On single columns: SELECT on 1 column. Dead"), "{}", told(5));
    }

    #[test]
    fn who_may_become_a_superuser_is_not_shown_as_powerless() {
        let f = Fixture::new().role("app").role("frank").group("mid").group("dba");
        let f = f.edit_role("dba", |r| r.superuser = true).member("dba", "mid").member("mid", "frank");
        let case = f.schema("shop", "app").table("shop", "t", "app").case();
        let judgement = Judgement::new(Arc::new(case.snapshot), None, case.lineages, None);
        let instances = [Instance { judgement: Some(Arc::new(judgement)), ..Sample::new().instance() }];
        let ctx = ctx(&instances, 120);
        let mut pane = Grants::default();
        pane.load(&ctx);
        let column = 2 + pane.schemas.iter().position(|(schema, _)| schema == "shop").unwrap();
        for name in ["frank", "mid"] {
            let row = pane.rows.iter().position(|r| r.name == name).unwrap();
            assert_eq!(pane.cells_of(&ctx, row, &[column])[0].plain(), "◃", "{name}");
            let told: String = pane.inspector(&ctx, row, column, 200).iter().map(|l| l.plain() + "\n").collect();
            assert!(told.contains("Only after SET ROLE: as dba"), "{told}");
            let j = instances[0].judgement.as_ref().unwrap();
            let catalog = &j.snapshot.catalog;
            let schema = catalog.schemas.iter().find(|s| s.name == "shop").unwrap();
            let who = Who::Role(catalog.roles.iter().position(|r| r.name == name).unwrap());
            let told = why(j, who, name, &Subject::Schema(schema)).copy;
            assert!(told.contains("may become dba, a superuser, with SET ROLE"), "{told}");
        }
    }

    #[test]
    fn the_strongest_role_that_could_be_become_is_the_example() {
        let shown = |superuser: bool| {
            let f = Fixture::new().role("app").role("frank").role("a_little").role("b_much").role("c_dba");
            let f = f.edit_role("c_dba", |r| r.superuser = superuser).schema("shop", "app");
            let f = f.table("shop", "t", "app").table("shop", "u", "app").grant_schema("shop", "a_little", "USAGE");
            let f = f.grant_schema("shop", "b_much", "USAGE").grant("shop.t", "a_little", "SELECT");
            let f = f.grant("shop.t", "b_much", "SELECT").grant("shop.u", "b_much", "SELECT");
            let later = |f: Fixture, group: &str| f.membership(group, "frank", |m| m.inherit = false);
            let case = later(later(later(f, "a_little"), "b_much"), "c_dba").case();
            let judgement = Judgement::new(Arc::new(case.snapshot), None, case.lineages, None);
            let instances = [Instance { judgement: Some(Arc::new(judgement)), ..Sample::new().instance() }];
            let ctx = ctx(&instances, 120);
            let mut pane = Grants::default();
            pane.load(&ctx);
            let column = 2 + pane.schemas.iter().position(|(schema, _)| schema == "shop").unwrap();
            let row = pane.rows.iter().position(|r| r.name == "frank").unwrap();
            pane.inspector(&ctx, row, column, 200).iter().map(|l| l.plain() + "\n").collect::<String>()
        };
        let told = shown(false);
        assert!(told.contains("as b_much it would have USAGE; SELECT on all 2 tables; or as a_little."), "{told}");
        let told = shown(true);
        assert!(told.contains("as c_dba it would have everything: superuser; or as b_much and a_little."), "{told}");
    }

    #[test]
    fn what_is_open_below_a_cell_stays_its_roles_when_others_come_and_go() {
        let base = || Fixture::new().role("app").role("reader").schema("shop", "app").table("shop", "t", "app");
        let granted = |f: Fixture| f.grant_schema("shop", "reader", "USAGE").grant("shop.t", "reader", "SELECT");
        let before = granted(base());
        let oid = before.role_oid("reader");
        let instance = |f: Fixture, change: fn(&mut Vec<Role>)| {
            let mut case = f.case();
            let catalog = Arc::make_mut(&mut case.snapshot.catalog);
            change(&mut catalog.roles);
            let judgement = Judgement::new(Arc::new(case.snapshot), None, case.lineages, None);
            Instance { judgement: Some(Arc::new(judgement)), ..Sample::new().instance() }
        };
        let mut pane = Grants::default();
        let first = [instance(before, |_| {})];
        let seen = ctx(&first, 120);
        pane.load(&seen);
        let row = pane.rows.iter().position(|r| r.name == "reader").unwrap();
        let column = 2 + pane.schemas.iter().position(|(schema, _)| schema == "shop").unwrap();
        assert!(matches!(pane.enter(&seen, row, column), Enter::Down));
        let asked = |pane: &mut Grants, instances: &[Instance]| {
            let ctx = ctx(instances, 120);
            pane.load(&ctx);
            pane.object_story(&ctx, 0).map(|story| story.copy)
        };
        let may = "May reader SELECT from shop.t?";
        let story = asked(&mut pane, &first).unwrap();
        assert!(story.contains(may) && story.contains("──granted by app──▶"), "{story}");
        // one that is listed before all others
        let later = [instance(granted(base()), |roles| {
            let newcomer = Role { oid: Oid(90_000), name: "aaa".into(), ..roles[0].clone() };
            roles.insert(0, newcomer);
        })];
        assert_eq!(asked(&mut pane, &later).as_ref(), Some(&story));
        // the role is gone: the matrix again
        let gone = [instance(granted(base()), |roles| roles.retain(|r| r.name != "reader"))];
        assert!(gone[0].judgement.as_ref().unwrap().snapshot.catalog.roles.iter().all(|r| r.oid != oid));
        assert_eq!(asked(&mut pane, &gone), None);
        assert!(pane.crumbs().is_none());
    }

    #[test]
    fn an_insert_that_lacks_a_sequence_is_told_at_the_cell_and_at_the_table() {
        let f = Fixture::new().role("app").role("writer").schema("shop", "app").table("shop", "t", "app");
        let f = f.table("shop", "u", "app").grant_schema("shop", "writer", "USAGE");
        let f = f.grant("shop.t", "writer", "INSERT").grant("shop.u", "writer", "SELECT");
        let (schema, owner) = (f.schema_oid("shop"), f.role_oid("app"));
        let tables = [f.object_oid("shop.t"), f.object_oid("shop.u")];
        let mut case = f.case();
        let of = Arc::make_mut(case.snapshot.objects.0.get_mut(&schema).unwrap());
        of.numbered = tables
            .map(|table| Numbered {
                table,
                column: "id".into(),
                schema: "shop".into(),
                sequence: "t_id_seq".into(),
                owner,
                acl: crate::domain::Acl::NULL,
            })
            .into();
        let judgement = Judgement::new(Arc::new(case.snapshot), None, case.lineages, None);
        let instances = [Instance { judgement: Some(Arc::new(judgement)), ..Sample::new().instance() }];
        let ctx = ctx(&instances, 120);
        let mut pane = Grants::default();
        pane.load(&ctx);
        let row = |pane: &Grants, name: &str| pane.rows.iter().position(|r| r.name == name).unwrap();
        let column = 2 + pane.schemas.iter().position(|(schema, _)| schema == "shop").unwrap();
        let told = |role: &str| {
            let lines = pane.inspector(&ctx, row(&pane, role), column, 200);
            lines.iter().any(|l| l.plain().starts_with("An INSERT into t fails"))
        };
        assert_eq!((told("writer"), told("app")), (true, false));
        let beside = pane.enter(&ctx, row(&pane, "writer"), 0);
        assert!(matches!(beside, Enter::Go { pane: "roles", row: Some(RowId(0, name)) } if name == "writer"));
        assert!(matches!(pane.enter(&ctx, row(&pane, "PUBLIC"), 0), Enter::Nothing(why) if why.starts_with("PUBLIC")));
        assert!(matches!(pane.enter(&ctx, row(&pane, "writer"), column), Enter::Down));
        pane.load(&ctx);
        let marked = |i: usize| pane.cells(&ctx, i)[4].plain().contains("INSERT lacks a sequence");
        assert_eq!((marked(0), marked(1)), (true, false));
        let story = pane.object_story(&ctx, 0).unwrap().copy;
        assert!(story.contains("    GRANT USAGE ON SEQUENCE shop.t_id_seq TO writer;"), "{story}");
    }

    /// The lines about a cell that shows no difference, with one finding about it.
    fn told(code: &'static str) -> String {
        let mut sample = Sample::new();
        let reader = sample.role("reader");
        sample.schema("shop", POSTGRES, Sample::acl(&[(reader, &[Privilege::Usage])]));
        sample.finding(Severity::Warning, Some("shop"), Some("reader"), "reader may pass on what it reads.");
        let finding = sample.findings.last_mut().unwrap();
        finding.code = code;
        finding.fix = Some(vec![Change::Revoke {
            privileges: Privileges::of(&[Privilege::Usage]),
            on: On::Schema("shop".into()),
            from: Grantee::Role("reader".into()),
            option_only: true,
            grantor: None,
        }]);
        let instances = [sample.instance()];
        let ctx = ctx(&instances, 120);
        let mut pane = Grants::default();
        pane.load(&ctx);
        let row = pane.rows.iter().find(|r| r.name == "reader").unwrap();
        pane.cell_lines(&ctx, row, 0, 120).iter().map(|l| l.plain() + "\n").collect()
    }

    #[test]
    fn a_fix_that_the_cell_does_not_show_comes_with_its_finding() {
        let lines = told("grant-option-excess");
        let (why, fix) = (lines.find("reader may pass on"), lines.find("Fix: REVOKE GRANT OPTION"));
        assert!(why.is_some() && why < fix, "{lines}");
    }
}
