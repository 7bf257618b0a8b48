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
    assert!(said.out.contains("0.001 GiB on a CPU: does not fit; ") && said.out.contains("24 GiB: fits"));
    let long = plan(&["--tokens", "60000"]).done();
    assert!(peak(&long.out) > peak(&said.out) + 0.5, "{}", long.out);
    let said = bench.run(&["recipe.toml", "--dry-run"]).done();
    assert!(said.out.lines().any(|line| line.starts_with("memory      about 0.")), "{}", said.out);
}

#[test]
fn a_plan_needs_a_model() {
    let bench = Workbench::new();
    let said = bench.run(&["plan", "recipe.toml", "--set", "model.model_name_or_path=\"none\""]);
    refused(&said, 3, &["none", "hint:"]);
}
