//! Dividing the dialogues of one file.
//!
//! Iterative stratification (Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data", ECML PKDD
//! 2011), greedy, with dialogues for examples and the number of utterances of each label for labels: the label that the
//! fewest undivided dialogues have is spread first, each dialogue going to the part that lacks most of it. Dialogues that
//! are equal but for punctuation are one example, so that no part has seen another's. The order of examples is that of a
//! hash of the seed and their ids, whatever their order in the file.

use std::collections::BTreeMap;

use emotrain_base::sha256_hex;

use super::shared::key;
use crate::dialogue::Dialogue;
use crate::error::DataProblem;
use crate::label::Label;

/// Dialogues that stay together.
struct Example<'d> {
    /// Where they are in the file.
    members: Vec<usize>,
    id: &'d str,
    /// Their utterances by label; those without one come last.
    counts: Vec<usize>,
}

/// What a part still lacks.
struct Part {
    /// Utterances by label.
    lacks: Vec<f64>,
    dialogues: f64,
    examples: Vec<usize>,
}

/// The part of each dialogue. `shares` are above 0 and sum to 1.
///
/// # Errors
/// Fewer different dialogues than parts.
pub(crate) fn divide(
    dialogues: &[Dialogue],
    labels: usize,
    shares: &[f64],
    seed: u64,
) -> Result<Vec<usize>, DataProblem> {
    let examples = examples(dialogues, labels, seed);
    if examples.len() < shares.len() {
        return Err(DataProblem::TooFewDialogues { dialogues: examples.len(), parts: shares.len() });
    }
    let totals: Vec<usize> =
        (0..=labels).map(|label| examples.iter().map(|example| example.counts[label]).sum()).collect();
    let part = |share: &f64| Part {
        lacks: totals.iter().map(|total| share * *total as f64).collect(),
        dialogues: share * dialogues.len() as f64,
        examples: Vec::new(),
    };
    let mut parts: Vec<Part> = shares.iter().map(part).collect();
    spread(&examples, &mut parts);
    fill(&mut parts);
    let mut part_of = vec![0; dialogues.len()];
    for (number, part) in parts.iter().enumerate() {
        for &member in part.examples.iter().flat_map(|&example| &examples[example].members) {
            part_of[member] = number;
        }
    }
    Ok(part_of)
}

fn examples(dialogues: &[Dialogue], labels: usize, seed: u64) -> Vec<Example<'_>> {
    let mut by_key: BTreeMap<String, Example<'_>> = BTreeMap::new();
    for (at, dialogue) in dialogues.iter().enumerate() {
        let new = || Example { members: Vec::new(), id: &dialogue.id, counts: vec![0; labels + 1] };
        let example = by_key.entry(key(dialogue)).or_insert_with(new);
        example.members.push(at);
        example.id = example.id.min(&dialogue.id);
        for utterance in &dialogue.utterances {
            example.counts[utterance.label.map_or(labels, Label::index)] += 1;
        }
    }
    let mut examples: Vec<Example<'_>> = by_key.into_values().collect();
    examples.sort_by_cached_key(|example| sha256_hex(format!("{seed} {}", example.id).as_bytes()));
    examples
}

/// Gives each example to a part.
fn spread(examples: &[Example<'_>], parts: &mut [Part]) {
    let mut left: Vec<usize> = (0..examples.len()).collect();
    while !left.is_empty() {
        let having = |label: usize| left.iter().filter(|&&at| examples[at].counts[label] > 0).count();
        let labels = 0..parts[0].lacks.len();
        let rarest = labels.map(|label| (having(label), label)).filter(|(count, _)| *count > 0).min();
        let Some((_, label)) = rarest else { break };
        let (now, later): (Vec<usize>, Vec<usize>) =
            left.iter().partition(|&&at| examples[at].counts[label] > 0);
        for at in now {
            give(at, &examples[at], label, parts);
        }
        left = later;
    }
}

/// Gives an example to the part that lacks most of a label, or among equals most dialogues.
fn give(at: usize, example: &Example<'_>, label: usize, parts: &mut [Part]) {
    let need = |part: &Part| (part.lacks[label], part.dialogues);
    let mut most = 0;
    for (number, part) in parts.iter().enumerate() {
        if need(part) > need(&parts[most]) {
            most = number;
        }
    }
    let part = &mut parts[most];
    for (lacks, count) in part.lacks.iter_mut().zip(&example.counts) {
        *lacks -= *count as f64;
    }
    part.dialogues -= example.members.len() as f64;
    part.examples.push(at);
}

/// Gives an example of the largest part to each that has none: there are at least as many examples as parts.
fn fill(parts: &mut [Part]) {
    while let Some(empty) = parts.iter().position(|part| part.examples.is_empty()) {
        let largest = (0..parts.len()).max_by_key(|&part| parts[part].examples.len());
        let moved = largest.and_then(|largest| parts[largest].examples.pop());
        parts[empty].examples.extend(moved);
    }
}

#[cfg(test)]
mod tests;
