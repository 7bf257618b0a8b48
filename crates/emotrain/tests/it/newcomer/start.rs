//! Training on from an adapter.

use expect_test::expect;

use super::error;
use crate::workbench::Workbench;

const FROM: [&str; 2] = ["--set", "lora.init_from=first/adapter"];

fn started() -> Workbench {
    let bench = Workbench::new();
    bench.train("first", &["--set", "eval.baseline=false", "--set", "train.max_steps=2"]).done();
    bench
}

#[test]
fn what_is_measured_first_is_the_adapter() {
    let bench = started();
    let said = bench.train("second", &[&FROM[..], &["--set", "train.max_steps=2"]].concat()).done();
    let text = said.out + &said.err;
    assert!(text.contains("measuring the adapter of lora.init_from"), "{text}");
    assert!(text.contains("\nbefore: the adapter of lora.init_from, "), "{text}");
    for wrong in ["untrained", "the base model:"] {
        assert!(!text.contains(wrong), "{wrong} is in\n{text}");
    }
}

#[test]
fn another_prompt_is_told() {
    let bench = started();
    let set = ["--set", "data.labels=[\"joy\", \"neutral\", \"anger\"]", "--set", "prompt.history_window=1"];
    for command in [&["check", "recipe.toml"][..], &["recipe.toml", "--dry-run"]] {
        let said = bench.run(&[command, &FROM, &set].concat()).done();
        for part in [
            "another prompt: prompt.history_window was 2 and is 1",
            "labels = [\"neutral\", \"joy\", \"anger\"]",
        ] {
            assert!(said.err.contains(part), "{part} is not in\n{}", said.err);
        }
    }
    let said = bench.run(&[&["check", "recipe.toml"], &FROM[..]].concat()).done();
    assert!(said.err.is_empty(), "{}", said.err);
    let eval = ["eval", "recipe.toml", "--run", "first", "--set", set[1]];
    expect![[r#"
        error: the prompt differs from the one the adapter was trained with: the same labels are in another order: write label_set = "custom" and labels = ["neutral", "joy", "anger"] under [data]
          hint: use the recipe and the base model of the training
    "#]].assert_eq(&error(&bench, &eval));
}

#[test]
fn check_finds_what_training_would_refuse() {
    let bench = started();
    let check = |set: &str| error(&bench, &[&["check", "recipe.toml", "--set", set], &FROM[..]].concat());
    let all = ["lora.r=5", "lora.target_modules=[\"q_proj\"]", "lora.lora_alpha=3"].map(check).concat();
    expect![[r#"
        error: recipe.toml: lora.r = 5, but the adapter of lora.init_from has 4
          hint: leave the key out: rank, alpha and layers are the adapter's
        error: recipe.toml: lora.target_modules = ["q_proj"], but the adapter of lora.init_from has {"down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"}
          hint: leave the key out: rank, alpha and layers are the adapter's
        error: recipe.toml: lora.lora_alpha = 3, but the adapter of lora.init_from has 8
          hint: leave the key out: rank, alpha and layers are the adapter's
    "#]].assert_eq(&all);
    let base = bench.path("other");
    fs_err::create_dir(&base).unwrap();
    let from = crate::workbench::material().join("base");
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs_err::copy(entry.path(), base.join(entry.file_name())).unwrap();
    }
    let config =
        bench.read("other/config.json").replace("\"intermediate_size\": 48", "\"intermediate_size\": 52");
    bench.write("other/config.json", &config.replace("\"intermediate_size\":48", "\"intermediate_size\":52"));
    let said = check("model.model_name_or_path=./other");
    assert!(said.contains("lora.init_from cannot be loaded") && said.contains("this model needs"), "{said}");
}
