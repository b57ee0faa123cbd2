//! Asking a process whether it is well.

use std::net::Ipv4Addr;
use std::time::Duration;

use longshore_ports::{Health, ProbeTarget};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The most that is read of an answer: its status line is all that counts, in bytes.
const HEAD: u64 = 64;

/// Whether something listens on the port.
pub(crate) async fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok()
}

/// Probes once; an error says what failed.
pub(crate) async fn probe(health: &Health, port: u16) -> Result<(), String> {
    let limit = Duration::from_millis(health.timeout_ms);
    let what = match &health.target {
        ProbeTarget::Tcp => format!("a connection to port {port}"),
        ProbeTarget::Http(path) => format!("GET {path} on port {port}"),
    };
    match timeout(limit, ask(&health.target, port)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(fault)) => Err(format!("{what}: {fault}")),
        Err(_) => Err(format!("{what}: no answer within {} ms", health.timeout_ms)),
    }
}

async fn ask(target: &ProbeTarget, port: u16) -> Result<(), String> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| error.to_string())?;
    let ProbeTarget::Http(path) = target else { return Ok(()) };
    let line = status_line(stream, path, port).await.map_err(|error| error.to_string())?;
    match status(&line) {
        Some(200..=399) => Ok(()),
        Some(status) => Err(format!("status {status}")),
        None => Err("the answer is not HTTP".to_owned()),
    }
}

async fn status_line(mut stream: TcpStream, path: &str, port: u16) -> std::io::Result<String> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nuser-agent: longshore-probe\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let (mut line, mut answer) = (Vec::new(), stream.take(HEAD));
    while !line.contains(&b'\n') && answer.read_buf(&mut line).await? > 0 {}
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn status(line: &str) -> Option<u16> {
    line.strip_prefix("HTTP/1.")?.split_whitespace().nth(1)?.parse().ok()
}

/// Counts probes that fail in a row.
#[derive(Debug, Default)]
pub(crate) struct Strikes(u32);

impl Strikes {
    /// Takes the next probe's outcome in, and says whether the target counts as failed.
    pub(crate) fn count(&mut self, failed: bool, limit: u32) -> bool {
        self.0 = if failed { self.0.saturating_add(1) } else { 0 };
        self.0 >= limit.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_in_a_row_count() {
        let mut strikes = Strikes::default();
        let verdicts = [true, false, true, true, false].map(|failed| strikes.count(failed, 2));
        assert_eq!(verdicts, [false, false, false, true, false]);
    }

    #[test]
    fn a_status_line_is_read() {
        assert_eq!(status("HTTP/1.1 204 No Content\r\n"), Some(204));
        assert_eq!(status("SSH-2.0-OpenSSH"), None);
    }
}
