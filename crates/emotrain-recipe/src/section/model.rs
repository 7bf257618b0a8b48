//! `[model]`: the base model and the device.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::key::Kind;

section! {
    /// `[model]`: the base model and the device.
    ModelSection = "model" {
        /// A Hub id (`owner/name`) or a path; one that began with `./` or `../` is already resolved.
        model_name_or_path: String = Kind::Model, required;
        /// Branch, tag or commit of a Hub id.
        revision: String = Kind::Text;
        /// Whether the checkpoint's weights are read at all.
        init: ModelInit = Kind::Choice(ModelInit::NAMES);
        /// Type of the base model's weights.
        dtype: Dtype = Kind::Choice(Dtype::NAMES);
        /// The device of all tensors.
        device: DeviceChoice = Kind::Device;
        /// GPUs among which the micro-batches of a step are dealt, from `device` on.
        num_devices: usize = Kind::one_to(64);
        /// How attention is computed.
        attn_implementation: AttnImplementation = Kind::Choice(AttnImplementation::NAMES);
        /// Threads of the CPU backend; 0 = all cores.
        num_threads: usize = Kind::up_to(1024);
    }
}

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
    /// How attention is computed, in the names of transformers where it has one.
    AttnImplementation {
        /// Without scores in memory (`FlashAttention`) on the CPU and where a GPU can, else as `Eager`.
        Auto = "auto",
        /// Products of blocks of queries and keys, with their scores in memory.
        Eager = "eager",
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
    /// The same kind of device, whichever of several.
    #[must_use]
    pub fn any_of_its_kind(self) -> Self {
        match self {
            Self::Cuda(_) => Self::Cuda(None),
            Self::Wgpu(_) => Self::Wgpu(None),
            Self::Auto | Self::Cpu => self,
        }
    }

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
