//! The template engine, configured as transformers configures Jinja2 for chat templates, with limits.
//!
//! Templates come with other people's models. The engine's fuel bounds one rendering: a unit for each instruction, and
//! for every 64 bytes that are produced or read. Python methods that the engine does not know are charged here, before
//! they are called.

mod filters;
mod methods;

use std::time::Duration;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, escape_formatter,
};
use minijinja_contrib::pycompat;

/// The fuel of one rendering: 16 MB of text, or the steps for a conversation of ten thousand utterances.
const FUEL: u64 = 250_000;

/// Bytes per unit of fuel.
const BYTES_PER_FUEL: usize = 64;

/// The time limit of a trial; an ordinary template takes a millisecond.
const LONGEST: Duration = Duration::from_secs(2);

/// The maximum size of a template in bytes; the largest chat templates have 20,000.
const MOST_BYTES: usize = 1 << 20;

/// An engine without templates, with transformers' settings: `trim_blocks`, `lstrip_blocks`, Python's methods on
/// strings, lists and dictionaries, and no escaping.
pub(crate) fn environment(undefined: UndefinedBehavior) -> Environment<'static> {
    let mut environment = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    environment.set_syntax(syntax.build().expect("the delimiters are the default ones"));
    environment.set_undefined_behavior(undefined);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(python_method);
    environment.set_formatter(formatter);
    filters::add_to(&mut environment);
    environment.set_fuel(Some(FUEL));
    environment.set_debug(false);
    environment
}

/// Compiles an untrusted template into the environment.
///
/// # Errors
/// A template that is too long or invalid.
pub(crate) fn add(
    environment: &mut Environment<'static>,
    name: &'static str,
    source: String,
) -> Result<(), Error> {
    if source.len() > MOST_BYTES {
        let message = format!("the template has {} bytes; the limit is {MOST_BYTES}", source.len());
        return Err(Error::new(ErrorKind::SyntaxError, message));
    }
    let mut with = environment.clone();
    *environment = tried(move || with.add_template_owned(name, source).map(|()| with))?;
    Ok(())
}

/// Runs the first rendering of an untrusted template with a time limit, because some of the engine's work is not
/// charged as fuel.
///
/// # Errors
/// The errors of the work; a timeout.
pub(crate) fn tried<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let result = emotrain_base::tried(LONGEST, work);
    result.unwrap_or_else(|| Err(Error::new(ErrorKind::OutOfFuel, "it took too long")))
}

/// The error message without its place, which the caller adds.
pub(crate) fn message(error: &Error) -> String {
    if error.kind() == ErrorKind::OutOfFuel {
        return "it takes too many steps or produces too much text".to_owned();
    }
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// A method of Python's strings, lists and dictionaries.
fn python_method(
    state: &mut State,
    value: &Value,
    method: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        charge(state, cost(text, method, arguments))?;
        if let Some(value) = methods::string_method(state, text, method, arguments)? {
            return Ok(value);
        }
    }
    pycompat::unknown_method_callback(state, value, method, arguments)
}

/// Prints numbers with a fraction as Python does.
fn formatter(out: &mut Output<'_>, state: &mut State, value: &Value) -> Result<(), Error> {
    match python_float(value) {
        Some(number) => out.write_str(&number).map_err(Error::from),
        None => escape_formatter(out, state, value),
    }
}

/// Python's form of a number with a fraction that has an exponent: `1e+16`, `1e-05`; `None` for other values, which the
/// engine writes alike.
pub(crate) fn python_float(value: &Value) -> Option<String> {
    if value.kind() != ValueKind::Number || value.is_integer() {
        return None;
    }
    let number = f64::try_from(value.clone()).ok()?;
    if number.is_nan() {
        return Some("nan".to_owned());
    }
    let has_exponent = number.is_finite() && number != 0.0 && !(1e-4..1e16).contains(&number.abs());
    let (digits, exponent) =
        format!("{number:e}").split_once('e').map(|(d, e)| (d.to_owned(), e.to_owned()))?;
    let exponent: i32 = exponent.parse().ok()?;
    let sign = if exponent < 0 { '-' } else { '+' };
    has_exponent.then(|| format!("{digits}e{sign}{:02}", exponent.abs()))
}

/// Charges fuel for this many bytes.
pub(crate) fn charge(state: &State, bytes: usize) -> Result<(), Error> {
    state.consume_fuel(bytes.div_ceil(BYTES_PER_FUEL) as u64)
}

/// The maximum number of bytes that a string method reads and produces.
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

/// The numbers in a format string, which may be widths.
fn widths(format: &str) -> usize {
    let numbers =
        format.split(|character: char| !character.is_ascii_digit()).filter(|digits| !digits.is_empty());
    numbers.fold(0, |sum: usize, digits| sum.saturating_add(digits.parse().unwrap_or(usize::MAX)))
}

#[cfg(test)]
mod tests;
