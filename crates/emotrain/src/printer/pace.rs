//! Progress of long work: a bar on a terminal, otherwise a line now and then.

use std::time::{Duration, Instant};

use emotrain_base::Meter;

use super::{Counter, PACE, Printer, duration};

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

/// `interpretation of valid: 300 of 1109, 2.5 a second, 5 min 24 s left`
fn line(what: &str, done: usize, total: usize, seconds: f64) -> String {
    let rate = done as f64 / seconds.max(1e-9);
    let left = duration((total - done) as f64 / rate);
    if rate >= 1.0 {
        format!("{what}: {done} of {total}, {rate:.1} a second, {left} left")
    } else {
        format!("{what}: {done} of {total}, {:.1} a minute, {left} left", rate * 60.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_fast_and_how_long() {
        assert_eq!(line("a", 300, 1110, 120.0), "a: 300 of 1110, 2.5 a second, 5 min 24 s left");
        assert_eq!(line("b", 3, 9, 60.0), "b: 3 of 9, 3.0 a minute, 2 min 0 s left");
    }
}
