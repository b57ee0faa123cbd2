//! The demo's service: answers its commit. Plain std, one file, one thread a connection.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

const COMMIT: &str = env!("LONGSHORE_COMMIT");
const BROKEN: bool = include!("broken.rs");

fn main() {
    let var = |name: &str| std::env::var(name).unwrap_or_default();
    // The witness: one line for each start, in a file that Longshore never opens.
    if let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(var("WITNESS")) {
        let line = format!(
            "service {COMMIT} {} release={} restart={}\n",
            std::process::id(),
            var("LONGSHORE_RELEASE"),
            var("LONGSHORE_RESTART")
        );
        let _ = file.write_all(line.as_bytes());
    }
    let listener = TcpListener::bind(format!("127.0.0.1:{}", var("PORT"))).expect("PORT is free");
    println!("{COMMIT} listens on {}", var("PORT"));
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || serve(stream));
    }
}

fn serve(mut stream: TcpStream) {
    let Ok(clone) = stream.try_clone() else { return };
    let mut lines = BufReader::new(clone).lines();
    while let Some(Ok(request)) = lines.next() {
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let ready = request.starts_with("GET /ready");
        let (status, body) = if ready && BROKEN { ("503 Service Unavailable", "never ready") } else { ("200 OK", COMMIT) };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
