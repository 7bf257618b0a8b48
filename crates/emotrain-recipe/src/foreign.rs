//! Other trainers' names for keys of a recipe.
//!
//! They are refused with the right name instead of accepted: an alias that works silently becomes a second spelling.

mod words;

pub(crate) use self::words::{TRACKING, is_tracker, valued, word};

/// The meaning of a foreign name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Meaning {
    /// The key `section.key` of this vocabulary.
    Key(&'static str),
    /// This key with this value.
    Value(&'static str, &'static str),
    /// This key, whose value differs as remarked.
    Remark(&'static str, &'static str),
    /// Not supported, for this reason.
    Absent(&'static str),
}

use Meaning::{Absent, Key, Remark, Value};

/// What is in the place of packing.
const PACKING: &str =
    "rows of a batch are computed without padding and do not see each other, so nothing is left to pack";

/// What dividing a model among devices would need.
const ONE_DEVICE: &str = "not supported: each device has the whole base; model.num_devices deals the micro-batches of a \
                          step to several GPUs of a machine";

/// What training on several machines would need.
const ONE_MACHINE: &str = "not supported: a run trains on one machine, on model.num_devices of its GPUs; emotrain sweep \
                           has a run on each of many";

/// What becomes of a result.
const NO_UPLOAD: &str = "nothing is uploaded; emotrain export writes what others load";

/// What attention is computed by.
const ATTENTION: &str =
    "\"auto\" is flash attention on the CPU and on GPUs that have tensor cores for the model's numbers";

/// Why no chat template is named.
const CHAT_TEMPLATE: &str = "the chat template is the one that comes with the tokenizer";

/// How one file is divided.
const PARTS: &str = "the shares of all parts, as in [0.9, 0.1]; dialogues stay whole";

/// Why an adapter has no trained embedding or head.
const WHOLE_LAYERS: &str = "an adapter has only low-rank factors: servers load no whole layers with it, and the \
vocabulary stays the base's, so that embedding and head are not resized; train.method = \"full\" trains every layer";

/// Foreign keys, in any section.
const KEYS: &[(&str, Meaning)] = &[
    // [model]
    ("base_model", Key("model.model_name_or_path")),
    ("model", Key("model.model_name_or_path")),
    ("model_id", Key("model.model_name_or_path")),
    ("model_name", Key("model.model_name_or_path")),
    ("model_path", Key("model.model_name_or_path")),
    ("pretrained_model_name_or_path", Key("model.model_name_or_path")),
    ("model_revision", Key("model.revision")),
    ("torch_dtype", Key("model.dtype")),
    ("precision", Key("model.dtype")),
    ("bf16", Value("model.dtype", "\"bfloat16\"")),
    ("fp16", Value("model.dtype", "\"float16\"")),
    ("device_map", Key("model.device")),
    ("tokenizer_name_or_path", Absent("the tokenizer is that of the model")),
    ("use_fast_tokenizer", Absent("there is one implementation of tokenizers")),
    ("tf32", Absent("model.dtype is what is computed in, on every device")),
    ("use_cpu", Value("model.device", "\"cpu\"")),
    // [quantization]
    ("quantization_bit", Remark("quantization.load_in_4bit", "or load_in_8bit = true for 8 bits")),
    ("load_in_4_bit", Key("quantization.load_in_4bit")),
    ("load_in_8_bit", Key("quantization.load_in_8bit")),
    ("quant_type", Key("quantization.bnb_4bit_quant_type")),
    ("quantization_type", Key("quantization.bnb_4bit_quant_type")),
    ("double_quantization", Key("quantization.bnb_4bit_use_double_quant")),
    ("use_nested_quant", Key("quantization.bnb_4bit_use_double_quant")),
    (
        "bnb_config_kwargs",
        Remark("quantization.bnb_4bit_quant_type", "and its other keys under [quantization]"),
    ),
    ("quantization_method", Absent("bitsandbytes' NF4, FP4 and int8 are what there is: see [quantization]")),
    // [lora]
    ("adapter_name_or_path", Key("lora.init_from")),
    ("lora_model_dir", Key("lora.init_from")),
    ("lora_rank", Key("lora.r")),
    ("lora_r", Key("lora.r")),
    ("rank", Key("lora.r")),
    ("alpha", Key("lora.lora_alpha")),
    ("scale", Remark("lora.lora_alpha", "it is the scale times r")),
    ("lora_scale", Remark("lora.lora_alpha", "it is the scale times r")),
    ("dropout", Key("lora.lora_dropout")),
    ("lora_target", Key("lora.target_modules")),
    ("lora_target_modules", Key("lora.target_modules")),
    ("lora_target_linear", Value("lora.target_modules", "\"all-linear\"")),
    ("rslora", Key("lora.use_rslora")),
    ("peft_use_rslora", Key("lora.use_rslora")),
    ("peft_layers_to_transform", Key("lora.layers_to_transform")),
    ("num_layers", Remark("lora.layers_to_transform", "a list of the blocks' numbers, the first is 0")),
    (
        "layers_pattern",
        Absent("lora.layers_to_transform counts the decoder's blocks, of which there is one list"),
    ),
    ("dora", Key("lora.use_dora")),
    ("peft_use_dora", Key("lora.use_dora")),
    ("pissa_init", Value("lora.init_lora_weights", "\"pissa\"")),
    ("pissa_iter", Remark("lora.init_lora_weights", "with the number in it, as in \"pissa_niter_16\"")),
    ("pissa_convert", Absent("an adapter is always saved for the base as it is")),
    ("peft_init_lora_weights", Key("lora.init_lora_weights")),
    ("modules_to_save", Absent(WHOLE_LAYERS)),
    ("lora_modules_to_save", Absent(WHOLE_LAYERS)),
    ("additional_target", Absent(WHOLE_LAYERS)),
    // [data]
    ("dataset", Key("data.train")),
    ("datasets", Key("data.train")),
    ("dataset_path", Key("data.train")),
    ("train_file", Key("data.train")),
    ("train_dataset", Key("data.train")),
    ("dataset_dir", Remark("data.train", "the path of a file")),
    ("dataset_text_field", Remark("data.columns", "as in { text = \"said\" }, for tables of utterances")),
    ("train_data", Key("data.train")),
    ("validation_file", Key("data.valid")),
    ("valid_file", Key("data.valid")),
    ("val_file", Key("data.valid")),
    ("eval_dataset", Key("data.valid")),
    ("test_file", Key("data.test")),
    ("test_dataset", Key("data.test")),
    ("test_datasets", Key("data.test")),
    ("val_set_size", Remark("data.split", PARTS)),
    ("val_size", Remark("data.split", PARTS)),
    ("test_size", Remark("data.split", PARTS)),
    ("dataset_format", Key("data.format")),
    ("max_eval_samples", Key("data.max_valid_samples")),
    ("max_predict_samples", Key("data.max_test_samples")),
    // [prompt]
    ("prompt_template", Key("prompt.template")),
    ("chat_template", Absent(CHAT_TEMPLATE)),
    ("window", Key("prompt.history_window")),
    ("window_size", Key("prompt.history_window")),
    ("context_window", Key("prompt.history_window")),
    // [retrieval]
    ("retrieval_bank", Key("retrieval.bank")),
    ("demonstrations", Key("retrieval.bank")),
    ("embedding_model", Key("retrieval.encoder")),
    ("encoder_name", Key("retrieval.encoder")),
    ("index_type", Key("retrieval.index")),
    ("efSearch", Key("retrieval.ef_search")),
    ("hnsw_ef", Key("retrieval.ef_search")),
    ("expansion_search", Key("retrieval.ef_search")),
    ("top_k", Key("retrieval.k")),
    ("n_shots", Key("retrieval.k")),
    ("num_demonstrations", Key("retrieval.k")),
    ("score_threshold", Key("retrieval.min_score")),
    ("similarity_threshold", Key("retrieval.min_score")),
    // [interpret]
    ("api_base", Key("interpret.base_url")),
    ("api_base_url", Key("interpret.base_url")),
    ("openai_api_base", Key("interpret.base_url")),
    ("endpoint", Key("interpret.base_url")),
    ("api_key", Remark("interpret.api_key_env", "the name of an environment variable, not the key")),
    ("openai_api_key", Remark("interpret.api_key_env", "the name of an environment variable, not the key")),
    ("max_concurrency", Key("interpret.concurrency")),
    ("max_concurrent_requests", Key("interpret.concurrency")),
    ("timeout", Key("interpret.timeout_s")),
    ("request_timeout", Key("interpret.timeout_s")),
    ("rpm", Key("interpret.requests_per_minute")),
    ("max_new_tokens", Key("interpret.max_tokens")),
    ("max_completion_tokens", Key("interpret.max_tokens")),
    // [train]
    ("finetuning_type", Key("train.method")),
    ("adapter", Remark("train.method", "QLoRA is load_in_4bit = true under [quantization]")),
    ("is_trainable", Absent("lora.init_from names an adapter, which is trained on")),
    ("run_name", Remark("train.output_dir", "a run has the name of its folder")),
    ("hub_model_id", Absent(NO_UPLOAD)),
    ("push_to_hub", Absent(NO_UPLOAD)),
    ("neftune_alpha", Key("train.neftune_noise_alpha")),
    ("assistant_only_loss", Key("train.completion_only_loss")),
    ("pad_to_sequence_len", Absent(PACKING)),
    ("torch_compile", Absent("there is one implementation of the model")),
    ("use_liger_kernel", Absent("there is one implementation of the model")),
    ("dataset_num_proc", Absent("prompts are made before training begins")),
    ("lr", Key("train.learning_rate")),
    ("lora_plus_lr_ratio", Key("train.loraplus_lr_ratio")),
    ("loraplus_lr_embedding", Absent("the embedding gets no adapter, so that it has no learning rate")),
    ("loraplus_weight_decay", Key("train.weight_decay")),
    ("micro_batch_size", Key("train.per_device_train_batch_size")),
    ("batch_size", Key("train.per_device_train_batch_size")),
    ("train_batch_size", Key("train.per_device_train_batch_size")),
    ("grad_accumulation_steps", Key("train.gradient_accumulation_steps")),
    ("accumulation_steps", Key("train.gradient_accumulation_steps")),
    ("num_epochs", Key("train.num_train_epochs")),
    ("epochs", Key("train.num_train_epochs")),
    ("n_epochs", Key("train.num_train_epochs")),
    ("iters", Remark("train.max_steps", "counted in optimiser steps")),
    ("optimizer", Key("train.optim")),
    ("lr_scheduler", Key("train.lr_scheduler_type")),
    ("scheduler", Key("train.lr_scheduler_type")),
    ("clip_grad_norm", Key("train.max_grad_norm")),
    ("grad_clip", Key("train.max_grad_norm")),
    ("gradient_clipping", Key("train.max_grad_norm")),
    ("max_gradient_norm", Key("train.max_grad_norm")),
    ("cutoff_len", Key("train.max_seq_length")),
    ("sequence_len", Key("train.max_seq_length")),
    ("max_length", Key("train.max_seq_length")),
    ("max_seq_len", Key("train.max_seq_length")),
    ("model_max_length", Key("train.max_seq_length")),
    ("label_smoothing", Key("train.label_smoothing_factor")),
    ("class_weight", Key("train.class_weights")),
    ("label_weights", Key("train.class_weights")),
    ("loss_weights", Key("train.class_weights")),
    ("balanced_sampling", Value("data.sampling", "\"balanced\"")),
    ("oversampling", Value("data.sampling", "\"balanced\"")),
    ("weighted_sampler", Value("data.sampling", "\"balanced\"")),
    ("train_on_inputs", Remark("train.completion_only_loss", "with the opposite meaning")),
    ("train_on_prompt", Remark("train.completion_only_loss", "with the opposite meaning")),
    ("mask_prompt", Key("train.completion_only_loss")),
    ("grad_checkpoint", Key("train.gradient_checkpointing")),
    ("sample_packing", Absent(PACKING)),
    ("packing", Absent(PACKING)),
    ("neat_packing", Absent(PACKING)),
    ("overwrite_cache", Absent("prompts are made anew for each run")),
    ("plot_loss", Absent("emotrain report RUN draws the curves")),
    ("use_peft", Value("train.method", "\"lora\"")),
    ("task_type", Absent("every model here is a causal language model")),
    ("lora_task_type", Absent("every model here is a causal language model")),
    ("bias", Absent("an adapter has only low-rank factors: biases are the base's")),
    ("dataloader_num_workers", Absent("prompts are made before training begins")),
    ("preprocessing_num_workers", Absent("prompts are made before training begins")),
    ("gradient_checkpointing_kwargs", Key("train.gradient_checkpointing")),
    ("enable_activation_checkpointing", Key("train.gradient_checkpointing")),
    ("activation_checkpointing", Key("train.gradient_checkpointing")),
    ("use_gradient_checkpointing", Key("train.gradient_checkpointing")),
    ("selective_ac_option", Remark("train.gradient_checkpointing_every", "a number of layers")),
    ("activation_checkpoint_interval", Key("train.gradient_checkpointing_every")),
    ("enable_activation_offloading", Key("train.activation_offloading")),
    ("cpu_checkpointing", Key("train.activation_offloading")),
    ("use_unsloth_gc", Key("train.activation_offloading")),
    ("deepspeed", Absent(ONE_DEVICE)),
    ("fsdp", Absent(ONE_DEVICE)),
    ("fsdp_config", Absent(ONE_DEVICE)),
    ("ddp_timeout", Absent(ONE_DEVICE)),
    ("num_gpus", Key("model.num_devices")),
    ("n_gpu", Key("model.num_devices")),
    ("devices", Key("model.num_devices")),
    ("num_processes", Key("model.num_devices")),
    ("nproc_per_node", Key("model.num_devices")),
    ("world_size", Key("model.num_devices")),
    ("num_nodes", Absent(ONE_MACHINE)),
    ("nnodes", Absent(ONE_MACHINE)),
    ("num_machines", Absent(ONE_MACHINE)),
    ("flash_attn", Remark("model.attn_implementation", ATTENTION)),
    ("flash_attention", Remark("model.attn_implementation", ATTENTION)),
    ("use_flash_attn", Remark("model.attn_implementation", ATTENTION)),
    ("use_unsloth", Absent("there is one implementation of the model")),
    ("stage", Absent("there is one kind of training, supervised fine-tuning (sft)")),
    ("do_train", Absent("a recipe is a training; emotrain eval and emotrain predict do the rest")),
    ("overwrite_output_dir", Remark("train.output_dir", "a run never overwrites another")),
    ("trust_remote_code", Absent("no code of a model is run")),
    ("out_dir", Key("train.output_dir")),
    ("adapter_path", Key("train.output_dir")),
    // [curriculum]
    ("curriculum_name", Key("curriculum.name")),
    ("curriculum_type", Key("curriculum.difficulty")),
    ("difficulty_measure", Key("curriculum.difficulty")),
    ("difficulty_metric", Key("curriculum.difficulty")),
    ("curriculum_scheduler", Key("curriculum.scheduler")),
    ("schedule_type", Key("curriculum.scheduler")),
    ("training_scheduler", Key("curriculum.scheduler")),
    ("bucket_num", Key("curriculum.num_buckets")),
    ("bucket_number", Key("curriculum.num_buckets")),
    ("n_buckets", Key("curriculum.num_buckets")),
    ("num_bins", Key("curriculum.num_buckets")),
    ("pacing_function", Key("curriculum.pacing")),
    ("c0", Key("curriculum.initial_competence")),
    ("curriculum_length", Remark("curriculum.competence_epochs", "counted in epochs")),
    ("total_curriculum_step", Remark("curriculum.competence_epochs", "counted in epochs")),
    ("disable_shuffling", Remark("curriculum.shuffle", "with the opposite meaning")),
    ("anti_curriculum", Value("curriculum.direction", "\"hard_to_easy\"")),
    // [eval]
    ("eval_batch_size", Key("eval.per_device_eval_batch_size")),
    ("steps_per_eval", Key("eval.eval_steps")),
    ("evals_per_epoch", Remark("eval.eval_steps", "a share of an epoch, such as 0.25 for four of them")),
    ("saves_per_epoch", Remark("save.save_steps", "counted in optimiser steps")),
    ("evaluation_strategy", Remark("eval.eval_steps", "1.0 = once per epoch, 0 = only at the end")),
    ("eval_strategy", Remark("eval.eval_steps", "1.0 = once per epoch, 0 = only at the end")),
    ("do_eval", Remark("data.valid", "a run with a validation split is evaluated")),
    ("do_predict", Key("eval.test")),
    ("patience", Key("eval.early_stopping_patience")),
    ("eval_method", Key("eval.output_type")),
    ("predict_with_generate", Remark("eval.output_type", "the value \"generate_until\"")),
    ("eval_on_start", Key("eval.baseline")),
    // [save]
    ("save_every", Key("save.save_steps")),
    ("steps_per_save", Key("save.save_steps")),
    ("save_strategy", Remark("save.save_steps", "0 = only at the end")),
    ("save_limit", Key("save.save_total_limit")),
    ("resume", Key("save.resume_from_checkpoint")),
    ("auto_resume_from_checkpoints", Value("save.resume_from_checkpoint", "\"latest\"")),
    // [logging]
    ("logging_dir", Remark("train.output_dir", "TensorBoard files are written to tb/ inside it")),
    ("steps_per_report", Key("logging.logging_steps")),
    ("log_every_n_steps", Key("logging.logging_steps")),
    ("use_wandb", Key("logging.report_to")),
    ("wandb_project", Remark("logging.report_to", TRACKING)),
    ("wandb_name", Remark("logging.report_to", TRACKING)),
    ("logger", Key("logging.report_to")),
];

/// Foreign keys that are keys of other sections here and mean something else: section, key, meaning.
const HOMONYMS: &[(&str, &str, Meaning)] = &[
    ("data", "dataset_name", Remark("data.train", "the path of a file")),
    ("data", "max_samples", Key("data.max_train_samples")),
    ("train", "max_samples", Key("data.max_train_samples")),
    ("data", "template", Absent(CHAT_TEMPLATE)),
    ("model", "template", Absent(CHAT_TEMPLATE)),
    ("train", "template", Absent(CHAT_TEMPLATE)),
];

/// Foreign section names.
const SECTIONS: &[(&str, &str)] = &[
    ("adapter", "lora"),
    ("peft", "lora"),
    ("dataset", "data"),
    ("datasets", "data"),
    ("template", "prompt"),
    ("rag", "retrieval"),
    ("retriever", "retrieval"),
    ("demonstrations", "retrieval"),
    ("training", "train"),
    ("trainer", "train"),
    ("training_arguments", "train"),
    ("training_args", "train"),
    ("sft_config", "train"),
    ("method", "train"),
    ("output", "train"),
    ("model_arguments", "model"),
    ("data_arguments", "data"),
    ("optimizer", "train"),
    ("optim", "train"),
    ("scheduler", "train"),
    ("evaluation", "eval"),
    ("validation", "eval"),
    ("curriculum_learning", "curriculum"),
    ("checkpoint", "save"),
    ("checkpointing", "save"),
    ("log", "logging"),
];

/// The meaning of another tool's key; `name` in folded spelling.
pub(crate) fn key(name: &str) -> Option<Meaning> {
    KEYS.iter().find(|(foreign, _)| *foreign == name).map(|(_, meaning)| *meaning)
}

/// The meaning of another tool's key in a section of ours, where other sections of ours have a key of its name; both in
/// folded spelling.
pub(crate) fn homonym(section: &str, name: &str) -> Option<Meaning> {
    let found = HOMONYMS.iter().find(|(of, foreign, _)| *of == section && *foreign == name);
    found.map(|(.., meaning)| *meaning)
}

/// Our name of another tool's section; `name` in folded spelling.
pub(crate) fn section(name: &str) -> Option<&'static str> {
    SECTIONS.iter().find(|(foreign, _)| *foreign == name).map(|(_, ours)| *ours)
}

#[cfg(test)]
mod tests;
