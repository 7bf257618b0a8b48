//! Knowledge in prompts, from the recipe to the report.

use serde_json::{Value, json};

use crate::workbench::{LABELS, Workbench, material};

/// A template that shows two sources.
const TEMPLATE: &str = "\
{% block system %}Labels: {{ label_list }}{% endblock %}
{% block user %}{{ speaker }}{% if trait %} ({{ trait }}){% endif %}: {{ utterance }}{% if mood %} <{{ mood }}>{% endif %}{% endblock %}
";

const SOURCES: &str = "
[[knowledge]]
name = \"mood\"
path = \"mood.{split}.jsonl\"
availability = \"online\"

[[knowledge]]
name = \"trait\"
path = \"trait.{split}.json\"
level = \"speaker\"
";

/// The dialogues of one of the workbench's files.
fn dialogues(split: &str) -> Vec<Value> {
    let text = fs_err::read_to_string(material().join(format!("{split}.jsonl"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Moods as JSON lines and traits as JSON for these dialogues.
fn texts(dialogues: &[Value]) -> [String; 2] {
    let (mut moods, mut traits) = (String::new(), serde_json::Map::new());
    for dialogue in dialogues {
        let utterances = dialogue["utterances"].as_array().unwrap();
        for position in 0..utterances.len() {
            let row =
                json!({ "dialogue": dialogue["id"], "position": position, "mood": format!("m{position}") });
            moods += &row.to_string();
            moods.push('\n');
        }
        let of = |utterance: &Value| json!(format!("{} hums", utterance["speaker"].as_str().unwrap()));
        traits.insert(dialogue["id"].as_str().unwrap().to_owned(), utterances.iter().map(of).collect());
    }
    [moods, Value::Object(traits).to_string()]
}

fn bench() -> Workbench {
    let bench = Workbench::new();
    bench.write("shown.jinja", TEMPLATE);
    let recipe = bench.read("recipe.toml");
    let template = format!("template = \"{}/short.jinja\"\nhistory_window = 2", material().display());
    let shown = recipe.replace(&template, "template = \"shown.jinja\"\nhistory_window = 0");
    assert_ne!(shown, recipe);
    bench.write("recipe.toml", &format!("{shown}{SOURCES}"));
    for split in ["train", "valid", "test"] {
        let [moods, traits] = texts(&dialogues(split));
        bench.write(&format!("mood.{split}.jsonl"), &moods);
        bench.write(&format!("trait.{split}.json"), &traits);
    }
    bench
}

#[test]
fn a_run_shows_its_knowledge_and_says_what_its_scores_were_made_with() {
    let bench = bench();
    let said = bench.run(&["inspect", "recipe.toml", "--split", "valid", "--id", "valid-1#2"]).done();
    assert!(said.out.contains("Mara (Mara hums): ") && said.out.contains("<m2>"), "{}", said.out);
    let said = bench.train("run", &["--set", "train.max_steps=2"]).done();
    assert!(said.err.contains("mood (online): 12 of 12 utterances"), "{}", said.err);
    assert!(
        said.out.contains("made offline: prompts show mood (online, 12 of 12 by utterance), trait (offline, 8 of 8 by speaker)"),
        "{}",
        said.out
    );
    let context = &bench.json("run/report.json")["after"][0]["context"];
    assert_eq!(context["availability"], "offline");
    assert_eq!(context["knowledge"][1]["name"], "trait");
    let record = &bench.json("run/run.json")["knowledge"]["valid"];
    assert_eq!(
        (&record[0]["name"], &record[0]["wanted"], &record[0]["missing"]),
        (&json!("mood"), &json!(12), &json!(0))
    );
    assert_eq!(bench.json("run/adapter/prompt_contract.json")["knowledge"], json!(["mood", "trait"]));
    bench.run(&["report", "run"]).done();
    let page = bench.read("run/report.html");
    for part in ["Knowledge: <bdi>mood", "Mara hums", "Knowledge sources", "offline: something in them"] {
        assert!(page.contains(part), "{part}");
    }

    let eval = |more: &[&str]| bench.run(&[&["eval", "recipe.toml", "--run", "run"][..], more].concat());
    eval(&[]).done();
    assert_eq!(bench.read("run/predictions.eval-valid.jsonl"), bench.read("run/predictions.valid.jsonl"));
    let said = eval(&["--set", "prompt.slots=[\"mood\"]"]);
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("the knowledge in the prompt was mood, trait and is mood"), "{}", said.err);

    let own = dialogues("test");
    let lines: Vec<String> =
        own.iter().map(|dialogue| format!("{dialogue}\n").replace("test-", "new-")).collect();
    bench.write("new.jsonl", &lines.concat());
    let predict = |more: &[&str]| {
        bench.run(&[&["predict", "recipe.toml", "--run", "run", "--input", "new.jsonl"][..], more].concat())
    };
    let said = predict(&[]);
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("--knowledge mood=FILE --knowledge trait=FILE"), "{}", said.err);
    assert!(said.err.contains("new-0#0") && said.err.contains("new-3/Jonas"), "{}", said.err);
    let [moods, traits] = texts(&own);
    bench.write("m.jsonl", &moods.replace("test-", "new-"));
    bench.write("t.json", &traits.replace("test-", "new-"));
    let said = predict(&["--knowledge", "mood=m.jsonl", "--knowledge", "trait=t.json"]).done();
    assert!(!said.err.contains("of the training's recipe"), "{}", said.err);
    // Other dialogues with ids of the training.
    bench.write(
        "same.jsonl",
        &lines.concat().replace("new-", "test-").replacen("\"text\":\"", "\"text\":\"So. ", 1),
    );
    let said = bench.run(&["predict", "recipe.toml", "--run", "run", "--input", "same.jsonl"]).done();
    let line = "same.jsonl: the knowledge texts are those of the training's recipe, which a dialogue with an id of the training gets";
    assert!(said.err.contains(line), "{}", said.err);
    let said = predict(&["--knowledge", "mood=m.jsonl", "--knowledge", "trait=t.json"]).done();
    assert_eq!(said.out.lines().count(), 12, "{}", said.out);
    assert_eq!(predict(&["--knowledge", "mood"]).code, 2);
}

#[test]
fn a_run_without_knowledge_of_the_future_is_online() {
    let bench = bench();
    let slots = ["--set", "prompt.slots=[\"mood\", \"label_statement\"]"];
    let said =
        bench.run(&[&["eval", "recipe.toml"][..], &slots[..1], &["prompt.slots=[\"mood\"]"]].concat()).done();
    assert!(
        said.out.contains("made online: prompts show mood (online, 12 of 12 by utterance)"),
        "{}",
        said.out
    );
    // This template's labels are no part that could be taken out.
    let said = bench.run(&[&["eval", "recipe.toml"][..], &slots].concat());
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("prompt.slots names \"label_statement\""), "{}", said.err);
    let said = bench.run(&["check", "recipe.toml", "--set", "prompt.causal=true"]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("refuses the knowledge source \"trait\", which is offline"), "{}", said.err);
    let declared = ["--set", "knowledge.trait.availability=online", "--set", "prompt.causal=true"];
    bench.run(&[&["check", "recipe.toml"][..], &declared].concat()).done();
    let said = bench
        .run(&[
            "eval",
            "recipe.toml",
            "--set",
            "knowledge=[]",
            "--set",
            "prompt.template=plain",
            "--set",
            "train.max_seq_length=500",
        ])
        .done();
    assert!(
        said.out.contains("made online: prompts show what was said until then and nothing else"),
        "{}",
        said.out
    );
}

#[test]
fn gaps_are_told_before_anything_is_trained() {
    let bench = bench();
    let moods = bench.read("mood.valid.jsonl");
    bench.write(
        "mood.valid.jsonl",
        &moods.lines().skip(2).map(|line| format!("{line}\n")).collect::<Vec<_>>().concat(),
    );
    bench.write("trait.test.json", "{}");
    let said = bench.run(&["check", "recipe.toml"]);
    assert_eq!(said.code, 3, "{}", said.err);
    for part in [
        "knowledge.mood has no text for 2 of the 12 utterances",
        "valid-0#0, valid-0#1",
        "has no texts",
        "trait.test.json",
    ] {
        assert!(said.err.contains(part), "{part} is not in\n{}", said.err);
    }
    let said = bench.run(&["recipe.toml", "--dry-run", "--set", "knowledge.mood.required=false"]).done();
    assert!(said.out.contains("2 have none, so their slot is empty: valid-0#0, valid-0#1"), "{}", said.out);
}

#[test]
fn one_file_for_several_splits_must_be_able_to_tell_them_apart() {
    let bench = bench();
    let dialogue = |text: &str| {
        let utterance = json!({ "speaker": "Ada", "text": text, "label": LABELS[0] });
        format!("{}\n", json!({ "id": "d0", "utterances": [utterance] }))
    };
    bench.write("one.jsonl", &dialogue("The first."));
    bench.write("other.jsonl", &dialogue("The second."));
    let row = |split: Option<&str>| {
        let mut row = json!({ "dialogue": "d0", "position": 0, "mood": "calm" });
        if let Some(split) = split {
            row["split"] = json!(split);
        }
        format!("{row}\n")
    };
    bench.write("all.jsonl", &row(None));
    let args = [
        "check",
        "recipe.toml",
        "--set",
        "data.train=one.jsonl",
        "--set",
        "data.valid=other.jsonl",
        "--set",
        "data.test=",
        "--set",
        "knowledge.mood.path=all.jsonl",
        "--set",
        "prompt.slots=[\"mood\"]",
    ];
    let said = bench.run(&args);
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("dialogue d0 is one of train and another of valid"), "{}", said.err);
    bench.write("all.jsonl", &format!("{}{}", row(Some("train")), row(Some("valid"))));
    bench.run(&args).done();
}
