//! Signals: Ctrl-C and those that end a process stop a training at the next step, and some save it on the way.

use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::Context;

use crate::exit::Exit;

/// The requests of signals, and whether stopping at once would lose anything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    stop: Arc<AtomicBool>,
    /// How often it was asked to save.
    saves: Arc<AtomicUsize>,
    /// The exit code of the first request to stop.
    exit: Arc<AtomicU8>,
    training: Arc<AtomicBool>,
    farewell: Arc<OnceLock<Farewell>>,
}

/// For a task of a scheduler.
struct Farewell {
    /// Whether SIGUSR1 warns that the machine is about to be taken back.
    is_warned: bool,
    /// What is done before the process ends outside a training.
    work: Box<dyn Fn(Exit) + Send + Sync>,
}

impl fmt::Debug for Farewell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Farewell").field("is_warned", &self.is_warned).finish_non_exhaustive()
    }
}

/// What a signal requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(unix), expect(dead_code, reason = "only Ctrl-C is handled there"))]
enum SignalRequest {
    /// Stop at the next boundary; on a second request, at once.
    Interrupt,
    /// Stop at the next boundary, even if repeated: a scheduler takes the machine back.
    End(Exit),
    /// Save and continue.
    Save,
    /// Save and continue, or end if it is a scheduler's warning.
    SaveOrEnd,
}

impl Interrupt {
    /// Listens to Ctrl-C, and on Unix to SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub(crate) fn install() -> anyhow::Result<Self> {
        let interrupt = Self::default();
        let handler = interrupt.clone();
        ctrlc::set_handler(move || handler.handle(SignalRequest::Interrupt))
            .context("Ctrl-C cannot be handled")?;
        #[cfg(unix)]
        listen(interrupt.clone()).context("signals cannot be handled")?;
        Ok(interrupt)
    }

    /// The request to stop.
    pub(crate) fn stop(&self) -> &Arc<AtomicBool> {
        &self.stop
    }

    /// Whether it was asked to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// How often it was asked to save.
    pub(crate) fn saves(&self) -> &AtomicUsize {
        &self.saves
    }

    /// The exit code of a command that was stopped.
    pub(crate) fn exit(&self) -> Exit {
        let code = self.exit.load(Ordering::SeqCst);
        [Exit::HungUp, Exit::Warned, Exit::Terminated]
            .into_iter()
            .find(|exit| *exit as u8 == code)
            .unwrap_or(Exit::Interrupted)
    }

    /// For a task of a scheduler: `work` is done if the process ends outside a training, and with `is_warned` SIGUSR1 is
    /// a request to stop.
    pub(crate) fn say_farewell(&self, is_warned: bool, work: impl Fn(Exit) + Send + Sync + 'static) {
        // A second one would be a second task of the same process.
        let _ = self.farewell.set(Farewell { is_warned, work: Box::new(work) });
    }

    /// Runs work that ends at a boundary of its own.
    pub(crate) fn guard<T>(&self, train: impl FnOnce() -> T) -> T {
        self.training.store(true, Ordering::SeqCst);
        let result = train();
        self.training.store(false, Ordering::SeqCst);
        result
    }

    fn handle(&self, request: SignalRequest) {
        let is_warned = || self.farewell.get().is_some_and(|farewell| farewell.is_warned);
        let exit = match request {
            SignalRequest::SaveOrEnd if is_warned() => Exit::Warned,
            SignalRequest::Save | SignalRequest::SaveOrEnd => {
                self.saves.fetch_add(1, Ordering::SeqCst);
                return;
            }
            SignalRequest::Interrupt => Exit::Interrupted,
            SignalRequest::End(exit) => exit,
        };
        let again = self.stop.swap(true, Ordering::SeqCst);
        if !self.training.load(Ordering::SeqCst) || (again && request == SignalRequest::Interrupt) {
            if let Some(farewell) = self.farewell.get() {
                (farewell.work)(exit);
            }
            leave(exit);
        }
        if !again {
            self.exit.store(exit as u8, Ordering::SeqCst);
            let message =
                "\nstopping after the current step is done and saved; press Ctrl-C again to stop at once";
            let _ = writeln!(std::io::stderr().lock(), "{message}");
        }
    }
}

/// A file that grows beyond the limit of the process (`ulimit -f`) is an error of the write and not its end.
pub(crate) fn outlive_file_limits() {
    #[cfg(unix)]
    {
        // Where there can be no handler, the write ends the process as before.
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    }
}

/// Handles the signals of schedulers and terminals other than Ctrl-C.
#[cfg(unix)]
fn listen(interrupt: Interrupt) -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGTERM, SIGUSR1, SIGUSR2};

    let mut signals = vec![SIGTERM, SIGUSR1, SIGUSR2];
    // A command under nohup is to outlive its terminal.
    if !crate::env::ignores(SIGHUP) {
        signals.push(SIGHUP);
    }
    let mut signals = signal_hook::iterator::Signals::new(signals)?;
    let thread = std::thread::Builder::new().name("signals".to_owned());
    thread.spawn(move || {
        for signal in signals.forever() {
            interrupt.handle(match signal {
                SIGTERM => SignalRequest::End(Exit::Terminated),
                SIGHUP => SignalRequest::End(Exit::HungUp),
                SIGUSR1 => SignalRequest::SaveOrEnd,
                _ => SignalRequest::Save,
            });
        }
    })?;
    Ok(())
}

#[expect(clippy::exit, reason = "the user asked to stop at once, from another thread")]
fn leave(exit: Exit) -> ! {
    std::process::exit(exit as i32)
}
