//! Wrong recipes, data, models and places: the exit code, where, what, and what to do.

use crate::workbench::{Said, Workbench, config, material};

/// A run of the recipe that must fail with `code` and say all of `parts`.
#[track_caller]
fn fails(said: &Said, code: i32, parts: &[&str]) {
    assert_eq!(said.code, code, "{}", said.err);
    for part in parts {
        assert!(said.err.contains(part), "{part:?} is not in\n{}", said.err);
    }
    assert!(!said.err.contains("defect"), "{}", said.err);
}

#[test]
fn a_recipe_that_is_not_there() {
    let bench = Workbench::new();
    fails(&bench.run(&["nothing.toml"]), 2, &["error:", "nothing.toml"]);
}

#[test]
fn all_problems_of_a_recipe_at_once() {
    let bench = Workbench::new();
    let text = bench.read("recipe.toml").replace("r = 4", "lora_rank = 4").replace("max_steps", "max_step");
    bench.write("wrong.toml", &text);
    let said = bench.run(&["wrong.toml", "--set", "train.sed=1"]);
    fails(
        &said,
        2,
        &["wrong.toml:5:1", "lora.r", "max_steps", "--set: unknown key \"sed\"", "\"seed\"", "hint:"],
    );
}

#[test]
fn problems_of_data_template_and_tokenizer_at_once() {
    let bench = Workbench::new();
    let train = fs_err::read_to_string(material().join("train.jsonl")).unwrap();
    bench.write("train.jsonl", &train.replacen("\"joy\"", "\"joyy\"", 1));
    bench.write("wrong.jinja", "{% block user %}{{ label_list }} {{ uterance }}{% endblock %}");
    let set = ["data.train=train.jsonl", "data.valid=nowhere.jsonl", "prompt.template=wrong.jinja"];
    let set: Vec<&str> = set.iter().flat_map(|set| ["--set", *set]).collect();
    for command in [&["recipe.toml"][..], &["recipe.toml", "--dry-run"], &["check", "recipe.toml"]] {
        let said = bench.run(&[command, &set].concat());
        let parts = [
            "train.jsonl:1: utterance train-0#1",
            "unknown label \"joyy\"",
            "did you mean \"joy\"?",
            "nowhere.jsonl",
            "uterance",
        ];
        fails(&said, 3, &parts);
        assert!(!bench.path("checkpoints").exists());
    }
}

#[test]
fn a_template_alone_is_a_fault_of_the_recipe() {
    let bench = Workbench::new();
    bench.write("wrong.jinja", "{% block user %}{{ label_list }} {{ uterance }}{% endblock %}");
    fails(
        &bench.run(&["check", "recipe.toml", "--set", "prompt.template=wrong.jinja"]),
        2,
        &["wrong.jinja:1"],
    );
}

#[test]
fn utterances_that_do_not_fit_are_all_named() {
    let bench = Workbench::new();
    let said = bench.run(&["check", "recipe.toml", "--set", "train.max_seq_length=40"]);
    fails(
        &said,
        3,
        &["train.jsonl: utterance train-0#0", "train-0#1", "more utterances", "train.max_seq_length"],
    );
}

#[test]
fn a_split_that_shares_data_with_another() {
    let bench = Workbench::new();
    let train = fs_err::read_to_string(material().join("train.jsonl")).unwrap();
    bench.write("valid.jsonl", train.lines().next().unwrap());
    fails(&bench.run(&["recipe.toml", "--set", "data.valid=valid.jsonl"]), 3, &["train-0", "must not share"]);
}

#[test]
fn a_model_that_is_nowhere_comes_with_the_ways_out() {
    let bench = Workbench::new();
    let model =
        |name: &str| bench.run(&["recipe.toml", "--set", &format!("model.model_name_or_path={name}")]);
    fails(
        &model("someone/some-model"),
        3,
        &["someone/some-model", "HF_HUB_OFFLINE", "hint:", "the path of a folder"],
    );
    fails(&model("./gone"), 3, &["gone", "no such file or folder"]);
}

#[test]
fn a_model_that_does_not_belong_to_its_tokenizer() {
    let bench = Workbench::new();
    let base = material().join("base");
    fs_err::create_dir(bench.path("other")).unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        fs_err::copy(base.join(file), bench.path("other").join(file)).unwrap();
    }
    let mut smaller = config();
    smaller["vocab_size"] = 200.into();
    bench.write("other/config.json", &smaller.to_string());
    let said = bench.run(&["recipe.toml", "--dry-run", "--set", "model.model_name_or_path=./other"]);
    fails(&said, 3, &["vocabulary has 200 tokens", "does not belong to the model"]);
}

#[test]
fn a_device_that_was_not_built_in() {
    let bench = Workbench::new();
    let said = bench.run(&["recipe.toml", "--set", "model.device=cuda"]);
    fails(&said, 3, &["model.device = \"cuda\"", "hint:"]);
}

#[test]
fn numbers_that_are_not_finite_end_with_their_own_code() {
    let bench = Workbench::new();
    let base = material().join("base");
    fs_err::create_dir(bench.path("broken")).unwrap();
    for entry in fs_err::read_dir(&base).unwrap() {
        let path = entry.unwrap().path();
        fs_err::copy(&path, bench.path("broken").join(path.file_name().unwrap())).unwrap();
    }
    let weights = bench.path("broken/model.safetensors");
    let mut bytes = fs_err::read(&weights).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs_err::write(&weights, bytes).unwrap();
    let said =
        bench.train("run", &["--set", "model.model_name_or_path=./broken", "--set", "eval.baseline=false"]);
    fails(&said, 4, &["step 1", "not a finite number", "hint:"]);
    assert!(!bench.path("run/adapter").exists());
}

#[test]
fn a_place_that_cannot_be_written() {
    let bench = Workbench::new();
    bench.write("file", "");
    fails(&bench.train("file/run", &[]), 5, &["file/run"]);
    let said = bench.run(&["tokenizer", "--vocab-size", "300", "--output", "file/t", "recipe.toml"]);
    fails(&said, 5, &["file: cannot be written"]);
}

#[test]
fn things_that_were_not_trained() {
    let bench = Workbench::new();
    fs_err::create_dir(bench.path("empty")).unwrap();
    fails(&bench.run(&["eval", "recipe.toml", "--run", "empty"]), 3, &["empty: holds nothing trained"]);
    fails(
        &bench.run(&["eval", "recipe.toml", "--adapter", "empty"]),
        3,
        &["holds neither adapter_config.json"],
    );
    fails(&bench.run(&["predict", "recipe.toml", "--input", "x.jsonl"]), 2, &["--adapter", "--run"]);
    let elsewhere = ["--set", "save.resume_from_checkpoint=empty/step-000002"];
    fails(&bench.train("run", &elsewhere), 2, &["is not a step of the run in run"]);
    assert!(!bench.path("run").exists());
}
