//! Recipes for the ideas of neighbours: every one is knowledge, a part of the prompt or a further question, and nothing
//! else.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::workbench::Workbench;

fn recipes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes")
}

/// The dialogues of the quickstart's validation split.
fn dialogues() -> Vec<Value> {
    let text = fs_err::read_to_string(recipes().join("quickstart/valid.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What `inspect` shows of the second utterance of the first dialogue, with texts for the sources by file.
fn shown(name: &str, sources: &[&str], more: &[&str]) -> (i32, String) {
    let bench = Workbench::new();
    let mut texts = String::new();
    for dialogue in dialogues() {
        for (position, utterance) in dialogue["utterances"].as_array().unwrap().iter().enumerate() {
            let mut row = json!({ "dialogue": dialogue["id"], "position": position });
            let is_first = dialogue["utterances"].as_array().unwrap()[..position]
                .iter()
                .all(|earlier| earlier["speaker"] != utterance["speaker"]);
            if sources == ["biography"] {
                row = json!({ "dialogue": dialogue["id"], "speaker": utterance["speaker"] });
            }
            for source in sources {
                row[*source] = json!(format!("({source} of {})", utterance["speaker"].as_str().unwrap()));
            }
            if sources != ["biography"] || is_first {
                texts += &row.to_string();
                texts.push('\n');
            }
        }
    }
    bench.write("texts.jsonl", &texts);
    let recipe = recipes().join(format!("neighbours/{name}.toml")).display().to_string();
    let id = format!("{}#1", dialogues()[0]["id"].as_str().unwrap());
    let mut args: Vec<String> =
        ["inspect", &recipe, "--split", "valid", "--id", &id].map(str::to_owned).to_vec();
    for source in sources {
        args.extend(["--set".to_owned(), format!("knowledge.{source}.path=texts.jsonl")]);
    }
    args.extend(more.iter().map(ToString::to_string));
    let said = bench.run(&args.iter().map(String::as_str).collect::<Vec<_>>());
    (said.code, if said.code == 0 { said.out } else { said.err })
}

#[test]
fn texts_of_every_kind_reach_the_prompt() {
    let speaker = dialogues()[0]["utterances"][1]["speaker"].as_str().unwrap().to_owned();
    for (name, sources, head) in [
        ("biography", &["biography"][..], format!("About {speaker}: ")),
        ("cues", &["voice", "face"], "The voice: ".to_owned()),
        ("hint", &["hint"], "The guess: ".to_owned()),
        ("rationale", &["rationale"], "The thoughts: ".to_owned()),
    ] {
        let (code, said) = shown(name, sources, &[]);
        assert_eq!(code, 0, "{name}: {said}");
        assert!(said.contains(&head), "{name}: {said}");
        for source in sources {
            assert!(said.contains(&format!("({source} of {speaker})")), "{name}: {said}");
        }
        let slots = "prompt.slots=[\"instruction\", \"history\", \"label_statement\"]";
        let (code, said) = shown(name, sources, &["--set", slots]);
        assert_eq!(code, 0, "{name}: {said}");
        assert!(!said.contains(&head), "{name}: {said}");
        assert!(sources.iter().all(|source| !said.contains(&format!("({source} of "))), "{name}: {said}");
    }
}

#[test]
fn a_stimulus_is_a_part_that_can_be_taken_out() {
    for (name, text) in [("stimulus", "matters to me"), ("negative_stimulus", "I do not expect")] {
        let (code, said) = shown(name, &[], &[]);
        assert!(code == 0 && said.contains(text), "{name}: {said}");
        let slots = "prompt.slots=[\"instruction\", \"history\", \"label_statement\"]";
        let (code, said) = shown(name, &[], &["--set", slots]);
        assert!(code == 0 && !said.contains(text), "{name}: {said}");
        assert!(said.contains("tell what the last speaker feels"), "{name}: {said}");
    }
}

#[test]
fn without_texts_the_recipe_says_where_they_are_missing() {
    let (code, said) = shown("hint", &[], &[]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("checkpoints/knowledge/hint.valid.jsonl"), "{said}");
}

#[test]
fn further_questions_are_for_training_alone() {
    let bench = Workbench::new();
    let recipe = recipes().join("neighbours/instructerc.toml").display().to_string();
    let count = |split: &str| {
        let text = fs_err::read_to_string(recipes().join(format!("quickstart/{split}.jsonl"))).unwrap();
        text.matches("\"speaker\"").count()
    };
    let said = bench.run(&[&recipe, "--dry-run"]).done();
    let (train, valid) = (count("train"), count("valid"));
    let (who, next) = (train.div_ceil(2), (train as f64 / 4.0).round());
    let kinds = format!("of these {train} emotion, {who} speaker_identification, {next} emotion_impact");
    assert!(said.out.contains(&kinds), "{kinds} is not in\n{}", said.out);
    assert!(said.out.contains(&format!("valid       {valid} samples")), "{}", said.out);
    assert!(!said.out.contains("shortened"), "{}", said.out);
    for (task, question) in
        [("speaker_identification", "Who is it?"), ("emotion_impact", "is about to answer.")]
    {
        let said = bench.run(&["inspect", &recipe, "--task", task, "--limit", "1"]).done();
        assert!(said.out.contains(question), "{}", said.out);
    }
}
