//! A Lambda sandbox: a function's binary under an emulated Runtime API.
//!
//! Source: "Using the Lambda runtime API for custom runtimes", AWS documentation.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use serde_json::Value;

/// What takes longer never happens.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// How long the platform lets an invocation live.
pub(crate) const LIFE: Duration = Duration::from_mins(1);

const BINARIES: [&str; 10] = [
    "longshore",
    "longshore-build",
    "longshore-console",
    "longshore-deploy",
    "longshore-gate",
    "longshore-intake",
    "longshore-refcheck",
    "longshore-report",
    "longshore-scan",
    "longshore-sweep",
];

/// A running function. It is killed when this is dropped, as the platform does.
pub(crate) struct Sandbox {
    child: Child,
    api: Api,
    name: String,
    invocations: u32,
}

/// The test's end of the Runtime API.
struct Api {
    invocations: Sender<Invocation>,
    said: Receiver<Said>,
}

struct Invocation {
    id: String,
    deadline_ms: u128,
    payload: String,
}

/// What a function says to the Runtime API.
#[derive(Debug)]
enum Said {
    Next,
    Response(Value),
    Error(Value),
}

impl Sandbox {
    /// Starts a function with these variables and no others, and waits until it asks for work.
    pub(crate) fn start(function: &str, variables: &[(impl AsRef<OsStr> + Clone, String)]) -> Self {
        Self::logging(function, variables, Stdio::inherit())
    }

    /// The same; its logs go there.
    pub(crate) fn logging(
        function: &str,
        variables: &[(impl AsRef<OsStr> + Clone, String)],
        logs: Stdio,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut command = command(function, variables);
        let name = format!("2026/11/24/[1]{address}");
        let child = command
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", function)
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", &name)
            .stderr(logs)
            .spawn()
            .unwrap();
        let mut sandbox = Self { child, api: Api::serve(listener), name, invocations: 0 };
        sandbox.until_next();
        sandbox
    }

    /// The answer to an invocation, or its error.
    pub(crate) fn invoke(&mut self, payload: &Value) -> Result<Value, Value> {
        self.begin(payload);
        self.wait(PATIENCE).unwrap_or_else(|| {
            panic!("the function says nothing; ended: {:?}", self.child.try_wait().unwrap())
        })
    }

    /// Gives it an invocation, and does not wait for the answer. Says how the platform names the invocation.
    pub(crate) fn begin(&mut self, payload: &Value) -> String {
        self.invocations += 1;
        let id = format!("request-{}-{}", self.child.id(), self.invocations);
        let deadline = SystemTime::now() + LIFE;
        let deadline_ms = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        let invocation = Invocation { id: id.clone(), deadline_ms, payload: payload.to_string() };
        self.api.invocations.send(invocation).unwrap();
        format!("{}/{id}", self.name)
    }

    /// The answer to what was begun, or its error; `None` when there is none within this time.
    pub(crate) fn wait(&mut self, within: Duration) -> Option<Result<Value, Value>> {
        let said = match self.api.said.recv_timeout(within).ok()? {
            Said::Response(response) => Ok(response),
            Said::Error(error) => Err(error),
            Said::Next => panic!("it asked for more before it answered"),
        };
        self.until_next();
        Some(said)
    }

    /// Kills it where it is.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn until_next(&mut self) {
        let said = self.hear();
        assert!(matches!(said, Said::Next), "{said:?}");
    }

    fn hear(&mut self) -> Said {
        self.api.said.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            panic!("the function says nothing; ended: {:?}", self.child.try_wait().unwrap())
        })
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A function's binary outside of any sandbox: what it writes to stderr before it gives up.
pub(crate) fn gives_up(function: &str, variables: &[(&str, String)]) -> String {
    let output = command(function, variables).stderr(Stdio::piped()).output().unwrap();
    assert!(!output.status.success(), "it served");
    String::from_utf8(output.stderr).unwrap()
}

fn command(function: &str, variables: &[(impl AsRef<OsStr> + Clone, String)]) -> Command {
    program(&format!("longshore-{function}"), variables)
}

/// A built program with these variables and no others.
pub(crate) fn program(name: &str, variables: &[(impl AsRef<OsStr> + Clone, String)]) -> Command {
    let mut command = Command::new(folder().join(name));
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).envs(variables.iter().cloned()).stdin(Stdio::null());
    command
}

/// Where the binaries lie: beside the tests. `cargo xtask test` has built them; a test run by itself builds them.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let folder = test.parent().unwrap().parent().unwrap().to_owned();
        if !BINARIES.iter().all(|binary| folder.join(binary).exists()) {
            let build = ["build", "--workspace", "--bins", "--tests", "--all-features"];
            let built = Command::new(env!("CARGO")).args(build).status().unwrap();
            assert!(built.success(), "the functions' binaries do not build");
        }
        folder
    })
}

impl Api {
    fn serve(listener: TcpListener) -> Self {
        let (invocations, next) = channel();
        let (say, said) = channel();
        let next = Arc::new(Mutex::new(next));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (next, say) = (Arc::clone(&next), say.clone());
                std::thread::spawn(move || connection(&stream.unwrap(), &next, &say));
            }
        });
        Self { invocations, said }
    }
}

/// Answers requests until the function, or the test, is gone.
fn connection(stream: &TcpStream, next: &Mutex<Receiver<Invocation>>, say: &Sender<Said>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (line, body) = request(&mut reader)?;
        let mut answer = String::from("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n");
        if line.starts_with("GET /2018-06-01/runtime/invocation/next ") {
            say.send(Said::Next).ok()?;
            answer = invocation(&next.lock().unwrap().recv().ok()?);
        } else if line.ends_with("/response HTTP/1.1") {
            say.send(Said::Response(body)).ok()?;
        } else if line.ends_with("/error HTTP/1.1") {
            say.send(Said::Error(body)).ok()?;
        } else {
            panic!("not of the Runtime API: {line}");
        }
        (&mut &*stream).write_all(answer.as_bytes()).ok()?;
    }
}

fn invocation(invocation: &Invocation) -> String {
    let Invocation { id, deadline_ms, payload } = invocation;
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         lambda-runtime-aws-request-id: {id}\r\nlambda-runtime-deadline-ms: {deadline_ms}\r\n\
         lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-central-1:123456789012:function:test\r\n\r\n{payload}",
        payload.len()
    )
}

/// The first line of a request and its body; `None` when the connection has ended.
fn request(reader: &mut BufReader<&TcpStream>) -> Option<(String, Value)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let length = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap_or_default()];
    reader.read_exact(&mut body).ok()?;
    Some((lines.swap_remove(0), serde_json::from_slice(&body).unwrap_or_default()))
}
