//! Access to a tensor's memory when it lives on the CPU in f32, and loops over its rows.

use burn::tensor::{DType, Tensor, TensorData};
use burn_flex::{Flex, FlexTensor};
use pulp::Arch;
use rayon::prelude::*;

/// Rows are handed to a core in pieces of about this many numbers.
const GRAIN: usize = 1 << 14;

/// Whether the CPU form of a kernel applies.
pub(crate) fn is_host<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && tensor.clone().try_into_primitive::<Flex>().is_ok()
}

/// The tensor's numbers, in order; copies only if the tensor is a strided view.
///
/// # Panics
/// If [`is_host`] does not hold.
pub(crate) fn read<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    let tensor = tensor.try_into_primitive::<Flex>().expect("a CPU tensor");
    if tensor.as_slice::<f32>().is_some() { tensor } else { tensor.to_contiguous() }
}

/// The tensor as a buffer to write to; copies only if it is shared or a view.
pub(super) fn write<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    let tensor = read(tensor);
    let whole = tensor.layout().start_offset() == 0
        && tensor.bytes().len() == tensor.layout().num_elements() * size_of::<f32>();
    if whole { tensor } else { FlexTensor::from_data(tensor.into_data()) }
}

/// The numbers of a tensor that came from [`read`].
pub(crate) fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("contiguous f32")
}

/// A tensor around a buffer, without copying.
pub(super) fn tensor<const D: usize>(numbers: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(FlexTensor::from_data(TensorData::new(numbers, shape)))
}

/// A tensor around a buffer that came from [`write`].
pub(super) fn restore<const D: usize>(buffer: FlexTensor) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(buffer)
}

/// Calls `work(row number, row)` for each row of `out` on all cores, compiled for the widest vector
/// instructions of this machine. The result does not depend on the number of cores.
pub(crate) fn for_rows(out: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    let arch = Arch::new();
    let rows = (GRAIN / width.max(1)).max(1);
    out.par_chunks_mut(rows * width).enumerate().for_each(|(piece, chunk)| {
        arch.dispatch(|| {
            for (index, row) in chunk.chunks_exact_mut(width).enumerate() {
                work(piece * rows + index, row);
            }
        });
    });
}

/// The sum of `term(a, b)` over a row pair in sixteen lanes: fixed order, and wide enough for any vector unit.
#[inline(always)]
pub(super) fn sum_of(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0.0f32; LANES];
    let (chunks_a, chunks_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = chunks_a.remainder().iter().zip(chunks_b.remainder()).map(|(&a, &b)| term(a, b)).sum();
    for (a, b) in chunks_a.zip(chunks_b) {
        for lane in 0..LANES {
            lanes[lane] += term(a[lane], b[lane]);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// The largest number of a row.
#[expect(clippy::inline_always, reason = "compiled with the vector instructions of its caller")]
#[inline(always)]
pub(super) fn lanes_max(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let chunks = row.chunks_exact(16);
    let rest = chunks.remainder().iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = if value > *lane { value } else { *lane };
        }
    }
    lanes.iter().copied().fold(rest, f32::max)
}

/// e^x to about 2 ulp without a branch, so that loops over it vectorise. Below -87 the result is 0.
///
/// Cody-Waite reduction by ln 2 and the degree-6 Taylor polynomial on ±ln 2 / 2.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.clamp(-87.0, 88.0);
    // Adding and subtracting 1.5·2²³ rounds to the nearest integer.
    let shifted = clamped * std::f32::consts::LOG2_E + 12_582_912.0;
    let power = shifted - 12_582_912.0;
    let rest = clamped - power * LN_2_HIGH - power * LN_2_LOW;
    let mut polynomial = 1.0 / 720.0;
    for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        polynomial = polynomial * rest + coefficient;
    }
    let scale = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    if x < -87.0 { 0.0 } else { polynomial * scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_over_its_range() {
        for step in -8700..=8800 {
            let x = step as f32 / 100.0;
            let (ours, exact) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((ours - exact).abs() <= 4e-7 * exact, "exp({x}) = {ours}, not {exact}");
        }
        assert!(exp(f32::NEG_INFINITY).abs() < f32::MIN_POSITIVE);
        assert!((exp(0.0) - 1.0).abs() < f32::EPSILON);
        assert!(exp(f32::NAN).is_nan());
    }
}
