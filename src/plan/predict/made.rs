//! Tables, functions and triggers that a plan makes itself: version tables with their rows, and the trail of the audit.

use std::sync::Arc;

use super::{Draft, Refused, acl::hand_over, refused::holder, stirs};
use crate::{
    domain::{
        ObjectKind,
        snapshot::{
            DefaultKind, Definer, IndexName, Kind, Object, TrailFunction, TrailTable, TrailTrigger, VersionRows,
            VersionTable,
        },
    },
    plan::sql::{AUDIT_COLUMNS, AUDIT_EVENTS, AUDIT_FUNCTION, AUDIT_PATH, AUDIT_SIGNATURE, AUDIT_TABLE, audit_body},
};

impl Draft {
    /// Made by the login and handed to its owner, as the statements do.
    pub(super) fn create_table(&mut self, schema: &str, name: &str, owner: &str) -> Result<Object, Refused> {
        let (new, me) = (self.role(owner)?, self.me);
        let at = self.schema(schema)?;
        let mut acl = self.new_acl(DefaultKind::Tables, me, Some(at));
        hand_over(&mut acl, me, new);
        let oid = self.new_oid();
        let (_, objects) = self.objects(schema)?;
        if let Some(what) = holder(objects, name, true) {
            return Err(Refused::new(format!("{what} {schema}.{name} is there already")));
        }
        let object = Object {
            oid,
            kind: Kind::Table,
            name: name.to_owned(),
            owner: new,
            acl,
            extension: false,
            rls: false,
            force_rls: false,
            owned_by: None,
            rows_estimate: None,
        };
        let place = objects.relations.partition_point(|o| o.name.as_str() < name);
        objects.relations.insert(place, object.clone());
        Ok(object)
    }

    pub(super) fn create_version_table(&mut self, schema: &str, name: &str, owner: &str) -> Result<(), Refused> {
        let key = format!("{name}_pkc");
        let (_, objects) = self.objects(schema)?;
        if objects.relations.iter().any(|o| o.name == key) || objects.indexes.iter().any(|i| i.name == key) {
            return Err(Refused::new(format!("{schema}.{key}, which its key would be called, is there already")));
        }
        let object = self.create_table(schema, name, owner)?;
        let (_, objects) = self.objects(schema)?;
        objects.indexes.push(IndexName { table: object.oid, name: key });
        let schema = self.schema(schema)?;
        Arc::make_mut(&mut self.snapshot.versions).0.push(VersionTable {
            oid: object.oid,
            schema,
            name: name.to_owned(),
            owner: object.owner,
            acl: object.acl,
            shape: true,
            plain: true,
            stirs: false,
            primary_key: true,
            rows: VersionRows::Known(Vec::new()),
        });
        Ok(())
    }

    pub(super) fn create_audit_schema(&mut self, schema: &str, owner: &str) -> Result<(), Refused> {
        if self.snapshot.catalog.schema_named(schema).is_none() {
            self.create_schema(schema, owner)?;
        }
        let table = self.create_table(schema, AUDIT_TABLE, owner)?;
        let (me, at, new) = (self.me, self.schema(schema)?, self.role(owner)?);
        let mut acl = self.new_acl(DefaultKind::Sequences, me, Some(at));
        hand_over(&mut acl, me, new);
        let oid = self.new_oid();
        let name = format!("{AUDIT_TABLE}_id_seq");
        let trail = TrailTable {
            schema: at,
            oid: table.oid,
            owner: new,
            plain: true,
            columns: std::iter::once("id").chain(AUDIT_COLUMNS).map(str::to_owned).collect(),
        };
        if let Some(shapes) = self.shapes() {
            shapes.trails.tables.push(trail);
        }
        let sequence = Object { oid, kind: Kind::Sequence, name, acl, owned_by: Some(table.oid), ..table };
        let (_, objects) = self.objects(schema)?;
        let place = objects.relations.partition_point(|o| o.name < sequence.name);
        objects.relations.insert(place, sequence);
        Ok(())
    }

    /// Made by the login and handed to its owner, as the statements do.
    pub(super) fn create_audit_function(&mut self, schema: &str, owner: &str) -> Result<(), Refused> {
        let (new, me, at) = (self.role(owner)?, self.me, self.schema(schema)?);
        let mut acl = self.new_acl(DefaultKind::Functions, me, Some(at));
        hand_over(&mut acl, me, new);
        let oid = self.new_oid();
        let (_, objects) = self.objects(schema)?;
        if objects.routines.iter().any(|o| o.name == AUDIT_SIGNATURE) {
            return Err(Refused::new(format!("{schema}.{AUDIT_SIGNATURE} is there already")));
        }
        let object = Object {
            oid,
            kind: Kind::Function,
            name: AUDIT_SIGNATURE.to_owned(),
            owner: new,
            acl: acl.clone(),
            extension: false,
            rls: false,
            force_rls: false,
            owned_by: None,
            rows_estimate: None,
        };
        let place = objects.routines.partition_point(|o| o.name < object.name);
        objects.routines.insert(place, object);
        if let Some(shapes) = self.shapes() {
            shapes.definers.push(Definer {
                schema: at,
                signature: AUDIT_SIGNATURE.to_owned(),
                owner: new,
                acl,
                search_path: Some(AUDIT_PATH.to_owned()),
                extension: false,
            });
            shapes.trails.functions.push(TrailFunction {
                schema: at,
                owner: new,
                language: "plpgsql".to_owned(),
                body: audit_body(schema),
                definer: true,
                settings: vec![format!("search_path={AUDIT_PATH}")],
            });
        }
        Ok(())
    }

    pub(super) fn drop_audit_function(&mut self, schema: &str) -> Result<(), Refused> {
        let at = self.schema(schema)?;
        self.object(ObjectKind::Routine, schema, AUDIT_SIGNATURE)?;
        if let Some(shapes) = self.shapes() {
            if let Some(t) = shapes.trails.triggers.iter().find(|t| t.audit == at) {
                return Err(Refused::new(format!("a trigger of table {} calls {schema}.{AUDIT_SIGNATURE}", t.table)));
            }
            shapes.trails.functions.retain(|f| f.schema != at);
            shapes.definers.retain(|d| d.schema != at || d.signature != AUDIT_SIGNATURE);
        }
        let (_, objects) = self.objects(schema)?;
        objects.routines.retain(|o| o.name != AUDIT_SIGNATURE);
        Ok(())
    }

    pub(super) fn create_audit_trigger(
        &mut self,
        schema: &str,
        table: &str,
        audit: &str,
        home: &[String],
    ) -> Result<(), Refused> {
        let relation = self.object(ObjectKind::Table, schema, table)?.oid;
        self.object(ObjectKind::Routine, audit, AUDIT_SIGNATURE)?;
        let (schema, audit) = (self.schema(schema)?, self.schema(audit)?);
        let Some(shapes) = self.shapes() else { return Ok(()) };
        let triggers = &mut shapes.trails.triggers;
        if triggers.iter().any(|t| t.relation == relation && t.name == AUDIT_FUNCTION) {
            return Err(Refused::new(format!("table {table} has a trigger {AUDIT_FUNCTION} already")));
        }
        triggers.push(TrailTrigger {
            relation,
            schema,
            table: table.to_owned(),
            name: AUDIT_FUNCTION.to_owned(),
            audit,
            events: AUDIT_EVENTS,
            enabled: 'O',
            home: home.to_vec(),
        });
        Ok(())
    }

    pub(super) fn version_rows(
        &mut self,
        schema: &str,
        table: &str,
        edit: impl Fn(&mut Vec<String>),
    ) -> Result<(), Refused> {
        let oid = self.schema(schema)?;
        let versions = Arc::make_mut(&mut self.snapshot.versions);
        let found = versions.0.iter_mut().find(|v| v.schema == oid && v.name == table);
        let found = found.ok_or_else(|| Refused::new(format!("there is no version table {schema}.{table}")))?;
        let Some(mut rows) = found.rows.known().map(<[String]>::to_vec) else {
            return Err(Refused::new(format!("the rows of {schema}.{table} are not known")));
        };
        if found.stirs {
            return Err(Refused::new(stirs(&format!("{schema}.{table}"))));
        }
        edit(&mut rows);
        rows.sort();
        if found.primary_key && rows.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(Refused::new(format!("a row of {schema}.{table} would be there twice")));
        }
        found.rows = VersionRows::Known(rows);
        Ok(())
    }
}
