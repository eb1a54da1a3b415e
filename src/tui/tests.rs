//! Keys in, screen text out: the console over small panes of its own, painted into a buffer.

use std::sync::Arc;

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    draw::{draw, plain},
    theme::{Depth, Theme},
};
use crate::{
    app::{
        App, Effect, InstanceMsg, Mouse, MouseKind, Msg,
        instance::Instance,
        keymap::{Key, Keymap},
        panes::{Ctx, Enter, Entry, NewPane, Pane, PaneSpec, RowId, SortKey, Story, Want},
        view::{Column, Line, Tone},
    },
    config::target::Environment,
    domain::{
        Oid,
        alembic::Lineages,
        link::{Link, LinkState},
        snapshot::{Catalog, Role, Schema, Server, Snapshot},
    },
    policy::judgement::Judgement,
};

/// Schemas with a number each; one level below, letters.
#[derive(Default)]
struct Plain {
    inside: Option<String>,
    names: Vec<(usize, String)>,
    differences: bool,
}

const PLAIN: PaneSpec = PaneSpec { id: "schemas", title: "Schemas", doc: "What is in the database, by schema." };

impl Pane for Plain {
    fn spec(&self) -> &'static PaneSpec {
        &PLAIN
    }
    fn load(&mut self, ctx: &Ctx<'_>) -> Vec<Entry> {
        self.names.clear();
        for (i, instance) in ctx.shown() {
            let Some(judgement) = &instance.judgement else { continue };
            for schema in &judgement.snapshot.catalog.schemas {
                match &self.inside {
                    None => self.names.push((i, schema.name.clone())),
                    Some(name) if *name == schema.name => {
                        self.names.extend(["a", "b", "c"].map(|t| (i, format!("{t}_table"))));
                    }
                    Some(_) => {}
                }
            }
        }
        if self.differences {
            self.names.retain(|n| n.1.contains('7'));
        }
        self.names
            .iter()
            .map(|(i, name)| Entry {
                id: RowId(*i, name.clone()),
                text: name.clone(),
                keys: vec![SortKey::Text(name.clone()), SortKey::Number(name.len() as i64)],
            })
            .collect()
    }
    fn columns(&self, ctx: &Ctx<'_>) -> Vec<Column> {
        let mut columns = vec![
            Column { frozen: true, ..Column::left("schema", 8, 30, 0) },
            Column::right("letters", 4, 10, 1),
            Column { sorts: false, ..Column::left("note", 6, u16::MAX, 2) },
        ];
        if ctx.several() {
            columns.push(Column { sorts: false, ..Column::left("instance", 6, 20, 0) });
        }
        columns
    }
    fn cells(&self, ctx: &Ctx<'_>, index: usize) -> Vec<Line> {
        let (i, name) = &self.names[index];
        let mut cells = vec![
            Line::new(name, Tone::Text),
            Line::new(&name.len().to_string(), Tone::Text),
            Line::new("a note of some length that may be cut", Tone::Dim),
        ];
        if ctx.several() {
            cells.push(Line::new(&ctx.instances[*i].name, Tone::Dim));
        }
        cells
    }
    fn inspector(&self, _: &Ctx<'_>, index: usize, _: usize, _: u16) -> Vec<Line> {
        let name = &self.names[index].1;
        vec![
            Line::new(name, Tone::Strong).known("   owned by postgres", Tone::Text),
            Line::new("It has as many letters as the table says.", Tone::Text),
        ]
    }
    fn enter(&mut self, _: &Ctx<'_>, index: usize, _: usize) -> Enter {
        if self.inside.is_none() {
            self.inside = Some(self.names[index].1.clone());
            return Enter::Down;
        }
        let lines = (1..=60).map(|n| Line::new(&format!("line {n}"), Tone::Text)).collect();
        Enter::Story(Story { title: Line::new("A story", Tone::Title), lines, copy: "the story".to_owned() })
    }
    fn back(&mut self) -> bool {
        self.inside.take().is_some()
    }
    fn crumbs(&self) -> Option<String> {
        self.inside.clone()
    }
    fn copy(&self, _: &Ctx<'_>, index: usize, _: usize) -> String {
        self.names[index].1.clone()
    }
    fn empty(&self, _: &Ctx<'_>) -> Vec<Line> {
        vec![Line::new("There is no schema here.", Tone::Text)]
    }
    fn wants(&self, _: &Ctx<'_>, visible: &[usize], _: Option<usize>) -> Vec<Want> {
        vec![Want::Sizes { instance: 0, schemas: visible.iter().map(|i| Oid(*i as u32)).collect() }]
    }
    fn badge(&self, ctx: &Ctx<'_>) -> Option<u64> {
        ctx.shown().filter_map(|(_, i)| i.judgement.as_ref()).map(|j| j.snapshot.catalog.schemas.len() as u64).max()
    }
    fn toggle_differences(&mut self) -> bool {
        self.differences = !self.differences;
        true
    }
    fn differences(&self) -> Option<bool> {
        Some(self.differences)
    }
}

/// Roles by schemas: the cursor moves by cell; Enter leads to the schema.
#[derive(Default)]
struct Cells {
    rows: Vec<String>,
    columns: Vec<String>,
}

const CELLS: PaneSpec = PaneSpec { id: "roles", title: "Roles", doc: "Who may do what." };

impl Pane for Cells {
    fn spec(&self) -> &'static PaneSpec {
        &CELLS
    }
    fn load(&mut self, ctx: &Ctx<'_>) -> Vec<Entry> {
        let catalog = ctx.shown().find_map(|(_, i)| i.judgement.as_ref()).map(|j| &j.snapshot.catalog);
        self.rows = catalog.map(|c| c.roles.iter().map(|r| r.name.clone()).collect()).unwrap_or_default();
        self.columns = catalog.map(|c| c.schemas.iter().map(|s| s.name.clone()).collect()).unwrap_or_default();
        let entry =
            |n: &String| Entry { id: RowId(0, n.clone()), text: n.clone(), keys: vec![SortKey::Text(n.clone())] };
        self.rows.iter().map(entry).collect()
    }
    fn columns(&self, _: &Ctx<'_>) -> Vec<Column> {
        let first = Column { frozen: true, ..Column::left("role", 10, 24, 0) };
        let rest =
            self.columns.iter().map(|n| Column { title: n.clone().into(), sorts: false, ..Column::left("", 8, 16, 0) });
        std::iter::once(first).chain(rest).collect()
    }
    fn cells(&self, _: &Ctx<'_>, index: usize) -> Vec<Line> {
        let name = Line::new(&self.rows[index], Tone::Text);
        std::iter::once(name).chain(self.columns.iter().map(|_| Line::new("own +1", Tone::Excess))).collect()
    }
    fn inspector(&self, _: &Ctx<'_>, index: usize, column: usize, _: u16) -> Vec<Line> {
        vec![Line::new(&format!("{} × column {column}", self.rows[index]), Tone::Strong)]
    }
    fn enter(&mut self, _: &Ctx<'_>, _: usize, column: usize) -> Enter {
        match column.checked_sub(1).and_then(|c| self.columns.get(c)) {
            None => Enter::Nothing("the role itself leads nowhere"),
            Some(name) => Enter::Go { pane: "schemas", row: Some(RowId(0, name.clone())) },
        }
    }
    fn enter_word(&self) -> &'static str {
        "go there"
    }
    fn copy(&self, _: &Ctx<'_>, index: usize, _: usize) -> String {
        self.rows[index].clone()
    }
    fn empty(&self, _: &Ctx<'_>) -> Vec<Line> {
        Vec::new()
    }
    fn by_cell(&self) -> bool {
        true
    }
}

const PANES: &[(&PaneSpec, NewPane)] = &[(&PLAIN, || Box::<Plain>::default()), (&CELLS, || Box::<Cells>::default())];

fn instance(name: &str, environment: Environment) -> Instance {
    Instance {
        name: name.to_owned(),
        environment,
        read_only: false,
        allow_signals: true,
        policy_name: None,
        policy_problem: None,
        link: Link { interval_ms: 2000, ..Link::default() },
        judgement: None,
        revision: 0,
        first_sizes: None,
        command: None,
        recorded: false,
    }
}

fn judgement(database: &str, schemas: &[&str]) -> InstanceMsg {
    let schemas = schemas
        .iter()
        .enumerate()
        .map(|(i, n)| Schema {
            oid: Oid(100 + i as u32),
            name: (*n).to_owned(),
            owner: Oid(10),
            acl: crate::domain::Acl::default(),
            extension: false,
        })
        .collect();
    let role = |oid: u32, name: &str| Role { oid: Oid(oid), name: name.to_owned(), ..Role::default() };
    let catalog = Catalog {
        schemas,
        roles: vec![role(10, "postgres"), role(11, "langflow_app"), role(12, "onside_user")],
        ..Catalog::default()
    };
    let server = Server {
        version_num: 150_020,
        database: database.to_owned(),
        superuser: true,
        local: true,
        ..Server::default()
    };
    let snapshot = Snapshot {
        instance: "local".to_owned(),
        words: None,
        server: Arc::new(server),
        catalog: Arc::new(catalog),
        shapes: None,
        objects: crate::domain::snapshot::Objects::default(),
        versions: Arc::default(),
        sizes: Arc::default(),
        activity: None,
        unavailable: Vec::new(),
    };
    let judged = Judgement::new(Arc::new(snapshot), None, Arc::new(Lineages::default()), None);
    InstanceMsg::Judgement(Arc::new(judged))
}

fn ready(answered_at_ms: u64) -> InstanceMsg {
    InstanceMsg::Link(Link {
        state: LinkState::Ready,
        read_ms: Some(21),
        answered_at_ms: Some(answered_at_ms),
        interval_ms: 2000,
        ..Link::default()
    })
}

const NAMES: [&str; 30] = [
    "archive",
    "audit",
    "billing",
    "campaigns",
    "content",
    "drafts",
    "engarde",
    "events",
    "exports",
    "flows",
    "games",
    "history",
    "imports",
    "jobs",
    "keys",
    "langflow",
    "ledger",
    "madansara",
    "metrics",
    "notes7",
    "onside",
    "orders",
    "public",
    "queues",
    "reports",
    "sankore",
    "tenants7",
    "users",
    "videos",
    "wiki",
];

struct Console {
    app: App,
    size: (u16, u16),
}

impl Console {
    fn new(width: u16, height: u16, instances: Vec<Instance>) -> Console {
        let mut app = App::with_panes(instances, Keymap::new([]).unwrap(), PANES);
        app.update(Msg::Resize(width, height));
        app.update(Msg::Tick { now_ms: 1000, day_s: Some(12 * 3600 + 3 * 60 + 41) });
        Console { app, size: (width, height) }
    }

    /// One instance that has answered.
    fn answered(width: u16, height: u16) -> Console {
        let mut console = Console::new(width, height, vec![instance("local", Environment::Development)]);
        console.app.update(Msg::Instance(0, ready(600)));
        console.app.update(Msg::Instance(0, judgement("engarde", &NAMES)));
        console
    }

    /// Keys by their names, divided by blanks.
    fn keys(&mut self, names: &str) -> Vec<Effect> {
        names.split_whitespace().flat_map(|k| self.app.update(Msg::Key(k.parse().unwrap()))).collect()
    }

    fn types(&mut self, text: &str) {
        for c in text.chars() {
            self.app.update(Msg::Key(Key::char(c)));
        }
    }

    fn buffer(&mut self) -> Buffer {
        let theme = Theme::load("dark", None, Depth::Full).unwrap();
        let mut buffer = Buffer::empty(Rect::new(0, 0, self.size.0, self.size.1));
        draw(&self.app.view(), &theme, &mut buffer);
        buffer
    }

    fn text(&mut self) -> String {
        plain(&self.buffer())
    }

    /// The line of the selected row, without its mark.
    fn selected(&mut self) -> String {
        let text = self.text();
        let line = text.lines().find_map(|l| l.strip_prefix('▸')).unwrap_or_default();
        line.split_whitespace().next().unwrap_or_default().trim_start_matches('•').to_owned()
    }

    fn says(&mut self, words: &str) {
        let text = self.text();
        assert!(text.contains(words), "`{words}` is not on the screen:\n{text}");
    }

    fn silent_about(&mut self, words: &str) {
        let text = self.text();
        assert!(!text.contains(words), "`{words}` is on the screen:\n{text}");
    }
}

#[test]
fn whole_screens() {
    for (width, height) in [(80, 24), (120, 40), (200, 60), (50, 14)] {
        let mut console = Console::answered(width, height);
        insta::assert_snapshot!(format!("table_{width}x{height}"), console.text());
        console.keys("2 right");
        insta::assert_snapshot!(format!("cells_{width}x{height}"), console.text());
        console.keys("?");
        insta::assert_snapshot!(format!("help_{width}x{height}"), console.text());
        console.keys("esc :");
        console.types("lang");
        insta::assert_snapshot!(format!("palette_{width}x{height}"), console.text());
    }
}

#[test]
fn every_size_is_drawn_without_a_panic() {
    let mut console = Console::answered(0, 0);
    let steps: [&str; 6] = ["1", "enter enter", "esc esc 2 right", ":", "esc ?", "esc 1 /"];
    for keys in steps {
        console.keys(keys);
        for height in 0..=15 {
            for width in 0..=40 {
                console.app.update(Msg::Resize(width, height));
                console.size = (width, height);
                let text = console.text();
                assert_eq!(text.lines().count(), usize::from(height));
            }
        }
    }
}

#[test]
fn the_first_frame_says_what_is_being_tried() {
    let mut console = Console::new(100, 24, vec![instance("local", Environment::Development)]);
    console.says("Connecting to local …");
    console.says("1 Schemas");
    console.app.update(Msg::Instance(
        0,
        InstanceMsg::Link(Link {
            state: LinkState::Lost {
                since_ms: 0,
                reason: "connection refused".to_owned(),
                remedy: Some("start the server, or check the port".to_owned()),
                next_try_ms: 9000,
            },
            interval_ms: 2000,
            ..Link::default()
        }),
    ));
    console.says("Could not connect to local");
    console.says("start the server, or check the port");
    console.says("since 12:03, retry in 8 s");
}

#[test]
fn the_selection_follows_the_object_through_a_reload() {
    let mut console = Console::answered(100, 24);
    console.keys("down down down down down down");
    assert_eq!(console.selected(), "engarde");
    let mut more: Vec<&str> = vec!["aaa", "aab", "aac"];
    more.extend(NAMES);
    console.app.update(Msg::Instance(0, judgement("engarde", &more)));
    assert_eq!(console.selected(), "engarde");
    console.keys("G");
    assert_eq!(console.selected(), "wiki");
    console.keys("g");
    assert_eq!(console.selected(), "aaa");
}

#[test]
fn esc_goes_back_step_by_step_and_never_quits() {
    let mut console = Console::answered(100, 24);
    console.keys("down enter");
    console.says(" audit ");
    assert_eq!(console.selected(), "a_table");
    console.keys("enter");
    console.says("A story");
    console.says("line 1");
    console.keys("space"); // a key of panes only
    console.says("Esc closes this first");
    assert!(console.keys("esc").is_empty());
    assert_eq!(console.selected(), "a_table");
    console.keys("esc");
    assert_eq!(console.selected(), "audit", "the place above is remembered");
    let effects = console.keys("esc esc esc esc");
    assert!(effects.is_empty());
    console.says("this is the top; q quits");
    assert_eq!(console.keys("q"), [Effect::Quit]);
    assert_eq!(console.keys("ctrl-c"), [Effect::Quit]);
}

#[test]
fn a_filter_is_typed_seen_and_ended() {
    let mut console = Console::answered(120, 30);
    console.keys("/");
    console.types("ar");
    console.says("/ar");
    console.silent_about("onside");
    console.keys("enter");
    console.says("/ar");
    console.says("of 30");
    console.keys("q").iter().for_each(|e| assert_eq!(*e, Effect::Quit, "letters are keys again"));
    console.keys("esc");
    console.says("billing");
    console.keys("/");
    console.types("q!zz");
    console.says("Nothing matches the filter.");
    assert_eq!(console.keys("ctrl-c"), [Effect::Quit], "Ctrl-C leaves from a text field too");
    console.keys("esc");
    console.says("archive");
}

#[test]
fn what_a_filter_found_stays_selected_when_it_goes() {
    let mut console = Console::answered(120, 30);
    assert_ne!(console.selected(), "onside");
    console.keys("/");
    console.types("onside");
    console.keys("enter");
    assert_eq!(console.selected(), "onside");
    console.keys("esc");
    assert_eq!(console.selected(), "onside");
    console.says("imports");
}

#[test]
fn pastes_go_into_text_fields_and_never_fire_keys() {
    let mut console = Console::answered(100, 24);
    let effects = console.app.update(Msg::Paste("q\nq\u{1b}[A:quit\n".to_owned()));
    assert!(effects.is_empty());
    console.says("nothing was pasted");
    console.keys("/");
    assert!(console.app.update(Msg::Paste("lang\nflow\n".to_owned())).is_empty());
    console.says("/lang flow");
    assert_eq!(console.selected(), "langflow");
}

#[test]
fn the_palette_finds_panes_actions_and_objects() {
    let mut console = Console::answered(120, 30);
    console.keys(":");
    console.types("roles");
    console.keys("enter");
    console.says("langflow_app");
    console.keys(":");
    console.types("sankore");
    console.keys("enter");
    assert_eq!(console.selected(), "sankore");
    console.keys("esc");
    console.says("langflow_app");
    console.keys(":");
    console.types("quit");
    assert_eq!(console.keys("enter"), [Effect::Quit]);
    for word in ["redo", "undo"] {
        console.keys(":");
        console.types(word);
        console.says("Go to, or do");
        console.says("▸ undo");
        console.keys("esc");
    }
    console.keys(":");
    console.types("instances");
    console.says("not now: there is only one instance");
    console.keys("enter");
    console.says("instances: there is only one instance");
}

#[test]
fn enter_leads_to_another_pane_and_esc_returns() {
    let mut console = Console::answered(120, 30);
    console.keys("2 enter");
    console.says("the role itself leads nowhere");
    console.keys("down right right right enter");
    assert_eq!(console.selected(), "billing");
    console.keys("esc");
    console.says("langflow_app × column 3");
}

#[test]
fn the_cell_stays_in_sight_and_frozen_columns_too() {
    let mut console = Console::answered(80, 24);
    console.keys("2");
    for _ in 0..30 {
        console.keys("right");
    }
    console.says("wiki");
    console.says("langflow_app");
    console.says("‹");
    for _ in 0..40 {
        console.keys("left");
    }
    console.says("archive");
    console.silent_about("wiki");
}

#[test]
fn the_cell_follows_its_column_through_a_reload() {
    let mut console = Console::answered(100, 24);
    console.keys("2 right right right down");
    console.says("langflow_app × column 3");
    let mut more: Vec<&str> = vec!["aaa"];
    more.extend(NAMES);
    console.app.update(Msg::Instance(0, judgement("engarde", &more)));
    console.says("langflow_app × column 4");
}

#[test]
fn sorting_turns_round_and_shows_it() {
    let mut console = Console::answered(120, 30);
    console.keys("s down enter");
    console.says("letters ▼");
    console.keys("g");
    assert_eq!(console.selected(), "campaigns");
    console.keys("s enter");
    console.says("letters ▲");
    console.keys("g");
    assert_eq!(console.selected(), "jobs");
    console.keys("2 1");
    console.says("letters ▲");
}

#[test]
fn marked_rows_are_copied_together() {
    let mut console = Console::answered(100, 24);
    assert_eq!(console.keys("y"), [Effect::Copy("archive".to_owned())]);
    console.says("sent to the terminal");
    console.keys("space down space");
    console.says("2 marked");
    assert_eq!(console.keys("y"), [Effect::Copy("archive\nbilling".to_owned())]);
    console.keys("w");
    console.says("write to: pgmoat-schemas.txt");
    let text = "archive\nbilling".to_owned();
    assert_eq!(console.keys("enter"), [Effect::Write { path: "pgmoat-schemas.txt".to_owned(), text }]);
    console.keys("esc");
    console.silent_about("marked");
}

#[test]
fn only_differences() {
    let mut console = Console::answered(100, 24);
    console.keys("d");
    console.says("only differences");
    console.says("tenants7");
    console.silent_about("archive");
    console.keys("d");
    console.says("archive");
    console.keys("2 d");
    console.says("this pane compares nothing with the policy");
}

#[test]
fn a_lost_server_dims_its_rows_and_says_since_when() {
    let mut console = Console::answered(120, 30);
    let fresh = console.buffer();
    let lost = LinkState::Lost {
        since_ms: 1000,
        reason: "server closed the connection".to_owned(),
        remedy: None,
        next_try_ms: 70_000,
    };
    console.app.update(Msg::Tick { now_ms: 62_000, day_s: Some(12 * 3600 + 4 * 60 + 42) });
    console.app.update(Msg::Instance(
        0,
        InstanceMsg::Link(Link {
            state: lost,
            read_ms: Some(21),
            answered_at_ms: Some(600),
            interval_ms: 2000,
            ..Link::default()
        }),
    ));
    console.says("local lost since 12:03, retry in 8 s: server closed the connection");
    console.says("archive");
    console.says("▲ 1 m 1 s ago");
    let stale = console.buffer();
    let row = (0..30).find(|y| plain(&stale).lines().nth(*y).is_some_and(|l| l.contains("billing"))).unwrap() as u16;
    assert_ne!(stale.cell((4, row)).unwrap().fg, fresh.cell((4, row)).unwrap().fg);
}

#[test]
fn the_age_of_data_is_seen_when_it_is_old() {
    let mut console = Console::answered(120, 30);
    console.says("read in 21 ms, 0.4 s ago · 2 s");
    console.app.update(Msg::Tick { now_ms: 4700, day_s: None });
    console.says("▲ 4.1 s ago");
    assert_eq!(console.keys("p"), [Effect::Pause(true)]);
    console.says("paused");
    console.silent_about("▲ 4.1 s");
    assert_eq!(console.keys("p"), [Effect::Pause(false)]);
    assert_eq!(console.keys("+"), [Effect::Interval(5000)]);
    console.says("· 5 s");
    assert_eq!(console.keys("- -"), [Effect::Interval(2000), Effect::Interval(1000)]);
    assert_eq!(console.keys("R"), [Effect::Refresh(None)]);
}

#[test]
fn production_is_named_in_words() {
    for (width, height) in [(120, 30), (80, 24), (50, 14)] {
        let mut console = Console::new(width, height, vec![instance("live", Environment::Production)]);
        console.says("PRODUCTION");
        console.app.update(Msg::Instance(0, judgement("shop", &["public"])));
        console.says("PRODUCTION");
    }
}

#[test]
fn several_instances_are_chosen_from() {
    let instances = vec![instance("local", Environment::Development), instance("flowdb", Environment::Staging)];
    let mut console = Console::new(140, 30, instances);
    console.app.update(Msg::Instance(0, judgement("engarde", &["public", "langflow"])));
    console.app.update(Msg::Instance(1, judgement("En-Garde-FlowDB", &["public", "flows"])));
    console.says("flowdb En-Garde-FlowDB");
    console.says("instance");
    console.keys("i");
    console.types("flow");
    console.keys("enter");
    console.says("only flowdb");
    console.silent_about("langflow");
    console.keys("/");
    console.types("@local");
    console.says("Nothing matches");
}

#[test]
fn the_mouse_selects_opens_sorts_and_turns_the_wheel() {
    let mut console = Console::answered(120, 30);
    console.text();
    let press = |console: &mut Console, x: u16, y: u16| {
        console.app.update(Msg::Mouse(Mouse { kind: MouseKind::Press, x, y }));
        console.text()
    };
    press(&mut console, 4, 7);
    assert_eq!(console.selected(), "campaigns");
    let text = press(&mut console, 4, 7);
    assert!(text.contains("a_table"), "the second press opens");
    console.keys("esc");
    assert!(press(&mut console, 12, 3).contains("letters ▼"));
    assert!(press(&mut console, 18, 1).contains("langflow_app"), "a tab");
    press(&mut console, 2, 1);
    console.keys("g");
    console.app.update(Msg::Mouse(Mouse { kind: MouseKind::WheelDown, x: 5, y: 10 }));
    console.says("▸");
    // outside of everything
    for (x, y) in [(119, 29), (0, 0), (500, 500)] {
        press(&mut console, x, y);
    }
}

#[test]
fn wants_are_asked_once_for_the_same_rows_and_data() {
    let mut console = Console::answered(100, 24);
    console.text();
    assert_eq!(console.app.wants().len(), 1);
    assert!(console.app.wants().is_empty());
    console.keys("G");
    console.text();
    assert_eq!(console.app.wants().len(), 1, "other rows");
    console.app.update(Msg::Instance(0, judgement("engarde", &NAMES)));
    console.text();
    assert_eq!(console.app.wants().len(), 1, "other data");
}

#[test]
fn equal_states_make_equal_frames() {
    let mut console = Console::answered(120, 30);
    let first = console.app.view();
    console.app.update(Msg::Tick { now_ms: 1000, day_s: Some(12 * 3600 + 3 * 60 + 41) });
    assert!(first == console.app.view());
    console.keys("down");
    assert!(first != console.app.view());
}

#[test]
fn hostile_names_reach_the_screen_as_escapes() {
    let mut console = Console::answered(100, 24);
    let names = ["a\u{1b}[2Jx", "b\u{202e}nimda", "c\u{200b}", "日本語日本語日本語日本語日本語", "d\u{301}\u{301}"];
    console.app.update(Msg::Instance(0, judgement("engarde", &names)));
    console.says("a\\u{1b}[2Jx");
    console.says("b\\u{202e}nimda");
    let buffer = console.buffer();
    for cell in buffer.content() {
        assert!(!cell.symbol().chars().any(crate::text::is_unsafe), "{:?}", cell.symbol());
    }
}

#[test]
fn random_keys_never_panic_and_quit_only_by_their_keys() {
    use proptest::prelude::*;
    let keys = [
        "up",
        "down",
        "left",
        "right",
        "enter",
        "esc",
        "tab",
        "shift-tab",
        "g",
        "G",
        "pgup",
        "pgdn",
        "/",
        ":",
        "?",
        "s",
        "space",
        "i",
        "y",
        "w",
        "d",
        "p",
        "+",
        "-",
        "R",
        "1",
        "2",
        "9",
        "x",
        "a",
        "é",
        "backspace",
        "ctrl-w",
        "home",
        "end",
        "ctrl-l",
        "f1",
        "[",
        "]",
        "A",
        "O",
    ];
    let config = proptest::test_runner::Config { cases: 48, failure_persistence: None, ..Default::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner
        .run(&proptest::collection::vec((0..keys.len(), 0u16..90, 0u16..30), 1..60), |steps| {
            let mut console = Console::answered(100, 24);
            for (key, width, height) in steps {
                if width % 7 == 0 {
                    console.app.update(Msg::Resize(width, height));
                    console.size = (width, height);
                }
                let effects = console.keys(keys[key]);
                let picked = effects.contains(&Effect::Quit);
                prop_assert!(!picked || keys[key] == "enter", "only the palette may quit here, not {}", keys[key]);
                console.text();
            }
            Ok(())
        })
        .unwrap();
}
