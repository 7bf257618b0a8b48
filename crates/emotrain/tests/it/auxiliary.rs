//! Questions that training puts besides those about emotions, from the recipe to the curves.

use serde_json::{Value, json};

use crate::workbench::{Workbench, material};

/// A third of the utterances asks who said them, half of them what their speaker will feel.
const BOTH: [&str; 4] =
    ["--set", "auxiliary.speaker_identification=0.34", "--set", "auxiliary.emotion_impact=0.5"];

const KINDS: &str = "of these 36 emotion, 12 speaker_identification, 18 emotion_impact";

/// The built-in questions are longer than the workbench's own.
fn workbench() -> Workbench {
    let bench = Workbench::new();
    let recipe = bench.read("recipe.toml");
    bench.write("recipe.toml", &recipe.replace("max_seq_length = 256", "max_seq_length = 512"));
    bench
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The headlines of what `inspect` shows, without counts of tokens.
fn headlines(said: &str) -> Vec<&str> {
    let heads = said.lines().filter(|line| line.contains(" tokens, ") && line.contains('#'));
    heads.map(|line| line.split(':').next().unwrap()).collect()
}

#[test]
fn a_run_trains_on_them_and_scores_emotions_alone() {
    let bench = workbench();
    let every = ["--set", "logging.logging_steps=1", "--set", "eval.test=true"];
    let said = bench.train("both", &[&BOTH[..], &every].concat()).done();
    assert!(said.err.contains("train: 66 samples") && said.err.contains(KINDS), "{}", said.err);
    bench.train("plain", &every).done();

    let run = bench.json("both/run.json");
    let tasks = json!({ "emotion": 36, "speaker_identification": 12, "emotion_impact": 18 });
    assert_eq!(run["data"]["train"]["tasks"], tasks);
    assert_eq!(run["data"]["train"]["samples"], 66);
    for split in ["valid", "test"] {
        assert_eq!(run["data"][split]["tasks"], json!({ "emotion": 12 }), "{split}");
        assert_eq!(run["data"][split], bench.json("plain/run.json")["data"][split]);
    }
    assert_eq!(run["auxiliary"][1]["task"], "emotion_impact");
    assert_eq!(run["auxiliary"][1]["template"], "template \"emotion_impact\"");
    assert_eq!(bench.json("plain/run.json")["auxiliary"], json!([]));

    let rows = lines(&bench.read("both/metrics.jsonl"));
    for kind in ["emotion", "speaker_identification", "emotion_impact"] {
        let name = format!("loss/{kind}");
        let losses: Vec<f64> = rows.iter().filter_map(|row| row[&name].as_f64()).collect();
        assert!(!losses.is_empty() && losses.iter().all(|loss| loss.is_finite() && *loss > 0.0), "{name}");
    }
    assert!(!bench.read("plain/metrics.jsonl").contains("loss/"));

    let contract = |run: &str| bench.read(&format!("{run}/adapter/prompt_contract.json"));
    assert_eq!(contract("both"), contract("plain"));
    let report = bench.json("both/report.json");
    assert_eq!(report["before"], bench.json("plain/report.json")["before"]);
    assert_eq!(bench.read("both/predictions.valid.jsonl").lines().count(), 12);
    // With what trained it and without: the questions are the same.
    for more in [&BOTH[..], &[]] {
        let evaluate = ["eval", "recipe.toml", "--run", "both", "--output", "again.jsonl"];
        bench.run(&[&evaluate[..], more].concat()).done();
        assert_eq!(bench.read("again.jsonl"), bench.read("both/predictions.valid.jsonl"));
    }
}

#[test]
fn they_are_counted_before_training_and_drawn_by_the_seed() {
    let bench = workbench();
    let said = bench.run(&[&["recipe.toml", "--dry-run"][..], &BOTH].concat()).done();
    assert!(said.out.contains("train       66 samples") && said.out.contains(KINDS), "{}", said.out);
    assert!(said.out.contains("valid       12 samples"), "{}", said.out);
    let said = bench.run(&[&["check", "recipe.toml"][..], &BOTH].concat()).done();
    assert!(
        said.out.contains("train 66 (36 emotion, 12 speaker_identification, 18 emotion_impact), valid 12")
    );
    let few = ["--set", "data.max_train_samples=8"];
    let said = bench.run(&[&["recipe.toml", "--dry-run"][..], &BOTH, &few].concat()).done();
    assert!(
        said.out.contains("of these 8 emotion, 3 speaker_identification, 4 emotion_impact"),
        "{}",
        said.out
    );
    assert!(said.err.contains("drawn at random"), "{}", said.err);

    let drawn = |more: &[&str]| {
        let inspect = ["inspect", "recipe.toml", "--task", "emotion_impact", "--limit", "99"];
        let said = bench.run(&[&inspect[..], &BOTH, more].concat()).done();
        headlines(&said.out).join("\n")
    };
    let here = drawn(&[]);
    assert_eq!((here.lines().count(), &here), (18, &drawn(&["--set", "auxiliary.speaker_identification=1"])));
    assert_ne!(here, drawn(&["--set", "train.seed=7"]));
    assert!(!here.contains("#0 "), "the first utterance follows none: {here}");
}

#[test]
fn they_stand_behind_their_utterance_and_can_be_looked_at() {
    let bench = workbench();
    let all = ["--set", "auxiliary.speaker_identification=1", "--set", "auxiliary.emotion_impact=1"];
    let inspect = |more: &[&str]| bench.run(&[&["inspect", "recipe.toml"][..], &all, more].concat());
    let said = inspect(&["--limit", "5"]).done();
    let expected = [
        "train-0#0",
        "train-0#0 speaker_identification",
        "train-0#1",
        "train-0#1 speaker_identification",
        "train-0#1 emotion_impact",
    ];
    assert_eq!(headlines(&said.out), expected, "{}", said.out);
    assert!(said.out.contains("of these 36 emotion, 36 speaker_identification, 24 emotion_impact"));
    let said = inspect(&["--id", "train-0#1", "--task", "emotion_impact"]).done();
    for part in ["Mara: The train is late again.\n", "Jonas is about to answer", "[<|im_end|>]"] {
        assert!(said.out.contains(part), "{part} is not in\n{}", said.out);
    }
    assert!(!said.out.contains("What a wonderful day!"), "{}", said.out);
    assert_eq!(headlines(&inspect(&["--split", "valid"]).done().out).len(), 3);
    let none = inspect(&["--id", "train-0#0", "--task", "emotion_impact"]);
    assert_eq!(none.code, 2);
    assert!(none.err.contains("has no emotion_impact sample"), "{}", none.err);
    let whole = inspect(&["--task", "emotion_impact", "--set", "train.completion_only_loss=false"]).done();
    assert!(whole.out.contains("\n<|im_start|>["), "{}", whole.out);
}

#[test]
fn they_go_through_the_curriculum_with_their_dialogues() {
    let bench = workbench();
    let epochs = ["--set", "train.max_steps=0", "--set", "train.num_train_epochs=3", "--dry-run"];
    let share = |more: &[&str]| {
        let said =
            bench.run(&[&["recipe.toml", "--set", "curriculum.name=es"][..], &epochs, more].concat()).done();
        said.out.lines().find(|line| line.starts_with("epoch 1")).unwrap().to_owned()
    };
    assert!(share(&[]).contains("phase 1, 18 samples (50.0 %)"));
    let all = ["--set", "auxiliary.speaker_identification=1", "--set", "auxiliary.emotion_impact=1"];
    assert!(share(&all).contains("phase 1, 48 samples (50.0 %)"), "{}", share(&all));

    let loss = [
        "--set",
        "curriculum.name=loss",
        "--set",
        "train.max_steps=2",
        "--set",
        "data.valid=\"\"",
        "--set",
        "eval.load_best_model_at_end=false",
    ];
    bench.train("plain", &loss).done();
    bench.train("both", &[&loss[..], &BOTH].concat()).done();
    assert_eq!(bench.read("plain/curriculum.json"), bench.read("both/curriculum.json"));
}

#[test]
fn a_resumed_run_goes_on_with_them_and_with_no_others() {
    let bench = workbench();
    // The last step's weights, so that none of what is taken away is the best.
    let last = ["--set", "eval.load_best_model_at_end=false"];
    let both = [&BOTH[..], &last].concat();
    bench.train("whole", &both).done();
    bench.train("died", &both).done();
    for step in ["step-000006", "step-000008", "adapter"] {
        fs_err::remove_dir_all(bench.path("died").join(step)).unwrap();
    }
    bench.train("died", &[&both[..], &["--resume"]].concat()).done();
    let adapter =
        |run: &str| fs_err::read(bench.path(run).join("adapter/adapter_model.safetensors")).unwrap();
    assert!(adapter("whole") == adapter("died"));

    let said = bench.train("died", &["--resume", BOTH[0], BOTH[1], last[0], last[1]]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("auxiliary.emotion_impact: 0.5 then, 0.0 now"), "{}", said.err);
}

#[test]
fn what_cannot_be_asked_is_told_before_training() {
    let bench = workbench();
    let text = fs_err::read_to_string(material().join("train.jsonl")).unwrap();
    bench.write("alone.jsonl", &text.replace("Jonas", "Mara"));
    let alone = ["--set", "data.train=alone.jsonl"];
    let said = bench.run(&[&["recipe.toml", "--dry-run"][..], &BOTH, &alone].concat());
    assert_eq!(said.code, 3, "{}", said.err);
    for part in [
        "alone.jsonl: auxiliary.speaker_identification = 0.34, but of the 36 utterances to train on none has several speakers",
        "alone.jsonl: auxiliary.emotion_impact = 0.5, but of the 36 utterances to train on none follows an utterance of another speaker",
        "write emotion_impact = 0.0 under [auxiliary]",
    ] {
        assert!(said.err.contains(part), "{part} is not in\n{}", said.err);
    }

    let little = ["--set", "auxiliary.emotion_impact=0.01"];
    let said = bench.run(&[&["recipe.toml", "--dry-run"][..], &little].concat());
    assert_eq!(said.code, 3, "{}", said.err);
    let few = "auxiliary.emotion_impact = 0.01 of the 36 utterances to train on is not one";
    assert!(said.err.contains(few), "{}", said.err);

    bench.write(
        "who.jinja",
        "{% block user %}{{ speaker }}: {{ utterance }} {{ speaker_list }}{% endblock %}",
    );
    let file = ["--set", "auxiliary.speaker_identification_template=who.jinja"];
    let said = bench.run(&[&["check", "recipe.toml"][..], &BOTH, &file].concat());
    assert!(said.err.contains("who.jinja:1: unknown placeholder \"speaker\""), "{}", said.err);
    assert!(said.err.contains("did you mean \"speakers\"?"), "{}", said.err);

    let nowhere = ["--set", "auxiliary.emotion_impact_template=nowhere.jinja"];
    let said = bench.run(&[&["check", "recipe.toml"][..], &BOTH, &nowhere].concat());
    assert_eq!(said.code, 2, "{}", said.err);
    for part in ["auxiliary.emotion_impact_template", "nowhere.jinja"] {
        assert!(said.err.contains(part), "{part} is not in\n{}", said.err);
    }

    let short = ["--set", "train.max_seq_length=200"];
    let said = bench.run(&[&["check", "recipe.toml"][..], &BOTH, &short].concat());
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("train.jsonl: speaker_identification: utterance train-"), "{}", said.err);
}
