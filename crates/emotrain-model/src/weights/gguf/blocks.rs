//! ggml's storage types and their conversion to `f32`.
//!
//! A quantised row is a sequence of blocks. All types here are linear: a value is `scale · code − offset`
//! with a scale per block (`Q4_0`, `Q4_1`, `Q8_0`) or per part of a super-block of 256 values (`Q4_K`,
//! `Q6_K`). Every product is rounded to `f32` in the order of ggml's reference, so that results are equal
//! to the bit.

use half::f16;

use crate::weights::float::FloatType;

/// Values in a super-block of the K types.
const SUPER: usize = 256;

/// How a tensor's values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockType {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q4_1,
    Q8_0,
    Q4K,
    Q6K,
}

/// The other types of ggml, to refuse them by name.
const UNSUPPORTED: &[(u32, &str)] = &[
    (6, "Q5_0"),
    (7, "Q5_1"),
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (13, "Q5_K"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
];

impl BlockType {
    const ALL: [Self; 8] =
        [Self::F32, Self::F16, Self::Bf16, Self::Q4_0, Self::Q4_1, Self::Q8_0, Self::Q4K, Self::Q6K];

    /// The type with ggml's number, or what is wrong with that number.
    pub(super) fn from_number(number: u32) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|block_type| block_type.number() == number);
        found.ok_or_else(|| {
            let name = UNSUPPORTED.iter().find(|(other, _)| *other == number);
            let name = name.map_or_else(|| format!("number {number}"), |(_, name)| (*name).to_owned());
            let supported: Vec<&str> = Self::ALL.into_iter().map(Self::name).collect();
            format!("type {name} is not supported (supported: {})", supported.join(", "))
        })
    }

    fn number(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q8_0 => 8,
            Self::Q4K => 12,
            Self::Q6K => 14,
            Self::Bf16 => 30,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q8_0 => "Q8_0",
            Self::Q4K => "Q4_K",
            Self::Q6K => "Q6_K",
        }
    }

    pub(super) fn values_per_block(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q8_0 => 32,
            Self::Q4K | Self::Q6K => SUPER,
        }
    }

    pub(super) fn bytes_per_block(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q6K => 210,
        }
    }

    /// Bytes of `values` values, a whole number of blocks.
    pub(super) fn bytes(self, values: usize) -> usize {
        values / self.values_per_block() * self.bytes_per_block()
    }

    /// Converts whole blocks: `bytes` holds exactly the blocks of `values`.
    pub(super) fn dequantise(self, bytes: &[u8], values: &mut [f32]) {
        match self {
            Self::F32 => FloatType::F32.decode(bytes, values),
            Self::F16 => FloatType::F16.decode(bytes, values),
            Self::Bf16 => FloatType::Bf16.decode(bytes, values),
            Self::Q4_0 => blocks::<18, 32>(bytes, values, q4_0),
            Self::Q4_1 => blocks::<20, 32>(bytes, values, q4_1),
            Self::Q8_0 => blocks::<34, 32>(bytes, values, q8_0),
            Self::Q4K => blocks::<144, SUPER>(bytes, values, q4_k),
            Self::Q6K => blocks::<210, SUPER>(bytes, values, q6_k),
        }
    }
}

fn blocks<const BYTES: usize, const VALUES: usize>(
    bytes: &[u8],
    values: &mut [f32],
    convert: impl Fn(&[u8; BYTES], &mut [f32; VALUES]),
) {
    let (blocks, _) = bytes.as_chunks::<BYTES>();
    let (targets, _) = values.as_chunks_mut::<VALUES>();
    for (block, target) in blocks.iter().zip(targets) {
        convert(block, target);
    }
}

/// The half-precision number at `at`.
fn half(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Scale, then 16 bytes: the low nibbles are values 0 to 15, the high ones 16 to 31; codes are from −8.
fn q4_0(block: &[u8; 18], values: &mut [f32; 32]) {
    let scale = half(block, 0);
    for (place, code) in block[2..].iter().enumerate() {
        values[place] = scale * (f32::from(code & 15) - 8.0);
        values[place + 16] = scale * (f32::from(code >> 4) - 8.0);
    }
}

/// Scale and minimum, then nibbles as in `Q4_0`; codes are from 0.
fn q4_1(block: &[u8; 20], values: &mut [f32; 32]) {
    let (scale, minimum) = (half(block, 0), half(block, 2));
    for (place, code) in block[4..].iter().enumerate() {
        values[place] = scale * f32::from(code & 15) + minimum;
        values[place + 16] = scale * f32::from(code >> 4) + minimum;
    }
}

/// Scale, then 32 signed bytes.
fn q8_0(block: &[u8; 34], values: &mut [f32; 32]) {
    let scale = half(block, 0);
    for (value, code) in values.iter_mut().zip(&block[2..]) {
        *value = scale * f32::from(code.cast_signed());
    }
}

/// Two half-precision factors, 12 bytes with eight 6-bit scales and minima, 128 bytes of nibbles. Each run
/// of 32 bytes holds two parts of 32 values: its low nibbles, then its high ones.
fn q4_k(block: &[u8; 144], values: &mut [f32; SUPER]) {
    let (scale_factor, minimum_factor) = (half(block, 0), half(block, 2));
    let packed = &block[4..16];
    let codes = &block[16..];
    for (part, target) in values.chunks_exact_mut(32).enumerate() {
        let (scale, minimum) = q4_k_part(packed, part);
        let scale = scale_factor * f32::from(scale);
        let minimum = minimum_factor * f32::from(minimum);
        let shift = 4 * (part % 2);
        for (value, code) in target.iter_mut().zip(&codes[part / 2 * 32..]) {
            *value = scale * f32::from((code >> shift) & 15) - minimum;
        }
    }
}

/// The scale and minimum of one of eight parts. Those of the first four are the low six bits of bytes 0 to
/// 7; the others are spread over a nibble of bytes 8 to 11 and the high two bits of bytes 0 to 7.
fn q4_k_part(packed: &[u8], part: usize) -> (u8, u8) {
    if part < 4 {
        return (packed[part] & 63, packed[part + 4] & 63);
    }
    let scale = (packed[part + 4] & 15) | (packed[part - 4] >> 6 << 4);
    let minimum = (packed[part + 4] >> 4) | (packed[part] >> 6 << 4);
    (scale, minimum)
}

/// 128 bytes with the low four bits, 64 with the high two, 16 signed scales, one half-precision factor.
/// Each half of the block is four runs of 32 values: the runs share 64 bytes of low bits (nibble and
/// 32-byte half) and 32 bytes of high bits (two bits each).
fn q6_k(block: &[u8; 210], values: &mut [f32; SUPER]) {
    let (low, rest) = block.split_at(128);
    let (high, scales) = rest.split_at(64);
    let factor = half(block, 208);
    for (run, target) in values.chunks_exact_mut(32).enumerate() {
        let (half, quarter) = (run / 4, run % 4);
        let low = &low[half * 64 + quarter % 2 * 32..][..32];
        let high = &high[half * 32..][..32];
        for (place, value) in target.iter_mut().enumerate() {
            let scale = factor * f32::from(scales[run * 2 + place / 16].cast_signed());
            let low_bits = (low[place] >> (4 * (quarter / 2))) & 15;
            let high_bits = (high[place] >> (2 * quarter)) & 3;
            *value = scale * (f32::from(low_bits | high_bits << 4) - 32.0);
        }
    }
}
