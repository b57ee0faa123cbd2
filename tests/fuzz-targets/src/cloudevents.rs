//! CloudEvents: `b` and a batch, or any other letter and one event. The event is read as the contract reads it, too.

use std::fs;

use longshore_events::Event;

use crate::intake::World;
use crate::ready::ready;
use crate::webhook::{again, sound};
use crate::{Seed, files, root};

/// Our own golden events, what must be refused, and all of the golden ones in a batch.
pub(crate) fn seeds() -> Vec<Seed> {
    let mut found = files(&root().join("events/invalid"));
    let mut batch = Vec::new();
    for kind in fs::read_dir(root().join("events/longshore")).unwrap() {
        let kind = kind.unwrap().path();
        for (name, text) in files(&kind.join("v1")).into_iter().filter(|(name, _)| name != "schema.json") {
            batch.extend([if batch.is_empty() { b"["[..].to_vec() } else { b",".to_vec() }, text.clone()]);
            found.push((format!("{}-{name}", kind.file_name().unwrap().display()), text));
        }
    }
    batch.push(b"]".to_vec());
    let one = |(name, text): Seed| (name, [b"s".to_vec(), text].concat());
    let batch = ("batch.json".to_owned(), [b"b".to_vec(), batch.concat()].concat());
    found.into_iter().map(one).chain([batch]).collect()
}

pub(crate) fn run(input: &[u8]) {
    let Some((letter, body)) = input.split_first() else { return };
    let media = match letter {
        b'b' => "application/cloudevents-batch+json",
        _ => "application/cloudevents+json",
    };
    let world = World::new();
    let answer = ready(world.events(&[("content-type", media)], body));
    sound(&world, &answer);
    again(&world, &answer, ready(world.events(&[("content-type", media)], body)).status);
    if let Ok(event) =
        std::str::from_utf8(body).map_err(drop).and_then(|text| Event::from_json(text).map_err(drop))
    {
        assert_eq!(Event::from_json(&event.to_json()).expect("what was read can be written"), event);
    }
}
