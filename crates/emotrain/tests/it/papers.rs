//! The recipes with the paper's figures are checked to the last token before any weight is fetched.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::workbench::Workbench;

fn models() -> PathBuf {
    std::env::var_os("EMOTRAIN_TEST_MODELS").map_or_else(
        || Path::new(&std::env::var_os("HOME").unwrap()).join(".cache/emotrain-test-models"),
        PathBuf::from,
    )
}

/// Puts a model's configuration and tokenizer, without weights, in the cache of a hub.
fn cache(bench: &Workbench, name: &str, tokenizer: &str, config: &Value) {
    let repo = bench.path("no-cache/hub").join(format!("models--{}", name.replace('/', "--")));
    let snapshot = repo.join("snapshots/0123abcd");
    fs_err::create_dir_all(&snapshot).unwrap();
    fs_err::create_dir_all(repo.join("refs")).unwrap();
    fs_err::write(repo.join("refs/main"), "0123abcd").unwrap();
    fs_err::write(snapshot.join("config.json"), config.to_string()).unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        let from = models().join(tokenizer).join(file);
        fs_err::copy(from, snapshot.join(file)).expect("run tests/fixtures/fetch-models.sh first");
    }
}

/// Dialogues in the form of the PRC-Emo repository.
fn dialogues(prefix: &str, labels: i64) -> String {
    let dialogue = |number: i64| {
        let turns = 2 + number % 4;
        let each = |value: &dyn Fn(i64) -> Value| (0..turns).map(value).collect::<Vec<_>>();
        json!({
            "labels": each(&|turn| json!((number * 3 + turn) % labels)),
            "sentences": each(&|turn| json!(format!("Sentence {turn} of {prefix}{number}, spoken at length."))),
            "genders": each(&|turn| json!(["M", "F"][usize::from(turn % 2 == 1)])),
            "speakers": each(&|turn| json!(["Ada", "Ben"][usize::from(turn % 2 == 1)])),
        })
    };
    let rows = (0..12).map(|number| (format!("Ses01F_{prefix}{number:02}"), dialogue(number)));
    Value::Object(rows.collect::<Map<_, _>>()).to_string()
}

fn check(recipe: &str, labels: i64, trained: &str) {
    let bench = Workbench::new();
    let qwen = |more: Value| {
        let mut config = json!({
            "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 1_000_000.0, "tie_word_embeddings": false,
            "torch_dtype": "bfloat16", "use_sliding_window": false, "attention_dropout": 0.0,
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    };
    let qwen3 = qwen(json!({
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": 151_936, "hidden_size": 4096,
        "intermediate_size": 12_288, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8,
        "head_dim": 128, "max_position_embeddings": 40_960, "attention_bias": false,
    }));
    let qwen25 = qwen(json!({
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": 152_064, "hidden_size": 3584,
        "intermediate_size": 18_944, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
        "max_position_embeddings": 32_768,
    }));
    cache(&bench, "Qwen/Qwen3-8B", "qwen3-tokenizer", &qwen3);
    cache(&bench, "Qwen/Qwen2.5-7B-Instruct", "qwen2.5-tokenizer", &qwen25);
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes").join(recipe);
    let mut args = vec![recipe.display().to_string(), "--dry-run".to_owned()];
    for split in ["train", "valid", "test"] {
        bench.write(&format!("{split}.json"), &dialogues(split, labels));
        args.extend(["--set".to_owned(), format!("data.{split}={split}.json")]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let said = bench.run(&args).done();
    for part in ["curriculum  prc_emo", "epoch 1     phase 1", "(100.0 %)", trained] {
        assert!(said.out.contains(part), "{part} is not in\n{}", said.out);
    }
}

#[test]
fn meld_with_qwen3_8b() {
    check("prc_emo_meld_qwen3_8b.toml", 7, "87293952 trained");
}

#[test]
fn iemocap_with_qwen2_5_7b() {
    check("prc_emo_iemocap_qwen25_7b.toml", 6, "80740352 trained");
}
