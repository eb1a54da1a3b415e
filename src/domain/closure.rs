//! Who has the privileges of whom: memberships closed with bit sets, and the paths behind an answer.
//!
//! Effect and reach are kept apart. *Effect* follows inheritance (before 16 the member's `rolinherit`, from 16 the
//! `inherit_option` of each membership), and is what `has_*_privilege` answers. *Reach* follows SET ROLE as well and
//! is shown as its own mark, never mixed into the matrix.

use std::{
    collections::{HashMap, VecDeque},
    sync::OnceLock,
};

use super::{
    ident::{ByOid, Oid},
    snapshot::{Catalog, Role},
};

/// Rows of bits, all of one width; bit numbers are positions in [`Catalog::roles`].
#[derive(Debug, Clone, Default)]
pub struct Bits {
    words: usize,
    data: Vec<u64>,
}

impl Bits {
    #[must_use]
    pub fn new(rows: usize, columns: usize) -> Bits {
        let words = columns.div_ceil(64);
        Bits { words, data: vec![0; rows * words] }
    }
    #[inline]
    #[must_use]
    pub fn row(&self, row: usize) -> &[u64] {
        self.data.get(row * self.words..(row + 1) * self.words).unwrap_or_default()
    }
    pub fn row_mut(&mut self, row: usize) -> &mut [u64] {
        self.data.get_mut(row * self.words..(row + 1) * self.words).unwrap_or_default()
    }
    pub fn set(&mut self, row: usize, column: usize) {
        set(self.row_mut(row), column);
    }
    #[must_use]
    pub fn get(&self, row: usize, column: usize) -> bool {
        get(self.row(row), column)
    }
    /// Adds row `from` to row `to`.
    fn merge_rows(&mut self, to: usize, from: usize) {
        let words = self.words;
        // the part that begins with the later of the two, and the earlier one before it
        let Some((before, rest)) = self.data.split_at_mut_checked(to.max(from) * words) else { return };
        let earlier = before.get_mut(to.min(from) * words..).and_then(|rows| rows.get_mut(..words));
        let (Some(earlier), Some(later)) = (earlier, rest.get_mut(..words)) else { return };
        if to < from { or_into(earlier, later) } else { or_into(later, earlier) }
    }
}

/// Sets one bit.
#[inline]
pub fn set(row: &mut [u64], column: usize) {
    if let Some(word) = row.get_mut(column / 64) {
        *word |= 1 << (column % 64);
    }
}

/// Reads one bit.
#[inline]
#[must_use]
pub fn get(row: &[u64], column: usize) -> bool {
    row.get(column / 64).is_some_and(|word| word >> (column % 64) & 1 == 1)
}

/// `a |= b`, word by word: four at once, which a machine does in one step.
pub fn or_into(a: &mut [u64], b: &[u64]) {
    let len = a.len().min(b.len());
    let (Some(a), Some(b)) = (a.get_mut(..len), b.get(..len)) else { return };
    let ((fours, rest), (more, more_rest)) = (a.as_chunks_mut::<4>(), b.as_chunks::<4>());
    for ([x0, x1, x2, x3], [y0, y1, y2, y3]) in fours.iter_mut().zip(more) {
        *x0 |= *y0;
        *x1 |= *y1;
        *x2 |= *y2;
        *x3 |= *y3;
    }
    for (x, y) in rest.iter_mut().zip(more_rest) {
        *x |= *y;
    }
}

/// Positions of the set bits.
pub fn ones(row: &[u64]) -> impl Iterator<Item = usize> {
    row.iter().enumerate().flat_map(|(i, word)| {
        let mut rest = *word;
        std::iter::from_fn(move || {
            (rest != 0).then(|| {
                let bit = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                i * 64 + bit
            })
        })
    })
}

/// One step of a membership path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Position of the group.
    pub role: usize,
    /// Its privileges are used without SET ROLE.
    pub inherit: bool,
    pub set: bool,
    pub admin: bool,
    /// The database's owner is an implicit member of `pg_database_owner`.
    pub implicit: bool,
}

/// The closed memberships of one catalog.
#[derive(Debug, Default)]
pub struct Closure {
    parents: Vec<Vec<Edge>>,
    /// Row r: r and every role whose privileges r inherits.
    inherits: Bits,
    /// Row r: every role that inherits the privileges of r, r itself too.
    heirs: Bits,
    by_oid: ByOid,
    superusers: Vec<u64>,
    everyone: Vec<u64>,
    roles: usize,
    /// See [`Closure::beyond`]; found when it is first asked for.
    beyond: OnceLock<Vec<Box<[usize]>>>,
}

impl Closure {
    /// Closes the memberships. `version_num` decides between `rolinherit` and `inherit_option` only for the implicit
    /// membership of the database's owner: the rows already carry the right flag (see `Membership`).
    #[must_use]
    pub fn new(catalog: &Catalog, version_num: u32) -> Closure {
        let n = catalog.roles.len();
        let by_oid: ByOid = catalog.roles.iter().enumerate().map(|(i, r)| (r.oid, i)).collect();
        let mut parents: Vec<Vec<Edge>> = vec![Vec::new(); n];
        for m in &catalog.memberships {
            let (Some(&role), Some(&member)) = (by_oid.get(&m.role), by_oid.get(&m.member)) else { continue };
            if let Some(list) = parents.get_mut(member) {
                list.push(Edge { role, inherit: m.inherit, set: m.set, admin: m.admin, implicit: false });
            }
        }
        let owner = by_oid.get(&catalog.database.owner).copied();
        let owner_role = catalog.roles.iter().position(|r| r.name == "pg_database_owner");
        if let (Some(member), Some(role)) = (owner, owner_role) {
            let inherit = version_num >= 160_000 || catalog.roles.get(member).is_some_and(|r| r.inherit);
            if let Some(list) = parents.get_mut(member) {
                list.push(Edge { role, inherit, set: true, admin: false, implicit: true });
            }
        }
        let inherits = close(n, &parents);
        let mut heirs = Bits::new(n, n);
        for r in 0..n {
            for group in ones(inherits.row(r)) {
                heirs.set(group, r);
            }
        }
        let mut superusers = vec![0; n.div_ceil(64)];
        let mut everyone = vec![0; n.div_ceil(64)];
        for (i, role) in catalog.roles.iter().enumerate() {
            set(&mut everyone, i);
            if role.superuser {
                set(&mut superusers, i);
            }
        }
        Closure { parents, inherits, heirs, by_oid, superusers, everyone, roles: n, beyond: OnceLock::new() }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.roles
    }
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roles == 0
    }
    /// Position of a role.
    #[inline]
    #[must_use]
    pub fn position(&self, oid: Oid) -> Option<usize> {
        self.by_oid.get(&oid).copied()
    }
    /// True when `role` has the privileges of `group` without SET ROLE. Superusers are not counted here.
    #[must_use]
    pub fn inherits(&self, role: usize, group: usize) -> bool {
        self.inherits.get(role, group)
    }
    /// Roles that have the privileges of `group`, itself included.
    #[must_use]
    pub fn heirs(&self, group: usize) -> &[u64] {
        self.heirs.row(group)
    }
    /// Everything whose privileges `role` has, itself included.
    #[must_use]
    pub fn groups(&self, role: usize) -> &[u64] {
        self.inherits.row(role)
    }
    #[must_use]
    pub fn superusers(&self) -> &[u64] {
        &self.superusers
    }
    #[must_use]
    pub fn everyone(&self) -> &[u64] {
        &self.everyone
    }
    /// Direct memberships of a role.
    #[must_use]
    pub fn parents(&self, role: usize) -> &[Edge] {
        self.parents.get(role).map(Vec::as_slice).unwrap_or_default()
    }

    /// Shortest path of memberships from `role` to `group` over edges that `follow` accepts; the edges in order, empty
    /// when they are the same role, `None` when there is none.
    #[must_use]
    pub fn path(&self, role: usize, group: usize, follow: impl Fn(&Edge) -> bool) -> Option<Vec<Edge>> {
        if role == group {
            return Some(Vec::new());
        }
        let mut came: HashMap<usize, (usize, Edge)> = HashMap::new();
        let mut queue = VecDeque::from([role]);
        while let Some(at) = queue.pop_front() {
            for edge in self.parents(at).iter().filter(|e| follow(e)) {
                if edge.role == role || came.contains_key(&edge.role) {
                    continue;
                }
                came.insert(edge.role, (at, *edge));
                if edge.role == group {
                    let mut path = Vec::new();
                    let mut end = group;
                    while let Some((before, edge)) = came.get(&end) {
                        path.push(*edge);
                        if *before == role {
                            break;
                        }
                        end = *before;
                    }
                    path.reverse();
                    return Some(path);
                }
                queue.push_back(edge.role);
            }
        }
        None
    }

    /// Roles that `role` could become by SET ROLE (or inherits), itself excluded.
    #[must_use]
    pub fn settable(&self, role: usize) -> Vec<usize> {
        let mut seen = vec![false; self.roles];
        let mut queue = VecDeque::from([role]);
        let mut found = Vec::new();
        if let Some(flag) = seen.get_mut(role) {
            *flag = true;
        }
        while let Some(at) = queue.pop_front() {
            for edge in self.parents(at).iter().filter(|e| e.set && !e.implicit) {
                if let Some(flag) = seen.get_mut(edge.role).filter(|flag| !**flag) {
                    *flag = true;
                    found.push(edge.role);
                    queue.push_back(edge.role);
                }
            }
        }
        found
    }

    /// Roles that `role` could become by SET ROLE, and whose privileges it does not have before: superusers too where they
    /// are inherited, since SUPERUSER never is. Ascending; few roles have any, so that for most this is empty.
    #[must_use]
    pub fn beyond(&self, role: usize) -> &[usize] {
        let all = self.beyond.get_or_init(|| {
            let mut seen = vec![usize::MAX; self.roles];
            (0..self.roles).map(|role| self.beyond_of(role, &mut seen)).collect()
        });
        all.get(role).map(|list| &**list).unwrap_or_default()
    }

    /// `seen` holds for each role by whom it was last reached.
    fn beyond_of(&self, role: usize, seen: &mut [usize]) -> Box<[usize]> {
        let mut found = Vec::new();
        let mut open = vec![role];
        while let Some(at) = open.pop() {
            for edge in self.parents(at).iter().filter(|e| e.set && !e.implicit && e.role != role) {
                let Some(by) = seen.get_mut(edge.role).filter(|by| **by != role) else { continue };
                *by = role;
                open.push(edge.role);
                if !self.inherits(role, edge.role) || get(&self.superusers, edge.role) {
                    found.push(edge.role);
                }
            }
        }
        found.sort_unstable();
        found.into_boxed_slice()
    }

    /// Adds to the bits every role that SET ROLE leads from to one of them, over any number of memberships.
    pub fn add_settable_into(&self, bits: &mut [u64]) {
        loop {
            let mut more = false;
            for (role, parents) in self.parents.iter().enumerate() {
                if !get(bits, role) && parents.iter().any(|e| e.set && !e.implicit && get(bits, e.role)) {
                    set(bits, role);
                    more = true;
                }
            }
            if !more {
                return;
            }
        }
    }
}

/// Depth first, each role after all its groups.
fn close(n: usize, parents: &[Vec<Edge>]) -> Bits {
    let mut closed = Bits::new(n, n);
    let mut done = vec![false; n];
    let mut open = vec![false; n];
    let mut stack: Vec<(usize, usize)> = Vec::new();
    for start in 0..n {
        if done.get(start).copied().unwrap_or(true) {
            continue;
        }
        stack.push((start, 0));
        while let Some((role, next)) = stack.pop() {
            if let Some(flag) = open.get_mut(role) {
                *flag = true;
            }
            let edges = parents.get(role).map(Vec::as_slice).unwrap_or_default();
            if let Some(edge) = edges.get(next) {
                stack.push((role, next + 1));
                let fresh = edge.inherit
                    && !done.get(edge.role).copied().unwrap_or(true)
                    && !open.get(edge.role).copied().unwrap_or(true);
                if fresh {
                    stack.push((edge.role, 0));
                }
                continue;
            }
            closed.set(role, role);
            for edge in edges.iter().filter(|e| e.inherit) {
                closed.merge_rows(role, edge.role);
            }
            if let Some(flag) = done.get_mut(role) {
                *flag = true;
            }
        }
    }
    closed
}

/// True when the role bypasses row level security by itself.
#[must_use]
pub fn bypasses_rls(role: &Role) -> bool {
    role.superuser || role.bypass_rls
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::snapshot::{Database, Membership};

    fn role(oid: u32, name: &str, inherit: bool) -> Role {
        Role { oid: Oid(oid), name: name.into(), inherit, ..Role::default() }
    }
    fn edge(role: u32, member: u32, inherit: bool) -> Membership {
        Membership { role: Oid(role), member: Oid(member), grantor: Oid(10), inherit, set: true, admin: false }
    }

    #[test]
    fn inheritance_stops_where_it_is_switched_off() {
        let catalog = Catalog {
            roles: vec![role(1, "a", true), role(2, "b", true), role(3, "c", true)],
            memberships: vec![edge(2, 1, true), edge(3, 2, false)],
            ..Catalog::default()
        };
        let closure = Closure::new(&catalog, 150_000);
        assert!(closure.inherits(0, 1));
        assert!(!closure.inherits(0, 2), "b does not inherit c, so a does not either");
        assert_eq!(closure.settable(0), vec![1, 2], "but SET ROLE goes all the way");
        assert_eq!(closure.path(0, 2, |_| true).map(|p| p.len()), Some(2));
        assert_eq!(ones(closure.heirs(1)).collect::<Vec<_>>(), vec![0, 1]);
        assert_eq!((closure.beyond(0), closure.beyond(1), closure.beyond(2)), (&[2][..], &[2][..], &[][..]));
        let mut bits = vec![0];
        set(&mut bits, 2);
        closure.add_settable_into(&mut bits);
        assert_eq!(ones(&bits).collect::<Vec<_>>(), [0, 1, 2], "over a role that only leads on, too");
    }

    #[test]
    fn rows_are_merged_both_ways() {
        let mut bits = Bits::new(3, 70);
        bits.set(0, 1);
        bits.set(2, 69);
        bits.merge_rows(0, 2);
        bits.merge_rows(1, 0);
        bits.merge_rows(1, 1);
        assert_eq!(ones(bits.row(0)).collect::<Vec<_>>(), [1, 69]);
        assert_eq!(ones(bits.row(1)).collect::<Vec<_>>(), [1, 69]);
        assert_eq!(ones(bits.row(2)).collect::<Vec<_>>(), [69]);
    }

    #[test]
    fn a_chain_of_fifty_closes() {
        let roles: Vec<Role> = (0..50).map(|i| role(i + 1, &format!("r{i:02}"), true)).collect();
        let memberships = (0..49).map(|i| edge(i + 2, i + 1, true)).collect();
        let closure = Closure::new(&Catalog { roles, memberships, ..Catalog::default() }, 150_000);
        assert!(closure.inherits(0, 49));
        assert!(!closure.inherits(49, 0));
    }

    #[test]
    fn the_database_owner_is_in_pg_database_owner() {
        let catalog = Catalog {
            database: Database { owner: Oid(1), ..Database::default() },
            roles: vec![role(1, "boss", false), role(2, "pg_database_owner", true)],
            ..Catalog::default()
        };
        assert!(!Closure::new(&catalog, 150_000).inherits(0, 1), "before 16 only when the owner inherits");
        assert!(Closure::new(&catalog, 160_000).inherits(0, 1));
    }
}
