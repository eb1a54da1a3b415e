//! What follows from objects that changed: the groups of a schema, and everything in the slow parts that repeats an owner,
//! a list or a place.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::{
    Acl, AclEntry, ObjectKind, Oid,
    snapshot::{Group, Kind, Object, Objects, Overlap, SchemaObjects, Shapes},
};

pub(super) fn all_mut(objects: &mut SchemaObjects) -> impl Iterator<Item = &mut Object> {
    objects.relations.iter_mut().chain(&mut objects.routines).chain(&mut objects.types)
}

/// What decides a privilege: kind, owner, list, member of an extension or not.
type Alike = (Kind, Oid, Option<Vec<AclEntry>>, bool);

pub(super) fn groups(schema: Oid, objects: &[Object]) -> Vec<Group> {
    let mut folded: BTreeMap<Alike, (u32, u32)> = BTreeMap::new();
    for o in objects {
        let acl = o.acl.0.as_deref().map(<[AclEntry]>::to_vec);
        let (count, rls) = folded.entry((o.kind, o.owner, acl, o.extension)).or_default();
        *count += 1;
        *rls += u32::from(o.rls);
    }
    folded
        .into_iter()
        .map(|((kind, owner, acl, extension), (count, rls))| Group {
            schema,
            kind,
            owner,
            acl: acl.map_or(Acl::NULL, Acl::from_entries),
            count,
            pages: 0,
            rls,
            extension,
        })
        .collect()
}

/// Owners and ACLs that the slow parts repeat.
pub(super) fn same_owners(
    shapes: &mut Shapes,
    touched: &BTreeSet<Oid>,
    objects: &Objects,
    by_oid: &HashMap<Oid, &Object>,
) {
    let mut names: HashMap<(Oid, ObjectKind, &str), &Object> = HashMap::new();
    for schema in touched {
        if let Some(of) = objects.0.get(schema) {
            names.extend(of.all().map(|o| ((*schema, o.kind.object_kind(), o.name.as_str()), o)));
        }
    }
    for t in &mut shapes.tables {
        if let Some(object) = by_oid.get(&t.oid) {
            t.owner = object.owner;
        }
    }
    for t in &mut shapes.trails.tables {
        if let Some(object) = by_oid.get(&t.oid) {
            t.owner = object.owner;
        }
    }
    for d in &mut shapes.definers {
        if let Some(object) = names.get(&(d.schema, ObjectKind::Routine, d.signature.as_str())) {
            d.owner = object.owner;
            d.acl = object.acl.clone();
        }
    }
    for v in &mut shapes.views {
        if let Some(object) = names.get(&(v.schema, ObjectKind::Table, v.view.as_str())) {
            v.owner = object.owner;
        }
        if let Some(object) = names.get(&(v.uses_schema, ObjectKind::Table, v.uses.as_str())) {
            v.uses_owner = object.owner;
        }
    }
    for u in &mut shapes.foreign_uses {
        if let Some(object) = names.get(&(u.schema, u.kind.object_kind(), u.name.as_str())) {
            u.owner = object.owner;
        }
    }
}

/// A table of another name: what names it follows.
pub(super) fn rename_table(shapes: &mut Shapes, renamed: Oid, (schema, name): (Oid, &str), to: &str) {
    let set = |at: &mut String| to.clone_into(at);
    shapes.column_grants.iter_mut().filter(|g| g.relation_oid == renamed).for_each(|g| set(&mut g.relation));
    shapes.trails.triggers.iter_mut().filter(|t| t.relation == renamed).for_each(|t| set(&mut t.table));
    shapes.tables.iter_mut().filter(|t| t.oid == renamed).for_each(|t| set(&mut t.name));
    for k in &mut shapes.foreign_keys {
        if k.schema == schema && k.table == name {
            set(&mut k.table);
        }
        if k.to_schema == schema && k.to_table == name {
            set(&mut k.to_table);
        }
    }
    for v in shapes.views.iter_mut().filter(|v| v.uses_schema == schema && v.uses == name) {
        set(&mut v.uses);
    }
    for o in shapes.overlaps.iter_mut().filter(|o| o.table == name) {
        o.schemas.retain(|s| *s != schema);
    }
    shapes.overlaps.retain(|o| o.schemas.len() > 1);
}

/// Everything in the slow parts that stands where the object stood.
pub(super) fn move_shapes(shapes: &mut Shapes, name: &str, kind: ObjectKind, moved: Oid, from: Oid, to: Oid) {
    for g in shapes.column_grants.iter_mut().filter(|g| g.relation_oid == moved) {
        g.schema = to;
    }
    shapes.sort_column_grants();
    for t in shapes.tables.iter_mut().filter(|t| t.oid == moved) {
        t.schema = to;
    }
    for t in shapes.trails.tables.iter_mut().filter(|t| t.oid == moved) {
        t.schema = to;
    }
    for t in shapes.trails.triggers.iter_mut().filter(|t| t.relation == moved) {
        t.schema = to;
    }
    match kind {
        ObjectKind::Table => {
            for k in &mut shapes.foreign_keys {
                if k.schema == from && k.table == name {
                    k.schema = to;
                }
                if k.to_schema == from && k.to_table == name {
                    k.to_schema = to;
                }
            }
            shapes.foreign_keys.retain(|k| k.schema != k.to_schema || !k.validated);
            for v in &mut shapes.views {
                if v.schema == from && v.view == name {
                    v.schema = to;
                }
                if v.uses_schema == from && v.uses == name {
                    v.uses_schema = to;
                }
            }
            for o in shapes.overlaps.iter_mut().filter(|o: &&mut Overlap| o.table == name) {
                o.schemas.retain(|s| *s != from);
                o.schemas.push(to);
            }
            shapes.overlaps.retain(|o| o.schemas.len() > 1);
        }
        ObjectKind::Routine => {
            for d in shapes.definers.iter_mut().filter(|d| d.schema == from && d.signature == name) {
                d.schema = to;
            }
            if name == crate::plan::sql::AUDIT_SIGNATURE {
                for f in shapes.trails.functions.iter_mut().filter(|f| f.schema == from) {
                    f.schema = to;
                }
                for t in shapes.trails.triggers.iter_mut().filter(|t| t.audit == from) {
                    t.audit = to;
                }
            }
        }
        ObjectKind::Sequence | ObjectKind::Type | ObjectKind::Schema | ObjectKind::Database => {}
    }
    let gone = |u: &crate::domain::snapshot::ForeignUse| {
        u.schema == from && u.name == name && u.kind.object_kind() == kind && u.used_by == [to]
    };
    shapes.foreign_uses.retain(|u| !gone(u));
}
