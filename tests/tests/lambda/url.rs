//! A function URL: HTTP comes in, the function is invoked with payload format 2.0, and its answer goes out.
//!
//! Source: "Invoking Lambda function URLs", AWS documentation.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// Serves a function over HTTP; answers the address. `invoke` gives a payload to the function; `None` is that it died. It
/// ends with the test's process.
pub(crate) fn url_of(invoke: impl Fn(&Value) -> Option<Value> + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, invoke) = (stream.unwrap(), invoke.clone());
            std::thread::spawn(move || {
                // Whoever asks may keep the connection: it is closed after each answer.
                if let Some(payload) = request(&stream) {
                    let died =
                        || json!({ "statusCode": 502, "headers": {}, "body": "", "isBase64Encoded": false });
                    respond(&stream, &invoke(&payload).unwrap_or_else(died));
                }
            });
        }
    });
    url
}

fn request(stream: &TcpStream) -> Option<Value> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut words = first.split_whitespace();
    let (method, target) = (words.next()?, words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = Map::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), json!(value));
    }
    let length = headers.get("content-length").and_then(Value::as_str).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query, "headers": headers,
        "requestContext": { "http": { "method": method, "path": path, "protocol": "HTTP/1.1" } },
        "body": STANDARD.encode(body), "isBase64Encoded": true,
    }))
}

fn respond(mut stream: &TcpStream, answer: &Value) {
    let text = answer["body"].as_str().unwrap();
    let encoded = answer["isBase64Encoded"].as_bool().unwrap();
    let body = if encoded { STANDARD.decode(text).unwrap() } else { text.as_bytes().to_vec() };
    let mut head = format!(
        "HTTP/1.1 {} -\r\nconnection: close\r\ncontent-length: {}\r\n",
        answer["statusCode"],
        body.len()
    );
    for (name, value) in answer["headers"].as_object().unwrap() {
        head += &format!("{name}: {}\r\n", value.as_str().unwrap());
    }
    // Whoever asked may be gone.
    let _ = stream.write_all(format!("{head}\r\n").as_bytes()).and_then(|()| stream.write_all(&body));
}
