//! The kinds of files that the program reads, and a command that reads each.

use std::path::Path;
use std::sync::OnceLock;

use serde_json::json;
use tempfile::TempDir;

use crate::workbench::{Workbench, emotrain, material};

/// A kind of file.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Lays out a folder of which one file is of this kind.
    pub(super) make: fn(&Workbench),
    /// That file.
    pub(super) file: &'static str,
    /// The command that reads it.
    pub(super) args: &'static [&'static str],
}

const CHECK: &[&str] = &["check", "recipe.toml"];
const CHECK_DATA: &[&str] = &[
    "check",
    "recipe.toml",
    "--set",
    "data.train=data",
    "--set",
    "data.valid=",
    "--set",
    "data.test=",
    "--set",
    BEST,
];
const BEST: &str = "eval.load_best_model_at_end=false";

/// All of them.
pub(super) fn kinds() -> Vec<Kind> {
    let base =
        |name, file| Kind { name, make: own_base, file, args: &["eval", "recipe.toml", "--split", "test"] };
    let data = vec![
        Kind { name: "recipe", make: |_| {}, file: "recipe.toml", args: CHECK },
        Kind { name: "jsonl", make: jsonl, file: "data", args: CHECK_DATA },
        Kind { name: "meld_csv", make: meld_csv, file: "data", args: CHECK_DATA },
        Kind { name: "emorynlp_csv", make: emorynlp_csv, file: "data", args: CHECK_DATA },
        Kind { name: "emorynlp", make: emorynlp, file: "data", args: CHECK_DATA },
        Kind { name: "prc_json", make: prc_json, file: "data", args: CHECK_DATA },
        Kind {
            name: "dailydialog",
            make: dailydialog,
            file: "dialogues_emotion_train.txt",
            args: &[
                "check",
                "recipe.toml",
                "--set",
                "data.train=dialogues_train.txt",
                "--set",
                "data.valid=",
                "--set",
                "data.test=",
                "--set",
                BEST,
            ],
        },
        Kind { name: "text", make: text, file: "corpus.txt", args: CHECK },
        Kind { name: "knowledge_lines", make: knowledge_lines, file: "known.jsonl", args: CHECK },
        Kind { name: "knowledge_lists", make: knowledge_lists, file: "known.json", args: CHECK },
        base("config", "base/config.json"),
        base("tokenizer", "base/tokenizer.json"),
        base("tokenizer_config", "base/tokenizer_config.json"),
        base("chat_template", "base/chat_template.jinja"),
        base("safetensors", "base/model.safetensors"),
        Kind { name: "index", make: sharded_base, ..base("index", "base/model.safetensors.index.json") },
        Kind { name: "gguf", make: gguf, file: "model.gguf", args: CHECK },
        Kind { name: "prompt_template", make: prompt_template, file: "own.jinja", args: CHECK },
        Kind { name: "wheel", make: wheel, file: "wheel.toml", args: &["curriculum", "show", "recipe.toml"] },
        Kind { name: "curriculum", make: curriculum, file: "own.toml", args: CHECK },
        Kind { name: "difficulties", make: difficulties, file: "dif.jsonl", args: CHECK },
    ];
    [data, runs(), banks()].into_iter().flatten().collect()
}

fn runs() -> Vec<Kind> {
    vec![
        trained("adapter_config", "run/adapter/adapter_config.json"),
        trained("adapter", "run/adapter/adapter_model.safetensors"),
        trained("contract", "run/adapter/prompt_contract.json"),
        Kind { name: "state", args: RESUME, ..trained("state", "run/step-000004/state.json") },
        Kind { name: "moments", args: RESUME, ..trained("moments", "run/step-000004/optimizer.safetensors") },
        Kind { name: "run_json", args: RESUME, ..trained("run_json", "run/run.json") },
    ]
}

fn banks() -> Vec<Kind> {
    vec![
        Kind {
            name: "bank_lines",
            make: bank,
            file: "bank/demonstrations.jsonl",
            args: &["bank", "check", "bank"],
        },
        Kind {
            name: "bank_manifest",
            make: bank,
            file: "bank/manifest.json",
            args: &["bank", "check", "bank"],
        },
        Kind {
            name: "bank_vectors",
            make: bank_with_vectors,
            file: "bank/vectors.safetensors",
            args: &["bank", "search", "bank", "Late again."],
        },
        Kind {
            name: "bank_index",
            make: bank_with_vectors,
            file: "bank/index.usearch",
            args: &["bank", "check", "bank"],
        },
        encoder("encoder", "encoder/model.safetensors"),
        encoder("encoder_config", "encoder/config.json"),
        encoder("encoder_modules", "encoder/modules.json"),
        encoder("encoder_pooling", "encoder/1_Pooling/config.json"),
        encoder("encoder_tokenizer", "encoder/tokenizer.json"),
    ]
}

fn encoder(name: &'static str, file: &'static str) -> Kind {
    Kind { name, make: sentence_encoder, file, args: BUILD }
}

const BUILD: &[&str] =
    &["bank", "build", "bank", "own.train.jsonl", "--encoder", "./encoder", "--index", "hnsw"];

const RESUME: &[&str] = &[
    "recipe.toml",
    "--resume",
    "--set",
    "train.output_dir=run",
    "--set",
    "train.max_steps=4",
    "--set",
    "save.save_steps=4",
];

fn trained(name: &'static str, file: &'static str) -> Kind {
    Kind { name, make: run, file, args: &["eval", "recipe.toml", "--split", "test", "--run", "run"] }
}

fn append(bench: &Workbench, text: &str) {
    bench.write("recipe.toml", &format!("{}{text}", bench.read("recipe.toml")));
}

/// Changes the recipe's keys of the section `[data]`.
fn set_data(bench: &Workbench, keys: &str) {
    let recipe = bench.read("recipe.toml");
    let lines = recipe.lines().filter(|line| !line.starts_with("label"));
    let lines =
        lines.map(|line| if line == "[data]" { format!("[data]\n{keys}\n") } else { format!("{line}\n") });
    bench.write("recipe.toml", &lines.collect::<String>());
}

fn copy(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs_err::copy(from, to).unwrap();
        }
    }
}

fn own_base(bench: &Workbench) {
    copy(&material().join("base"), &bench.path("base"));
    let config = bench.json("base/tokenizer_config.json");
    bench.write("base/chat_template.jinja", config["chat_template"].as_str().unwrap());
    set_model(bench, "./base");
}

fn set_model(bench: &Workbench, place: &str) {
    let recipe = bench.read("recipe.toml");
    let lines = recipe.lines().map(|line| {
        if line.starts_with("model_name_or_path") {
            format!("model_name_or_path = {place:?}\n")
        } else {
            format!("{line}\n")
        }
    });
    bench.write("recipe.toml", &lines.collect::<String>());
}

fn sharded_base(bench: &Workbench) {
    own_base(bench);
    let bytes = fs_err::read(bench.path("base/model.safetensors")).unwrap();
    let length = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let names = header.as_object().unwrap().keys().filter(|name| *name != "__metadata__");
    let map: serde_json::Map<String, serde_json::Value> =
        names.map(|name| (name.clone(), json!("model-00001-of-00001.safetensors"))).collect();
    fs_err::rename(bench.path("base/model.safetensors"), bench.path("base/model-00001-of-00001.safetensors"))
        .unwrap();
    bench.write(
        "base/model.safetensors.index.json",
        &json!({ "metadata": {}, "weight_map": map }).to_string(),
    );
}

fn gguf(bench: &Workbench) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/gguf/llama.gguf");
    fs_err::copy(golden, bench.path("model.gguf")).unwrap();
    copy(&material().join("base"), &bench.path("base"));
    bench.write("gguf.toml", "");
    set_model(bench, "./model.gguf");
}

fn jsonl(bench: &Workbench) {
    fs_err::copy(material().join("train.jsonl"), bench.path("data")).unwrap();
}

fn meld_csv(bench: &Workbench) {
    set_data(bench, "format = \"meld_csv\"");
    bench.write(
        "data",
        "No,Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID\n1,\"Well, \"\"hello\"\"\",Ada,joy,0,0\n2,Go.,Bo,anger,0,1\n3,So?,Bo,neutral,1,0\n",
    );
}

fn emorynlp_csv(bench: &Workbench) {
    set_data(bench, "format = \"emorynlp\"\nlabel_set = \"emorynlp\"");
    bench.write(
        "data",
        "Utterance,Speaker,Emotion,Scene_ID,Utterance_ID,Season,Episode\nHi.,\"['Ada', 'Bo']\",Joyful,1,1,2,3\nGo.,['Bo'],Mad,1,2,2,3\n",
    );
}

fn emorynlp(bench: &Workbench) {
    set_data(bench, "format = \"emorynlp\"\nlabel_set = \"emorynlp\"");
    let utterance =
        json!({"utterance_id": "u1", "speakers": ["Ada"], "transcript": "Hi.", "emotion": "Joyful"});
    let scenes = json!([{"scene_id": "s01_e01_c01", "utterances": [utterance]}]);
    bench.write("data", &json!({ "episodes": [{ "scenes": scenes }] }).to_string());
}

fn prc_json(bench: &Workbench) {
    set_data(bench, "format = \"prc_json\"");
    let dialogue = json!({"labels": [4, -1], "sentences": ["Hi.", "Go."], "speakers": ["Ada", "Bo"]});
    bench.write("data", &json!({ "0": dialogue }).to_string());
}

fn dailydialog(bench: &Workbench) {
    set_data(bench, "format = \"dailydialog\"\nlabel_set = \"dailydialog\"");
    bench.write("dialogues_train.txt", "Hi . __eou__ Go ! __eou__\nSo ? __eou__\n");
    bench.write("dialogues_emotion_train.txt", "4 1\n0\n");
}

fn text(bench: &Workbench) {
    fs_err::copy(material().join("corpus.txt"), bench.path("corpus.txt")).unwrap();
    let base = material().join("base").display().to_string();
    bench.write(
        "recipe.toml",
        &format!(
            "[model]\nmodel_name_or_path = {base:?}\ndevice = \"cpu\"\n[data]\nformat = \"text\"\ntrain = \"corpus.txt\"\n\
             [train]\ncompletion_only_loss = false\nmax_seq_length = 64\n[eval]\nload_best_model_at_end = false\n"
        ),
    );
}

fn with_knowledge(bench: &Workbench, path: &str) {
    append(bench, &format!("[[knowledge]]\nname = \"mood\"\npath = {path:?}\nrequired = false\n"));
    own_template(bench, "{{ mood }}");
}

fn own_template(bench: &Workbench, more: &str) {
    let source = fs_err::read_to_string(material().join("short.jinja")).unwrap();
    bench.write(
        "own.jinja",
        &source.replace(
            "{{ speaker }}: {{ utterance }}",
            &format!("{more}{{{{ speaker }}}}: {{{{ utterance }}}}"),
        ),
    );
    let recipe = bench.read("recipe.toml");
    let lines = recipe.lines().map(|line| {
        if line.starts_with("template") {
            "template = \"own.jinja\"\n".to_owned()
        } else {
            format!("{line}\n")
        }
    });
    bench.write("recipe.toml", &lines.collect::<String>());
}

fn knowledge_lines(bench: &Workbench) {
    with_knowledge(bench, "known.jsonl");
    let row = |at: usize| {
        json!({"dialogue": "train-0", "position": at, "mood": "calm", "split": "train"}).to_string()
    };
    bench.write("known.jsonl", &format!("{}\n{}\n", row(0), row(1)));
}

fn knowledge_lists(bench: &Workbench) {
    with_knowledge(bench, "known.json");
    append(bench, "");
    bench.write("known.json", &json!({"train-1": ["calm", null, {"mood": "upset"}]}).to_string());
    let recipe = bench.read("recipe.toml");
    let lines = recipe.lines().filter(|line| !line.starts_with("valid") && !line.starts_with("test"));
    let keys = "load_best_model_at_end = false\n";
    let lines =
        lines.map(|line| if line == "[eval]" { format!("[eval]\n{keys}") } else { format!("{line}\n") });
    bench.write("recipe.toml", &lines.collect::<String>());
}

fn prompt_template(bench: &Workbench) {
    own_template(bench, "");
}

fn wheel(bench: &Workbench) {
    let wheel = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../curriculum/wheel.toml");
    fs_err::copy(wheel, bench.path("wheel.toml")).unwrap();
    append(bench, "[curriculum]\nname = \"prc_emo\"\nwheel = \"wheel.toml\"\n");
}

fn curriculum(bench: &Workbench) {
    bench.write(
        "own.toml",
        "[curriculum]\ndifficulty = \"length\"\nscheduler = \"baby_step\"\nnum_buckets = 2\nk = 0.5\n",
    );
    append(bench, "[curriculum]\nname = \"own.toml\"\n");
}

fn difficulties(bench: &Workbench) {
    let rows = (0..12).map(|at| format!("{}\n", json!({"id": format!("train-{at}"), "dif": at})));
    bench.write("dif.jsonl", &rows.collect::<String>());
    append(bench, "[curriculum]\nname = \"file\"\ndifficulty_file = \"dif.jsonl\"\n");
}

/// A run of four steps, trained once.
fn run(bench: &Workbench) {
    static RUN: OnceLock<TempDir> = OnceLock::new();
    let kept = RUN.get_or_init(|| {
        let (bench, kept) = (Workbench::new(), tempfile::tempdir().unwrap());
        bench.train("run", &["--set", "train.max_steps=4", "--set", "save.save_steps=4"]).done();
        copy(&bench.path("run"), &kept.path().join("run"));
        kept
    });
    copy(&kept.path().join("run"), &bench.path("run"));
}

/// A bank without vectors, built once.
fn bank(bench: &Workbench) {
    static BANK: OnceLock<TempDir> = OnceLock::new();
    let kept = BANK.get_or_init(|| {
        let kept = tempfile::tempdir().unwrap();
        fs_err::copy(material().join("train.jsonl"), kept.path().join("own.train.jsonl")).unwrap();
        emotrain(kept.path(), &["bank", "build", "bank", "own.train.jsonl"]).done();
        kept
    });
    copy(&kept.path().join("bank"), &bench.path("bank"));
}

fn sentence_encoder(bench: &Workbench) {
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/sentence/tiny_mean");
    copy(&tiny, &bench.path("encoder"));
    fs_err::copy(material().join("train.jsonl"), bench.path("own.train.jsonl")).unwrap();
}

/// A bank with vectors and a graph, built once, beside its encoder.
fn bank_with_vectors(bench: &Workbench) {
    static BANK: OnceLock<TempDir> = OnceLock::new();
    sentence_encoder(bench);
    let kept = BANK.get_or_init(|| {
        let (bench, kept) = (Workbench::new(), tempfile::tempdir().unwrap());
        sentence_encoder(&bench);
        bench.run(BUILD).done();
        copy(&bench.path("bank"), &kept.path().join("bank"));
        kept
    });
    copy(&kept.path().join("bank"), &bench.path("bank"));
}
