use super::*;
use crate::load::read_split;
use crate::split::{Split, check_disjoint};
use crate::split_kind::SplitKind;

/// The parts of a file with so many dialogues.
fn parts(dialogues: usize, keys: &str) -> Vec<Result<Split, String>> {
    let mut text = "dialogue,text,label\n".to_owned();
    for number in 0..dialogues {
        let label = ["joy", "fear"][usize::from(number % 4 == 0)];
        writeln!(text, "{number},What was said in dialogue number {number} is this.,{label}").unwrap();
    }
    let folder = folder(&[("own.csv", text.as_bytes())]);
    let path = folder.path().join("own.csv");
    let mut section = section(&format!("format = \"csv\"\n{keys}"));
    section.train = path;
    let labels = LabelSet::from_section(&section).unwrap();
    let read = |kind| read_split(&section, kind, &labels, section.unlabelled.into());
    let parts = SplitKind::ALL.into_iter().filter_map(read);
    let told = |error: DataError| {
        format!("{error}; {:?}", error.hint()).replace(&folder.path().display().to_string(), "")
    };
    parts.map(|part| part.map_err(told)).collect()
}

#[test]
fn one_file_gives_three_splits_that_share_nothing() {
    let read: Vec<Split> = parts(40, "split = [0.8, 0.1, 0.1]").into_iter().map(Result::unwrap).collect();
    let sizes: Vec<usize> = read.iter().map(|part| part.dialogues.len()).collect();
    assert_eq!(sizes, [32, 4, 4]);
    let mut ids: Vec<&str> =
        read.iter().flat_map(|part| &part.dialogues).map(|one| one.id.as_str()).collect();
    ids.sort_by_key(|id| id.parse::<usize>().unwrap());
    assert_eq!(ids, (0..40).map(|id| id.to_string()).collect::<Vec<_>>());
    let all: Vec<&Split> = read.iter().collect();
    let rule = emotrain_recipe::SharedDialogues::Auto;
    assert_eq!(check_disjoint(&all, DataFormat::Csv, rule).unwrap(), []);
    assert_ne!(read[0].sha256, read[1].sha256);
    let labels = LabelSet::builtin(LabelSetName::Meld);
    assert_eq!(read[1].summary(&labels).name, "own.csv (valid)");
    // The same file and seed give the same parts and hashes.
    let again = parts(40, "split = [0.8, 0.1, 0.1]");
    assert!(again.iter().zip(&read).all(|(again, read)| again.as_ref().unwrap().sha256 == read.sha256));
    let other = parts(40, "split = [0.8, 0.1, 0.1]\nsplit_seed = 7");
    assert_ne!(other[0].as_ref().unwrap().sha256, read[0].sha256);
    assert_eq!(parts(40, "split = [0.8, 0.2]").len(), 2);
}

#[test]
fn files_that_are_too_small_to_divide_are_refused() {
    let told: Vec<String> = parts(2, "split = [0.8, 0.1, 0.1]").into_iter().filter_map(Result::err).collect();
    expect![[r#"/own.csv: 2 different dialogues are too few for 3 parts; Some("add dialogues, or leave out data.split and name files in data.valid and data.test")"#]].assert_eq(&told[0]);
}
