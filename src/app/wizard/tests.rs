//! The set-up as a state machine, and every screen of it as text: keys alone lead to the end, back keeps answers, nothing
//! is confirmed before it was seen, no password is shown or kept.

use std::sync::Arc;

use super::{
    Around, Block, Effect, Judged, Left, Msg, Opened, Place, Proof, Proven, Remaining, Step, Text, Trouble, Wizard,
};
use crate::{
    app::{
        act::{ActNews, After, Aftermath, Fate, Meaning, Progress, Ready, Told},
        keymap::{Code, Key},
        view::Tone,
    },
    config::target::Environment,
    domain::snapshot::Snapshot,
    plan::build,
    policy::{
        Level, Severity,
        checks::fixture::Fixture,
        draft::{Draft, Kept, Neighbour},
        judgement::Judgement,
    },
    tui::text_of,
};

/// The server of the tests: nothing in it but `public`, or two services that know too much of each other.
fn snapshot(mess: bool) -> Arc<Snapshot> {
    let fixture = if mess {
        Fixture::new()
            .role("orders_user")
            .role("billing_user")
            .role("dashboard")
            .schema("orders", "orders_user")
            .schema("billing", "billing_user")
            .table("orders", "cart", "orders_user")
            .table("billing", "bill", "billing_user")
            .grant_schema("billing", "orders_user", "USAGE")
            .grant("billing.bill", "orders_user", "SELECT, INSERT, UPDATE, DELETE")
            .grant_schema("orders", "dashboard", "USAGE")
            .grant("orders.cart", "dashboard", "SELECT")
    } else {
        Fixture::new()
    };
    Arc::new(fixture.case().snapshot)
}

struct Bench {
    wizard: Wizard,
    mess: bool,
    /// Not taken yet.
    effects: Vec<Effect>,
}

impl Bench {
    fn new(mess: bool, earlier: Option<Kept>) -> Bench {
        let taken = vec![("taken".to_owned(), "postgresql://elsewhere/x".to_owned())];
        let (wizard, effects) = Wizard::new(earlier.into_iter().map(|kept| (kept, true)).collect(), None, taken);
        let mut bench = Bench { wizard, mess, effects };
        bench.update(Msg::Resize(120, 40));
        bench.draw();
        bench
    }

    fn update(&mut self, msg: Msg) {
        let effects = self.wizard.update(msg);
        self.effects.extend(effects);
    }

    /// The frame is painted, and stands on the terminal.
    fn draw(&mut self) -> String {
        let screen = self.wizard.view();
        let frame = self.wizard.frame();
        self.update(Msg::Drawn(frame));
        text_of(&screen)
    }

    fn key(&mut self, code: Code) {
        self.update(Msg::Key(Key::plain(code)));
        self.draw();
    }

    fn keys(&mut self, text: &str) {
        for c in text.chars() {
            self.key(Code::Char(c));
        }
    }

    fn shows(&mut self, words: &str) {
        let text = self.draw();
        assert!(text.contains(words), "no {words:?} in\n{text}");
    }

    fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The ticket of the only effect that has one.
    fn ticket(&mut self) -> u64 {
        let all = self.take();
        let mut tickets = all.iter().filter_map(|e| match e {
            Effect::Open { ticket, .. }
            | Effect::Judge { ticket, .. }
            | Effect::Rehearse { ticket, .. }
            | Effect::Apply { ticket, .. }
            | Effect::Files { ticket, .. }
            | Effect::WriteFiles { ticket }
            | Effect::Prove { ticket } => Some(*ticket),
            _ => None,
        });
        let ticket = tickets.next().unwrap_or_else(|| panic!("nothing was asked for: {all:?}"));
        assert_eq!(tickets.next(), None, "{all:?}");
        ticket
    }

    fn found(&mut self) {
        let place = |name: &str, answers| Place {
            name: name.to_owned(),
            conninfo: Some(format!("postgresql://me@localhost:5432/{name}")),
            guessed: false,
            state: "PostgreSQL 15, answers".to_owned(),
            answers,
            facts: vec![
                ("from", "compose.yaml:3 (service db)".to_owned()),
                ("password", "POSTGRES_PASSWORD in compose.yaml:7, used when the server asks".to_owned()),
                ("service", "web as web_app, schema web".to_owned()),
            ],
        };
        let places = vec![
            Place { state: "PostgreSQL, nothing listens there now".to_owned(), ..place("old", false) },
            place("shop", true),
        ];
        let around = Around { places, looked: vec!["Compose files: 1 file, read by pgmoat itself".to_owned()] };
        self.update(Msg::Found(Arc::new(around)));
        self.draw();
    }

    fn opened(&self) -> Opened {
        Opened {
            snapshot: snapshot(self.mess),
            url: "postgresql://me@localhost:5432/shop".to_owned(),
            sees: vec![(Tone::Good, "me is a superuser: it sees everything and may do everything.".to_owned())],
            wrong: if self.mess {
                vec![(Severity::Error, "orders_user can write to billing.".to_owned(), Some("billing".to_owned()))]
            } else {
                Vec::new()
            },
            environment: Environment::Development,
            neighbours: Vec::<Neighbour>::new(),
        }
    }

    fn open(&mut self) {
        let ticket = self.ticket();
        let opened = Box::new(self.opened());
        self.update(Msg::Opened(ticket, Ok(opened)));
        self.draw();
    }

    /// What the answers lead to, as the loop would say it.
    fn judge(&mut self, remaining: Vec<Remaining>) {
        let ticket = self.ticket();
        let read = snapshot(self.mess);
        let policy = Arc::new(self.wizard.draft.policy(&read));
        let judged = Judgement::new(Arc::clone(&read), Some(policy), Arc::default(), None);
        let plan = build::converge(&judged, &[]);
        let ready = Ready {
            title: "Set up".to_owned(),
            meaning: Meaning::New,
            cells: Vec::new(),
            settles: plan.steps.len(),
            remaining: 0,
            lacks: Vec::new(),
            now: Vec::new(),
            questions: Vec::new(),
            after: After::default(),
            plan,
        };
        let ready = (!ready.plan.is_empty()).then(|| Box::new(ready));
        let script = "-- the script\n".to_owned();
        self.update(Msg::Judged(ticket, Ok(Box::new(Judged { snapshot: read, script, remaining, ready }))));
        self.draw();
    }

    fn committed(&mut self) {
        let ticket = self.ticket();
        let said =
            vec![(Tone::Good, "The password of shop_app is in /s/handover/x.env; only you can read it.".to_owned())];
        let told = Told {
            fate: Fate::Committed,
            title: "Done and committed: read again, it is as predicted. Journal entry 1.".to_owned(),
            details: vec!["Transaction 737.".to_owned()],
            remedy: None,
            refused: Vec::new(),
            aftermath: Some(Box::new(Aftermath { said, handover: None })),
        };
        self.update(Msg::Act(ticket, ActNews::Over(told)));
        self.draw();
    }

    fn go_to_services(&mut self) {
        self.found();
        self.key(Code::Enter);
        self.open();
        self.key(Code::Enter);
        self.key(Code::Enter);
        assert_eq!(self.wizard.step(), Step::Services);
    }

    fn go_to_plan(&mut self) {
        self.go_to_services();
        self.key(Code::Enter);
        self.key(Code::Enter);
        assert_eq!(self.wizard.step(), Step::Plan);
    }

    fn snap(&mut self, name: &str) {
        for (width, height) in [(80, 24), (120, 40)] {
            self.update(Msg::Resize(width, height));
            let text = self.draw();
            let foot = text.lines().last().unwrap_or_default();
            for (key, does) in self.wizard.page().keys.iter().filter(|(key, _)| matches!(*key, "Esc" | "q")) {
                assert!(foot.contains(&format!("{key} {does}")), "{name} at {width}: {foot}");
            }
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), text);
        }
    }
}

fn remaining() -> Vec<Remaining> {
    let one = |finding: &str, message: &str, later: &str| Remaining {
        finding: finding.to_owned(),
        message: message.to_owned(),
        severity: Severity::Critical,
        why: "Both applications refuse to migrate.".to_owned(),
        later: later.to_owned(),
        reason: format!("left at the set-up; begin with `{later}`"),
    };
    vec![
        one(
            "version-table-shared:public.alembic_version",
            "orders and billing share public.alembic_version.",
            "pgmoat versions move",
        ),
        one("password-expiry:dashboard", "The password of dashboard ran out 3 days ago.", "pgmoat set-password"),
    ]
}

#[test]
fn keys_alone_lead_from_nothing_to_the_end() {
    let mut bench = Bench::new(false, None);
    bench.shows("Looking at Compose files");
    bench.found();
    bench.snap("server");
    bench.key(Code::Enter);
    bench.shows("Connecting to postgresql://me@localhost:5432/shop");
    bench.open();
    bench.snap("connection");
    bench.key(Code::Enter);
    bench.snap("there");
    bench.key(Code::Enter);
    bench.keys("shop");
    bench.snap("new_service");
    bench.key(Code::Enter);
    bench.key(Code::Char('a'));
    bench.keys("billing");
    bench.key(Code::Enter);
    bench.key(Code::Down);
    bench.key(Code::Char(' '));
    bench.snap("services");
    bench.key(Code::Enter);
    bench.key(Code::Right);
    bench.key(Code::Char('r'));
    bench.snap("access");
    bench.key(Code::Enter);
    bench.shows("Reading what is there now");
    bench.judge(Vec::new());
    bench.snap("plan");
    bench.key(Code::Enter);
    bench.snap("confirm");
    assert!(!bench.take().iter().any(|e| matches!(e, Effect::Apply { .. })));
    bench.key(Code::Char('y'));
    bench.committed();
    bench.snap("done");
    assert!(bench.wizard.kept().applied);
    bench.take();
    bench.key(Code::Enter);
    let ticket = bench.ticket();
    let text = |path: &str, text: &str| Text { path: path.to_owned(), what: "new".to_owned(), text: text.to_owned() };
    let texts = vec![
        text("/p/shop.policy.toml", "# the policy\nname = \"a\\\\b\\u001B\"\n"),
        text("/c/config.toml", "[[instance]]\n"),
    ];
    bench.update(Msg::Files(ticket, Ok(texts)));
    bench.snap("files");
    // as it will be written: no backslash is doubled for the screen
    bench.shows("name = \"a\\\\b\\u001B\"\n".trim_end());
    bench.key(Code::Tab);
    bench.shows("[[instance]]");
    bench.key(Code::Enter);
    let ticket = bench.ticket();
    bench.update(Msg::Written(ticket, Ok(())));
    let ticket = bench.ticket();
    let proof = |holds, sentence: &str| Proof { holds, sentence: sentence.to_owned(), remedy: None };
    let proven = Proven {
        proofs: vec![
            proof(Some(true), "shop: logged in as shop_app; what it creates goes to shop."),
            proof(Some(true), "The matrix is as declared, in all 6 cells."),
            proof(None, "The server asked for no password."),
        ],
        blocks: vec![
            Block {
                service: "shop".into(),
                file: Some("/s/handover/x.env".into()),
                text: "DATABASE_URL=postgresql://shop_app:PASSWORD@localhost/shop\n".into(),
            },
            Block {
                service: "billing".into(),
                file: None,
                text: "DATABASE_URL=postgresql://billing_app:PASSWORD@localhost/shop\n".into(),
            },
        ],
    };
    bench.update(Msg::Proven(ticket, Box::new(proven)));
    bench.snap("proofs");
    bench.key(Code::Tab);
    bench.shows("billing_app:PASSWORD");
    bench.take();
    bench.key(Code::Char('p'));
    assert_eq!(bench.take(), [Effect::Remember]);
    bench.key(Code::Enter);
    assert!(matches!(bench.take().as_slice(), [Effect::Forget(_), Effect::Leave(Left::Console)]));
}

#[test]
fn back_and_forth_loses_no_answer() {
    let mut bench = Bench::new(true, None);
    bench.go_to_services();
    // one service out, one in, another name for it
    bench.key(Code::Char(' '));
    bench.key(Code::Char('a'));
    bench.keys("mail");
    bench.key(Code::Enter);
    bench.key(Code::Enter);
    bench.key(Code::Right);
    bench.key(Code::Char('w'));
    let before = bench.wizard.kept().draft;
    assert!(before.services.iter().any(|s| s.name == "mail" && s.chosen && s.role == "mail_app"));
    assert!(before.services.iter().any(|s| !s.chosen));
    bench.key(Code::Enter);
    bench.judge(Vec::new());
    for step in [Step::Access, Step::Services, Step::There, Step::Connection, Step::Server] {
        bench.key(Code::Esc);
        assert_eq!(bench.wizard.step(), step);
        assert_eq!(bench.wizard.kept().draft, before);
    }
    bench.take();
    // the same server once more: what was answered stays
    bench.key(Code::Enter);
    bench.open();
    assert_eq!(bench.wizard.step(), Step::Connection);
    assert_eq!(bench.wizard.kept().draft, before);
    // another database begins anew
    bench.key(Code::Esc);
    bench.take();
    bench.key(Code::Enter);
    let ticket = bench.ticket();
    let mut other = Box::new(bench.opened());
    let changed = Arc::make_mut(&mut other.snapshot);
    Arc::make_mut(&mut changed.server).database = "other".to_owned();
    bench.update(Msg::Opened(ticket, Ok(other)));
    assert_ne!(bench.wizard.kept().draft, before);
}

#[test]
fn the_matrix_says_what_is_there_and_takes_every_level() {
    let mut bench = Bench::new(true, None);
    bench.go_to_services();
    bench.key(Code::Enter);
    bench.snap("mess_access");
    let levels = |bench: &Bench| bench.wizard.draft.levels("orders", "billing");
    let found = levels(&bench);
    assert!(!found.is_empty(), "as it is today");
    // billing, orders, then the role; columns as the services
    let columns = bench.wizard.draft.places();
    let at = columns.iter().position(|c| c == "billing").unwrap();
    let row = bench.wizard.draft.chosen().position(|s| s.name == "orders").unwrap();
    for _ in 0..row {
        bench.key(Code::Down);
    }
    for _ in 0..at {
        bench.key(Code::Right);
    }
    let mut seen = vec![found.clone()];
    loop {
        bench.key(Code::Char(' '));
        let now = levels(&bench);
        if now == found {
            break;
        }
        assert!(!seen.contains(&now) && seen.len() < 10, "{seen:?} {now:?}");
        seen.push(now);
    }
    assert!(seen.contains(&Vec::new()) && seen.contains(&vec![Level::Read]) && seen.contains(&vec![Level::Write]));
    for (key, wanted) in [('a', vec![Level::Append]), ('r', vec![Level::Read]), ('n', Vec::new())] {
        bench.key(Code::Char(key));
        assert_eq!(levels(&bench), wanted);
    }
    // its own schema is no question
    bench.key(if at == 0 { Code::Right } else { Code::Left });
    bench.key(Code::Char('n'));
    bench.shows("a service owns its schema");
}

#[test]
fn what_no_plan_settles_is_left_with_a_reason_or_stays_a_finding() {
    let mut bench = Bench::new(true, None);
    bench.go_to_plan();
    bench.judge(remaining());
    bench.snap("leave");
    bench.key(Code::Down);
    bench.key(Code::Char(' '));
    bench.shows("It stays a finding");
    bench.take();
    bench.key(Code::Enter);
    let accepted = &bench.wizard.draft.accepted;
    assert_eq!(accepted.len(), 1);
    assert!(
        accepted[0].finding.starts_with("version-table-shared") && accepted[0].reason.contains("pgmoat versions move")
    );
    // what was decided is not asked again
    bench.judge(remaining());
    bench.shows("This would be run");
}

#[test]
fn what_becomes_of_findings_can_be_decided_again_from_both_sides() {
    let mut bench = Bench::new(true, None);
    bench.go_to_plan();
    bench.judge(remaining());
    // the second one stays a finding
    bench.key(Code::Down);
    bench.key(Code::Char(' '));
    bench.take();
    bench.key(Code::Enter);
    bench.judge(remaining());
    bench.shows("This would be run");
    // back from the plan it is asked again, with what was answered
    bench.key(Code::Esc);
    bench.shows("2 things cannot be settled by a plan");
    bench.shows("[x] ‼ orders and billing share");
    bench.shows("[ ] ‼ The password of dashboard");
    bench.key(Code::Up);
    bench.key(Code::Up);
    bench.key(Code::Char(' '));
    bench.take();
    bench.key(Code::Enter);
    assert_eq!(bench.wizard.draft.accepted, [], "what is not left any more is no exception");
    bench.judge(remaining());
    bench.shows("This would be run");
    // to the question before it and forward again: it is asked about all, whatever is left so far
    bench.key(Code::Esc);
    bench.key(Code::Char('a'));
    bench.take();
    bench.key(Code::Enter);
    bench.judge(Vec::new());
    bench.key(Code::Esc);
    bench.key(Code::Esc);
    assert_eq!(bench.wizard.step(), Step::Access);
    let left = bench.wizard.draft.accepted.clone();
    assert_eq!(left.len(), 2);
    bench.take();
    bench.key(Code::Enter);
    let asked = bench.effects.iter().find_map(|e| if let Effect::Judge { draft, .. } = e { Some(draft) } else { None });
    assert_eq!(asked.unwrap().accepted, [], "judged without what is left");
    bench.judge(remaining());
    bench.shows("2 things cannot be settled by a plan");
    bench.shows("[x] ‼ The password of dashboard");
    bench.key(Code::Enter);
    bench.judge(Vec::new());
    assert_eq!(bench.wizard.draft.accepted, left);
    // what does not arise any more is no exception either, and nothing is asked then
    bench.key(Code::Esc);
    bench.key(Code::Esc);
    bench.take();
    bench.key(Code::Enter);
    bench.judge(Vec::new());
    bench.shows("This would be run");
    assert_eq!(bench.wizard.draft.accepted, []);
    // from the files it is the plan that one comes back to, and the question before it next
    bench.key(Code::Esc);
    bench.take();
    bench.key(Code::Enter);
    bench.judge(remaining());
    bench.key(Code::Enter);
    bench.judge(Vec::new());
    bench.take();
    bench.key(Code::Char('w'));
    bench.key(Code::Enter);
    bench.key(Code::Char('n'));
    assert_eq!(bench.wizard.step(), Step::Files);
    bench.take();
    bench.key(Code::Esc);
    bench.judge(Vec::new());
    bench.shows("This would be run");
    bench.key(Code::Esc);
    bench.shows("2 things cannot be settled by a plan");
    bench.key(Code::Esc);
    assert_eq!(bench.wizard.step(), Step::Access);
}

#[test]
fn every_question_tells_what_it_decides_and_its_keys() {
    fn told(bench: &mut Bench, step: Step) {
        assert_eq!(bench.wizard.step(), step);
        let keys = bench.wizard.page().keys;
        let before = bench.draw();
        bench.key(Code::F(1));
        let text = bench.draw();
        assert!(text.contains(&format!("{}: what it decides, and its keys", step.title())), "{text}");
        let decides: Vec<&str> = step.decides().split(' ').take(6).collect();
        assert!(text.contains(&decides.join(" ")), "{text}");
        for (key, does) in keys {
            let line = text.lines().find(|l| l.trim_start().starts_with(key) && l.trim_end().ends_with(does));
            assert!(line.is_some(), "no {key} {does} in\n{text}");
        }
        bench.key(Code::Esc);
        assert_eq!(bench.draw(), before, "Esc leads back to the question, not to the one before");
    }
    let mut bench = Bench::new(true, None);
    bench.found();
    told(&mut bench, Step::Server);
    // while one types, a question mark is one
    bench.key(Code::Char('e'));
    bench.key(Code::Char('?'));
    bench.shows("?");
    assert!(bench.wizard.help.is_none());
    bench.shows("F1 help");
    told(&mut bench, Step::Server);
    bench.key(Code::Esc);
    bench.key(Code::Enter);
    bench.open();
    for step in [Step::Connection, Step::There, Step::Services, Step::Access] {
        bench.shows("? help");
        told(&mut bench, step);
        bench.take();
        bench.key(Code::Enter);
    }
    told(&mut bench, Step::Plan);
    bench.judge(remaining());
    told(&mut bench, Step::Plan);
    bench.key(Code::Char('?'));
    bench.snap("help");
    bench.key(Code::Char('?'));
    bench.key(Code::Enter);
    // what comes while the keys are told is not confirmed by a key from before it was seen
    bench.key(Code::Char('?'));
    bench.judge(Vec::new());
    bench.update(Msg::Key(Key::plain(Code::Esc)));
    bench.update(Msg::Key(Key::plain(Code::Enter)));
    bench.draw();
    bench.shows("This would be run");
    told(&mut bench, Step::Plan);
    // every key is an answer to the confirmation
    bench.key(Code::Enter);
    bench.key(Code::Char('?'));
    bench.shows("nothing was done");
}

#[test]
fn nothing_is_confirmed_before_it_was_seen() {
    let mut bench = Bench::new(true, None);
    bench.go_to_plan();
    let ticket = bench.ticket();
    let read = snapshot(true);
    let policy = Arc::new(bench.wizard.draft.policy(&read));
    let judged = Judgement::new(Arc::clone(&read), Some(policy), Arc::default(), None);
    let ready = Box::new(Ready {
        title: String::new(),
        plan: build::converge(&judged, &[]),
        meaning: Meaning::New,
        cells: Vec::new(),
        settles: 1,
        remaining: 0,
        lacks: Vec::new(),
        now: Vec::new(),
        questions: Vec::new(),
        after: After::default(),
    });
    let shown = Judged { snapshot: read, script: String::new(), remaining: Vec::new(), ready: Some(ready) };
    bench.update(Msg::Judged(ticket, Ok(Box::new(shown))));
    let press = |bench: &mut Bench, code| bench.update(Msg::Key(Key::plain(code)));
    for code in [Code::Enter, Code::Char('y')] {
        press(&mut bench, code);
    }
    bench.draw();
    press(&mut bench, Code::Enter);
    // asked, and not drawn yet
    press(&mut bench, Code::Char('y'));
    assert!(!bench.take().iter().any(|e| matches!(e, Effect::Apply { .. })));
    bench.draw();
    press(&mut bench, Code::Char('y'));
    assert!(bench.take().iter().any(|e| matches!(e, Effect::Apply { .. })));
}

#[test]
fn production_is_typed_and_shown() {
    let mut bench = Bench::new(true, None);
    bench.found();
    bench.key(Code::Enter);
    bench.open();
    bench.key(Code::Down);
    bench.key(Code::Down);
    assert_eq!(bench.wizard.kept().environment, "development", "what is passed is not chosen");
    bench.key(Code::Enter);
    assert_eq!(bench.wizard.kept().environment, "production");
    for _ in 0..3 {
        bench.key(Code::Enter);
    }
    bench.judge(Vec::new());
    bench.take();
    bench.key(Code::Enter);
    bench.snap("production");
    let database = snapshot(true).server.database.clone();
    bench.keys("wrong");
    bench.key(Code::Enter);
    assert_eq!(bench.take(), []);
    for _ in 0..5 {
        bench.key(Code::Backspace);
    }
    bench.keys(&database);
    bench.key(Code::Enter);
    assert!(matches!(bench.take().as_slice(), [Effect::Apply { .. }]));
}

#[test]
fn a_password_is_asked_for_again_and_neither_shown_nor_kept() {
    let mut bench = Bench::new(false, None);
    bench.found();
    bench.key(Code::Enter);
    let ticket = bench.ticket();
    let trouble = |why: &str| Trouble { lines: vec![why.to_owned()], wants_password: true };
    bench.update(Msg::Opened(ticket, Err(trouble("the server asks for a password"))));
    bench.draw();
    for secret in ["wrong", "CANARY"] {
        bench.take();
        bench.keys(secret);
        let text = bench.draw();
        assert!(!text.contains(secret) && text.contains("•"), "{text}");
        bench.key(Code::Enter);
        let asked = bench.effects.iter().any(|e| matches!(e, Effect::Open { password: Some(_), .. }));
        assert!(asked, "{:?}", bench.effects);
        if secret == "wrong" {
            let ticket = bench.ticket();
            bench.update(Msg::Opened(ticket, Err(trouble("password authentication failed (28P01)"))));
            bench.shows("28P01");
        }
    }
    bench.open();
    assert_eq!(bench.wizard.step(), Step::Connection);
    let kept = serde_json::to_string(&bench.wizard.kept()).unwrap();
    assert!(!kept.contains("CANARY") && !format!("{:?}", bench.effects).contains("CANARY"), "{kept}");
}

#[test]
fn a_password_that_is_found_meanwhile_is_not_asked_for() {
    let mut bench = Bench::new(false, None);
    let url = "postgresql://me@localhost:5432/shop";
    bench.update(Msg::Found(Arc::new(Around::default())));
    bench.update(Msg::Paste(url.to_owned()));
    bench.key(Code::Enter);
    let ticket = bench.ticket();
    let lines = vec!["the server asks for a password".to_owned()];
    bench.update(Msg::Opened(ticket, Err(Trouble { lines, wants_password: true })));
    bench.draw();
    bench.found();
    let effects = bench.take();
    let again =
        |e: &Effect| matches!(e, Effect::Open { conninfo, place: Some(_), password: None, .. } if conninfo == url);
    assert!(effects.iter().any(again), "{effects:?}");
}

#[test]
fn a_role_that_works_already_keeps_its_connection_limit() {
    let mut bench = Bench::new(true, None);
    bench.go_to_services();
    bench.keys("a");
    bench.shows("connections");
    let limit =
        |bench: &mut Bench| bench.draw().lines().find(|l| l.contains("connections")).map(str::to_owned).unwrap();
    assert!(limit(&mut bench).contains("10"));
    bench.key(Code::Tab);
    bench.key(Code::Tab);
    bench.keys("orders_user");
    assert!(!limit(&mut bench).contains("10"), "{}", limit(&mut bench));
}

#[test]
fn a_typed_address_hides_the_password_in_it() {
    let mut bench = Bench::new(false, None);
    bench.update(Msg::Found(Arc::new(Around::default())));
    bench.draw();
    bench.keys("postgresql://me:CANARY@host/db");
    bench.key(Code::Enter);
    let text = bench.draw();
    let line = text.lines().find(|l| l.contains("Connecting")).unwrap();
    assert!(line.contains("me@host/db") && !line.contains("CANARY"), "{line}");
    // it is no answer any more when somebody gives up waiting
    bench.key(Code::Esc);
    bench.shows("connection string");
}

#[test]
fn what_was_cut_short_is_offered_and_gone_on_with() {
    let mut bench = Bench::new(true, None);
    bench.go_to_services();
    bench.key(Code::Char(' '));
    let effects = bench.take();
    let Some(Effect::Keep(kept)) = effects.iter().rev().find(|e| matches!(e, Effect::Keep(_))) else { panic!() };
    let text = serde_json::to_string(&**kept).unwrap();
    let kept: Kept = serde_json::from_str(&text).unwrap();
    assert_eq!(kept.step, "services");

    let mut again = Bench::new(true, Some(kept.clone()));
    again.snap("earlier");
    again.key(Code::Enter);
    again.open();
    assert_eq!(again.wizard.step(), Step::Services);
    assert_eq!(again.wizard.kept().draft, kept.draft);

    let mut anew = Bench::new(true, Some(kept.clone()));
    anew.take();
    anew.key(Code::Down);
    anew.key(Code::Enter);
    assert_eq!(anew.take(), [Effect::Forget(Box::new(kept.clone()))]);
    anew.shows("Which database");

    // several, of this folder and another: each is told apart, and beginning anew leaves them
    let other = Kept { dir: "/elsewhere".into(), url: "postgresql://h/other".into(), ..kept.clone() };
    let (wizard, _) = Wizard::new(vec![(kept.clone(), true), (other.clone(), false)], None, Vec::new());
    let mut several = Bench { wizard, mess: true, effects: Vec::new() };
    several.update(Msg::Resize(120, 40));
    several.shows("begun in /elsewhere");
    several.key(Code::Down);
    several.shows("postgresql://h/other");
    several.key(Code::Char('d'));
    assert_eq!(several.take(), [Effect::Forget(Box::new(other.clone()))]);
    several.shows("An earlier set-up");
    // what was begun elsewhere is not what Enter means
    let (wizard, _) = Wizard::new(vec![(other, false)], None, Vec::new());
    let mut there = Bench { wizard, mess: true, effects: Vec::new() };
    there.update(Msg::Resize(120, 40));
    there.shows("Begin anew; what is kept stays");
    there.key(Code::Enter);
    assert_eq!(there.take(), []);
    there.shows("Which database");

    // the server is away: its address can be mended, the answers wait
    let mut away = Bench::new(true, Some(kept.clone()));
    away.key(Code::Enter);
    let ticket = away.ticket();
    let trouble = Trouble { lines: vec!["could not connect".to_owned(), "start it".to_owned()], wants_password: false };
    away.update(Msg::Opened(ticket, Err(trouble)));
    away.shows("start it");
    away.key(Code::Enter);
    away.open();
    assert_eq!(away.wizard.step(), Step::Services);
    assert_eq!(away.wizard.kept().draft, kept.draft);
}

#[test]
fn wrong_names_are_said_and_not_taken() {
    let mut bench = Bench::new(false, None);
    bench.found();
    bench.key(Code::Enter);
    bench.open();
    for _ in 0..3 {
        bench.key(Code::Down);
    }
    for _ in 0..40 {
        bench.key(Code::Backspace);
    }
    bench.shows("an instance needs a name");
    bench.keys("taken");
    bench.shows("has an instance of that name");
    bench.key(Code::Enter);
    assert_eq!(bench.wizard.step(), Step::Connection);
    bench.keys("2");
    bench.key(Code::Enter);
    bench.key(Code::Enter);
    assert_eq!(bench.wizard.kept().draft.name, "taken2");
    bench.keys("a");
    bench.key(Code::Tab);
    bench.keys("pg_x");
    bench.shows("PostgreSQL's own");
    bench.key(Code::Enter);
    assert!(bench.wizard.draft.services.is_empty());
    for _ in 0..4 {
        bench.key(Code::Backspace);
    }
    bench.key(Code::Enter);
    assert_eq!(bench.wizard.draft.services.len(), 1);
    // without any service it does not go on
    bench.key(Code::Char(' '));
    bench.key(Code::Enter);
    assert_eq!(bench.wizard.step(), Step::Services);
    bench.shows("No service is chosen");
}

#[test]
fn leaving_keeps_the_answers_and_stops_what_runs() {
    let mut bench = Bench::new(true, None);
    bench.go_to_services();
    bench.take();
    bench.update(Msg::Key(Key::ctrl('c')));
    let effects = bench.take();
    assert!(matches!(effects.as_slice(), [Effect::Keep(_), Effect::Leave(Left::Kept)]), "{effects:?}");
    bench.key(Code::Enter);
    bench.key(Code::Enter);
    bench.judge(Vec::new());
    bench.key(Code::Enter);
    bench.take();
    bench.key(Code::Char('y'));
    let [Effect::Apply { ticket, .. }] = bench.take()[..] else { panic!() };
    let progress = Progress { words: "step".to_owned(), details: Vec::new(), step: Some(0), stoppable: true };
    bench.update(Msg::Act(ticket, ActNews::Progress(progress)));
    bench.update(Msg::Key(Key::ctrl('c')));
    assert_eq!(bench.take(), [Effect::Stop(ticket)]);
    bench.shows("asked to stop");
    let told = Told::new(Fate::Nothing, "Nothing was changed: it was stopped.");
    bench.update(Msg::Act(ticket, ActNews::Over(told)));
    assert!(bench.take().contains(&Effect::Leave(Left::Kept)));
}

#[test]
fn every_size_has_a_screen() {
    for (width, height) in [(1, 1), (20, 5), (40, 12), (60, 16), (79, 20), (100, 24), (200, 60)] {
        let mut bench = Bench::new(true, None);
        bench.update(Msg::Resize(width, height));
        bench.go_to_plan();
        bench.judge(remaining());
        bench.key(Code::Enter);
        bench.judge(Vec::new());
        bench.key(Code::Enter);
        let text = bench.draw();
        assert_eq!(text.lines().count(), usize::from(height), "{text}");
    }
    assert!(Draft::default().services.is_empty());
}
