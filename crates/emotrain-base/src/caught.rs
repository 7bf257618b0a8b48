//! Panics of libraries over files that they were not made for.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// How many [`caught`] this thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Does what a library may panic over because of a file, and gives the panic's words as an error.
///
/// What the library left behind must be thrown away then: that is for the caller to see to.
///
/// # Errors
/// The panic's words.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    DEPTH.with(|depth| depth.set(depth.get() + 1));
    let result = catch_unwind(AssertUnwindSafe(work));
    DEPTH.with(|depth| depth.set(depth.get() - 1));
    result.map_err(|panic| words(panic.as_ref()))
}

/// Whether a panic of this thread is going to be [`caught`], so that a hook need not speak of it.
pub fn is_caught() -> bool {
    DEPTH.with(|depth| depth.get() > 0)
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it gives no reason").to_owned()
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
