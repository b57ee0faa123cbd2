//! The storm's service: answers each request with the commit that lies beside it. Compiled once; what differs from
//! commit to commit is data, so that a build is quick. One that is told so answers with 500 while it says that it is ready.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::{process, thread};

fn main() -> io::Result<()> {
    let beside = |name| fs::read_to_string(env::current_exe()?.with_file_name(name));
    let (commit, fault) = (beside("commit")?, beside("broken")?.trim().to_owned());
    let broken = fault == "true";
    let var = |name| env::var(name).unwrap_or_default();
    let line = format!(
        "service {commit} {} release={} restart={} program={commit}{broken}\n",
        process::id(),
        var("LONGSHORE_RELEASE"),
        var("LONGSHORE_RESTART"),
    );
    // One write to a file opened for appending: lines of several processes do not mix.
    OpenOptions::new().create(true).append(true).open(var("WITNESS"))?.write_all(line.as_bytes())?;
    let listener = TcpListener::bind(format!("127.0.0.1:{}", var("PORT")))?;
    for stream in listener.incoming().flatten() {
        let (commit, fault) = (commit.clone(), fault.clone());
        thread::spawn(move || serve(stream, &commit, &fault));
    }
    Ok(())
}

fn serve(mut stream: TcpStream, commit: &str, fault: &str) {
    let Ok(clone) = stream.try_clone() else { return };
    let mut lines = BufReader::new(clone).lines();
    while let Some(Ok(request)) = lines.next() {
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let (status, body) = match request.starts_with("GET /ready ") {
            true if fault == "true" => ("503 Service Unavailable", "never ready"),
            false if fault == "errs" => ("500 Internal Server Error", "it errs"),
            _ => ("200 OK", commit),
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
