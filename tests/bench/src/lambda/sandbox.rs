//! A Lambda sandbox: a program under an emulated Runtime API, and what it takes.
//!
//! Source: "Using the Lambda runtime API for custom runtimes", AWS documentation.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::clock;
use crate::process::{cpu_exact, rss};

/// What takes longer never happens.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long the platform lets an invocation live, in milliseconds.
const LIFE: i64 = 60_000;

/// What is started.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// No other variables are set but those of the platform.
    pub(crate) variables: Vec<(&'static str, String)>,
}

/// A running program. It is killed when this is dropped, as the platform does.
pub(crate) struct Sandbox {
    child: Child,
    work: Sender<String>,
    said: Receiver<Said>,
    /// From the start of the process to its first request for work.
    pub(crate) init: Duration,
    /// Processor time until then.
    pub(crate) init_cpu: Duration,
}

/// What an invocation came to.
pub(crate) struct Outcome {
    /// The response, or the error.
    pub(crate) said: Result<Value, Value>,
    /// Processor time until the next request for work; what was waited for is not in it.
    pub(crate) cpu: Duration,
}

enum Said {
    Next(Instant),
    Response(Value),
    Error(Value),
}

impl Sandbox {
    /// Starts the program, and waits until it asks for work.
    pub(crate) fn start(program: &Program) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let (work, next) = channel();
        let (say, said) = channel();
        std::thread::spawn(move || serve(&listener, next, &say));
        let mut command = Command::new(&program.path);
        command.args(&program.arguments).env_clear().envs(program.variables.iter().cloned());
        command.env("AWS_LAMBDA_RUNTIME_API", address).env("AWS_LAMBDA_FUNCTION_NAME", "measured");
        command.env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256").env("AWS_LAMBDA_FUNCTION_VERSION", "1");
        command.env("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/24/[1]0");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {}", program.path.display()))?;
        let mut sandbox = Self { child, work, said, init: Duration::ZERO, init_cpu: Duration::ZERO };
        sandbox.init = sandbox.until_next()?.saturating_duration_since(begun);
        sandbox.init_cpu = cpu_exact(sandbox.child.id())?;
        Ok(sandbox)
    }

    /// Invokes it once.
    pub(crate) fn invoke(&mut self, payload: &Value) -> Result<Outcome> {
        let before = cpu_exact(self.child.id())?;
        self.work.send(payload.to_string()).context("the Runtime API has ended")?;
        let said = match self.hear()? {
            Said::Response(response) => Ok(response),
            Said::Error(error) => Err(error),
            Said::Next(_) => bail!("it asked for more before it answered"),
        };
        self.until_next()?;
        let cpu = cpu_exact(self.child.id())?.saturating_sub(before);
        Ok(Outcome { said, cpu })
    }

    /// Memory that it holds, in bytes.
    pub(crate) fn rss(&self) -> Result<u64> {
        rss(self.child.id())
    }

    fn until_next(&mut self) -> Result<Instant> {
        match self.hear()? {
            Said::Next(at) => Ok(at),
            Said::Response(said) | Said::Error(said) => bail!("it answered what nobody asked: {said}"),
        }
    }

    fn hear(&mut self) -> Result<Said> {
        let said = self.said.recv_timeout(PATIENCE);
        said.with_context(|| format!("it says nothing; ended: {:?}", self.child.try_wait()))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(listener: &TcpListener, work: Receiver<String>, say: &Sender<Said>) {
    let work = Arc::new(Mutex::new(work));
    for stream in listener.incoming().flatten() {
        let (work, say) = (Arc::clone(&work), say.clone());
        std::thread::spawn(move || connection(&stream, &work, &say));
    }
}

/// Answers requests until the program, or the measurement, is gone.
fn connection(stream: &TcpStream, work: &Mutex<Receiver<String>>, say: &Sender<Said>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream);
    for number in 1_u64.. {
        let (line, body) = request(&mut reader)?;
        let mut answer = String::from("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n");
        if line.starts_with("GET ") {
            say.send(Said::Next(Instant::now())).ok()?;
            let payload = work.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()?;
            answer = invocation(number, &payload);
        } else {
            let said = serde_json::from_slice(&body).unwrap_or_default();
            let is_error = line.contains("/error ");
            say.send(if is_error { Said::Error(said) } else { Said::Response(said) }).ok()?;
        }
        (&mut &*stream).write_all(answer.as_bytes()).ok()?;
    }
    None
}

fn invocation(number: u64, payload: &str) -> String {
    let deadline = clock::now().as_millisecond() + LIFE;
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         lambda-runtime-aws-request-id: request-{number}\r\nlambda-runtime-deadline-ms: {deadline}\r\n\
         lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-west-1:123456789012:function:measured\r\n\r\n{payload}",
        payload.len()
    )
}

/// The first line of a request and its body; `None` when the connection has ended.
fn request(reader: &mut BufReader<&TcpStream>) -> Option<(String, Vec<u8>)> {
    let (mut first, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match (line.trim_end(), line.split_once(": ")) {
            ("", _) => break,
            (_, Some((name, value))) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim_end().parse().ok()?;
            }
            (line, _) if first.is_empty() => line.clone_into(&mut first),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first, body))
}
