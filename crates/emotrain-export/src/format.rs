//! The names of formats and servers.

/// What can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// An adapter in PEFT's format.
    Peft,
    /// A whole model in Hugging Face's format.
    Merged,
    /// An adapter for llama.cpp.
    GgufLora,
    /// A whole model for llama.cpp.
    Gguf,
}

impl ExportFormat {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Peft, Self::Merged, Self::GgufLora, Self::Gguf];

    /// The name, and that of the folder where there are several.
    pub fn name(self) -> &'static str {
        match self {
            Self::Peft => "peft",
            Self::Merged => "merged",
            Self::GgufLora => "gguf-lora",
            Self::Gguf => "gguf",
        }
    }

    /// Whether only an adapter can be written so.
    pub(crate) fn is_of_adapters(self) -> bool {
        matches!(self, Self::Peft | Self::GgufLora)
    }

    /// Whether llama.cpp reads it.
    pub(crate) fn is_gguf(self) -> bool {
        matches!(self, Self::Gguf | Self::GgufLora)
    }
}

/// A program that an export is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// vLLM.
    Vllm,
    /// Text Generation Inference.
    Tgi,
    /// `SGLang`.
    Sglang,
    /// PEFT and transformers.
    Peft,
    /// llama.cpp.
    LlamaCpp,
    /// Ollama.
    Ollama,
}

impl Server {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Vllm, Self::Tgi, Self::Sglang, Self::Peft, Self::LlamaCpp, Self::Ollama];

    /// The name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vllm => "vllm",
            Self::Tgi => "tgi",
            Self::Sglang => "sglang",
            Self::Peft => "peft",
            Self::LlamaCpp => "llama.cpp",
            Self::Ollama => "ollama",
        }
    }
}
