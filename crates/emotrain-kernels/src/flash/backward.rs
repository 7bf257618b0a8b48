//! The backward: pieces of a segment's queries sum up on their own what they say of its keys and values.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::operands::{Form, Prepared, columns, hide, load, panels};
use super::products::{Left, Products, ROWS, Sizes};
use super::{AttendedRows, FlashAttention, QueryTile, SeenTile, Square, TILE, ZEROS};
use crate::elementwise::add_row;
use crate::exp::exp;
use crate::reduce::sum_of;

/// Pieces of a segment and its heads of keys: as many as keep sixteen cores busy with one sequence, and no more, as each has
/// sums of its own. That they are the same on any number of cores makes a run the same.
const PIECES: usize = 16;

/// Keys turned, values turned, and keys.
type Sides<P> = [Prepared<P>; 3];

/// As [`FlashAttention::backward`].
pub(super) fn backward<P: Products>(of: FlashAttention, attended: AttendedRows) -> (Vec<f32>, Vec<f32>) {
    let (width, head_width) = (of.heads.query_width(), of.heads.group * of.heads.dim);
    let turned = |which| Prepared::<P>::new(of, attended.kv, which, Form::Turned);
    let sides = [turned(0), turned(1), Prepared::<P>::new(of, attended.kv, 0, Form::Rows)];
    let mut q_grad = vec![0.0; attended.q.len()];
    let pieces = pieces(of);
    let mut work = Vec::with_capacity(pieces.len() * of.heads.kv);
    let mut rest = q_grad.as_mut_slice();
    for piece in &pieces {
        let rows: usize = piece.tiles.iter().map(|tile| tile.rows.len()).sum();
        let (rows, others) = std::mem::take(&mut rest).split_at_mut(rows * width);
        rest = others;
        let first = work.len();
        work.extend((0..of.heads.kv).map(|head| (piece, head, Vec::new())));
        for row in rows.chunks_exact_mut(width) {
            for (task, row) in work[first..].iter_mut().zip(row.chunks_exact_mut(head_width)) {
                task.2.push(row);
            }
        }
    }
    let arch = Arch::new();
    let sums: Vec<[Vec<Square>; 2]> = work
        .into_par_iter()
        .with_max_len(1)
        .map_init(
            || Scratch::<P>::new(of.heads.dim),
            |scratch, (piece, head, q_grad)| {
                arch.dispatch(Work { of, attended, sides: &sides, piece, head, q_grad, scratch })
            },
        )
        .collect();
    (q_grad, sums_of_keys(of, &pieces, &sums))
}

/// Neighbouring tiles of queries of one segment.
struct QueryPiece<'a> {
    tiles: &'a [QueryTile],
    /// The tiles of keys that they see.
    keys: Range<usize>,
}

/// Of each segment, in pieces that cost about as much as each other. They depend on nothing but the segment.
fn pieces(of: FlashAttention<'_>) -> Vec<QueryPiece<'_>> {
    let most = PIECES.div_ceil(of.heads.kv);
    let mut pieces = Vec::new();
    for segment in of.tiles.queries.chunk_by(|one, other| one.segment == other.segment) {
        let all: usize = segment.iter().map(|tile| tile.keys.len()).sum();
        let mut done = 0;
        let number = |tile: &QueryTile| {
            done += tile.keys.len();
            (done * most).div_ceil(all.max(1))
        };
        let numbers: Vec<usize> = segment.iter().map(number).collect();
        let mut start = 0;
        for piece in numbers.chunk_by(|one, other| one == other) {
            let tiles = &segment[start..start + piece.len()];
            start += piece.len();
            let seen = tiles.iter().flat_map(|tile| &tile.keys).map(|seen| seen.tile);
            let keys = seen.clone().min().unwrap_or(0)..seen.max().map_or(0, |last| last + 1);
            pieces.push(QueryPiece { tiles, keys });
        }
    }
    pieces
}

/// What all pieces say of keys and values, `[N, 2·kv·d]`, piece after piece.
fn sums_of_keys(of: FlashAttention, pieces: &[QueryPiece], sums: &[[Vec<Square>; 2]]) -> Vec<f32> {
    let (dim, kv, width) = (of.heads.dim, of.heads.kv, of.heads.key_value_width());
    let mut out = vec![0.0; of.tiles.keys.last().map_or(0, |last| last.end) * width];
    let mut places = Vec::with_capacity(of.tiles.keys.len());
    let mut rest = out.as_mut_slice();
    for keys in &of.tiles.keys {
        let (place, others) = std::mem::take(&mut rest).split_at_mut(keys.len() * width);
        places.push(place);
        rest = others;
    }
    let arch = Arch::new();
    places.into_par_iter().enumerate().for_each(|(tile, out)| {
        arch.dispatch(|| {
            for (piece, sums) in pieces.iter().zip(sums.chunks_exact(kv)) {
                if !piece.keys.contains(&tile) {
                    continue;
                }
                let first = (tile - piece.keys.start) * panels(dim);
                for (row, out) in out.chunks_exact_mut(width).enumerate() {
                    for (number, out) in out.chunks_exact_mut(dim).enumerate() {
                        let squares = &sums[number % kv][number / kv][first..];
                        for (square, out) in squares.iter().zip(out.chunks_mut(TILE)) {
                            add_row(out, &square[row][..out.len()]);
                        }
                    }
                }
            }
        });
    });
    out
}

/// What a piece is worked on with.
struct Scratch<P: Products> {
    square: Box<Square>,
    /// Queries and gradients of each panel, as sides whose columns are added up, and whose rows are.
    left: [Vec<P::Number>; 2],
    rows: [Vec<P::Number>; 2],
    /// The log-sum-exp of each row, and `Σ grad ⊙ row`; 0 below the last row, where nothing counts.
    log_sums: [f32; TILE],
    means: [f32; TILE],
    scores: Box<Square>,
    grads: Box<Square>,
    /// Of one square.
    side: Vec<P::Number>,
    /// Gradients of queries, of each panel.
    sums: Vec<Square>,
}

impl<P: Products> Scratch<P> {
    fn new(dim: usize) -> Self {
        let side = || vec![P::Number::default(); panels(dim) * P::NUMBERS];
        Self {
            square: Box::new(ZEROS),
            left: [side(), side()],
            rows: [side(), side()],
            log_sums: [0.0; TILE],
            means: [0.0; TILE],
            scores: Box::new(ZEROS),
            grads: Box::new(ZEROS),
            side: vec![P::Number::default(); P::NUMBERS],
            sums: vec![ZEROS; panels(dim)],
        }
    }
}

/// The heads of a group, of a piece.
struct Work<'a, 'o, P: Products> {
    of: FlashAttention<'a>,
    attended: AttendedRows<'a>,
    sides: &'a Sides<P>,
    piece: &'a QueryPiece<'a>,
    /// Of keys.
    head: usize,
    /// The group's part of each row of the piece.
    q_grad: Vec<&'o mut [f32]>,
    scratch: &'a mut Scratch<P>,
}

/// One head of a tile of queries.
#[derive(Clone, Copy)]
struct At<'a> {
    tile: &'a QueryTile,
    /// Of the heads of the group.
    member: usize,
    /// The tile's first row in the piece.
    first: usize,
}

impl<P: Products> WithSimd for Work<'_, '_, P> {
    type Output = [Vec<Square>; 2];

    /// What the piece says of keys and of values, tile by tile and panel by panel.
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) -> [Vec<Square>; 2] {
        let squares = self.piece.keys.len() * panels(self.of.heads.dim);
        let mut sums = [vec![ZEROS; squares], vec![ZEROS; squares]];
        let mut first = 0;
        for tile in self.piece.tiles {
            for member in 0..self.of.heads.group {
                let at = At { tile, member, first };
                self.load(at);
                for seen in &tile.keys {
                    self.scores(simd, at, seen);
                    self.add(simd, at, seen.tile, &mut sums);
                }
                self.put(at);
            }
            first += tile.rows.len();
        }
        sums
    }
}

impl<P: Products> Work<'_, '_, P> {
    /// Queries and their gradients, and what is known of each row.
    #[inline(always)]
    fn load(&mut self, at: At) {
        let Self { of, attended, head, scratch, .. } = self;
        let Scratch { square, left, rows, log_sums, means, sums, .. } = &mut **scratch;
        let (dim, width, tile) = (of.heads.dim, of.heads.query_width(), &at.tile.rows);
        let head = *head * of.heads.group + at.member;
        let part = tile.start * width + head * dim..tile.end * width;
        for (number, numbers) in [attended.q, attended.grad].into_iter().enumerate() {
            let left = left[number].chunks_exact_mut(P::NUMBERS);
            for (panel, (left, rows)) in left.zip(rows[number].chunks_exact_mut(P::NUMBERS)).enumerate() {
                load(square, &numbers[part.clone()], width, columns(dim, panel));
                P::left(square, left);
                P::rows(square, rows);
            }
        }
        (*log_sums, *means) = ([0.0; TILE], [0.0; TILE]);
        for row in 0..tile.len() {
            let numbers = part.start + row * width..part.start + row * width + dim;
            means[row] = sum_of(&attended.rows[numbers.clone()], &attended.grad[numbers], |y, g| y * g);
            log_sums[row] = attended.log_sums[(tile.start + row) * (width / dim) + head];
        }
        sums.fill(ZEROS);
    }

    /// The probabilities of a tile of keys, and the gradients of their scores.
    #[inline(always)]
    fn scores<S: Simd>(&mut self, simd: S, at: At, seen: &SeenTile) {
        let Self { of, sides: [keys, values, _], head, scratch, .. } = self;
        let Scratch { left, log_sums, means, scores, grads, .. } = &mut **scratch;
        let padded = at.tile.rows.len().next_multiple_of(ROWS);
        for (out, left, right) in [(&mut *scores, &left[0], keys), (&mut *grads, &left[1], values)] {
            out[..padded].fill([0.0; TILE]);
            let sides = left.chunks_exact(P::NUMBERS).zip(right.panels(seen.tile, *head));
            for (panel, (left, right)) in sides.enumerate() {
                let sizes = Sizes { terms: columns(of.heads.dim, panel).len(), columns: TILE };
                P::add(simd, &mut out[..padded], Left::Rows(left), right, sizes);
            }
        }
        if let Some(mask) = &seen.mask {
            hide(scores, mask);
        }
        for row in 0..padded {
            for (score, grad) in scores[row].iter_mut().zip(&mut grads[row]) {
                *score = exp(*score * of.scale - log_sums[row]);
                *grad = *score * (*grad - means[row]) * of.scale;
            }
        }
    }

    /// Adds what these say of values, keys and queries.
    #[inline(always)]
    fn add<S: Simd>(&mut self, simd: S, at: At, tile: usize, [key_sums, value_sums]: &mut [Vec<Square>; 2]) {
        let Self { of, sides: [.., keys], piece, head, scratch, .. } = self;
        let Scratch { rows, scores, grads, side, sums, .. } = &mut **scratch;
        let (dim, padded) = (of.heads.dim, at.tile.rows.len().next_multiple_of(ROWS));
        let first = (tile - piece.keys.start) * panels(dim);
        for (square, of_keys, given) in [(&*scores, value_sums, 1), (&*grads, key_sums, 0)] {
            P::rows(square, side);
            let panels = of_keys[first..first + panels(dim)].iter_mut();
            for (panel, (out, right)) in panels.zip(rows[given].chunks_exact(P::NUMBERS)).enumerate() {
                let sizes = Sizes { terms: padded, columns: columns(dim, panel).len() };
                P::add(simd, out, Left::Turned(side), right, sizes);
            }
        }
        P::left(grads, side);
        for (panel, (out, right)) in sums.iter_mut().zip(keys.panels(tile, *head)).enumerate() {
            let sizes = Sizes { terms: TILE, columns: columns(dim, panel).len() };
            P::add(simd, &mut out[..padded], Left::Rows(side), right, sizes);
        }
    }

    /// The gradients of queries.
    #[inline(always)]
    fn put(&mut self, at: At) {
        let dim = self.of.heads.dim;
        let rows = &mut self.q_grad[at.first..at.first + at.tile.rows.len()];
        for (row, out) in rows.iter_mut().enumerate() {
            let out = &mut out[at.member * dim..(at.member + 1) * dim];
            for (sums, out) in self.scratch.sums.iter().zip(out.chunks_mut(TILE)) {
                out.copy_from_slice(&sums[row][..out.len()]);
            }
        }
    }
}
