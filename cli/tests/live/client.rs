//! Clients of the services: who answered when.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use longshore_cli::demo::count::Answer;

/// Asks one service now and again until it is dropped.
pub(crate) struct Client {
    answers: Arc<Mutex<Vec<Answer>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    pub(crate) fn start(proxy: SocketAddr, host: String, begun: Instant, every: Duration) -> Self {
        let (answers, ended) = <(Arc<Mutex<Vec<Answer>>>, Arc<AtomicBool>)>::default();
        let thread = thread::spawn({
            let (answers, ended) = (answers.clone(), ended.clone());
            move || {
                while !ended.load(Ordering::Relaxed) {
                    let sent = begun.elapsed();
                    if let Ok(commit) = ask(proxy, &host) {
                        answers.lock().unwrap().push(Answer { commit, sent, answered: begun.elapsed() });
                    }
                    thread::sleep(every);
                }
            }
        });
        Self { answers, ended, thread: Some(thread) }
    }

    /// What was answered so far.
    pub(crate) fn answers(&self) -> Vec<Answer> {
        self.answers.lock().unwrap().clone()
    }

    /// Who answered last.
    pub(crate) fn last(&self) -> Option<String> {
        self.answers.lock().unwrap().last().map(|answer| answer.commit.clone())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The commit that answers; an error when none does.
pub(crate) fn ask(proxy: SocketAddr, host: &str) -> io::Result<String> {
    body(proxy, host).and_then(|body| {
        let commit = Some(&body).filter(|body| body.len() == 40).cloned();
        commit.ok_or_else(|| io::Error::other(body))
    })
}

/// What a service answers with 200.
pub(crate) fn body(proxy: SocketAddr, host: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(proxy)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.strip_prefix("HTTP/1.1 200 ").and_then(|rest| rest.split_once("\r\n\r\n"));
    body.map(|(_, body)| body.to_owned()).ok_or_else(|| io::Error::other(answer.clone()))
}
