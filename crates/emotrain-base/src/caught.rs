//! Library panics over files that the library does not expect.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// The number of nested [`caught`] calls of this thread.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Runs a library call that may panic over a file, and returns the panic's message as an error.
///
/// The caller must discard whatever the library left half done.
///
/// # Errors
/// The panic's message.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    DEPTH.with(|depth| depth.set(depth.get() + 1));
    let result = catch_unwind(AssertUnwindSafe(work));
    DEPTH.with(|depth| depth.set(depth.get() - 1));
    result.map_err(|panic| words(panic.as_ref()))
}

/// Whether a panic of this thread will be [`caught`], so that a panic hook can stay silent.
pub fn is_caught() -> bool {
    DEPTH.with(|depth| depth.get() > 0)
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no reason given").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error() {
        assert_eq!(caught(|| 7), Ok(7));
        assert!(!is_caught());
        let error = caught(|| {
            assert!(is_caught());
            Vec::<u8>::new().pop().expect("there is one")
        });
        assert_eq!(error, Err("there is one".to_owned()));
        assert!(!is_caught());
    }
}
