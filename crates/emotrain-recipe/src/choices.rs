//! Keys with a closed set of values.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Defines an enum whose variants have these names in a recipe.
macro_rules! choices {
    ($(#[$about:meta])* $Choice:ident { $($(#[$about_variant:meta])* $Variant:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $Choice {
            $($(#[$about_variant])* #[serde(rename = $name)] $Variant,)+
        }

        impl $Choice {
            /// The names in a recipe, in the order of the variants.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// The name in a recipe.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$Variant => $name,)+
                }
            }
        }

        impl fmt::Display for $Choice {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

mod curriculum;
mod knowledge;
mod prompt;

pub use self::curriculum::{Balance, Difficulty, Direction, NeutralShifts, Pacing, PhaseScheduler};
mod interpret;

pub use self::interpret::{Provider, ResponseFormat};
pub use self::knowledge::{Availability, KnowledgeLevel, QUERIES};
pub use self::prompt::{PromptSlots, PromptTemplate};
mod retrieval;

pub use self::retrieval::{DemonstrationOrder, Exclude, SearchIndex};

choices! {
    /// The source of the base model's weights.
    ModelInit {
        /// The checkpoint's own weights.
        Pretrained = "pretrained",
        /// Random weights with the checkpoint's configuration; its weights are not read.
        Random = "random",
    }
}

choices! {
    /// The floating-point type of the base model.
    Dtype {
        /// IEEE single precision.
        Float32 = "float32",
        /// The upper half of single precision: the same range with 8 bits of mantissa.
        Bfloat16 = "bfloat16",
        /// IEEE half precision.
        Float16 = "float16",
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
    /// The format of the files named in `[data]`.
    DataFormat {
        /// One dialogue per line, in emotrain's own JSON format.
        Jsonl = "jsonl",
        /// MELD's published CSV tables.
        MeldCsv = "meld_csv",
        /// The JSON files of the PRC-Emo and `BiosERC` repositories.
        PrcJson = "prc_json",
        /// EmoryNLP's published JSON files.
        Emorynlp = "emorynlp",
        /// DailyDialog's published text files.
        Dailydialog = "dailydialog",
        /// Plain text without labels, documents separated by blank lines.
        Text = "text",
    }
}

choices! {
    /// How utterances without a label are handled.
    Unlabelled {
        /// They are context: shown, and neither trained on nor scored.
        Context = "context",
        /// They are an error.
        Refuse = "refuse",
    }
}

choices! {
    /// How dialogues that occur in two splits are handled.
    SharedDialogues {
        /// An error for jsonl files, and reported for the formats of published data sets.
        Auto = "auto",
        /// They are an error.
        Refuse = "refuse",
        /// They are counted and reported.
        Report = "report",
    }
}

choices! {
    /// The label set of a run.
    LabelSetName {
        /// MELD's seven.
        Meld = "meld",
        /// IEMOCAP's six.
        Iemocap = "iemocap",
        /// EmoryNLP's seven.
        Emorynlp = "emorynlp",
        /// DailyDialog's seven.
        Dailydialog = "dailydialog",
        /// The labels in `data.labels`.
        Custom = "custom",
    }
}

choices! {
    /// The optimiser.
    Optimizer {
        /// AdamW with decoupled weight decay.
        AdamW = "adamw_torch",
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

choices! {
    /// The metric that selects the best checkpoint.
    Metric {
        /// F1 averaged over the labels, weighted by their support.
        WeightedF1 = "weighted_f1",
        /// F1 averaged over the labels.
        MacroF1 = "macro_f1",
        /// Proportion of correct predictions.
        Accuracy = "accuracy",
        /// Mean negative log-likelihood of a supervised token.
        Loss = "loss",
    }
}

impl Metric {
    /// Whether a higher value is better.
    pub const fn greater_is_better(self) -> bool {
        match self {
            Self::WeightedF1 | Self::MacroF1 | Self::Accuracy => true,
            Self::Loss => false,
        }
    }
}

choices! {
    /// How a label is obtained from the model, with the names of lm-evaluation-harness.
    OutputType {
        /// Every label is scored by its likelihood after the prompt.
        MultipleChoice = "multiple_choice",
        /// The model generates its answer.
        GenerateUntil = "generate_until",
    }
}

choices! {
    /// Where the training curves are written.
    Reporter {
        /// `metrics.jsonl` in the output directory.
        Jsonl = "jsonl",
        /// TensorBoard event files under `tb/` in the output directory.
        Tensorboard = "tensorboard",
    }
}

/// The device a run computes on.
///
/// A number after a colon picks one of several GPUs: `cuda:1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The fastest device this build and machine offer.
    Auto,
    /// The processor.
    Cpu,
    /// A GPU through WebGPU, Vulkan or Metal.
    Wgpu(Option<usize>),
    /// An NVIDIA GPU.
    Cuda(Option<usize>),
}

impl DeviceChoice {
    /// The names in a recipe; GPU names also with `:0`, `:1`, …
    pub const NAMES: &'static [&'static str] = &["auto", "cpu", "wgpu", "cuda"];
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Wgpu(None) => f.write_str("wgpu"),
            Self::Wgpu(Some(index)) => write!(f, "wgpu:{index}"),
            Self::Cuda(None) => f.write_str("cuda"),
            Self::Cuda(Some(index)) => write!(f, "cuda:{index}"),
        }
    }
}

/// A device name that [`DeviceChoice`] does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown device {0:?}")]
pub struct UnknownDevice(pub String);

impl FromStr for DeviceChoice {
    type Err = UnknownDevice;

    fn from_str(name: &str) -> Result<Self, UnknownDevice> {
        let unknown = || UnknownDevice(name.to_owned());
        let (kind, index) = match name.split_once(':') {
            None => (name, None),
            Some((kind, index)) if !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit()) => {
                (kind, Some(index.parse().map_err(|_| unknown())?))
            }
            Some(_) => return Err(unknown()),
        };
        match (kind, index) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("wgpu", index) => Ok(Self::Wgpu(index)),
            ("cuda", index) => Ok(Self::Cuda(index)),
            _ => Err(unknown()),
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = UnknownDevice;

    fn try_from(name: String) -> Result<Self, UnknownDevice> {
        name.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(device: DeviceChoice) -> Self {
        device.to_string()
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

    /// The linear layers of a decoder block, by the names that the Llama and Qwen families share.
    pub const NAMES: &'static [&'static str] =
        &["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
}

/// A value of the wrong type, found while deserialising a choice that is not a plain name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct WrongForm {
    expected: &'static str,
}

impl TryFrom<toml::Value> for TargetModules {
    type Error = WrongForm;

    fn try_from(value: toml::Value) -> Result<Self, WrongForm> {
        if value.as_str() == Some(Self::ALL_LINEAR) {
            return Ok(Self::AllLinear);
        }
        let names = value.as_array().into_iter().flatten();
        let names: Option<Vec<_>> = names.map(|name| name.as_str().map(str::to_owned)).collect();
        match names {
            Some(names) if value.is_array() => Ok(Self::List(names)),
            _ => Err(WrongForm { expected: "\"all-linear\" or a list of layer names" }),
        }
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

/// The checkpoint from which a run resumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ResumeFrom {
    /// The last complete checkpoint in the output directory.
    Latest,
    /// This step folder, relative to the current directory.
    Step(PathBuf),
}

impl ResumeFrom {
    /// The name of [`ResumeFrom::Latest`].
    pub const LATEST: &'static str = "latest";
}

impl From<String> for ResumeFrom {
    fn from(text: String) -> Self {
        if text == Self::LATEST { Self::Latest } else { Self::Step(PathBuf::from(text)) }
    }
}

impl From<ResumeFrom> for String {
    fn from(from: ResumeFrom) -> Self {
        match from {
            ResumeFrom::Latest => ResumeFrom::LATEST.to_owned(),
            ResumeFrom::Step(folder) => folder.to_string_lossy().into_owned(),
        }
    }
}
