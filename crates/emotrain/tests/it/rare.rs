//! Training for rare emotions: weights, sampling, label smoothing.

use expect_test::expect;

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

#[test]
fn weights_and_draws_are_told_once_and_what_counts_twice() {
    let bench = Workbench::new();
    bench.write("uneven.jsonl", &bench_lines().collect::<String>());
    let set = ["--set", "data.train=uneven.jsonl", "--set", "train.class_weights=balanced"];
    let sampled = [&set[..], &["--set", "data.sampling=balanced"]].concat();
    let told = |text: &str| -> Vec<String> {
        let of = |line: &&str| line.contains("class weight ×") || line.contains("count twice");
        text.lines().filter(of).map(str::to_owned).collect()
    };
    let plan = bench.run(&[&["recipe.toml", "--dry-run"], &set[..]].concat()).done();
    expect![["class weight × samples an epoch: neutral 0.43 × 21, joy 3.00 × 3, anger 3.00 × 3"]]
        .assert_eq(&told(&(plan.out + &plan.err)).join("\n"));
    let said = bench.train("run", &[&sampled[..], &["--set", "train.max_steps=2"]].concat()).done();
    expect![[r#"
        class weight × samples an epoch: neutral 0.43 × 9, joy 3.00 × 9, anger 3.00 × 9
        warning: rare labels count twice: by train.class_weights and by data.sampling = "balanced""#]]
    .assert_eq(&told(&said.err).join("\n"));
    let single =
        ["--set", "train.per_device_train_batch_size=1", "--set", "train.gradient_accumulation_steps=1"];
    let checked = bench.run(&[&["check", "recipe.toml"], &sampled[..], &single].concat()).done();
    for part in ["warning: recipe.toml: train.class_weights changes nothing", "rare labels count twice"] {
        assert!(checked.err.contains(part), "{part} is not in\n{}", checked.err);
    }
}
