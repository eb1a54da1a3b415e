//! What takes a privilege away: every entry and membership that gives it, what stands on a grant option before the option
//! itself, since the server refuses the other order ("dependent privileges exist"). Nothing is done by CASCADE: who else
//! loses something is named.

use super::{
    change::{Change, Grantee, On},
    effective::{Matrix, Who},
    explain::Subject,
    ident::Oid,
    privilege::{AclEntry, ObjectKind, Privilege, Privileges},
    snapshot::{Catalog, Membership, Schema, Shapes},
};

/// The role that initdb makes; from 16 on it is the grantor of what superusers grant.
const BOOTSTRAP: Oid = Oid(10);

/// The way to end a privilege.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ending {
    /// Empty where only a person can decide.
    pub changes: Vec<Change>,
    /// Who else loses something by it, in sentences.
    pub others: Vec<String>,
}

/// One list of entries, as it will be after the changes so far.
struct List {
    on: On,
    entries: Vec<AclEntry>,
}

struct Taking<'a> {
    catalog: &'a Catalog,
    matrix: &'a Matrix,
    schema: Option<&'a Schema>,
    owner: Oid,
    privilege: Privilege,
    /// The object's own list, then those of its columns.
    lists: Vec<List>,
    memberships: Vec<Membership>,
    changes: Vec<Change>,
    /// Who had passed it on, or let others into a role, and to whom.
    lost: Vec<(Oid, Option<Oid>, Vec<Oid>)>,
}

/// What would take the privilege away: only where every way to it can be ended by itself.
#[must_use]
pub fn ending(
    catalog: &Catalog,
    matrix: &Matrix,
    shapes: Option<&Shapes>,
    who: Who,
    subject: &Subject<'_>,
    privilege: Privilege,
) -> Ending {
    let (owner, acl) = subject.owner_and_acl(catalog);
    let in_force = acl.in_force(subject.kind(), owner, matrix.version_num);
    let mut lists = vec![List { on: subject.object_on(catalog), entries: in_force.entries().to_vec() }];
    let mut asked = vec![true];
    if let (Some((schema, object)), Some(shapes)) = (subject.object(), shapes) {
        let of_table = shapes.column_grants.iter().filter(|g| g.relation_oid == object.oid);
        for grant in of_table {
            asked.push(subject.column() == Some(grant.column.as_str()));
            lists.push(List {
                on: On::Columns {
                    schema: schema.name.clone(),
                    relation: object.name.clone(),
                    columns: vec![grant.column.clone()],
                },
                entries: grant.acl.0.iter().flat_map(|list| list.iter().copied()).collect(),
            });
        }
    }
    let taking = Taking {
        catalog,
        matrix,
        schema: subject.schema().filter(|_| subject.object().is_some()),
        owner,
        privilege,
        lists,
        memberships: catalog.memberships.clone(),
        changes: Vec::new(),
        lost: Vec::new(),
    };
    taking.end(who, &asked, subject).unwrap_or_default()
}

impl Taking<'_> {
    fn end(mut self, who: Who, asked: &[bool], subject: &Subject<'_>) -> Option<Ending> {
        let superuser = |at: usize| self.catalog.roles.get(at).is_some_and(|r| r.superuser);
        if matches!(who, Who::Role(at) if superuser(at)) {
            return None;
        }
        let mut holders: Vec<(usize, Oid, Oid)> = self
            .lists
            .iter()
            .enumerate()
            .filter(|(at, _)| asked.get(*at).copied().unwrap_or(false))
            .flat_map(|(at, list)| list.entries.iter().map(move |e| (at, e)))
            .filter(|(_, e)| e.privileges.contains(self.privilege))
            .map(|(at, e)| (at, e.grantee, e.grantor))
            .collect();
        // what REVOKE on the relation takes from the columns, too, need not be taken before; the rest does, since its grantor
        // may hold the option on the relation alone
        let by_whole: Vec<(Oid, Oid)> = holders.iter().filter(|(at, ..)| *at == 0).map(|(_, e, r)| (*e, *r)).collect();
        holders.retain(|(at, grantee, grantor)| *at == 0 || !by_whole.contains(&(*grantee, *grantor)));
        holders.sort_by_key(|(at, ..)| *at == 0);
        let mut groups = Vec::new();
        let (mut public, mut whole) = (false, false);
        for (at, grantee, grantor) in holders {
            if grantee == Oid::ZERO {
                public = true;
            } else {
                let Who::Role(role) = who else { continue };
                let Some(group) = self.matrix.closure.position(grantee) else { continue };
                if group != role {
                    if self.matrix.closure.inherits(role, group) {
                        groups.push(group);
                    }
                    continue;
                }
                if grantee == self.owner {
                    return None;
                }
            }
            whole |= at == 0;
            self.take(at, grantee, grantor);
        }
        if let Who::Role(role) = who {
            for (group, gives) in self.matrix.predefined_grants(subject.kind()) {
                if gives.contains(self.privilege) && self.matrix.closure.inherits(role, group) {
                    if group == role {
                        return None;
                    }
                    groups.push(group);
                }
            }
            for group in groups {
                self.leave(role, group)?;
            }
        }
        let mut others = Vec::new();
        if let Who::Role(role) = who {
            others.extend(self.wider(role));
        }
        if public && who != Who::Public {
            others.push(format!("It is PUBLIC that holds {}: everybody else loses it, too.", self.privilege));
        }
        if whole && subject.column().is_some() {
            others.push(format!("{} is granted on the whole relation: it ends on every column.", self.privilege));
        }
        for (by, role, names) in &self.lost {
            let what = match role {
                Some(role) => format!("membership in {}", self.catalog.role_name(*role)),
                None => self.privilege.to_string(),
            };
            let names: Vec<String> = names.iter().map(|oid| self.catalog.role_name(*oid)).collect();
            let (by, names) = (self.catalog.role_name(*by), crate::text::list(&names, 8));
            others.push(format!("Ends along with it: {what}, which {by} had granted to {names}."));
        }
        Some(Ending { changes: self.changes, others })
    }

    /// What a membership that ends gave besides: whoever leaves a role loses everything that comes through it.
    fn wider(&self, role: usize) -> Vec<String> {
        let name = |oid: Oid| self.catalog.role_name(oid);
        let member = self.catalog.roles.get(role).map(|r| r.oid).unwrap_or_default();
        let mut left: Vec<(String, String)> = Vec::new();
        for before in &self.catalog.memberships {
            let ended = !self.memberships.iter().any(|m| (m.role, m.member) == (before.role, before.member));
            let pair = (name(before.member), name(before.role));
            if ended && before.member == member && !left.contains(&pair) {
                left.push(pair);
            }
        }
        let sentence = |(member, group): &(String, String)| {
            format!("{member} loses everything else that it has through {group}, too: GRANT it what it is to keep.")
        };
        left.iter().map(sentence).collect()
    }

    /// Takes one entry away, after what stands on its option.
    fn take(&mut self, at: usize, grantee: Oid, grantor: Oid) {
        self.dependents(at, grantee, grantor);
        if at == 0 {
            // REVOKE on the relation takes what the same grantor gave on its columns, too
            for column in 1..self.lists.len() {
                self.dependents(column, grantee, grantor);
                self.strike(column, grantee, grantor);
            }
        }
        if !self.strike(at, grantee, grantor) {
            return;
        }
        let Some(on) = self.lists.get(at).map(|list| list.on.clone()) else { return };
        let by = (grantor != self.owner).then(|| self.catalog.role_name(grantor));
        let from = match grantee {
            Oid::ZERO => Grantee::Public,
            oid => Grantee::Role(self.catalog.role_name(oid)),
        };
        let revoke = |privilege: Privilege, on: On, from: Grantee, grantor: Option<String>| Change::Revoke {
            privileges: privilege.into(),
            on,
            from,
            option_only: false,
            grantor,
        };
        // the grantor revokes it itself, and finds the object only with USAGE
        let lent = self.schema.filter(|schema| {
            let role = self.matrix.closure.position(grantor).map(Who::Role);
            let rights = |who| self.matrix.rights(self.catalog, who, ObjectKind::Schema, schema.owner, &schema.acl);
            by.is_some() && !role.is_some_and(|who| rights(who).contains(Privilege::Usage))
        });
        let lent = lent.zip(by.clone()).map(|(schema, by)| (On::Schema(schema.name.clone()), Grantee::Role(by)));
        if let Some((on, to)) = lent.clone() {
            self.changes.push(Change::Grant { privileges: Privilege::Usage.into(), on, to });
        }
        self.changes.push(revoke(self.privilege, on, from, by));
        if let Some((on, from)) = lent {
            self.changes.push(revoke(Privilege::Usage, on, from, None));
        }
    }

    /// Takes away what the grantee of an entry had passed on, where no other option of its stays.
    fn dependents(&mut self, at: usize, grantee: Oid, grantor: Oid) {
        let Some(list) = self.lists.get(at) else { return };
        let option = |e: &&AclEntry| e.grantee == grantee && e.grantable.contains(self.privilege);
        let options: Vec<Oid> = list.entries.iter().filter(option).map(|e| e.grantor).collect();
        if grantee == Oid::ZERO || grantee == self.owner || options != [grantor] {
            return;
        }
        let passed_on = |e: &&AclEntry| e.grantor == grantee && e.privileges.contains(self.privilege);
        let further: Vec<Oid> = list.entries.iter().filter(passed_on).map(|e| e.grantee).collect();
        if let Some(entry) = self
            .lists
            .get_mut(at)
            .and_then(|l| l.entries.iter_mut().find(|e| (e.grantee, e.grantor) == (grantee, grantor)))
        {
            // whoever stands in a ring is not asked twice
            entry.grantable = entry.grantable.minus(self.privilege.into());
        }
        for to in further {
            self.lose(grantee, None, to);
            self.take(at, to, grantee);
        }
    }

    /// Removes the privilege from an entry; false where it was not there.
    fn strike(&mut self, at: usize, grantee: Oid, grantor: Oid) -> bool {
        let privilege: Privileges = self.privilege.into();
        let Some(list) = self.lists.get_mut(at) else { return false };
        let held =
            |e: &&mut AclEntry| (e.grantee, e.grantor) == (grantee, grantor) && e.privileges.intersects(privilege);
        let Some(entry) = list.entries.iter_mut().find(held) else { return false };
        entry.privileges = entry.privileges.minus(privilege);
        entry.grantable = entry.grantable.minus(privilege);
        true
    }

    /// Ends every membership by which a role comes to a group's privileges; `None` where one is not granted.
    fn leave(&mut self, role: usize, group: usize) -> Option<()> {
        let matrix = self.matrix;
        let closure = &matrix.closure;
        let leads = |at: usize| closure.inherits(at, group);
        if closure.parents(role).iter().any(|e| e.implicit && e.inherit && leads(e.role)) {
            return None;
        }
        let member = self.catalog.roles.get(role)?.oid;
        let rows: Vec<Membership> = self
            .memberships
            .iter()
            .filter(|m| m.member == member && m.inherit && closure.position(m.role).is_some_and(leads))
            .copied()
            .collect();
        for row in rows {
            self.end_membership(row);
        }
        Some(())
    }

    /// From 16 on a membership is its grantor's, and what its member granted by the ADMIN option goes first.
    fn end_membership(&mut self, row: Membership) {
        let Some(at) = self.memberships.iter().position(|m| *m == row) else { return };
        self.memberships.remove(at);
        let owned = self.matrix.version_num >= 160_000;
        let admin = |m: &&Membership| m.role == row.role && m.member == row.member && m.admin;
        if owned && row.admin && self.memberships.iter().find(admin).is_none() {
            let by = |m: &&Membership| m.role == row.role && m.grantor == row.member;
            let further: Vec<Membership> = self.memberships.iter().filter(by).copied().collect();
            for m in further {
                self.lose(row.member, Some(row.role), m.member);
                self.end_membership(m);
            }
        }
        let grantor = (owned && row.grantor != BOOTSTRAP).then(|| self.catalog.role_name(row.grantor));
        let (role, member) = (self.catalog.role_name(row.role), self.catalog.role_name(row.member));
        let change = Change::RevokeRole { role, member, grantor };
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    fn lose(&mut self, by: Oid, role: Option<Oid>, to: Oid) {
        match self.lost.iter_mut().find(|(of, what, _)| (*of, *what) == (by, role)) {
            Some((_, _, names)) if names.contains(&to) => {}
            Some((_, _, names)) => names.push(to),
            None => self.lost.push((by, role, vec![to])),
        }
    }
}
