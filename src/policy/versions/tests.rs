//! Version tables on made-up databases: their class, their rows, and what each application will say.

use super::*;
use crate::{
    domain::alembic::tests::{lineage, lineages},
    policy::checks::fixture::Fixture,
};

const SERVICES: &str = "[[service]]\nname='engarde'\nschema='public'\nrole='engarde_user'\n\
                        [[service]]\nname='langflow'\nschema='langflow'\nrole='langflow_app'\n";

/// engarde in public, langflow in its own schema; both have tables, and nobody's path is set.
fn pathless() -> Fixture {
    let mut f = Fixture::new()
        .role("engarde_user")
        .role("langflow_app")
        .schema("langflow", "langflow_app")
        .table("public", "campaigns", "engarde_user")
        .table("langflow", "flow", "langflow_app")
        .policy(SERVICES);
    f.lineages = lineages([
        lineage("engarde", &["e1", "e2 < e1", "e3 < e1"]),
        lineage("langflow", &["l1", "l2 < l1", "l3 < l2"]),
    ]);
    f
}
fn path(f: Fixture, role: &str, value: &str) -> Fixture {
    f.setting(Some(role), true, "search_path", value)
}
fn fleet() -> Fixture {
    path(path(pathless(), "engarde_user", "public"), "langflow_app", "langflow")
}
/// Everything on the first version table, to a role.
fn shared(mut f: Fixture, with: &str) -> Fixture {
    let name = format!("{}.{}", "public", f.versions[0].name);
    f = f.grant(&name, with, "SELECT, INSERT, UPDATE, DELETE");
    f.versions[0].acl = f.objects.iter().find(|(_, o)| o.oid == f.versions[0].oid).unwrap().1.acl.clone();
    f
}
fn all(f: &Fixture) -> Vec<VersionInfo> {
    f.clone().case().versions.0
}
fn classes(f: &Fixture) -> Vec<Class> {
    all(f).iter().map(|v| v.class).collect()
}
fn only(f: &Fixture) -> VersionInfo {
    let mut all = all(f);
    assert_eq!(all.len(), 1);
    all.remove(0)
}
const V: &str = "alembic_version";

#[test]
fn in_order_everything_is_own_and_says_so() {
    let f = fleet().version_table("public", V, "engarde_user", Some(&["e2", "e3"])).version_table(
        "langflow",
        V,
        "langflow_app",
        Some(&["l2"]),
    );
    let all = all(&f);
    assert_eq!(all.iter().map(|v| v.class).collect::<Vec<_>>(), vec![Class::Own, Class::Own]);
    assert_eq!(all[0].rows.iter().map(|r| &r.place).collect::<Vec<_>>(), vec![&Place::Head, &Place::Head]);
    assert_eq!(all[1].rows[0].place, Place::Behind(1));
    assert_eq!(all[0].next_start, vec!["engarde: has nothing to migrate"]);
    assert_eq!(all[1].next_start, vec!["langflow: will run 1 revision up to l3"]);
    assert_eq!(all[1].resolved_by, vec!["langflow_app"]);
}

#[test]
fn a_table_in_its_place_that_its_service_does_not_find_is_said_to_be_missed() {
    let f = pathless().version_table("langflow", V, "langflow_app", Some(&["l2"]));
    let v = only(&f);
    assert_eq!((v.class, v.missed), (Class::Own, true));
    assert!(v.next_start[0].starts_with("langflow: finds no version table by the search path $user, public, unless"));
    let both = f.clone().version_table("public", V, "engarde_user", Some(&["e3"]));
    let told = &all(&both).into_iter().find(|v| v.service.as_deref() == Some("langflow")).unwrap().next_start[0];
    assert!(told.contains("finds public.alembic_version"), "{told}");
    let found = only(&path(f, "langflow_app", "langflow"));
    assert_eq!((found.missed, found.next_start.len()), (false, 1));
}

#[test]
fn two_lineages_in_one_table_are_shared_and_both_will_refuse() {
    let f = path(pathless(), "langflow_app", "langflow, public");
    let f = shared(f.version_table("public", V, "engarde_user", Some(&["e2", "e3", "l1"])), "langflow_app");
    let v = only(&f);
    assert_eq!((v.class, v.service.as_deref()), (Class::Shared, Some("engarde")));
    assert_eq!(v.rows[2].settled(), Some("langflow"));
    assert_eq!(v.rows[2].place, Place::Behind(2));
    assert_eq!(v.claimed_by, vec!["engarde", "langflow"]);
    assert_eq!(
        v.next_start,
        vec![
            "engarde: Can't locate revision identified by 'l1'",
            "langflow: Can't locate revision identified by 'e2'",
            "langflow: newer releases then try to drop it: must be owner of table alembic_version",
        ]
    );
}

#[test]
fn without_scripts_several_rows_and_several_users_are_evidence_of_sharing() {
    let f = path(pathless(), "langflow_app", "langflow, public");
    let mut f = shared(f.version_table("public", V, "engarde_user", Some(&["aa", "bb"])), "langflow_app");
    f.lineages = Lineages::default();
    assert_eq!(classes(&f), vec![Class::Shared]);
    // one row is not enough, nor a second user with rows of its own
    f.versions[0].rows = VersionRows::Known(vec!["aa".into()]);
    assert_eq!(classes(&f), vec![Class::Own]);
    f.versions[0].rows = VersionRows::Known(vec!["aa".into(), "bb".into()]);
    let f = f.version_table("langflow", V, "langflow_app", Some(&["cc"]));
    assert_eq!(classes(&f), vec![Class::Own, Class::Own], "two heads of one lineage are legitimate");
}

#[test]
fn a_table_that_nobody_looks_at_any_more_is_not_another_applications() {
    const TWO: &str = "[[service]]\nname='orders'\nschema='orders'\nrole='orders_app'\n\
                       [[service]]\nname='billing'\nschema='billing'\nrole='billing_app'\n";
    let mut f = Fixture::new()
        .role("orders_app")
        .role("billing_app")
        .schema("orders", "orders_app")
        .schema("billing", "billing_app")
        .table("public", "orders", "orders_app")
        .table("public", "invoices", "billing_app")
        .version_table("public", V, "orders_app", Some(&["aa", "bb"]))
        .version_table("orders", V, "orders_app", Some(&[]))
        .policy(TWO);
    for (role, own) in [("orders_app", "orders"), ("billing_app", "billing")] {
        f = path(f, role, own);
    }
    assert_eq!(classes(&f), vec![Class::Shared, Class::EmptyInUse]);
    let case = f.clone().case();
    let found = case.only("version-table-shared");
    assert!(found.message.starts_with("orders and billing keep"), "{}", found.message);
    let empty = case.only("version-table-empty");
    assert!(empty.remedy.contains("among those of public.alembic_version (aa and bb)"), "{}", empty.remedy);
    let all: Vec<String> = all(&f).into_iter().flat_map(|v| v.next_start).collect();
    assert!(all.iter().any(|s| s.contains("makes its tables a second time")), "{all:?}");
    f.versions[0].rows = VersionRows::Known(vec!["aa".into()]);
    assert_eq!(classes(&f)[0], Class::Ambiguous);
}

#[test]
fn who_was_cut_off_keeps_its_revision_where_it_was_whatever_is_declared() {
    const TWO: &str = "[[service]]\nname='orders'\nschema='public'\nrole='orders_app'\n\
                       [[service]]\nname='billing'\nschema='billing'\nrole='billing_app'\nversion_table=false\n";
    let f = Fixture::new()
        .role("orders_app")
        .role("billing_app")
        .schema("billing", "billing_app")
        .table("public", "orders", "orders_app")
        .table("public", "invoices", "billing_app")
        .version_table("public", V, "orders_app", Some(&["aa", "bb"]))
        .policy(TWO);
    let f = path(path(f, "orders_app", "public"), "billing_app", "billing");
    assert_eq!(classes(&f), vec![Class::Own], "two heads of one: billing could not write it");
    let f = shared(f, "billing_app");
    assert_eq!(classes(&f), vec![Class::Shared]);
    assert_eq!(only(&f).shared_by, vec!["orders", "billing"]);
    // without a policy likewise
    let mut bare = f.clone();
    bare.policy = None;
    assert_eq!(only(&bare).shared_by, vec!["orders_app", "billing_app"]);
    // with tables of its own schema alone it has nothing to do with it, nor with a revision of its own
    let mut moved = f.clone().table("billing", "bills", "billing_app");
    moved.objects.retain(|(_, o)| o.name != "invoices");
    assert_eq!(classes(&moved), vec![Class::Own]);
    let own = f.version_table("billing", "versions", "billing_app", Some(&["cc"]));
    assert_eq!(classes(&own)[0], Class::Own);
}

#[test]
fn an_empty_version_table_says_what_its_service_will_meet() {
    let said = |f: &Fixture| only(f).next_start.remove(0);
    let f = Fixture::new()
        .role("app")
        .role("other")
        .schema("shop", "app")
        .version_table("shop", V, "app", Some(&[]))
        .policy("[[service]]\nname='shop'\nschema='shop'\nrole='app'\n");
    let f = path(f, "app", "shop, public");
    assert!(said(&f).ends_with("starts from its first revision and creates its tables"), "{}", said(&f));
    let here = f.clone().table("shop", "orders", "app").table("public", "orders", "app");
    assert!(said(&here).ends_with("it will find that its tables already exist"), "{}", said(&here));
    let behind = f.clone().table("public", "orders", "app");
    assert!(said(&behind).ends_with("goes to shop, before its tables in public"), "{}", said(&behind));
    // a neighbour's tables on the path, and the server's own, are not what it has
    let unseen = path(f, "app", "shop").table("public", "orders", "app").table("pg_catalog", "pg_class", "postgres");
    assert!(said(&unseen).contains("makes its tables a second time: those it has are in public, where"));
    let beside = path(unseen.schema("lent", "app"), "app", "lent, shop").table("lent", "others", "other");
    assert!(said(&beside).contains("makes its tables a second time"), "{}", said(&beside));
}

#[test]
fn without_a_policy_the_catalog_alone_is_asked() {
    let mut f = pathless().version_table("public", V, "engarde_user", Some(&["aa", "bb"]));
    f.policy = None;
    f.lineages = Lineages::default();
    assert_eq!(classes(&f), vec![Class::Unknown], "two heads, or two applications: nobody knows");
    let mut one = f.clone();
    one.versions[0].rows = VersionRows::Known(vec!["aa".into()]);
    assert_eq!(classes(&one), vec![Class::Own]);
    f = shared(f, "langflow_app");
    assert_eq!(classes(&f), vec![Class::Shared]);
    assert_eq!(only(&f).shared_by, vec!["engarde_user", "langflow_app"]);
    let own = f.clone().version_table("langflow", V, "langflow_app", Some(&["cc"]));
    assert_eq!(classes(&own)[0], Class::Unknown, "who keeps a revision of its own shares nobody's");
    f.versions[0].rows = VersionRows::Known(vec![]);
    assert_eq!(classes(&f), vec![Class::EmptyInUse]);
}

#[test]
fn a_revision_in_the_wrong_place_is_misplaced() {
    let v = only(&fleet().version_table("public", V, "engarde_user", Some(&["l3"])));
    assert_eq!((v.class, v.service.as_deref()), (Class::Misplaced, Some("langflow")));
    assert_eq!(v.next_start, vec!["engarde: Can't locate revision identified by 'l3'"]);
    // no declared place, one service resolves to it, no scripts
    let mut f = path(pathless().schema("old", "langflow_app"), "langflow_app", "old");
    f.lineages = Lineages::default();
    let v = only(&f.version_table("old", V, "langflow_app", Some(&["aa"])));
    assert_eq!((v.class, v.service.as_deref()), (Class::Misplaced, Some("langflow")));
    // under another name
    let v = only(&fleet().version_table("public", "alembic_version_langflow", "langflow_app", Some(&["l3"])));
    assert_eq!((v.class, v.service.as_deref()), (Class::Misplaced, Some("langflow")));
}

#[test]
fn copies_are_listed_as_copies() {
    let mut f = fleet()
        .version_table("public", V, "engarde_user", Some(&["e2", "e3"]))
        .version_table("public", "alembic_version_bak", "engarde_user", Some(&["e1"]))
        .version_table("public", "alembic_version_20261102", "engarde_user", Some(&["zz"]))
        .schema("attic", "engarde_user")
        .version_table("attic", V, "engarde_user", Some(&["e2"]));
    f.versions[2].primary_key = false;
    assert_eq!(classes(&f), vec![Class::Own, Class::Copy, Class::Copy, Class::Copy]);
    assert!(!copy_name("alembic_version_auth") && !copy_name("golden_version") && copy_name("Alembic_Version_OLD"));
    assert!(copy_name("v_2026_11_02") && !copy_name("alembic_version_2"));
}

#[test]
fn empty_is_lost_or_new_by_what_stands_beside() {
    let mut f = fleet().version_table("langflow", V, "langflow_app", Some(&[]));
    let script = f.lineages.0.get_mut("langflow").unwrap().scripts.get_mut("l1").unwrap();
    script.creates = vec!["flow".into()];
    let v = only(&f);
    assert_eq!((v.class, v.service.as_deref()), (Class::EmptyInUse, Some("langflow")));
    assert!(v.next_start[0].ends_with("relation \"flow\" already exists"), "{:?}", v.next_start);
    f.objects.retain(|(_, o)| o.name != "flow");
    assert_eq!(only(&f).class, Class::EmptyBase);
    // its tables stand somewhere else, but they are its own
    assert_eq!(only(&f.table("public", "vertex", "langflow_app")).class, Class::EmptyInUse);
}

#[test]
fn an_id_of_two_projects_is_settled_by_tables_or_left_open() {
    let mut f = fleet().version_table("public", V, "engarde_user", Some(&["aa"]));
    f.lineages = lineages([lineage("engarde", &["aa"]), lineage("langflow", &["aa", "l2 < aa"])]);
    for (service, table) in [("engarde", "campaigns"), ("langflow", "vertex")] {
        let script = f.lineages.0.get_mut(service).unwrap().scripts.get_mut("aa").unwrap();
        script.creates = vec![table.into()];
    }
    let blind = only(&f.clone().without_names());
    assert_eq!(blind.class, Class::Ambiguous, "names of tables are not known");
    assert_eq!(blind.rows[0].place, Place::Ambiguous);
    assert_eq!((only(&f).class, only(&f).service.as_deref()), (Class::Own, Some("engarde")));
    let f = f.table("langflow", "vertex", "langflow_app");
    assert_eq!(only(&f).class, Class::Ambiguous, "both have their tables");
    let f = f.version_table("langflow", V, "langflow_app", Some(&["l2"]));
    assert_eq!(classes(&f), vec![Class::Own, Class::Own], "langflow keeps its revision in its own place");
}

#[test]
fn what_is_not_alembics_or_not_readable_is_said() {
    let mut f = fleet().version_table("public", V, "engarde_user", Some(&["e2"]));
    f.versions[0].plain = false;
    assert_eq!(only(&f).class, Class::Foreign);
    assert!(only(&f).rows.is_empty() && only(&f).next_start.is_empty());
    f.versions[0].plain = true;
    f.versions[0].rows = VersionRows::Denied;
    let v = only(&f);
    assert_eq!((v.class, v.service.as_deref()), (Class::Unknown, Some("engarde")));
    assert!(v.reason.contains("may not read"), "{}", v.reason);
    f.versions[0].rows = VersionRows::Known(vec!["zz".into()]);
    assert_eq!((only(&f).class, &only(&f).rows[0].place), (Class::Unknown, &Place::Unknown));
    let f = f.schema("other", "postgres").version_table("other", V, "postgres", Some(&["yy"]));
    assert_eq!(classes(&f)[1], Class::Foreign);
}
