//! Verifying: is the raw body from who holds the source's secret?
//!
//! Every valid secret is tried (two while one is rotated), each compared in constant time, and the result joined
//! without a branch, so that the time taken tells nothing about a secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use longshore_policy::Provider;
use longshore_ports::Secret;
use subtle::{Choice, ConstantTimeEq as _};

use crate::percent::unhex;
use crate::request::Headers;
use crate::{Refusal, sign};

/// How far a signed timestamp may be from now, in seconds: what Standard Webhooks recommends.
const TOLERANCE_S: i64 = 5 * 60;

/// The most signatures of one header that are looked at.
const MAX_SIGNATURES: usize = 8;

/// Verifies that `body` was sent by a holder of one of `secrets`, now.
pub(crate) fn verify(
    provider: Provider,
    secrets: &[Secret],
    headers: &Headers,
    body: &[u8],
    now: Timestamp,
) -> Result<(), Refusal> {
    if secrets.is_empty() || secrets.iter().any(|secret| secret.expose().trim_ascii().is_empty()) {
        return Err(Refusal::UnusableSecret("it is empty"));
    }
    match provider {
        Provider::Github => github(secrets, headers, body),
        Provider::Gitlab => gitlab(secrets, headers, body, now),
        Provider::CloudEvents => cloudevents(secrets, headers, body, now),
    }
}

fn github(secrets: &[Secret], headers: &Headers, body: &[u8]) -> Result<(), Refusal> {
    let given = headers
        .get("x-hub-signature-256")
        .ok_or(Refusal::Signature("no X-Hub-Signature-256; set the webhook's secret at GitHub"))?;
    let given = given.strip_prefix("sha256=").and_then(unhex).unwrap_or_default();
    let any = secrets.iter().fold(Choice::from(0), |any, secret| {
        any | sign::mac(secret.expose(), &[body]).ct_eq(given.as_slice())
    });
    check(any, "X-Hub-Signature-256 is not what any valid secret of this source makes of the body")
}

/// A secret that starts with `whsec_` is a signing token, any other a plain one: each has one meaning.
fn gitlab(secrets: &[Secret], headers: &Headers, body: &[u8], now: Timestamp) -> Result<(), Refusal> {
    let token = headers.get("x-gitlab-token").unwrap_or_default().as_bytes();
    let signed = Signed::read(headers);
    if token.is_empty() && signed.is_none() {
        return Err(Refusal::Signature(
            "neither webhook-signature nor X-Gitlab-Token; set the webhook's token at GitLab",
        ));
    }
    let (mut by_token, mut by_signature) = (Choice::from(0), Choice::from(0));
    for secret in secrets {
        if secret.expose().starts_with(sign::WHSEC.as_bytes()) {
            let key = sign::standard_key(secret).ok_or(NOT_BASE64)?;
            by_signature |= signed.as_ref().map_or(Choice::from(0), |signed| signed.matches(&key, body));
        } else {
            // Both sides hashed: a comparison of unequal lengths would end early.
            by_token |= sign::mac(b"token", &[token]).ct_eq(&sign::mac(b"token", &[secret.expose()]));
        }
    }
    check(
        by_token | by_signature,
        "neither webhook-signature nor X-Gitlab-Token fits a valid secret of this source",
    )?;
    match signed {
        Some(signed) if bool::from(by_signature) => signed.fresh(now),
        _ => Ok(()),
    }
}

fn cloudevents(secrets: &[Secret], headers: &Headers, body: &[u8], now: Timestamp) -> Result<(), Refusal> {
    let signed = Signed::read(headers).ok_or(Refusal::Signature(
        "no webhook-id, webhook-timestamp and webhook-signature; sign as Standard Webhooks says",
    ))?;
    let mut any = Choice::from(0);
    for secret in secrets {
        any |= signed.matches(&sign::standard_key(secret).ok_or(NOT_BASE64)?, body);
    }
    check(
        any,
        "webhook-signature is not what any valid secret of this source makes of id, timestamp and body",
    )?;
    signed.fresh(now)
}

const NOT_BASE64: Refusal = Refusal::UnusableSecret("after whsec_ there must be base64");

fn check(holds: Choice, otherwise: &'static str) -> Result<(), Refusal> {
    if bool::from(holds) { Ok(()) } else { Err(Refusal::Signature(otherwise)) }
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
