//! The loop: one visible function from the first step to the last.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Tensor;
use emotrain_model::random::Key;
use emotrain_model::{BaseModel, Batch, CausalLm, FloatType, Gradients, PassOptions, Sequence};
use emotrain_prompt::Sample;
use emotrain_recipe::{Metric, Recipe, ResumeFrom, TrainMethod};

use crate::checkpoint::{self, State};
use crate::error::TrainError;
use crate::metrics_log::MetricsLog;
use crate::optim::{Adam, Schedule, clip_grad_norm};
use crate::order::Plan;
use crate::run_dir::{RunDir, write_folder};
use crate::validate::{Validation, evaluate, label_loss, sequence_loss};

/// A run: what to do, where, and what the outside world lends it.
pub struct Job<'a> {
    /// The resolved recipe.
    pub recipe: &'a Recipe,
    /// The run's folder.
    pub run: &'a RunDir,
    /// The base model, for `adapter_config.json`.
    pub base: BaseModel<'a>,
    /// Set from outside to stop at the next step boundary.
    pub stop: &'a AtomicBool,
    /// Seconds since 1970.
    pub clock: &'a dyn Fn() -> f64,
    /// Number of labels, for the metrics of a validation by questions.
    pub labels: usize,
}

/// What to train and validate on.
#[derive(Clone, Copy)]
pub struct TrainData<'a> {
    /// Encoded samples; what follows `prompt_len` is supervised.
    pub train: &'a [Sample],
    /// What to validate on.
    pub valid: Option<&'a Validation>,
}

/// Metrics of one evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean negative log-likelihood of the true labels' tokens.
    pub loss: f64,
    /// Weighted F1, macro F1 and accuracy, where labels were scored.
    pub classification: Option<[f64; 3]>,
}

/// What a run tells while it goes.
#[derive(Clone, Debug)]
pub enum Event {
    /// Training begins (or goes on).
    Started {
        /// Steps of the whole run.
        total_steps: usize,
        /// Steps done before.
        start_step: usize,
    },
    /// A step is done.
    Step {
        /// Number of the step, from 1.
        step: usize,
        /// Steps of the whole run.
        total_steps: usize,
        /// Epochs done, with fraction.
        epoch: f64,
        /// Loss of the step: mean over the supervised tokens of its window.
        loss: f64,
        /// Gradient norm before clipping.
        grad_norm: f64,
        /// The learning rate used.
        learning_rate: f64,
        /// Tokens per second since this process began to train.
        tokens_per_second: f64,
        /// Seconds left at the pace so far.
        eta_s: f64,
        /// Whether `logging.logging_steps` asks for this step.
        logged: bool,
    },
    /// An evaluation goes on.
    EvalProgress {
        /// Utterances done.
        done: usize,
        /// Utterances in all.
        total: usize,
    },
    /// An evaluation is done.
    Evaluated {
        /// After this many steps.
        step: usize,
        /// What came out.
        scores: Evaluation,
        /// Whether it is the best so far.
        best: bool,
    },
    /// A step was saved.
    Saved {
        /// The step.
        step: usize,
        /// Its folder.
        path: PathBuf,
    },
}

/// Why training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All steps were made.
    Completed,
    /// No gain for `eval.early_stopping_patience` evaluations.
    EarlyStopped,
    /// Stopped from outside; the state is saved.
    Interrupted,
}

/// What training leaves.
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

/// Trains `model`, whose trained parameters are set up, to the end of the recipe.
///
/// # Errors
/// A file that cannot be read or written, or a number that is not finite: then nothing was saved after the last good
/// state.
pub fn train(
    job: &Job,
    mut model: CausalLm,
    data: TrainData,
    events: &mut dyn FnMut(&Event),
) -> Result<Outcome, TrainError> {
    let Recipe { train: section, eval, save, logging, .. } = job.recipe;
    let plan = Plan::new(section, data.train.iter().map(|sample| sample.ids.len()).collect());
    let schedule = Schedule::new(section, plan.total_steps());
    let mut optimizer = Adam::new(section);
    let mut state = State::default();
    let mut last_checkpoint = None;
    if let Some(path) = resume_path(job)? {
        state = checkpoint::load(&path, &mut model, &mut optimizer)?;
        last_checkpoint = Some(path);
    }
    let mut log = MetricsLog::open(job.run, &logging.report_to, (state.step, (job.clock)()))?;
    let (start_step, begin, seconds_before) = (state.step, (job.clock)(), state.seconds);
    let mut tokens_here = 0;
    let mut end = End::Completed;
    events(&Event::Started { total_steps: plan.total_steps(), start_step });

    while state.step < plan.total_steps() {
        let learning_rate = schedule.at(state.step);
        let StepResult { loss, grad_norm, tokens } =
            step(job, &mut model, &mut optimizer, data.train, (&plan.step(state.step), state.step, learning_rate))?;
        state.step += 1;
        state.tokens += tokens;
        tokens_here += tokens;
        let now = (job.clock)();
        state.seconds = seconds_before + (now - begin);

        let logged = due(state.step, logging.logging_steps);
        let tokens_per_second = tokens_here as f64 / (now - begin).max(1e-9);
        let epoch = state.step as f64 / plan.steps_per_epoch() as f64;
        let pace = (now - begin) / (state.step - start_step) as f64;
        let eta_s = pace * (plan.total_steps() - state.step) as f64;
        let (step, total_steps) = (state.step, plan.total_steps());
        events(&Event::Step {
            step, total_steps, epoch, loss, grad_norm, learning_rate, tokens_per_second, eta_s, logged,
        });
        if logged {
            let scalars = [
                ("loss", loss),
                ("grad_norm", grad_norm),
                ("learning_rate", learning_rate),
                ("epoch", epoch),
                ("tokens_per_second", tokens_per_second),
            ];
            log.write("train", (state.step, now), &scalars)?;
        }

        let last = state.step == plan.total_steps();
        if let Some(valid) = data.valid.filter(|_| last || due(state.step, eval.eval_steps)) {
            let scores = validate(job, &model, valid, state.step, events)?;
            let best = note(job, &mut state, scores);
            if best && eval.load_best_model_at_end {
                save_result(job, &mut model)?;
            }
            log.write("eval", (state.step, (job.clock)()), &scalars(&scores))?;
            events(&Event::Evaluated { step: state.step, scores, best });
            let patience = eval.early_stopping_patience;
            if patience > 0 && state.evaluations_without_gain >= patience {
                end = End::EarlyStopped;
            }
        }

        if job.stop.load(Ordering::Relaxed) && !last {
            end = End::Interrupted;
        }
        if due(state.step, save.save_steps) || last || end != End::Completed {
            let path = checkpoint::save(job.run, &mut model, &optimizer, (&state, save.save_total_limit))?;
            events(&Event::Saved { step: state.step, path: path.clone() });
            last_checkpoint = Some(path);
        }
        if end != End::Completed {
            break;
        }
    }

    if end != End::Interrupted {
        if state.best.is_some() && eval.load_best_model_at_end {
            load_result(job, &mut model)?;
        } else {
            save_result(job, &mut model)?;
        }
    }
    Ok(Outcome { model, end, state, last_checkpoint })
}

struct StepResult {
    loss: f64,
    grad_norm: f64,
    tokens: u64,
}

/// One optimizer step: the micro-batches of its window, each normalised by the supervised tokens of all of them.
fn step(
    job: &Job,
    model: &mut CausalLm,
    optimizer: &mut Adam,
    samples: &[Sample],
    (window, number, learning_rate): (&[Vec<usize>], usize, f64),
) -> Result<StepResult, TrainError> {
    let section = &job.recipe.train;
    let batches: Vec<Batch> = window.iter().map(|micro| pack(samples, micro)).collect();
    let supervised: usize = batches.iter().map(|batch| batch.targets().len()).sum();
    if supervised == 0 {
        return Err(TrainError::NothingToTrain);
    }
    let dropout = Key::new(section.seed).named("dropout").with(number as u64);
    let mut gradients = Gradients::default();
    let mut losses = Vec::new();
    for (micro, batch) in batches.iter().enumerate().filter(|(_, batch)| !batch.targets().is_empty()) {
        let options = PassOptions {
            factor: 1.0 / supervised as f64,
            dropout: dropout.with(micro as u64),
            gradient_checkpointing: section.gradient_checkpointing,
        };
        losses.push(model.forward_backward(batch, options, &mut gradients));
    }
    let loss = f64::from(Tensor::cat(losses, 0).sum().into_scalar::<f32>()) / supervised as f64;
    let grad_norm = gradients.norm();
    for (what, value) in [("loss", loss), ("gradient norm", grad_norm)] {
        if !value.is_finite() {
            return Err(TrainError::NonFinite { step: number + 1, what, value });
        }
    }
    clip_grad_norm(&mut gradients, grad_norm, section.max_grad_norm);
    optimizer.step(model, gradients, learning_rate);
    let tokens = batches.iter().map(|batch| batch.rows() as u64).sum();
    Ok(StepResult { loss, grad_norm, tokens })
}

fn pack(samples: &[Sample], micro: &[usize]) -> Batch {
    let sequence = |&sample: &usize| Sequence {
        ids: samples[sample].ids.as_slice(),
        supervised_from: samples[sample].prompt_len,
    };
    Batch::sequences(&micro.iter().map(sequence).collect::<Vec<_>>())
}

fn validate(
    job: &Job,
    model: &CausalLm,
    valid: &Validation,
    step: usize,
    events: &mut dyn FnMut(&Event),
) -> Result<Evaluation, TrainError> {
    let batch_size = job.recipe.eval.per_device_eval_batch_size;
    let total = match valid {
        Validation::Questions(questions) => questions.samples.len(),
        Validation::Sequences(samples) => samples.len(),
    };
    let mut progress = |done| events(&Event::EvalProgress { done, total });
    let scores = match valid {
        Validation::Sequences(samples) => {
            Evaluation { loss: sequence_loss(model, samples, batch_size, &mut progress), classification: None }
        }
        Validation::Questions(questions) => {
            let scored = evaluate(model, questions, batch_size, &mut progress)?;
            let known = scored.iter().filter_map(|s| s.truth.map(|truth| (truth, Some(s.predicted))));
            let (truth, predicted): (Vec<_>, Vec<_>) = known.unzip();
            let metrics = emotrain_eval::score(&truth, &predicted, job.labels)?;
            Evaluation {
                loss: label_loss(&scored, &questions.completions),
                classification: Some([metrics.weighted_f1, metrics.macro_f1, metrics.accuracy]),
            }
        }
    };
    if !scores.loss.is_finite() {
        return Err(TrainError::NonFinite { step, what: "validation loss", value: scores.loss });
    }
    Ok(scores)
}

/// Keeps the books on the best evaluation; whether this one is it.
fn note(job: &Job, state: &mut State, scores: Evaluation) -> bool {
    let eval = &job.recipe.eval;
    let [weighted_f1, macro_f1, accuracy] = scores.classification.unwrap_or_default();
    let value = match eval.metric_for_best_model {
        Metric::WeightedF1 => weighted_f1,
        Metric::MacroF1 => macro_f1,
        Metric::Accuracy => accuracy,
        Metric::Loss => scores.loss,
    };
    let gain = |best: f64| if eval.greater_is_better { value > best } else { value < best };
    let best = state.best.is_none_or(|(_, best)| gain(best));
    state.evaluations_without_gain = if best { 0 } else { state.evaluations_without_gain + 1 };
    if best {
        state.best = Some((state.step, value));
    }
    best
}

fn scalars(scores: &Evaluation) -> Vec<(&'static str, f64)> {
    let names = ["weighted_f1", "macro_f1", "accuracy"];
    let classification = scores.classification.into_iter().flat_map(|values| names.into_iter().zip(values));
    std::iter::once(("loss", scores.loss)).chain(classification).collect()
}

/// Puts what was trained in the run's `adapter/` or `model/`, whole or not at all.
fn save_result(job: &Job, model: &mut CausalLm) -> Result<(), TrainError> {
    match job.recipe.train.method {
        TrainMethod::Lora => {
            write_folder(&job.run.adapter(), |folder| Ok(model.save_adapter(folder, job.base)?))
        }
        TrainMethod::Full => {
            write_folder(&job.run.model(), |folder| Ok(model.save_model(folder, FloatType::F32)?))
        }
    }
}

fn load_result(job: &Job, model: &mut CausalLm) -> Result<(), TrainError> {
    match job.recipe.train.method {
        TrainMethod::Lora => model.reload_adapter(&job.run.adapter())?,
        TrainMethod::Full => model.reload(&job.run.model())?,
    }
    Ok(())
}

fn resume_path(job: &Job) -> Result<Option<PathBuf>, TrainError> {
    match &job.recipe.save.resume_from_checkpoint {
        None => Ok(None),
        Some(ResumeFrom::Latest) => job.run.latest_step(),
        Some(ResumeFrom::Step(path)) => Ok(Some(path.clone())),
    }
}

/// Whether something that happens every `every` steps (0: never) happens after step `step`.
fn due(step: usize, every: usize) -> bool {
    every > 0 && step % every == 0
}
