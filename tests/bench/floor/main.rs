//! The floor of the measurements: the least that serves the Runtime API, in plain std. It answers what it is asked.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

fn main() -> io::Result<()> {
    let address = env::var("AWS_LAMBDA_RUNTIME_API").unwrap_or_default();
    let mut stream = TcpStream::connect(&address)?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let next = format!("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: {address}\r\n\r\n");
    loop {
        stream.write_all(next.as_bytes())?;
        let (id, payload) = answer(&mut reader)?;
        let line = format!("POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1");
        let head = format!("{line}\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n", payload.len());
        stream.write_all(head.as_bytes())?;
        stream.write_all(&payload)?;
        answer(&mut reader)?;
    }
}

/// The id of an invocation, and the body.
fn answer(reader: &mut BufReader<TcpStream>) -> io::Result<(String, Vec<u8>)> {
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ").unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "lambda-runtime-aws-request-id" => id = value.to_owned(),
            "content-length" => length = value.parse().unwrap_or_default(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((id, body))
}
