//! Gradient checkpointing and offloading from the command line.

use crate::workbench::{Workbench, refused};

const ADAPTER: &str = "adapter/adapter_model.safetensors";

#[test]
fn a_run_with_checkpointing_is_the_one_without() {
    let bench = Workbench::new();
    let bytes = |run: &str| fs_err::read(bench.path(&format!("{run}/{ADAPTER}"))).unwrap();
    bench.train("kept", &[]).done();
    for (run, every) in
        [("all", "train.gradient_checkpointing_every=1"), ("second", "train.gradient_checkpointing_every=2")]
    {
        bench.train(run, &["--set", "train.gradient_checkpointing=true", "--set", every]).done();
        assert!(bytes(run) == bytes("kept"), "{run}");
    }
}

#[test]
fn the_cpu_has_nothing_to_offload() {
    let bench = Workbench::new();
    let set = [
        "--set",
        "model.device=cpu",
        "--set",
        "train.gradient_checkpointing=true",
        "--set",
        "train.activation_offloading=true",
    ];
    let parts =
        ["train.activation_offloading = true", "hint: write activation_offloading = false under [train]"];
    for command in
        [&["recipe.toml"][..], &["recipe.toml", "--dry-run"], &["check", "recipe.toml"], &["bench", "model"]]
    {
        let said = bench.run(&[command, &set].concat());
        refused(&said, 2, &parts);
        assert!(!said.err.contains("loaded") && !bench.path("run").exists(), "{command:?}: {}", said.err);
    }
    let alone = bench.run(&["check", "recipe.toml", "--set", "train.activation_offloading=true"]);
    refused(&alone, 2, &["train.activation_offloading needs train.gradient_checkpointing = true"]);
    // A recipe for a GPU is planned anywhere.
    let said = bench.run(&[&["plan", "recipe.toml"][..], &set].concat()).done();
    assert!(
        said.out.contains("on a CPU, without train.activation_offloading, which needs a GPU, batches of")
    );
    assert!(said.out.contains("beside it, on the host"), "{}", said.out);
}
