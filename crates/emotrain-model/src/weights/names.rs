//! The tensors of a decoder: the one table of their names, Hugging Face's and llama.cpp's, and of their shapes.

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::spec::{BlockSpec, DecoderSpec};

/// Name of the embedding table.
pub(crate) const EMBEDDINGS: &str = "model.embed_tokens.weight";

/// Name of the output head, absent when it is tied to the embedding table.
pub(crate) const HEAD: &str = "lm_head.weight";

/// Path of the norm behind the last block.
pub(crate) const FINAL_NORM: &str = "model.norm";

/// What a module of a block is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    InputNorm,
    Query,
    Key,
    Value,
    QueryKeyValue,
    QueryNorm,
    KeyNorm,
    Output,
    /// Behind attention, where there are norms of what is added to the residual stream.
    AttentionNorm,
    /// Before the feed-forward network.
    FeedForwardNorm,
    Gate,
    Up,
    GateUp,
    Down,
    /// Behind the feed-forward network.
    FeedForwardOutputNorm,
}

/// A module of a block: a norm, or a linear layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Module {
    pub(crate) part: Part,
    /// Path within the block, as Hugging Face has it.
    pub(crate) hugging_face: &'static str,
    /// Path within the block, as llama.cpp has it.
    gguf: &'static str,
    /// Numbers that come out.
    pub(crate) outputs: usize,
    /// Numbers that go in; `None` for a norm, which has one weight for each.
    pub(crate) inputs: Option<usize>,
    pub(crate) bias: bool,
}

impl Module {
    fn norm(part: Part, hugging_face: &'static str, gguf: &'static str, width: usize) -> Self {
        Self { part, hugging_face, gguf, outputs: width, inputs: None, bias: false }
    }

    fn linear(part: Part, hugging_face: &'static str, gguf: &'static str, shape: [usize; 2]) -> Self {
        Self { part, hugging_face, gguf, outputs: shape[0], inputs: Some(shape[1]), bias: false }
    }

    fn with_bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// The path of this module of block `layer`, as Hugging Face has it.
    pub(crate) fn path(&self, layer: usize) -> String {
        format!("model.layers.{layer}.{}", self.hugging_face)
    }

    /// The same as llama.cpp has it.
    fn gguf_path(&self, layer: usize) -> String {
        format!("blk.{layer}.{}", self.gguf)
    }
}

/// The modules of a block.
pub(crate) fn block_modules(config: &ModelConfig, spec: &BlockSpec) -> Vec<Module> {
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let (queries, keys, bias) = (config.query_size(), config.key_value_size(), config.attention_bias);
    let (norm, linear) = (Module::norm, Module::linear);
    let mut modules = vec![norm(Part::InputNorm, "input_layernorm", "attn_norm", hidden)];
    if spec.fused {
        let shape = [queries + 2 * keys, hidden];
        modules.push(linear(Part::QueryKeyValue, "self_attn.qkv_proj", "attn_qkv", shape).with_bias(bias));
    } else {
        modules.extend([
            linear(Part::Query, "self_attn.q_proj", "attn_q", [queries, hidden]).with_bias(bias),
            linear(Part::Key, "self_attn.k_proj", "attn_k", [keys, hidden]).with_bias(bias),
            linear(Part::Value, "self_attn.v_proj", "attn_v", [keys, hidden]).with_bias(bias),
        ]);
    }
    if spec.head_norms {
        modules.extend([
            norm(Part::QueryNorm, "self_attn.q_norm", "attn_q_norm", config.head_dim),
            norm(Part::KeyNorm, "self_attn.k_norm", "attn_k_norm", config.head_dim),
        ]);
    }
    modules.push(linear(Part::Output, "self_attn.o_proj", "attn_output", [hidden, queries]));
    if spec.output_norms {
        modules.extend([
            norm(Part::AttentionNorm, "post_attention_layernorm", "post_attention_norm", hidden),
            norm(Part::FeedForwardNorm, "pre_feedforward_layernorm", "ffn_norm", hidden),
            norm(Part::FeedForwardOutputNorm, "post_feedforward_layernorm", "post_ffw_norm", hidden),
        ]);
    } else {
        modules.push(norm(Part::FeedForwardNorm, "post_attention_layernorm", "ffn_norm", hidden));
    }
    if spec.fused {
        modules.push(linear(Part::GateUp, "mlp.gate_up_proj", "ffn_up", [2 * inner, hidden]));
    } else {
        modules.extend([
            linear(Part::Gate, "mlp.gate_proj", "ffn_gate", [inner, hidden]),
            linear(Part::Up, "mlp.up_proj", "ffn_up", [inner, hidden]),
        ]);
    }
    modules.push(linear(Part::Down, "mlp.down_proj", "ffn_down", [hidden, inner]));
    modules
}

/// The last part of a module's path.
pub(crate) fn short(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// A linear layer of a decoder block.
#[derive(Debug)]
pub(crate) struct LinearModule {
    /// Hugging Face path.
    pub(crate) path: String,
    /// The path as llama.cpp has it.
    pub(crate) gguf: String,
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
}

/// The linear layers of all blocks, block by block: what adapters adapt.
pub(crate) fn linear_modules(config: &ModelConfig) -> Vec<LinearModule> {
    let mut linears = Vec::new();
    for (layer, spec) in DecoderSpec::of(config).blocks.iter().enumerate() {
        for module in block_modules(config, spec) {
            let (path, gguf, outputs) = (module.path(layer), module.gguf_path(layer), module.outputs);
            linears.extend(module.inputs.map(|inputs| LinearModule { path, gguf, outputs, inputs }));
        }
    }
    linears
}

/// An adapter has tensors, and both halves of every pair; `halves` are the ends of their names.
pub(crate) fn check_pairs(path: &Path, names: &BTreeSet<&str>, halves: [&str; 2]) -> Result<(), ModelError> {
    if names.is_empty() {
        let hint = "the training that wrote it has to gather the weights before it saves them";
        return Err(ModelError::file_with_hint(path, "holds no tensors", hint));
    }
    for name in names {
        for (half, other) in [(halves[0], halves[1]), (halves[1], halves[0])] {
            let Some(layer) = name.strip_suffix(half) else { continue };
            let other = format!("{layer}{other}");
            if !names.contains(other.as_str()) {
                let message = format!("is half of a pair: {other:?} is not in the file");
                return Err(ModelError::tensor(path, name, message));
            }
        }
    }
    Ok(())
}

/// A tensor of a model: its two names, and its shape.
#[derive(Debug)]
pub(crate) struct TensorName {
    /// Hugging Face's.
    pub(crate) hugging_face: String,
    /// llama.cpp's.
    pub(crate) gguf: String,
    /// Matrices are `[out_features, in_features]`, as torch's linear layers keep them.
    pub(crate) shape: Vec<usize>,
}

/// Every tensor of a model of this shape with its Hugging Face name, from the embeddings to the head.
///
/// Matrices are `[out_features, in_features]`, as torch's linear layers keep them.
pub fn tensor_shapes(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    tensor_names(config).into_iter().map(|tensor| (tensor.hugging_face, tensor.shape)).collect()
}

/// The same with both names.
pub(crate) fn tensor_names(config: &ModelConfig) -> Vec<TensorName> {
    let tensor = |hugging_face: String, gguf: String, shape| TensorName { hugging_face, gguf, shape };
    let whole =
        |hugging_face: &str, gguf: &str, shape| tensor(hugging_face.to_owned(), gguf.to_owned(), shape);
    let table = vec![config.vocab_size, config.hidden_size];
    let mut tensors = vec![whole(EMBEDDINGS, "token_embd.weight", table.clone())];
    for (layer, spec) in DecoderSpec::of(config).blocks.iter().enumerate() {
        for module in block_modules(config, spec) {
            let (path, gguf) = (module.path(layer), module.gguf_path(layer));
            if module.bias {
                tensors.push(tensor(format!("{path}.bias"), format!("{gguf}.bias"), vec![module.outputs]));
            }
            let shape = std::iter::once(module.outputs).chain(module.inputs).collect();
            tensors.push(tensor(format!("{path}.weight"), format!("{gguf}.weight"), shape));
        }
    }
    tensors.push(whole(&format!("{FINAL_NORM}.weight"), "output_norm.weight", vec![config.hidden_size]));
    if !config.tie_word_embeddings {
        tensors.push(whole(HEAD, "output.weight", table));
    }
    tensors
}

/// Buffers that old versions of transformers saved with the weights and that are recomputed here: rotary
/// frequencies, and the numbers 0, 1, 2 … as positions.
pub(crate) fn is_known_buffer(name: &str) -> bool {
    name.ends_with("rotary_emb.inv_freq") || name.ends_with("embeddings.position_ids")
}
