//! Names that other trainers use.

use expect_test::expect;

use crate::check;

#[test]
fn names_of_llama_factory() {
    check(
        r#"
[model]
model_name_or_path = "tiny"
trust_remote_code = true
[lora]
lora_rank = 8
lora_target = "all"
[train]
finetuning_type = "lora"
cutoff_len = 2048
num_epochs = 3
[data]
train = "train.jsonl"
valid = "valid.jsonl"
dataset = "meld"
val_size = 0.1
"#,
        expect![[r#"
            erc.toml:3:1: "trust_remote_code" is another tool's key
              hint: no code of a model is run
            erc.toml:5:1: "lora_rank" is another tool's name for lora.r
              hint: write r = 8
            erc.toml:6:1: "lora_target" is another tool's name for lora.target_modules
              hint: write target_modules = "all-linear"
            erc.toml:8:1: "finetuning_type" is another tool's name for train.method
              hint: write method = "lora"
            erc.toml:9:1: "cutoff_len" is another tool's name for train.max_seq_length
              hint: write max_seq_length = 2048
            erc.toml:10:1: "num_epochs" is another tool's name for train.num_train_epochs
              hint: write num_train_epochs = 3
            erc.toml:14:1: "dataset" is another tool's name for data.train
              hint: write train = "meld"
            erc.toml:15:1: "val_size" is another tool's name for data.split
              hint: write split = …; the shares of all parts, as in [0.9, 0.1]; dialogues stay whole
        "#]],
    );
}

#[test]
fn names_of_axolotl() {
    check(
        r#"
[model]
base_model = "tiny"
bf16 = true
[lora]
lora_r = 8
lora_target_modules = ["q_proj"]
lora_target_linear = true
[train]
micro_batch_size = 2
sequence_len = 2048
sample_packing = true
train_on_inputs = false
[data]
train = "train.jsonl"
valid = "valid.jsonl"
val_set_size = 0.05
"#,
        expect![[r#"
            erc.toml:2:1: "base_model" is another tool's name for model.model_name_or_path
              hint: write model_name_or_path = "tiny"
            erc.toml:3:1: "bf16" is another tool's name for model.dtype
              hint: write dtype = "bfloat16"
            erc.toml:5:1: "lora_r" is another tool's name for lora.r
              hint: write r = 8
            erc.toml:6:1: "lora_target_modules" is another tool's name for lora.target_modules
              hint: write target_modules = …
            erc.toml:7:1: "lora_target_linear" is another tool's name for lora.target_modules
              hint: write target_modules = "all-linear"
            erc.toml:9:1: "micro_batch_size" is another tool's name for train.per_device_train_batch_size
              hint: write per_device_train_batch_size = 2
            erc.toml:10:1: "sequence_len" is another tool's name for train.max_seq_length
              hint: write max_seq_length = 2048
            erc.toml:11:1: "sample_packing" is another tool's key
              hint: rows of a batch are computed without padding and do not see each other, so nothing is left to pack
            erc.toml:12:1: "train_on_inputs" is another tool's name for train.completion_only_loss
              hint: write completion_only_loss = true
            erc.toml:16:1: "val_set_size" is another tool's name for data.split
              hint: write split = …; the shares of all parts, as in [0.9, 0.1]; dialogues stay whole
        "#]],
    );
}

#[test]
fn names_of_mlx_and_torchtune() {
    check(
        r#"
[lora]
rank = 8
scale = 20.0
alpha = 16
use_dora = true
[train]
lr = 1e-4
iters = 100
batch_size = 4
epochs = 3
clip_grad_norm = 1.0
[logging]
logging_dir = "tb"
"#,
        expect![[r#"
            erc.toml:2:1: "rank" is another tool's name for lora.r
              hint: write r = 8
            erc.toml:3:1: "scale" is another tool's name for lora.lora_alpha
              hint: write lora_alpha = …; it is the scale times r
            erc.toml:4:1: "alpha" is another tool's name for lora.lora_alpha
              hint: write lora_alpha = 16
            erc.toml:7:1: "lr" is another tool's name for train.learning_rate
              hint: write learning_rate = 0.0001
            erc.toml:8:1: "iters" is another tool's name for train.max_steps
              hint: write max_steps = …; counted in optimiser steps
            erc.toml:9:1: "batch_size" is another tool's name for train.per_device_train_batch_size
              hint: write per_device_train_batch_size = 4
            erc.toml:10:1: "epochs" is another tool's name for train.num_train_epochs
              hint: write num_train_epochs = 3
            erc.toml:11:1: "clip_grad_norm" is another tool's name for train.max_grad_norm
              hint: write max_grad_norm = 1.0
            erc.toml:13:1: "logging_dir" is another tool's name for train.output_dir
              hint: write output_dir = … under [train]; TensorBoard files are written to tb/ inside it
        "#]],
    );
}

#[test]
fn names_of_the_trainer() {
    check(
        r#"
[model]
model_name_or_path = "tiny"
torch_dtype = "bfloat16"
[train]
gradient_clipping = 1.0
max_gradient_norm = 1.0
max_length = 512
model_max_length = 512
packing = true
[eval]
eval_strategy = "steps"
[data]
train_file = "train.jsonl"
"#,
        expect![[r#"
            erc.toml:3:1: "torch_dtype" is another tool's name for model.dtype
              hint: write dtype = "bfloat16"
            erc.toml:5:1: "gradient_clipping" is another tool's name for train.max_grad_norm
              hint: write max_grad_norm = 1.0
            erc.toml:6:1: "max_gradient_norm" is another tool's name for train.max_grad_norm
              hint: write max_grad_norm = 1.0
            erc.toml:7:1: "max_length" is another tool's name for train.max_seq_length
              hint: write max_seq_length = 512
            erc.toml:8:1: "model_max_length" is another tool's name for train.max_seq_length
              hint: write max_seq_length = 512
            erc.toml:9:1: "packing" is another tool's key
              hint: rows of a batch are computed without padding and do not see each other, so nothing is left to pack
            erc.toml:10:2: eval.load_best_model_at_end needs data.valid
              hint: add valid = "…" under [data], or write load_best_model_at_end = false under [eval]
            erc.toml:11:1: "eval_strategy" is another tool's name for eval.eval_steps
              hint: write eval_steps = …; 1.0 = once per epoch, 0 = only at the end
            erc.toml:13:1: "train_file" is another tool's name for data.train
              hint: write train = "train.jsonl"
        "#]],
    );
}

#[test]
fn names_of_activation_checkpointing() {
    check(
        r#"
[model]
model_name_or_path = "tiny"
[train]
gradient_checkpointing = "offload"
use_gradient_checkpointing = "unsloth"
enable_activation_checkpointing = true
enable_activation_offloading = true
selective_ac_option = "2"
[data]
train = "train.jsonl"
valid = "valid.jsonl"
"#,
        expect![[r#"
            erc.toml:4:26: train.gradient_checkpointing must be true or false, not "offload"
              hint: write gradient_checkpointing = true, with activation_offloading = true
            erc.toml:5:1: "use_gradient_checkpointing" is another tool's name for train.activation_offloading
              hint: write activation_offloading = true
            erc.toml:6:1: "enable_activation_checkpointing" is another tool's name for train.gradient_checkpointing
              hint: write gradient_checkpointing = true
            erc.toml:7:1: "enable_activation_offloading" is another tool's name for train.activation_offloading
              hint: write activation_offloading = true
            erc.toml:8:1: "selective_ac_option" is another tool's name for train.gradient_checkpointing_every
              hint: write gradient_checkpointing_every = …; a number of layers
        "#]],
    );
}

#[test]
fn keys_without_a_section_are_answered() {
    check(
        r#"
stage = "sft"
quantization_bit = 4
deepspeed = "ds_z3.json"
flash_attn = "fa2"
packing = true
do_train = true
trust_remote_code = true
[model]
model_name_or_path = "tiny"
[data]
train = "train.jsonl"
valid = "valid.jsonl"
"#,
        expect![[r#"
            erc.toml:1:1: "stage" is another tool's key
              hint: there is one kind of training, supervised fine-tuning (sft)
            erc.toml:2:1: "quantization_bit" is another tool's name for quantization.load_in_4bit
              hint: write load_in_4bit = true under [quantization]
            erc.toml:3:1: "deepspeed" is another tool's key
              hint: not supported: each device has the whole base; model.num_devices deals the micro-batches of a step to several GPUs of a machine
            erc.toml:4:1: "flash_attn" is another tool's name for model.attn_implementation
              hint: write attn_implementation = … under [model]; "auto" is flash attention on the CPU and on GPUs that have tensor cores for the model's numbers
            erc.toml:5:1: "packing" is another tool's key
              hint: rows of a batch are computed without padding and do not see each other, so nothing is left to pack
            erc.toml:6:1: "do_train" is another tool's key
              hint: a recipe is a training; emotrain eval and emotrain predict do the rest
            erc.toml:7:1: "trust_remote_code" is another tool's key
              hint: no code of a model is run
        "#]],
    );
}

/// The names in the table of keys of `recipes/coming_from.md`, without those that are also ours.
fn names_of_the_table() -> Vec<String> {
    let page =
        fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes/coming_from.md")).unwrap();
    let table = page.lines().skip_while(|line| !line.starts_with("| emotrain")).skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    let cells = rows.flat_map(|row| row.split('|').skip(2).map(str::to_owned).collect::<Vec<_>>());
    let quoted = |cell: String| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    // `train_on_prompt: false`, `target_modules="all-linear"`, `from_pretrained(…, is_trainable=True)`
    let key = |text: String| {
        let inside = text.rsplit(", ").next().unwrap_or_default();
        inside.split([':', '=', '(']).next().unwrap_or_default().trim().to_owned()
    };
    let is_key = |name: &String| name.chars().next().is_some_and(char::is_alphabetic);
    let is_ours = |name: &String| {
        emotrain_recipe::DEFAULT_TOML.lines().any(|line| line.starts_with(&format!("{name} =")))
    };
    cells.flat_map(quoted).map(key).filter(is_key).filter(|name| !is_ours(name)).collect()
}

#[test]
fn every_name_of_the_table_is_answered() {
    let names = names_of_the_table();
    assert!(names.len() > 20 && names.iter().any(|name| name == "lora_model_dir"), "{names:?}");
    for name in names {
        let text = format!(
            "[model]\nmodel_name_or_path = \"tiny\"\n[data]\ntrain = \"a\"\nvalid = \"b\"\n[train]\n{name} = 1\n"
        );
        let error = emotrain_recipe::parse(&text, "erc.toml".as_ref(), &[]).unwrap_err().to_string();
        assert!(error.contains(&format!("{name:?} is another tool's")), "{name}: {error}");
    }
}

/// Of a section that there is not the keys are told, too, and words that are keys of other sections here.
#[test]
fn names_in_sections_of_others() {
    check(
        r#"
[model]
model_name_or_path = "tiny"
template = "qwen"
[peft]
lora_rank = 8
task_type = "CAUSAL_LM"
something = 1
[training_arguments]
optimizer = "adamw_bnb_8bit"
evals_per_epoch = 4
[data]
train = "train.jsonl"
valid = "valid.jsonl"
dataset_name = "chats.jsonl"
max_samples = 1000
"#,
        expect![[r#"
            erc.toml:3:1: "template" is another tool's key
              hint: the chat template is the one that comes with the tokenizer
            erc.toml:4:2: unknown section [peft]
              hint: did you mean [lora]?
            erc.toml:5:1: "lora_rank" is another tool's name for lora.r
              hint: write r = 8 under [lora]
            erc.toml:6:1: "task_type" is another tool's key
              hint: every model here is a causal language model
            erc.toml:8:2: unknown section [training_arguments]
              hint: did you mean [train]?
            erc.toml:9:1: "optimizer" is another tool's name for train.optim
              hint: write optim = "adamw_8bit" under [train]
            erc.toml:10:1: "evals_per_epoch" is another tool's name for eval.eval_steps
              hint: write eval_steps = … under [eval]; a share of an epoch, such as 0.25 for four of them
            erc.toml:14:1: "dataset_name" is another tool's name for data.train
              hint: write train = …; the path of a file
            erc.toml:15:1: "max_samples" is another tool's name for data.max_train_samples
              hint: write max_train_samples = 1000
        "#]],
    );
}
