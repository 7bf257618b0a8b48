//! What a run has trained, exported and used again.

use std::collections::BTreeMap;

use emotrain_model::{FloatType, NamedTensor, SafetensorsFile, TensorSpec, write_safetensors};
use expect_test::expect;
use serde_json::Value;

use crate::workbench::{Said, Workbench, material, refused};

/// A workbench with a run of some steps.
fn trained() -> Workbench {
    let bench = Workbench::new();
    bench.train("run", &["--set", "eval.test=true", "--set", "eval.baseline=false"]).done();
    bench
}

fn export(bench: &Workbench, source: &str, out: &str, more: &[&str]) -> Said {
    bench.run(&[&["export", source, "--out", out], more].concat())
}

/// The log-likelihoods of all labels that predictions of the test file have.
fn scores(bench: &Workbench, trained: &[&str]) -> Vec<f64> {
    let args = [&["eval", "recipe.toml", "--split", "test", "--output", "scores.jsonl"], trained].concat();
    bench.run(&args).done();
    let lines = bench.read("scores.jsonl");
    let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["scores"].clone();
    let scores = lines.lines().map(line);
    scores.flat_map(|scores| scores.as_object().unwrap().clone()).map(|(_, x)| x.as_f64().unwrap()).collect()
}

#[test]
fn exports_answer_as_the_run_does() {
    let bench = trained();
    let both = ["--format", "peft,merged", "--for", "vllm,tgi,sglang"];
    export(&bench, "run", "exported", &both).done();
    let expected = scores(&bench, &["--run", "run"]);
    assert_eq!(scores(&bench, &["--adapter", "exported/peft"]), expected);
    let merged = scores(&bench, &["--adapter", "exported/merged"]);
    let furthest = merged.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(furthest < 1e-3, "{furthest}");
    for folder in ["exported/peft", "exported/merged"] {
        let contracts = [folder, "run/adapter"].map(|at| bench.read(&format!("{at}/prompt_contract.json")));
        assert_eq!(contracts[0], contracts[1]);
        let card = bench.read(&format!("{folder}/README.md"));
        let report = bench.json("run/report.json");
        let f1 = report["after"][0]["report"]["scores"]["weighted_f1"].as_f64().unwrap();
        let sha = bench.json("run/run.json")["data"]["train"]["sha256"].as_str().unwrap().to_owned();
        for part in [&format!("{:.2}", 100.0 * f1), &sha, "## Recipe", "## Limits", "license"] {
            assert!(card.contains(part), "{part} is not in\n{card}");
        }
        let guide = bench.read(&format!("{folder}/serve.md"));
        assert!(guide.contains("vllm serve") && guide.contains("hf upload") && !guide.contains("## PEFT"));
        assert!(guide.contains("emotrain verify --endpoint") && guide.contains("\"enable_thinking\": false"));
    }
    assert!(
        bench.read("exported/peft/serve.md").contains("--max-lora-rank 8"),
        "the next rank that vLLM takes"
    );
    assert!(bench.path("exported/merged/tokenizer.json").is_file());
}

#[test]
fn a_gguf_model_answers_as_the_run_does() {
    let bench = trained();
    let options = ["--format", "gguf,gguf-lora", "--gguf-type", "f32", "--for", "llama.cpp,ollama"];
    export(&bench, "run", "exported", &options).done();
    let expected = scores(&bench, &["--run", "run"]);
    let model = "model.model_name_or_path=exported/gguf/model.gguf";
    let ours = scores(&bench, &["--set", model]);
    let furthest = ours.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(furthest < 1e-3, "{furthest}");
    let modelfile = bench.read("exported/gguf/Modelfile");
    let lines = [
        "FROM ./model.gguf\nTEMPLATE \"\"\"{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}",
        "<|im_start|>user\n{{ .Prompt }}<|im_end|>\n<|im_start|>assistant\n\"\"\"\nPARAMETER stop \"<|im_end|>\"\n",
    ];
    assert!(modelfile.starts_with(&lines.concat()), "{modelfile}");
    assert!(
        bench.read("exported/gguf-lora/Modelfile").contains("FROM BASE\nADAPTER ./adapter.gguf\nTEMPLATE")
    );
    assert!(bench.read("exported/gguf-lora/serve.md").contains("--lora adapter.gguf"));
    assert!(fs_err::read(bench.path("exported/gguf-lora/adapter.gguf")).unwrap().starts_with(b"GGUF"));
    let said = export(&bench, "run", "other", &["--format", "peft", "--for", "ollama"]);
    assert!(
        said.code == 2 && said.err.contains("--for ollama") && said.err.contains("add gguf to --format"),
        "{}",
        said.err
    );
}

#[test]
fn no_file_names_a_folder_of_this_machine_but_that_of_the_base() {
    let bench = trained();
    export(&bench, "run", "exported", &["--format", "peft,merged,gguf,gguf-lora", "--for", "peft,ollama"])
        .done();
    let base = material().join("base").display().to_string();
    let mut of_base = Vec::new();
    for format in ["peft", "merged", "gguf", "gguf-lora"] {
        for entry in fs_err::read_dir(bench.path("exported").join(format)).unwrap() {
            let path = entry.unwrap().path();
            let text = String::from_utf8_lossy(&fs_err::read(&path).unwrap()).into_owned();
            if text.contains(&base) {
                of_base.push(path.strip_prefix(bench.path("exported")).unwrap().display().to_string());
            }
            let folders = std::env::temp_dir().display().to_string();
            assert!(!text.replace(&base, "BASE").contains(&folders), "{}: {text}", path.display());
        }
    }
    of_base.sort();
    // PEFT loads the base from there, and so does a server.
    assert_eq!(of_base, ["peft/adapter_config.json", "peft/serve.md"]);
    // A folder of several exports is none.
    let said = bench.run(&["verify", "exported", "--run", "run"]);
    expect![[r"
        error: exported: holds neither adapter_config.json, config.json, adapter.gguf nor model.gguf
          hint: name one of the folders in it: exported/gguf, exported/gguf-lora, exported/merged, exported/peft
    "]]
    .assert_eq(&said.err);
}

#[test]
fn a_step_and_another_type_can_be_exported() {
    let bench = trained();
    export(&bench, "run/step-000008", "step", &["--format", "peft"]).done();
    assert!(!bench.read("step/README.md").contains("## Scores"), "they are not those of the step");
    // What others have put beside a recipe is not of its run.
    export(&bench, "run", "run/beside", &["--format", "peft"]).done();
    export(&bench, "run/beside", "plain", &["--format", "peft"]).done();
    assert!(!bench.read("plain/README.md").contains("## Recipe"));
    export(&bench, "run/adapter", "half", &["--format", "merged", "--dtype", "bfloat16"]).done();
    assert_eq!(bench.json("half/config.json")["torch_dtype"], "bfloat16");
    let full = ["--format", "merged", "--max-shard-size", "40KB"];
    export(&bench, "half", "again", &full).done();
    assert!(bench.path("again/model.safetensors.index.json").is_file());
    assert_eq!(scores(&bench, &["--adapter", "again"]), scores(&bench, &["--adapter", "half"]));
}

/// llama.cpp takes a scale of 0 for one of 1, and holds numbers of 32 bits.
#[test]
fn a_scale_that_llama_cpp_does_not_take_is_refused_before_anything_is_written() {
    let bench = trained();
    export(&bench, "run", "plain", &["--format", "peft"]).done();
    let (config, weights) = (bench.json("plain/adapter_config.json"), "adapter_model.safetensors");
    for (name, alpha) in [("zero", 0.0), ("below", -16.0), ("huge", 1e300)] {
        let mut config = config.clone();
        config["lora_alpha"] = alpha.into();
        fs_err::create_dir(bench.path(name)).unwrap();
        bench.write(&format!("{name}/adapter_config.json"), &config.to_string());
        fs_err::copy(bench.path("plain").join(weights), bench.path(name).join(weights)).unwrap();
        let said = export(&bench, name, "out", &["--format", "gguf-lora"]);
        refused(&said, 3, &[&format!("{name}: adapter_config.json: lora_alpha"), "hint:"]);
        assert!(!bench.path("out").exists() && !said.err.contains(".building"), "{}", said.err);
    }
}

/// Adapters with magnitudes, which few programs load, and those that began with a part of the weight, which all do.
#[test]
fn other_kinds_of_adapters_answer_as_their_run_does() {
    let bench = trained();
    for (name, set) in [("dora", "lora.use_dora=true"), ("pissa", "lora.init_lora_weights=pissa_niter_4")] {
        let more = ["--set", set, "--set", "train.loraplus_lr_ratio=4", "--set", "eval.baseline=false"];
        bench.train(name, &more).done();
        let out = format!("exported-{name}");
        export(&bench, name, &out, &["--format", "peft,merged"]).done();
        let expected = scores(&bench, &["--run", name]);
        assert_ne!(expected, scores(&bench, &["--run", "run"]), "{name}");
        assert_eq!(scores(&bench, &["--adapter", &format!("{out}/peft")]), expected, "{name}");
        let merged = scores(&bench, &["--adapter", &format!("{out}/merged")]);
        let furthest = merged.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(furthest < 1e-3, "{name}: {furthest}");
        let config = bench.json(&format!("{out}/peft/adapter_config.json"));
        assert_eq!(
            (config["use_dora"] == true, config["r"] == 8),
            (name == "dora", name == "pissa"),
            "{name}"
        );
        let guide = bench.read(&format!("{out}/peft/serve.md"));
        assert!(guide.contains("## PEFT") && guide.contains("vllm serve") == (name == "pissa"), "{guide}");
    }
    for more in [["--format", "gguf-lora"].as_slice(), &["--format", "peft", "--for", "vllm"]] {
        let said = export(&bench, "dora", "out", more);
        assert!(
            said.code == 2 && said.err.contains("DoRA") && said.err.contains("a whole model"),
            "{}",
            said.err
        );
    }
    export(&bench, "pissa", "gguf", &["--format", "gguf-lora"]).done();
}

/// A run that stops and goes on is, to the bit, the one that does not, with every kind of adapter.
#[test]
fn other_kinds_of_adapters_resume() {
    let bench = Workbench::new();
    for set in ["lora.use_dora=true", "lora.init_lora_weights=pissa", "lora.rank_pattern={ q_proj = 2 }"] {
        let name = set.split(['.', '=']).nth(1).unwrap();
        let saved = ["--set", set, "--set", "save.save_steps=2", "--set", "eval.baseline=false"];
        bench.train(name, &saved).done();
        let part = format!("{name}-part");
        bench.train(&part, &saved).done();
        let from = format!("save.resume_from_checkpoint={part}/step-000002");
        let steps = fs_err::read_dir(bench.path(&part)).unwrap();
        let steps: Vec<_> = steps.map(|entry| entry.unwrap().file_name()).collect();
        let said = bench.train(&part, &[&saved[..], &["--resume", "--set", &from]].concat());
        assert_eq!(said.code, 0, "{steps:?}: {}", said.err);
        let file = "adapter/adapter_model.safetensors";
        let [whole, resumed] =
            [name, &part].map(|run| fs_err::read(bench.path(&format!("{run}/{file}"))).unwrap());
        assert!(whole == resumed, "{name}");
    }
}

/// Source, output folder, options; exit code and parts of the message.
type Refusal = (&'static str, &'static str, &'static [&'static str], i32, &'static [&'static str]);

#[test]
fn what_cannot_be_exported_is_an_error_and_nothing_is_written() {
    let bench = trained();
    export(&bench, "run", "model", &["--format", "merged"]).done();
    fs_err::create_dir(bench.path("taken")).unwrap();
    bench.write("taken/file", "mine");
    fs_err::create_dir(bench.path("elsewhere")).unwrap();
    bench.write("elsewhere/adapter_config.json", &bench.read("run/adapter/adapter_config.json"));
    // An adapter of one layer only, which TGI would leave out everywhere.
    let (config, layer) = ("one/adapter_config.json", "model.layers.1.self_attn.q_proj");
    bench
        .train("some", &["--set", "lora.target_modules=[\"q_proj\"]", "--set", "eval.baseline=false"])
        .done();
    export(&bench, "some", "one", &["--format", "peft"]).done();
    bench.write(config, &bench.read(config).replace("\"q_proj\"", &format!("{layer:?}")));
    let tensors = bench.path("one/adapter_model.safetensors");
    let file = SafetensorsFile::open(&tensors).unwrap();
    let tensor = |name: &str| {
        let (shape, values) = file.tensor(name).unwrap();
        let spec = TensorSpec { name: name.to_owned(), shape, dtype: FloatType::F32 };
        NamedTensor { spec, values }
    };
    let kept: Vec<NamedTensor> = file.names().filter(|name| name.contains(layer)).map(tensor).collect();
    write_safetensors(&tensors, &kept, &BTreeMap::new()).unwrap();
    fs_err::remove_file(bench.path("one/manifest.json")).unwrap();
    let cases: [Refusal; 8] = [
        (
            "one",
            "out",
            &["--format", "peft", "--for", "tgi"],
            2,
            &["q_proj", "some layers only", "--format merged"],
        ),
        ("run", "taken", &["--format", "peft"], 2, &["taken: is already there"]),
        ("nowhere", "out", &["--format", "peft"], 3, &["nowhere: no such folder"]),
        ("model", "out", &["--format", "peft"], 2, &["a whole model", "--format merged"]),
        ("model", "out", &["--format", "merged", "--base", "run"], 2, &["--base", "has no base"]),
        ("run", "out", &["--format", "merged", "--max-shard-size", "many"], 2, &["--max-shard-size", "5GB"]),
        ("elsewhere", "out", &["--format", "peft"], 3, &["adapter_model.safetensors"]),
        ("run/adapter", "out", &["--format", "merged", "--base", "gone"], 3, &["gone"]),
    ];
    for (source, out, more, code, parts) in cases {
        let said = export(&bench, source, out, more);
        assert_eq!(said.code, code, "{source} {more:?}: {}", said.err);
        for part in parts {
            assert!(said.err.contains(part), "{part} is not in\n{}", said.err);
        }
    }
    assert!(!bench.path("out").exists());
    assert_eq!(bench.read("taken/file"), "mine");
}
