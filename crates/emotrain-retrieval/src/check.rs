//! Verifying a bank, byte by byte.

use std::path::Path;

use crate::bank::Bank;
use crate::embed::{Embedder, embed_checked};
use crate::error::{BankProblem, RetrievalError};
use crate::index;
use crate::manifest::VECTORS;
use crate::retriever::require_encoder;

/// Texts that are encoded again to verify that the encoder computed the vectors.
const SAMPLE: usize = 256;

/// The tolerance between a number of a vector and the recomputed one. On another kind of device, or with another
/// summation order, they differ by some 10⁻⁶.
const TOLERANCE: f32 = 1e-4;

/// All problems of the bank in `folder`; empty for an intact one. Reads every byte: the digests of all files, every
/// line, every number, every neighbour of an index. `encoder` is the one for searches, if there is one: it has to be
/// the one that computed the vectors, by its identity and by recomputing up to 256 vectors from all over the bank.
///
/// A problem that prevents opening the bank is the only one returned: nothing else can be checked then.
pub fn check(folder: &Path, encoder: Option<&dyn Embedder>) -> Vec<RetrievalError> {
    let bank = match Bank::open(folder) {
        Ok(bank) => bank,
        Err(error) => return vec![error],
    };
    let mut problems = Vec::new();
    problems.extend(bank.vectors().iter().flat_map(|vectors| vectors.problems()));
    problems.extend(index::problems(&bank));
    if let Some(encoder) = encoder {
        let is_maker = require_encoder(&bank, encoder);
        // Damaged vectors have been reported already.
        let compared =
            is_maker.and_then(|()| if problems.is_empty() { compare(&bank, encoder) } else { Ok(()) });
        problems.extend(compared.err());
    }
    problems
}

/// Encodes texts from all over the bank again.
fn compare(bank: &Bank, encoder: &dyn Embedder) -> Result<(), RetrievalError> {
    let step = bank.len().div_ceil(SAMPLE);
    let rows: Vec<usize> = (0..bank.len()).step_by(step).collect();
    let texts: Vec<String> =
        rows.iter().map(|row| bank.demonstration(*row).map(|one| one.text)).collect::<Result<_, _>>()?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let made = embed_checked(encoder, &texts)?;
    for (row, made) in rows.into_iter().zip(made.chunks_exact(encoder.dimensions())) {
        let kept = bank.vector(row).unwrap_or_default();
        let differences = made.iter().zip(kept).map(|(one, other)| (one - other).abs());
        let difference = differences.fold(0.0, f32::max);
        if difference > TOLERANCE {
            let problem = BankProblem::OtherVector { row, difference, encoder: encoder.identity() };
            return Err(RetrievalError::bank(&bank.folder().join(VECTORS), problem));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
