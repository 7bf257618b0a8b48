//! The decoder: one code for all families; what it is made of. How it is run is in `pass`.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use emotrain_recipe::AttnImplementation;

use crate::config::{ModelConfig, ModelDescription};
use crate::error::ModelError;
use crate::layer::Layer;
use crate::lora::{Adapter, LayerAdapter, LinearAdapter, LoraConfig};
use crate::norm::Norm;
use crate::spec::DecoderSpec;
use crate::weight::Weight;
use crate::weights::short;

/// A causal language model: token ids in, losses, gradients, scores and logits out.
#[derive(Clone, Debug)]
pub struct CausalLm {
    pub(crate) description: ModelDescription,
    pub(crate) spec: DecoderSpec,
    /// `[V, D]`.
    pub(crate) embed: Weight,
    pub(crate) layers: Vec<Layer>,
    pub(crate) norm: Norm,
    /// `[V, D]`; `None` where the embedding serves as head.
    pub(crate) head: Option<Weight>,
    /// Whether all base weights are trained.
    pub(crate) trained: bool,
    /// What is trained instead, where not all base weights are.
    pub(crate) adapter: Option<Adapter>,
}

/// The adapter of a layer of a model without one.
static NO_ADAPTER: LayerAdapter = LayerAdapter([const { LinearAdapter::none() }; 5]);

impl CausalLm {
    /// The model's shape.
    pub fn config(&self) -> &ModelConfig {
        &self.description.config
    }

    /// The same model, which is saved with what this says beyond the configuration.
    ///
    /// # Panics
    /// If it is the description of another model.
    #[must_use]
    pub fn described_by(self, description: &ModelDescription) -> Self {
        assert!(description.config == self.description.config, "the description of another model");
        Self { description: description.clone(), ..self }
    }

    /// The same model with its attention computed so in training.
    #[must_use]
    pub fn attending(mut self, implementation: AttnImplementation) -> Self {
        self.attend_eagerly(implementation == AttnImplementation::Eager);
        self
    }

    pub(crate) fn attend_eagerly(&mut self, eager: bool) {
        self.layers.iter_mut().for_each(|layer| layer.spec.attention.eager = eager);
    }

    /// The adapter's settings, once [`CausalLm::add_lora`] has run.
    pub fn lora(&self) -> Option<&LoraConfig> {
        self.adapter.as_ref().map(|adapter| &adapter.config)
    }

    /// Where the weights are.
    pub fn device(&self) -> Device {
        self.embed.device()
    }

    /// Adds a fresh adapter to every targeted linear layer of the decoder blocks. The base stays frozen.
    ///
    /// # Errors
    /// A name in `target_modules` that no linear layer has; a pattern that is no regular expression or fits no adapted
    /// layer; a block that the model does not have.
    pub fn add_lora(&mut self, config: &LoraConfig, seed: u64) -> Result<(), ModelError> {
        if let Some(unknown) = config.target_modules.iter().flatten().find(|name| !self.has_linear(name)) {
            return Err(ModelError::UnknownTargetModule {
                name: unknown.clone(),
                known: self.linear_names(),
            });
        }
        self.adapter = Some(self.fresh_adapter(config, seed, &config.layers(self.config())?));
        Ok(())
    }

    /// A fresh adapter of every linear layer for whose path there are settings.
    pub(crate) fn fresh_adapter(
        &self,
        config: &LoraConfig,
        seed: u64,
        settings: &BTreeMap<String, LoraConfig>,
    ) -> Adapter {
        let linear = |linear| LinearAdapter::new(linear, settings, seed);
        let layers = self.layers.iter().map(|Layer { q, kv, o, gate_up, down, .. }| {
            let q = q.as_ref().map_or(LinearAdapter::none(), linear);
            LayerAdapter([q, linear(kv), linear(o), linear(gate_up), linear(down)])
        });
        Adapter::new(config.clone(), layers.collect())
    }

    /// The same base without an adapter; its memory is shared, not copied.
    #[must_use]
    pub fn base(&self) -> Self {
        Self { adapter: None, ..self.clone() }
    }

    /// The part of the adapter that belongs to a layer.
    pub(crate) fn layer_adapter(&self, number: usize) -> &LayerAdapter {
        self.adapter.as_ref().map_or(&NO_ADAPTER, |adapter| &adapter.layers[number])
    }

    /// Makes every weight of the base trainable (`method = "full"`).
    pub fn train_all(&mut self) {
        self.trained = true;
        self.norm.trained = true;
        self.layers.iter_mut().for_each(Layer::train);
    }

    /// The short names (`q_proj`, …) of the decoder blocks' linear layers.
    pub fn linear_names(&self) -> Vec<String> {
        let Some(layer) = self.layers.first() else { return Vec::new() };
        let modules = layer.linears().flat_map(|linear| &linear.modules);
        modules.map(|module| short(&module.path).to_owned()).collect()
    }

    fn has_linear(&self, name: &str) -> bool {
        self.linear_names().iter().any(|known| known == name)
    }

    /// The trained parameters by name, in a fixed order.
    pub fn parameters(&mut self) -> Vec<(String, &mut Tensor<2>)> {
        let mut parameters = Vec::new();
        let Self { embed, layers, norm, head, trained, adapter, .. } = self;
        if *trained {
            let mut visit = |name, tensor| parameters.push((name, tensor));
            visit("model.embed_tokens.weight".to_owned(), embed.trained());
            for layer in layers {
                layer.parameters(&mut visit);
            }
            visit(format!("{}.weight", norm.path), &mut norm.weight);
            if let Some(head) = head {
                visit("lm_head.weight".to_owned(), head.trained());
            }
        }
        parameters.extend(adapter.iter_mut().flat_map(Adapter::parameters));
        parameters
    }

    /// The base's tensors by Hugging Face name with their shapes, for saving and for hashing.
    pub fn base_tensors(&self) -> Vec<(String, Vec<usize>, Tensor<2>)> {
        let mut tensors = Vec::new();
        let mut visit = |name, tensor: Tensor<2>, vector: bool| {
            let [rows, columns] = tensor.dims();
            tensors.push((name, if vector { vec![columns] } else { vec![rows, columns] }, tensor));
        };
        visit("model.embed_tokens.weight".to_owned(), self.embed.dense(), false);
        for layer in &self.layers {
            for linear in layer.linears() {
                linear.base_tensors(&mut visit);
            }
            for norm in layer.norms() {
                visit(format!("{}.weight", norm.path), norm.weight.clone(), true);
            }
        }
        visit(format!("{}.weight", self.norm.path), self.norm.weight.clone(), true);
        if let Some(head) = &self.head {
            visit("lm_head.weight".to_owned(), head.dense(), false);
        }
        tensors
    }
}
