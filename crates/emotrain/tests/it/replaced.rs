//! What a command writes takes the place of nothing that people wrote; and a base that is no longer the one of the training
//! is said.

use crate::workbench::{Workbench, material, refused};

#[test]
fn a_run_does_not_write_over_the_recipe_that_it_is_made_of() {
    let bench = Workbench::new();
    let text = bench.read("recipe.toml");
    let here = ["recipe.toml", "--set", "train.output_dir=."];
    for more in [&["--dry-run"][..], &[]] {
        let said = bench.run(&[&here, more].concat());
        refused(&said, 2, &["recipe.toml: no run has written it", "hint: choose another train.output_dir"]);
    }
    refused(&bench.run(&[&["check"], &here[..]].concat()), 2, &["recipe.toml: no run has written it"]);
    assert_eq!(bench.read("recipe.toml"), text);
    fs_err::create_dir(bench.path("run")).unwrap();
    bench.write("run/recipe.toml", "# another one's\n");
    refused(&bench.train("run", &[]), 2, &["run/recipe.toml: no run has written it"]);
    assert_eq!(bench.read("run/recipe.toml"), "# another one's\n");
}

#[test]
fn an_output_takes_the_place_of_no_input() {
    let bench = Workbench::new();
    let rows: String = fs_err::read_to_string(material().join("train.jsonl")).unwrap();
    bench.write("data.jsonl", &rows);
    bench.write("scores.jsonl", "{\"id\":\"train-0\",\"dif\":1}\n");
    let labels = "data.labels=[\"neutral\",\"joy\",\"anger\"]";
    let set = ["--set", "data.label_set=custom", "--set", labels];
    let eval = |output: &str| bench.run(&["eval", "recipe.toml", "--output", output]);
    refused(&eval("data.jsonl"), 2, &["data.jsonl: is there already, and is no file of predictions"]);
    refused(&eval("recipe.toml"), 2, &["recipe.toml: is an input of this command"]);
    let show = |file: &str| bench.run(&["curriculum", "show", "recipe.toml", "--svg", file]);
    refused(&show("data.jsonl"), 2, &["data.jsonl: is there already"]);
    refused(&show("recipe.toml"), 2, &["recipe.toml: is an input of this command"]);
    let score = |out: &str| {
        let args = ["curriculum", "score", "--data", "data.jsonl", "--curriculum", "length", "--out", out];
        bench.run(&[&args[..], &set].concat())
    };
    refused(&score("data.jsonl"), 2, &["data.jsonl: is an input of this command"]);
    refused(&score("scores.jsonl"), 2, &["scores.jsonl: is there already, and is no file of scores"]);
    score("own.jsonl").done();
    score("own.jsonl").done();
    let gradients = ["bench", "model", "--tokens", "16", "--steps", "1", "--warmup", "0", "--gradients"];
    fs_err::create_dir(bench.path("model")).unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        fs_err::copy(material().join("base").join(name), bench.path("model").join(name)).unwrap();
    }
    let weights = fs_err::read(bench.path("model/model.safetensors")).unwrap();
    let more = ["--set", "lora.lora_dropout=0", "--completion", "4"];
    let onto = |file: &str| bench.run(&[&gradients[..], &[file], &more].concat());
    refused(&onto("model/model.safetensors"), 2, &["model.safetensors: is there already"]);
    onto("gradients.safetensors").done();
    onto("gradients.safetensors").done();
    assert!(fs_err::read(bench.path("model/model.safetensors")).unwrap() == weights);
    assert_eq!(bench.read("data.jsonl"), rows);
}

#[test]
fn an_annotators_work_and_a_bank_are_no_place_for_results() {
    let bench = Workbench::new();
    fs_err::copy(material().join("train.jsonl"), bench.path("a.jsonl")).unwrap();
    let labels = "neutral,joy,anger";
    bench.run(&["bank", "build", "bank", "a.jsonl", "--dataset", "a", "--labels", labels]).done();
    bench.write("q.jsonl", "{\"id\":\"1\",\"text\":\"bread\"}\n");
    let search = |out: &str| bench.run(&["bank", "search", "bank", "--queries", "q.jsonl", "--out", out]);
    refused(&search("q.jsonl"), 2, &["q.jsonl: is an input of this command"]);
    refused(&search("bank/demonstrations.jsonl"), 2, &["demonstrations.jsonl: is there already"]);
    search("found.jsonl").done();
    search("found.jsonl").done();
    bench.run(&["bank", "check", "bank"]).done();
}

/// In the order in which they are used: resumed, asked again, scored again.
#[test]
fn a_base_that_computes_otherwise_is_noticed_wherever_an_adapter_is_used() {
    let bench = Workbench::new();
    fs_err::create_dir(bench.path("model")).unwrap();
    for entry in fs_err::read_dir(material().join("base")).unwrap() {
        let entry = entry.unwrap();
        fs_err::copy(entry.path(), bench.path("model").join(entry.file_name())).unwrap();
    }
    let own = ["--set", "model.model_name_or_path=./model"];
    bench.train("run", &own).done();
    let input = material().join("test.jsonl").display().to_string();
    let predict = || bench.run(&["predict", "--run", "run", "--input", &input]).done();
    let eval = || {
        let args = ["eval", "recipe.toml", "--run", "run", "--split", "test"];
        bench.run(&[&args[..], &own].concat()).done()
    };
    for said in [predict(), eval()] {
        assert!(!said.err.contains("trained on") && !said.err.contains("computes otherwise"), "{}", said.err);
    }
    let config = bench.read("model/config.json");
    let spelled = config.replace("10000.0", "1e4");
    assert_ne!(spelled, config);
    bench.write("model/config.json", &spelled);
    assert!(!predict().err.contains("computes otherwise"));
    bench.write("model/config.json", &config.replace("10000.0", "500.0"));
    for said in [predict(), eval()] {
        assert!(said.err.contains("its configuration computes otherwise than in training"), "{}", said.err);
    }
    for step in [6, 8] {
        fs_err::remove_dir_all(bench.path(&format!("run/step-{step:06}"))).unwrap();
    }
    let said = bench.train("run", &[&own[..], &["--resume"]].concat());
    refused(&said, 3, &["the base model's configuration: sha256"]);
    bench.write("model/config.json", &config);
    let weights = bench.path("model/model.safetensors");
    let mut bytes = fs_err::read(&weights).unwrap();
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    fs_err::write(&weights, bytes).unwrap();
    for said in [predict(), eval()] {
        assert!(said.err.contains("not the weights that were trained on"), "{}", said.err);
    }
}
