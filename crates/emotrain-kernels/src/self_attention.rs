//! Attention of every token to all tokens of its own segment, over packed segments (Vaswani et al. 2017).

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use crate::reduce::LANES;
use crate::softmax::softmax;

/// Queries whose scores are formed together.
const QUERIES: usize = 4;

/// Queries, keys and values of rows, in this order and without their biases, and the biases.
#[derive(Clone, Copy, Debug)]
pub struct Projections<'a> {
    /// `[N, 3·D]`.
    pub qkv: &'a [f32],
    /// `[3·D]`.
    pub bias: &'a [f32],
    /// The number of heads, each of width `D / heads`.
    pub heads: usize,
}

/// `softmax(q · kᵀ / √d) · v` for each head of width `d` and each segment on its own.
///
/// # Shapes
/// The segments are behind one another and cover the `N` rows → `[N, D]`.
pub fn self_attention(projections: Projections, segments: &[Range<usize>]) -> Vec<f32> {
    let Projections { qkv, bias, heads } = projections;
    let triple = bias.len();
    let mut out = vec![0.0; qkv.len() / 3];
    let mut rest = out.as_mut_slice();
    let mut work = Vec::with_capacity(segments.len());
    for segment in segments {
        let (own, others) = std::mem::take(&mut rest).split_at_mut(segment.len() * triple / 3);
        let qkv = &qkv[segment.start * triple..segment.end * triple];
        work.push((Projections { qkv, ..projections }, own));
        rest = others;
    }
    let arch = Arch::new();
    work.into_par_iter().for_each_init(Scratch::default, |scratch, (segment, out)| {
        arch.dispatch(|| {
            for head in 0..heads {
                attend(scratch, segment, head, out);
            }
        });
    });
    out
}

/// One head of one segment: queries `[T, d]`, keys `[d, T]` and scores `[4, T]`, `T` padded to [`LANES`].
#[derive(Default)]
struct Scratch {
    queries: Vec<f32>,
    keys: Vec<f32>,
    scores: Vec<f32>,
}

/// The head's columns of `out`, `[T, D]`.
#[inline(always)]
fn attend(scratch: &mut Scratch, segment: Projections, head: usize, out: &mut [f32]) {
    let Projections { qkv, bias, heads } = segment;
    let triple = bias.len();
    let width = triple / 3;
    let dim = width / heads;
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
        scores(queries, &scratch.keys, padded, &mut scratch.scores);
        for row in first..(first + QUERIES).min(tokens) {
            let scores = &mut scratch.scores[(row - first) * padded..][..padded];
            scores[tokens..].fill(f32::NEG_INFINITY);
            let inverse = softmax(scores, 1.0);
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
#[inline(always)]
fn scores(queries: &[f32], keys: &[f32], padded: usize, scores: &mut [f32]) {
    let dim = keys.len() / padded;
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
