//! What a run says while it goes on, a line each, in the form that k6's users know (logfmt).

use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

/// Where lines go, and when the clock stood where.
pub(crate) struct Log {
    sink: Mutex<Box<dyn Write + Send>>,
    verbose: bool,
    started: SystemTime,
    begun: Instant,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("verbose", &self.verbose).finish_non_exhaustive()
    }
}

impl Log {
    /// `started` is what the clock says now.
    pub(crate) fn new(sink: Box<dyn Write + Send>, verbose: bool, started: SystemTime) -> Self {
        Self { sink: Mutex::new(sink), verbose, started, begun: Instant::now() }
    }

    /// What the clock says at this moment of the run.
    pub(crate) fn clock(&self, at: Instant) -> jiff::Timestamp {
        let since = at.saturating_duration_since(self.begun);
        jiff::Timestamp::try_from(self.started + since).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// Says something; `fields` follow the message.
    pub(crate) fn say(&self, level: &str, message: &str, fields: &[(&str, &str)]) {
        if level == "debug" && !self.verbose {
            return;
        }
        let time = self.clock(Instant::now());
        let time = time.strftime("%Y-%m-%dT%H:%M:%SZ");
        let mut line = format!("time=\"{time}\" level={level} msg={}", quoted(message));
        for (name, value) in fields {
            let _ = write!(line, " {name}={}", quoted(value));
        }
        line.push('\n');
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody is left to be told that nobody listens.
        let _ = sink.write_all(line.as_bytes());
    }
}

/// As logfmt writes a value: bare where it has nothing special.
fn quoted(value: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "-._/@^+".contains(c);
    if !value.is_empty() && value.chars().all(bare) {
        return value.to_owned();
    }
    let mut made = String::with_capacity(value.len() + 2);
    made.push('"');
    for c in value.chars() {
        match c {
            '"' => made.push_str("\\\""),
            '\\' => made.push_str("\\\\"),
            '\n' => made.push_str("\\n"),
            '\r' => made.push_str("\\r"),
            '\t' => made.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(made, "\\x{:02x}", u32::from(c));
            }
            c => made.push(c),
        }
    }
    made.push('"');
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_they_must_be() {
        for (value, said) in [("a-b", "a-b"), ("a b", "\"a b\""), ("", "\"\""), ("x\"\n", "\"x\\\"\\n\"")] {
            assert_eq!(quoted(value), said);
        }
    }
}
