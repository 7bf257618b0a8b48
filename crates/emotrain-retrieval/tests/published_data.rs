//! A bank of published data, if available: set `EMOTRAIN_DATA_DIR` to a folder with `meld.train.json`,
//! `meld.valid.json` and `demonstrations.prc-emo.json` in PRC-Emo's format.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test, and it must say that it skips")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use emotrain_data::{LabelPolicy, LabelSet, Origin, Split, SplitKind, load_split};
use emotrain_recipe::{DataFormat, LabelSetName, RetrievalSection};
use emotrain_retrieval::{Asked, Bank, Builder, HeldOut, Retriever, check, normalised, stats};

fn origin(dataset: &str) -> Origin<'_> {
    Origin { dataset, split: SplitKind::Train, domain: None }
}

fn section(more: &str) -> RetrievalSection {
    let text = format!(
        "[model]\nmodel_name_or_path = \"m\"\n[data]\ntrain = \"t\"\nvalid = \"v\"\n[retrieval]\n{more}"
    );
    emotrain_recipe::parse(&text, Path::new("a.toml"), &[]).unwrap().retrieval
}

fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("EMOTRAIN_DATA_DIR").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: EMOTRAIN_DATA_DIR is not set");
    }
    folder
}

fn meld(folder: &Path, part: &str) -> Split {
    let labels = LabelSet::builtin(LabelSetName::Meld);
    load_split(&folder.join(format!("meld.{part}.json")), DataFormat::PrcJson, &labels, LabelPolicy::Required)
        .unwrap()
}

#[test]
fn meld_and_the_demonstrations_of_prc_emo_make_a_bank() {
    let Some(folder) = data() else { return };
    let labels = LabelSet::builtin(LabelSetName::Meld);
    let (train, valid) = (meld(&folder, "train"), meld(&folder, "valid"));
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("bank");

    let mut builder = Builder::new(HeldOut::Refuse);
    builder.add_split(&valid, &labels, origin("meld")).unwrap_err();
    assert_eq!(builder.add_split(&train, &labels, origin("meld")).unwrap().added, 9_989);
    let list = folder.join("demonstrations.prc-emo.json");
    assert_eq!(builder.add_prc_demonstrations(&list, origin("prc_emo")).unwrap().added, 14_009);
    builder.write(&path, None, &mut |_| {}).unwrap();
    let start = Instant::now();
    let bank = Bank::open(&path).unwrap();
    eprintln!("opened {} demonstrations in {:?}", bank.len(), start.elapsed());
    assert_eq!(bank.len(), 23_998);
    assert!(check(&path, None).is_empty());
    let start = Instant::now();
    let counted = stats(&bank).unwrap();
    eprintln!("{counted}\ncounted in {:?}", start.elapsed());
    assert_eq!(counted.emotions.len(), 7);

    let section = section("bank = \"b\"");
    let retriever = Retriever::new(&bank, &section, None).unwrap();
    for (split, kind) in [(&train, SplitKind::Train), (&valid, SplitKind::Valid)] {
        let start = Instant::now();
        let asked =
            Asked { dataset: Some("meld".to_owned()), split: kind, sha256: Some(split.sha256.clone()) };
        let retrieved = retriever.for_split(split, &asked, &[]).unwrap();
        eprintln!("{kind}: {retrieved} in {:?}", start.elapsed());
        assert_eq!(retrieved.hits.len(), split.utterance_count());
        assert!(retrieved.same_text > 0);
        let texts = split.dialogues.iter().flat_map(|dialogue| &dialogue.utterances);
        for ((id, hits), turn) in retrieved.hits.iter().zip(texts) {
            for hit in hits {
                let found = bank.demonstration(hit.row).unwrap();
                assert_ne!(normalised(&found.text), normalised(&turn.text));
                let is_own =
                    kind == SplitKind::Train && found.dataset == "meld" && found.dialogue == id.dialogue;
                assert!(!is_own, "{id} got {}", found.id());
            }
        }
    }
}
