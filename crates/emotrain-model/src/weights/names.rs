//! The tensors of a decoder: Hugging Face names and shapes.

use crate::config::ModelConfig;

/// Name of the embedding table.
pub(super) const EMBEDDINGS: &str = "model.embed_tokens.weight";

/// Name of the output head, absent when it is tied to the embedding table.
pub(super) const HEAD: &str = "lm_head.weight";

/// Every tensor of a model of this shape with its Hugging Face name, from the embeddings to the head.
///
/// Matrices are `[out_features, in_features]`, as torch's linear layers keep them.
pub fn tensor_shapes(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    let hidden = config.hidden_size;
    let table = vec![config.vocab_size, hidden];
    let mut shapes = vec![(EMBEDDINGS.to_owned(), table.clone())];
    for layer in 0..config.num_hidden_layers {
        let of_layer = layer_shapes(config);
        shapes.extend(
            of_layer.into_iter().map(|(name, shape)| (format!("model.layers.{layer}.{name}"), shape)),
        );
    }
    shapes.push(("model.norm.weight".to_owned(), vec![hidden]));
    if !config.tie_word_embeddings {
        shapes.push((HEAD.to_owned(), table));
    }
    shapes
}

fn layer_shapes(config: &ModelConfig) -> Vec<(&'static str, Vec<usize>)> {
    let hidden = config.hidden_size;
    let inner = config.intermediate_size;
    let queries = config.query_size();
    let keys = config.key_value_size();
    let mut shapes = vec![
        ("input_layernorm.weight", vec![hidden]),
        ("self_attn.q_proj.weight", vec![queries, hidden]),
        ("self_attn.k_proj.weight", vec![keys, hidden]),
        ("self_attn.v_proj.weight", vec![keys, hidden]),
        ("self_attn.o_proj.weight", vec![hidden, queries]),
        ("post_attention_layernorm.weight", vec![hidden]),
        ("mlp.gate_proj.weight", vec![inner, hidden]),
        ("mlp.up_proj.weight", vec![inner, hidden]),
        ("mlp.down_proj.weight", vec![hidden, inner]),
    ];
    if config.attention_bias {
        shapes.push(("self_attn.q_proj.bias", vec![queries]));
        shapes.push(("self_attn.k_proj.bias", vec![keys]));
        shapes.push(("self_attn.v_proj.bias", vec![keys]));
    }
    if config.architecture.has_query_key_norm() {
        shapes.push(("self_attn.q_norm.weight", vec![config.head_dim]));
        shapes.push(("self_attn.k_norm.weight", vec![config.head_dim]));
    }
    shapes
}

/// Buffers that old versions of transformers saved with the weights and that are recomputed here: rotary
/// frequencies, and the numbers 0, 1, 2 … as positions.
pub(crate) fn is_known_buffer(name: &str) -> bool {
    name.ends_with("rotary_emb.inv_freq") || name.ends_with("embeddings.position_ids")
}
