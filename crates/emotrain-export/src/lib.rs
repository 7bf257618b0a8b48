//! What was trained, written in the forms that others load: adapters for PEFT and llama.cpp, whole models for transformers
//! and llama.cpp, each with a model card, the commands of servers and the prompt contract.
//!
//! A [`Source`] is what an export begins with: a run, a saved step, an adapter or a model. An [`Export`] is checked as a
//! whole before anything is written, and writes each folder at once or not at all. Weights go through piece by piece: no
//! model is in memory.
//!
//! ```
//! use emotrain_export::Source;
//!
//! let error = Source::find("runs/nowhere".as_ref(), None).err().expect("nothing is there");
//! assert_eq!(error.to_string(), "runs/nowhere: no such folder");
//! ```

mod card;
mod companions;
mod error;
mod format;
mod modelfile;
mod quantise;
mod serve;
mod source;
mod write;

pub use error::ExportError;
pub use format::{ExportFormat, Server};
pub use quantise::{QuantiseOptions, quantise};
pub use source::{Source, other_base};
pub use write::{Export, ExportOptions};
