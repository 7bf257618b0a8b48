use emotrain_recipe::LabelSetName;
use tempfile::TempDir;

use super::*;

fn file(text: &str) -> (TempDir, TextFile) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    fs_err::write(&path, text).unwrap();
    let file = TextFile::read_rows(&path).unwrap();
    (folder, file)
}

/// What the first row is read as, or what is wrong with it.
fn first<T: std::fmt::Debug>(text: &str, by: impl FnOnce(JsonRow<'_>) -> Result<T, DataError>) -> String {
    let (folder, file) = file(text);
    let read = file.rows("`id`").next().unwrap().and_then(by);
    let shown = read.map_or_else(|error| error.to_string(), |value| format!("{value:?}"));
    shown.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn rows_are_read_as_dialogues_are_and_their_errors_have_lines_and_keys() {
    assert_eq!(first("\n{\"id\": 7}", |mut row| row.name("id").map(|id| (id, row.line()))), "(\"7\", 2)");
    assert_eq!(first("{\"id\": \"\\ud83d\"}", |mut row| row.text("id")), "\"\u{fffd}\"");
    assert_eq!(first("{\"dif\": \"1\"}", |mut row| row.number("dif")), "1.0");
    assert_eq!(
        first("\n\n{\"dif\": null}", |mut row| row.number("dif")),
        "rows.jsonl:3: `dif` should be a finite number, not null"
    );
    assert_eq!(first("{\"idd\": 1}", |mut row| row.name("id")), "rows.jsonl:1: unknown field `idd`");
    assert_eq!(
        first("{\"text\": [\"a\"]}", |mut row| row.text("text")),
        "rows.jsonl:1: `text` should be text, not a list"
    );
    assert_eq!(
        first("{\"context\": \"a\"}", |mut row| row.texts("context")),
        "rows.jsonl:1: `context` should be a list of texts, not text"
    );
    assert_eq!(first("{\"label\": null}", |mut row| row.name_or_none("label")), "\"\"");
    assert_eq!(
        first("id,text\n", |mut row| row.name("id")),
        "rows.jsonl:1: looks like a row of a table, not JSON"
    );
    assert_eq!(
        first("{\"tone\": 1}", |row| row.finish(&["id"])),
        "rows.jsonl:1: unknown field `tone`; the keys are `id`"
    );
}

#[test]
fn labels_are_names_or_numbers_or_not_given_yet() {
    let labels = LabelSet::builtin(LabelSetName::Meld);
    let label = |value: &str| {
        first(&format!("{{\"label\": {value}}}"), |mut row| {
            row.label("label", &labels).map(|label| label.map(|label| labels.name(label).to_owned()))
        })
    };
    assert_eq!(label("\"Happy\""), "Some(\"joy\")");
    assert_eq!(label("4"), "Some(\"joy\")");
    assert_eq!(label("4.0"), "Some(\"joy\")");
    assert_eq!(label("null"), "None");
    assert_eq!(label("\" \""), "None");
    assert_eq!(label("9"), "rows.jsonl:1: label 9 is out of range: the label set has the labels 0 to 6");
    assert_eq!(label("\"bliss\""), "rows.jsonl:1: unknown label \"bliss\"");
    assert_eq!(
        label("[\"joy\"]"),
        "rows.jsonl:1: `label` should be the name or the number of a label, not a list"
    );
}
