//! Values that should be switches, choices, lists or paths.

use expect_test::expect;

use crate::{check, good, recipe};

#[test]
fn switch_in_quotes() {
    check(
        r#"
[train]
completion_only_loss = "True"
group_by_length = "off"
gradient_checkpointing = 1
[eval]
baseline = "maybe"
"#,
        expect![[r#"
            erc.toml:2:24: train.completion_only_loss must be true or false, not "True"
              hint: write completion_only_loss = true
            erc.toml:3:19: train.group_by_length must be true or false, not "off"
              hint: write group_by_length = false
            erc.toml:4:26: train.gradient_checkpointing must be true or false, not 1
              hint: write gradient_checkpointing = true
            erc.toml:6:12: eval.baseline must be true or false, not "maybe"
        "#]],
    );
}

#[test]
fn unknown_choices() {
    check(
        r#"
[train]
method = "qlora"
optim = "paged_adamw_32bit"
lr_scheduler_type = "constant_with_warmup"
[eval]
metric_for_best_model = "eval_f1"
[model]
model_name_or_path = "tiny"
init = "scratch"
dtype = "bf16"
"#,
        expect![[r#"
            erc.toml:2:10: train.method must be "lora" or "full", not "qlora"
              hint: did you mean "lora"?
            erc.toml:3:9: train.optim must be "adamw_torch" or "adamw_8bit", not "paged_adamw_32bit"
              hint: did you mean "adamw_torch"?
            erc.toml:4:21: train.lr_scheduler_type must be "linear", "cosine" or "constant", not "constant_with_warmup"
              hint: did you mean "constant"?
            erc.toml:6:25: eval.metric_for_best_model must be "weighted_f1", "macro_f1", "accuracy" or "loss", not "eval_f1"
            erc.toml:9:8: model.init must be "pretrained" or "random", not "scratch"
            erc.toml:10:9: model.dtype must be "float32", "bfloat16" or "float16", not "bf16"
              hint: did you mean "bfloat16"?
        "#]],
    );
}

#[test]
fn choices_with_a_typo() {
    check(
        r#"
[data]
train = "train.jsonl"
valid = "valid.jsonl"
format = "jsonll"
label_set = "MELD"
[eval]
metric_for_best_model = "weighted-f1"
"#,
        expect![[r#"
            erc.toml:4:10: data.format must be "jsonl", "csv", "tsv", "chat", "meld_csv", "prc_json", "emorynlp", "dailydialog" or "text", not "jsonll"
              hint: did you mean "jsonl"?
            erc.toml:5:13: data.label_set must be "meld", "iemocap", "emorynlp", "dailydialog" or "custom", not "MELD"
              hint: did you mean "meld"?
            erc.toml:7:25: eval.metric_for_best_model must be "weighted_f1", "macro_f1", "accuracy" or "loss", not "weighted-f1"
              hint: did you mean "weighted_f1"?
        "#]],
    );
}

#[test]
fn unknown_devices() {
    check(
        r#"
[model]
model_name_or_path = "tiny"
device = "gpu"
"#,
        expect![[r#"
            erc.toml:3:10: model.device must be "auto", "cpu", "wgpu" or "cuda" ("cuda:1" for the second GPU), not "gpu"
              hint: did you mean "cuda"?
        "#]],
    );
}

#[test]
fn device_with_a_bad_number() {
    check(
        r#"
[model]
model_name_or_path = "tiny"
device = "cuda:first"
"#,
        expect![[r#"
            erc.toml:3:10: model.device must be "auto", "cpu", "wgpu" or "cuda" ("cuda:1" for the second GPU), not "cuda:first"
        "#]],
    );
}

#[test]
fn device_of_another_tool() {
    check(
        r#"
[model]
model_name_or_path = "tiny"
device = "mps"
"#,
        expect![[r#"
            erc.toml:3:10: model.device must be "auto", "cpu", "wgpu" or "cuda" ("cuda:1" for the second GPU), not "mps"
              hint: did you mean "wgpu"?
        "#]],
    );
}

#[test]
fn unknown_modules() {
    check(
        r#"
[lora]
target_modules = [
  "q_proj",
  "v_prj",
  "lm_head",
  "q_proj",
  3,
]
"#,
        expect![[r#"
            erc.toml:4:3: every entry of lora.target_modules must be one of "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv_proj" or "gate_up_proj", not "v_prj"
              hint: did you mean "v_proj"?
            erc.toml:5:3: every entry of lora.target_modules must be one of "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv_proj" or "gate_up_proj", not "lm_head"
            erc.toml:6:3: lora.target_modules names "q_proj" twice
            erc.toml:7:3: every entry of lora.target_modules must be one of "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv_proj" or "gate_up_proj", not 3
        "#]],
    );
}

#[test]
fn modules_of_the_wrong_form() {
    check(
        r#"
[lora]
target_modules = "q_proj"
init_lora_weights = false
"#,
        expect![[r#"
            erc.toml:2:18: lora.target_modules must be "all-linear" or a list of "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv_proj" or "gate_up_proj", not "q_proj"
              hint: write target_modules = ["q_proj"]
            erc.toml:3:21: lora.init_lora_weights must be true, "gaussian", "pissa", "pissa_niter_4" or "olora", not false
        "#]],
    );
}

#[test]
fn modules_misspelt() {
    check(
        r#"
[lora]
target_modules = "all_linear"
init_lora_weights = "pissa"
"#,
        expect![[r#"
            erc.toml:2:18: lora.target_modules must be "all-linear" or a list of "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv_proj" or "gate_up_proj", not "all_linear"
              hint: did you mean "all-linear"?
        "#]],
    );
}

#[test]
fn no_modules() {
    check(
        r#"
[lora]
target_modules = []
"#,
        expect![[r#"
            erc.toml:2:18: lora.target_modules is an empty list
              hint: name at least one of "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv_proj" or "gate_up_proj"
        "#]],
    );
}

#[test]
fn start_of_the_adapter_by_name() {
    check(
        r#"
[lora]
init_lora_weights = "kaiming"
"#,
        expect![[r#"
            erc.toml:2:21: lora.init_lora_weights must be true, "gaussian", "pissa", "pissa_niter_4" or "olora", not "kaiming"
              hint: write init_lora_weights = true
        "#]],
    );
}

#[test]
fn reporters() {
    check(
        r#"
[logging]
report_to = ["jsonl", "wandb", "jsonl"]
logging_steps = 0
"#,
        expect![[r#"
            erc.toml:2:23: every entry of logging.report_to must be one of "jsonl" or "tensorboard", not "wandb"
              hint: recipes/tracking.md of the project says how W&B and MLflow take curves in
            erc.toml:2:32: logging.report_to names "jsonl" twice
            erc.toml:3:17: logging.logging_steps must be a whole number from 1 to 1000000000, not 0
        "#]],
    );
}

#[test]
fn reporter_without_a_list() {
    check(
        r#"
[logging]
report_to = "tensorboard"
"#,
        expect![[r#"
            erc.toml:2:13: logging.report_to must be a list of "jsonl" or "tensorboard", not "tensorboard"
              hint: write report_to = ["tensorboard"]
        "#]],
    );
}

#[test]
fn no_reporter() {
    check(
        r#"
[logging]
report_to = "none"
"#,
        expect![[r#"
            erc.toml:2:13: logging.report_to must be a list of "jsonl" or "tensorboard", not "none"
              hint: write report_to = []
        "#]],
    );
}

#[test]
fn all_reporters() {
    check(
        r#"
[logging]
report_to = "all"
"#,
        expect![[r#"
            erc.toml:2:13: logging.report_to must be a list of "jsonl" or "tensorboard", not "all"
              hint: write report_to = ["jsonl", "tensorboard"]
        "#]],
    );
}

#[test]
fn labels_that_are_not_text() {
    check(
        r#"
[data]
train = "train.jsonl"
valid = "valid.jsonl"
label_set = "custom"
labels = ["joy", 2]
label_aliases = { happy = "joy", sad = 2 }
"#,
        expect![[r#"
            erc.toml:5:18: every entry of data.labels must be text, not 2
            erc.toml:6:40: data.label_aliases.sad must be text, not 2
        "#]],
    );
}

#[test]
fn labels_without_a_list() {
    check(
        r#"
[data]
train = "train.jsonl"
valid = "valid.jsonl"
label_set = "custom"
labels = "joy"
label_aliases = ["joy"]
"#,
        expect![[r#"
            erc.toml:5:10: data.labels must be a list of texts, not "joy"
              hint: write labels = ["joy"]
            erc.toml:6:17: data.label_aliases must be a table of texts, not a list
        "#]],
    );
}

#[test]
fn several_files_for_a_split() {
    check(
        r#"
[data]
train = ["a.jsonl", "b.jsonl"]
valid = "valid.jsonl"
"#,
        expect![[r#"
            erc.toml:2:9: data.train must be a path, not a list
              hint: a split is one file
        "#]],
    );
}

#[test]
fn home_folder() {
    check(
        r#"
[data]
train = "~/meld/train.jsonl"
valid = "valid.jsonl"
[train]
output_dir = "~/runs"
"#,
        expect![[r#"
            erc.toml:2:9: data.train starts with "~", which is not expanded: "~/meld/train.jsonl"
              hint: write the full path
            erc.toml:5:14: train.output_dir starts with "~", which is not expanded: "~/runs"
              hint: write the full path
        "#]],
    );
}

#[test]
fn date_and_long_text() {
    check(
        r#"
[train]
seed = 2026-01-01
method = "an explanation of the method that runs on and on and on and on and on"
"#,
        expect![[r#"
            erc.toml:2:8: train.seed must be a whole number of at least 0, not the date 2026-01-01
            erc.toml:3:10: train.method must be "lora" or "full", not "an explanation of the method that runs on and on and on and …"
        "#]],
    );
}

#[test]
fn evaluations_after_steps_or_a_share_of_an_epoch() {
    let every = |value: &str| {
        good(&format!("[eval]\neval_steps = {value}\nload_best_model_at_end = false\n"))
            .eval
            .eval_steps
            .to_string()
    };
    assert_eq!(["0", "50", "0.5", "1.0"].map(every), ["0", "50", "0.5", "1.0"]);
    for value in ["50.0", "0.0", "-1", "\"0.25\"", "\"epoch\"", "1.5"] {
        let text = format!("[eval]\neval_steps = {value}\n");
        assert!(recipe(&text, &[]).is_err(), "{value}");
    }
    check(
        r#"
[eval]
eval_steps = 50.0
"#,
        expect![[r#"
            erc.toml:2:14: eval.eval_steps must be a whole number from 0 to 1000000000, or a share of an epoch above 0.0 and at most 1.0, not 50.0
              hint: write eval_steps = 50
        "#]],
    );
    check(
        r#"
[eval]
eval_steps = "0.25"
"#,
        expect![[r#"
            erc.toml:2:14: eval.eval_steps must be a whole number from 0 to 1000000000, or a share of an epoch above 0.0 and at most 1.0, not "0.25"
              hint: write eval_steps = 0.25
        "#]],
    );
}
