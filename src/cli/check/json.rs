//! The findings for scripts (contract, section 5). Keys are added, never renamed or removed.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Reading, Report, tally};
use crate::{
    cli::{failure::Failure, time},
    domain::{platform::Platform, snapshot::Unavailable},
    plan,
    policy::{
        Finding, Severity,
        versions::{UnreadTable, unread_tables},
    },
};

/// A finding as it is printed.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    code: &'a str,
    group: &'a str,
    severity: Severity,
    instance: &'a str,
    database: &'a str,
    service: Option<&'a str>,
    schema: Option<&'a str>,
    role: Option<&'a str>,
    object: Option<&'a str>,
    /// A privilege, or the attribute of a role.
    privilege: Option<&'a str>,
    observed: &'a str,
    expected: &'a str,
    via: Option<&'a str>,
    message: &'a str,
    why: &'a str,
    remedy: &'a str,
    fix: Option<Vec<String>>,
    objects: &'a [String],
    objects_total: Option<u64>,
}

#[derive(Serialize)]
struct Instance<'a> {
    #[serde(rename = "instance")]
    name: &'a str,
    database: Option<&'a str>,
    server_version_num: Option<u32>,
    /// The service that runs the server.
    platform: Option<&'static str>,
    taken_at: Option<String>,
    policy: Option<&'a str>,
    cells: Option<u64>,
    cells_differing: Option<u64>,
    /// Findings that the policy leaves as they are, and that are not there any more.
    idle_exceptions: Vec<&'a str>,
    /// Version tables whose rows are not known, and why.
    unread_version_tables: Vec<UnreadTable>,
    /// Groups of checks that could not run.
    not_checked: Vec<&'static str>,
    unavailable: &'a [Unavailable],
    /// Why it could not be read.
    error: Option<String>,
}

pub fn write(report: &mut Report, readings: &[Reading], level: Severity) -> Result<(), Failure> {
    report.raw("{\n  \"schema_version\": 1,\n  \"findings\": [")?;
    let mut first = true;
    for judgement in readings.iter().filter_map(|r| r.judgement.as_ref().ok()) {
        for finding in judgement.findings.iter() {
            report.raw(if first { "\n    " } else { ",\n    " })?;
            first = false;
            report.json_part(&row(finding), false)?;
            if report.gone() {
                return Ok(());
            }
        }
    }
    report.raw(if first { "],\n  \"summary\": " } else { "\n  ],\n  \"summary\": " })?;
    report.json_part(&summary(readings, level), false)?;
    report.raw("\n}\n")
}

fn row(finding: &Finding) -> Row<'_> {
    Row {
        id: &finding.id,
        code: finding.code,
        group: finding.group.word(),
        severity: finding.severity,
        instance: &finding.instance,
        database: &finding.database,
        service: finding.service.as_deref(),
        schema: finding.schema.as_deref(),
        role: finding.role.as_deref(),
        object: finding.object.as_deref(),
        privilege: finding.privilege.map(crate::domain::Privilege::keyword).or(finding.attribute.as_deref()),
        observed: &finding.observed,
        expected: &finding.expected,
        via: finding.via.as_deref(),
        message: &finding.message,
        why: &finding.why,
        remedy: &finding.remedy,
        fix: plan::sql::fix_sql(finding),
        objects: &finding.objects,
        objects_total: finding.objects_total,
    }
}

fn summary(readings: &[Reading], level: Severity) -> Value {
    let findings = readings.iter().filter_map(|r| r.judgement.as_ref().ok()).flat_map(|j| j.findings.iter());
    let counts: serde_json::Map<String, Value> =
        tally(findings.clone()).map(|(s, n)| (s.word().to_owned(), n.into())).collect();
    json!({
        "total": findings.clone().count(),
        "by_severity": counts,
        "fail_on": level.word(),
        "at_or_above": findings.filter(|f| f.severity >= level).count(),
        "instances": readings.iter().map(instance).collect::<Vec<_>>(),
    })
}

fn instance(reading: &Reading) -> Instance<'_> {
    let judgement = reading.judgement.as_ref().ok();
    let server = judgement.map(|j| &j.snapshot.server);
    Instance {
        name: &reading.name,
        database: server.map(|s| s.database.as_str()),
        server_version_num: server.map(|s| s.version_num),
        platform: server.and_then(|s| s.platform).map(Platform::id),
        taken_at: server.and_then(|s| time::rfc3339(s.taken_at_us)),
        policy: judgement.and_then(|j| j.policy.as_ref()).map(|p| p.name.as_str()),
        cells: judgement.and_then(|j| j.cells).map(|(cells, _)| cells),
        cells_differing: judgement.and_then(|j| j.cells).map(|(_, differ)| differ),
        idle_exceptions: judgement
            .map(|j| j.idle_exceptions().into_iter().map(|a| a.finding.as_str()).collect())
            .unwrap_or_default(),
        unread_version_tables: judgement.map(|j| unread_tables(&j.snapshot)).unwrap_or_default(),
        not_checked: judgement.map(|j| j.checking.iter().map(|g| g.word()).collect()).unwrap_or_default(),
        unavailable: judgement.map(|j| j.snapshot.unavailable.as_slice()).unwrap_or_default(),
        error: reading.judgement.as_ref().err().map(ToString::to_string),
    }
}
