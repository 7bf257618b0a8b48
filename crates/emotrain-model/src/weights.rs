//! Weights on disk: Hugging Face folders and GGUF files in, safetensors and GGUF files out.
//!
//! A [`Checkpoint`] is one model's weights under their Hugging Face names, wherever they come from; a
//! tensor is read and converted to `f32` piece by piece when it is asked for. [`SafetensorsFile`] reads
//! any safetensors file (adapters, optimizer states) and [`write_safetensors`] writes one; [`write_gguf`] and
//! [`write_gguf_lora`] write what llama.cpp reads.
//!
//! Nothing here knows tensors of a backend: values are plain `Vec<f32>`, row-major, with a shape next to
//! them. Every length that a file states is checked before it is believed: a truncated or lying file is an
//! error that names the file and the tensor.

mod bitsandbytes;
mod checkpoint;
mod folder;
mod gguf;
mod names;
mod opened;
mod safetensors;
#[cfg(test)]
pub(crate) mod spoiled;
#[cfg(test)]
mod tests;
mod write;

pub use checkpoint::Checkpoint;
pub use gguf::{GgufType, TokenizerSource};
pub use names::tensor_shapes;
pub use safetensors::SafetensorsFile;
pub use write::{
    NamedTensor, StoredTensor, StoredType, TensorOut, TensorSpec, write_safetensors, write_safetensors_with,
    write_stored,
};

pub(crate) use bitsandbytes::{LAYOUT, ROW_SCALES, STATE};
pub(crate) use folder::Shards;
pub(crate) use gguf::{GgufAdapter, GgufContents, GgufLora, is_gguf_alpha, write_gguf, write_gguf_lora};
pub(crate) use names::{
    EMBEDDINGS, FINAL_NORM, HEAD, LinearModule, Module as BlockModule, Part, block_modules, check_pairs,
    is_known_buffer, linear_modules, short,
};
