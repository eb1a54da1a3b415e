//! Where things are and whose: schemas, OWNER TO, SET SCHEMA with what goes along, names (`tablecmds.c`, `extension.c`).

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Draft, Refused,
    acl::hand_over,
    fold::{move_shapes, rename_table},
    in_the_way,
    refused::holder,
    refused_for, signature,
};
use crate::domain::{
    ObjectKind, Oid,
    change::ObjectRef,
    snapshot::{DefaultKind, IndexName, Object, Schema},
};

impl Draft {
    pub(super) fn create_schema(&mut self, name: &str, owner: &str) -> Result<(), Refused> {
        if self.snapshot.catalog.schema_named(name).is_some() {
            return Err(Refused::new(format!("schema {name} is there already")));
        }
        let owner = self.role(owner)?;
        let acl = self.new_acl(DefaultKind::Schemas, owner, None);
        let oid = self.new_oid();
        let schemas = &mut self.catalog().schemas;
        let at = schemas.partition_point(|s| s.name.as_str() < name);
        schemas.insert(at, Schema { oid, name: name.to_owned(), owner, acl, extension: false });
        self.snapshot.objects.0.insert(oid, Arc::default());
        Ok(())
    }

    pub(super) fn drop_schema(&mut self, name: &str) -> Result<(), Refused> {
        let (oid, objects) = self.objects(name)?;
        if objects.all().next().is_some() {
            return Err(Refused::new(format!("schema {name} is not empty")));
        }
        self.snapshot.objects.0.remove(&oid);
        let catalog = self.catalog();
        catalog.schemas.retain(|s| s.oid != oid);
        catalog.default_acls.retain(|d| d.schema != Some(oid));
        self.touched.remove(&oid);
        Ok(())
    }

    pub(super) fn set_owner(&mut self, object: &ObjectRef, owner: &str) -> Result<(), Refused> {
        let new = self.role(owner)?;
        let kind = object.kind.object_kind();
        let found = self.object(kind, &object.schema, &object.name)?;
        if found.owned_by.is_some() {
            return Err(Refused::new(format!(
                "{}.{} belongs to a column: its owner is the table's",
                object.schema, object.name
            )));
        }
        let (table, old) = (found.oid, found.owner);
        hand_over(&mut found.acl, old, new);
        found.owner = new;
        // Sequences of columns follow, wherever they stand.
        let mut touched = Vec::new();
        for (schema, objects) in &mut self.snapshot.objects.0 {
            if objects.relations.iter().any(|o| o.owned_by == Some(table)) {
                touched.push(*schema);
                for o in Arc::make_mut(objects).relations.iter_mut().filter(|o| o.owned_by == Some(table)) {
                    let old = o.owner;
                    hand_over(&mut o.acl, old, new);
                    o.owner = new;
                }
            }
        }
        self.touched.extend(touched);
        if let Some(shapes) = self.shapes() {
            for g in shapes.column_grants.iter_mut().filter(|g| g.relation_oid == table) {
                hand_over(&mut g.acl, g.owner, new);
                g.owner = new;
            }
        }
        Ok(())
    }

    pub(super) fn set_schema(&mut self, object: &ObjectRef, to: &str) -> Result<(), Refused> {
        let kind = object.kind.object_kind();
        let target = self.schema(to)?;
        let found = self.object(kind, &object.schema, &object.name)?;
        if found.owned_by.is_some() {
            return Err(Refused::new(format!("{}.{} moves with its table", object.schema, object.name)));
        }
        if found.extension {
            return Err(Refused::new(format!("{}.{} belongs to an extension", object.schema, object.name)));
        }
        let moved = found.oid;
        let (source, objects) = self.objects(&object.schema)?;
        if source == target {
            return Ok(());
        }
        let (there, stays): (Vec<IndexName>, Vec<IndexName>) =
            std::mem::take(&mut objects.indexes).into_iter().partition(|i| i.table == moved);
        objects.indexes = stays;
        let mut taken = Vec::new();
        for list in [&mut objects.relations, &mut objects.routines, &mut objects.types] {
            let goes = |o: &Object| o.oid == moved || o.owned_by == Some(moved);
            taken.extend(list.iter().filter(|o| goes(o)).cloned());
            list.retain(|o| !goes(o));
        }
        let (_, objects) = self.objects(to)?;
        let clashes = in_the_way(objects, to, &taken.iter().collect::<Vec<_>>(), &there.iter().collect::<Vec<_>>());
        if let Some(why) = refused_for(&clashes) {
            return Err(why);
        }
        objects.indexes.extend(there);
        for object in taken {
            let list = match object.kind.object_kind() {
                ObjectKind::Routine => &mut objects.routines,
                ObjectKind::Type => &mut objects.types,
                ObjectKind::Table | ObjectKind::Sequence | ObjectKind::Schema | ObjectKind::Database => {
                    &mut objects.relations
                }
            };
            let at = list.partition_point(|o| o.name < object.name);
            list.insert(at, object);
        }
        let versions = Arc::make_mut(&mut self.snapshot.versions);
        for v in versions.0.iter_mut().filter(|v| v.oid == moved) {
            v.schema = target;
        }
        if matches!(kind, ObjectKind::Type | ObjectKind::Table) {
            self.rename_signatures(&object.schema, &object.name, to);
        }
        if let Some(shapes) = self.shapes() {
            move_shapes(shapes, &object.name, kind, moved, source, target);
        }
        Ok(())
    }

    pub(super) fn rename_version_table(&mut self, schema: &str, name: &str, to: &str) -> Result<(), Refused> {
        let renamed = self.object(ObjectKind::Table, schema, name)?.oid;
        let place = self.schema(schema)?;
        if !self.snapshot.versions.0.iter().any(|v| v.oid == renamed && v.shape && v.plain) {
            return Err(Refused::new(format!("{schema}.{name} is no version table")));
        }
        // they are told by their argument types, and would be called otherwise
        let named = |o: &&Object| signature::moved_type(&o.name, schema, name, "").is_some();
        if let Some(routine) = self.snapshot.objects.0.values().flat_map(|list| &list.routines).find(named) {
            return Err(Refused::new(format!("routine {} has an argument of the type of its rows", routine.name)));
        }
        let (_, objects) = self.objects(schema)?;
        if let Some(what) = holder(objects, to, true) {
            return Err(Refused::new(format!("there is a {what} {schema}.{to} already")));
        }
        for object in objects.relations.iter_mut().filter(|o| o.oid == renamed) {
            to.clone_into(&mut object.name);
        }
        objects.relations.sort_by(|a, b| a.name.cmp(&b.name));
        for v in Arc::make_mut(&mut self.snapshot.versions).0.iter_mut().filter(|v| v.oid == renamed) {
            to.clone_into(&mut v.name);
        }
        if let Some(shapes) = self.shapes() {
            rename_table(shapes, renamed, (place, name), to);
        }
        Ok(())
    }

    /// What an extension made goes where it goes. Where the names of its old place are not known nothing is to be moved,
    /// and where those of the new one are not, what arrives is of no account.
    pub(super) fn move_members(&mut self, extension: Oid, source: Oid, target: Oid, to: &str) -> Result<(), Refused> {
        if source == target {
            return Ok(());
        }
        let Some(objects) = self.snapshot.objects.0.get_mut(&source).map(Arc::make_mut) else { return Ok(()) };
        let goes: BTreeSet<Oid> =
            objects.members.iter().filter(|(_, of)| **of == extension).map(|(oid, _)| *oid).collect();
        let goes = |o: &Object| goes.contains(&o.oid) || o.owned_by.is_some_and(|table| goes.contains(&table));
        let mut taken: [Vec<Object>; 3] = Default::default();
        for (list, taken) in
            [&mut objects.relations, &mut objects.routines, &mut objects.types].into_iter().zip(&mut taken)
        {
            taken.extend(list.extract_if(.., |o| goes(o)));
        }
        let types: Vec<String> = objects.types_of(extension).into_iter().map(str::to_owned).collect();
        objects.members.retain(|_, of| *of != extension);
        objects.member_types.retain(|_, of| *of != extension);
        self.touched.insert(source);
        let moved: Vec<(Oid, ObjectKind, String)> =
            taken.iter().flatten().map(|o| (o.oid, o.kind.object_kind(), o.name.clone())).collect();
        if let Some(objects) = self.snapshot.objects.0.get_mut(&target).map(Arc::make_mut) {
            self.touched.insert(target);
            objects.members.extend(moved.iter().map(|(oid, ..)| (*oid, extension)));
            objects.member_types.extend(types.iter().map(|name| (name.clone(), extension)));
            for (list, taken) in
                [&mut objects.relations, &mut objects.routines, &mut objects.types].into_iter().zip(taken)
            {
                if let Some(twice) = taken.iter().find(|o| list.iter().any(|has| has.name == o.name)) {
                    return Err(Refused::new(format!("{to}.{} is there already", twice.name)));
                }
                list.extend(taken);
                list.sort_by(|a, b| a.name.cmp(&b.name));
            }
        }
        let place = self.snapshot.catalog.schema_name(source);
        for name in &types {
            self.rename_signatures(&place, name, to);
        }
        for (oid, kind, name) in &moved {
            if let Some(shapes) = self.shapes() {
                move_shapes(shapes, name, *kind, *oid, source, target);
            }
        }
        Ok(())
    }

    /// Routines carry their arguments in their names, and a table is a type, too.
    pub(super) fn rename_signatures(&mut self, schema: &str, name: &str, to: &str) {
        let renamed = |signature: &str| signature::moved_type(signature, schema, name, to);
        let mut touched = Vec::new();
        for (place, objects) in &mut self.snapshot.objects.0 {
            if objects.routines.iter().any(|o| renamed(&o.name).is_some()) {
                touched.push(*place);
                let routines = &mut Arc::make_mut(objects).routines;
                for o in routines.iter_mut() {
                    o.name = renamed(&o.name).unwrap_or_else(|| std::mem::take(&mut o.name));
                }
                routines.sort_by(|a, b| a.name.cmp(&b.name));
            }
        }
        self.touched.extend(touched);
        if let Some(shapes) = self.shapes() {
            for d in &mut shapes.definers {
                if let Some(signature) = renamed(&d.signature) {
                    d.signature = signature;
                }
            }
        }
    }
}
