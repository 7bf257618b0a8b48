//! Sentence encoders: banks with vectors, searched, checked, grown, and used by runs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use emotrain_retrieval::Bank;
use serde_json::{Value, json};

use crate::workbench::{LABELS, Said, Workbench, material};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/sentence").join(name)
}

/// A tiny encoder, copied into a workbench under a name.
fn copy_encoder(bench: &Workbench, from: &str, to: &str) {
    for folder in ["", "1_Pooling"] {
        fs_err::create_dir_all(bench.path(to).join(folder)).unwrap();
        for entry in fs_err::read_dir(golden(from).join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs_err::copy(&path, bench.path(to).join(folder).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
}

/// A model that `tests/fixtures/fetch-models.sh` brings.
fn minilm() -> String {
    let script = golden("../../fixtures/fetch-models.sh");
    let output = Command::new("bash").arg(script).arg("all-minilm-l6-v2").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn dialogues(count: usize, text: impl Fn(usize, usize) -> String) -> String {
    let dialogue = |number: usize| {
        let turn = |at: usize| {
            let (speaker, label) = (["Ada", "Ben"][at % 2], LABELS[(number + at) % 3]);
            json!({ "speaker": speaker, "text": text(number, at), "label": label })
        };
        format!("{}\n", json!({ "id": format!("d{number}"), "utterances": [turn(0), turn(1), turn(2)] }))
    };
    (0..count).map(dialogue).collect()
}

const SAID: [&str; 3] = ["The train is late again", "We won, we really won", "Do not touch my things"];

/// A bank of twelve dialogues with vectors of the encoder in `encoder/`.
fn with_bank() -> Workbench {
    let bench = Workbench::new();
    copy_encoder(&bench, "tiny_mean", "encoder");
    bench.write("own.train.jsonl", &dialogues(12, |number, at| format!("{} {number}.", SAID[at])));
    let said = bench.run(&["bank", "build", "bank", "own.train.jsonl", "--encoder", "encoder"]).done();
    assert!(said.err.contains("36 texts encoded by "), "{}", said.err);
    bench
}

fn identity(bench: &Workbench) -> String {
    bench.json("bank/manifest.json")["vectors"]["encoder"].as_str().unwrap().to_owned()
}

#[test]
fn a_bank_is_searched_with_its_own_encoder_where_that_is_at_hand() {
    let bench = with_bank();
    let identity = identity(&bench);
    let (name, digest) = identity.rsplit_once('@').unwrap();
    assert!(Path::new(name).is_absolute() && digest.starts_with("sha256:"), "{identity}");
    let search = |more: &[&str]| {
        bench.run(&[&["bank", "search", "bank", "We won, we really won 7.", "--top-k", "1"], more].concat())
    };
    let said = search(&[]).done();
    assert!(said.err.contains(&format!("exact cosine over vectors of {identity}")), "{}", said.err);
    assert!(said.out.starts_with("1.0000") && said.out.contains("won 7"), "{}", said.out);
    assert!(search(&["--encoder", "lexical"]).done().err.contains("lexical search"));
    let said = bench.run(&["bank", "check", "bank"]).done();
    assert!(said.out.contains(&format!("36 demonstrations, with vectors of {identity}")), "{}", said.out);

    // The same encoder elsewhere gives the same vectors; another is refused.
    copy_encoder(&bench, "tiny_mean", "elsewhere");
    search(&["--encoder", "elsewhere"]).done();
    copy_encoder(&bench, "tiny_max", "other");
    let said = search(&["--encoder", "other"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("was built with the encoder") && said.err.contains("hint:"), "{}", said.err);
    let said = bench.run(&["bank", "check", "bank", "--encoder", "other"]);
    assert_eq!(said.code, 3, "{}", said.err);
    let said = search(&["--encoder", "nowhere/at-all"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("nowhere/at-all: not a path here, not in the cache"), "{}", said.err);
    let said = search(&["--encoder", "./nowhere"]);
    assert!(said.err.contains("retrieval.encoder = \"./nowhere\": no such file"), "{}", said.err);

    // It is another by now, or gone: words in common, and the reason is told.
    fs_err::write(bench.path("encoder/sentence_bert_config.json"), "{\"max_seq_length\": 16}").unwrap();
    let said = search(&[]).done();
    assert!(said.err.contains("is another by now") && said.err.contains("BM25"), "{}", said.err);
    fs_err::remove_dir_all(bench.path("encoder")).unwrap();
    let said = search(&[]).done();
    assert!(said.err.contains("is not at hand") && said.err.contains("BM25"), "{}", said.err);
}

#[test]
fn a_bank_grows_by_encoding_what_is_new() {
    let bench = with_bank();
    bench
        .write("more.train.jsonl", &dialogues(1, |_, at| format!("{}!", ["Hello", "Good day", "Hello"][at])));
    let build = |more: &[&str]| bench.run(&[&["bank", "build", "bank", "more.train.jsonl"], more].concat());
    let said = build(&[]).done();
    assert!(
        said.err.contains("2 texts encoded by") && said.err.contains("36 were there already"),
        "{}",
        said.err
    );
    bench.run(&["bank", "check", "bank"]).done();
    fs_err::remove_dir_all(bench.path("encoder")).unwrap();
    let before = bench.read("bank/manifest.json");
    let said = build(&[]);
    assert_eq!(said.code, 3);
    assert!(
        said.err.contains("new texts cannot get vectors") && said.err.contains("--encoder"),
        "{}",
        said.err
    );
    assert_eq!(bench.read("bank/manifest.json"), before);
    build(&["--encoder", "lexical"]).done();
    assert!(bench.json("bank/manifest.json")["vectors"].is_null());
    let said = bench.run(&[
        "bank",
        "build",
        "bank",
        "more.train.jsonl",
        "--encoder",
        &material().display().to_string(),
    ]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("not a sentence encoder: no modules.json"), "{}", said.err);
}

const TEMPLATE: &str = "\
{% block system %}Labels: {{ label_list }}{% for one in demonstrations %}
<{{ one.text }}> {{ one.label }}{% endfor %}{% endblock %}
{% block user %}{{ speaker }}: {{ utterance }}{% endblock %}
";

#[test]
fn runs_evaluations_and_predictions_search_with_the_same_encoder() {
    let bench = with_bank();
    bench.write("shown.jinja", TEMPLATE);
    let set = [
        "--set",
        "prompt.template=shown.jinja",
        "--set",
        "prompt.history_window=0",
        "--set",
        "retrieval.bank=bank",
        "--set",
        "retrieval.k=2",
    ];
    let said = bench.train("run", &[&set[..], &["--set", "train.max_steps=2"]].concat()).done();
    let engine = format!("exact cosine over vectors of {}", identity(&bench));
    assert!(said.err.contains(&engine), "{}", said.err);
    assert_eq!(bench.json("run/run.json")["retrieval"]["engine"], engine);
    let digest = identity(&bench).rsplit_once('@').unwrap().1.to_owned();
    assert_eq!(bench.json("run/adapter/prompt_contract.json")["found_by"], digest);

    let again = |more: &[&str]| -> Said {
        bench.run(&[&["eval", "recipe.toml", "--run", "run"], &set[..], more].concat())
    };
    let said = again(&[]).done();
    assert!(said.err.contains(&engine), "{}", said.err);
    assert_eq!(bench.read("run/predictions.eval-valid.jsonl"), bench.read("run/predictions.valid.jsonl"));
    copy_encoder(&bench, "tiny_mean", "elsewhere");
    again(&["--set", "retrieval.encoder=./elsewhere"]).done();
    let valid = material().join("valid.jsonl").display().to_string();
    let predict = ["predict", "recipe.toml", "--run", "run", "--input", &valid, "--output", "labels.jsonl"];
    bench.run(&[&predict[..], &set].concat()).done();
    let label = |row: &str| serde_json::from_str::<Value>(row).unwrap()["predicted"].clone();
    let (predicted, evaluated) = (bench.read("labels.jsonl"), bench.read("run/predictions.valid.jsonl"));
    assert!(predicted.lines().map(label).eq(evaluated.lines().map(label)), "{predicted}\n{evaluated}");

    // Other demonstrations than those of the training are refused.
    let said = again(&["--set", "retrieval.encoder=lexical"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("now by lexical (retrieval.encoder)"), "{}", said.err);
    let said = bench.train("bare", &[&set[..], &["--set", "retrieval.encoder=./nowhere"]].concat());
    assert_eq!(said.code, 3);
    assert!(!bench.path("bare").exists(), "nothing is written");
}

#[test]
fn a_killed_build_goes_on_where_it_stopped() {
    let (bench, encoder) = (Workbench::new(), minilm());
    bench.write("own.train.jsonl", &dialogues(360, |number, at| format!("{} on day {number}.", SAID[at])));
    let build = ["bank", "build", "bank", "own.train.jsonl", "--encoder", &encoder];
    let whole = ["bank", "build", "whole", "own.train.jsonl", "--encoder", &encoder];
    let mut child = bench.command(&build).spawn().unwrap();
    let (journal, begin) = (bench.path(".bank.building/vectors.journal"), Instant::now());
    // A batch is 512 texts; kill it after the first of three, which is whole once the file grows no more for a while.
    let size = |path: &Path| fs_err::metadata(path).map_or(0, |file| file.len());
    let mut earlier = 0;
    while earlier < 512 * 384 * 4 || size(&journal) > earlier {
        assert!(
            begin.elapsed() < Duration::from_mins(2) && child.try_wait().unwrap().is_none(),
            "no batch was kept"
        );
        earlier = size(&journal);
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!bench.path("bank").exists(), "it was killed while it was building");
    let said = bench.run(&build).done();
    let reused = said.err.split(" s, ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let reused: usize = reused.parse().unwrap();
    assert!(reused == 512 || reused == 1024, "{}", said.err);
    assert!(!bench.path(".bank.building").exists());

    bench.run(&whole).done();
    for file in ["demonstrations.jsonl", "vectors.safetensors"] {
        assert!(
            fs_err::read(bench.path("bank").join(file)).unwrap()
                == fs_err::read(bench.path("whole").join(file)).unwrap()
        );
    }
    bench.run(&["bank", "check", "bank"]).done();
}

/// Set `EMOTRAIN_DATA_DIR` to a folder with `meld.train.json`, `meld.valid.json` and `demonstrations.prc-emo.json` in
/// the form of PRC-Emo.
#[test]
fn neighbours_in_published_data_are_the_nearest_by_float64() {
    let Some(data) = std::env::var_os("EMOTRAIN_DATA_DIR").map(PathBuf::from) else {
        println!("skipped: EMOTRAIN_DATA_DIR is not set");
        return;
    };
    let (bench, encoder) = (Workbench::new(), minilm());
    let file = |name: &str| data.join(name).display().to_string();
    let (train, list) = (file("meld.train.json"), file("demonstrations.prc-emo.json"));
    bench.run(&["bank", "build", "bank", &train, &list, "--encoder", &encoder]).done();
    let valid: Value =
        serde_json::from_str(&fs_err::read_to_string(data.join("meld.valid.json")).unwrap()).unwrap();
    let texts: Vec<&str> = valid
        .as_object()
        .unwrap()
        .values()
        .flat_map(|dialogue| dialogue["sentences"].as_array().unwrap())
        .map(|text| text.as_str().unwrap())
        .take(300)
        .collect();
    let rows = texts
        .iter()
        .enumerate()
        .map(|(at, text)| format!("{}\n", json!({ "id": at.to_string(), "text": text })));
    bench.write("queries.jsonl", &rows.collect::<String>());
    bench
        .run(&[
            "bank",
            "search",
            "bank",
            "--queries",
            "queries.jsonl",
            "--out",
            "found.jsonl",
            "--top-k",
            "3",
        ])
        .done();

    // The queries' vectors, as a bank of their own.
    let turn = |text: &&str| json!({ "speaker": "a", "text": text, "label": "joy" });
    let dialogue = json!({ "id": "q", "utterances": texts.iter().map(turn).collect::<Vec<_>>() });
    bench.write("asked.jsonl", &format!("{dialogue}\n"));
    bench.run(&["bank", "build", "asked", "asked.jsonl", "--encoder", &encoder]).done();
    let (bank, asked) = (Bank::open(&bench.path("bank")).unwrap(), Bank::open(&bench.path("asked")).unwrap());
    let found = bench.read("found.jsonl");
    for (number, line) in found.lines().enumerate() {
        let query = asked.vector(number).unwrap();
        let score = |row: usize| -> f64 {
            let pairs = query.iter().zip(bank.vector(row).unwrap());
            pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let mut scores: Vec<f64> = (0..bank.len()).map(score).collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        let answer: Value = serde_json::from_str(line).unwrap();
        let neighbours = answer["neighbours"].as_array().unwrap();
        assert_eq!(neighbours.len(), 3);
        for (neighbour, exact) in neighbours.iter().zip(&scores) {
            // Sums of 384 products in float32, of vectors of length 1.
            let said = neighbour["score"].as_f64().unwrap();
            assert!((said - exact).abs() < 1e-6, "query {number}: {said}, the nearest have {exact}");
        }
    }
    println!("{} queries in {} demonstrations", found.lines().count(), bank.len());
    assert_eq!((found.lines().count(), bank.len()), (300, 23_998));
}
