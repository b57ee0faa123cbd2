//! Requests over TLS, to a server whose certificate signs itself: refused, unless the script says otherwise.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is wrong")]

#[path = "common/written.rs"]
mod written;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use longshore_load::{Settings, Verdict, run};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use written::Written;

/// Serves what `GET /N` asks for, N bytes, and says how many bytes were posted.
fn serve(folder: &Path) -> SocketAddr {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-keyout", "key.pem", "-out", "own.pem", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .current_dir(folder)
        .output()
        .expect("openssl is not on the path");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let certificate = CertificateDer::from_pem_file(folder.join("own.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            std::thread::spawn(move || {
                let tls = ServerConnection::new(config).unwrap();
                let mut stream = BufReader::new(StreamOwned::new(tls, stream));
                while answer(&mut stream).is_some() {}
            });
        }
    });
    address
}

fn answer<S: Read + Write>(stream: &mut BufReader<S>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_until(b'\n', &mut head).ok().filter(|count| *count > 0)?;
    }
    let head = String::from_utf8(head).ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap_or(0))];
    stream.read_exact(&mut body).ok()?;
    let asked = head.split('/').nth(1)?.split_whitespace().next().and_then(|count| count.parse().ok());
    let said = asked.map_or_else(|| body.len().to_string(), |count| "x".repeat(count));
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", said.len());
    stream.get_mut().write_all(&[head.as_bytes(), said.as_bytes()].concat()).ok()
}

fn runs(script: &str, address: SocketAddr, folder: &Path) -> (Verdict, String) {
    let path = folder.join("script.js");
    std::fs::write(&path, script).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a run begins now")]
    let mut settings = Settings::new(path, std::time::SystemTime::now());
    let said = Written::default();
    settings.stdout = Box::new(said.clone());
    settings.stderr = Box::new(said.clone());
    settings.env = vec![("PORT".to_owned(), address.port().to_string())];
    let verdict = run(settings);
    let text = said.text();
    (verdict, text)
}

const SCRIPT: &str = "import http from 'k6/http';\n\
    export default function () {\n\
      const got = http.get(`https://localhost:${__ENV.PORT}/500000`);\n\
      console.log(got.status, got.error_code, (got.body || '').length, got.tls_version, got.timings.tls_handshaking > 0);\n\
      const sent = http.post(`https://127.0.0.1:${__ENV.PORT}/`, 'y'.repeat(400000));\n\
      console.log(sent.status, sent.body, sent.tls_cipher_suite.startsWith('TLS_'));\n\
      console.log(http.get(`https://localhost:${__ENV.PORT}/1`).timings.tls_handshaking);\n\
    }\n";

#[test]
fn a_certificate_that_signs_itself_is_refused_unless_the_script_says_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let address = serve(folder.path());
    let (verdict, said) = runs(SCRIPT, address, folder.path());
    assert_eq!(verdict, Verdict::Passed, "{said}");
    assert!(said.contains("0 1310 0") && said.contains("unknown authority"), "{said}");
    let options = "export const options = { insecureSkipTLSVerify: true };\n";
    let (verdict, said) = runs(&format!("{SCRIPT}{options}"), address, folder.path());
    assert_eq!(verdict, Verdict::Passed, "{said}");
    assert!(said.contains("200 0 500000 tls1.3 true"), "{said}");
    assert!(said.contains("200 400000 true"), "{said}");
    // The connection was kept.
    assert!(said.contains("msg=0 source=console"), "{said}");
}
