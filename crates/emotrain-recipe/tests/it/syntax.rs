//! Text that is not TOML.

use expect_test::expect;

use crate::check;

#[test]
fn word_without_quotes() {
    check(
        r#"
[train]
method = full
seed = 43
"#,
        expect![[r#"
            erc.toml:2:10: the text of method has no quotes
              hint: write method = "full"
        "#]],
    );
}

#[test]
fn missing_value() {
    check(
        r#"
[train]
learning_rate =
seed = 43
"#,
        expect![[r#"
            erc.toml:2:16: learning_rate has no value
              hint: remove the line to use the default
        "#]],
    );
}

#[test]
fn missing_equals_sign() {
    check(
        r#"
[train]
learning_rate 1e-4
"#,
        expect![[r#"
            erc.toml:2:15: not valid TOML: key with no value, expected `=`
              hint: write learning_rate = 1e-4
        "#]],
    );
}

#[test]
fn unclosed_text() {
    check(
        r#"
[model]
model_name_or_path = "tiny
[data]
train = "a"
valid = "b"
"#,
        expect![[r#"
            erc.toml:2:27: not valid TOML: invalid basic string, expected `"`
        "#]],
    );
}

#[test]
fn unclosed_header() {
    check(
        r#"
[train
seed = 43
"#,
        expect![[r#"
            erc.toml:1:7: not valid TOML: unclosed table, expected `]`
        "#]],
    );
}

#[test]
fn unclosed_list() {
    check(
        r#"
[lora]
target_modules = ["q_proj", "v_proj"
[train]
seed = 43
"#,
        expect![[r#"
            erc.toml:3:1: not valid TOML: missing comma between array elements, expected `,`
        "#]],
    );
}

#[test]
fn key_twice() {
    check(
        r#"
[train]
seed = 42
seed = 43
"#,
        expect![[r#"
            erc.toml:3:1: "seed" is given twice
              hint: keep one of them
        "#]],
    );
}

#[test]
fn section_twice() {
    check(
        r#"
[train]
seed = 42
[lora]
r = 8
[train]
max_steps = 3
"#,
        expect![[r#"
            erc.toml:5:2: "train" is given twice
              hint: keep one of them
        "#]],
    );
}

#[test]
fn python_words() {
    check(
        r#"
[eval]
baseline = True
test = None
"#,
        expect![[r#"
            erc.toml:2:12: not valid TOML: invalid boolean, expected `true`
              hint: write baseline = true
            erc.toml:3:8: not valid TOML: invalid float, expected `nan`
              hint: remove the line to use the default
        "#]],
    );
}

#[test]
fn number_without_zero() {
    check(
        r#"
[lora]
lora_dropout = .05
"#,
        expect![[r#"
            erc.toml:2:16: not valid TOML: invalid mantissa, expected digits
              hint: write lora_dropout = 0.05
        "#]],
    );
}

#[test]
fn several_mistakes_beside_other_problems() {
    check(
        r#"
[train]
method = full
learning_rat = 1e-4
seed = -3
[lora]
r = 
"#,
        expect![[r#"
            erc.toml:2:10: the text of method has no quotes
              hint: write method = "full"
            erc.toml:3:1: unknown key "learning_rat" in [train]
              hint: did you mean "learning_rate"?
            erc.toml:4:8: train.seed must be a whole number of at least 0, not -3
            erc.toml:6:4: r has no value
              hint: remove the line to use the default
        "#]],
    );
}

#[test]
fn number_that_ends_in_a_point() {
    check(
        r#"
[lora]
lora_dropout = 0. # none
"#,
        expect![[r#"
            erc.toml:2:18: not valid TOML: invalid fraction, expected digits
              hint: write lora_dropout = 0.0
        "#]],
    );
}

#[test]
fn section_that_swallows_a_key() {
    check(
        r#"
[model]
model_name_or_path = "tiny" dtype = "bf16"
"#,
        expect![[r#"
            erc.toml:2:29: not valid TOML: unexpected key or value, expected newline, `#`
        "#]],
    );
}

#[test]
fn columns_count_characters() {
    check(
        r#"
[prompt]
template = "éé" x
"#,
        expect![[r#"
            erc.toml:2:17: not valid TOML: unexpected key or value, expected newline, `#`
        "#]],
    );
}

#[test]
fn other_languages_are_named() {
    let told = |text: &str| {
        emotrain_recipe::parse(text, std::path::Path::new("erc.toml"), &[]).unwrap_err().to_string()
    };
    expect![[r#"
        erc.toml:1:21: this is YAML, not TOML
          hint: a recipe is TOML, key = value under [sections]; recipes/coming_from.md has the keys of other trainers"#]].assert_eq(&told("model_name_or_path: Qwen/Qwen3-8B\nlora_rank: 8\n"));
    expect![[r#"
        erc.toml:1:1: this is JSON, not TOML
          hint: a recipe is TOML, key = value under [sections]; recipes/coming_from.md has the keys of other trainers"#]]
    .assert_eq(&told("{\"model\": {}}\n"));
    expect![[r#"
        erc.toml:1:11: this is HTML, not TOML
          hint: a recipe is TOML, key = value under [sections]; recipes/coming_from.md has the keys of other trainers"#]]
    .assert_eq(&told("<!DOCTYPE html>\n"));
}
