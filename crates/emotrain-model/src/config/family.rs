//! The decoder families: all share one block, and differ in what a row of this table says.

/// The activation of the gate in the feed-forward network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Activation {
    /// `x · σ(x)` (`silu`).
    Silu,
    /// The normal distribution's `x · Φ(x)` in Hendrycks and Gimpel's approximation by tanh (`gelu_pytorch_tanh`).
    GeluTanh,
}

impl Activation {
    /// The name in `config.json`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Silu => "silu",
            Self::GeluTanh => "gelu_pytorch_tanh",
        }
    }
}

/// A decoder family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// Llama 1 to 3 and models of the same shape (SmolLM2).
    Llama,
    /// Mistral, also Mistral `NeMo`: Llama's block, in the first version with a sliding window.
    Mistral,
    /// Qwen2 and Qwen2.5: biases on the query, key and value projections.
    Qwen2,
    /// Qwen3: `RMSNorm` over each head of queries and keys.
    Qwen3,
    /// Phi-3, Phi-3.5, Phi-4 and Phi-4-mini: fused projections, a sliding window, partly rotated heads, `longrope`.
    Phi3,
    /// The text models of Gemma 3: four norms a block, GELU, scaled embeddings, local and global layers.
    Gemma3,
}

/// What distinguishes a family.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "a row of a table")]
pub(crate) struct Family {
    architecture: Architecture,
    /// `model_type` in `config.json`.
    pub(crate) model_type: &'static str,
    /// The class that `architectures` of a `config.json` names.
    pub(crate) class_name: &'static str,
    /// `general.architecture` of GGUF files.
    pub(crate) gguf: &'static str,
    /// Whether llama.cpp rotates neighbouring rows of queries and keys: its converter then stores them in another order.
    pub(crate) gguf_pairs_rows: bool,
    /// Biases on queries, keys and values.
    pub(crate) query_key_value_bias: bool,
    /// A norm over each head of queries and keys (`q_norm`, `k_norm`).
    pub(crate) query_key_norm: bool,
    /// Queries, keys and values in one linear layer (`qkv_proj`), gate and up in another (`gate_up_proj`).
    pub(crate) fused: bool,
    /// Gemma's habits: norms also behind attention and feed-forward network, norms stored around 0 and not 1, embeddings
    /// times `√hidden_size`.
    pub(crate) gemma: bool,
    pub(crate) activation: Activation,
    /// Whether the output head is the embedding table where a file does not say so.
    pub(crate) tied: bool,
    /// What a file says about sliding windows.
    pub(crate) window: WindowKeys,
}

/// Which keys of `config.json` say which layers have a sliding window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowKeys {
    /// A window is not computed; `use_sliding_window` may switch it off.
    Refused { unless_used: bool },
    /// All layers have it where `sliding_window` is a number.
    All,
    /// Some have it, by `layer_types` or `sliding_window_pattern`.
    Pattern,
}

const LLAMA: Family = Family {
    architecture: Architecture::Llama,
    model_type: "llama",
    class_name: "LlamaForCausalLM",
    gguf: "llama",
    gguf_pairs_rows: true,
    query_key_value_bias: false,
    query_key_norm: false,
    fused: false,
    gemma: false,
    activation: Activation::Silu,
    tied: false,
    window: WindowKeys::Refused { unless_used: false },
};

const QWEN2: Family = Family {
    architecture: Architecture::Qwen2,
    model_type: "qwen2",
    class_name: "Qwen2ForCausalLM",
    gguf: "qwen2",
    gguf_pairs_rows: false,
    query_key_value_bias: true,
    window: WindowKeys::Refused { unless_used: true },
    ..LLAMA
};

const FAMILIES: [Family; 6] = [
    LLAMA,
    Family {
        architecture: Architecture::Mistral,
        model_type: "mistral",
        class_name: "MistralForCausalLM",
        window: WindowKeys::All,
        ..LLAMA
    },
    QWEN2,
    Family {
        architecture: Architecture::Qwen3,
        model_type: "qwen3",
        class_name: "Qwen3ForCausalLM",
        gguf: "qwen3",
        query_key_value_bias: false,
        query_key_norm: true,
        ..QWEN2
    },
    Family {
        architecture: Architecture::Phi3,
        model_type: "phi3",
        class_name: "Phi3ForCausalLM",
        gguf: "phi3",
        gguf_pairs_rows: false,
        fused: true,
        window: WindowKeys::All,
        ..LLAMA
    },
    Family {
        architecture: Architecture::Gemma3,
        model_type: "gemma3_text",
        class_name: "Gemma3ForCausalLM",
        gguf: "gemma3",
        gguf_pairs_rows: false,
        query_key_norm: true,
        gemma: true,
        activation: Activation::GeluTanh,
        tied: true,
        window: WindowKeys::Pattern,
        ..LLAMA
    },
];

impl Architecture {
    /// All families, in the order in which messages name them.
    pub const ALL: [Self; 6] =
        [Self::Llama, Self::Mistral, Self::Qwen2, Self::Qwen3, Self::Phi3, Self::Gemma3];

    pub(crate) fn family(self) -> &'static Family {
        FAMILIES.iter().find(|family| family.architecture == self).expect("every family has a row")
    }

    /// The family's `model_type` in `config.json`.
    pub fn model_type(self) -> &'static str {
        self.family().model_type
    }

    pub(crate) fn from_model_type(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|architecture| architecture.model_type() == name)
    }

    /// Of several families with one name in GGUF files the first, which the others equal there.
    pub(crate) fn from_gguf(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|architecture| architecture.family().gguf == name)
    }
}
