//! A run that trains, between one step and the next: what its next step is made of, and what follows from the result.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use emotrain_model::{Batch, CausalLm};
use emotrain_recipe::ResumeFrom;
use emotrain_runs::{BestRecord, RunError, TrainingRecord};

use crate::checkpoint::{self, State};
use crate::diary::{Diary, Made, due};
use crate::error::TrainError;
use crate::event::{End, Event};
use crate::job::{Job, TrainData};
use crate::loss_trace::{LossRise, LossTrace};
use crate::optim::{AdamWOptimizer, LearningRate};
use crate::order::SampleOrder;
use crate::packing::Packing;
use crate::selection::{check_result, load_result, note, save_result, validate};
use crate::step::{StepAt, StepResult, Turn};

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
    /// How the training loss rose at the end, if it did.
    pub loss_rise: Option<LossRise>,
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

/// A run between two of its steps.
pub struct Training<'a> {
    job: &'a Job<'a>,
    model: CausalLm,
    replicas: Vec<CausalLm>,
    data: TrainData<'a>,
    events: &'a mut dyn FnMut(&Event),
    order: SampleOrder,
    optimizer: AdamWOptimizer,
    state: State,
    diary: Diary<'a>,
    losses: LossTrace,
    last_checkpoint: Option<PathBuf>,
    /// Requests to save that were met.
    saves: usize,
    /// Why it ends, if not with its last step.
    end: End,
}

/// The model that is trained.
pub struct Models {
    /// On the device of its optimizer, evaluations and files.
    pub model: CausalLm,
    /// Its base on other devices, among which each step's micro-batches are dealt, too.
    pub replicas: Vec<CausalLm>,
}

/// What a step is made of.
pub(crate) struct Window {
    /// The samples, micro-batch by micro-batch.
    samples: Vec<usize>,
    batches: Vec<Batch>,
    at: StepAt,
}

impl<'a> Training<'a> {
    /// Starts or resumes the training of models whose trainable parameters are set up.
    ///
    /// # Errors
    /// A saved step that cannot be used, a log that cannot be written.
    pub fn start(
        job: &'a Job<'a>,
        models: Models,
        data: TrainData<'a>,
        events: &'a mut dyn FnMut(&Event),
    ) -> Result<Self, TrainError> {
        let section = &job.recipe.train;
        let order = SampleOrder::new(section, job.recipe.data.sampling, data.train, data.schedule);
        let mut optimizer = AdamWOptimizer::new(section);
        let Models { mut model, mut replicas } = models;
        let (state, last_checkpoint) = start(job, &order, &mut model, &mut optimizer)?;
        for replica in &mut replicas {
            replica.follow(&model);
        }
        let diary = Diary::open(job, data, &state)?;
        events(&Event::Started { total_steps: order.total_steps(), start_step: state.step });
        let (saves, end) = (job.saves.load(Ordering::Relaxed), End::Completed);
        let losses = LossTrace::new(state.step);
        Ok(Self {
            job,
            model,
            replicas,
            data,
            events,
            order,
            optimizer,
            state,
            diary,
            losses,
            last_checkpoint,
            saves,
            end,
        })
    }

    /// Whether it makes no more steps.
    pub(crate) fn is_over(&self) -> bool {
        self.state.step >= self.order.total_steps() || self.end != End::Completed
    }

    /// What the next step is made of; there is one unless the run is over.
    pub(crate) fn window(&mut self) -> Window {
        let Self { job, data, order, state, .. } = self;
        let (section, curriculum) = (&job.recipe.train, &job.recipe.curriculum);
        let phase = order.phase_of(state.step);
        if state.step == phase.start {
            if curriculum.restart_optimizer {
                self.optimizer = AdamWOptimizer::new(section);
            }
            (self.events)(&data.schedule.phase_event(order.epoch_of(state.step)));
        }
        let span = if curriculum.restart_lr_scheduler { phase } else { 0..order.total_steps() };
        let learning_rate = LearningRate::new(section, span.len()).at(state.step - span.start);
        let micro = order.step(state.step);
        let packing = Packing::of(job.recipe);
        let batch = |micro: &Vec<usize>| {
            let batch = packing.batch(micro.iter().map(|&sample| &data.train[sample]));
            let Some(weights) = data.weights else { return batch };
            let of = |&sample: &usize| std::iter::repeat_n(weights[sample], data.train[sample].supervised());
            batch.with_weights(micro.iter().flat_map(of).collect())
        };
        Window {
            batches: micro.iter().map(batch).collect(),
            samples: micro.concat(),
            at: StepAt { number: state.step, learning_rate },
        }
    }

    /// The run's part of a step.
    pub(crate) fn turn<'t>(&'t mut self, window: &'t Window) -> Turn<'t> {
        Turn {
            section: &self.job.recipe.train,
            model: &mut self.model,
            replicas: &mut self.replicas,
            optimizer: &mut self.optimizer,
            batches: &window.batches,
            at: window.at,
        }
    }

    /// Goes on with the result of a step: records it, and evaluates, ends and saves where that is due.
    ///
    /// # Errors
    /// A file that cannot be written, or a number that is not finite: nothing was saved after the last good state.
    pub(crate) fn take(&mut self, window: &Window, result: &StepResult) -> Result<(), TrainError> {
        let Self { job, order, events, .. } = self;
        job.run.check_held()?;
        self.state.step += 1;
        self.losses.push(result.loss);
        let made = Made { state: &mut self.state, result, samples: &window.samples, order };
        self.diary.step(made, *events)?;
        let last = self.state.step == order.total_steps();
        if order.is_evaluated_after(self.state.step, job.recipe.eval.eval_steps) {
            self.evaluate()?;
        }
        if (self.job.stop)() && !last {
            self.end = End::Interrupted;
        }
        let saves = self.job.saves.load(Ordering::Relaxed);
        let wished = std::mem::replace(&mut self.saves, saves) != saves;
        let save = &self.job.recipe.save;
        if due(self.state.step, save.save_steps) || last || wished || self.end != End::Completed {
            let (run, keep) = (self.job.run, save.save_total_limit);
            let path = checkpoint::save(run, &mut self.model, &self.optimizer, &self.state, keep)?;
            (self.events)(&Event::Saved { step: self.state.step, path: path.clone() });
            self.last_checkpoint = Some(path);
        }
        Ok(())
    }

    /// Evaluates, if there is something to evaluate on; keeps the best parameters, and ends if there were none for long.
    fn evaluate(&mut self) -> Result<(), TrainError> {
        let (job, eval) = (self.job, &self.job.recipe.eval);
        let Some(valid) = self.data.valid else { return Ok(()) };
        let evaluation = validate(job, &self.model, valid, self.state.step, self.events)?;
        let best = note(eval, &mut self.state, evaluation);
        if best && eval.load_best_model_at_end {
            save_result(job, &mut self.model)?;
        }
        self.diary.evaluation(self.state.step, evaluation, best, self.events)?;
        let patience = eval.early_stopping_patience;
        if patience > 0 && self.state.evaluations_without_gain >= patience {
            self.end = End::EarlyStopped;
        }
        Ok(())
    }

    /// The result of a run that is over.
    ///
    /// # Errors
    /// A file that cannot be written or read.
    pub(crate) fn finish(self) -> Result<Outcome, TrainError> {
        let Self { job, mut model, state, last_checkpoint, end, losses, order, .. } = self;
        match end {
            End::Interrupted => {}
            _ if state.best.is_some() && job.recipe.eval.load_best_model_at_end => {
                load_result(job, &mut model)?;
            }
            End::Completed | End::EarlyStopped => {
                save_result(job, &mut model)?;
                // From here on the saved weights are evaluated.
                load_result(job, &mut model)?;
            }
        }
        let loss_rise = losses.rise(order.phase_of(state.step.saturating_sub(1)).start);
        Ok(Outcome { model, end, state, last_checkpoint, loss_rise })
    }
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
