//! Runs that were stopped and went on equal those that never stopped.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::workbench::{Workbench, material, refused};

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
        assert!(said.err.contains(&format!("resuming after step {step} of 8")), "{}", said.err);
        equal(&bench, "whole", &run, &RESULTS);
    }
}

#[test]
fn a_run_whose_best_parameters_are_lost_says_so_at_once() {
    let bench = Workbench::new();
    bench.train("run", &[]).done();
    fs_err::remove_dir_all(bench.path("run").join("adapter")).unwrap();
    let said = bench.train("run", &["--resume"]);
    assert_eq!(said.code, 3, "{}", said.err);
    let place = "adapter: has no manifest.json: it is incomplete, or the file was lost";
    assert!(
        said.err.contains(place) && said.err.contains("it has the best parameters so far"),
        "{}",
        said.err
    );
}

#[test]
fn a_step_that_was_put_in_the_place_of_another_is_refused() {
    let bench = Workbench::new();
    bench.train("run", &[]).done();
    let step = |number: usize| bench.path("run").join(format!("step-{number:06}"));
    for lost in [6, 8] {
        fs_err::remove_dir_all(step(lost)).unwrap();
    }
    fs_err::rename(step(4), step(6)).unwrap();
    let said = bench.train("run", &["--resume"]);
    assert_eq!(said.code, 3, "{}", said.err);
    let place = "step-000006/state.json: is of step 4\n  hint: step-000002 is intact: resume from it";
    assert!(said.err.contains(place), "{}", said.err);
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

/// Of a metric that stays the same the first evaluation is the best, however often the run is taken up.
#[test]
fn a_run_that_goes_on_chooses_what_the_run_that_never_stopped_chose() {
    let bench = Workbench::new();
    for metric in ["accuracy", "weighted_f1", "macro_f1", "loss"] {
        let metric_set = format!("eval.metric_for_best_model={metric}");
        let greater = format!("eval.greater_is_better={}", metric != "loss");
        let mut set = vec!["--set", &metric_set, "--set", &greater, "--set", "train.learning_rate=1e-9"];
        set.extend([
            "--set",
            "train.max_steps=3",
            "--set",
            "eval.eval_steps=1",
            "--set",
            "save.save_steps=1",
        ]);
        let whole = format!("{metric}-whole");
        bench.train(&whole, &set).done();
        for step in 1..=3 {
            let run = format!("{metric}-{step}");
            bench.train(&run, &set).done();
            for later in step + 1..=3 {
                fs_err::remove_dir_all(bench.path(&run).join(format!("step-{later:06}"))).unwrap();
            }
            bench.train(&run, &[&set[..], &["--resume"]].concat()).done();
            equal(&bench, &whole, &run, &[RESULTS[0], "report.json", "predictions.valid.jsonl"]);
            let [one, two] =
                [&whole, &run].map(|run| bench.json(&format!("{run}/run.json"))["training"]["best"].clone());
            assert_eq!(one, two, "{metric} after step {step}");
        }
    }
}

/// Starts a long run, and goes on when it has made its first steps.
#[cfg(unix)]
fn started(bench: &Workbench, args: &[&str]) -> (std::process::Child, BufReader<std::process::ChildStderr>) {
    let mut child = bench.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut talk = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("step ") {
        line.clear();
        assert!(talk.read_line(&mut line).unwrap() > 0, "the run ended too early");
    }
    (child, talk)
}

#[cfg(unix)]
fn send(signal: &str, child: &std::process::Child) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

/// Whether the tests run under `nohup`, which the program heeds.
#[cfg(unix)]
fn hang_ups_are_ignored() -> bool {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.is_none_or(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & 1 == 1)
}

#[cfg(unix)]
#[test]
fn a_signal_that_ends_a_run_saves_its_state_and_says_how_to_go_on() {
    let bench = Workbench::new();
    let long = ["--set", "train.max_steps=400", "--set", "eval.eval_steps=400", "--set", "save.save_steps=0"];
    bench.train("whole", &long).done();

    let mut signals = vec![("-INT", 130), ("-TERM", 143)];
    if !hang_ups_are_ignored() {
        signals.push(("-HUP", 129));
    }
    for (signal, code) in signals {
        let output = format!("train.output_dir=cut{signal}");
        let args = [&["recipe.toml", "--set", &output][..], &long].concat();
        let (mut child, mut talk) = started(&bench, &args);
        send(signal, &child);
        let mut rest = String::new();
        talk.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{rest}");
        assert!(rest.contains("the state is saved"), "{rest}");
        let resume = format!("emotrain {} --resume", args.join(" "));
        assert!(rest.contains(&resume), "{resume} is not in\n{rest}");
        let run = format!("cut{signal}");
        assert_eq!(bench.json(&format!("{run}/run.json"))["training"]["end"], "interrupted");
        assert!(!bench.path(&run).join("report.json").exists());

        bench.run(&[&args[..], &["--resume"]].concat()).done();
        equal(&bench, "whole", &run, &["adapter/adapter_model.safetensors", "predictions.valid.jsonl"]);
    }
}

/// Its results would not be where the rest of the run is.
#[cfg(unix)]
#[test]
fn a_run_whose_folder_is_taken_away_ends_at_the_next_step() {
    let bench = Workbench::new();
    let (old, new) = (bench.path("run"), bench.path("elsewhere"));
    let rare =
        ["--set", "train.max_steps=4000", "--set", "eval.eval_steps=4000", "--set", "save.save_steps=0"];
    let args = [&["recipe.toml", "--set", "train.output_dir=run"][..], &rare].concat();
    for replaced in [false, true] {
        let (mut child, mut talk) = started(&bench, &args);
        fs_err::rename(&old, &new).unwrap();
        if replaced {
            fs_err::create_dir(&old).unwrap();
        }
        let mut rest = String::new();
        talk.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(5), "{rest}");
        let told = "error: run: the folder, or its .lock, was removed, moved or replaced while the run used it\n  hint: put it back and go on with --resume";
        assert!(rest.contains(told), "{rest}");
        let made: Vec<_> =
            fs_err::read_dir(&old).into_iter().flatten().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(
            (old.exists(), made.len()),
            (replaced, 0),
            "the run has made {made:?}, or removed what is not its own"
        );
        fs_err::remove_dir_all(&new).unwrap();
        if replaced {
            fs_err::remove_dir(&old).unwrap();
        }
    }
}

#[cfg(unix)]
#[test]
fn a_signal_that_asks_for_it_saves_the_state_and_the_run_goes_on() {
    let bench = Workbench::new();
    let long = ["--set", "train.max_steps=300", "--set", "eval.eval_steps=300", "--set", "save.save_steps=0"];
    bench.train("whole", &long).done();
    for signal in ["-USR1", "-USR2"] {
        let output = format!("train.output_dir=saved{signal}");
        let (mut child, mut talk) =
            started(&bench, &[&["recipe.toml", "--set", &output][..], &long].concat());
        send(signal, &child);
        let mut rest = String::new();
        talk.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{rest}");
        let run = format!("saved{signal}");
        let names = fs_err::read_dir(bench.path(&run)).unwrap();
        let steps =
            names.filter(|name| name.as_ref().unwrap().file_name().to_string_lossy().starts_with("step-"));
        assert_eq!(steps.count(), 2, "the wish's and the last");
        equal(&bench, "whole", &run, &["adapter/adapter_model.safetensors"]);
    }
}

#[test]
fn a_finished_run_trains_on_as_if_it_had_been_planned_so() {
    let bench = Workbench::new();
    let constant = ["--set", "train.lr_scheduler_type=constant", "--set", "train.warmup_steps=1"];
    let constant = [&constant[..], &["--set", "train.warmup_ratio=0"]].concat();
    let longer = [&constant[..], &["--set", "train.max_steps=12"]].concat();
    bench.train("whole", &longer).done();
    bench.train("short", &constant).done();
    let said = bench.train("short", &[&longer[..], &["--resume"]].concat()).done();
    assert!(
        said.err.contains("short: train.max_steps was 8 and is 12 now: the learning rate"),
        "{}",
        said.err
    );
    assert!(said.err.contains("resuming after step 8 of 12"), "{}", said.err);
    let files = ["adapter/adapter_model.safetensors", "step-000012/parameters.safetensors"];
    equal(&bench, "whole", "short", &[&files[..], &["predictions.valid.jsonl", "report.json"]].concat());
    assert_eq!(bench.json("short/run.json")["training"]["steps"], 12);
    assert!(bench.read("short/recipe.toml").contains("max_steps = 12"));

    let said = bench.train("short", &[&constant[..], &["--resume"]].concat());
    refused(
        &said,
        2,
        &["recipe.toml: the run started with another recipe", "train.max_steps: 12 then, 8 now"],
    );
}

#[test]
fn all_that_differs_in_a_recipe_is_told_before_anything_is_read() {
    let bench = Workbench::new();
    bench.train("run", &[]).done();
    let set = ["--set", "lora.r=2", "--set", "train.seed=7", "--set", "data.train=none.jsonl", "--resume"];
    let said = bench.train("run", &set);
    refused(&said, 2, &["lora.r: 4 then, 2 now", "train.seed: 42 then, 7 now", "data.train: "]);
    assert!(!said.err.contains("none.jsonl: "), "{}", said.err);
    bench.train("run", &["--set", "eval.test=true", "--set", "interpret.model=other", "--resume"]).done();
    assert!(bench.path("run/predictions.test.jsonl").exists());
}

#[test]
fn a_project_that_was_moved_goes_on_and_a_file_that_changed_on_the_way_is_refused() {
    let bench = Workbench::new();
    let write = |folder: &str| {
        fs_err::create_dir_all(bench.path(folder)).unwrap();
        for file in ["train.jsonl", "valid.jsonl", "test.jsonl", "short.jinja"] {
            fs_err::copy(material().join(file), bench.path(folder).join(file)).unwrap();
        }
        fs_err::create_dir(bench.path(folder).join("base")).unwrap();
        for file in fs_err::read_dir(material().join("base")).unwrap() {
            let file = file.unwrap();
            fs_err::copy(file.path(), bench.path(folder).join("base").join(file.file_name())).unwrap();
        }
        let there = format!("{}/", material().display());
        let recipe = bench.read("recipe.toml").replace(&there, "");
        bench.write(&format!("{folder}/recipe.toml"), &recipe.replace("\"base\"", "\"./base\""));
    };
    let train = |folder: &str, more: &[&str]| {
        let recipe = format!("{folder}/recipe.toml");
        let output = format!("train.output_dir={folder}/run");
        bench.run(&[&[recipe.as_str(), "--set", &output], more].concat())
    };
    write("old");
    train("old", &[]).done();
    bench.train("whole", &[]).done();
    fs_err::rename(bench.path("old"), bench.path("new")).unwrap();
    for step in ["new/run/step-000006", "new/run/step-000008"] {
        fs_err::remove_dir_all(bench.path(step)).unwrap();
    }
    let data = bench.read("new/train.jsonl");
    bench.write("new/train.jsonl", &data.replacen("bread", "cake", 1));
    let said = train("new", &["--resume"]);
    refused(&said, 3, &["inputs have changed since the run started: data.train (", "new/train.jsonl"]);
    bench.write("new/train.jsonl", &data);
    let said = train("new", &["--resume"]).done();
    assert!(said.err.contains("resuming after step 4 of 8"), "{}", said.err);
    equal(&bench, "whole", "new/run", &RESULTS);
    assert_eq!(bench.json("new/run/run.json")["resumed"][0]["differences"], serde_json::json!([]));
}

#[test]
fn fewer_steps_than_are_done_are_refused_and_leave_the_run_as_it_is() {
    let bench = Workbench::new();
    let epoch = ["--set", "train.num_train_epochs=1"];
    bench.train("run", &[&epoch[..], &["--set", "train.max_steps=0"]].concat()).done();
    let recipe = bench.read("run/recipe.toml");
    let said = bench.train("run", &[&epoch[..], &["--resume", "--set", "train.max_steps=1"]].concat());
    refused(&said, 2, &["run: train.max_steps = 1, but step ", "is done", "hint: train.max_steps may be "]);
    assert_eq!(bench.read("run/recipe.toml"), recipe);
}
