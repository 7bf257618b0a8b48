//! Who is told what goes on.

/// What a library has to say while it works. A program prints it.
pub trait Listener: Sync {
    /// What goes on.
    fn say(&self, text: &str);

    /// What only the curious want to know.
    fn detail(&self, text: &str);

    /// What is probably not meant.
    fn warn(&self, text: &str);

    /// Work of so many parts begins; it has ended when the value is dropped. A total of 0 is not known.
    fn progress(&self, what: &str, total: usize, of: Parts) -> Box<dyn Meter + '_>;
}

/// What is counted while work goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// Samples, or other things that are done within minutes.
    Samples,
    /// Bytes of a file.
    Bytes,
    /// What takes hours: how fast it goes is told too, and now and then where nothing can move.
    Questions,
}

/// Work that goes on.
pub trait Meter {
    /// So many parts are done.
    fn set(&mut self, done: usize);
}

/// Tells nobody anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Listener for Silent {
    fn say(&self, _text: &str) {}

    fn detail(&self, _text: &str) {}

    fn warn(&self, _text: &str) {}

    fn progress(&self, _what: &str, _total: usize, _of: Parts) -> Box<dyn Meter + '_> {
        Box::new(Self)
    }
}

impl Meter for Silent {
    fn set(&mut self, _done: usize) {}
}
