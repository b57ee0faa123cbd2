//! The service that the tests run, compiled by them: plain std, a thread for each connection. `VERSION` comes with
//! the image; `WITNESS` is a file to which each start appends a line.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;
use std::{env, process, thread};

fn var(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn main() -> io::Result<()> {
    let witness = PathBuf::from(var("WITNESS"));
    let line = format!("{} {} {}\n", var("VERSION"), var("LONGSHORE_RELEASE"), var("LONGSHORE_RESTART"));
    OpenOptions::new().create(true).append(true).open(&witness)?.write_all(line.as_bytes())?;
    // A test that fails leaves no process behind: its folder goes, and so do we.
    thread::spawn(move || {
        while witness.exists() {
            thread::sleep(Duration::from_millis(100));
        }
        process::exit(0);
    });
    println!("{} starts", var("VERSION"));
    if var("VERSION") == "exits" {
        process::exit(7);
    }
    let listener = TcpListener::bind(format!("127.0.0.1:{}", var("PORT")))?;
    for stream in listener.incoming().flatten() {
        thread::spawn(move || serve(stream));
    }
    Ok(())
}

/// Answers requests until the client goes away.
fn serve(mut out: TcpStream) -> io::Result<()> {
    let mut input = BufReader::new(out.try_clone()?);
    loop {
        let (mut request, mut length) = (String::new(), 0);
        if input.read_line(&mut request)? == 0 {
            return Ok(());
        }
        loop {
            let mut header = String::new();
            input.read_line(&mut header)?;
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let path = request.split(' ').nth(1).unwrap_or_default();
        answer(path, length, &mut input, &mut out)?;
    }
}

fn answer(path: &str, length: u64, input: &mut BufReader<TcpStream>, out: &mut TcpStream) -> io::Result<()> {
    match path {
        "/ready" if var("VERSION") == "unready" || sick() => say(out, "503 Service Unavailable", "not ready"),
        "/pid" => say(out, "200 OK", &process::id().to_string()),
        "/crash" => process::exit(3),
        "/fail" if var("VERSION") == "fails" => say(out, "500 Internal Server Error", "as it was told"),
        "/slow" => slow(out),
        "/echo" => echo(input, length, out),
        "/upgrade" => upgrade(input, out),
        _ => say(out, "200 OK", &var("VERSION")),
    }
}

/// A test makes us sick by a file beside the witness.
fn sick() -> bool {
    PathBuf::from(var("WITNESS")).with_extension("sick").exists()
}

fn say(out: &mut TcpStream, status: &str, body: &str) -> io::Result<()> {
    // One write: several small ones would each wait for the other side.
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    out.write_all(answer.as_bytes())
}

/// Begins at once, and ends only when the test says so by a file beside the witness.
fn slow(out: &mut TcpStream) -> io::Result<()> {
    write!(out, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nbegin\r\n")?;
    while !PathBuf::from(var("WITNESS")).with_extension("end").exists() {
        thread::sleep(Duration::from_millis(10));
    }
    write!(out, "3\r\nend\r\n0\r\n\r\n")
}

/// Answers each piece of the body before it reads the next.
fn echo(input: &mut BufReader<TcpStream>, length: u64, out: &mut TcpStream) -> io::Result<()> {
    write!(out, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n")?;
    io::copy(&mut input.take(length), out).map(drop)
}

/// Echoes whatever comes, no longer in HTTP.
fn upgrade(input: &mut BufReader<TcpStream>, out: &mut TcpStream) -> io::Result<()> {
    write!(out, "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")?;
    io::copy(input, out).map(drop)
}
