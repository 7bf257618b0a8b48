//! The sweep file: a base recipe, axes, seeds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use emotrain_base::{Complaint, Problems, limits};
use emotrain_data::SplitKind;
use emotrain_eval::HeadlineScore;
use indexmap::IndexMap;
use serde::Deserialize;
use toml::Value;

use crate::distribution::Distribution;
use crate::error::SweepError;
use crate::shape;
use crate::slurm::SlurmSection;

/// A sweep as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepFile {
    /// The recipe that all runs share, relative to the sweep file.
    pub base: PathBuf,
    /// The folder of the sweep, relative to the current directory; by default `checkpoints/` and the file's name.
    #[serde(default)]
    pub output_dir: PathBuf,
    /// What the board and successive halving compare.
    #[serde(default = "weighted_f1")]
    pub objective: HeadlineScore,
    /// Whose scores the board compares. Successive halving takes the validation split's.
    #[serde(default = "valid")]
    pub split: SplitKind,
    /// The seeds of every recipe: `train.seed`. By default the base recipe's.
    #[serde(default)]
    pub seeds: Vec<u64>,
    /// More runs than this are an error; without it, more than ten thousand.
    #[serde(default)]
    pub max_runs: Option<usize>,
    /// Runs that share one process and its frozen base.
    #[serde(default = "one")]
    pub runs_per_process: usize,
    /// Values by key of the recipe that all runs have.
    #[serde(default)]
    pub(crate) set: IndexMap<String, Value>,
    /// Values by key of the recipe; every combination is tried.
    #[serde(default)]
    pub grid: IndexMap<String, Vec<Value>>,
    /// Values that are drawn.
    #[serde(default)]
    pub random: Option<RandomSection>,
    /// Overlays that are tried as they stand, each with every point of the grid.
    #[serde(default)]
    pub list: Vec<Overlay>,
    /// Successive halving.
    #[serde(default, rename = "asha")]
    pub halving: Option<HalvingSection>,
    /// Options of the job arrays of `--engine slurm`.
    #[serde(default)]
    pub slurm: SlurmSection,
    /// How the text names the file.
    #[serde(skip)]
    pub(crate) place: PathBuf,
}

/// `[random]`: values that are drawn.
#[derive(Clone, Debug, Deserialize)]
pub struct RandomSection {
    /// How many points are drawn.
    pub(crate) samples: usize,
    /// The seed of the draws.
    #[serde(default)]
    pub(crate) seed: u64,
    /// A distribution by key of the recipe.
    #[serde(flatten)]
    pub(crate) keys: IndexMap<String, Distribution>,
}

/// `[[list]]`: keys that change together.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// Its name on the board.
    pub(crate) name: String,
    /// A recipe in the place of the base, relative to the sweep file.
    #[serde(default)]
    pub(crate) recipe: Option<PathBuf>,
    /// Values by key of the recipe.
    #[serde(default)]
    pub(crate) set: IndexMap<String, Value>,
}

/// `[asha]`: asynchronous successive halving (Li and others 2020, A system for massively parallel hyperparameter tuning),
/// in its stopping form: at a rung a run goes on if its score is among the best 1/η of those that have reached the rung.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HalvingSection {
    /// Steps to the first rung.
    pub min_steps: usize,
    /// η: every rung is this many times as far as the one before, and one in this many runs passes it.
    #[serde(default = "three")]
    pub reduction_factor: usize,
}

const fn weighted_f1() -> HeadlineScore {
    HeadlineScore::WeightedF1
}

const fn valid() -> SplitKind {
    SplitKind::Valid
}

const fn one() -> usize {
    1
}

const fn three() -> usize {
    3
}

impl SweepFile {
    /// Reads and checks a sweep file.
    ///
    /// # Errors
    /// A file that cannot be read, is not TOML or has unknown keys; all values that are out of bounds.
    pub fn read(path: &Path) -> Result<Self, SweepError> {
        let text = emotrain_base::read_to_string(path, limits::RECIPE)?;
        let table = text.parse::<toml::Table>().map_err(|error| misread(path, &text, &error))?;
        shape::check(path, &text, &table)?;
        let mut file: Self = toml::from_str(&text).map_err(|error| misread(path, &text, &error))?;
        path.clone_into(&mut file.place);
        if file.output_dir.as_os_str().is_empty() {
            let name = path.file_stem().unwrap_or_default();
            file.output_dir = Path::new("checkpoints").join(name);
        }
        file.check()?;
        Ok(file)
    }

    /// The folder that paths in the file are relative to.
    pub(crate) fn folder(&self) -> &Path {
        let folder = self.place.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or(Path::new("."))
    }

    fn check(&self) -> Result<(), Problems> {
        let mut problems = Problems::default();
        let place = self.place.display();
        let axes = self.faults_of_axes().into_iter().chain(self.keys_given_twice());
        for (what, hint) in axes.chain(self.faults_of_draws()) {
            problems.add(Complaint::usage(format!("{place}: {what}")).hint(hint));
        }
        problems.take(self.slurm.check().map_err(|faults| faults.about(&place.to_string())));
        problems.finish()
    }

    /// What is wrong with axes, seeds and overlays, with what to do about it.
    fn faults_of_axes(&self) -> Vec<(String, &'static str)> {
        let mut faults = Vec::new();
        for (key, values) in &self.grid {
            if values.is_empty() {
                faults.push((
                    format!("grid.\"{key}\" has no values"),
                    "list at least one value, or remove the key",
                ));
            }
            if has_twice(values) {
                faults.push((format!("grid.\"{key}\" has a value twice"), "list every value once"));
            }
        }
        if has_twice(&self.seeds) {
            faults.push(("seeds has a seed twice".to_owned(), "list every seed once"));
        }
        let mut names = BTreeSet::new();
        for (number, overlay) in self.list.iter().enumerate() {
            if overlay.name.is_empty() {
                faults
                    .push((format!("[[list]] {} has an empty name", number + 1), "the board shows the name"));
            }
            if !names.insert(&overlay.name) {
                faults.push((format!("two of [[list]] have the name {:?}", overlay.name), "name each once"));
            }
        }
        let keys = self.tables_by_key();
        for (key, hint) in RESERVED.into_iter().filter(|(key, _)| keys.contains_key(key)) {
            faults.push((format!("{key} cannot be an axis"), hint));
        }
        faults
    }

    /// The tables that give each key of the recipe a value.
    fn tables_by_key(&self) -> BTreeMap<&str, Vec<KeyTable<'_>>> {
        let mut by_key: BTreeMap<&str, Vec<KeyTable<'_>>> = BTreeMap::new();
        let set = self.set.keys().map(|key| (key.trim(), KeyTable::Set));
        let grid = self.grid.keys().map(|key| (key.trim(), KeyTable::Grid));
        let random = self.random.iter().flat_map(|random| random.keys.keys());
        let random = random.map(|key| (key.trim(), KeyTable::Random));
        let list = self
            .list
            .iter()
            .flat_map(|overlay| overlay.set.keys().map(|key| (key.trim(), KeyTable::Overlay(&overlay.name))));
        for (key, table) in set.chain(grid).chain(random).chain(list) {
            by_key.entry(key).or_default().push(table);
        }
        by_key
    }

    /// Keys that get a value twice: one of the two would be lost. What `[set]` gives all runs, an overlay may change.
    fn keys_given_twice(&self) -> Vec<(String, &'static str)> {
        let mut faults = Vec::new();
        for (key, tables) in self.tables_by_key() {
            let is_clash = |one: KeyTable<'_>, other: KeyTable<'_>| match (one, other) {
                (KeyTable::Set, KeyTable::Overlay(_)) => false,
                (KeyTable::Overlay(one), KeyTable::Overlay(other)) => one == other,
                _ => true,
            };
            let clash =
                tables.windows(2).find(|pair| is_clash(pair[0], pair[1])).map(|pair| (pair[0], pair[1]));
            if let Some((one, other)) = clash {
                let what = if one == other {
                    format!("{key} is in {one} twice")
                } else {
                    format!("{key} is in both {one} and {other}")
                };
                faults.push((what, "remove one of the two: a run has one value of a key"));
            }
        }
        faults
    }

    /// What is wrong with random draws, processes and successive halving.
    fn faults_of_draws(&self) -> Vec<(String, &'static str)> {
        let mut faults = Vec::new();
        if self.runs_per_process == 0 {
            faults
                .push(("runs_per_process is 0".to_owned(), "write 1 for a process of its own for every run"));
        }
        if let Some(random) = &self.random {
            if random.samples == 0 {
                faults.push(("random.samples is 0".to_owned(), "write how many points to draw"));
            }
            for (key, distribution) in &random.keys {
                if let Err(what) = distribution.check() {
                    faults.push((format!("random.\"{key}\": {what}"), "see recipes/sweeps/README.md"));
                }
            }
        }
        if self.halving.is_some_and(|halving| halving.min_steps == 0 || halving.reduction_factor < 2) {
            faults.push((
                "asha needs min_steps of at least 1 and a reduction_factor of at least 2".to_owned(),
                "rungs are at min_steps, min_steps × reduction_factor, …",
            ));
        }
        faults
    }
}

/// Keys that a sweep sets itself, with what to write instead.
const RESERVED: [(&str, &str); 2] = [
    (
        "train.seed",
        "write seeds = [42, 43]: seeds are an axis of their own, and the board groups by the others",
    ),
    ("train.output_dir", "write output_dir at the top: each run has a folder in it"),
];

/// A table of the file with keys of the recipe; of `[[list]]` by the overlay's name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyTable<'a> {
    Set,
    Grid,
    Random,
    Overlay(&'a str),
}

impl fmt::Display for KeyTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set => f.write_str("[set]"),
            Self::Grid => f.write_str("[grid]"),
            Self::Random => f.write_str("[random]"),
            Self::Overlay(name) => write!(f, "[[list]] {name:?}"),
        }
    }
}

fn has_twice<T: ToString>(values: &[T]) -> bool {
    // By their text, which is sorted: files may list a hundred thousand values.
    values.iter().map(T::to_string).collect::<BTreeSet<_>>().len() < values.len()
}

/// TOML's error with its line.
fn misread(path: &Path, text: &str, error: &toml::de::Error) -> Complaint {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let line = line.map_or(String::new(), |line| format!(":{line}"));
    let message = error.message().trim();
    Complaint::usage(format!("{}{line}: {message}", path.display()))
        .hint("recipes/sweeps/README.md lists every key of a sweep file")
}
