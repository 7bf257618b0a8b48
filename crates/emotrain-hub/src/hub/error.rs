//! Every way in which a name leads nowhere.

use std::path::PathBuf;

use emotrain_base::Complaint;

use super::cached::Gap;
use super::names::quoted;
use super::trouble::Trouble;
use super::wanted::{MODULES, Wanted};

const ENCODER_WAYS_OUT: &str = "give the path of a folder that sentence-transformers has saved; or check the name, the \
network, HF_ENDPOINT (a mirror) and HF_TOKEN (private models)";

const WAYS_OUT: &str = "give the path of a folder with config.json, tokenizer.json and safetensors, or of a .gguf file; \
or check the name, the network, HF_ENDPOINT (a mirror) and HF_TOKEN (private models)";

/// Why a model did not come from the hub.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// Neither a path nor a name that a hub could have.
    #[error("{} = {name:?}: no such file or folder", wanted.key())]
    NoSuchPath { name: String, wanted: Wanted },
    /// Not a branch, tag or commit.
    #[error("{name}: the revision {} is no branch, tag or commit", quoted(revision))]
    NoSuchRevision { name: String, revision: String },
    /// Not in the cache, and fetching is switched off.
    #[error("{name}: {gap}, and {switch} forbids to fetch it")]
    Offline { name: String, gap: Box<Gap>, switch: &'static str, wanted: Wanted },
    /// No place to keep it.
    #[error("{0}: there is no home directory to keep it in; set HF_HOME")]
    NoHome(String),
    /// A token that cannot be sent.
    #[error("{name}: what {origin} holds is no token")]
    NoToken { name: String, origin: String },
    /// A time that is none.
    #[error("{name}: HF_HUB_DOWNLOAD_TIMEOUT = {} is no whole number of seconds above 0", quoted(text))]
    NoTimeout { name: String, text: String },
    /// An address of a hub that is none.
    #[error("{name}: HF_ENDPOINT = {} is no address of http:// or https://", quoted(endpoint))]
    NoEndpoint { name: String, endpoint: String },
    /// The hub said no, or there is no network.
    #[error("{name} (revision {revision}): {gap}, and the hub does not give it: {reason}")]
    Refused { name: String, revision: String, gap: Box<Gap>, reason: String, wanted: Wanted },
    /// What the hub says would be followed by nobody who is careful.
    #[error("{name}: the hub cannot be trusted: {what}")]
    Untrusted { name: String, what: String },
    /// The repository holds no such file, without which it cannot be used.
    #[error("{name}: the repository holds no {file}")]
    Lacking { name: String, file: &'static str },
    /// A folder of the cache is a link that leads out of it.
    #[error("{name}: {} leads out of the cache", place.display())]
    LeavesCache { name: String, place: PathBuf },
    /// The cache cannot be written.
    #[error("{name} cannot be kept in the cache: {source}")]
    Cache { name: String, source: std::io::Error },
}

/// What the hub was asked for.
pub(super) struct Asked<'a> {
    pub(super) name: &'a str,
    pub(super) revision: &'a str,
    pub(super) gap: &'a Gap,
    pub(super) wanted: Wanted,
}

impl FetchError {
    /// A file's trouble, of the model that it belongs to.
    pub(super) fn of(trouble: Trouble, asked: &Asked<'_>) -> Self {
        let name = asked.name.to_owned();
        match trouble {
            Trouble::Hub(reason) | Trouble::Passing { reason, .. } => Self::Refused {
                name,
                revision: asked.revision.to_owned(),
                gap: Box::new(asked.gap.clone()),
                reason,
                wanted: asked.wanted,
            },
            Trouble::Untrusted(what) => Self::Untrusted { name, what },
            Trouble::LeavesCache(place) => Self::LeavesCache { name, place },
            Trouble::Cache(source) => Self::Cache { name, source },
        }
    }

    /// What to do about it.
    fn hint(&self) -> &'static str {
        match self {
            Self::Lacking { file: MODULES, .. } => {
                "it is no sentence encoder; name one that sentence-transformers has saved"
            }
            Self::Lacking { .. } => {
                "only safetensors are read; download a .gguf file by hand and give its path"
            }
            Self::Offline { gap, .. } if **gap != Gap::Unknown => {
                "fetch it again where there is a network, or copy the whole folder models--… of a cache, with what its \
                 links lead to; model.revision can name a commit of snapshots/"
            }
            Self::NoSuchPath { wanted, .. } | Self::Offline { wanted, .. } | Self::Refused { wanted, .. } => {
                if *wanted == Wanted::Encoder {
                    ENCODER_WAYS_OUT
                } else {
                    WAYS_OUT
                }
            }
            Self::NoSuchRevision { .. } => "write model.revision = \"main\", or leave it out",
            Self::NoToken { .. } => "a token is one word that begins with hf_; take it out for public models",
            Self::NoTimeout { .. } => "write HF_HUB_DOWNLOAD_TIMEOUT=30, or unset it",
            Self::NoEndpoint { .. } => "write HF_ENDPOINT=https://…, or unset it",
            Self::Untrusted { .. } => {
                "nothing was written outside the cache; look at HF_ENDPOINT and at who made the repository"
            }
            Self::LeavesCache { .. } => {
                "put a folder in the link's place; HF_HUB_CACHE names another place for the whole cache"
            }
            Self::Cache { .. } => "HF_HUB_CACHE names another place for it",
            Self::NoHome(_) => WAYS_OUT,
        }
    }
}

impl From<FetchError> for Complaint {
    fn from(error: FetchError) -> Self {
        let cannot_write = matches!(error, FetchError::Cache { .. });
        let complaint = if cannot_write { Self::output } else { Self::input }(error.to_string());
        complaint.hint(error.hint())
    }
}
