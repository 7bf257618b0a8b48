//! Recipes and dialogues for tests.

use emotrain_data::{Dialogue, LabelSet, Utterance};
use emotrain_recipe::{CurriculumSection, LabelSetName};

/// A `[curriculum]` with these keys.
pub(crate) fn section(keys: &str) -> CurriculumSection {
    let text = format!(
        "[model]\nmodel_name_or_path = \"tiny\"\n[data]\ntrain = \"a.jsonl\"\nvalid = \"b.jsonl\"\n\
         [train]\nnum_train_epochs = 1000\n[curriculum]\n{keys}\n"
    );
    emotrain_recipe::parse(&text, "erc.toml".as_ref(), &[]).unwrap_or_else(|e| panic!("{e}")).curriculum
}

/// MELD's labels.
pub(crate) fn meld() -> LabelSet {
    LabelSet::builtin(LabelSetName::Meld)
}

/// A dialogue of `speaker label` turns, separated by commas, with MELD's labels.
pub(crate) fn dialogue(id: &str, turns: &str) -> Dialogue {
    let utterance = |turn: &str| {
        let (speaker, label) = turn.trim().split_once(' ').unwrap();
        Utterance::new(speaker.into(), "…".into(), meld().resolve(label))
    };
    Dialogue::new(id.into(), turns.split(',').map(utterance).collect())
}
