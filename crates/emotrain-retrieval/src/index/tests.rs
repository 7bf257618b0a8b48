#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use emotrain_data::{Demonstration, SplitKind};
use emotrain_recipe::{RetrievalSection, SearchIndex};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::check::check;
use crate::fixture::{OWN, Place, WordSums, demonstration, noise, section};
use crate::manifest::VECTORS;
use crate::{Builder, HeldOut, Hit, Retriever};

const SMALL: HnswParameters = HnswParameters { m: 4, ef_construction: 16 };

/// A sentence about one of a few dozen topics: sentences of a topic share words.
fn sentence(seed: u64) -> String {
    let topic = seed % 40;
    let word = |draw: f32| match ((draw + 0.5) * 20.0).floor() {
        few if few < 14.0 => format!("t{topic}w{few}"),
        common => format!("w{common}"),
    };
    noise(seed * 31 + 7).take(8).map(word).collect::<Vec<_>>().join(" ")
}

fn bank_of(count: u64) -> Vec<Demonstration> {
    let one = |row: u64| {
        let dialogue = (row / 10).to_string();
        let emotion = ["joy", "fear", "anger"][usize::try_from(row % 3).unwrap()];
        let position = usize::try_from(row % 10).unwrap();
        demonstration(("own", SplitKind::Train, &dialogue), position, &sentence(row), emotion)
    };
    (0..count).map(one).collect()
}

/// A bank of `count` sentences with an index.
fn indexed(count: u64, parameters: HnswParameters) -> (Place, WordSums) {
    let (place, encoder) = (Place::new(), WordSums::new(48));
    place.write(&bank_of(count), Some(&encoder)).unwrap();
    add_index(&place.bank, parameters, &mut |_, _| {}).unwrap();
    (place, encoder)
}

fn with_index() -> RetrievalSection {
    RetrievalSection { index: SearchIndex::Hnsw, encoder: "word-sums".to_owned(), ..section() }
}

fn found(place: &Place, section: &RetrievalSection, encoder: &WordSums, texts: &[&str]) -> Vec<Vec<Hit>> {
    let bank = Bank::open(&place.bank).unwrap();
    Retriever::new(&bank, section, Some(encoder)).unwrap().for_texts(texts).unwrap()
}

#[test]
fn nearly_all_that_an_exact_search_finds_is_found() {
    let (place, encoder) = indexed(4_000, HnswParameters::default());
    let questions: Vec<String> = (0..400).map(|number| sentence(1_000_000 + number)).collect();
    let questions: Vec<&str> = questions.iter().map(String::as_str).collect();
    for balance in [false, true] {
        let section = RetrievalSection { label_balance: balance, ..with_index() };
        let by_graph = found(&place, &section, &encoder, &questions);
        let exact = RetrievalSection { index: SearchIndex::Exact, ..section };
        let exact = found(&place, &exact, &encoder, &questions);
        let mut recalled = 0;
        for (by_graph, exact) in by_graph.iter().zip(&exact) {
            assert_eq!(by_graph.len(), 3);
            // Results have the scores and the order of the exact search.
            recalled += by_graph.iter().filter(|hit| exact.contains(hit)).count();
            assert!(by_graph.is_sorted_by(
                |one, other| (other.score, one.row) <= (one.score, other.row) || one.score > other.score
            ));
        }
        let recall = f64::from(u32::try_from(recalled).unwrap()) / 1_200.0;
        eprintln!("recall@3 {recall}, balanced: {balance}");
        assert!(recall >= 0.98, "recall@3 {recall}");
    }
}

#[test]
fn an_index_says_how_it_searches_and_respects_the_minimum_score() {
    let (place, encoder) = indexed(500, SMALL);
    let bank = Bank::open(&place.bank).unwrap();
    let section = RetrievalSection { min_score: 0.6, k: 400, ..with_index() };
    let retriever = Retriever::new(&bank, &section, Some(&encoder)).unwrap();
    assert_eq!(
        retriever.engine().to_string(),
        "approximate cosine (HNSW, m 4, ef_construction 16, ef_search 128) over vectors of word-sums"
    );
    let hits = retriever.for_texts(&[&sentence(3)]).unwrap().remove(0);
    let exact = RetrievalSection { index: SearchIndex::Exact, ..section.clone() };
    let exact = Retriever::new(&bank, &exact, Some(&encoder)).unwrap().for_texts(&[&sentence(3)]).unwrap();
    assert!(!hits.is_empty() && hits.iter().all(|hit| hit.score >= 0.6));
    assert_eq!(hits, exact[0]);
}

#[test]
fn equal_banks_get_equal_indexes() {
    let (one, _) = indexed(800, SMALL);
    let (other, encoder) = indexed(800, SMALL);
    let bytes = |place: &Place| fs_err::read(place.bank.join(INDEX)).unwrap();
    assert_eq!(bytes(&one), bytes(&other));
    // Built already: nothing is done.
    let mut reported = 0;
    add_index(&one.bank, SMALL, &mut |_, _| reported += 1).unwrap();
    assert_eq!(reported, 0);
    add_index(&one.bank, HnswParameters::default(), &mut |_, _| reported += 1).unwrap();
    assert!(reported > 0);
    assert!(check(&one.bank, None).is_empty());
    assert_eq!(found(&one, &with_index(), &encoder, &["t1w1 t1w2"])[0].len(), 3);
}

#[test]
fn a_bank_that_grows_keeps_its_index() {
    let (place, encoder) = indexed(600, SMALL);
    let lines = |range: std::ops::Range<usize>| {
        let all = bank_of(900);
        all[range].iter().map(|one| serde_json::to_string(one).unwrap()).collect::<Vec<_>>().join("\n")
    };
    let grow = |path: &Path, index: Option<Option<HnswParameters>>| {
        let bank = Bank::open(&place.bank).unwrap();
        let mut builder = Builder::with_bank(&bank, HeldOut::Refuse).unwrap();
        builder.add_jsonl(path, OWN).unwrap();
        if let Some(index) = index {
            builder.set_index(index);
        }
        let mut steps = Vec::new();
        builder.write(&place.bank, Some(&encoder), &mut |progress| steps.push(progress.step)).unwrap();
        let bank = Bank::open(&place.bank).unwrap();
        assert!(check(&place.bank, None).is_empty());
        (bank.len(), bank.manifest().index.clone())
    };
    let (count, index) = grow(&place.file("more.jsonl", &lines(600..900)), None);
    assert_eq!((count, index.unwrap().parameters()), (900, SMALL));
    // A new sentence finds itself through the graph.
    let all = RetrievalSection { exclude_same_text: false, k: 1, ..with_index() };
    for row in [0, 599, 600, 899] {
        assert!(found(&place, &all, &encoder, &[&sentence(row)])[0][0].score > 0.999);
    }
    let (_, index) = grow(&place.file("more.jsonl", &lines(600..601)), Some(None));
    assert_eq!(index, None);
    assert!(!place.bank.join(INDEX).exists());
    let (_, index) = grow(&place.file("more.jsonl", &lines(600..601)), Some(Some(SMALL)));
    assert!(index.is_some());
}

#[test]
fn many_of_one_text_do_not_hide_the_others() {
    let mut all = bank_of(300);
    for one in &mut all[50..250] {
        "Yes.".clone_into(&mut one.text);
    }
    let (place, encoder) = (Place::new(), WordSums::new(48));
    place.write(&all, Some(&encoder)).unwrap();
    add_index(&place.bank, SMALL, &mut |_, _| {}).unwrap();
    let rows = |k, text: &str| -> Vec<usize> {
        let section = RetrievalSection { exclude_same_text: false, k, ..with_index() };
        found(&place, &section, &encoder, &[text])[0].iter().map(|hit| hit.row).collect()
    };
    // In a tie, the first in the bank.
    assert_eq!(rows(3, "Yes."), [50, 51, 52]);
    assert_eq!(rows(1, &sentence(270)), [270]);
    assert_eq!(rows(300, "Yes.").len(), 300);
}

/// Changes the manifest.
fn forge(place: &Place, change: impl FnOnce(&mut IndexRecord)) {
    let mut manifest = Manifest::read(&place.bank).unwrap();
    change(manifest.index.as_mut().unwrap());
    manifest.write(&place.bank).unwrap();
}

/// Replaces the index and makes the manifest match, as a careful forger would do.
fn forge_bytes(place: &Place, bytes: &[u8]) {
    fs_err::write(place.bank.join(INDEX), bytes).unwrap();
    forge(place, |record| (record.bytes, record.sha256) = (bytes.len() as u64, sha256_hex(bytes)));
}

fn check_first(place: &Place, expected: &Expect) {
    expected.assert_eq(&place.shown(&check(&place.bank, None).remove(0)));
}

#[test]
fn invalid_indexes() {
    let (place, _) = indexed(60, SMALL);
    let path = place.bank.join(INDEX);
    let bytes = fs_err::read(&path).unwrap();
    let mut changed = bytes.clone();
    changed[700] ^= 1;
    fs_err::write(&path, &changed).unwrap();
    let problem = check(&place.bank, None).remove(0);
    assert!(matches!(problem.problem(), Some(BankProblem::OtherContent { .. })), "{problem}");
    fs_err::write(&path, &bytes[..500]).unwrap();
    let problem = check(&place.bank, None).remove(0);
    assert!(matches!(problem.problem(), Some(BankProblem::OtherSize { found: 500, .. })), "{problem}");
    fs_err::remove_file(&path).unwrap();
    check_first(
        &place,
        &expect![[r#"
            bank/index.usearch: is missing, but manifest.json names it
              hint: restore the folder from a copy, or rebuild the bank from its sources"#]],
    );
}

#[test]
fn forged_indexes() {
    let (place, _) = indexed(60, SMALL);
    let path = place.bank.join(INDEX);
    let bytes = fs_err::read(&path).unwrap();
    forge_bytes(&place, b"not an index");
    check_first(
        &place,
        &expect![[r#"
            bank/index.usearch: is not an index of this bank: it has 544501614 nodes, the bank 60 distinct texts
              hint: build the index with emotrain bank build BANK --index hnsw, or set retrieval.index = "exact""#]],
    );
    // The first neighbour of the first node.
    let first = 8 + 60 * 8 + 64 + 40 + 60 * 2 + 10 + 4;
    let mut changed = bytes.clone();
    changed[first + 1] = 200;
    forge_bytes(&place, &changed);
    check_first(
        &place,
        &expect![[r#"
            bank/index.usearch: is not an index of this bank: node 0 has a neighbour that does not exist
              hint: build the index with emotrain bank build BANK --index hnsw, or set retrieval.index = "exact""#]],
    );
    forge_bytes(&place, &bytes[..bytes.len() - 4]);
    check_first(
        &place,
        &expect![[r#"
            bank/index.usearch: is not an index of this bank: the file ends too early
              hint: build the index with emotrain bank build BANK --index hnsw, or set retrieval.index = "exact""#]],
    );
    forge_bytes(&place, &bytes);
    forge(&place, |record| record.m = 5);
    check_first(
        &place,
        &expect![[r#"
            bank/index.usearch: is not an index of this bank: its nodes have a capacity of 4 and 8 neighbours, not for 5 and 10
              hint: build the index with emotrain bank build BANK --index hnsw, or set retrieval.index = "exact""#]],
    );
    forge(&place, |record| (record.m, record.kind) = (4, "ivf".to_owned()));
    check_first(
        &place,
        &expect![[r#"
            bank/manifest.json: is not a manifest of a bank: it names the index "ivf"; this program knows "hnsw"
              hint: restore the folder from a copy, or rebuild the bank from its sources"#]],
    );
    forge(&place, |record| ("hnsw".clone_into(&mut record.kind), record.m = usize::MAX).1);
    check_first(
        &place,
        &expect![[r#"
            bank/manifest.json: is not a manifest of a bank: an index with m 18446744073709551615 and ef_construction 16; the limits are 2 to 512 and 1 to 65536
              hint: restore the folder from a copy, or rebuild the bank from its sources"#]],
    );
    // Building the index repairs it.
    assert_eq!(add_index(&place.bank, SMALL, &mut |_, _| {}).unwrap(), 60);
    assert_eq!(fs_err::read(&path).unwrap(), bytes);
    assert!(check(&place.bank, None).is_empty());
}

#[test]
fn an_index_of_other_vectors_is_refused() {
    let (place, encoder) = indexed(60, SMALL);
    let (other, _) = indexed(61, SMALL);
    fs_err::copy(other.bank.join(INDEX), place.bank.join(INDEX)).unwrap();
    let record = Manifest::read(&other.bank).unwrap().index.unwrap();
    forge(&place, |of_place| of_place.clone_from(&record));
    check_first(
        &place,
        &expect![[r#"
            bank/index.usearch: was built from other vectors than the bank has now
              hint: build the index with emotrain bank build BANK --index hnsw, or set retrieval.index = "exact""#]],
    );
    let vectors = Manifest::read(&place.bank).unwrap().vectors.unwrap().sha256;
    forge(&place, |of_place| of_place.vectors_sha256 = vectors);
    check_first(
        &place,
        &expect![[r#"
            bank/index.usearch: is not an index of this bank: it has 61 nodes, the bank 60 distinct texts
              hint: build the index with emotrain bank build BANK --index hnsw, or set retrieval.index = "exact""#]],
    );
    fs_err::copy(other.bank.join(VECTORS), place.bank.join(VECTORS)).unwrap();
    assert!(!check(&place.bank, None).is_empty());

    let place = Place::new();
    place.write(&bank_of(5), Some(&encoder)).unwrap();
    let bank = Bank::open(&place.bank).unwrap();
    let refused = |section: &RetrievalSection, encoder| {
        place.shown(&Retriever::new(&bank, section, encoder).err().unwrap())
    };
    expect![[r#"
        bank: has no index "hnsw"
          hint: build the index with emotrain bank build BANK --index hnsw, or set retrieval.index = "exact""#]].assert_eq(&refused(&with_index(), Some(&encoder)));
    let auto = RetrievalSection { encoder: "auto".to_owned(), ..with_index() };
    expect![[r#"
        bank: the search is lexical, which has no index "hnsw"
          hint: set retrieval.index = "exact", or retrieval.encoder to the bank's"#]]
    .assert_eq(&refused(&auto, None));
    place.write(&bank_of(5), None).unwrap();
    let error = add_index(&place.bank, SMALL, &mut |_, _| {}).unwrap_err();
    expect![[r#"
        bank: has no vectors for an index
          hint: an index needs vectors: build the bank with a sentence encoder first"#]]
    .assert_eq(&place.shown(&error));
}

/// Whatever the file, usearch never gets anything that makes it read out of bounds.
#[test]
fn forged_indexes_are_refused_or_harmless() {
    let (place, encoder) = indexed(40, HnswParameters { m: 2, ef_construction: 8 });
    let sound = fs_err::read(place.bank.join(INDEX)).unwrap();
    let head = 8 + 40 * 8;
    let ranges = [0..sound.len(), head..head + 64 + 40 + 80, head + 64..head + 64 + 40];
    let change = (any::<prop::sample::Index>(), any::<u8>());
    let changes = proptest::collection::vec(change, 1..4);
    proptest!(ProptestConfig::with_cases(384), |(changes in changes, range in proptest::sample::select(ranges.to_vec()))| {
        let mut bytes = sound.clone();
        for (at, value) in changes {
            bytes[range.start + at.index(range.len())] = value;
        }
        forge_bytes(&place, &bytes);
        let bank = Bank::open(&place.bank).unwrap();
        if let Ok(retriever) = Retriever::new(&bank, &with_index(), Some(&encoder)) {
            let hits = retriever.for_texts(&["t1w1 t1w2", "w15 w16"]).unwrap();
            prop_assert!(hits.iter().all(|hits| hits.len() == 3));
        }
    });
}
