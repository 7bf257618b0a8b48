//! A frozen matrix as codes in tensors, for GPUs: what a product needs of it is turned into numbers, by a kernel of our
//! own or by tensor operations, and is there while the product is.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use emotrain_kernels::{Absmax, FourBit, FrozenMatrix, Int8Rows, Numbers};
use rayon::prelude::*;

use crate::float::CHUNK;
use crate::kernels::{CodedNumbers, decode};

/// `[rows, width]`: parts one below the other.
#[derive(Clone, Debug)]
pub(crate) struct Coded {
    parts: Vec<Part>,
    dims: [usize; 2],
    device: Device,
    dtype: DType,
}

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "some hundreds exist, each holding megabytes behind pointers")]
enum Part {
    /// Numbers in the type of the activations.
    Dense(Tensor<2>),
    /// Codes of some bits.
    Codes(Codes),
}

/// Codes, several in a word, and what they stand for.
#[derive(Clone, Debug)]
struct Codes {
    /// `[words]`, the first code in the lowest bits.
    words: Tensor<1, Int>,
    /// The place of each code in a word, in bits, `[1, codes in a word]`.
    shifts: Tensor<2, Int>,
    /// The number of each code, `[2^bits]`.
    table: Tensor<1>,
    /// What the numbers of each block are multiplied by, `[blocks, 1]`.
    scales: Tensor<2>,
    /// Bits of a code.
    bits: usize,
    /// Numbers of a block.
    block: usize,
    rows: usize,
}

impl Coded {
    /// The matrix on a device, for activations of this type. Scales are f32, those of double quantisation too.
    pub(crate) fn new(matrix: &FrozenMatrix, device: &Device, dtype: DType) -> Self {
        let width = matrix.width();
        let mut firsts: Vec<usize> = matrix.parts().map(|(first, _)| first).skip(1).collect();
        firsts.push(matrix.rows());
        let part = |((first, numbers), end): ((usize, &Numbers), usize)| match numbers {
            Numbers::FourBit(codes) => Part::Codes(four_bit(codes, end - first, device)),
            Numbers::Int8(codes) => Part::Codes(int8(codes, device)),
            Numbers::F32(_) | Numbers::Bf16(_) | Numbers::F16(_) => {
                let mut all = vec![0.0; (end - first) * width];
                for (row, out) in (first..end).zip(all.chunks_exact_mut(width)) {
                    matrix.read(row, 0, out);
                }
                Part::Dense(Tensor::from_data(TensorData::new(all, [end - first, width]), (device, dtype)))
            }
        };
        let parts = matrix.parts().zip(firsts).map(part).collect();
        Self { parts, dims: [matrix.rows(), width], device: device.clone(), dtype }
    }

    pub(crate) fn dims(&self) -> [usize; 2] {
        self.dims
    }

    pub(crate) fn device(&self) -> Device {
        self.device.clone()
    }

    /// Of what [`Coded::numbers`] gives.
    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// All numbers.
    pub(crate) fn numbers(&self) -> Tensor<2> {
        let [_, width] = self.dims;
        let part = |part: &Part| match part {
            Part::Dense(numbers) => numbers.clone(),
            Part::Codes(codes) => codes.numbers(width, self.dtype),
        };
        let mut parts: Vec<Tensor<2>> = self.parts.iter().map(part).collect();
        if parts.len() == 1 { parts.swap_remove(0) } else { Tensor::cat(parts, 0) }
    }
}

impl Codes {
    /// `[rows, width]` in this type.
    fn numbers(&self, width: usize, dtype: DType) -> Tensor<2> {
        let Self { words, table, scales, bits, block, rows, .. } = self;
        let codes = CodedNumbers { words, table, scales, bits: *bits, block: *block };
        decode(&codes, [*rows, width], dtype).unwrap_or_else(|| self.in_tensors(width).cast(dtype))
    }

    /// The form in tensor operations, in f32.
    fn in_tensors(&self, width: usize) -> Tensor<2> {
        let [words] = self.words.dims();
        let [_, per_word] = self.shifts.dims();
        let [blocks, _] = self.scales.dims();
        let all = words * per_word;
        let codes = self.words.clone().reshape([words, 1]).repeat_dim(1, per_word);
        let codes = codes.bitwise_right_shift(self.shifts.clone().repeat_dim(0, words));
        let codes = codes.bitwise_and_scalar((1 << self.bits) - 1).reshape([all]);
        let numbers = self.table.clone().select(0, codes).narrow(0, 0, blocks * self.block);
        let numbers = numbers.reshape([blocks, self.block]);
        let numbers = (numbers * self.scales.clone()).reshape([blocks * self.block]);
        numbers.narrow(0, 0, self.rows * width).reshape([self.rows, width])
    }
}

/// Words of four bytes each, `of` every one of `codes`, the first in the lowest bits; zeros fill up to `count` bytes.
fn words<T: Copy + Sync>(codes: &[T], count: usize, of: fn(T) -> u8, device: &Device) -> Tensor<1, Int> {
    let mut words = vec![0; count.div_ceil(4)];
    words.par_iter_mut().zip(codes.par_chunks(4)).with_min_len(CHUNK).for_each(|(word, codes)| {
        let mut all = [0; 4];
        for (byte, code) in all.iter_mut().zip(codes) {
            *byte = of(*code);
        }
        *word = i32::from_le_bytes(all);
    });
    let shape = [words.len()];
    Tensor::from_data(TensorData::new(words, shape), (device, DType::I32))
}

fn shifts(bits: usize, device: &Device) -> Tensor<2, Int> {
    let shifts: Vec<i32> = (0..32).step_by(bits).collect();
    let shape = [1, shifts.len()];
    Tensor::from_data(TensorData::new(shifts, shape), (device, DType::I32))
}

fn floats<const D: usize>(numbers: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers, shape), (device, DType::F32))
}

fn four_bit(matrix: &FourBit, rows: usize, device: &Device) -> Codes {
    let blocks = matrix.len().div_ceil(matrix.blocksize());
    let scales = match matrix.absmax() {
        Absmax::Plain(absmax) => absmax.clone(),
        Absmax::Nested(nested) => nested.to_vec(),
    };
    Codes {
        // bitsandbytes has the first of two codes in the upper half of a byte.
        words: words(matrix.codes(), blocks * matrix.blocksize() / 2, |byte| byte.rotate_left(4), device),
        shifts: shifts(4, device),
        table: floats(matrix.quant_type().numbers().to_vec(), [16], device),
        scales: floats(scales, [blocks, 1], device),
        bits: 4,
        block: matrix.blocksize(),
        rows,
    }
}

/// A block is a row.
fn int8(matrix: &Int8Rows, device: &Device) -> Codes {
    let rows = matrix.absmax.len();
    let table = (0..=u8::MAX).map(|code| f32::from(code.cast_signed()) / 127.0).collect();
    Codes {
        words: words(&matrix.codes, matrix.codes.len(), i8::cast_unsigned, device),
        shifts: shifts(8, device),
        table: floats(table, [256], device),
        scales: floats(matrix.absmax.clone(), [rows, 1], device),
        bits: 8,
        block: matrix.codes.len() / rows,
        rows,
    }
}

#[cfg(test)]
mod tests {
    use emotrain_base::random::{Key, uniform};
    use emotrain_recipe::{DeviceChoice, Dtype};

    use super::*;
    use crate::device;

    /// On a GPU the kernel's numbers are those of tensor operations, rounded once; whole words or not.
    #[test]
    fn codes_on_a_gpu_are_the_same_numbers_in_both_forms() {
        let Ok(on) = device::open(&DeviceChoice::Wgpu(None), Dtype::Float16) else {
            println!("skipped: no wgpu device with float16");
            return;
        };
        for (bits, block, rows, width) in
            [(4, 64, 3, 64), (4, 64, 5, 24), (4, 32, 3, 7), (8, 12, 5, 12), (8, 7, 2, 7)]
        {
            let numbers: usize = rows * width;
            let blocks = numbers.div_ceil(block);
            let codes: Vec<u8> =
                (0..blocks * block).map(|at| (at * 7 % (1 << bits)).try_into().unwrap()).collect();
            // Two codes of four bits are a byte, the first in the upper half.
            let packed = |pair: &[u8]| pair[0] << 4 | pair.get(1).copied().unwrap_or(0);
            let words = match bits {
                4 => {
                    let bytes: Vec<u8> = codes.chunks(2).map(packed).collect();
                    words(&bytes, bytes.len(), |byte| byte.rotate_left(4), &on.device)
                }
                _ => words(&codes, codes.len(), |code| code, &on.device),
            };
            let draw = |purpose, count| uniform(Key::new(purpose), count, 1.0);
            let codes = Codes {
                words,
                shifts: shifts(bits, &on.device),
                table: floats(draw(1, 1 << bits), [1 << bits], &on.device),
                scales: floats(draw(2, blocks), [blocks, 1], &on.device),
                bits,
                block,
                rows,
            };
            for dtype in [DType::F32, DType::F16] {
                let ours = codes.numbers(width, dtype);
                assert_eq!((ours.dims(), ours.dtype()), ([rows, width], dtype));
                let difference = (ours - codes.in_tensors(width).cast(dtype)).abs().max();
                assert!(difference.into_scalar::<f32>() < f32::MIN_POSITIVE, "{bits} {block} {rows} {width}");
            }
        }
    }
}
