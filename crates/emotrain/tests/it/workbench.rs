//! A folder with a tiny model, a tokenizer that the program has trained, and conversations.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use emotrain_model::{CausalLm, FloatType, ModelConfig, device};
use emotrain_recipe::{DeviceChoice, Dtype};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const LABELS: [&str; 3] = ["neutral", "joy", "anger"];

const SAID: [&str; 6] = [
    "The train is late again.",
    "We won, we really won!",
    "Do not touch my things!",
    "There is some bread left.",
    "What a wonderful day!",
    "Leave me alone, all of you!",
];

/// Shorter than the built-in prompt, so that a tiny model is quick.
const TEMPLATE: &str = "\
{% block system %}Labels: {{ label_list }}{% endblock %}
{% block user %}{% for turn in history %}{{ turn.speaker }}: {{ turn.text }}
{% endfor %}{{ speaker }}: {{ utterance }}{% endblock %}
";

/// What a command said and how it ended.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8 output");
        Self {
            code: output.status.code().expect("ended by itself"),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// The output of a command that must have succeeded.
    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.err);
        self
    }
}

/// The command ended with this code and said all of this.
#[track_caller]
pub(crate) fn refused(said: &Said, code: i32, parts: &[&str]) {
    assert_eq!(said.code, code, "{}\n{}", said.out, said.err);
    for part in parts {
        assert!(said.err.contains(part), "{part} is not in\n{}", said.err);
    }
}

/// The program, away from any real cache and network.
pub(crate) fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emotrain"));
    command.args(args).current_dir(folder).stdin(Stdio::null());
    command.env("HF_HUB_OFFLINE", "1").env("HF_HOME", folder.join("no-cache"));
    let ours = ["HF_HUB_CACHE", "HF_TOKEN", "HF_TOKEN_PATH", "HF_ENDPOINT", "HF_HUB_DOWNLOAD_TIMEOUT"];
    let others = ["TRANSFORMERS_OFFLINE", "NO_COLOR", "TERM"];
    let proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
    for variable in ours.into_iter().chain(others).chain(proxies) {
        command.env_remove(variable);
    }
    command
}

pub(crate) fn emotrain(folder: &Path, args: &[&str]) -> Said {
    Said::of(&command(folder, args).output().expect("the program starts"))
}

/// A folder of its own with `recipe.toml`; model and data are shared and never written to.
pub(crate) struct Workbench {
    folder: TempDir,
}

impl Workbench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("recipe.toml"), recipe(&material().join("base"))).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs_err::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs_err::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    pub(crate) fn run(&self, args: &[&str]) -> Said {
        emotrain(self.folder.path(), args)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        command(self.folder.path(), args)
    }

    /// Trains `recipe.toml` into a folder.
    pub(crate) fn train(&self, output: &str, more: &[&str]) -> Said {
        let output = format!("train.output_dir={output}");
        self.run(&[&["recipe.toml", "--set", &output], more].concat())
    }
}

/// The shared folder: `base/`, `train.jsonl`, `valid.jsonl`, `test.jsonl`, `short.jinja`, `corpus.txt`.
pub(crate) fn material() -> &'static Path {
    static MATERIAL: OnceLock<TempDir> = OnceLock::new();
    MATERIAL.get_or_init(make_material).path()
}

fn make_material() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs_err::write(path.join("short.jinja"), TEMPLATE).unwrap();
    let splits = [("train", 12), ("valid", 4), ("test", 4)];
    for (number, (split, count)) in splits.into_iter().enumerate() {
        let dialogues = (0..count).map(|dialogue| dialogue_line(split, dialogue, number));
        fs_err::write(path.join(format!("{split}.jsonl")), dialogues.collect::<String>()).unwrap();
    }
    fs_err::write(path.join("corpus.txt"), format!("{}\n\n", SAID.join(" ")).repeat(6)).unwrap();
    emotrain(path, &["tokenizer", "--vocab-size", "300", "--output", "base", "corpus.txt"]).done();

    let base = path.join("base");
    let config = config();
    let on = device::open(&DeviceChoice::Cpu, Dtype::Float32).unwrap();
    let config = ModelConfig::from_json(&config.to_string(), &base.join("config.json")).unwrap();
    CausalLm::random(&config, &on.device, on.dtype, 3).save_model(&base, FloatType::F32).unwrap();
    folder
}

/// A Llama with a few thousand weights.
pub(crate) fn config() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "vocab_size": 300,
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 512, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "tie_word_embeddings": true, "initializer_range": 0.2, "attention_bias": false,
    })
}

fn dialogue_line(split: &str, dialogue: usize, offset: usize) -> String {
    let utterance = |turn: usize| {
        let at = (dialogue * 5 + turn * 4 + offset) % SAID.len();
        let speaker = ["Mara", "Jonas"][turn % 2];
        // No two splits have a conversation in common.
        let own = if turn == 1 && split != "train" { format!(" ({split})") } else { String::new() };
        json!({ "speaker": speaker, "text": format!("{}{own}", SAID[at]), "label": LABELS[at % 3] })
    };
    let utterances: Vec<Value> = (0..3).map(utterance).collect();
    format!("{}\n", json!({ "id": format!("{split}-{dialogue}"), "utterances": utterances }))
}

fn recipe(base: &Path) -> String {
    let folder = base.parent().unwrap().display();
    let labels = LABELS.map(|label| format!("{label:?}")).join(", ");
    format!(
        r#"[model]
model_name_or_path = "{}"
device = "cpu"
[lora]
r = 4
lora_alpha = 8
[data]
train = "{folder}/train.jsonl"
valid = "{folder}/valid.jsonl"
test = "{folder}/test.jsonl"
label_set = "custom"
labels = [{labels}]
[prompt]
template = "{folder}/short.jinja"
history_window = 2
[train]
learning_rate = 1e-2
per_device_train_batch_size = 2
gradient_accumulation_steps = 2
max_steps = 8
max_seq_length = 256
[eval]
eval_steps = 4
[save]
save_steps = 2
save_total_limit = 0
[logging]
logging_steps = 2
"#,
        base.display()
    )
}
