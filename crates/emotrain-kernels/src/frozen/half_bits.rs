//! 16-bit floats as bits.

/// bfloat16 to f32, exactly.
#[inline(always)]
pub(crate) fn widen_bf16(bits: &[u16], out: &mut [f32]) {
    for (out, bits) in out.iter_mut().zip(bits) {
        *out = f32::from_bits(u32::from(*bits) << 16);
    }
}

/// IEEE half precision to f32, exactly. Without branches, so that it vectorises.
#[inline(always)]
pub(crate) fn widen_f16(bits: &[u16], out: &mut [f32]) {
    /// 2^112: the difference of the exponents' biases.
    const SCALE: f32 = f32::from_bits((112 + 127) << 23);
    for (out, bits) in out.iter_mut().zip(bits) {
        let bits = u32::from(*bits);
        let magnitude = f32::from_bits((bits & 0x7fff) << 13) * SCALE;
        // An infinity or a NaN has the largest exponent in both.
        let special = if bits & 0x7c00 == 0x7c00 { 0xff << 23 } else { 0 };
        *out = f32::from_bits(magnitude.to_bits() | special | (bits & 0x8000) << 16);
    }
}

/// The bits of the nearest bfloat16, ties to even. A NaN stays one.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the upper half of 32 bits")]
pub(crate) fn bf16_bits(number: f32) -> u16 {
    let bits = number.to_bits();
    let nearest = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    (if number.is_nan() { (bits >> 16) | 0x40 } else { nearest }) as u16
}
