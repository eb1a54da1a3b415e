//! A policy from a live database: what is there, said in levels where levels can say it and in `[[exception]]`s where they
//! cannot. Checking the same database with it finds nothing of existence, grants and ownership; what it declares is for a
//! person to read and to correct.
//!
//! It guesses first (whose schema is whose, who creates objects where) and then asks the checks themselves: each finding
//! that is left becomes an exception, or takes back a guess.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::{
    Accepted, DatabaseRule, Exception, Finding, Group, Level, Policy, RoleRule, SchemaRule, Service, Severity, checks,
    desired::{DATABASE_PREFIX, PUBLIC, Rights, is_compared, real_owner, required},
    instance::access_key,
    judge::Judge,
    versions::Versions,
};
use crate::domain::{
    Acl, ObjectKind, Oid, Privilege, Privileges,
    alembic::Lineages,
    change::Change,
    effective::{Matrix, Who},
    search_path::Paths,
    snapshot::{Group as Objects, Role, Schema, Snapshot},
};

/// Why a derived exception is there; a person replaces it by the real reason, or removes the right.
const AS_FOUND: &str = "as found when the policy was derived: keep it or take it away";

/// What a derived policy answers for.
const ASKED: &[Group] = &[Group::Existence, Group::Grants, Group::Ownership];

/// Owns `public` since 15; its one member is the database's owner.
const DATABASE_OWNER: &str = "pg_database_owner";

/// How often the checks are asked before what is left is set to info.
const ROUNDS: usize = 12;

/// Derives a policy, as its file says it: use [`Policy::for_instance`] before judging with it.
#[must_use]
pub fn derive(snapshot: &Snapshot, matrix: &Matrix) -> Policy {
    let draft = Draft { snapshot, matrix, paths: Paths::new(&snapshot.catalog, &snapshot.server) };
    let mut book = Book { policy: draft.guess(), exceptions: HashMap::new() };
    for round in 0..ROUNDS {
        let left = draft.ask(&book.policy);
        let mut changed = false;
        for finding in &left {
            changed |= draft.settle(&mut book, finding);
        }
        changed |= draft.cells(&mut book);
        if left.is_empty() && !changed {
            break;
        }
        if !changed || round + 1 == ROUNDS {
            for finding in draft.ask(&book.policy) {
                book.policy.severity.insert(finding.code.to_owned(), Severity::Info);
            }
            break;
        }
    }
    let mut policy = book.policy;
    policy.accepted.extend(draft.not_inherited(&policy));
    Draft::tidy(&mut policy);
    policy
}

/// What a policy is derived from: whose schema is whose and who may do what, said in levels, before any check was asked;
/// and every schema as one that no service owns.
#[must_use]
pub(super) fn guess(snapshot: &Snapshot, matrix: &Matrix) -> (Policy, Vec<SchemaRule>) {
    let draft = Draft { snapshot, matrix, paths: Paths::new(&snapshot.catalog, &snapshot.server) };
    let rules = draft.schemas().map(|(position, schema)| draft.rule(position, schema)).collect();
    (draft.guess(), rules)
}

struct Draft<'a> {
    snapshot: &'a Snapshot,
    matrix: &'a Matrix,
    paths: Paths<'a>,
}

/// The policy in the making, and where in it the exceptions of a role in a schema stand.
struct Book {
    policy: Policy,
    exceptions: HashMap<(String, String), Vec<usize>>,
}

impl Draft<'_> {
    fn role(&self, oid: Oid) -> Option<(usize, &Role)> {
        let position = self.matrix.index.role(oid)?;
        Some((position, self.snapshot.catalog.roles.get(position)?))
    }

    fn schemas(&self) -> impl Iterator<Item = (usize, &Schema)> {
        self.snapshot.catalog.schemas.iter().enumerate().filter(|(_, s)| !s.is_system() && !s.extension)
    }

    fn groups(&self, schema: usize) -> impl Iterator<Item = &Objects> {
        self.matrix.groups(&self.snapshot.catalog, schema).filter(|g| !g.extension)
    }

    /// Owners of what stands in a schema, `pg_database_owner` resolved, the platform's left out; ascending by oid.
    fn owners(&self, schema: usize) -> BTreeSet<Oid> {
        let types = self.matrix.types(&self.snapshot.catalog, schema).filter(|g| !g.extension);
        self.groups(schema)
            .chain(types)
            .map(|g| real_owner(&self.snapshot.catalog, g.owner))
            .filter(|o| self.role(*o).is_some_and(|(_, r)| !r.is_platform()))
            .collect()
    }

    fn guess(&self) -> Policy {
        let catalog = &self.snapshot.catalog;
        let public = self.matrix.rights(
            catalog,
            Who::Public,
            ObjectKind::Database,
            catalog.database.owner,
            &catalog.database.acl,
        );
        let mut policy = Policy {
            name: catalog.database.name.clone(),
            database: DatabaseRule {
                public_connect: public.contains(Privilege::Connect),
                public_temporary: public.contains(Privilege::Temporary),
            },
            ..Policy::default()
        };
        for (position, schema) in self.schemas() {
            match self.service(position, schema) {
                Some(service) => policy.services.push(service),
                None => policy.schemas.push(self.rule(position, schema)),
            }
        }
        self.roles(&mut policy);
        policy
    }

    /// A service where one login role works with everything of a schema.
    fn service(&self, position: usize, schema: &Schema) -> Option<Service> {
        let catalog = &self.snapshot.catalog;
        let owner = real_owner(catalog, schema.owner);
        let owners = self.owners(position);
        let works = |role: usize| self.holds(role, position, Level::All);
        let serves = |(position, role): &(usize, &Role)| is_compared(role) && role.login && works(*position);
        let alone = owners.iter().all(|o| *o == owner);
        let role = self.role(owner).filter(|r| alone && serves(r)).or_else(|| {
            let mut all = catalog.roles.iter().enumerate().filter(serves).filter(|(_, r)| r.oid != owner);
            let first = all.next()?;
            let others = owners.iter().all(|o| *o == owner || *o == first.1.oid);
            // an empty schema that several may use is nobody's in particular
            (all.next().is_none() && others && self.groups(position).next().is_some()).then_some(first)
        });
        let (_, role) = role?;
        let owner = self.role(owner).map(|(_, r)| r).filter(|r| !r.is_platform())?;
        let table = self.snapshot.versions.0.iter().find(|t| t.schema == schema.oid && t.shape && t.plain);
        let mut creators = vec![owner.name.clone()];
        creators.extend((owner.oid != role.oid).then(|| role.name.clone()));
        Some(Service {
            name: schema.name.clone(),
            schemas: vec![schema.name.clone()],
            role: role.name.clone(),
            owner: owner.name.clone(),
            creators,
            access: BTreeMap::new(),
            search_path: self.search_path(role),
            connection_limit: limit(role),
            version_table: table.map(|t| t.name.clone()),
            revisions: None,
            tenant_column: None,
            tenant_exempt: false,
            instance: None,
            applications: Vec::new(),
            member_of: self.member_of(role),
            login: None,
        })
    }

    fn rule(&self, position: usize, schema: &Schema) -> SchemaRule {
        let owner = real_owner(&self.snapshot.catalog, schema.owner);
        let name = |oid: Oid| self.role(oid).filter(|(_, r)| !r.is_platform()).map(|(_, r)| r.name.clone());
        let mut creators = self.owners(position);
        creators.insert(owner);
        // whoever owns the database by then, not who does today
        let stands = self.role(schema.owner).filter(|(_, r)| r.name == DATABASE_OWNER).map(|(_, r)| r.name.clone());
        SchemaRule {
            name: schema.name.clone(),
            owner: stands.or_else(|| name(owner)),
            creators: creators.into_iter().filter_map(name).collect(),
            tenant_exempt: false,
            instance: None,
        }
    }

    /// Rules for everybody with access or memberships, and what services may do in the schemas of others.
    fn roles(&self, policy: &mut Policy) {
        let catalog = &self.snapshot.catalog;
        let judge = Judge::new(self.snapshot, self.matrix, None);
        let mut access: Vec<Option<BTreeMap<String, Vec<Level>>>> = vec![None; catalog.roles.len()];
        let own: HashSet<(&str, &str)> =
            policy.services.iter().flat_map(|s| s.schemas.iter().map(|n| (s.role.as_str(), n.as_str()))).collect();
        let mut bits = Vec::new();
        for (position, schema) in self.schemas() {
            judge.with_access(position, &mut bits);
            let owner = real_owner(catalog, schema.owner);
            let listed = self.grantees(position);
            for role in crate::domain::closure::ones(&bits) {
                let Some(of) = catalog.roles.get(role).filter(|r| is_compared(r)) else { continue };
                let Some(rules) = access.get_mut(role) else { continue };
                let rules = rules.get_or_insert_default();
                // a level is held by entries of the role's own
                if !listed.contains(&of.oid) || owner == of.oid || own.contains(&(of.name.as_str(), &schema.name)) {
                    continue;
                }
                let levels = self.levels(role, position);
                if !levels.is_empty() {
                    rules.insert(access_key(&schema.name), levels);
                }
            }
        }
        drop(own);
        let mut owned: HashMap<String, usize> = HashMap::new();
        for (i, service) in policy.services.iter().enumerate() {
            owned.entry(service.role.clone()).or_insert(i);
        }
        for (role, of) in catalog.roles.iter().enumerate().filter(|(_, r)| is_compared(r)) {
            let rules = access.get_mut(role).and_then(Option::take);
            if let Some(service) = owned.get(&of.name).and_then(|i| policy.services.get_mut(*i)) {
                service.access = rules.unwrap_or_default();
            } else if rules.is_some() || self.member_of(of).is_some() {
                policy.roles.push(RoleRule { access: rules.unwrap_or_default(), ..self.role_rule(of) });
            }
        }
    }

    /// Everybody with an entry of their own on a schema or on something in it.
    fn grantees(&self, position: usize) -> HashSet<Oid> {
        let version = self.matrix.version_num;
        let mut found = HashSet::new();
        let mut add = |kind: ObjectKind, owner: Oid, acl: &Acl| {
            found.extend(acl.in_force(kind, owner, version).entries().iter().map(|e| e.grantee));
        };
        if let Some(schema) = self.snapshot.catalog.schemas.get(position) {
            add(ObjectKind::Schema, schema.owner, &schema.acl);
        }
        for group in self.groups(position) {
            add(group.kind.object_kind(), group.owner, &group.acl);
        }
        found
    }

    fn role_rule(&self, role: &Role) -> RoleRule {
        let database = &self.snapshot.catalog.database;
        let position = self.matrix.index.role(role.oid).unwrap_or_default();
        let connects = self
            .matrix
            .rights(&self.snapshot.catalog, Who::Role(position), ObjectKind::Database, database.owner, &database.acl)
            .contains(Privilege::Connect);
        RoleRule {
            login: (!role.login || connects).then_some(role.login),
            member_of: self.member_of(role),
            connection_limit: limit(role),
            ..RoleRule::named(&role.name)
        }
    }

    fn member_of(&self, role: &Role) -> Option<Vec<String>> {
        let memberships = self.snapshot.catalog.memberships.iter().filter(|m| m.member == role.oid);
        let groups: BTreeSet<String> =
            memberships.filter_map(|m| self.role(m.role)).map(|(_, r)| r.name.clone()).collect();
        (!groups.is_empty()).then(|| groups.into_iter().collect())
    }

    /// The path that the role's sessions get, in the words of its setting.
    fn search_path(&self, role: &Role) -> Option<Vec<String>> {
        let path = self.paths.of(&self.snapshot.catalog, self.matrix, self.matrix.index.role(role.oid)?);
        let names: Vec<String> = path.written().map(str::to_owned).collect();
        (!names.is_empty()).then_some(names)
    }

    /// What a role holds by entries of exactly its own; as the owner too.
    fn direct(&self, role: usize, kind: ObjectKind, owner: Oid, acl: &Acl) -> Privileges {
        let Some(of) = self.snapshot.catalog.roles.get(role) else { return Privileges::NONE };
        let in_force = acl.in_force(kind, owner, self.matrix.version_num);
        let entries = in_force.entries().iter().filter(|e| e.grantee == of.oid);
        entries.fold(Privileges::NONE, |all, e| all | e.privileges)
    }

    /// A level is satisfied by entries of the role's own. USAGE on the schema may be PUBLIC's, and so may EXECUTE where
    /// the level asks for everything.
    fn holds(&self, role: usize, position: usize, level: Level) -> bool {
        let catalog = &self.snapshot.catalog;
        let Some(schema) = catalog.schemas.get(position) else { return false };
        let need: Rights = required(level, self.matrix.version_num);
        let own = self.direct(role, ObjectKind::Schema, schema.owner, &schema.acl);
        let usage = Privileges::from(Privilege::Usage);
        // asked of every role in every schema: what is cheap to know comes first
        if !own.union(usage).contains_all(need.schema) {
            return false;
        }
        let rights = || self.matrix.rights(catalog, Who::Role(role), ObjectKind::Schema, schema.owner, &schema.acl);
        if !own.contains_all(need.schema) && !rights().contains(Privilege::Usage) {
            return false;
        }
        self.groups(position).all(|g| {
            let kind = g.kind.object_kind();
            let held = if kind == ObjectKind::Routine && level != Level::Execute {
                self.matrix.rights(catalog, Who::Role(role), kind, g.owner, &g.acl)
            } else {
                self.direct(role, kind, g.owner, &g.acl)
            };
            held.contains_all(need.of(kind))
        })
    }

    /// The maximal levels of a role in a schema, claimed only where there is something they speak of.
    fn levels(&self, role: usize, position: usize) -> Vec<Level> {
        let some = |kind: ObjectKind| self.groups(position).any(|g| g.kind.object_kind() == kind);
        let (tables, sequences, routines) =
            (some(ObjectKind::Table), some(ObjectKind::Sequence), some(ObjectKind::Routine));
        let holds = |level: Level| self.holds(role, position, level);
        if (tables || sequences) && holds(Level::All) {
            return vec![Level::All];
        }
        let mut levels = Vec::new();
        if tables && holds(Level::Write) {
            levels.push(Level::Write);
        } else {
            levels.extend((tables && holds(Level::Read)).then_some(Level::Read));
            levels.extend((tables && holds(Level::Append)).then_some(Level::Append));
        }
        levels.extend((tables && holds(Level::Reference)).then_some(Level::Reference));
        levels.extend((routines && holds(Level::Execute)).then_some(Level::Execute));
        let catalog = &self.snapshot.catalog;
        let usage = catalog
            .schemas
            .get(position)
            .is_some_and(|s| self.direct(role, ObjectKind::Schema, s.owner, &s.acl).contains(Privilege::Usage));
        if levels.is_empty() && usage {
            levels.push(Level::Usage);
        }
        levels
    }

    /// Memberships that are there and give nothing without SET ROLE: as found, not faults.
    fn not_inherited(&self, policy: &Policy) -> Vec<Accepted> {
        let findings = self.found(&[Group::Roles], policy).into_iter().filter(|f| f.code == "membership-missing");
        findings.map(|f| Accepted { finding: f.id, reason: AS_FOUND.to_owned(), instance: None }).collect()
    }

    /// Findings of existence, grants and ownership that are left with a policy.
    fn ask(&self, policy: &Policy) -> Vec<Finding> {
        self.found(ASKED, policy)
    }

    fn found(&self, groups: &[Group], policy: &Policy) -> Vec<Finding> {
        let local = policy.for_instance(&self.snapshot.instance, true);
        let lineages = Arc::new(Lineages::default());
        let judge = Judge::new(self.snapshot, self.matrix, Some(&local));
        let versions = Versions::new(self.snapshot, Some(&local), &lineages, self.matrix);
        let (mut findings, _) =
            checks::run_groups(groups, self.snapshot, self.matrix, &judge, Some(&local), &lineages, &versions);
        findings.retain(|f| groups.contains(&f.group) && f.severity > Severity::Info);
        findings
    }

    /// Cells that still differ although no check speaks of them: rights by ownership, by half a group.
    fn cells(&self, book: &mut Book) -> bool {
        let local = book.policy.for_instance(&self.snapshot.instance, true);
        let judge = Judge::new(self.snapshot, self.matrix, Some(&local));
        let all: Vec<(usize, usize)> = judge.differing().collect();
        let differing: HashSet<(usize, usize)> = all.iter().copied().collect();
        // What a group is excused from, its declared members are, too: they are asked again when it has its exception.
        let by_group = |(role, schema): &(usize, usize)| {
            judge.desired().is_some_and(|d| d.groups_of(*role).iter().any(|g| differing.contains(&(*g, *schema))))
        };
        let (members, first): (Vec<_>, Vec<_>) = all.into_iter().partition(by_group);
        self.excuse(book, &judge, &first) || self.excuse(book, &judge, &members)
    }

    /// Makes exceptions of what is too much in these cells, and takes back guesses that they contradict.
    fn excuse(&self, book: &mut Book, judge: &Judge<'_>, cells: &[(usize, usize)]) -> bool {
        let mut changed = false;
        for &(role, schema) in cells {
            let catalog = &self.snapshot.catalog;
            let (Some(role_name), Some(schema_name)) =
                (catalog.roles.get(role).map(|r| &r.name), catalog.schemas.get(schema).map(|s| &s.name))
            else {
                continue;
            };
            let judged = judge.cell(Who::Role(role), schema);
            let excess: Vec<Privilege> = judged.excess.iter().map(|d| d.privilege).collect();
            if !excess.is_empty() {
                changed |= book.except(role_name, schema_name, excess, Vec::new());
            }
            if judged.unowned > 0 {
                changed |= self.demote(&mut book.policy, schema_name);
            }
            if !judged.missing.is_empty() {
                changed |= self.forget(&mut book.policy, role_name, schema_name);
            }
        }
        changed
    }

    /// Changes the policy so that a finding goes; false when nothing helped.
    fn settle(&self, book: &mut Book, f: &Finding) -> bool {
        let role = f.role.clone();
        let schema = f.schema.clone().unwrap_or_default();
        let who = role.clone().unwrap_or_else(|| PUBLIC.to_owned());
        let privileges: Vec<Privilege> = f.privilege.into_iter().collect();
        match f.code {
            "grant-excess" | "grant-option-excess" | "grant-fragile" | "public-privilege" | "grant-column-excess" => {
                // single objects where they are known and few, so that the next one is told
                let prefix = format!("{schema}.");
                let names: Vec<String> =
                    f.objects.iter().filter_map(|o| o.strip_prefix(&prefix)).map(str::to_owned).collect();
                let few = f.code != "grant-option-excess" && f.objects_total.is_none() && names.len() <= 5;
                book.except(&who, &schema, privileges, if few { names } else { Vec::new() })
            }
            "default-privilege-excess" => self.default_excess(book, f, &who),
            "default-privilege-missing" => {
                let Some([Change::DefaultPrivileges { creator, .. }]) = f.fix.as_deref() else { return false };
                no_creator(&mut book.policy, &schema, creator)
            }
            "undeclared-access" => {
                let mut changed = false;
                if let Some(of) = role.as_deref().and_then(|r| self.snapshot.catalog.role_named(r)) {
                    changed |= self.name(&mut book.policy, of);
                }
                if let Some((position, of)) = self.schemas().find(|(_, s)| s.name == schema)
                    && !book.policy.services.iter().any(|s| s.schemas.contains(&of.name))
                    && !book.policy.schemas.iter().any(|s| s.name == of.name)
                {
                    book.policy.schemas.push(self.rule(position, of));
                    changed = true;
                }
                changed
            }
            "database-privilege-excess" => {
                let database = format!("{DATABASE_PREFIX}{}", self.snapshot.catalog.database.name);
                let named = role.as_deref().and_then(|r| self.snapshot.catalog.role_named(r));
                let changed = named.is_some_and(|of| self.name(&mut book.policy, of));
                book.except(&who, &database, privileges, Vec::new()) || changed
            }
            "schema-owner" | "object-owner" => self.demote(&mut book.policy, &schema),
            "grant-missing" | "grant-dead" => self.forget(&mut book.policy, &who, &schema),
            "database-connect-missing" | "role-cannot-login" => {
                let mut changed = false;
                for service in book.policy.services.iter_mut().filter(|s| s.role == who && s.login != Some(false)) {
                    service.login = Some(false);
                    changed = true;
                }
                for rule in book.policy.roles.iter_mut().filter(|r| r.name == who && r.login == Some(true)) {
                    rule.login = None;
                    changed = true;
                }
                changed
            }
            _ => book.policy.severity.insert(f.code.to_owned(), Severity::Info).is_none(),
        }
    }

    /// A stranger is named first and judged in the next round. Then the one entry is left as it is: an exception for a role
    /// and a schema would cover grants on what stands there today, too.
    fn default_excess(&self, book: &mut Book, f: &Finding, who: &str) -> bool {
        let stranger = self.snapshot.catalog.role_named(who).filter(|_| f.fix.is_none());
        if let Some(of) = stranger
            && self.name(&mut book.policy, of)
        {
            return true;
        }
        let known = book.policy.accepted.iter().any(|a| a.finding == f.id);
        if !known {
            let accepted = Accepted { finding: f.id.clone(), reason: AS_FOUND.to_owned(), instance: None };
            book.policy.accepted.push(accepted);
        }
        !known
    }

    /// Gives a role a rule, unless it has one.
    fn name(&self, policy: &mut Policy, role: &Role) -> bool {
        let known =
            policy.services.iter().any(|s| s.role == role.name) || policy.roles.iter().any(|r| r.name == role.name);
        if !known && is_compared(role) {
            policy.roles.push(self.role_rule(role));
            return true;
        }
        false
    }

    /// Takes back a guess about ownership: a service becomes a plain schema, a plain schema has no declared owner.
    fn demote(&self, policy: &mut Policy, schema: &str) -> bool {
        if let Some(at) = policy.services.iter().position(|s| s.schemas.iter().any(|n| n == schema)) {
            let service = policy.services.remove(at);
            let twin = policy.services.iter_mut().find(|s| s.role == service.role);
            match twin {
                Some(twin) => twin.access.extend(service.access),
                None => policy.roles.push(RoleRule {
                    access: service.access,
                    member_of: service.member_of,
                    connection_limit: service.connection_limit,
                    ..RoleRule::named(&service.role)
                }),
            }
            if let Some((position, of)) = self.schemas().find(|(_, s)| s.name == schema) {
                policy.schemas.push(self.rule(position, of));
            }
            return true;
        }
        match policy.schemas.iter_mut().find(|s| s.name == schema && s.owner.is_some()) {
            Some(rule) => {
                rule.owner = None;
                true
            }
            None => false,
        }
    }

    /// Takes back a guess about access.
    fn forget(&self, policy: &mut Policy, role: &str, schema: &str) -> bool {
        let key = access_key(schema);
        let mut changed = false;
        for service in policy.services.iter_mut().filter(|s| s.role == role) {
            changed |= service.access.remove(&key).is_some();
        }
        for rule in policy.roles.iter_mut().filter(|r| r.name == role) {
            changed |= rule.access.remove(&key).is_some();
        }
        // what it works in is not as a service's should be
        changed || self.demote(policy, schema)
    }

    fn tidy(policy: &mut Policy) {
        policy.roles.sort_by(|a, b| a.name.cmp(&b.name));
        policy.schemas.sort_by(|a, b| a.name.cmp(&b.name));
        policy.services.sort_by(|a, b| a.name.cmp(&b.name));
        policy.accepted.sort_by(|a, b| a.finding.cmp(&b.finding));
        policy.exceptions.sort_by(|a, b| (&a.role, &a.schema, &a.objects).cmp(&(&b.role, &b.schema, &b.objects)));
    }
}

fn limit(role: &Role) -> Option<i32> {
    (role.connection_limit >= 0).then_some(role.connection_limit)
}

impl Book {
    /// Adds to an exception, or makes one; false when it was there.
    fn except(&mut self, role: &str, schema: &str, mut privileges: Vec<Privilege>, objects: Vec<String>) -> bool {
        let here = self.exceptions.entry((role.to_owned(), schema.to_owned())).or_default();
        let list = &mut self.policy.exceptions;
        let known = here.iter().copied().find(|at| list.get(*at).is_some_and(|e| e.objects == objects));
        if let Some(known) = known.and_then(|at| list.get_mut(at)) {
            let before = known.privileges.len();
            known.privileges.extend(privileges);
            known.privileges.sort_unstable();
            known.privileges.dedup();
            return known.privileges.len() > before;
        }
        privileges.sort_unstable();
        privileges.dedup();
        if privileges.is_empty() {
            return false;
        }
        here.push(list.len());
        list.push(Exception {
            role: role.to_owned(),
            schema: schema.to_owned(),
            privileges,
            objects,
            reason: AS_FOUND.to_owned(),
            instance: None,
        });
        true
    }
}

/// Default privileges are not kept for this creator there.
fn no_creator(policy: &mut Policy, schema: &str, creator: &str) -> bool {
    let services =
        policy.services.iter_mut().filter(|s| s.schemas.iter().any(|n| n == schema)).map(|s| &mut s.creators);
    let rules = policy.schemas.iter_mut().filter(|s| s.name == schema).map(|s| &mut s.creators);
    let mut changed = false;
    for creators in services.chain(rules) {
        let before = creators.len();
        creators.retain(|c| c != creator);
        changed |= creators.len() < before;
    }
    changed
}

/// The policy as the text of a policy file.
#[must_use]
pub fn write(policy: &Policy) -> String {
    super::write::text(policy)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::policy::{
        checks::{arbitrary, fixture::Fixture},
        file,
    };

    fn derived(fixture: &Fixture) -> Policy {
        let case = fixture.clone().case();
        derive(&case.snapshot, &case.matrix)
    }

    /// Findings of the derived groups above info, with the policy as a file would give it.
    fn left(fixture: &Fixture, policy: &Policy) -> Vec<String> {
        let mut case = fixture.clone().case();
        let text = write(policy);
        let read = file::parse(&text, Path::new("derived.policy.toml")).unwrap_or_else(|e| panic!("{e}\n{text}"));
        case.policy = Some(read.for_instance("local", true));
        let mut found: Vec<String> = case
            .findings()
            .into_iter()
            .filter(|f| matches!(f.group, Group::Existence | Group::Grants | Group::Ownership))
            .filter(|f| f.severity > Severity::Info)
            .map(|f| format!("{}: {}", f.id, f.message))
            .collect();
        let judge = case.judge();
        found.extend(judge.differing().map(|(r, s)| {
            let (role, schema) = (&case.snapshot.catalog.roles[r].name, &case.snapshot.catalog.schemas[s].name);
            format!("cell {role} x {schema}: {:?}", judge.cell(Who::Role(r), s))
        }));
        found
    }

    #[test]
    fn a_tidy_database_is_said_in_levels_alone() {
        let f = Fixture::new()
            .role("engarde_user")
            .role("langflow_app")
            .role("audit_user")
            .schema("langflow", "langflow_app")
            .table("langflow", "flow", "langflow_app")
            .version_table("langflow", "alembic_version", "langflow_app", None)
            .grant_schema("langflow", "audit_user", "USAGE")
            .grant("langflow.flow", "audit_user", "SELECT")
            .grant("langflow.alembic_version", "audit_user", "SELECT")
            .default_acl(
                "langflow_app",
                Some("langflow"),
                crate::domain::snapshot::DefaultKind::Tables,
                "audit_user",
                "SELECT",
            )
            .schema("audit", "postgres")
            .table("audit", "log", "postgres")
            .grant_schema("audit", "langflow_app", "USAGE")
            .grant("audit.log", "langflow_app", "SELECT, INSERT");
        let policy = derived(&f);
        let service = &policy.services[0];
        assert_eq!(
            (service.role.as_str(), service.version_table.as_deref()),
            ("langflow_app", Some("alembic_version"))
        );
        assert_eq!(service.access["audit"], [Level::Read, Level::Append]);
        assert_eq!(policy.roles.iter().find(|r| r.name == "audit_user").unwrap().access["langflow"], [Level::Read]);
        assert!(policy.exceptions.is_empty(), "{:?}", policy.exceptions);
        assert_eq!(left(&f, &policy), Vec::<String>::new());
        assert!(write(&policy).contains("creators = []"), "audit has no default privileges");
    }

    #[test]
    fn what_levels_cannot_say_becomes_an_exception() {
        let f = Fixture::new()
            .role("app")
            .role("odd")
            .schema("s", "app")
            .table("s", "a", "app")
            .table("s", "b", "app")
            .grant_schema("s", "odd", "USAGE")
            .grant("s.a", "odd", "SELECT");
        let policy = derived(&f);
        let exception = &policy.exceptions[0];
        assert_eq!((exception.role.as_str(), exception.objects.as_slice()), ("odd", &["a".to_owned()][..]));
        assert_eq!(left(&f, &policy), Vec::<String>::new());
    }

    #[test]
    fn default_privileges_are_left_as_found_and_nothing_besides() {
        let kind = crate::domain::snapshot::DefaultKind::Tables;
        let base = || Fixture::new().role("app").role("odd").schema("s", "app").table("s", "a", "app");
        for (schema, grantee) in [(Some("s"), "odd"), (None, "odd"), (Some("s"), "PUBLIC")] {
            let f = base().default_acl("app", schema, kind, grantee, "SELECT");
            let policy = derived(&f);
            assert!(policy.exceptions.is_empty(), "{:?}", policy.exceptions);
            let accepted: Vec<&str> = policy.accepted.iter().map(|a| a.finding.as_str()).collect();
            let id = format!("default-privilege-excess:{grantee}:{}:tables:app", schema.unwrap_or("*"));
            assert_eq!(accepted, [id]);
            assert_eq!(left(&f, &policy), Vec::<String>::new());
            // the same right on what stands there is another matter
            let granted = f.grant_schema("s", grantee, "USAGE").grant("s.a", grantee, "SELECT");
            assert!(!left(&granted, &policy).is_empty());
        }
    }

    #[test]
    fn members_of_a_group_need_no_exception_of_their_own() {
        let f = Fixture::new()
            .role("app")
            .group("readers")
            .role("one")
            .role("two")
            .member("readers", "one")
            .member("readers", "two")
            .schema("s", "app")
            .table("s", "a", "app")
            .table("s", "b", "app")
            .table("s", "c", "app")
            .grant_schema("s", "readers", "USAGE")
            .grant("s.a", "readers", "SELECT")
            .grant("s.b", "readers", "SELECT");
        for f in [f.clone(), f.without_names()] {
            let policy = derived(&f);
            let of: Vec<&str> = policy.exceptions.iter().map(|e| e.role.as_str()).collect();
            assert_eq!(of, ["readers"]);
            assert_eq!(left(&f, &policy), Vec::<String>::new());
        }
    }

    #[test]
    fn another_owner_of_the_database_is_no_fault_of_its_schemas() {
        let owned_by = |owner: &str, table: bool| {
            let mut f = Fixture::new().role("boss").role("heir").role("app").role("reader").schema("s", "app");
            f.catalog.database.owner = f.role_oid(owner);
            let f = f.table("s", "a", "app");
            if table { f.table("public", "t", "app").grant("public.t", "reader", "SELECT") } else { f }
        };
        for (before, table) in [("postgres", false), ("boss", false), ("postgres", true), ("boss", true)] {
            let f = owned_by(before, table);
            let policy = derived(&f);
            let rule = policy.schemas.iter().find(|s| s.name == "public").unwrap();
            assert!(rule.owner.as_deref().is_none_or(|o| o == "pg_database_owner"), "{}", write(&policy));
            assert_eq!(rule.owner.is_none(), table, "its owner is judged where nothing says that it is not");
            // with others' tables in it, nobody's ownership is declared, and another owner is as undeclared as any role
            let owners: &[&str] = if table { &[before, "postgres"] } else { &["heir", "postgres", "boss"] };
            for now in owners {
                assert_eq!(left(&owned_by(now, table), &policy), Vec::<String>::new(), "{now}: {}", write(&policy));
            }
        }
    }

    #[test]
    fn a_membership_that_is_not_inherited_is_listed_as_found() {
        let f = Fixture::new()
            .group("readers")
            .role("lazy")
            .membership("readers", "lazy", |m| m.inherit = false)
            .schema("s", "readers")
            .table("s", "a", "readers");
        let policy = derived(&f);
        let accepted: Vec<&str> = policy.accepted.iter().map(|a| a.finding.as_str()).collect();
        assert_eq!(accepted, ["membership-missing:lazy:readers"]);
        let rule = policy.roles.iter().find(|r| r.name == "lazy").unwrap();
        assert_eq!(rule.member_of.as_deref(), Some(&["readers".to_owned()][..]), "its only access is by SET ROLE");
        let mut case = f.case();
        case.policy = Some(policy.for_instance("local", true));
        let told: Vec<Finding> = ["membership-excess", "membership-missing", "undeclared-access"]
            .into_iter()
            .flat_map(|code| case.of(code))
            .filter(|f| f.severity > Severity::Info)
            .collect();
        assert_eq!(told, vec![]);
    }

    proptest! {
        #![proptest_config(crate::policy::checks::arbitrary::cases())]
        /// Whatever a database looks like, its derived policy accuses nobody, and can be read back.
        #[test]
        fn a_derived_policy_finds_nothing(f in arbitrary::databases()) {
            let policy = derived(&f);
            prop_assert_eq!(left(&f, &policy), Vec::<String>::new(), "{}", write(&policy));
            // nobody is accused of a membership either
            let mut case = f.case();
            case.policy = Some(policy.for_instance("local", true));
            prop_assert_eq!(case.of("membership-excess"), vec![]);
            // no code had to be silenced
            prop_assert!(policy.severity.is_empty(), "{:?}", policy.severity);
        }
    }
}
