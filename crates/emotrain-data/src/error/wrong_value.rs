//! Values of another type than their key takes.

use std::borrow::Cow;
use std::fmt;

use serde_json::value::RawValue;

/// At most this many characters of a text are shown.
const SHOWN: usize = 40;

/// A value of the wrong type, with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongValue {
    /// The utterance or message, with a colon; else empty.
    pub place: String,
    /// The key, as spelt in the file.
    pub key: String,
    /// What it takes.
    pub wanted: Wanted,
    /// What it has.
    pub found: Found,
}

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// What somebody said.
    Text,
    /// An id, or the name of a speaker.
    Name,
    /// A label's name or number.
    Label,
    /// A number, counted from 0.
    Position,
    /// Any number.
    Number,
    /// The name of a split.
    Split,
    /// Several texts.
    Texts,
    /// Several values.
    List,
}

/// What a file has instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// `null`
    Null,
    /// `true` or `false`
    Flag(bool),
    /// As it is written.
    Number(String),
    /// The beginning of it.
    Text(String),
    /// `[…]`
    List,
    /// `{…}`
    Object,
}

impl Found {
    pub(crate) fn of(value: &RawValue) -> Self {
        let text = || serde_json::from_str::<Cow<'_, str>>(value.get()).unwrap_or_default();
        match value.get().as_bytes().first() {
            Some(b'"') => Self::Text(text().chars().take(SHOWN).collect()),
            Some(b'[') => Self::List,
            Some(b'{') => Self::Object,
            Some(b't') => Self::Flag(true),
            Some(b'f') => Self::Flag(false),
            Some(b'n') | None => Self::Null,
            Some(_) => Self::Number(value.get().to_owned()),
        }
    }
}

impl WrongValue {
    /// What to write instead.
    pub(super) fn hint(&self) -> String {
        let key = &self.key;
        match (self.wanted, &self.found) {
            (Wanted::Split, _) => {
                format!("call it train, valid or test; rows without `{key}` are for every split")
            }
            (Wanted::Position, _) => "count from 0, as in \"position\": 0".to_owned(),
            (Wanted::Number, Found::Null) => format!("write a number as in \"{key}\": 0.5"),
            (Wanted::Number, _) => format!("write it with digits as in \"{key}\": 0.5"),
            (Wanted::Label, _) => "write one label, as in \"label\": \"joy\"".to_owned(),
            (Wanted::List | Wanted::Texts, _) => format!("write \"{key}\": […]"),
            (_, Found::Number(number)) => format!("put it in quotation marks: \"{key}\": \"{number}\""),
            (_, Found::Null) => format!("write \"{key}\": \"…\", or leave it out with what it belongs to"),
            (_, Found::Flag(flag)) => format!("put it in quotation marks: \"{key}\": \"{flag}\""),
            (_, _) => format!("write one text: \"{key}\": \"…\""),
        }
    }
}

impl fmt::Display for WrongValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, key, wanted, found } = self;
        write!(f, "{place}`{key}` should be {wanted}, not ")?;
        match (wanted, found) {
            (Wanted::Position | Wanted::Number | Wanted::Split, Found::Text(text)) => write!(f, "{text:?}"),
            _ => write!(f, "{found}"),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Name => "text or a whole number",
            Self::Label => "the name or the number of a label",
            Self::Position => "a whole number from 0",
            Self::Number => "a finite number",
            Self::Split => "train, valid or test",
            Self::Texts => "a list of texts",
            Self::List => "a list",
        })
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Number(number) => write!(f, "the number {number}"),
            Self::Text(_) => f.write_str("text"),
            Self::List => f.write_str("a list"),
            Self::Object => f.write_str("an object"),
        }
    }
}
