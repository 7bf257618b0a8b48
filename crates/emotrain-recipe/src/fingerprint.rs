//! The identity of a run.

use std::path::PathBuf;

use emotrain_base::sha256_hex;
use toml::Table;

use crate::recipe::Recipe;

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
}
