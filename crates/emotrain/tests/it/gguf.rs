//! Exports for llama.cpp, used and verified like those in other forms.

use emotrain_model::{CausalLm, FloatType, ModelConfig, device};
use emotrain_recipe::{DeviceChoice, Dtype};
use serde_json::Value;

use crate::workbench::{Said, Workbench, config, material};

const ADAPTER: &str = "exported/gguf-lora/adapter.gguf";

/// A workbench with a run of some steps, exported for llama.cpp and for PEFT.
fn exported(more: &[&str]) -> Workbench {
    let bench = Workbench::new();
    bench.train("run", &[&["--set", "eval.baseline=false"], more].concat()).done();
    let options = ["--format", "peft,gguf,gguf-lora", "--gguf-type", "f32", "--out", "exported"];
    bench.run(&[&["export", "run"], &options[..]].concat()).done();
    bench
}

fn verify(bench: &Workbench, place: &str, more: &[&str]) -> Said {
    bench.run(&[&["verify", place, "--run", "run", "--json"], more].concat())
}

fn answers(said: &Said) -> Value {
    serde_json::from_str::<Value>(&said.out).unwrap()["answers"].clone()
}

/// The labels of the test file with all their scores.
fn predicted(bench: &Workbench, adapter: &str) -> String {
    let input = material().join("test.jsonl");
    let input = input.to_str().unwrap();
    bench.run(&["predict", "recipe.toml", "--adapter", adapter, "--input", input]).done().out
}

fn scored(bench: &Workbench, adapter: &str) -> String {
    let args = ["eval", "recipe.toml", "--adapter", adapter, "--split", "test", "--output", "scores.jsonl"];
    bench.run(&args).done();
    bench.read("scores.jsonl")
}

#[test]
fn an_adapter_in_a_gguf_file_is_used_like_one_of_peft() {
    let bench = exported(&[]);
    let expected = [scored(&bench, "exported/peft"), predicted(&bench, "exported/peft")];
    for place in ["exported/gguf-lora", ADAPTER] {
        assert_eq!([scored(&bench, place), predicted(&bench, place)], expected, "{place}");
    }
    // A whole model is computed in another order.
    let labels = |lines: &str| {
        let label = |line: &str| serde_json::from_str::<Value>(line).unwrap()["label"].clone();
        lines.lines().map(label).collect::<Vec<Value>>()
    };
    for place in ["exported/gguf", "exported/gguf/model.gguf"] {
        assert_eq!(labels(&predicted(&bench, place)), labels(&expected[1]), "{place}");
    }
    let base = material().join("base");
    let back =
        ["export", "exported/gguf-lora", "--base", base.to_str().unwrap(), "--format", "peft", "--out"];
    bench.run(&[&back[..], &["back"]].concat()).done();
    assert_eq!(predicted(&bench, "back"), expected[1]);
    let nameless = bench.run(&["export", ADAPTER, "--format", "peft", "--out", "nameless"]);
    assert_eq!(nameless.code, 3, "{}", nameless.err);
    assert!(nameless.err.contains("adapter.gguf: names no base model"), "{}", nameless.err);
}

#[test]
fn exports_for_llama_cpp_are_verified() {
    let bench = exported(&[]);
    for place in ["exported/gguf", "exported/gguf-lora", "exported/gguf/model.gguf", ADAPTER] {
        let said = verify(&bench, place, &[]).done();
        let whole: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(whole["prompt_contract"]["state"], "equal", "{place}");
        assert_eq!(whole["answers"]["to_run"]["same_labels"], 12, "{place}");
        assert_eq!(whole["answers"]["limits"]["tolerance"], 1e-3, "{place}");
    }
    let eight = ["--format", "gguf", "--gguf-type", "q8_0", "--out", "eight"];
    bench.run(&[&["export", "run"], &eight[..]].concat()).done();
    let stored = answers(&verify(&bench, "eight", &[]).done());
    let loaded = answers(&verify(&bench, "exported/gguf", &["--dtype", "q8_0"]).done());
    assert_eq!(stored, loaded, "rounding while loading is that of the export");
    assert_eq!(stored["limits"]["tolerance"], 0.4);
    let adapter = answers(&verify(&bench, "exported/gguf-lora", &["--dtype", "q8_0"]).done());
    assert!(adapter["to_run"]["largest"].as_f64() > Some(1e-4), "the base was rounded: {adapter}");
}

/// The tiny model with rows that are long enough for blocks of 256.
fn widen(bench: &Workbench) {
    let base = material().join("base");
    fs_err::create_dir(bench.path("wide")).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        fs_err::copy(base.join(name), bench.path("wide").join(name)).unwrap();
    }
    let mut config = config();
    for (key, size) in [("hidden_size", 256), ("intermediate_size", 256), ("head_dim", 64)] {
        config[key] = size.into();
    }
    config["initializer_range"] = 0.06.into();
    let config = ModelConfig::from_json(&config.to_string(), &base.join("config.json")).unwrap();
    let on = device::open(&DeviceChoice::Cpu, Dtype::Float32).unwrap();
    let model = CausalLm::random(&config, &on.device, on.dtype, 3);
    model.save_model(&bench.path("wide"), FloatType::F32).unwrap();
}

#[test]
fn four_bits_are_told_from_the_base_and_judged_by_labels() {
    let bench = Workbench::new();
    widen(&bench);
    let wide = ["--set", "model.model_name_or_path=wide", "--set", "eval.baseline=false"];
    bench.train("run", &wide).done();
    for (source, out) in [("run", "four"), ("wide", "nothing")] {
        bench.run(&["export", source, "--format", "gguf", "--gguf-type", "q4_k", "--out", out]).done();
    }
    let four = answers(&verify(&bench, "four", &[]));
    assert_eq!((&four["limits"]["tolerance"], &four["limits"]["same_labels"]), (&6.4.into(), &0.9.into()));
    assert!(four["to_run"]["mean"].as_f64() < four["to_base"]["mean"].as_f64(), "{four}");
    assert_ne!(four["finding"], "as_base");
    let nothing = verify(&bench, "nothing", &[]);
    assert_eq!((nothing.code, &answers(&nothing)["finding"]), (3, &"as_base".into()), "{}", nothing.err);
}

/// Bytes of the adapter's file in the place of others, as another program leaves them: without a manifest.
fn damaged(bench: &Workbench, from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len(), "a header keeps its length");
    let mut bytes = fs_err::read(bench.path(ADAPTER)).unwrap();
    let place = bytes.windows(from.len()).position(|window| window == from).unwrap();
    bytes[place..place + to.len()].copy_from_slice(to);
    fs_err::write(bench.path("damaged.gguf"), bytes).unwrap();
}

#[test]
fn an_adapter_of_something_else_is_told_by_file_and_key() {
    let bench = exported(&[]);
    let cases: [(&[u8], &[u8], &[&str]); 5] = [
        (
            b"llama",
            b"qwen2",
            &["general.architecture: \"qwen2\"", "the base that the adapter was trained on"],
        ),
        (b"lora.alpha", b"lora.gamma", &["adapter.lora.alpha: missing"]),
        (b"0.attn_q.weight.lora_a", b"0.attn_x.weight.lora_a", &["is half of a pair", "blk.0.attn_"]),
        (
            b"blk.1.ffn_up.weight.lora_a",
            b"blk.1.ffn_up.weight.lora_c",
            &["blk.1.ffn_up.weight.lora_", "half"],
        ),
        (b"adapter.type", b"adapter.kind", &["adapter.type: missing"]),
    ];
    for (from, to, parts) in cases {
        damaged(&bench, from, to);
        let said = bench.run(&["eval", "recipe.toml", "--adapter", "damaged.gguf"]);
        assert_eq!(said.code, 3, "{}", said.err);
        for part in parts.iter().chain(&["damaged.gguf"]) {
            assert!(said.err.contains(part), "{part} is not in\n{}", said.err);
        }
    }
    let mut bytes = fs_err::read(bench.path(ADAPTER)).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs_err::write(bench.path("damaged.gguf"), bytes).unwrap();
    let said = verify(&bench, "damaged.gguf", &[]);
    assert!(said.code == 3 && said.err.contains("holds NaN"), "{}", said.err);
    let said = bench.run(&["eval", "recipe.toml", "--adapter", "recipe.toml"]);
    assert!(
        said.code == 3 && said.err.contains("recipe.toml: is a recipe, not what was trained"),
        "{}",
        said.err
    );
}
