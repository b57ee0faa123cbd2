//! Answers from strangers, in any bytes and any pieces: never a panic, and the same whatever the pieces.

use proptest::collection::vec;
use proptest::prelude::*;

use super::body::Incoming;
use super::error::HttpError;
use super::head::Head;

/// Status, body and how many bytes belong to the answer.
type Read = Result<Option<(u16, Vec<u8>, usize)>, HttpError>;

/// Reads an answer of which `pieces` arrive one after the other.
fn read(pieces: &[&[u8]]) -> Read {
    let mut seen = Vec::new();
    let mut pieces = pieces.iter();
    let (head, length) = loop {
        let Some(piece) = pieces.next() else { return Ok(None) };
        seen.extend_from_slice(piece);
        if let Some(found) = Head::parse(&seen)? {
            break found;
        }
    };
    let mut body = Incoming::new(head.framing(false)?, true)?;
    let mut used = length;
    let first = seen.split_off(length);
    for piece in std::iter::once(first.as_slice()).chain(pieces.copied()) {
        let count = body.take(piece)?;
        used += count;
        if count < piece.len() || body.is_done() {
            break;
        }
    }
    if !body.is_done() {
        body.end()?;
    }
    Ok(Some((head.status, body.into_kept(), used)))
}

/// Bytes that are nearly an answer.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![
        Just("Transfer-Encoding: chunked\r\n".to_owned()),
        (0_u32..40).prop_map(|length| format!("Content-Length: {length}\r\n")),
        "[A-Za-z-]{1,12}: ?[ -~]{0,20}\r\n",
        Just("Connection: close\r\n".to_owned()),
        Just("\r".to_owned()),
    ];
    let body = prop_oneof![
        vec(any::<u8>(), 0..60),
        (1_usize..20, any::<bool>()).prop_map(|(size, ends)| {
            let end = if ends { "0\r\n\r\n" } else { "" };
            format!("{size:x};x\r\n{}\r\n{end}rest", "y".repeat(size)).into_bytes()
        }),
    ];
    ("HTTP/1\\.[01] [0-9]{3} ?[A-Za-z ]{0,9}\r?\n", vec(field, 0..5), body).prop_map(
        |(line, fields, body)| [line.as_bytes(), fields.concat().as_bytes(), b"\r\n", &body].concat(),
    )
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300), cut in 0_usize..300) {
        let (first, rest) = bytes.split_at(cut.min(bytes.len()));
        let _ = read(&[first, rest]);
    }

    #[test]
    fn the_pieces_of_an_answer_make_no_difference(bytes in answers(), step in 1_usize..9) {
        let pieces: Vec<&[u8]> = bytes.chunks(step).collect();
        let (whole, apart) = (read(&[&bytes]), read(&pieces));
        // What is wrong may be seen earlier, or said in other words.
        prop_assert_eq!(whole.clone().ok(), apart.clone().ok(), "{:?} {:?}", whole, apart);
    }
}
