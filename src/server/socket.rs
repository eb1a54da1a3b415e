//! Sockets to a server: opening one, its keepalives, and the question whether the server speaks TLS. Knows no messages.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
};

use crate::config::{Conninfo, Host, conninfo::Keepalives};

/// Where one socket leads, and how it behaves.
#[derive(Debug, Clone)]
pub struct Dial {
    /// The other end.
    pub endpoint: Endpoint,
    /// True when the line does not leave this machine.
    pub local: bool,
    keepalives: Keepalives,
    tcp_user_timeout: Duration,
    requirepeer_uid: Option<u32>,
}

/// The other end of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// An address.
    Tcp(SocketAddr),
    /// The file of a Unix socket.
    Unix(PathBuf),
}

/// On lines that can go silent a dead server is noticed after about six seconds: three quiet ones, then three probes.
const IDLE: Duration = Duration::from_secs(3);
const INTERVAL: Duration = Duration::from_secs(1);
const PROBES: u32 = 3;
const USER_TIMEOUT: Duration = Duration::from_secs(6);

impl Dial {
    /// A socket to one of a host's endpoints, with the connection's settings and our defaults.
    #[must_use]
    pub fn new(conninfo: &Conninfo, host: &Host, endpoint: Endpoint) -> Self {
        let local = host.is_local()
            || match &endpoint {
                Endpoint::Tcp(address) => address.ip().to_canonical().is_loopback(),
                Endpoint::Unix(_) => true,
            };
        let default = |on: Duration| if local { Duration::ZERO } else { on };
        let given = conninfo.keepalives;
        Self {
            keepalives: Keepalives {
                on: given.on,
                idle: Some(given.idle.unwrap_or(default(IDLE))),
                interval: Some(given.interval.unwrap_or(default(INTERVAL))),
                count: Some(given.count.unwrap_or(if local { 0 } else { PROBES })),
            },
            tcp_user_timeout: conninfo.tcp_user_timeout.unwrap_or(default(USER_TIMEOUT)),
            requirepeer_uid: conninfo.requirepeer_uid,
            endpoint,
            local,
        }
    }

    /// Opens the socket. Has no time limit of its own.
    pub async fn open(&self) -> io::Result<Socket> {
        match &self.endpoint {
            Endpoint::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                self.set_options(&stream);
                Ok(Socket::Tcp(stream))
            }
            #[cfg(unix)]
            Endpoint::Unix(path) => {
                let stream = tokio::net::UnixStream::connect(path).await?;
                if let Some(wanted) = self.requirepeer_uid
                    && stream.peer_cred()?.uid() != wanted
                {
                    return Err(io::Error::new(
                        io::ErrorKind::PermissionDenied,
                        "the socket belongs to another user than requirepeer names",
                    ));
                }
                Ok(Socket::Unix(stream))
            }
            #[cfg(not(unix))]
            Endpoint::Unix(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "there are no Unix sockets here")),
        }
    }

    /// Keepalives and the like are a help, not a condition: a system that refuses one keeps its default.
    #[cfg(unix)]
    fn set_options(&self, stream: &TcpStream) {
        use rustix::net::sockopt;
        let keepalives = &self.keepalives;
        let _ = sockopt::set_socket_keepalive(stream, keepalives.on);
        if keepalives.on {
            #[cfg(not(target_os = "openbsd"))]
            {
                if let Some(idle) = keepalives.idle.filter(|d| !d.is_zero()) {
                    let _ = sockopt::set_tcp_keepidle(stream, idle);
                }
                if let Some(interval) = keepalives.interval.filter(|d| !d.is_zero()) {
                    let _ = sockopt::set_tcp_keepintvl(stream, interval);
                }
                if let Some(count) = keepalives.count.filter(|n| *n > 0) {
                    let _ = sockopt::set_tcp_keepcnt(stream, count);
                }
            }
        }
        #[cfg(target_os = "linux")]
        if !self.tcp_user_timeout.is_zero() {
            let ms = u32::try_from(self.tcp_user_timeout.as_millis()).unwrap_or(u32::MAX);
            let _ = sockopt::set_tcp_user_timeout(stream, ms);
        }
    }

    #[cfg(not(unix))]
    fn set_options(&self, _stream: &TcpStream) {}
}

/// The other ends of a host: its socket, its address, or all addresses its name has.
pub async fn endpoints(host: &Host) -> io::Result<Vec<Endpoint>> {
    if host.is_socket() {
        return Ok(vec![Endpoint::Unix(host.socket_path())]);
    }
    if let Some(address) = host.hostaddr.or_else(|| host.host.parse().ok()) {
        return Ok(vec![Endpoint::Tcp(SocketAddr::new(address, host.port))]);
    }
    let mut found: Vec<Endpoint> = Vec::new();
    for address in tokio::net::lookup_host((host.host.as_str(), host.port)).await? {
        let endpoint = Endpoint::Tcp(address);
        if !found.contains(&endpoint) {
            found.push(endpoint);
        }
    }
    if found.is_empty() { Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address")) } else { Ok(found) }
}

/// Length, then the code of SSLRequest (PostgreSQL manual, "Message Formats").
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Asks for TLS; the answer is `S`, `N`, or `E` from servers that cannot even start a process.
pub async fn ask_for_tls(socket: &mut Socket) -> io::Result<u8> {
    socket.write_all(&SSL_REQUEST).await?;
    socket.read_u8().await
}

/// A stream to a server.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    /// All at once: of a TLS handshake written record by record, a server that refuses the first would reset the line
    /// under the second, and the reason it gave would be lost.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            #[cfg(unix)]
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
