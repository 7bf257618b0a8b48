//! The order of rows in GGUF files and in Hugging Face's.

use std::ops::Range;

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
