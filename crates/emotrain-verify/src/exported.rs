//! The export under test: loaded as those load it who use it.

use std::path::{Path, PathBuf};

use emotrain_base::{Advice, Complaint, Fault, Stage, with_causes};
use emotrain_export::other_base;
use emotrain_hub::{Base, HubError, Trained};
use emotrain_model::device::{self, OpenDevice};
use emotrain_model::{
    AdapterConfig, BaseModel, CausalLm, Checkpoint, FloatType, GgufType, Merged, ModelError, PeftAdapter,
    write_model,
};
use emotrain_prepare::Opened;
use emotrain_prompt::{PromptContract, PromptError};
use emotrain_recipe::{Dtype, ModelSection, Recipe};
use emotrain_train::{Scored, TrainError};

use crate::asked::Asked;
use crate::error::VerifyError;
use crate::options::{LoadType, VerifyContext, VerifyOptions};

/// An adapter with the base that it names, or a model.
pub(crate) struct Exported {
    pub(crate) trained: Trained,
    /// The base; of a model, the model itself.
    section: ModelSection,
    /// Whether that is another base than the run's.
    has_own_base: bool,
    /// The run that it is compared with.
    run: PathBuf,
}

impl Exported {
    /// What is at the place, and the base that an adapter names; one that names none is of the run's.
    pub(crate) fn find(
        place: &Path,
        options: &VerifyOptions<'_>,
        base: &ModelSection,
    ) -> Result<Self, VerifyError> {
        let trained = Trained::find(place)?;
        if let (Trained::Model(_), Some(_)) = (&trained, options.base) {
            let message = format!("--base: {} is a whole model and has no base", place.display());
            return Err(Complaint::usage(message).into());
        }
        let mut section = base.clone();
        trained.settle(&mut section);
        let config = trained.adapter_config()?;
        let own = config.as_ref().and_then(AdapterConfig::base);
        let name = options.base.or(own.map(|own| own.name));
        let other = name.filter(|name| *name != base.model_name_or_path);
        if let Some(other) = other {
            other.clone_into(&mut section.model_name_or_path);
            own.and_then(|own| own.revision).unwrap_or("main").clone_into(&mut section.revision);
        }
        Ok(Self { run: options.run.to_path_buf(), has_own_base: other.is_some(), trained, section })
    }

    /// What its own tokenizer makes of the run's prompts; an adapter is used with that of its base.
    pub(crate) fn prompts(
        &self,
        recipe: &Recipe,
        context: VerifyContext<'_>,
    ) -> Result<Option<PromptContract>, VerifyError> {
        let Trained::Model(place) = &self.trained else { return Ok(None) };
        // What there is to say of the recipe has been said.
        let hub = context.silent_hub();
        let tokenizer = Base::find(&self.section, hub)?.tokenizer();
        if let Err(HubError::Prompt(PromptError::NoTokenizer(_))) = tokenizer {
            context.listener.warn(&format!("{}: has no tokenizer", place.display()));
            return Ok(None);
        }
        let mut recipe = recipe.clone();
        recipe.model = self.section.clone();
        Ok(Opened::open(&recipe, hub)?.contract()?)
    }

    /// Its answers, and the bits of significand that its weights have.
    pub(crate) fn answer(
        &self,
        asked: &Asked<'_>,
        dtype: Option<LoadType>,
        on: &OpenDevice,
    ) -> Result<(Vec<Scored>, i32), VerifyError> {
        let hub = asked.context.hub();
        let base = Base::find(&self.section, hub)?;
        let checkpoint = base.checkpoint(hub)?;
        if let Trained::Adapter(_) = self.trained
            && let Some(warning) = other_base(&self.run, &base, &checkpoint)?
        {
            asked.context.listener.warn(&warning);
        }
        let computed = computed_bits(asked.recipe);
        let bits = self.significand_bits(&checkpoint)?.min(computed);
        // Without cuBLASLt CUDA rounds products of float32 to TF32, which has the significand of float16.
        let bits = if on.rounds_products() { bits.min(FloatType::F16.significand_bits()) } else { bits };
        let (model, rounded) = match dtype {
            None => (self.load(&checkpoint, on)?, bits),
            Some(LoadType::Float(dtype)) => {
                (self.rounded(&checkpoint, dtype, asked)?, dtype.significand_bits())
            }
            Some(LoadType::Quantised(kind)) => {
                self.quantised(&checkpoint, kind, asked.context.scratch, on)?
            }
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
    fn significand_bits(&self, base: &Checkpoint) -> Result<i32, VerifyError> {
        Ok(match &self.trained {
            Trained::Model(_) => base.significand_bits(),
            Trained::Adapter(place) if self.has_own_base => {
                PeftAdapter::significand_bits(place)?.min(base.significand_bits())
            }
            Trained::Adapter(place) => PeftAdapter::significand_bits(place)?,
        })
    }

    fn load(&self, checkpoint: &Checkpoint, on: &OpenDevice) -> Result<CausalLm, VerifyError> {
        let mut model = CausalLm::load(checkpoint, &on.device, on.dtype)
            .map_err(failed)?
            .attending(self.section.attn_implementation);
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
    ) -> Result<CausalLm, VerifyError> {
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
        let stage = Stage::open(asked.context.scratch)?;
        write_model(&Merged::new(checkpoint, None), stage.folder(), dtype, usize::MAX)?;
        let rounded = Checkpoint::open(stage.folder())?;
        let mut model = CausalLm::load(&rounded, &on.device, on.dtype)
            .map_err(failed)?
            .attending(self.section.attn_implementation);
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
        scratch: &Path,
        on: &OpenDevice,
    ) -> Result<(CausalLm, i32), VerifyError> {
        let stage = Stage::open(scratch)?;
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

/// The bits of significand with which the run computed its answers. A code of a quantised base is off by as much as the
/// rounding of a float with so many: half a sixteenth of the range of a block, or half a 127th.
fn computed_bits(recipe: &Recipe) -> i32 {
    let dtype = FloatType::from(recipe.model.dtype).significand_bits();
    let codes = match &recipe.quantization {
        section if section.load_in_4bit => 3,
        section if section.load_in_8bit => 7,
        _ => dtype,
    };
    dtype.min(codes)
}
