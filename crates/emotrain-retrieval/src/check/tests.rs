#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use emotrain_base::sha256_hex;
use emotrain_data::SplitKind;
use emotrain_recipe::SearchIndex;
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::fixture::{Place, WordSums, demonstration, section};
use crate::manifest::{DEMONSTRATIONS, INDEX, MANIFEST, Manifest, VECTORS};
use crate::{HnswParameters, Retriever, add_index};

const FILES: [&str; 4] = [MANIFEST, DEMONSTRATIONS, VECTORS, INDEX];

/// A bank with everything, of texts that start with a word.
fn whole(word: &str) -> (Place, WordSums) {
    let (place, encoder) = (Place::new(), WordSums::new(6));
    let one = |row: usize| {
        let dialogue = if row < 7 { "a" } else { "b" };
        demonstration(("own", SplitKind::Train, dialogue), row, &format!("{word} {}.", row / 2), "joy")
    };
    place.write(&(0..15).map(one).collect::<Vec<_>>(), Some(&encoder)).unwrap();
    add_index(&place.bank, HnswParameters { m: 2, ef_construction: 8 }, &mut |_, _| {}).unwrap();
    (place, encoder)
}

fn first(place: &Place, expected: &Expect) {
    expected.assert_eq(&place.shown(&check(&place.bank, None).remove(0)));
}

#[test]
fn any_bit_that_flips_and_any_end_that_is_lost_is_found() {
    let (place, _) = whole("Line");
    assert!(check(&place.bank, None).is_empty());
    let sound = FILES.map(|name| fs_err::read(place.bank.join(name)).unwrap());
    let run = ProptestConfig::with_cases(500);
    proptest!(run, |(file in 0..FILES.len(), at in any::<prop::sample::Index>(), bit in 0_u8..8, cut in prop::bool::weighted(0.2))| {
        let path = place.bank.join(FILES[file]);
        let mut bytes = sound[file].clone();
        if cut {
            // The line break at the manifest's end may be missing.
            bytes.truncate(at.index(bytes.len() - usize::from(file == 0)));
        } else {
            bytes[at.index(sound[file].len())] ^= 1 << bit;
        }
        fs_err::write(&path, &bytes).unwrap();
        let problems = check(&place.bank, None);
        fs_err::write(&path, &sound[file]).unwrap();
        prop_assert!(!problems.is_empty(), "{} was changed", FILES[file]);
    });
    assert!(check(&place.bank, None).is_empty());
}

/// The manifest is forged to match: what can still be detected is reported, and nothing fails.
#[test]
fn forged_headers_break_nothing() {
    let (place, encoder) = whole("Line");
    let sound = fs_err::read(place.bank.join(VECTORS)).unwrap();
    let manifest = Manifest::read(&place.bank).unwrap();
    let header = 8 + usize::try_from(u64::from_le_bytes(sound[..8].try_into().unwrap())).unwrap();
    let digits: Vec<usize> = (8..header).filter(|at| sound[*at].is_ascii_digit()).collect();
    let change = (any::<prop::sample::Index>(), any::<u8>(), any::<prop::sample::Index>());
    let changes = proptest::collection::vec(change, 1..4);
    proptest!(ProptestConfig::with_cases(400), |(changes in changes, kind in 0_u8..3)| {
        let mut bytes = sound.clone();
        for (at, value, digit) in &changes {
            match kind {
                0 => bytes[digits[digit.index(digits.len())]] = b'0' + value % 10,
                1 => bytes[at.index(header)] = *value,
                _ => bytes[header + at.index(sound.len() - header)] = *value,
            }
        }
        fs_err::write(place.bank.join(VECTORS), &bytes).unwrap();
        let mut manifest = manifest.clone();
        let sha256 = sha256_hex(&bytes);
        manifest.index.as_mut().unwrap().vectors_sha256.clone_from(&sha256);
        manifest.vectors.as_mut().unwrap().sha256 = sha256;
        manifest.write(&place.bank).unwrap();
        let is_sound = check(&place.bank, None).is_empty();
        prop_assert!(!is_sound || kind == 1 || bytes == sound);
        let Ok(bank) = Bank::open(&place.bank) else { return Ok(()) };
        for index in [SearchIndex::Exact, SearchIndex::Hnsw] {
            let section = emotrain_recipe::RetrievalSection { index, ..section() };
            if let Ok(retriever) = Retriever::new(&bank, &section, Some(&encoder)) {
                retriever.for_texts(&["Line 3", "A word"]).unwrap();
            }
        }
    });
}

#[test]
fn files_of_another_bank() {
    for name in FILES {
        let ((place, _), (other, _)) = (whole("Line"), whole("Word"));
        fs_err::copy(other.bank.join(name), place.bank.join(name)).unwrap();
        let problems = check(&place.bank, None);
        assert!(!problems.is_empty(), "{name}");
        assert!(problems.iter().all(|problem| problem.hint().is_some()), "{problems:?}");
    }
}

#[test]
fn paths_that_are_not_files() {
    for name in FILES {
        let (place, _) = whole("Line");
        let path = place.bank.join(name);
        fs_err::write(&path, "").unwrap();
        let problem = place.shown(&check(&place.bank, None).remove(0));
        assert!(problem.starts_with(&format!("bank/{name}: ")), "{problem}");
        fs_err::remove_file(&path).unwrap();
        fs_err::create_dir(&path).unwrap();
        let problem = place.shown(&check(&place.bank, None).remove(0));
        assert!(problem.starts_with(&format!("bank/{name}: is not a file")), "{problem}");
        #[cfg(unix)]
        for target in [path.as_path(), "/dev/zero".as_ref(), "/nowhere".as_ref()] {
            let _ = fs_err::remove_dir(&path);
            let _ = fs_err::remove_file(&path);
            std::os::unix::fs::symlink(target, &path).unwrap();
            let problem = check(&place.bank, None).remove(0);
            assert!(problem.hint().is_some(), "{problem}");
        }
    }
    let place = Place::new();
    fs_err::write(&place.bank, "a file").unwrap();
    first(
        &place,
        &expect![[r#"
            bank: is not a bank: it has no manifest.json
              hint: name the folder of a bank, or build one with emotrain bank build"#]],
    );
}

#[test]
fn a_manifest_that_was_edited() {
    let (place, _) = whole("Line");
    let text = fs_err::read_to_string(place.bank.join(MANIFEST)).unwrap();
    let edited = |from: &str, to: &str| {
        assert!(text.contains(from));
        fs_err::write(place.bank.join(MANIFEST), text.replacen(from, to, 1)).unwrap();
        let problem = check(&place.bank, None).remove(0);
        (problem.to_string(), problem.hint())
    };
    // The name by which the guard identifies a dialogue's data set.
    let (problem, _) = edited("\"dataset\": \"own\"", "\"dataset\": \"out\"");
    assert!(problem.contains("manifest.json: was changed since the bank was built"), "{problem}");
    let (problem, _) = edited("\"count\": 15", "\"count\": 18446744073709551615");
    assert!(problem.contains("was changed"), "{problem}");
    let (problem, _) = edited("\"format_version\": 2", "\"format_version\": 3");
    assert!(problem.ends_with("has format version 3; this program reads version 2"), "{problem}");
    let (problem, _) = edited("\"format_version\": 2", "\"format_version\": 1");
    assert!(problem.ends_with("version 1 has no index and no digest"), "{problem}");
}

#[test]
fn a_bank_of_the_version_before_is_opened() {
    let (place, _) = whole("Line");
    let mut manifest = Manifest::read(&place.bank).unwrap();
    (manifest.format_version, manifest.index) = (1, None);
    fs_err::write(place.bank.join(MANIFEST), serde_json::to_string_pretty(&manifest).unwrap()).unwrap();
    assert!(check(&place.bank, None).is_empty());
    assert_eq!(Bank::open(&place.bank).unwrap().manifest().format_version, 1);
    // Adding to it upgrades it.
    add_index(&place.bank, HnswParameters::default(), &mut |_, _| {}).unwrap();
    assert_eq!(Bank::open(&place.bank).unwrap().manifest().format_version, 2);
}
