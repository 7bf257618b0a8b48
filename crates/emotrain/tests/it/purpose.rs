//! What samples are for decides what they hold, and no split's name.

use serde_json::{Value, json};

use crate::workbench::{LABELS, Workbench};

/// Dialogues that differ in length, speakers and letters.
fn dialogues(seed: usize) -> String {
    let said = ["Ça alors !", "It is late, isn't it?", "我们走吧", "Never again…", "Oh, fine. 🙂"];
    let speakers = ["Mara", "Jonas", "Ü"];
    let line = |dialogue: usize| {
        let utterance = |turn: usize| {
            let at = seed * 7 + dialogue * 3 + turn * 5;
            json!({
                "speaker": speakers[at % (2 + seed % 2)],
                "text": format!("{} {}", said[at % said.len()], at % 11),
                "label": LABELS[(at / 2) % 3],
            })
        };
        let utterances: Vec<_> = (0..2 + (dialogue + seed) % 3).map(utterance).collect();
        format!("{}\n", json!({ "id": format!("{seed}-{dialogue}"), "utterances": utterances }))
    };
    (0..4).map(line).collect()
}

#[test]
fn the_same_file_has_the_same_scores_under_every_name() {
    let bench = Workbench::new();
    let auxiliary = ["auxiliary.emotion_impact=1.0", "auxiliary.speaker_identification=1.0"];
    let settings: [&[&str]; 5] = [
        &[],
        &auxiliary,
        &["train.completion_only_loss=false", "train.seed=7"],
        &["data.max_train_samples=5", "data.max_valid_samples=5", "data.max_test_samples=5"],
        &["eval.output_type=generate_until", auxiliary[0]],
    ];
    for (seed, settings) in settings.into_iter().enumerate() {
        bench.write("file.jsonl", &dialogues(seed));
        let set: Vec<&str> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
        let scored = ["train", "valid", "test"].map(|split| {
            let (file, output) = (format!("data.{split}=file.jsonl"), format!("{split}.out"));
            let args = ["eval", "recipe.toml", "--split", split, "--output", &output, "--set", &file];
            let said = bench.run(&[&args[..], &set].concat()).done();
            (bench.read(&output), said.out.replacen(split, "split", 1))
        });
        let utterances = dialogues(seed).matches("\"text\"").count();
        let expected = if settings.len() == 3 { 5 } else { utterances };
        assert_eq!(scored[0].0.lines().count(), expected, "{settings:?}: one prediction an utterance");
        for (name, other) in [("valid", &scored[1]), ("test", &scored[2])] {
            assert!(scored[0].0 == other.0, "{settings:?}: {name} has other scores than train");
            assert_eq!(
                scored[0].1.split_whitespace().collect::<Vec<_>>(),
                other.1.split_whitespace().collect::<Vec<_>>(),
                "{settings:?}"
            );
        }
    }
}

#[test]
fn a_prediction_is_what_an_evaluation_of_the_training_file_says() {
    let bench = Workbench::new();
    bench.train("run", &["--set", "train.max_steps=2", "--set", "eval.baseline=false"]).done();
    bench.write("file.jsonl", &dialogues(3));
    let shared = ["recipe.toml", "--run", "run"];
    let eval = ["--split", "train", "--set", "data.train=file.jsonl", "--output", "scored"];
    bench.run(&[&["eval"][..], &shared, &eval].concat()).done();
    bench
        .run(&[&["predict"][..], &shared, &["--input", "file.jsonl", "--output", "predicted"]].concat())
        .done();
    let said = |file: &str| -> Vec<Value> {
        let row = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        let same = ["id", "label", "truth", "scores"];
        bench.read(file).lines().map(|line| same.iter().map(|key| row(line)[key].clone()).collect()).collect()
    };
    assert!(said("predicted") == said("scored"));
}

#[test]
fn a_file_is_inspected_alike_under_every_name() {
    let bench = Workbench::new();
    bench.write("file.jsonl", &dialogues(1));
    let shown = ["train", "valid", "test"].map(|split| {
        let file = format!("data.{split}=file.jsonl");
        let set = [
            "--set",
            &file,
            "--set",
            "train.max_seq_length=400",
            "--set",
            "auxiliary.speaker_identification=0.5",
        ];
        let said =
            bench.run(&[&["inspect", "recipe.toml", "--limit", "99", "--split", split][..], &set].concat());
        said.done().out.replace(&format!("\n{split}: "), "\nsplit: ")
    });
    assert!(shown[0].contains("speaker_identification"), "{}", shown[0]);
    assert_eq!(shown[0], shown[1]);
    assert_eq!(shown[0], shown[2]);
}
