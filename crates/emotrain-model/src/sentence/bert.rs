//! `config.json` of a BERT encoder.

use std::path::Path;

use serde_json::Value;

use super::json::{complain, object, required_object};
use crate::config::{FOREIGN, Fields, HARMLESS, Neutral, Only};
use crate::error::ModelError;

/// The shape of a BERT encoder (Devlin et al. 2019). Field names are those of `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct BertConfig {
    /// Rows of the embedding table; the tokenizer may know fewer tokens.
    pub vocab_size: usize,
    /// Width of a token's vector.
    pub hidden_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Attention heads; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// Longest sequence, in tokens.
    pub max_position_embeddings: usize,
    /// Rows of the table of segment embeddings, of which the first is used.
    pub type_vocab_size: usize,
    /// Added to the variance in every layer norm.
    pub layer_norm_eps: f64,
}

/// Keys that cannot change what an encoder computes when it is not trained, besides those of decoders.
const HARMLESS_HERE: &[&str] = &[
    "attention_probs_dropout_prob",
    "classifier_dropout",
    "directionality",
    "gradient_checkpointing",
    "hidden_dropout_prob",
    "initializer_range",
    "pooler_fc_size",
    "pooler_num_attention_heads",
    "pooler_num_fc_layers",
    "pooler_size_per_head",
    "pooler_type",
    "tie_word_embeddings",
];

/// Keys of what is not computed here, with the value that leaves it off.
const ONLY: &[Only] = &[
    Only { key: "hidden_act", neutral: Neutral::Text("gelu"), effect: "another activation" },
    Only { key: "position_embedding_type", neutral: Neutral::Text("absolute"), effect: "relative positions" },
    Only { key: "is_decoder", neutral: Neutral::False, effect: "a causal mask" },
    Only { key: "is_encoder_decoder", neutral: Neutral::False, effect: "a decoder" },
    Only { key: "tie_encoder_decoder", neutral: Neutral::False, effect: "a decoder" },
    Only { key: "add_cross_attention", neutral: Neutral::False, effect: "cross-attention" },
    Only { key: "cross_attention_hidden_size", neutral: Neutral::Number(0.0), effect: "cross-attention" },
    Only {
        key: "chunk_size_feed_forward",
        neutral: Neutral::Number(0.0),
        effect: "a chunked feed-forward block",
    },
    Only { key: "pruned_heads", neutral: Neutral::Empty, effect: "pruned attention heads" },
    Only { key: "quantization_config", neutral: Neutral::Empty, effect: "weights quantised by another tool" },
    Only { key: "auto_map", neutral: Neutral::Empty, effect: "model code of its own" },
    Only { key: "rope_theta", neutral: Neutral::Off, effect: "rotary positions" },
    Only { key: "rope_scaling", neutral: Neutral::Off, effect: "rotary positions" },
    Only { key: "rope_parameters", neutral: Neutral::Off, effect: "rotary positions" },
];

/// No width or count of a real encoder comes near.
const LARGEST: usize = 1 << 24;
/// The same for layers, of which there are tables.
const MOST_LAYERS: usize = 10_000;

impl BertConfig {
    /// Reads the `config.json` at `path`, with a warning for each key that this program does not know.
    ///
    /// # Errors
    /// A file that is not there, another architecture, and every key that asks for what is not computed here.
    pub(super) fn read(path: &Path) -> Result<(Self, Vec<String>), ModelError> {
        let object = required_object(path)?;
        let mut fields = Fields::new(&object, "");
        let config = is_bert(&mut fields).then(|| Self::of(&mut fields));
        let warnings = fields.unknown(&[HARMLESS, HARMLESS_HERE], path);
        complain(path, fields.problems)?;
        // `is_bert` reports a problem whenever it is false.
        Ok((config.ok_or_else(|| ModelError::file(path, "not a BERT encoder"))?, warnings))
    }

    fn of(fields: &mut Fields) -> Self {
        let mut size = |key: &'static str, most: usize| {
            let size = fields.required_size(key);
            if size == 0 && fields.object.get(key).is_some_and(Value::is_u64) {
                fields.report(key, "must be at least 1");
            } else if size > most {
                fields.report(key, format!("{size} is more than any encoder has (at most {most})"));
            }
            size
        };
        let config = Self {
            vocab_size: size("vocab_size", LARGEST),
            hidden_size: size("hidden_size", LARGEST),
            num_hidden_layers: size("num_hidden_layers", MOST_LAYERS),
            num_attention_heads: size("num_attention_heads", LARGEST),
            intermediate_size: size("intermediate_size", LARGEST),
            max_position_embeddings: size("max_position_embeddings", LARGEST),
            type_vocab_size: size("type_vocab_size", LARGEST),
            layer_norm_eps: fields.required_number("layer_norm_eps"),
        };
        let heads = config.num_attention_heads;
        if heads > 0 && !config.hidden_size.is_multiple_of(heads) {
            let message = format!("{heads} does not divide hidden_size = {}", config.hidden_size);
            fields.report("num_attention_heads", message);
        }
        if !(0.0..1.0).contains(&config.layer_norm_eps) {
            let message = format!("{} is not between 0 and 1", config.layer_norm_eps);
            fields.report("layer_norm_eps", message);
        }
        // transformers takes "gelu" for a file that does not say; so do we not.
        if fields.get("hidden_act").is_none() {
            fields.report("hidden_act", "missing");
        }
        fields.neutral_keys(ONLY);
        fields.neutral_keys(FOREIGN);
        config
    }
}

fn is_bert(fields: &mut Fields) -> bool {
    let supported = "sentence encoders of the BERT family are computed here, such as all-MiniLM-L6-v2";
    match fields.text("model_type").as_deref() {
        Some("bert") => {}
        Some(other) => {
            fields.report_with_hint("model_type", format!("\"{other}\" is not supported"), supported);
            return false;
        }
        None => {
            if fields.problems.is_empty() {
                fields.report("model_type", "missing");
            }
            return false;
        }
    }
    let is_bert = |name: &Value| name.as_str().is_some_and(|name| name.starts_with("Bert"));
    match fields.get("architectures") {
        None => true,
        Some(Value::Array(classes)) if classes.iter().all(is_bert) => true,
        Some(other) => {
            fields.report_with_hint("architectures", format!("{other} is not supported"), supported);
            false
        }
    }
}

/// How many tokens of a text are read, and whether it is put into lower case before: `sentence_bert_config.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) max_seq_length: usize,
    pub(super) do_lower_case: bool,
}

/// Keys that say where a `Transformer` module finds its output, at the only place where we look for it.
const OUTPUT: &[Only] = &[
    Only {
        key: "transformer_task",
        neutral: Neutral::Text("feature-extraction"),
        effect: "a model with a head of its own",
    },
    Only {
        key: "module_output_name",
        neutral: Neutral::Text("token_embeddings"),
        effect: "another output than the tokens' vectors",
    },
    Only { key: "processing_kwargs", neutral: Neutral::Empty, effect: "texts that are changed before" },
    Only { key: "model_args", neutral: Neutral::Empty, effect: "arguments of the model class" },
    Only { key: "tokenizer_args", neutral: Neutral::Empty, effect: "arguments of the tokenizer class" },
    Only { key: "config_args", neutral: Neutral::Empty, effect: "arguments of the configuration class" },
    Only {
        key: "tokenizer_name_or_path",
        neutral: Neutral::Empty,
        effect: "a tokenizer that is somewhere else",
    },
    Only { key: "query_length", neutral: Neutral::Empty, effect: "a length of its own for queries" },
    Only { key: "document_length", neutral: Neutral::Empty, effect: "a length of its own for documents" },
    Only { key: "query_expansion", neutral: Neutral::Empty, effect: "queries with tokens added" },
];

impl Reading {
    /// Reads the settings in the `Transformer` module's folder. Without a stated length it is, as for
    /// sentence-transformers, the lesser of the tokenizer's `model_max_length` and the number of positions.
    ///
    /// # Errors
    /// A length of 0 or beyond the positions, and every key that asks for what is not done here.
    pub(super) fn read(folder: &Path, positions: usize) -> Result<Self, ModelError> {
        let path = folder.join("sentence_bert_config.json");
        let settings = object(&path)?.unwrap_or_default();
        let mut fields = Fields::new(&settings, "");
        let stated = fields.size("max_seq_length");
        let do_lower_case = fields.flag("do_lower_case").unwrap_or(false);
        if let Some(length) = stated.filter(|length| !(1..=positions).contains(length)) {
            let message = format!("{length} is not between 1 and max_position_embeddings = {positions}");
            fields.report("max_seq_length", message);
        }
        if let Some(modality) = fields.get("modality_config") {
            let output = &modality["text"]["method_output_name"];
            if *output != "last_hidden_state" || modality["text"]["method"] != "forward" {
                fields.report("modality_config", format!("{modality} is not supported"));
            }
        }
        fields.neutral_keys(OUTPUT);
        fields.unknown_keys(&[&["unpad_inputs"]], "a setting this program does not know");
        complain(&path, fields.problems)?;
        let max_seq_length = match stated {
            Some(length) => length,
            None => tokenizer_length(folder)?.unwrap_or(positions).min(positions),
        };
        Ok(Self { max_seq_length, do_lower_case })
    }
}

/// `model_max_length` of `tokenizer_config.json`. Tools write 10³⁰ there for "no limit".
fn tokenizer_length(folder: &Path) -> Result<Option<usize>, ModelError> {
    let path = folder.join("tokenizer_config.json");
    let Some(settings) = object(&path)? else { return Ok(None) };
    let Some(length) = settings.get("model_max_length").filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    match length.as_f64() {
        Some(0.0..1.0) | None => {
            let mut fields = Fields::new(&settings, "");
            fields.report("model_max_length", format!("expected a number from 1 up, found {length}"));
            complain(&path, fields.problems)?;
            Ok(None)
        }
        Some(_) => Ok(length.as_u64().and_then(|length| usize::try_from(length).ok())),
    }
}
