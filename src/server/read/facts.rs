//! What is asked once per connection, before anything else: version, encoding, what the server lets us set and call.

use tokio_postgres::Client;

use super::{Param, ServerError, Statement, bare, fields::Fields};
use crate::domain::platform::{self, PLATFORMS};

/// What a connection's server is, as far as it decides how to read from it.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// `server_version_num`.
    pub version_num: u32,
    /// `server_encoding`.
    pub encoding: String,
    /// Text is asked for as raw bytes: the database has no encoding (SQL_ASCII), or holds text that is not in it.
    pub raw_text: bool,
    /// The backend that answered; behind a pooler it changes from one transaction to the next.
    pub pid: i32,
    /// The server's own `search_path`, before settings of roles and databases; what it is built with when it is hidden.
    pub default_search_path: String,
    /// The server knows `restrict_nonsystem_relation_kind` (14.13, 15.8, 16.4, 17 and later).
    pub restricts_relations: bool,
    /// The server can look, while it works, whether we are still there: `client_connection_check_interval` (14 and later)
    /// may be set on Linux; elsewhere a server can refuse any value but 0.
    pub watches_clients: bool,
    /// `pg_control_system()`; `None` where the login may not call it.
    pub system_identifier: Option<String>,
    /// First eight digits of the WAL file's name; `None` on a standby, and where the login may not ask.
    pub timeline: Option<String>,
    /// Which of the settings that tell of a platform the server knows ([`platform::settings`]).
    pub platform_settings: Vec<String>,
}

/// # Errors
/// [`ServerError`]; what the login may not see is left out instead.
pub async fn facts(client: &Client) -> Result<Facts, ServerError> {
    let keepers = PLATFORMS.iter().flat_map(|f| f.keepers.iter().map(|&name| name.to_owned())).collect();
    let statement = Statement::new("the facts of the server", include_str!("facts.sql")).with(Param::Texts(keepers));
    let rows = bare(client, &statement).await?;
    let row = rows.first().ok_or(ServerError::Unreadable { what: statement.what, column: 0, expected: "a row" })?;
    let mut f = Fields::new(statement.what, row);
    let version_num = u32::try_from(f.i32()?).unwrap_or(0);
    let encoding = f.text()?;
    let pid = f.i32()?;
    let (setting, built_in, source) = (f.opt_text()?, f.opt_text()?, f.opt_text()?);
    let restricts_relations = f.bool()?;
    let (may_control, may_files) = (f.bool()?, f.bool()?);
    let on_linux = f.i32()? > 0;
    let kept = f.bool()?;
    let may_wal = f.bool()?;
    let timeline = if may_wal {
        one_text(client, Statement::new("the timeline", include_str!("timeline.sql"))).await
    } else {
        None
    };
    let system_identifier = if may_control {
        one_text(client, Statement::new("the system identifier", include_str!("system_identifier.sql"))).await
    } else {
        None
    };
    // A value that comes from the role, the database or the session hides the server's own.
    let servers_own = matches!(source.as_deref(), Some("default" | "configuration file" | "command line" | "global"));
    let default_search_path = if servers_own {
        setting
    } else {
        let file = if may_files {
            one_text(client, Statement::new("the configuration files", include_str!("file_search_path.sql"))).await
        } else {
            None
        };
        file.or(built_in)
    };
    // Asked only where a platform's superuser is. The second question also finds settings that no extension has defined,
    // and is refused as a whole when one of them is secret.
    let mut platform_settings = Vec::new();
    if kept {
        for sql in [include_str!("platform_settings.sql"), include_str!("platform_placeholders.sql")] {
            let names = platform::settings().map(str::to_owned).collect();
            let statement = Statement::new("the settings of a platform", sql).with(Param::Texts(names));
            let known = one_text(client, statement).await.unwrap_or_default();
            platform_settings.extend(known.split(' ').filter(|name| !name.is_empty()).map(str::to_owned));
        }
    }
    Ok(Facts {
        version_num,
        raw_text: encoding == "SQL_ASCII",
        encoding,
        pid,
        default_search_path: default_search_path.unwrap_or_default(),
        restricts_relations,
        watches_clients: on_linux && version_num >= 140_000,
        system_identifier,
        timeline,
        platform_settings,
    })
}

/// The first column of the first row; anything that is in the way is "unknown".
async fn one_text(client: &Client, statement: Statement) -> Option<String> {
    let rows = bare(client, &statement).await.ok()?;
    Fields::new(statement.what, rows.first()?).opt_text().ok()?
}
