//! `[train]`: the loop.

use std::collections::BTreeMap;
use std::ops::Bound::Included;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::WrongForm;
use crate::blank;
use crate::key::{Kind, MOST};
use crate::problem::{Fault, Violations};

section! {
    /// `[train]`: the loop.
    TrainSection = "train" {
        /// Which weights are trained.
        method: TrainMethod = Kind::Choice(TrainMethod::NAMES);
        /// Peak learning rate, above 0.
        learning_rate: f64 = Kind::SHARE_ABOVE_ZERO;
        /// LoRA+: by how much faster the `B` matrices learn than the `A` matrices, at least 1.
        loraplus_lr_ratio: f64 = Kind::Number(Included(1.0), Included(1e4));
        /// Samples per forward pass, at least 1.
        per_device_train_batch_size: usize = Kind::one_to(65_536);
        /// Forward passes per optimiser step, at least 1.
        gradient_accumulation_steps: usize = Kind::one_to(65_536);
        /// Epochs over the training split, at least 1.
        num_train_epochs: usize = Kind::one_to(10_000);
        /// Optimiser steps in total; `None` = determined by the epochs.
        #[serde(with = "blank::count")]
        max_steps: Option<usize> = Kind::up_to(MOST);
        /// The optimiser.
        optim: Optimizer = Kind::Choice(Optimizer::NAMES);
        /// Decay of the first moment, in [0, 1).
        adam_beta1: f64 = Kind::SHARE_BELOW_ONE;
        /// Decay of the second moment, in [0, 1).
        adam_beta2: f64 = Kind::SHARE_BELOW_ONE;
        /// Added to the root of the second moment, above 0.
        adam_epsilon: f64 = Kind::SHARE_ABOVE_ZERO;
        /// Decoupled weight decay, in [0, 1].
        weight_decay: f64 = Kind::SHARE;
        /// Shape of the schedule after the warm-up.
        lr_scheduler_type: Scheduler = Kind::Choice(Scheduler::NAMES);
        /// Warm-up as a fraction of all steps, in [0, 1]; 0 if `warmup_steps` is set.
        warmup_ratio: f64 = Kind::SHARE;
        /// Warm-up in optimiser steps; 0 = use `warmup_ratio`.
        warmup_steps: usize = Kind::up_to(MOST);
        /// Limit on the global gradient norm; 0 = no limit.
        max_grad_norm: f64 = Kind::Number(Included(0.0), Included(1e9));
        /// Alpha of `NEFTune`; 0 = no noise.
        neftune_noise_alpha: f64 = Kind::Number(Included(0.0), Included(1000.0));
        /// Maximum length of a sample in tokens, answer included.
        max_seq_length: usize = Kind::one_to(1_048_576);
        /// Compute the loss on the answer alone, else on every token.
        completion_only_loss: bool = Kind::Switch;
        /// How much of each token's loss is its mean over the vocabulary, in [0, 1); 0 = none.
        label_smoothing_factor: f64 = Kind::SHARE_BELOW_ONE;
        /// What the loss of a sample is multiplied by.
        class_weights: ClassWeights = Kind::WordOrNumbers(ClassWeights::NAMES);
        /// Recompute layers in the backward pass.
        gradient_checkpointing: bool = Kind::Switch;
        /// With it, recompute the first layer and every so manieth after it, at least 1.
        gradient_checkpointing_every: usize = Kind::one_to(1000);
        /// With it, keep what recomputed layers need in the host's memory.
        activation_offloading: bool = Kind::Switch;
        /// Batch samples of similar length.
        group_by_length: bool = Kind::Switch;
        /// Put samples of one dialogue into one forward pass, within each optimiser step.
        group_by_dialogue: bool = Kind::Switch;
        /// Whether samples of a forward pass that begin with the same tokens share the computation of these.
        shared_prefix: SharedPrefix = Kind::Choice(SharedPrefix::NAMES);
        /// Seed of every random draw.
        seed: u64 = Kind::up_to(i64::MAX);
        /// The run directory, relative to the current directory.
        #[serde(with = "blank::place")]
        output_dir: PathBuf = Kind::OutputPath;
    }
}

choices! {
    /// Which weights a run trains.
    TrainMethod {
        /// Low-rank adapters on a frozen base model.
        Lora = "lora",
        /// Every weight of the base model.
        Full = "full",
    }
}

choices! {
    /// When what samples of a forward pass begin with is computed once for all of them.
    SharedPrefix {
        /// Where it changes nothing but the order in which numbers are added up: without dropout and `NEFTune`'s noise.
        Auto = "auto",
        /// Always; the samples then have one dropout mask and one noise on what they share.
        Always = "always",
        /// Every sample is computed on its own.
        Never = "never",
    }
}

choices! {
    /// The optimiser.
    Optimizer {
        /// AdamW with decoupled weight decay.
        AdamW = "adamw_torch",
        /// The same with moments in 8 bits.
        AdamW8bit = "adamw_8bit",
    }
}

choices! {
    /// The decay of the learning rate after the warm-up.
    Scheduler {
        /// Linear to zero.
        Linear = "linear",
        /// Half a cosine to zero.
        Cosine = "cosine",
        /// Constant.
        Constant = "constant",
    }
}

/// What the loss of a sample is multiplied by, depending on its label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Value", into = "toml::Value")]
pub enum ClassWeights {
    /// 1.
    None,
    /// `samples / (labels × samples of the label)` over the training split.
    Balanced,
    /// These numbers; 1 for a label that is not among them.
    Table(BTreeMap<String, f64>),
}

impl ClassWeights {
    const NONE: &'static str = "none";
    const BALANCED: &'static str = "balanced";
    /// The words in a recipe.
    pub(crate) const NAMES: &'static [&'static str] = &[Self::NONE, Self::BALANCED];
}

impl TryFrom<toml::Value> for ClassWeights {
    type Error = WrongForm;

    fn try_from(value: toml::Value) -> Result<Self, WrongForm> {
        match value.as_str() {
            Some(Self::NONE) => return Ok(Self::None),
            Some(Self::BALANCED) => return Ok(Self::Balanced),
            _ => {}
        }
        let wrong = WrongForm { expected: "\"none\", \"balanced\" or a table of numbers" };
        let toml::Value::Table(table) = value else { return Err(wrong) };
        let number =
            |value: &toml::Value| value.as_float().or_else(|| value.as_integer().map(|number| number as f64));
        let weights = table.iter().map(|(label, value)| Some((label.clone(), number(value)?)));
        weights.collect::<Option<_>>().map(Self::Table).ok_or(wrong)
    }
}

impl From<ClassWeights> for toml::Value {
    fn from(weights: ClassWeights) -> Self {
        match weights {
            ClassWeights::None => ClassWeights::NONE.into(),
            ClassWeights::Balanced => ClassWeights::BALANCED.into(),
            ClassWeights::Table(weights) => {
                Self::Table(weights.into_iter().map(|(label, weight)| (label, weight.into())).collect())
            }
        }
    }
}

impl TrainSection {
    /// The warm-up has one length.
    pub(crate) fn check_warmup(&self, violated: &mut Violations) {
        if self.warmup_steps > 0 && self.warmup_ratio > 0.0 {
            let fault = Fault::new("train.warmup_steps and train.warmup_ratio are both set");
            violated.add(&["train.warmup_steps", "train.warmup_ratio"], fault.hint("keep one of them"));
        }
    }

    /// What is said of recomputed layers needs some.
    pub(crate) fn check_checkpointing(&self, violated: &mut Violations) {
        let asked = [
            ("gradient_checkpointing_every", self.gradient_checkpointing_every != 1, "1"),
            ("activation_offloading", self.activation_offloading, "false"),
        ];
        for (key, _, instead) in asked.into_iter().filter(|(_, is_asked, _)| *is_asked) {
            if !self.gradient_checkpointing {
                let path = format!("train.{key}");
                let fault = Fault::new(format!("{path} needs train.gradient_checkpointing = true"));
                let hint = format!("write gradient_checkpointing = true under [train], or {key} = {instead}");
                violated.add(&[&path, "train.gradient_checkpointing"], fault.hint(hint));
            }
        }
    }
}
