//! Real Alembic with three small projects, and applications as they are published, that collide in one schema: after a
//! service was isolated, or its tables and its version table moved, it upgrades, downgrades and checks exactly as in a
//! clean database, as its own ordinary role and without anything in its URL; what stays behind is untouched, and the way
//! back restores what was.

pub mod collisions;
#[cfg(test)]
pub mod short;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use pgmoat::demo::cluster::{Cluster, SUPERUSER};
use tokio_postgres::{Client, NoTls};

/// Alembic, the program, and where the projects are.
pub struct Tools {
    /// Where things are installed, each in a directory of its own.
    place: PathBuf,
    moat: PathBuf,
    home: tempfile::TempDir,
    /// Commands that were run.
    pub runs: std::sync::atomic::AtomicU32,
}

/// A project and what it goes through once it is at its heads.
#[derive(Clone, Copy)]
pub struct App {
    pub name: &'static str,
    pub version_table: &'static str,
    /// What it is installed from; empty: a project of this folder.
    pub packages: &'static [&'static str],
    /// Its migrations, below where its packages are; of a project its folder, where that is not its name.
    pub scripts: &'static str,
    /// One of its tables.
    pub table: &'static str,
    pub cycle: &'static [&'static [&'static str]],
}

pub const GARDEN: App = App {
    name: "garden",
    version_table: "alembic_version",
    packages: &[],
    scripts: "",
    table: "beds",
    cycle: &[
        &["current"],
        &["check"],
        &["downgrade", "-1"],
        &["upgrade", "heads"],
        &["check"],
        &["downgrade", "base"],
        &["upgrade", "heads"],
        &["check"],
    ],
};
pub const HARBOR: App = App {
    name: "harbor",
    version_table: "alembic_version",
    packages: &[],
    scripts: "",
    table: "ships",
    cycle: &[
        &["current"],
        &["check"],
        &["downgrade", "-1"],
        &["downgrade", "a1b2c3d4e5f6"],
        &["upgrade", "heads"],
        &["check"],
        &["downgrade", "base"],
        &["upgrade", "heads"],
        &["check"],
    ],
};
pub const LIBRARY: App = App { name: "library", version_table: "library_version", table: "books", ..GARDEN };
/// Has a table of a name that garden has, too, and makes its tables before it migrates.
pub const ORCHARD: App = App { name: "orchard", table: "crates", ..GARDEN };
/// The release after it: it begins with what the one before left.
pub const GARDEN_NEXT: App = App {
    scripts: "garden-next",
    table: "tools",
    cycle: &[
        &["current"],
        &["upgrade", "heads"],
        &["check"],
        &["downgrade", "-1"],
        &["upgrade", "heads"],
        &["check"],
        &["downgrade", "d4e5f6a7b8c9"],
        &["upgrade", "heads"],
        &["current"],
    ],
    ..GARDEN
};
/// Its own downgrade fails, in a clean database too.
pub const OPTUNA: App = App {
    name: "optuna",
    packages: &["optuna==5.0.0"],
    scripts: "optuna/storages/_rdb/alembic",
    table: "studies",
    cycle: PUBLISHED,
    ..GARDEN
};
/// Its check is red in a clean database, too.
pub const MLFLOW: App = App {
    name: "mlflow",
    packages: &["mlflow-skinny==3.17.2"],
    scripts: "mlflow/store/db_migrations",
    table: "experiments",
    cycle: PUBLISHED,
    ..GARDEN
};
const PUBLISHED: &[&[&str]] =
    &[&["start"], &["current"], &["check"], &["downgrade", "-1"], &["upgrade", "heads"], &["check"], &["start"]];

const ALEMBIC: [&str; 3] = ["alembic==1.20.1", "sqlalchemy==2.1.9", "psycopg2-binary==2.9.13"];

fn quiet(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok_and(|o| o.status.success())
}

fn installed(place: &Path, packages: &[&str]) -> bool {
    let done = place.join("done");
    if !done.exists() {
        let made = quiet(Command::new("python3").args(["-m", "venv"]).arg(place));
        let pip = ["install", "--quiet", "--disable-pip-version-check", "--timeout", "10", "--retries", "1"];
        if !made || !quiet(Command::new(place.join("bin/pip")).args(pip).args(ALEMBIC).args(packages)) {
            let _ = std::fs::remove_dir_all(place);
            return false;
        }
        std::fs::write(done, "").unwrap();
    }
    true
}

/// Where Alembic is, installed into `place` if it is not there; `None`, said on stderr, where no index can be reached.
pub fn tools(moat: &Path, place: &Path) -> Option<Tools> {
    if !installed(&place.join("alembic"), &[]) {
        let said = "SKIPPED: Alembic could not be installed from PyPI: the applications were not run\n";
        let _ = std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes());
        return None;
    }
    let home = tempfile::tempdir().unwrap();
    Some(Tools { place: place.to_owned(), moat: moat.to_owned(), home, runs: 0.into() })
}

pub struct Ran {
    pub code: i32,
    pub text: String,
}

impl Tools {
    fn count(&self) {
        self.runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    /// True when the application is there, installed if need be; said on stderr when it cannot be.
    pub fn has(&self, app: App) -> bool {
        let here = app.packages.is_empty() || installed(&self.place.join(app.name), app.packages);
        if !here {
            let said = format!("SKIPPED: {} could not be installed from PyPI and was not run\n", app.name);
            let _ = std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes());
        }
        here
    }

    /// Where its migrations are.
    fn folder(&self, app: App) -> PathBuf {
        if app.packages.is_empty() {
            let name = if app.scripts.is_empty() { app.name } else { app.scripts };
            return Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps").join(name);
        }
        let of = std::fs::read_dir(self.place.join(app.name).join("lib")).unwrap();
        let python = of.map(|entry| entry.unwrap().path()).find(|path| path.join("site-packages").exists()).unwrap();
        python.join("site-packages").join(app.scripts)
    }

    /// Alembic as an application's people run it.
    pub fn alembic(&self, url: &str, app: App, args: &[&str]) -> Ran {
        self.count();
        let mut command = if app.packages.is_empty() {
            let mut command = Command::new(self.place.join("alembic/bin/alembic"));
            command.arg("-c").arg(self.folder(app).join("alembic.ini"));
            command
        } else {
            let mut command = Command::new(self.place.join(app.name).join("bin/python"));
            command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps/published.py")).arg(app.name);
            command
        };
        self.python(command.args(args), url)
    }

    /// A project as published applications start: see the script.
    pub fn start(&self, url: &str, app: App, does: &[&str]) -> Ran {
        self.count();
        let mut command = Command::new(self.place.join("alembic/bin/python"));
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps/start.py")).arg(app.name).args(does);
        self.python(&mut command, url)
    }

    /// Python of the projects' own surroundings.
    pub fn code(&self, url: &str, code: &str) -> Ran {
        self.python(Command::new(self.place.join("alembic/bin/python")).args(["-c", code]), url)
    }

    fn python(&self, command: &mut Command, url: &str) -> Ran {
        let output = command
            .env("DATABASE_URL", url.replacen("postgresql://", "postgresql+psycopg2://", 1))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs([("HOME", self.home.path()), ("TMPDIR", self.home.path())])
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        Ran { code: output.status.code().unwrap_or(-1), text: String::from_utf8_lossy(&text).into_owned() }
    }

    pub fn moat(&self, args: &[&str]) -> Ran {
        self.count();
        let mut command = Command::new(&self.moat);
        command.args(args).env_clear().env("HOME", self.home.path()).stdin(Stdio::null());
        for name in ["PATH", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        Ran { code: output.status.code().unwrap_or(-1), text: String::from_utf8_lossy(&text).into_owned() }
    }
}

/// One cluster under test.
pub struct Field<'a> {
    pub tools: &'a Tools,
    pub cluster: &'a Cluster,
    /// Begins every role and database.
    pub stem: String,
    pub log: String,
    pub faults: u32,
    pub checks: u32,
}

impl<'a> Field<'a> {
    pub fn new(tools: &'a Tools, cluster: &'a Cluster, stem: &str) -> Field<'a> {
        Field { tools, cluster, stem: stem.to_owned(), log: String::new(), faults: 0, checks: 0 }
    }

    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, is: &T, should: &T) {
        self.checks += 1;
        if is != should {
            self.faults += 1;
            let _ = writeln!(self.log, "{}: {what}:\n   is     {is:#?}\n   should {should:#?}", self.stem);
        }
    }

    fn role(&self, name: &str) -> String {
        format!("{}_{name}", self.stem)
    }

    fn url(&self, role: &str, database: &str) -> String {
        self.cluster.url(role, database)
    }

    async fn client(&self, user: &str, database: &str) -> Client {
        let (client, connection) = self.cluster.config(user, database).connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// A database in which `role` may create in public, as an application's own.
    async fn database(&self, name: &str, role: &str) -> String {
        let database = self.role(name);
        let admin = self.client(SUPERUSER, "postgres").await;
        let _ = admin.batch_execute(&format!("create role {role} login")).await;
        admin.batch_execute(&format!("create database {database}")).await.unwrap();
        let client = self.client(SUPERUSER, &database).await;
        client.batch_execute(&format!("grant create on schema public to {role}")).await.unwrap();
        database
    }

    fn must(&self, ran: &Ran, what: &str) {
        assert_eq!(ran.code, 0, "{}: {what}: {}", self.stem, ran.text);
    }

    /// What the project does and how its schema looks in the end, in a database that is all its own.
    pub async fn clean(&self, app: App, cycle: usize) -> Told {
        let role = self.role(&format!("{}_clean", app.name));
        let database = self.database(&format!("{}_clean", app.name), &role).await;
        let url = self.url(&role, &database);
        self.must(&self.tools.alembic(&url, app, first(app)), "the first start");
        self.told(app, &role, &database, "public", cycle).await
    }

    async fn told(&self, app: App, role: &str, database: &str, schema: &str, cycle: usize) -> Told {
        let url = self.url(role, database);
        let mut said = Vec::new();
        for args in app.cycle.iter().take(cycle) {
            let ran = self.tools.alembic(&url, app, args);
            // The end of it is what people read; the rest are places in Python's own files.
            let mut lines: Vec<&str> = ran.text.lines().rev().take(6).collect();
            if args.first() == Some(&"current") {
                // Alembic names several heads in no order.
                lines.sort_unstable();
            }
            said.push((args.join(" "), ran.code, lines.into_iter().rev().collect::<Vec<_>>().join("\n")));
        }
        let client = self.client(SUPERUSER, database).await;
        client.batch_execute(&format!("set search_path = {schema}")).await.unwrap();
        Told { said, outline: texts(&client, OUTLINE).await }
    }

    /// The projects in one schema, all of one role; garden and harbor with their revisions in one table.
    pub async fn shared(&self, apps: &[App]) -> Shared {
        let old = self.role("old");
        let database = self.database("shared", &old).await;
        let url = self.url(&old, &database);
        let client = self.client(SUPERUSER, &database).await;
        let mut rows: Vec<String> = Vec::new();
        for app in apps {
            let _ = client.batch_execute("drop table if exists alembic_version").await;
            self.must(&self.tools.alembic(&url, *app, first(*app)), app.name);
            if app.version_table == "alembic_version" {
                rows.extend(texts(&client, "select version_num::text from alembic_version").await);
            }
        }
        let reader = self.role("reader");
        let _ = client.batch_execute(&format!("create role {reader} login")).await;
        let insert = |r: &String| format!("insert into alembic_version values ('{r}') on conflict do nothing;");
        let list = rows.iter().map(insert).collect::<Vec<_>>().concat();
        let made = format!(
            "create table if not exists alembic_version (version_num varchar(32) not null, constraint \
             alembic_version_pkc primary key (version_num)); alter table alembic_version owner to {old}; {list}
             grant select on all tables in schema public to {reader};
             create table strange (id serial primary key, what text); alter table strange owner to {old};
             insert into strange (what) values ('somebody else''s')"
        );
        client.batch_execute(&made).await.unwrap();
        Shared { database, client: Arc::new(client), reader }
    }

    /// With its revision beside another's the application does not even start.
    pub fn collides(&mut self, shared: &Shared, app: App) {
        let ran = self.tools.alembic(&self.url(&self.role("old"), &shared.database), app, first(app));
        let says = ["Can't locate revision", "more than one head", "overlaps with other"];
        let collided = ran.code != 0 && says.iter().any(|words| ran.text.contains(words));
        self.same(&format!("{} collides ({})", app.name, ran.text), &collided, &true);
    }

    /// Isolates one project, takes it back, isolates it again, and lets it do what it does in a clean database.
    pub async fn isolate(&mut self, shared: &Shared, app: App, cycle: usize, should: &Told) {
        self.isolate_with(shared, app, &[], true).await;
        self.as_clean(shared, app, cycle, should).await;
    }

    /// With its own role, and nothing in its URL.
    async fn as_clean(&mut self, shared: &Shared, app: App, cycle: usize, should: &Told) {
        let standing = self.standing(app).await;
        let stays = texts(&shared.client, &standing).await;
        let told = self.told(app, &self.role(app.name), &shared.database, app.name, cycle).await;
        self.same(&format!("{}: as in a clean database", app.name), &told, should);
        self.same("what stays is untouched", &texts(&shared.client, &standing).await, &stays);
        let reads = self.client(&shared.reader, &shared.database).await;
        let read = reads.batch_execute(&format!("select * from {}.{}", app.name, app.table)).await.is_ok();
        self.same("the reader that was kept reads what was made since", &read, &true);
    }

    /// The command with more of its flags; `there_and_back` rehearses it and takes it back before.
    async fn isolate_with(&mut self, shared: &Shared, app: App, more: &[&str], there_and_back: bool) -> Ran {
        let (role, schema) = (self.role(app.name), app.name);
        let url = self.url(SUPERUSER, &shared.database);
        let before = texts(&shared.client, IMAGE).await;
        // A version table with nothing of others goes along as it is.
        let rows = shared.client.query("select from public.alembic_version", &[]).await.map_or(0, |rows| rows.len());
        let along = if rows == 1 && app.version_table == "alembic_version" { "|alembic_version" } else { "" };
        let standing = standing(&format!("{}{along}", self.own(app).await));
        let stays = texts(&shared.client, &standing).await;
        let folder = self.tools.folder(app);
        let folder = folder.to_str().unwrap();
        let mut args = vec!["isolate", &url, "--from", "public", "--schema", schema, "--role", &role];
        args.extend(["--revisions", folder, "--keep-reader", &shared.reader]);
        args.extend(more);
        let undecided = self.tools.moat(&args);
        let open = undecided.text.contains("is not decided") || undecided.text.contains("are not decided");
        if open {
            let _ = writeln!(self.log, "{}: {} is asked: {}", self.stem, app.name, undecided.text);
        }
        self.same(&format!("{schema}: not done without being asked"), &undecided.code, &4);
        // What the catalog cannot tie to a table by itself: a function that names one in its text.
        if app.name == "library" {
            self.same("it is asked about lent()", &(open && undecided.text.contains("lent(integer)")), &true);
            args.extend(["--tables", "lent(*"]);
        }
        // A table that no script makes, tied to the others by a foreign key only.
        if app.name == "optuna" {
            let heartbeats = undecided.text.contains("trial_heartbeats is tied to trials");
            self.same("it is asked about the table without a script", &(open && heartbeats), &true);
            args.extend(["--tables", "trial_heartbeats"]);
        }
        // Its first tables are made by no script, so it is said by hand which they are.
        let named = if app.name == "mlflow" { self.relations(app).await } else { Vec::new() };
        if !named.is_empty() {
            args.push("--tables");
            args.extend(named.iter().map(String::as_str));
        }
        args.push("--yes");
        if there_and_back {
            let rehearsed = self.tools.moat(&[args.as_slice(), &["--rehearse"]].concat());
            self.same(&format!("{schema}: rehearsed ({})", rehearsed.text), &rehearsed.code, &0);
            self.same("a rehearsal leaves nothing", &texts(&shared.client, IMAGE).await, &before);
            let done = self.tools.moat(&args);
            self.same(&format!("{schema}: isolated ({})", done.text), &done.code, &0);
            let undone = self.tools.moat(&["undo", &url, "--yes"]);
            self.same(&format!("{schema}: taken back ({})", undone.text), &undone.code, &0);
            self.same("the way back", &texts(&shared.client, IMAGE).await, &before);
        }
        let done = self.tools.moat(&args);
        self.same(&format!("{schema}: isolated ({})", done.text), &done.code, &0);
        self.same("what stays is untouched", &texts(&shared.client, &standing).await, &stays);
        done
    }

    /// The tables that the application has where it is alone, without its version table.
    async fn relations(&self, app: App) -> Vec<String> {
        let client = self.client(SUPERUSER, &self.role(&format!("{}_clean", app.name))).await;
        let names = "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
            and relname !~ '^alembic_version'";
        texts(&client, names).await
    }

    /// What is not the project's: see [`standing`].
    async fn standing(&self, app: App) -> String {
        standing(&self.own(app).await)
    }

    /// How the names of what is the project's begin.
    async fn own(&self, app: App) -> String {
        match app.name {
            "garden" => "beds|plants|planted|bed_number|mood|watered|wetter".to_owned(),
            // The last one takes the version table itself along.
            "harbor" => "ships|cargo|pilots|loads|alembic_version".to_owned(),
            "library" => "books|volumes|shelf_number|lent|library_version".to_owned(),
            "orchard" => "crates".to_owned(),
            // What it made where it is alone, and nothing else.
            _ => {
                let client = self.client(SUPERUSER, &self.role(&format!("{}_clean", app.name))).await;
                let names = "select relname::text from pg_class where relnamespace = 'public'::regnamespace
                    and relname !~ '^alembic_version' union select typname::text from pg_type
                    where typnamespace = 'public'::regnamespace and typname !~ '^_?alembic_version'
                    union select proname::text from pg_proc where pronamespace = 'public'::regnamespace";
                format!("({})$", texts(&client, names).await.join("|"))
            }
        }
    }

    /// Tables by name to a schema that is there, then the version table: two steps by hand in place of one.
    pub async fn moved(&mut self, app: App, tables: &[&str], cycle: usize, should: &Told) {
        let (old, role, schema) = (self.role("moved_old"), self.role("moved_new"), "own");
        let database = self.database("moved", &old).await;
        let ran = self.tools.alembic(&self.url(&old, &database), app, first(app));
        self.must(&ran, "the first start");
        let client = self.client(SUPERUSER, &database).await;
        let made = format!("create role {role} login; create schema {schema} authorization {role}");
        client.batch_execute(&made).await.unwrap();
        let url = self.url(SUPERUSER, &database);
        let before = texts(&client, IMAGE).await;
        let mut objects = vec!["move-objects", &url, "--from", "public", "--to", schema, "--owner", &role, "--yes"];
        objects.push("--tables");
        objects.extend(tables);
        let done = self.tools.moat(&objects);
        self.same(&format!("objects moved ({})", done.text), &done.code, &0);
        let versions = ["versions", "move", &url, "--from", "public", "--to", schema, "--owner", &role, "--yes"];
        let done = self.tools.moat(&versions);
        self.same(&format!("version table moved ({})", done.text), &done.code, &0);
        let told = format!("ALTER ROLE {role} IN DATABASE {database} SET search_path = {schema};");
        self.same(&format!("says which setting is needed: {}", done.text), &joined(&done.text).contains(&told), &true);
        for _ in 0..2 {
            let undone = self.tools.moat(&["undo", &url, "--yes"]);
            self.same(&format!("taken back ({})", undone.text), &undone.code, &0);
        }
        self.same("the way back", &texts(&client, IMAGE).await, &before);
        for args in [objects.as_slice(), &versions] {
            let done = self.tools.moat(args);
            self.same(&format!("again ({})", done.text), &done.code, &0);
        }
        client.batch_execute(&told).await.unwrap();
        let told = self.told(app, &role, &database, schema, cycle).await;
        self.same("moved by hand: as in a clean database", &told, should);
    }
}

/// The words of a text that was wrapped for people.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub struct Shared {
    pub database: String,
    pub client: Arc<Client>,
    pub reader: String,
}

/// What a project said, and what its schema looks like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    pub said: Vec<(String, i32, String)>,
    pub outline: Vec<String>,
}

/// One column of text of a query.
async fn texts(client: &Client, sql: &str) -> Vec<String> {
    let rows = client.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get::<_, Option<String>>(0).unwrap_or_default()).collect()
}

/// The first schema of the search path, without its name.
const OUTLINE: &str = "
select c.relkind::text || ' ' || c.relname || coalesce(' (' || string_agg(a.attname || ' ' ||
         format_type(a.atttypid, a.atttypmod) || coalesce(' ' || pg_get_expr(d.adbin, d.adrelid), ''), ', '
         order by a.attname) || ')', '')
from pg_class c left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
where c.relnamespace = current_schema()::regnamespace and c.relkind <> 'S' group by c.oid, c.relkind, c.relname
union all select 'S ' || relname from pg_class where relnamespace = current_schema()::regnamespace and relkind = 'S'
union all select 'constraint ' || conname || ' ' || pg_get_constraintdef(oid) from pg_constraint
where connamespace = current_schema()::regnamespace
union all select 'type ' || t.typname || ' ' || coalesce((select string_agg(enumlabel, ',' order by enumsortorder)
  from pg_enum where enumtypid = t.oid), '') from pg_type t where t.typnamespace = current_schema()::regnamespace
union all select 'routine ' || oid::regprocedure::text || ' ' || prosrc from pg_proc
where pronamespace = current_schema()::regnamespace
union all select 'trigger ' || pg_get_triggerdef(t.oid, true) from pg_trigger t join pg_class c on c.oid = t.tgrelid
where c.relnamespace = current_schema()::regnamespace and not t.tgisinternal
union all select 'view ' || pg_get_viewdef(oid) from pg_class
where relnamespace = current_schema()::regnamespace and relkind in ('v', 'm')
order by 1";

/// Places, owners and rights of everything in the database, roles, settings, default privileges.
const IMAGE: &str = "
with acl as (
  select 'relation ' || c.oid::text || ' ' || n.nspname || '.' || c.relname || ' ' || c.relowner::regrole as what,
    coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's'::\"char\" else 'r' end, c.relowner)) as acl
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  union all select 'type ' || t.oid::text || ' ' || n.nspname || '.' || t.typname || ' ' || t.typowner::regrole,
    coalesce(t.typacl, acldefault('T', t.typowner))
  from pg_type t join pg_namespace n on n.oid = t.typnamespace where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  union all select 'routine ' || p.oid::text || ' ' || n.nspname || '.' || p.proname || ' ' || p.proowner::regrole,
    coalesce(p.proacl, acldefault('f', p.proowner))
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  union all select 'schema ' || n.oid::text || ' ' || n.nspname || ' ' || n.nspowner::regrole,
    coalesce(n.nspacl, acldefault('n', n.nspowner))
  from pg_namespace n where n.nspname !~ '^pg_t'
  union all select 'default ' || defaclrole::regrole || ' ' || defaclnamespace || defaclobjtype::text, defaclacl
  from pg_default_acl
)
select what || ' ' || coalesce((select string_agg(x.grantee || '=' || x.privilege_type || x.is_grantable::text, ' '
  order by x.grantee, x.privilege_type, x.is_grantable) from aclexplode(acl.acl) x), '') from acl
union all select 'role ' || rolname || ' ' || (to_jsonb(r) - 'rolpassword' - 'oid')::text from pg_roles r
where rolname !~ '_clean$'
union all select 'setting ' || setdatabase || ' ' || setrole::regrole || array_to_string(setconfig, ';')
from pg_db_role_setting
union all select 'row ' || table_schema || '.' || table_name || ' ' || query_to_xml(format(
  'select version_num from %I.%I order by 1', table_schema, table_name), true, true, '')::text
from information_schema.columns where column_name = 'version_num'
order by 1";

/// What the application does first in an empty database.
fn first(app: App) -> &'static [&'static str] {
    if app.packages.is_empty() { &["upgrade", "heads"] } else { &["start"] }
}

/// What is not the project's, byte for byte: catalog rows by their versions, and what the tables hold.
fn standing(own: &str) -> String {
    format!(
        "select 'relation ' || c.xmin::text || ' ' || c.oid || ' ' || c.relname || ' ' || c.relowner || ' ' ||
           coalesce(c.relacl::text, '') || c.relfilenode ||
           case when c.relkind = 'S' then coalesce(pg_sequence_last_value(c.oid)::text, '') else '' end ||
           case when c.relkind = 'r' and c.relname <> 'alembic_version'
             then query_to_xml(format('select * from %s order by 1', c.oid::regclass), true, true, '')::text else '' end
         from pg_class c where c.relnamespace = 'public'::regnamespace and c.relname !~ '^_?(ix_)?({own})'
         union all select 'type ' || t.xmin::text || ' ' || t.typname || t.typowner from pg_type t
         where t.typnamespace = 'public'::regnamespace and t.typname !~ '^_?({own})'
         union all select 'routine ' || p.xmin::text || ' ' || p.proname || p.proowner from pg_proc p
         where p.pronamespace = 'public'::regnamespace and p.proname !~ '^({own})'
         union all select 'column ' || a.xmin::text || ' ' || c.relname || '.' || a.attname from pg_attribute a
         join pg_class c on c.oid = a.attrelid
         where a.attnum > 0 and c.relnamespace = 'public'::regnamespace and c.relname !~ '^_?(ix_)?({own})'
         union all select 'constraint ' || k.xmin::text || ' ' || k.conname from pg_constraint k
         join pg_class c on c.oid = k.conrelid
         where c.relnamespace = 'public'::regnamespace and c.relname !~ '^_?(ix_)?({own})'
         union all select 'schema ' || n.xmin::text || coalesce(n.nspacl::text, '') from pg_namespace n
         where n.nspname = 'public' order by 1"
    )
}
