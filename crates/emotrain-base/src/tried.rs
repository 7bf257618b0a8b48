//! Work with a time limit.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The thread's stack size; unused pages cost nothing.
const STACK_BYTES: usize = 256 << 20;

/// Runs the work on a thread with a large stack and returns its result, or `None` if it panics or exceeds the time
/// limit.
///
/// After the time limit the thread keeps running until the process ends, so the caller should end the process soon.
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
