//! Evaluation during training, and keeping the best parameters.

use std::path::PathBuf;

use emotrain_base::verify;
use emotrain_model::CausalLm;
use emotrain_recipe::{EvalSection, Metric, TrainMethod};

use crate::checkpoint::{State, write_folder};
use crate::error::TrainError;
use crate::event::{Evaluation, Event};
use crate::job::Job;
use crate::validate::{Validation, evaluate, label_loss, sequence_loss};

/// Evaluates the model on the validation data.
pub(crate) fn validate(
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
        Validation::Sequences(samples) => Evaluation {
            loss: sequence_loss(model, samples, batch_size, &mut progress),
            classification: None,
        },
        Validation::Questions(questions) => {
            let scored = evaluate(model, questions, &job.recipe.eval, &mut progress)?;
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

/// Records the best evaluation; returns whether this is the new best. Of two with the same metric the one with the lower
/// validation loss is, if both are known, else the earlier.
pub(crate) fn note(eval: &EvalSection, state: &mut State, scores: Evaluation) -> bool {
    let [weighted_f1, macro_f1, accuracy] = scores.classification.unwrap_or_default();
    let value = match eval.metric_for_best_model {
        Metric::WeightedF1 => weighted_f1,
        Metric::MacroF1 => macro_f1,
        Metric::Accuracy => accuracy,
        Metric::Loss => scores.loss,
    };
    let gain = |best: f64| if eval.greater_is_better { value > best } else { value < best };
    let is_better_tie =
        |best: f64| value.total_cmp(&best).is_eq() && state.best_loss.is_some_and(|loss| scores.loss < loss);
    let best = state.best.is_none_or(|(_, best)| gain(best) || is_better_tie(best));
    state.evaluations_without_gain = if best { 0 } else { state.evaluations_without_gain + 1 };
    if best {
        state.best = Some((state.step, value));
        state.best_loss = Some(scores.loss);
    }
    best
}

/// The metrics by name.
pub(crate) fn scalars(scores: &Evaluation) -> Vec<(String, f64)> {
    let names = ["weighted_f1", "macro_f1", "accuracy"];
    let classification = scores.classification.into_iter().flat_map(|values| names.into_iter().zip(values));
    let all = std::iter::once(("loss", scores.loss)).chain(classification);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Saves the trained parameters to the run's `adapter/` or `model/`, atomically.
pub(crate) fn save_result(job: &Job, model: &mut CausalLm) -> Result<(), TrainError> {
    let dtype = job.recipe.save.dtype.into();
    let lora = job.recipe.train.method == TrainMethod::Lora;
    write_folder(&result_folder(job), |stage| {
        if lora {
            model.save_adapter(stage.folder(), job.base, dtype)?;
        } else {
            model.save_model(stage.folder(), dtype)?;
        }
        job.companions.iter().try_for_each(|(name, text)| stage.write(name, text.as_bytes()))?;
        Ok(())
    })
}

/// Refuses to resume if the parameters of the best step so far are lost: no later step may be as good.
pub(crate) fn check_result(job: &Job, best: usize) -> Result<(), TrainError> {
    verify(&result_folder(job)).map(|_| ()).map_err(|damaged| {
        let hint = format!(
            "it has the best parameters so far, those of step {best}: resume from a step before that with \
             --resume --set save.resume_from_checkpoint=…/step-N, or start again in another folder"
        );
        TrainError::Damaged { damaged, hint: Some(hint) }
    })
}

fn result_folder(job: &Job) -> PathBuf {
    if job.recipe.train.method == TrainMethod::Lora { job.run.adapter() } else { job.run.model() }
}

/// Loads the best parameters into the model.
pub(crate) fn load_result(job: &Job, model: &mut CausalLm) -> Result<(), TrainError> {
    let lora = job.recipe.train.method == TrainMethod::Lora;
    let folder = result_folder(job);
    verify(&folder).map_err(|damaged| {
        let hint = damaged.hint().map(str::to_owned);
        TrainError::Damaged { damaged, hint }
    })?;
    if lora {
        model.reload_adapter(&folder)?;
    } else {
        model.reload(&folder)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn of_evaluations_with_the_same_metric_the_one_with_the_lower_loss_is_the_best() {
        let text = "[model]\nmodel_name_or_path = \"a\"\n[data]\ntrain = \"b\"\nvalid = \"c\"\n";
        let recipe = emotrain_recipe::parse(text, Path::new("erc.toml"), &[]).unwrap();
        let mut state = State::default();
        let mut take = |step, loss, metric| {
            state.step = step;
            let best = note(&recipe.eval, &mut state, Evaluation { loss, classification: Some([metric; 3]) });
            (best, state.evaluations_without_gain)
        };
        assert_eq!(take(1, 1.0, 0.5), (true, 0));
        assert_eq!(take(2, 1.0, 0.5), (false, 1), "the earlier of equal ones");
        assert_eq!(take(3, 1.5, 0.5), (false, 2));
        assert_eq!(take(4, 0.9, 0.5), (true, 0));
        assert_eq!(take(5, 0.1, 0.4), (false, 1), "the metric decides");
        assert_eq!(take(6, 2.0, 0.6), (true, 0));
        assert_eq!((state.best, state.best_loss), (Some((6, 0.6)), Some(2.0)));
        // An earlier version did not save the loss.
        state.best_loss = None;
        let equal = Evaluation { loss: 0.0, classification: Some([0.6; 3]) };
        assert!(!note(&recipe.eval, &mut state, equal));
    }
}
