//! Filters of Jinja2 3.1 that the engine lacks.

use std::borrow::Cow;
use std::iter;

use minijinja::value::{ArgType, Kwargs, Rest, ValueKind, ValueOrKwargs, from_args};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::charge;
use super::methods::string_method;

/// The characters that a text may have over the length to which it is truncated, as in Jinja2's policies.
const LEEWAY: usize = 5;

/// Adds the filters.
pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.add_filter("center", center);
    environment.add_filter("truncate", truncate);
    environment.add_filter("wordcount", word_count);
    environment.add_filter("striptags", strip_tags);
    environment.add_filter("urlencode", url_encode);
}

/// The text of a value, which is charged.
fn text_of<'v>(state: &State, value: &'v Value) -> Result<Cow<'v, str>, Error> {
    let text = value.as_str().map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed);
    charge(state, text.len())?;
    Ok(text)
}

/// An argument by its place or its name.
fn given<'a, T>(by_place: Option<T>, named: &'a Kwargs, name: &'a str, usual: T) -> Result<T, Error>
where
    T: ArgType<'a, Output = T>,
{
    match by_place {
        Some(value) => Ok(value),
        None if named.has(name) => named.get(name),
        None => Ok(usual),
    }
}

/// `value | center(width=80)`
#[expect(clippy::needless_pass_by_value, reason = "filters get their arguments by value")]
fn center(state: &State, value: &Value, width: Option<usize>, named: Kwargs) -> Result<Value, Error> {
    let width = given(width, &named, "width", 80)?;
    named.assert_all_used()?;
    let text = text_of(state, value)?;
    Ok(string_method(state, &text, "center", &[Value::from(width)])?.unwrap_or_default())
}

/// The arguments of `truncate` by their places.
type Truncate = (Option<usize>, Option<bool>, Option<String>, Option<usize>);

/// `value | truncate(length=255, killwords=False, end='...', leeway=5)`
fn truncate(state: &State, value: &Value, arguments: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let arguments = arguments.into_values();
    let (named, by_place) = match arguments.split_last() {
        Some((named, by_place)) if named.is_kwargs() => (Kwargs::try_from(named.clone())?, by_place),
        _ => (iter::empty::<(&str, Value)>().collect(), &arguments[..]),
    };
    let (length, kill, end, leeway): Truncate = from_args(by_place)?;
    let length = given(length, &named, "length", 255)?;
    let kill = given(kill, &named, "killwords", false)?;
    let end = given(end, &named, "end", "...".to_owned())?;
    let leeway = given(leeway, &named, "leeway", LEEWAY)?;
    named.assert_all_used()?;
    let Some(kept) = length.checked_sub(end.chars().count()) else {
        let message = format!("truncate: the length {length} is less than that of {end:?}");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    };
    let text = text_of(state, value)?;
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(text.into_owned());
    }
    let kept: String = text.chars().take(kept).collect();
    let whole =
        if kill { kept.as_str() } else { kept.rsplit_once(' ').map_or(kept.as_str(), |(head, _)| head) };
    Ok(format!("{whole}{end}"))
}

/// `value | wordcount`
fn word_count(state: &State, value: &Value) -> Result<usize, Error> {
    let text = text_of(state, value)?;
    let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    Ok(words.filter(|word| !word.is_empty()).count())
}

/// `value | striptags`: without comments and tags, in one line, with characters for entities.
fn strip_tags(state: &State, value: &Value) -> Result<String, Error> {
    let text = text_of(state, value)?;
    let text = without(&without(&text, "<!--", "-->"), "<", ">");
    let words: Vec<&str> = text.split_whitespace().collect();
    Ok(unescaped(&words.join(" ")))
}

/// The text without what stands between two marks, and without these.
fn without(text: &str, open: &str, close: &str) -> String {
    let (mut kept, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, inside)) = rest.split_once(open) {
        let Some((_, after)) = inside.split_once(close) else { break };
        kept.push_str(before);
        rest = after;
    }
    kept + rest
}

/// The text with characters for the entities of XML, `&nbsp;` and numbers.
fn unescaped(text: &str) -> String {
    let (mut plain, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let named = after.split_once(';').and_then(|(name, after)| Some((entity(name)?, after)));
        let (letter, after) = named.unwrap_or(('&', after));
        plain.push(letter);
        rest = after;
    }
    plain + rest
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

/// `value | urlencode`: a text, or a mapping or pairs as a query.
fn url_encode(state: &State, value: &Value) -> Result<String, Error> {
    let pair = |key: &Value, value: &Value| -> Result<String, Error> {
        Ok(format!("{}={}", query(&text_of(state, key)?), query(&text_of(state, value)?)))
    };
    let pairs: Vec<String> = if value.kind() == ValueKind::Map {
        value.try_iter()?.map(|key| pair(&key, &value.get_item(&key)?)).collect::<Result<_, _>>()?
    } else if matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) {
        let pairs = value.try_iter()?;
        let pairs = pairs.map(|item| pair(&item.get_item_by_index(0)?, &item.get_item_by_index(1)?));
        pairs.collect::<Result<_, _>>()?
    } else {
        return Ok(quoted(&text_of(state, value)?, "/"));
    };
    Ok(pairs.join("&"))
}

/// A part of a query, in which a space is a plus sign.
fn query(text: &str) -> String {
    quoted(text, " ").replace(' ', "+")
}

/// Percent-encoded, except for letters, digits and what is safe.
fn quoted(text: &str, safe: &str) -> String {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) || safe.as_bytes().contains(&byte);
    let encoded = text.bytes().map(|byte| match byte {
        byte if is_plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    encoded.collect()
}
