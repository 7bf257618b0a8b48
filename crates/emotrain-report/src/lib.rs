//! Reports of runs and sweeps as HTML: one file with everything in it.
//!
//! [`run_page`] makes a page of [`RunFacts`], [`sweep_page`] of [`SweepFacts`]. Plots are SVG that plotters draws here; the page has no script and asks
//! for nothing over a network. Every text of a data file is escaped.
//!
//! The crate deliberately reads no file and no clock: whoever gathers the facts says what could not be had.

mod answers;
mod axes;
mod block;
mod confusion;
mod curves;
mod data;
mod error;
mod errors;
mod facts;
mod groups;
mod interval_plot;
mod labels;
mod page;
mod plot;
mod provenance;
mod recipe_changes;
mod reliability;
mod run_page;
mod scores;
mod significance;
mod sweep_facts;
mod sweep_page;
mod text;

pub use answers::confident_errors;
pub use error::ReportError;
pub use facts::{
    Against, DifficultyBucket, DifficultyFacts, FileCounts, FileFacts, FileState, PromptFacts, RunFacts,
};
pub use run_page::run_page;
pub use sweep_facts::SweepFacts;
pub use sweep_page::sweep_page;
