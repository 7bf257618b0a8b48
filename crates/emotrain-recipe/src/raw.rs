//! A recipe file as written: sections, keys, values and their places.
//!
//! Nothing is interpreted here. Text that is not TOML is reported and skipped, so that the rest of the file can still
//! be checked.

use std::ops::Range;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};

use crate::problem::{Fault, Position};
use crate::section::{EXTENDS, KNOWLEDGE, Section};
use crate::syntax;

/// The parsed file.
#[derive(Debug, Default)]
pub(crate) struct RawRecipe {
    /// The top-level tables.
    pub(crate) sections: Vec<RawSection>,
    /// The tables `[[knowledge]]`.
    pub(crate) sources: Vec<RawSection>,
    /// The place of `knowledge = []`, which removes the sources of the recipes below.
    pub(crate) cleared: Option<Position>,
    /// `extends = "…"`.
    pub(crate) extends: Option<RawKey>,
    /// Other top-level keys that hold something other than a table.
    pub(crate) strays: Vec<RawKey>,
    /// The places that are not TOML.
    pub(crate) syntax: Vec<(Position, Fault)>,
}

/// One `[section]`.
#[derive(Debug)]
pub(crate) struct RawSection {
    pub(crate) name: String,
    pub(crate) at: Position,
    pub(crate) keys: Vec<RawKey>,
}

/// One `key = value`.
#[derive(Debug)]
pub(crate) struct RawKey {
    pub(crate) name: String,
    pub(crate) at: Position,
    pub(crate) value: RawValue,
    pub(crate) value_at: Position,
    /// The line the value ends on.
    last_line: usize,
    /// Places of the elements of a list or table, in order; empty for other values.
    pub(crate) elements_at: Vec<Position>,
}

/// The value of a key.
#[derive(Debug)]
pub(crate) enum RawValue {
    /// A value.
    Plain(Value),
    /// TOML that cannot be represented.
    Unfit(Fault),
    /// Invalid TOML, which [`RawRecipe::syntax`] reports.
    Damaged,
}

impl RawValue {
    /// The value, if it could be read.
    pub(crate) fn plain(&self) -> Option<&Value> {
        match self {
            Self::Plain(value) => Some(value),
            Self::Unfit(_) | Self::Damaged => None,
        }
    }
}

impl RawRecipe {
    /// Reads as much of `text` as is valid TOML.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = Lines::new(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut raw = Self::default();
        for (name, value) in table.get_ref() {
            let at = lines.position(name.span().start);
            let name_text = name.get_ref().to_string();
            let key = lines.key(&name_text, &name.span(), value);
            match value.get_ref() {
                DeValue::Table(keys) => {
                    raw.sections.push(RawSection { name: name_text, at, keys: lines.keys(keys) });
                }
                DeValue::Array(items) if name_text == KNOWLEDGE.name && items.is_empty() => {
                    raw.cleared = Some(at);
                }
                DeValue::Array(items)
                    if name_text == KNOWLEDGE.name && items.iter().all(|item| item.get_ref().is_table()) =>
                {
                    raw.sources.extend(items.iter().filter_map(|item| lines.item(&name_text, item)));
                }
                DeValue::String(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_) => {
                    if name_text == EXTENDS {
                        raw.extends = Some(key);
                    } else {
                        raw.strays.push(key);
                    }
                }
            }
        }
        for error in errors {
            raw.add_error(&lines, &error);
        }
        raw
    }

    /// Keeps the first error of a value, or of a line outside of values, and marks the value as damaged: the parser's
    /// result for the rest of it is meaningless.
    fn add_error(&mut self, lines: &Lines<'_>, error: &toml::de::Error) {
        let span = error.span().unwrap_or_default();
        let at = lines.position(span.start);
        let tables = self.sections.iter_mut().chain(&mut self.sources);
        let keys = tables.flat_map(|table| &mut table.keys).chain(&mut self.strays).chain(&mut self.extends);
        for key in keys {
            if (key.at.line..=key.last_line).contains(&at.line) {
                if matches!(key.value, RawValue::Damaged) {
                    return;
                }
                key.value = RawValue::Damaged;
            }
        }
        if self.syntax.iter().all(|(earlier, _)| earlier.line != at.line) {
            let found = lines.text.get(span).unwrap_or_default();
            self.syntax.push((at, syntax::fault(error.message(), found, lines.line(at.line))));
        }
    }

    /// Whether the text is not empty and yet has nothing of a recipe: a file of another kind.
    pub(crate) fn is_foreign(&self) -> bool {
        let is_known = |section: &RawSection| Section::find(&section.name).is_some();
        let has_knowledge = !self.sources.is_empty() || self.cleared.is_some();
        let only_extends = self.extends.is_some() && self.syntax.is_empty();
        let has_text = !self.sections.is_empty() || !self.strays.is_empty() || !self.syntax.is_empty();
        has_text && !self.sections.iter().any(is_known) && !has_knowledge && !only_extends
    }

    /// Whether a line of `text`, from which this was parsed, is about a known key.
    pub(crate) fn is_key(&self, line: usize, text: &str) -> bool {
        let above = self.sections.iter().chain(&self.sources).filter(|section| section.at.line <= line);
        let section = above.max_by_key(|section| section.at.line);
        let section = section.and_then(|section| match section.name.as_str() {
            name if name == KNOWLEDGE.name => Some(KNOWLEDGE),
            name => Section::find(name),
        });
        let written =
            text.lines().nth(line - 1).and_then(|line| line.split(['=', ' ']).next()).unwrap_or_default();
        section.is_some_and(|section| section.keys.iter().any(|key| key.name == written.trim()))
    }

    /// The section with this name, if the text has it.
    pub(crate) fn section(&self, name: &str) -> Option<&RawSection> {
        self.sections.iter().find(|section| section.name == name)
    }
}

/// Turns byte ranges into lines and columns.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str) -> Self {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(breaks).collect() }
    }

    fn position(&self, at: usize) -> Position {
        let line = self.starts.partition_point(|&start| start <= at).max(1);
        let before = self.text.get(self.starts[line - 1]..at).unwrap_or_default();
        Position { line, column: before.trim_start_matches('\u{feff}').chars().count() + 1 }
    }

    /// The text of a line, from 1.
    fn line(&self, number: usize) -> &'t str {
        self.text.lines().nth(number - 1).unwrap_or_default()
    }

    fn keys(&self, table: &DeTable<'_>) -> Vec<RawKey> {
        table.iter().map(|(name, value)| self.key(name.get_ref(), &name.span(), value)).collect()
    }

    /// One table of a list of tables.
    fn item(&self, name: &str, item: &Spanned<DeValue<'_>>) -> Option<RawSection> {
        let keys = self.keys(item.get_ref().as_table()?);
        Some(RawSection { name: name.to_owned(), at: self.position(item.span().start), keys })
    }

    fn key(&self, name: &str, span: &Range<usize>, value: &Spanned<DeValue<'_>>) -> RawKey {
        let place = |item: &Spanned<DeValue<'_>>| self.position(item.span().start);
        let elements_at = if let Some(items) = value.get_ref().as_array() {
            items.iter().map(place).collect()
        } else {
            value.get_ref().as_table().into_iter().flatten().map(|(_, item)| place(item)).collect()
        };
        RawKey {
            name: name.to_owned(),
            at: self.position(span.start),
            value: plain(value.get_ref()).map_or_else(RawValue::Unfit, RawValue::Plain),
            value_at: place(value),
            last_line: self.position(value.span().end).line,
            elements_at,
        }
    }
}

/// Removes the places from a value.
///
/// # Errors
///
/// An integer that does not fit in 64 bits.
pub(crate) fn plain(value: &DeValue<'_>) -> Result<Value, Fault> {
    Ok(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(digits) => {
            let number = i64::from_str_radix(digits.as_str(), digits.radix());
            Value::Integer(number.map_err(|_| Fault::new(format!("the number {digits} is too large")))?)
        }
        DeValue::Float(digits) => Value::Float(digits.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Datetime(date) => Value::Datetime(*date),
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| plain(item.get_ref())).collect::<Result<_, _>>()?)
        }
        DeValue::Table(entries) => {
            let entries =
                entries.iter().map(|(name, item)| Ok((name.get_ref().to_string(), plain(item.get_ref())?)));
            Value::Table(entries.collect::<Result<_, Fault>>()?)
        }
    })
}
