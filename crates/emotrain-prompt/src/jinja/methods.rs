//! Python's methods on strings that the engine's own collection lacks, as Python 3.11 has them.

use minijinja::value::{Kwargs, from_args};
use minijinja::{Error, ErrorKind, State, Value};

use super::charge;

/// The result of a method; `None` for one that is not among these.
///
/// # Errors
/// Arguments that the method does not take; text beyond the limit.
pub(super) fn string_method(
    state: &State,
    text: &str,
    method: &str,
    arguments: &[Value],
) -> Result<Option<Value>, Error> {
    let value = match method {
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(arguments)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(arguments)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(arguments)?;
            if separator.is_empty() {
                return Err(Error::new(ErrorKind::InvalidOperation, format!("{method}: empty separator")));
            }
            let parts: [&str; 3] = if method == "partition" {
                text.split_once(separator).map_or([text, "", ""], |(head, tail)| [head, separator, tail])
            } else {
                text.rsplit_once(separator).map_or(["", "", text], |(head, tail)| [head, separator, tail])
            };
            Value::from(parts.map(Value::from).to_vec())
        }
        "rsplit" => {
            let (separator, most, named): (Option<&str>, Option<i64>, Kwargs) = from_args(arguments)?;
            let separator = separator.map_or_else(|| named.get("sep"), |given| Ok(Some(given)))?;
            let most = most.map_or_else(|| named.get("maxsplit"), |given| Ok(Some(given)))?;
            named.assert_all_used()?;
            let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
            split_from_end(text, separator, most)?.into_iter().map(Value::from).collect()
        }
        "zfill" => {
            let (width,): (usize,) = from_args(arguments)?;
            let missing = missing(state, text, width)?;
            let sign = usize::from(text.starts_with(['+', '-']));
            Value::from(format!("{}{}{}", &text[..sign], "0".repeat(missing), &text[sign..]))
        }
        "center" | "ljust" | "rjust" => Value::from(padded(state, text, method, arguments)?),
        "swapcase" => {
            let () = from_args(arguments)?;
            let swapped = text.chars().map(|letter| match letter {
                letter if letter.is_uppercase() => letter.to_lowercase().to_string(),
                letter => letter.to_uppercase().to_string(),
            });
            Value::from(swapped.collect::<String>())
        }
        _ => return Ok(None),
    };
    Ok(Some(value))
}

/// `str.center`, `str.ljust` and `str.rjust`.
fn padded(state: &State, text: &str, method: &str, arguments: &[Value]) -> Result<String, Error> {
    let (width, fill): (usize, Option<&str>) = from_args(arguments)?;
    let mut letters = fill.unwrap_or(" ").chars();
    let (Some(fill), None) = (letters.next(), letters.next()) else {
        let message = format!("{method}: the fill character must be exactly one character long");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    };
    let missing = missing(state, text, width)?;
    let left = match method {
        "center" => missing / 2 + (missing & width & 1),
        "rjust" => missing,
        _ => 0,
    };
    let filled = |count: usize| fill.to_string().repeat(count);
    Ok(format!("{}{text}{}", filled(left), filled(missing - left)))
}

/// The characters that are missing to a width, which are charged.
fn missing(state: &State, text: &str, width: usize) -> Result<usize, Error> {
    let missing = width.saturating_sub(text.chars().count());
    // A character has up to four bytes.
    charge(state, missing.saturating_mul(4))?;
    Ok(missing)
}

/// `str.rsplit`: at most so many splits from the end; without a separator at runs of white space.
fn split_from_end<'t>(text: &'t str, separator: Option<&str>, most: usize) -> Result<Vec<&'t str>, Error> {
    let (mut parts, mut rest) = (Vec::new(), text);
    match separator {
        Some("") => return Err(Error::new(ErrorKind::InvalidOperation, "rsplit: empty separator")),
        Some(separator) => {
            while parts.len() < most
                && let Some((head, tail)) = rest.rsplit_once(separator)
            {
                parts.push(tail);
                rest = head;
            }
            parts.push(rest);
        }
        None => {
            rest = rest.trim_end();
            while parts.len() < most
                && let Some((head, tail)) = rest.rsplit_once(char::is_whitespace)
            {
                parts.push(tail);
                rest = head.trim_end();
            }
            if !rest.trim_start().is_empty() {
                parts.push(if parts.len() < most { rest.trim_start() } else { rest });
            }
        }
    }
    parts.retain(|part| separator.is_some() || !part.is_empty());
    parts.reverse();
    Ok(parts)
}
