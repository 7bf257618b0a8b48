//! Difficulties of published data, if available: set `EMOTRAIN_DATA_DIR` to a folder with `meld.train.json` and
//! `meld.valid.json` in PRC-Emo's format.

#![expect(clippy::print_stderr, reason = "the tests must say that they skip")]

use std::path::PathBuf;

use emotrain_curriculum::{Curriculum, DifficultyScorer, Wheel};
use emotrain_data::{LabelPolicy, LabelSet, Split, load_split};
use emotrain_recipe::{DataFormat, LabelSetName};

use crate::brute_force::largest_difference;

fn meld(file: &str) -> Option<Split> {
    let Some(folder) = std::env::var_os("EMOTRAIN_DATA_DIR") else {
        eprintln!("skipped: EMOTRAIN_DATA_DIR is not set");
        return None;
    };
    let labels = LabelSet::builtin(LabelSetName::Meld);
    Some(
        load_split(&PathBuf::from(folder).join(file), DataFormat::PrcJson, &labels, LabelPolicy::Required)
            .unwrap(),
    )
}

#[test]
fn every_dialogue_of_meld_agrees() {
    for (file, dialogues) in [("meld.train.json", 1_038), ("meld.valid.json", 114)] {
        let Some(split) = meld(file) else { return };
        assert_eq!(split.dialogues.len(), dialogues);
        let largest = largest_difference(&split.dialogues);
        eprintln!("{file}: largest difference {largest:e}");
        assert!(largest < 1e-12, "{file}: {largest:e}");
    }
}

#[test]
fn meld_is_cut_in_the_middle() {
    let Some(split) = meld("meld.train.json") else { return };
    let text = "[model]\nmodel_name_or_path = \"tiny\"\n[data]\ntrain = \"a\"\nvalid = \"b\"\n\
                [curriculum]\nname = \"prc_emo\"";
    let section = emotrain_recipe::parse(text, "erc.toml".as_ref(), &[]).unwrap().curriculum;
    let labels = LabelSet::builtin(LabelSetName::Meld);
    let mut scorer = DifficultyScorer::new(&section, &labels, &Wheel::builtin(), 42).unwrap();
    let curriculum = Curriculum::new(&section, &mut scorer, &split.dialogues).unwrap();
    let half = curriculum.schedule.epoch(0).share;
    assert!((half - 0.5).abs() < 0.002, "{half}");
    assert_eq!(curriculum.schedule.epoch(1).dialogues.len(), 1_038);
}
