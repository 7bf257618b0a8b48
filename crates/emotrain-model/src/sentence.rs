//! Sentence encoders: rows of token ids in, one vector for each row out.
//!
//! A BERT encoder with the pooling that its sentence-transformers folder states. Tokens of
//! many texts are concatenated without padding, texts of similar length together. On the CPU in f32 a text's vector is
//! batch-invariant, to the bit.

mod bert;
mod folder;
mod json;
mod layer;
mod pooling;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;

use burn::tensor::{DType, Device, Tensor, TensorData};
use emotrain_base::random::{Key, normal};

use crate::error::ModelError;
use crate::kernels::{LayerNorm, Rows, add_layer_norm};
use folder::tensor_shapes;
use layer::{Block, Dense};
use pooling::normalise;

pub use bert::BertConfig;
pub use folder::{SentenceConfig, SentenceFolder};
pub use pooling::Pooling;

/// Tokens that go through the encoder at a time, if one text alone has no more: enough for the matrix products, and few
/// enough for the caches.
const TOKENS_AT_ONCE: usize = 2048;

/// A sentence encoder with its weights.
#[derive(Clone, Debug)]
pub struct SentenceEncoder {
    config: SentenceConfig,
    /// `[V, D]`.
    words: Tensor<2>,
    /// `[positions, D]`.
    positions: Tensor<2>,
    /// The embedding of the only segment that a text has, `[1, D]`.
    segment: Tensor<2>,
    norm: LayerNorm,
    blocks: Vec<Block>,
}

impl SentenceEncoder {
    /// Loads the weights of an opened folder onto `device`, stored as `dtype`.
    ///
    /// # Errors
    /// A tensor that cannot be read.
    pub fn load(folder: &SentenceFolder, device: &Device, dtype: DType) -> Result<Self, ModelError> {
        Loader { fetch: &|name| folder.tensor(name), device, dtype }.encoder(folder.config())
    }

    /// An encoder with random weights, stored as `dtype`: N(0, 0.4²), layer norms 1, biases 0. The same numbers on
    /// every device.
    ///
    /// # Panics
    /// Never: no drawn tensor is missing.
    pub fn random(config: &SentenceConfig, device: &Device, dtype: DType, seed: u64) -> Self {
        let shapes: BTreeMap<String, Vec<usize>> = tensor_shapes(&config.bert).into_iter().collect();
        let fetch = |name: &str| {
            let count = shapes[name].iter().product();
            Ok(match name {
                _ if name.ends_with("LayerNorm.weight") => vec![1.0; count],
                _ if name.ends_with("bias") => vec![0.0; count],
                _ => normal(Key::new(seed).named("init").named(name), count, 0.4),
            })
        };
        let encoder = Loader { fetch: &fetch, device, dtype }.encoder(config);
        encoder.expect("random weights cannot be missing")
    }

    /// What determines the vectors besides the weights.
    pub fn config(&self) -> &SentenceConfig {
        &self.config
    }

    /// Numbers in a vector.
    pub fn dimensions(&self) -> usize {
        self.config.bert.hidden_size
    }

    /// The vectors of texts whose token ids, special tokens included, are the rows.
    ///
    /// # Shapes
    /// `N` rows → `[N, D]`, row-major, in the order of the rows.
    ///
    /// # Panics
    /// If a row is empty or longer than the encoder has positions, or an id is beyond its vocabulary.
    pub fn encode(&self, rows: &[&[u32]]) -> Vec<f32> {
        let width = self.dimensions();
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|&row| rows[row].len());
        let mut vectors = vec![0.0; rows.len() * width];
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            let (batch, others) = rest.split_at(batch_size(rest, rows));
            let texts: Vec<&[u32]> = batch.iter().map(|&row| rows[row]).collect();
            for (vector, &row) in self.encode_packed(&texts).chunks_exact(width).zip(batch) {
                vectors[row * width..(row + 1) * width].copy_from_slice(vector);
            }
            rest = others;
        }
        vectors
    }

    /// One pass: the texts' tokens behind one another.
    fn encode_packed(&self, texts: &[&[u32]]) -> Vec<f32> {
        let mut segments: Vec<Range<usize>> = Vec::with_capacity(texts.len());
        for text in texts {
            assert!(!text.is_empty(), "a text has at least its special tokens");
            let start = segments.last().map_or(0, |last| last.end);
            segments.push(start..start + text.len());
        }
        let words = self.rows(texts.concat().into_iter().map(|id| id as usize)).of(&self.words);
        let positions = segments.iter().flat_map(|segment| 0..segment.len());
        let positions = self.rows(positions).of(&self.positions);
        let mut x = add_layer_norm(words, &self.segment, positions, &self.norm);
        for block in &self.blocks {
            x = block.forward(x, &segments);
        }
        let tokens = x.cast(DType::F32).try_into_vec_as::<f32>().expect("f32 on every device");
        let width = self.dimensions();
        let mut vectors = self.config.pooling.pool(&tokens, &segments, width);
        if self.config.normalize {
            normalise(&mut vectors, width);
        }
        vectors
    }

    fn rows(&self, numbers: impl Iterator<Item = usize>) -> Rows {
        Rows::new(numbers.collect(), &self.words.device())
    }
}

/// How many of the texts in `order` go together: at least one.
fn batch_size(order: &[usize], rows: &[&[u32]]) -> usize {
    let mut tokens = 0;
    let fits = order.iter().take_while(|&&row| {
        tokens += rows[row].len();
        tokens <= TOKENS_AT_ONCE
    });
    fits.count().max(1)
}

/// Where tensors come from, and where they go.
struct Loader<'a> {
    /// The numbers of a tensor by name.
    fetch: &'a dyn Fn(&str) -> Result<Vec<f32>, ModelError>,
    device: &'a Device,
    dtype: DType,
}

impl Loader<'_> {
    fn encoder(&self, config: &SentenceConfig) -> Result<SentenceEncoder, ModelError> {
        let bert = &config.bert;
        let width = bert.hidden_size;
        let segments = (self.fetch)("embeddings.token_type_embeddings.weight")?;
        let words = (self.fetch)("embeddings.word_embeddings.weight")?;
        let positions = (self.fetch)("embeddings.position_embeddings.weight")?;
        let blocks = (0..bert.num_hidden_layers).map(|number| self.block(number, bert));
        Ok(SentenceEncoder {
            words: self.matrix(words, width),
            positions: self.matrix(positions, width),
            segment: self.matrix(segments[..width].to_vec(), width),
            norm: self.norm("embeddings", bert.layer_norm_eps)?,
            blocks: blocks.collect::<Result<_, _>>()?,
            config: config.clone(),
        })
    }

    fn block(&self, number: usize, bert: &BertConfig) -> Result<Block, ModelError> {
        let path = |module: &str| format!("encoder.layer.{number}.{module}");
        let (query, key, value) =
            (path("attention.self.query"), path("attention.self.key"), path("attention.self.value"));
        let (width, inner, epsilon) = (bert.hidden_size, bert.intermediate_size, bert.layer_norm_eps);
        Ok(Block {
            heads: bert.num_attention_heads,
            qkv: self.dense(&[query, key, value], width)?,
            output: self.dense(&[path("attention.output.dense")], width)?,
            attention_norm: self.norm(&path("attention.output"), epsilon)?,
            up: self.dense(&[path("intermediate.dense")], width)?,
            down: self.dense(&[path("output.dense")], inner)?,
            norm: self.norm(&path("output"), epsilon)?,
        })
    }

    /// Linear layers that read the same `input` numbers, stacked.
    fn dense(&self, paths: &[String], input: usize) -> Result<Dense, ModelError> {
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for path in paths {
            weight.extend((self.fetch)(&format!("{path}.weight"))?);
            bias.extend((self.fetch)(&format!("{path}.bias"))?);
        }
        let outputs = bias.len();
        Ok(Dense { weight: self.matrix(weight, input), bias: self.matrix(bias, outputs) })
    }

    fn norm(&self, path: &str, epsilon: f64) -> Result<LayerNorm, ModelError> {
        let weight = (self.fetch)(&format!("{path}.LayerNorm.weight"))?;
        let bias = (self.fetch)(&format!("{path}.LayerNorm.bias"))?;
        let width = weight.len();
        #[expect(clippy::cast_possible_truncation, reason = "epsilon is added to an f32")]
        let epsilon = epsilon as f32;
        Ok(LayerNorm { weight: self.matrix(weight, width), bias: self.matrix(bias, width), epsilon })
    }

    fn matrix(&self, values: Vec<f32>, width: usize) -> Tensor<2> {
        let shape = [values.len() / width, width];
        Tensor::from_data(TensorData::new(values, shape), (self.device, self.dtype))
    }
}
