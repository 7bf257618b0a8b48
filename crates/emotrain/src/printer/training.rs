//! A training as it goes: a bar on a terminal, a line now and then elsewhere.

use std::fmt::Write;

use emotrain_train::{Evaluation, Event};
use indicatif::ProgressBar;

use super::{Printer, style};

pub(super) const FORM: &str = "{bar:28} {pos}/{len} steps  {msg}";

/// Shows the events of a training.
pub(crate) struct TrainingView<'a> {
    printer: &'a Printer,
    bar: ProgressBar,
}

impl<'a> TrainingView<'a> {
    /// Shows nothing yet.
    pub(crate) fn new(printer: &'a Printer) -> Self {
        Self { printer, bar: ProgressBar::hidden() }
    }

    /// Takes notice of an event.
    pub(crate) fn show(&mut self, event: &Event) {
        match event {
            Event::Started { total_steps, start_step } => self.start(*total_steps, *start_step),
            Event::Phase { phase, samples, share } => {
                if *phase > 0 || *share < 1.0 {
                    let (number, share) = (phase + 1, 100.0 * share);
                    self.say(&format!("curriculum: phase {number}, {samples} samples ({share:.1} %)"));
                }
            }
            Event::Step { step, logged, .. } => {
                self.bar.set_position(*step as u64);
                self.bar.set_message(brief(event));
                if *logged && !self.printer.moves {
                    self.printer.say(line(event));
                }
            }
            Event::EvalProgress { done, total } => {
                self.bar.set_message(format!("evaluating {done}/{total}"));
            }
            Event::Evaluated { step, scores, best } => {
                let mark = if *best { "  (new best)" } else { "" };
                self.say(&format!("step {step}: {}{mark}", summary(scores)));
            }
            Event::Saved { step, path } => {
                if self.printer.talk.verbose {
                    self.say(&format!("step {step}: saved in {}", path.display()));
                }
            }
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }

    fn start(&mut self, total: usize, done: usize) {
        if done > 0 {
            self.say(&format!("resuming after step {done} of {total}"));
        } else {
            self.say(&format!("training for {total} steps"));
        }
        if self.printer.moves {
            self.bar = ProgressBar::new(total as u64).with_style(style(FORM));
            self.bar.set_position(done as u64);
        }
    }

    /// A line above the bar.
    fn say(&self, text: &str) {
        self.bar.suspend(|| self.printer.say(text));
    }
}

/// The scores of an evaluation on one line.
fn summary(scores: &Evaluation) -> String {
    let mut text = format!("validation loss {:.4}", scores.loss);
    for (name, value) in
        ["weighted F1", "macro F1", "accuracy"].into_iter().zip(scores.classification.iter().flatten())
    {
        // Writing to a string cannot fail.
        let _ = write!(text, "  {name} {:.2}", 100.0 * value);
    }
    text
}

/// The text after the bar.
fn brief(event: &Event) -> String {
    let Event::Step { loss, tokens_per_second, eta_s, .. } = event else { return String::new() };
    format!("loss {loss:.4}  {tokens_per_second:.0} tokens/s  {} left", duration(*eta_s))
}

/// A step where there is no bar.
fn line(event: &Event) -> String {
    let Event::Step { step, total_steps, epoch, grad_norm, learning_rate, .. } = event else {
        return String::new();
    };
    format!(
        "step {step}/{total_steps}  epoch {epoch:.2}  lr {learning_rate:.2e}  grad norm {grad_norm:.3}  {}",
        brief(event)
    )
}

/// Seconds as people say them: `8 s`, `3 min 20 s`, `5 h 7 min`.
pub(crate) fn duration(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a duration, rounded and not negative"
    )]
    let whole = seconds.max(0.0).round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, _) if seconds < 9.95 => format!("{seconds:.1} s"),
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let texts = [0.04, 9.94, 59.6, 200.0, 18_430.0].map(duration);
        assert_eq!(texts, ["0.0 s", "9.9 s", "1 min 0 s", "3 min 20 s", "5 h 7 min"]);
    }

    #[test]
    fn a_step_is_one_line() {
        let event = Event::Step {
            step: 20,
            total_steps: 120,
            epoch: 0.5,
            loss: 1.23456,
            grad_norm: 0.25,
            learning_rate: 2.9e-4,
            tokens_per_second: 812.4,
            eta_s: 200.0,
            logged: true,
        };
        assert_eq!(
            line(&event),
            "step 20/120  epoch 0.50  lr 2.90e-4  grad norm 0.250  loss 1.2346  812 tokens/s  3 min 20 s left"
        );
    }

    #[test]
    fn scores_are_told_in_percent() {
        let scores = Evaluation { loss: 1.5, classification: Some([0.4321, 0.3, 0.5]) };
        assert_eq!(
            summary(&scores),
            "validation loss 1.5000  weighted F1 43.21  macro F1 30.00  accuracy 50.00"
        );
    }
}
