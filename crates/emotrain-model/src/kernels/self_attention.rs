//! Attention of every token to all tokens of its own segment, over packed segments (Vaswani et al. 2017).

use std::ops::Range;

use burn::tensor::{DType, Int, Tensor, TensorData, activation};
use emotrain_kernels::Projections;

use super::Form;
use super::head_products::{head_product, product_with_transposed};
use super::host::{read, slice, tensor};
use super::softmax::HIDDEN;

/// Queries, keys and values without their biases, `[N, 3·D]` in this order, and the biases `[1, 3·D]`.
#[derive(Debug)]
pub(crate) struct Projected<'a> {
    pub(crate) qkv: Tensor<2>,
    pub(crate) bias: &'a Tensor<2>,
    pub(crate) heads: usize,
}

/// `softmax(q · kᵀ / √d) · v` for each head of width `d` and each segment on its own.
///
/// # Shapes
/// The segments are behind one another and cover the `N` rows → `[N, D]`.
pub(crate) fn self_attention(projected: Projected, segments: &[Range<usize>]) -> Tensor<2> {
    let Projected { qkv, bias, heads } = projected;
    match Form::of(&qkv) {
        Form::Host => {
            let [rows, triple] = qkv.dims();
            let (qkv, bias) = (read(qkv), read(bias.clone()));
            let projections = Projections { qkv: slice(&qkv), bias: slice(&bias), heads };
            tensor(emotrain_kernels::self_attention(projections, segments), [rows, triple / 3])
        }
        Form::Fused | Form::Tensor => padded(qkv + bias.clone(), segments, heads),
    }
}

/// The same in tensor operations, for devices that want few and large ones: every segment is padded to the longest.
fn padded(qkv: Tensor<2>, segments: &[Range<usize>], heads: usize) -> Tensor<2> {
    let ([_, triple], device, dtype) = (qkv.dims(), qkv.device(), qkv.dtype());
    let (count, dim) = (segments.len(), triple / 3 / heads);
    let longest = segments.iter().map(Range::len).max().unwrap_or(0);
    let index = |rows: Vec<usize>| -> Tensor<1, Int> {
        let shape = [rows.len()];
        let rows: Vec<i32> =
            rows.into_iter().map(|row| i32::try_from(row).expect("row numbers fit i32")).collect();
        Tensor::from_data(TensorData::new(rows, shape), &device)
    };
    let spread = segments.iter().flat_map(|own| (0..longest).map(|at| (own.start + at).min(own.end - 1)));
    let spread = qkv.select(0, index(spread.collect()));
    let spread = spread.reshape([count, longest, 3, heads, dim]).permute([2, 0, 3, 1, 4]);
    let part = |which: usize| -> Tensor<4> {
        spread.clone().narrow(0, which, 1).reshape([count * heads, 1, longest, dim])
    };
    let (q, k, v) = (part(0), part(1), part(2)); // [S·H, 1, T, d]

    let hidden =
        segments.iter().flat_map(|own| (0..longest).map(|at| if at < own.len() { 0.0 } else { HIDDEN }));
    let hidden = TensorData::new(hidden.collect::<Vec<f32>>(), [count, 1, 1, longest]);
    let mask = Tensor::<4>::from_data(hidden, (&device, DType::F32));
    let scale = (dim as f32).sqrt().recip();
    let scores = product_with_transposed(q, k).reshape([count, heads, longest, longest]);
    let probabilities = activation::softmax(scores.cast(DType::F32) * scale + mask, 3).cast(dtype);
    let attended = head_product(probabilities.reshape([count * heads, 1, longest, longest]), v);
    let rows = attended
        .reshape([count, heads, longest, dim])
        .permute([0, 2, 1, 3])
        .reshape([count * longest, triple / 3]);
    let kept = segments
        .iter()
        .enumerate()
        .flat_map(|(number, own)| (0..own.len()).map(move |at| number * longest + at));
    rows.select(0, index(kept.collect()))
}
