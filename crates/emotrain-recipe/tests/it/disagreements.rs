//! Keys with valid values that contradict each other.

use expect_test::expect;

use crate::check;

#[test]
fn nothing_at_all() {
    check(
        r#"
[model]
[data]
"#,
        expect![[r#"
            erc.toml:1:2: model.model_name_or_path is required
              hint: add model_name_or_path = "…" under [model]
            erc.toml:2:2: data.train is required
              hint: add train = "…" under [data]
            erc.toml:2:2: eval.load_best_model_at_end needs data.valid
              hint: add valid = "…" under [data], or write load_best_model_at_end = false under [eval]
        "#]],
    );
}

#[test]
fn required_keys_left_blank() {
    check(
        r#"
[model]
model_name_or_path = ""
[data]
train = ""
valid = "valid.jsonl"
"#,
        expect![[r#"
            erc.toml:2:22: model.model_name_or_path is required
              hint: add model_name_or_path = "…" under [model]
            erc.toml:4:9: data.train is required
              hint: add train = "…" under [data]
        "#]],
    );
}

#[test]
fn both_kinds_of_warm_up() {
    check(
        r#"
[train]
warmup_ratio = 0.1
warmup_steps = 100
"#,
        expect![[r#"
            erc.toml:3:16: train.warmup_steps and train.warmup_ratio are both set
              hint: keep one of them
        "#]],
    );
}

#[test]
fn recomputed_layers_of_none() {
    check(
        r#"
[train]
gradient_checkpointing_every = 2
activation_offloading = true
"#,
        expect![[r#"
            erc.toml:2:32: train.gradient_checkpointing_every needs train.gradient_checkpointing = true
              hint: write gradient_checkpointing = true under [train], or gradient_checkpointing_every = 1
            erc.toml:3:25: train.activation_offloading needs train.gradient_checkpointing = true
              hint: write gradient_checkpointing = true under [train], or activation_offloading = false
        "#]],
    );
}

#[test]
fn loss_that_should_grow() {
    check(
        r#"
[eval]
metric_for_best_model = "loss"
"#,
        expect![[r#"
            erc.toml:2:25: for "loss" smaller is better
              hint: write greater_is_better = false under [eval]
        "#]],
    );
}

#[test]
fn score_that_should_shrink() {
    check(
        r#"
[eval]
greater_is_better = false
"#,
        expect![[r#"
            erc.toml:2:21: for "weighted_f1" larger is better
              hint: write greater_is_better = true under [eval]
        "#]],
    );
}

#[test]
fn early_stopping_without_validation() {
    check(
        r#"
[data]
train = "train.jsonl"
[eval]
early_stopping_patience = 3
load_best_model_at_end = false
"#,
        expect![[r#"
            erc.toml:4:27: eval.early_stopping_patience needs data.valid
              hint: add valid = "…" under [data], or write early_stopping_patience = 0 under [eval]
        "#]],
    );
}

#[test]
fn early_stopping_with_one_evaluation() {
    check(
        r#"
[eval]
eval_steps = 0
early_stopping_patience = 3
load_best_model_at_end = false
"#,
        expect![[r#"
            erc.toml:3:27: eval.early_stopping_patience needs several evaluations, and eval_steps = 0 makes one
              hint: write eval_steps = 0.5 or so, or early_stopping_patience = 0
        "#]],
    );
}

#[test]
fn best_model_without_validation() {
    check(
        r#"
[data]
train = "train.jsonl"
"#,
        expect![[r#"
            erc.toml:1:2: eval.load_best_model_at_end needs data.valid
              hint: add valid = "…" under [data], or write load_best_model_at_end = false under [eval]
        "#]],
    );
}

#[test]
fn best_model_of_one_evaluation() {
    check(
        r#"
[eval]
eval_steps = 0
"#,
        expect![[r#"
            erc.toml:2:14: eval.load_best_model_at_end needs several evaluations, and eval_steps = 0 makes one
              hint: write eval_steps = 0.5 or so, or load_best_model_at_end = false
        "#]],
    );
}

#[test]
fn test_without_a_file() {
    check(
        r#"
[eval]
test = true
"#,
        expect![[r#"
            erc.toml:2:8: eval.test = true needs data.test
              hint: add test = "…" under [data], or write test = false
        "#]],
    );
}

#[test]
fn file_of_two_splits() {
    check(
        r#"
[data]
train = "meld/train.jsonl"
valid = "./meld/train.jsonl"
test = "meld/train.jsonl"
"#,
        expect![[r#"
            erc.toml:3:9: data.valid is the same file as data.train
              hint: training data cannot be used for evaluation
            erc.toml:4:8: data.test is the same file as data.train
              hint: training data cannot be used for evaluation
            erc.toml:4:8: data.test is the same file as data.valid
              hint: training data cannot be used for evaluation
        "#]],
    );
}

#[test]
fn custom_set_without_labels() {
    check(
        r#"
[data]
train = "train.jsonl"
valid = "valid.jsonl"
label_set = "custom"
"#,
        expect![[r#"
            erc.toml:4:13: label_set = "custom" needs at least two labels
              hint: write labels = ["…", "…"]
        "#]],
    );
}

#[test]
fn labels_of_a_built_in_set() {
    check(
        r#"
[data]
train = "train.jsonl"
valid = "valid.jsonl"
labels = ["joy", "anger"]
label_aliases = { happy = "joy" }
"#,
        expect![[r#"
            erc.toml:4:10: data.labels has no effect with label_set = "meld"
              hint: write label_set = "custom"
            erc.toml:5:17: data.label_aliases has no effect with label_set = "meld"
              hint: write label_set = "custom"
        "#]],
    );
}

#[test]
fn labels_are_lines_of_text() {
    check(
        r#"
[data]
train = "train.jsonl"
valid = "valid.jsonl"
label_set = "custom"
labels = ["joy", "no\nemotion"]
label_aliases = { "a\tb" = "joy" }
context_labels = ["x\ry", " fine\n"]
"#,
        expect![[r#"
            erc.toml:5:10: data.labels: "no\nemotion" has a line break or another control character
              hint: a label is one line of text
            erc.toml:6:17: data.label_aliases: "a\tb" has a line break or another control character
              hint: a label is one line of text
            erc.toml:7:18: data.context_labels: "x\ry" has a line break or another control character
              hint: a label is one line of text
        "#]],
    );
}

#[test]
fn labels_that_are_the_same() {
    check(
        r#"
[data]
train = "train.jsonl"
valid = "valid.jsonl"
label_set = "custom"
labels = ["joy", "no emotion", "No_Emotion", " "]
"#,
        expect![[r#"
            erc.toml:5:10: data.labels has "no emotion" and "No_Emotion", which are the same
              hint: labels differ in more than case, spaces, "-" and "_"
            erc.toml:5:10: the label " " of data.labels is blank
        "#]],
    );
}

#[test]
fn aliases_that_lead_nowhere() {
    check(
        r#"
[data]
train = "train.jsonl"
valid = "valid.jsonl"
label_set = "custom"
labels = ["joy", "anger"]
[data.label_aliases]
happy = "joyy"
Joy = "joy"
mad = "rage"
anger = "joy"
"#,
        expect![[r#"
            erc.toml:6:1: data.label_aliases: "anger" is already an alias of "anger"
            erc.toml:6:1: data.label_aliases: "joyy" is not in data.labels
              hint: did you mean "joy"?
            erc.toml:6:1: data.label_aliases: "rage" is not in data.labels
        "#]],
    );
}

#[test]
fn answers_of_plain_text() {
    check(
        r#"
[data]
format = "text"
train = "train.txt"
valid = "valid.txt"
"#,
        expect![[r#"
            erc.toml:2:10: format = "text" has no answers for completion_only_loss
              hint: write completion_only_loss = false under [train]
            erc.toml:2:10: format = "text" has no labels for the metric "weighted_f1"
              hint: write metric_for_best_model = "loss" and greater_is_better = false under [eval]
        "#]],
    );
}

#[test]
fn random_base_model_with_an_adapter() {
    check(
        r#"
[model]
model_name_or_path = "tiny"
init = "random"
"#,
        expect![[r#"
            erc.toml:3:8: init = "random" needs train.method = "full"
              hint: an adapter cannot teach a base model that has learned nothing
        "#]],
    );
}

#[test]
fn bad_values_do_not_disagree_as_well() {
    check(
        r#"
[train]
warmup_ratio = 2.0
warmup_steps = 100
[eval]
metric_for_best_model = "los"
greater_is_better = false
"#,
        expect![[r#"
            erc.toml:2:16: train.warmup_ratio must be a number from 0 to 1, not 2.0
            erc.toml:5:25: eval.metric_for_best_model must be "weighted_f1", "macro_f1", "accuracy" or "loss", not "los"
              hint: did you mean "loss"?
        "#]],
    );
}

#[test]
fn everything_at_once() {
    check(
        r#"
[train]
method = "lroa"
lora_rank = 8
[eval]
early_stopping_patience = 2
eval_steps = 0
[data]
train = "a.jsonl"
valid = "a.jsonl"
[prompt]
history_window = -5
[extra]
"#,
        expect![[r#"
            erc.toml:2:10: train.method must be "lora" or "full", not "lroa"
              hint: did you mean "lora"?
            erc.toml:3:1: "lora_rank" is another tool's name for lora.r
              hint: write r = 8 under [lora]
            erc.toml:5:27: eval.early_stopping_patience needs several evaluations, and eval_steps = 0 makes one
              hint: write eval_steps = 0.5 or so, or early_stopping_patience = 0
            erc.toml:6:14: eval.load_best_model_at_end needs several evaluations, and eval_steps = 0 makes one
              hint: write eval_steps = 0.5 or so, or load_best_model_at_end = false
            erc.toml:9:9: data.valid is the same file as data.train
              hint: training data cannot be used for evaluation
            erc.toml:11:18: prompt.history_window must be a whole number from 0 to 100000, not -5
            erc.toml:12:2: unknown section [extra]
              hint: the sections are [model], [quantization], [lora], [data], [prompt], [retrieval], [interpret], [train], [auxiliary], [curriculum], [eval], [save], [logging], [[knowledge]]
        "#]],
    );
}

#[test]
fn labels_to_score_in_plain_text() {
    let text = "[data]\ntrain = \"a.txt\"\nformat = \"text\"\n[train]\ncompletion_only_loss = false\n\
                [eval]\nload_best_model_at_end = false\nbf16_full_eval = true";
    check(
        text,
        expect![[r#"
            erc.toml:8:18: format = "text" has no labels to score in bfloat16
              hint: write bf16_full_eval = false under [eval]
        "#]],
    );
}
