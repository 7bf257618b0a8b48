//! How fast runs of a model were on this machine.

use std::path::Path;

use emotrain_recipe::Recipe;
use emotrain_runs::{RunRecord, RunState, StoredRun, TrainingRecord, find_runs};

use crate::printer::duration;

/// Tokens trained in a second of a finished run. Its seconds are all that it took: loading, evaluations before, during
/// and after training, and writing.
pub(crate) struct Speed {
    tokens: f64,
    folder: String,
}

impl Speed {
    /// Of the newest finished run of the same base model, method and device beside a folder, so many folders deep; `None`
    /// where there is none.
    pub(crate) fn measured(output_dir: &Path, depth: usize, recipe: &Recipe) -> Option<Self> {
        let near = output_dir.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folders = find_runs(near.unwrap_or(Path::new(".")), depth).ok()?.runs;
        let fits = |run: &StoredRun| {
            run.state == RunState::Finished
                && run.recipe().is_ok_and(|other| {
                    let same_model = other.model.model_name_or_path == recipe.model.model_name_or_path;
                    same_model
                        && other.model.device == recipe.model.device
                        && other.model.dtype == recipe.model.dtype
                        && other.quantization == recipe.quantization
                        && other.train.method == recipe.train.method
                })
        };
        let stored = folders.iter().filter_map(|folder| StoredRun::open(folder).ok()).filter(fits);
        let newest =
            stored.max_by(|one, other| one.record.begun_unix_s.total_cmp(&other.record.begun_unix_s))?;
        let training = newest.record.training.as_ref()?;
        let tokens = training.tokens as f64 / whole_seconds(&newest.record, training);
        let is_known = tokens.is_finite() && tokens > 0.0;
        is_known.then(|| Self { tokens, folder: newest.folder.display().to_string() })
    }

    /// How long training on so many tokens takes, for people to read.
    pub(crate) fn estimate(&self, tokens: u64) -> String {
        let Self { tokens: speed, folder } = self;
        let time = duration(tokens as f64 / speed);
        format!(
            "about {time}, evaluations and loading included, at the {speed:.0} tokens a second of {folder}"
        )
    }
}

/// The seconds of all starts of a run; at least those of its training, which a start that was killed has not recorded.
fn whole_seconds(record: &RunRecord, training: &TrainingRecord) -> f64 {
    let resumed: f64 = record.resumed.iter().map(|start| start.elapsed_s).sum();
    (record.elapsed_s + resumed).max(training.seconds)
}

#[cfg(test)]
mod tests {
    use emotrain_runs::ResumptionRecord;

    use super::*;

    #[test]
    fn a_run_takes_longer_than_its_training() {
        let training = TrainingRecord { seconds: 60.0, ..TrainingRecord::default() };
        let resumed = vec![ResumptionRecord { elapsed_s: 30.0, ..ResumptionRecord::default() }];
        let record = RunRecord { elapsed_s: 70.0, resumed, ..RunRecord::default() };
        assert!((whole_seconds(&record, &training) - 100.0).abs() < 1e-9);
        let unknown = RunRecord { elapsed_s: 0.0, ..record };
        assert!((whole_seconds(&unknown, &training) - 60.0).abs() < 1e-9);
    }
}
