//! Colours, by what they mean; the codes are left out where the output does not want them.

use std::fmt::Display;

pub(crate) use anstyle::Style;
use anstyle::{AnsiColor, Effects};

/// What went well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What went wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// What is under way.
pub(crate) const BUSY: Style = AnsiColor::Yellow.on_default();
/// What can be typed or opened.
pub(crate) const NAME: Style = AnsiColor::Cyan.on_default();
/// What matters less.
pub(crate) const FAINT: Style = Style::new().effects(Effects::DIMMED);
/// What matters more.
pub(crate) const STRONG: Style = Style::new().effects(Effects::BOLD);
/// Plain text.
pub(crate) const PLAIN: Style = Style::new();

/// `text` in `style`; the codes are left out where the output does not want them.
pub(crate) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}
