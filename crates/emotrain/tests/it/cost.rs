//! What a run costs, told before it begins.

use emotrain_model::device;

use crate::workbench::{Workbench, refused};

#[test]
fn a_dry_run_counts_evaluations_beside_training() {
    let bench = Workbench::new();
    let said = bench.run(&["recipe.toml", "--dry-run"]).done();
    let tokens = |text: &str| -> Vec<u64> {
        let lines = text.lines().skip_while(|line| !line.starts_with("tokens"));
        lines
            .take(3)
            .map(|line| line.split_whitespace().find_map(|word| word.parse().ok()).unwrap())
            .collect()
    };
    let all = tokens(&said.out);
    assert!(said.out.contains("in 2 evaluations during training, 12 samples each"), "{}", said.out);
    assert!(said.out.contains("in the evaluations before and after training"), "{}", said.out);
    assert!(all[1] == all[2] && all[0] > all[1], "{all:?}");
    assert!(!said.err.contains("warning"), "{}", said.err);

    let every = ["recipe.toml", "--dry-run", "--set", "eval.eval_steps=1"];
    let said = bench.run(&every).done();
    assert_eq!(tokens(&said.out)[1], 4 * all[1]);
    assert!(said.err.contains("warning: evaluations during training process"), "{}", said.err);
    assert!(said.err.contains("hint: evaluate less often"), "{}", said.err);
    let said = bench.run(&[&every[..], &["--set", "eval.max_samples=4"]].concat()).done();
    assert!(said.out.contains("in 8 evaluations during training, 4 samples each"), "{}", said.out);
    assert!(!said.err.contains("warning"), "{}", said.err);
}

#[test]
fn evaluations_during_training_use_a_part_and_the_last_uses_all() {
    let bench = Workbench::new();
    let set = ["--set", "eval.max_samples=5", "--set", "eval.eval_steps=0.5", "--set", "train.max_steps=9"];
    bench.train("part", &set).done();
    let lines = bench.read("part/metrics.jsonl");
    let evaluated = lines.lines().filter(|line| line.contains("\"event\":\"eval\"")).collect::<Vec<_>>();
    // 36 samples, 4 a step: half an epoch is 4.5 steps.
    let at =
        |step: usize| evaluated.iter().filter(|line| line.contains(&format!("\"step\":{step},"))).count();
    assert_eq!((evaluated.len(), at(5), at(9)), (2, 1, 1), "{lines}");
    for line in evaluated {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let correct = line["accuracy"].as_f64().unwrap() * 5.0;
        assert!((correct - correct.round()).abs() < 1e-9, "{line}");
    }
    assert_eq!(bench.read("part/predictions.valid.jsonl").lines().count(), 12);
}

#[test]
fn a_device_and_type_that_are_not_there_are_found_by_check() {
    let bench = Workbench::new();
    let full =
        ["--set", "model.dtype=bfloat16", "--set", "train.method=full", "--set", "data.train=\"none.jsonl\""];
    let said = bench.run(&[&["check", "recipe.toml"][..], &full].concat());
    let cpu = "model.dtype = \"bfloat16\" with train.method = \"full\": the CPU trains weights in float32";
    refused(&said, 2, &[cpu, "hint: write dtype = \"float32\" under [model]", "none.jsonl"]);
    if !device::compiled().contains(&"cuda") {
        let said = bench.run(&["check", "recipe.toml", "--set", "model.device=cuda"]);
        refused(&said, 3, &["model.device = \"cuda\": this program was built without cuda", "hint:"]);
    }
    let said = bench.run(&["check", "recipe.toml"]).done();
    assert!(said.out.contains("sound"), "{}", said.out);
    // A dry run checks it too, and names the device.
    let said = bench.run(&[&["recipe.toml", "--dry-run"][..], &full].concat());
    refused(&said, 2, &[cpu, "none.jsonl"]);
    let said = bench.run(&["recipe.toml", "--dry-run", "--set", "model.device=cpu"]).done();
    assert!(said.out.lines().any(|line| line.starts_with("device      ")), "{}", said.out);
}

#[test]
fn a_dry_run_tells_the_time_where_a_run_has_measured_the_speed() {
    let bench = Workbench::new();
    let dry = || bench.run(&["recipe.toml", "--dry-run", "--set", "train.output_dir=run"]).done().out;
    assert!(dry().contains("time        not known: "), "nothing was measured yet");
    bench.train("other", &[]).done();
    let out = dry();
    let line = out.lines().find(|line| line.starts_with("time ")).unwrap_or_else(|| panic!("{out}"));
    assert!(line.contains("tokens a second of") && line.ends_with("other"), "{line}");
    let bits = ["recipe.toml", "--dry-run", "--set", "quantization.load_in_4bit=true"];
    assert!(!bench.run(&bits).done().out.contains("tokens a second of"), "of other bits");
}
