//! What can be done to a database, as values. `plan::sql` turns them into statements; nothing here runs anything.
//! Names are catalog names, unquoted; grantees and objects are named so that a plan reads without oids.

use serde::{Deserialize, Serialize};

use super::privilege::{ObjectKind, Privileges};

/// Who receives or loses a privilege.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grantee {
    Public,
    Role(String),
}

impl Grantee {
    /// The role's name, or `PUBLIC`.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Grantee::Public => "PUBLIC",
            Grantee::Role(name) => name,
        }
    }
}

/// What a GRANT is on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    Database(String),
    Schema(String),
    /// Every object of that kind in the schema: `ALL TABLES IN SCHEMA`; not for types.
    AllIn {
        kind: ObjectKind,
        schema: String,
    },
    /// Single objects. Routines carry their argument types: `f(integer)`.
    Objects {
        kind: ObjectKind,
        schema: String,
        names: Vec<String>,
    },
    /// Columns of one relation.
    Columns {
        schema: String,
        relation: String,
        columns: Vec<String>,
    },
}

/// One object by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    pub kind: super::snapshot::Kind,
    pub schema: String,
    /// Routines carry their argument types.
    pub name: String,
}

/// Role attributes of CREATE ROLE and ALTER ROLE; `None` is not mentioned.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RoleAttributes {
    pub superuser: Option<bool>,
    pub inherit: Option<bool>,
    pub create_role: Option<bool>,
    pub create_db: Option<bool>,
    pub login: Option<bool>,
    pub replication: Option<bool>,
    pub bypass_rls: Option<bool>,
    pub connection_limit: Option<i32>,
    /// `VALID UNTIL`; `infinity` lifts it.
    pub valid_until: Option<String>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    CreateSchema {
        name: String,
        owner: String,
    },
    /// The password is set by whoever executes it, as a SCRAM verifier; never part of the change.
    CreateRole {
        name: String,
        attributes: RoleAttributes,
    },
    AlterRole {
        name: String,
        attributes: RoleAttributes,
    },
    GrantRole {
        role: String,
        member: String,
    },
    /// A membership with its options as they were; `None` where the server knows none (before 16).
    GrantRoleWith {
        role: String,
        member: String,
        admin: bool,
        inherit: Option<bool>,
        set: Option<bool>,
        grantor: Option<String>,
    },
    RevokeRole {
        role: String,
        member: String,
        grantor: Option<String>,
    },
    Grant {
        privileges: Privileges,
        on: On,
        to: Grantee,
    },
    /// A grant as it was: with its grantor, when that is not the owner, and its grant option.
    GrantWith {
        privileges: Privileges,
        on: On,
        to: Grantee,
        option: bool,
        grantor: Option<String>,
    },
    Revoke {
        privileges: Privileges,
        on: On,
        from: Grantee,
        /// Only the grant option.
        option_only: bool,
        /// The grantor, when it is not the owner: the revoke must be made as that role.
        grantor: Option<String>,
    },
    /// ALTER DEFAULT PRIVILEGES … GRANT / REVOKE.
    DefaultPrivileges {
        creator: String,
        /// `None`: the global layer.
        schema: Option<String>,
        kind: super::snapshot::DefaultKind,
        privileges: Privileges,
        grantee: Grantee,
        grant: bool,
    },
    SetSchemaOwner {
        schema: String,
        owner: String,
    },
    SetOwner {
        object: ObjectRef,
        owner: String,
    },
    SetSchema {
        object: ObjectRef,
        to: String,
    },
    SetExtensionSchema {
        extension: String,
        to: String,
    },
    /// ALTER ROLE … [IN DATABASE …] SET / RESET; a list is written as such (search_path).
    SetRoleSetting {
        role: String,
        database: Option<String>,
        name: String,
        value: Option<Vec<String>>,
    },
    /// ALTER DATABASE … SET / RESET.
    SetDatabaseSetting {
        database: String,
        name: String,
        value: Option<Vec<String>>,
    },
    EnableRls {
        schema: String,
        table: String,
    },
    ForceRls {
        schema: String,
        table: String,
    },
    /// A policy that compares `column` with a setting of the session, for every command.
    CreateTenantPolicy {
        schema: String,
        table: String,
        name: String,
        column: String,
        setting: String,
        /// The column's type, where the setting can be read as a value of it; else both are compared as texts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        as_type: Option<super::snapshot::TenantType>,
    },
    ValidateForeignKey {
        schema: String,
        table: String,
        name: String,
    },
    /// CREATE TABLE with Alembic's shape.
    CreateVersionTable {
        schema: String,
        name: String,
        owner: String,
    },
    /// ALTER TABLE … SET SCHEMA of a version table.
    MoveVersionTable {
        schema: String,
        name: String,
        to: String,
    },
    /// ALTER TABLE … RENAME TO of a version table; its key keeps its name.
    RenameVersionTable {
        schema: String,
        name: String,
        to: String,
    },
    SetFunctionSearchPath {
        schema: String,
        signature: String,
        path: Vec<String>,
    },
    SetViewInvoker {
        schema: String,
        view: String,
    },
    CreateAuditSchema {
        schema: String,
        owner: String,
    },
    /// The trigger function that writes the trail, beside its table. Runs as its owner: whoever may write to a table
    /// need not be able to write to the trail, and cannot forge a row of it.
    CreateAuditFunction {
        schema: String,
        owner: String,
    },
    /// Undoes [`Change::CreateAuditFunction`].
    DropAuditFunction {
        schema: String,
    },
    /// Logs every statement that writes to the table, unless the login is one of `home`.
    CreateAuditTrigger {
        schema: String,
        table: String,
        /// The schema of the trail.
        audit: String,
        /// Roles whose writes cross no border.
        home: Vec<String>,
    },
    DropAuditTrigger {
        schema: String,
        table: String,
    },
    /// Undoes [`Change::CreateSchema`]: refused by the server while anything is in it.
    DropSchema {
        name: String,
    },
    /// Undoes [`Change::CreateRole`]: refused by the server while anything depends on it.
    DropRole {
        name: String,
    },
    /// Undoes [`Change::CreateVersionTable`].
    DropVersionTable {
        schema: String,
        name: String,
    },
    /// The password is made when it is executed, as a SCRAM verifier; never part of the change.
    SetPassword {
        role: String,
    },
    DisableRls {
        schema: String,
        table: String,
    },
    NoForceRls {
        schema: String,
        table: String,
    },
    DropPolicy {
        schema: String,
        table: String,
        name: String,
    },
    ResetFunctionSearchPath {
        schema: String,
        signature: String,
    },
    ResetViewInvoker {
        schema: String,
        view: String,
    },
    /// Rows of a version table, written by hand.
    InsertVersionRows {
        schema: String,
        table: String,
        rows: Vec<String>,
    },
    DeleteVersionRows {
        schema: String,
        table: String,
        rows: Vec<String>,
    },
    /// Rows out of one version table into the one of the same name in another schema, in one statement.
    MoveVersionRows {
        schema: String,
        table: String,
        to: String,
        rows: Vec<String>,
    },
}
