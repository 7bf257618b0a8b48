//! One file after another from a hub into the cache.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use emotrain_base::{Listener, Parts};

use super::client::{Client, Delivery, Listing};
use super::names::{blob, is_plain_path, quoted};
use super::store::{Part, Store};
use super::trouble::{Trouble, repeated};
use super::wanted::{CONFIG, INDEX, MODULES, WEIGHTS, Wanted, module_settings, shards};

/// The largest file that is no weights; tokenizers of today have 33 MB.
const LARGEST_TEXT: u64 = 256 << 20;
/// The largest file of weights; the Hub itself takes none above 500 GB.
const LARGEST_WEIGHTS: u64 = 512 << 30;
/// A file that comes in smaller portions than this in each [`MINUTE`] does not come.
const LEAST: u64 = 60 << 10;
const MINUTE: Duration = Duration::from_mins(1);

/// A commit on its way into the cache.
pub(super) struct Fetch<'f> {
    pub(super) client: &'f Client,
    pub(super) store: &'f Store,
    pub(super) name: &'f str,
    pub(super) listing: &'f Listing,
    pub(super) listener: &'f dyn Listener,
}

/// What is missing of a repository.
pub(super) enum Failure {
    /// It holds no such file.
    Lacking(&'static str),
    Trouble(Trouble),
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl Fetch<'_> {
    /// Fetches what is wanted, the configuration last, and returns where that is.
    pub(super) fn run(&self, wanted: Wanted) -> Result<PathBuf, Failure> {
        let has = |file: &str| self.listing.files.contains(file);
        if let Some(lacking) = wanted.needed().iter().find(|file| !has(file)) {
            return Err(Failure::Lacking(lacking));
        }
        for file in wanted.texts().filter(|file| has(file)) {
            self.get(file, LARGEST_TEXT)?;
        }
        if wanted == Wanted::Encoder {
            for file in module_settings(&self.get(MODULES, LARGEST_TEXT)?) {
                if !is_plain_path(&file) {
                    return Err(named(MODULES, &file, "is no path within the repository").into());
                }
                if has(&file) {
                    self.get(&file, LARGEST_TEXT)?;
                }
            }
        }
        if wanted.has_weights() {
            self.weights()?;
        }
        Ok(self.get(CONFIG, LARGEST_TEXT)?)
    }

    fn weights(&self) -> Result<(), Failure> {
        if self.listing.files.contains(WEIGHTS) {
            self.get(WEIGHTS, LARGEST_WEIGHTS)?;
            return Ok(());
        }
        if !self.listing.files.contains(INDEX) {
            return Err(Failure::Lacking(WEIGHTS));
        }
        let shards = shards(&self.get(INDEX, LARGEST_TEXT)?);
        // All are looked at before the first is fetched.
        for shard in &shards {
            if !is_plain_path(shard) || shard.contains('/') {
                return Err(named(INDEX, shard, "is no plain file name").into());
            }
            if !self.listing.files.contains(shard) {
                return Err(named(INDEX, shard, "the repository does not hold").into());
            }
        }
        for shard in &shards {
            self.get(shard, LARGEST_WEIGHTS)?;
        }
        Ok(())
    }

    /// The file in the cache, fetched if it is not there.
    fn get(&self, file: &str, largest: u64) -> Result<PathBuf, Trouble> {
        let pointer = self.store.pointer(&self.listing.commit, file);
        if pointer.is_file() {
            return Ok(pointer);
        }
        let about = |text: String| format!("{file}: {text}");
        repeated(self.listener, || self.attempt(file, largest)).map_err(|trouble| match trouble {
            Trouble::Passing { reason, .. } | Trouble::Hub(reason) => Trouble::Hub(about(reason)),
            Trouble::Untrusted(what) => Trouble::Untrusted(about(what)),
            other @ (Trouble::LeavesCache(_) | Trouble::Cache(_)) => other,
        })
    }

    fn attempt(&self, file: &str, largest: u64) -> Result<PathBuf, Trouble> {
        let commit = &self.listing.commit;
        let mut delivery = self.client.file(self.name, commit, file, 0)?;
        if let Some(size) = delivery.size.filter(|size| *size > largest) {
            let (size, largest) = (size >> 20, largest >> 20);
            return Err(Trouble::Untrusted(format!(
                "{size} MiB are more than such a file has ({largest} MiB)"
            )));
        }
        let blob = blob(&delivery.tag.clone().unwrap_or_else(|| format!("{commit}/{file}")));
        let wait = || self.listener.say(&format!("waiting for another process that fetches {file}"));
        let mut part = self.store.part(&blob, wait)?;
        let size = delivery.size;
        let is_whole = |length: u64| size.is_none_or(|size| size == length);
        let there = fs_err::symlink_metadata(self.store.blob(&blob));
        if there.is_ok_and(|there| there.is_file() && is_whole(there.len())) {
            part.discard();
            return self.store.link(&blob, commit, file);
        }
        let come = part.len()?;
        if come > 0 && size.is_some_and(|size| come < size) {
            delivery = self.client.file(self.name, commit, file, come)?;
        }
        if come != delivery.start {
            part.clear()?;
        }
        if come != delivery.start && delivery.start > 0 || delivery.size != size {
            return Err(Trouble::passing("it sends another part than it was asked for"));
        }
        self.receive(file, &mut part, delivery, largest)?;
        self.store.publish(&part, &blob)?;
        self.store.link(&blob, commit, file)
    }

    /// Takes a body into the part, and looks whether it is what was announced.
    fn receive(&self, file: &str, part: &mut Part, delivery: Delivery, largest: u64) -> Result<(), Trouble> {
        let count_of = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let size = count_of(delivery.size.unwrap_or_default());
        let mut meter = self.listener.progress(file, size, Parts::Bytes);
        meter.set(count_of(delivery.start));
        let most = delivery.size.unwrap_or(largest);
        let mut length = delivery.start;
        let mut minute = (Instant::now(), length);
        let mut body = delivery.body.into_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count =
                body.read(&mut buffer).map_err(|error| Trouble::passing(format!("it broke off: {error}")))?;
            if count == 0 {
                break;
            }
            length += count as u64;
            if length > most {
                part.clear()?;
                return Err(Trouble::Untrusted(format!("it sends more than the {most} bytes of the file")));
            }
            part.file.write_all(&buffer[..count])?;
            meter.set(count_of(length));
            if minute.0.elapsed() > MINUTE {
                if length - minute.1 < LEAST {
                    return Err(Trouble::passing("it comes slower than 1 KiB a second"));
                }
                minute = (Instant::now(), length);
            }
        }
        if let Some(size) = delivery.size.filter(|size| *size != length) {
            return Err(Trouble::passing(format!("it ended after {length} of {size} bytes")));
        }
        match delivery.sha256 {
            Some(expected) if part.sha256()? != expected => {
                part.clear()?;
                Err(Trouble::passing("its sha256 is not the one that the hub names"))
            }
            _ => Ok(()),
        }
    }
}

fn named(by: &str, name: &str, what: &str) -> Trouble {
    Trouble::Untrusted(format!("{by} names {}, which {what}", quoted(name)))
}
