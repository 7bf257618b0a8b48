//! Equations 2 to 5 implemented a second time, as literally and slowly as possible, and compared on random dialogues.

use std::f64::consts::PI;

use emotrain_data::{Dialogue, Label, LabelSet, Utterance};
use emotrain_recipe::LabelSetName;
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

use crate::components;

/// Sectors of MELD's labels, in their order; 0 is the centre.
const SECTORS: [u32; 7] = [0, 5, 10, 15, 2, 9, 6];

/// `k·s + b` with `k` = 1 and `b` = 0.4.
fn weight(one: usize, other: usize) -> f64 {
    let angle = |label: usize| f64::from(SECTORS[label]) * PI / 10.0 - PI / 20.0;
    if SECTORS[one] == 0 || SECTORS[other] == 0 {
        return 1.0 / 7.0 + 0.4;
    }
    let (one, other) = (angle(one), angle(other));
    if one.cos() * other.cos() < 0.0 {
        return 0.4;
    }
    (one.cos() * other.cos() + one.sin() * other.sin()).max(0.0) + 0.4
}

/// Shifts and their sum: within speakers and between neighbours.
pub(crate) struct Shifts {
    pub(crate) same: (usize, f64),
    pub(crate) diff: (usize, f64),
    pub(crate) speakers: usize,
}

/// Compares every pair of utterances.
pub(crate) fn shifts(dialogue: &Dialogue) -> Shifts {
    let turns: Vec<(&str, usize)> = dialogue
        .utterances
        .iter()
        .map(|utterance| (utterance.speaker.as_str(), utterance.label.unwrap().index()))
        .collect();
    let mut found = Shifts { same: (0, 0.0), diff: (0, 0.0), speakers: 0 };
    for (later, (speaker, label)) in turns.iter().enumerate() {
        for (earlier, (before, other)) in turns.iter().enumerate().take(later) {
            let silent = turns[earlier + 1..later].iter().all(|(between, _)| between != speaker);
            if label == other {
                continue;
            }
            if before == speaker && silent {
                found.same = (found.same.0 + 1, found.same.1 + weight(*other, *label));
            }
            if before != speaker && earlier + 1 == later {
                found.diff = (found.diff.0 + 1, found.diff.1 + weight(*other, *label));
            }
        }
    }
    let mut speakers: Vec<&str> = turns.iter().map(|(speaker, _)| *speaker).collect();
    speakers.sort_unstable();
    speakers.dedup();
    found.speakers = speakers.len();
    found
}

/// Compares all difficulties of dialogues with MELD's labels; returns the largest difference.
pub(crate) fn largest_difference(dialogues: &[Dialogue]) -> f64 {
    let labels = LabelSet::builtin(LabelSetName::Meld);
    let by = |difficulty: &str| components(&format!("difficulty = {difficulty:?}"), &labels, dialogues);
    let (prc_emo, wes, es) = (by("prc_emo"), by("wes"), by("es"));
    let mut largest = 0.0_f64;
    for (index, dialogue) in dialogues.iter().enumerate() {
        let expected = shifts(dialogue);
        let (utterances, speakers) = (dialogue.utterances.len(), expected.speakers);
        let over = |sum: f64| (sum + speakers as f64) / (utterances + speakers) as f64;
        let found = prc_emo[index];
        assert_eq!((found.n_utt, found.n_spk), (utterances, speakers), "{}", dialogue.id);
        assert_eq!((found.n_shift_same, found.n_shift_diff), (expected.same.0, expected.diff.0));
        let differences = [
            found.dif - over(expected.same.1 + expected.diff.1),
            wes[index].dif - over(expected.same.1),
            es[index].dif - over(expected.same.0 as f64),
            found.wes_same.unwrap() - expected.same.1,
            found.wes_diff.unwrap() - expected.diff.1,
        ];
        largest = differences.iter().fold(largest, |most, difference| most.max(difference.abs()));
    }
    largest
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_dialogues_agree(turns in vec((0..4_u8, 0..7_usize), 1..40)) {
        let utterances = turns.iter().map(|(speaker, label)| Utterance::new(format!("speaker {speaker}"), "…".into(), Some(Label::from_index(*label))));
        let dialogue = Dialogue::new("random".into(), utterances.collect());
        prop_assert!(largest_difference(std::slice::from_ref(&dialogue)) < 1e-12);
        // A dialogue is its labels and who has them: names, and what precedes the first, do not matter.
        let mut renamed = dialogue.clone();
        for utterance in &mut renamed.utterances {
            utterance.speaker = utterance.speaker.replace("speaker", "person");
        }
        let labels = LabelSet::builtin(LabelSetName::Meld);
        prop_assert_eq!(components("", &labels, &[dialogue]), components("", &labels, &[renamed]));
    }
}
