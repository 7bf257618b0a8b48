//! The training losses of a run, and whether they rose at its end.

use std::ops::Range;

/// Steps that a mean needs to say something.
const LEAST: usize = 5;

/// A rise is told from here on.
const MARGIN: f64 = 0.05;

/// The loss of each step that this process made.
#[derive(Clone, Debug)]
pub(crate) struct LossTrace {
    /// Steps made before.
    start: usize,
    losses: Vec<f64>,
}

/// Mean training losses of which the later one is higher.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossRise {
    /// Over the tenth of the steps before the last tenth.
    pub before: f64,
    /// Over the last tenth.
    pub after: f64,
}

impl LossTrace {
    /// Of a run that goes on after step `start`.
    pub(crate) fn new(start: usize) -> Self {
        Self { start, losses: Vec::new() }
    }

    pub(crate) fn push(&mut self, loss: f64) {
        self.losses.push(loss);
    }

    /// Whether the loss rose: the mean of the last tenth of all steps is more than 5 % above that of the tenth before,
    /// and by more than two standard errors of their difference. Nothing is said of a tenth of fewer than five steps, or
    /// where the steps are not all of this process and of the last phase of the curriculum, which begins at `phase`.
    pub(crate) fn rise(&self, phase: usize) -> Option<LossRise> {
        let tenth = (self.start + self.losses.len()) / 10;
        let first = self.losses.len().checked_sub(2 * tenth)?;
        if tenth < LEAST || self.start + first < phase {
            return None;
        }
        let (before, of_before) = self.mean(first..first + tenth);
        let (after, of_after) = self.mean(first + tenth..self.losses.len());
        let rise = after - before;
        (rise > MARGIN * before.abs() && rise > 2.0 * (of_before + of_after).sqrt())
            .then_some(LossRise { before, after })
    }

    /// The mean over some steps, and the square of its standard error.
    fn mean(&self, steps: Range<usize>) -> (f64, f64) {
        let losses = &self.losses[steps];
        let count = losses.len() as f64;
        let mean = losses.iter().sum::<f64>() / count;
        let squares: f64 = losses.iter().map(|loss| (loss - mean).powi(2)).sum();
        (mean, squares / (count - 1.0) / count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rise(start: usize, phase: usize, losses: impl IntoIterator<Item = f64>) -> Option<LossRise> {
        let mut trace = LossTrace::new(start);
        losses.into_iter().for_each(|loss| trace.push(loss));
        trace.rise(phase)
    }

    #[test]
    fn a_rise_is_one_that_chance_does_not_make() {
        let steps = |end: f64| (0..100).map(move |step| if step < 90 { 1.0 } else { end });
        assert_eq!(rise(0, 0, steps(1.25)), Some(LossRise { before: 1.0, after: 1.25 }));
        assert_eq!(rise(0, 0, steps(1.04)), None, "within the margin");
        assert_eq!(rise(0, 0, steps(0.5)), None, "it fell");
        let noisy =
            |step: usize| f64::from(u8::from(step.is_multiple_of(2))) + if step < 90 { 0.5 } else { 0.6 };
        assert_eq!(rise(0, 0, (0..100).map(noisy)), None, "a tenth of 10 steps with this noise says nothing");
        assert_eq!(rise(0, 0, steps(1.2).skip(60)), None, "a tenth of 4 steps");
    }

    #[test]
    fn a_rise_is_told_of_steps_that_can_be_compared() {
        let end = |steps: usize| (0..steps).map(move |step| if step + 10 < steps { 1.0 } else { 1.2 });
        assert!(rise(80, 0, end(20)).is_some());
        assert_eq!(rise(81, 0, end(19)), None, "the tenth before was another process's");
        assert!(rise(0, 80, end(100)).is_some());
        assert_eq!(rise(0, 81, end(100)), None, "harder samples came in between");
    }
}
