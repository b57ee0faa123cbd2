//! Requests over a plain socket: what is sent is exactly what the test says.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Sends one request and reads the whole answer.
pub(crate) fn send(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    exchange(to, method, path, headers, body, PATIENCE).unwrap()
}

/// Sends one request and reads the whole answer; an error when nobody is there, or whoever was goes away.
pub(crate) fn exchange(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    patience: Duration,
) -> io::Result<Answer> {
    let mut all = vec![("content-length", body.len().to_string())];
    all.extend(headers.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let fields: Vec<_> = all.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let fields = fields.concat();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n{fields}\r\n");
    pass(to, &[head.as_bytes(), body], patience)
}

/// Sends bytes, and reads what is answered until the end. A server may answer, and close, before it has read all.
pub(crate) fn raw(to: SocketAddr, pieces: &[&[u8]]) -> Answer {
    pass(to, pieces, PATIENCE).unwrap()
}

fn pass(to: SocketAddr, pieces: &[&[u8]], patience: Duration) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(patience))?;
    for piece in pieces {
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> io::Result<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let none = || io::Error::other(format!("no answer: {text:?}"));
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(none)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(none)?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}
