//! A freeze: what may run waits, and people are told for what, and until when.

use longshore_cli::demo::facts::Fate;

use crate::stage::{Stage, eventually};

fn said_of(stage: &Stage) -> String {
    String::from_utf8(stage.longshore(&["status"]).stdout).unwrap()
}

#[test]
fn within_a_freeze_what_is_built_waits_and_says_why_until_somebody_who_may_overrides_that() {
    let freeze = "[[environment.freeze]]\nfrom = \"2026-01-01\"\nuntil = \"2096-12-31\"\nwhy = \"the harbour is closed\"\n\
                  zone = \"Europe/Berlin\"\n";
    let people = "[[person]]\nname = \"ann\"\noverrides = [\"live\"]\n[[person]]\nname = \"rose\"\n";
    let stage = Stage::set(1, &format!("{freeze}{people}"));
    let [ann, rose] = [("ann", "the-token-of-ann"), ("rose", "the-token-of-rose")].map(|(name, token)| {
        stage.keep_secret(name, token);
        token
    });
    let push = stage.push(0, 0);
    let waits =
        format!("s0: {} waits until 2096-12-31T23:00:00Z: frozen: the harbour is closed", &push.commit[..7]);
    eventually("it waits", || said_of(&stage).contains(&waits));
    assert_eq!(stage.answer("s0"), None);
    assert_ne!(stage.facts().fate(&push.commit), Some(Fate::Ran));

    let over = ["approve", "s0", "--override-window", "--why", "the shop is down"];
    for (token, words, why) in [
        (rose, &over[..], "LS0306"),
        (rose, &["approve", "s0"], "nothing of \"s0\" waits for approval"),
        (ann, &over[..3], "--why"),
        (ann, &["approve", "s1", "--override-window", "--why", "x"], "waits for a window"),
    ] {
        let said = stage.as_person(token, words);
        assert!(!said.good && said.text.contains(why), "{}", said.text);
    }
    assert_eq!(stage.answer("s0"), None, "none of these was a word");
    let said = stage.as_person(ann, &over);
    assert!(said.good && said.text.contains("overrides the window"), "{}", said.text);
    stage.runs(&push.commit);
    let timeline = String::from_utf8(stage.longshore(&["timeline", &push.commit]).stdout).unwrap();
    for line in ["ann approved", "begins, ann overrides the window: the shop is down"] {
        assert!(timeline.contains(line), "{timeline}");
    }
    let next = stage.push(0, 1);
    let waits = format!("s0: {} waits until", &next.commit[..7]);
    eventually("the next one waits: a word is for one image", || said_of(&stage).contains(&waits));
}
