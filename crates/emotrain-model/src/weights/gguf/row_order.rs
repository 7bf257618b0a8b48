//! The order of rows in GGUF files and in Hugging Face's.

use std::ops::Range;

use crate::config::ModelConfig;

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
    /// That of the tensor with a Hugging Face name, of a weight or of the `B` of its adapter.
    pub(super) fn of(config: &ModelConfig, name: &str) -> Self {
        let is_rotated = [".self_attn.q_proj.", ".self_attn.k_proj."].iter().any(|part| name.contains(part));
        if is_rotated && config.architecture.family().gguf_pairs_rows {
            Self::Paired { head_dim: config.head_dim }
        } else {
            Self::AsStored
        }
    }

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
