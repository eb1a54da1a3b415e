//! Tables and services that move, on a real server: what was shown is committed, what stays goes on working, and all of it
//! comes back.

use std::sync::Arc;

use pgmoat::{
    domain::{
        alembic::Lineages,
        change::{Change, ObjectRef},
        dependencies::Dependencies,
        snapshot::Kind,
    },
    plan::{
        Plan, build,
        moves::{Proposal, isolate, versions},
    },
    server::{
        Reader,
        apply::{ApplyOptions, Outcome},
    },
};

use crate::{
    apply::{Case, case, run, snapshot},
    read::runtime,
    support::cluster::connect,
};

async fn dependencies(case: &Case, schema: &str) -> Dependencies {
    let now = snapshot(&case.target).await;
    let mut reader = Reader::open(&case.target, "test").await.unwrap();
    let oid = now.catalog.schema_named(schema).unwrap().oid;
    reader.dependencies(now.server.version_num, oid).await.unwrap()
}

async fn isolated(case: &Case, wanted: &isolate::Wanted) -> Proposal {
    let dependencies = dependencies(case, &wanted.from).await;
    let now = Arc::new(snapshot(&case.target).await);
    isolate::plan(&now, &dependencies, None, &Arc::new(Lineages::default()), wanted).unwrap()
}

/// `texts` as an owned list.
fn list(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|t| (*t).to_owned()).collect()
}

async fn committed(case: &Case, plan: &Plan) {
    let outcome = run(&case.target, plan, &ApplyOptions::default()).await;
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?} {:#?}", plan.statements().collect::<Vec<_>>());
}

async fn taken_back(case: &Case, plan: &Plan) {
    let back = build::back(&snapshot(&case.target).await, plan).unwrap();
    committed(case, &back).await;
}

#[test]
fn an_extension_that_got_a_schema_of_its_own_comes_back_and_the_schema_goes() {
    runtime().block_on(async {
        let case = case(
            "moves_extension",
            "create extension citext schema public; create role moves_extension_old;
             create table public.word (w public.citext); create index on public.word (w);
             create function public.shout(public.citext) returns text language sql as 'select upper($1::text)';
             alter table public.word owner to moves_extension_old",
        )
        .await;
        let wanted = isolate::Wanted {
            from: "public".into(),
            schema: "words".into(),
            role: "moves_extension_new".into(),
            tables: list(&["word", "shout*"]),
            extensions_schema: Some("extensions".into()),
            ..isolate::Wanted::default()
        };
        let plan = isolated(&case, &wanted).await.plan;
        committed(&case, &plan).await;
        let place = "select 1 from pg_proc where oid = 'words.shout(extensions.citext)'::regprocedure";
        case.client.execute(place, &[]).await.unwrap();
        taken_back(&case, &plan).await;
        let place = "select 1 from pg_proc where oid = 'public.shout(public.citext)'::regprocedure";
        case.client.execute(place, &[]).await.unwrap();
        let left = "select 1 from pg_namespace where nspname in ('extensions', 'words')";
        assert_eq!(case.client.execute(left, &[]).await.unwrap(), 0);
    });
}

#[test]
fn a_version_table_that_gets_its_services_name_comes_back_under_its_own() {
    runtime().block_on(async {
        let case = case(
            "moves_renamed",
            "create role moves_renamed_app; alter role moves_renamed_app set search_path = shop;
             create schema shop authorization moves_renamed_app;
             create table public.alembic_version_shop (version_num varchar(32) not null constraint
               alembic_version_shop_pkc primary key);
             insert into public.alembic_version_shop values ('s1');
             create table public.alembic_version (version_num varchar(32) not null constraint alembic_version_pkc primary key);
             insert into public.alembic_version values ('other');
             grant select (version_num) on public.alembic_version_shop to moves_renamed_app;
             comment on table public.alembic_version_shop is 'kept'",
        )
        .await;
        let policy = "name='p'\n[[service]]\nname='shop'\nschema='shop'\nrole='moves_renamed_app'\n";
        let policy = pgmoat::policy::file::parse(policy, std::path::Path::new("p.toml")).unwrap();
        let wanted = versions::Wanted {
            from: "public".into(),
            table: Some("alembic_version_shop".into()),
            to: "shop".into(),
            ..versions::Wanted::default()
        };
        let now = snapshot(&case.target).await;
        let plan = versions::plan(&now, Some(&policy), &Lineages::default(), &wanted).unwrap().plan;
        committed(&case, &plan).await;
        let stands = |place: &'static str, owner: &'static str| {
            let client = &case.client;
            async move {
                let question = format!(
                    "select pg_get_userbyid(c.relowner)::text = '{owner}' and obj_description(c.oid) = 'kept'
                       and exists (select from pg_constraint where conrelid = c.oid and conname = 'alembic_version_shop_pkc')
                     from pg_class c where c.oid = to_regclass('{place}')"
                );
                client.query_opt(&question, &[]).await.unwrap().map(|row| row.get::<_, bool>(0))
            }
        };
        assert_eq!(stands("shop.alembic_version", "moves_renamed_app").await, Some(true));
        assert_eq!(stands("public.alembic_version_shop", "postgres").await, None);
        taken_back(&case, &plan).await;
        assert_eq!(stands("public.alembic_version_shop", "postgres").await, Some(true));
        assert_eq!(stands("shop.alembic_version", "moves_renamed_app").await, None);
    });
}

#[test]
fn an_event_trigger_is_named_before_and_runs_at_the_statements_it_was_named_for() {
    runtime().block_on(async {
        let case = case(
            "moves_event",
            "create role moves_event_app; create schema shop authorization moves_event_app; create table public.t ();
             create table public.seen (tag text);
             create function public.look() returns event_trigger language plpgsql as
               'begin insert into public.seen values (tg_tag); end';
             create event trigger looks on ddl_command_end when tag in ('ALTER TABLE') execute function public.look();
             create event trigger sleeps on ddl_command_end execute function public.look();
             alter event trigger sleeps disable",
        )
        .await;
        let now = snapshot(&case.target).await;
        let object = ObjectRef { kind: Kind::Table, schema: "public".into(), name: "t".into() };
        let changes = [
            Change::SetSchema { object, to: "shop".into() },
            Change::SetSchemaOwner { schema: "shop".into(), owner: "postgres".into() },
        ];
        let plan = build::of_changes(&now, changes).unwrap();
        let named: Vec<&str> =
            plan.notes.iter().map(|n| n.sentence.as_str()).filter(|n| n.starts_with("Event trigger")).collect();
        assert!(
            matches!(named[..], [one] if one.starts_with("Event trigger looks of postgres runs public.look() at 1 statement")),
            "{named:?}"
        );
        committed(&case, &plan).await;
        let seen = case.client.query("select tag from public.seen", &[]).await.unwrap();
        assert_eq!(seen.iter().map(|r| r.get::<_, String>(0)).collect::<Vec<_>>(), ["ALTER TABLE"]);
    });
}

/// Runs SQL as this role; what it says when it is refused.
async fn as_role(case: &Case, role: &str, sql: &str) -> Result<(), String> {
    let client = connect(case.cluster.cluster(), role, &case.database).await;
    let done = client.batch_execute(sql).await;
    done.map_err(|e| e.as_db_error().map_or_else(|| e.to_string(), |e| e.message().to_owned()))
}

#[test]
fn what_stays_behind_goes_on_working_and_grants_of_grantees_are_taken() {
    runtime().block_on(async {
        let case = case(
            "moves_stays",
            "create extension pg_trgm schema public;
             create role moves_stays_old login; create role moves_stays_web login;
             create role moves_stays_zz login; create role moves_stays_bb login;
             create table public.flow (id int, word text);
             create index on public.flow using gin (word public.gin_trgm_ops);
             create view public.flow_v as select id, word from public.flow;
             alter table public.flow owner to moves_stays_old; alter view public.flow_v owner to moves_stays_old;
             grant select, insert on public.flow_v to moves_stays_web;
             grant select on public.flow to moves_stays_zz with grant option;
             set role moves_stays_zz; grant select on public.flow to moves_stays_bb; reset role",
        )
        .await;
        let wanted = isolate::Wanted {
            from: "public".into(),
            schema: "langflow".into(),
            role: "moves_stays_new".into(),
            tables: list(&["flow", "!flow_v"]),
            keep_readers: list(&["moves_stays_zz", "!moves_stays_bb"]),
            extensions_schema: Some("extensions".into()),
            ..isolate::Wanted::default()
        };
        let proposal = isolated(&case, &wanted).await;
        assert_eq!(proposal.questions, []);
        committed(&case, &proposal.plan).await;
        as_role(&case, "moves_stays_web", "insert into public.flow_v values (1, 'a')").await.unwrap();
        as_role(&case, "moves_stays_zz", "select * from langflow.flow").await.unwrap();
        as_role(&case, "moves_stays_bb", "select * from langflow.flow").await.unwrap_err();
        as_role(&case, "moves_stays_old", "select extensions.similarity('a', 'b')").await.unwrap();
        let path = "set search_path = public, extensions; select similarity('a', 'b')";
        as_role(&case, "moves_stays_old", path).await.unwrap();
        taken_back(&case, &proposal.plan).await;
        as_role(&case, "moves_stays_bb", "select * from public.flow").await.unwrap();
        as_role(&case, "moves_stays_web", "select similarity('a', 'b')").await.unwrap();
    });
}
