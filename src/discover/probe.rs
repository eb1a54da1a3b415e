//! Whether somebody is there: a short connection and the question for TLS, which every PostgreSQL server answers with one
//! letter before any login. Found files do not make us call other machines.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{Around, Found, Place, Reach, Source, Sure};

/// The message that asks for TLS: its length, and the number of the request.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Asks every place that may be asked, all at once.
pub async fn all(found: &mut [Found], around: &Around<'_>) {
    let asked = found.iter().map(|f| one(f, around.patience));
    let answers = futures_util::future::join_all(asked).await;
    for (found, reach) in found.iter_mut().zip(answers) {
        if matches!(reach, Reach::Answers { .. }) {
            found.sure = found.sure.max(Sure::Likely);
        }
        found.reach = reach;
    }
}

async fn one(found: &Found, patience: Duration) -> Reach {
    if found.reach == Reach::Inside {
        return Reach::Inside;
    }
    match &found.place {
        Place::Inside => Reach::Inside,
        Place::Chosen => Reach::NotTried("its port is not known before it runs"),
        Place::Socket { dir, port } => socket(dir.join(format!(".s.PGSQL.{port}")), patience).await,
        Place::Tcp { host, port } => {
            let own = matches!(found.source, Source::Environment | Source::ServiceFile | Source::Container);
            if is_local(host) || own {
                tcp(host, *port, patience).await
            } else {
                Reach::NotTried("it is another machine")
            }
        }
    }
}

/// True for names and addresses that cannot leave this machine.
#[must_use]
pub fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Servers on ports of this machine that nothing found so far explains.
pub async fn ports(found: &[Found], around: &Around<'_>) -> Vec<Found> {
    let taken = |port: u16| {
        found.iter().any(|f| matches!(&f.place, Place::Tcp { host, port: p } if *p == port && is_local(host)))
    };
    let open: Vec<u16> = around.ports.iter().copied().filter(|p| !taken(*p)).collect();
    let asked = open.iter().map(|port| tcp("localhost", *port, around.patience));
    let answers = futures_util::future::join_all(asked).await;
    let there = open.into_iter().zip(answers).filter(|(_, reach)| matches!(reach, Reach::Answers { .. }));
    there
        .map(|(port, reach)| {
            let place = Place::Tcp { host: "localhost".to_owned(), port };
            let mut one = Found::new(Source::Port, place, Sure::Likely);
            "PostgreSQL".clone_into(&mut one.product);
            one.origins.push(format!("port {port} of this machine"));
            let socket = |f: &&Found| matches!(&f.place, Place::Socket { port: p, .. } if *p == port);
            if let Some(same) = found.iter().find(socket).and_then(|f| f.origins.first()) {
                one.notes.push(format!("probably the same server as {same}"));
            }
            one.reach = reach;
            one
        })
        .collect()
}

async fn tcp(host: &str, port: u16, patience: Duration) -> Reach {
    let ask = async {
        let hosts: &[&str] = if host == "localhost" { &["127.0.0.1", "::1"] } else { &[host] };
        let mut reach = Reach::Closed;
        for host in hosts {
            reach = match TcpStream::connect((*host, port)).await {
                Ok(stream) => return question(stream).await,
                Err(_) => reach,
            };
        }
        reach
    };
    tokio::time::timeout(patience, ask).await.unwrap_or(Reach::Silent)
}

#[cfg(unix)]
async fn socket(path: PathBuf, patience: Duration) -> Reach {
    let ask = async {
        match tokio::net::UnixStream::connect(path).await {
            Ok(stream) => question(stream).await,
            Err(_) => Reach::Closed,
        }
    };
    tokio::time::timeout(patience, ask).await.unwrap_or(Reach::Silent)
}

#[cfg(not(unix))]
async fn socket(_path: PathBuf, _patience: Duration) -> Reach {
    Reach::Closed
}

async fn question(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Reach {
    let mut answer = [0_u8; 1];
    if stream.write_all(&SSL_REQUEST).await.is_err() {
        return Reach::Stranger;
    }
    match stream.read_exact(&mut answer).await {
        Ok(_) if answer == *b"S" => Reach::Answers { tls: true },
        // An error message begins with E: too many connections, or a server that is starting.
        Ok(_) if answer == *b"N" || answer == *b"E" => Reach::Answers { tls: false },
        Ok(_) | Err(_) => Reach::Stranger,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn answered(answer: &'static [u8]) -> Reach {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 8];
            stream.read_exact(&mut asked).await.unwrap();
            assert_eq!(asked, SSL_REQUEST);
            stream.write_all(answer).await.unwrap();
        };
        tokio::join!(tcp("localhost", port, Duration::from_secs(5)), served).0
    }

    #[tokio::test]
    async fn one_letter_tells_a_server_from_a_stranger() {
        assert_eq!(answered(b"S").await, Reach::Answers { tls: true });
        assert_eq!(answered(b"N").await, Reach::Answers { tls: false });
        assert_eq!(answered(b"HTTP/1.1 400").await, Reach::Stranger);
        assert_eq!(answered(b"").await, Reach::Stranger);
    }

    #[tokio::test]
    async fn who_says_nothing_is_silent_and_nobody_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(tcp("127.0.0.1", port, Duration::from_millis(50)).await, Reach::Silent);
        drop(listener);
        assert_eq!(tcp("127.0.0.1", port, Duration::from_secs(5)).await, Reach::Closed);
    }

    #[test]
    fn only_this_machine_is_local() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["10.0.0.1", "db", "localhost.evil.example", "169.254.169.254", "0.0.0.0"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
