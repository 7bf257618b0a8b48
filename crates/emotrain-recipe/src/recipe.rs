//! The resolved recipe and its saved form.

use serde::{Deserialize, Serialize};
use toml::Table;

use crate::problem::Fault;
use crate::section::{
    AuxiliarySection, CurriculumSection, DataSection, EvalSection, InterpretSection, KnowledgeSection,
    LoggingSection, LoraSection, ModelSection, PromptSection, QuantizationSection, RetrievalSection,
    SaveSection, TrainSection,
};

/// A checked recipe with every default filled in and every path resolved.
///
/// Two recipes are equal if all their keys are; the name of their file does not matter.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    #[serde(skip)]
    name: String,
    /// The base model and the device.
    pub model: ModelSection,
    /// The base in fewer bits.
    pub quantization: QuantizationSection,
    /// The adapter.
    pub lora: LoraSection,
    /// The files and the labels in them.
    pub data: DataSection,
    /// How an utterance becomes a chat.
    pub prompt: PromptSection,
    /// The demonstrations in the prompt.
    pub retrieval: RetrievalSection,
    /// The language model that generates knowledge.
    pub interpret: InterpretSection,
    /// The loop.
    pub train: TrainSection,
    /// Auxiliary questions of the training.
    pub auxiliary: AuxiliarySection,
    /// The order of dialogues in training.
    pub curriculum: CurriculumSection,
    /// When to evaluate and what to keep.
    pub eval: EvalSection,
    /// Checkpoints.
    pub save: SaveSection,
    /// Training curves.
    pub logging: LoggingSection,
    /// Texts that prompts show, each source with its own name.
    pub knowledge: Vec<KnowledgeSection>,
}

impl PartialEq for Recipe {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            name: _,
            model,
            quantization,
            lora,
            data,
            prompt,
            retrieval,
            interpret,
            train,
            auxiliary,
            curriculum,
            eval,
            save,
            logging,
            knowledge,
        } = self;
        *model == other.model
            && *quantization == other.quantization
            && *lora == other.lora
            && *data == other.data
            && *prompt == other.prompt
            && *retrieval == other.retrieval
            && *interpret == other.interpret
            && *train == other.train
            && *auxiliary == other.auxiliary
            && *curriculum == other.curriculum
            && *eval == other.eval
            && *save == other.save
            && *logging == other.logging
            && *knowledge == other.knowledge
    }
}

impl Recipe {
    pub(crate) fn from_table(table: Table, name: String) -> Result<Self, Fault> {
        let recipe: Self = table.try_into().map_err(|error: toml::de::Error| Fault::new(error.message()))?;
        Ok(Self { name, ..recipe })
    }

    /// The name of the recipe: its file name without the extension.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The recipe as TOML with every key; [`crate::load`] reads it back as an equal recipe.
    ///
    /// # Panics
    ///
    /// If a field was set by hand to a number that TOML cannot represent (above `i64::MAX`).
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("numbers of a recipe fit into TOML")
    }
}
