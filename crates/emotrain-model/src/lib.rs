//! Causal language models of the Llama and Qwen families, trained through LoRA adapters: rows of token ids in,
//! tensors and numbers out.
//!
//! This crate knows no emotion, no dialogue and no text. It loads base weights ([`Checkpoint`]), runs the decoder
//! ([`CausalLm`]) forward and backward on packed rows ([`Batch`]), and reads and writes adapters in PEFT's form.
//! It draws no random number that is not a function of a [`Key`](emotrain_base::random::Key).

mod adapted;
mod adapter;
mod assemble;
mod attention;
mod batch;
mod checkpointing;
mod coded;
mod codes;
mod config;
mod decoder;
pub mod device;
mod engine;
mod error;
mod export;
mod files;
mod float;
mod footprint;
mod generate;
mod gradients;
mod head;
mod joint;
mod kernels;
mod layer;
mod layout;
mod linear;
mod lora;
mod norm;
mod parameters;
mod pass;
mod pattern;
mod score;
pub mod selftest;
mod sentence;
mod spec;
mod storage;
mod weight;
mod weights;

pub use adapter::{AdapterConfig, BaseModel, PeftAdapter};
pub use batch::{Batch, Sequence, Target};
pub use checkpointing::Checkpointing;
pub use codes::{Codes, SavedCodes};
pub use config::{
    Architecture, Llama3Scaling, LongRope, ModelConfig, ModelDescription, RopeScaling, SlidingWindow,
};
pub use decoder::CausalLm;
pub use engine::Precision;
pub use error::ModelError;
pub use export::{Merged, write_model, write_quantised};
pub use files::is_gguf;
pub use float::FloatType;
pub use footprint::{Footprint, Workload};
pub use generate::{
    Finish, Generated, Generation, GenerationConfig, Generator, NewToken, Sampling, TokenPrompt,
};
pub use gradients::Gradients;
pub use joint::JointMoments;
pub use kernels::{AdamW, EightBitMoments, Moments, linear as linear_product};
pub use lora::LoraConfig;
pub use pass::{PassOptions, Share, forward_backward};
pub use score::Scorer;
pub use sentence::{BertConfig, Pooling, SentenceConfig, SentenceEncoder, SentenceFolder};
pub use storage::{Quantization, Storage};
pub use weights::{
    Checkpoint, GgufType, NamedTensor, SafetensorsFile, StoredTensor, StoredType, TensorOut, TensorSpec,
    TokenizerSource, tensor_shapes, write_safetensors, write_safetensors_with, write_stored,
};
