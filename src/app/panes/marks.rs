//! How much is wrong at each schema and each role: findings by position, worst first, gathered once per judgement, and
//! how that looks in a cell and in an inspector.

use crate::{
    app::{
        panes::SortKey,
        prose::Prose,
        view::{Line, Span, Tone},
        wording,
    },
    policy::{Finding, Severity, judgement::Judgement},
};

/// Findings of one object, as positions in [`Judgement::findings`]: worst first, as they stand there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mark {
    pub worst: Option<Severity>,
    pub findings: Vec<u32>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Marks {
    schemas: Vec<Mark>,
    roles: Vec<Mark>,
    /// Some groups have not been looked at yet: no mark does not mean nothing wrong.
    checking: bool,
}

impl Marks {
    #[must_use]
    pub fn new(j: &Judgement) -> Marks {
        let catalog = &j.snapshot.catalog;
        let mut marks = Marks {
            schemas: vec![Mark::default(); catalog.schemas.len()],
            roles: vec![Mark::default(); catalog.roles.len()],
            checking: !j.checking.is_empty(),
        };
        let index = &j.matrix.index;
        for (i, finding) in j.findings.iter().enumerate() {
            let schema = finding.schema.as_deref().and_then(|name| index.schema_named(name));
            let role = finding.role.as_deref().and_then(|name| index.role_named(name));
            let schema = schema.and_then(|at| marks.schemas.get_mut(at));
            let role = role.and_then(|at| marks.roles.get_mut(at));
            for mark in schema.into_iter().chain(role) {
                mark.worst = mark.worst.max(Some(finding.severity));
                mark.findings.push(i as u32);
            }
        }
        marks
    }

    /// Of the schema at a position of the catalog.
    #[must_use]
    pub fn schema(&self, position: usize) -> &Mark {
        const NONE: &Mark = &Mark { worst: None, findings: Vec::new() };
        self.schemas.get(position).unwrap_or(NONE)
    }

    /// Of the role at a position of the catalog.
    #[must_use]
    pub fn role(&self, position: usize) -> &Mark {
        const NONE: &Mark = &Mark { worst: None, findings: Vec::new() };
        self.roles.get(position).unwrap_or(NONE)
    }

    /// Glyph of the worst and how many; `✔` for none, `…` while checks are still to come.
    #[must_use]
    pub fn cell(&self, mark: &Mark) -> Line {
        match mark.worst {
            None if self.checking => Line(vec![Span::known("…", Tone::Dim)]),
            None => Line(vec![Span::known("✔", Tone::Good)]),
            Some(worst) => Line(vec![
                Span::known(worst.glyph(), wording::tone(worst)),
                Span::new(&format!(" {}", mark.findings.len()), wording::tone(worst)),
            ]),
        }
    }
}

impl Mark {
    /// Worst first, then more of them.
    #[must_use]
    pub fn key(&self) -> SortKey {
        let worst = self.worst.map_or(0, |s| s as i64 + 1);
        SortKey::Number(worst * 1_000_000 + self.findings.len() as i64)
    }

    /// The findings themselves.
    pub fn of<'a>(&'a self, j: &'a Judgement) -> impl Iterator<Item = &'a Finding> {
        self.findings.iter().filter_map(|i| j.findings.get(*i as usize))
    }

    /// The worst `most` as sentences, and how many more there are.
    #[must_use]
    pub fn sentences(&self, j: &Judgement, most: usize) -> Vec<Line> {
        let mut lines: Vec<Line> = self.of(j).take(most).map(sentence).collect();
        if self.findings.len() > most {
            let rest = format!("{} more", self.findings.len() - most);
            lines.push(Prose::new().say("  ").and(&rest, Tone::Dim).dim(" in the pane Findings").line());
        }
        lines
    }
}

/// One finding as a sentence with its glyph.
#[must_use]
pub fn sentence(finding: &Finding) -> Line {
    let tone = wording::tone(finding.severity);
    Line(vec![Span::known(finding.severity.glyph(), tone), Span::known(" ", tone), Span::new(&finding.message, tone)])
}

/// Findings with why they matter and what to do, for a story. What several of them have in common is said once; at most
/// `most` are told, the rest is counted.
pub fn tell<'a>(findings: impl Iterator<Item = &'a Finding>, most: usize, lines: &mut Vec<Line>) {
    let all: Vec<&Finding> = findings.collect();
    let shown = all.get(..most.min(all.len())).unwrap_or_default();
    for alike in shown.chunk_by(|a, b| a.code == b.code && a.why == b.why) {
        lines.extend(alike.iter().map(|f| sentence(f)));
        let mut say = |text: &str, tone: Tone| {
            if !text.is_empty() {
                lines.push(Prose::new().say("  ").and(text, tone).line());
            }
        };
        say(alike.first().map_or("", |f| &f.why), Tone::Dim);
        match alike {
            [one] => say(&one.remedy, Tone::Text),
            [first, ..] if alike.iter().all(|f| f.remedy == first.remedy) => say(&first.remedy, Tone::Text),
            _ => {}
        }
    }
    if all.len() > most {
        let rest = format!("{} more", all.len() - most);
        lines.push(Prose::new().say("  ").and(&rest, Tone::Dim).dim(" in the pane Findings").line());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{app::panes::sample::Sample, domain::Acl};

    #[test]
    fn the_worst_finding_gives_the_glyph_and_both_sides_are_marked() {
        let mut sample = Sample::new();
        let owner = sample.role("owner");
        sample.schema("s", owner, Acl::NULL);
        sample.finding(Severity::Critical, Some("s"), None, "first");
        sample.finding(Severity::Warning, Some("s"), Some("owner"), "second");
        sample.finding(Severity::Warning, Some("gone"), Some("nobody"), "third");
        let j = sample.judgement();
        let marks = Marks::new(&j);
        let schema = marks.schema(j.matrix.index.schema_named("s").unwrap());
        assert_eq!((schema.worst, schema.findings.len()), (Some(Severity::Critical), 2));
        assert_eq!(marks.cell(schema).plain(), "‼ 2");
        let role = marks.role(j.matrix.index.role(owner).unwrap());
        assert_eq!(marks.cell(role).plain(), "▲ 1");
        assert!(schema.key() > role.key());
        assert_eq!(marks.cell(marks.role(999)).plain(), "✔");
        assert_eq!(schema.sentences(&j, 1).len(), 2);
    }

    #[test]
    fn a_story_says_once_what_findings_have_in_common() {
        let mut sample = Sample::new();
        for message in ["no SELECT", "no INSERT", "no UPDATE"] {
            sample.finding(Severity::Error, None, None, message);
        }
        sample.findings.iter_mut().for_each(|f| f.why = "it stops".into());
        let mut lines = Vec::new();
        tell(sample.findings.iter(), 2, &mut lines);
        let plain: Vec<String> = lines.iter().map(Line::plain).collect();
        assert_eq!(plain, ["✖ no SELECT", "✖ no INSERT", "  it stops", "  1 more in the pane Findings"]);
    }
}
