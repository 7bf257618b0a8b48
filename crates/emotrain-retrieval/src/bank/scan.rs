//! One parallel pass over the lines of a bank that collects what a search needs.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use emotrain_base::sha256_hex;
use emotrain_data::SplitKind;
use indexmap::IndexSet;
use rayon::prelude::*;
use serde::Deserialize;

use super::{BankDialogue, DialogueKey, Entries};
use crate::error::{BankProblem, RetrievalError};
use crate::manifest::Manifest;
use crate::text::TextKey;
use crate::vectors::Vectors;

/// Bytes per chunk.
const PIECE: usize = 1 << 20;
/// The maximum number of chunks in memory.
const AT_ONCE: usize = 8;

/// The result of a pass.
pub(super) struct Scan {
    pub(super) entries: Entries,
    pub(super) dialogues: Vec<BankDialogue>,
    pub(super) ids: HashMap<DialogueKey, u32>,
    pub(super) emotions: IndexSet<String>,
}

/// A [`Demonstration`](emotrain_data::Demonstration) that borrows its texts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a demonstration")]
struct Line<'a> {
    #[serde(borrow)]
    dataset: Cow<'a, str>,
    split: SplitKind,
    #[serde(borrow)]
    dialogue: Cow<'a, str>,
    position: u32,
    #[serde(borrow, default, rename = "speaker")]
    _speaker: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "domain")]
    _domain: Option<Cow<'a, str>>,
    #[serde(borrow)]
    text: Cow<'a, str>,
    #[serde(borrow, rename = "label")]
    _label: Cow<'a, str>,
    #[serde(borrow)]
    emotion: Cow<'a, str>,
}

/// A parsed line.
struct Read<'a> {
    start: usize,
    line: Line<'a>,
    same: TextKey,
    exact: TextKey,
}

impl Scan {
    /// Reads all lines and checks them against the manifest and the vectors.
    pub(super) fn read(
        path: &Path,
        bytes: &[u8],
        manifest: &Manifest,
        vectors: Option<&Vectors>,
    ) -> Result<Self, RetrievalError> {
        let fail = |problem| RetrievalError::bank(path, problem);
        let (digest, scan) = rayon::join(
            || sha256_hex(bytes),
            || {
                let mut scan = Self {
                    entries: Entries::default(),
                    dialogues: Vec::new(),
                    ids: HashMap::new(),
                    emotions: IndexSet::new(),
                };
                scan.keep_all(path, bytes, vectors).map(|()| scan)
            },
        );
        // For a truncated file the wrong size is a clearer error than its last line.
        let (found, expected) = (bytes.len() as u64, manifest.demonstrations.bytes);
        if found < expected {
            return Err(fail(BankProblem::OtherSize { found, expected }));
        }
        let scan = scan?;
        if found != expected {
            return Err(fail(BankProblem::OtherSize { found, expected }));
        }
        if digest != manifest.demonstrations.sha256 {
            let expected = manifest.demonstrations.sha256.clone();
            return Err(fail(BankProblem::OtherContent { found: digest, expected }));
        }
        let found = scan.entries.starts.len();
        if found != manifest.count || found == 0 {
            return Err(fail(BankProblem::OtherCount { found, expected: manifest.count }));
        }
        Ok(scan)
    }

    /// Reads chunks in parallel, a few at a time, and keeps them in order.
    fn keep_all(
        &mut self,
        path: &Path,
        bytes: &[u8],
        vectors: Option<&Vectors>,
    ) -> Result<(), RetrievalError> {
        let mut last = None;
        for wave in pieces(bytes).chunks(AT_ONCE) {
            let read: Vec<_> = wave.par_iter().map(|piece| lines(bytes, piece.clone())).collect();
            for read in read.into_iter().flatten() {
                let row = self.entries.starts.len();
                let at = |problem| RetrievalError::line(path, row, problem);
                let read = read.map_err(|error| at(BankProblem::BadLine(message(&error))))?;
                if vectors.is_some_and(|vectors| row < vectors.count() && vectors.text(row) != read.exact) {
                    return Err(at(BankProblem::EditedText));
                }
                last = Some(self.keep(&read, last).map_err(at)?);
            }
        }
        Ok(())
    }

    /// Adds a line; returns its dialogue, which is probably that of the next line, too.
    fn keep(&mut self, read: &Read<'_>, last: Option<u32>) -> Result<u32, BankProblem> {
        let full = |what| BankProblem::BadLine(format!("there are more {what} than a bank can hold"));
        let line = &read.line;
        let same = |dialogue: &u32| {
            let key = &self.dialogues[*dialogue as usize].key;
            key.dialogue == line.dialogue && key.dataset == line.dataset && key.split == line.split
        };
        let dialogue = if let Some(dialogue) = last.filter(same) {
            dialogue
        } else {
            let (dataset, dialogue) = (line.dataset.to_string(), line.dialogue.to_string());
            let key = DialogueKey { dataset, split: line.split, dialogue };
            if let Some(known) = self.ids.get(&key) {
                *known
            } else {
                let new = u32::try_from(self.dialogues.len()).map_err(|_| full("dialogues"))?;
                self.dialogues.push(BankDialogue { key: key.clone(), fingerprint: 0, texts: 0 });
                self.ids.insert(key, new);
                new
            }
        };
        let known = self.emotions.get_index_of(line.emotion.as_ref());
        let emotion = known.unwrap_or_else(|| self.emotions.insert_full(line.emotion.to_string()).0);
        let entries = &mut self.entries;
        u32::try_from(entries.starts.len()).map_err(|_| full("demonstrations"))?;
        entries.starts.push(read.start as u64);
        entries.dialogues.push(dialogue);
        entries.positions.push(line.position);
        entries.texts.push(read.same);
        entries.emotions.push(u16::try_from(emotion).map_err(|_| full("emotions"))?);
        Ok(dialogue)
    }
}

/// The boundaries of the chunks: after line breaks.
fn pieces(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let least = (start + PIECE).min(bytes.len());
        let rest = bytes[least..].iter().position(|byte| *byte == b'\n');
        let end = rest.map_or(bytes.len(), |length| least + length + 1);
        pieces.push(start..end);
        start = end;
    }
    pieces
}

/// Reads the lines of a chunk up to the first invalid one.
fn lines(bytes: &[u8], piece: Range<usize>) -> Vec<Result<Read<'_>, serde_json::Error>> {
    let mut read = Vec::new();
    let mut start = piece.start;
    for line in bytes[piece].split_inclusive(|byte| *byte == b'\n') {
        let parsed = serde_json::from_slice(line).map(|line: Line<'_>| {
            let (same, exact) = (TextKey::same(&line.text), TextKey::exact(&line.text));
            Read { start, line, same, exact }
        });
        let is_broken = parsed.is_err();
        read.push(parsed);
        if is_broken {
            break;
        }
        start += line.len();
    }
    read
}

/// The parser's message, without its own line number.
fn message(error: &serde_json::Error) -> String {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}
