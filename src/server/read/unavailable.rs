//! Names what this login cannot see, and the one grant that would show it.

use crate::domain::{
    qualified, quote_ident,
    snapshot::{Catalog, Server, Unavailable, VersionRows, VersionTables},
};

/// What the server's answers leave dark for this login.
#[must_use]
pub fn parts(server: &Server, versions: &VersionTables, catalog: &Catalog) -> Vec<Unavailable> {
    let mut dark = Vec::new();
    let login = quote_ident(&server.current_user);
    if !server.superuser && !server.sees_activity {
        dark.push(Unavailable {
            what: "states and query texts of other roles' sessions".to_owned(),
            why: format!("{} is not a member of pg_monitor", server.current_user),
            grant: Some(format!("GRANT pg_monitor TO {login};")),
        });
    }
    if server.system_identifier.is_none() {
        dark.push(Unavailable {
            what: "the identity of the cluster".to_owned(),
            why: format!("{} may not call pg_control_system()", server.current_user),
            grant: Some(format!("GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() TO {login};")),
        });
    }
    let denied: Vec<_> = versions.0.iter().filter(|t| t.rows == VersionRows::Denied).collect();
    if let Some(first) = denied.first() {
        let schema = catalog.schema_name(first.schema);
        let table = qualified(&schema, &first.name);
        let what = match denied.len() {
            1 => format!("the rows of {table}"),
            n => format!("the rows of {n} version tables, the first of them {table}"),
        };
        dark.push(Unavailable {
            what,
            why: format!("{} may not read them", server.current_user),
            grant: Some(format!(
                "GRANT USAGE ON SCHEMA {} TO {login}; GRANT SELECT ON TABLE {table} TO {login};",
                quote_ident(&schema)
            )),
        });
    }
    dark
}
