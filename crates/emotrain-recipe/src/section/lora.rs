//! `[lora]`: the adapter.

use std::path::PathBuf;

use indexmap::IndexMap;
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
        /// The decoder blocks that get an adapter, by number from 0; empty = all.
        layers_to_transform: Vec<usize> = Kind::Counts(9_999);
        /// Ranks of the layers that a pattern fits, by pattern; the first that fits counts.
        rank_pattern: IndexMap<String, usize> = Kind::CountTable(1, 4096);
        /// Numerators of the scale of the layers that a pattern fits, by pattern; the first that fits counts.
        alpha_pattern: IndexMap<String, f64> = Kind::NumberTable(1e6);
        /// `DoRA`: magnitudes of the adapted layers' outputs are trained apart from directions.
        use_dora: bool = Kind::Switch;
        /// Scale by alpha/√r.
        use_rslora: bool = Kind::Switch;
        /// Initialisation of the factors.
        init_lora_weights: LoraInit = Kind::LoraInit;
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

/// The initialisation of an adapter's factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "toml::Value", into = "toml::Value")]
pub enum LoraInit {
    /// The first uniform on ±1/√inputs, written `true` (Kaiming uniform with a = √5), the second zero.
    Kaiming,
    /// The first normal with a standard deviation of 1/r, written `"gaussian"`, the second zero.
    Gaussian,
    /// The part of the weight that belongs to its largest singular values (Meng et al. 2024), written `"pissa"`.
    Pissa,
    /// An approximation of it by this many iterations (Halko et al. 2011), written `"pissa_niter_4"`.
    PissaNiter(usize),
    /// The part of the weight that its first columns span (Büyükakyüz 2024), written `"olora"`.
    Olora,
}

impl LoraInit {
    /// The names of those that have one of their own, in a recipe.
    pub const NAMES: &'static [&'static str] = &["gaussian", "pissa", "olora"];
    /// What stands before the number of iterations.
    const NITER: &'static str = "pissa_niter_";
    /// The name of [`LoraInit::PissaNiter`] as a pattern.
    pub(crate) const NITER_PATTERN: &'static str = "^pissa_niter_[1-9][0-9]?$";

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "gaussian" => Some(Self::Gaussian),
            "pissa" => Some(Self::Pissa),
            "olora" => Some(Self::Olora),
            _ => {
                let count = name.strip_prefix(Self::NITER).filter(|count| !count.starts_with(['0', '+']))?;
                count.parse().ok().filter(|count| *count < 100).map(Self::PissaNiter)
            }
        }
    }

    /// Whether the adapter begins with a part of the weight, which is taken out of the base.
    pub fn is_part_of_weight(self) -> bool {
        match self {
            Self::Kaiming | Self::Gaussian => false,
            Self::Pissa | Self::PissaNiter(_) | Self::Olora => true,
        }
    }
}

impl TryFrom<toml::Value> for LoraInit {
    type Error = WrongForm;

    fn try_from(value: toml::Value) -> Result<Self, WrongForm> {
        if value.as_bool() == Some(true) {
            return Ok(Self::Kaiming);
        }
        let expected = "true, \"gaussian\", \"pissa\", \"pissa_niter_4\" or \"olora\"";
        value.as_str().and_then(Self::named).ok_or(WrongForm { expected })
    }
}

impl From<LoraInit> for toml::Value {
    fn from(init: LoraInit) -> Self {
        match init {
            LoraInit::Kaiming => true.into(),
            LoraInit::Gaussian => "gaussian".into(),
            LoraInit::Pissa => "pissa".into(),
            LoraInit::PissaNiter(count) => format!("{}{count}", LoraInit::NITER).into(),
            LoraInit::Olora => "olora".into(),
        }
    }
}
