//! Models from a hub: a name that is not a path here is looked up in the local cache, then fetched.
//!
//! The cache is the one that other tools of the Hugging Face world share. A revision that is in it is used
//! as it is, without asking the network whether a branch has moved. A hub is not trusted: of what it says, only
//! plain names that its own list of the repository has become paths, nothing is written outside the cache, every
//! response has a limit of size and time, and the token goes to the hub's own server alone.

mod cached;
mod client;
mod error;
mod fetch;
mod names;
mod store;
mod trouble;
mod wanted;

use std::path::{Path, PathBuf};
use std::time::Duration;

use emotrain_base::{Complaint, Listener, limits};
use hf_hub::{Cache, Repo, RepoType};

use self::cached::{CachedRepo, OnlySnapshot};
use self::client::Client;
use self::error::{Asked, FetchError};
use self::fetch::{Failure, Fetch};
use self::names::{is_hub_name, is_plain_path};
use self::store::Store;
use self::trouble::{Trouble, repeated};
use crate::address;
use crate::error::HubError;
use crate::secret::Secret;

pub(crate) use self::wanted::Wanted;

const ENDPOINT: &str = "https://huggingface.co";

/// How long a hub may be silent, where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where models from a hub come from, and where they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubSettings {
    /// The folder of the cache; `None` where there is no place for one.
    pub cache: Option<PathBuf>,
    /// A mirror of the hub.
    pub endpoint: Option<String>,
    /// What lets private models in.
    pub token: Option<String>,
    /// Where a token is kept.
    pub token_file: Option<PathBuf>,
    /// How many seconds the hub may be silent, as somebody wrote it.
    pub patience: Option<String>,
    /// The name of the switch by which nothing may be fetched, where it is on.
    pub offline: Option<&'static str>,
}

/// Nothing is kept, and nobody is known.
impl Default for HubSettings {
    fn default() -> Self {
        Self { cache: None, endpoint: None, token: None, token_file: None, patience: None, offline: None }
    }
}

/// A hub, and the listener for progress.
#[derive(Clone, Copy)]
pub struct Hub<'a> {
    settings: &'a HubSettings,
    listener: &'a dyn Listener,
}

impl<'a> Hub<'a> {
    /// Touches neither disk nor network yet.
    pub fn new(settings: &'a HubSettings, listener: &'a dyn Listener) -> Self {
        Self { settings, listener }
    }

    /// The listener for progress.
    pub fn listener(&self) -> &'a dyn Listener {
        self.listener
    }

    /// The folder in the cache that holds the wanted files; its name is the commit.
    ///
    /// # Errors
    /// Every way in which a name leads nowhere.
    pub(crate) fn folder(&self, name: &str, revision: &str, wanted: Wanted) -> Result<PathBuf, HubError> {
        Ok(self.found(name, revision, wanted).map_err(Complaint::from)?)
    }

    fn found(&self, name: &str, revision: &str, wanted: Wanted) -> Result<PathBuf, FetchError> {
        if !is_hub_name(name) {
            return Err(FetchError::NoSuchPath { name: name.to_owned(), wanted });
        }
        if !is_plain_path(revision) {
            return Err(FetchError::NoSuchRevision { name: name.to_owned(), revision: revision.to_owned() });
        }
        let Some(place) = &self.settings.cache else { return Err(FetchError::NoHome(name.to_owned())) };
        let repo = repo(place, name, revision);
        let only = if self.settings.offline.is_some() { OnlySnapshot::IsMain } else { OnlySnapshot::IsAny };
        let gap = match repo.find(wanted, only) {
            Ok(found) => {
                if found.is_guess {
                    let name = found.folder.file_name().unwrap_or_default().display();
                    self.listener
                        .say(&format!("refs/{revision} is missing: the only snapshot, {name}, is taken"));
                }
                return Ok(found.folder);
            }
            Err(gap) => gap,
        };
        if let Some(switch) = self.settings.offline {
            return Err(FetchError::Offline { name: name.to_owned(), gap: Box::new(gap), switch, wanted });
        }
        self.fetch(&repo, &Asked { name, revision, gap: &gap, wanted })
    }

    /// The same, without asking the network; `None` where the cache does not hold all of it.
    pub(crate) fn cached(&self, name: &str, revision: &str, wanted: Wanted) -> Option<PathBuf> {
        let place = self.settings.cache.as_ref().filter(|_| is_hub_name(name) && is_plain_path(revision))?;
        let found = repo(place, name, revision).find(wanted, OnlySnapshot::IsMain);
        Some(found.ok()?.folder)
    }

    fn fetch(&self, repo: &CachedRepo, asked: &Asked<'_>) -> Result<PathBuf, FetchError> {
        let failed = |trouble: Trouble| FetchError::of(trouble, asked);
        let client = self.client(asked.name)?;
        let list = || client.listing(asked.name, asked.revision);
        let listing = repeated(self.listener, list).map_err(failed)?;
        let store = Store::open(repo.cache(), repo.repo()).map_err(failed)?;
        let (name, listener) = (asked.name, self.listener);
        listener.say(&format!("fetching {name} ({})", listing.commit));
        let fetch = Fetch { client: &client, store: &store, name, listing: &listing, listener };
        let config = fetch.run(asked.wanted).map_err(|failure| match failure {
            Failure::Lacking(file) => FetchError::Lacking { name: name.to_owned(), file },
            Failure::Trouble(trouble) => failed(trouble),
        })?;
        if asked.revision != listing.commit {
            store.name(asked.revision, &listing.commit).map_err(failed)?;
        }
        Ok(config.parent().map(Path::to_path_buf).unwrap_or_default())
    }

    /// The hub of the environment, with its token.
    fn client(&self, name: &str) -> Result<Client, FetchError> {
        let endpoint = self.settings.endpoint.as_deref().unwrap_or(ENDPOINT);
        let token = self.token(name)?;
        if token.is_some()
            && let Some(host) = address::overheard(endpoint)
        {
            self.listener
                .warn(&format!("HF_TOKEN goes to {host} unencrypted, as HF_ENDPOINT begins with http://"));
        }
        Client::new(endpoint, token, self.patience(name)?)
            .ok_or_else(|| FetchError::NoEndpoint { name: name.to_owned(), endpoint: endpoint.to_owned() })
    }

    /// How long the hub may be silent.
    fn patience(&self, name: &str) -> Result<Duration, FetchError> {
        let Some(text) = &self.settings.patience else { return Ok(PATIENCE) };
        let seconds = text.trim().parse().ok().filter(|seconds| *seconds > 0);
        seconds
            .map(Duration::from_secs)
            .ok_or_else(|| FetchError::NoTimeout { name: name.to_owned(), text: text.clone() })
    }

    /// The token of the environment, or the one that `hf auth login` has kept.
    fn token(&self, name: &str) -> Result<Option<Secret>, FetchError> {
        let kept = || {
            let path = self.settings.token_file.as_ref()?;
            let text = emotrain_base::read_to_string(path, limits::CONFIG).ok()?;
            Some((text, path.display().to_string()))
        };
        let Some((text, origin)) =
            self.settings.token.clone().map(|text| (text, "HF_TOKEN".to_owned())).or_else(kept)
        else {
            return Ok(None);
        };
        if text.trim().is_empty() {
            return Ok(None);
        }
        Secret::new(&text).map(Some).ok_or_else(|| FetchError::NoToken { name: name.to_owned(), origin })
    }
}

fn repo(place: &Path, name: &str, revision: &str) -> CachedRepo {
    let repo = Repo::with_revision(name.to_owned(), RepoType::Model, revision.to_owned());
    CachedRepo::new(Cache::new(place.to_path_buf()), repo)
}
