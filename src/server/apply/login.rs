//! A login as a role, the way its service will do it: whether it works, and where it lands. One read-only statement.

use std::time::Duration;

use tokio::time::timeout;

use crate::{
    config::Conninfo,
    server::{connect::connect, read::ServerError},
};

/// For the connection, and for the question.
const LIMIT: Duration = Duration::from_secs(5);

/// What a session of the role sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub user: String,
    /// `current_schema()`: where it creates what it names without a schema.
    pub current_schema: Option<String>,
    /// A login with a wrong password is refused: the server asked for it.
    pub password_was_asked: bool,
}

/// Connects, looks, and leaves.
///
/// # Errors
/// Whatever keeps the role out.
pub async fn try_login(conninfo: &Conninfo) -> Result<Seen, ServerError> {
    let connected = connect(conninfo, LIMIT).await?;
    let asked = async {
        let sql = "select current_user::pg_catalog.text, pg_catalog.current_schema()::pg_catalog.text";
        connected.client.query_typed(sql, &[]).await.map_err(|e| ServerError::from_driver("who the session is", &e))
    };
    let rows = timeout(LIMIT, asked)
        .await
        .map_err(|_| ServerError::Deadline { what: "who the session is", after: LIMIT })??;
    let text = |column: usize| rows.first().and_then(|row| row.try_get::<_, Option<String>>(column).ok().flatten());
    let wrong =
        Conninfo { password: Some("not the password, to see whether one is asked for".into()), ..conninfo.clone() };
    let password_was_asked = connect(&wrong, LIMIT).await.is_err();
    Ok(Seen { user: text(0).unwrap_or_default(), current_schema: text(1), password_was_asked })
}
