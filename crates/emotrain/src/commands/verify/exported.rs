//! The export under test: loaded as those load it who use it.

use std::path::{Path, PathBuf};

use emotrain_base::{Advice, Complaint, Fault, Silent, Stage, with_causes};
use emotrain_export::other_weights;
use emotrain_hub::{Base, Hub, HubError, Trained};
use emotrain_model::device::{self, OpenDevice};
use emotrain_model::{
    AdapterConfig, BaseModel, CausalLm, Checkpoint, FloatType, GgufType, Merged, ModelError, PeftAdapter,
    write_model,
};
use emotrain_prepare::Opened;
use emotrain_prompt::{PromptContract, PromptError};
use emotrain_recipe::{Dtype, ModelSection, Recipe};
use emotrain_train::{Scored, TrainError};

use super::Asked;
use crate::cli::{LoadType, VerifyArgs};
use crate::env;
use crate::shell::Shell;

/// An adapter with the base that it names, or a model.
pub(super) struct Exported {
    pub(super) trained: Trained,
    /// The base; of a model, the model itself.
    section: ModelSection,
    /// Whether that is another base than the run's.
    has_own_base: bool,
    /// The run that it is compared with.
    run: PathBuf,
}

impl Exported {
    /// What is at the place, and the base that an adapter names; one that names none is of the run's.
    pub(super) fn find(place: &Path, args: &VerifyArgs, base: &ModelSection) -> anyhow::Result<Self> {
        let trained = Trained::find(place)?;
        if let (Trained::Model(_), Some(_)) = (&trained, &args.base) {
            let message = format!("--base: {} is a whole model and has no base", place.display());
            return Err(Complaint::usage(message).into());
        }
        let mut section = base.clone();
        trained.settle(&mut section);
        let config = trained.adapter_config()?;
        let own = config.as_ref().and_then(AdapterConfig::base);
        let name = args.base.as_deref().or(own.map(|own| own.name));
        let other = name.filter(|name| *name != base.model_name_or_path);
        if let Some(other) = other {
            other.clone_into(&mut section.model_name_or_path);
            own.and_then(|own| own.revision).unwrap_or("main").clone_into(&mut section.revision);
        }
        Ok(Self { run: args.run.clone(), has_own_base: other.is_some(), trained, section })
    }

    /// What its own tokenizer makes of the run's prompts; an adapter is used with that of its base.
    pub(super) fn prompts(&self, recipe: &Recipe, shell: &Shell) -> anyhow::Result<Option<PromptContract>> {
        let Trained::Model(place) = &self.trained else { return Ok(None) };
        // What there is to say of the recipe has been said.
        let hub = Hub::new(&shell.env.hub, &Silent);
        let tokenizer = Base::find(&self.section, hub)?.tokenizer();
        if let Err(HubError::Prompt(PromptError::NoTokenizer(_))) = tokenizer {
            shell.printer.warn(format_args!("{}: has no tokenizer", place.display()));
            return Ok(None);
        }
        let mut recipe = recipe.clone();
        recipe.model = self.section.clone();
        Ok(Opened::open(&recipe, hub)?.contract()?)
    }

    /// Its answers, and the bits of significand that its weights have.
    pub(super) fn answer(
        &self,
        asked: &Asked<'_>,
        dtype: Option<LoadType>,
        on: &OpenDevice,
    ) -> anyhow::Result<(Vec<Scored>, i32)> {
        let hub = asked.shell.hub();
        let checkpoint = Base::find(&self.section, hub)?.checkpoint(hub)?;
        if let Trained::Adapter(_) = self.trained
            && let Some(warning) = other_weights(&self.run, &checkpoint)?
        {
            asked.shell.printer.warn(warning);
        }
        let computed = FloatType::from(asked.recipe.model.dtype).significand_bits();
        let bits = self.significand_bits(&checkpoint)?.min(computed);
        // A GPU rounds products of float32 to TF32, which has the significand of float16.
        let bits = if on.rounds_products() { bits.min(FloatType::F16.significand_bits()) } else { bits };
        let (model, rounded) = match dtype {
            None => (self.load(&checkpoint, on)?, bits),
            Some(LoadType::Float(dtype)) => {
                (self.rounded(&checkpoint, dtype, asked)?, dtype.significand_bits())
            }
            Some(LoadType::Quantised(kind)) => self.quantised(&checkpoint, kind, on)?,
        };
        let scored = asked.answers(&model, "export");
        if let Err(TrainError::NonFinite { value, .. }) = scored {
            let message =
                format!("{}: the log-probability of a label is {value}", self.trained.place().display());
            let hint =
                "a weight is not a finite number, or too large for its type: export again, or as bfloat16";
            return Err(Complaint::input(message).hint(hint).into());
        }
        Ok((scored?, bits.min(rounded)))
    }

    /// How exactly it is stored. What the run has had, too, makes no difference: its base.
    fn significand_bits(&self, base: &Checkpoint) -> anyhow::Result<i32> {
        Ok(match &self.trained {
            Trained::Model(_) => base.significand_bits(),
            Trained::Adapter(place) if self.has_own_base => {
                PeftAdapter::significand_bits(place)?.min(base.significand_bits())
            }
            Trained::Adapter(place) => PeftAdapter::significand_bits(place)?,
        })
    }

    fn load(&self, checkpoint: &Checkpoint, on: &OpenDevice) -> anyhow::Result<CausalLm> {
        let mut model = CausalLm::load(checkpoint, &on.device, on.dtype).map_err(failed)?;
        if let Trained::Adapter(place) = &self.trained {
            model.load_adapter(place).map_err(failed)?;
        }
        Ok(model)
    }

    /// The export with all weights rounded to a type, on the CPU; on a GPU also computed in it.
    fn rounded(
        &self,
        checkpoint: &Checkpoint,
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
        if let Trained::Adapter(place) = &self.trained {
            let adapter = PeftAdapter::open(place, checkpoint.config()).map_err(failed)?;
            let base = BaseModel { name: &self.section.model_name_or_path, revision: None };
            adapter.save(stage.folder(), checkpoint.config(), base, dtype)?;
            model.load_adapter(stage.folder())?;
        }
        Ok(model)
    }

    /// The export in llama.cpp's form, and the bits of significand that it has there. An adapter stays as it is, and its
    /// base is quantised: so it is served.
    fn quantised(
        &self,
        checkpoint: &Checkpoint,
        kind: GgufType,
        on: &OpenDevice,
    ) -> anyhow::Result<(CausalLm, i32)> {
        let stage = Stage::open(&env::scratch())?;
        let file = stage.folder().join(Trained::GGUF);
        Merged::new(checkpoint, None).write_gguf(&file, "export", None, kind)?;
        let quantised = Checkpoint::open(&file)?;
        Ok((self.load(&quantised, on)?, quantised.significand_bits()))
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
