//! Products of heads on a CUDA device without a card, as those of matrices.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::super::product::fake_card::{DTYPES, Host, card};
use super::*;

const HEADS: usize = 2;
const GROUP: usize = 3;
const ROWS: usize = 5;
const WIDTH: usize = 8;

/// One matrix for each of so many heads, those of a group below one another.
fn drawn(rows: usize, columns: usize, turn: usize) -> Vec<Host> {
    (0..HEADS).map(|head| Host::drawn([rows, columns], turn + 10 * head)).collect()
}

/// As heads of groups, `[K, G, n, w]`.
fn up(matrices: &[Host], group: usize, (device, dtype): (&Device, DType)) -> Tensor<4> {
    let [rows, width] = matrices[0].shape;
    let numbers: Vec<f32> = matrices.iter().flat_map(|matrix| matrix.numbers.clone()).collect();
    Tensor::from_data(TensorData::new(numbers, [HEADS, group, rows / group, width]), (device, dtype))
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as::<f32>().unwrap()
}

fn each(left: &[Host], right: &[Host], product: impl Fn(&Host, &Host) -> Host) -> Vec<f32> {
    left.iter().zip(right).flat_map(|(left, right)| product(left, right).numbers).collect()
}

#[test]
fn queries_score_for_keys_and_give_values() {
    let Some(on) = card("library") else { return };
    for (keys, dtype) in [1, 7, 16].into_iter().flat_map(|keys| DTYPES.map(|dtype| (keys, dtype))) {
        let to = (&on.device, dtype);
        let (q, k) = (drawn(GROUP * ROWS, WIDTH, 1), drawn(keys, WIDTH, 2));
        let scores = product_with_transposed(up(&q, GROUP, to), up(&k, 1, to));
        assert_eq!(scores.dims(), [HEADS, GROUP, ROWS, keys]);
        assert_eq!(
            numbers(scores.clone()),
            each(&q, &k, |q, k| q.times(&k.transposed())),
            "{keys} {dtype:?}"
        );

        // The scores as they lie, with memory left between their rows, are a side of the next product.
        let right = each(&q, &k, |q, k| q.times(&k.transposed()).times(k));
        assert_eq!(numbers(head_product(scores.clone(), up(&k, 1, to))), right, "{keys} {dtype:?}");

        // From a place in the middle on.
        let (before, after) = (24, 9);
        let mut all = vec![5.0; before + right.len() + after];
        let mut blocks =
            Tensor::<2>::from_data(TensorData::new(all.clone(), [1, all.len()]), (&on.device, dtype));
        product_into(&mut blocks, before, &scores, &up(&k, 1, to));
        all[before..before + right.len()].copy_from_slice(&right);
        assert_eq!(numbers(blocks), all, "{keys} {dtype:?}");
    }
}

/// Rows of other blocks' keys are between those of this block's.
#[test]
fn what_queries_say_of_keys_and_values_goes_to_their_rows() {
    let Some(on) = card("library") else { return };
    let (all, rows, keys) = (12, [2..5, 7..11], 7);
    for (adds, dtype) in [false, true].into_iter().flat_map(|adds| DTYPES.map(|dtype| (adds, dtype))) {
        let to = (&on.device, dtype);
        let sides =
            [1, 2].map(|turn| (drawn(GROUP * ROWS, keys, turn), drawn(GROUP * ROWS, WIDTH, 3 * turn)));
        let there: Vec<f32> = (0..2 * HEADS * all * WIDTH).map(|number| (number % 3) as f32).collect();
        let there_up = TensorData::new(there.clone(), [2, HEADS, all, WIDTH]);
        let mut found = Tensor::<4>::from_data(there_up, to);
        let uploaded = sides.each_ref().map(|(left, right)| [up(left, GROUP, to), up(right, GROUP, to)]);
        let products = uploaded.each_ref().map(|[left, right]| [left, right]);
        put_products(&mut found, &KeyRows { rows: &rows, adds }, products).unwrap();

        let mut expected = there;
        for (which, (left, right)) in sides.iter().enumerate() {
            for head in 0..HEADS {
                let product = left[head].transposed().times(&right[head]);
                for (row, said) in rows.iter().cloned().flatten().zip(product.numbers.chunks(WIDTH)) {
                    let first = ((which * HEADS + head) * all + row) * WIDTH;
                    for (number, said) in expected[first..first + WIDTH].iter_mut().zip(said) {
                        *number = if adds { *number + said } else { *said };
                    }
                }
            }
        }
        assert_eq!(numbers(found), expected, "adds {adds}, {dtype:?}");
    }
}

/// Heads next to one another in rows, as products of layers give them; and rows of all keys.
#[test]
fn heads_are_read_where_they_lie() {
    let Some(on) = card("library") else { return };
    let to = (&on.device, DType::F32);
    let (rows, keys) = (Host::drawn([ROWS, HEADS * WIDTH], 1), drawn(96, WIDTH, 2));
    let side = TensorData::new(rows.numbers.clone(), [ROWS, HEADS, 1, WIDTH]);
    let left = Tensor::<4>::from_data(side, to).permute([1, 2, 0, 3]);
    // 32 rows of 32 bytes begin where a buffer may.
    let right = up(&keys, 1, to).narrow(2, 32, 32);
    let expected: Vec<Host> = (0..HEADS).map(|head| rows.columns(head * WIDTH, WIDTH)).collect();
    let part =
        |keys: &Host| Host { shape: [32, WIDTH], numbers: keys.numbers[32 * WIDTH..64 * WIDTH].to_vec() };
    let found = product_with_transposed(left, right);
    assert_eq!(numbers(found), each(&expected, &keys, |q, k| q.times(&part(k).transposed())));
}
