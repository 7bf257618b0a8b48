//! Putting a decoder together from named tensors, read from a checkpoint or drawn at random.

use std::ops::Range;

use burn::tensor::{DType, Device, Distribution, Tensor, TensorData};
use emotrain_base::random::{Key, normal};
use emotrain_kernels::Numbers;
use half::vec::HalfBitsVecExt;
use half::{bf16, f16};
use rayon::prelude::*;

use crate::config::ModelConfig;
use crate::decoder::CausalLm;
use crate::error::ModelError;
use crate::float::FloatType;
use crate::layer::Layer;
use crate::linear::{Linear, Module};
use crate::norm::{HeadNorms, Norm, OutputNorms};
use crate::spec::DecoderSpec;
use crate::storage::Storage;
use crate::weight::Weight;
use crate::weights::{
    BlockModule, Checkpoint, EMBEDDINGS, FINAL_NORM, HEAD, Part, TensorSpec, block_modules,
};

/// A module of a block with its path.
type NamedModule = (String, BlockModule);

/// Gives the numbers of a tensor, named by Hugging Face, piece by piece.
type Fetch<'a> = dyn FnMut(&str, &[usize], &mut dyn FnMut(&[f32])) -> Result<(), ModelError> + 'a;

/// The numbers of a tensor that is being put together, in the type that it will have and nowhere else.
enum Filling {
    F32(Vec<f32>),
    /// Bits of float16 or bfloat16.
    Half(FloatType, Vec<u16>),
}

impl Filling {
    fn new(dtype: DType, count: usize) -> Self {
        if dtype == DType::F16 {
            Self::Half(FloatType::F16, Vec::with_capacity(count))
        } else if dtype == DType::BF16 {
            Self::Half(FloatType::Bf16, Vec::with_capacity(count))
        } else {
            Self::F32(Vec::with_capacity(count))
        }
    }

    fn extend(&mut self, values: &[f32]) {
        match self {
            Self::F32(numbers) => numbers.extend_from_slice(values),
            Self::Half(FloatType::F16, bits) => {
                bits.extend(values.iter().map(|value| f16::from_f32(*value).to_bits()));
            }
            Self::Half(_, bits) => bits.extend(values.iter().map(|value| bf16::from_f32(*value).to_bits())),
        }
    }

    fn data(self, shape: [usize; 2]) -> TensorData {
        match self {
            Self::F32(numbers) => TensorData::new(numbers, shape),
            Self::Half(FloatType::F16, bits) => TensorData::new(bits.reinterpret_into::<f16>(), shape),
            Self::Half(_, bits) => TensorData::new(bits.reinterpret_into::<bf16>(), shape),
        }
    }
}

/// Where tensors come from, and where they go.
struct Assembly<'a> {
    config: &'a ModelConfig,
    spec: DecoderSpec,
    device: &'a Device,
    storage: Storage,
    origin: Origin<'a>,
}

/// Where the numbers of tensors come from.
enum Origin<'a> {
    /// From files.
    Saved(&'a Checkpoint),
    /// Drawn on the host, the same for every device.
    Host(&'a mut Fetch<'a>),
    /// Drawn where they are kept: N(0, `std`²), norms 1, biases 0. Those kept in fewer bits are drawn on the host.
    Drawn { std: f64, key: Key },
}

/// Numbers that are drawn at once on the host.
const DRAWN: usize = 1 << 20;

/// Rows of random numbers, drawn on all cores, in order and so that few of them are in memory.
pub(crate) fn drawn(key: Key, std: f64, [rows, width]: [usize; 2], push: &mut dyn FnMut(&[f32])) {
    #[expect(clippy::cast_possible_truncation, reason = "a standard deviation of f32 numbers")]
    let std = std as f32;
    let at_once = (DRAWN / width).max(1);
    let pieces: Vec<Range<usize>> =
        (0..rows).step_by(at_once).map(|start| start..(start + at_once).min(rows)).collect();
    for pieces in pieces.chunks(rayon::current_num_threads()) {
        let draw = |rows: &Range<usize>| normal(key.with(rows.start as u64), rows.len() * width, std);
        let numbers: Vec<Vec<f32>> = pieces.par_iter().map(draw).collect();
        for numbers in numbers {
            push(&numbers);
        }
    }
}

impl CausalLm {
    /// Loads the weights of an opened checkpoint onto `device`, in the form that `storage` says. Matrices that are saved
    /// as codes of bitsandbytes stay the codes that they are.
    ///
    /// # Errors
    /// A missing tensor, one of another shape than the configuration says, or one that the model has no use for; codes
    /// of another kind than `storage` says.
    pub fn load(
        checkpoint: &Checkpoint,
        device: &Device,
        storage: impl Into<Storage>,
    ) -> Result<Self, ModelError> {
        let config = checkpoint.config();
        let storage = storage.into().of_saved(checkpoint.description().codes.as_ref())?;
        let (spec, origin) = (DecoderSpec::of(config), Origin::Saved(checkpoint));
        let model = Assembly { config, spec, device, storage, origin }.model()?;
        checkpoint.finish()?;
        Ok(model.described_by(checkpoint.description()))
    }

    /// A model with random weights, in the form that `storage` says: N(0, `initializer_range`²), norms 1 (0 where 1 is added), biases 0, as
    /// transformers' `_init_weights`. The same numbers on every device.
    ///
    /// # Panics
    /// Never: no drawn tensor is missing or of another shape.
    pub fn random(config: &ModelConfig, device: &Device, storage: impl Into<Storage>, seed: u64) -> Self {
        Self::random_as(config, DecoderSpec::of(config), device, storage, seed)
    }

    /// As [`CausalLm::random`], of another specification than the configuration's.
    pub(crate) fn random_as(
        config: &ModelConfig,
        spec: DecoderSpec,
        device: &Device,
        storage: impl Into<Storage>,
        seed: u64,
    ) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        let std = config.initializer_range as f32;
        let norm = if spec.norm_offset { 0.0 } else { 1.0 };
        let mut fetch = |name: &str, shape: &[usize], visit: &mut dyn FnMut(&[f32])| {
            let count = shape.iter().product();
            visit(&match name {
                _ if name.ends_with("norm.weight") => vec![norm; count],
                _ if name.rsplit('.').next() == Some("bias") => vec![0.0; count],
                _ => normal(Key::new(seed).named("init").named(name), count, std),
            });
            Ok(())
        };
        let storage = storage.into();
        let assembly = Assembly { config, spec, device, storage, origin: Origin::Host(&mut fetch) };
        assembly.model().expect("random weights cannot be missing")
    }

    /// Like [`CausalLm::random`], with weights drawn by the device's own generator in their final type, so that no
    /// copy passes through the host, and those kept in fewer bits on all cores: for measuring models larger than its memory.
    ///
    /// # Panics
    /// Never: nothing that is drawn is missing.
    pub fn random_on_device(
        config: &ModelConfig,
        device: &Device,
        storage: impl Into<Storage>,
        seed: u64,
    ) -> Self {
        device.seed(seed);
        let origin = Origin::Drawn { std: config.initializer_range, key: Key::new(seed) };
        let (spec, storage) = (DecoderSpec::of(config), storage.into());
        let assembly = Assembly { config, spec, device, storage, origin };
        assembly.model().expect("random weights cannot be missing")
    }
}

impl Assembly<'_> {
    fn model(mut self) -> Result<CausalLm, ModelError> {
        let config = self.config;
        let table = [config.vocab_size, config.hidden_size];
        let embed = self.matrix(EMBEDDINGS, table)?;
        let layers = (0..config.num_hidden_layers).map(|l| self.layer(l)).collect::<Result<_, _>>()?;
        let norm = self.norm(FINAL_NORM.to_owned(), config.hidden_size)?;
        let head = if config.tie_word_embeddings { None } else { Some(self.matrix(HEAD, table)?) };
        Ok(CausalLm {
            description: config.clone().into(),
            spec: self.spec,
            embed,
            layers,
            norm,
            head,
            trained: false,
            adapter: None,
        })
    }

    fn layer(&mut self, number: usize) -> Result<Layer, ModelError> {
        let spec = self.spec.blocks[number];
        let modules = block_modules(self.config, &spec);
        let of = |parts: &[Part]| -> Vec<NamedModule> {
            let present = modules.iter().filter(|module| parts.contains(&module.part));
            present.map(|module| (module.path(number), *module)).collect()
        };
        let mut linear = |parts: &[Part]| self.linear(&of(parts));
        let q = linear(&[Part::Query])?;
        let kv = linear(&[Part::QueryKeyValue, Part::Key, Part::Value])?;
        let o = linear(&[Part::Output])?;
        let gate_up = linear(&[Part::GateUp, Part::Gate, Part::Up])?;
        let down = linear(&[Part::Down])?;
        let mut norm = |part: Part| -> Result<Option<Norm>, ModelError> {
            let path = of(&[part]).pop();
            path.map(|(path, module)| self.norm(path, module.outputs)).transpose()
        };
        Ok(Layer {
            spec,
            input_norm: norm(Part::InputNorm)?.expect("a norm of every block"),
            q,
            kv: kv.expect("a linear layer of every block"),
            head_norms: match [norm(Part::QueryNorm)?, norm(Part::KeyNorm)?] {
                [Some(q), Some(k)] => Some(HeadNorms { q, k }),
                _ => None,
            },
            o: o.expect("a linear layer of every block"),
            post_norm: norm(Part::FeedForwardNorm)?.expect("a norm of every block"),
            gate_up: gate_up.expect("a linear layer of every block"),
            down: down.expect("a linear layer of every block"),
            output_norms: match [norm(Part::AttentionNorm)?, norm(Part::FeedForwardOutputNorm)?] {
                [Some(attention), Some(feed_forward)] => Some(OutputNorms { attention, feed_forward }),
                _ => None,
            },
        })
    }

    /// Modules that read the same numbers, stacked; `None` of none.
    fn linear(&mut self, modules: &[NamedModule]) -> Result<Option<Linear>, ModelError> {
        let Some((_, first)) = modules.first() else { return Ok(None) };
        let (input, bias) = (first.inputs.unwrap_or_default(), first.bias);
        let outputs: usize = modules.iter().map(|(_, module)| module.outputs).sum();
        let named = |kind: &str, columns: &[usize]| -> Vec<(String, Vec<usize>)> {
            let shape = |outputs: usize| [&[outputs], columns].concat();
            modules.iter().map(|(path, module)| (format!("{path}.{kind}"), shape(module.outputs))).collect()
        };
        let mut start = 0;
        let stacked = modules.iter().map(|(path, module)| {
            let columns = start..start + module.outputs;
            start = columns.end;
            Module { path: path.clone(), columns }
        });
        let stacked: Vec<Module> = stacked.collect();
        Ok(Some(Linear {
            weight: self.weight(&named("weight", &[input]), [outputs, input], true)?,
            bias: if bias { Some(self.filled(&named("bias", &[]), [1, outputs])?) } else { None },
            modules: stacked,
            trained: false,
        }))
    }

    fn norm(&mut self, path: String, width: usize) -> Result<Norm, ModelError> {
        let weight = self.filled(&[(format!("{path}.weight"), vec![width])], [1, width])?;
        #[expect(clippy::cast_possible_truncation, reason = "epsilon is added to an f32")]
        let epsilon = self.config.rms_norm_eps as f32;
        Ok(Norm { path, weight, epsilon, offset: self.spec.norm_offset, trained: false })
    }

    /// Embeddings or a head.
    fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Weight, ModelError> {
        self.weight(&[(name.to_owned(), shape.to_vec())], shape, false)
    }

    /// A matrix of the numbers of `parts`, in the form in which it is kept.
    fn weight(
        &mut self,
        parts: &[(String, Vec<usize>)],
        shape: [usize; 2],
        quantised: bool,
    ) -> Result<Weight, ModelError> {
        let names = parts.iter().map(|(name, _)| name.strip_suffix(".weight"));
        let paths: Vec<Option<&str>> = names.map(|path| path.filter(|_| quantised)).collect();
        let saved = self.saved(parts)?;
        if self.storage.is_dense(self.device, &paths) && saved.iter().all(Option::is_none) {
            return Ok(Weight::Dense(self.filled(parts, shape)?));
        }
        let [_, width] = shape;
        let mut built = Vec::new();
        for (((name, shape), path), saved) in parts.iter().zip(paths).zip(saved) {
            if let Some(codes) = saved {
                built.push(codes);
                continue;
            }
            let mut part = self.storage.part(path, width);
            match &mut self.origin {
                Origin::Saved(checkpoint) => {
                    if !read_bits(checkpoint, name, shape, part.half())? {
                        checkpoint.visit(name, shape, &mut |piece| part.push(piece))?;
                    }
                }
                Origin::Host(fetch) => fetch(name, shape, &mut |piece| part.push(piece))?,
                Origin::Drawn { std, key } => {
                    drawn(key.named(name), *std, [shape[0], width], &mut |piece| part.push(piece));
                }
            }
            built.push(part.finish());
        }
        Ok(self.storage.weight(built, width, self.device))
    }

    /// The codes of those of `parts` that are saved as such.
    fn saved(&self, parts: &[(String, Vec<usize>)]) -> Result<Vec<Option<Numbers>>, ModelError> {
        let codes = |(name, shape): &(String, Vec<usize>)| match &self.origin {
            Origin::Saved(checkpoint) => checkpoint.codes(name, shape),
            Origin::Host(_) | Origin::Drawn { .. } => Ok(None),
        };
        parts.iter().map(codes).collect()
    }

    /// A tensor of the numbers of `parts`, named by Hugging Face with their shapes, one behind the other.
    fn filled(&mut self, parts: &[(String, Vec<usize>)], shape: [usize; 2]) -> Result<Tensor<2>, ModelError> {
        let dtype = self.storage.computed(self.device);
        let on = (self.device, dtype);
        match &mut self.origin {
            Origin::Saved(checkpoint) => {
                let fill = |name: &str, shape: &[usize], values: &mut Filling| {
                    let half = match values {
                        Filling::Half(float, bits) => Some((*float, bits)),
                        Filling::F32(_) => None,
                    };
                    if read_bits(checkpoint, name, shape, half)? {
                        return Ok(());
                    }
                    checkpoint.visit(name, shape, &mut |piece| values.extend(piece))
                };
                filled(parts, shape, self.device, dtype, fill)
            }
            Origin::Host(fetch) => filled(parts, shape, self.device, dtype, |name, shape, values| {
                fetch(name, shape, &mut |piece| values.extend(piece))
            }),
            Origin::Drawn { std, .. } => Ok(match &parts[0].0 {
                name if name.ends_with("norm.weight") && !self.spec.norm_offset => Tensor::ones(shape, on),
                name if name.ends_with("norm.weight") => Tensor::zeros(shape, on),
                name if name.rsplit('.').next() == Some("bias") => Tensor::zeros(shape, on),
                _ => Tensor::random(shape, Distribution::Normal(0.0, *std), on),
            }),
        }
    }
}

/// Appends the bits of a tensor that is saved in the type in which it is kept; `false` where it is not.
fn read_bits(
    checkpoint: &Checkpoint,
    name: &str,
    shape: &[usize],
    half: Option<(FloatType, &mut Vec<u16>)>,
) -> Result<bool, ModelError> {
    let Some((dtype, bits)) = half else { return Ok(false) };
    let spec = TensorSpec { name: name.to_owned(), shape: shape.to_vec(), dtype };
    checkpoint.read_bits(&spec, bits)
}

/// A tensor of the numbers that `fill` gives, in the type that it will have.
fn filled(
    parts: &[(String, Vec<usize>)],
    shape: [usize; 2],
    device: &Device,
    dtype: DType,
    mut fill: impl FnMut(&str, &[usize], &mut Filling) -> Result<(), ModelError>,
) -> Result<Tensor<2>, ModelError> {
    let mut values = Filling::new(dtype, shape[0] * shape[1]);
    for (name, shape) in parts {
        fill(name, shape, &mut values)?;
    }
    Ok(Tensor::from_data(values.data(shape), (device, dtype)))
}
