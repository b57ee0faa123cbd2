//! Lists of strangers: however long one is, a bounded part of it is kept, and the rest is counted.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::Refusal;

/// The first `N` of a list, and how many it has. `null` is an empty list: Go writes it so.
#[derive(Debug)]
pub(crate) struct Few<T, const N: usize> {
    pub(crate) items: Vec<T>,
    pub(crate) count: usize,
}

impl<T, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Self { items: Vec::new(), count: 0 }
    }
}

impl<T, const N: usize> Few<T, N> {
    /// Whether something of the list was left out.
    pub(crate) fn cut(&self) -> bool {
        self.count > self.items.len()
    }

    /// The whole list, or a refusal: half of what was said is not what was said.
    pub(crate) fn whole(self, what: &'static str) -> Result<Vec<T>, Refusal> {
        if self.cut() {
            return Err(Refusal::TooMany { what, count: self.count, limit: N });
        }
        Ok(self.items)
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Few<T, N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(List(PhantomData))
    }
}

struct List<T, const N: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for List<T, N> {
    type Value = Few<T, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Few::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut few = Few::default();
        while few.items.len() < N {
            let Some(item) = list.next_element()? else { break };
            few.items.push(item);
        }
        few.count = few.items.len();
        while list.next_element::<IgnoredAny>()?.is_some() {
            few.count += 1;
        }
        Ok(few)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_kept_and_all_are_counted() {
        let few: Few<u8, 3> = serde_json::from_str("[1,2,3,\"x\",[4]]").unwrap();
        assert_eq!((few.items.as_slice(), few.count, few.cut()), (&[1, 2, 3][..], 5, true));
        assert!(matches!(few.whole("numbers"), Err(Refusal::TooMany { count: 5, limit: 3, .. })));
        let few: Few<u8, 3> = serde_json::from_str("[1,2,3]").unwrap();
        assert_eq!(few.whole("numbers").unwrap(), [1, 2, 3]);
        assert_eq!(serde_json::from_str::<Few<u8, 3>>("null").unwrap().count, 0);
        assert!(serde_json::from_str::<Few<u8, 3>>("{}").is_err());
    }
}
