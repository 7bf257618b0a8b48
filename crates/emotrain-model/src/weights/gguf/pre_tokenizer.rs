//! How text is split before byte-pair merges, by the names GGUF files use for it.

use serde_json::{Value, json};

/// Splits of the GPT-4 family; what differs is how many digits stay together.
const QWEN2_SPLIT: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const LLAMA3_SPLIT: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// A way to split text, as `tokenizer.ggml.pre` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PreTokenizer {
    /// GPT-2's words. Also for `default`: files from before the key had a meaning.
    Gpt2,
    /// GPT-2's words, every digit on its own.
    SmolLm,
    /// Qwen2, Qwen2.5 and Qwen3: text in Unicode normal form C, every digit on its own.
    Qwen2,
    /// Qwen2's words, in text as it is.
    Qwen2Words,
    /// Llama 3: up to three digits together; a word of the vocabulary is one token whatever the merges say.
    Llama3,
    /// Llama 3's words, put together by merges alone.
    Llama3Words,
}

/// The names that llama.cpp gives to the splits that are computed here (`llama_vocab::impl::load`); the first of each is
/// the customary one.
const NAMES: &[(PreTokenizer, &[&str])] = &[
    (
        PreTokenizer::Gpt2,
        &[
            "gpt-2",
            "default",
            "phi-2",
            "jina-es",
            "jina-de",
            "jina-v2-es",
            "jina-v2-de",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "exaone4",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
        ],
    ),
    (
        PreTokenizer::SmolLm,
        &["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"],
    ),
    (PreTokenizer::Qwen2, &["qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez"]),
    (PreTokenizer::Qwen2Words, &["stablelm2", "hunyuan", "solar-open", "grok-2"]),
    (
        PreTokenizer::Llama3,
        &[
            "llama-bpe",
            "llama3",
            "llama-v3",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "jina-v5-nano",
        ],
    ),
    (PreTokenizer::Llama3Words, &["smaug-bpe", "dbrx", "chatglm-bpe", "glm4"]),
];

impl PreTokenizer {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, names)| names.contains(&name)).map(|(pre, _)| *pre)
    }

    /// The one that a `tokenizer.json` says.
    pub(super) fn of(normalizer: &Value, splitter: &Value, ignores_merges: bool) -> Option<Self> {
        let stated = [parts(normalizer, "normalizers"), parts(splitter, "pretokenizers")];
        NAMES.iter().map(|(pre, _)| *pre).find(|pre| {
            let own = [parts(&pre.normalizer(), "normalizers"), parts(&pre.splitter(), "pretokenizers")];
            own == stated && pre.ignores_merges() == ignores_merges
        })
    }

    /// The customary name.
    pub(super) fn name(self) -> &'static str {
        let (_, names) = NAMES.iter().find(|(pre, _)| *pre == self).expect("every split has names");
        names[0]
    }

    /// The customary names of all splits.
    pub(super) fn customary_names() -> Vec<&'static str> {
        NAMES.iter().map(|(pre, _)| pre.name()).collect()
    }

    /// All names, for messages.
    pub(super) fn names() -> String {
        NAMES.iter().flat_map(|(_, names)| *names).copied().collect::<Vec<_>>().join(", ")
    }

    /// Whether a beginning-of-text token is put first when the file does not say.
    pub(super) fn adds_bos_by_default(self) -> bool {
        self == Self::Llama3
    }

    /// Whether a word of the vocabulary is taken whole before merges are tried.
    pub(super) fn ignores_merges(self) -> bool {
        self == Self::Llama3
    }

    /// The `normalizer` of a `tokenizer.json`.
    pub(super) fn normalizer(self) -> Value {
        match self {
            Self::Qwen2 => json!({"type": "NFC"}),
            Self::Gpt2 | Self::SmolLm | Self::Qwen2Words | Self::Llama3 | Self::Llama3Words => Value::Null,
        }
    }

    /// The `pre_tokenizer` of a `tokenizer.json`.
    pub(super) fn splitter(self) -> Value {
        match self {
            Self::Gpt2 => byte_level(true),
            Self::SmolLm => json!({
                "type": "Sequence",
                "pretokenizers": [{"type": "Digits", "individual_digits": true}, byte_level(true)],
            }),
            Self::Qwen2 | Self::Qwen2Words => split_by(QWEN2_SPLIT),
            Self::Llama3 | Self::Llama3Words => split_by(LLAMA3_SPLIT),
        }
    }
}

/// The steps of a part of a `tokenizer.json`, which may be a sequence under `key`, without what changes no id and with
/// what is true where it is not said.
pub(super) fn parts(stated: &Value, key: &str) -> Vec<Value> {
    let Some(fields) = stated.as_object() else {
        return if stated.is_null() { Vec::new() } else { vec![stated.clone()] };
    };
    let is_called = |name: &str| fields.get("type").is_some_and(|found| found == name);
    if is_called("Sequence") {
        let steps = fields.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        return steps.iter().flat_map(|step| parts(step, key)).collect();
    }
    let mut stated = fields.clone();
    stated.remove("trim_offsets");
    if is_called("ByteLevel") {
        stated.entry("use_regex").or_insert(Value::Bool(true));
    }
    vec![Value::Object(stated)]
}

fn split_by(regex: &str) -> Value {
    json!({
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false},
            byte_level(false),
        ],
    })
}

/// Bytes as printable characters; with `words` also GPT-2's split.
pub(super) fn byte_level(words: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": words})
}
