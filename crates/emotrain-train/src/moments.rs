//! The moments of an optimizer in a safetensors file: `NAME.exp_avg` and `NAME.exp_avg_sq` in f32, or as 8-bit codes with
//! the scales of their blocks beside them, `NAME.exp_avg.absmax`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::tensor::{DType, Tensor, TensorData};
use emotrain_model::{
    CausalLm, EightBitMoments, FloatType, Moments, SafetensorsFile, StoredTensor, StoredType, write_stored,
};

use crate::error::TrainError;
use crate::optim::{AdamWOptimizer, ParameterMoments};

const FIRST: &str = "exp_avg";
const SECOND: &str = "exp_avg_sq";
const SCALES: &str = ".absmax";

/// The values of a tensor.
enum Values<'a> {
    Floats(Vec<f32>),
    Codes(&'a [u8]),
}

/// What a file is to hold.
#[derive(Default)]
struct Contents<'a> {
    tensors: Vec<StoredTensor>,
    values: BTreeMap<String, Values<'a>>,
}

impl<'a> Contents<'a> {
    fn add(&mut self, name: String, shape: &[usize], values: Values<'a>) {
        let stored = match values {
            Values::Floats(_) => StoredType::Float(FloatType::F32),
            Values::Codes(_) => StoredType::U8,
        };
        self.tensors.push(StoredTensor { name: name.clone(), shape: shape.to_vec(), stored });
        self.values.insert(name, values);
    }
}

/// Writes the moments of all parameters to a file and returns the number of updates that they have seen.
pub(crate) fn write(path: &Path, optimizer: &AdamWOptimizer) -> Result<usize, TrainError> {
    let all = optimizer.moments();
    let (mut updates, mut contents) = (0, Contents::default());
    for (name, moments) in &all {
        match moments.as_ref() {
            ParameterMoments::Full(Moments { first, second, time }) => {
                updates = *time;
                for (kind, tensor) in [(FIRST, first), (SECOND, second)] {
                    let floats = tensor.clone().try_into_vec_as().expect("a device that can be read");
                    contents.add(format!("{name}.{kind}"), &tensor.dims(), Values::Floats(floats));
                }
            }
            ParameterMoments::EightBit(moments) => {
                updates = moments.time();
                let parts = moments.codes().into_iter().zip(moments.scales());
                for (kind, (codes, scales)) in [FIRST, SECOND].into_iter().zip(parts) {
                    contents.add(format!("{name}.{kind}"), &[codes.len()], Values::Codes(codes));
                    let values = Values::Floats(scales.to_vec());
                    contents.add(format!("{name}.{kind}{SCALES}"), &[scales.len()], values);
                }
            }
        }
    }
    let Contents { tensors, values } = contents;
    write_stored(path, &tensors, &BTreeMap::new(), |tensor, out| {
        match &values[&tensor.name] {
            Values::Floats(floats) => out.floats(floats),
            Values::Codes(codes) => out.bytes(codes),
        }
        Ok(())
    })?;
    Ok(updates)
}

/// The moments in a file, by parameter.
pub(crate) fn read(
    path: &Path,
    model: &CausalLm,
    time: usize,
) -> Result<Vec<(String, ParameterMoments)>, TrainError> {
    let file = SafetensorsFile::open_any(path)?;
    let end = format!(".{FIRST}");
    let names: BTreeSet<&str> = file.names().filter_map(|name| name.strip_suffix(&end)).collect();
    let device = model.device();
    let moments = |name: &str| {
        let of = |kind: &str| format!("{name}.{kind}");
        if file.float_type(&of(FIRST)).is_none() {
            let scales = |kind: &str| -> Result<Vec<f32>, TrainError> {
                Ok(file.tensor(&format!("{}{SCALES}", of(kind)))?.1)
            };
            let codes = [file.bytes(&of(FIRST))?, file.bytes(&of(SECOND))?];
            let moments = EightBitMoments::new(codes, [scales(FIRST)?, scales(SECOND)?], time);
            return Ok((name.to_owned(), ParameterMoments::EightBit(moments)));
        }
        let tensor = |kind: &str| -> Result<Tensor<2>, TrainError> {
            let (shape, values) = file.tensor(&of(kind))?;
            Ok(Tensor::from_data(TensorData::new(values, shape), (&device, DType::F32)))
        };
        let moments = Moments { first: tensor(FIRST)?, second: tensor(SECOND)?, time };
        Ok((name.to_owned(), ParameterMoments::Full(moments)))
    };
    names.into_iter().map(moments).collect()
}

/// Whether moments are those of a parameter of this shape.
pub(crate) fn fit(moments: &ParameterMoments, shape: [usize; 2]) -> bool {
    match moments {
        ParameterMoments::Full(Moments { first, second, .. }) => {
            [first, second].iter().all(|one| one.dims() == shape)
        }
        ParameterMoments::EightBit(moments) => moments.fits(shape[0] * shape[1]),
    }
}
