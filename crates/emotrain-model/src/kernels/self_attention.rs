//! Attention of every token to all tokens of its own segment, over packed segments (Vaswani et al. 2017).

use std::ops::Range;

use burn::tensor::{DType, Int, Tensor, TensorData, activation};
use pulp::Arch;
use rayon::prelude::*;

use super::host::{exp, is_host, read, slice, sum_of, tensor};

/// Numbers that a vector unit takes at a time; keys are padded to a multiple of it.
const LANES: usize = 16;
/// Queries whose scores are formed together.
const QUERIES: usize = 4;

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
    let [rows, triple] = qkv.dims();
    let width = triple / 3;
    if !is_host(&qkv) {
        return padded(qkv + bias.clone(), segments, heads);
    }
    let (qkv, bias) = (read(qkv), read(bias.clone()));
    let (qkv, bias) = (slice(&qkv), slice(&bias));
    let mut out = vec![0.0; rows * width];
    let mut rest = out.as_mut_slice();
    let mut work = Vec::with_capacity(segments.len());
    for segment in segments {
        let (own, others) = std::mem::take(&mut rest).split_at_mut(segment.len() * width);
        work.push((&qkv[segment.start * triple..segment.end * triple], own));
        rest = others;
    }
    let arch = Arch::new();
    work.into_par_iter().for_each_init(Scratch::default, |scratch, (qkv, out)| {
        arch.dispatch(|| {
            for head in 0..heads {
                attend(scratch, qkv, (bias, head, width / heads), out);
            }
        });
    });
    tensor(out, [rows, width])
}

/// One head of one segment: queries `[T, d]`, keys `[d, T]` and scores `[4, T]`, `T` padded to [`LANES`].
#[derive(Default)]
struct Scratch {
    queries: Vec<f32>,
    keys: Vec<f32>,
    scores: Vec<f32>,
}

/// The head's columns of `out`, `[T, D]`.
#[expect(clippy::inline_always, reason = "compiled with the vector instructions of its caller")]
#[inline(always)]
fn attend(scratch: &mut Scratch, qkv: &[f32], (bias, head, dim): (&[f32], usize, usize), out: &mut [f32]) {
    let triple = bias.len();
    let width = triple / 3;
    let tokens = qkv.len() / triple;
    let padded = tokens.next_multiple_of(LANES);
    let scale = (dim as f32).sqrt().recip();
    let part = |row: usize, which: usize| &qkv[row * triple + which * width + head * dim..][..dim];
    let bias = |which: usize| &bias[which * width + head * dim..][..dim];

    scratch.queries.clear();
    scratch.keys.clear();
    scratch.keys.resize(dim * padded, 0.0);
    scratch.scores.resize(QUERIES * padded, 0.0);
    for row in 0..tokens.next_multiple_of(QUERIES) {
        // Queries beyond the last are computed and thrown away.
        let query = part(row.min(tokens - 1), 0).iter().zip(bias(0));
        scratch.queries.extend(query.map(|(query, bias)| (query + bias) * scale));
    }
    for row in 0..tokens {
        for (at, (key, bias)) in part(row, 1).iter().zip(bias(1)).enumerate() {
            scratch.keys[at * padded + row] = key + bias;
        }
    }
    for first in (0..tokens).step_by(QUERIES) {
        let queries = &scratch.queries[first * dim..(first + QUERIES) * dim];
        scores(queries, &scratch.keys, (dim, padded), &mut scratch.scores);
        for row in first..(first + QUERIES).min(tokens) {
            let scores = &mut scratch.scores[(row - first) * padded..][..padded];
            let inverse = softmax(scores, tokens);
            let out = &mut out[row * width + head * dim..][..dim];
            for (key, weight) in scores[..tokens].iter().enumerate() {
                for (out, value) in out.iter_mut().zip(part(key, 2)) {
                    *out += weight * value;
                }
            }
            for (out, bias) in out.iter_mut().zip(bias(2)) {
                *out = *out * inverse + bias;
            }
        }
    }
}

/// Products of four queries with all keys, row by row.
#[expect(clippy::inline_always, reason = "compiled with the vector instructions of its caller")]
#[inline(always)]
fn scores(queries: &[f32], keys: &[f32], (dim, padded): (usize, usize), scores: &mut [f32]) {
    for start in (0..padded).step_by(LANES) {
        let mut sums = [[0.0f32; LANES]; QUERIES];
        for at in 0..dim {
            let keys = &keys[at * padded + start..][..LANES];
            for (query, sums) in sums.iter_mut().enumerate() {
                let factor = queries[query * dim + at];
                for (sum, key) in sums.iter_mut().zip(keys) {
                    *sum += factor * key;
                }
            }
        }
        for (query, sums) in sums.iter().enumerate() {
            scores[query * padded + start..][..LANES].copy_from_slice(sums);
        }
    }
}

/// `e^(score - largest)` in place, and one over their sum; 0 beyond the last token.
#[expect(clippy::inline_always, reason = "compiled with the vector instructions of its caller")]
#[inline(always)]
fn softmax(scores: &mut [f32], tokens: usize) -> f32 {
    scores[tokens..].fill(f32::NEG_INFINITY);
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in scores.chunks_exact(LANES) {
        for (lane, score) in lanes.iter_mut().zip(chunk) {
            *lane = if *score > *lane { *score } else { *lane };
        }
    }
    let largest = lanes.into_iter().fold(f32::NEG_INFINITY, f32::max);
    for score in scores.iter_mut() {
        *score = exp(*score - largest);
    }
    sum_of(scores, scores, |score, _| score).recip()
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
    let part = |which: usize| -> Tensor<4> { spread.clone().narrow(0, which, 1).squeeze_dim(0) };
    let (q, k, v) = (part(0), part(1), part(2)); // [S, H, T, d]

    let hidden =
        segments.iter().flat_map(|own| (0..longest).map(|at| if at < own.len() { 0.0 } else { -30_000.0 }));
    let hidden = TensorData::new(hidden.collect::<Vec<f32>>(), [count, 1, 1, longest]);
    let mask = Tensor::<4>::from_data(hidden, (&device, DType::F32));
    let scale = (dim as f32).sqrt().recip();
    let scores = q.matmul(k.transpose()).cast(DType::F32) * scale + mask;
    let attended = activation::softmax(scores, 3).cast(dtype).matmul(v); // [S, H, T, d]
    let rows = attended.permute([0, 2, 1, 3]).reshape([count * longest, triple / 3]);
    let kept = segments
        .iter()
        .enumerate()
        .flat_map(|(number, own)| (0..own.len()).map(move |at| number * longest + at));
    rows.select(0, index(kept.collect()))
}
