//! Attention by tiles beside that by blocks, on the CPU.

use std::collections::BTreeSet;

use burn::tensor::{DType, TensorData};
use emotrain_base::random::{Key, uniform};
use emotrain_kernels::Arithmetic;

use super::*;
use crate::batch::Sequence;

const HEADS: Heads = Heads { kv: 2, group: 3, dim: 20 };

fn draw(key: u64, shape: [usize; 2]) -> Tensor<2> {
    let numbers = uniform(Key::new(key), shape[0] * shape[1], 1.0);
    Tensor::from_data(TensorData::new(numbers, shape), (&Device::flex(), DType::F32))
}

fn furthest(one: Tensor<2>, other: Tensor<2>) -> f32 {
    (one - other).abs().max().into_scalar::<f32>()
}

/// Sequences that fill several blocks, and a tree, all rows or some, with a window and without.
#[test]
fn eager_attention_gives_what_tiles_give() {
    let ids = |length: u32, turn: u32| -> Vec<u32> { (0..length).map(|i| (i + turn) % 50).collect() };
    let (long, short, start) = (ids(300, 1), ids(70, 2), ids(90, 3));
    let branches = [1, 2].map(|turn| [start.clone(), ids(80, 7 * turn)].concat());
    let all = |ids| Sequence { ids, supervised_from: 0 };
    let plain = Batch::sequences(&[all(&long), all(&short)]);
    let tree = Batch::trees(&branches.each_ref().map(|ids| all(ids)));
    let some: Vec<usize> = (0..plain.rows()).filter(|row| row % 3 == 1).collect();
    for (batch, rows) in [(&plain, None), (&plain, Some(some.as_slice())), (&tree, None)] {
        for window in [None, Some(100)] {
            let blocks = blocks(batch, rows, &BTreeSet::from([window]), &Device::flex());
            let queries = rows.map_or(batch.rows(), <[usize]>::len);
            let (width, kv_width) = (HEADS.query_width(), HEADS.key_value_width());
            let q = draw(1, [queries, width]);
            let ready = Ready::Rows(Projected { q, kv: draw(2, [batch.rows(), kv_width]) });
            let grad = draw(3, [queries, width]);
            let [tiles, eager] = [false, true].map(|eager| {
                let arithmetic = Arithmetic::F32;
                let spec = AttentionSpec { heads: HEADS, scale: 0.7, window, eager, arithmetic };
                let gave = spec.attend(&ready, &blocks, None);
                let Ready::Rows(grads) = spec.attend_backward(&grad, &ready, &blocks, &gave) else {
                    panic!("rows have gradients in rows")
                };
                (gave, grads)
            });
            assert_eq!(tiles.0.log_sums.len(), 1, "all blocks at once");
            assert!(eager.0.log_sums.len() > 1, "block by block");
            let apart = [
                furthest(tiles.0.rows, eager.0.rows),
                furthest(tiles.1.q, eager.1.q),
                furthest(tiles.1.kv, eager.1.kv),
            ];
            assert!(apart.iter().all(|apart| *apart < 2e-5), "{window:?}: {apart:?}");
        }
    }
}
