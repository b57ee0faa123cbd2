//! Reads the keys of one table, by its spec: kinds, defaults, what is missing, what is unknown.

use std::collections::BTreeMap;

use toml_span::value::{Table, ValueInner};
use toml_span::{Span, Spanned, Value};

use crate::fault::{Code, Faults, Wrong};
use crate::policy::Probe;
use crate::spec::{ALL, Kind, Need, Spec};
use crate::suggest::{nearest, quoted};
use crate::watch::{self, Watch};
use crate::{rules, units};

static EMPTY: Table<'static> = Table::new();

/// The keys of one table. What it returns is `None` when the key is not there and has no default, or when it is wrong,
/// which was then noted.
pub(crate) struct Keys<'a> {
    table: &'a Table<'a>,
    spec: &'static Spec,
    span: Span,
    faults: &'a Faults<'a>,
}

impl<'a> Keys<'a> {
    /// The keys of a table that is there: notes what is missing and what is unknown.
    pub(crate) fn open(
        table: &'a Table<'a>,
        spec: &'static Spec,
        span: Span,
        faults: &'a Faults<'a>,
    ) -> Self {
        let keys = Self { table, spec, span, faults };
        table.keys().filter(|key| spec.key(&key.name).is_none()).for_each(|key| keys.note_unknown(key));
        for key in spec.keys.iter().filter(|key| matches!(key.need, Need::Required) && !keys.has(key.name)) {
            let message = format!("`{}` is missing in {}: add {}", key.name, spec.title, key.kind.wanted());
            faults.add_at_head(span, Wrong::new(Code::MissingKey, message));
        }
        keys
    }

    /// The keys of a table that is not there: their defaults.
    pub(crate) fn defaults(spec: &'static Spec, faults: &'a Faults<'a>) -> Self {
        Self { table: &EMPTY, spec, span: Span::default(), faults }
    }

    fn note_unknown(&self, key: &toml_span::value::Key<'_>) {
        let name = key.name.as_ref();
        let suggestion = nearest(name, self.spec.names());
        let home = ALL.iter().find(|spec| spec.key(name).is_some());
        let more = match (suggestion, home) {
            (Some(_), _) => String::new(),
            (None, Some(home)) => format!(": it belongs into {}", home.title),
            (None, None) => format!(": known are {}", self.spec.names().collect::<Vec<_>>().join(", ")),
        };
        let message =
            format!("unknown key `{}` in {}{more}", quoted(name).trim_matches('"'), self.spec.title);
        self.faults.add(key.span, Wrong::new(Code::UnknownKey, message).suggest(suggestion));
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Whether a table is at `name`.
    pub(crate) fn is_table(&self, name: &str) -> bool {
        self.table.get(name).is_some_and(|value| value.as_table().is_some())
    }

    /// Whether nothing is listed at `name`: no such key, or an empty list.
    pub(crate) fn lists_nothing(&self, name: &str) -> bool {
        self.table.get(name).is_none_or(|value| value.as_array().is_some_and(Vec::is_empty))
    }

    /// Notes a fault of the value of `name`.
    pub(crate) fn note(&self, name: &str, wrong: Wrong) {
        match self.table.get(name) {
            Some(value) if value.as_table().is_some() => self.faults.add_at_head(value.span, wrong),
            Some(value) => self.faults.add(value.span, wrong),
            None => self.faults.add_at_head(self.span, wrong),
        }
    }

    fn kept<T>(&self, span: Span, result: Result<T, Wrong>) -> Option<T> {
        result.map_err(|wrong| self.faults.add(span, wrong)).ok()
    }

    fn wrong_type<T>(&self, name: &str, value: &Value<'_>) -> Option<T> {
        let wanted = self.spec.key(name).map_or("", |key| key.kind.wanted());
        let found = value.as_ref().type_str();
        let article = if found.starts_with(['a', 'i']) { "an" } else { "a" };
        let wrong = Wrong::new(Code::WrongType, format!("`{name}` is {article} {found}: write {wanted}"));
        match value.as_ref() {
            ValueInner::Table(_) => self.faults.add_at_head(value.span, wrong),
            _ => self.faults.add(value.span, wrong),
        }
        None
    }

    fn default(&self, name: &str) -> &'static Need {
        self.spec.key(name).map_or(&Need::Optional, |key| &key.need)
    }

    pub(crate) fn text(&self, name: &str) -> Option<Spanned<&'a str>> {
        match (self.table.get(name), self.default(name)) {
            (Some(value), _) => match value.as_str() {
                Some(text) => Some(Spanned::with_span(text, value.span)),
                None => self.wrong_type(name, value),
            },
            (None, Need::Text(text)) => Some(Spanned::with_span(*text, self.span)),
            (None, _) => None,
        }
    }

    /// A text that a rule gives its meaning.
    pub(crate) fn parsed<T>(&self, name: &str, rule: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        let text = self.text(name)?;
        self.kept(text.span, rule(text.value))
    }

    /// A duration in milliseconds.
    pub(crate) fn millis(&self, name: &str) -> Option<u64> {
        let Kind::Duration(least) = self.spec.key(name)?.kind else { return None };
        self.parsed(name, |text| units::duration(text, least))
    }

    /// A size in bytes.
    pub(crate) fn bytes(&self, name: &str) -> Option<usize> {
        let Kind::Size(least) = self.spec.key(name)?.kind else { return None };
        self.parsed(name, |text| units::size(text, least)).and_then(|size| usize::try_from(size).ok())
    }

    pub(crate) fn count(&self, name: &str) -> Option<u32> {
        let Some(value) = self.table.get(name) else {
            return if let Need::Count(count) = self.default(name) { Some(*count) } else { None };
        };
        let Some(number) = value.as_integer() else { return self.wrong_type(name, value) };
        let count = u32::try_from(number).ok().filter(|count| (1..=1000).contains(count));
        let wrong =
            || Wrong::new(Code::InvalidQuantity, format!("{number} is out of range: write 1 to 1000"));
        self.kept(value.span, count.ok_or_else(wrong))
    }

    /// A share of the traffic, in percent.
    pub(crate) fn weight(&self, name: &str) -> Option<u8> {
        let value = self.table.get(name)?;
        let Some(number) = value.as_integer() else { return self.wrong_type(name, value) };
        let weight = u8::try_from(number).ok().filter(|weight| *weight <= 100);
        let wrong = || Wrong::new(Code::InvalidQuantity, format!("{number} is out of range: write 0 to 100"));
        self.kept(value.span, weight.ok_or_else(wrong))
    }

    pub(crate) fn texts(&self, name: &str) -> Option<Vec<Spanned<&'a str>>> {
        let Some(value) = self.table.get(name) else {
            let Need::Texts(texts) = self.default(name) else { return None };
            return Some(texts.iter().map(|text| Spanned::with_span(*text, self.span)).collect());
        };
        let Some(list) = value.as_array() else { return self.wrong_type(name, value) };
        let texts = list.iter().map(|item| match item.as_str() {
            Some(text) => Some(Spanned::with_span(text, item.span)),
            None => self.wrong_type(name, item),
        });
        all(texts)
    }

    /// Texts that a rule gives their meaning.
    pub(crate) fn each<T>(&self, name: &str, rule: impl Fn(&str) -> Result<T, Wrong>) -> Option<Vec<T>> {
        all(self.texts(name)?.into_iter().map(|text| self.kept(text.span, rule(text.value))))
    }

    /// `true`, or globs; the inner `None` when neither is there.
    #[expect(
        clippy::option_option,
        reason = "what is wrong is none, as everywhere here; and there may be neither"
    )]
    pub(crate) fn all_or_globs(&self, name: &str) -> Option<Option<Watch>> {
        let Some(value) = self.table.get(name) else { return Some(None) };
        match value.as_ref() {
            ValueInner::Boolean(all) => Some(all.then(Watch::default)),
            ValueInner::Array(_) => {
                let globs = self.each(name, watch::glob)?;
                Some((!globs.is_empty()).then(|| Watch::of(globs)))
            }
            _ => self.wrong_type(name, value),
        }
    }

    pub(crate) fn command(&self, name: &str) -> Option<Vec<String>> {
        let value = self.table.get(name)?;
        let command = match value.as_ref() {
            ValueInner::String(line) => rules::shell(line),
            ValueInner::Array(_) => {
                rules::command(self.texts(name)?.into_iter().map(|word| word.value.to_owned()).collect())
            }
            _ => return self.wrong_type(name, value),
        };
        self.kept(value.span, command)
    }

    pub(crate) fn map(
        &self,
        name: &str,
        rule: impl Fn(&str, &str) -> Result<(String, String), Wrong>,
    ) -> Option<BTreeMap<String, String>> {
        let Some(value) = self.table.get(name) else { return Some(BTreeMap::new()) };
        let Some(table) = value.as_table() else { return self.wrong_type(name, value) };
        let entries = table.iter().map(|(key, value)| match value.as_str() {
            Some(text) => self.kept(key.span, rule(&key.name, text)),
            None => self.wrong_type(name, value),
        });
        all(entries).map(|entries: Vec<_>| entries.into_iter().collect())
    }

    /// The table at `name`; its defaults when it is not there.
    pub(crate) fn table(&self, name: &str) -> Option<Keys<'a>> {
        let (Kind::Table(spec) | Kind::Probe(spec) | Kind::Strategy(spec)) = self.spec.key(name)?.kind else {
            return None;
        };
        let Some(value) = self.table.get(name) else { return Some(Self::defaults(spec, self.faults)) };
        match value.as_table() {
            Some(table) => Some(Self::open(table, spec, value.span, self.faults)),
            None => self.wrong_type(name, value),
        }
    }

    /// The tables at `name`.
    pub(crate) fn tables(&self, name: &str) -> Vec<Keys<'a>> {
        let Some((value, key)) = self.table.get(name).zip(self.spec.key(name)) else { return Vec::new() };
        let (Some(list), Kind::Tables(spec)) = (value.as_array(), &key.kind) else {
            self.wrong_type::<()>(name, value);
            return Vec::new();
        };
        let open = |item: &'a Value<'a>| match item.as_table() {
            Some(table) => Some(Self::open(table, spec, item.span, self.faults)),
            None => self.wrong_type(name, item),
        };
        list.iter().filter_map(open).collect()
    }

    /// The probe at `name`, written as a path or as a table; its defaults when it is not there.
    pub(crate) fn probe(&self, name: &str) -> Option<Probe> {
        let Kind::Probe(spec) = self.spec.key(name)?.kind else { return None };
        let (keys, path) = if self.table.get(name).is_some_and(|value| value.as_str().is_some()) {
            (Self::defaults(spec, self.faults), self.parsed(name, rules::probe_path))
        } else {
            let keys = self.table(name)?;
            let path = keys.parsed("path", rules::probe_path);
            (keys, path)
        };
        let (interval, timeout, failures) =
            (keys.millis("interval"), keys.millis("timeout"), keys.count("failures"));
        Some(Probe { path, interval_ms: interval?, timeout_ms: timeout?, failures: failures? })
    }
}

/// All of them, or none; looks at each, so that each notes its fault.
fn all<T>(items: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let items: Vec<Option<T>> = items.collect();
    items.into_iter().collect()
}
