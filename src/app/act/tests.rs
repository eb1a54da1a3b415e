//! The dialogs as a state machine: nothing is approved without a full confirmation, and no key counts that was pressed
//! before the dialog stood on the screen.

use std::sync::Arc;

use super::{ActNews, After, Ask, Book, Fate, Meaning, Progress, Ready, Told, ending};
use crate::{
    app::{
        App, Effect, InstanceMsg, Msg,
        act::lines,
        instance::Instance,
        keymap::{Code, Key, Keymap},
        panes::sample::{HOSTILE, Sample},
        screen::{Part, Screen},
        view::Line,
    },
    config::target::Environment,
    domain::{
        Privilege,
        change::{Change, Grantee, On},
        link::{Link, LinkState},
    },
    plan::{Plan, build, predict},
    policy::Severity,
};

fn revoke(schema: &str, role: &str) -> Change {
    Change::Revoke {
        privileges: crate::domain::Privileges::of(&[Privilege::Usage]),
        on: On::Schema(schema.into()),
        from: Grantee::Role(role.into()),
        option_only: false,
        grantor: None,
    }
}

/// A role too many in each of these schemas; one finding with a fix each.
pub(crate) fn sample(names: &[&str]) -> Sample {
    let mut sample = Sample::new();
    for name in names {
        let role = sample.role(&format!("user {name}"));
        sample.schema(name, crate::app::panes::sample::POSTGRES, Sample::acl(&[(role, &[Privilege::Usage])]));
        sample.finding(Severity::Error, Some(name), Some(&format!("user {name}")), &format!("too much in {name}"));
        sample.findings.last_mut().unwrap().fix = Some(vec![revoke(name, &format!("user {name}"))]);
    }
    for pid in [50, 51] {
        sample.session(pid, "postgres", |s| s.query_start_us = Some(7));
    }
    sample.session(52, "postgres", |s| s.own = true);
    sample
}

pub(crate) fn instance(names: &[&str], environment: Environment) -> Instance {
    let link = Link { state: LinkState::Ready, interval_ms: 2000, answered_at_ms: Some(0), ..Link::default() };
    Instance { environment, link, ..sample(names).instance() }
}

/// The plan for every finding of the instance, as the console would get it.
pub(crate) fn ready(instance: &Instance) -> Ready {
    let judgement = instance.judgement.as_ref().unwrap();
    let changes: Vec<Change> = judgement.findings.iter().flat_map(|f| f.fix.clone().unwrap_or_default()).collect();
    let plan: Plan = build::of_changes(&judgement.snapshot, changes.clone()).unwrap();
    let after = predict::predict(&judgement.snapshot, &changes).unwrap();
    let after = crate::policy::judgement::Judgement::new(Arc::new(after), None, Arc::clone(&judgement.lineages), None);
    let cells = lines::cells(judgement, &after, &plan);
    Ready {
        title: "Fix 2 findings".into(),
        plan,
        meaning: Meaning::New,
        cells,
        settles: changes.len(),
        remaining: 0,
        lacks: Vec::new(),
        now: Vec::new(),
        questions: Vec::new(),
        after: After::default(),
    }
}

pub(crate) struct Bench {
    pub app: App,
    pub ready: Ready,
    pub effects: Vec<Effect>,
}

impl Bench {
    pub fn new(environment: Environment) -> Bench {
        Bench::named(&["sankore", "audit"], environment)
    }

    pub fn named(names: &[&str], environment: Environment) -> Bench {
        Bench::over(instance(names, environment))
    }

    pub fn over(instance: Instance) -> Bench {
        let ready = ready(&instance);
        let mut app = App::new(vec![instance], Keymap::new([]).unwrap());
        app.update(Msg::Resize(100, 30));
        let mut bench = Bench { app, ready, effects: Vec::new() };
        bench.drawn();
        bench
    }

    /// What is composed now stands on the screen.
    pub fn drawn(&mut self) {
        self.app.view();
        let frame = self.app.frame();
        self.app.update(Msg::Drawn(frame));
    }

    pub fn key(&mut self, key: Key) {
        let effects = self.app.update(Msg::Key(key));
        self.effects.extend(effects);
    }

    /// Keys as a person presses them: each after the screen showed what the one before did.
    pub fn keys(&mut self, keys: &str) {
        for c in keys.chars() {
            self.key(if c == '\n' { Key::plain(Code::Enter) } else { Key::char(c) });
            self.drawn();
        }
    }

    pub fn planned(&mut self) {
        let Some(Effect::Plan { ticket, .. }) = self.effects.iter().rev().find(|e| matches!(e, Effect::Plan { .. }))
        else {
            panic!("no plan was asked for: {:?}", self.effects)
        };
        let ready = Box::new(self.ready.clone());
        self.app.update(Msg::Act(*ticket, ActNews::Ready(Ok(ready))));
    }

    pub fn text(&mut self) -> String {
        crate::tui::text_of(&self.app.view())
    }

    fn acts(&self) -> Vec<&Effect> {
        let acts = |e: &&Effect| matches!(e, Effect::Apply { .. } | Effect::Signal { .. });
        self.effects.iter().filter(acts).collect()
    }

    /// To the preview of the first finding.
    fn preview(environment: Environment) -> Bench {
        let mut bench = Bench::new(environment);
        bench.keys("8f");
        bench.planned();
        bench.drawn();
        bench
    }
}

#[test]
fn f_asks_for_a_plan_of_the_finding_and_enter_then_y_applies_it() {
    let mut bench = Bench::preview(Environment::Development);
    let Some(Effect::Plan { ask: Ask::Fix { findings, .. }, .. }) = bench.effects.first() else { panic!() };
    assert_eq!(findings.len(), 1, "the selected one alone");
    bench.keys("\n");
    assert!(bench.acts().is_empty(), "Enter alone runs nothing");
    bench.keys("y");
    let [Effect::Apply { approved, meaning: Meaning::New, .. }] = bench.acts()[..] else {
        panic!("{:?}", bench.effects)
    };
    assert_eq!(*approved.plan(), bench.ready.plan, "exactly what was shown");
}

#[test]
fn the_preview_names_the_marked_rows_that_nothing_mends() {
    let mut sample = sample(&["sankore", "audit"]);
    sample.finding(Severity::Error, Some("audit"), Some("user audit"), "user audit is a superuser.");
    sample.findings.last_mut().unwrap().remedy = "Let it be one no longer, by hand.".into();
    let link = Link { state: LinkState::Ready, interval_ms: 2000, answered_at_ms: Some(0), ..Link::default() };
    let mut bench = Bench::over(Instance { link, ..sample.instance() });
    bench.keys("8 jj f");
    bench.planned();
    bench.drawn();
    let text = bench.text();
    assert!(text.contains("Marked, without a fix"), "{text}");
    assert!(text.contains("is a superuser. Let it be one no longer, by hand."), "{text}");
    let mut bench = Bench::preview(Environment::Development);
    assert!(!bench.text().contains("Marked, without"), "{}", bench.text());
}

#[test]
fn any_other_key_leaves_the_confirmation() {
    for key in ["n", "f", "q", " ", "\n", "Y", "j"] {
        let mut bench = Bench::preview(Environment::Development);
        bench.keys("\n");
        bench.keys(key);
        assert!(bench.acts().is_empty(), "{key:?}");
        bench.keys("y");
        assert!(bench.acts().is_empty(), "{key:?}: y in the preview copies, it does not confirm");
    }
}

#[test]
fn the_key_that_opened_it_never_confirms() {
    let keymap = Keymap::new([("fix", "y"), ("copy", "ctrl-y")]).unwrap();
    let mut bench = Bench::new(Environment::Development);
    bench.app = App::new(vec![instance(&["sankore", "audit"], Environment::Development)], keymap);
    bench.app.update(Msg::Resize(100, 30));
    bench.keys("8y");
    bench.planned();
    bench.drawn();
    bench.keys("\nyyy\ny");
    assert!(bench.acts().is_empty());
    bench.keys("\u{1b}");
    let mut bench2 = bench;
    bench2.keys("\n");
    assert!(bench2.text().contains("a yes"), "{}", bench2.text());
    bench2.keys("a");
    assert_eq!(bench2.acts().len(), 1);
}

#[test]
fn production_wants_the_name_of_the_database_and_takes_no_paste() {
    let mut bench = Bench::preview(Environment::Production);
    bench.keys("\ny\n");
    assert!(bench.acts().is_empty(), "y is a letter here");
    bench.key(Key::plain(Code::Backspace));
    bench.drawn();
    bench.app.update(Msg::Paste("engarde".into()));
    bench.keys("\n");
    assert!(bench.acts().is_empty(), "a paste is no typing");
    bench.keys("engard\n");
    assert!(bench.acts().is_empty(), "not the whole name");
    bench.keys("e\n");
    assert_eq!(bench.acts().len(), 1);
}

#[test]
fn keys_from_before_a_dialog_was_drawn_are_dropped() {
    let mut bench = Bench::new(Environment::Development);
    bench.keys("8");
    // typed ahead, all at once
    for key in ["f", "\n", "y", "\n", "y"] {
        bench.key(if key == "\n" { Key::plain(Code::Enter) } else { Key::char(key.chars().next().unwrap()) });
    }
    bench.planned();
    for _ in 0..3 {
        bench.key(Key::plain(Code::Enter));
        bench.key(Key::char('y'));
    }
    assert!(bench.acts().is_empty());
    // composed, but not yet on the screen
    bench.app.view();
    bench.key(Key::plain(Code::Enter));
    bench.key(Key::char('y'));
    assert!(bench.acts().is_empty());
    // an older frame is
    let frame = bench.app.frame();
    bench.app.update(Msg::Drawn(frame - 1));
    bench.key(Key::plain(Code::Enter));
    bench.app.view();
    bench.key(Key::char('y'));
    assert!(bench.acts().is_empty());
    bench.drawn();
    // Enter and y in one go: the question was not on the screen when y was pressed
    bench.key(Key::plain(Code::Enter));
    bench.key(Key::char('y'));
    assert!(bench.acts().is_empty());
    bench.drawn();
    bench.key(Key::char('y'));
    assert_eq!(bench.acts().len(), 1, "and a key after that counts");
}

#[test]
fn read_only_standby_and_lost_lines_keep_the_key_and_say_why() {
    let with = |edit: fn(&mut Instance)| {
        let mut instance = instance(&["sankore"], Environment::Development);
        edit(&mut instance);
        Bench::over(instance)
    };
    for (edit, keys, words) in [
        ((|i| i.read_only = true) as fn(&mut Instance), "8f", "read-only"),
        (|i| i.read_only = true, "6x", "read-only"),
        (|i| i.allow_signals = false, "6X", "allow_signals"),
        (|i| i.recorded = true, "8f", "recording"),
        (|i| i.link.state = LinkState::Connecting, "8f", "has not answered"),
    ] {
        let mut bench = with(edit);
        bench.keys(keys);
        assert!(bench.effects.iter().all(|e| !matches!(e, Effect::Plan { .. })), "{keys}");
        let text = bench.text();
        assert!(text.contains(words), "{keys}: {text}");
        bench.key(Key::char('g'));
        let text = bench.text();
        assert!(text.contains("f fix") || text.contains("x cancel"), "the key stays in sight: {text}");
    }
    let mut standby = with(|_| ());
    let mut sample = sample(&["sankore"]);
    sample.server.in_recovery = true;
    let link = Link { state: LinkState::Ready, ..Link::default() };
    standby.app = App::new(vec![Instance { link, ..sample.instance() }], Keymap::new([]).unwrap());
    standby.app.update(Msg::Resize(100, 30));
    standby.keys("8f");
    assert!(standby.text().contains("standby"), "{}", standby.text());
    // what becomes read-only while the dialog is open
    let mut bench = Bench::preview(Environment::Development);
    bench.keys("\n");
    let lost = Link {
        state: LinkState::Lost { since_ms: 0, reason: "x".into(), remedy: None, next_try_ms: 9 },
        ..Link::default()
    };
    bench.app.update(Msg::Instance(0, InstanceMsg::Link(lost)));
    bench.keys("y");
    assert!(bench.acts().is_empty());
}

#[test]
fn a_key_that_mends_nothing_here_says_what_to_do_instead() {
    let unfixable = |policy: bool, remedy: &str| {
        let mut sample = sample(&["sankore"]);
        if policy {
            sample.service("sankore", "user sankore");
        }
        // worse than what has a fix, so the first row
        sample.finding(Severity::Critical, Some("sankore"), None, "two services share a version table");
        sample.findings.last_mut().unwrap().remedy = remedy.to_owned();
        let link = Link { state: LinkState::Ready, answered_at_ms: Some(0), ..Link::default() };
        let mut bench = Bench::over(Instance { link, ..sample.instance() });
        bench.keys("8g");
        bench
    };
    let remedy = "Move one with `pgmoat versions move`.";
    for (policy, why) in [(true, "no statement can decide this"), (false, "without a policy nothing says how")] {
        let mut bench = unfixable(policy, remedy);
        let foot = |bench: &mut Bench| bench.text().lines().last().unwrap_or_default().to_owned();
        bench.keys("f");
        let said = foot(&mut bench);
        assert!(said.contains("nothing to fix by itself") && said.contains(remedy), "{said}");
        assert!(bench.effects.iter().all(|e| !matches!(e, Effect::Plan { .. })));
        // nor in its story
        bench.keys("\n");
        bench.keys("f");
        assert!(foot(&mut bench).contains(remedy), "{}", foot(&mut bench));
        bench.key(Key::plain(Code::Esc));
        bench.app.update(Msg::Resize(140, 30));
        bench.keys("f");
        assert!(foot(&mut bench).contains(why), "{}", foot(&mut bench));
        // help names it where it cannot be done, with the reason
        bench.app.update(Msg::Resize(200, 90));
        bench.keys("?");
        assert!(bench.text().contains("Not now: nothing here differs"), "{}", bench.text());
        bench.keys("?");
        // and where it can be done, it is offered
        bench.app.update(Msg::Resize(100, 30));
        bench.keys("jg");
        bench.keys("j");
        assert!(foot(&mut bench).contains("f fix"), "{}", foot(&mut bench));
    }
    // what is too long for one line is told by the story
    let mut bench = unfixable(true, &"Decide whose it is. ".repeat(20));
    bench.keys("f");
    assert!(bench.text().contains("… Enter tells the rest"), "{}", bench.text());
}

#[test]
fn sessions_are_aimed_at_with_their_start_and_own_ones_are_not() {
    let mut bench = Bench::new(Environment::Development);
    bench.keys("6X\n");
    assert!(bench.acts().is_empty());
    bench.keys("y");
    let [Effect::Signal { ordered, .. }] = bench.acts()[..] else { panic!("{:?}", bench.effects) };
    let [aim] = &ordered.order().aims[..] else { panic!() };
    assert_eq!(
        crate::domain::snapshot::Mark::Start(i64::from(aim.pid)),
        aim.mark,
        "the sample's sessions start at their pid"
    );
    assert_eq!(aim.query_start_us, None, "a terminate hits whatever it runs");
    let mut bench = Bench::new(Environment::Development);
    bench.keys("6   x\ny");
    let [Effect::Signal { ordered, .. }] = bench.acts()[..] else { panic!("{:?}", bench.effects) };
    let order = ordered.order();
    assert_eq!((order.aims.len(), order.left.len()), (2, 1), "the console's own session is left alone");
    assert!(order.aims.iter().all(|a| a.query_start_us == Some(7)), "a cancel names the statement");
    assert_eq!(order.way, ending::Way::Cancel);
}

#[test]
fn while_it_runs_esc_asks_to_stop_and_does_not_lie() {
    let mut bench = Bench::preview(Environment::Development);
    bench.keys("\ny");
    let ticket = bench
        .effects
        .iter()
        .find_map(|e| if let Effect::Apply { ticket, .. } = e { Some(*ticket) } else { None })
        .unwrap();
    bench.keys("\u{7f}");
    bench.key(Key::plain(Code::Esc));
    assert!(bench.effects.contains(&Effect::StopAction(ticket)));
    assert!(bench.text().contains("Asked to stop"), "{}", bench.text());
    let committing = Progress { words: "COMMIT is sent".into(), details: Vec::new(), step: None, stoppable: false };
    bench.app.update(Msg::Act(ticket, ActNews::Progress(committing)));
    bench.drawn();
    assert!(bench.text().contains("cannot be stopped"), "{}", bench.text());
    bench.keys("q");
    assert!(!bench.effects.contains(&Effect::Quit), "it waits for the answer");
    let told = Told {
        fate: Fate::Committed,
        title: "Done and committed".into(),
        details: vec!["Transaction 7.".into()],
        remedy: None,
        refused: Vec::new(),
        aftermath: None,
    };
    let effects = bench.app.update(Msg::Act(ticket, ActNews::Over(told)));
    assert!(effects.contains(&Effect::Refresh(Some(0))) && effects.contains(&Effect::ReadJournal));
    assert!(effects.contains(&Effect::Quit), "and then leaves, as was asked");
}

#[test]
fn a_rehearsal_comes_back_to_the_plan_and_a_stale_plan_is_made_again() {
    let mut bench = Bench::preview(Environment::Development);
    bench.keys("r");
    let Some(Effect::Rehearse { ticket, .. }) = bench.effects.last() else { panic!("{:?}", bench.effects) };
    let ticket = *ticket;
    let told = |fate, title: &str| Told::new(fate, title);
    bench.app.update(Msg::Act(ticket, ActNews::Over(told(Fate::Rehearsed, "Rehearsed: it works"))));
    bench.drawn();
    assert!(bench.text().contains("Rehearsed: it works") && bench.text().contains("Enter apply"), "{}", bench.text());
    bench.keys("\ny");
    assert_eq!(bench.acts().len(), 1);
    bench.app.update(Msg::Act(ticket, ActNews::Over(told(Fate::Nothing, "Nothing was changed: it moved"))));
    bench.drawn();
    bench.keys("\n");
    assert!(matches!(bench.effects.last(), Some(Effect::Plan { ticket: again, .. }) if *again != ticket));
    let before = bench.effects.len();
    bench.app.update(Msg::Act(ticket, ActNews::Ready(Ok(Box::new(bench.ready.clone())))));
    bench.drawn();
    bench.keys("\ny");
    assert_eq!(bench.acts().len(), 1, "news of the old ticket are nobody's: {:?}", &bench.effects[before..]);
}

#[test]
fn a_login_without_the_rights_is_told_before_anything_runs() {
    let mut bench = Bench::new(Environment::Development);
    bench.ready.lacks = vec!["s1 (take USAGE) needs ownership of schema sankore".into()];
    bench.keys("8f");
    bench.planned();
    bench.drawn();
    bench.keys("\nyr");
    assert!(bench.acts().is_empty() && !bench.effects.iter().any(|e| matches!(e, Effect::Rehearse { .. })));
    assert!(bench.text().contains("needs ownership"), "{}", bench.text());
}

#[test]
fn u_speaks_of_the_newest_entry_that_can_be_taken_back() {
    let mut bench = Bench::new(Environment::Development);
    bench.keys("u");
    assert!(bench.text().contains("has not been read"), "{}", bench.text());
    let entry = |id: u64, can_undo: bool| super::BookEntry {
        id,
        instance: Some(0),
        at_us: id as i64,
        at: "2026-11-20 21:00:00".into(),
        who: "ann".into(),
        target: "local".into(),
        what: "take USAGE".into(),
        state: "committed",
        tone: crate::app::view::Tone::Good,
        details: Vec::new(),
        undone_by: None,
        meaning: Meaning::New,
        can_undo,
        can_redo: false,
        steps: Vec::new(),
        undo: Vec::new(),
    };
    let book = Book { entries: vec![entry(3, false), entry(2, true), entry(1, true)], ..Book::default() };
    bench.app.update(Msg::Journal(Arc::new(book)));
    bench.keys("u");
    let asked = |effects: &[Effect]| {
        effects.iter().rev().find_map(|e| match e {
            Effect::Plan { ask: Ask::Undo { entry }, .. } => *entry,
            _ => None,
        })
    };
    assert_eq!(asked(&bench.effects), Some(2));
    bench.key(Key::plain(Code::Esc));
    bench.drawn();
    bench.keys("9jju");
    assert_eq!(asked(&bench.effects), Some(1), "in the journal the selected one");
}

#[test]
fn hostile_names_are_shown_and_never_acted_on() {
    let mut bench = Bench::named(&HOSTILE[..5], Environment::Production);
    bench.keys("8f");
    bench.planned();
    bench.drawn();
    for keys in ["v", " ", "v", "\n"] {
        bench.keys(keys);
        for (width, height) in [(80, 24), (120, 40), (30, 10)] {
            bench.app.update(Msg::Resize(width, height));
            let screen = bench.app.view();
            let text = crate::tui::text_of(&screen);
            assert!(!text.chars().any(|c| c != '\n' && crate::text::is_unsafe(c)), "{text:?}");
        }
    }
    let lines: Vec<Line> = bench.ready.cells.iter().flat_map(|c| [c.before.clone(), c.after.clone()]).collect();
    assert!(!lines.is_empty());
}

#[test]
fn no_row_of_random_keys_approves_without_a_full_confirmation() {
    let keys: Vec<Key> = "fuxXyrvcmIVn wdsg4468896 \n\n:/?ia"
        .chars()
        .map(|c| if c == '\n' { Key::plain(Code::Enter) } else { Key::char(c) })
        .chain([Code::Esc, Code::Tab, Code::Up, Code::Down, Code::BackTab].map(Key::plain))
        .collect();
    let mut seed: u64 = 42;
    let mut next = |most: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % most
    };
    let question = |screen: &Screen| {
        let asks = |line: &Line| line.plain().contains("any other key");
        screen.parts.iter().any(|part| matches!(part, Part::Bar { left, .. } if asks(left)))
    };
    let (mut approved, mut dialogs) = (0, 0);
    for round in 0..30 {
        let production = round % 3 == 0;
        let environment = if production { Environment::Production } else { Environment::Development };
        let mut bench = Bench::new(environment);
        // whether the question stood on the screen when the last key was pressed
        let mut asked = false;
        for _ in 0..200 {
            let key = match next(4) {
                0 => Key::plain(Code::Enter),
                1 => Key::char('y'),
                _ => keys[next(keys.len())],
            };
            let before = bench.effects.len();
            bench.key(key);
            let new = bench.effects.split_off(before);
            for effect in new {
                let ticket = match effect {
                    Effect::Apply { ticket, .. } | Effect::Signal { ticket, .. } => {
                        approved += 1;
                        assert!(!production, "no random key types the name of the database");
                        assert!(asked, "approved without a question on the screen");
                        assert_eq!(key, Key::char('y'));
                        ticket
                    }
                    Effect::Rehearse { ticket, .. } => ticket,
                    Effect::Plan { ticket, .. } => {
                        dialogs += 1;
                        let ready = Box::new(bench.ready.clone());
                        bench.app.update(Msg::Act(ticket, ActNews::Ready(Ok(ready))));
                        continue;
                    }
                    _ => continue,
                };
                let fate = [Fate::Committed, Fate::Nothing, Fate::Unknown, Fate::Rehearsed][next(4)];
                let told = Told::new(fate, "over");
                bench.app.update(Msg::Act(ticket, ActNews::Over(told)));
            }
            // the screen follows the keys two times in three
            if next(3) > 0 {
                asked = question(&bench.app.view());
                let frame = bench.app.frame();
                bench.app.update(Msg::Drawn(frame));
            }
        }
    }
    assert!(approved > 10 && dialogs > 10, "the keys reach the dialogs: {approved} approved, {dialogs} opened");
}

#[test]
fn a_refused_step_is_left_out_of_the_next_plan() {
    let mut bench = Bench::preview(Environment::Development);
    bench.keys("\ny");
    let Some(Effect::Apply { ticket, .. }) = bench.effects.last() else { panic!() };
    let told = Told {
        fate: Fate::Nothing,
        title: "Nothing was changed: the server refused step s1".into(),
        details: Vec::new(),
        remedy: None,
        refused: vec!["code:too much in audit".into()],
        aftermath: None,
    };
    bench.app.update(Msg::Act(*ticket, ActNews::Over(told)));
    bench.drawn();
    assert!(bench.text().contains("plan again without it"), "{}", bench.text());
    bench.keys("\n");
    let Some(Effect::Plan { ask: Ask::Fix { except, .. }, .. }) = bench.effects.last() else { panic!() };
    assert_eq!(*except, ["code:too much in audit"]);
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
        for (environment, word) in [(Environment::Development, "development"), (Environment::Production, "production")]
        {
            let mut bench = Bench::new(environment);
            bench.app.update(Msg::Resize(width, height));
            bench.keys("8f");
            bench.planned();
            bench.drawn();
            if environment == Environment::Development {
                shown(&mut bench, "preview");
            }
            bench.keys("\n");
            shown(&mut bench, &format!("confirm_{word}"));
            if environment == Environment::Production {
                continue;
            }
            bench.keys("y");
            let Some(Effect::Apply { ticket, .. }) = bench.effects.last() else { panic!() };
            let ticket = *ticket;
            let progress = Progress {
                words: "locked by others; attempt 3 of 20, nothing is held meanwhile".into(),
                details: vec!["pid 4711 of engarde_user (main), idle in transaction: update t".into()],
                step: None,
                stoppable: true,
            };
            bench.app.update(Msg::Act(ticket, ActNews::Progress(progress)));
            bench.drawn();
            shown(&mut bench, "running");
            let told = Told {
                fate: Fate::Unknown,
                title: "It is not known whether this was committed: the line was lost. Journal entry 7.".into(),
                details: vec!["Nothing is guessed: the journal keeps it as unknown.".into()],
                remedy: Some("When the server answers again the console asks by itself.".into()),
                refused: Vec::new(),
                aftermath: None,
            };
            bench.app.update(Msg::Act(ticket, ActNews::Over(told)));
            bench.drawn();
            shown(&mut bench, "unknown");
        }
        let mut bench = Bench::new(Environment::Development);
        bench.app.update(Msg::Resize(width, height));
        bench.keys("6 X");
        shown(&mut bench, "terminate");
    }
}
