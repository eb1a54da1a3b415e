//! GRANT, REVOKE and default privileges, on everything that they reach (`aclchk.c`).

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Draft, Refused,
    acl::{Acting, Update, built_in, entries, same_entries},
    fold::all_mut,
};
use crate::domain::{
    Acl, AclEntry, ObjectKind, Oid, Privileges,
    change::{Grantee, On},
    snapshot::{ColumnGrant, DefaultAcl, DefaultKind},
};

impl Draft {
    pub(super) fn change_acls(
        &mut self,
        on: &On,
        by: Option<Oid>,
        privileges: Privileges,
        grantee: Oid,
        grant: bool,
        option: bool,
    ) -> Result<(), Refused> {
        let version = self.version();
        let acting = self.acting(by);
        let update = |acl: &mut Acl, kind: ObjectKind, owner: Oid| -> Result<(), Refused> {
            let mut list = entries(acl, kind, owner, version);
            let privileges = privileges.and(kind.all(version));
            let grantor = acting.grantor(&list, owner, privileges)?;
            Update { grantee, grantor, privileges, grant, option }.on(&mut list, owner)?;
            *acl = Acl::from_entries(list);
            Ok(())
        };
        match on {
            On::Database(_) => {
                let d = &mut Arc::make_mut(&mut self.snapshot.catalog).database;
                update(&mut d.acl, ObjectKind::Database, d.owner)
            }
            On::Schema(name) => {
                let oid = self.schema(name)?;
                let found = Arc::make_mut(&mut self.snapshot.catalog).schemas.iter_mut().find(|s| s.oid == oid);
                found.map_or(Ok(()), |s| update(&mut s.acl, ObjectKind::Schema, s.owner))
            }
            On::AllIn { kind, schema } => {
                let (_, objects) = self.objects(schema)?;
                let mut columns = BTreeMap::new();
                for o in all_mut(objects).filter(|o| o.kind.object_kind() == *kind) {
                    update(&mut o.acl, *kind, o.owner)?;
                    columns.insert(o.oid, entries(&o.acl, *kind, o.owner, version));
                }
                self.with_columns(&columns, *kind, grant, grantee, &acting, privileges, option)
            }
            On::Objects { kind, schema, names } => {
                let mut columns = BTreeMap::new();
                for name in names {
                    let o = self.object(*kind, schema, name)?;
                    update(&mut o.acl, *kind, o.owner)?;
                    columns.insert(o.oid, entries(&o.acl, *kind, o.owner, version));
                }
                self.with_columns(&columns, *kind, grant, grantee, &acting, privileges, option)
            }
            On::Columns { schema, relation, columns } => {
                let table = self.object(ObjectKind::Table, schema, relation)?.clone();
                let schema = self.schema(schema)?;
                let Some(shapes) = self.shapes() else {
                    return Err(Refused::new("the privileges on columns have not been read"));
                };
                for column in columns {
                    let at =
                        shapes.column_grants.iter().position(|g| g.relation_oid == table.oid && g.column == *column);
                    let mut list = match at.and_then(|i| shapes.column_grants.get(i)) {
                        Some(g) => g.acl.0.as_deref().unwrap_or_default().to_vec(),
                        None => Vec::new(),
                    };
                    let both: Vec<AclEntry> = entries(&table.acl, ObjectKind::Table, table.owner, version)
                        .into_iter()
                        .chain(list.clone())
                        .collect();
                    let grantor = acting.grantor(&both, table.owner, privileges)?;
                    Update { grantee, grantor, privileges, grant, option }.on(&mut list, table.owner)?;
                    if let Some(i) = at {
                        shapes.column_grants.remove(i);
                    }
                    if !list.is_empty() {
                        shapes.column_grants.push(ColumnGrant {
                            schema,
                            relation: relation.clone(),
                            relation_oid: table.oid,
                            kind: table.kind,
                            owner: table.owner,
                            column: column.clone(),
                            acl: Acl::from_entries(list),
                        });
                        shapes.sort_column_grants();
                    }
                }
                Ok(())
            }
        }
    }

    /// A right taken from a table is taken from its columns too.
    #[expect(clippy::too_many_arguments, reason = "one revocation has that many parts")]
    pub(super) fn with_columns(
        &mut self,
        tables: &BTreeMap<Oid, Vec<AclEntry>>,
        kind: ObjectKind,
        grant: bool,
        grantee: Oid,
        acting: &Acting,
        privileges: Privileges,
        option: bool,
    ) -> Result<(), Refused> {
        if grant || kind != ObjectKind::Table {
            return Ok(());
        }
        let Some(shapes) = self.snapshot.shapes.as_mut() else { return Ok(()) };
        if !shapes.column_grants.iter().any(|g| tables.contains_key(&g.relation_oid)) {
            return Ok(());
        }
        let shapes = Arc::make_mut(shapes);
        for g in shapes.column_grants.iter_mut().filter(|g| tables.contains_key(&g.relation_oid)) {
            let mut list = g.acl.0.as_deref().unwrap_or_default().to_vec();
            let table = tables.get(&g.relation_oid).map(Vec::as_slice).unwrap_or_default();
            let both: Vec<AclEntry> = table.iter().copied().chain(list.iter().copied()).collect();
            // Where it may take nothing, it takes nothing.
            if let Ok(grantor) = acting.grantor(&both, g.owner, privileges) {
                Update { grantee, grantor, privileges, grant, option }.on(&mut list, g.owner)?;
            }
            g.acl = Acl::from_entries(list);
        }
        shapes.column_grants.retain(|g| g.acl.0.as_deref().is_some_and(|list| !list.is_empty()));
        Ok(())
    }

    /// `SetDefaultACL`: an entry that says no more than the built-in default is not kept.
    pub(super) fn default_privileges(
        &mut self,
        creator: &str,
        schema: Option<&str>,
        kind: DefaultKind,
        privileges: Privileges,
        grantee: &Grantee,
        grant: bool,
    ) -> Result<(), Refused> {
        let (creator, grantee, version) = (self.role(creator)?, self.grantee(grantee)?, self.version());
        let schema = match schema {
            Some(name) => Some(self.schema(name)?),
            None => None,
        };
        let base = if schema.is_none() { built_in(kind, creator, version) } else { Vec::new() };
        let known = &mut self.catalog().default_acls;
        let at = known.iter().position(|d| d.creator == creator && d.schema == schema && d.kind == kind);
        let mut list = match at.and_then(|i| known.get(i)) {
            Some(d) => d.acl.0.as_deref().unwrap_or_default().to_vec(),
            None => base.clone(),
        };
        Update { grantee, grantor: creator, privileges, grant, option: false }.on(&mut list, creator)?;
        if let Some(i) = at {
            known.remove(i);
        }
        if !same_entries(&list, &base) {
            known.push(DefaultAcl { creator, schema, kind, acl: Acl::from_entries(list) });
        }
        Ok(())
    }
}
