//! `[lora]`: the adapter.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::WrongForm;
use crate::blank;
use crate::key::Kind;

section! {
    /// `[lora]`: the adapter, used when `train.method` is [`TrainMethod::Lora`](super::TrainMethod::Lora).
    LoraSection = "lora" {
        /// Rank, at least 1.
        r: usize = Kind::one_to(4096);
        /// Numerator of the scale: the update is multiplied by alpha/r, or alpha/√r with `use_rslora`.
        lora_alpha: usize = Kind::one_to(1_000_000);
        /// Dropout probability on the adapter's input, in [0, 1).
        lora_dropout: f64 = Kind::SHARE_BELOW_ONE;
        /// The layers that get an adapter.
        target_modules: TargetModules = Kind::WordOrChoices(TargetModules::ALL_LINEAR, TargetModules::NAMES);
        /// Scale by alpha/√r.
        use_rslora: bool = Kind::Switch;
        /// Initialisation of the first factor.
        init_lora_weights: LoraInit = Kind::TrueOrWord(LoraInit::GAUSSIAN);
        /// Folder of an adapter to start from, with its rank, alpha and layers; `None` = a new adapter.
        #[serde(with = "blank::path")]
        init_from: Option<PathBuf> = Kind::InputPath;
    }
}

/// Which linear layers of the decoder blocks get an adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "toml::Value", into = "toml::Value")]
pub enum TargetModules {
    /// Every linear layer of every block; neither the embedding nor the output head.
    AllLinear,
    /// The layers of these names in every block.
    List(Vec<String>),
}

impl TargetModules {
    /// The name of [`TargetModules::AllLinear`].
    pub const ALL_LINEAR: &'static str = "all-linear";

    /// The linear layers of a decoder block; Phi-3 has the last two in the place of five others.
    pub const NAMES: &'static [&'static str] = &[
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
        "qkv_proj",
        "gate_up_proj",
    ];
}

impl TryFrom<toml::Value> for TargetModules {
    type Error = WrongForm;

    fn try_from(value: toml::Value) -> Result<Self, WrongForm> {
        if value.as_str() == Some(Self::ALL_LINEAR) {
            return Ok(Self::AllLinear);
        }
        WrongForm::unless_texts(&value, "\"all-linear\" or a list of layer names").map(Self::List)
    }
}

impl From<TargetModules> for toml::Value {
    fn from(modules: TargetModules) -> Self {
        match modules {
            TargetModules::AllLinear => TargetModules::ALL_LINEAR.into(),
            TargetModules::List(names) => names.into(),
        }
    }
}

/// The initialisation of an adapter's first factor; the second always starts at zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "toml::Value", into = "toml::Value")]
pub enum LoraInit {
    /// Uniform on ±1/√inputs, written `true` (Kaiming uniform with a = √5).
    Kaiming,
    /// Normal with a standard deviation of 1/r, written `"gaussian"`.
    Gaussian,
}

impl LoraInit {
    /// The name of [`LoraInit::Gaussian`].
    pub const GAUSSIAN: &'static str = "gaussian";
}

impl TryFrom<toml::Value> for LoraInit {
    type Error = WrongForm;

    fn try_from(value: toml::Value) -> Result<Self, WrongForm> {
        if value.as_bool() == Some(true) {
            Ok(Self::Kaiming)
        } else if value.as_str() == Some(Self::GAUSSIAN) {
            Ok(Self::Gaussian)
        } else {
            Err(WrongForm { expected: "true or \"gaussian\"" })
        }
    }
}

impl From<LoraInit> for toml::Value {
    fn from(init: LoraInit) -> Self {
        match init {
            LoraInit::Kaiming => true.into(),
            LoraInit::Gaussian => LoraInit::GAUSSIAN.into(),
        }
    }
}
