//! Passwords through the commands that make them: in clear they are in the file for their owner and nowhere else, not in
//! the server's log with every statement in it, its statistics, what a refused statement left there, a plan, the journal,
//! a snapshot, our log, what is printed, or the arguments and surroundings of any process.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use pgmoat::demo::cluster::{Cluster, ClusterOptions, SUPERUSER, Server};

use crate::{
    cli::{Moat, Ran},
    read::runtime,
    support::{
        cluster::{self, connect},
        terminal::Start,
    },
};

const CANARIES: [&str; 3] = ["canary-7d1e-of-create-schema", "canary-90ab-of-set-password", "canary-44c2-typed-again"];

/// Looks at the arguments and the surroundings of a process and of whatever it starts, again and again, until it ends.
struct Looker {
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<(BTreeSet<String>, usize)>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Looker {
    fn at(child: &Child) -> Looker {
        let (over, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new((BTreeSet::new(), 0))));
        let (end, found, first) = (Arc::clone(&over), Arc::clone(&seen), child.id());
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let mut family = vec![first];
                let mut at = 0;
                while let Some(pid) = family.get(at).copied() {
                    at += 1;
                    for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
                        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
                        family.extend(children.split_whitespace().filter_map(|p| p.parse::<u32>().ok()));
                    }
                    for what in ["cmdline", "environ"] {
                        let bytes = fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
                        let mut found = found.lock().unwrap();
                        found.1 += usize::from(!bytes.is_empty());
                        found.0.insert(String::from_utf8_lossy(&bytes).into_owned());
                    }
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        Looker { over, seen, thread: Some(thread) }
    }

    fn end(mut self) -> (BTreeSet<String>, usize) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        let seen = self.seen.lock().unwrap();
        (seen.0.clone(), seen.1)
    }
}

/// Every file below a directory.
fn files(of: &Path) -> Vec<PathBuf> {
    let mut list = Vec::new();
    for entry in fs::read_dir(of).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            list.extend(files(&entry.path()));
        } else {
            list.push(entry.path());
        }
    }
    list
}

struct Trial {
    cluster: Cluster,
    moat: Moat,
    url: String,
    /// Everything that was said or seen, by where.
    heard: Vec<(String, String)>,
    looks: usize,
}

impl Trial {
    /// Runs a command, with a line on its standard input, and looks at it while it runs.
    fn run(&mut self, input: Option<&str>, args: &[&str]) -> Ran {
        let log = self.moat.home.path().join("pgmoat.log");
        let all: Vec<&str> = ["-v", "--log", log.to_str().unwrap()].into_iter().chain(args.iter().copied()).collect();
        let mut command = self.moat.command(&all);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let looker = Looker::at(&child);
        let mut stdin = child.stdin.take().unwrap();
        if let Some(line) = input {
            writeln!(stdin, "{line}").unwrap();
        }
        drop(stdin);
        let ran = Ran::new(child.wait_with_output().unwrap());
        let (seen, looks) = looker.end();
        self.looks += looks;
        let words = seen.into_iter().collect::<Vec<_>>().join("\n");
        self.heard.push((format!("the processes of {args:?}"), words));
        self.heard.push((format!("what {args:?} printed"), format!("{}\n{}", ran.out, ran.err)));
        ran
    }

    async fn answer(&self, sql: &str) -> String {
        let client = connect(&self.cluster, SUPERUSER, "postgres").await;
        client.query_one(sql, &[]).await.unwrap().get::<_, Option<String>>(0).unwrap_or_default()
    }
}

fn kept(ran: &Ran) -> (PathBuf, String) {
    let place = ran.out.lines().find_map(|l| l.split_once(" is in ").filter(|(said, _)| said.contains("URL")));
    let place = PathBuf::from(place.unwrap_or_else(|| panic!("{}", ran.out)).1.trim_end_matches('.'));
    let url = fs::read_to_string(&place).unwrap();
    let password = url.split([':', '@']).nth(2).unwrap().to_owned();
    (place, password)
}

fn has_statistics(major: u32) -> bool {
    let Some(Server::Programs(programs)) = cluster::server(major) else { return false };
    let up = programs.dir.parent().map(Path::to_owned).unwrap_or_default();
    let below = ["lib/pg_stat_statements.so", "lib/postgresql/pg_stat_statements.so"];
    below.iter().any(|path| up.join(path).exists())
}

#[test]
fn a_password_is_in_the_file_of_its_owner_and_nowhere_else() {
    let majors = [cluster::majors().into_iter().min().unwrap(), cluster::newest()];
    for major in BTreeSet::from(majors) {
        passwords_of(major);
    }
}

fn passwords_of(major: u32) {
    let statistics = has_statistics(major);
    let mut settings: Vec<(String, String)> = [
        ("log_statement", "all"),
        ("log_min_duration_statement", "0"),
        ("log_min_error_statement", "debug5"),
        ("log_error_verbosity", "verbose"),
        ("log_parameter_max_length_on_error", "-1"),
        ("log_connections", "on"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    if statistics {
        settings.push(("shared_preload_libraries".to_owned(), "'pg_stat_statements'".to_owned()));
        settings.push(("pg_stat_statements.track_utility".to_owned(), "on".to_owned()));
    } else {
        println!("PostgreSQL {major}: pg_stat_statements is not there, so its texts are not looked at");
    }
    let server = cluster::server(major);
    let cluster = Cluster::start(ClusterOptions { server, settings, ..cluster::options() }).unwrap();
    let url = cluster.url(SUPERUSER, "postgres");
    let mut trial = Trial { cluster, moat: Moat::new(), url: url.clone(), heard: Vec::new(), looks: 0 };
    let runtime = runtime();
    runtime.block_on(async {
        let client = connect(&trial.cluster, SUPERUSER, "postgres").await;
        if statistics {
            client.batch_execute("create extension pg_stat_statements").await.unwrap();
        }
        let sql =
            "create role boss superuser login; create schema boss authorization boss; create table boss.t (id serial);
            alter table boss.t owner to boss";
        client.batch_execute(sql).await.unwrap();
    });
    let mut secrets: Vec<String> = CANARIES.map(str::to_owned).to_vec();
    let mut places = Vec::new();
    let made = ["create-schema", &url, "shop", "--password-stdin", "--yes"];
    let rehearsed = ["create-schema", &url, "shop", "--password-stdin", "--rehearse"];
    trial.run(Some(CANARIES[0]), &rehearsed).exits(0);
    let ran = trial.run(Some(CANARIES[0]), &made).exits(0);
    assert!(ran.out.contains("Logged in as shop_app"), "{}", ran.out);
    places.push(kept(&ran));
    let ran = trial.run(Some(CANARIES[1]), &["set-password", &url, "shop_app", "--password-stdin", "--yes"]).exits(0);
    assert!(ran.out.contains("Logged in as shop_app.\n"), "{}", ran.out);
    places.push(kept(&ran));
    // The statement is refused while somebody else changes the same role, and is in the log with what it said.
    runtime.block_on(async {
        let client = connect(&trial.cluster, SUPERUSER, "postgres").await;
        client.batch_execute("begin; alter role shop_app createdb").await.unwrap();
        let log = trial.cluster.log();
        let frees = tokio::spawn(async move {
            let refused = |log: &Path| {
                let text = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
                text.contains("canceling statement due to lock timeout")
            };
            while !refused(&log) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            client.batch_execute("rollback").await.unwrap();
        });
        let ran = tokio::task::block_in_place(|| {
            trial.run(Some(CANARIES[2]), &["set-password", &url, "shop_app", "--password-stdin", "--yes"])
        });
        places.push(kept(&ran.exits(0)));
        frees.await.unwrap();
    });
    for args in [
        &["set-password", &url, "shop_app", "--generate-password", "--yes"][..],
        &["replace-role", &url, "boss", "boss_app", "--yes"],
    ] {
        let ran = trial.run(None, args).exits(0);
        if ran.out.contains(" is in ") {
            let (place, password) = kept(&ran);
            assert_eq!(password.len(), 32);
            secrets.push(password.clone());
            places.push((place, password));
        }
    }
    assert!(secrets.len() > CANARIES.len(), "one was made here");
    let home = trial.moat.home.path().to_owned();
    let snapshot = home.join("snapshot.json");
    trial.run(None, &["snapshot", &url, "-o", snapshot.to_str().unwrap()]).exits(0);
    let policy = trial
        .moat
        .file("p.toml", "name='p'\n[[service]]\nname='late'\nschema='late'\nrole='late_app'\nversion_table=false\n");
    trial.run(None, &["plan", &url, "--policy", &policy, "-o", home.join("plan.json").to_str().unwrap()]).exits(1);
    trial.run(None, &["journal", "--format", "json"]).exits(0);
    trial.run(None, &["check", &url]);
    // A password that is wrong is not in the refusal either.
    let wrong = format!("postgresql://shop_app:{}x@127.0.0.1:{}/postgres", CANARIES[0], trial.cluster.port());
    let ran = Ran::new(trial.moat.command(&["check", &wrong]).output().unwrap());
    assert_ne!(ran.code, 0);
    trial.heard.push(("a refused login".into(), format!("{}{}", ran.out, ran.err)));
    let mut console = Start::new(&home, &[&trial.url]).run();
    console.shows("PRIMARY");
    console.press("9", "shop_app");
    console.send("q");
    console.ends(Duration::from_secs(20));
    trial.heard.push(("the console".into(), String::from_utf8_lossy(&console.raw()).into_owned()));

    runtime.block_on(async {
        let of = |what: &str, text: String| (what.to_owned(), text);
        let log = String::from_utf8_lossy(&fs::read(trial.cluster.log()).unwrap()).into_owned();
        assert!(log.contains("ALTER ROLE shop_app PASSWORD 'SCRAM-SHA-256$"), "the log holds the statements");
        assert!(log.contains("canceling statement due to lock timeout"), "and one that was refused");
        trial.heard.push(of("the server's log", log));
        let query = "select string_agg(query, ' ') from pg_stat_activity";
        trial.heard.push(of("pg_stat_activity", trial.answer(query).await));
        if statistics {
            let texts = trial.answer("select string_agg(query, ' ') from pg_stat_statements").await;
            assert!(texts.contains("ALTER ROLE shop_app PASSWORD"), "it is counted: {texts}");
            trial.heard.push(of("pg_stat_statements", texts));
        }
        let stored = trial.answer("select string_agg(rolpassword, ' ') from pg_authid").await;
        assert!(stored.matches("SCRAM-SHA-256$").count() >= 2, "{stored}");
        trial.heard.push(of("pg_authid", stored));
    });
    let mut own = 0;
    for file in files(&home) {
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        if places.iter().any(|(place, _)| *place == file) {
            own += 1;
            continue;
        }
        trial.heard.push((file.display().to_string(), text));
    }
    assert!(own > 0);
    let journal = trial.heard.iter().find(|(what, _)| what.ends_with("journal.jsonl")).unwrap();
    assert!(journal.1.lines().count() > 10 && !journal.1.contains("SCRAM-SHA-256$"), "verifiers are not kept either");
    for (what, text) in &trial.heard {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "PostgreSQL {major}: a password is in {what}");
        }
    }
    println!(
        "PostgreSQL {major}: {} passwords, {} places with {} bytes, {} looks at processes: 0 found",
        secrets.len(),
        trial.heard.len(),
        trial.heard.iter().map(|(_, text)| text.len()).sum::<usize>(),
        trial.looks
    );
    assert!(trial.looks > 100, "{}", trial.looks);
}
