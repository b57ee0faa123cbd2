//! Verifying: is the raw body from who holds the source's secret?
//!
//! Every valid secret is tried (two while one is rotated), each compared in constant time, and the result joined
//! without a branch, so that the time taken tells nothing about a secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use longshore_ports::Secret;
use subtle::{Choice, ConstantTimeEq as _};

use crate::percent::{self, unhex};
use crate::request::{Headers, Request};
use crate::{Refusal, sign};

/// How far a signed timestamp may be from now, in seconds: what Standard Webhooks recommends.
const TOLERANCE_S: i64 = 5 * 60;

/// The most signatures of one header that are looked at.
const MAX_SIGNATURES: usize = 8;

/// How a provider proves who it is.
pub(crate) enum Proof {
    /// A signature over the body.
    Mac(Mac),
    /// A token; or such a signature, where the provider can make one.
    Token(Option<Mac>),
    /// GitLab's two ways.
    Gitlab,
    /// Standard Webhooks.
    Standard,
}

/// An HMAC-SHA-256 over the raw body, in hexadecimal digits.
pub(crate) struct Mac {
    /// The headers that may hold it; the first that is there counts.
    pub(crate) headers: &'static [&'static str],
    /// What stands before the digits.
    pub(crate) prefix: &'static str,
}

/// Verifies that `request` was sent by a holder of one of `secrets`, now.
pub(crate) fn verify(
    proof: &Proof,
    secrets: &[Secret],
    request: &Request<'_>,
    now: Timestamp,
) -> Result<(), Refusal> {
    if secrets.is_empty() || secrets.iter().any(|secret| secret.expose().trim_ascii().is_empty()) {
        return Err(Refusal::UnusableSecret("it is empty"));
    }
    let (headers, body) = (&request.headers, request.body);
    match proof {
        Proof::Mac(kind) => mac(kind, secrets, headers, body),
        Proof::Token(Some(kind)) if kind.given(headers).is_some() => mac(kind, secrets, headers, body),
        Proof::Token(_) => token(secrets, request),
        Proof::Gitlab => gitlab(secrets, headers, body, now),
        Proof::Standard => standard(secrets, headers, body, now),
    }
}

impl Mac {
    fn given<'a>(&self, headers: &'a Headers) -> Option<&'a str> {
        self.headers.iter().find_map(|name| headers.get(name))
    }
}

fn mac(kind: &Mac, secrets: &[Secret], headers: &Headers, body: &[u8]) -> Result<(), Refusal> {
    let name = kind.headers[0];
    let given = kind.given(headers).ok_or_else(|| {
        Refusal::Signature(format!("no {name}; set the webhook's secret where it is sent from"))
    })?;
    let given = given.strip_prefix(kind.prefix).and_then(unhex).unwrap_or_default();
    let any = secrets.iter().fold(Choice::from(0), |any, secret| {
        any | sign::mac(secret.expose(), &[body]).ct_eq(given.as_slice())
    });
    check(any, || format!("{name} is not what any valid secret of this source makes of the body"))
}

/// A token comes as `Bearer`, as the password of `Basic`, or, from who can set no headers, in the address.
fn token(secrets: &[Secret], request: &Request<'_>) -> Result<(), Refusal> {
    let by_header = request.headers.get("authorization").and_then(in_authorization);
    let by_address = percent::form_field(request.query.as_bytes(), "token");
    let given = by_header.or_else(|| by_address.and_then(|token| percent::decode(token, true)));
    let given = given.ok_or_else(|| {
        Refusal::Signature(
            "neither Authorization: Bearer, nor Basic, nor ?token=; send this source's token".into(),
        )
    })?;
    let any = secrets.iter().fold(Choice::from(0), |any, secret| any | same(&given, secret));
    check(any, || "the token is no valid secret of this source".into())
}

fn in_authorization(value: &str) -> Option<Vec<u8>> {
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().as_bytes().to_vec());
    }
    let pair = STANDARD.decode(rest.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let colon = pair.iter().position(|&byte| byte == b':')?;
    Some(pair[colon + 1..].to_vec())
}

/// Both sides hashed: a comparison of unequal lengths would end early.
fn same(given: &[u8], secret: &Secret) -> Choice {
    sign::mac(b"token", &[given]).ct_eq(&sign::mac(b"token", &[secret.expose()]))
}

/// A secret that starts with `whsec_` is a signing token, any other a plain one: each has one meaning.
fn gitlab(secrets: &[Secret], headers: &Headers, body: &[u8], now: Timestamp) -> Result<(), Refusal> {
    let token = headers.get("x-gitlab-token").unwrap_or_default().as_bytes();
    let signed = Signed::read(headers);
    if token.is_empty() && signed.is_none() {
        return Err(Refusal::Signature(
            "neither webhook-signature nor X-Gitlab-Token; set the webhook's token at GitLab".into(),
        ));
    }
    let (mut by_token, mut by_signature) = (Choice::from(0), Choice::from(0));
    for secret in secrets {
        if secret.expose().starts_with(sign::WHSEC.as_bytes()) {
            let key = sign::standard_key(secret).ok_or(NOT_BASE64)?;
            by_signature |= signed.as_ref().map_or(Choice::from(0), |signed| signed.matches(&key, body));
        } else {
            by_token |= same(token, secret);
        }
    }
    check(by_token | by_signature, || {
        "neither webhook-signature nor X-Gitlab-Token fits a valid secret of this source".into()
    })?;
    match signed {
        Some(signed) if bool::from(by_signature) => signed.fresh(now),
        _ => Ok(()),
    }
}

fn standard(secrets: &[Secret], headers: &Headers, body: &[u8], now: Timestamp) -> Result<(), Refusal> {
    let signed = Signed::read(headers).ok_or_else(|| {
        Refusal::Signature(
            "no webhook-id, webhook-timestamp and webhook-signature; sign as Standard Webhooks says".into(),
        )
    })?;
    let mut any = Choice::from(0);
    for secret in secrets {
        any |= signed.matches(&sign::standard_key(secret).ok_or(NOT_BASE64)?, body);
    }
    check(any, || {
        "webhook-signature is not what any valid secret of this source makes of id, timestamp and body".into()
    })?;
    signed.fresh(now)
}

const NOT_BASE64: Refusal = Refusal::UnusableSecret("after whsec_ there must be base64");

fn check(holds: Choice, otherwise: impl FnOnce() -> String) -> Result<(), Refusal> {
    if bool::from(holds) { Ok(()) } else { Err(Refusal::Signature(otherwise())) }
}

/// The headers of Standard Webhooks.
struct Signed<'a> {
    id: &'a str,
    at: &'a str,
    signatures: Vec<Vec<u8>>,
}

impl<'a> Signed<'a> {
    fn read(headers: &'a Headers) -> Option<Self> {
        let all = headers.get("webhook-signature")?;
        let versions = all.split_ascii_whitespace().filter_map(|one| one.strip_prefix("v1,"));
        Some(Self {
            id: headers.get("webhook-id")?,
            at: headers.get("webhook-timestamp")?,
            signatures: versions.take(MAX_SIGNATURES).filter_map(|one| STANDARD.decode(one).ok()).collect(),
        })
    }

    fn matches(&self, key: &[u8], body: &[u8]) -> Choice {
        let mac = sign::standard_mac(key, self.id, self.at, body);
        self.signatures.iter().fold(Choice::from(0), |any, one| any | mac.ct_eq(one.as_slice()))
    }

    fn fresh(&self, now: Timestamp) -> Result<(), Refusal> {
        let at: i64 =
            self.at.parse().map_err(|_| Refusal::header("webhook-timestamp", "not a number of seconds"))?;
        let close = now.as_second().abs_diff(at) <= TOLERANCE_S.unsigned_abs();
        if close { Ok(()) } else { Err(Refusal::Stale(at.to_string())) }
    }
}
