//! The revision scripts of the fleet's services, made up, with the documents' revision ids where they name one. They
//! look like what Alembic writes: a chain of files whose names say nothing, tables created along the way.

use std::{fmt::Write as _, fs, io, path::Path};

/// The history of one service.
struct Lineage {
    /// Directory below which `versions/` stands; the policy names it.
    directory: &'static str,
    /// How many revisions, both heads included.
    revisions: u32,
    /// Revisions with a given id, by position from 0.
    fixed: &'static [(u32, &'static str)],
    /// The last two revisions have the same parent: two heads.
    two_heads: bool,
    /// Tables that the revisions create, spread over the first half.
    tables: &'static [&'static str],
}

const LINEAGES: &[Lineage] = &[
    Lineage {
        directory: "engarde",
        revisions: 60,
        fixed: &[(58, "7456be403827"), (59, "7903a818df74")],
        two_heads: true,
        tables: &[
            "tenants",
            "users",
            "brands",
            "campaigns",
            "campaign_runs",
            "workflows",
            "ai_agents",
            "platform_connections",
            "audience_segments",
            "plans",
            "platforms",
            "feature_flags",
        ],
    },
    // As long as the real one: the revision of autumn 2025 is the 51st, 111 behind the head.
    Lineage {
        directory: "langflow",
        revisions: 162,
        fixed: &[(50, "d37bc4322900"), (161, "e5a7c9b1d3f2")],
        two_heads: false,
        tables: &["user", "folder", "flow", "vertex", "edge", "transaction", "message", "variables", "apikey", "file"],
    },
    Lineage {
        directory: "madansara",
        revisions: 14,
        fixed: &[(11, "a5c7e9b1d3f0"), (13, "b8d0f2a4c6e1")],
        two_heads: false,
        tables: &["outreach_campaigns", "conversion_events", "ab_tests", "user_responses"],
    },
    Lineage {
        directory: "sankore",
        revisions: 8,
        fixed: &[(7, "4f6b8d0e2a1c")],
        two_heads: false,
        tables: &["ad_trends", "benchmarks", "winning_patterns"],
    },
    Lineage {
        directory: "onside",
        revisions: 9,
        fixed: &[(8, "3c5e7a9b1d2f")],
        two_heads: false,
        tables: &["content_items", "content_analysis", "content_performance"],
    },
    Lineage {
        directory: "capilytics",
        revisions: 5,
        fixed: &[(4, "9a7c5e3b1d0f")],
        two_heads: false,
        tables: &["seo_keywords", "seo_rankings"],
    },
];

/// Writes `<dir>/<service>/versions/*.py` for every service.
///
/// # Errors
/// Of the file system.
pub fn write(dir: &Path) -> io::Result<()> {
    for lineage in LINEAGES {
        let versions = dir.join(lineage.directory).join("versions");
        fs::create_dir_all(&versions)?;
        for position in 0..lineage.revisions {
            let id = lineage.id(position);
            fs::write(versions.join(format!("{id}_revision.py")), lineage.script(position, &id))?;
        }
    }
    Ok(())
}

impl Lineage {
    fn id(&self, position: u32) -> String {
        let fixed = self.fixed.iter().find(|(at, _)| *at == position);
        fixed.map_or_else(|| made_up(self.directory, position), |(_, id)| (*id).to_owned())
    }

    fn parent(&self, position: u32) -> Option<String> {
        let last = self.two_heads && position + 1 == self.revisions;
        position.checked_sub(if last { 2 } else { 1 }).map(|at| self.id(at))
    }

    fn script(&self, position: u32, id: &str) -> String {
        let parent = self.parent(position);
        let quoted = parent.as_ref().map_or_else(|| "None".to_owned(), |parent| format!("\"{parent}\""));
        let mut upgrade = String::new();
        let half = (self.revisions / 2).max(1) as usize;
        let created = self.tables.iter().enumerate().filter(|(n, _)| n * half / self.tables.len() == position as usize);
        for (_, table) in created {
            let _ = writeln!(
                upgrade,
                "    op.create_table(\n        \"{table}\",\n        sa.Column(\"id\", sa.Integer(), primary_key=True),\n    )"
            );
        }
        if upgrade.is_empty() {
            let table = self.tables.get(position as usize % self.tables.len()).copied().unwrap_or("id");
            let _ = writeln!(upgrade, "    op.execute(\"comment on table {table} is 'revision {}'\")", position + 1);
        }
        let revises = parent.as_deref().unwrap_or("");
        format!(
            "\"\"\"{directory}: step {step}\n\nRevision ID: {id}\nRevises: {revises}\n\"\"\"\n\
             from alembic import op\nimport sqlalchemy as sa\n\n\
             revision: str = \"{id}\"\ndown_revision = {quoted}\nbranch_labels = None\ndepends_on = None\n\n\n\
             def upgrade() -> None:\n{upgrade}\n\ndef downgrade() -> None:\n    pass\n",
            directory = self.directory,
            step = position + 1,
        )
    }
}

/// Twelve hexadecimal digits from a name and a number (FNV-1a): the same in every run.
fn made_up(name: &str, position: u32) -> String {
    let bytes = name.bytes().chain(position.to_le_bytes()).chain(*b"pgmoat");
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{:012x}", hash & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// revision -> down_revision, as a reader of the files sees them.
    fn graph(dir: &Path) -> BTreeMap<String, Option<String>> {
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            let value = line.split('=').nth(1).unwrap().trim().trim_matches('"').to_owned();
            (value != "None").then_some(value)
        };
        let files = fs::read_dir(dir).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
        files.map(|text| (field(&text, "revision").unwrap(), field(&text, "down_revision"))).collect()
    }

    fn heads(graph: &BTreeMap<String, Option<String>>) -> BTreeSet<&str> {
        let parents: BTreeSet<&str> = graph.values().flatten().map(String::as_str).collect();
        graph.keys().map(String::as_str).filter(|id| !parents.contains(id)).collect()
    }

    #[test]
    fn the_histories_are_those_of_the_documents() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path()).unwrap();
        let read = |service: &str| graph(&dir.path().join(service).join("versions"));
        let engarde = read("engarde");
        assert_eq!(heads(&engarde), BTreeSet::from(["7456be403827", "7903a818df74"]));
        let langflow = read("langflow");
        assert_eq!(heads(&langflow), BTreeSet::from(["e5a7c9b1d3f2"]));
        let mut at = "e5a7c9b1d3f2".to_owned();
        let mut behind = 0;
        while at != "d37bc4322900" {
            at = langflow.get(&at).unwrap().clone().unwrap();
            behind += 1;
        }
        assert_eq!(behind, 111);
        for lineage in LINEAGES {
            let graph = read(lineage.directory);
            assert_eq!(graph.len(), lineage.revisions as usize, "{}: ids are unique", lineage.directory);
            assert_eq!(graph.values().filter(|parent| parent.is_none()).count(), 1, "{}", lineage.directory);
        }
    }

    #[test]
    fn no_two_services_share_a_revision() {
        let mut seen = BTreeSet::new();
        for lineage in LINEAGES {
            for position in 0..lineage.revisions {
                assert!(seen.insert(lineage.id(position)), "{} {position}", lineage.directory);
            }
        }
    }

    #[test]
    fn every_table_is_created_once() {
        for lineage in LINEAGES {
            let scripts: String = (0..lineage.revisions).map(|at| lineage.script(at, "x")).collect();
            for table in lineage.tables {
                let created = format!("op.create_table(\n        \"{table}\",");
                assert_eq!(scripts.matches(&created).count(), 1, "{} {table}", lineage.directory);
            }
        }
    }
}
