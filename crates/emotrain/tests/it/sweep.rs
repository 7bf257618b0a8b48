//! Sweeps on this machine: many runs from one file.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::workbench::{Said, Workbench};

const SWEEP: &str = r#"
base = "recipe.toml"
output_dir = "sweep"
split = "test"
seeds = [1, 2]

[set]
"train.max_steps" = 6
"eval.eval_steps" = 2
"eval.test" = true
"eval.baseline" = false

[grid]
"train.learning_rate" = [1e-4, 1e-3]
"#;

fn bench(sweep: &str) -> Workbench {
    let bench = Workbench::new();
    bench.write("sweep.toml", sweep);
    bench
}

fn sweep(bench: &Workbench, args: &[&str]) -> Said {
    bench.run(&[&["sweep"], args].concat())
}

/// The runs as `sweep status --json` has them.
fn status(bench: &Workbench) -> Vec<Value> {
    let said = sweep(bench, &["status", "sweep", "--json"]).done();
    let status: Value = serde_json::from_str(&said.out).unwrap();
    status["runs"].as_array().unwrap().clone()
}

fn states(bench: &Workbench) -> Vec<String> {
    status(bench).iter().map(|run| run["state"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_sweep_trains_every_run_once_and_as_it_would_alone() {
    let bench = bench(SWEEP);
    let said = sweep(&bench, &["sweep.toml", "--dry-run"]).done();
    assert!(said.out.contains("4 runs, 24 steps"), "{}", said.out);
    assert!(!bench.path("sweep").exists());

    let said = sweep(&bench, &["sweep.toml", "--jobs", "2"]).done();
    assert!(said.err.contains("4 to train") && said.err.contains("[4 of 4]"), "{}", said.err);
    assert!(said.out.contains("4 runs: 4 finished"), "{}", said.out);
    let runs = status(&bench);
    let alone = ["--set", "train.learning_rate=1e-3", "--set", "train.seed=2", "--set", "train.max_steps=6"];
    let scores = ["--set", "eval.eval_steps=2", "--set", "eval.test=true", "--set", "eval.baseline=false"];
    bench.train("alone", &[&alone[..], &scores].concat()).done();
    let last = format!("sweep/runs/{}", runs[3]["id"].as_str().unwrap());
    for file in ["adapter/adapter_model.safetensors", "predictions.test.jsonl"] {
        let [one, other] =
            ["alone", last.as_str()].map(|run| fs_err::read(bench.path(&format!("{run}/{file}"))).unwrap());
        assert!(one == other, "{file} differs");
    }

    let again = sweep(&bench, &["sweep.toml"]).done();
    assert!(again.err.contains("4 finished; 0 to train"), "{}", again.err);
    for run in status(&bench) {
        assert_eq!(run["attempts"], 1, "{run}");
    }

    let board = sweep(&bench, &["board", "sweep.toml", "--format", "json"]).done();
    let board: Value = serde_json::from_str(&board.out).unwrap();
    let groups = board["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2);
    assert!(groups[0]["summary"]["mean"].as_f64() >= groups[1]["summary"]["mean"].as_f64());
    let reported = bench.json(&format!("{last}/report.json"));
    let score = &reported["after"][1]["report"]["scores"]["weighted_f1"];
    let all: Vec<&Value> = groups.iter().flat_map(|group| group["runs"].as_array().unwrap()).collect();
    assert!(all.iter().any(|run| run["id"] == runs[3]["id"] && run["score"] == *score), "{board}");

    let shown = sweep(&bench, &["board", "sweep.toml"]).done();
    let means: Vec<&Value> = groups.iter().map(|group| &group["runs"]).collect();
    let of = |group: &Value| -> Vec<Value> {
        group.as_array().unwrap().iter().map(|run| run["score"].clone()).collect()
    };
    let is_same = of(means[0]) == of(means[1]);
    assert_eq!(shown.out.contains("the same score with every seed: "), is_same, "{}", shown.out);

    let names = ["train.learning_rate=0.0001", "train.learning_rate=0.001"];
    let said = bench.run(&["compare", "--in", "sweep", names[0], names[1]]).done();
    assert!(said.out.contains(names[1]) && said.out.contains("detectable"), "{}", said.out);
    assert_eq!(bench.run(&["compare", "--in", "sweep.toml", names[0], names[1]]).done().out, said.out);
    // The split is the board's, unless another is named.
    let at_test = ["compare", "--in", "sweep.toml", names[0], names[1], "--split", "test"];
    assert_eq!(bench.run(&at_test).done().out, said.out);
    let said = bench.run(&["compare", "--in", "sweep", names[0], "wes"]);
    assert!(
        said.code == 2 && said.err.contains("no recipe \"wes\"") && said.err.contains(names[1]),
        "{}",
        said.err
    );
    let said = bench.run(&["runs", "sweep", "--against", "alone"]).done();
    assert_eq!(said.out.lines().count(), 5, "{}", said.out);
    assert!(said.out.contains("train.learning_rate=0.0001, train.seed=1"), "{}", said.out);
}

#[test]
fn a_failed_run_is_listed_and_only_tried_again_when_asked() {
    let bench = bench(SWEEP);
    // In the place of the last two runs lies what is no run of the sweep.
    sweep(&bench, &["sweep.toml", "--engine", "script"]).done();
    for run in &status(&bench)[2..] {
        let folder = format!("sweep/runs/{}/adapter", run["id"].as_str().unwrap());
        fs_err::create_dir_all(bench.path(&folder)).unwrap();
    }
    let said = sweep(&bench, &["sweep.toml"]);
    assert_eq!(said.code, 3, "{}", said.err);
    assert_eq!(states(&bench), ["finished", "finished", "failed", "failed"]);
    let board = sweep(&bench, &["board", "sweep"]).done();
    assert!(board.out.contains("already has a run"), "{}", board.out);
    assert!(board.err.contains("2 runs have failed"), "{}", board.err);

    let said = sweep(&bench, &["sweep.toml"]);
    assert!(said.code == 3 && said.err.contains("0 to train"), "{}", said.err);
    let said = sweep(&bench, &["sweep.toml", "--retry-failed"]);
    assert!(said.code == 3 && said.err.contains("2 to train"), "{}", said.err);
    let attempts: Vec<u64> = status(&bench).iter().map(|run| run["attempts"].as_u64().unwrap()).collect();
    assert_eq!(attempts, [1, 1, 2, 2]);
}

#[cfg(unix)]
#[test]
fn a_stopped_sweep_goes_on_where_it_was() {
    let bench = bench(
        &SWEEP.replace("\"train.max_steps\" = 6", "\"train.max_steps\" = 300\n\"save.save_steps\" = 1"),
    );
    let mut command = bench.command(&["sweep", "sweep.toml"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while !status_of(&bench).iter().any(|run| run["steps"].as_u64() > Some(1)) {
        assert!(begun.elapsed() < Duration::from_mins(2) && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(states(&bench).contains(&"running".to_owned()));
    std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(states(&bench)[..2], ["stopped", "waiting"]);

    let before = status(&bench)[0]["steps"].as_u64().unwrap();
    let id = status(&bench)[0]["id"].as_str().unwrap().to_owned();
    let said = bench.run(&["sweep", "work", "sweep", &id, "--threads", "1"]).done();
    assert!(said.err.contains("step"), "{}", said.err);
    let run = &status(&bench)[0];
    assert_eq!(
        (&run["state"], &run["attempts"], &run["steps"]),
        (&"finished".into(), &2.into(), &300.into())
    );
    assert!(before < 300);
}

/// The runs, or none before the sweep has a folder.
fn status_of(bench: &Workbench) -> Vec<Value> {
    if bench.path("sweep/runs.jsonl").is_file() { status(bench) } else { Vec::new() }
}

#[test]
fn halving_stops_the_worse_and_keeps_their_state() {
    let text = SWEEP.replace("[1e-4, 1e-3]", "[1e-6, 1e-3, 1e-4]").replace("seeds = [1, 2]", "seeds = [1]")
        + "\n[asha]\nmin_steps = 2\nreduction_factor = 2\n";
    let bench = bench(&text);
    let said = sweep(&bench, &["sweep.toml"]).done();
    let runs = status(&bench);
    assert_eq!(runs[0]["state"], "finished", "the first to arrive goes on: {}", said.out);
    let halted: Vec<&Value> = runs.iter().filter(|run| run["state"] == "halted").collect();
    for run in &halted {
        let folder = format!("sweep/runs/{}", run["id"].as_str().unwrap());
        assert!(run["message"].as_str().unwrap().contains("halted at step"), "{run}");
        assert!(
            bench.path(&format!("{folder}/step-000002")).is_dir()
                || bench.path(&format!("{folder}/step-000004")).is_dir()
        );
        assert!(!bench.path(&format!("{folder}/report.json")).exists());
    }
    let again = sweep(&bench, &["sweep.toml"]).done();
    assert!(again.err.contains("0 to train"), "{}", again.err);

    bench.write("sweep.toml", &text.replace("min_steps = 2", "min_steps = 3"));
    let said = sweep(&bench, &["sweep.toml"]);
    assert!(said.code == 2 && said.err.contains("multiple of eval.eval_steps"), "{}", said.err);
}

#[test]
fn what_is_wrong_with_a_sweep_file_is_told_before_anything_runs() {
    let cases = [
        ("seeds = [1, 2]", "seeds = [1, 1]", "seed twice"),
        ("base = \"recipe.toml\"", "base = \"nowhere.toml\"", "nowhere.toml"),
        ("[grid]", "\"data.train\" = \"nowhere.jsonl\"\n[grid]", "nowhere.jsonl"),
        ("[grid]", "\"lora.init_from\" = \"nowhere\"\n[grid]", "lora.init_from"),
        ("[grid]", "[gird]", "sweep.toml:13"),
        ("\"train.learning_rate\" = [1e-4, 1e-3]", "\"train.learnin_rate\" = [1e-4]", "learning_rate"),
        (
            "\"train.learning_rate\" = [1e-4, 1e-3]",
            "\"train.learning_rate\" = [1e-4, 5.0]",
            "train.learning_rate",
        ),
        ("\"train.learning_rate\" = [1e-4, 1e-3]", "\"train.seed\" = [1, 2]", "seeds = [42, 43]"),
        ("seeds = [1, 2]", "max_runs = 1", "max_runs = 1"),
        ("\"train.learning_rate\" = [1e-4, 1e-3]", "\"save.save_steps\" = [1, 2]", "the same run"),
    ];
    for (from, to, part) in cases {
        assert!(SWEEP.contains(from));
        let bench = bench(&SWEEP.replace(from, to));
        let said = sweep(&bench, &["sweep.toml"]);
        assert!([2, 3].contains(&said.code), "{to}: {} {}", said.code, said.err);
        assert!(said.err.contains(part), "{part} is not in\n{}", said.err);
        assert!(!bench.path("sweep").exists(), "{to}");
    }
    let bench = bench(SWEEP);
    let said = sweep(&bench, &["status", "sweep.toml"]);
    assert!(said.code == 3 && said.err.contains("there is no sweep"), "{}", said.err);
}
