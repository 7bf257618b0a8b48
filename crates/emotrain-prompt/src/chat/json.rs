//! The filter `tojson` of chat templates: Python's `json.dumps` with `ensure_ascii=False`, which is
//! what transformers puts in the place of Jinja's own filter.

use std::fmt::Write;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

struct Style {
    indent: Option<usize>,
    item_separator: String,
    key_separator: String,
    sort_keys: bool,
    ensure_ascii: bool,
}

/// `value | tojson(indent=…, separators=…, sort_keys=…, ensure_ascii=…)`
pub(super) fn tojson(value: &Value, arguments: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = arguments.get("indent")?;
    let separators: Option<Vec<String>> = arguments.get("separators")?;
    let default_item = if indent.is_some() { "," } else { ", " };
    let [item_separator, key_separator] = match separators.map(<[String; 2]>::try_from) {
        None => [default_item.to_owned(), ": ".to_owned()],
        Some(Ok(pair)) => pair,
        Some(Err(_)) => return Err(invalid("tojson: separators must be a pair")),
    };
    let sort_keys = arguments.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    let ensure_ascii = arguments.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    arguments.assert_all_used()?;
    let style = Style { indent, item_separator, key_separator, sort_keys, ensure_ascii };
    let mut text = String::new();
    style.write(value, 1, &mut text)?;
    Ok(text)
}

impl Style {
    fn write(&self, value: &Value, depth: usize, text: &mut String) -> Result<(), Error> {
        match value.kind() {
            ValueKind::None => text.push_str("null"),
            ValueKind::Bool => text.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => text.push_str(&value.to_string()),
            ValueKind::String => self.write_text(value.as_str().unwrap_or_default(), text),
            ValueKind::Map => {
                let mut keys = value.try_iter()?.collect::<Vec<_>>();
                if self.sort_keys {
                    keys.sort_by_key(ToString::to_string);
                }
                let write_entry = |key: &Value, text: &mut String| {
                    self.write_text(&key.to_string(), text);
                    text.push_str(&self.key_separator);
                    self.write(&value.get_item(key)?, depth + 1, text)
                };
                self.write_all(['{', '}'], &keys, depth, text, write_entry)?;
            }
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter()?.collect::<Vec<_>>();
                let write_item = |item: &Value, text: &mut String| self.write(item, depth + 1, text);
                self.write_all(['[', ']'], &items, depth, text, write_item)?;
            }
            kind => return Err(invalid(&format!("tojson: {kind} has no JSON form"))),
        }
        Ok(())
    }

    fn write_all(
        &self,
        [open, close]: [char; 2],
        items: &[Value],
        depth: usize,
        text: &mut String,
        write_item: impl Fn(&Value, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        text.push(open);
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                text.push_str(&self.item_separator);
            }
            self.new_line(depth, text);
            write_item(item, text)?;
        }
        if !items.is_empty() {
            self.new_line(depth - 1, text);
        }
        text.push(close);
        Ok(())
    }

    fn new_line(&self, depth: usize, text: &mut String) {
        if let Some(indent) = self.indent {
            text.push('\n');
            text.push_str(&" ".repeat(indent * depth));
        }
    }

    /// serde_json and Python escape the same characters in the same way.
    fn write_text(&self, content: &str, text: &mut String) {
        let quoted = serde_json::Value::from(content).to_string();
        if !self.ensure_ascii {
            return text.push_str(&quoted);
        }
        for character in quoted.chars() {
            if character.is_ascii() {
                text.push(character);
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(text, "\\u{unit:04x}"); // a String takes all
                }
            }
        }
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.to_owned())
}
