//! Sections and keys that do not exist.

use expect_test::expect;

use crate::check;

#[test]
fn typo_in_a_key() {
    check(
        r#"
[train]
learning_rat = 1e-4
"#,
        expect![[r#"
            erc.toml:2:1: unknown key "learning_rat" in [train]
              hint: did you mean "learning_rate"?
        "#]],
    );
}

#[test]
fn hyphens_and_capitals() {
    check(
        r#"
[train]
Learning-Rate = 1e-4
"#,
        expect![[r#"
            erc.toml:2:1: unknown key "Learning-Rate" in [train]
              hint: did you mean "learning_rate"?
        "#]],
    );
}

#[test]
fn typo_that_fits_two_keys() {
    check(
        r#"
[train]
adam_beta = 0.9
"#,
        expect![[r#"
            erc.toml:2:1: unknown key "adam_beta" in [train]
              hint: did you mean "adam_beta1" or "adam_beta2"?
        "#]],
    );
}

#[test]
fn half_of_a_name() {
    check(
        r#"
[train]
lr_scheduler_kind = "linear"
warmup = 100
"#,
        expect![[r#"
            erc.toml:2:1: unknown key "lr_scheduler_kind" in [train]
              hint: did you mean "lr_scheduler_type"?
            erc.toml:3:1: unknown key "warmup" in [train]
              hint: did you mean "warmup_ratio" or "warmup_steps"?
        "#]],
    );
}

#[test]
fn nothing_near() {
    check(
        r#"
[prompt]
colour = "red"
"#,
        expect![[r#"
            erc.toml:2:1: unknown key "colour" in [prompt]
              hint: the keys of [prompt] are template, slots, causal, history_window, future_window, enable_thinking
        "#]],
    );
}

#[test]
fn typo_in_a_section() {
    check(
        r#"
[trian]
seed = 1
"#,
        expect![[r#"
            erc.toml:1:2: unknown section [trian]
              hint: did you mean [train]?
        "#]],
    );
}

#[test]
fn nothing_near_a_section() {
    check(
        r#"
[distillation]
temperature = 2.0
"#,
        expect![[r#"
            erc.toml:1:2: unknown section [distillation]
              hint: the sections are [model], [quantization], [lora], [data], [prompt], [retrieval], [interpret], [train], [auxiliary], [curriculum], [eval], [save], [logging], [[knowledge]]
        "#]],
    );
}

#[test]
fn section_of_other_tools() {
    check(
        r#"
[peft]
r = 8
[evaluation]
eval_steps = 5
"#,
        expect![[r#"
            erc.toml:1:2: unknown section [peft]
              hint: did you mean [lora]?
            erc.toml:3:2: unknown section [evaluation]
              hint: did you mean [eval]?
        "#]],
    );
}

#[test]
fn key_in_the_wrong_section() {
    check(
        r#"
[train]
r = 8
save_steps = 10
"#,
        expect![[r#"
            erc.toml:2:1: "r" does not belong in [train]
              hint: it is a key of [lora]
            erc.toml:3:1: "save_steps" does not belong in [train]
              hint: it is a key of [save]
        "#]],
    );
}

#[test]
fn key_of_two_sections() {
    check(
        r#"
[lora]
test = true
"#,
        expect![[r#"
            erc.toml:2:1: "test" does not belong in [lora]
              hint: it is a key of [data] and of [eval]
        "#]],
    );
}

#[test]
fn typo_of_a_key_of_another_section() {
    check(
        r#"
[lora]
learning_rte = 1e-4
"#,
        expect![[r#"
            erc.toml:2:1: unknown key "learning_rte" in [lora]
              hint: did you mean "learning_rate" in [train]?
        "#]],
    );
}

#[test]
fn key_outside_any_section() {
    check(
        r#"
learning_rate = 1e-4
test = true
lora_rank = 8
nonsense = 1
save_step = 1
"#,
        expect![[r#"
            erc.toml:1:1: "learning_rate" is outside any section
              hint: put it under [train]
            erc.toml:2:1: "test" is outside any section
              hint: put it under [data] or [eval]
            erc.toml:3:1: "lora_rank" is another tool's name for lora.r
              hint: write r = 8 under [lora]
            erc.toml:4:1: "nonsense" is outside any section
              hint: every key belongs under its [section]
            erc.toml:5:1: "save_step" is outside any section
              hint: did you mean "save_steps" in [save]?
        "#]],
    );
}

#[test]
fn section_that_is_a_value() {
    check(
        r#"
train = "train.jsonl"
"#,
        expect![[r#"
            erc.toml:1:1: [train] must be a section
              hint: write [train] on a line of its own and below it its keys, such as method
        "#]],
    );
}

#[test]
fn section_that_is_a_list() {
    check(
        r#"
[[train]]
seed = 1
"#,
        expect![[r#"
            erc.toml:1:3: [train] must be a section
              hint: write [train] on a line of its own and below it its keys, such as method
        "#]],
    );
}

#[test]
fn section_within_a_section() {
    check(
        r#"
[train.optimizer]
name = "adamw"
"#,
        expect![[r#"
            erc.toml:1:8: "optimizer" is another tool's name for train.optim
              hint: write optim = …
        "#]],
    );
}

#[test]
fn dotted_key() {
    check(
        "train.learning_rat = 1e-4",
        expect![[r#"
            erc.toml:1:7: unknown key "learning_rat" in [train]
              hint: did you mean "learning_rate"?
        "#]],
    );
}

#[test]
fn typo_of_a_required_key() {
    check(
        r#"
[model]
model_name_or_pth = "tiny"
[data]
trian = "train.jsonl"
vaild = "valid.jsonl"
"#,
        expect![[r#"
            erc.toml:2:1: unknown key "model_name_or_pth" in [model]
              hint: did you mean "model_name_or_path"?
            erc.toml:4:1: unknown key "trian" in [data]
              hint: did you mean "train"?
            erc.toml:5:1: unknown key "vaild" in [data]
              hint: did you mean "valid"?
        "#]],
    );
}

#[test]
fn typo_of_a_required_section() {
    check(
        r#"
[modell]
model_name_or_path = "tiny"
[dataset]
train = "train.jsonl"
"#,
        expect![[r#"
            erc.toml:1:2: unknown section [modell]
              hint: did you mean [model]?
            erc.toml:3:2: unknown section [dataset]
              hint: did you mean [data]?
        "#]],
    );
}
