//! Other trainers' words for values.

/// Foreign names of values.
pub(super) const WORDS: &[(&str, &str, &str)] = &[
    ("model.dtype", "bf16", "bfloat16"),
    ("model.dtype", "fp16", "float16"),
    ("model.dtype", "f16", "float16"),
    ("model.dtype", "half", "float16"),
    ("model.dtype", "fp32", "float32"),
    ("model.dtype", "f32", "float32"),
    ("model.dtype", "float", "float32"),
    ("train.gradient_checkpointing", "offload", "true, with activation_offloading = true"),
    ("train.gradient_checkpointing", "unsloth", "true, with activation_offloading = true"),
    ("train.optim", "adamw", "adamw_torch"),
    ("train.optim", "adamw_hf", "adamw_torch"),
    ("train.optim", "adamw_torch_fused", "adamw_torch"),
    ("train.optim", "paged_adamw_32bit", "adamw_torch"),
    ("train.optim", "adamw_bnb_8bit", "adamw_8bit"),
    ("train.optim", "paged_adamw_8bit", "adamw_8bit"),
    ("model.device", "gpu", "cuda"),
    ("model.device", "metal", "wgpu"),
    ("model.device", "mps", "wgpu"),
    ("model.device", "vulkan", "wgpu"),
    ("lora.init_lora_weights", "kaiming", "true"),
    ("lora.init_lora_weights", "kaiming_uniform", "true"),
    ("lora.init_lora_weights", "default", "true"),
    ("lora.target_modules", "all", "all-linear"),
    ("curriculum.difficulty", "dif", "prc_emo"),
    ("curriculum.difficulty", "emotion_shift", "es"),
    ("curriculum.difficulty", "weighted_emotion_shift", "wes"),
    ("curriculum.direction", "ascending", "easy_to_hard"),
    ("curriculum.direction", "descending", "hard_to_easy"),
    ("curriculum.pacing", "fixed_linear", "linear"),
    ("curriculum.pacing", "fixed_root", "root"),
    ("curriculum.pacing", "sqrt", "root"),
    ("retrieval.order", "ascending", "most_similar_last"),
    ("retrieval.order", "descending", "most_similar_first"),
    ("eval.metric_for_best_model", "wf1", "weighted_f1"),
    ("eval.metric_for_best_model", "acc", "accuracy"),
    ("eval.metric_for_best_model", "perplexity", "loss"),
];

/// Foreign keys whose values choose between keys, or are words of their own: key and value, our key and its value.
pub(super) const VALUED: &[(&str, &str, &str, &str)] = &[
    ("quantization_bit", "4", "quantization.load_in_4bit", "true"),
    ("quantization_bit", "8", "quantization.load_in_8bit", "true"),
    ("lora_target", "all", "lora.target_modules", "\"all-linear\""),
    ("lora_target_modules", "all", "lora.target_modules", "\"all-linear\""),
    ("adapter", "lora", "train.method", "\"lora\""),
    ("adapter", "qlora", "quantization.load_in_4bit", "true"),
    ("adapter", "dora", "lora.use_dora", "true"),
    ("eval_strategy", "epoch", "eval.eval_steps", "1.0"),
    ("eval_strategy", "no", "eval.eval_steps", "0"),
    ("evaluation_strategy", "epoch", "eval.eval_steps", "1.0"),
    ("evaluation_strategy", "no", "eval.eval_steps", "0"),
    ("save_strategy", "no", "save.save_steps", "0"),
    ("train_on_inputs", "false", "train.completion_only_loss", "true"),
    ("train_on_inputs", "true", "train.completion_only_loss", "false"),
    ("train_on_prompt", "false", "train.completion_only_loss", "true"),
    ("train_on_prompt", "true", "train.completion_only_loss", "false"),
    ("use_gradient_checkpointing", "unsloth", "train.activation_offloading", "true"),
    ("disable_shuffling", "true", "curriculum.shuffle", "false"),
    ("disable_shuffling", "false", "curriculum.shuffle", "true"),
];

/// Where the curves of other trackers are dealt with.
const TRACKERS: [&str; 9] =
    ["wandb", "mlflow", "comet_ml", "comet", "neptune", "clearml", "swanlab", "trackio", "aim"];

/// The hint at another tracker.
pub(crate) const TRACKING: &str = "recipes/tracking.md of the project says how W&B and MLflow take curves in";

/// Our name for another tool's value of `key` (`section.key`); `name` in folded spelling.
pub(crate) fn word(key: &str, name: &str) -> Option<&'static str> {
    WORDS.iter().find(|(of, foreign, _)| *of == key && *foreign == name).map(|(_, _, ours)| *ours)
}

/// Our key (`section.key`) and its value for another tool's key with this value; both in folded spelling.
pub(crate) fn valued(name: &str, value: &str) -> Option<(&'static str, &'static str)> {
    let found = VALUED.iter().find(|(foreign, given, ..)| *foreign == name && *given == value);
    found.map(|(.., ours, written)| (*ours, *written))
}

/// Whether this is another tracker; `name` in folded spelling.
pub(crate) fn is_tracker(name: &str) -> bool {
    TRACKERS.contains(&name)
}
