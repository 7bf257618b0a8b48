//! A saved step: everything a resumed run needs to equal the uninterrupted one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Tensor};
use emotrain_base::{Complaint, Stage, limits, verify};
use emotrain_model::{CausalLm, FloatType, NamedTensor, TensorSpec, write_safetensors};
use emotrain_runs::{RunDir, RunError, step_number, way_back};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::moments;
use crate::optim::AdamWOptimizer;

/// The version of a saved step.
const FORMAT_VERSION: u32 = 1;

const PARAMETERS: &str = "parameters.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "state.json";

/// The counters of a run between two steps. Random draws need no state: they are functions of seed and step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Version of this file's format.
    pub format_version: u32,
    /// Optimizer steps done.
    pub step: usize,
    /// Step and metric of the best evaluation so far.
    pub best: Option<(usize, f64)>,
    /// Its validation loss; unknown of a step that an earlier version saved.
    #[serde(default)]
    pub best_loss: Option<f64>,
    /// Evaluations since the best one.
    pub evaluations_without_gain: usize,
    /// Tokens processed in training.
    pub tokens: u64,
    /// Seconds spent training.
    pub seconds: f64,
    /// Optimizer updates so far.
    pub updates: usize,
}

/// Saves `step-N/` and removes the oldest steps beyond the limit.
pub(crate) fn save(
    run: &RunDir,
    model: &mut CausalLm,
    optimizer: &AdamWOptimizer,
    state: &State,
    keep: usize,
) -> Result<PathBuf, TrainError> {
    let path = run.step(state.step);
    write_folder(&path, |stage| {
        let folder = stage.folder();
        let parameters: Vec<NamedTensor> =
            model.parameters().into_iter().map(|(name, tensor)| named(name, tensor)).collect();
        write_safetensors(&folder.join(PARAMETERS), &parameters, &BTreeMap::new())?;
        let updates = moments::write(&folder.join(OPTIMIZER), optimizer)?;
        let state = State { format_version: FORMAT_VERSION, updates, ..state.clone() };
        let text = serde_json::to_string_pretty(&state).map_err(std::io::Error::from)?;
        Ok(stage.write(STATE, text.as_bytes())?)
    })?;
    run.prune(state.step, keep)?;
    Ok(path)
}

/// Publishes a folder filled by `fill`, unless that fails.
pub(crate) fn write_folder(
    path: &Path,
    fill: impl FnOnce(&Stage) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    let stage = Stage::open(path)?;
    fill(&stage)?;
    Ok(stage.publish()?)
}

/// Loads the parameters and moments of a saved step and returns its state.
///
/// # Errors
/// A folder that is not a saved step, one that is damaged, or one of another model; the error names the latest intact
/// step before it, if there is one.
pub(crate) fn load(
    path: &Path,
    model: &mut CausalLm,
    optimizer: &mut AdamWOptimizer,
) -> Result<State, TrainError> {
    let is_step = path.is_dir() && step_number(path).is_some();
    if !is_step {
        let unfit = RunError::unfit(path, "is not a saved step");
        return Err(unfit.and_hint("name a folder step-N of a run, or \"latest\"").into());
    }
    verify(path).map_err(|damaged| TrainError::Damaged { damaged, hint: Some(way_back(path)) })?;
    let unfit = |file: &str, message: String| {
        let message = format!("{}: {message}", path.join(file).display());
        TrainError::Unfit(Complaint::input(message).hint(way_back(path)))
    };
    let text = emotrain_base::read_to_string(&path.join(STATE), limits::CONFIG)?;
    let state: State = serde_json::from_str(&text).map_err(|error| unfit(STATE, error.to_string()))?;
    if state.format_version != FORMAT_VERSION {
        let found = state.format_version;
        return Err(unfit(STATE, format!("format version {found}, this program reads {FORMAT_VERSION}")));
    }
    if Some(state.step) != step_number(path) {
        return Err(unfit(STATE, format!("is of step {}", state.step)));
    }
    model.load_parameters(&path.join(PARAMETERS), "")?;
    let read = moments::read(&path.join(OPTIMIZER), model, state.updates)?;
    if read.is_empty() || state.updates == 0 {
        return Err(unfit(OPTIMIZER, "has no optimizer moments".to_owned()));
    }
    let parameters: BTreeMap<String, [usize; 2]> =
        model.parameters().into_iter().map(|(name, tensor)| (name, tensor.dims())).collect();
    for (name, moments) in read {
        if !parameters.get(&name).is_some_and(|shape| moments::fit(&moments, *shape)) {
            return Err(unfit(OPTIMIZER, format!("its moments of {name} belong to another model")));
        }
        optimizer.restore(name, moments);
    }
    Ok(state)
}

fn named(name: String, tensor: &Tensor<2>) -> NamedTensor {
    let shape = tensor.dims().to_vec();
    let values = tensor.clone().cast(DType::F32).try_into_vec_as().expect("a device that can be read");
    NamedTensor { spec: TensorSpec { name, shape, dtype: FloatType::F32 }, values }
}

#[cfg(test)]
mod tests {
    use emotrain_base::random::Key;

    use super::*;

    fn read_back(value: f64) -> f64 {
        let state = State { best: Some((1, value)), seconds: value, ..State::default() };
        let text = serde_json::to_string_pretty(&state).unwrap();
        let read: State = serde_json::from_str(&text).unwrap();
        assert_eq!(read, state, "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value["best"][1].as_f64().unwrap()
    }

    /// A resumed run compares with exactly the metric that the interrupted run had measured, to the last bit.
    #[test]
    fn numbers_survive_being_written() {
        let fractions =
            (1..120).flat_map(|whole| (0..=whole).map(move |part| f64::from(part) / f64::from(whole)));
        let key = Key::new(7);
        let any = (0..20_000)
            .map(|number| f64::from_bits(key.with(number).bits()))
            .filter(|value| value.is_finite());
        for value in fractions.chain(any) {
            assert_eq!(read_back(value).to_bits(), value.to_bits(), "{value}");
        }
    }
}
