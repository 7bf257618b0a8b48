//! Looking a bank over, byte by byte.

use std::path::Path;

use crate::bank::Bank;
use crate::error::{BankProblem, RetrievalError};
use crate::index;

/// Everything that is wrong with the bank in `folder`; empty for a sound one. Reads every byte: the
/// digests of all files, every line, every number, every neighbour of an index. `encoder`, identity and dimensions, is the one that
/// searches are meant for, where there is one.
///
/// What keeps a bank from being opened comes alone: the rest cannot be told then.
pub fn check(folder: &Path, encoder: Option<(&str, usize)>) -> Vec<RetrievalError> {
    let bank = match Bank::open(folder) {
        Ok(bank) => bank,
        Err(error) => return vec![error],
    };
    let mut problems = Vec::new();
    let record = bank.manifest().vectors.as_ref();
    if let (Some(vectors), Some(record)) = (bank.vectors(), record) {
        problems.extend(vectors.problems(record));
    }
    problems.extend(index::problems(&bank));
    if let Some((asked, asked_width)) = encoder {
        match record {
            None => problems.push(RetrievalError::bank(folder, BankProblem::NoVectors)),
            Some(record) if (record.encoder.as_str(), record.dimensions) != (asked, asked_width) => {
                let (bank, bank_width) = (record.encoder.clone(), record.dimensions);
                let asked = asked.to_owned();
                let problem = BankProblem::OtherEncoder { bank, bank_width, asked, asked_width };
                problems.push(RetrievalError::bank(folder, problem));
            }
            Some(_) => {}
        }
    }
    problems
}

#[cfg(test)]
mod tests;
