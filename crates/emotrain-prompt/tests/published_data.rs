//! The paper's prompt on published data, if available: set `EMOTRAIN_DATA_DIR` to a folder with `meld.valid.json` and
//! its interpretations and characteristics in PRC-Emo's format.

#![expect(clippy::unwrap_used, reason = "a test, and helpers of tests fail as tests do")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use emotrain_data::{
    Knowledge, LabelPolicy, LabelSet, ShownDemonstration, Split, SplitKind, load_knowledge, load_split,
};
use emotrain_prompt::{Prompt, PromptInput, Template};
use emotrain_recipe::{DataFormat, LabelSetName, Recipe};

fn recipe(folder: &Path) -> Recipe {
    let text = r#"
[model]
model_name_or_path = "none"
[data]
train = "meld.train.json"
valid = "meld.valid.json"
format = "prc_json"
[prompt]
template = "prc_emo"
[[knowledge]]
name = "characteristic"
path = "meld.{split}.characteristics.qwen3-14b.json"
level = "speaker"
[[knowledge]]
name = "explicit"
path = "meld.{split}.interpretations.qwen3-14b.json"
required = false
[[knowledge]]
name = "implicit"
path = "meld.{split}.interpretations.qwen3-14b.json"
required = false
"#;
    emotrain_recipe::parse(text, &folder.join("erc.toml"), &[]).unwrap()
}

/// Every slot of one utterance's prompt.
fn check(prompt: &Prompt, split: &Split, knowledge: &[Knowledge], (number, position): (usize, usize)) {
    let dialogue = &split.dialogues[number];
    let id = dialogue.utterance_id(position);
    let has = |text: &str| assert!(prompt.system.contains(text), "{id} lacks {text:?}:\n{}", prompt.system);
    let utterance = &dialogue.utterances[position];
    has("You are an attentive reader");
    has("An emotion may be explicit or implicit.");
    has("- \"We won!\": joy\n");
    has("neutral, surprise, fear, sadness, joy, disgust, anger");
    for earlier in &dialogue.utterances[position.saturating_sub(5)..position] {
        has(&format!("\n{}: {}\n", earlier.speaker, earlier.text));
    }
    let heads =
        [format!("What {} is like: ", utterance.speaker), "(explicit): ".into(), "(implicit): ".into()];
    for (head, source) in heads.iter().zip(knowledge) {
        let text = source.text(dialogue, position);
        assert_eq!(prompt.system.contains(head), !text.is_empty(), "{id}: {head}");
        has(text);
    }
    assert!(prompt.user.contains(&utterance.text) && prompt.user.contains(&utterance.speaker), "{id}");
    assert!(!prompt.system.contains("\n\n\n"), "{id}:\n{}", prompt.system);
}

#[test]
fn every_utterance_of_meld_gets_every_slot() {
    let Some(folder) = std::env::var_os("EMOTRAIN_DATA_DIR").map(PathBuf::from) else {
        println!("skipped: EMOTRAIN_DATA_DIR is not set");
        return;
    };
    let begin = Instant::now();
    let (recipe, labels) = (recipe(&folder), LabelSet::builtin(LabelSetName::Meld));
    let split =
        load_split(&folder.join("meld.valid.json"), DataFormat::PrcJson, &labels, LabelPolicy::Required)
            .unwrap();
    let load = |section| load_knowledge(section, &split, SplitKind::Valid).unwrap();
    let knowledge: Vec<Knowledge> = recipe.knowledge.iter().map(load).collect();
    let template = Template::new(&recipe.prompt, &recipe.knowledge).unwrap();
    let example =
        ShownDemonstration { text: "We won!".into(), label: "joy".into(), source: None, score: None };
    let mut count = 0;
    for (number, dialogue) in split.dialogues.iter().enumerate() {
        for position in 0..dialogue.utterances.len() {
            let texts: Vec<&str> = knowledge.iter().map(|source| source.text(dialogue, position)).collect();
            let input = PromptInput {
                dialogue,
                position,
                labels: &labels,
                history: recipe.prompt.history_window,
                future: recipe.prompt.future_window,
                demonstrations: std::slice::from_ref(&example),
                knowledge: &texts,
            };
            check(&template.render(&input).unwrap(), &split, &knowledge, (number, position));
            count += 1;
        }
    }
    let took = begin.elapsed();
    println!("read, rendered and checked {count} prompts in {took:?}");
    assert_eq!(count, 1_109);
    assert!(took < Duration::from_secs(2), "{took:?}");
}
