//! Models from a hub: a name that is not a path here is looked up in the local cache, then fetched.
//!
//! The cache is the one that other tools of the Hugging Face world share. A revision that is in it is used
//! as it is, without asking the network whether a branch has moved.

use std::path::{Path, PathBuf};

use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};

use crate::env::Env;
use crate::printer::{Counter, Printer};

const CONFIG: &str = "config.json";
/// The first is needed; what the others say is taken where they are.
const TOKENIZER: [&str; 4] =
    ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"];
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// What a sentence encoder is made of, and what else its folder says of it.
const MODULES: &str = "modules.json";
const SETTINGS: [&str; 2] = ["sentence_bert_config.json", "config_sentence_transformers.json"];

const ENCODER_WAYS_OUT: &str = "give the path of a folder that sentence-transformers has saved; or check the name, the \
network, HF_ENDPOINT (a mirror) and HF_TOKEN (private models)";

const WAYS_OUT: &str = "give the path of a folder with config.json, tokenizer.json and safetensors, or of a .gguf file; \
or check the name, the network, HF_ENDPOINT (a mirror) and HF_TOKEN (private models)";

/// Why a model did not come from the hub.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HubError {
    /// Neither a path nor a name that a hub could have.
    #[error("{} = {name:?}: no such file or folder", wanted.key())]
    NoSuchPath { name: String, wanted: Wanted },
    /// Not in the cache, and fetching is switched off.
    #[error("{name}: not a path here, not in the cache, and HF_HUB_OFFLINE forbids to fetch it")]
    Offline { name: String, wanted: Wanted },
    /// No place to keep it.
    #[error("{0}: there is no home directory to keep it in; set HF_HOME")]
    NoHome(String),
    /// The hub said no, or there is no network.
    #[error("{name} (revision {revision}): not a path here, and the hub does not give it: {reason}")]
    Refused { name: String, revision: String, reason: String, wanted: Wanted },
    /// The repository holds no such file, without which it cannot be used.
    #[error("{name}: the repository holds no {file}")]
    Lacking { name: String, file: &'static str },
}

impl HubError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Lacking { file: MODULES, .. } => {
                "it is no sentence encoder; name one that sentence-transformers has saved"
            }
            Self::Lacking { .. } => {
                "only safetensors are read; download a .gguf file by hand and give its path"
            }
            Self::NoSuchPath { wanted, .. } | Self::Offline { wanted, .. } | Self::Refused { wanted, .. } => {
                if *wanted == Wanted::Encoder {
                    ENCODER_WAYS_OUT
                } else {
                    WAYS_OUT
                }
            }
            Self::NoHome(_) => WAYS_OUT,
        }
    }
}

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

impl Wanted {
    /// The key of a recipe that names such a model.
    fn key(self) -> &'static str {
        match self {
            Self::Texts | Self::Everything => "model.model_name_or_path",
            Self::Encoder => "retrieval.encoder",
        }
    }
}

/// The hub as the environment describes it.
pub(crate) struct Hub<'a> {
    env: &'a Env,
    printer: &'a Printer,
}

impl<'a> Hub<'a> {
    /// Touches neither disk nor network yet.
    pub(crate) fn new(env: &'a Env, printer: &'a Printer) -> Self {
        Self { env, printer }
    }

    /// The folder in the cache that holds the wanted files; its name is the commit.
    ///
    /// # Errors
    /// Every way in which a name leads nowhere.
    pub(crate) fn folder(&self, name: &str, revision: &str, wanted: Wanted) -> Result<PathBuf, HubError> {
        if !is_hub_name(name) {
            return Err(HubError::NoSuchPath { name: name.to_owned(), wanted });
        }
        let Some(place) = &self.env.hub_cache else { return Err(HubError::NoHome(name.to_owned())) };
        if let Some(folder) = self.cached(name, revision, wanted) {
            return Ok(folder);
        }
        if self.env.offline {
            return Err(HubError::Offline { name: name.to_owned(), wanted });
        }
        let repo = Repo::with_revision(name.to_owned(), RepoType::Model, revision.to_owned());
        self.fetch(&Cache::new(place.clone()), &repo, (name, wanted))
    }

    /// The same, without asking the network; `None` where the cache does not hold all of it.
    pub(crate) fn cached(&self, name: &str, revision: &str, wanted: Wanted) -> Option<PathBuf> {
        if !is_hub_name(name) {
            return None;
        }
        let cache = Cache::new(self.env.hub_cache.clone()?);
        let repo = Repo::with_revision(name.to_owned(), RepoType::Model, revision.to_owned());
        let cached =
            cache.repo(repo.clone()).get(CONFIG).and_then(|file| file.parent().map(Path::to_path_buf));
        let pinned = cache.repo(repo).pointer_path(revision);
        cached.into_iter().chain([pinned]).find(|folder| is_complete(folder, wanted))
    }

    fn fetch(&self, cache: &Cache, repo: &Repo, (name, wanted): (&str, Wanted)) -> Result<PathBuf, HubError> {
        let refused = |error: &ApiError| HubError::Refused {
            name: name.to_owned(),
            revision: repo.revision().to_owned(),
            reason: reason(error),
            wanted,
        };
        let api = self.api(cache.clone()).map_err(|error| refused(&error))?;
        let info = api.repo(repo.clone()).info().map_err(|error| refused(&error))?;
        let has = |file: &str| info.siblings.iter().any(|sibling| sibling.rfilename == file);
        // All files of one commit, whatever happens to the branch meanwhile.
        let commit = api.repo(Repo::with_revision(name.to_owned(), RepoType::Model, info.sha.clone()));
        let get = |file: &str| -> Result<PathBuf, HubError> {
            let cached = cache.repo(repo.clone()).pointer_path(&info.sha).join(file);
            if cached.exists() {
                return Ok(cached);
            }
            let download = Download(self.printer.bytes(file));
            commit.download_with_progress(file, download).map_err(|error| refused(&error))
        };
        let lacking = |file| HubError::Lacking { name: name.to_owned(), file };
        if !has(CONFIG) {
            return Err(lacking(CONFIG));
        }
        if wanted == Wanted::Encoder && !has(MODULES) {
            return Err(lacking(MODULES));
        }
        self.printer.say(format_args!("fetching {name} ({})", info.sha));
        for file in TOKENIZER.into_iter().filter(|file| has(file)) {
            get(file)?;
        }
        if wanted == Wanted::Encoder {
            let modules = module_settings(&get(MODULES)?).into_iter().chain(SETTINGS.map(str::to_owned));
            for file in modules.filter(|file| has(file)) {
                get(&file)?;
            }
        }
        if wanted != Wanted::Texts {
            if has(WEIGHTS) {
                get(WEIGHTS)?;
            } else if has(INDEX) {
                for shard in shards(&get(INDEX)?) {
                    get(&shard)?;
                }
            } else {
                return Err(lacking(WEIGHTS));
            }
        }
        let config = get(CONFIG)?;
        // Without the branch's name in the cache it would be looked up again; that is all that is lost.
        let _ = cache.repo(repo.clone()).create_ref(&info.sha);
        Ok(config.parent().map(Path::to_path_buf).unwrap_or_default())
    }

    fn api(&self, cache: Cache) -> Result<Api, ApiError> {
        let mut builder = ApiBuilder::from_cache(cache).with_retries(3).with_progress(false);
        if let Some(endpoint) = &self.env.hub_endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        if let Some(token) = &self.env.hub_token {
            builder = builder.with_token(Some(token.clone()));
        }
        builder.build()
    }
}

/// `name` or `owner/name`, in the characters that hubs allow.
fn is_hub_name(name: &str) -> bool {
    let sound = |part: &str| {
        let first = part.chars().next();
        let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        first.is_some_and(|c| c.is_ascii_alphanumeric()) && part.chars().all(known)
    };
    let is_file = [".gguf", ".safetensors"].iter().any(|end| name.to_lowercase().ends_with(end));
    name.split('/').count() <= 2 && name.split('/').all(sound) && !is_file
}

fn is_complete(folder: &Path, wanted: Wanted) -> bool {
    let has = |file: &str| folder.join(file).exists();
    let texts = has(CONFIG) && has(TOKENIZER[0]);
    let index = folder.join(INDEX);
    let sharded = || index.exists() && shards(&index).iter().all(|shard| has(shard));
    // A module without settings has no file: only pooling cannot do without.
    let modules = || {
        let settings = module_settings(&folder.join(MODULES));
        has(MODULES) && settings.iter().filter(|file| file.contains("Pooling")).all(|file| has(file))
    };
    texts
        && (wanted != Wanted::Encoder || modules())
        && (wanted == Wanted::Texts || has(WEIGHTS) || sharded())
}

/// The files with the settings of a sentence encoder's modules; its loader reports a list that is damaged.
fn module_settings(modules: &Path) -> Vec<String> {
    let text = fs_err::read_to_string(modules).unwrap_or_default();
    let modules: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let folders = modules.as_array().into_iter().flatten().filter_map(|module| module["path"].as_str());
    folders.filter(|folder| !folder.is_empty()).map(|folder| format!("{folder}/{CONFIG}")).collect()
}

/// The weight files that an index names; the model's loader reports an index that is damaged.
fn shards(index: &Path) -> Vec<String> {
    let text = fs_err::read_to_string(index).unwrap_or_default();
    let index: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let files = index["weight_map"].as_object().into_iter().flat_map(serde_json::Map::values);
    let mut files: Vec<String> = files.filter_map(|file| file.as_str().map(str::to_owned)).collect();
    files.sort();
    files.dedup();
    files
}

/// What went wrong, the customary statuses in words.
fn reason(error: &ApiError) -> String {
    let text = error.to_string();
    let statuses = [
        ("401", "it does not exist, or it is private and HF_TOKEN is missing"),
        ("403", "this HF_TOKEN has no access"),
        ("404", "no such model or revision"),
    ];
    let known = statuses.iter().find(|(status, _)| text.ends_with(&format!("http status: {status}")));
    known.map_or(text.clone(), |(status, words)| format!("{words} (status {status})"))
}

struct Download(Counter);

impl Progress for Download {
    fn init(&mut self, size: usize, _file: &str) {
        self.0.start(size);
    }

    fn update(&mut self, size: usize) {
        self.0.add(size);
    }

    fn finish(&mut self) {
        self.0.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hub_names_are_told_from_paths() {
        for name in ["Qwen/Qwen2.5-7B-Instruct", "gpt2", "a-b/c_d.e"] {
            assert!(is_hub_name(name), "{name}");
        }
        for path in
            ["", "./model", "../model", "/models/x", "a/b/c", "model.gguf", "a/b.gguf", "a//b", "~/x", "a b"]
        {
            assert!(!is_hub_name(path), "{path}");
        }
    }
}
