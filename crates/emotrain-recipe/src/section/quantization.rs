//! `[quantization]`: the base in 4 or 8 bits, in the names of bitsandbytes.

use crate::key::Kind;
use crate::problem::{Fault, Violations};

section! {
    /// `[quantization]`: the frozen linear layers in 4 or 8 bits.
    QuantizationSection = "quantization" {
        /// Keep the linear layers of the decoder blocks as 4-bit codes with a scale for each 64.
        load_in_4bit: bool = Kind::Switch;
        /// The data type of the codes.
        bnb_4bit_quant_type: FourBitQuantType = Kind::Choice(FourBitQuantType::NAMES);
        /// Keep the scales in 8 bits.
        bnb_4bit_use_double_quant: bool = Kind::Switch;
        /// The type in which codes are multiplied.
        bnb_4bit_compute_dtype: ComputeDtype = Kind::Choice(ComputeDtype::NAMES);
        /// Keep the linear layers of the decoder blocks as 8-bit codes with a scale for each row.
        load_in_8bit: bool = Kind::Switch;
        /// Linear layers that keep `model.dtype`: names or paths, whole or in part, between dots.
        llm_int8_skip_modules: Vec<String> = Kind::Texts;
    }
}

choices! {
    /// The meaning of 4-bit codes.
    FourBitQuantType {
        /// Quantiles of the normal distribution.
        Nf4 = "nf4",
        /// Small floats.
        Fp4 = "fp4",
    }
}

choices! {
    /// The type in which a quantised base computes.
    ComputeDtype {
        /// `model.dtype`.
        Auto = "auto",
        /// IEEE single precision.
        Float32 = "float32",
        /// The upper half of single precision.
        Bfloat16 = "bfloat16",
        /// IEEE half precision.
        Float16 = "float16",
    }
}

impl QuantizationSection {
    /// Whether the base is quantised.
    pub fn is_on(&self) -> bool {
        self.load_in_4bit || self.load_in_8bit
    }

    /// A layer has codes of one kind.
    pub(crate) fn check_bits(&self, violated: &mut Violations) {
        if self.load_in_4bit && self.load_in_8bit {
            let keys = ["quantization.load_in_8bit", "quantization.load_in_4bit"];
            let fault = Fault::new("load_in_4bit and load_in_8bit exclude each other");
            violated.add(&keys, fault.hint("keep one of them"));
        }
    }
}
