//! Data as they are published, and inputs without limits, through the program.

use crate::fuzz::limited;
use crate::workbench::{Said, Workbench};

/// Three dialogues, of whose utterances some have no agreed label.
fn unlabelled(bench: &Workbench, name: &str) {
    let line = |id: &str, labels: [&str; 3]| {
        let texts = ["Where is the key?", "Under the mat, I think.", "It never is!"];
        let turns = texts.iter().zip(labels).map(|(text, label)| {
            let label = if label.is_empty() { String::new() } else { format!(",\"label\":{label}") };
            format!("{{\"speaker\":\"Ada\",\"text\":\"{text} {id}\"{label}}}")
        });
        format!("{{\"id\":\"{id}\",\"utterances\":[{}]}}\n", turns.collect::<Vec<_>>().join(","))
    };
    let lines = [
        line("one", ["\"neutral\"", "\"xxx\"", "\"anger\""]),
        line("two", ["", "\"joy\"", "null"]),
        line("three", ["-1", "\"oth\"", ""]),
    ];
    bench.write(name, &lines.concat());
}

#[test]
fn utterances_without_a_label_are_shown_and_neither_trained_on_nor_scored() {
    let bench = Workbench::new();
    unlabelled(&bench, "train.jsonl");
    let set = ["--set", "data.train=train.jsonl"];
    let checked = bench.run(&[&["check", "recipe.toml"], &set[..]].concat()).done();
    assert!(checked.out.contains("train 3 (6 without a label are context)"), "{}", checked.out);
    let shown = bench.run(&[&["inspect", "recipe.toml", "--id", "one#2"], &set[..]].concat()).done();
    assert!(shown.out.contains("Under the mat, I think. one"), "{}", shown.out);
    let context = bench.run(&[&["inspect", "recipe.toml", "--id", "one#1"], &set[..]].concat());
    assert_eq!(context.code, 2);
    assert!(context.err.contains("one#1") && context.err.contains("has no label"), "{}", context.err);
    let refused =
        bench.run(&[&["check", "recipe.toml", "--set", "data.unlabelled=refuse"], &set[..]].concat());
    assert_eq!(refused.code, 3);
    assert!(refused.err.contains("utterance one#1: has no label"), "{}", refused.err);
    // A curriculum orders what is trained on; a dialogue without any label is not among it.
    let curriculum =
        ["--set", "curriculum.name=es", "--set", "train.output_dir=run", "--set", "train.max_steps=2"];
    bench.run(&[&["recipe.toml"], &set[..], &curriculum[..]].concat()).done();
    // What is scored has a truth, what is predicted need not.
    unlabelled(&bench, "test.jsonl");
    let eval =
        ["eval", "recipe.toml", "--run", "run", "--output", "scored.jsonl", "--set", "data.test=test.jsonl"];
    bench.run(&[&eval[..], &["--split", "test"]].concat()).done();
    let scored = bench.read("scored.jsonl");
    assert_eq!(scored.lines().count(), 3, "{scored}");
    assert!(!scored.contains("\"truth\":null") && scored.contains("one#2"), "{scored}");
    let predict =
        ["predict", "recipe.toml", "--run", "run", "--input", "test.jsonl", "--output", "predicted.jsonl"];
    bench.run(&predict).done();
    let predicted = bench.read("predicted.jsonl");
    assert_eq!(predicted.lines().filter(|line| line.contains("\"truth\":null")).count(), 6, "{predicted}");
}

#[test]
fn a_dialogue_in_two_splits_is_refused_or_reported() {
    let bench = Workbench::new();
    unlabelled(&bench, "train.jsonl");
    bench.write(
        "valid.jsonl",
        &(bench.read("train.jsonl").replace("\"id\":\"", "\"id\":\"v-")
            + &{
                let other = Workbench::new();
                unlabelled(&other, "x");
                other.read("x").replace("mat", "stone")
            }),
    );
    let set = ["--set", "data.train=train.jsonl", "--set", "data.valid=valid.jsonl"];
    let with =
        |rule: &'static str| bench.run(&[&["check", "recipe.toml"], &set[..], &["--set", rule]].concat());
    let refused = with("data.shared_dialogues=auto");
    assert_eq!(refused.code, 3);
    assert!(
        refused.err.contains("valid.jsonl: dialogue v-one: is also in") && refused.err.contains("as one"),
        "{}",
        refused.err
    );
    let reported = with("data.shared_dialogues=report").done();
    assert!(
        reported.err.contains("3 dialogues are in another split too: v-one is one of train.jsonl"),
        "{}",
        reported.err
    );
}

/// What a command says under limits of memory and time.
fn limited_run(bench: &Workbench, args: &[&str]) -> Said {
    Said::of(&limited(&bench.path("."), args).output().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn inputs_without_an_end_are_told_by_kind_and_size() {
    let bench = Workbench::new();
    fs_err::File::create(bench.path("sparse")).unwrap().set_len(100 << 30).unwrap();
    let status = std::process::Command::new("mkfifo").arg(bench.path("pipe")).status().unwrap();
    assert!(status.success());
    for format in ["jsonl", "meld_csv", "prc_json", "emorynlp", "dailydialog"] {
        let format = format!("data.format={format}");
        for (file, told) in [("/dev/zero", "is a device"), ("pipe", "is a pipe"), ("sparse", "has 100.0 GiB")]
        {
            let file = format!("data.train={file}");
            let said = limited_run(
                &bench,
                &[
                    "check",
                    "recipe.toml",
                    "--set",
                    &file,
                    "--set",
                    &format,
                    "--set",
                    "data.valid=",
                    "--set",
                    "data.test=",
                    "--set",
                    "eval.load_best_model_at_end=false",
                ],
            );
            assert_eq!(said.code, 3, "{format} {file}: {}", said.err);
            assert!(said.err.contains(told), "{format} {file}: {}", said.err);
        }
    }
    for args in [
        &["check", "/dev/zero"][..],
        &["check", "pipe"],
        &["check", "recipe.toml", "--set", "prompt.template=/dev/zero"],
        &["check", "recipe.toml", "--set", "prompt.template=sparse"],
        &["predict", "recipe.toml", "--input", "pipe"],
        &["tokenizer", "sparse", "--vocab-size", "300", "--output", "t"],
    ] {
        let said = limited_run(&bench, args);
        assert!(matches!(said.code, 2 | 3), "{args:?}: {} {}", said.code, said.err);
    }
}

#[test]
fn numbers_are_refused_with_what_is_possible() {
    let bench = Workbench::new();
    for (key, value, possible) in [
        ("model.num_threads", "100000", "0 to 1024"),
        ("train.num_train_epochs", "30000000", "1 to 10000"),
        ("lora.r", "9000000000000000000", "1 to 4096"),
        ("train.neftune_noise_alpha", "1e300", "0 to 1000"),
        ("train.per_device_train_batch_size", "4000000000", "1 to 65536"),
        ("eval.eval_steps", "9000000000000000000", "0 to 1000000000"),
        ("curriculum.competence_epochs", "2000000000", "1 to 1000"),
        ("interpret.timeout_s", "1e300", "at most 86400"),
    ] {
        let said = limited_run(&bench, &["check", "recipe.toml", "--set", &format!("{key}={value}")]);
        assert_eq!(said.code, 2, "{key}: {}", said.err);
        assert!(said.err.contains(key) && said.err.contains(possible), "{key}: {}", said.err);
    }
    for args in [&["bench", "x", "--tokens", "1000000000000"][..], &["bench", "x", "--r", "1000000000000"]] {
        let said = limited_run(&bench, args);
        assert_eq!(said.code, 2, "{}", said.err);
        assert!(said.err.contains(args[2]), "{}", said.err);
    }
}

#[test]
fn templates_of_others_end_and_stay_small() {
    let bench = Workbench::new();
    let short = fs_err::read_to_string(crate::workbench::material().join("short.jinja")).unwrap();
    for bomb in [
        "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
        "{% set n = namespace(x=['ab']) %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x|length }}",
        "{% set n = namespace(x=[]) %}{% for i in range(99999) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x == n.x }}",
        "{% set n = namespace(x={}) %}{% for i in range(99999) %}{% set n.x = {'a': n.x} %}{% endfor %}{{ n.x }}",
    ] {
        bench.write("bomb.jinja", &short.replace("{% block user %}", &format!("{{% block user %}}{bomb}")));
        let said = limited_run(&bench, &["check", "recipe.toml", "--set", "prompt.template=bomb.jinja"]);
        assert_eq!(said.code, 2, "{bomb}: {}", said.err);
        assert!(said.err.contains("bomb.jinja"), "{bomb}: {}", said.err);
    }
}
