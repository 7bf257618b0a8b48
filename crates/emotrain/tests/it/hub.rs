//! Models that are fetched, from a hub that lives for a test.

mod cache;
mod host;
mod hostile;

use std::path::Path;

use self::host::{COMMIT, Host, Reply, Repository};
use crate::workbench::{Said, Workbench, material};

const FILES: [&str; 4] = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];
const ENCODER: [&str; 3] = ["modules.json", "sentence_bert_config.json", "1_Pooling/config.json"];

/// The tiny model.
fn tiny() -> Repository {
    Repository::of(&material().join("base"), &FILES)
}

/// The tiny model as `someone/tiny`, a sentence encoder as `someone/encoder`.
fn hub() -> Host {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/sentence");
    let encoder = Repository::of(&golden.join("tiny_mean"), &[&FILES[..], &ENCODER].concat());
    Host::open(move |asked| match &asked.path {
        path if path.contains("someone/tiny/") => tiny().reply(asked),
        path if path.contains("someone/encoder/") => encoder.reply(asked),
        _ => Reply::new(404, ""),
    })
}

const MODEL: [&str; 3] = ["recipe.toml", "--set", "model.model_name_or_path=someone/tiny"];

#[test]
fn a_model_is_fetched_once_and_weights_only_when_needed() {
    let (hub, bench) = (hub(), Workbench::new());
    hub.run(&bench, &[&MODEL[..], &["--dry-run"]].concat()).done();
    let asked = hub.paths();
    assert!(asked.iter().any(|path| path.ends_with("tokenizer.json")), "{asked:?}");
    assert!(!asked.iter().any(|path| path.ends_with("model.safetensors")), "{asked:?}");

    let output =
        ["--set", "train.max_steps=2", "--set", "train.output_dir=run", "--set", "eval.baseline=false"];
    hub.run(&bench, &[&MODEL[..], &output].concat()).done();
    assert!(hub.paths().iter().any(|path| path.ends_with("model.safetensors")));
    assert_eq!(bench.json("run/adapter/adapter_config.json")["revision"], COMMIT);
    assert_eq!(bench.json("run/run.json")["model"]["revision"], COMMIT);

    // Offline from here on: everything is in the cache.
    bench.run(&[&["eval"][..], &MODEL, &["--run", "run"]].concat()).done();
    let revision = format!("model.revision={COMMIT}");
    bench.run(&[&["check"][..], &MODEL, &["--set", &revision]].concat()).done();
    assert!(hub.paths().is_empty());
}

#[test]
fn what_is_said_of_a_tokenizer_is_fetched_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let texts = ["special_tokens_map.json", "added_tokens.json", "generation_config.json"];
    for file in FILES {
        fs_err::copy(material().join("base").join(file), folder.path().join(file)).unwrap();
    }
    for file in texts {
        fs_err::write(folder.path().join(file), "{}").unwrap();
    }
    let config: serde_json::Value =
        serde_json::from_str(&fs_err::read_to_string(folder.path().join("tokenizer_config.json")).unwrap())
            .unwrap();
    fs_err::write(folder.path().join("chat_template.jinja"), config["chat_template"].as_str().unwrap())
        .unwrap();
    let files = [&FILES[..], &texts, &["chat_template.jinja", "pytorch_model.bin", "README.md"]].concat();
    let repository = Repository::of(folder.path(), &files);
    let (hub, bench) = (Host::open(move |asked| repository.reply(asked)), Workbench::new());
    hub.run(&bench, &[&MODEL[..], &["--dry-run"]].concat()).done();
    let snapshot = bench.path("no-cache/hub/models--someone--tiny/snapshots").join(COMMIT);
    for file in texts.into_iter().chain(["chat_template.jinja"]) {
        assert!(snapshot.join(file).is_file(), "{file}");
    }
    assert!(!snapshot.join("pytorch_model.bin").exists() && !snapshot.join("README.md").exists());
}

#[test]
fn a_model_that_the_hub_does_not_have() {
    let (hub, bench) = (hub(), Workbench::new());
    let said = hub.run(&bench, &["check", "recipe.toml", "--set", "model.model_name_or_path=someone/else"]);
    assert_eq!(said.code, 3);
    for part in
        ["someone/else (revision main)", "no such model or revision (status 404)", "hint:", "HF_TOKEN"]
    {
        assert!(said.err.contains(part), "{}", said.err);
    }
}

#[test]
fn a_hub_that_cannot_be_reached() {
    let bench = Workbench::new();
    let mut command = bench.command(&[&["check"][..], &MODEL].concat());
    // Nothing listens on the discard port.
    let said = Said::of(
        &command.env("HF_ENDPOINT", "http://127.0.0.1:9").env_remove("HF_HUB_OFFLINE").output().unwrap(),
    );
    assert_eq!(said.code, 3);
    assert!(
        said.err.contains("the hub does not give it") && said.err.contains("the path of a folder"),
        "{}",
        said.err
    );
}

#[test]
fn a_sentence_encoder_is_fetched_once() {
    let (hub, bench) = (hub(), Workbench::new());
    let data = material().join("train.jsonl").display().to_string();
    let build = ["bank", "build", "bank", &data, "--encoder", "someone/encoder"];
    hub.run(&bench, &build).done();
    let asked = hub.paths();
    for file in ["1_Pooling/config.json", "model.safetensors", "tokenizer.json"] {
        assert!(asked.iter().any(|path| path.ends_with(file)), "{file}: {asked:?}");
    }
    let identity = bench.json("bank/manifest.json")["vectors"]["encoder"].clone();
    assert!(identity.as_str().unwrap().starts_with("someone/encoder@sha256:"), "{identity}");
    // Offline from here on: it is in the cache, where "auto" finds it by the bank's word.
    let said = bench.run(&["bank", "search", "bank", "Late again"]).done();
    assert!(said.err.contains("exact cosine over vectors of someone/encoder@sha256:"), "{}", said.err);
    bench.run(&["bank", "check", "bank", "--encoder", "someone/encoder"]).done();
    assert!(hub.paths().is_empty());

    let said = hub.run(&bench, &["bank", "build", "other", &data, "--encoder", "someone/tiny"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("someone/tiny: the repository holds no modules.json"), "{}", said.err);
    assert!(said.err.contains("it is no sentence encoder"), "{}", said.err);
    // Without a network "auto" compares words, and does not ask for one.
    fs_err::remove_dir_all(bench.path("no-cache")).unwrap();
    let said = hub.run(&bench, &["bank", "search", "bank", "Late again"]).done();
    assert!(said.err.contains("its encoder someone/encoder is not at hand"), "{}", said.err);
    assert!(said.err.contains("lexical search"), "{}", said.err);
}
