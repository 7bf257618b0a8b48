//! Models and adapters in llama.cpp's form.

use std::path::Path;

use super::merged::Merged;
use crate::adapter::{PeftAdapter, PeftModule};
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::weights::{
    GgufContents, GgufLora, GgufType, TokenizerSource, is_gguf_alpha, tensor_shapes, write_gguf,
    write_gguf_lora,
};

impl Merged<'_> {
    /// Writes the model to `path`, with `tokenizer` and its chat template where there is one; `name` is what llama.cpp
    /// shows.
    ///
    /// # Errors
    /// A base that cannot be read, a tokenizer or setting that llama.cpp does not have, a file that cannot be written.
    pub fn write_gguf(
        &self,
        path: &Path,
        name: &str,
        tokenizer: Option<&TokenizerSource>,
        kind: GgufType,
    ) -> Result<(), ModelError> {
        let config = &self.description().config;
        let shapes: std::collections::BTreeMap<String, Vec<usize>> =
            tensor_shapes(config).into_iter().collect();
        write_gguf(path, &GgufContents { config, name, tokenizer }, kind, &mut |name, visit| {
            self.visit(name, &shapes[name], visit)
        })
    }
}

impl PeftAdapter {
    /// Whether llama.cpp can multiply by the scale of its first layer.
    pub fn has_gguf_scale(&self) -> bool {
        self.modules.first().is_none_or(|first| is_gguf_alpha(first.scale * first.r as f64))
    }

    /// Writes the adapter to `path`, for a base of this shape.
    ///
    /// # Errors
    /// An adapter with magnitudes, for which llama.cpp has no place; a file that cannot be written.
    pub fn write_gguf(&self, path: &Path, model: &ModelConfig, name: &str) -> Result<(), ModelError> {
        if self.is_dora() {
            let hint = "merge it into the base";
            return Err(ModelError::file_with_hint(path, "llama.cpp has no DoRA adapters", hint));
        }
        let layers: Vec<GgufLora> = self.modules.iter().map(lora).collect();
        write_gguf_lora(path, model, name, &layers)
    }
}

fn lora(module: &PeftModule) -> GgufLora<'_> {
    let PeftModule { path, r, scale, a, b, .. } = module;
    GgufLora { path: path.clone(), rank: *r, scale: *scale, a: a.into(), b: b.into() }
}
