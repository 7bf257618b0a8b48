//! A base quantised once, in bitsandbytes' form: codes and the parts of their scales, as transformers saves a quantised
//! model. What is read of it: `weights/bitsandbytes.rs`.

use std::collections::BTreeMap;
use std::path::Path;

use emotrain_kernels::{Absmax, DYNAMIC_BLOCKSIZE, DYNAMIC_MAP, FourBit, FourBitType, Numbers};
use serde_json::json;

use super::hugging_face::{write_config, write_shards};
use super::merged::Merged;
use crate::codes::Codes;
use crate::error::ModelError;
use crate::float::FloatType;
use crate::storage::PartBuilder;
use crate::weights::{
    LAYOUT, ROW_SCALES, STATE, StoredTensor, StoredType, TensorOut, linear_modules, tensor_shapes,
};

/// Bytes of a matrix's state, of which it fills the rest with spaces: its length stands in the header.
const STATE_BYTES: usize = 256;

/// Writes every tensor of `merged` into the existing folder `folder`, the linear layers of blocks as `codes` of numbers
/// rounded to `dtype` and all else as `dtype`, and `config.json`. A file has at most `max_shard_size` bytes of tensors,
/// or one matrix. One matrix of codes is in memory at a time; each is quantised twice, for its scales stand before the
/// codes of all.
///
/// # Errors
/// A base that cannot be read, a file that cannot be written, a weight that overflows `dtype`.
pub fn write_quantised(
    merged: &Merged,
    folder: &Path,
    dtype: FloatType,
    codes: Codes,
    max_shard_size: usize,
) -> Result<(), ModelError> {
    let description = merged.description();
    let layers: Vec<String> = linear_modules(&description.config)
        .into_iter()
        .map(|linear| format!("{}.weight", linear.path))
        .collect();
    let mut quantiser = Quantiser { merged, codes, dtype, of: BTreeMap::new(), last: None };
    let mut groups = Vec::new();
    for (name, shape) in tensor_shapes(&description.config) {
        if !layers.contains(&name) {
            groups.push(vec![StoredTensor { name, shape, stored: StoredType::Float(dtype) }]);
            continue;
        }
        let parts = quantiser.parts(&name, &shape);
        quantiser.of.extend(parts.iter().map(|part| (part.name.clone(), (name.clone(), shape.clone()))));
        groups.push(parts);
    }
    write_shards(folder, groups, max_shard_size, &mut |tensor, out| quantiser.fill(tensor, out))?;
    write_config(description, folder, dtype, Some(codes))
}

/// Gives tensors when their turn comes.
struct Quantiser<'a> {
    merged: &'a Merged<'a>,
    codes: Codes,
    dtype: FloatType,
    /// The weight that a tensor is a part of, with its shape.
    of: BTreeMap<String, (String, Vec<usize>)>,
    /// The matrix that was quantised last.
    last: Option<(String, Numbers)>,
}

impl Quantiser<'_> {
    /// The tensors that a matrix is saved in.
    fn parts(&self, name: &str, shape: &[usize]) -> Vec<StoredTensor> {
        let part =
            |name: String, shape: &[usize], stored| StoredTensor { name, shape: shape.to_vec(), stored };
        let float = StoredType::Float(FloatType::F32);
        match self.codes {
            Codes::Int8 => {
                let path = name.strip_suffix(".weight").unwrap_or(name);
                vec![
                    part(name.to_owned(), shape, StoredType::I8),
                    part(format!("{path}{ROW_SCALES}"), &shape[..1], float),
                    part(format!("{path}{LAYOUT}"), &[], StoredType::U8),
                ]
            }
            Codes::FourBit { quant_type, double } => {
                let numbers: usize = shape.iter().product();
                let blocks = numbers.div_ceil(FourBit::BLOCKSIZE);
                let state = format!("{name}{STATE}{}", quant_type.name());
                let scales = if double { StoredType::U8 } else { float };
                let mut parts = vec![
                    part(name.to_owned(), &[numbers.div_ceil(2), 1], StoredType::U8),
                    part(format!("{name}.absmax"), &[blocks], scales),
                    part(format!("{name}.quant_map"), &[quant_type.numbers().len()], float),
                    part(state, &[STATE_BYTES], StoredType::U8),
                ];
                if double {
                    let nested = blocks.div_ceil(DYNAMIC_BLOCKSIZE);
                    parts.push(part(format!("{name}.nested_absmax"), &[nested], float));
                    parts.push(part(
                        format!("{name}.nested_quant_map"),
                        &[DYNAMIC_MAP.numbers().len()],
                        float,
                    ));
                }
                parts
            }
        }
    }

    fn fill(&mut self, tensor: &StoredTensor, out: &mut TensorOut) -> Result<(), ModelError> {
        let Some((name, shape)) = self.of.get(&tensor.name).cloned() else {
            return self.merged.visit(&tensor.name, &tensor.shape, &mut |piece| out.floats(piece));
        };
        let dtype = self.dtype;
        match self.quantised(&name, &shape)? {
            Numbers::FourBit(matrix) => {
                let part = tensor.name.strip_prefix(&name).unwrap_or_default();
                four_bit(matrix, part, out, || state(matrix, dtype, &shape));
            }
            Numbers::Int8(rows) if tensor.name == name => {
                let bytes: Vec<u8> = rows.codes.iter().map(|code| code.cast_unsigned()).collect();
                out.bytes(&bytes);
            }
            Numbers::Int8(rows) if tensor.name.ends_with(ROW_SCALES) => out.floats(&rows.absmax),
            Numbers::Int8(_) => out.bytes(&[0]),
            Numbers::F32(_) | Numbers::Bf16(_) | Numbers::F16(_) => unreachable!("a matrix of codes"),
        }
        Ok(())
    }

    /// The codes of a matrix.
    fn quantised(&mut self, name: &str, shape: &[usize]) -> Result<&Numbers, ModelError> {
        if self.last.as_ref().is_none_or(|(last, _)| last != name) {
            let mut part = PartBuilder::of_codes(self.codes, shape[1], self.dtype);
            self.merged.visit(name, shape, &mut |piece| part.push(piece))?;
            self.last = Some((name.to_owned(), part.finish()));
        }
        let (_, numbers) = self.last.as_ref().expect("quantised just now");
        Ok(numbers)
    }
}

/// A part of a matrix of 4 bits, by what stands behind the weight's name.
fn four_bit(matrix: &FourBit, part: &str, out: &mut TensorOut, state: impl FnOnce() -> Vec<u8>) {
    match (part, matrix.absmax()) {
        ("", _) => out.bytes(matrix.codes()),
        (".absmax", Absmax::Plain(absmax)) => out.floats(absmax),
        (".absmax", Absmax::Nested(nested)) => out.bytes(&nested.scales.codes),
        (".nested_absmax", Absmax::Nested(nested)) => out.floats(&nested.scales.absmax),
        (".quant_map", _) => out.floats(matrix.quant_type().numbers()),
        (".nested_quant_map", _) => out.floats(DYNAMIC_MAP.numbers()),
        _ => out.bytes(&state()),
    }
}

/// `quant_state`, filled with spaces.
fn state(matrix: &FourBit, dtype: FloatType, shape: &[usize]) -> Vec<u8> {
    let quant_type: FourBitType = matrix.quant_type();
    let mut state = json!({
        "quant_type": quant_type.name(),
        "blocksize": matrix.blocksize(),
        "dtype": dtype.torch_name(),
        "shape": shape,
    });
    if let Absmax::Nested(nested) = matrix.absmax() {
        state["nested_blocksize"] = json!(DYNAMIC_BLOCKSIZE);
        state["nested_dtype"] = json!(FloatType::F32.torch_name());
        state["nested_offset"] = json!(f64::from(nested.offset));
    }
    let mut bytes = state.to_string().into_bytes();
    bytes.resize(STATE_BYTES, b' ');
    bytes
}
