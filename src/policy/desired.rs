//! What a policy wants of one catalog: for every declared (role, schema) the rights that must be effective and those
//! that may be, who owns what, who creates objects. Names are resolved to positions once; what the catalog does not hold
//! is left to the checks of group *existence*. Knows nothing of findings.

use std::{
    collections::{BTreeMap, HashMap},
    hash::BuildHasherDefault,
};

use super::{Exception, Level, Policy, Undeclared};
use crate::domain::{
    ObjectKind, Oid, Privilege, Privileges,
    closure::{get, set},
    effective::{Matrix, Who},
    ident::OidHasher,
    snapshot::{Catalog, Role, Schema},
};

/// Rights in one schema, by what they are on. Types are not judged by levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rights {
    pub schema: Privileges,
    pub tables: Privileges,
    pub sequences: Privileges,
    pub routines: Privileges,
}

/// The kinds that [`Rights`] speaks of, in listing order.
pub const KINDS: [ObjectKind; 4] = [ObjectKind::Schema, ObjectKind::Table, ObjectKind::Sequence, ObjectKind::Routine];

impl Rights {
    pub const NONE: Rights = Rights {
        schema: Privileges::NONE,
        tables: Privileges::NONE,
        sequences: Privileges::NONE,
        routines: Privileges::NONE,
    };

    /// Every right that a server of that version knows.
    #[must_use]
    pub const fn all(version_num: u32) -> Rights {
        Rights {
            schema: ObjectKind::Schema.all(version_num),
            tables: ObjectKind::Table.all(version_num),
            sequences: ObjectKind::Sequence.all(version_num),
            routines: ObjectKind::Routine.all(version_num),
        }
    }

    #[must_use]
    pub const fn of(&self, kind: ObjectKind) -> Privileges {
        match kind {
            ObjectKind::Schema => self.schema,
            ObjectKind::Table => self.tables,
            ObjectKind::Sequence => self.sequences,
            ObjectKind::Routine => self.routines,
            ObjectKind::Database | ObjectKind::Type => Privileges::NONE,
        }
    }

    #[must_use]
    pub const fn union(self, other: Rights) -> Rights {
        Rights {
            schema: self.schema.union(other.schema),
            tables: self.tables.union(other.tables),
            sequences: self.sequences.union(other.sequences),
            routines: self.routines.union(other.routines),
        }
    }

    /// Those of the rights that are among `privileges`, of whatever kind.
    #[must_use]
    pub const fn and(self, privileges: Privileges) -> Rights {
        Rights {
            schema: self.schema.and(privileges),
            tables: self.tables.and(privileges),
            sequences: self.sequences.and(privileges),
            routines: self.routines.and(privileges),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        KINDS.iter().all(|k| self.of(*k).is_empty())
    }
}

/// What a level requires (contract, section 3). `own` requires what `all` does; that the role owns is apart.
#[must_use]
pub const fn required(level: Level, version_num: u32) -> Rights {
    match level {
        Level::Usage => of(&[], &[], &[]),
        Level::Read => of(&[Privilege::Select], &[], &[]),
        Level::Append => of(&[Privilege::Insert], &[Privilege::Usage], &[]),
        Level::Write => of(
            &[Privilege::Select, Privilege::Insert, Privilege::Update, Privilege::Delete],
            &[Privilege::Usage, Privilege::Select],
            &[],
        ),
        Level::Reference => of(&[Privilege::References], &[], &[]),
        Level::Execute => of(&[], &[], &[Privilege::Execute]),
        Level::All | Level::Own => Rights::all(version_num),
    }
}

const fn of(tables: &[Privilege], sequences: &[Privilege], routines: &[Privilege]) -> Rights {
    Rights {
        schema: Privileges::of(&[Privilege::Usage]),
        tables: Privileges::of(tables),
        sequences: Privileges::of(sequences),
        routines: Privileges::of(routines),
    }
}

/// What a level allows, its requirement included.
#[must_use]
pub const fn allowed(level: Level, version_num: u32) -> Rights {
    let besides: &[Privilege] = match level {
        Level::Usage | Level::Reference | Level::Execute => &[],
        Level::Read | Level::Append => &[Privilege::Select],
        Level::Write => &[Privilege::Update],
        Level::All | Level::Own => return Rights::all(version_num),
    };
    required(level, version_num).union(Rights { sequences: Privileges::of(besides), ..Rights::NONE })
}

/// A set of levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Levels(u8);

impl Levels {
    pub const fn insert(&mut self, level: Level) {
        self.0 |= 1 << level as u8;
    }
    #[must_use]
    pub const fn contains(self, level: Level) -> bool {
        self.0 & 1 << level as u8 != 0
    }
    const fn without(self, level: Level) -> Levels {
        Levels(self.0 & !(1 << level as u8))
    }
    const fn union(self, other: Levels) -> Levels {
        Levels(self.0 | other.0)
    }
    /// In the order of [`Level::ALL`]; `usage` only where it is the only one, since every other level implies it.
    pub fn iter(self) -> impl Iterator<Item = Level> {
        let shown = if self.0.count_ones() > 1 { self.without(Level::Usage) } else { self };
        Level::ALL.into_iter().filter(move |level| shown.contains(*level))
    }
    /// The words for them, as [`Levels::iter`] lists them.
    #[must_use]
    pub fn words(self) -> Vec<&'static str> {
        self.iter().map(Level::word).collect()
    }
}

/// What the policy says of one role in one schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Want {
    /// Declared levels; those of declared memberships included.
    pub levels: Levels,
    /// Must be effective.
    pub required: Rights,
    /// May be effective, `required` included.
    pub allowed: Rights,
    /// The role must own the schema and its objects (see [`SchemaWant::accepted`]).
    pub owns: bool,
    /// An entry of [`Desired::exceptions`] speaks of this role and schema.
    pub excepted: bool,
}

/// What is declared for a role in a schema, memberships aside.
#[derive(Debug, Clone, Copy, Default)]
struct Declared {
    role: u32,
    want: Want,
    /// It owns a schema that has no declared owner: everything is allowed to it, to its members nothing by that.
    found_owner: bool,
    /// What exceptions for the whole schema allow it, and with it its declared members.
    excepted: Rights,
    /// Exceptions speak of single objects.
    single: bool,
}

impl Declared {
    /// What a declared member may do because this role may.
    const fn lends(&self) -> Rights {
        self.want.allowed.union(self.excepted)
    }
}

/// What the policy says of one schema.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SchemaWant {
    /// The policy names it.
    pub named: bool,
    /// It is compared at all: not the system's, not an extension's.
    pub judged: bool,
    /// Position in [`Policy::services`] of the service that owns it.
    pub service: Option<usize>,
    /// Declared owner: its name, whether the catalog knows it or not.
    pub owner: Option<String>,
    /// Owners that objects may have; empty when none is declared (then no ownership is judged).
    pub accepted: Vec<Oid>,
    /// Roles that create objects there: default privileges are kept for each. Positions in the catalog.
    pub creators: Vec<usize>,
}

/// A policy resolved against one catalog.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// What is declared by role and schema: by schema, ascending by role.
    declared: Vec<Vec<Declared>>,
    /// By role, groups in which it is by declared memberships, closed, without itself; ascending.
    groups: Vec<Vec<usize>>,
    /// By role, bits of the roles that are in it by declared memberships; empty where there are none.
    members: Vec<Vec<u64>>,
    /// What declared memberships in predefined roles allow in every schema; bits of the roles to each.
    everywhere: Vec<(Rights, Vec<u64>)>,
    pub schemas: Vec<SchemaWant>,
    named: Vec<bool>,
    /// Bits of the roles that are compared: no superuser, no role of the server or the platform.
    pub compared: Vec<u64>,
    /// How many these are.
    pub compared_roles: u64,
    /// Bits of the roles that the policy names.
    pub named_bits: Vec<u64>,
    pub exceptions: Vec<Exception>,
    /// Positions in `exceptions` by role (`None`: PUBLIC) and schema.
    excepted: HashMap<(Option<usize>, usize), Vec<usize>, BuildHasherDefault<OidHasher>>,
    /// Schemas in which exceptions name single objects; ascending.
    excepted_singly: Vec<usize>,
    /// Exceptions on the database (`schema = "database:NAME"`).
    pub database_exceptions: Vec<usize>,
    pub undeclared: Undeclared,
    version_num: u32,
}

/// How an `[[exception]]` names PUBLIC.
pub const PUBLIC: &str = "PUBLIC";
/// How an `[[exception]]` names a database in place of a schema, as `explain` does.
pub const DATABASE_PREFIX: &str = "database:";

/// True for a role that is compared with the policy and may be changed.
#[must_use]
pub fn is_compared(role: &Role) -> bool {
    !role.superuser && !role.is_platform()
}

/// `pg_database_owner` stands for the database's owner; every other role for itself.
#[must_use]
pub fn real_owner(catalog: &Catalog, owner: Oid) -> Oid {
    match catalog.role(owner) {
        Some(role) if role.name == "pg_database_owner" => catalog.database.owner,
        _ => owner,
    }
}

/// As [`real_owner`], without searching the roles.
#[must_use]
pub fn resolved_owner(catalog: &Catalog, matrix: &Matrix, owner: Oid) -> Oid {
    match matrix.index.role(owner).and_then(|r| catalog.roles.get(r)) {
        Some(role) if role.name == "pg_database_owner" => catalog.database.owner,
        _ => owner,
    }
}

struct Builder<'a> {
    catalog: &'a Catalog,
    matrix: &'a Matrix,
    out: Desired,
}

impl Desired {
    /// Resolves `policy` (entries of other instances already left out).
    #[must_use]
    pub fn new(policy: &Policy, catalog: &Catalog, matrix: &Matrix) -> Desired {
        let words = catalog.roles.len().div_ceil(64);
        let out = Desired {
            declared: vec![Vec::new(); catalog.schemas.len()],
            schemas: catalog
                .schemas
                .iter()
                .map(|s| SchemaWant { judged: is_judged(s), ..SchemaWant::default() })
                .collect(),
            named: vec![false; catalog.roles.len()],
            compared: vec![0; words],
            named_bits: vec![0; words],
            exceptions: policy.exceptions.clone(),
            undeclared: policy.undeclared,
            version_num: matrix.version_num,
            ..Desired::default()
        };
        let mut builder = Builder { catalog, matrix, out };
        for (i, role) in catalog.roles.iter().enumerate() {
            if is_compared(role) {
                set(&mut builder.out.compared, i);
                builder.out.compared_roles += 1;
            }
        }
        builder.services(policy);
        builder.schemas(policy);
        builder.roles(policy);
        builder.memberships(policy);
        builder.unowned();
        builder.exceptions(policy);
        builder.out
    }

    /// True when a policy resolved against `before` is resolved the same against `now`: roles and schemas stand where they
    /// stood, and what a policy's names lead to is as it was. Grants and memberships are no part of it.
    #[must_use]
    pub fn holds_for(before: &Catalog, now: &Catalog) -> bool {
        let roles = |a: &Role, b: &Role| {
            a.oid == b.oid && a.superuser == b.superuser && a.platform == b.platform && a.name == b.name
        };
        let schemas = |a: &Schema, b: &Schema| {
            a.oid == b.oid && a.owner == b.owner && a.extension == b.extension && a.name == b.name
        };
        before.database.owner == now.database.owner
            && before.roles.len() == now.roles.len()
            && before.schemas.len() == now.schemas.len()
            && before.roles.iter().zip(&now.roles).all(|(a, b)| roles(a, b))
            && before.schemas.iter().zip(&now.schemas).all(|(a, b)| schemas(a, b))
    }

    fn own(&self, role: usize, schema: usize) -> Option<&Declared> {
        let list = self.declared.get(schema)?;
        list.binary_search_by(|d| (d.role as usize).cmp(&role)).ok().and_then(|i| list.get(i))
    }

    /// Something is declared for the role itself in a schema, memberships aside.
    #[must_use]
    pub fn declares(&self, role: usize, schema: usize) -> bool {
        self.own(role, schema).is_some()
    }

    /// What is declared for a role in a schema, and what declared memberships add to it; `None` is "no access".
    #[must_use]
    pub fn want(&self, role: usize, schema: usize) -> Option<Want> {
        let own = self.own(role, schema);
        let mut want = own.map(|d| d.want);
        for of_group in self.groups_of(role).iter().filter_map(|group| self.own(*group, schema)) {
            let want = want.get_or_insert_default();
            want.allowed = want.allowed.union(of_group.lends());
            want.levels = want.levels.union(of_group.want.levels.without(Level::Own));
            want.excepted |= of_group.single;
        }
        for (rights, _) in self.everywhere.iter().filter(|(_, roles)| get(roles, role)) {
            let want = want.get_or_insert_default();
            want.allowed = want.allowed.union(*rights);
        }
        if own.is_some_and(|d| d.found_owner)
            && let Some(want) = &mut want
        {
            want.allowed = Rights::all(self.version_num);
        }
        want
    }

    /// Roles with something declared for themselves in a schema, ascending: of nobody else anything is required there.
    pub fn roles_of(&self, schema: usize) -> impl Iterator<Item = usize> {
        self.declared.get(schema).into_iter().flatten().map(|d| d.role as usize)
    }

    /// Groups in which a role is by declared memberships, closed, without itself; ascending.
    #[must_use]
    pub fn groups_of(&self, role: usize) -> &[usize] {
        self.groups.get(role).map(Vec::as_slice).unwrap_or_default()
    }

    /// Declared memberships in predefined roles allow the role something in every schema.
    #[must_use]
    pub fn allows_everywhere(&self, role: usize) -> bool {
        self.everywhere.iter().any(|(_, roles)| get(roles, role))
    }

    /// What is allowed in a schema only by declared memberships: rights, and bits of the roles that have them so.
    pub fn allowed_to_members(&self, schema: usize) -> impl Iterator<Item = (Rights, &[u64])> {
        let declared = self.declared.get(schema).into_iter().flatten();
        let by_group = declared.map(|d| (d.lends(), self.members_of(d.role))).filter(|(_, bits)| !bits.is_empty());
        by_group.chain(self.everywhere.iter().map(|(rights, roles)| (*rights, roles.as_slice())))
    }

    /// Bits of the declared members of groups that exceptions allow something on single objects of a schema.
    pub fn excepted_singly(&self, schema: usize) -> impl Iterator<Item = &[u64]> {
        let declared = self.declared.get(schema).into_iter().flatten().filter(|d| d.single);
        declared.map(|d| self.members_of(d.role)).filter(|bits| !bits.is_empty())
    }

    /// Positions of the schemas in which exceptions name single objects; ascending.
    #[must_use]
    pub fn schemas_excepted_singly(&self) -> &[usize] {
        &self.excepted_singly
    }

    fn members_of(&self, role: u32) -> &[u64] {
        self.members.get(role as usize).map(Vec::as_slice).unwrap_or_default()
    }

    /// The policy names this role.
    #[must_use]
    pub fn names_role(&self, role: usize) -> bool {
        self.named.get(role).copied().unwrap_or(false)
    }

    #[must_use]
    pub fn names_schema(&self, schema: usize) -> bool {
        self.schemas.get(schema).is_some_and(|s| s.named)
    }

    /// The role is compared with the policy: no superuser, no role of the server or the platform.
    #[must_use]
    pub fn compares(&self, role: usize) -> bool {
        get(&self.compared, role)
    }

    #[must_use]
    pub fn is_judged(&self, schema: usize) -> bool {
        self.schemas.get(schema).is_some_and(|s| s.judged)
    }

    /// Exceptions for PUBLIC or a role in a schema, and those for groups that the role is in by declared memberships.
    pub fn exceptions_of(&self, who: Who, schema: usize) -> impl Iterator<Item = &Exception> {
        let (role, groups) = match who {
            Who::Public => (None, &[][..]),
            Who::Role(role) => (Some(role), self.groups_of(role)),
        };
        let all = std::iter::once(role).chain(groups.iter().map(|group| Some(*group)));
        let lists = all.filter_map(move |role| self.excepted.get(&(role, schema)));
        lists.flatten().filter_map(|i| self.exceptions.get(*i))
    }
}

fn is_judged(schema: &Schema) -> bool {
    !schema.is_system() && !schema.extension
}

impl Builder<'_> {
    fn name_role(&mut self, name: &str) -> Option<usize> {
        let role = self.matrix.index.role_named(name)?;
        if let Some(flag) = self.out.named.get_mut(role) {
            *flag = true;
        }
        set(&mut self.out.named_bits, role);
        Some(role)
    }

    fn name_schema(&mut self, name: &str) -> Option<usize> {
        let schema = self.matrix.index.schema_named(name)?;
        if let Some(want) = self.out.schemas.get_mut(schema) {
            want.named = true;
        }
        Some(schema)
    }

    /// Changes what is declared for a role in a schema.
    fn declared(&mut self, role: usize, schema: usize, change: impl FnOnce(&mut Declared)) {
        let (Some(list), Ok(role)) = (self.out.declared.get_mut(schema), u32::try_from(role)) else { return };
        let at = list.binary_search_by_key(&role, |d| d.role).unwrap_or_else(|at| {
            list.insert(at, Declared { role, ..Declared::default() });
            at
        });
        if let Some(declared) = list.get_mut(at) {
            change(declared);
        }
    }

    fn declare(&mut self, role: usize, schema: usize, level: Level) {
        let version = self.out.version_num;
        self.declared(role, schema, |Declared { want, .. }| {
            want.levels.insert(level);
            want.required = want.required.union(required(level, version));
            want.allowed = want.allowed.union(allowed(level, version));
        });
    }

    /// A declared owner, `pg_database_owner` resolved: whom it stands for is named with it.
    fn owner(&mut self, name: &str) -> Option<usize> {
        let role = self.name_role(name)?;
        let oid = self.catalog.roles.get(role)?.oid;
        let owner = self.matrix.closure.position(resolved_owner(self.catalog, self.matrix, oid))?;
        if let Some(flag) = self.out.named.get_mut(owner) {
            *flag = true;
        }
        set(&mut self.out.named_bits, owner);
        Some(owner)
    }

    fn oid(&self, role: usize) -> Option<Oid> {
        self.catalog.roles.get(role).map(|r| r.oid)
    }

    /// Who creates objects in a schema may be let into it to do so.
    fn creators(&mut self, schema: usize, names: &[String]) -> Vec<usize> {
        let mut list: Vec<usize> = names.iter().filter_map(|n| self.name_role(n)).collect();
        list.sort_unstable();
        list.dedup();
        let lets_in = Rights { schema: Privileges::SCHEMA, ..Rights::NONE };
        for creator in &list {
            self.declared(*creator, schema, |d| d.want.allowed = d.want.allowed.union(lets_in));
        }
        if let Some(want) = self.out.schemas.get_mut(schema) {
            want.creators.clone_from(&list);
        }
        list
    }

    fn services(&mut self, policy: &Policy) {
        for (i, service) in policy.services.iter().enumerate() {
            let role = self.name_role(&service.role);
            let owner = self.owner(&service.owner);
            for name in &service.schemas {
                let Some(schema) = self.name_schema(name) else { continue };
                let creators = self.creators(schema, &service.creators);
                let same = service.owner == service.role || (role.is_some() && role == owner);
                let mut accepted: Vec<Oid> = owner.and_then(|o| self.oid(o)).into_iter().collect();
                if !same {
                    accepted.extend(creators.iter().filter_map(|c| self.oid(*c)));
                }
                if let Some(want) = self.out.schemas.get_mut(schema) {
                    want.service = Some(i);
                    want.owner = Some(service.owner.clone());
                    want.accepted = accepted;
                }
                if same {
                    if let Some(role) = role.or(owner) {
                        self.declare(role, schema, Level::Own);
                        self.declared(role, schema, |d| d.want.owns = true);
                    }
                    continue;
                }
                if let Some(role) = role {
                    self.declare(role, schema, Level::All);
                }
                if let Some(owner) = owner {
                    self.own_without_use(owner, schema);
                }
            }
            if let Some(role) = role {
                self.access(role, &service.access);
            }
        }
    }

    /// An owner that is not the role that works there: it must own, and may do everything, but objects may be others'.
    fn own_without_use(&mut self, owner: usize, schema: usize) {
        let version = self.out.version_num;
        self.declared(owner, schema, |Declared { want, .. }| {
            want.levels.insert(Level::Own);
            want.owns = true;
            want.required = want.required.union(Rights { schema: Privileges::SCHEMA, ..Rights::NONE });
            want.allowed = Rights::all(version);
        });
    }

    fn schemas(&mut self, policy: &Policy) {
        for rule in &policy.schemas {
            let owner = rule.owner.as_deref().and_then(|o| self.owner(o));
            let Some(schema) = self.name_schema(&rule.name) else { continue };
            let creators = self.creators(schema, &rule.creators);
            let mut accepted: Vec<Oid> = owner.and_then(|o| self.oid(o)).into_iter().collect();
            if rule.owner.is_some() {
                accepted.extend(creators.iter().filter_map(|c| self.oid(*c)));
            }
            if let Some(want) = self.out.schemas.get_mut(schema) {
                want.owner.clone_from(&rule.owner);
                want.accepted = accepted;
            }
            if let Some(owner) = owner {
                self.own_without_use(owner, schema);
            }
        }
    }

    fn access(&mut self, role: usize, access: &BTreeMap<String, Vec<Level>>) {
        for (name, levels) in access {
            let Some(schema) = self.name_schema(name) else { continue };
            for level in levels {
                self.declare(role, schema, *level);
            }
            self.declared(role, schema, |_| {});
        }
    }

    fn roles(&mut self, policy: &Policy) {
        for rule in &policy.roles {
            if let Some(role) = self.name_role(&rule.name) {
                self.access(role, &rule.access);
            }
        }
    }

    /// Declared memberships: what the group may do, its declared member may do. It is not required of the member, since
    /// a missing membership is a finding of its own.
    fn memberships(&mut self, policy: &Policy) {
        let roles = self.catalog.roles.len();
        let mut edges: Vec<Vec<usize>> = vec![Vec::new(); roles];
        let declared = policy
            .services
            .iter()
            .map(|s| (&s.role, &s.member_of))
            .chain(policy.roles.iter().map(|r| (&r.name, &r.member_of)));
        for (member, groups) in declared {
            let Some(groups) = groups.as_ref().filter(|groups| !groups.is_empty()) else { continue };
            let Some(list) = self.matrix.index.role_named(member).and_then(|m| edges.get_mut(m)) else { continue };
            list.extend(groups.iter().filter_map(|g| self.matrix.index.role_named(g)));
        }
        let words = roles.div_ceil(64);
        let mut everywhere: BTreeMap<Rights, Vec<u64>> = BTreeMap::new();
        let mut seen = vec![0; words];
        self.out.groups = vec![Vec::new(); roles];
        self.out.members = vec![Vec::new(); roles];
        for (member, direct) in edges.iter().enumerate().filter(|(_, direct)| !direct.is_empty()) {
            seen.fill(0);
            set(&mut seen, member);
            let mut found = Vec::new();
            let mut open = vec![direct];
            while let Some(list) = open.pop() {
                for group in list {
                    if !get(&seen, *group) {
                        set(&mut seen, *group);
                        found.push(*group);
                        open.extend(edges.get(*group).filter(|list| !list.is_empty()));
                    }
                }
            }
            found.sort_unstable();
            let mut predefined = Rights::NONE;
            for group in &found {
                if let Some(members) = self.out.members.get_mut(*group) {
                    members.resize(words, 0);
                    set(members, member);
                }
                predefined = predefined.union(self.predefined(*group));
            }
            if !predefined.is_empty() {
                set(everywhere.entry(predefined).or_insert_with(|| vec![0; words]), member);
            }
            if let Some(groups) = self.out.groups.get_mut(member) {
                *groups = found;
            }
        }
        self.out.everywhere = everywhere.into_iter().collect();
    }

    /// What membership in a predefined role allows in every schema.
    fn predefined(&self, group: usize) -> Rights {
        let (objects, schema): (Privileges, Privileges) = match self.catalog.roles.get(group).map(|r| r.name.as_str()) {
            Some("pg_read_all_data") => (Privileges::of(&[Privilege::Select]), Privilege::Usage.into()),
            Some("pg_write_all_data") => {
                (Privileges::of(&[Privilege::Insert, Privilege::Update, Privilege::Delete]), Privilege::Usage.into())
            }
            Some("pg_maintain") => (Privileges::of(&[Privilege::Maintain]), Privileges::NONE),
            _ => return Rights::NONE,
        };
        Rights { schema, tables: objects, sequences: objects.and(Privileges::SEQUENCE), routines: Privileges::NONE }
    }

    /// Named schemas without a declared owner: whoever owns them may use them, and creates objects there.
    fn unowned(&mut self) {
        for (position, schema) in self.catalog.schemas.iter().enumerate() {
            if !self.out.schemas.get(position).is_some_and(|s| s.named && s.owner.is_none()) {
                continue;
            }
            let owner = resolved_owner(self.catalog, self.matrix, schema.owner);
            if let Some(owner) = self.matrix.closure.position(owner) {
                self.declared(owner, position, |d| d.found_owner = true);
            }
        }
    }

    fn exceptions(&mut self, policy: &Policy) {
        for (i, exception) in policy.exceptions.iter().enumerate() {
            if exception.schema.starts_with(DATABASE_PREFIX) {
                if exception.role != PUBLIC {
                    self.name_role(&exception.role);
                }
                self.out.database_exceptions.push(i);
                continue;
            }
            let schema = self.name_schema(&exception.schema);
            self.out.excepted_singly.extend(schema.filter(|_| !exception.objects.is_empty()));
            if exception.role == PUBLIC {
                if let Some(schema) = schema {
                    self.out.excepted.entry((None, schema)).or_default().push(i);
                }
                continue;
            }
            let role = self.name_role(&exception.role);
            if let (Some(role), Some(schema)) = (role, schema) {
                let privileges: Privileges = exception.privileges.iter().copied().collect();
                let version = self.out.version_num;
                self.declared(role, schema, |d| {
                    d.want.excepted = true;
                    if exception.objects.is_empty() {
                        d.excepted = d.excepted.union(Rights::all(version).and(privileges));
                    } else {
                        d.single = true;
                    }
                });
                self.out.excepted.entry((Some(role), schema)).or_default().push(i);
            }
        }
        self.out.excepted_singly.sort_unstable();
        self.out.excepted_singly.dedup();
    }
}
