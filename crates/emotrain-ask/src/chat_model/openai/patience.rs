//! When the next request may go out: the rate, pauses that a server asks for, and pauses of our own.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest pause before a repetition.
const LONGEST: f64 = 60.0;
/// How long a pause may last after a request to stop.
const GLANCE: Duration = Duration::from_millis(20);

/// Lets requests out one after another, at their rate.
#[derive(Debug)]
pub(super) struct Gate {
    spacing: Duration,
    /// The first moment at which a request may go out.
    next: Mutex<Instant>,
}

impl Gate {
    pub(super) fn new(requests_per_minute: Option<usize>) -> Self {
        let spacing = requests_per_minute.map_or(0.0, |rate| 60.0 / rate as f64);
        Self { spacing: Duration::from_secs_f64(spacing), next: Mutex::new(Instant::now()) }
    }

    /// Waits for a turn; false when a stop is requested.
    pub(super) fn pass(&self, stop: &dyn Fn() -> bool) -> bool {
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let turn = (*next).max(Instant::now());
            *next = turn + self.spacing;
            turn
        };
        wait_until(turn, stop)
    }

    /// Nothing goes out for so long.
    pub(super) fn close(&self, pause: Duration) {
        let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *next = (*next).max(Instant::now() + pause);
    }
}

/// Pauses; false when a stop is requested.
pub(super) fn pause(duration: Duration, stop: &dyn Fn() -> bool) -> bool {
    wait_until(Instant::now() + duration, stop)
}

fn wait_until(moment: Instant, stop: &dyn Fn() -> bool) -> bool {
    loop {
        if stop() {
            return false;
        }
        let left = moment.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(GLANCE));
    }
}

/// The pause before a repetition, counted from 1: doubled each time, and shortened by up to a half so that
/// questions that failed together do not come back together. A function of its arguments.
pub(super) fn back_off(first_s: f64, repetition: usize, seed: u64, question: usize) -> Duration {
    let doublings = i32::try_from(repetition.saturating_sub(1)).unwrap_or(i32::MAX).min(30);
    let longest = (first_s * f64::powi(2.0, doublings)).min(LONGEST);
    let mut hasher = DefaultHasher::new();
    (seed, question, repetition).hash(&mut hasher);
    let share = (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64;
    Duration::from_secs_f64(longest * (1.0 - share / 2.0))
}

/// Whether a stop is requested, from either side.
pub(super) fn is_requested(flags: &[&AtomicBool]) -> bool {
    flags.iter().any(|flag| flag.load(Ordering::SeqCst))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_vary() {
        let pause = |repetition, question| back_off(1.0, repetition, 7, question).as_secs_f64();
        for (repetition, longest) in [(1, 1.0), (2, 2.0), (5, 16.0), (7, 60.0), (4000, 60.0)] {
            for question in 0..50 {
                let pause = pause(repetition, question);
                assert!(pause > longest / 2.0 && pause <= longest, "{repetition}: {pause}");
            }
        }
        assert!(
            pause(1, 0).to_bits() == pause(1, 0).to_bits() && pause(1, 0).to_bits() != pause(1, 1).to_bits()
        );
    }

    #[test]
    fn a_gate_keeps_its_rate_and_lets_go_of_those_who_stop() {
        let gate = Gate::new(Some(6000));
        let start = Instant::now();
        for _ in 0..4 {
            assert!(gate.pass(&|| false));
        }
        assert!(start.elapsed() >= Duration::from_millis(30), "{:?}", start.elapsed());
        gate.close(Duration::from_mins(1));
        assert!(!gate.pass(&|| start.elapsed() > Duration::from_millis(60)));
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}
