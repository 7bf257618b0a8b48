//! Attention to keys and values in a pool, and the largest numbers of rows.

use burn::tensor::Int;
use emotrain_kernels::{Arithmetic, Heads};

use super::*;
use crate::kernels::{Rows, attention_to_slots, likeliest, put_rows};
use crate::spec::AttentionSpec;

fn whole(numbers: &[usize]) -> Vec<i32> {
    numbers.iter().map(|&number| i32::try_from(number).unwrap()).collect()
}

/// Rows of a pool of three times as many, the last first.
fn scattered(count: usize) -> Vec<usize> {
    (0..count).rev().map(|at| 3 * at + at % 3).collect()
}

/// In f32, from the definition.
fn attended(q: &Tensor<2>, kv: &Tensor<2>, heads: Heads, scale: f32) -> Tensor<2> {
    let ([queries, _], [keys, _], Heads { kv: kv_heads, group, dim }) = (q.dims(), kv.dims(), heads);
    let q = wide(q).reshape([queries, kv_heads, group, dim]).permute([1, 2, 0, 3]);
    let kv = wide(kv).reshape([keys, 2, kv_heads, 1, dim]).permute([1, 2, 3, 0, 4]);
    let [k, v] = [0, 1]
        .map(|which| kv.clone().narrow(0, which, 1).reshape([kv_heads, 1, keys, dim]).repeat_dim(1, group));
    let scores = q.matmul(k.swap_dims(2, 3)) * scale;
    let parts = (scores.clone() - scores.max_dim(3)).exp();
    let shares = parts.clone() / parts.sum_dim(3);
    shares.matmul(v).permute([2, 0, 1, 3]).reshape([queries, kv_heads * group * dim])
}

#[test]
fn attention_to_slots_on_a_gpu_is_that_of_tensor_operations() {
    for on in types() {
        for (heads, lengths) in [
            (Heads { kv: 1, group: 1, dim: 1 }, vec![1]),
            (Heads { kv: 2, group: 3, dim: 5 }, vec![7, 1, 128]),
            (Heads { kv: 2, group: 1, dim: 64 }, vec![129, 40]),
            (Heads { kv: 3, group: 7, dim: 64 }, vec![300]),
            (Heads { kv: 2, group: 4, dim: 128 }, vec![513, 127, 2, 256]),
            (Heads { kv: 1, group: 2, dim: 256 }, vec![150]),
        ] {
            let all: usize = lengths.iter().sum();
            let (width, rows, slots) = (2 * heads.kv * heads.dim, 3 * all, scattered(all));
            let kv = on.draw(1, [all, width]);
            // As the engine makes it, without gaps between rows.
            let pool = Tensor::<1>::full([rows * width], f32::NAN, (&on.device, on.dtype));
            let mut pool = pool.reshape([rows, width]);
            put_rows(&mut pool, &kv, &Rows::new(slots.clone(), &on.device));
            let numbers = |rows: &Tensor<2>| wide(rows).try_into_vec_as::<f32>().unwrap();
            assert_eq!(numbers(&Rows::new(slots.clone(), &on.device).of(&pool)), numbers(&kv));

            // Of each sequence a query that sees all, one that sees the last few, one that sees the first, and nothing.
            let (mut ranges, mut start) = (Vec::new(), 0);
            for length in &lengths {
                let end = start + length;
                ranges.extend([[start, end], [end - length.div_ceil(3), end], [start, start + 1], [0, 0]]);
                start = end;
            }
            let q = on.draw(2, [ranges.len(), heads.query_width()]) * 2.0;
            let scale = 1.0 / (heads.dim as f32).sqrt();
            let table = Tensor::<1, Int>::from_data(whole(ranges.as_flattened()).as_slice(), &on.device);
            let table = table.cast(DType::I32).reshape([ranges.len(), 2]);
            let spec =
                AttentionSpec { heads, scale, window: None, eager: false, arithmetic: Arithmetic::F32 };
            let seen = Rows::new(slots, &on.device);
            let found = attention_to_slots(&q, &pool, &seen, &table, spec).expect("a kernel for such heads");
            for (row, [start, end]) in ranges.into_iter().enumerate().filter(|(_, [start, end])| start < end)
            {
                let row = |x: &Tensor<2>| x.clone().narrow(0, row, 1);
                let kv = kv.clone().narrow(0, start, end - start);
                on.check(&row(&found), attended(&row(&q), &kv, heads, scale), 6.0);
            }
        }
        // A group whose queries and scores no GPU is sure to have the memory for.
        let heads = Heads { kv: 1, group: 16, dim: 256 };
        let (q, pool) = (on.draw(1, [1, heads.query_width()]), on.draw(2, [1, 2 * heads.dim]));
        let table = Tensor::<2, Int>::zeros([1, 2], (&on.device, DType::I32));
        let spec =
            AttentionSpec { heads, scale: 1.0, window: None, eager: false, arithmetic: Arithmetic::F32 };
        assert!(attention_to_slots(&q, &pool, &Rows::new(vec![0], &on.device), &table, spec).is_none());
    }
}

#[test]
fn the_likeliest_on_a_gpu_is_the_first_of_the_largest() {
    for on in types() {
        for [rows, width] in [[1, 1], [3, 7], [5, 64], [2, 1000], [4, 49_152]] {
            let logits = on.draw(4, [rows, width]);
            let numbers = logits.clone().cast(DType::F32).try_into_vec_as::<f32>().unwrap();
            let expected: Vec<u32> = numbers
                .chunks_exact(width)
                .map(|row| {
                    let largest = row.iter().copied().fold(f32::MIN, f32::max);
                    u32::try_from(row.iter().position(|&number| number >= largest).unwrap()).unwrap()
                })
                .collect();
            assert_eq!(likeliest(&logits), Some(expected), "{:?} {rows} of {width}", on.dtype);
            // The first of equal ones, wherever they are.
            let at = [width / 3, width / 2, width - 1];
            let place = |x: Tensor<2>, column, number: f32| {
                let number = Tensor::full([rows, 1], number, (&on.device, on.dtype));
                x.slice_assign([0..rows, column..column + 1], number)
            };
            let equal = at.iter().fold(logits.clone(), |logits, &column| place(logits, column, 9.0));
            assert_eq!(likeliest(&equal), Some(vec![u32::try_from(at[0]).unwrap(); rows]));
            for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                assert_eq!(likeliest(&place(logits.clone(), at[1], number)), None, "{number}");
            }
        }
        let low = Tensor::full([2, 5], -60_000.0, (&on.device, on.dtype));
        assert_eq!(likeliest(&low), Some(vec![0, 0]));
    }
}

#[test]
fn rows_of_a_table_on_a_gpu_are_those_of_the_host() {
    for on in types() {
        for [rows, width] in [[1, 1], [5, 7], [40, 64], [9, 1000]] {
            let table = on.draw(5, [rows, width]);
            let numbers: Vec<usize> = (0..=2 * rows).map(|at| (at * 7 + at * at) % rows).collect();
            let index = Rows::new(numbers.clone(), &on.device);
            // As it is, a part of each row and of all rows, and one whose rows are another's columns.
            let [first, columns] = [width / 3, width - width / 3];
            let part = table.clone().narrow(1, first, columns);
            let tall = table.clone().narrow(0, rows / 2, rows - rows / 2);
            for x in [table.clone(), part, tall, table.clone().transpose()] {
                let [most, width] = x.dims();
                let numbers: Vec<usize> = numbers.iter().map(|row| row % most).collect();
                let index = if most == rows { index.clone() } else { Rows::new(numbers.clone(), &on.device) };
                let all = wide(&x).try_into_vec_as::<f32>().unwrap();
                let expected: Vec<f32> =
                    numbers.iter().flat_map(|row| &all[row * width..][..width]).copied().collect();
                assert_eq!(wide(&index.of(&x)).try_into_vec_as::<f32>().unwrap(), expected);
            }
        }
    }
}
