//! Curricula: looked at, scored with, and trained with.

use serde_json::{Value, json};

use crate::workbench::{Workbench, material};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const SHIFTS: [&str; 2] = ["--set", "curriculum.name=es"];

/// Runs of three epochs: half of the data, then all of it twice.
const EPOCHS: [&str; 4] = ["--set", "train.max_steps=0", "--set", "train.num_train_epochs=3"];

#[test]
fn the_worked_example_of_the_paper_is_scored_to_the_last_digit() {
    let bench = Workbench::new();
    let turn = |speaker: &str, label: &str| json!({ "speaker": speaker, "text": "…", "label": label });
    let turns =
        [turn("A", "neutral"), turn("B", "joy"), turn("A", "anger"), turn("A", "sadness"), turn("B", "joy")];
    bench.write("data.jsonl", &format!("{}\n", json!({ "id": "worked", "utterances": turns })));
    let score =
        ["curriculum", "score", "--data", "data.jsonl", "--curriculum", "prc_emo", "--out", "scores.jsonl"];
    bench.run(&score).done();
    let rows = lines(&bench.read("scores.jsonl"));
    assert_eq!(rows.len(), 1);
    let expected = (2.0 * (1.0 / 7.0 + 0.4) + 3.0 * 0.4 + 2.0) / 7.0;
    assert!((rows[0]["dif"].as_f64().unwrap() - expected).abs() < 1e-12, "{}", rows[0]);
    for (key, value) in [("n_shift_same", 2), ("n_shift_diff", 3), ("n_utt", 5), ("n_spk", 2)] {
        assert_eq!(rows[0][key], value, "{key}");
    }
    assert_eq!(rows[0]["id"], "worked");

    let said = bench.run(&[&score[..], &["--set", "curriculum.b=0.0"]].concat()).done();
    assert!(said.err.contains("1 dialogues, with the labels of meld"), "{}", said.err);
    assert!(lines(&bench.read("scores.jsonl"))[0]["dif"].as_f64().unwrap() < expected);
}

#[test]
fn iemocap_is_known_by_its_sessions() {
    let bench = Workbench::new();
    let dialogue =
        json!({ "labels": [0, 4, 2], "sentences": ["One.", "Two.", "Three."], "genders": ["M", "F", "M"] });
    bench.write("data.json", &json!({ "Ses01F_impro01": dialogue }).to_string());
    let score =
        ["curriculum", "score", "--data", "data.json", "--curriculum", "prc_emo", "--out", "scores.jsonl"];
    let said = bench.run(&score).done();
    assert!(said.err.contains("with the labels of iemocap"), "{}", said.err);
    // happy to neutral for M; happy to excited and excited to neutral between the two; N = 6.
    let happy_excited = 36_f64.to_radians().cos() + 0.4;
    let expected = (2.0 * (1.0 / 6.0 + 0.4) + happy_excited + 2.0) / 5.0;
    let dif = lines(&bench.read("scores.jsonl"))[0]["dif"].as_f64().unwrap();
    assert!((dif - expected).abs() < 1e-12, "{dif}, not {expected}");
}

#[test]
fn scores_are_written_whole_or_not_at_all() {
    let bench = Workbench::new();
    bench.write(
        "data.jsonl",
        "{\"id\":\"a\",\"utterances\":[{\"speaker\":\"A\",\"text\":\"x\",\"label\":\"joyy\"}]}\n",
    );
    let score = |curriculum| {
        bench.run(&[
            "curriculum",
            "score",
            "--data",
            "data.jsonl",
            "--curriculum",
            curriculum,
            "--out",
            "out.jsonl",
        ])
    };
    let said = score("prc_emo");
    assert_eq!(said.code, 3);
    assert!(said.err.contains("data.jsonl:1") && said.err.contains("joyy"), "{}", said.err);
    assert!(!bench.path("out.jsonl").exists());
    let said = score("prc_emoo");
    assert_eq!(said.code, 2);
    assert!(said.err.contains("prc_emo"), "{}", said.err);
}

#[test]
fn a_curriculum_can_be_seen_before_training() {
    let bench = Workbench::new();
    let show = ["curriculum", "show", "recipe.toml", "--svg", "difficulty.svg"];
    let said = bench.run(&[&show[..], &SHIFTS, &EPOCHS].concat()).done();
    for part in ["train-0", "joy", "bucket", "epoch"] {
        assert!(said.out.to_lowercase().contains(part), "{part} is not in\n{}", said.out);
    }
    assert!(bench.read("difficulty.svg").starts_with("<svg"));
    let plan = bench.run(&[&["recipe.toml", "--dry-run"][..], &SHIFTS, &EPOCHS].concat()).done();
    assert!(plan.out.contains("phase 1, 18 samples (50.0 %)"), "{}", plan.out);
    assert!(!plan.out.contains("reached"), "{}", plan.out);
    let few = [&["recipe.toml", "--dry-run"][..], &SHIFTS, &EPOCHS, &["--set", "train.max_steps=4"]].concat();
    let plan = bench.run(&few).done();
    for part in [
        "epoch 2     phase 2, 36 samples (100.0 %), mean difficulty ",
        ", not reached\n",
        "\n            phase 2 is never reached: train.max_steps = 4 ends in epoch 1\n",
    ] {
        assert!(plan.out.contains(part), "{part} is not in\n{}", plan.out);
    }
    // The training itself says so, too.
    let trained =
        bench.train("short", &[&SHIFTS[..], &EPOCHS, &["--set", "train.max_steps=4"]].concat()).done();
    for part in [
        "train.max_steps = 4 ends in epoch 1 of 3\n",
        "warning: phase 2 is never reached: train.max_steps = 4 ends in epoch 1\n",
    ] {
        assert!(trained.err.contains(part), "{part} is not in\n{}", trained.err);
    }

    let said = bench.run(&["curriculum", "show", "recipe.toml", "--set", "curriculum.name=prc_emo"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let labels = ["--set", "data.labels=[\"neutral\", \"joy\", \"anger\", \"confuzzled\"]"];
    let unknown =
        [&["curriculum", "show", "recipe.toml", "--set", "curriculum.name=prc_emo"][..], &labels].concat();
    let said = bench.run(&unknown);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("confuzzled") && said.err.contains("wheel"), "{}", said.err);
}

#[test]
fn training_follows_the_curriculum_and_says_so() {
    let bench = Workbench::new();
    let more = [&SHIFTS[..], &EPOCHS, &["--set", "logging.logging_steps=1"]].concat();
    let said = bench.train("run", &more).done();
    assert!(said.err.contains("curriculum: phase 1, 18 samples (50.0 %)"), "{}", said.err);
    assert!(said.err.contains("curriculum: phase 2, 36 samples (100.0 %)"), "{}", said.err);
    let metrics = lines(&bench.read("run/metrics.jsonl"));
    let steps: Vec<&Value> = metrics.iter().filter(|line| line["event"] == "train").collect();
    assert_eq!(steps.len(), 5 + 9 + 9);
    let phases: Vec<f64> = steps.iter().map(|line| line["curriculum/phase"].as_f64().unwrap()).collect();
    assert_eq!(phases, [vec![0.0; 5], vec![1.0; 18]].concat());
    assert_eq!(steps[0]["curriculum/share"], 0.5);
    let mean = |steps: &[&Value]| {
        steps.iter().map(|line| line["curriculum/difficulty"].as_f64().unwrap()).sum::<f64>()
            / steps.len() as f64
    };
    assert!(mean(&steps[..5]) <= mean(&steps[5..14]));
    assert!(
        steps[0]["curriculum/loss_bucket_1"].is_number() && steps[0]["curriculum/loss_bucket_2"].is_null()
    );
    assert!(steps[5..].iter().any(|line| line["curriculum/loss_bucket_2"].is_number()));

    let restart =
        ["--set", "curriculum.restart_lr_scheduler=true", "--set", "curriculum.restart_optimizer=true"];
    bench.train("restarted", &[&more[..], &restart].concat()).done();
    let metrics = lines(&bench.read("restarted/metrics.jsonl"));
    let rates: Vec<f64> = metrics.iter().filter_map(|line| line["learning_rate"].as_f64()).collect();
    assert!(rates[4] < rates[1] && rates[6] > rates[4], "{rates:?}");
}

#[test]
fn a_resumed_run_continues_the_curriculum() {
    let bench = Workbench::new();
    let restart =
        ["--set", "curriculum.restart_lr_scheduler=true", "--set", "curriculum.restart_optimizer=true"];
    for (name, curriculum) in [("es", &SHIFTS), ("loss", &["--set", "curriculum.name=loss"])] {
        let more = [&curriculum[..], &EPOCHS, &restart].concat();
        let whole = format!("{name}-whole");
        bench.train(&whole, &more).done();
        for step in [4, 6, 14] {
            let run = format!("{name}-{step}");
            bench.train(&run, &more).done();
            for later in (step + 1)..=23 {
                let folder = bench.path(&run).join(format!("step-{later:06}"));
                if folder.exists() {
                    fs_err::remove_dir_all(folder).unwrap();
                }
            }
            let said = bench.train(&run, &[&more[..], &["--resume"]].concat()).done();
            assert!(said.err.contains(&format!("resuming after step {step} of 23")), "{}", said.err);
            for file in ["adapter/adapter_model.safetensors", "step-000023/optimizer.safetensors"] {
                let [one, other] =
                    [&whole, &run].map(|run| fs_err::read(bench.path(run).join(file)).unwrap());
                assert!(one == other, "{name}, step {step}: {file}");
            }
        }
    }
    let shown = bench.run(&["curriculum", "show", "recipe.toml", "--set", "curriculum.name=loss"]);
    assert_eq!(shown.code, 2, "{}", shown.err);
    let measured = ["--set", "train.output_dir=loss-whole"];
    bench
        .run(
            &[&["curriculum", "show", "recipe.toml", "--set", "curriculum.name=loss"][..], &measured]
                .concat(),
        )
        .done();
}

#[test]
fn difficulties_may_come_from_a_file() {
    let bench = Workbench::new();
    let data = material().join("train.jsonl").display().to_string();
    let score = ["curriculum", "score", "--data", &data, "--curriculum", "length", "--out", "scores.jsonl"];
    let labels = ["--label-set", "custom", "--set", "data.labels=[\"neutral\", \"joy\", \"anger\"]"];
    bench.run(&[&score[..], &labels].concat()).done();
    let file = ["--set", "curriculum.name=file", "--set", "curriculum.difficulty_file=scores.jsonl"];
    bench.train("run", &[&file[..], &EPOCHS].concat()).done();

    let scores = bench.read("scores.jsonl");
    bench.write("scores.jsonl", scores.split_once('\n').unwrap().1);
    let said = bench.train("short", &[&file[..], &EPOCHS].concat());
    assert_eq!(said.code, 3);
    assert!(said.err.contains("scores.jsonl") && said.err.contains("train-0"), "{}", said.err);
}

#[test]
fn plain_text_has_no_curriculum() {
    let bench = Workbench::new();
    let folder = material().display().to_string();
    bench.write(
        "text.toml",
        &format!(
            "[model]\nmodel_name_or_path = \"{folder}/base\"\ndevice = \"cpu\"\n[data]\nformat = \"text\"\n\
             train = \"{folder}/corpus.txt\"\n[curriculum]\nname = \"es\"\n[train]\nmethod = \"full\"\n\
             completion_only_loss = false\nmax_seq_length = 48\n\
             [eval]\nload_best_model_at_end = false\nbaseline = false\nmetric_for_best_model = \"loss\"\n\
             greater_is_better = false\n"
        ),
    );
    let said = bench.run(&["text.toml", "--dry-run"]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("has no dialogues for a curriculum"), "{}", said.err);
}
