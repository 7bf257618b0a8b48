//! Heads on their way between rows and blocks.

use burn::tensor::Int;
use emotrain_kernels::Heads;

use super::*;
use crate::kernels::Turn;

/// Numbers that are moved stay as they are; what is added is rounded once.
#[test]
fn heads_on_a_gpu_are_laid_out_as_by_tensor_operations() {
    for on in types() {
        for (heads, total, rows) in [
            (Heads { kv: 1, group: 1, dim: 1 }, 1, 0..1),
            (Heads { kv: 2, group: 3, dim: 5 }, 9, 2..8),
            (Heads { kv: 2, group: 2, dim: 16 }, 33, 1..32),
            (Heads { kv: 8, group: 4, dim: 128 }, 5, 3..5),
        ] {
            let Heads { kv, group, dim } = heads;
            let x = on.draw(1, [total, kv * group * dim]);
            let block = head_rows::query_heads(heads, &x, &rows);
            on.check(&block, head_rows::head_view(heads, &wide(&x), &rows), 0.0);
            let both = super::super::joined_rows(&[block.clone(), block]).expect("a kernel for every shape");
            let back = x.clone().narrow(0, rows.start, rows.len());
            on.check(&both, Tensor::cat(vec![wide(&back), wide(&back)], 0), 0.0);

            let to = on.draw(2, [2, kv, total, dim]);
            let parts = [on.draw(3, [kv, rows.len(), dim]), on.draw(4, [kv, rows.len(), dim])];
            let place = [0..2, 0..kv, rows.clone(), 0..dim];
            let said = Tensor::stack::<4>(parts.each_ref().map(wide).to_vec(), 0);
            for adds in [false, true] {
                let there = wide(&to).slice(place.clone());
                let put = if adds { there + said.clone() } else { said.clone() };
                let mut put_here = to.clone();
                super::super::put_key_values(&mut put_here, &parts, rows.start, adds).unwrap();
                on.check(&put_here, wide(&to).slice_assign(place.clone(), put), 4.0);
                on.check(&to, wide(&on.draw(2, [2, kv, total, dim])), 0.0);
            }
        }
    }
}

/// The first row and the number of rows of each row's block.
fn spans(on: &On, lengths: &[usize]) -> Tensor<2, Int> {
    let mut first = 0;
    let mut all = Vec::new();
    for &length in lengths {
        let span = [first, length].map(|number| i32::try_from(number).unwrap());
        all.extend(std::iter::repeat_n(span, length).flatten());
        first += length;
    }
    Tensor::from_data(TensorData::new(all, [first, 2]), (&on.device, DType::I32))
}

/// Rows in blocks, by tensor operations: `[1, N·heads·dim]`.
fn in_blocks(x: &Tensor<2>, heads: Heads, lengths: &[usize]) -> Tensor<2> {
    let mut first = 0;
    let block = |&length: &usize| {
        first += length;
        let numbers = length * heads.query_width();
        head_rows::head_view(heads, x, &(first - length..first)).reshape([1, numbers])
    };
    Tensor::cat(lengths.iter().map(block).collect(), 1)
}

#[test]
fn rows_on_a_gpu_become_blocks_and_rows_again() {
    for on in types() {
        for (heads, lengths) in [
            (Heads { kv: 1, group: 1, dim: 1 }, vec![1]),
            (Heads { kv: 2, group: 3, dim: 5 }, vec![4, 1, 7]),
            (Heads { kv: 2, group: 2, dim: 128 }, vec![3, 30]),
        ] {
            let rows = lengths.iter().sum();
            let (x, spans) = (on.draw(1, [rows, heads.query_width()]), spans(&on, &lengths));
            let count = heads.kv * heads.group;
            let blocks = super::super::head_major(&x, count, &(0..rows), Some(&spans)).unwrap();
            on.check(&blocks, in_blocks(&wide(&x), heads, &lengths), 0.0);
            let mask = DropoutMask::new(0.3, 11);
            let [back, dropped] =
                super::super::token_major(&blocks, [count, heads.dim], Some(&spans), Some(mask)).unwrap();
            on.check(&back, wide(&x), 0.0);
            on.check(&dropped, wide(&super::super::dropout(&x, mask).unwrap()), 0.0);
        }
    }
}

/// Both ways, against the norms and rotations of tensor operations in f32.
#[test]
fn heads_on_a_gpu_are_normalised_and_rotated_on_their_way() {
    for on in types() {
        for ([all, turned, dim], half, lengths) in [
            ([1, 1, 2], 1, vec![1]),
            ([3, 3, 8], 4, vec![5, 2]),
            ([4, 2, 6], 2, vec![9]),
            ([6, 3, 128], 64, vec![2, 7, 1]),
            ([2, 2, 5], 2, vec![3, 3]),
        ] {
            let (rows, width): (usize, usize) = (lengths.iter().sum(), all * dim);
            let (x, grad) = (on.draw(1, [rows, width]), on.draw(2, [rows, width]));
            let positions: Vec<u32> = (0..rows).map(|row| u32::try_from(row * 3).unwrap()).collect();
            let frequencies = (0..half).map(|i| 0.5_f32.powi(i)).collect();
            let rotation = Rotation::new(&positions, &Rope { frequencies, factor: 1.2 }, &on.device);
            let heads = Heads { kv: all, group: 1, dim };
            for weight in [None, Some(on.draw(3, [1, dim])), Some(wide(&on.draw(3, [1, dim])))] {
                let norm = weight.clone().map(|weight| (weight, 1e-5));
                let turn = Turn { heads: turned, dim, norm, angles: rotation.angles() };
                let layout = HeadRows { width, heads: turned, dim };
                let mut expected = wide(&x);
                let back = rope::rotate_in_tensors(wide(&grad), turned, dim, &rotation.inverse());
                let mut expected_back = back.clone();
                if let Some(weight) = &weight {
                    expected = rms_norm::heads_in_tensors(expected, layout, &wide(weight), 1e-5);
                    let both = [back, wide(&x)];
                    expected_back = rms_norm::backward_in_tensors(both, layout, &wide(weight), 1e-5);
                }
                expected = rope::rotate_in_tensors(expected, turned, dim, &rotation);
                for lengths in [None, Some(&lengths)] {
                    let spans = lengths.map(|lengths| spans(&on, lengths));
                    let whole = [rows];
                    let lengths = lengths.map_or(&whole[..], Vec::as_slice);
                    let blocks = super::super::turned_heads(&x, &turn, spans.as_ref()).unwrap();
                    on.check(&blocks, in_blocks(&expected, heads, lengths), 10.0);
                    let grads = in_blocks(&grad, heads, lengths);
                    let fused =
                        super::super::turned_heads_backward(&grads, &x, &turn, spans.as_ref()).unwrap();
                    on.check(&fused, expected_back.clone(), 20.0);
                }
            }
        }
    }
}
