//! The first phase of a run: all that a recipe names but its data, opened.

use emotrain_base::{Complaint, Problems};
use emotrain_data::{LabelSet, SplitKind};
use emotrain_hub::{Base, Hub, Trained};
use emotrain_model::{ModelConfig, ModelDescription, ModelError, SavedCodes, Storage};
use emotrain_prompt::{Encoder, PromptContract, TokenizerFiles};
use emotrain_recipe::{ModelInit, Recipe, TrainMethod};
use emotrain_train::EvalSet;
use serde_json::json;

use crate::auxiliary::Auxiliary;
use crate::content::Content;
use crate::demonstrations::{Library, RetrievedDemonstrations, Search};
use crate::encoded_split::EncodedSplit;
use crate::error::PrepareError;
use crate::knowledge::KnowledgeTexts;
use crate::purpose::{Purpose, Selection};
use crate::sample_maker::{SampleMaker, Shown};

/// The model's files, the template and the bank of a recipe. No weight is loaded, and no data read.
pub struct Opened<'r> {
    /// The recipe.
    pub recipe: &'r Recipe,
    /// Its labels.
    pub labels: LabelSet,
    /// The base model.
    pub base: Base,
    /// The base model's shape.
    pub config: ModelConfig,
    /// The codes that the base is saved as, where it is.
    pub codes: Option<SavedCodes>,
    /// The base model's tokenizer.
    pub tokenizer: TokenizerFiles,
    /// What makes samples of data.
    pub sample_maker: SampleMaker,
    /// The bank of demonstrations, where the recipe has one.
    library: Option<Library>,
}

impl<'r> Opened<'r> {
    /// Opens everything that the recipe names except its data, and the auxiliary questions if it `trains`.
    ///
    /// # Errors
    /// Everything that is wrong, in one go.
    pub(crate) fn new(
        recipe: &'r Recipe,
        labels: LabelSet,
        trains: bool,
        hub: Hub<'_>,
    ) -> Result<(Self, Vec<Auxiliary>), PrepareError> {
        let mut problems = Problems::default();
        let warn = |warning: &String| hub.listener().warn(warning);
        let base = problems.take(Base::find(&recipe.model, hub));
        let description = base.as_ref().and_then(|base| problems.take(base.description()));
        description.iter().flat_map(|found| &found.warnings).for_each(warn);
        let description = description.filter(|found| problems.take(check_codes(recipe, found)).is_some());
        let tokenizer = base.as_ref().and_then(|base| problems.take(base.tokenizer()));
        let maker = tokenizer.as_ref().map(|files| SampleMaker::new(recipe, &labels, files.clone()));
        let sample_maker = maker.and_then(|maker| problems.take(maker));
        sample_maker.iter().flat_map(|maker| maker.tokenizer().warnings()).for_each(warn);
        let auxiliary = sample_maker.as_ref().filter(|_| trains).map(|maker| maker.auxiliary(recipe));
        let auxiliary = problems.take(auxiliary.unwrap_or(Ok(Vec::new())));
        let library = problems.take(Library::open(recipe, hub));
        let model = base.zip(description).zip(tokenizer.zip(sample_maker));
        let (Some(((base, description), (tokenizer, sample_maker))), Some(auxiliary), Some(library)) =
            (model, auxiliary, library)
        else {
            return Err(problems.into());
        };
        let ModelDescription { config, codes, .. } = description;
        Ok((Self { recipe, labels, base, config, codes, tokenizer, sample_maker, library }, auxiliary))
    }

    /// The samples of a data file, with what the bank and the knowledge sources have for its utterances.
    ///
    /// # Errors
    /// Those of `known`; a search that fails; every utterance that cannot be encoded.
    pub fn encode(
        &self,
        name: SplitKind,
        content: Content,
        known: Result<KnowledgeTexts, PrepareError>,
        selection: Selection<'_>,
    ) -> Result<EncodedSplit, PrepareError> {
        let mut problems = Problems::default();
        let found = problems.take(self.demonstrations(name, &content, selection.recalled.is_some()));
        let (Some(found), Some(known)) = (found, problems.take(known)) else {
            return Err(problems.into());
        };
        let shown = Shown { found: found.as_ref().map(|found| &found.shown[..]), known: &known };
        let samples = self.sample_maker.encode(&content, shown, selection)?;
        Ok(EncodedSplit { name, purpose: selection.purpose, content, found, known, samples })
    }

    /// The bank of demonstrations that prompts show, where the recipe has one.
    pub(crate) fn library(&self) -> Option<&Library> {
        self.library.as_ref()
    }

    /// What the bank has for the utterances of a file.
    fn demonstrations(
        &self,
        name: SplitKind,
        content: &Content,
        is_kept_only: bool,
    ) -> Result<Option<RetrievedDemonstrations>, PrepareError> {
        let search = |library| Search { library, recipe: self.recipe, labels: &self.labels, is_kept_only };
        self.library.as_ref().map(|library| search(library).find(content, name)).transpose()
    }

    /// A split that is ready to be asked. Its samples were made to be answered.
    pub fn eval_set(&self, split: EncodedSplit) -> EvalSet {
        let (name, context) = (split.name, split.known.context());
        match self.encoder() {
            Some(encoder) => EvalSet::questions(encoder, name, split.samples, context),
            None => EvalSet::sequences(name, split.samples),
        }
    }

    /// The encoder of utterances; a run on plain text has none.
    pub fn encoder(&self) -> Option<&Encoder> {
        match &self.sample_maker {
            SampleMaker::Emotions(encoder) => Some(encoder),
            SampleMaker::Text { .. } => None,
        }
    }

    /// The prompt contract that is stored with what is trained; a run on plain text has none.
    ///
    /// # Errors
    /// A template or tokenizer that fails on the contract's example, a bank that cannot be searched.
    pub fn contract(&self) -> Result<Option<PromptContract>, PrepareError> {
        let Some(encoder) = self.encoder() else { return Ok(None) };
        let found_by = self.library.as_ref().map(|library| library.found_by(self.recipe)).transpose()?;
        Ok(Some(PromptContract { found_by, ..encoder.contract()? }))
    }

    /// What is stored with a trained model, so that it can be used: the prompt contract, and for a model of its own
    /// the tokenizer. Files by name.
    ///
    /// # Errors
    /// As [`Opened::contract`].
    pub fn companions(&self) -> Result<Vec<(String, String)>, PrepareError> {
        let mut files = Vec::new();
        if let Some(contract) = self.contract()? {
            files.push((Trained::CONTRACT, format!("{:#}\n", json!(contract))));
        }
        if self.recipe.train.method == TrainMethod::Full {
            let TokenizerFiles { tokenizer_json, tokenizer_config_json, .. } = self.tokenizer.clone();
            let TokenizerFiles { special_tokens_map_json, added_tokens_json, .. } = self.tokenizer.clone();
            files.push(("tokenizer.json", tokenizer_json));
            let more = [
                ("tokenizer_config.json", tokenizer_config_json),
                ("special_tokens_map.json", special_tokens_map_json),
                ("added_tokens.json", added_tokens_json),
                ("chat_template.jinja", self.tokenizer.chat_template.clone()),
                ("generation_config.json", self.base.generation_config()?),
            ];
            files.extend(more.into_iter().filter_map(|(name, text)| Some((name, text?))));
        }
        Ok(files.into_iter().map(|(name, text)| (name.to_owned(), text)).collect())
    }

    /// Refuses samples that the model cannot read: ids beyond its embedding, positions beyond its own.
    pub(crate) fn check_fit(&self, splits: &[EncodedSplit], problems: &mut Problems) {
        let (origin, config) = (self.sample_maker.tokenizer().origin(), &self.config);
        for EncodedSplit { purpose, content, samples, .. } in splits {
            let path = content.path().display();
            let greatest = samples.iter().flat_map(|sample| &sample.ids).max().copied().unwrap_or(0);
            if greatest as usize >= config.vocab_size {
                let message = format!(
                    "{origin}: token id {greatest}, but the model's vocabulary has {} tokens",
                    config.vocab_size
                );
                problems.add(Complaint::input(message).hint("the tokenizer does not belong to the model"));
                return;
            }
            let is_answered = *purpose == Purpose::Training;
            let answer = if is_answered { 0 } else { self.sample_maker.longest_completion() };
            let longest = samples.iter().map(|sample| sample.ids.len()).max().unwrap_or(0) + answer;
            let most = config.context_length();
            if longest > most {
                let message = format!("{path}: a sample has {longest} tokens, the model's limit is {most}");
                problems.add(Complaint::input(message).hint(format!("set train.max_seq_length = {most}")));
            }
            if samples.is_empty() {
                problems.add(Complaint::input(format!("{path}: the text is too short for a sample")));
            }
        }
    }
}

/// A base that is saved as codes is one that the recipe can train on.
fn check_codes(recipe: &Recipe, description: &ModelDescription) -> Result<(), ModelError> {
    let saved = description.codes.as_ref().filter(|_| recipe.model.init == ModelInit::Pretrained);
    if saved.is_some() && recipe.train.method == TrainMethod::Full {
        let message =
            "train.method = \"full\": the base is saved as codes of some bits, which are not trained";
        let hint = "train an adapter (train.method = \"lora\"), or begin with a base that is not quantised";
        return Err(ModelError::Storage { message: message.to_owned(), hint: hint.to_owned() });
    }
    Storage::planned(recipe.model.dtype.into(), &recipe.quantization).of_saved(saved).map(drop)
}
