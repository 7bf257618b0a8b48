//! The training loop: one function from the first step to the last.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use emotrain_model::{Batch, CausalLm};
use emotrain_prompt::Sample;
use emotrain_recipe::{Recipe, ResumeFrom};
use emotrain_runs::{BestRecord, RunError, TrainingRecord};

use crate::checkpoint::{self, State};
use crate::error::TrainError;
use crate::event::{End, Evaluation, Event};
use crate::job::Job;
use crate::metrics_log::MetricsLog;
use crate::optim::{AdamWOptimizer, LearningRate};
use crate::order::SampleOrder;
use crate::sample_schedule::{SampleSchedule, task_scalars};
use crate::selection::{check_result, load_result, note, save_result, scalars, validate};
use crate::step::{StepAt, StepResult, step};
use crate::validate::{Validation, pack};

/// What to train and validate on.
#[derive(Clone, Copy)]
pub struct TrainData<'a> {
    /// Encoded samples; the tokens from `prompt_len` on are supervised.
    pub train: &'a [Sample],
    /// The samples of each epoch.
    pub schedule: &'a SampleSchedule,
    /// What to validate on.
    pub valid: Option<&'a Validation>,
}

/// The result of a training run.
pub struct Outcome {
    /// The model with the best parameters (`eval.load_best_model_at_end`) or the last ones.
    pub model: CausalLm,
    /// Why training ended.
    pub end: End,
    /// The final counts.
    pub state: State,
    /// The newest saved step.
    pub last_checkpoint: Option<PathBuf>,
}

impl Outcome {
    /// How training ended, as `run.json` says it.
    pub fn record(&self) -> TrainingRecord {
        let end = match self.end {
            End::Completed => "completed",
            End::EarlyStopped => "stopped early",
            End::Interrupted => "interrupted",
        };
        let state = &self.state;
        let best = state.best.map(|(step, value)| BestRecord { step, value });
        let (steps, tokens, seconds) = (state.step, state.tokens, state.seconds);
        TrainingRecord { end: end.to_owned(), steps, tokens, seconds, best }
    }
}

/// Trains `model`, whose trainable parameters are set up, to the end of the recipe.
///
/// # Errors
/// A file that cannot be read or written, or a number that is not finite: nothing was saved after the last good state.
pub fn train(
    job: &Job,
    mut model: CausalLm,
    data: TrainData,
    events: &mut dyn FnMut(&Event),
) -> Result<Outcome, TrainError> {
    let Recipe { train: section, curriculum, eval, save, .. } = job.recipe;
    let plan =
        SampleOrder::new(section, data.train.iter().map(|sample| sample.ids.len()).collect(), data.schedule);
    let mut optimizer = AdamWOptimizer::new(section);
    let (mut state, mut last_checkpoint) = start(job, &plan, &mut model, &mut optimizer)?;
    let mut diary = Diary::open(job, &plan, data, &state)?;
    events(&Event::Started { total_steps: plan.total_steps(), start_step: state.step });

    let mut end = End::Completed;
    while state.step < plan.total_steps() && end == End::Completed {
        let phase = plan.phase_of(state.step);
        if state.step == phase.start {
            if curriculum.restart_optimizer {
                optimizer = AdamWOptimizer::new(section);
            }
            events(&data.schedule.phase_event(plan.epoch_of(state.step)));
        }
        let span = if curriculum.restart_lr_scheduler { phase } else { 0..plan.total_steps() };
        let learning_rate = LearningRate::new(section, span.len()).at(state.step - span.start);
        let at = StepAt { number: state.step, learning_rate };
        let window = plan.step(state.step);
        let batches: Vec<Batch> =
            window.iter().map(|micro| pack(micro.iter().map(|&sample| &data.train[sample]))).collect();
        let result = step(section, &mut model, &mut optimizer, &batches, at)?;
        state.step += 1;
        diary.step(&mut state, &result, &window.concat(), events)?;

        let last = state.step == plan.total_steps();
        if let Some(valid) = data.valid.filter(|_| last || due(state.step, eval.eval_steps)) {
            let evaluation = validate(job, &model, valid, state.step, events)?;
            let best = note(job, &mut state, evaluation);
            if best && eval.load_best_model_at_end {
                save_result(job, &mut model)?;
            }
            diary.evaluation(state.step, evaluation, best, events)?;
            let patience = eval.early_stopping_patience;
            if patience > 0 && state.evaluations_without_gain >= patience {
                end = End::EarlyStopped;
            }
        }
        if job.stop.load(Ordering::Relaxed) && !last {
            end = End::Interrupted;
        }
        let wished = job.save.swap(false, Ordering::Relaxed);
        if due(state.step, save.save_steps) || last || wished || end != End::Completed {
            let path = checkpoint::save(job.run, &mut model, &optimizer, &state, save.save_total_limit)?;
            events(&Event::Saved { step: state.step, path: path.clone() });
            last_checkpoint = Some(path);
        }
    }

    match end {
        End::Interrupted => {}
        _ if state.best.is_some() && eval.load_best_model_at_end => load_result(job, &mut model)?,
        End::Completed | End::EarlyStopped => {
            save_result(job, &mut model)?;
            // From here on the saved weights are evaluated.
            load_result(job, &mut model)?;
        }
    }
    Ok(Outcome { model, end, state, last_checkpoint })
}

/// Measures time and records events, in files and for the caller.
struct Diary<'a> {
    job: &'a Job<'a>,
    log: MetricsLog,
    plan: &'a SampleOrder,
    data: TrainData<'a>,
    /// Step, seconds and tokens at which this process started or resumed the run, and the time.
    start: State,
    begin: f64,
}

impl<'a> Diary<'a> {
    fn open(
        job: &'a Job<'a>,
        plan: &'a SampleOrder,
        data: TrainData<'a>,
        state: &State,
    ) -> Result<Self, TrainError> {
        let begin = (job.clock)();
        let log = MetricsLog::open(job.run, job.recipe, state.step, begin)?;
        Ok(Self { job, log, plan, data, start: state.clone(), begin })
    }

    fn step(
        &mut self,
        state: &mut State,
        result: &StepResult,
        window: &[usize],
        events: &mut dyn FnMut(&Event),
    ) -> Result<(), TrainError> {
        let &StepResult { loss, grad_norm, learning_rate, tokens, .. } = result;
        let now = (self.job.clock)();
        let passed = (now - self.begin).max(1e-9);
        state.tokens += tokens;
        state.seconds = self.start.seconds + passed;
        let step = state.step;
        let logged = due(step, self.job.recipe.logging.logging_steps);
        let (epoch, total_steps) = (self.plan.epochs_after(step), self.plan.total_steps());
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
        let scored = per_sample(self.data.train, window, &result.losses);
        scalars.extend(task_scalars(self.data.train, &scored));
        scalars.extend(self.data.schedule.scalars(self.plan.epoch_of(step - 1), &scored));
        self.log.write("train", step, now, &scalars)
    }

    fn evaluation(
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

/// Resumes from the recipe's checkpoint, or starts.
fn start(
    job: &Job,
    plan: &SampleOrder,
    model: &mut CausalLm,
    optimizer: &mut AdamWOptimizer,
) -> Result<(State, Option<PathBuf>), TrainError> {
    let Some(path) = resume_path(job)? else { return Ok((State::default(), None)) };
    let state = checkpoint::load(&path, model, optimizer)?;
    if state.step > plan.total_steps() {
        let message = format!("is beyond the run's {} steps", plan.total_steps());
        let hint = "choose an earlier step with save.resume_from_checkpoint";
        return Err(RunError::unfit(&path, message).and_hint(hint).into());
    }
    if let Some((best, _)) = state.best.filter(|_| job.recipe.eval.load_best_model_at_end) {
        check_result(job, best)?;
    }
    Ok((state, Some(path)))
}

fn resume_path(job: &Job) -> Result<Option<PathBuf>, TrainError> {
    match &job.recipe.save.resume_from_checkpoint {
        None => Ok(None),
        Some(ResumeFrom::Latest) => Ok(job.run.latest_step()?),
        Some(ResumeFrom::Step(path)) => Ok(Some(path.clone())),
    }
}

/// Whether something that happens every `every` steps (0: never) happens after step `step`.
fn due(step: usize, every: usize) -> bool {
    every > 0 && step.is_multiple_of(every)
}
