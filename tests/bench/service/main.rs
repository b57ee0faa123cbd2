//! The service of the measurements: answers each request with the commit that its `prepare` appended to its program.
//! Plain std, a thread a connection.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::{env, fs, thread};

const COMMIT_DIGITS: usize = 40;

fn main() -> io::Result<()> {
    let port = env::var("PORT").unwrap_or_default();
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    let program = fs::read(env::current_exe()?)?;
    let commit = String::from_utf8_lossy(&program[program.len() - COMMIT_DIGITS..]);
    let answer: &'static str = format!("HTTP/1.1 200 OK\r\ncontent-length: {COMMIT_DIGITS}\r\n\r\n{commit}").leak();
    drop(program);
    for stream in listener.incoming().flatten() {
        thread::spawn(move || serve(stream, answer));
    }
    Ok(())
}

/// Answers requests without a body until the client goes away.
fn serve(mut stream: TcpStream, answer: &str) {
    let _ = stream.set_nodelay(true);
    let Ok(clone) = stream.try_clone() else { return };
    let mut lines = BufReader::new(clone).lines();
    while let Some(Ok(_request)) = lines.next() {
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
