//! The elementwise operations of a decoder layer, each with its backward, and those of an encoder layer, without.
//!
//! Every kernel has two forms of one meaning: whole-row loops over memory for the CPU in f32
//! (vectorised, on all cores), and plain tensor operations for every other device and dtype. Some have
//! a third, one launch on a GPU ([`fused`]). The tests hold them against each other.

mod adamw;
mod cross_entropy;
mod dropout;
mod elementwise;
mod fused;
mod gated;
mod gelu;
mod head_rows;
mod host;
mod layer_norm;
mod paged;
mod product;
mod rms_norm;
mod rope;
mod rows;
mod self_attention;
mod softmax;
#[cfg(test)]
mod tests;

pub use adamw::{AdamW, Moments};
pub(crate) use cross_entropy::{cross_entropy, target_log_probabilities};
pub(crate) use dropout::dropout;
pub(crate) use elementwise::{add, add_columns, scale, sum_of_squares, sum_rows};
pub(crate) use gated::{gated, gated_backward, gated_row};
pub(crate) use gelu::bias_gelu;
pub(crate) use host::{for_rows, is_host, read, slice};
pub(crate) use layer_norm::{LayerNorm, add_layer_norm};
pub(crate) use paged::{Pages, Span, attend_pages};
pub(crate) use product::{linear, product, product_bf16_to, product_to};
pub(crate) use rms_norm::{head_norm, head_norm_backward, norm_weight_gradient, rms_norm, rms_norm_row};
pub(crate) use rope::{Rotation, rotate, rotate_head};
pub(crate) use rows::Rows;
pub(crate) use self_attention::{Projected, self_attention};
pub(crate) use softmax::{
    Scores, attention_probabilities, attention_scores_backward, log_sum_exp, log_sum_exp_row,
};
