use emotrain_data::SplitKind;
use emotrain_recipe::LabelSetName;
use expect_test::expect;

use super::*;
use crate::fixture::{Place, WordSums, demonstration, labels, section, split};

const A: (&str, SplitKind, &str) = ("theirs", SplitKind::Train, "a");

fn few() -> Vec<Demonstration> {
    vec![
        demonstration(A, 0, "The ferry is late again.", "mad"),
        demonstration(A, 1, "The ferry is here!", "happy"),
        demonstration(A, 2, "My tea is cold.", "sad"),
        demonstration(A, 3, "The ferry, the ferry!", "powerful"),
    ]
}

#[test]
fn the_engine_follows_the_section_and_what_is_available() {
    let place = Place::new();
    let encoder = WordSums::new(16);
    let stranger = WordSums { name: "stranger", ..WordSums::new(16) };
    let bank = place.build(&few(), Some(&encoder));
    let engine = |wanted: &str, embedder: Option<&dyn Embedder>| {
        let section = RetrievalSection { encoder: wanted.to_owned(), ..section() };
        match Retriever::new(&bank, &section, embedder) {
            Ok(retriever) => retriever.engine().to_string(),
            Err(error) => place.shown(&error),
        }
    };
    let found = [
        engine("auto", Some(&encoder)),
        engine("auto", Some(&stranger)),
        engine("auto", None),
        engine("lexical", Some(&encoder)),
        engine("word-sums", Some(&encoder)),
        engine("stranger", Some(&stranger)),
        engine("word-sums", None),
    ];
    expect![[r#"
        exact cosine over vectors of word-sums
        lexical search (BM25)
        lexical search (BM25)
        lexical search (BM25)
        exact cosine over vectors of word-sums
        bank: was built with the encoder word-sums (16 numbers), not with stranger (16)
          hint: set retrieval.encoder to the bank's, or rebuild the bank with this encoder
        bank: the encoder word-sums is unavailable
          hint: name an encoder that exists, or use lexical search (retrieval.encoder = "lexical")"#]]
    .assert_eq(&found.join("\n"));
    let bare = Place::new();
    let bank = bare.build(&few(), None);
    let named = RetrievalSection { encoder: "word-sums".to_owned(), ..section() };
    let Err(error) = Retriever::new(&bank, &named, Some(&encoder)) else { panic!("it has no vectors") };
    expect![[r#"
        bank: has no vectors
          hint: give it vectors with emotrain bank build BANK --encoder NAME, or use lexical search (retrieval.encoder = "lexical")"#]]
    .assert_eq(&bare.shown(&error));
}

#[test]
fn what_the_bank_has_vectors_of_is_not_encoded_again() {
    let place = Place::new();
    let encoder = WordSums::new(16);
    let bank = place.build(&few(), Some(&encoder));
    let before = encoder.encoded.get();
    let section = section();
    let retriever = Retriever::new(&bank, &section, Some(&encoder)).unwrap();
    let texts = ["My tea is cold.", "Is the ferry late?", "Is the ferry late?"];
    let found = retriever.for_texts(&texts).unwrap();
    assert_eq!(encoder.encoded.get() - before, 1);
    assert_eq!(found[1], found[2]);
    assert_eq!(found[1][0].row, 0);
    assert!(found[0].iter().all(|hit| hit.row != 2), "the same text is passed over");
}

#[test]
fn demonstrations_are_shown_in_the_target_s_words() {
    let place = Place::new();
    let bank = place.build(&few(), None);
    let mut section = section();
    let hits = [Hit { row: 1, score: 0.5 }, Hit { row: 3, score: 0.25 }];
    let shown = |section: &RetrievalSection, name| {
        let retriever = Retriever::new(&bank, section, None).unwrap();
        let shown = retriever.shown(&hits, &LabelSet::builtin(name)).unwrap();
        shown.iter().map(|one| format!("{} {:?} {:?}", one.label, one.source, one.score)).collect::<Vec<_>>()
    };
    assert_eq!(shown(&section, LabelSetName::Meld), ["joy None None", "powerful None None"]);
    (section.show_score, section.show_source) = (true, true);
    assert_eq!(
        shown(&section, LabelSetName::Dailydialog),
        ["happiness Some(\"theirs\") Some(0.5)", "powerful Some(\"theirs\") Some(0.25)"]
    );
    let retriever = Retriever::new(&bank, &section, None).unwrap();
    assert_eq!(retriever.neighbours(&hits).unwrap()[0], (few()[1].clone(), 0.5));
}

#[test]
fn both_engines_serve_a_split() {
    let place = Place::new();
    let encoder = WordSums::new(64);
    let bank = place.build(&few(), Some(&encoder));
    let asked = Asked { dataset: Some("mine".to_owned()), split: SplitKind::Train, sha256: None };
    let split = split(&[("x", &["So the ferry is late.", "Cold tea!"])]);
    for encoder_name in ["lexical", "word-sums"] {
        let section = RetrievalSection { encoder: encoder_name.to_owned(), k: 2, ..section() };
        let retriever = Retriever::new(&bank, &section, Some(&encoder)).unwrap();
        let retrieved = retriever.for_split(&split, &asked, &[]).unwrap();
        let first: Vec<_> = retrieved.hits.iter().map(|(id, hits)| (id.to_string(), hits[0].row)).collect();
        assert_eq!(first, [("x#0".to_owned(), 0), ("x#1".to_owned(), 2)], "{encoder_name}");
        let json = serde_json::to_string(&retrieved).unwrap();
        assert_eq!(serde_json::from_str::<Retrieved>(&json).unwrap(), retrieved);
        assert!(retriever.shown(&retrieved.hits[0].1, &labels()).is_ok());
    }
}

#[test]
fn announced_dialogues_are_searched_for_one_by_one_as_together() {
    let place = Place::new();
    // The bank knows a dialogue of the test file as one of training.
    let mut all = few();
    let leaked = ("copied", SplitKind::Train, "leak");
    all.push(demonstration(leaked, 0, "So the ferry to the island is late once more today.", "mad"));
    all.push(demonstration(leaked, 1, "And we shall have to wait here for an hour or two.", "sad"));
    let bank = place.build(&all, None);
    let asked = Asked { dataset: None, split: SplitKind::Test, sha256: None };
    let split = split(&[
        ("x", &["The ferry to the island is late?", "Cold tea!"]),
        (
            "y",
            &[
                "So the ferry to the island is late once more today.",
                "And we shall have to wait here for an hour or two.",
            ],
        ),
    ]);
    let section = RetrievalSection { encoder: "lexical".to_owned(), k: 3, ..section() };
    let retriever = || Retriever::new(&bank, &section, None).unwrap();
    let together = retriever().for_split(&split, &asked, &[]).unwrap();
    let together: Vec<Vec<ShownDemonstration>> =
        together.hits.iter().map(|(_, hits)| retriever().shown(hits, &labels()).unwrap()).collect();
    let find = |is_announced: bool| -> Vec<Vec<ShownDemonstration>> {
        let mut search = retriever().one_by_one(&asked);
        if is_announced {
            split.dialogues.iter().for_each(|dialogue| search.announce(dialogue));
        }
        split.dialogues.iter().flat_map(|dialogue| search.find(dialogue, &labels()).unwrap()).collect()
    };
    assert_eq!(find(true), together);
    assert!(together[0].iter().all(|one| !one.text.contains("once more")), "{together:?}");
    assert_ne!(find(false), together, "without a notice the first dialogue is shown the second");
}
