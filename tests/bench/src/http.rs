//! A small HTTP/1.1 client on one kept connection: the same for us and for the peers, and cheap enough to saturate them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(2);
const BUFFER: usize = 256 << 10;

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
    address: SocketAddr,
    buffer: Vec<u8>,
    filled: usize,
}

/// What was answered; the body went elsewhere when it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// An error unless the status is 2xx.
    pub(crate) fn ok(self) -> io::Result<Self> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let body = String::from_utf8_lossy(&self.body);
        Err(io::Error::other(format!("status {}: {}", self.status, body.trim())))
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, address, buffer: vec![0; 16 << 10], filled: 0 })
    }

    /// A request, with its headers each ended by CRLF. The body is sent with its length.
    pub(crate) fn send(&mut self, line: &str, headers: &str, body: &[u8]) -> io::Result<Answer> {
        let mut request = format!(
            "{line} HTTP/1.1\r\nhost: {}\r\n{headers}content-length: {}\r\n\r\n",
            self.address,
            body.len()
        )
        .into_bytes();
        if body.len() < BUFFER {
            request.extend_from_slice(body);
            return self.exchange(&request);
        }
        self.stream.write_all(&request)?;
        self.stream.write_all(body)?;
        self.answer()
    }

    /// A whole request as bytes.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request)?;
        self.answer()
    }

    /// A GET whose body is counted and dropped.
    pub(crate) fn count(&mut self, path: &str, headers: &str) -> io::Result<(u16, u64)> {
        let address = self.address;
        self.stream
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{headers}\r\n").as_bytes())?;
        self.buffer.resize(BUFFER.max(self.buffer.len()), 0);
        let mut length = 0;
        let (status, _) = self.read(|part| length += part.len() as u64)?;
        Ok((status, length))
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let mut body = Vec::new();
        let (status, head) = self.read(|part| body.extend_from_slice(part))?;
        Ok(Answer { status, head, body })
    }

    fn read(&mut self, mut sink: impl FnMut(&[u8])) -> io::Result<(u16, String)> {
        let mut head = self.head()?;
        // 100 Continue
        while head.1 < 200 {
            head = self.head()?;
        }
        let (head, status) = head;
        if header(&head, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            self.chunks(&mut sink)?;
        } else if let Some(length) = header(&head, "content-length").and_then(|value| value.parse().ok()) {
            self.body(length, &mut sink)?;
        } else if status != 204 && status != 304 {
            return Err(io::Error::other("an answer without a length"));
        }
        Ok((status, head))
    }

    fn head(&mut self) -> io::Result<(String, u16)> {
        let end = loop {
            match find(&self.buffer[..self.filled], b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => self.fill()?,
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        self.consume(end);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("an answer without a status"))?;
        Ok((head, status))
    }

    fn body(&mut self, mut left: usize, sink: &mut impl FnMut(&[u8])) -> io::Result<()> {
        while left > 0 {
            if self.filled == 0 {
                self.fill()?;
            }
            let part = self.filled.min(left);
            sink(&self.buffer[..part]);
            self.consume(part);
            left -= part;
        }
        Ok(())
    }

    fn chunks(&mut self, sink: &mut impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            let line = loop {
                match find(&self.buffer[..self.filled], b"\r\n") {
                    Some(end) => break end,
                    None => self.fill()?,
                }
            };
            let size = String::from_utf8_lossy(&self.buffer[..line]).into_owned();
            self.consume(line + 2);
            let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16);
            let size = size.map_err(io::Error::other)?;
            self.body(size, sink)?;
            self.body(2, &mut |_| {})?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                self.filled += read;
                Ok(())
            }
            // A socket with a time limit is interrupted when the process was held and goes on.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn consume(&mut self, count: usize) {
        self.buffer.copy_within(count..self.filled, 0);
        self.filled -= count;
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
