//! Runs that were stopped and went on equal those that never stopped.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::workbench::Workbench;

const RESULTS: [&str; 4] = [
    "adapter/adapter_model.safetensors",
    "step-000008/parameters.safetensors",
    "step-000008/optimizer.safetensors",
    "predictions.valid.jsonl",
];

#[track_caller]
fn equal(bench: &Workbench, one: &str, other: &str, files: &[&str]) {
    for file in files {
        let [one, other] = [one, other].map(|run| fs_err::read(bench.path(run).join(file)).unwrap());
        assert!(one == other, "{file} differs");
    }
}

#[test]
fn a_run_that_died_goes_on_after_any_step() {
    let bench = Workbench::new();
    bench.train("whole", &[]).done();
    for step in [2, 4, 6] {
        let run = format!("died-{step}");
        bench.train(&run, &[]).done();
        for later in (step + 2..=8).step_by(2) {
            fs_err::remove_dir_all(bench.path(&run).join(format!("step-{later:06}"))).unwrap();
        }
        for result in ["report.json", "predictions.valid.jsonl"] {
            fs_err::remove_file(bench.path(&run).join(result)).unwrap();
        }
        let said = bench.train(&run, &["--resume"]).done();
        assert!(said.err.contains(&format!("going on after step {step} of 8")), "{}", said.err);
        equal(&bench, "whole", &run, &RESULTS);
    }
}

#[test]
fn a_run_that_was_finished_is_finished() {
    let bench = Workbench::new();
    bench.train("run", &[]).done();
    let adapter = fs_err::read(bench.path("run").join(RESULTS[0])).unwrap();
    bench.train("run", &["--resume"]).done();
    assert!(adapter == fs_err::read(bench.path("run").join(RESULTS[0])).unwrap());
}

#[test]
fn a_run_goes_on_with_its_own_recipe_alone() {
    let bench = Workbench::new();
    bench.train("run", &[]).done();
    let said = bench.train("run", &["--resume", "--set", "train.learning_rate=1e-3"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("learning_rate"), "{}", said.err);
}

#[cfg(unix)]
#[test]
fn an_interrupt_saves_the_state_and_says_how_to_go_on() {
    let bench = Workbench::new();
    let long = ["--set", "train.max_steps=400", "--set", "eval.eval_steps=400", "--set", "save.save_steps=0"];
    bench.train("whole", &long).done();

    let args = [&["recipe.toml", "--set", "train.output_dir=cut"][..], &long].concat();
    let mut child = bench.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut talk = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("step ") {
        line.clear();
        assert!(talk.read_line(&mut line).unwrap() > 0, "the run ended too early");
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let mut rest = String::new();
    talk.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.contains("the state is saved"), "{rest}");
    let resume = format!("emotrain {} --resume", args.join(" "));
    assert!(rest.contains(&resume), "{resume} is not in\n{rest}");
    assert_eq!(bench.json("cut/run.json")["training"]["end"], "interrupted");
    assert!(!bench.path("cut/report.json").exists());

    bench.run(&[&args[..], &["--resume"]].concat()).done();
    equal(&bench, "whole", "cut", &["adapter/adapter_model.safetensors", "predictions.valid.jsonl"]);
}
