//! What is compared, and how exactly.

use std::ffi::OsString;
use std::path::Path;

use emotrain_base::{Complaint, Listener, Silent};
use emotrain_hub::{Hub, HubSettings, Trained};
use emotrain_model::{FloatType, GgufType};
use emotrain_recipe::{DeviceChoice, ModelSection, Recipe};

use crate::error::VerifyError;

/// What is compared, and how exactly.
#[derive(Clone, Copy, Debug)]
pub struct VerifyOptions<'a> {
    /// The run directory of the training.
    pub run: &'a Path,
    /// Values of its recipe that are replaced, as `key=value`.
    pub set: &'a [String],
    /// The base of an exported adapter, if it is not what the adapter names.
    pub base: Option<&'a str>,
    /// At most how many utterances are asked.
    pub samples: usize,
    /// The largest difference of a log-probability in float32, in nats.
    pub tolerance: f64,
    /// The type that an export is loaded in, or that a server computes in.
    pub dtype: Option<LoadType>,
    /// The device in the place of the recipe's.
    pub device: Option<DeviceChoice>,
}

/// What comparing takes from the program.
#[derive(Clone, Copy)]
pub struct VerifyContext<'a> {
    /// Where models come from.
    pub settings: &'a HubSettings,
    /// Who hears how far it is.
    pub listener: &'a dyn Listener,
    /// The value of an environment variable; none that is empty.
    pub variable: fn(&str) -> Option<OsString>,
    /// A folder for files that are removed again.
    pub scratch: &'a Path,
}

impl<'a> VerifyContext<'a> {
    pub(crate) fn hub(self) -> Hub<'a> {
        Hub::new(self.settings, self.listener)
    }

    /// For what has been said already.
    pub(crate) fn silent_hub(self) -> Hub<'a> {
        Hub::new(self.settings, &Silent)
    }
}

impl VerifyOptions<'_> {
    /// The recipe of the run, with what was trained in the place of its base, and that base.
    pub(crate) fn recipe(&self, trained: &Trained) -> Result<(Recipe, ModelSection), VerifyError> {
        let run = self.run;
        let mut recipe = emotrain_recipe::load(&run.join("recipe.toml"), self.set)?;
        if !recipe.data.has_valid() {
            let complaint = Complaint::usage(format!("{}: its recipe has no data.valid", run.display()));
            return Err(complaint.hint("name a file with labels: --set data.valid=FILE").into());
        }
        if let Some(device) = self.device {
            recipe.model.device = device;
        }
        let limit = recipe.data.max_valid_samples.map_or(self.samples, |limit| limit.min(self.samples));
        recipe.data.max_valid_samples = Some(limit);
        // The comparison is of weights, not of the rounding of a quicker evaluation.
        recipe.eval.bf16_full_eval = false;
        let untrained = recipe.model.clone();
        trained.settle(&mut recipe.model);
        Ok((recipe, untrained))
    }
}

/// The types in which servers load weights.
#[derive(Clone, Copy, Debug)]
pub enum LoadType {
    /// A float format.
    Float(FloatType),
    /// A quantised type of llama.cpp.
    Quantised(GgufType),
}

impl LoadType {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Float(FloatType::F32),
        Self::Float(FloatType::Bf16),
        Self::Float(FloatType::F16),
        Self::Quantised(GgufType::Q8_0),
        Self::Quantised(GgufType::Q4K),
    ];

    /// The name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float(dtype) => dtype.torch_name(),
            Self::Quantised(kind) => kind.name(),
        }
    }

    /// How exactly weights are stored in it, in bits of a float's significand.
    pub fn significand_bits(self) -> i32 {
        match self {
            Self::Float(dtype) => dtype.significand_bits(),
            Self::Quantised(kind) => kind.significand_bits(),
        }
    }
}
