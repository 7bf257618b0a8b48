//! Products that are written in another type, or where they belong.

use super::super::LowProduct;
use super::*;

/// Both ways of giving the right side, with and without dropout, into a block of a wider matrix.
#[test]
fn short_products_on_a_gpu_are_added_where_they_belong() {
    for on in types() {
        for ([rows, depth, columns], [height, width], place) in [
            ([1, 1, 1], [1, 1], [0, 0]),
            ([5, 3, 7], [9, 11], [2, 1]),
            ([70, 32, 96], [70, 96], [0, 0]),
            ([64, 20, 128], [66, 256], [1, 128]),
            ([130, 128, 64], [130, 72], [0, 8]),
        ] {
            let (to, left) = (on.draw(1, [height, width]), on.draw(2, [rows, depth]));
            let right = on.draw(3, [depth, columns]) * 0.1;
            let product = wide(&left).matmul(wide(&right));
            let block = [place[0]..place[0] + rows, place[1]..place[1] + columns];
            let turned_right = right.clone().transpose();
            for mask in [None, Some(DropoutMask::new(0.3, 17))] {
                let kept = match mask {
                    Some(mask) => super::super::dropout(&product, mask).unwrap(),
                    None => product.clone(),
                };
                let expected = elementwise::block_in_tensors(wide(&to), kept, block.clone());
                for (turned, right) in [(false, &right), (true, &turned_right)] {
                    let mut ours = to.clone();
                    let given = LowProduct { place, turned, mask };
                    super::super::add_low_product(&mut ours, [&left, right], given)
                        .expect("a kernel for short sums");
                    on.check(&ours, expected.clone(), 8.0);
                    on.check(&to, wide(&on.draw(1, [height, width])), 0.0);
                }
            }
        }
        let long = on.draw(1, [2, 129]);
        let given = LowProduct { place: [0, 0], turned: true, mask: None };
        assert!(super::super::add_low_product(&mut on.draw(2, [2, 2]), [&long, &long], given).is_none());
    }
}

/// A sum of 4,099 ones is not rounded to the bits of the sides' type.
#[test]
fn products_on_a_gpu_are_written_in_f32() {
    for on in types() {
        let (left, right) = (on.draw(1, [24, 40]), on.draw(2, [40, 17]));
        let product = super::super::wide_product(&left.clone().transpose().transpose(), &right)
            .expect("burn's product");
        let expected = wide(&left).matmul(wide(&right));
        assert_eq!(product.dtype(), DType::F32);
        let difference = (product - expected).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-4, "{:?}: {difference}", on.dtype);
        let ones = Tensor::<2>::ones([4099, 3], (&on.device, on.dtype));
        let product = super::super::wide_product(&ones.clone().transpose(), &ones).expect("burn's product");
        assert_eq!(product.try_into_vec_as::<f32>().unwrap(), [4099.0; 9]);
    }
}
