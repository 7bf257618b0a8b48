use burn::tensor::Tensor;
use burn_cubecl::Cube;
use burn_cubecl::tensor::CubeTensor;
use cubecl::zspace::metadata::Metadata;

use super::super::super::tests::{On, types};
use super::*;

/// The same numbers in rows of so many, of which those behind the row's own are none.
fn in_wider_rows(x: &Tensor<4>, stride: usize) -> Tensor<4> {
    let [heads, group, rows, width] = x.dims();
    let gap = [heads, group, rows, stride - width];
    let gap = Tensor::<4>::full(gap, f32::NAN, (&x.device(), x.dtype()));
    let wide = if stride > width { Tensor::cat(vec![x.clone(), gap], 3) } else { x.clone() };
    let wide = burn_cubecl::kernel::into_contiguous(wide.try_into_primitive::<Cube>().unwrap());
    let CubeTensor { client, handle, device, dtype, .. } = wide;
    let strides = [group * rows * stride, rows * stride, stride, 1];
    let meta = Metadata::new([heads, group, rows, width], strides);
    Tensor::from_primitive::<Cube>(CubeTensor::new(client, handle, meta, device, dtype))
}

/// As a library gives scores whose rows begin where wide loads may.
#[test]
fn scores_on_a_gpu_may_have_gaps_between_their_rows() {
    for on in types() {
        for [queries, keys, stride] in [[1, 1, 8], [7, 5, 8], [27, 27, 32], [3, 64, 64], [40, 130, 136]] {
            let shape = [2, 3, queries, keys];
            let (raw, grad) = (on.draw(1, shape) * 3.0, on.draw(2, shape));
            let ends = (0..queries).flat_map(|query| [0, (query + 1).min(keys)]);
            let ends: Vec<i32> = ends.map(|end| i32::try_from(end).unwrap()).collect();
            let bounds = crate::kernels::integers_on(&on.device, ends, [queries, 2]);
            let wider = [&raw, &grad].map(|x| in_wider_rows(x, stride));

            let [expected, log_sums] = forward(&raw, &bounds, 0.7).unwrap();
            let [probabilities, sums] = forward(&wider[0], &bounds, 0.7).unwrap();
            check(&on, [&probabilities, &expected]);
            on.check(&sums, log_sums.clone(), 1.0);
            let expected = backward([&raw, &grad], &log_sums, &bounds, 0.7).unwrap();
            let found = backward([&wider[0], &wider[1]], &log_sums, &bounds, 0.7).unwrap();
            for (found, expected) in found.iter().zip(&expected) {
                check(&on, [found, expected]);
            }
            // A gradient whose rows are elsewhere.
            let found = backward([&wider[0], &grad], &log_sums, &bounds, 0.7).unwrap();
            check(&on, [&found[1], &expected[1]]);
        }
    }
}

/// Without arithmetic on what is in the gaps.
fn check(on: &On, [found, expected]: [&Tensor<4>; 2]) {
    let [found, expected] = [found, expected].map(|x| x.clone().narrow(3, 0, x.dims()[3]));
    on.check(&found, expected, 1.0);
}
