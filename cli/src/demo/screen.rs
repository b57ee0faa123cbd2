//! What is shown while the demo plays: on a terminal a line that moves, and a line for each scene that is over.

use std::io::{IsTerminal as _, stderr, stdout};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::args::Output;
use crate::commands::style::{BAD, FAINT, GOOD, STRONG};
use crate::commands::{line, paint, span};

/// A scene that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    /// Its name.
    pub(super) name: &'static str,
    /// Whether it went as it should.
    pub(super) ok: bool,
    /// How long it took.
    pub(super) ms: u64,
}

/// The screen.
pub(super) struct Screen {
    output: Output,
    bar: Option<ProgressBar>,
}

impl Screen {
    /// A screen; with the output for programs it stays empty.
    pub(super) fn new(output: Output) -> Self {
        let bar = (output == Output::Table && stdout().is_terminal() && stderr().is_terminal()).then(bar);
        Self { output, bar }
    }

    /// One line, or several.
    pub(super) fn say(&self, text: impl std::fmt::Display) {
        if self.output == Output::Table {
            let print = || drop(line(text));
            match &self.bar {
                Some(bar) => bar.suspend(print),
                None => print(),
            }
        }
    }

    /// A scene begins.
    pub(super) fn begin(&self, name: &'static str) {
        if let Some(bar) = &self.bar {
            bar.set_prefix(format!("{name:<12}"));
            bar.reset();
            bar.set_message("");
            bar.enable_steady_tick(Duration::from_millis(80));
        }
    }

    /// What goes on in the scene.
    pub(super) fn now(&self, text: &str, (sent, failed): (usize, usize)) {
        if let Some(bar) = &self.bar {
            let requests =
                if sent == 0 { String::new() } else { format!("  {sent} requests, {failed} failed") };
            bar.set_message(format!("{text}{}", paint(FAINT, requests)));
        }
    }

    /// A scene is over, and what is to tell of it.
    pub(super) fn end(&self, step: &Step, told: &[String]) {
        if let Some(bar) = &self.bar {
            bar.disable_steady_tick();
            bar.finish_and_clear();
        }
        let mark = if step.ok { paint(GOOD, "✓") } else { paint(BAD, "✗") };
        let took = paint(FAINT, format!("{:>6}", span(i64::try_from(step.ms).unwrap_or(i64::MAX))));
        let mut told = told.iter();
        let first = told.next().map_or("", String::as_str);
        self.say(format!("  {mark} {} {took}  {first}", paint(STRONG, format!("{:<12}", step.name))));
        told.for_each(|more| self.say(format!("  {:21}  {}", "", paint(FAINT, more))));
    }
}

fn bar() -> ProgressBar {
    let template = "  {spinner:.cyan} {prefix:.bold} {elapsed:>6}  {msg}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new_spinner()
        .with_style(style.tick_strings(&["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏", " "]))
}
