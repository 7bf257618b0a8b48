//! Matrices that are not trained, in fewer bits than f32: 16-bit floats, 4-bit and 8-bit codes.
//!
//! A product reads a tile of rows at a time and turns it into the numbers that it multiplies; a whole matrix is never
//! made.

mod four_bit;
mod half_bits;
mod int8;
#[cfg(test)]
mod tests;

pub use four_bit::{Absmax, FourBit, FourBitQuantiser, FourBitType, NestedAbsmax};
pub(crate) use half_bits::{bf16_bits, widen_bf16, widen_f16};
pub use int8::Int8Rows;

/// The numbers of neighbouring rows, in the form in which they are kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// Single precision.
    F32(Vec<f32>),
    /// The bits of bfloat16 numbers.
    Bf16(Vec<u16>),
    /// The bits of IEEE half-precision numbers.
    F16(Vec<u16>),
    /// 4-bit codes with a scale for each block.
    FourBit(FourBit),
    /// 8-bit codes with a scale for each row.
    Int8(Int8Rows),
}

impl Numbers {
    fn len(&self) -> usize {
        match self {
            Self::F32(numbers) => numbers.len(),
            Self::Bf16(bits) | Self::F16(bits) => bits.len(),
            Self::FourBit(codes) => codes.len(),
            Self::Int8(rows) => rows.codes.len(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::F32(numbers) => size_of_val(numbers.as_slice()),
            Self::Bf16(bits) | Self::F16(bits) => size_of_val(bits.as_slice()),
            Self::FourBit(codes) => codes.bytes(),
            Self::Int8(rows) => rows.bytes(),
        }
    }
}

/// A matrix `[rows, width]`: parts with their own scales, one below the other.
#[derive(Clone, Debug, PartialEq)]
pub struct FrozenMatrix {
    width: usize,
    rows: usize,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
struct Part {
    /// Its first row.
    first: usize,
    numbers: Numbers,
}

impl FrozenMatrix {
    /// # Panics
    /// If a part has no whole number of rows.
    pub fn new(width: usize, parts: Vec<Numbers>) -> Self {
        let mut rows = 0;
        let part = |numbers: Numbers| {
            assert!(numbers.len().is_multiple_of(width), "whole rows");
            let first = rows;
            rows += numbers.len() / width;
            Part { first, numbers }
        };
        let parts = parts.into_iter().map(part).collect();
        Self { width, rows, parts }
    }

    /// Numbers in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The memory of the numbers, in bytes.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.numbers.bytes()).sum()
    }

    /// The parts with their first rows.
    pub fn parts(&self) -> impl Iterator<Item = (usize, &Numbers)> {
        self.parts.iter().map(|part| (part.first, &part.numbers))
    }

    /// The numbers of a row from column `first` on.
    ///
    /// # Panics
    /// If the row has fewer.
    #[inline]
    pub fn read(&self, row: usize, first: usize, out: &mut [f32]) {
        let (numbers, start) = self.stretch(row, first, out.len());
        let end = start + out.len();
        match numbers {
            Numbers::F32(numbers) => out.copy_from_slice(&numbers[start..end]),
            Numbers::Bf16(bits) => widen_bf16(&bits[start..end], out),
            Numbers::F16(bits) => widen_f16(&bits[start..end], out),
            Numbers::FourBit(codes) => codes.read(start, out),
            Numbers::Int8(rows) => rows.read(start, out, self.width),
        }
    }

    /// The same, rounded to bfloat16.
    #[inline]
    pub(crate) fn read_bf16(&self, row: usize, first: usize, out: &mut [u16]) {
        /// Numbers that are rounded at a time.
        const STRETCH: usize = 512;
        let (numbers, start) = self.stretch(row, first, out.len());
        if let Numbers::Bf16(bits) = numbers {
            out.copy_from_slice(&bits[start..start + out.len()]);
            return;
        }
        let mut wide = [0.0; STRETCH];
        for (number, out) in out.chunks_mut(STRETCH).enumerate() {
            let wide = &mut wide[..out.len()];
            self.read(row, first + number * STRETCH, wide);
            for (out, number) in out.iter_mut().zip(&*wide) {
                *out = bf16_bits(*number);
            }
        }
    }

    /// All numbers, row by row.
    pub fn to_vec(&self) -> Vec<f32> {
        let mut all = vec![0.0; self.rows * self.width];
        crate::for_rows(&mut all, self.width, |row, out| self.read(row, 0, out));
        all
    }

    /// The part of a row, and the place in it of the number in column `first`.
    fn stretch(&self, row: usize, first: usize, count: usize) -> (&Numbers, usize) {
        assert!(first + count <= self.width, "numbers of one row");
        let at = self.parts.partition_point(|part| part.first <= row) - 1;
        let Part { first: first_row, numbers } = &self.parts[at];
        (numbers, (row - first_row) * self.width + first)
    }
}
