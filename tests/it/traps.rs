//! Traps that a role without any privilege of the cluster can lay for a superuser who looks: views, partial indexes,
//! policies, functions and operators that shadow the catalog's. Every read is made as a superuser in a database that
//! is full of them; none may fire. Each trap is first shown to work against a careless look.

use std::path::Path;

use pgmoat::{
    domain::change::Change,
    plan::build,
    server::{
        Reader, SizesWanted, Want,
        apply::{ApplyOptions, Outcome, Reason},
    },
};
use tokio_postgres::Client;

use crate::{
    apply::{Beside, case_on, snapshot},
    read::{runtime, target},
    support::cluster::{self, connect},
};

/// Laid by mallory, who owns the database and nothing else. Firing leaves a mark that a read-only transaction cannot
/// take back, and tries to make mallory a superuser.
pub const TRAPS: &str = r#"
create schema evil;
create function evil.vol() returns void language plpgsql as $$ begin
  raise log 'TRAP FIRED for %', current_user;
  begin execute 'copy (select 1) to program ''touch {mark}'''; exception when others then null; end;
  begin execute 'alter role trap_mallory superuser'; exception when others then null; end;
end $$;
create function evil.imm(anyelement) returns boolean immutable language plpgsql as $$ begin perform evil.vol(); return true; end $$;

create table evil.alembic_version (version_num varchar(32) primary key);
insert into evil.alembic_version values ('e1');
create index on evil.alembic_version (version_num) where evil.imm(1);
alter table evil.alembic_version add constraint c check (evil.imm(1)) not valid;
create schema evil2;
create table evil2.shaped (version_num text default (evil.imm(1))::text);
insert into evil2.shaped values ('e2');
create index on evil2.shaped ((evil.imm(version_num)));
create statistics evil2.st on (evil.imm(version_num)), version_num from evil2.shaped;
create schema evil3;
create view evil3.alembic_version as select 'e3'::varchar(32) as version_num where evil.imm(1);
create schema evil4;
create table evil4.alembic_version (version_num varchar(32), tenant_id int);
create schema evil5;
create table evil5.alembic_version (version_num varchar(32));
insert into evil5.alembic_version values ('e5');
alter table evil5.alembic_version enable row level security;
alter table evil5.alembic_version force row level security;
create policy p on evil5.alembic_version using (evil.imm(1)) with check (evil.imm(version_num));
create schema evil6;
create domain evil6.revision as varchar(32) check (evil.imm(value));
create table evil6.alembic_version (version_num evil6.revision);
create schema evil7;
create table evil7.t (id int, tenant_id int) partition by list (evil.imm(id));
create materialized view evil7.alembic_version as select 'e7'::varchar(32) as version_num;
create schema evil8;
create table evil8.alembic_version (version_num varchar(32));
create rule r as on insert to evil8.alembic_version do also select evil.imm(1);
create function evil8.definer() returns int language sql security definer as 'select 1';

create schema shadow;
create function shadow.lower(name) returns text language plpgsql as $$ begin perform evil.vol(); return 'x'; end $$;
create function shadow.lower(text) returns text language plpgsql as $$ begin perform evil.vol(); return 'x'; end $$;
create function shadow.cat(name, name) returns text language plpgsql as $$ begin perform evil.vol(); return 'x'; end $$;
create function shadow.cat(text, text) returns text language plpgsql as $$ begin perform evil.vol(); return 'x'; end $$;
create operator shadow.|| (leftarg = name, rightarg = name, function = shadow.cat);
create operator shadow.|| (leftarg = text, rightarg = text, function = shadow.cat);
create function shadow.eq(name, name) returns boolean language plpgsql as $$ begin perform evil.vol(); return true; end $$;
create function shadow.eq(oid, oid) returns boolean language plpgsql as $$ begin perform evil.vol(); return true; end $$;
create function shadow.eq("char", "char") returns boolean language plpgsql as $$ begin perform evil.vol(); return true; end $$;
create function shadow.match(name, text) returns boolean language plpgsql as $$ begin perform evil.vol(); return true; end $$;
create operator shadow.= (leftarg = name, rightarg = name, function = shadow.eq);
create operator shadow.= (leftarg = oid, rightarg = oid, function = shadow.eq);
create operator shadow.<> (leftarg = "char", rightarg = "char", function = shadow.eq);
create operator shadow.= (leftarg = "char", rightarg = "char", function = shadow.eq);
create operator shadow.!~ (leftarg = name, rightarg = text, function = shadow.match);
create function shadow.count() returns int language plpgsql as $$ begin perform evil.vol(); return 1; end $$;
create function shadow.current_setting(text) returns text language plpgsql as $$ begin perform evil.vol(); return '150000'; end $$;
create function shadow.current_setting(text, boolean) returns text language plpgsql as $$ begin perform evil.vol(); return '1'; end $$;
create function shadow.pg_backend_pid() returns int language plpgsql as $$ begin perform evil.vol(); return 1; end $$;
create function shadow.pg_is_in_recovery() returns boolean language plpgsql as $$ begin perform evil.vol(); return false; end $$;
create function shadow.aclexplode(aclitem[]) returns table (grantor oid, grantee oid, privilege_type text, is_grantable boolean) language plpgsql as $$ begin perform evil.vol(); end $$;
create function shadow.quote_ident(name) returns text language plpgsql as $$ begin perform evil.vol(); return 'x'; end $$;
create function shadow.quote_ident(text) returns text language plpgsql as $$ begin perform evil.vol(); return 'x'; end $$;
create function shadow.pg_total_relation_size(oid) returns bigint language plpgsql as $$ begin perform evil.vol(); return 1; end $$;
create view shadow.pg_class as select *, evil.imm(1) as trap from pg_catalog.pg_class;
create view shadow.pg_roles as select *, evil.imm(1) as trap from pg_catalog.pg_roles;
create view shadow.pg_settings as select *, evil.imm(1) as trap from pg_catalog.pg_settings;
create view shadow.pg_stat_activity as select *, evil.imm(1) as trap from pg_catalog.pg_stat_activity;
grant usage on schema evil, evil2, evil3, evil4, evil5, evil6, evil7, evil8, shadow to public;
grant select on all tables in schema evil, evil2, evil3, evil5, evil6, evil7, evil8, shadow to public;
alter database {db} set search_path = shadow, pg_catalog, public;
"#;

pub fn fired(log: &Path) -> usize {
    let log = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&log).matches("TRAP FIRED for postgres").count()
}

pub async fn is_superuser(client: &Client) -> bool {
    client
        .query_one("select rolsuper from pg_catalog.pg_roles where rolname = 'trap_mallory'", &[])
        .await
        .unwrap()
        .get(0)
}

#[test]
fn no_read_of_a_superuser_springs_a_trap() {
    runtime().block_on(async {
        for major in cluster::majors() {
            let shared = cluster::shared(major).unwrap();
            let log = shared.cluster().log();
            let database = shared.database("traps").await;
            let setup = connect(shared.cluster(), "postgres", &database).await;
            let mark = shared.cluster().socket_dir().join("trap-fired");
            setup
                .batch_execute(&format!(
                    "create role trap_mallory login; alter database {database} owner to trap_mallory"
                ))
                .await
                .unwrap();
            let mallory = connect(shared.cluster(), "trap_mallory", &database).await;
            let traps = TRAPS.replace("{mark}", &mark.to_string_lossy()).replace("{db}", &database);
            mallory.batch_execute(&traps).await.unwrap_or_else(|e| panic!("{major}: {e:?}"));

            // Reads first: what the controls below set off must not be mistaken for them.
            let before = fired(&log);
            let mut reader = Reader::open(&target(&shared, "postgres", &database), "test").await.unwrap();
            assert_eq!(reader.facts().version_num / 10_000, major);
            reader.gate().await.unwrap();
            reader.activity().await.unwrap();
            let want = Want { sizes: SizesWanted::All, ..Want::everything(vec!["id".into()]) };
            let snapshot = reader.snapshot(&want).await.unwrap();
            assert_eq!(snapshot.unavailable, [], "{major}");
            let rows: Vec<_> = snapshot.versions.0.iter().filter_map(|t| t.rows.known()).flatten().collect();
            assert_eq!(rows, ["e1", "e2"], "the plain tables are read, traps and all");
            assert_eq!(fired(&log), before, "{major}: a read set off a trap");
            assert!(!mark.exists() && !is_superuser(&setup).await, "{major}");

            // The traps are sharp: each careless look sets one off.
            for careless in [
                "explain select version_num from evil.alembic_version",
                "select * from evil3.alembic_version",
                "set search_path = shadow, pg_catalog; select lower(nspname) from pg_catalog.pg_namespace limit 1",
                "set search_path = shadow, pg_catalog; select nspname || nspname from pg_catalog.pg_namespace limit 1",
                "set search_path = shadow, pg_catalog; select 1 from pg_catalog.pg_class where oid = 1::oid",
                "set search_path = shadow, pg_catalog; select current_setting('port')",
            ] {
                let before = fired(&log);
                // A session of its own, and a transaction that is taken back with what the trap achieved.
                let look = connect(shared.cluster(), "postgres", &database).await;
                let _ = look.batch_execute(&format!("begin; {careless}; rollback")).await;
                assert!(fired(&log) > before, "{major}: {careless} was meant to set off a trap");
            }
            setup.batch_execute("alter role trap_mallory nosuperuser").await.unwrap();
        }
    });
}

/// Version tables of somebody who owns nothing else. Each gets something that runs when a row changes.
const STIRRING: [(&str, &str); 5] = [
    (
        "trigger",
        "create trigger t before insert or delete on stir.alembic_version for each row execute function stir.spring()",
    ),
    ("rule", "create rule r as on delete to stir.alembic_version do also select stir.imm(1)"),
    ("check", "alter table stir.alembic_version add constraint c check (stir.imm(1))"),
    ("predicate", "create index on stir.alembic_version (version_num) where stir.imm(1)"),
    ("expression", "create index on stir.alembic_version ((stir.imm(1)), version_num)"),
];

/// A table that waits for a superuser to change its rows is refused when that is planned, and again under the locks when
/// the trap was laid in between: nothing its owner wrote ever runs with the rights of whoever moves rows.
#[test]
fn no_change_of_version_rows_runs_what_their_owner_wrote() {
    runtime().block_on(async {
        for major in cluster::majors() {
            let mallory = format!("trap_stirrer_{major}");
            let case = case_on(major, "traps_stir", &format!("create role {mallory}; create schema stir authorization {mallory}")).await;
            let is_superuser = || async {
                let sql = format!("select rolsuper from pg_catalog.pg_roles where rolname = '{mallory}'");
                case.client.query_one(&sql, &[]).await.unwrap().get::<_, bool>(0)
            };
            let changes = |rows: &[&str]| {
                let (schema, table) = ("stir".to_owned(), "alembic_version".to_owned());
                let rows: Vec<String> = rows.iter().map(|r| (*r).to_owned()).collect();
                vec![
                    Change::InsertVersionRows { schema: schema.clone(), table: table.clone(), rows: vec!["new".into()] },
                    Change::DeleteVersionRows { schema, table, rows },
                ]
            };
            for (name, sharp) in STIRRING {
                let raises = format!("begin execute 'alter role {mallory} superuser'; return");
                let laid = format!(
                    "set role {mallory}; drop schema stir cascade; reset role; create schema stir authorization {mallory};
                     set role {mallory};
                     create function stir.imm(anyelement) returns boolean immutable language sql as 'select true';
                     create function stir.vol() returns boolean language plpgsql as $$ {raises} true; end $$;
                     create function stir.spring() returns trigger language plpgsql as $$ {raises} coalesce(new, old); end $$;
                     create table stir.alembic_version (version_num varchar(32) not null primary key);
                     insert into stir.alembic_version values ('s1'); reset role"
                );
                case.client.batch_execute(&laid).await.unwrap_or_else(|e| panic!("{major} {name}: {e:?}"));
                // planned before the trap is laid
                let early = build::of_changes(&snapshot(&case.target).await, changes(&["s1"])).unwrap();
                // laid while it is blunt: who lays it may not do yet what it will do
                let laid = format!(
                    "set role {mallory}; {sharp}; create or replace function stir.imm(anyelement) returns boolean immutable
                     language plpgsql as $$ begin return stir.vol(); end $$; reset role"
                );
                case.client.batch_execute(&laid).await.unwrap_or_else(|e| panic!("{major} {name}: {e:?}"));
                let refused = build::of_changes(&snapshot(&case.target).await, changes(&["s1"])).unwrap_err();
                assert!(refused.to_string().contains("would run what somebody wrote"), "{major} {name}: {refused}");
                let outcome = pgmoat::server::apply::apply(
                    &case.target,
                    &early.approve(),
                    &ApplyOptions::default(),
                    &mut Beside::default(),
                )
                .await;
                let Outcome::NothingChanged(Reason::Refused(why)) = &outcome else {
                    panic!("{major} {name}: {outcome:?}");
                };
                assert!(why.contains("would run what somebody wrote"), "{major} {name}: {why}");
                assert!(!is_superuser().await, "{major} {name}");
                // the trap is sharp: the statement alone would have sprung it
                let careless = "begin; insert into stir.alembic_version values ('s2'); delete from stir.alembic_version";
                case.client.batch_execute(careless).await.unwrap_or_else(|e| panic!("{major} {name}: {e:?}"));
                assert!(is_superuser().await, "{major} {name} was meant to be a trap");
                case.client.batch_execute("rollback").await.unwrap();
            }
        }
    });
}
