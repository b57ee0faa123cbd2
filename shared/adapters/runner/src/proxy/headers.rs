//! What a proxy takes out of a message's head, and what it puts in.
//!
//! After RFC 9110, section 7.6.1, and RFC 9113, section 8.2.3.

use hyper::HeaderMap;
use hyper::header::{
    CONNECTION, COOKIE, EXPECT, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE,
};

use crate::release::cell::Cell;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// In a request the release that it asks for, in an answer the one that it came from.
pub(super) const RELEASE: HeaderName = HeaderName::from_static("x-longshore-release");
const DIGEST: HeaderName = HeaderName::from_static("x-longshore-digest");
/// Names of a `Connection` header that need no look: they are removed below, or are no headers.
const PLAIN: [&str; 4] = ["keep-alive", "close", "upgrade", "te"];
/// Headers that concern one connection only.
const PER_CONNECTION: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authentication-info"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Removes what concerns the connection only, and answers the protocol that it is to be upgraded to.
fn strip(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let mut protocol = None;
    if headers.contains_key(CONNECTION) {
        let named: Vec<String> = words(headers, &CONNECTION).map(str::to_ascii_lowercase).collect();
        if named.iter().any(|name| name == "upgrade") {
            protocol = headers.get(UPGRADE).cloned();
        }
        for name in named.iter().filter(|name| !PLAIN.contains(&name.as_str())) {
            headers.remove(name.as_str());
        }
    }
    for name in &PER_CONNECTION {
        headers.remove(name);
    }
    protocol
}

fn words<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Makes a client's request one of ours; says whether it asks for another protocol.
pub(super) fn request(headers: &mut HeaderMap, client: &HeaderValue, host: Option<HeaderValue>) -> bool {
    let takes_trailers =
        headers.contains_key(TE) && words(headers, &TE).any(|word| word.eq_ignore_ascii_case("trailers"));
    let protocol = strip(headers);
    // Answered by us already: a release need not be asked whether it wants the body.
    headers.remove(EXPECT);
    one_cookie(headers);
    if let Some(host) = host {
        headers.insert(HOST, host);
    }
    let host = headers.entry(HOST).or_insert(HeaderValue::from_static("localhost")).clone();
    headers.append(FORWARDED_FOR, client.clone());
    headers.entry(FORWARDED_PROTO).or_insert(HeaderValue::from_static("http"));
    headers.entry(FORWARDED_HOST).or_insert(host);
    let upgrades = protocol.is_some();
    if let Some(protocol) = protocol {
        upgrade(headers, protocol);
    } else if takes_trailers {
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    upgrades
}

/// HTTP/2 may send cookies one by one; HTTP/1.1 knows one header of them.
fn one_cookie(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_some() {
        let all: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
        if let Ok(joined) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
            headers.insert(COOKIE, joined);
        }
    }
}

/// Makes a release's answer one of ours, and says whose it is.
pub(super) fn response(headers: &mut HeaderMap, cell: &Cell, upgrades: bool) {
    if let Some(protocol) = strip(headers).filter(|_| upgrades) {
        upgrade(headers, protocol);
    }
    let [release, digest] = cell.labels.clone();
    headers.insert(RELEASE, release);
    headers.insert(DIGEST, digest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::cell;

    const CLIENT: HeaderValue = HeaderValue::from_static("127.0.0.1");

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            headers.append(name, value);
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_concerns_the_connection_only_is_not_passed_on() {
        let mut sent = headers(&[
            ("connection", "keep-alive, X-Hop"),
            ("connection", "x-other,close"),
            ("x-hop", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic eA=="),
            ("proxy-connection", "keep-alive"),
            ("te", "gzip"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("expect", "100-continue"),
            ("accept", "*/*"),
            ("trailer", "x-sum"),
            ("host", "shop.localhost"),
            ("x-forwarded-for", "10.0.0.1"),
        ]);
        assert!(!request(&mut sent, &CLIENT, None));
        let kept = ["accept", "host", "trailer", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
        assert_eq!(names(&sent), kept);
        let through: Vec<&HeaderValue> = sent.get_all(FORWARDED_FOR).iter().collect();
        assert_eq!(through, ["10.0.0.1", "127.0.0.1"]);
        assert_eq!((&sent[FORWARDED_HOST], &sent[FORWARDED_PROTO]), (&sent[HOST], &"http".parse().unwrap()));
    }

    #[test]
    fn a_wish_for_another_protocol_is_passed_on() {
        let mut sent = headers(&[("connection", "Upgrade"), ("upgrade", "websocket")]);
        assert!(request(&mut sent, &CLIENT, None));
        let upgrade = (sent[CONNECTION].as_bytes(), sent[UPGRADE].as_bytes());
        assert_eq!(upgrade, (&b"upgrade"[..], &b"websocket"[..]));
    }

    #[test]
    fn who_takes_trailers_still_does() {
        let mut sent = headers(&[("te", "gzip, trailers")]);
        request(&mut sent, &CLIENT, None);
        assert_eq!((&sent[TE], &sent[CONNECTION]), (&"trailers".parse().unwrap(), &"te".parse().unwrap()));
    }

    #[test]
    fn a_request_of_http_2_gets_what_http_1_1_needs() {
        let mut sent = headers(&[("cookie", "a=1"), ("cookie", "b=2")]);
        request(&mut sent, &CLIENT, Some(HeaderValue::from_static("shop.localhost")));
        assert_eq!(
            (&sent[HOST], &sent[COOKIE]),
            (&"shop.localhost".parse().unwrap(), &"a=1; b=2".parse().unwrap())
        );
        assert_eq!(sent.get_all(COOKIE).iter().count(), 1);
    }

    #[test]
    fn an_answer_says_whose_it_is_and_upgrades_only_when_it_did() {
        let from = cell(7);
        for (upgrades, kept) in [
            (false, &["x-longshore-digest", "x-longshore-release"][..]),
            (true, &["connection", "upgrade", "x-longshore-digest", "x-longshore-release"]),
        ] {
            let mut answer = headers(&[
                ("connection", "upgrade"),
                ("upgrade", "websocket"),
                ("keep-alive", "timeout=5"),
                ("x-longshore-release", "forged"),
            ]);
            response(&mut answer, &from, upgrades);
            assert_eq!(names(&answer), kept);
            assert_eq!(answer[RELEASE], "7");
        }
    }
}
