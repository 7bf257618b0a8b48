//! `quantization_config`: weights that are saved as codes of bitsandbytes, in transformers' keys
//! (`transformers/utils/quantization_config.py`, `BitsAndBytesConfig`).

use emotrain_kernels::FourBitType;
use serde_json::{Value, json};

use super::fields::{Fields, brief};
use super::keys::is_off;
use crate::codes::{Codes, SavedCodes};
use crate::float::FloatType;

const KEY: &str = "quantization_config";
const METHOD: &str = "bitsandbytes";

/// What the object says; `None` where there is none.
pub(super) fn read(fields: &mut Fields) -> Option<SavedCodes> {
    let value = fields.get(KEY).filter(|value| !is_off(value))?;
    let Some(object) = value.as_object() else {
        fields.report(KEY, format!("expected an object, found {}", brief(value)));
        return None;
    };
    let mut own = Fields::new(object, "quantization_config.");
    let codes = codes(&mut own);
    let skip_modules = own.texts("llm_int8_skip_modules").unwrap_or_default();
    fields.problems.append(&mut own.problems);
    codes.map(|codes| SavedCodes { codes, skip_modules })
}

fn codes(own: &mut Fields) -> Option<Codes> {
    let method = own.text("quant_method").unwrap_or_else(|| METHOD.to_owned());
    if method != METHOD {
        let message = format!("\"{method}\" is not supported (\"{METHOD}\" is)");
        let hint = "begin with the model's own weights in 16 bits: [quantization] of the recipe quantises them \
                    while they are read";
        own.report_with_hint("quant_method", message, hint);
        return None;
    }
    if own.flag("llm_int8_has_fp16_weight") == Some(true) {
        own.report("llm_int8_has_fp16_weight", "true: weights in 16 bits are not those of a frozen base");
    }
    let bits = ["load_in_4bit", "load_in_8bit"].map(|key| own.flag(key).unwrap_or(false));
    if bits[0] == bits[1] {
        own.report("load_in_4bit", "either this or load_in_8bit must be true");
        return None;
    }
    if bits[1] {
        return Some(Codes::Int8);
    }
    // transformers' own default is FP4.
    let stated = own.text("bnb_4bit_quant_type").unwrap_or_else(|| FourBitType::Fp4.name().to_owned());
    let known = [FourBitType::Nf4, FourBitType::Fp4];
    let Some(quant_type) = known.into_iter().find(|known| known.name() == stated) else {
        own.report("bnb_4bit_quant_type", format!("\"{stated}\" is not supported (\"nf4\" and \"fp4\" are)"));
        return None;
    };
    let double = own.flag("bnb_4bit_use_double_quant").unwrap_or(false);
    Some(Codes::FourBit { quant_type, double })
}

/// The object of weights that are saved as `codes`, all other tensors as `dtype`.
pub(super) fn to_json(codes: Codes, dtype: FloatType) -> Value {
    let (four, double) = match codes {
        Codes::FourBit { quant_type, double } => (Some(quant_type), double),
        Codes::Int8 => (None, false),
    };
    json!({
        "_load_in_4bit": four.is_some(),
        "_load_in_8bit": four.is_none(),
        "bnb_4bit_compute_dtype": dtype.torch_name(),
        "bnb_4bit_quant_storage": "uint8",
        "bnb_4bit_quant_type": four.unwrap_or(FourBitType::Nf4).name(),
        "bnb_4bit_use_double_quant": double,
        "llm_int8_enable_fp32_cpu_offload": false,
        "llm_int8_has_fp16_weight": false,
        "llm_int8_skip_modules": null,
        "llm_int8_threshold": 6.0,
        "load_in_4bit": four.is_some(),
        "load_in_8bit": four.is_none(),
        "quant_method": METHOD,
    })
}
