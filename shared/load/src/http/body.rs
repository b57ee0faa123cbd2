//! Bodies of answers: how far they go, and as much of them as is kept.

use super::error::HttpError;
use super::head::Framing;

/// The most bytes of a body that are kept.
const MOST: u64 = 256 << 20;
/// The longest line of a chunk's size, with its extensions.
const LINE: usize = 8 << 10;

/// A body that is arriving.
#[derive(Debug)]
pub(crate) struct Incoming {
    framing: Framing,
    keep: bool,
    kept: Vec<u8>,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// So many more bytes of data.
    Data(u64),
    /// Data until the connection ends.
    Rest,
    /// The line with a chunk's size, as far as it came.
    Size(Vec<u8>),
    /// The line's end behind a chunk.
    Gap(Vec<u8>),
    /// Lines behind the last chunk: the line so far, and all bytes of them.
    Trailer(Vec<u8>, usize),
    Done,
}

impl Incoming {
    pub(crate) fn new(framing: Framing, keep: bool) -> Result<Self, HttpError> {
        let state = match framing {
            Framing::Empty | Framing::Length(0) => State::Done,
            Framing::Length(length) if keep && length > MOST => return Err(HttpError::TooLarge(MOST)),
            Framing::Length(length) => State::Data(length),
            Framing::Chunked => State::Size(Vec::new()),
            Framing::Close => State::Rest,
        };
        let expected = match framing {
            // Only as much as may well arrive: the rest is asked for when it does.
            Framing::Length(length) if keep => usize::try_from(length.min(1 << 20)).unwrap_or(0),
            _ => 0,
        };
        Ok(Self { framing, keep, kept: Vec::with_capacity(expected), state })
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// What was kept, once the body is done.
    pub(crate) fn into_kept(self) -> Vec<u8> {
        self.kept
    }

    /// Takes what belongs to the body from the begin of these bytes, and says how many that were.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<usize, HttpError> {
        let mut at = 0;
        while at < bytes.len() && !self.is_done() {
            at += self.step(&bytes[at..])?;
        }
        Ok(at)
    }

    /// The connection has ended.
    pub(crate) fn end(&mut self) -> Result<(), HttpError> {
        if self.state == State::Rest {
            self.state = State::Done;
        }
        if self.is_done() { Ok(()) } else { Err(HttpError::Closed) }
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        if !self.keep {
            return Ok(());
        }
        if self.kept.len() as u64 + bytes.len() as u64 > MOST {
            return Err(HttpError::TooLarge(MOST));
        }
        self.kept.extend_from_slice(bytes);
        Ok(())
    }

    fn step(&mut self, bytes: &[u8]) -> Result<usize, HttpError> {
        match &mut self.state {
            State::Data(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= count as u64;
                let chunk_done = *left == 0;
                self.keep(&bytes[..count])?;
                if chunk_done {
                    self.state =
                        if self.framing == Framing::Chunked { State::Gap(Vec::new()) } else { State::Done };
                }
                Ok(count)
            }
            State::Rest => self.keep(bytes).map(|()| bytes.len()),
            State::Size(line) => {
                let count = take_line(line, bytes)?;
                if line.ends_with(b"\n") {
                    self.state = match chunk_size(line)? {
                        0 => State::Trailer(Vec::new(), 0),
                        size => State::Data(size),
                    };
                }
                Ok(count)
            }
            State::Gap(line) => {
                let count = take_line(line, bytes)?;
                if line.ends_with(b"\n") {
                    if !matches!(line.as_slice(), b"\r\n" | b"\n") {
                        return Err(HttpError::Malformed("a chunk is longer than its size".to_owned()));
                    }
                    self.state = State::Size(Vec::new());
                }
                Ok(count)
            }
            State::Trailer(line, size) => {
                let count = take_line(line, bytes)?;
                *size += count;
                if *size > LINE * 8 {
                    return Err(HttpError::Malformed("the trailer is too long".to_owned()));
                }
                if line.ends_with(b"\n") {
                    let last = matches!(line.as_slice(), b"\r\n" | b"\n");
                    line.clear();
                    if last {
                        self.state = State::Done;
                    }
                }
                Ok(count)
            }
            State::Done => Ok(0),
        }
    }
}

/// Appends up to the line's end.
fn take_line(line: &mut Vec<u8>, bytes: &[u8]) -> Result<usize, HttpError> {
    let count = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |at| at + 1);
    if line.len() + count > LINE {
        return Err(HttpError::Malformed("a line of a chunked body is too long".to_owned()));
    }
    line.extend_from_slice(&bytes[..count]);
    Ok(count)
}

fn chunk_size(line: &[u8]) -> Result<u64, HttpError> {
    let wrong = || HttpError::Malformed("invalid byte in chunk length".to_owned());
    let text = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    let digits = !text.is_empty() && text.len() <= 15 && text.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(text).ok().filter(|_| digits).ok_or_else(wrong)?;
    u64::from_str_radix(text, 16).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(framing: Framing, text: &str, step: usize) -> Result<(String, usize), HttpError> {
        let mut body = Incoming::new(framing, true)?;
        let mut used = 0;
        for part in text.as_bytes().chunks(step) {
            let count = body.take(part)?;
            used += count;
            if count < part.len() {
                break;
            }
        }
        if !body.is_done() {
            body.end()?;
        }
        Ok((String::from_utf8(body.into_kept()).unwrap(), used))
    }

    #[test]
    fn a_body_ends_where_its_framing_says_however_it_arrives() {
        let chunked =
            "4;x=y\r\nWiki\r\n6\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nTrailer: x\r\n\r\nrest";
        for step in 1..chunked.len() {
            let (text, used) = read(Framing::Chunked, chunked, step).unwrap();
            assert_eq!((text.as_str(), used), ("Wikipedia in \r\n\r\nchunks.", chunked.len() - 4), "{step}");
        }
        assert_eq!(read(Framing::Length(3), "abcdef", 2).unwrap(), ("abc".to_owned(), 3));
        assert_eq!(read(Framing::Close, "abcdef", 4).unwrap().0, "abcdef");
        assert_eq!(read(Framing::Empty, "abc", 3).unwrap().1, 0);
    }

    #[test]
    fn a_body_that_breaks_off_or_lies_is_an_error() {
        assert_eq!(read(Framing::Length(9), "abc", 3), Err(HttpError::Closed));
        assert_eq!(read(Framing::Chunked, "3\r\nab", 9), Err(HttpError::Closed));
        for bad in ["x\r\n", "-1\r\n", "3\r\nabcd\r\n", "ffffffffffffffffff\r\n", "\r\n"] {
            assert!(matches!(read(Framing::Chunked, bad, 9), Err(HttpError::Malformed(_))), "{bad}");
        }
        assert_eq!(Incoming::new(Framing::Length(u64::MAX), true).err(), Some(HttpError::TooLarge(MOST)));
        let mut huge = Incoming::new(Framing::Length(u64::MAX), false).unwrap();
        assert_eq!(huge.take(b"abc"), Ok(3));
    }
}
