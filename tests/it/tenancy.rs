//! The audit trail, row level security by tenant and the isolation test on real servers: set up by the commands, tried as
//! the services' own logins, set up a second time, taken back.

use std::sync::Arc;

use pgmoat::{
    demo::cluster::SUPERUSER,
    domain::{qualified, quote_ident, snapshot::Snapshot},
};
use serde_json::Value;
use tokio_postgres::{Client, error::SqlState};

use crate::{
    apply::{Case, case_on, snapshot},
    cli::{Moat, Ran},
    read::runtime,
    support::{
        cluster::{self, connect, shared},
        terminal::acts,
    },
};

/// The majors that these tests run on: the oldest of the documents' fleet, and the newest.
fn majors() -> Vec<u32> {
    let here = cluster::majors();
    let mut majors: Vec<u32> = [15, 18].into_iter().filter(|m| here.contains(m)).collect();
    if majors.is_empty() {
        majors.push(cluster::newest());
    }
    majors
}

/// A database with two services of its own roles, and the program to run on it.
struct Fleet {
    case: Case,
    moat: Moat,
    url: String,
    shop: String,
    stock: String,
    monitor: String,
}

impl Fleet {
    /// Schemas `shop` and `stock`, a login of its own for each, and one that only looks. `stem` must be unique.
    async fn new(major: u32, stem: &str, more: &str) -> Fleet {
        let [shop, stock, monitor] = ["shop", "stock", "monitor"].map(|who| format!("{stem}_{who}"));
        let sql = format!(
            "create role {shop} login; create role {stock} login; create role {monitor} login;
             create schema shop authorization {shop}; create schema stock authorization {stock};
             create table stock.items (id int, note text); alter table stock.items owner to {stock};
             create table shop.orders (id int); alter table shop.orders owner to {shop};
             {more}"
        );
        let sql = sql.replace("@shop", &shop).replace("@stock", &stock).replace("@monitor", &monitor);
        let case = case_on(major, stem, &sql).await;
        let url = case.cluster.cluster().url(SUPERUSER, &case.database);
        Fleet { case, moat: Moat::new(), url, shop, stock, monitor }
    }

    /// The command on the target; its other words follow.
    fn run(&self, command: &str, words: &[&str]) -> Ran {
        let all: Vec<&str> = [command, &self.url].into_iter().chain(words.iter().copied()).collect();
        self.moat.run(&all)
    }

    async fn as_role(&self, role: &str) -> Client {
        connect(self.case.cluster.cluster(), role, &self.case.database).await
    }

    async fn look(&self) -> Picture {
        Picture::of(&snapshot(&self.case.target).await)
    }

    fn entries(&self) -> usize {
        self.moat.run(&["journal", "--format", "json"]).exits(0).json()["entries"].as_array().unwrap().len()
    }
}

/// What a snapshot shows by names, without counters and what the server numbers anew.
#[derive(Debug, PartialEq)]
struct Picture {
    schemas: Vec<(String, String)>,
    objects: Vec<String>,
    policies: Vec<String>,
    expressions: Vec<String>,
    triggers: Vec<String>,
}

impl Picture {
    fn of(snapshot: &Snapshot) -> Picture {
        let catalog = &snapshot.catalog;
        let shapes: &Arc<_> = snapshot.shapes.as_ref().unwrap();
        let ours: Vec<_> = catalog.schemas.iter().filter(|s| !s.is_system()).collect();
        let mut objects = Vec::new();
        for (schema, list) in &snapshot.objects.0 {
            let schema = catalog.schema_name(*schema);
            objects.extend(list.all().map(|o| {
                let owner = catalog.role_name(o.owner);
                format!("{schema}.{} {:?} {owner} {:?} {} {}", o.name, o.kind, o.acl, o.rls, o.force_rls)
            }));
        }
        objects.sort();
        let triggers = &shapes.trails.triggers;
        Picture {
            schemas: ours.iter().map(|s| (s.name.clone(), format!("{:?}", s.acl))).collect(),
            objects,
            policies: catalog.policies.iter().map(|p| format!("{p:?}")).collect(),
            expressions: shapes.policy_expressions.iter().map(|p| format!("{p:?}")).collect(),
            triggers: triggers.iter().map(|t| format!("{t:?}")).collect(),
        }
    }
}

async fn count(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn texts(client: &Client, sql: &str) -> Vec<Option<String>> {
    client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[track_caller]
fn denied(result: Result<(), tokio_postgres::Error>) {
    let error = result.expect_err("that is not to be let through");
    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{error:?}");
}

#[test]
fn the_trail_is_appended_to_by_services_and_changed_by_nobody() {
    runtime().block_on(async {
        for major in majors() {
            let more = "grant usage on schema stock to @shop; grant select, insert, update on stock.items to @shop;
                 grant truncate on stock.items to @shop;
                 alter default privileges grant all on tables to @shop; alter default privileges grant all on tables to @monitor";
            let fleet = Fleet::new(major, &format!("trail{major}"), more).await;
            let before = fleet.look().await;
            let (shop, monitor) = (fleet.shop.clone(), fleet.monitor.clone());
            let words = ["--tables", "stock.*", "--append", &shop, "--read", &monitor];
            let rehearsed = fleet.run("setup-audit", &[&words[..], &["--rehearse"]].concat()).exits(0);
            assert!(rehearsed.out.contains("Rehearsed"), "{}", rehearsed.out);
            assert_eq!(fleet.look().await, before, "a rehearsal leaves nothing");
            let ran = fleet.run("setup-audit", &[&words[..], &["--yes"]].concat()).exits(0);
            for said in ["PostgreSQL has no trigger", "REVOKE EXECUTE", "SECURITY DEFINER SET search_path", "is refused as a whole"] {
                assert!(ran.out.contains(said), "{said} is not in {}", ran.out);
            }
            let entries = fleet.entries();
            let again = fleet.run("setup-audit", &[&words[..], &["--yes"]].concat()).exits(0);
            assert_eq!(fleet.entries(), entries, "a second time there is nothing to do: {}", again.out);

            // Taken back while it is empty, and done again.
            fleet.run("undo", &["--yes"]).exits(0);
            assert_eq!(fleet.look().await, before);
            fleet.run("redo", &["--yes"]).exits(0);

            let (as_shop, as_stock) = (fleet.as_role(&fleet.shop).await, fleet.as_role(&fleet.stock).await);
            as_stock.batch_execute("insert into stock.items values (1, 'own')").await.unwrap();
            let admin = &fleet.case.client;
            assert_eq!(count(admin, "select count(*) from audit.cross_schema_access").await, 0, "at home");
            let tenant = "11111111-2222-4333-8444-555555555555";
            as_shop.batch_execute(&format!("set app.current_tenant_id = '{tenant}'")).await.unwrap();
            as_shop.batch_execute("insert into stock.items values (2, 'from shop')").await.unwrap();
            as_shop.batch_execute("set app.current_tenant_id = 'no uuid'").await.unwrap();
            as_shop.batch_execute("update stock.items set note = 'x' where false").await.unwrap();
            as_shop.batch_execute("truncate stock.items").await.unwrap();
            let log = texts(
                admin,
                "select concat_ws('|', source_schema, target_schema, user_role, query, tenant_id) \
                 from audit.cross_schema_access order by id",
            )
            .await;
            let log: Vec<&str> = log.iter().flatten().map(String::as_str).collect();
            let first = format!("shop|stock|{shop}|insert into stock.items values (2, 'from shop')|{tenant}");
            let rest = [
                format!("shop|stock|{shop}|update stock.items set note = 'x' where false"),
                format!("shop|stock|{shop}|truncate stock.items"),
            ];
            assert_eq!(log, [&first, &rest[0], &rest[1]]);

            // Append-only, whatever the default privileges give away.
            as_shop.batch_execute("insert into audit.cross_schema_access (query) values ('by hand')").await.unwrap();
            for sql in [
                "update audit.cross_schema_access set query = ''",
                "delete from audit.cross_schema_access",
                "truncate audit.cross_schema_access",
                "create trigger t before insert on audit.cross_schema_access execute function audit.log_write_from_elsewhere()",
            ] {
                denied(as_shop.batch_execute(sql).await);
            }
            let as_monitor = fleet.as_role(&fleet.monitor).await;
            assert_eq!(count(&as_monitor, "select count(*) from audit.cross_schema_access").await, 4);
            denied(as_monitor.batch_execute("truncate audit.cross_schema_access").await);
            denied(as_stock.batch_execute("select 1 from audit.cross_schema_access").await);
            // Nobody makes the trail's function log something else.
            as_stock.batch_execute("create table stock.own ()").await.unwrap();
            let forged = "create trigger t after insert on stock.own execute function audit.log_write_from_elsewhere()";
            denied(as_stock.batch_execute(forged).await);

            // What is written down is not thrown away.
            let kept = fleet.run("undo", &["--yes"]).exits(4);
            assert!(kept.out.contains("DO '") && !kept.err.contains("DO '"), "the plan shows the SQL, the refusal is words: {}", kept.err);
            kept.says(&["audit.cross_schema_access holds rows, or held some, and what was written is not taken back", "by hand"]);
            assert_eq!(count(admin, "select count(*) from audit.cross_schema_access").await, 4);

            // A path of the writer's own does not lead the function astray.
            as_shop
                .batch_execute(
                    "create function shop.left(text, int) returns text language sql as 'select ''forged'''; \
                     create table shop.pg_namespace (nspname text, nspowner oid); \
                     set search_path = shop, pg_catalog; insert into stock.items values (3, 'path')",
                )
                .await
                .unwrap();
            let last = "select query from audit.cross_schema_access where source_schema = 'shop' order by id desc limit 1";
            let last = texts(admin, last).await;
            assert!(last[0].as_ref().unwrap().contains("insert into stock.items"), "{last:?}");
        }
    });
}

#[test]
fn a_trail_of_another_shape_is_left_alone() {
    runtime().block_on(async {
        let more = "create schema audit; create table audit.cross_schema_access (id int);
             create schema other; create function other.log_write_from_elsewhere() returns trigger language plpgsql as 'begin return null; end'";
        let fleet = Fleet::new(cluster::newest(), "oddtrail", more).await;
        let before = fleet.look().await;
        let run = |words: &[&str]| fleet.run("setup-audit", &[&["--yes", "--tables", "shop.orders"][..], words].concat());
        run(&[]).exits(4).says(&["has no column timestamp"]);
        run(&["--schema", "other"]).exits(4).says(&["is there already and is not the one"]);
        run(&["--schema", "new", "--owner", "nobody_at_all"]).exits(4).says(&["there is no role nobody_at_all"]);
        fleet.run("setup-audit", &["--tables", "a.b.c"]).exits(2).says(&["could not read --tables"]);
        assert_eq!(fleet.look().await, before);
    });
}

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";

#[test]
fn each_tenant_sees_its_own_rows_and_nobody_sees_none() {
    runtime().block_on(async {
        for major in majors() {
            let more = format!(
                "create table shop.u (tenant_id uuid, n int); insert into shop.u values ('{A}', 1), ('{B}', 2), (null, 3);
                 create table shop.i (tenant_id bigint, n int); insert into shop.i values (1, 1), (2, 2);
                 create table shop.v (tenant_id varchar(40), n int); insert into shop.v values ('a', 1), ('b', 2), ('', 3);
                 create table shop.c (tenant_id char(3), n int); insert into shop.c values ('a', 1), ('b', 2);
                 alter table shop.u owner to @shop; alter table shop.i owner to @shop; alter table shop.v owner to @shop;
                 create index on shop.u (tenant_id);
                 grant usage on schema shop to @monitor; grant select, insert on all tables in schema shop to @monitor"
            );
            let fleet = Fleet::new(major, &format!("rls{major}"), &more).await;
            let before = fleet.look().await;
            let words = ["--tables", "shop.*", "!shop.orders"];
            let rehearsed = fleet.run("setup-rls", &[&words[..], &["--rehearse"]].concat()).exits(0);
            assert!(rehearsed.out.contains("Rehearsed"), "{}", rehearsed.out);
            assert_eq!(fleet.look().await, before);
            let ran = fleet.run("setup-rls", &[&words[..], &["--yes"]].concat()).exits(0);
            for said in ["no row while it is not set", "superuser", "security_invoker", &fleet.monitor, &fleet.shop] {
                assert!(ran.out.contains(said), "{said} is not in {}", ran.out);
            }
            let entries = fleet.entries();
            fleet.run("setup-rls", &[&words[..], &["--yes"]].concat()).exits(0);
            assert_eq!(fleet.entries(), entries, "a second time there is nothing to do");

            let (owner, reader) = (fleet.as_role(&fleet.shop).await, fleet.as_role(&fleet.monitor).await);
            for (table, a, b) in [("u", A, B), ("i", "1", "2"), ("v", "a", "b"), ("c", "a", "b")] {
                let rows = format!("select count(*) from shop.{table}");
                let mut who = vec![&reader];
                // shop.c belongs to a superuser, so that its owner is not bound
                who.extend((table != "c").then_some(&owner));
                for client in who {
                    client.batch_execute("reset app.current_tenant_id").await.unwrap();
                    assert_eq!(count(client, &rows).await, 0, "{table}: not set");
                    client.batch_execute("set app.current_tenant_id = ''").await.unwrap();
                    assert_eq!(count(client, &rows).await, 0, "{table}: empty");
                    for (tenant, other, n) in [(a, b, 1), (b, a, 2)] {
                        client.batch_execute(&format!("set app.current_tenant_id = '{tenant}'")).await.unwrap();
                        let seen = client.query(&format!("select n from shop.{table}"), &[]).await.unwrap();
                        assert_eq!(seen.iter().map(|r| r.get::<_, i32>(0)).collect::<Vec<_>>(), [n], "{table} {tenant}");
                        denied(client.batch_execute(&format!("insert into shop.{table} values ('{other}', 9)")).await);
                        client.batch_execute(&format!("begin; insert into shop.{table} values ('{tenant}', 9); rollback")).await.unwrap();
                    }
                }
            }
            // The column's own type is compared, so that its index serves.
            let policy = "select pg_get_expr(polqual, polrelid) from pg_policy where polrelid = 'shop.u'::regclass";
            let policy = texts(&fleet.case.client, policy).await;
            assert!(policy[0].as_ref().unwrap().starts_with("(tenant_id = ("), "{policy:?}");
            // A policy that somebody has rewritten since is not dropped with what was there before it.
            let alter = |using: &str| format!("alter policy tenant_isolation on shop.u using ({using}) with check ({using})");
            let client = &fleet.case.client;
            client.batch_execute(&alter("tenant_id is null")).await.unwrap();
            fleet.run("undo", &["--yes"]).exits(4).says(&["moved since", "policy tenant_isolation of shop.u"]);
            client.batch_execute(&alter(policy[0].as_ref().unwrap())).await.unwrap();
            fleet.run("undo", &["--yes"]).exits(0);
            assert_eq!(fleet.look().await, before);
            fleet.run("setup-rls", &["--tables", "shop.orders", "--yes"]).exits(4).says(&["shop.orders has no column tenant_id"]);
        }
    });
}

fn borders(json: &Value, role: &str, schema: &str) -> Value {
    let list = json["borders"].as_array().unwrap();
    list.iter().find(|b| b["role"] == role && b["schema"] == schema).unwrap().clone()
}

#[test]
fn borders_are_asked_for_and_tried() {
    runtime().block_on(async {
        for major in majors() {
            let stem = format!("iso{major}");
            let more = format!(
                "alter role @shop password 'shopkeeper';
                 alter role @stock password 'other';
                 grant usage on schema shop to @stock; grant select on shop.orders to @stock;
                 create table stock.t (tenant_id uuid); insert into stock.t values ('{A}'); alter table stock.t owner to @stock;
                 alter table stock.t enable row level security; alter table stock.t force row level security;
                 create policy p on stock.t using (tenant_id = nullif(current_setting('app.current_tenant_id', true), '')::uuid)"
            );
            let fleet = Fleet::new(major, &stem, &more).await;
            // A trap that would go off if a stranger's table were read instead of only locked.
            let as_shop = fleet.as_role(&fleet.shop).await;
            as_shop
                .batch_execute(
                    "create table shop.trace (who text);
                     create function shop.spring() returns void language plpgsql as 'begin insert into shop.trace values (current_user); end';
                     create function shop.trap(int) returns bool immutable language plpgsql as 'begin perform shop.spring(); return true; end';
                     create index on shop.orders (id) where shop.trap(1);
                     truncate shop.trace",
                )
                .await
                .unwrap();
            let (shop, stock) = (&fleet.shop, &fleet.stock);
            let policy = fleet.moat.file(
                "p.toml",
                &format!(
                    "undeclared='ignore'\n[[service]]\nname='shop'\nschema='shop'\nrole='{shop}'\nversion_table=false\n\
                     [[service]]\nname='stock'\nschema='stock'\nrole='{stock}'\nversion_table=false\ntenant_column='tenant_id'\n\
                     access={{shop=['read']}}\n"
                ),
            );
            let run = |words: &[&str]| fleet.run("isolation-test", &[&["--policy", &policy][..], words].concat());
            // `stock` may read shop.orders; the other two tables there are not given to it.
            let ran = run(&["--format", "json"]);
            let json = ran.json();
            let of = borders(&json, stock, "shop");
            assert_eq!(of["verdict"], "less", "{json:#}");
            assert_eq!((&of["tables"]["select"], &of["tables"]["total"]), (&1.into(), &2.into()));
            assert_eq!(of["known_by"], serde_json::json!(["catalog", "asked", "tried"]));
            assert_eq!((&of["tried"]["let_in"], &of["tried"]["let_write"]), (&1.into(), &0.into()));
            assert_eq!(of["tried"]["unknown"], 0);
            assert_eq!(borders(&json, shop, "stock")["verdict"], "closed");
            assert_eq!(borders(&json, shop, "stock")["tried"]["let_in"], 0);
            let contradictions = json["borders"].as_array().unwrap().iter().map(|b| b["contradictions"].as_array().unwrap().len());
            assert_eq!(contradictions.sum::<usize>(), 0, "{json:#}");
            assert_eq!(count(&fleet.case.client, "select count(*) from shop.trace").await, 0, "no trap went off");
            let tenants = json["tenants"].as_array().unwrap();
            assert_eq!(tenants.len(), 1);
            assert_eq!((&tenants[0]["rows_without_tenant"], &tenants[0]["rows_of_a_stranger"]), (&"none".into(), &"none".into()));
            assert_eq!((&tenants[0]["filled"], &tenants[0]["leaks"], &tenants[0]["bound"]), (&true.into(), &false.into(), &true.into()));
            assert_eq!((ran.code, &json["breaches"]), (0, &0.into()), "{json:#}");
            assert!(run(&[]).exits(0).out.contains("Isolated"));

            // More than is declared, by a grant to everybody or to one.
            let admin = &fleet.case.client;
            admin.batch_execute("grant insert on shop.trace to public").await.unwrap();
            let json = run(&["--format", "json"]).exits(1).json();
            let of = borders(&json, stock, "shop");
            assert_eq!(of["through_public"][0], "INSERT on 1 of 2 tables", "{json:#}");
            // From 16 on whoever may add rows may lock as a reader does, too.
            let let_in = if major >= 16 { 2 } else { 1 };
            assert_eq!((&of["tried"]["let_in"], &of["tried"]["let_write"]), (&let_in.into(), &1.into()));
            assert_eq!(of["contradictions"].as_array().unwrap().len(), 0, "{json:#}");
            admin.batch_execute("revoke insert on shop.trace from public").await.unwrap();
            admin.batch_execute(&format!("grant usage on schema stock to {shop}; grant delete on stock.items to {shop}")).await.unwrap();
            let ran = run(&[]).exits(1);
            assert!(ran.out.contains("more than declared") && ran.out.contains("DELETE on 1 of 2 tables"), "{}", ran.out);
            run(&["--role", stock]).exits(0);
            run(&["--role", "nobody_at_all"]).exits(2).says(&["could not find the role nobody_at_all"]);
            admin.batch_execute(&format!("revoke all on schema stock from {shop}; revoke all on stock.items from {shop}")).await.unwrap();

            // A policy that lets others through is seen by a login, too.
            admin.batch_execute("create policy open on stock.t using (true)").await.unwrap();
            let json = run(&["--format", "json"]).exits(1).json();
            assert_eq!((&json["tenants"][0]["leaks"], &json["tenants"][0]["rows_without_tenant"]), (&true.into(), &"some".into()));
            admin.batch_execute("drop policy open on stock.t").await.unwrap();

            // Where the server wants a password, only those that are at hand are used.
            let place = fleet.moat.file(".pgpass", &format!("*:*:*:{shop}:shopkeeper\n"));
            std::fs::set_permissions(place, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            let url = fleet.case.cluster.cluster().tcp_url(SUPERUSER, &fleet.case.database);
            let ran = fleet.moat.run(&["isolation-test", &url, "--policy", &policy, "--format", "json"]).exits(0);
            let json = ran.json();
            let login = |role: &String| json["logins"].as_array().unwrap().iter().find(|l| l["role"] == **role).unwrap().clone();
            assert_eq!(login(shop)["tried"], true, "{json:#}");
            assert_eq!(login(stock)["tried"], false);
            assert!(login(stock)["reason"].as_str().unwrap().contains("none is at hand"), "{json:#}");
            let json = run(&["--format", "json", "--no-login"]).json();
            assert!(json["logins"].as_array().unwrap().iter().all(|l| l["reason"] == "--no-login"));
            assert_eq!(borders(&json, stock, "shop")["known_by"], serde_json::json!(["catalog", "asked"]));
        }
    });
}

/// Row level security of the role's own table may call what others wrote: such a table is not read, and named.
#[test]
fn what_a_policy_would_run_is_left_alone() {
    runtime().block_on(async {
        for major in majors() {
            let stem = format!("runs{major}");
            let more = format!(
                "create schema lib;
                 create function lib.mark(uuid) returns bool language plpgsql security definer as $f$
                 begin
                   execute format('copy (select 1) to %L', current_setting('data_directory') || '/{stem}.marker');
                   return true;
                 end $f$;
                 grant usage on schema lib to public;
                 create table stock.t (tenant_id uuid); insert into stock.t values ('{A}'); alter table stock.t owner to @stock;
                 alter table stock.t enable row level security; alter table stock.t force row level security;
                 create policy p on stock.t using (lib.mark(tenant_id));
                 create table stock.plain (tenant_id uuid); insert into stock.plain values ('{A}'); alter table stock.plain owner to @stock;
                 alter table stock.plain enable row level security; alter table stock.plain force row level security;
                 create policy p on stock.plain using (tenant_id = nullif(current_setting('app.current_tenant_id', true), '')::uuid);
                 grant select on stock.items to @shop; grant usage on schema stock to @shop"
            );
            let fleet = Fleet::new(major, &stem, &more).await;
            let (shop, stock) = (&fleet.shop, &fleet.stock);
            let policy = fleet.moat.file(
                "p.toml",
                &format!(
                    "[[service]]\nname='shop'\nschema='shop'\nrole='{shop}'\nversion_table=false\n\
                     [[role]]\nname='{stock}'\naccess={{shop=['read']}}\n"
                ),
            );
            let marked = format!("select count(*) from pg_ls_dir(current_setting('data_directory')) f where f = '{stem}.marker'");
            // A schema that the policy does not name: what is reached there is said.
            let test = |words: &[&str]| fleet.run("isolation-test", words);
            let ran = test(&["--policy", &policy, "--role", shop]).exits(1);
            let told = "more than declared: USAGE on the schema and SELECT on 1 of 3 tables; the policy gives it nothing there";
            assert!(ran.out.contains(told), "{}", ran.out);
            // Without a policy what the role owns is its own.
            let ran = test(&["--role", stock]);
            assert!(ran.out.contains("left out of what was tried") && ran.out.contains("function lib.mark(uuid)"), "{}", ran.out);
            let json = test(&["--role", stock, "--format", "json"]).json();
            assert_eq!(count(&fleet.case.client, &marked).await, 0, "the planted function ran");
            let table = |name: &str| json["tenants"].as_array().unwrap().iter().find(|t| t["table"] == name).unwrap().clone();
            assert_eq!(table("t")["left_out_for"], serde_json::json!(["function lib.mark(uuid)"]), "{json:#}");
            assert_eq!((&table("t")["rows_without_tenant"], &table("t")["leaks"]), (&Value::Null, &false.into()));
            assert_eq!(table("plain")["rows_without_tenant"], "none");
            assert_eq!(table("plain")["left_out_for"], serde_json::json!([]));
            // The trap is one: the role itself sets it off.
            let own = fleet.as_role(stock).await;
            assert_eq!(count(&own, "select count(*) from stock.t").await, 1);
            assert_eq!(count(&fleet.case.client, &marked).await, 1);
        }
    });
}

/// Names that mean ill, as schema, table, column and role, through all three commands.
#[test]
fn hostile_names_go_through_all_three_commands() {
    runtime().block_on(async {
        let names = [
            "a\"b\nc'$audit$$x$ \\ .* ;--".to_owned(),
            "\u{1b}[2J\u{202e}%s or \"x\"".to_owned(),
            "é".repeat(31) + "x",
        ];
        let cluster = shared(cluster::newest()).unwrap();
        for (i, name) in names.iter().enumerate() {
            let database = cluster.database("ill").await;
            let admin = connect(cluster.cluster(), SUPERUSER, &database).await;
            let (role, q) = (format!("{i}{}", name.chars().take(if i == 2 { 30 } else { 60 }).collect::<String>()), quote_ident(name));
            let r = quote_ident(&role);
            let table = qualified(name, name);
            admin
                .batch_execute(&format!(
                    "create role {r} login; create schema {q} authorization {r}; create table {table} ({q} uuid);
                     alter table {table} owner to {r}; insert into {table} values ('{A}');
                     create schema home; create table home.t (id int); grant usage on schema home to {r}; grant insert on home.t to {r}"
                ))
                .await
                .unwrap();
            let target = cluster::conninfo(cluster.cluster(), SUPERUSER, &database);
            let before = Picture::of(&snapshot(&target).await);
            let (moat, url) = (Moat::new(), cluster.cluster().url(SUPERUSER, &database));
            let exact = format!("{}.{}", twice(name), twice(name));
            let trail: String = std::iter::once('t').chain(name.chars().take(20)).collect();
            let audit = ["setup-audit", &url, "--schema", &trail, "--tables", &exact, "home.*", "--append", &role, "--yes"];
            let rls = ["setup-rls", &url, "--tables", &exact, "--column", name, "--yes"];
            let mut ran = vec![moat.run(&audit).exits(0), moat.run(&rls).exits(0)];
            let entries = || moat.run(&["journal", "--format", "json"]).json()["entries"].as_array().unwrap().len();
            assert_eq!(entries(), 2);
            ran.extend([moat.run(&audit).exits(0), moat.run(&rls).exits(0)]);
            assert_eq!(entries(), 2, "a second time there is nothing to do");
            ran.push(moat.run(&["isolation-test", &url, "--role", &role]).exits(0));
            let json = moat.run(&["isolation-test", &url, "--role", &role, "--format", "json"]).exits(0);
            assert_eq!(json.json()["borders"].as_array().unwrap().iter().filter(|b| b["tried"].is_object()).count(), 2);
            // Tried as the role: bound, and logged where it is not at home.
            let own = connect(cluster.cluster(), &role, &database).await;
            assert_eq!(count(&own, &format!("select count(*) from {table}")).await, 0);
            own.batch_execute(&format!("set app.current_tenant_id = '{A}'")).await.unwrap();
            assert_eq!(count(&own, &format!("select count(*) from {table}")).await, 1);
            ran.push(moat.run(&["undo", &url, "--yes"]).exits(0));
            assert_eq!(count(&admin, &format!("select count(*) from {}", qualified(&trail, "cross_schema_access"))).await, 0);
            ran.push(moat.run(&["undo", &url, "--yes"]).exits(0));
            assert_eq!(Picture::of(&snapshot(&target).await), before);
            moat.run(&["redo", &url, "--yes"]).exits(0);
            own.batch_execute("insert into home.t values (1)").await.unwrap();
            let who = texts(&admin, &format!("select user_role from {}", qualified(&trail, "cross_schema_access"))).await;
            assert_eq!(who, [Some(role.clone())]);
            for ran in ran.iter().chain([&json]) {
                assert!(ran.out.chars().all(|c| c == '\n' || !acts(c)), "{:?}", ran.out);
            }
            drop(own);
            admin.batch_execute(&format!("drop owned by {r} cascade; drop role {r}")).await.unwrap();
        }
    });
}

/// In double quotes, as `--tables` takes it.
fn twice(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
