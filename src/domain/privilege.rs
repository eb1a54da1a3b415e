//! Privileges, and access control lists as `aclexplode()` returns them: grantee, grantor, privilege, grant option.
//! Never parsed from `aclitem` text: a role named `16384` would print like a dropped role's oid.

use std::{fmt, ops::BitOr, sync::Arc};

use serde::{Deserialize, Serialize};

use super::ident::Oid;

/// One privilege of PostgreSQL ("Privileges" in the manual's chapter on data definition).
/// The discriminant is the bit in [`Privileges`] and the code `server/read` sends for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[repr(u8)]
pub enum Privilege {
    Select = 0,
    Insert = 1,
    Update = 2,
    Delete = 3,
    Truncate = 4,
    References = 5,
    Trigger = 6,
    /// Since 17.
    Maintain = 7,
    Usage = 8,
    Create = 9,
    Execute = 10,
    Connect = 11,
    Temporary = 12,
    /// A privilege of a newer server that this program does not know: carried and shown, never dropped.
    Unknown = 15,
}

impl Privilege {
    /// All known, in the order in which they are listed.
    pub const ALL: [Privilege; 13] = [
        Privilege::Select,
        Privilege::Insert,
        Privilege::Update,
        Privilege::Delete,
        Privilege::Truncate,
        Privilege::References,
        Privilege::Trigger,
        Privilege::Maintain,
        Privilege::Usage,
        Privilege::Create,
        Privilege::Execute,
        Privilege::Connect,
        Privilege::Temporary,
    ];

    /// The keyword of GRANT.
    #[must_use]
    pub const fn keyword(self) -> &'static str {
        match self {
            Privilege::Select => "SELECT",
            Privilege::Insert => "INSERT",
            Privilege::Update => "UPDATE",
            Privilege::Delete => "DELETE",
            Privilege::Truncate => "TRUNCATE",
            Privilege::References => "REFERENCES",
            Privilege::Trigger => "TRIGGER",
            Privilege::Maintain => "MAINTAIN",
            Privilege::Usage => "USAGE",
            Privilege::Create => "CREATE",
            Privilege::Execute => "EXECUTE",
            Privilege::Connect => "CONNECT",
            Privilege::Temporary => "TEMPORARY",
            Privilege::Unknown => "UNKNOWN",
        }
    }

    /// Reads a keyword in any case.
    #[must_use]
    pub fn from_keyword(word: &str) -> Option<Privilege> {
        let word = if word.eq_ignore_ascii_case("TEMP") { "TEMPORARY" } else { word };
        Privilege::ALL.into_iter().find(|p| p.keyword().eq_ignore_ascii_case(word))
    }

    /// Reads the code that `server/read` sends; anything else is [`Privilege::Unknown`].
    #[must_use]
    pub fn from_code(code: u8) -> Privilege {
        // in the order of their codes
        Privilege::ALL.get(usize::from(code)).copied().unwrap_or(Privilege::Unknown)
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.keyword())
    }
}

/// The bits of [`Privilege`].
const KNOWN: u16 = 0x9fff;

/// A set of privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Privileges(pub u16);

impl Privileges {
    pub const NONE: Privileges = Privileges(0);
    /// What a table can have on a server before 17.
    pub const TABLE_16: Privileges = Privileges(0x7f);
    /// What a table can have from 17 on.
    pub const TABLE: Privileges = Privileges(0xff);
    pub const SEQUENCE: Privileges = Privileges::of(&[Privilege::Usage, Privilege::Select, Privilege::Update]);
    /// What can be granted on single columns.
    pub const COLUMN: Privileges =
        Privileges::of(&[Privilege::Select, Privilege::Insert, Privilege::Update, Privilege::References]);
    pub const SCHEMA: Privileges = Privileges::of(&[Privilege::Usage, Privilege::Create]);
    pub const DATABASE: Privileges = Privileges::of(&[Privilege::Create, Privilege::Connect, Privilege::Temporary]);
    pub const ROUTINE: Privileges = Privileges::of(&[Privilege::Execute]);
    pub const TYPE: Privileges = Privileges::of(&[Privilege::Usage]);

    #[must_use]
    pub const fn of(list: &[Privilege]) -> Privileges {
        let mut bits = 0;
        let mut rest = list;
        while let [first, tail @ ..] = rest {
            bits |= 1 << (*first as u16);
            rest = tail;
        }
        Privileges(bits)
    }

    #[must_use]
    pub const fn contains(self, privilege: Privilege) -> bool {
        self.0 & (1 << (privilege as u16)) != 0
    }
    #[must_use]
    pub const fn contains_all(self, other: Privileges) -> bool {
        self.0 & other.0 == other.0
    }
    #[must_use]
    pub const fn intersects(self, other: Privileges) -> bool {
        self.0 & other.0 != 0
    }
    #[must_use]
    pub const fn and(self, other: Privileges) -> Privileges {
        Privileges(self.0 & other.0)
    }
    #[must_use]
    pub const fn minus(self, other: Privileges) -> Privileges {
        Privileges(self.0 & !other.0)
    }
    #[must_use]
    pub const fn union(self, other: Privileges) -> Privileges {
        Privileges(self.0 | other.0)
    }
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
    pub fn insert(&mut self, privilege: Privilege) {
        self.0 |= 1 << (privilege as u16);
    }
    /// The members in listing order; [`Privilege::Unknown`] last.
    pub fn iter(self) -> impl Iterator<Item = Privilege> {
        let mut rest = self.0 & KNOWN;
        std::iter::from_fn(move || {
            let first = (rest != 0).then(|| Privilege::from_code(rest.trailing_zeros() as u8))?;
            rest &= rest - 1;
            Some(first)
        })
    }
    #[must_use]
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }
}

impl BitOr for Privileges {
    type Output = Privileges;
    fn bitor(self, other: Privileges) -> Privileges {
        self.union(other)
    }
}

impl From<Privilege> for Privileges {
    fn from(privilege: Privilege) -> Privileges {
        Privileges(1 << (privilege as u16))
    }
}

impl FromIterator<Privilege> for Privileges {
    fn from_iter<I: IntoIterator<Item = Privilege>>(iter: I) -> Privileges {
        let mut set = Privileges::NONE;
        for privilege in iter {
            set.insert(privilege);
        }
        set
    }
}

/// `SELECT, INSERT`
impl fmt::Display for Privileges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, privilege) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            f.write_str(privilege.keyword())?;
        }
        Ok(())
    }
}

/// What privileges can be granted on, as far as this program looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectKind {
    Database,
    Schema,
    /// Every relation that `GRANT … ON TABLE` covers: tables, partitioned and foreign tables, views, matviews.
    Table,
    Sequence,
    /// Functions, procedures, aggregates, window functions.
    Routine,
    /// Enums, domains, ranges and free-standing composite types.
    Type,
}

impl ObjectKind {
    /// Every privilege of this kind on a server of that version (`server_version_num`).
    #[must_use]
    pub const fn all(self, version_num: u32) -> Privileges {
        match self {
            ObjectKind::Database => Privileges::DATABASE,
            ObjectKind::Schema => Privileges::SCHEMA,
            ObjectKind::Table => {
                if version_num >= 170_000 {
                    Privileges::TABLE
                } else {
                    Privileges::TABLE_16
                }
            }
            ObjectKind::Sequence => Privileges::SEQUENCE,
            ObjectKind::Routine => Privileges::ROUTINE,
            ObjectKind::Type => Privileges::TYPE,
        }
    }

    /// What a NULL ACL gives PUBLIC (`acldefault()`).
    #[must_use]
    pub const fn public_default(self) -> Privileges {
        match self {
            ObjectKind::Database => Privileges::of(&[Privilege::Connect, Privilege::Temporary]),
            ObjectKind::Schema | ObjectKind::Table | ObjectKind::Sequence => Privileges::NONE,
            ObjectKind::Routine => Privileges::ROUTINE,
            ObjectKind::Type => Privileges::TYPE,
        }
    }

    /// For sentences: "97 of 104 tables".
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            ObjectKind::Database => "databases",
            ObjectKind::Schema => "schemas",
            ObjectKind::Table => "tables",
            ObjectKind::Sequence => "sequences",
            ObjectKind::Routine => "routines",
            ObjectKind::Type => "types",
        }
    }

    #[must_use]
    pub const fn singular(self) -> &'static str {
        match self {
            ObjectKind::Database => "database",
            ObjectKind::Schema => "schema",
            ObjectKind::Table => "table",
            ObjectKind::Sequence => "sequence",
            ObjectKind::Routine => "routine",
            ObjectKind::Type => "type",
        }
    }
}

/// One grantee's share of an ACL from one grantor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AclEntry {
    /// [`Oid::ZERO`] is PUBLIC.
    pub grantee: Oid,
    pub grantor: Oid,
    pub privileges: Privileges,
    /// The part of `privileges` held WITH GRANT OPTION.
    pub grantable: Privileges,
}

impl AclEntry {
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.grantee == Oid::ZERO
    }
}

/// An ACL column. `None` is NULL, the built-in default; an empty list is nobody, not even the owner.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Acl(pub Option<Arc<[AclEntry]>>);

impl Acl {
    pub const NULL: Acl = Acl(None);

    #[must_use]
    pub fn from_entries(entries: Vec<AclEntry>) -> Acl {
        Acl(Some(entries.into()))
    }

    /// The entries that are in force: the list itself, or what NULL stands for (`acldefault()`): everything for the
    /// owner, and PUBLIC's built-in share.
    #[must_use]
    pub fn in_force(&self, kind: ObjectKind, owner: Oid, version_num: u32) -> InForce<'_> {
        match &self.0 {
            Some(entries) => InForce::Listed(entries),
            None => {
                let all = kind.all(version_num);
                let own = AclEntry { grantee: owner, grantor: owner, privileges: all, grantable: all };
                let public = AclEntry {
                    grantee: Oid::ZERO,
                    grantor: owner,
                    privileges: kind.public_default(),
                    grantable: Privileges::NONE,
                };
                InForce::Default([own, public])
            }
        }
    }
}

/// See [`Acl::in_force`].
pub enum InForce<'a> {
    Listed(&'a [AclEntry]),
    Default([AclEntry; 2]),
}

impl InForce<'_> {
    #[must_use]
    pub fn entries(&self) -> &[AclEntry] {
        match self {
            InForce::Listed(entries) => entries,
            InForce::Default(entries) => entries,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_means_the_owner_and_publics_default() {
        let acl = Acl::NULL;
        let in_force = acl.in_force(ObjectKind::Routine, Oid(10), 150_000);
        assert_eq!(in_force.entries().len(), 2);
        assert!(in_force.entries()[1].is_public());
        assert!(in_force.entries()[1].privileges.contains(Privilege::Execute));
        assert!(Acl::from_entries(vec![]).in_force(ObjectKind::Table, Oid(10), 150_000).entries().is_empty());
    }

    #[test]
    fn maintain_is_known_from_17() {
        assert!(!ObjectKind::Table.all(160_000).contains(Privilege::Maintain));
        assert!(ObjectKind::Table.all(170_000).contains(Privilege::Maintain));
    }

    #[test]
    fn codes_and_keywords_round_trip() {
        for p in Privilege::ALL {
            assert_eq!(Privilege::from_code(p as u8), p);
            assert_eq!(Privilege::from_keyword(p.keyword()), Some(p));
        }
        assert_eq!(Privilege::from_code(14), Privilege::Unknown);
        let mut all = Privilege::ALL.to_vec();
        all.push(Privilege::Unknown);
        assert_eq!(Privileges(u16::MAX).iter().collect::<Vec<_>>(), all);
    }
}
