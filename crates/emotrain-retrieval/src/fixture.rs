//! Small banks and a simple encoder for tests.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use emotrain_data::{Demonstration, Dialogue, LabelSet, Origin, Split, SplitKind, Utterance, emotion_of};
use emotrain_recipe::{LabelSetName, RetrievalSection};

use crate::bank::Bank;
use crate::builder::{Builder, Built, HeldOut, is_bank};
use crate::embed::{Embedder, EmbedderError, length};
use crate::error::RetrievalError;
use crate::text::{TextKey, words};

/// Adds a pseudo-random vector per word: texts with words in common are similar.
pub(crate) struct WordSums {
    pub(crate) name: &'static str,
    pub(crate) width: usize,
    /// A prefix of each word; another one gives other vectors.
    pub(crate) salt: &'static str,
    /// Fails once this many texts have been encoded.
    pub(crate) fails_after: usize,
    pub(crate) encoded: Cell<usize>,
}

impl WordSums {
    pub(crate) fn new(width: usize) -> Self {
        Self { name: "word-sums", width, salt: "", fails_after: usize::MAX, encoded: Cell::new(0) }
    }
}

impl Embedder for WordSums {
    fn identity(&self) -> String {
        self.name.to_owned()
    }

    fn dimensions(&self) -> usize {
        self.width
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<f32>, EmbedderError> {
        if self.encoded.get() + texts.len() > self.fails_after {
            return Err(EmbedderError { message: "the power went out".to_owned(), hint: None });
        }
        self.encoded.set(self.encoded.get() + texts.len());
        Ok(texts.iter().flat_map(|text| self.vector(text)).collect())
    }
}

impl WordSums {
    fn vector(&self, text: &str) -> Vec<f32> {
        let mut sum = vec![0.0; self.width];
        for word in words(text).chain([""]) {
            let noise = noise(TextKey::exact(&format!("{}{}", self.salt, word.to_lowercase())).0);
            sum.iter_mut().zip(noise).for_each(|(sum, value)| *sum += value);
        }
        let length = length(&sum);
        sum.iter().map(|value| value / length).collect()
    }
}

/// Numbers between -0.5 and 0.5 that depend only on the seed.
pub(crate) fn noise(seed: u64) -> impl Iterator<Item = f32> {
    (1_u64..).map(move |step| {
        let mut mixed = seed.wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    })
}

pub(crate) fn labels() -> LabelSet {
    LabelSet::builtin(LabelSetName::Meld)
}

pub(crate) const OWN: Origin<'static> = Origin { dataset: "own", split: SplitKind::Train, domain: None };

/// The section of a recipe that names only a bank.
pub(crate) fn section() -> RetrievalSection {
    let text = "[model]\nmodel_name_or_path = \"m\"\n[data]\ntrain = \"t\"\nvalid = \"v\"\n[retrieval]\nbank = \"b\"";
    emotrain_recipe::parse(text, Path::new("a.toml"), &[]).unwrap().retrieval
}

pub(crate) fn demonstration(
    (dataset, split, dialogue): (&str, SplitKind, &str),
    position: usize,
    text: &str,
    label: &str,
) -> Demonstration {
    Demonstration {
        dataset: dataset.to_owned(),
        split,
        dialogue: dialogue.to_owned(),
        position,
        speaker: None,
        domain: None,
        text: text.to_owned(),
        label: label.to_owned(),
        emotion: emotion_of(label),
    }
}

/// A folder for a test, removed with it.
pub(crate) struct Place {
    _folder: tempfile::TempDir,
    pub(crate) bank: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { bank: folder.path().join("bank"), _folder: folder }
    }

    pub(crate) fn parent(&self) -> &Path {
        self.bank.parent().unwrap()
    }

    /// Writes a file next to the bank.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.parent().join(name);
        fs_err::write(&path, text).unwrap();
        path
    }

    /// Builds a bank of these, or adds them to the one that is there, and opens it.
    pub(crate) fn build(&self, all: &[Demonstration], embedder: Option<&dyn Embedder>) -> Bank {
        self.write(all, embedder).unwrap();
        Bank::open(&self.bank).unwrap()
    }

    pub(crate) fn write(
        &self,
        all: &[Demonstration],
        embedder: Option<&dyn Embedder>,
    ) -> Result<Built, RetrievalError> {
        let held_out = all.iter().any(|one| one.split.is_held_out());
        let lines: Vec<String> = all.iter().map(|one| serde_json::to_string(one).unwrap()).collect();
        let path = self.file("source.jsonl", &lines.join("\n"));
        let held_out = if held_out { HeldOut::Force } else { HeldOut::Refuse };
        emotrain_base::recover(&self.bank)?;
        let there = is_bank(&self.bank).then(|| Bank::open(&self.bank)).transpose()?;
        let mut builder = match &there {
            Some(bank) => Builder::with_bank(bank, held_out)?,
            None => Builder::new(held_out),
        };
        drop(there);
        builder.add_jsonl(&path, OWN)?;
        builder.write(&self.bank, embedder, &mut |_| {})
    }

    /// An error without the folder's name, and its hint.
    pub(crate) fn shown(&self, error: &RetrievalError) -> String {
        let text = format!("{error}\n  hint: {}", error.hint().unwrap_or_else(|| "-".to_owned()));
        text.replace(&format!("{}/", self.parent().display()), "")
    }
}

/// Dialogues as a split read from a file.
pub(crate) fn split(dialogues: &[(&str, &[&str])]) -> Split {
    let dialogue = |(id, texts): &(&str, &[&str])| {
        let turn =
            |text: &&str| Utterance::new("Ana".to_owned(), (*text).to_owned(), labels().resolve("joy"));
        Dialogue::new((*id).to_owned(), texts.iter().map(turn).collect())
    };
    let dialogues = dialogues.iter().map(dialogue).collect();
    Split {
        path: PathBuf::from("own.train.jsonl"),
        sha256: "00".to_owned(),
        dialogues,
        mended: 0,
        damaged: 0,
        left_out: 0,
        other_order: None,
        part: None,
    }
}
