//! ggml's storage types and their conversion to `f32`.
//!
//! A quantised row is a sequence of blocks. Nearly all types here are linear: a value is `scale · code − offset`
//! with a scale per block of 32 values or per part of a super-block of 256 (the K types); the codes of the IQ types
//! stand for numbers of a table. Every product is rounded to `f32` in the order of ggml's reference, so that results are equal
//! to the bit.

use half::f16;

use crate::float::FloatType;

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
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
    Iq4Nl,
    Iq4Xs,
}

/// ggml's number and name of a type, values and bytes of a block, and the bits of significand of the float whose rounding
/// errors are as large.
///
/// Of `n` normally distributed weights with a common scale, codes of `b` bits are uniform over their range (4.1 standard
/// deviations for 32 weights). The root mean square of the error is `range / (2^b · √12)`. That of a float with `s` bits is
/// `0.42 / 2^s`. They are equal for `s` between `b − 2` and `b − 1.5`: here it is `b − 2`, the larger error.
struct Facts(u32, &'static str, usize, usize, i32);

/// The other types of ggml, to refuse them by name.
const UNSUPPORTED: &[(u32, &str)] = &[
    (4, "Q4_2"),
    (5, "Q4_3"),
    (9, "Q8_1"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (31, "Q4_0_4_4"),
    (32, "Q4_0_4_8"),
    (33, "Q4_0_8_8"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
];

impl BlockType {
    /// The float type that this is, of a type that is not quantised.
    pub(super) fn float_type(self) -> Option<FloatType> {
        [(Self::F32, FloatType::F32), (Self::F16, FloatType::F16), (Self::Bf16, FloatType::Bf16)]
            .into_iter()
            .find_map(|(block, float)| (block == self).then_some(float))
    }

    const ALL: [Self; 15] = [
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2K,
        Self::Q3K,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
        Self::Iq4Nl,
        Self::Iq4Xs,
    ];

    /// The type with ggml's number, or what is wrong with that number and what to do.
    pub(super) fn from_number(number: u32) -> Result<Self, (String, String)> {
        let found = Self::ALL.into_iter().find(|block_type| block_type.facts().0 == number);
        found.ok_or_else(|| {
            let name = UNSUPPORTED.iter().find(|(other, _)| *other == number);
            let name = name.map_or_else(|| format!("number {number}"), |(_, name)| (*name).to_owned());
            let supported: Vec<&str> = Self::ALL.into_iter().map(Self::name).collect();
            let hint = format!(
                "download the model in one of {}, or make it with llama.cpp's llama-quantize",
                supported.join(", ")
            );
            (format!("type {name} is not supported"), hint)
        })
    }

    fn facts(self) -> Facts {
        match self {
            Self::F32 => Facts(0, "F32", 1, 4, 24),
            Self::F16 => Facts(1, "F16", 1, 2, 11),
            Self::Q4_0 => Facts(2, "Q4_0", 32, 18, 2),
            Self::Q4_1 => Facts(3, "Q4_1", 32, 20, 2),
            Self::Q5_0 => Facts(6, "Q5_0", 32, 22, 3),
            Self::Q5_1 => Facts(7, "Q5_1", 32, 24, 3),
            Self::Q8_0 => Facts(8, "Q8_0", 32, 34, 6),
            Self::Q2K => Facts(10, "Q2_K", SUPER, 84, 0),
            Self::Q3K => Facts(11, "Q3_K", SUPER, 110, 1),
            Self::Q4K => Facts(12, "Q4_K", SUPER, 144, 2),
            Self::Q5K => Facts(13, "Q5_K", SUPER, 176, 3),
            Self::Q6K => Facts(14, "Q6_K", SUPER, 210, 4),
            Self::Iq4Nl => Facts(20, "IQ4_NL", 32, 18, 2),
            Self::Iq4Xs => Facts(23, "IQ4_XS", SUPER, 136, 2),
            Self::Bf16 => Facts(30, "BF16", 1, 2, 8),
        }
    }

    /// ggml's number.
    pub(super) fn number(self) -> u32 {
        self.facts().0
    }

    pub(super) fn name(self) -> &'static str {
        self.facts().1
    }

    /// How exactly weights are stored, in bits of a float's significand.
    pub(super) fn significand_bits(self) -> i32 {
        self.facts().4
    }

    pub(super) fn values_per_block(self) -> usize {
        self.facts().2
    }

    pub(super) fn bytes_per_block(self) -> usize {
        self.facts().3
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
            Self::Q5_0 => blocks::<22, 32>(bytes, values, q5_0),
            Self::Q5_1 => blocks::<24, 32>(bytes, values, q5_1),
            Self::Q8_0 => blocks::<34, 32>(bytes, values, q8_0),
            Self::Q2K => blocks::<84, SUPER>(bytes, values, q2_k),
            Self::Q3K => blocks::<110, SUPER>(bytes, values, q3_k),
            Self::Q4K => blocks::<144, SUPER>(bytes, values, q4_k),
            Self::Q5K => blocks::<176, SUPER>(bytes, values, q5_k),
            Self::Q6K => blocks::<210, SUPER>(bytes, values, q6_k),
            Self::Iq4Nl => blocks::<18, 32>(bytes, values, iq4_nl),
            Self::Iq4Xs => blocks::<136, SUPER>(bytes, values, iq4_xs),
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

/// The fifth bit of a value's code: one of 32 in four bytes.
fn fifth_bit(bytes: &[u8], place: usize) -> u8 {
    (bytes[place / 8] >> (place % 8) & 1) << 4
}

/// Scale, four bytes with the codes' fifth bits, then nibbles as in `Q4_0`; codes are from −16.
fn q5_0(block: &[u8; 22], values: &mut [f32; 32]) {
    let scale = half(block, 0);
    let high = &block[2..6];
    for (place, code) in block[6..].iter().enumerate() {
        values[place] = scale * (f32::from(code & 15 | fifth_bit(high, place)) - 16.0);
        values[place + 16] = scale * (f32::from(code >> 4 | fifth_bit(high, place + 16)) - 16.0);
    }
}

/// Scale and minimum, then codes as in `Q5_0`, from 0.
fn q5_1(block: &[u8; 24], values: &mut [f32; 32]) {
    let (scale, minimum) = (half(block, 0), half(block, 2));
    let high = &block[4..8];
    for (place, code) in block[8..].iter().enumerate() {
        values[place] = scale * f32::from(code & 15 | fifth_bit(high, place)) + minimum;
        values[place + 16] = scale * f32::from(code >> 4 | fifth_bit(high, place + 16)) + minimum;
    }
}

/// Scale, then 32 signed bytes.
fn q8_0(block: &[u8; 34], values: &mut [f32; 32]) {
    let scale = half(block, 0);
    for (value, code) in values.iter_mut().zip(&block[2..]) {
        *value = scale * f32::from(code.cast_signed());
    }
}

/// The two bits of a value's code in `Q2_K` and `Q3_K`: each half of the block has 32 bytes, in which the four runs of
/// 32 values share a byte.
fn two_bits(codes: &[u8], place: usize) -> u8 {
    codes[place / 128 * 32 + place % 32] >> (place % 128 / 32 * 2) & 3
}

/// 16 bytes with a nibble for the scale and one for the minimum of each part of 16 values, 64 bytes of codes, two
/// half-precision factors.
fn q2_k(block: &[u8; 84], values: &mut [f32; SUPER]) {
    let (parts, codes) = (&block[..16], &block[16..80]);
    let (scale_factor, minimum_factor) = (half(block, 80), half(block, 82));
    for (place, value) in values.iter_mut().enumerate() {
        let part = parts[place / 16];
        let scale = scale_factor * f32::from(part & 15);
        let minimum = minimum_factor * f32::from(part >> 4);
        *value = scale * f32::from(two_bits(codes, place)) - minimum;
    }
}

/// 32 bytes with the codes' third bits, one for each run of 32 values, 64 bytes with the other two, 12 bytes with 16
/// scales, one half-precision factor. A third bit that is not set takes 4 away.
fn q3_k(block: &[u8; 110], values: &mut [f32; SUPER]) {
    let (third, codes, packed) = (&block[..32], &block[32..96], &block[96..108]);
    let factor = half(block, 108);
    for (place, value) in values.iter_mut().enumerate() {
        let part = place / 16;
        let low = packed[part % 8] >> (part / 8 * 4) & 15;
        let high = packed[8 + part % 4] >> (part / 4 * 2) & 3;
        let scale = factor * (f32::from(low | high << 4) - 32.0);
        let offset = if third[place % 32] >> (place / 32) & 1 == 1 { 0.0 } else { 4.0 };
        *value = scale * (f32::from(two_bits(codes, place)) - offset);
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

/// As `Q4_K`, with 32 bytes of fifth bits before the nibbles: a byte has those of one place in all eight parts.
fn q5_k(block: &[u8; 176], values: &mut [f32; SUPER]) {
    let (scale_factor, minimum_factor) = (half(block, 0), half(block, 2));
    let (packed, high, codes) = (&block[4..16], &block[16..48], &block[48..]);
    for (part, target) in values.chunks_exact_mut(32).enumerate() {
        let (scale, minimum) = q4_k_part(packed, part);
        let scale = scale_factor * f32::from(scale);
        let minimum = minimum_factor * f32::from(minimum);
        let shift = 4 * (part % 2);
        for (place, value) in target.iter_mut().enumerate() {
            let low = codes[part / 2 * 32 + place] >> shift & 15;
            let fifth = (high[place] >> part & 1) << 4;
            *value = scale * f32::from(low | fifth) - minimum;
        }
    }
}

/// What the codes of `IQ4_NL` and `IQ4_XS` stand for.
const NOT_LINEAR: [f32; 16] =
    [-127., -104., -83., -65., -49., -35., -22., -10., 1., 13., 25., 38., 53., 69., 89., 113.];

/// Scale, then nibbles as in `Q4_0`.
fn iq4_nl(block: &[u8; 18], values: &mut [f32; 32]) {
    let scale = half(block, 0);
    for (place, code) in block[2..].iter().enumerate() {
        values[place] = scale * NOT_LINEAR[usize::from(code & 15)];
        values[place + 16] = scale * NOT_LINEAR[usize::from(code >> 4)];
    }
}

/// One half-precision factor, two bytes with the high two bits of eight scales, four with their low nibbles, then the
/// nibbles of each part of 32 values as in `Q4_0`.
fn iq4_xs(block: &[u8; 136], values: &mut [f32; SUPER]) {
    let factor = half(block, 0);
    let (high, low, codes) = (u16::from_le_bytes([block[2], block[3]]), &block[4..8], &block[8..]);
    for (part, target) in values.chunks_exact_mut(32).enumerate() {
        let low = low[part / 2] >> (part % 2 * 4) & 15;
        let high = (high >> (2 * part) & 3) as u8;
        let scale = factor * (f32::from(low | high << 4) - 32.0);
        let (first, second) = target.split_at_mut(16);
        for ((first, second), code) in first.iter_mut().zip(second).zip(&codes[part * 16..]) {
            *first = scale * NOT_LINEAR[usize::from(code & 15)];
            *second = scale * NOT_LINEAR[usize::from(code >> 4)];
        }
    }
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
