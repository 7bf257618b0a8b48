//! The forms in which the matrices of a base are kept, and how a matrix is brought into its form while it is read: never
//! more of it than a piece is there in full precision.

use std::sync::Arc;

use burn::tensor::{DType, Device};
use emotrain_kernels::{Arithmetic, FourBitQuantiser, FourBitType, FrozenMatrix, Int8Rows, Numbers};
use emotrain_recipe::{ComputeDtype, FourBitQuantType, QuantizationSection};
use half::{bf16, f16};
use rayon::prelude::*;

use crate::coded::Coded;
use crate::codes::{Codes, SavedCodes};
use crate::device::{OpenDevice, computed};
use crate::error::ModelError;
use crate::float::{CHUNK, FloatType};
use crate::weight::{Frozen, Weight};

/// How the matrices of a base are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Storage {
    /// The type of the numbers. On a GPU it is that of the activations too; the CPU computes on f32.
    pub dtype: DType,
    /// Fewer bits for the linear layers of the decoder blocks; embeddings and head keep the type.
    pub quantization: Option<Quantization>,
}

/// Codes in the place of numbers, as bitsandbytes has them.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantization {
    /// What the codes are.
    pub codes: Codes,
    /// In what the products of the CPU multiply (`bnb_4bit_compute_dtype`).
    pub compute: FloatType,
    /// Linear layers that are left as they are (`llm_int8_skip_modules`): names or paths, whole or in part, between dots.
    pub skip_modules: Vec<String>,
}

impl From<DType> for Storage {
    fn from(dtype: DType) -> Self {
        Self { dtype, quantization: None }
    }
}

impl Storage {
    /// What a recipe says of its base.
    ///
    /// # Errors
    /// A type of products that the device does not multiply in.
    pub fn new(on: &OpenDevice, section: &QuantizationSection) -> Result<Self, ModelError> {
        let plain = Self::from(on.dtype);
        let storage = Self::planned(plain.float(), section);
        let compute =
            storage.quantization.as_ref().map_or(plain.float(), |quantization| quantization.compute);
        if !on.is_cpu() && compute != plain.float() {
            let message = format!(
                "quantization.bnb_4bit_compute_dtype = \"{}\": {} computes in model.dtype",
                section.bnb_4bit_compute_dtype, on.name
            );
            let hint = "write bnb_4bit_compute_dtype = \"auto\" under [quantization]".to_owned();
            return Err(ModelError::Device { message, hint });
        }
        Ok(storage)
    }

    /// The same, whatever the device.
    pub fn planned(dtype: FloatType, section: &QuantizationSection) -> Self {
        let compute = match section.bnb_4bit_compute_dtype {
            ComputeDtype::Auto => dtype,
            ComputeDtype::Float32 => FloatType::F32,
            ComputeDtype::Bfloat16 => FloatType::Bf16,
            ComputeDtype::Float16 => FloatType::F16,
        };
        let quant_type = match section.bnb_4bit_quant_type {
            FourBitQuantType::Nf4 => FourBitType::Nf4,
            FourBitQuantType::Fp4 => FourBitType::Fp4,
        };
        let double = section.bnb_4bit_use_double_quant;
        let codes = if section.load_in_8bit { Codes::Int8 } else { Codes::FourBit { quant_type, double } };
        let skip_modules = section.llm_int8_skip_modules.clone();
        let quantization = section.is_on().then_some(Quantization { codes, compute, skip_modules });
        let dtype = match dtype {
            FloatType::F32 => DType::F32,
            FloatType::F16 => DType::F16,
            FloatType::Bf16 => DType::BF16,
        };
        Self { dtype, quantization }
    }

    /// The same of a base that is saved as codes: it stays as it is, and a recipe may say of it what is so.
    ///
    /// # Errors
    /// Codes of another kind.
    pub fn of_saved(self, saved: Option<&SavedCodes>) -> Result<Self, ModelError> {
        let Some(SavedCodes { codes, skip_modules }) = saved else { return Ok(self) };
        let compute = match &self.quantization {
            Some(stated) if stated.codes != *codes => {
                let (stated, saved) = (stated.codes.described(), codes.described());
                let message = format!("[quantization] says {stated}, but the base is saved in {saved}");
                let hint =
                    "leave the section out, and the base is taken as it is saved; or begin with a base \
                            that is not quantised"
                        .to_owned();
                return Err(ModelError::Storage { message, hint });
            }
            Some(stated) => stated.compute,
            None => self.float(),
        };
        let quantization = Some(Quantization { codes: *codes, compute, skip_modules: skip_modules.clone() });
        Ok(Self { quantization, ..self })
    }

    /// The type of the numbers.
    pub(crate) fn float(&self) -> FloatType {
        if self.dtype == DType::BF16 {
            FloatType::Bf16
        } else if self.dtype == DType::F16 {
            FloatType::F16
        } else {
            FloatType::F32
        }
    }

    /// The type of activations, biases and norms on a device.
    pub(crate) fn computed(&self, device: &Device) -> DType {
        computed(self.dtype, device)
    }

    /// Whether a matrix is a tensor on this device: one whose parts are not packed. They are linear layers of these paths,
    /// embeddings or a head without one.
    pub(crate) fn is_dense(&self, device: &Device, paths: &[Option<&str>]) -> bool {
        let has_codes = paths.iter().flatten().any(|path| self.codes(path).is_some());
        self.dtype == self.computed(device) && !has_codes
    }

    /// In what the products of the CPU multiply.
    pub(crate) fn arithmetic(&self) -> Arithmetic {
        let is_bf16 = match &self.quantization {
            Some(quantization) => quantization.compute == FloatType::Bf16,
            None => self.dtype == DType::BF16,
        };
        if is_bf16 { Arithmetic::Bf16 } else { Arithmetic::F32 }
    }

    /// The codes of the linear layer of this path, if it is quantised.
    pub(crate) fn codes(&self, path: &str) -> Option<Codes> {
        let quantization = self.quantization.as_ref().filter(|quantization| !quantization.skips(path));
        quantization.map(|quantization| quantization.codes)
    }

    /// An empty part of a matrix, for the linear layer of this path (`None`: for embeddings or a head).
    pub(crate) fn part(&self, path: Option<&str>, width: usize) -> PartBuilder {
        let numbers = match path.and_then(|path| self.codes(path)) {
            Some(codes) => return PartBuilder::of_codes(codes, width, self.float()),
            None if self.dtype == DType::BF16 => Filling::Bf16(Vec::new()),
            None if self.dtype == DType::F16 => Filling::F16(Vec::new()),
            None => Filling::F32(Vec::new()),
        };
        PartBuilder { numbers, width, rounding: self.float() }
    }

    /// A matrix of these parts on a device.
    pub(crate) fn weight(&self, parts: Vec<Numbers>, width: usize, device: &Device) -> Weight {
        let matrix = FrozenMatrix::new(width, parts);
        if self.computed(device) == DType::F32 && *device == Device::flex() {
            return Weight::Frozen(Frozen { matrix: Arc::new(matrix), arithmetic: self.arithmetic() });
        }
        Weight::Coded(Coded::new(&matrix, device, self.computed(device)))
    }
}

impl Quantization {
    fn skips(&self, path: &str) -> bool {
        let path = format!(".{path}.");
        self.skip_modules.iter().any(|name| path.contains(&format!(".{name}.")))
    }
}

/// Neighbouring rows of a matrix that is being read.
pub(crate) struct PartBuilder {
    numbers: Filling,
    width: usize,
    /// The type to which numbers are rounded before they become codes.
    rounding: FloatType,
}

enum Filling {
    F32(Vec<f32>),
    Bf16(Vec<u16>),
    F16(Vec<u16>),
    FourBit(FourBitQuantiser),
    Int8(Int8Rows),
}

impl PartBuilder {
    /// An empty part of a matrix of codes, whose numbers are rounded before.
    pub(crate) fn of_codes(codes: Codes, width: usize, rounding: FloatType) -> Self {
        let numbers = match codes {
            Codes::FourBit { quant_type, double } => {
                Filling::FourBit(FourBitQuantiser::new(quant_type, double))
            }
            Codes::Int8 => Filling::Int8(Int8Rows { codes: Vec::new(), absmax: Vec::new() }),
        };
        Self { numbers, width, rounding }
    }

    /// Takes the next rows.
    pub(crate) fn push(&mut self, rows: &[f32]) {
        match &mut self.numbers {
            Filling::F32(numbers) => numbers.extend_from_slice(rows),
            Filling::Bf16(bits) => extend(bits, rows, |number| bf16::from_f32(number).to_bits()),
            Filling::F16(bits) => extend(bits, rows, |number| f16::from_f32(number).to_bits()),
            Filling::FourBit(quantiser) => quantiser.push(&rounded(rows, self.rounding)),
            Filling::Int8(all) => {
                let Int8Rows { codes, absmax } =
                    Int8Rows::quantise(&rounded(rows, self.rounding), self.width);
                all.codes.extend(codes);
                all.absmax.extend(absmax);
            }
        }
    }

    /// The bits of the rows and their type, where they are kept in 16 bits; more may be appended.
    pub(crate) fn half(&mut self) -> Option<(FloatType, &mut Vec<u16>)> {
        match &mut self.numbers {
            Filling::Bf16(bits) => Some((FloatType::Bf16, bits)),
            Filling::F16(bits) => Some((FloatType::F16, bits)),
            Filling::F32(_) | Filling::FourBit(_) | Filling::Int8(_) => None,
        }
    }

    /// All rows.
    pub(crate) fn finish(self) -> Numbers {
        match self.numbers {
            Filling::F32(numbers) => Numbers::F32(numbers),
            Filling::Bf16(bits) => Numbers::Bf16(bits),
            Filling::F16(bits) => Numbers::F16(bits),
            Filling::FourBit(quantiser) => Numbers::FourBit(quantiser.finish()),
            Filling::Int8(rows) => Numbers::Int8(rows),
        }
    }
}

/// Appends what `of` makes of each number, on all cores.
fn extend<T: Copy + Default + Send>(all: &mut Vec<T>, numbers: &[f32], of: impl Fn(f32) -> T + Sync) {
    let start = all.len();
    all.resize(start + numbers.len(), T::default());
    let chunks = all[start..].par_chunks_mut(CHUNK).zip(numbers.par_chunks(CHUNK));
    chunks.for_each(|(all, numbers)| {
        for (one, number) in all.iter_mut().zip(numbers) {
            *one = of(*number);
        }
    });
}

fn rounded(numbers: &[f32], to: FloatType) -> Vec<f32> {
    let mut rounded = Vec::new();
    match to {
        FloatType::Bf16 => extend(&mut rounded, numbers, |number| bf16::from_f32(number).to_f32()),
        FloatType::F16 => extend(&mut rounded, numbers, |number| f16::from_f32(number).to_f32()),
        FloatType::F32 => extend(&mut rounded, numbers, |number| number),
    }
    rounded
}

#[cfg(test)]
mod tests;
