//! The template engine, set up as transformers sets up Jinja2 for chat templates.

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior};
use minijinja_contrib::pycompat::unknown_method_callback;

/// An engine without templates: the first newline after a tag and the blanks before one are dropped,
/// Python's methods work on texts, lists and dictionaries, and texts are never escaped.
pub(crate) fn environment(undefined: UndefinedBehavior) -> Environment<'static> {
    let mut environment = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    environment.set_syntax(syntax.build().expect("the delimiters are the default ones"));
    environment.set_undefined_behavior(undefined);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(unknown_method_callback);
    environment.set_debug(false);
    environment
}

/// What went wrong, without the place, which the caller tells in its own way.
pub(crate) fn message(error: &Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}
