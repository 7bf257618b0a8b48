//! The float formats in which weights are stored, and their conversion from and to `f32`.

use emotrain_recipe::Dtype;
use half::{bf16, f16};
use rayon::prelude::*;

/// Values converted by one thread at a time.
pub(crate) const CHUNK: usize = 1 << 18;

/// A float format of stored weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FloatType {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of an `f32`.
    Bf16,
}

impl From<Dtype> for FloatType {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::Float32 => Self::F32,
            Dtype::Float16 => Self::F16,
            Dtype::Bfloat16 => Self::Bf16,
        }
    }
}

impl FloatType {
    /// Bytes of one value.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// Bits of the significand, with the one that is not stored.
    pub fn significand_bits(self) -> i32 {
        match self {
            Self::F32 => 24,
            Self::F16 => 11,
            Self::Bf16 => 8,
        }
    }

    /// The name in a safetensors header.
    pub fn safetensors_name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }

    /// The name in a `config.json` (`torch_dtype`).
    pub fn torch_name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
        }
    }

    pub(crate) fn from_safetensors_name(name: &str) -> Option<Self> {
        [Self::F32, Self::F16, Self::Bf16].into_iter().find(|float| float.safetensors_name() == name)
    }

    /// The first value that is no finite number of this type.
    pub(crate) fn misfit(self, values: &[f32]) -> Option<f32> {
        // The first number that rounds to infinity.
        let largest = match self {
            Self::F32 => f32::INFINITY,
            Self::F16 => 65_520.0,
            Self::Bf16 => f32::from_bits(0x7F7F_8000),
        };
        // NaN is not less than anything.
        let fits = |value: &f32| value.abs() < largest;
        values.iter().copied().find(|value| !fits(value))
    }

    /// Little-endian `bytes` to `values`.
    ///
    /// # Panics
    ///
    /// When `bytes` is not exactly as long as `values` needs: callers have checked both.
    pub(crate) fn decode(self, bytes: &[u8], values: &mut [f32]) {
        assert_eq!(bytes.len(), values.len() * self.size(), "lengths are checked where a file is opened");
        match self {
            Self::F32 => from_each::<4>(bytes, values, f32::from_le_bytes),
            Self::F16 => from_each::<2>(bytes, values, |raw| f16::from_le_bytes(raw).to_f32()),
            Self::Bf16 => from_each::<2>(bytes, values, |raw| bf16::from_le_bytes(raw).to_f32()),
        }
    }

    /// `values`, rounded to nearest even, in little-endian order.
    pub(crate) fn encode(self, values: &[f32]) -> Vec<u8> {
        let mut bytes = vec![0; values.len() * self.size()];
        bytes.par_chunks_mut(CHUNK * self.size()).zip(values.par_chunks(CHUNK)).for_each(
            |(bytes, values)| match self {
                Self::F32 => to_each::<4>(values, bytes, f32::to_le_bytes),
                Self::F16 => to_each::<2>(values, bytes, |value| f16::from_f32(value).to_le_bytes()),
                Self::Bf16 => to_each::<2>(values, bytes, |value| bf16::from_f32(value).to_le_bytes()),
            },
        );
        bytes
    }
}

fn from_each<const N: usize>(bytes: &[u8], values: &mut [f32], convert: impl Fn([u8; N]) -> f32) {
    let (chunks, _) = bytes.as_chunks::<N>();
    for (value, chunk) in values.iter_mut().zip(chunks) {
        *value = convert(*chunk);
    }
}

fn to_each<const N: usize>(values: &[f32], bytes: &mut [u8], convert: impl Fn(f32) -> [u8; N]) {
    let (chunks, _) = bytes.as_chunks_mut::<N>();
    for (value, chunk) in values.iter().zip(chunks) {
        *chunk = convert(*value);
    }
}
