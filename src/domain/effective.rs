//! The effective matrix: what each role may do in each schema, exactly as `has_*_privilege` answers, closed in the
//! client from grouped ACLs.
//!
//! Two ways to ask. [`Matrix::cell`] counts one cell exactly, with its provenance. [`Matrix::rows`] gives, for one
//! schema, bit rows over all roles (any object, every object), so that 2,500 roles x 2,000 schemas can be compared with a
//! policy in milliseconds and only the cells that differ are counted.

use super::{
    closure::{Closure, get, ones, or_into},
    ident::Oid,
    privilege::{Acl, ObjectKind, Privilege, Privileges},
    snapshot::{Catalog, ColumnGrant, Group, Index, Schema, Server},
};

/// Position of a role in [`Catalog::roles`], or PUBLIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    Public,
    Role(usize),
}

/// Object counts of one kind in a cell: how many there are and on how many each privilege is effective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub total: u32,
    each: [u32; 16],
    /// On at least one object.
    any: Privileges,
    /// On each object; nothing says where there is none.
    every: Privileges,
}

impl Counts {
    #[must_use]
    pub fn of(&self, privilege: Privilege) -> u32 {
        self.each.get(privilege as usize).copied().unwrap_or(0)
    }
    fn add(&mut self, count: u32, privileges: Privileges) {
        if count == 0 {
            return;
        }
        self.every = if self.total == 0 { privileges } else { self.every.and(privileges) };
        self.any = self.any | privileges;
        self.total += count;
        for privilege in privileges.iter() {
            if let Some(n) = self.each.get_mut(privilege as usize) {
                *n += count;
            }
        }
    }
    /// Privileges effective on every object; all of them when there is none.
    #[must_use]
    pub fn on_all(&self, known: Privileges) -> Privileges {
        if self.total == 0 { known } else { known.and(self.every) }
    }
    /// Privileges effective on at least one object.
    #[must_use]
    pub fn on_any(&self) -> Privileges {
        self.any
    }
}

/// Where an effective privilege comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    Superuser,
    Owner,
    Direct,
    /// An entry for a role whose privileges this one inherits: its name.
    Member(String),
    /// `pg_read_all_data`, `pg_write_all_data`, `pg_maintain`.
    Predefined(&'static str),
    Public,
}

impl std::fmt::Display for Via {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Via::Superuser => f.write_str("superuser"),
            Via::Owner => f.write_str("owner"),
            Via::Direct => f.write_str("direct"),
            Via::Member(name) => write!(f, "member:{name}"),
            Via::Predefined(name) => f.write_str(name),
            Via::Public => f.write_str("PUBLIC"),
        }
    }
}

/// One role in one schema.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cell {
    pub usage: bool,
    pub create: bool,
    /// Owns the schema, itself or through an inherited membership.
    pub owner: bool,
    /// Every object, as the oracle counts.
    pub tables: Counts,
    pub sequences: Counts,
    pub routines: Counts,
    /// The same without members of extensions: what levels and drift are judged by.
    pub judged_tables: Counts,
    pub judged_sequences: Counts,
    pub judged_routines: Counts,
    /// Sorted, without duplicates.
    pub via: Vec<Via>,
    /// Object rights that schema USAGE keeps from working, members of extensions apart.
    pub dead: bool,
    pub superuser: bool,
    /// Objects of the schema that the role owns (itself or by inheritance).
    pub owned: u32,
    /// Of `tables.total`, how many have row level security that does not bind this role.
    pub bypasses_rls: bool,
}

impl Cell {
    #[must_use]
    pub fn counts(&self, kind: ObjectKind) -> &Counts {
        const NONE: &Counts = &Counts { total: 0, each: [0; 16], any: Privileges::NONE, every: Privileges::NONE };
        match kind {
            ObjectKind::Table => &self.tables,
            ObjectKind::Sequence => &self.sequences,
            ObjectKind::Routine => &self.routines,
            ObjectKind::Database | ObjectKind::Schema | ObjectKind::Type => NONE,
        }
    }
    #[must_use]
    pub fn judged(&self, kind: ObjectKind) -> &Counts {
        match kind {
            ObjectKind::Table => &self.judged_tables,
            ObjectKind::Sequence => &self.judged_sequences,
            ObjectKind::Routine => &self.judged_routines,
            ObjectKind::Database | ObjectKind::Schema | ObjectKind::Type => self.counts(kind),
        }
    }
    /// Rights on the schema itself.
    #[must_use]
    pub fn schema(&self) -> Privileges {
        let mut set = Privileges::NONE;
        if self.usage {
            set.insert(Privilege::Usage);
        }
        if self.create {
            set.insert(Privilege::Create);
        }
        set
    }
    /// Nothing at all is effective, apart from what is an extension's and from EXECUTE on routines, which PostgreSQL gives
    /// to PUBLIC.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.usage
            && !self.create
            && !self.owner
            && self.judged_tables.on_any().is_empty()
            && self.judged_sequences.on_any().is_empty()
            && (self.judged_routines.on_any().is_empty() || self.via.iter().all(|v| *v == Via::Public))
    }
}

/// Rows of bits over all roles for one schema; superusers are not in them (they may do everything, and are never
/// judged), nor is what only PUBLIC holds, except in the rows named so.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    words: usize,
    data: Vec<u64>,
    /// Rights that PUBLIC holds on the schema itself.
    pub public_schema: Privileges,
    /// Objects judged, by kind: tables, sequences, routines.
    pub totals: [u32; 3],
    scratch: Vec<u64>,
}

/// Which row of [`Rows`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// Right on the schema, PUBLIC's share left out.
    Schema(Privilege),
    /// Right on the schema, PUBLIC's share included.
    SchemaWithPublic(Privilege),
    /// On at least one object, PUBLIC's share left out.
    Any(ObjectKind, Privilege),
    /// On every object, PUBLIC's share included. Full where there is no object.
    All(ObjectKind, Privilege),
}

const SCHEMA_ROWS: usize = 4;
const TABLE_ROWS: usize = 8;
const SEQUENCE_PRIVILEGES: [Privilege; 3] = [Privilege::Usage, Privilege::Select, Privilege::Update];
const ROW_COUNT: usize = SCHEMA_ROWS + 2 * (TABLE_ROWS + 3 + 1);

impl Row {
    /// Position, or `None` for a privilege that the kind does not have.
    fn position(self) -> Option<usize> {
        let schema = |p: Privilege| match p {
            Privilege::Usage => Some(0),
            Privilege::Create => Some(1),
            _ => None,
        };
        let object = |kind: ObjectKind, p: Privilege| match kind {
            ObjectKind::Table => (p as usize).lt(&TABLE_ROWS).then_some(p as usize),
            ObjectKind::Sequence => SEQUENCE_PRIVILEGES.iter().position(|s| *s == p).map(|i| TABLE_ROWS + i),
            ObjectKind::Routine => (p == Privilege::Execute).then_some(TABLE_ROWS + 3),
            ObjectKind::Database | ObjectKind::Schema | ObjectKind::Type => None,
        };
        match self {
            Row::Schema(p) => schema(p),
            Row::SchemaWithPublic(p) => schema(p).map(|i| i + 2),
            Row::Any(kind, p) => object(kind, p).map(|i| SCHEMA_ROWS + i),
            Row::All(kind, p) => object(kind, p).map(|i| SCHEMA_ROWS + TABLE_ROWS + 4 + i),
        }
    }
}

impl Rows {
    /// The bits of one row, empty for a row that does not exist.
    #[must_use]
    pub fn row(&self, row: Row) -> &[u64] {
        row.position().and_then(|i| self.data.get(i * self.words..(i + 1) * self.words)).unwrap_or_default()
    }

    fn row_mut(&mut self, row: Row) -> &mut [u64] {
        let words = self.words;
        row.position().and_then(|i| self.data.get_mut(i * words..(i + 1) * words)).unwrap_or_default()
    }
}

/// The matrix of one catalog: closed memberships and the groups by schema. Cells are counted when they are asked for.
#[derive(Debug, Default)]
pub struct Matrix {
    pub closure: Closure,
    pub index: Index,
    pub version_num: u32,
    relations: BySchema,
    routines: BySchema,
    types: BySchema,
    read_all: Option<usize>,
    write_all: Option<usize>,
    maintain: Option<usize>,
    /// Bits of the roles that have the privileges of one of these.
    predefined: Vec<u64>,
}

/// Positions of groups, schema by schema, in their order.
#[derive(Debug, Default)]
struct BySchema {
    /// For each schema where its positions end.
    ends: Vec<u32>,
    groups: Vec<u32>,
}

impl BySchema {
    fn new(groups: &[Group], schemas: usize, index: &Index) -> BySchema {
        let of: Vec<Option<usize>> = groups.iter().map(|g| index.schema(g.schema)).collect();
        let mut next = vec![0; schemas];
        for schema in of.iter().flatten() {
            if let Some(count) = next.get_mut(*schema) {
                *count += 1;
            }
        }
        let mut end = 0;
        for count in &mut next {
            end += std::mem::replace(count, end);
        }
        let mut sorted = vec![0; end as usize];
        for (i, schema) in of.iter().enumerate() {
            let Some(next) = schema.and_then(|s| next.get_mut(s)) else { continue };
            if let Some(place) = sorted.get_mut(*next as usize) {
                *place = i as u32;
            }
            *next += 1;
        }
        BySchema { ends: next, groups: sorted }
    }

    fn of(&self, schema: usize) -> &[u32] {
        let begin = schema.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied());
        let range = begin.zip(self.ends.get(schema).copied());
        range.and_then(|(begin, end)| self.groups.get(begin as usize..end as usize)).unwrap_or_default()
    }
}

impl Matrix {
    #[must_use]
    pub fn new(catalog: &Catalog, server: &Server) -> Matrix {
        let index = Index::new(catalog);
        let sorted = |groups: &[Group]| BySchema::new(groups, catalog.schemas.len(), &index);
        let named = |name: &str| index.role_named(name);
        let closure = Closure::new(catalog, server.version_num);
        let (read_all, write_all) = (named("pg_read_all_data"), named("pg_write_all_data"));
        let maintain = named("pg_maintain").filter(|_| server.version_num >= 170_000);
        let mut predefined = vec![0; closure.len().div_ceil(64)];
        for group in [read_all, write_all, maintain].into_iter().flatten() {
            or_into(&mut predefined, closure.heirs(group));
        }
        Matrix {
            closure,
            version_num: server.version_num,
            read_all,
            write_all,
            maintain,
            predefined,
            relations: sorted(&catalog.relations),
            routines: sorted(&catalog.routines),
            types: sorted(&catalog.types),
            index,
        }
    }

    /// Relations and routines of one schema, folded.
    pub fn groups<'a>(&'a self, catalog: &'a Catalog, schema: usize) -> impl Iterator<Item = &'a Group> {
        let relations = self.relations.of(schema).iter().filter_map(|i| catalog.relations.get(*i as usize));
        let routines = self.routines.of(schema).iter().filter_map(|i| catalog.routines.get(*i as usize));
        relations.chain(routines)
    }

    /// Free-standing types of one schema, folded.
    pub fn types<'a>(&'a self, catalog: &'a Catalog, schema: usize) -> impl Iterator<Item = &'a Group> {
        self.types.of(schema).iter().filter_map(|i| catalog.types.get(*i as usize))
    }

    fn inherits(&self, role: usize, group: Option<usize>) -> bool {
        group.is_some_and(|g| self.closure.inherits(role, g))
    }

    /// What `who` may effectively do with an object; the answer of `has_*_privilege`.
    #[must_use]
    pub fn rights(&self, catalog: &Catalog, who: Who, kind: ObjectKind, owner: Oid, acl: &Acl) -> Privileges {
        let Who::Role(role) = who else {
            let in_force = acl.in_force(kind, owner, self.version_num);
            return in_force.entries().iter().filter(|e| e.is_public()).fold(Privileges::NONE, |a, e| a | e.privileges);
        };
        let all = kind.all(self.version_num);
        if catalog.roles.get(role).is_some_and(|r| r.superuser) {
            return all;
        }
        let in_force = acl.in_force(kind, owner, self.version_num);
        let mut held = Privileges::NONE;
        for entry in in_force.entries() {
            if !held.contains_all(entry.privileges)
                && (entry.is_public()
                    || self.closure.position(entry.grantee).is_some_and(|g| self.closure.inherits(role, g)))
            {
                held = held | entry.privileges;
            }
        }
        held | self.predefined(role, kind)
    }

    /// As [`Matrix::rights`] for a role, with PUBLIC's share left out and a superuser treated like anybody: what is the
    /// role's own, by entries for it, by inheritance and by predefined roles.
    #[must_use]
    pub fn own_rights(&self, role: usize, kind: ObjectKind, owner: Oid, acl: &Acl) -> Privileges {
        let mut held = self.predefined(role, kind);
        for entry in acl.in_force(kind, owner, self.version_num).entries() {
            if !entry.is_public()
                && !held.contains_all(entry.privileges)
                && self.closure.position(entry.grantee).is_some_and(|g| self.closure.inherits(role, g))
            {
                held = held | entry.privileges;
            }
        }
        held
    }

    /// What predefined roles give on every object of a kind (`aclchk.c`: pg_class_aclmask_ext, object_aclmask_ext).
    #[must_use]
    pub fn predefined(&self, role: usize, kind: ObjectKind) -> Privileges {
        let mut held = Privileges::NONE;
        if !get(&self.predefined, role) {
            return held;
        }
        match kind {
            ObjectKind::Table | ObjectKind::Sequence => {
                if self.inherits(role, self.read_all) {
                    held.insert(Privilege::Select);
                }
                if self.inherits(role, self.write_all) {
                    held = held | Privileges::of(&[Privilege::Insert, Privilege::Update, Privilege::Delete]);
                }
                if self.inherits(role, self.maintain) {
                    held.insert(Privilege::Maintain);
                }
            }
            ObjectKind::Schema => {
                if self.inherits(role, self.read_all) || self.inherits(role, self.write_all) {
                    held.insert(Privilege::Usage);
                }
            }
            ObjectKind::Database | ObjectKind::Routine | ObjectKind::Type => {}
        }
        held.and(kind.all(self.version_num))
    }

    /// The predefined roles that give their members something on every object of a kind, by position, and what.
    pub fn predefined_grants(&self, kind: ObjectKind) -> impl Iterator<Item = (usize, Privileges)> + use<'_> {
        [self.read_all, self.write_all, self.maintain]
            .into_iter()
            .flatten()
            .map(move |role| (role, self.predefined(role, kind)))
            .filter(|(_, privileges)| !privileges.is_empty())
    }

    /// Adds to `via` every source that gives `who` something on this object, except the superuser bit.
    fn sources(&self, catalog: &Catalog, who: Who, kind: ObjectKind, owner: Oid, acl: &Acl, via: &mut Vec<Via>) {
        let add = |via: &mut Vec<Via>, source: Via| {
            if !via.contains(&source) {
                via.push(source);
            }
        };
        let in_force = acl.in_force(kind, owner, self.version_num);
        for entry in in_force.entries().iter().filter(|e| !e.privileges.is_empty()) {
            if entry.is_public() {
                // EXECUTE on routines and USAGE on types through PUBLIC is PostgreSQL's default: not worth a mark
                if kind != ObjectKind::Routine && kind != ObjectKind::Type {
                    add(via, Via::Public);
                }
                continue;
            }
            let (Who::Role(role), Some(grantee)) = (who, self.closure.position(entry.grantee)) else { continue };
            if grantee == role {
                add(via, if entry.grantee == owner { Via::Owner } else { Via::Direct });
            } else if self.closure.inherits(role, grantee) {
                let name = catalog.roles.get(grantee).map_or("", |r| r.name.as_str());
                if !via.iter().any(|known| matches!(known, Via::Member(known) if known == name)) {
                    via.push(Via::Member(name.to_owned()));
                }
            }
        }
        if let Who::Role(role) = who
            && get(&self.predefined, role)
        {
            for (name, group, kinds) in [
                ("pg_read_all_data", self.read_all, true),
                ("pg_write_all_data", self.write_all, true),
                ("pg_maintain", self.maintain, false),
            ] {
                let applies = match kind {
                    ObjectKind::Table => true,
                    ObjectKind::Sequence | ObjectKind::Schema => kinds,
                    ObjectKind::Database | ObjectKind::Routine | ObjectKind::Type => false,
                };
                if applies && self.inherits(role, group) {
                    add(via, Via::Predefined(name));
                }
            }
        }
    }

    /// True when `who` owns something of that owner: itself, or through inherited membership.
    #[must_use]
    pub fn owns(&self, who: Who, owner: Oid) -> bool {
        match (who, self.closure.position(owner)) {
            (Who::Role(role), Some(group)) => self.closure.inherits(role, group),
            _ => false,
        }
    }

    /// Counts one cell. `schema` is a position in [`Catalog::schemas`].
    #[must_use]
    pub fn cell(&self, catalog: &Catalog, who: Who, schema: usize) -> Cell {
        let mut cell = Cell::default();
        let Some(of) = catalog.schemas.get(schema) else { return cell };
        let role = match who {
            Who::Public => None,
            Who::Role(role) => catalog.roles.get(role),
        };
        cell.superuser = role.is_some_and(|r| r.superuser);
        cell.bypasses_rls = role.is_some_and(super::closure::bypasses_rls);
        let held = self.rights(catalog, who, ObjectKind::Schema, of.owner, &of.acl);
        cell.usage = held.contains(Privilege::Usage);
        cell.create = held.contains(Privilege::Create);
        cell.owner = self.owns(who, of.owner);
        let mut via = Vec::new();
        self.sources(catalog, who, ObjectKind::Schema, of.owner, &of.acl, &mut via);
        for group in self.groups(catalog, schema) {
            let kind = group.kind.object_kind();
            let held = self.rights(catalog, who, kind, group.owner, &group.acl);
            let (counts, judged) = match kind {
                ObjectKind::Table => (&mut cell.tables, &mut cell.judged_tables),
                ObjectKind::Sequence => (&mut cell.sequences, &mut cell.judged_sequences),
                ObjectKind::Routine => (&mut cell.routines, &mut cell.judged_routines),
                ObjectKind::Database | ObjectKind::Schema | ObjectKind::Type => continue,
            };
            counts.add(group.count, held);
            if !group.extension {
                judged.add(group.count, held);
            }
            if self.owns(who, group.owner) {
                cell.owned += group.count;
            }
            self.sources(catalog, who, kind, group.owner, &group.acl, &mut via);
        }
        if cell.superuser {
            via.push(Via::Superuser);
        }
        via.sort();
        let on_objects = cell.judged_tables.on_any() | cell.judged_sequences.on_any();
        cell.dead = !cell.usage && !on_objects.is_empty();
        cell.via = via;
        cell
    }

    /// Columns on which `who` holds something by column grants, PUBLIC's left out for a role: `total` are those columns.
    #[must_use]
    pub fn columns(&self, who: Who, grants: &[ColumnGrant]) -> Counts {
        let mut counts = Counts::default();
        for grant in grants.iter().filter(|g| g.acl.0.is_some()) {
            // of a column, nothing is held by default or by a predefined role
            let held = match who {
                Who::Role(role) => self.own_rights(role, ObjectKind::Type, grant.owner, &grant.acl),
                Who::Public => {
                    let entries = grant.acl.0.iter().flat_map(|entries| entries.iter());
                    entries.filter(|e| e.is_public()).fold(Privileges::NONE, |held, e| held | e.privileges)
                }
            };
            if !held.is_empty() {
                counts.add(1, held);
            }
        }
        counts
    }

    /// SET ROLE would give a role something in a schema that it does not have before, members of extensions apart.
    #[must_use]
    pub fn adds_by_set_role(&self, catalog: &Catalog, role: usize, schema: usize) -> bool {
        let beyond = self.closure.beyond(role);
        let Some(of) = catalog.schemas.get(schema).filter(|_| !beyond.is_empty()) else { return false };
        if get(self.closure.superusers(), role) {
            return false;
        }
        if beyond.iter().any(|became| get(self.closure.superusers(), *became)) {
            return true;
        }
        // what it inherits already adds nothing: most lists name nobody else, and its rights need not be counted
        let fresh = |grantee: usize| {
            !self.closure.inherits(role, grantee) && beyond.iter().any(|became| self.closure.inherits(*became, grantee))
        };
        let adds = |kind: ObjectKind, owner: Oid, acl: &Acl| {
            let predefined = beyond.iter().fold(Privileges::NONE, |all, became| all | self.predefined(*became, kind));
            let in_force = acl.in_force(kind, owner, self.version_num);
            let named = in_force.entries().iter().filter(|e| !e.is_public());
            let more = named
                .filter(|e| self.closure.position(e.grantee).is_some_and(fresh))
                .fold(predefined, |all, e| all | e.privileges);
            !more.is_empty() && !self.rights(catalog, Who::Role(role), kind, owner, acl).contains_all(more)
        };
        adds(ObjectKind::Schema, of.owner, &of.acl)
            || self
                .groups(catalog, schema)
                .filter(|g| !g.extension)
                .any(|g| adds(g.kind.object_kind(), g.owner, &g.acl))
    }

    /// Fills `rows` for one schema. Reuse the same `rows` for all schemas: it holds no more than one.
    pub fn rows(&self, catalog: &Catalog, schema: usize, rows: &mut Rows) {
        let words = self.closure.len().div_ceil(64);
        rows.words = words;
        rows.data.clear();
        rows.data.resize(ROW_COUNT * words, 0);
        rows.totals = [0; 3];
        rows.public_schema = Privileges::NONE;
        let Some(of) = catalog.schemas.get(schema) else { return };
        self.schema_rows(of, rows);
        for kind in [ObjectKind::Table, ObjectKind::Sequence, ObjectKind::Routine] {
            for p in kind.all(self.version_num).iter() {
                rows.row_mut(Row::All(kind, p)).copy_from_slice(self.closure.everyone());
            }
        }
        let mut scratch = std::mem::take(&mut rows.scratch);
        for group in self.groups(catalog, schema).filter(|g| !g.extension) {
            let kind = group.kind.object_kind();
            let Some(total) = rows.totals.get_mut(kind_position(kind)) else { continue };
            *total += group.count;
            let in_force = group.acl.in_force(kind, group.owner, self.version_num);
            for p in kind.all(self.version_num).iter() {
                scratch.clear();
                scratch.resize(words, 0);
                let mut public = false;
                for entry in in_force.entries().iter().filter(|e| e.privileges.contains(p)) {
                    if entry.is_public() {
                        public = true;
                    } else if let Some(g) = self.closure.position(entry.grantee) {
                        or_into(&mut scratch, self.closure.heirs(g));
                    }
                }
                self.predefined_rows(kind, p, &mut scratch);
                or_into(rows.row_mut(Row::Any(kind, p)), &scratch);
                if !public {
                    for (all, has) in rows.row_mut(Row::All(kind, p)).iter_mut().zip(&scratch) {
                        *all &= *has;
                    }
                }
            }
        }
        rows.scratch = scratch;
    }

    fn schema_rows(&self, of: &Schema, rows: &mut Rows) {
        let in_force = of.acl.in_force(ObjectKind::Schema, of.owner, self.version_num);
        for p in [Privilege::Usage, Privilege::Create] {
            for entry in in_force.entries().iter().filter(|e| e.privileges.contains(p)) {
                if entry.is_public() {
                    rows.public_schema.insert(p);
                } else if let Some(g) = self.closure.position(entry.grantee) {
                    or_into(rows.row_mut(Row::Schema(p)), self.closure.heirs(g));
                }
            }
            self.predefined_rows(ObjectKind::Schema, p, rows.row_mut(Row::Schema(p)));
            let with: Vec<u64> = if rows.public_schema.contains(p) {
                self.closure.everyone().to_vec()
            } else {
                rows.row(Row::Schema(p)).to_vec()
            };
            rows.row_mut(Row::SchemaWithPublic(p)).copy_from_slice(&with);
        }
    }

    fn predefined_rows(&self, kind: ObjectKind, p: Privilege, row: &mut [u64]) {
        let groups: [Option<usize>; 2] = match (kind, p) {
            (ObjectKind::Table | ObjectKind::Sequence, Privilege::Select) => [self.read_all, None],
            (ObjectKind::Table | ObjectKind::Sequence, Privilege::Insert | Privilege::Update | Privilege::Delete) => {
                [self.write_all, None]
            }
            (ObjectKind::Table, Privilege::Maintain) => [self.maintain, None],
            (ObjectKind::Schema, Privilege::Usage) => [self.read_all, self.write_all],
            _ => [None, None],
        };
        for group in groups.into_iter().flatten() {
            or_into(row, self.closure.heirs(group));
        }
    }

    /// Roles with any right in the schema that is not PUBLIC's, positions ascending; superusers only where an entry
    /// names them.
    #[must_use]
    pub fn touched(&self, catalog: &Catalog, schema: usize) -> Vec<usize> {
        let mut bits = Vec::new();
        self.touched_bits(catalog, schema, &mut bits);
        ones(&bits).collect()
    }

    /// Positions of the roles of whom something is said in a schema: by an entry, as an owner, and the predefined ones.
    /// Ascending. What any other role may there follows from which of these it inherits.
    #[must_use]
    pub fn holders(&self, catalog: &Catalog, schema: usize) -> Vec<usize> {
        let mut holders: Vec<usize> = [self.read_all, self.write_all, self.maintain].into_iter().flatten().collect();
        let mut add = |kind: ObjectKind, owner: Oid, acl: &Acl| {
            let in_force = acl.in_force(kind, owner, self.version_num);
            let named = in_force.entries().iter().filter(|e| !e.is_public()).map(|e| e.grantee);
            holders.extend(named.chain([owner]).filter_map(|oid| self.closure.position(oid)));
        };
        if let Some(of) = catalog.schemas.get(schema) {
            add(ObjectKind::Schema, of.owner, &of.acl);
        }
        for group in self.groups(catalog, schema).chain(self.types(catalog, schema)) {
            add(group.kind.object_kind(), group.owner, &group.acl);
        }
        holders.sort_unstable();
        holders.dedup();
        holders
    }

    /// As [`Matrix::touched`], as bits; `bits` is cleared first.
    pub fn touched_bits(&self, catalog: &Catalog, schema: usize, bits: &mut Vec<u64>) {
        bits.clear();
        bits.resize(self.closure.len().div_ceil(64), 0);
        let mut add = |kind: ObjectKind, owner: Oid, acl: &Acl| {
            for entry in acl.in_force(kind, owner, self.version_num).entries().iter().filter(|e| !e.is_public()) {
                if let Some(g) = self.closure.position(entry.grantee) {
                    or_into(bits, self.closure.heirs(g));
                }
            }
        };
        if let Some(of) = catalog.schemas.get(schema) {
            add(ObjectKind::Schema, of.owner, &of.acl);
        }
        for group in self.groups(catalog, schema) {
            add(group.kind.object_kind(), group.owner, &group.acl);
        }
        for group in [self.read_all, self.write_all, self.maintain].into_iter().flatten() {
            or_into(bits, self.closure.heirs(group));
        }
    }
}

fn kind_position(kind: ObjectKind) -> usize {
    match kind {
        ObjectKind::Table => 0,
        ObjectKind::Sequence => 1,
        ObjectKind::Routine => 2,
        ObjectKind::Database | ObjectKind::Schema | ObjectKind::Type => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        closure::get,
        privilege::AclEntry,
        snapshot::{Kind, Membership, Role},
    };

    fn entry(grantee: u32, privileges: Privileges) -> AclEntry {
        AclEntry { grantee: Oid(grantee), grantor: Oid(1), privileges, grantable: Privileges::NONE }
    }

    /// owner(1), reader(2) member of team(3), su(4); schema s(100) owned by 1.
    fn catalog(table_acl: Acl) -> Catalog {
        let role = |oid: u32, name: &str| Role { oid: Oid(oid), name: name.into(), inherit: true, ..Role::default() };
        Catalog {
            roles: vec![
                role(1, "owner"),
                role(2, "reader"),
                role(3, "team"),
                Role { superuser: true, ..role(4, "su") },
            ],
            memberships: vec![Membership {
                role: Oid(3),
                member: Oid(2),
                grantor: Oid(4),
                inherit: true,
                set: true,
                admin: false,
            }],
            schemas: vec![Schema { oid: Oid(100), name: "s".into(), owner: Oid(1), acl: Acl::NULL, extension: false }],
            relations: vec![Group {
                schema: Oid(100),
                kind: Kind::Table,
                owner: Oid(1),
                acl: table_acl,
                count: 3,
                pages: 0,
                rls: 0,
                extension: false,
            }],
            ..Catalog::default()
        }
    }
    fn matrix(catalog: &Catalog) -> Matrix {
        Matrix::new(catalog, &Server { version_num: 150_000, ..Server::default() })
    }

    #[test]
    fn a_grant_to_a_group_reaches_its_members_and_is_dead_without_usage() {
        let c = catalog(Acl::from_entries(vec![entry(3, Privilege::Select.into())]));
        let m = matrix(&c);
        let cell = m.cell(&c, Who::Role(1), 0);
        assert_eq!((cell.tables.total, cell.tables.of(Privilege::Select)), (3, 3));
        assert!(cell.dead);
        assert_eq!(cell.via, vec![Via::Member("team".into())]);
        assert_eq!(m.cell(&c, Who::Role(0), 0).tables.of(Privilege::Select), 0, "a listed ACL leaves the owner out");
        assert_eq!(m.cell(&c, Who::Role(3), 0).tables.of(Privilege::Delete), 3, "a superuser needs no entry");
    }

    #[test]
    fn rows_agree_with_cells() {
        let c =
            catalog(Acl::from_entries(vec![entry(0, Privilege::Update.into()), entry(3, Privilege::Select.into())]));
        let m = matrix(&c);
        let mut rows = Rows::default();
        m.rows(&c, 0, &mut rows);
        assert!(get(rows.row(Row::Any(ObjectKind::Table, Privilege::Select)), 1));
        assert!(get(rows.row(Row::All(ObjectKind::Table, Privilege::Update)), 1), "PUBLIC's share counts as held");
        assert!(!get(rows.row(Row::Any(ObjectKind::Table, Privilege::Update)), 1), "but is nobody's own");
        assert!(get(rows.row(Row::Schema(Privilege::Create)), 0), "NULL is the owner's default");
        assert_eq!(rows.totals, [3, 0, 0]);
    }
}
