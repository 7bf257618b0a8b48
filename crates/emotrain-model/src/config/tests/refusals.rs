use std::path::Path;

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::{complaint, llama, qwen2, qwen3, read, with};
use crate::config::ModelConfig;

/// Each patch of `base` is refused; all the messages.
pub(super) fn check_refusals(base: &Value, patches: &[Value], expected: &Expect) {
    let messages: String = patches.iter().map(|patch| complaint(read(&with(base.clone(), patch)))).collect();
    expected.assert_eq(&messages);
}

#[test]
fn other_families_are_refused_by_name() {
    check_refusals(
        &llama(),
        &[
            json!({"model_type": "mixtral", "architectures": ["MixtralForCausalLM"], "sliding_window": 4096}),
            json!({"model_type": "absent"}),
            json!({"model_type": 3}),
            json!({"architectures": ["LlamaForSequenceClassification"]}),
        ],
        &expect![[r#"
            config.json: model_type: "mixtral" is not supported
              hint: supported: llama, mistral, qwen2, qwen3, phi3, gemma3_text
            config.json: model_type: missing
            config.json: model_type: expected a string, found 3
            config.json: architectures: ["LlamaForSequenceClassification"] is not supported
              hint: for model_type "llama" it must be ["LlamaForCausalLM"]
        "#]],
    );
}

#[test]
fn unsupported_settings_are_refused_by_name() {
    check_refusals(
        &llama(),
        &[
            json!({"attention_bias": true}),
            json!({"mlp_bias": true}),
            json!({"hidden_act": "gelu"}),
            json!({"attention_dropout": 0.1}),
            json!({"pretraining_tp": 2}),
            json!({"partial_rotary_factor": 0.5}),
            json!({"sliding_window": 4096}),
            json!({"layer_types": ["full_attention", "sliding_attention"]}),
            json!({"rope_interleaved": true}),
            json!({"auto_map": {"AutoModelForCausalLM": "modeling_mine.MyModel"}}),
            json!({"final_logit_softcapping": 30.0}),
            json!({"num_local_experts": 8, "num_experts_per_tok": 2}),
            json!({"attention_multiplier": 0.5, "residual_multiplier": 0.22}),
            json!({"is_causal": false}),
            json!({"use_qk_norm": true}),
            json!({"attn_pdrop": 0.1}),
        ],
        &expect![[r#"
            config.json: attention_bias: true is not supported for model_type "llama"
            config.json: mlp_bias: true is not supported: biases in the feed-forward block (must be false)
            config.json: hidden_act: "gelu" is not supported: another activation (must be "silu")
            config.json: attention_dropout: 0.1 is not supported: dropout inside attention (must be 0)
            config.json: pretraining_tp: 2 is not supported: sliced matrix products (must be 1)
            config.json: partial_rotary_factor: 0.5 is not supported: partly rotated heads (must be 1)
            config.json: sliding_window: 4096: sliding-window attention is not supported
            config.json: layer_types: "sliding_attention" is not supported (only "full_attention")
            config.json: rope_interleaved: true is not supported: interleaved rotary pairs (must be false)
            config.json: auto_map: {"AutoModelForCausalLM":"modeling_mine.MyModel"} is not supported: model code of its own (must be absent)
            config.json: final_logit_softcapping: 30.0 is not supported: capped logits (must be absent)
            config.json: num_local_experts: 8 is not supported: a mixture of experts (must be absent)
            config.json: num_experts_per_tok: 2 is not supported: a mixture of experts (must be absent)
            config.json: attention_multiplier: 0.5 is not supported: scaled activations (must be absent)
            config.json: residual_multiplier: 0.22 is not supported: scaled activations (must be 1)
            config.json: is_causal: false is not supported: attention to what comes later (must be true)
            config.json: use_qk_norm: true is not supported for model_type "llama"
            config.json: attn_pdrop: 0.1 is not supported: dropout while training (must be absent)
        "#]],
    );
    check_refusals(
        &qwen2(),
        &[json!({"use_sliding_window": true}), json!({"attention_bias": false}), json!({"qkv_bias": false})],
        &expect![[r#"
            config.json: sliding_window: 32768: sliding-window attention is not supported
            config.json: attention_bias: false is not supported for model_type "qwen2"
            config.json: qkv_bias: false is not supported for model_type "qwen2"
        "#]],
    );
    check_refusals(
        &qwen3(),
        &[json!({"attention_bias": true}), json!({"layer_types": ["full_attention"]})],
        &expect![[r#"
            config.json: attention_bias: true is not supported for model_type "qwen3"
            config.json: layer_types: 1 entries for num_hidden_layers = 2
        "#]],
    );
}

#[test]
fn weights_quantised_by_other_tools_are_refused_by_name() {
    let settings = [
        json!({"quant_method": "gptq", "bits": 4}),
        json!({"load_in_4bit": true, "load_in_8bit": true}),
        json!({"load_in_4bit": true, "bnb_4bit_quant_type": "nf3", "llm_int8_skip_modules": 3}),
        json!({"load_in_8bit": true, "llm_int8_has_fp16_weight": true}),
        json!("nf4"),
    ];
    let patches = settings.map(|setting| json!({"quantization_config": setting}));
    check_refusals(
        &llama(),
        &patches,
        &expect![[r#"
        config.json: quantization_config.quant_method: "gptq" is not supported ("bitsandbytes" is)
          hint: begin with the model's own weights in 16 bits: [quantization] of the recipe quantises them while they are read
        config.json: quantization_config.load_in_4bit: either this or load_in_8bit must be true
        config.json: quantization_config.bnb_4bit_quant_type: "nf3" is not supported ("nf4" and "fp4" are)
        config.json: quantization_config.llm_int8_skip_modules: expected a list of strings, found 3
        config.json: quantization_config.llm_int8_has_fp16_weight: true: weights in 16 bits are not those of a frozen base
        config.json: quantization_config: expected an object, found "nf4"
    "#]],
    );
}

#[test]
fn rotary_settings_are_refused_by_name() {
    let scaling = json!({
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    });
    let scaled = |patch: Value| json!({"rope_scaling": with(scaling.clone(), &patch)});
    check_refusals(
        &llama(),
        &[
            json!({"rope_theta": "absent"}),
            json!({"rope_theta": "absent", "rope_parameters": {"rope_type": "default"}}),
            json!({"rope_theta": "a lot"}),
            json!({"rope_theta": 0}),
            json!({"rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0}}),
            json!({"rope_scaling": {"type": "dynamic", "factor": 2.0}}),
            json!({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}),
            json!({"rope_scaling": {"rope_type": "linear"}}),
            json!({"rope_scaling": {"rope_type": "linear", "factor": 0.25}}),
            json!({"rope_scaling": {"rope_type": "linear", "factor": 2.0, "partial_rotary_factor": 0.5}}),
            json!({"rope_scaling": {"rope_type": "default", "mrope_section": [16, 24, 24]}}),
            json!({"rope_parameters": {"full_attention": {"rope_theta": 100_000.0}}}),
            json!({"rope_scaling": scaling, "rope_parameters": {"rope_theta": 100_000.0}}),
            scaled(json!({"factor": "absent", "original_max_position_embeddings": 0.5})),
            scaled(json!({"factor": 0.5})),
            scaled(json!({"low_freq_factor": 4.0})),
            scaled(json!({"low_freq_factor": -1.0, "original_max_position_embeddings": 0})),
        ],
        &expect![[r#"
            config.json: rope_theta: missing
              hint: add the value the model was trained with: there is no safe default
            config.json: rope_theta: missing
              hint: add the value the model was trained with: there is no safe default
            config.json: rope_theta: expected a number, found "a lot"
            config.json: rope_theta: 0 is not a number above 1
            config.json: rope_theta: 100000 differs from rope_parameters.rope_theta = 10000
            config.json: rope_scaling.rope_type: "dynamic" is not supported
              hint: supported: default, linear, llama3, longrope
            config.json: rope_scaling.rope_type: "yarn" is not supported
              hint: supported: default, linear, llama3, longrope
            config.json: rope_scaling.factor: missing
            config.json: rope_scaling.factor: 0.25 is not a number from 1 up
            config.json: rope_scaling.partial_rotary_factor: 0.5 is not supported (must be 1)
            config.json: rope_scaling.mrope_section: not a setting of rope_type "default": [16,24,24]
              hint: remove the key from a copy of the file if it does not change what the model computes
            config.json: rope_parameters.full_attention: not a setting of rope_type "default": {"rope_theta":100000.0}
              hint: remove the key from a copy of the file if it does not change what the model computes
            config.json: rope_scaling: differs from rope_parameters
            config.json: rope_scaling.factor: missing
            config.json: rope_scaling.original_max_position_embeddings: expected a whole number, found 0.5
            config.json: rope_scaling.factor: 0.5 is not a number from 1 up
            config.json: rope_scaling.high_freq_factor: 4 is not above low_freq_factor = 4
            config.json: rope_scaling.low_freq_factor: -1 is not above 0
            config.json: rope_scaling.original_max_position_embeddings: must be at least 1
        "#]],
    );
}

#[test]
fn inconsistent_sizes_are_refused() {
    check_refusals(
        &llama(),
        &[
            json!({"hidden_size": 0}),
            json!({"hidden_size": 577}),
            json!({"num_key_value_heads": 2}),
            json!({"num_attention_heads": 0}),
            json!({"head_dim": 63}),
            json!({"vocab_size": -4}),
            json!({"vocab_size": 1_000_000_000_000_u64}),
            json!({"num_hidden_layers": 2_000_000}),
            json!({"rms_norm_eps": 0}),
            json!({"rms_norm_eps": "absent", "max_position_embeddings": "absent", "mlp_bias": "yes"}),
        ],
        &expect![[r#"
            config.json: hidden_size: must be at least 1
            config.json: head_dim: must be at least 1
            config.json: num_attention_heads: 9 does not divide hidden_size = 577
              hint: or state head_dim
            config.json: num_key_value_heads: 2 does not divide num_attention_heads = 9
            config.json: num_attention_heads: must be at least 1
            config.json: head_dim: must be at least 1
            config.json: head_dim: 63 is odd: rotary positions need pairs
            config.json: vocab_size: expected a whole number, found -4
            config.json: vocab_size: 1000000000000 is more than any model has (at most 268435456)
            config.json: num_hidden_layers: 2000000 is more than any model has (at most 10000)
            config.json: rms_norm_eps: 0 is not between 0 and 1
            config.json: rms_norm_eps: missing
            config.json: max_position_embeddings: missing
            config.json: mlp_bias: "yes" is not supported: biases in the feed-forward block (must be false)
        "#]],
    );
    check_refusals(
        &qwen3(),
        &[json!({"head_dim": "absent"}), json!({"num_key_value_heads": "absent"})],
        &expect![[r#"
            config.json: head_dim: missing
            config.json: num_key_value_heads: missing
        "#]],
    );
}

#[test]
fn text_that_is_no_object() {
    let messages: String = ["", "[1]", "{\"model_type\": "]
        .map(|text| complaint(ModelConfig::from_json(text, Path::new("config.json"))))
        .concat();
    expect![[r#"
        config.json: not valid JSON: EOF while parsing a value at line 1 column 0
          hint: the file is damaged or was cut short: download it again
        config.json: not valid JSON: invalid type: sequence, expected a map at line 1 column 0
          hint: the file is damaged or was cut short: download it again
        config.json: not valid JSON: EOF while parsing a value at line 1 column 15
          hint: the file is damaged or was cut short: download it again
    "#]]
    .assert_eq(&messages);
}
