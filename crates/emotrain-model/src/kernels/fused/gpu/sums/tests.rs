use super::super::super::tests::types;
use super::*;

#[test]
fn sums_of_rows_on_a_gpu_are_those_of_tensor_operations() {
    for on in types() {
        for [rows, width] in [[1, 1], [5, 7], [64, 100], [65, 3], [130, 1030], [9000, 4]] {
            let x = on.draw(1, [rows, width]);
            let sums = of_rows(&x).expect("a kernel for all rows");
            assert_eq!((sums.dims(), sums.dtype()), ([1, width], x.dtype()));
            let roundings = 2.0 + (rows as f32).sqrt() * 4.0;
            on.check(&sums, x.cast(DType::F32).sum_dim(0), roundings);
        }
    }
}

#[test]
fn the_sum_of_all_on_a_gpu_is_that_of_tensor_operations() {
    let Some(on) = types().into_iter().next() else { return };
    for numbers in [1, 255, 256, 257, 10_000] {
        let x = on.draw(1, [numbers]).cast(DType::F32).square();
        let sum = of_all(&x).expect("a kernel for numbers in f32");
        assert_eq!(sum.dims(), [1]);
        let expected = x.clone().sum().into_scalar::<f32>();
        let sum = sum.into_scalar::<f32>();
        assert!((sum / expected - 1.0).abs() < 1e-5, "{numbers}: {sum} where {expected} is right");
    }
    let nan = Tensor::<1>::full([300], f32::NAN, (&on.device, DType::F32));
    assert!(of_all(&nan).expect("a kernel for numbers in f32").into_scalar::<f32>().is_nan());
}
