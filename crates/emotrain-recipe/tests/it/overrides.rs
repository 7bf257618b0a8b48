//! Command-line overrides.

use expect_test::expect;

use crate::{DATA, check_overridden, good, recipe, rendered};

#[test]
fn typo_of_a_required_key_beside_a_bad_list() {
    check_overridden(
        r#"
[model]
"#,
        &["model.model_name=tiny", r#"data.valid="x"#],
        expect![[r#"
            --set: "model_name" is another tool's name for model.model_name_or_path
              hint: write model_name_or_path = "tiny"
            --set: data.valid: not valid TOML: invalid basic string, expected `"`
        "#]],
    );
}

#[test]
fn unknown_names() {
    check_overridden(
        "",
        &["train.learning_rat=1e-4", "trian.seed=1", "train.lora_rank=8", "train.r=8"],
        expect![[r#"
            --set: unknown key "learning_rat" in [train]
              hint: did you mean "learning_rate"?
            --set: unknown section [trian]
              hint: did you mean [train]?
            --set: "lora_rank" is another tool's name for lora.r
              hint: write r = 8 under [lora]
            --set: "r" does not belong in [train]
              hint: it is a key of [lora]
        "#]],
    );
}

#[test]
fn no_section() {
    check_overridden(
        "",
        &["learning_rate=1e-4", "lora_rank=8", "train_batch", "test=true", "nonsense=1"],
        expect![[r#"
            --set: "learning_rate" names no section
              hint: did you mean "train.learning_rate"?
            --set: "lora_rank" names no section
              hint: did you mean "lora.r"?
            --set: "train_batch" has no value
              hint: write section.key=value
            --set: "test" names no section
              hint: did you mean "data.test" or "eval.test"?
            --set: "nonsense" names no section
              hint: write section.key=value
        "#]],
    );
}

#[test]
fn no_value() {
    check_overridden(
        "",
        &["train.seed"],
        expect![[r#"
            --set: "train.seed" has no value
              hint: write section.key=value
        "#]],
    );
}

#[test]
fn wrong_types_and_ranges() {
    check_overridden(
        "",
        &[
            "train.learning_rate=fast",
            "train.seed=4.0",
            "eval.baseline=True",
            "lora.r=0",
            "train.method=qlora",
            "logging.report_to=tensorboard",
        ],
        expect![[r#"
            --set: lora.r must be a whole number from 1 to 4096, not 0
            --set: train.method must be "lora" or "full", not "qlora"
              hint: did you mean "lora"?
            --set: train.learning_rate must be a number above 0 and at most 1, not "fast"
            --set: train.seed must be a whole number of at least 0, not 4.0
              hint: write seed = 4
            --set: eval.baseline must be true or false, not "True"
              hint: write baseline = true
            --set: logging.report_to must be a list of "jsonl" or "tensorboard", not "tensorboard"
              hint: write report_to = ["tensorboard"]
        "#]],
    );
}

#[test]
fn broken_lists() {
    check_overridden(
        "",
        &["lora.target_modules=[q_proj,v_proj]", r#"train.seed="42"#],
        expect![[r#"
            --set: lora.target_modules: not valid TOML: string values must be quoted, expected literal string
              hint: words in lists and tables need quotes: '["a", "b"]'
            --set: train.seed: not valid TOML: invalid basic string, expected `"`
        "#]],
    );
}

#[test]
fn bad_value_over_a_good_one() {
    check_overridden(
        r#"
[train]
seed = 43
"#,
        &["train.seed=x"],
        expect![[r#"
            --set: train.seed must be a whole number of at least 0, not "x"
        "#]],
    );
}

#[test]
fn disagreements_of_overrides() {
    check_overridden(
        r#"
[train]
warmup_ratio = 0.1
"#,
        &["train.warmup_steps=10", "eval.eval_steps=0", "data.valid="],
        expect![[r#"
            --set: train.warmup_steps and train.warmup_ratio are both set
              hint: keep one of them
            --set: eval.load_best_model_at_end needs data.valid
              hint: add valid = "…" under [data], or write load_best_model_at_end = false under [eval]
        "#]],
    );
}

#[test]
fn after_the_problems_of_the_file() {
    check_overridden(
        r#"
[train]
sede = 43
"#,
        &["train.sede=43"],
        expect![[r#"
            erc.toml:2:1: unknown key "sede" in [train]
              hint: did you mean "seed"?
            --set: unknown key "sede" in [train]
              hint: did you mean "seed"?
        "#]],
    );
}

/// The recipe with overrides is the one with the same keys in the file.
#[track_caller]
fn check_same(overrides: &[&str], snippet: &str) {
    let overridden = recipe("", overrides).unwrap_or_else(|problems| panic!("{}", rendered(&problems)));
    assert_eq!(overridden, good(snippet));
}

#[test]
fn values_are_toml() {
    check_same(
        &["train.learning_rate=1e-4", "train.seed = 0x2b", "eval.baseline=false", "lora.lora_dropout=0"],
        "[train]\nlearning_rate = 1e-4\nseed = 43\n[eval]\nbaseline = false\n[lora]\nlora_dropout = 0.0",
    );
    check_same(
        &[r#"lora.target_modules=["q_proj", "v_proj"]"#, "logging.report_to=[]"],
        "[lora]\ntarget_modules = [\"q_proj\", \"v_proj\"]\n[logging]\nreport_to = []",
    );
    check_same(
        &["data.label_set=custom", "data.labels=['up', 'down']", "data.label_aliases={ high = 'up' }"],
        &format!(
            "{DATA}label_set = \"custom\"\nlabels = [\"up\", \"down\"]\nlabel_aliases = {{ high = \"up\" }}"
        ),
    );
}

#[test]
fn words_need_no_quotes() {
    check_same(&["train.method=full"], "[train]\nmethod = \"full\"");
    check_same(&["train.method=\"full\""], "[train]\nmethod = \"full\"");
    check_same(&["lora.target_modules=all-linear"], "[lora]\ntarget_modules = \"all-linear\"");
    check_same(&["lora.init_lora_weights=gaussian"], "[lora]\ninit_lora_weights = \"gaussian\"");
    check_same(&["train.output_dir=runs/a=b"], "[train]\noutput_dir = \"runs/a=b\"");
}

#[test]
fn text_stays_text() {
    check_same(&["model.revision=1234567"], "[model]\nmodel_name_or_path = \"tiny\"\nrevision = \"1234567\"");
    check_same(&["data.test="], "");
}

#[test]
fn the_last_one_wins_and_replaces_what_was_wrong_in_the_file() {
    let overrides = ["train.seed=44", "train.seed=45"];
    let overridden = recipe("[train]\nseed = \"wrong\"", &overrides);
    assert_eq!(overridden.unwrap(), good("[train]\nseed = 45"));
}
