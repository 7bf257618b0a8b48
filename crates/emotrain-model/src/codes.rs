//! What stands in the place of numbers in a quantised matrix.

use emotrain_kernels::FourBitType;

/// The codes of quantised matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codes {
    /// NF4 or FP4 (`load_in_4bit`).
    FourBit {
        /// `bnb_4bit_quant_type`.
        quant_type: FourBitType,
        /// Whether the scales are quantised too (`bnb_4bit_use_double_quant`).
        double: bool,
    },
    /// 8 bits with a scale for each row (`load_in_8bit`).
    Int8,
}

impl Codes {
    /// The names of [`Codes::named`].
    pub const NAMES: [&str; 3] = ["nf4", "fp4", "int8"];

    /// Codes by name; of 4 bits their scales are quantised too if they are `double`.
    pub fn named(name: &str, double: bool) -> Option<Self> {
        let four_bit = |quant_type| Some(Self::FourBit { quant_type, double });
        match name {
            "nf4" => four_bit(FourBitType::Nf4),
            "fp4" => four_bit(FourBitType::Fp4),
            "int8" => Some(Self::Int8),
            _ => None,
        }
    }

    /// In bitsandbytes' words.
    pub(crate) fn described(self) -> String {
        match self {
            Self::FourBit { quant_type, double } => {
                let doubled = if double { " with" } else { " without" };
                format!("4 bits ({}{doubled} double quantisation)", quant_type.name())
            }
            Self::Int8 => "8 bits".to_owned(),
        }
    }
}

/// What a base's `quantization_config` says of its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedCodes {
    /// What the codes are.
    pub codes: Codes,
    /// Linear layers without codes (`llm_int8_skip_modules`).
    pub skip_modules: Vec<String>,
}
