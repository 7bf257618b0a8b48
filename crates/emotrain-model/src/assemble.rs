//! Putting a decoder together from named tensors, read from a checkpoint or drawn at random.

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::attention::Heads;
use crate::config::ModelConfig;
use crate::decoder::CausalLm;
use crate::error::ModelError;
use crate::layer::{HeadNorms, Layer, Norm};
use crate::linear::{Linear, Module};
use crate::random::{Key, normal};
use crate::rope::frequencies;
use crate::weights::Checkpoint;

/// The numbers of a tensor by Hugging Face name and shape.
type Fetch<'a> = dyn FnMut(&str, &[usize]) -> Result<Vec<f32>, ModelError> + 'a;

/// Where tensors come from, and where they go.
struct Assembly<'a> {
    config: &'a ModelConfig,
    device: &'a Device,
    dtype: DType,
    fetch: &'a mut Fetch<'a>,
}

impl CausalLm {
    /// Loads the weights of an opened checkpoint onto `device`, stored as `dtype`.
    ///
    /// # Errors
    /// A missing tensor, one of another shape than the configuration says, or one that the model has no use for.
    pub fn load(checkpoint: &Checkpoint, device: &Device, dtype: DType) -> Result<Self, ModelError> {
        let config = checkpoint.config();
        let mut fetch = |name: &str, shape: &[usize]| checkpoint.expect(name, shape);
        let model = Assembly { config, device, dtype, fetch: &mut fetch }.model()?;
        checkpoint.finish()?;
        Ok(model)
    }

    /// A model with random weights, stored as `dtype`: N(0, `initializer_range`²), norms 1, biases 0, as transformers'
    /// `_init_weights`. The same numbers on every device.
    ///
    /// # Panics
    /// Never: no drawn tensor is missing or of another shape.
    pub fn random(config: &ModelConfig, device: &Device, dtype: DType, seed: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        let std = config.initializer_range as f32;
        let mut fetch = |name: &str, shape: &[usize]| {
            let count = shape.iter().product();
            Ok(match name {
                _ if name.ends_with("norm.weight") => vec![1.0; count],
                _ if name.rsplit('.').next() == Some("bias") => vec![0.0; count],
                _ => normal(Key::new(seed).named("init").named(name), count, std),
            })
        };
        let assembly = Assembly { config, device, dtype, fetch: &mut fetch };
        assembly.model().expect("random weights cannot be missing")
    }
}

impl Assembly<'_> {
    fn model(mut self) -> Result<CausalLm, ModelError> {
        let config = self.config;
        let table = [config.vocab_size, config.hidden_size];
        let embed = self.matrix("model.embed_tokens.weight", table)?;
        let layers = (0..config.num_hidden_layers).map(|l| self.layer(l)).collect::<Result<_, _>>()?;
        let norm = self.norm("model.norm".to_owned(), config.hidden_size)?;
        let head =
            if config.tie_word_embeddings { None } else { Some(self.matrix("lm_head.weight", table)?) };
        Ok(CausalLm {
            config: config.clone(),
            frequencies: frequencies(config),
            embed,
            layers,
            norm,
            head,
            trained: false,
            lora: None,
        })
    }

    fn layer(&mut self, number: usize) -> Result<Layer, ModelError> {
        let config = self.config;
        let path = |rest: &str| format!("model.layers.{number}.{rest}");
        let (hidden, query, key_value) = (config.hidden_size, config.query_size(), config.key_value_size());
        let inner = config.intermediate_size;
        let bias = config.attention_bias;
        let head_norms = config.architecture.has_query_key_norm();
        Ok(Layer {
            heads: Heads {
                kv: config.num_key_value_heads,
                group: config.num_attention_heads / config.num_key_value_heads,
                dim: config.head_dim,
            },
            input_norm: self.norm(path("input_layernorm"), hidden)?,
            q: self.linear(&[(path("self_attn.q_proj"), query)], hidden, bias)?,
            kv: self.linear(
                &[(path("self_attn.k_proj"), key_value), (path("self_attn.v_proj"), key_value)],
                hidden,
                bias,
            )?,
            head_norms: if head_norms {
                Some(HeadNorms {
                    q: self.norm(path("self_attn.q_norm"), config.head_dim)?,
                    k: self.norm(path("self_attn.k_norm"), config.head_dim)?,
                })
            } else {
                None
            },
            o: self.linear(&[(path("self_attn.o_proj"), hidden)], query, false)?,
            post_norm: self.norm(path("post_attention_layernorm"), hidden)?,
            gate_up: self.linear(
                &[(path("mlp.gate_proj"), inner), (path("mlp.up_proj"), inner)],
                hidden,
                false,
            )?,
            down: self.linear(&[(path("mlp.down_proj"), hidden)], inner, false)?,
        })
    }

    /// Modules of `(path, outputs)` that read the same `input` numbers, stacked.
    fn linear(
        &mut self,
        modules: &[(String, usize)],
        input: usize,
        bias: bool,
    ) -> Result<Linear, ModelError> {
        let (mut weight, mut biases, mut stacked) = (Vec::new(), Vec::new(), Vec::new());
        let mut start = 0;
        for (path, outputs) in modules {
            weight.extend((self.fetch)(&format!("{path}.weight"), &[*outputs, input])?);
            if bias {
                biases.extend((self.fetch)(&format!("{path}.bias"), &[*outputs])?);
            }
            stacked.push(Module { path: path.clone(), columns: start..start + outputs, lora: None });
            start += outputs;
        }
        Ok(Linear {
            weight: self.tensor(weight, [start, input]),
            bias: bias.then(|| self.tensor(biases, [1, start])),
            modules: stacked,
            scale: 1.0,
            trained: false,
        })
    }

    fn norm(&mut self, path: String, width: usize) -> Result<Norm, ModelError> {
        let weight = (self.fetch)(&format!("{path}.weight"), &[width])?;
        #[expect(clippy::cast_possible_truncation, reason = "epsilon is added to an f32")]
        let epsilon = self.config.rms_norm_eps as f32;
        Ok(Norm { path, weight: self.tensor(weight, [1, width]), epsilon, trained: false })
    }

    fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Tensor<2>, ModelError> {
        let values = (self.fetch)(name, &shape)?;
        Ok(self.tensor(values, shape))
    }

    fn tensor(&self, values: Vec<f32>, shape: [usize; 2]) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values, shape), (self.device, self.dtype))
    }
}
