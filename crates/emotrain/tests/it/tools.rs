//! Commands that look at recipes or make things, without a training.

use emotrain_model::SafetensorsFile;
use serde_json::Value;

use crate::workbench::{Workbench, material};

#[test]
fn check_counts_what_is_sound() {
    let bench = Workbench::new();
    let said = bench.run(&["check", "recipe.toml"]).done();
    assert_eq!(said.out, "recipe.toml: sound; samples: train 36, valid 12, test 12\n");
    assert!(said.err.is_empty(), "{}", said.err);
}

#[test]
fn check_goes_on_after_a_recipe_with_problems() {
    let bench = Workbench::new();
    bench.write("wrong.toml", "[train]\nsed = 1\n");
    bench.write("empty.toml", &bench.read("recipe.toml").replace("valid.jsonl", "gone.jsonl"));
    let said = bench.run(&["check", "wrong.toml", "empty.toml", "recipe.toml"]);
    assert_eq!(said.code, 2);
    assert!(said.err.starts_with("error: wrong.toml:2:1"), "{}", said.err);
    assert!(
        said.err.contains("\nempty.toml: /") && said.err.contains("gone.jsonl: no such file"),
        "{}",
        said.err
    );
    assert!(said.out.contains("recipe.toml: sound"), "{}", said.out);
}

#[test]
fn a_dry_run_counts_and_leaves_nothing() {
    let bench = Workbench::new();
    let said = bench.train("run", &["--dry-run", "--set", "train.max_steps=0"]).done();
    for part in [
        "train       36 samples",
        "valid       12 samples",
        "steps       36, 9 per epoch, 4 samples each",
        "parameters",
    ] {
        assert!(said.out.contains(part), "{part} is not in\n{}", said.out);
    }
    assert!(!bench.path("run").exists());
}

#[test]
fn inspect_marks_supervised_tokens() {
    let bench = Workbench::new();
    let said = bench.run(&["inspect", "recipe.toml", "--limit", "2"]).done();
    assert!(said.out.starts_with("train-0#0: "), "{}", said.out);
    assert!(said.out.contains("<|im_start|>assistant\n["), "{}", said.out);
    assert!(said.out.contains("[<|im_end|>]"), "{}", said.out);
    assert_eq!(said.out.matches("[<|im_end|>]").count(), 2);
    assert!(said.out.contains("train: 36 samples"), "{}", said.out);

    let one = bench.run(&["inspect", "recipe.toml", "--split", "valid", "--id", "valid-1#2"]).done();
    assert!(one.out.starts_with("valid-1#2: "), "{}", one.out);
    let none = bench.run(&["inspect", "recipe.toml", "--id", "valid-1#2"]);
    assert_eq!(none.code, 2);
    assert!(none.err.contains("the first is train-0#0"), "{}", none.err);
}

#[test]
fn inspect_tells_what_was_left_out() {
    let bench = Workbench::new();
    let short = ["--set", "train.max_seq_length=100"];
    let said = bench.run(&[&["inspect", "recipe.toml", "--limit", "3"], &short[..]].concat()).done();
    assert!(said.out.contains("dropped to fit") && said.out.contains("shortened by"), "{}", said.out);
}

#[test]
fn inspect_marks_every_token_where_all_are_supervised() {
    let bench = Workbench::new();
    let all = ["--set", "train.completion_only_loss=false"];
    let said = bench.run(&[&["inspect", "recipe.toml", "--limit", "1"], &all[..]].concat()).done();
    assert!(said.out.contains("\n<|im_start|>["), "{}", said.out);
}

#[test]
fn a_tokenizer_needs_room_and_a_text() {
    let bench = Workbench::new();
    let small = bench.run(&["tokenizer", "--vocab-size", "100", "--output", "t", "recipe.toml"]);
    assert_eq!(small.code, 2);
    assert!(small.err.contains("--vocab-size 100: too small"), "{}", small.err);
    let missing = bench.run(&["tokenizer", "--vocab-size", "300", "--output", "t", "nowhere.txt"]);
    assert_eq!(missing.code, 3);
    assert!(!bench.path("t").exists());
}

#[test]
fn bench_measures_steps() {
    let bench = Workbench::new();
    let base = material().join("base").display().to_string();
    let args = ["--tokens", "16,24", "--steps", "3", "--warmup", "1", "--r", "4", "--json"];
    let args = [&args[..], &["--set", "model.device=cpu", "--peak-tflops", "2"]].concat();
    let said = bench.run(&[&["bench", &base, "--generate", "3"][..], &args].concat()).done();
    let result: Value = serde_json::from_str(&said.out).unwrap();
    let runs = result["runs"].as_array().unwrap();
    assert_eq!(runs.iter().map(|run| run["tokens"].as_u64().unwrap()).collect::<Vec<_>>(), [16, 24]);
    for run in runs {
        let [speed, tflops] = ["tokens_per_second", "tflops"].map(|key| run[key].as_f64().unwrap());
        assert!(speed > 0.0 && tflops > 0.0);
        assert!((run["share_of_peak"].as_f64().unwrap() * 2.0 - tflops).abs() < 1e-9);
        assert!(run.get("device_mib").is_none() && run.get("kernels").is_none());
        let generation = &run["generation"];
        assert_eq!(generation["prompts"], 3);
        for key in ["prompt_tokens_per_second", "tokens_per_second"] {
            assert!(generation[key].as_f64().unwrap() > 0.0, "{key}");
        }
    }
    let many = bench.run(&[&["bench", &base, "--generate", "4000"][..], &args].concat());
    assert_eq!(many.code, 2);
    assert!(many.err.contains("--generate 4000 needs 4088 tokens"), "{}", many.err);
    let config = material().join("base/config.json").display().to_string();
    let random = bench.run(&[&["bench", "--random", &config][..], &args].concat()).done();
    let random: Value = serde_json::from_str(&random.out).unwrap();
    assert_eq!(random["runs"].as_array().unwrap().len(), 2);
    assert!(random["runs"][0].get("generation").is_none());
    let file = bench.path("gradients.safetensors");
    let more = ["--gradients", file.to_str().unwrap(), "--products", "8x8x8"];
    let masked = bench.run(&[&["bench", &base][..], &args, &more].concat());
    assert_eq!(masked.code, 2);
    assert!(masked.err.contains("--set lora.lora_dropout=0"), "{}", masked.err);
    let more = [&more[..], &["--set", "lora.lora_dropout=0"]].concat();
    let said = bench.run(&[&["bench", &base][..], &args, &more].concat()).done();
    let said: Value = serde_json::from_str(&said.out).unwrap();
    for products in ["products_tflops", "burn_products_tflops"] {
        assert!(said[products]["8x8x8"].as_f64().unwrap() > 0.0);
    }
    let written = SafetensorsFile::open(&file).unwrap();
    assert!(written.names().any(|name| name.ends_with("q_proj.lora_B.weight.grad")));
    let profile = bench.run(&[&["bench", &base, "--profile"][..], &args].concat());
    assert_eq!(profile.code, 2);
    assert!(profile.err.contains("--profile counts kernels of a GPU"), "{}", profile.err);
    assert!(result["device"].as_str().unwrap().starts_with("cpu ("));
    assert_eq!(result["r"], 4);
    #[cfg(target_os = "linux")]
    assert!(result["peak_rss_mib"].as_f64().unwrap() > 1.0);
}

#[test]
fn the_cpu_passes_its_self_test() {
    let said = Workbench::new().run(&["selftest", "--device", "cpu", "--json"]).done();
    let result: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(result["passed"], true);
    assert_eq!(result["comparisons"].as_array().unwrap().len(), 17);
}

#[test]
fn a_device_that_this_build_lacks_is_told_with_the_way_out() {
    for device in ["cuda", "wgpu:99"] {
        let said = Workbench::new().run(&["selftest", "--device", device]);
        assert_eq!(said.code, 3, "{device}: {}", said.err);
        assert!(said.err.contains("hint: "), "{device}: {}", said.err);
    }
    let unknown = Workbench::new().run(&["selftest", "--device", "tpu"]);
    assert_eq!(unknown.code, 2);
}

#[test]
fn quiet_leaves_results_alone() {
    let bench = Workbench::new();
    let said = bench.train("run", &["-q", "--set", "train.max_steps=4"]).done();
    assert!(
        said.err.lines().all(|line| line.starts_with("warning: valid: the model answers")),
        "{}",
        said.err
    );
    assert!(said.out.contains("weighted F1"), "{}", said.out);
}
