//! Banks of demonstrations: built, looked over, searched, and shown in prompts.

use std::path::Path;

use serde_json::{Value, json};

use crate::workbench::{LABELS, Workbench, material};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn starter() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../retrieval_bank/starter").display().to_string()
}

fn material_file(name: &str) -> String {
    material().join(name).display().to_string()
}

#[test]
fn the_bank_that_comes_with_the_repository_is_sound_and_even() {
    let bench = Workbench::new();
    let said = bench.run(&["bank", "check", &starter()]).done();
    assert!(said.out.contains("sound"), "{}", said.out);
    let rows = lines(&fs_err::read_to_string(Path::new(&starter()).join("demonstrations.jsonl")).unwrap());
    assert!(rows.len() >= 1500, "{}", rows.len());
    let share = |key: &str, value: &Value| {
        rows.iter().filter(|row| row[key] == *value).count() as f64 / rows.len() as f64
    };
    for (key, count, least) in [("emotion", 7, 0.08), ("domain", 7, 0.1)] {
        let mut values: Vec<&Value> = Vec::new();
        for row in &rows {
            if !values.contains(&&row[key]) {
                values.push(&row[key]);
            }
        }
        assert_eq!(values.len(), count, "{values:?}");
        for value in values {
            assert!(share(key, value) >= least, "{value}");
        }
    }
}

#[test]
fn a_bank_grows_and_refuses_what_is_held_out() {
    let bench = Workbench::new();
    let said =
        bench.run(&["bank", "build", "bank", &material_file("train.jsonl"), "--dataset", "own"]).done();
    assert!(said.err.contains("36 demonstrations added as own"), "{}", said.err);
    let list = json!([{ "sentence": "The soup is cold.", "label": "anger" }, { "sentence": "Hooray!", "label": "happy" }]);
    bench.write("list.json", &list.to_string());
    bench.run(&["bank", "build", "bank", "list.json", "--domain", "family"]).done();
    let again = bench.run(&["bank", "build", "bank", "list.json", "--domain", "family"]).done();
    assert!(again.err.contains("0 demonstrations added as list, 2 were there already"), "{}", again.err);
    let stats = bench.run(&["bank", "stats", "bank"]).done();
    assert!(stats.out.contains("38 demonstrations"), "{}", stats.out);

    let held_out = ["bank", "build", "bank", &material_file("valid.jsonl"), "--dataset", "own"];
    let said = bench.run(&held_out);
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("valid"), "{}", said.err);
    bench.run(&[&held_out[..], &["--force-held-out"]].concat()).done();
    assert_eq!(bench.json("bank/manifest.json")["held_out_forced"], true);

    let text = bench.read("bank/demonstrations.jsonl");
    bench.write("bank/demonstrations.jsonl", &text.replacen("cold", "warm", 1));
    let said = bench.run(&["bank", "check", "bank"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("demonstrations.jsonl"), "{}", said.err);
}

/// As a recipe's: by their own keys and columns, and a table or a chat without a word on its format.
#[test]
fn files_of_ones_own_are_taken_as_a_recipe_takes_them() {
    let bench = Workbench::new();
    let line = json!({ "ticket": 7, "utterances": [{ "who": "Ada", "said": "It works!", "mood": "joy" }] });
    bench.write("own.jsonl", &format!("{line}\n"));
    bench.write("own.csv", "dialogue;speaker;text;label\n1;Ada;Hooray!;joy\n1;Bo;Hm.;neutral\n");
    let chat = json!({ "messages": [{ "role": "user", "content": "Oh no.", "label": "sadness" }] });
    bench.write("chats.jsonl", &format!("{chat}\n"));
    let labels = ["--labels", "joy,neutral,sadness"];
    let build = |file: &str, more: &[&str]| {
        bench
            .run(&[&["bank", "build", "bank", file, "--encoder", "lexical"], &labels[..], more].concat())
            .done()
    };
    let columns = ["--columns", "dialogue=ticket,speaker=who,text=said,label=mood"];
    assert!(build("own.jsonl", &columns).err.contains("1 demonstrations added as own"));
    assert!(build("own.csv", &[]).err.contains("2 demonstrations added as own"));
    assert!(build("chats.jsonl", &[]).err.contains("1 demonstrations added as chats"));
    let texts = lines(&bench.read("bank/demonstrations.jsonl"));
    let texts: Vec<&str> = texts.iter().filter_map(|row| row["text"].as_str()).collect();
    assert_eq!(texts, ["It works!", "Hooray!", "Hm.", "Oh no."]);
}

#[test]
fn damaged_banks_are_refused_with_place_and_mend() {
    let bench = Workbench::new();
    let build = ["bank", "build", "bank", &material_file("train.jsonl"), "--dataset", "own"];
    bench.run(&build).done();
    let (manifest, text) = (bench.read("bank/manifest.json"), bench.read("bank/demonstrations.jsonl"));
    let refused = |place: &str, what: &str| {
        let said = bench.run(&["bank", "check", "bank"]);
        assert_eq!(said.code, 3, "{}", said.err);
        for part in [place, what, "hint: "] {
            assert!(said.err.contains(part), "{part}: {}", said.err);
        }
        assert!(!said.err.contains("panicked"), "{}", said.err);
    };
    bench.write("bank/demonstrations.jsonl", &text[..text.len() / 2]);
    refused("bank/demonstrations.jsonl", "truncated");
    bench.write("bank/demonstrations.jsonl", "");
    refused("bank/demonstrations.jsonl", "has 0 bytes");
    fs_err::remove_file(bench.path("bank/demonstrations.jsonl")).unwrap();
    refused("bank/demonstrations.jsonl", "is missing");
    fs_err::create_dir(bench.path("bank/demonstrations.jsonl")).unwrap();
    refused("bank/demonstrations.jsonl", "is not a file");
    fs_err::remove_dir(bench.path("bank/demonstrations.jsonl")).unwrap();
    bench.write("bank/demonstrations.jsonl", &text);
    bench.write("bank/manifest.json", &manifest.replacen("\"dataset\": \"own\"", "\"dataset\": \"out\"", 1));
    refused("bank/manifest.json", "was changed");
    bench
        .write("bank/manifest.json", &manifest.replacen("\"format_version\": 2", "\"format_version\": 9", 1));
    refused("bank/manifest.json", "format version 9");
    bench.write("bank/manifest.json", &manifest[..manifest.len() / 2]);
    refused("bank/manifest.json", "is not a manifest");
    bench.write("bank/manifest.json", &manifest);
    bench.run(&["bank", "check", "bank"]).done();

    let said = bench.run(&["bank", "build", "bank", "--index", "hnsw"]);
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("has no vectors for an index"), "{}", said.err);
    assert_eq!(bench.read("bank/manifest.json"), manifest);
}

#[test]
fn neighbours_are_found_for_one_text_and_for_many() {
    let bench = Workbench::new();
    let said = bench.run(&["bank", "search", &starter(), "You touched my bike!", "--top-k", "2"]).done();
    assert_eq!(said.out.lines().count(), 2, "{}", said.out);
    assert!(said.out.contains("You touched my bike"), "{}", said.out);
    assert!(said.err.contains("lexical search"), "{}", said.err);
    bench.write(
        "queries.jsonl",
        "{\"id\":\"a\",\"text\":\"My bike is gone.\"}\n{\"id\":\"b\",\"text\":\"The exam went well.\"}\n",
    );
    let args =
        ["bank", "search", &starter(), "--queries", "queries.jsonl", "--out", "found.jsonl", "--top-k", "3"];
    bench.run(&args).done();
    let rows = lines(&bench.read("found.jsonl"));
    assert_eq!(rows.iter().map(|row| row["id"].as_str().unwrap()).collect::<Vec<_>>(), ["a", "b"]);
    let neighbours = rows[0]["neighbours"].as_array().unwrap();
    assert_eq!(neighbours.len(), 3);
    for key in ["dataset", "dialogue", "position", "text", "label", "score"] {
        assert!(!neighbours[0][key].is_null(), "{key}");
    }
    bench.write("queries.jsonl", "");
    let said = bench.run(&args);
    assert!(said.code == 3 && said.err.contains("queries.jsonl: contains no queries"), "{}", said.err);
    assert_eq!(lines(&bench.read("found.jsonl")), rows);
}

/// A template that shows demonstrations.
const TEMPLATE: &str = "\
{% block system %}Labels: {{ label_list }}{% for one in demonstrations %}
<{{ one.text }}> {{ one.label }} {{ one.source }}{% endfor %}{% endblock %}
{% block user %}{% for turn in history %}{{ turn.speaker }}: {{ turn.text }}
{% endfor %}{{ speaker }}: {{ utterance }}{% endblock %}
";

/// A report shows the demonstrations that the run kept, and searches for none.
fn reported(bench: &Workbench) {
    bench.run(&["report", "run"]).done();
    let page = bench.read("run/report.html");
    for part in ["<summary>Demonstrations (2)", "By retrieved demonstrations", "lexical search (BM25)"] {
        assert!(page.contains(part), "{part}");
    }
    fs_err::rename(bench.path("run/retrieved.valid.json"), bench.path("kept.json")).unwrap();
    let said = bench.run(&["report", "run"]).done();
    assert!(said.err.contains("run/retrieved.valid.json: it is not there"), "{}", said.err);
    assert!(!bench.read("run/report.html").contains("<summary>Demonstrations"));
    fs_err::rename(bench.path("kept.json"), bench.path("run/retrieved.valid.json")).unwrap();
}

#[test]
fn prompts_show_demonstrations_but_never_the_utterances_own() {
    let bench = Workbench::new();
    bench.write("shown.jinja", TEMPLATE);
    // Every dialogue of its own words, so that the nearest of all is always the utterance itself.
    let dialogue = |number: usize| {
        let turn = |at: usize| {
            let text = format!("Word{number}a{at} and word{number}b of the common kind.");
            json!({ "speaker": (["Ada", "Ben"][at % 2]), "text": text, "label": (LABELS[(number + at) % 3]) })
        };
        format!("{}\n", json!({ "id": format!("d{number}"), "utterances": [turn(0), turn(1), turn(2)] }))
    };
    bench.write("own.train.jsonl", &(0..12).map(dialogue).collect::<String>());
    bench.run(&["bank", "build", "bank", "own.train.jsonl", "--dataset", "whatever"]).done();
    let set = [
        "--set",
        "data.train=own.train.jsonl",
        "--set",
        "prompt.template=shown.jinja",
        "--set",
        "retrieval.bank=bank",
        "--set",
        "retrieval.show_source=true",
        "--set",
        "retrieval.k=2",
        "--set",
        "train.max_seq_length=480",
    ];
    let said = bench.run(&[&["inspect", "recipe.toml", "--limit", "36"][..], &set].concat()).done();
    let samples: Vec<&str> = said.out.split("supervised, ").skip(1).collect();
    assert_eq!(samples.len(), 36);
    for (number, sample) in samples.iter().enumerate() {
        let shown: Vec<&str> = sample.split('<').filter(|part| part.contains("whatever")).collect();
        assert_eq!(shown.len(), 2, "{sample}");
        let own = format!("word{}b ", number / 3);
        assert!(shown.iter().all(|line| !line.contains(&own)), "{sample}");
    }

    let run = |name: &str, more: &[&str]| {
        bench.train(name, &[&set[..], &["--set", "train.max_steps=4"], more].concat())
    };
    let said = run("run", &[]).done();
    let found = "72 demonstrations for 36 utterances by lexical search (BM25)";
    assert!(said.err.contains(found), "{}", said.err);
    assert!(
        bench.path("run/retrieved.train.json").exists() && bench.path("run/retrieved.valid.json").exists()
    );
    assert_eq!(bench.json("run/run.json")["retrieval"]["engine"], "lexical search (BM25)");
    assert_eq!(bench.json("run/adapter/prompt_contract.json")["demonstrations"]["k"], 2);
    reported(&bench);
    let trained = bench.read("run/predictions.valid.jsonl");
    bench.run(&[&["eval", "recipe.toml", "--run", "run"][..], &set].concat()).done();
    assert_eq!(bench.read("run/predictions.eval-valid.jsonl"), trained);
    let said = bench
        .run(&[&["eval", "recipe.toml", "--run", "run"][..], &set, &["--set", "retrieval.k=1"]].concat());
    assert_eq!(said.code, 3, "{}", said.err);

    let said = run("other", &["--set", "retrieval.bank=nowhere"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("nowhere"), "{}", said.err);
    let said = run("encoder", &["--set", "retrieval.encoder=all-MiniLM-L6-v2"]);
    assert_ne!(said.code, 0);
    assert!(said.err.contains("all-MiniLM-L6-v2"), "{}", said.err);
}
