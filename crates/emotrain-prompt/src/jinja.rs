//! The template engine, set up as transformers sets up Jinja2 for chat templates, with limits.
//!
//! Templates come with models of others. What one rendering may do is bounded by the engine's fuel: a unit for each
//! instruction, and for every 64 bytes that are made or looked at. Methods of Python that the engine does not know are
//! charged here, before they are called.

use std::time::Duration;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, Value};
use minijinja_contrib::pycompat;

/// What one rendering may use: 16 MB of text, or as many steps as write a conversation of ten thousand utterances.
const FUEL: u64 = 250_000;

/// Bytes that a unit of fuel pays for.
const BYTES_PER_FUEL: usize = 64;

/// How long a trial may take; one of an ordinary template takes a millisecond.
const LONGEST: Duration = Duration::from_secs(2);

/// Bytes of a template at most; the largest chat templates have 20,000.
const MOST_BYTES: usize = 1 << 20;

/// An engine without templates: the first newline after a tag and the blanks before one are dropped,
/// Python's methods work on texts, lists and dictionaries, and texts are never escaped.
pub(crate) fn environment(undefined: UndefinedBehavior) -> Environment<'static> {
    let mut environment = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    environment.set_syntax(syntax.build().expect("the delimiters are the default ones"));
    environment.set_undefined_behavior(undefined);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(python_method);
    environment.set_fuel(Some(FUEL));
    environment.set_debug(false);
    environment
}

/// Compiles a template of others into the environment.
///
/// # Errors
/// One that is too long or broken.
pub(crate) fn add(
    environment: &mut Environment<'static>,
    name: &'static str,
    source: String,
) -> Result<(), Error> {
    if source.len() > MOST_BYTES {
        let message = format!("the template has {} bytes, and may have {MOST_BYTES}", source.len());
        return Err(Error::new(ErrorKind::SyntaxError, message));
    }
    let mut with = environment.clone();
    *environment = tried(move || with.add_template_owned(name, source).map(|()| with))?;
    Ok(())
}

/// Does for the first time what a template of others may make endless, in spite of the fuel: some of what the engine does
/// is not charged.
///
/// # Errors
/// Those of the work; work that takes too long.
pub(crate) fn tried<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let result = emotrain_base::tried(LONGEST, work);
    result.unwrap_or_else(|| Err(Error::new(ErrorKind::OutOfFuel, "it took too long")))
}

/// What went wrong, without the place, which the caller tells in its own way.
pub(crate) fn message(error: &Error) -> String {
    if error.kind() == ErrorKind::OutOfFuel {
        return "it takes too many steps or makes too much text".to_owned();
    }
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// A method that Python's texts, lists and dictionaries have.
fn python_method(
    state: &mut State,
    value: &Value,
    method: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        charge(state, cost(text, method, arguments))?;
    }
    pycompat::unknown_method_callback(state, value, method, arguments)
}

/// Takes what so many bytes cost.
pub(crate) fn charge(state: &State, bytes: usize) -> Result<(), Error> {
    state.consume_fuel(bytes.div_ceil(BYTES_PER_FUEL) as u64)
}

/// Bytes that a method of a text looks at and makes, at most.
fn cost(text: &str, method: &str, arguments: &[Value]) -> usize {
    let length = |value: Option<&Value>| value.and_then(Value::as_str).map_or(0, str::len);
    let made = match method {
        "replace" => {
            let old = length(arguments.first()).max(1);
            (text.len() / old + 1).saturating_mul(length(arguments.get(1)))
        }
        "join" => {
            let mut made = 0_usize;
            for item in arguments.first().map(Value::try_iter).into_iter().flatten().flatten() {
                made = made.saturating_add(text.len()).saturating_add(item.as_str().map_or(32, str::len));
            }
            made
        }
        "format" => widths(text)
            .saturating_add(arguments.iter().filter_map(|value| usize::try_from(value.clone()).ok()).sum()),
        _ => 0,
    };
    made.saturating_add(text.len())
}

/// The numbers that stand in a format, which may be widths.
fn widths(format: &str) -> usize {
    let numbers =
        format.split(|character: char| !character.is_ascii_digit()).filter(|digits| !digits.is_empty());
    numbers.fold(0, |sum: usize, digits| sum.saturating_add(digits.parse().unwrap_or(usize::MAX)))
}

#[cfg(test)]
mod tests;
