//! Which files of a repository are needed, and whether a folder has them.

use std::collections::BTreeSet;
use std::path::Path;

use emotrain_base::limits;

use super::names::is_plain_path;

pub(super) const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
pub(super) const WEIGHTS: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";
/// What a sentence encoder is made of.
pub(super) const MODULES: &str = "modules.json";

/// Files whose absence says nothing: what they hold is taken where they are.
const TEXTS: [&str; 6] = [
    TOKENIZER,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
];
const SETTINGS: [&str; 2] = ["sentence_bert_config.json", "config_sentence_transformers.json"];

/// Which files of a model are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Configuration and tokenizer: a few megabytes.
    Texts,
    /// The weights as well.
    Everything,
    /// A sentence encoder: weights, tokenizer and the settings of its modules.
    Encoder,
}

/// A file that a folder lacks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lack {
    pub(super) file: String,
    /// "is missing", or what else it is.
    pub(super) how: &'static str,
}

impl Wanted {
    /// The key of a recipe that names such a model.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Texts | Self::Everything => "model.model_name_or_path",
            Self::Encoder => "retrieval.encoder",
        }
    }

    /// What a repository has to have; none of it can be done without.
    pub(super) fn needed(self) -> &'static [&'static str] {
        match self {
            Self::Texts | Self::Everything => &[CONFIG],
            Self::Encoder => &[CONFIG, MODULES],
        }
    }

    /// The small files that are taken where a repository has them.
    pub(super) fn texts(self) -> impl Iterator<Item = &'static str> {
        let settings = if self == Self::Encoder { &SETTINGS[..] } else { &[] };
        TEXTS.iter().chain(settings).copied()
    }

    /// Whether weights are among it.
    pub(super) fn has_weights(self) -> bool {
        self != Self::Texts
    }

    /// The first file without which this folder cannot be used.
    pub(super) fn lack(self, folder: &Path) -> Option<Lack> {
        let lack = |file: &str| missing(folder, file).map(|how| Lack { file: file.to_owned(), how });
        let texts = [CONFIG, TOKENIZER].into_iter().find_map(lack);
        // A module without settings has no file: only pooling cannot do without.
        let modules = || {
            let settings = module_settings(&folder.join(MODULES));
            let mut pooling = settings.iter().filter(|file| file.contains("Pooling") && is_plain_path(file));
            lack(MODULES).or_else(|| pooling.find_map(|file| lack(file)))
        };
        let weights = || match (missing(folder, WEIGHTS), missing(folder, INDEX)) {
            (None, _) => None,
            (Some(_), None) => {
                let shards = shards(&folder.join(INDEX));
                shards.iter().filter(|shard| is_plain_path(shard)).find_map(|shard| lack(shard))
            }
            // A link to nothing says more than a file that never was.
            (Some(MISSING), Some(how)) if how != MISSING => Some(Lack { file: INDEX.to_owned(), how }),
            (Some(how), Some(_)) => Some(Lack { file: WEIGHTS.to_owned(), how }),
        };
        texts
            .or_else(|| if self == Self::Encoder { modules() } else { None })
            .or_else(|| if self.has_weights() { weights() } else { None })
    }
}

const MISSING: &str = "is missing";

/// How a file is missing; `None` where it is there.
fn missing(folder: &Path, file: &str) -> Option<&'static str> {
    let path = folder.join(file);
    match fs_err::metadata(&path) {
        Ok(found) if found.is_file() => None,
        Ok(_) => Some("is no file"),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Some("cannot be read"),
        Err(_) if fs_err::symlink_metadata(&path).is_ok() => Some("is a link to a file that is missing"),
        Err(_) => Some(MISSING),
    }
}

/// The files with the settings of a sentence encoder's modules; its loader reports a list that is damaged.
pub(super) fn module_settings(modules: &Path) -> Vec<String> {
    let text = emotrain_base::read_to_string(modules, limits::CONFIG).unwrap_or_default();
    let modules: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let folders = modules.as_array().into_iter().flatten().filter_map(|module| module["path"].as_str());
    folders.filter(|folder| !folder.is_empty()).map(|folder| format!("{folder}/{CONFIG}")).collect()
}

/// The weight files that an index names; the model's loader reports an index that is damaged.
pub(super) fn shards(index: &Path) -> BTreeSet<String> {
    let text = emotrain_base::read_to_string(index, limits::CONFIG).unwrap_or_default();
    let index: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let files = index["weight_map"].as_object().into_iter().flat_map(serde_json::Map::values);
    files.filter_map(|file| file.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lack(folder: &Path, wanted: Wanted) -> Option<String> {
        wanted.lack(folder).map(|lack| format!("{} {}", lack.file, lack.how))
    }

    #[test]
    fn the_first_file_that_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let mut seen = Vec::new();
        let modules = r#"[{"path": ""}, {"path": "1_Pooling"}, {"path": "../2_Pooling"}]"#;
        let index = r#"{"weight_map": {"a": "1.safetensors", "b": "2.safetensors", "c": "../3"}}"#;
        for (file, text) in [
            ("config.json", "{}"),
            ("tokenizer.json", "{}"),
            ("modules.json", modules),
            ("1_Pooling/config.json", "{}"),
            ("model.safetensors.index.json", index),
            ("1.safetensors", ""),
            ("2.safetensors", ""),
        ] {
            seen.push(lack(path, Wanted::Encoder).unwrap());
            fs_err::create_dir_all(path.join(file).parent().unwrap()).unwrap();
            fs_err::write(path.join(file), text).unwrap();
        }
        let expected = [
            "config.json is missing",
            "tokenizer.json is missing",
            "modules.json is missing",
            "1_Pooling/config.json is missing",
            "model.safetensors is missing",
            "1.safetensors is missing",
            "2.safetensors is missing",
        ];
        assert_eq!(seen, expected);
        assert_eq!(lack(path, Wanted::Encoder), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_nothing_is_told_from_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for file in ["config.json", "tokenizer.json"] {
            fs_err::write(path.join(file), "{}").unwrap();
        }
        let blob = "../../blobs/0a1b";
        fs_err::os::unix::fs::symlink(blob, path.join(INDEX)).unwrap();
        let expected = "model.safetensors.index.json is a link to a file that is missing";
        assert_eq!(lack(path, Wanted::Everything).as_deref(), Some(expected));
        assert_eq!(lack(path, Wanted::Texts), None);
        fs_err::os::unix::fs::symlink(blob, path.join(WEIGHTS)).unwrap();
        let expected = "model.safetensors is a link to a file that is missing";
        assert_eq!(lack(path, Wanted::Everything).as_deref(), Some(expected));
        fs_err::remove_file(path.join("tokenizer.json")).unwrap();
        fs_err::create_dir(path.join("tokenizer.json")).unwrap();
        assert_eq!(lack(path, Wanted::Texts).as_deref(), Some("tokenizer.json is no file"));
    }
}
