//! One request and its answer on one connection.

use std::io::Write;
use std::time::{Duration, Instant};

use super::body::Incoming;
use super::client::{Answer, Client, Request, Timings};
use super::connect::connect;
use super::error::HttpError;
use super::head::{Head, LONGEST, push_field};
use super::stream::Stream;

/// What is read at once.
const READ: usize = 16 << 10;

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// Sends the request on a kept connection, or on a new one.
pub(super) fn run(client: &Client, request: &Request, timings: &mut Timings) -> Result<Answer, HttpError> {
    let mut head = client.take_buffer();
    head.clear();
    write_head(&mut head, client, request)?;
    let answer = run_written(client, request, &head, timings);
    client.put_buffer(head);
    answer
}

fn run_written(
    client: &Client,
    request: &Request,
    head: &[u8],
    timings: &mut Timings,
) -> Result<Answer, HttpError> {
    let begun = Instant::now();
    if let Some(mut stream) = client.take_idle(&request.url) {
        let taken = Instant::now();
        timings.blocked = ms(taken - begun);
        match exchange(client, request, &mut stream, head, taken, timings) {
            // The other side closed it while it was idle, and has seen nothing of this request.
            Err((HttpError::Closed | HttpError::Reset | HttpError::BrokenPipe, false)) => {
                *timings = Timings::default();
            }
            Err((error, _)) => return Err(error),
            Ok((answer, keep)) => {
                client.give_back(&request.url, stream, keep);
                return Ok(answer);
            }
        }
    }
    let connected = connect(&client.reactor, &client.network, &request.url, request.deadline);
    timings.blocked = ms(begun.elapsed());
    let (mut stream, times) = connected?;
    timings.looking_up = ms(times.looking_up);
    timings.connecting = ms(times.tcp);
    timings.tls = ms(times.tls);
    let (answer, keep) =
        exchange(client, request, &mut stream, head, Instant::now(), timings).map_err(|(error, _)| error)?;
    client.give_back(&request.url, stream, keep);
    Ok(answer)
}

fn write_head(out: &mut Vec<u8>, client: &Client, request: &Request) -> Result<(), HttpError> {
    out.extend_from_slice(request.method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(request.url.target().as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let (mut host, mut agent) = (request.url.authority(), client.network.options.user_agent.as_str());
    for (name, value) in &request.headers {
        if name.eq_ignore_ascii_case("host") {
            host = value;
        } else if name.eq_ignore_ascii_case("user-agent") {
            agent = value;
        }
    }
    push_field(out, "Host", host)?;
    if !agent.is_empty() {
        push_field(out, "User-Agent", agent)?;
    }
    let length = request.body.as_ref().map(Vec::len);
    if length.is_some_and(|length| length > 0) || matches!(&*request.method, "POST" | "PUT" | "PATCH") {
        // Writing into memory does not fail.
        let _ = write!(out, "Content-Length: {}\r\n", length.unwrap_or(0));
    }
    if client.network.options.no_reuse {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    for (name, value) in &request.headers {
        if !["host", "user-agent", "content-length", "transfer-encoding"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
        {
            push_field(out, name, value)?;
        }
    }
    out.extend_from_slice(b"\r\n");
    if let Some(body) = request.body.as_ref().filter(|body| body.len() <= READ) {
        out.extend_from_slice(body);
    }
    Ok(())
}

type Failed = (HttpError, bool);

/// The answer, and whether the connection can be used again. An error says whether anything was answered.
fn exchange(
    client: &Client,
    request: &Request,
    stream: &mut Stream,
    head: &[u8],
    begun: Instant,
    timings: &mut Timings,
) -> Result<(Answer, bool), Failed> {
    let result = exchange_uncounted(client, request, stream, head, begun, timings);
    client.count(stream);
    result
}

fn exchange_uncounted(
    client: &Client,
    request: &Request,
    stream: &mut Stream,
    sent: &[u8],
    begun: Instant,
    timings: &mut Timings,
) -> Result<(Answer, bool), Failed> {
    let deadline = request.deadline;
    stream.write_all(sent, deadline).map_err(|error| (error, false))?;
    if let Some(body) = request.body.as_ref().filter(|body| body.len() > READ) {
        stream.write_all(body, deadline).map_err(|error| (error, false))?;
    }
    let written = Instant::now();
    timings.sending = ms(written - begun);
    let waited = stream.await_answer(deadline);
    let mut inbox = Inbox { data: client.take_inbox(), ..Inbox::default() };
    let head = waited.map_err(|error| (error, false)).and_then(|()| {
        // An empty answer is no answer.
        read_head(stream, &mut inbox, deadline).map_err(|error| (error, inbox.filled > 0))
    });
    // The loop was late, or it was not: what counts is when this fiber could go on.
    let first_byte = if inbox.reads > 1 { Instant::now() } else { client.reactor.now() };
    timings.waiting = ms(first_byte.saturating_duration_since(written));
    let head = head?;
    let framing = head.framing(request.method == "HEAD").map_err(|error| (error, true))?;
    let mut body = Incoming::new(framing, request.keep_body).map_err(|error| (error, true))?;
    let result = read_body(stream, &mut inbox, &mut body, deadline);
    client.put_inbox(inbox.data);
    timings.receiving = ms(first_byte.elapsed());
    let clean = result.map_err(|error| (error, true))?;
    let keep = clean && head.keeps() && framing != super::head::Framing::Close;
    let (remote, tls) = (stream.remote, stream.agreed());
    Ok((Answer { head, body: body.into_kept(), timings: *timings, remote, tls }, keep))
}

/// What was read, and not yet understood.
#[derive(Default)]
struct Inbox {
    data: Vec<u8>,
    /// What lies before it is done with.
    start: usize,
    filled: usize,
    reads: u32,
}

impl Inbox {
    /// Reads more; 0 is the end of the connection.
    fn fill(&mut self, stream: &mut Stream, deadline: Option<Instant>) -> Result<usize, HttpError> {
        if self.data.len() - self.filled < READ / 4 {
            let grown = (self.data.len() * 2).max(READ / 4);
            self.data.resize(grown, 0);
        }
        let count = stream.read(&mut self.data[self.filled..], deadline)?;
        self.filled += count;
        self.reads += 1;
        Ok(count)
    }

    /// What is there.
    fn rest(&self) -> &[u8] {
        &self.data[self.start..self.filled]
    }
}

/// The final head: those that only inform (1xx) are read over.
fn read_head(stream: &mut Stream, inbox: &mut Inbox, deadline: Option<Instant>) -> Result<Head, HttpError> {
    loop {
        if inbox.fill(stream, deadline)? == 0 {
            return Err(HttpError::Closed);
        }
        while let Some((head, length)) = Head::parse(inbox.rest())? {
            inbox.start += length;
            if head.status >= 200 || head.status == 101 {
                return Ok(head);
            }
        }
        if inbox.filled > LONGEST {
            return Err(HttpError::Malformed(format!("the head is longer than {LONGEST} bytes")));
        }
    }
}

/// Whether nothing is left over.
fn read_body(
    stream: &mut Stream,
    inbox: &mut Inbox,
    body: &mut Incoming,
    deadline: Option<Instant>,
) -> Result<bool, HttpError> {
    loop {
        let used = body.take(inbox.rest())?;
        if body.is_done() {
            return Ok(used == inbox.rest().len());
        }
        (inbox.start, inbox.filled) = (0, 0);
        if inbox.data.len() < READ {
            inbox.data.resize(READ, 0);
        }
        if inbox.fill_again(stream, deadline)? == 0 {
            return body.end().map(|()| false);
        }
    }
}

impl Inbox {
    fn fill_again(&mut self, stream: &mut Stream, deadline: Option<Instant>) -> Result<usize, HttpError> {
        self.filled = stream.read(&mut self.data, deadline)?;
        self.reads += 1;
        Ok(self.filled)
    }
}
