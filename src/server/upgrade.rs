//! The step from a socket to an encrypted stream whose messages are watched.

use std::{future::Future, io, pin::Pin};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    guard::{AuthRules, Guard, Limits, SharedSeen},
    tls,
};

/// The TLS stream over `S`.
pub type Encrypted<S> = <MakeRustlsConnect as MakeTlsConnect<S>>::Stream;

/// Makes one TLS connection and watches what comes out of it.
pub struct Upgrade {
    connector: MakeRustlsConnect,
    host: String,
    limits: Limits,
    rules: AuthRules,
    seen: SharedSeen,
}

impl Upgrade {
    /// `host` is the name the certificate is compared with.
    pub fn new(client: &tls::Client, host: String, limits: Limits, rules: AuthRules, seen: SharedSeen) -> Self {
        Self { connector: MakeRustlsConnect::new(client.config.clone()), host, limits, rules, seen }
    }
}

/// The handshake, without anybody watching what follows.
pub async fn handshake<S>(client: &tls::Client, host: &str, stream: S) -> io::Result<Encrypted<S>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut connector = MakeRustlsConnect::new(client.config.clone());
    let Ok(connect) = MakeTlsConnect::<S>::make_tls_connect(&mut connector, host);
    connect.connect(stream).await
}

impl<S> TlsConnect<S> for Upgrade
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Guard<Encrypted<S>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Stream>> + Send>>;

    fn connect(mut self, stream: S) -> Self::Future {
        Box::pin(async move {
            let Ok(connect) = MakeTlsConnect::<S>::make_tls_connect(&mut self.connector, &self.host);
            let encrypted = connect.connect(stream).await?;
            Ok(Guard::messages(encrypted, self.limits, self.rules, self.seen))
        })
    }
}
