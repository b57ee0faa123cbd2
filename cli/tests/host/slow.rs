//! Clients that keep connections and send next to nothing.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::common::http::send;
use crate::world::World;

/// The head of a request that never ends.
const HALF: &[u8] = b"POST /hooks/github HTTP/1.1\r\nhost: x\r\ncontent-length: 4000\r\n";

/// Room for the sockets of both ends of the test, beside those of other tests.
fn many_files() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
}

fn begin(to: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// The memory of a process, in KiB.
fn rss(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_thousand_half_open_connections_keep_nobody_out_and_end_in_time() {
    many_files();
    let world = World::new();
    let host = world.up();
    let to = host.ready.listen;
    assert_eq!(host.get("/api/status").status, 200);
    let before = rss(host.ready.pid);
    let opened = Instant::now();
    let mut half_open: Vec<TcpStream> = (0..1_000).map(|_| begin(to, HALF)).collect();
    let mut slowest = Duration::ZERO;
    for turn in 0..50 {
        // They go on as slow-loris does: a byte, now and then.
        for stream in half_open.iter_mut().skip(turn).step_by(50) {
            let _ = stream.write_all(b"x");
        }
        let begun = Instant::now();
        assert_eq!(host.get("/api/status").status, 200);
        assert_eq!(send(to, "GET", "/healthz", &[], b"").status, 200);
        slowest = slowest.max(begun.elapsed());
    }
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    // Sooner than any of them has used up its time.
    assert!(opened.elapsed() < Duration::from_secs(25), "{:?}", opened.elapsed());
    let grown = rss(host.ready.pid).saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB");
    let begun = Instant::now();
    for mut stream in half_open {
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        // Closed with or without an answer, or reset.
        let ended = stream.read_to_end(&mut Vec::new());
        let late = ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!late && begun.elapsed() < Duration::from_secs(50), "{:?}", begun.elapsed());
    }
}

#[test]
fn more_slow_bodies_than_places_hold_up_nobody_else() {
    many_files();
    let world = World::new();
    let host = world.up();
    let to = host.ready.listen;
    let head = [HALF, b"\r\n{"].concat();
    let before = rss(host.ready.pid);
    let mut slow: Vec<TcpStream> = (0..700).map(|_| begin(to, &head)).collect();
    for turn in 0..20 {
        // Those that had to give way come again, the others send a byte.
        for stream in slow.iter_mut().skip(turn).step_by(20) {
            if stream.write_all(b"x").is_err() {
                *stream = begin(to, &head);
            }
        }
        let begun = Instant::now();
        assert_eq!(host.get("/api/status").status, 200);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
    let grown = rss(host.ready.pid).saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB");
    drop(slow);
}
