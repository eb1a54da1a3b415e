//! What the checks of tenancy ask in the same words: which tables hold tenants' rows, and which policies speak for them.

use super::Context;
use crate::{
    domain::{
        change::Change,
        snapshot::{RowPolicy, TableShape},
    },
    policy::Service,
};

/// The session setting that tenant policies compare with, as the services set it.
pub const SETTING: &str = "app.current_tenant_id";
/// The name of policies that are created.
pub const POLICY_NAME: &str = "tenant_isolation";

/// A table of a service that holds its tenant column.
pub struct TenantTable<'a> {
    pub service: &'a Service,
    pub schema: &'a str,
    pub column: &'a str,
    pub shape: &'a TableShape,
    pub policies: Vec<&'a RowPolicy>,
}

impl TenantTable<'_> {
    /// `schema.name`
    pub fn name(&self) -> String {
        format!("{}.{}", self.schema, self.shape.name)
    }

    /// The statement that makes a policy for it.
    pub fn create_policy(&self) -> Change {
        Change::CreateTenantPolicy {
            schema: self.schema.to_owned(),
            table: self.shape.name.clone(),
            name: POLICY_NAME.to_owned(),
            column: self.column.to_owned(),
            setting: SETTING.to_owned(),
            as_type: self.shape.tenant_types.get(self.column).copied(),
        }
    }
    pub fn enable(&self) -> Change {
        Change::EnableRls { schema: self.schema.to_owned(), table: self.shape.name.clone() }
    }
    pub fn force(&self) -> Change {
        Change::ForceRls { schema: self.schema.to_owned(), table: self.shape.name.clone() }
    }
}

/// Tables with a declared tenant column in the schemas of the service that declares it, exempted ones left out; by
/// schema and name.
pub fn tenant_tables<'a>(ctx: &Context<'a>) -> Vec<TenantTable<'a>> {
    let mut tables = Vec::new();
    let (Some(shapes), Some(policy)) = (ctx.shapes, ctx.policy) else { return tables };
    for service in ctx.services().iter().filter(|s| !s.tenant_exempt) {
        let Some(column) = service.tenant_column.as_deref() else { continue };
        for name in &service.schemas {
            if policy.schemas.iter().any(|s| s.name == *name && s.tenant_exempt) {
                continue;
            }
            let Some(schema) = ctx.catalog.schema_named(name) else { continue };
            let of_schema = shapes.tables.iter().filter(|t| t.schema == schema.oid);
            tables.extend(of_schema.filter(|t| t.tenant_columns.iter().any(|c| c == column)).map(|shape| {
                TenantTable {
                    service,
                    schema: name,
                    column,
                    shape,
                    policies: ctx.catalog.policies.iter().filter(|p| p.relation == shape.oid).collect(),
                }
            }));
        }
    }
    tables.sort_by(|a, b| a.schema.cmp(b.schema).then(a.shape.name.cmp(&b.shape.name)));
    tables
}
