//! What a file looks like that is not in the format it was given for.

use std::path::Path;

use csv::StringRecord;
use emotrain_recipe::{ColumnRole, DataFormat, folded};
use serde_json::Value;
use serde_json::value::RawValue;

use super::layout::DataLayout;
use super::other_names::others_of;
use super::other_rows;
use super::separator::separator;
use crate::error::{DataError, DataProblem};
use crate::io::{LineReader, line_problem};

/// How much of a file is looked at, in bytes.
const HEAD: usize = 1 << 16;

/// Lists that only dialogues in JSON lines have.
const LISTS_OF_LINES: [&str; 3] = ["\"utterances\"", "\"messages\"", "\"conversations\""];

/// The columns of published tables, folded.
const PUBLISHED: [&str; 6] = ["utterance", "speaker", "emotion", "dialogue_id", "utterance_id", "scene_id"];

/// The problem of a file that cannot be read as it was given and looks like something else.
pub(super) fn other(text: &str, given: DataLayout<'_>) -> Option<DataProblem> {
    let head = beginning(text);
    if head.starts_with('[') {
        let problem = other_rows::of_list(head);
        if problem != DataProblem::JsonList {
            return Some(problem);
        }
        // Readers of JSON lines say so themselves.
        let is_told = matches!(given.format, DataFormat::Jsonl | DataFormat::Chat);
        let is_document = matches!(given.format, DataFormat::PrcJson | DataFormat::Emorynlp);
        let is_known = !is_document || LISTS_OF_LINES.iter().any(|key| head.contains(key));
        return (is_known && !is_told).then_some(problem);
    }
    if head.starts_with('{')
        && let Some(problem) = other_rows::of_lines(head)
    {
        return Some(problem);
    }
    let format = if head.starts_with('{') { json(head) } else { lines(head, given.format) }?;
    if format == DataFormat::Chat
        && given.format != format
        && let Some(problem) = other_rows::of_chats(head)
    {
        return Some(problem);
    }
    // Columns that are named are meant to be read.
    let is_meant = given.format.has_columns() && !given.columns.is_empty() && format == DataFormat::MeldCsv;
    (format != given.format && !is_meant)
        .then_some(DataProblem::OtherFormat { looks: words(format), format: format.as_str() })
}

/// What a file looks like.
///
/// # Errors
/// A list of JSON, and a file that looks like none of the formats.
pub(super) fn format(text: &str) -> Result<DataFormat, DataProblem> {
    let head = beginning(text);
    if head.starts_with('[') {
        return Err(other_rows::of_list(head));
    }
    let is_json = head.starts_with('{');
    let header = header(head);
    let has_dialogues = header.iter().any(|name| {
        name == ColumnRole::Dialogue.as_str() || others_of(ColumnRole::Dialogue).contains(&name.as_str())
    });
    let rows = if is_json { other_rows::of_lines(head) } else { other_rows::of_keys(&header) };
    if let Some(problem) = rows.filter(|_| is_json || !has_dialogues) {
        return Err(problem);
    }
    let format = if is_json { json(head) } else { lines(head, DataFormat::Csv) };
    format.ok_or_else(|| unread(head))
}

/// The format of own dialogues that a text which begins like this is in, as far as that shows.
pub fn looks_like(beginning: &str) -> Option<DataFormat> {
    format(beginning).ok()
}

/// The format that a file looks like; `None` where it looks like none.
///
/// # Errors
/// A file that cannot be read as text.
pub fn format_of(path: &Path) -> Result<Option<DataFormat>, DataError> {
    Ok(looks_like(&head(path)?))
}

/// The lines at the beginning of a file.
///
/// # Errors
/// A file that cannot be read as text.
pub(super) fn head(path: &Path) -> Result<String, DataError> {
    let mut lines = LineReader::open(path)?;
    let mut head = String::new();
    while head.len() < HEAD {
        match lines.next_raw() {
            Ok(Some(line)) => head.push_str(line),
            Ok(None) => break,
            // Whoever reads it tells so.
            Err(_) if !head.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(head)
}

/// The names in the first line of a table, folded.
fn header(head: &str) -> Vec<String> {
    let line = head.lines().next().unwrap_or_default();
    line.split([',', '\t', ';']).map(|name| folded(name.trim_matches(['"', ' ']))).collect()
}

/// Why a text that looks like no format is not read.
fn unread(head: &str) -> DataProblem {
    if head.starts_with("sep=") {
        return DataProblem::SeparatorLine;
    }
    let first = head.lines().next().unwrap_or_default();
    if first.starts_with(['{', '/', '#'])
        && let Err(error) = serde_json::from_str::<&RawValue>(first)
        && let problem @ (DataProblem::JsonSlip(_) | DataProblem::PythonForm | DataProblem::JsonOverLines) =
            line_problem(&error, first)
    {
        return problem;
    }
    let mut lines = head.lines().map(|line| line.matches('|').count());
    let are_barred = lines.next().is_some_and(|header| header > 0) && lines.next().is_some_and(|row| row > 0);
    if are_barred { DataProblem::OtherSeparator("|") } else { DataProblem::LooksLikeNothing }
}

/// What of a file is looked at.
fn beginning(text: &str) -> &str {
    let head = text.trim_start_matches('\u{feff}').trim_start();
    &head[..head.floor_char_boundary(HEAD)]
}

fn words(format: DataFormat) -> &'static str {
    match format {
        DataFormat::Jsonl => "JSON lines of dialogues",
        DataFormat::Csv => "CSV",
        DataFormat::Tsv => "TSV, separated by tabs",
        DataFormat::Chat => "JSON lines of chats",
        DataFormat::MeldCsv => "MELD's tables",
        DataFormat::PrcJson => "the JSON of the PRC-Emo repository",
        DataFormat::Emorynlp => "EmoryNLP's release",
        DataFormat::Dailydialog => "DailyDialog's release",
        DataFormat::Text => "plain text",
    }
}

/// The format of an object, or of lines of objects.
fn json(head: &str) -> Option<DataFormat> {
    let first = head.lines().next().unwrap_or_default();
    let Ok(Value::Object(object)) = serde_json::from_str(first) else {
        // One object over many lines, or broken.
        let documents = [("\"episodes\"", DataFormat::Emorynlp), ("\"sentences\"", DataFormat::PrcJson)];
        return documents.into_iter().find(|(key, _)| head.contains(key)).map(|(_, format)| format);
    };
    let has = |key: &str| object.get(key).is_some_and(Value::is_array);
    if has("messages") || has("conversations") {
        Some(DataFormat::Chat)
    } else if has("utterances") {
        Some(DataFormat::Jsonl)
    } else if has("episodes") {
        Some(DataFormat::Emorynlp)
    } else {
        object.values().any(|value| value.get("sentences").is_some()).then_some(DataFormat::PrcJson)
    }
}

/// The format of lines that are no JSON.
fn lines(head: &str, given: DataFormat) -> Option<DataFormat> {
    let first = head.lines().next()?;
    if first.contains("__eou__") {
        return Some(DataFormat::Dailydialog);
    }
    let format = if first.contains('\t') { DataFormat::Tsv } else { DataFormat::Csv };
    let mut reader = csv::ReaderBuilder::new();
    let reader = reader.has_headers(false).flexible(true).delimiter(separator(format, first));
    let rows: Vec<StringRecord> =
        reader.from_reader(head.as_bytes()).records().take(3).filter_map(Result::ok).collect();
    let header = rows.first().filter(|header| header.len() > 1)?;
    let has = |column: &str| header.iter().any(|name| name.trim() == column);
    if has("Utterance") && (has("Dialogue_ID") || has("Scene_ID")) {
        let published = if has("Scene_ID") { DataFormat::Emorynlp } else { DataFormat::MeldCsv };
        return (format == DataFormat::Csv).then_some(published);
    }
    // A published table without one of its columns.
    let is_published = |name: &&str| PUBLISHED.contains(&folded(name).as_str());
    if !given.is_own() && header.iter().filter(is_published).count() > 2 {
        return None;
    }
    let is = |role: ColumnRole, name: &str| {
        let name = folded(name);
        name == role.as_str() || others_of(role).contains(&name.as_str())
    };
    let is_named = [ColumnRole::Text, ColumnRole::Dialogue, ColumnRole::Label]
        .into_iter()
        .any(|role| header.iter().any(|name| is(role, name)));
    let is_even = header.len() > 2 && rows.len() == 3 && rows.iter().all(|row| row.len() == header.len());
    (is_named || is_even).then_some(format)
}
