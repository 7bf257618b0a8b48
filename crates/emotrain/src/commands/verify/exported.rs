//! The export under test: loaded as those load it who use it.

use std::path::Path;

use emotrain_base::{Advice, Complaint, Fault, Silent, Stage, with_causes};
use emotrain_export::named;
use emotrain_hub::{Base, Hub, HubError, Trained};
use emotrain_model::device::{self, OpenDevice};
use emotrain_model::{CausalLm, Checkpoint, FloatType, Merged, ModelError, PeftAdapter, write_model};
use emotrain_prepare::Opened;
use emotrain_prompt::PromptContract;
use emotrain_recipe::{Dtype, ModelSection, Recipe};
use emotrain_train::{Scored, TrainError};

use super::Asked;
use crate::cli::VerifyArgs;
use crate::env;
use crate::shell::Shell;

/// An adapter with the base that it names, or a model.
pub(super) struct Exported {
    pub(super) trained: Trained,
    /// The base; of a model, the model itself.
    section: ModelSection,
}

impl Exported {
    /// What the folder holds, and the base that an adapter names.
    pub(super) fn find(place: &Path, args: &VerifyArgs, base: &ModelSection) -> anyhow::Result<Self> {
        let trained = Trained::in_folder(place)?;
        let mut section = base.clone();
        match (&trained, &args.base) {
            (Trained::Model(folder), Some(_)) => {
                let message = format!("--base: {} is a whole model and has no base", folder.display());
                return Err(Complaint::usage(message).into());
            }
            (Trained::Model(_), None) => trained.settle(&mut section),
            (Trained::Adapter(folder), named_base) => {
                let own = named(folder, named_base.as_deref())?;
                if own.model_name_or_path != base.model_name_or_path {
                    section.model_name_or_path = own.model_name_or_path;
                    section.revision = own.revision;
                }
            }
        }
        Ok(Self { trained, section })
    }

    /// What its own tokenizer makes of the run's prompts; an adapter is used with that of its base.
    pub(super) fn prompts(&self, recipe: &Recipe, shell: &Shell) -> anyhow::Result<Option<PromptContract>> {
        let Trained::Model(folder) = &self.trained else { return Ok(None) };
        if !folder.join("tokenizer.json").exists() {
            shell.printer.warn(format_args!("{}: has no tokenizer.json", folder.display()));
            return Ok(None);
        }
        let mut recipe = recipe.clone();
        recipe.model = self.section.clone();
        // What there is to say of the recipe has been said.
        let hub = Hub::new(&shell.env.hub, &Silent);
        Ok(Opened::open(&recipe, hub)?.contract()?)
    }

    /// Its answers, and the bits of significand that its weights have.
    pub(super) fn answer(
        &self,
        asked: &Asked<'_>,
        dtype: Option<FloatType>,
        on: &OpenDevice,
    ) -> anyhow::Result<(Vec<Scored>, i32)> {
        let hub = asked.shell.hub();
        let base = Base::find(&self.section, hub)?;
        let checkpoint = base.checkpoint(hub)?;
        let stored = match &self.trained {
            Trained::Model(_) => checkpoint.float_type(),
            Trained::Adapter(folder) => PeftAdapter::float_type(folder)?,
        };
        let computed = FloatType::from(asked.recipe.model.dtype);
        let bits = [stored, dtype, Some(computed)].into_iter().flatten().map(significand).min().unwrap_or(24);
        // A GPU rounds products of float32 to TF32, which has the significand of float16.
        let bits = if on.rounds_products() { bits.min(significand(FloatType::F16)) } else { bits };
        let model = match dtype {
            Some(dtype) => self.rounded(&checkpoint, &base, dtype, asked)?,
            None => self.load(&checkpoint, on)?,
        };
        let scored = asked.answers(&model, "export");
        if let Err(TrainError::NonFinite { value, .. }) = scored {
            let message =
                format!("{}: the log-probability of a label is {value}", self.trained.folder().display());
            let hint =
                "a weight is not a finite number, or too large for its type: export again, or as bfloat16";
            return Err(Complaint::input(message).hint(hint).into());
        }
        Ok((scored?, bits))
    }

    fn load(&self, checkpoint: &Checkpoint, on: &OpenDevice) -> anyhow::Result<CausalLm> {
        let mut model = CausalLm::load(checkpoint, &on.device, on.dtype).map_err(failed)?;
        if let Trained::Adapter(folder) = &self.trained {
            model.load_adapter(folder).map_err(failed)?;
        }
        Ok(model)
    }

    /// The export with all weights rounded to a type, on the CPU; on a GPU also computed in it.
    fn rounded(
        &self,
        checkpoint: &Checkpoint,
        base: &Base,
        dtype: FloatType,
        asked: &Asked<'_>,
    ) -> anyhow::Result<CausalLm> {
        let computed = match dtype {
            FloatType::F32 => Dtype::Float32,
            FloatType::F16 => Dtype::Float16,
            FloatType::Bf16 => Dtype::Bfloat16,
        };
        let choice = &asked.recipe.model.device;
        let on = device::open(choice, Dtype::Float32)?;
        if !on.is_cpu() {
            return self.load(checkpoint, &device::open(choice, computed)?);
        }
        // A stage that is not published is removed.
        let stage = Stage::open(&env::scratch())?;
        write_model(&Merged::new(checkpoint, None), stage.folder(), dtype, usize::MAX)?;
        let rounded = Checkpoint::open(stage.folder())?;
        let mut model = CausalLm::load(&rounded, &on.device, on.dtype).map_err(failed)?;
        if let Trained::Adapter(folder) = &self.trained {
            let adapter = PeftAdapter::open(folder, checkpoint.config()).map_err(failed)?;
            adapter.save(stage.folder(), checkpoint.config(), base.named(), dtype)?;
            model.load_adapter(stage.folder())?;
        }
        Ok(model)
    }
}

/// The export cannot be loaded: why, and what to do.
fn failed(source: ModelError) -> HubError {
    if source.hint().is_some() || source.fault() != Fault::Input {
        return HubError::Load { what: "the export".to_owned(), source };
    }
    let message = format!("the export cannot be loaded: {}", with_causes(&source));
    Complaint::input(message).hint("its files are not as they were exported: export the run again").into()
}

/// The bits of significand of a type.
pub(super) fn significand(dtype: FloatType) -> i32 {
    match dtype {
        FloatType::F32 => 24,
        FloatType::F16 => 11,
        FloatType::Bf16 => 8,
    }
}
