//! What came in over HTTP, without any framework's types.

/// A request to `/hooks/<source>`.
#[derive(Clone)]
pub struct Request<'a> {
    /// The source's name, from the path.
    pub source: &'a str,
    /// What stands after the `?` of the address; empty when nothing does. It may hold a secret.
    pub query: &'a str,
    /// The headers.
    pub headers: Headers,
    /// The raw body: signatures are over these bytes, whatever their encoding.
    pub body: &'a [u8],
}

/// Header fields, found by name whatever its case. The first of several with one name counts.
#[derive(Debug, Clone, Default)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The value of a header, trimmed.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The media type of the body in lower case, without its parameters; empty when there is none.
    pub(crate) fn media_type(&self) -> String {
        let value = self.get("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_whatever_their_case() {
        let headers = Headers::from_iter([("X-GitHub-Event", " push "), ("x-github-event", "ping")]);
        assert_eq!(headers.get("x-gitHUB-event"), Some("push"));
        assert_eq!(headers.get("x-github"), None);
    }

    #[test]
    fn the_media_type_comes_without_parameters() {
        let headers = Headers::from_iter([("Content-Type", "Application/JSON; charset=utf-8")]);
        assert_eq!(headers.media_type(), "application/json");
    }
}
