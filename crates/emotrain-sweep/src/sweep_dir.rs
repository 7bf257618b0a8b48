//! The folder of a sweep: all that its processes share.

use std::path::{Path, PathBuf};

use emotrain_base::{Complaint, create_folder, limits, write_atomic};
use emotrain_recipe::Recipe;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::SweepError;
use crate::expand::PlannedRun;
use crate::sweep_file::SweepFile;

/// The version of `runs.jsonl`.
const FORMAT_VERSION: u32 = 1;

/// The folder of a sweep.
#[derive(Clone, Debug)]
pub struct SweepDir {
    folder: PathBuf,
}

/// A run as `runs.jsonl` has it, a line each.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredPlan {
    /// The version of the line.
    pub(crate) format_version: u32,
    /// The run's id.
    pub id: String,
    /// What its seeds have in common.
    pub name: String,
    /// Its seed.
    pub seed: u64,
    /// The values of the axes, by key of the recipe.
    pub settings: IndexMap<String, Value>,
    /// The steps that it may take, where the recipe says them.
    #[serde(default)]
    pub(crate) max_steps: Option<usize>,
    /// The resolved recipe as TOML; that of another seed may stand for it.
    recipe: String,
}

impl SweepDir {
    /// The folder, which need not exist.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The folder of a sweep that has begun, named by itself or by its file.
    ///
    /// # Errors
    /// A folder without a sweep.
    pub fn find(path: &Path) -> Result<Self, SweepError> {
        let folder = if path.is_dir() { path.to_owned() } else { SweepFile::read(path)?.output_dir };
        let sweep = Self { folder };
        if !Self::is_in(&sweep.folder) {
            let message = format!("{}: there is no sweep: it has no {PLAN}", sweep.folder.display());
            return Err(Complaint::input(message)
                .hint("name a sweep file or the folder of a sweep; emotrain sweep FILE begins one")
                .into());
        }
        Ok(sweep)
    }

    /// Whether a folder is that of a sweep.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(PLAN).is_file()
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// The folders of the runs, each named by its id.
    pub fn runs(&self) -> PathBuf {
        self.folder.join("runs")
    }

    /// The folder of a run.
    pub fn run(&self, id: &str) -> PathBuf {
        self.runs().join(id)
    }

    /// What the attempts at a run print.
    pub fn log(&self, id: &str) -> PathBuf {
        self.logs().join(format!("{id}.log"))
    }

    /// The folder of the logs.
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// The sweep file as it was when the sweep was last started. Its relative paths are those of where it came from.
    ///
    /// # Errors
    /// A file that is missing or damaged.
    pub fn file(&self) -> Result<SweepFile, SweepError> {
        SweepFile::read(&self.folder.join("sweep.toml"))
    }

    /// The attempts at a run, and the lock of the process that is at it.
    pub(crate) fn attempts(&self, id: &str) -> PathBuf {
        self.folder.join("attempts").join(id)
    }

    /// The scores at the rungs of successive halving.
    pub(crate) fn rungs(&self) -> PathBuf {
        self.folder.join("rungs")
    }

    fn plan_file(&self) -> PathBuf {
        self.folder.join(PLAN)
    }

    /// Writes the runs and the sweep file they come from. Those of an earlier version of the file stay in their folders;
    /// returns how many.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn store(&self, file: &SweepFile, runs: &[PlannedRun]) -> Result<usize, SweepError> {
        for folder in [self.runs(), self.logs(), self.folder.join("attempts")] {
            create_folder(&folder)?;
        }
        let mut text = String::new();
        let mut recipe = String::new();
        for (number, run) in runs.iter().enumerate() {
            // Runs of one name follow each other, and differ in the seed.
            if number == 0 || runs[number - 1].name != run.name {
                recipe = run.recipe.to_toml();
            }
            let plan = StoredPlan {
                format_version: FORMAT_VERSION,
                id: run.id.clone(),
                name: run.name.clone(),
                seed: run.seed,
                settings: run
                    .settings
                    .iter()
                    .map(|(key, value)| (key.clone(), serde_json::json!(value)))
                    .collect(),
                max_steps: run.recipe.train.max_steps,
                recipe: recipe.clone(),
            };
            text.push_str(&serde_json::to_string(&plan).map_err(std::io::Error::from)?);
            text.push('\n');
        }
        let source = emotrain_base::read(&file.place, limits::RECIPE)?;
        write_atomic(&self.folder.join("sweep.toml"), &source)?;
        write_atomic(&self.plan_file(), text.as_bytes())?;
        let is_known = |id: &str| runs.iter().any(|run| run.id == id);
        let names = fs_err::read_dir(self.runs())?.map(|entry| entry.map(|entry| entry.file_name()));
        let names = names.collect::<std::io::Result<Vec<_>>>()?;
        Ok(names.iter().filter(|name| !is_known(&name.to_string_lossy())).count())
    }

    /// The runs, in the order of the sweep file.
    ///
    /// # Errors
    /// A file that cannot be read, is damaged or of a later version.
    pub fn plans(&self) -> Result<Vec<StoredPlan>, SweepError> {
        let path = self.plan_file();
        let text = emotrain_base::read_to_string(&path, limits::LINES)?;
        let mut plans = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}", path.display(), number + 1);
            let hint = "repeat emotrain sweep FILE: it writes the file anew";
            let plan: StoredPlan = serde_json::from_str(line)
                .map_err(|error| Complaint::input(format!("{place}: is damaged: {error}")).hint(hint))?;
            if plan.format_version > FORMAT_VERSION {
                let version = plan.format_version;
                let message =
                    format!("{place}: format_version {version}, this version knows {FORMAT_VERSION}");
                return Err(Complaint::input(message).into());
            }
            plans.push(plan);
        }
        Ok(plans)
    }
}

const PLAN: &str = "runs.jsonl";

impl StoredPlan {
    /// The resolved recipe, with the folder of the run in the sweep as it lies now.
    ///
    /// # Errors
    /// A recipe that does not load any more, as after a change of version.
    pub fn recipe(&self, sweep: &SweepDir) -> Result<Recipe, SweepError> {
        let name = sweep.path().join(format!("{}.toml", self.id));
        let mut recipe = emotrain_recipe::parse(&self.recipe, &name, &[])
            .map_err(|error| Complaint::usage(format!("run {}: {error}", self.id)))?;
        recipe.train.seed = self.seed;
        recipe.train.output_dir = sweep.run(&self.id);
        Ok(recipe)
    }
}
