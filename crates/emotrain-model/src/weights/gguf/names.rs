//! GGUF names and row orders ↔ Hugging Face's.

use std::ops::Range;

/// Tensors outside the layers.
const WHOLE: &[(&str, &str)] = &[
    ("token_embd.weight", "model.embed_tokens.weight"),
    ("output_norm.weight", "model.norm.weight"),
    ("output.weight", "lm_head.weight"),
];

/// Modules of a layer: `blk.N.X.weight` is `model.layers.N.Y.weight`, and so for `.bias`.
const LAYER: &[(&str, &str)] = &[
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// The Hugging Face name of a tensor of a decoder; `None` for a tensor that no decoder of ours has.
pub(super) fn hugging_face(name: &str) -> Option<String> {
    if let Some((_, whole)) = WHOLE.iter().find(|(gguf, _)| *gguf == name) {
        return Some((*whole).to_owned());
    }
    let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    let number: usize = layer.parse().ok().filter(|number: &usize| number.to_string() == layer)?;
    let (module, kind) = rest.split_once('.')?;
    let (_, module) = LAYER.iter().find(|(gguf, _)| *gguf == module)?;
    matches!(kind, "weight" | "bias").then(|| format!("model.layers.{number}.{module}.{kind}"))
}

/// The position of a row of a tensor in the file.
#[derive(Debug, Clone, Copy)]
pub(super) enum RowOrder {
    /// The same place.
    AsStored,
    /// Queries and keys of Llama files: the two rows that rotary positions turn together stand side by
    /// side within a head, where Hugging Face has them half a head apart.
    Paired { head_dim: usize },
}

impl RowOrder {
    /// Rows of the file among which are all that belong to `rows` of the Hugging Face tensor.
    pub(super) fn stored_rows(self, rows: Range<usize>) -> Range<usize> {
        match self {
            Self::AsStored => rows,
            Self::Paired { head_dim } => {
                rows.start / head_dim * head_dim..rows.end.next_multiple_of(head_dim)
            }
        }
    }

    /// The row of the file that is `row` of the Hugging Face tensor.
    pub(super) fn stored_row(self, row: usize) -> usize {
        match self {
            Self::AsStored => row,
            Self::Paired { head_dim } => {
                let half = head_dim / 2;
                let (head, within) = (row / head_dim, row % head_dim);
                head * head_dim + (within % half) * 2 + within / half
            }
        }
    }
}
