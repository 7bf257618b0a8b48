//! Finding models and opening them: base models, what a training left, sentence encoders.
//!
//! A name that is not a path here is one of the [`Hub`]: it is looked up in the local cache, then fetched. What was
//! found is a [`Base`] or [`Trained`], whose weights are loaded when they are needed, or a [`TextEncoder`]. The crate
//! deliberately reads no environment: where the cache is and what the token is comes with [`HubSettings`]; and it prints
//! nothing: progress is reported to a [`Listener`](emotrain_base::Listener).
//!
//! ```
//! use emotrain_base::Silent;
//! use emotrain_hub::{Hub, HubSettings, Trained, encoder_for_new_vectors};
//!
//! let settings = HubSettings::default();
//! let hub = Hub::new(&settings, &Silent);
//! assert!(encoder_for_new_vectors(None, "lexical", hub)?.is_none());
//!
//! let error = Trained::of_run("runs/nowhere".as_ref()).unwrap_err();
//! assert_eq!(error.to_string(), "runs/nowhere: no such folder");
//! # Ok::<(), emotrain_hub::HubError>(())
//! ```

mod address;
mod base;
mod encoder;
mod error;
mod hub;
mod retry_after;
mod secret;
mod trained;

pub use address::overheard;
pub use base::Base;
pub use encoder::{TextEncoder, encoder_for_bank, encoder_for_new_vectors};
pub use error::HubError;
pub use hub::{Hub, HubSettings};
pub use retry_after::retry_after;
pub use secret::Secret;
pub use trained::Trained;
