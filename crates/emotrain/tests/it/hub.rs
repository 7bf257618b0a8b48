//! Models that are fetched, from a hub that lives for a test.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::workbench::{Said, Workbench, material};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const FILES: [&str; 4] = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];
const ENCODER: [&str; 3] = ["modules.json", "sentence_bert_config.json", "1_Pooling/config.json"];

/// The folder and the files of what is on the hub.
fn repository(name: &str) -> Option<(PathBuf, Vec<&'static str>)> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/sentence");
    match name {
        "tiny" => Some((material().join("base"), FILES.to_vec())),
        "encoder" => Some((golden.join("tiny_mean"), [&FILES[..], &ENCODER].concat())),
        _ => None,
    }
}

/// Serves the tiny model as `someone/tiny`, a sentence encoder as `someone/encoder`, and notes what was asked for.
struct Hub {
    endpoint: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                notes.lock().unwrap().extend(answer(stream.unwrap()));
            }
        });
        Self { endpoint, asked }
    }

    fn run(&self, bench: &Workbench, args: &[&str]) -> Said {
        let mut command = bench.command(args);
        command.env("HF_ENDPOINT", &self.endpoint).env_remove("HF_HUB_OFFLINE");
        Said::of(&command.output().unwrap())
    }

    /// The paths asked for since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

/// Answers one request and returns its path.
fn answer(stream: TcpStream) -> Option<String> {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let request = lines.next()?.unwrap();
    let headers: Vec<String> =
        lines.map(|line| line.unwrap().to_lowercase()).take_while(|l| !l.is_empty()).collect();
    let path = request.split(' ').nth(1)?.to_owned();
    let parts: Vec<&str> = path.split('/').collect();
    let name = if parts.get(1) == Some(&"api") { parts.get(4) } else { parts.get(2) };
    let (head, body) = match (&parts[..], name.and_then(|name| repository(name))) {
        (["", "api", "models", "someone", _, "revision", _], Some((_, files))) => {
            let siblings: Vec<_> = files.iter().map(|file| json!({ "rfilename": file })).collect();
            (String::new(), json!({ "sha": COMMIT, "siblings": siblings }).to_string().into_bytes())
        }
        (["", "someone", _, "resolve", commit, file @ ..], Some((folder, _))) if *commit == COMMIT => {
            let file = file.join("/");
            let bytes = fs_err::read(folder.join(&file)).unwrap();
            let size = bytes.len();
            let body = if headers.iter().any(|header| header == "range: bytes=0-0") {
                bytes[..1].to_vec()
            } else {
                bytes
            };
            let last = body.len() - 1;
            let range = format!("Content-Range: bytes 0-{last}/{size}\r\n");
            let tag = format!("{}-tag", file.replace('/', "-"));
            (format!("{range}ETag: \"{tag}\"\r\nX-Repo-Commit: {COMMIT}\r\n"), body)
        }
        _ => ("missing".to_owned(), Vec::new()),
    };
    let (status, head) = match head.as_str() {
        "missing" => ("404 Not Found", ""),
        head => ("200 OK", head),
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{head}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    let mut stream = stream;
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    Some(path)
}

const MODEL: [&str; 3] = ["recipe.toml", "--set", "model.model_name_or_path=someone/tiny"];

#[test]
fn a_model_is_fetched_once_and_weights_only_when_needed() {
    let (hub, bench) = (Hub::open(), Workbench::new());
    hub.run(&bench, &[&MODEL[..], &["--dry-run"]].concat()).done();
    let asked = hub.asked();
    assert!(asked.iter().any(|path| path.ends_with("tokenizer.json")), "{asked:?}");
    assert!(!asked.iter().any(|path| path.ends_with("model.safetensors")), "{asked:?}");

    let output =
        ["--set", "train.max_steps=2", "--set", "train.output_dir=run", "--set", "eval.baseline=false"];
    hub.run(&bench, &[&MODEL[..], &output].concat()).done();
    assert!(hub.asked().iter().any(|path| path.ends_with("model.safetensors")));
    assert_eq!(bench.json("run/adapter/adapter_config.json")["revision"], COMMIT);
    assert_eq!(bench.json("run/run.json")["model"]["revision"], COMMIT);

    // Offline from here on: everything is in the cache.
    bench.run(&[&["eval"][..], &MODEL, &["--run", "run"]].concat()).done();
    let revision = format!("model.revision={COMMIT}");
    bench.run(&[&["check"][..], &MODEL, &["--set", &revision]].concat()).done();
    assert!(hub.asked().is_empty());
}

#[test]
fn a_model_that_the_hub_does_not_have() {
    let (hub, bench) = (Hub::open(), Workbench::new());
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
    let (hub, bench) = (Hub::open(), Workbench::new());
    let data = material().join("train.jsonl").display().to_string();
    let build = ["bank", "build", "bank", &data, "--encoder", "someone/encoder"];
    hub.run(&bench, &build).done();
    let asked = hub.asked();
    for file in ["1_Pooling/config.json", "model.safetensors", "tokenizer.json"] {
        assert!(asked.iter().any(|path| path.ends_with(file)), "{file}: {asked:?}");
    }
    let identity = bench.json("bank/manifest.json")["vectors"]["encoder"].clone();
    assert!(identity.as_str().unwrap().starts_with("someone/encoder@sha256:"), "{identity}");
    // Offline from here on: it is in the cache, where "auto" finds it by the bank's word.
    let said = bench.run(&["bank", "search", "bank", "Late again"]).done();
    assert!(said.err.contains("exact cosine over vectors of someone/encoder@sha256:"), "{}", said.err);
    bench.run(&["bank", "check", "bank", "--encoder", "someone/encoder"]).done();
    assert!(hub.asked().is_empty());

    let said = hub.run(&bench, &["bank", "build", "other", &data, "--encoder", "someone/tiny"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("someone/tiny: the repository holds no modules.json"), "{}", said.err);
    assert!(said.err.contains("it is no sentence encoder"), "{}", said.err);
    // Without a network "auto" compares words, and does not ask for one.
    fs_err::remove_dir_all(bench.path("no-cache")).unwrap();
    let said = hub.run(&bench, &["bank", "search", "bank", "Late again"]).done();
    assert!(said.err.contains("its encoder someone/encoder is not at hand"), "{}", said.err);
    assert!(said.err.contains("words in common"), "{}", said.err);
}
