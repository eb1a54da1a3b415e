//! A version table told in sentences: what it is and why, what each application will say at its next start, who may do
//! what with it. Used by the pane Versions for its inspector and for Enter.

use crate::{
    app::{
        panes::{
            Story, marks, role_story,
            versions::{looks, place_words, revision_line},
        },
        prose::Prose,
        view::{Line, Span, Tone},
        wording,
    },
    domain::{
        ObjectKind, qualified, quote_ident,
        snapshot::{VersionRows, VersionTable},
    },
    policy::{
        judgement::Judgement,
        versions::{Place, VersionInfo},
    },
};

/// What it is and why it has its class.
#[must_use]
pub fn what_it_is(j: &Judgement, table: &VersionTable, info: Option<&VersionInfo>) -> Vec<Line> {
    let schema = wording::schema_name(j, table.schema);
    let mut prose = Prose::new();
    if let Some(info) = info {
        let (glyph, word, tone) = looks(info);
        prose = prose.toned(glyph, tone).say(" ").toned(word, tone).say("  ");
    }
    prose = prose.name(&schema).say(".").name(&table.name);
    prose = prose.say(", owned by ").name(&wording::role_name(j, table.owner)).say(". ");
    if let Some(info) = info {
        prose = prose.text(&info.reason);
    }
    let mut lines = vec![prose.line()];
    let why = match &table.rows {
        VersionRows::Known(_) => None,
        VersionRows::Locked(Some(_)) => {
            Some("A migration holds it at the moment; the rows are those of the last reading.")
        }
        VersionRows::Locked(None) => Some("A migration holds it at the moment; its rows will be read when it is done."),
        VersionRows::Denied => Some("Its rows are unknown: this login may not read it."),
        VersionRows::Refused(_) => Some("Its rows were not read: "),
        VersionRows::Pending => Some("Its rows are being read."),
    };
    if let Some(why) = why {
        let mut prose = Prose::new().toned(why, Tone::Unknown);
        if let VersionRows::Refused(reason) = &table.rows {
            prose = prose.and(reason, Tone::Unknown).say(".");
        }
        if table.rows == VersionRows::Denied {
            let name = qualified(&schema, &table.name);
            let grant = format!("  GRANT SELECT ON {name} TO {};", quote_ident(&j.snapshot.server.current_user));
            prose = prose.and(&grant, Tone::SqlKeyword);
        }
        lines.push(prose.line());
    }
    lines
}

/// "holds 7456be403827 (engarde head) and d37bc4322900 (langflow −111 behind)"; nothing when it holds nothing.
#[must_use]
pub fn rows(info: &VersionInfo) -> Option<Line> {
    const MOST: usize = 6;
    let mut prose = Prose::new().say("  holds ");
    for (i, row) in info.rows.iter().take(MOST).enumerate() {
        if i > 0 {
            prose = prose.say(if i + 1 == info.rows.len() { " and " } else { ", " });
        }
        let (words, tone) = place_words(&row.place);
        prose = prose.name(&row.revision).dim(" (");
        if !row.services.is_empty() {
            prose = prose.text(&row.services.join(" or ")).say(" ");
        }
        prose = prose.and(&words, tone).dim(")");
    }
    if info.rows.len() > MOST {
        prose = prose.text(&format!(" and {} more", info.rows.len() - MOST));
    }
    (!info.rows.is_empty()).then(|| prose.line())
}

/// What each application will say at its next start: its name strong, its words as they are.
pub fn next_start(info: &VersionInfo) -> impl Iterator<Item = Line> {
    info.next_start.iter().map(|said| match said.split_once(": ") {
        Some((who, what)) => Prose::new().say("  ").name(who).say(", at its next start: ").text(what).line(),
        None => Prose::new().say("  ").text(said).line(),
    })
}

/// How to know more, where something is missing to tell.
#[must_use]
pub fn hint(j: &Judgement, table: &VersionTable, info: Option<&VersionInfo>) -> Option<Line> {
    if !(table.shape && table.plain) {
        return None;
    }
    if j.policy.is_none() {
        return Some(
            Prose::new()
                .dim("Without a policy nobody can say whose revision this should be: pgmoat policy derive writes one.")
                .line(),
        );
    }
    let info = info.filter(|i| i.rows.iter().any(|r| r.place == Place::NoScripts))?;
    let prose = Prose::new().dim("Where it stands is not known: add revisions = \"…/alembic/versions\" to ");
    let prose = match &info.service {
        Some(service) => prose.dim("service ").name(service),
        None => prose.dim("its service"),
    };
    Some(prose.dim(" in the policy.").line())
}

/// Everything about one version table.
#[must_use]
pub fn story(j: &Judgement, table: &VersionTable, info: Option<&VersionInfo>) -> Story {
    let heading = |lines: &mut Vec<Line>, text: &'static str| {
        lines.push(Line::empty());
        lines.push(Line(vec![Span::known(text, Tone::Title)]));
    };
    let dim = |text: &'static str| Line(vec![Span::known(text, Tone::Dim)]);
    let schema = wording::schema_name(j, table.schema);
    let name = format!("{schema}.{}", table.name);
    let mut lines = what_it_is(j, table, info);
    let findings = j.findings.iter().filter(|f| f.object.as_ref() == Some(&name) || f.objects.contains(&name));
    let mut told = Vec::new();
    marks::tell(findings, 20, &mut told);
    if !told.is_empty() {
        lines.push(Line::empty());
        lines.append(&mut told);
    }
    heading(&mut lines, "Its rows: the revisions that were applied last");
    match (table.rows.known(), info) {
        (None, _) => lines.push(Line(vec![Span::known("  ?", Tone::Unknown)])),
        (Some([]), _) => lines.push(dim("  none: for Alembic the database is new")),
        (Some(_), Some(info)) if !info.rows.is_empty() => lines.extend(info.rows.iter().map(revision_line)),
        (Some(rows), _) => lines.extend(rows.iter().map(|r| Prose::new().say("  ").name(r).line())),
    }
    elsewhere(j, table, &mut lines);
    heading(&mut lines, "What each application will say at its next start");
    let before = lines.len();
    if let Some(info) = info {
        lines.extend(next_start(info));
    }
    if lines.len() == before {
        lines.push(dim("  no declared service takes this table for its own"));
    }
    heading(&mut lines, "Who resolves the bare name to it");
    let before = lines.len();
    for role in info.iter().flat_map(|i| &i.resolved_by).take(40) {
        lines.push(Prose::new().say("  ").name(role).line());
        for line in j.matrix.index.role_named(role).map(|at| role_story::search_path(j, at)).unwrap_or_default() {
            let mut indented = Line(vec![Span::known("      ", Tone::Text)]);
            indented.0.extend(line.0);
            lines.push(indented);
        }
    }
    if lines.len() == before {
        lines.push(dim("  nobody: no login role's search_path leads here"));
    }
    heading(&mut lines, "Rights");
    lines.extend(wording::access_list(j, ObjectKind::Table, table.owner, &table.acl));
    lines.push(Prose::new().dim("  as stored  ").and(&wording::access_raw(j, &table.acl), Tone::Dim).line());
    if table.shape && !table.primary_key {
        lines.push(Line::empty());
        lines.push(dim("It has no primary key: a copy made by hand, or version_table_pk=False."));
    }
    for problem in info.iter().filter_map(|i| i.service.as_ref()).filter_map(|s| j.lineages.0.get(s)) {
        for said in problem.problems.iter().take(10) {
            lines.push(Prose::new().toned("▲ ", Tone::Warning).text(said).line());
        }
    }
    if let Some(line) = hint(j, table, info) {
        lines.push(Line::empty());
        lines.push(line);
    }
    let title = Prose::new().say("version table ").name(&schema).say(".").name(&table.name).line();
    Story { title, lines, copy: qualified(&schema, &table.name) }
}

/// Other version tables that hold one of the same rows.
fn elsewhere(j: &Judgement, table: &VersionTable, lines: &mut Vec<Line>) {
    let rows = table.rows.known().unwrap_or_default();
    for other in j.snapshot.versions.0.iter().filter(|t| t.oid != table.oid) {
        let same = other.rows.known().unwrap_or_default().iter().find(|r| rows.contains(r));
        if let Some(same) = same {
            let prose =
                Prose::new().say("  ").name(same).say(" stands in ").name(&wording::schema_name(j, other.schema));
            lines.push(prose.say(".").name(&other.name).say(" too").line());
        }
    }
}
