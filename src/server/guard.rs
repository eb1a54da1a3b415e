//! The stream between the socket and the protocol: it watches messages pass and ends the connection when a server sends
//! more than it may, asks for a password in a way that was not allowed, or does not speak PostgreSQL's protocol.
//! It also notes what the protocol crate keeps to itself: the backend's pid and key, and the TLS cipher.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use crate::config::conninfo::RequireAuth;

/// How much a server may send, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// One message after login.
    pub message: u64,
    /// What keeping all answers to one request costs, up to the next ReadyForQuery: their bytes, and `ROW` for each row.
    pub response: u64,
    /// Everything up to the first ReadyForQuery.
    pub login: u64,
    /// ParameterStatus messages between two ReadyForQuery: the protocol crate keeps every one.
    pub parameters: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message: 16 << 20, response: 96 << 20, login: 64 << 10, parameters: 64 << 10 }
    }
}

/// Which ways of asking for a password are answered.
#[derive(Debug, Clone, Copy)]
pub struct AuthRules {
    /// False: a password in clear is not sent, since the line is neither encrypted nor local.
    pub clear_password: bool,
    /// The connection's `require_auth`.
    pub require: Option<RequireAuth>,
}

/// Why the guard ended a connection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Broken {
    /// The first bytes are no PostgreSQL message.
    #[error("the answer is not PostgreSQL's protocol")]
    NotPostgres,
    /// A header announced too much.
    #[error("a message of {bytes} bytes was announced, the limit is {limit}")]
    LongMessage {
        /// As announced.
        bytes: u64,
        /// As configured.
        limit: u64,
    },
    /// Too much before login was complete.
    #[error("more than {0} bytes arrived before the login was complete")]
    LongLogin(u64),
    /// Too much for one request.
    #[error("the answer to one request takes more than {0} bytes")]
    LongResponse(u64),
    /// Too many settings reported.
    #[error("more than {0} bytes of settings arrived for one request")]
    ManyParameters(u64),
    /// The server wants the password in clear on an unencrypted line.
    #[error("the server asks for the password in clear over an unencrypted connection")]
    ClearPassword,
    /// `require_auth` forbids it.
    #[error("the server asks for authentication by {0}, which require_auth does not allow")]
    Method(&'static str),
}

impl From<Broken> for io::Error {
    fn from(broken: Broken) -> Self {
        Self::other(broken)
    }
}

/// What passed by. Shared with whoever made the guard.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// Process id and secret key of BackendKeyData. Behind a pooler they are the pooler's.
    pub key: Option<(i32, i32)>,
    /// True once the server asked for a password in any form.
    pub asked: bool,
    /// The TLS cipher suite the server chose.
    pub cipher: Option<u16>,
}

/// A [`Seen`] that both sides hold.
pub type SharedSeen = Arc<Mutex<Seen>>;

/// A copy of what was seen so far.
#[must_use]
pub fn seen(shared: &SharedSeen) -> Seen {
    *shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stream with its watcher.
pub struct Guard<S> {
    inner: S,
    watch: Watch,
}

enum Watch {
    /// PostgreSQL messages in clear.
    Messages(Box<Messages>),
    /// A TLS handshake, then what cannot be read.
    Handshake(Hello),
}

impl<S> Guard<S> {
    /// Watches messages.
    pub fn messages(inner: S, limits: Limits, rules: AuthRules, seen: SharedSeen) -> Self {
        Self { inner, watch: Watch::Messages(Box::new(Messages::new(limits, rules, seen))) }
    }

    /// Watches the beginning of a TLS handshake; put another guard around the decrypted stream.
    pub fn handshake(inner: S, seen: SharedSeen) -> Self {
        Self { inner, watch: Watch::Handshake(Hello { bytes: Vec::new(), seen, done: false }) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let new = buf.filled().get(before..).unwrap_or_default();
        Poll::Ready(match &mut self.watch {
            Watch::Messages(messages) => messages.scan(new).map_err(io::Error::from),
            Watch::Handshake(hello) => {
                hello.scan(new);
                Ok(())
            }
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Guard<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.inner.channel_binding()
    }
}

/// Reads message headers (a tag, then a length of four bytes that counts itself) and the first bytes of some bodies.
struct Messages {
    limits: Limits,
    rules: AuthRules,
    seen: SharedSeen,
    /// The header while it is incomplete.
    header: Vec<u8>,
    /// First bytes of the body of a message that is looked into.
    head: Vec<u8>,
    tag: u8,
    body_left: u64,
    ready: bool,
    total: u64,
    parameters: u64,
}

/// What a row costs beside its bytes while it is kept, about.
const ROW: u64 = 128;
/// Messages that may come first: authentication, error, notice, protocol negotiation.
const FIRST: &[u8] = b"RENv";
/// Bytes of the body that are looked at.
const HEAD: usize = 8;

impl Messages {
    fn new(limits: Limits, rules: AuthRules, seen: SharedSeen) -> Self {
        Self {
            limits,
            rules,
            seen,
            header: Vec::with_capacity(5),
            head: Vec::with_capacity(HEAD),
            tag: 0,
            body_left: 0,
            ready: false,
            total: 0,
            parameters: 0,
        }
    }

    fn scan(&mut self, mut data: &[u8]) -> Result<(), Broken> {
        while let Some(first) = data.first() {
            if self.body_left == 0 {
                if self.total == 0 && self.header.is_empty() && !self.ready && !FIRST.contains(first) {
                    return Err(Broken::NotPostgres);
                }
                self.header.push(*first);
                data = data.get(1..).unwrap_or_default();
                if let [tag, a, b, c, d] = *self.header.as_slice() {
                    self.header.clear();
                    self.begin(tag, u32::from_be_bytes([a, b, c, d]))?;
                }
            } else {
                let here = usize::try_from(self.body_left).unwrap_or(usize::MAX).min(data.len());
                let (body, rest) = data.split_at(here);
                if matches!(self.tag, b'R' | b'K') {
                    self.head.extend(body.iter().take(HEAD - self.head.len().min(HEAD)));
                }
                self.body_left -= here as u64;
                data = rest;
                if self.body_left == 0 {
                    self.end()?;
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, tag: u8, length: u32) -> Result<(), Broken> {
        let Some(body) = length.checked_sub(4).map(u64::from) else { return Err(Broken::NotPostgres) };
        self.tag = tag;
        self.head.clear();
        self.body_left = body;
        self.total += body + 5 + if tag == b'D' { ROW } else { 0 };
        if !self.ready {
            if self.total > self.limits.login {
                let first = self.total == body + 5;
                return Err(if first { Broken::NotPostgres } else { Broken::LongLogin(self.limits.login) });
            }
        } else if body > self.limits.message {
            return Err(Broken::LongMessage { bytes: body, limit: self.limits.message });
        } else if self.total > self.limits.response {
            return Err(Broken::LongResponse(self.limits.response));
        }
        if tag == b'S' {
            self.parameters += body + 5;
            if self.parameters > self.limits.parameters {
                return Err(Broken::ManyParameters(self.limits.parameters));
            }
        }
        if body == 0 { self.end() } else { Ok(()) }
    }

    fn end(&mut self) -> Result<(), Broken> {
        match self.tag {
            b'Z' => {
                self.ready = true;
                self.total = 0;
                self.parameters = 0;
            }
            b'K' => {
                if let [a, b, c, d, e, f, g, h] = *self.head.as_slice() {
                    let key = (i32::from_be_bytes([a, b, c, d]), i32::from_be_bytes([e, f, g, h]));
                    self.note(|seen| seen.key = Some(key));
                }
            }
            b'R' if !self.ready => self.authentication()?,
            _ => {}
        }
        Ok(())
    }

    fn authentication(&mut self) -> Result<(), Broken> {
        let Some(&[a, b, c, d]) = self.head.first_chunk::<4>() else { return Err(Broken::NotPostgres) };
        let require = self.rules.require;
        let (method, allowed) = match u32::from_be_bytes([a, b, c, d]) {
            0 => {
                let asked = seen(&self.seen).asked;
                return if asked || require.is_none_or(|r| r.none) { Ok(()) } else { Err(Broken::Method("nothing")) };
            }
            3 => ("a password in clear", require.is_none_or(|r| r.password)),
            5 => ("MD5", require.is_none_or(|r| r.md5)),
            10 => ("SCRAM", require.is_none_or(|r| r.scram)),
            _ => return Ok(()),
        };
        self.note(|seen| seen.asked = true);
        if !allowed {
            return Err(Broken::Method(method));
        }
        if method == "a password in clear" && !self.rules.clear_password {
            return Err(Broken::ClearPassword);
        }
        Ok(())
    }

    fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Finds the cipher suite in a ServerHello: record header (5), handshake header (4), version (2), random (32), session id.
struct Hello {
    bytes: Vec<u8>,
    seen: SharedSeen,
    done: bool,
}

impl Hello {
    fn scan(&mut self, data: &[u8]) {
        if self.done {
            return;
        }
        self.bytes.extend(data.iter().take(128 - self.bytes.len().min(128)));
        let Some(session) = self.bytes.get(43) else { return };
        let at = 44 + usize::from(*session);
        if let (Some(22), Some(2), Some(high), Some(low)) =
            (self.bytes.first(), self.bytes.get(5), self.bytes.get(at), self.bytes.get(at + 1))
        {
            let cipher = u16::from_be_bytes([*high, *low]);
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).cipher = Some(cipher);
            self.done = true;
        } else if self.bytes.len() >= 128 {
            self.done = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A handshake's records go out together: see [`Socket`](super::super::socket::Socket).
    #[cfg(unix)]
    #[tokio::test]
    async fn records_are_sent_in_one_write() {
        use tokio::io::AsyncWriteExt as _;

        let (ours, _theirs) = tokio::net::UnixStream::pair().unwrap();
        let socket = super::super::socket::Socket::Unix(ours);
        let mut guard = Guard::handshake(socket, SharedSeen::default());
        let records = [&b"certificate"[..], b"key", b"finished"].map(io::IoSlice::new);
        assert!(guard.is_write_vectored());
        assert_eq!(guard.write_vectored(&records).await.unwrap(), 22);
    }

    const FREE: AuthRules = AuthRules { clear_password: true, require: None };

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        bytes.extend((u32::try_from(body.len()).unwrap() + 4).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn watch(rules: AuthRules) -> (Messages, SharedSeen) {
        let shared = SharedSeen::default();
        (Messages::new(Limits::default(), rules, shared.clone()), shared)
    }

    fn login() -> Vec<u8> {
        let mut bytes = message(b'R', &0u32.to_be_bytes());
        bytes.extend(message(b'K', &[0, 0, 1, 2, 0, 0, 0, 9]));
        bytes.extend(message(b'Z', b"I"));
        bytes
    }

    #[test]
    fn messages_are_followed_however_they_are_cut() {
        let bytes = login();
        for size in 1..bytes.len() {
            let (mut watch, shared) = watch(FREE);
            for piece in bytes.chunks(size) {
                watch.scan(piece).unwrap();
            }
            assert!(watch.ready);
            assert_eq!(seen(&shared).key, Some((258, 9)), "pieces of {size}");
        }
    }

    #[test]
    fn what_is_not_postgres_is_refused_at_once() {
        for bytes in
            [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"SSH-2.0-x", b"R\0\0\0\0", b"E\x7f\xff\xff\xff", b"\0\0\0\0\0"]
        {
            assert_eq!(watch(FREE).0.scan(bytes), Err(Broken::NotPostgres), "{bytes:?}");
        }
    }

    #[test]
    fn a_server_cannot_fill_the_memory() {
        let (mut watch, _) = watch(FREE);
        watch.scan(&login()).unwrap();
        assert!(matches!(watch.scan(b"D\x7f\xff\xff\xff"), Err(Broken::LongMessage { .. })));

        let (mut endless, _) = self::watch(FREE);
        endless.scan(&login()).unwrap();
        let row = message(b'D', &vec![0; 1 << 20]);
        let refused = (0..1000).find_map(|_| endless.scan(&row).err());
        assert_eq!(refused, Some(Broken::LongResponse(96 << 20)));

        let (mut flood, _) = self::watch(FREE);
        let status = message(b'S', b"a\0bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\0");
        flood.scan(&message(b'R', &0u32.to_be_bytes())).unwrap();
        let refused = (0..10_000).find_map(|_| flood.scan(&status).err());
        assert!(matches!(refused, Some(Broken::LongLogin(_) | Broken::ManyParameters(_))));

        let (mut flood, _) = self::watch(FREE);
        flood.scan(&login()).unwrap();
        let refused = (0..10_000).find_map(|_| flood.scan(&status).err());
        assert!(matches!(refused, Some(Broken::ManyParameters(_))));
    }

    #[test]
    fn many_answers_in_a_row_are_no_flood() {
        let (mut watch, _) = watch(FREE);
        watch.scan(&login()).unwrap();
        let mut answer = message(b'S', b"TimeZone\0UTC\0");
        answer.extend(message(b'D', &vec![0; 1 << 20]));
        answer.extend(message(b'Z', b"I"));
        for _ in 0..2000 {
            watch.scan(&answer).unwrap();
        }
    }

    #[test]
    fn passwords_are_asked_for_only_as_allowed() {
        let ask = |code: u32| message(b'R', &code.to_be_bytes());
        let no_clear = AuthRules { clear_password: false, require: None };
        assert_eq!(watch(no_clear).0.scan(&ask(3)), Err(Broken::ClearPassword));
        assert_eq!(watch(no_clear).0.scan(&ask(10)), Ok(()));
        let scram = RequireAuth { password: false, md5: false, scram: true, none: false };
        let only_scram = AuthRules { clear_password: true, require: Some(scram) };
        for code in [0, 3, 5] {
            assert!(matches!(watch(only_scram).0.scan(&ask(code)), Err(Broken::Method(_))), "{code}");
        }
        let (mut asked, shared) = watch(only_scram);
        asked.scan(&ask(10)).unwrap();
        asked.scan(&ask(0)).unwrap();
        assert!(seen(&shared).asked);
    }
}
