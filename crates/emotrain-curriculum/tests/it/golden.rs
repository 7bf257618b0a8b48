//! Difficulties compared with `tests/golden/curriculum` (made by its `make.py`).

use emotrain_data::{Dialogue, LabelSet, Utterance};
use emotrain_recipe::LabelSetName;
use serde::Deserialize;

use crate::components;

/// Sums of a few dozen terms near 1, in a different order.
const TOLERANCE: f64 = 1e-12;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    label_set: LabelSetName,
    k: f64,
    b: f64,
    num_labels: usize,
    neutral_shifts: String,
    dialogues: Vec<GoldenDialogue>,
}

#[derive(Deserialize)]
struct GoldenDialogue {
    id: String,
    speakers: Vec<String>,
    emotions: Vec<String>,
    scores: Scores,
}

#[derive(Deserialize)]
struct Scores {
    prc_emo: f64,
    wes: f64,
    es: f64,
    wes_same: f64,
    wes_diff: f64,
    n_shift_same: usize,
    n_shift_diff: usize,
    n_utt: usize,
    n_spk: usize,
}

impl GoldenDialogue {
    fn dialogue(&self, labels: &LabelSet) -> Dialogue {
        let turns = self.speakers.iter().zip(&self.emotions);
        let utterances = turns.map(|(speaker, emotion)| {
            Utterance::new(speaker.clone(), "…".into(), Some(labels.resolve(emotion).unwrap()))
        });
        Dialogue::new(self.id.clone(), utterances.collect())
    }
}

fn check(case: &Case) {
    let labels = LabelSet::builtin(case.label_set);
    let dialogues: Vec<Dialogue> = case.dialogues.iter().map(|golden| golden.dialogue(&labels)).collect();
    let Case { k, b, num_labels, neutral_shifts, .. } = case;
    let by = |difficulty: &str| {
        let keys = format!(
            "difficulty = {difficulty:?}\nk = {k:?}\nb = {b:?}\nnum_labels = {num_labels}\nneutral_shifts = {neutral_shifts:?}"
        );
        components(&keys, &labels, &dialogues)
    };
    let (prc_emo, wes, es) = (by("prc_emo"), by("wes"), by("es"));
    for (index, golden) in case.dialogues.iter().enumerate() {
        let (found, expected) = (prc_emo[index], &golden.scores);
        let close = |what: &str, found: f64, expected: f64| {
            assert!((found - expected).abs() <= TOLERANCE, "{}: {what} {found}, not {expected}", golden.id);
        };
        close("prc_emo", found.dif, expected.prc_emo);
        close("wes", wes[index].dif, expected.wes);
        close("es", es[index].dif, expected.es);
        close("wes_same", found.wes_same.unwrap(), expected.wes_same);
        close("wes_diff", found.wes_diff.unwrap(), expected.wes_diff);
        assert_eq!(found.n_shift_same, expected.n_shift_same, "{}", golden.id);
        assert_eq!(found.n_shift_diff, expected.n_shift_diff, "{}", golden.id);
        assert_eq!((found.n_utt, found.n_spk), (expected.n_utt, expected.n_spk), "{}", golden.id);
    }
}

#[test]
fn every_dialogue_of_every_label_set_agrees() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/curriculum/cases.json");
    let golden: Golden = serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap();
    assert_eq!(golden.cases.len(), 20);
    golden.cases.iter().for_each(check);
}
