#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use emotrain_data::SplitKind;
use expect_test::{Expect, expect};

use super::*;
use crate::check::check;
use crate::fixture::{Place, WordSums, demonstration};

const TRAIN: (&str, SplitKind, &str) = ("own", SplitKind::Train, "a");

fn three() -> Vec<Demonstration> {
    let other = ("other", SplitKind::Train, "a");
    vec![
        demonstration(TRAIN, 0, "The oven is smoking again.", "fear"),
        demonstration(TRAIN, 1, "You did it!", "happy"),
        demonstration(other, 0, "You did it!", "surprise"),
    ]
}

fn sound() -> Place {
    let place = Place::new();
    place.write(&three(), Some(&WordSums::new(4))).unwrap();
    place
}

/// The error of opening the bank, without digests and sizes.
fn check_problems(place: &Place, expected: &Expect) {
    let problems = check(&place.bank, Some(&WordSums::new(4)));
    let shown: Vec<String> = problems.iter().map(|problem| place.shown(problem)).collect();
    expected.assert_eq(&without_digests(&shown.join("\n")));
}

fn without_digests(text: &str) -> String {
    let is_digit = |character: char| character.is_ascii_hexdigit();
    let words = text.split_inclusive(|character| !is_digit(character));
    words
        .map(|word| if word.trim_end_matches(|c| !is_digit(c)).len() == 64 { &word[64..] } else { word })
        .collect()
}

fn edit(place: &Place, file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let path = place.bank.join(file);
    let bytes = change(fs_err::read(&path).unwrap());
    fs_err::write(&path, bytes).unwrap();
}

fn replace(place: &Place, file: &str, from: &str, to: &str) {
    edit(place, file, |bytes| String::from_utf8(bytes).unwrap().replacen(from, to, 1).into_bytes());
}

/// Changes one number of a vector.
fn set_number(place: &Place, row: usize, value: f32) {
    edit(place, VECTORS, |mut bytes| {
        let header = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
        let at = 8 + header + row * 4 * 4;
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        bytes
    });
}

/// Makes the manifest match changed vectors.
fn agree(place: &Place) {
    let mut manifest = Manifest::read(&place.bank).unwrap();
    let bytes = fs_err::read(place.bank.join(VECTORS)).unwrap();
    manifest.vectors.as_mut().unwrap().sha256 = emotrain_base::sha256_hex(&bytes);
    manifest.write(&place.bank).unwrap();
}

#[test]
fn a_bank_is_read_as_it_was_built() {
    let place = sound();
    let bank = Bank::open(&place.bank).unwrap();
    assert_eq!((bank.len(), bank.dialogues().len()), (3, 2));
    let read: Vec<_> = bank.iter().map(Result::unwrap).collect();
    assert_eq!(read, three());
    assert_eq!(bank.emotions().collect::<Vec<_>>(), ["fear", "joy", "surprise"]);
    assert_eq!(bank.vector(1), bank.vector(2));
    assert_eq!(bank.with_text(TextKey::same("you did it")), [1, 2]);
    assert_eq!(bank.with_exact_text(TextKey::exact("you did it")), None);
    assert!(check(&place.bank, Some(&WordSums::new(4))).is_empty());
}

#[test]
fn folders_that_are_not_banks() {
    let place = Place::new();
    check_problems(
        &place,
        &expect![[r#"
            bank: is not a bank: it has no manifest.json
              hint: name the folder of a bank, or build one with emotrain bank build"#]],
    );
    let place = sound();
    fs_err::remove_file(place.bank.join(VECTORS)).unwrap();
    check_problems(
        &place,
        &expect![[r#"
            bank/vectors.safetensors: is missing, but manifest.json names it
              hint: restore the folder from a copy, or rebuild the bank from its sources"#]],
    );
    let place = sound();
    replace(&place, "manifest.json", "\"format_version\": 2", "\"format_version\": 7");
    check_problems(
        &place,
        &expect![[r#"
            bank/manifest.json: has format version 7; this program reads version 2
              hint: build the bank again with this version"#]],
    );
    let place = sound();
    edit(&place, "manifest.json", |bytes| bytes[..40].to_vec());
    check_problems(
        &place,
        &expect![[r#"
            bank/manifest.json: is not a manifest of a bank: EOF while parsing a value at line 4 column 1
              hint: restore the folder from a copy, or rebuild the bank from its sources"#]],
    );
}

#[test]
fn edited_text_is_named_by_its_line() {
    let place = sound();
    replace(&place, DEMONSTRATIONS, "You did it!\",\"label\":\"happy", "You bid it!\",\"label\":\"happy");
    check_problems(
        &place,
        &expect![[r#"
            bank/demonstrations.jsonl:2: the text was edited after its vector was made
              hint: do not edit a bank by hand: change the source and rebuild, which encodes only new texts"#]],
    );
    let place = sound();
    replace(&place, DEMONSTRATIONS, "happy", "angry");
    check_problems(
        &place,
        &expect![[r#"
            bank/demonstrations.jsonl: was changed since the bank was built (sha256 , manifest.json says )
              hint: do not edit a bank by hand: change the source and rebuild, which encodes only new texts"#]],
    );
    let place = sound();
    replace(&place, DEMONSTRATIONS, "\"position\":1", "\"position\":0");
    check_problems(
        &place,
        &expect![[r#"
            bank/demonstrations.jsonl: was changed since the bank was built (sha256 , manifest.json says )
              hint: do not edit a bank by hand: change the source and rebuild, which encodes only new texts"#]],
    );
    let place = sound();
    replace(&place, DEMONSTRATIONS, "\"position\":1", "\"position\":x");
    check_problems(
        &place,
        &expect![[r#"
            bank/demonstrations.jsonl:2: expected value
              hint: do not edit a bank by hand: change the source and rebuild, which encodes only new texts"#]],
    );
}

#[test]
fn truncated_files() {
    let place = sound();
    edit(&place, DEMONSTRATIONS, |bytes| bytes[..bytes.len() - 30].to_vec());
    check_problems(
        &place,
        &expect![[r#"
            bank/demonstrations.jsonl: has 340 bytes, manifest.json says 370: it was truncated
              hint: restore the folder from a copy, or rebuild the bank from its sources"#]],
    );
    let place = sound();
    edit(&place, VECTORS, |bytes| bytes[..bytes.len() - 5].to_vec());
    check_problems(
        &place,
        &expect![[r#"
            bank/vectors.safetensors: has 487 bytes, manifest.json says 492: it was truncated
              hint: restore the folder from a copy, or rebuild the bank from its sources"#]],
    );
}

#[test]
fn an_identity_is_used_once() {
    let place = sound();
    replace(&place, DEMONSTRATIONS, "\"position\":1", "\"position\":0");
    // The manifest is made to match, as a careful forger would do.
    let bytes = fs_err::read(place.bank.join(DEMONSTRATIONS)).unwrap();
    let mut manifest = Manifest::read(&place.bank).unwrap();
    manifest.demonstrations.sha256 = emotrain_base::sha256_hex(&bytes);
    manifest.write(&place.bank).unwrap();
    check_problems(
        &place,
        &expect![[r#"
            bank/demonstrations.jsonl:2: own/train/a#0 is repeated, first on line 1
              hint: do not edit a bank by hand: change the source and rebuild, which encodes only new texts"#]],
    );
    manifest.count = 4;
    manifest.vectors = None;
    manifest.write(&place.bank).unwrap();
    check_problems(
        &place,
        &expect![[r#"
            bank/demonstrations.jsonl: has 3 demonstrations, manifest.json says 4
              hint: restore the folder from a copy, or rebuild the bank from its sources"#]],
    );
}

#[test]
fn invalid_vectors() {
    let place = sound();
    set_number(&place, 2, f32::NAN);
    check_problems(
        &place,
        &expect![[r#"
            bank/vectors.safetensors: was changed since the bank was built (sha256 , manifest.json says )
              hint: do not edit a bank by hand: change the source and rebuild, which encodes only new texts"#]],
    );
    agree(&place);
    check_problems(
        &place,
        &expect![[r#"
            bank/vectors.safetensors: vector 2 has the value NaN
              hint: restore the folder from a copy, or rebuild the bank from its sources"#]],
    );
    let place = sound();
    set_number(&place, 0, 3.0);
    agree(&place);
    let problems = check(&place.bank, None);
    assert!(matches!(problems[0].problem(), Some(BankProblem::NotUnit { row: 0, length }) if *length > 3.0));
    let place = sound();
    let mut manifest = Manifest::read(&place.bank).unwrap();
    manifest.vectors.as_mut().unwrap().dimensions = 8;
    manifest.write(&place.bank).unwrap();
    check_problems(
        &place,
        &expect![[r#"
            bank/vectors.safetensors: has 3 vectors of 4, manifest.json says 3 of 8
              hint: restore the folder from a copy, or rebuild the bank from its sources"#]],
    );
    let place = sound();
    edit(&place, VECTORS, |mut bytes| {
        bytes[8..12].fill(b'x');
        bytes
    });
    let problem = check(&place.bank, None).remove(0);
    assert!(matches!(problem.problem(), Some(BankProblem::BadVectors(_))), "{problem}");
}

#[test]
fn another_encoder_is_refused() {
    let place = sound();
    let minilm = WordSums { name: "minilm", ..WordSums::new(384) };
    let problem = check(&place.bank, Some(&minilm)).remove(0);
    expect![[r#"
        bank: was built with the encoder word-sums (4 numbers), not with minilm (384)
          hint: set retrieval.encoder to the bank's, or rebuild the bank with this encoder"#]]
    .assert_eq(&place.shown(&problem));
    place.write(&three(), None).unwrap();
    check_problems(
        &place,
        &expect![[r#"
            bank: has no vectors
              hint: give it vectors with emotrain bank build BANK --encoder NAME, or use lexical search (retrieval.encoder = "lexical")"#]],
    );
}

#[test]
fn the_digest_of_an_encoder_decides_and_its_vectors_are_compared() {
    let place = Place::new();
    let named = |name| WordSums { name, ..WordSums::new(4) };
    place.write(&three(), Some(&named("here/minilm@sha256:53aa"))).unwrap();
    assert!(check(&place.bank, Some(&named("there/minilm@sha256:53aa"))).is_empty());
    let said = |encoder: &WordSums| {
        check(&place.bank, Some(encoder)).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert!(
        said(&named("here/minilm@sha256:0b17"))
            .contains("was built with the encoder here/minilm@sha256:53aa")
    );
    // One that claims to be the same but computes other vectors.
    let liar = WordSums { salt: "x", ..named("here/minilm@sha256:53aa") };
    let said = said(&liar);
    assert!(said.contains("vector 0 differs by") && said.contains("vectors.safetensors"), "{said}");
}
