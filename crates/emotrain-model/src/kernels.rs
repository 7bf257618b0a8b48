//! The elementwise operations of a decoder layer, each with its backward, and those of an encoder layer, without.
//!
//! Every kernel is a `match` on [`Form`]: whole-row loops over memory for the CPU in f32 (`emotrain-kernels`: vectorised,
//! on all cores), plain tensor operations for every other device and dtype, and for some one launch on a GPU
//! ([`fused`]). The tests hold the forms against each other.

mod adamw;
mod cross_entropy;
mod decode;
mod dense;
mod dropout;
mod elementwise;
mod flash;
mod form;
mod fused;
mod gated;
mod gelu;
mod head_blocks;
mod head_products;
mod head_rows;
mod host;
mod layer_norm;
mod linear;
mod masks;
mod product;
mod rms_norm;
mod rope;
mod rows;
mod self_attention;
mod slots;
mod softmax;
mod target_table;
#[cfg(test)]
mod tests;
mod tokens;

pub use adamw::{AdamW, EightBitMoments, Moments};
pub(crate) use cross_entropy::{LossTerms, cross_entropy, target_log_probabilities};
pub(crate) use decode::{CodedNumbers, decode};
pub(crate) use dropout::{Inputs, add_dropped, dropout};
pub(crate) use elementwise::{
    add, add_block, add_part, scale, scaled_to, spread, squares, stacked, sum_rows,
};
pub(crate) use flash::{
    flash_attention, flash_attention_backward, takes_flash, takes_tiles, tile_attention,
    tile_attention_backward,
};
pub(crate) use form::Form;
pub(crate) use fused::{Attending, AttentionTables, Columns, Part, Turn};
pub(crate) use gated::{gated_backward, gated_inputs, gated_rows};
pub(crate) use gelu::bias_gelu;
pub(crate) use head_blocks::{
    blocks_of_rows, put_key_values, rows_of_blocks, turned_heads, turned_heads_backward,
};
pub(crate) use head_products::{KeyRows, product_into, product_with_transposed, put_products};
pub(crate) use head_rows::{add_key_values, grouped_heads, key_value_heads, query_heads, token_major};
pub(crate) use host::{integers_on, read, slice, tensor as from_host};
pub(crate) use layer_norm::{LayerNorm, add_layer_norm};
pub use linear::linear;
pub(crate) use linear::linear_backward;
pub(crate) use masks::Masks;
pub(crate) use product::{
    Beside, add_dropped_product, add_product, add_product_at, matmul, product, sum_product, wide_product,
};
pub(crate) use rms_norm::{
    head_norm, head_norm_backward, norm_backward_beside, norm_weight_gradient, normed_inputs, rms_norm,
    sum_normed_inputs,
};
pub(crate) use rope::{Rotation, rotate};
pub(crate) use rows::Rows;
pub(crate) use self_attention::{Projected, self_attention};
pub(crate) use slots::{attention_to_slots, likeliest, put_rows};
pub(crate) use softmax::{Scores, Seen, attention_softmax, attention_softmax_backward};
pub(crate) use tokens::{TokenPlaces, Tokens};
