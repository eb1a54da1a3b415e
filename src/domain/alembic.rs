//! Revision graphs of Alembic script directories: lineages, heads, how far behind a revision is. Pure; reading the
//! scripts is `config::revisions`.

use std::collections::BTreeMap;

/// One revision script.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    pub revision: String,
    /// Empty at a base.
    pub down: Vec<String>,
    pub depends_on: Vec<String>,
    pub branch_labels: Vec<String>,
    /// Tables it creates (`op.create_table`), as far as its text shows.
    pub creates: Vec<String>,
    /// It names the schema `public` literally.
    pub names_public: bool,
}

/// The revision graph of one service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lineage {
    pub service: String,
    pub scripts: BTreeMap<String, Script>,
    /// What could not be read, in words.
    pub problems: Vec<String>,
}

/// Lineages by service name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lineages(pub BTreeMap<String, Lineage>);
