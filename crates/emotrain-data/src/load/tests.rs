#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes snapshots with them")]

mod chat;
mod dailydialog;
mod emorynlp;
mod faults;
mod jsonl;
mod kept;
mod looks;
mod meld_csv;
mod own_tables;
mod parts;
mod prc_json;
mod slips;
mod stream;
mod survey;
mod tables;
mod text;
mod unlabelled;

use std::fmt::Write as _;
use std::path::Path;

use emotrain_recipe::{DataFormat, LabelSetName, Recipe};
use expect_test::{Expect, expect};
use tempfile::TempDir;

use super::{LabelPolicy, load_split, load_text};
use crate::error::DataError;
use crate::label::LabelSet;
use crate::split::Split;

/// A folder with these files, removed on drop.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs_err::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

/// A split, or its error and hint, as text; paths relative to `folder`.
fn shown(result: Result<Split, DataError>, labels: &LabelSet, folder: &Path) -> String {
    let mut shown = String::new();
    match result {
        Ok(split) => {
            for dialogue in &split.dialogues {
                writeln!(shown, "{}", dialogue.id).unwrap();
                for utterance in &dialogue.utterances {
                    let label = utterance.label.map_or("-", |label| labels.name(label));
                    writeln!(shown, "  {}: {} [{label}]", utterance.speaker, utterance.text).unwrap();
                }
            }
            writeln!(shown, "mended {}", split.mended).unwrap();
        }
        Err(error) => {
            writeln!(shown, "{error}").unwrap();
            if let Some(hint) = error.hint() {
                writeln!(shown, "hint: {hint}").unwrap();
            }
        }
    }
    shown.replace(&format!("{}/", folder.display()), "").replace(&folder.display().to_string(), "(folder)")
}

/// Reads `text` as a file of `format` with labels required.
fn check(format: DataFormat, set: LabelSetName, text: &str, expected: &Expect) {
    check_bytes((format, set, LabelPolicy::Required), text.as_bytes(), expected);
}

/// Reads `text` as a file of `format` with optional labels.
fn check_unlabelled(format: DataFormat, set: LabelSetName, text: &str, expected: &Expect) {
    check_bytes((format, set, LabelPolicy::Optional), text.as_bytes(), expected);
}

fn check_bytes(how: (DataFormat, LabelSetName, LabelPolicy), bytes: &[u8], expected: &Expect) {
    let (format, set, policy) = how;
    let labels = LabelSet::builtin(set);
    let folder = folder(&[("file", bytes)]);
    let result = load_split(&folder.path().join("file"), format, &labels, policy);
    expected.assert_eq(&shown(result, &labels, folder.path()));
}

/// A `[data]` section with these keys.
fn section(keys: &str) -> emotrain_recipe::DataSection {
    let text = format!(
        "[model]\nmodel_name_or_path = \"x/y\"\n[data]\ntrain = \"t\"\n{keys}\n[eval]\nload_best_model_at_end = false\n"
    );
    let recipe: Recipe = emotrain_recipe::parse(&text, "r.toml".as_ref(), &[]).unwrap();
    recipe.data
}

/// Reads a text according to the section.
fn check_section(keys: &str, text: &str, expected: &Expect) {
    let section = section(keys);
    let labels = LabelSet::from_section(&section).unwrap();
    let folder = folder(&[("file", text.as_bytes())]);
    let result = load_split(&folder.path().join("file"), &section, &labels, section.unlabelled.into());
    expected.assert_eq(&shown(result, &labels, folder.path()));
}

/// The formats read from a single file.
const FILE_FORMATS: [DataFormat; 7] = [
    DataFormat::Jsonl,
    DataFormat::Chat,
    DataFormat::Csv,
    DataFormat::Tsv,
    DataFormat::MeldCsv,
    DataFormat::PrcJson,
    DataFormat::Emorynlp,
];

#[test]
fn every_format_names_a_missing_file() {
    for format in FILE_FORMATS.into_iter().chain([DataFormat::Dailydialog]) {
        let folder = folder(&[]);
        let labels = LabelSet::builtin(LabelSetName::Meld);
        let result = load_split(&folder.path().join("absent.txt"), format, &labels, LabelPolicy::Required);
        assert_eq!(
            shown(result, &labels, folder.path()),
            "absent.txt: no such file\nhint: paths in a recipe are relative to the recipe's own folder\n"
        );
    }
}

#[test]
fn every_format_refuses_an_empty_file() {
    for format in FILE_FORMATS {
        check(
            format,
            LabelSetName::Meld,
            "",
            &expect![[r#"
                file: has no dialogues
                hint: name a file with at least one; data.format says how it is read
            "#]],
        );
        check(
            format,
            LabelSetName::Meld,
            " \n\n",
            &expect![[r#"
                file: has no dialogues
                hint: name a file with at least one; data.format says how it is read
            "#]],
        );
    }
}

#[test]
fn every_format_refuses_other_encodings_with_their_line() {
    for format in FILE_FORMATS {
        check_bytes(
            (format, LabelSetName::Meld, LabelPolicy::Required),
            b"one line\nit\x92s another\n",
            &expect![[r#"
                file:2: is not valid UTF-8 (byte 0x92)
                hint: save the file as UTF-8; spreadsheets often write Windows-1252: iconv -f WINDOWS-1252 -t UTF-8
            "#]],
        );
    }
}

#[test]
fn a_folder_is_not_a_file() {
    let folder = folder(&[]);
    let labels = LabelSet::builtin(LabelSetName::Meld);
    for format in FILE_FORMATS {
        let result = load_split(folder.path(), format, &labels, LabelPolicy::Required);
        expect![[r#"
            (folder): is a folder, not a file
            hint: name the file inside it
        "#]]
        .assert_eq(&shown(result, &labels, folder.path()));
    }
}

#[test]
fn plain_text_has_no_dialogues() {
    check(
        DataFormat::Text,
        LabelSetName::Meld,
        "Once upon a time.",
        &expect![[r#"
            file: the text format has no dialogues
            hint: plain text is for language-model training; choose another data.format for dialogues
        "#]],
    );
}
