use emotrain_base::write_atomic;
use emotrain_data::{DataInput, Dialogue, DialogueReader, LabelPolicy};
use emotrain_recipe::DataFormat;
use serde_json::{Value, json};

use super::*;
use crate::fixture::{dialogue, meld, section};
use crate::given::Given;
use crate::wheel::Wheel;

/// The lines of a file with these dialogues, all labelled.
fn jsonl(dialogues: &[Dialogue]) -> String {
    let line = |dialogue: &Dialogue| {
        let utterances = dialogue.utterances.iter().map(|utterance| {
            let label = utterance.label.map(|label| meld().name(label).to_owned());
            json!({ "speaker": utterance.speaker, "text": utterance.text, "label": label })
        });
        format!("{}\n", json!({ "id": dialogue.id, "utterances": utterances.collect::<Vec<_>>() }))
    };
    dialogues.iter().map(line).collect()
}

fn scorer(keys: &str) -> DifficultyScorer {
    DifficultyScorer::new(&section(keys), &meld(), &Wheel::builtin(), 42).unwrap()
}

#[test]
fn scores_are_written_and_can_be_given_back_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data.jsonl"), folder.path().join("scores.jsonl"));
    let dialogues = [
        dialogue("stormy", "A neutral, B joy, A anger, A sadness, B joy, C fear, C neutral"),
        dialogue("calm", "A joy, B joy"),
    ];
    write_atomic(&data, jsonl(&dialogues).as_bytes()).unwrap();
    let labels = meld();
    let input = DataInput::File(&data);
    let stream = DialogueReader::open(input, DataFormat::Jsonl, &labels, LabelPolicy::Required).unwrap();
    let mut writer = JsonlWriter::create(&out).unwrap();
    assert_eq!(write_scores(&mut scorer(""), stream, &mut writer).unwrap(), 2);
    writer.finish().unwrap();

    let text = fs_err::read_to_string(&out).unwrap();
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let keys: Vec<_> = first.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["id", "dif", "wes_same", "wes_diff", "n_shift_same", "n_shift_diff", "n_utt", "n_spk"];
    assert_eq!(keys, expected);

    let given = Given::read(&out).unwrap();
    let keys = "name = \"file\"\ndifficulty_file = \"scores.jsonl\"";
    let again = scorer(keys).with_given(given).all(&dialogues).unwrap();
    let scores = scorer("").all(&dialogues).unwrap();
    assert_eq!(again, scores);
}

#[test]
fn errors_of_the_data_come_through() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data.jsonl"), folder.path().join("scores.jsonl"));
    let bad = jsonl(&[dialogue("a", "A joy")]).replace("joy", "joyy");
    write_atomic(&data, bad.as_bytes()).unwrap();
    let labels = meld();
    let mut writer = JsonlWriter::create(&out).unwrap();
    let input = DataInput::File(&data);
    let stream = DialogueReader::open(input, DataFormat::Jsonl, &labels, LabelPolicy::Required).unwrap();
    let error = write_scores(&mut scorer(""), stream, &mut writer).unwrap_err();
    assert!(error.to_string().ends_with("data.jsonl:1: utterance a#0: unknown label \"joyy\""), "{error}");
    assert!(error.hint().unwrap().starts_with("did you mean \"joy\"? data.label_aliases = "));
}
