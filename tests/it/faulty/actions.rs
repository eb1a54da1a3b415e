//! The actions that are broken again and again: one of every kind, each with what brings the state before it back.

use std::sync::Arc;

use pgmoat::{
    config::Conninfo,
    domain::{
        ObjectKind, Privilege,
        alembic::Lineages,
        change::{Change, Grantee, ObjectRef, On, RoleAttributes},
        dependencies::Dependencies,
        snapshot::{DefaultKind, Kind, Snapshot},
    },
    plan::{Plan, audit, choice::Choice, moves, setup, tenancy},
    server::{ObjectsWanted, Reader, Want},
};

pub const SET_UP: &str = "a service is set up";
pub const RIGHTS: &str = "rights change";
pub const MOVE: &str = "a table moves";
pub const PASSWORD: &str = "a password is set";
pub const REPLACED: &str = "a role is replaced";

/// What every trial finds as the old password.
pub const OLD_VERIFIER: &str = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$\
    WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTArmUqg2lcmVvXXRm9CLcqGWHZ5zHHU=";

/// How the plan of an action is made.
pub enum Make {
    Changes(Vec<Change>),
    Versions(moves::versions::Wanted),
    Isolate(moves::isolate::Wanted),
    Replace(String, String),
    Audit(audit::Wanted),
    Tenancy(tenancy::Wanted),
    /// Takes back another one, which is done before each trial.
    Undo(&'static str),
    /// Does another one again that was taken back.
    Redo(&'static str),
}

/// See the module.
pub struct Recipe {
    pub name: &'static str,
    /// An ordinary role that owns what it acts on can do it.
    pub ordinary: bool,
    pub make: Make,
    /// Brings back the state before, from before or after.
    pub reset: String,
    /// What it stands on is made anew before each trial, so the plan is, too.
    pub fresh: bool,
}

/// Everything that the actions stand on; the roles are named after the worker.
pub fn ground(n: &str, actor: Option<&str>) -> String {
    let mut sql = format!(
        "create role {n}_reader; create role {n}_owner; create role {n}_pw login; create role {n}_old login;
         alter role {n}_old set statement_timeout = '5s';
         create schema s; create table s.t (id int); create table s.u (id int); create sequence s.q;
         create schema a; create schema b; create table a.moved (id int);
         create schema va; create schema vb; create table va.alembic_version (version_num varchar(32) primary key);
         insert into va.alembic_version values ('v1'), ('v2');
         create schema wa; create schema wb; create table wa.alembic_version (version_num varchar(32) primary key);
         insert into wa.alembic_version values ('w1'), ('w2');
         create schema r authorization {n}_old; create table r.t (id int); alter table r.t owner to {n}_old;
         create schema i; create table i.beds (id serial primary key);
         create table i.plants (id serial primary key, bed int references i.beds);
         create table i.other (id int);
         grant select on i.plants to {n}_reader; grant usage on schema i to {n}_reader;
         create table i.alembic_version (version_num varchar(32) primary key);
         insert into i.alembic_version values ('g1'), ('o1');
         create schema au; create table au.t (id int);
         create schema te; create table te.t (id int, tenant_id text);"
    );
    for schema in ["va", "vb", "wa", "wb"] {
        sql.extend([format!("alter schema {schema} owner to {n}_owner;")]);
    }
    sql.extend([format!(
        "alter table va.alembic_version owner to {n}_owner; alter table wa.alembic_version owner to {n}_owner;"
    )]);
    if let Some(actor) = actor {
        sql.extend([format!(
            "alter role {actor} login createrole; grant {n}_pw to {actor} with admin option;
             grant create on database {n} to {actor};"
        )]);
        for schema in ["s", "a", "b", "i", "au", "te"] {
            sql.extend([format!("alter schema {schema} owner to {actor};")]);
        }
        for table in
            ["s.t", "s.u", "s.q", "a.moved", "i.beds", "i.plants", "i.other", "i.alembic_version", "au.t", "te.t"]
        {
            sql.extend([format!("alter table {table} owner to {actor};")]);
        }
    }
    sql
}

/// The actions, for a worker's roles and database; `owner` is who owns what nobody else does.
pub fn actions(n: &str, owner: &str, ordinary: bool, extension: Option<&str>) -> Vec<Recipe> {
    let to = || Grantee::Role(format!("{n}_reader"));
    let on = |kind, names: &[&str]| On::Objects {
        kind,
        schema: "s".into(),
        names: names.iter().map(|n| (*n).to_owned()).collect(),
    };
    let object = |schema: &str| ObjectRef { kind: Kind::Table, schema: schema.into(), name: "moved".into() };
    let choice = |word: &str| Choice::parse(&[word.to_owned()]).unwrap();
    let recipe = |name, ordinary, make, reset: String| Recipe { name, ordinary, make, reset, fresh: false };
    let attributes = RoleAttributes { login: Some(true), ..RoleAttributes::default() };
    let iso = if ordinary { owner.to_owned() } else { format!("{n}_iso") };
    let mut list = vec![
        recipe(
            SET_UP,
            false,
            Make::Changes(vec![
                Change::CreateRole { name: format!("{n}_new"), attributes },
                Change::CreateSchema { name: "made".into(), owner: format!("{n}_new") },
                Change::Grant { privileges: Privilege::Usage.into(), on: On::Schema("made".into()), to: to() },
                Change::DefaultPrivileges {
                    creator: format!("{n}_new"),
                    schema: Some("made".into()),
                    kind: DefaultKind::Tables,
                    privileges: Privilege::Select.into(),
                    grantee: to(),
                    grant: true,
                },
                Change::SetRoleSetting {
                    role: format!("{n}_new"),
                    database: Some(n.to_owned()),
                    name: "search_path".into(),
                    value: Some(vec!["made".into()]),
                },
            ]),
            format!(
                "do $$ begin if exists (select from pg_roles where rolname = '{n}_new') then
                   drop owned by {n}_new cascade; drop schema if exists made cascade; drop role {n}_new; end if; end $$"
            ),
        ),
        recipe(
            RIGHTS,
            true,
            Make::Changes(vec![
                Change::Grant { privileges: Privilege::Select.into(), on: on(ObjectKind::Table, &["t", "u"]), to: to() },
                Change::Grant { privileges: Privilege::Usage.into(), on: on(ObjectKind::Sequence, &["q"]), to: to() },
                Change::Revoke {
                    privileges: Privilege::Usage.into(),
                    on: On::Schema("s".into()),
                    from: Grantee::Public,
                    option_only: false,
                    grantor: None,
                },
            ]),
            format!(
                "grant usage on schema s to public; revoke all on s.t, s.u from {n}_reader; revoke all on s.q from {n}_reader"
            ),
        ),
        recipe(
            MOVE,
            true,
            Make::Changes(vec![
                Change::SetSchema { object: object("a"), to: "b".into() },
                Change::SetOwner { object: object("b"), owner: format!("{n}_owner") },
                Change::Grant {
                    privileges: Privilege::Select.into(),
                    on: On::Objects { kind: ObjectKind::Table, schema: "b".into(), names: vec!["moved".into()] },
                    to: to(),
                },
            ]),
            format!(
                "do $$ begin if to_regclass('b.moved') is not null then
                   revoke all on b.moved from {n}_reader; alter table b.moved owner to {owner}; alter table b.moved set schema a;
                 else grant select on a.moved to {n}_reader; revoke all on a.moved from {n}_reader; end if; end $$"
            ),
        ),
        recipe(
            "a version table moves",
            true,
            Make::Versions(moves::versions::Wanted {
                from: "va".into(),
                to: "vb".into(),
                ..moves::versions::Wanted::default()
            }),
            "do $$ begin if to_regclass('vb.alembic_version') is not null then
               alter table vb.alembic_version set schema va; end if; end $$"
                .to_owned(),
        ),
        recipe(
            "version rows are split",
            true,
            Make::Versions(moves::versions::Wanted {
                from: "wa".into(),
                to: "wb".into(),
                rows: vec!["w2".into()],
                ..moves::versions::Wanted::default()
            }),
            "drop table if exists wb.alembic_version; insert into wa.alembic_version values ('w2') on conflict do nothing"
                .to_owned(),
        ),
        recipe(
            PASSWORD,
            true,
            Make::Changes(vec![Change::SetPassword { role: format!("{n}_pw") }]),
            format!("alter role {n}_pw password '{OLD_VERIFIER}'"),
        ),
        recipe(
            REPLACED,
            false,
            Make::Replace(format!("{n}_old"), format!("{n}_heir")),
            format!(
                "do $$ begin if exists (select from pg_roles where rolname = '{n}_heir') then
                   reassign owned by {n}_heir to {n}_old; drop owned by {n}_heir cascade; drop role {n}_heir; end if; end $$"
            ),
        ),
        recipe(
            "a service is isolated",
            true,
            Make::Isolate(moves::isolate::Wanted {
                from: "i".into(),
                schema: "iso".into(),
                role: iso.clone(),
                service: Some("garden".into()),
                tables: vec!["plants".into(), "beds".into()],
                rows: vec!["g1".into()],
                ..moves::isolate::Wanted::default()
            }),
            format!(
                "do $$ begin if to_regclass('iso.plants') is not null then alter table iso.plants set schema i; end if;
                   if to_regclass('iso.beds') is not null then alter table iso.beds set schema i; end if;
                   if to_regclass('iso.other') is not null then alter table iso.other set schema i; end if;
                   alter table i.plants owner to {owner}; alter table i.beds owner to {owner};
                   drop schema if exists iso cascade;
                   insert into i.alembic_version values ('g1') on conflict do nothing;
                   if exists (select from pg_roles where rolname = '{n}_iso') then
                     drop owned by {n}_iso cascade; drop role {n}_iso; end if;
                   {} end $$",
                if ordinary {
                    format!("alter role {owner} in database {n} reset search_path; alter role {owner} connection limit -1;")
                } else {
                    String::new()
                }
            ),
        ),
        recipe(
            "an audit trail is set up",
            true,
            Make::Audit(audit::Wanted {
                owner: ordinary.then(|| owner.to_owned()),
                tables: choice("au.t"),
                ..audit::Wanted::default()
            }),
            "drop schema if exists audit cascade".to_owned(),
        ),
        recipe(
            "tenants are kept apart",
            true,
            Make::Tenancy(tenancy::Wanted { tables: choice("te.t"), column: None, setting: None, force: true }),
            "do $$ declare p text; begin
               for p in select policyname from pg_policies where schemaname = 'te' loop
                 execute format('drop policy %I on te.t', p); end loop;
               alter table te.t disable row level security; alter table te.t no force row level security; end $$"
                .to_owned(),
        ),
    ];
    if let Some(extension) = extension {
        let (extension, to) = (extension.to_owned(), "eb".to_owned());
        let reset = format!("alter extension {extension} set schema ea");
        list.push(recipe(
            "an extension moves",
            false,
            Make::Changes(vec![Change::SetExtensionSchema { extension, to }]),
            reset,
        ));
    }
    for (name, of, ordinary, fresh) in [
        ("a move is undone", MOVE, true, false),
        ("a set-up is undone", SET_UP, false, true),
        ("an isolation is undone", "a service is isolated", false, true),
    ] {
        list.push(Recipe { name, ordinary, make: Make::Undo(of), reset: String::new(), fresh });
    }
    let again = "rights change once more";
    list.push(Recipe { name: again, ordinary: true, make: Make::Redo(RIGHTS), reset: String::new(), fresh: false });
    list
}

/// Everything that a plan is made from.
pub async fn reading(here: &Conninfo, make: &Make) -> (Arc<Snapshot>, Dependencies) {
    let mut reader = Reader::open(here, "faults").await.unwrap();
    let want = Want { shapes: true, versions: true, objects: ObjectsWanted::All, ..Want::default() };
    let snapshot = reader.snapshot(&want).await.unwrap();
    let uses = match make {
        Make::Isolate(wanted) => {
            let schema = snapshot.catalog.schema_named(&wanted.from).unwrap().oid;
            reader.dependencies(snapshot.server.version_num, schema).await.unwrap()
        }
        _ => Dependencies::default(),
    };
    (Arc::new(snapshot), uses)
}

/// The plan of one that takes nothing back and does nothing again.
pub fn plan(make: &Make, snapshot: &Arc<Snapshot>, uses: &Dependencies) -> Option<Plan> {
    let lineages: Arc<Lineages> = Arc::default();
    Some(match make {
        Make::Changes(changes) => pgmoat::plan::build::of_changes(snapshot, changes.clone()).unwrap(),
        Make::Versions(wanted) => {
            let mut wanted = wanted.clone();
            loop {
                let proposal = moves::versions::plan(snapshot, None, &lineages, &wanted).unwrap();
                if proposal.questions.is_empty() {
                    break proposal.plan;
                }
                wanted.answers.extend(proposal.questions.into_iter().map(|q| (q.about, true)));
            }
        }
        Make::Isolate(wanted) => {
            let mut wanted = wanted.clone();
            loop {
                let proposal = moves::isolate::plan(snapshot, uses, None, &lineages, &wanted).unwrap();
                if proposal.questions.is_empty() {
                    break proposal.plan;
                }
                wanted.answers.extend(proposal.questions.into_iter().map(|q| (q.about, true)));
            }
        }
        Make::Replace(old, new) => setup::replace(snapshot, None, old, new).unwrap().0,
        Make::Audit(wanted) => audit::plan(snapshot, None, wanted).unwrap(),
        Make::Tenancy(wanted) => tenancy::plan(snapshot, None, wanted).unwrap(),
        Make::Undo(_) | Make::Redo(_) => return None,
    })
}

/// Everything that an action may change, in words without numbers that are given anew: places, owners, rights, what is
/// tied to what, settings, roles of the worker, whose password it is, rows of version tables.
pub const IMAGE: &str = "
with space as (select oid, nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'),
acl as (
  select 'relation ' || n.nspname || '.' || c.relname || ' ' || c.relkind::text || ' ' ||
    c.relowner::regrole || c.relrowsecurity::text || c.relforcerowsecurity::text || coalesce(c.reloptions::text, '') as what,
    coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's'::\"char\" else 'r' end, c.relowner)) as acl
  from pg_class c join space n on n.oid = c.relnamespace
  union all select 'type ' || n.nspname || '.' || t.typname || ' ' || t.typowner::regrole,
    coalesce(t.typacl, acldefault('T', t.typowner))
  from pg_type t join space n on n.oid = t.typnamespace
  union all select 'routine ' || n.nspname || '.' || p.proname || ' ' || p.proowner::regrole || p.prosecdef ||
    coalesce(p.proconfig::text, ''), coalesce(p.proacl, acldefault('f', p.proowner))
  from pg_proc p join space n on n.oid = p.pronamespace
  union all select 'schema ' || n.nspname || ' ' || n.nspowner::regrole,
    coalesce(n.nspacl, acldefault('n', n.nspowner))
  from pg_namespace n where n.nspname !~ '^pg_t'
  union all select 'database', coalesce(datacl, acldefault('d', datdba)) from pg_database
  where datname = current_database()
  union all select 'default ' || defaclrole::regrole || ' ' || coalesce(n.nspname, '') || defaclobjtype::text, defaclacl
  from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace
)
select what || ' ' || coalesce((select string_agg(x.grantee::regrole || '=' || x.privilege_type || x.is_grantable::text, ' '
  order by x.grantee::regrole::text, x.privilege_type, x.is_grantable) from (select distinct grantee, privilege_type,
  is_grantable from aclexplode(acl.acl)) x), '') from acl
union all select 'constraint ' || conname || ' of ' || conrelid::regclass || ' ' || convalidated::text || ' ' ||
  pg_get_constraintdef(c.oid) from pg_constraint c join space n on n.oid = c.connamespace
union all select 'trigger ' || pg_get_triggerdef(t.oid) from pg_trigger t join pg_class c on c.oid = t.tgrelid
  join space n on n.oid = c.relnamespace where not t.tgisinternal
union all select 'policy ' || p::text from pg_policies p
union all select 'extension ' || e.extname || ' ' || e.extnamespace::regnamespace from pg_extension e
union all select 'owned ' || d.objid::regclass || ' ' || d.refobjid::regclass || d.refobjsubid from pg_depend d
  join pg_class c on c.oid = d.objid and c.relkind = 'S' join space n on n.oid = c.relnamespace
  where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
union all select 'role ' || rolname || ' ' || (to_jsonb(r) - 'rolpassword' - 'oid')::text || ' password ' ||
  case when rolpassword is null then 'none' when rolpassword = $2 then 'the old one' else 'a new one' end
from pg_authid r where starts_with(rolname, $1)
union all select 'member ' || roleid::regrole || ' ' || member::regrole || admin_option::text from pg_auth_members m
  join pg_roles r on r.oid in (m.roleid, m.member) where starts_with(r.rolname, $1)
union all select 'setting ' || s.setrole::regrole || array_to_string(setconfig, ';') from pg_db_role_setting s
  left join pg_roles r on r.oid = s.setrole
  where s.setdatabase = (select oid from pg_database where datname = current_database())
    or s.setdatabase = 0 and starts_with(r.rolname, $1)
union all select 'row ' || table_schema || '.' || table_name || ' ' || query_to_xml(format(
  'select version_num from %I.%I order by 1', table_schema, table_name), true, true, '')::text
from information_schema.columns where column_name = 'version_num' and table_name ~ '^alembic_version'
order by 1";
