//! Reports of runs and sweeps.

use serde_json::json;

use crate::workbench::{Workbench, material, refused};

const BRIEF: [&str; 6] =
    ["--set", "eval.test=true", "--set", "eval.baseline=true", "--set", "train.max_steps=4"];

#[track_caller]
fn holds(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "{part} is not in the page");
    }
}

#[test]
fn a_report_shows_what_the_model_saw() {
    let bench = Workbench::new();
    bench.train("a", &BRIEF).done();
    bench
        .train("b", &[&BRIEF[..], &["--set", "train.seed=7", "--set", "train.learning_rate=1e-5"]].concat())
        .done();
    let said = bench.run(&["report", "a"]).done();
    assert!(said.err.contains("the report is in a/report.html") && said.out.is_empty(), "{}", said.err);
    let page = bench.read("a/report.html");
    let sections =
        ["scores", "curves", "confusion", "labels", "groups", "calibration", "errors", "data", "recipe"];
    for id in sections {
        assert!(page.contains(&format!("<section id=\"{id}\"")), "{id}");
    }
    let groups = ["By difficulty", "within a speaker", "between utterances", "By speaker", "By position"];
    holds(&page, &groups);
    holds(&page, &["Scores on the test split", "<summary>Prompt</summary>", "Labels: ", "the same", "ECE"]);
    holds(&page, &["Recipe against the defaults", "train.max_steps", "SHA-256 of the base model"]);
    assert!(!page.contains("What is missing here"));
    // The same files give the same page.
    bench.run(&["report", "a", "--out", "again.html"]).done();
    assert_eq!(bench.read("again.html"), page);

    let args = ["report", "b", "--split", "valid", "--against", "a", "--errors", "1", "--out", "b.html"];
    bench.run(&args).done();
    let page = bench.read("b.html");
    holds(&page, &["Scores on the valid split", "Recipe against a", "train.learning_rate", "train.seed"]);
    assert!(page.matches("<article").count() == 1 && !page.contains("lora.r<"), "one error is shown");
}

#[test]
fn what_has_changed_is_told_and_not_shown() {
    let bench = Workbench::new();
    let test = fs_err::read_to_string(material().join("test.jsonl")).unwrap();
    bench.write("test.jsonl", &test);
    bench.train("a", &[&BRIEF[..], &["--set", "data.test=test.jsonl"]].concat()).done();
    bench.write("test.jsonl", &test.replace("bread", "cake"));
    let said = bench.run(&["report", "a"]).done();
    assert!(said.err.contains("warning") && said.err.contains("test.jsonl has changed"), "{}", said.err);
    let page = bench.read("a/report.html");
    holds(&page, &["What is missing here", "test.jsonl has changed since the run read it", "changed since"]);
    holds(&page, &["By emotion shift between utterances", "By position"]);
    assert!(!page.contains("By speaker") && !page.contains("<summary>Prompt") && !page.contains("cake"));

    fs_err::remove_file(bench.path("test.jsonl")).unwrap();
    bench.run(&["report", "a"]).done();
    holds(&bench.read("a/report.html"), &["What is missing here", "test.jsonl: no such file"]);
    bench.write("test.jsonl", &test);
    fs_err::rename(bench.path("a"), bench.path("moved")).unwrap();
    bench.run(&["report", "moved"]).done();
    let page = bench.read("moved/report.html");
    assert!(!page.contains("What is missing here") && page.contains("<summary>Prompt</summary>"));
}

#[test]
fn what_cannot_be_reported_is_refused_and_nothing_is_written() {
    let bench = Workbench::new();
    bench.train("a", &BRIEF).done();
    let report = |args: &[&str]| bench.run(&[&["report"], args].concat());
    refused(&report(&["nowhere"]), 3, &["nowhere: no such folder", "hint:"]);
    refused(&report(&["a", "--split", "train"]), 3, &["no scores of train", "valid, test"]);
    refused(&report(&["a", "--against", "nowhere"]), 3, &["nowhere: no such folder", "hint:"]);
    refused(&report(&["a", "--out", "no/such/folder/a.html"]), 5, &["no/such/folder/a.html"]);

    let (scores, answers) = (bench.read("a/report.json"), bench.read("a/predictions.test.jsonl"));
    bench.write("a/predictions.test.jsonl", &answers[..answers.len() / 2]);
    refused(&report(&["a"]), 3, &["predictions.test.jsonl"]);
    bench.write("a/predictions.test.jsonl", &answers.split_inclusive('\n').skip(1).collect::<String>());
    refused(&report(&["a"]), 3, &["its answers are not those", "hint:"]);
    bench.write("a/report.json", &scores[..scores.len() / 2]);
    refused(&report(&["a"]), 3, &["a/report.json"]);
    fs_err::remove_file(bench.path("a/report.json")).unwrap();
    refused(&report(&["a"]), 3, &["a: the run has no report.json", "--resume"]);
    assert!(!bench.path("a/report.html").exists());
}

/// Two recipes with two seeds, of which the last run was never begun.
fn sweep() -> Workbench {
    let bench = Workbench::new();
    let mut plans = String::new();
    let rates = [("1e-3", 1), ("1e-3", 2), ("1e-5", 1), ("1e-5", 2)];
    for (number, (rate, seed)) in rates.into_iter().enumerate() {
        let (id, name) = (format!("run{number}"), format!("train.learning_rate={rate}"));
        let settings = json!({ "train.learning_rate": rate.parse::<f64>().unwrap() });
        let plan = json!({"format_version": 1, "id": id, "name": name, "seed": seed, "settings": settings, "recipe": ""});
        plans = format!("{plans}{plan}\n");
        if number < 3 {
            let seed = format!("train.seed={seed}");
            let more = ["--set", &name, "--set", &seed];
            bench.train(&format!("s/runs/{id}"), &[&BRIEF[..], &more].concat()).done();
        }
    }
    bench.write("s/runs.jsonl", &plans);
    bench.write("s/sweep.toml", "base = \"../recipe.toml\"\nsplit = \"test\"\n");
    bench
}

#[test]
fn a_sweep_has_a_board_a_plot_for_each_axis_and_significance() {
    let bench = sweep();
    bench.run(&["report", "s/runs/run0"]).done();
    bench.run(&["report", "s"]).done();
    let page = bench.read("s/report.html");
    holds(
        &page,
        &["Sweep s", "<section id=\"board\"", "<section id=\"axes\"", "<section id=\"significance\""],
    );
    holds(&page, &["train.learning_rate=1e-3", "95 % t interval", "1 of 4 runs have no score", "waiting"]);
    holds(&page, &["href=\"runs&#x2f;run0&#x2f;report.html\"", "Holm"]);
    assert!(!page.contains("run1&#x2f;report"));

    refused(&bench.run(&["report", "s", "--against", "s/runs/run0"]), 2, &["--against", "hint:"]);
    refused(
        &bench.run(&["report", "s", "--split", "train"]),
        3,
        &["no run of the sweep has scores of train"],
    );
    bench.write("s/runs.jsonl", "{}\n");
    refused(&bench.run(&["report", "s"]), 3, &["runs.jsonl:1", "hint:"]);
}
