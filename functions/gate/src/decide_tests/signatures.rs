//! What a signature comes to: whose counts where, and what is not known.

use std::sync::Arc;

use longshore_events::types::Verdict;
use longshore_ports::{Claim, Envelope};
use longshore_sim::world::{FakeSignatures, Unsigned, signer, stranger};
use longshore_sim::{Air, Faults};

use super::{Unit, digest};
use crate::Beside;

/// A service in `live`, and these signers.
fn unit(signers: &str) -> Unit {
    Unit::new(&format!(
        "[[service]]\nname = \"shop\"\nimage = \"shop\"\n[[service]]\nname = \"other\"\nimage = \"other\"\n\
         [[environment]]\nname = \"live\"\nservices = [\"shop\"]\n\
         [environment.gate]\nrequires = [\"signature\"]\ndeadline = \"60s\"\n{signers}"
    ))
}

fn key(name: &str, pem: &str, more: &str) -> String {
    format!("[[signer]]\nname = \"{name}\"\nkey = \"\"\"{pem}\"\"\"\n{more}\n")
}

fn release() -> String {
    key("release", signer(), "")
}

fn beside(unsigned: Option<Unsigned>) -> Beside {
    let fake = FakeSignatures::new(Arc::new(Air::new(1, Faults::default())), None);
    Beside::Claims(fake.beside(&digest(), unsigned))
}

fn last(unit: &Unit) -> (Verdict, String) {
    let said = unit.said.last().unwrap();
    (said.verdict, said.reasons.join("; "))
}

#[test]
fn a_signature_that_comes_after_the_push_opens_the_gate_and_stays_found() {
    let mut unit = unit(&release());
    unit.seen.beside = Some(Beside::Claims(Vec::new()));
    unit.pushed("1");
    assert_eq!(last(&unit), (Verdict::Unknown, "signature: there is none by release".into()));
    unit.seen.beside = Some(beside(None));
    unit.passes(2);
    assert_eq!((unit.verdict(), unit.last.wake), (Verdict::Pass, None));
    // It is not looked for again: the registry may be away.
    unit.seen.beside = None;
    unit.pushed("2");
    assert_eq!(unit.verdict(), Verdict::Pass);
}

#[test]
fn what_is_no_signature_of_the_image_by_a_key_that_may_sign_it_never_opens_it_and_is_named() {
    for (unsigned, why) in [
        (Unsigned::Strange, "none of the keys signed it"),
        (Unsigned::Copied, "it is of another image"),
        (Unsigned::Attested, "an attestation of https://cyclonedx.org/bom"),
        (Unsigned::Bare, "there is none by release"),
    ] {
        let mut unit = unit(&release());
        unit.seen.beside = Some(beside(Some(unsigned)));
        unit.pushed("1");
        let (verdict, reason) = last(&unit);
        assert!(verdict == Verdict::Unknown && reason.contains(why), "{unsigned:?}: {reason}");
        unit.passes(59);
        assert_eq!(unit.verdict(), Verdict::Unknown, "{unsigned:?}");
        unit.passes(1);
        let (verdict, reason) = last(&unit);
        assert!(
            verdict == Verdict::Fail && reason.contains(why) && reason.contains("within 60 s"),
            "{reason}"
        );
        assert_eq!(unit.last.wake, None, "nothing runs while nothing happens");
        unit.seen.beside = Some(beside(None));
        unit.passes(3_600);
        assert_eq!(unit.verdict(), Verdict::Pass, "a hint may still tell of it");
    }
}

#[test]
fn a_registry_that_does_not_say_leaves_it_unknown_and_closes_it_at_the_deadline() {
    let mut unit = unit(&release());
    unit.seen.beside = Some(Beside::Silent("it does not answer".into()));
    unit.pushed("1");
    assert_eq!(
        last(&unit),
        (Verdict::Unknown, "signature: the registry does not say: it does not answer".into())
    );
    assert!(unit.last.wake.is_some());
    unit.passes(60);
    assert_eq!(unit.verdict(), Verdict::Fail);
}

#[test]
fn who_may_sign_is_said_for_each_service_and_environment_and_any_of_several_keys_is_enough() {
    let elsewhere = key("elsewhere", signer(), "services = [\"other\"]");
    let old = key("old", stranger(), "");
    let mut both = unit(&format!("{old}{}", release()));
    both.seen.beside = Some(beside(None));
    both.pushed("1");
    assert_eq!(both.verdict(), Verdict::Pass, "the old key beside the new one");
    both.seen.beside = Some(beside(Some(Unsigned::Strange)));
    both.state.signed = None;
    both.passes(1);
    assert_eq!(both.verdict(), Verdict::Pass, "and what the old one signed");

    let mut unit = unit(&format!("{elsewhere}{old}"));
    unit.seen.beside = Some(beside(None));
    unit.pushed("1");
    let (verdict, reason) = last(&unit);
    assert_eq!(verdict, Verdict::Unknown);
    assert!(
        reason.contains("none by old") && reason.contains("elsewhere signed it, and may not sign shop here"),
        "{reason}"
    );
}

#[test]
fn a_key_that_is_taken_out_of_the_configuration_takes_its_signatures_with_it() {
    let mut before = unit(&release());
    before.seen.beside = Some(beside(None));
    before.pushed("1");
    assert_eq!(before.verdict(), Verdict::Pass);
    let mut after = unit(&key("new", stranger(), ""));
    after.state = before.state;
    after.seen.beside = Some(beside(None));
    after.passes(1);
    let (verdict, reason) = last(&after);
    assert!(verdict == Verdict::Unknown && reason.contains("none by new"), "{reason}");
    assert_eq!(after.state.signed, None);
}

#[test]
fn it_is_looked_for_soon_at_first_and_ever_more_rarely() {
    let mut unit = unit(&release().replace("60s", "1h"));
    unit.seen.beside = Some(Beside::Claims(Vec::new()));
    unit.pushed("1");
    let (mut looks, begun) = (0, unit.now);
    while let Some(at) = unit.last.wake.filter(|_| unit.verdict() == Verdict::Unknown) {
        let wait = at.duration_since(unit.now).as_secs();
        assert!((0..=300).contains(&wait), "{wait}");
        unit.passes(wait.max(1));
        looks += 1;
    }
    assert!(unit.now.duration_since(begun).as_secs() >= 60 && looks < 20, "{looks} looks");
    assert_eq!(unit.said.len(), 2, "that it is still not there is no news");
}

#[test]
fn what_many_put_there_is_told_of_in_few_words() {
    let mut unit = unit(&release());
    let claim = |number| Claim {
        place: format!("p{number}"),
        envelope: Envelope::Unreadable("it is no text".into()),
    };
    unit.seen.beside = Some(Beside::Claims((0..9).map(claim).collect()));
    unit.pushed("1");
    let (_, reason) = last(&unit);
    assert_eq!(
        reason,
        "signature: none by release: p0: it is no text; p1: it is no text; p2: it is no text; and 6 more"
    );
}
