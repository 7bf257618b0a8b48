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

/// Texts for those dialogues: interpretations by utterance, characteristics by speaker.
fn knowledge(dialogues: &str) -> [String; 2] {
    let dialogues: Map<String, Value> = serde_json::from_str(dialogues).unwrap();
    let lists = |text: &dyn Fn(&Value, usize) -> Value| {
        let list = |dialogue: &Value| {
            let speakers = dialogue["speakers"].as_array().unwrap();
            speakers.iter().enumerate().map(|(at, speaker)| text(speaker, at)).collect::<Value>()
        };
        let rows = dialogues.iter().map(|(id, dialogue)| (id.clone(), list(dialogue)));
        Value::Object(rows.collect()).to_string()
    };
    let interpretation = |_: &Value, at: usize| json!({ "explicit": format!("Sounds like number {at}."), "implicit": format!("Feels like number {at}.") });
    let characteristic =
        |speaker: &Value, _: usize| json!(format!("{} is patient.", speaker.as_str().unwrap()));
    [lists(&interpretation), lists(&characteristic)]
}

/// A folder with the models' tokenizers, data and knowledge of our own, and what makes a recipe use them.
struct Paper {
    bench: Workbench,
    set: Vec<String>,
}

impl Paper {
    fn new(labels: i64) -> Self {
        let bench = Workbench::new();
        let qwen = |more: Value| {
            let mut config = json!({
                "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 1_000_000.0,
                "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_sliding_window": false,
                "attention_dropout": 0.0,
            });
            config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            config
        };
        let qwen3 = qwen(json!({
            "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": 151_936,
            "hidden_size": 4096, "intermediate_size": 12_288, "num_hidden_layers": 36,
            "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
            "max_position_embeddings": 40_960, "attention_bias": false,
        }));
        let qwen25 = qwen(json!({
            "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": 152_064,
            "hidden_size": 3584, "intermediate_size": 18_944, "num_hidden_layers": 28,
            "num_attention_heads": 28, "num_key_value_heads": 4, "max_position_embeddings": 32_768,
        }));
        cache(&bench, "Qwen/Qwen3-8B", "qwen3-tokenizer", &qwen3);
        cache(&bench, "Qwen/Qwen2.5-7B-Instruct", "qwen2.5-tokenizer", &qwen25);
        let mut set =
            vec![format!("retrieval.bank={}/../../retrieval_bank/starter", env!("CARGO_MANIFEST_DIR"))];
        for split in ["train", "valid", "test"] {
            let dialogues = dialogues(split, labels);
            let [interpretations, characteristics] = knowledge(&dialogues);
            bench.write(&format!("{split}.json"), &dialogues);
            bench.write(&format!("interpretations.{split}.json"), &interpretations);
            bench.write(&format!("characteristics.{split}.json"), &characteristics);
            set.push(format!("data.{split}={split}.json"));
        }
        set.extend(
            ["model.device=cpu", "model.dtype=float32", "retrieval.encoder=lexical"].map(str::to_owned),
        );
        for (source, file) in [
            ("explicit", "interpretations"),
            ("implicit", "interpretations"),
            ("characteristic", "characteristics"),
        ] {
            set.push(format!("knowledge.{source}.path={file}.{{split}}.json"));
        }
        Self { bench, set }
    }

    /// What a command says of a recipe with this data.
    fn run(&self, command: &[&str], recipe: &str, more: &[&str]) -> String {
        let recipe =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes").join(recipe).display().to_string();
        let set = self.set.iter().flat_map(|set| ["--set", set]);
        let args: Vec<&str> =
            command.iter().copied().chain([recipe.as_str()]).chain(more.iter().copied()).chain(set).collect();
        self.bench.run(&args).done().out
    }
}

fn check(recipe: &str, labels: i64, trained: &str) {
    let said = Paper::new(labels).run(&[], recipe, &["--dry-run"]);
    for part in [
        "curriculum  prc_emo",
        "epoch 1     phase 1",
        "(100.0 %)",
        trained,
        "demonstrations shown",
        "explicit (offline): 42 of 42 utterances",
        "characteristic (offline): 24 of 24 speakers of dialogues",
    ] {
        assert!(said.contains(part), "{part} is not in\n{said}");
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

/// The rows of the paper's ablations: the slots that each lacks, and whether it has the curriculum.
const ROWS: [(&str, &[&str], bool); 7] = [
    ("full", &[], true),
    ("without_c", &[], false),
    ("without_rc", &["demonstrations"], false),
    ("without_prc", &["demonstrations", "note", "explicit", "implicit", "characteristic"], false),
    ("without_r", &["demonstrations"], true),
    ("without_ir", &["demonstrations", "note", "explicit", "implicit"], true),
    ("without_sir", &["demonstrations", "note", "explicit", "implicit", "characteristic"], true),
];

/// Where a slot shows in the prompt of the utterance that is looked at.
const MARKS: [(&str, &str); 8] = [
    ("instruction", "You are an attentive reader"),
    ("note", "An emotion may be explicit or implicit."),
    ("history", "What was said before:\nAda: Sentence 0 of valid3"),
    ("characteristic", "What Ben is like: Ben is patient."),
    ("explicit", "(explicit): Sounds like number 1."),
    ("implicit", "(implicit): Feels like number 1."),
    ("demonstrations", "Similar utterances from elsewhere"),
    ("label_statement", "The possible emotions are: neutral, surprise"),
];

#[test]
fn each_row_of_the_ablations_differs_from_the_whole_in_what_its_name_says() {
    let paper = Paper::new(7);
    let load = |row: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../recipes/ablations/{row}.toml"));
        emotrain_recipe::load(&path, &[]).unwrap()
    };
    let whole = load("full");
    for (row, lacks, has_curriculum) in ROWS {
        let recipe = load(row);
        let mut same = recipe.clone();
        same.prompt.slots = whole.prompt.slots.clone();
        same.train.output_dir.clone_from(&whole.train.output_dir);
        if !has_curriculum {
            assert_ne!(same.curriculum, whole.curriculum, "{row}");
            same.curriculum = whole.curriculum.clone();
        }
        assert_eq!(same, whole, "{row}");
        let file = format!("ablations/{row}.toml");
        let said = paper.run(&["inspect"], &file, &["--split", "valid", "--id", "Ses01F_valid03#1"]);
        for (slot, mark) in MARKS {
            assert_eq!(said.contains(mark), !lacks.contains(&slot), "{row}: {slot}\n{said}");
            assert_eq!(recipe.prompt.slots.has(slot), !lacks.contains(&slot), "{row}: {slot}");
        }
        let said = paper.run(&[], &file, &["--dry-run"]);
        let curriculum = if has_curriculum { "curriculum  prc_emo" } else { "curriculum  none" };
        assert!(said.contains(curriculum), "{row}\n{said}");
        assert_eq!(
            said.contains("demonstrations shown"),
            !lacks.contains(&"demonstrations"),
            "{row}\n{said}"
        );
    }
}
