//! The weights of a folder in which matrices may be codes in bitsandbytes' form, as transformers saves a quantised model.
//!
//! Beside the codes under the name of a weight stand the parts of their scales: of 4 bits `absmax`, `quant_map` and a
//! `quant_state` in JSON, for double quantisation `nested_absmax` and `nested_quant_map` too
//! (`bitsandbytes/functional.py`, `QuantState.as_dict`); of 8 bits `SCB` and `weight_format` beside the weight
//! (`bitsandbytes/nn/modules.py`, `Linear8bitLt`). Parts of a matrix may lie in different shards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use emotrain_kernels::{
    Absmax, DYNAMIC_BLOCKSIZE, DYNAMIC_MAP, DynamicCodes, FourBit, FourBitType, FrozenMatrix, Int8Rows,
    NestedAbsmax, Numbers,
};
use serde::Deserialize;

use super::folder::Shards;
use super::opened::in_pieces;
use crate::error::ModelError;
use crate::float::FloatType;

/// Between a weight's name and the type of its codes.
pub(crate) const STATE: &str = ".quant_state.bitsandbytes__";
/// Behind the path of a module of 8 bits.
pub(crate) const ROW_SCALES: &str = ".SCB";
/// The layout of 8-bit codes.
pub(crate) const LAYOUT: &str = ".weight_format";

/// Numbers of a map of codes end in other bits on other CPUs.
const MAP_TOLERANCE: f32 = 1e-6;

/// A model's weights.
#[derive(Debug)]
pub(super) struct FolderWeights {
    shards: Shards,
    /// Matrices of codes, by the names of their weights.
    coded: BTreeMap<String, CodedMatrix>,
    /// The names of their parts.
    parts: BTreeSet<String>,
}

#[derive(Debug)]
struct CodedMatrix {
    shape: Vec<usize>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    FourBit {
        quant_type: FourBitType,
        blocksize: usize,
        /// Of double quantisation: what is added to every scale.
        offset: Option<f32>,
    },
    Int8,
}

/// What is not a tensor of `QuantState.as_dict`.
#[derive(Deserialize)]
struct State {
    quant_type: String,
    blocksize: usize,
    shape: Vec<usize>,
    nested_blocksize: Option<usize>,
    nested_offset: Option<f32>,
}

impl FolderWeights {
    pub(super) fn open(folder: &Path) -> Result<Self, ModelError> {
        let shards = Shards::open_any(folder)?;
        let mut weights = Self { shards, coded: BTreeMap::new(), parts: BTreeSet::new() };
        let names: Vec<String> = weights.shards.names().map(str::to_owned).collect();
        for name in &names {
            if let Some((weight, kind)) = name.split_once(STATE) {
                weights.four_bit(weight, kind)?;
            } else if let Some(path) = name.strip_suffix(ROW_SCALES) {
                weights.eight_bit(path)?;
            }
        }
        weights
            .shards
            .check_floats(|name| weights.coded.contains_key(name) || weights.parts.contains(name))?;
        Ok(weights)
    }

    /// Checks the parts of a matrix of 4 bits, as far as their headers say.
    fn four_bit(&mut self, weight: &str, kind: &str) -> Result<(), ModelError> {
        let part = |name: &str| format!("{weight}.{name}");
        let state_name = format!("{weight}{STATE}{kind}");
        let wrong = |message: String| Err(self.wrong(&state_name, message));
        let state: State = match serde_json::from_slice(&self.shards.bytes(&state_name)?) {
            Ok(state) => state,
            Err(error) => return wrong(format!("not a state of bitsandbytes: {error}")),
        };
        let quant_type = match kind {
            "nf4" => FourBitType::Nf4,
            "fp4" => FourBitType::Fp4,
            other => return wrong(format!("codes of type \"{other}\" (supported: nf4, fp4)")),
        };
        let State { blocksize, shape, nested_blocksize, nested_offset, .. } = state;
        if state.quant_type != kind {
            return wrong(format!("quant_type is \"{}\"", state.quant_type));
        }
        let numbers = shape.iter().try_fold(1_usize, |all, size| all.checked_mul(*size));
        let Some(numbers) = numbers.filter(|numbers| shape.len() == 2 && *numbers > 0) else {
            return wrong(format!("shape {shape:?} is that of no matrix"));
        };
        if !(blocksize.is_power_of_two() && (32..=4096).contains(&blocksize)) {
            return wrong(format!("blocks of {blocksize} numbers"));
        }
        if nested_blocksize.is_some_and(|size| size != DYNAMIC_BLOCKSIZE) {
            return wrong(format!("blocks of {} scales", nested_blocksize.unwrap_or_default()));
        }
        let blocks = numbers.div_ceil(blocksize);
        self.check_bytes(weight, None, numbers.div_ceil(2))?;
        self.check_map(&part("quant_map"), quant_type.numbers())?;
        let mut parts = vec![state_name.clone(), part("absmax"), part("quant_map")];
        if nested_offset.is_some() {
            self.check_bytes(&part("absmax"), Some("U8"), blocks)?;
            let scales = blocks.div_ceil(DYNAMIC_BLOCKSIZE);
            self.check_bytes(&part("nested_absmax"), Some("F32"), 4 * scales)?;
            self.check_map(&part("nested_quant_map"), DYNAMIC_MAP.numbers())?;
            parts.extend([part("nested_absmax"), part("nested_quant_map")]);
        } else {
            self.check_bytes(&part("absmax"), Some("F32"), 4 * blocks)?;
        }
        self.parts.extend(parts);
        let form = Form::FourBit { quant_type, blocksize, offset: nested_offset };
        self.coded.insert(weight.to_owned(), CodedMatrix { shape, form });
        Ok(())
    }

    /// The same of 8 bits.
    fn eight_bit(&mut self, path: &str) -> Result<(), ModelError> {
        let (weight, scales, layout) =
            (format!("{path}.weight"), format!("{path}{ROW_SCALES}"), format!("{path}{LAYOUT}"));
        let shape = match self.shards.shape(&weight) {
            Some(shape) if shape.len() == 2 => shape.to_vec(),
            Some(shape) => return Err(self.wrong(&weight, format!("shape {shape:?} is that of no matrix"))),
            None => return Err(self.wrong(&weight, "not in any file, but its scales are".to_owned())),
        };
        self.check_bytes(&weight, Some("I8"), shape.iter().product())?;
        self.check_bytes(&scales, Some("F32"), 4 * shape[0])?;
        if self.shards.stored(&layout).is_some() {
            // 0: rows as they are; the others are for matrix products of old GPUs.
            if self.shards.bytes(&layout)? != [0] {
                return Err(self.wrong(&layout, "codes that are not in rows".to_owned()));
            }
            self.parts.insert(layout);
        }
        self.parts.insert(scales);
        self.coded.insert(weight, CodedMatrix { shape, form: Form::Int8 });
        Ok(())
    }

    /// A part is there, has this many bytes and, where it matters, this type.
    fn check_bytes(&self, name: &str, dtype: Option<&str>, expected: usize) -> Result<(), ModelError> {
        let Some((stored, bytes)) = self.shards.stored(name) else {
            return Err(self.wrong(name, "a part of a quantised matrix is not in any file".to_owned()));
        };
        match dtype.filter(|dtype| *dtype != stored) {
            Some(dtype) => Err(self.wrong(name, format!("type {stored} where bitsandbytes has {dtype}"))),
            None if bytes != expected => {
                Err(self.wrong(name, format!("{bytes} bytes where the matrix needs {expected}")))
            }
            None => Ok(()),
        }
    }

    /// Codes mean what they mean here.
    fn check_map(&self, name: &str, expected: &[f32]) -> Result<(), ModelError> {
        self.check_bytes(name, Some("F32"), 4 * expected.len())?;
        let (_, map) = self.shards.tensor(name)?;
        let is_ours = map.iter().zip(expected).all(|(one, other)| (one - other).abs() <= MAP_TOLERANCE);
        if is_ours { Ok(()) } else { Err(self.wrong(name, "codes of another type".to_owned())) }
    }

    fn wrong(&self, name: &str, message: String) -> ModelError {
        ModelError::tensor(self.shards.path(), name, message)
    }

    /// The codes of a matrix that is kept in some; `None` for a tensor of floats.
    pub(super) fn codes(&self, name: &str) -> Result<Option<Numbers>, ModelError> {
        let Some(CodedMatrix { shape, form }) = self.coded.get(name) else { return Ok(None) };
        let codes = self.shards.bytes(name)?;
        let numbers = match form {
            Form::FourBit { quant_type, blocksize, offset } => {
                let absmax = self.absmax(name, *offset)?;
                let len = shape.iter().product();
                Numbers::FourBit(FourBit::new(*quant_type, len, codes, *blocksize, absmax))
            }
            Form::Int8 => {
                let scales = format!("{}{ROW_SCALES}", name.strip_suffix(".weight").unwrap_or(name));
                let codes = codes.into_iter().map(u8::cast_signed).collect();
                Numbers::Int8(Int8Rows { codes, absmax: self.scales(&scales)? })
            }
        };
        Ok(Some(numbers))
    }

    fn absmax(&self, name: &str, offset: Option<f32>) -> Result<Absmax, ModelError> {
        let absmax = format!("{name}.absmax");
        let Some(offset) = offset else { return Ok(Absmax::Plain(self.scales(&absmax)?)) };
        let nested = self.scales(&format!("{name}.nested_absmax"))?;
        let scales = DynamicCodes { codes: self.shards.bytes(&absmax)?, absmax: nested };
        Ok(Absmax::Nested(NestedAbsmax { scales, offset }))
    }

    /// Scales, which are numbers.
    fn scales(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let (_, scales) = self.shards.tensor(name)?;
        match scales.iter().find(|scale| !scale.is_finite()) {
            Some(scale) => Err(self.wrong(name, format!("a scale is {scale}"))),
            None => Ok(scales),
        }
    }

    /// The names of tensors, without those of parts.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.shards.names().filter(|name| !self.parts.contains(*name))
    }

    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.coded.get(name).map(|matrix| matrix.shape.as_slice()).or_else(|| self.shards.shape(name))
    }

    /// Whether any matrix is kept in codes.
    pub(super) fn has_codes(&self) -> bool {
        !self.coded.is_empty()
    }

    /// `None` for codes.
    pub(super) fn float_type(&self, name: &str) -> Option<FloatType> {
        if self.coded.contains_key(name) { None } else { self.shards.float_type(name) }
    }

    /// How exactly a tensor is stored, in bits of a float's significand.
    pub(super) fn significand_bits(&self, name: &str) -> Option<i32> {
        match self.coded.get(name).map(|matrix| &matrix.form) {
            Some(Form::FourBit { .. }) => Some(3),
            Some(Form::Int8) => Some(7),
            None => self.shards.float_type(name).map(FloatType::significand_bits),
        }
    }

    /// Visits the values of a tensor in order, piece by piece; codes as the numbers that they stand for.
    pub(super) fn visit(&self, name: &str, visit: &mut dyn FnMut(&[f32])) -> Result<(), ModelError> {
        let Some(numbers) = self.codes(name)? else { return self.shards.visit(name, visit) };
        let shape = &self.coded[name].shape;
        let matrix = FrozenMatrix::new(shape[1], vec![numbers]);
        let rows = |rows: std::ops::Range<usize>, values: &mut [f32]| {
            let first = rows.start;
            emotrain_kernels::for_rows(values, shape[1], |row, out| matrix.read(first + row, 0, out));
            Ok(())
        };
        in_pieces(shape, rows, visit)
    }

    /// Appends the bits of a tensor of this type; `false` where it is of another one.
    pub(super) fn read_bits(
        &self,
        name: &str,
        float: FloatType,
        bits: &mut Vec<u16>,
    ) -> Result<bool, ModelError> {
        if self.coded.contains_key(name) { Ok(false) } else { self.shards.read_bits(name, float, bits) }
    }

    pub(super) fn tensor(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), ModelError> {
        if !self.coded.contains_key(name) {
            return self.shards.tensor(name);
        }
        let mut values = Vec::new();
        self.visit(name, &mut |piece| values.extend_from_slice(piece))?;
        Ok((self.coded[name].shape.clone(), values))
    }

    /// The folder, or the file when there is only one.
    pub(super) fn path(&self) -> &Path {
        self.shards.path()
    }

    pub(super) fn sha256(&self) -> Result<String, ModelError> {
        self.shards.sha256()
    }
}
