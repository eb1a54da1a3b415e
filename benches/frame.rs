//! What a frame costs at 200x60 with thousands of rows: the state, the frame as data, the cells, and the bytes.
//! Goal: at most 1 ms at any number of rows, at most 100 bytes for one changed cell, nothing when nothing changed.

#![expect(clippy::expect_used, reason = "what cannot be set up cannot be measured")]

mod large;

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main, measurement::WallTime};
use pgmoat::{
    app::{
        App, InstanceMsg, Msg,
        instance::Instance,
        keymap::{Code, Key, Keymap},
        panes::{Ctx, Enter, Entry, NewPane, Pane, PaneSpec, RowId, SortKey},
        screen::Screen,
        view::{Column, Line, Tone},
    },
    config::target::Environment,
    domain::{
        alembic::Lineages,
        link::{Link, LinkState},
        snapshot::{Catalog, Server, Snapshot},
    },
    policy::judgement::Judgement,
    tui::{
        draw::draw,
        terminal::frame,
        theme::{Depth, Theme},
    },
};
use ratatui::{buffer::Buffer, layout::Rect};

/// Thirteen columns of as many rows as the instance's name says.
#[derive(Default)]
struct Rows(Vec<String>);

const SPEC: PaneSpec = PaneSpec { id: "rows", title: "Rows", doc: "Rows." };
const TITLES: [&str; 13] =
    ["name", "owner", "tables", "views", "rows", "size", "toast", "index", "acl", "login", "limit", "state", "note"];

impl Pane for Rows {
    fn spec(&self) -> &'static PaneSpec {
        &SPEC
    }
    fn load(&mut self, ctx: &Ctx<'_>) -> Vec<Entry> {
        let rows: usize = ctx.instances.first().and_then(|i| i.name.parse().ok()).unwrap_or(0);
        self.0 = (0..rows).map(|i| format!("relation_{i:06}")).collect();
        let entry = |(i, name): (usize, &String)| Entry {
            id: RowId(0, name.clone()),
            text: name.clone(),
            keys: vec![SortKey::Text(name.clone()), SortKey::Number(i as i64)],
        };
        self.0.iter().enumerate().map(entry).collect()
    }
    fn columns(&self, _: &Ctx<'_>) -> Vec<Column> {
        TITLES
            .iter()
            .enumerate()
            .map(|(i, t)| if i == 0 { Column::left(t, 10, 24, 0) } else { Column::right(t, 6, 14, 0) })
            .collect()
    }
    fn cells(&self, _: &Ctx<'_>, index: usize) -> Vec<Line> {
        let name = self.0.get(index).map_or("", String::as_str);
        let cell = |i: usize| match i {
            0 => Line::new(name, Tone::Text),
            _ => Line::new(&format!("{}", index * 31 + i), if i.is_multiple_of(3) { Tone::Dim } else { Tone::Text }),
        };
        (0..TITLES.len()).map(cell).collect()
    }
    fn inspector(&self, _: &Ctx<'_>, index: usize, _: usize, _: u16) -> Vec<Line> {
        (0..8).map(|i| Line::new(&format!("row {index}, line {i} of what it is and why"), Tone::Text)).collect()
    }
    fn enter(&mut self, _: &Ctx<'_>, _: usize, _: usize) -> Enter {
        Enter::Nothing("nothing below")
    }
    fn copy(&self, _: &Ctx<'_>, _: usize, _: usize) -> String {
        String::new()
    }
    fn empty(&self, _: &Ctx<'_>) -> Vec<Line> {
        Vec::new()
    }
}

const PANES: &[(&PaneSpec, NewPane)] = &[(&SPEC, || Box::<Rows>::default())];
const AREA: Rect = Rect { x: 0, y: 0, width: 200, height: 60 };

fn instance(name: &str) -> Instance {
    Instance {
        name: name.to_owned(),
        environment: Environment::Development,
        read_only: false,
        allow_signals: true,
        policy_name: None,
        policy_problem: None,
        link: Link { state: LinkState::Ready, interval_ms: 2000, answered_at_ms: Some(0), ..Link::default() },
        judgement: None,
        revision: 0,
        first_sizes: None,
        recorded: false,
        command: None,
    }
}

fn app(rows: usize) -> (App, Arc<Judgement>) {
    let snapshot = Snapshot {
        instance: "bench".to_owned(),
        words: None,
        server: Arc::new(Server::default()),
        catalog: Arc::new(Catalog::default()),
        shapes: None,
        objects: pgmoat::domain::snapshot::Objects::default(),
        versions: Arc::default(),
        sizes: Arc::default(),
        activity: None,
        unavailable: Vec::new(),
    };
    let judged = Judgement::new(Arc::new(snapshot), None, Arc::new(Lineages::default()), None);
    let keys = Keymap::new([]).expect("the default keys");
    shown(App::with_panes(vec![instance(&rows.to_string())], keys, PANES), judged)
}

/// The matrix of 2,513 roles x 2,003 schemas in the pane Grants.
fn grants() -> (App, Arc<Judgement>) {
    let policy = large::policy();
    let judged =
        Judgement::new(Arc::new(large::snapshot()), Some(Arc::new(policy)), Arc::new(Lineages::default()), None);
    let app = App::new(vec![instance("large")], Keymap::new([]).expect("the default keys"));
    let (mut app, judged) = shown(app, judged);
    app.update(Msg::Key(Key::char('4')));
    app.view();
    (app, judged)
}

fn shown(mut app: App, judged: Judgement) -> (App, Arc<Judgement>) {
    let judged = Arc::new(judged);
    app.update(Msg::Resize(AREA.width, AREA.height));
    app.update(Msg::Tick { now_ms: 1000, day_s: Some(43_421) });
    app.update(Msg::Instance(0, InstanceMsg::Judgement(Arc::clone(&judged))));
    app.view();
    (app, judged)
}

fn painted(screen: &Screen, theme: &Theme) -> Buffer {
    let mut buffer = Buffer::empty(AREA);
    draw(screen, theme, &mut buffer);
    buffer
}

/// Key, frame, cells and bytes, as the console does it.
fn step(app: &mut App, theme: &Theme, (shown, next): &mut (Buffer, Buffer), msg: Msg) -> usize {
    app.update(msg);
    draw(&app.view(), theme, next);
    let bytes = frame(Some(shown), next).map_or(0, |b| b.len());
    std::mem::swap(shown, next);
    bytes
}

fn steps(group: &mut BenchmarkGroup<'_, WallTime>, theme: &Theme, app: (App, Arc<Judgement>), name: &str) {
    let (mut app, judged) = app;
    let mut shown = (painted(&app.view(), theme), Buffer::empty(AREA));
    let tick = |s: u32| Msg::Tick { now_ms: 1000, day_s: Some(43_421 + s % 9) };
    let unchanged = step(&mut app, theme, &mut shown, tick(0));
    assert_eq!(unchanged, 0, "nothing changed, nothing is written");
    let cell = step(&mut app, theme, &mut shown, tick(1));
    assert!((1..=100).contains(&cell), "one digit of the clock costs {cell} bytes");
    let mut s = 0;
    group.bench_function(BenchmarkId::new("one digit changes", name), |b| {
        b.iter(|| {
            s += 1;
            black_box(step(&mut app, theme, &mut shown, tick(s)))
        });
    });
    let mut down = true;
    group.bench_function(BenchmarkId::new("the selection moves", name), |b| {
        b.iter(|| {
            down = !down;
            let key = Key::char(if down { 'j' } else { 'k' });
            black_box(step(&mut app, theme, &mut shown, Msg::Key(key)))
        });
    });
    // never a page that was looked at before
    group.bench_function(BenchmarkId::new("a page down", name), |b| {
        b.iter_custom(|times| {
            let mut all = Duration::ZERO;
            for page in 0..times {
                if page % 20 == 0 {
                    app.update(Msg::Key(Key::char('g')));
                    app.update(Msg::Instance(0, InstanceMsg::Judgement(Arc::clone(&judged))));
                    app.view();
                }
                let begun = Instant::now();
                black_box(step(&mut app, theme, &mut shown, Msg::Key(Key::plain(Code::PageDown))));
                all += begun.elapsed();
            }
            all
        });
    });
    group.bench_function(BenchmarkId::new("the frame as data", name), |b| b.iter(|| black_box(app.view())));
}

fn frames(c: &mut Criterion) {
    let theme = Theme::load("dark", None, Depth::Full).expect("a built-in theme");
    let mut group = c.benchmark_group("frame 200x60");
    for rows in [100, 10_000, 100_000] {
        steps(&mut group, &theme, app(rows), &rows.to_string());
    }
    steps(&mut group, &theme, grants(), "matrix");
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
