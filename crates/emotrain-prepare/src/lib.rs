//! From a recipe to samples: what it names, found, read, checked and encoded.
//!
//! A run has phases, and each is a type. [`Opened`] is all that a recipe names but its data: model, tokenizer, template,
//! bank. [`Prepared`] has the splits that a model is asked about, [`PreparedTraining`] those that it is trained on and
//! measured by, with the order of the samples. All problems are reported together, before a weight is loaded.
//! The crate deliberately trains and answers nothing.
//!
//! ```
//! use emotrain_base::Silent;
//! use emotrain_hub::{Hub, HubSettings};
//!
//! let text = "[model]\nmodel_name_or_path = \"acme/tiny\"\n[data]\ntrain = \"none.jsonl\"\n\
//!             [eval]\nload_best_model_at_end = false\n";
//! let recipe = emotrain_recipe::parse(text, "a.toml".as_ref(), &[])?;
//! let settings = HubSettings::default();
//! let error = emotrain_prepare::PreparedTraining::new(&recipe, &[], Hub::new(&settings, &Silent)).err().unwrap();
//! let text = error.to_string();
//! assert!(text.contains("none.jsonl: no such file") && text.contains("acme/tiny: there is no home"), "{text}");
//! # Ok::<(), emotrain_recipe::RecipeError>(())
//! ```

mod auxiliary;
mod content;
mod demonstrations;
mod encoded_split;
mod error;
mod knowledge;
mod opened;
mod prepared;
mod purpose;
mod questioner;
mod sample_maker;
mod sample_schedule;
mod start;

pub use auxiliary::{Auxiliary, kinds};
pub use content::Content;
pub use demonstrations::RetrievedDemonstrations;
pub use encoded_split::EncodedSplit;
pub use error::PrepareError;
pub use knowledge::{KnowledgeTexts, known};
pub use opened::Opened;
pub use prepared::{Prepared, PreparedTraining};
pub use purpose::{Purpose, Selection};
pub use questioner::Questioner;
pub use sample_maker::SampleMaker;
pub use sample_schedule::{Ordered, described, kept_losses, losses};
