//! Whole trainings of a few steps, and what is made of their result.

use emotrain_runs::{MetricsLine, RunRecord, RunReport};
use serde_json::Value;

use crate::workbench::{Workbench, config, material};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_run_leaves_everything_it_promises() {
    let bench = Workbench::new();
    let said = bench.train("run", &["--set", "eval.test=true"]).done();
    for part in ["valid", "test", "F1 before", "weighted F1", "always the most frequent label"] {
        assert!(said.out.contains(part), "{part} is not in\n{}", said.out);
    }
    for part in ["dialogues", "train: 36 samples", "step 2/8", "step 8/8", "(new best)"] {
        assert!(said.err.contains(part), "{part} is not in\n{}", said.err);
    }
    let run = bench.json("run/run.json");
    assert_eq!(run["training"]["steps"], 8);
    assert_eq!(run["training"]["end"], "completed");
    assert_eq!(run["data"]["train"]["samples"], 36);
    assert_eq!(run["model"]["sha256"].as_str().unwrap().len(), 64);
    let report = bench.json("run/report.json");
    assert_eq!(report["before"].as_array().unwrap().len(), 2);
    assert_eq!(report["after"][1]["split"], "test");
    let metrics = lines(&bench.read("run/metrics.jsonl"));
    assert_eq!(metrics.iter().filter(|line| line["event"] == "train").count(), 4);
    // What wrote them reads them, whole.
    let record = RunRecord::read(&bench.path("run/run.json")).unwrap();
    assert_eq!(serde_json::to_value(record).unwrap(), run);
    let scores = RunReport::read(&bench.path("run/report.json")).unwrap();
    assert_eq!(serde_json::to_value(scores).unwrap(), report);
    for line in metrics {
        let read: MetricsLine = serde_json::from_value(line.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), line);
    }
    let predictions = lines(&bench.read("run/predictions.test.jsonl"));
    assert_eq!(predictions.len(), 12);
    assert_eq!(predictions[0]["id"], "test-0#0");
    let files = bench.json("run/adapter/manifest.json")["files"].to_string();
    assert!(files.contains("prompt_contract.json") && files.contains("adapter_model.safetensors"), "{files}");
    assert!(bench.path("run/tb").is_dir());
    assert!(bench.path("run/recipe.toml").is_file());
}

#[test]
fn a_run_is_not_overwritten() {
    let bench = Workbench::new();
    bench.train("run", &["--set", "train.max_steps=1", "--set", "eval.baseline=false"]).done();
    let said = bench.train("run", &["--set", "train.max_steps=1"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("already has a run") && said.err.contains("--resume"), "{}", said.err);
}

#[test]
fn a_run_that_left_nothing_is_simply_run_again() {
    let bench = Workbench::new();
    fs_err::create_dir(bench.path("run")).unwrap();
    bench.write("run/recipe.toml", "what a run that died while loading has left");
    bench.write("run/run.json", "{}");
    bench.write("run/baseline.json", "[]");
    bench.train("run", &["--set", "train.max_steps=4"]).done();
    assert_eq!(bench.json("run/report.json")["before"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_measured_is_what_was_saved() {
    let bench = Workbench::new();
    let more = ["--set", "save.dtype=bfloat16", "--set", "train.neftune_noise_alpha=5.0"];
    for best in ["true", "false"] {
        let load_best = format!("eval.load_best_model_at_end={best}");
        bench.train(best, &[&more[..], &["--set", &load_best]].concat()).done();
        bench.run(&["eval", "recipe.toml", "--run", best]).done();
        let run = |file: &str| bench.read(&format!("{best}/{file}"));
        assert_eq!(run("predictions.valid.jsonl"), run("predictions.eval-valid.jsonl"));
    }
    bench.train("quiet", &more[..2]).done();
    assert_ne!(bench.read("quiet/predictions.valid.jsonl"), bench.read("true/predictions.valid.jsonl"));
}

#[test]
fn a_run_that_does_not_get_better_stops_early() {
    let bench = Workbench::new();
    let still = ["--set", "train.learning_rate=1e-12", "--set", "eval.eval_steps=2"];
    let patience = ["--set", "eval.early_stopping_patience=1"];
    let said = bench.train("run", &[&still[..], &patience].concat()).done();
    assert!(said.err.contains("stopped early"), "{}", said.err);
    let training = &bench.json("run/run.json")["training"];
    assert_eq!((&training["end"], &training["steps"]), (&"stopped early".into(), &4.into()));
    assert_eq!(training["best"]["step"], 2);
}

#[test]
fn a_number_that_is_not_finite_ends_the_run_and_saves_nothing() {
    let bench = Workbench::new();
    bench.train("run", &[]).done();
    let adapter = || fs_err::read(bench.path("run/adapter/adapter_model.safetensors")).unwrap();
    let good = adapter();

    let base = material().join("base");
    fs_err::create_dir(bench.path("wild")).unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json", "config.json"] {
        fs_err::copy(base.join(file), bench.path("wild").join(file)).unwrap();
    }
    let mut weights = fs_err::read(base.join("model.safetensors")).unwrap();
    let data = 8 + usize::try_from(u64::from_le_bytes(weights[..8].try_into().unwrap())).unwrap();
    weights[data..data + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs_err::write(bench.path("wild/model.safetensors"), weights).unwrap();
    let wild = ["--set", "model.model_name_or_path=./wild", "--set", "eval.baseline=false"];
    let said = bench.train("wild-run", &wild);
    assert_eq!(said.code, 4, "{}", said.err);
    assert!(said.err.contains("is not a finite number"), "{}", said.err);
    for nothing in ["adapter", "step-000002", "report.json"] {
        assert!(!bench.path("wild-run").join(nothing).exists(), "{nothing}");
    }
    // Nor does it touch what another run has left.
    assert_ne!(bench.train("run", &wild).code, 0);
    assert!(adapter() == good);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let bench = Workbench::new();
    let adapter = |threads: &str| {
        bench.train(threads, &["--set", &format!("model.num_threads={threads}")]).done();
        fs_err::read(bench.path(threads).join("adapter/adapter_model.safetensors")).unwrap()
    };
    assert!(adapter("1") == adapter("3"));
}

#[test]
fn two_runs_are_equal_to_the_bit() {
    let bench = Workbench::new();
    let outs = ["one", "two"].map(|output| bench.train(output, &[]).done().out);
    assert_eq!(outs[0], outs[1]);
    for file in
        ["adapter/adapter_model.safetensors", "step-000008/optimizer.safetensors", "predictions.valid.jsonl"]
    {
        let [one, two] = ["one", "two"].map(|run| fs_err::read(bench.path(run).join(file)).unwrap());
        assert!(one == two, "{file} differs");
    }
    bench.train("three", &["--set", "train.seed=43"]).done();
    let other = fs_err::read(bench.path("three/adapter/adapter_model.safetensors")).unwrap();
    assert!(other != fs_err::read(bench.path("one/adapter/adapter_model.safetensors")).unwrap());
}

#[test]
fn evaluation_repeats_what_training_measured() {
    let bench = Workbench::new();
    bench.train("run", &[]).done();
    let trained = bench.read("run/predictions.valid.jsonl");
    let said = bench.run(&["eval", "recipe.toml", "--run", "run"]).done();
    assert!(said.out.contains("precision") && said.out.contains("loss"), "{}", said.out);
    assert_eq!(bench.read("run/predictions.eval-valid.jsonl"), trained);
    bench.run(&["eval", "recipe.toml", "--adapter", "run/adapter", "--output", "here.jsonl"]).done();
    assert_eq!(bench.read("here.jsonl"), trained);

    let alone = bench.run(&["eval", "recipe.toml", "--split", "test"]).done();
    assert!(alone.err.contains("evaluating the base model"), "{}", alone.err);
    assert!(!bench.path("run/predictions.eval-test.jsonl").exists());
}

/// The untrained model writes no label, the trained one a few at least; what is none is counted and stored as none.
#[test]
fn answers_in_the_models_own_words_count_only_as_labels() {
    let bench = Workbench::new();
    let own = ["--set", "eval.output_type=generate_until", "--output", "own.jsonl"];
    let said = bench.run(&[&["eval", "recipe.toml"], &own[..]].concat()).done();
    let rows = bench.read("own.jsonl");
    let unparsed = rows.matches("\"label\":null").count();
    assert!(unparsed > 0, "{rows}");
    let counted = format!("unparsed answers, counted as wrong: {unparsed} of 12");
    assert!(said.out.contains(&counted) && said.out.contains("loss"), "{}", said.out);

    bench.train("run", &["--set", "train.max_steps=60"]).done();
    bench.run(&[&["eval", "recipe.toml", "--run", "run"], &own[..]].concat()).done();
    assert!(bench.read("own.jsonl").matches("\"label\":null").count() < 12, "{}", bench.read("own.jsonl"));

    // predict finds them in the same way, and says how many name no label.
    let input = material().join("valid.jsonl").display().to_string();
    let predict = ["predict", "recipe.toml", "--overwrite", "--adapter", "run/adapter", "--input", &input];
    let said = bench.run(&[&predict[..], &own[..]].concat()).done();
    let labels = |rows: &str| -> Vec<_> { lines(rows).iter().map(|row| row["label"].clone()).collect() };
    let own_words = labels(&bench.read("own.jsonl"));
    bench.run(&[&["eval", "recipe.toml", "--run", "run"], &own[..]].concat()).done();
    assert_eq!(own_words, labels(&bench.read("own.jsonl")));
    let unparsed = own_words.iter().filter(|label| label.is_null()).count();
    let told = said.err.contains(&format!("{unparsed} of 12 answers contain no label"));
    assert_eq!(told, unparsed > 0, "{}", said.err);
    // A model that was hardly trained answers in other words: by likelihood every answer is a label.
    bench.train("early", &["--set", "train.max_steps=1"]).done();
    let early = ["predict", "recipe.toml", "--overwrite", "--adapter", "early/adapter", "--input", &input];
    let said = bench.run(&[&early[..], &own[..]].concat()).done();
    assert!(
        bench.read("own.jsonl").contains("\"label\":null") && said.err.contains("contain no label"),
        "{}",
        said.err
    );
    let said = bench.run(&[&early[..], &["--output", "choice.jsonl"]].concat()).done();
    assert!(!bench.read("choice.jsonl").contains("\"label\":null") && !said.err.contains("contain no label"));
}

#[test]
fn labels_can_be_scored_in_bf16() {
    let bench = Workbench::new();
    let scores = |more: &[&str]| -> Vec<f64> {
        bench.run(&[&["eval", "recipe.toml", "--output", "scored.jsonl"], more].concat()).done();
        let rows = lines(&bench.read("scored.jsonl"));
        rows.iter()
            .flat_map(|row| row["scores"].as_object().unwrap().values().map(|score| score.as_f64().unwrap()))
            .collect()
    };
    let (full, bf16) = (scores(&[]), scores(&["--set", "eval.bf16_full_eval=true"]));
    assert_eq!((full.len(), bf16.len()), (36, 36));
    assert_ne!(full, bf16);
    for (full, bf16) in full.iter().zip(&bf16) {
        assert!((full - bf16).abs() < 0.05 * full.abs(), "{bf16}, in full {full}");
    }
}

#[test]
fn predictions_need_no_labels() {
    let bench = Workbench::new();
    bench.train("run", &[]).done();
    let input =
        r#"{"id":"new","utterances":[{"speaker":"Ada","text":"It works!"},{"speaker":"Bo","text":"Good."}]}"#;
    bench.write("input.jsonl", input);
    let said = bench.run(&["-q", "predict", "recipe.toml", "--run", "run", "--input", "input.jsonl"]).done();
    let rows = lines(&said.out);
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1]["id"], "new#1");
    assert_eq!(rows[1]["truth"], Value::Null);
    assert_eq!(rows[1]["scores"].as_object().unwrap().len(), 3);
    assert!(said.err.is_empty(), "{}", said.err);
    let args = ["predict", "recipe.toml", "--run", "run", "--input", "input.jsonl", "--output", "out.jsonl"];
    bench.run(&args).done();
    assert_eq!(bench.read("out.jsonl"), said.out);
}

#[test]
fn a_prompt_that_was_not_trained_is_refused() {
    let bench = Workbench::new();
    bench.train("run", &["--set", "train.max_steps=4"]).done();
    let said = bench.run(&["eval", "recipe.toml", "--run", "run", "--set", "prompt.history_window=1"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("prompt.history_window was 2 and is 1"), "{}", said.err);
}

#[test]
fn a_sample_of_the_training_split_is_drawn_by_the_seed() {
    let bench = Workbench::new();
    let plan = |seed: &str| {
        let args = ["recipe.toml", "--dry-run", "--set", "data.max_train_samples=7", "--set", seed];
        bench.run(&args).done()
    };
    let (one, two) = (plan("train.seed=1"), plan("train.seed=2"));
    assert!(one.err.contains("train: 7 samples") && one.err.contains("drawn at random"), "{}", one.err);
    assert!(one.out == plan("train.seed=1").out);
    assert!(one.out != two.out, "{}", one.out);
}

#[test]
fn a_model_from_nothing_and_an_adapter_on_it() {
    let bench = Workbench::new();
    let base = material().join("base");
    fs_err::create_dir(bench.path("shape")).unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        fs_err::copy(base.join(file), bench.path("shape").join(file)).unwrap();
    }
    bench.write("shape/config.json", &config().to_string());
    let folder = material().display().to_string();
    let text = format!(
        "[model]\nmodel_name_or_path = \"./shape\"\ninit = \"random\"\ndevice = \"cpu\"\n\
         [data]\nformat = \"text\"\ntrain = \"{folder}/corpus.txt\"\nvalid = \"{folder}/short.jinja\"\n\
         [train]\nmethod = \"full\"\nmax_steps = 6\nmax_seq_length = 48\ncompletion_only_loss = false\n\
         output_dir = \"text-run\"\n\
         [eval]\nmetric_for_best_model = \"loss\"\ngreater_is_better = false\neval_steps = 3\n"
    );
    bench.write("text.toml", &text);
    let said = bench.run(&["text.toml"]).done();
    assert!(said.out.contains("perplexity"), "{}", said.out);
    let files = bench.json("text-run/model/manifest.json")["files"].to_string();
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        assert!(files.contains(file) && bench.path("text-run/model").join(file).exists(), "{file}");
    }
    bench.run(&["eval", "text.toml", "--run", "text-run"]).done();
    let on_it = ["--set", "model.model_name_or_path=./text-run/model", "--set", "train.max_steps=4"];
    bench.train("adapter-run", &on_it).done();
    assert!(bench.path("adapter-run/adapter/adapter_model.safetensors").exists());
}
