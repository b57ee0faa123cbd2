//! Quotes and variables in a Dockerfile's words, after BuildKit's `shell/lex.go`.
//!
//! `$X`, `${X}`, and `${X:-default}`, `${X:+other}`, `${X:?message}` with or without the colon are served; other
//! forms are refused. Depth and length are bounded: `ENV A=$A$A`, forty times, would fill the memory, and so would
//! `ENV B=$A`, `ENV C=$A` and so on, where `A` is long.

use std::{cell::Cell, iter::Peekable, str::Chars};

/// The longest expanded word, in bytes.
const LENGTH: usize = 64 << 10;
/// What all words of a Dockerfile may expand to, in bytes: four times what it may have itself.
pub(super) const TOTAL: usize = 4 << 20;
/// How deep `${A:-${B:-…}}` may nest.
const DEPTH: u32 = 16;

/// Expands words; knows the escape character and the variables.
pub(super) struct Expander<'a> {
    pub(super) escape: char,
    pub(super) lookup: &'a dyn Fn(&str) -> Option<String>,
    /// How many bytes of [`TOTAL`] are left.
    pub(super) left: &'a Cell<usize>,
}

impl Expander<'_> {
    /// `text` with its quotes removed and its variables replaced.
    pub(super) fn word(&self, text: &str) -> Result<String, String> {
        let word = self.until(&mut text.chars().peekable(), None, 0)?;
        let left = self.left.get().checked_sub(word.len());
        self.left
            .set(left.ok_or_else(|| format!("variables make more than {TOTAL} bytes of this Dockerfile"))?);
        Ok(word)
    }

    fn until(
        &self,
        rest: &mut Peekable<Chars<'_>>,
        stop: Option<char>,
        depth: u32,
    ) -> Result<String, String> {
        let mut out = String::new();
        if depth > DEPTH {
            return Err("variables are nested too deep".to_owned());
        }
        while let Some(&c) = rest.peek() {
            if Some(c) == stop {
                return Ok(out);
            }
            rest.next();
            match c {
                '\'' => single_quoted(rest, &mut out)?,
                '"' => self.double_quoted(rest, &mut out, depth)?,
                '$' => out.push_str(&self.dollar(rest, depth)?),
                c if c == self.escape => out.push(rest.next().unwrap_or(c)),
                c => out.push(c),
            }
            short(&out)?;
        }
        if stop.is_some() { Err("a `${` has no `}`".to_owned()) } else { Ok(out) }
    }

    fn double_quoted(
        &self,
        rest: &mut Peekable<Chars<'_>>,
        out: &mut String,
        depth: u32,
    ) -> Result<(), String> {
        loop {
            match rest.next().ok_or("a quote is not closed")? {
                '"' => return Ok(()),
                '$' => {
                    out.push_str(&self.dollar(rest, depth)?);
                    short(out)?;
                }
                c if c == self.escape => match rest.next() {
                    Some(next) if next == '"' || next == '$' || next == self.escape => out.push(next),
                    Some(next) => out.extend([c, next]),
                    None => out.push(c),
                },
                c => out.push(c),
            }
        }
    }

    fn dollar(&self, rest: &mut Peekable<Chars<'_>>, depth: u32) -> Result<String, String> {
        if rest.next_if_eq(&'{').is_none() {
            let name = name(rest);
            return Ok(if name.is_empty() { "$".to_owned() } else { self.value(&name).unwrap_or_default() });
        }
        let name = name(rest);
        if name.is_empty() {
            return Err("`${` needs a variable's name".to_owned());
        }
        if rest.next_if_eq(&'}').is_some() {
            return Ok(self.value(&name).unwrap_or_default());
        }
        let colon = rest.next_if_eq(&':').is_some();
        let operator = rest.next().ok_or("a `${` has no `}`")?;
        let word = self.until(rest, Some('}'), depth + 1)?;
        rest.next();
        let value = self.value(&name).filter(|value| !(colon && value.is_empty()));
        match (operator, value) {
            ('-' | '?', Some(value)) => Ok(value),
            ('-', None) | ('+', Some(_)) => Ok(word),
            ('+', None) => Ok(String::new()),
            ('?', None) => Err(format!("{name} is not set: {word}")),
            _ => Err(format!("`${{{name}` may be followed by :-, :+ or :? only")),
        }
    }

    fn value(&self, name: &str) -> Option<String> {
        (self.lookup)(name)
    }

    /// The `NAME=value` pairs of `ENV` and `LABEL`, values expanded; also the old form `NAME the rest`.
    pub(super) fn pairs(&self, text: &str) -> Result<Vec<(String, String)>, String> {
        let words = split(text, self.escape)?;
        if words.first().is_none_or(|word| !word.contains('=')) {
            let (name, value) = text.trim().split_once([' ', '\t']).ok_or("it needs NAME=value")?;
            return Ok(vec![(self.word(name)?, self.word(value.trim())?)]);
        }
        words.iter().map(|word| self.pair(word)).collect()
    }

    fn pair(&self, word: &str) -> Result<(String, String), String> {
        let (name, value) = word.split_once('=').ok_or_else(|| format!("{word:?} needs a `=`"))?;
        let name = self.word(name)?;
        if name.is_empty() {
            return Err(format!("{word:?} needs a name before the `=`"));
        }
        Ok((name, self.word(value)?))
    }
}

/// Refuses a word that became too long, before it becomes longer.
fn short(word: &str) -> Result<(), String> {
    if word.len() > LENGTH { Err(format!("a word is longer than {LENGTH} bytes")) } else { Ok(()) }
}

fn single_quoted(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    loop {
        match rest.next().ok_or("a quote is not closed")? {
            '\'' => return Ok(()),
            c => out.push(c),
        }
    }
}

fn name(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut name = String::new();
    while let Some(c) = rest.next_if(|c| c.is_ascii_alphabetic() || *c == '_' || c.is_ascii_digit()) {
        name.push(c);
    }
    name
}

/// Splits at spaces outside quotes; quotes and escapes stay.
pub(super) fn split(text: &str, escape: char) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (c, quote) {
            (c, None) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (c, open) if c == escape && open != Some('\'') => {
                word.push(c);
                word.extend(rest.next());
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}
