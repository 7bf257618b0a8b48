//! The identity of a run.

use std::path::{Path, PathBuf};

use emotrain_base::sha256_hex;
use toml::{Table, Value};

use crate::key::Kind;
use crate::path::is_toml;
use crate::recipe::Recipe;
use crate::section::{KNOWLEDGE, SECTIONS, Section};

impl Recipe {
    /// The identity of what this recipe trains: 64 hexadecimal digits.
    ///
    /// The SHA-256 of the recipe as TOML without `train.output_dir` and `save.resume_from_checkpoint`, which say where
    /// a run is stored, and without `[interpret]`, which training does not read: a resumed run has the identity of an
    /// uninterrupted one. Input files count by their paths, not their contents.
    ///
    /// # Panics
    ///
    /// If [`Recipe::to_toml`] does.
    pub fn fingerprint(&self) -> String {
        let mut recipe = self.clone();
        recipe.train.output_dir = PathBuf::new();
        recipe.save.resume_from_checkpoint = None;
        let mut table = Table::try_from(&recipe).expect("numbers of a recipe fit into TOML");
        table.remove("interpret");
        sha256_hex(table.to_string().as_bytes())
    }

    /// The identity of a run's results: 64 hexadecimal digits, equal wherever the run and its inputs lie.
    ///
    /// As [`Recipe::fingerprint`], but every input path counts by the `digest` of its contents, and what may change when
    /// a run is resumed does not count: `[logging]`, `[save]` without the type of the saved weights, threads.
    ///
    /// # Errors
    ///
    /// The first of `digest`.
    ///
    /// # Panics
    ///
    /// If [`Recipe::to_toml`] does.
    pub fn identity<E>(&self, mut digest: impl FnMut(&Path) -> Result<String, E>) -> Result<String, E> {
        let mut recipe = self.clone();
        recipe.train.output_dir = PathBuf::new();
        recipe.model.num_threads = 0;
        let mut table = Table::try_from(&recipe).expect("numbers of a recipe fit into TOML");
        table.remove("interpret");
        table.remove("logging");
        table.remove("save");
        table.insert("dtype".to_owned(), Value::String(recipe.save.dtype.as_str().to_owned()));
        for section in SECTIONS {
            if let Some(Value::Table(keys)) = table.get_mut(section.name) {
                by_contents(section, keys, &mut digest)?;
            }
        }
        for source in table.get_mut(KNOWLEDGE.name).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Value::Table(keys) = source {
                by_contents(KNOWLEDGE, keys, &mut digest)?;
            }
        }
        Ok(sha256_hex(table.to_string().as_bytes()))
    }
}

/// Replaces every input path of a section by the digest of what it holds.
fn by_contents<E>(
    section: &Section,
    keys: &mut Table,
    digest: &mut impl FnMut(&Path) -> Result<String, E>,
) -> Result<(), E> {
    for key in section.keys {
        let Some(Value::String(text)) = keys.get_mut(key.name) else { continue };
        if is_input(key.kind, text) {
            *text = digest(Path::new(text.as_str()))?;
        }
    }
    Ok(())
}

/// Whether a resolved value is the path of something that a run reads.
fn is_input(kind: Kind, text: &str) -> bool {
    let is_path = match kind {
        Kind::InputPath => true,
        // A Hub id is none.
        Kind::Model => Path::new(text).exists(),
        Kind::WordOrFile(_) => is_toml(text),
        Kind::WordOrPath(words) => !words.contains(&text),
        Kind::Switch
        | Kind::Count(..)
        | Kind::CountOrShare(_)
        | Kind::Number(..)
        | Kind::Text
        | Kind::OutputPath
        | Kind::Choice(_)
        | Kind::Device
        | Kind::Texts
        | Kind::Shares
        | Kind::Choices(_)
        | Kind::WordOrChoices(..)
        | Kind::WordOrTexts(_)
        | Kind::LoraInit
        | Kind::TextTable
        | Kind::CountTable(..)
        | Kind::NumberTable(_)
        | Kind::Counts(_)
        | Kind::TextsBy(_)
        | Kind::WordOrNumbers(_) => false,
    };
    is_path && !text.is_empty()
}
