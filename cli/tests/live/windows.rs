//! A freeze: what may run waits, and people are told for what, and until when.

use longshore_cli::demo::facts::Fate;

use crate::stage::{Stage, eventually};

#[test]
fn within_a_freeze_what_is_built_waits_and_status_says_why_and_until_when() {
    let freeze = "[[environment.freeze]]\nfrom = \"2026-01-01\"\nuntil = \"2096-12-31\"\nwhy = \"the harbour is closed\"\n\
                  zone = \"Europe/Berlin\"\n";
    let stage = Stage::set(1, freeze);
    let push = stage.push(0, 0);
    let said = || String::from_utf8(stage.longshore(&["status"]).stdout).unwrap();
    let waits =
        format!("s0: {} waits until 2096-12-31T23:00:00Z: frozen: the harbour is closed", &push.commit[..7]);
    eventually("it waits", || said().contains(&waits));
    assert_eq!(stage.answer("s0"), None);
    assert_ne!(stage.facts().fate(&push.commit), Some(Fate::Ran));
}
