//! The sentence encoder that retrieval compares texts with: a tokenizer and the model crate's encoder.

mod find;
#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::path::Path;

use emotrain_base::{Complaint, Problems, limits, sha256_hex};
use emotrain_model::device::OpenDevice;
use emotrain_model::{SentenceEncoder, SentenceFolder};
use emotrain_recipe::StandIn;
use emotrain_retrieval::{Embedder, EmbedderError};
use rayon::prelude::*;
use tokenizers::normalizers::{Lowercase, NormalizerWrapper, Sequence};
use tokenizers::{Tokenizer, TruncationParams};

use crate::error::HubError;

pub use self::find::{encoder_for_bank, encoder_for_new_vectors};

const TOKENIZER: &str = "tokenizer.json";

/// An encoder that has been found. Its weights are loaded when the first text is encoded.
pub struct TextEncoder {
    name: String,
    identity: String,
    folder: SentenceFolder,
    tokenizer: Tokenizer,
    on: OpenDevice,
    loaded: OnceCell<SentenceEncoder>,
}

impl TextEncoder {
    /// Opens the encoder in `folder`, which is reported and found again as `name`. Reads every byte of its weights for
    /// their digest.
    ///
    /// # Errors
    /// A folder that is no sentence encoder, or one that is not computed here; a tokenizer that is damaged or of
    /// another model.
    pub fn open(name: &str, folder: &Path, on: OpenDevice) -> Result<Self, HubError> {
        let folder = SentenceFolder::open(folder)?;
        let path = folder.transformer().join(TOKENIZER);
        if path.symlink_metadata().is_err() {
            let message = format!("{}: not there", path.display());
            let hint =
                "save the tokenizer with transformers: AutoTokenizer.from_pretrained(…).save_pretrained(…)";
            return Err(Complaint::input(message).hint(hint).into());
        }
        if let Some(stand_in) = StandIn::at(&path) {
            let message = format!("{}: {}", path.display(), stand_in.message());
            return Err(Complaint::input(message).hint(stand_in.hint()).into());
        }
        let text = emotrain_base::read_to_string(&path, limits::TOKENIZER)?;
        let tokenizer = tokenizer(&text, &folder)
            .map_err(|error| Complaint::input(format!("{}: {error}", path.display())))?;
        check_fit(&tokenizer, &path, &folder)?;
        let parts = [folder.sha256()?, sha256_hex(text.as_bytes()), folder.config().to_string()];
        let identity = format!("{name}@sha256:{}", sha256_hex(parts.join("\n").as_bytes()));
        Ok(Self { name: name.to_owned(), identity, folder, tokenizer, on, loaded: OnceCell::new() })
    }

    /// What its configuration says that nobody here knows.
    pub fn warnings(&self) -> &[String] {
        self.folder.warnings()
    }

    /// The name it was opened under.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn model(&self) -> Result<&SentenceEncoder, HubError> {
        if let Some(model) = self.loaded.get() {
            return Ok(model);
        }
        let model = SentenceEncoder::load(&self.folder, &self.on.device, self.on.dtype)
            .map_err(|source| HubError::Load { what: self.name.clone(), source })?;
        Ok(self.loaded.get_or_init(|| model))
    }
}

impl Embedder for TextEncoder {
    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn dimensions(&self) -> usize {
        self.folder.config().bert.hidden_size
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<f32>, EmbedderError> {
        let tokenizer = &self.tokenizer;
        let encodings = texts.par_iter().map(|text| tokenizer.encode_fast(*text, true));
        let encodings = encodings.collect::<Result<Vec<_>, _>>();
        let encodings = encodings
            .map_err(|error| EmbedderError { message: format!("{}: {error}", self.name), hint: None })?;
        let rows: Vec<&[u32]> = encodings.iter().map(tokenizers::Encoding::get_ids).collect();
        if let Some(at) = rows.iter().position(|ids| ids.is_empty()) {
            let message = format!("{}: its tokenizer makes no token of {:?}", self.name, texts[at]);
            return Err(EmbedderError { message, hint: None });
        }
        let model = self
            .model()
            .map_err(|error| EmbedderError { message: Problems::from(error).to_string(), hint: None })?;
        let mut vectors = model.encode(&rows);
        if !model.config().normalize {
            normalise(&mut vectors, self.dimensions());
        }
        Ok(vectors)
    }
}

/// The tokenizer as sentence-transformers uses it: truncation and padding that its file states do not count, but what
/// the encoder's settings say.
fn tokenizer(text: &str, folder: &SentenceFolder) -> tokenizers::Result<Tokenizer> {
    let config = folder.config();
    let mut tokenizer: Tokenizer = text.parse()?;
    tokenizer.with_padding(None);
    let truncation = TruncationParams { max_length: config.max_seq_length, ..TruncationParams::default() };
    tokenizer.with_truncation(Some(truncation))?;
    if config.do_lower_case {
        let mut normalizers = vec![NormalizerWrapper::Lowercase(Lowercase)];
        normalizers.extend(tokenizer.get_normalizer().cloned());
        tokenizer.with_normalizer(Some(Sequence::new(normalizers)))?;
    }
    Ok(tokenizer)
}

/// Ids beyond the embedding have no meaning to the encoder.
fn check_fit(tokenizer: &Tokenizer, path: &Path, folder: &SentenceFolder) -> Result<(), HubError> {
    let known = folder.config().bert.vocab_size;
    let greatest = tokenizer.get_vocab(true).into_values().max().unwrap_or(0) as usize;
    if greatest < known {
        return Ok(());
    }
    let message = format!("{}: token id {greatest}, but the encoder knows {known} tokens", path.display());
    Err(Complaint::input(message).hint("tokenizer and encoder do not belong together").into())
}

/// Makes each vector's length 1: what is compared is the angle.
fn normalise(vectors: &mut [f32], width: usize) {
    for vector in vectors.chunks_exact_mut(width) {
        let squares: f64 = vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
        #[expect(clippy::cast_possible_truncation, reason = "a length of f32 numbers")]
        let inverse = squares.sqrt().max(1e-12).recip() as f32;
        for value in vector {
            *value *= inverse;
        }
    }
}
