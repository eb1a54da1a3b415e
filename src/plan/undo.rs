//! From how things stand to how they stood: the changes that take a change back. Made by comparing the two grounds, so an
//! undo restores what was there, not what a statement's opposite would leave. Held by the law *invert*.

use std::collections::{BTreeMap, HashMap};

use super::{
    ground::{Grant, Ground, Key, Share, Shares, State},
    keys::grantee,
    predict::{Draft, Refused, valid_until},
};
use crate::domain::{
    ObjectKind, Oid, Privileges,
    change::{Change, ObjectRef, On, RoleAttributes},
    search_path,
    snapshot::{DefaultKind, Kind, Snapshot},
};

/// The way back.
#[derive(Debug, Clone, PartialEq)]
pub struct Back {
    pub changes: Vec<Change>,
    /// What stays otherwise than it was: nothing can restore it.
    pub left: Vec<Key>,
    /// What means the same as before, written otherwise: an ACL that was NULL is now a list, or another role is the
    /// grantor.
    pub rewritten: Vec<Key>,
}

/// The changes that lead from a snapshot to how the things in `goal` stood.
///
/// # Errors
/// [`Refused`], when one of them is not possible: something depends on what would be taken away.
pub fn back(now: &Snapshot, goal: &Ground) -> Result<Back, Refused> {
    let mut way = Way { draft: Draft::new(now), goal, changes: Vec::new(), version: now.server.version_num };
    way.structure()?;
    way.details()?;
    // More than once: what is taken from a table is taken from its columns too, and an option that was lent to a grantor
    // has to go again.
    for _ in 0..3 {
        way.rights()?;
    }
    way.ends()?;
    let after = way.draft.ground(goal.keys().cloned());
    let (mut left, mut rewritten) = (Vec::new(), Vec::new());
    for moved in goal.moved(&after).into_iter().filter(|m| !m.key.is_passing()) {
        let same = match (&moved.was, &moved.is) {
            (Some(was), Some(is)) => means_the_same(was, is, &moved.key, way.version),
            _ => false,
        };
        if same { rewritten.push(moved.key) } else { left.push(moved.key) }
    }
    Ok(Back { changes: way.changes, left, rewritten })
}

/// What each grantee holds, whoever gave it.
fn by_grantee(shares: Vec<Share>) -> Vec<Share> {
    let mut held: BTreeMap<Option<String>, (Privileges, Privileges)> = BTreeMap::new();
    for share in shares {
        let (privileges, grantable) = held.entry(share.grantee).or_default();
        *privileges = *privileges | share.privileges;
        *grantable = *grantable | share.grantable;
    }
    let share = |(grantee, (privileges, grantable))| Share { grantee, grantor: String::new(), privileges, grantable };
    held.into_iter().map(share).collect()
}

/// Equal in what they mean: NULL and the list it stands for are the same, and so is a right whoever gave it.
#[must_use]
pub fn means_the_same(a: &State, b: &State, key: &Key, version: u32) -> bool {
    if a.matches(b) {
        return true;
    }
    let kind = |state: &State| match (state, key) {
        (State::Database { .. }, _) => Some(ObjectKind::Database),
        (State::Schema { .. }, _) => Some(ObjectKind::Schema),
        (State::Object { .. }, Key::Object { kind, .. }) => Some(*kind),
        _ => None,
    };
    let spelled = |state: &State| {
        let mut state = state.clone();
        let of = kind(&state);
        match &mut state {
            State::Database { owner, shares, .. }
            | State::Schema { owner, shares, .. }
            | State::Object { owner, shares, .. } => {
                if let Some(kind) = of {
                    *shares = Some(by_grantee(in_force(shares, kind, owner, version)));
                }
            }
            State::Column { shares } => *shares = Some(by_grantee(shares.clone().unwrap_or_default())),
            State::Role { .. }
            | State::All { .. }
            | State::Membership { .. }
            | State::Setting { .. }
            | State::DefaultAcl { .. }
            | State::Policy { .. }
            | State::ForeignKey { .. }
            | State::Extension { .. }
            | State::VersionRows { .. }
            | State::AuditFunction { .. }
            | State::AuditTrigger { .. } => {}
        }
        state
    };
    spelled(a).matches(&spelled(b))
}

/// The shares in force: the list, or what NULL stands for.
fn in_force(shares: &Shares, kind: ObjectKind, owner: &str, version: u32) -> Vec<Share> {
    let mut list = match shares {
        Some(list) => list.clone(),
        None => {
            let all = kind.all(version);
            let own =
                Share { grantee: Some(owner.to_owned()), grantor: owner.to_owned(), privileges: all, grantable: all };
            let public = Share {
                grantee: None,
                grantor: owner.to_owned(),
                privileges: kind.public_default(),
                grantable: Privileges::NONE,
            };
            vec![own, public]
        }
    };
    for share in &mut list {
        // What the owner holds of its own it can always pass on.
        if share.grantee.as_deref() == Some(owner) && share.grantor == owner {
            share.grantable = share.privileges;
        }
    }
    list.retain(|s| !s.privileges.is_empty());
    list.sort();
    list
}

/// How many grant options lie between the owner and a grantor; `None` is the owner.
fn depth(shares: &[Share], owner: &str, grantor: Option<&str>) -> u8 {
    let mut at: Vec<&str> = grantor.into_iter().collect();
    let mut depth = 0;
    // A chain has no more links than the list has entries.
    while !at.is_empty() && usize::from(depth) <= shares.len() && depth < u8::MAX {
        depth += 1;
        let above = |who: &&str| *who != owner;
        at = shares
            .iter()
            .filter(|s| s.grantee.as_deref().is_some_and(|g| at.contains(&g)) && !s.grantable.is_empty())
            .map(|s| s.grantor.as_str())
            .filter(above)
            .collect();
    }
    depth
}

/// A list in which everybody may have granted what they granted. A grantor that has no option any more cannot grant
/// again; where such a grant is gone, the owner gives it.
fn grantable_again(now: &[Share], goal: &[Share], owner: &str) -> Vec<Share> {
    let options = |of: &str| {
        let held = goal.iter().filter(|s| s.grantee.as_deref() == Some(of));
        held.fold(Privileges::NONE, |all, s| all | s.grantable)
    };
    let mut list: Vec<Share> = Vec::new();
    for share in goal {
        let stands =
            now.contains(share) || share.grantor == owner || options(&share.grantor).contains_all(share.privileges);
        let mut share = share.clone();
        if !stands {
            owner.clone_into(&mut share.grantor);
        }
        match list.iter_mut().find(|s| s.grantee == share.grantee && s.grantor == share.grantor) {
            Some(known) => {
                known.privileges = known.privileges | share.privileges;
                known.grantable = known.grantable | share.grantable;
            }
            None => list.push(share),
        }
    }
    list
}

struct Way<'a> {
    draft: Draft,
    goal: &'a Ground,
    changes: Vec<Change>,
    version: u32,
}

/// A difference of rights that many objects may share: what to do, to whom, by whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Difference {
    /// Takes come first.
    grant: bool,
    /// Steps from the owner along grant options: what stands on an option is taken before it, and given after it.
    depth: u8,
    grantee: Option<String>,
    grantor: Option<String>,
    privileges: Privileges,
    option: bool,
}

/// Rows of one version table that have to go, and rows that have to come.
struct RowsOf {
    schema: String,
    table: String,
    gone: Vec<String>,
    missing: Vec<String>,
}

impl Way<'_> {
    fn push(&mut self, change: Change) -> Result<(), Refused> {
        let [before, after] = self.draft.lent(&change);
        for change in before.into_iter().chain([change]).chain(after) {
            self.draft.apply(&change)?;
            self.changes.push(change);
        }
        Ok(())
    }

    /// How the things of the goal stand now, beside how they should: those that differ.
    fn differing(&self) -> Vec<(Key, Option<State>, Option<State>)> {
        let now = self.draft.ground(self.goal.keys().cloned());
        self.goal.moved(&now).into_iter().map(|m| (m.key, m.is, m.was)).collect()
    }

    /// Roles and schemas that have to be there again, places and owners.
    fn structure(&mut self) -> Result<(), Refused> {
        let differing = self.differing();
        for (key, now, goal) in &differing {
            match (key, now, goal) {
                (Key::Role { name }, None, Some(State::Role { .. })) => {
                    let attributes = goal.as_ref().map(attributes).unwrap_or_default();
                    self.push(Change::CreateRole { name: name.clone(), attributes })?;
                }
                (Key::Schema { name }, None, Some(State::Schema { owner, .. })) => {
                    self.push(Change::CreateSchema { name: name.clone(), owner: owner.clone() })?;
                }
                _ => {}
            }
        }
        // Routines are called otherwise once the types of an extension stand elsewhere: those first.
        for (key, now, goal) in &differing {
            if let (
                Key::Extension { name },
                Some(State::Extension { schema: is, .. }),
                Some(State::Extension { schema, .. }),
            ) = (key, now, goal)
                && is != schema
            {
                self.push(Change::SetExtensionSchema { extension: name.clone(), to: schema.clone() })?;
            }
        }
        let differing = self.differing();
        // An object that is gone here and new there is the same one, when its oid is.
        let oid = |state: &Option<State>| match state {
            Some(State::Object { oid: Some(oid), owned: false, kind, .. }) => Some((*oid, *kind)),
            _ => None,
        };
        let snapshot = self.draft.snapshot();
        let stands: HashMap<Oid, (String, String)> = snapshot
            .objects
            .0
            .iter()
            .flat_map(|(place, list)| list.all().map(move |o| (*place, o)))
            .filter(|(_, o)| o.owned_by.is_none())
            .map(|(place, o)| (o.oid, (snapshot.catalog.schema_name(place), o.name.clone())))
            .collect();
        // Routines first: they are called otherwise once a type of theirs has moved.
        for routines in [true, false] {
            for (key, now, goal) in &differing {
                if let (Key::Object { kind: of, schema, name }, None, Some((oid, kind))) = (key, now, oid(goal))
                    && (*of == ObjectKind::Routine) == routines
                    && let Some((from, called)) = stands.get(&oid)
                {
                    let rows = Key::VersionRows { schema: schema.clone(), table: name.clone() };
                    let renamed = called != name && !routines && self.goal.0.get(&rows).is_some_and(Option::is_some);
                    if renamed {
                        let (schema, name, to) = (from.clone(), called.clone(), name.clone());
                        self.push(Change::RenameVersionTable { schema, name, to })?;
                    }
                    if from != schema && (called == name || routines || renamed) {
                        let name = if renamed { name } else { called };
                        let object = ObjectRef { kind, schema: from.clone(), name: name.clone() };
                        self.push(Change::SetSchema { object, to: schema.clone() })?;
                    }
                }
            }
        }
        for (key, now, goal) in &differing {
            if let (Key::Object { kind: ObjectKind::Routine, schema, name }, None, Some(State::Object { owner, .. })) =
                (key, now, goal)
                && name == super::sql::AUDIT_SIGNATURE
                && self.goal.0.get(&Key::AuditFunction { schema: schema.clone() }).is_some_and(Option::is_some)
            {
                self.push(Change::CreateAuditFunction { schema: schema.clone(), owner: owner.clone() })?;
            }
        }
        // A version table of ours is made anew; its rows come with the other rows.
        for (key, now, goal) in self.differing() {
            if let (Key::Object { kind: ObjectKind::Table, schema, name }, None, Some(State::Object { owner, .. })) =
                (&key, now, goal)
                && let rows = (Key::VersionRows { schema: schema.clone(), table: name.clone() })
                && self.goal.0.get(&rows).is_some_and(Option::is_some)
            {
                self.push(Change::CreateVersionTable { schema: schema.clone(), name: name.clone(), owner })?;
            }
        }
        for (key, now, goal) in self.differing() {
            match (&key, now, goal) {
                (Key::Schema { name }, Some(State::Schema { owner: is, .. }), Some(State::Schema { owner, .. }))
                    if is != owner =>
                {
                    self.push(Change::SetSchemaOwner { schema: name.clone(), owner })?;
                }
                (
                    Key::Object { schema, name, .. },
                    Some(State::Object { owner: is, kind, owned: false, .. }),
                    Some(State::Object { owner, .. }),
                ) if is != owner => {
                    let object = ObjectRef { kind, schema: schema.clone(), name: name.clone() };
                    self.push(Change::SetOwner { object, owner })?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Attributes, memberships, settings, row security, rows, and what a routine or view was told.
    fn details(&mut self) -> Result<(), Refused> {
        let database = self.draft.database().to_owned();
        self.rows()?;
        let mut given = Vec::new();
        for (key, now, goal) in self.differing() {
            match (key, now, goal) {
                (Key::Role { name }, Some(now), Some(goal)) => {
                    let attributes = attributes_between(&now, &goal);
                    self.push(Change::AlterRole { name, attributes })?;
                }
                (Key::Membership { role, member }, now, goal) => {
                    given.extend(self.ended(&role, &member, now, goal)?);
                }
                (Key::Setting { role, in_database, name }, _, goal) => {
                    let value = match goal {
                        Some(State::Setting { value }) => Some(written(&name, &value)),
                        _ => None,
                    };
                    let change = match role {
                        Some(role) => Change::SetRoleSetting {
                            role,
                            database: in_database.then(|| database.clone()),
                            name,
                            value,
                        },
                        None => Change::SetDatabaseSetting { database: database.clone(), name, value },
                    };
                    self.push(change)?;
                }
                (
                    Key::Object { schema, name, .. },
                    Some(State::Object { rls: rls_now, force_rls: force_now, option: option_now, kind, .. }),
                    Some(State::Object { rls, force_rls, option, .. }),
                ) => {
                    let (schema, table) = (schema.clone(), name.clone());
                    match (rls_now, rls) {
                        (false, true) => {
                            self.push(Change::EnableRls { schema: schema.clone(), table: table.clone() })?;
                        }
                        (true, false) => {
                            self.push(Change::DisableRls { schema: schema.clone(), table: table.clone() })?;
                        }
                        _ => {}
                    }
                    match (force_now, force_rls) {
                        (false, true) => {
                            self.push(Change::ForceRls { schema: schema.clone(), table: table.clone() })?;
                        }
                        (true, false) => {
                            self.push(Change::NoForceRls { schema: schema.clone(), table: table.clone() })?;
                        }
                        _ => {}
                    }
                    if option_now != option {
                        self.option(kind, schema, table, option.as_deref())?;
                    }
                }
                (Key::Policy { schema, table, name }, Some(_), None) => {
                    self.push(Change::DropPolicy { schema, table, name })?;
                }
                (Key::AuditTrigger { schema, table }, now, goal) => {
                    if now.is_some() {
                        self.push(Change::DropAuditTrigger { schema: schema.clone(), table: table.clone() })?;
                    }
                    if let Some(State::AuditTrigger { audit, home, .. }) = goal {
                        self.push(Change::CreateAuditTrigger { schema, table, audit, home })?;
                    }
                }
                _ => {}
            }
        }
        given.into_iter().try_for_each(|change| self.push(change))
    }

    /// Ends what is not wanted of a membership; gives back what is to be granted once all that is ended is: a membership may
    /// stand in the way of the one the other way round.
    fn ended(
        &mut self,
        role: &str,
        member: &str,
        now: Option<State>,
        goal: Option<State>,
    ) -> Result<Vec<Change>, Refused> {
        let of = |state: Option<State>| match state {
            Some(State::Membership { grants }) => grants,
            _ => Vec::new(),
        };
        let (now, goal) = (of(now), of(goal));
        let options = self.version >= 160_000;
        for grant in now.iter().filter(|g| !goal.contains(g)) {
            self.push(Change::RevokeRole {
                role: role.to_owned(),
                member: member.to_owned(),
                grantor: options.then(|| grant.grantor.clone()),
            })?;
        }
        let given = goal.into_iter().filter(|g| !now.contains(g));
        let given = given.map(|Grant { grantor, inherit, set, admin }| Change::GrantRoleWith {
            role: role.to_owned(),
            member: member.to_owned(),
            admin,
            inherit: options.then_some(inherit),
            set: options.then_some(set),
            grantor: Some(grantor),
        });
        Ok(given.collect())
    }

    /// Version tables whose rows differ: with what has to go, and what is missing. A table that was not there before
    /// loses all of them.
    fn differing_rows(&self) -> Vec<RowsOf> {
        let mut list = Vec::new();
        for (key, now, goal) in self.differing() {
            let Key::VersionRows { schema, table } = key else { continue };
            let Some(State::VersionRows { rows: now }) = now else { continue };
            let made = Key::Object { kind: ObjectKind::Table, schema: schema.clone(), name: table.clone() };
            let goal = match goal {
                Some(State::VersionRows { rows }) => rows,
                None if self.goal.0.get(&made) == Some(&None) => Vec::new(),
                _ => continue,
            };
            let gone = now.iter().filter(|r| !goal.contains(r)).cloned().collect();
            let missing = goal.iter().filter(|r| !now.contains(r)).cloned().collect();
            list.push(RowsOf { schema, table, gone, missing });
        }
        list
    }

    /// Rows of version tables: from one to another where they went that way, else taken out and written.
    fn rows(&mut self) -> Result<(), Refused> {
        let differing = self.differing_rows();
        for from in &differing {
            for to in differing.iter().filter(|to| to.table == from.table && to.schema != from.schema) {
                let rows: Vec<String> = from.gone.iter().filter(|r| to.missing.contains(r)).cloned().collect();
                if !rows.is_empty() {
                    let (schema, table, to) = (from.schema.clone(), from.table.clone(), to.schema.clone());
                    self.push(Change::MoveVersionRows { schema, table, to, rows })?;
                }
            }
        }
        for RowsOf { schema, table, gone, missing } in self.differing_rows() {
            if !gone.is_empty() {
                let (schema, table) = (schema.clone(), table.clone());
                self.push(Change::DeleteVersionRows { schema, table, rows: gone })?;
            }
            if !missing.is_empty() {
                self.push(Change::InsertVersionRows { schema, table, rows: missing })?;
            }
        }
        Ok(())
    }

    fn option(&mut self, kind: Kind, schema: String, name: String, goal: Option<&str>) -> Result<(), Refused> {
        match kind {
            Kind::View if goal == Some("security_invoker=true") => {
                self.push(Change::SetViewInvoker { schema, view: name })
            }
            Kind::View => self.push(Change::ResetViewInvoker { schema, view: name }),
            Kind::Function | Kind::Procedure | Kind::Aggregate | Kind::Window => {
                match goal.and_then(|g| g.strip_prefix("search_path=")).and_then(search_path::parse) {
                    Some(path) => self.push(Change::SetFunctionSearchPath { schema, signature: name, path }),
                    None => self.push(Change::ResetFunctionSearchPath { schema, signature: name }),
                }
            }
            Kind::Table | Kind::Partitioned | Kind::MaterializedView | Kind::Foreign | Kind::Sequence | Kind::Type => {
                Ok(())
            }
        }
    }

    /// ACLs and default privileges.
    fn rights(&mut self) -> Result<(), Refused> {
        let mut alike: BTreeMap<(Difference, String, ObjectKind), Vec<String>> = BTreeMap::new();
        let mut single: Vec<(Difference, On)> = Vec::new();
        let database = self.draft.database().to_owned();
        for (key, now, goal) in self.differing() {
            match (key, now, goal) {
                (
                    Key::Database,
                    Some(State::Database { shares: now, owner, .. }),
                    Some(State::Database { shares: goal, .. }),
                ) => {
                    let found = self.shares(&now, &goal, ObjectKind::Database, &owner);
                    single.extend(found.into_iter().map(|d| (d, On::Database(database.clone()))));
                }
                (
                    Key::Schema { name },
                    Some(State::Schema { shares: now, owner, .. }),
                    Some(State::Schema { shares: goal, .. }),
                ) => {
                    let found = self.shares(&now, &goal, ObjectKind::Schema, &owner);
                    single.extend(found.into_iter().map(|d| (d, On::Schema(name.clone()))));
                }
                (
                    Key::Object { kind, schema, name },
                    Some(State::Object { shares: now, owner, .. }),
                    Some(State::Object { shares: goal, .. }),
                ) => {
                    for difference in self.shares(&now, &goal, kind, &owner) {
                        alike.entry((difference, schema.clone(), kind)).or_default().push(name.clone());
                    }
                }
                (
                    Key::Column { schema, relation, column },
                    Some(State::Column { shares: now }),
                    Some(State::Column { shares: goal }),
                ) => {
                    let now = Some(now.unwrap_or_default());
                    let goal = Some(goal.unwrap_or_default());
                    let owner = self.draft.owner(ObjectKind::Table, &schema, &relation).unwrap_or_default();
                    for difference in self.shares(&now, &goal, ObjectKind::Table, &owner) {
                        let (schema, relation) = (schema.clone(), relation.clone());
                        single.push((difference, On::Columns { schema, relation, columns: vec![column.clone()] }));
                    }
                }
                (Key::DefaultAcl { creator, schema, kind }, now, goal) => {
                    self.defaults(&creator, schema.as_deref(), kind, now.as_ref(), goal.as_ref())?;
                }
                _ => {}
            }
        }
        let many = alike
            .into_iter()
            .map(|((difference, schema, kind), names)| (difference, On::Objects { kind, schema, names }));
        let mut all: Vec<(Difference, On)> = single.into_iter().chain(many).collect();
        all.sort_by(|(a, _), (b, _)| {
            let by_depth = if a.grant { a.depth.cmp(&b.depth) } else { b.depth.cmp(&a.depth) };
            a.grant.cmp(&b.grant).then(by_depth)
        });
        for (d, on) in all {
            let who = grantee(d.grantee.as_ref());
            let change = match (d.grant, d.option || d.grantor.is_some()) {
                (true, false) => Change::Grant { privileges: d.privileges, on, to: who },
                (true, true) => {
                    let (privileges, option, grantor) = (d.privileges, d.option, d.grantor);
                    Change::GrantWith { privileges, on, to: who, option, grantor }
                }
                (false, _) => {
                    let (privileges, option_only, grantor) = (d.privileges, d.option, d.grantor);
                    Change::Revoke { privileges, on, from: who, option_only, grantor }
                }
            };
            match self.push(change.clone()) {
                Ok(()) => {}
                Err(refused) => self.with_lent_option(change, refused)?,
            }
        }
        Ok(())
    }

    /// Only its grantor can take a grant back, and that one may have lost the option since: it is given for the moment.
    fn with_lent_option(&mut self, change: Change, refused: Refused) -> Result<(), Refused> {
        let Change::Revoke { privileges, on, grantor: Some(by), .. } = &change else { return Err(refused) };
        let (privileges, on, to) = (*privileges, on.clone(), grantee(Some(by)));
        self.push(Change::GrantWith { privileges, on, to, option: true, grantor: None })?;
        self.push(change)
    }

    fn shares(&self, now: &Shares, goal: &Shares, kind: ObjectKind, owner: &str) -> Vec<Difference> {
        let (now, goal) = (in_force(now, kind, owner, self.version), in_force(goal, kind, owner, self.version));
        let goal = grantable_again(&now, &goal, owner);
        let key = |s: &Share| (s.grantee.clone(), s.grantor.clone());
        let mut pairs: BTreeMap<_, (Option<&Share>, Option<&Share>)> = BTreeMap::new();
        for share in &now {
            pairs.entry(key(share)).or_default().0 = Some(share);
        }
        for share in &goal {
            pairs.entry(key(share)).or_default().1 = Some(share);
        }
        let mut found = Vec::new();
        let (now_list, goal_list) = (now.as_slice(), goal.as_slice());
        for ((grantee, grantor), (now, goal)) in pairs {
            let of =
                |s: Option<&Share>| s.map_or((Privileges::NONE, Privileges::NONE), |s| (s.privileges, s.grantable));
            let ((has, can), (should, could)) = (of(now), of(goal));
            let own = grantee.as_deref() == Some(owner) && grantor == owner;
            let by = (grantor != owner).then_some(grantor);
            let mut add = |grant: bool, option: bool, privileges: Privileges| {
                if !privileges.is_empty() {
                    let depth = depth(if grant { goal_list } else { now_list }, owner, by.as_deref());
                    let (grantee, grantor) = (grantee.clone(), by.clone());
                    found.push(Difference { grant, depth, grantee, grantor, privileges, option });
                }
            };
            add(false, false, has.minus(should));
            if own {
                add(true, false, should.minus(has));
            } else {
                add(false, true, can.minus(could).and(should));
                add(true, false, should.minus(has).minus(could));
                add(true, true, could.minus(can));
            }
        }
        found
    }

    fn defaults(
        &mut self,
        creator: &str,
        schema: Option<&str>,
        kind: DefaultKind,
        now: Option<&State>,
        goal: Option<&State>,
    ) -> Result<(), Refused> {
        let of = |state: Option<&State>| match state {
            Some(State::DefaultAcl { shares }) => Some(shares.clone()),
            _ => None,
        };
        let base = || if schema.is_none() { self.draft.built_in(kind, creator) } else { Vec::new() };
        let (now, goal) = (of(now).unwrap_or_else(base), of(goal).unwrap_or_else(base));
        let held = |list: &[Share], who: &Option<String>| {
            let found = list.iter().filter(|s| s.grantee == *who);
            found.fold(Privileges::NONE, |held, s| held | s.privileges)
        };
        let mut who: Vec<Option<String>> = now.iter().chain(&goal).map(|s| s.grantee.clone()).collect();
        who.sort();
        who.dedup();
        for who in who {
            let (is, should) = (held(&now, &who), held(&goal, &who));
            for (grant, privileges) in [(false, is.minus(should)), (true, should.minus(is))] {
                if !privileges.is_empty() {
                    self.push(Change::DefaultPrivileges {
                        creator: creator.to_owned(),
                        schema: schema.map(str::to_owned),
                        kind,
                        privileges,
                        grantee: grantee(who.as_ref()),
                        grant,
                    })?;
                }
            }
        }
        Ok(())
    }

    /// What was made is taken away last, when nothing of ours depends on it any more.
    fn ends(&mut self) -> Result<(), Refused> {
        let differing = self.differing();
        let gone = |key: &Key| differing.iter().any(|(k, now, goal)| k == key && now.is_some() && goal.is_none());
        for (key, ..) in differing.iter().filter(|(key, ..)| gone(key)) {
            if let Key::AuditFunction { schema } = key {
                self.push(Change::DropAuditFunction { schema: schema.clone() })?;
            }
        }
        for (key, ..) in differing.iter().filter(|(key, ..)| gone(key)) {
            if let Key::Object { kind: ObjectKind::Table, schema, name } = key {
                self.push(Change::DropVersionTable { schema: schema.clone(), name: name.clone() })?;
            }
        }
        for (key, ..) in differing.iter().filter(|(key, ..)| gone(key)) {
            if let Key::Schema { name } = key {
                self.push(Change::DropSchema { name: name.clone() })?;
            }
        }
        for (key, ..) in differing.iter().filter(|(key, ..)| gone(key)) {
            if let Key::Role { name } = key {
                self.push(Change::DropRole { name: name.clone() })?;
            }
        }
        Ok(())
    }
}

/// A setting's value as `SET` takes it back.
pub(super) fn written(name: &str, value: &str) -> Vec<String> {
    if search_path::is_list(name)
        && let Some(names) = search_path::parse(value)
    {
        return names.into_iter().filter(|n| !n.is_empty()).collect();
    }
    vec![value.to_owned()]
}

fn attributes(state: &State) -> RoleAttributes {
    let State::Role {
        superuser,
        inherit,
        create_role,
        create_db,
        login,
        replication,
        bypass_rls,
        connection_limit,
        valid_until_us,
        ..
    } = state
    else {
        return RoleAttributes::default();
    };
    RoleAttributes {
        superuser: Some(*superuser),
        inherit: Some(*inherit),
        create_role: Some(*create_role),
        create_db: Some(*create_db),
        login: Some(*login),
        replication: Some(*replication),
        bypass_rls: Some(*bypass_rls),
        connection_limit: Some(*connection_limit),
        valid_until: valid_until_us.map(|us| valid_until(Some(us))),
    }
}

/// The attributes of `goal` that `now` has not.
fn attributes_between(now: &State, goal: &State) -> RoleAttributes {
    let (is, to) = (attributes(now), attributes(goal));
    let pick = |a: Option<bool>, b: Option<bool>| if a == b { None } else { b };
    RoleAttributes {
        superuser: pick(is.superuser, to.superuser),
        inherit: pick(is.inherit, to.inherit),
        create_role: pick(is.create_role, to.create_role),
        create_db: pick(is.create_db, to.create_db),
        login: pick(is.login, to.login),
        replication: pick(is.replication, to.replication),
        bypass_rls: pick(is.bypass_rls, to.bypass_rls),
        connection_limit: if is.connection_limit == to.connection_limit { None } else { to.connection_limit },
        valid_until: if is.valid_until == to.valid_until {
            None
        } else {
            Some(to.valid_until.unwrap_or_else(|| "infinity".to_owned()))
        },
    }
}
