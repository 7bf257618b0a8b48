//! The filter `tojson` of chat templates: Python's `json.dumps` with `ensure_ascii=False`, with which transformers
//! replaces Jinja's own filter.

use std::fmt::Write;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use crate::jinja::{charge, python_float};

/// The maximum nesting depth.
const MOST_DEPTH: usize = 200;

/// The maximum length of an indent or separator.
const MOST_PADDING: usize = 64;

/// The arguments of `json.dumps`, and the output so far.
struct Writer {
    indent: Option<usize>,
    item_separator: String,
    key_separator: String,
    sort_keys: bool,
    ensure_ascii: bool,
    depth: usize,
    text: String,
}

/// `value | tojson(indent=…, separators=…, sort_keys=…, ensure_ascii=…)`
#[expect(clippy::needless_pass_by_value, reason = "filters get their arguments by value")]
pub(crate) fn tojson(state: &State, value: &Value, arguments: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = arguments.get("indent")?;
    let separators: Option<Vec<String>> = arguments.get("separators")?;
    let default_item = if indent.is_some() { "," } else { ", " };
    let [item_separator, key_separator] = match separators.map(<[String; 2]>::try_from) {
        None => [default_item.to_owned(), ": ".to_owned()],
        Some(Ok(pair)) => pair,
        Some(Err(_)) => return Err(invalid("tojson: separators must be a pair".to_owned())),
    };
    if indent.unwrap_or(0).max(item_separator.len()).max(key_separator.len()) > MOST_PADDING {
        return Err(invalid(format!(
            "tojson: indent and separators may have at most {MOST_PADDING} characters"
        )));
    }
    let sort_keys = arguments.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    let ensure_ascii = arguments.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    arguments.assert_all_used()?;
    let (depth, text) = (0, String::new());
    let mut writer = Writer { indent, item_separator, key_separator, sort_keys, ensure_ascii, depth, text };
    writer.value(state, value)?;
    Ok(writer.text)
}

impl Writer {
    fn value(&mut self, state: &State, value: &Value) -> Result<(), Error> {
        if self.depth > MOST_DEPTH {
            return Err(invalid("tojson: the value is nested too deeply".to_owned()));
        }
        let before = self.text.len();
        self.written(state, value)?;
        // The contents are charged already, their surroundings are not.
        let inner = if matches!(value.kind(), ValueKind::Map | ValueKind::Seq | ValueKind::Iterable) {
            64
        } else {
            0
        };
        charge(state, if inner > 0 { inner } else { self.text.len() - before })
    }

    fn written(&mut self, state: &State, value: &Value) -> Result<(), Error> {
        match value.kind() {
            ValueKind::None => self.text.push_str("null"),
            ValueKind::Bool => self.text.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => {
                self.text.push_str(&python_float(value).unwrap_or_else(|| value.to_string()));
            }
            ValueKind::String => self.quoted(value.as_str().unwrap_or_default()),
            ValueKind::Map => {
                let mut keys = value.try_iter()?.collect::<Vec<_>>();
                if self.sort_keys {
                    keys.sort_by_key(ToString::to_string);
                }
                self.all(['{', '}'], &keys, |writer, key| {
                    writer.quoted(&key.to_string());
                    writer.text.push_str(&writer.key_separator);
                    charge(state, writer.padding())?;
                    writer.value(state, &value.get_item(key)?)
                })?;
            }
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter()?.collect::<Vec<_>>();
                self.all(['[', ']'], &items, |writer, item| {
                    charge(state, writer.padding())?;
                    writer.value(state, item)
                })?;
            }
            kind @ (ValueKind::Undefined | ValueKind::Bytes | ValueKind::Plain | ValueKind::Invalid | _) => {
                return Err(invalid(format!("tojson: {kind} cannot be written as JSON")));
            }
        }
        Ok(())
    }

    fn all(
        &mut self,
        [open, close]: [char; 2],
        items: &[Value],
        write: impl Fn(&mut Self, &Value) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.text.push(open);
        self.depth += 1;
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.text.push_str(&self.item_separator);
            }
            self.new_line();
            write(self, item)?;
        }
        self.depth -= 1;
        if !items.is_empty() {
            self.new_line();
        }
        self.text.push(close);
        Ok(())
    }

    /// The maximum number of bytes around an item.
    fn padding(&self) -> usize {
        self.indent.unwrap_or(0) * self.depth + self.item_separator.len() + self.key_separator.len()
    }

    fn new_line(&mut self) {
        if let Some(indent) = self.indent {
            self.text.push('\n');
            self.text.push_str(&" ".repeat(indent * self.depth));
        }
    }

    /// `serde_json` and Python escape the same characters in the same way.
    fn quoted(&mut self, content: &str) {
        let quoted = serde_json::Value::from(content).to_string();
        if !self.ensure_ascii {
            return self.text.push_str(&quoted);
        }
        for character in quoted.chars() {
            if character.is_ascii() {
                self.text.push(character);
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(self.text, "\\u{unit:04x}"); // writing to a String cannot fail
                }
            }
        }
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
