//! Tensors that are written while others have them.

use super::super::super::tests::types;
use super::super::super::{LowProduct, add_low_product};
use super::*;

/// Rows of every width, which on CUDA have gaps between them unless somebody takes care.
#[test]
fn what_others_have_on_a_gpu_is_copied_without_gaps_before_it_is_written() {
    for on in types() {
        for shape in [[1, 1], [3, 7], [5, 48], [4, 100], [2, 256]] {
            let drawn = on.draw(1, shape);
            let rows = Tensor::<2>::from_primitive::<Cube>(contiguous(&drawn).expect("a GPU's tensor"));
            let mut ours = rows.clone();
            let own = taken(&mut ours, 0).expect("a GPU's tensor");
            assert!(own.is_contiguous(), "{:?} {shape:?}: {:?}", drawn.dtype(), own.meta.strides());
            assert_eq!(own.handle.size_in_used(), (shape[0] * shape[1] * drawn.dtype().size()) as u64);
            on.check(&Tensor::from_primitive::<Cube>(own), drawn.clone(), 0.0);

            let (left, right) = (on.draw(2, [shape[0], 1]), on.draw(3, [1, shape[1]]));
            let expected = left.clone().cast(DType::F32) * right.clone().cast(DType::F32)
                + drawn.clone().cast(DType::F32);
            let mut ours = rows.clone();
            let given = LowProduct { place: [0, 0], turned: false, mask: None };
            add_low_product(&mut ours, [&left, &right], given).expect("a kernel");
            on.check(&ours, expected, 16.0);
            on.check(&rows, drawn.clone().cast(DType::F32), 0.0);
        }
    }
}
