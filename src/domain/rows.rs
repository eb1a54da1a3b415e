//! Which row level security policies bind a role in a statement, and what follows where none lets a row through. Knows the
//! policies' commands and roles, not their expressions: what these let through only the server can say.

use super::{
    closure::bypasses_rls,
    effective::{Matrix, Who},
    ident::{Oid, qualified},
    privilege::Privilege,
    snapshot::{Catalog, Object, Schema},
};

/// What row level security makes of a privilege that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// It is off, or the privilege is about no rows.
    Free,
    /// It is on, and does not bind this role.
    Bypassed,
    /// Policies decide which rows.
    Some,
    /// No permissive policy applies: no row, without an error.
    None(String),
    /// No permissive policy applies to an INSERT: an error.
    Refused(String),
}

/// A relation, as far as row level security goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarded {
    pub oid: Oid,
    /// As SQL names it.
    pub name: String,
    pub owner: Oid,
    pub rls: bool,
    /// Its owner is bound, too.
    pub force_rls: bool,
}

impl Guarded {
    #[must_use]
    pub fn object(schema: &Schema, object: &Object) -> Guarded {
        let Object { oid, owner, rls, force_rls, .. } = *object;
        Guarded { oid, name: qualified(&schema.name, &object.name), owner, rls, force_rls }
    }
}

/// What the policies of a relation leave of a privilege.
#[must_use]
pub fn rows(catalog: &Catalog, matrix: &Matrix, who: Who, object: &Guarded, privilege: Privilege) -> Rows {
    let Some((command, word)) = command(privilege).filter(|_| object.rls) else { return Rows::Free };
    if let Who::Role(role) = who
        && (catalog.roles.get(role).is_some_and(bypasses_rls) || matrix.owns(who, object.owner) && !object.force_rls)
    {
        return Rows::Bypassed;
    }
    if permits(catalog, matrix, who, object.oid, command) {
        return Rows::Some;
    }
    let name = match who {
        Who::Public => "PUBLIC",
        Who::Role(role) => catalog.roles.get(role).map_or("", |r| r.name.as_str()),
    };
    let table = &object.name;
    let why = format!("Row level security is on for {table}, and no permissive policy for {word} is for {name}");
    if privilege == Privilege::Insert {
        let error = "new row violates row-level security policy";
        return Rows::Refused(format!("{why}: every new row is refused with \"{error} for table\"."));
    }
    Rows::None(format!("{why}: it finds no row, without an error."))
}

/// A statement that reads columns besides, as a WHERE does, goes through the policies for SELECT too: told where no
/// permissive one applies.
#[must_use]
pub fn reads_none(
    catalog: &Catalog,
    matrix: &Matrix,
    who: Who,
    object: &Object,
    privilege: Privilege,
) -> Option<String> {
    let besides = matches!(privilege, Privilege::Update | Privilege::Delete);
    (besides && !permits(catalog, matrix, who, object.oid, 'r')).then(|| {
        format!(
            "With a WHERE that names a column the {privilege} finds no row: no permissive policy for SELECT applies."
        )
    })
}

/// `polcmd` of the statement that a privilege is for, and its name.
const fn command(privilege: Privilege) -> Option<(char, &'static str)> {
    match privilege {
        Privilege::Select => Some(('r', "SELECT")),
        Privilege::Insert => Some(('a', "INSERT")),
        Privilege::Update => Some(('w', "UPDATE")),
        Privilege::Delete => Some(('d', "DELETE")),
        _ => None,
    }
}

/// A permissive policy speaks of the command and of the role, of PUBLIC, or of a role whose privileges it has. Without one
/// nothing is let through, whatever restrictive ones say.
fn permits(catalog: &Catalog, matrix: &Matrix, who: Who, relation: Oid, command: char) -> bool {
    let closure = &matrix.closure;
    let binds = |of: &Oid| {
        *of == Oid::ZERO
            || matches!((who, closure.position(*of)), (Who::Role(role), Some(of)) if closure.inherits(role, of))
    };
    let of_relation = catalog.policies.iter().filter(|p| p.relation == relation && p.permissive);
    of_relation.filter(|p| p.command == '*' || p.command == command).any(|p| p.roles.iter().any(binds))
}
