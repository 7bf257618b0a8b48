//! Scoring: the likelihood of every label after the prompt, which is computed once for all labels.

use emotrain_data::{Label, UtteranceId};
use emotrain_model::{CausalLm, Precision, Scorer};
use emotrain_prompt::Sample;
use emotrain_recipe::EvalSection;

use crate::error::TrainError;
use crate::packing::Packing;

/// Utterances to label: prompts without answers, and the completion of each label.
#[derive(Clone, Debug)]
pub struct Questions {
    /// The prompts; a sample's `label` is the truth, if known.
    pub samples: Vec<Sample>,
    /// Token ids of each label's completion, in the order of the label set.
    pub completions: Vec<Vec<u32>>,
}

/// The validation data of a run.
#[derive(Clone, Debug)]
pub enum Validation {
    /// Labelled utterances, for classification metrics.
    Questions(Questions),
    /// Plain sequences, for the loss alone.
    Sequences(Vec<Sample>),
}

/// The scores of one utterance.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// The utterance.
    pub id: UtteranceId,
    /// Its true label, if known.
    pub truth: Option<Label>,
    /// The most likely label; the first one in a tie.
    pub predicted: Label,
    /// The log-probability of each label's completion given the prompt.
    pub log_probs: Vec<f32>,
}

/// Scores the labels of every question; the result has the order of `questions.samples`. Prompts run in the order of
/// their ids, so that the prefix cache reuses most: the instruction, and what the prompts of a dialogue share.
///
/// # Errors
/// [`TrainError::NonFinite`] if a score is NaN or infinite.
pub fn evaluate(
    model: &CausalLm,
    questions: &Questions,
    section: &EvalSection,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Scored>, TrainError> {
    let mut order: Vec<usize> = (0..questions.samples.len()).collect();
    order.sort_by_key(|&sample| &questions.samples[sample].ids);
    let precision = if section.bf16_full_eval { Precision::Bf16 } else { Precision::Full };
    let mut scorer = Scorer::new(model, &questions.completions, precision);
    let mut scored = vec![None; order.len()];
    let mut done = 0;
    for batch in order.chunks(section.per_device_eval_batch_size) {
        let prompts: Vec<&[u32]> =
            batch.iter().map(|&sample| questions.samples[sample].ids.as_slice()).collect();
        for (&sample, log_probs) in batch.iter().zip(scorer.score(&prompts)) {
            scored[sample] = Some(label(&questions.samples[sample], log_probs)?);
        }
        done += batch.len();
        progress(done);
    }
    Ok(scored.into_iter().flatten().collect())
}

fn label(sample: &Sample, log_probs: Vec<f32>) -> Result<Scored, TrainError> {
    if let Some(bad) = log_probs.iter().find(|value| !value.is_finite()) {
        return Err(TrainError::NonFinite { step: 0, what: "score of a label", value: f64::from(*bad) });
    }
    let best = (0..log_probs.len()).rev().max_by(|&a, &b| log_probs[a].total_cmp(&log_probs[b])).unwrap_or(0);
    Ok(Scored { id: sample.id.clone(), truth: sample.label, predicted: Label::from_index(best), log_probs })
}

/// The mean negative log-likelihood of a token of the true labels' completions.
pub fn label_loss(scored: &[Scored], completions: &[Vec<u32>]) -> f64 {
    let known = scored.iter().filter_map(|s| s.truth.map(|truth| (truth.index(), s)));
    let (sum, tokens) = known.fold((0.0, 0), |(sum, tokens), (truth, scored)| {
        (sum - f64::from(scored.log_probs[truth]), tokens + completions[truth].len())
    });
    sum / tokens.max(1) as f64
}

/// The summed negative log-likelihood of the supervised tokens of each sample, in the order of `samples`.
pub fn sample_losses(model: &CausalLm, samples: &[Sample], batch_size: usize) -> Vec<f64> {
    let mut losses = Vec::with_capacity(samples.len());
    for batch in samples.chunks(batch_size) {
        let mut log_probs = model.log_probabilities(&Packing::Apart.batch(batch)).into_iter().map(f64::from);
        for sample in batch {
            losses.push(-log_probs.by_ref().take(sample.supervised()).sum::<f64>());
        }
    }
    losses
}

/// The mean negative log-likelihood of the supervised tokens of plain sequences.
pub fn sequence_loss(
    model: &CausalLm,
    samples: &[Sample],
    batch_size: usize,
    progress: &mut dyn FnMut(usize),
) -> f64 {
    let (mut sum, mut tokens, mut done) = (0.0, 0, 0);
    for batch in samples.chunks(batch_size) {
        let log_probs = model.log_probabilities(&Packing::Apart.batch(batch));
        tokens += log_probs.len();
        sum -= log_probs.into_iter().map(f64::from).sum::<f64>();
        done += batch.len();
        progress(done);
    }
    sum / tokens.max(1) as f64
}
