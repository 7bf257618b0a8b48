//! `emotrain export`: what was trained, in the forms that others load.

mod card;
mod serve;
mod source;

use std::path::Path;

use emotrain_base::{Complaint, Stage};
use emotrain_hub::{Base, HubError, Trained};
use emotrain_model::{Checkpoint, FloatType, GgufType, Merged, PeftAdapter, TokenizerSource, write_model};
use emotrain_prompt::{PromptError, TokenizerFiles};

use self::source::Source;
pub(super) use self::source::named;
use crate::cli::{ExportArgs, ExportDtype, ExportFormat, QuantType, Server};
use crate::exit::Exit;
use crate::shell::Shell;

/// Runs the command.
///
/// # Errors
/// A source that holds nothing trained, a base that is not there, an adapter that a server cannot load, a folder that
/// cannot be written.
pub(crate) fn run(args: &ExportArgs, shell: &Shell) -> anyhow::Result<Exit> {
    check_place(&args.out)?;
    let source = Source::find(&args.source, args.base.as_deref())?;
    let base = Base::find(&source.base, shell.hub())?;
    let checkpoint = base.checkpoint(shell.hub())?;
    checkpoint.description().warnings.iter().for_each(|warning| shell.printer.warn(warning));
    let adapter = source.adapter(checkpoint.config())?;
    let export = Export { args, source: &source, base: &base, checkpoint: &checkpoint, adapter };
    export.check()?;
    if let Some(warning) = source.other_weights(&checkpoint)? {
        shell.printer.warn(warning);
    }
    let mut formats = args.format.clone();
    formats.dedup();
    for format in &formats {
        let folder = if formats.len() > 1 { args.out.join(format.name()) } else { args.out.clone() };
        export.write(*format, &folder, shell)?;
        shell.printer.say(format_args!("{}: {}", format.name(), folder.display()));
    }
    Ok(Exit::Done)
}

/// Nothing is overwritten.
fn check_place(out: &Path) -> anyhow::Result<()> {
    let is_empty = || fs_err::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
    if out.symlink_metadata().is_err() || is_empty() {
        return Ok(());
    }
    let complaint = Complaint::usage(format!("--out {}: is already there", out.display()));
    Err(complaint.hint("name a folder that does not exist yet, or remove it").into())
}

/// What is written, and of what.
struct Export<'a> {
    args: &'a ExportArgs,
    source: &'a Source,
    base: &'a Base,
    checkpoint: &'a Checkpoint,
    /// `None` of a model that was trained as a whole.
    adapter: Option<PeftAdapter>,
}

impl Export<'_> {
    /// Refuses what cannot be written or would not be loaded, before anything is.
    fn check(&self) -> anyhow::Result<()> {
        let of_adapter =
            |format: &ExportFormat| [ExportFormat::Peft, ExportFormat::GgufLora].contains(format);
        if self.adapter.is_none() && self.args.format.iter().any(of_adapter) {
            let message =
                format!("{}: a whole model was trained, there is no adapter", self.args.source.display());
            return Err(Complaint::usage(message).hint("export it with --format merged").into());
        }
        if self.args.format.contains(&ExportFormat::Merged) {
            self.model_dtype()?;
        }
        for server in &self.args.servers {
            serve::check(*server, &self.args.format, self.adapter.as_ref(), self.checkpoint.config())?;
        }
        Ok(())
    }

    /// The type of a model's weights: as asked, or the base's.
    fn model_dtype(&self) -> anyhow::Result<FloatType> {
        let stated = self.args.dtype.map(float_type).or_else(|| self.checkpoint.float_type());
        stated.ok_or_else(|| {
            let message = format!("{}: its weights are quantised", self.checkpoint.path().display());
            Complaint::usage(message).hint("say with --dtype what a merged model's weights are to be").into()
        })
    }

    fn write(&self, format: ExportFormat, folder: &Path, shell: &Shell) -> anyhow::Result<()> {
        let stage = Stage::open(folder)?;
        let adapter = self.adapter.clone();
        let plain = self.args.servers.iter().any(|server| serve::wants_one_rank(*server));
        let adapter = if plain { adapter.map(PeftAdapter::uniform) } else { adapter };
        self.weights(format, adapter.as_ref(), stage.folder(), shell)?;
        if let Some(contract) = self.source.contract()? {
            stage.write(Trained::CONTRACT, contract.as_bytes())?;
        }
        let card = card::text(self.source, self.base, self.checkpoint, format)?;
        stage.write("README.md", card.as_bytes())?;
        let rank = adapter.as_ref().map(PeftAdapter::rank);
        let guide = serve::guide(&self.args.servers, format, self.base.named().name, rank);
        stage.write("serve.md", guide.as_bytes())?;
        Ok(stage.publish()?)
    }

    /// Writes weights, and what belongs to them, into `folder`.
    fn weights(
        &self,
        format: ExportFormat,
        adapter: Option<&PeftAdapter>,
        folder: &Path,
        shell: &Shell,
    ) -> anyhow::Result<()> {
        let (model, name) = (self.checkpoint.config(), short(self.base.named().name));
        let merged = Merged::new(self.checkpoint, adapter);
        match (format, adapter) {
            (ExportFormat::Peft, Some(adapter)) => {
                let dtype = self.args.dtype.map_or(FloatType::F32, float_type);
                adapter.save(folder, model, self.base.named(), dtype)?;
            }
            (ExportFormat::GgufLora, Some(adapter)) => {
                adapter.write_gguf(&folder.join(serve::GGUF_LORA), model, name)?;
            }
            (ExportFormat::Gguf, _) => {
                let tokenizer = self.tokenizer(shell)?.map(|files| TokenizerSource {
                    tokenizer_json: files.tokenizer_json,
                    tokenizer_config_json: files.tokenizer_config_json.unwrap_or_else(|| "{}".to_owned()),
                    chat_template: files.chat_template,
                });
                let kind = gguf_type(self.args.gguf_type);
                merged.write_gguf(&folder.join(serve::GGUF), name, tokenizer.as_ref(), kind)?;
                if self.args.servers.contains(&Server::Ollama) {
                    emotrain_base::write_atomic(&folder.join("Modelfile"), serve::modelfile().as_bytes())?;
                }
            }
            (ExportFormat::Merged | ExportFormat::Peft | ExportFormat::GgufLora, _) => {
                write_model(&merged, folder, self.model_dtype()?, self.args.max_shard_size)?;
                for (name, text) in self.companions(shell)? {
                    emotrain_base::write_atomic(&folder.join(name), text.as_bytes())?;
                }
            }
        }
        Ok(())
    }

    /// The base's tokenizer; a base without one is reported.
    fn tokenizer(&self, shell: &Shell) -> anyhow::Result<Option<TokenizerFiles>> {
        match self.base.tokenizer() {
            Err(HubError::Prompt(PromptError::NoTokenizer(origin))) => {
                shell.printer.warn(format_args!("{origin}: has no tokenizer, so what is exported has none"));
                Ok(None)
            }
            files => Ok(Some(files?)),
        }
    }

    /// The tokenizer's files and the generation settings of the base, by name.
    fn companions(&self, shell: &Shell) -> anyhow::Result<Vec<(&'static str, String)>> {
        let Some(files) = self.tokenizer(shell)? else { return Ok(Vec::new()) };
        let TokenizerFiles { tokenizer_json, tokenizer_config_json, chat_template, .. } = files.clone();
        let TokenizerFiles { special_tokens_map_json, added_tokens_json, .. } = files;
        let files = [
            ("tokenizer.json", Some(tokenizer_json)),
            ("tokenizer_config.json", tokenizer_config_json),
            ("special_tokens_map.json", special_tokens_map_json),
            ("added_tokens.json", added_tokens_json),
            ("chat_template.jinja", chat_template),
            ("generation_config.json", self.base.generation_config()?),
        ];
        Ok(files.into_iter().filter_map(|(name, text)| Some((name, text?))).collect())
    }
}

/// The type by its name.
pub(super) fn float_type(dtype: ExportDtype) -> FloatType {
    match dtype {
        ExportDtype::Float32 => FloatType::F32,
        ExportDtype::Bfloat16 => FloatType::Bf16,
        ExportDtype::Float16 => FloatType::F16,
    }
}

fn gguf_type(kind: QuantType) -> GgufType {
    match kind {
        QuantType::F32 => GgufType::F32,
        QuantType::F16 => GgufType::F16,
        QuantType::Bf16 => GgufType::Bf16,
        QuantType::Q80 => GgufType::Q8_0,
        QuantType::Q4K => GgufType::Q4K,
    }
}

/// The last part of a model's name or path.
fn short(name: &str) -> &str {
    name.trim_end_matches('/').rsplit('/').next().unwrap_or(name)
}
