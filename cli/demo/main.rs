//! The demo's service: answers each request with the commit that it was built from. Plain std, a thread a connection.
//! A broken push starts well, says that it is ready, and errs under traffic. It does not know its commit, so that it is the
//! same program whenever it is pushed again.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::{process, thread};

/// The demo's broken push says true.
const BROKEN: bool = include!("broken.rs");
const COMMIT: &str = if BROKEN { "broken" } else { env!("LONGSHORE_COMMIT") };

fn main() -> io::Result<()> {
    testify()?;
    let port = env::var("PORT").unwrap_or_default();
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    println!("{COMMIT} listens on {port}");
    for stream in listener.incoming().flatten() {
        thread::spawn(move || serve(stream));
    }
    Ok(())
}

/// One line for each start, in a file that Longshore never opens: which commit, which release, which program.
fn testify() -> io::Result<()> {
    let var = |name| env::var(name).unwrap_or_default();
    let line = format!(
        "service {COMMIT} {} release={} restart={} program={:016x}\n",
        process::id(),
        var("LONGSHORE_RELEASE"),
        var("LONGSHORE_RESTART"),
        fnv1a(&fs::read(env::current_exe()?)?)
    );
    // One write to a file opened for appending: lines of several processes do not mix.
    OpenOptions::new().create(true).append(true).open(var("WITNESS"))?.write_all(line.as_bytes())
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Answers requests without a body until the client goes away.
fn serve(mut stream: TcpStream) {
    let Ok(clone) = stream.try_clone() else { return };
    let mut lines = BufReader::new(clone).lines();
    while let Some(Ok(request)) = lines.next() {
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let (status, body) = match request.starts_with("GET /ready ") {
            false if BROKEN => ("500 Internal Server Error", "it errs"),
            _ => ("200 OK", COMMIT),
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
