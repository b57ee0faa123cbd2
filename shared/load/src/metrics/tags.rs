//! The tags of a value, asked for by name only when somebody wants to know.

use std::borrow::Cow;

/// Whatever has tags.
pub(crate) trait Tagged {
    /// The tag of this name.
    fn tag(&self, name: &str) -> Option<Cow<'_, str>>;
    /// Each tag, in any order; no name twice.
    fn each_tag(&self, each: &mut dyn FnMut(&str, &str));
}

/// Nothing.
pub(crate) struct NoTags;

impl Tagged for NoTags {
    fn tag(&self, _name: &str) -> Option<Cow<'_, str>> {
        None
    }

    fn each_tag(&self, _each: &mut dyn FnMut(&str, &str)) {}
}

/// Tags by name, few of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TagList(Vec<(Box<str>, Box<str>)>);

impl TagList {
    /// Sets a tag, whatever it was.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, known)) => *known = value.into(),
            None => self.0.push((name.into(), value.into())),
        }
    }

    /// Takes a tag away.
    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| **known != *name);
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| **known == *name).map(|(_, value)| &**value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl Tagged for TagList {
    fn tag(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(Cow::Borrowed)
    }

    fn each_tag(&self, each: &mut dyn FnMut(&str, &str)) {
        self.iter().for_each(|(name, value)| each(name, value));
    }
}
