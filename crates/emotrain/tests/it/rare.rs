//! Training for rare emotions: weights, sampling, label smoothing.

use crate::workbench::{Workbench, refused};

#[test]
fn weights_that_are_all_the_same_change_nothing_and_others_do() {
    let bench = Workbench::new();
    let adapter = |run: &str, set: &[&str]| {
        bench.train(run, set).done();
        fs_err::read(bench.path(run).join("step-000008/parameters.safetensors")).unwrap()
    };
    let plain = adapter("plain", &[]);
    let same = "train.class_weights={ neutral = 2.0, joy = 2, anger = 2.0 }";
    assert!(plain == adapter("same", &["--set", same]));
    // Of each label there are as many.
    for (number, set) in ["train.class_weights=balanced", "data.sampling=sqrt"].into_iter().enumerate() {
        assert!(plain == adapter(&format!("balanced-{number}"), &["--set", set]), "{set}");
    }
    let others = ["train.class_weights={ joy = 3.0 }", "train.label_smoothing_factor=0.1"];
    for (number, set) in others.into_iter().enumerate() {
        assert!(plain != adapter(&format!("other-{number}"), &["--set", set]), "{set}");
    }
}

#[test]
fn a_run_with_all_of_it_resumes_to_the_bit() {
    let bench = Workbench::new();
    let lines: Vec<String> = bench_lines().collect();
    bench.write("uneven.jsonl", &lines.concat());
    let set = [
        "--set",
        "data.train=\"uneven.jsonl\"",
        "--set",
        "data.sampling=sqrt",
        "--set",
        "train.class_weights=balanced",
        "--set",
        "train.label_smoothing_factor=0.1",
        "--set",
        "train.max_steps=10",
    ];
    bench.train("whole", &set).done();
    bench.train("died", &set).done();
    for later in [4, 6, 8, 10] {
        fs_err::remove_dir_all(bench.path("died").join(format!("step-{later:06}"))).unwrap();
    }
    bench.train("died", &[&set[..], &["--resume"]].concat()).done();
    for file in ["adapter/adapter_model.safetensors", "step-000010/parameters.safetensors"] {
        let [one, other] = ["whole", "died"].map(|run| fs_err::read(bench.path(run).join(file)).unwrap());
        assert!(one == other, "{file}");
    }
}

/// Nine dialogues: of their utterances two thirds are neutral.
fn bench_lines() -> impl Iterator<Item = String> {
    (0..9).map(|dialogue| {
        let rare = ["joy", "anger", "neutral"][dialogue % 3];
        let utterance = |turn: usize, label: &str| {
            format!(
                "{{\"speaker\":\"Mara\",\"text\":\"It is {dialogue} past {turn}.\",\"label\":\"{label}\"}}"
            )
        };
        let said = [utterance(0, "neutral"), utterance(1, rare), utterance(2, "neutral")].join(",");
        format!("{{\"id\":\"d{dialogue}\",\"utterances\":[{said}]}}\n")
    })
}

#[test]
fn a_label_that_is_not_there_has_no_weight() {
    let bench = Workbench::new();
    let said = bench.run(&["check", "recipe.toml", "--set", "train.class_weights={ joyy = 3.0 }"]);
    let labels = "hint: the labels are \"neutral\", \"joy\", \"anger\"";
    refused(&said, 2, &["train.class_weights: unknown label \"joyy\"", labels]);
}
