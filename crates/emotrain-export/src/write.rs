//! Writing an export.

use std::path::Path;

use emotrain_base::{Complaint, Listener, Silent, Stage};
use emotrain_hub::{Base, HubError, Trained};
use emotrain_model::{Checkpoint, FloatType, GgufType, Merged, PeftAdapter, TokenizerSource, write_model};
use emotrain_prompt::{ChatTokenizer, TokenizerFiles};

use crate::companions::{tokenizer, write_companions};
use crate::error::ExportError;
use crate::format::{ExportFormat, Server};
use crate::modelfile::{self, Chat, Loaded};
use crate::source::Source;
use crate::{card, serve};

/// How something is written.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// The forms.
    pub formats: Vec<ExportFormat>,
    /// The programs that it is for, whose limits are checked.
    pub servers: Vec<Server>,
    /// The type of weights in PEFT's and Hugging Face's forms; `None` for float32 in adapters, the base's in models.
    pub dtype: Option<FloatType>,
    /// The type of matrices in models for llama.cpp.
    pub gguf_type: GgufType,
    /// Bytes of tensors in one file of a model in Hugging Face's form.
    pub max_shard_size: usize,
}

/// What is written, and of what.
pub struct Export<'a> {
    options: &'a ExportOptions,
    source: &'a Source,
    base: &'a Base,
    checkpoint: &'a Checkpoint,
    /// `None` of a model that was trained as a whole.
    adapter: Option<PeftAdapter>,
}

impl<'a> Export<'a> {
    /// An export of `source`, whose base is `base` with these weights. What cannot be written, or would not be loaded, is
    /// refused before anything is written.
    ///
    /// # Errors
    /// An adapter that is damaged or for another base; a format that the source does not have; a limit of a server.
    pub fn new(
        options: &'a ExportOptions,
        source: &'a Source,
        base: &'a Base,
        checkpoint: &'a Checkpoint,
    ) -> Result<Self, ExportError> {
        let adapter = source.adapter(checkpoint.config())?;
        let export = Self { options, source, base, checkpoint, adapter };
        export.check()?;
        Ok(export)
    }

    fn check(&self) -> Result<(), ExportError> {
        let formats = &self.options.formats;
        if self.adapter.is_none() && formats.iter().any(|format| format.is_of_adapters()) {
            let place = self.source.place().display();
            let message = format!("{place}: a whole model was trained, there is no adapter");
            return Err(Complaint::usage(message).hint("export it with --format merged").into());
        }
        if self.adapter.as_ref().is_some_and(PeftAdapter::is_dora)
            && formats.contains(&ExportFormat::GgufLora)
        {
            let message = "--format gguf-lora: llama.cpp has no DoRA adapters";
            return Err(Complaint::usage(message).hint("export a whole model: --format gguf").into());
        }
        if self.adapter.as_ref().is_some_and(|adapter| !adapter.has_gguf_scale())
            && formats.contains(&ExportFormat::GgufLora)
        {
            let place = self.source.place().display();
            let message = format!("{place}: adapter_config.json: lora_alpha is none that llama.cpp takes");
            let hint = "it is a number of float32 above 0; an adapter of none changes nothing";
            return Err(Complaint::input(message).hint(hint).into());
        }
        if formats.contains(&ExportFormat::Merged) {
            self.model_dtype()?;
        }
        for server in &self.options.servers {
            serve::check(*server, formats, self.adapter.as_ref(), self.checkpoint.config())?;
        }
        Ok(())
    }

    /// The type of a model's weights: as asked, or the base's.
    fn model_dtype(&self) -> Result<FloatType, ExportError> {
        let stated = self.options.dtype.or_else(|| self.checkpoint.float_type());
        stated.ok_or_else(|| {
            let message = format!("{}: its weights are quantised", self.checkpoint.path().display());
            Complaint::usage(message).hint("say with --dtype what a merged model's weights are to be").into()
        })
    }

    /// Writes one form into the folder `folder`, with its model card, the commands of servers and the prompt contract.
    ///
    /// # Errors
    /// A folder that is there already and not empty, or that another process writes; weights that cannot be read, a folder
    /// that cannot be written; then nothing was.
    pub fn write(
        &self,
        format: ExportFormat,
        folder: &Path,
        listener: &dyn Listener,
    ) -> Result<(), ExportError> {
        let stage = Stage::create(folder)?;
        let plain = self.options.servers.iter().any(|server| serve::wants_one_rank(*server));
        let uniform = self.adapter.as_ref().filter(|_| plain).map(|adapter| adapter.clone().uniform());
        let adapter = uniform.as_ref().or(self.adapter.as_ref());
        self.weights(format, adapter, stage.folder(), listener)?;
        if let Some(contract) = self.source.contract()? {
            stage.write(Trained::CONTRACT, contract.as_bytes())?;
        }
        let card = card::text(self.source, self.base, self.checkpoint, format)?;
        stage.write("README.md", card.as_bytes())?;
        let (name, contract) = (self.base.named().name, self.source.prompt_contract()?);
        let guide = serve::guide(&self.options.servers, format, name, adapter, contract.as_ref());
        stage.write("serve.md", guide.as_bytes())?;
        if let Some(modelfile) = self.modelfile(format)? {
            stage.write("Modelfile", modelfile.as_bytes())?;
        }
        Ok(stage.publish()?)
    }

    /// Writes weights, and what belongs to them, into `folder`.
    fn weights(
        &self,
        format: ExportFormat,
        adapter: Option<&PeftAdapter>,
        folder: &Path,
        listener: &dyn Listener,
    ) -> Result<(), ExportError> {
        let (model, name) = (self.checkpoint.config(), short(self.base.named().name));
        let merged = Merged::new(self.checkpoint, adapter);
        match (format, adapter) {
            (ExportFormat::Peft, Some(adapter)) => {
                let dtype = self.options.dtype.unwrap_or(FloatType::F32);
                adapter.save(folder, model, self.base.named(), dtype)?;
            }
            (ExportFormat::GgufLora, Some(adapter)) => {
                adapter.write_gguf(&folder.join(Trained::GGUF_ADAPTER), model, name)?;
            }
            (ExportFormat::Gguf, _) => {
                let tokenizer = tokenizer(self.base, listener)?.map(source).transpose()?;
                let kind = self.options.gguf_type;
                merged.write_gguf(&folder.join(Trained::GGUF), name, tokenizer.as_ref(), kind)?;
            }
            (ExportFormat::Peft | ExportFormat::GgufLora, None) => {
                unreachable!("a format of adapters is refused where there is none")
            }
            (ExportFormat::Merged, _) => {
                write_model(&merged, folder, self.model_dtype()?, self.options.max_shard_size)?;
                write_companions(self.base, folder, listener)?;
            }
        }
        Ok(())
    }

    /// Ollama's `Modelfile`, where the export is for it.
    fn modelfile(&self, format: ExportFormat) -> Result<Option<String>, ExportError> {
        let loaded = match format {
            ExportFormat::Gguf => Loaded::Model(Trained::GGUF),
            ExportFormat::GgufLora => Loaded::Adapter(Trained::GGUF_ADAPTER),
            ExportFormat::Peft | ExportFormat::Merged => return Ok(None),
        };
        if !self.options.servers.contains(&Server::Ollama) {
            return Ok(None);
        }
        let files = tokenizer(self.base, &Silent)?;
        let added = files.clone().map(source).transpose()?.and_then(|source| source.added_bos());
        let tokenizer = files.map(ChatTokenizer::new).transpose().map_err(HubError::from)?;
        let contract = self.source.prompt_contract()?;
        let chat =
            Chat { tokenizer: tokenizer.as_ref(), added: added.as_deref(), contract: contract.as_ref() };
        Ok(Some(modelfile::text(&loaded, &chat)?))
    }
}

/// A tokenizer with its chat template, wherever that is.
fn source(files: TokenizerFiles) -> Result<TokenizerSource, ExportError> {
    let tokenizer = ChatTokenizer::new(files.clone()).map_err(HubError::from)?;
    Ok(TokenizerSource {
        tokenizer_json: files.tokenizer_json,
        tokenizer_config_json: files.tokenizer_config_json.unwrap_or_else(|| "{}".to_owned()),
        chat_template: tokenizer.chat_template().map(str::to_owned),
    })
}

/// The last part of a model's name or path.
fn short(name: &str) -> &str {
    name.trim_end_matches('/').rsplit('/').next().unwrap_or(name)
}
