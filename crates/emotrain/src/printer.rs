//! Output: results on standard output, messages and progress on standard error.

mod pace;
mod training;

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::{ErrorKind, IsTerminal, Write};

use emotrain_base::{Complaint, Listener, Meter, Parts};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::Talk;
use crate::env::Env;
use crate::exit::{ReaderGone, described};

use self::pace::Pace;
pub(crate) use self::pace::Rate;
pub(crate) use self::training::{TrainingView, duration};

const COUNT: &str = "{msg} [{bar:30}] {human_pos}/{human_len} {eta}";
const PACE: &str = "{msg} [{bar:30}] {human_pos}/{human_len} {per_sec} {eta}";
const RATE: &str = "{spinner} {msg} {human_pos}, {per_sec}";
const BYTES: &str = "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";

/// Writes results, messages and progress bars.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    talk: Talk,
    /// Whose words these are, where several speak: it stands before them.
    name: Option<String>,
    /// Whether standard output takes colours.
    coloured: bool,
    /// Whether standard error does.
    painted: bool,
    /// Whether standard error takes bars that move.
    moves: bool,
}

impl Printer {
    /// Colours and bars are used on terminals, unless the environment turns them off.
    pub(crate) fn new(talk: Talk, env: &Env) -> Self {
        let [out, err] = [std::io::stdout().is_terminal(), std::io::stderr().is_terminal()];
        let colours = !env.no_color && !env.dumb;
        let moves = err && !env.dumb && !talk.quiet;
        Self { talk, name: None, coloured: colours && out, painted: colours && err, moves }
    }

    /// The same, with a name before all that it prints.
    pub(crate) fn named(&self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self.clone() }
    }

    /// The text with the name before it.
    fn signed(&self, text: &str) -> String {
        let text = printable(text);
        match &self.name {
            Some(name) if text.trim_start().contains('\n') => {
                format!("{}:\n{}", printable(name), text.trim_start())
            }
            Some(name) => format!("{}: {text}", printable(name)),
            None => text.into_owned(),
        }
    }

    /// The same on one line, whatever follows.
    fn after_name(&self, text: &str) -> String {
        let name = self.name.iter().map(|name| format!("{}: ", printable(name)));
        name.collect::<String>() + &printable(text)
    }

    /// Whether results may hold colours.
    pub(crate) fn coloured(&self) -> bool {
        self.coloured
    }

    /// A result, to standard output, with a line break.
    ///
    /// # Errors
    /// If it cannot be written, or its reader closed it.
    pub(crate) fn result(&self, text: impl Display) -> anyhow::Result<()> {
        self.result_in_colours(self.signed(&text.to_string()))
    }

    /// A result with colours; text from files has been made [`printable`].
    ///
    /// # Errors
    /// As [`Printer::result`].
    #[expect(clippy::unused_self, reason = "results and talk have one source")]
    pub(crate) fn result_in_colours(&self, text: impl Display) -> anyhow::Result<()> {
        to_stdout(format!("{text}\n").as_bytes())
    }

    /// Lines of a result as they are; a terminal gets them as [`Printer::result`] gives them.
    ///
    /// # Errors
    /// As [`Printer::result`].
    #[expect(clippy::unused_self, reason = "results and talk have one source")]
    pub(crate) fn rows(&self, lines: &[u8]) -> anyhow::Result<()> {
        if std::io::stdout().is_terminal() {
            return to_stdout(printable(&String::from_utf8_lossy(lines)).as_bytes());
        }
        to_stdout(lines)
    }

    /// Reports progress.
    pub(crate) fn say(&self, text: impl Display) {
        if !self.talk.quiet {
            tell(self.signed(&text.to_string()));
        }
    }

    /// A detail, printed with --verbose.
    pub(crate) fn detail(&self, text: impl Display) {
        if self.talk.verbose {
            tell(self.signed(&text.to_string()));
        }
    }

    /// A warning.
    pub(crate) fn warn(&self, text: impl Display) {
        tell(format_args!("{} {}", self.painted("warning:", "33"), self.after_name(&text.to_string())));
    }

    /// An error with its cause and advice.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        tell(format_args!("{} {}", self.painted("error:", "31"), self.after_name(&described(error))));
    }

    /// A progress bar over this many items, removed when done; nothing without a terminal.
    pub(crate) fn counter(&self, what: &str, total: usize) -> Counter {
        Counter::new(self, COUNT, what, total)
    }

    fn painted(&self, text: &str, colour: &str) -> String {
        if self.painted { format!("\u{1b}[1;{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

impl Listener for Printer {
    fn say(&self, text: &str) {
        self.say(text);
    }

    fn detail(&self, text: &str) {
        self.detail(text);
    }

    fn warn(&self, text: &str) {
        self.warn(text);
    }

    fn progress(&self, what: &str, total: usize, of: Parts) -> Box<dyn Meter + '_> {
        match of {
            Parts::Samples => Box::new(Counter::new(self, COUNT, what, total)),
            Parts::Bytes => Box::new(Counter::new(self, BYTES, what, total)),
            Parts::Questions => Box::new(Pace::new(self, what.to_owned(), total)),
        }
    }
}

/// The text as a terminal may have it: control characters, which files and servers can hold, are written out as JSON
/// writes them.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let is_harmful = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if is_harmful(character) {
            let _ = write!(printable, "\\u{:04x}", u32::from(character)); // a String takes all
        } else {
            printable.push(character);
        }
    }
    Cow::Owned(printable)
}

/// Writes to standard output at once.
fn to_stdout(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| {
        if error.kind() == ErrorKind::BrokenPipe {
            ReaderGone.into()
        } else {
            Complaint::output(format!("standard output cannot be written: {error}")).into()
        }
    })
}

/// A line on standard error; that it cannot be written is no reason to stop.
fn tell(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A bar that counts.
pub(crate) struct Counter(ProgressBar);

impl Counter {
    fn new(printer: &Printer, form: &str, what: &str, total: usize) -> Self {
        let bar = if printer.moves { ProgressBar::no_length() } else { ProgressBar::hidden() };
        let counter = Self(bar.with_style(style(form)).with_message(printer.after_name(what)));
        counter.start(total);
        counter
    }

    /// Begins, or begins again.
    pub(crate) fn start(&self, total: usize) {
        self.0.set_length(total as u64);
        self.0.set_position(0);
    }

    /// Advances by this many.
    pub(crate) fn add(&self, count: usize) {
        self.0.inc(count as u64);
    }

    /// Sets the total.
    pub(crate) fn set(&self, done: usize) {
        self.0.set_position(done as u64);
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Meter for Counter {
    fn set(&mut self, done: usize) {
        Self::set(self, done);
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.finish();
    }
}

/// A style from one of the templates above, which are valid.
fn style(form: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_printed_steers_the_terminal() {
        assert_eq!(printable("a\tb\nc — d"), "a\tb\nc — d");
        assert_eq!(
            printable("\u{1b}[2Jgone\r\u{7}\u{9b}31m\u{7f}"),
            r"\u001b[2Jgone\u000d\u0007\u009b31m\u007f"
        );
    }

    #[test]
    fn the_forms_of_bars_are_sound() {
        for form in [COUNT, PACE, RATE, BYTES, training::FORM] {
            assert!(ProgressStyle::with_template(form).is_ok(), "{form}");
        }
    }
}
