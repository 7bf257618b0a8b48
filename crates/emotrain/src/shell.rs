//! What every command gets: the environment and the printer.

use emotrain_ask::AskContext;
use emotrain_hub::Hub;

use crate::env::{self, Env};
use crate::interrupt::Interrupt;
use crate::printer::Printer;

/// The program's surroundings.
#[derive(Debug)]
pub(crate) struct Shell {
    pub(crate) env: Env,
    pub(crate) printer: Printer,
}

impl Shell {
    /// Where models come from that are not on disk.
    pub(crate) fn hub(&self) -> Hub<'_> {
        Hub::new(&self.env.hub, &self.printer)
    }

    /// What asking a language model takes.
    pub(crate) fn ask_context<'s>(&'s self, interrupt: &'s Interrupt) -> AskContext<'s> {
        AskContext { hub: self.hub(), stop: interrupt.stop(), variable: env::variable }
    }
}
