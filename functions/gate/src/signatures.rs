//! Whether a key that may sign the image did: what is looked at, and what it comes to.

use jiff::{SignedDuration, Timestamp};
use longshore_events::{ImageName, types::Verdict};
use longshore_policy::Signer;
use longshore_ports::{Claim, Envelope};
use serde::{Deserialize, Serialize};

use crate::checks::Check;
use crate::decide::Context;
use crate::{Gate, State, Target, signature};

/// The shortest time between two looks for a signature that is not there yet, in milliseconds.
const SHORTEST_MS: i64 = 2_000;
/// The longest.
const LONGEST_MS: i64 = 300_000;
/// What was found is told of so many.
const TOLD: usize = 3;

/// What lies beside an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beside {
    /// These claim to be signatures. What cannot be one is kept without its content.
    Claims(Vec<Claim>),
    /// The registry does not say, for this reason.
    Silent(String),
}

impl Gate {
    /// What lies beside the image; `None` where no signature is required, or a valid one is known already.
    pub(crate) async fn beside(
        &self,
        target: &Target<'_>,
        image: &ImageName,
        state: &State,
    ) -> Option<Beside> {
        let known =
            state.signed.as_ref().is_some_and(|claim| signer(&self.policy.signers, target, claim).is_ok());
        if !target.environment.gate.signature || known {
            return None;
        }
        Some(match self.signatures.claims(image, &target.digest).await {
            Ok(claims) => {
                Beside::Claims(claims.into_iter().map(|claim| without_content(claim, target)).collect())
            }
            // Whatever the reason, nothing is known: the gate closes at its deadline.
            Err(error) => Beside::Silent(one_line(&error.to_string())),
        })
    }
}

/// A claim that can be no signature of the image is kept as the reason why.
fn without_content(claim: Claim, target: &Target<'_>) -> Claim {
    match signature::read(&claim.envelope, &target.digest) {
        Ok(_) => claim,
        Err(why) => Claim { envelope: Envelope::Unreadable(one_line(&why)), ..claim },
    }
}

/// Who signed it and may.
///
/// # Errors
/// Why it does not count.
fn signer<'a>(signers: &'a [Signer], target: &Target<'_>, claim: &Claim) -> Result<&'a Signer, String> {
    let signed = signature::read(&claim.envelope, &target.digest)?;
    let by: Vec<&Signer> = signers.iter().filter(|signer| signed.by(&signer.key)).collect();
    let may = |signer: &&&Signer| signer.may_sign(&target.environment.name, &target.service.name);
    by.iter().find(may).copied().ok_or_else(|| match by.first() {
        Some(signer) => format!("{} signed it, and may not sign {} here", signer.name, target.service.name),
        None => "none of the keys signed it".to_owned(),
    })
}

/// Whether a key that may sign the image did. What was found once stays found while its key counts.
pub(crate) fn check(context: &Context<'_>, state: &State) -> Check {
    match valid(context, state) {
        Some(_) => Check::new(Verdict::Pass, "it is signed"),
        None => Check { polls: true, ..Check::new(Verdict::Unknown, reason(context)) },
    }
}

/// A claim that counts.
pub(crate) fn valid<'a>(context: &'a Context<'_>, state: &'a State) -> Option<&'a Claim> {
    let seen = match &context.seen.beside {
        Some(Beside::Claims(claims)) => claims.as_slice(),
        _ => &[],
    };
    let counts = |claim: &&Claim| signer(&context.policy.signers, &context.target, claim).is_ok();
    state.signed.iter().chain(seen).find(counts)
}

/// Why none counts: what was found, and whose signature would.
fn reason(context: &Context<'_>) -> String {
    let target = &context.target;
    let may = |signer: &&Signer| signer.may_sign(&target.environment.name, &target.service.name);
    let keys: Vec<&str> =
        context.policy.signers.iter().filter(may).map(|signer| signer.name.as_str()).collect();
    let keys = keys.join(", ");
    match &context.seen.beside {
        None => format!("signature: nobody looked yet for one by {keys}"),
        Some(Beside::Silent(why)) => format!("signature: the registry does not say: {why}"),
        Some(Beside::Claims(claims)) if claims.is_empty() => format!("signature: there is none by {keys}"),
        Some(Beside::Claims(claims)) => {
            let why = |claim: &Claim| {
                let why = signer(&context.policy.signers, target, claim).err().unwrap_or_default();
                format!("{}: {why}", claim.place)
            };
            let told: Vec<String> = claims.iter().take(TOLD).map(why).collect();
            let more = claims.len().saturating_sub(TOLD);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            format!("signature: none by {keys}: {}{more}", told.join("; "))
        }
    }
}

/// When to look again for what is unknown since then: soon at first, and ever more rarely.
pub(crate) fn look_at(now: Timestamp, since: Timestamp) -> Timestamp {
    let waited = now.duration_since(since).as_millis();
    let wait = i64::try_from(waited / 4).unwrap_or(LONGEST_MS).clamp(SHORTEST_MS, LONGEST_MS);
    now + SignedDuration::from_millis(wait)
}

/// The start of an error, without what would break a line.
fn one_line(error: &str) -> String {
    let words: Vec<_> = error.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    words.join(" ").chars().take(200).collect()
}
