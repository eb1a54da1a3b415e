//! shim
use std::{path::PathBuf, sync::Arc};
use super::failure::Failure;
use crate::{config::Conninfo, domain::alembic::Lineages, policy::Policy};
pub struct Plan { pub targets: Vec<Target> }
pub struct Target { pub name: String, pub source: Source, pub policy: Option<Arc<Policy>>, pub policy_path: Option<PathBuf>, pub lineages: Arc<Lineages> }
pub enum Source { File(PathBuf), Server(Box<Conninfo>) }
impl Target { pub fn tenant_columns(&self) -> Vec<String> { Vec::new() } }
pub fn policy_failure(_e: &std::io::Error) -> Failure { Failure::usage("", "") }
