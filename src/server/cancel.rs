//! Interrupting the statement that runs on a connection. The socket stays open until the server closes it: poolers forget
//! a request whose sender has gone.

use std::{io, time::Duration};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{
    connect_error::{ConnectError, ConnectErrorKind},
    socket::{self, Dial, Endpoint},
    tls, upgrade,
};
use crate::config::conninfo::SslNegotiation;

/// The right to interrupt one connection. Cancelling races with the statement's own end: after it, await the answer and
/// give the connection up.
#[derive(Clone)]
pub struct Canceller {
    dial: Dial,
    tls: Option<(tls::Client, String)>,
    negotiation: SslNegotiation,
    key: Option<(i32, i32)>,
}

/// The code of CancelRequest (PostgreSQL manual, "Message Formats").
const CANCEL_REQUEST: i32 = 80_877_102;

impl Canceller {
    pub(super) fn new(
        dial: Dial,
        tls: Option<(tls::Client, String)>,
        negotiation: SslNegotiation,
        key: Option<(i32, i32)>,
    ) -> Self {
        Self { dial, tls, negotiation, key }
    }

    /// Sends the request over a socket of its own, to the same address and with the same TLS, and waits until the
    /// server has closed it. Done does not mean that a statement was interrupted: the server does not say.
    pub async fn cancel(&self, deadline: Duration) -> Result<(), ConnectError> {
        let place = match &self.dial.endpoint {
            Endpoint::Tcp(address) => address.to_string(),
            Endpoint::Unix(path) => path.display().to_string(),
        };
        let result = match tokio::time::timeout(deadline, self.send(&place)).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::new(
                ConnectErrorKind::Timeout,
                format!("the request to cancel was not taken within {:.1} s", deadline.as_secs_f32()),
                "",
            )),
        };
        result.map_err(|error| ConnectError { target: place, ..error })
    }

    async fn send(&self, place: &str) -> Result<(), ConnectError> {
        let Some((pid, secret)) = self.key else {
            return Err(ConnectError::new(ConnectErrorKind::Other, "the server gave no key to cancel with", ""));
        };
        let is_socket = matches!(self.dial.endpoint, Endpoint::Unix(_));
        let lost = |error: io::Error| ConnectError::opening(&error, is_socket, place);
        let mut socket = self.dial.open().await.map_err(lost)?;
        let Some((client, host)) = &self.tls else {
            return request(socket, pid, secret).await.map_err(lost);
        };
        if self.negotiation == SslNegotiation::Postgres && socket::ask_for_tls(&mut socket).await.map_err(lost)? != b'S'
        {
            return Err(ConnectError::new(ConnectErrorKind::Tls, "the server no longer offers TLS", ""));
        }
        let stream = upgrade::handshake(client, host, socket).await.map_err(lost)?;
        request(stream, pid, secret).await.map_err(lost)
    }
}

async fn request<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, pid: i32, secret: i32) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(16);
    for word in [16, CANCEL_REQUEST, pid, secret] {
        bytes.extend(word.to_be_bytes());
    }
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    let mut rest = [0; 64];
    loop {
        match stream.read(&mut rest).await {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            // A server that closes without saying goodbye has still read the request.
            Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
}
