//! Roles: what each may be and do here, its connections, its search path, and what is wrong with it. Roles of the server
//! and of its platform come last, dim. The story of a role is `role_story.rs`.
//!
//! ```text
//!   role            login  attributes            member of      schemas             conn.  valid until  search_path  findings
//!   engarde_user    yes                          –              public, audit       12/20  –            public       ✔
//!   postgres        yes    SUPERUSER             –              all                     3  –            "$user" …    ✔
//! ```

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use crate::{
    app::{
        panes::{Ctx, Enter, Entry, Pane, PaneSpec, RowId, SortKey, marks::Marks, reach::Reach, role_story},
        prose::{self, Prose},
        view::{Column, Line, Span, Tone},
        wording,
    },
    domain::{
        Oid,
        closure::get,
        search_path::{Origin, Paths},
        snapshot::{Activity, Catalog, Role, Server},
    },
    policy::{Limits, judgement::Judgement},
    text,
};

pub static SPEC: PaneSpec = PaneSpec {
    id: "roles",
    title: "Roles",
    doc: "Every role: attributes, memberships, the schemas it reaches, its connections and its search path.",
};

const DAY_US: i64 = 86_400_000_000;

/// See the module.
#[derive(Default)]
pub struct Roles {
    rows: Vec<Row>,
    /// By position of the instance.
    known: HashMap<usize, Known>,
}

/// One role of one instance, by position.
struct Row {
    instance: usize,
    role: usize,
}

/// What is computed once per judgement, or once per catalog.
#[derive(Default)]
struct Known {
    reach: Reach,
    marks: Marks,
    /// The catalog that `paths` are of.
    catalog: Weak<Catalog>,
    /// Winning `search_path` of each role, and which setting that is; by position.
    paths: Vec<(Origin, String)>,
    /// Sessions by role name; `None` while sessions were not read.
    sessions: Option<HashMap<String, u32>>,
}

impl Known {
    fn refresh(&mut self, j: &Judgement) {
        self.reach.refresh(j);
        self.marks = Marks::new(j);
        let now = Arc::downgrade(&j.snapshot.catalog);
        if !self.catalog.ptr_eq(&now) {
            let paths = Paths::new(&j.snapshot.catalog, &j.snapshot.server);
            let winning = |role: &Role| {
                let (origin, value) = paths.setting(role.oid);
                (origin, value.to_owned())
            };
            self.paths = j.snapshot.catalog.roles.iter().map(winning).collect();
            self.catalog = now;
        }
        self.sessions = j.snapshot.activity.as_deref().map(sessions);
    }

    fn connections(&self, role: &str) -> Option<u32> {
        self.sessions.as_ref().map(|s| s.get(role).copied().unwrap_or(0))
    }
}

fn sessions(activity: &Activity) -> HashMap<String, u32> {
    let mut count: HashMap<String, u32> = HashMap::new();
    for role in activity.sessions.iter().filter_map(|s| s.role.as_deref()) {
        match count.get_mut(role) {
            Some(n) => *n += 1,
            None => {
                count.insert(role.to_owned(), 1);
            }
        }
    }
    count
}

/// Not the people's: shown last and dim.
fn is_foreign(role: &Role) -> bool {
    role.is_platform()
}

/// Attributes worth a word, worst first, with their tones.
#[must_use]
pub fn attributes(role: &Role) -> Vec<(&'static str, Tone)> {
    [
        (role.superuser, "SUPERUSER", Tone::Superuser),
        (role.bypass_rls && !role.superuser, "bypasses RLS", Tone::Warning),
        (role.replication && !role.superuser, "replication", Tone::Warning),
        (role.create_role && !role.superuser, "creates roles", Tone::Warning),
        (role.create_db && !role.superuser, "creates databases", Tone::Text),
        (!role.inherit, "does not inherit", Tone::Text),
    ]
    .into_iter()
    .filter_map(|(holds, word, tone)| holds.then_some((word, tone)))
    .collect()
}

/// [`attributes`], and that SET ROLE makes it a superuser.
fn standing(j: &Judgement, at: usize, role: &Role) -> Vec<(&'static str, Tone)> {
    let closure = &j.matrix.closure;
    let near = !role.superuser && closure.beyond(at).iter().any(|became| get(closure.superusers(), *became));
    let mut words = attributes(role);
    if near {
        words.insert(0, ("superuser by SET ROLE", Tone::Warning));
    }
    words
}

/// When the password ends: nothing, a date to come, or a date gone.
#[must_use]
pub fn valid_until(role: &Role, server: &Server, limits: &Limits) -> Option<(String, Tone)> {
    let until = role.valid_until_us.filter(|us| *us != i64::MAX)?;
    let left = until - server.taken_at_us;
    Some(if left < 0 {
        (format!("ended {} ago", text::age(-left / 1000)), Tone::Error)
    } else {
        let soon = left < i64::from(limits.password_expiry_days) * DAY_US;
        (format!("in {}", text::age(left / 1000)), if soon { Tone::Warning } else { Tone::Text })
    })
}

/// `10/10 FULL`, `3`, `?`; the limit does not bind superusers.
#[must_use]
pub fn connections(role: &Role, used: Option<u32>) -> Line {
    let limit = u32::try_from(role.connection_limit).ok();
    let used_word = used.map_or_else(|| wording::UNKNOWN.to_owned(), |n| n.to_string());
    let tone = match used {
        None => Tone::Unknown,
        Some(0) => Tone::Dim,
        Some(_) => Tone::Text,
    };
    match limit {
        None => Line::new(&used_word, tone),
        Some(_) if role.superuser => Line::new(&used_word, tone),
        Some(limit) => {
            let (word, tone) = match used {
                Some(n) if n >= limit => (" FULL", Tone::Error),
                Some(n) if n * 5 >= limit * 4 => ("", Tone::Warning),
                Some(_) | None => ("", tone),
            };
            Line::new(&format!("{used_word}/{limit}{word}"), tone)
        }
    }
}

/// Groups a role is directly in: names, with a mark where the privileges are not inherited.
fn member_of(j: &Judgement, role: usize) -> Line {
    let mut line = Line::empty();
    for edge in j.matrix.closure.parents(role).iter().filter(|e| !e.implicit).take(8) {
        if !line.0.is_empty() {
            line.0.push(Span::known(", ", Tone::Dim));
        }
        let tone = if edge.inherit { Tone::Text } else { Tone::Dim };
        line.0.push(Span::new(wording::role_at(j, edge.role), tone));
        if !edge.inherit {
            line.0.push(Span::known(" (not inherited)", Tone::Dim));
        }
    }
    if line.0.is_empty() {
        line.0.push(Span::known("–", Tone::Dim));
    }
    line
}

fn schemas(j: &Judgement, role: &Role, reach: &Reach, position: usize) -> Line {
    if role.superuser {
        return Line(vec![Span::known("all", Tone::Superuser)]);
    }
    let mut line = Line::empty();
    for at in reach.schemas(position).take(3) {
        if !line.0.is_empty() {
            line.0.push(Span::known(", ", Tone::Dim));
        }
        let schema = j.snapshot.catalog.schemas.get(at);
        let owns = schema.is_some_and(|s| s.owner == role.oid);
        line.0.push(Span::new(schema.map_or("", |s| s.name.as_str()), if owns { Tone::Strong } else { Tone::Text }));
    }
    match reach.count(position) {
        0 => line.0.push(Span::known("none", Tone::Dim)),
        n if n > 3 => line.0.push(Span::new(&format!(" +{}", n - 3), Tone::Dim)),
        _ => {}
    }
    line
}

impl Roles {
    fn at<'a>(&'a self, ctx: &Ctx<'a>, index: usize) -> Option<(&'a Row, &'a Judgement, &'a Role, &'a Known)> {
        let row = self.rows.get(index)?;
        let j = ctx.instances.get(row.instance)?.judgement.as_deref()?;
        Some((row, j, j.snapshot.catalog.roles.get(row.role)?, self.known.get(&row.instance)?))
    }

    fn entry(&self, ctx: &Ctx<'_>, index: usize) -> Option<Entry> {
        let (row, j, role, known) = self.at(ctx, index)?;
        let path = known.paths.get(row.role).map_or("", |(_, value)| value.as_str());
        let reached = if role.superuser { i64::MAX } else { known.reach.count(row.role) as i64 };
        let words: Vec<&str> = standing(j, row.role, role).iter().map(|(word, _)| *word).collect();
        let mut keys = vec![
            SortKey::Text(role.name.clone()),
            SortKey::Number(i64::from(!role.login)),
            SortKey::Number(-(words.len() as i64) - 100 * i64::from(role.superuser)),
            SortKey::Number(0),
            SortKey::Number(reached),
            SortKey::Number(known.connections(&role.name).map_or(-1, i64::from)),
            SortKey::Number(role.valid_until_us.unwrap_or(i64::MAX)),
            SortKey::Text(path.to_owned()),
            known.marks.role(row.role).key(),
        ];
        if ctx.several() {
            keys.insert(0, SortKey::Number(row.instance as i64));
        }
        Some(Entry {
            id: RowId(row.instance, role.name.clone()),
            text: format!("{} {} {path}", role.name, words.join(" ")),
            keys,
        })
    }
}

impl Pane for Roles {
    fn spec(&self) -> &'static PaneSpec {
        &SPEC
    }

    fn load(&mut self, ctx: &Ctx<'_>) -> Vec<Entry> {
        self.rows.clear();
        self.known.retain(|i, _| *i < ctx.instances.len());
        for (instance, of) in ctx.shown() {
            let Some(j) = of.judgement.as_deref() else { continue };
            self.known.entry(instance).or_default().refresh(j);
            for foreign in [false, true] {
                let roles = j.snapshot.catalog.roles.iter().enumerate();
                self.rows
                    .extend(roles.filter(|(_, r)| is_foreign(r) == foreign).map(|(role, _)| Row { instance, role }));
            }
        }
        (0..self.rows.len()).filter_map(|i| self.entry(ctx, i)).collect()
    }

    fn columns(&self, ctx: &Ctx<'_>) -> Vec<Column> {
        let mut columns = vec![
            Column { frozen: true, ..Column::left("role", 16, 24, 0) },
            Column::left("login", 5, 5, 5),
            Column::left("attributes", 12, 28, 1),
            Column { sorts: false, ..Column::left("member of", 12, 20, 4) },
            Column::left("schemas", 16, 34, 0),
            Column::right("conn.", 10, 12, 0),
            Column::left("valid until", 13, 18, 7),
            Column::left("search_path", 16, 30, 2),
            Column::left("findings", 8, 9, 0),
        ];
        if ctx.several() {
            columns.insert(0, Column { frozen: true, ..Column::left("instance", 8, 16, 0) });
        }
        columns
    }

    fn cells(&self, ctx: &Ctx<'_>, index: usize) -> Vec<Line> {
        let Some((row, j, role, known)) = self.at(ctx, index) else { return Vec::new() };
        let dim = is_foreign(role);
        let limits = j.policy.as_ref().map(|p| p.limits.clone()).unwrap_or_default();
        let mut words = Line::empty();
        for (word, tone) in standing(j, row.role, role) {
            if !words.0.is_empty() {
                words.0.push(Span::known(", ", Tone::Dim));
            }
            words.0.push(Span::known(word, tone));
        }
        let mut cells = vec![
            Line::new(&role.name, if dim { Tone::Dim } else { Tone::Strong }),
            Line(vec![if role.login { Span::known("yes", Tone::Text) } else { Span::known("no", Tone::Dim) }]),
            words,
            member_of(j, row.role),
            if dim { Line::empty() } else { schemas(j, role, &known.reach, row.role) },
            if role.login { connections(role, known.connections(&role.name)) } else { Line::empty() },
            valid_until(role, &j.snapshot.server, &limits)
                .map_or_else(Line::empty, |(said, tone)| Line::new(&said, tone)),
            known.paths.get(row.role).filter(|_| role.login).map_or_else(Line::empty, |(origin, value)| {
                Line::new(value, if *origin == Origin::Server { Tone::Dim } else { Tone::Text })
            }),
            if dim { Line::empty() } else { known.marks.cell(known.marks.role(row.role)) },
        ];
        if dim {
            for span in cells.iter_mut().flat_map(|cell| &mut cell.0) {
                span.tone = Tone::Dim;
            }
        }
        if ctx.several() {
            cells.insert(0, wording::plain(ctx.instances.get(row.instance).map_or("", |i| i.name.as_str())));
        }
        cells
    }

    fn inspector(&self, ctx: &Ctx<'_>, index: usize, _column: usize, width: u16) -> Vec<Line> {
        let Some((row, j, role, known)) = self.at(ctx, index) else { return Vec::new() };
        let mut lines = known.marks.role(row.role).sentences(j, 2);
        lines.push(role_story::what_it_is(j, role, known.connections(&role.name)));
        let reached = known.reach.count(row.role);
        if role.superuser {
            lines.push(
                Prose::new()
                    .toned("A superuser may do everything everywhere", Tone::Superuser)
                    .say("; no grant limits it, no row level security binds it.")
                    .line(),
            );
        } else if is_foreign(role) {
            lines.push(
                Prose::new().dim("It belongs to the server or its platform: shown, never judged or changed.").line(),
            );
        } else {
            lines.extend(known.reach.schemas(row.role).take(3).map(|at| role_story::in_schema(j, row.role, at)));
            if reached > 3 {
                lines.push(Line::new(&format!("  and rights in {} more schemas", reached - 3), Tone::Dim));
            }
            if reached == 0 {
                lines.push(Prose::new().say("It has no rights of its own in any schema.").line());
            }
        }
        lines.extend(role_story::search_path(j, row.role));
        lines.extend(role_story::by_set_role(j, row.role));
        prose::block(&lines, width, 8)
    }

    fn enter(&mut self, ctx: &Ctx<'_>, index: usize, _column: usize) -> Enter {
        let Some((row, j, _, known)) = self.at(ctx, index) else { return Enter::Nothing("nothing is selected") };
        let role = j.snapshot.catalog.roles.get(row.role);
        let used = role.and_then(|r| known.connections(&r.name));
        let mark = known.marks.role(row.role);
        Enter::Story(role_story::story(j, row.role, used, mark, &known.reach))
    }

    fn enter_word(&self) -> &'static str {
        "story"
    }

    fn copy(&self, ctx: &Ctx<'_>, index: usize, _column: usize) -> String {
        self.at(ctx, index).map(|(_, _, role, _)| role.name.clone()).unwrap_or_default()
    }

    fn empty(&self, _ctx: &Ctx<'_>) -> Vec<Line> {
        vec![Line(vec![Span::known("Reading the roles …", Tone::Dim)])]
    }
}

/// The settings in force for a role at its login: the one that wins of each name, and what it beats.
#[must_use]
pub fn settings(j: &Judgement, role: Oid) -> Vec<Setting<'_>> {
    let catalog = &j.snapshot.catalog;
    let mut all: Vec<Setting<'_>> = catalog
        .settings
        .iter()
        .filter(|s| s.database.is_none_or(|d| d == catalog.database.oid))
        .filter_map(|s| {
            let of = s.role.filter(|r| *r != Oid::ZERO);
            let origin = match (of, s.database.filter(|d| *d != Oid::ZERO)) {
                (Some(r), Some(_)) if r == role => Origin::RoleInDatabase,
                (Some(r), None) if r == role => Origin::Role,
                (None, Some(_)) => Origin::Database,
                (None, None) => Origin::AllRoles,
                (Some(_), _) => return None,
            };
            Some(Setting { name: &s.name, value: &s.value, origin, wins: false })
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(b.name).then(a.origin.cmp(&b.origin)));
    let mut last: Option<&str> = None;
    for setting in &mut all {
        setting.wins = last != Some(setting.name);
        last = Some(setting.name);
    }
    all
}

/// One setting that could apply to a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<'a> {
    pub name: &'a str,
    pub value: &'a str,
    pub origin: Origin,
    /// A nearer one of the same name does not exist.
    pub wins: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::panes::sample::{HOSTILE, Sample, ctx, holds_the_rules},
        domain::{
            Acl, Privilege,
            snapshot::{Kind, Setting as Stored},
        },
        policy::Severity,
    };

    fn fleet() -> Sample {
        let mut sample = Sample::new();
        let (app, team, reader) = (sample.role("langflow_app"), sample.role("team"), sample.role("onside_user"));
        sample.edit_role(app, |r| r.connection_limit = 2);
        sample.edit_role(reader, |r| {
            r.inherit = false;
            r.valid_until_us = Some(1_800_000_000_000_000 - 2 * DAY_US);
        });
        sample.member(team, app);
        sample.member(app, reader);
        sample.catalog.memberships[1].inherit = false;
        let acl = Sample::acl(&[(app, &[Privilege::Usage, Privilege::Create]), (team, &[Privilege::Usage])]);
        let schema = sample.schema("langflow", app, acl);
        sample.group(schema, Kind::Table, app, Acl::NULL, 4);
        sample.service("langflow", "langflow_app");
        sample.catalog.roles.push(Role { oid: Oid(77), name: "pg_monitor".into(), ..Role::default() });
        sample
    }

    fn cells(pane: &Roles, ctx: &Ctx<'_>, name: &str) -> Vec<String> {
        let at = (0..pane.rows.len()).find(|i| pane.copy(ctx, *i, 0) == name).unwrap();
        pane.cells(ctx, at).iter().map(Line::plain).collect()
    }

    #[test]
    fn a_row_says_attributes_limits_and_reach() {
        let mut sample = fleet();
        sample.session(1, "langflow_app", |_| {});
        sample.session(2, "langflow_app", |_| {});
        let instances = [sample.instance()];
        let ctx = ctx(&instances, 160);
        let mut pane = Roles::default();
        pane.load(&ctx);
        let app = cells(&pane, &ctx, "langflow_app");
        assert_eq!(app[..6], ["langflow_app", "yes", "", "team", "langflow", "2/2 FULL"]);
        assert_eq!(app[7], "\"$user\", public");
        let onside = cells(&pane, &ctx, "onside_user");
        assert_eq!(onside[2], "does not inherit");
        assert_eq!(onside[3], "langflow_app (not inherited)");
        assert_eq!(onside[4..7], ["none", "0", "ended 2 d ago"]);
        assert_eq!(cells(&pane, &ctx, "postgres")[2..5], ["SUPERUSER", "–", "all"]);
        assert_eq!(pane.copy(&ctx, pane.rows.len() - 1, 0), "pg_monitor", "the server's roles come last");
    }

    #[test]
    fn who_may_become_a_superuser_by_set_role_is_told_so() {
        let mut sample = fleet();
        let team = sample.catalog.roles.iter().find(|r| r.name == "team").unwrap().oid;
        sample.member(crate::app::panes::sample::POSTGRES, team);
        let instances = [sample.instance()];
        let ctx = ctx(&instances, 160);
        let mut pane = Roles::default();
        pane.load(&ctx);
        // by way of langflow_app even who inherits nothing
        for (role, told) in [
            ("team", "superuser by SET ROLE"),
            ("langflow_app", "superuser by SET ROLE"),
            ("onside_user", "superuser by SET ROLE, does not inherit"),
            ("postgres", "SUPERUSER"),
        ] {
            assert_eq!(cells(&pane, &ctx, role)[2], told, "{role}");
        }
    }

    #[test]
    fn connections_nobody_has_read_are_unknown_not_zero() {
        let instances = [fleet().instance()];
        let ctx = ctx(&instances, 160);
        let mut pane = Roles::default();
        pane.load(&ctx);
        assert_eq!(cells(&pane, &ctx, "langflow_app")[5], "?/2");
        assert_eq!(cells(&pane, &ctx, "team")[5], "?");
    }

    #[test]
    fn the_story_keeps_set_role_apart_and_names_the_setting_that_wins() {
        let mut sample = fleet();
        let onside = sample.catalog.roles.iter().find(|r| r.name == "onside_user").unwrap().oid;
        let set = |role, database: Option<u32>, value: &str| Stored {
            database: database.map(Oid),
            role: Some(role),
            name: "search_path".into(),
            value: value.into(),
        };
        sample.catalog.settings = vec![set(onside, None, "onside"), set(onside, Some(5), "langflow")];
        let instances = [sample.instance()];
        let ctx = ctx(&instances, 160);
        let mut pane = Roles::default();
        pane.load(&ctx);
        let at = (0..pane.rows.len()).find(|i| pane.copy(&ctx, *i, 0) == "onside_user").unwrap();
        let Enter::Story(story) = pane.enter(&ctx, at, 0) else { panic!("a story") };
        let plain: Vec<String> = story.lines.iter().map(Line::plain).collect();
        for wanted in [
            "  member of langflow_app: has its rights only after SET ROLE; granted by postgres",
            "  search_path = langflow, set for the role in this database",
            "  search_path = onside, set for the role; beaten by the nearer one",
            "  as langflow_app: owns langflow",
            "  nothing beyond what everybody may",
        ] {
            assert!(plain.contains(&wanted.to_owned()), "{wanted}: {plain:#?}");
        }
        assert!(plain.iter().any(|l| l.contains("langflow is skipped without a word: the role has no USAGE")));
        let said: Vec<String> = pane.inspector(&ctx, at, 0, 160).iter().map(Line::plain).collect();
        assert!(said.iter().any(|l| l.starts_with("By SET ROLE, and only then")), "{said:?}");
    }

    #[test]
    fn hostile_names_and_both_widths_hold() {
        let mut sample = fleet();
        for name in HOSTILE {
            let role = sample.role(name);
            sample.schema(name, role, Sample::acl(&[(role, &[Privilege::Usage])]));
            sample.finding(Severity::Error, None, Some(name), name);
            sample.session(9, name, |_| {});
        }
        let instances = [sample.instance()];
        let mut pane = Roles::default();
        holds_the_rules(&mut pane, &instances);
        holds_the_rules(&mut pane, &[fleet().instance(), fleet().instance()]);
    }
}
