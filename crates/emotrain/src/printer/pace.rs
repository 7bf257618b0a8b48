//! Progress of long work: a bar on a terminal, otherwise a line now and then.

use std::time::{Duration, Instant};

use std::fmt::Display;

use emotrain_base::Meter;

use super::{Counter, PACE, Printer, RATE, duration};

/// Seconds between lines.
const EVERY: Duration = Duration::from_secs(30);

/// How far the work is, how fast it goes, and how long it will take.
pub(super) struct Pace<'p> {
    printer: &'p Printer,
    what: String,
    counter: Counter,
    total: usize,
    done: usize,
    start: Instant,
    told: Instant,
}

impl<'p> Pace<'p> {
    /// Begins to count to `total`.
    pub(super) fn new(printer: &'p Printer, what: String, total: usize) -> Self {
        let counter = Counter::new(printer, PACE, &what, total);
        let now = Instant::now();
        Self { printer, what, counter, total, done: 0, start: now, told: now }
    }
}

impl Meter for Pace<'_> {
    fn set(&mut self, done: usize) {
        self.done = done;
        self.counter.set(done);
        if !self.printer.moves && self.told.elapsed() >= EVERY && self.done < self.total {
            self.told = Instant::now();
            self.printer.say(line(&self.what, self.done, self.total, self.start.elapsed().as_secs_f64()));
        }
    }
}

/// How far work without a known end is, and how fast it goes.
pub(crate) struct Rate<'p> {
    printer: &'p Printer,
    what: &'static str,
    /// None where rows come in between.
    counter: Option<Counter>,
    done: usize,
    start: Instant,
    told: Instant,
}

impl<'p> Rate<'p> {
    /// Begins to count; with a bar if there `is_room` for one.
    pub(crate) fn new(printer: &'p Printer, what: &'static str, is_room: bool) -> Self {
        let counter = is_room.then(|| Counter::new(printer, RATE, what, 0));
        let now = Instant::now();
        Self { printer, what, counter, done: 0, start: now, told: now }
    }

    /// Sets how many are done.
    pub(crate) fn set(&mut self, done: usize) {
        self.done = done;
        self.counter.iter().for_each(|counter| counter.set(done));
        if !(self.printer.moves && self.counter.is_some()) && self.told.elapsed() >= EVERY {
            self.told = Instant::now();
            self.printer.say(so_far(self.what, done, self.start.elapsed().as_secs_f64()));
        }
    }

    /// Tells what was done, how fast.
    pub(crate) fn finish(self, all: impl Display) {
        self.counter.iter().for_each(Counter::finish);
        let seconds = self.start.elapsed().as_secs_f64();
        let (took, speed) = (duration(seconds), speed(self.done, seconds));
        self.printer.say(format_args!("{} {all} in {took}, {speed}", self.what));
    }
}

/// `labelled 300, 2.5 a second`
fn so_far(what: &str, done: usize, seconds: f64) -> String {
    format!("{what} {done}, {}", speed(done, seconds))
}

fn speed(done: usize, seconds: f64) -> String {
    let rate = done as f64 / seconds.max(1e-9);
    if rate >= 1.0 { format!("{rate:.1} a second") } else { format!("{:.1} a minute", rate * 60.0) }
}

/// `interpretation of valid: 300 of 1109, 2.5 a second, 5 min 24 s left`
fn line(what: &str, done: usize, total: usize, seconds: f64) -> String {
    let left = duration((total - done) as f64 / (done as f64 / seconds.max(1e-9)));
    format!("{what}: {done} of {total}, {}, {left} left", speed(done, seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_fast_and_how_long() {
        assert_eq!(line("a", 300, 1110, 120.0), "a: 300 of 1110, 2.5 a second, 5 min 24 s left");
        assert_eq!(line("b", 3, 9, 60.0), "b: 3 of 9, 3.0 a minute, 2 min 0 s left");
        assert_eq!(so_far("labelled", 300, 120.0), "labelled 300, 2.5 a second");
    }
}
