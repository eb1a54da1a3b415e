//! How the server edits an ACL: what GRANT adds, what REVOKE takes and when it refuses, what OWNER TO does to a list
//! (`acl.c`, `aclchk.c`). Knows one list at a time.

use super::Refused;
use crate::domain::{Acl, AclEntry, ObjectKind, Oid, Privilege, Privileges, snapshot::DefaultKind};

/// `aclupdate`: adds to, or takes from, one grantee's share by one grantor.
pub(super) struct Update {
    pub grantee: Oid,
    pub grantor: Oid,
    pub privileges: Privileges,
    pub grant: bool,
    /// Granted with the option, or only the option is taken.
    pub option: bool,
}

impl Update {
    pub(super) fn on(&self, entries: &mut Vec<AclEntry>, owner: Oid) -> Result<(), Refused> {
        let found = entries.iter_mut().find(|e| e.grantee == self.grantee && e.grantor == self.grantor);
        if self.grant {
            let grantable = if self.option { self.privileges } else { Privileges::NONE };
            match found {
                Some(entry) => {
                    entry.privileges = entry.privileges | self.privileges;
                    entry.grantable = entry.grantable | grantable;
                }
                None => entries.push(AclEntry {
                    grantee: self.grantee,
                    grantor: self.grantor,
                    privileges: self.privileges,
                    grantable,
                }),
            }
            return Ok(());
        }
        let Some(entry) = found else { return Ok(()) };
        let lost = entry.grantable.and(self.privileges);
        entry.grantable = entry.grantable.minus(self.privileges);
        if !self.option {
            entry.privileges = entry.privileges.minus(self.privileges);
        }
        if self.grantee != Oid::ZERO && self.grantee != owner && !lost.is_empty() {
            let left = entries
                .iter()
                .filter(|e| e.grantee == self.grantee)
                .fold(Privileges::NONE, |held, e| held | e.grantable);
            let gone = lost.minus(left);
            let passed_on = |e: &AclEntry| e.grantor == self.grantee && e.privileges.intersects(gone);
            if entries.iter().any(passed_on) {
                return Err(Refused::new("others hold the privilege through the grant option that is taken away"));
            }
        }
        entries.retain(|e| !e.privileges.is_empty());
        Ok(())
    }
}

/// A role that grants and revokes, and whom it may act for.
pub(super) struct Acting {
    pub name: String,
    pub superuser: bool,
    /// The role itself, then those it inherits, nearest first.
    pub roles: Vec<Oid>,
}

impl Acting {
    /// `select_best_grantor`: the owner, when the role may act as it; else the first role that has every grant option.
    pub(super) fn grantor(&self, list: &[AclEntry], owner: Oid, needed: Privileges) -> Result<Oid, Refused> {
        let Some(first) = self.roles.first() else { return Ok(owner) };
        if self.superuser || *first == owner {
            return Ok(owner);
        }
        let options = |role: Oid| {
            if role == owner {
                return needed;
            }
            let held = list.iter().filter(|e| e.grantee == role);
            held.fold(Privileges::NONE, |all, e| all | e.grantable).and(needed)
        };
        let found = self.roles.iter().find(|role| options(**role) == needed);
        found.copied().ok_or_else(|| Refused::new(format!("{} holds no grant option for that", self.name)))
    }
}

/// The list in force, as the server begins to edit it: in what NULL stands for, the owner's grant options are not written,
/// because an owner has them anyway (`acldefault`).
pub(super) fn entries(acl: &Acl, kind: ObjectKind, owner: Oid, version: u32) -> Vec<AclEntry> {
    let in_force = acl.in_force(kind, owner, version);
    let mut list: Vec<AclEntry> = in_force.entries().iter().filter(|e| !e.privileges.is_empty()).copied().collect();
    if acl.0.is_none() {
        for entry in &mut list {
            entry.grantable = Privileges::NONE;
        }
    }
    list
}

/// `aclnewowner`: the old owner's entries and grants become the new one's.
pub(super) fn hand_over(acl: &mut Acl, old: Oid, new: Oid) {
    let Some(list) = &acl.0 else { return };
    let mut merged: Vec<AclEntry> = Vec::new();
    for entry in list.iter() {
        let swap = |oid: Oid| if oid == old { new } else { oid };
        let entry = AclEntry { grantee: swap(entry.grantee), grantor: swap(entry.grantor), ..*entry };
        match merged.iter_mut().find(|e| e.grantee == entry.grantee && e.grantor == entry.grantor) {
            Some(e) => {
                e.privileges = e.privileges | entry.privileges;
                e.grantable = e.grantable | entry.grantable;
            }
            None => merged.push(entry),
        }
    }
    *acl = Acl::from_entries(merged);
}

pub(super) fn same_entries(a: &[AclEntry], b: &[AclEntry]) -> bool {
    let sorted = |list: &[AclEntry]| {
        let mut list = list.to_vec();
        list.sort();
        list
    };
    sorted(a) == sorted(b)
}

/// The kind of object a default ACL is for; large objects have none here.
pub(super) fn object_kind(kind: DefaultKind) -> Option<ObjectKind> {
    match kind {
        DefaultKind::Tables => Some(ObjectKind::Table),
        DefaultKind::Sequences => Some(ObjectKind::Sequence),
        DefaultKind::Functions => Some(ObjectKind::Routine),
        DefaultKind::Types => Some(ObjectKind::Type),
        DefaultKind::Schemas => Some(ObjectKind::Schema),
        DefaultKind::LargeObjects => None,
    }
}

/// `acldefault()` of a kind that default privileges can be set for.
pub(super) fn built_in(kind: DefaultKind, owner: Oid, version: u32) -> Vec<AclEntry> {
    match object_kind(kind) {
        Some(kind) => entries(&Acl::NULL, kind, owner, version),
        None => {
            let all = Privileges::of(&[Privilege::Select, Privilege::Update]);
            vec![AclEntry { grantee: owner, grantor: owner, privileges: all, grantable: Privileges::NONE }]
        }
    }
}
