//! What was saved is read as it was saved, or told to be damaged; a run is never in a state from which nothing works.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::workbench::{Said, Workbench, material, refused};

const SHORT: [&str; 4] = ["--set", "train.max_steps=4", "--set", "eval.eval_steps=2"];
const ADAPTER: &str = "adapter/adapter_model.safetensors";

fn copy(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &place);
        } else {
            fs_err::copy(entry.path(), place).unwrap();
        }
    }
}

/// A bench with a finished run `whole`, and what a run that died after step 4 of 4 had left in `died`.
fn bench() -> Workbench {
    let bench = Workbench::new();
    bench.train("whole", &SHORT).done();
    copy(&bench.path("whole"), &bench.path("died"));
    for result in ["report.json", "predictions.valid.jsonl"] {
        fs_err::remove_file(bench.path("died").join(result)).unwrap();
    }
    bench
}

fn flip(path: &Path, from_end: usize) {
    let mut bytes = fs_err::read(path).unwrap();
    let at = bytes.len() - from_end;
    bytes[at] ^= 16;
    fs_err::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_step_is_told_with_the_sound_one_before_it() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 7] = [
        ("parameters.safetensors", |path| flip(path, 101)),
        ("optimizer.safetensors", |path| flip(path, 102)),
        ("state.json", |path| flip(path, 20)),
        ("manifest.json", |path| flip(path, 30)),
        ("state.json", |path| fs_err::write(path, "").unwrap()),
        ("state.json", |path| fs_err::remove_file(path).unwrap()),
        ("manifest.json", |path| fs_err::remove_file(path).unwrap()),
    ];
    let bench = bench();
    for (number, (file, damage)) in damages.into_iter().enumerate() {
        let run = format!("run-{number}");
        copy(&bench.path("died"), &bench.path(&run));
        damage(&bench.path(&format!("{run}/step-000004/{file}")));
        let said = bench.train(&run, &[&SHORT[..], &["--resume"]].concat());
        assert_eq!(said.code, 3, "{number}: {}", said.err);
        assert!(said.err.contains("step-000004"), "{}", said.err);
        // A damaged manifest may speak of any file of the folder.
        assert!(file == "manifest.json" || said.err.contains(file), "{}", said.err);
        let way_out = format!("save.resume_from_checkpoint={run}/step-000002");
        assert!(said.err.contains(&way_out), "{}", said.err);
        bench.train(&run, &[&SHORT[..], &["--resume", "--set", &way_out]].concat()).done();
        for file in [ADAPTER, "report.json"] {
            let [one, two] =
                ["whole", run.as_str()].map(|run| fs_err::read(bench.path(run).join(file)).unwrap());
            assert!(one == two, "{number}: {file} differs");
        }
    }
}

#[test]
fn a_damaged_adapter_is_told_and_one_without_digests_opens() {
    let bench = bench();
    let eval = || bench.run(&["eval", "recipe.toml", "--run", "died"]);
    flip(&bench.path("died").join(ADAPTER), 33);
    let said = eval();
    assert_eq!(said.code, 3);
    assert!(said.err.contains("adapter_model.safetensors: is damaged"), "{}", said.err);
    let said = bench.train("died", &[&SHORT[..], &["--resume"]].concat());
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("adapter_model.safetensors: is damaged"), "{}", said.err);

    flip(&bench.path("died").join(ADAPTER), 33);
    eval().done();
    let manifest = "died/adapter/manifest.json";
    let names: Vec<String> = bench.json(manifest)["files"].as_object().unwrap().keys().cloned().collect();
    bench.write(manifest, &serde_json::json!({ "format_version": 1, "files": names }).to_string());
    eval().done();
    fs_err::remove_file(bench.path(manifest)).unwrap();
    eval().done();
}

/// Between the first evaluation and the first saved step, and before anything at all.
#[test]
fn going_on_without_a_saved_step_is_beginning() {
    let bench = bench();
    for step in ["step-000002", "step-000004"] {
        fs_err::remove_dir_all(bench.path("died").join(step)).unwrap();
    }
    let said = bench.train("died", &SHORT);
    assert!(said.code == 2 && said.err.contains("--resume"), "{}", said.err);
    for run in ["died", "nothing-there"] {
        let said = bench.train(run, &[&SHORT[..], &["--resume"]].concat()).done();
        assert!(
            said.err.contains("there is no checkpoint yet, so the run starts from the beginning"),
            "{}",
            said.err
        );
        let [one, two] = ["whole", run].map(|run| fs_err::read(bench.path(run).join(ADAPTER)).unwrap());
        assert!(one == two, "{run}");
    }
}

#[test]
fn a_run_that_was_killed_while_it_replaced_its_best_goes_on() {
    let bench = bench();
    let run = bench.path("died");
    fs_err::rename(run.join("adapter"), run.join(".adapter.replaced")).unwrap();
    fs_err::create_dir(run.join(".adapter.building")).unwrap();
    fs_err::create_dir(run.join(".step-000004.building")).unwrap();
    fs_err::write(run.join(".run.json.aB3xYz.part"), "{").unwrap();
    bench.train("died", &[&SHORT[..], &["--resume"]].concat()).done();
    let [one, two] = ["whole", "died"].map(|run| fs_err::read(bench.path(run).join(ADAPTER)).unwrap());
    assert!(one == two);
    let hidden: Vec<_> = fs_err::read_dir(&run)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with('.') && name != ".lock")
        .collect();
    assert!(hidden.is_empty(), "{hidden:?}");
}

#[test]
fn a_run_goes_on_with_the_contents_that_it_began_with() {
    let bench = Workbench::new();
    let shared = material();
    for file in ["train.jsonl", "valid.jsonl", "short.jinja"] {
        fs_err::copy(shared.join(file), bench.path(file)).unwrap();
    }
    copy(&shared.join("base"), &bench.path("base"));
    let own = [
        "--set",
        "data.train=train.jsonl",
        "--set",
        "data.valid=valid.jsonl",
        "--set",
        "prompt.template=short.jinja",
        "--set",
        "model.model_name_or_path=./base",
        "--set",
        "train.max_steps=4",
        "--set",
        "eval.eval_steps=2",
    ];
    bench.train("run", &own).done();
    let began = bench.json("run/run.json");
    bench.train("run", &[&own[..], &["--resume"]].concat()).done();

    let train = bench.read("train.jsonl");
    bench.write("train.jsonl", &train.split_inclusive('\n').take(9).collect::<String>());
    bench.write("short.jinja", &bench.read("short.jinja").replace("Labels:", "The labels:"));
    flip(&bench.path("base/model.safetensors"), 41);
    let config = bench.read("base/tokenizer_config.json");
    bench.write("base/tokenizer_config.json", &config.replace("<|im_start|>", "<|im_start|> "));
    let said = bench.train("run", &[&own[..], &["--resume"]].concat());
    assert_eq!(said.code, 3, "{}", said.err);
    for part in [
        "data.train",
        "train.jsonl",
        "prompt template",
        "base model's weights",
        "chat template",
        "--resume-anyway",
    ] {
        assert!(said.err.contains(part), "{part} is not in\n{}", said.err);
    }
    assert!(!said.err.contains("data.valid"), "{}", said.err);

    bench.train("run", &[&own[..], &["--resume-anyway"]].concat()).done();
    let now = bench.json("run/run.json");
    for part in ["data", "model", "template", "tokenizer", "begun_unix_s", "device", "elapsed_s"] {
        assert_eq!(now[part], began[part], "the first start's {part}");
    }
    let starts = now["resumed"].as_array().unwrap();
    assert_eq!(starts.len(), 2);
    assert_eq!(starts[0]["differences"], serde_json::json!([]));
    let names: Vec<&Value> =
        starts[1]["differences"].as_array().unwrap().iter().map(|one| &one["what"]).collect();
    assert!(names.len() >= 4, "{names:?}");
}

#[cfg(unix)]
#[test]
fn a_run_folder_belongs_to_one_process() {
    let bench = Workbench::new();
    // Nothing is saved and nothing evaluated before it is killed: the folder has nothing to lose.
    let long = [
        "train.max_steps=4000",
        "save.save_steps=0",
        "eval.eval_steps=0",
        "eval.load_best_model_at_end=false",
        "train.output_dir=run",
    ];
    let long: Vec<&str> = long.into_iter().flat_map(|set| ["--set", set]).collect();
    let mut first = bench.command(&[&["recipe.toml"][..], &long].concat()).spawn().unwrap();
    while !bench.path("run/.lock").exists() {
        std::thread::yield_now();
    }
    for more in [&[][..], &["--resume"], &["--set", "train.seed=7"]] {
        let said = bench.run(&[&["recipe.toml"][..], &long, more].concat());
        assert_eq!(said.code, 3, "{}", said.err);
        assert!(said.err.contains(&format!("in use by process {}", first.id())), "{}", said.err);
    }
    first.kill().unwrap();
    first.wait().unwrap();
    bench.train("run", &[&SHORT[..], &["--set", "train.output_dir=run"]].concat()).done();
}

#[cfg(target_os = "linux")]
#[test]
fn a_log_that_cannot_be_written_ends_the_run_with_code_5() {
    let bench = Workbench::new();
    for (run, file) in [("a", "tb/events.out.tfevents.0000000000.emotrain"), ("b", "metrics.jsonl")] {
        let path = bench.path(run).join(file);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let said = bench.train(run, &SHORT);
        assert_eq!(said.code, 5, "{}", said.err);
        assert!(said.err.contains(file) && said.err.contains("free some disk space"), "{}", said.err);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_limit_of_file_sizes_is_an_error() {
    let bench = Workbench::new();
    // Blocks of 1,024 bytes: the model's adapter is larger.
    let script = "ulimit -f 4; exec \"$0\" recipe.toml --set train.output_dir=run --set train.max_steps=1";
    let mut limited = Command::new("bash");
    limited.args(["-c", script, env!("CARGO_BIN_EXE_emotrain")]).current_dir(bench.path(""));
    let said = Said::of(&limited.output().unwrap());
    assert_eq!(said.code, 5, "{}", said.err);
    assert!(said.err.contains("free some disk space"), "{}", said.err);
}

#[cfg(target_os = "linux")]
#[test]
fn output_goes_where_it_was_sent() {
    let bench = Workbench::new();
    fs_err::create_dir(bench.path("kept")).unwrap();
    bench.write("kept/old.jsonl", "{\"id\":\"old#0\",\"label\":\"joy\",\"truth\":null}\n");
    bench.write("notes.txt", "what matters");
    std::os::unix::fs::symlink("kept/old.jsonl", bench.path("link.jsonl")).unwrap();
    let eval = |output: &str| bench.run(&["eval", "recipe.toml", "--output", output]);
    eval("link.jsonl").done();
    assert!(bench.path("link.jsonl").is_symlink());
    assert_eq!(bench.read("kept/old.jsonl").lines().count(), 12);
    let said = eval("/dev/full");
    assert_eq!(said.code, 5, "{}", said.err);
    // What is no output of this kind is left alone.
    refused(&eval("notes.txt"), 2, &["notes.txt: is there already, and is no file of predictions", "hint:"]);
    refused(&bench.run(&["report", "kept", "--out", "recipe.toml"]), 2, &["recipe.toml: is there already"]);
    bench.train("run", &SHORT).done();
    bench.write("kept/in.jsonl", "{\"id\":\"a\",\"utterances\":[{\"speaker\":\"Ada\",\"text\":\"Hm.\"}]}\n");
    std::os::unix::fs::symlink("kept/in.jsonl", bench.path("same.jsonl")).unwrap();
    let onto_itself = ["--run", "run", "--input", "same.jsonl", "--output", "kept/in.jsonl", "--overwrite"];
    let said = bench.run(&[&["predict"], &onto_itself[..]].concat());
    refused(&said, 2, &["--output kept/in.jsonl: is the input"]);
    let said = eval("/dev/stdout").done();
    assert_eq!(said.out.lines().filter(|line| line.starts_with("{\"id\"")).count(), 12, "{}", said.out);
}

#[test]
fn a_longer_recipe_that_cannot_go_on_leaves_the_run_its_own() {
    let bench = bench();
    let recipe = bench.read("whole/recipe.toml");
    flip(&bench.path("whole/step-000004/optimizer.safetensors"), 102);
    let longer = ["--set", "train.max_steps=6", "--set", "eval.eval_steps=2", "--resume"];
    let said = bench.train("whole", &longer);
    refused(
        &said,
        3,
        &["step-000004", "optimizer.safetensors", "save.resume_from_checkpoint=whole/step-000002"],
    );
    assert_eq!(bench.read("whole/recipe.toml"), recipe);
}
