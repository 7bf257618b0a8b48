//! Auxiliary questions of training, mixed with those about emotions by ratios of the recipe.
//!
//! Their samples are samples like all others: they follow those of their utterances, go through the curriculum
//! with their dialogues and count in the loss token by token. Nothing but the training split has any.

use std::path::Path;

use emotrain_base::random::Key;
use emotrain_base::{Complaint, Problems};
use emotrain_data::Dialogue;
use emotrain_prompt::{Encoder, Sample, Task, Template};
use emotrain_recipe::Recipe;
use emotrain_runs::AuxiliaryRecord;

use crate::error::PrepareError;

/// One of the questions and how often it is put.
#[derive(Debug)]
pub struct Auxiliary {
    /// What puts it.
    pub encoder: Encoder,
    /// Its samples, as a share of the utterances that are trained on.
    ratio: f64,
}

impl Auxiliary {
    /// Those of the recipe, asked with the tokenizer of the questions about emotions.
    ///
    /// # Errors
    /// Invalid templates.
    pub fn of(recipe: &Recipe, emotions: &Encoder) -> Result<Vec<Self>, PrepareError> {
        let mut problems = Problems::default();
        let mut all = Vec::new();
        for task in Task::AUXILIARY {
            let (ratio, file) = settings(recipe, task);
            if ratio > 0.0 {
                let encoder = Template::of_task(task, file).and_then(|template| {
                    let (chat, labels) = (emotions.chat().clone(), emotions.labels().clone());
                    Encoder::new(chat, template, labels, &recipe.prompt, emotions.max_seq_length())
                });
                let encoder = problems.take(encoder.map_err(|error| match file {
                    Some(_) => Problems::from(error).about(&format!("auxiliary.{}_template", task.as_str())),
                    None => error.into(),
                }));
                all.extend(encoder.map(|encoder| Self { encoder, ratio }));
            }
        }
        problems.finish()?;
        Ok(all)
    }

    /// What it asks.
    pub fn task(&self) -> Task {
        self.encoder.template().task()
    }

    /// The utterances of which it is asked: `ratio` of `chosen`, or all of them that suit it where these are fewer.
    /// `turns` are the utterances of the file, and `chosen` places among them. Which ones are drawn depends on their
    /// dialogues' ids and not on their order.
    ///
    /// # Errors
    /// None that suits, or a ratio of less than half an utterance.
    pub fn draw(
        &self,
        turns: &[(&Dialogue, usize)],
        chosen: &[usize],
        path: &Path,
        key: Key,
    ) -> Result<Vec<usize>, PrepareError> {
        let suits = |&place: &usize| self.task().suits(turns[place].0, turns[place].1);
        let suited: Vec<usize> = chosen.iter().copied().filter(suits).collect();
        if suited.is_empty() {
            return Err(self.nothing_to_ask(path, chosen.len()).into());
        }
        let count = share(self.ratio, chosen.len());
        if count == 0 {
            let (name, ratio) = (self.task().as_str(), self.ratio);
            let of = format!("{} utterances to train on", chosen.len());
            let complaint = Complaint::input(format!(
                "{}: auxiliary.{name} = {ratio} of the {of} is not one",
                path.display()
            ));
            return Err(complaint.hint(format!("raise it, or write {name} = 0.0 under [auxiliary]")).into());
        }
        let key = key.named(self.task().as_str());
        Ok(first(suited, count, |&place| rank(key, turns[place].0, turns[place].1)))
    }

    fn nothing_to_ask(&self, path: &Path, chosen: usize) -> Complaint {
        let (name, ratio, path) = (self.task().as_str(), self.ratio, path.display());
        let lack = match self.task() {
            Task::SpeakerIdentification => "has several speakers in its dialogue",
            Task::Emotion | Task::EmotionImpact => "follows an utterance of another speaker",
        };
        let message = format!(
            "{path}: auxiliary.{name} = {ratio}, but of the {chosen} utterances to train on none {lack}"
        );
        Complaint::input(message).hint(format!("write {name} = 0.0 under [auxiliary]"))
    }

    /// Where its prompts come from, for `run.json`.
    pub fn record(&self) -> AuxiliaryRecord {
        let template = self.encoder.template();
        AuxiliaryRecord {
            task: self.task().as_str().to_owned(),
            template: template.origin().to_owned(),
            sha256: emotrain_base::sha256_hex(template.text().as_bytes()),
        }
    }
}

/// Ratio and template of a question.
fn settings(recipe: &Recipe, task: Task) -> (f64, Option<&Path>) {
    let section = &recipe.auxiliary;
    match task {
        Task::Emotion => (0.0, None),
        Task::SpeakerIdentification => {
            (section.speaker_identification, section.speaker_identification_template.as_deref())
        }
        Task::EmotionImpact => (section.emotion_impact, section.emotion_impact_template.as_deref()),
    }
}

/// `ratio` of `count`, to the nearest whole number.
fn share(ratio: f64, count: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the count")]
    let share = (ratio * count as f64).round() as usize;
    share
}

/// The rank of an utterance in a draw, independent of its place in the file.
fn rank(key: Key, dialogue: &Dialogue, position: usize) -> u64 {
    key.named(&dialogue.id).with(position as u64).bits()
}

/// The `count` places of the lowest rank, in ascending order.
pub(crate) fn first(mut places: Vec<usize>, count: usize, rank: impl Fn(&usize) -> u64) -> Vec<usize> {
    if count < places.len() {
        places.sort_by_key(|place| (rank(place), *place));
        places.truncate(count);
        places.sort_unstable();
    }
    places
}

/// How many samples put which question, where there are auxiliary ones.
pub fn kinds(samples: &[Sample]) -> Option<String> {
    let counts = Sample::tasks(samples);
    let told: Vec<String> = counts.iter().map(|(task, count)| format!("{count} {}", task.as_str())).collect();
    (counts.len() > 1).then(|| told.join(", "))
}

#[cfg(test)]
mod tests;
