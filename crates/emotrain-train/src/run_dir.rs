//! The folder of a run: who may write in it, what is in it, and how nothing in it is ever half written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use emotrain_base::{Lock, Stage, create_folder, recover_all, remove_folder, verify, write_atomic};
use emotrain_recipe::{Recipe, ResumeFrom};
use serde_json::Value;

use crate::error::TrainError;

/// The version of a saved step.
pub const FORMAT_VERSION: u32 = 1;

/// The folder of one run. It belongs to this process for as long as the value, or a copy of it, lives.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
    held: Arc<Held>,
}

/// A folder that is locked, and that goes again if it was made for a run and nothing was put into it.
#[derive(Debug)]
struct Held {
    /// The folders that were made for it, the innermost first.
    made: Vec<PathBuf>,
    lock: Lock,
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(path) = self.made.first() else { return };
        let names = fs_err::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.file_name());
        if names.into_iter().all(|name| name == LOCK) {
            // It holds nothing: what cannot be removed does no harm.
            let _ = fs_err::remove_file(path.join(LOCK));
            self.made.iter().take_while(|folder| fs_err::remove_dir(folder).is_ok()).for_each(drop);
        }
    }
}

impl RunDir {
    /// Takes the folder of a run, new or to be gone on with, out of reach of other processes, and finishes or takes
    /// back what a killed process has left half done. The recipe is compared with that of the run.
    ///
    /// # Errors
    /// A folder that another process works in, that holds a run although none is to be gone on with, or one of
    /// another recipe, or that cannot be written.
    pub fn claim(recipe: &Recipe) -> Result<Self, TrainError> {
        let (path, resume) = (&recipe.train.output_dir, recipe.save.resume_from_checkpoint.as_ref());
        let is_folder = |path: &&Path| !path.as_os_str().is_empty();
        let missing = path.ancestors().filter(is_folder).take_while(|folder| !folder.exists());
        let made = missing.map(Path::to_path_buf).collect();
        create_folder(path)?;
        let held = Held { made, lock: Lock::take(path)? };
        recover_all(path)?;
        let run = Self { path: path.clone(), held: Arc::new(held) };
        if resume.is_none() && run.holds_something()? {
            return Err(TrainError::run_with_hint(
                path,
                "holds a run already",
                "go on with it (--resume), remove the folder, or choose another train.output_dir",
            ));
        }
        if let Some(ResumeFrom::Step(step)) = resume {
            run.check_own(step)?;
        }
        let saved = run.path.join(RECIPE);
        if resume.is_some() && saved.exists() {
            same_recipe(&saved, recipe)?;
        }
        Ok(run)
    }

    /// Refuses to go on with a step of another run.
    fn check_own(&self, step: &Path) -> Result<(), TrainError> {
        let place = |path: &Path| fs_err::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        if place(step).parent() == Some(&place(&self.path)) {
            return Ok(());
        }
        Err(TrainError::run_with_hint(
            step,
            format!("is not a step of the run in {}", self.path.display()),
            "set train.output_dir to the folder that the step is in",
        ))
    }

    /// Saves the resolved recipe.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(&self, recipe: &Recipe) -> Result<(), TrainError> {
        self.write_text(RECIPE, &recipe.to_toml())
    }

    /// Whether other processes are kept out of the folder: some file systems cannot do that.
    pub fn is_locked(&self) -> bool {
        self.held.lock.holds()
    }

    /// Whether a run got so far that it left something to lose; one that failed before may simply be run again.
    fn holds_something(&self) -> Result<bool, TrainError> {
        let results = [self.adapter(), self.model()];
        Ok(!self.steps()?.is_empty() || results.iter().any(|folder| folder.exists()))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the adapter is (or will be), in PEFT's form.
    pub fn adapter(&self) -> PathBuf {
        self.path.join("adapter")
    }

    /// Where the weights of a fully trained model are (or will be), in Hugging Face's form.
    pub fn model(&self) -> PathBuf {
        self.path.join("model")
    }

    /// Writes a JSON file of the run whole.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_json(&self, name: &str, value: &Value) -> Result<(), TrainError> {
        self.write_text(name, &format!("{value:#}\n"))
    }

    fn write_text(&self, name: &str, text: &str) -> Result<(), TrainError> {
        Ok(write_atomic(&self.path.join(name), text.as_bytes())?)
    }

    /// The folders of saved steps, oldest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn steps(&self) -> Result<Vec<(usize, PathBuf)>, TrainError> {
        steps_in(&self.path)
    }

    /// The newest saved step, sound or not.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn latest_step(&self) -> Result<Option<PathBuf>, TrainError> {
        Ok(self.steps()?.pop().map(|(_, path)| path))
    }

    /// Where step `step` is saved.
    pub(crate) fn step(&self, step: usize) -> PathBuf {
        self.path.join(format!("{STEP}{step:06}"))
    }

    /// Removes all saved steps up to `step` but the newest `keep` (0 keeps all). Later ones are of a time that was gone
    /// back from.
    pub(crate) fn prune(&self, step: usize, keep: usize) -> Result<(), TrainError> {
        let steps: Vec<_> = self.steps()?.into_iter().filter(|(number, _)| *number <= step).collect();
        let surplus = if keep == 0 { 0 } else { steps.len().saturating_sub(keep) };
        for (_, path) in &steps[..surplus] {
            remove_folder(path)?;
        }
        Ok(())
    }
}

const STEP: &str = "step-";
const RECIPE: &str = "recipe.toml";
const LOCK: &str = ".lock";

fn steps_in(run: &Path) -> Result<Vec<(usize, PathBuf)>, TrainError> {
    let mut steps = Vec::new();
    for entry in fs_err::read_dir(run)? {
        let path = entry?.path();
        if let Some(number) = number_of(&path).filter(|_| path.is_dir()) {
            steps.push((number, path));
        }
    }
    steps.sort();
    Ok(steps)
}

/// The number of the step that a folder is named after.
pub(crate) fn number_of(step: &Path) -> Option<usize> {
    step.file_name()?.to_str()?.strip_prefix(STEP)?.parse().ok()
}

/// The way out when the saved step `path` cannot be used: the newest sound one before it.
pub(crate) fn way_back(path: &Path) -> String {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let steps = steps_in(folder).unwrap_or_default();
    let before = steps.iter().rev().filter(|(number, _)| Some(*number) < number_of(path));
    match before.map(|(_, path)| path).find(|path| verify(path).is_ok()) {
        Some(sound) => format!(
            "{} is sound: go on from it with --resume --set save.resume_from_checkpoint={}",
            sound.file_name().unwrap_or_default().to_string_lossy(),
            sound.display()
        ),
        None => "there is no sound step before it: remove the run's folder and begin again".to_owned(),
    }
}

/// Fills a folder beside its place and puts it there when `fill` has succeeded.
pub(crate) fn write_folder(
    path: &Path,
    fill: impl FnOnce(&Stage) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    let stage = Stage::open(path)?;
    fill(&stage)?;
    Ok(stage.publish()?)
}

/// A run is resumed with the recipe it began with; what only says when to save, log or stop may change.
fn same_recipe(saved: &Path, recipe: &Recipe) -> Result<(), TrainError> {
    let before = emotrain_recipe::load(saved, &[])
        .map_err(|error| TrainError::run(saved, format!("the saved recipe does not load: {error}")))?;
    let comparable = |recipe: &Recipe| {
        let mut recipe = recipe.clone();
        recipe.save = before.save.clone();
        recipe.logging = before.logging.clone();
        recipe.train.output_dir.clone_from(&before.train.output_dir);
        recipe.model.num_threads = before.model.num_threads;
        recipe.to_toml()
    };
    let (old, new) = (comparable(&before), comparable(recipe));
    match old.lines().zip(new.lines()).find(|(old, new)| old != new) {
        None => Ok(()),
        Some((old, new)) => Err(TrainError::run_with_hint(
            saved,
            format!("the run began with `{old}`, the recipe now says `{new}`"),
            "resume with the recipe of the run, or start a new run in another train.output_dir",
        )),
    }
}
