//! Counts and times calls of a library, which cubecl's observers of launches do not see.

use std::cell::Cell;

use cubecl::client::Client;
use cubecl::future::block_on;

use crate::device::Launches;

thread_local! {
    /// The calls of this thread, while they are counted.
    static CALLS: Cell<Option<Launches>> = const { Cell::new(None) };
}

/// Calls `work`, and returns what this thread called meanwhile.
pub(in crate::device) fn counted<T>(work: impl FnOnce() -> T) -> (T, Launches) {
    let before = CALLS.replace(Some(Launches::default()));
    let result = work();
    (result, CALLS.replace(before).unwrap_or_default())
}

/// Makes a call; where calls are counted it waits for the device and takes the time between the call's begin and end on it.
pub(super) fn timed(client: &Client, call: impl FnOnce()) {
    let Some(calls) = CALLS.get() else { return call() };
    let window = client.profile_start();
    call();
    let measured = window.and_then(|window| client.profile_end(window)).ok();
    let seconds = measured
        .and_then(|measured| block_on(measured.resolve()))
        .map_or(0.0, |ticks| ticks.duration().as_secs_f64());
    CALLS.set(Some(Launches { count: calls.count + 1, seconds: calls.seconds + seconds }));
}
