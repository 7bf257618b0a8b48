//! The bank in the repository: intact, without anything of the quickstart's conversations, for which it has
//! demonstrations.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::path::Path;

use emotrain_data::{LabelPolicy, LabelSet, Split, SplitKind, load_split};
use emotrain_recipe::{DataFormat, LabelSetName};
use emotrain_retrieval::{Asked, Bank, Retriever, check, normalised};

fn quickstart(part: &str) -> Split {
    let path = format!("../../recipes/quickstart/{part}.jsonl");
    load_split(
        Path::new(&path),
        DataFormat::Jsonl,
        &LabelSet::builtin(LabelSetName::Meld),
        LabelPolicy::Required,
    )
    .unwrap()
}

#[test]
fn the_starter_bank_has_nothing_of_the_quickstart() {
    let folder = Path::new("../../retrieval_bank/starter");
    assert!(check(folder, None).is_empty());
    let bank = Bank::open(folder).unwrap();
    let texts: BTreeSet<String> = bank.iter().map(|one| normalised(&one.unwrap().text)).collect();
    let recipe =
        "[model]\nmodel_name_or_path = \"m\"\n[data]\ntrain = \"t\"\nvalid = \"v\"\n[retrieval]\nk = 2";
    let section = emotrain_recipe::parse(recipe, "a.toml".as_ref(), &[]).unwrap().retrieval;
    let retriever = Retriever::new(&bank, &section, None).unwrap();
    for (part, kind) in [("train", SplitKind::Train), ("valid", SplitKind::Valid), ("test", SplitKind::Test)]
    {
        let split = quickstart(part);
        for turn in split.dialogues.iter().flat_map(|dialogue| &dialogue.utterances) {
            assert!(!texts.contains(&normalised(&turn.text)), "{part}: {:?}", turn.text);
        }
        let asked = Asked { dataset: None, split: kind, sha256: Some(split.sha256.clone()) };
        let retrieved = retriever.for_split(&split, &asked, &[]).unwrap();
        assert_eq!((retrieved.same_text, retrieved.hits.len()), (0, split.utterance_count()));
    }
}
