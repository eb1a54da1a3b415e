//! The matrix as CSV (RFC 4180): one line per cell, counts in columns of their own. PUBLIC is `PUBLIC`, what this server
//! does not know is empty, lists are joined by `+`.

use super::{Grid, Report};
use crate::{
    cli::failure::Failure,
    domain::{ObjectKind, Privileges},
    policy::judge::{Drift, Judged},
    text,
};

const KINDS: [ObjectKind; 3] = [ObjectKind::Table, ObjectKind::Sequence, ObjectKind::Routine];

pub fn write(report: &mut Report, grids: &[Grid<'_>]) -> Result<(), Failure> {
    let mut head: Vec<String> =
        ["instance", "database", "role", "schema", "usage", "create", "owner"].map(str::to_owned).to_vec();
    for kind in KINDS {
        head.push(format!("{}_total", kind.plural()));
        let every: Privileges = kind.all(u32::MAX);
        head.extend(every.iter().map(|p| format!("{}_{}", kind.plural(), p.keyword().to_lowercase())));
    }
    head.extend(["level", "declared", "drift", "via", "dead"].map(str::to_owned));
    head.extend(super::OF_COLUMNS.iter().map(|p| format!("columns_{}", p.keyword().to_lowercase())));
    head.push("by_set_role".to_owned());
    report.raw(&format!("{}\r\n", head.join(",")))?;
    for grid in grids {
        let (snapshot, server) = (&grid.judgement.snapshot, &grid.judgement.snapshot.server);
        let start = format!("{},{}", field(&snapshot.instance), field(&server.database));
        for (who, schema, judged) in grid.cells() {
            let Some(schema) = grid.schema(schema) else { continue };
            let role = grid.role(who).unwrap_or("PUBLIC");
            let line = line(&judged, server.version_num);
            report.raw(&format!("{start},{},{},{line}\r\n", field(role), field(&schema.name)))?;
            if report.gone() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn line(judged: &Judged, version_num: u32) -> String {
    let cell = &judged.cell;
    let mut fields: Vec<String> = [cell.usage, cell.create, cell.owner].iter().map(ToString::to_string).collect();
    for kind in KINDS {
        let counts = cell.counts(kind);
        fields.push(counts.total.to_string());
        let every: Privileges = kind.all(u32::MAX);
        let known = kind.all(version_num);
        fields.extend(every.iter().map(|p| if known.contains(p) { counts.of(p).to_string() } else { String::new() }));
    }
    fields.push(judged.level.join("+"));
    let declared = judged.declared.as_deref().unwrap_or_default();
    fields.push(declared.iter().map(|l| l.word()).collect::<Vec<_>>().join("+"));
    fields.push(judged.drift.map(drift).unwrap_or_default().to_owned());
    fields.push(field(&cell.via.iter().map(ToString::to_string).collect::<Vec<_>>().join("+")));
    fields.push(cell.dead.to_string());
    let on_columns = |p| judged.columns.as_ref().map(|c| c.of(p).to_string()).unwrap_or_default();
    fields.extend(super::OF_COLUMNS.iter().map(on_columns));
    fields.push(judged.by_set_role.to_string());
    fields.join(",")
}

const fn drift(drift: Drift) -> &'static str {
    match drift {
        Drift::None => "none",
        Drift::Missing => "missing",
        Drift::Excess => "excess",
        Drift::Both => "both",
        Drift::Undeclared => "undeclared",
        Drift::Unknown => "unknown",
    }
}

/// A field: escaped, in quotes where a comma, a quote or a blank at its ends would be read wrongly.
fn field(name: &str) -> String {
    let safe = text::safe(name);
    if safe.contains([',', '"', ';']) || safe.starts_with(' ') || safe.ends_with(' ') {
        format!("\"{}\"", safe.replace('"', "\"\""))
    } else {
        safe.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_stay_one_field() {
        assert_eq!(field("plain"), "plain");
        assert_eq!(field("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(field("a\nb"), "a\\nb");
        assert_eq!(field(" x"), "\" x\"");
    }
}
