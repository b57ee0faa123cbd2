//! Clone, fetch and push over smart HTTP, by `git http-backend` as a CGI program.
//!
//! Source: RFC 3875, and git-http-backend(1).

use std::io;
use std::path::Path;
use std::process::Stdio;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdout, Command};
use tokio::sync::mpsc::Receiver;

/// The head of a CGI answer may be this long, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// A request, as CGI wants it.
#[derive(Debug, Clone, Default)]
pub struct CgiRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// Below the folder of repositories, e.g. `/shop.git/info/refs`.
    pub path: String,
    /// The query, without the question mark.
    pub query: String,
    /// The content's type.
    pub content_type: Option<String>,
    /// The content's encoding: git sends gzip.
    pub content_encoding: Option<String>,
    /// The header `Git-Protocol`.
    pub git_protocol: Option<String>,
    /// Who pushes.
    pub user: String,
}

/// An answer: its head, and the rest as it comes.
pub struct CgiAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// What of the body came with the head.
    pub begin: Bytes,
    /// The rest of the body.
    pub rest: ChildStdout,
}

/// Answers one request. `body` gives the request's body in pieces; the program ends when it is done, or when the
/// answer is dropped.
///
/// # Errors
/// When the program cannot be run, or answers no head.
pub async fn http_backend(root: &Path, request: &CgiRequest, body: Receiver<Bytes>) -> io::Result<CgiAnswer> {
    if !is_plain(&request.path) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is not that of a repository"));
    }
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env_clear()
        .env("PATH", std::env::join_paths(["/usr/local/bin", "/usr/bin", "/bin"]).unwrap_or_default())
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("REMOTE_USER", &request.user)
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", &request.query)
        .env("CONTENT_TYPE", request.content_type.as_deref().unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(encoding) = &request.content_encoding {
        command.env("HTTP_CONTENT_ENCODING", encoding);
    }
    if let Some(protocol) = &request.git_protocol {
        command.env("HTTP_GIT_PROTOCOL", protocol);
    }
    let mut child = command.spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (Some(stdin), Some(stdout)) = (stdin, stdout) else { return Err(io::Error::other("no pipe to git")) };
    tokio::spawn(feed(stdin, body));
    // A push goes on when its client goes away: it is whole or refused.
    tokio::spawn(async move { child.wait().await });
    answer(stdout).await
}

async fn feed(mut stdin: tokio::process::ChildStdin, mut body: Receiver<Bytes>) {
    while let Some(piece) = body.recv().await {
        if stdin.write_all(&piece).await.is_err() {
            return;
        }
    }
}

async fn answer(mut stdout: ChildStdout) -> io::Result<CgiAnswer> {
    let (head, begin) = head(&mut stdout).await?;
    let mut status = 200;
    let mut headers = Vec::new();
    for line in head.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("status") {
            status = value.trim().split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(500);
        } else {
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    Ok(CgiAnswer { status, headers, begin, rest: stdout })
}

/// Everything up to the empty line, and what came after it.
async fn head(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(String, Bytes)> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = Bytes::copy_from_slice(&read[end + 4..]);
            read.truncate(end);
            return Ok((String::from_utf8_lossy(&read).into_owned(), rest));
        }
        let more = from.read_buf(&mut read).await?;
        if more == 0 || read.len() > MAX_HEAD {
            return Err(io::Error::other("git answered no head"));
        }
    }
}

/// A path without `..`, empty parts and control characters.
fn is_plain(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|path| {
        !path.chars().any(char::is_control)
            && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
    })
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn paths_that_leave_the_folder_are_refused() {
        assert!(is_plain("/acme/shop.git/info/refs"));
        for bad in ["/../etc/passwd", "/a/../../b", "shop.git", "//shop.git", "/a\n.git", "/./a"] {
            assert!(!is_plain(bad), "{bad:?}");
        }
    }
}
