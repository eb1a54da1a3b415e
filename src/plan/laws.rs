//! The laws that hold for every plan, over random databases: *settled* (planning on what a plan promises is empty),
//! *invert* (a plan and the plan that takes it back leave the rights as they were), and that undoing twice changes nothing.
//! *faithful*, which needs servers, is tested in `tests/it`.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Plan, audit, build, choice::Choice, predict::predict, undo};
use crate::{
    domain::snapshot::Snapshot,
    policy::{
        checks::{arbitrary, fixture::Fixture},
        judgement::Judgement,
    },
};

/// What the random databases are led to.
pub const POLICY: &str = r#"
    undeclared = "revoke"
    [[service]]
    name = "langflow"
    schema = "langflow"
    role = "langflow_app"
    version_table = false
    connection_limit = 10
    access = { public = ["read", "append"] }
    [[service]]
    name = "odd"
    schema = "odd schema"
    role = "worker"
    owner = "app"
    version_table = false
    [[role]]
    name = "reader"
    access = { langflow = ["read"], "odd schema" = ["write"] }
    member_of = ["g_ro"]
    login = true
    [[role]]
    name = "g_ro"
    access = { langflow = ["usage"] }
    [[schema]]
    name = "public"
    owner = "app"
    [database]
    public_connect = false
"#;

fn judged(mut f: Fixture) -> Judgement {
    if f.server.version_num < 160_000 {
        // Before 16 it is the member that inherits or not.
        for m in &mut f.catalog.memberships {
            m.inherit = f.catalog.roles.iter().any(|r| r.oid == m.member && r.inherit);
        }
    }
    let case = f.policy(POLICY).case();
    Judgement::new(Arc::new(case.snapshot), case.policy.map(Arc::new), case.lineages, None)
}

fn after(base: &Snapshot, plan: &Plan) -> Snapshot {
    predict(base, plan.steps.iter().map(|step| &step.change)).unwrap()
}

fn again(j: &Judgement, snapshot: Snapshot) -> Judgement {
    Judgement::new(Arc::new(snapshot), j.policy.clone(), Arc::clone(&j.lineages), None)
}

fn versions() -> impl Strategy<Value = u32> {
    prop::sample::select(vec![150_020, 160_014, 180_004])
}

proptest! {
    #![proptest_config(arbitrary::cases())]

    #[test]
    fn planning_on_what_a_plan_promises_is_empty(f in arbitrary::databases(), version in versions()) {
        let j = judged(f.version(version));
        let plan = build::converge(&j, &[]);
        prop_assert!(plan.left.is_empty(), "left alone: {:?}", plan.left);
        let settled = again(&j, after(&j.snapshot, &plan));
        let open: Vec<&str> = settled.findings.iter().filter(|f| f.fix.is_some()).map(|f| f.id.as_str()).collect();
        prop_assert!(open.is_empty(), "still there: {open:?} after {:#?}", plan.statements().collect::<Vec<_>>());
        let next = build::converge(&settled, &[]);
        prop_assert!(next.is_empty());
    }

    #[test]
    fn what_a_plan_did_is_taken_back(f in arbitrary::databases(), version in versions()) {
        let j = judged(f.version(version));
        let plan = build::converge(&j, &[]);
        for step in &plan.steps {
            prop_assert!(step.undo.is_some(), "no way back from {:?}", step.sql);
        }
        let done = after(&j.snapshot, &plan);
        let back = build::back(&done, &plan).unwrap();
        let notes: Vec<_> = back.notes.iter().filter(|n| n.kind == super::HazardKind::NoWayBack).collect();
        let restored = super::Ground::of(&after(&done, &back), plan.ground.keys().cloned());
        prop_assert!(notes.is_empty(), "{notes:?} {:?}", plan.ground.moved(&restored));
        for moved in plan.ground.moved(&restored) {
            let same = match (&moved.was, &moved.is) {
                (Some(was), Some(is)) => undo::means_the_same(was, is, &moved.key, version),
                _ => false,
            };
            prop_assert!(same, "{moved:?}");
        }
        // and once more forward
        let restored = after(&done, &back);
        let forward = build::again(&restored, &plan).unwrap();
        prop_assert_eq!(forward.predicted.moved(&plan.predicted), vec![]);
    }

    #[test]
    fn a_trail_is_set_up_once_and_taken_back(f in arbitrary::databases(), version in versions()) {
        let j = judged(f.version(version));
        let tables = Choice::parse(&["*".to_owned()]).unwrap();
        let (append, read) = (vec!["app".to_owned()], vec!["reader".to_owned()]);
        let wanted = audit::Wanted { schema: Some("a trail".to_owned()), owner: None, tables, append, read };
        let made = audit::plan(&j.snapshot, None, &wanted);
        prop_assume!(made.is_ok());
        let plan = made.unwrap();
        prop_assert!(plan.steps.iter().all(|step| step.undo.is_some()));
        let done = Arc::new(after(&j.snapshot, &plan));
        let again = audit::plan(&done, None, &wanted).unwrap();
        prop_assert!(again.is_empty(), "{:#?}", again.statements().collect::<Vec<_>>());
        let back = build::back(&done, &plan).unwrap();
        let restored = after(&done, &back);
        let ground = super::Ground::of(&restored, plan.ground.keys().cloned());
        for moved in plan.ground.moved(&ground) {
            let same = match (&moved.was, &moved.is) {
                (Some(was), Some(is)) => undo::means_the_same(was, is, &moved.key, version),
                _ => false,
            };
            prop_assert!(same, "{moved:?}");
        }
        let forward = build::again(&restored, &plan).unwrap();
        prop_assert_eq!(forward.predicted.moved(&plan.predicted), vec![]);
    }

    #[test]
    fn what_stands_otherwise_is_not_overwritten(f in arbitrary::databases()) {
        let j = judged(f);
        let plan = build::converge(&j, &[]);
        prop_assume!(!plan.is_empty());
        // Nothing was done: there is nothing that could be taken back.
        let refused = build::back(&j.snapshot, &plan);
        prop_assert!(matches!(refused, Err(build::Stale::Moved(_))), "{refused:?}");
    }
}
