//! What is written for others: adapters in PEFT's form and in llama.cpp's, models in Hugging Face's and in llama.cpp's.
//!
//! A model that is written is read from its base and its adapter piece by piece, and never in memory.

mod bitsandbytes;
mod gguf;
mod hugging_face;
mod merged;
mod peft;
#[cfg(test)]
mod tests;

pub use bitsandbytes::write_quantised;
pub(crate) use hugging_face::write_config;
pub use hugging_face::write_model;
pub use merged::Merged;
