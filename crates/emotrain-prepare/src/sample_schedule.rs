//! The curriculum over the training samples: what each epoch trains on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use emotrain_base::{Complaint, Listener, limits};
use emotrain_curriculum::{Curriculum, DifficultyScorer, DifficultySource, Given, Wheel, source};
use emotrain_data::{Dialogue, LabelSet};
use emotrain_model::CausalLm;
use emotrain_prompt::{Sample, Task};
use emotrain_recipe::Recipe;
use emotrain_runs::{LOSSES, RunDir};
use emotrain_train::{EpochSamples, SamplePlace, SampleSchedule, sample_losses};
use serde_json::{Value, json};

use crate::content::Content;
use crate::encoded_split::EncodedSplit;
use crate::error::PrepareError;

/// The dialogues of a file under the recipe's curriculum.
pub struct Ordered<'a> {
    recipe: &'a Recipe,
    labels: &'a LabelSet,
}

impl<'a> Ordered<'a> {
    /// Under this recipe's curriculum.
    pub fn new(recipe: &'a Recipe, labels: &'a LabelSet) -> Self {
        Self { recipe, labels }
    }

    /// Checks what needs no data: the wheel, and its labels.
    ///
    /// # Errors
    /// An invalid wheel, or one that lacks labels that it needs.
    pub(crate) fn check(&self) -> Result<(), PrepareError> {
        let section = &self.recipe.curriculum;
        if source(section) != DifficultySource::Unneeded {
            let wheel = Wheel::from_section(section)?;
            DifficultyScorer::new(section, self.labels, &wheel, self.recipe.train.seed)?;
        }
        Ok(())
    }

    /// What scores the dialogues. `losses` has the mean loss of each where the difficulty is one.
    ///
    /// # Errors
    /// An invalid wheel or file of difficulties, or missing losses.
    pub fn scorer(
        &self,
        dialogues: &[Dialogue],
        losses: Option<&BTreeMap<String, f64>>,
    ) -> Result<DifficultyScorer, PrepareError> {
        let section = &self.recipe.curriculum;
        let wheel = Wheel::from_section(section)?;
        let scorer = DifficultyScorer::new(section, self.labels, &wheel, self.recipe.train.seed)?;
        Ok(match source(section) {
            DifficultySource::Unneeded | DifficultySource::Computed => scorer,
            DifficultySource::File => {
                let path = section.difficulty_file.as_deref().unwrap_or(Path::new(""));
                scorer.with_given(Given::read(path)?)
            }
            DifficultySource::Loss => {
                let losses = losses.ok_or_else(|| Complaint::input("the base model's losses are needed"))?;
                // Dialogues of which no sample was drawn are not ordered.
                let of = |dialogue: &Dialogue| losses.get(&dialogue.id).copied().unwrap_or(0.0);
                let values: Vec<f64> = dialogues.iter().map(of).collect();
                let ids = dialogues.iter().map(|dialogue| dialogue.id.as_str());
                scorer.with_given(Given::new("the base model's loss", ids, &values)?)
            }
        })
    }

    /// The schedule over the samples of a file.
    ///
    /// # Errors
    /// As [`Ordered::scorer`]; too few dialogues; text without dialogues.
    pub fn schedule(
        &self,
        material: &EncodedSplit,
        losses: Option<&BTreeMap<String, f64>>,
    ) -> Result<SampleSchedule, PrepareError> {
        let (section, epochs) = (&self.recipe.curriculum, self.recipe.train.num_train_epochs);
        if source(section) == DifficultySource::Unneeded {
            return Ok(SampleSchedule::plain(material.samples.len(), epochs, section.shuffle_by));
        }
        let Content::Dialogues(split) = &material.content else {
            let message =
                format!("curriculum.name = \"{}\": plain text has no dialogues to order", section.name);
            return Err(Complaint::usage(message).hint("remove the section [curriculum]").into());
        };
        let mut scorer = self.scorer(&split.dialogues, losses)?;
        let components = scorer.all(&split.dialogues)?;
        let members = members(&split.dialogues, &material.samples);
        // Auxiliary samples go with their dialogues and do not affect the order of these.
        let of_emotions = |&&sample: &&usize| material.samples[sample].task == Some(Task::Emotion);
        let sizes: Vec<usize> =
            members.iter().map(|samples| samples.iter().filter(of_emotions).count()).collect();
        let Curriculum { scores, schedule, .. } = Curriculum::from_scores(section, components, sizes)?;
        let mut sampled: Vec<Arc<EpochSamples>> = Vec::new();
        for number in 0..epochs {
            let epoch = schedule.epoch(number);
            // A new phase begins where other dialogues are trained on.
            let last = sampled.last().filter(|last| last.phase == epoch.phase);
            let samples =
                || epoch.dialogues.iter().flat_map(|&dialogue| &members[dialogue]).copied().collect();
            let epoch = last
                .cloned()
                .unwrap_or_else(|| Arc::new(EpochSamples { phase: epoch.phase, samples: samples() }));
            sampled.push(epoch);
        }
        let mut places = vec![SamplePlace { difficulty: 0.0, bucket: 0 }; material.samples.len()];
        for (dialogue, bucket) in schedule.buckets().of_each(members.len()).into_iter().enumerate() {
            for &sample in &members[dialogue] {
                places[sample] =
                    SamplePlace { difficulty: scores[dialogue].dif, bucket: bucket.unwrap_or(0) };
            }
        }
        Ok(SampleSchedule { epochs: sampled, shuffle: section.shuffle.then_some(section.shuffle_by), places })
    }
}

/// The samples of each dialogue, in the order of the dialogue.
fn members(dialogues: &[Dialogue], samples: &[Sample]) -> Vec<Vec<usize>> {
    let places: BTreeMap<&str, usize> =
        dialogues.iter().enumerate().map(|(at, dialogue)| (dialogue.id.as_str(), at)).collect();
    let mut members = vec![Vec::new(); dialogues.len()];
    for (number, sample) in samples.iter().enumerate() {
        members[places[sample.id.dialogue.as_str()]].push(number);
    }
    members
}

/// The base model's mean loss on the labels of each dialogue's samples, in nats per utterance: measured once in the
/// life of a run and kept in its folder. Only samples that ask for emotions count.
///
/// # Errors
/// A loss that is not finite, or a file that cannot be read or written.
pub fn losses(
    model: &CausalLm,
    samples: &[Sample],
    run: &RunDir,
    recipe: &Recipe,
    listener: &dyn Listener,
) -> Result<Option<BTreeMap<String, f64>>, PrepareError> {
    if source(&recipe.curriculum) != DifficultySource::Loss {
        return Ok(None);
    }
    if recipe.save.resume_from_checkpoint.is_some()
        && let Some(kept) = kept_losses(run.path())?
    {
        return Ok(Some(kept));
    }
    let start = if recipe.lora.init_from.is_some() { "adapter of lora.init_from" } else { "untrained model" };
    listener.say(&format!("measuring the loss of the {start} on every dialogue"));
    let samples: Vec<Sample> =
        samples.iter().filter(|sample| sample.task == Some(Task::Emotion)).cloned().collect();
    let losses = sample_losses(model, &samples, recipe.eval.per_device_eval_batch_size);
    let mut sums = BTreeMap::<String, (f64, usize)>::new();
    for (sample, loss) in samples.iter().zip(losses) {
        let (sum, count) = sums.entry(sample.id.dialogue.clone()).or_default();
        *sum += loss;
        *count += 1;
    }
    let means: BTreeMap<String, f64> =
        sums.into_iter().map(|(id, (sum, count))| (id, sum / count as f64)).collect();
    run.write_json(LOSSES, &json!(means))?;
    Ok(Some(means))
}

/// The losses that a run has kept.
///
/// # Errors
/// A file that is damaged.
pub fn kept_losses(run: &Path) -> Result<Option<BTreeMap<String, f64>>, PrepareError> {
    let path = run.join(LOSSES);
    if !path.exists() {
        return Ok(None);
    }
    let value: Value = serde_json::from_str(&emotrain_base::read_to_string(&path, limits::CONFIG)?)
        .map_err(|error| Complaint::input(format!("{}: {error}", path.display())))?;
    let losses = serde_json::from_value(value)
        .map_err(|error| Complaint::input(format!("{}: {error}", path.display())))?;
    Ok(Some(losses))
}

/// A line for each epoch; those beyond the first `begun` are marked as not reached.
pub fn described(schedule: &SampleSchedule, samples: usize, begun: usize) -> Vec<String> {
    if schedule.places.is_empty() {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for (number, epoch) in schedule.epochs.iter().enumerate() {
        let share = 100.0 * epoch.samples.len() as f64 / samples as f64;
        let mean = epoch.samples.iter().map(|&sample| schedule.places[sample].difficulty).sum::<f64>()
            / epoch.samples.len() as f64;
        let reached = if number < begun { "" } else { ", not reached" };
        lines.push(format!(
            "epoch {:<5} phase {}, {} samples ({share:.1} %), mean difficulty {mean:.4}{reached}",
            number + 1,
            epoch.phase + 1,
            epoch.samples.len(),
        ));
    }
    lines
}
