//! Ctrl-C and the signals that end a process: the first stops a training at the next step, the second at once.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use crate::exit::Exit;

/// The wish to stop, and whether anything would be lost by stopping at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    wished: Arc<AtomicBool>,
    training: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens to SIGINT, SIGTERM and SIGHUP, or to what Windows has of them.
    ///
    /// # Errors
    /// When the system does not let it.
    pub(crate) fn install() -> anyhow::Result<Self> {
        let interrupt = Self::default();
        let heard = interrupt.clone();
        ctrlc::set_handler(move || heard.hear()).context("signals cannot be handled")?;
        Ok(interrupt)
    }

    /// The wish, for whoever heeds it.
    pub(crate) fn wished(&self) -> &Arc<AtomicBool> {
        &self.wished
    }

    /// Runs what should end at a boundary of its own.
    pub(crate) fn guard<T>(&self, train: impl FnOnce() -> T) -> T {
        self.training.store(true, Ordering::SeqCst);
        let result = train();
        self.training.store(false, Ordering::SeqCst);
        result
    }

    fn hear(&self) {
        if !self.training.load(Ordering::SeqCst) || self.wished.swap(true, Ordering::SeqCst) {
            leave();
        }
        let message = "\nstopping when what is under way is done and saved; once more stops at once";
        let _ = writeln!(std::io::stderr().lock(), "{message}");
    }
}

#[expect(clippy::exit, reason = "the user asked to stop at once, from another thread")]
fn leave() -> ! {
    std::process::exit(Exit::Interrupted as i32)
}
