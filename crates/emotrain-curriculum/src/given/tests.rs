use std::path::PathBuf;

use expect_test::{Expect, expect};
use tempfile::TempDir;

use super::*;
use crate::difficulty::DifficultyScorer;
use crate::fixture::{dialogue, meld, section};
use crate::wheel::Wheel;

fn file(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.jsonl");
    fs_err::write(&path, text).unwrap();
    (folder, path)
}

/// The result for dialogues `a` and `b` with the difficulties of a file.
fn read(text: &str) -> Result<Vec<f64>, String> {
    let (folder, path) = file(text);
    let scored = || {
        let section = section("name = \"file\"\ndifficulty_file = \"d.jsonl\"");
        let scorer = DifficultyScorer::new(&section, &meld(), &Wheel::builtin(), 42)?;
        let mut scorer = scorer.with_given(Given::read(&path)?);
        let scores = scorer.all(&[dialogue("a", "A joy"), dialogue("b", "A joy")])?;
        Ok::<_, CurriculumError>(scores.iter().map(|score| score.dif).collect())
    };
    scored().map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

#[track_caller]
fn check(text: &str, expected: &Expect) {
    expected.assert_eq(&read(text).unwrap_err());
}

#[test]
fn numbers_are_matched_by_id() {
    let text = "{\"id\":\"b\",\"dif\":-3}\n\n{\"dif\":0.1,\"id\":\" a\",\"n_utt\":4,\"more\":[]}\n";
    assert_eq!(read(text).unwrap(), [0.1, -3.0]);
}

#[test]
fn ids_and_numbers_are_read_as_in_data() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.jsonl");
    fs_err::write(&path, "{\"id\":0,\"dif\":\"1\"}\n{\"id\":\"1\",\"dif\":2.5}\n").unwrap();
    let mut given = Given::read(&path).unwrap();
    assert_eq!((given.take("0").unwrap(), given.take("1").unwrap()), (1.0, 2.5));
}

#[test]
fn mistakes_are_named() {
    let a = "{\"id\":\"a\",\"dif\":1}\n";
    let b = "{\"id\":\"b\",\"dif\":2}\n";
    check(a, &expect!["d.jsonl: has no difficulty for dialogue b"]);
    check(
        &format!("{a}{b}{{\"id\":\"x\",\"dif\":1}}\n{{\"id\":\"c\",\"dif\":1}}"),
        &expect!["d.jsonl:3: not in the data: 2 dialogues: x, c"],
    );
    check(&format!("{a}{b}{a}"), &expect!["d.jsonl:3: dialogue a is given twice, first on line 1"]);
    check(&format!("{a}{{\"id\":\"b\"}}"), &expect!["d.jsonl:2: missing field `dif`"]);
    check(
        &format!("{a}{{\"id\":\"b\",\"dif\":null}}"),
        &expect!["d.jsonl:2: `dif` should be a finite number, not null"],
    );
    check(&format!("{a}{{\"id\":\"b\",\"dif\":NaN}}"), &expect!["d.jsonl:2: JSON has no NaN"]);
    check(
        &format!("{a}{{\"id\":\"b\",\"dif\":1e999}}"),
        &expect!["d.jsonl:2: `dif` should be a finite number, not the number 1e999"],
    );
    check(
        &format!("{a}{{\"id\":\"b\",\"dif\":\"hard\"}}"),
        &expect![[r#"d.jsonl:2: `dif` should be a finite number, not "hard""#]],
    );
    let missing = Given::read("nowhere.jsonl".as_ref()).unwrap_err();
    assert_eq!(missing.to_string(), "nowhere.jsonl: no such file");
}

#[test]
fn computed_numbers_are_checked() {
    let given =
        |values: &[f64]| Given::new("loss", ["a", "b"].into_iter(), values).map_err(|e| e.to_string());
    expect!["1 difficulties for 2 dialogues"].assert_eq(&given(&[1.0]).unwrap_err());
    expect!["loss: the difficulty of dialogue b is NaN"].assert_eq(&given(&[1.0, f64::NAN]).unwrap_err());
    let loss = DifficultyScorer::new(&section("name = \"loss\""), &meld(), &Wheel::builtin(), 42).unwrap();
    let dialogues = [dialogue("b", "A joy"), dialogue("a", "A fear")];
    let mut given_loss = loss.clone().with_given(given(&[0.25, 0.5]).unwrap());
    let scores = given_loss.all(&dialogues).unwrap();
    assert_eq!(scores.iter().map(|score| score.dif).collect::<Vec<_>>(), [0.5, 0.25]);
    let mut loss = loss;
    expect![[r#"difficulty = "loss" needs a number for each dialogue, but none were provided"#]]
        .assert_eq(&loss.all(&dialogues).unwrap_err().to_string());
}
