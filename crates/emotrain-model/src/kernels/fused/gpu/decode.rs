//! The numbers of codes: a word of several codes is read, its numbers are written.

use burn::tensor::{DType, Tensor};
use burn_cubecl::Cube;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::buffers::{Spread, contiguous, elem_type, empty_of, spread};
use crate::kernels::fused::Codes;

/// A word has as many codes as a vector has numbers; `block` numbers share a scale.
#[cube(launch)]
pub(crate) fn decode_words<F: Float, N: Size>(
    words: &[u32],
    table: &[f32],
    scales: &[f32],
    out: &mut [Vector<F, N>],
    #[comptime] bits: usize,
    #[comptime] block: usize,
    #[define(F)] _dtype: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= out.len() {
        terminate!();
    }
    let mask = comptime!((1u32 << bits) - 1);
    let word = words[at];
    let mut numbers = Vector::<f32, N>::new(0.0f32);
    #[unroll]
    for lane in 0..N::value() {
        let code = (word >> u32::cast_from(lane * bits)) & mask;
        numbers.insert(lane, table[code as usize]);
    }
    out[at] = Vector::cast_from(numbers * Vector::new(scales[at * N::value() / block]));
}

/// See [`super::super::decode`].
pub(crate) fn launch(codes: &Codes, [rows, width]: [usize; 2], dtype: DType) -> Option<Tensor<2>> {
    let (per_word, numbers) = (32 / codes.bits, rows * width);
    let whole = numbers.is_multiple_of(per_word) && codes.block.is_multiple_of(per_word);
    let [words] = codes.words.dims();
    if !whole || words < numbers / per_word || codes.words.dtype() != DType::I32 {
        return None;
    }
    let (element, Spread { cubes, units }) = (elem_type(dtype)?, spread(numbers / per_word)?);
    let words = codes.words.clone().try_into_primitive::<Cube>().ok()?;
    let (table, scales) = (contiguous(codes.table)?, contiguous(codes.scales)?);
    let out = empty_of([rows, width], codes.table, dtype)?;
    decode_words::launch(
        &out.client,
        cubes,
        units,
        per_word,
        words.into_buffer_arg(),
        table.into_buffer_arg(),
        scales.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        codes.bits,
        codes.block,
        element,
    );
    Some(Tensor::from_primitive::<Cube>(out))
}
