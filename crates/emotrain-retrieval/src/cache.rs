//! The retrieval results of a split, cached so that a run searches only once.

use std::collections::BTreeMap;
use std::path::Path;

use emotrain_base::{limits, sha256_hex, write_atomic};
use emotrain_data::{Split, UtteranceId};
use emotrain_recipe::RetrievalSection;
use serde::{Deserialize, Serialize};

use crate::bank::Bank;
use crate::error::{BankProblem, RetrievalError};
use crate::guard::Asked;
use crate::retriever::{EngineName, Retrieved};
use crate::search::Hit;

const FORMAT_VERSION: u32 = 2;

/// The file: rows of the bank and scores by utterance id.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    format_version: u32,
    key: String,
    engine: EngineName,
    same_text: usize,
    short: usize,
    hits: BTreeMap<UtteranceId, Vec<(usize, f32)>>,
    /// The digest of everything else.
    #[serde(default)]
    sha256: String,
}

impl Kept {
    /// The digest of everything else.
    fn digest(&mut self) -> String {
        self.sha256.clear();
        sha256_hex(serde_json::to_string(self).unwrap_or_default().as_bytes())
    }
}

/// A key for everything that determines the results: the bank's contents, the search method, the data and its origin,
/// and the section except for the keys about display. Equal keys have equal results.
pub fn cache_key(
    bank: &Bank,
    section: &RetrievalSection,
    engine: &EngineName,
    split: &Split,
    asked: &Asked,
) -> String {
    let RetrievalSection { k, min_score, exclude, exclude_same_text, label_balance, .. } = section;
    let sources: Vec<_> = bank
        .manifest()
        .sources
        .iter()
        .map(|source| (&source.dataset, source.split, &source.sha256))
        .collect();
    let parts = format!(
        "{FORMAT_VERSION} {} {sources:?} {engine:?} {} {asked:?} {k} {min_score:?} {exclude} \
         {exclude_same_text} {label_balance}",
        bank.manifest().content_hash(),
        split.sha256,
    );
    sha256_hex(parts.as_bytes())
}

/// The results in the file for this key; `None` if the file does not exist, has another key or version, or is damaged:
/// they are then computed again.
pub fn read_cache(path: &Path, key: &str, split: &Split) -> Option<Retrieved> {
    let mut kept: Kept = serde_json::from_slice(&emotrain_base::read(path, limits::DOCUMENT).ok()?).ok()?;
    let said = kept.sha256.clone();
    if kept.format_version != FORMAT_VERSION || kept.key != key || kept.digest() != said {
        return None;
    }
    let Kept { engine, same_text, short, mut hits, .. } = kept;
    let in_order = split.utterance_ids().map(|id| {
        let found = hits.remove(&id)?;
        Some((id, found.into_iter().map(|(row, score)| Hit { row, score }).collect()))
    });
    let hits = in_order.collect::<Option<Vec<_>>>()?;
    Some(Retrieved { engine, hits, same_text, short })
}

/// Stores results, atomically.
///
/// # Errors
/// A full disk, a missing folder.
pub fn write_cache(path: &Path, key: &str, retrieved: &Retrieved) -> Result<(), RetrievalError> {
    let hits = retrieved
        .hits
        .iter()
        .map(|(id, hits)| (id.clone(), hits.iter().map(|hit| (hit.row, hit.score)).collect()));
    let mut kept = Kept {
        format_version: FORMAT_VERSION,
        key: key.to_owned(),
        engine: retrieved.engine.clone(),
        same_text: retrieved.same_text,
        short: retrieved.short,
        hits: hits.collect(),
        sha256: String::new(),
    };
    kept.sha256 = kept.digest();
    let text = serde_json::to_string(&kept)
        .map_err(|error| RetrievalError::bank(path, BankProblem::Io(error.to_string())))?;
    Ok(write_atomic(path, text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use emotrain_data::SplitKind;

    use super::*;
    use crate::fixture::{Place, WordSums, demonstration, section, split};
    use crate::retriever::Retriever;

    #[test]
    fn what_was_kept_is_read_back_under_the_same_key_only() {
        let place = Place::new();
        let a = ("theirs", SplitKind::Train, "a");
        let all = [demonstration(a, 0, "The ferry is late.", "mad"), demonstration(a, 1, "Tea?", "joy")];
        let encoder = WordSums::new(8);
        let bank = place.build(&all, Some(&encoder));
        let mut section = section();
        let split = split(&[("x", &["Is the ferry late?", "More tea"])]);
        let asked = Asked { dataset: None, split: SplitKind::Train, sha256: None };
        let retriever = Retriever::new(&bank, &section, Some(&encoder)).unwrap();
        let retrieved = retriever.for_split(&split, &asked, &[]).unwrap();
        let engine = retriever.engine();
        let key = cache_key(&bank, &section, &engine, &split, &asked);
        let path = place.parent().join("retrieved.json");
        assert_eq!(read_cache(&path, &key, &split), None);
        write_cache(&path, &key, &retrieved).unwrap();
        assert_eq!(read_cache(&path, &key, &split), Some(retrieved));

        let other_split = Asked { split: SplitKind::Valid, ..asked.clone() };
        assert_ne!(cache_key(&bank, &section, &engine, &split, &other_split), key);
        assert_ne!(cache_key(&bank, &section, &EngineName::Lexical, &split, &asked), key);
        let (order, k) = (section.order, section.k);
        section.show_score = !section.show_score;
        assert_eq!(cache_key(&bank, &section, &engine, &split, &asked), key, "{order} does not matter");
        section.k = k + 1;
        let other = cache_key(&bank, &section, &engine, &split, &asked);
        assert_ne!(other, key);
        assert_eq!(read_cache(&path, &other, &split), None);
        let text = fs_err::read_to_string(&path).unwrap();
        for damaged in [text[..text.len() / 2].to_owned(), text.replacen("[[0,", "[[1,", 1)] {
            assert_ne!(damaged, text);
            fs_err::write(&path, damaged).unwrap();
            assert_eq!(read_cache(&path, &key, &split), None);
        }
    }
}
