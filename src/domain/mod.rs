//! What isolation in PostgreSQL *is*: names, privileges, roles, the snapshot, the effective matrix, changes, lineages.
//! Uses std and serde only.

pub mod alembic;
pub mod beneath;
pub mod change;
pub mod closure;
pub mod dependencies;
pub mod effective;
pub mod ending;
pub mod explain;
pub mod ident;
pub mod link;
pub mod platform;
pub mod privilege;
pub mod rows;
pub mod search_path;
pub mod snapshot;
pub mod transaction;

pub use ident::{Ident, Oid, qualified, quote_ident, unquoted};
pub use privilege::{Acl, AclEntry, ObjectKind, Privilege, Privileges};
pub use snapshot::Snapshot;
