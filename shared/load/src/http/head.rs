//! The heads of messages of HTTP/1.1 (RFC 9112): how a request's is written, and an answer's read.

use std::mem::MaybeUninit;

use super::error::HttpError;

/// The head of an answer, as it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    raw: Box<[u8]>,
    /// Places of names and values in `raw`.
    fields: Box<[[u32; 4]]>,
    pub(crate) status: u16,
    pub(crate) minor: u8,
    reason: [u32; 2],
    /// Which of the fields that matter to us are there, so that others are not looked for.
    there: There,
}

/// Fields that say how an answer is read.
#[derive(Debug, Clone, Copy, Default)]
struct There {
    transfer_encoding: bool,
    connection: bool,
    content_encoding: bool,
    set_cookie: bool,
}

impl There {
    fn note(&mut self, name: &str) {
        let flag = match name.len() {
            17 => (&mut self.transfer_encoding, "transfer-encoding"),
            10 if name.as_bytes()[0] | 0x20 == b'c' => (&mut self.connection, "connection"),
            16 => (&mut self.content_encoding, "content-encoding"),
            10 => (&mut self.set_cookie, "set-cookie"),
            _ => return,
        };
        *flag.0 |= name.eq_ignore_ascii_case(flag.1);
    }
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Empty,
    Length(u64),
    Chunked,
    /// By the end of the connection.
    Close,
}

/// The most bytes of a head, as of Go's client.
pub(super) const LONGEST: usize = 10 << 20;
const FIELDS: usize = 64;
const MOST_FIELDS: usize = 200_000;

impl Head {
    /// Reads a head from the begin of these bytes, with how many belong to it; `None` when more are needed.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, HttpError> {
        let mut few = [MaybeUninit::uninit(); FIELDS];
        match Self::parse_into(bytes, &mut few) {
            Err(httparse::Error::TooManyHeaders) => {
                // Each field takes four bytes at least.
                let most = (bytes.len() / 4 + 1).min(MOST_FIELDS);
                Self::parse_into(bytes, &mut vec![MaybeUninit::uninit(); most])
            }
            other => other,
        }
        .map_err(|error| HttpError::Malformed(error.to_string()))
    }

    fn parse_into<'b>(
        bytes: &'b [u8],
        fields: &mut [MaybeUninit<httparse::Header<'b>>],
    ) -> Result<Option<(Self, usize)>, httparse::Error> {
        let mut response = httparse::Response::new(&mut []);
        let mut config = httparse::ParserConfig::default();
        config.allow_spaces_after_header_name_in_responses(true);
        let parsed = config.parse_response_with_uninit_headers(&mut response, bytes, fields)?;
        let httparse::Status::Complete(length) = parsed else {
            return Ok(None);
        };
        let start = bytes.as_ptr() as usize;
        #[expect(clippy::cast_possible_truncation, reason = "heads are at most 10 MiB")]
        let place = |part: &[u8]| {
            let from = part.as_ptr() as usize - start;
            [from as u32, (from + part.len()) as u32]
        };
        let mut there = There::default();
        let fields = response.headers.iter().map(|field| {
            there.note(field.name);
            let ([a, b], [c, d]) = (place(field.name.as_bytes()), place(field.value));
            [a, b, c, d]
        });
        let reason =
            response.reason.filter(|text| !text.is_empty()).map_or([0, 0], |text| place(text.as_bytes()));
        let fields = fields.collect();
        let head = Self {
            there,
            fields,
            status: response.code.unwrap_or(0),
            minor: response.version.unwrap_or(1),
            reason,
            raw: bytes[..length].into(),
        };
        Ok(Some((head, length)))
    }

    fn text(&self, from: u32, to: u32) -> &[u8] {
        self.raw.get(from as usize..to as usize).unwrap_or_default()
    }

    /// Names and values, as they came.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, std::borrow::Cow<'_, str>)> {
        self.fields.iter().map(|[a, b, c, d]| {
            let name = std::str::from_utf8(self.text(*a, *b)).unwrap_or_default();
            (name, String::from_utf8_lossy(self.text(*c, *d)))
        })
    }

    /// The values of a field.
    pub(crate) fn all<'a>(&'a self, wanted: &'a str) -> impl Iterator<Item = std::borrow::Cow<'a, str>> {
        self.fields
            .iter()
            .filter(move |[a, b, ..]| self.text(*a, *b).eq_ignore_ascii_case(wanted.as_bytes()))
            .map(|[_, _, c, d]| String::from_utf8_lossy(self.text(*c, *d)))
    }

    /// The first value of a field.
    pub(crate) fn get<'a>(&'a self, wanted: &'a str) -> Option<std::borrow::Cow<'a, str>> {
        self.all(wanted).next()
    }

    /// What stands behind the status.
    pub(crate) fn reason(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.text(self.reason[0], self.reason[1]))
    }

    /// How the body of this answer ends (RFC 9112, section 6.3).
    pub(crate) fn framing(&self, to_head: bool) -> Result<Framing, HttpError> {
        if to_head || self.status == 204 || self.status == 304 || self.status < 200 {
            return Ok(Framing::Empty);
        }
        if let Some(coding) = self.there.transfer_encoding.then(|| self.get("transfer-encoding")).flatten() {
            let last = coding.rsplit(',').next().unwrap_or_default().trim();
            return if last.eq_ignore_ascii_case("chunked") {
                Ok(Framing::Chunked)
            } else {
                Err(HttpError::Malformed(format!("unsupported transfer encoding {coding:?}")))
            };
        }
        let mut lengths = self.all("content-length");
        let Some(first) = lengths.next() else { return Ok(Framing::Close) };
        let wrong = || HttpError::Malformed(format!("bad Content-Length {first:?}"));
        let digits = !first.is_empty() && first.bytes().all(|b| b.is_ascii_digit());
        if !digits || lengths.any(|other| other != first) {
            return Err(wrong());
        }
        first.parse().map(Framing::Length).map_err(|_| wrong())
    }

    /// Whether it sets cookies.
    pub(crate) fn has_cookies(&self) -> bool {
        self.there.set_cookie
    }

    /// Whether its body is encoded.
    pub(crate) fn is_encoded(&self) -> bool {
        self.there.content_encoding
    }

    /// Whether the connection may be used again.
    pub(crate) fn keeps(&self) -> bool {
        if !self.there.connection {
            return self.minor > 0;
        }
        let has = |token: &str| {
            self.all("connection")
                .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
        };
        if self.minor == 0 { has("keep-alive") } else { !has("close") }
    }
}

/// A field's name as Go's library writes it: `content-type` is `Content-Type`.
pub(crate) fn canonical(name: &str) -> String {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !name.bytes().all(is_token) {
        return name.to_owned();
    }
    let mut upper = true;
    let letter = |c: char| {
        let made = if upper { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        upper = c == '-';
        made
    };
    name.chars().map(letter).collect()
}

/// Appends a field, if it is one; what could end the field early is refused.
pub(crate) fn push_field(out: &mut Vec<u8>, name: &str, value: &str) -> Result<(), HttpError> {
    if name.is_empty() || name.bytes().any(|b| b <= b' ' || b == b':' || b == 0x7f) {
        return Err(HttpError::Malformed(format!("invalid header field name {name:?}")));
    }
    if value.bytes().any(|b| b == b'\r' || b == b'\n' || b == 0) {
        return Err(HttpError::Malformed(format!("invalid header field value for {name:?}")));
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        Head::parse(text.as_bytes()).unwrap().unwrap().0
    }

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let text = "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nX-A: 1\r\nx-a: 2\r\n\r\nhello";
        for cut in 0..text.len() - 5 {
            assert!(Head::parse(&text.as_bytes()[..cut]).unwrap().is_none(), "{cut}");
        }
        let (head, length) = Head::parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!((head.status, length), (404, text.len() - 5));
        assert_eq!(head.reason(), "Not Found");
        assert_eq!(head.all("X-A").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(head.framing(false), Ok(Framing::Length(5)));
        assert!(head.keeps());
    }

    #[test]
    fn the_end_of_a_body_is_known_from_the_head() {
        let chunked =
            head("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 3\r\n\r\n");
        assert_eq!(chunked.framing(false), Ok(Framing::Chunked));
        assert_eq!(head("HTTP/1.0 200 OK\r\n\r\n").framing(false), Ok(Framing::Close));
        assert_eq!(
            head("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n").framing(false),
            Ok(Framing::Empty)
        );
        assert_eq!(head("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").framing(true), Ok(Framing::Empty));
        for bad in ["Content-Length: -1", "Content-Length: 1\r\nContent-Length: 2", "Transfer-Encoding: gzip"]
        {
            assert!(head(&format!("HTTP/1.1 200 OK\r\n{bad}\r\n\r\n")).framing(false).is_err(), "{bad}");
        }
    }

    #[test]
    fn many_fields_are_read_and_rubbish_is_not() {
        let many = "x-y: z\r\n".repeat(100_000);
        assert_eq!(head(&format!("HTTP/1.1 200 OK\r\n{many}\r\n")).fields().count(), 100_000);
        assert!(Head::parse(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").is_err());
        assert!(!head("HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\n").keeps());
        assert!(!head("HTTP/1.0 200 OK\r\n\r\n").keeps());
    }

    #[test]
    fn names_are_written_as_go_writes_them() {
        assert_eq!(canonical("content-TYPE"), "Content-Type");
        assert_eq!(canonical("x y"), "x y");
        let mut out = Vec::new();
        assert!(push_field(&mut out, "a", "b\r\nc: d").is_err());
        assert!(push_field(&mut out, "a b", "c").is_err());
        push_field(&mut out, "A", "b").unwrap();
        assert_eq!(out, b"A: b\r\n");
    }
}
