//! A draft as a policy, and as the text of its file.

use super::{Draft, DraftService};
use crate::{
    domain::{effective::Matrix, snapshot::Snapshot},
    policy::{
        Level, Policy, RoleRule, SchemaRule, Service, Undeclared, checks::audit_schema_missing::AUDIT, derive,
        file::VERSION_TABLE, instance::as_in_file, write,
    },
};

impl Draft {
    /// The policy that the answers make. Schemas that no service gets are declared as they are; what else differs from
    /// it is a finding. Ask [`Draft::problems`] first.
    #[must_use]
    pub fn policy(&self, snapshot: &Snapshot) -> Policy {
        let matrix = Matrix::new(&snapshot.catalog, &snapshot.server);
        let (found, rules) = derive::guess(snapshot, &matrix);
        let services: Vec<Service> = self.chosen().map(|s| self.declared(s, snapshot)).collect();
        let owned = |schema: &str| services.iter().any(|s| s.schemas.iter().any(|n| n == schema));
        let mut schemas: Vec<SchemaRule> = rules.into_iter().filter(|r| !owned(&r.name)).collect();
        if self.audit && !owned(AUDIT) && !schemas.iter().any(|r| r.name == AUDIT) {
            let owner = snapshot.catalog.role_name(snapshot.catalog.database.owner);
            schemas.push(SchemaRule {
                name: AUDIT.to_owned(),
                creators: vec![owner.clone()],
                owner: Some(owner),
                tenant_exempt: true,
                instance: None,
            });
        }
        schemas.sort_by(|a, b| a.name.cmp(&b.name));
        let serves = |role: &str| services.iter().any(|s| s.role == role);
        let mut roles: Vec<RoleRule> =
            self.roles.iter().filter(|r| r.chosen && !serves(&r.rule.name)).map(|r| r.rule.clone()).collect();
        self.reporting(&services, &mut roles);
        roles.sort_by(|a, b| a.name.cmp(&b.name));
        for rule in &mut roles {
            rule.access = as_in_file(&rule.access);
        }
        Policy {
            name: self.name.clone(),
            undeclared: Undeclared::Report,
            services,
            roles,
            schemas,
            database: found.database,
            accepted: self.accepted.clone(),
            ..Policy::default()
        }
    }

    /// The text of the policy's file.
    #[must_use]
    pub fn policy_text(&self, snapshot: &Snapshot) -> String {
        write::text(&self.policy(snapshot))
    }

    fn declared(&self, service: &DraftService, snapshot: &Snapshot) -> Service {
        let owner = service.owner.clone().unwrap_or_else(|| service.role.clone());
        let mut creators = vec![owner.clone()];
        creators.extend((owner != service.role).then(|| service.role.clone()));
        let schema = snapshot.catalog.schema_named(&service.schema).map(|s| s.oid);
        let table = snapshot.versions.0.iter().find(|t| Some(t.schema) == schema && t.shape && t.plain);
        let table = table.map_or_else(|| VERSION_TABLE.to_owned(), |t| t.name.clone());
        Service {
            name: service.name.clone(),
            schemas: vec![service.schema.clone()],
            role: service.role.clone(),
            owner,
            creators,
            access: as_in_file(&self.access_of(service)),
            search_path: None,
            connection_limit: service.connection_limit,
            version_table: service.version_table.then_some(table),
            revisions: service.revisions.clone(),
            tenant_column: None,
            tenant_exempt: false,
            instance: None,
            applications: Vec::new(),
            member_of: Some(service.member_of.clone()).filter(|groups| !groups.is_empty()),
            login: None,
        }
    }

    /// The reporting role reads every service's schema, and the trail.
    fn reporting(&self, services: &[Service], roles: &mut Vec<RoleRule>) {
        let Some(name) = &self.reporting else { return };
        let at = roles.iter().position(|r| r.name == *name).unwrap_or_else(|| {
            roles.push(RoleRule { login: Some(true), ..RoleRule::named(name) });
            roles.len() - 1
        });
        let Some(rule) = roles.get_mut(at) else { return };
        let schemas = services.iter().flat_map(|s| s.schemas.iter().map(String::as_str));
        for schema in schemas.chain(self.audit.then_some(AUDIT)) {
            let levels = rule.access.entry(schema.to_owned()).or_default();
            if !levels.contains(&Level::Read) {
                levels.push(Level::Read);
            }
        }
    }

    /// Roles that get a password when the draft is set up.
    #[must_use]
    pub fn passwords(&self, snapshot: &Snapshot) -> Vec<String> {
        let mut roles: Vec<String> = Vec::new();
        let reporting = self.reporting.iter().filter(|r| snapshot.catalog.role_named(r).is_none());
        for role in self.chosen().filter(|s| s.gets_password()).map(|s| &s.role).chain(reporting) {
            if !roles.contains(role) {
                roles.push(role.clone());
            }
        }
        roles
    }
}
