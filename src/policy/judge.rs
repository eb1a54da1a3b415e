//! Cells compared with the policy: level, declared access, drift, and what exactly is missing or too much.
//!
//! One cell is judged exactly by [`Judge::cell`]. The whole matrix is compared without counting ([`Judge::differing`]):
//! roles without anything declared in a schema 64 at a time, as one bit row; the few declared ones one by one.

use std::{cell::OnceCell, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Exception, Level, Policy, Undeclared,
    desired::{Desired, Rights, Want, required},
};
use crate::domain::{
    Acl, AclEntry, ObjectKind, Oid, Privilege, Privileges,
    closure::{ones, or_into, set},
    effective::{Cell, Counts, Matrix, Who},
    snapshot::{Group, Snapshot},
};

/// How a cell relates to the policy (contract, section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Drift {
    None,
    Missing,
    Excess,
    Both,
    Undeclared,
    Unknown,
}

/// One privilege that is missing from, or too much in, a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub kind: ObjectKind,
    pub privilege: Privilege,
    /// On how many objects it is missing or too much.
    pub count: u32,
    /// Of how many objects of the kind.
    pub total: u32,
}

/// One privilege that a cell has too much on single columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnExcess {
    pub privilege: Privilege,
    /// On how many columns.
    pub columns: u32,
}

/// A cell with its judgement.
#[derive(Debug, Clone)]
pub struct Judged {
    pub cell: Cell,
    /// Maximal satisfied levels; `["superuser"]` for a superuser.
    pub level: Vec<&'static str>,
    /// `None` without a policy, and for PUBLIC.
    pub declared: Option<Vec<Level>>,
    /// `None` without a policy, and for PUBLIC.
    pub drift: Option<Drift>,
    pub missing: Vec<Difference>,
    pub excess: Vec<Difference>,
    /// Where `own` is declared: what the role should own and does not, the schema itself counted as one.
    pub unowned: u32,
    /// Single columns on which it holds something by column grants, and which is none of PUBLIC's: no part of the cell and
    /// of its level. `None` where they have not been read.
    pub columns: Option<Counts>,
    /// What it holds by column grants of its own and neither levels nor exceptions allow it. Empty before they were read.
    pub column_excess: Vec<ColumnExcess>,
    /// SET ROLE would give it more here. What it may do at once is the cell.
    pub by_set_role: bool,
}

impl Judged {
    /// What it holds on single columns and not on every table.
    #[must_use]
    pub fn on_columns(&self) -> Privileges {
        let held = self.columns.as_ref().map_or(Privileges::NONE, Counts::on_any);
        held.minus(self.on_every_table())
    }

    fn on_every_table(&self) -> Privileges {
        self.cell.tables.on_all(ObjectKind::Table.all(u32::MAX))
    }

    /// What is too much on single columns, and is not too much on every table already.
    pub fn on_columns_alone(&self) -> impl Iterator<Item = &ColumnExcess> {
        let on_tables = |p: Privilege| {
            self.excess.iter().any(|d| d.kind == ObjectKind::Table && d.privilege == p && d.count == d.total)
        };
        self.column_excess.iter().filter(move |e| !on_tables(e.privilege))
    }

    /// Nothing is there to be told of: not at once, not on single columns, not after SET ROLE.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cell.is_empty() && self.on_columns().is_empty() && !self.by_set_role
    }
}

/// Compares cells of one snapshot with a policy.
pub struct Judge<'a> {
    snapshot: &'a Snapshot,
    matrix: &'a Matrix,
    policy: Option<&'a Policy>,
    desired: OnceCell<Arc<Desired>>,
}

const OBJECTS: [ObjectKind; 3] = [ObjectKind::Table, ObjectKind::Sequence, ObjectKind::Routine];

impl<'a> Judge<'a> {
    #[must_use]
    pub fn new(snapshot: &'a Snapshot, matrix: &'a Matrix, policy: Option<&'a Policy>) -> Judge<'a> {
        Judge { snapshot, matrix, policy, desired: OnceCell::new() }
    }

    /// As [`Judge::new`] with the policy already resolved against this catalog, so that it is not done again.
    #[must_use]
    pub fn with(
        snapshot: &'a Snapshot,
        matrix: &'a Matrix,
        policy: Option<&'a Policy>,
        desired: Option<Arc<Desired>>,
    ) -> Judge<'a> {
        let judge = Judge::new(snapshot, matrix, policy);
        if let Some(desired) = desired {
            let _ = judge.desired.set(desired);
        }
        judge
    }

    /// The policy resolved against the catalog; `None` without one.
    #[must_use]
    pub fn desired(&self) -> Option<&Arc<Desired>> {
        let policy = self.policy?;
        Some(self.desired.get_or_init(|| Arc::new(Desired::new(policy, &self.snapshot.catalog, self.matrix))))
    }

    /// Counts and compares one cell; `schema` is a position in the catalog.
    #[must_use]
    pub fn cell(&self, who: Who, schema: usize) -> Judged {
        let cell = self.matrix.cell(&self.snapshot.catalog, who, schema);
        let level = self.levels(who, &cell, schema);
        let columns = self.columns(who, schema);
        let mut judged = Judged {
            cell,
            level,
            declared: None,
            drift: None,
            missing: Vec::new(),
            excess: Vec::new(),
            unowned: 0,
            columns,
            column_excess: Vec::new(),
            by_set_role: false,
        };
        if let Who::Role(role) = who {
            judged.by_set_role = self.by_set_role(role, schema, &judged);
        }
        if let (Who::Role(role), Some(desired)) = (who, self.desired()) {
            self.compare(desired, role, schema, &mut judged);
        }
        judged
    }

    fn columns(&self, who: Who, schema: usize) -> Option<Counts> {
        let shapes = self.snapshot.shapes.as_deref()?;
        let of = self.snapshot.catalog.schemas.get(schema)?;
        Some(self.matrix.columns(who, shapes.column_grants_in(of.oid)))
    }

    /// What entries of column grants give roles too much in a schema, beyond levels and exceptions: all of it where the policy
    /// does not name the schema. All entries, or those for one role. What a role inherits is its group's. Nothing before they were read.
    fn columns_beyond<'s>(
        &'s self,
        desired: &'s Desired,
        schema: usize,
        only: Option<Oid>,
    ) -> impl Iterator<Item = (usize, Privileges)> + 's {
        let shapes = self.snapshot.shapes.as_deref().filter(|_| desired.is_judged(schema));
        let of = self.snapshot.catalog.schemas.get(schema);
        let grants = shapes.zip(of).map(|(shapes, of)| shapes.column_grants_in(of.oid)).unwrap_or_default();
        grants.iter().flat_map(move |grant| {
            let entries = grant.acl.0.iter().flat_map(|entries| entries.iter());
            let asked = entries.filter(move |e| e.grantee != grant.owner && only.is_none_or(|o| o == e.grantee));
            asked.filter_map(move |entry| {
                let role = self.matrix.closure.position(entry.grantee).filter(|role| desired.compares(*role))?;
                let too_much = column_excess(desired, Who::Role(role), schema, &grant.relation, entry.privileges).0;
                (!too_much.is_empty()).then_some((role, too_much))
            })
        })
    }

    fn column_excess(&self, desired: &Desired, role: usize, schema: usize) -> Vec<ColumnExcess> {
        let mut found: Vec<ColumnExcess> = Vec::new();
        let Some(oid) = self.snapshot.catalog.roles.get(role).map(|r| r.oid) else { return found };
        for (_, privileges) in self.columns_beyond(desired, schema, Some(oid)) {
            for privilege in privileges.iter() {
                match found.iter_mut().find(|e| e.privilege == privilege) {
                    Some(known) => known.columns += 1,
                    None => found.push(ColumnExcess { privilege, columns: 1 }),
                }
            }
        }
        found.sort_unstable_by_key(|e| e.privilege);
        found
    }

    fn by_set_role(&self, role: usize, schema: usize, judged: &Judged) -> bool {
        let beyond = self.matrix.closure.beyond(role);
        if beyond.is_empty() || judged.cell.superuser {
            return false;
        }
        let held = judged.on_every_table() | judged.on_columns();
        self.matrix.adds_by_set_role(&self.snapshot.catalog, role, schema)
            || beyond.iter().any(|became| {
                let columns = self.columns(Who::Role(*became), schema).unwrap_or_default();
                !held.contains_all(columns.on_any())
            })
    }

    fn compare(&self, desired: &Desired, role: usize, schema: usize, judged: &mut Judged) {
        let want = desired.want(role, schema).unwrap_or_default();
        judged.declared = Some(want.levels.iter().collect());
        if !desired.compares(role) || !desired.is_judged(schema) {
            judged.drift = Some(Drift::None);
            return;
        }
        judged.column_excess = self.column_excess(desired, role, schema);
        if !desired.names_role(role) || !desired.names_schema(schema) {
            let own = self.own_counts(role, schema, Rights::NONE, &[]);
            let nothing = own.is_empty() && judged.column_excess.is_empty();
            judged.drift = Some(if nothing { Drift::None } else { Drift::Undeclared });
            return;
        }
        judged.missing = missing(&judged.cell, want.required);
        let exceptions: Vec<&Exception> = desired.exceptions_of(Who::Role(role), schema).collect();
        judged.excess = self.own_counts(role, schema, want.allowed, &exceptions).differences();
        if want.owns {
            judged.unowned = self.unowned(desired, role, schema);
        }
        let missing = !judged.missing.is_empty() || judged.unowned > 0;
        judged.drift = Some(match (missing, judged.excess.is_empty() && judged.column_excess.is_empty()) {
            (false, true) => Drift::None,
            (true, true) => Drift::Missing,
            (false, false) => Drift::Excess,
            (true, false) => Drift::Both,
        });
    }

    /// Groups of a schema that levels are judged by: no members of extensions.
    fn judged_groups(&self, schema: usize) -> impl Iterator<Item = &Group> {
        self.matrix.groups(&self.snapshot.catalog, schema).filter(|g| !g.extension)
    }

    /// What `role` holds other than through PUBLIC, beyond `allowed` and the exceptions.
    fn own_counts(&self, role: usize, schema: usize, allowed: Rights, exceptions: &[&Exception]) -> OwnCounts {
        let mut out = OwnCounts::default();
        let catalog = &self.snapshot.catalog;
        let whole = privileges(exceptions.iter().filter(|e| e.objects.is_empty()));
        let Some(of) = catalog.schemas.get(schema) else { return out };
        let held = self.matrix.own_rights(role, ObjectKind::Schema, of.owner, &of.acl);
        // a schema's own privileges are not about objects
        out.schema = held.minus(allowed.schema).minus(privileges(exceptions.iter()));
        for group in self.judged_groups(schema) {
            let kind = group.kind.object_kind();
            let held = self.matrix.own_rights(role, kind, group.owner, &group.acl);
            out.add(kind, group.count, held.minus(allowed.of(kind)).minus(whole));
        }
        let single: Vec<&Exception> = exceptions.iter().filter(|e| !e.objects.is_empty()).copied().collect();
        if single.is_empty() {
            return out;
        }
        // by name where the names were read, else at most as many as are named
        if let Some(names) = self.snapshot.objects.0.get(&of.oid) {
            for object in names.all().filter(|o| !o.extension) {
                let kind = object.kind.object_kind();
                let covered = privileges(single.iter().filter(|e| covers(e, &object.name)));
                let held = self.matrix.own_rights(role, kind, object.owner, &object.acl);
                out.subtract(kind, 1, held.minus(allowed.of(kind)).minus(whole).and(covered));
            }
        } else {
            for privilege in privileges(single.iter()).iter() {
                for kind in OBJECTS {
                    let of_it = single.iter().filter(|e| e.privileges.contains(&privilege) && likely(e) == kind);
                    let names: std::collections::BTreeSet<&str> =
                        of_it.flat_map(|e| e.objects.iter().map(String::as_str)).collect();
                    out.subtract(kind, names.len() as u32, privilege.into());
                }
            }
        }
        out
    }

    /// What `holder` has in a schema other than through PUBLIC and neither levels nor exceptions allow `role`: what `role`
    /// has too much when it may act as `holder`. Everything where the policy does not name the one or the other.
    #[must_use]
    pub fn beyond(&self, holder: usize, role: usize, schema: usize) -> Vec<Difference> {
        let Some(desired) = self.desired() else { return Vec::new() };
        let allowed = desired.want(role, schema).map_or(Rights::NONE, |want| want.allowed);
        let exceptions: Vec<&Exception> = desired.exceptions_of(Who::Role(role), schema).collect();
        self.own_counts(holder, schema, allowed, &exceptions).differences()
    }

    /// What a role that must own does not: see [`Judged::unowned`].
    fn unowned(&self, desired: &Desired, role: usize, schema: usize) -> u32 {
        let catalog = &self.snapshot.catalog;
        let Some(of) = catalog.schemas.get(schema) else { return 0 };
        let accepted = desired.schemas.get(schema).map(|s| s.accepted.as_slice()).unwrap_or_default();
        let itself = u32::from(!self.matrix.owns(Who::Role(role), of.owner));
        let others = self
            .judged_groups(schema)
            .chain(self.matrix.types(catalog, schema).filter(|g| !g.extension))
            .filter(|g| !accepted.contains(&g.owner) && !self.matrix.owns(Who::Role(role), g.owner))
            .map(|g| g.count)
            .sum::<u32>();
        itself + others
    }

    /// Maximal satisfied levels. Levels over objects are claimed only where there are such objects, and `execute` only
    /// where it is held other than through PUBLIC, which PostgreSQL gives to everybody.
    fn levels(&self, who: Who, cell: &Cell, schema: usize) -> Vec<&'static str> {
        if cell.superuser {
            return vec!["superuser"];
        }
        if !cell.usage {
            return Vec::new();
        }
        let version = self.matrix.version_num;
        let catalog = &self.snapshot.catalog;
        let holds = |level: Level| satisfies(cell, required(level, version));
        if holds(Level::All) {
            let owns = cell.owner
                && self
                    .judged_groups(schema)
                    .chain(self.matrix.types(catalog, schema).filter(|g| !g.extension))
                    .all(|g| self.matrix.owns(who, g.owner));
            return vec![if owns { Level::Own.word() } else { Level::All.word() }];
        }
        let tables = cell.judged_tables.total > 0;
        let data = tables || cell.judged_sequences.total > 0;
        let mut levels = Vec::new();
        if data && holds(Level::Write) {
            levels.push(Level::Write);
        } else {
            levels.extend((tables && holds(Level::Read)).then_some(Level::Read));
            levels.extend((data && holds(Level::Append)).then_some(Level::Append));
        }
        levels.extend((tables && holds(Level::Reference)).then_some(Level::Reference));
        if cell.judged_routines.total > 0 && self.executes(who, schema) {
            levels.push(Level::Execute);
        }
        if levels.is_empty() {
            levels.push(Level::Usage);
        }
        levels.into_iter().map(Level::word).collect()
    }

    /// EXECUTE on every routine, other than through PUBLIC.
    fn executes(&self, who: Who, schema: usize) -> bool {
        let Who::Role(role) = who else { return false };
        self.judged_groups(schema)
            .filter(|g| g.kind.object_kind() == ObjectKind::Routine)
            .all(|g| self.matrix.own_rights(role, ObjectKind::Routine, g.owner, &g.acl).contains(Privilege::Execute))
    }

    /// Cells compared and cells that differ, over the whole matrix; `None` without a policy.
    #[must_use]
    pub fn cells(&self) -> Option<(u64, u64)> {
        let desired = self.desired()?;
        let (mut compared, mut differ) = (0, 0);
        let (mut bits, mut lists) = (Vec::new(), Lists::default());
        for schema in 0..self.snapshot.catalog.schemas.len() {
            compared += self.compare_schema(desired, schema, &mut lists, &mut bits);
            differ += bits.iter().map(|word: &u64| u64::from(word.count_ones())).sum::<u64>();
        }
        Some((compared, differ))
    }

    /// Every differing cell as (role, schema), positions in the catalog, schema by schema; empty without a policy.
    pub fn differing(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let desired = self.desired();
        let schemas = if desired.is_some() { self.snapshot.catalog.schemas.len() } else { 0 };
        (0..schemas).flat_map(move |schema| {
            let mut bits = Vec::new();
            if let Some(desired) = desired {
                self.compare_schema(desired, schema, &mut Lists::default(), &mut bits);
            }
            ones(&bits).map(|role| (role, schema)).collect::<Vec<_>>()
        })
    }

    /// Bits of the roles with any right in a schema that is not PUBLIC's; superusers only where an entry names them.
    /// `out` is cleared first.
    pub fn with_access(&self, schema: usize, out: &mut Vec<u64>) {
        let mut lists = Lists::default();
        lists.read(self, schema);
        self.access(&lists, out);
    }

    fn access(&self, lists: &Lists, out: &mut Vec<u64>) {
        let closure = &self.matrix.closure;
        out.clear();
        out.resize(closure.len().div_ceil(64), 0);
        for grantee in ones(&lists.grantees) {
            or_into(out, closure.heirs(grantee));
        }
        let tables = lists.all.iter().any(|list| list.kind == ObjectKind::Table);
        let on_tables = self.matrix.predefined_grants(ObjectKind::Table).filter(|_| tables);
        for (role, _) in self.matrix.predefined_grants(ObjectKind::Schema).chain(on_tables) {
            or_into(out, closure.heirs(role));
        }
    }

    /// Fills `out` with the bits of the roles whose cell differs, and returns how many were compared.
    ///
    /// Roles without anything declared here differ when they have any access, those with declared memberships when they
    /// have more than these allow: bit rows for all of them. The few declared ones are compared one by one, and counted
    /// only where an exception speaks of single objects.
    fn compare_schema(&self, desired: &Desired, schema: usize, lists: &mut Lists, out: &mut Vec<u64>) -> u64 {
        out.clear();
        let Some(of) = desired.schemas.get(schema).filter(|s| s.judged) else { return 0 };
        let ignore = desired.undeclared == Undeclared::Ignore;
        if ignore && !of.named {
            return 0;
        }
        lists.read(self, schema);
        self.access(lists, out);
        let mut compared = if ignore { 0 } else { desired.compared_roles };
        for ((word, mask), named) in out.iter_mut().zip(&desired.compared).zip(&desired.named_bits) {
            let mask = if ignore { mask & named } else { *mask };
            if ignore {
                compared += u64::from(mask.count_ones());
            }
            *word &= mask;
        }
        if of.named {
            self.excuse_members(desired, schema, lists, out);
            self.count_members(desired, schema, out);
            for role in desired.roles_of(schema).filter(|r| desired.compares(*r) && desired.names_role(*r)) {
                let Some(want) = desired.want(role, schema) else { continue };
                let exceptions = || desired.exceptions_of(Who::Role(role), schema);
                // Exceptions for whole schemas only widen what is allowed; those for single objects have to be counted.
                let unowned = || want.owns && self.unowned(desired, role, schema) > 0;
                let differs = if want.excepted && exceptions().any(|e| !e.objects.is_empty()) {
                    let excepted: Vec<&Exception> = exceptions().collect();
                    self.lacks(role, lists, &want)
                        || !self.own_counts(role, schema, want.allowed, &excepted).is_empty()
                        || unowned()
                } else {
                    let excepted = if want.excepted {
                        exceptions().flat_map(|e| e.privileges.iter().copied()).collect()
                    } else {
                        Privileges::NONE
                    };
                    self.differs(role, lists, &want, excepted) || unowned()
                };
                if let Some(word) = out.get_mut(role / 64) {
                    *word = *word & !(1 << (role % 64)) | u64::from(differs) << (role % 64);
                }
            }
        }
        for (role, _) in self.columns_beyond(desired, schema, None) {
            if !ignore || desired.names_role(role) {
                set(out, role);
            }
        }
        compared
    }

    /// Takes the roles out of `out` that have here no more than declared memberships allow.
    fn excuse_members(&self, desired: &Desired, schema: usize, lists: &Lists, out: &mut [u64]) {
        let mut members = vec![0; out.len()];
        for (_, bits) in desired.allowed_to_members(schema) {
            or_into(&mut members, bits);
        }
        members.iter_mut().zip(out.iter()).for_each(|(member, differs)| *member &= differs);
        // few words of many: only these are looked at
        let words: Vec<usize> = (0..).zip(&members).filter(|(_, word)| **word != 0).map(|(at, _)| at).collect();
        if words.is_empty() {
            return;
        }
        let packed = |bits: &[u64]| words.iter().map(|at| bits.get(*at).copied().unwrap_or(0)).collect::<Vec<u64>>();
        let mut beyond = Beyond {
            allowed: desired.allowed_to_members(schema).map(|(rights, bits)| (rights, packed(bits))).collect(),
            members: packed(&members),
            words: &words,
            seen: Vec::new(),
            excess: vec![0; words.len()],
            scratch: Vec::new(),
            left: Vec::new(),
        };
        let mut kinds: Vec<ObjectKind> = Vec::new();
        for (list, entries) in lists.iter() {
            for (grantee, privileges) in entries {
                beyond.add(list.kind, *privileges, *grantee, self.matrix.closure.heirs(*grantee));
            }
            if !kinds.contains(&list.kind) {
                kinds.push(list.kind);
                for (group, privileges) in self.matrix.predefined_grants(list.kind) {
                    beyond.add(list.kind, privileges, group, self.matrix.closure.heirs(group));
                }
            }
        }
        for ((at, member), excess) in words.iter().zip(&beyond.members).zip(&beyond.excess) {
            if let Some(word) = out.get_mut(*at) {
                *word &= !member | excess;
            }
        }
    }

    /// Takes the roles out of `out` that have here no more than exceptions for single objects allow their declared groups:
    /// these have to be counted.
    fn count_members(&self, desired: &Desired, schema: usize, out: &mut [u64]) {
        let mut members = vec![0; out.len()];
        for bits in desired.excepted_singly(schema) {
            or_into(&mut members, bits);
        }
        members.iter_mut().zip(out.iter()).for_each(|(member, differs)| *member &= differs);
        for role in ones(&members) {
            if let (Some(Drift::None), Some(word)) = (self.cell(Who::Role(role), schema).drift, out.get_mut(role / 64))
            {
                *word &= !(1 << (role % 64));
            }
        }
    }

    /// Something that is required is missing. The role is no superuser.
    fn lacks(&self, role: usize, lists: &Lists, want: &Want) -> bool {
        let closure = &self.matrix.closure;
        lists.iter().any(|(list, entries)| {
            let required = want.required.of(list.kind);
            let mut held = self.matrix.predefined(role, list.kind) | list.public;
            for (grantee, privileges) in entries {
                if held.contains_all(required) {
                    return false;
                }
                if closure.inherits(role, *grantee) {
                    held = held | *privileges;
                }
            }
            !held.contains_all(required)
        })
    }

    /// Something is missing or too much, `excepted` and nothing counted. The role is no superuser.
    fn differs(&self, role: usize, lists: &Lists, want: &Want, excepted: Privileges) -> bool {
        let closure = &self.matrix.closure;
        lists.iter().any(|(list, entries)| {
            let mut own = self.matrix.predefined(role, list.kind);
            for (grantee, privileges) in entries {
                if !own.contains_all(*privileges) && closure.inherits(role, *grantee) {
                    own = own | *privileges;
                }
            }
            !own.minus(want.allowed.of(list.kind)).minus(excepted).is_empty()
                || !(own | list.public).contains_all(want.required.of(list.kind))
        })
    }
}

/// What the access control lists of one schema and its judged objects say; lists that are alike once.
#[derive(Default)]
struct Lists {
    all: Vec<List>,
    /// Of all lists, PUBLIC's left out: position of the grantee, and what it may.
    entries: Vec<(usize, Privileges)>,
    /// Bits of these grantees.
    grantees: Vec<u64>,
    /// Lists that are there: kind, and where the list is, or whose default it stands for.
    seen: Vec<(ObjectKind, Result<*const AclEntry, Oid>)>,
}

struct List {
    kind: ObjectKind,
    public: Privileges,
    /// Where its entries end.
    end: usize,
}

impl Lists {
    /// Replaces what is there.
    fn read(&mut self, judge: &Judge<'_>, schema: usize) {
        self.all.clear();
        self.entries.clear();
        self.seen.clear();
        self.grantees.clear();
        self.grantees.resize(judge.matrix.closure.len().div_ceil(64), 0);
        let Some(of) = judge.snapshot.catalog.schemas.get(schema) else { return };
        self.add(judge.matrix, ObjectKind::Schema, of.owner, &of.acl);
        for group in judge.judged_groups(schema) {
            self.add(judge.matrix, group.kind.object_kind(), group.owner, &group.acl);
        }
    }

    fn add(&mut self, matrix: &Matrix, kind: ObjectKind, owner: Oid, acl: &Acl) {
        let key = (kind, acl.0.as_ref().map(|entries| entries.as_ptr()).ok_or(owner));
        if self.seen.contains(&key) {
            return;
        }
        self.seen.push(key);
        let mut public = Privileges::NONE;
        for entry in acl.in_force(kind, owner, matrix.version_num).entries() {
            if entry.is_public() {
                public = public | entry.privileges;
            } else if let Some(grantee) = matrix.closure.position(entry.grantee)
                && !entry.privileges.is_empty()
            {
                self.entries.push((grantee, entry.privileges));
                set(&mut self.grantees, grantee);
            }
        }
        self.all.push(List { kind, public, end: self.entries.len() });
    }

    /// Each list with its entries.
    fn iter(&self) -> impl Iterator<Item = (&List, &[(usize, Privileges)])> {
        let mut begin = 0;
        self.all.iter().map(move |list| {
            let entries = self.entries.get(begin..list.end).unwrap_or_default();
            begin = list.end;
            (list, entries)
        })
    }
}

/// Who holds more in a schema than declared memberships allow, gathered grant by grant.
struct Beyond<'a> {
    /// What declared memberships allow, and whom. These and all bits below are of `words` alone.
    allowed: Vec<(Rights, Vec<u64>)>,
    /// Bits of the roles that are asked about.
    members: Vec<u64>,
    /// Which words of a whole row.
    words: &'a [usize],
    /// Grants that were looked at: kind, privileges, position of the grantee.
    seen: Vec<(ObjectKind, Privileges, usize)>,
    excess: Vec<u64>,
    scratch: Vec<u64>,
    left: Vec<u64>,
}

impl Beyond<'_> {
    /// Adds those of `heirs`, if they are asked about, to whom some of these privileges are not allowed.
    fn add(&mut self, kind: ObjectKind, privileges: Privileges, group: usize, heirs: &[u64]) {
        if privileges.is_empty() || self.seen.contains(&(kind, privileges, group)) {
            return;
        }
        self.seen.push((kind, privileges, group));
        // those asked about of whom nothing is known yet
        self.scratch.clear();
        let asked = self.words.iter().zip(&self.members).zip(&self.excess);
        let heir = |at: &usize| heirs.get(*at).copied().unwrap_or(0);
        self.scratch.extend(asked.map(|((at, member), excess)| heir(at) & member & !excess));
        if self.scratch.iter().all(|word| *word == 0) {
            return;
        }
        let heirs = std::mem::take(&mut self.scratch);
        let mut open = privileges;
        while let Some(first) = open.iter().next() {
            // the privileges that the same memberships allow are looked at together
            let mut alike = open;
            for (rights, _) in &self.allowed {
                let allowed = rights.of(kind);
                alike = if allowed.contains(first) { alike.and(allowed) } else { alike.minus(allowed) };
            }
            self.left.clear();
            self.left.extend_from_slice(&heirs);
            for (rights, bits) in &self.allowed {
                if rights.of(kind).contains(first) {
                    self.left.iter_mut().zip(bits).for_each(|(word, bit)| *word &= !bit);
                }
            }
            or_into(&mut self.excess, &self.left);
            open = open.minus(alike);
        }
        self.scratch = heirs;
    }
}

/// What column grants on one relation give too much, and what exceptions cover of it.
#[must_use]
pub fn column_excess(
    desired: &Desired,
    who: Who,
    schema: usize,
    relation: &str,
    held: Privileges,
) -> (Privileges, Privileges) {
    let allowed = match who {
        Who::Public => Privileges::NONE,
        Who::Role(role) => desired.want(role, schema).map_or(Privileges::NONE, |want| want.allowed.tables),
    };
    let beyond = held.minus(allowed);
    if beyond.is_empty() {
        return (Privileges::NONE, Privileges::NONE);
    }
    let covering = desired.exceptions_of(who, schema).filter(|e| covers(e, relation));
    let excepted = covering.flat_map(|e| e.privileges.iter().copied()).collect::<Privileges>().and(beyond);
    (beyond.minus(excepted), excepted)
}

/// True when the exception names the object: its whole name, or a routine's without the argument types.
#[must_use]
pub fn covers(exception: &Exception, name: &str) -> bool {
    exception.objects.is_empty()
        || exception
            .objects
            .iter()
            .any(|o| o == name || name.strip_prefix(o.as_str()).is_some_and(|r| r.starts_with('(')))
}

/// The kind of the objects that an exception names, as far as it tells without their names having been read: so that a
/// cell counts the same before and after.
fn likely(exception: &Exception) -> ObjectKind {
    let usage_alone = exception.privileges.iter().all(|p| *p == Privilege::Usage);
    if exception.privileges.contains(&Privilege::Execute) {
        ObjectKind::Routine
    } else if usage_alone || exception.objects.iter().all(|o| o.ends_with("_seq")) {
        ObjectKind::Sequence
    } else {
        ObjectKind::Table
    }
}

fn privileges<'e>(exceptions: impl Iterator<Item = &'e &'e Exception>) -> Privileges {
    exceptions.flat_map(|e| e.privileges.iter().copied()).collect()
}

/// A cell lacks nothing of these rights.
fn satisfies(cell: &Cell, required: Rights) -> bool {
    let everywhere = |kind: ObjectKind| {
        let counts = cell.judged(kind);
        counts.on_all(required.of(kind)) == required.of(kind)
    };
    cell.schema().contains_all(required.schema) && OBJECTS.into_iter().all(everywhere)
}

/// Required rights that a cell lacks.
fn missing(cell: &Cell, required: Rights) -> Vec<Difference> {
    let mut out: Vec<Difference> = required
        .schema
        .minus(cell.schema())
        .iter()
        .map(|privilege| Difference { kind: ObjectKind::Schema, privilege, count: 1, total: 1 })
        .collect();
    for kind in OBJECTS {
        let counts = cell.judged(kind);
        for privilege in required.of(kind).iter().filter(|p| counts.of(*p) < counts.total) {
            let count = counts.total - counts.of(privilege);
            out.push(Difference { kind, privilege, count, total: counts.total });
        }
    }
    out
}

/// What is held beyond something: on the schema, and by kind on how many objects.
#[derive(Debug, Default)]
struct OwnCounts {
    schema: Privileges,
    objects: [Tally; 3],
}

/// Counts by privilege.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    total: u32,
    each: [u32; 16],
    /// Counted at all.
    seen: Privileges,
}

impl Tally {
    fn on_any(&self) -> Privileges {
        self.seen.iter().filter(|p| self.of(*p) > 0).collect()
    }
    fn of(&self, privilege: Privilege) -> u32 {
        self.each.get(privilege as usize).copied().unwrap_or(0)
    }
    fn subtract(&mut self, count: u32, privileges: Privileges) {
        for p in privileges.iter() {
            if let Some(n) = self.each.get_mut(p as usize) {
                *n = n.saturating_sub(count);
            }
        }
    }
}

impl OwnCounts {
    fn add(&mut self, kind: ObjectKind, count: u32, held: Privileges) {
        let Some(tally) = OBJECTS.iter().position(|k| *k == kind).and_then(|i| self.objects.get_mut(i)) else { return };
        tally.total += count;
        tally.seen = tally.seen | held;
        for p in held.iter() {
            if let Some(n) = tally.each.get_mut(p as usize) {
                *n += count;
            }
        }
    }
    fn subtract(&mut self, kind: ObjectKind, count: u32, privileges: Privileges) {
        if let Some(tally) = OBJECTS.iter().position(|k| *k == kind).and_then(|i| self.objects.get_mut(i)) {
            tally.subtract(count, privileges);
        }
    }
    fn is_empty(&self) -> bool {
        self.schema.is_empty() && self.objects.iter().all(|tally| tally.on_any().is_empty())
    }
    fn differences(&self) -> Vec<Difference> {
        let mut out: Vec<Difference> = self
            .schema
            .iter()
            .map(|privilege| Difference { kind: ObjectKind::Schema, privilege, count: 1, total: 1 })
            .collect();
        for (kind, tally) in OBJECTS.into_iter().zip(&self.objects) {
            out.extend(tally.on_any().iter().map(|privilege| Difference {
                kind,
                privilege,
                count: tally.of(privilege),
                total: tally.total,
            }));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::checks::fixture::{Case, Fixture};

    const POLICY: &str = r#"
        [[service]]
        name = "langflow"
        schema = "langflow"
        role = "langflow_app"
        [[role]]
        name = "reader"
        access = { langflow = ["read"] }
    "#;

    /// A service as it should be: its schema with a table, a serial's sequence and a function; a reader.
    fn settled() -> Fixture {
        Fixture::new()
            .role("langflow_app")
            .role("reader")
            .schema("langflow", "langflow_app")
            .table("langflow", "flow", "langflow_app")
            .table("langflow", "message", "langflow_app")
            .sequence("langflow", "flow_id_seq", "langflow_app")
            .function("langflow", "touch()", "langflow_app")
            .grant_schema("langflow", "reader", "USAGE")
            .grant("langflow.flow", "reader", "SELECT")
            .grant("langflow.message", "reader", "SELECT")
            .policy(POLICY)
    }
    fn cell(case: &Case, role: &str, schema: &str) -> Judged {
        case.judge().cell(Who::Role(case.role(role)), case.schema(schema))
    }

    #[test]
    fn an_exception_counts_the_same_before_names_are_read() {
        let with = || {
            settled()
                .grant("langflow.flow_id_seq", "reader", "SELECT, UPDATE, USAGE")
                .grant("langflow.flow", "reader", "INSERT, UPDATE")
                .policy(&format!(
                    "{POLICY}\n[[exception]]\nrole='reader'\nschema='langflow'\nprivileges=['USAGE','SELECT','UPDATE']\n\
                     objects=['flow']\nreason='r'\n"
                ))
        };
        let read = cell(&with().case(), "reader", "langflow");
        let unread = cell(&with().without_names().case(), "reader", "langflow");
        assert_eq!(read.excess, unread.excess);
        assert!(!read.excess.is_empty());
    }

    #[test]
    fn what_is_as_declared_does_not_differ() {
        let case = settled().case();
        let own = cell(&case, "langflow_app", "langflow");
        assert_eq!((own.level.as_slice(), own.drift), (&["own"][..], Some(Drift::None)));
        let read = cell(&case, "reader", "langflow");
        assert_eq!((read.level.as_slice(), read.drift), (&["read"][..], Some(Drift::None)));
        assert_eq!(read.declared, Some(vec![Level::Read]));
        assert_eq!(cell(&case, "postgres", "langflow").level, ["superuser"]);
        let (compared, differ) = case.judge().cells().unwrap();
        assert_eq!((compared, differ), (4, 0), "two roles, two schemas: public is compared too");
    }

    #[test]
    fn what_is_missing_and_too_much_is_counted_by_object() {
        let case = settled()
            .revoke("langflow.message", "reader", "SELECT")
            .grant("langflow.flow", "reader", "INSERT")
            .revoke_schema("langflow", "langflow_app", "CREATE")
            .case();
        let reader = cell(&case, "reader", "langflow");
        assert_eq!(reader.drift, Some(Drift::Both));
        assert_eq!(reader.level, ["usage"]);
        let diff = |privilege, count| Difference { kind: ObjectKind::Table, privilege, count, total: 2 };
        assert_eq!(reader.missing, [diff(Privilege::Select, 1)]);
        assert_eq!(reader.excess, [diff(Privilege::Insert, 1)]);
        let owner = cell(&case, "langflow_app", "langflow");
        assert_eq!((owner.drift, owner.missing.len()), (Some(Drift::Missing), 1));
        assert_eq!(case.judge().cells().unwrap().1, 2);
    }

    #[test]
    fn what_public_holds_satisfies_but_is_nobodys_excess() {
        let case = settled()
            .revoke("langflow.message", "reader", "SELECT")
            .grant("langflow.message", "PUBLIC", "SELECT, INSERT")
            .case();
        assert_eq!(cell(&case, "reader", "langflow").drift, Some(Drift::None));
        let public = case.judge().cell(Who::Public, case.schema("langflow"));
        assert_eq!((public.declared, public.drift), (None, None));
    }

    #[test]
    fn an_empty_schema_is_judged_by_its_own_rights() {
        let empty = |f: Fixture| f.schema("s", "langflow_app").grant_schema("s", "reader", "USAGE");
        let case = empty(settled()).case();
        assert_eq!(cell(&case, "reader", "s").level, ["usage"]);
        assert_eq!(cell(&case, "langflow_app", "s").level, ["own"]);
        let case = empty(settled()).grant_schema("s", "reader", "CREATE").case();
        assert_eq!(cell(&case, "reader", "s").level, ["all"]);
    }

    #[test]
    fn execute_through_public_alone_is_no_level() {
        let case = settled().case();
        assert_eq!(cell(&case, "reader", "langflow").level, ["read"]);
        let case = settled().grant("langflow.touch()", "reader", "EXECUTE").case();
        assert_eq!(cell(&case, "reader", "langflow").level, ["read", "execute"]);
        assert_eq!(cell(&case, "reader", "langflow").drift, Some(Drift::Excess));
    }

    #[test]
    fn levels_are_maximal() {
        let case = settled()
            .grant("langflow.flow", "reader", "INSERT")
            .grant("langflow.message", "reader", "INSERT")
            .grant("langflow.flow_id_seq", "reader", "USAGE, SELECT")
            .case();
        assert_eq!(cell(&case, "reader", "langflow").level, ["read", "append"]);
        let case = settled()
            .grant("langflow.flow", "reader", "INSERT, UPDATE, DELETE")
            .grant("langflow.message", "reader", "INSERT, UPDATE, DELETE")
            .grant("langflow.flow_id_seq", "reader", "USAGE, SELECT")
            .case();
        assert_eq!(cell(&case, "reader", "langflow").level, ["write"]);
    }

    #[test]
    fn extensions_are_left_out() {
        let case = settled().table("langflow", "ext", "postgres").edit("langflow.ext", |o| o.extension = true).case();
        assert_eq!(cell(&case, "langflow_app", "langflow").drift, Some(Drift::None));
        assert_eq!(cell(&case, "langflow_app", "langflow").level, ["own"]);
    }

    #[test]
    fn ownership_that_is_missing_is_drift() {
        let case = settled().table("langflow", "stray", "postgres").case();
        let own = cell(&case, "langflow_app", "langflow");
        assert_eq!((own.unowned, own.drift), (1, Some(Drift::Missing)));
        let case = settled()
            .table("langflow", "stray", "postgres")
            .grant("langflow.stray", "langflow_app", "SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER")
            .case();
        let own = cell(&case, "langflow_app", "langflow");
        assert_eq!((own.level.as_slice(), own.unowned), (&["all"][..], 1));
    }

    #[test]
    fn what_is_too_much_on_single_columns_alone_differs_where_it_is_accused() {
        let with = |grantee: &str, privileges: &str, rules: &str| {
            let f = settled().role("stranger").column_grant("langflow.flow", "note", grantee, privileges);
            f.policy(&format!("{POLICY}{rules}")).case()
        };
        let case = with("reader", "UPDATE", "");
        let reader = cell(&case, "reader", "langflow");
        assert_eq!((reader.drift, reader.level.as_slice()), (Some(Drift::Excess), &["read"][..]));
        assert_eq!(reader.column_excess, [ColumnExcess { privilege: Privilege::Update, columns: 1 }]);
        assert_eq!((case.judge().cells().unwrap().1, case.of("grant-column-excess").len()), (1, 1));
        let exception = |of: &str| {
            format!(
                "[[exception]]\nrole='reader'\nschema='langflow'\nprivileges=['UPDATE']\nobjects=['{of}']\nreason='x'\n"
            )
        };
        let within = [
            with("reader", "SELECT", ""),
            with("reader", "UPDATE", &exception("flow")),
            with("postgres", "UPDATE", ""),
        ];
        for case in within {
            assert_eq!(case.judge().cells().unwrap().1, 0);
        }
        let another = with("reader", "UPDATE", &exception("message"));
        assert_eq!(another.judge().cells().unwrap().1, 1);
        let case = with("stranger", "SELECT", "");
        assert_eq!(cell(&case, "stranger", "langflow").drift, Some(Drift::Undeclared));
        // before they are read nothing is said
        let mut unread = with("reader", "UPDATE", "");
        unread.snapshot.shapes = None;
        assert_eq!(unread.judge().cells().unwrap().1, 0);
        assert_eq!(cell(&unread, "reader", "langflow").drift, Some(Drift::None));
    }

    #[test]
    fn strangers_are_undeclared_and_can_be_ignored() {
        let stranger = settled().role("stranger").grant("langflow.flow", "stranger", "SELECT");
        let case = stranger.clone().case();
        assert_eq!(cell(&case, "stranger", "langflow").drift, Some(Drift::Undeclared));
        assert_eq!(cell(&case, "stranger", "public").drift, Some(Drift::None), "PUBLIC's USAGE is not the stranger's");
        assert_eq!(case.judge().cells().unwrap(), (6, 1));
        let case = stranger.policy(&format!("undeclared = \"ignore\"\n{POLICY}")).case();
        assert_eq!(case.judge().cells().unwrap(), (2, 0), "only what is named");
    }

    #[test]
    fn an_exception_takes_its_share_away() {
        let base = settled().grant("langflow.flow", "reader", "INSERT").grant("langflow.message", "reader", "INSERT");
        let exception = |objects: &str| {
            format!(
                "{POLICY}\n[[exception]]\nrole='reader'\nschema='langflow'\nprivileges=['INSERT']\nreason='x'\n{objects}"
            )
        };
        let whole = base.clone().policy(&exception("")).case();
        assert_eq!(cell(&whole, "reader", "langflow").drift, Some(Drift::None));
        assert_eq!(whole.judge().cells().unwrap().1, 0);
        let one = base.clone().policy(&exception("objects=['flow']")).case();
        assert_eq!(cell(&one, "reader", "langflow").excess[0].count, 1);
        let other = base.clone().policy(&exception("objects=['nothing']")).case();
        assert_eq!(cell(&other, "reader", "langflow").excess[0].count, 2, "names are compared where they are known");
        let unnamed = base.policy(&exception("objects=['flow', 'message']")).without_names().case();
        assert_eq!(cell(&unnamed, "reader", "langflow").drift, Some(Drift::None));
    }

    #[test]
    fn a_declared_membership_brings_what_the_group_may() {
        let grouped = Fixture::new()
            .role("langflow_app")
            .group("app_ro")
            .role("reader")
            .member("app_ro", "reader")
            .schema("langflow", "langflow_app")
            .table("langflow", "flow", "langflow_app")
            .grant_schema("langflow", "app_ro", "USAGE")
            .grant("langflow.flow", "app_ro", "SELECT");
        let rules = "[[service]]\nname='l'\nschema='langflow'\nrole='langflow_app'\n[[role]]\nname='app_ro'\naccess={langflow=['read']}\n[[role]]\nname='reader'\n";
        let case = grouped.clone().policy(rules).case();
        assert_eq!(cell(&case, "reader", "langflow").drift, Some(Drift::Excess));
        let case = grouped.policy(&format!("{rules}member_of=['app_ro']\n")).case();
        let judged = cell(&case, "reader", "langflow");
        assert_eq!((judged.drift, judged.declared), (Some(Drift::None), Some(vec![Level::Read])));
    }

    #[test]
    fn what_a_group_is_excused_from_its_declared_members_are_too() {
        let grouped = Fixture::new()
            .role("langflow_app")
            .group("app_ro")
            .role("reader")
            .member("app_ro", "reader")
            .schema("langflow", "langflow_app")
            .table("langflow", "flow", "langflow_app")
            .table("langflow", "message", "langflow_app")
            .grant_schema("langflow", "app_ro", "USAGE")
            .grant("langflow.flow", "app_ro", "SELECT");
        let rules = |objects: &str| {
            format!(
                "[[service]]\nname='l'\nschema='langflow'\nrole='langflow_app'\n\
                 [[role]]\nname='app_ro'\naccess={{langflow=['usage']}}\n[[role]]\nname='reader'\nmember_of=['app_ro']\n\
                 [[exception]]\nrole='app_ro'\nschema='langflow'\nprivileges=['SELECT']\n{objects}\nreason='x'\n"
            )
        };
        for (objects, differ) in [("", 0), ("objects=['flow']", 0), ("objects=['message']", 2)] {
            let case = grouped.clone().policy(&rules(objects)).case();
            assert_eq!(case.judge().cells().unwrap().1, differ, "{objects}");
            let drift = cell(&case, "reader", "langflow").drift;
            assert_eq!(drift == Some(Drift::None), differ == 0, "{objects}");
        }
    }

    proptest::proptest! {
        #![proptest_config(crate::policy::checks::arbitrary::cases())]
        /// Comparing without counting and counting every cell say the same, under a policy that speaks of some of it.
        #[test]
        fn the_fast_comparison_agrees_with_every_cell(f in crate::policy::checks::arbitrary::databases()) {
            let rules = "[[service]]\nname='l'\nschema='langflow'\nrole='langflow_app'\naccess={public=['read','append']}\n\
                [[role]]\nname='reader'\naccess={langflow=['read'],public=['write']}\nmember_of=['g_ro','pg_read_all_data']\n\
                [[role]]\nname='g_ro'\naccess={langflow=['all']}\n\
                [[exception]]\nrole='reader'\nschema='langflow'\nprivileges=['INSERT','USAGE']\nobjects=['o1','o2']\nreason='x'\n\
                [[exception]]\nrole='g_ro'\nschema='public'\nprivileges=['SELECT']\nobjects=['o1']\nreason='x'\n\
                [[exception]]\nrole='g_ro'\nschema='public'\nprivileges=['UPDATE']\nreason='x'\n";
            for undeclared in ["report", "ignore"] {
                let case = f.clone().policy(&format!("undeclared='{undeclared}'\n{rules}")).case();
                let judge = case.judge();
                let ignore = undeclared == "ignore";
                let mut exact = Vec::new();
                for schema in 0..case.snapshot.catalog.schemas.len() {
                    for role in 0..case.snapshot.catalog.roles.len() {
                        let drift = judge.cell(Who::Role(role), schema).drift.unwrap();
                        if drift != Drift::None && !(ignore && drift == Drift::Undeclared) {
                            exact.push((role, schema));
                        }
                    }
                }
                proptest::prop_assert_eq!(judge.differing().collect::<Vec<_>>(), exact);
            }
        }

        /// SET ROLE adds something where what one may become has a right that one has not, list by list.
        #[test]
        fn what_set_role_adds_is_what_the_others_have_more(f in crate::policy::checks::arbitrary::databases()) {
            let case = f.case();
            let (catalog, matrix) = (&case.snapshot.catalog, &case.matrix);
            for role in (0..catalog.roles.len()).filter(|r| !catalog.roles[*r].superuser) {
                let reached = matrix.closure.settable(role);
                for (schema, of) in catalog.schemas.iter().enumerate() {
                    let groups = matrix.groups(catalog, schema).filter(|g| !g.extension);
                    let lists: Vec<(ObjectKind, Oid, &Acl)> = std::iter::once((ObjectKind::Schema, of.owner, &of.acl))
                        .chain(groups.map(|g| (g.kind.object_kind(), g.owner, &g.acl)))
                        .collect();
                    let exact = reached.iter().any(|became| {
                        catalog.roles[*became].superuser || lists.iter().any(|(kind, owner, acl)| {
                            let has = |role| matrix.rights(catalog, Who::Role(role), *kind, *owner, acl);
                            !has(role).contains_all(has(*became))
                        })
                    });
                    proptest::prop_assert_eq!(matrix.adds_by_set_role(catalog, role, schema), exact);
                }
            }
        }
    }

    #[test]
    fn another_owner_owns_and_the_role_uses() {
        let rules = "[[service]]\nname='l'\nschema='s'\nrole='app'\nowner='admin'\n";
        let all = "SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER";
        let base = Fixture::new()
            .role("app")
            .role("admin")
            .schema("s", "admin")
            .grant_schema("s", "app", "USAGE, CREATE")
            .table("s", "t", "admin")
            .table("s", "made_by_app", "app")
            .policy(rules);
        let case = base.clone().grant("s.t", "app", all).case();
        for (role, level) in [("app", Level::All), ("admin", Level::Own)] {
            let judged = cell(&case, role, "s");
            assert_eq!((judged.drift, judged.declared), (Some(Drift::None), Some(vec![level])), "{role}");
        }
        let case = base.case();
        assert_eq!(cell(&case, "app", "s").missing.len(), 7);
    }

    #[test]
    fn pg_database_owner_is_the_databases_owner() {
        let rules = "[[service]]\nname='e'\nschema='public'\nrole='engarde_user'\n";
        let mut f = Fixture::new().role("engarde_user").policy(rules);
        f.catalog.database.owner = f.role_oid("engarde_user");
        let case = f.table("public", "users", "engarde_user").case();
        let judged = cell(&case, "engarde_user", "public");
        assert_eq!((judged.level.as_slice(), judged.drift), (&["own"][..], Some(Drift::None)));
    }
}
