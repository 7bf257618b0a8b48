//! Tests and intervals over numbers: the scores of seeds, counts of utterances, p-values.
//!
//! No result is ever NaN: what cannot be known (the spread of one seed, a test of differences that do not vary) is
//! `None`. Every formula is held against scipy or statsmodels in `tests.rs`.

pub(crate) mod distribution;
mod holm;
mod mcnemar;
mod power;
mod seeds;
mod signed_rank;
mod t_test;

pub(crate) use holm::holm;
pub use mcnemar::McNemar;
pub(crate) use mcnemar::combined;
pub(crate) use power::{detectable_by_t_test, detectable_by_z_test};
pub use seeds::SeedSummary;
pub use signed_rank::SignedRank;
pub use t_test::TTest;

#[cfg(test)]
mod tests;
