//! The splits of a recipe: files, or parts of one.

use emotrain_base::sha256_hex;
use emotrain_recipe::DataSection;

use super::{LabelPolicy, load_split};
use crate::dialogue::Dialogue;
use crate::error::{DataError, DataProblem, Place};
use crate::label::LabelSet;
use crate::split::{Split, divide};
use crate::split_kind::SplitKind;

/// Reads a split of a recipe: its file, or its part of the file that `data.split` divides. The hash of a part is one of
/// the file's hash, the part's name and its dialogues' ids. `None` if the recipe names no such split.
///
/// # Errors
/// The errors of [`load_split`]; too few dialogues for the parts.
pub fn read_split(
    section: &DataSection,
    kind: SplitKind,
    labels: &LabelSet,
    policy: LabelPolicy,
) -> Option<Result<Split, DataError>> {
    let path = kind.file(section)?;
    let split = load_split(path, section, labels, policy);
    Some(if section.split.is_empty() {
        split
    } else {
        split.and_then(|whole| {
            let part = part_of(whole, section, kind, labels);
            part.and_then(|part| check_labels(part, kind, policy))
                .map_err(|problem| DataError::new(Place::file(path), problem))
        })
    })
}

/// Refuses a part without labels where they are needed.
fn check_labels(part: Split, kind: SplitKind, policy: LabelPolicy) -> Result<Split, DataProblem> {
    let mut utterances = part.dialogues.iter().flat_map(|dialogue| &dialogue.utterances);
    let is_labelled = policy == LabelPolicy::Optional || utterances.any(|one| one.label.is_some());
    if is_labelled { Ok(part) } else { Err(DataProblem::PartWithoutLabels(kind)) }
}

fn part_of(
    whole: Split,
    section: &DataSection,
    kind: SplitKind,
    labels: &LabelSet,
) -> Result<Split, DataProblem> {
    let parts = divide(&whole.dialogues, labels.len(), &section.split, section.split_seed)?;
    let dialogues = whole.dialogues.into_iter().zip(parts);
    let dialogues = dialogues.filter(|(_, part)| SplitKind::ALL[*part] == kind).map(|(dialogue, _)| dialogue);
    let dialogues: Vec<Dialogue> = dialogues.collect();
    let utterances = dialogues.iter().flat_map(|dialogue| &dialogue.utterances);
    let damaged = utterances.filter(|one| one.text.contains(char::REPLACEMENT_CHARACTER)).count();
    let ids: Vec<&str> = dialogues.iter().map(|dialogue| dialogue.id.as_str()).collect();
    let identity = format!("{}\n{kind}\n{}", whole.sha256, ids.join("\n"));
    // What was repaired and left out is known of the whole file, and told once.
    let once = |count| if kind == SplitKind::Train { count } else { 0 };
    Ok(Split {
        path: whole.path,
        sha256: sha256_hex(identity.as_bytes()),
        mended: once(whole.mended),
        left_out: once(whole.left_out),
        damaged,
        other_order: whole.other_order.filter(|_| kind == SplitKind::Train),
        part: Some(kind),
        dialogues,
    })
}
