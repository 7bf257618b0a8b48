//! The readers on published data, if available: set `EMOTRAIN_DATA_DIR` to a folder with `meld.train.json` and
//! `meld.valid.json` in PRC-Emo's format, and PRC-Emo's knowledge.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test, and it must say that it skips")]

use std::path::PathBuf;
use std::time::Instant;

use emotrain_data::{
    Dialogue, LabelPolicy, LabelSet, Split, SplitKind, Utterance, check_disjoint, load_knowledge, load_split,
    near_copies, write_jsonl,
};
use emotrain_recipe::{
    Availability, DataFormat, KnowledgeLevel, KnowledgeSection, LabelSetName, SharedDialogues,
};
use serde_json::json;

fn meld(file: &str) -> Option<Split> {
    let Some(folder) = std::env::var_os("EMOTRAIN_DATA_DIR") else {
        println!("skipped: EMOTRAIN_DATA_DIR is not set");
        return None;
    };
    let labels = LabelSet::builtin(LabelSetName::Meld);
    let start = Instant::now();
    let split =
        load_split(&PathBuf::from(folder).join(file), DataFormat::PrcJson, &labels, LabelPolicy::Required)
            .unwrap();
    println!("read in {:?}\n{}", start.elapsed(), split.summary(&labels));
    Some(split)
}

fn check(split: &Split, dialogues: usize, utterances: usize) {
    assert_eq!(split.dialogues.len(), dialogues);
    assert_eq!(split.utterance_count(), utterances);
    assert!(split.mended > utterances / 10, "only {} utterances were mended", split.mended);
    for utterance in split.dialogues.iter().flat_map(|dialogue| &dialogue.utterances) {
        let stray = |text: &str| text.chars().any(|character| ('\u{80}'..='\u{9f}').contains(&character));
        assert!(!stray(&utterance.text) && !stray(&utterance.speaker), "{utterance:?}");
        assert_eq!(utterance.text, utterance.text.trim());
    }
}

#[test]
fn meld_is_read_whole() {
    let (Some(train), Some(valid)) = (meld("meld.train.json"), meld("meld.valid.json")) else { return };
    check(&train, 1_038, 9_989);
    check(&valid, 114, 1_109);
    let check = |splits: &[&Split]| check_disjoint(splits, DataFormat::PrcJson, SharedDialogues::Refuse);
    assert_eq!(check(&[&train, &valid]).unwrap(), []);
    check(&[&train, &train]).unwrap_err();
    let start = Instant::now();
    let near = near_copies(&[&train, &valid]);
    println!("near copies looked for in {:?}", start.elapsed());
    assert_eq!(near, []);
}

#[test]
fn meld_survives_our_own_format() {
    let Some(valid) = meld("meld.valid.json") else { return };
    let labels = LabelSet::builtin(LabelSetName::Meld);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("valid.jsonl");
    let utterance = |utterance: &Utterance| {
        let label = utterance.label.map(|label| labels.name(label));
        json!({ "speaker": utterance.speaker, "text": utterance.text, "label": label })
    };
    let row = |dialogue: &Dialogue| json!({ "id": dialogue.id, "utterances": dialogue.utterances.iter().map(utterance).collect::<Vec<_>>() });
    let rows: Vec<_> = valid.dialogues.iter().map(row).collect();
    write_jsonl(&path, &rows).unwrap();
    let again = load_split(&path, DataFormat::Jsonl, &labels, LabelPolicy::Required).unwrap();
    assert_eq!(again.dialogues, valid.dialogues);
    assert_eq!(again.mended, 0);
}

#[test]
fn interpretations_and_characteristics_of_meld_are_joined_by_id() {
    let Some(valid) = meld("meld.valid.json") else { return };
    let folder = PathBuf::from(std::env::var_os("EMOTRAIN_DATA_DIR").unwrap());
    let load = |name: &str, level, file: &str, required| {
        let section = KnowledgeSection {
            name: name.to_owned(),
            path: folder.join(file),
            level,
            required,
            field: None,
            availability: Availability::Auto,
            query: None,
        };
        load_knowledge(&section, &valid, SplitKind::Valid)
    };
    let file = "meld.{split}.interpretations.qwen3-14b.json";
    let characteristic =
        load("characteristic", KnowledgeLevel::Speaker, "meld.{split}.characteristics.qwen3-14b.json", true)
            .unwrap();
    println!("{characteristic}");
    assert_eq!(characteristic.coverage.differing, 0);
    for (name, blank) in [("explicit", 1), ("implicit", 3)] {
        let missing = load(name, KnowledgeLevel::Utterance, file, true).unwrap_err().to_string();
        assert!(missing.contains(&format!("no text for {blank} of the 1109 utterances")), "{missing}");
        let knowledge = load(name, KnowledgeLevel::Utterance, file, false).unwrap();
        println!("{knowledge}");
        assert_eq!((knowledge.coverage.wanted, knowledge.coverage.extra), (1_109, 0));
        for dialogue in &valid.dialogues {
            for position in 0..dialogue.utterances.len() {
                let id = dialogue.utterance_id(position).to_string();
                let is_blank = knowledge.text(dialogue, position).is_empty();
                assert_eq!(is_blank, knowledge.coverage.missing.contains(&id), "{id}");
                assert!(!characteristic.text(dialogue, position).is_empty(), "{id}");
            }
        }
    }
}
