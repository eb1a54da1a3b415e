//! A plan for people:
//!
//! ```text
//! local · engarde     PostgreSQL 15.20     plan 0f3a9b…
//!
//!   s1  Create schema langflow for langflow_app
//!         CREATE SCHEMA langflow AUTHORIZATION langflow_app;
//!       ! lock: …
//!       Undo: DROP SCHEMA langflow RESTRICT;
//!
//! Effects on every role
//!   + reader  langflow  USAGE, SELECT on 5 of 5 tables
//!   - PUBLIC  public    CREATE
//!
//! 3 steps, 4 statements. …
//! ```
//! Knows how it looks; what is planned and why was decided elsewhere.

use super::Made;
use crate::{
    app::{act::lines::gathered, view::Tone},
    cli::{failure::Failure, report::Report},
    plan::{Hazard, HazardKind, Plan},
    text,
};

pub fn write(report: &mut Report, made: &Made) -> Result<(), Failure> {
    let (plan, server) = (&made.plan, &made.snapshot.server);
    report
        .line()
        .tone(&plan.target.instance, Tone::Title)
        .known(" · ")
        .tone(&plan.target.database, Tone::Title)
        .tone(&format!("     PostgreSQL {}     plan {}", server.version, plan.plan_id), Tone::Dim)
        .end()?;
    report.blank()?;
    for step in &plan.steps {
        report.line().known("  ").cell(&step.id, 5, Tone::Accent).tone(&step.title, Tone::Strong).end()?;
        for statement in &step.sql {
            report.sql(9, statement)?;
        }
        for hazard in &step.hazards {
            self::hazard(report, 7, hazard)?;
        }
        match &step.undo {
            Some(undo) if undo.is_empty() => {
                report.paragraph(7, "Undo: ", "goes with the steps before it", Tone::Dim)?;
            }
            Some(undo) => {
                report.line().known("       ").painted("Undo:", Tone::Dim).end()?;
                for statement in undo {
                    report.sql(9, statement)?;
                }
            }
            None if !step.is_final() => {
                report.paragraph(7, "Undo: ", "`pgmoat redo` does again what this takes back", Tone::Dim)?;
            }
            None => report.paragraph(7, "Undo: ", "nothing takes it back", Tone::Warning)?,
        }
        report.blank()?;
    }
    for note in &plan.notes {
        hazard(report, 2, note)?;
    }
    effects(report, plan)?;
    for left in &plan.left {
        report.paragraph(2, "Left: ", &format!("{}: {}", left.finding, left.why), Tone::Warning)?;
    }
    for lack in &made.lacks {
        let words = format!("{} cannot do this: {lack}", made.snapshot.server.current_user);
        report.paragraph(2, "! right: ", &words, Tone::Error)?;
    }
    for sentence in &made.now {
        report.paragraph(2, "  now: ", sentence, Tone::Dim)?;
    }
    report.line().tone(&sum(plan), if plan.is_empty() { Tone::Good } else { Tone::Strong }).end()
}

/// How much it is, in a sentence.
pub fn sum(plan: &Plan) -> String {
    if plan.is_empty() {
        return if plan.left.is_empty() { "There is nothing to do." } else { "There is nothing that could be done." }
            .to_owned();
    }
    let steps = text::count(plan.steps.len() as u64, "step", "steps");
    let statements = text::count(plan.statements().count() as u64, "statement", "statements");
    let final_steps = plan.steps.iter().filter(|s| s.is_final()).count() as u64;
    let undo = match final_steps {
        0 => "each step can be taken back".to_owned(),
        n => format!("{} cannot be taken back", text::count(n, "step", "steps")),
    };
    format!("{steps}, {statements}; all or nothing; {undo}.")
}

fn hazard(report: &mut Report, indent: usize, hazard: &Hazard) -> Result<(), Failure> {
    let (word, tone) = match hazard.kind {
        HazardKind::Lock => ("! lock: ", Tone::Warning),
        HazardKind::Loss => ("! loss: ", Tone::Error),
        HazardKind::NoWayBack => ("! no way back: ", Tone::Error),
        HazardKind::Application => ("! application: ", Tone::Warning),
        HazardKind::Note => ("  note: ", Tone::Dim),
    };
    report.paragraph(indent, word, &hazard.sentence, tone)
}

fn effects(report: &mut Report, plan: &Plan) -> Result<(), Failure> {
    if plan.effects.is_empty() {
        return Ok(());
    }
    report.line().painted("Effects on every role", Tone::Strong).end()?;
    let role = |e: &crate::plan::Effect| text::safe(e.role.as_deref().unwrap_or("PUBLIC")).into_owned();
    let place = |e: &crate::plan::Effect| match &e.schema {
        Some(schema) => text::safe(schema).into_owned(),
        None => "(database)".to_owned(),
    };
    let width = |of: &dyn Fn(&crate::plan::Effect) -> String| {
        plan.effects.iter().map(|e| text::width(&of(e))).max().unwrap_or(0).min(32) + 2
    };
    let (roles, places) = (width(&role), width(&place));
    for effect in &plan.effects {
        for (sign, list, tone) in [("  + ", &effect.gained, Tone::Good), ("  - ", &effect.lost, Tone::Error)] {
            if !list.is_empty() {
                let line = report.line().painted(sign, tone).cell(&role(effect), roles, Tone::Text);
                line.cell(&place(effect), places, Tone::Dim).tone(&gathered(list).join("; "), tone).end()?;
            }
        }
    }
    report.blank()
}
