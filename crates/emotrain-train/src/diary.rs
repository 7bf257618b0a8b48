//! What a run tells of its steps: events for the caller, and the logs of its folder.

use emotrain_prompt::Sample;

use crate::checkpoint::State;
use crate::error::TrainError;
use crate::event::{Evaluation, Event};
use crate::job::{Job, TrainData};
use crate::metrics_log::MetricsLog;
use crate::order::SampleOrder;
use crate::sample_schedule::task_scalars;
use crate::selection::scalars;
use crate::step::StepResult;

/// A step that was made.
pub(crate) struct Made<'a> {
    /// After the step; it gets the tokens and the time.
    pub(crate) state: &'a mut State,
    pub(crate) result: &'a StepResult,
    /// The samples of its window.
    pub(crate) samples: &'a [usize],
    pub(crate) order: &'a SampleOrder,
}

/// Measures time and records events, in files and for the caller.
pub(crate) struct Diary<'a> {
    job: &'a Job<'a>,
    log: MetricsLog,
    data: TrainData<'a>,
    /// Step, seconds and tokens at which this process started or resumed the run, and the time.
    start: State,
    begin: f64,
}

impl<'a> Diary<'a> {
    pub(crate) fn open(job: &'a Job<'a>, data: TrainData<'a>, state: &State) -> Result<Self, TrainError> {
        let begin = (job.clock)();
        let log = MetricsLog::open(job.run, job.recipe, state.step, begin)?;
        Ok(Self { job, log, data, start: state.clone(), begin })
    }

    pub(crate) fn step(&mut self, made: Made, events: &mut dyn FnMut(&Event)) -> Result<(), TrainError> {
        let Made { state, result, samples, order } = made;
        let &StepResult { loss, grad_norm, learning_rate, tokens, .. } = result;
        let now = (self.job.clock)();
        let passed = (now - self.begin).max(1e-9);
        state.tokens += tokens;
        state.seconds = self.start.seconds + passed;
        let step = state.step;
        let logged = due(step, self.job.recipe.logging.logging_steps);
        let (epoch, total_steps) = (order.epochs_after(step), order.total_steps());
        let tokens_per_second = (state.tokens - self.start.tokens) as f64 / passed;
        let eta_s = passed / (step - self.start.step) as f64 * (total_steps - step) as f64;
        events(&Event::Step {
            step,
            total_steps,
            epoch,
            loss,
            grad_norm,
            learning_rate,
            tokens_per_second,
            eta_s,
            logged,
        });
        if !logged {
            return Ok(());
        }
        let mut scalars = vec![
            ("loss".to_owned(), loss),
            ("grad_norm".to_owned(), grad_norm),
            ("learning_rate".to_owned(), learning_rate),
            ("epoch".to_owned(), epoch),
            ("tokens_per_second".to_owned(), tokens_per_second),
        ];
        let scored = per_sample(self.data.train, samples, &result.losses);
        scalars.extend(task_scalars(self.data.train, &scored));
        scalars.extend(self.data.schedule.scalars(order.epoch_of(step - 1), &scored));
        self.log.write("train", step, now, &scalars)
    }

    pub(crate) fn evaluation(
        &mut self,
        step: usize,
        evaluation: Evaluation,
        best: bool,
        events: &mut dyn FnMut(&Event),
    ) -> Result<(), TrainError> {
        events(&Event::Evaluated { step, scores: evaluation, best });
        self.log.write("eval", step, (self.job.clock)(), &scalars(&evaluation))
    }
}

/// Index, negative log-likelihood and number of supervised tokens of each sample of a window; `losses` are in the order
/// of the samples.
fn per_sample(samples: &[Sample], window: &[usize], losses: &[f32]) -> Vec<(usize, f64, usize)> {
    let mut losses = losses.iter();
    let mut scored = |&number: &usize| {
        let tokens = samples[number].supervised();
        let sum = losses.by_ref().take(tokens).map(|&loss| f64::from(loss)).sum();
        (number, sum, tokens)
    };
    window.iter().map(&mut scored).collect()
}

/// Whether something that happens every `every` steps (0: never) happens after step `step`.
pub(crate) fn due(step: usize, every: usize) -> bool {
    every > 0 && step.is_multiple_of(every)
}
