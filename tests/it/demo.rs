//! Throwaway clusters and the demo: they work on every major, show what they promise, and nothing is left of them,
//! however their parent ends.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use pgmoat::config::{Env, file::Config};
use pgmoat::demo::{
    Demo, DemoOptions,
    cluster::{Cluster, ClusterOptions, Server},
    fleet::State,
    guard::StopMode,
};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::signal::unix::SignalKind;

use crate::support::cluster::{self, connect};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn start(major: u32) -> Cluster {
    Cluster::start(ClusterOptions { server: cluster::server(major), ..cluster::options() }).unwrap()
}

async fn demo(major: u32, state: State) -> Demo {
    let options = DemoOptions { major: Some(major), state, guard: Some(cluster::guard()), ..DemoOptions::default() };
    let begun = Instant::now();
    let demo = Demo::start(options, &mut |line| eprintln!("  {line}")).await.unwrap();
    eprintln!("demo on {major}: {:?}", begun.elapsed());
    demo
}

#[test]
fn every_major_starts_serves_and_disappears() {
    let runtime = runtime();
    for major in cluster::majors() {
        let made = start(major);
        let root = made.root().to_path_buf();
        let version: String = runtime.block_on(async {
            let client = connect(&made, "postgres", "postgres").await;
            client.query_one("show server_version_num", &[]).await.unwrap().get(0)
        });
        assert_eq!(version.parse::<u32>().unwrap() / 10_000, major);
        assert_eq!(made.major(), major);
        made.stop();
        assert!(!root.exists());
    }
}

#[test]
fn the_loopback_port_asks_for_the_password_and_strangers_cannot_reach_the_socket() {
    let made = start(cluster::newest());
    let runtime = runtime();
    let log_in =
        |url: String| runtime.block_on(async { tokio_postgres::connect(&url, tokio_postgres::NoTls).await.map(drop) });
    log_in(made.tcp_url("postgres", "postgres")).unwrap();
    log_in(made.url("postgres", "postgres")).unwrap();
    let wrong = made.tcp_url("postgres", "postgres").replace(made.password(), "guessed");
    let error = log_in(wrong).unwrap_err();
    assert_eq!(error.code(), Some(&tokio_postgres::error::SqlState::INVALID_PASSWORD), "{error:?}");
    assert_eq!(fs::metadata(made.root()).unwrap().permissions().mode() & 0o077, 0);
}

#[test]
fn a_crashed_server_comes_back_on_its_port() {
    let mut made = start(cluster::newest());
    let runtime = runtime();
    let run = |made: &Cluster, sql: &str| {
        runtime.block_on(async { connect(made, "postgres", "postgres").await.batch_execute(sql).await.unwrap() });
    };
    run(&made, "create table kept (n integer); checkpoint");
    let port = made.port();
    for mode in [StopMode::Fast, StopMode::Immediate, StopMode::Crash] {
        made.stop_server(mode).unwrap();
        // The children of a killed server need a moment to notice.
        let begun = Instant::now();
        while let Err(error) = made.start_server() {
            assert!(begun.elapsed() < Duration::from_secs(20), "{error}");
        }
        assert_eq!(made.port(), port);
        run(&made, "insert into kept values (1)");
    }
}

/// The story of the documents, asked of the catalog: (what, a question that must be true).
const STORY: &[(&str, &str)] = &[
    ("two lineages in one version table", "select count(*) = 3 from public.alembic_version"),
    ("an empty version table in use", "select count(*) = 0 from langflow.alembic_version"),
    (
        "Sankore's stands in public",
        "select to_regclass('public.alembic_version_sankore') is not null and to_regclass('sankore.alembic_version') is null",
    ),
    ("Capilytics has none", "select to_regclass('capilytics.alembic_version') is null"),
    (
        "104 tables and views in public",
        "select count(*) = 104 and count(*) filter (where has_table_privilege('langflow_app', oid, 'select')) = 97 from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'v', 'm')",
    ),
    ("onside_user is in engarde_user", "select pg_has_role('onside_user', 'engarde_user', 'usage')"),
    (
        "madansara_user writes to sankore.ad_trends",
        "select has_schema_privilege('madansara_user', 'sankore', 'usage,create') and has_table_privilege('madansara_user', 'sankore.ad_trends', 'insert')",
    ),
    (
        "grants without the schema",
        "select has_table_privilege('analytics_readonly', 'sankore.ad_trends', 'select') and not has_schema_privilege('analytics_readonly', 'sankore', 'usage')",
    ),
    ("Langflow may not create at home", "select not has_schema_privilege('langflow_app', 'langflow', 'create')"),
    ("onside_user lost its own schema", "select not has_schema_privilege('onside_user', 'onside', 'usage')"),
    ("PUBLIC creates in public", "select has_schema_privilege('metabase', 'public', 'create')"),
    (
        "a column grant",
        "select has_column_privilege('langflow_app', 'public.tenants', 'settings', 'update') and not has_table_privilege('langflow_app', 'public.tenants', 'update')",
    ),
    ("audit_user may not connect", "select not has_database_privilege('audit_user', 'engarde', 'connect')"),
    ("a bypassing role", "select rolbypassrls from pg_roles where rolname = 'sankore_user'"),
    ("a superuser that should not be", "select rolsuper from pg_roles where rolname = 'deploy_bot'"),
    ("a missing role", "select count(*) = 0 from pg_roles where rolname = 'compliance_reader'"),
    (
        "eight tenant tables without row security, and one switched off",
        "select count(*) = 9 from pg_attribute a join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = relnamespace where attname = 'tenant_id' and relkind = 'r' and not relrowsecurity and nspname in ('public', 'langflow', 'madansara', 'sankore', 'onside')",
    ),
    ("invalid foreign keys", "select count(*) = 2 from pg_constraint where contype = 'f' and not convalidated"),
    ("ten sessions of Langflow", "select count(*) = 10 from pg_stat_activity where usename = 'langflow_app'"),
    ("three sessions wait", "select count(*) = 3 from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0"),
    ("seven sit in a transaction", "select count(*) = 7 from pg_stat_activity where state = 'idle in transaction'"),
    ("sizes that mean something", "select pg_database_size(current_database()) > 40 * 1024 * 1024"),
];

#[test]
fn the_broken_fleet_tells_its_story_on_every_major() {
    let runtime = runtime();
    for major in cluster::majors() {
        runtime.block_on(async {
            let demo = demo(major, State::Broken).await;
            let client = connect(demo.cluster("engarde").unwrap(), "postgres", "engarde").await;
            for (what, question) in STORY {
                let answer: Option<bool> = client.query_one(*question, &[]).await.unwrap().get(0);
                assert_eq!(answer, Some(true), "{major}: {what}");
            }
            let client = connect(demo.cluster("flowdb").unwrap(), "postgres", "En-Garde-FlowDB").await;
            let row = client.query_one("select version_num from public.alembic_version", &[]).await.unwrap();
            assert_eq!(row.get::<_, String>(0), "6f1c2b3a4d5e");
        });
    }
}

#[test]
fn the_fleet_as_declared_is_in_order_on_every_major() {
    let runtime = runtime();
    for major in cluster::majors() {
        runtime.block_on(async {
            let demo = demo(major, State::AsDeclared).await;
            let client = connect(demo.cluster("engarde").unwrap(), "postgres", "engarde").await;
            for question in [
                "select count(*) = 2 from public.alembic_version",
                "select count(*) = 1 from langflow.alembic_version",
                "select bool_and(has_table_privilege('langflow_app', oid, 'select')) from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'",
                "select bool_and(relrowsecurity and relforcerowsecurity) from pg_attribute a join pg_class c on c.oid = attrelid where attname = 'tenant_id' and relkind = 'r' and relnamespace in ('public'::regnamespace, 'langflow'::regnamespace)",
                "select bool_and(convalidated) from pg_constraint where contype = 'f'",
                "select count(*) = 0 from pg_roles where (rolsuper or rolbypassrls) and rolname <> 'postgres'",
            ] {
                let answer: Option<bool> = client.query_one(question, &[]).await.unwrap().get(0);
                assert_eq!(answer, Some(true), "{major}: {question}");
            }
        });
    }
}

#[test]
fn the_console_can_use_what_the_demo_writes() {
    runtime().block_on(async {
        let demo = demo(cluster::newest(), State::Broken).await;
        let env = Env::from_process();
        let config = Config::load(Some(demo.config_path()), &env).unwrap();
        assert_eq!(config.warnings, Vec::<String>::new());
        let names: Vec<&str> = config.instances.iter().map(|instance| instance.name.as_str()).collect();
        assert_eq!(names, ["engarde", "flowdb"]);
        let named = config.instances[0].policy.as_deref().unwrap();
        let policy = pgmoat::policy::file::load(&config.resolve_path(named, &env)).unwrap();
        assert_eq!(policy.name, "engarde");
        for (instance, target) in config.instances.iter().zip(demo.targets()) {
            assert_eq!(instance.url, target.url);
            tokio_postgres::connect(&instance.url, tokio_postgres::NoTls).await.map(drop).unwrap();
            // the line that it prints, as a shell runs it: what the console shows of that instance, and no riddles
            let line = target.check().replacen("pgmoat", env!("CARGO_BIN_EXE_pgmoat"), 1) + " --format json";
            let out = Command::new("sh").arg("-c").arg(&line).output().unwrap();
            let (code, said) = (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned());
            assert_eq!((code, said.contains("[[instance]]")), (Some(1), false), "{line}: {said}");
            let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
            let of_it = |f: &&serde_json::Value| f["instance"] == instance.name.as_str();
            assert!(json["findings"].as_array().unwrap().iter().filter(of_it).count() > 1, "{line}: {json}");
        }
    });
}

#[test]
fn every_role_of_the_policy_logs_in_over_the_loopback_port() {
    runtime().block_on(async {
        let demo = demo(cluster::newest(), State::AsDeclared).await;
        let cluster = demo.cluster("engarde").unwrap();
        for role in ["engarde_user", "sankore_user", "onside_user", "analytics_readonly", "audit_user", "monitor_user"]
        {
            let url = cluster.tcp_url(role, "engarde");
            let result = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.map(drop);
            assert!(result.is_ok(), "{role}: {result:?}");
        }
    });
}

#[test]
fn a_kept_demo_goes_on_until_its_own_command_ends_it() {
    let runtime = runtime();
    let (targets, text) = runtime.block_on(async {
        let demo = demo(cluster::newest(), State::Broken).await;
        (demo.targets(), demo.keep().unwrap())
    });
    for target in &targets {
        assert!(text.contains(&target.url) && text.contains(&target.tcp_url), "{text}");
        runtime.block_on(tokio_postgres::connect(&target.url, tokio_postgres::NoTls)).map(drop).unwrap();
    }
    assert!(text.contains("engarde.policy.toml"), "{text}");
    // the line that is meant to be copied: a shell reads it as it stands
    let line = text.lines().find_map(|l| l.trim().strip_prefix("findings  pgmoat check ")).unwrap();
    let script = format!("exec \"$0\" check {line} --format json");
    let ran = Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_pgmoat")]).output().unwrap();
    let out = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.code() == Some(1) && out.contains("version-table-shared"), "{line}: {out}");
    assert!(out.contains("grant-excess"), "with the policy: {line}");
    let commands: Vec<&str> = text.split("to stop\n").nth(1).unwrap().lines().collect();
    assert_eq!(commands.len(), 2);
    for command in commands {
        let status = Command::new("sh").args(["-c", command]).stdout(Stdio::null()).status().unwrap();
        assert!(status.success(), "{command}");
    }
    for target in &targets {
        assert!(runtime.block_on(tokio_postgres::connect(&target.url, tokio_postgres::NoTls)).is_err());
    }
}

#[test]
fn a_guard_is_deaf_to_signals_and_replaceable_in_death() {
    let made = start(cluster::newest());
    let guard = Pid::from_raw(i32::try_from(made.guard_pid()).unwrap()).unwrap();
    let runtime = runtime();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        kill_process(guard, signal).unwrap();
        runtime
            .block_on(async { connect(&made, "postgres", "postgres").await.batch_execute("select 1").await.unwrap() });
    }
    let root = made.root().to_path_buf();
    kill_process(guard, Signal::KILL).unwrap();
    made.stop();
    assert!(!root.exists());
    assert_eq!(processes_in(&root), Vec::<String>::new());
}

/// What the child does and when its parent's hand falls.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Directory,
    Initdb,
    ServerStarting,
    Ready,
}

#[test]
fn nothing_is_left_after_kill_9_or_ctrl_c_at_any_moment() {
    for ordinary in users() {
        for signal in [Signal::KILL, Signal::INT] {
            for moment in [Moment::Directory, Moment::Initdb, Moment::ServerStarting, Moment::Ready] {
                let place = tempfile::Builder::new().prefix("pm-").tempdir_in("/tmp").unwrap();
                fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
                let mut child = child(place.path(), ordinary);
                wait_for(&mut child, place.path(), moment);
                let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
                kill_process_group(pid, signal).unwrap();
                child.wait().unwrap();
                let begun = Instant::now();
                loop {
                    let clusters = clusters_in(place.path());
                    let processes = processes_in(place.path());
                    if clusters.is_empty() && processes.is_empty() {
                        break;
                    }
                    let limit = Duration::from_secs(30);
                    assert!(begun.elapsed() < limit, "{signal:?} at {moment:?} left {clusters:?} and {processes:?}");
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }
}

/// Runs as a child of the test above: holds a demo until it is killed. By itself it does nothing.
#[test]
fn as_a_child_holds_a_demo() {
    let Some(guard) = std::env::var_os("PGMOAT_TEST_HOLD") else { return };
    runtime().block_on(async {
        // A job in the background of a shell is started deaf to Ctrl-C: here it kills all the same, without a word.
        let mut interrupted = tokio::signal::unix::signal(SignalKind::interrupt()).unwrap();
        tokio::spawn(async move {
            interrupted.recv().await;
            kill_process(rustix::process::getpid(), Signal::KILL).unwrap();
        });
        let options = DemoOptions { guard: Some(PathBuf::from(guard)), ..DemoOptions::default() };
        let _demo = Demo::start(options, &mut |_| ()).await.unwrap();
        println!("\nREADY");
        std::future::pending::<()>().await;
    });
}

/// Without a daemon here, the client is a script that notes what it is told, and the server behind the published port
/// is this test, which answers the one question that readiness asks. Connecting for real is not shown.
#[test]
fn a_container_is_run_waited_for_and_removed() {
    let place = tempfile::Builder::new().prefix("pm-").tempdir_in("/tmp").unwrap();
    let notes = place.path().join("notes");
    let docker = place.path().join("docker");
    fs::write(&docker, format!("#!/bin/sh\necho \"$@\" >> {}\n", notes.display())).unwrap();
    fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let path = format!("{}:{}", place.path().display(), std::env::var("PATH").unwrap());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "demo::as_a_child_holds_a_container", "--nocapture"])
        .env("PGMOAT_TEST_CONTAINER", cluster::guard())
        .env("PGMOAT_TEST_PORT", port.to_string())
        .env("PATH", path)
        .env("TMPDIR", place.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let told = || fs::read_to_string(&notes).unwrap_or_default();
    while !told().contains("run --detach") {
        assert!(begun.elapsed() < Duration::from_secs(30), "docker was not asked: {}", told());
        std::thread::sleep(Duration::from_millis(5));
    }
    let root = clusters_in(place.path()).pop().unwrap();
    let environment = root.join("environment");
    assert_eq!(fs::metadata(&environment).unwrap().permissions().mode() & 0o077, 0);
    let password = fs::read_to_string(&environment).unwrap();
    let password = password.trim().strip_prefix("POSTGRES_PASSWORD=").unwrap().to_owned();
    let name = root.file_name().unwrap().to_string_lossy().into_owned();
    let line = told();
    for part in
        [&format!("--name {name} "), &format!("--publish 127.0.0.1:{port}:5432"), "postgres:18 ", "-c fsync=off"]
    {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(!line.contains(&password), "the password is no argument");
    // Now the server is there.
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (mut asker, _) = listener.accept().unwrap();
    asker.read_exact(&mut [0; 8]).unwrap();
    asker.write_all(b"N").unwrap();
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let url = lines.map_while(Result::ok).find(|line| line.starts_with("postgresql://")).unwrap();
    assert_eq!(url, format!("postgresql://postgres:{password}@127.0.0.1:{port}/postgres"));
    assert!(root.exists() && !told().contains(&format!("rm -f {name}")));
    child.kill().unwrap();
    child.wait().unwrap();
    let begun = Instant::now();
    while !told().contains(&format!("rm -f {name}")) || root.exists() {
        assert!(begun.elapsed() < Duration::from_secs(30), "left after the end: {}", told());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs as a child of the test above. By itself it does nothing.
#[test]
fn as_a_child_holds_a_container() {
    let Some(guard) = std::env::var_os("PGMOAT_TEST_CONTAINER") else { return };
    let made = Cluster::start(ClusterOptions {
        server: Some(Server::Container { major: 18 }),
        port: std::env::var("PGMOAT_TEST_PORT").unwrap().parse().unwrap(),
        guard: Some(PathBuf::from(guard)),
        ..ClusterOptions::default()
    })
    .unwrap();
    println!("\n{}", made.url("postgres", "postgres"));
    loop {
        std::thread::park();
    }
}

/// Ourselves, and an ordinary user when we are root.
fn users() -> Vec<Option<(u32, u32)>> {
    let id = |what: &str| {
        let output = Command::new("id").args([what, "nobody"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    };
    if rustix::process::geteuid().is_root() { vec![None, Some((id("-u"), id("-g")))] } else { vec![None] }
}

/// This test binary again, in a process group of its own, with its temporary files in `place`.
fn child(place: &Path, user: Option<(u32, u32)>) -> Child {
    let (mut this, mut guard) = (std::env::current_exe().unwrap(), cluster::guard());
    if user.is_some() {
        // The user may not be able to enter our build directory.
        for program in [&mut this, &mut guard] {
            let copy = place.join(program.file_name().unwrap());
            fs::copy(&*program, &copy).unwrap();
            *program = copy;
        }
    }
    let mut command = Command::new(this);
    command
        .args(["--exact", "demo::as_a_child_holds_a_demo", "--nocapture"])
        .env("PGMOAT_TEST_HOLD", guard)
        .env("TMPDIR", place)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid).current_dir("/");
    }
    command.spawn().unwrap()
}

fn wait_for(child: &mut Child, place: &Path, moment: Moment) {
    if let Moment::Ready = moment {
        let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line == "READY"), "the demo did not start in the child");
        assert_eq!(clusters_in(place).len(), 2);
        return;
    }
    let begun = Instant::now();
    let seen = |name: &str| clusters_in(place).iter().any(|cluster| cluster.join(name).exists());
    while !match moment {
        Moment::Directory => seen("."),
        Moment::Initdb => seen("data/global"),
        Moment::ServerStarting => seen("data/postmaster.pid"),
        Moment::Ready => true,
    } {
        assert!(child.try_wait().unwrap().is_none(), "the child ended before {moment:?}");
        assert!(begun.elapsed() < Duration::from_secs(60), "no {moment:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn clusters_in(place: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(place).unwrap().flatten().map(|entry| entry.path());
    entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("pgmoat-")).collect()
}

/// Processes whose command line or working directory is in `place`, the guard's binary included.
fn processes_in(place: &Path) -> Vec<String> {
    let place = place.to_string_lossy().into_owned();
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .flatten()
        .filter_map(|entry| {
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let directory = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            let inside = line.contains(&place) || directory.to_string_lossy().contains(&place);
            // A zombie has neither.
            inside.then_some(line)
        })
        .collect()
}
