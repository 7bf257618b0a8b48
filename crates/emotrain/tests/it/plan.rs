//! How much memory a recipe takes, before anything is read but the model's configuration.

use crate::workbench::{Workbench, refused};

#[test]
fn memory_is_planned_from_the_configuration_alone() {
    let bench = Workbench::new();
    let set = ["--set", "data.train=\"none.jsonl\""];
    let plan = |more: &[&str]| bench.run(&[&["plan", "recipe.toml"][..], &set, more].concat());
    let peak = |out: &str| -> f64 {
        let line = out.lines().find(|line| line.trim_start().starts_with("peak")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let said = plan(&["--memory", "0.001"]).done();
    assert!(said.out.contains("on a CPU, batches of 2 × 256 tokens"), "{}", said.out);
    let line = "for samples of 256 tokens, train.max_seq_length; those of the data are not counted: ";
    assert!(said.err.contains(line) && said.err.contains("none.jsonl"), "{}", said.err);
    assert!(said.out.contains("0.001 GiB on a CPU: does not fit; ") && said.out.contains("24 GiB: fits"));
    let long = plan(&["--tokens", "60000"]).done();
    assert!(peak(&long.out) > peak(&said.out) + 0.5, "{}", long.out);
    let counted = bench.run(&["plan", "recipe.toml"]).done();
    assert!(counted.out.contains("on a CPU, batches of 2 × 119 tokens"), "{}", counted.out);
    let said = bench.run(&["recipe.toml", "--dry-run"]).done();
    for name in ["steps", "tokens", "time"] {
        let of = |out: &str| out.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        assert!(of(&counted.out).is_some() && of(&counted.out) == of(&said.out), "{}", counted.out);
    }
    assert!(said.out.lines().any(|line| line.starts_with("memory      about 0.")), "{}", said.out);
}

#[test]
fn a_plan_needs_a_model() {
    let bench = Workbench::new();
    let said = bench.run(&["plan", "recipe.toml", "--set", "model.model_name_or_path=\"none\""]);
    refused(&said, 3, &["none", "hint:"]);
}
