//! What goes wrong with a file, before it is known which model it belongs to.

use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use emotrain_base::Listener;

/// How often a hub is asked again.
const REPETITIONS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// A hub that asks for a longer pause is asked another day.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Why a file did not come.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The hub refuses it, or cannot be asked; asking again would not help.
    Hub(String),
    /// It may come if it is asked for again, not before so long.
    Passing { reason: String, after: Option<Duration> },
    /// The hub says what nobody should follow.
    Untrusted(String),
    /// A link in the cache leads out of it.
    LeavesCache(PathBuf),
    /// The cache cannot be read or written; the error names the file.
    Cache(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Cache(error)
    }
}

impl Trouble {
    /// What may pass, with no word on when.
    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Self::Passing { reason: reason.into(), after: None }
    }
}

/// Asks again for what may come, after growing pauses, or after those that the hub asks for.
///
/// # Errors
/// What does not pass, or has not passed after all repetitions.
pub(super) fn repeated<T>(
    listener: &dyn Listener,
    mut ask: impl FnMut() -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    let mut pause = FIRST_PAUSE;
    for repetition in 0..REPETITIONS {
        let (reason, after) = match ask() {
            Err(Trouble::Passing { reason, after }) => (reason, after),
            done => return done,
        };
        if let Some(after) = after.filter(|after| *after > LONGEST_PAUSE) {
            return Err(Trouble::Hub(format!("{reason}; it asks to wait for {} s", after.as_secs())));
        }
        let wait = after.unwrap_or_default().max(pause);
        let seconds = wait.as_secs_f64();
        let told = format!("the hub is asked again after {seconds:.1} s: {reason}");
        if repetition == 0 {
            listener.say(&told);
        } else {
            listener.detail(&told);
        }
        thread::sleep(wait);
        pause *= 2;
    }
    ask().map_err(|trouble| match trouble {
        Trouble::Passing { reason, .. } => {
            Trouble::Hub(format!("{reason} (asked {} times)", REPETITIONS + 1))
        }
        other @ (Trouble::Hub(_) | Trouble::Untrusted(_) | Trouble::LeavesCache(_) | Trouble::Cache(_)) => {
            other
        }
    })
}
