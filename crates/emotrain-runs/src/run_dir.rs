//! The folder of a run: its lock, its contents, and their atomic writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use emotrain_base::{Complaint, Lock, limits, recover_all, remove_folder, verify, write_atomic};
use emotrain_recipe::{KeyDifference, Recipe, ResumeFrom};
use serde_json::Value;

use crate::contents::{ADAPTER, MODEL, RECIPE, STEP, is_own, step_number};
use crate::error::RunError;
use crate::run_record::RunRecord;
use crate::same_recipe::same_recipe;

/// The folder of one run, locked while this value or a copy of it exists.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
    held: Arc<Held>,
    longer: Vec<KeyDifference>,
}

/// A locked folder; if it was created for a run and is still empty, it is removed on drop.
#[derive(Debug)]
struct Held {
    /// The folders that were created for it, the innermost first.
    made: Vec<PathBuf>,
    lock: Lock,
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(path) = self.made.first().filter(|_| self.lock.is_in_place()) else { return };
        let names = fs_err::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.file_name());
        if names.into_iter().all(|name| name == LOCK) {
            // It is empty: if it cannot be removed, it does no harm.
            let _ = fs_err::remove_file(path.join(LOCK));
            self.made.iter().take_while(|folder| fs_err::remove_dir(folder).is_ok()).for_each(drop);
        }
    }
}

impl RunDir {
    /// Locks the folder of a new or resumed run, and completes or reverts what a killed process left unfinished. The
    /// recipe is compared with that of the run.
    ///
    /// # Errors
    /// A folder that another process uses, that already has a run although none is to be resumed, that has a run of
    /// another recipe, or that cannot be written.
    pub fn claim(recipe: &Recipe) -> Result<Self, RunError> {
        let (path, resume) = (&recipe.train.output_dir, recipe.save.resume_from_checkpoint.as_ref());
        Self::check_place(recipe)?;
        let is_folder = |path: &&Path| !path.as_os_str().is_empty();
        let missing = path.ancestors().filter(is_folder).take_while(|folder| !folder.exists());
        let made = missing.map(Path::to_path_buf).collect();
        let held = Held { made, lock: Lock::take(path)? };
        recover_all(path, is_own)?;
        let mut run = Self { path: path.clone(), held: Arc::new(held), longer: Vec::new() };
        if resume.is_none() && run.holds_something()? {
            return Err(RunError::unfit(path, "already has a run")
                .and_hint("resume it with --resume, remove the folder, or choose another train.output_dir"));
        }
        if let Some(ResumeFrom::Step(step)) = resume {
            run.check_own(step)?;
        }
        let saved = run.path.join(RECIPE);
        if resume.is_some() && saved.exists() {
            let record = run.path.join(RunRecord::FILE);
            let record = if record.exists() { RunRecord::read(&record)? } else { RunRecord::default() };
            run.longer = same_recipe(&saved, &record, recipe)?;
        }
        Ok(run)
    }

    /// Looks whether a run would write over a recipe that no run has written, such as its own.
    ///
    /// # Errors
    /// A `recipe.toml` in the folder that is not as a run writes it, where nothing else shows that a run was there.
    pub fn check_place(recipe: &Recipe) -> Result<(), RunError> {
        let folder = &recipe.train.output_dir;
        let saved = folder.join(RECIPE);
        if saved.symlink_metadata().is_err() || folder.join(RunRecord::FILE).exists() {
            return Ok(());
        }
        let is_resolved = || {
            let text = emotrain_base::read_to_string(&saved, limits::CONFIG).ok()?;
            Some(emotrain_recipe::load(&saved, &[]).ok()?.to_toml() == text)
        };
        if is_resolved() == Some(true) {
            return Ok(());
        }
        Err(RunError::unfit(&saved, "no run has written it, and this one would write its own in its place")
            .and_hint("choose another train.output_dir"))
    }

    /// Looks whether the folder is still the one that was locked.
    ///
    /// # Errors
    /// A folder that was removed, moved or replaced since then: what is written would not be where the rest of the run is.
    pub fn check_held(&self) -> Result<(), RunError> {
        if self.held.lock.is_in_place() {
            return Ok(());
        }
        let folder = self.path.display();
        let message = format!(
            "{folder}: the folder, or its {LOCK}, was removed, moved or replaced while the run used it"
        );
        let hint = "put it back and go on with --resume, or start the run again";
        Err(RunError::Damaged(Complaint::output(message).hint(hint)))
    }

    /// The keys with which a run is resumed for more steps than it was planned for.
    pub fn longer(&self) -> &[KeyDifference] {
        &self.longer
    }

    /// Refuses to resume from a step of another run.
    fn check_own(&self, step: &Path) -> Result<(), RunError> {
        let place = |path: &Path| fs_err::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        if place(step).parent() == Some(&place(&self.path)) {
            return Ok(());
        }
        Err(RunError::unfit(step, format!("is not a step of the run in {}", self.path.display()))
            .and_hint("set train.output_dir to the folder that has the step"))
    }

    /// Saves the resolved recipe.
    ///
    /// # Errors
    /// A write error.
    pub fn begin(&self, recipe: &Recipe) -> Result<(), RunError> {
        self.write_text(RECIPE, &recipe.to_toml())
    }

    /// Whether other processes are excluded from the folder; some file systems do not support that.
    pub fn is_locked(&self) -> bool {
        self.held.lock.holds()
    }

    /// Whether the run has something to lose; one that failed before that may simply be started again.
    fn holds_something(&self) -> Result<bool, RunError> {
        let results = [self.adapter(), self.model()];
        Ok(!self.steps()?.is_empty() || results.iter().any(|folder| folder.exists()))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The adapter's folder, in PEFT's format.
    pub fn adapter(&self) -> PathBuf {
        self.path.join(ADAPTER)
    }

    /// The folder of a fully trained model, in Hugging Face's format.
    pub fn model(&self) -> PathBuf {
        self.path.join(MODEL)
    }

    /// Writes a JSON file of the run atomically.
    ///
    /// # Errors
    /// A write error.
    pub fn write_json(&self, name: &str, value: &Value) -> Result<(), RunError> {
        self.write_text(name, &format!("{value:#}\n"))
    }

    fn write_text(&self, name: &str, text: &str) -> Result<(), RunError> {
        self.check_held()?;
        Ok(write_atomic(&self.path.join(name), text.as_bytes())?)
    }

    /// The folders of saved steps, oldest first.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn steps(&self) -> Result<Vec<(usize, PathBuf)>, RunError> {
        steps_in(&self.path)
    }

    /// The newest saved step, intact or not.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn latest_step(&self) -> Result<Option<PathBuf>, RunError> {
        Ok(self.steps()?.pop().map(|(_, path)| path))
    }

    /// The folder of step `step`.
    pub fn step(&self, step: usize) -> PathBuf {
        self.path.join(format!("{STEP}{step:06}"))
    }

    /// Removes all saved steps up to `step` except the newest `keep` (0 keeps all). Later ones belong to a continuation
    /// that was abandoned.
    ///
    /// # Errors
    /// A folder that cannot be read or removed.
    pub fn prune(&self, step: usize, keep: usize) -> Result<(), RunError> {
        let steps: Vec<_> = self.steps()?.into_iter().filter(|(number, _)| *number <= step).collect();
        let surplus = if keep == 0 { 0 } else { steps.len().saturating_sub(keep) };
        for (_, path) in &steps[..surplus] {
            remove_folder(path)?;
        }
        Ok(())
    }
}

const LOCK: &str = ".lock";

/// The saved steps in a folder, oldest first.
fn steps_in(run: &Path) -> Result<Vec<(usize, PathBuf)>, RunError> {
    let mut steps = Vec::new();
    for entry in fs_err::read_dir(run)? {
        let path = entry?.path();
        if let Some(number) = step_number(&path).filter(|_| path.is_dir()) {
            steps.push((number, path));
        }
    }
    steps.sort();
    Ok(steps)
}

/// The hint for a saved step `path` that cannot be used: the newest intact one before it.
pub fn way_back(path: &Path) -> String {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let steps = steps_in(folder).unwrap_or_default();
    let before = steps.iter().rev().filter(|(number, _)| Some(*number) < step_number(path));
    match before.map(|(_, path)| path).find(|path| verify(path).is_ok()) {
        Some(sound) => format!(
            "{} is intact: resume from it with --resume --set save.resume_from_checkpoint={}",
            sound.file_name().unwrap_or_default().to_string_lossy(),
            sound.display()
        ),
        None => "there is no intact step before it: remove the run's folder and start again".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_that_no_run_has_written_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(RECIPE);
        let text = "# mine\n[model]\nmodel_name_or_path = \"o/n\"\n[data]\ntrain = \"a\"\nvalid = \"b\"\n";
        fs_err::write(&file, text).unwrap();
        let set = format!("train.output_dir={:?}", folder.path());
        let recipe = emotrain_recipe::load(&file, &[set]).unwrap();
        for refused in [RunDir::check_place(&recipe), RunDir::claim(&recipe).map(drop)] {
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("recipe.toml: no run has written it"), "{refused}");
        }
        assert_eq!(fs_err::read_to_string(&file).unwrap(), text);
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1);
        // A run that failed before its first step may be started again.
        fs_err::write(&file, recipe.to_toml()).unwrap();
        RunDir::claim(&recipe).unwrap().begin(&recipe).unwrap();
        fs_err::write(&file, text).unwrap();
        fs_err::write(folder.path().join(RunRecord::FILE), "{}").unwrap();
        RunDir::check_place(&recipe).unwrap();
    }

    #[test]
    fn a_run_recovers_what_runs_write_and_leaves_what_others_left_or_write() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("r.toml");
        let text = "[model]\nmodel_name_or_path = \"o/n\"\n[data]\ntrain = \"a.jsonl\"\n\
                    valid = \"b.jsonl\"\n";
        fs_err::write(&file, text).unwrap();
        let set = format!("train.output_dir={:?}", folder.path());
        let recipe = emotrain_recipe::load(&file, &[set]).unwrap();
        let ours =
            [".step-000004.building", ".step-000006.partial", ".step-000002.removed", ".adapter.replaced"];
        let theirs = [".bank.building", ".other.replaced", ".bk.lock", ".step-by-step.building", ".model.d"];
        for name in ours.iter().chain(&theirs) {
            fs_err::create_dir(folder.path().join(name)).unwrap();
            fs_err::write(folder.path().join(name).join("rows"), "").unwrap();
        }
        let parts = [".x.part", ".notes.Ab3dEf.part", ".recipe.toml.part"];
        let our_parts = [".recipe.toml.Ab3dEf.part", ".predictions.test.jsonl.Ab3dEf.part"];
        for name in parts.iter().chain(&our_parts) {
            fs_err::write(folder.path().join(name), "").unwrap();
        }
        // Another process exports into a folder that has the name of a run's.
        let stage = emotrain_base::Stage::create(&folder.path().join("model")).unwrap();
        let refused = RunDir::claim(&recipe).unwrap_err();
        assert!(refused.to_string().ends_with("already has a run"), "{refused}");
        let mut left: Vec<_> =
            fs_err::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let mut expected =
            [&theirs[..], &parts, &[".lock", ".model.building", ".model.lock", "adapter", "r.toml"]].concat();
        expected.sort_unstable();
        assert_eq!(left, expected);
        drop(stage);
    }

    #[test]
    fn a_run_may_resume_on_another_gpu_but_not_on_another_kind_of_device() {
        let text =
            "[model]\nmodel_name_or_path = \"o/n\"\n[data]\ntrain = \"a.jsonl\"\nvalid = \"b.jsonl\"\n";
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("r.toml");
        fs_err::write(&file, text).unwrap();
        let recipe =
            |device: &str| emotrain_recipe::load(&file, &[format!("model.device={device}")]).unwrap();
        let saved = folder.path().join(RECIPE);
        fs_err::write(&saved, recipe("cuda:1").to_toml()).unwrap();
        let resumed = |device: &str| same_recipe(&saved, &RunRecord::default(), &recipe(device));
        assert!(resumed("cuda:0").is_ok() && resumed("cuda").is_ok());
        let refused = resumed("cpu").unwrap_err().to_string();
        assert!(refused.contains("model.device: \"cuda:1\" then, \"cpu\" now"), "{refused}");
    }
}
