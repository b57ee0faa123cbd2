//! A connection: bytes over TCP, or over TLS over TCP, by a reactor.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use mio::net::TcpStream;
use rustls::ClientConnection;

use super::error::HttpError;
use crate::fiber::{Reactor, SourceId, Wake};

/// An open connection. Closed when dropped.
pub(crate) struct Stream {
    reactor: Rc<Reactor>,
    tcp: TcpStream,
    id: SourceId,
    tls: Option<Box<ClientConnection>>,
    pub(crate) remote: SocketAddr,
    /// Bytes on the wire, both ways, since they were last taken.
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

impl Stream {
    /// Connects.
    ///
    /// # Errors
    /// Why not, in k6's terms.
    pub(crate) fn connect(
        reactor: &Rc<Reactor>,
        remote: SocketAddr,
        deadline: Option<Instant>,
    ) -> Result<Self, HttpError> {
        let mut tcp = TcpStream::connect(remote).map_err(|error| HttpError::connecting(&error))?;
        let id = reactor.watch(&mut tcp).map_err(|error| HttpError::Connect(error.to_string()))?;
        let stream = Self { reactor: Rc::clone(reactor), tcp, id, tls: None, remote, sent: 0, received: 0 };
        loop {
            match reactor.writable(id, deadline) {
                Wake::Due => return Err(HttpError::ConnectTimeout),
                Wake::Stop => return Err(HttpError::Interrupted),
                Wake::Ready | Wake::Told => {}
            }
            if let Some(error) = stream.tcp.take_error().map_err(|error| HttpError::connecting(&error))? {
                return Err(HttpError::connecting(&error));
            }
            match stream.tcp.peer_addr() {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::NotConnected => reactor.filled(id),
                Err(error) => return Err(HttpError::connecting(&error)),
            }
        }
        // Small requests shall leave at once. Without it they are slower, not wrong.
        let _ = stream.tcp.set_nodelay(true);
        Ok(stream)
    }

    /// Speaks TLS from here on.
    pub(crate) fn secure(
        &mut self,
        tls: ClientConnection,
        deadline: Option<Instant>,
    ) -> Result<(), HttpError> {
        self.tls = Some(Box::new(tls));
        loop {
            self.flush_tls(deadline)?;
            let Some(tls) = &mut self.tls else { return Ok(()) };
            if !tls.is_handshaking() {
                return Ok(());
            }
            match self.read_tls() {
                Ok(0) => return Err(HttpError::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.await_data(deadline)?,
                Err(error) => {
                    // The peer shall hear why; that it may not is no second error.
                    let _ = self.flush_tls(deadline);
                    return Err(HttpError::of(&error));
                }
            }
        }
    }

    /// What was agreed on: the protocol's version and the cipher, by k6's names.
    pub(crate) fn agreed(&self) -> Option<(&'static str, String)> {
        let tls = self.tls.as_ref()?;
        let version = match tls.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "tls1.2",
            _ => "tls1.3",
        };
        let cipher = tls.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
        Some((version, cipher.unwrap_or_default().replace("TLS13_", "TLS_")))
    }

    /// Whether nothing has arrived that nobody asked for, the end of the connection among it.
    pub(crate) fn is_quiet(&mut self) -> bool {
        if !self.reactor.is_readable(self.id) {
            return true;
        }
        let mut buffer = [0; 1];
        match self.tls {
            Some(_) => {
                matches!(self.read_once(&mut buffer), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
            }
            None => match self.tcp.peek(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.reactor.drained(self.id);
                    true
                }
                _ => false,
            },
        }
    }

    /// Writes all of it.
    pub(crate) fn write_all(&mut self, mut bytes: &[u8], deadline: Option<Instant>) -> Result<(), HttpError> {
        if self.tls.is_some() {
            while !bytes.is_empty() {
                let Some(tls) = &mut self.tls else { break };
                let count = tls.writer().write(bytes).map_err(|error| HttpError::of(&error))?;
                bytes = &bytes[count..];
                self.flush_tls(deadline)?;
            }
            return Ok(());
        }
        while !bytes.is_empty() {
            match self.tcp.write(bytes) {
                Ok(count) => {
                    self.sent += count as u64;
                    bytes = &bytes[count..];
                }
                Err(error) => self.await_room(&error, deadline)?,
            }
        }
        Ok(())
    }

    fn flush_tls(&mut self, deadline: Option<Instant>) -> Result<(), HttpError> {
        loop {
            let Some(tls) = self.tls.as_mut().filter(|tls| tls.wants_write()) else { return Ok(()) };
            match tls.write_tls(&mut self.tcp) {
                Ok(count) => self.sent += count as u64,
                Err(error) => self.await_room(&error, deadline)?,
            }
        }
    }

    fn await_room(&mut self, error: &io::Error, deadline: Option<Instant>) -> Result<(), HttpError> {
        match error.kind() {
            io::ErrorKind::Interrupted => return Ok(()),
            io::ErrorKind::WouldBlock => self.reactor.filled(self.id),
            _ => return Err(HttpError::of(error)),
        }
        waited(self.reactor.writable(self.id, deadline))
    }

    fn await_data(&mut self, deadline: Option<Instant>) -> Result<(), HttpError> {
        waited(self.reactor.readable(self.id, deadline))
    }

    /// Waits for the first byte, without reading it.
    pub(crate) fn await_answer(&mut self, deadline: Option<Instant>) -> Result<(), HttpError> {
        self.await_data(deadline)
    }

    /// Reads something; 0 is the end of the connection.
    pub(crate) fn read(&mut self, buffer: &mut [u8], deadline: Option<Instant>) -> Result<usize, HttpError> {
        loop {
            match self.read_once(buffer) {
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.await_data(deadline)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Many end a connection without TLS's own goodbye: the message's framing says whether something is missing.
                Err(error) if self.tls.is_some() && error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(0);
                }
                Err(error) => return Err(HttpError::of(&error)),
            }
        }
    }

    fn read_once(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.tls.is_none() {
            let result = self.tcp.read(buffer);
            match &result {
                Ok(count) => {
                    self.received += *count as u64;
                    // A short read has emptied the socket (epoll(7)); what comes later is told anew.
                    if *count < buffer.len() && *count > 0 {
                        self.reactor.drained(self.id);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.reactor.drained(self.id),
                Err(_) => {}
            }
            return result;
        }
        loop {
            let Some(tls) = &mut self.tls else { return Ok(0) };
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
            if self.read_tls()? == 0 {
                return Ok(0);
            }
        }
    }

    fn read_tls(&mut self) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return Ok(0) };
        let count = match tls.read_tls(&mut self.tcp) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.reactor.drained(self.id);
                return Err(error);
            }
            other => other?,
        };
        self.received += count as u64;
        tls.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(count)
    }
}

fn waited(wake: Wake) -> Result<(), HttpError> {
    match wake {
        Wake::Due => Err(HttpError::Timeout),
        Wake::Stop => Err(HttpError::Interrupted),
        Wake::Ready | Wake::Told => Ok(()),
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reactor.forget(self.id, &mut self.tcp);
    }
}
