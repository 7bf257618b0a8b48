use emotrain_data::Label;

use super::*;
use crate::fixture::{dialogue, meld, section};

fn scorer(keys: &str) -> DifficultyScorer {
    DifficultyScorer::new(&section(keys), &meld(), &Wheel::builtin(), 42).unwrap()
}

fn components(keys: &str, turns: &str) -> Components {
    scorer(keys).components(&dialogue("d", turns)).unwrap()
}

#[track_caller]
fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-12, "{found} is not {expected}");
}

/// An example that can be checked by hand.
const EXAMPLE: &str = "A neutral, B joy, A anger, A sadness, B joy";

#[test]
fn the_worked_example() {
    let found = components("difficulty = \"prc_emo\"", EXAMPLE);
    let neutral = 1.0 / 7.0 + 0.4;
    close(found.wes_same.unwrap(), neutral + 0.4);
    close(found.wes_diff.unwrap(), neutral + 0.4 + 0.4);
    close(found.dif, (2.0 * neutral + 3.0 * 0.4 + 2.0) / 7.0);
    assert!((found.dif - 0.612_245).abs() < 1e-6);
    assert_eq!((found.n_shift_same, found.n_shift_diff, found.n_utt, found.n_spk), (2, 3, 5, 2));
    close(components("difficulty = \"wes\"", EXAMPLE).dif, (neutral + 0.4 + 2.0) / 7.0);
    close(components("difficulty = \"es\"", EXAMPLE).dif, 4.0 / 7.0);
    close(components("difficulty = \"length\"", EXAMPLE).dif, 5.0);
    close(components("difficulty = \"speakers\"", EXAMPLE).dif, 2.0);
}

#[test]
fn the_shifts_of_the_worked_example() {
    let shifts = scorer("").shifts(&dialogue("d", EXAMPLE));
    let found: Vec<_> = shifts.iter().map(|shift| (shift.kind, shift.from, shift.to)).collect();
    let (same, cross) = (ShiftKind::SameSpeaker, ShiftKind::CrossSpeaker);
    assert_eq!(found, [(cross, 0, 1), (same, 0, 2), (cross, 1, 2), (same, 2, 3), (cross, 3, 4)]);
    let weights: Vec<f64> = shifts.iter().map(|shift| shift.weight.unwrap()).collect();
    let neutral = 1.0 / 7.0 + 0.4;
    for (found, expected) in weights.iter().zip([neutral, neutral, 0.4, 0.4, 0.4]) {
        close(*found, expected);
    }
}

#[test]
fn one_utterance_and_one_speaker() {
    let lone = components("", "A joy");
    assert_eq!((lone.n_shift_same, lone.n_shift_diff, lone.n_utt, lone.n_spk), (0, 0, 1, 1));
    close(lone.dif, 0.5);
    let monologue = components("", "A joy, A joy, A fear, A anger");
    assert_eq!((monologue.n_shift_same, monologue.n_shift_diff, monologue.n_spk), (2, 0, 1));
    close(monologue.dif, (0.4 + (72.0_f64.to_radians().cos() + 0.4) + 1.0) / 5.0);
}

#[test]
fn speakers_are_told_apart_by_their_whole_names() {
    let found = components("", "Ann joy, Anna fear, ann joy");
    assert_eq!((found.n_spk, found.n_shift_same, found.n_shift_diff), (3, 0, 2));
}

#[test]
fn k_b_n_and_neutral_are_keys() {
    close(components("k = 2\nb = 0.1", "A neutral, A joy").wes_same.unwrap(), 2.0 / 7.0 + 0.1);
    close(components("num_labels = 10", "A neutral, A joy").wes_same.unwrap(), 0.1 + 0.4);
    let ignored = components("neutral_shifts = \"ignore\"", EXAMPLE);
    close(ignored.wes_same.unwrap(), 0.4);
    close(ignored.wes_diff.unwrap(), 0.8);
    assert_eq!((ignored.n_shift_same, ignored.n_shift_diff), (1, 2));
    let es = components("difficulty = \"es\"\nneutral_shifts = \"ignore\"", EXAMPLE);
    close(es.dif, 3.0 / 7.0);
}

#[test]
fn draws_depend_on_seed_and_id_alone() {
    let random = section("difficulty = \"random\"");
    let draw = |seed: u64, id: &str| {
        let mut scorer = DifficultyScorer::new(&random, &meld(), &Wheel::builtin(), seed).unwrap();
        scorer.components(&dialogue(id, "A joy")).unwrap().dif.to_bits()
    };
    assert_eq!(draw(42, "a"), draw(42, "a"));
    assert!(draw(42, "a") != draw(43, "a") && draw(42, "a") != draw(42, "b"));
    let draws: Vec<f64> = (0..2000).map(|number| super::draw(1, &number.to_string())).collect();
    assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
    assert!((draws.iter().sum::<f64>() / 2000.0 - 0.5).abs() < 0.03);
}

#[test]
fn labels_off_the_wheel_matter_to_what_needs_the_wheel_alone() {
    let labels = LabelSet::custom(["calm", "tense"], []).unwrap();
    let made = |keys: &str| {
        DifficultyScorer::new(&section(keys), &labels, &Wheel::builtin(), 42).map_err(|e| e.to_string())
    };
    for keys in ["difficulty = \"prc_emo\"", "difficulty = \"wes\""] {
        let error = made(keys).unwrap_err();
        assert!(error.contains("curriculum/wheel.toml") && error.contains("\"calm\""), "{error}");
    }
    let mut turns = dialogue("d", "A joy, A joy, B joy");
    turns.utterances[1].label = Some(Label::from_index(1));
    turns.utterances[0].label = Some(Label::from_index(0));
    turns.utterances[2].label = Some(Label::from_index(1));
    let found = made("difficulty = \"es\"").unwrap().components(&turns).unwrap();
    close(found.dif, 3.0 / 5.0);
    assert_eq!((found.wes_same, found.wes_diff, found.n_shift_same), (None, None, 1));
    let json = serde_json::to_string(&Score { id: "d", components: found }).unwrap();
    assert_eq!(
        json,
        r#"{"id":"d","dif":0.6,"wes_same":null,"wes_diff":null,"n_shift_same":1,"n_shift_diff":0,"n_utt":3,"n_spk":2}"#
    );
}

#[test]
fn an_utterance_without_a_label_is_passed_over() {
    let mut turns = dialogue("tea", "A joy, B anger, A joy, B joy, A anger");
    for position in [1, 2] {
        turns.utterances[position].label = None;
    }
    let shifts = scorer("").shifts(&turns);
    let found: Vec<_> = shifts.iter().map(|shift| (shift.kind, shift.from, shift.to)).collect();
    // A changes from joy to anger across an utterance without a label; B's emotion is known from the fourth on.
    assert_eq!(found, [(ShiftKind::SameSpeaker, 0, 4), (ShiftKind::CrossSpeaker, 3, 4)]);
    let counted = scorer("").components(&turns).unwrap();
    assert_eq!((counted.n_utt, counted.n_spk, counted.n_shift_same, counted.n_shift_diff), (5, 2, 1, 1));
    turns.utterances.iter_mut().for_each(|one| one.label = None);
    assert_eq!(scorer("").shifts(&turns), []);
}

#[test]
fn where_difficulties_come_from() {
    let of = |keys: &str| source(&section(keys));
    assert_eq!(of(""), DifficultySource::Unneeded);
    assert_eq!(of("shuffle = false"), DifficultySource::Computed);
    for name in ["prc_emo", "wes", "es", "reverse", "random_buckets", "length", "speakers"] {
        assert_eq!(of(&format!("name = {name:?}")), DifficultySource::Computed, "{name}");
    }
    assert_eq!(of("name = \"file\"\ndifficulty_file = \"d.jsonl\""), DifficultySource::File);
    assert_eq!(of("name = \"loss\""), DifficultySource::Loss);
}
