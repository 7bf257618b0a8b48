//! Several runs in one process, on one base: each is what it is alone, to the bit.

use serde_json::Value;

use crate::workbench::Workbench;

const SCALE: [&str; 2] = ["--set", "model.num_threads=2"];

/// Recipes that have nothing in common but what they must.
const RECIPES: [(&str, &str); 4] = [
    ("plain", ""),
    (
        "curriculum",
        "[lora]\nlora_alpha = 5\nlora_dropout = 0.2\nuse_dora = true\n[curriculum]\nname = \"es\"\nrestart_optimizer = true\n\
         [train]\nseed = 7\nmax_steps = 11\nnum_train_epochs = 3\nlr_scheduler_type = \"cosine\"\n\
         neftune_noise_alpha = 5.0\n[eval]\neval_steps = 3\ntest = true\n",
    ),
    (
        "short",
        "[train]\nseed = 8\nmax_steps = 3\nper_device_train_batch_size = 5\ngradient_accumulation_steps = 1\n\
         learning_rate = 1e-3\n[lora]\nlora_dropout = 0.1\n[save]\ndtype = \"bfloat16\"\n",
    ),
    (
        "early",
        "[train]\nmax_steps = 40\nper_device_train_batch_size = 1\nlearning_rate = 1e-9\n[eval]\neval_steps = 2\n\
         early_stopping_patience = 2\n[lora]\ninit_lora_weights = \"olora\"\n",
    ),
];

fn bench() -> Workbench {
    let bench = Workbench::new();
    for (name, more) in RECIPES {
        recipe(&bench, name, more);
    }
    bench
}

/// Writes `<name>.toml`, which says more than `recipe.toml`.
fn recipe(bench: &Workbench, name: &str, more: &str) {
    bench.write(&format!("{name}.toml"), &format!("extends = \"./recipe.toml\"\n{more}"));
}

/// Runs each recipe alone, into `alone/<name>`.
fn alone(bench: &Workbench) {
    for (name, _) in RECIPES {
        let output = format!("train.output_dir=alone/{name}");
        bench.run(&[&[&format!("{name}.toml"), "--set", &output], &SCALE[..]].concat()).done();
    }
}

/// What a run has measured, without the speeds.
fn metrics(bench: &Workbench, run: &str) -> Vec<Value> {
    let line = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().remove("tokens_per_second");
        line
    };
    bench.read(&format!("{run}/metrics.jsonl")).lines().map(line).collect()
}

/// The run in `checkpoints/<name>` is the one in `alone/<name>`.
#[track_caller]
fn is_as_alone(bench: &Workbench, name: &str) {
    let [here, there] = [format!("checkpoints/{name}"), format!("alone/{name}")];
    let names = |run: &str| {
        let entries = fs_err::read_dir(bench.path(run)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&here), names(&there), "{name}");
    let mut files = vec!["adapter/adapter_model.safetensors".to_owned(), "report.json".to_owned()];
    for entry in names(&there) {
        if entry.starts_with("step-") {
            files.extend(["parameters", "optimizer"].map(|file| format!("{entry}/{file}.safetensors")));
        }
        if entry.starts_with("predictions.") {
            files.push(entry);
        }
    }
    assert!(files.len() > 4, "{files:?}");
    for file in files {
        let [one, other] = [&here, &there].map(|run| fs_err::read(bench.path(run).join(&file)).unwrap());
        assert!(one == other, "{name}: {file} differs");
    }
    assert_eq!(metrics(bench, &here), metrics(bench, &there), "{name}");
    let [one, other] = [&here, &there].map(|run| bench.json(&format!("{run}/run.json"))["training"].clone());
    for key in ["end", "steps", "tokens", "best"] {
        assert_eq!(one[key], other[key], "{name}: {key}");
    }
}

#[test]
fn runs_that_train_together_are_what_they_are_alone() {
    let bench = bench();
    alone(&bench);
    let said = bench.run(&["plain.toml", "curriculum.toml", "short.toml", "early.toml"]).done();
    for (name, _) in RECIPES {
        is_as_alone(&bench, name);
        assert!(said.err.contains(&format!("\n{name}: done\n")), "{}", said.err);
        assert!(said.out.contains(&format!("{name}:\n")), "{}", said.out);
    }
    assert_eq!(bench.json("checkpoints/early/run.json")["training"]["end"], "stopped early");
    assert_eq!(said.err.matches("loaded ").count(), 1, "{}", said.err);
    // One line for the progress of all.
    let progress = said.err.lines().find(|line| line.starts_with("step plain 2/8")).unwrap();
    assert!(progress.contains("curriculum 2/11") && progress.contains("tokens/s"), "{progress}");
}

/// An adapter whose numbers are numbers, but nothing that is computed with them is; its folder.
fn huge_adapter(bench: &Workbench) -> String {
    fs_err::create_dir(bench.path("huge")).unwrap();
    let [from, to] = ["alone/plain/adapter", "huge"].map(|folder| bench.path(folder));
    fs_err::copy(from.join("adapter_config.json"), to.join("adapter_config.json")).unwrap();
    let mut bytes = fs_err::read(from.join("adapter_model.safetensors")).unwrap();
    let data = 8 + usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    bytes[data..].chunks_exact_mut(4).for_each(|number| number.copy_from_slice(&1e38f32.to_le_bytes()));
    fs_err::write(to.join("adapter_model.safetensors"), bytes).unwrap();
    "./huge".to_owned()
}

#[test]
fn a_run_that_fails_changes_nothing_for_the_others() {
    let bench = bench();
    alone(&bench);
    // One that cannot be claimed, one whose fourth step cannot be saved, one whose numbers are beyond all bounds.
    recipe(&bench, "taken", "[train]\noutput_dir = \"alone/plain\"\n");
    recipe(&bench, "blocked", "");
    fs_err::create_dir_all(bench.path("checkpoints/blocked")).unwrap();
    bench.write("checkpoints/blocked/step-000004", "in the way");
    let adapter = huge_adapter(&bench);
    recipe(&bench, "wild", &format!("[lora]\ninit_from = \"{adapter}\"\n[eval]\nbaseline = false\n"));
    let said = bench.run(&[
        "taken.toml",
        "plain.toml",
        "blocked.toml",
        "curriculum.toml",
        "wild.toml",
        "short.toml",
        "early.toml",
    ]);
    assert_eq!(said.code, 2, "that of the first: {}", said.err);
    for part in ["taken: failed: alone/plain: already has a run", "error: taken: alone/plain"] {
        assert!(said.err.contains(part), "{part} is not in\n{}", said.err);
    }
    for (name, reason) in [("blocked", "step-000004"), ("wild", "is not a finite number")] {
        let line = said.err.lines().find(|line| line.starts_with(&format!("{name}: failed: ")));
        assert!(line.is_some_and(|line| line.contains(reason)), "{}", said.err);
        assert!(!bench.path(&format!("checkpoints/{name}/report.json")).exists());
    }
    for (name, _) in RECIPES {
        is_as_alone(&bench, name);
    }
}

#[cfg(unix)]
#[test]
fn runs_that_were_interrupted_together_are_resumed_together() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Command, Stdio};

    let bench = bench();
    alone(&bench);
    let long = "[train]\nmax_steps = 400\n[eval]\neval_steps = 400\n[save]\nsave_steps = 0\n";
    recipe(&bench, "long", long);
    bench.run(&["long.toml", "--set", "train.output_dir=alone/long"]).done();
    let args = ["short.toml", "long.toml", "plain.toml"];
    let mut child = bench.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut talk = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("step long ") {
        line.clear();
        assert!(talk.read_line(&mut line).unwrap() > 0, "the runs ended too early");
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    talk.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.contains("long: stopped; the state is saved\n"), "{rest}");
    assert!(rest.contains("resume with: emotrain short.toml long.toml plain.toml --resume"), "{rest}");

    let said = bench.run(&[&args[..], &["--resume"]].concat()).done();
    for part in ["short: checkpoints/short: is finished", "long: resuming after step "] {
        assert!(said.err.contains(part), "{part} is not in\n{}", said.err);
    }
    is_as_alone(&bench, "short");
    // The others have saved one step more, that at which they were interrupted.
    for name in ["long", "plain"] {
        for file in ["adapter/adapter_model.safetensors", "predictions.valid.jsonl"] {
            let [one, other] = ["alone", "checkpoints"]
                .map(|run| fs_err::read(bench.path(run).join(name).join(file)).unwrap());
            assert!(one == other, "{name}: {file} differs");
        }
    }
}

#[test]
fn recipes_that_cannot_share_a_base_are_told_with_the_key() {
    let bench = bench();
    let differences = [
        ("[model]\nmodel_name_or_path = \"./other\"", "model.model_name_or_path is"),
        (
            "[quantization]\nload_in_4bit = true",
            "quantization.load_in_4bit is false in plain and true in other",
        ),
        ("[lora]\nr = 8", "lora.r is 4 in plain and 8 in other"),
        ("[lora]\ntarget_modules = [\"q_proj\"]", "lora.target_modules is \"all-linear\" in plain"),
        ("[model]\nnum_threads = 1", "model.num_threads is 0 in plain and 1 in other"),
        ("[train]\ngradient_checkpointing = true", "train.gradient_checkpointing is false in plain"),
        (
            "[train]\ngradient_checkpointing = true\ngradient_checkpointing_every = 2",
            "train.gradient_checkpointing_every is 1 in plain and 2 in other",
        ),
        ("[train]\nmethod = \"full\"", "other has train.method = \"full\""),
        ("[train]\noutput_dir = \"checkpoints/plain\"", "both have train.output_dir"),
        ("[train]\noutput_dir = \"./checkpoints/none/../plain/\"", "both have train.output_dir"),
    ];
    for (more, expected) in differences {
        recipe(&bench, "other", more);
        for dry in [&[][..], &["--dry-run"]] {
            let said = bench.run(&[&["plain.toml", "other.toml"], dry].concat());
            assert_eq!(said.code, 2, "{}", said.err);
            for part in ["plain and other cannot train together", expected, "hint:"] {
                assert!(said.err.contains(part), "{part} is not in\n{}", said.err);
            }
            assert!(!said.err.contains("loaded") && !bench.path("checkpoints").exists());
        }
    }
    let said = bench.run(&["plain.toml", "curriculum.toml", "--dry-run"]).done();
    assert!(said.out.contains("plain:\n") && said.out.contains("curriculum:\n"), "{}", said.out);
}
