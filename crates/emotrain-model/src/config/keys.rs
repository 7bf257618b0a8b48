//! Which keys of a `config.json` may be ignored, and which only at one value. A key in none of these lists is one
//! that this program does not know: the reader gets a warning.

use serde_json::Value;

/// Keys that cannot change the forward pass: bookkeeping, generation defaults, classification labels, and
/// switches that choose between implementations of the same computation.
pub(crate) const HARMLESS: &[&str] = &[
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_attn_implementation_internal",
    "_commit_hash",
    "_experts_implementation",
    "_name_or_path",
    "attn_implementation",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "cache_implementation",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "eos_token_id",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "id2label",
    "is_decoder",
    "is_llama_config",
    "keys_to_ignore_at_inference",
    "label2id",
    "length_penalty",
    "max_length",
    "max_sequence_length",
    "min_length",
    "model_name",
    "name_or_path",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "prefix",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
];

/// A value at which a key has no influence.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Neutral {
    False,
    True,
    Number(f64),
    Text(&'static str),
    /// An object without entries.
    Empty,
    /// Whatever switches a feature off: false, 0, an empty text, list or object.
    Off,
}

/// Whether a value leaves the feature of its key switched off.
pub(crate) fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
    }
}

/// A key that is accepted at one value only (or when it is absent or null).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Only {
    pub(crate) key: &'static str,
    pub(crate) neutral: Neutral,
    /// What the key would switch on.
    pub(crate) effect: &'static str,
}

/// Keys of features this crate does not compute, with the value that leaves them off.
pub(super) const ONLY: &[Only] = &[
    Only { key: "mlp_bias", neutral: Neutral::False, effect: "biases in the feed-forward block" },
    Only { key: "attention_dropout", neutral: Neutral::Number(0.0), effect: "dropout inside attention" },
    Only { key: "pretraining_tp", neutral: Neutral::Number(1.0), effect: "sliced matrix products" },
    Only { key: "partial_rotary_factor", neutral: Neutral::Number(1.0), effect: "partly rotated heads" },
    Only { key: "rope_interleaved", neutral: Neutral::False, effect: "interleaved rotary pairs" },
    Only { key: "use_mrope", neutral: Neutral::False, effect: "multimodal rotary positions" },
    Only {
        key: "chunk_size_feed_forward",
        neutral: Neutral::Number(0.0),
        effect: "a chunked feed-forward block",
    },
    Only { key: "is_encoder_decoder", neutral: Neutral::False, effect: "an encoder" },
    Only { key: "tie_encoder_decoder", neutral: Neutral::False, effect: "an encoder" },
    Only { key: "add_cross_attention", neutral: Neutral::False, effect: "cross-attention" },
    Only { key: "cross_attention_hidden_size", neutral: Neutral::Number(0.0), effect: "cross-attention" },
    Only { key: "pruned_heads", neutral: Neutral::Empty, effect: "pruned attention heads" },
    Only { key: "auto_map", neutral: Neutral::Empty, effect: "model code of its own" },
];

const fn off(key: &'static str, effect: &'static str) -> Only {
    Only { key, neutral: Neutral::Off, effect }
}

const fn one(key: &'static str, effect: &'static str) -> Only {
    Only { key, neutral: Neutral::Number(1.0), effect }
}

const fn yes(key: &'static str, effect: &'static str) -> Only {
    Only { key, neutral: Neutral::True, effect }
}

const EXPERTS: &str = "a mixture of experts";
const SCALED: &str = "scaled activations";
const CAPPED: &str = "capped logits";
const DROPOUT: &str = "dropout while training";
const BIASES: &str = "biases";
const PARALLEL: &str = "attention beside the feed-forward block";
const MODALITY: &str = "inputs that are not text";
const ROTARY: &str = "other rotary positions";
const ALIBI: &str = "linear biases in the place of positions";
const WINDOW: &str = "attention to a part of the text";
const QUANTISED: &str = "weights quantised by another tool";

/// Keys of other families, with the value that leaves their features off. They occur in files that were converted or
/// that say more than the family's own.
pub(crate) const FOREIGN: &[Only] = &[
    off("num_experts", EXPERTS),
    off("num_local_experts", EXPERTS),
    off("n_routed_experts", EXPERTS),
    off("n_shared_experts", EXPERTS),
    off("moe_num_experts", EXPERTS),
    off("num_experts_per_tok", EXPERTS),
    off("moe_intermediate_size", EXPERTS),
    off("attn_logit_softcapping", CAPPED),
    off("final_logit_softcapping", CAPPED),
    off("attn_logit_softcap", CAPPED),
    off("final_logit_softcap", CAPPED),
    off("query_pre_attn_scalar", SCALED),
    off("mup_width_multiplier", SCALED),
    off("attention_multiplier", SCALED),
    one("embedding_multiplier", SCALED),
    one("residual_multiplier", SCALED),
    one("lm_head_multiplier", SCALED),
    one("logits_scaling", SCALED),
    one("logit_scale", SCALED),
    one("scale_emb", SCALED),
    off("scale_embedding", SCALED),
    off("scale_depth", SCALED),
    off("dim_model_base", SCALED),
    off("scale_attn_by_inverse_layer_idx", SCALED),
    yes("scale_attn_weights", SCALED),
    off("clip_qkv", "clipped queries and keys"),
    off("use_alibi", ALIBI),
    off("alibi", ALIBI),
    off("no_rope_layers", ROTARY),
    off("no_rope_layer_interval", ROTARY),
    off("rope_local_base_freq", ROTARY),
    off("mrope_section", ROTARY),
    off("rotary_emb_interleaved", ROTARY),
    off("use_dynamic_ntk", ROTARY),
    off("use_logn_attn", SCALED),
    one("rope_ratio", ROTARY),
    one("rotary_pct", ROTARY),
    one("rotary_emb_fraction", ROTARY),
    yes("use_rope", ROTARY),
    off("attention_chunk_size", WINDOW),
    off("dual_chunk_attention_config", WINDOW),
    off("sliding_window_pattern", WINDOW),
    off("use_bidirectional_attention", "attention to what comes later"),
    one("full_attn_mod", WINDOW),
    one("interpolate_factor", ROTARY),
    off("window_size", WINDOW),
    off("attention_window", WINDOW),
    off("num_sink_tokens", "attention to sinks"),
    off("use_bias", BIASES),
    off("bias", BIASES),
    off("lm_head_bias", BIASES),
    off("attention_out_bias", BIASES),
    off("add_bias_linear", BIASES),
    off("parallel_attn", PARALLEL),
    off("use_parallel_residual", PARALLEL),
    off("parallel_residual", PARALLEL),
    off("new_decoder_architecture", PARALLEL),
    off("kv_lora_rank", "latent keys and values"),
    off("q_lora_rank", "latent queries"),
    off("num_kv_shared_layers", "layers that share keys and values"),
    off("hidden_size_per_layer_input", "embeddings in every layer"),
    off("altup_num_inputs", "several residual streams"),
    off("use_stable_embedding", "a norm behind the embeddings"),
    off("compression_config", QUANTISED),
    off("quantization", QUANTISED),
    off("quant_method", QUANTISED),
    off("vision_config", MODALITY),
    off("audio_config", MODALITY),
    off("mm_vision_tower", MODALITY),
    off("text_config", "a model inside another one"),
];

/// The same, of keys that encoders have for what they are or for what only training uses.
pub(super) const FOREIGN_TO_DECODERS: &[Only] = &[
    yes("is_causal", "attention to what comes later"),
    yes("causal", "attention to what comes later"),
    off("attn_pdrop", DROPOUT),
    off("resid_pdrop", DROPOUT),
    off("embd_pdrop", DROPOUT),
    off("hidden_dropout", DROPOUT),
    off("hidden_dropout_prob", DROPOUT),
    off("attention_probs_dropout_prob", DROPOUT),
    off("residual_dropout", DROPOUT),
    off("resid_dropout", DROPOUT),
    off("embedding_dropout", DROPOUT),
    off("embed_dropout", DROPOUT),
    off("activation_dropout", DROPOUT),
    off("layerdrop", DROPOUT),
];

/// Keys that name the activation.
pub(super) const ACTIVATION: [&str; 3] = ["hidden_act", "hidden_activation", "activation_function"];

/// Keys that only take part when a sliding window or `longrope` is in use, where they are asked for.
pub(super) const WINDOW_DETAILS: &[&str] = &["max_window_layers", "original_max_position_embeddings"];

/// Keys that say of Qwen2 or Qwen3 what they are by their nature, and of another family what it is not.
pub(super) const QUERY_KEY_NORM: [&str; 4] = ["qk_norm", "use_qk_norm", "qk_layernorm", "use_qk_layernorm"];
pub(super) const QUERY_KEY_VALUE_BIAS: [&str; 3] = ["qkv_bias", "use_qkv_bias", "add_qkv_bias"];
