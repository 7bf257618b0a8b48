//! Base models and adapters as they lie about: notes of other tools in their files, older files, files that are not there
//! themselves; what is kept of them, and adapters as a start.

use std::path::Path;

use serde_json::{Value, json};

use crate::workbench::{Workbench, config, material};

/// A copy of the base model in the bench's own folder, named `base`.
fn own_base(bench: &Workbench) {
    fs_err::create_dir(bench.path("base")).unwrap();
    for entry in fs_err::read_dir(material().join("base")).unwrap() {
        let path = entry.unwrap().path();
        fs_err::copy(&path, bench.path("base").join(path.file_name().unwrap())).unwrap();
    }
}

const BASE: [&str; 2] = ["--set", "model.model_name_or_path=./base"];

fn patched(mut base: Value, patch: &Value) -> String {
    let object = base.as_object_mut().unwrap();
    object.extend(patch.as_object().unwrap().clone());
    base.to_string()
}

#[test]
fn a_key_that_nobody_knows_is_a_warning() {
    let bench = Workbench::new();
    own_base(&bench);
    bench.write("base/config.json", &patched(config(), &json!({"unk_token_id": 3, "trained_by": "me"})));
    let said = bench.run(&[&["recipe.toml", "--dry-run"][..], &BASE].concat()).done();
    for part in
        ["config.json: unk_token_id: 3 is left aside", "config.json: trained_by: \"me\" is left aside"]
    {
        assert_eq!(said.err.matches(part).count(), 1, "{}", said.err);
    }
    bench.write("base/config.json", &patched(config(), &json!({"final_logit_softcapping": 30.0})));
    let said = bench.run(&[&["recipe.toml", "--dry-run"][..], &BASE].concat());
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("final_logit_softcapping: 30.0 is not supported"), "{}", said.err);
}

#[test]
fn a_pointer_of_git_lfs_is_named_wherever_it_lies() {
    let pointer =
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 9\n", "c".repeat(64));
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        let bench = Workbench::new();
        own_base(&bench);
        bench.write(&format!("base/{file}"), &pointer);
        let said = bench.run(&[&["recipe.toml", "--dry-run"][..], &BASE].concat());
        assert_eq!(said.code, 3, "{file}: {}", said.err);
        assert_eq!(said.err.matches("is a Git LFS pointer").count(), 1, "{file}: {}", said.err);
        assert!(
            said.err.contains(&format!("base/{file}: ")) && said.err.contains("git lfs pull"),
            "{}",
            said.err
        );
    }
    let bench = Workbench::new();
    bench.write("train.jsonl", &pointer);
    bench.write("model.gguf", &pointer);
    let said = bench.run(&["recipe.toml", "--dry-run", "--set", "data.train=train.jsonl"]);
    assert!(said.code == 3 && said.err.contains("train.jsonl: is a Git LFS pointer"), "{}", said.err);
    let said = bench.run(&["recipe.toml", "--dry-run", "--set", "model.model_name_or_path=./model.gguf"]);
    assert_eq!((said.code, said.err.matches("is a Git LFS pointer").count()), (3, 1), "{}", said.err);
}

#[test]
fn pickled_weights_and_links_that_lead_nowhere_are_named() {
    let bench = Workbench::new();
    own_base(&bench);
    fs_err::rename(bench.path("base/model.safetensors"), bench.path("base/pytorch_model.bin")).unwrap();
    let said = bench.run(&[&["recipe.toml", "--dry-run"][..], &BASE].concat());
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("pytorch_model.bin: holds pickled tensors"), "{}", said.err);
    assert!(said.err.contains("save_pretrained writes safetensors"), "{}", said.err);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../blobs/0123", bench.path("base/model.safetensors")).unwrap();
        let said = bench.run(&[&["recipe.toml", "--dry-run"][..], &BASE].concat());
        assert_eq!(said.code, 3, "{}", said.err);
        assert!(
            said.err.contains("model.safetensors: is a link to ../blobs/0123, which does not exist"),
            "{}",
            said.err
        );
    }
}

#[test]
fn a_trained_model_keeps_what_its_base_says_of_tokens() {
    let bench = Workbench::new();
    own_base(&bench);
    let ids = json!({"bos_token_id": 1, "eos_token_id": [2, 0], "pad_token_id": 0});
    bench.write("base/config.json", &patched(config(), &ids));
    bench.write("base/generation_config.json", "{\"eos_token_id\": [2, 0], \"temperature\": 0.5}");
    bench.write("base/special_tokens_map.json", "{\"eos_token\": \"<|im_end|>\"}");
    let full = ["--set", "train.method=full", "--set", "eval.baseline=false"];
    for init in ["pretrained", "random"] {
        let set = format!("model.init={init}");
        bench.train(init, &[&BASE[..], &full, &["--set", &set]].concat()).done();
        let written = bench.json(&format!("{init}/model/config.json"));
        for key in ["bos_token_id", "eos_token_id", "pad_token_id"] {
            assert_eq!(written[key], ids[key], "{init}: {key}");
        }
        for file in ["generation_config.json", "special_tokens_map.json"] {
            assert_eq!(
                bench.read(&format!("{init}/model/{file}")),
                bench.read(&format!("base/{file}")),
                "{init}"
            );
        }
    }
}

/// The values of the first tensor of an adapter whose name holds `part`.
fn values(adapter: &Path, part: &str) -> Vec<f32> {
    let file = emotrain_model::SafetensorsFile::open(&adapter.join("adapter_model.safetensors")).unwrap();
    let name = file.names().find(|name| name.contains(part)).unwrap().to_owned();
    file.tensor(&name).unwrap().1
}

#[test]
fn training_starts_from_an_adapter_that_is_there() {
    let bench = Workbench::new();
    let few = ["--set", "eval.baseline=false", "--set", "train.max_steps=2", "--set", "eval.eval_steps=2"];
    bench.train("first", &few).done();
    let from = ["--set", "lora.init_from=first/adapter"];
    // Steps so small that they change nothing: what is saved is the start.
    let still = ["--set", "train.learning_rate=1e-30"];
    let said = bench.train("second", &[&few[..], &from, &still].concat()).done();
    assert!(said.err.contains("starts from") && said.err.contains("r = 4, lora_alpha = 8"), "{}", said.err);
    assert!(!said.err.contains("lora_dropout"), "{}", said.err);
    let other = ["--set", "lora.lora_dropout=0.25", "--dry-run"];
    let said = bench.train("other", &[&few[..], &from, &other].concat()).done();
    let line = "the adapter of lora.init_from had lora_dropout = 0.05; this training has 0.25\n";
    assert!(said.err.contains(line), "{}", said.err);
    let [first, second] = ["first", "second"].map(|run| bench.path(run).join("adapter"));
    assert_eq!(values(&first, "lora_B"), values(&second, "lora_B"));
    assert!(values(&second, "lora_B").iter().any(|value| *value != 0.0));
    let recorded = &bench.json("second/run.json")["init_from"];
    for (key, file) in [("sha256", "adapter_model.safetensors"), ("config_sha256", "adapter_config.json")] {
        let hash = emotrain_data::sha256_file(&first.join(file)).unwrap();
        assert_eq!(recorded[key], json!(hash));
    }
    // A run from it goes on after a stop as any other.
    bench.train("third", &[&few[..], &from].concat()).done();
    assert_ne!(values(&first, "lora_B"), values(&bench.path("third/adapter"), "lora_B"));

    for (key, value) in
        [("r", "5"), ("lora_alpha", "3"), ("use_rslora", "true"), ("target_modules", "[\"q_proj\"]")]
    {
        let set = format!("lora.{key}={value}");
        let said = bench.train("other", &[&few[..], &from, &["--set", &set]].concat());
        assert_eq!(said.code, 2, "{}", said.err);
        assert!(
            said.err.contains(&format!("lora.{key} = ")) && said.err.contains("lora.init_from has"),
            "{}",
            said.err
        );
    }
    let said = bench.run(&["check", "recipe.toml", "--set", "lora.layers_to_transform=[99]"]);
    assert!(said.code != 0 && said.err.contains("layers_to_transform"), "{}{}", said.out, said.err);
    let said = bench.train("other", &["--dry-run", "--set", "lora.init_from=nowhere"]);
    assert!(said.err.contains("no such folder"), "{}", said.err);
    assert!(said.code != 0 && said.err.contains("nowhere"), "{}", said.err);
    let said = bench.train("other", &[&from[..], &["--set", "train.method=full"]].concat());
    assert!(said.code == 2 && said.err.contains("init_from = \"\" under [lora]"), "{}", said.err);
}

#[test]
fn a_gguf_file_is_a_base_like_a_folder() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/gguf");
    for family in ["llama", "qwen2", "qwen3"] {
        let file = format!("{golden}/{family}.gguf");
        let args = ["--tokens", "8", "--steps", "1", "--warmup", "0", "--r", "2", "--json"];
        let said = Workbench::new().run(&[&["bench", &file][..], &args].concat()).done();
        let result: Value = serde_json::from_str(&said.out).unwrap();
        assert!(result["runs"][0]["tokens_per_second"].as_f64().unwrap() > 0.0, "{family}");
    }
}
