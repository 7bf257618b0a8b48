//! x

mod bank;
mod builder;
mod cache;
mod check;
mod embed;
mod error;
#[cfg(test)]
mod fixture;
mod guard;
mod manifest;
mod mapped;
mod retriever;
mod search;
mod stats;
mod text;
mod vectors;

pub use bank::Bank;
pub use builder::{Added, Builder, Built, HeldOut, Progress};
pub use cache::{cache_key, read_cache, write_cache};
pub use check::check;
pub use embed::{Embedder, EmbedderError};
pub use error::{BankPlace, BankProblem, RetrievalError};
pub use guard::Asked;
pub use manifest::{FileRecord, Manifest, Source, VectorsRecord};
pub use retriever::{EngineName, Retrieved, Retriever};
pub use search::Hit;
pub use stats::{Duplicates, EmotionCount, Lengths, NearDuplicates, NearMethod, Stats, stats};
pub use text::normalised;
