//! URLs, as far as a client needs them: absolute, `http` or `https`.

use std::fmt;

/// A checked URL. What may not stand in a URL is percent-encoded; the fragment is kept apart, and never sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    /// Without the name and password of a user.
    text: String,
    /// As it was given, with stars in the place of a name and a password.
    pub(crate) given: String,
    pub(crate) tls: bool,
    /// In lower case; an IPv6 address without its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Where the path begins in the text.
    path: usize,
    pub(crate) user: Option<(String, String)>,
}

impl Url {
    /// # Errors
    /// A message that says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("invalid URL {text:?}: {what}");
        let trimmed = text.trim();
        let (scheme, rest) =
            trimmed.split_once("://").ok_or_else(|| wrong("it must begin with http:// or https://"))?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(wrong("only http and https are supported")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user.split_once(':').unwrap_or((user, ""))), place),
            None => (None, authority),
        };
        let (host, port) = split_port(place).ok_or_else(|| wrong("the port must be a number up to 65535"))?;
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let letters = |c: char| c.is_ascii_alphanumeric() || ['-', '.', '_', ':', '%'].contains(&c);
        if bare.is_empty() || !bare.chars().all(letters) {
            return Err(wrong("the host must be a name in ASCII or an address"));
        }
        let mut made = format!("{}://{place}", if tls { "https" } else { "http" });
        let path = made.len();
        if !target.starts_with('/') {
            made.push('/');
        }
        encode_into(&mut made, target);
        let given = match trimmed.split_once(authority).filter(|_| user.is_some()) {
            Some((before, after)) => format!("{before}****:****@{place}{after}"),
            None => trimmed.to_owned(),
        };
        Ok(Self {
            text: made,
            given,
            tls,
            host: bare,
            port: port.unwrap_or(if tls { 443 } else { 80 }),
            path,
            user: user.map(|(name, password)| (decode(name), decode(password))),
        })
    }

    /// Where a redirect leads.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub(crate) fn join(&self, location: &str) -> Result<Self, String> {
        if location.contains("://") {
            return Self::parse(location);
        }
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", if self.tls { "https" } else { "http" }));
        }
        let origin = &self.text[..self.path];
        if location.starts_with('/') {
            return Self::parse(&format!("{origin}{location}"));
        }
        let path = self.target().split('?').next().unwrap_or("/");
        if location.starts_with('?') {
            return Self::parse(&format!("{origin}{path}{location}"));
        }
        let folder = &path[..=path.rfind('/').unwrap_or(0)];
        let (relative, query) = location.split_at(location.find('?').unwrap_or(location.len()));
        Self::parse(&format!("{origin}{}{query}", without_dots(&format!("{folder}{relative}"))))
    }

    /// What stands in the request line: path and query.
    pub(crate) fn target(&self) -> &str {
        &self.text[self.path..]
    }

    /// Without the query.
    pub(crate) fn path(&self) -> &str {
        self.target().split('?').next().unwrap_or("/")
    }

    /// What stands in the header Host: host and port as written.
    pub(crate) fn authority(&self) -> &str {
        let start = if self.tls { 8 } else { 7 };
        &self.text[start..self.path]
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn split_port(place: &str) -> Option<(&str, Option<u16>)> {
    // The colons of an IPv6 address stand in brackets.
    match place.rfind(':').filter(|at| !place[*at..].contains(']')) {
        Some(at) if place[at + 1..].is_empty() => Some((&place[..at], None)),
        Some(at) => place[at + 1..].parse().ok().map(|port| (&place[..at], Some(port))),
        None => Some((place, None)),
    }
}

/// Encodes what may not stand in a path or a query; what is encoded already stays.
fn encode_into(made: &mut String, target: &str) {
    for byte in target.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            made.push(char::from(byte));
        } else {
            made.push_str(&format!("%{byte:02X}"));
        }
    }
}

fn decode(text: &str) -> String {
    let (bytes, mut made) = (text.as_bytes(), Vec::new());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text
            .get(at + 1..at + 3)
            .filter(|_| bytes[at] == b'%')
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        made.push(hex.unwrap_or(bytes[at]));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&made).into_owned()
}

fn without_dots(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    let folder = if path.ends_with("/..") || path.ends_with("/.") { "/" } else { "" };
    format!("/{}{folder}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let url = Url::parse("HTTP://me:s%20x@Example.com:8080/a b?q=ä#frag").unwrap();
        assert_eq!((url.host.as_str(), url.port, url.tls), ("example.com", 8080, false));
        assert_eq!(url.target(), "/a%20b?q=%C3%A4");
        assert_eq!(url.authority(), "Example.com:8080");
        assert_eq!(url.user, Some(("me".to_owned(), "s x".to_owned())));
        assert_eq!(url.as_str(), "http://Example.com:8080/a%20b?q=%C3%A4");
        assert_eq!(url.given, "HTTP://****:****@Example.com:8080/a b?q=ä#frag");
        let six = Url::parse("https://[::1]?x").unwrap();
        assert_eq!((six.host.as_str(), six.port, six.target()), ("::1", 443, "/?x"));
        for wrong in ["", "example.com", "ftp://x", "http://", "http://a:99999/", "http://a b/", "http://ä/"]
        {
            assert!(Url::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn redirects_lead_where_they_say() {
        let url = Url::parse("http://a/b/c?d").unwrap();
        for (location, to) in [
            ("/x", "http://a/x"),
            ("x", "http://a/b/x"),
            ("../x?y", "http://a/x?y"),
            ("?y", "http://a/b/c?y"),
            ("//e/f", "http://e/f"),
            ("https://e/", "https://e/"),
        ] {
            assert_eq!(url.join(location).unwrap().as_str(), to, "{location}");
        }
    }
}
