#![expect(clippy::single_range_in_vec_init, reason = "one segment, and what a query sees of one")]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::products::{Left, Products, Single, Sizes};
use super::*;
use crate::fixture::noise;

/// Queries, keys and values, a gradient, and who sees whom.
struct Case {
    heads: Heads,
    scale: f32,
    tiles: AttentionTiles,
    q: Vec<f32>,
    kv: Vec<f32>,
    grad: Vec<f32>,
}

impl Case {
    /// Of blocks of queries by segments of keys.
    fn new(heads: Heads, blocks: &[Vec<Vec<Range<usize>>>], segments: &[Range<usize>]) -> Self {
        let tiles = AttentionTiles::new(blocks.iter().cloned(), segments);
        let (rows, keys) = (tiles.seen.len(), segments.last().unwrap().end);
        Self {
            heads,
            scale: 1.3,
            tiles,
            q: noise(1, rows * heads.query_width()),
            kv: noise(2, keys * heads.key_value_width()),
            grad: noise(3, rows * heads.query_width()),
        }
    }

    fn attention(&self, arithmetic: Arithmetic) -> FlashAttention<'_> {
        FlashAttention { heads: self.heads, scale: self.scale, tiles: &self.tiles, arithmetic }
    }

    /// Rows, log-sum-exps, and the gradients of queries and of keys and values.
    fn found(&self, arithmetic: Arithmetic) -> [Vec<f32>; 4] {
        let attention = self.attention(arithmetic);
        let (rows, log_sums) = attention.forward(&self.q, &self.kv);
        let Self { q, kv, grad, .. } = self;
        let given = AttendedRows { q, kv, rows: &rows, log_sums: &log_sums, grad };
        let (q_grad, kv_grad) = attention.backward(given);
        [rows, log_sums, q_grad, kv_grad]
    }

    /// The same by its formulas, in double precision.
    fn expected(&self) -> [Vec<f64>; 4] {
        let Self { heads, tiles, .. } = self;
        let (dim, width, kv_width) = (heads.dim, heads.query_width(), heads.key_value_width());
        let (scale, all) = (f64::from(self.scale), width / dim);
        let [mut rows, mut q_grad] = [vec![0.0; self.q.len()], vec![0.0; self.q.len()]];
        let (mut log_sums, mut kv_grad) = (vec![0.0; self.q.len() / dim], vec![0.0; self.kv.len()]);
        let wide = |numbers: &[f32]| numbers.iter().map(|number| f64::from(*number)).collect::<Vec<_>>();
        let (q, kv, grad) = (wide(&self.q), wide(&self.kv), wide(&self.grad));
        let dot = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
        for (row, seen) in tiles.seen.iter().enumerate() {
            for head in 0..all {
                let at = row * width + head * dim;
                let (q, grad) = (&q[at..at + dim], &grad[at..at + dim]);
                let key_at = |key: usize| key * kv_width + head / heads.group * dim;
                let value_at = |key: usize| key_at(key) + kv_width / 2;
                let keys: Vec<usize> = seen.iter().cloned().flatten().collect();
                let scores: Vec<f64> =
                    keys.iter().map(|key| scale * dot(q, &kv[key_at(*key)..][..dim])).collect();
                let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let log_sum = top + scores.iter().map(|score| (score - top).exp()).sum::<f64>().ln();
                log_sums[row * all + head] = log_sum;
                let p: Vec<f64> = scores.iter().map(|score| (score - log_sum).exp()).collect();
                for (key, p) in keys.iter().zip(&p) {
                    for i in 0..dim {
                        rows[at + i] += p * kv[value_at(*key) + i];
                    }
                }
                let mean = dot(grad, &rows[at..at + dim]);
                for (key, p) in keys.iter().zip(&p) {
                    let of_score = p * (dot(grad, &kv[value_at(*key)..][..dim]) - mean) * scale;
                    for i in 0..dim {
                        kv_grad[value_at(*key) + i] += p * grad[i];
                        kv_grad[key_at(*key) + i] += of_score * q[i];
                        q_grad[at + i] += of_score * kv[key_at(*key) + i];
                    }
                }
            }
        }
        [rows, log_sums, q_grad, kv_grad]
    }
}

/// Queries that see all keys of a segment up to their own.
fn causal(segment: Range<usize>) -> Vec<Vec<Range<usize>>> {
    segment.clone().map(|row| vec![segment.start..row + 1]).collect()
}

fn cases() -> Vec<Case> {
    let heads = |kv, group, dim| Heads { kv, group, dim };
    // Two sequences; a start with two branches, and a window; some queries of a long sequence; heads of two tiles.
    let branch = |start: usize, own: Range<usize>| -> Vec<Vec<Range<usize>>> {
        own.clone().map(|row| vec![start..90, own.start..row + 1]).collect()
    };
    let tree = [causal(0..90), branch(0, 90..161), branch(30, 161..230)].concat();
    let some = (0..300).step_by(7).map(|row| vec![row / 2..row + 1]).collect();
    vec![
        Case::new(heads(2, 3, 64), &[causal(0..130), causal(130..147)], &[0..130, 130..147]),
        Case::new(heads(1, 2, 24), &[tree], &[0..230]),
        Case::new(heads(3, 1, 80), &[some], &[0..300]),
        Case::new(heads(1, 1, 5), &[causal(0..1), causal(1..4)], &[0..1, 1..4]),
    ]
}

#[test]
fn attention_is_its_formula() {
    for case in cases() {
        for (arithmetic, within) in [(Arithmetic::F32, 1e-5), (Arithmetic::Bf16, 2e-2)] {
            for (found, expected) in case.found(arithmetic).iter().zip(case.expected()) {
                let largest = expected.iter().fold(0.0_f64, |largest, number| largest.max(number.abs()));
                for (found, expected) in found.iter().zip(&expected) {
                    let apart = (f64::from(*found) - expected).abs();
                    assert!(apart <= within * largest, "{found}, not {expected}, {:?}", case.heads);
                }
            }
        }
    }
}

/// A segment alone, with others, and on one core.
#[test]
fn a_segment_has_the_bits_that_it_has_alone() {
    let heads = Heads { kv: 2, group: 2, dim: 16 };
    let together = Case::new(heads, &[causal(0..70), causal(70..400)], &[0..70, 70..400]);
    let mut alone = Case::new(heads, &[causal(0..330)], &[0..330]);
    let rows = |numbers: &[f32], width: usize| numbers[70 * width..].to_vec();
    alone.q = rows(&together.q, heads.query_width());
    alone.grad = rows(&together.grad, heads.query_width());
    alone.kv = rows(&together.kv, heads.key_value_width());
    let one_core = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for arithmetic in [Arithmetic::F32, Arithmetic::Bf16] {
        let all = together.found(arithmetic);
        assert_eq!(all, one_core.install(|| together.found(arithmetic)));
        let widths = [heads.query_width(), 4, heads.query_width(), heads.key_value_width()];
        for ((found, width), alone) in all.iter().zip(widths).zip(alone.found(arithmetic)) {
            assert_eq!(rows(found, width), alone);
        }
    }
}

/// One product of tiles, from both forms of its left side.
struct Both<'a> {
    left: &'a Square,
    right: &'a Square,
}

impl WithSimd for Both<'_> {
    type Output = Vec<Square>;

    fn with_simd<S: Simd>(self, simd: S) -> Vec<Square> {
        let mut turned = vec![0.0; Single::NUMBERS];
        Single::turned(self.left, &mut turned);
        let (left, right) = (self.left.as_flattened(), self.right.as_flattened());
        let mut out = vec![ZEROS; 2];
        for (columns, rows) in [(TILE, 0..60), (24, 60..64)] {
            let sizes = Sizes { terms: 50, columns };
            Single::add(simd, &mut out[0][..rows.end], Left::Rows(left), right, sizes);
            Single::add(simd, &mut out[1][..rows.end], Left::Turned(&turned), right, sizes);
        }
        out
    }
}

/// With vectors of every width that this CPU has, and without any.
#[test]
fn products_do_not_depend_on_the_width_of_vectors() {
    let square = |seed: u32| -> Square {
        let numbers = noise(seed, TILE * TILE);
        std::array::from_fn(|row| std::array::from_fn(|column| numbers[row * TILE + column]))
    };
    let (left, right) = (square(1), square(2));
    let both = || Both { left: &left, right: &right };
    let here = pulp::Arch::new().dispatch(both());
    let rows = &here[0];
    assert_eq!(rows, &here[1]);
    let mut others = vec![Simd::vectorize(pulp::Scalar::new(), both())];
    #[cfg(target_arch = "x86_64")]
    others.extend(pulp::x86::V3::try_new().map(|simd| Simd::vectorize(simd, both())));
    for other in others.into_iter().flatten() {
        for (row, column) in (0..TILE).flat_map(|row| [0, 23].map(|column| (row, column))) {
            let (one, other) = (rows[row][column], other[row][column]);
            assert!((one - other).abs() < 1e-5, "{row}, {column}: {one}, {other}");
        }
    }
    let exact = |row: usize, column: usize| -> f32 {
        (0..50).map(|term| left[row][term] * right[term][column]).sum()
    };
    assert!((rows[3][40] - exact(3, 40)).abs() < 1e-4 && (rows[62][20] - exact(62, 20)).abs() < 1e-4);
}

/// What is no number in one segment, among its queries, keys, values or gradients, stays there, and is not hidden.
#[test]
fn no_numbers_stay_in_their_segment() {
    let heads = Heads { kv: 1, group: 1, dim: 8 };
    let spoilt = |spoil: &dyn Fn(&mut Case)| {
        let mut case = Case::new(heads, &[causal(0..20), causal(20..50)], &[0..20, 20..50]);
        spoil(&mut case);
        case
    };
    let query = spoilt(&|case| case.q[25 * 8] = f32::NAN);
    let key = spoilt(&|case| case.kv[25 * 16] = f32::NAN);
    let value = spoilt(&|case| case.kv[25 * 16 + 8] = f32::NAN);
    let grad = spoilt(&|case| case.grad[25 * 8] = f32::NAN);
    for arithmetic in [Arithmetic::F32, Arithmetic::Bf16] {
        for (case, forward) in [(&query, true), (&key, true), (&value, true), (&grad, false)] {
            let [rows, _, q_grad, kv_grad] = case.found(arithmetic);
            assert_eq!(rows[25 * 8].is_nan(), forward);
            assert!(q_grad[25 * 8].is_nan());
            for (numbers, width) in [(rows, 8), (q_grad, 8), (kv_grad, 16)] {
                assert!(numbers[..20 * width].iter().all(|number| number.is_finite()));
            }
        }
    }
}
