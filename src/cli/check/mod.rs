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
    policy::{Finding, Severity},
    server::Want,
};

/// What the checks look at. Names of objects are read afterwards, for the schemas whose findings want them.
#[must_use]
pub fn wants() -> Want {
    Want { shapes: true, versions: true, ..Want::default() }
}

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

/// How many findings there are of each severity, worst first.
fn tally<'a>(findings: impl Iterator<Item = &'a Finding> + Clone) -> impl Iterator<Item = (Severity, usize)> {
    Severity::ALL.into_iter().rev().map(move |s| (s, findings.clone().filter(|f| f.severity == s).count()))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{
        cli::sample::{dead, fixture, printed, reading},
        domain::Privilege,
        policy::Group,
    };

    fn finding(severity: Severity, code: &'static str) -> Finding {
        Finding {
            id: format!("{code}:reader"),
            code,
            group: Group::Grants,
            severity,
            instance: "local".into(),
            database: "engarde".into(),
            service: None,
            schema: Some("langflow".into()),
            role: Some("od\u{202e}d".into()),
            object: None,
            privilege: Some(Privilege::Insert),
            attribute: None,
            observed: "1 of 2 tables".into(),
            expected: "none".into(),
            via: Some("direct".into()),
            message: "It may write.\u{1b}[2J".into(),
            why: "It should not.".into(),
            remedy: "Take it away.".into(),
            fix: None,
            objects: (0..100).map(|i| format!("langflow.t{i}")).collect(),
            left: None,
            objects_total: Some(120),
        }
    }

    fn with(findings: Vec<Finding>) -> Reading {
        let mut reading = reading(fixture());
        if let Ok(judgement) = &mut reading.judgement {
            judgement.findings = findings.into();
        }
        reading
    }

    #[test]
    fn the_exit_code_is_the_worst_of_all() {
        let exit = |readings: &[Reading], level| printed(|r| run(r, readings, CheckFormat::Text, level)).1;
        let warned = || with(vec![finding(Severity::Warning, "grant-fragile")]);
        assert_eq!(exit(&[warned()], FailOn::Warning), Exit::Findings);
        assert_eq!(exit(&[warned()], FailOn::Error), Exit::Done);
        assert_eq!(exit(&[with(Vec::new())], FailOn::Info), Exit::Done);
        assert_eq!(exit(&[warned(), dead()], FailOn::Warning), Exit::Server);
    }

    #[test]
    fn json_has_the_contracts_keys_and_a_summary() {
        let mut role = finding(Severity::Critical, "role-overprivileged");
        (role.privilege, role.attribute) = (None, Some("SUPERUSER".into()));
        let readings = [with(vec![role, finding(Severity::Info, "schema-unused")]), dead()];
        let (text, _) = printed(|r| run(r, &readings, CheckFormat::Json, FailOn::Warning));
        assert!(!text.contains(['\u{1b}', '\u{202e}']));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["schema_version"], 1);
        let first = value["findings"][0].as_object().unwrap();
        for key in [
            "id",
            "code",
            "severity",
            "instance",
            "database",
            "service",
            "schema",
            "role",
            "object",
            "privilege",
            "observed",
            "expected",
            "via",
            "message",
            "remedy",
            "fix",
            "objects",
        ] {
            assert!(first.contains_key(key), "{key}");
        }
        assert_eq!(first["privilege"], "SUPERUSER");
        assert_eq!(first["role"], "od\u{202e}d", "raw, once decoded");
        assert_eq!(value["findings"][1]["privilege"], "INSERT");
        let summary = &value["summary"];
        assert_eq!((&summary["total"], &summary["at_or_above"]), (&2.into(), &1.into()));
        assert_eq!(summary["by_severity"]["critical"], 1);
        assert_eq!(summary["instances"][1]["error"], "could not connect to x: refused");
        assert!(summary["instances"][0]["taken_at"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn an_empty_answer_is_still_json() {
        let (text, _) = printed(|r| run(r, &[with(Vec::new())], CheckFormat::Json, FailOn::Warning));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["findings"], serde_json::json!([]));
    }

    #[test]
    fn sarif_has_a_rule_and_a_fingerprint_for_every_result() {
        let mut found = with(vec![finding(Severity::Critical, "grant-excess")]);
        found.policy_path = Some("teams/en garde.policy.toml".into());
        let (text, _) = printed(|r| run(r, &[found, dead()], CheckFormat::Sarif, FailOn::Warning));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["version"], "2.1.0");
        let run = &value["runs"][0];
        let result = &run["results"][0];
        assert_eq!((&result["ruleId"], &result["level"]), (&"grant-excess".into(), &"error".into()));
        assert_eq!(result["partialFingerprints"]["pgmoatFinding/v1"], "local/grant-excess:reader");
        let place = &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        assert_eq!(place, "teams/en%20garde.policy.toml");
        assert_eq!(run["invocations"][0]["executionSuccessful"], false);
        for rule in run["tool"]["driver"]["rules"].as_array().unwrap() {
            assert!(rule["id"].is_string() && rule["fullDescription"]["text"].is_string());
        }
    }

    #[test]
    fn text_says_why_once_per_code_and_counts_what_it_does_not_list() {
        let mut other = finding(Severity::Error, "grant-excess");
        other.schema = Some("audit".into());
        let mut alike = finding(Severity::Error, "grant-excess");
        alike.privilege = Some(Privilege::Delete);
        let readings = [with(vec![finding(Severity::Error, "grant-excess"), other, alike])];
        let (text, _) = printed(|r| run(r, &readings, CheckFormat::Text, FailOn::Warning));
        assert_eq!(text.matches("It should not.").count(), 1);
        assert_eq!(text.matches("langflow.t5 and 114 more").count(), 2, "{text}");
        assert!(text.contains("Too: DELETE (1 of 2 tables)"), "{text}");
        assert!(text.contains("3 findings: 3 error.") && text.contains("od\\u{202e}d × langflow"));
        assert!(text.chars().all(|c| c == '\n' || !crate::text::is_unsafe(c)));
        let (text, _) = printed(|r| run(r, &[with(Vec::new())], CheckFormat::Text, FailOn::Warning));
        assert!(text.contains("Nothing is wrong."));
        let mut left = finding(Severity::Info, "grant-excess");
        left.left = Some(Severity::Critical);
        let (text, _) = printed(|r| run(r, &[with(vec![left])], CheckFormat::Text, FailOn::Warning));
        let words = "Nothing is wrong but what the policy leaves as it is. Left as it is by the policy: 1 critical.\n";
        assert!(text.ends_with(words), "{text}");
    }
}
