//! A role told in sentences: what it is, what it may do where, what SET ROLE would add, which settings win. Used by the
//! pane Roles for its inspector and for Enter.

use crate::{
    app::{
        panes::{
            Story,
            marks::{self, Mark},
            reach::Reach,
            roles::{attributes, settings, valid_until},
        },
        prose::Prose,
        view::{Line, Span, Tone},
        wording,
    },
    domain::{
        ObjectKind, Oid,
        effective::Who,
        search_path::{Origin, Paths, Standing},
        snapshot::Role,
    },
    policy::{judge::Judged, judgement::Judgement},
    text,
};

/// Schemas told of in one story; the rest is counted.
const MOST_SCHEMAS: usize = 80;

/// "langflow_app logs in, is a member of app_ro, uses 10 of its 10 connections."
#[must_use]
pub fn what_it_is(j: &Judgement, role: &Role, used: Option<u32>) -> Line {
    let mut prose = Prose::new().name(&role.name);
    let services: Vec<&str> =
        j.policy.iter().flat_map(|p| &p.services).filter(|s| s.role == role.name).map(|s| s.name.as_str()).collect();
    if !services.is_empty() {
        prose = prose.say(" is the role of service ").names(&services, 4).say("; it");
    }
    prose = prose.say(if role.login { " may log in" } else { " may not log in" });
    for (word, tone) in attributes(role) {
        prose = prose.say(", ").toned(word, tone);
    }
    if role.login {
        prose = match (used, u32::try_from(role.connection_limit)) {
            (None, _) => prose.say("; its connections are not known yet"),
            (Some(n), Ok(limit)) if !role.superuser && n >= limit => {
                let said = format!("; it uses all {limit} of its connections: the next one is refused");
                prose.and(&said, Tone::Error)
            }
            (Some(n), Ok(limit)) => prose.text(&format!("; it uses {n} of its {limit} connections")),
            (Some(n), Err(_)) => prose
                .text(&format!("; it has {}, without a limit", text::count(u64::from(n), "connection", "connections"))),
        };
    }
    let limits = j.policy.as_ref().map(|p| p.limits.clone()).unwrap_or_default();
    if let Some((said, tone)) = valid_until(role, &j.snapshot.server, &limits) {
        let ended = tone == Tone::Error;
        prose = prose.and(if ended { "; its password " } else { "; its password ends " }, tone).and(&said, tone);
    }
    prose.say(".").line()
}

/// "sankore: use it; insert, update and delete 1 of 4 tables — declared: no access."
#[must_use]
pub fn in_schema(j: &Judgement, role: usize, schema: usize) -> Line {
    let name = j.snapshot.catalog.schemas.get(schema).map_or("", |s| s.name.as_str());
    let judged = j.judge().cell(Who::Role(role), schema);
    let prose = Prose::new().say("  ").name(name).say(": ").text(&wording::cell(&judged.cell, j.matrix.version_num));
    declared(prose, &judged).line()
}

fn declared(prose: Prose, judged: &Judged) -> Prose {
    let Some(levels) = &judged.declared else { return prose };
    let words: Vec<&str> = levels.iter().map(|l| l.word()).collect();
    let said = if words.is_empty() { "no access".to_owned() } else { text::list(&words, 9) };
    let mut prose = prose.dim("; declared: ").and(&said, Tone::Dim);
    let sum = |list: &[crate::policy::judge::Difference]| list.iter().map(|d| d.count).sum::<u32>();
    if !judged.missing.is_empty() {
        prose = prose.and(&format!(" −{} missing", sum(&judged.missing)), Tone::Missing);
    }
    if !judged.excess.is_empty() {
        prose = prose.and(&format!(" +{} too much", sum(&judged.excess)), Tone::Excess);
    }
    prose
}

/// The effective path, who set it, and what of it the server skips without a word.
#[must_use]
pub fn search_path(j: &Judgement, role: usize) -> Vec<Line> {
    let catalog = &j.snapshot.catalog;
    if !catalog.roles.get(role).is_some_and(|r| r.login) {
        return Vec::new();
    }
    let path = Paths::new(catalog, &j.snapshot.server).of(catalog, &j.matrix, role);
    let mut prose = Prose::new().say("Its names are looked for in ");
    let used: Vec<_> = path.listed().map(|oid| wording::schema_name(j, oid)).collect();
    prose = if used.is_empty() {
        prose.toned("no schema at all", Tone::Warning)
    } else {
        let mut list = prose;
        for (i, name) in used.iter().take(6).enumerate() {
            list = list.say(if i == 0 { "" } else { ", then " }).name(name);
        }
        list
    };
    prose =
        prose.dim(" (search_path ").and(&path.value, Tone::Dim).dim(", set for ").dim(path.origin.words()).dim(").");
    let mut lines = vec![prose.line()];
    for entry in path.skipped() {
        let prose = Prose::new().toned("  ▲ ", Tone::Warning).name(&entry.name);
        lines.push(match entry.standing {
            Standing::NoUsage(_) => prose
                .toned(
                    " is skipped without a word: the role has no USAGE, so its tables \"do not exist\".",
                    Tone::Warning,
                )
                .line(),
            Standing::Missing | Standing::Used(_) | Standing::Repeated(_) => {
                prose.toned(" is skipped without a word: there is no such schema.", Tone::Warning).line()
            }
        });
    }
    lines
}

/// What the role would gain by SET ROLE, beyond what it inherits; nothing when it gains nothing.
#[must_use]
pub fn by_set_role(j: &Judgement, role: usize) -> Option<Line> {
    let names = more_by_set_role(j, role);
    if names.is_empty() {
        return None;
    }
    let shown: Vec<&str> = names.iter().map(|r| wording::role_at(j, *r)).collect();
    Some(Prose::new().say("By SET ROLE, and only then, it could also act as ").names(&shown, 5).say(".").line())
}

fn more_by_set_role(j: &Judgement, role: usize) -> Vec<usize> {
    let superuser = |at: usize| j.snapshot.catalog.roles.get(at).is_some_and(|r| r.superuser);
    if superuser(role) {
        return Vec::new();
    }
    let closure = &j.matrix.closure;
    let adds = |at: &usize| !closure.inherits(role, *at) || superuser(*at);
    let mut more: Vec<usize> = closure.settable(role).into_iter().filter(adds).collect();
    more.sort_by_key(|at| !superuser(*at));
    more
}

/// Everything about one role.
#[must_use]
pub fn story(j: &Judgement, at: usize, used: Option<u32>, mark: &Mark, reach: &Reach) -> Story {
    let catalog = &j.snapshot.catalog;
    let Some(role) = catalog.roles.get(at) else {
        return Story { title: Line::empty(), lines: Vec::new(), copy: String::new() };
    };
    let mut lines = Vec::new();
    marks::tell(mark.of(j), 20, &mut lines);
    if !lines.is_empty() {
        lines.push(Line::empty());
    }
    lines.push(what_it_is(j, role, used));
    memberships(j, at, &mut lines);
    heading(&mut lines, "Settings at its login");
    lines.extend(search_path(j, at));
    told_settings(j, role, &mut lines);
    heading(&mut lines, "What it may do, schema by schema");
    if role.superuser {
        lines.push(Line(vec![Span::known("  everything everywhere, as a superuser", Tone::Superuser)]));
    } else {
        let judge = j.judge();
        for schema in reach.schemas(at).take(MOST_SCHEMAS) {
            let judged = judge.cell(Who::Role(at), schema);
            let name = catalog.schemas.get(schema).map_or("", |s| s.name.as_str());
            let prose =
                Prose::new().say("  ").name(name).say(": ").text(&wording::cell(&judged.cell, j.matrix.version_num));
            lines.push(declared(prose, &judged).line());
            let via: Vec<String> = judged.cell.via.iter().map(wording::via).collect();
            if !via.is_empty() {
                lines.push(Prose::new().dim("      through ").and(&text::list(&via, 8), Tone::Dim).line());
            }
        }
        match reach.count(at) {
            0 => lines.push(Line(vec![Span::known("  nothing beyond what everybody may", Tone::Dim)])),
            n if n > MOST_SCHEMAS => {
                lines.push(Line::new(&format!("  and {} more schemas", n - MOST_SCHEMAS), Tone::Dim));
            }
            _ => {}
        }
    }
    set_role(j, at, &mut lines);
    ownership(j, role, &mut lines);
    Story { title: Prose::new().say("role ").name(&role.name).line(), lines, copy: role.name.clone() }
}

fn heading(lines: &mut Vec<Line>, text: &'static str) {
    lines.push(Line::empty());
    lines.push(Line(vec![Span::known(text, Tone::Title)]));
}

fn memberships(j: &Judgement, at: usize, lines: &mut Vec<Line>) {
    let catalog = &j.snapshot.catalog;
    let Some(oid) = catalog.roles.get(at).map(|r| r.oid) else { return };
    heading(lines, "Memberships (of the whole cluster, not of this database alone)");
    let before = lines.len();
    for m in catalog.memberships.iter().filter(|m| m.member == oid) {
        let mut prose = Prose::new().say("  member of ").name(&wording::role_name(j, m.role));
        prose = match (m.inherit, m.set) {
            (true, true) => prose.say(": has its rights, and may act as it"),
            (true, false) => prose.say(": has its rights, but may not act as it"),
            (false, true) => prose.say(": has its rights only after SET ROLE"),
            (false, false) => prose.say(": has none of its rights"),
        };
        let superuser = catalog.roles.iter().any(|r| r.oid == m.role && r.superuser);
        if m.set && superuser {
            prose = prose.toned("; SET ROLE makes it a superuser", Tone::Warning);
        }
        if m.admin {
            prose = prose.toned("; may let others in (ADMIN)", Tone::Warning);
        }
        lines.push(prose.dim("; granted by ").and(&wording::role_name(j, m.grantor), Tone::Dim).line());
    }
    if catalog.database.owner == oid {
        lines.push(
            Prose::new().say("  member of ").name("pg_database_owner").say(", as the owner of this database").line(),
        );
    }
    let members: Vec<_> =
        catalog.memberships.iter().filter(|m| m.role == oid).map(|m| wording::role_name(j, m.member)).collect();
    if !members.is_empty() {
        lines.push(Prose::new().say("  its members: ").names(&members, 20).line());
    }
    if lines.len() == before {
        lines.push(Line(vec![Span::known("  none, and no members", Tone::Dim)]));
    }
}

fn told_settings(j: &Judgement, role: &Role, lines: &mut Vec<Line>) {
    let all = settings(j, role.oid);
    for setting in &all {
        let tone = if setting.wins { Tone::Text } else { Tone::Dim };
        let mut prose = Prose::new().say("  ").and(setting.name, tone).and(" = ", Tone::Dim).and(setting.value, tone);
        prose = prose.dim(", set for ").dim(setting.origin.words());
        if !setting.wins {
            prose = prose.dim("; beaten by the nearer one");
        }
        lines.push(prose.line());
    }
    if all.is_empty() {
        lines.push(Line(vec![Span::known("  no settings of its own: the server's configuration holds", Tone::Dim)]));
    }
    if all.iter().any(|s| s.origin == Origin::RoleInDatabase) {
        let said = "  What is set for a role in a database silently beats what is set for the role.";
        lines.push(Line(vec![Span::known(said, Tone::Dim)]));
    }
}

fn set_role(j: &Judgement, at: usize, lines: &mut Vec<Line>) {
    let more = more_by_set_role(j, at);
    if more.is_empty() {
        return;
    }
    heading(lines, "What SET ROLE would add (not part of the above)");
    for group in more.iter().take(20) {
        let mut prose = Prose::new().say("  as ").name(wording::role_at(j, *group));
        let of = j.snapshot.catalog.roles.get(*group);
        if of.is_some_and(|r| r.superuser) {
            prose = prose.toned(": everything, it is a superuser", Tone::Superuser);
        } else {
            let catalog = &j.snapshot.catalog;
            let owned: Vec<&str> = catalog
                .schemas
                .iter()
                .filter(|s| of.is_some_and(|r| r.oid == s.owner) && !s.is_system())
                .map(|s| s.name.as_str())
                .collect();
            if !owned.is_empty() {
                prose = prose.say(": owns ").names(&owned, 6);
            }
        }
        lines.push(prose.line());
    }
    if more.len() > 20 {
        lines.push(Line::new(&format!("  and {} more roles", more.len() - 20), Tone::Dim));
    }
}

fn ownership(j: &Judgement, role: &Role, lines: &mut Vec<Line>) {
    let catalog = &j.snapshot.catalog;
    heading(lines, "What it owns");
    let before = lines.len();
    if catalog.database.owner == role.oid {
        lines.push(Prose::new().say("  the database ").name(&catalog.database.name).line());
    }
    let schemas: Vec<&str> =
        catalog.schemas.iter().filter(|s| s.owner == role.oid && !s.is_system()).map(|s| s.name.as_str()).collect();
    if !schemas.is_empty() {
        lines.push(Prose::new().say("  schemas ").names(&schemas, 12).line());
    }
    let mut owned: Vec<(Oid, ObjectKind, u32)> = Vec::new();
    for group in catalog.relations.iter().chain(&catalog.routines).chain(&catalog.types) {
        if group.owner != role.oid || group.extension {
            continue;
        }
        let kind = group.kind.object_kind();
        match owned.iter_mut().find(|(s, k, _)| (*s, *k) == (group.schema, kind)) {
            Some((_, _, n)) => *n += group.count,
            None => owned.push((group.schema, kind, group.count)),
        }
    }
    let system = |oid: Oid| {
        let at = j.matrix.index.schema(oid);
        at.and_then(|at| catalog.schemas.get(at)).is_some_and(crate::domain::snapshot::Schema::is_system)
    };
    owned.retain(|(schema, _, _)| !system(*schema));
    for (schema, kind, n) in owned.iter().take(40) {
        let noun = if *n == 1 { kind.singular() } else { kind.plural() };
        lines.push(Prose::new().text(&format!("  {n} {noun} in ")).name(&wording::schema_name(j, *schema)).line());
    }
    if owned.len() > 40 {
        lines.push(Line::new(&format!("  and more in {} other places", owned.len() - 40), Tone::Dim));
    }
    if lines.len() == before {
        lines.push(Line(vec![Span::known("  nothing in this database", Tone::Dim)]));
    }
}
