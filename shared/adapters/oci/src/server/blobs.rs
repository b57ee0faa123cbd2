//! Reading blobs, whole or in part.

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use longshore_events::Digest;

use super::{
    Store,
    answer::{Answer, Fault},
    file::FileBody,
};

pub(super) fn get(store: &Store, digest: &Digest, headers: &HeaderMap) -> Result<Response, Fault> {
    let Some((file, size)) = store.open_blob(digest)? else {
        return Err(unknown(digest));
    };
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let answer = |status| Answer::new(status).digest(digest).with(header::ACCEPT_RANGES, "bytes");
    let (answer, first, length) = match range.map_or(Range::Whole, |text| Range::parse(text, size)) {
        Range::Whole => (answer(StatusCode::OK), 0, size),
        Range::Part { first, last } => {
            let range = format!("bytes {first}-{last}/{size}");
            (answer(StatusCode::PARTIAL_CONTENT).with(header::CONTENT_RANGE, &range), first, last - first + 1)
        }
        Range::Beyond => {
            let fault =
                Fault::new(StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID", "the range is beyond the end");
            return Err(fault.with(header::CONTENT_RANGE, &format!("bytes */{size}")));
        }
    };
    let answer = answer.with(header::CONTENT_LENGTH, &length.to_string());
    Ok(answer.body("application/octet-stream", Body::new(FileBody::new(file, first, length))))
}

/// Whoever asks whether a blob is here may leave out to push it.
pub(super) fn head(store: &Store, digest: &Digest) -> Result<Response, Fault> {
    let held = if store.hold(digest)? { store.open_blob(digest)? } else { None };
    let (_, size) = held.ok_or_else(|| unknown(digest))?;
    let answer = Answer::new(StatusCode::OK).digest(digest).with(header::ACCEPT_RANGES, "bytes");
    let answer = answer.with(header::CONTENT_LENGTH, &size.to_string());
    Ok(answer.body("application/octet-stream", Body::empty()))
}

fn unknown(digest: &Digest) -> Fault {
    Fault::not_found("BLOB_UNKNOWN", format!("{digest} is not here"))
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    Whole,
    Part { first: u64, last: u64 },
    Beyond,
}

impl Range {
    /// RFC 9110: a range that is not understood (several, other units) is as if it were not there.
    fn parse(text: &str, size: u64) -> Self {
        let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
            return Self::Whole;
        };
        let bounds = match (first.trim().parse::<u64>(), last.trim()) {
            (Ok(first), "") => Some((first, size.saturating_sub(1))),
            (Ok(first), last) => {
                last.parse::<u64>().ok().map(|last| (first, last.min(size.saturating_sub(1))))
            }
            (Err(_), last) if first.trim().is_empty() => {
                last.parse::<u64>().ok().map(|count| (size.saturating_sub(count), size.saturating_sub(1)))
            }
            (Err(_), _) => None,
        };
        match bounds {
            None => Self::Whole,
            Some((first, last)) if first < size && first <= last => Self::Part { first, last },
            Some(_) => Self::Beyond,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Range;

    #[test]
    fn a_range_is_cut_to_the_blob() {
        assert_eq!(Range::parse("bytes=0-3", 10), Range::Part { first: 0, last: 3 });
        assert_eq!(Range::parse("bytes=4-", 10), Range::Part { first: 4, last: 9 });
        assert_eq!(Range::parse("bytes=-3", 10), Range::Part { first: 7, last: 9 });
        assert_eq!(Range::parse("bytes=5-99", 10), Range::Part { first: 5, last: 9 });
        assert_eq!(Range::parse("bytes=10-", 10), Range::Beyond);
        assert_eq!(Range::parse("bytes=-0", 10), Range::Beyond);
        assert_eq!(Range::parse("bytes=0-", 0), Range::Beyond);
        assert_eq!(Range::parse("lines=1-2", 10), Range::Whole);
        assert_eq!(Range::parse("bytes=1-2,4-5", 10), Range::Whole);
    }
}
