//! A login as a role, the way its service will do it: whether it works, and where it lands. One read-only statement.

use std::time::Duration;

use tokio::time::timeout;

use crate::{
    config::Conninfo,
    server::{
        connect::{ConnectErrorKind, connect},
        read::ServerError,
    },
};

/// For the connection, and for the question.
const LIMIT: Duration = Duration::from_secs(5);

/// What a session of the role sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub user: String,
    /// `current_schema()`: where it creates what it names without a schema.
    pub current_schema: Option<String>,
    /// The server asks for the password; otherwise it lets this connection in without one.
    pub password_was_asked: bool,
}

/// Connects, looks, and leaves.
///
/// # Errors
/// Whatever keeps the role out.
pub async fn try_login(conninfo: &Conninfo) -> Result<Seen, ServerError> {
    let connected = connect(conninfo, LIMIT).await?;
    let asked = async {
        let sql = include_str!("../read/login.sql");
        connected.client.query_typed(sql, &[]).await.map_err(|e| ServerError::from_driver("who the session is", &e))
    };
    let rows = timeout(LIMIT, asked)
        .await
        .map_err(|_| ServerError::Deadline { what: "who the session is", after: LIMIT })??;
    let text = |column: usize| rows.first().and_then(|row| row.try_get::<_, Option<String>>(column).ok().flatten());
    // Without a password at hand nothing is sent, and the server's asking is the answer: no login fails for it.
    let mut without = Conninfo { password: None, ..conninfo.clone() };
    without.hosts.iter_mut().for_each(|host| host.password = None);
    let password_was_asked = matches!(
        connect(&without, LIMIT).await, Err(error) if error.kind == ConnectErrorKind::PasswordNeeded
    );
    Ok(Seen { user: text(0).unwrap_or_default(), current_schema: text(1), password_was_asked })
}
