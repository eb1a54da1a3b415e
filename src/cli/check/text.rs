//! The findings for people:
//!
//! ```text
//! local · engarde     PostgreSQL 15.20     policy engarde     read 2026-11-20 18:02:59 UTC
//!
//! versions
//!   ‼ critical  version-table-shared  public.alembic_version
//!       Two applications share public.alembic_version: …
//!       Why: …                                       (once per code)
//!       Do:  …
//!       Fix: ALTER TABLE …
//! ```
//! Knows how it looks; what is wrong and why was decided elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::{Reading, Report, tally};
use crate::{
    app::view::Tone,
    cli::{failure::Failure, time},
    domain::Privilege,
    plan,
    policy::{Finding, Group, Severity, judgement::Judgement, left_as_they_are, versions::unread_tables},
    text,
};

/// How many object names are listed under a finding; JSON has up to a hundred.
const OBJECTS: usize = 6;

pub fn write(report: &mut Report, readings: &[Reading]) -> Result<(), Failure> {
    for judgement in readings.iter().filter_map(|r| r.judgement.as_ref().ok()) {
        instance(report, judgement)?;
    }
    let judged: Vec<_> = readings.iter().filter_map(|r| r.judgement.as_ref().ok()).collect();
    if judged.is_empty() {
        return Ok(());
    }
    // counted as the console counts: what is only listed is not wrong
    let all = judged.iter().flat_map(|j| j.findings.iter());
    let wrong = all.clone().filter(|f| f.severity > Severity::Info);
    let left = left_as_they_are(all.clone());
    let listed = all.filter(|f| f.severity == Severity::Info && f.left.is_none_or(|s| s == Severity::Info)).count();
    let parts: Vec<String> = tally(wrong.clone()).filter(|(_, n)| *n > 0).map(|(s, n)| format!("{n} {s}")).collect();
    let total = wrong.count() as u64;
    let words = match (total, &left) {
        (0, None) => "Nothing is wrong.".to_owned(),
        (0, Some(_)) => "Nothing is wrong but what the policy leaves as it is.".to_owned(),
        _ => format!("{}: {}.", text::count(total, "finding", "findings"), text::list(&parts, 4)),
    };
    let words = match &left {
        Some(left) => format!("{words} Left as it is by the policy: {left}."),
        None => words,
    };
    let words = match listed {
        0 => words,
        1 => format!("{words} One more is only listed (info)."),
        n => format!("{words} {n} more are only listed (info)."),
    };
    report.line().tone(&words, if total == 0 && left.is_none() { Tone::Good } else { Tone::Strong }).end()
}

fn instance(report: &mut Report, judgement: &Judgement) -> Result<(), Failure> {
    let (snapshot, server) = (&judgement.snapshot, &judgement.snapshot.server);
    let policy = judgement.policy.as_ref().map_or_else(|| "no policy".to_owned(), |p| format!("policy {}", p.name));
    let platform = server.platform.map(|p| format!(" on {}", p.name())).unwrap_or_default();
    report
        .line()
        .tone(&snapshot.instance, Tone::Title)
        .known(" · ")
        .tone(&server.database, Tone::Title)
        .tone(&format!("     PostgreSQL {}{platform}     {policy}", server.version), Tone::Dim)
        .tone(&format!("     read {}", time::readable(server.taken_at_us)), Tone::Dim)
        .end()?;
    if judgement.policy.is_none() {
        let words =
            "Only what is wrong in any database is looked for. `pgmoat policy derive` writes a policy to compare with.";
        report.paragraph(2, "", words, Tone::Dim)?;
    }
    let mut explained = BTreeSet::new();
    for group in Group::ALL {
        let findings: Vec<&Finding> = judgement.findings.iter().filter(|f| f.group == group).collect();
        if !findings.is_empty() {
            report.blank()?;
            report.line().painted(group.word(), Tone::Strong).end()?;
        }
        for alike in folded(&findings) {
            let first = alike.first().is_some_and(|f| explained.insert(f.code));
            one(report, &alike, first)?;
        }
    }
    if let Some((cells, differ)) = judgement.cells {
        report.blank()?;
        let words = format!("  {differ} of {cells} cells of the matrix differ from the policy.");
        report.line().tone(&words, Tone::Dim).end()?;
    }
    for idle in judgement.idle_exceptions() {
        // what is named by the beginning of its id alone is there, and is not meant
        let longer = format!("{}:", idle.finding);
        let meant = judgement.findings.iter().find(|f| f.id.starts_with(&longer));
        let words = match meant {
            Some(f) => format!(
                "The policy leaves {} as it is, and no finding is called that. Is {} meant?",
                idle.finding, f.id
            ),
            None => {
                format!(
                    "The policy leaves {} as it is, and it is no more there: take that exception out.",
                    idle.finding
                )
            }
        };
        report.paragraph(2, "", &words, Tone::Dim)?;
    }
    for unread in unread_tables(snapshot) {
        let words = format!("Unknown: the rows of {} ({})", unread.table, unread.why);
        report.paragraph(2, "? ", &words, Tone::Unknown)?;
    }
    for part in &snapshot.unavailable {
        report.paragraph(2, "? ", &format!("Unknown: {} ({})", part.what, part.why), Tone::Unknown)?;
        if let Some(grant) = &part.grant {
            report.sql(6, grant)?;
        }
    }
    for group in &judgement.checking {
        report.paragraph(
            2,
            "? ",
            &format!("Not checked: {}; the server did not give what it needs", group.word()),
            Tone::Unknown,
        )?;
    }
    report.blank()
}

/// Findings of one code that differ in nothing but the privilege stand together, in the place of the first.
fn folded<'a>(findings: &[&'a Finding]) -> Vec<Vec<&'a Finding>> {
    let mut folded: Vec<Vec<&Finding>> = Vec::new();
    let mut places: BTreeMap<_, usize> = BTreeMap::new();
    for finding in findings {
        let key = (finding.code, finding.severity, &finding.role, &finding.schema, &finding.object, &finding.objects);
        let place = finding.privilege.and_then(|_| places.get(&key).copied());
        if let Some(alike) = place.and_then(|i| folded.get_mut(i)) {
            alike.push(finding);
        } else {
            places.insert(key, folded.len());
            folded.push(vec![finding]);
        }
    }
    folded
}

/// One finding, with those that are like it.
fn one(report: &mut Report, alike: &[&Finding], first: bool) -> Result<(), Failure> {
    let Some((finding, others)) = alike.split_first() else { return Ok(()) };
    let tone = severity_tone(finding.severity);
    report
        .line()
        .known("  ")
        .painted(finding.severity.glyph(), tone)
        .known(" ")
        .cell(finding.severity.word(), 9, tone)
        .known(finding.code)
        .tone(&format!("  {}", about(finding)), Tone::Dim)
        .end()?;
    report.paragraph(6, "", &finding.message, Tone::Text)?;
    if !others.is_empty() {
        let words: Vec<String> =
            others.iter().map(|f| format!("{} ({})", f.privilege.map_or("", Privilege::keyword), f.observed)).collect();
        report.paragraph(6, "Too: ", &words.join(", "), Tone::Text)?;
    }
    if !finding.objects.is_empty() {
        let rest = finding.objects_total.unwrap_or(0).saturating_sub(finding.objects.len() as u64);
        let mut names = text::list(&finding.objects, OBJECTS);
        if rest > 0 && finding.objects.len() <= OBJECTS {
            names = format!("{names} and {rest} more");
        } else if rest > 0 {
            let shown = finding.objects.iter().take(OBJECTS).map(String::as_str).collect::<Vec<_>>().join(", ");
            names = format!("{shown} and {} more", finding.objects_total.unwrap_or(0).saturating_sub(OBJECTS as u64));
        }
        report.paragraph(6, "On:  ", &names, Tone::Dim)?;
    }
    if first && !finding.why.is_empty() {
        report.paragraph(6, "Why: ", &finding.why, Tone::Dim)?;
    }
    if !finding.remedy.is_empty() {
        report.paragraph(6, "Do:  ", &finding.remedy, Tone::Text)?;
    }
    let statements: Vec<String> = alike.iter().filter_map(|f| plan::sql::fix_sql(f)).flatten().collect();
    if !statements.is_empty() {
        report.line().known("      ").painted("Fix:", Tone::Dim).end()?;
    }
    statements.iter().try_for_each(|statement| report.sql(8, statement))
}

/// What a finding is about, in a few words: role, schema, object.
fn about(finding: &Finding) -> String {
    let place = finding.object.clone().or_else(|| finding.schema.clone());
    match (&finding.role, place) {
        (Some(role), Some(place)) => format!("{role} × {place}"),
        (Some(role), None) => role.clone(),
        (None, place) => place.unwrap_or_default(),
    }
}

const fn severity_tone(severity: Severity) -> Tone {
    match severity {
        Severity::Info => Tone::Info,
        Severity::Warning => Tone::Warning,
        Severity::Error => Tone::Error,
        Severity::Critical => Tone::Critical,
    }
}
