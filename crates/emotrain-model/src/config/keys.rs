//! Which keys of a `config.json` may be ignored, and which only at one value.

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
    Number(f64),
    Text(&'static str),
    Empty,
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
    Only { key: "hidden_act", neutral: Neutral::Text("silu"), effect: "another activation" },
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
    Only { key: "quantization_config", neutral: Neutral::Empty, effect: "weights quantised by another tool" },
    Only { key: "auto_map", neutral: Neutral::Empty, effect: "model code of its own" },
];

/// Keys that only take part when a sliding window is in use, which is refused elsewhere.
pub(super) const WINDOW_DETAILS: &[&str] = &["max_window_layers"];
