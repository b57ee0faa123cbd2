//! What is wrong with a configuration, and where.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

use serde::{Serialize, Serializer};
use toml_span::Span;

use crate::url;

/// The stable number of a kind of fault; each has its heading in `docs/errors.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The text is not TOML.
    Syntax,
    /// A key that no version of the configuration has.
    UnknownKey,
    /// A number where a text is due, one table where a list of them is due, and so on.
    WrongType,
    /// A key without a default is not there.
    MissingKey,
    /// A name that breaks its rule.
    InvalidName,
    /// Two things of one kind have one name.
    Duplicate,
    /// A provider or a strategy that does not exist.
    UnknownChoice,
    /// A repository or a service that nothing defines.
    UnknownReference,
    /// A duration, a size or a count that cannot be read or is out of its range.
    InvalidQuantity,
    /// A path that leads out of its folder, or is none.
    InvalidPath,
    /// A glob that cannot be read, or can never match.
    InvalidGlob,
    /// An address to clone from that git is not to be given.
    InvalidUrl,
    /// A password or token inside the configuration.
    Credentials,
    /// A command without words, or one that no system can run.
    InvalidCommand,
    /// A key that says how to build, in a service that is not built.
    NotBuilt,
    /// An address to listen on that is none, or is taken twice.
    InvalidAddress,
    /// No service at all, or an environment without one.
    NothingToRun,
    /// Two services are built into one image.
    SharedImage,
    /// An environment variable or build argument that cannot be set.
    InvalidVariable,
    /// The file is not UTF-8.
    NotText,
    /// A key that says how a forge is asked, in a repository that is at none; or a forge without an address to clone from.
    NotAtForge,
    /// Environments whose order makes no sense.
    Promotion,
    /// Manifests that come from nowhere, or from two places.
    Manifests,
    /// The parts of a strategy do not fit together.
    InvalidStrategy,
    /// Who is asked what releases do, and what, do not fit together.
    InvalidMetrics,
    /// What is no public key, or one of another kind than ECDSA on P-256.
    InvalidKey,
    /// A signer with no key or with two, or an environment that requires signatures which nobody may give.
    InvalidSigner,
    /// A window or a freeze that is no span of time, or on no clock.
    InvalidCalendar,
    /// A cluster that is named in two ways, or a service that has nothing to apply there.
    InvalidCluster,
}

impl Code {
    /// Every code, in the order of their numbers.
    pub const ALL: [Self; 29] = [
        Self::Syntax,
        Self::UnknownKey,
        Self::WrongType,
        Self::MissingKey,
        Self::InvalidName,
        Self::Duplicate,
        Self::UnknownChoice,
        Self::UnknownReference,
        Self::InvalidQuantity,
        Self::InvalidPath,
        Self::InvalidGlob,
        Self::InvalidUrl,
        Self::Credentials,
        Self::InvalidCommand,
        Self::NotBuilt,
        Self::InvalidAddress,
        Self::NothingToRun,
        Self::SharedImage,
        Self::InvalidVariable,
        Self::NotText,
        Self::NotAtForge,
        Self::Promotion,
        Self::Manifests,
        Self::InvalidStrategy,
        Self::InvalidMetrics,
        Self::InvalidKey,
        Self::InvalidSigner,
        Self::InvalidCalendar,
        Self::InvalidCluster,
    ];
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LS{:04}", 101 + *self as usize)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One thing that is wrong with a configuration. Its `Display` is one line: place, code, message, suggestion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{file}:{line}:{column}: error[{code}]: {message}{}", hint(suggestion.as_deref()))]
pub struct Fault {
    /// What kind of fault it is.
    pub code: Code,
    /// The file, as the caller named it.
    pub file: String,
    /// Where it is, in bytes of the text; always within it, and on the boundaries of characters.
    pub span: Range<usize>,
    /// The line where it begins, from 1.
    pub line: usize,
    /// The column where it begins, in characters, from 1.
    pub column: usize,
    /// What is wrong and what to do, in lower case.
    pub message: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
    /// The lines around it may hold a secret: show the message, never the text.
    pub confidential: bool,
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map(|text| format!("; did you mean `{text}`?")).unwrap_or_default()
}

/// A rule that a value breaks, before its place is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    code: Code,
    message: String,
    suggestion: Option<String>,
    confidential: bool,
}

impl Wrong {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), suggestion: None, confidential: false }
    }

    pub(crate) fn suggest(self, suggestion: Option<impl Into<String>>) -> Self {
        Self { suggestion: suggestion.map(Into::into), ..self }
    }

    pub(crate) fn confidential(self) -> Self {
        Self { confidential: true, ..self }
    }
}

/// Collects the faults of one text. Shared by all who read it, hence the cell.
pub(crate) struct Faults<'a> {
    text: &'a str,
    file: &'a str,
    list: RefCell<Vec<Fault>>,
}

impl<'a> Faults<'a> {
    pub(crate) fn new(text: &'a str, file: &'a str) -> Self {
        Self { text, file, list: RefCell::default() }
    }

    /// Notes that what stands at `span` is wrong.
    pub(crate) fn add(&self, span: Span, wrong: Wrong) {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.floor_char_boundary(span.end).max(start);
        let (line, column) = self.place(start);
        let fault = Fault {
            code: wrong.code,
            file: self.file.to_owned(),
            span: start..end,
            line,
            column,
            message: wrong.message,
            suggestion: wrong.suggestion,
            confidential: wrong.confidential || self.lines(start..end).lines().any(url::may_hold_credentials),
        };
        self.list.borrow_mut().push(fault);
    }

    /// Notes that the table at `span` is wrong: its first line stands for it.
    pub(crate) fn add_at_head(&self, span: Span, wrong: Wrong) {
        let start = self.text.floor_char_boundary(span.start);
        let head = self.text[start..].find(['\n', '\r']).map_or(self.text.len(), |length| start + length);
        self.add(Span::new(start, span.end.min(head)), wrong);
    }

    /// The line that `offset` lies in, from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.place(self.text.floor_char_boundary(offset)).0
    }

    fn place(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// The whole lines that `span` touches.
    fn lines(&self, span: Range<usize>) -> &'a str {
        let start = self.text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
        let end = self.text[span.end..].find('\n').map_or(self.text.len(), |length| span.end + length);
        &self.text[start..end]
    }

    /// All faults, in the order of their places.
    pub(crate) fn into_sorted(self) -> Vec<Fault> {
        let mut list = self.list.into_inner();
        list.sort_by_key(|fault| (fault.span.start, fault.span.end, fault.code));
        list
    }
}
