//! The folder of a run: what is in it, and how nothing in it is ever half written.

use std::path::{Path, PathBuf};

use emotrain_data::write_atomic;
use emotrain_recipe::Recipe;
use serde_json::Value;

use crate::error::TrainError;

/// The version of the folder's layout.
pub const FORMAT_VERSION: u32 = 1;

/// The file that makes a step folder count; it is written last.
const MANIFEST: &str = "manifest.json";

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Creates the folder of a new run, or opens that of a run to go on with, and saves the resolved recipe in it.
    ///
    /// # Errors
    /// A folder that holds another run (unless `resume`), nothing to resume, another recipe than the run began with,
    /// or a folder that cannot be written.
    pub fn create(path: &Path, recipe: &Recipe, resume: bool) -> Result<Self, TrainError> {
        let run = Self { path: path.to_path_buf() };
        let saved = path.join("recipe.toml");
        if !resume && run.holds_something()? {
            return Err(TrainError::run_with_hint(
                path,
                "holds a run already",
                "go on with it (--resume), remove the folder, or choose another train.output_dir",
            ));
        }
        if resume {
            if run.latest_step()?.is_none() {
                return Err(TrainError::run_with_hint(path, "nothing to resume", "start without --resume"));
            }
            same_recipe(&saved, recipe)?;
        }
        fs_err::create_dir_all(path)?;
        run.write_text("recipe.toml", &recipe.to_toml())?;
        Ok(run)
    }

    /// Whether a run got so far that it left something to lose; one that failed before may simply be run again.
    fn holds_something(&self) -> Result<bool, TrainError> {
        let results = [self.adapter(), self.model()];
        Ok(self.latest_step()?.is_some() || results.iter().any(|folder| folder.exists()))
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

    /// The folders of saved steps, oldest first. A folder without manifest does not exist.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn steps(&self) -> Result<Vec<(usize, PathBuf)>, TrainError> {
        let mut steps = Vec::new();
        if !self.path.exists() {
            return Ok(steps);
        }
        for entry in fs_err::read_dir(&self.path)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let number = name.strip_prefix("step-").and_then(|number| number.parse().ok());
            if let Some(number) = number.filter(|_| path.join(MANIFEST).exists()) {
                steps.push((number, path));
            }
        }
        steps.sort();
        Ok(steps)
    }

    /// The newest saved step.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn latest_step(&self) -> Result<Option<PathBuf>, TrainError> {
        Ok(self.steps()?.pop().map(|(_, path)| path))
    }

    /// Where step `step` is saved.
    pub(crate) fn step(&self, step: usize) -> PathBuf {
        self.path.join(format!("step-{step:06}"))
    }

    /// Removes all saved steps but the newest `keep` (0 keeps all).
    pub(crate) fn prune(&self, keep: usize) -> Result<(), TrainError> {
        let steps = self.steps()?;
        let surplus = if keep == 0 { 0 } else { steps.len().saturating_sub(keep) };
        for (_, path) in &steps[..surplus] {
            fs_err::remove_file(path.join(MANIFEST))?;
            fs_err::remove_dir_all(path)?;
        }
        Ok(())
    }
}

/// Fills a folder under another name and puts it in the place of `path` when `fill` has succeeded. A manifest is
/// the last file to be written.
pub(crate) fn write_folder(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    let parent = path.parent().unwrap_or_else(|| Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("folder");
    let (partial, old) = (parent.join(format!(".{name}.partial")), parent.join(format!(".{name}.old")));
    for left_over in [&partial, &old] {
        if left_over.exists() {
            fs_err::remove_dir_all(left_over)?;
        }
    }
    fs_err::create_dir_all(&partial)?;
    fill(&partial)?;
    let files: Vec<String> = fs_err::read_dir(&partial)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_, std::io::Error>>()?;
    let manifest = serde_json::json!({ "format_version": FORMAT_VERSION, "files": sorted(files) });
    fs_err::write(partial.join(MANIFEST), format!("{manifest:#}\n"))?;
    if path.exists() {
        fs_err::rename(path, &old)?;
    }
    fs_err::rename(&partial, path)?;
    if old.exists() {
        fs_err::remove_dir_all(&old)?;
    }
    Ok(())
}

fn sorted(mut files: Vec<String>) -> Vec<String> {
    files.sort();
    files
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
