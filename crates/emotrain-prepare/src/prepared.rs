//! The second phase of a run: the data files, made samples; no weight is loaded yet.

use std::collections::BTreeMap;

use emotrain_base::{Complaint, Listener, Problems};
use emotrain_data::{LabelSet, SplitKind};
use emotrain_hub::Hub;
use emotrain_model::device;
use emotrain_prompt::Encoder;
use emotrain_recipe::Recipe;
use emotrain_train::{SampleSchedule, check_init, sample_weights};

use crate::auxiliary::{Auxiliary, kinds};
use crate::content::read_all;
use crate::encoded_split::{EncodedSplit, check_apart};
use crate::error::PrepareError;
use crate::knowledge::known;
use crate::opened::Opened;
use crate::purpose::{Purpose, Selection};
use crate::sample_schedule::Ordered;
use crate::start;

/// What is asked of a model.
pub struct Prepared<'r> {
    /// What the recipe names but its data.
    pub opened: Opened<'r>,
    /// In the order in which they were asked for.
    pub splits: Vec<EncodedSplit>,
}

/// What a training reads.
pub struct PreparedTraining<'r> {
    /// What the recipe names but its data.
    pub opened: Opened<'r>,
    /// The auxiliary questions.
    pub auxiliary: Vec<Auxiliary>,
    /// What is trained on.
    pub train: EncodedSplit,
    /// The weight of each of its samples, if they are not all 1.
    pub weights: Option<Vec<f32>>,
    /// What each epoch trains on. With difficulties that a model has yet to give, only the numbers in it are right.
    pub schedule: SampleSchedule,
    /// What is measured, in the order in which it was asked for.
    pub measured: Vec<EncodedSplit>,
}

impl<'r> Opened<'r> {
    /// Opens what the recipe names, for data that it does not name.
    ///
    /// # Errors
    /// Everything that is wrong, in one go.
    pub fn open(recipe: &'r Recipe, hub: Hub<'_>) -> Result<Self, PrepareError> {
        Ok(Prepared::new(recipe, &[], hub)?.opened)
    }
}

impl<'r> Prepared<'r> {
    /// Reads and checks what the recipe names, these splits among it.
    ///
    /// # Errors
    /// Everything that is wrong, in one go.
    pub fn new(recipe: &'r Recipe, splits: &[SplitKind], hub: Hub<'_>) -> Result<Self, PrepareError> {
        let mut read = Read::new(recipe, splits, Trains::No, hub)?;
        read.finish(hub.listener())?;
        Ok(Self { opened: read.opened, splits: read.splits })
    }

    /// Says what was read.
    pub fn tell(&self, listener: &dyn Listener) {
        self.splits.iter().for_each(|split| tell(split, &self.opened, listener));
    }
}

impl<'r> PreparedTraining<'r> {
    /// Reads and checks what the recipe names: the training split, and those that are to be measured.
    ///
    /// # Errors
    /// Everything that is wrong, in one go.
    pub fn new(recipe: &'r Recipe, measured: &[SplitKind], hub: Hub<'_>) -> Result<Self, PrepareError> {
        let mut read = Read::new(recipe, measured, Trains::Yes, hub)?;
        let train = read.splits.iter().find(|split| split.purpose == Purpose::Training);
        let order = Ordered::new(recipe, &read.opened.labels);
        let schedule = train.map(|train| order.schedule(train, Some(&BTreeMap::new())));
        let schedule = schedule.and_then(|schedule| read.problems.take(schedule));
        let train = read.splits.iter().find(|split| split.purpose == Purpose::Training);
        let samples = train.map_or(&[][..], |train| &train.samples);
        let weights = sample_weights(&recipe.train.class_weights, &read.opened.labels, samples);
        let weights = read.problems.take(weights).flatten();
        read.finish(hub.listener())?;
        let Read { opened, auxiliary, splits, .. } = read;
        let mut splits = splits.into_iter();
        let (Some(train), Some(schedule)) = (splits.next(), schedule) else {
            unreachable!("without problems there is a training split and its schedule");
        };
        Ok(Self { opened, auxiliary, train, weights, schedule, measured: splits.collect() })
    }

    /// What a training measures: the test split only if it will be evaluated.
    pub fn measured(recipe: &Recipe) -> Vec<SplitKind> {
        let valid = recipe.data.has_valid().then_some(SplitKind::Valid);
        let test = recipe.eval.test.then_some(SplitKind::Test);
        [valid, test].into_iter().flatten().collect()
    }

    /// All splits, the training split first.
    pub fn splits(&self) -> impl Iterator<Item = &EncodedSplit> {
        [&self.train].into_iter().chain(&self.measured)
    }

    /// Says what was read.
    pub fn tell(&self, listener: &dyn Listener) {
        self.splits().for_each(|split| tell(split, &self.opened, listener));
    }
}

/// Whether a training split is among what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trains {
    Yes,
    No,
}

/// What was read, with the problems so far.
struct Read<'r> {
    opened: Opened<'r>,
    auxiliary: Vec<Auxiliary>,
    /// The training split first, if it is among them.
    splits: Vec<EncodedSplit>,
    problems: Problems,
}

impl<'r> Read<'r> {
    fn new(
        recipe: &'r Recipe,
        answered: &[SplitKind],
        trains: Trains,
        hub: Hub<'_>,
    ) -> Result<Self, PrepareError> {
        device::set_threads(recipe.model.num_threads);
        let labels =
            LabelSet::from_section(&recipe.data).map_err(|error| Complaint::usage(error.to_string()))?;
        let mut problems = Problems::default();
        let train = (trains == Trains::Yes).then_some((SplitKind::Train, Purpose::Training));
        let wanted = answered.iter().map(|split| (*split, Purpose::Answering));
        let wanted: Vec<(SplitKind, Purpose)> = train.into_iter().chain(wanted).collect();
        let names: Vec<SplitKind> = wanted.iter().map(|(name, _)| *name).collect();
        let contents = problems.take(read_all(&recipe.data, &labels, &names, hub.listener()));
        if trains == Trains::Yes {
            problems.take(Ordered::new(recipe, &labels).check());
        }
        let opened = problems.take(Opened::new(recipe, labels, trains == Trains::Yes, hub));
        let start = problems.take(check_init(recipe));
        if let (Some(()), Some((opened, _)), Trains::Yes) = (start, &opened, trains) {
            problems.take(start::check(opened, hub.listener()));
        }
        let (Some(contents), Some((opened, auxiliary))) = (contents, opened) else {
            return Err(problems.into());
        };
        let mut splits = Vec::new();
        for ((name, content), (_, purpose)) in contents.into_iter().zip(wanted) {
            let selection = Selection::new(recipe, name, purpose, &auxiliary);
            let known = known(recipe, &content, name);
            splits.extend(problems.take(opened.encode(name, content, known, selection)));
        }
        problems.take(check_apart(&splits));
        Ok(Self { opened, auxiliary, splits, problems })
    }

    /// Refuses what has problems, and says what is remarkable about prompts.
    fn finish(&mut self, listener: &dyn Listener) -> Result<(), PrepareError> {
        self.opened.check_fit(&self.splits, &mut self.problems);
        std::mem::take(&mut self.problems).finish()?;
        let remarks = self.opened.encoder().map(Encoder::remarks);
        remarks.into_iter().flatten().for_each(|remark| listener.say(&remark));
        Ok(())
    }
}

/// Says what a split holds.
fn tell(split: &EncodedSplit, opened: &Opened<'_>, listener: &dyn Listener) {
    let EncodedSplit { name, content, found, known, samples, .. } = split;
    listener.say(&content.summary(&opened.labels));
    let of_utterances = samples.len() - split.auxiliary();
    let limit = name.limit(&opened.recipe.data).filter(|limit| *limit == of_utterances);
    let drawn = limit.map_or("", |_| ", drawn at random from all");
    listener.say(&format!("  {name}: {}{drawn}", split.counted()));
    if let Some(kinds) = kinds(samples) {
        listener.say(&format!("  of these {kinds}"));
    }
    if let Some(found) = found {
        listener.say(&format!("  {}", found.summary()));
    }
    known.summary().iter().for_each(|line| listener.say(&format!("  {line}")));
}
