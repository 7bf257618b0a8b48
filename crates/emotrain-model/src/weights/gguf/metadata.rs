//! The key-value part of a GGUF header.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::cursor::Cursor;
use crate::error::{ConfigProblem, ModelError};

/// Arrays inside arrays occur in no known file; a few levels are skipped over.
const DEEPEST: usize = 4;

/// A metadata value; number types of different widths are one kind here.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Integer(i128),
    Number(f64),
    Flag(bool),
    Text(String),
    /// Numbers beyond `i64` are held at its end: none is meaningful.
    Integers(Vec<i64>),
    Numbers(Vec<f64>),
    Flags(Vec<bool>),
    Texts(Vec<String>),
    /// An array of arrays, not kept.
    Nested,
}

/// All metadata of a file, by key.
#[derive(Debug)]
pub(crate) struct Metadata {
    path: PathBuf,
    values: BTreeMap<String, Value>,
}

impl Metadata {
    pub(crate) fn new(path: &Path, values: BTreeMap<String, Value>) -> Self {
        Self { path: path.to_path_buf(), values }
    }

    /// The file, for errors.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, ConfigProblem> {
        self.typed(key, "a string", |value| {
            let Value::Text(text) = value else { return None };
            Some(text.as_str())
        })
    }

    pub(crate) fn texts(&self, key: &str) -> Result<Option<&[String]>, ConfigProblem> {
        self.typed(key, "a list of strings", |value| {
            let Value::Texts(texts) = value else { return None };
            Some(texts.as_slice())
        })
    }

    pub(crate) fn integers(&self, key: &str) -> Result<Option<&[i64]>, ConfigProblem> {
        self.typed(key, "a list of whole numbers", |value| {
            let Value::Integers(integers) = value else { return None };
            Some(integers.as_slice())
        })
    }

    pub(crate) fn numbers(&self, key: &str) -> Result<Option<&[f64]>, ConfigProblem> {
        self.typed(key, "a list of numbers", |value| {
            let Value::Numbers(numbers) = value else { return None };
            Some(numbers.as_slice())
        })
    }

    pub(crate) fn size(&self, key: &str) -> Result<Option<usize>, ConfigProblem> {
        self.typed(key, "a whole number", |value| {
            let Value::Integer(number) = value else { return None };
            usize::try_from(*number).ok()
        })
    }

    /// A size that all layers have, given once or, as llama.cpp's `get_key_or_arr` takes it, for each layer.
    pub(crate) fn size_of_layers(&self, key: &str) -> Result<Option<usize>, ConfigProblem> {
        let Some(Value::Integers(sizes)) = self.values.get(key) else { return self.size(key) };
        let first = sizes.first().copied().unwrap_or_default();
        let found = match sizes.iter().find(|size| **size != first) {
            Some(other) => format!("{first} and {other}"),
            None => match usize::try_from(first) {
                Ok(size) if !sizes.is_empty() => return Ok(Some(size)),
                _ => self.values[key].to_string(),
            },
        };
        let message = format!("expected the same whole number for all layers, found {found}");
        Err(ConfigProblem { key: key.to_owned(), message, hint: None })
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>, ConfigProblem> {
        self.typed(key, "a number", |value| {
            if let Value::Integer(number) = value {
                return Some(*number as f64);
            }
            let Value::Number(number) = value else { return None };
            Some(*number)
        })
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, ConfigProblem> {
        self.typed(key, "true or false", |value| {
            let Value::Flag(flag) = value else { return None };
            Some(*flag)
        })
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ConfigProblem> {
        let Some(value) = self.values.get(key) else { return Ok(None) };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(ConfigProblem {
                key: key.to_owned(),
                message: format!("expected {expected}, found {value}"),
                hint: None,
            }),
        }
    }

    /// Problems with the keys of this file as an error.
    pub(crate) fn error(&self, problems: Vec<ConfigProblem>) -> ModelError {
        ModelError::Config { path: self.path.clone(), problems }
    }
}

impl std::fmt::Display for Value {
    /// Scalars as they are, lists by their kind.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer(number) => write!(formatter, "{number}"),
            Self::Number(number) => write!(formatter, "{number}"),
            Self::Flag(flag) => write!(formatter, "{flag}"),
            Self::Text(text) => write!(formatter, "{text:?}"),
            Self::Integers(_) | Self::Numbers(_) | Self::Flags(_) | Self::Texts(_) | Self::Nested => {
                formatter.write_str(self.kind())
            }
        }
    }
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Integer(_) => "a whole number",
            Self::Number(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::Text(_) => "a string",
            Self::Integers(_) => "a list of whole numbers",
            Self::Numbers(_) => "a list of numbers",
            Self::Flags(_) => "a list of true and false",
            Self::Texts(_) => "a list of strings",
            Self::Nested => "a list of lists",
        }
    }
}

/// A value with its type number before it.
pub(super) fn value(cursor: &mut Cursor) -> Result<Value, ModelError> {
    const TEXT: u32 = 8;
    const ARRAY: u32 = 9;
    match cursor.u32()? {
        TEXT => Ok(Value::Text(cursor.text()?)),
        ARRAY => array(cursor, DEEPEST),
        kind => scalar(cursor, kind),
    }
}

fn scalar(cursor: &mut Cursor, kind: u32) -> Result<Value, ModelError> {
    Ok(match kind {
        0 => Value::Integer(u8::from_le_bytes(cursor.array()?).into()),
        1 => Value::Integer(i8::from_le_bytes(cursor.array()?).into()),
        2 => Value::Integer(u16::from_le_bytes(cursor.array()?).into()),
        3 => Value::Integer(i16::from_le_bytes(cursor.array()?).into()),
        4 => Value::Integer(u32::from_le_bytes(cursor.array()?).into()),
        5 => Value::Integer(i32::from_le_bytes(cursor.array()?).into()),
        6 => Value::Number(decimal(f32::from_le_bytes(cursor.array()?))),
        7 => Value::Flag(cursor.array::<1>()?[0] != 0),
        10 => Value::Integer(u64::from_le_bytes(cursor.array()?).into()),
        11 => Value::Integer(i64::from_le_bytes(cursor.array()?).into()),
        12 => Value::Number(f64::from_le_bytes(cursor.array()?)),
        other => return Err(cursor.error(&format!("unknown metadata type {other}"))),
    })
}

/// The number that was meant: 1e-5 was 1e-5 before the file rounded it to 9.999999747378752e-6.
fn decimal(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| f64::from(number))
}

fn array(cursor: &mut Cursor, depth: usize) -> Result<Value, ModelError> {
    let kind = cursor.u32()?;
    let count = cursor.u64()?;
    match kind {
        8 => Ok(Value::Texts(items(cursor, count, Cursor::text)?)),
        9 if depth == 0 => Err(cursor.error("lists nested too deeply")),
        9 => items(cursor, count, |cursor| array(cursor, depth - 1).map(|_| ())).map(|_| Value::Nested),
        7 => Ok(Value::Flags(items(cursor, count, |cursor| Ok(cursor.array::<1>()?[0] != 0))?)),
        6 => Ok(Value::Numbers(items(cursor, count, |cursor| {
            Ok(f64::from(f32::from_le_bytes(cursor.array()?)))
        })?)),
        12 => Ok(Value::Numbers(items(cursor, count, |cursor| Ok(f64::from_le_bytes(cursor.array()?)))?)),
        _ => Ok(Value::Integers(items(cursor, count, |cursor| integer(cursor, kind))?)),
    }
}

fn integer(cursor: &mut Cursor, kind: u32) -> Result<i64, ModelError> {
    let Value::Integer(number) = scalar(cursor, kind)? else {
        return Err(cursor.error("a list of an unexpected type"));
    };
    Ok(i64::try_from(number).unwrap_or(i64::MAX))
}

/// `count` items; the list never grows beyond what the file holds.
fn items<T>(
    cursor: &mut Cursor,
    count: u64,
    item: impl Fn(&mut Cursor) -> Result<T, ModelError>,
) -> Result<Vec<T>, ModelError> {
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(item(cursor)?);
    }
    Ok(items)
}
