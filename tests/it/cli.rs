//! The commands from outside: what is typed, what is printed where, and how it exits.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use pgmoat::demo::{Demo, DemoOptions};
use serde_json::Value;

use crate::{read, support::cluster};

/// The binary in surroundings of its own: no configuration, no libpq variables, a home that is empty.
pub struct Moat {
    pub home: tempfile::TempDir,
}

pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn new(output: Output) -> Ran {
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn says(self, words: &[&str]) -> Ran {
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in: {}", self.err);
        }
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.out, self.err))
    }
}

impl Moat {
    pub fn new() -> Moat {
        Moat { home: tempfile::tempdir().unwrap() }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgmoat"));
        command.args(args).env_clear().env("HOME", self.home.path()).env("TERM", "xterm-256color");
        for name in ["PATH", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.stdin(Stdio::null());
        command
    }

    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::new(self.command(args).output().unwrap())
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.home.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

// --- without a server -----------------------------------------------------------------------------------------------

#[test]
fn help_and_version_are_answers_and_wrong_use_exits_2() {
    let moat = Moat::new();
    for args in [&["--help"][..], &["-?"], &["check", "--help"], &["--version"]] {
        let ran = moat.run(args).exits(0);
        assert!(ran.out.contains("pgmoat") && ran.err.is_empty(), "{args:?}: {}", ran.err);
    }
    for args in [
        &["--no-such-flag"][..],
        &["-h"],
        &["check", "--format", "xml"],
        &["check", "--fail-on", "sometimes"],
        &["-w", "-W", "check"],
        &["demo", "--format", "json"],
        &["policy"],
    ] {
        let ran = moat.run(args).exits(2);
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{args:?}");
    }
}

#[test]
fn the_console_needs_a_terminal_and_names_check() {
    let moat = Moat::new();
    moat.run(&[]).exits(2).says(&["is not a terminal", "pgmoat check"]);
    moat.run(&["postgresql://127.0.0.1:1/x"]).exits(2).says(&["is not a terminal", "pgmoat check"]);
    moat.run(&["demo"]).exits(2).says(&["is not a terminal", "pgmoat demo --check"]);
}

#[test]
fn a_dumb_terminal_is_refused_like_none() {
    let moat = Moat::new();
    let pty = portable_pty::native_pty_system().openpty(portable_pty::PtySize::default()).unwrap();
    let mut command = portable_pty::CommandBuilder::new(env!("CARGO_BIN_EXE_pgmoat"));
    command.env_clear();
    command.env("HOME", moat.home.path());
    command.env("TERM", "dumb");
    let mut child = pty.slave.spawn_command(command).unwrap();
    let mut reader = pty.master.try_clone_reader().unwrap();
    drop(pty.slave);
    let mut text = Vec::new();
    let _ = std::io::Read::read_to_end(&mut reader, &mut text);
    assert_eq!(child.wait().unwrap().exit_code(), 2);
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("TERM is dumb") && text.contains("pgmoat check"), "{text}");
    assert!(!text.contains('\u{1b}'), "no escape sequence: {text:?}");
}

#[test]
fn nothing_to_connect_to_exits_2_and_says_how() {
    let moat = Moat::new();
    moat.run(&["check"]).exits(2).says(&["could not choose a server", "-h HOST"]);
    let ran = moat.run(&["check", "lcoal"]).exits(2);
    assert!(ran.out.is_empty());
    ran.says(&["lcoal"]);
}

#[test]
fn flags_stand_in_place_of_a_target() {
    let moat = Moat::new();
    let file = moat.file("s.json", "{}");
    moat.run(&["check", "x", "-h", "127.0.0.1"]).exits(2).says(&["could not combine", "TARGET"]);
    moat.run(&["check", "x", "--snapshot", &file]).exits(2).says(&["could not combine", "TARGET"]);
    moat.run(&["check", "-p", "1", "--snapshot", &file]).exits(2).says(&["could not combine", "-p"]);
    moat.run(&["themes", "--snapshot", &file]).exits(2).says(&["--snapshot", "themes"]);
    moat.run(&["keys", "-h", "x"]).exits(2).says(&["-h"]);
    moat.run(&["local", "check"]).exits(2).says(&["pgmoat check local"]);
}

#[test]
fn commands_for_one_target_refuse_several() {
    let moat = Moat::new();
    let config = moat.file(
        "c.toml",
        "[[instance]]\nname='a'\nurl='postgresql://127.0.0.1:1/x'\n[[instance]]\nname='b'\nurl='postgresql://127.0.0.1:1/y'\n",
    );
    for args in [&["snapshot"][..], &["policy", "derive"]] {
        let all: Vec<&str> = ["-c", &config].iter().chain(args).copied().collect();
        moat.run(&all).exits(2).says(&["several are meant", "a, b"]);
    }
}

#[test]
fn configuration_errors_exit_2_with_their_place() {
    let moat = Moat::new();
    moat.run(&["-c", "/no/such/file.toml", "check"]).exits(2).says(&["/no/such/file.toml"]);
    let config = moat.file("c.toml", "[ui]\ntheme = 'terminal'\nrefres_ms = 3\n");
    moat.run(&["-c", &config, "check"]).exits(2).says(&["line 3", "refresh_ms"]);
    let mut command = moat.command(&["check"]);
    let ran = Ran::new(command.env("PGMOAT_CONFIG", &config).output().unwrap());
    ran.exits(2).says(&["line 3"]);
}

#[test]
fn a_line_feed_in_a_name_makes_no_line_of_an_error() {
    let moat = Moat::new();
    let twice = moat.file("p.toml", "[[role]]\nname = \"x\\ny\"\n[[role]]\nname = \"x\\ny\"\n");
    for args in [&["policy", "check", "no\nsuch.toml"][..], &["policy", "check", &twice], &["check", "no\nsuch"]] {
        let ran = moat.run(args).exits(2);
        assert!(ran.err.lines().next().unwrap().contains("\\n"), "{args:?}: {}", ran.err);
        assert!(!ran.err.contains("\nsuch") && !ran.err.contains("\ny"), "{args:?}: {}", ran.err);
    }
    // what belongs to it has lines of its own
    let ran = moat.run(&["policy", "check", &twice]);
    assert!(ran.err.lines().count() > 1 && ran.err.contains("\n  "), "{}", ran.err);
}

#[test]
fn policy_errors_exit_2_with_line_and_suggestion() {
    let moat = Moat::new();
    let policy = moat.file("p.toml", "[[service]]\nname='a'\nschema='a'\nrole='a'\nacess={b=['read']}\n");
    moat.run(&["policy", "check", &policy]).exits(2).says(&["p.toml", "line 5", "access"]);
    moat.run(&["check", "-h", "127.0.0.1", "-p", "1", "--policy", &policy]).exits(2).says(&["line 5"]);
    moat.run(&["policy", "check", "/no/such.toml"]).exits(2).says(&["/no/such.toml"]);
    let policy = moat.file("q.toml", "[[service]]\nname='a'\nschema='a'\nrole='a'\naccess={b=['read']}\n");
    let ran = moat.run(&["policy", "check", &policy]).exits(0);
    assert!(ran.out.contains("1 service"), "{}", ran.out);
}

#[test]
fn an_unreachable_server_exits_3_and_never_shows_the_password() {
    let moat = Moat::new();
    for url in [
        "postgresql://u:geheim@127.0.0.1:1/x",
        "postgresql://u:geheim@no-such-host.invalid/x",
        "host=/no/such/dir password=geheim",
    ] {
        for command in ["check", "matrix", "versions", "sessions", "snapshot"] {
            let began = Instant::now();
            let ran = moat.run(&[command, url]).exits(3).says(&["could not connect to"]);
            assert!(!ran.err.contains("geheim") && !ran.out.contains("geheim"), "{}", ran.err);
            assert_eq!(ran.err.matches("could not connect").count(), 1, "printed once: {}", ran.err);
            assert!(began.elapsed() < Duration::from_secs(20));
        }
    }
    let ran = moat.run(&["check", "--format", "json", "postgresql://u:geheim@127.0.0.1:1/x"]).exits(3);
    assert!(ran.json()["summary"]["instances"][0]["error"].as_str().unwrap().contains("could not connect"));
}

#[test]
fn a_reader_that_went_away_is_quiet_and_a_full_disk_is_not() {
    let moat = Moat::new();
    let mut child = moat.command(&["man"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ran = Ran::new(child.wait_with_output().unwrap()).exits(0);
    assert_eq!(ran.err, "");
    if let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") {
        let output = moat.command(&["man"]).stdout(full).output().unwrap();
        Ran::new(output).exits(2).says(&["could not write to standard output"]);
    }
}

#[test]
fn generated_texts_name_what_there_is() {
    let moat = Moat::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = moat.run(&["completions", shell]).exits(0);
        assert!(ran.out.contains("matrix") && ran.out.contains("fail-on"), "{shell}");
    }
    assert!(moat.run(&["man"]).exits(0).out.contains("EXIT STATUS"));
    let keys = moat.run(&["keys"]).exits(0).out;
    assert!(keys.lines().count() > 10, "{keys}");
    let table = moat.run(&["keys", "--format", "markdown"]).exits(0).out;
    assert!(table.starts_with("| key | action |"));
    assert!(table.lines().all(|l| l.replace("\\|", "").matches('|').count() == 5), "{table}");
    assert!(moat.run(&["themes"]).exits(0).out.starts_with("terminal"));
    let info = moat.run(&["info", "--format", "json"]).exits(0).json();
    let config = info["paths"]["config"]["path"].as_str().unwrap().to_owned();
    assert!(Path::new(&config).starts_with(moat.home.path()), "{config}");
    assert!(moat.run(&["info"]).exits(0).out.contains(&config));
}

#[test]
fn the_log_goes_where_it_is_told_and_without_colours() {
    let moat = Moat::new();
    let log = moat.home.path().join("x.log");
    let path = log.to_str().unwrap();
    moat.run(&["--log", path, "-vv", "check", "postgresql://u:geheim@127.0.0.1:1/x"]).exits(3);
    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.contains('\u{1b}') && !text.contains("geheim"), "{text}");
    moat.run(&["--log", "/no/such/dir/x.log", "themes"]).exits(2).says(&["could not write the log"]);
    assert!(!moat.home.path().join(".local").exists(), "a command leaves no state behind");
}

// --- with a server ----------------------------------------------------------------------------------------------------

/// The demo's two instances in their broken state, shared by these tests; gone with the test process.
pub fn demo() -> &'static Demo {
    static DEMO: OnceLock<(tokio::runtime::Runtime, Demo)> = OnceLock::new();
    let (_, demo) = DEMO.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let options = DemoOptions {
            major: Some(cluster::newest()),
            quiet: true,
            guard: Some(cluster::guard()),
            ..DemoOptions::default()
        };
        let demo = runtime.block_on(Demo::start(options, &mut |_| {})).unwrap();
        (runtime, demo)
    });
    demo
}

pub fn config() -> &'static str {
    demo().config_path().to_str().unwrap()
}

fn url(instance: &str) -> String {
    demo().targets().into_iter().find(|t| t.name == instance).unwrap().tcp_url
}

fn codes(check: &Value) -> Vec<String> {
    let findings = check["findings"].as_array().unwrap();
    findings.iter().map(|f| f["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn check_finds_what_the_demo_broke_and_exits_1() {
    let moat = Moat::new();
    let ran = moat.run(&["-c", config(), "check", "--format", "json"]).exits(1);
    assert!(ran.err.is_empty(), "{}", ran.err);
    let check = ran.json();
    let codes = codes(&check);
    for code in ["version-table-shared", "grant-missing", "grant-excess", "role-overprivileged"] {
        assert!(codes.iter().any(|c| c == code), "{code} in {codes:?}");
    }
    let fixed = check["findings"].as_array().unwrap().iter().find(|f| f["code"] == "grant-missing").unwrap();
    assert!(fixed["fix"][0].as_str().unwrap().starts_with("GRANT "), "{fixed}");
    assert_eq!(check["summary"]["instances"].as_array().unwrap().len(), 2);
    let text = moat.run(&["-c", config(), "check"]).exits(1).out;
    assert!(text.contains("version-table-shared") && !text.contains('\u{1b}'));
    let sarif = moat.run(&["-c", config(), "check", "--format", "sarif"]).exits(1).json();
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), codes.len());
    moat.run(&["-c", config(), "check", "flowdb", "--fail-on", "critical", "--format", "json"]);
}

#[test]
fn a_dead_instance_exits_3_and_hides_nothing_of_the_others() {
    let moat = Moat::new();
    let both = format!(
        "[[instance]]\nname='dead'\nurl='postgresql://127.0.0.1:1/x'\n[[instance]]\nname='live'\nurl='{}'\n",
        url("engarde")
    );
    let config = moat.file("c.toml", &both);
    let ran = moat.run(&["-c", &config, "check", "--format", "json"]).exits(3).says(&["could not connect to"]);
    let check = ran.json();
    assert!(!codes(&check).is_empty());
    assert_eq!(check["summary"]["instances"][0]["instance"], "dead");
    let matrix = moat.run(&["-c", &config, "matrix", "--format", "json"]).exits(3).json();
    assert_eq!(matrix["instances"].as_array().unwrap().len(), 1);
}

#[test]
fn a_wrong_password_exits_3_and_is_not_shown() {
    let moat = Moat::new();
    let port = demo().cluster("engarde").unwrap().port();
    let url = format!("postgresql://postgres:ganz-falsch@127.0.0.1:{port}/engarde");
    let ran = moat.run(&["check", &url]).exits(3).says(&["could not connect to", "28P01"]);
    assert!(!ran.err.contains("ganz-falsch"));
    let none = format!("postgresql://postgres@127.0.0.1:{port}/engarde");
    moat.run(&["check", &none]).exits(3).says(&["could not connect to", "password"]);
    moat.run(&["check", "-w", &none]).exits(3).says(&["password"]);
}

#[test]
fn on_a_terminal_a_password_is_asked_for_and_not_echoed() {
    let moat = Moat::new();
    let cluster = demo().cluster("engarde").unwrap();
    let url = format!("postgresql://postgres@127.0.0.1:{}/engarde", cluster.port());
    for (typed, code) in [(cluster.password(), 1), ("ganz-falsch", 3)] {
        let pty = portable_pty::native_pty_system().openpty(portable_pty::PtySize::default()).unwrap();
        let mut command = portable_pty::CommandBuilder::new(env!("CARGO_BIN_EXE_pgmoat"));
        command.args(["check", &url]);
        command.env_clear();
        command.env("HOME", moat.home.path());
        command.env("TERM", "xterm");
        let mut child = pty.slave.spawn_command(command).unwrap();
        let mut reader = pty.master.try_clone_reader().unwrap();
        let mut writer = pty.master.take_writer().unwrap();
        drop(pty.slave);
        let (mut text, mut answered) = (Vec::new(), false);
        let mut piece = [0; 4096];
        while let Ok(n @ 1..) = std::io::Read::read(&mut reader, &mut piece) {
            text.extend_from_slice(&piece[..n]);
            if !answered && String::from_utf8_lossy(&text).to_lowercase().contains("password") {
                std::io::Write::write_all(&mut writer, format!("{typed}\r").as_bytes()).unwrap();
                answered = true;
            }
        }
        let text = String::from_utf8_lossy(&text);
        assert_eq!(child.wait().unwrap().exit_code(), code, "{text}");
        assert!(answered && !text.contains(typed), "{text}");
    }
}

#[test]
fn matrix_has_every_cell_and_the_filters_take_some_away() {
    let moat = Moat::new();
    let all = moat.run(&["matrix", &url("engarde"), "--format", "json"]).exits(0).json();
    let cells = all["instances"][0]["cells"].as_array().unwrap().clone();
    let roles: std::collections::BTreeSet<String> = cells.iter().map(|c| c["role"].to_string()).collect();
    let schemas: std::collections::BTreeSet<String> = cells.iter().map(|c| c["schema"].to_string()).collect();
    assert_eq!(cells.len(), roles.len() * schemas.len());
    assert!(roles.contains("null") && !roles.iter().any(|r| r.starts_with("\"pg_")));
    let one = ["matrix", &url("engarde"), "--format", "json", "--role", "langflow_app", "--schema", "langflow"];
    let one = moat.run(&one).exits(0).json();
    let cell = &one["instances"][0]["cells"][0];
    assert_eq!(cells.iter().find(|c| c["role"] == "langflow_app" && c["schema"] == "langflow"), Some(cell));
    moat.run(&["matrix", &url("engarde"), "--role", "langflow_ap"]).exits(2).says(&["langflow_app"]);
}

#[test]
fn explain_answers_with_its_exit_code() {
    let moat = Moat::new();
    let ask = |words: &[&str]| {
        let url = url("engarde");
        let all: Vec<&str> = ["explain", &url].iter().chain(words).copied().collect();
        moat.run(&all)
    };
    let ran = ask(&["engarde_user", "SELECT", "public.users"]).exits(0);
    assert!(ran.out.contains("May engarde_user SELECT from table public.users?   Yes."), "{}", ran.out);
    let ran = ask(&["analytics_readonly", "DELETE", "public.users"]).exits(1);
    assert!(ran.out.contains("No."), "{}", ran.out);
    ask(&["nobody_here", "SELECT", "public.users"]).exits(2).says(&["nobody_here"]);
    ask(&["engarde_user", "SELECT", "public.userz"]).exits(2).says(&["Did you mean public.users?"]);
    ask(&["engarde_user", "SELECT", "nowhere"]).exits(2).says(&["nowhere"]);
    let test = ["isolation-test", &url("engarde"), "--role", "engarde_usr"];
    moat.run(&test).exits(2).says(&["could not find the role engarde_usr", "Did you mean engarde_user?"]);
    moat.run(&["chek", "engarde"])
        .exits(2)
        .says(&["a command or an instance called chek", "Did you mean `pgmoat check`?"]);
    ask(&["engarde_user", "EXECUTE", "public.users"]).exits(2).says(&["EXECUTE"]);
    ask(&["engarde_user", "CONNECT", "database:engarde"]).exits(0);
    // the example of the README is what it says
    let shown = include_str!("../../README.md").split("explain engarde onside_user").nth(1).unwrap();
    let shown = shown.split("```").next().unwrap().split_once('\n').unwrap().1;
    let ran = moat.run(&["-c", config(), "explain", "engarde", "onside_user", "INSERT", "public.campaigns"]).exits(0);
    assert_eq!(ran.out.trim(), shown.trim());
    let json = ask(&["engarde_user", "USAGE", "public", "--format", "json"]).exits(0).json();
    assert_eq!(json["answers"][0]["privilege"], "USAGE");
    assert_eq!(json["schema_version"], 1);
}

#[test]
fn versions_and_sessions_have_their_plural_keys() {
    let moat = Moat::new();
    let versions = moat.run(&["-c", config(), "versions", "--format", "json"]).exits(0).json();
    let shared = versions["versions"].as_array().unwrap().iter().find(|v| v["class"] == "shared").unwrap();
    assert_eq!((&shared["schema"], &shared["table"]), (&"public".into(), &"alembic_version".into()));
    assert!(shared["rows"].as_array().unwrap().len() > 1);
    let sessions = moat.run(&["sessions", &url("engarde"), "--format", "json"]).exits(0).json();
    let rows = sessions["sessions"].as_array().unwrap();
    assert!(rows.iter().any(|s| s["own"] == true), "{rows:?}");
    assert!(rows.iter().all(|s| s["pid"].is_number() && s.get("query_age_ms").is_some()));
    let text = moat.run(&["-c", config(), "versions"]).exits(0).out;
    assert!(text.contains("public.alembic_version") && text.contains("SHARED"), "{text}");
}

/// Sessions that stand still while a test looks; those of other tests come and go.
const STANDS: &str = "stands still";

/// What differs between two readings of the same database: times, ages, and sessions that come and go.
fn settled(mut value: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.retain(|key, _| key != "taken_at" && !key.ends_with("_ms"));
                map.values_mut().for_each(walk);
            }
            Value::Array(rows) => {
                rows.retain(|row| row.get("own").is_none() || row["application"] == STANDS);
                rows.iter_mut().for_each(walk);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    walk(&mut value);
    value
}

#[test]
fn a_recording_answers_as_its_server_did() {
    let moat = Moat::new();
    let file: PathBuf = moat.home.path().join("s.json");
    let path = file.to_str().unwrap();
    let runtime = read::runtime();
    let mut stands: tokio_postgres::Config = url("engarde").parse().unwrap();
    let (_stands, connection) =
        runtime.block_on(stands.application_name(STANDS).connect(tokio_postgres::NoTls)).unwrap();
    runtime.spawn(connection);
    let ran = moat.run(&["-c", config(), "snapshot", "engarde", "-o", path]).exits(0);
    assert!(ran.out.is_empty() && ran.err.contains(path) && ran.err.contains("pgmoat --snapshot"), "{}", ran.err);
    let recorded: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(recorded["schema_version"], 1);
    for args in [
        &["check", "--format", "json"][..],
        &["matrix", "--format", "json"],
        &["versions", "--format", "json"],
        &["sessions", "--format", "json"],
    ] {
        let live: Vec<&str> = ["-c", config()].iter().chain(args).chain(&["engarde"]).copied().collect();
        let replay: Vec<&str> = ["-c", config(), "--snapshot", path].iter().chain(args).copied().collect();
        let (live, replay) = (moat.run(&live), moat.run(&replay));
        assert_eq!(live.code, replay.code, "{args:?}: {}", replay.err);
        let (mut live, mut replay) = (settled(live.json()), settled(replay.json()));
        if args[0] == "check" {
            // the server's policy speaks of another instance, which a recording cannot look at
            for answer in [&mut live, &mut replay] {
                answer["findings"].as_array_mut().unwrap().retain(|f| f["instance"] == "engarde");
                answer["summary"] = answer["summary"]["instances"][0].take();
            }
            assert!(!live["findings"].as_array().unwrap().is_empty());
        }
        assert_eq!(live, replay, "{args:?}");
        if let Some(sessions) = live.get("sessions") {
            assert_eq!(sessions.as_array().unwrap().len(), 1, "{sessions}");
        }
    }
    let question = ["langflow_app", "SELECT", "public.users", "--format", "json"];
    let live: Vec<&str> = ["-c", config(), "explain", "engarde"].iter().chain(&question).copied().collect();
    let replay: Vec<&str> = ["-c", config(), "--snapshot", path, "explain"].iter().chain(&question).copied().collect();
    let (live, replay) = (moat.run(&live), moat.run(&replay));
    assert_eq!((live.code, live.json()), (replay.code, replay.json()));
    let out = moat.run(&["snapshot", &url("engarde")]).exits(0);
    assert_eq!(out.json()["schema_version"], 1);
}

#[test]
fn a_derived_policy_finds_nothing_missing_and_nothing_too_much() {
    let moat = Moat::new();
    let file = moat.home.path().join("derived.toml");
    let path = file.to_str().unwrap();
    let derived = moat.run(&["policy", "derive", &url("engarde"), "-o", path]).exits(0);
    let derived = derived.says(&[path, "`pgmoat check TARGET --policy"]);
    assert!(derived.out.is_empty(), "{}", derived.out);
    moat.run(&["policy", "derive", &url("engarde"), "-o", path]).exits(2).says(&["exists already"]);
    let checked = moat.run(&["policy", "check", path]).exits(0);
    assert!(checked.out.contains("`pgmoat check TARGET --policy"), "{}", checked.out);
    let check = moat.run(&["check", &url("engarde"), "--policy", path, "--format", "json"]).json();
    // What is there is declared; a fault (two applications in one version table) stays a fault.
    let declared = ["existence", "grants", "ownership"];
    let accused = check["findings"].as_array().unwrap().iter();
    let accused: Vec<_> = accused
        .filter(|f| f["severity"] != "info" && declared.iter().any(|group| f["group"] == *group))
        .map(|f| f["id"].as_str().unwrap())
        .collect();
    assert!(accused.is_empty(), "{accused:?}");
    assert_eq!(check["summary"]["instances"][0]["cells_differing"], 0);
    // It says the same of this connection when an instance of the configuration has it, too.
    let config = format!("[[instance]]\nname='engarde'\nurl='{}'\npolicy='{path}'\n", url("engarde"));
    let config = moat.file("owner.toml", &config);
    let ids = |check: &Value| -> Vec<String> {
        let all = check["findings"].as_array().unwrap().iter();
        all.map(|f| f["id"].as_str().unwrap().to_owned()).collect()
    };
    let again = moat.run(&["-c", &config, "check", &url("engarde"), "--policy", path, "--format", "json"]).json();
    assert_eq!(ids(&again), ids(&check));
}
