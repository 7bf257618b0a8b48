use emotrain_recipe::DataFormat;
use expect_test::expect;

use super::*;
use crate::fixture::{OWN, Place, WordSums, demonstration, labels};

const TRAIN: (&str, SplitKind, &str) = ("own", SplitKind::Train, "a");

fn many(count: usize) -> Vec<Demonstration> {
    let one = |at: usize| demonstration(TRAIN, at, &format!("Line {} of the play.", at / 2), "joy");
    (0..count).map(one).collect()
}

fn files(place: &Place) -> Vec<Vec<u8>> {
    [DEMONSTRATIONS, VECTORS].map(|name| fs_err::read(place.bank.join(name)).unwrap()).into()
}

#[test]
fn only_new_texts_are_encoded() {
    let place = Place::new();
    let encoder = WordSums::new(8);
    let built = place.write(&many(10), Some(&encoder)).unwrap();
    assert_eq!(built, Built { count: 10, encoded: 5, reused: 0 });
    let bank = Bank::open(&place.bank).unwrap();
    let mut builder = Builder::with_bank(&bank, HeldOut::Refuse).unwrap();
    let more = place.file("more.jsonl", r#"{"dialogue":"b","position":0,"text":"New here?","label":"joy"}"#);
    assert_eq!(builder.add_jsonl(&more, OWN).unwrap(), Added { added: 1, known: 0 });
    assert_eq!(builder.add_jsonl(&more, OWN).unwrap(), Added { added: 0, known: 1 });
    assert_eq!(builder.count(), 11);
    drop(bank);
    let built = builder.write(&place.bank, Some(&encoder), &mut |_| {}).unwrap();
    assert_eq!(built, Built { count: 11, encoded: 1, reused: 5 });
    assert_eq!(encoder.encoded.get(), 6);
    let bank = Bank::open(&place.bank).unwrap();
    let names: Vec<_> = bank.manifest().sources.iter().map(|source| source.file.as_str()).collect();
    assert_eq!(names, ["source.jsonl", "more.jsonl"]);
    let fresh = encoder.embed(&["New here?"]).unwrap();
    assert_eq!(bank.vector(10), Some(&fresh[..]));
}

#[test]
fn a_build_that_was_killed_goes_on() {
    let whole = Place::new();
    whole.write(&many(4_000), Some(&WordSums::new(8))).unwrap();

    let place = Place::new();
    let failing = WordSums { fails_after: 1_100, ..WordSums::new(8) };
    let error = place.write(&many(4_000), Some(&failing)).unwrap_err();
    assert_eq!(error.to_string(), "the power went out");
    assert!(!place.bank.exists());
    // The last record was truncated while it was written.
    let journal = journal::place(&place.parent().join(".bank.building"));
    let bytes = fs_err::read(&journal).unwrap();
    fs_err::write(&journal, &bytes[..bytes.len() - 3]).unwrap();
    let encoder = WordSums::new(8);
    let mut reported = Vec::new();
    let mut builder = Builder::new(HeldOut::Refuse);
    builder.add_jsonl(&place.parent().join("source.jsonl"), OWN).unwrap();
    let built =
        builder.write(&place.bank, Some(&encoder), &mut |progress| reported.push(progress.done)).unwrap();
    assert_eq!(built, Built { count: 4_000, encoded: 2_000 - 512, reused: 512 });
    assert_eq!(reported, [512, 1_024, 1_536, 2_000]);
    assert_eq!(files(&place), files(&whole));
    let left: Vec<_> =
        fs_err::read_dir(&place.bank).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn vectors_of_another_encoder_are_not_taken_over() {
    let place = Place::new();
    place.write(&many(4), Some(&WordSums::new(8))).unwrap();
    let other = WordSums { name: "other", ..WordSums::new(8) };
    let built = place.write(&many(4), Some(&other)).unwrap();
    assert_eq!(built, Built { count: 4, encoded: 2, reused: 0 });
    let failing = WordSums { fails_after: 0, ..WordSums::new(16) };
    place.write(&many(4), Some(&failing)).unwrap_err();
    // The old bank stays if the new one cannot be written.
    assert_eq!(Bank::open(&place.bank).unwrap().manifest().vectors.as_ref().unwrap().encoder, "other");
}

#[test]
fn an_interrupted_exchange_is_completed_and_other_files_stay() {
    let place = Place::new();
    place.write(&many(4), None).unwrap();
    fs_err::write(place.bank.join("README.md"), "about").unwrap();
    fs_err::rename(&place.bank, place.parent().join(".bank.replaced")).unwrap();
    place.write(&many(6), None).unwrap();
    assert_eq!(Bank::open(&place.bank).unwrap().len(), 6);
    assert_eq!(fs_err::read_to_string(place.bank.join("README.md")).unwrap(), "about");
}

#[test]
fn what_another_process_built_meanwhile_is_not_replaced() {
    let place = Place::new();
    let line = r#"{"dialogue":"b","position":0,"text":"New here?","label":"joy"}"#;
    let more = place.file("more.jsonl", line);
    let mut late = Builder::new(HeldOut::Refuse);
    late.add_jsonl(&more, OWN).unwrap();
    place.write(&many(4), Some(&WordSums::new(8))).unwrap();
    let of_four = Builder::with_bank(&Bank::open(&place.bank).unwrap(), HeldOut::Refuse).unwrap();
    let changed = |builder: Builder| {
        let error = builder.write(&place.bank, None, &mut |_| {}).unwrap_err();
        expect![[r"
            bank: was changed by another process while this one was building
              hint: repeat the command: it adds to the current bank"]]
        .assert_eq(&place.shown(&error));
    };
    changed(late);
    index::add_index(&place.bank, HnswParameters { m: 4, ef_construction: 8 }, &mut |_, _| {}).unwrap();
    changed(of_four);
    let bank = Bank::open(&place.bank).unwrap();
    assert!(bank.len() == 4 && bank.manifest().index.is_some());
    assert!(!place.parent().join(".bank.building").exists());
}

#[test]
fn a_bank_that_another_process_builds_is_left_to_it() {
    let place = Place::new();
    place.write(&many(4), Some(&WordSums::new(8))).unwrap();
    let _site = Site::open(&place.bank).unwrap();
    let busy = |error: &RetrievalError| {
        let shown = place.shown(error);
        assert!(shown.starts_with("bank: in use by process "), "{shown}");
        assert!(shown.ends_with("wait for that process or stop it, or name another folder"), "{shown}");
    };
    busy(&place.write(&many(6), None).unwrap_err());
    let parameters = HnswParameters { m: 4, ef_construction: 8 };
    busy(&index::add_index(&place.bank, parameters, &mut |_, _| {}).unwrap_err());
    busy(&index::remove_index(&place.bank).unwrap_err());
}

#[test]
fn of_many_builds_of_one_new_bank_at_once_nothing_is_lost() {
    let place = Place::new();
    let add = |number: usize| {
        let all = (0..20).map(|at| {
            let dialogue = format!("from {number}");
            demonstration(("own", SplitKind::Train, &dialogue), at, &format!("Line {at}."), "joy")
        });
        let lines: Vec<String> = all.map(|one| serde_json::to_string(&one).unwrap()).collect();
        let file = place.file(&format!("{number}.jsonl"), &lines.join("\n"));
        // Repeated as whoever starts it is told to.
        loop {
            let mut builder = match Bank::open(&place.bank) {
                Ok(bank) => Builder::with_bank(&bank, HeldOut::Refuse).unwrap(),
                Err(_) => Builder::new(HeldOut::Refuse),
            };
            builder.add_jsonl(&file, OWN).unwrap();
            match builder.write(&place.bank, None, &mut |_| {}) {
                Ok(_) => return,
                Err(RetrievalError::Lock(emotrain_base::LockError::Taken { .. })) => {}
                Err(error) => {
                    assert!(matches!(error.problem(), Some(BankProblem::ChangedMeanwhile)), "{error}");
                }
            }
        }
    };
    std::thread::scope(|scope| (0..6).for_each(|number| drop(scope.spawn(move || add(number)))));
    assert_eq!(Bank::open(&place.bank).unwrap().len(), 6 * 20);
}

#[test]
fn what_is_not_a_bank_is_not_replaced() {
    let place = Place::new();
    fs_err::create_dir(&place.bank).unwrap();
    fs_err::write(place.bank.join("thesis.tex"), "").unwrap();
    let error = place.write(&many(2), None).unwrap_err();
    expect![[r"
        bank: has other files and is not a bank
          hint: name a new folder"]]
    .assert_eq(&place.shown(&error));
    let error = Builder::new(HeldOut::Refuse).write(&place.bank, None, &mut |_| {}).unwrap_err();
    expect![[r"
        bank: would have no demonstrations
          hint: -"]]
    .assert_eq(&place.shown(&error));
}

#[test]
fn held_out_data_needs_force() {
    let place = Place::new();
    let line = r#"{"id":"a","utterances":[{"speaker":"Ana","text":"Oh!","label":"joy"}]}"#;
    let path = place.file("own.dev.jsonl", line);
    let split =
        emotrain_data::load_split(&path, DataFormat::Jsonl, &labels(), emotrain_data::LabelPolicy::Required)
            .unwrap();
    let mut builder = Builder::new(HeldOut::Refuse);
    let refused = |builder: &mut Builder, origin| {
        let error = builder.add_split(&split, &labels(), origin).unwrap_err();
        place.shown(&error)
    };
    expect![[r"
        own.dev.jsonl: is the test split
          hint: a bank is built from training data; force it only if this file will never be used for evaluation"]]
    .assert_eq(&refused(&mut builder, Origin { split: SplitKind::Test, ..OWN }));
    expect![[r"
        own.dev.jsonl: is the valid split, by its name
          hint: a bank is built from training data; force it only if this file will never be used for evaluation"]]
    .assert_eq(&refused(&mut builder, OWN));
    let marked = r#"{"split":"test","dialogue":"a","position":0,"text":"Oh!","label":"joy"}"#;
    builder.add_jsonl(&place.file("marked.jsonl", marked), OWN).unwrap_err();
    assert_eq!(builder.count(), 0);
    let mut builder = Builder::new(HeldOut::Force);
    builder.add_split(&split, &labels(), OWN).unwrap();
    builder.write(&place.bank, None, &mut |_| {}).unwrap();
    let bank = Bank::open(&place.bank).unwrap();
    assert!(bank.manifest().held_out_forced);
    assert!(Builder::with_bank(&bank, HeldOut::Refuse).unwrap().forced);
}

#[test]
fn one_identity_has_one_text() {
    let place = Place::new();
    let mut builder = Builder::new(HeldOut::Refuse);
    let line = |text| format!(r#"{{"dialogue":"a","position":0,"text":"{text}","label":"joy"}}"#);
    builder.add_jsonl(&place.file("one.jsonl", &line("Oh!")), OWN).unwrap();
    let error = builder.add_jsonl(&place.file("two.jsonl", &line("Ah!")), OWN).unwrap_err();
    expect![[r"
        two.jsonl: own/train/a#0 is already in the bank, with another text or label
          hint: give the two files different data set names, or remove one"]]
    .assert_eq(&place.shown(&error));
}

#[test]
fn bad_vectors_of_an_encoder_are_refused() {
    struct Long;
    impl Embedder for Long {
        fn identity(&self) -> String {
            "long".to_owned()
        }
        fn dimensions(&self) -> usize {
            2
        }
        fn embed(&self, texts: &[&str]) -> Result<Vec<f32>, crate::EmbedderError> {
            Ok(vec![f32::NAN; texts.len() * 2])
        }
    }
    let error = Place::new().write(&many(2), Some(&Long)).unwrap_err();
    assert_eq!(error.to_string(), "the encoder long gave a vector of length NaN for \"Line 0 of the play.\"");
}
