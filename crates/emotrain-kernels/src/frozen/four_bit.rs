//! NF4 and FP4: 4-bit codes with the largest magnitude of each block, which may be kept in 8 bits in turn (Dettmers et
//! al. 2023, `QLoRA`, section 3; codes and layout as in bitsandbytes' `quantize_4bit`).

use pulp::Arch;
use rayon::prelude::*;

use crate::dynamic::{DYNAMIC_BLOCKSIZE, DYNAMIC_MAP, DynamicCodes, scaled};

/// What the 16 codes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FourBitType {
    /// Quantiles of the normal distribution.
    Nf4,
    /// A sign, two bits of exponent and one of fraction.
    Fp4,
}

const NF4: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

const FP4: [f32; 16] = [
    0.0,
    0.005_208_333_5,
    0.666_666_7,
    1.0,
    0.333_333_34,
    0.5,
    0.166_666_67,
    0.25,
    0.0,
    -0.005_208_333_5,
    -0.666_666_7,
    -1.0,
    -0.333_333_34,
    -0.5,
    -0.166_666_67,
    -0.25,
];

/// The numbers of both codes of a byte, the upper half's first.
type Pairs = [[f32; 2]; 256];

const fn pairs(numbers: &[f32; 16]) -> Pairs {
    let mut pairs = [[0.0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [numbers[byte >> 4], numbers[byte & 15]];
        byte += 1;
    }
    pairs
}

static NF4_PAIRS: Pairs = pairs(&NF4);
static FP4_PAIRS: Pairs = pairs(&FP4);

impl FourBitType {
    /// As bitsandbytes has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nf4 => "nf4",
            Self::Fp4 => "fp4",
        }
    }

    /// The number of each code, for a block whose largest magnitude is 1.
    pub const fn numbers(self) -> &'static [f32; 16] {
        match self {
            Self::Nf4 => &NF4,
            Self::Fp4 => &FP4,
        }
    }

    fn pairs(self) -> &'static Pairs {
        match self {
            Self::Nf4 => &NF4_PAIRS,
            Self::Fp4 => &FP4_PAIRS,
        }
    }

    /// The codes in the order of their numbers, and what separates neighbours: a number up to a bound has the code below.
    fn ordered(self) -> ([u8; 16], [f32; 15]) {
        let numbers = self.numbers();
        let mut codes = [0_u8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        codes.sort_by(|one, other| numbers[usize::from(*one)].total_cmp(&numbers[usize::from(*other)]));
        let at = |place: usize| numbers[usize::from(codes[place])];
        (codes, std::array::from_fn(|place| f32::midpoint(at(place), at(place + 1))))
    }
}

/// Rows of 4-bit codes. A number is the code's times the largest magnitude of its block.
#[derive(Clone, Debug, PartialEq)]
pub struct FourBit {
    quant_type: FourBitType,
    /// Two in a byte, the first in the upper half.
    codes: Vec<u8>,
    len: usize,
    blocksize: usize,
    absmax: Absmax,
}

/// The largest magnitude of each block.
#[derive(Clone, Debug, PartialEq)]
pub enum Absmax {
    /// As it is.
    Plain(Vec<f32>),
    /// In 8 bits: double quantisation.
    Nested(NestedAbsmax),
}

/// Largest magnitudes as 8-bit codes of [`DYNAMIC_MAP`]: each is what its code says, plus the offset.
#[derive(Clone, Debug, PartialEq)]
pub struct NestedAbsmax {
    /// A code for each block, a scale for each 256 codes.
    pub scales: DynamicCodes,
    /// The mean of the largest magnitudes.
    pub offset: f32,
}

impl NestedAbsmax {
    #[expect(clippy::cast_possible_truncation, reason = "a mean of f32")]
    fn quantise(absmax: &[f32]) -> Self {
        let offset =
            (absmax.iter().map(|one| f64::from(*one)).sum::<f64>() / absmax.len().max(1) as f64) as f32;
        let differences: Vec<f32> = absmax.iter().map(|one| one - offset).collect();
        Self { scales: DynamicCodes::quantise(&differences, &DYNAMIC_MAP), offset }
    }

    /// The scale of each block.
    pub fn to_vec(&self) -> Vec<f32> {
        (0..self.scales.codes.len()).map(|block| self.of(block)).collect()
    }

    fn of(&self, block: usize) -> f32 {
        let DynamicCodes { codes, absmax } = &self.scales;
        DYNAMIC_MAP.numbers()[usize::from(codes[block])] * absmax[block / DYNAMIC_BLOCKSIZE] + self.offset
    }
}

impl Absmax {
    /// Of a block.
    fn of(&self, block: usize) -> f32 {
        match self {
            Self::Plain(absmax) => absmax[block],
            Self::Nested(nested) => nested.of(block),
        }
    }

    /// Whether these are the scales of so many blocks.
    fn fits(&self, blocks: usize) -> bool {
        match self {
            Self::Plain(absmax) => absmax.len() == blocks,
            Self::Nested(nested) => nested.scales.fits(blocks),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Plain(absmax) => size_of_val(absmax.as_slice()),
            Self::Nested(NestedAbsmax { scales, .. }) => {
                scales.codes.len() + size_of_val(scales.absmax.as_slice())
            }
        }
    }
}

/// Quantises numbers that come piece by piece.
pub struct FourBitQuantiser {
    quant_type: FourBitType,
    nested: bool,
    codes: Vec<u8>,
    absmax: Vec<f32>,
    len: usize,
    /// The beginning of a block.
    rest: Vec<f32>,
}

impl FourBitQuantiser {
    /// Numbers that one thread quantises at a time.
    const PIECE: usize = 256 * FourBit::BLOCKSIZE;

    /// With `nested` the scales are kept in 8 bits.
    pub fn new(quant_type: FourBitType, nested: bool) -> Self {
        Self { quant_type, nested, codes: Vec::new(), absmax: Vec::new(), len: 0, rest: Vec::new() }
    }

    /// Takes the next numbers.
    pub fn push(&mut self, mut numbers: &[f32]) {
        self.len += numbers.len();
        if !self.rest.is_empty() {
            let missing = (FourBit::BLOCKSIZE - self.rest.len()).min(numbers.len());
            self.rest.extend_from_slice(&numbers[..missing]);
            numbers = &numbers[missing..];
            if self.rest.len() == FourBit::BLOCKSIZE {
                let block = std::mem::take(&mut self.rest);
                self.blocks(&block);
            }
        }
        let whole = numbers.len() / FourBit::BLOCKSIZE * FourBit::BLOCKSIZE;
        self.blocks(&numbers[..whole]);
        self.rest.extend_from_slice(&numbers[whole..]);
    }

    /// All that was taken.
    pub fn finish(mut self) -> FourBit {
        let rest = std::mem::take(&mut self.rest);
        self.blocks(&rest);
        let Self { quant_type, nested, codes, absmax, len, .. } = self;
        let absmax =
            if nested { Absmax::Nested(NestedAbsmax::quantise(&absmax)) } else { Absmax::Plain(absmax) };
        FourBit { quant_type, codes, len, blocksize: FourBit::BLOCKSIZE, absmax }
    }

    /// Whole blocks, or the last one.
    fn blocks(&mut self, numbers: &[f32]) {
        let (codes, blocks) = (self.codes.len(), self.absmax.len());
        self.codes.resize(codes + numbers.len().div_ceil(2), 0);
        self.absmax.resize(blocks + numbers.len().div_ceil(FourBit::BLOCKSIZE), 0.0);
        let (order, bounds) = self.quant_type.ordered();
        let arch = Arch::new();
        self.codes[codes..]
            .par_chunks_mut(Self::PIECE / 2)
            .zip(self.absmax[blocks..].par_chunks_mut(Self::PIECE / FourBit::BLOCKSIZE))
            .zip(numbers.par_chunks(Self::PIECE))
            .for_each(|((codes, absmax), numbers)| {
                arch.dispatch(|| {
                    let blocks = codes.chunks_mut(FourBit::BLOCKSIZE / 2).zip(absmax);
                    for ((codes, absmax), numbers) in blocks.zip(numbers.chunks(FourBit::BLOCKSIZE)) {
                        *absmax = quantise_block(numbers, &order, &bounds, codes);
                    }
                });
            });
    }
}

/// Writes the codes of a block, two in a byte, and returns its largest magnitude. A loop over all numbers for each bound,
/// so that it vectorises.
#[inline(always)]
fn quantise_block(numbers: &[f32], order: &[u8; 16], bounds: &[f32; 15], codes: &mut [u8]) -> f32 {
    let largest = numbers.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
    let mut parts = [0.0_f32; FourBit::BLOCKSIZE];
    for (part, number) in parts.iter_mut().zip(numbers) {
        *part = scaled(*number, largest);
    }
    let mut places = [0_u32; FourBit::BLOCKSIZE];
    for bound in bounds {
        for (place, part) in places.iter_mut().zip(&parts) {
            *place += u32::from(*bound < *part);
        }
    }
    // Behind the last number of a short block stand zeros.
    for (byte, [first, second]) in codes.iter_mut().zip(places.as_chunks::<2>().0) {
        *byte = order[*first as usize] << 4 | order[*second as usize];
    }
    largest
}

impl FourBit {
    /// Numbers with the same scale, as bitsandbytes has it unless told otherwise.
    pub const BLOCKSIZE: usize = 64;

    /// `len` numbers that are codes already, in blocks of `blocksize` (an even number) through all rows.
    ///
    /// # Panics
    /// If there are not as many codes or scales as that takes.
    pub fn new(
        quant_type: FourBitType,
        len: usize,
        codes: Vec<u8>,
        blocksize: usize,
        absmax: Absmax,
    ) -> Self {
        assert!(blocksize > 0 && blocksize.is_multiple_of(2), "whole bytes");
        assert_eq!(codes.len(), len.div_ceil(2), "codes");
        assert!(absmax.fits(len.div_ceil(blocksize)), "scales");
        Self { quant_type, codes, len, blocksize, absmax }
    }

    /// Rounds numbers to codes, in blocks of [`FourBit::BLOCKSIZE`] through all rows; `nested` keeps the scales in 8 bits.
    pub fn quantise(numbers: &[f32], quant_type: FourBitType, nested: bool) -> Self {
        let mut quantiser = FourBitQuantiser::new(quant_type, nested);
        quantiser.push(numbers);
        quantiser.finish()
    }

    /// What the codes mean.
    pub fn quant_type(&self) -> FourBitType {
        self.quant_type
    }

    /// Two codes in a byte, the first in the upper half.
    pub fn codes(&self) -> &[u8] {
        &self.codes
    }

    /// Numbers with one scale.
    pub fn blocksize(&self) -> usize {
        self.blocksize
    }

    /// The scales.
    pub fn absmax(&self) -> &Absmax {
        &self.absmax
    }

    /// Numbers.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks for matrices without numbers")]
    pub fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> usize {
        self.codes.len() + self.absmax.bytes()
    }

    /// Numbers from this place among all on.
    #[inline]
    pub(super) fn read(&self, start: usize, out: &mut [f32]) {
        let pairs = self.quant_type.pairs();
        let (mut at, mut rest) = (start, out);
        while !rest.is_empty() {
            let block = at / self.blocksize;
            let here = ((block + 1) * self.blocksize - at).min(rest.len());
            let (out, others) = rest.split_at_mut(here);
            let scale = self.absmax.of(block);
            if at.is_multiple_of(2) {
                let codes = &self.codes[at / 2..];
                let (whole, last) = out.as_chunks_mut::<2>();
                for (out, byte) in whole.iter_mut().zip(codes) {
                    let [first, second] = pairs[usize::from(*byte)];
                    *out = [first * scale, second * scale];
                }
                if let [last] = last {
                    *last = pairs[usize::from(codes[here / 2])][0] * scale;
                }
            } else {
                for (place, out) in out.iter_mut().enumerate() {
                    let place = at + place;
                    *out = pairs[usize::from(self.codes[place / 2])][place % 2] * scale;
                }
            }
            (at, rest) = (at + here, others);
        }
    }
}
