//! The forward.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::operands::{Form, Prepared, columns, hide, load, panels};
use super::products::{Left, Products, ROWS, Sizes};
use super::{FlashAttention, QueryTile, Square, TILE, ZEROS};
use crate::exp::exp;
use crate::reduce::{largest, sum_of};

/// As [`FlashAttention::forward`].
pub(super) fn forward<P: Products>(of: FlashAttention, q: &[f32], kv: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (width, dim) = (of.heads.query_width(), of.heads.dim);
    let all_heads = width / dim;
    let rows = q.len() / width;
    let keys = Prepared::<P>::new(of, kv, 0, Form::Turned);
    let values = Prepared::<P>::new(of, kv, 1, Form::Rows);
    let (mut out, mut log_sums) = (vec![0.0; rows * width], vec![0.0; rows * all_heads]);
    let mut work = Vec::with_capacity(of.tiles.queries.len() * all_heads);
    let (mut rest, mut rest_sums) = (out.as_mut_slice(), log_sums.as_mut_slice());
    for tile in &of.tiles.queries {
        let (rows, others) = std::mem::take(&mut rest).split_at_mut(tile.rows.len() * width);
        let (sums, other_sums) = std::mem::take(&mut rest_sums).split_at_mut(tile.rows.len() * all_heads);
        (rest, rest_sums) = (others, other_sums);
        let first = work.len();
        work.extend((0..all_heads).map(|head| (tile, head, Vec::new())));
        for (row, sums) in rows.chunks_exact_mut(width).zip(sums.chunks_exact_mut(all_heads)) {
            for ((task, row), sum) in work[first..].iter_mut().zip(row.chunks_exact_mut(dim)).zip(sums) {
                task.2.push((row, sum));
            }
        }
    }
    let arch = Arch::new();
    work.into_par_iter().for_each_init(
        || Scratch::<P>::new(dim),
        |scratch, (tile, head, out)| {
            arch.dispatch(Attend { of, q, keys: &keys, values: &values, tile, head, out, scratch });
        },
    );
    (out, log_sums)
}

/// What some heads are worked on with.
struct Scratch<P: Products> {
    square: Box<Square>,
    /// Queries, of each panel.
    left: Vec<P::Number>,
    scores: Box<Square>,
    probabilities: Vec<P::Number>,
    /// Of each panel.
    sums: Vec<Square>,
}

impl<P: Products> Scratch<P> {
    fn new(dim: usize) -> Self {
        Self {
            square: Box::new(ZEROS),
            left: vec![P::Number::default(); panels(dim) * P::NUMBERS],
            scores: Box::new(ZEROS),
            probabilities: vec![P::Number::default(); P::NUMBERS],
            sums: vec![ZEROS; panels(dim)],
        }
    }
}

/// One head of a tile of queries.
struct Attend<'a, 'o, P: Products> {
    of: FlashAttention<'a>,
    q: &'a [f32],
    keys: &'a Prepared<P>,
    values: &'a Prepared<P>,
    tile: &'a QueryTile,
    head: usize,
    /// The head's part of each row, and its log-sum-exp.
    out: Vec<(&'o mut [f32], &'o mut f32)>,
    scratch: &'a mut Scratch<P>,
}

impl<P: Products> WithSimd for Attend<'_, '_, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { of, q, keys, values, tile, head, out, scratch } = self;
        let Scratch { square, left, scores, probabilities, sums } = scratch;
        let (dim, width) = (of.heads.dim, of.heads.query_width());
        let rows = tile.rows.len().next_multiple_of(ROWS);
        let kv_head = head / of.heads.group;
        let part = &q[tile.rows.start * width + head * dim..tile.rows.end * width];
        for (panel, left) in left.chunks_exact_mut(P::NUMBERS).enumerate() {
            load(square, part, width, columns(dim, panel));
            P::left(square, left);
        }
        sums.fill(ZEROS);
        let mut rests = [Rest { largest: f32::NEG_INFINITY, sum: 0.0 }; TILE];
        for seen in &tile.keys {
            scores[..rows].fill([0.0; TILE]);
            let lefts = left.chunks_exact(P::NUMBERS);
            for (panel, (left, keys)) in lefts.zip(keys.panels(seen.tile, kv_head)).enumerate() {
                let sizes = Sizes { terms: columns(dim, panel).len(), columns: TILE };
                P::add(simd, &mut scores[..rows], Left::Rows(left), keys, sizes);
            }
            if let Some(mask) = &seen.mask {
                hide(scores, mask);
            }
            for row in 0..rows {
                let factor = rests[row].add(&mut scores[row], of.scale);
                for sums in sums.iter_mut() {
                    for sum in &mut sums[row] {
                        *sum *= factor;
                    }
                }
            }
            P::left(scores, probabilities);
            for (panel, (sums, values)) in sums.iter_mut().zip(values.panels(seen.tile, kv_head)).enumerate()
            {
                let sizes = Sizes { terms: TILE, columns: columns(dim, panel).len() };
                P::add(simd, &mut sums[..rows], Left::Rows(probabilities), values, sizes);
            }
        }
        for (row, (out, log_sum)) in out.into_iter().enumerate() {
            let Rest { largest, sum } = rests[row];
            *log_sum = largest + sum.ln();
            let inverse = sum.recip();
            for (sums, out) in sums.iter().zip(out.chunks_mut(TILE)) {
                for (out, sum) in out.iter_mut().zip(&sums[row]) {
                    *out = sum * inverse;
                }
            }
        }
    }
}

/// The largest score of a row so far, and the sum of the exponentials beside it.
#[derive(Clone, Copy)]
struct Rest {
    largest: f32,
    sum: f32,
}

impl Rest {
    /// Makes scores `e^(scale · score - largest)`, and gives what those before are to be multiplied by.
    #[inline(always)]
    fn add(&mut self, scores: &mut [f32; TILE], scale: f32) -> f32 {
        let top = self.largest.max(largest(scores) * scale);
        // Of a row that has seen nothing yet, where the difference would be no number.
        let base = if top == f32::NEG_INFINITY { 0.0 } else { top };
        for score in scores.iter_mut() {
            *score = exp(*score * scale - base);
        }
        let factor = exp(self.largest - base);
        self.sum = self.sum * factor + sum_of(scores, scores, |score, _| score);
        self.largest = top;
        factor
    }
}
