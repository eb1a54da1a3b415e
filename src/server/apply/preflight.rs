//! Which steps of a plan the connected role could not do, and what right it lacks: reasoned from the catalog before
//! anything runs. The server has the last word; whoever passes here may still be refused there (event triggers,
//! extensions of managed services).

use std::{collections::HashMap, fmt};

use crate::{
    domain::{
        ObjectKind, Oid, Privilege, Snapshot,
        change::{Change, On, RoleAttributes},
        effective::{Matrix, Who},
        snapshot::{Object, Role},
    },
    plan::{Plan, sql},
};

/// A step that the connected role cannot do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// The step's id.
    pub step: String,
    pub title: String,
    /// What would let it: `membership in role app`, `ownership of schema s`.
    pub right: String,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) needs {}", self.step, self.title, self.right)
    }
}

/// Steps in their order with what is missing for each; empty when nothing is. Objects of the schemas that the plan
/// touches should be in the snapshot: what is not there is not judged.
#[must_use]
pub fn preflight(snapshot: &Snapshot, matrix: &Matrix, plan: &Plan) -> Vec<Lack> {
    let Some(me) = snapshot.catalog.role_named(&snapshot.server.current_user) else { return Vec::new() };
    if me.superuser || snapshot.server.superuser {
        return Vec::new();
    }
    let mut view = View {
        snapshot,
        matrix,
        me,
        position: matrix.closure.position(me.oid),
        schemas: HashMap::new(),
        objects: HashMap::new(),
        made: Vec::new(),
    };
    let mut lacks = Vec::new();
    for step in &plan.steps {
        let missing = view.missing(&step.change);
        view.follow(&step.change);
        lacks.extend(missing.into_iter().map(|right| Lack { step: step.id.clone(), title: step.title.clone(), right }));
    }
    lacks
}

/// The catalog as it is after the steps so far, as far as owners go.
struct View<'a> {
    snapshot: &'a Snapshot,
    matrix: &'a Matrix,
    me: &'a Role,
    position: Option<usize>,
    /// Owners that earlier steps made or changed, by name.
    schemas: HashMap<String, String>,
    objects: HashMap<(String, String), String>,
    made: Vec<String>,
}

type Missing = Vec<String>;

impl View<'_> {
    /// The rights of that role are ours without SET ROLE.
    fn inherits(&self, role: &str) -> bool {
        role == self.me.name || self.held(role, |view, position, of| view.matrix.closure.inherits(position, of))
    }

    /// We may SET ROLE to it: what OWNER TO and AUTHORIZATION ask for.
    fn may_become(&self, role: &str) -> bool {
        let sixteen = self.snapshot.server.version_num >= 160_000;
        role == self.me.name
            || self.held(role, |view, position, of| {
                if sixteen {
                    view.matrix.closure.settable(position).contains(&of)
                } else {
                    view.matrix.closure.path(position, of, |_| true).is_some()
                }
            })
    }

    fn held(&self, role: &str, how: impl Fn(&Self, usize, usize) -> bool) -> bool {
        let of = self.snapshot.catalog.role_named(role).and_then(|r| self.matrix.closure.position(r.oid));
        matches!((self.position, of), (Some(position), Some(of)) if how(self, position, of))
    }

    fn has_admin(&self, role: &str) -> bool {
        let Some(role) = self.snapshot.catalog.role_named(role) else { return self.made.iter().any(|m| m == role) };
        self.snapshot.catalog.memberships.iter().any(|m| m.role == role.oid && m.admin && self.inherits_oid(m.member))
    }

    fn inherits_oid(&self, oid: Oid) -> bool {
        self.snapshot.catalog.role(oid).is_some_and(|role| self.inherits(&role.name))
    }

    fn become_role(&self, role: &str) -> Missing {
        if self.may_become(role) { Missing::new() } else { vec![format!("membership in role {role}")] }
    }

    fn owner_of_schema(&self, schema: &str) -> Option<String> {
        let made = self.schemas.get(schema).cloned();
        made.or_else(|| {
            let schema = self.snapshot.catalog.schema_named(schema)?;
            Some(self.snapshot.catalog.role(schema.owner)?.name.clone())
        })
    }

    fn owns_schema(&self, schema: &str) -> Missing {
        match self.owner_of_schema(schema) {
            Some(owner) if !self.inherits(&owner) => vec![format!("ownership of schema {schema} (it is {owner}'s)")],
            Some(_) | None => Missing::new(),
        }
    }

    fn create_in_schema(&self, schema: &str) -> Missing {
        if self.owner_of_schema(schema).is_some_and(|owner| self.inherits(&owner)) {
            return Missing::new();
        }
        let Some(found) = self.snapshot.catalog.schema_named(schema) else { return Missing::new() };
        let Some(position) = self.position else { return Missing::new() };
        let catalog = &self.snapshot.catalog;
        let rights = self.matrix.rights(catalog, Who::Role(position), ObjectKind::Schema, found.owner, &found.acl);
        if rights.contains(Privilege::Create) { Missing::new() } else { vec![format!("CREATE on schema {schema}")] }
    }

    fn create_in_database(&self) -> Missing {
        let (catalog, Some(position)) = (&self.snapshot.catalog, self.position) else { return Missing::new() };
        let d = &catalog.database;
        let rights = self.matrix.rights(catalog, Who::Role(position), ObjectKind::Database, d.owner, &d.acl);
        if rights.contains(Privilege::Create) { Missing::new() } else { vec![format!("CREATE on database {}", d.name)] }
    }

    fn owns_database(&self) -> Missing {
        let d = &self.snapshot.catalog.database;
        if self.inherits_oid(d.owner) { Missing::new() } else { vec![format!("ownership of database {}", d.name)] }
    }

    fn object(&self, schema: &str, name: &str) -> Option<&Object> {
        let schema = self.snapshot.catalog.schema_named(schema)?;
        self.snapshot.objects.0.get(&schema.oid)?.all().find(|object| object.name == name)
    }

    fn owns_object(&self, schema: &str, name: &str) -> Missing {
        let key = (schema.to_owned(), name.to_owned());
        let owner = self.objects.get(&key).cloned().or_else(|| {
            let object = self.object(schema, name)?;
            Some(self.snapshot.catalog.role(object.owner)?.name.clone())
        });
        match owner {
            Some(owner) if !self.inherits(&owner) => vec![format!("ownership of {schema}.{name} (it is {owner}'s)")],
            Some(_) | None => Missing::new(),
        }
    }

    /// CREATEROLE, and from 16 on ADMIN of that role.
    fn rules_role(&self, name: &str) -> Missing {
        if self.snapshot.catalog.role_named(name).is_some_and(|r| r.superuser) {
            return vec!["SUPERUSER: the role is a superuser".to_owned()];
        }
        if !self.me.create_role {
            return vec!["CREATEROLE".to_owned()];
        }
        if self.snapshot.server.version_num >= 160_000 && !self.has_admin(name) {
            return vec![format!("ADMIN OPTION on role {name}")];
        }
        Missing::new()
    }

    fn attributes(&self, a: &RoleAttributes) -> Missing {
        let mut missing = Missing::new();
        if a.superuser.is_some() {
            missing.push("SUPERUSER".to_owned());
        }
        let sixteen = self.snapshot.server.version_num >= 160_000;
        for (asked, have, word) in [
            (a.replication, self.me.replication, "REPLICATION"),
            (a.bypass_rls, self.me.bypass_rls, "BYPASSRLS"),
            (a.create_db, self.me.create_db, "CREATEDB"),
        ] {
            let free = word == "CREATEDB" && !sixteen;
            if asked == Some(true) && !free && !(sixteen && have) {
                missing.push(if sixteen { word.to_owned() } else { format!("SUPERUSER, to give {word}") });
            }
        }
        missing
    }

    fn membership(&self, role: &str) -> Missing {
        if self.snapshot.catalog.role_named(role).is_some_and(|r| r.superuser) {
            return vec!["SUPERUSER: the role is a superuser".to_owned()];
        }
        let by_right = self.snapshot.server.version_num < 160_000 && self.me.create_role;
        if by_right || self.has_admin(role) { Missing::new() } else { vec![format!("ADMIN OPTION on role {role}")] }
    }

    /// The owner grants; whoever holds the right with grant option may, too.
    fn grants(&self, on: &On) -> Missing {
        match on {
            On::Database(_) => self.owns_database(),
            On::Schema(schema) => self.owns_schema(schema),
            On::AllIn { kind, schema } => {
                let Some(found) = self.snapshot.catalog.schema_named(schema) else { return Missing::new() };
                let Some(objects) = self.snapshot.objects.0.get(&found.oid) else { return Missing::new() };
                let of_kind = objects.all().filter(|o| o.kind.object_kind() == *kind);
                of_kind.flat_map(|o| self.owns_object(schema, &o.name)).take(1).collect()
            }
            On::Objects { schema, names, .. } => {
                names.iter().flat_map(|n| self.owns_object(schema, n)).take(1).collect()
            }
            On::Columns { schema, relation, .. } => self.owns_object(schema, relation),
        }
    }

    fn missing(&self, change: &Change) -> Missing {
        match change {
            Change::CreateSchema { owner, .. } | Change::CreateAuditSchema { owner, .. } => {
                [self.create_in_database(), self.become_role(owner)].concat()
            }
            Change::CreateRole { attributes, .. } => {
                let mut missing = self.attributes(attributes);
                if !self.me.create_role {
                    missing.insert(0, "CREATEROLE".to_owned());
                }
                missing
            }
            Change::AlterRole { name, attributes } => [self.rules_role(name), self.attributes(attributes)].concat(),
            Change::SetPassword { role } if *role == self.me.name => Missing::new(),
            Change::SetRoleSetting { role, .. } if *role == self.me.name => Missing::new(),
            Change::SetPassword { role } | Change::SetRoleSetting { role, .. } | Change::DropRole { name: role } => {
                self.rules_role(role)
            }
            Change::GrantRole { role, .. } | Change::GrantRoleWith { role, .. } | Change::RevokeRole { role, .. } => {
                self.membership(role)
            }
            Change::Revoke { grantor: Some(grantor), .. } | Change::GrantWith { grantor: Some(grantor), .. } => {
                self.become_role(grantor)
            }
            Change::Grant { on, .. } | Change::GrantWith { on, .. } | Change::Revoke { on, .. } => self.grants(on),
            Change::DefaultPrivileges { creator, .. } => self.become_role(creator),
            Change::SetSchemaOwner { schema, owner } => {
                [self.owns_schema(schema), self.become_role(owner), self.create_in_database()].concat()
            }
            Change::SetOwner { object, owner } => {
                [self.owns_object(&object.schema, &object.name), self.become_role(owner)].concat()
            }
            Change::SetSchema { object, to } => {
                [self.owns_object(&object.schema, &object.name), self.create_in_schema(to)].concat()
            }
            Change::MoveVersionTable { schema, name, to } => {
                [self.owns_object(schema, name), self.create_in_schema(to)].concat()
            }
            // a new name is made in the schema
            Change::RenameVersionTable { schema, name, .. } => {
                [self.owns_object(schema, name), self.create_in_schema(schema)].concat()
            }
            Change::MoveVersionRows { schema, table, to, .. } => {
                [self.owns_object(schema, table), self.owns_object(to, table)].concat()
            }
            Change::SetExtensionSchema { to, .. } => self.create_in_schema(to),
            Change::SetDatabaseSetting { .. } => self.owns_database(),
            Change::EnableRls { schema, table }
            | Change::DisableRls { schema, table }
            | Change::ForceRls { schema, table }
            | Change::NoForceRls { schema, table }
            | Change::CreateTenantPolicy { schema, table, .. }
            | Change::DropPolicy { schema, table, .. }
            | Change::ValidateForeignKey { schema, table, .. }
            | Change::DropVersionTable { schema, name: table }
            | Change::InsertVersionRows { schema, table, .. }
            | Change::DeleteVersionRows { schema, table, .. }
            | Change::SetViewInvoker { schema, view: table }
            | Change::ResetViewInvoker { schema, view: table }
            | Change::SetFunctionSearchPath { schema, signature: table, .. }
            | Change::ResetFunctionSearchPath { schema, signature: table } => self.owns_object(schema, table),
            Change::CreateVersionTable { schema, owner, .. } | Change::CreateAuditFunction { schema, owner } => {
                [self.create_in_schema(schema), self.become_role(owner)].concat()
            }
            Change::CreateAuditTrigger { schema, table, .. } | Change::DropAuditTrigger { schema, table } => {
                self.owns_object(schema, table)
            }
            Change::DropAuditFunction { schema } => self.owns_object(schema, sql::AUDIT_SIGNATURE),
            Change::DropSchema { name } => self.owns_schema(name),
        }
    }

    /// What the steps behind this one find.
    fn follow(&mut self, change: &Change) {
        match change {
            Change::CreateSchema { name, owner }
            | Change::CreateAuditSchema { schema: name, owner }
            | Change::SetSchemaOwner { schema: name, owner } => {
                self.schemas.insert(name.clone(), owner.clone());
            }
            Change::SetOwner { object, owner } => {
                self.objects.insert((object.schema.clone(), object.name.clone()), owner.clone());
            }
            Change::CreateVersionTable { schema, name, owner } => {
                self.objects.insert((schema.clone(), name.clone()), owner.clone());
            }
            Change::CreateAuditFunction { schema, owner } => {
                self.objects.insert((schema.clone(), sql::AUDIT_SIGNATURE.to_owned()), owner.clone());
            }
            Change::CreateRole { name, .. } => self.made.push(name.clone()),
            _ => {}
        }
    }
}
