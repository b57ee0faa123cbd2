//! What every translation is given, what it gives back, and how it treats the texts of strangers.

use jiff::Timestamp;
use longshore_events::{ChainId, Data, Event, EventId, Link, RepositoryName};
use longshore_policy::Policy;
use sha2::{Digest as _, Sha256};

use crate::Refusal;
use crate::request::Headers;
use crate::tags::Tagged;

/// Of more reasons to ignore something than these, the sender is told how many.
const MAX_REASONS: usize = 10;

/// What a translation needs to know.
pub(crate) struct Hearing<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) headers: &'a Headers,
    pub(crate) now: Timestamp,
    /// The name of the source.
    pub(crate) source: &'a str,
    /// What it speaks, as events name it.
    pub(crate) provider: &'static str,
}

impl Hearing<'_> {
    /// A header that must be there.
    pub(crate) fn needed(&self, name: &'static str) -> Result<&str, Refusal> {
        self.headers.get(name).ok_or_else(|| Refusal::header(name, "it is missing"))
    }

    /// A provider's id in a header, fit to be part of an event's id.
    pub(crate) fn id(&self, name: &'static str) -> Result<Option<String>, Refusal> {
        let Some(id) = self.headers.get(name) else { return Ok(None) };
        if is_id(id) {
            return Ok(Some(id.to_owned()));
        }
        Err(Refusal::header(name, "not 1 to 200 printable ASCII characters"))
    }

    /// A provider's id in a header that must be there.
    pub(crate) fn needed_id(&self, name: &'static str) -> Result<String, Refusal> {
        self.id(name)?.ok_or_else(|| Refusal::header(name, "it is missing"))
    }

    /// The body as text, when its type is `wanted`.
    pub(crate) fn json<'b>(&self, body: &'b [u8], wanted: &'static str) -> Result<&'b str, Refusal> {
        let media = self.headers.media_type();
        if wanted.split(" or ").all(|one| one != media) {
            return Err(Refusal::ContentType { given: brief(&media), wanted });
        }
        std::str::from_utf8(body).map_err(|_| Refusal::NotUtf8)
    }

    /// Why an event of the provider is ignored that nothing is made of.
    pub(crate) fn nothing_of(&self, event: &str) -> Heard {
        Heard::ignored(self.makes_nothing_of(event))
    }

    /// As [`Hearing::nothing_of`], where there is more than that.
    pub(crate) fn makes_nothing_of(&self, event: &str) -> String {
        format!("ignored: Longshore makes nothing of {:?} events of {}", brief(event), self.provider)
    }
}

/// What was understood of a request.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) events: Vec<Event>,
    /// Tags that were pushed; whether that is news, the journal knows.
    pub(crate) tags: Vec<Tagged>,
    /// Functions and their units that have something to see: work that they started came to its end.
    pub(crate) hints: Vec<(&'static str, String)>,
    /// Why something of it makes no event.
    pub(crate) ignored: Vec<String>,
    /// How often something was ignored beyond what [`Heard::ignored`] says.
    pub(crate) silent: usize,
}

impl Heard {
    pub(crate) fn event(event: Event) -> Self {
        Self { events: vec![event], ..Self::default() }
    }

    pub(crate) fn ignored(why: impl Into<String>) -> Self {
        Self { ignored: vec![why.into()], ..Self::default() }
    }

    /// Says once why something makes no event.
    pub(crate) fn ignore(&mut self, why: String) {
        if self.ignored.len() < MAX_REASONS && !self.ignored.contains(&why) {
            self.ignored.push(why);
        } else {
            self.silent += 1;
        }
    }
}

/// An event from outside, the first of its chain.
pub(crate) fn first(
    id: String,
    source: String,
    subject: String,
    time: Timestamp,
    data: Data,
) -> Result<Event, Refusal> {
    let link = Link { chain: ChainId::new(&id).map_err(Refusal::unusable)?, cause: None };
    Ok(Event {
        id: EventId::new(id).map_err(Refusal::unusable)?,
        source,
        subject,
        time,
        link,
        traceparent: None,
        dryrun: false,
        data,
    })
}

/// The event in the chain of its subject, which other events from outside belong to as well.
pub(crate) fn in_chain(event: Event, chain: &str) -> Result<Event, Refusal> {
    let chain = ChainId::new(chain).map_err(Refusal::unusable)?;
    Ok(Event { link: Link { chain, ..event.link }, ..event })
}

/// The repository, when the configuration knows it; else why the event is ignored.
pub(crate) fn known(policy: &Policy, name: &str) -> Result<RepositoryName, String> {
    let repository = RepositoryName::new(name).ok().filter(|name| policy.repository(name).is_some());
    repository.ok_or_else(|| {
        let names: Vec<_> = policy.repositories.iter().take(20).map(|known| known.name.as_str()).collect();
        format!(
            "ignored: no repository {:?} in the configuration; it knows {}",
            brief(name),
            names.join(", ")
        )
    })
}

/// Whether a provider's id can be part of an event's id.
pub(crate) fn is_id(id: &str) -> bool {
    (1..=200).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Stands for content that has no id of its own: 32 hexadecimal digits, the same for the same parts.
pub(crate) fn stands_for(parts: &[&str]) -> String {
    use std::fmt::Write as _;
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_string());
        hash.update(":");
        hash.update(part);
    }
    hash.finalize().iter().take(16).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The start of a text that a stranger may have made long, in one line that does nothing to a terminal.
pub(crate) fn brief(text: &str) -> String {
    shown(text, 100)
}

/// At most `most` characters of a text, in one line that does nothing to a terminal.
pub(crate) fn shown(text: &str, most: usize) -> String {
    let plain = |char: char| if char.is_control() { ' ' } else { char };
    text.chars().take(most).map(plain).collect()
}

/// An address that may be kept: user and password are cut out; what is no address is dropped.
pub(crate) fn without_credentials(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let fits = url.len() <= 2_000 && !url.chars().any(char::is_control);
    (fits && matches!(scheme, "https" | "http" | "ssh" | "git")).then(|| format!("{scheme}://{host}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_cut_out_of_addresses() {
        for (given, kept) in [
            ("https://github.com/acme/shop.git", Some("https://github.com/acme/shop.git")),
            ("https://user:p@ss@host/acme/shop.git", Some("https://host/acme/shop.git")),
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("git@github.com:acme/shop.git", None),
            ("https://host/\u{1b}[2J", None),
            ("ext::sh -c id", None),
            ("javascript://x", None),
        ] {
            assert_eq!(without_credentials(given).as_deref(), kept, "{given}");
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(stands_for(&["ab", "c"]), stands_for(&["a", "bc"]));
        assert_eq!(stands_for(&["a", "b"]).len(), 32);
    }

    #[test]
    fn texts_are_cut_and_do_nothing_to_a_terminal() {
        assert_eq!(shown("a\u{1b}[31m\nb", 5), "a [31");
    }
}
