//! A training as it goes: a bar on a terminal, a line now and then elsewhere.

use std::fmt::Write;

use emotrain_train::{Evaluation, Event};
use indicatif::ProgressBar;

use super::{Printer, style};

pub(super) const FORM: &str = "{bar:28} {pos}/{len} steps  {msg}";

/// Shows the events of trainings: of several, what is theirs alone with their names, and their progress on one line.
pub(crate) struct TrainingView<'a> {
    printer: &'a Printer,
    bar: ProgressBar,
    runs: Vec<Shown>,
    /// The runs whose step is on the line that is to be printed, and whether any of them is to be logged.
    line: Vec<usize>,
    logged: bool,
}

/// What was last seen of a run.
struct Shown {
    /// Who says it; nobody where there is but one.
    printer: Printer,
    name: String,
    total_steps: usize,
    step: usize,
    /// Its last step, until it has ended.
    event: Option<Event>,
}

impl<'a> TrainingView<'a> {
    /// Shows nothing yet of the runs of these names.
    pub(crate) fn new(printer: &'a Printer, names: Vec<String>) -> Self {
        let several = names.len() > 1;
        let shown = |name: String| Shown {
            printer: if several { printer.named(&name) } else { printer.clone() },
            name,
            total_steps: 0,
            step: 0,
            event: None,
        };
        let runs = names.into_iter().map(shown).collect();
        Self { printer, bar: ProgressBar::hidden(), runs, line: Vec::new(), logged: false }
    }

    /// Takes notice of an event of a run.
    pub(crate) fn show(&mut self, run: usize, event: &Event) {
        match event {
            Event::Started { total_steps, start_step } => self.start(run, *total_steps, *start_step),
            Event::Phase { phase, samples, share } => {
                if *phase > 0 || *share < 1.0 {
                    let (number, share) = (phase + 1, 100.0 * share);
                    self.say(run, &format!("curriculum: phase {number}, {samples} samples ({share:.1} %)"));
                }
            }
            Event::Step { step, logged, .. } => {
                if self.line.contains(&run) {
                    self.print_line();
                }
                self.runs[run].step = *step;
                self.runs[run].event = Some(event.clone());
                self.line.push(run);
                self.logged |= *logged;
                if self.runs.len() == 1 {
                    self.print_line();
                }
                self.bar.set_position(self.runs.iter().map(|run| run.step as u64).sum());
                self.bar.set_message(self.brief());
            }
            Event::EvalProgress { done, total } => {
                let text = format!("evaluating {done}/{total}");
                self.bar.set_message(self.runs[run].printer.after_name(&text));
            }
            Event::Evaluated { step, scores, best } => {
                let mark = if *best { "  (new best)" } else { "" };
                self.say(run, &format!("step {step}: {}{mark}", summary(scores)));
            }
            Event::Saved { step, path } => {
                if self.printer.talk.verbose {
                    self.say(run, &format!("step {step}: saved in {}", path.display()));
                }
            }
        }
    }

    /// Does work for a run that has ended while others go on, without the bar.
    pub(crate) fn aside<T>(&mut self, run: usize, work: impl FnOnce() -> T) -> T {
        self.print_line();
        self.runs[run].event = None;
        self.bar.suspend(work)
    }

    /// Removes the bar.
    pub(crate) fn finish(&mut self) {
        self.print_line();
        self.bar.finish_and_clear();
    }

    fn start(&mut self, run: usize, total: usize, done: usize) {
        if done > 0 {
            self.say(run, &format!("resuming after step {done} of {total}"));
        } else {
            self.say(run, &format!("training for {total} steps"));
        }
        (self.runs[run].total_steps, self.runs[run].step) = (total, done);
        if self.printer.moves {
            let [total, done] = [|run: &Shown| run.total_steps, |run: &Shown| run.step]
                .map(|of| self.runs.iter().map(of).sum::<usize>());
            self.bar.finish_and_clear();
            self.bar = ProgressBar::new(total as u64).with_style(style(FORM));
            self.bar.set_position(done as u64);
        }
    }

    /// A line of a run above the bar.
    fn say(&mut self, run: usize, text: &str) {
        let printer = &self.runs[run].printer;
        self.bar.suspend(|| printer.say(text));
    }

    /// The steps of the runs since the last line, where there is no bar.
    fn print_line(&mut self) {
        let runs = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.logged) && !self.printer.moves {
            let events =
                runs.iter().filter_map(|&run| Some((&self.runs[run].name, self.runs[run].event.as_ref()?)));
            match *events.collect::<Vec<_>>() {
                [(_, event)] if self.runs.len() == 1 => self.printer.say(line(event)),
                ref several => self.printer.say(lines(several)),
            }
        }
    }

    /// The text after the bar.
    fn brief(&self) -> String {
        let steps = self.runs.iter().filter_map(|run| Some((&run.name, run.event.as_ref()?)));
        match *steps.collect::<Vec<_>>() {
            [(_, event)] if self.runs.len() == 1 => brief(event),
            ref several => brief_of(several),
        }
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

/// The same of several runs, with their names.
fn brief_of(steps: &[(&String, &Event)]) -> String {
    let loss = |(name, event): &(&String, &Event)| {
        let Event::Step { loss, .. } = event else { return None };
        Some(format!("{name} {loss:.4}"))
    };
    let losses: Vec<String> = steps.iter().filter_map(loss).collect();
    format!("loss {}  {}", losses.join(", "), pace(steps))
}

/// A step of several runs where there is no bar.
fn lines(steps: &[(&String, &Event)]) -> String {
    let made = |(name, event): &(&String, &Event)| {
        let Event::Step { step, total_steps, loss, .. } = event else { return None };
        Some(format!("{name} {step}/{total_steps} loss {loss:.4}"))
    };
    let each: Vec<String> = steps.iter().filter_map(made).collect();
    format!("step {}  {}", each.join(", "), pace(steps))
}

/// How fast they are together, and when the last of them ends.
fn pace(steps: &[(&String, &Event)]) -> String {
    let (mut rate, mut left) = (0.0, 0.0f64);
    for (_, event) in steps {
        if let Event::Step { tokens_per_second, eta_s, .. } = event {
            rate += tokens_per_second;
            left = left.max(*eta_s);
        }
    }
    format!("{rate:.0} tokens/s  {} left", duration(left))
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
