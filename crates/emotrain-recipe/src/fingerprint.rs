//! The identity of a run.

use std::path::PathBuf;

use emotrain_base::sha256_hex;
use toml::Table;

use crate::recipe::Recipe;

impl Recipe {
    /// The identity of what this recipe trains: 64 hexadecimal digits.
    ///
    /// The SHA-256 of the recipe as TOML without the two keys that say where a run is kept,
    /// `train.output_dir` and `save.resume_from_checkpoint`, and without `[interpret]`, which
    /// training does not read: a run that was interrupted and goes on has the identity of one that
    /// was not. Input files count by their paths, not by their
    /// contents.
    ///
    /// # Panics
    ///
    /// Where [`Recipe::to_toml`] does.
    pub fn fingerprint(&self) -> String {
        let mut recipe = self.clone();
        recipe.train.output_dir = PathBuf::new();
        recipe.save.resume_from_checkpoint = None;
        let mut table = Table::try_from(&recipe).expect("numbers of a recipe fit into TOML");
        table.remove("interpret");
        sha256_hex(table.to_string().as_bytes())
    }
}
