//! `f32` → ggml's storage types, in the arithmetic of its reference quantisers, so that files are those of llama.cpp
//! (`quantize_row_q8_0_ref`, `quantize_row_q4_K_ref` and `make_qkx2_quants` of `ggml-quants.c`).

use half::f16;

use crate::float::FloatType;
use crate::weights::gguf::blocks::BlockType;

/// Values in a super-block, and in each of its parts.
const SUPER: usize = 256;
const PART: usize = 32;

/// Largest code of four bits, largest scale of six.
const MOST_CODE: f32 = 15.0;
const MOST_SCALE: f32 = 63.0;

/// Fills `bytes` with the blocks of `values`.
///
/// # Panics
/// For a type that is only read.
pub(super) fn quantise(block_type: BlockType, values: &[f32], bytes: &mut [u8]) {
    match block_type {
        BlockType::F32 => bytes.copy_from_slice(&FloatType::F32.encode(values)),
        BlockType::F16 => bytes.copy_from_slice(&FloatType::F16.encode(values)),
        BlockType::Bf16 => bytes.copy_from_slice(&FloatType::Bf16.encode(values)),
        BlockType::Q8_0 => blocks::<PART, 34>(values, bytes, q8_0),
        BlockType::Q4K => blocks::<SUPER, 144>(values, bytes, q4_k),
        BlockType::Q4_0
        | BlockType::Q4_1
        | BlockType::Q5_0
        | BlockType::Q5_1
        | BlockType::Q2K
        | BlockType::Q3K
        | BlockType::Q5K
        | BlockType::Q6K
        | BlockType::Iq4Nl
        | BlockType::Iq4Xs => panic!("{} is only read", block_type.name()),
    }
}

/// The first of the values that is not finite in a file: itself, or since a factor of its block, of `bytes`, is not.
pub(super) fn misfit(block_type: BlockType, values: &[f32], bytes: &[u8]) -> Option<f32> {
    let (float, factors) = match block_type {
        BlockType::F16 => (FloatType::F16, 0),
        BlockType::Bf16 => (FloatType::Bf16, 0),
        // Bytes of a block's factors in half precision.
        BlockType::Q8_0 => (FloatType::F32, 2),
        BlockType::Q4K => (FloatType::F32, 4),
        BlockType::F32
        | BlockType::Q4_0
        | BlockType::Q4_1
        | BlockType::Q5_0
        | BlockType::Q5_1
        | BlockType::Q2K
        | BlockType::Q3K
        | BlockType::Q5K
        | BlockType::Q6K
        | BlockType::Iq4Nl
        | BlockType::Iq4Xs => (FloatType::F32, 0),
    };
    let is_finite = |factor: &[u8; 2]| f16::from_le_bytes(*factor).is_finite();
    let blocks = values
        .chunks_exact(block_type.values_per_block())
        .zip(bytes.chunks_exact(block_type.bytes_per_block()));
    let mut lost = blocks.filter(|(_, bytes)| !bytes[..factors].as_chunks().0.iter().all(is_finite));
    let largest =
        |values: &[f32]| values.iter().copied().max_by(|one, other| one.abs().total_cmp(&other.abs()));
    float.misfit(values).or_else(|| largest(lost.next()?.0))
}

fn blocks<const VALUES: usize, const BYTES: usize>(
    values: &[f32],
    bytes: &mut [u8],
    convert: impl Fn(&[f32; VALUES], &mut [u8; BYTES]),
) {
    let (blocks, _) = values.as_chunks::<VALUES>();
    let (targets, _) = bytes.as_chunks_mut::<BYTES>();
    for (block, target) in blocks.iter().zip(targets) {
        convert(block, target);
    }
}

/// Scale, then 32 signed bytes, rounded half away from zero.
fn q8_0(values: &[f32; PART], bytes: &mut [u8; 34]) {
    let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let scale = largest / 127.0;
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    bytes[..2].copy_from_slice(&f16::from_f32(scale).to_le_bytes());
    for (byte, value) in bytes[2..].iter_mut().zip(values) {
        #[expect(clippy::cast_possible_truncation, reason = "between -127 and 127")]
        let code = (value * inverse).round() as i8;
        *byte = code.cast_unsigned();
    }
}

/// A linear code of a part: a value is about `scale · code − minimum`.
struct Fit {
    scale: f32,
    minimum: f32,
    codes: [f32; PART],
}

/// Two half-precision factors, the parts' six-bit scales and minima, and four-bit codes of values.
fn q4_k(values: &[f32; SUPER], bytes: &mut [u8; 144]) {
    let (parts, _) = values.as_chunks::<PART>();
    let fits: Vec<Fit> = parts.iter().map(fit).collect();
    let larger = |most: f32, number: f32| if number > most { number } else { most };
    let largest = |number: fn(&Fit) -> f32| fits.iter().map(number).fold(0.0_f32, larger);
    let (most_scale, most_minimum) = (largest(|fit| fit.scale), largest(|fit| fit.minimum));
    let six_bits = |number: f32, most: f32| {
        let inverse = if most > 0.0 { MOST_SCALE / most } else { 0.0 };
        nearest(inverse * number, MOST_SCALE)
    };
    let factors = [most_scale, most_minimum].map(|most| f16::from_f32(most / MOST_SCALE));
    bytes[..2].copy_from_slice(&factors[0].to_le_bytes());
    bytes[2..4].copy_from_slice(&factors[1].to_le_bytes());
    bytes[4..].fill(0);
    let (packed, codes) = bytes[4..].split_at_mut(12);
    for (part, (values, fit)) in parts.iter().zip(&fits).enumerate() {
        let (scale, minimum) = (six_bits(fit.scale, most_scale), six_bits(fit.minimum, most_minimum));
        pack(packed, part, [scale, minimum]);
        let scale = factors[0].to_f32() * f32::from(scale);
        let minimum = factors[1].to_f32() * f32::from(minimum);
        for ((byte, value), code) in codes[part / 2 * PART..].iter_mut().zip(values).zip(&fit.codes) {
            // Where the scale was lost to rounding the codes say nothing, and are those of the search.
            let code = if scale == 0.0 { *code } else { (value + minimum) / scale };
            *byte |= nearest(code, MOST_CODE) << (4 * (part % 2));
        }
    }
}

/// Where the decoder looks for them: those of the first four parts in the low six bits of bytes 0 to 7, of the others
/// four bits each in bytes 8 to 11 and the other two in the high bits of bytes 0 to 7.
fn pack(packed: &mut [u8], part: usize, [scale, minimum]: [u8; 2]) {
    if part < 4 {
        packed[part] |= scale;
        packed[part + 4] |= minimum;
    } else {
        packed[part + 4] = scale & 15 | (minimum & 15) << 4;
        packed[part - 4] |= scale >> 4 << 6;
        packed[part] |= minimum >> 4 << 6;
    }
}

/// The nearest whole number from 0 to `most`, even in a tie.
fn nearest(number: f32, most: f32) -> u8 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 63")]
    let whole = number.round_ties_even().clamp(0.0, most) as u8;
    whole
}

/// The sums over a part that a fit by weighted least squares needs.
struct Part<'a> {
    values: &'a [f32; PART],
    weights: [f32; PART],
    weight: f32,
    weighted: f32,
}

impl Part<'_> {
    /// The codes when the part is stretched by `inverse` from `least`.
    fn codes(&self, inverse: f32, least: f32) -> [f32; PART] {
        self.values.map(|value| f32::from(nearest(inverse * (value - least), MOST_CODE)))
    }

    /// Weighted squares of what `fit` leaves.
    fn error(&self, fit: &Fit) -> f32 {
        let left =
            fit.codes.iter().zip(self.values).map(|(code, value)| fit.scale * code - fit.minimum - value);
        left.zip(&self.weights).fold(0.0, |sum, (left, weight)| sum + weight * (left * left))
    }

    /// The scale and minimum of least error for given codes; the minimum takes away or is 0.
    fn solved(&self, codes: [f32; PART]) -> Option<Fit> {
        let (mut sum, mut squares, mut products) = (0.0, 0.0, 0.0);
        for ((code, value), weight) in codes.iter().zip(self.values).zip(&self.weights) {
            sum += weight * code;
            squares += weight * code * code;
            products += weight * code * value;
        }
        let determinant = self.weight * squares - sum * sum;
        if determinant <= 0.0 {
            return None;
        }
        let scale = (self.weight * products - self.weighted * sum) / determinant;
        let minimum = (squares * self.weighted - sum * products) / determinant;
        Some(if minimum > 0.0 {
            Fit { scale: products / squares, minimum: 0.0, codes }
        } else {
            Fit { scale, minimum: -minimum, codes }
        })
    }
}

/// The best of 21 stretches of a part, each with the scale and minimum that fit its codes best; large values weigh
/// more. A stretch starts from the best minimum so far.
fn fit(values: &[f32; PART]) -> Fit {
    const TRIES: u8 = 20;
    let squares = values.iter().fold(0.0, |sum, value| sum + value * value);
    let typical = (squares / PART as f32).sqrt();
    let weights = values.map(|value| typical + value.abs());
    let least = values.iter().copied().fold(f32::INFINITY, f32::min).min(0.0);
    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if most <= least {
        return Fit { scale: 0.0, minimum: -least, codes: [0.0; PART] };
    }
    let weight = weights.iter().fold(0.0, |sum, weight| sum + weight);
    let weighted = values.iter().zip(&weights).fold(0.0, |sum, (value, weight)| sum + weight * value);
    let part = Part { values, weights, weight, weighted };
    let inverse = MOST_CODE / (most - least);
    let mut best = Fit { scale: 1.0 / inverse, minimum: -least, codes: part.codes(inverse, least) };
    let mut best_error = part.error(&best);
    for step in 0..=TRIES {
        let least = -best.minimum;
        let codes = part.codes((-1.0 + 0.1 * f32::from(step) + MOST_CODE) / (most - least), least);
        let Some(fit) = part.solved(codes) else { continue };
        let error = part.error(&fit);
        if error < best_error {
            (best, best_error) = (fit, error);
        }
    }
    best
}
