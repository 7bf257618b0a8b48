use std::collections::BTreeSet;

use emotrain_data::Demonstration;
use emotrain_recipe::SearchIndex;
use proptest::prelude::*;

use super::*;
use crate::fixture::{Place, WordSums, demonstration, section, split};
use crate::retriever::Retriever;
use crate::{HnswParameters, add_index};

/// Few words and few names, so that texts and ids collide.
fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(vec!["no", "yes", "oh", "why"]), 1..4)
        .prop_map(|words| words.join(" "))
}

fn dialogues() -> impl Strategy<Value = Vec<(u8, u8, u8, Vec<String>)>> {
    let one = (0_u8..3, 0_u8..3, 0_u8..4, proptest::collection::vec(text(), 1..5));
    proptest::collection::vec(one, 1..12)
}

fn kind(number: u8) -> SplitKind {
    [SplitKind::Train, SplitKind::Valid, SplitKind::Test][usize::from(number)]
}

fn bank_of(dialogues: &[(u8, u8, u8, Vec<String>)]) -> Vec<Demonstration> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for (dataset, split, id, texts) in dialogues {
        if !seen.insert((dataset, split, id)) {
            continue;
        }
        for (position, text) in texts.iter().enumerate() {
            let name = (&*format!("set{dataset}"), kind(*split), &*id.to_string());
            all.push(demonstration(name, position, text, ["joy", "fear", "anger"][position % 3]));
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_leaks(
        dialogues in dialogues(), asked in (0_u8..3, 0_u8..3), k in 1_usize..6,
        whole in any::<bool>(), same_text in any::<bool>(), balance in any::<bool>(), engine in 0_u8..3,
        renamed in any::<bool>(),
    ) {
        let all = bank_of(&dialogues);
        let place = Place::new();
        let encoder = WordSums::new(8);
        place.write(&all, Some(&encoder)).unwrap();
        let (lexical, by_graph) = (engine == 0, engine == 1);
        if by_graph {
            add_index(&place.bank, HnswParameters { m: 2, ef_construction: 4 }, &mut |_, _| {}).unwrap();
        }
        let bank = Bank::open(&place.bank).unwrap();
        prop_assert_eq!(bank.manifest().held_out_forced, all.iter().any(|one| one.split.is_held_out()));
        let mut section = section();
        section.k = k;
        section.exclude = if whole { Exclude::Dialogue } else { Exclude::Utterance };
        (section.exclude_same_text, section.label_balance) = (same_text, balance);
        section.index = if by_graph { SearchIndex::Hnsw } else { SearchIndex::Exact };
        section.ef_search = 1;
        section.encoder = if lexical { "lexical" } else { "word-sums" }.to_owned();
        let retriever = Retriever::new(&bank, &section, Some(&encoder)).unwrap();

        // A split of the utterances: all of the bank's dialogues with that name, so that each could find itself.
        let (dataset, split_kind) = (format!("set{}", asked.0), kind(asked.1));
        let mine = |one: &&(u8, u8, u8, Vec<String>)| (one.0, one.1) == asked;
        let mut named: Vec<(String, Vec<&str>)> = Vec::new();
        for (_, _, id, texts) in dialogues.iter().filter(mine) {
            let id = id.to_string();
            if named.iter().all(|(known, _)| *known != id) {
                named.push((id, texts.iter().map(String::as_str).collect()));
            }
        }
        named.push(("new".to_owned(), vec!["oh no", "why"]));
        let borrowed: Vec<(&str, &[&str])> = named.iter().map(|(id, texts)| (id.as_str(), &texts[..])).collect();
        let split = split(&borrowed);
        // Under another name the dialogues are identified only by their texts.
        let known = (!renamed).then(|| dataset.clone());
        let asked = Asked { dataset: known, split: split_kind, sha256: None };
        let retrieved = retriever.for_split(&split, &asked, &[]).unwrap();

        prop_assert_eq!(retrieved.hits.len(), split.utterance_count());
        for (id, hits) in &retrieved.hits {
            let dialogue = split.dialogues.iter().find(|one| one.id == id.dialogue).unwrap();
            let text = &dialogue.utterances[id.position].text;
            for hit in hits {
                let found = &all[hit.row];
                if found.split.is_held_out() {
                    prop_assert!(renamed || found.dataset != dataset, "held out: {}", found.id());
                }
                let is_own = (&found.dataset, found.split, &found.dialogue) == (&dataset, split_kind, &id.dialogue);
                prop_assert!(!(is_own && (whole || found.position == id.position)), "{} got {}", id, found.id());
                prop_assert!(!same_text || crate::normalised(&found.text) != crate::normalised(text));
            }
            // k are returned if the bank has them.
            let open = |one: &&Demonstration| {
                let is_own = (&one.dataset, one.split, &one.dialogue) == (&dataset, split_kind, &id.dialogue);
                !one.split.is_held_out() && !is_own && crate::normalised(&one.text) != crate::normalised(text)
            };
            let twins: BTreeSet<&str> = all.iter().filter(|one| one.position == 0).map(|one| one.dialogue.as_str()).collect();
            let least = all.iter().filter(open).count().saturating_sub(4 * twins.len() * 3);
            prop_assert!(lexical || hits.len() >= least.min(k), "{} of {least}", hits.len());
            prop_assert!(hits.len() <= k);
        }
    }
}

/// A dialogue's texts, with words that no other has.
fn own_words(dialogue: usize, turns: usize) -> Vec<String> {
    let word = |turn: usize, word: usize| format!("w{dialogue}x{turn}x{word}");
    (0..turns).map(|turn| (0..9).map(|at| word(turn, at)).collect::<Vec<_>>().join(" ")).collect()
}

/// The dialogue in another edition.
fn respelt(text: &str, style: u8) -> String {
    match style {
        0 => text.to_uppercase(),
        1 => format!("  {}!\u{92}", text.replace(' ', "   ")),
        2 => text.replace(' ', ", "),
        _ => text.to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Neither another name nor other ids, neither another spelling nor cutting, merging or single edits make a
    /// dialogue visible to itself, or a held-out split that was added under another name.
    #[test]
    fn a_disguise_opens_nothing(
        lengths in proptest::collection::vec(2_usize..7, 2..6), style in 0_u8..4, form in 0_u8..5, kept in any::<u64>(),
        held_out in any::<bool>(), by_text in any::<bool>(), dense in any::<bool>(),
    ) {
        let dialogues: Vec<Vec<String>> =
            lengths.iter().enumerate().map(|(at, turns)| own_words(at, *turns)).collect();
        let mut all = vec![demonstration(("other", SplitKind::Train, "z"), 0, "An open word.", "joy")];
        let mut origins = vec![usize::MAX];
        for (at, texts) in dialogues.iter().enumerate() {
            for (turn, text) in texts.iter().enumerate() {
                let is_kept = turn == 0 || kept >> ((at * 7 + turn) % 64) & 1 == 1;
                let (id, position) = match form {
                    0 | 1 => (format!("n{at}"), turn),
                    2 => (format!("n{at}-{turn}"), 0),
                    3 => ("all".to_owned(), at * 10 + turn),
                    _ => (format!("n{}", at / 2), at * 10 + turn),
                };
                // Cut in form 1, edited in form 0 except for the first turn.
                let text = if form == 0 && turn == 1 && texts.len() > 2 { "Retouched.".to_owned() } else { respelt(text, style) };
                if form != 1 || is_kept {
                    all.push(demonstration(("elsewhere", SplitKind::Train, &id), position, &text, "joy"));
                    origins.push(at);
                }
            }
        }
        let place = Place::new();
        let encoder = WordSums::new(8);
        let bank = place.build(&all, Some(&encoder));
        let mut section = section();
        (section.k, section.exclude_same_text) = (60, by_text);
        section.encoder = if dense { "word-sums" } else { "lexical" }.to_owned();
        let texts: Vec<Vec<&str>> =
            dialogues.iter().map(|texts| texts.iter().map(String::as_str).collect()).collect();
        let names: Vec<String> = (0..texts.len()).map(|at| at.to_string()).collect();
        let named: Vec<(&str, &[&str])> =
            names.iter().map(String::as_str).zip(texts.iter().map(Vec::as_slice)).collect();
        let asked_split = if held_out { SplitKind::Test } else { SplitKind::Train };
        let asked = Asked { dataset: Some("meld".to_owned()), split: asked_split, sha256: None };
        let retriever = Retriever::new(&bank, &section, Some(&encoder)).unwrap();
        let retrieved = retriever.for_split(&split(&named), &asked, &[]).unwrap();
        for (id, hits) in &retrieved.hits {
            for hit in hits {
                let origin = origins[hit.row];
                let is_own = origin.to_string() == id.dialogue;
                prop_assert!(!is_own && (origin == usize::MAX || !held_out), "{id} got {}", all[hit.row].id());
            }
            prop_assert!(!dense || hits.iter().any(|hit| hit.row == 0));
        }
    }
}

#[test]
fn common_phrases_do_not_identify_a_dialogue() {
    let place = Place::new();
    let other = ("other", SplitKind::Train, "a");
    let lines = ["Hi.", "Hi!", "Oh, thank you so much.", "The ferry is late."];
    let all: Vec<Demonstration> =
        lines.iter().enumerate().map(|(at, text)| demonstration(other, at, text, "joy")).collect();
    let bank = place.build(&all, None);
    let section = section();
    let asked = Asked { dataset: None, split: SplitKind::Valid, sha256: None };
    let retriever = Retriever::new(&bank, &section, None).unwrap();
    let retrieved = retriever.for_split(&split(&[("x", &["Hi!", "A late ferry"])]), &asked, &[]).unwrap();
    assert_eq!(retrieved.hits[1].1[0].row, 3);
}

#[test]
fn a_file_under_another_name_is_known_by_its_digest() {
    let place = Place::new();
    let own = ("renamed", SplitKind::Train, "a");
    let all = [demonstration(own, 0, "The ship leaves.", "joy"), demonstration(own, 1, "Wave!", "joy")];
    let bank = place.build(&all, None);
    let sha256 = bank.manifest().sources[0].sha256.clone();
    let mut section = section();
    section.exclude_same_text = false;
    let retriever = Retriever::new(&bank, &section, None).unwrap();
    // Only the first utterance is searched for, so that the dialogue's texts do not identify it.
    let split = split(&[("a", &["The ship leaves."])]);
    let found = |sha256: Option<String>| {
        let asked = Asked { dataset: Some("meld".to_owned()), split: SplitKind::Train, sha256 };
        retriever.for_split(&split, &asked, &[]).unwrap().hits[0].1.len()
    };
    assert_eq!(found(None), 1);
    // The sources have the names under which they were added, which the lines here override.
    let mut manifest = bank.manifest().clone();
    assert_eq!(manifest.sources[0].dataset, "own");
    manifest.sources[0].dataset = "renamed".to_owned();
    manifest.write(&place.bank).unwrap();
    let bank = Bank::open(&place.bank).unwrap();
    let retriever = Retriever::new(&bank, &section, None).unwrap();
    let asked = Asked { dataset: Some("meld".to_owned()), split: SplitKind::Train, sha256: Some(sha256) };
    assert_eq!(retriever.for_split(&split, &asked, &[]).unwrap().hits[0].1.len(), 0);
}

#[test]
fn utterances_of_the_same_text_are_counted() {
    let place = Place::new();
    let other = ("other", SplitKind::Train, "a");
    let all = [demonstration(other, 0, "Oh, no!", "fear"), demonstration(other, 1, "No ship today.", "joy")];
    let bank = place.build(&all, None);
    let mut section = section();
    let asked = Asked { dataset: None, split: SplitKind::Valid, sha256: None };
    let split = split(&[("x", &["oh no", "A ship?"])]);
    let retrieved = Retriever::new(&bank, &section, None).unwrap().for_split(&split, &asked, &[]).unwrap();
    assert_eq!((retrieved.same_text, retrieved.short), (1, 2));
    assert_eq!(
        retrieved.to_string(),
        "2 demonstrations for 2 utterances by lexical search (BM25); for 1, demonstrations with the same \
         text were excluded; 2 got fewer than requested"
    );
    section.exclude_same_text = false;
    let retrieved = Retriever::new(&bank, &section, None).unwrap().for_split(&split, &asked, &[]).unwrap();
    assert_eq!(retrieved.same_text, 0);
    assert_eq!(retrieved.hits[0].1[0].row, 0);
}
