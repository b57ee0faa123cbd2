//! Webhooks: a letter that stands for the source (the first is `a`), header lines, an empty line, the body.
//!
//! Whoever fuzzes has the secret: the proof is made for each input, so that what lies behind it is reached.

use crate::Seed;
use crate::intake::{SOURCES, World, sample, samples};
use crate::ready::ready;
use longshore_events::Event;
use longshore_intake::Answer;

/// Every sample of the providers.
pub(crate) fn seeds() -> Vec<Seed> {
    let seed = |name: String| {
        let (headers, body) = sample(&name);
        let source = name.split('/').next().unwrap();
        let at = SOURCES.iter().position(|known| *known == source).expect("a source for the samples' folder");
        let mut input = vec![b'a' + u8::try_from(at).unwrap()];
        for (name, value) in headers {
            input.extend(format!("{name}: {value}\n").bytes());
        }
        input.push(b'\n');
        input.extend(body);
        (name.replace('/', "-"), input)
    };
    samples().into_iter().map(seed).collect()
}

pub(crate) fn run(input: &[u8]) {
    let Some((&letter, rest)) = input.split_first() else { return };
    let source = SOURCES[usize::from(letter.wrapping_sub(b'a')) % SOURCES.len()];
    let end = rest.windows(2).position(|two| two == b"\n\n");
    let (head, body) = end.map_or((rest, &[][..]), |end| (&rest[..end], &rest[end + 2..]));
    let head = String::from_utf8_lossy(head);
    let field = |line| <str>::split_once(line, ':').map(|(name, value)| (name.trim(), value.trim()));
    let headers: Vec<(&str, &str)> = head.lines().filter_map(field).collect();
    let world = World::new();
    let answer = ready(world.genuine(source, &headers, body));
    assert_ne!(answer.status, 401, "{source}: {answer:?}");
    sound(&world, &answer);
    again(&world, &answer, ready(world.genuine(source, &headers, body)).status);
}

/// Whatever was answered is true of the journal, and what is kept is an event of the contract.
pub(crate) fn sound(world: &World, answer: &Answer) {
    assert!(answer.status < 300 || answer.code.is_some(), "{answer:?}");
    assert!(answer.status == 202 || answer.accepted.is_empty(), "{answer:?}");
    assert!(answer.status < 300 || world.is_untouched(), "{answer:?}");
    let kept = world.kept();
    assert!(answer.accepted.iter().all(|id| kept.iter().any(|event| event.id == *id)), "{answer:?}");
    for event in &kept {
        let text = event.to_json();
        assert!(text.len() <= 200 * 1024, "{text}");
        assert_eq!(&Event::from_json(&text).expect("what is kept can be read"), event);
    }
}

/// The same once more was answered with `status`: it is the same events.
pub(crate) fn again(world: &World, first: &Answer, status: u16) {
    let ids: Vec<_> = world.kept().into_iter().map(|event| event.id).collect();
    assert!(status == first.status || status == 200, "first {first:?}, then {status}");
    assert!(ids.iter().all(|id| first.accepted.contains(id)), "first {first:?}, then {ids:?}");
}
