//! Sending a prepared request, and what follows from its answers: cookies, redirects, decoding, and what is counted.

use std::io::Read;
use std::rc::Rc;
use std::time::Instant;

use super::super::tags::HttpTags;
use super::super::vu::Vu;
use super::cookies::Cookie;
use super::params::{Kept, Prepared};
use crate::http::{Answer, HttpError, Request, Timings, Url};
use crate::metrics::Builtin;

/// What a request came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Without headers and body, which are in what was sent.
    pub(crate) prepared: Prepared,
    /// Where the last request went.
    pub(crate) url: Rc<Url>,
    /// What was sent last.
    pub(crate) sent: Option<Request>,
    pub(crate) answer: Option<Answer>,
    pub(crate) timings: Timings,
    pub(crate) error: Option<HttpError>,
    /// The cookies that the last answer sets.
    pub(crate) cookies: Vec<Cookie>,
}

impl Outcome {
    /// k6's code: of an error, or of a status of 400 and above.
    pub(crate) fn code(&self) -> u32 {
        match (&self.error, &self.answer) {
            (Some(error), _) => error.code(),
            (None, Some(answer)) => code_of(answer.head.status),
            (None, None) => 0,
        }
    }
}

fn code_of(status: u16) -> u32 {
    if (400..600).contains(&status) { 1_000 + u32::from(status) } else { 0 }
}

/// Sends it, follows where it leads, and counts each request. Suspends the fiber meanwhile.
pub(crate) fn perform(vu: &Vu, mut prepared: Prepared) -> Outcome {
    let deadline = Some(Instant::now() + prepared.timeout);
    let most = prepared.redirects.unwrap_or(vu.lane.run.options.http.max_redirects);
    let mut request = Request {
        method: prepared.method.clone(),
        url: Rc::clone(&prepared.url),
        headers: std::mem::take(&mut prepared.headers),
        body: prepared.body.take(),
        deadline: vu.until(deadline),
        keep_body: prepared.kept != Kept::Nothing,
    };
    let mut outcome = Outcome::new(prepared);
    let mut hop = 0;
    loop {
        let plain = request.headers.len();
        add_cookies(vu, &outcome.prepared, &mut request);
        outcome.send(vu, &request);
        if outcome.error == Some(HttpError::Interrupted) {
            break;
        }
        count(vu, &request, &outcome);
        match next(&outcome, &request, plain) {
            Some(Ok(following)) if hop < most => request = following,
            Some(Err(message)) if hop < most => {
                outcome.error = Some(HttpError::Url(message));
                break;
            }
            Some(_) => {
                outcome.prepared.redirects.is_none().then(|| warn(vu, most, &outcome.prepared.url));
                break;
            }
            None => break,
        }
        hop += 1;
    }
    outcome.url = Rc::clone(&request.url);
    outcome.sent = Some(request);
    outcome
}

impl Outcome {
    fn new(prepared: Prepared) -> Self {
        let url = Rc::clone(&prepared.url);
        let (answer, timings, error, cookies) = (None, Timings::default(), None, Vec::new());
        Self { prepared, url, sent: None, answer, timings, error, cookies }
    }

    /// What comes of one request takes the place of what came of the last.
    fn send(&mut self, vu: &Vu, request: &Request) {
        (self.answer, self.error) = (None, None);
        self.cookies.clear();
        match vu.client.send(request) {
            Ok(mut answer) => {
                self.timings = answer.timings;
                if answer.head.has_cookies() {
                    keep_cookies(vu, &self.prepared, &request.url, &answer, &mut self.cookies);
                }
                if answer.head.is_encoded()
                    && let Err(error) = decode(&mut answer)
                {
                    self.error = Some(error);
                }
                self.answer = Some(answer);
            }
            Err((error, timings)) => {
                self.timings = timings;
                self.error = Some(if vu.is_killed() { HttpError::Interrupted } else { error });
            }
        }
    }

    /// The method of what was sent last.
    pub(crate) fn method(&self) -> &str {
        self.sent.as_ref().map_or(&self.prepared.method, |sent| &sent.method)
    }
}

fn warn(vu: &Vu, most: u32, url: &Url) {
    let message = format!(
        "Stopped after {most} redirects and returned the redirection; pass {{ redirects: n }} in request params or set \
         global maxRedirects to silence this"
    );
    vu.lane.run.log.say("warning", &message, &[("url", url.as_str())]);
}

fn add_cookies(vu: &Vu, prepared: &Prepared, request: &mut Request) {
    if prepared.cookies.is_empty() && prepared.jar.borrow().is_empty() {
        return;
    }
    let now = vu.lane.run.log.clock(Instant::now());
    // The request's own come first, as k6 sends them.
    let mut all: Vec<(String, String)> =
        prepared.cookies.iter().map(|(name, value, _)| (name.clone(), value.clone())).collect();
    let replaced =
        |wanted: &str| prepared.cookies.iter().any(|(name, _, replace)| *replace && name == wanted);
    all.extend(prepared.jar.borrow().of(&request.url, now).into_iter().filter(|(name, _)| !replaced(name)));
    if !all.is_empty() {
        let pairs: Vec<String> = all.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        request.headers.push(("Cookie".to_owned(), pairs.join("; ")));
    }
}

fn keep_cookies(vu: &Vu, prepared: &Prepared, url: &Url, answer: &Answer, set: &mut Vec<Cookie>) {
    let mut fields = answer.head.all("set-cookie").peekable();
    if fields.peek().is_none() {
        return;
    }
    let now = vu.lane.run.log.clock(Instant::now());
    let mut jar = prepared.jar.borrow_mut();
    for cookie in fields.filter_map(|field| Cookie::parse(&field, url, now)) {
        jar.keep(cookie.clone(), now);
        set.push(cookie);
    }
}

/// The request that a redirect asks for; `None` when this is the end.
fn next(outcome: &Outcome, last: &Request, plain: usize) -> Option<Result<Request, String>> {
    let answer = outcome.answer.as_ref().filter(|_| outcome.error.is_none())?;
    let keeps = match answer.head.status {
        301..=303 => false,
        307 | 308 => true,
        _ => return None,
    };
    let location = answer.head.get("location")?;
    let url = match last.url.join(&location) {
        Ok(url) => url,
        Err(message) => return Some(Err(message)),
    };
    let mut request = last.clone();
    // The cookies are chosen anew.
    request.headers.truncate(plain);
    if !keeps {
        if request.method != "HEAD" {
            request.method = "GET".into();
        }
        request.body = None;
        request.headers.retain(|(name, _)| !name.to_ascii_lowercase().starts_with("content-"));
    }
    if url.host != last.url.host {
        // Secrets are for whom they were given to.
        request.headers.retain(|(name, _)| {
            !name.eq_ignore_ascii_case("authorization") && !name.eq_ignore_ascii_case("cookie")
        });
    }
    // As Go's client does, unless the script says it itself, or it would tell a plain connection of a secure one.
    if !outcome.prepared.own_referer {
        request.headers.retain(|(name, _)| name != "Referer");
        if url.tls || !last.url.tls {
            request.headers.push(("Referer".to_owned(), last.url.as_str().to_owned()));
        }
    }
    request.url = Rc::new(url);
    Some(Ok(request))
}

/// The most bytes that a compressed body may become.
const MOST: u64 = 256 << 20;

/// Undoes what `Content-Encoding` says, the last one first.
fn decode(answer: &mut Answer) -> Result<(), HttpError> {
    let Some(codings) = answer.head.get("content-encoding") else { return Ok(()) };
    let codings: Vec<String> = codings.split(',').map(|coding| coding.trim().to_ascii_lowercase()).collect();
    if answer.body.is_empty() {
        return Ok(());
    }
    for coding in codings.iter().rev().filter(|coding| !coding.is_empty()) {
        let mut decoded = Vec::new();
        let input = answer.body.as_slice();
        let read = match coding.as_str() {
            "gzip" | "x-gzip" => {
                flate2::read::MultiGzDecoder::new(input).take(MOST).read_to_end(&mut decoded)
            }
            // Named deflate, it is zlib's form (RFC 9110, section 8.4.1.2).
            "deflate" => flate2::read::ZlibDecoder::new(input).take(MOST).read_to_end(&mut decoded),
            "zstd" => zstd::stream::read::Decoder::new(input)
                .and_then(|zstd| zstd.take(MOST).read_to_end(&mut decoded)),
            "identity" => continue,
            other => return Err(HttpError::Encoding(format!("the encoding {other:?} is not supported"))),
        };
        let length = read.map_err(|error| HttpError::Encoding(error.to_string()))?;
        if length as u64 >= MOST {
            return Err(HttpError::TooLarge(MOST));
        }
        answer.body = decoded;
    }
    Ok(())
}

/// Counts a request with its phases.
fn count(vu: &Vu, request: &Request, outcome: &Outcome) {
    let prepared = &outcome.prepared;
    let status = outcome.answer.as_ref().map_or(0, |answer| answer.head.status);
    let expected = prepared.expected.judge(status).map(|fits| fits && outcome.error.is_none());
    let error = outcome.error.as_ref().map(ToString::to_string).unwrap_or_default();
    let url = prepared.name.as_deref().unwrap_or(&request.url.given);
    let tags = HttpTags {
        base: &prepared.base,
        own: &prepared.own,
        system: vu.system,
        method: &request.method,
        url,
        name: url,
        status,
        proto: outcome.answer.as_ref().map_or("", proto),
        tls_version: outcome
            .answer
            .as_ref()
            .and_then(|answer| answer.tls.as_ref())
            .map_or("", |(version, _)| version),
        error: &error,
        error_code: outcome.code(),
        expected,
    };
    let times = &outcome.timings;
    let values = [
        (Builtin::HttpReqs.id(), 1.0),
        (Builtin::HttpReqDuration.id(), times.duration()),
        (Builtin::HttpReqBlocked.id(), times.blocked),
        (Builtin::HttpReqConnecting.id(), times.connecting),
        (Builtin::HttpReqTlsHandshaking.id(), times.tls),
        (Builtin::HttpReqSending.id(), times.sending),
        (Builtin::HttpReqWaiting.id(), times.waiting),
        (Builtin::HttpReqReceiving.id(), times.receiving),
        (Builtin::HttpReqFailed.id(), f64::from(u8::from(expected == Some(false)))),
    ];
    // Where nobody judges, nothing has failed.
    let counted = if expected.is_some() { &values[..] } else { &values[..values.len() - 1] };
    vu.lane.emit_all(counted, &tags);
}

/// The protocol, by k6's name.
pub(super) fn proto(answer: &Answer) -> &'static str {
    if answer.head.minor == 0 { "HTTP/1.0" } else { "HTTP/1.1" }
}

/// What the script gets thrown for this; else an error is only told of.
pub(super) fn thrown(vu: &Rc<Vu>, outcome: &Outcome) -> Option<String> {
    let error = outcome.error.as_ref()?;
    if *error == HttpError::Interrupted {
        return Some("interrupted".to_owned());
    }
    let method = outcome.method();
    let method = format!("{}{}", &method[..1], method[1..].to_ascii_lowercase());
    let message = format!("{method} \"{}\": {error}", outcome.url);
    if outcome.prepared.throw {
        return Some(message);
    }
    vu.lane.run.log.say("warning", "Request Failed", &[("error", &message)]);
    None
}
