//! The data files of a run as they are now.

use emotrain_curriculum::{Buckets, DifficultyScorer, DifficultySource, Wheel, source};
use emotrain_data::{LabelSet, Split, SplitKind, check_disjoint};
use emotrain_prepare::Content;
use emotrain_recipe::{Difficulty, Direction, PhaseScheduler, Recipe, SharedDialogues};
use emotrain_report::{DifficultyBucket, DifficultyFacts, FileCounts, FileFacts, FileState};
use emotrain_runs::StoredRun;

/// The files, by split.
pub(super) struct DataFiles {
    labels: LabelSet,
    files: Vec<DataFile>,
}

struct DataFile {
    split: SplitKind,
    /// Its digest when the run read it.
    sha256: String,
    content: Result<Split, String>,
}

impl DataFiles {
    /// Reads the files that the run read.
    ///
    /// # Errors
    /// Why there are none to read.
    pub(super) fn read(recipe: &Recipe, run: &StoredRun) -> Result<Self, String> {
        let labels = LabelSet::from_section(&recipe.data).map_err(|error| error.to_string())?;
        let known = SplitKind::ALL.into_iter();
        let recorded = known.filter_map(|split| Some((split, run.record.data.get(split.as_str())?)));
        let files = recorded.map(|(split, record)| {
            let content = match Content::read(&recipe.data, &labels, split) {
                Ok(Content::Dialogues(content)) => Ok(content),
                Ok(Content::Documents(_)) => Err("plain text has no dialogues".to_owned()),
                Err(error) => Err(first_line(&error)),
            };
            DataFile { split, sha256: record.sha256.clone(), content }
        });
        Ok(Self { files: files.collect(), labels })
    }

    /// What a report says of them.
    pub(super) fn facts(&self) -> Vec<FileFacts> {
        self.files.iter().map(|file| file.facts(&self.labels)).collect()
    }

    /// The split that was scored, if its file is what the run read.
    ///
    /// # Errors
    /// Why it is not at hand.
    pub(super) fn content_of(&self, split: SplitKind) -> Result<Split, String> {
        let file = self.files.iter().find(|file| file.split == split);
        let file = file.ok_or_else(|| format!("run.json has no data file for {split}"))?;
        let content = file.content.as_ref().map_err(Clone::clone)?;
        if content.sha256 != file.sha256 {
            return Err(format!("{} has changed since the run read it", content.path.display()));
        }
        Ok(content.clone())
    }

    /// Dialogues that are in two of the files.
    pub(super) fn shared(&self, recipe: &Recipe) -> Vec<String> {
        let splits: Vec<&Split> = self.files.iter().filter_map(|file| file.content.as_ref().ok()).collect();
        match check_disjoint(&splits, recipe.data.format, SharedDialogues::Report) {
            Ok(shared) => shared.iter().map(|one| format!("{} in {}", one, one.later.display())).collect(),
            Err(error) => vec![first_line(&error)],
        }
    }

    /// The dialogues in buckets by the difficulty of the recipe's curriculum if it can be computed from labels, else by
    /// that of PRC-Emo.
    ///
    /// # Errors
    /// Why they cannot be sorted.
    pub(super) fn difficulty(&self, recipe: &Recipe, split: &Split) -> Result<DifficultyFacts, String> {
        let mut section = recipe.curriculum.clone();
        let is_own =
            source(&section) == DifficultySource::Computed && section.difficulty != Difficulty::Random;
        if !is_own {
            section.difficulty = Difficulty::PrcEmo;
        }
        section.scheduler = PhaseScheduler::BabyStep;
        section.direction = Direction::EasyToHard;
        section.num_buckets = section.num_buckets.clamp(2, 10).min(split.dialogues.len());
        let wheel = Wheel::from_section(&section).map_err(|error| first_line(&error))?;
        let scorer = DifficultyScorer::new(&section, &self.labels, &wheel, recipe.train.seed);
        let mut scorer = scorer.map_err(|error| first_line(&error))?;
        let scores = scorer.all(&split.dialogues).map_err(|error| first_line(&error))?;
        let difficulties: Vec<f64> = scores.iter().map(|score| score.dif).collect();
        let labelled = |dialogue: &emotrain_data::Dialogue| {
            dialogue.utterances.iter().filter(|utterance| utterance.label.is_some()).count()
        };
        let utterances: Vec<usize> = split.dialogues.iter().map(labelled).collect();
        let buckets =
            Buckets::new(&section, &difficulties, &utterances).map_err(|error| first_line(&error))?;
        let bucket = |number: usize| {
            let members = buckets.bucket(number);
            let ends = |at: Option<&usize>| at.map_or(0.0, |&at| difficulties[at]);
            DifficultyBucket {
                low: ends(members.first()),
                high: ends(members.last()),
                dialogues: members.iter().map(|&at| split.dialogues[at].id.clone()).collect(),
            }
        };
        let whose =
            if is_own { "the recipe's curriculum" } else { "PRC-Emo, which the recipe does not train by" };
        let name = format!("the difficulty \"{}\" of {whose}", section.difficulty);
        Ok(DifficultyFacts { name, buckets: (0..buckets.len()).map(bucket).collect() })
    }
}

impl DataFile {
    fn facts(&self, labels: &LabelSet) -> FileFacts {
        let split = self.split.as_str().to_owned();
        let content = match &self.content {
            Ok(content) => content,
            Err(reason) => {
                return FileFacts { split, state: FileState::Unreadable(reason.clone()), counts: None };
            }
        };
        let state = if content.sha256 == self.sha256 { FileState::Same } else { FileState::Changed };
        let summary = content.summary(labels);
        let counts = FileCounts {
            dialogues: summary.dialogues,
            utterances: summary.utterances,
            unlabelled: summary.unlabelled,
            mended: summary.mended,
            damaged: summary.damaged,
            labels: summary.labels.into_iter().map(|(_, count)| count).collect(),
        };
        FileFacts { split, state, counts: Some(counts) }
    }
}

/// What is wrong, without the rest of several problems.
pub(super) fn first_line(error: &dyn std::error::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
