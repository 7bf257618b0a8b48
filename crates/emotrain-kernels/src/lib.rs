//! CPU kernels on slices of f32 and int8: matrices are row-major, and results do not depend on the number of cores.
//!
//! [`for_rows`] spreads rows over the cores and compiles its closure for the widest vector instructions of the machine;
//! functions of one row are inlined into it and are written without branches, so that they vectorise. Sums are formed
//! in lanes in a fixed order. Nothing here knows tensors: `emotrain-model` takes the slices out of them, and
//! `emotrain-retrieval` searches with the same dot product.

#![expect(
    clippy::inline_always,
    reason = "what is not inlined into its caller loses the vector instructions"
)]

mod activation;
mod adamw;
mod dot;
mod dropout;
mod dynamic;
mod elementwise;
mod exp;
mod factors;
#[cfg(test)]
mod fixture;
mod flash;
mod fresh;
mod frozen;
mod heads;
mod instructions;
mod integer;
mod memory;
mod norm;
mod paged;
mod product;
mod reduce;
mod rope;
mod rows;
mod self_attention;
mod similarity;
mod softmax;

pub use activation::{
    GELU_CUBIC, GELU_SLOPE, bias_gelu, gelu_tanh_gate, gelu_tanh_gate_backward, silu_gate, silu_gate_backward,
};
pub use adamw::AdamWStep;
pub use dropout::{DropoutMask, dropout};
pub use dynamic::{DYNAMIC_BLOCKSIZE, DYNAMIC_MAP, DynamicCodes, DynamicMap, UNSIGNED_DYNAMIC_MAP};
pub use elementwise::{
    add_columns, add_row, add_rows, scale, select_rows, spread_rows, sum_of_squares, sum_rows,
};
pub use factors::{Factors, qr_factors, singular_factors};
pub use flash::{ATTENTION_TILE, AttendedRows, AttentionTiles, FlashAttention, QueryTile, SeenTile};
pub use frozen::{
    Absmax, FourBit, FourBitQuantiser, FourBitType, FrozenMatrix, Int8Rows, NestedAbsmax, Numbers,
};
pub use heads::{Heads, add_key_values, head_major, token_major};
pub use instructions::instructions;
pub use integer::{QueryCodes, product_of_rows};
pub use memory::keep_memory;
pub use norm::{
    HeadRows, Residual, RowNorm, add_layer_norm, head_norm, head_norm_backward, norm_weight_gradient,
    rms_norm, rms_norm_row, rms_norm_to,
};
pub use paged::{PagedAttention, Pages, Span};
pub use product::{
    Arithmetic, Dense, add_dense_product, dense_products, frozen_product, frozen_product_back,
    frozen_product_to, product, product_bf16_to, product_to,
};
pub use rope::{rotate_head, rotate_head_back};
pub use rows::{for_rows, new_rows, of_rows, put_rows};
pub use self_attention::{Projections, self_attention};
pub use similarity::{each_product, portable_arch, similarity};
pub use softmax::{
    attention_probabilities, attention_scores_backward, log_sum_exp, log_sum_exp_row, log_sum_exp_rows,
    softmax_rows,
};
