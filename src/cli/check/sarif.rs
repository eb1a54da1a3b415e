//! The findings as SARIF 2.1.0 (OASIS, March 2020), for code scanning: one run, one rule per code, one result per finding.
//! A database has no lines of text, so a result points at the policy it contradicts, where there is one, and names the
//! object as a logical location.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Reading, Report};
use crate::{
    cli::failure::Failure,
    plan,
    policy::{
        Finding, Severity,
        checks::{CHECKS, Code},
    },
};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

pub fn write(report: &mut Report, readings: &[Reading]) -> Result<(), Failure> {
    let codes: Vec<&Code> = CHECKS.iter().flat_map(|c| c.codes).collect();
    let mut results = Vec::new();
    for reading in readings {
        let Ok(judgement) = &reading.judgement else { continue };
        let policy = reading.policy_path.as_ref().map(|p| p.to_string_lossy().into_owned());
        for finding in judgement.findings.iter() {
            let index = codes.iter().position(|c| c.code == finding.code);
            results.push(result(finding, index, policy.as_deref()));
        }
    }
    let failures: Vec<Value> = readings
        .iter()
        .filter_map(|r| r.judgement.as_ref().err())
        .map(|f| json!({ "level": "error", "message": { "text": f.to_string() } }))
        .collect();
    report.json(&json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "pgmoat",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": codes.iter().map(|c| rule(c)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{ "executionSuccessful": failures.is_empty(), "toolExecutionNotifications": failures }],
            "results": results,
        }],
    }))
}

fn rule(code: &Code) -> Value {
    json!({
        "id": code.code,
        "shortDescription": { "text": code.code.replace('-', " ") },
        "fullDescription": { "text": code.why },
        "defaultConfiguration": { "level": level(code.severity) },
        "properties": { "tags": [code.group.word()] },
    })
}

fn result(finding: &Finding, rule_index: Option<usize>, policy: Option<&str>) -> Value {
    let place = [Some(finding.instance.as_str()), Some(finding.database.as_str()), finding.schema.as_deref()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("/");
    let name = finding.object.as_deref().or(finding.schema.as_deref()).or(finding.role.as_deref());
    let logical = json!([{
        "name": name.unwrap_or(&finding.database),
        "fullyQualifiedName": place,
        "kind": if finding.object.is_some() { "object" } else { "namespace" },
    }]);
    let mut location = json!({ "logicalLocations": logical });
    if let (Some(policy), Some(map)) = (policy, location.as_object_mut()) {
        let physical = json!({ "artifactLocation": { "uri": uri(policy) }, "region": { "startLine": 1 } });
        map.insert("physicalLocation".to_owned(), physical);
    }
    let mut result = json!({
        "ruleId": finding.code,
        "level": level(finding.severity),
        "message": { "text": format!("{} {}", finding.message, finding.remedy).trim() },
        "locations": [location],
        "partialFingerprints": { "pgmoatFinding/v1": format!("{}/{}", finding.instance, finding.id) },
        "properties": {
            "severity": finding.severity.word(),
            "observed": finding.observed,
            "expected": finding.expected,
            "objects": finding.objects,
            "fix": plan::sql::fix_sql(finding),
        },
    });
    if let (Some(index), Some(map)) = (rule_index, result.as_object_mut()) {
        map.insert("ruleIndex".to_owned(), index.into());
    }
    result
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "note",
        Severity::Warning => "warning",
        Severity::Error | Severity::Critical => "error",
    }
}

/// A path as a URI reference: bytes that a URI does not allow are written as `%20`.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(byte as char),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    if path.starts_with('/') { format!("file://{out}") } else { out }
}
