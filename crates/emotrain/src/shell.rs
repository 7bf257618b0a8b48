//! What every command gets: the environment and the printer.

use emotrain_ask::AskContext;
use emotrain_hub::Hub;

use crate::env::{self, Env};
use crate::interrupt::Interrupt;
use crate::printer::Printer;

/// The program's surroundings.
#[derive(Clone, Debug)]
pub(crate) struct Shell {
    pub(crate) env: Env,
    pub(crate) printer: Printer,
}

impl Shell {
    /// Where models come from that are not on disk.
    pub(crate) fn hub(&self) -> Hub<'_> {
        Hub::new(&self.env.hub, &self.printer)
    }

    /// The same, with a name before all that it says.
    pub(crate) fn named(&self, name: &str) -> Self {
        Self { env: self.env.clone(), printer: self.printer.named(name) }
    }

    /// What asking a language model takes.
    pub(crate) fn ask_context<'s>(&'s self, interrupt: &'s Interrupt) -> AskContext<'s> {
        AskContext { hub: self.hub(), stop: interrupt.stop(), variable: env::variable }
    }
}

/// A word as a shell takes it.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=:,+".contains(c);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}
