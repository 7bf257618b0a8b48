//! `index.usearch`: the HNSW graph of a bank's vectors, for approximate search.

use std::path::Path;

use emotrain_base::{Lock, sha256_hex, write_atomic};

use crate::bank::Bank;
use crate::error::{BankProblem, RetrievalError};
use crate::manifest::{HnswParameters, INDEX, IndexRecord, Manifest};
use crate::search::graph::{DuplicateTexts, Graph, build};
use crate::vectors::Vectors;

/// Loads a bank's graph; every byte of it is checked.
///
/// # Errors
/// A bank without one; a file that was changed, or that is not a graph of this bank.
pub(crate) fn open(bank: &Bank, ef_search: usize) -> Result<Graph, RetrievalError> {
    let (Some(record), Some(vectors), Some(bytes)) =
        (&bank.manifest().index, bank.vectors(), bank.index_bytes())
    else {
        return Err(RetrievalError::bank(bank.folder(), BankProblem::NoIndex));
    };
    let path = bank.folder().join(INDEX);
    let fail = |problem| RetrievalError::bank(&path, problem);
    let found = sha256_hex(bytes);
    if found != record.sha256 {
        let expected = record.sha256.clone();
        return Err(fail(BankProblem::OtherContent { found, expected }));
    }
    let duplicates = DuplicateTexts::new(vectors, bank.by_exact_text());
    Graph::open(bytes, vectors, duplicates, record.parameters(), ef_search)
        .map_err(|fault| fail(BankProblem::BadIndex(fault)))
}

/// Builds or rebuilds a bank's graph in its folder: after this the bank can be searched with `retrieval.index =
/// "hnsw"`. An intact one with the same parameters is kept. `report` is called with the number of texts done and in
/// total. Returns the number of texts.
///
/// # Errors
/// A bank that does not open or has no vectors, or that another process builds; too little memory, a full disk. The bank is then unchanged, or has no
/// graph.
pub fn add_index(
    folder: &Path,
    parameters: HnswParameters,
    report: &mut dyn FnMut(usize, usize),
) -> Result<usize, RetrievalError> {
    let _lock = lock(folder)?;
    let mut manifest = Manifest::read(folder)?;
    if manifest.index.as_ref().is_some_and(|record| record.parameters() == parameters)
        && let Ok(graph) = Bank::open(folder).and_then(|bank| open(&bank, 1))
    {
        return Ok(graph.len());
    }
    // The bank opens without its index, which may be what has to be repaired.
    manifest.index = None;
    write(&Bank::open_as(folder, manifest)?, parameters, None, report)
}

/// Removes a bank's index.
///
/// # Errors
/// A folder that is not a bank or not writable, or that another process builds.
pub fn remove_index(folder: &Path) -> Result<(), RetrievalError> {
    let _lock = lock(folder)?;
    let mut manifest = Manifest::read(folder)?;
    if manifest.index.is_some() {
        manifest.index = None;
        manifest.write(folder)?;
    }
    let path = folder.join(INDEX);
    match fs_err::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(RetrievalError::write(&path, &error))
        }
        _ => Ok(()),
    }
}

/// The right to change a bank where it is: a build would put another one in its place meanwhile.
fn lock(folder: &Path) -> Result<Lock, RetrievalError> {
    // A folder without a bank is told as that.
    Manifest::read(folder)?;
    Ok(Lock::beside(folder)?)
}

/// Writes the graph of an open bank into its folder, then the manifest that names it.
///
/// # Errors
/// The errors of [`add_index`].
pub(crate) fn write(
    bank: &Bank,
    parameters: HnswParameters,
    old: Option<&Bank>,
    report: &mut dyn FnMut(usize, usize),
) -> Result<usize, RetrievalError> {
    let (folder, record) = (bank.folder(), &bank.manifest().vectors);
    let (Some(vectors), Some(record)) = (bank.vectors(), record) else {
        return Err(RetrievalError::bank(folder, BankProblem::IndexWithoutVectors));
    };
    let path = folder.join(INDEX);
    parameters.check().map_err(|fault| RetrievalError::bank(&path, BankProblem::BadIndex(fault)))?;
    let nodes = DuplicateTexts::new(vectors, bank.by_exact_text()).firsts;
    let old = old.filter(|old| can_grow(old, vectors, parameters)).and_then(Bank::index_bytes);
    let old = old.map(|bytes| &bytes[..]);
    let bytes = build(vectors, &nodes, parameters, old, &mut |done| report(done, nodes.len()))
        .map_err(|fault| RetrievalError::bank(&path, BankProblem::BadIndex(fault)))?;
    let index = IndexRecord {
        kind: IndexRecord::HNSW.to_owned(),
        m: parameters.m,
        ef_construction: parameters.ef_construction,
        vectors_sha256: record.sha256.clone(),
        bytes: bytes.len() as u64,
        sha256: sha256_hex(&bytes),
    };
    // The manifest never names a graph that is not the one in the folder.
    let mut manifest = bank.manifest().clone();
    manifest.index = None;
    manifest.write(folder)?;
    write_atomic(&path, &bytes)?;
    manifest.index = Some(index);
    manifest.write(folder)?;
    Ok(nodes.len())
}

/// Whether the graph of an old bank can be extended: these vectors start with its vectors.
fn can_grow(old: &Bank, vectors: &Vectors, parameters: HnswParameters) -> bool {
    let record = old.manifest().index.as_ref();
    let same = record.is_some_and(|record| record.parameters() == parameters);
    let Some(olds) = old.vectors().filter(|olds| same && vectors.begins_with(olds)) else { return false };
    olds.count() > 0 && open(old, 1).is_ok()
}

/// The problem of a bank's graph.
pub(crate) fn problems(bank: &Bank) -> Vec<RetrievalError> {
    let record = bank.manifest().index.as_ref();
    record.and_then(|_| open(bank, 1).err()).into_iter().collect()
}

#[cfg(test)]
mod tests;
