//! A server that answers as it is told by the path, and misbehaves where it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// One request, read whole.
struct Request {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Starts the server, which serves as long as the process lives.
pub(crate) fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    while let Some(request) = read(&mut reader) {
        if !answer(&mut stream, &request) {
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut parts = line.split_whitespace().map(str::to_owned);
    let (method, target) = (parts.next()?, parts.next()?);
    let mut fields = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = fields.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap_or(0))];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, target, fields, body })
}

impl Request {
    fn field(&self, wanted: &str) -> &str {
        self.fields.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value)
    }
}

/// Whether the connection stays open.
fn answer(stream: &mut TcpStream, request: &Request) -> bool {
    let path = request.target.split('?').next().unwrap_or("/");
    let mut parts = path.trim_start_matches('/').split('/');
    let (what, detail) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let number: u64 = detail.parse().unwrap_or(0);
    match what {
        "status" => plain(stream, request, number, "", "status"),
        "delay" => {
            std::thread::sleep(Duration::from_millis(number));
            plain(stream, request, 200, "", "late")
        }
        "redirect" if number == 0 => plain(stream, request, 200, "", "arrived"),
        "redirect" => plain(stream, request, 302, &format!("Location: /redirect/{}\r\n", number - 1), ""),
        "keep-method" => plain(stream, request, 307, "Location: /echo\r\n", ""),
        "see-other" => plain(stream, request, 303, "Location: ../echo?from=303\r\n", ""),
        "set-cookie" => {
            let fields = format!("Set-Cookie: {detail}=1; Path=/\r\nSet-Cookie: http=2; HttpOnly; Path=/\r\n");
            plain(stream, request, 200, &fields, "set")
        }
        "cookies" => plain(stream, request, 200, "", request.field("cookie")),
        "echo" => {
            let seen: Vec<String> = ["content-type", "content-length", "authorization", "x-test", "cookie"]
                .iter()
                .map(|name| format!("\"{name}\":{:?}", request.field(name)))
                .collect();
            let body = String::from_utf8_lossy(&request.body);
            let text = format!(
                "{{\"method\":{:?},\"target\":{:?},{},\"body\":{body:?}}}",
                request.method,
                request.target,
                seen.join(",")
            );
            plain(stream, request, 200, "Content-Type: application/json\r\n", &text)
        }
        "json" => {
            let text = r#"{"list":[{"id":1,"name":"a"},{"id":2,"name":"b"}],"deep":{"x":null,"y":1.5}}"#;
            plain(stream, request, 200, "Content-Type: application/json\r\nX-Two: 1\r\nX-Two: 2\r\n", text)
        }
        "chunked" => raw(stream, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"),
        "gzip" => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            gzip.write_all(b"compressed").expect("memory");
            let body = gzip.finish().expect("memory");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len());
            raw(stream, &[head.as_bytes(), &body].concat())
        }
        "close" => {
            raw(stream, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end");
            false
        }
        "truncated" => {
            raw(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
            false
        }
        "bad-chunk" => {
            raw(stream, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n");
            false
        }
        "rubbish" => {
            raw(stream, b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n");
            false
        }
        "nothing" => false,
        "informed" => {
            raw(stream, b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
            plain(stream, request, 200, "", "after")
        }
        "large" => plain(stream, request, 200, "", &"x".repeat(usize::try_from(number).unwrap_or(0))),
        _ => plain(stream, request, 200, "", "ok"),
    }
}

fn plain(stream: &mut TcpStream, request: &Request, status: u64, fields: &str, body: &str) -> bool {
    let reason = match status {
        200 => "OK",
        404 => "Not Found",
        _ => "Whatever",
    };
    let mut text = format!("HTTP/1.1 {status} {reason}\r\nContent-Length: {}\r\n{fields}\r\n", body.len());
    if request.method != "HEAD" && status != 204 && status != 304 {
        text.push_str(body);
    }
    raw(stream, text.as_bytes())
}

fn raw(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    stream.write_all(bytes).is_ok()
}
