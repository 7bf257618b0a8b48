//! Work of unknown length, tried with a limit of time.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Of the thread that does the work; what is not used costs nothing.
const STACK_BYTES: usize = 256 << 20;

/// Does the work on a thread with plenty of stack and gives its result, or nothing when it is not done in time or panics.
///
/// What is not done in time goes on by itself until the process ends: the caller should see to it that it does.
pub fn tried<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (send, receive) = mpsc::channel();
    let work = move || {
        if let Ok(result) = crate::caught(work) {
            let _ = send.send(result); // nobody waits any more
        }
    };
    thread::Builder::new().name("trial".to_owned()).stack_size(STACK_BYTES).spawn(work).ok()?;
    receive.recv_timeout(limit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_or_panics_gives_nothing() {
        let limit = Duration::from_millis(200);
        assert_eq!(tried(Duration::from_mins(1), || 7), Some(7));
        assert_eq!(tried(limit, || thread::sleep(Duration::from_secs(5))), None);
        assert_eq!(tried(limit, move || assert!(limit.is_zero())), None);
    }
}
