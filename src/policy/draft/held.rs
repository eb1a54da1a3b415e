//! What a role holds on what others have in a schema, by entries of its own, said in levels: a right on most of their tables
//! counts as meant, since tables that a restore or a migration brought in without it are the usual case; what is less is a
//! finding. What it owns there itself, and version tables, say nothing of what it may do with the rest.

use crate::{
    domain::{
        ObjectKind, Privilege,
        effective::{Matrix, Who},
        snapshot::{Role, Snapshot},
    },
    policy::Level,
};

/// Levels of a role in the schema at that position of the catalog.
pub(super) fn levels(snapshot: &Snapshot, matrix: &Matrix, role: &Role, position: usize) -> Vec<Level> {
    let catalog = &snapshot.catalog;
    let (Some(schema), Some(index)) = (catalog.schemas.get(position), matrix.index.role(role.oid)) else {
        return Vec::new();
    };
    let version = matrix.version_num;
    let usage = matrix.rights(catalog, Who::Role(index), ObjectKind::Schema, schema.owner, &schema.acl);
    if !usage.contains(Privilege::Usage) {
        return Vec::new();
    }
    let mine = |kind: ObjectKind, owner, acl: &crate::domain::Acl, privilege: Privilege| {
        let in_force = acl.in_force(kind, owner, version);
        in_force.entries().iter().any(|e| e.grantee == role.oid && e.privileges.contains(privilege))
    };
    let versions = || snapshot.versions.0.iter().filter(|t| t.schema == schema.oid && t.shape && t.plain);
    let most = |kind: ObjectKind, privilege: Privilege| {
        let of_others = |owner| owner != role.oid;
        let groups = matrix.groups(catalog, position).filter(|g| !g.extension && g.kind.object_kind() == kind);
        let (mut all, mut held) = (0_u64, 0_u64);
        for group in groups.filter(|g| of_others(g.owner)) {
            all += u64::from(group.count);
            held += if mine(kind, group.owner, &group.acl, privilege) { u64::from(group.count) } else { 0 };
        }
        for table in versions().filter(|t| kind == ObjectKind::Table && of_others(t.owner)) {
            all = all.saturating_sub(1);
            held = held.saturating_sub(u64::from(mine(kind, table.owner, &table.acl, privilege)));
        }
        held * 2 > all
    };
    let table = |privilege| most(ObjectKind::Table, privilege);
    let changes = [Privilege::Insert, Privilege::Update, Privilege::Delete];
    let mut levels = Vec::new();
    if table(Privilege::Select) && changes.into_iter().all(table) {
        levels.push(Level::Write);
    } else {
        levels.extend(table(Privilege::Select).then_some(Level::Read));
        levels.extend(table(Privilege::Insert).then_some(Level::Append));
    }
    levels.extend(table(Privilege::References).then_some(Level::Reference));
    // Where EXECUTE is everybody's by default, nobody was given it.
    levels.extend(most(ObjectKind::Routine, Privilege::Execute).then_some(Level::Execute));
    if levels.is_empty() && mine(ObjectKind::Schema, schema.owner, &schema.acl, Privilege::Usage) {
        levels.push(Level::Usage);
    }
    levels
}
