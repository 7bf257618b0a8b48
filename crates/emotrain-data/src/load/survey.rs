//! What a data file holds, before it is known how it is to be read.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use emotrain_base::limits;
use emotrain_recipe::{ColumnRole, DataFormat, folded};

use super::assemble::Assembler;
use super::keys::suggested_keys;
use super::layout::DataLayout;
use super::{LabelPolicy, looks, read, table};
use crate::error::{DataError, DataProblem, Place};
use crate::io::TextFile;
use crate::label::{LabelSet, is_unlabelled};

/// What a file of labelled dialogues looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Its format.
    pub format: DataFormat,
    /// The columns of a table of one's own, or keys of JSON lines, that are not called like their roles.
    pub columns: BTreeMap<ColumnRole, String>,
    /// The words for labels and how often each occurs, the most frequent first; spellings that differ in case alone
    /// count as one, the one with small letters. Empty where labels are numbers of a published set.
    pub labels: Vec<(String, usize)>,
    /// A column of a table without positions whose cells look like times and are none that is read.
    pub unread_time: Option<String>,
}

/// Looks at a file, or at the folder of a split of DailyDialog. Everything that is wrong with it, except for labels, is
/// found. Columns and keys that are not `given` are guessed: by their names, and that of the position by its numbers, too.
///
/// # Errors
/// A file that cannot be read, that looks like no format, or that has faults; one without any label.
pub fn survey(path: &Path, given: &BTreeMap<ColumnRole, String>) -> Result<Survey, DataError> {
    let published =
        |format| Survey { format, columns: BTreeMap::new(), labels: Vec::new(), unread_time: None };
    if path.is_dir() {
        return Ok(published(DataFormat::Dailydialog));
    }
    let file = TextFile::read_json(path, limits::DOCUMENT)?;
    let fail = |problem| DataError::new(Place::file(path), problem);
    let mut format = looks::format(&file.text).map_err(fail)?;
    let is_own = !given.is_empty() || !has_all_of_melds(&file.text);
    if format == DataFormat::MeldCsv && is_own {
        format = DataFormat::Csv;
    }
    if matches!(format, DataFormat::PrcJson | DataFormat::Dailydialog) {
        return Ok(published(format));
    }
    if format.has_columns()
        && given.is_empty()
        && let Some(row) = table::row_for_header(&file.text, format)
    {
        return Err(DataError::new(Place::line(path, 1), DataProblem::NoHeader(row)));
    }
    let mut columns = suggested(&file.text, format, given);
    let none = LabelSet::unknowing();
    let layout = DataLayout { format, columns: &columns };
    let mut assembler = Assembler::new(&file, &none, LabelPolicy::Context);
    let ended = read(&file, layout, &mut assembler);
    let position = assembler.position().map(str::to_owned);
    let labels = meant(merged(assembler.into_words(ended, layout)?));
    columns.extend(position.map(|column| (ColumnRole::Position, column)));
    let has_position = !format.has_columns() || columns.contains_key(&ColumnRole::Position);
    let unread_time = if has_position { None } else { table::unread_time(&file.text, format) };
    Ok(Survey { format, columns, labels, unread_time })
}

/// How dialogues without a recipe are read, which need no labels: none is counted, and no column or key is proposed for
/// them. `None` where the beginning of the file looks like no dialogues.
///
/// # Errors
/// A file that cannot be read as text.
pub fn recognised(path: &Path) -> Result<Option<Survey>, DataError> {
    let head = looks::head(path)?;
    let Ok(format) = looks::format(&head) else { return Ok(None) };
    let format =
        if format == DataFormat::MeldCsv && !has_all_of_melds(&head) { DataFormat::Csv } else { format };
    let mut columns = suggested(&head, format, &BTreeMap::new());
    columns.remove(&ColumnRole::Label);
    Ok(Some(Survey { format, columns, labels: Vec::new(), unread_time: None }))
}

/// The columns or keys that seem to be meant, where they are not called like their roles.
fn suggested(
    text: &str,
    format: DataFormat,
    given: &BTreeMap<ColumnRole, String>,
) -> BTreeMap<ColumnRole, String> {
    if format.has_columns() {
        table::suggested_columns(text, format, given)
    } else if format.is_json_lines() {
        suggested_keys(text, format, given)
    } else {
        BTreeMap::new()
    }
}

/// Whether a table with some of MELD's columns has all that its reader needs.
fn has_all_of_melds(text: &str) -> bool {
    let header: Vec<&str> = text.lines().next().unwrap_or_default().split(',').map(str::trim).collect();
    ["Dialogue_ID", "Utterance_ID", "Speaker", "Utterance", "Emotion"]
        .iter()
        .all(|name| header.contains(name))
}

/// Without what stands for no label. Of the marks of data sets, `other` is a label of data of one's own, and -1 is one
/// beside nothing but 0 and 1: bad, neither, good.
fn meant(mut labels: Vec<(String, usize)>) -> Vec<(String, usize)> {
    let is_minus = |word: &str| matches!(word.trim(), "-1" | "-1.0");
    let is_sign = |word: &str| matches!(word.trim(), "0" | "1" | "+1" | "0.0" | "1.0");
    let are_signs = labels.iter().all(|(word, _)| is_minus(word) || is_sign(word));
    let has_plus = labels.iter().any(|(word, _)| word.trim() == "+");
    labels.retain(|(word, _)| {
        let is_kept = match folded(word).as_str() {
            "-" => has_plus,
            "oth" | "other" => true,
            _ => is_minus(word) && are_signs,
        };
        is_kept || !is_unlabelled(word)
    });
    labels
}

/// Spellings of one word under one of them, whatever their numbers: the last, so that small letters go first.
fn merged(mut words: Vec<(String, usize)>) -> Vec<(String, usize)> {
    words.sort_by(|(word, _), (other, _)| other.cmp(word));
    let (mut places, mut labels) = (HashMap::new(), Vec::<(String, usize)>::new());
    for (word, count) in words {
        let place = *places.entry(folded(&word)).or_insert(labels.len());
        match labels.get_mut(place) {
            Some((_, all)) => *all += count,
            None => labels.push((word, count)),
        }
    }
    labels.sort_by(|(word, count), (other, others)| others.cmp(count).then_with(|| word.cmp(other)));
    labels
}
