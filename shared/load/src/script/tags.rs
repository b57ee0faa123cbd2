//! The tags of what a VU counts.

use std::borrow::Cow;
use std::rc::Rc;

use crate::metrics::{TagList, Tagged};

/// Tags of the VU with some of the value's own.
pub(crate) struct WithTags<'a> {
    pub(crate) base: &'a TagList,
    pub(crate) own: &'a TagList,
}

impl Tagged for WithTags<'_> {
    fn tag(&self, name: &str) -> Option<Cow<'_, str>> {
        self.own.get(name).or_else(|| self.base.get(name)).map(Cow::Borrowed)
    }

    fn each_tag(&self, each: &mut dyn FnMut(&str, &str)) {
        self.own.iter().for_each(|(name, value)| each(name, value));
        let rest = self.base.iter().filter(|(name, _)| self.own.get(name).is_none());
        rest.for_each(|(name, value)| each(name, value));
    }
}

/// Tags of a check.
pub(crate) struct CheckTags<'a> {
    pub(crate) of: WithTags<'a>,
    /// The check's name, where that is a tag.
    pub(crate) check: Option<&'a str>,
}

impl Tagged for CheckTags<'_> {
    fn tag(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.check {
            Some(check) if name == "check" => Some(Cow::Borrowed(check)),
            _ => self.of.tag(name),
        }
    }

    fn each_tag(&self, each: &mut dyn FnMut(&str, &str)) {
        if let Some(check) = self.check {
            each("check", check);
        }
        self.of.each_tag(&mut |name, value| {
            if name != "check" || self.check.is_none() {
                each(name, value);
            }
        });
    }
}

/// Tags of a request and its answer. Those that the system sets stand above the request's own, except for its name.
pub(crate) struct HttpTags<'a> {
    pub(crate) base: &'a Rc<TagList>,
    pub(crate) own: &'a TagList,
    pub(crate) system: SystemTags,
    pub(crate) method: &'a str,
    pub(crate) url: &'a str,
    pub(crate) name: &'a str,
    pub(crate) status: u16,
    pub(crate) proto: &'a str,
    pub(crate) tls_version: &'a str,
    pub(crate) error: &'a str,
    pub(crate) error_code: u32,
    /// `None` where nobody judges answers.
    pub(crate) expected: Option<bool>,
}

impl HttpTags<'_> {
    fn of_system(&self, name: &str) -> Option<Cow<'_, str>> {
        let text = |text: &'_ str| (!text.is_empty()).then(|| Cow::Owned(text.to_owned()));
        match name {
            "expected_response" => self.expected.map(|yes| Cow::Borrowed(if yes { "true" } else { "false" })),
            "status" => Some(Cow::Owned(self.status.to_string())),
            "method" => text(self.method),
            "url" => text(self.url),
            "name" => text(self.name),
            "proto" => text(self.proto),
            "tls_version" => text(self.tls_version),
            "error" => text(self.error),
            "error_code" => (self.error_code != 0).then(|| Cow::Owned(self.error_code.to_string())),
            _ => None,
        }
    }

    const NAMES: [&'static str; 9] = [
        "expected_response",
        "status",
        "method",
        "url",
        "name",
        "proto",
        "tls_version",
        "error",
        "error_code",
    ];
}

impl Tagged for HttpTags<'_> {
    fn tag(&self, name: &str) -> Option<Cow<'_, str>> {
        if self.system.has(name)
            && let Some(found) = self.of_system(name)
        {
            return Some(found);
        }
        self.own.get(name).or_else(|| self.base.get(name)).map(Cow::Borrowed)
    }

    fn each_tag(&self, each: &mut dyn FnMut(&str, &str)) {
        let mut seen: Vec<&str> = Vec::new();
        for name in Self::NAMES {
            if self.system.has(name)
                && let Some(value) = self.of_system(name)
            {
                each(name, &value);
                seen.push(name);
            }
        }
        let rest = self.own.iter().chain(self.base.iter().filter(|(name, _)| self.own.get(name).is_none()));
        rest.filter(|(name, _)| !seen.contains(name)).for_each(|(name, value)| each(name, value));
    }
}

/// Which of the system's tags are set, a bit for each.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemTags(u32);

impl SystemTags {
    pub(crate) fn new(listed: &[String]) -> Self {
        Self(listed.iter().map(|name| bit(name)).fold(0, |all, one| all | one))
    }

    pub(crate) fn has(self, name: &str) -> bool {
        self.0 & bit(name) != 0
    }
}

/// The bit of those that the engine sets; none of others.
fn bit(name: &str) -> u32 {
    let mut known = HttpTags::NAMES.iter().chain(&["group", "scenario", "check"]);
    known.position(|one| *one == name).map_or(0, |place| 1 << place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_tags_stand_above_a_requests_own() {
        let mut base = TagList::default();
        base.set("group", "::a");
        base.set("x", "base");
        let (base, mut own) = (Rc::new(base), TagList::default());
        own.set("x", "own");
        own.set("status", "no");
        let system = SystemTags::new(&["status".to_owned(), "method".to_owned()]);
        let tags = HttpTags {
            base: &base,
            own: &own,
            system,
            method: "GET",
            url: "u",
            name: "n",
            status: 200,
            proto: "",
            tls_version: "",
            error: "",
            error_code: 0,
            expected: Some(true),
        };
        let mut all = Vec::new();
        tags.each_tag(&mut |name, value| all.push(format!("{name}={value}")));
        all.sort();
        assert_eq!(all, ["group=::a", "method=GET", "status=200", "x=own"]);
        assert_eq!(tags.tag("status").as_deref(), Some("200"));
        assert_eq!(tags.tag("url"), None);
    }
}
