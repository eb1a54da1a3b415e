//! Makes plans: from changes somebody asked for, from the findings of a policy, and from a plan that was done and is to be
//! taken back. Every plan is tried on a draft of the snapshot first; what the server would refuse never becomes a plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Effect, Ground, Hazard, HazardKind, Key, Moved, Plan, Refused, Step, Target, besides, effects, keys,
    predict::Draft, sql, story, sweep, undo, unfound,
};
use crate::{
    domain::{
        change::{Change, On},
        snapshot::Snapshot,
    },
    policy::{Finding, judgement::Judgement},
};

/// Things that a note names before it counts the rest.
const NAMED: usize = 12;

/// Rounds of planning to a policy: each settles what the one before made possible.
const ROUNDS: usize = 24;

/// A finding with a fix that a plan leaves alone, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    pub finding: String,
    pub why: String,
}

/// Why a plan cannot be taken back, or done again.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Stale {
    /// What it made is no longer as it made it.
    #[error("{}", list(.0))]
    Moved(Vec<Moved>),
    #[error(transparent)]
    Refused(#[from] Refused),
}

fn list(moved: &[Moved]) -> String {
    moved.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A plan that makes these changes, in this order.
///
/// # Errors
/// [`Refused`]: the first change that the server would refuse.
pub fn of_changes(snapshot: &Snapshot, changes: impl IntoIterator<Item = Change>) -> Result<Plan, Refused> {
    let mut maker = Maker::new(snapshot);
    for change in changes {
        maker.add(change, Vec::new())?;
    }
    Ok(maker.plan())
}

/// The plan that leads to the policy: every finding with a fix, or only those named by code or id. The objects of every
/// schema that a fix touches must be in the snapshot.
#[must_use]
pub fn converge(judgement: &Judgement, only: &[String]) -> Plan {
    let wanted = |f: &Finding| only.is_empty() || only.iter().any(|o| *o == f.id || *o == f.code);
    let mut maker = Maker::new(&judgement.snapshot);
    let left = maker.converge(judgement, &wanted);
    Plan { left, ..maker.plan() }
}

/// The plan that settles the findings that are wanted, between changes that come first and changes that come last.
///
/// # Errors
/// [`Refused`], when one of those is.
pub fn converge_where(
    judgement: &Judgement,
    wanted: &dyn Fn(&Finding) -> bool,
    first: Vec<Change>,
    last: Vec<Change>,
) -> Result<Plan, Refused> {
    let mut maker = Maker::new(&judgement.snapshot);
    for change in first {
        maker.add(change, Vec::new())?;
    }
    let left = maker.converge(judgement, wanted);
    for change in last {
        maker.add(change, Vec::new())?;
    }
    Ok(Plan { left, ..maker.plan() })
}

const NO_WAY_BACK: &str = "Nothing takes this back by itself.";

/// The plan that takes a done plan back: what it made must still be as it made it.
///
/// # Errors
/// [`Stale`] with what has moved since.
pub fn back(now: &Snapshot, done: &Plan) -> Result<Plan, Stale> {
    let (mut plan, whole) = turned(now, done)?;
    if whole {
        // what has no way back of its own is done again by doing again what was done first
        for step in plan.steps.iter_mut().filter(|s| s.undo.is_none()) {
            step.hazards.retain(|h| h.sentence != NO_WAY_BACK);
        }
    }
    Ok(plan)
}

/// It means what it meant: only the list of privileges is spelled otherwise, as taking something back may leave it.
fn respelled(moved: &Moved, now: &Snapshot) -> bool {
    let both = moved.was.as_ref().zip(moved.is.as_ref());
    both.is_some_and(|(was, is)| undo::means_the_same(was, is, &moved.key, now.server.version_num))
}

/// The way back, and whether it is the whole way.
fn turned(now: &Snapshot, done: &Plan) -> Result<(Plan, bool), Stale> {
    let standing = Ground::of(now, done.predicted.keys().cloned());
    let mut moved = done.predicted.moved(&standing);
    moved.retain(|m| !m.key.is_passing() && !respelled(m, now));
    if !moved.is_empty() {
        return Err(Stale::Moved(moved));
    }
    let way = undo::back(now, &done.ground)?;
    let mut plan = of_changes(now, way.changes)?;
    let note = |kind: HazardKind, sentence: String| Hazard { kind, sentence };
    let mut notes: Vec<Hazard> = way
        .left
        .iter()
        .map(|key| note(HazardKind::NoWayBack, format!("Stays as it is, because nothing brings it back: {key}.")))
        .collect();
    if !way.rewritten.is_empty() {
        let n = crate::text::count(way.rewritten.len() as u64, "list", "lists");
        let names: Vec<String> = way.rewritten.iter().map(ToString::to_string).collect();
        let what = format!(
            "{n} of privileges will mean the same as before and be spelled otherwise, as a list where the built-in default \
             stood, or by another grantor: {}.",
            crate::text::list(&names, NAMED)
        );
        notes.push(note(HazardKind::Note, what));
    }
    plan.notes.extend(notes);
    Ok((plan, way.left.is_empty()))
}

/// The plan that does again what `undone` took back of `first`: the same once more, or, where the undo left something
/// standing, the undo turned round; but never a part of it, which would be something that nobody has seen. A password
/// that the first one set is kept nowhere: whoever runs the plan has to give another one.
///
/// # Errors
/// [`Stale`] with what has moved since.
pub fn redo(now: &Snapshot, first: &Plan, undone: &Plan) -> Result<Plan, Stale> {
    again(now, first).or_else(|why| match turned(now, undone) {
        // turned round, a role would come back without one
        Ok((plan, true)) if first.sets_password_of().is_none() => Ok(plan),
        Ok(_) | Err(_) => Err(why),
    })
}

/// The plan that does again what was taken back.
///
/// # Errors
/// [`Stale`] with what has moved since.
pub fn again(now: &Snapshot, done: &Plan) -> Result<Plan, Stale> {
    let standing = Ground::of(now, done.ground.keys().cloned());
    let mut moved = done.ground.moved(&standing);
    moved.retain(|m| !m.key.is_passing() && !respelled(m, now));
    if !moved.is_empty() {
        return Err(Stale::Moved(moved));
    }
    Ok(of_changes(now, done.steps.iter().map(|step| step.change.clone()))?)
}

/// Schemas whose objects must be in the snapshot before the fixes can be planned: those that a fix touches, and those that
/// a finding speaks of, because without names it may have no fix yet.
#[must_use]
pub fn schemas_of_fixes(findings: &[Finding]) -> BTreeSet<String> {
    let changes = findings.iter().flat_map(|f| f.fix.iter().flatten());
    let spoken_of = findings.iter().filter_map(|f| f.schema.clone());
    changes.flat_map(keys::schemas).map(str::to_owned).chain(spoken_of).collect()
}

/// What has to stand before what: things, then owners and places, then rights, then what is taken.
fn stage(code: &str) -> u8 {
    match code {
        "schema-missing" | "role-missing" | "audit-schema-missing" => 0,
        "object-misplaced" | "extension-misplaced" | "version-table-misplaced" => 1,
        "schema-owner" | "object-owner" | "version-table-owner" | "version-table-missing" => 2,
        "grant-excess"
        | "grant-dead"
        | "grant-option-excess"
        | "public-privilege"
        | "undeclared-access"
        | "default-privilege-excess"
        | "database-privilege-excess"
        | "grant-column-excess" => 4,
        "membership-excess" => 5,
        "role-overprivileged" | "role-bypasses-rls" => 6,
        _ => 3,
    }
}

/// The order of changes within a stage.
fn rank(change: &Change) -> u8 {
    match change {
        Change::CreateRole { .. } => 0,
        Change::CreateSchema { .. } | Change::CreateAuditSchema { .. } => 1,
        Change::SetSchemaOwner { .. } => 2,
        Change::SetSchema { .. }
        | Change::MoveVersionTable { .. }
        | Change::RenameVersionTable { .. }
        | Change::SetExtensionSchema { .. } => 3,
        Change::SetOwner { .. } => 4,
        Change::CreateVersionTable { .. } | Change::CreateAuditFunction { .. } => 5,
        Change::GrantRole { .. } | Change::GrantRoleWith { .. } => 6,
        Change::Grant { .. } | Change::GrantWith { .. } => 7,
        Change::DefaultPrivileges { grant: true, .. } => 8,
        Change::SetRoleSetting { .. }
        | Change::SetDatabaseSetting { .. }
        | Change::SetFunctionSearchPath { .. }
        | Change::ResetFunctionSearchPath { .. }
        | Change::SetViewInvoker { .. }
        | Change::ResetViewInvoker { .. }
        | Change::ValidateForeignKey { .. }
        | Change::SetPassword { .. }
        | Change::InsertVersionRows { .. }
        | Change::MoveVersionRows { .. } => 9,
        Change::CreateTenantPolicy { .. } => 10,
        Change::EnableRls { .. } | Change::ForceRls { .. } | Change::CreateAuditTrigger { .. } => 11,
        Change::Revoke { .. } => 12,
        Change::DefaultPrivileges { grant: false, .. } => 13,
        Change::RevokeRole { .. } => 14,
        Change::AlterRole { .. } => 15,
        Change::DeleteVersionRows { .. }
        | Change::DisableRls { .. }
        | Change::NoForceRls { .. }
        | Change::DropPolicy { .. }
        | Change::DropAuditTrigger { .. }
        | Change::DropAuditFunction { .. }
        | Change::DropVersionTable { .. } => 16,
        Change::DropSchema { .. } => 17,
        Change::DropRole { .. } => 18,
    }
}

/// The changes of these findings' fixes, each once, in order, alike ones in one; with the findings they settle.
fn merged(findings: &[&Finding]) -> Vec<(Change, Vec<String>)> {
    let mut list: Vec<(Change, Vec<String>)> = Vec::new();
    for finding in findings {
        for change in finding.fix.iter().flatten() {
            match list.iter_mut().find(|(known, _)| joins(known, change)) {
                Some((known, ids)) => {
                    join(known, change);
                    if !ids.contains(&finding.id) {
                        ids.push(finding.id.clone());
                    }
                }
                None => list.push((change.clone(), vec![finding.id.clone()])),
            }
        }
    }
    // The audit trail brings its schema along.
    let trail = |(change, _): &(Change, Vec<String>)| match change {
        Change::CreateAuditSchema { schema, owner } => Some((schema.clone(), owner.clone())),
        _ => None,
    };
    if let Some((schema, by)) = list.iter().find_map(trail) {
        let twice = |c: &Change| matches!(c, Change::CreateSchema { name, owner } if *name == schema && *owner == by);
        if let Some(at) = list.iter().position(|(change, _)| twice(change)) {
            let (_, ids) = list.remove(at);
            if let Some((_, resolves)) = list.iter_mut().find(|entry| trail(entry).is_some()) {
                resolves.extend(ids);
            }
        }
    }
    // Who takes back what they granted looks the object up: USAGE is taken after that.
    let wide = |change: &Change| matches!(change, Change::Revoke { on: On::Schema(_) | On::Database(_), .. });
    list.sort_by_key(|(change, _)| (rank(change), wide(change)));
    list
}

/// Two changes that are one: the same, or privileges on the same thing.
fn joins(a: &Change, b: &Change) -> bool {
    match (a, b) {
        (Change::Grant { on, to, .. }, Change::Grant { on: other, to: also, .. }) => {
            to == also && (on == other || same_schema_objects(on, other) && privileges(a) == privileges(b))
        }
        (
            Change::Revoke { on, from, option_only, grantor, .. },
            Change::Revoke { on: other, from: also, option_only: only, grantor: by, .. },
        ) => {
            from == also
                && option_only == only
                && grantor == by
                && (on == other || same_schema_objects(on, other) && privileges(a) == privileges(b))
        }
        (
            Change::DefaultPrivileges { creator, schema, kind, grantee, grant, .. },
            Change::DefaultPrivileges { creator: by, schema: place, kind: of, grantee: to, grant: give, .. },
        ) => creator == by && schema == place && kind == of && grantee == to && grant == give,
        _ => a == b,
    }
}

fn privileges(change: &Change) -> Option<crate::domain::Privileges> {
    match change {
        Change::Grant { privileges, .. } | Change::Revoke { privileges, .. } => Some(*privileges),
        _ => None,
    }
}

fn same_schema_objects(a: &On, b: &On) -> bool {
    match (a, b) {
        (On::Objects { kind, schema, .. }, On::Objects { kind: k, schema: s, .. }) => kind == k && schema == s,
        _ => false,
    }
}

fn join(known: &mut Change, more: &Change) {
    match (known, more) {
        (
            Change::Grant { privileges, on, .. } | Change::Revoke { privileges, on, .. },
            Change::Grant { privileges: p, on: other, .. } | Change::Revoke { privileges: p, on: other, .. },
        ) => {
            *privileges = *privileges | *p;
            if let (On::Objects { names, .. }, On::Objects { names: more, .. }) = (on, other) {
                for name in more {
                    if !names.contains(name) {
                        names.push(name.clone());
                    }
                }
            }
        }
        (Change::DefaultPrivileges { privileges, .. }, Change::DefaultPrivileges { privileges: p, .. }) => {
            *privileges = *privileges | *p;
        }
        _ => {}
    }
}

struct Maker<'a> {
    base: &'a Snapshot,
    draft: Draft,
    touched: BTreeSet<Key>,
    steps: Vec<Step>,
}

impl<'a> Maker<'a> {
    fn new(base: &'a Snapshot) -> Maker<'a> {
        Maker { base, draft: Draft::new(base), touched: BTreeSet::new(), steps: Vec::new() }
    }

    /// Adds a change; what it is run as gets USAGE for the moment where it has none, and may not look up a name.
    fn add(&mut self, change: Change, resolves: Vec<String>) -> Result<(), Refused> {
        if keys::needs_columns(&change) && self.base.shapes.is_none() {
            return Err(Refused::new("the privileges on columns have not been read yet"));
        }
        match self.draft.lent(&change) {
            [Some(before), Some(after)] => {
                let mut tried = self.draft.clone();
                tried.apply(&before)?;
                let touched = keys::touched(&change, tried.snapshot());
                let stood = tried.ground(touched.iter().cloned());
                tried.apply(&change)?;
                if stood.moved(&tried.ground(touched)).is_empty() {
                    return Ok(());
                }
                self.add_one(before, Vec::new())?;
                self.add_one(change, resolves)?;
                self.add_one(after, Vec::new())
            }
            _ => self.add_one(change, resolves),
        }
    }

    fn add_one(&mut self, change: Change, resolves: Vec<String>) -> Result<(), Refused> {
        let touched = keys::touched(&change, self.draft.snapshot());
        let before = self.draft.ground(touched.iter().cloned());
        let mut hazards = story::hazards(&change, self.base);
        let mut tried = self.draft.clone();
        tried.apply(&change)?;
        let after = tried.ground(touched.iter().cloned());
        let password = matches!(change, Change::SetPassword { .. });
        if before.moved(&after).is_empty() && !password {
            // Nothing to do: something before it did it already.
            return Ok(());
        }
        self.draft = tried;
        self.touched.extend(touched);
        // A role that is made by the same plan takes its password along when it goes again.
        let fresh = matches!(&change, Change::SetPassword { role } if self.base.catalog.role_named(role).is_none());
        let undo = match undo::back(self.draft.snapshot(), &before) {
            _ if fresh => Some(Vec::new()),
            Ok(way) if way.left.is_empty() && !password => Some(way.changes.iter().flat_map(sql::statements).collect()),
            Ok(_) | Err(_) => None,
        };
        if undo.is_none() && !hazards.iter().any(|h| h.kind == HazardKind::NoWayBack) {
            hazards.push(Hazard { kind: HazardKind::NoWayBack, sentence: NO_WAY_BACK.to_owned() });
        }
        self.steps.push(Step {
            id: format!("s{}", self.steps.len() + 1),
            title: story::title(&change),
            sql: sql::statements(&change),
            change,
            undo,
            hazards,
            resolves,
        });
        Ok(())
    }

    /// Settles finding after finding, each round on what the one before has left; gives back what it could not settle.
    fn converge(&mut self, judgement: &Judgement, wanted: &dyn Fn(&Finding) -> bool) -> Vec<Left> {
        let mut refused: BTreeMap<String, String> = BTreeMap::new();
        let judged = |draft: &Draft| {
            let next = Arc::new(draft.clone().finish());
            Judgement::new(next, judgement.policy.clone(), Arc::clone(&judgement.lineages), None)
        };
        let mut current = (!self.steps.is_empty()).then(|| judged(&self.draft));
        let mut tried = self.steps.len();
        for _ in 0..ROUNDS {
            let findings = current.as_ref().map_or(&judgement.findings, |j| &j.findings);
            let fixed = |f: &&Finding| {
                f.fix.as_ref().is_some_and(|fix| !fix.is_empty()) && !refused.contains_key(&f.id) && wanted(f)
            };
            let open: Vec<&Finding> = findings.iter().filter(fixed).collect();
            let Some(first) = open.iter().map(|f| stage(f.code)).min() else {
                // What was refused may be possible once the rest is settled: a membership, when the one the other way round
                // is gone.
                if refused.is_empty() || self.steps.len() == tried {
                    break;
                }
                tried = self.steps.len();
                refused.clear();
                continue;
            };
            let now: Vec<&Finding> = open.into_iter().filter(|f| stage(f.code) == first).collect();
            for (change, resolves) in merged(&now) {
                let ids = resolves.clone();
                if let Err(why) = self.add(change, resolves) {
                    for id in ids {
                        refused.insert(id, why.to_string());
                    }
                }
            }
            current = Some(judged(&self.draft));
        }
        refused.into_iter().map(|(finding, why)| Left { finding, why }).collect()
    }

    fn plan(mut self) -> Plan {
        let after = self.draft.finish();
        unfound::warn(&mut self.steps, self.base, &after);
        // As it is before the first step: a step may touch what an earlier one brought there.
        let ground = Ground::of(self.base, self.touched.iter().cloned());
        let mut predicted = Ground::of(&after, self.touched);
        let places = |s: &Step| matches!(s.change, Change::SetSchema { .. } | Change::SetExtensionSchema { .. });
        if self.steps.iter().any(places) {
            predicted.forget_expressions();
        }
        let effects: Vec<Effect> = effects::effects(self.base, &after, &ground);
        let mut notes: Vec<Hazard> = sweep::hazard(self.base, &after, &effects).into_iter().collect();
        notes.extend(besides::hazards(&self.steps, self.base));
        let server = &self.base.server;
        let target = Target {
            instance: self.base.instance.clone(),
            system_identifier: server.system_identifier.clone(),
            database: server.database.clone(),
            server_version_num: server.version_num,
            timeline: server.timeline.clone(),
        };
        let base_fingerprint = ground.fingerprint();
        let mut hash = Sha256::new();
        for part in [target.system_identifier.as_deref().unwrap_or(""), &target.database, &base_fingerprint] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        for statement in self.steps.iter().flat_map(|step| &step.sql) {
            hash.update(statement.as_bytes());
            hash.update([0]);
        }
        let plan_id = super::ground::hexadecimal(&hash.finalize(), 8);
        Plan {
            schema_version: 1,
            plan_id,
            asked: String::new(),
            target,
            base_fingerprint,
            ground,
            steps: self.steps,
            predicted,
            effects,
            notes,
            left: Vec::new(),
            entry: None,
            policy: None,
        }
    }
}

/// Keys of a ground that a snapshot cannot tell, because the objects of their schema were not read.
#[must_use]
pub fn unread<'a>(snapshot: &Snapshot, ground: &'a Ground) -> Vec<&'a Key> {
    let read = |schema: &str| {
        let found = snapshot.catalog.schema_named(schema);
        found.is_none_or(|s| snapshot.objects.0.contains_key(&s.oid))
    };
    ground.keys().filter(|key| key.in_schema().is_some_and(|schema| !read(schema))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            Privilege,
            change::{Grantee, ObjectRef},
            snapshot::Kind,
        },
        plan::predict::predict,
        policy::checks::fixture::Fixture,
    };

    #[test]
    fn a_trail_that_is_missing_is_made_once() {
        let rules = "[[service]]\nname='s'\nschema='shop'\nrole='app'\naccess={audit=['append']}\n\
                     [[schema]]\nname='audit'\nowner='postgres'\n";
        let case = Fixture::new().role("app").schema("shop", "app").policy(rules).case();
        let policy = case.policy.map(Arc::new);
        let judgement = Judgement::new(Arc::new(case.snapshot), policy, case.lineages, None);
        let plan = converge(&judgement, &[]);
        let makes: Vec<&Step> =
            plan.steps.iter().filter(|s| s.sql.iter().any(|s| s.contains("CREATE SCHEMA"))).collect();
        let [made] = makes[..] else { panic!("{makes:#?}") };
        assert_eq!(made.resolves, ["audit-schema-missing:audit", "schema-missing:audit"]);
        let all: Vec<&str> = plan.statements().collect();
        assert!(all.contains(&"GRANT INSERT ON TABLE audit.cross_schema_access TO app;"), "{all:#?}");
    }

    #[test]
    fn what_a_step_touches_where_an_earlier_one_brought_it_was_not_there_before() {
        let f = Fixture::new().role("app").role("reader").schema("a", "app").schema("b", "app");
        let f = f.table("a", "t", "app").table("b", "other", "app");
        let object = ObjectRef { kind: Kind::Table, schema: "a".into(), name: "t".into() };
        let on = On::Columns { schema: "b".into(), relation: "t".into(), columns: vec!["id".into()] };
        let to = Grantee::Role("reader".into());
        let changes = vec![
            Change::SetSchema { object, to: "b".into() },
            Change::Grant { privileges: Privilege::Select.into(), on, to },
        ];
        let base = f.case().snapshot;
        let plan = of_changes(&base, changes).unwrap();
        assert_eq!(plan.ground, Ground::of(&base, plan.ground.keys().cloned()));
        let column = Key::Column { schema: "b".into(), relation: "t".into(), column: "id".into() };
        assert_eq!(plan.ground.0.get(&column), Some(&None));
        assert!(matches!(plan.predicted.0.get(&column), Some(Some(_))));
    }

    #[test]
    fn who_takes_back_what_it_granted_may_look_the_object_up() {
        let f = Fixture::new().role("app").role("a51").role("b").schema("s51", "app").table("s51", "t", "app");
        let f = f.grant_with_option("s51.t", "a51", "SELECT").grant_by("s51.t", "b", "SELECT", Some("a51"), false);
        let base = f.case().snapshot;
        let revoke = Change::Revoke {
            privileges: Privilege::Select.into(),
            on: On::Objects { kind: crate::domain::ObjectKind::Table, schema: "s51".into(), names: vec!["t".into()] },
            from: Grantee::Role("b".into()),
            option_only: false,
            grantor: Some("a51".into()),
        };
        let why = Draft::new(&base).apply(&revoke).unwrap_err().to_string();
        assert!(why.contains("a51 has no USAGE on schema s51"), "{why}");
        let plan = of_changes(&base, [revoke]).unwrap();
        let sql: Vec<&str> = plan.statements().collect();
        let [lent, role, taken, reset, back] = sql[..] else { panic!("{sql:#?}") };
        assert_eq!((lent, back), ("GRANT USAGE ON SCHEMA s51 TO a51;", "REVOKE USAGE ON SCHEMA s51 FROM a51;"));
        assert_eq!((role, reset), ("SET ROLE a51;", "RESET ROLE;"));
        assert_eq!(taken, "REVOKE SELECT ON TABLE s51.t FROM b;");
        // And the way back, which grants as the same role, does the same.
        let done = predict(&base, plan.steps.iter().map(|s| &s.change)).unwrap();
        let way = super::back(&done, &plan).unwrap();
        let sql: Vec<&str> = way.statements().collect();
        assert!(sql.contains(&"GRANT USAGE ON SCHEMA s51 TO a51;") && sql.contains(&"SET ROLE a51;"), "{sql:#?}");
    }

    #[test]
    fn what_was_refused_is_tried_again_once_the_rest_is_settled() {
        let f = Fixture::new().role("app").group("a").group("b").member("a", "b").schema("s", "app");
        let f = f.grant_schema("s", "a", "USAGE");
        let f = f.policy(
            "undeclared='revoke'\n[[service]]\nname='s'\nschema='s'\nrole='app'\nversion_table=false\n\
             [[role]]\nname='a'\nmember_of=['b']\nlogin=false\naccess={s=['usage']}\n[[role]]\nname='b'\nlogin=false\n",
        );
        let case = f.case();
        let judged = Judgement::new(Arc::new(case.snapshot), case.policy.map(Arc::new), case.lineages, None);
        let plan = converge(&judged, &[]);
        assert_eq!(plan.left, []);
        let sql: Vec<&str> = plan.statements().collect();
        let place =
            |text: &str| sql.iter().position(|s| s.starts_with(text)).unwrap_or_else(|| panic!("{text}: {sql:#?}"));
        assert!(place("REVOKE a FROM b") < place("GRANT b TO a"), "{sql:#?}");
        let done = predict(&judged.snapshot, plan.steps.iter().map(|s| &s.change)).unwrap();
        let way = super::back(&done, &plan).unwrap();
        let sql: Vec<&str> = way.statements().collect();
        let place =
            |text: &str| sql.iter().position(|s| s.starts_with(text)).unwrap_or_else(|| panic!("{text}: {sql:#?}"));
        assert!(place("REVOKE b FROM a") < place("GRANT a TO b"), "the way back as well: {sql:#?}");
        let again = Judgement::new(Arc::new(done), judged.policy.clone(), Arc::clone(&judged.lineages), None);
        assert!(converge(&again, &[]).is_empty());
    }

    #[test]
    fn all_tables_are_those_that_were_there() {
        let f = Fixture::new().role("app").role("nn").schema("s16", "app").table("s16", "t", "app");
        let later = f.clone().table("s16", "payroll2", "app").case().snapshot;
        let base = f.case().snapshot;
        let grant = |on: On| Change::Grant { privileges: Privilege::Select.into(), on, to: Grantee::Role("nn".into()) };
        let kind = crate::domain::ObjectKind::Table;
        let plan = of_changes(&base, [grant(On::AllIn { kind, schema: "s16".into() })]).unwrap();
        let moved = plan.ground.moved(&Ground::of(&later, plan.ground.keys().cloned()));
        let said: Vec<String> = moved.iter().map(ToString::to_string).collect();
        assert_eq!(said, ["the list of all tables of s16 has changed"]);
        // What comes after COMMIT stands in nobody's way.
        let names = vec!["t".to_owned()];
        let done = predict(&later, [&grant(On::Objects { kind, schema: "s16".into(), names })]).unwrap();
        let way = super::back(&done, &plan).unwrap();
        assert_eq!(way.statements().collect::<Vec<_>>(), ["REVOKE SELECT ON TABLE s16.t FROM nn;"]);
        assert!(way.notes.iter().all(|n| n.kind != HazardKind::NoWayBack), "{:?}", way.notes);
    }

    #[test]
    fn what_only_names_can_settle_asks_for_the_names() {
        let f = Fixture::new()
            .role("app")
            .role("a")
            .role("b")
            .schema("s", "app")
            .table("s", "t", "app")
            .grant_schema("s", "a", "USAGE")
            .grant_schema("s", "b", "USAGE")
            .grant_with_option("s.t", "a", "SELECT")
            .grant_by("s.t", "b", "SELECT", Some("a"), false)
            .policy("undeclared='revoke'\n[[service]]\nname='s'\nschema='s'\nrole='app'\n");
        let judged = |f: Fixture| {
            let case = f.case();
            Judgement::new(Arc::new(case.snapshot), case.policy.map(Arc::new), case.lineages, None)
        };
        let unread = judged(f.clone().without_names());
        assert!(unread.findings.iter().any(|f| f.code == "undeclared-access"), "{:?}", unread.findings);
        assert!(schemas_of_fixes(&unread.findings).contains("s"));
        let plan = converge(&judged(f), &[]);
        let sql: Vec<&str> = plan.statements().collect();
        let place =
            |text: &str| sql.iter().position(|s| s.contains(text)).unwrap_or_else(|| panic!("{text}: {sql:#?}"));
        assert!(place("SET ROLE a;") < place("REVOKE USAGE ON SCHEMA s FROM a;"), "{sql:#?}");
    }
}
