//! Clone, fetch and push over smart HTTP, by `git http-backend` as a CGI program.
//!
//! Source: RFC 3875, git-http-backend(1), and gitprotocol-http(5).

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use longshore_events::RepositoryName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex, sink};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use crate::command::bare;
use crate::group::Group;

/// The head of a CGI answer may be this long, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// A clone or push may take this long.
const LIMIT: Duration = Duration::from_hours(1);
/// Of an answer that nobody reads yet, this much is kept, in bytes.
const BUFFER: usize = 64 * 1024;

/// What a repository of the host does, whatever its own configuration says: any branch may be forced, what is broken
/// is refused, and cleaning up is done before git answers, so that it leaves no process behind.
const SETTINGS: &[(&str, &str)] = &[
    ("safe.directory", "*"),
    ("receive.fsckObjects", "true"),
    ("receive.denyNonFastForwards", "false"),
    ("receive.denyDeleteCurrent", "ignore"),
    ("http.receivepack", "true"),
    ("http.getanyfile", "false"),
    ("gc.autoDetach", "false"),
    ("maintenance.autoDetach", "false"),
];

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
    pub rest: DuplexStream,
}

/// Answers one request about a repository below `root`. `body` gives the request's body in pieces, and ends it when its
/// sender is dropped; a push whose body was cut off changes nothing.
///
/// A client that goes away ends nothing that it has asked for in full: a push is whole, and its hook runs.
///
/// # Errors
/// When the path is none of a repository's, or the program cannot be run, or answers no head.
pub async fn http_backend(root: &Path, request: &CgiRequest, body: Receiver<Bytes>) -> io::Result<CgiAnswer> {
    let Some(path) = served(&request.path) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is not that of a repository"));
    };
    let mut child = command(root, &path, request).spawn()?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(mut stdout), Some(stderr)) = pipes else {
        return Err(io::Error::other("no pipe to git"));
    };
    let group = Group::of(child);
    tokio::spawn(feed(stdin, body));
    let (status, headers, begin) = timeout(LIMIT, head(&mut stdout)).await.map_err(io::Error::other)??;
    let (to, rest) = duplex(BUFFER);
    tokio::spawn(see_through(group, stdout, stderr, to));
    Ok(CgiAnswer { status, headers, begin, rest })
}

fn command(root: &Path, path: &str, request: &CgiRequest) -> Command {
    let mut command = bare(std::iter::empty());
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", &request.user)
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", &request.query)
        .env("CONTENT_TYPE", request.content_type.as_deref().unwrap_or_default())
        .stdin(Stdio::piped());
    for (n, (key, value)) in SETTINGS.iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{n}"), key).env(format!("GIT_CONFIG_VALUE_{n}"), value);
    }
    command.env("GIT_CONFIG_COUNT", SETTINGS.len().to_string());
    if let Some(encoding) = &request.content_encoding {
        command.env("HTTP_CONTENT_ENCODING", encoding);
    }
    if let Some(protocol) = &request.git_protocol {
        command.env("GIT_PROTOCOL", protocol);
    }
    command
}

/// The path as git is given it, of a repository of the host and of one of the three things that smart HTTP asks for.
fn served(path: &str) -> Option<String> {
    let path = path.strip_prefix('/')?;
    let services = ["/info/refs", "/git-upload-pack", "/git-receive-pack"];
    let service = services.into_iter().find(|service| path.ends_with(service))?;
    let name = path.strip_suffix(service)?;
    let name = RepositoryName::new(name.strip_suffix(".git").unwrap_or(name)).ok()?;
    Some(format!("/{name}.git{service}"))
}

async fn feed(mut stdin: ChildStdin, mut body: Receiver<Bytes>) {
    while let Some(piece) = body.recv().await {
        if stdin.write_all(&piece).await.is_err() {
            return;
        }
    }
}

/// Passes the answer on; reads it to its end even when nobody listens, and waits for the program.
async fn see_through(mut group: Group, mut from: ChildStdout, errors: ChildStderr, mut to: DuplexStream) {
    let pass = async {
        if tokio::io::copy(&mut from, &mut to).await.is_err() {
            let _ = tokio::io::copy(&mut from, &mut sink()).await;
        }
        drop(to);
    };
    let all = async {
        let (complaint, ()) = tokio::join!(complaint(errors), pass);
        (group.wait().await, complaint)
    };
    match timeout(LIMIT, all).await {
        Ok((Ok(status), complaint)) if !status.success() => {
            tracing::warn!(%status, complaint, "git http-backend failed");
        }
        Ok(_) => {}
        Err(_) => tracing::warn!("git http-backend took longer than an hour and was ended"),
    }
}

/// The start of what it complained of.
async fn complaint(errors: ChildStderr) -> String {
    let mut read = Vec::new();
    let mut start = errors.take(1_000);
    let _ = start.read_to_end(&mut read).await;
    let _ = tokio::io::copy(&mut start.into_inner(), &mut sink()).await;
    crate::command::redacted(String::from_utf8_lossy(&read).trim())
}

type Head = (u16, Vec<(String, String)>, Bytes);

/// The status, the headers, and what of the body was read with them.
async fn head(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Head> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if from.read_buf(&mut read).await? == 0 || read.len() > MAX_HEAD {
            return Err(io::Error::other("git answered no head"));
        }
    };
    let (mut status, mut headers) = (200, Vec::new());
    for line in String::from_utf8_lossy(&read[..end]).lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let (name, value) = (name.trim(), value.trim());
        if name.eq_ignore_ascii_case("status") {
            status = value.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(500);
        } else {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok((status, headers, Bytes::copy_from_slice(&read[end + 4..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_three_services_of_a_named_repository_are_served() {
        assert_eq!(served("/acme/shop.git/info/refs").as_deref(), Some("/acme/shop.git/info/refs"));
        assert_eq!(served("/shop/git-receive-pack").as_deref(), Some("/shop.git/git-receive-pack"));
        for bad in [
            "/../etc/info/refs",
            "/a/../../b.git/info/refs",
            "shop.git/info/refs",
            "//shop.git/info/refs",
            "/a\n.git/info/refs",
            "/./a/info/refs",
            "/.mirrors/a.git/info/refs",
            "/-a.git/info/refs",
            "/shop.git/HEAD",
            "/shop.git/objects/info/packs",
            "/info/refs",
        ] {
            assert_eq!(served(bad), None, "{bad:?}");
        }
    }

    #[tokio::test]
    async fn a_head_is_told_from_its_body() {
        let cgi = b"Status: 403 Forbidden\r\nContent-Type: text/plain\r\n\r\nno\r\n\r\n";
        let (status, headers, begin) = head(&mut &cgi[..]).await.unwrap();
        assert_eq!((status, &begin[..]), (403, &b"no\r\n\r\n"[..]));
        assert_eq!(headers, [("Content-Type".to_owned(), "text/plain".to_owned())]);
    }

    #[tokio::test]
    async fn a_head_without_end_is_an_error() {
        assert!(head(&mut &b"Status: 200"[..]).await.is_err());
        assert!(head(&mut vec![b'x'; 100_000].as_slice()).await.is_err());
    }
}
