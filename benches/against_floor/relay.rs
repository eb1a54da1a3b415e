//! A relay between a program and its server that notes the statements passing by, so that another client can run exactly
//! the same. Knows nothing of this program but the protocol's messages; one connection at a time, in clear.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// Statements in the order they were executed, parameters filled in.
pub type Statements = Arc<Mutex<Vec<String>>>;

/// Starts a relay to a server and returns where it listens. It lives as long as the process.
pub fn start(server: SocketAddr) -> std::io::Result<(SocketAddr, Statements)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let (at, statements) = (listener.local_addr()?, Statements::default());
    let noted = Arc::clone(&statements);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let noted = Arc::clone(&noted);
            thread::spawn(move || relay(client, server, &noted));
        }
    });
    Ok((at, statements))
}

fn relay(client: TcpStream, server: SocketAddr, noted: &Statements) -> std::io::Result<()> {
    let upstream = TcpStream::connect(server)?;
    let (mut from_server, mut to_client) = (upstream.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(std::net::Shutdown::Both);
    });
    let (mut client, mut upstream) = (client, upstream);
    let (mut reader, mut piece) = (Reader::default(), vec![0; 1 << 16]);
    loop {
        let read = client.read(&mut piece)?;
        let Some(bytes) = piece.get(..read).filter(|b| !b.is_empty()) else {
            return upstream.shutdown(std::net::Shutdown::Write);
        };
        upstream.write_all(bytes)?;
        reader.take(bytes, noted);
    }
}

/// Follows what a client sends.
#[derive(Default)]
struct Reader {
    bytes: Vec<u8>,
    started: bool,
    /// Text and parameter types by statement name; the unnamed one is "".
    prepared: std::collections::HashMap<String, (String, Vec<u32>)>,
    /// By portal: what Execute will run.
    bound: std::collections::HashMap<String, String>,
}

impl Reader {
    fn take(&mut self, bytes: &[u8], noted: &Statements) {
        self.bytes.extend_from_slice(bytes);
        loop {
            // The first packet, and requests for encryption before it, have no tag.
            let tagged = usize::from(self.started);
            let Some(length) = self.bytes.get(tagged..tagged + 4).and_then(|b| b.first_chunk::<4>()) else { return };
            let end = tagged + u32::from_be_bytes(*length) as usize;
            let Some(body) = self.bytes.get(tagged + 4..end).map(<[u8]>::to_vec) else { return };
            let tag = if self.started { self.bytes.first().copied().unwrap_or(0) } else { 0 };
            self.started |= body.first_chunk::<4>().is_some_and(|code| *code == [0, 3, 0, 0]);
            self.bytes.drain(..end);
            self.message(tag, &body, noted);
        }
    }

    fn message(&mut self, tag: u8, body: &[u8], noted: &Statements) {
        let mut body = Body(body);
        let note = |text: String| noted.lock().into_iter().for_each(|mut all| all.push(text.clone()));
        match tag {
            b'Q' => note(body.text()),
            b'P' => {
                let (name, text) = (body.text(), body.text());
                let types = (0..body.short()).map(|_| body.long()).collect();
                self.prepared.insert(name, (text, types));
            }
            b'B' => {
                let (portal, name) = (body.text(), body.text());
                let Some((text, types)) = self.prepared.get(&name) else { return };
                let mut text = text.clone();
                for _ in 0..body.short() {
                    body.short();
                }
                for number in 0..usize::from(body.short()) {
                    let length = body.long() as usize;
                    let value = literal(types.get(number).copied().unwrap_or(0), body.bytes(length));
                    text = text.replace(&format!("${}", number + 1), &value);
                }
                self.bound.insert(portal, text);
            }
            b'E' => note(self.bound.get(&body.text()).cloned().unwrap_or_default()),
            _ => {}
        }
    }
}

/// A binary array of oids, integers or texts as SQL writes it.
fn literal(of: u32, raw: &[u8]) -> String {
    let mut body = Body(raw);
    let (dimensions, _, _) = (body.long(), body.long(), body.long());
    let mut items = Vec::new();
    if dimensions == 1 {
        let (count, _) = (body.long(), body.long());
        for _ in 0..count {
            let length = body.long() as usize;
            let item = body.bytes(length);
            items.push(match (of, item.first_chunk::<4>()) {
                (1028 | 1007, Some(number)) => u32::from_be_bytes(*number).to_string(),
                _ => format!("\"{}\"", String::from_utf8_lossy(item)),
            });
        }
    }
    let name = match of {
        1028 => "oid",
        1007 => "int4",
        1003 => "name",
        _ => "text",
    };
    format!("'{{{}}}'::pg_catalog.{name}[]", items.join(","))
}

struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }
    fn text(&mut self) -> String {
        let end = self.0.iter().position(|b| *b == 0).unwrap_or(self.0.len());
        let text = String::from_utf8_lossy(self.bytes(end)).into_owned();
        self.bytes(1);
        text
    }
    fn short(&mut self) -> u16 {
        self.bytes(2).first_chunk::<2>().map_or(0, |b| u16::from_be_bytes(*b))
    }
    fn long(&mut self) -> u32 {
        self.bytes(4).first_chunk::<4>().map_or(0, |b| u32::from_be_bytes(*b))
    }
}
