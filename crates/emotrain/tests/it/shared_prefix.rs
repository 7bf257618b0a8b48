//! What samples begin with is computed once, and the run is the same.

use serde_json::Value;

use crate::workbench::{Workbench, refused};

const SET: [&str; 12] = [
    "--set",
    "lora.lora_dropout=0.0",
    "--set",
    "logging.logging_steps=1",
    "--set",
    "train.per_device_train_batch_size=6",
    "--set",
    "train.group_by_dialogue=true",
    "--set",
    "curriculum.shuffle=false",
    "--set",
    "data.sampling=\"sqrt\"",
];

/// The training losses of a run.
fn losses(bench: &Workbench, run: &str) -> Vec<f64> {
    let lines = bench.read(&format!("{run}/metrics.jsonl"));
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["event"] == "train").map(|line| line["loss"].as_f64().unwrap()).collect()
}

/// Each utterance with its label and the scores of all.
fn predictions(bench: &Workbench, run: &str) -> Vec<(String, String, Vec<f64>)> {
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let scores = line["scores"].as_object().unwrap().values().map(|score| score.as_f64().unwrap());
        (line["id"].to_string(), line["label"].to_string(), scores.collect())
    };
    bench.read(&format!("{run}/predictions.valid.jsonl")).lines().map(line).collect()
}

fn tokens(bench: &Workbench, run: &str) -> u64 {
    bench.json(&format!("{run}/run.json"))["training"]["tokens"].as_u64().unwrap()
}

/// The counts of the line about tokens of a dry run.
fn counted(bench: &Workbench, shared_prefix: &str) -> Vec<u64> {
    let shared_prefix = format!("train.shared_prefix={shared_prefix}");
    let set = [&["recipe.toml", "--dry-run", "--set", &shared_prefix], &SET[..]].concat();
    let said = bench.run(&set).done().out;
    let line = said.lines().find(|line| line.starts_with("tokens")).unwrap();
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn a_run_that_shares_rows_is_the_one_that_does_not() {
    let bench = Workbench::new();
    for shared_prefix in ["auto", "never"] {
        let set = format!("train.shared_prefix={shared_prefix}");
        bench.train(shared_prefix, &[&SET[..], &["--set", &set]].concat()).done();
    }
    let [shared, apart] = ["auto", "never"].map(|run| losses(&bench, run));
    assert_eq!(shared.len(), 8);
    for (one, other) in shared.iter().zip(&apart) {
        assert!((one - other).abs() <= 2e-5 * other.abs(), "{shared:?}, not {apart:?}");
    }
    let [ours, theirs] = ["auto", "never"].map(|run| predictions(&bench, run));
    assert_eq!((ours.len(), theirs.len()), (12, 12));
    for ((id, label, scores), (other_id, other_label, others)) in ours.iter().zip(&theirs) {
        assert_eq!((id, label), (other_id, other_label));
        assert!(scores.iter().zip(others).all(|(a, b)| (a - b).abs() < 1e-3), "{scores:?} {others:?}");
    }

    // The tokens of a run are those that were computed, and a dry run counts both kinds.
    let (together, alone) = (counted(&bench, "auto"), counted(&bench, "never"));
    assert_eq!((alone.len(), together.len()), (1, 2));
    assert_eq!(together[0] + together[1], alone[0]);
    assert_eq!(tokens(&bench, "never") - tokens(&bench, "auto"), together[1]);
    assert!(2 * together[1] > together[0], "{together:?}");
}

/// In a random order, other in every epoch, as much is shared as in that of the file.
#[test]
fn whole_dialogues_that_are_shuffled_share_what_they_begin_with() {
    let bench = Workbench::new();
    let computed = |sets: [&str; 2]| {
        let set = ["train.per_device_train_batch_size=3", "lora.lora_dropout=0.0"];
        let set = set.iter().chain(&sets).flat_map(|set| ["--set", set]);
        let said =
            bench.run(&["recipe.toml", "--dry-run"].into_iter().chain(set).collect::<Vec<_>>()).done().out;
        let line = said.lines().find(|line| line.starts_with("tokens")).unwrap();
        line.split_whitespace().find_map(|word| word.parse::<u64>().ok()).unwrap()
    };
    let dialogues = "curriculum.shuffle_by=dialogues";
    let of_dialogues = computed(["curriculum.shuffle=true", dialogues]);
    assert!(of_dialogues < computed(["curriculum.shuffle=true", "curriculum.shuffle_by=utterances"]));
    assert!(computed([dialogues, "train.shared_prefix=never"]) > of_dialogues);

    bench.train("one", &["--set", dialogues]).done();
    bench.train("again", &["--set", dialogues]).done();
    let adapter =
        |run: &str| fs_err::read(bench.path(run).join("adapter/adapter_model.safetensors")).unwrap();
    assert!(adapter("one") == adapter("again"));
}

#[test]
fn with_dropout_rows_are_shared_only_on_demand() {
    let bench = Workbench::new();
    let with = |run: &str, shared_prefix: &str| {
        let set = format!("train.shared_prefix={shared_prefix}");
        bench.train(run, &[&SET[..], &["--set", "lora.lora_dropout=0.3", "--set", &set]].concat()).done();
        fs_err::read(bench.path(run).join("adapter/adapter_model.safetensors")).unwrap()
    };
    let [auto, never, always] = ["auto", "never", "always"].map(|word| with(word, word));
    assert!(auto == never && never != always);
    assert!(with("again", "always") == always);
}

#[test]
fn plain_text_has_no_dialogues_to_group_by() {
    let bench = Workbench::new();
    let set = ["check", "recipe.toml", "--set", "data.format=text", "--set", "train.group_by_dialogue=true"];
    let fault = "format = \"text\" has no dialogues for train.group_by_dialogue";
    refused(&bench.run(&set), 2, &[fault, "hint: write group_by_dialogue = false under [train]"]);
    let set =
        ["check", "recipe.toml", "--set", "data.format=text", "--set", "curriculum.shuffle_by=dialogues"];
    let fault = "format = \"text\" has no dialogues for curriculum.shuffle_by = \"dialogues\"";
    refused(&bench.run(&set), 2, &[fault, "hint: write shuffle_by = \"utterances\" under [curriculum]"]);
}
