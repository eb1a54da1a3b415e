//! Forms and questions as a state machine: what is typed is what is planned, what is wrong is said while one types, no key
//! counts that was pressed before the form stood there, and no password is shown that nobody asked for.

use std::sync::Arc;

use secrecy::SecretString;

use super::{
    ActNews, After, Aftermath, Ask, Fate, Handed, Hidden, Meaning, Ready, Told, form,
    forms::{Kind, Part},
    tests::Bench,
};
use crate::{
    app::{
        Effect, Mouse, MouseKind, Msg,
        instance::Instance,
        keymap::{Code, Key},
        overlay::Overlay,
        panes::sample::{HOSTILE, POSTGRES, Sample},
        view::Tone,
    },
    config::target::Environment,
    domain::{
        Acl, Oid, Privilege,
        alembic::{Lineage, Script},
        link::{Link, LinkState},
        snapshot::{VersionRows, VersionTable},
    },
    plan::moves::Question,
    plan::setup,
};

/// Two services with one version table in `public`, and a neighbour.
fn sample() -> Sample {
    let mut sample = Sample::new();
    let (engarde, langflow) = (sample.role("engarde_user"), sample.role("langflow_app"));
    let all = Sample::acl(&[(engarde, &[Privilege::Usage, Privilege::Create]), (langflow, &[Privilege::Usage])]);
    let public = sample.schema("public", engarde, all);
    sample.schema("langflow", langflow, Acl::NULL);
    sample.schema("audit", POSTGRES, Acl::NULL);
    sample.service("engarde", "engarde_user").schemas = vec!["public".into()];
    sample.service("langflow", "langflow_app");
    sample.tables.push(VersionTable {
        oid: Oid(90_000),
        schema: public,
        name: "alembic_version".into(),
        owner: engarde,
        acl: Sample::acl(&[(engarde, &[Privilege::Select, Privilege::Insert])]),
        shape: true,
        plain: true,
        stirs: false,
        primary_key: true,
        rows: VersionRows::Known(vec!["e2".into(), "l1".into()]),
    });
    for (service, revisions) in [("engarde", ["e1", "e2"]), ("langflow", ["l1", "l2"])] {
        let script = |revision: &str| Script { revision: revision.into(), ..Script::default() };
        let scripts = revisions.iter().map(|r| ((*r).to_owned(), script(r))).collect();
        let lineage = Lineage { service: service.into(), scripts, ..Lineage::default() };
        sample.lineages.0.insert(service.into(), lineage);
    }
    sample
}

fn instance(environment: Environment) -> Instance {
    let link = Link { state: LinkState::Ready, interval_ms: 2000, answered_at_ms: Some(0), ..Link::default() };
    Instance { environment, link, ..sample().instance() }
}

fn bench(environment: Environment) -> Bench {
    Bench::over(instance(environment))
}

fn opened(keys: &str) -> Bench {
    let mut bench = bench(Environment::Development);
    bench.keys(keys);
    bench
}

impl Bench {
    fn form(&self) -> &form::Form {
        let form =
            self.app.overlays.iter().find_map(|o| if let Overlay::Form(form) = o { Some(&**form) } else { None });
        form.expect("a form is open")
    }

    fn code(&mut self, code: Code) {
        self.key(Key::plain(code));
        self.drawn();
    }

    /// To the field of a part.
    fn to(&mut self, part: Part) {
        for _ in 0..30 {
            if self.form().focus() == Some(part) {
                return;
            }
            self.code(Code::Tab);
        }
        panic!("there is no field {part:?}");
    }

    fn fault(&self, part: Part) -> Option<&str> {
        self.form().field(part).unwrap().fault.as_deref()
    }

    fn asked(&self) -> Option<&Ask> {
        self.effects.iter().rev().find_map(|e| if let Effect::Plan { ask, .. } = e { Some(ask) } else { None })
    }

    fn last_ticket(&self) -> u64 {
        let ticket = |e: &Effect| match e {
            Effect::Plan { ticket, .. } | Effect::Apply { ticket, .. } => Some(*ticket),
            _ => None,
        };
        self.effects.iter().rev().find_map(ticket).unwrap()
    }

    /// The plan that the planner would make of what was asked.
    fn created(&mut self) {
        let Some(Ask::Create { wanted, .. }) = self.asked().cloned() else { panic!("{:?}", self.effects) };
        let judgement = self.app.instances()[0].judgement.clone().unwrap();
        let made = setup::service(&judgement.snapshot, judgement.policy.as_deref(), &wanted).unwrap();
        let after = After { service: Some(made.service), ..After::default() };
        let ready = Ready {
            title: format!("Create schema {}", wanted.schema),
            plan: made.plan,
            meaning: Meaning::New,
            cells: Vec::new(),
            settles: 0,
            remaining: 0,
            lacks: Vec::new(),
            now: Vec::new(),
            questions: Vec::new(),
            after,
        };
        let ticket = self.last_ticket();
        self.app.update(Msg::Act(ticket, ActNews::Ready(Ok(Box::new(ready)))));
        self.drawn();
    }

    fn open_questions(&mut self, list: &[(&str, &str)]) {
        let question = |(about, sentence): &(&str, &str)| Question {
            about: (*about).into(),
            sentence: (*sentence).into(),
            flag: format!("--rows {about}"),
        };
        let ready = Ready { questions: list.iter().map(question).collect(), ..self.ready.clone() };
        let ticket = self.last_ticket();
        self.app.update(Msg::Act(ticket, ActNews::Ready(Ok(Box::new(ready)))));
        self.drawn();
    }
}

const SECRET: &str = "canary-2f9Qx7";

fn done() -> Told {
    let text = "DATABASE_URL=postgresql://sankore_app:PASSWORD@db:5432/engarde\n\nenvironment:\n".to_owned();
    Told {
        fate: Fate::Committed,
        title: "Done and committed: read again, it is as predicted. Journal entry 7.".into(),
        details: vec!["Transaction 7.".into()],
        remedy: Some("Once this is closed, u takes it back.".into()),
        refused: Vec::new(),
        aftermath: Some(Box::new(Aftermath {
            said: vec![
                (Tone::Good, "Logged in as sankore_app: what it creates goes to sankore.".into()),
                (Tone::Good, "Added to engarde.policy.toml.".into()),
            ],
            handover: Some(Handed {
                role: "sankore_app".into(),
                file: "/home/ann/.local/state/pgmoat/handover/local-sankore_app.env".into(),
                text,
                password: Hidden(Arc::new(SecretString::from(SECRET.to_owned()))),
            }),
        })),
    }
}

#[test]
fn what_is_typed_is_what_is_planned_and_the_rest_is_shown() {
    let mut bench = opened("2c");
    bench.keys("sankore");
    for (part, value) in [
        (Part::Role, "sankore_app"),
        (Part::Owner, "sankore_app"),
        (Part::Creators, "sankore_app"),
        (Part::SearchPath, "sankore"),
        (Part::Limit, "10"),
    ] {
        assert_eq!(bench.form().value(part), value, "{part:?}");
    }
    bench.to(Part::Read);
    bench.keys("lang");
    bench.code(Code::Right);
    bench.to(Part::Append);
    bench.keys("audit");
    bench.to(Part::Limit);
    bench.key(Key::ctrl('u'));
    bench.keys("7");
    bench.to(Part::VersionTable);
    bench.keys(" ");
    let text = bench.text();
    assert!(text.contains("[ ] no") && text.contains("langflow"), "{text}");
    bench.keys("\n");
    let Some(Ask::Create { wanted, to_policy }) = bench.asked() else { panic!("{:?}", bench.effects) };
    let expected = setup::Wanted {
        read: vec!["langflow".into()],
        append: vec!["audit".into()],
        connection_limit: Some(7),
        version_table: false,
        ..setup::Wanted::new("sankore")
    };
    assert_eq!((&**wanted, *to_policy), (&expected, true));
    bench.created();
    assert!(bench.text().contains("What is run"), "{}", bench.text());
    bench.keys("\n");
    assert!(!bench.effects.iter().any(|e| matches!(e, Effect::Apply { .. })));
    bench.keys("y");
    let Some(Effect::Apply { approved, after, .. }) = bench.effects.last() else { panic!("{:?}", bench.effects) };
    assert!(approved.plan().passwords().eq(["sankore_app"]));
    assert!(after.service.as_ref().is_some_and(|s| s.role == "sankore_app"));
}

#[test]
fn what_is_wrong_is_said_under_its_field_while_one_types() {
    let mut bench = opened("2c");
    assert!(!bench.text().contains('✖'), "nothing is accused before anything was typed: {}", bench.text());
    bench.keys("langflow");
    assert!(bench.text().contains("✖ schema langflow is there already"), "{}", bench.text());
    assert!(bench.text().contains("✖ role langflow_app is there already"), "{}", bench.text());
    bench.keys("2");
    assert!(!bench.text().contains('✖'), "{}", bench.text());
    bench.key(Key::ctrl('u'));
    bench.app.update(Msg::Paste("x".repeat(63)));
    bench.drawn();
    assert_eq!(bench.fault(Part::Schema), None);
    assert!(bench.fault(Part::Role).unwrap().contains("67 bytes"), "{:?}", bench.fault(Part::Role));
    bench.app.update(Msg::Paste("é".into()));
    bench.drawn();
    assert!(bench.fault(Part::Schema).unwrap().contains("65 bytes"), "{:?}", bench.fault(Part::Schema));
    assert!(bench.text().contains("65 bytes long"), "{}", bench.text());
    bench.key(Key::ctrl('u'));
    bench.keys("pg_own");
    assert!(bench.fault(Part::Schema).unwrap().contains("PostgreSQL's own"));
    bench.key(Key::ctrl('w'));
    bench.keys("shop");
    for (part, keys, words) in [
        (Part::Owner, "nobody", "there is no role nobody"),
        (Part::Creators, "engarde_user, who", "there is no role who"),
        (Part::Read, "audit, nowhere", "there is no schema nowhere"),
        (Part::SearchPath, "shop, else", "there is no schema else"),
        (Part::Limit, "0000", "a connection limit of 100000"),
        (Part::Limit, "x", "a number from 1 to 100"),
    ] {
        bench.to(part);
        bench.keys(keys);
        assert!(bench.fault(part).unwrap().contains(words), "{:?}", bench.fault(part));
        assert!(bench.text().contains(words), "{}", bench.text());
    }
    bench.to(Part::Policy);
    bench.keys("\n");
    assert!(bench.asked().is_none(), "{:?}", bench.effects);
    assert_eq!(bench.form().focus(), Some(Part::Owner), "it goes to the first fault");
    assert!(bench.text().contains("owner: there is no role nobody"), "{}", bench.text());
}

#[test]
fn an_empty_form_says_what_it_needs_when_one_wants_to_go_on() {
    for (keys, words) in [("2c", "a name cannot be empty"), ("1I", "which service?")] {
        let mut bench = opened(keys);
        if bench.form().kind == Kind::Isolate {
            bench.to(Part::From);
            bench.key(Key::ctrl('u'));
            bench.keys("audit");
        }
        bench.keys("\n");
        assert!(bench.asked().is_none());
        assert!(bench.text().contains(words), "{}", bench.text());
    }
}

#[test]
fn keys_and_pastes_from_before_the_form_was_drawn_are_dropped() {
    let mut bench = bench(Environment::Development);
    bench.keys("2");
    for c in "csankore".chars() {
        bench.key(Key::char(c));
    }
    bench.app.update(Msg::Paste("sankore".into()));
    bench.key(Key::plain(Code::Enter));
    assert!(bench.asked().is_none());
    bench.drawn();
    assert_eq!(bench.form().value(Part::Schema), "", "typed before it stood there");
    bench.keys("shop");
    assert_eq!(bench.form().value(Part::Schema), "shop");
    // back from a preview the form has to be drawn again, too
    bench.keys("\n");
    bench.created();
    bench.key(Key::plain(Code::Esc));
    bench.key(Key::char('x'));
    bench.drawn();
    assert_eq!(bench.form().value(Part::Schema), "shop", "what was typed is still there");
    bench.keys("2");
    assert_eq!(bench.form().value(Part::Schema), "shop2");
    bench.code(Code::Esc);
    assert!(bench.app.overlays.is_empty());
}

#[test]
fn the_gate_is_the_one_that_fixes_pass() {
    for (edit, words) in [
        ((|i| i.read_only = true) as fn(&mut Instance), "read-only"),
        (|i| i.recorded = true, "recording"),
        (|i| i.link.state = LinkState::Connecting, "has not answered"),
    ] {
        for keys in ["2c", "7m", "7I"] {
            let mut instance = instance(Environment::Development);
            edit(&mut instance);
            let mut bench = Bench::over(instance);
            bench.keys(keys);
            assert!(bench.app.overlays.is_empty());
            assert!(bench.text().contains(words), "{keys}: {}", bench.text());
            bench.key(Key::char('g'));
            let text = bench.text();
            assert!(text.contains("c create schema") || text.contains("m move versions"), "it stays in sight: {text}");
        }
    }
    // what becomes read-only while the form is open
    let mut bench = opened("2c");
    bench.keys("shop");
    bench.app.instances[0].read_only = true;
    bench.keys("\n");
    assert!(bench.asked().is_none());
    assert!(bench.text().contains("read-only"), "{}", bench.text());
    // production wants the name of the database
    let mut bench = self::bench(Environment::Production);
    bench.keys("2cshop\n");
    bench.created();
    bench.keys("\nyy\n");
    assert!(!bench.effects.iter().any(|e| matches!(e, Effect::Apply { .. })));
    bench.keys("\u{8}");
    bench.key(Key::ctrl('u'));
    bench.keys("engarde\n");
    assert!(matches!(bench.effects.last(), Some(Effect::Apply { .. })), "{:?}", bench.effects);
}

#[test]
fn the_mouse_goes_to_a_field_and_the_window_may_shrink() {
    let mut bench = opened("2c");
    let line = |bench: &mut Bench, word: &str| {
        bench.text().lines().position(|l| l.trim_start().starts_with(word)).unwrap() as u16
    };
    let press = |bench: &mut Bench, y: u16| {
        bench.app.update(Msg::Mouse(Mouse { kind: MouseKind::Press, x: 25, y }));
        bench.drawn();
    };
    let y = line(&mut bench, "may read");
    press(&mut bench, y);
    assert_eq!(bench.form().focus(), Some(Part::Read));
    let y = line(&mut bench, "close public");
    press(&mut bench, y);
    assert!(bench.form().yes(Part::ClosePublic), "the first press goes there");
    let y = line(&mut bench, "▸ close public");
    press(&mut bench, y);
    assert!(!bench.form().yes(Part::ClosePublic));
    for (width, height) in [(80, 24), (60, 16), (40, 12), (21, 6), (10, 3), (0, 0), (200, 60)] {
        bench.app.update(Msg::Resize(width, height));
        bench.drawn();
        let text = bench.text();
        assert!(width < 60 || text.contains("close public"), "the field in focus stays in sight: {text}");
        press(&mut bench, height.saturating_sub(1));
    }
    bench.app.update(Msg::Mouse(Mouse { kind: MouseKind::WheelDown, x: 1, y: 5 }));
    bench.keys("x");
}

#[test]
fn the_selected_version_table_is_the_one_that_moves() {
    let mut bench = opened("7m");
    assert_eq!(bench.form().value(Part::From), "public.alembic_version");
    assert_eq!(bench.form().value(Part::To), "langflow", "the service that is not at home");
    assert!(bench.text().contains("those of langflow, by its revision scripts"), "{}", bench.text());
    bench.to(Part::Rows);
    bench.keys("zz");
    assert!(bench.text().contains("holds no row zz; it holds e2 and l1"), "{}", bench.text());
    bench.key(Key::ctrl('u'));
    bench.key(Key::ctrl('n'));
    assert_eq!(bench.form().items(Part::Rows), ["e2"]);
    bench.key(Key::ctrl('n'));
    bench.to(Part::To);
    bench.keys("public");
    assert!(bench.text().contains("public is where it is already"), "{}", bench.text());
    bench.key(Key::ctrl('u'));
    bench.drawn();
    bench.keys("\n");
    let Some(Ask::MoveVersions(wanted)) = bench.asked() else { panic!("{:?}", bench.effects) };
    assert_eq!((wanted.from.as_str(), wanted.table.as_deref()), ("public", Some("alembic_version")));
    assert_eq!((wanted.to.as_str(), wanted.rows.as_slice()), ("langflow", &["l1".to_owned()][..]));
}

#[test]
fn isolate_takes_what_the_policy_says_of_the_service() {
    let mut bench = opened("7I");
    for (part, value) in
        [(Part::Service, "langflow"), (Part::From, "public"), (Part::Schema, "langflow"), (Part::Role, "langflow_app")]
    {
        assert_eq!(bench.form().value(part), value, "{part:?}");
    }
    bench.keys("shop");
    assert_eq!(bench.form().value(Part::Role), "shop_app");
    assert!(bench.text().contains("no revision script of shop is known"), "{}", bench.text());
    bench.to(Part::Revisions);
    bench.keys("~/shop/versions");
    assert_eq!(bench.fault(Part::Revisions), None);
    bench.keys("\n");
    let Some(Ask::Isolate { wanted, files, to_policy: true }) = bench.asked() else { panic!("{:?}", bench.effects) };
    assert_eq!((wanted.service.as_deref(), wanted.from.as_str()), (Some("shop"), "public"));
    assert_eq!((files.revisions.len(), &files.tables), (1, &None));
}

#[test]
fn an_isolation_is_proposed_only_out_of_what_is_shared() {
    let mut bench = bench(Environment::Development);
    bench.keys("2/audit\nI");
    assert_eq!(bench.form().value(Part::From), "public", "nobody's revision or table stands in audit");
    assert_eq!(bench.form().value(Part::Service), "langflow");
}

#[test]
fn the_form_of_an_isolation_fits_the_smallest_usual_screen() {
    let mut bench = bench(Environment::Development);
    bench.app.update(Msg::Resize(80, 24));
    bench.drawn();
    bench.keys("7I");
    for _ in 0..bench.form().fields.len() {
        let text = bench.text();
        assert!(text.contains(" service         langflow") && text.contains("and asks first."), "{text}");
        bench.key(Key::plain(Code::Tab));
        bench.drawn();
    }
}

#[test]
fn an_isolation_takes_a_file_of_tables_and_the_version_tables_that_are_meant() {
    let mut bench = opened("7I");
    bench.to(Part::Service);
    bench.keys("shop");
    assert!(bench.fault(Part::Revisions).is_some(), "nothing says what belongs to it");
    bench.to(Part::TablesFrom);
    bench.keys("shop.txt");
    assert_eq!(bench.fault(Part::Revisions), None);
    bench.to(Part::VersionTables);
    bench.keys("nothing");
    assert!(bench.fault(Part::VersionTables).is_some_and(|w| w.contains("no version table public.nothing")));
    bench.key(Key::ctrl('u'));
    bench.keys("alembic_version\n");
    let Some(Ask::Isolate { wanted, files, .. }) = bench.asked() else { panic!("{:?}", bench.effects) };
    assert_eq!(files.tables.as_deref(), Some(std::path::Path::new("shop.txt")));
    assert_eq!(wanted.version_tables, ["alembic_version"]);
}

#[test]
fn what_was_typed_into_a_form_is_there_again_when_it_is_opened_from_the_same_place() {
    let mut bench = opened("2c");
    bench.keys("sankore");
    bench.to(Part::Limit);
    bench.key(Key::ctrl('u'));
    bench.keys("7");
    bench.key(Key::plain(Code::Esc));
    assert!(bench.text().contains("what was typed is kept"), "{}", bench.text());
    bench.keys("c");
    let text = bench.text();
    assert!(text.contains("as it was left"), "{text}");
    assert_eq!((bench.form().value(Part::Schema).as_str(), bench.form().value(Part::Limit).as_str()), ("sankore", "7"));
    // emptied by hand it is as new, and nothing is kept
    bench.key(Key::ctrl('u'));
    bench.keys("10");
    bench.to(Part::Schema);
    bench.key(Key::ctrl('u'));
    bench.key(Key::plain(Code::Esc));
    assert!(!bench.text().contains("what was typed is kept"), "{}", bench.text());
    bench.keys("c");
    assert!(!bench.text().contains("as it was left"), "{}", bench.text());
}

#[test]
fn what_was_typed_is_kept_for_each_thing_that_was_asked_about() {
    let mut bench = opened("2c");
    bench.keys("sankore");
    bench.code(Code::Esc);
    assert!(bench.text().contains("c opens it as it was left"), "{}", bench.text());
    // the cursor is elsewhere by now, in a pane of its own: the same is asked, so the same stands there
    bench.keys("jj");
    bench.keys("c");
    assert_eq!(bench.form().value(Part::Schema), "sankore");
    bench.code(Code::Esc);
    bench.keys("3c");
    assert_eq!(bench.form().value(Part::Schema), "sankore");
    bench.code(Code::Esc);
    // another form, and the same form about something else, keep their own
    bench.keys("2I");
    bench.to(Part::Tables);
    bench.keys("shop_*");
    bench.code(Code::Esc);
    assert!(bench.text().contains("I opens it as it was left"), "{}", bench.text());
    bench.keys("c");
    assert_eq!(bench.form().value(Part::Schema), "sankore");
    bench.code(Code::Esc);
    bench.keys("7I");
    assert_eq!(bench.form().items(Part::Tables), ["shop_*"]);
    bench.code(Code::Esc);
    bench.keys("m");
    bench.to(Part::Rows);
    bench.keys("e2");
    bench.code(Code::Esc);
    bench.keys("2m");
    assert_eq!(bench.form().items(Part::Rows), ["e2"]);
    // an untouched form just closes
    bench.code(Code::Esc);
    bench.keys("3I");
    bench.to(Part::Tables);
    bench.key(Key::ctrl('u'));
    bench.code(Code::Esc);
    let text = bench.text();
    assert!(text.contains("nothing was done") && !text.contains("opens it as it was left"), "{text}");
}

#[test]
fn a_name_that_needs_quotes_is_taken_and_remarked_on() {
    let mut bench = opened("2c");
    bench.keys("Shop-1");
    let text = bench.text();
    assert!(text.contains("▲ Every SQL has to write schema \"Shop-1\" in double quotes"), "{text}");
    assert_eq!(bench.fault(Part::Schema), None);
    bench.key(Key::ctrl('u'));
    bench.keys("shop");
    assert!(!bench.text().contains("double quotes"));
}

#[test]
fn questions_are_answered_and_the_plan_is_made_again() {
    let mut bench = opened("7m\n");
    let first = bench.last_ticket();
    bench.open_questions(&[
        ("row:a", "Row a is known to both. Does it go?"),
        ("row:b", "Row b is unknown. Does it go?"),
    ]);
    assert!(bench.text().contains("2 things are not decided"), "{}", bench.text());
    bench.keys("\n");
    assert_eq!(bench.last_ticket(), first, "nothing is planned with an open question");
    assert!(bench.text().contains("2 questions are still open"), "{}", bench.text());
    bench.keys("yn\n");
    let Some(Ask::MoveVersions(wanted)) = bench.asked() else { panic!("{:?}", bench.effects) };
    assert_eq!(wanted.answers, [("row:a".to_owned(), true), ("row:b".to_owned(), false)].into());
    assert_ne!(bench.last_ticket(), first);
    // the news of the first plan are nobody's now; the second leaves something else open
    bench.open_questions(&[("row:c", "Row c?")]);
    assert!(bench.text().contains("3 things") && bench.text().contains("▸ ?"), "{}", bench.text());
    // typed ahead: not before it was drawn
    bench.key(Key::char('y'));
    bench.key(Key::plain(Code::Enter));
    bench.drawn();
    let Some(Ask::MoveVersions(wanted)) = bench.asked() else { panic!() };
    assert_eq!(wanted.answers.len(), 3);
    let ready = Box::new(bench.ready.clone());
    let ticket = bench.last_ticket();
    bench.app.update(Msg::Act(ticket, ActNews::Ready(Ok(ready))));
    bench.key(Key::char('y'));
    bench.key(Key::plain(Code::Enter));
    bench.drawn();
    assert!(bench.text().contains("What is run"), "{}", bench.text());
    // back in the form, the answers are remembered
    bench.code(Code::Esc);
    bench.keys("\n");
    let Some(Ask::MoveVersions(wanted)) = bench.asked() else { panic!() };
    assert!(wanted.answers.is_empty(), "asked anew, from what is there now");
    bench.open_questions(&[("row:a", "Row a?"), ("row:b", "Row b?")]);
    assert!(!bench.text().contains("? "), "{}", bench.text());
    bench.keys("\n");
    let Some(Ask::MoveVersions(wanted)) = bench.asked() else { panic!() };
    assert_eq!(wanted.answers, [("row:a".to_owned(), true), ("row:b".to_owned(), false)].into());
}

#[test]
fn the_password_is_shown_only_on_request_and_copied_never() {
    let mut bench = opened("2csankore\n");
    bench.created();
    bench.keys("V");
    assert!(bench.text().contains("works where a new role was handed over"), "{}", bench.text());
    bench.keys("\ny");
    let ticket = bench.last_ticket();
    bench.app.update(Msg::Act(ticket, ActNews::Over(done())));
    bench.drawn();
    let text = bench.text();
    assert!(text.contains("Logged in as sankore_app") && text.contains("DATABASE_URL="), "{text}");
    assert!(text.contains("handover/local-sankore_app.env"), "{text}");
    assert!(!text.contains(SECRET) && !format!("{:?}", done()).contains(SECRET));
    assert!(!format!("{:?}", bench.app.overlays).contains(SECRET));
    bench.keys("V");
    assert!(bench.text().contains(SECRET), "{}", bench.text());
    bench.keys("yV");
    assert!(!bench.text().contains(SECRET), "and hidden again");
    let copied = bench.effects.iter().find_map(|e| if let Effect::Copy(text) = e { Some(text) } else { None });
    assert!(copied.is_some_and(|t| t.contains("DATABASE_URL=") && !t.contains(SECRET)), "{copied:?}");
    bench.code(Code::Esc);
    assert!(bench.app.overlays.is_empty(), "what is done does not lead back to its form");
}

#[test]
fn what_could_not_be_done_leads_back_to_the_form() {
    let mut bench = opened("2csankore\n");
    let ticket = bench.last_ticket();
    bench.app.update(Msg::Act(ticket, ActNews::Ready(Err(vec!["There is no plan: the line is lost.".into()]))));
    bench.drawn();
    bench.code(Code::Esc);
    assert_eq!(bench.form().value(Part::Schema), "sankore");
    bench.keys("\n");
    bench.created();
    bench.keys("\ny");
    let ticket = bench.last_ticket();
    let told = Told { fate: Fate::Nothing, title: "Nothing was changed".into(), aftermath: None, ..done() };
    bench.app.update(Msg::Act(ticket, ActNews::Over(told)));
    bench.drawn();
    bench.code(Code::Esc);
    assert_eq!(bench.form().value(Part::Schema), "sankore");
}

#[test]
fn hostile_names_are_chosen_and_shown_and_never_acted_on() {
    let mut sample = sample();
    for name in &HOSTILE[..5] {
        let role = sample.role(name);
        sample.schema(name, role, Acl::NULL);
    }
    let link = Link { state: LinkState::Ready, ..Link::default() };
    let mut bench = Bench::over(Instance { link, ..sample.instance() });
    bench.keys("2c");
    bench.keys("shop");
    for part in [Part::Owner, Part::Creators, Part::Read, Part::Append] {
        bench.to(part);
        for _ in 0..12 {
            bench.key(Key::ctrl('n'));
            bench.drawn();
            assert_eq!(bench.fault(part), None, "{:?}", bench.form().value(part));
            for (width, height) in [(80, 24), (120, 40), (30, 10)] {
                bench.app.update(Msg::Resize(width, height));
                let text = bench.text();
                assert!(!text.chars().any(|c| c != '\n' && crate::text::is_unsafe(c)), "{text:?}");
            }
        }
    }
    let items = bench.form().items(Part::Append);
    assert_eq!(items.len(), 1, "an odd name stays one name: {items:?}");
}

#[test]
fn whole_screens() {
    let settings = || {
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings
    };
    for (width, height) in [(80, 24), (120, 40)] {
        let shown = |bench: &mut Bench, name: &str| {
            let text = bench.text();
            settings().bind(|| insta::assert_snapshot!(format!("{name}_{width}x{height}"), text));
        };
        let sized = |keys: &str| {
            let mut bench = bench(Environment::Development);
            bench.app.update(Msg::Resize(width, height));
            bench.drawn();
            bench.keys(keys);
            bench
        };
        let mut form = sized("2c");
        shown(&mut form, "form_create");
        form.keys("langflow");
        form.to(Part::Read);
        form.keys("audit, lan");
        shown(&mut form, "form_faults");
        let mut form = sized("7m");
        shown(&mut form, "form_move");
        form.keys("\n");
        form.open_questions(&[
            ("row:e2", "Row e2 of alembic_version is known to engarde and langflow, and nothing decides whose it is. Does it go?"),
            ("row:zz", "Row zz of alembic_version is in no known revision script. Does it go?"),
        ]);
        form.keys("y");
        shown(&mut form, "questions");
        let mut form = sized("7I");
        shown(&mut form, "form_isolate");
        let mut form = sized("2csankore\n");
        form.created();
        shown(&mut form, "form_preview");
        form.keys("\ny");
        let ticket = form.last_ticket();
        form.app.update(Msg::Act(ticket, ActNews::Over(done())));
        form.drawn();
        shown(&mut form, "handed_over");
    }
}
