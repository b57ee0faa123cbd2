//! Percent-encoding: GitHub's form-encoded bodies, and attribute values in CloudEvents' headers.

/// Decodes `%XX`, and `+` as a space where `plus` says so. `None` when an escape is cut off or no hexadecimal
/// number.
pub(crate) fn decode(text: &[u8], plus: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'%' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                out.push(hex(digits[0])? << 4 | hex(digits[1])?);
                rest = tail;
            }
            b'+' if plus => out.push(b' '),
            other => out.push(other),
        }
    }
    Some(out)
}

/// The value of a field of an `application/x-www-form-urlencoded` body, still encoded.
pub(crate) fn form_field<'a>(body: &'a [u8], name: &str) -> Option<&'a [u8]> {
    body.split(|&byte| byte == b'&')
        .find_map(|pair| pair.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")))
}

/// The value of two hexadecimal digits each.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    let pair = |pair: &[u8]| Some(hex(pair[0])? << 4 | hex(pair[1])?);
    if bytes.len().is_multiple_of(2) { bytes.chunks_exact(2).map(pair).collect() } else { None }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_bytes_and_broken_ones_nothing() {
        assert_eq!(decode(b"a%20b+c%C3%A9", true).unwrap(), "a b c\u{e9}".as_bytes());
        assert_eq!(decode(b"a+b", false).unwrap(), b"a+b");
        for broken in [&b"%"[..], b"%4", b"%zz", b"ok%0"] {
            assert_eq!(decode(broken, true), None);
        }
    }

    #[test]
    fn a_form_field_is_found_by_its_whole_name() {
        assert_eq!(form_field(b"xpayload=1&payload=%7B%7D&b=2", "payload"), Some(&b"%7B%7D"[..]));
        assert_eq!(form_field(b"payloads=1", "payload"), None);
    }

    #[test]
    fn hexadecimal_needs_an_even_count() {
        assert_eq!(unhex("00fF"), Some(vec![0, 255]));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("+1"), None);
    }
}
