//! Whether what was exported, or what a server serves, answers as the run does that it came from.
//!
//! The run's result, the base without it, and the export are asked the same utterances of the run's validation file, with
//! the run's prompts. [`verify_export`] loads an export as those load it who use it; [`verify_endpoint`] asks a running
//! server with OpenAI's interface. A [`Verdict`] is for people and for machines.
//!
//! ```
//! use emotrain_base::Silent;
//! use emotrain_hub::HubSettings;
//! use emotrain_verify::{VerifyContext, VerifyOptions, verify_export};
//!
//! let settings = HubSettings::default();
//! let context =
//!     VerifyContext { settings: &settings, listener: &Silent, variable: |_| None, scratch: "scratch".as_ref() };
//! let options = VerifyOptions {
//!     run: "runs/nowhere".as_ref(), set: &[], base: None, samples: 100, tolerance: 1e-3, dtype: None, device: None,
//! };
//! let error = verify_export("exported".as_ref(), &options, context).err().expect("there is no run");
//! assert_eq!(error.to_string(), "runs/nowhere: no such folder");
//! ```

mod asked;
mod contract;
mod endpoint;
mod error;
mod export;
mod exported;
mod options;
mod verdict;

pub use endpoint::verify_endpoint;
pub use error::VerifyError;
pub use export::verify_export;
pub use options::{LoadType, VerifyContext, VerifyOptions};
pub use verdict::Verdict;
