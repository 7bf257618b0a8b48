//! Values that should be numbers, and numbers that should be something else.

use emotrain_recipe::ClassWeights;
use expect_test::expect;

use crate::{check, good, recipe};

#[test]
fn number_in_quotes() {
    check(
        r#"
[train]
learning_rate = "3e-4"
seed = "42"
max_steps = "3.0"
"#,
        expect![[r#"
            erc.toml:2:17: train.learning_rate must be a number above 0 and at most 1, not "3e-4"
              hint: write learning_rate = 0.0003
            erc.toml:3:8: train.seed must be a whole number of at least 0, not "42"
              hint: write seed = 42
            erc.toml:4:13: train.max_steps must be a whole number from 0 to 1000000000, not "3.0"
              hint: write max_steps = 3
        "#]],
    );
}

#[test]
fn text_for_a_number() {
    check(
        r#"
[train]
learning_rate = "fast"
num_train_epochs = "many"
"#,
        expect![[r#"
            erc.toml:2:17: train.learning_rate must be a number above 0 and at most 1, not "fast"
            erc.toml:3:20: train.num_train_epochs must be a whole number from 1 to 10000, not "many"
        "#]],
    );
}

#[test]
fn number_for_text() {
    check(
        r#"
[model]
model_name_or_path = 7
revision = 7
init = 7
"#,
        expect![[r#"
            erc.toml:2:22: model.model_name_or_path must be a Hub id or a path, not 7
            erc.toml:3:12: model.revision must be text, not 7
              hint: write revision = "7"
            erc.toml:4:8: model.init must be "pretrained" or "random", not 7
        "#]],
    );
}

#[test]
fn fraction_of_an_epoch() {
    check(
        r#"
[train]
num_train_epochs = 2.5
"#,
        expect![[r#"
            erc.toml:2:20: train.num_train_epochs must be a whole number from 1 to 10000, not 2.5
        "#]],
    );
}

#[test]
fn whole_number_as_a_float() {
    check(
        r#"
[train]
num_train_epochs = 4.0
seed = 4.2e1
"#,
        expect![[r#"
            erc.toml:2:20: train.num_train_epochs must be a whole number from 1 to 10000, not 4.0
              hint: write num_train_epochs = 4
            erc.toml:3:8: train.seed must be a whole number of at least 0, not 42.0
              hint: write seed = 42
        "#]],
    );
}

#[test]
fn minus_one_for_none() {
    check(
        r#"
[train]
max_steps = -1
num_train_epochs = -1
"#,
        expect![[r#"
            erc.toml:2:13: train.max_steps must be a whole number from 0 to 1000000000, not -1
              hint: write max_steps = 0
            erc.toml:3:20: train.num_train_epochs must be a whole number from 1 to 10000, not -1
        "#]],
    );
}

#[test]
fn numbers_out_of_range() {
    check(
        r#"
[train]
learning_rate = 3
weight_decay = -0.1
adam_beta1 = 1.0
adam_epsilon = 0.0
warmup_ratio = 1.5
max_grad_norm = -1.0
per_device_train_batch_size = 0
max_seq_length = 0
[lora]
r = 0
lora_dropout = 1
"#,
        expect![[r#"
            erc.toml:2:17: train.learning_rate must be a number above 0 and at most 1, not 3
            erc.toml:3:16: train.weight_decay must be a number from 0 to 1, not -0.1
            erc.toml:4:14: train.adam_beta1 must be a number of at least 0 and below 1, not 1.0
            erc.toml:5:16: train.adam_epsilon must be a number above 0 and at most 1, not 0.0
            erc.toml:6:16: train.warmup_ratio must be a number from 0 to 1, not 1.5
            erc.toml:7:17: train.max_grad_norm must be a number from 0 to 1000000000, not -1.0
            erc.toml:8:31: train.per_device_train_batch_size must be a whole number from 1 to 65536, not 0
            erc.toml:9:18: train.max_seq_length must be a whole number from 1 to 1048576, not 0
            erc.toml:11:5: lora.r must be a whole number from 1 to 4096, not 0
            erc.toml:12:16: lora.lora_dropout must be a number of at least 0 and below 1, not 1
        "#]],
    );
}

#[test]
fn numbers_that_are_none() {
    check(
        r#"
[train]
learning_rate = nan
max_grad_norm = inf
warmup_ratio = -inf
"#,
        expect![[r#"
            erc.toml:2:17: train.learning_rate must be a number above 0 and at most 1, not nan
            erc.toml:3:17: train.max_grad_norm must be a number from 0 to 1000000000, not inf
            erc.toml:4:16: train.warmup_ratio must be a number from 0 to 1, not -inf
        "#]],
    );
}

#[test]
fn numbers_that_do_not_fit() {
    check(
        r#"
[train]
seed = 99999999999999999999
learning_rate = 1e999
"#,
        expect![[r#"
            erc.toml:2:8: train.seed: the number 99999999999999999999 is too large
            erc.toml:3:17: train.learning_rate must be a number above 0 and at most 1, not inf
        "#]],
    );
}

#[test]
fn weights_of_labels() {
    let weights = |value: &str| good(&format!("[train]\nclass_weights = {value}\n")).train.class_weights;
    assert_eq!(weights("\"balanced\""), ClassWeights::Balanced);
    let table = [("fear".to_owned(), 3.0), ("joy".to_owned(), 2.0)].into();
    assert_eq!(weights("{ fear = 3.0, joy = 2 }"), ClassWeights::Table(table));
    let again = good("[train]\nclass_weights = { fear = 3.0, joy = 2 }\n");
    assert_eq!(recipe(&again.to_toml(), &[]).unwrap(), again);
    check(
        r#"
[train]
class_weights = { fear = 0.0, joy = "2" }
label_smoothing_factor = 1.0
"#,
        expect![[r#"
            erc.toml:2:26: train.class_weights.fear must be a number above 0, at most 1000000, not 0.0
            erc.toml:2:37: train.class_weights.joy must be a number above 0, at most 1000000, not "2"
            erc.toml:3:26: train.label_smoothing_factor must be a number of at least 0 and below 1, not 1.0
        "#]],
    );
    check(
        "[train]\nclass_weights = \"balance\"\n",
        expect![[r#"
        erc.toml:2:17: train.class_weights must be "none", "balanced" or a table of numbers, not "balance"
          hint: did you mean "balanced"?
    "#]],
    );
    check(
        "[train]\nclass_weights = 2.0\n",
        expect![[r#"
        erc.toml:2:17: train.class_weights must be "none", "balanced" or a table of numbers, not 2.0
    "#]],
    );
    check(
        r#"
[data]
train = "corpus.txt"
format = "text"
sampling = "sqrt"
[train]
class_weights = "balanced"
completion_only_loss = false
[eval]
load_best_model_at_end = false
"#,
        expect![[r#"
            erc.toml:3:10: format = "text" has no labels for train.class_weights
              hint: write class_weights = "none"
            erc.toml:3:10: format = "text" has no labels for data.sampling
              hint: write sampling = "natural"
        "#]],
    );
}
