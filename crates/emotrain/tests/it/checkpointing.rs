//! Gradient checkpointing and offloading from the command line.

use serde_json::Value;

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

/// A narrow model of many layers: of what it takes, most is what these keep.
const DEEP: &str = r#"{
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "vocab_size": 300,
    "hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 32, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0, "tie_word_embeddings": true, "initializer_range": 0.2, "attention_bias": false
}"#;

/// What less a step takes with fewer tapes is what a plan says.
#[cfg(target_os = "linux")]
#[test]
fn the_memory_of_a_step_follows_the_plan() {
    let bench = Workbench::new();
    fs_err::create_dir(bench.path("deep")).unwrap();
    bench.write("deep/config.json", DEEP);
    let own = ["--tokens", "1024", "--set", "model.device=cpu"];
    let model = ["--set", "model.model_name_or_path=deep"];
    let one = ["--set", "train.per_device_train_batch_size=1", "--set", "eval.per_device_eval_batch_size=1"];
    let every = ["train.gradient_checkpointing=true", "train.gradient_checkpointing_every=2"];
    let settings: [&[&str]; 3] = [&[], &["--set", every[0], "--set", every[1]], &["--set", every[0]]];
    let taken = settings.map(|set| {
        let plan = [&["plan", "recipe.toml"][..], &own, &model, &one, set].concat();
        let planned = bench.run(&plan).done().out;
        let line = planned.lines().find(|line| line.trim_start().starts_with("peak")).unwrap();
        let gib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        let steps =
            ["bench", "--random", "deep/config.json", "--r", "4", "--steps", "1", "--warmup", "0", "--json"];
        let said: Value =
            serde_json::from_str(&bench.run(&[&steps, &own[..], set].concat()).done().out).unwrap();
        [gib * 1024.0, said["peak_rss_mib"].as_f64().unwrap()]
    });
    for (more, less) in taken.iter().zip(&taken[1..]) {
        let [planned, measured] = [0, 1].map(|which| more[which] - less[which]);
        // A plan is printed in hundredths of a GiB.
        assert!(planned > 50.0 && (measured - planned).abs() < 0.1 * planned + 11.0, "{taken:?}");
    }
}
