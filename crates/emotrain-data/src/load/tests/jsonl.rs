use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert_eq, proptest};
use serde_json::json;

use super::*;
use crate::dialogue::{Dialogue, Utterance};
use crate::label::Label;
use crate::load::{DataInput, DialogueReader};
use crate::mend::clean;

fn check_jsonl(text: &str, expected: &Expect) {
    check(DataFormat::Jsonl, LabelSetName::Meld, text, expected);
}

#[test]
fn one_dialogue_a_line() {
    check_jsonl(
        concat!(
            "\u{feff}",
            r#"{"id":"tea","utterances":[{"speaker":"Maya","text":" It\u0092s boiling over! ","label":"Surprise"},"#,
            r#"{"speaker":"Tom","text":"Ha, again.","label":"happy"}]}"#,
            "\r\n\r\n",
            r#"{"id":"b#2","utterances":[{"text":"Bye\u0085","speaker":"Maya\u0092s aunt","label":"no emotion"}]}"#,
        ),
        &expect![[r#"
            tea
              Maya: It’s boiling over! [surprise]
              Tom: Ha, again. [joy]
            b#2
              Maya’s aunt: Bye… [neutral]
            mended 2
        "#]],
    );
}

#[test]
fn labels_may_be_absent_only_where_they_are_not_required() {
    let text = concat!(
        r#"{"id":"a","utterances":[{"speaker":"Maya","text":"Hm.","label":"joy"},"#,
        r#"{"speaker":"Tom","text":"Hm?"},{"speaker":"Tom","text":"Hm!","label":null}]}"#
    );
    check_unlabelled(
        DataFormat::Jsonl,
        LabelSetName::Meld,
        text,
        &expect![[r#"
            a
              Maya: Hm. [joy]
              Tom: Hm? [-]
              Tom: Hm! [-]
            mended 0
        "#]],
    );
    check_jsonl(
        text,
        &expect![[r#"
            file:1: utterance a#1: has no label
              hint: with data.unlabelled = "context" such utterances are context and not labelled
            file:1: utterance a#2: has no label
        "#]],
    );
    let wrong = text.replace("joy", "bliss");
    check_unlabelled(
        DataFormat::Jsonl,
        LabelSetName::Meld,
        &wrong,
        &expect![[r#"
            file:1: utterance a#0: unknown label "bliss"
            hint: the labels are neutral, surprise, fear, sadness, joy, disgust, anger; data.context_labels = ["bliss"] shows such utterances without labelling them
            data.labels lists others, and data.label_aliases = { bliss = "…" } reads it as one of these; both with data.label_set = "custom"
        "#]],
    );
}

const GOOD: &str = r#"{"id":"a","utterances":[{"speaker":"Maya","text":"Hm.","label":"joy"}]}"#;

/// A file with a valid line, a blank one and `line`.
fn check_third_line(line: &str, expected: &Expect) {
    check_jsonl(&format!("{GOOD}\n\n{line}\n"), expected);
}

#[test]
fn errors_name_the_line() {
    check_third_line(
        GOOD,
        &expect![[r#"
            file:3: dialogue a: the id is used twice, first on line 1
        "#]],
    );
    check_third_line(
        &GOOD.replace(r#""a""#, r#"" ""#),
        &expect![[r#"
            file:3: the dialogue's id is empty
        "#]],
    );
    check_third_line(
        &GOOD.replace(r#""a""#, "7"),
        &expect![[r#"
            a
              Maya: Hm. [joy]
            7
              Maya: Hm. [joy]
            mended 0
        "#]],
    );
    check_third_line(
        r#"{"id":"b","utterances":[]}"#,
        &expect![[r#"
            file:3: dialogue b: the dialogue has no utterances
        "#]],
    );
    check_third_line(
        r#"{"id":"b"}"#,
        &expect![[r#"
            file:3: missing field `utterances`
        "#]],
    );
    check_third_line(
        r#"{"id":"b","id":"c","utterances":[]}"#,
        &expect![[r#"
            file:3: duplicate field `id`
        "#]],
    );
}

#[test]
fn other_forms_are_refused() {
    check_third_line(
        "7",
        &expect![[r#"
            file:3: expected an object with `id` and `utterances`, not the number 7
        "#]],
    );
    check_third_line(
        "[1, 2",
        &expect![[r#"
            file:3: is a JSON list, not JSON lines
            hint: write one dialogue or entry a line: jq -c '.[]' FILE
        "#]],
    );
    check_third_line(
        r#"{"id":"b",,}"#,
        &expect![[r#"
            file:3: a comma follows the last entry, which JSON does not have
            hint: leave out the comma before the closing bracket
        "#]],
    );
    check_third_line(
        r#"{"id":"b","utterances":[]} {}"#,
        &expect![[r#"
            file:3: several JSON values on one line
            hint: write one dialogue or entry a line: jq -c . FILE
        "#]],
    );
}

#[test]
fn errors_name_the_utterance() {
    let check_second = |utterance: &str, expected: &Expect| {
        let first = r#"{"speaker":"Maya","text":"Hm.","label":"joy"}"#;
        check_jsonl(&format!(r#"{{"id":"a","utterances":[{first},{utterance}]}}"#), expected);
    };
    check_second(
        r#"{"speaker":"Tom","text":"So.","label":"joyy"}"#,
        &expect![[r#"
            file:1: utterance a#1: unknown label "joyy"
            hint: did you mean "joy"? data.label_aliases = { joyy = "joy" } reads them so
            data.labels lists other labels; both keys are for data.label_set = "custom"
        "#]],
    );
    check_second(
        r#"{"speaker":"Tom","text":"So.","label":"bored"}"#,
        &expect![[r#"
            file:1: utterance a#1: unknown label "bored"
            hint: the labels are neutral, surprise, fear, sadness, joy, disgust, anger; data.context_labels = ["bored"] shows such utterances without labelling them
            data.labels lists others, and data.label_aliases = { bored = "…" } reads it as one of these; both with data.label_set = "custom"
        "#]],
    );
    check_second(
        r#"{"speaker":"Tom","text":"So.","label":""}"#,
        &expect![[r#"
            file:1: utterance a#1: has no label
            hint: with data.unlabelled = "context" such utterances are context and not labelled
        "#]],
    );
    check_second(
        r#"{"speaker":"Tom","text":" \u0081 ","label":"joy"}"#,
        &expect![[r#"
            file:1: utterance a#1: the utterance is empty
        "#]],
    );
    check_second(
        r#"{"speaker":" ","text":"So.","label":"joy"}"#,
        &expect![[r#"
            file:1: utterance a#1: the speaker's name is empty
        "#]],
    );
    check_second(
        r#"{"speaker":"Tom","text":"So.","emotion":"joy"}"#,
        &expect![[r#"
            file:1: utterance a#1: has no label
            hint: with data.unlabelled = "context" such utterances are context and not labelled
        "#]],
    );
    check_second(
        r#"{"speaker":"Tom","label":"joy"}"#,
        &expect![[r#"
            file:1: utterance 1: missing field `text`
            hint: columns = { text = "…" } under [data] names the key that has it
        "#]],
    );
}

/// Text as it is after reading: repaired, trimmed, not empty.
fn repaired() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| clean(&text).0.into_owned()).prop_filter("empty", |text| !text.is_empty())
}

fn dialogues() -> impl Strategy<Value = Vec<Dialogue>> {
    let label = proptest::option::of((0..7_usize).prop_map(Label::from_index));
    let utterance = (repaired(), repaired(), label)
        .prop_map(|(speaker, text, label)| Utterance::new(speaker, text, label));
    let by_id = proptest::collection::btree_map("[a-z#\"{}]{1,6}", vec(utterance, 1..6), 1..6);
    by_id.prop_map(|by_id| by_id.into_iter().map(|(id, utterances)| Dialogue::new(id, utterances)).collect())
}

/// The lines of a file with these dialogues.
fn to_jsonl(dialogues: &[Dialogue], labels: &LabelSet) -> String {
    let utterance = |Utterance { speaker, text, label, .. }: &Utterance| match label {
        Some(label) => json!({ "speaker": speaker, "text": text, "label": labels.name(*label) }),
        None => json!({ "speaker": speaker, "text": text }),
    };
    let line = |Dialogue { id, utterances, .. }: &Dialogue| {
        let utterances: Vec<_> = utterances.iter().map(utterance).collect();
        format!("{}\n", json!({ "id": id, "utterances": utterances }))
    };
    dialogues.iter().map(line).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_back(dialogues in dialogues()) {
        let labels = LabelSet::builtin(LabelSetName::Meld);
        let folder = folder(&[("file", to_jsonl(&dialogues, &labels).as_bytes())]);
        let split = load_split(&folder.path().join("file"), DataFormat::Jsonl, &labels, LabelPolicy::Optional).unwrap();
        prop_assert_eq!(split.mended, 0);
        prop_assert_eq!(split.dialogues, dialogues);
    }
}

/// The stream's result for the same bytes.
fn streamed(bytes: &[u8]) -> Result<Vec<Dialogue>, String> {
    let folder = folder(&[("file", bytes)]);
    let labels = LabelSet::builtin(LabelSetName::Meld);
    let path = folder.path().join("file");
    let dialogues =
        DialogueReader::open(DataInput::File(&path), DataFormat::Jsonl, &labels, LabelPolicy::Required);
    let dialogues = dialogues.unwrap();
    dialogues.collect::<Result<_, _>>().map_err(|error| {
        let shown = error.to_string();
        shown.replace(&format!("{}/", folder.path().display()), "")
    })
}

#[test]
fn the_stream_reads_what_the_whole_file_holds() {
    let sound =
        r#"{"id":" tea ","utterances":[{"speaker":"Maya","text":" It\u0092s hot ","label":"Surprise"}]}"#;
    let other = sound.replace("tea", "b#2");
    for bytes in [
        format!("\u{feff}{sound}\r\n\r\n{other}").into_bytes(),
        format!("\u{feff}\n\u{a0}\n{sound}").into_bytes(),
        format!("{sound}\n{{\"id\":\"x\"}}\n").into_bytes(),
        format!("{sound}\n{{\"id\":\"x\", \n").into_bytes(),
        format!("\n{}", sound.replace(" tea ", " ")).into_bytes(),
        format!("\n{}", other.replace("Surprise", "joyy")).into_bytes(),
        format!("\n{}", other.replace("Maya", " ")).into_bytes(),
        [sound.as_bytes(), b"\n", b"{\"id\":\"caf\xe9\"}"].concat(),
        br#"{"id":"x","utterances":[]}"#.to_vec(),
    ] {
        let folder = folder(&[("file", &bytes)]);
        let labels = LabelSet::builtin(LabelSetName::Meld);
        let whole =
            load_split(&folder.path().join("file"), DataFormat::Jsonl, &labels, LabelPolicy::Required);
        let whole = whole
            .map(|split| split.dialogues)
            .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""));
        assert_eq!(streamed(&bytes), whole);
    }
    assert_eq!(streamed(format!("{sound}\n{other}").as_bytes()).unwrap().len(), 2);
    assert_eq!(streamed(b"\n"), Ok(Vec::new()));
    let labels = LabelSet::builtin(LabelSetName::Meld);
    let nowhere = DataInput::File("nowhere.jsonl".as_ref());
    let missing = DialogueReader::open(nowhere, DataFormat::Jsonl, &labels, LabelPolicy::Required);
    let missing = missing.err().unwrap();
    assert_eq!(missing.to_string(), "nowhere.jsonl: no such file");
}

#[test]
fn numbers_are_names_of_labels_before_they_are_their_places() {
    check_section(
        "label_set = \"custom\"\nlabels = [\"-1\", \"1\", \"2\"]",
        r#"{"id":"a","utterances":[{"speaker":"A","text":"Hm.","label":1},{"speaker":"A","text":"Ho.","label":-1},{"speaker":"A","text":"He.","label":2}]}"#,
        &expect![[r#"
            a
              A: Hm. [1]
              A: Ho. [-1]
              A: He. [2]
            mended 0
        "#]],
    );
}
