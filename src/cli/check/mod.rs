//! `check`: findings, worst first, and the exit code that scripts rely on.

mod json;
mod sarif;
mod text;

use super::{
    args::{CheckFormat, FailOn},
    exit_code::Exit,
    failure::Outcome,
    gather::Reading,
    report::{self, Report},
};
use crate::{
    plan,
    policy::{Finding, Severity},
};

/// Prints the findings of all instances that could be read. Those that could not are said on standard error, and count
/// for more than any finding.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(report: &mut Report, readings: &[Reading], format: CheckFormat, fail_on: FailOn) -> Outcome {
    let level = Severity::from(fail_on);
    match format {
        CheckFormat::Text => text::write(report, readings)?,
        CheckFormat::Json => json::write(report, readings, level)?,
        CheckFormat::Sarif => sarif::write(report, readings)?,
    }
    report.flush()?;
    for failure in readings.iter().filter_map(|r| r.judgement.as_ref().err()) {
        report::failure(failure);
    }
    Ok(exit(readings, level))
}

fn exit(readings: &[Reading], level: Severity) -> Exit {
    let worst = |r: &Reading| match &r.judgement {
        Err(failure) => failure.exit,
        Ok(judgement) if judgement.findings.iter().any(|f| f.severity >= level) => Exit::Findings,
        Ok(_) => Exit::Done,
    };
    readings.iter().map(worst).max().unwrap_or(Exit::Done)
}

/// What would mend it, as statements; `None` when that needs a decision.
fn fix(finding: &Finding, version_num: u32) -> Option<Vec<String>> {
    finding.fix.as_ref().map(|changes| plan::sql::statements(changes, version_num))
}

/// How many findings there are of each severity, worst first.
fn tally<'a>(findings: impl Iterator<Item = &'a Finding> + Clone) -> impl Iterator<Item = (Severity, usize)> {
    Severity::ALL.into_iter().rev().map(move |s| (s, findings.clone().filter(|f| f.severity == s).count()))
}
